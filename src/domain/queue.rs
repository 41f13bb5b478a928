use std::fmt;

use serde::{Deserialize, Serialize};

use super::{BuildId, Parameters, ProjectName};

/// The number of a queue item on its controller; it stays the same until the item has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct QueueItemId(pub u64);

impl fmt::Display for QueueItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A build that has not started yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueItem {
    pub id: QueueItemId,
    /// None for parts of pipelines, whose builds have started already, and for cells of a matrix.
    pub project: Option<ProjectName>,
    /// For a part of a pipeline: its build. Old controllers do not tell.
    pub part_of: Option<BuildId>,
    pub state: QueueState,
    /// Milliseconds since the epoch, by the controller's clock.
    pub since_ms: u64,
    /// For people: localised, never to be branched on.
    pub why: Option<String>,
    pub parameters: Parameters,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueueState {
    /// In its quiet period.
    Waiting,
    /// Held back: not concurrent, throttled.
    Blocked,
    /// Waits for an executor.
    Buildable,
    /// Handed to an executor.
    Pending,
}

/// What became of a queue item that is no longer listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeftItem {
    /// Not left at all: the list was older than the item, or lacked it for once.
    Queued,
    /// Left, and its build does not show yet; it can stay so for ever.
    Starting,
    Started(BuildId),
    Cancelled,
    /// The controller does not know it (any more).
    Unknown,
}
