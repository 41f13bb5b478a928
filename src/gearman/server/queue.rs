//! The waiting jobs of one function: first come, first served within each priority.
//!
//! Places are numbers that only grow, so that a job is found again to be taken out from the middle, and the heads of
//! several functions can be compared.

use std::collections::BTreeMap;

use super::job::JobNumber;
use crate::gearman::Priority;

/// Where a job stands; smaller ones came earlier.
pub(super) type Place = u64;

#[derive(Debug, Default)]
pub(super) struct Queue {
    by_priority: [BTreeMap<Place, JobNumber>; 3],
}

impl Queue {
    pub(super) fn insert(&mut self, priority: Priority, place: Place, job: JobNumber) {
        self.by_priority[priority as usize].insert(place, job);
    }

    pub(super) fn remove(&mut self, priority: Priority, place: Place) {
        self.by_priority[priority as usize].remove(&place);
    }

    /// Returns the job to run next and where it stands.
    pub(super) fn first(&self) -> Option<(Priority, Place, JobNumber)> {
        Priority::ALL.into_iter().find_map(|priority| {
            let (&place, &job) = self.by_priority[priority as usize].first_key_value()?;
            Some((priority, place, job))
        })
    }

    pub(super) fn len(&self, priority: Priority) -> usize {
        self.by_priority[priority as usize].len()
    }

    /// Lists the waiting jobs, the most urgent first.
    pub(super) fn jobs(&self) -> impl Iterator<Item = JobNumber> {
        self.by_priority.iter().flat_map(|queue| queue.values().copied())
    }
}
