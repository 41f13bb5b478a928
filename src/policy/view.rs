//! What people are shown of a look: a status of each policy, what is not ready, and where nothing is offered.

use std::collections::BTreeMap;

use super::binding::Bind;
use super::book::Book;
use super::gate;
use super::intake::{Look, Row};
use super::reload::{Inner, View};
use super::status::{Gate, SlotState, SlotStatus};

impl Inner {
    /// Returns whether the site must not do without a policy that is not in force. One that is dropped into a running
    /// site and refused was never in force: the site goes on as it was, unless its configuration names the policy.
    fn was_counted_on(&self, book: &Book, name: &str) -> bool {
        !book.published || book.blocking.contains_key(name) || book.kept.contains_key(name) || self.is_demanded(name)
    }

    /// Returns what blocks where, and what people are shown.
    pub(super) fn view(&self, book: &Book, look: &Look) -> (BTreeMap<String, Vec<Bind>>, View) {
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
                && guard.is_demanded()
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
