//! The connections of a server: what each has said of itself, and what is to be sent on it.
//!
//! Output is bounded, for each and for all together: who does not read what it is sent is dropped, and never holds up
//! the others. What the state decides is written out at once, in the order in which it was caused.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;

use bytes::BytesMut;

use super::idset::IdSet;
use super::job::JobId;
use crate::gearman::{Kind, codec};

/// Small and used again: it is a place in rows and sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ConnectionId(pub(super) u32);

#[derive(Debug)]
pub(super) struct Peer {
    pub(super) host: IpAddr,
    /// Shown as `-` until it is set.
    pub(super) client_id: Box<[u8]>,
    /// What it offers.
    pub(super) functions: IdSet,
    /// Functions with a time limit, in order.
    limits: Vec<(u32, u32)>,
    /// The function of its last job, when turns are taken.
    pub(super) last_function: u32,
    pub(super) running: BTreeSet<JobId>,
    pub(super) watching: BTreeSet<JobId>,
    pub(super) asleep: bool,
    /// Stays set until it grabs: one NOOP is enough.
    pub(super) noop_sent: bool,
    pub(super) wants_exceptions: bool,
    output: Output,
}

impl Peer {
    /// Returns how many milliseconds it wants to be given for a job of a function.
    pub(super) fn limit(&self, function: u32) -> Option<u32> {
        let at = self.limits.binary_search_by_key(&function, |&(function, _)| function).ok()?;
        Some(self.limits[at].1)
    }

    /// Notes a limit; 0 is none.
    pub(super) fn set_limit(&mut self, function: u32, limit: u32) {
        match self.limits.binary_search_by_key(&function, |&(function, _)| function) {
            Ok(at) if limit == 0 => drop(self.limits.remove(at)),
            Ok(at) => self.limits[at].1 = limit,
            Err(_) if limit == 0 => {}
            Err(at) => self.limits.insert(at, (function, limit)),
        }
    }
}

/// Why nothing more is sent to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// What was sent before is still to go out.
    Flush,
    /// The peer does not read: drop the connection now.
    Overflow,
}

/// An answer that is to be given later, and before whatever is sent after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Promise {
    to: ConnectionId,
    number: u64,
}

#[derive(Debug, Default)]
struct Output {
    ready: BytesMut,
    /// What stands behind a promise that is not kept yet, and what it weighs.
    held: VecDeque<Held>,
    held_bytes: usize,
    /// Taken by the connection's task and not sent yet.
    in_flight: usize,
    ending: Option<Ending>,
}

#[derive(Debug)]
enum Held {
    Bytes(BytesMut),
    Promise(u64),
}

/// What a promise weighs: a peer that asks for many is not read from until some are kept.
const PROMISE: usize = 64;

impl Output {
    fn backlog(&self) -> usize {
        self.ready.len() + self.held_bytes + self.in_flight
    }

    /// Moves what stands behind no promise any more to what is ready.
    fn release(&mut self) {
        while matches!(self.held.front(), Some(Held::Bytes(_))) {
            if let Some(Held::Bytes(bytes)) = self.held.pop_front() {
                self.held_bytes -= bytes.len();
                self.ready.extend_from_slice(&bytes);
            }
        }
        if self.held.is_empty() {
            self.held = VecDeque::new();
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct OutputLimits {
    pub(super) of_one: usize,
    pub(super) of_all: usize,
}

#[derive(Debug)]
pub(super) struct Peers {
    slots: Vec<Option<Box<Peer>>>,
    len: usize,
    limits: OutputLimits,
    backlog: usize,
    promises: u64,
    /// Who has something new to send or to hear of, in the order in which it was caused.
    touched: Vec<ConnectionId>,
}

impl Peers {
    pub(super) fn new(limits: OutputLimits) -> Self {
        Self { slots: Vec::new(), len: 0, limits, backlog: 0, promises: 0, touched: Vec::new() }
    }

    pub(super) fn insert(&mut self, id: ConnectionId, host: IpAddr, wants_exceptions: bool) {
        let peer = Peer {
            host,
            client_id: Box::default(),
            functions: IdSet::new(),
            limits: Vec::new(),
            last_function: u32::MAX,
            running: BTreeSet::new(),
            watching: BTreeSet::new(),
            asleep: false,
            noop_sent: false,
            wants_exceptions,
            output: Output::default(),
        };
        let at = id.0 as usize;
        if self.slots.len() <= at {
            self.slots.resize_with(at + 1, || None);
        }
        self.slots[at] = Some(Box::new(peer));
        self.len += 1;
    }

    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<Box<Peer>> {
        let peer = self.slots.get_mut(id.0 as usize)?.take()?;
        self.backlog -= peer.output.backlog();
        self.len -= 1;
        Some(peer)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn find(&self, id: ConnectionId) -> Option<&Peer> {
        self.slots.get(id.0 as usize)?.as_deref()
    }

    pub(super) fn find_mut(&mut self, id: ConnectionId) -> Option<&mut Peer> {
        self.slots.get_mut(id.0 as usize)?.as_deref_mut()
    }

    /// Returns a peer that is there.
    pub(super) fn at(&mut self, id: ConnectionId) -> &mut Peer {
        self.find_mut(id).expect("requests are taken only from connections that are known")
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (ConnectionId, &Peer)> {
        (0..).zip(&self.slots).filter_map(|(id, slot)| Some((ConnectionId(id), slot.as_deref()?)))
    }

    pub(super) fn send(&mut self, to: ConnectionId, kind: Kind, arguments: &[&[u8]]) {
        self.write(to, |target| codec::put_response(target, kind, arguments));
    }

    pub(super) fn send_text(&mut self, to: ConnectionId, text: &str) {
        self.write(to, |target| target.extend_from_slice(text.as_bytes()));
    }

    /// Ends a connection when all that was sent before has gone out.
    pub(super) fn close(&mut self, id: ConnectionId) {
        if let Some(peer) = self.find_mut(id) {
            peer.output.ending.get_or_insert(Ending::Flush);
            self.touched.push(id);
        }
    }

    /// Says whether nothing more is sent to a peer.
    pub(super) fn is_ending(&self, id: ConnectionId) -> bool {
        self.find(id).is_none_or(|peer| peer.output.ending.is_some())
    }

    /// Drops a connection, and what was to be sent on it.
    pub(super) fn drop_now(&mut self, id: ConnectionId) {
        self.change(id, |output| *output = Output { ending: Some(Ending::Overflow), ..Output::default() });
        self.touched.push(id);
    }

    pub(super) fn close_all(&mut self) {
        let everybody: Vec<ConnectionId> = self.iter().map(|(id, _)| id).collect();
        for id in everybody {
            self.close(id);
        }
    }

    /// Reserves the place of an answer: what is sent from now on waits behind it.
    pub(super) fn promise(&mut self, to: ConnectionId) -> Promise {
        self.promises += 1;
        let number = self.promises;
        self.change(to, |output| {
            output.held.push_back(Held::Promise(number));
            output.held_bytes += PROMISE;
        });
        Promise { to, number }
    }

    /// Gives a promised answer; for nobody if the peer has gone.
    pub(super) fn keep(&mut self, promise: Promise, kind: Kind, arguments: &[&[u8]]) {
        self.change(promise.to, |output| {
            let is_it = |held: &Held| matches!(held, Held::Promise(number) if *number == promise.number);
            let Some(at) = output.held.iter().position(is_it) else { return };
            let mut answer = BytesMut::new();
            codec::put_response(&mut answer, kind, arguments);
            output.held_bytes = output.held_bytes - PROMISE + answer.len();
            output.held[at] = Held::Bytes(answer);
            output.release();
        });
        self.touched.push(promise.to);
    }

    /// Returns who has something to send, each as often as it was given something, and forgets it.
    pub(super) fn take_touched(&mut self) -> Vec<ConnectionId> {
        std::mem::take(&mut self.touched)
    }

    /// Moves what is ready into a buffer, if that is empty; what is in it already is still to be sent.
    pub(super) fn take_output(&mut self, id: ConnectionId, target: &mut BytesMut) -> Option<Ending> {
        self.change(id, |output| {
            if target.is_empty() {
                std::mem::swap(&mut output.ready, target);
            }
            output.in_flight = target.len();
        });
        let output = &self.find(id)?.output;
        // Behind a promise there may be more to say before the goodbye.
        output.ending.filter(|ending| *ending == Ending::Overflow || output.held.is_empty())
    }

    /// Says how much is still unsent, so that a peer that only asks is not read from until it has listened.
    pub(super) fn backlog(&self, id: ConnectionId) -> usize {
        self.find(id).map_or(0, |peer| peer.output.backlog())
    }

    fn write(&mut self, to: ConnectionId, write: impl FnOnce(&mut BytesMut)) {
        let limit = self.limits.of_one;
        self.change(to, |output| {
            if output.ending.is_some() {
                return;
            }
            // One packet may pass the limit, or a large payload could never be sent.
            if output.backlog() > limit {
                *output = Output { ending: Some(Ending::Overflow), ..Output::default() };
                return;
            }
            match output.held.back_mut() {
                None => write(&mut output.ready),
                Some(Held::Bytes(bytes)) => {
                    let before = bytes.len();
                    write(bytes);
                    output.held_bytes += bytes.len() - before;
                }
                Some(Held::Promise(_)) => {
                    let mut bytes = BytesMut::new();
                    write(&mut bytes);
                    output.held_bytes += bytes.len();
                    output.held.push_back(Held::Bytes(bytes));
                }
            }
        });
        self.touched.push(to);
        if self.backlog > self.limits.of_all {
            self.drop_the_slowest();
        }
    }

    /// Changes what a peer is to be sent, and keeps the sum right.
    fn change(&mut self, id: ConnectionId, change: impl FnOnce(&mut Output)) {
        let Some(peer) = self.slots.get_mut(id.0 as usize).and_then(Option::as_deref_mut) else { return };
        let before = peer.output.backlog();
        change(&mut peer.output);
        self.backlog = self.backlog - before + peer.output.backlog();
    }

    fn drop_the_slowest(&mut self) {
        let slowest = self.iter().max_by_key(|(_, peer)| peer.output.backlog()).map(|(id, _)| id);
        if let Some(id) = slowest {
            self.drop_now(id);
        }
    }
}
