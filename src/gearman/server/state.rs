//! What the server knows and how it answers: a packet or a line of text in, what to send to whom out.
//!
//! It follows what gearmand 1.1.20 can be seen to do, but for a few things that it does to nobody's benefit; each is
//! named where it differs. Nothing here reads a socket or a clock, so that every rule can be tested as a conversation.
//!
//! - `submit`: a client's side (submit, coalesce, ask for a job's status)
//! - `work`: a worker's side (register, sleep, grab, report, hand back)
//! - `text`: the administrator's side

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::function::{FunctionId, Functions};
use super::job::{JobNumber, Jobs, Stage};
use super::queue::Place;
use crate::gearman::codec::Frame;
use crate::gearman::{Kind, Magic, Packet, Priority};

/// gearmand keeps 128 bytes, the last of them for a NUL.
const MAX_CLIENT_ID: usize = 127;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConnectionId(pub(super) u64);

/// What the core wants done.
#[derive(Debug)]
pub(super) enum Action {
    Send(ConnectionId, Packet),
    Text(ConnectionId, Bytes),
    /// After what was sent before it has gone out.
    Close(ConnectionId),
}

#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) host: String,
    pub(super) version: String,
    pub(super) process: u32,
    pub(super) job_retries: Option<u32>,
    pub(super) max_jobs: usize,
    pub(super) max_job_bytes: usize,
    pub(super) max_functions: usize,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) settings: Settings,
    pub(super) connections: BTreeMap<ConnectionId, Connection>,
    /// Those that sleep and were not sent a NOOP since.
    pub(super) wakeable: BTreeSet<ConnectionId>,
    pub(super) functions: Functions,
    pub(super) jobs: Jobs,
    last_place: Place,
    actions: Vec<Action>,
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) host: String,
    pub(super) client_id: Bytes,
    pub(super) functions: BTreeSet<FunctionId>,
    pub(super) running: BTreeSet<JobNumber>,
    pub(super) watching: BTreeSet<JobNumber>,
    pub(super) asleep: bool,
    /// Stays set until it grabs: one NOOP is enough.
    pub(super) noop_sent: bool,
    pub(super) wants_exceptions: bool,
}

impl State {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            connections: BTreeMap::new(),
            wakeable: BTreeSet::new(),
            functions: Functions::new(settings.max_functions),
            jobs: Jobs::new(&settings.host),
            last_place: 0,
            actions: Vec::new(),
            settings,
        }
    }

    pub(super) fn connected(&mut self, id: ConnectionId, host: String) {
        let connection = Connection {
            host,
            client_id: Bytes::from_static(b"-"),
            functions: BTreeSet::new(),
            running: BTreeSet::new(),
            watching: BTreeSet::new(),
            asleep: false,
            noop_sent: false,
            wants_exceptions: false,
        };
        self.connections.insert(id, connection);
    }

    pub(super) fn disconnected(&mut self, id: ConnectionId) -> Vec<Action> {
        self.wakeable.remove(&id);
        let Some(connection) = self.connections.remove(&id) else { return Vec::new() };
        for function in connection.functions {
            self.functions.get_mut(function).workers.remove(&id);
        }
        for number in connection.watching {
            self.stop_watching(id, number);
        }
        for number in connection.running {
            self.hand_back(number);
        }
        std::mem::take(&mut self.actions)
    }

    /// Answers one frame of a connection.
    pub(super) fn handle(&mut self, id: ConnectionId, frame: Frame) -> Vec<Action> {
        if self.connections.contains_key(&id) {
            match frame {
                Frame::Packet(packet) => self.packet(id, &packet),
                Frame::Line(line) => self.text(id, &line),
                Frame::Unknown { .. } => self.actions.push(Action::Close(id)),
            }
        }
        std::mem::take(&mut self.actions)
    }

    fn packet(&mut self, id: ConnectionId, packet: &Packet) {
        if packet.magic == Magic::Response {
            return self.refuse(id, "INVALID_MAGIC", "Request magic expected");
        }
        if let Some((priority, background)) = Priority::from_submit(packet.kind) {
            return self.submit_plain(id, packet, priority, background);
        }
        match packet.kind {
            Kind::SubmitReduceJob => self.submit_reduce(id, packet, false),
            Kind::SubmitReduceJobBackground => self.submit_reduce(id, packet, true),
            // Nothing here knows the time; a job that never ran would be worse than a refusal.
            Kind::SubmitJobEpoch => self.refuse(id, "QUEUE_ERROR", "Jobs for a later time are not supported"),
            Kind::GetStatus => self.get_status(id, packet.argument(0)),
            Kind::GetStatusUnique => self.get_status_unique(id, packet.argument(0)),
            Kind::OptionReq => self.set_option(id, packet.argument(0)),

            Kind::CanDo | Kind::CanDoTimeout => self.can_do(id, packet.argument(0)),
            Kind::CantDo => self.cant_do(id, packet.argument(0)),
            Kind::ResetAbilities => self.reset_abilities(id),
            Kind::PreSleep => self.pre_sleep(id),
            Kind::GrabJob | Kind::GrabJobUniq | Kind::GrabJobAll => self.grab(id, packet.kind),
            Kind::WorkData | Kind::WorkWarning | Kind::WorkStatus => self.work_update(id, packet),
            Kind::WorkComplete | Kind::WorkFail | Kind::WorkException => self.work_end(id, packet),

            Kind::SetClientId => self.set_client_id(id, packet.argument(0)),
            Kind::EchoReq => self.reply(id, Packet::response(Kind::EchoRes, [packet.argument(0).clone()])),
            _ => self.refuse(id, "INVALID_COMMAND", "Command not expected"),
        }
    }

    fn set_client_id(&mut self, id: ConnectionId, name: &Bytes) {
        let kept = &name[..name.len().min(MAX_CLIENT_ID)];
        self.connection(id).client_id = Bytes::copy_from_slice(kept);
    }

    fn set_option(&mut self, id: ConnectionId, option: &Bytes) {
        if !option.eq_ignore_ascii_case(b"exceptions") {
            return self.refuse(id, "UNKNOWN_OPTION", "Server does not recognize given option");
        }
        self.connection(id).wants_exceptions = true;
        self.reply(id, Packet::response(Kind::OptionRes, [option.clone()]));
    }

    pub(super) fn reply(&mut self, id: ConnectionId, packet: Packet) {
        self.actions.push(Action::Send(id, packet));
    }

    pub(super) fn reply_text(&mut self, id: ConnectionId, text: impl Into<Bytes>) {
        self.actions.push(Action::Text(id, text.into()));
    }

    pub(super) fn refuse(&mut self, id: ConnectionId, code: &'static str, text: &'static str) {
        let arguments = [Bytes::from_static(code.as_bytes()), Bytes::from_static(text.as_bytes())];
        self.reply(id, Packet::response(Kind::Error, arguments));
    }

    pub(super) fn connection(&mut self, id: ConnectionId) -> &mut Connection {
        self.connections.get_mut(&id).expect("frames are taken only from connections that are known")
    }

    pub(super) fn next_place(&mut self) -> Place {
        self.last_place += 1;
        self.last_place
    }

    /// Tells everyone who waits for the job, once for each of their submissions.
    pub(super) fn tell_watchers(&mut self, number: JobNumber, packet_for: impl Fn(&Connection) -> Packet) {
        let Some(job) = self.jobs.get(number) else { return };
        for &watcher in &job.watchers {
            if let Some(connection) = self.connections.get(&watcher) {
                self.actions.push(Action::Send(watcher, packet_for(connection)));
            }
        }
    }

    pub(super) fn tell_watchers_of_failure(&mut self, number: JobNumber) {
        let Some(job) = self.jobs.get(number) else { return };
        let failed = Packet::response(Kind::WorkFail, [job.handle.clone()]);
        self.tell_watchers(number, |_| failed.clone());
    }

    /// Forgets a job wherever it is noted.
    pub(super) fn remove_job(&mut self, number: JobNumber) {
        self.clear_watchers(number);
        let Some(job) = self.jobs.remove(number) else { return };
        let function = self.functions.get_mut(job.function);
        function.total -= 1;
        match job.stage {
            Stage::Waiting(place) => {
                function.queue.remove(job.priority, place);
                self.functions.note_head(job.function);
            }
            Stage::Running(worker) => {
                function.running -= 1;
                if let Some(connection) = self.connections.get_mut(&worker) {
                    connection.running.remove(&number);
                }
            }
        }
    }

    pub(super) fn clear_watchers(&mut self, number: JobNumber) {
        let Some(job) = self.jobs.get_mut(number) else { return };
        for watcher in std::mem::take(&mut job.watchers) {
            if let Some(connection) = self.connections.get_mut(&watcher) {
                connection.watching.remove(&number);
            }
        }
    }
}
