//! Random conversations, watched by somebody who knows only the wire.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Input {
    Connect,
    Disconnect,
    Offer(BTreeSet<Bytes>),
    Grant,
    Revoke,
    Report(Report),
    Answer(Option<&'static str>),
    AnswerStatus,
    Refuse(&'static str),
    Wake,
    Rogue(Kind),
    Write,
}

const FUNCTIONS: [&str; 4] = ["a", "b", "c", "d"];

fn input() -> impl Strategy<Value = Input> {
    let function = prop::sample::select(vec!["a", "b", "c", "d", "never offered"]);
    let functions = prop::collection::btree_set(prop::sample::select(&FUNCTIONS[..]).prop_map(Bytes::from), 0..4);
    let report = prop::sample::select(vec![
        Report::Data(Bytes::new()),
        Report::Status { numerator: 1, denominator: -1 },
        Report::Warning(Bytes::new()),
        Report::Complete(Bytes::new()),
        Report::Fail,
        Report::Exception(Bytes::new()),
    ]);
    prop_oneof![
        1 => Just(Input::Connect),
        1 => Just(Input::Disconnect),
        4 => functions.prop_map(Input::Offer),
        3 => Just(Input::Grant),
        2 => Just(Input::Revoke),
        4 => report.prop_map(Input::Report),
        6 => prop::option::weighted(0.6, function).prop_map(Input::Answer),
        3 => Just(Input::AnswerStatus),
        1 => prop::sample::select(vec!["JOB_NOT_FOUND", "INVALID_PACKET"]).prop_map(Input::Refuse),
        3 => Just(Input::Wake),
        1 => prop::sample::select(Kind::ALL).prop_map(Input::Rogue),
        9 => Just(Input::Write),
    ]
}

/// What a server sees of a worker, and what it must never see.
#[derive(Debug, Default)]
struct Observer {
    greeted: bool,
    offered: BTreeSet<Bytes>,
    grab_is_out: bool,
    asleep: bool,
    answered_with_nothing: bool,
    running: Option<(Bytes, Bytes)>,
    /// The job that has ended, as long as the server has answered nothing that came after its terminal packet.
    ended: Option<Bytes>,
    /// What came after it and has to be answered.
    asked: Option<Kind>,
    jobs: u32,
}

impl Observer {
    fn see(&mut self, packet: &Packet, leased: bool) {
        let argument = || packet.argument(0).clone();
        match packet.kind {
            Kind::SetClientId => assert!(!self.greeted, "greeted twice"),
            Kind::ResetAbilities => {
                assert!(self.running.is_none(), "reset while a job runs");
                assert!(!self.grab_is_out, "reset while a job may be on its way");
                self.offered.clear();
                self.greeted = true;
            }
            Kind::CanDo => assert!(self.offered.insert(argument()), "offered twice: {packet:?}"),
            Kind::CantDo => {
                assert!(self.offered.remove(&argument()), "withdrew what was not offered: {packet:?}");
                assert!(!self.grab_is_out, "withdrew while a job may be on its way");
                assert!(
                    self.running.as_ref().is_none_or(|(_, function)| *function != argument()),
                    "withdrew {packet:?}"
                );
            }
            Kind::GrabJobUniq => {
                assert!(leased, "grabbed without a lease");
                assert!(!self.grab_is_out, "two grabs under way");
                assert!(self.running.is_none(), "grabbed while a job runs");
                assert!(!self.offered.is_empty(), "grabbed without a function");
                (self.grab_is_out, self.asleep, self.answered_with_nothing) = (true, false, false);
                self.asked = self.asked.or(self.ended.is_some().then_some(packet.kind));
            }
            Kind::GetStatus => {
                assert_eq!(self.ended.as_ref(), Some(packet.argument(0)), "asked about another job");
                assert_eq!(self.asked, None, "asked twice");
                self.asked = Some(packet.kind);
            }
            Kind::PreSleep => {
                assert!(leased, "slept without a lease");
                assert!(self.answered_with_nothing, "slept without having heard NO_JOB");
                (self.asleep, self.answered_with_nothing) = (true, false);
            }
            Kind::WorkData | Kind::WorkWarning | Kind::WorkStatus => {
                assert_eq!(self.running.as_ref().map(|(handle, _)| handle.clone()), Some(argument()));
            }
            Kind::WorkComplete | Kind::WorkFail | Kind::WorkException => {
                assert_eq!(self.running.take().map(|(handle, _)| handle), Some(argument()));
                (self.ended, self.asked) = (Some(argument()), None);
            }
            kind => panic!("sent {}", kind.name()),
        }
    }

    fn write(&mut self, session: &mut Session) {
        for packet in session.take_packets() {
            assert!(self.greeted || matches!(packet.kind, Kind::SetClientId | Kind::ResetAbilities));
            self.see(&packet, session.is_leased());
        }
        assert_eq!(self.offered, **session.functions());
        assert_eq!(self.grab_is_out, session.is_grabbing());
        assert_eq!(self.ended.is_some(), self.asked.is_some(), "nothing follows a terminal packet that is answered");
        if self.greeted && !self.grab_is_out && self.running.is_none() {
            assert_eq!(self.offered, *session.desired, "an idle worker owes nothing");
            let is_up_for_work = self.asleep || !session.is_leased() || self.offered.is_empty();
            assert!(is_up_for_work, "a leased worker neither asks nor sleeps");
        }
    }

    fn forget(&mut self) {
        *self = Self { jobs: self.jobs, ..Self::default() };
    }
}

fn play(inputs: Vec<Input>) {
    let mut session = Session::new("id");
    let mut observer = Observer::default();
    for input in inputs {
        let response = |kind, arguments: &[&str]| {
            let arguments = arguments.iter().map(|argument| Bytes::copy_from_slice(argument.as_bytes()));
            Frame::Packet(Packet::from_parts(Magic::Response, kind, arguments.collect()))
        };
        match input {
            Input::Connect => {
                observer.forget();
                session.connected();
            }
            Input::Disconnect => {
                observer.forget();
                session.disconnected();
            }
            Input::Offer(functions) => session.offer(functions),
            Input::Grant => session.grant(),
            Input::Revoke => {
                let grab_is_out = session.is_grabbing();
                assert_eq!(session.revoke() == Revocation::AwaitGrab, grab_is_out);
            }
            Input::Report(report) => {
                let was_running = session.job().is_some();
                assert_eq!(session.report(report), was_running);
            }
            Input::Answer(Some(function)) if observer.grab_is_out => {
                observer.jobs += 1;
                let handle = format!("H:{}", observer.jobs);
                session.receive(response(Kind::JobAssignUniq, &[&handle, function, "u", "p"]));
                observer.grab_is_out = false;
                observer.running = Some((handle.into(), function.into()));
            }
            Input::Answer(None) if observer.grab_is_out => {
                session.receive(response(Kind::NoJob, &[]));
                (observer.grab_is_out, observer.answered_with_nothing) = (false, true);
            }
            Input::Answer(_) => {}
            Input::AnswerStatus if observer.asked == Some(Kind::GetStatus) => {
                let handle = observer.ended.clone().unwrap();
                session.receive(response(Kind::StatusRes, &[&String::from_utf8_lossy(&handle), "0", "0", "0", "0"]));
                assert!(!session.awaits_answer() || session.is_grabbing());
            }
            Input::AnswerStatus => {}
            Input::Refuse(code) => {
                session.receive(response(Kind::Error, &[code, "text"]));
                if code != "JOB_NOT_FOUND" && observer.grab_is_out {
                    (observer.grab_is_out, observer.answered_with_nothing) = (false, true);
                    observer.asked = None;
                }
            }
            Input::Wake => {
                session.receive(response(Kind::Noop, &[]));
                observer.asleep = false;
            }
            Input::Rogue(Kind::Error | Kind::NoJob | Kind::Noop) => {}
            Input::Rogue(kind) if kind.name().starts_with("JOB_ASSIGN") && observer.grab_is_out => {}
            Input::Rogue(kind) => session.receive(response(kind, &vec!["x"; kind.arguments().len()])),
            Input::Write => observer.write(&mut session),
        }
        let mut violated = false;
        while let Some(event) = session.next_event() {
            match event {
                Event::Violated(_) => violated = true,
                Event::Assigned(job) => {
                    // A rogue assignment may pass for the late answer to a refused grab.
                    observer.running = Some((job.handle, job.function));
                    observer.answered_with_nothing = false;
                }
                Event::Delivered { handle } => {
                    assert!(observer.asked.take().is_some(), "called delivered without an answer");
                    assert_eq!(observer.ended.take(), Some(handle));
                }
                Event::Woken | Event::Revoked => assert!(!session.is_leased()),
                Event::Refused { .. } => {}
            }
        }
        if violated {
            observer.forget();
            session.disconnected();
        }
    }
    observer.write(&mut session);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_conversation_breaks_a_rule(inputs in prop::collection::vec(input(), 0..80)) {
        play(inputs);
    }
}
