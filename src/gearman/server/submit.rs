//! A client's side of the server.
//!
//! Where it differs from gearmand: a job that anybody submitted in the background survives the clients that joined it
//! (gearmand drops it with the last of them), a job that nobody waits for is dropped at once instead of when a worker
//! next looks at the queue, and a time that is no number is refused instead of taken for the distant past.

use super::job::{Job, JobId, JobNumber, Stage, Submission};
use super::peer::ConnectionId;
use super::request::Packet;
use super::state::State;
use crate::gearman::{Kind, Priority};

/// gearmand's limit for uniques.
const MAX_UNIQUE: usize = 64;

/// Longer names have no use and would be kept for as long as the server runs.
pub(super) const MAX_FUNCTION_NAME: usize = 4096;

/// Each watcher is sent every packet of a job; one client that joins without end must not fill the memory.
const MAX_WATCHERS: usize = 10_000;

impl State {
    pub(super) fn submit_plain(
        &mut self,
        client: ConnectionId,
        packet: &Packet<'_>,
        priority: Priority,
        background: bool,
    ) {
        let submission = Submission {
            function: packet.argument(0),
            unique: packet.argument(1),
            reducer: b"",
            payload: packet.argument(2),
            priority,
            background,
            due: 0,
        };
        self.submit(client, &submission);
    }

    pub(super) fn submit_reduce(&mut self, client: ConnectionId, packet: &Packet<'_>, background: bool) {
        let submission = Submission {
            function: packet.argument(0),
            unique: packet.argument(1),
            reducer: packet.argument(2),
            payload: packet.argument(4),
            priority: Priority::Normal,
            background,
            due: 0,
        };
        self.submit(client, &submission);
    }

    /// Takes a job for a later time: in the background, and of normal priority when its time has come.
    pub(super) fn submit_epoch(&mut self, client: ConnectionId, packet: &Packet<'_>) {
        let Some(due) = epoch(packet.argument(2)) else {
            return self.refuse(client, "INVALID_ARGUMENT", "Epoch is not a number of seconds");
        };
        let submission = Submission {
            function: packet.argument(0),
            unique: packet.argument(1),
            reducer: b"",
            payload: packet.argument(3),
            priority: Priority::Normal,
            background: true,
            due,
        };
        self.submit(client, &submission);
    }

    fn submit(&mut self, client: ConnectionId, submission: &Submission<'_>) {
        if submission.unique.len() > MAX_UNIQUE {
            return self.refuse(client, "ARGUMENT_TOO_LARGE", "Unique value too large");
        }
        if submission.function.len().max(submission.reducer.len()) > MAX_FUNCTION_NAME {
            return self.refuse(client, "ARGUMENT_TOO_LARGE", "Function name too large");
        }
        if let Err(reason) = self.join_or_add(client, submission) {
            self.refuse(client, "QUEUE_ERROR", reason);
        }
    }

    fn join_or_add(&mut self, client: ConnectionId, submission: &Submission<'_>) -> Result<(), &'static str> {
        let Some(function) = self.functions.find_or_create(submission.function) else {
            return Err("Too many functions");
        };
        // Its priority and time stay what they were: joining a job does not move it.
        if let Some(twin) = self.jobs.twin(function, submission.unique, submission.payload) {
            return self.join(client, submission, twin);
        }
        let row = self.functions.get(function);
        let limit = row.max_queue[submission.priority as usize];
        let is_full = (limit > 0 && row.total >= limit)
            || self.jobs.len() >= self.settings.max_jobs
            || self.jobs.bytes().saturating_add(submission.payload.len()) > self.settings.max_job_bytes;
        if is_full {
            return Err("Job queue is full");
        }
        let id = self.jobs.insert(submission, function, self.jobs.last_number() + 1);
        self.functions.get_mut(function).total += 1;
        self.reserve_numbers();
        if submission.background && self.settings.keeps_jobs {
            self.jobs.at_mut(id).background = false;
            self.promise_to_keep(client, id, submission);
            return Ok(());
        }
        self.schedule(id, submission.due);
        self.join(client, submission, id)
    }

    fn join(&mut self, client: ConnectionId, submission: &Submission<'_>, id: JobId) -> Result<(), &'static str> {
        if submission.background && self.settings.keeps_jobs {
            self.promise_to_keep(client, id, submission);
            return Ok(());
        }
        let job = self.jobs.at_mut(id);
        if submission.background {
            job.background = true;
        } else if job.watchers.len() >= MAX_WATCHERS {
            return Err("Too many clients wait for this job");
        } else {
            job.watchers.push(client);
            self.peers.at(client).watching.insert(id);
        }
        let number = self.jobs.at(id).number;
        self.created(client, number);
        Ok(())
    }

    pub(super) fn created(&mut self, client: ConnectionId, number: JobNumber) {
        let handle = self.jobs.handle(number);
        self.peers.send(client, Kind::JobCreated, &[handle.as_ref()]);
    }

    pub(super) fn get_status(&mut self, client: ConnectionId, handle: &[u8]) {
        let job = self.jobs.find(handle).map(|id| self.jobs.at(id));
        let [known, running, numerator, denominator] = progress(job);
        let arguments = [handle, known.as_bytes(), running.as_bytes(), numerator.as_bytes(), denominator.as_bytes()];
        self.peers.send(client, Kind::StatusRes, &arguments);
    }

    pub(super) fn get_status_unique(&mut self, client: ConnectionId, unique: &[u8]) {
        let job = self.jobs.find_unique(unique).map(|id| self.jobs.at(id));
        let watchers = job.map_or(0, |job| job.watchers.len()).to_string();
        let [known, running, numerator, denominator] = progress(job);
        let [known, running] = [known.as_bytes(), running.as_bytes()];
        let arguments = [unique, known, running, numerator.as_bytes(), denominator.as_bytes(), watchers.as_bytes()];
        self.peers.send(client, Kind::StatusResUnique, &arguments);
    }

    /// A client went away: what only it waited for is not started any more, what runs is left to its worker.
    pub(super) fn stop_watching(&mut self, client: ConnectionId, id: JobId) {
        let job = self.jobs.at_mut(id);
        job.watchers.retain(|&watcher| watcher != client);
        if job.is_abandoned() && matches!(job.stage, Stage::Waiting(_) | Stage::Due(_)) && !self.is_being_stored(id) {
            self.remove_job(id);
        }
    }
}

/// Reads a time. What lies before 1970 is past, and so is no time at all.
fn epoch(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?.trim();
    match text.strip_prefix('-') {
        None if text.is_empty() => Some(0),
        None => text.parse().ok(),
        Some(past) => past.parse::<u64>().ok().map(|_| 0),
    }
}

/// Returns known, running, numerator and denominator.
fn progress(job: Option<&Job>) -> [String; 4] {
    let Some(job) = job else { return [(); 4].map(|()| "0".to_owned()) };
    ["1".to_owned(), u8::from(job.is_running()).to_string(), job.numerator.to_string(), job.denominator.to_string()]
}
