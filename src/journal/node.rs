//! How the journal writes a node's name: told apart by kind, so that no agent can be taken for the built-in node.
//!
//! Must stay readable for ever: an attempt may be taken up by a later version.

use serde::{Deserialize, Serialize};

use crate::domain::NodeName;

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum StoredNode {
    BuiltIn,
    Agent(String),
}

impl From<&NodeName> for StoredNode {
    fn from(name: &NodeName) -> Self {
        match name {
            NodeName::BuiltIn => Self::BuiltIn,
            NodeName::Agent(name) => Self::Agent(name.clone()),
        }
    }
}

impl From<StoredNode> for NodeName {
    fn from(stored: StoredNode) -> Self {
        match stored {
            StoredNode::BuiltIn => Self::BuiltIn,
            StoredNode::Agent(name) => Self::Agent(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_earlier_versions_wrote_is_read_and_written_the_same() {
        for (name, json) in [
            (NodeName::BuiltIn, r#""built-in""#),
            (NodeName::agent("n1"), r#"{"agent":"n1"}"#),
            (NodeName::agent("(built-in)"), r#"{"agent":"(built-in)"}"#),
        ] {
            assert_eq!(serde_json::to_string(&StoredNode::from(&name)).unwrap(), json);
            assert_eq!(NodeName::from(serde_json::from_str::<StoredNode>(json).unwrap()), name);
        }
    }
}
