//! The rules of Jenkins' gearman-plugin once more, for matching and for names, written from their description and not
//! from Layshaft's own.
//!
//! Layshaft's tests hold it against what is decided without any policy, on random fleets: two who were written apart
//! seldom err alike. It believes nothing that the question says of the answer: it reads the label expression itself, and
//! does not look at `classic`.

#![cfg_attr(target_arch = "wasm32", no_std)]

extern crate alloc;

mod component;
pub mod label;

use alloc::{string::String, vec::Vec};

use label::Label;

/// The policy, which has no settings.
#[derive(Debug)]
pub struct Oracle;

/// What the rules look at in a project and a class of nodes.
#[derive(Debug)]
pub struct Pair<'a> {
    pub is_pipeline: bool,
    pub expression: Option<&'a str>,
    pub built_in: bool,
    pub exclusive: bool,
    pub labels: &'a [String],
}

/// Whether the pair is one, and why not.
#[derive(Debug, PartialEq, Eq)]
pub enum Match {
    /// With the atoms of the expression that the node carries.
    Yes(Vec<String>),
    No(&'static str),
}

/// Decides whether the project runs on such nodes.
pub fn matches(pair: &Pair<'_>) -> Match {
    if pair.is_pipeline && !pair.built_in {
        return Match::No("a pipeline is tied to the controller's own node");
    }
    let Some(text) = pair.expression else {
        return if pair.exclusive { Match::No("the node takes only what names it") } else { Match::Yes(Vec::new()) };
    };
    let label = Label::read(text);
    let carried = |atom: &str| pair.labels.iter().any(|label| label == atom);
    if !label.holds(&carried) {
        return Match::No("the labels do not fit");
    }
    let mut atoms = Vec::new();
    label.each_atom(&mut |atom| {
        if carried(atom) && !atoms.iter().any(|known: &String| known == atom) {
            atoms.push(atom.into());
        }
    });
    Match::Yes(atoms)
}

/// Returns the label parts of the names of a project: none, then each matched label. None if a policy could not give
/// one of them, since it has white space.
pub fn suffixes<'a>(short_name: &str, matched: &'a [String]) -> Option<Vec<Option<&'a str>>> {
    let is_lawful = |part: &str| !part.is_empty() && !part.chars().any(char::is_whitespace);
    if !is_lawful(short_name) || !matched.iter().all(|label| is_lawful(label)) {
        return None;
    }
    Some(core::iter::once(None).chain(matched.iter().map(|label| Some(label.as_str()))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expression: Option<&str>, exclusive: bool, labels: &[&str]) -> Match {
        let labels: Vec<String> = labels.iter().map(|&label| label.into()).collect();
        matches(&Pair { is_pipeline: false, expression, built_in: false, exclusive, labels: &labels })
    }

    fn yes(atoms: &[&str]) -> Match {
        Match::Yes(atoms.iter().map(|&atom| atom.into()).collect())
    }

    #[test]
    fn a_project_without_a_label_runs_wherever_the_node_is_not_exclusive() {
        assert_eq!(check(None, false, &["gpu"]), yes(&[]));
        assert!(matches!(check(None, true, &["gpu"]), Match::No(_)));
        assert_eq!(check(Some("gpu"), true, &["gpu"]), yes(&["gpu"]));
    }

    #[test]
    fn every_atom_that_the_node_carries_is_one_whatever_its_sign() {
        assert_eq!(check(Some("a&&b"), false, &["a", "b"]), yes(&["a", "b"]));
        assert_eq!(check(Some("a||b"), false, &["a"]), yes(&["a"]));
        assert_eq!(check(Some("a||!b"), false, &["a", "b"]), yes(&["a", "b"]));
        assert_eq!(check(Some("!a"), false, &["b"]), yes(&[]));
        assert!(matches!(check(Some("a&&!b"), false, &["a", "b"]), Match::No(_)));
    }

    #[test]
    fn a_pipeline_runs_on_the_controller_s_own_node() {
        let labels = ["built-in".into()];
        let pair = |built_in| Pair {
            is_pipeline: true,
            expression: Some("built-in"),
            built_in,
            exclusive: false,
            labels: &labels,
        };
        assert_eq!(matches(&pair(true)), yes(&["built-in"]));
        assert!(matches!(matches(&pair(false)), Match::No(_)));
    }

    #[test]
    fn names_that_no_policy_may_give_are_left_alone() {
        assert_eq!(suffixes("lint", &["a".into()]), Some(vec![None, Some("a")]));
        assert_eq!(suffixes("big lint", &[]), None);
        assert_eq!(suffixes("lint", &["big iron".into()]), None);
    }
}
