//! The function sets of the plugin, row by row: V1-V8 and V10 are its own unit tests, the others follow from its code.
//!
//! Here alone the label language and the rules meet, as they do in the program.

use super::{matching, names};
use crate::domain::{Mode, Node, NodeName, Project, ProjectKind};

/// Returns the function names of a project on a node of a controller whose self label is `built-in`.
fn offered(project: &Project, node: &Node) -> Vec<String> {
    let label = matching::effective_label(project, "built-in").map(crate::label::Expression::lookup);
    let label_holds = label.as_ref().map(|label| label.evaluate(|atom| node.labels.contains(atom)));
    if !matching::is_offered(project, node, label_holds) {
        return Vec::new();
    }
    let atoms = label.as_ref().map(crate::label::Expression::atoms).unwrap_or_default();
    names::build_functions(project.name.short(), &names::suffixes(&atoms, &node.labels))
        .iter()
        .map(|function| function.name().unwrap().to_string())
        .collect()
}

fn lemon(label: Option<&str>) -> Project {
    Project { label: label.map(str::to_owned), parameters: None, ..Project::sample("fruit/lemon") }
}

fn agent(labels: &str) -> Node {
    let labels = labels.split_whitespace().chain(["slave0"]).map(str::to_owned).collect();
    Node { labels, executor_count: 1, ..Node::new(NodeName::agent("slave0")) }
}

#[test]
fn each_row_offers_exactly_the_functions_of_the_plugin() {
    let linux = || agent("ubuntu gcc python-2.4 linux");
    let built_in = || Node { name: NodeName::BuiltIn, labels: ["built-in".to_owned()].into(), ..agent("") };
    let of_kind = |kind, label| Project { kind, ..lemon(label) };
    let rows: &[(&str, Project, Node, &[&str])] = &[
        ("V1", lemon(Some("linux")), linux(), &["build:lemon", "build:lemon:linux"]),
        ("V2", lemon(Some("bogus")), linux(), &[]),
        ("V3", lemon(None), linux(), &["build:lemon"]),
        ("V3, empty label", lemon(Some("")), linux(), &["build:lemon"]),
        ("V4", lemon(None), Node { mode: Mode::Exclusive, ..linux() }, &[]),
        ("V5", Project { buildable: false, ..lemon(Some("linux")) }, linux(), &[]),
        ("V6, disconnected", lemon(Some("linux")), Node { offline: true, ..linux() }, &[]),
        ("V6, temporarily", lemon(Some("linux")), Node { temporarily_offline: true, ..linux() }, &[]),
        ("V7", of_kind(ProjectKind::Maven, Some("linux")), linux(), &["build:lemon", "build:lemon:linux"]),
        ("V7, matrix", of_kind(ProjectKind::Matrix, Some("linux")), linux(), &["build:lemon", "build:lemon:linux"]),
        ("V7, other", of_kind(ProjectKind::Other, Some("linux")), linux(), &["build:lemon", "build:lemon:linux"]),
        ("V8", lemon(Some("\"!linux\"")), linux(), &[]),
        ("V8, without linux", lemon(Some("\"!linux\"")), agent("bsd"), &[]),
        ("V9", lemon(Some("!linux")), agent("bsd"), &["build:lemon"]),
        ("V10", of_kind(ProjectKind::Pipeline, None), built_in(), &["build:lemon", "build:lemon:built-in"]),
        ("V11", of_kind(ProjectKind::Pipeline, None), linux(), &[]),
        ("V12", lemon(Some("precise || oneiric")), agent("precise"), &["build:lemon", "build:lemon:precise"]),
        (
            "V13",
            lemon(Some("precise || oneiric")),
            agent("precise oneiric"),
            &["build:lemon", "build:lemon:oneiric", "build:lemon:precise"],
        ),
        (
            "V14",
            lemon(Some("precise && gpu")),
            agent("precise gpu"),
            &["build:lemon", "build:lemon:gpu", "build:lemon:precise"],
        ),
        ("V15", lemon(Some("linux && !arm")), agent("linux"), &["build:lemon", "build:lemon:linux"]),
        ("V16", lemon(Some("slave0")), agent(""), &["build:lemon", "build:lemon:slave0"]),
        // Tied without a node string: such a project's label is the self label.
        ("V17", lemon(Some("built-in")), built_in(), &["build:lemon", "build:lemon:built-in"]),
        ("V18", lemon(Some("linux")), Node { mode: Mode::Exclusive, ..linux() }, &["build:lemon", "build:lemon:linux"]),
        ("V19", lemon(Some("a || !b")), agent("a b"), &["build:lemon", "build:lemon:a", "build:lemon:b"]),
    ];
    for (row, project, node, expected) in rows {
        assert_eq!(offered(project, node), *expected, "{row}");
    }
}

#[test]
fn a_controller_that_was_never_migrated_offers_its_pipelines_as_master() {
    let node = Node { name: NodeName::BuiltIn, labels: ["master".to_owned()].into(), ..agent("") };
    let pipeline = Project { kind: ProjectKind::Pipeline, ..lemon(Some("ignored")) };
    assert_eq!(matching::effective_label(&pipeline, matching::self_label([&agent("linux"), &node])), Some("master"));
}
