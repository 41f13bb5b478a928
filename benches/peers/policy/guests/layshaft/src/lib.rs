//! The rule as a policy.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::{string::String, vec::Vec};

use layshaft_policy_sdk::parameters::{Answer, Decision, Question, Rest, Rules, Verdict};
use layshaft_policy_sdk::{Description, Needs, ParameterValues, Parameters, Policy, description};

/// The lists are in the code, as they are in the others' scripts.
struct Lists;

layshaft_policy_sdk::export!(Lists: parameters);

impl Policy for Lists {
    fn describe() -> Description {
        // It judges no value; it sees them so that no less crosses over than with the others.
        description!(Needs { parameter_values: ParameterValues::All, ..Needs::default() })
    }

    fn configure(_: &str) -> Result<Self, String> {
        Ok(Self)
    }
}

impl Parameters for Lists {
    fn filter(&self, question: &Question) -> Verdict {
        let requested = question.requested.iter().map(|parameter| parameter.name.as_str());
        let rule::Verdict { rejected, allowed, reason } = rule::decide(&question.project.full_name, requested);
        let allow = |name| layshaft_policy_sdk::parameters::Rule { name, decision: Decision::Allow };
        let answer = match rejected {
            true => Answer::Reject,
            false => Answer::Rules(Rules { named: allowed.into_iter().map(allow).collect(), rest: Rest::Closed }),
        };
        Verdict { answer, reason, trace: Vec::new() }
    }
}
