//! A question as it is kept: whole, before any policy's view of it is cut out, so that it can be put to another
//! generation, whose policies may need to see other things and be bound elsewhere. Values of parameters are the exception:
//! see [`SentValue`].

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::decision::{Outcome, Request};
use super::generation::{Controller, Generation};
use super::written::Call;
use crate::domain::{BuildResult, FunctionName, Mode, Node, NodeName, Parameters, Project};

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

    pub(super) fn job_mut(&mut self) -> Option<&mut JobAsked> {
        match self {
            Self::Filter(asked) | Self::BuildStarted(asked) | Self::BuildEnded(asked, _) => Some(asked),
            Self::Names(_) | Self::Matches(_) => None,
        }
    }

    pub(super) fn shorten(&mut self) {
        if let Some(job) = self.job_mut() {
            job.sent.clear();
            job.sealed = None;
            job.project.parameters.take_if(|declared| declared.len() > 1000);
        }
    }

    /// Puts in values that somebody else knows, such as from [`JobAsked::sealed`].
    pub fn learn(&mut self, values: &BTreeMap<String, String>) {
        let Some(job) = self.job_mut() else { return };
        for sent in job.sent.iter_mut().filter(|sent| matches!(sent.value, SentValue::Withheld | SentValue::Sealed)) {
            if let Some(value) = values.get(&sent.name) {
                sent.value = SentValue::Shown(value.clone());
            }
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
    pub(super) fn of(request: &Request<'_>) -> Self {
        let sent = request.requested.iter().map(|(name, value)| Sent {
            name: name.to_owned(),
            value: value.map_or(SentValue::None, |value| SentValue::Shown(value.to_owned())),
        });
        Self {
            controller: request.controller.clone(),
            project: request.project.clone(),
            function: request.function.clone(),
            label: request.label.map(str::to_owned),
            node: seen(request.node),
            named_labels: request.node.labels.intersection(request.named_labels).cloned().collect(),
            sent: sent.collect(),
            client_asks_offline: request.client_asks_offline,
            sealed: None,
        }
    }

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

/// Returns as much of a node as policies can see.
pub(super) fn seen(node: &Node) -> Node {
    Node { mode: node.mode, labels: node.labels.clone(), ..Node::new(node.name.clone()) }
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
