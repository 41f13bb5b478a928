use std::fmt;

use serde::{Deserialize, Serialize};

/// A project's full name, with its folders: `team/app/build`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProjectName(String);

impl ProjectName {
    pub fn new(full_name: impl Into<String>) -> Self {
        Self(full_name.into())
    }

    pub fn full(&self) -> &str {
        &self.0
    }

    /// Returns the last part, without folders.
    pub fn short(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// Returns the parts in order: the folders, then the project.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What kind of project it is, as far as the rules differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProjectKind {
    Freestyle,
    Maven,
    Matrix,
    Pipeline,
    /// Some other kind that is built as a freestyle project is.
    Other,
    /// Nothing that can be built from here, whatever a plugin makes of it.
    Unknown,
}

impl ProjectKind {
    /// Returns whether a build holds no executor by itself, while the parts that it consists of do.
    pub fn runs_in_parts(self) -> bool {
        matches!(self, Self::Matrix | Self::Pipeline)
    }
}

/// A project as its controller last described it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Project {
    pub name: ProjectName,
    pub kind: ProjectKind,
    /// False if disabled, also through a folder.
    pub buildable: bool,
    /// Whether builds of it may run at the same time.
    pub concurrent: bool,
    /// The label expression as Jenkins exports it; none for pipelines and for projects that may roam.
    pub label: Option<String>,
    /// True while nobody knows whether it has a label: then it is offered nowhere.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub label_unknown: bool,
    /// None while it is not yet known whether it has parameters.
    pub parameters: Option<Vec<DeclaredParameter>>,
}

impl Project {
    /// Returns what tests begin with: a project that may be built anywhere, any number of times, and declares nothing.
    #[cfg(test)]
    pub(crate) fn sample(name: &str) -> Self {
        Self {
            name: ProjectName::new(name),
            kind: ProjectKind::Freestyle,
            buildable: true,
            concurrent: true,
            label: None,
            label_unknown: false,
            parameters: Some(Vec::new()),
        }
    }

    /// Returns the declared parameter of that name.
    pub fn parameter(&self, name: &str) -> Option<&DeclaredParameter> {
        self.parameters.iter().flatten().find(|parameter| parameter.name == name)
    }

    /// Returns the parameter that ties a build to its job: the first of `markers` that is declared.
    pub fn marker(&self, markers: &[String]) -> Option<&DeclaredParameter> {
        markers.iter().find_map(|name| self.parameter(name))
    }

    /// Returns the parameter through which builds are pinned to a node: one of the NodeLabel plugin, else one of `names`.
    pub fn pin(&self, names: &[String]) -> Option<&DeclaredParameter> {
        let declared = || self.parameters.iter().flatten();
        declared().find(|parameter| parameter.names_node()).or_else(|| declared().find(|p| names.contains(&p.name)))
    }
}

/// A parameter that a project declares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeclaredParameter {
    pub name: String,
    /// Jenkins' class name without its package, such as `StringParameterDefinition`.
    pub kind: String,
}

impl DeclaredParameter {
    /// Returns whether its values are secret.
    pub fn is_password(&self) -> bool {
        self.kind == "PasswordParameterDefinition"
    }

    /// Returns whether it is of the NodeLabel plugin, whose values say where a build runs.
    pub fn names_node(&self) -> bool {
        matches!(self.kind.as_str(), "NodeParameterDefinition" | "LabelParameterDefinition")
    }

    /// Returns whether any text can be its value, and shows in builds afterwards.
    pub fn takes_any_text(&self) -> bool {
        matches!(self.kind.as_str(), "StringParameterDefinition" | "TextParameterDefinition")
    }
}
