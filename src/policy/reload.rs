use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use wasmtime::Engine;

use super::book::{Book, Live, Previous};
use super::code_cache::CodeCache;
use super::config::Config;
use super::engine;
use super::folder;
use super::generation::Generation;
use super::ledger::Ledger;
use super::monitor::Monitor;
use super::recorder::{Decisions, Recorder};
use super::redaction::Redaction;
use super::replay_gate::PastDecisions;
use super::status::{Gate, Refusal, ReloadCost, ReloadReport, SlotStatus, Standing};
use super::table_gates::{TableGates, Waiver};
use super::tally::Tallies;

/// Who takes a policy out for longer should take its file away.
const LONGEST_DISABLED: Duration = Duration::from_secs(366 * 24 * 60 * 60);

/// What can go wrong with policies that is not one policy's own fault.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to start the engine for policies: {0}")]
    Engine(String),
    #[error("failed to open the policy state folder {folder}: {source}; give the daemon the right to write there")]
    State { folder: String, source: std::io::Error },
    #[error(
        "failed to write into the policy state folder {folder}: {source}; nothing was changed, since a restart would forget it"
    )]
    NotWritten { folder: String, source: std::io::Error },
    #[error("{0}")]
    Globs(String),
    #[error("no policy is called {0}: see `layshaft policy list`")]
    Unknown(String),
    #[error("policy {0} has no version to return to")]
    NothingBefore(String),
    #[error("policy {name} is still in the folder: delete {file} and what is beside it first")]
    StillThere { name: String, file: String },
    #[error("policy {0} has no quarantined version in the folder")]
    NotQuarantined(String),
    #[error("policy {0} is not disabled")]
    NotDisabled(String),
    #[error("{0}")]
    Refused(Refusal),
}

/// All policies of the daemon: what is in force, and how that changes.
#[derive(Clone)]
pub struct Policies {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) config: Config,
    pub(super) engine: Engine,
    pub(super) monitor: Monitor,
    pub(super) redaction: Arc<Redaction>,
    pub(super) recorder: Arc<Recorder>,
    /// Held by whoever makes decisions of the past again, which takes time and memory.
    reviving: Arc<Semaphore>,
    pub(super) tallies: Tallies,
    pub(super) ledger: Option<Ledger>,
    /// None without a state folder, or if it is not the daemon's alone.
    pub(super) code_cache: Option<CodeCache>,
    /// Held during a whole look at the folder, compilation included; never while asking for what is in force.
    book: Mutex<Book>,
    pub(super) live: watch::Sender<Arc<Generation>>,
    pub(super) table_gates: OnceLock<Arc<dyn TableGates>>,
    pub(super) decisions: OnceLock<Arc<dyn PastDecisions>>,
    view: Mutex<View>,
    refusals: Mutex<BTreeMap<Gate, u64>>,
}

/// What people are shown.
#[derive(Clone, Default)]
pub(super) struct View {
    pub(super) frozen: bool,
    pub(super) last_reload: Option<ReloadCost>,
    pub(super) statuses: Vec<SlotStatus>,
    pub(super) readiness: Vec<String>,
}

impl Policies {
    /// Loads the folder for the first time. Compiles, so it takes a while.
    ///
    /// # Errors
    /// Trouble with the engine or the configuration. A policy that cannot be loaded is none: see `readiness`.
    pub fn open(config: Config) -> Result<Self, Error> {
        let redaction = Arc::new(Redaction::new(&config).map_err(Error::Globs)?);
        let recorder = Recorder::new(config.log.table_samples);
        let engine = engine::start(&config.limits).map_err(|error| Error::Engine(format!("{error:#}")))?;
        let monitor = Monitor::start().map_err(|error| Error::Engine(error.to_string()))?;
        let state_error = |source| {
            let folder = config.state.as_ref().map(|folder| folder.display().to_string()).unwrap_or_default();
            Error::State { folder, source }
        };
        let ledger = config.state.as_deref().map(Ledger::open).transpose().map_err(state_error)?;
        let page = ledger.as_ref().map(Ledger::read).transpose().map_err(state_error)?.unwrap_or_default();
        let code_cache = config.state.as_deref().and_then(|state| {
            let opened = CodeCache::open(state, &engine);
            opened
                .inspect_err(
                    |error| tracing::warn!(%error, "compiled policies are not kept, and each start compiles them"),
                )
                .ok()
        });
        let nothing = Generation {
            number: 0,
            slots: Vec::new(),
            blocked: Vec::new(),
            monitor: monitor.clone(),
            redaction: Arc::clone(&redaction),
            recorder: None,
        };
        let inner = Inner {
            config,
            engine,
            monitor,
            redaction,
            recorder,
            reviving: Arc::new(Semaphore::new(1)),
            tallies: Tallies::default(),
            ledger,
            code_cache,
            book: Mutex::new(Book::resume(page)),
            live: watch::Sender::new(Arc::new(nothing)),
            table_gates: OnceLock::new(),
            decisions: OnceLock::new(),
            view: Mutex::default(),
            refusals: Mutex::new(Gate::ALL.into_iter().map(|gate| (gate, 0)).collect()),
        };
        // Not forced: what the ledger says was kept out stays out.
        inner.turn(&mut inner.book(), false, &Waiver::default());
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Returns what is in force now. Whoever decides about one job keeps it to the end of that job.
    pub fn live(&self) -> Arc<Generation> {
        self.inner.live.borrow().clone()
    }

    pub fn subscribe(&self) -> watch::Receiver<Arc<Generation>> {
        self.inner.live.subscribe()
    }

    /// Has every change pass these gates too, from now on. The first ones stay.
    pub fn guard_table_with(&self, gates: Arc<dyn TableGates>) {
        let _there_already = self.inner.table_gates.set(gates);
    }

    /// Has every change pass the gate `replay` too, from now on. The first decisions stay.
    pub fn replay_from(&self, decisions: Arc<dyn PastDecisions>) {
        let _there_already = self.inner.decisions.set(decisions);
    }

    /// Looks at the folder now, also at versions that were refused before.
    pub async fn reload(&self) -> ReloadReport {
        self.reload_accepting(BTreeSet::new()).await
    }

    /// The same, and the waived gates let everything pass, this once.
    pub async fn reload_accepting(&self, waived: BTreeSet<Gate>) -> ReloadReport {
        self.off_the_runtime(move |inner| inner.turn(&mut inner.book(), true, &Waiver::for_all(waived))).await
    }

    pub(super) async fn reload_what_changed(&self) -> ReloadReport {
        self.off_the_runtime(|inner| inner.turn(&mut inner.book(), false, &Waiver::default())).await
    }

    /// Returns a policy to the version before. The present one stays out until it is accepted.
    pub async fn rollback(&self, name: &str) -> Result<ReloadReport, Error> {
        let name = name.to_owned();
        self.off_the_runtime(move |inner| inner.rollback(&name)).await
    }

    /// Lets the version in the folder in again that was rolled back.
    pub async fn accept(&self, name: &str) -> Result<ReloadReport, Error> {
        let name = name.to_owned();
        self.off_the_runtime(move |inner| inner.accept(&name)).await
    }

    /// Ends a policy whose file is gone, also where the file's absence alone does not: an empty or missing folder, or
    /// a policy that the configuration requires.
    pub async fn retire(&self, name: &str, waived: BTreeSet<Gate>) -> Result<ReloadReport, Error> {
        let name = name.to_owned();
        self.off_the_runtime(move |inner| inner.retire(&name, waived)).await
    }

    /// Takes a policy out of force for a while; its file stays.
    pub async fn disable(&self, name: &str, how_long: Duration, waived: BTreeSet<Gate>) -> Result<ReloadReport, Error> {
        let name = name.to_owned();
        self.off_the_runtime(move |inner| inner.disable(&name, how_long, waived)).await
    }

    /// Puts a policy that was disabled in force again.
    pub async fn enable(&self, name: &str) -> Result<ReloadReport, Error> {
        let name = name.to_owned();
        self.off_the_runtime(move |inner| inner.enable(&name)).await
    }

    /// Lets nothing in from the folder until it is thawed, over restarts too. What a person asks for by name goes on.
    pub async fn freeze(&self, frozen: bool) -> Result<ReloadReport, Error> {
        self.off_the_runtime(move |inner| inner.freeze(frozen)).await
    }

    /// Returns how all policies stand.
    pub fn standing(&self) -> Standing {
        let (frozen, last_reload) = {
            let shown = self.inner.shown();
            (shown.frozen, shown.last_reload.clone())
        };
        Standing {
            generation: self.live().number(),
            frozen,
            last_reload,
            refusals: self.inner.refusals().clone(),
            policies: self.list(),
        }
    }

    /// Returns how each policy stands, by name.
    pub fn list(&self) -> Vec<SlotStatus> {
        let mut statuses = self.inner.shown().statuses.clone();
        let live = self.live();
        for status in &mut statuses {
            let slots = || live.slots.iter().filter(|slot| *slot.voice.policy == *status.name);
            status.failing = slots().find_map(|slot| slot.health.failing(&status.name, slot.voice.single_use));
            status.usage = slots().flat_map(|slot| slot.usage()).collect();
        }
        statuses
    }

    /// Returns whether a policy has been disabled for as long as it should be.
    pub(super) fn is_anybody_due(&self, now: SystemTime) -> bool {
        self.inner.shown().statuses.iter().any(|status| status.disabled_until.is_some_and(|until| until <= now))
    }

    /// Returns why the daemon is not ready, as far as policies go. Empty is ready.
    pub fn readiness(&self) -> Vec<String> {
        self.inner.shown().readiness.clone()
    }

    /// Returns what is decided from now on, to the first who asks for it; until then nothing is recorded.
    pub fn decisions(&self) -> Option<Decisions> {
        let inner = &self.inner;
        let wanted = inner.config.log.most > 0;
        wanted.then(|| inner.recorder.listen(Arc::clone(&inner.redaction))).flatten()
    }

    /// Waits until nobody else makes decisions of the past again.
    pub(super) async fn one_at_a_time(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.inner.reviving).acquire_owned().await.ok()
    }

    /// Returns what the site says about policies.
    pub fn config(&self) -> &Config {
        &self.inner.config
    }

    pub(super) async fn off_the_runtime<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> T + Send + 'static,
    ) -> T {
        let inner = self.inner.clone();
        match tokio::task::spawn_blocking(move || work(&inner)).await {
            Ok(result) => result,
            // The runtime shuts down, and whoever waits for the answer ends with it.
            Err(error) if error.is_cancelled() => std::future::pending().await,
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

impl Inner {
    fn rollback(&self, name: &str) -> Result<ReloadReport, Error> {
        let mut book = self.book();
        let undo = book.clone();
        let waiver = self.roll_back_in(&mut book, name)?;
        let report = self.turn_by_hand(&mut book, undo, &waiver)?;
        tracing::warn!(slot = %name, "policy rolled back");
        Ok(ReloadReport { done: true, ..report })
    }

    /// Writes the version before into the book; the next look puts it in force, through the gates that are returned.
    pub(super) fn roll_back_in(&self, book: &mut Book, name: &str) -> Result<Waiver, Error> {
        let live = book.live.get(name).ok_or_else(|| Error::Unknown(name.to_owned()))?;
        let version = match live.previous.as_ref().ok_or_else(|| Error::NothingBefore(name.to_owned()))? {
            Previous::Loaded(version) => (**version).clone(),
            Previous::Kept(kept) => self.restore(book, name, &live.version.stem, kept).map_err(Error::Refused)?,
        };
        let bad = live.version.fingerprint.clone();
        book.quarantined.insert(bad);
        // What is good again may have been rolled back itself once.
        book.quarantined.remove(&version.fingerprint);
        book.live.insert(name.to_owned(), Live { version, since: 0, came: None, previous: None });
        // Whoever rolls back is in a hurry: no gate is in the way.
        Ok(Waiver::for_one(name, format!("layshaft policy rollback {name}"), Gate::WAIVABLE.into()))
    }

    fn accept(&self, name: &str) -> Result<ReloadReport, Error> {
        let mut book = self.book();
        let not_quarantined = || Error::NotQuarantined(name.to_owned());
        let files = folder::read(&self.config.folder, self.config.limits.max_module).map_err(|_| not_quarantined())?;
        let file = files.into_iter().find(|file| file.name == name).ok_or_else(not_quarantined)?;
        let fingerprint = file.contents.map_err(|_| not_quarantined())?.fingerprint();
        let undo = book.clone();
        if !book.quarantined.remove(&fingerprint) {
            return Err(not_quarantined());
        }
        book.refused.clear();
        let report = self.turn_by_hand(&mut book, undo, &Waiver::default())?;
        let done = book.live.get(name).is_some_and(|live| live.version.fingerprint == fingerprint);
        Ok(ReloadReport { done, ..report })
    }

    fn retire(&self, name: &str, waived: BTreeSet<Gate>) -> Result<ReloadReport, Error> {
        let mut book = self.book();
        let files = folder::read(&self.config.folder, self.config.limits.max_module).unwrap_or_default();
        if let Some(file) = files.iter().find(|file| file.name == name) {
            return Err(Error::StillThere { name: name.to_owned(), file: file.file_name() });
        }
        let is_known =
            book.live.contains_key(name) || book.kept.contains_key(name) || self.config.slots.contains_key(name);
        if !is_known {
            return Err(Error::Unknown(name.to_owned()));
        }
        let undo = book.clone();
        book.live.remove(name);
        book.kept.remove(name);
        book.disabled.remove(name);
        book.retired.insert(name.to_owned());
        let waiver = Waiver::for_one(name, format!("layshaft policy retire {name}"), waived);
        let report = self.turn_by_hand(&mut book, undo, &waiver)?;
        let done = !book.live.contains_key(name) && !book.kept.contains_key(name);
        tracing::warn!(slot = %name, done, "policy to be retired");
        Ok(ReloadReport { done, ..report })
    }

    fn disable(&self, name: &str, how_long: Duration, waived: BTreeSet<Gate>) -> Result<ReloadReport, Error> {
        let mut book = self.book();
        if !book.live.contains_key(name) {
            return Err(Error::Unknown(name.to_owned()));
        }
        let undo = book.clone();
        book.disabled.insert(name.to_owned(), SystemTime::now() + how_long.min(LONGEST_DISABLED));
        let command = format!("layshaft policy disable {name} --for {}m", how_long.as_secs().div_ceil(60));
        let report = self.turn_by_hand(&mut book, undo, &Waiver::for_one(name, command, waived))?;
        let done = !book.in_force().contains_key(name);
        tracing::warn!(slot = %name, ?how_long, done, "policy to be disabled");
        Ok(ReloadReport { done, ..report })
    }

    fn enable(&self, name: &str) -> Result<ReloadReport, Error> {
        let mut book = self.book();
        let undo = book.clone();
        if book.disabled.remove(name).is_none() {
            return Err(Error::NotDisabled(name.to_owned()));
        }
        let report = self.turn_by_hand(&mut book, undo, &Waiver::default())?;
        Ok(ReloadReport { done: book.in_force().contains_key(name), ..report })
    }

    fn freeze(&self, frozen: bool) -> Result<ReloadReport, Error> {
        let mut book = self.book();
        let undo = book.clone();
        book.frozen = frozen;
        book.refused.clear();
        let report = self.turn_by_hand(&mut book, undo, &Waiver::default())?;
        tracing::warn!(frozen, "policies frozen or thawed");
        Ok(ReloadReport { done: true, ..report })
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shown(&self) -> MutexGuard<'_, View> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts changes that were refused, and not for the same reason as at the look before.
    pub(super) fn count_refusals<'r>(&self, refused: impl Iterator<Item = &'r Refusal>) {
        let mut refusals = self.refusals();
        for refusal in refused {
            *refusals.entry(refusal.gate).or_default() += 1;
        }
    }

    fn refusals(&self) -> MutexGuard<'_, BTreeMap<Gate, u64>> {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn show(&self, view: View) {
        *self.shown() = view;
    }
}

impl fmt::Debug for Policies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policies").field("live", &*self.inner.live.borrow()).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "reload_tests.rs"]
pub(super) mod tests;
