//! What a policy is asked: already cut down to what it may see.

use crate::domain::{BuildResult, DeclaredParameter, ProjectKind};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NodeClass {
    pub(super) built_in: bool,
    pub(super) exclusive: bool,
    pub(super) name: Option<String>,
    pub(super) labels: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProjectView {
    pub(super) full_name: String,
    pub(super) short_name: String,
    pub(super) kind: ProjectKind,
}

#[derive(Clone, Debug)]
pub(super) struct NamingQuestion {
    pub(super) controller: String,
    pub(super) project: ProjectView,
    pub(super) short_name_unique: bool,
    pub(super) node: NodeClass,
    pub(super) matched_labels: Vec<String>,
}

#[derive(Clone, Debug)]
pub(super) struct MatchingQuestion {
    pub(super) controller: String,
    pub(super) project: Option<ProjectView>,
    pub(super) kind: ProjectKind,
    pub(super) expression: Option<String>,
    pub(super) atoms: Vec<String>,
    pub(super) node: NodeClass,
    pub(super) classic: bool,
}

#[derive(Clone, Debug)]
pub(super) struct ParametersQuestion {
    pub(super) controller: String,
    pub(super) project: ProjectView,
    pub(super) function: String,
    pub(super) label: Option<String>,
    pub(super) node: NodeClass,
    pub(super) declared: Vec<DeclaredParameter>,
    pub(super) requested: Vec<(String, Option<String>)>,
}

#[derive(Clone, Debug)]
pub(super) struct OfflineQuestion {
    pub(super) controller: String,
    pub(super) project: ProjectView,
    pub(super) function: String,
    pub(super) label: Option<String>,
    pub(super) node: NodeClass,
    pub(super) requested: Vec<(String, Option<String>)>,
    pub(super) client_asks_offline: bool,
}

/// How a build ended, as policies are told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    /// None if the controller does not say.
    pub(super) result: Option<BuildResult>,
    pub(super) duration_ms: u64,
}
