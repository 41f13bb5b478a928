//! Questions and verdicts as JSON, in the words of `wit/policy.wit`: what case files, `layshaft policy run` and records
//! of decisions speak.
//!
//! A question may leave out what follows from the rest, or what is almost always the same; a verdict says everything.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::call::{CallError, Instance};
use super::chain::{self, Heard, Voice};
use super::component::{Hook, Needs};
use super::config::Grant;
use super::question::{Ending, MatchingQuestion, NamingQuestion, NodeClass, OfflineQuestion, ParametersQuestion};
use super::spoken::{Answered, Spoken};
use super::verdict::{Decision, EndAnswer, Explained, MatchingAnswer, NamingAnswer, ParametersAnswer, StartAnswer};
use crate::domain::BuildFunction;
use crate::label::Expression;

/// A function that policies offer, as `INTERFACE.FUNCTION`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Call {
    #[serde(rename = "naming.names")]
    Names,
    #[serde(rename = "matching.matches")]
    Matches,
    #[serde(rename = "parameters.filter")]
    Filter,
    #[serde(rename = "offline.build-started")]
    BuildStarted,
    #[serde(rename = "offline.build-ended")]
    BuildEnded,
}

impl Call {
    pub const ALL: [Self; 5] = [Self::Names, Self::Matches, Self::Filter, Self::BuildStarted, Self::BuildEnded];

    /// Returns the one of a name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|call| call.as_str() == name)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Names => "naming.names",
            Self::Matches => "matching.matches",
            Self::Filter => "parameters.filter",
            Self::BuildStarted => "offline.build-started",
            Self::BuildEnded => "offline.build-ended",
        }
    }

    pub fn hook(self) -> Hook {
        match self {
            Self::Names => Hook::Naming,
            Self::Matches => Hook::Matching,
            Self::Filter => Hook::Parameters,
            Self::BuildStarted | Self::BuildEnded => Hook::Offline,
        }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A question to one policy, complete.
#[derive(Clone, Debug, PartialEq)]
pub struct Question(Asked);

#[derive(Clone, Debug, PartialEq)]
enum Asked {
    Names(NamingQuestion),
    Matches(MatchingQuestion),
    Filter(ParametersQuestion),
    BuildStarted(OfflineQuestion),
    BuildEnded(OfflineQuestion, Ending),
}

/// What a policy answered to a question.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// The record `verdict` of the contract.
    #[serde(rename = "verdict")]
    pub fields: Map<String, Value>,
    /// What the site has to grant before this verdict counts in full.
    pub needs_grants: BTreeSet<Grant>,
}

impl Question {
    /// Reads a question. What is left out is filled in: `controller`, `kind`, `node` and its fields, `short-name`,
    /// `atoms` and `classic` from the expression and the labels, `function`, empty lists, false.
    ///
    /// # Errors
    /// A sentence about what does not fit the contract.
    pub fn read(call: Call, question: Value, outcome: Option<Value>) -> Result<Self, String> {
        let Value::Object(mut fields) = question else { return Err(format!("a question to {call} is a table")) };
        let outcome = match (call, outcome) {
            (Call::BuildEnded, Some(outcome)) => Some(outcome),
            (Call::BuildEnded, None) => {
                return Err(format!("{call} takes an outcome as well: {{ build-result = \"success\" }}"));
            }
            (_, Some(_)) => return Err(format!("{call} takes no outcome; offline.build-ended does")),
            (_, None) => None,
        };
        complete(call, &mut fields)?;
        let question = Value::Object(fields);
        Ok(Self(match call {
            Call::Names => Asked::Names(parse(call, question)?),
            Call::Matches => Asked::Matches(parse(call, question)?),
            Call::Filter => Asked::Filter(parse(call, question)?),
            Call::BuildStarted => Asked::BuildStarted(parse(call, question)?),
            Call::BuildEnded => Asked::BuildEnded(parse(call, question)?, parse(call, outcome.unwrap_or_default())?),
        }))
    }

    pub fn call(&self) -> Call {
        match &self.0 {
            Asked::Names(_) => Call::Names,
            Asked::Matches(_) => Call::Matches,
            Asked::Filter(_) => Call::Filter,
            Asked::BuildStarted(_) => Call::BuildStarted,
            Asked::BuildEnded(..) => Call::BuildEnded,
        }
    }

    /// Returns the question as JSON, and the outcome if there is one.
    pub fn write(&self) -> (Value, Option<Value>) {
        match &self.0 {
            Asked::Names(question) => (json(question), None),
            Asked::Matches(question) => {
                let mut question = json(question);
                // The contract's record has the kind beside the project, ours in it too.
                if let Some(Value::Object(project)) = question.get_mut("project") {
                    project.remove("kind");
                }
                (question, None)
            }
            Asked::Filter(question) => (json(question), None),
            Asked::BuildStarted(question) => (json(question), None),
            Asked::BuildEnded(question, ending) => (json(question), Some(json(ending))),
        }
    }

    /// Takes out what the policy did not ask to see and, if grants are stated, what it was not granted. Labels stay: each
    /// may be one that some project's expression names.
    pub(super) fn cut(mut self, needs: &Needs, grants: Option<&BTreeSet<Grant>>) -> Self {
        let node: &mut NodeClass = match &mut self.0 {
            Asked::Names(question) => &mut question.node,
            Asked::Matches(question) => {
                question.project.take_if(|_| !needs.project);
                &mut question.node
            }
            Asked::Filter(question) => &mut question.node,
            Asked::BuildStarted(question) | Asked::BuildEnded(question, _) => &mut question.node,
        };
        node.name.take_if(|_| !needs.node_name);
        let requested = match &mut self.0 {
            Asked::Filter(question) => &mut question.requested,
            Asked::BuildStarted(question) | Asked::BuildEnded(question, _) => &mut question.requested,
            Asked::Names(_) | Asked::Matches(_) => return self,
        };
        let granted = grants.is_none_or(|grants| grants.contains(&Grant::Values));
        for (name, value) in requested {
            value.take_if(|_| !(granted && needs.parameter_values.include(name)));
        }
        self
    }

    pub(super) fn ask(&self, instance: &mut Instance) -> Result<Verdict, CallError> {
        let spoken = self.put(instance)?;
        Ok(self.written(&spoken))
    }

    pub(super) fn put(&self, instance: &mut Instance) -> Result<Spoken, CallError> {
        Ok(Spoken(match &self.0 {
            Asked::Names(question) => Answered::Names(instance.names(question)?),
            Asked::Matches(question) => Answered::Matches(instance.matches(question)?),
            Asked::Filter(question) => Answered::Filter(instance.filter(question)?),
            Asked::BuildStarted(question) => Answered::BuildStarted(instance.build_started(question)?),
            Asked::BuildEnded(question, ending) => Answered::BuildEnded(instance.build_ended(question, *ending)?),
        }))
    }

    /// Writes down what was answered to this question.
    fn written(&self, spoken: &Spoken) -> Verdict {
        let needs = |grant: Grant, is_needed: bool| is_needed.then_some(grant).into_iter().collect();
        match &spoken.0 {
            Answered::Names(told) => explained(told, names(&told.answer)),
            Answered::Matches(told) => {
                let widens = matches!(&self.0, Asked::Matches(question) if widens(question, told));
                Verdict { needs_grants: needs(Grant::Widen, widens), ..explained(told, matching(&told.answer)) }
            }
            Answered::Filter(told) => {
                let sets = matches!(&told.answer, ParametersAnswer::Rules { named, .. }
                    if named.iter().any(|(_, decision)| matches!(decision, Decision::Set(_))));
                Verdict { needs_grants: needs(Grant::Rewrite, sets), ..explained(told, parameters(&told.answer)) }
            }
            Answered::BuildStarted(told) => {
                let vetoes = told.answer == StartAnswer::Share && self.client_asks_offline();
                Verdict { needs_grants: needs(Grant::Veto, vetoes), ..explained(told, started(told.answer)) }
            }
            Answered::BuildEnded(told) => {
                let vetoes = told.answer == EndAnswer::Online && self.client_asks_offline();
                Verdict { needs_grants: needs(Grant::Veto, vetoes), ..explained(told, ended(&told.answer)) }
            }
        }
    }

    fn client_asks_offline(&self) -> bool {
        matches!(&self.0, Asked::BuildStarted(question) | Asked::BuildEnded(question, _) if question.client_asks_offline)
    }
}

/// An answer in the words of the contract.
pub(super) trait Written {
    fn written(&self) -> Map<String, Value>;
}

impl Written for Explained<NamingAnswer> {
    fn written(&self) -> Map<String, Value> {
        explained(self, names(&self.answer)).fields
    }
}

impl Written for Explained<MatchingAnswer> {
    fn written(&self) -> Map<String, Value> {
        explained(self, matching(&self.answer)).fields
    }
}

impl Written for Explained<ParametersAnswer> {
    fn written(&self) -> Map<String, Value> {
        explained(self, parameters(&self.answer)).fields
    }
}

impl Written for Explained<StartAnswer> {
    fn written(&self) -> Map<String, Value> {
        explained(self, started(self.answer)).fields
    }
}

impl Written for Explained<EndAnswer> {
    fn written(&self) -> Map<String, Value> {
        explained(self, ended(&self.answer)).fields
    }
}

fn json<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).expect("questions have text keys only")
}

fn parse<T: DeserializeOwned>(call: Call, value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| format!("this does not fit {call} in wit/policy.wit: {error}"))
}

/// Fills in what a person need not write.
fn complete(call: Call, question: &mut Map<String, Value>) -> Result<(), String> {
    fn or_insert(fields: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
        fields.entry(name).or_insert_with(|| value.into());
    }
    or_insert(question, "controller", "main");
    or_insert(question, "node", json!({}));
    if let Some(Value::Object(node)) = question.get_mut("node") {
        or_insert(node, "built-in", false);
        or_insert(node, "exclusive", false);
        or_insert(node, "labels", json!([]));
    }
    if call == Call::Matches {
        or_insert(question, "kind", "freestyle");
        let kind = question["kind"].clone();
        if let Some(Value::Object(project)) = question.get_mut("project")
            && project.insert("kind".to_owned(), kind).is_some()
        {
            return Err("the kind stands beside the project in questions to matching.matches, not in it".to_owned());
        }
        complete_match(question)?;
    }
    if let Some(Value::Object(project)) = question.get_mut("project") {
        if let Some(full_name) = project.get("full-name").and_then(Value::as_str) {
            let short_name = full_name.rsplit('/').next().unwrap_or_default().to_owned();
            or_insert(project, "short-name", short_name);
        }
        or_insert(project, "kind", "freestyle");
    }
    let short_name = question.get("project").and_then(|project| project["short-name"].as_str()).unwrap_or_default();
    match call {
        Call::Names => {
            or_insert(question, "short-name-unique", true);
            or_insert(question, "matched-labels", json!([]));
        }
        Call::Matches => {}
        Call::Filter | Call::BuildStarted | Call::BuildEnded => {
            let label = question.get("label").and_then(Value::as_str).map(|label| format!(":{label}"));
            let function = format!("build:{short_name}{}", label.unwrap_or_default());
            or_insert(question, "function", function);
            or_insert(question, "requested", json!([]));
            if call == Call::Filter {
                or_insert(question, "declared", json!([]));
            } else {
                or_insert(question, "client-asks-offline", false);
            }
        }
    }
    match question.get("project").and_then(|project| project["kind"].as_str()) {
        Some("unknown") => Err("a project of unknown kind is never asked about".to_owned()),
        _ => Ok(()),
    }
}

/// The atoms and the classic answer follow from the expression and the labels.
fn complete_match(question: &mut Map<String, Value>) -> Result<(), String> {
    let node = &question["node"];
    let exclusive = node["exclusive"] == true;
    let labels: BTreeSet<String> =
        node["labels"].as_array().into_iter().flatten().filter_map(|label| Some(label.as_str()?.to_owned())).collect();
    let (atoms, classic) = match question.get("expression").and_then(Value::as_str) {
        Some(text) => {
            let expression = Expression::lookup(text);
            let atoms: Vec<Value> = expression.atoms().into_iter().map(Value::from).collect();
            (atoms, expression.evaluate(|atom| labels.contains(atom)))
        }
        None => (Vec::new(), !exclusive),
    };
    question.entry("atoms").or_insert_with(|| atoms.into());
    question.entry("classic").or_insert_with(|| classic.into());
    Ok(())
}

/// Returns whether it makes a match of what Jenkins says is none.
fn widens(question: &MatchingQuestion, told: &Explained<MatchingAnswer>) -> bool {
    let voice = Voice { name: "".into(), policy: "".into(), grants: BTreeSet::new(), single_use: false };
    let heard = Heard { voice: &voice, answer: std::sync::Arc::new(Ok(told.clone())) };
    let expression = question.expression.as_deref().map(Expression::lookup);
    let own = question.atoms.iter().filter(|atom| question.node.labels.contains(atom)).cloned().collect();
    let matched = chain::matching(question.classic, expression.as_ref(), own, &[heard]);
    matched.is_ok_and(|matched| matched.clamped.is_some())
}

fn explained<A>(told: &Explained<A>, mut fields: Map<String, Value>) -> Verdict {
    fields.insert("reason".to_owned(), Value::from(&*told.reason));
    fields.insert("trace".to_owned(), Value::from(told.trace.to_vec()));
    Verdict { fields, needs_grants: BTreeSet::new() }
}

fn names(answer: &NamingAnswer) -> Map<String, Value> {
    let name = |name: &BuildFunction| match &name.label {
        Some(label) => json!({ "project": name.project, "label": label }),
        None => json!({ "project": name.project }),
    };
    let list = |names: &[BuildFunction]| Value::Array(names.iter().map(name).collect());
    let names = answer.names.as_deref().map_or("none".into(), list);
    Map::from_iter([("names".to_owned(), names), ("aliases".to_owned(), list(&answer.aliases))])
}

fn answer(answer: impl Into<Value>) -> Map<String, Value> {
    Map::from_iter([("answer".to_owned(), answer.into())])
}

fn matching(given: &MatchingAnswer) -> Map<String, Value> {
    answer(match given {
        MatchingAnswer::Abstain => json!("abstain"),
        MatchingAnswer::Veto => json!("veto"),
        MatchingAnswer::Satisfies(atoms) => json!({ "satisfies": atoms }),
    })
}

fn parameters(given: &ParametersAnswer) -> Map<String, Value> {
    let decision = |decision: &Decision| match decision {
        Decision::Allow => json!("allow"),
        Decision::Drop => json!("drop"),
        Decision::Set(value) => json!({ "set": value }),
    };
    answer(match given {
        ParametersAnswer::Abstain => json!("abstain"),
        ParametersAnswer::Reject => json!("reject"),
        ParametersAnswer::Rules { named, closed } => {
            let rule = |(name, given): &(String, Decision)| json!({ "name": name, "decision": decision(given) });
            let named: Vec<Value> = named.iter().map(rule).collect();
            json!({ "rules": { "named": named, "rest": if *closed { "closed" } else { "open" } } })
        }
    })
}

fn started(given: StartAnswer) -> Map<String, Value> {
    answer(match given {
        StartAnswer::Abstain => "abstain",
        StartAnswer::Share => "share",
        StartAnswer::Reserve => "reserve",
    })
}

fn ended(given: &EndAnswer) -> Map<String, Value> {
    answer(match given {
        EndAnswer::Abstain => json!("abstain"),
        EndAnswer::Online => json!("online"),
        EndAnswer::Offline(message) => json!({ "offline": message }),
        EndAnswer::Held(message) => json!({ "held": message }),
    })
}

/// What a client sent: `{ "name": …, "value": … }`, without a value where it is not shown.
pub(super) mod requested {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Requested {
        name: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        value: Option<String>,
    }

    pub(in super::super) fn serialize<S: Serializer>(
        parameters: &[(String, Option<String>)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let requested =
            |(name, value): &(String, Option<String>)| Requested { name: name.clone(), value: value.clone() };
        serializer.collect_seq(parameters.iter().map(requested))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<(String, Option<String>)>, D::Error> {
        let requested = Vec::<Requested>::deserialize(deserializer)?;
        Ok(requested.into_iter().map(|parameter| (parameter.name, parameter.value)).collect())
    }
}

/// A build's result in the contract's words; `unknown` is none.
pub(super) mod result {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    use crate::domain::BuildResult;

    const UNKNOWN: &str = "unknown";

    fn word(result: BuildResult) -> String {
        result.as_str().to_ascii_lowercase().replace('_', "-")
    }

    pub(in super::super) fn serialize<S: Serializer>(
        result: &Option<BuildResult>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&result.map_or(UNKNOWN.to_owned(), word))
    }

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<BuildResult>, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == UNKNOWN {
            return Ok(None);
        }
        let known = BuildResult::from_word(&text.to_ascii_uppercase().replace('-', "_"));
        known.filter(|result| word(*result) == text).map(Some).ok_or_else(|| {
            D::Error::custom(format!(
                "{text:?} is no result; there are success, unstable, failure, not-built, aborted, unknown"
            ))
        })
    }
}
