//! What the folder holds, taken in: each file through its gates, and what goes on without one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tracing::{error, warn};

use super::book::{Book, Live, Previous};
use super::component::Module;
use super::config::SlotGuard;
use super::digest::Digest;
use super::folder::{Contents, PolicyFile};
use super::gate::{self, Version};
use super::ledger::{Candidate, Entry, Kept};
use super::reload::Inner;
use super::status::{Gate, Refusal, Stage};
use super::stopwatch::Stopwatch;

/// What one look has found.
#[derive(Default)]
pub(super) struct Look {
    pub(super) refused: Vec<Refusal>,
    pub(super) rows: BTreeMap<String, Row>,
    /// Set if the folder as a whole is in trouble.
    pub(super) folder_error: Option<String>,
    pub(super) took: Stopwatch,
}

/// A policy as the folder shows it.
#[derive(Default)]
pub(super) struct Row {
    pub(super) file: Option<String>,
    pub(super) sidecar: Option<String>,
    /// None if the file is not there or cannot be read.
    candidate: Option<Candidate>,
    pub(super) refusal: Option<Refusal>,
}

const FROZEN: &str = "policies are frozen, and what was in force stays: `layshaft policy thaw` lets it in";

impl Look {
    /// Notes that a change which had passed the gates of files was refused after all.
    pub(super) fn refuse(&mut self, book: &mut Book, refusal: Refusal) {
        let row = self.rows.entry(refusal.slot.clone()).or_default();
        let in_force = book.live.get(&refusal.slot).map(|live| live.version.candidate());
        let is_what_the_folder_says = match &row.file {
            Some(_) => row.candidate.is_some() && row.candidate != in_force,
            None => true,
        };
        // Else it is a person's wish that was refused, and the file is as good or as bad as before.
        if is_what_the_folder_says && row.refusal.is_none() {
            book.turn_down(row.candidate.clone(), refusal.clone());
            row.refusal = Some(refusal.clone());
        }
        self.refused.push(refusal);
    }
}

impl Inner {
    pub(super) fn keep_all(&self, book: &mut Book, look: &mut Look, reason: String) {
        for name in book.kept.keys().cloned().collect::<Vec<_>>() {
            self.fall_back(book, &name);
        }
        let refusal = Refusal { slot: String::new(), gate: Gate::Folder, reason: reason.clone() };
        for name in book.live.keys() {
            look.rows.insert(name.clone(), Row { refusal: Some(refusal.clone()), ..Row::default() });
        }
        look.refused.push(refusal);
        look.folder_error = Some(reason);
    }

    pub(super) fn take_in(&self, book: &mut Book, look: &mut Look, files: Vec<PolicyFile>) {
        for file in files {
            let file_name = file.file_name();
            let sidecar = file.contents.as_ref().ok().and_then(|contents| contents.sidecar.clone());
            let candidate = file.contents.as_ref().ok();
            let candidate = candidate.map(|it| Candidate { stem: file.stem.clone(), fingerprint: it.fingerprint() });
            let refusal = self.consider(book, &file, candidate.as_ref(), &mut look.took).err();
            look.refused.extend(refusal.clone());
            if refusal.is_some() {
                self.fall_back(book, &file.name);
            }
            book.retired.remove(&file.name);
            // Of two files of one name the first one is the policy.
            look.rows.entry(file.name).or_insert(Row { file: Some(file_name), sidecar, candidate, refusal });
        }
        let known: BTreeSet<String> = book.live.keys().chain(book.kept.keys()).cloned().collect();
        for name in known.into_iter().filter(|name| !look.rows.contains_key(name)).collect::<Vec<_>>() {
            let refuse = |gate: Gate, reason: String| Refusal { slot: name.clone(), gate, reason };
            let refusal = if book.frozen {
                Some(refuse(Gate::Frozen, FROZEN.to_owned()))
            } else if self.is_demanded(&name) {
                let reason = format!(
                    "its file is gone, but policies.slots.{name} requires it; the last good version stays: bring the file \
                     back, or `layshaft policy retire {name}`"
                );
                Some(refuse(Gate::Required, reason))
            } else {
                book.turned_down(&name, None)
            };
            let Some(refusal) = refusal else {
                book.live.remove(&name);
                book.kept.remove(&name);
                warn!(slot = %name, "the file of a policy was deleted");
                continue;
            };
            self.fall_back(book, &name);
            // Whoever froze policies knows that nothing goes.
            if refusal.gate != Gate::Frozen {
                look.refused.push(refusal.clone());
            }
            look.rows.insert(name, Row { refusal: Some(refusal), ..Row::default() });
        }
        book.refused.retain(|name, _| look.rows.contains_key(name));
    }

    /// Takes one file through the gates; what passes is in force from the next generation on.
    fn consider(
        &self,
        book: &mut Book,
        file: &PolicyFile,
        candidate: Option<&Candidate>,
        took: &mut Stopwatch,
    ) -> Result<(), Refusal> {
        let name = &file.name;
        let refuse = |gate: Gate, reason: String| Refusal { slot: name.clone(), gate, reason };
        let contents = file.contents.as_ref().map_err(|reason| refuse(Gate::Folder, reason.clone()))?;
        let Some(candidate) = candidate else { return Ok(()) };
        // Each time: whoever vouches may change while the version does not.
        let signed = took.time(Stage::Read, || gate::vouched(&self.config, name, &file.stem, contents))?;
        if let Some(live) = book.live.get_mut(name).filter(|live| live.version.candidate() == *candidate) {
            live.version.vouched(signed, &contents.signatures);
            return Ok(());
        }
        let kept = book.kept.get(name).map(Entry::candidate);
        if book.frozen && kept.as_ref() != Some(candidate) {
            return Err(refuse(Gate::Frozen, FROZEN.to_owned()));
        }
        if book.quarantined.contains(&candidate.fingerprint) {
            let how = format!("this version was rolled back: replace the file, or `layshaft policy accept {name}`");
            return Err(refuse(Gate::Quarantine, how));
        }
        if let Some(refusal) = book.turned_down(name, Some(candidate)) {
            return Err(refusal);
        }
        let same = |live: &&mut Live| live.version.fingerprint == candidate.fingerprint;
        if let Some(live) = book.live.get_mut(name).filter(same) {
            live.version.stem.clone_from(&file.stem);
            live.version.vouched(signed, &contents.signatures);
            return Ok(());
        }
        match self.prepare(book, file, contents, took) {
            Ok(mut version) => {
                version.vouched(signed, &contents.signatures);
                book.refused.remove(name);
                put_in_force(book, name, version);
                Ok(())
            }
            Err(refusal) => {
                book.turn_down(Some(candidate.clone()), refusal.clone());
                Err(refusal)
            }
        }
    }

    fn prepare(
        &self,
        book: &Book,
        file: &PolicyFile,
        contents: &Contents,
        took: &mut Stopwatch,
    ) -> Result<Version, Refusal> {
        let name = &file.name;
        let module = took.time(Stage::Compile, || self.module(book, name, &contents.module))?;
        if let Some(ledger) = &self.ledger
            && let Err(error) = ledger.keep(&module.digest, &contents.module)
        {
            warn!(slot = %name, %error, "policy cannot be kept for a restart");
        }
        let sidecar = contents.sidecar.as_deref();
        let settle = || gate::settle(&self.config, &self.tallies, name, &file.stem, module, sidecar);
        took.time(Stage::Laws, settle)
    }

    /// Compiles a module, unless one in force is the same.
    fn module(&self, book: &Book, name: &str, bytes: &[u8]) -> Result<Arc<Module>, Refusal> {
        let digest = Digest::of(bytes);
        let in_force = book.live.values().map(|live| &live.version.module).find(|module| module.digest == digest);
        match in_force {
            Some(module) => Ok(module.clone()),
            None => gate::interface(&self.engine, &self.config, self.code_cache.as_ref(), name, bytes),
        }
    }

    /// Restores what the ledger says was in force, if nothing is.
    fn fall_back(&self, book: &mut Book, name: &str) {
        let Some(Entry { stem, since, live, previous }) = book.kept.get(name).cloned() else { return };
        match self.restore(book, name, &stem, &live) {
            Ok(version) => {
                warn!(slot = %name, digest = version.module.digest.short(), "policy restored from its last good version");
                book.kept.remove(name);
                book.live.insert(
                    name.to_owned(),
                    Live { version, since, came: None, previous: previous.map(Previous::Kept) },
                );
            }
            // It stays written down: what failed may have been the disk, or a machine too busy to compile in time.
            Err(refusal) => {
                error!(slot = %name, reason = %refusal.reason, "the last good version of a policy is of no use");
            }
        }
    }

    pub(super) fn restore(&self, book: &Book, name: &str, stem: &str, kept: &Kept) -> Result<Version, Refusal> {
        let unkept = |reason: String| Refusal { slot: name.to_owned(), gate: Gate::Folder, reason };
        let ledger = self.ledger.as_ref().ok_or_else(|| unkept("no state folder is configured".into()))?;
        let module = ledger.module(&kept.module);
        let module = module.map_err(|error| unkept(format!("the kept module is unreadable: {error}")))?;
        let contents = Contents { module, sidecar: kept.sidecar.clone(), signatures: kept.signatures.clone() };
        let module = || self.module(book, name, &contents.module);
        gate::readmit(&self.config, &self.tallies, name, stem, &contents, module)
    }

    /// Policies that the configuration names and requires have to be there, whatever the folder looks like.
    pub(super) fn demand_required(&self, book: &Book, look: &mut Look) {
        for name in self.config.slots.keys().filter(|name| self.is_demanded(name) && !book.retired.contains(*name)) {
            if !look.rows.contains_key(name) {
                let reason = format!(
                    "policies.slots.{name} requires it, and there is neither a file nor a last good version: put \
                     NN-{name}.wasm into {}, or say required = false",
                    self.config.folder.display()
                );
                let refusal = Refusal { slot: name.clone(), gate: Gate::Required, reason };
                look.refused.push(refusal.clone());
                look.rows.insert(name.clone(), Row { refusal: Some(refusal), ..Row::default() });
            }
        }
    }

    pub(super) fn is_demanded(&self, name: &str) -> bool {
        self.config.slots.get(name).is_some_and(SlotGuard::is_demanded)
    }
}

/// Replaces what is in force for a name; what was there becomes what a rollback returns to.
fn put_in_force(book: &mut Book, name: &str, version: Version) {
    for advice in &version.advice {
        warn!(slot = %name, "{advice}");
    }
    let resumed = book.kept.remove(name);
    let old = book.live.remove(name);
    let live = match (old, resumed) {
        (None, Some(entry)) if entry.live.fingerprint() == version.fingerprint => {
            Live { version, since: entry.since, came: None, previous: entry.previous.map(Previous::Kept) }
        }
        (Some(old), _) => {
            Live { version, since: 0, came: None, previous: Some(Previous::Loaded(Box::new(old.version))) }
        }
        (None, Some(entry)) => Live { version, since: 0, came: None, previous: Some(Previous::Kept(entry.live)) },
        (None, None) => Live { version, since: 0, came: None, previous: None },
    };
    book.live.insert(name.to_owned(), live);
}
