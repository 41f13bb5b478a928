//! Whether a project is offered on a node.

use std::collections::BTreeSet;

use crate::domain::{Mode, Node, NodeName, Project, ProjectKind};

/// Returns whether the project's functions are offered on the node now.
///
/// `label_holds` is what the project's label expression says of the node's labels, none if the project has no label.
pub fn is_offered(project: &Project, node: &Node, label_holds: Option<bool>) -> bool {
    project.buildable && node.is_online() && matches(node.mode, label_holds)
}

/// Returns whether Jenkins would ever start such a project on such a node, the moment aside.
///
/// An expression that holds overrules the node's mode; without a label, exclusive nodes are left alone.
pub fn matches(mode: Mode, label_holds: Option<bool>) -> bool {
    label_holds.unwrap_or(mode == Mode::Normal)
}

/// Returns the text of the label expression that decides where a project is offered; none if it may roam.
///
/// Pipelines belong to the controller's own node, whatever labels their stages ask for.
pub fn effective_label<'a>(project: &'a Project, self_label: &'a str) -> Option<&'a str> {
    match project.kind {
        ProjectKind::Pipeline => Some(self_label),
        ProjectKind::Freestyle
        | ProjectKind::Maven
        | ProjectKind::Matrix
        | ProjectKind::Other
        | ProjectKind::Unknown => project.label.as_deref().filter(|label| !label.trim().is_empty()),
    }
}

/// What a controller's own node is called among labels, the newer name first. Pipelines are tied to it, and say so nowhere.
pub const SELF_LABELS: [&str; 2] = ["built-in", "master"];

/// Returns the controller's self label: the name that its built-in node carries as a label.
///
/// `master` on controllers that are old or were never migrated. Migrated ones often keep `master` as a configured label
/// for the sake of old projects, so the new name goes first.
pub fn self_label<'a>(nodes: impl IntoIterator<Item = &'a Node>) -> &'static str {
    let built_in = nodes.into_iter().find(|node| node.name == NodeName::BuiltIn);
    self_label_among(built_in.map(|node| &node.labels))
}

fn self_label_among(labels: Option<&BTreeSet<String>>) -> &'static str {
    let [new, old] = SELF_LABELS;
    match labels {
        Some(labels) if !labels.contains(new) && labels.contains(old) => old,
        _ => new,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_overrules_the_mode_and_without_one_exclusive_nodes_are_left_alone() {
        let table = [
            (Mode::Normal, None, true),
            (Mode::Exclusive, None, false),
            (Mode::Normal, Some(true), true),
            (Mode::Exclusive, Some(true), true),
            (Mode::Normal, Some(false), false),
            (Mode::Exclusive, Some(false), false),
        ];
        for (mode, label_holds, expected) in table {
            assert_eq!(matches(mode, label_holds), expected, "{mode:?} {label_holds:?}");
        }
    }

    #[test]
    fn the_self_label_is_the_one_that_the_built_in_node_carries() {
        let table: [(&[&str], &str); 4] = [
            (&["built-in", "linux"], "built-in"),
            (&["master"], "master"),
            (&["master", "built-in"], "built-in"),
            (&["controller"], "built-in"),
        ];
        for (labels, expected) in table {
            let labels = labels.iter().map(|label| (*label).to_owned()).collect();
            assert_eq!(self_label_among(Some(&labels)), expected, "{labels:?}");
        }
        assert_eq!(self_label([]), "built-in");
    }
}
