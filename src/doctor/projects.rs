//! Whether each project's builds can be tied to jobs, pinned and named.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::{Facts, Rules, Seen};
use super::finding::{Code, Finding, Subject, listed};
use crate::classic::matching::{effective_label, matches, self_label};
use crate::classic::names::{build_functions, walk_order};
use crate::domain::{ControllerName, Node, Project, ProjectKind, ProjectName};
use crate::label::Expression;
use crate::policy::Hook;

/// A project as one controller has it, and where it could run there.
struct Placed<'a> {
    project: &'a Project,
    expression: Option<Expression>,
    /// Nodes that match, offline ones too: they come back.
    nodes: Vec<&'a Node>,
}

/// What was found of a project, on which controllers.
type Found = BTreeMap<(ProjectName, Code, String, String), BTreeSet<ControllerName>>;

pub(super) fn examine(facts: &Facts, findings: &mut Vec<Finding>) {
    let mut found = Found::new();
    let mut placed_somewhere: BTreeMap<&ProjectName, bool> = BTreeMap::new();
    for (controller, seen, project) in facts.offered() {
        let placed = Placed::new(project, seen);
        *placed_somewhere.entry(&project.name).or_default() |= !placed.nodes.is_empty();
        let problems = [marker(&facts.rules, project), pin(&facts.rules, &placed)].into_iter().flatten();
        for (code, seen, fix) in problems.chain(names(&placed)) {
            found.entry((project.name.clone(), code, seen, fix)).or_default().insert(controller.name.clone());
        }
        if placed.nodes.is_empty() && !facts.is_asked_of_policies(Hook::Matching) {
            let (seen, fix) = no_node(&placed);
            found.entry((project.name.clone(), Code::NoNode, seen, fix)).or_default().insert(controller.name.clone());
        }
    }
    // On one controller that has such a node it is served.
    found.retain(|(name, code, ..), _| *code != Code::NoNode || !placed_somewhere.get(name).copied().unwrap_or(false));
    for (controller, seen) in facts.serving() {
        for project in seen.projects.iter().filter(|it| it.buildable && it.kind == ProjectKind::Unknown) {
            let seen = "it is of a kind that cannot be built from here, and is not offered".to_owned();
            let fix = "build it otherwise, or make a freestyle project or a pipeline of it".to_owned();
            let key = (project.name.clone(), Code::KindUnknown, seen, fix);
            found.entry(key).or_default().insert(controller.name.clone());
        }
    }
    findings.extend(found.into_iter().map(|((name, code, seen, fix), controllers)| {
        Finding::new(code, seen, fix).on(controllers).about_project(&name)
    }));
    if !facts.is_asked_of_policies(Hook::Naming) {
        clashes(facts, findings);
    }
}

impl<'a> Placed<'a> {
    fn new(project: &'a Project, seen: &'a Seen) -> Self {
        let expression = effective_label(project, self_label(&seen.nodes)).map(Expression::lookup);
        let holds = |node: &Node| expression.as_ref().map(|it| it.evaluate(|atom| node.labels.contains(atom)));
        let nodes = seen.nodes.iter().filter(|node| matches(node.mode, holds(node))).collect();
        Self { project, expression, nodes }
    }

    /// Returns the atoms that become part of a function's name on some node.
    fn suffixes(&self) -> BTreeSet<&str> {
        let atoms = self.expression.as_ref().map(Expression::atoms).unwrap_or_default();
        atoms.into_iter().filter(|atom| self.nodes.iter().any(|node| node.labels.contains(*atom))).collect()
    }
}

type Problem = (Code, String, String);

fn marker(rules: &Rules, project: &Project) -> Option<Problem> {
    project.parameters.as_ref()?;
    let Some(marker) = project.marker(&rules.markers) else {
        let seen = format!("it declares none of builds.markers ({})", rules.markers.join(", "));
        let first = rules.markers.first().map_or("UUID", String::as_str);
        let fix = format!(
            "declare a String parameter {first}, empty by default (`layshaft doctor --jjb` and `--config-xml` write it): \
             without one, only one build of a project waits at a time"
        );
        return Some((Code::NoMarker, seen, fix));
    };
    if marker.takes_any_text() {
        return None;
    }
    let seen = format!("its marker {} is a {}, which cannot carry the unique of a job", marker.name, marker.kind);
    Some((Code::MarkerKind, seen, format!("make {} a String parameter", marker.name)))
}

fn pin(rules: &Rules, placed: &Placed<'_>) -> Option<Problem> {
    let project = placed.project;
    // A pipeline belongs to the controller, and its steps choose nodes for themselves; a matrix has its cells do so.
    if project.kind.runs_in_parts() || project.parameters.is_none() || project.pin(&rules.pin_parameters).is_some() {
        return None;
    }
    let stray: BTreeMap<&str, &Node> = placed
        .suffixes()
        .into_iter()
        .filter_map(|atom| Some((atom, *placed.nodes.iter().find(|node| !node.labels.contains(atom))?)))
        .collect();
    let fix = "declare a Node parameter of the NodeLabel plugin (Jenkins Job Builder: `- node: {name: NODE}`)";
    if let Some((atom, node)) = stray.first_key_value() {
        let functions = stray.keys().map(|atom| format!("build:{}:{atom}", project.name.short()));
        let label = project.label.as_deref().unwrap_or_default();
        let seen = format!(
            "{} may be built on any node of {label:?}: {} has no {atom}, and nothing pins builds",
            listed(functions),
            node.name
        );
        return Some((Code::LabelNotKept, seen, format!("{fix}, or give each label a project of its own")));
    }
    (placed.nodes.len() > 1).then(|| {
        let seen = "it cannot be pinned: Jenkins chooses the node within its label, not the worker that took the job";
        (Code::NotPinned, seen.to_owned(), format!("{fix} if builds must run on the very node"))
    })
}

fn names(placed: &Placed<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    let functions = build_functions(placed.project.name.short(), &placed.suffixes());
    let with_space: Vec<String> =
        functions.iter().map(ToString::to_string).filter(|name| name.contains(char::is_whitespace)).collect();
    if !with_space.is_empty() {
        let names = listed(with_space.iter().map(|name| format!("{name:?}")));
        let seen = format!("{names} has white space, at which Zuul cuts function names");
        let fix = "rename the project, or its label, without white space".to_owned();
        problems.push((Code::WhiteSpace, seen, fix));
    }
    if let Some(error) = functions.iter().find_map(|function| function.name().err()) {
        problems.push((
            Code::NameTooLong,
            error.to_string(),
            "give the project, or its label, a shorter name".to_owned(),
        ));
    }
    problems
}

fn no_node(placed: &Placed<'_>) -> (String, String) {
    let seen = match placed.expression.as_ref().map(ToString::to_string) {
        Some(label) => format!("no node has what its label {label:?} asks for, so that nobody takes its jobs"),
        None => "every node is reserved for projects with a label, so that nobody takes its jobs".to_owned(),
    };
    (seen, "label a node so, or change the project's label".to_owned())
}

/// One short name for several projects: without a naming policy only one of them is offered.
fn clashes(facts: &Facts, findings: &mut Vec<Finding>) {
    let mut by_short: BTreeMap<&str, BTreeMap<&ProjectName, BTreeSet<&ControllerName>>> = BTreeMap::new();
    for (controller, _, project) in facts.offered() {
        let owners = by_short.entry(project.name.short()).or_default();
        owners.entry(&project.name).or_default().insert(&controller.name);
    }
    for (short, owners) in by_short.into_iter().filter(|(_, owners)| owners.len() > 1) {
        let mut names: Vec<&ProjectName> = owners.keys().copied().collect();
        names.sort_by(|a, b| walk_order(a, b));
        let Some((owner, refused)) = names.split_last() else { continue };
        let seen = format!("it means {owner}, so that {} cannot be started", listed(refused));
        let fix = "drop a naming policy such as folder-names into the policy folder (it offers full names), or rename the projects";
        let controllers: BTreeSet<ControllerName> = owners.into_values().flatten().cloned().collect();
        let function = Subject::Function(format!("build:{short}"));
        findings.push(Finding::new(Code::NameClash, seen, fix).on(controllers).about(function));
    }
}
