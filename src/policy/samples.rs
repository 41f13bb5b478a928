//! What tests ask policies about.

use std::collections::BTreeSet;

use super::generation::Controller;
use crate::domain::{ControllerName, Mode, Node, NodeName, Project, ProjectKind, ProjectName};

pub(super) fn controller(name: &str) -> Controller {
    Controller { name: ControllerName::new(name), tags: BTreeSet::new() }
}

pub(super) fn project(name: &str) -> Project {
    Project {
        name: ProjectName::new(name),
        kind: ProjectKind::Freestyle,
        buildable: true,
        concurrent: true,
        label: None,
        parameters: Some(Vec::new()),
    }
}

pub(super) fn node(name: &str, labels: &[&str]) -> Node {
    Node {
        name: NodeName::agent(name),
        offline: false,
        temporarily_offline: false,
        offline_reason: None,
        mode: Mode::Normal,
        labels: labels.iter().map(|&label| label.to_owned()).chain([name.to_owned()]).collect(),
        executor_count: 1,
        executors: Vec::new(),
        flyweights: Vec::new(),
    }
}
