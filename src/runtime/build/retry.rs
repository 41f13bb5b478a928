//! How long an attempt waits before it asks a controller again.

use std::time::Duration;

/// Growing pauses between two requests of one attempt, with jitter.
#[derive(Debug)]
pub(super) struct Retry {
    pause: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { pause: Duration::from_millis(250) }
    }
}

impl Retry {
    const LONGEST: Duration = Duration::from_secs(10);

    pub(super) fn next(&mut self) -> Duration {
        let pause = self.pause.mul_f64(0.75 + fastrand::f64() / 2.0);
        self.pause = (self.pause * 2).min(Self::LONGEST);
        pause
    }
}
