//! A client's side of the server.
//!
//! Where it differs from gearmand: a job that anybody submitted in the background survives the clients that joined it
//! (gearmand drops it with the last of them), and a job that nobody waits for is dropped at once instead of when a
//! worker next looks at the queue.

use bytes::Bytes;

use super::job::{Job, JobNumber, Stage, Submission};
use super::state::{ConnectionId, State};
use crate::gearman::{Kind, Packet, Priority};

/// gearmand's limit for uniques.
const MAX_UNIQUE: usize = 64;

/// Longer names have no use and would be kept for as long as the server runs.
pub(super) const MAX_FUNCTION_NAME: usize = 4096;

/// Each watcher is sent every packet of a job; one client that joins without end must not fill the memory.
const MAX_WATCHERS: usize = 10_000;

impl State {
    pub(super) fn submit_plain(&mut self, client: ConnectionId, packet: &Packet, priority: Priority, background: bool) {
        let submission = Submission {
            function: packet.argument(0).clone(),
            unique: packet.argument(1).clone(),
            reducer: Bytes::new(),
            payload: packet.argument(2).clone(),
            priority,
            background,
        };
        self.submit(client, submission);
    }

    pub(super) fn submit_reduce(&mut self, client: ConnectionId, packet: &Packet, background: bool) {
        let submission = Submission {
            function: packet.argument(0).clone(),
            unique: packet.argument(1).clone(),
            reducer: packet.argument(2).clone(),
            payload: packet.argument(4).clone(),
            priority: Priority::Normal,
            background,
        };
        self.submit(client, submission);
    }

    fn submit(&mut self, client: ConnectionId, submission: Submission) {
        if submission.unique.len() > MAX_UNIQUE {
            return self.refuse(client, "ARGUMENT_TOO_LARGE", "Unique value too large");
        }
        if submission.function.len().max(submission.reducer.len()) > MAX_FUNCTION_NAME {
            return self.refuse(client, "ARGUMENT_TOO_LARGE", "Function name too large");
        }
        let background = submission.background;
        let number = match self.join_or_add(submission) {
            Ok(number) => number,
            Err(reason) => return self.refuse(client, "QUEUE_ERROR", reason),
        };
        let Some(job) = self.jobs.get_mut(number) else { return };
        let created = Packet::response(Kind::JobCreated, [job.handle.clone()]);
        if background {
            job.background = true;
        } else if job.watchers.len() >= MAX_WATCHERS {
            return self.refuse(client, "QUEUE_ERROR", "Too many clients wait for this job");
        } else {
            job.watchers.push(client);
            self.connection(client).watching.insert(number);
        }
        self.reply(client, created);
    }

    fn join_or_add(&mut self, submission: Submission) -> Result<JobNumber, &'static str> {
        let Some(function) = self.functions.find_or_create(&submission.function) else {
            return Err("Too many functions");
        };
        // Its priority stays what it was: joining a job does not move it.
        if let Some(twin) = self.jobs.twin(function, &submission.unique, &submission.payload) {
            return Ok(twin);
        }
        let row = self.functions.get(function);
        let limit = row.max_queue[submission.priority as usize];
        let is_full = (limit > 0 && row.total >= limit)
            || self.jobs.len() >= self.settings.max_jobs
            || self.jobs.bytes().saturating_add(submission.payload.len()) > self.settings.max_job_bytes;
        if is_full {
            return Err("Job queue is full");
        }
        let priority = submission.priority;
        let place = self.next_place();
        let number = self.jobs.insert(submission, function, place);
        self.functions.get_mut(function).total += 1;
        self.enqueue(number, function, priority, place);
        Ok(number)
    }

    pub(super) fn get_status(&mut self, client: ConnectionId, handle: &Bytes) {
        let job = self.jobs.find(handle).and_then(|number| self.jobs.get(number));
        let [known, running, numerator, denominator] = progress(job);
        let arguments = [handle.clone(), known, running, numerator, denominator];
        self.reply(client, Packet::response(Kind::StatusRes, arguments));
    }

    pub(super) fn get_status_unique(&mut self, client: ConnectionId, unique: &Bytes) {
        let job = self.jobs.find_unique(unique);
        let watchers = job.map_or(0, |job| job.watchers.len());
        let [known, running, numerator, denominator] = progress(job);
        let arguments = [unique.clone(), known, running, numerator, denominator, decimal(watchers)];
        self.reply(client, Packet::response(Kind::StatusResUnique, arguments));
    }

    /// A client went away: what only it waited for is not started any more, what runs is left to its worker.
    pub(super) fn stop_watching(&mut self, client: ConnectionId, number: JobNumber) {
        let Some(job) = self.jobs.get_mut(number) else { return };
        job.watchers.retain(|&watcher| watcher != client);
        if job.is_abandoned() && matches!(job.stage, Stage::Waiting(_)) {
            self.remove_job(number);
        }
    }
}

/// Returns known, running, numerator and denominator.
fn progress(job: Option<&Job>) -> [Bytes; 4] {
    let Some(job) = job else { return [(); 4].map(|()| decimal(0)) };
    [
        decimal(1),
        decimal(usize::from(job.is_running())),
        decimal(job.numerator as usize),
        decimal(job.denominator as usize),
    ]
}

fn decimal(number: usize) -> Bytes {
    number.to_string().into()
}
