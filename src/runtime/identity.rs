//! Who a connection is: D1 of the design, connections are identity.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::{ControllerName, NodeName};

/// One connection to the Gearman server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct ConnectionId {
    pub(super) controller: ControllerName,
    pub(super) role: Role,
}

/// What a connection stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Role {
    /// Stop and set_description, one per controller.
    Manager,
    /// An executor of a node; relief connections have indices beyond the node's executors.
    Executor { node: NodeName, index: u32 },
    /// A slot for pipelines where the built-in node has no executors.
    Pipeline { index: u32 },
}

impl ConnectionId {
    pub(super) fn manager(controller: &ControllerName) -> Self {
        Self { controller: controller.clone(), role: Role::Manager }
    }

    pub(super) fn executor(controller: &ControllerName, node: &NodeName, index: u32) -> Self {
        Self { controller: controller.clone(), role: Role::Executor { node: node.clone(), index } }
    }

    pub(super) fn pipeline(controller: &ControllerName, index: u32) -> Self {
        Self { controller: controller.clone(), role: Role::Pipeline { index } }
    }

    /// Returns the node whose functions it offers; none for a manager.
    pub(super) fn node(&self) -> Option<&NodeName> {
        match &self.role {
            Role::Manager => None,
            Role::Executor { node, .. } => Some(node),
            Role::Pipeline { .. } => Some(&NodeName::BuiltIn),
        }
    }

    /// Returns the client id that the plugin would use: `HOST_manager`, `NODE_exec-I`, `HOST_exec-I` for the built-in
    /// node.
    pub(super) fn client_id(&self, host: &str) -> String {
        match &self.role {
            Role::Manager => format!("{host}_manager"),
            Role::Executor { node: NodeName::BuiltIn, index } => format!("{host}_exec-{index}"),
            Role::Executor { node: NodeName::Agent(name), index } => format!("{name}_exec-{index}"),
            Role::Pipeline { index } => format!("{host}_pipeline-{index}"),
        }
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.role {
            Role::Manager => write!(f, "{}/manager", self.controller),
            Role::Executor { node, index } => write!(f, "{}/{node}/{index}", self.controller),
            Role::Pipeline { index } => write!(f, "{}/pipeline/{index}", self.controller),
        }
    }
}
