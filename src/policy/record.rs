//! A decision as it is kept: what was asked, what each policy said, what they decided together.
//!
//! The question is kept whole, before any policy's view of it is cut out, so that it can be put to another generation,
//! whose policies may need to see other things and be bound elsewhere. Values of parameters are the exception: see
//! [`SentValue`]. Nothing in a record is secret; what may not be known is withheld, or sealed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::call::CallError;
use super::decision::{Outcome, Request};
use super::digest::Digest;
use super::generation::{Controller, Generation};
use super::written::Call;
use crate::domain::{BuildResult, FunctionName, Mode, Node, NodeName, Parameters, Project};

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
}

/// What policies were asked, all of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "call", content = "question")]
pub enum Asked {
    #[serde(rename = "naming.names")]
    Names(NameAsked),
    #[serde(rename = "matching.matches")]
    Matches(MatchAsked),
    #[serde(rename = "parameters.filter")]
    Filter(JobAsked),
    #[serde(rename = "offline.build-started")]
    BuildStarted(JobAsked),
    #[serde(rename = "offline.build-ended")]
    BuildEnded(JobAsked, EndedSo),
}

/// A question about a job: what [`Request`] borrows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct JobAsked {
    pub controller: Controller,
    pub project: Project,
    pub function: FunctionName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    #[serde(with = "seen_node")]
    pub node: Node,
    /// Those labels of the node that some project's expression names.
    pub named_labels: BTreeSet<String>,
    pub sent: Vec<Sent>,
    pub client_asks_offline: bool,
    /// The values of all sealed parameters, in one piece; base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<String>,
}

/// A parameter that a client sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Sent {
    pub name: String,
    pub value: SentValue,
}

/// A value, as far as the record has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SentValue {
    /// The client sent none.
    None,
    Shown(String),
    /// Not kept.
    Withheld,
    /// Kept for whoever has the key; see [`JobAsked::sealed`].
    Sealed,
}

/// How the build ended, in a question about that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct EndedSo {
    /// None if the controller does not say.
    pub result: Option<BuildResult>,
    pub duration_ms: u64,
}

/// Whether a project runs on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct MatchAsked {
    pub controller: Controller,
    pub project: Project,
    /// As Jenkins writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    #[serde(with = "seen_node")]
    pub node: Node,
    pub named_labels: BTreeSet<String>,
    pub classic: bool,
}

/// Under which names a project is offered on a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct NameAsked {
    pub controller: Controller,
    pub project: Project,
    pub short_name_unique: bool,
    #[serde(with = "seen_node")]
    pub node: Node,
    pub named_labels: BTreeSet<String>,
    pub atoms: BTreeSet<String>,
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
        self.asked.missing(generation).is_empty()
    }
}

impl Asked {
    pub fn call(&self) -> Call {
        match self {
            Self::Names(_) => Call::Names,
            Self::Matches(_) => Call::Matches,
            Self::Filter(_) => Call::Filter,
            Self::BuildStarted(_) => Call::BuildStarted,
            Self::BuildEnded(..) => Call::BuildEnded,
        }
    }

    pub fn controller(&self) -> &Controller {
        match self {
            Self::Names(asked) => &asked.controller,
            Self::Matches(asked) => &asked.controller,
            Self::Filter(asked) | Self::BuildStarted(asked) | Self::BuildEnded(asked, _) => &asked.controller,
        }
    }

    pub fn project(&self) -> &Project {
        match self {
            Self::Names(asked) => &asked.project,
            Self::Matches(asked) => &asked.project,
            Self::Filter(asked) | Self::BuildStarted(asked) | Self::BuildEnded(asked, _) => &asked.project,
        }
    }

    pub fn node(&self) -> &Node {
        match self {
            Self::Names(asked) => &asked.node,
            Self::Matches(asked) => &asked.node,
            Self::Filter(asked) | Self::BuildStarted(asked) | Self::BuildEnded(asked, _) => &asked.node,
        }
    }

    /// Returns what is asked about a job; none for the table.
    pub fn job(&self) -> Option<&JobAsked> {
        match self {
            Self::Filter(asked) | Self::BuildStarted(asked) | Self::BuildEnded(asked, _) => Some(asked),
            Self::Names(_) | Self::Matches(_) => None,
        }
    }

    /// Returns the parameters whose values are not known and would be shown to some policy of a generation.
    pub fn missing(&self, generation: &Generation) -> BTreeSet<String> {
        let Some(job) = self.job() else { return BTreeSet::new() };
        let unknown = job.sent.iter().filter(|sent| matches!(sent.value, SentValue::Withheld | SentValue::Sealed));
        let unknown: Vec<&str> = unknown.map(|sent| sent.name.as_str()).collect();
        generation.would_show(self.call().hook(), job, &unknown)
    }
}

impl JobAsked {
    /// Returns what was sent, without the values that are not known.
    pub fn requested(&self) -> Parameters {
        let mut requested = Parameters::new();
        for Sent { name, value } in &self.sent {
            let value = if let SentValue::Shown(value) = value { Some(value.clone()) } else { None };
            requested.set(name, value);
        }
        requested
    }

    /// Returns the question as policies are asked it; `requested` is what [`JobAsked::requested`] returns.
    pub fn request<'a>(&'a self, requested: &'a Parameters) -> Request<'a> {
        Request {
            controller: &self.controller,
            project: &self.project,
            function: &self.function,
            label: self.label.as_deref(),
            node: &self.node,
            named_labels: &self.named_labels,
            requested,
            client_asks_offline: self.client_asks_offline,
        }
    }
}

impl From<EndedSo> for Outcome {
    fn from(ended: EndedSo) -> Self {
        Self { result: ended.result, duration: std::time::Duration::from_millis(ended.duration_ms) }
    }
}

impl From<Outcome> for EndedSo {
    fn from(outcome: Outcome) -> Self {
        let duration_ms = u64::try_from(outcome.duration.as_millis()).unwrap_or(u64::MAX);
        Self { result: outcome.result, duration_ms }
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
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Trap => "trap",
            Self::Fuel => "fuel",
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::Invalid => "invalid",
            Self::Configure => "configure",
        })
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

/// A node as far as policies can see it.
mod seen_node {
    use super::*;
    use serde::{Deserializer, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "kebab-case")]
    struct Seen<'a> {
        name: NodeName,
        mode: Mode,
        labels: std::borrow::Cow<'a, BTreeSet<String>>,
    }

    pub(super) fn serialize<S: Serializer>(node: &Node, serializer: S) -> Result<S::Ok, S::Error> {
        let labels = std::borrow::Cow::Borrowed(&node.labels);
        Seen { name: node.name.clone(), mode: node.mode, labels }.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        let seen = Seen::deserialize(deserializer)?;
        Ok(Node { mode: seen.mode, labels: seen.labels.into_owned(), ..Node::new(seen.name) })
    }
}
