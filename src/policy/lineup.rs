//! Policies that would be in force together, for whoever looks at a change before it is made: taken from where a daemon
//! keeps them, changed at will, in force nowhere.
//!
//! It reads what a daemon has written down and changes nothing of it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use wasmtime::Engine;

use super::binding::Bind;
use super::config::{Config, Grant, Mode};
use super::digest::Digest;
use super::folder::{self, Contents};
use super::gate::{self, Version};
use super::generation::Generation;
use super::ledger::{Kept, Ledger, Page};
use super::monitor::Monitor;
use super::redaction::Redaction;
use super::reload::Error;
use super::status::{Gate, Refusal};
use super::table_gates::in_order;
use super::tally::Tallies;
use super::{engine, workbench::Workbench};

/// Policies by name, with what is missing of them.
#[derive(Clone)]
pub struct Lineup {
    config: Config,
    engine: Engine,
    monitor: Monitor,
    redaction: Arc<Redaction>,
    policies: BTreeMap<String, Version>,
    /// Where nothing is offered, since a required policy is missing.
    blocked: BTreeMap<String, Vec<Bind>>,
    warnings: Vec<String>,
}

/// What became of the policies with a candidate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seated {
    pub name: String,
    pub digest: Digest,
    /// Of the version whose place it takes; none if it is new.
    pub replaces: Option<Digest>,
}

impl Lineup {
    /// Returns none: the classic rules alone.
    ///
    /// # Errors
    /// Trouble with the engine.
    pub fn classic(config: &Config) -> Result<Self, Error> {
        let engine = engine::start(&config.limits).map_err(|error| Error::Engine(format!("{error:#}")))?;
        Self::in_engine(config, &engine)
    }

    /// The same, in an engine that is there already.
    pub(super) fn in_engine(config: &Config, engine: &Engine) -> Result<Self, Error> {
        let monitor = Monitor::start().map_err(|error| Error::Engine(error.to_string()))?;
        Ok(Self {
            config: config.clone(),
            engine: engine.clone(),
            monitor,
            redaction: Arc::new(Redaction::new(config).map_err(Error::Globs)?),
            policies: BTreeMap::new(),
            blocked: BTreeMap::new(),
            warnings: Vec::new(),
        })
    }

    /// Returns what a daemon of that configuration has in force, as it wrote it down; where that cannot be read, what
    /// lies in the folder. Compiles, so it takes a while.
    ///
    /// # Errors
    /// A folder that cannot be read. A policy that cannot be loaded is among the warnings.
    pub fn in_force(config: &Config) -> Result<Self, Error> {
        let mut lineup = Self::classic(config)?;
        let written = written(config).unwrap_or_else(|error| {
            lineup.warnings.push(format!("{error}, so the folder stands for it"));
            None
        });
        lineup.fill(written)?;
        Ok(lineup)
    }

    /// The same in an engine that is there already, and the folder stands for nothing that cannot be read.
    ///
    /// # Errors
    /// The same, or that what the daemon wrote down cannot be read.
    pub(super) fn as_written(config: &Config, engine: &Engine) -> Result<Self, Error> {
        let refuse = |reason: String| Error::Refused(Refusal { slot: String::new(), gate: Gate::Folder, reason });
        let mut lineup = Self::in_engine(config, engine)?;
        lineup.fill(written(config).map_err(|error| refuse(format!("{error}: become the daemon's user")))?)?;
        Ok(lineup)
    }

    /// Puts a file, with the sidecar beside it, in the place of the policy of its name, or beside the others.
    ///
    /// # Errors
    /// A file that the daemon would refuse, with the same words. What the site's pin and keys say is only a warning: who
    /// tries something new has not had it signed yet.
    pub fn seat(&mut self, path: &Path) -> Result<Seated, Error> {
        self.take(&Workbench::open_in(path, &self.config, &self.engine)?)
    }

    /// The same with a file that was opened already, in the engine of these policies.
    pub(super) fn take(&mut self, bench: &Workbench) -> Result<Seated, Error> {
        let Workbench { name, stem, contents, module, .. } = bench;
        let guard = self.config.guard(name);
        if guard.mode == Mode::Monitor {
            self.warn(name, "is on trial (mode = \"monitor\"), and is shown here as if it counted");
        }
        if let Err(refusal) = gate::vouched(&self.config, name, stem, contents) {
            self.warn(name, &format!("would be refused at gate {}: {}", refusal.gate, refusal.reason));
        }
        let mut config = self.config.clone();
        config.slots.entry(name.clone()).or_default().mode = Mode::Enforce;
        let before = self.policies.get(name);
        let loses_settings = before.is_some_and(|before| before.sidecar.is_some()) && contents.sidecar.is_none();
        // A file without a number takes the place of the one that it replaces.
        let is_numbered = folder::name_of(stem) != stem;
        let stem = before.filter(|_| !is_numbered).map_or(stem, |before| &before.stem);
        let sidecar = contents.sidecar.as_deref();
        let version = gate::settle(&config, &Tallies::default(), name, stem, Arc::clone(module), sidecar)
            .map_err(Error::Refused)?;
        if loses_settings {
            self.warn(name, "has settings in force, and none lie beside the file");
        }
        for advice in &version.advice {
            self.warnings.push(format!("policy {name}: {advice}"));
        }
        let digest = version.module.digest.clone();
        self.blocked.remove(name);
        let replaces = self.policies.insert(name.clone(), version).map(|before| before.module.digest.clone());
        Ok(Seated { name: name.clone(), digest, replaces })
    }

    /// Does without a policy, as if a person had retired it.
    ///
    /// # Errors
    /// No policy of that name is there.
    pub fn remove(&mut self, name: &str) -> Result<Digest, Error> {
        self.blocked.remove(name);
        let removed = self.policies.remove(name).ok_or_else(|| Error::Unknown(name.to_owned()))?;
        Ok(removed.module.digest.clone())
    }

    /// Returns the same with one policy granted more; none if it is not there, or has the grant already.
    pub fn granting(&self, name: &str, grant: Grant) -> Option<Self> {
        let version = self.policies.get(name)?;
        if version.slots.iter().all(|slot| slot.voice.grants.contains(&grant)) {
            return None;
        }
        let mut config = self.config.clone();
        config.slots.entry(name.to_owned()).or_default().grants.insert(grant);
        let module = Arc::clone(&version.module);
        let version =
            gate::settle(&config, &Tallies::default(), name, &version.stem, module, version.sidecar.as_deref()).ok()?;
        let mut granting = Self { config, ..self.clone() };
        granting.policies.insert(name.to_owned(), version);
        Some(granting)
    }

    /// Returns the same without a policy; none if it is not there.
    pub fn without(&self, name: &str) -> Option<Self> {
        let mut without = self.clone();
        without.remove(name).is_ok().then_some(without)
    }

    /// Returns what is there, by name.
    pub fn digests(&self) -> BTreeMap<String, Digest> {
        let digest = |(name, version): (&String, &Version)| (name.clone(), version.module.digest.clone());
        self.policies.iter().map(digest).collect()
    }

    /// Returns what a person should know of how this came together.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Returns all of it as if it were in force.
    pub fn generation(&self) -> Generation {
        let slots = in_order(self.policies.values()).into_iter().filter(|slot| slot.mode == Mode::Enforce).collect();
        let blocked = self.blocked.values().flatten().cloned().collect();
        let (monitor, redaction) = (self.monitor.clone(), Arc::clone(&self.redaction));
        Generation { number: 0, slots, blocked, monitor, redaction, recorder: None }
    }

    fn fill(&mut self, written: Option<(Ledger, Page)>) -> Result<(), Error> {
        match written {
            Some((ledger, page)) => self.restore(&ledger, &page),
            None => self.read_folder()?,
        }
        self.demand_required();
        Ok(())
    }

    fn restore(&mut self, ledger: &Ledger, page: &Page) {
        for (name, entry) in page.policies.iter().filter(|(name, _)| !page.disabled.contains_key(*name)) {
            let Kept { module, sidecar, signatures } = &entry.live;
            let unread = |error: std::io::Error| format!("the version in force cannot be read: {error}");
            let contents = ledger.module(module).map_err(unread).map(|module| Contents {
                module,
                sidecar: sidecar.clone(),
                signatures: signatures.clone(),
            });
            match contents.and_then(|contents| self.settle(name, &entry.stem, &contents)) {
                Ok(version) => drop(self.policies.insert(name.clone(), version)),
                Err(reason) => self.leave_out(name, sidecar.as_deref(), &reason),
            }
        }
        // Who was retired is not missed, and who is disabled abstains.
        for name in page.retired.iter().chain(page.disabled.keys()) {
            self.config.slots.entry(name.clone()).or_default().required = false;
        }
    }

    fn read_folder(&mut self) -> Result<(), Error> {
        let refuse = |reason: String| Error::Refused(Refusal { slot: String::new(), gate: Gate::Folder, reason });
        for file in folder::read(&self.config.folder, self.config.limits.max_module).map_err(refuse)? {
            if self.policies.contains_key(&file.name) {
                self.warn(&file.name, &format!("has two files, and {} is passed over", file.file_name()));
                continue;
            }
            let sidecar = file.contents.as_ref().ok().and_then(|contents| contents.sidecar.clone());
            match file.contents.and_then(|contents| self.settle(&file.name, &file.stem, &contents)) {
                Ok(version) => drop(self.policies.insert(file.name, version)),
                Err(reason) => self.leave_out(&file.name, sidecar.as_deref(), &reason),
            }
        }
        Ok(())
    }

    /// Has a version pass the gates that the daemon has it pass when it starts.
    fn settle(&self, name: &str, stem: &str, contents: &Contents) -> Result<Version, String> {
        let module = || gate::interface(&self.engine, &self.config, None, name, &contents.module);
        let settled = gate::readmit(&self.config, &Tallies::default(), name, stem, contents, module);
        settled.map_err(|refusal| format!("refused at gate {}: {}", refusal.gate, refusal.reason))
    }

    /// Notes a policy that cannot be taken in, and blocks what may not go without it.
    fn leave_out(&mut self, name: &str, sidecar: Option<&str>, reason: &str) {
        let guard = self.config.guard(name);
        let is_missed = guard.is_demanded();
        let meaning = if is_missed { "; nothing counts as offered where it is bound" } else { "" };
        self.warn(name, &format!("is left out: {reason}{meaning}"));
        if is_missed {
            self.blocked.insert(name.to_owned(), gate::binds_of(sidecar));
        }
    }

    /// Whom the configuration names and requires has to be there.
    fn demand_required(&mut self) {
        let demanded = self.config.slots.iter().filter(|(_, guard)| guard.is_demanded());
        let missing = demanded
            .map(|(name, _)| name.clone())
            .filter(|name| !self.policies.contains_key(name) && !self.blocked.contains_key(name));
        for name in missing.collect::<Vec<_>>() {
            self.leave_out(&name, None, "the configuration requires it, and it is not there");
        }
    }

    fn warn(&mut self, name: &str, what: &str) {
        self.warnings.push(format!("policy {name} {what}"));
    }
}

/// Reads what a daemon has in force; none if it never had anything, or keeps nothing.
fn written(config: &Config) -> Result<Option<(Ledger, Page)>, String> {
    let Some(state) = config.state.as_deref() else { return Ok(None) };
    let ledger = Ledger::at(state);
    let unread = |error| format!("what the daemon has in force cannot be read in {} ({error})", state.display());
    let page = ledger.read().map_err(unread)?;
    Ok((page.generation > 0).then_some((ledger, page)))
}

impl fmt::Debug for Lineup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&String> = self.policies.keys().collect();
        f.debug_struct("Lineup").field("policies", &names).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "lineup_tests.rs"]
mod tests;
