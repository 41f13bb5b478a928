//! When a table that its rules could not decide in full is made again although nothing it depends on has changed.
//!
//! A policy that failed because the machine was busy answers the next time; one that always fails must not keep a
//! processor busy. So the pauses grow, and start small again with other inputs.

use std::time::Duration;

use tokio::time::Instant;

const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) struct AskAgain {
    pause: Duration,
    due: Option<Instant>,
}

impl AskAgain {
    pub(super) fn new() -> Self {
        Self { pause: FIRST_PAUSE, due: None }
    }

    /// A table is about to be made.
    pub(super) fn asked(&mut self, inputs_changed: bool) {
        self.due = None;
        if inputs_changed {
            self.pause = FIRST_PAUSE;
        }
    }

    /// A table was made.
    pub(super) fn answered(&mut self, is_decided: bool, now: Instant) {
        if is_decided {
            *self = Self::new();
        } else {
            self.due = Some(now + self.pause);
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
    }

    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due.is_some_and(|due| due <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails so many times, and returns the seconds after each failure at which it is asked again.
    fn pauses(again: &mut AskAgain, failures: usize) -> Vec<u64> {
        let now = Instant::now();
        let pause_after_failure = |_| {
            again.answered(false, now);
            let pause = (0..).find(|seconds| again.is_due(now + Duration::from_secs(*seconds)));
            again.asked(false);
            assert!(!again.is_due(now + LONGEST_PAUSE), "it is being asked");
            pause.expect("it is asked again some time")
        };
        (0..failures).map(pause_after_failure).collect()
    }

    #[test]
    fn what_could_not_be_decided_is_asked_again_after_ever_longer_pauses() {
        assert_eq!(pauses(&mut AskAgain::new(), 6), [5, 10, 20, 40, 60, 60]);
    }

    #[test]
    fn what_was_decided_is_not_asked_again() {
        let mut again = AskAgain::new();
        again.answered(true, Instant::now());
        assert!(!again.is_due(Instant::now() + 2 * LONGEST_PAUSE));
    }

    #[test]
    fn a_decision_and_other_inputs_start_over() {
        let mut again = AskAgain::new();
        pauses(&mut again, 3);
        again.answered(true, Instant::now());
        assert_eq!(pauses(&mut again, 3), [5, 10, 20]);
        again.asked(true);
        assert_eq!(pauses(&mut again, 1), [5]);
    }
}
