//! A decision as it is kept: what was asked, what each policy said, what they decided together.
//!
//! Nothing in a record is secret; what may not be known is withheld, or sealed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::asked::Asked;
use super::call::CallError;
use super::digest::Digest;
use super::generation::Generation;

/// Bytes of a record.
const LARGEST: usize = 256 << 10;

/// One decision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Record {
    /// Milliseconds since 1970, by this machine's clock.
    pub at: u64,
    pub generation: u64,
    pub asked: Asked,
    /// In file order. Policies that do not export the hook, or are bound elsewhere, are not in it, nor are those on trial.
    pub told: Vec<SlotTold>,
    pub verdict: Composed,
    /// Whose word counted and why, for people; empty if nobody's did.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// It was too large to be kept: what was sent and what the policies said in detail is not in it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// What one slot said.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct SlotTold {
    pub slot: String,
    pub policy: String,
    /// Of the `.wasm`.
    pub module: Digest,
    /// Of the settings that it was configured with.
    pub settings: Digest,
    pub answer: Told,
    /// For starting, configuring and answering, as the limit counts it; of a failed call as far as is known.
    pub fuel: u64,
    pub microseconds: u64,
}

/// A verdict, or how the call failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told {
    /// In the words of `wit/policy.wit`, reason and trace included. A value that is withheld is `***`.
    Verdict(Map<String, Value>),
    Failure(Failure),
}

/// How a call failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Failure {
    pub class: FailureClass,
    pub text: String,
}

/// What kind of failure it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FailureClass {
    Trap,
    Fuel,
    Deadline,
    Memory,
    Invalid,
    Configure,
}

/// What all policies decided together, without the words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Composed {
    /// A policy failed: a pair of the table stays as it was.
    Undecided,
    Matched {
        atoms: BTreeSet<String>,
        /// Only a policy made it a match.
        widened: bool,
    },
    NoMatch {
        /// A policy said so.
        vetoed: bool,
    },
    Named {
        /// None leaves them to the classic rules.
        names: Option<BTreeSet<String>>,
        aliases: BTreeSet<String>,
    },
    Passed {
        /// Of each parameter that was sent or set.
        parameters: BTreeMap<String, Fate>,
    },
    Rejected,
    /// A policy failed: no build is started.
    Failed,
    /// All abstained.
    Classic,
    Share,
    Reserve,
    Online,
    Offline,
    Held,
}

/// What becomes of one parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Goes on as it was sent.
    Kept,
    Dropped,
    /// To this value; none if it is withheld.
    Set(Option<String>),
}

/// The same question, answered by some generation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Answered {
    pub told: Vec<SlotTold>,
    pub verdict: Composed,
    pub why: String,
}

impl Record {
    /// Returns whether a generation can be asked the very question: no policy of it would have to see a value that is
    /// not known.
    pub fn is_replayable(&self, generation: &Generation) -> bool {
        !self.cut && self.asked.missing(generation).is_empty()
    }

    /// Returns the record as it is kept. Of one that is too large the details are left out, never the decision: whoever
    /// sends a lot does not go unrecorded.
    pub fn to_json(&self) -> String {
        let json = |record: &Self| serde_json::to_string(record).expect("records have text keys only");
        let whole = json(self);
        if whole.len() <= LARGEST { whole } else { json(&self.clone().shortened()) }
    }

    /// # Errors
    /// What is not understood.
    pub fn from_json(json: &str) -> Result<Self, String> {
        serde_json::from_str(json).map_err(|error| format!("the record is not understood: {error}"))
    }

    /// Returns why the question cannot be put again, if too little of it was kept.
    pub(super) fn unknown(&self) -> Option<String> {
        self.cut.then(|| "the question was too large to be kept".to_owned())
    }

    pub(super) fn shortened(mut self) -> Self {
        self.cut = true;
        self.asked.shorten();
        if let Composed::Passed { parameters } = &mut self.verdict {
            parameters.clear();
        }
        for told in &mut self.told {
            let word = told.word();
            if let Told::Verdict(fields) = &mut told.answer {
                let reason = fields.remove("reason").unwrap_or_default();
                *fields = [("answer".to_owned(), word.into()), ("reason".to_owned(), reason)].into_iter().collect();
            }
        }
        self
    }
}

impl SlotTold {
    /// Returns the answer in a word or two, such as `reject` or `fuel`.
    pub fn word(&self) -> String {
        match &self.answer {
            Told::Failure(failure) => failure.class.to_string(),
            Told::Verdict(fields) => match (fields.get("answer"), fields.get("names")) {
                (Some(Value::String(word)), _) => word.clone(),
                (Some(Value::Object(variant)), _) => variant.keys().next().cloned().unwrap_or_default(),
                (_, Some(Value::Array(_))) => "names".to_owned(),
                _ if fields.get("aliases").and_then(Value::as_array).is_some_and(|list| !list.is_empty()) => {
                    "aliases".to_owned()
                }
                _ => "abstain".to_owned(),
            },
        }
    }

    pub fn reason(&self) -> &str {
        match &self.answer {
            Told::Verdict(fields) => fields.get("reason").and_then(Value::as_str).unwrap_or_default(),
            Told::Failure(failure) => &failure.text,
        }
    }
}

impl Failure {
    pub(super) fn of(error: &CallError) -> Self {
        Self { class: FailureClass::of(error), text: error.to_string() }
    }
}

impl FailureClass {
    pub(super) const ALL: [Self; 6] =
        [Self::Trap, Self::Fuel, Self::Deadline, Self::Memory, Self::Invalid, Self::Configure];

    pub(super) fn of(error: &CallError) -> Self {
        match error {
            CallError::Trap(_) => Self::Trap,
            CallError::Fuel => Self::Fuel,
            CallError::Deadline => Self::Deadline,
            CallError::Memory => Self::Memory,
            CallError::Invalid(_) => Self::Invalid,
            CallError::Configure(_) => Self::Configure,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Fuel => "fuel",
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::Invalid => "invalid",
            Self::Configure => "configure",
        }
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Composed {
    /// Returns the decision in a word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Undecided => "undecided",
            Self::Matched { .. } => "matched",
            Self::NoMatch { .. } => "no-match",
            Self::Named { .. } => "named",
            Self::Passed { .. } => "passed",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::Classic => "classic",
            Self::Share => "share",
            Self::Reserve => "reserve",
            Self::Online => "online",
            Self::Offline => "offline",
            Self::Held => "held",
        }
    }

    /// Returns whether both are the same decision, as far as is known: a value that is withheld may be any.
    pub fn agrees_with(&self, other: &Self) -> bool {
        let (Self::Passed { parameters: one }, Self::Passed { parameters: other }) = (self, other) else {
            return self == other;
        };
        let agrees = |one: &Fate, other: &Fate| match (one, other) {
            (Fate::Set(None), Fate::Set(_)) | (Fate::Set(_), Fate::Set(None)) => true,
            (one, other) => one == other,
        };
        one.len() == other.len() && one.iter().zip(other).all(|(one, other)| one.0 == other.0 && agrees(one.1, other.1))
    }
}
