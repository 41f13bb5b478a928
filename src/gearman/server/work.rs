//! A worker's side of the server.
//!
//! Where it differs from gearmand: a function registered twice on a connection counts once; among jobs of one priority
//! the oldest of all the worker's functions comes first; a job that was cancelled while it runs tells its clients
//! nothing more; handles are sent without a trailing NUL. CAN_DO_TIMEOUT registers, but its time is not watched.

use bytes::Bytes;

use super::function::FunctionId;
use super::job::{JobNumber, Stage};
use super::queue::Place;
use super::state::{ConnectionId, State};
use super::submit::MAX_FUNCTION_NAME;
use crate::gearman::{Kind, Packet, Priority};

impl State {
    /// Registers a function. Never answered, not even by a NOOP if a job waits: a worker grabs after registering.
    pub(super) fn can_do(&mut self, worker: ConnectionId, name: &Bytes) {
        if name.len() > MAX_FUNCTION_NAME {
            return self.refuse(worker, "ARGUMENT_TOO_LARGE", "Function name too large");
        }
        let Some(function) = self.functions.find_or_create(name) else {
            return self.refuse(worker, "QUEUE_ERROR", "Too many functions");
        };
        self.functions.get_mut(function).workers.insert(worker);
        self.connection(worker).functions.insert(function);
    }

    pub(super) fn cant_do(&mut self, worker: ConnectionId, name: &Bytes) {
        if let Some(function) = self.functions.find(name)
            && self.connection(worker).functions.remove(&function)
        {
            self.withdraw(worker, function);
        }
    }

    pub(super) fn reset_abilities(&mut self, worker: ConnectionId) {
        for function in std::mem::take(&mut self.connection(worker).functions) {
            self.withdraw(worker, function);
        }
    }

    /// Takes a connection off a function and its running jobs of that function away from it, as gearmand does.
    fn withdraw(&mut self, worker: ConnectionId, function: FunctionId) {
        self.functions.get_mut(function).workers.remove(&worker);
        let running = self.connection(worker).running.clone();
        for number in running {
            if self.jobs.get(number).is_some_and(|job| job.function == function) {
                self.hand_back(number);
            }
        }
    }

    /// Puts a worker to sleep, or wakes it at once if a job waits for it: it may have come in the meantime.
    pub(super) fn pre_sleep(&mut self, worker: ConnectionId) {
        if self.next_job(worker).is_some() {
            return self.reply(worker, Packet::response(Kind::Noop, []));
        }
        let connection = self.connection(worker);
        connection.asleep = true;
        if !connection.noop_sent {
            self.wakeable.insert(worker);
        }
    }

    pub(super) fn grab(&mut self, worker: ConnectionId, how: Kind) {
        self.wakeable.remove(&worker);
        let connection = self.connection(worker);
        connection.asleep = false;
        connection.noop_sent = false;
        let Some(number) = self.next_job(worker) else {
            return self.reply(worker, Packet::response(Kind::NoJob, []));
        };
        let assignment = self.assign(worker, number, how);
        if let Some(packet) = assignment {
            self.reply(worker, packet);
        }
    }

    fn next_job(&self, worker: ConnectionId) -> Option<JobNumber> {
        self.functions.next_among(&self.connections.get(&worker)?.functions)
    }

    fn assign(&mut self, worker: ConnectionId, number: JobNumber, how: Kind) -> Option<Packet> {
        let job = self.jobs.get_mut(number)?;
        let Stage::Waiting(place) = std::mem::replace(&mut job.stage, Stage::Running(worker)) else { return None };
        let (handle, unique, payload) = (job.handle.clone(), job.unique.clone(), job.payload.clone());
        let (reducer, priority, id) = (job.reducer.clone(), job.priority, job.function);

        let function = self.functions.get_mut(id);
        function.queue.remove(priority, place);
        function.running += 1;
        let name = function.name.clone();
        self.functions.note_head(id);
        self.connection(worker).running.insert(number);

        Some(match how {
            Kind::GrabJob => Packet::response(Kind::JobAssign, [handle, name, payload]),
            Kind::GrabJobAll if !reducer.is_empty() => {
                Packet::response(Kind::JobAssignAll, [handle, name, unique, reducer, payload])
            }
            _ => Packet::response(Kind::JobAssignUniq, [handle, name, unique, payload]),
        })
    }

    /// Makes a job wait at a place, and wakes who sleeps and could run it.
    pub(super) fn enqueue(&mut self, number: JobNumber, function: FunctionId, priority: Priority, place: Place) {
        let row = self.functions.get_mut(function);
        row.queue.insert(priority, place, number);
        let woken: Vec<ConnectionId> = if row.workers.len() < self.wakeable.len() {
            row.workers.iter().copied().filter(|worker| self.wakeable.contains(worker)).collect()
        } else {
            self.wakeable.iter().copied().filter(|worker| row.workers.contains(worker)).collect()
        };
        self.functions.note_head(function);
        for worker in woken {
            self.wakeable.remove(&worker);
            self.connection(worker).noop_sent = true;
            self.reply(worker, Packet::response(Kind::Noop, []));
        }
    }

    /// Takes a running job from its worker: it waits again, at the end and under the same handle, or fails.
    pub(super) fn hand_back(&mut self, number: JobNumber) {
        let Some(job) = self.jobs.get_mut(number) else { return };
        let Stage::Running(worker) = job.stage else { return };
        job.retries += 1;
        job.numerator = 0;
        job.denominator = 0;
        let is_worn_out = self.settings.job_retries.is_some_and(|limit| job.retries >= limit);
        if is_worn_out || job.cancelled || job.is_abandoned() {
            self.tell_watchers_of_failure(number);
            return self.remove_job(number);
        }
        let (function, priority) = (job.function, job.priority);
        let place = self.next_place();
        if let Some(job) = self.jobs.get_mut(number) {
            job.stage = Stage::Waiting(place);
        }
        self.functions.get_mut(function).running -= 1;
        if let Some(connection) = self.connections.get_mut(&worker) {
            connection.running.remove(&number);
        }
        self.enqueue(number, function, priority, place);
    }

    pub(super) fn work_update(&mut self, worker: ConnectionId, packet: &Packet) {
        let Some(number) = self.held_by(worker, packet.argument(0)) else {
            let text = match packet.kind {
                Kind::WorkStatus => "Job given in work result not found",
                _ => "Job does not exist on server",
            };
            return self.refuse(worker, "JOB_NOT_FOUND", text);
        };
        let Some(job) = self.jobs.get_mut(number) else { return };
        let handle = job.handle.clone();
        let update = if packet.kind == Kind::WorkStatus {
            job.numerator = whole_number(packet.argument(1));
            job.denominator = whole_number(packet.argument(2));
            Packet::response(Kind::WorkStatus, [handle, packet.argument(1).clone(), packet.argument(2).clone()])
        } else {
            Packet::response(packet.kind, [handle, packet.argument(1).clone()])
        };
        self.tell_watchers(number, |_| update.clone());
    }

    pub(super) fn work_end(&mut self, worker: ConnectionId, packet: &Packet) {
        let Some(number) = self.held_by(worker, packet.argument(0)) else {
            return self.refuse(worker, "JOB_NOT_FOUND", "Job given in work result not found");
        };
        let Some(job) = self.jobs.get(number) else { return };
        let handle = job.handle.clone();
        match packet.kind {
            Kind::WorkFail => self.tell_watchers_of_failure(number),
            Kind::WorkException => self.tell_watchers(number, |client| {
                if client.wants_exceptions {
                    Packet::response(Kind::WorkException, [handle.clone(), packet.argument(1).clone()])
                } else {
                    Packet::response(Kind::WorkFail, [handle.clone()])
                }
            }),
            kind => {
                self.tell_watchers(number, |_| Packet::response(kind, [handle.clone(), packet.argument(1).clone()]));
            }
        }
        self.remove_job(number);
    }

    /// Finds a job by its handle if this connection runs it.
    fn held_by(&self, worker: ConnectionId, handle: &[u8]) -> Option<JobNumber> {
        // Some workers count a string's NUL.
        let handle = handle.strip_suffix(b"\0").unwrap_or(handle);
        let number = self.jobs.find(handle)?;
        (self.jobs.get(number)?.stage == Stage::Running(worker)).then_some(number)
    }
}

/// Reads a number for those who ask later; the packet itself is passed on as it came.
fn whole_number(text: &[u8]) -> u32 {
    std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}
