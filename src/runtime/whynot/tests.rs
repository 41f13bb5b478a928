use expect_test::{Expect, expect};

use super::super::fleet::tests::{classic, fleet, project};
use super::*;
use crate::domain::{Mode, ProjectKind};
use crate::policy::{Config, Grant, SlotGuard};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn shown(nodes: &Nodes) -> String {
    let names: Vec<_> = nodes.examples.iter().map(|place| place.node.to_string()).collect();
    format!("{} ({})", nodes.count, names.join(" "))
}

#[track_caller]
fn check_with(fleet: &Fleet, policies: &Lineup, name: &str, node: Option<&str>, expected: Expect) {
    let question = Question::read(name, None, node).unwrap();
    let answer = why_not(fleet, policies, &question).unwrap();
    let mut text = match answer.offered.count {
        0 => String::new(),
        _ => format!("offered on {}\n", shown(&answer.offered)),
    };
    let reason = |reason: &Reason| {
        let texts = reason.texts.join("; ");
        format!("{} on {}: {texts}\n", reason.stage, shown(&reason.nodes))
    };
    text.extend(answer.reasons.iter().map(reason));
    let change = |change: &Change| {
        let also = format!("+{} -{}", change.also_added, change.also_withdrawn);
        format!("-> {}: on {}, also {also}\n", change.text, shown(&change.nodes))
    };
    text.extend(answer.changes.iter().map(change));
    expected.assert_eq(&text);
}

#[track_caller]
fn check(fleet: &Fleet, name: &str, node: Option<&str>, expected: Expect) {
    check_with(fleet, &classic(), name, node, expected);
}

#[test]
fn a_label_that_is_missing_is_found_and_so_is_one_that_is_too_many() {
    let nodes: [(&str, &[&str]); 3] = [("a", &["linux"]), ("b", &["linux", "docker"]), ("c", &["mac"])];
    let fleet = fleet(&nodes, vec![project("lint", Some("linux&&!docker")), project("other", Some("gpu"))]);
    check(
        &fleet,
        "build:lint:linux",
        None,
        expect![[r#"
            offered on 1 (a)
            labels on 2 (b c): the project asks for `linux&&!docker`, which the node's labels do not satisfy
            -> add the label `linux` to node c of ci: on 1 (c), also +1 -0
            -> take the label `docker` from node b of ci: on 1 (b), also +1 -0
            -> change the label expression of project lint on ci from `linux&&!docker` to `linux`: on 1 (b), also +1 -0
        "#]],
    );
    check(
        &fleet,
        "build:lint",
        Some("b"),
        expect![[r#"
        labels on 1 (b): the project asks for `linux&&!docker`, which the node's labels do not satisfy
        -> take the label `docker` from node b of ci: on 1 (b), also +1 -0
        -> take the label expression from project lint on ci, so that it may roam: on 1 (b), also +1 -1
    "#]],
    );
    check(
        &fleet,
        "build:other:gpu",
        Some("c"),
        expect![[r#"
        labels on 1 (c): the project asks for `gpu`, which the node's labels do not satisfy
        -> add the label `gpu` to node c of ci: on 1 (c), also +1 -0
    "#]],
    );
    check(
        &fleet,
        "other",
        None,
        expect![[r#"
        labels on 3 (a b c): the project asks for `gpu`, which the node's labels do not satisfy
        -> add the label `gpu` to node a of ci: on 1 (a), also +1 -0
        -> take the label expression from project other on ci, so that it may roam: on 3 (a b c), also +0 -0
        -> add a node to ci with the label `gpu`: on 1 ((another node)), also +1 -0
    "#]],
    );
}

#[test]
fn a_suffix_that_the_expression_does_not_name_asks_for_another_expression() {
    let fleet = fleet(&[("a", &["linux", "gpu"])], vec![project("lint", Some("linux"))]);
    check(
        &fleet,
        "build:lint:gpu",
        None,
        expect![[r#"
        names on 1 (a): it is offered as build:lint, build:lint:linux, and not so
        -> change the label expression of project lint on ci from `linux` to `(linux)||gpu`: on 1 (a), also +0 -0
    "#]],
    );
}

#[test]
fn nodes_controllers_and_projects_that_are_out_of_service_are_named_first() {
    let mut disabled = project("off", None);
    disabled.buildable = false;
    let mut unknown = project("strange", None);
    unknown.kind = ProjectKind::Unknown;
    let mut fleet = fleet(&[("a", &[]), ("b", &[])], vec![disabled, unknown, project("lint", None)]);
    check(
        &fleet,
        "off",
        None,
        expect![[r#"
        project on 2 (a b): the project is disabled in Jenkins, or its folder is
        -> enable project off on ci: on 2 (a b), also +0 -0
    "#]],
    );
    check(
        &fleet,
        "strange",
        None,
        expect![[r#"
        project on 2 (a b): the project is of a kind that cannot be built from here
    "#]],
    );
    let controller = fleet.controllers.values_mut().next().unwrap();
    controller.nodes[0].online = false;
    controller.nodes[1].mode = Mode::Exclusive;
    check(
        &fleet,
        "build:lint",
        None,
        expect![[r#"
        usage on 1 (b): the project asks for no label, and the node takes only projects that ask for it (its usage)
        node on 1 (a): the node is offline
        -> bring node a of ci online: on 1 (a), also +0 -0
        -> set the usage of node b of ci to "as much as possible": on 1 (b), also +0 -0
        -> give project lint on ci the label expression `b`: on 1 (b), also +1 -0
    "#]],
    );
    fleet.controllers.values_mut().for_each(|controller| controller.serve = false);
    check(
        &fleet,
        "off",
        Some("a"),
        expect![[r#"
        controller on 1 (a): the controller is only managed (serve = false); the project is disabled in Jenkins, or its folder is; the node is offline
    "#]],
    );
}

#[test]
fn who_lost_a_name_is_told_who_has_it() {
    let fleet = fleet(&[("a", &[])], vec![project("x/lint", None), project("y/lint", None)]);
    check(
        &fleet,
        "x/lint",
        None,
        expect![[r#"
        clash on 1 (a): the name means y/lint, which had it first or is walked later
        -> disable project y/lint, which has the name: on 1 (a), also +0 -0
    "#]],
    );
}

#[test]
fn a_name_that_nobody_has_is_told_with_those_that_are_like_it() {
    let fleet = fleet(&[("a", &[])], vec![project("team/lint-all", None)]);
    check(
        &fleet,
        "build:lint",
        None,
        expect![[r#"
        name on 0 (): nothing is called lint, neither a project nor what a policy makes of one; is one of these meant: team/lint-all
    "#]],
    );
    assert!(matches!(Question::read("stop:ci", None, None), Err(Error::NoBuild(_))));
    assert!(Question::read("build:", None, None).is_ok());
    let question = |controller, node| why_not(&fleet, &classic(), &Question::read("x", controller, node).unwrap());
    assert_eq!(question(Some("no"), None).unwrap_err().to_string(), "no controller is called no: there are ci");
    assert_eq!(question(None, Some("no")).unwrap_err().to_string(), "no node is called no there");
}

#[test]
fn a_policy_that_widens_needs_its_grant_and_a_project_that_can_be_pinned() {
    let file = std::path::Path::new(ROOT).join("policies/label-hierarchy/label-hierarchy.wasm");
    let mut config = Config::new("");
    let mut pinnable = project("pinnable", Some("ubuntu"));
    pinnable.parameters = Some(vec![crate::domain::DeclaredParameter {
        name: "NODE".to_owned(),
        kind: "NodeParameterDefinition".to_owned(),
    }]);
    let fleet = fleet(&[("a", &["ubuntu-22.04"])], vec![pinnable, project("fixed", Some("ubuntu"))]);
    let lineup = |config: &Config| {
        let mut lineup = Lineup::classic(config).unwrap();
        lineup.seat(&file).unwrap();
        lineup
    };
    let grants = |grants: &[Grant]| SlotGuard { grants: grants.iter().copied().collect(), ..SlotGuard::default() };
    config.slots.insert("label-hierarchy".to_owned(), grants(&[Grant::Labels]));
    check_with(
        &fleet,
        &lineup(&config),
        "pinnable",
        None,
        expect![[r#"
        grant on 1 (a): policy label-hierarchy would have it there and may not: the node serves `ubuntu`; to let it widen, add grants = ["widen"] to policies.slots.label-hierarchy
        -> add the label `ubuntu` to node a of ci: on 1 (a), also +3 -0
        -> grant it to policy label-hierarchy: add grants = ["widen"] to policies.slots.label-hierarchy: on 1 (a), also +1 -0
        -> take the label expression from project pinnable on ci, so that it may roam: on 1 (a), also +0 -0
    "#]],
    );
    config.slots.insert("label-hierarchy".to_owned(), grants(&[Grant::Labels, Grant::Widen]));
    check_with(
        &fleet,
        &lineup(&config),
        "pinnable",
        None,
        expect![[r#"
        offered on 1 (a)
    "#]],
    );
    check_with(
        &fleet,
        &lineup(&config),
        "fixed",
        None,
        expect![[r#"
        pin on 1 (a): only a policy has it there, and the project cannot be pinned to a node: Jenkins would never start it there
        -> add the label `ubuntu` to node a of ci: on 1 (a), also +1 -0
        -> declare a parameter NODE of the NodeLabel plugin ("Node") in project fixed on ci: on 1 (a), also +1 -0
        -> take the label expression from project fixed on ci, so that it may roam: on 1 (a), also +0 -0
    "#]],
    );
}
