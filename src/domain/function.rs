use std::fmt;

use serde::{Deserialize, Serialize};

const BUILD: &str = "build:";
const STOP: &str = "stop:";
const SET_DESCRIPTION: &str = "set_description:";

/// The longest function name that every server takes (libgearman's limit, its NUL included, is 512).
const LONGEST: usize = 511;

/// A function name that may go on the wire: not empty, without control characters, short enough for every server.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FunctionName(String);

/// What a function is for, read from its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Function {
    Build(BuildFunction),
    Stop { host: String },
    SetDescription { host: String },
}

/// `build:PROJECT` or `build:PROJECT:LABEL`, taken apart.
///
/// A project part with a colon cannot be told from a label by its text; the function table keeps the parts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BuildFunction {
    pub project: String,
    pub label: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} cannot be a function name: {reason}")]
pub struct InvalidFunctionName {
    name: String,
    reason: &'static str,
}

impl FunctionName {
    /// Reads a function name as it came or shall go.
    pub fn new(name: impl Into<String>) -> Result<Self, InvalidFunctionName> {
        let name = name.into();
        let reason = if name.is_empty() {
            "it is empty"
        } else if name.len() > LONGEST {
            "it is longer than 511 bytes"
        } else if name.chars().any(char::is_control) {
            "it has a control character"
        } else {
            return Ok(Self(name));
        };
        Err(InvalidFunctionName { name, reason })
    }

    pub fn stop(host: &str) -> Result<Self, InvalidFunctionName> {
        Self::new(format!("{STOP}{host}"))
    }

    pub fn set_description(host: &str) -> Result<Self, InvalidFunctionName> {
        Self::new(format!("{SET_DESCRIPTION}{host}"))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns what the function is for, if it is one of ours.
    pub fn function(&self) -> Option<Function> {
        if let Some(rest) = self.0.strip_prefix(BUILD) {
            let (project, label) = match rest.split_once(':') {
                Some((project, label)) => (project, Some(label.to_owned())),
                None => (rest, None),
            };
            return Some(Function::Build(BuildFunction { project: project.to_owned(), label }));
        }
        if let Some(host) = self.0.strip_prefix(STOP) {
            return Some(Function::Stop { host: host.to_owned() });
        }
        let host = self.0.strip_prefix(SET_DESCRIPTION)?;
        Some(Function::SetDescription { host: host.to_owned() })
    }
}

impl BuildFunction {
    pub fn new(project: impl Into<String>, label: Option<&str>) -> Self {
        Self { project: project.into(), label: label.map(str::to_owned) }
    }

    /// Returns the name under which it is offered.
    pub fn name(&self) -> Result<FunctionName, InvalidFunctionName> {
        FunctionName::new(self.to_string())
    }
}

/// As it would go on the wire, legal or not.
impl fmt::Display for BuildFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.label {
            None => write!(f, "{BUILD}{}", self.project),
            Some(label) => write!(f, "{BUILD}{}:{label}", self.project),
        }
    }
}

impl fmt::Display for FunctionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for FunctionName {
    type Error = InvalidFunctionName;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::new(name)
    }
}

impl From<FunctionName> for String {
    fn from(name: FunctionName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_no_server_takes_are_refused() {
        for name in ["", "build:a\0b", "build:a\nb", &"x".repeat(512)] {
            assert!(FunctionName::new(name).is_err(), "{name:?}");
        }
        assert!(FunctionName::new("x".repeat(511)).is_ok());
    }

    #[test]
    fn a_build_function_reads_back_as_it_was_written() {
        for function in [BuildFunction::new("lint", None), BuildFunction::new("lint", Some("a:b"))] {
            let name = function.name().unwrap();
            assert_eq!(name.function(), Some(Function::Build(function)));
        }
    }
}
