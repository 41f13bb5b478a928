use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{NodeName, Parameters, ProjectName, QueueItemId};

/// A build on its controller: project and number.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct BuildId {
    pub project: ProjectName,
    pub number: u64,
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} #{}", self.project, self.number)
    }
}

/// A build as it shows on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningBuild {
    pub id: BuildId,
    pub queue_id: Option<QueueItemId>,
    /// Milliseconds since the epoch, by the controller's clock.
    pub started_ms: Option<u64>,
    /// Empty for the part of a pipeline that occupies an executor.
    pub parameters: Parameters,
}

/// A build as its own page describes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    pub id: BuildId,
    /// Still doing something, post-build steps included.
    pub in_progress: bool,
    /// May be set while the build is in progress.
    pub result: Option<BuildResult>,
    pub queue_id: Option<QueueItemId>,
    /// Where Jenkins says that it ran; none for pipelines.
    pub built_on: Option<NodeName>,
    /// The absolute address that the controller gives, for people; never followed.
    pub url: Option<String>,
    /// Milliseconds since the epoch, by the controller's clock.
    pub started_ms: u64,
    pub duration: Duration,
    /// None while Jenkins has no history to estimate from.
    pub estimated_duration: Option<Duration>,
    pub parameters: Parameters,
}

/// How a build ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BuildResult {
    Success,
    Unstable,
    Failure,
    NotBuilt,
    Aborted,
}

impl BuildResult {
    /// Returns the word that Jenkins and the plugin use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "SUCCESS",
            Self::Unstable => "UNSTABLE",
            Self::Failure => "FAILURE",
            Self::NotBuilt => "NOT_BUILT",
            Self::Aborted => "ABORTED",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Success, Self::Unstable, Self::Failure, Self::NotBuilt, Self::Aborted]
            .into_iter()
            .find(|result| result.as_str() == word)
    }
}

impl fmt::Display for BuildResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
