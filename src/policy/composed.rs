//! What all policies together have decided, told without the words, so that two decisions can be held against each
//! other; and in words, whose answer it was that counted.

use std::collections::BTreeMap;

use super::answers::{End, Filtered, Matched, Names, Start, Undecided};
use super::record::{Composed, Fate};
use crate::domain::BuildFunction;

type Told = (Composed, String);

pub(super) fn filtered(filtered: &Filtered) -> Told {
    match filtered {
        Filtered::Rejected { slot, reason } => (Composed::Rejected, by(slot, reason)),
        Filtered::Failed { slot, reason } => (Composed::Failed, by(slot, reason)),
        Filtered::Pass { parameters, dropped, set, .. } => {
            let mut fates: BTreeMap<String, Fate> =
                dropped.iter().map(|(name, _)| (name.clone(), Fate::Dropped)).collect();
            for (name, value) in parameters.iter() {
                let is_set = set.iter().any(|(set, _)| set == name);
                let fate = if is_set { Fate::Set(value.map(str::to_owned)) } else { Fate::Kept };
                fates.insert(name.to_owned(), fate);
            }
            (Composed::Passed { parameters: fates }, String::new())
        }
    }
}

pub(super) fn started(start: &Start) -> Told {
    match start {
        Start::Classic => (Composed::Classic, String::new()),
        Start::Share { slot, reason } => (Composed::Share, by(slot, reason)),
        Start::Reserve { slot, reason, .. } => (Composed::Reserve, by(slot, reason)),
    }
}

pub(super) fn ended(end: &End) -> Told {
    match end {
        End::Classic => (Composed::Classic, String::new()),
        End::Online { slot, reason } => (Composed::Online, by(slot, reason)),
        End::Offline { slot, message, .. } => (Composed::Offline, by(slot, message)),
        End::Held { slot, message, .. } => (Composed::Held, by(slot, message)),
    }
}

pub(super) fn matched(matched: Result<&Matched, &Undecided>) -> Told {
    let matched = match matched {
        Ok(matched) => matched,
        Err(undecided) => return (Composed::Undecided, undecided.to_string()),
    };
    let Matched { atoms, widened, veto, clamped, .. } = matched;
    let composed = if matched.matched {
        Composed::Matched { atoms: atoms.clone(), widened: *widened }
    } else {
        Composed::NoMatch { vetoed: veto.is_some() }
    };
    let why = veto.as_ref().or(clamped.as_ref()).map(|reason| by(&reason.slot, &reason.reason));
    (composed, why.unwrap_or_default())
}

pub(super) fn named(names: Result<&Names, &Undecided>) -> Told {
    let names = match names {
        Ok(names) => names,
        Err(undecided) => return (Composed::Undecided, undecided.to_string()),
    };
    let texts = |list: &[BuildFunction]| list.iter().map(ToString::to_string).collect();
    let composed = Composed::Named { names: names.names.as_deref().map(texts), aliases: texts(&names.aliases) };
    let reason = names.reasons.iter().find(|reason| names.owner.as_ref() == Some(&reason.slot));
    (composed, reason.map(|reason| by(&reason.slot, &reason.reason)).unwrap_or_default())
}

fn by(slot: &str, reason: &str) -> String {
    if reason.is_empty() { format!("policy {slot}") } else { format!("policy {slot}: {reason}") }
}
