//! What people are told about policies.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::component::Hook;
use super::config::{Grant, Mode};
use super::digest::Digest;
use super::tally::Usage;

/// How one policy stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotStatus {
    pub name: String,
    /// The file's name in the folder; none if it is not there.
    pub file: Option<String>,
    /// Of the version in force.
    pub digest: Option<Digest>,
    /// Since which generation that version is in force.
    pub generation: Option<u64>,
    pub hooks: BTreeSet<Hook>,
    pub state: SlotState,
    pub mode: Mode,
    pub required: bool,
    pub grants: BTreeSet<Grant>,
    /// In how many places it is bound.
    pub bindings: usize,
    /// What is wrong and what to do.
    pub error: Option<String>,
    /// What goes wrong when it is asked, what that means and what to do.
    #[serde(default)]
    pub failing: Option<String>,
    /// Out of force until then, by a person's wish.
    #[serde(default)]
    pub disabled_until: Option<SystemTime>,
    /// What it asks for and was not granted.
    pub advice: Vec<String>,
    /// What each of its slots was asked at each hook, and what came of it; only of those in force or on trial.
    #[serde(default)]
    pub usage: Vec<Usage>,
}

/// What there is to count of all policies together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    pub generation: u64,
    pub frozen: bool,
    /// Refused changes since the daemon runs, by gate; one that is refused again and again counts once.
    pub refusals: BTreeMap<Gate, u64>,
    /// How long the last change took that came into force, by stage.
    pub last_reload: BTreeMap<String, Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotState {
    /// The file in the folder is in force.
    Live,
    /// The file was refused; the version before it is in force.
    LastGood,
    /// The file was refused, and nothing is in force.
    Refused,
    /// There is no file; the last good version is in force if there is a digest.
    Missing,
    /// The file was rolled back and waits for a person to accept it.
    Quarantined,
    /// Out of force for a while, by a person's wish.
    Disabled,
}

/// What a look at the folder led to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadReport {
    pub generation: u64,
    pub changed: Vec<Change>,
    pub refused: Vec<Refusal>,
}

/// A change of what is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub slot: String,
    pub kind: ChangeKind,
    pub digest: Digest,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    Added,
    Replaced,
    /// Only its place in the order.
    Moved,
    Removed,
}

/// A file that was not taken in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The policy's name; empty if it is the folder itself.
    pub slot: String,
    pub gate: Gate,
    /// What is wrong and what to do.
    pub reason: String,
}

/// Where a candidate can be refused, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gate {
    /// The folder, or the file's name or readability.
    Folder,
    /// The `sha256` pin.
    Pin,
    /// Rolled back before.
    Quarantine,
    /// Is it a component that exports hooks and imports nothing.
    Interface,
    /// The sidecar, and what `configure` says to it.
    Settings,
    /// Are its answers lawful.
    Laws,
    /// May it go.
    Required,
    /// Nothing comes in while policies are frozen.
    Frozen,
    /// How much of what is offered would be withdrawn.
    Table,
    /// Would jobs that wait lose the last worker that can take them.
    Orphans,
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Folder => "folder",
            Self::Pin => "pin",
            Self::Quarantine => "quarantine",
            Self::Interface => "interface",
            Self::Settings => "settings",
            Self::Laws => "laws",
            Self::Required => "required",
            Self::Frozen => "frozen",
            Self::Table => "table",
            Self::Orphans => "orphans",
        })
    }
}

impl Gate {
    /// In order.
    pub const ALL: [Self; 10] = [
        Self::Folder,
        Self::Pin,
        Self::Quarantine,
        Self::Interface,
        Self::Settings,
        Self::Laws,
        Self::Required,
        Self::Frozen,
        Self::Table,
        Self::Orphans,
    ];

    /// Those that a person can waive; the others say what is wrong with the file itself.
    pub const WAIVABLE: [Self; 2] = [Self::Table, Self::Orphans];
}

/// Reads the gates that a person can waive.
impl FromStr for Gate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let waivable = Self::WAIVABLE.into_iter().find(|gate| gate.to_string() == text);
        waivable.ok_or_else(|| "only the gates `table` and `orphans` can be waived".to_owned())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { slot, gate, reason } = self;
        if slot.is_empty() {
            write!(f, "policy folder: {reason}")
        } else {
            write!(f, "policy {slot} refused at gate {gate}: {reason}")
        }
    }
}
