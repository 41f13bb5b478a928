//! The state as tests play with it: packets and lines in, packets and lines out.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use bytes::{Bytes, BytesMut};
use tokio_util::codec::Decoder;

use super::due::Clock;
use super::peer::{ConnectionId, Ending, OutputLimits};
use super::request::Request;
use super::state::{Settings, State};
use super::store::Change;
use crate::gearman::Packet;
use crate::gearman::codec::{Codec, Frame};

/// What somebody is sent.
#[derive(Debug)]
pub(super) enum Action {
    Send(ConnectionId, Packet),
    /// A line without its end.
    Text(ConnectionId, Bytes),
    /// After what was sent before it has gone out.
    Close(ConnectionId),
}

#[derive(Debug)]
pub(super) struct Trial {
    pub(super) state: State,
    pub(super) now: Clock,
    /// What the store was asked to do and has not done yet.
    pub(super) changes: Vec<Change>,
    peers: BTreeMap<ConnectionId, (Codec, BytesMut)>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            handle_prefix: "H:test".to_owned(),
            version: "1".to_owned(),
            process: 42,
            verbosity: "ERROR".to_owned(),
            job_retries: None,
            round_robin: false,
            wake_at_most: usize::MAX,
            exceptions: false,
            keeps_jobs: false,
            max_jobs: 100,
            max_job_bytes: 1 << 20,
            max_functions: 100,
            output: OutputLimits { of_one: 1 << 20, of_all: 1 << 20 },
        }
    }
}

impl Trial {
    pub(super) fn new(settings: Settings) -> Self {
        let now = Clock { unix: 1_000_000, steady: 0 };
        let mut trial = Self { state: State::new(settings), now, changes: Vec::new(), peers: BTreeMap::new() };
        trial.state.set_clock(now);
        trial
    }

    #[cfg(test)]
    pub(super) fn is_connected(&self, id: ConnectionId) -> bool {
        self.peers.contains_key(&id)
    }

    pub(super) fn connect(&mut self, id: ConnectionId) {
        self.state.connected(id, IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + id.0)));
        self.peers.insert(id, (Codec::with_lines(1 << 20), BytesMut::new()));
    }

    pub(super) fn disconnect(&mut self, id: ConnectionId) -> Vec<Action> {
        self.peers.remove(&id);
        self.state.disconnected(id);
        self.actions()
    }

    #[cfg(test)]
    pub(super) fn handle(&mut self, id: ConnectionId, frame: &Frame) -> Vec<Action> {
        self.request(id, &Request::from_frame(frame))
    }

    pub(super) fn request(&mut self, id: ConnectionId, request: &Request<'_>) -> Vec<Action> {
        self.state.handle(id, request);
        self.actions()
    }

    /// Lets time pass, and happen what is due by then.
    pub(super) fn pass(&mut self, milliseconds: u64) -> Vec<Action> {
        self.now.unix += milliseconds;
        self.now.steady += milliseconds;
        self.state.set_clock(self.now);
        self.state.wake();
        self.actions()
    }

    /// The store does what it was asked to, or fails at it.
    pub(super) fn store(&mut self, works: bool) -> Vec<Action> {
        for change in std::mem::take(&mut self.changes) {
            if let Change::Add(job) = change {
                self.state.settle(job.number, works);
            }
        }
        self.actions()
    }

    /// Reads what was written for everybody, in the order in which it was caused.
    fn actions(&mut self) -> Vec<Action> {
        self.changes.extend(self.state.keeping.take_changes());
        let mut actions = Vec::new();
        let touched = self.state.peers.take_touched();
        let mut closing = Vec::new();
        for &id in &touched {
            if !self.state.peers.iter().any(|(known, _)| known == id) {
                continue;
            }
            let (_, input) = self.peers.get_mut(&id).expect("nobody who has left is sent anything");
            let mut output = BytesMut::new();
            let ending = self.state.peers.take_output(id, &mut output);
            assert_ne!(ending, Some(Ending::Overflow), "no test sends that much");
            input.extend_from_slice(&output);
            self.state.peers.take_output(id, &mut BytesMut::new());
            if ending.is_some() {
                closing.push(id);
            }
        }
        for &id in &touched {
            // A text is written at once, however many lines it has.
            let Some((_, input)) = self.peers.get(&id) else { continue };
            let at_once = if input.first() == Some(&0) { 1 } else { usize::MAX };
            self.read(id, at_once, &mut actions);
        }
        // What stood behind a promise is written with it, and may be much.
        let everybody: Vec<ConnectionId> = self.peers.keys().copied().collect();
        for id in everybody {
            self.read(id, usize::MAX, &mut actions);
        }
        actions.extend(closing.into_iter().map(Action::Close));
        actions
    }

    fn read(&mut self, id: ConnectionId, at_most: usize, actions: &mut Vec<Action>) {
        let Some((codec, input)) = self.peers.get_mut(&id) else { return };
        for _ in 0..at_most {
            match codec.decode(input).expect("the server keeps to the protocol") {
                Some(Frame::Packet(packet)) => actions.push(Action::Send(id, packet)),
                Some(Frame::Line(line)) => actions.push(Action::Text(id, line)),
                Some(Frame::Unknown { number, .. }) => panic!("the server sent type {number}"),
                None => return assert!(input.is_empty(), "what is sent is whole"),
            }
        }
    }
}
