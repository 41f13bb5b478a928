use alloc::{string::String, vec::Vec};

use layshaft_policy_sdk::{Description, Needs, ParameterValues, Parameters, Policy, description, parameters};

use crate::{Answer, Decision, Requested, Rest, Settings};

layshaft_policy_sdk::export!(Settings: parameters);

impl Policy for Settings {
    fn describe() -> Description {
        // Which values are judged is known only once the settings are read.
        description!(Needs { parameter_values: ParameterValues::All, ..Needs::default() })
    }

    fn configure(settings: &str) -> Result<Self, String> {
        Self::read(settings)
    }
}

impl Parameters for Settings {
    fn filter(&self, question: &parameters::Question) -> parameters::Verdict {
        let requested = question.requested.iter();
        let requested: Vec<_> =
            requested.map(|parameter| Requested { name: &parameter.name, value: parameter.value.as_deref() }).collect();
        let verdict = crate::filter(self, &question.project.full_name, &requested);
        parameters::Verdict { answer: answer(verdict.answer), reason: verdict.reason, trace: verdict.trace }
    }
}

fn answer(answer: Answer) -> parameters::Answer {
    let (named, rest) = match answer {
        Answer::Abstain => return parameters::Answer::Abstain,
        Answer::Reject => return parameters::Answer::Reject,
        Answer::Rules { named, rest } => (named, rest),
    };
    let decided = |decision| match decision {
        Decision::Allow => parameters::Decision::Allow,
        Decision::Drop => parameters::Decision::Drop,
    };
    let named = named.into_iter().map(|(name, decision)| parameters::Rule { name, decision: decided(decision) });
    let rest = match rest {
        Rest::Open => parameters::Rest::Open,
        Rest::Closed => parameters::Rest::Closed,
    };
    parameters::Answer::Rules(parameters::Rules { named: named.collect(), rest })
}
