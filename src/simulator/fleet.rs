use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::{BuildResult, Mode, ProjectKind, human_duration};

/// What a simulated controller consists of when it starts. Every part has a default, so that a test writes only what
/// it is about.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fleet {
    /// How long a build waits in the queue before it may start, unless the trigger or the project says otherwise.
    #[serde(with = "human_duration")]
    pub quiet_period: Duration,
    pub built_in: BuiltInSpec,
    pub nodes: Vec<NodeSpec>,
    /// Folders are implied by the full names of projects; here are those that are empty, disabled or multibranch.
    pub folders: Vec<FolderSpec>,
    pub projects: Vec<ProjectSpec>,
    /// The NodeLabel Parameter plugin is not installed: scripts cannot use its classes.
    pub lacks_node_label_plugin: bool,
}

/// The controller's own node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BuiltInSpec {
    pub executors: u32,
    pub labels: Vec<String>,
    pub mode: Mode,
}

/// An agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeSpec {
    pub name: String,
    pub executors: u32,
    pub labels: Vec<String>,
    pub mode: Mode,
    pub description: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FolderSpec {
    pub full_name: String,
    pub disabled: bool,
    /// A multibranch project: a folder that is also buildable, which means "look for branches".
    pub multibranch: bool,
}

/// A project and how its builds behave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProjectSpec {
    pub full_name: String,
    pub kind: ProjectKind,
    /// The label expression; for a pipeline that of its `node` step, where `${NAME}` stands for a parameter's value.
    pub label: Option<String>,
    pub concurrent: bool,
    pub disabled: bool,
    pub description: String,
    pub parameters: Vec<ParameterSpec>,
    pub duration: Length,
    pub result: BuildResult,
    /// The project's own quiet period.
    #[serde(with = "optional_duration")]
    pub quiet_period: Option<Duration>,
    /// How long a finished build still holds its executor: no longer building, but in progress.
    #[serde(with = "human_duration")]
    pub post_production: Duration,
    /// The result shows while the build is still building, as after a failed step.
    pub early_result: bool,
    /// Builds ignore `stop` for good; pipelines still yield to `term` and `kill`.
    pub ignores_stop: bool,
    /// Builds survive so many times `stop`, as when each interrupt only ends one of the steps after the build.
    pub survives_stops: u32,
    /// Pipelines yield only to `kill`.
    pub ignores_term: bool,
    /// The queue item leaves, but its build is never created.
    pub never_created: bool,
    /// Lets a trigger with this token give a cause.
    pub trigger_token: Option<String>,
    /// A matrix project's axes and their values.
    pub axes: BTreeMap<String, Vec<String>>,
    /// A pipeline's `node` steps, one after the other; none stands for a single step with `label` and `duration`.
    pub steps: Option<Vec<StepSpec>>,
}

/// A `node(label) { … }` step of a pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StepSpec {
    pub label: Option<String>,
    pub duration: Length,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ParameterSpec {
    pub name: String,
    pub kind: ParameterKind,
    pub default: String,
    pub choices: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ParameterKind {
    #[default]
    String,
    Text,
    Boolean,
    Choice,
    Password,
    /// NodeLabel plugin: pins a build to a node.
    Node,
    /// NodeLabel plugin: gives a build another label expression.
    Label,
}

/// How long a build takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Length {
    Fixed(Duration),
    /// Until it is finished by hand.
    Manual,
}

impl ProjectSpec {
    pub fn new(full_name: impl Into<String>) -> Self {
        Self { full_name: full_name.into(), ..Self::default() }
    }

    pub(crate) fn steps(&self) -> Vec<StepSpec> {
        match &self.steps {
            Some(steps) => steps.clone(),
            None => vec![StepSpec { label: self.label.clone(), duration: self.duration }],
        }
    }
}

impl NodeSpec {
    pub fn new(name: impl Into<String>, executors: u32, labels: &[&str]) -> Self {
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        Self { name: name.into(), executors, labels, ..Self::default() }
    }
}

impl ParameterSpec {
    pub fn new(name: impl Into<String>, kind: ParameterKind, default: impl Into<String>) -> Self {
        Self { name: name.into(), kind, default: default.into(), choices: Vec::new() }
    }

    /// Returns the value of a build that was not given one.
    pub(crate) fn default_value(&self) -> String {
        match (self.kind, self.default.as_str(), self.choices.first()) {
            (ParameterKind::Choice, "", Some(first)) => first.clone(),
            (ParameterKind::Boolean, "", _) => "false".to_owned(),
            (_, default, _) => default.to_owned(),
        }
    }
}

impl ParameterKind {
    /// Returns Jenkins' name of the kind, without package and suffix.
    pub(crate) fn stem(self) -> &'static str {
        match self {
            Self::String => "String",
            Self::Text => "Text",
            Self::Boolean => "Boolean",
            Self::Choice => "Choice",
            Self::Password => "Password",
            Self::Node => "Node",
            Self::Label => "Label",
        }
    }

    pub(crate) fn from_stem(stem: &str) -> Option<Self> {
        [Self::String, Self::Text, Self::Boolean, Self::Choice, Self::Password, Self::Node, Self::Label]
            .into_iter()
            .find(|kind| kind.stem() == stem)
    }

    pub(crate) fn package(self) -> &'static str {
        match self {
            Self::Node | Self::Label => "org.jvnet.jenkins.plugins.nodelabelparameter",
            _ => "hudson.model",
        }
    }

    /// Returns the class of a value; a choice is stored as a string.
    pub(crate) fn value_class(self) -> String {
        let stem = if self == Self::Choice { "String" } else { self.stem() };
        format!("{}.{stem}ParameterValue", self.package())
    }

    pub(crate) fn definition_class(self) -> String {
        format!("{}.{}ParameterDefinition", self.package(), self.stem())
    }
}

impl Default for NodeSpec {
    fn default() -> Self {
        Self {
            name: String::new(),
            executors: 1,
            labels: Vec::new(),
            mode: Mode::default(),
            description: String::new(),
        }
    }
}

impl Default for ProjectSpec {
    fn default() -> Self {
        Self {
            full_name: String::new(),
            kind: ProjectKind::Freestyle,
            label: None,
            concurrent: false,
            disabled: false,
            description: String::new(),
            parameters: Vec::new(),
            duration: Length::default(),
            result: BuildResult::Success,
            quiet_period: None,
            post_production: Duration::ZERO,
            early_result: false,
            ignores_stop: false,
            survives_stops: 0,
            ignores_term: false,
            never_created: false,
            trigger_token: None,
            axes: BTreeMap::new(),
            steps: None,
        }
    }
}

impl Default for Length {
    fn default() -> Self {
        Self::Fixed(Duration::ZERO)
    }
}

impl TryFrom<String> for Length {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text == "manual" {
            return Ok(Self::Manual);
        }
        let duration = humantime::parse_duration(&text);
        duration
            .map(Self::Fixed)
            .map_err(|error| format!("{text:?} is neither \"manual\" nor a duration such as \"3s\": {error}"))
    }
}

impl From<Length> for String {
    fn from(length: Length) -> Self {
        match length {
            Length::Fixed(duration) => humantime::format_duration(duration).to_string(),
            Length::Manual => "manual".to_owned(),
        }
    }
}

mod optional_duration {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    use crate::domain::human_duration;

    #[derive(Deserialize)]
    struct Human(#[serde(with = "human_duration")] Duration);

    pub(super) fn serialize<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match duration {
            Some(duration) => human_duration::serialize(duration, serializer),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<Human>::deserialize(deserializer)?.map(|human| human.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_is_read_from_toml_with_defaults_for_the_rest() {
        let fleet: Fleet = toml::from_str(
            r#"
            quiet_period = "5s"
            [[nodes]]
            name = "agent-1"
            labels = ["linux"]
            [[projects]]
            full_name = "team/lint"
            kind = "pipeline"
            duration = "manual"
            parameters = [{ name = "NODE", kind = "node" }]
            "#,
        )
        .unwrap();
        assert_eq!(fleet.nodes[0].executors, 1);
        assert_eq!(fleet.projects[0].duration, Length::Manual);
        assert_eq!(fleet.projects[0].parameters[0].kind, ParameterKind::Node);
        assert_eq!(toml::from_str::<Fleet>(&toml::to_string(&fleet).unwrap()).unwrap(), fleet);
    }

    #[test]
    fn a_misspelt_key_is_refused() {
        assert!(toml::from_str::<Fleet>("quietperiod = \"5s\"").is_err());
    }
}
