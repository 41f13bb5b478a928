//! One look at the folder, from files to the next generation.
//!
//! A file that is refused costs nobody anything but itself: its slot keeps the last good version, the others go on.
//! Only a file that was taken away by itself ends a policy; a folder that is gone, unreadable or suddenly empty never
//! does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;
use tracing::{error, info, warn};

use super::binding::Bind;
use super::book::{Before, Book, InForce, Live, Previous, changes, shape_of};
use super::config::Mode;
use super::digest::Digest;
use super::folder::{self, Contents, PolicyFile};
use super::gate::{self, Version};
use super::generation::Generation;
use super::history::Era;
use super::ledger::{Candidate, Entry, Kept};
use super::recorder::now_ms;
use super::reload::{Error, Inner, View};
use super::status::{Change, Gate, Refusal, ReloadReport, SlotState, SlotStatus, Stage};
use super::stopwatch::Stopwatch;
use super::table_gates::{Waiver, slots_of};

/// What one look has found.
#[derive(Default)]
struct Look {
    refused: Vec<Refusal>,
    rows: BTreeMap<String, Row>,
    /// Set if the folder as a whole is in trouble.
    folder_error: Option<String>,
    took: Stopwatch,
}

/// What is in force from now on, once it is written down.
struct Turned {
    look: Look,
    changed: Vec<Change>,
    /// None if it is what is in force already.
    generation: Option<Generation>,
    view: View,
}

/// A policy as the folder shows it.
#[derive(Default)]
struct Row {
    file: Option<String>,
    sidecar: Option<String>,
    /// None if the file is not there or cannot be read.
    candidate: Option<Candidate>,
    refusal: Option<Refusal>,
}

const FROZEN: &str = "policies are frozen, and what was in force stays: `layshaft policy thaw` lets it in";

impl Look {
    /// Notes that a change which had passed the gates of files was refused after all.
    fn refuse(&mut self, book: &mut Book, refusal: Refusal) {
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
    /// Looks at the folder and puts in force what passes. Without `forced`, versions refused before are not tried again.
    pub(super) fn turn(&self, book: &mut Book, forced: bool, waiver: &Waiver) -> ReloadReport {
        if forced {
            book.refused.clear();
        }
        let before = book.before();
        self.turn_since(book, &before, waiver)
    }

    /// Looks at the folder after the book was changed; `before` is what was in force until then.
    pub(super) fn turn_since(&self, book: &mut Book, before: &Before, waiver: &Waiver) -> ReloadReport {
        let turned = self.look(book, before, waiver);
        let is_written = self.write_down(book).unwrap_or_else(|error| {
            error!("{error}; a restart may lose it");
            false
        });
        self.put_up(book, turned, is_written)
    }

    /// Looks at the folder after a person has changed the book, which was as `undo` until then. What cannot be written
    /// down does not count: a restart would take it back unasked.
    pub(super) fn turn_by_hand(&self, book: &mut Book, undo: Book, waiver: &Waiver) -> Result<ReloadReport, Error> {
        let turned = self.look(book, &undo.before(), waiver);
        match self.write_down(book) {
            Ok(is_written) => Ok(self.put_up(book, turned, is_written)),
            Err(error) => {
                *book = undo;
                Err(error)
            }
        }
    }

    fn look(&self, book: &mut Book, before: &Before, waiver: &Waiver) -> Turned {
        let mut look = Look::default();
        let now = SystemTime::now();
        book.disabled.retain(|_, until| *until > now);
        let folder = self.config.folder.display();
        let files = look.took.time(Stage::Read, || folder::read(&self.config.folder, self.config.limits.max_module));
        match files {
            Err(reason) => {
                let reason =
                    format!("{reason}; what was in force stays: bring the folder back, or retire policies by name");
                self.keep_all(book, &mut look, reason);
            }
            Ok(files) if files.is_empty() && !(book.live.is_empty() && book.kept.is_empty()) => {
                let count = before.shape.len();
                let reason = format!(
                    "{folder} is suddenly empty; {count} policies stay in force: bring the files back, or retire \
                     policies by name"
                );
                self.keep_all(book, &mut look, reason);
            }
            Ok(files) => self.take_in(book, &mut look, files),
        }
        self.demand_required(book, &mut look);
        for refusal in self.pass_last_gates(book, before, waiver, &mut look.took) {
            look.refuse(book, refusal);
        }
        self.turned(book, before, look)
    }

    fn keep_all(&self, book: &mut Book, look: &mut Look, reason: String) {
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

    fn take_in(&self, book: &mut Book, look: &mut Look, files: Vec<PolicyFile>) {
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
    fn module(&self, book: &Book, name: &str, bytes: &[u8]) -> Result<Arc<super::component::Module>, Refusal> {
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
        let signed = gate::vouched(&self.config, name, stem, &contents)?;
        let module = self.module(book, name, &contents.module)?;
        let sidecar = contents.sidecar.as_deref();
        let mut version = gate::settle(&self.config, &self.tallies, name, stem, module, sidecar)?;
        version.vouched(signed, &contents.signatures);
        Ok(version)
    }

    /// Policies that the configuration names and requires have to be there, whatever the folder looks like.
    fn demand_required(&self, book: &Book, look: &mut Look) {
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

    fn is_demanded(&self, name: &str) -> bool {
        self.config.slots.get(name).is_some_and(|guard| guard.required && guard.mode == Mode::Enforce)
    }

    /// Numbers what is in force from now on.
    fn turned(&self, book: &mut Book, before: &Before, look: Look) -> Turned {
        let in_force = book.in_force();
        let changed = changes(&before.shape, &shape_of(&in_force));
        let (blocked, view) = self.view(book, &look);
        let sidecar_of = |name: &String| look.rows.get(name).and_then(|row| row.sidecar.clone());
        let blocking: BTreeMap<_, _> = blocked.keys().map(|name| (name.clone(), sidecar_of(name))).collect();
        if !changed.is_empty() || blocking != book.blocking || book.number == 0 {
            book.number += 1;
        } else if book.published {
            return Turned { look, changed, generation: None, view };
        }
        for live in book.live.values_mut().filter(|live| live.since == 0) {
            live.since = book.number;
            live.came = Some(Instant::now());
        }
        let (_, view) = self.view(book, &look);
        let generation = Generation {
            number: book.number,
            slots: slots_of(&in_force),
            blocked: blocked.into_values().flatten().collect(),
            monitor: self.monitor.clone(),
            redaction: Arc::clone(&self.redaction),
            recorder: Some(Arc::clone(&self.recorder)),
        };
        book.blocking = blocking;
        book.published = true;
        Turned { look, changed, generation: Some(generation), view }
    }

    /// Writes down what is in force from now on, so that it can be asked again when it no longer is.
    fn begin_era(&self, generation: u64, in_force: &InForce) {
        let Some(ledger) = &self.ledger else { return };
        let era = Era::new(generation, now_ms(), in_force, &self.config);
        if let Err(error) = ledger.begin_era(era, in_force, &self.config.log) {
            error!(%error, "policies in force could not be added to their history; decisions by them cannot be explained later");
        }
    }

    /// Writes down what the book says, if that is new; returns whether it is.
    fn write_down(&self, book: &mut Book) -> Result<bool, Error> {
        let page = book.page();
        let Some(ledger) = self.ledger.as_ref().filter(|_| page != book.written) else { return Ok(false) };
        let folder = || ledger.folder().display().to_string();
        ledger.write(&page).map_err(|source| Error::NotWritten { folder: folder(), source })?;
        book.written = page;
        Ok(true)
    }

    /// Puts it in force, shows the state of things, and logs what is new to complain about.
    fn put_up(&self, book: &mut Book, turned: Turned, is_written: bool) -> ReloadReport {
        let Turned { mut look, changed, generation, mut view } = turned;
        let is_new = generation.is_some();
        if let Some(generation) = generation {
            let (number, slots) = (generation.number, generation.slots.len());
            self.live.send_replace(Arc::new(generation));
            info!(generation = number, slots, changes = changed.len(), "policies in force");
        }
        if is_new || !look.refused.is_empty() {
            look.took.lap(Stage::Swap);
            let cost = look.took.cost(book.number);
            info!(generation = book.number, microseconds = cost.microseconds, stages = ?cost.stages, "policies looked at");
            book.last_reload = Some(cost);
        }
        view.last_reload = book.last_reload.clone();
        let complaints: BTreeSet<String> = look.refused.iter().map(ToString::to_string).collect();
        self.count_refusals(look.refused.iter().filter(|refusal| !book.complaints.contains(&refusal.to_string())));
        for complaint in complaints.difference(&book.complaints) {
            error!("{complaint}");
        }
        book.complaints = complaints;
        self.show(view);
        if is_new {
            self.begin_era(book.number, &book.in_force());
        }
        if is_new || is_written {
            self.throw_away(book);
        }
        ReloadReport { done: look.refused.is_empty(), generation: book.number, changed, refused: look.refused }
    }

    /// Throws away what is no longer needed, unless it was not written down that it is not.
    pub(super) fn throw_away(&self, book: &Book) {
        let Some(ledger) = self.ledger.as_ref().filter(|_| book.page() == book.written) else { return };
        let modules = book.written.modules();
        let code = self.code_cache.as_ref().map_or(Ok(()), |cache| cache.keep_only(&modules));
        if let Err(error) = ledger.keep_only(&modules).and(code) {
            warn!(%error, "what is no longer needed of policies could not be thrown away");
        }
    }

    /// Returns whether the site must not do without a policy that is not in force. One that is dropped into a running
    /// site and refused was never in force: the site goes on as it was, unless its configuration names the policy.
    fn was_counted_on(&self, book: &Book, name: &str) -> bool {
        !book.published || book.blocking.contains_key(name) || book.kept.contains_key(name) || self.is_demanded(name)
    }

    /// Returns what blocks where, and what people are shown.
    fn view(&self, book: &Book, look: &Look) -> (BTreeMap<String, Vec<Bind>>, View) {
        let mut blocked = BTreeMap::new();
        let mut view = View { frozen: book.frozen, ..View::default() };
        if let Some(error) = &look.folder_error {
            view.readiness.push(format!("policy folder: {error}"));
            if book.live.is_empty() {
                // What should be in force is unknown.
                blocked.insert(String::new(), vec![Bind::default()]);
            }
        }
        for (name, row) in &look.rows {
            let live = book.live.get(name);
            let guard = self.config.guard(name);
            if let (None, Some(refusal)) = (live, &row.refusal)
                && guard.required
                && guard.mode == Mode::Enforce
                && self.was_counted_on(book, name)
                // What never was in force is not missed because a change was not let in.
                && (refusal.gate < Gate::Frozen || book.kept.contains_key(name) || self.is_demanded(name))
            {
                let file = row.file.as_ref().map(|file| format!("{file}: ")).unwrap_or_default();
                view.readiness.push(format!("{file}{refusal}; nothing is offered where it is bound"));
                blocked.insert(name.clone(), gate::binds_of(row.sidecar.as_deref()));
            }
            view.statuses.push(SlotStatus {
                name: name.clone(),
                file: row.file.clone(),
                digest: live.map(|live| live.version.module.digest.clone()),
                signed_by: live.and_then(|live| live.version.signed.as_ref()?.names()),
                generation: live.map(|live| live.since),
                hooks: live.map(|live| gate::hooks_of(&live.version)).unwrap_or_default(),
                state: if book.disabled.contains_key(name) { SlotState::Disabled } else { state(live.is_some(), row) },
                disabled_until: book.disabled.get(name).copied(),
                mode: guard.mode,
                required: guard.required,
                grants: guard.grants,
                bindings: live.map_or(0, |live| live.version.slots.len()),
                error: row.refusal.as_ref().map(|refusal| refusal.reason.clone()),
                failing: None,
                advice: live.map(|live| live.version.advice.clone()).unwrap_or_default(),
                usage: Vec::new(),
            });
        }
        (blocked, view)
    }
}

fn state(is_live: bool, row: &Row) -> SlotState {
    match &row.refusal {
        _ if row.file.is_none() => SlotState::Missing,
        None => SlotState::Live,
        Some(refusal) if refusal.gate == Gate::Quarantine => SlotState::Quarantined,
        Some(_) if is_live => SlotState::LastGood,
        Some(_) => SlotState::Refused,
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

#[cfg(test)]
#[path = "turn_tests.rs"]
mod tests;
