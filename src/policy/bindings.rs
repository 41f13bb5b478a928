//! The only file that knows wit types: questions go in and verdicts come out as our own values.

#[allow(
    unsafe_code,
    unreachable_pub,
    missing_debug_implementations,
    elided_lifetimes_in_paths,
    clippy::all,
    clippy::use_self,
    clippy::semicolon_if_nothing_returned,
    clippy::allow_attributes_without_reason,
    reason = "written by a macro; its unsafe code is wasmtime's own, for reading component values"
)]
mod wit {
    wasmtime::component::bindgen!({ path: "wit", world: "policy" });
}

use std::collections::BTreeSet;

use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use wit::exports::layshaft::policy::{matching, meta, naming, offline, parameters};

use super::call::Limiter;
use super::component::{Hook, Needs, ParameterValues};
use super::question::{
    Ending, MatchingQuestion, NamingQuestion, NodeClass, OfflineQuestion, ParametersQuestion, ProjectView,
};
use super::verdict::{
    Decision, EndAnswer, Explained, MatchingAnswer, NamingAnswer, ParametersAnswer, StartAnswer, shown,
};
use crate::domain::{BuildFunction, BuildResult, ProjectKind};

pub(super) use super::component::Description;

/// Where a component's functions are, found once per component.
pub(super) struct Indices {
    meta: meta::GuestIndices,
    naming: Option<naming::GuestIndices>,
    matching: Option<matching::GuestIndices>,
    parameters: Option<parameters::GuestIndices>,
    offline: Option<offline::GuestIndices>,
}

/// The functions of one instance.
pub(super) struct Guests {
    meta: meta::Guest,
    naming: Option<naming::Guest>,
    matching: Option<matching::Guest>,
    parameters: Option<parameters::Guest>,
    offline: Option<offline::Guest>,
}

type Calls<'a> = &'a mut Store<Limiter>;

impl Indices {
    pub(super) fn find(pre: &InstancePre<Limiter>, hooks: &BTreeSet<Hook>) -> wasmtime::Result<Self> {
        let has = |hook| hooks.contains(&hook);
        Ok(Self {
            meta: meta::GuestIndices::new(pre)?,
            naming: has(Hook::Naming).then(|| naming::GuestIndices::new(pre)).transpose()?,
            matching: has(Hook::Matching).then(|| matching::GuestIndices::new(pre)).transpose()?,
            parameters: has(Hook::Parameters).then(|| parameters::GuestIndices::new(pre)).transpose()?,
            offline: has(Hook::Offline).then(|| offline::GuestIndices::new(pre)).transpose()?,
        })
    }

    /// Holds the types of an instance's functions against the contract.
    pub(super) fn load(&self, mut store: Calls<'_>, instance: &Instance) -> wasmtime::Result<Guests> {
        Ok(Guests {
            meta: self.meta.load(&mut store, instance)?,
            naming: self.naming.as_ref().map(|indices| indices.load(&mut store, instance)).transpose()?,
            matching: self.matching.as_ref().map(|indices| indices.load(&mut store, instance)).transpose()?,
            parameters: self.parameters.as_ref().map(|indices| indices.load(&mut store, instance)).transpose()?,
            offline: self.offline.as_ref().map(|indices| indices.load(&mut store, instance)).transpose()?,
        })
    }
}

impl Guests {
    pub(super) fn describe(&self, store: Calls<'_>) -> wasmtime::Result<Description> {
        let description = self.meta.call_describe(store)?;
        let needs = description.needs;
        Ok(Description {
            name: shown(&description.name),
            version: shown(&description.version),
            summary: shown(&description.summary),
            needs: Needs {
                project: needs.project,
                node_name: needs.node_name,
                labels: needs.labels,
                parameter_values: match needs.parameter_values {
                    meta::ParameterValues::None => ParameterValues::None,
                    meta::ParameterValues::Named(names) => ParameterValues::Named(names.into_iter().collect()),
                    meta::ParameterValues::All => ParameterValues::All,
                },
            },
        })
    }

    pub(super) fn configure(&self, store: Calls<'_>, settings: &str) -> wasmtime::Result<Result<(), String>> {
        self.meta.call_configure(store, settings)
    }

    pub(super) fn names(
        &self,
        store: Calls<'_>,
        question: &NamingQuestion,
    ) -> wasmtime::Result<Explained<NamingAnswer>> {
        let question = naming::Question {
            controller: question.controller.clone(),
            project: naming::Project {
                full_name: question.project.full_name.clone(),
                short_name: question.project.short_name.clone(),
                kind: question.project.kind.into(),
            },
            short_name_unique: question.short_name_unique,
            node: (&question.node).into(),
            matched_labels: question.matched_labels.clone(),
        };
        let verdict = offered(self.naming.as_ref())?.call_names(store, &question)?;
        let function = |name: naming::Name| BuildFunction { project: name.project, label: name.label };
        let answer = NamingAnswer {
            names: verdict.names.map(|names| names.into_iter().map(function).collect()),
            aliases: verdict.aliases.into_iter().map(function).collect(),
        };
        Ok(Explained::new(answer, &verdict.reason, verdict.trace))
    }

    pub(super) fn matches(
        &self,
        store: Calls<'_>,
        question: &MatchingQuestion,
    ) -> wasmtime::Result<Explained<MatchingAnswer>> {
        let project = |project: &ProjectView| matching::Project {
            full_name: project.full_name.clone(),
            short_name: project.short_name.clone(),
        };
        let question = matching::Question {
            controller: question.controller.clone(),
            project: question.project.as_ref().map(project),
            kind: question.kind.into(),
            expression: question.expression.clone(),
            atoms: question.atoms.clone(),
            node: (&question.node).into(),
            classic: question.classic,
        };
        let verdict = offered(self.matching.as_ref())?.call_matches(store, &question)?;
        let answer = match verdict.answer {
            matching::Answer::Abstain => MatchingAnswer::Abstain,
            matching::Answer::Veto => MatchingAnswer::Veto,
            matching::Answer::Satisfies(atoms) => MatchingAnswer::Satisfies(atoms.into_iter().collect()),
        };
        Ok(Explained::new(answer, &verdict.reason, verdict.trace))
    }

    pub(super) fn filter(
        &self,
        store: Calls<'_>,
        question: &ParametersQuestion,
    ) -> wasmtime::Result<Explained<ParametersAnswer>> {
        let declared = question.declared.iter();
        let requested = question.requested.iter().cloned();
        let question = parameters::Question {
            controller: question.controller.clone(),
            project: parameters::Project {
                full_name: question.project.full_name.clone(),
                short_name: question.project.short_name.clone(),
                kind: question.project.kind.into(),
            },
            function: question.function.clone(),
            label: question.label.clone(),
            node: (&question.node).into(),
            declared: declared
                .map(|declared| parameters::Declared { name: declared.name.clone(), kind: declared.kind.clone() })
                .collect(),
            requested: requested.map(|(name, value)| parameters::Requested { name, value }).collect(),
        };
        let verdict = offered(self.parameters.as_ref())?.call_filter(store, &question)?;
        let decision = |decision| match decision {
            parameters::Decision::Allow => Decision::Allow,
            parameters::Decision::Drop => Decision::Drop,
            parameters::Decision::Set(value) => Decision::Set(value),
        };
        let answer = match verdict.answer {
            parameters::Answer::Abstain => ParametersAnswer::Abstain,
            parameters::Answer::Reject => ParametersAnswer::Reject,
            parameters::Answer::Rules(rules) => ParametersAnswer::Rules {
                named: rules.named.into_iter().map(|rule| (rule.name, decision(rule.decision))).collect(),
                closed: matches!(rules.rest, parameters::Rest::Closed),
            },
        };
        Ok(Explained::new(answer, &verdict.reason, verdict.trace))
    }

    pub(super) fn build_started(
        &self,
        store: Calls<'_>,
        question: &OfflineQuestion,
    ) -> wasmtime::Result<Explained<StartAnswer>> {
        let verdict = offered(self.offline.as_ref())?.call_build_started(store, &question.into())?;
        let answer = match verdict.answer {
            offline::StartAnswer::Abstain => StartAnswer::Abstain,
            offline::StartAnswer::Share => StartAnswer::Share,
            offline::StartAnswer::Reserve => StartAnswer::Reserve,
        };
        Ok(Explained::new(answer, &verdict.reason, verdict.trace))
    }

    pub(super) fn build_ended(
        &self,
        store: Calls<'_>,
        question: &OfflineQuestion,
        ending: Ending,
    ) -> wasmtime::Result<Explained<EndAnswer>> {
        let outcome = offline::Outcome {
            build_result: match ending.result {
                Some(BuildResult::Success) => offline::BuildResult::Success,
                Some(BuildResult::Unstable) => offline::BuildResult::Unstable,
                Some(BuildResult::Failure) => offline::BuildResult::Failure,
                Some(BuildResult::NotBuilt) => offline::BuildResult::NotBuilt,
                Some(BuildResult::Aborted) => offline::BuildResult::Aborted,
                None => offline::BuildResult::Unknown,
            },
            duration_ms: ending.duration_ms,
        };
        let verdict = offered(self.offline.as_ref())?.call_build_ended(store, &question.into(), outcome)?;
        let answer = match verdict.answer {
            offline::EndAnswer::Abstain => EndAnswer::Abstain,
            offline::EndAnswer::Online => EndAnswer::Online,
            offline::EndAnswer::Offline(message) => EndAnswer::Offline(shown(&message)),
            offline::EndAnswer::Held(message) => EndAnswer::Held(shown(&message)),
        };
        Ok(Explained::new(answer, &verdict.reason, verdict.trace))
    }
}

fn offered<G>(guest: Option<&G>) -> wasmtime::Result<&G> {
    guest.ok_or_else(|| wasmtime::Error::msg("the policy does not offer this hook"))
}

/// Each interface has types of its own, so that each can be versioned by itself; these are alike in all of them.
macro_rules! common {
    ($($interface:ident),*) => {$(
        impl From<&NodeClass> for $interface::NodeClass {
            fn from(node: &NodeClass) -> Self {
                Self {
                    built_in: node.built_in,
                    exclusive: node.exclusive,
                    name: node.name.clone(),
                    labels: node.labels.clone(),
                }
            }
        }

        impl From<ProjectKind> for $interface::ProjectKind {
            fn from(kind: ProjectKind) -> Self {
                match kind {
                    ProjectKind::Freestyle => Self::Freestyle,
                    ProjectKind::Maven => Self::Maven,
                    ProjectKind::Matrix => Self::Matrix,
                    ProjectKind::Pipeline => Self::Pipeline,
                    // Those of an unknown kind are never asked about.
                    ProjectKind::Other | ProjectKind::Unknown => Self::Other,
                }
            }
        }
    )*};
}

common!(naming, matching, parameters, offline);

impl From<&OfflineQuestion> for offline::Request {
    fn from(question: &OfflineQuestion) -> Self {
        let requested = question.requested.iter().cloned();
        Self {
            controller: question.controller.clone(),
            project: offline::Project {
                full_name: question.project.full_name.clone(),
                short_name: question.project.short_name.clone(),
                kind: question.project.kind.into(),
            },
            function: question.function.clone(),
            label: question.label.clone(),
            node: (&question.node).into(),
            requested: requested.map(|(name, value)| offline::Requested { name, value }).collect(),
            client_asks_offline: question.client_asks_offline,
        }
    }
}
