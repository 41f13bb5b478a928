use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::RunningBuild;

/// A node's name, unique on its controller.
///
/// Jenkins localises the display name of its own node and calls it `""` in builds, so that one is told apart by kind
/// and never by text.
///
/// Shown to people, and written as JSON, as plain text: an agent's name, or `(built-in)`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub enum NodeName {
    BuiltIn,
    Agent(String),
}

const BUILT_IN: &str = "(built-in)";

impl NodeName {
    pub fn agent(name: impl Into<String>) -> Self {
        Self::Agent(name.into())
    }

    /// Returns the name as Jenkins writes it in `builtOn` and as the plugin reports it in `node_name`: empty for the
    /// built-in node.
    pub fn as_reported(&self) -> &str {
        match self {
            Self::BuiltIn => "",
            Self::Agent(name) => name,
        }
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BuiltIn => BUILT_IN,
            Self::Agent(name) => name,
        })
    }
}

impl From<NodeName> for String {
    fn from(name: NodeName) -> Self {
        match name {
            NodeName::BuiltIn => BUILT_IN.to_owned(),
            NodeName::Agent(name) => name,
        }
    }
}

impl From<String> for NodeName {
    fn from(text: String) -> Self {
        if text == BUILT_IN { Self::BuiltIn } else { Self::Agent(text) }
    }
}

/// Which projects a node takes: Jenkins' "usage".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Any project.
    #[default]
    Normal,
    /// Only projects whose label expression the node satisfies.
    Exclusive,
}

/// A node as its controller last described it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    pub name: NodeName,
    /// Disconnected, or temporarily offline.
    pub offline: bool,
    pub temporarily_offline: bool,
    pub offline_reason: Option<String>,
    pub mode: Mode,
    /// Configured and dynamic labels, and the node's self label (its own name; `built-in` or `master`).
    pub labels: BTreeSet<String>,
    /// What is configured; the list of executors can lag behind it.
    pub executor_count: u32,
    pub executors: Vec<Executor>,
    /// Builds that run here without using an executor: pipelines and matrix parents.
    pub flyweights: Vec<RunningBuild>,
}

impl Node {
    /// Returns a node of which nothing but its name is known: online, for any project, without labels and executors.
    pub fn new(name: NodeName) -> Self {
        Self {
            name,
            offline: false,
            temporarily_offline: false,
            offline_reason: None,
            mode: Mode::default(),
            labels: BTreeSet::new(),
            executor_count: 0,
            executors: Vec::new(),
            flyweights: Vec::new(),
        }
    }

    /// Returns whether a new build could be started here now, executors aside.
    pub fn is_online(&self) -> bool {
        !self.offline && !self.temporarily_offline
    }

    /// Returns the builds that are visible on this node, on executors and without.
    pub fn builds(&self) -> impl Iterator<Item = &RunningBuild> {
        let on_executors = self.executors.iter().filter_map(|executor| executor.build.as_ref());
        on_executors.chain(&self.flyweights)
    }
}

/// A slot of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Executor {
    /// Busy is told by this field alone: a build that we may not read is hidden.
    pub idle: bool,
    pub build: Option<RunningBuild>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_written_as_plain_text_and_read_back() {
        for (name, json) in [
            (NodeName::BuiltIn, r#""(built-in)""#),
            (NodeName::agent("n1"), r#""n1""#),
            (NodeName::agent("built-in"), r#""built-in""#),
        ] {
            assert_eq!(serde_json::to_string(&name).unwrap(), json);
            assert_eq!(serde_json::from_str::<NodeName>(json).unwrap(), name);
            assert_eq!(format!("\"{name}\""), json);
        }
    }
}
