//! What clients send and projects do not declare: over REST, Jenkins drops it without a word.

use std::collections::{BTreeMap, BTreeSet};

use super::declaration::Declaration;
use super::facts::{Facts, Sent};
use super::finding::{Code, Finding, Subject, listed};
use crate::classic::offline;
use crate::domain::{ControllerName, Project, ProjectName};
use crate::policy::Hook;

/// What a project should declare on some controllers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    pub project: ProjectName,
    pub controllers: BTreeSet<ControllerName>,
    /// Without a name twice.
    pub declarations: Vec<Declaration>,
    /// Names that clients send and that cannot be written into a configuration.
    pub left_out: Vec<String>,
}

/// What is lost of what clients send, by project.
type Lost = BTreeMap<(ProjectName, BTreeSet<String>), BTreeSet<ControllerName>>;

pub(super) fn examine(facts: &Facts, findings: &mut Vec<Finding>) {
    for ((project, names), controllers) in lost(facts) {
        let seen = format!("clients send what it does not declare, and Jenkins drops: {}", listed(names));
        let fix = "declare them: `layshaft doctor` with --jjb writes a Jenkins Job Builder macro, with --config-xml DIR patches \
                   of config.xml, given the same --payload";
        findings.push(Finding::new(Code::ParametersLost, seen, fix).on(controllers).about_project(&project));
    }
    // A naming policy may give names that cannot be told from here.
    if facts.is_asked_of_policies(Hook::Naming) || facts.serving().next().is_none() {
        return;
    }
    let names = Names::of(facts);
    for sent in facts.sent.iter().filter(|sent| names.projects(&sent.function).is_empty()) {
        let fix = "define the project, enable it, or let the user read it; until then its jobs wait in the queue";
        let seen = "clients ask for it, and it means no project";
        let function = Subject::Function(sent.function.clone());
        findings.push(Finding::new(Code::FunctionUnknown, seen, fix).about(function));
    }
}

/// Returns what each project should declare, so that nothing is lost and builds are tied to their jobs.
pub fn missing(facts: &Facts) -> Vec<Missing> {
    let mut needed: BTreeMap<(&ProjectName, &ControllerName), BTreeSet<Declaration>> = BTreeMap::new();
    let mut left_out: BTreeMap<&ProjectName, BTreeSet<String>> = BTreeMap::new();
    let lost = lost(facts);
    for ((name, parameters), controllers) in &lost {
        let (writable, other): (Vec<_>, Vec<_>) =
            parameters.iter().partition(|parameter| Declaration::can_be_written(parameter));
        left_out.entry(name).or_default().extend(other.into_iter().cloned());
        for controller in controllers {
            let declared = writable.iter().map(|parameter| Declaration {
                name: (*parameter).clone(),
                is_marker: facts.rules.markers.contains(*parameter),
            });
            needed.entry((name, controller)).or_default().extend(declared);
        }
    }
    for (controller, _, project) in facts.offered() {
        let declarations = needed.entry((&project.name, &controller.name)).or_default();
        let has_marker = project.marker(&facts.rules.markers).is_some() || declarations.iter().any(|it| it.is_marker);
        let first = facts.rules.markers.first().filter(|name| Declaration::can_be_written(name));
        if let Some(name) = first.filter(|_| !has_marker && project.parameters.is_some()) {
            declarations.insert(Declaration { name: name.clone(), is_marker: true });
        }
    }
    let mut together: BTreeMap<(&ProjectName, BTreeSet<Declaration>), BTreeSet<ControllerName>> = BTreeMap::new();
    for ((project, controller), declarations) in needed.into_iter().filter(|(_, needed)| !needed.is_empty()) {
        together.entry((project, declarations)).or_default().insert(controller.clone());
    }
    let missing = |((project, declarations), controllers): ((&ProjectName, BTreeSet<Declaration>), _)| {
        // What ties a build to its job comes first.
        let (markers, others): (Vec<_>, Vec<_>) = declarations.into_iter().partition(|it| it.is_marker);
        let left_out = left_out.get(project).into_iter().flatten().cloned().collect();
        let declarations = markers.into_iter().chain(others).collect();
        Missing { project: project.clone(), controllers, declarations, left_out }
    };
    together.into_iter().map(missing).collect()
}

fn lost(facts: &Facts) -> Lost {
    let names = Names::of(facts);
    let mut sent: BTreeMap<&ProjectName, BTreeSet<&str>> = BTreeMap::new();
    for Sent { function, parameters } in &facts.sent {
        for project in names.projects(function) {
            sent.entry(project).or_default().extend(parameters.iter().map(String::as_str));
        }
    }
    let mut lost = Lost::new();
    let nothing = BTreeMap::new();
    let observed = facts.daemon.as_ref().map_or(&nothing, |daemon| &daemon.undeclared);
    for (controller, _, project) in facts.offered() {
        let given = sent.get(&project.name).into_iter().flatten().copied();
        let seen = observed.get(&(controller.name.clone(), project.name.clone())).into_iter().flatten();
        let names: BTreeSet<String> =
            given.chain(seen.map(String::as_str)).filter(|name| is_lost(project, name)).map(str::to_owned).collect();
        if !names.is_empty() {
            lost.entry((project.name.clone(), names)).or_default().insert(controller.name.clone());
        }
    }
    lost
}

/// What is done when a build is over is read by us, whether or not the build sees it.
fn is_lost(project: &Project, name: &str) -> bool {
    project.parameters.is_some() && project.parameter(name).is_none() && name != offline::PARAMETER
}

/// Which projects the names of functions mean: by the plugin's rule their short names, by common policies full ones.
struct Names<'a>(BTreeMap<&'a str, BTreeSet<&'a ProjectName>>);

impl<'a> Names<'a> {
    fn of(facts: &'a Facts) -> Self {
        let mut names: BTreeMap<&str, BTreeSet<&ProjectName>> = BTreeMap::new();
        for (_, _, project) in facts.offered() {
            for name in [project.name.short(), project.name.full()] {
                names.entry(name).or_default().insert(&project.name);
            }
        }
        Self(names)
    }

    /// A colon may belong to the name or stand before the label, so that the longest name counts.
    fn projects(&self, function: &str) -> BTreeSet<&'a ProjectName> {
        let Some(rest) = function.strip_prefix("build:") else { return BTreeSet::new() };
        let ends = std::iter::once(rest.len()).chain(rest.rmatch_indices(':').map(|(at, _)| at));
        ends.filter_map(|end| self.0.get(&rest[..end])).next().cloned().unwrap_or_default()
    }
}
