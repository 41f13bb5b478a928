//! The component: wit types in, wit types out, decisions elsewhere.

use alloc::{string::String, vec, vec::Vec};

use layshaft_policy_sdk::Configured;

use crate::{Answer, Decision, Requested, Rest, Settings};
use bindings::exports::layshaft::policy::{meta, parameters};

mod bindings {
    #![allow(unsafe_code, reason = "generated; memory crosses into the component here")]
    #![allow(clippy::all, unreachable_pub, missing_debug_implementations, reason = "generated")]

    wit_bindgen::generate!({
        path: "../../wit",
        inline: r#"
            package layshaft:parameter-allowlist;
            world component {
                export layshaft:policy/meta@0.1.0;
                export layshaft:policy/parameters@0.1.0;
            }
        "#,
        world: "layshaft:parameter-allowlist/component",
    });

    export!(Component with_types_in self);
    use super::Component;
}

struct Component;

static SETTINGS: Configured<Settings> = Configured::new();

impl meta::Guest for Component {
    fn describe() -> meta::Description {
        meta::Description {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: concat!(env!("CARGO_PKG_DESCRIPTION"), ".").into(),
            needs: meta::Needs {
                project: false,
                node_name: false,
                labels: vec![],
                // Which values are judged is known only once the settings are read.
                parameter_values: meta::ParameterValues::All,
            },
        }
    }

    fn configure(settings: String) -> Result<(), String> {
        SETTINGS.keep(Settings::read(&settings))
    }
}

impl parameters::Guest for Component {
    fn filter(question: parameters::Question) -> parameters::Verdict {
        let requested: Vec<_> = question
            .requested
            .iter()
            .map(|parameter| Requested { name: &parameter.name, value: parameter.value.as_deref() })
            .collect();
        let verdict = crate::filter(SETTINGS.get(), &question.project.full_name, &requested);
        parameters::Verdict { answer: answer(verdict.answer), reason: verdict.reason, trace: verdict.trace }
    }
}

fn answer(answer: Answer) -> parameters::Answer {
    match answer {
        Answer::Abstain => parameters::Answer::Abstain,
        Answer::Reject => parameters::Answer::Reject,
        Answer::Rules { named, rest } => {
            let named =
                named.into_iter().map(|(name, decision)| parameters::Rule { name, decision: decided(decision) });
            let rest = match rest {
                Rest::Open => parameters::Rest::Open,
                Rest::Closed => parameters::Rest::Closed,
            };
            parameters::Answer::Rules(parameters::Rules { named: named.collect(), rest })
        }
    }
}

fn decided(decision: Decision) -> parameters::Decision {
    match decision {
        Decision::Allow => parameters::Decision::Allow,
        Decision::Drop => parameters::Decision::Drop,
    }
}
