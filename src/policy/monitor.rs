//! Policies on trial: asked on a thread of their own, and what they would have changed is counted and logged.
//!
//! Nobody waits for them, and when they fall behind they are skipped: neither their failures nor their cost are felt.
//! An answer is composed with those of the policies in force, which were heard anyway; nobody is asked twice.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::{info, warn};

use super::call::{CallError, Instance};
use super::chain::{Heard, Voice};
use super::component::Hook;
use super::generation::Slot;
use super::mask::Mask;
use super::question::{MatchingQuestion, NamingQuestion};
use super::tally::Word;
use super::verdict::{Explained, MatchingAnswer, NamingAnswer};
use super::would::Change;

/// Observations that may wait; beyond that they are skipped.
const WAITING: usize = 256;

/// Questions of one pass put to one policy on trial.
const MOST_QUESTIONS: usize = 10_000;

/// Failures after which a policy on trial is left alone for the rest of a pass.
const MOST_FAILURES: usize = 3;

type Observation = Box<dyn FnOnce() + Send>;

/// What was heard of the policies in force about one thing, to keep.
pub(super) type Others<A> = Arc<[(Voice, Arc<Result<Explained<A>, CallError>>)]>;

/// Says what differs between a decision without a policy and the same one with it.
pub(super) type Compare<A> = Box<dyn for<'h> Fn(&[Heard<'h, A>], &[Heard<'h, A>]) -> Vec<Change> + Send>;

/// The way to the thread; it ends when the last of these is gone.
#[derive(Clone)]
pub(super) struct Monitor {
    observations: SyncSender<Observation>,
    /// The slots for which a pass waits or is looked at: one for each, since a pass is large.
    busy: Arc<Mutex<BTreeSet<Arc<str>>>>,
}

/// A decision in which one policy on trial has no say.
pub(super) struct Trial<A> {
    pub(super) others: Others<A>,
    /// How many of the others come before it in file order.
    pub(super) place: usize,
    pub(super) compare: Compare<A>,
    /// What it is about, for people.
    pub(super) subject: String,
}

/// What one policy on trial would have been asked during a pass.
#[derive(Default)]
pub(super) struct PassQuestions {
    pub(super) matching: Vec<(MatchingQuestion, Trial<MatchingAnswer>)>,
    pub(super) naming: Vec<(NamingQuestion, Trial<NamingAnswer>)>,
}

/// Returns what was heard, to keep.
pub(super) fn kept<A>(heard: &[Heard<'_, A>]) -> Others<A> {
    heard.iter().map(|heard| (heard.voice.clone(), Arc::clone(&heard.answer))).collect()
}

impl<A> Trial<A> {
    /// Returns what an answer would have changed.
    fn changes(&self, voice: &Voice, answer: &Arc<Result<Explained<A>, CallError>>) -> Vec<Change> {
        let listen = || self.others.iter().map(|(voice, answer)| Heard { voice, answer: Arc::clone(answer) });
        let without: Vec<_> = listen().collect();
        let mut with: Vec<_> = listen().collect();
        with.insert(self.place.min(with.len()), Heard { voice, answer: Arc::clone(answer) });
        (self.compare)(&without, &with)
    }
}

impl Monitor {
    pub(super) fn start() -> std::io::Result<Self> {
        let (observations, waiting) = mpsc::sync_channel::<Observation>(WAITING);
        let work = move || waiting.into_iter().for_each(|observe| observe());
        std::thread::Builder::new().name("policy-monitor".into()).spawn(work)?;
        Ok(Self { observations, busy: Arc::default() })
    }

    /// Asks about one job.
    pub(super) fn observe_job<A: Word + Send + Sync + 'static>(
        &self,
        hook: Hook,
        slot: &Arc<Slot>,
        mask: Mask,
        trial: Trial<A>,
        ask: impl FnOnce(&mut Instance) -> Result<Explained<A>, CallError> + Send + 'static,
    ) {
        let watched = Arc::clone(slot);
        let observed = self.observe(move || {
            let (answer, cost) = watched.ask(&mut None, ask);
            watched.tally.note(answer.as_ref(), cost);
            let answer = Arc::new(answer);
            let changes = trial.changes(&watched.voice, &answer);
            watched.tally.note_trial(hook, &changes, &trial.subject);
            let (slot, subject) = (&watched.voice.name, &trial.subject);
            match &*answer {
                Ok(verdict) => {
                    // The answer itself may hold values; its word and what it would have changed do not.
                    let (answer, reason) = (verdict.answer.word(), mask.apply(&verdict.reason));
                    info!(%slot, %hook, %subject, answer, would_have = %Listed(&changes), reason, "policy on trial answered");
                }
                Err(error) => {
                    let error = mask.apply(&error.to_string());
                    warn!(%slot, %hook, %subject, error, would_have = %Listed(&changes), "policy on trial failed");
                }
            }
        });
        if !observed {
            slot.tally.note_skipped(hook, 1);
        }
    }

    /// Asks everything that a pass asked of those in force, unless the pass before is still looked at.
    pub(super) fn observe_pass(&self, slot: &Arc<Slot>, questions: PassQuestions) {
        let (matching, naming) = (questions.matching.len(), questions.naming.len());
        let name = Arc::clone(&slot.voice.name);
        let is_free = lock(&self.busy).insert(Arc::clone(&name));
        let (watched, busy) = (Arc::clone(slot), Arc::clone(&self.busy));
        let observed = is_free
            && self.observe(move || {
                review(&watched, Hook::Matching, questions.matching, Instance::matches);
                review(&watched, Hook::Naming, questions.naming, Instance::names);
                lock(&busy).remove(&watched.voice.name);
            });
        if !observed {
            if is_free {
                lock(&self.busy).remove(&name);
            }
            slot.tally.note_skipped(Hook::Matching, matching as u64);
            slot.tally.note_skipped(Hook::Naming, naming as u64);
        }
    }

    /// Returns whether it will be observed: a full queue means that policies on trial are slow.
    fn observe(&self, observe: impl FnOnce() + Send + 'static) -> bool {
        self.observations.try_send(Box::new(observe)).is_ok()
    }
}

impl PassQuestions {
    pub(super) fn is_full(&self) -> bool {
        self.matching.len() + self.naming.len() >= MOST_QUESTIONS
    }

    pub(super) fn is_empty(&self) -> bool {
        self.matching.is_empty() && self.naming.is_empty()
    }
}

/// Puts questions to one instance, and logs what would have been changed, of each kind with how often and an example.
fn review<Q, A: Word>(
    slot: &Slot,
    hook: Hook,
    questions: Vec<(Q, Trial<A>)>,
    ask: impl Fn(&mut Instance, &Q) -> Result<Explained<A>, CallError>,
) {
    let (count, mut failures) = (questions.len(), 0);
    let mut instance = None;
    let mut would_have = BTreeMap::new();
    for (number, (question, trial)) in questions.into_iter().enumerate() {
        let (answer, cost) = slot.ask(&mut instance, |instance| ask(instance, &question));
        slot.tally.note(answer.as_ref(), cost);
        let answer = Arc::new(answer);
        let changes = trial.changes(&slot.voice, &answer);
        slot.tally.note_trial(hook, &changes, &trial.subject);
        for change in changes {
            let seen =
                would_have.entry(change.would).or_insert_with(|| (0_u64, format!("{}: {change}", trial.subject)));
            seen.0 += 1;
        }
        if let Err(error) = &*answer {
            failures += 1;
            warn!(slot = %slot.voice.name, %hook, subject = trial.subject, %error, "policy on trial failed");
            if failures == MOST_FAILURES {
                slot.tally.note_skipped(hook, (count - number - 1) as u64);
                break;
            }
        }
    }
    for (would, (times, example)) in would_have {
        let (slot, would) = (&slot.voice.name, would.as_str());
        info!(%slot, %hook, asked = count, would, times, example, "policy on trial would have changed the function table");
    }
}

struct Listed<'a>(&'a [Change]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("changed nothing");
        }
        let changes: Vec<String> = self.0.iter().map(Change::to_string).collect();
        f.write_str(&changes.join("; "))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Monitor")
    }
}

impl fmt::Debug for PassQuestions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PassQuestions").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[path = "monitor_tests.rs"]
mod tests;
