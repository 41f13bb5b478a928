//! Which policies were in force when, with all that is needed to ask them again: settings, grants, limits, order.
//!
//! ```text
//! state/  history.json   modules/DIGEST.wasm   sidecars/DIGEST.toml
//! ```
//!
//! An era is what was in force from its beginning to that of the next one. Eras go after `policies.log.keep`, and the
//! oldest go when modules take more than `policies.log.most_module_bytes`; that of now stays.

use std::collections::BTreeSet;
use std::fs;
use std::io;

use serde::{Deserialize, Serialize};

use super::book::InForce;
use super::config::{Config, DecisionLog, Limits, SlotGuard};
use super::digest::Digest;
use super::folder::order;
use super::ledger::{Ledger, read_json, read_unchanged, remove_others, write_whole};

/// More eras are a policy that is replaced by a machine.
const MOST_ERAS: usize = 500;

/// What was in force for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Era {
    pub(super) generation: u64,
    /// When it began, in milliseconds since 1970.
    pub(super) at: u64,
    /// In file order.
    pub(super) policies: Vec<Placed>,
    pub(super) limits: Limits,
    pub(super) secret_parameters: Vec<String>,
}

/// One policy of an era.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Placed {
    pub(super) name: String,
    pub(super) stem: String,
    pub(super) module: Digest,
    pub(super) sidecar: Option<Digest>,
    pub(super) guard: SlotGuard,
}

/// All eras that are known, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct History {
    pub(super) eras: Vec<Era>,
}

impl Era {
    pub(super) fn new(generation: u64, at: u64, in_force: &InForce, config: &Config) -> Self {
        let mut live: Vec<_> = in_force.iter().collect();
        live.sort_by_cached_key(|(_, live)| order(&live.version.stem));
        let placed = live.into_iter().map(|(name, live)| Placed {
            name: name.clone(),
            stem: live.version.stem.clone(),
            module: live.version.module.digest.clone(),
            sidecar: live.version.sidecar.as_deref().map(|text| Digest::of(text.as_bytes())),
            guard: config.guard(name),
        });
        Self {
            generation,
            at,
            policies: placed.collect(),
            limits: config.limits.clone(),
            secret_parameters: config.secret_parameters.clone(),
        }
    }

    fn is_as(&self, other: &Self) -> bool {
        Self { at: other.at, ..self.clone() } == *other
    }

    /// Returns what is not as in the era before, for people.
    pub(super) fn changes_since(&self, before: &Self) -> Vec<String> {
        let place = |era: &Self, name: &str| era.policies.iter().find(|placed| placed.name == name).cloned();
        let names: BTreeSet<&String> =
            before.policies.iter().chain(&self.policies).map(|placed| &placed.name).collect();
        let mut changes = Vec::new();
        for name in names {
            match (place(before, name), place(self, name)) {
                (None, Some(placed)) => changes.push(format!("{name} came ({})", placed.module.short())),
                (Some(_), None) => changes.push(format!("{name} went")),
                (Some(one), Some(other)) => {
                    let changed = [
                        (one.module != other.module, format!("replaced by {}", other.module.short())),
                        (one.sidecar != other.sidecar, "other settings or bindings".to_owned()),
                        (one.guard != other.guard, "other grants or mode".to_owned()),
                        (one.stem != other.stem, format!("moved to {}", other.stem)),
                    ];
                    let changed: Vec<String> =
                        changed.into_iter().filter(|change| change.0).map(|change| change.1).collect();
                    if !changed.is_empty() {
                        changes.push(format!("{name}: {}", changed.join(", ")));
                    }
                }
                (None, None) => {}
            }
        }
        if self.limits != before.limits {
            changes.push("other limits".to_owned());
        }
        if self.secret_parameters != before.secret_parameters {
            changes.push("other secret parameters".to_owned());
        }
        changes
    }
}

impl History {
    /// Begins an era, unless it is the last one going on. Returns whether anything changed.
    pub(super) fn begin(&mut self, era: Era) -> bool {
        if self.eras.last().is_some_and(|last| last.is_as(&era)) {
            return false;
        }
        self.eras.push(era);
        true
    }

    /// Returns the era in which a decision was made.
    pub(super) fn at(&self, generation: u64, at: u64) -> Option<&Era> {
        let of_number = || self.eras.iter().filter(|era| era.generation == generation);
        of_number().rfind(|era| era.at <= at).or_else(|| of_number().next())
    }

    /// Forgets what ended before `horizon`, and the oldest eras while modules that only they need take too much.
    /// `size` tells the bytes of a module. Returns whether anything changed.
    fn prune(&mut self, horizon: u64, most_bytes: u64, size: impl Fn(&Digest) -> u64) -> bool {
        let before = self.eras.len();
        // An era ends where the next one begins.
        let over = self.eras.windows(2).take_while(|pair| pair[1].at < horizon).count();
        self.eras.drain(..over.max(before.saturating_sub(MOST_ERAS)));
        while self.eras.len() > 1 && self.modules().iter().map(&size).sum::<u64>() > most_bytes {
            self.eras.remove(0);
        }
        self.eras.len() != before
    }

    pub(super) fn modules(&self) -> BTreeSet<Digest> {
        self.eras.iter().flat_map(|era| &era.policies).map(|placed| placed.module.clone()).collect()
    }

    fn sidecars(&self) -> BTreeSet<Digest> {
        self.eras.iter().flat_map(|era| &era.policies).filter_map(|placed| placed.sidecar.clone()).collect()
    }
}

impl Ledger {
    /// Reads which eras there were; a missing file is none.
    pub(super) fn read_history(&self) -> io::Result<History> {
        read_json(&self.folder().join("history.json"))
    }

    /// Begins an era, with the sidecars that it needs, and forgets eras that are over for long.
    pub(super) fn begin_era(&self, era: Era, in_force: &InForce, log: &DecisionLog) -> io::Result<()> {
        let sidecars = self.folder().join("sidecars");
        fs::create_dir_all(&sidecars)?;
        for text in in_force.values().filter_map(|live| live.version.sidecar.as_deref()) {
            let path = sidecars.join(format!("{}.toml", Digest::of(text.as_bytes())));
            if !path.exists() {
                write_whole(&path, text.as_bytes())?;
            }
        }
        let now = era.at;
        let mut history = self.read_history()?;
        let is_new = history.begin(era);
        self.prune_history(history, now, log, is_new)
    }

    /// Forgets eras that are over for long.
    pub(super) fn forget_eras(&self, now: u64, log: &DecisionLog) -> io::Result<()> {
        self.prune_history(self.read_history()?, now, log, false)
    }

    fn prune_history(&self, mut history: History, now: u64, log: &DecisionLog, is_new: bool) -> io::Result<()> {
        let horizon = now.saturating_sub(u64::try_from(log.keep.as_millis()).unwrap_or(u64::MAX));
        let size = |digest: &Digest| fs::metadata(self.path(digest)).map_or(0, |metadata| metadata.len());
        let is_shorter = history.prune(horizon, log.most_module_bytes, size);
        if is_new || is_shorter {
            write_whole(&self.folder().join("history.json"), &serde_json::to_vec(&history)?)?;
        }
        if is_shorter {
            let needed = history.sidecars().iter().map(|digest| format!("{digest}.toml")).collect();
            remove_others(&self.folder().join("sidecars"), &needed)?;
        }
        Ok(())
    }

    /// Returns settings that were in force once.
    pub(super) fn sidecar(&self, digest: &Digest) -> io::Result<String> {
        let path = self.folder().join("sidecars").join(format!("{digest}.toml"));
        let text = String::from_utf8(read_unchanged(&path, digest, "the kept settings were changed")?);
        text.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn era(generation: u64, at: u64, modules: &[&str]) -> Era {
        let placed = |name: &&str| Placed {
            name: (*name).to_owned(),
            stem: format!("10-{name}"),
            module: Digest::of(name.as_bytes()),
            sidecar: None,
            guard: SlotGuard::default(),
        };
        let policies = modules.iter().map(placed).collect();
        Era { generation, at, policies, limits: Limits::default(), secret_parameters: Vec::new() }
    }

    #[test]
    fn a_decision_belongs_to_the_era_of_its_generation_and_time() {
        let mut history = History::default();
        for (era, is_new) in [
            (era(1, 10, &["a"]), true),
            (era(1, 20, &["a"]), false),
            (era(1, 30, &["b"]), true),
            (era(2, 40, &["b"]), true),
        ] {
            assert_eq!(history.begin(era), is_new);
        }
        let found = |generation, at| history.at(generation, at).map(|era| era.at);
        // The number stays over a restart with other grants.
        for (generation, at, expected) in
            [(1, 15, Some(10)), (1, 35, Some(30)), (1, 5, Some(10)), (2, 99, Some(40)), (3, 99, None)]
        {
            assert_eq!(found(generation, at), expected, "{generation} at {at}");
        }
    }

    #[test]
    fn eras_go_by_age_and_by_what_their_modules_take_and_the_last_one_stays() {
        let eras = || History { eras: vec![era(1, 10, &["a"]), era(2, 20, &["a", "b"]), era(3, 30, &["c"])] };
        let left = |horizon, most_bytes| {
            let mut history = eras();
            history.prune(horizon, most_bytes, |_| 100);
            history.eras.iter().map(|era| era.generation).collect::<Vec<_>>()
        };
        assert_eq!(left(0, 300), [1, 2, 3]);
        assert_eq!(left(20, 300), [1, 2, 3]);
        assert_eq!(left(21, 300), [2, 3]);
        assert_eq!(left(1000, 300), [3]);
        assert_eq!(left(0, 299), [3], "both of the older eras need the same module");
        assert_eq!(left(0, 0), [3]);
    }

    #[test]
    fn what_changed_between_eras_is_told() {
        let (one, mut other) = (era(1, 1, &["a", "b", "c"]), era(2, 2, &["b", "c", "d"]));
        other.policies[1].module = Digest::of(b"new");
        other.policies[1].guard.single_use = true;
        other.limits.fuel = 1;
        let changes = other.changes_since(&one);
        let new = Digest::of(b"new");
        let replaced = format!("c: replaced by {}, other grants or mode", new.short());
        assert_eq!(changes[0], "a went");
        assert_eq!(changes[1], replaced);
        assert!(changes[2].starts_with("d came (") && changes[3] == "other limits", "{changes:?}");
    }
}
