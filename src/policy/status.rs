//! What people are told about policies.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::component::Hook;
use super::config::{Grant, Mode};
use super::digest::Digest;
use super::tally::Usage;

/// How all policies stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// The number of what is in force.
    #[serde(default)]
    pub generation: u64,
    /// Nothing comes in from the folder until it is thawed.
    pub frozen: bool,
    /// The last look at the folder that changed something, or refused to; the first one, at the start, does.
    pub last_reload: Option<ReloadCost>,
    /// Refused changes since the daemon runs, by gate; one that is refused again and again counts once.
    #[serde(default)]
    pub refusals: BTreeMap<Gate, u64>,
    /// By name.
    pub policies: Vec<SlotStatus>,
}

/// How long a change of policies took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadCost {
    /// When it was over.
    pub at: SystemTime,
    /// What was in force then.
    pub generation: u64,
    pub microseconds: u64,
    /// Microseconds of each stage that was reached.
    pub stages: BTreeMap<Stage, u64>,
}

/// What a change of policies goes through, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The folder is read, and pins and signatures are held against it.
    Read,
    /// Modules are compiled, or their code is fetched from where it is kept, and tried.
    Compile,
    /// Settings are tried, and answers held against the laws.
    Laws,
    Table,
    Orphans,
    Replay,
    /// It is written down, and takes the place of what was in force.
    Swap,
}

impl Stage {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Compile => "compile",
            Self::Laws => "laws",
            Self::Table => "table",
            Self::Orphans => "orphans",
            Self::Replay => "replay",
            Self::Swap => "swap",
        }
    }
}

/// How one policy stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotStatus {
    pub name: String,
    /// The file's name in the folder; none if it is not there.
    pub file: Option<String>,
    /// Of the version in force.
    pub digest: Option<Digest>,
    /// Whose keys have signed that version.
    #[serde(default)]
    pub signed_by: Option<String>,
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
    /// Whether what was asked for happened, whatever else lies in the folder. A reload asks for all of it to be let in.
    #[serde(default)]
    pub done: bool,
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
    /// Has somebody whom the site trusts signed it.
    Signature,
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
    /// What would have become of jobs that are done.
    Replay,
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Folder => "folder",
            Self::Pin => "pin",
            Self::Signature => "signature",
            Self::Quarantine => "quarantine",
            Self::Interface => "interface",
            Self::Settings => "settings",
            Self::Laws => "laws",
            Self::Required => "required",
            Self::Frozen => "frozen",
            Self::Table => "table",
            Self::Orphans => "orphans",
            Self::Replay => "replay",
        })
    }
}

impl Gate {
    /// In order.
    pub const ALL: [Self; 12] = [
        Self::Folder,
        Self::Pin,
        Self::Signature,
        Self::Quarantine,
        Self::Interface,
        Self::Settings,
        Self::Laws,
        Self::Required,
        Self::Frozen,
        Self::Table,
        Self::Orphans,
        Self::Replay,
    ];

    /// Those that a person can waive; the others say what is wrong with the file itself.
    pub const WAIVABLE: [Self; 3] = [Self::Table, Self::Orphans, Self::Replay];

    /// Returns whether it holds a change against what is in force, rather than the file against the rules. Only what it
    /// was then shows that: after a restart it cannot be asked again, and what it said has to be remembered.
    pub(super) fn looks_at_the_change(self) -> bool {
        self > Self::Frozen
    }
}

/// Reads the gates that a person can waive.
impl FromStr for Gate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let waivable = Self::WAIVABLE.into_iter().find(|gate| gate.to_string() == text);
        waivable.ok_or_else(|| "only the gates `table`, `orphans` and `replay` can be waived".to_owned())
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
