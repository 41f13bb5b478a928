//! What the server knows and how it answers: a request in, what to send to whom out.
//!
//! It follows what gearmand 1.1.20 can be seen to do, but for a few things that it does to nobody's benefit; each is
//! named where it differs, and all together in docs/gearman-server.md. Nothing here reads a socket, a file or a clock,
//! so that every rule can be tested as a conversation: the time is told, and what is to be stored is handed out.
//!
//! - `submit`: a client's side (submit, coalesce, ask for a job's status)
//! - `work`: a worker's side (register, sleep, grab, report, hand back)
//! - `text`: the administrator's side
//! - `due`: what happens because time passes
//! - `keeping`: what outlives the server

use std::net::IpAddr;

use super::due::{Clock, Due};
use super::function::Functions;
use super::idset::IdSet;
use super::job::{JobId, Jobs, Stage};
use super::keeping::Keeping;
use super::peer::{ConnectionId, OutputLimits, Peer, Peers};
use super::queue::Place;
use super::request::{Packet, Request};
use crate::gearman::{Kind, Magic, Priority};

/// gearmand keeps 128 bytes, the last of them for a NUL.
const MAX_CLIENT_ID: usize = 127;

#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// Handles are `<prefix>:<number>`.
    pub(super) handle_prefix: String,
    pub(super) version: String,
    pub(super) process: u32,
    /// What `verbose` answers.
    pub(super) verbosity: String,
    pub(super) job_retries: Option<u32>,
    /// The functions of a worker take turns; else its oldest job comes first.
    pub(super) round_robin: bool,
    /// How many sleepers a job wakes.
    pub(super) wake_at_most: usize,
    /// Clients need not ask for exceptions.
    pub(super) exceptions: bool,
    /// There is a store: what it has to keep is acknowledged when it says that it does.
    pub(super) keeps_jobs: bool,
    pub(super) max_jobs: usize,
    pub(super) max_job_bytes: usize,
    pub(super) max_functions: usize,
    pub(super) output: OutputLimits,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) settings: Settings,
    pub(super) peers: Peers,
    /// Those that sleep and were not sent a NOOP since.
    pub(super) wakeable: IdSet,
    pub(super) functions: Functions,
    pub(super) jobs: Jobs,
    pub(super) due: Due,
    pub(super) keeping: Keeping,
    /// The server is told to stop: workers leave because they have to.
    pub(super) is_closing: bool,
    last_place: Place,
}

impl State {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            peers: Peers::new(settings.output),
            wakeable: IdSet::new(),
            functions: Functions::new(settings.max_functions),
            jobs: Jobs::new(&settings.handle_prefix),
            due: Due::default(),
            keeping: Keeping::default(),
            is_closing: false,
            last_place: 0,
            settings,
        }
    }

    /// Tells the time at which everything happens until it is told again.
    pub(super) fn set_clock(&mut self, now: Clock) {
        self.due.now = now;
    }

    pub(super) fn connected(&mut self, id: ConnectionId, host: IpAddr) {
        self.peers.insert(id, host, self.settings.exceptions);
    }

    pub(super) fn disconnected(&mut self, id: ConnectionId) {
        self.wakeable.remove(id.0);
        let Some(peer) = self.peers.remove(id) else { return };
        let Peer { functions, watching, running, .. } = *peer;
        for function in functions.iter() {
            self.workers_of(function).remove(id.0);
        }
        for job in watching {
            self.stop_watching(id, job);
        }
        for job in running {
            self.hand_back(job);
        }
    }

    /// Answers one request of a connection.
    pub(super) fn handle(&mut self, id: ConnectionId, request: &Request<'_>) {
        if self.peers.find(id).is_none() {
            return;
        }
        match request {
            Request::Packet(packet) => self.packet(id, packet),
            Request::Line(line) => self.text(id, line),
            Request::Unknown => self.peers.close(id),
        }
    }

    fn packet(&mut self, id: ConnectionId, packet: &Packet<'_>) {
        if packet.magic == Magic::Response {
            return self.refuse(id, "INVALID_MAGIC", "Request magic expected");
        }
        if let Some((priority, background)) = Priority::from_submit(packet.kind) {
            return self.submit_plain(id, packet, priority, background);
        }
        match packet.kind {
            Kind::SubmitReduceJob => self.submit_reduce(id, packet, false),
            Kind::SubmitReduceJobBackground => self.submit_reduce(id, packet, true),
            Kind::SubmitJobEpoch => self.submit_epoch(id, packet),
            Kind::GetStatus => self.get_status(id, before_nul(packet.argument(0))),
            Kind::GetStatusUnique => self.get_status_unique(id, before_nul(packet.argument(0))),
            Kind::OptionReq => self.set_option(id, packet.argument(0)),

            Kind::CanDo => self.can_do(id, before_nul(packet.argument(0)), 0),
            Kind::CanDoTimeout => self.can_do_timeout(id, packet.argument(0), packet.argument(1)),
            Kind::CantDo => self.cant_do(id, before_nul(packet.argument(0))),
            Kind::ResetAbilities => self.reset_abilities(id),
            Kind::PreSleep => self.pre_sleep(id),
            Kind::GrabJob | Kind::GrabJobUniq | Kind::GrabJobAll => self.grab(id, packet.kind),
            Kind::WorkData | Kind::WorkWarning | Kind::WorkStatus => self.work_update(id, packet),
            Kind::WorkComplete | Kind::WorkFail | Kind::WorkException => self.work_end(id, packet),

            Kind::SetClientId => self.set_client_id(id, packet.argument(0)),
            Kind::EchoReq => self.peers.send(id, Kind::EchoRes, &[packet.argument(0)]),
            _ => self.refuse(id, "INVALID_COMMAND", "Command not expected"),
        }
    }

    fn set_client_id(&mut self, id: ConnectionId, name: &[u8]) {
        self.peers.at(id).client_id = name[..name.len().min(MAX_CLIENT_ID)].into();
    }

    fn set_option(&mut self, id: ConnectionId, option: &[u8]) {
        if !option.eq_ignore_ascii_case(b"exceptions") {
            return self.refuse(id, "UNKNOWN_OPTION", "Server does not recognize given option");
        }
        self.peers.at(id).wants_exceptions = true;
        self.peers.send(id, Kind::OptionRes, &[option]);
    }

    pub(super) fn refuse(&mut self, id: ConnectionId, code: &str, text: &str) {
        self.peers.send(id, Kind::Error, &[code.as_bytes(), text.as_bytes()]);
    }

    pub(super) fn next_place(&mut self) -> Place {
        self.last_place += 1;
        self.last_place
    }

    /// Tells everyone who waits for the job, once for each of their submissions.
    pub(super) fn tell_watchers(&mut self, id: JobId, kind: Kind, arguments: &[&[u8]]) {
        for &watcher in &self.jobs.at(id).watchers {
            self.peers.send(watcher, kind, arguments);
        }
    }

    pub(super) fn tell_watchers_of_failure(&mut self, id: JobId) {
        let handle = self.jobs.handle(self.jobs.at(id).number);
        self.tell_watchers(id, Kind::WorkFail, &[handle.as_ref()]);
    }

    /// Forgets a job wherever it is noted.
    pub(super) fn remove_job(&mut self, id: JobId) {
        self.clear_watchers(id);
        self.forget_in_store(id);
        self.leave_stage(id);
        if let Some(job) = self.jobs.remove(id) {
            self.functions.get_mut(job.function).total -= 1;
        }
    }

    /// Takes a job out of wherever it stands; it has to be put somewhere else, or removed.
    pub(super) fn leave_stage(&mut self, id: JobId) {
        let job = self.jobs.at(id);
        match job.stage {
            Stage::Storing { .. } => {}
            Stage::Due(when) => self.due.cancel_epoch(when, id),
            Stage::Waiting(_) => self.functions.dequeue(&mut self.jobs, id),
            Stage::Running(worker) => {
                self.functions.get_mut(job.function).running -= 1;
                self.due.cancel_limit(id);
                if let Some(peer) = self.peers.find_mut(worker) {
                    peer.running.remove(&id);
                }
            }
        }
    }

    pub(super) fn clear_watchers(&mut self, id: JobId) {
        for watcher in std::mem::take(&mut self.jobs.at_mut(id).watchers) {
            if let Some(peer) = self.peers.find_mut(watcher) {
                peer.watching.remove(&id);
            }
        }
    }
}

/// Cuts what cannot stand in an answer: there it would end the argument early.
fn before_nul(argument: &[u8]) -> &[u8] {
    argument.split(|&byte| byte == 0).next().unwrap_or_default()
}
