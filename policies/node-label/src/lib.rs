//! Hands the label that a client asks for to the parameter by which a pipeline chooses its node.
//!
//! A pipeline has no label expression of its own: `node(params.AGENT)` in its script decides. A client that sends
//! `NODE_LABEL`, or calls the function `build:P:LABEL`, means that label; here it becomes the value of the parameter that
//! the pipeline declares for it. Only labels that the site lists are handed on, since the value ends up in a script.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

use alloc::{format, string::String, vec, vec::Vec};

use layshaft_policy_sdk::parameters::{Decision, ProjectKind, Question, Rest, Rule, Verdict};
use layshaft_policy_sdk::{
    Description, Globs, Needs, ParameterValues, Parameters, Policy, Settings, description, quoted,
};

layshaft_policy_sdk::export!(NodeLabel: parameters);

/// Which parameter becomes which.
#[derive(Debug)]
pub struct NodeLabel {
    /// What clients send. The value is asked to be seen under this name alone, so it is no setting.
    from: &'static str,
    /// The first of these that the project declares gets the label.
    to: Vec<String>,
    /// Labels that may be handed on.
    labels: Globs,
}

const FROM: &str = "NODE_LABEL";

impl Policy for NodeLabel {
    fn describe() -> Description {
        description!(Needs { parameter_values: ParameterValues::Named(vec![FROM.into()]), ..Needs::default() })
    }

    fn configure(settings: &str) -> Result<Self, String> {
        let mut settings = Settings::read(settings)?;
        let to = settings.texts("to")?.unwrap_or_else(|| vec!["AGENT_LABEL".into(), "AGENT".into(), "LABEL".into()]);
        let labels = settings.globs("labels")?.unwrap_or_default();
        settings.finish()?;
        if labels.is_empty() {
            return Err(
                "settings.labels is missing: list the labels that clients may ask for, such as [\"linux\", \"gpu-*\"]"
                    .into(),
            );
        }
        if to.is_empty() || to.iter().any(|name| name.is_empty() || name == FROM) {
            return Err(format!("settings.to has to name parameters, and others than {FROM}"));
        }
        Ok(Self { from: FROM, to, labels })
    }
}

impl Parameters for NodeLabel {
    fn filter(&self, question: &Question) -> Verdict {
        if question.project.kind != ProjectKind::Pipeline {
            return Verdict::abstain("only pipelines choose their node by a parameter");
        }
        let sent = question.requested.iter().find(|parameter| parameter.name == self.from);
        let label = match (sent, &question.label) {
            (Some(sent), _) => match &sent.value {
                Some(value) if !value.is_empty() => value,
                Some(_) => return Verdict::abstain(format!("{} is empty", self.from)),
                None => return Verdict::reject(format!("the value of {} is not shown to this policy", self.from)),
            },
            (None, Some(label)) => label,
            (None, None) => return Verdict::abstain("the client asks for no label"),
        };
        if !self.labels.matches(label) {
            return Verdict::reject(format!(
                "the label that the client asks for is none of those in settings.labels ({})",
                self.from
            ));
        }
        let declares = |name: &&String| question.declared.iter().any(|declared| declared.name == **name);
        let Some(target) = self.to.iter().find(declares) else {
            return Verdict::abstain("the pipeline declares no parameter for a label");
        };
        if question.requested.iter().any(|parameter| parameter.name == *target) {
            return Verdict::abstain(format!("the client sets {} itself", quoted(target)));
        }
        let mut named = vec![Rule { name: target.clone(), decision: Decision::Set(label.clone()) }];
        // A pipeline that declares it gets it; else Jenkins would leave it out, and say so.
        if sent.is_some() && !question.declared.iter().any(|declared| declared.name == self.from) {
            named.push(Rule { name: self.from.into(), decision: Decision::Drop });
        }
        Verdict::rules(named, Rest::Open, format!("the label goes to {}", quoted(target)))
    }
}

#[cfg(test)]
mod tests {
    use layshaft_policy_sdk::parameters::{Answer, Declared, Project, Requested, Rules};

    use super::*;

    const SETTINGS: &str = r#"{"labels": ["linux", "gpu-*"]}"#;

    /// A job of a pipeline that declares some parameters.
    fn job(declared: &[&str], sent: &[(&str, Option<&str>)]) -> Question {
        let kind = "StringParameterDefinition";
        Question {
            project: Project { kind: ProjectKind::Pipeline, ..Project::named("deploy") },
            declared: declared.iter().map(|&name| Declared { name: name.into(), kind: kind.into() }).collect(),
            requested: sent
                .iter()
                .map(|&(name, value)| Requested { name: name.into(), value: value.map(Into::into) })
                .collect(),
            ..Question::default()
        }
    }

    #[track_caller]
    fn check(question: &Question, answer: Answer, reason: &str) {
        let verdict = NodeLabel::configure(SETTINGS).unwrap().filter(question);
        assert_eq!((verdict.answer, verdict.reason.as_str()), (answer, reason));
    }

    fn set(rules: &[(&str, Decision)]) -> Answer {
        let rule = |(name, decision): &(&str, Decision)| Rule { name: (*name).into(), decision: decision.clone() };
        Answer::Rules(Rules { named: rules.iter().map(rule).collect(), rest: Rest::Open })
    }

    #[test]
    fn the_label_goes_to_the_first_parameter_that_the_pipeline_declares_for_it() {
        let set_label = Decision::Set("gpu-4".into());
        let sent = [("NODE_LABEL", Some("gpu-4"))];
        check(
            &job(&["LABEL", "AGENT"], &sent),
            set(&[("AGENT", set_label.clone()), ("NODE_LABEL", Decision::Drop)]),
            "the label goes to `AGENT`",
        );
        check(&job(&["NODE_LABEL", "LABEL"], &sent), set(&[("LABEL", set_label)]), "the label goes to `LABEL`");
    }

    #[test]
    fn the_label_of_the_function_counts_if_no_other_is_sent() {
        let question = Question { label: Some("linux".into()), ..job(&["AGENT"], &[]) };
        check(&question, set(&[("AGENT", Decision::Set("linux".into()))]), "the label goes to `AGENT`");
    }

    #[test]
    fn a_label_that_the_site_does_not_list_rejects_the_job_and_is_not_repeated() {
        let reason = "the label that the client asks for is none of those in settings.labels (NODE_LABEL)";
        check(&job(&["AGENT"], &[("NODE_LABEL", Some("x'; sh 'id"))]), Answer::Reject, reason);
        let reason = "the value of NODE_LABEL is not shown to this policy";
        check(&job(&["AGENT"], &[("NODE_LABEL", None)]), Answer::Reject, reason);
    }

    #[test]
    fn what_is_none_of_its_business_is_left_alone() {
        let label = ("NODE_LABEL", Some("linux"));
        check(&job(&["AGENT"], &[]), Answer::Abstain, "the client asks for no label");
        check(&job(&["AGENT"], &[("NODE_LABEL", Some(""))]), Answer::Abstain, "NODE_LABEL is empty");
        check(&job(&["VERSION"], &[label]), Answer::Abstain, "the pipeline declares no parameter for a label");
        check(&job(&["AGENT"], &[label, ("AGENT", None)]), Answer::Abstain, "the client sets `AGENT` itself");
        let freestyle = Question { project: Project::named("lint"), ..job(&["AGENT"], &[label]) };
        check(&freestyle, Answer::Abstain, "only pipelines choose their node by a parameter");
    }

    #[test]
    fn settings_that_make_no_sense_are_refused() {
        for (json, part) in [
            ("{}", "settings.labels is missing"),
            (r#"{"labels": ["a"], "to": []}"#, "settings.to has to name"),
            (r#"{"labels": ["a"], "to": ["NODE_LABEL"]}"#, "others than NODE_LABEL"),
            (r#"{"labels": ["a"], "from": "X"}"#, "has no `from`"),
        ] {
            let error = NodeLabel::configure(json).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
