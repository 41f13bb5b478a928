//! Several peers who send anything in any order while time passes and the store works or fails, and somebody who holds
//! what the server says against what they did.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use tokio_util::codec::Encoder;

use super::invariants::{check_books, check_store, write_down};
use super::peer::ConnectionId;
use super::request::{self, Request};
use super::state::Settings;
use super::trial::{Action, Trial};
use crate::gearman::codec::Codec;
use crate::gearman::steps::Steps;
use crate::gearman::{Kind, Magic, Packet, Priority};

const PEERS: u8 = 4;

/// Large enough for a recorded conversation.
const MAX_BODY: usize = 8 << 10;

/// What is worth trying as an argument; 1002 is a time that comes soon, 1500 a limit that is over soon.
#[rustfmt::skip]
const WORDS: [&[u8]; 18] = [
    b"", b"f", b"g", b"F", b"f g", b"-", b"u", b"H:h:1", b"H:h:2", b"H:h:3", b"H:h:4\0", b"0", b"7", b"exceptions",
    b"\xff\n", b"H:h:007", b"1002", b"1500",
];

#[rustfmt::skip]
const COMMANDS: [&str; 14] = [
    "status", "prioritystatus", "workers", "show jobs", "show unique jobs", "cancel job", "create function",
    "drop function", "maxqueue", "getpid", "verbose", "version", "shutdown", "show",
];

/// Plays what the bytes say, and holds the server's books and its answers against it after each step.
///
/// # Panics
///
/// When something does not add up.
pub fn play(input: &[u8]) {
    let mut steps = Steps(input);
    let Some(mut play) = Play::new(&mut steps) else { return };
    while play.step(&mut steps).is_some() {
        check_books(&play.trial.state);
        check_store(&play.trial, &play.stored);
    }
}

struct Play {
    trial: Trial,
    peers: BTreeMap<ConnectionId, Peer>,
    stored: BTreeMap<u64, Bytes>,
}

/// One connection, and what the server owes it.
#[derive(Default)]
struct Peer {
    input: Vec<u8>,
    /// The server has said goodbye: it hangs up before it says anything else.
    is_closing: bool,
    /// How many ends it has still to hear of, for each job.
    awaited: BTreeMap<Bytes, usize>,
    /// It sleeps, and a NOOP would wake it.
    sleeps: bool,
}

/// What a peer has asked for that the answers are held against.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Text,
    /// To be told how the job ends, or not.
    Submission {
        is_awaited: bool,
    },
    Other,
}

impl Play {
    fn new(steps: &mut Steps<'_>) -> Option<Self> {
        let how = steps.byte()?;
        let is = |bit: u8| how >> bit & 1 == 1;
        let settings = Settings {
            handle_prefix: "H:h".to_owned(),
            job_retries: [None, None, Some(1), Some(2)][usize::from(how & 3)],
            round_robin: is(2),
            keeps_jobs: is(3),
            exceptions: is(4),
            wake_at_most: if is(5) { 1 } else { usize::MAX },
            max_jobs: 6,
            max_job_bytes: steps.one_of(&[20, MAX_BODY])?,
            max_functions: 3,
            ..Settings::default()
        };
        Some(Self { trial: Trial::new(settings), peers: BTreeMap::new(), stored: BTreeMap::new() })
    }

    /// A peer does one thing; the first byte says who and what.
    fn step(&mut self, steps: &mut Steps<'_>) -> Option<()> {
        let first = steps.byte()?;
        let id = self.peer(first % PEERS);
        let what = first / PEERS % 14;
        match what {
            0 => self.leave(id),
            1 => self.send_bytes(id, steps.chunk()?),
            2 => self.say(id, steps)?,
            3 => self.let_pass(u64::from(steps.byte()?) * 10),
            4 => self.store(!steps.byte()?.is_multiple_of(4)),
            _ => self.send(id, Self::kind(what, steps)?, steps)?,
        }
        Some(())
    }

    /// Picks a kind of packet; random ones alone seldom make a job run.
    fn kind(what: u8, steps: &mut Steps<'_>) -> Option<Kind> {
        match what {
            5 => steps.one_of(Kind::ALL),
            6 => steps.one_of(&[Kind::CanDo, Kind::CanDoTimeout]),
            7 => steps.one_of(&[Kind::GrabJob, Kind::GrabJobUniq, Kind::GrabJobAll]),
            8 => Some(Kind::PreSleep),
            9 | 10 => steps.one_of(&[Kind::SubmitJob, Kind::SubmitJobHigh, Kind::SubmitJobLowBg, Kind::SubmitJobEpoch]),
            11 => steps.one_of(&[Kind::WorkComplete, Kind::WorkFail, Kind::WorkException]),
            12 => steps.one_of(&[Kind::WorkData, Kind::WorkStatus, Kind::OptionReq]),
            _ => steps.one_of(&[Kind::CantDo, Kind::ResetAbilities, Kind::GetStatus, Kind::GetStatusUnique]),
        }
    }

    /// Returns the connection that stands in a place, a new one where the last one has gone.
    fn peer(&mut self, place: u8) -> ConnectionId {
        // 0 stands for none, as in the server.
        let id = ConnectionId(u32::from(place) + 1);
        if self.peers.get(&id).is_some_and(|peer| peer.is_closing) {
            self.leave(id);
        }
        if !self.peers.contains_key(&id) {
            self.trial.connect(id);
            self.peers.insert(id, Peer::default());
        }
        id
    }

    fn leave(&mut self, id: ConnectionId) {
        self.peers.remove(&id);
        let actions = self.trial.disconnect(id);
        self.heed(None, actions);
    }

    fn let_pass(&mut self, milliseconds: u64) {
        let actions = self.trial.pass(milliseconds);
        self.heed(None, actions);
    }

    fn store(&mut self, works: bool) {
        write_down(&mut self.stored, &self.trial.changes, works);
        let actions = self.trial.store(works);
        self.heed(None, actions);
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
        let input = std::mem::take(&mut peer.input);
        let mut done = 0;
        loop {
            match Request::read(&input[done..], MAX_BODY) {
                Ok(Some((request, length))) => {
                    assert!(length > 0 && done + length <= input.len(), "read more than there is");
                    done += length;
                    self.ask(id, &request);
                    // The rest of what nobody understands is not looked at.
                    if matches!(request, Request::Unknown) {
                        return self.leave(id);
                    }
                }
                Ok(None) => break,
                Err(_) => return self.leave(id),
            }
        }
        let rest = &input[done..];
        if let Some(expected) = request::expected_length(rest) {
            assert!(expected > rest.len() || expected > MAX_BODY, "a whole request was left lying");
        }
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.input = rest.to_vec();
        }
    }

    fn ask(&mut self, id: ConnectionId, request: &Request<'_>) {
        let asked = match request {
            Request::Line(_) => Asked::Text,
            Request::Packet(packet) if packet.magic == Magic::Request => {
                if let Some(peer) = self.peers.get_mut(&id) {
                    match packet.kind {
                        Kind::PreSleep => peer.sleeps = true,
                        Kind::GrabJob | Kind::GrabJobUniq | Kind::GrabJobAll => peer.sleeps = false,
                        _ => {}
                    }
                }
                match (Priority::from_submit(packet.kind), packet.kind) {
                    (Some((_, background)), _) => Asked::Submission { is_awaited: !background },
                    (None, Kind::SubmitReduceJob) => Asked::Submission { is_awaited: true },
                    (None, Kind::SubmitReduceJobBackground | Kind::SubmitJobEpoch) => {
                        Asked::Submission { is_awaited: false }
                    }
                    _ => Asked::Other,
                }
            }
            _ => Asked::Other,
        };
        let actions = self.trial.request(id, request);
        self.heed(Some((id, asked)), actions);
    }

    /// Follows what one request, somebody's leaving, the clock or the store has caused.
    fn heed(&mut self, cause: Option<(ConnectionId, Asked)>, actions: Vec<Action>) {
        let is_told_later = self.trial.state.settings.keeps_jobs;
        for action in actions {
            let (Action::Send(to, _) | Action::Text(to, _) | Action::Close(to)) = &action;
            let to = *to;
            let peer = self.peers.get_mut(&to).expect("nobody who has left is sent anything");
            let asked = cause.filter(|(id, _)| *id == to).map(|(_, asked)| asked);
            match action {
                Action::Send(_, packet) => peer.hear(&packet, asked, is_told_later),
                Action::Text(_, line) => {
                    assert!(asked == Some(Asked::Text) || is_told_later, "only who asks is answered in text: {line:?}");
                }
                Action::Close(_) => peer.is_closing = true,
            }
        }
    }
}

impl Peer {
    /// Hears a packet; perhaps the answer to what it just asked for. Where answers wait for the store, it cannot tell.
    fn hear(&mut self, packet: &Packet, asked: Option<Asked>, is_told_later: bool) {
        assert_eq!(packet.magic, Magic::Response);
        match packet.kind {
            Kind::Noop if !is_told_later => assert!(std::mem::take(&mut self.sleeps), "woken while awake"),
            _ if is_told_later => {}
            Kind::JobCreated => {
                let Some(Asked::Submission { is_awaited }) = asked else {
                    panic!("a job is created for who submits it: {packet:?}");
                };
                if is_awaited {
                    *self.awaited.entry(packet.argument(0).clone()).or_default() += 1;
                }
            }
            Kind::WorkComplete | Kind::WorkFail | Kind::WorkException => {
                let left = self.awaited.get_mut(packet.argument(0)).filter(|left| **left > 0);
                *left.expect("an end is told once to each who waits") -= 1;
            }
            Kind::WorkData | Kind::WorkWarning | Kind::WorkStatus => {
                let left = self.awaited.get(packet.argument(0));
                assert!(left.is_some_and(|left| *left > 0), "told of a job that it does not wait for");
            }
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
