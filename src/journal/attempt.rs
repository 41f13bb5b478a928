use std::fmt;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::domain::{BuildResult, ControllerName, NodeName, Parameters, ProjectName, QueueItemId};

/// The number of an attempt; never used twice in one journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AttemptId(pub i64);

impl fmt::Display for AttemptId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Which job an attempt is for.
///
/// Two keys mean the same job if server and function agree and so does the unique; where that is empty, the handle. A
/// handle alone is weak: servers that restart count from one again.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttemptKey {
    pub server: String,
    pub handle: Vec<u8>,
    pub unique: Vec<u8>,
    pub function: String,
}

/// What is about to be done for a job, written down before Jenkins is asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    pub key: AttemptKey,
    pub controller: ControllerName,
    pub project: ProjectName,
    /// The node of the connection that grabbed the job.
    pub node: NodeName,
    /// The client id of that connection.
    pub worker: String,
    pub marker: Option<Marker>,
    pub pinned: bool,
    /// The generation of policies under which the job was taken.
    pub generation: u64,
    /// The client wants the node to go offline afterwards.
    pub offline_wanted: bool,
    /// What is sent to Jenkins; the values of secret parameters are left out by the caller.
    pub parameters: Parameters,
}

/// The build parameter that ties a build to its attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    pub name: String,
    pub value: String,
}

/// What is known about a build once it has started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartedBuild {
    pub number: u64,
    /// Where it really runs; none if Jenkins does not say.
    pub node: Option<NodeName>,
    pub url: Option<String>,
}

/// How an attempt ended, and what its client is to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    /// None if there was no build, or none whose result is known.
    pub result: Option<BuildResult>,
    pub terminal: Terminal,
}

/// The one packet that ends a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terminal {
    pub kind: TerminalKind,
    pub payload: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TerminalKind {
    Complete,
    Fail,
    Exception,
}

/// How far an attempt has come; the last three close it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Written down; whether Jenkins was asked is not known.
    Intended,
    /// In Jenkins' queue.
    Queued,
    /// A build with a number.
    Started,
    /// Over; the terminal packet waits for delivery.
    Ended,
    /// The terminal packet was sent.
    Delivered,
    /// The job went back to the Gearman server.
    HandedBack,
    /// Given up with nothing left to deliver.
    Failed,
}

/// An attempt with all that is known about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub id: AttemptId,
    pub intent: Intent,
    pub state: State,
    pub queue_item: Option<QueueItemId>,
    pub build: Option<StartedBuild>,
    pub ending: Option<Ending>,
    /// Why it was handed back or failed.
    pub reason: Option<String>,
    pub times: Times,
}

/// When an attempt came into each state, to the millisecond, by this machine's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    pub intended: SystemTime,
    pub queued: Option<SystemTime>,
    pub started: Option<SystemTime>,
    pub ended: Option<SystemTime>,
    pub closed: Option<SystemTime>,
}

/// An attempt as the status shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BuildRecord {
    pub id: AttemptId,
    pub state: State,
    pub function: String,
    pub controller: ControllerName,
    pub project: ProjectName,
    pub worker: String,
    pub number: Option<u64>,
    /// Where it really runs, once known.
    pub node: Option<NodeName>,
    pub url: Option<String>,
    pub result: Option<BuildResult>,
    pub reason: Option<String>,
    pub intended: SystemTime,
    pub ended: Option<SystemTime>,
}

impl AttemptKey {
    /// Returns whether both keys mean the same job.
    pub fn is_same_job(&self, other: &Self) -> bool {
        let same_identity = if self.unique.is_empty() {
            self.handle == other.handle && other.unique.is_empty()
        } else {
            self.unique == other.unique
        };
        self.server == other.server && self.function == other.function && same_identity
    }
}

impl State {
    const ALL: [Self; 7] =
        [Self::Intended, Self::Queued, Self::Started, Self::Ended, Self::Delivered, Self::HandedBack, Self::Failed];

    pub fn is_open(self) -> bool {
        self <= Self::Ended
    }

    /// Returns whether an attempt in this state may go on to `next`.
    ///
    /// States may be skipped, since a build can be found started or over when we look again; there is no way back, and
    /// only what has ended can be delivered.
    pub fn may_become(self, next: Self) -> bool {
        match next {
            Self::Intended => false,
            Self::Queued | Self::Started | Self::Ended => self < next,
            Self::Delivered => self == Self::Ended,
            Self::HandedBack | Self::Failed => self.is_open(),
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Queued => "queued",
            Self::Started => "started",
            Self::Ended => "ended",
            Self::Delivered => "delivered",
            Self::HandedBack => "handed-back",
            Self::Failed => "failed",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == word)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TerminalKind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Fail => "fail",
            Self::Exception => "exception",
        }
    }

    pub(super) fn from_word(word: &str) -> Option<Self> {
        [Self::Complete, Self::Fail, Self::Exception].into_iter().find(|kind| kind.as_str() == word)
    }
}

impl From<Attempt> for BuildRecord {
    fn from(attempt: Attempt) -> Self {
        let Attempt { id, intent, state, build, ending, reason, times, queue_item: _ } = attempt;
        let (number, node, url) = match build {
            Some(build) => (Some(build.number), build.node, build.url),
            None => (None, None, None),
        };
        Self {
            id,
            state,
            function: intent.key.function,
            controller: intent.controller,
            project: intent.project,
            worker: intent.worker,
            number,
            node,
            url,
            result: ending.and_then(|ending| ending.result),
            reason,
            intended: times.intended,
            ended: times.ended,
        }
    }
}
