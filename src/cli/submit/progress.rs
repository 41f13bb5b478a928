//! How far a job is, and how long it will take. Reads no clock: it is given the time.

use std::time::Duration;

/// What a worker has said of its progress, and when.
///
/// A build counts milliseconds: so long it has run, so long such builds take. What others count is theirs; of them only
/// how fast the fraction grows tells anything.
#[derive(Debug)]
pub(in crate::cli) struct Progress {
    counts_milliseconds: bool,
    first: Option<Report>,
    last: Option<Report>,
}

/// Numbers as they came, and the time since some moment.
#[derive(Clone, Copy, Debug)]
struct Report {
    at: Duration,
    numerator: u64,
    denominator: u64,
}

impl Report {
    fn fraction(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }
}

impl Progress {
    pub(in crate::cli) fn new(counts_milliseconds: bool) -> Self {
        Self { counts_milliseconds, first: None, last: None }
    }

    /// Notes what a worker says. A denominator that is none was -1 once.
    pub(in crate::cli) fn note(&mut self, at: Duration, numerator: u64, denominator: u64) {
        if !(1..u64::from(u32::MAX)).contains(&denominator) {
            return;
        }
        let report = Report { at, numerator, denominator };
        // Going back means that another worker has begun again.
        let goes_on = self.last.is_some_and(|last| last.fraction() <= report.fraction());
        if !goes_on {
            self.first = Some(report);
        }
        self.last = Some(report);
    }

    /// Returns how long it will still take, if that can be told.
    pub(in crate::cli) fn left(&self, now: Duration) -> Option<Duration> {
        let (first, last) = (self.first?, self.last?);
        let since_last = now.saturating_sub(last.at);
        if self.counts_milliseconds {
            return Duration::from_millis(last.denominator).checked_sub(self.run_time(now)?);
        }
        let rate = (last.fraction() - first.fraction()) / (last.at - first.at).as_secs_f64();
        let left = (1.0 - last.fraction()).max(0.0) / rate;
        // Standing still, or a leap in no time, tells nothing; nor does an estimate that has passed.
        let left = (rate > 0.0 && rate.is_finite()).then(|| Duration::try_from_secs_f64(left).ok()).flatten()?;
        left.checked_sub(since_last).filter(|left| !left.is_zero())
    }

    /// Returns the line for people; none as long as nothing is known.
    pub(in crate::cli) fn line(&self, now: Duration) -> Option<String> {
        let last = self.last?;
        let left = self.left(now).map(|left| format!(", about {} left", short(left))).unwrap_or_default();
        if self.counts_milliseconds {
            let (run_time, usual) = (self.run_time(now)?, Duration::from_millis(last.denominator));
            return Some(if run_time > usual {
                format!("running for {}, longer than the usual {}", short(run_time), short(usual))
            } else {
                format!("running for {} of about {}{left}", short(run_time), short(usual))
            });
        }
        let percent = (last.fraction() * 100.0).min(100.0) as u64;
        Some(format!("{} of {} ({percent} %){left}", last.numerator, last.denominator))
    }

    fn run_time(&self, now: Duration) -> Option<Duration> {
        let last = self.last?;
        Some(Duration::from_millis(last.numerator) + now.saturating_sub(last.at))
    }
}

/// Returns a duration in seconds, rounded up, as people write it.
pub(in crate::cli) fn short(duration: Duration) -> String {
    let seconds = duration.as_secs() + u64::from(duration.subsec_nanos() > 0);
    humantime::format_duration(Duration::from_secs(seconds)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn line(counts_milliseconds: bool, reports: &[(u64, u64, u64)], now: u64) -> String {
        let mut progress = Progress::new(counts_milliseconds);
        for &(at, numerator, denominator) in reports {
            progress.note(seconds(at), numerator, denominator);
        }
        progress.line(seconds(now)).unwrap_or_default()
    }

    #[test]
    fn a_build_says_by_itself_how_long_it_takes() {
        for (reports, now, expected) in [
            (&[][..], 5, ""),
            (&[(0, 0, u64::MAX)][..], 5, ""),
            (&[(0, 5, 0)], 5, ""),
            (&[(0, 0, 90_000)], 0, "running for 0s of about 1m 30s, about 1m 30s left"),
            (&[(10, 1200, 60_000)], 10, "running for 2s of about 1m, about 59s left"),
            (&[(10, 0, 60_000)], 30, "running for 20s of about 1m, about 40s left"),
            (&[(10, 0, 60_000), (20, 10_000, 60_000)], 20, "running for 10s of about 1m, about 50s left"),
            (&[(0, 61_000, 60_000)], 0, "running for 1m 1s, longer than the usual 1m"),
        ] {
            assert_eq!(line(true, reports, now), expected, "{reports:?} at {now}");
        }
    }

    #[test]
    fn of_other_jobs_only_the_speed_tells() {
        for (reports, now, expected) in [
            (&[(7, 3, 9)][..], 7, "3 of 9 (33 %)"),
            (&[(0, 0, 10), (10, 2, 10)], 10, "2 of 10 (20 %), about 40s left"),
            (&[(0, 0, 10), (10, 2, 10)], 25, "2 of 10 (20 %), about 25s left"),
            (&[(0, 0, 10), (10, 2, 10)], 100, "2 of 10 (20 %)"),
            // What has been done before the first report counts for nothing.
            (&[(100, 5, 10), (110, 6, 10)], 110, "6 of 10 (60 %), about 40s left"),
            (&[(0, 5, 10), (10, 5, 10)], 10, "5 of 10 (50 %)"),
            (&[(10, 1, 10), (10, 2, 10)], 10, "2 of 10 (20 %)"),
            (&[(0, 0, 10), (10, 8, 10), (20, 1, 10)], 20, "1 of 10 (10 %)"),
            (&[(0, 0, 10), (10, 15, 10)], 10, "15 of 10 (100 %)"),
        ] {
            assert_eq!(line(false, reports, now), expected, "{reports:?} at {now}");
        }
    }
}
