//! A fleet out of nothing, for trials: it looks like what sites have, and is the same every time.

use std::time::Duration;

use crate::domain::{BuildResult, Mode, ProjectKind};

use super::fleet::{BuiltInSpec, Fleet, Length, NodeSpec, ParameterKind, ParameterSpec, ProjectSpec};

/// Each node has one of these sets of labels.
const NODES: [(&[&str], u32); 5] = [
    (&["linux", "ubuntu-22.04", "docker"], 2),
    (&["linux", "ubuntu-24.04", "docker"], 2),
    (&["linux", "ubuntu-24.04", "gpu-2"], 1),
    (&["windows", "windows-2022"], 2),
    (&["macos"], 1),
];

/// Each project asks for one of these; the first for none.
const LABELS: [Option<&str>; 7] = [
    None,
    Some("linux"),
    Some("docker"),
    Some("linux && !docker"),
    Some("ubuntu-22.04 || ubuntu-24.04"),
    Some("windows"),
    Some("macos"),
];

const FOLDERS: [&str; 4] = ["", "shop/", "shop/web/", "infra/"];

const TASKS: [&str; 5] = ["test", "lint", "package", "docs", "deploy"];

impl Fleet {
    /// Returns a made-up fleet of that size. The projects do not depend on `controller`, which is what a site wants
    /// that shares one queue; the nodes are called after it.
    pub fn sample(controller: &str, nodes: usize, projects: usize) -> Self {
        Self {
            built_in: BuiltInSpec { executors: 1, mode: Mode::Exclusive, ..BuiltInSpec::default() },
            nodes: (0..nodes).map(|index| node(controller, index)).collect(),
            projects: (0..projects).map(project).collect(),
            ..Self::default()
        }
    }
}

fn node(controller: &str, index: usize) -> NodeSpec {
    let (labels, executors) = NODES[index % NODES.len()];
    NodeSpec::new(format!("{controller}-{}", index + 1), executors, labels)
}

fn project(index: usize) -> ProjectSpec {
    let (folder, task) = (FOLDERS[index % FOLDERS.len()], TASKS[index % TASKS.len()]);
    let is_pipeline = index % 10 == 9;
    let parameter = |name: &str, kind| ParameterSpec::new(name, kind, "");
    ProjectSpec {
        kind: if is_pipeline { ProjectKind::Pipeline } else { ProjectKind::Freestyle },
        label: LABELS[index % LABELS.len()].map(str::to_owned),
        concurrent: index % 3 != 2,
        duration: Length::Fixed(Duration::from_secs(2 + (index % 9) as u64)),
        result: if index % 20 == 13 { BuildResult::Failure } else { BuildResult::Success },
        parameters: vec![
            // What ties a build to its job; one project in eight has forgotten it.
            parameter(if index % 8 == 7 { "BRANCH" } else { "ZUUL_UUID" }, ParameterKind::String),
            parameter("CHANGE", ParameterKind::String),
            parameter("OFFLINE_NODE_WHEN_COMPLETE", ParameterKind::String),
            parameter("NODE", ParameterKind::Node),
        ],
        ..ProjectSpec::new(format!("{folder}{task}-{}", index + 1))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_sample_has_the_size_that_was_asked_for_and_no_name_twice() {
        let fleet = Fleet::sample("alpha", 40, 500);
        let nodes: BTreeSet<_> = fleet.nodes.iter().map(|node| &node.name).collect();
        let projects: BTreeSet<_> = fleet.projects.iter().map(|project| &project.full_name).collect();
        assert_eq!((nodes.len(), projects.len()), (40, 500));
    }

    #[test]
    fn controllers_share_their_projects_and_not_their_nodes() {
        let (alpha, beta) = (Fleet::sample("alpha", 3, 20), Fleet::sample("beta", 3, 20));
        assert_eq!(alpha.projects, beta.projects);
        assert!(alpha.nodes.iter().all(|node| !beta.nodes.contains(node)));
    }
}
