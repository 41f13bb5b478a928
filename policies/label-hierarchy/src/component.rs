//! The component: wit types in, wit types out, decisions elsewhere.

use alloc::{format, string::String, vec, vec::Vec};

use layshaft_policy_sdk::{Configured, list, quoted};

use crate::Settings;
use bindings::exports::layshaft::policy::{matching, meta};

mod bindings {
    #![allow(unsafe_code, reason = "generated; memory crosses into the component here")]
    #![allow(clippy::all, unreachable_pub, missing_debug_implementations, reason = "generated")]

    wit_bindgen::generate!({
        path: "../../wit",
        inline: r#"
            package layshaft:label-hierarchy;
            world component {
                export layshaft:policy/meta@0.1.0;
                export layshaft:policy/matching@0.1.0;
            }
        "#,
        world: "layshaft:label-hierarchy/component",
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
                // Any label may imply another, and which ones do is known only once the settings are read.
                labels: vec!["**".into()],
                parameter_values: meta::ParameterValues::None,
            },
        }
    }

    fn configure(settings: String) -> Result<(), String> {
        SETTINGS.keep(Settings::read(&settings))
    }
}

impl matching::Guest for Component {
    fn matches(question: matching::Question) -> matching::Verdict {
        let served = crate::served(SETTINGS.get(), &question.atoms, &question.node.labels);
        let trace: Vec<_> =
            served.iter().map(|served| format!("{} serves {}", quoted(&served.by), quoted(&served.atom))).collect();
        let (answer, reason) = if served.is_empty() {
            (matching::Answer::Abstain, "no label of the node implies another atom".into())
        } else {
            let reason = format!("the node serves {}", list(served.iter().map(|served| served.atom.as_str())));
            (matching::Answer::Satisfies(served.into_iter().map(|served| served.atom).collect()), reason)
        };
        matching::Verdict { answer, reason, trace }
    }
}
