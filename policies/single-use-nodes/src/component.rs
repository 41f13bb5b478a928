//! The component: wit types in, wit types out, decisions elsewhere.

use alloc::{string::String, vec, vec::Vec};

use layshaft_policy_sdk::Configured;

use crate::{Build, BuildResult, End, Settings, Start};
use bindings::exports::layshaft::policy::{meta, offline};

mod bindings {
    #![allow(unsafe_code, reason = "generated; memory crosses into the component here")]
    #![allow(clippy::all, unreachable_pub, missing_debug_implementations, reason = "generated")]

    wit_bindgen::generate!({
        path: "../../wit",
        inline: r#"
            package layshaft:single-use-nodes;
            world component {
                export layshaft:policy/meta@0.1.0;
                export layshaft:policy/offline@0.1.0;
            }
        "#,
        world: "layshaft:single-use-nodes/component",
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
                // Which labels make a node single-use is known only once the settings are read.
                labels: vec!["**".into()],
                parameter_values: meta::ParameterValues::None,
            },
        }
    }

    fn configure(settings: String) -> Result<(), String> {
        SETTINGS.keep(Settings::read(&settings))
    }
}

impl offline::Guest for Component {
    fn build_started(request: offline::Request) -> offline::StartVerdict {
        let (answer, reason) = match crate::started(SETTINGS.get(), build(&request)) {
            Start::Abstain { reason } => (offline::StartAnswer::Abstain, reason),
            Start::Reserve { reason } => (offline::StartAnswer::Reserve, reason),
        };
        offline::StartVerdict { answer, reason, trace: Vec::new() }
    }

    fn build_ended(request: offline::Request, outcome: offline::Outcome) -> offline::EndVerdict {
        let (answer, reason) = match crate::ended(SETTINGS.get(), build(&request), result(outcome.build_result)) {
            End::Abstain { reason } => (offline::EndAnswer::Abstain, reason),
            End::Offline { message, reason } => (offline::EndAnswer::Offline(message), reason),
            End::Held { message, reason } => (offline::EndAnswer::Held(message), reason),
        };
        offline::EndVerdict { answer, reason, trace: Vec::new() }
    }
}

fn build(request: &offline::Request) -> Build<'_> {
    Build {
        controller: &request.controller,
        project: &request.project.full_name,
        built_in: request.node.built_in,
        labels: &request.node.labels,
    }
}

fn result(result: offline::BuildResult) -> BuildResult {
    match result {
        offline::BuildResult::Success => BuildResult::Success,
        offline::BuildResult::Unstable => BuildResult::Unstable,
        offline::BuildResult::Failure => BuildResult::Failure,
        offline::BuildResult::NotBuilt => BuildResult::NotBuilt,
        offline::BuildResult::Aborted => BuildResult::Aborted,
        offline::BuildResult::Unknown => BuildResult::Unknown,
    }
}
