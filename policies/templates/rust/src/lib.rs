//! Keeps projects with a certain ending off nodes with a certain label.
//!
//! What is asked and answered is in `sdk`, which is made from Layshaft's contract. A verdict follows from the question and the
//! settings alone: keep nothing between calls.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::{format, string::String};

use layshaft_policy_sdk::matching::{Question, Verdict};
use layshaft_policy_sdk::{Description, Matching, Needs, Policy, Settings, description};

// The hooks that it answers; there are naming, matching, parameters and offline.
layshaft_policy_sdk::export!(KeepOff: matching);

/// The settings.
struct KeepOff {
    label: String,
    ending: String,
}

impl Policy for KeepOff {
    fn describe() -> Description {
        description!(Needs { project: true, ..Needs::default() })
    }

    fn configure(settings: &str) -> Result<Self, String> {
        let mut settings = Settings::read(settings)?;
        let label = settings.text("label")?.unwrap_or_else(|| "gpu".into());
        let ending = settings.text("ending")?.unwrap_or_else(|| "-docs".into());
        settings.finish()?;
        if label.is_empty() || ending.is_empty() {
            return Err("settings.label and settings.ending are texts that are not empty".into());
        }
        Ok(Self { label, ending })
    }
}

impl Matching for KeepOff {
    fn matches(&self, question: &Question) -> Verdict {
        let Self { label, ending } = self;
        let is_meant = question.project.as_ref().is_some_and(|project| project.short_name.ends_with(ending.as_str()));
        if is_meant && question.node.has(label) {
            return Verdict::veto(format!("projects ending in {ending} keep off {label}"));
        }
        Verdict::abstain("nothing against it")
    }
}

#[cfg(test)]
mod tests {
    use layshaft_policy_sdk::matching::{Answer, NodeClass, Project};

    use super::*;

    fn answer(short_name: &str, labels: &[&str]) -> Answer {
        let policy = KeepOff::configure("{}").unwrap_or_else(|error| panic!("{error}"));
        let project = Project { full_name: short_name.into(), short_name: short_name.into() };
        let labels = labels.iter().map(|&label| label.into()).collect();
        let node = NodeClass { labels, ..NodeClass::default() };
        policy.matches(&Question { project: Some(project), node, ..Question::default() }).answer
    }

    #[test]
    fn documentation_keeps_off_the_label() {
        assert_eq!(answer("web-docs", &["gpu"]), Answer::Veto);
        assert_eq!(answer("web-docs", &["linux"]), Answer::Abstain);
        assert_eq!(answer("web", &["gpu"]), Answer::Abstain);
    }
}
