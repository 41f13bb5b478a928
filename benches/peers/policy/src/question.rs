//! The question as Rust values, and what every engine has to answer.

use serde::{Deserialize, Serialize};

/// A question to `parameters.filter`, as `layshaft policy run` takes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Question {
    pub(crate) controller: String,
    pub(crate) project: Project,
    pub(crate) function: String,
    pub(crate) label: String,
    pub(crate) node: Node,
    pub(crate) declared: Vec<Declared>,
    pub(crate) requested: Vec<Requested>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Project {
    pub(crate) full_name: String,
    pub(crate) short_name: String,
    pub(crate) kind: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Node {
    pub(crate) built_in: bool,
    pub(crate) exclusive: bool,
    pub(crate) labels: Vec<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Declared {
    pub(crate) name: String,
    pub(crate) kind: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Requested {
    pub(crate) name: String,
    pub(crate) value: String,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    /// No build is started; the reason names the parameter.
    pub(crate) rejected: bool,
    /// The parameters that pass, as requested.
    pub(crate) allowed: Vec<String>,
    pub(crate) reason: String,
}

/// Returns the question that is measured.
pub(crate) fn committed() -> serde_json::Result<Question> {
    serde_json::from_str(include_str!("../../../policy/question.json"))
}

/// Returns it with variations that have other answers, to see that an engine knows the rule and not just one answer.
pub(crate) fn variations(question: &Question) -> Vec<Question> {
    let mut rejected = question.clone();
    rejected.requested.push(Requested { name: "LD_PRELOAD".into(), value: "/tmp/x.so".into() });
    let of = |folder: &str| {
        let mut other = question.clone();
        other.project.full_name = format!("{folder}/deploy-service");
        other
    };
    vec![question.clone(), rejected, of("team-a"), of("team-d/nightly"), of("team-e")]
}
