//! What outlives the server: background jobs, until they have ended.
//!
//! A client hears that its background job was created when the store has it, and no worker sees the job before that. If
//! the store cannot take it, the submission is refused. What the server sends to that client meanwhile waits behind the
//! answer, so that answers keep their order. A job that clients wait for is the store's business as soon as somebody
//! submits it in the background too.

use super::job::{Job, JobId, JobNumber, Stage, Submission};
use super::lookup::Lookup;
use super::peer::{ConnectionId, Promise};
use super::state::State;
use super::store::{Change, Kept};
use crate::gearman::Kind;

/// So many numbers are promised to the store at once not to be used again after a restart.
const NUMBERS_AT_ONCE: JobNumber = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct Keeping {
    /// Answers that wait for the store, by job. The job itself may have ended in the meantime.
    answers: Lookup<JobNumber, Vec<Promise>>,
    changes: Vec<Change>,
    /// Numbers up to this one are not used again after a restart.
    reserved: JobNumber,
}

impl Keeping {
    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn is_asked_for(&self, number: JobNumber) -> bool {
        self.answers.get(&number).is_some()
    }
}

impl State {
    /// Takes up what a store has kept: every job waits again under its old handle.
    pub(super) fn restore(&mut self, jobs: Vec<Kept>, last_number: JobNumber) {
        self.jobs.skip_numbers(last_number);
        self.keeping.reserved = last_number;
        for kept in jobs {
            let function = match self.functions.find(&kept.function) {
                Some(function) => function,
                None => self.functions.create(&kept.function),
            };
            let submission = Submission {
                function: &kept.function,
                unique: &kept.unique,
                reducer: &kept.reducer,
                payload: &kept.payload,
                priority: kept.priority,
                background: true,
                due: kept.due,
            };
            let id = self.jobs.insert(&submission, function, kept.number);
            self.functions.get_mut(function).total += 1;
            self.jobs.at_mut(id).stored = true;
            self.schedule(id, kept.due);
        }
    }

    /// Answers a submission in the background when its job is kept, at once if it is already.
    pub(super) fn promise_to_keep(&mut self, client: ConnectionId, id: JobId, submission: &Submission<'_>) {
        let number = self.jobs.at(id).number;
        if !self.jobs.at(id).stored {
            self.jobs.at_mut(id).stored = true;
            let job = self.jobs.at(id);
            self.keeping.changes.push(Change::Add(kept(job, submission)));
            self.keeping.answers.insert(number, Vec::new());
        }
        if let Some(answers) = self.keeping.answers.get_mut(&number) {
            return answers.push(self.peers.promise(client));
        }
        self.created(client, number);
    }

    /// Hears what became of a job that the store was asked to keep.
    pub(super) fn settle(&mut self, number: JobNumber, is_kept: bool) {
        let answers = self.keeping.answers.remove(&number).unwrap_or_default();
        let handle = self.jobs.handle(number);
        for promise in answers {
            if is_kept {
                self.peers.keep(promise, Kind::JobCreated, &[handle.as_ref()]);
            } else {
                self.peers.keep(promise, Kind::Error, &[b"QUEUE_ERROR", b"Job could not be stored"]);
            }
        }
        let Some(id) = self.jobs.find_number(number) else { return };
        let job = self.jobs.at_mut(id);
        job.stored = is_kept && job.stored;
        job.background = job.stored;
        match job.stage {
            Stage::Storing { .. } if job.is_abandoned() => self.remove_job(id),
            Stage::Storing { due } => self.schedule(id, due),
            // Those who waited for it left while it was about to be kept.
            Stage::Waiting(_) | Stage::Due(_) if job.is_abandoned() => self.remove_job(id),
            _ => {}
        }
    }

    /// Sees to it that a job is not taken up again after a restart.
    pub(super) fn forget_in_store(&mut self, id: JobId) {
        let job = self.jobs.at_mut(id);
        if std::mem::take(&mut job.stored) {
            let number = job.number;
            self.keeping.changes.push(Change::Remove(number));
        }
    }

    /// Says whether the store is about to answer for a job, which may then become one in the background.
    pub(super) fn is_being_stored(&self, id: JobId) -> bool {
        let job = self.jobs.at(id);
        job.stored && self.keeping.answers.get(&job.number).is_some()
    }

    /// Half-way through a block the next one is asked for, long before it is used.
    pub(super) fn reserve_numbers(&mut self) {
        if self.settings.keeps_jobs && self.jobs.last_number() + NUMBERS_AT_ONCE / 2 > self.keeping.reserved {
            self.keeping.reserved = self.jobs.last_number() + NUMBERS_AT_ONCE;
            self.keeping.changes.push(Change::Reserve(self.keeping.reserved));
        }
    }
}

fn kept(job: &Job, submission: &Submission<'_>) -> Kept {
    Kept {
        number: job.number,
        function: submission.function.into(),
        unique: job.unique().into(),
        reducer: job.reducer().into(),
        payload: job.payload().into(),
        priority: job.priority,
        due: match job.stage {
            Stage::Storing { due } | Stage::Due(due) => due,
            Stage::Waiting(_) | Stage::Running(_) => 0,
        },
    }
}
