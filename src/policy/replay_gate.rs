//! The gate `replay`: what the last recorded decisions would become under a candidate.
//!
//! Policies do not keep decisions; whoever does says so through [`PastDecisions`].

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;
use tracing::{info, warn};

use super::component::Hook;
use super::config::Gates;
use super::generation::Generation;
use super::record::Record;
use super::replay::{Kind, Manner, Replayed, Replies, all_threads, ask_candidate, ask_live, compare};
use super::status::Gate;
use super::table_gates::Objection;

/// More would not fit into memory beside their answers.
const MOST_RECORDS: usize = 10_000;

/// Remembers what policies have decided.
pub trait PastDecisions: Send + Sync {
    /// Returns the last decisions, the newest first. May take a while: it is called off the async threads.
    ///
    /// # Errors
    /// Why they cannot be read.
    fn last(&self, count: usize) -> Result<Vec<Record>, String>;
}

/// The gate during one look at the folder: decisions are read once, and only if something is to be examined.
pub(super) struct ReplayGate<'a> {
    decisions: &'a dyn PastDecisions,
    gates: &'a Gates,
    records: Option<Vec<Record>>,
}

impl<'a> ReplayGate<'a> {
    pub(super) fn new(decisions: &'a dyn PastDecisions, gates: &'a Gates) -> Self {
        Self { decisions, gates, records: None }
    }

    /// Holds a candidate against what is in force; they differ in a policy with these hooks, and decisions by others are
    /// what they were.
    pub(super) fn examine(
        &mut self,
        live: &Generation,
        candidate: &Generation,
        hooks: &BTreeSet<Hook>,
    ) -> Result<(), Objection> {
        let within = self.gates.replay_within;
        let threads = spare_threads();
        let records = match self.records.take() {
            Some(records) => records,
            None => self.decisions.last(self.gates.replay.min(MOST_RECORDS)).map_err(|error| {
                object(format!("the recorded decisions cannot be read ({error}), and nobody knows what it changes"))
            })?,
        };
        let records = self.records.insert(records).iter();
        let records: Vec<Record> =
            records.filter(|record| hooks.contains(&record.asked.call().hook())).cloned().collect();
        let before = ask_live(live, &records, threads, Some(Instant::now() + within / 3));
        let until = Instant::now() + within - within / 3;
        let after = ask_candidate(candidate, &records, &before, threads, Some(until));
        let manner = Manner { threads, examples: 1, ..Manner::default() };
        let replayed = compare(&records, &before, &after, &manner);
        tell(&replayed, &before, within);
        let skipped = before.iter().zip(&after).filter(|(before, after)| before.is_some() && after.is_none()).count();
        objection(&replayed, skipped, within).map_or(Ok(()), |reason| Err(object(reason)))
    }
}

/// Leaves half of the machine to the jobs.
fn spare_threads() -> usize {
    all_threads().div_ceil(2)
}

fn object(reason: String) -> Objection {
    Objection { gate: Gate::Replay, reason }
}

fn tell(replayed: &Replayed, before: &Replies, within: Duration) {
    let Replayed { records, same, changed, loosened, newly_failing, not_replayable, not_reached, .. } = replayed;
    info!(records, same, changed, loosened, newly_failing, not_replayable, not_reached, "recorded decisions replayed");
    let unasked = before.iter().filter(|reply| reply.is_none()).count();
    if unasked > 0 {
        warn!(
            unasked,
            records,
            ?within,
            "the policies in force are too slow to be held against a candidate everywhere"
        );
    }
}

/// Returns why a candidate should not be in force, if it should not; `skipped` are decisions for which it was too slow.
fn objection(replayed: &Replayed, skipped: usize, within: Duration) -> Option<String> {
    let asked = replayed.records - replayed.not_reached - replayed.not_replayable;
    let shown = |kind: Kind, count: usize, what: &str| {
        let example = replayed.example(kind)?;
        Some(format!("{what} in {count} of {asked} recorded decisions, such as {}: {}", example.call, example.text))
    };
    shown(Kind::NewlyFailing, replayed.newly_failing, "it fails where what is in force does not,")
        .or_else(|| shown(Kind::Loosened, replayed.loosened, "what is held back now would be let through"))
        .or_else(|| {
            (skipped > 0).then(|| {
                format!(
                    "it did not get through {skipped} of {} recorded decisions in time (policies.gates.replay_within, \
                     {within:?}); make it faster, or have fewer replayed (policies.gates.replay)",
                    replayed.records
                )
            })
        })
}

#[cfg(test)]
#[path = "replay_gate_tests.rs"]
mod tests;
