//! The jobs that somebody follows, and who they are.
//!
//! Updates name their job. gearmand sends each update once per submission, also to one connection that submitted a job
//! several times; they are dealt out in turn, so that each submission sees each update once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};

use bytes::Bytes;

use super::answers::handle_of;
use super::status::number;
use super::updates::{Update, Updates};
use crate::gearman::packet::{Kind, Packet};

/// How many updates are kept that came before their job was created.
const MAX_EARLY: usize = 64;

/// The jobs of a connection that somebody waits for.
#[derive(Debug)]
pub(super) struct Jobs {
    listeners: BTreeMap<Bytes, Listeners>,
    /// Updates that a server sent before the JOB_CREATED of their job, as it seems.
    early: VecDeque<Packet>,
    early_bytes: usize,
    max_early_bytes: usize,
}

/// Who submitted a job, in order; those that lost interest keep their turn.
#[derive(Debug, Default)]
struct Listeners {
    submissions: Vec<Weak<Updates>>,
    turn: usize,
}

impl Jobs {
    pub(super) fn new(max_early_bytes: usize) -> Self {
        Self { listeners: BTreeMap::new(), early: VecDeque::new(), early_bytes: 0, max_early_bytes }
    }

    /// Follows a job that was created.
    pub(super) fn follow(&mut self, handle: Bytes, updates: &Arc<Updates>) {
        self.listeners.entry(handle.clone()).or_default().submissions.push(Arc::downgrade(updates));
        let early = std::mem::take(&mut self.early);
        let (of_it, others): (Vec<_>, Vec<_>) = early.into_iter().partition(|packet| handle_of(packet) == handle);
        self.early = others.into();
        self.early_bytes = self.early.iter().map(weight).sum();
        for packet in of_it {
            self.receive(packet, false);
        }
    }

    /// Takes an update. If `may_be_early`, one of a job that is not known is kept for a while.
    pub(super) fn receive(&mut self, packet: Packet, may_be_early: bool) {
        let handle = handle_of(&packet);
        if !self.listeners.contains_key(&handle) {
            // Else of a job that has ended, or of one that was never submitted here.
            if may_be_early {
                self.keep(packet);
            }
            return;
        }
        let update = update(&packet);
        if update.is_last() {
            self.finish(&handle, &update);
        } else {
            self.deal(&handle, update);
        }
    }

    pub(super) fn forget_early(&mut self) {
        self.early.clear();
        self.early_bytes = 0;
    }

    /// Tells everybody that nothing more will be heard.
    pub(super) fn lose_all(&mut self) {
        for listeners in std::mem::take(&mut self.listeners).into_values() {
            for updates in listeners.submissions.iter().filter_map(Weak::upgrade) {
                updates.push(Update::ServerLost);
            }
        }
    }

    /// Gives an update to the submission whose turn it is.
    fn deal(&mut self, handle: &Bytes, update: Update) {
        let Some(listeners) = self.listeners.get_mut(handle) else { return };
        let turn = listeners.turn % listeners.submissions.len().max(1);
        listeners.turn = (turn + 1) % listeners.submissions.len().max(1);
        if let Some(updates) = listeners.submissions.get(turn).and_then(Weak::upgrade) {
            updates.push(update);
        }
    }

    /// Gives the last update to every submission; the copies that follow find nobody.
    fn finish(&mut self, handle: &Bytes, update: &Update) {
        let Some(listeners) = self.listeners.remove(handle) else { return };
        for updates in listeners.submissions.iter().filter_map(Weak::upgrade) {
            updates.push(update.clone());
        }
    }

    fn keep(&mut self, packet: Packet) {
        self.early_bytes += weight(&packet);
        self.early.push_back(packet);
        while self.early.len() > MAX_EARLY || self.early_bytes > self.max_early_bytes {
            let Some(oldest) = self.early.pop_front() else { return };
            self.early_bytes -= weight(&oldest);
        }
    }
}

fn weight(packet: &Packet) -> usize {
    packet.arguments().iter().map(Bytes::len).sum()
}

fn update(packet: &Packet) -> Update {
    match packet.kind {
        Kind::WorkData => Update::Data(packet.argument(1).clone()),
        Kind::WorkWarning => Update::Warning(packet.argument(1).clone()),
        Kind::WorkStatus => {
            Update::Status { numerator: number(packet.argument(1)), denominator: number(packet.argument(2)) }
        }
        Kind::WorkComplete => Update::Complete(packet.argument(1).clone()),
        Kind::WorkException => Update::Exception(packet.argument(1).clone()),
        _ => Update::Fail,
    }
}
