//! What a policy has to answer, written down by its author: the file `cases.toml`, and how an answer is held against it.
//!
//! Names and forms are those of `wit/policy.wit`. What is expected has to be equal; what is not mentioned is not looked
//! at. A name with `-like` behind it expects a text that a glob matches.

use std::collections::{BTreeMap, BTreeSet};

use globset::GlobBuilder;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::binding;
use super::call::CallError;
use super::component::{Description, ParameterValues};
use super::config::Grant;
use super::workbench::{Told, Workbench};
use super::written::{Call, Question};

const LIKE: &str = "-like";
/// Where a call failed; of `meta.configure` the policy's own words.
const ERROR: &str = "error";

/// A file of cases.
#[derive(Clone, Debug)]
pub struct Cases {
    pub cases: Vec<Case>,
}

/// One question, and what is expected of the answer.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    /// JSON; none if the case brings none and the file has none.
    pub settings: Option<String>,
    /// What the site grants; everything, if the case does not say.
    pub grants: Option<BTreeSet<Grant>>,
    pub asks: Asks,
    expect: Map<String, Value>,
}

/// What a case is about.
#[derive(Clone, Debug, PartialEq)]
pub enum Asks {
    Describe,
    Configure,
    Question(Box<Question>),
}

/// How a case went.
#[derive(Clone, Debug)]
pub struct Checked {
    /// None if the call failed, or was none of a hook's.
    pub told: Option<Told>,
    /// None if it passed.
    pub differences: Vec<Difference>,
}

/// What was expected and what came instead.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    pub field: String,
    pub expected: Value,
    pub actual: Value,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileText {
    settings: Option<Value>,
    case: Vec<CaseText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseText {
    name: String,
    hook: String,
    settings: Option<Value>,
    grants: Option<BTreeSet<Grant>>,
    question: Option<Value>,
    outcome: Option<Value>,
    #[serde(default)]
    expect: Map<String, Value>,
}

impl Cases {
    /// Reads TOML, or JSON of the same form.
    ///
    /// # Errors
    /// A sentence that names the case.
    pub fn read(text: &str) -> Result<Self, String> {
        let value = if text.trim_ascii_start().starts_with('{') {
            serde_json::from_str(text).map_err(|error| format!("this is not JSON: {error}"))?
        } else {
            let table =
                toml::from_str(text).map_err(|error: toml::de::Error| error.to_string().trim_end().to_owned())?;
            binding::json(toml::Value::Table(table))?
        };
        let file: FileText = serde_json::from_value(value).map_err(|error| error.to_string())?;
        if file.case.is_empty() {
            return Err("there is no [[case]] in it".to_owned());
        }
        let settings = file.settings.map(settings_text).transpose()?;
        let cases: Vec<Case> =
            file.case.into_iter().map(|case| Case::read(case, settings.as_ref())).collect::<Result<_, _>>()?;
        let mut names = BTreeSet::new();
        match cases.iter().find(|case| !names.insert(&case.name)) {
            Some(twice) => Err(format!("two cases are called {:?}", twice.name)),
            None => Ok(Self { cases }),
        }
    }
}

impl Case {
    fn read(text: CaseText, settings: Option<&String>) -> Result<Self, String> {
        let name = text.name.clone();
        let case = Self::understand(text, settings).map_err(|error| format!("case {name:?}: {error}"))?;
        Ok(case)
    }

    fn understand(text: CaseText, settings: Option<&String>) -> Result<Self, String> {
        let CaseText { name, hook, settings: own, grants, question, outcome, expect } = text;
        if name.trim().is_empty() {
            return Err("its name is empty".to_owned());
        }
        let asks = match hook.as_str() {
            "meta.describe" | "meta.configure" => {
                if question.is_some() || outcome.is_some() || grants.is_some() {
                    return Err(format!("{hook} takes no question, outcome or grants"));
                }
                if hook == "meta.describe" { Asks::Describe } else { Asks::Configure }
            }
            _ => {
                let known: Vec<&str> = Call::ALL.iter().map(|call| call.as_str()).collect();
                let call = Call::named(&hook).ok_or_else(|| {
                    format!("no hook is called {hook:?}; there are meta.describe, meta.configure, {}", known.join(", "))
                })?;
                let question = question.ok_or("it has no question")?;
                Asks::Question(Box::new(Question::read(call, question, outcome)?))
            }
        };
        if expect.is_empty() && asks != Asks::Configure {
            return Err("it expects nothing, and could not fail: write expect.reason or another field".to_owned());
        }
        for (field, pattern) in expect.iter().filter(|(field, _)| field.ends_with(LIKE)) {
            let pattern = pattern.as_str().ok_or_else(|| format!("expect.{field} is a pattern, in quotes"))?;
            GlobBuilder::new(pattern).build().map_err(|error| format!("expect.{field}: {error}"))?;
        }
        let settings = own.map(settings_text).transpose()?.or_else(|| settings.cloned());
        Ok(Self { name, settings, grants, asks, expect })
    }

    /// Asks the policy, and holds its answer against what is expected.
    pub fn check(&self, policy: &Workbench) -> Checked {
        let settings = self.settings.as_deref().unwrap_or("{}");
        let (told, actual) = match &self.asks {
            Asks::Describe => (None, described(&policy.inspect().description)),
            Asks::Configure => (None, policy.configure(settings).map_or_else(failed, |()| Map::new())),
            Asks::Question(question) => match policy.ask(settings, question, self.grants.as_ref()) {
                Ok(told) => (Some(told.clone()), told.verdict.fields),
                Err(error) => (None, failed(error)),
            },
        };
        let mut differences: Vec<Difference> =
            self.expect.iter().filter_map(|(field, expected)| difference(field, expected, &actual)).collect();
        let is_expected = |field: &str| self.expect.keys().any(|key| key.trim_end_matches(LIKE) == field);
        if let Some(error) = actual.get(ERROR).filter(|_| !is_expected(ERROR)) {
            differences = vec![Difference { field: ERROR.into(), expected: Value::Null, actual: error.clone() }];
        }
        if let (Some(grants), Some(told)) = (&self.grants, &told)
            && !told.verdict.needs_grants.is_subset(grants)
        {
            let list = |grants: &BTreeSet<Grant>| grants.iter().map(|grant| json!(grant)).collect();
            let (expected, actual) = (list(grants), list(&told.verdict.needs_grants));
            differences.push(Difference { field: "grants".into(), expected, actual });
        }
        Checked { told, differences }
    }
}

impl Checked {
    pub fn passed(&self) -> bool {
        self.differences.is_empty()
    }
}

fn settings_text(settings: Value) -> Result<String, String> {
    match settings {
        // In order, as in a sidecar: equal settings are equal text.
        Value::Object(fields) => Ok(json!(fields.into_iter().collect::<BTreeMap<_, _>>()).to_string()),
        other => Err(format!("settings are a table, not {other}")),
    }
}

fn failed(error: CallError) -> Map<String, Value> {
    let text = match error {
        CallError::Configure(text) => text,
        other => other.to_string(),
    };
    Map::from_iter([(ERROR.to_owned(), text.into())])
}

/// The record `description` of the contract.
fn described(description: &Description) -> Map<String, Value> {
    let Description { name, version, summary, needs } = description;
    let values = match &needs.parameter_values {
        ParameterValues::None => json!("none"),
        ParameterValues::Named(names) => json!({ "named": names }),
        ParameterValues::All => json!("all"),
    };
    let needs = json!({
        "project": needs.project,
        "node-name": needs.node_name,
        "labels": needs.labels,
        "parameter-values": values,
    });
    let fields = json!({ "name": name, "version": version, "summary": summary, "needs": needs });
    fields.as_object().cloned().unwrap_or_default()
}

fn difference(field: &str, expected: &Value, actual: &Map<String, Value>) -> Option<Difference> {
    let plain = field.strip_suffix(LIKE);
    let actual = actual.get(plain.unwrap_or(field)).cloned().unwrap_or(Value::Null);
    let equal = match (plain, expected.as_str(), actual.as_str()) {
        (None, ..) => *expected == actual,
        (Some(_), Some(pattern), Some(text)) => is_like(pattern, text),
        (Some(_), ..) => false,
    };
    (!equal).then(|| Difference { field: field.to_owned(), expected: expected.clone(), actual })
}

fn is_like(pattern: &str, text: &str) -> bool {
    let glob = GlobBuilder::new(pattern).literal_separator(false).build();
    glob.is_ok_and(|glob| glob.compile_matcher().is_match(text))
}

#[cfg(test)]
#[path = "cases_tests.rs"]
mod tests;
