//! What a policy is asked: already cut down to what it may see.
//!
//! Written as JSON in the words of `wit/policy.wit`; what `written` adds are the forms that differ.

use serde::{Deserialize, Serialize};

use crate::domain::{BuildResult, DeclaredParameter, ProjectKind};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct NodeClass {
    pub(super) built_in: bool,
    pub(super) exclusive: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    pub(super) labels: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct ProjectView {
    pub(super) full_name: String,
    pub(super) short_name: String,
    pub(super) kind: ProjectKind,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct NamingQuestion {
    pub(super) controller: String,
    pub(super) project: ProjectView,
    pub(super) short_name_unique: bool,
    pub(super) node: NodeClass,
    pub(super) matched_labels: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct MatchingQuestion {
    pub(super) controller: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) project: Option<ProjectView>,
    pub(super) kind: ProjectKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) expression: Option<String>,
    pub(super) atoms: Vec<String>,
    pub(super) node: NodeClass,
    pub(super) classic: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct ParametersQuestion {
    pub(super) controller: String,
    pub(super) project: ProjectView,
    pub(super) function: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) label: Option<String>,
    pub(super) node: NodeClass,
    pub(super) declared: Vec<DeclaredParameter>,
    #[serde(with = "super::written::requested")]
    pub(super) requested: Vec<(String, Option<String>)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct OfflineQuestion {
    pub(super) controller: String,
    pub(super) project: ProjectView,
    pub(super) function: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) label: Option<String>,
    pub(super) node: NodeClass,
    #[serde(with = "super::written::requested")]
    pub(super) requested: Vec<(String, Option<String>)>,
    pub(super) client_asks_offline: bool,
}

/// How a build ended, as policies are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) struct Ending {
    /// None if the controller does not say.
    #[serde(rename = "build-result", with = "super::written::result")]
    pub(super) result: Option<BuildResult>,
    #[serde(default)]
    pub(super) duration_ms: u64,
}
