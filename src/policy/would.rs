//! What a policy on trial would have changed: a decision with its answer beside the same decision without it. Pure.
//!
//! Names of parameters, functions and labels are told, values never.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::answers::{End, Filtered, Matched, Names, Start, Undecided};
use super::component::Hook;
use crate::domain::{BuildFunction, Parameters};

/// One kind of change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Would {
    /// Other names.
    Name,
    /// Further aliases.
    Alias,
    Veto,
    /// Made a match of none.
    Match,
    /// Let a node satisfy more labels of an expression.
    Satisfy,
    Reject,
    Drop,
    Set,
    /// Let a parameter through that is dropped.
    Pass,
    Reserve,
    Share,
    Online,
    Offline,
    Hold,
    /// Left it undecided, or kept the build from starting, by its own failure.
    Fail,
}

/// One change, and of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) would: Would,
    /// Names; empty if there is nothing to name.
    pub(super) of: String,
}

impl Would {
    /// Returns what can be changed at a hook.
    pub(super) fn of(hook: Hook) -> &'static [Self] {
        match hook {
            Hook::Naming => &[Self::Name, Self::Alias, Self::Fail],
            Hook::Matching => &[Self::Veto, Self::Match, Self::Satisfy, Self::Fail],
            Hook::Parameters => &[Self::Reject, Self::Drop, Self::Set, Self::Pass, Self::Fail],
            Hook::Offline => &[Self::Reserve, Self::Share, Self::Online, Self::Offline, Self::Hold],
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Alias => "alias",
            Self::Veto => "veto",
            Self::Match => "match",
            Self::Satisfy => "satisfy",
            Self::Reject => "reject",
            Self::Drop => "drop",
            Self::Set => "set",
            Self::Pass => "pass",
            Self::Reserve => "reserve",
            Self::Share => "share",
            Self::Online => "online",
            Self::Offline => "offline",
            Self::Hold => "hold",
            Self::Fail => "fail",
        }
    }

    /// Returns what is said after "would have".
    fn done(self) -> &'static str {
        match self {
            Self::Name => "named it",
            Self::Alias => "offered it also as",
            Self::Veto => "vetoed it",
            Self::Match => "made it a match",
            Self::Satisfy => "let it satisfy",
            Self::Reject => "rejected it",
            Self::Drop => "dropped",
            Self::Set => "set",
            Self::Pass => "let through",
            Self::Reserve => "reserved the node",
            Self::Share => "shared the node",
            Self::Online => "kept the node online",
            Self::Offline => "taken the node offline",
            Self::Hold => "held the node",
            Self::Fail => "failed it",
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.would.done())?;
        if self.of.is_empty() { Ok(()) } else { write!(f, " {}", self.of) }
    }
}

pub(super) fn naming(without: &Result<Names, Undecided>, with: &Result<Names, Undecided>) -> Vec<Change> {
    let (without, with) = match (without, with) {
        (Ok(without), Ok(with)) => (without, with),
        (Ok(_), Err(_)) => return vec![change(Would::Fail)],
        // What is undecided already does not become less so.
        (Err(_), _) => return Vec::new(),
    };
    let names = (without.names != with.names).then(|| with.names.iter().flatten().collect());
    let aliases: Vec<&BuildFunction> = with.aliases.iter().filter(|alias| !without.aliases.contains(alias)).collect();
    let told = |would: Would, names: Vec<&BuildFunction>| Change { would, of: listed(names.into_iter().map(parts)) };
    let names = names.map(|names: Vec<&BuildFunction>| match names.is_empty() {
        true => Change { would: Would::Name, of: "nothing".to_owned() },
        false => told(Would::Name, names),
    });
    names.into_iter().chain((!aliases.is_empty()).then(|| told(Would::Alias, aliases))).collect()
}

pub(super) fn matching(without: &Result<Matched, Undecided>, with: &Result<Matched, Undecided>) -> Vec<Change> {
    match (without, with) {
        (Ok(without), Ok(with)) => match (without.matched, with.matched) {
            (true, false) => vec![change(Would::Veto)],
            (false, true) => vec![change(Would::Match)],
            (true, true) => {
                let more: Vec<String> = with.atoms.difference(&without.atoms).cloned().collect();
                let satisfy = (!more.is_empty()).then(|| Change { would: Would::Satisfy, of: listed(more) });
                satisfy.into_iter().collect()
            }
            (false, false) => Vec::new(),
        },
        (Ok(_), Err(_)) => vec![change(Would::Fail)],
        // A veto counts whatever else has failed.
        (Err(_), Ok(_)) => vec![change(Would::Veto)],
        (Err(_), Err(_)) => Vec::new(),
    }
}

pub(super) fn parameters(without: &Filtered, with: &Filtered) -> Vec<Change> {
    match (without, with) {
        (Filtered::Pass { parameters: before, .. }, Filtered::Pass { parameters: after, set, .. }) => {
            passed(before, after, set)
        }
        (Filtered::Rejected { .. }, _) => Vec::new(),
        (_, Filtered::Rejected { .. }) => vec![change(Would::Reject)],
        (Filtered::Pass { .. }, Filtered::Failed { .. }) => vec![change(Would::Fail)],
        (Filtered::Failed { .. }, _) => Vec::new(),
    }
}

fn passed(before: &Parameters, after: &Parameters, set: &[(String, Arc<str>)]) -> Vec<Change> {
    let mut changes = [(Would::Drop, Vec::new()), (Would::Set, Vec::new()), (Would::Pass, Vec::new())];
    let [(_, dropped), (_, other), (_, let_through)] = &mut changes;
    for (name, value) in before.iter() {
        match after.iter().find(|(known, _)| *known == name) {
            None => dropped.push(name.to_owned()),
            Some((_, now)) if now != value => other.push(name.to_owned()),
            Some(_) => {}
        }
    }
    for name in after.names().filter(|name| !before.contains(name)) {
        let is_set = set.iter().any(|(known, _)| known == name);
        if is_set { &mut *other } else { &mut *let_through }.push(name.to_owned());
    }
    let told = changes.into_iter().filter(|(_, names)| !names.is_empty());
    told.map(|(would, names)| Change { would, of: listed(names) }).collect()
}

pub(super) fn build_started(without: &Start, with: &Start) -> Vec<Change> {
    let would = match with {
        _ if std::mem::discriminant(without) == std::mem::discriminant(with) => return Vec::new(),
        Start::Classic => return Vec::new(),
        Start::Share { .. } => Would::Share,
        Start::Reserve { .. } => Would::Reserve,
    };
    vec![change(would)]
}

pub(super) fn build_ended(without: &End, with: &End) -> Vec<Change> {
    let would = match with {
        _ if std::mem::discriminant(without) == std::mem::discriminant(with) => return Vec::new(),
        End::Classic => return Vec::new(),
        End::Online { .. } => Would::Online,
        End::Offline { .. } => Would::Offline,
        End::Held { .. } => Would::Hold,
    };
    vec![change(would)]
}

fn change(would: Would) -> Change {
    Change { would, of: String::new() }
}

fn parts(name: &BuildFunction) -> String {
    match &name.label {
        Some(label) => format!("{}:{label}", name.project),
        None => name.project.clone(),
    }
}

/// Names one after another; of many the first few.
fn listed(names: impl IntoIterator<Item = String>) -> String {
    const SHOWN: usize = 5;
    let names: BTreeSet<String> = names.into_iter().collect();
    let shown: Vec<String> = names.iter().take(SHOWN).map(|name| super::verdict::shown(name)).collect();
    let more = names.len().saturating_sub(SHOWN);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

#[cfg(test)]
#[path = "would_tests.rs"]
mod tests;
