//! What a policy answers, one verdict per hook, before any composition.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::domain::BuildFunction;

/// Characters of a reason, of a line of a trace, of a message; people read them on one line.
const LONGEST_TEXT: usize = 500;
const MOST_TRACE_LINES: usize = 64;

/// More names for one project on one node are a mistake.
const MOST_NAMES: usize = 64;

/// An answer with its explanation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Explained<A> {
    pub(super) answer: A,
    pub(super) reason: Arc<str>,
    pub(super) trace: Arc<[String]>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct NamingAnswer {
    /// None abstains.
    pub(super) names: Option<Vec<BuildFunction>>,
    pub(super) aliases: Vec<BuildFunction>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum MatchingAnswer {
    Abstain,
    Veto,
    Satisfies(BTreeSet<String>),
}

/// Whether there is a build, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ParametersAnswer {
    /// Everything passes.
    Abstain,
    /// No build is started.
    Reject,
    Rules {
        /// By name, in the policy's order.
        named: Vec<(String, Decision)>,
        /// Parameters without a rule need another policy's `allow`; else they pass.
        closed: bool,
    },
}

/// What becomes of one parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    Allow,
    Drop,
    /// Passes this value instead.
    Set(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartAnswer {
    Abstain,
    Share,
    Reserve,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EndAnswer {
    Abstain,
    Online,
    Offline(String),
    Held(String),
}

impl<A> Explained<A> {
    pub(super) fn new(answer: A, reason: &str, trace: Vec<String>) -> Self {
        let trace = trace.into_iter().take(MOST_TRACE_LINES).map(|line| shown(&line)).collect();
        Self { answer, reason: shown(reason).into(), trace }
    }

    /// Passes every text that a person will see through `mask`.
    pub(super) fn masked(mut self, mask: impl Fn(&str) -> String) -> Self {
        self.reason = mask(&self.reason).into();
        self.trace = self.trace.iter().map(|line| mask(line)).collect();
        self
    }
}

impl NamingAnswer {
    /// Holds the names against the law; on a violation says which name and why.
    pub(super) fn lawful(&self) -> Result<(), String> {
        let names = self.names.as_deref().unwrap_or_default();
        if names.len() > MOST_NAMES || self.aliases.len() > MOST_NAMES {
            return Err(format!("it gave more than {MOST_NAMES} names"));
        }
        names.iter().chain(&self.aliases).try_for_each(lawful_name)
    }
}

impl MatchingAnswer {
    /// Holds the atoms against those of the expression that was asked about.
    pub(super) fn lawful(&self, asked: &[String]) -> Result<(), String> {
        let Self::Satisfies(atoms) = self else { return Ok(()) };
        match atoms.iter().find(|atom| !asked.contains(atom)) {
            Some(atom) => Err(format!("it satisfies {atom:?}, which is no atom of the expression")),
            None => Ok(()),
        }
    }
}

/// Shortens a text to what is shown and takes control characters out of it.
pub(super) fn shown(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii() && !byte.is_ascii_control();
    if text.len() <= LONGEST_TEXT && text.bytes().all(is_plain) {
        return text.to_owned();
    }
    let mut shown: String = text.chars().take(LONGEST_TEXT).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(LONGEST_TEXT).is_some() {
        shown.push('…');
    }
    shown
}

fn lawful_name(name: &BuildFunction) -> Result<(), String> {
    let parts = [Some(&name.project), name.label.as_ref()];
    for part in parts.into_iter().flatten() {
        if part.is_empty() {
            return Err(format!("{name:?} has an empty part"));
        }
        // Clients cut the answer of a server's `status` at white space.
        if part.chars().any(char::is_whitespace) {
            return Err(format!("the name {part:?} has white space, at which clients cut it"));
        }
    }
    name.name().map(drop).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_clients_and_servers_take_are_lawful() {
        let answer = |project: &str, label: Option<&str>| NamingAnswer {
            names: None,
            aliases: vec![BuildFunction::new(project, label)],
        };
        assert_eq!(answer("team/lint", Some("a")).lawful(), Ok(()));
        for (project, label) in [
            ("", None),
            ("a b", None),
            ("a", Some("")),
            ("a", Some("x\u{a0}y")),
            ("a\u{1}", None),
            (&"x".repeat(512), None),
        ] {
            assert!(answer(project, label).lawful().is_err(), "{project:?} {label:?}");
        }
        let many = NamingAnswer { names: Some(vec![BuildFunction::new("a", None); 65]), aliases: vec![] };
        assert!(many.lawful().is_err());
    }

    #[test]
    fn a_match_may_only_speak_of_atoms_it_was_asked_about() {
        let answer = MatchingAnswer::Satisfies(["gpu".to_owned()].into());
        assert_eq!(answer.lawful(&["cpu".into(), "gpu".into()]), Ok(()));
        assert!(answer.lawful(&["cpu".into()]).unwrap_err().contains("gpu"));
    }

    #[test]
    fn shown_text_is_one_short_line() {
        assert_eq!(shown("a\nb\u{7}"), "a b ");
        assert_eq!(shown(&"ü".repeat(600)).chars().count(), 501);
    }
}
