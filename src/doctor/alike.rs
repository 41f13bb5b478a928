//! Whether a project is the same on every controller. The same full name is the same project: any of them may build it.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::Facts;
use super::finding::{Code, Finding, listed};
use crate::domain::{ControllerName, Project, ProjectName};
use crate::label::Expression;

type Copies<'a> = BTreeMap<&'a ControllerName, &'a Project>;

const FIX: &str = "make it the same everywhere, best from one definition (Jenkins Job Builder, job DSL)";

pub(super) fn examine(facts: &Facts, findings: &mut Vec<Finding>) {
    let serving: BTreeSet<&ControllerName> = facts.serving().map(|(controller, _)| &controller.name).collect();
    let mut by_name: BTreeMap<&ProjectName, Copies<'_>> = BTreeMap::new();
    for (controller, _, project) in facts.offered() {
        by_name.entry(&project.name).or_default().insert(&controller.name, project);
    }
    // Where it is disabled it is there.
    let known: BTreeSet<(&ControllerName, &ProjectName)> = facts
        .serving()
        .flat_map(|(controller, seen)| seen.projects.iter().map(|project| (&controller.name, &project.name)))
        .collect();
    for (name, copies) in by_name {
        findings.extend(differences(&copies).into_iter().map(|(code, seen)| {
            Finding::new(code, seen, FIX).on(copies.keys().map(|&it| it.clone())).about_project(name)
        }));
        let missing = serving.iter().filter(|it| !known.contains(&(**it, name)));
        let missing: Vec<ControllerName> = missing.map(|&it| it.clone()).collect();
        if !missing.is_empty() {
            let seen = format!("only {} has it, or shows it", listed(copies.keys()));
            let fix = "define it there too if its jobs may run there, or let the user read it";
            findings.push(Finding::new(Code::ProjectMissing, seen, fix).on(missing).about_project(name));
        }
    }
}

/// Returns how the copies of a project differ. Kinds that differ explain everything else.
fn differences(copies: &Copies<'_>) -> Vec<(Code, String)> {
    let kinds = by_value(copies, |project| Some(project.kind));
    if kinds.len() > 1 {
        return vec![(Code::DiffersKind, told(&kinds, |kind| format!("{kind:?}").to_lowercase()))];
    }
    let mut differences = Vec::new();
    let labels = by_value(copies, |project| {
        Some(project.label.as_deref().map(|label| Expression::lookup(label).to_string()).unwrap_or_default())
    });
    if labels.len() > 1 {
        let shown = |label: &String| if label.is_empty() { "no label".to_owned() } else { format!("label {label:?}") };
        differences.push((Code::DiffersLabel, told(&labels, shown)));
    }
    let concurrent = by_value(copies, |project| Some(project.concurrent));
    if concurrent.len() > 1 {
        let shown =
            |concurrent: &bool| (if *concurrent { "concurrent builds" } else { "one build at a time" }).to_owned();
        differences.push((Code::DiffersConcurrent, told(&concurrent, shown)));
    }
    differences.extend(parameters(copies).map(|seen| (Code::DiffersParameters, seen)));
    differences
}

fn parameters(copies: &Copies<'_>) -> Option<String> {
    let known: Vec<_> = copies.iter().filter(|(_, project)| project.parameters.is_some()).collect();
    let names: BTreeSet<&str> =
        known.iter().flat_map(|(_, project)| project.parameters.iter().flatten()).map(|it| it.name.as_str()).collect();
    let differing = names.into_iter().filter_map(|name| {
        let mut kinds: BTreeMap<Option<&str>, BTreeSet<&ControllerName>> = BTreeMap::new();
        for (controller, project) in &known {
            let kind = project.parameter(name).map(|parameter| parameter.kind.as_str());
            kinds.entry(kind).or_default().insert(controller);
        }
        let shown = |kind: &Option<&str>| match kind {
            None => format!("{name} not declared"),
            Some(kind) => format!("{name} a {}", kind.trim_end_matches("ParameterDefinition")),
        };
        (kinds.len() > 1).then(|| told(&kinds, shown))
    });
    let differing: Vec<String> = differing.collect();
    (!differing.is_empty()).then(|| listed(differing))
}

fn by_value<'a, V: Ord>(
    copies: &Copies<'a>,
    value: impl Fn(&Project) -> Option<V>,
) -> BTreeMap<V, BTreeSet<&'a ControllerName>> {
    let mut groups: BTreeMap<V, BTreeSet<&ControllerName>> = BTreeMap::new();
    for (controller, project) in copies {
        if let Some(value) = value(project) {
            groups.entry(value).or_default().insert(controller);
        }
    }
    groups
}

fn told<V>(groups: &BTreeMap<V, BTreeSet<&ControllerName>>, shown: impl Fn(&V) -> String) -> String {
    let parts = groups.iter().map(|(value, controllers)| format!("{} on {}", shown(value), listed(controllers)));
    parts.collect::<Vec<_>>().join(", ")
}
