//! Holds a worker back that is woken over and over for nothing. Reads no clock: it is given the time.
//!
//! Where many sleep, one job wakes them all, and all but one look in vain: that is how servers work. A server that wakes
//! a worker for nothing each time it goes to sleep would keep both busy for ever.

use std::time::Duration;

use tokio::time::Instant;

/// A look in vain is two round trips; so many in a second cost a few per cent of a processor at most.
const LOOKS: u32 = 100;

const WINDOW: Duration = Duration::from_secs(1);

/// How often a worker has looked in vain of late.
#[derive(Debug)]
pub(super) struct Restraint {
    since: Instant,
    looks: u32,
}

impl Restraint {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: now, looks: 0 }
    }

    /// Notes that a grab brought nothing.
    pub(super) fn looked_in_vain(&mut self, now: Instant) {
        if now >= self.since + WINDOW {
            *self = Self::new(now);
        }
        self.looks += 1;
    }

    /// Notes that a grab brought a job: whoever is given work was not woken for nothing.
    pub(super) fn found(&mut self) {
        self.looks = 0;
    }

    /// Returns until when to look no more, if it was often enough.
    pub(super) fn rests_until(&self) -> Option<Instant> {
        (self.looks >= LOOKS).then(|| self.since + WINDOW)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_are_counted_by_the_second() {
        let start = Instant::now();
        let mut restraint = Restraint::new(start);
        for _ in 1..LOOKS {
            restraint.looked_in_vain(start);
            assert_eq!(restraint.rests_until(), None);
        }
        restraint.looked_in_vain(start + WINDOW / 2);
        assert_eq!(restraint.rests_until(), Some(start + WINDOW));
        restraint.looked_in_vain(start + WINDOW);
        assert_eq!(restraint.rests_until(), None);
    }

    #[test]
    fn whoever_finds_a_job_between_looks_is_never_held_back() {
        let start = Instant::now();
        let mut restraint = Restraint::new(start);
        for _ in 0..LOOKS * 10 {
            restraint.looked_in_vain(start);
            restraint.found();
            assert_eq!(restraint.rests_until(), None);
        }
    }
}
