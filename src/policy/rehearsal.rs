//! A policy file among those that a site has in force, for its author: what becomes of recorded decisions with it.
//!
//! It reads what a daemon has written down and changes nothing of it.

use std::sync::Arc;

use super::book::{InForce, Live};
use super::component::Module;
use super::config::{Config, Mode};
use super::folder;
use super::gate::{self, Version};
use super::generation::Generation;
use super::ledger::Ledger;
use super::monitor::Monitor;
use super::record::Record;
use super::redaction::Redaction;
use super::reload::Error;
use super::replay::{Manner, Replayed, ask_candidate, ask_live, compare, recorded_of};
use super::status::{Gate, Refusal};
use super::table_gates::slots_of;
use super::tally::Tallies;
use super::workbench::Workbench;

/// What is in force, and what would be with the file.
#[derive(Debug)]
pub struct Rehearsal {
    policy: String,
    /// None if the other policies of the site are not known.
    live: Option<Generation>,
    candidate: Generation,
    /// Policies that are not in force, and why.
    left_out: Vec<Refusal>,
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
        let alone = InForce::from([(bench.name.clone(), in_force(candidate(bench)?))]);
        let candidate = generation(bench, &alone)?;
        Ok(Self { policy: bench.name.clone(), live: None, candidate, left_out: Vec::new() })
    }

    /// Puts a policy among those that the daemon of the bench's configuration has in force, in the place of the one of
    /// its name. What is in force is what the daemon wrote down; without that, what lies in the folder.
    ///
    /// # Errors
    /// The same, or policies in force that cannot be read.
    pub fn among_others(bench: &Workbench) -> Result<Self, Error> {
        let (mut policies, left_out) = others(bench)?;
        let live = Some(generation(bench, &policies)?);
        policies.insert(bench.name.clone(), in_force(candidate(bench)?));
        Ok(Self { policy: bench.name.clone(), live, candidate: generation(bench, &policies)?, left_out })
    }

    /// Returns the policies of the folder that would not be in force, and why.
    pub fn left_out(&self) -> &[Refusal] {
        &self.left_out
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

/// Returns the file as it would be in force. Its author wants to see it counted, also where the site only tries it.
fn candidate(bench: &Workbench) -> Result<Version, Error> {
    let mut config = bench.config.clone();
    config.slots.entry(bench.name.clone()).or_default().mode = Mode::Enforce;
    let sidecar = bench.contents.sidecar.as_deref();
    gate::settle(&config, &Tallies::default(), &bench.name, &bench.stem, Arc::clone(&bench.module), sidecar)
        .map_err(Error::Refused)
}

fn others(bench: &Workbench) -> Result<(InForce, Vec<Refusal>), Error> {
    let config = &bench.config;
    let refuse = |reason: String| Error::Refused(Refusal { slot: String::new(), gate: Gate::Folder, reason });
    let written = match &config.state {
        Some(state) => {
            let unread = |error| {
                refuse(format!(
                    "what the daemon has in force cannot be read in {}: {error}; become its user",
                    state.display()
                ))
            };
            let ledger = Ledger::at(state);
            let page = ledger.read().map_err(unread)?;
            (page.generation > 0).then_some((ledger, page))
        }
        None => None,
    };
    let mut policies = InForce::new();
    let mut left_out = Vec::new();
    match written {
        Some((ledger, page)) => {
            for (name, entry) in page.policies.iter().filter(|(name, _)| !page.disabled.contains_key(*name)) {
                let bytes = ledger.module(&entry.live.module);
                let bytes = bytes.map_err(|error| refuse(format!("the version of {name} in force: {error}")))?;
                let version = version(bench, config, name, &entry.stem, &bytes, entry.live.sidecar.as_deref());
                policies.insert(name.clone(), in_force(version.map_err(Error::Refused)?));
            }
        }
        None => {
            for file in folder::read(&config.folder, config.limits.max_module).map_err(refuse)? {
                let unread = |reason| Refusal { slot: file.name.clone(), gate: Gate::Folder, reason };
                let version = file.contents.map_err(unread).and_then(|contents| {
                    version(bench, config, &file.name, &file.stem, &contents.module, contents.sidecar.as_deref())
                });
                match version {
                    Ok(version) => drop(policies.entry(file.name).or_insert_with(|| in_force(version))),
                    Err(refusal) => left_out.push(refusal),
                }
            }
        }
    }
    Ok((policies, left_out))
}

fn version(
    bench: &Workbench,
    config: &Config,
    name: &str,
    stem: &str,
    bytes: &[u8],
    sidecar: Option<&str>,
) -> Result<Version, Refusal> {
    let engine = bench.module.pre.engine();
    let module: Arc<Module> = gate::interface(engine, config, None, name, bytes)?;
    gate::settle(config, &Tallies::default(), name, stem, module, sidecar)
}

fn in_force(version: Version) -> Live {
    Live { version, since: 0, came: None, previous: None }
}

fn generation(bench: &Workbench, policies: &InForce) -> Result<Generation, Error> {
    let monitor = Monitor::start().map_err(|error| Error::Engine(error.to_string()))?;
    let redaction = Arc::new(Redaction::new(&bench.config).map_err(Error::Globs)?);
    let slots = slots_of(policies).into_iter().filter(|slot| slot.mode == Mode::Enforce).collect();
    Ok(Generation { number: 0, slots, blocked: Vec::new(), monitor, redaction, recorder: None })
}
