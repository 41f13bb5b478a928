//! What tests ask policies about.

use std::collections::BTreeSet;

use super::generation::Controller;
use crate::domain::{ControllerName, Node, NodeName, Project};

pub(super) fn controller(name: &str) -> Controller {
    Controller { name: ControllerName::new(name), tags: BTreeSet::new() }
}

pub(super) fn project(name: &str) -> Project {
    Project::sample(name)
}

pub(super) fn node(name: &str, labels: &[&str]) -> Node {
    let labels = labels.iter().map(|&label| label.to_owned()).chain([name.to_owned()]).collect();
    Node { labels, executor_count: 1, ..Node::new(NodeName::agent(name)) }
}
