//! What the control channel answers besides what other rooms show of themselves.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::domain::{BuildResult, ControllerName, NodeName, ProjectName};
use crate::journal::BuildRecord;
use crate::runtime::status::Mode;

/// A build of the journal. Times are milliseconds since the epoch, by the daemon's clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildEntry {
    pub attempt: i64,
    pub state: String,
    pub function: String,
    pub controller: ControllerName,
    pub project: ProjectName,
    pub worker: String,
    pub number: Option<u64>,
    pub node: Option<NodeName>,
    pub url: Option<String>,
    pub result: Option<BuildResult>,
    pub reason: Option<String>,
    pub intended_ms: u64,
    pub ended_ms: Option<u64>,
}

/// Whether jobs are taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    pub ready: bool,
    /// Why not.
    pub reasons: Vec<String>,
}

/// What the daemon does from now on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    pub mode: Mode,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Refused {
    pub(super) error: String,
}

impl From<BuildRecord> for BuildEntry {
    fn from(record: BuildRecord) -> Self {
        Self {
            attempt: record.id.0,
            state: record.state.to_string(),
            function: record.function,
            controller: record.controller,
            project: record.project,
            worker: record.worker,
            number: record.number,
            node: record.node,
            url: record.url,
            result: record.result,
            reason: record.reason,
            intended_ms: milliseconds(record.intended),
            ended_ms: record.ended.map(milliseconds),
        }
    }
}

pub(super) fn milliseconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
