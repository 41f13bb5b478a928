//! What a Gearman server knows of one worker, from the packets that it was sent.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::gearman::codec::Frame;
use crate::gearman::session::{Event, Report, Session};
use crate::gearman::{Kind, Packet};

/// A worker's session and its server, which answers when it is told to.
#[derive(Debug)]
pub(super) struct Ledger {
    session: Session,
    functions: BTreeSet<String>,
    /// It asked for a job and has no answer yet.
    pub(super) asks: bool,
    running: Option<Bytes>,
}

impl Ledger {
    pub(super) fn new(client_id: &str) -> Self {
        let mut session = Session::new(client_id.to_owned());
        session.connected();
        let mut ledger = Self { session, functions: BTreeSet::new(), asks: false, running: None };
        ledger.read();
        ledger
    }

    pub(super) fn functions(&self) -> &BTreeSet<String> {
        &self.functions
    }

    pub(super) fn offer(&mut self, functions: impl Iterator<Item = String>) {
        self.session.offer(functions.map(Bytes::from).collect::<BTreeSet<_>>());
        self.read();
    }

    pub(super) fn lease(&mut self, leased: bool) {
        if leased {
            self.session.grant();
        } else {
            self.session.revoke();
        }
        self.read();
    }

    /// Answers that there is no job.
    pub(super) fn refuse(&mut self) {
        if self.asks {
            self.asks = false;
            self.hear(Packet::response(Kind::NoJob, []));
        }
    }

    /// Wakes a sleeper, since there is a job.
    pub(super) fn wake(&mut self) {
        if self.session.is_asleep() {
            self.hear(Packet::response(Kind::Noop, []));
        }
    }

    /// Answers with a job of a function that the server believes to be offered.
    pub(super) fn assign(&mut self, function: &str) {
        assert!(self.asks && self.functions.contains(function), "the server hands out what it was told");
        self.asks = false;
        let function = Bytes::from(function.to_owned());
        self.running = Some(function.clone());
        self.hear(Packet::response(Kind::JobAssignUniq, [Bytes::from("H:x:1"), function, Bytes::new(), Bytes::new()]));
        assert!(self.session.job().is_some(), "the job is here");
    }

    pub(super) fn complete(&mut self) {
        self.running = None;
        assert!(self.session.report(Report::Complete(Bytes::new())));
        self.read();
    }

    fn hear(&mut self, packet: Packet) {
        self.session.receive(Frame::Packet(packet));
        self.read();
    }

    fn read(&mut self) {
        while let Some(event) = self.session.next_event() {
            assert!(!matches!(event, Event::Violated(_)), "{event:?}");
        }
        for packet in self.session.take_packets() {
            let name = |packet: &Packet| String::from_utf8(packet.argument(0).to_vec()).expect("names here are text");
            match packet.kind {
                Kind::CanDo => assert!(self.functions.insert(name(&packet)), "{packet:?} is offered already"),
                Kind::CantDo => {
                    assert_ne!(self.running.as_ref(), Some(packet.argument(0)), "its job would run twice");
                    assert!(self.functions.remove(&name(&packet)), "{packet:?} was never offered");
                }
                Kind::ResetAbilities => {
                    assert_eq!(self.running, None, "its job would run twice");
                    self.functions.clear();
                }
                Kind::GrabJobUniq => {
                    assert!(!self.asks, "one question at a time");
                    self.asks = true;
                }
                _ => {}
            }
        }
    }
}
