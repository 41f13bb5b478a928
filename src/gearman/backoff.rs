//! When to try a server again: at once, then ever later, up to a cap, with jitter.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

const FIRST_STEP: Duration = Duration::from_millis(50);

/// The waiting times of one worker.
#[derive(Debug)]
pub(super) struct Backoff {
    cap: Duration,
    failures: u32,
    jitter: fastrand::Rng,
}

impl Backoff {
    /// Makes a back-off whose jitter differs between names and is the same for the same name.
    pub(super) fn new(cap: Duration, name: &str) -> Self {
        let mut seed = DefaultHasher::new();
        name.hash(&mut seed);
        Self { cap, failures: 0, jitter: fastrand::Rng::with_seed(seed.finish()) }
    }

    /// Returns how long to wait now that an attempt failed or a connection was lost after having lived so long.
    ///
    /// Only a connection that outlived the cap counts as a success: a server that accepts and closes at once must not
    /// be asked in a busy loop.
    pub(super) fn next_delay(&mut self, lived: Duration) -> Duration {
        if lived >= self.cap {
            self.failures = 0;
        }
        let failures = self.failures;
        self.failures = failures.saturating_add(1);
        if failures == 0 {
            return Duration::ZERO;
        }
        let full = FIRST_STEP.saturating_mul(1 << (failures - 1).min(16)).min(self.cap);
        full.mul_f64(self.jitter.f64().mul_add(0.5, 0.5))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAP: Duration = Duration::from_secs(2);

    #[test]
    fn first_retry_is_at_once_and_later_ones_grow_up_to_the_cap() {
        let mut backoff = Backoff::new(CAP, "node_exec-0");
        let delays: Vec<Duration> = (0..100).map(|_| backoff.next_delay(Duration::ZERO)).collect();
        assert_eq!(delays[0], Duration::ZERO);
        for (index, delay) in delays.iter().enumerate().skip(1) {
            let full = FIRST_STEP.saturating_mul(1 << (index - 1).min(16)).min(CAP);
            assert!((full / 2..=full).contains(delay), "delay {index} is {delay:?}");
        }
    }

    #[test]
    fn only_a_connection_that_lasted_starts_over() {
        let mut backoff = Backoff::new(CAP, "node_exec-0");
        backoff.next_delay(Duration::ZERO);
        assert_ne!(backoff.next_delay(CAP / 2), Duration::ZERO);
        assert_eq!(backoff.next_delay(CAP), Duration::ZERO);
    }

    #[test]
    fn workers_do_not_come_back_in_step() {
        let second_delay = |name| {
            let mut backoff = Backoff::new(CAP, name);
            backoff.next_delay(Duration::ZERO);
            backoff.next_delay(Duration::ZERO)
        };
        assert_ne!(second_delay("node_exec-0"), second_delay("node_exec-1"));
        assert_eq!(second_delay("node_exec-0"), second_delay("node_exec-0"));
    }
}
