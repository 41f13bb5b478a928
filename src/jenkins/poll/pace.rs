//! How long to pause between two looks. Pure but for the seeded jitter.

use std::time::Duration;

use crate::jenkins::intervals::{JITTER, stretched};

/// How long a failing controller is left alone at most, so that its return is noticed soon.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(15);

/// When to ask again.
pub(super) struct Pace {
    failures: u32,
    jitter: fastrand::Rng,
}

impl Pace {
    pub(super) fn new(seed: u64) -> Self {
        Self { failures: 0, jitter: fastrand::Rng::with_seed(seed) }
    }

    /// Returns the pause after an answer that took so long: the interval, or longer where the controller is slow; a
    /// tenth more or less.
    pub(super) fn after_answer(&mut self, interval: Duration, took: Duration) -> Duration {
        self.failures = 0;
        self.jittered(stretched(interval, took))
    }

    /// Returns the pause after a failure: the interval, doubled with each failure in a row; a tenth more or less.
    pub(super) fn after_failure(&mut self, interval: Duration) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let backed_off = interval.saturating_mul(2_u32.saturating_pow(self.failures));
        self.jittered(backed_off.min(LONGEST_BACK_OFF.max(interval)))
    }

    fn jittered(&mut self, pause: Duration) -> Duration {
        pause.mul_f64(1.0 - JITTER + 2.0 * JITTER * self.jitter.f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_while_the_controller_fails_and_return_at_once() {
        let mut pace = Pace::new(7);
        let second = Duration::from_secs(1);
        for (succeeded, around) in [(true, 1), (false, 2), (false, 4), (false, 8), (false, 15), (false, 15), (true, 1)]
        {
            let pause = if succeeded { pace.after_answer(second, Duration::ZERO) } else { pace.after_failure(second) };
            let pause = pause.as_secs_f64();
            let around = f64::from(around);
            assert!((around * 0.9..=around * 1.1).contains(&pause), "{pause} is not around {around}");
        }
    }

    #[test]
    fn an_interval_longer_than_the_longest_back_off_stays_what_it_is() {
        let mut pace = Pace::new(7);
        for _ in 0..100 {
            let pause = pace.after_failure(Duration::from_secs(600)).as_secs_f64();
            assert!((540.0..=660.0).contains(&pause), "{pause}");
        }
    }

    #[test]
    fn jitter_differs_by_seed_and_not_by_run() {
        let pauses = |seed| -> Vec<_> {
            let mut pace = Pace::new(seed);
            (0..4).map(|_| pace.after_answer(Duration::from_secs(3), Duration::ZERO)).collect()
        };
        assert_eq!(pauses(1), pauses(1));
        assert_ne!(pauses(1), pauses(2));
    }
}
