use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::human_duration;

use super::{Digest, PublicKey, SealingKey};

/// What the site's own configuration says about policies. It guards the folder, and is therefore not in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case")]
pub struct Config {
    /// Where policies are dropped: `NN-name.wasm`, beside it `NN-name.toml` if it needs settings or a binding.
    pub folder: PathBuf,
    /// Where the last good version of each policy is kept over a restart. Nobody but the daemon may write there.
    #[serde(default)]
    pub state: Option<PathBuf>,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub gates: Gates,
    /// Whose signatures count, by a name of the site's choice.
    #[serde(default)]
    pub keys: BTreeMap<String, PublicKey>,
    /// Only what one of the keys has signed is taken in. Not said, it is so as soon as there is a key.
    #[serde(default)]
    pub signed: Option<bool>,
    #[serde(default)]
    pub log: DecisionLog,
    /// By the policy's name, which is its file's without number and ending.
    #[serde(default)]
    pub slots: BTreeMap<String, SlotGuard>,
    /// Globs of parameters whose values no policy ever sees; letter case does not count.
    #[serde(default)]
    pub secret_parameters: Vec<String>,
    /// How long the whole folder has to be at rest before it is read.
    #[serde(with = "human_duration", default = "default_quiet")]
    pub quiet: Duration,
    /// How often the folder is looked at, for mounts that report no changes.
    #[serde(with = "human_duration", default = "default_rescan")]
    pub rescan: Duration,
    /// How long a name that policies no longer give stays on offer while jobs wait for it; 0 withdraws it at once.
    #[serde(with = "human_duration", default = "default_keep_names")]
    pub keep_names: Duration,
}

impl Config {
    /// Returns the defaults for a folder.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            state: None,
            limits: Limits::default(),
            gates: Gates::default(),
            keys: BTreeMap::new(),
            signed: None,
            log: DecisionLog::default(),
            slots: BTreeMap::new(),
            secret_parameters: Vec::new(),
            quiet: default_quiet(),
            rescan: default_rescan(),
            keep_names: default_keep_names(),
        }
    }

    pub(super) fn guard(&self, name: &str) -> SlotGuard {
        self.slots.get(name).cloned().unwrap_or_default()
    }

    pub(super) fn demands_signature(&self, name: &str) -> bool {
        let own = self.slots.get(name).and_then(|guard| guard.signed);
        own.or(self.signed).unwrap_or(!self.keys.is_empty())
    }
}

fn default_quiet() -> Duration {
    Duration::from_millis(500)
}

fn default_rescan() -> Duration {
    Duration::from_secs(30)
}

fn default_keep_names() -> Duration {
    Duration::from_secs(10 * 60)
}

/// What one call of a policy may cost, and what one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "snake_case")]
pub struct Limits {
    /// Instructions, roughly, for starting, `configure` and the call together. The same question always costs the same.
    pub fuel: u64,
    /// The backstop in time, an order above what the fuel takes.
    #[serde(with = "human_duration")]
    pub deadline: Duration,
    /// Bytes, summed over all memories of an instance.
    pub memory: usize,
    /// Bytes of one answer, its reason and trace included.
    pub answer: usize,
    #[serde(with = "human_duration")]
    pub compile_timeout: Duration,
    /// Bytes of a `.wasm` file.
    pub max_module: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fuel: 100_000_000, // some 100 ms; a decision of the largest guest measured takes 2 ms
            deadline: Duration::from_secs(2),
            memory: 64 << 20,
            answer: 256 << 10,
            compile_timeout: Duration::from_secs(60), // a Python guest of 18 MB takes 11 s on one core
            max_module: 32 << 20,
        }
    }
}

/// What a change of policies may do to a running site before a person has to say yes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "snake_case")]
pub struct Gates {
    /// How much of all that nodes offer a change may withdraw, in percent.
    pub withdrawn_percent: u8,
    /// So many functions of nodes may be withdrawn whatever their share: on a small site one project is half of all.
    pub withdrawn_anyway: usize,
    /// So many of the last recorded decisions are put to it; 0 for none, and never more than 10,000.
    pub replay: usize,
    /// How long that may take; a third of it is for what is in force, which is asked as well.
    #[serde(with = "human_duration")]
    pub replay_within: Duration,
    /// For so long after it came into force a version that fails again and again is rolled back by itself.
    #[serde(with = "human_duration")]
    pub watch_for: Duration,
}

impl Default for Gates {
    fn default() -> Self {
        Self {
            withdrawn_percent: 25,
            withdrawn_anyway: 10,
            replay: 1000,
            replay_within: Duration::from_secs(15), // a thousand decisions of a Python guest take some 2 s on one core
            watch_for: Duration::from_secs(10 * 60),
        }
    }
}

/// What is kept of decisions, and of the policies that made them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "snake_case")]
pub struct DecisionLog {
    /// For so long a decision is kept, and what is needed to make it again: modules, settings, grants.
    #[serde(with = "human_duration")]
    pub keep: Duration,
    /// So many decisions at most; 0 keeps none.
    pub most: u64,
    /// Bytes of all decisions, as they are stored.
    pub most_bytes: u64,
    /// Bytes of all modules that are no longer in force.
    pub most_module_bytes: u64,
    /// Answers about the function table that one look at it may add.
    pub table_samples: usize,
    /// Globs of parameters whose values are kept. Those of passwords and of `secret_parameters` never are, nor any while
    /// it is not known what a project declares.
    pub values: Vec<String>,
    /// Values that are not kept are sealed to this key; who has the other half can put the very question again.
    pub seal_to: Option<SealingKey>,
}

impl Default for DecisionLog {
    fn default() -> Self {
        Self {
            keep: Duration::from_secs(14 * 24 * 60 * 60),
            most: 100_000, // a kilobyte each
            most_bytes: 256 << 20,
            most_module_bytes: 1 << 30,
            table_samples: 20,
            values: Vec::new(),
            seal_to: None,
        }
    }
}

/// What the site grants to one policy, and asks of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "snake_case")]
pub struct SlotGuard {
    pub grants: BTreeSet<Grant>,
    /// The only file contents that are accepted.
    pub sha256: Option<Digest>,
    /// Whether it has to be signed, whatever is said of all policies.
    pub signed: Option<bool>,
    pub mode: Mode,
    /// Without this policy, or its last good version, nothing is offered where it is bound.
    pub required: bool,
    /// If this policy fails, a node is treated as used up.
    pub single_use: bool,
}

impl SlotGuard {
    /// Returns whether nothing may be offered without it. One on trial is never missed.
    pub(super) fn is_demanded(&self) -> bool {
        self.required && self.mode == Mode::Enforce
    }
}

impl Default for SlotGuard {
    fn default() -> Self {
        Self {
            grants: BTreeSet::new(),
            sha256: None,
            signed: None,
            mode: Mode::Enforce,
            required: true,
            single_use: false,
        }
    }
}

/// What a policy may do only if the site says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    /// Turn no match into a match.
    Widen,
    /// Set a parameter's value.
    Rewrite,
    /// Keep a node online against the client's wish.
    Veto,
    /// See values of parameters.
    Values,
    /// See node labels that no expression names.
    Labels,
}

impl Grant {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Widen => "widen",
            Self::Rewrite => "rewrite",
            Self::Veto => "veto",
            Self::Values => "values",
            Self::Labels => "labels",
        }
    }
}

/// Whether a policy's verdicts count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    #[default]
    Enforce,
    /// Asked aside and logged; neither its answers nor its failures are felt.
    Monitor,
}
