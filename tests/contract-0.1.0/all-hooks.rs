//! Answers every hook of contract 0.1.0 with what it was asked, so that each field is seen to arrive.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::{format, string::String, vec, vec::Vec};

use layshaft_policy_sdk::{
    Description, Matching, Naming, Needs, Offline, ParameterValues, Parameters, Policy, Settings, description, matching, naming,
    offline, parameters,
};

layshaft_policy_sdk::export!(AllHooks: naming, matching, parameters, offline);

struct AllHooks {
    greeting: String,
}

impl Policy for AllHooks {
    fn describe() -> Description {
        description!(Needs {
            project: true,
            node_name: true,
            labels: vec!["gpu-*".into()],
            parameter_values: ParameterValues::Named(vec!["BRANCH".into()]),
        })
    }

    fn configure(settings: &str) -> Result<Self, String> {
        let mut settings = Settings::read(settings)?;
        let greeting = settings.text("greeting")?.unwrap_or_else(|| "asked".into());
        settings.finish()?;
        Ok(Self { greeting })
    }
}

fn trace(labels: &[String], name: Option<&String>) -> Vec<String> {
    vec![format!("labels {}", labels.join(" ")), format!("node {}", name.map_or("-", |name| name))]
}

impl Naming for AllHooks {
    fn names(&self, question: &naming::Question) -> naming::Verdict {
        let name = |label: Option<&String>| naming::Name { project: question.project.full_name.clone(), label: label.cloned() };
        let reason = format!("{} on {} about {}, unique {}", self.greeting, question.controller, question.project.short_name, question.short_name_unique);
        naming::Verdict {
            aliases: vec![naming::Name { project: question.project.short_name.clone(), label: None }],
            trace: trace(&question.node.labels, question.node.name.as_ref()),
            ..naming::Verdict::names(core::iter::once(None).chain(question.matched_labels.iter().map(Some)).map(name).collect(), reason)
        }
    }
}

impl Matching for AllHooks {
    fn matches(&self, question: &matching::Question) -> matching::Verdict {
        let project = question.project.as_ref().map_or("-", |project| &project.full_name);
        let expression = question.expression.as_deref().unwrap_or("-");
        let reason = format!("{} about {expression} for {project}, classic {}", self.greeting, question.classic);
        let trace = trace(&question.node.labels, question.node.name.as_ref());
        let verdict = match (question.kind, question.atoms.is_empty()) {
            (matching::ProjectKind::Pipeline, _) => matching::Verdict::veto(reason),
            (_, true) => matching::Verdict::abstain(reason),
            (_, false) => matching::Verdict::satisfies(question.atoms.clone(), reason),
        };
        matching::Verdict { trace, ..verdict }
    }
}

impl Parameters for AllHooks {
    fn filter(&self, question: &parameters::Question) -> parameters::Verdict {
        let label = question.label.as_deref().unwrap_or("-");
        let declared: Vec<_> = question.declared.iter().map(|declared| format!("{}:{}", declared.name, declared.kind)).collect();
        let reason = format!("{} by {} with label {label}, declares {}", self.greeting, question.function, declared.join(" "));
        if question.requested.iter().any(|parameter| parameter.name == "LD_PRELOAD") {
            return parameters::Verdict::reject(reason);
        }
        let rule = |parameter: &parameters::Requested| parameters::Rule {
            name: parameter.name.clone(),
            decision: match (&parameter.value, parameter.name.as_str()) {
                (Some(value), _) => parameters::Decision::Set(format!("{value}!")),
                (None, "DEBUG") => parameters::Decision::Drop,
                (None, _) => parameters::Decision::Allow,
            },
        };
        parameters::Verdict::rules(question.requested.iter().map(rule).collect(), parameters::Rest::Closed, reason)
    }
}

impl Offline for AllHooks {
    fn build_started(&self, request: &offline::Request) -> offline::StartVerdict {
        let answer = if request.node.has("single-use") { offline::StartAnswer::Reserve } else { offline::StartAnswer::Share };
        offline::StartVerdict::new(answer, format!("{} by {}, client asks {}", self.greeting, request.function, request.client_asks_offline))
    }

    fn build_ended(&self, request: &offline::Request, outcome: &offline::Outcome) -> offline::EndVerdict {
        let message = format!("{} took {} ms", request.project.full_name, outcome.duration_ms);
        let answer = match outcome.build_result {
            offline::BuildResult::Success => offline::EndAnswer::Online,
            offline::BuildResult::Failure => offline::EndAnswer::Held(message),
            offline::BuildResult::Unknown => offline::EndAnswer::Abstain,
            _ => offline::EndAnswer::Offline(message),
        };
        offline::EndVerdict::new(answer, self.greeting.clone())
    }
}
