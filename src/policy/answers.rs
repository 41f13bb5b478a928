//! What all policies together have decided, for the rest of the house.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::domain::{BuildFunction, Parameters};

/// What one policy said and why, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reason {
    #[serde(serialize_with = "text")]
    pub slot: Arc<str>,
    /// The answer in a word, such as `veto`.
    pub verdict: &'static str,
    #[serde(serialize_with = "text")]
    pub reason: Arc<str>,
    #[serde(serialize_with = "lines")]
    pub trace: Arc<[String]>,
}

fn text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

fn lines<S: Serializer>(lines: &Arc<[String]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(lines.iter())
}

/// A policy failed, so there is no answer: keep what is in force for that pair; a pair never seen is not offered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("policy {slot} failed: {error}")]
pub struct Undecided {
    pub slot: Arc<str>,
    pub error: String,
}

/// Whether a project runs on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matched {
    pub matched: bool,
    /// The atoms of the expression that the node satisfies, by its labels or by a policy.
    pub atoms: BTreeSet<String>,
    /// Only a policy made it a match; offer it only if the project can be pinned.
    pub widened: bool,
    /// Who vetoed. On a project that cannot be pinned, Jenkins may still start it there.
    pub veto: Option<Reason>,
    /// A policy would have made it a match, had it the grant `widen`.
    pub clamped: Option<Reason>,
    /// What the policies said that did not abstain.
    pub reasons: Vec<Reason>,
}

/// Under which names a project is offered on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// None if all abstained: the classic names apply.
    pub names: Option<Vec<BuildFunction>>,
    /// The policy whose names these are.
    pub owner: Option<Arc<str>>,
    pub aliases: Vec<BuildFunction>,
    pub reasons: Vec<Reason>,
}

/// Which parameters go on to the build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filtered {
    Pass {
        parameters: Parameters,
        /// Name and reason.
        dropped: Vec<(String, String)>,
        /// Name and the policy that set it.
        set: Vec<(String, Arc<str>)>,
        reasons: Vec<Reason>,
    },
    Rejected {
        slot: Arc<str>,
        reason: String,
    },
    /// A policy failed: no build is started.
    Failed {
        slot: Arc<str>,
        reason: String,
    },
}

/// What becomes of the node when the build starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// All abstained: the plugin's own rule.
    Classic,
    /// Others may start builds there meanwhile.
    Share { slot: Arc<str>, reason: String },
    /// Mark it offline now.
    Reserve {
        slot: Arc<str>,
        reason: String,
        /// The binding is single-use: the budget on going offline does not apply.
        single_use: bool,
    },
}

/// What becomes of the node when the build has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// All abstained: the client's flag decides.
    Classic,
    Online {
        slot: Arc<str>,
        reason: String,
    },
    Offline {
        slot: Arc<str>,
        message: String,
        reason: String,
        /// The binding is single-use: the budget on going offline does not apply.
        single_use: bool,
    },
    Held {
        slot: Arc<str>,
        message: String,
        reason: String,
        single_use: bool,
    },
}
