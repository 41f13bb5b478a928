//! The last gates before a candidate is in force: what becomes of the function table, and of jobs that wait.
//!
//! Policies know neither; whoever keeps the table does, and says it through [`Trial`].

use std::collections::BTreeSet;
use std::sync::Arc;

use super::book::{Before, Book, InForce, changes, shape_of};
use super::folder::order;
use super::generation::{Generation, Slot};
use super::reload::Inner;
use super::status::{Change, Gate, Refusal};

/// Compares what a candidate would offer with what is offered now.
pub trait Trial: Send + Sync {
    /// Returns the first objection that is not waived. May take a while: it is called off the async threads.
    fn examine(&self, live: &Generation, candidate: &Generation, waived: &BTreeSet<Gate>) -> Result<(), Objection>;
}

/// Why a candidate should not be in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    pub gate: Gate,
    /// With an example.
    pub reason: String,
}

impl Inner {
    /// Takes back those changes of what is in force that the trial objects to, and returns them. Each change is tried
    /// on top of those that were let in before it, so that a refusal names the policy that it is about.
    pub(super) fn try_out(&self, book: &mut Book, before: &Before, waived: &BTreeSet<Gate>) -> Vec<Refusal> {
        let Some(trial) = self.trial.get().filter(|_| book.published) else { return Vec::new() };
        let wanted = book.in_force();
        let changed = changes(&shape_of(&before.in_force), &shape_of(&wanted));
        let live = self.live.borrow().clone();
        let examine = |in_force: &InForce| trial.examine(&live, &self.candidate(&live, in_force), waived);
        if changed.is_empty() || changed.len() > 1 && examine(&wanted).is_ok() {
            return Vec::new();
        }
        let mut let_in = before.in_force.clone();
        let mut refused = Vec::new();
        for Change { slot: name, .. } in changed {
            let mut tried = let_in.clone();
            match wanted.get(&name) {
                Some(version) => tried.insert(name.clone(), version.clone()),
                None => tried.remove(&name),
            };
            match examine(&tried) {
                Ok(()) => let_in = tried,
                Err(Objection { gate, reason }) => {
                    book.put_back(&name, before);
                    let reason = format!("{reason}; `layshaft policy reload --accept {gate}` lets it in all the same");
                    refused.push(Refusal { slot: name, gate, reason });
                }
            }
        }
        refused
    }

    fn candidate(&self, live: &Generation, in_force: &InForce) -> Generation {
        Generation {
            number: live.number + 1,
            slots: slots_of(in_force),
            blocked: live.blocked.clone(),
            monitor: self.monitor.clone(),
        }
    }
}

/// Returns the slots of all policies in file order.
pub(super) fn slots_of(in_force: &InForce) -> Vec<Arc<Slot>> {
    let mut in_order: Vec<_> = in_force.values().collect();
    in_order.sort_by_cached_key(|live| order(&live.version.stem));
    in_order.into_iter().flat_map(|live| live.version.slots.iter().cloned()).collect()
}

#[cfg(test)]
#[path = "trial_tests.rs"]
mod tests;
