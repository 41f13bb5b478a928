//! What happens because time passes: jobs for a later time begin to wait, and jobs that took too long are handed back.
//!
//! Where it differs from gearmand 1.1.20: that never wakes a worker for a job whose time has come, nor for one that
//! was taken from a slow worker.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::job::{JobId, Stage};
use super::state::State;

/// Somebody may set the clock of the machine: it is looked at again this often while a job waits for it.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// The two ways of telling the time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    /// Milliseconds since 1970, of which clients name seconds.
    pub(super) unix: u64,
    /// Milliseconds of a clock that nobody sets, in which workers are given time.
    pub(super) steady: u64,
}

#[derive(Debug, Default)]
pub(super) struct Due {
    pub(super) now: Clock,
    epochs: BTreeSet<(u64, JobId)>,
    limits: BTreeSet<(u64, JobId)>,
    limit_of: BTreeMap<JobId, u64>,
}

impl Due {
    pub(super) fn add_epoch(&mut self, when: u64, id: JobId) {
        self.epochs.insert((when, id));
    }

    pub(super) fn cancel_epoch(&mut self, when: u64, id: JobId) {
        self.epochs.remove(&(when, id));
    }

    /// Gives a running job so many milliseconds from now.
    pub(super) fn add_limit(&mut self, milliseconds: u32, id: JobId) {
        let until = self.now.steady.saturating_add(milliseconds.into());
        self.limits.insert((until, id));
        self.limit_of.insert(id, until);
    }

    pub(super) fn cancel_limit(&mut self, id: JobId) {
        if let Some(until) = self.limit_of.remove(&id) {
            self.limits.remove(&(until, id));
        }
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn is_noted(&self, when: u64, id: JobId) -> bool {
        self.epochs.contains(&(when, id))
    }

    #[cfg(any(test, fuzzing))]
    pub(super) fn lengths(&self) -> (usize, usize) {
        assert_eq!(self.limits.len(), self.limit_of.len());
        (self.epochs.len(), self.limits.len())
    }
}

impl State {
    /// Returns how long nothing will happen by itself; `None` is for ever.
    pub(super) fn next_due(&self) -> Option<Duration> {
        let Clock { unix, steady } = self.due.now;
        let until = |when: u64| Duration::from_millis(when.saturating_mul(1000).saturating_sub(unix));
        let epoch = self.due.epochs.first().map(|&(when, _)| until(when).min(LOOK_AGAIN));
        let limit = self.due.limits.first().map(|(until, _)| Duration::from_millis(until.saturating_sub(steady)));
        epoch.into_iter().chain(limit).min()
    }

    /// Does what is due at the time that was told.
    pub(super) fn wake(&mut self) {
        while let Some(&(when, id)) = self.due.epochs.first()
            && self.has_come(when)
        {
            self.due.cancel_epoch(when, id);
            self.enqueue(id);
        }
        while let Some(&(until, id)) = self.due.limits.first()
            && until <= self.due.now.steady
        {
            self.due.cancel_limit(id);
            self.hand_back(id);
        }
    }

    /// Makes a job wait for a worker, or for its time.
    pub(super) fn schedule(&mut self, id: JobId, when: u64) {
        if self.has_come(when) {
            return self.enqueue(id);
        }
        self.jobs.at_mut(id).stage = Stage::Due(when);
        self.due.add_epoch(when, id);
    }

    fn has_come(&self, when: u64) -> bool {
        when.saturating_mul(1000) <= self.due.now.unix
    }
}
