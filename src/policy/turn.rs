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
use super::ledger::{Entry, Kept};
use super::recorder::now_ms;
use super::reload::{Inner, View};
use super::status::{Gate, Refusal, ReloadReport, SlotState, SlotStatus};
use super::table_gates::{Waiver, slots_of};

/// What one look has found.
#[derive(Default)]
struct Look {
    refused: Vec<Refusal>,
    rows: BTreeMap<String, Row>,
    /// Set if the folder as a whole is in trouble.
    folder_error: Option<String>,
}

/// A policy as the folder shows it.
#[derive(Default)]
struct Row {
    file: Option<String>,
    sidecar: Option<String>,
    fingerprint: Option<Digest>,
    refusal: Option<Refusal>,
}

const FROZEN: &str = "policies are frozen, and what was in force stays: `layshaft policy thaw` lets it in";

impl Look {
    /// Notes that a change which had passed the gates of files was refused after all.
    fn refuse(&mut self, book: &mut Book, refusal: Refusal) {
        let row = self.rows.entry(refusal.slot.clone()).or_default();
        let in_force = book.live.get(&refusal.slot).map(|live| &live.version.fingerprint);
        // Else it is a person's wish that was refused, and the file is as good as before.
        if row.fingerprint.is_none() || row.fingerprint.as_ref() != in_force {
            if let Some(fingerprint) = &row.fingerprint {
                book.refused.insert(refusal.slot.clone(), (fingerprint.clone(), refusal.clone()));
            }
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

    /// Looks at the folder after the book was changed by hand; `before` is what was in force until then.
    pub(super) fn turn_since(&self, book: &mut Book, before: &Before, waiver: &Waiver) -> ReloadReport {
        let mut look = Look::default();
        let now = SystemTime::now();
        book.disabled.retain(|_, until| *until > now);
        let folder = self.config.folder.display();
        match folder::read(&self.config.folder, self.config.limits.max_module) {
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
        for refusal in self.pass_table_gates(book, before, waiver) {
            look.refuse(book, refusal);
        }
        self.publish(book, before, look)
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
            let fingerprint = file.contents.as_ref().ok().map(Contents::fingerprint);
            let refusal = self.consider(book, &file).err();
            look.refused.extend(refusal.clone());
            if refusal.is_some() {
                self.fall_back(book, &file.name);
            }
            book.retired.remove(&file.name);
            // Of two files of one name the first one is the policy.
            look.rows.entry(file.name).or_insert(Row { file: Some(file_name), sidecar, fingerprint, refusal });
        }
        let known: BTreeSet<String> = book.live.keys().chain(book.kept.keys()).cloned().collect();
        for name in known.into_iter().filter(|name| !look.rows.contains_key(name)).collect::<Vec<_>>() {
            if book.frozen {
                self.fall_back(book, &name);
                let refusal = Refusal { slot: name.clone(), gate: Gate::Frozen, reason: FROZEN.to_owned() };
                look.rows.insert(name, Row { refusal: Some(refusal), ..Row::default() });
            } else if self.is_demanded(&name) {
                self.fall_back(book, &name);
                let reason = format!(
                    "its file is gone, but policies.slots.{name} requires it; the last good version stays: bring the file \
                     back, or `layshaft policy retire {name}`"
                );
                let refusal = Refusal { slot: name.clone(), gate: Gate::Required, reason };
                look.refused.push(refusal.clone());
                look.rows.insert(name, Row { refusal: Some(refusal), ..Row::default() });
            } else {
                book.live.remove(&name);
                book.kept.remove(&name);
                warn!(slot = %name, "the file of a policy was deleted");
            }
        }
    }

    /// Takes one file through the gates; what passes is in force from the next generation on.
    fn consider(&self, book: &mut Book, file: &PolicyFile) -> Result<(), Refusal> {
        let name = &file.name;
        let refuse = |gate: Gate, reason: String| Refusal { slot: name.clone(), gate, reason };
        let contents = file.contents.as_ref().map_err(|reason| refuse(Gate::Folder, reason.clone()))?;
        let fingerprint = contents.fingerprint();
        if let Some(live) = book.live.get_mut(name).filter(|live| live.version.fingerprint == fingerprint) {
            live.version.stem.clone_from(&file.stem);
            return Ok(());
        }
        let is_known = book.kept.get(name).is_some_and(|kept| kept.live.fingerprint() == fingerprint);
        if book.frozen && !is_known {
            return Err(refuse(Gate::Frozen, FROZEN.to_owned()));
        }
        if book.quarantined.contains(&fingerprint) {
            let how = format!("this version was rolled back: replace the file, or `layshaft policy accept {name}`");
            return Err(refuse(Gate::Quarantine, how));
        }
        if let Some((_, refusal)) = book.refused.get(name).filter(|(known, _)| *known == fingerprint) {
            return Err(refusal.clone());
        }
        match self.prepare(book, file, contents) {
            Ok(version) => {
                book.refused.remove(name);
                put_in_force(book, name, version);
                Ok(())
            }
            Err(refusal) => {
                book.refused.insert(name.clone(), (fingerprint, refusal.clone()));
                Err(refusal)
            }
        }
    }

    fn prepare(&self, book: &Book, file: &PolicyFile, contents: &Contents) -> Result<Version, Refusal> {
        let name = &file.name;
        let module = self.module(book, name, &contents.module)?;
        if let Some(ledger) = &self.ledger
            && let Err(error) = ledger.keep(&module.digest, &contents.module)
        {
            warn!(slot = %name, %error, "policy cannot be kept for a restart");
        }
        gate::settle(&self.config, &self.tallies, name, &file.stem, module, contents.sidecar.as_deref())
    }

    /// Compiles a module, unless one in force is the same.
    fn module(&self, book: &Book, name: &str, bytes: &[u8]) -> Result<Arc<super::component::Module>, Refusal> {
        let digest = Digest::of(bytes);
        if let Some(pin) = self.config.guard(name).sha256.filter(|pin| *pin != digest) {
            let reason = format!(
                "its sha256 is {digest}, and policies.slots.{name}.sha256 accepts {pin} only: change one of them"
            );
            return Err(Refusal { slot: name.to_owned(), gate: Gate::Pin, reason });
        }
        let in_force = book.live.values().map(|live| &live.version.module).find(|module| module.digest == digest);
        match in_force {
            Some(module) => Ok(module.clone()),
            None => gate::interface(&self.engine, &self.config, name, bytes),
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
        let bytes =
            ledger.module(&kept.module).map_err(|error| unkept(format!("the kept module is unreadable: {error}")))?;
        let module = self.module(book, name, &bytes)?;
        gate::settle(&self.config, &self.tallies, name, stem, module, kept.sidecar.as_deref())
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

    fn publish(&self, book: &mut Book, before: &Before, look: Look) -> ReloadReport {
        let in_force = book.in_force();
        let changed = changes(&before.shape, &shape_of(&in_force));
        let (blocked, view) = self.view(book, &look);
        let sidecar_of = |name: &String| look.rows.get(name).and_then(|row| row.sidecar.clone());
        let blocking: BTreeMap<_, _> = blocked.keys().map(|name| (name.clone(), sidecar_of(name))).collect();
        if !changed.is_empty() || blocking != book.blocking || book.number == 0 {
            book.number += 1;
        } else if book.published {
            self.finish(book, &look, view);
            return ReloadReport { generation: book.number, changed, refused: look.refused };
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
        info!(generation = book.number, slots = generation.slots.len(), changes = changed.len(), "policies in force");
        book.blocking = blocking;
        book.published = true;
        // In force before it is said to be: writing it down takes its time.
        self.live.send_replace(Arc::new(generation));
        self.begin_era(book.number, &in_force);
        self.finish(book, &look, view);
        ReloadReport { generation: book.number, changed, refused: look.refused }
    }

    /// Writes down what is in force from now on, so that it can be asked again when it no longer is.
    fn begin_era(&self, generation: u64, in_force: &InForce) {
        let Some(ledger) = &self.ledger else { return };
        let era = Era::new(generation, now_ms(), in_force, &self.config);
        if let Err(error) = ledger.begin_era(era, in_force, &self.config.log) {
            error!(%error, "policies in force could not be added to their history; decisions by them cannot be explained later");
        }
    }

    /// Logs what is new to complain about, shows the state of things, and writes it down.
    fn finish(&self, book: &mut Book, look: &Look, view: View) {
        let complaints: BTreeSet<String> = look.refused.iter().map(ToString::to_string).collect();
        self.count_refusals(look.refused.iter().filter(|refusal| !book.complaints.contains(&refusal.to_string())));
        for complaint in complaints.difference(&book.complaints) {
            error!("{complaint}");
        }
        book.complaints = complaints;
        self.show(view);
        let page = book.page();
        if let Some(ledger) = self.ledger.as_ref().filter(|_| page != book.written) {
            match ledger.write(&page) {
                Ok(()) => book.written = page,
                Err(error) => error!(%error, "policies in force could not be written down, a restart may lose them"),
            }
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
                && (refusal.gate != Gate::Frozen || book.kept.contains_key(name) || self.is_demanded(name))
            {
                let file = row.file.as_ref().map(|file| format!("{file}: ")).unwrap_or_default();
                view.readiness.push(format!("{file}{refusal}; nothing is offered where it is bound"));
                blocked.insert(name.clone(), gate::binds_of(row.sidecar.as_deref()));
            }
            view.statuses.push(SlotStatus {
                name: name.clone(),
                file: row.file.clone(),
                digest: live.map(|live| live.version.module.digest.clone()),
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
