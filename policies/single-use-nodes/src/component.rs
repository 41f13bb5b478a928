use alloc::{string::String, vec};

use layshaft_policy_sdk::offline::{EndAnswer, EndVerdict, Outcome, Request, StartAnswer, StartVerdict};
use layshaft_policy_sdk::{Description, Needs, Offline, Policy, description};

use crate::{Build, End, Settings, Start};

layshaft_policy_sdk::export!(Settings: offline);

impl Policy for Settings {
    fn describe() -> Description {
        // Which labels make a node single-use is known only once the settings are read.
        description!(Needs { labels: vec!["**".into()], ..Needs::default() })
    }

    fn configure(settings: &str) -> Result<Self, String> {
        Self::read(settings)
    }
}

impl Offline for Settings {
    fn build_started(&self, request: &Request) -> StartVerdict {
        match crate::started(self, build(request)) {
            Start::Abstain { reason } => StartVerdict::abstain(reason),
            Start::Reserve { reason } => StartVerdict::new(StartAnswer::Reserve, reason),
        }
    }

    fn build_ended(&self, request: &Request, outcome: &Outcome) -> EndVerdict {
        match crate::ended(self, build(request), outcome.build_result) {
            End::Abstain { reason } => EndVerdict::abstain(reason),
            End::Offline { message, reason } => EndVerdict::new(EndAnswer::Offline(message), reason),
            End::Held { message, reason } => EndVerdict::new(EndAnswer::Held(message), reason),
        }
    }
}

fn build(request: &Request) -> Build<'_> {
    Build {
        controller: &request.controller,
        project: &request.project.full_name,
        built_in: request.node.built_in,
        labels: &request.node.labels,
    }
}
