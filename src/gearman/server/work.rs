//! A worker's side of the server.
//!
//! Where it differs from gearmand: a function registered twice on a connection counts once; among jobs of one priority
//! the oldest of all the worker's functions comes first (gearmand serves the function that was registered last until
//! nothing waits for it); a job that was cancelled while it runs tells its clients nothing more; handles are sent
//! without a trailing NUL.

use super::function::FunctionId;
use super::job::{JobId, Stage};
use super::peer::ConnectionId;
use super::request::Packet;
use super::state::State;
use super::submit::MAX_FUNCTION_NAME;
use crate::gearman::Kind;

/// gearmand gives a worker at least a second.
const LEAST_LIMIT: u32 = 1000;

impl State {
    /// Registers a function. Never answered, not even by a NOOP if a job waits: a worker grabs after registering.
    ///
    /// `limit` is how many milliseconds a job of it may take, 0 for as long as it wants; the last registration counts.
    pub(super) fn can_do(&mut self, worker: ConnectionId, name: &[u8], limit: u32) {
        if name.len() > MAX_FUNCTION_NAME {
            return self.refuse(worker, "ARGUMENT_TOO_LARGE", "Function name too large");
        }
        let Some(FunctionId(function)) = self.functions.find_or_create(name) else {
            return self.refuse(worker, "QUEUE_ERROR", "Too many functions");
        };
        self.workers_of(function).insert(worker.0);
        let peer = self.peers.at(worker);
        peer.functions.insert(function);
        peer.set_limit(function, limit);
    }

    /// Registers a function with a time limit in milliseconds, as gearmand reads it; the protocol's document says
    /// seconds.
    pub(super) fn can_do_timeout(&mut self, worker: ConnectionId, name: &[u8], limit: &[u8]) {
        let limit = match leading_number(limit) {
            0 => 0,
            given => u32::try_from(given).unwrap_or(u32::MAX).max(LEAST_LIMIT),
        };
        self.can_do(worker, name, limit);
    }

    pub(super) fn cant_do(&mut self, worker: ConnectionId, name: &[u8]) {
        if let Some(function) = self.functions.find(name)
            && self.peers.at(worker).functions.remove(function.0)
        {
            self.withdraw(worker, function);
        }
    }

    pub(super) fn reset_abilities(&mut self, worker: ConnectionId) {
        let functions = std::mem::replace(&mut self.peers.at(worker).functions, super::idset::IdSet::new());
        for function in functions.iter() {
            self.withdraw(worker, FunctionId(function));
        }
    }

    /// Takes a connection off a function and its running jobs of that function away from it, as gearmand does.
    fn withdraw(&mut self, worker: ConnectionId, function: FunctionId) {
        self.workers_of(function.0).remove(worker.0);
        let peer = self.peers.at(worker);
        peer.set_limit(function.0, 0);
        if peer.running.is_empty() || self.functions.get(function).running == 0 {
            return;
        }
        for id in self.peers.at(worker).running.clone() {
            if self.jobs.at(id).function == function {
                self.hand_back(id);
            }
        }
    }

    pub(super) fn workers_of(&mut self, function: u32) -> &mut super::idset::IdSet {
        &mut self.functions.get_mut(FunctionId(function)).workers
    }

    /// Puts a worker to sleep, or wakes it at once if a job waits for it: it may have come in the meantime.
    pub(super) fn pre_sleep(&mut self, worker: ConnectionId) {
        if self.next_job(worker).is_some() {
            // If it said so before: it is awake from now on, and another NOOP would tell it nothing.
            let peer = self.peers.at(worker);
            if peer.asleep && !std::mem::replace(&mut peer.noop_sent, true) {
                self.wakeable.remove(worker.0);
            }
            return self.peers.send(worker, Kind::Noop, &[]);
        }
        let peer = self.peers.at(worker);
        peer.asleep = true;
        if !peer.noop_sent {
            self.wakeable.insert(worker.0);
        }
    }

    pub(super) fn grab(&mut self, worker: ConnectionId, how: Kind) {
        let peer = self.peers.at(worker);
        if std::mem::take(&mut peer.asleep) && !peer.noop_sent {
            self.wakeable.remove(worker.0);
        }
        self.peers.at(worker).noop_sent = false;
        match self.next_job(worker) {
            Some(id) => self.assign(worker, id, how),
            None => self.peers.send(worker, Kind::NoJob, &[]),
        }
    }

    fn next_job(&self, worker: ConnectionId) -> Option<JobId> {
        let peer = self.peers.find(worker)?;
        if self.settings.round_robin {
            return self.functions.next_in_turn(&peer.functions, FunctionId(peer.last_function));
        }
        self.functions.next_among(&peer.functions)
    }

    fn assign(&mut self, worker: ConnectionId, id: JobId, how: Kind) {
        self.functions.dequeue(&mut self.jobs, id);
        let job = self.jobs.at_mut(id);
        job.stage = Stage::Running(worker);
        let function = self.functions.get_mut(job.function);
        function.running += 1;
        let peer = self.peers.at(worker);
        peer.running.insert(id);
        peer.last_function = job.function.0;
        if let Some(limit) = peer.limit(job.function.0) {
            self.due.add_limit(limit, id);
        }
        let job = self.jobs.at(id);
        let handle = self.jobs.handle(job.number);
        let (handle, name) = (handle.as_ref(), &*function.name);
        match how {
            Kind::GrabJob => self.peers.send(worker, Kind::JobAssign, &[handle, name, job.payload()]),
            Kind::GrabJobAll if !job.reducer().is_empty() => {
                let arguments = [handle, name, job.unique(), job.reducer(), job.payload()];
                self.peers.send(worker, Kind::JobAssignAll, &arguments);
            }
            _ => self.peers.send(worker, Kind::JobAssignUniq, &[handle, name, job.unique(), job.payload()]),
        }
    }

    /// Makes a job wait behind all others, and wakes who sleeps and could run it.
    pub(super) fn enqueue(&mut self, id: JobId) {
        let place = self.next_place();
        self.functions.enqueue(&mut self.jobs, id, place);
        if self.wakeable.len() == 0 {
            return;
        }
        let workers = &self.functions.get(self.jobs.at(id).function).workers;
        for worker in workers.common(&self.wakeable, self.settings.wake_at_most) {
            self.wakeable.remove(worker);
            let worker = ConnectionId(worker);
            self.peers.at(worker).noop_sent = true;
            self.peers.send(worker, Kind::Noop, &[]);
        }
    }

    /// Takes a running job from its worker: it waits again, at the end and under the same handle, or fails.
    pub(super) fn hand_back(&mut self, id: JobId) {
        let job = self.jobs.at_mut(id);
        job.retries += 1;
        job.numerator = 0;
        job.denominator = 0;
        // A stop is no worker's loss: a job that is kept must be there at the next start.
        let is_worn_out = !self.is_closing && self.settings.job_retries.is_some_and(|limit| job.retries >= limit);
        let is_abandoned = job.is_abandoned() && !self.is_being_stored(id);
        if is_worn_out || is_abandoned {
            self.tell_watchers_of_failure(id);
            return self.remove_job(id);
        }
        self.leave_stage(id);
        self.enqueue(id);
    }

    pub(super) fn work_update(&mut self, worker: ConnectionId, packet: &Packet<'_>) {
        let Some(id) = self.held_by(worker, packet.argument(0)) else {
            let text = match packet.kind {
                Kind::WorkStatus => "Job given in work result not found",
                _ => "Job does not exist on server",
            };
            return self.refuse(worker, "JOB_NOT_FOUND", text);
        };
        let job = self.jobs.at_mut(id);
        let number = job.number;
        if packet.kind == Kind::WorkStatus {
            job.numerator = whole_number(packet.argument(1));
            job.denominator = whole_number(packet.argument(2));
        }
        let handle = self.jobs.handle(number);
        if packet.kind == Kind::WorkStatus {
            self.tell_watchers(id, packet.kind, &[handle.as_ref(), packet.argument(1), packet.argument(2)]);
        } else {
            self.tell_watchers(id, packet.kind, &[handle.as_ref(), packet.argument(1)]);
        }
    }

    pub(super) fn work_end(&mut self, worker: ConnectionId, packet: &Packet<'_>) {
        let Some(id) = self.held_by(worker, packet.argument(0)) else {
            let text = match packet.kind {
                Kind::WorkException => "An exception was received for a job that does not exist",
                _ => "Job given in work result not found",
            };
            return self.refuse(worker, "JOB_NOT_FOUND", text);
        };
        let handle = self.jobs.handle(self.jobs.at(id).number);
        let handle = handle.as_ref();
        for &client in &self.jobs.at(id).watchers {
            let is_told_why = || self.peers.find(client).is_some_and(|peer| peer.wants_exceptions);
            match packet.kind {
                Kind::WorkComplete => self.peers.send(client, packet.kind, &[handle, packet.argument(1)]),
                Kind::WorkException if is_told_why() => {
                    self.peers.send(client, packet.kind, &[handle, packet.argument(1)]);
                }
                _ => self.peers.send(client, Kind::WorkFail, &[handle]),
            }
        }
        self.remove_job(id);
    }

    /// Finds a job by its handle if this connection runs it.
    fn held_by(&self, worker: ConnectionId, handle: &[u8]) -> Option<JobId> {
        // Some workers count a string's NUL.
        let handle = handle.strip_suffix(b"\0").unwrap_or(handle);
        let id = self.jobs.find(handle)?;
        (self.jobs.at(id).stage == Stage::Running(worker)).then_some(id)
    }
}

/// Reads a number for those who ask later; the packet itself is passed on as it came.
fn whole_number(text: &[u8]) -> u32 {
    std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

/// Reads as far as there are digits; what is no number, or negative, is none.
fn leading_number(text: &[u8]) -> u64 {
    let digits = text.trim_ascii_start();
    let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].iter().fold(0_u64, |number, digit| number.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
}
