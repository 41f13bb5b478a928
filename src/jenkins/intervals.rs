//! How often a controller is asked, and what follows from that. Pure; `docs/polling.md` explains it to operators.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Part;
use crate::domain::human_duration;

/// Pauses differ from their interval by a tenth, so that controllers are not asked in step.
pub(super) const JITTER: f64 = 0.1;

/// A controller is at rest for so many times the time that an answer took, so that asking never fills its day.
pub(super) const REST: u32 = 4;

/// But no pause is longer than so many intervals.
pub(super) const LONGEST_REST: u32 = 3;

/// Below this no picture counts as stale unless somebody says so: one slow answer must not stop a site.
const SOONEST_STALE: Duration = Duration::from_secs(15);

/// A controller may restart in this time without its functions disappearing, if it is quick.
const SOONEST_GONE: Duration = Duration::from_secs(60);

/// How often each kind of thing is asked for, and when what was seen counts as too old.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Intervals {
    /// Nodes with their running builds, and whether the controller prepares to shut down. Default: 3s.
    #[serde(with = "human_duration")]
    pub nodes: Duration,
    /// The list of projects, without their parameters. Default: 30s.
    #[serde(with = "human_duration")]
    pub projects: Duration,
    /// Which parameters the projects declare; new and edited projects are looked up at once. Default: 10m.
    #[serde(with = "human_duration")]
    pub parameters: Duration,
    /// The queue, while a build of ours is in it. Default: 1s.
    #[serde(with = "human_duration")]
    pub queue: Duration,
    /// The queue, while nothing of ours is in it. Default: 10s.
    #[serde(with = "human_duration")]
    pub idle_queue: Duration,
    /// Which nodes are reserved for projects that name them ("usage"). Default: 60s.
    #[serde(with = "human_duration")]
    pub modes: Duration,
    /// How old the newest list of nodes may be until no further job is taken. Default: three times the bound within
    /// which changes of nodes are seen, and at least 15s.
    #[serde(with = "human_duration::optional")]
    pub stale_after: Option<Duration>,
    /// How old it may be until the controller counts as gone, and its functions are withdrawn. Default: twice
    /// `stale_after`, and at least 60s.
    #[serde(with = "human_duration::optional")]
    pub gone_after: Option<Duration>,
}

impl Intervals {
    /// Returns T: within which time a change of this part is seen, as long as an answer takes a quarter of the interval
    /// at most.
    ///
    /// At worst a change just misses an answer that is on its way; then the longest pause follows, and another answer.
    pub fn bound(&self, part: Part) -> Duration {
        self.bound_with(part, self.interval(part) / REST)
    }

    /// Returns the same for answers that take so long, which stretches the pauses between them.
    pub fn bound_with(&self, part: Part, answer: Duration) -> Duration {
        let seen = self.pause(part, answer).mul_f64(1.0 + JITTER) + 2 * answer;
        match part {
            // They come with the first list of projects after their own interval.
            Part::Parameters => self.parameters + self.bound_with(Part::Projects, answer.min(self.projects / REST)),
            _ => seen,
        }
    }

    /// Returns how old a part may be until no job is taken; none where age alone makes nothing unsafe.
    pub fn stale_after(&self, part: Part) -> Option<Duration> {
        let by_nodes = || self.stale_after.unwrap_or_else(|| (3 * self.bound(Part::Nodes)).max(SOONEST_STALE));
        match part {
            Part::Nodes | Part::QuietingDown => Some(by_nodes()),
            // Read too seldom for a bound that fits nodes; a project that is gone refuses a build by itself.
            Part::Projects => Some((3 * self.bound(Part::Projects)).max(by_nodes())),
            Part::Modes | Part::Parameters | Part::Queue => None,
        }
    }

    /// Returns how old the list of nodes may be until the controller counts as gone.
    pub fn gone_after(&self) -> Duration {
        let stale_after = self.stale_after(Part::Nodes).unwrap_or_default();
        self.gone_after.unwrap_or_else(|| (2 * stale_after).max(SOONEST_GONE))
    }

    /// Returns how long a controller is left alone after an answer that took so long, jitter aside.
    pub(super) fn pause(&self, part: Part, answer: Duration) -> Duration {
        stretched(self.interval(part), answer)
    }

    fn interval(&self, part: Part) -> Duration {
        match part {
            Part::Nodes | Part::QuietingDown => self.nodes,
            Part::Projects => self.projects,
            Part::Parameters => self.parameters,
            Part::Queue => self.queue,
            Part::Modes => self.modes,
        }
    }
}

/// Returns the pause after an answer that took so long.
pub(super) fn stretched(interval: Duration, answer: Duration) -> Duration {
    (REST * answer).clamp(interval, LONGEST_REST * interval)
}

impl Default for Intervals {
    fn default() -> Self {
        Self {
            nodes: Duration::from_secs(3),
            projects: Duration::from_secs(30),
            parameters: Duration::from_secs(600),
            queue: Duration::from_secs(1),
            idle_queue: Duration::from_secs(10),
            modes: Duration::from_secs(60),
            stale_after: None,
            gone_after: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTS: [Part; 6] =
        [Part::Nodes, Part::QuietingDown, Part::Projects, Part::Parameters, Part::Queue, Part::Modes];

    #[test]
    fn the_defaults_bound_what_the_page_says() {
        let intervals = Intervals::default();
        let bounds = PARTS.map(|part| intervals.bound(part).as_secs_f64());
        assert_eq!(bounds, [4.8, 4.8, 48.0, 648.0, 1.6, 96.0]);
        let stale = PARTS.map(|part| intervals.stale_after(part).map(|after| after.as_secs()));
        assert_eq!(stale, [Some(15), Some(15), Some(144), None, None, None]);
        assert_eq!(intervals.gone_after(), Duration::from_secs(60));
    }

    #[test]
    fn slow_answers_stretch_the_pause_but_never_for_ever() {
        let intervals = Intervals::default();
        let pause = |millis| intervals.pause(Part::Nodes, Duration::from_millis(millis)).as_millis();
        assert_eq!([0, 750, 1000, 2000, 2250, 30_000].map(pause), [3000, 3000, 4000, 8000, 9000, 9000]);
        let bound = intervals.bound_with(Part::Nodes, Duration::from_secs(2)).as_secs_f64();
        assert!((bound - (8.0 * 1.1 + 4.0)).abs() < 1e-9, "{bound}");
    }

    #[test]
    fn rarer_looks_make_a_picture_last_longer() {
        let intervals = Intervals { nodes: Duration::from_secs(20), ..Intervals::default() };
        assert_eq!(intervals.stale_after(Part::Nodes), Some(Duration::from_secs(96)));
        assert_eq!(intervals.gone_after(), Duration::from_secs(192));
        let said = Intervals { stale_after: Some(Duration::from_secs(5)), ..intervals };
        assert_eq!((said.stale_after(Part::Nodes), said.gone_after()), (Some(Duration::from_secs(5)), SOONEST_GONE));
    }
}
