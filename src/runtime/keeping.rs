//! Names that policies no longer give, and that stay for a while so that nobody's job is left waiting.
//!
//! PURE: the tables before and after a change, what waits at the servers and the time go in; what is offered comes out.
//! A change of policies first adds: until every connection has told its servers of the new names, nothing goes but what
//! may not stay. Then a name stays while jobs wait for it somewhere, and comes back if some do, until its time is over.
//!
//! Only names are kept, never a match: a node keeps a name only while the rules offer the same project there under some
//! other one. A veto, a disabled project and a node that is gone therefore take it at once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use tokio::time::Instant;

use super::snapshot::Snapshot;
use super::table::{FunctionTable, Offer, Row};
use crate::domain::{ControllerName, FunctionName, NodeName, ProjectName};

/// So many changes are remembered: each holds on to the table before it, which can be large.
const MOST_CHANGES: usize = 4;

/// What is kept of the changes of late.
#[derive(Clone, Debug, Default)]
pub(super) struct Keeping {
    /// The oldest first. No name is in two of them.
    changes: Vec<Change>,
    /// How often new names were announced: an answer of a server to an earlier question says too little.
    announcements: u64,
}

/// A change of policies that took names away.
#[derive(Clone, Debug)]
pub(super) struct Change {
    /// Where each name was, and what it meant there.
    before: Arc<FunctionTable>,
    /// What it took away and may stay.
    names: Arc<BTreeSet<FunctionName>>,
    until: Instant,
    stage: Stage,
}

#[derive(Clone, Debug)]
enum Stage {
    /// Not every connection has told its servers of the new names.
    Announcing,
    /// What waits at each server that has answered since, by its number.
    Asking { since: u64, waiting: BTreeMap<usize, Waiting> },
}

/// How many jobs of each function wait.
pub(super) type Waiting = BTreeMap<FunctionName, u64>;

/// Why a name stays that no policy gives any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// New names come first.
    Announcing,
    /// Not every server has said what waits there.
    Unknown,
    Jobs(u64),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Announcing => f.write_str("new names are announced first"),
            Self::Unknown => f.write_str("not every gearman server has said what waits there"),
            Self::Jobs(1) => f.write_str("1 job waits"),
            Self::Jobs(jobs) => write!(f, "{jobs} jobs wait"),
        }
    }
}

impl Change {
    /// Returns what a change takes away and may stay until then; none if that is nothing.
    pub(super) fn between(
        before: &Arc<FunctionTable>,
        after: &FunctionTable,
        snapshot: &Snapshot,
        until: Instant,
    ) -> Option<Self> {
        let names = names_that_may_stay(before, after, snapshot);
        let before = Arc::clone(before);
        (!names.is_empty()).then(|| Self { before, names: Arc::new(names), until, stage: Stage::Announcing })
    }

    pub(super) fn count(&self) -> usize {
        self.names.len()
    }

    /// Returns why a name stays; none if it does not.
    fn reason(&self, name: &FunctionName, ruled: &FunctionTable, servers: usize) -> Option<Reason> {
        if !self.names.contains(name) {
            return None;
        }
        let Stage::Asking { waiting, .. } = &self.stage else { return Some(Reason::Announcing) };
        // Whoever else offers it runs its jobs.
        if ruled.owner_of(name).is_some() {
            return None;
        }
        match waiting.values().filter_map(|jobs| jobs.get(name)).sum() {
            0 => (waiting.len() < servers).then_some(Reason::Unknown),
            jobs => Some(Reason::Jobs(jobs)),
        }
    }
}

impl Keeping {
    /// Takes in a change after which the rules give another table. A name that the new rules give, or that went once
    /// more, has no older meaning left.
    pub(super) fn add(&mut self, change: Change, ruled: &FunctionTable) {
        for older in &mut self.changes {
            let is_left = |name: &&FunctionName| !change.names.contains(*name) && ruled.owner_of(name).is_none();
            older.names = Arc::new(older.names.iter().filter(is_left).cloned().collect());
        }
        self.changes.push(change);
        self.changes.retain(|change| !change.names.is_empty());
        let excess = self.changes.len().saturating_sub(MOST_CHANGES);
        self.changes.drain(..excess);
    }

    /// The new names are on their way to every server.
    pub(super) fn announced(&mut self) {
        self.announcements += 1;
        for change in &mut self.changes {
            if let Stage::Announcing = change.stage {
                change.stage = Stage::Asking { since: self.announcements, waiting: BTreeMap::new() };
            }
        }
    }

    /// Returns the number to ask servers with, if they have to be asked what waits there.
    pub(super) fn asks(&self) -> Option<u64> {
        let is_asking = |change: &Change| matches!(change.stage, Stage::Asking { .. });
        self.changes.iter().any(is_asking).then_some(self.announcements)
    }

    /// A server that was asked with a number has answered. Returns whether other names stay because of that.
    pub(super) fn heard(&mut self, asked: u64, server: usize, waiting: &Waiting) -> bool {
        let mut differs = false;
        for change in &mut self.changes {
            let Stage::Asking { since, waiting: known } = &mut change.stage else { continue };
            if *since > asked {
                continue;
            }
            let ours = waiting.iter().filter(|(name, _)| change.names.contains(*name));
            let ours: Waiting = ours.map(|(name, jobs)| (name.clone(), *jobs)).collect();
            let before = known.insert(server, ours.clone());
            differs |= before.is_none_or(|before| !before.keys().eq(ours.keys()));
        }
        differs
    }

    /// Forgets what has been kept for long enough, and returns the names for which jobs still wait and that nobody
    /// offers any more. None if nothing is forgotten.
    pub(super) fn expire(&mut self, now: Instant, ruled: &FunctionTable) -> Option<Waiting> {
        let (over, left) = std::mem::take(&mut self.changes).into_iter().partition(|change| change.until <= now);
        self.changes = left;
        let over: Vec<Change> = over;
        let mut abandoned = Waiting::new();
        for change in &over {
            let Stage::Asking { waiting, .. } = &change.stage else { continue };
            let orphaned = |(name, _): &(&FunctionName, &u64)| ruled.owner_of(name).is_none();
            for (name, jobs) in waiting.values().flatten().filter(orphaned) {
                *abandoned.entry(name.clone()).or_default() += jobs;
            }
        }
        (!over.is_empty()).then_some(abandoned)
    }

    /// Returns why a name stays that the rules no longer give, and until when.
    pub(super) fn why(&self, name: &FunctionName, ruled: &FunctionTable, servers: usize) -> Option<(Reason, Instant)> {
        self.changes.iter().find_map(|change| Some((change.reason(name, ruled, servers)?, change.until)))
    }

    /// Returns the table with what is kept. What is offered already stays the same row.
    pub(super) fn over(
        &self,
        ruled: &Arc<FunctionTable>,
        snapshot: &Snapshot,
        offered: &FunctionTable,
        servers: usize,
    ) -> Arc<FunctionTable> {
        let mut kept: BTreeMap<Place<'_>, Vec<Arc<Offers>>> = BTreeMap::new();
        for change in &self.changes {
            let counts = |name: &FunctionName| change.reason(name, ruled, servers).is_some();
            for (place, offers) in staying(&change.before, ruled, snapshot, &counts) {
                kept.entry(place).or_default().push(offers);
            }
        }
        if kept.is_empty() {
            return Arc::clone(ruled);
        }
        let mut made: BTreeMap<(*const Row, Vec<*const Offers>), Arc<Row>> = BTreeMap::new();
        let rows = ruled.rows().map(|(controller, node, row)| {
            let Some(kept) = kept.get(&(controller, node)) else { return Arc::clone(row) };
            let key = (Arc::as_ptr(row), kept.iter().map(Arc::as_ptr).collect());
            let make = || {
                let mut offers = BTreeMap::clone(row);
                for (name, offer) in kept.iter().flat_map(|kept| kept.iter()) {
                    offers.entry(name.clone()).or_insert_with(|| offer.clone());
                }
                let known = offered.row(controller, node).filter(|known| known.iter().eq(&offers));
                known.cloned().unwrap_or_else(|| Arc::new(Row::new(offers)))
            };
            Arc::clone(made.entry(key).or_insert_with(make))
        });
        Arc::new(ruled.with_rows(rows.collect::<Vec<_>>()))
    }

    /// Returns the functions for whose jobs a change from one table of rules to another leaves nobody who would run
    /// them as what they were meant for, and why. `keeps` says whether names are kept at all.
    pub(super) fn left_behind(
        &self,
        before: &FunctionTable,
        after: &FunctionTable,
        snapshot: &Snapshot,
        keeps: bool,
    ) -> BTreeMap<FunctionName, Left> {
        let mut left = BTreeMap::new();
        let mut compare = |before: &FunctionTable, names: &mut dyn Iterator<Item = &FunctionName>| {
            let lost: Vec<(&FunctionName, Left)> =
                names.filter_map(|name| Some((name, Left::of(name, before, after)?))).collect();
            let may_stay = |lost: &[_]| keeps && !lost.is_empty();
            let stays = if may_stay(&lost) { names_that_may_stay(before, after, snapshot) } else { BTreeSet::new() };
            let lost = lost.into_iter().filter(|(name, _)| !stays.contains(*name));
            left.extend(lost.map(|(name, lost)| (name.clone(), lost)));
        };
        compare(before, &mut before.names());
        for change in &self.changes {
            // What the rules give again since is looked at above.
            compare(&change.before, &mut change.names.iter().filter(|name| before.owner_of(name).is_none()));
        }
        left
    }
}

/// What becomes of the jobs of a function that a change leaves behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// They wait.
    Nobody,
    /// They run as something else.
    Another { meant: ProjectName, means: ProjectName },
}

impl Left {
    fn of(name: &FunctionName, before: &FunctionTable, after: &FunctionTable) -> Option<Self> {
        let meant = before.owner_of(name)?;
        match after.owner_of(name) {
            None => Some(Self::Nobody),
            Some(means) if means == meant => None,
            Some(means) => Some(Self::Another { meant: meant.clone(), means: means.clone() }),
        }
    }
}

type Place<'a> = (&'a ControllerName, &'a NodeName);

type Offers = BTreeMap<FunctionName, Offer>;

fn names_that_may_stay(before: &FunctionTable, after: &FunctionTable, snapshot: &Snapshot) -> BTreeSet<FunctionName> {
    let staying = staying(before, after, snapshot, &|_| true);
    let mut seen = BTreeSet::new();
    let distinct = staying.iter().filter(|(_, offers)| seen.insert(Arc::as_ptr(offers)));
    distinct.flat_map(|(_, offers)| offers.keys().cloned()).collect()
}

/// Returns what of one table may stay beside another one, node by node. Nodes that are alike share it.
fn staying<'a>(
    before: &FunctionTable,
    after: &FunctionTable,
    snapshot: &'a Snapshot,
    counts: &dyn Fn(&FunctionName) -> bool,
) -> Vec<(Place<'a>, Arc<Offers>)> {
    let means = Means::of(after);
    let mut groups: BTreeMap<(*const Row, *const Row), Group> = BTreeMap::new();
    let mut staying = Vec::new();
    for (name, controller) in &snapshot.controllers {
        for node in controller.nodes.iter() {
            let (Some(was), Some(is)) = (before.row(name, &node.name), after.row(name, &node.name)) else { continue };
            if Arc::ptr_eq(was, is) {
                continue;
            }
            let group =
                groups.entry((Arc::as_ptr(was), Arc::as_ptr(is))).or_insert_with(|| Group::of(was, is, &means, counts));
            let offers = group.on_node_with(&node.labels);
            if !offers.is_empty() {
                staying.push(((name, &node.name), offers));
            }
        }
    }
    staying
}

/// What the names of a table mean.
struct Means<'a> {
    table: &'a FunctionTable,
    /// The projects of each project part, by which clients stop and describe builds.
    by_part: BTreeMap<&'a str, BTreeSet<&'a ProjectName>>,
}

impl<'a> Means<'a> {
    fn of(table: &'a FunctionTable) -> Self {
        let mut by_part: BTreeMap<&str, BTreeSet<&ProjectName>> = BTreeMap::new();
        for (row, _) in table.distinct_rows() {
            for offer in row.values() {
                by_part.entry(&offer.function.project).or_default().insert(&offer.project);
            }
        }
        Self { table, by_part }
    }

    /// Returns whether a name means nothing else than what it did.
    fn allow(&self, name: &FunctionName, offer: &Offer) -> bool {
        let others = self.by_part.get(offer.function.project.as_str());
        self.table.owner_of(name).is_none_or(|owner| *owner == offer.project)
            && others.is_none_or(|projects| projects.iter().all(|project| **project == offer.project))
    }
}

/// What may stay on nodes that had one row and have another.
struct Group {
    /// Each with the label that the node has to have itself, since the project is no longer offered with it there.
    offers: Vec<(FunctionName, Offer, Option<String>)>,
    by_labels: BTreeMap<BTreeSet<String>, Arc<Offers>>,
}

impl Group {
    fn of(was: &Row, is: &Row, means: &Means<'_>, counts: &dyn Fn(&FunctionName) -> bool) -> Self {
        let mut offered: BTreeMap<&ProjectName, (&Offer, BTreeSet<Option<&str>>)> = BTreeMap::new();
        for offer in is.values() {
            let (_, labels) = offered.entry(&offer.project).or_insert_with(|| (offer, BTreeSet::new()));
            labels.insert(offer.function.label.as_deref());
        }
        let gone =
            was.iter().filter(|(name, offer)| !is.contains_key(*name) && counts(name) && means.allow(name, offer));
        let may_stay = gone.filter_map(|(name, offer)| {
            let (now, labels) = offered.get(&offer.project)?;
            // All but the name is as the rules have it now.
            let stays = Offer { function: offer.function.clone(), ..(*now).clone() };
            let label = offer.function.label.as_deref().filter(|label| !labels.contains(&Some(*label)));
            Some((name.clone(), stays, label.map(str::to_owned)))
        });
        Self { offers: may_stay.collect(), by_labels: BTreeMap::new() }
    }

    fn on_node_with(&mut self, labels: &BTreeSet<String>) -> Arc<Offers> {
        let Self { offers, by_labels } = self;
        let needed = offers.iter().filter_map(|(_, _, needed)| needed.as_ref());
        let had: BTreeSet<String> = needed.filter(|label| labels.contains(*label)).cloned().collect();
        let left = |had: &BTreeSet<String>| {
            let here = offers.iter().filter(|(_, _, needed)| needed.as_ref().is_none_or(|label| had.contains(label)));
            Arc::new(here.map(|(name, offer, _)| (name.clone(), offer.clone())).collect())
        };
        match by_labels.get(&had) {
            Some(known) => Arc::clone(known),
            None => Arc::clone(by_labels.entry(had.clone()).or_insert_with(|| left(&had))),
        }
    }
}

#[cfg(test)]
#[path = "keeping_tests.rs"]
mod tests;
