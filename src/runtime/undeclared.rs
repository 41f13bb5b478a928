//! Parameters that clients send and projects do not declare. Jenkins drops them over REST without a word, so that they
//! are told of here: once in the log, and in the status for as long as the daemon runs. Names only, never values. So are
//! controllers that cannot pin what declares no parameter for it, although scripts may run there.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, PoisonError};

use crate::domain::{ControllerName, Parameters, Project, ProjectName};

use super::status::UndeclaredParameters;

/// Clients make the names up, so that there must be an end to how many are kept: of one project, and of projects.
const MOST_NAMES: usize = 50;
const MOST_PROJECTS: usize = 2_000;
const LONGEST_NAME: usize = 100;

#[derive(Debug, Default)]
pub(super) struct Undeclared {
    seen: Mutex<BTreeMap<(ControllerName, ProjectName), BTreeSet<String>>>,
    unpinned: Mutex<BTreeSet<ControllerName>>,
}

impl Undeclared {
    /// Notes what a project would lose of these parameters, and returns what it was not seen to lose before.
    pub(super) fn note(&self, controller: &ControllerName, project: &Project, sent: &Parameters) -> Vec<String> {
        let lost = sent.names().filter(|name| project.parameter(name).is_none()).map(shown);
        let lost: Vec<String> = lost.collect();
        if lost.is_empty() {
            return lost;
        }
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (controller.clone(), project.name.clone());
        if seen.len() >= MOST_PROJECTS && !seen.contains_key(&key) {
            return Vec::new();
        }
        let names = seen.entry(key).or_default();
        lost.into_iter().filter(|name| names.len() < MOST_NAMES && names.insert(name.clone())).collect()
    }

    /// Notes that a controller could not pin a build, and returns whether that is news.
    pub(super) fn note_unpinned(&self, controller: &ControllerName) -> bool {
        self.unpinned.lock().unwrap_or_else(PoisonError::into_inner).insert(controller.clone())
    }

    /// Returns what each project concerned was seen to lose.
    pub(super) fn seen(&self) -> Vec<UndeclaredParameters> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let one = |((controller, project), names): (&(ControllerName, ProjectName), &BTreeSet<String>)| {
            UndeclaredParameters { controller: controller.clone(), project: project.clone(), names: names.clone() }
        };
        seen.iter().map(one).collect()
    }

    /// Returns a line for people about each controller that cannot pin.
    pub(super) fn unpinned(&self) -> Vec<String> {
        let unpinned = self.unpinned.lock().unwrap_or_else(PoisonError::into_inner);
        let no_plugin = |controller: &ControllerName| {
            format!(
                "{controller} cannot pin builds whose projects declare no parameter for it: it lacks the NodeLabel \
                 Parameter plugin; install it"
            )
        };
        unpinned.iter().map(no_plugin).collect()
    }
}

impl fmt::Display for UndeclaredParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { controller, project, names } = self;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        write!(
            f,
            "{project} on {controller} does not declare {}, which clients send: Jenkins drops it; add it to the project's \
             parameters (layshaft doctor --jjb writes how)",
            names.join(", ")
        )
    }
}

fn shown(name: &str) -> String {
    name.chars().take(LONGEST_NAME).map(|char| if char.is_control() { '?' } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::DeclaredParameter;

    fn project(declared: &[&str]) -> Project {
        let parameter =
            |name: &&str| DeclaredParameter { name: (*name).to_owned(), kind: "StringParameterDefinition".to_owned() };
        Project { parameters: Some(declared.iter().map(parameter).collect()), ..Project::sample("lint") }
    }

    #[test]
    fn a_lost_parameter_is_told_once_and_shown_for_good() {
        let (undeclared, ci) = (Undeclared::default(), ControllerName::new("ci"));
        let lint = project(&["A"]);
        assert_eq!(undeclared.note(&ci, &lint, &Parameters::from_iter([("A", "1"), ("B", "2")])), ["B"]);
        assert_eq!(undeclared.note(&ci, &lint, &Parameters::from_iter([("B", "3"), ("C\n", "4")])), ["C?"]);
        let seen = undeclared.seen();
        assert_eq!(seen.len(), 1);
        assert!(seen[0].to_string().starts_with("lint on ci does not declare B, C?, "), "{seen:?}");
    }

    #[test]
    fn clients_that_make_names_up_fill_nothing() {
        let (undeclared, ci) = (Undeclared::default(), ControllerName::new("ci"));
        let lint = project(&[]);
        for number in 0..1000 {
            undeclared.note(&ci, &lint, &Parameters::from_iter([(format!("N{number}{}", "x".repeat(1000)), "")]));
        }
        assert!(undeclared.seen()[0].to_string().len() < MOST_NAMES * (LONGEST_NAME + 2) + 200);
    }
}
