use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// Where a simulated controller takes its time from: the world's, or one that a test moves by hand.
///
/// The controller catches up with its clock whenever it is looked at, event by event in the order in which they fell
/// due, so that what shows never depends on how often it was looked at.
#[derive(Clone, Debug)]
pub struct Clock(Source);

#[derive(Clone, Debug)]
enum Source {
    /// tokio's clock, so that tests which pause it move this one too.
    Real {
        origin_ms: u64,
        origin: Instant,
    },
    Manual {
        now_ms: Arc<AtomicU64>,
    },
}

impl Clock {
    pub fn real() -> Self {
        Self::ahead(Duration::ZERO)
    }

    /// Returns a clock that goes as the world's does, and is ahead of it.
    pub fn ahead(by: Duration) -> Self {
        // A machine whose clock stands before 1970 gets 1970.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(Source::Real { origin_ms: millis(since_epoch + by), origin: Instant::now() })
    }

    /// Returns a clock that stands still until [`Clock::advance`] moves it.
    pub fn manual() -> Self {
        // Some date, the same in every test: 2025-01-01.
        Self(Source::Manual { now_ms: Arc::new(AtomicU64::new(1_735_689_600_000)) })
    }

    /// Moves a manual clock, and all its clones; a real one goes its own way.
    pub fn advance(&self, by: Duration) {
        if let Source::Manual { now_ms } = &self.0 {
            now_ms.fetch_add(millis(by), Ordering::SeqCst);
        }
    }

    /// Returns milliseconds since the epoch.
    pub fn now_ms(&self) -> u64 {
        match &self.0 {
            Source::Real { origin_ms, origin } => origin_ms + millis(origin.elapsed()),
            Source::Manual { now_ms } => now_ms.load(Ordering::SeqCst),
        }
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::real()
    }
}

/// Returns whole milliseconds; what does not fit is as good as for ever.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX / 4).min(u64::MAX / 4)
}
