//! A policy file among those that a site has in force, for its author: what becomes of recorded decisions with it.
//!
//! It reads what a daemon has written down and changes nothing of it.

use super::generation::Generation;
use super::lineup::Lineup;
use super::record::Record;
use super::reload::Error;
use super::replay::{Manner, Replayed, ask_candidate, ask_live, compare, recorded_of};
use super::workbench::Workbench;

/// What is in force, and what would be with the file.
#[derive(Debug)]
pub struct Rehearsal {
    policy: String,
    /// None if the other policies of the site are not known.
    live: Option<Generation>,
    candidate: Generation,
    warnings: Vec<String>,
}

/// What a rehearsal is asked for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wanted {
    /// Beyond so many times the fuel a decision is slower.
    pub slower: f64,
    /// How many examples of each kind are shown.
    pub examples: usize,
}

impl Rehearsal {
    /// Puts a policy to its records by itself: what it decided alone is known from the record, the rest is not.
    ///
    /// # Errors
    /// Settings that the policy refuses, or answers that break the laws.
    pub fn alone(bench: &Workbench) -> Result<Self, Error> {
        Self::of(bench, Lineup::in_engine(&bench.config, bench.module.pre.engine())?, None)
    }

    /// Puts a policy among those that the daemon of the bench's configuration has in force, in the place of the one of
    /// its name. What is in force is what the daemon wrote down; without that, what lies in the folder.
    ///
    /// # Errors
    /// The same, or policies in force that cannot be read.
    pub fn among_others(bench: &Workbench) -> Result<Self, Error> {
        let lineup = Lineup::as_written(&bench.config, bench.module.pre.engine())?;
        let live = lineup.generation();
        Self::of(bench, lineup, Some(live))
    }

    fn of(bench: &Workbench, mut lineup: Lineup, live: Option<Generation>) -> Result<Self, Error> {
        lineup.take(bench)?;
        let warnings = lineup.warnings().to_vec();
        Ok(Self { policy: bench.name.clone(), live, candidate: lineup.generation(), warnings })
    }

    /// Returns what a person should know of the policies that are asked.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Puts records to the policy. Takes as long as it does.
    pub fn replay(&self, records: &[Record], wanted: &Wanted) -> Replayed {
        let manner = Manner { slower: wanted.slower, examples: wanted.examples, ..Manner::default() };
        let before = match &self.live {
            Some(live) => ask_live(live, records, manner.threads, None),
            None => recorded_of(&self.policy, records),
        };
        let after = ask_candidate(&self.candidate, records, &before, manner.threads, None);
        compare(records, &before, &after, &manner)
    }
}
