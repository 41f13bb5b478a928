use std::collections::{BTreeMap, BTreeSet};

use super::{BUILT_IN, Place, World};
use crate::domain::Mode;
use crate::simulator::fleet::NodeSpec;

/// A node with its executors and what runs on them.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Empty for the controller's own node.
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) mode: Mode,
    /// The configured labels; the self label comes on top.
    pub(crate) labels: BTreeSet<String>,
    pub(crate) executor_count: u32,
    /// By number. An executor that was configured away stays until it is idle.
    pub(crate) executors: BTreeMap<u32, Option<Occupant>>,
    pub(crate) one_offs: Vec<Occupant>,
    /// Set while temporarily offline.
    pub(crate) mark: Option<OfflineMark>,
    /// Set while disconnected.
    pub(crate) disconnected: Option<OfflineMark>,
    /// Deleted, and listed only until its builds are over.
    pub(crate) removed: bool,
}

/// Who put a node offline, when and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OfflineMark {
    pub(crate) user: String,
    pub(crate) reason: String,
    pub(crate) at: u64,
}

/// What an executor is busy with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Occupant {
    /// A queue item that was handed to the executor and has not started.
    Pending {
        id: u64,
    },
    Build {
        project: String,
        number: u64,
    },
    /// A pipeline's `node` step.
    Placeholder {
        project: String,
        number: u64,
    },
}

impl Node {
    pub(super) fn new(name: &str, executor_count: u32, labels: BTreeSet<String>, mode: Mode) -> Self {
        Self {
            name: name.to_owned(),
            description: String::new(),
            mode,
            labels,
            executor_count,
            executors: (0..executor_count).map(|number| (number, None)).collect(),
            one_offs: Vec::new(),
            mark: None,
            disconnected: None,
            removed: false,
        }
    }

    pub(crate) fn is_built_in(&self) -> bool {
        self.name == BUILT_IN
    }

    pub(crate) fn is_online(&self) -> bool {
        self.mark.is_none() && self.disconnected.is_none() && !self.removed
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.one_offs.is_empty() && self.executors.values().all(Option::is_none)
    }

    pub(crate) fn busy_executors(&self) -> usize {
        self.executors.values().filter(|occupant| occupant.is_some()).count()
    }

    pub(crate) fn idle_executor_number(&self) -> Option<u32> {
        let mut executors = self.executors.iter();
        executors.find(|(number, occupant)| **number < self.executor_count && occupant.is_none()).map(|(n, _)| *n)
    }

    /// Drops and adds executors until they are what is configured; busy ones stay.
    fn adjust_executors(&mut self) {
        let count = self.executor_count;
        self.executors.retain(|number, occupant| *number < count || occupant.is_some());
        for number in 0..count {
            self.executors.entry(number).or_insert(None);
        }
    }
}

impl World {
    /// Returns the label that stands for the node itself.
    pub(crate) fn self_label<'n>(&self, node: &'n Node) -> &'n str {
        match (node.is_built_in(), self.settings.version.calls_own_node_built_in()) {
            (true, true) => "built-in",
            (true, false) => "master",
            (false, _) => &node.name,
        }
    }

    pub(crate) fn node_display_name<'n>(&self, node: &'n Node) -> &'n str {
        match (node.is_built_in(), self.settings.version.calls_own_node_built_in()) {
            (true, true) => "Built-In Node",
            (true, false) => "master",
            (false, _) => &node.name,
        }
    }

    pub(crate) fn has_label(&self, node: &Node, atom: &str) -> bool {
        node.labels.contains(atom) || self.self_label(node) == atom
    }

    pub(crate) fn add_node(&mut self, spec: &NodeSpec) -> bool {
        if spec.name.is_empty() || self.nodes.contains_key(&spec.name) {
            return false;
        }
        let mut node = Node::new(&spec.name, spec.executors, spec.labels.iter().cloned().collect(), spec.mode);
        node.description.clone_from(&spec.description);
        self.nodes.insert(spec.name.clone(), node);
        self.settle();
        true
    }

    /// Deletes an agent; while builds run on it, it stays listed.
    pub(crate) fn remove_node(&mut self, name: &str) -> bool {
        if name == BUILT_IN {
            return false;
        }
        let Some(node) = self.nodes.get_mut(name).filter(|node| !node.removed) else { return false };
        node.removed = true;
        self.prune_node(name);
        true
    }

    pub(crate) fn mark_offline(&mut self, name: &str, mark: Option<OfflineMark>) -> bool {
        let Some(node) = self.nodes.get_mut(name) else { return false };
        node.mark = mark;
        self.settle();
        true
    }

    /// Connects an agent, or disconnects it, which fails the builds that run on it.
    pub(crate) fn set_disconnected(&mut self, name: &str, mark: Option<OfflineMark>) -> bool {
        let Some(node) = self.nodes.get_mut(name) else { return false };
        let lost = mark.is_some();
        node.disconnected = mark;
        if lost {
            self.fail_builds_on(name);
        }
        self.settle();
        true
    }

    pub(crate) fn reconfigure_node(
        &mut self,
        name: &str,
        executors: Option<u32>,
        labels: Option<BTreeSet<String>>,
        mode: Option<Mode>,
    ) -> bool {
        let Some(node) = self.nodes.get_mut(name) else { return false };
        node.labels = labels.unwrap_or_else(|| std::mem::take(&mut node.labels));
        node.mode = mode.unwrap_or(node.mode);
        node.executor_count = executors.unwrap_or(node.executor_count);
        node.adjust_executors();
        self.settle();
        true
    }

    pub(super) fn occupy(&mut self, place: &Place, occupant: Occupant) {
        let Some(node) = self.nodes.get_mut(&place.node) else { return };
        match place.executor {
            Some(number) => {
                node.executors.insert(number, Some(occupant));
            }
            None => node.one_offs.push(occupant),
        }
    }

    pub(super) fn vacate(&mut self, place: &Place, occupant: &Occupant) {
        let Some(node) = self.nodes.get_mut(&place.node) else { return };
        match place.executor {
            Some(number) => {
                if node.executors.get(&number).is_some_and(|found| found.as_ref() == Some(occupant)) {
                    node.executors.insert(number, None);
                }
            }
            None => node.one_offs.retain(|found| found != occupant),
        }
        node.adjust_executors();
        self.prune_node(&place.node);
    }

    fn prune_node(&mut self, name: &str) {
        if self.nodes.get(name).is_some_and(|node| node.removed && node.is_idle()) {
            self.nodes.remove(name);
        }
    }
}
