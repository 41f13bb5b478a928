//! Says which parameters a client may pass to which project, from lists that the site writes.
//!
//! `deny` is looked at first: one denied parameter rejects the job. Then the first of the `rules` whose projects match
//! decides what passes. Where no rule matches, it abstains, and everything passes as the classic rules have it.
//!
//! Reasons name parameters and rules. A value is never shown.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod component;
mod settings;

use alloc::{format, string::String, vec::Vec};

use layshaft_policy_sdk::{list, quoted};

pub use settings::{Deny, Rest, Rule, Settings, Unseen};

/// A parameter that the client sent. The value is there if it was granted and the parameter is no secret.
#[derive(Clone, Copy, Debug)]
pub struct Requested<'a> {
    pub name: &'a str,
    pub value: Option<&'a str>,
}

/// What is answered.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    pub answer: Answer,
    pub reason: String,
    pub trace: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    Abstain,
    Reject,
    Rules { named: Vec<(String, Decision)>, rest: Rest },
}

/// What becomes of a named parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Allow,
    Drop,
}

/// Decides about one request.
pub fn filter(settings: &Settings, project: &str, requested: &[Requested<'_>]) -> Verdict {
    let objections = objections(settings, project, requested);
    if let Some(reason) = objections.first().cloned() {
        return Verdict { answer: Answer::Reject, reason, trace: objections };
    }
    match settings.rules.iter().find(|rule| rule.projects.matches(project)) {
        Some(rule) => sort_out(rule, requested),
        None => {
            let reason = format!("no rule covers {}", quoted(project));
            Verdict { answer: Answer::Abstain, reason, trace: Vec::new() }
        }
    }
}

/// Returns a sentence for each parameter that a `deny` forbids.
fn objections(settings: &Settings, project: &str, requested: &[Requested<'_>]) -> Vec<String> {
    let in_force: Vec<&Deny> = settings.deny.iter().filter(|deny| deny.projects.matches(project)).collect();
    let object = |parameter: &Requested<'_>| in_force.iter().find_map(|deny| objection(deny, parameter));
    requested.iter().filter_map(object).collect()
}

fn objection(deny: &Deny, parameter: &Requested<'_>) -> Option<String> {
    if !deny.parameter.matches(parameter.name) {
        return None;
    }
    let why = match (&deny.values, parameter.value) {
        (None, _) => "is denied by",
        (Some(denied), Some(value)) => {
            if !denied.matches(value) {
                return None;
            }
            "has a value that is denied by"
        }
        (Some(_), None) => match deny.unseen {
            Unseen::Pass => return None,
            Unseen::Reject => "has a value that is not shown to this policy and cannot be judged by",
        },
    };
    let explanation = deny.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    Some(format!("parameter {} {why} {}{explanation}", quoted(parameter.name), deny.name))
}

/// Applies one rule. What it neither allows nor drops is left to `rest`.
fn sort_out(rule: &Rule, requested: &[Requested<'_>]) -> Verdict {
    let mut named = Vec::new();
    let (mut allowed, mut dropped, mut unnamed) = (Vec::new(), Vec::new(), Vec::new());
    for &Requested { name, .. } in requested {
        if rule.drop.matches(name) {
            dropped.push(name);
            named.push((name.into(), Decision::Drop));
        } else if rule.allow.matches(name) {
            allowed.push(name);
            named.push((name.into(), Decision::Allow));
        } else {
            unnamed.push(name);
        }
    }
    let fate = match rule.rest {
        Rest::Open => "lets through",
        Rest::Closed => "leaves out",
    };
    let parts = [("allows", allowed), ("drops", dropped), (fate, unnamed)];
    let said: Vec<_> = parts.into_iter().filter(|(_, names)| !names.is_empty()).collect();
    let trace: Vec<_> =
        said.iter().map(|(verb, names)| format!("{} {verb}: {}", rule.name, list(names.iter().copied()))).collect();
    let counts: Vec<_> = said.iter().map(|(verb, names)| format!("{verb} {}", names.len())).collect();
    let reason = if counts.is_empty() {
        format!("{}: no parameters to judge", rule.name)
    } else {
        format!("{} {}", rule.name, counts.join(", "))
    };
    Verdict { answer: Answer::Rules { named, rest: rule.rest }, reason, trace }
}

#[cfg(test)]
mod tests;
