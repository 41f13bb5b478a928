//! Several peers who send anything in any order, and somebody who holds what the server says against what they did.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use super::invariants::check_books;
use super::peer::ConnectionId;
use super::state::Settings;
use super::trial::{Action, Trial};
use crate::gearman::codec::{Codec, Frame};
use crate::gearman::steps::Steps;
use crate::gearman::{Kind, Magic, Packet, Priority};

const PEERS: u8 = 4;

/// Large enough for a recorded conversation.
const MAX_BODY: usize = 8 << 10;

/// What is worth trying as an argument.
const WORDS: [&[u8]; 16] = [
    b"",
    b"f",
    b"g",
    b"F",
    b"f g",
    b"-",
    b"u",
    b"H:h:1",
    b"H:h:2",
    b"H:h:3",
    b"H:h:4\0",
    b"0",
    b"7",
    b"exceptions",
    b"\xff\n",
    b"H:h:007",
];

const COMMANDS: [&str; 14] = [
    "status",
    "prioritystatus",
    "workers",
    "show jobs",
    "show unique jobs",
    "cancel job",
    "create function",
    "drop function",
    "maxqueue",
    "getpid",
    "verbose",
    "version",
    "shutdown",
    "show",
];

/// Plays what the bytes say, and holds the server's books and its answers against it after each step.
///
/// # Panics
///
/// When something does not add up.
pub fn play(input: &[u8]) {
    let mut steps = Steps(input);
    let Some(mut play) = Play::new(&mut steps) else { return };
    while play.step(&mut steps).is_some() {}
}

struct Play {
    trial: Trial,
    peers: BTreeMap<ConnectionId, Peer>,
    connections: u32,
}

/// One connection, and what the server owes it.
#[derive(Default)]
struct Peer {
    codec: Option<Codec>,
    input: BytesMut,
    /// The server has said goodbye; whatever else comes before it hangs up.
    is_closing: bool,
    /// How many ends it has still to hear of, for each job.
    awaited: BTreeMap<Bytes, usize>,
    /// It sleeps, and a NOOP would wake it.
    sleeps: bool,
}

impl Play {
    fn new(steps: &mut Steps<'_>) -> Option<Self> {
        let settings = Settings {
            handle_prefix: "H:h".to_owned(),
            job_retries: steps.one_of(&[None, Some(2), Some(1)])?,
            max_jobs: 6,
            max_job_bytes: steps.one_of(&[20, MAX_BODY])?,
            max_functions: 3,
            ..Settings::default()
        };
        Some(Self { trial: Trial::new(settings), peers: BTreeMap::new(), connections: 0 })
    }

    /// A peer does one thing; the first byte says who and what.
    fn step(&mut self, steps: &mut Steps<'_>) -> Option<()> {
        let first = steps.byte()?;
        let id = self.peer(first % PEERS);
        match first / PEERS % 11 {
            0 => self.leave(id),
            1 => self.send_bytes(id, steps.chunk()?),
            2 => self.say(id, steps)?,
            3 => self.send(id, *Kind::ALL.get(usize::from(steps.byte()?) % Kind::ALL.len())?, steps)?,
            // Random packets alone seldom make a job run.
            4 => self.send(id, Kind::CanDo, steps)?,
            5 => self.send(id, steps.one_of(&[Kind::GrabJob, Kind::GrabJobUniq, Kind::GrabJobAll])?, steps)?,
            6 => self.send(id, Kind::PreSleep, steps)?,
            7 => self.send(id, steps.one_of(&[Kind::SubmitJob, Kind::SubmitJobHigh, Kind::SubmitJobLowBg])?, steps)?,
            8 => self.send(id, steps.one_of(&[Kind::WorkComplete, Kind::WorkFail, Kind::WorkException])?, steps)?,
            9 => self.send(id, steps.one_of(&[Kind::WorkData, Kind::WorkStatus, Kind::OptionReq])?, steps)?,
            _ => {
                let actions = self.trial.pass(u64::from(steps.byte()?) * 100);
                self.heed(None, None, actions);
            }
        }
        check_books(&self.trial.state);
        Some(())
    }

    /// Returns the connection that stands in a place, a new one where the last one has gone.
    fn peer(&mut self, place: u8) -> ConnectionId {
        let in_place = |id: &&ConnectionId| id.0 % u32::from(PEERS) == u32::from(place);
        if let Some(&id) = self.peers.keys().find(in_place) {
            if !self.peers[&id].is_closing {
                return id;
            }
            self.leave(id);
        }
        self.connections += 1;
        let id = ConnectionId(self.connections * u32::from(PEERS) + u32::from(place));
        self.trial.connect(id);
        self.peers.insert(id, Peer { codec: Some(Codec::with_lines(MAX_BODY)), ..Peer::default() });
        id
    }

    fn leave(&mut self, id: ConnectionId) {
        self.peers.remove(&id);
        let actions = self.trial.disconnect(id);
        self.heed(Some(id), None, actions);
    }

    fn say(&mut self, id: ConnectionId, steps: &mut Steps<'_>) -> Option<()> {
        let mut line = steps.one_of(&COMMANDS)?.as_bytes().to_vec();
        for _ in 0..steps.byte()? % 3 {
            line.push(b' ');
            line.extend_from_slice(steps.one_of(&WORDS)?);
        }
        line.push(b'\n');
        self.send_bytes(id, &line);
        Some(())
    }

    fn send(&mut self, id: ConnectionId, kind: Kind, steps: &mut Steps<'_>) -> Option<()> {
        let arguments: Option<Vec<Bytes>> =
            kind.arguments().iter().map(|_| Some(Bytes::from_static(steps.one_of(&WORDS)?))).collect();
        let mut wire = BytesMut::new();
        // What would end early by its own NUL is not a packet.
        if Codec::default().encode(&Packet::from_parts(Magic::Request, kind, arguments?), &mut wire).is_ok() {
            self.send_bytes(id, &wire);
        }
        Some(())
    }

    fn send_bytes(&mut self, id: ConnectionId, bytes: &[u8]) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.input.extend_from_slice(bytes);
        loop {
            let Some(peer) = self.peers.get_mut(&id) else { return };
            let Some(codec) = &mut peer.codec else { return };
            match codec.decode(&mut peer.input) {
                Ok(Some(frame)) => {
                    let actions = self.trial.handle(id, &frame);
                    self.heed(Some(id), Some(&frame), actions);
                }
                Ok(None) => return,
                Err(_) => return self.leave(id),
            }
        }
    }

    /// Follows what one frame, somebody's leaving or the time has caused.
    fn heed(&mut self, cause: Option<ConnectionId>, frame: Option<&Frame>, actions: Vec<Action>) {
        let request = match frame {
            Some(Frame::Packet(packet)) if packet.magic == Magic::Request => Some(packet),
            _ => None,
        };
        if let Some(request) = request
            && let Some(peer) = cause.and_then(|cause| self.peers.get_mut(&cause))
        {
            match request.kind {
                Kind::PreSleep => peer.sleeps = true,
                Kind::GrabJob | Kind::GrabJobUniq | Kind::GrabJobAll => peer.sleeps = false,
                _ => {}
            }
        }
        for action in actions {
            let (Action::Send(to, _) | Action::Text(to, _) | Action::Close(to)) = &action;
            let to = *to;
            let peer = self.peers.get_mut(&to).expect("nobody who has left is sent anything");
            match action {
                Action::Send(_, packet) => peer.hear(&packet, request.filter(|_| Some(to) == cause)),
                Action::Text(..) => assert_eq!(Some(to), cause, "only who asks is answered in text"),
                Action::Close(_) => peer.is_closing = true,
            }
        }
    }
}

impl Peer {
    /// Hears a packet; perhaps the answer to what it just sent.
    fn hear(&mut self, packet: &Packet, request: Option<&Packet>) {
        assert_eq!(packet.magic, Magic::Response);
        let mut wire = BytesMut::new();
        let encoded = Codec::default().encode(packet, &mut wire);
        assert!(encoded.is_ok(), "{packet:?} cannot be sent: {encoded:?}");
        let handle = packet.arguments().first();
        match packet.kind {
            Kind::JobCreated => {
                let submitted = request.map(|request| request.kind).expect("a job is created for who submits it");
                let is_awaited = match Priority::from_submit(submitted) {
                    Some((_, background)) => !background,
                    None => submitted == Kind::SubmitReduceJob,
                };
                if is_awaited {
                    *self.awaited.entry(packet.argument(0).clone()).or_default() += 1;
                }
            }
            Kind::WorkComplete | Kind::WorkFail | Kind::WorkException => {
                let left = handle.and_then(|handle| self.awaited.get_mut(handle));
                let left = left.filter(|left| **left > 0).expect("an end is told once to each who waits");
                *left -= 1;
            }
            Kind::WorkData | Kind::WorkWarning | Kind::WorkStatus => {
                let left = handle.and_then(|handle| self.awaited.get(handle));
                assert!(left.is_some_and(|left| *left > 0), "told of a job that it does not wait for");
            }
            Kind::Noop => assert!(std::mem::take(&mut self.sleeps), "woken while awake"),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_books_balance_whatever_real_peers_say() {
        assert!(crate::gearman::steps::play_seeds("server", super::play) > 0);
    }
}
