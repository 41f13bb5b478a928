//! Recorded decisions, put to a candidate: what it decides otherwise than what is in force.
//!
//! What is in force is asked as well, in the same run, and its answers are what counts: a record may be older than the
//! policies that decide today. Only where it would have to see a value that was not kept, the recorded verdict stands in
//! for it, and only if the very same policies gave it. Every question gets fresh instances, as every job does.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde::Serialize;
use tokio::time::Instant;

use super::Asked;
use super::digest::Digest;
use super::generation::Generation;
use super::loosening::loosening;
use super::record::{Answered, Composed, Fate, Record, SlotTold, Told};
use super::verdict::shown;
use super::written::Call;

/// How recorded decisions would come out now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Replayed {
    /// How many there were.
    pub records: usize,
    pub same: usize,
    /// Otherwise, and not looser.
    pub changed: usize,
    /// Something is let through that is held back now.
    pub loosened: usize,
    /// A policy fails that does not fail now.
    pub newly_failing: usize,
    /// Counted beside all that: more fuel than so many times what it takes now.
    pub slower: usize,
    /// It is not known what was asked, or what is decided now.
    pub not_replayable: usize,
    /// There was no time left for them.
    pub not_reached: usize,
    /// The first ones of each kind that is not `same`.
    pub examples: Vec<Example>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Example {
    pub kind: Kind,
    /// When it was decided, in milliseconds since 1970.
    pub at: u64,
    pub call: Call,
    pub controller: String,
    pub project: String,
    pub node: String,
    /// Without any parameter's value.
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    NewlyFailing,
    Loosened,
    Changed,
    Slower,
    NotReplayable,
}

/// How a replay is done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manner {
    pub(super) threads: usize,
    /// Beyond so many times the fuel a decision is slower.
    pub(super) slower: f64,
    /// How many examples of each kind are wanted.
    pub(super) examples: usize,
}

impl Default for Manner {
    fn default() -> Self {
        Self { threads: all_threads(), slower: 2.0, examples: 5 }
    }
}

pub(super) fn all_threads() -> usize {
    std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
}

/// What is known of one decision.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reply {
    Said(Said),
    /// Why not.
    Unknown(String),
}

/// As much of an answer as is compared.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Said {
    /// With values that policies set: never shown.
    verdict: Composed,
    why: String,
    fuel: u64,
    /// By policy.
    failures: BTreeMap<String, String>,
}

/// One reply for each record; none where there was no time.
pub(super) type Replies = Vec<Option<Reply>>;

/// Asks what is in force.
pub(super) fn ask_live(live: &Generation, records: &[Record], threads: usize, until: Option<Instant>) -> Replies {
    ask_all(records, threads, until, |_, record| match unknown(live, record) {
        None => Reply::Said(live.decide_again(&record.asked).into()),
        // Its answer is of no use here, but who would have given it is.
        Some(_) if speakers(&live.ask_again(&record.asked).told) == speakers(&record.told) => Said::recorded(record),
        Some(reason) => Reply::Unknown(reason),
    })
}

/// Takes the recorded verdicts for what is in force: to whoever has but one policy and records in which it alone spoke.
pub(super) fn recorded_of(policy: &str, records: &[Record]) -> Replies {
    let reply = |record: &Record| match record.told.iter().find(|told| told.policy != policy) {
        None => Said::recorded(record),
        Some(other) => Reply::Unknown(format!("policy {} had a say too, and it is not here", other.policy)),
    };
    records.iter().map(|record| Some(reply(record))).collect()
}

/// Asks a candidate, where it is known what it is compared with.
pub(super) fn ask_candidate(
    candidate: &Generation,
    records: &[Record],
    before: &Replies,
    threads: usize,
    until: Option<Instant>,
) -> Replies {
    ask_all(records, threads, until, |index, record| match &before[index] {
        Some(Reply::Said(_)) => match unknown(candidate, record) {
            None => Reply::Said(candidate.decide_again(&record.asked).into()),
            Some(reason) => Reply::Unknown(reason),
        },
        Some(unknown) => unknown.clone(),
        None => Reply::Unknown("there was no time to ask what is in force".to_owned()),
    })
}

/// Holds the replies of a candidate against those of what is in force.
pub(super) fn compare(records: &[Record], before: &Replies, after: &Replies, manner: &Manner) -> Replayed {
    let mut replayed = Replayed { records: records.len(), ..Replayed::default() };
    for (record, (before, after)) in records.iter().zip(before.iter().zip(after)) {
        let (Some(before), Some(after)) = (before, after) else {
            replayed.not_reached += 1;
            continue;
        };
        let (Reply::Said(before), Reply::Said(after)) = (before, after) else {
            let reason = [after, before].into_iter().find_map(Reply::reason).unwrap_or_default();
            replayed.note(Kind::NotReplayable, record, reason.to_owned(), manner);
            continue;
        };
        match difference(&record.asked, before, after) {
            None => replayed.same += 1,
            Some((kind, text)) => replayed.note(kind, record, text, manner),
        }
        let (was, is) = (before.fuel, after.fuel);
        if was > 0 && is as f64 > was as f64 * manner.slower {
            replayed.note(Kind::Slower, record, format!("takes {is} fuel instead of {was}"), manner);
        }
    }
    replayed.examples.sort_by_key(|example| example.kind);
    replayed
}

/// Returns how one decision differs.
fn difference(asked: &Asked, before: &Said, after: &Said) -> Option<(Kind, String)> {
    if let Some(failure) = newly_failing(before, after) {
        return Some((Kind::NewlyFailing, failure));
    }
    if let Some(text) = loosening(asked, &before.verdict, &after.verdict) {
        let why = if before.why.is_empty() { String::new() } else { format!(" (now: {})", before.why) };
        return Some((Kind::Loosened, format!("{text}{why}")));
    }
    (!before.verdict.agrees_with(&after.verdict)).then(|| (Kind::Changed, changed(&before.verdict, &after.verdict)))
}

fn newly_failing(before: &Said, after: &Said) -> Option<String> {
    let fresh = after.failures.iter().find(|(policy, _)| !before.failures.contains_key(*policy));
    if let Some((policy, failure)) = fresh {
        return Some(format!("policy {policy} fails: {failure}"));
    }
    let is_failed = |said: &Said| matches!(said.verdict, Composed::Failed | Composed::Undecided);
    (is_failed(after) && !is_failed(before)).then(|| after.why.clone())
}

/// Says what is otherwise, in words and names, never in values.
fn changed(before: &Composed, after: &Composed) -> String {
    let (Composed::Passed { parameters: was }, Composed::Passed { parameters: is }) = (before, after) else {
        return match (before.word(), after.word()) {
            (was, is) if was == is => match (before, after) {
                (Composed::Named { names: was, .. }, Composed::Named { names: is, .. }) if was != is => {
                    format!("names {} become {}", listed(was.as_ref()), listed(is.as_ref()))
                }
                (Composed::Named { aliases: was, .. }, Composed::Named { aliases: is, .. }) => {
                    format!("aliases {} become {}", listed(Some(was)), listed(Some(is)))
                }
                (Composed::Matched { atoms: was, .. }, Composed::Matched { atoms: is, .. }) => {
                    format!("matched by {} becomes matched by {}", listed(Some(was)), listed(Some(is)))
                }
                _ => format!("{was}, for another reason"),
            },
            (was, is) => format!("{was} becomes {is}"),
        };
    };
    let word = |fate: Option<&Fate>| match fate {
        None => "not sent",
        Some(Fate::Kept) => "kept",
        Some(Fate::Dropped) => "dropped",
        Some(Fate::Set(_)) => "set",
    };
    let names: BTreeSet<&String> = was.keys().chain(is.keys()).collect();
    let first = names.into_iter().find(|name| was.get(*name) != is.get(*name));
    first.map_or_else(String::new, |name| match (word(was.get(name)), word(is.get(name))) {
        (was, is) if was == is => format!("parameter {name:?} is set to another value"),
        (was, is) => format!("parameter {name:?}: {was} becomes {is}"),
    })
}

fn listed(names: Option<&BTreeSet<String>>) -> String {
    match names {
        None => "of the classic rules".to_owned(),
        Some(names) if names.is_empty() => "none".to_owned(),
        Some(names) => names.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
    }
}

/// Returns why a question is not known well enough to be put to a generation.
fn unknown(generation: &Generation, record: &Record) -> Option<String> {
    if let Some(reason) = record.unknown() {
        return Some(reason);
    }
    let missing = record.asked.missing(generation);
    let names: Vec<&str> = missing.iter().map(String::as_str).collect();
    (!names.is_empty()).then(|| format!("the value of {} was not kept", shown(&names.join(", "))))
}

fn speakers(told: &[SlotTold]) -> Vec<(&str, &Digest, &Digest)> {
    told.iter().map(|told| (told.slot.as_str(), &told.module, &told.settings)).collect()
}

/// Puts all records to `ask`, on several threads; begins none after its time.
fn ask_all(
    records: &[Record],
    threads: usize,
    until: Option<Instant>,
    ask: impl Fn(usize, &Record) -> Reply + Sync,
) -> Replies {
    let next = AtomicUsize::new(0);
    let replies: Vec<OnceLock<Reply>> = records.iter().map(|_| OnceLock::new()).collect();
    let work = || {
        while until.is_none_or(|until| Instant::now() < until) {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let (Some(record), Some(reply)) = (records.get(index), replies.get(index)) else { break };
            let _first = reply.set(ask(index, record));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(records.len()) {
            scope.spawn(work);
        }
        work();
    });
    replies.into_iter().map(OnceLock::into_inner).collect()
}

impl Replayed {
    fn note(&mut self, kind: Kind, record: &Record, text: String, manner: &Manner) {
        let count = match kind {
            Kind::NewlyFailing => &mut self.newly_failing,
            Kind::Loosened => &mut self.loosened,
            Kind::Changed => &mut self.changed,
            Kind::Slower => &mut self.slower,
            Kind::NotReplayable => &mut self.not_replayable,
        };
        *count += 1;
        if *count <= manner.examples {
            let asked = &record.asked;
            self.examples.push(Example {
                kind,
                at: record.at,
                call: asked.call(),
                controller: asked.controller().name.to_string(),
                project: asked.project().name.full().to_owned(),
                node: asked.node().name.to_string(),
                text: shown(&text),
            });
        }
    }

    /// Returns the first example of a kind.
    pub fn example(&self, kind: Kind) -> Option<&Example> {
        self.examples.iter().find(|example| example.kind == kind)
    }

    /// Returns whether everything that could be asked comes out as it does now.
    pub fn is_same(&self) -> bool {
        self.changed + self.loosened + self.newly_failing == 0
    }
}

impl Reply {
    fn reason(&self) -> Option<&str> {
        if let Self::Unknown(reason) = self { Some(reason) } else { None }
    }
}

impl Said {
    fn recorded(record: &Record) -> Reply {
        let Record { told, verdict, why, .. } = record.clone();
        Reply::Said((Answered { told, verdict: verdict.clone(), why }, verdict).into())
    }
}

/// Keeps what is compared: traces and reasons of thousands of decisions are large.
impl From<(Answered, Composed)> for Said {
    fn from((answered, verdict): (Answered, Composed)) -> Self {
        let failure = |told: &SlotTold| match &told.answer {
            Told::Failure(failure) => Some((told.policy.clone(), failure.text.clone())),
            Told::Verdict(_) => None,
        };
        let fuel = answered.told.iter().map(|told| told.fuel).sum();
        let failures = answered.told.iter().filter_map(failure).collect();
        Self { verdict, why: answered.why, fuel, failures }
    }
}

#[cfg(test)]
#[path = "replay_tests.rs"]
mod tests;
