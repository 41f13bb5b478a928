//! The last gates before a candidate is in force, `table` and `orphans`: what becomes of what is offered, and of jobs that
//! wait.
//!
//! Policies know neither; whoever keeps the function table does, and says it through [`TableGates`].

use std::collections::BTreeSet;
use std::sync::Arc;

use super::book::{Before, Book, InForce, changes, shape_of};
use super::config::Mode;
use super::folder::order;
use super::generation::{Generation, Slot};
use super::reload::Inner;
use super::status::{Change, Gate, Refusal};

/// Compares what candidates would offer with what is offered now.
pub trait TableGates: Send + Sync {
    /// Takes in what is offered under `base`; none if nobody objects to anything.
    fn against<'a>(&'a self, base: &'a Generation) -> Option<Box<dyn Comparison + 'a>>;
}

/// What a base offers, to hold candidates against. All of it may take a while: it is called off the async threads.
pub trait Comparison {
    /// Returns the first objection that is not waived.
    fn examine(&mut self, candidate: &Generation, waived: &BTreeSet<Gate>) -> Result<(), Objection>;
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
    /// For this policy alone; for every one if it is none.
    policy: Option<String>,
}

impl Waiver {
    pub(super) fn for_all(gates: BTreeSet<Gate>) -> Self {
        Self { gates, policy: None }
    }

    pub(super) fn for_one(policy: &str, gates: BTreeSet<Gate>) -> Self {
        Self { gates, policy: Some(policy.to_owned()) }
    }

    fn of(&self, policy: &str) -> BTreeSet<Gate> {
        if self.policy.as_deref().is_none_or(|only| only == policy) { self.gates.clone() } else { BTreeSet::new() }
    }

    fn opens_all(&self, policy: &str) -> bool {
        self.of(policy).is_superset(&Gate::WAIVABLE.into())
    }
}

impl Inner {
    /// Takes back those changes of what is in force that the gates object to, and returns them. Each change is tried on
    /// top of those that were let in before it, so that a refusal names the policy that it is about.
    pub(super) fn pass_table_gates(&self, book: &mut Book, before: &Before, waiver: &Waiver) -> Vec<Refusal> {
        let Some(gates) = self.table_gates.get().filter(|_| book.published) else { return Vec::new() };
        let wanted = book.in_force();
        let changed = changes(&shape_of(&before.in_force), &shape_of(&wanted));
        // What was disabled comes back as it was announced, and what a person insists on is not counted against others.
        let passes = |change: &&Change| {
            waiver.opens_all(&change.slot)
                || wanted.get(&change.slot).is_some_and(|live| before.was_disabled(&change.slot, &live.version))
        };
        let (free, tried): (Vec<&Change>, Vec<&Change>) = changed.iter().partition(passes);
        let mut let_in = before.in_force.clone();
        for change in free {
            follow(&mut let_in, &wanted, &change.slot);
        }
        let base = self.candidate(&let_in);
        let Some(mut comparison) = gates.against(&base).filter(|_| !tried.is_empty()) else { return Vec::new() };
        let mut refused = Vec::new();
        for Change { slot: name, .. } in tried {
            let mut attempt = let_in.clone();
            follow(&mut attempt, &wanted, name);
            match comparison.examine(&self.candidate(&attempt), &waiver.of(name)) {
                Ok(()) => let_in = attempt,
                Err(Objection { gate, reason }) => {
                    book.put_back(name, before);
                    let reason = format!("{reason}; `layshaft policy reload --accept {gate}` lets it in all the same");
                    refused.push(Refusal { slot: name.clone(), gate, reason });
                }
            }
        }
        refused
    }

    /// Makes a generation that is only looked at: its slots fare apart from those in force, and without those on trial.
    fn candidate(&self, in_force: &InForce) -> Generation {
        let enforced = slots_of(in_force).into_iter().filter(|slot| slot.mode == Mode::Enforce);
        let live = self.live.borrow();
        Generation {
            number: live.number + 1,
            slots: enforced.map(|slot| Arc::new(slot.apart())).collect(),
            blocked: live.blocked.clone(),
            monitor: self.monitor.clone(),
            redaction: Arc::clone(&self.redaction),
            recorder: None,
        }
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
    let mut in_order: Vec<_> = in_force.values().collect();
    in_order.sort_by_cached_key(|live| order(&live.version.stem));
    in_order.into_iter().flat_map(|live| live.version.slots.iter().cloned()).collect()
}

#[cfg(test)]
#[path = "table_gates_tests.rs"]
mod tests;
