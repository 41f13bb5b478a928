//! The waiting jobs of one function: first come, first served within each priority.
//!
//! The jobs themselves carry the links, so that waiting costs no memory of its own and a job leaves the middle at once.

use super::job::{JobId, Jobs};
use crate::gearman::Priority;

/// Where a job stands among all that wait; smaller ones came earlier.
pub(super) type Place = u64;

#[derive(Debug, Default)]
pub(super) struct Queue {
    by_priority: [Line; 3],
}

#[derive(Clone, Copy, Debug, Default)]
struct Line {
    first: Option<JobId>,
    last: Option<JobId>,
    len: u32,
}

/// A job's neighbours in its queue.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Links {
    before: Option<JobId>,
    after: Option<JobId>,
}

impl Queue {
    /// Adds a job at the end.
    pub(super) fn push(&mut self, jobs: &mut Jobs, id: JobId) {
        let line = &mut self.by_priority[jobs.at(id).priority as usize];
        let before = line.last.replace(id);
        match before {
            Some(before) => jobs.at_mut(before).links.after = Some(id),
            None => line.first = Some(id),
        }
        jobs.at_mut(id).links = Links { before, after: None };
        line.len += 1;
    }

    pub(super) fn remove(&mut self, jobs: &mut Jobs, id: JobId) {
        let line = &mut self.by_priority[jobs.at(id).priority as usize];
        let Links { before, after } = std::mem::take(&mut jobs.at_mut(id).links);
        match before {
            Some(before) => jobs.at_mut(before).links.after = after,
            None => line.first = after,
        }
        match after {
            Some(after) => jobs.at_mut(after).links.before = before,
            None => line.last = before,
        }
        line.len -= 1;
    }

    pub(super) fn first(&self, priority: Priority) -> Option<JobId> {
        self.by_priority[priority as usize].first
    }

    pub(super) fn len(&self, priority: Priority) -> usize {
        self.by_priority[priority as usize].len as usize
    }
}
