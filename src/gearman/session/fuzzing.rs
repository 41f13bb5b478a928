//! A session between an owner and a server who both do anything at any time, watched by somebody who knows only the
//! wire.

use bytes::BytesMut;
use tokio_util::codec::{Decoder, Encoder};

use super::*;
use crate::gearman::Magic;
use crate::gearman::codec::Codec;
use crate::gearman::steps::Steps;

/// A server has no reason to send more in these plays, and a limit makes every length beyond it worth trying.
const MAX_BODY: usize = 4 << 10;

/// Each bit of an offer stands for one of these.
const FUNCTIONS: [&[u8]; 8] = [b"a", b"b", b"build:c", b"build:c:d e", b"", b"\xff\xfe", b"A", b"stop:h"];

const NEVER_OFFERED: &[u8] = b"never offered";

const CODES: [&[u8]; 4] = [b"JOB_NOT_FOUND", b"job_not_found", b"INVALID_PACKET", b"\x1b[31m\n\0"];

/// The owner and the server take turns as the bytes say; what the session does is held against the rules.
///
/// # Panics
///
/// When the session breaks one.
pub fn play(input: &[u8]) {
    let mut steps = Steps(input);
    let mut play = Play::new();
    while play.step(&mut steps).is_some() {
        play.hear();
    }
    play.write();
}

struct Play {
    session: Session,
    codec: Codec,
    incoming: BytesMut,
    observer: Observer,
    desired: BTreeSet<Bytes>,
    jobs: u32,
}

impl Play {
    fn new() -> Self {
        Self {
            session: Session::new("id"),
            codec: Codec::new(MAX_BODY),
            incoming: BytesMut::new(),
            observer: Observer::default(),
            desired: BTreeSet::new(),
            jobs: 0,
        }
    }

    fn step(&mut self, steps: &mut Steps<'_>) -> Option<()> {
        match steps.byte()? % 16 {
            0 if self.observer.greeting == Greeting::Absent => self.connect(),
            0 => self.write(),
            // Seldom: what is told apart needs a connection that lasts.
            1 => match steps.byte()? % 8 {
                0 => self.disconnect(),
                1 => self.connect(),
                _ => {}
            },
            // Few functions are more telling than many, and none is most of all.
            2 => self.offer(steps.byte()? & steps.byte()?),
            3 => self.session.grant(),
            4 => {
                let may_bring_a_job = self.session.is_grabbing();
                assert_eq!(self.session.revoke() == Revocation::AwaitGrab, may_bring_a_job);
                assert!(!self.session.is_leased());
            }
            5 => self.report(steps)?,
            6..=8 => self.write(),
            9 => match steps.byte()? % 8 {
                0 => self.say(steps.chunk()?),
                _ => self.session.grant(),
            },
            10 | 11 => {
                self.jobs += 1;
                let kind = steps.one_of(&[Kind::JobAssignUniq, Kind::JobAssign, Kind::JobAssignAll])?;
                let function = steps.one_of(&FUNCTIONS)?;
                self.assign(kind, function);
            }
            12 if self.observer.asked == Some(Kind::GetStatus) => {
                let ended = self.observer.ended.clone().unwrap_or_default();
                let handle = if steps.byte()? % 4 == 0 { Bytes::from_static(b"H:0") } else { ended };
                self.answer(Kind::StatusRes, &[&handle, b"0", b"0", b"0", b"0"]);
            }
            12 => self.answer(Kind::NoJob, &[]),
            13 => self.answer(Kind::Noop, &[]),
            14 => {
                let code = steps.one_of(&CODES)?;
                self.answer(Kind::Error, &[code, steps.few()?]);
            }
            _ => {
                let kind = steps.one_of(Kind::ALL)?;
                let arguments: Vec<&[u8]> = kind.arguments().iter().map(|_| &b"7"[..]).collect();
                self.answer(kind, &arguments);
            }
        }
        Some(())
    }

    fn connect(&mut self) {
        // A session that is told of a new connection knows that the last one is gone.
        self.disconnect();
        self.session.connected();
        self.observer.greeting = Greeting::Due;
    }

    fn disconnect(&mut self) {
        let running = self.session.job().cloned();
        assert_eq!(self.session.disconnected(), running);
        assert!(self.session.functions().is_empty() && self.session.job().is_none());
        self.observer = Observer::default();
        self.codec = Codec::new(MAX_BODY);
        self.incoming.clear();
    }

    fn offer(&mut self, mask: u8) {
        let offered = FUNCTIONS.iter().enumerate().filter(|(bit, _)| mask >> bit & 1 == 1);
        self.desired = offered.map(|(_, name)| Bytes::from_static(name)).collect();
        self.session.offer(self.desired.clone());
    }

    fn report(&mut self, steps: &mut Steps<'_>) -> Option<()> {
        let report = match steps.byte()? % 6 {
            0 => Report::Data(Bytes::copy_from_slice(steps.few()?)),
            1 => Report::Warning(Bytes::copy_from_slice(steps.few()?)),
            2 => Report::Status { numerator: steps.byte()?.into(), denominator: -1 },
            3 => Report::Complete(Bytes::copy_from_slice(steps.few()?)),
            4 => Report::Fail,
            _ => Report::Exception(Bytes::copy_from_slice(steps.few()?)),
        };
        let is_running = self.session.job().is_some();
        let ends_it = is_running && report.is_terminal();
        assert_eq!(self.session.report(report), is_running);
        assert_eq!(self.session.job().is_some(), is_running && !ends_it);
        Some(())
    }

    fn assign(&mut self, kind: Kind, function: &[u8]) {
        let handle = format!("H:{}", self.jobs);
        let handle = handle.as_bytes();
        match kind {
            Kind::JobAssign => self.answer(kind, &[handle, function, b"\0p"]),
            Kind::JobAssignUniq => self.answer(kind, &[handle, function, b"u", b""]),
            _ if self.jobs.is_multiple_of(2) => self.answer(kind, &[handle, NEVER_OFFERED, b"", b"r", b"p"]),
            _ => self.answer(kind, &[handle, function, b"", b"r", b"p"]),
        }
    }

    /// The server sends a packet that is well-formed, whether it makes sense or not.
    fn answer(&mut self, kind: Kind, arguments: &[&[u8]]) {
        let arguments = arguments.iter().map(|argument| Bytes::copy_from_slice(argument)).collect();
        let mut wire = BytesMut::new();
        let packet = Packet::from_parts(Magic::Response, kind, arguments);
        if Codec::default().encode(&packet, &mut wire).is_ok() {
            self.say(&wire);
        }
    }

    /// The server sends bytes. Those that are none of the protocol's cost it the connection.
    fn say(&mut self, bytes: &[u8]) {
        if self.observer.greeting == Greeting::Absent {
            return;
        }
        self.incoming.extend_from_slice(bytes);
        loop {
            match self.codec.decode(&mut self.incoming) {
                Ok(Some(frame)) => {
                    self.observer.overhear(&frame);
                    self.session.receive(frame);
                }
                Ok(None) => break,
                Err(_) => {
                    // What came before it still counts, as for a worker.
                    if !self.hear() {
                        self.disconnect();
                    }
                    break;
                }
            }
        }
    }

    /// The owner hears what the session has to say; says whether that cost the connection.
    fn hear(&mut self) -> bool {
        let mut is_violated = false;
        while let Some(event) = self.session.next_event() {
            match event {
                Event::Assigned(job) => {
                    assert!(self.observer.running.is_none(), "assigned while a job runs");
                    assert_eq!(self.observer.assignments.pop_front(), Some(job.handle.clone()), "from nowhere");
                    self.observer.running = Some((job.handle, job.function));
                    (self.observer.grab_is_out, self.observer.was_refused) = (false, false);
                }
                Event::Delivered { handle } => {
                    assert!(self.observer.has_answered, "called delivered without an answer");
                    assert!(self.observer.asked.take().is_some(), "called delivered before it was asked about");
                    assert_eq!(self.observer.ended.take(), Some(handle));
                }
                Event::Woken | Event::Revoked => assert!(!self.session.is_leased()),
                Event::Refused { code, text, .. } => {
                    assert!(!code.chars().chain(text.chars()).any(char::is_control), "{code:?} {text:?}");
                    assert!(text.len() <= 3 * ERROR_TEXT_KEPT, "a letter for each byte at most");
                }
                Event::Violated(_) => is_violated = true,
            }
        }
        if is_violated {
            self.disconnect();
        } else {
            self.observer.assignments.clear();
        }
        is_violated
    }

    /// The session writes, as bytes.
    fn write(&mut self) {
        self.hear();
        let is_leased = self.session.is_leased();
        let mut wire = BytesMut::new();
        for packet in self.session.take_packets() {
            assert_eq!(packet.magic, Magic::Request);
            let encoded = Codec::default().encode(&packet, &mut wire);
            assert!(encoded.is_ok(), "{packet:?} cannot be written: {encoded:?}");
        }
        let mut codec = Codec::default();
        loop {
            match codec.decode(&mut wire) {
                Ok(Some(Frame::Packet(packet))) => self.observer.see(&packet, is_leased),
                Ok(None) => break,
                other => panic!("wrote what does not decode: {other:?}"),
            }
        }
        assert!(wire.is_empty(), "wrote half a packet");
        self.observer.agrees_with(&self.session, &self.desired);
    }
}

/// What a server sees of a worker, and what it must never see.
#[derive(Debug, Default)]
struct Observer {
    greeting: Greeting,
    offered: BTreeSet<Bytes>,
    grab_is_out: bool,
    /// The last grab was answered by an error, so that its true answer may still come.
    was_refused: bool,
    asleep: bool,
    answered_with_nothing: bool,
    /// Handle and function.
    running: Option<(Bytes, Bytes)>,
    /// Handles of assignments that the owner has not heard of.
    assignments: VecDeque<Bytes>,
    /// The job that has ended, as long as the server has answered nothing that came after its terminal packet.
    ended: Option<Bytes>,
    /// What came after it and has to be answered.
    asked: Option<Kind>,
    /// The server has said something since that might be the answer.
    has_answered: bool,
}

#[derive(Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Greeting {
    /// There is no connection.
    #[default]
    Absent,
    Due,
    Named,
    Done,
}

impl Observer {
    /// Takes in what the server said.
    fn overhear(&mut self, frame: &Frame) {
        let Frame::Packet(packet) = frame else { return };
        match packet.kind {
            Kind::NoJob if self.grab_is_out => {
                (self.grab_is_out, self.answered_with_nothing, self.has_answered) = (false, true, true);
            }
            Kind::Error if self.grab_is_out && !packet.argument(0).eq_ignore_ascii_case(b"JOB_NOT_FOUND") => {
                (self.grab_is_out, self.was_refused, self.answered_with_nothing) = (false, true, true);
                self.asked = None;
            }
            Kind::Noop => self.asleep = false,
            Kind::StatusRes if self.ended.as_ref() == Some(packet.argument(0)) => self.has_answered = true,
            Kind::JobAssign | Kind::JobAssignUniq | Kind::JobAssignAll if self.grab_is_out || self.was_refused => {
                (self.grab_is_out, self.was_refused, self.answered_with_nothing) = (false, false, false);
                self.has_answered = true;
                self.assignments.push_back(packet.argument(0).clone());
            }
            _ => {}
        }
    }

    /// Takes in what the worker said.
    fn see(&mut self, packet: &Packet, leased: bool) {
        let argument = || packet.argument(0).clone();
        assert_ne!(self.greeting, Greeting::Absent, "spoke without a connection");
        match packet.kind {
            Kind::SetClientId => {
                assert_eq!(self.greeting, Greeting::Due, "named itself late or twice");
                self.greeting = Greeting::Named;
                return;
            }
            Kind::ResetAbilities => {
                assert!(self.greeting >= Greeting::Named, "began without a name");
                assert!(self.running.is_none(), "reset while a job runs");
                assert!(!self.grab_is_out, "reset while a job may be on its way");
                assert!(self.greeting == Greeting::Named || !self.offered.is_empty(), "reset nothing");
                self.offered.clear();
                self.greeting = Greeting::Done;
                return;
            }
            _ => assert_eq!(self.greeting, Greeting::Done, "{packet:?} before the beginning"),
        }
        match packet.kind {
            Kind::CanDo => assert!(self.offered.insert(argument()), "offered twice: {packet:?}"),
            Kind::CantDo => {
                assert!(self.offered.remove(&argument()), "withdrew what was not offered: {packet:?}");
                assert!(!self.grab_is_out, "withdrew while a job may be on its way");
                assert!(self.running.as_ref().is_none_or(|(_, of)| *of != argument()), "withdrew {packet:?}");
            }
            Kind::GrabJobUniq => {
                assert!(leased, "grabbed without a lease");
                assert!(!self.grab_is_out, "two grabs under way");
                assert!(self.running.is_none(), "grabbed while a job runs");
                assert!(!self.offered.is_empty(), "grabbed without a function");
                (self.grab_is_out, self.was_refused) = (true, false);
                self.ask(packet.kind);
                (self.asleep, self.answered_with_nothing) = (false, false);
            }
            Kind::PreSleep => {
                assert!(leased, "slept without a lease");
                assert!(self.answered_with_nothing, "slept without having heard that there is nothing");
                assert!(self.running.is_none(), "slept while a job runs");
                (self.asleep, self.answered_with_nothing) = (true, false);
            }
            Kind::WorkData | Kind::WorkWarning | Kind::WorkStatus => {
                assert_eq!(self.running.as_ref().map(|(handle, _)| handle.clone()), Some(argument()), "not its job");
            }
            Kind::WorkComplete | Kind::WorkFail | Kind::WorkException => {
                assert_eq!(self.running.take().map(|(handle, _)| handle), Some(argument()), "ended what does not run");
                (self.ended, self.asked, self.has_answered) = (Some(argument()), None, false);
            }
            Kind::GetStatus => {
                assert_eq!(self.ended.as_ref(), Some(packet.argument(0)), "asked about another job");
                assert_eq!(self.asked, None, "asked twice");
                self.ask(packet.kind);
            }
            _ => panic!("sent {packet:?}"),
        }
    }

    /// The server has to answer what the worker says now.
    fn ask(&mut self, kind: Kind) {
        if self.ended.is_some() && self.asked.is_none() {
            (self.asked, self.has_answered) = (Some(kind), false);
        }
    }

    /// Once everything is written, both sides believe the same.
    fn agrees_with(&self, session: &Session, desired: &BTreeSet<Bytes>) {
        assert_eq!(self.offered, **session.functions());
        assert_eq!(self.grab_is_out, session.is_grabbing());
        assert_eq!(self.grab_is_out || self.ended.is_some(), session.awaits_answer());
        assert_eq!(self.running.as_ref().map(|(handle, _)| handle), session.job().map(|job| &job.handle));
        assert_eq!(self.ended.is_some(), self.asked.is_some(), "nothing follows a terminal packet that is answered");
        if self.greeting == Greeting::Done && !self.grab_is_out && self.running.is_none() {
            assert_eq!(self.offered, *desired, "an idle worker owes nothing");
            let is_up_for_work = self.asleep || !session.is_leased() || self.offered.is_empty();
            assert!(is_up_for_work, "a leased worker neither asks nor sleeps");
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    #[test]
    fn real_servers_bring_no_session_to_break_a_rule() {
        assert!(crate::gearman::steps::play_seeds("session", super::play) > 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn no_conversation_breaks_a_rule(input in prop::collection::vec(any::<u8>(), 0..200)) {
            super::play(&input);
        }
    }
}
