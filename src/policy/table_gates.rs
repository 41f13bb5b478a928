//! The last gates before a candidate is in force: `table` and `orphans`, what becomes of what is offered and of jobs that
//! wait; `replay`, what would have become of jobs that are done.
//!
//! Policies know none of that; whoever keeps the function table says it through [`TableGates`], whoever keeps decisions
//! through [`PastDecisions`](super::PastDecisions).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::book::{Before, Book, InForce, changes, shape_of};
use super::folder::order;
use super::gate::Version;
use super::generation::{Generation, Slot};
use super::reload::Inner;
use super::replay_gate::ReplayGate;
use super::status::{Change, ChangeKind, Gate, Refusal, Stage};
use super::stopwatch::Stopwatch;

/// Compares what candidates would offer with what is offered now.
pub trait TableGates: Send + Sync {
    /// Takes in what is offered under `base`, which may be what is live; none if nobody objects to anything.
    fn against<'a>(&'a self, base: &'a Generation, is_live: bool) -> Option<Box<dyn Comparison + 'a>>;
}

/// What a base offers, to hold candidates against. All of it may take a while: it is called off the async threads.
pub trait Comparison {
    /// Returns the first objection that is not waived.
    fn examine(&mut self, candidate: &Generation, waived: &BTreeSet<Gate>) -> Result<(), Objection>;

    /// Returns how long each gate has taken so far, what they have in common with the first of them.
    fn took(&self) -> BTreeMap<Stage, Duration> {
        BTreeMap::new()
    }
}

/// Why a candidate should not be in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    pub gate: Gate,
    /// With an example.
    pub reason: String,
}

/// Which of the last gates a person has opened, this once.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiver {
    gates: BTreeSet<Gate>,
    only: Option<Only>,
}

/// A waiver is for one policy alone.
#[derive(Clone, Debug)]
struct Only {
    policy: String,
    /// What the person asked for, as a command.
    command: String,
}

impl Waiver {
    pub(super) fn for_all(gates: BTreeSet<Gate>) -> Self {
        Self { gates, only: None }
    }

    /// Waives gates for one policy; `command` is what a person would say again, with more gates waived.
    pub(super) fn for_one(policy: &str, command: impl Into<String>, gates: BTreeSet<Gate>) -> Self {
        Self { gates, only: Some(Only { policy: policy.to_owned(), command: command.into() }) }
    }

    fn of(&self, policy: &str) -> BTreeSet<Gate> {
        let is_meant = self.only.as_ref().is_none_or(|only| only.policy == policy);
        if is_meant { self.gates.clone() } else { BTreeSet::new() }
    }

    fn refusal(&self, change: &Change, Objection { gate, reason }: Objection) -> Refusal {
        let reason = format!("{reason}; {}", self.how_to_waive(change, gate));
        Refusal { slot: change.slot.clone(), gate, reason }
    }

    /// Returns what to say to have a change pass a gate.
    fn how_to_waive(&self, change: &Change, gate: Gate) -> String {
        let only = self.only.as_ref().filter(|only| only.policy == change.slot);
        let (command, does) = match (only, change.kind) {
            (Some(only), _) => (&*only.command, "does it"),
            (None, ChangeKind::Removed) => ("layshaft policy reload", "lets it go"),
            (None, _) => ("layshaft policy reload", "lets it in"),
        };
        let gates = self.of(&change.slot).into_iter().chain([gate]);
        let flags: String = gates.map(|gate| format!(" --accept {gate}")).collect();
        format!("`{command}{flags}` {does} all the same")
    }

    fn opens_all(&self, policy: &str) -> bool {
        self.of(policy).is_superset(&Gate::WAIVABLE.into())
    }
}

/// The gates over one base.
struct LastGates<'a> {
    inner: &'a Inner,
    table: Option<Box<dyn Comparison + 'a>>,
    replay: Option<ReplayGate<'a>>,
    took: &'a mut Stopwatch,
}

impl<'a> LastGates<'a> {
    fn over(inner: &'a Inner, base: &'a Generation, is_live: bool, took: &'a mut Stopwatch) -> Self {
        let gates = &inner.config.gates;
        let decisions = inner.decisions.get().filter(|_| gates.replay > 0);
        Self {
            inner,
            table: inner.table_gates.get().and_then(|gates| gates.against(base, is_live)),
            replay: decisions.map(|decisions| ReplayGate::new(&**decisions, gates)),
            took,
        }
    }

    /// Holds an attempt, which changes one policy, against what was let in until then, and the table against the base.
    fn examine(
        &mut self,
        let_in: &InForce,
        attempt: &InForce,
        policy: &str,
        waived: &BTreeSet<Gate>,
    ) -> Result<(), Objection> {
        let candidate = self.inner.candidate(attempt);
        if let Some(table) = &mut self.table {
            table.examine(&candidate, waived)?;
        }
        let Some(replay) = &mut self.replay else { return Ok(()) };
        if !waived.contains(&Gate::Replay) {
            let live = self.inner.candidate(let_in);
            let versions = [let_in, attempt].into_iter().filter_map(|in_force| in_force.get(policy));
            let hooks = versions.flat_map(|live| live.version.module.hooks.iter().copied()).collect();
            self.took.time(Stage::Replay, || replay.examine(&live, &candidate, &hooks))?;
        }
        Ok(())
    }
}

impl Drop for LastGates<'_> {
    fn drop(&mut self) {
        for (stage, time) in self.table.iter().flat_map(|table| table.took()) {
            self.took.add(stage, time);
        }
    }
}

impl Inner {
    /// Takes back those changes of what is in force that the gates object to, and returns them. Each change is tried on
    /// top of those that were let in before it, so that a refusal names the policy that it is about.
    pub(super) fn pass_last_gates(
        &self,
        book: &mut Book,
        before: &Before,
        waiver: &Waiver,
        took: &mut Stopwatch,
    ) -> Vec<Refusal> {
        if !book.published {
            return Vec::new();
        }
        let wanted = book.in_force();
        let changed = changes(&shape_of(&before.in_force), &shape_of(&wanted));
        // What was disabled comes back as it was announced, and what a person insists on is not counted against others.
        let passes = |change: &&Change| {
            waiver.opens_all(&change.slot)
                || wanted.get(&change.slot).is_some_and(|live| before.was_disabled(&change.slot, &live.version))
        };
        let (free, tried): (Vec<&Change>, Vec<&Change>) = changed.iter().partition(passes);
        let mut let_in = before.in_force.clone();
        let is_live = free.is_empty();
        for change in free {
            follow(&mut let_in, &wanted, &change.slot);
        }
        let mut refused = Vec::new();
        if !tried.is_empty() {
            let base = self.candidate(&let_in);
            let mut last = LastGates::over(self, &base, is_live, took);
            for change in tried {
                let mut attempt = let_in.clone();
                follow(&mut attempt, &wanted, &change.slot);
                match last.examine(&let_in, &attempt, &change.slot, &waiver.of(&change.slot)) {
                    Ok(()) => let_in = attempt,
                    Err(objection) => {
                        book.put_back(&change.slot, before);
                        refused.push(waiver.refusal(change, objection));
                    }
                }
            }
        }
        for change in before.changed_while_disabled(book) {
            let (mut old, mut new) = (let_in.clone(), let_in.clone());
            follow(&mut old, &before.live, &change.slot);
            follow(&mut new, &book.live, &change.slot);
            let base = self.candidate(&old);
            if let Err(objection) =
                LastGates::over(self, &base, false, took).examine(&old, &new, &change.slot, &waiver.of(&change.slot))
            {
                let until = book.disabled.get(&change.slot).copied();
                book.put_back(&change.slot, before);
                book.disabled.extend(until.map(|until| (change.slot.clone(), until)));
                refused.push(waiver.refusal(&change, objection));
            }
        }
        refused
    }

    /// Makes a generation that is only looked at.
    fn candidate(&self, in_force: &InForce) -> Generation {
        self.live.borrow().to_try(&slots_of(in_force))
    }
}

/// Does to one policy what is wanted.
fn follow(in_force: &mut InForce, wanted: &InForce, name: &str) {
    match wanted.get(name) {
        Some(live) => in_force.insert(name.to_owned(), live.clone()),
        None => in_force.remove(name),
    };
}

/// Returns the slots of all policies in file order.
pub(super) fn slots_of(in_force: &InForce) -> Vec<Arc<Slot>> {
    in_order(in_force.values().map(|live| &live.version))
}

/// The same of versions that are in force nowhere.
pub(super) fn in_order<'v>(versions: impl Iterator<Item = &'v Version>) -> Vec<Arc<Slot>> {
    let mut versions: Vec<_> = versions.collect();
    versions.sort_by_cached_key(|version| order(&version.stem));
    versions.into_iter().flat_map(|version| version.slots.iter().cloned()).collect()
}

#[cfg(test)]
#[path = "table_gates_tests.rs"]
pub(super) mod tests;
