//! The component: wit types in, wit types out, decisions elsewhere.

use alloc::{string::String, vec, vec::Vec};

use layshaft_policy_sdk::Configured;

use crate::Settings;
use bindings::exports::layshaft::policy::{meta, naming};

mod bindings {
    #![allow(unsafe_code, reason = "generated; memory crosses into the component here")]
    #![allow(clippy::all, unreachable_pub, missing_debug_implementations, reason = "generated")]

    wit_bindgen::generate!({
        path: "../../wit",
        inline: r#"
            package layshaft:folder-names;
            world component {
                export layshaft:policy/meta@0.1.0;
                export layshaft:policy/naming@0.1.0;
            }
        "#,
        world: "layshaft:folder-names/component",
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
                parameter_values: meta::ParameterValues::None,
            },
        }
    }

    fn configure(settings: String) -> Result<(), String> {
        SETTINGS.keep(Settings::read(&settings))
    }
}

impl naming::Guest for Component {
    fn names(question: naming::Question) -> naming::Verdict {
        let naming::Question { project, short_name_unique, matched_labels, .. } = question;
        let verdict =
            crate::names(SETTINGS.get(), &project.full_name, &project.short_name, short_name_unique, &matched_labels);
        naming::Verdict {
            names: verdict.names.map(to_wit),
            aliases: to_wit(verdict.aliases),
            reason: verdict.reason,
            trace: verdict.trace,
        }
    }
}

fn to_wit(names: Vec<crate::Name>) -> Vec<naming::Name> {
    names.into_iter().map(|name| naming::Name { project: name.project, label: name.label }).collect()
}
