//! What is in force and what was before: the reloader's memory between two looks at the folder.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::digest::Digest;
use super::gate::Version;
use super::ledger::{Candidate, Entry, Kept, Page, TurnedDown};
use super::status::{Change, ChangeKind, Refusal, ReloadCost};

#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    pub(super) number: u64,
    pub(super) published: bool,
    pub(super) live: BTreeMap<String, Live>,
    /// What the ledger says was in force and is not: not compiled yet, or of no use when it was tried.
    pub(super) kept: BTreeMap<String, Entry>,
    pub(super) refused: BTreeMap<String, TurnedDown>,
    pub(super) quarantined: BTreeSet<Digest>,
    pub(super) retired: BTreeSet<String>,
    /// Out of force for a while, by a person's wish.
    pub(super) disabled: BTreeMap<String, SystemTime>,
    /// Nothing comes in from the folder.
    pub(super) frozen: bool,
    /// The policies that block something, with what says where.
    pub(super) blocking: BTreeMap<String, Option<String>>,
    /// Complaints of the last look, so that each is logged once.
    pub(super) complaints: BTreeSet<String>,
    pub(super) written: Page,
    pub(super) last_reload: Option<ReloadCost>,
}

#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) version: Version,
    /// The generation that brought it; 0 until that has its number.
    pub(super) since: u64,
    /// When that was; none for what was in force before this daemon started.
    pub(super) came: Option<Instant>,
    pub(super) previous: Option<Previous>,
}

/// The version before, for a rollback.
#[derive(Clone, Debug)]
pub(super) enum Previous {
    Loaded(Box<Version>),
    Kept(Kept),
}

/// What is in force, by policy: all that is live and not disabled.
pub(super) type InForce = BTreeMap<String, Live>;

/// What was in force until the book was changed.
#[derive(Debug)]
pub(super) struct Before {
    pub(super) shape: Shape,
    pub(super) in_force: InForce,
    /// What is disabled too.
    pub(super) live: BTreeMap<String, Live>,
    kept: BTreeMap<String, Entry>,
    retired: BTreeSet<String>,
}

/// By policy: its place in the order, its version, its module.
pub(super) type Shape = BTreeMap<String, (String, Digest, Digest)>;

impl Book {
    pub(super) fn resume(page: Page) -> Self {
        Self {
            number: page.generation,
            kept: page.policies.clone(),
            quarantined: page.quarantined.clone(),
            retired: page.retired.clone(),
            disabled: page.disabled.clone(),
            frozen: page.frozen,
            refused: page.refused.clone(),
            written: page,
            ..Self::default()
        }
    }

    /// Returns what is in force; before the first look the ledger says what was.
    pub(super) fn before(&self) -> Before {
        let kept = self.kept.iter().filter(|(name, _)| !self.published && !self.disabled.contains_key(*name));
        let kept = kept.map(|(name, entry)| {
            (name.clone(), (entry.stem.clone(), entry.live.fingerprint(), entry.live.module.clone()))
        });
        let in_force = self.in_force();
        Before {
            shape: kept.chain(shape_of(&in_force)).collect(),
            in_force,
            live: self.live.clone(),
            kept: self.kept.clone(),
            retired: self.retired.clone(),
        }
    }

    pub(super) fn in_force(&self) -> InForce {
        let enabled = self.live.iter().filter(|(name, _)| !self.disabled.contains_key(*name));
        enabled.map(|(name, live)| (name.clone(), live.clone())).collect()
    }

    /// Takes back what was changed about a policy: what it was before is in force.
    pub(super) fn put_back(&mut self, name: &str, before: &Before) {
        put_back(&mut self.live, &before.live, name);
        put_back(&mut self.kept, &before.kept, name);
        if !before.retired.contains(name) {
            self.retired.remove(name);
        }
        self.disabled.remove(name);
    }

    pub(super) fn page(&self) -> Page {
        let live = self.live.iter().map(|(name, live)| {
            let previous = live.previous.as_ref().map(Previous::kept);
            let entry =
                Entry { stem: live.version.stem.clone(), since: live.since, live: live.version.kept(), previous };
            (name.clone(), entry)
        });
        Page {
            generation: self.number,
            policies: self.kept.clone().into_iter().chain(live).collect(),
            quarantined: self.quarantined.clone(),
            retired: self.retired.clone(),
            disabled: self.disabled.clone(),
            frozen: self.frozen,
            refused: self.to_be_remembered(),
        }
    }

    fn to_be_remembered(&self) -> BTreeMap<String, TurnedDown> {
        let refused = self.refused.iter().filter(|(_, refused)| refused.refusal.gate.looks_at_the_change());
        refused.map(|(name, refused)| (name.clone(), refused.clone())).collect()
    }

    /// Returns why the same was refused before; without a candidate the same is that its file was taken away.
    pub(super) fn turned_down(&self, name: &str, candidate: Option<&Candidate>) -> Option<Refusal> {
        let refused = self.refused.get(name).filter(|refused| refused.candidate.as_ref() == candidate);
        refused.map(|refused| refused.refusal.clone())
    }

    pub(super) fn turn_down(&mut self, candidate: Option<Candidate>, refusal: Refusal) {
        self.refused.insert(refusal.slot.clone(), TurnedDown { candidate, refusal });
    }
}

fn put_back<T: Clone>(map: &mut BTreeMap<String, T>, before: &BTreeMap<String, T>, name: &str) {
    match before.get(name) {
        Some(value) => map.insert(name.to_owned(), value.clone()),
        None => map.remove(name),
    };
}

impl Before {
    /// Returns whether a version comes back that was only disabled.
    pub(super) fn was_disabled(&self, name: &str, version: &Version) -> bool {
        !self.in_force.contains_key(name)
            && self.live.get(name).is_some_and(|live| live.version.fingerprint == version.fingerprint)
    }

    /// Returns what has changed about policies that are disabled: they come back as that.
    pub(super) fn changed_while_disabled(&self, book: &Book) -> Vec<Change> {
        let disabled = |live: &InForce| -> InForce {
            let disabled = live.iter().filter(|(name, _)| book.disabled.contains_key(*name));
            disabled.map(|(name, live)| (name.clone(), live.clone())).collect()
        };
        changes(&shape_of(&disabled(&self.live)), &shape_of(&disabled(&book.live)))
    }
}

impl Live {
    pub(super) fn is_younger_than(&self, age: Duration) -> bool {
        self.came.is_some_and(|came| came.elapsed() < age)
    }
}

impl Previous {
    fn kept(&self) -> Kept {
        match self {
            Self::Loaded(version) => version.kept(),
            Self::Kept(kept) => kept.clone(),
        }
    }
}

impl Version {
    pub(super) fn candidate(&self) -> Candidate {
        Candidate { stem: self.stem.clone(), fingerprint: self.fingerprint.clone() }
    }

    pub(super) fn kept(&self) -> Kept {
        Kept { module: self.module.digest.clone(), sidecar: self.sidecar.clone(), signatures: self.signatures.clone() }
    }
}

pub(super) fn shape_of(in_force: &InForce) -> Shape {
    let shape = |live: &Live| {
        let Version { stem, fingerprint, module, .. } = &live.version;
        (stem.clone(), fingerprint.clone(), module.digest.clone())
    };
    in_force.iter().map(|(name, live)| (name.clone(), shape(live))).collect()
}

/// Returns what has changed between two shapes.
pub(super) fn changes(before: &Shape, after: &Shape) -> Vec<Change> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let change = |name: &String| {
        let (kind, digest) = match (before.get(name), after.get(name)) {
            (None, Some((_, _, digest))) => (ChangeKind::Added, digest),
            (Some((_, _, digest)), None) => (ChangeKind::Removed, digest),
            (Some(one), Some(other)) if one.1 != other.1 => (ChangeKind::Replaced, &other.2),
            (Some(one), Some(other)) if one.0 != other.0 => (ChangeKind::Moved, &other.2),
            _ => return None,
        };
        Some(Change { slot: name.clone(), kind, digest: digest.clone() })
    };
    names.into_iter().filter_map(change).collect()
}
