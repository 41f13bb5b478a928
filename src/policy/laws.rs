//! What every policy has to obey, whatever it decides: answer at all, lawfully, and the same whoever asked before.
//!
//! Asked are questions that every site could have, about a controller called `sample`. What goes wrong only at a real
//! one is contained where it happens; what always goes wrong never comes into force.

use std::fmt;

use super::call::{CallError, Instance};
use super::component::{Hook, Module};
use super::config::Config;
use super::question::ProjectView;
use super::question::{Ending, MatchingQuestion, NamingQuestion, NodeClass, OfflineQuestion, ParametersQuestion};
use super::verdict::Explained;
use crate::domain::{BuildResult, DeclaredParameter, ProjectKind};

/// Full and short names.
const PROJECTS: [(&str, &str); 3] = [("lint", "lint"), ("team/app/build", "build"), ("a-b_c.d", "a-b_c.d")];
const LABELS: [&[&str]; 2] = [&[], &["linux", "x86-64"]];

/// Puts the samples to every hook, each to a fresh instance and then, in the other order, all to one. On a breach
/// returns the example.
pub(super) fn breach(config: &Config, module: &Module, settings: &str) -> Result<(), String> {
    let trial = Trial { start: &|| Instance::start(module, settings, &config.limits) };
    for hook in &module.hooks {
        match hook {
            Hook::Naming => trial.hold(
                &naming(),
                |question| ("for the names of", question.project.full_name.clone(), &question.node),
                |instance, question| instance.names(question),
            ),
            Hook::Matching => trial.hold(
                &matching(),
                |question| ("to match", question.expression.clone().unwrap_or_default(), &question.node),
                |instance, question| instance.matches(question),
            ),
            Hook::Parameters => trial.hold(
                &parameters(),
                |question| ("about the parameters of", question.project.full_name.clone(), &question.node),
                |instance, question| instance.filter(question),
            ),
            Hook::Offline => {
                let started = |question: &OfflineQuestion| question.project.full_name.clone();
                trial.hold(
                    &offline(),
                    |question| ("at the start of", started(question), &question.node),
                    |instance, question| instance.build_started(question),
                )?;
                let ending = Ending { result: Some(BuildResult::Failure), duration_ms: 1000 };
                trial.hold(
                    &offline(),
                    |question| ("at the end of", started(question), &question.node),
                    |instance, question| instance.build_ended(question, ending),
                )
            }
        }?;
    }
    Ok(())
}

struct Trial<'a> {
    start: &'a dyn Fn() -> Result<Instance, CallError>,
}

impl Trial<'_> {
    fn hold<Q, A: PartialEq>(
        &self,
        questions: &[Q],
        shown: impl Fn(&Q) -> (&'static str, String, &NodeClass),
        ask: impl Fn(&mut Instance, &Q) -> Result<Explained<A>, CallError>,
    ) -> Result<(), String> {
        let example = |question: &Q, breach: &dyn fmt::Display| {
            let (what, subject, node) = shown(question);
            format!("asked {what} {subject:?} with labels {:?}: {breach}", node.labels)
        };
        let mut answers = Vec::new();
        for question in questions {
            let answer = (self.start)().and_then(|mut fresh| ask(&mut fresh, question));
            answers.push(answer.map_err(|error| example(question, &error))?);
        }
        let mut used = (self.start)().map_err(|error| error.to_string())?;
        for (question, answer) in questions.iter().zip(&answers).rev() {
            let again = ask(&mut used, question).map_err(|error| example(question, &error))?;
            if again.answer != answer.answer {
                let breach = "the answer depends on what was asked before; keep no state between calls";
                return Err(example(question, &breach));
            }
        }
        Ok(())
    }
}

/// Pairs every project with every set of labels.
fn pairs<Q>(question: impl Fn(ProjectView, NodeClass) -> Q) -> Vec<Q> {
    let pairs = PROJECTS.iter().flat_map(|project| LABELS.iter().map(move |labels| (project, labels)));
    let pair = |((full_name, short_name), labels): (&(&str, &str), &&[&str])| {
        let project = ProjectView {
            full_name: (*full_name).to_owned(),
            short_name: (*short_name).to_owned(),
            kind: ProjectKind::Freestyle,
        };
        let labels = labels.iter().map(|&label| label.to_owned()).collect();
        question(project, NodeClass { built_in: false, exclusive: false, name: None, labels })
    };
    pairs.map(pair).collect()
}

pub(super) fn naming() -> Vec<NamingQuestion> {
    pairs(|project, node| NamingQuestion {
        controller: sample(),
        short_name_unique: project.full_name == project.short_name,
        project,
        matched_labels: node.labels.clone(),
        node,
    })
}

pub(super) fn matching() -> Vec<MatchingQuestion> {
    pairs(|project, node| MatchingQuestion {
        controller: sample(),
        project: Some(project),
        kind: ProjectKind::Freestyle,
        expression: Some("gpu||linux&&!arm".to_owned()),
        atoms: ["arm", "gpu", "linux"].map(str::to_owned).into(),
        classic: node.labels.iter().any(|label| label == "linux"),
        node,
    })
}

pub(super) fn parameters() -> Vec<ParametersQuestion> {
    pairs(|project, node| ParametersQuestion {
        controller: sample(),
        function: format!("build:{}", project.short_name),
        project,
        label: None,
        node,
        declared: vec![DeclaredParameter { name: "VERSION".into(), kind: "StringParameterDefinition".into() }],
        requested: requested(),
    })
}

pub(super) fn offline() -> Vec<OfflineQuestion> {
    pairs(|project, node| OfflineQuestion {
        controller: sample(),
        function: format!("build:{}", project.short_name),
        project,
        label: None,
        node,
        requested: requested(),
        client_asks_offline: false,
    })
}

fn sample() -> String {
    "sample".to_owned()
}

/// Values are never shown to a policy that was not granted them.
fn requested() -> Vec<(String, Option<String>)> {
    vec![("VERSION".to_owned(), None), ("ZUUL_UUID".to_owned(), None)]
}
