use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::status::{ReloadCost, Stage};

/// Takes the time of one look at the folder, by stage.
#[derive(Debug)]
pub(super) struct Stopwatch {
    start: Instant,
    /// The end of the stage that was timed last.
    last: Instant,
    stages: BTreeMap<Stage, Duration>,
}

impl Default for Stopwatch {
    fn default() -> Self {
        let now = Instant::now();
        Self { start: now, last: now, stages: BTreeMap::new() }
    }
}

impl Stopwatch {
    pub(super) fn time<T>(&mut self, stage: Stage, work: impl FnOnce() -> T) -> T {
        self.last = Instant::now();
        let done = work();
        self.lap(stage);
        done
    }

    /// Counts all since the last stage that was timed.
    pub(super) fn lap(&mut self, stage: Stage) {
        let now = Instant::now();
        self.add(stage, now - self.last);
        self.last = now;
    }

    /// Counts what somebody else has timed.
    pub(super) fn add(&mut self, stage: Stage, time: Duration) {
        *self.stages.entry(stage).or_default() += time;
        self.last = Instant::now();
    }

    pub(super) fn cost(&self, generation: u64) -> ReloadCost {
        let microseconds = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        ReloadCost {
            at: SystemTime::now(),
            generation,
            microseconds: microseconds(self.start.elapsed()),
            stages: self.stages.iter().map(|(stage, time)| (*stage, microseconds(*time))).collect(),
        }
    }
}
