//! The contract's types, with what makes them short to write: verdicts by their answer, and questions to test with.

use alloc::{string::String, vec::Vec};

pub use crate::bindings::meta::exports::layshaft::policy::meta::{Description, Needs, ParameterValues};

/// Questions and answers about names.
pub mod naming {
    pub use crate::bindings::naming::exports::layshaft::policy::naming::*;
}

/// Questions and answers about labels.
pub mod matching {
    pub use crate::bindings::matching::exports::layshaft::policy::matching::*;
}

/// Questions and answers about parameters.
pub mod parameters {
    pub use crate::bindings::parameters::exports::layshaft::policy::parameters::*;
}

/// Questions and answers about nodes after a build.
pub mod offline {
    pub use crate::bindings::offline::exports::layshaft::policy::offline::*;
}

/// Asks to see nothing beyond the question.
impl Default for Needs {
    fn default() -> Self {
        Self { project: false, node_name: false, labels: Vec::new(), parameter_values: ParameterValues::None }
    }
}

impl naming::Verdict {
    pub fn abstain(reason: impl Into<String>) -> Self {
        Self { names: None, aliases: Vec::new(), reason: reason.into(), trace: Vec::new() }
    }

    pub fn names(names: Vec<naming::Name>, reason: impl Into<String>) -> Self {
        Self { names: Some(names), ..Self::abstain(reason) }
    }
}

impl matching::Verdict {
    pub fn abstain(reason: impl Into<String>) -> Self {
        Self { answer: matching::Answer::Abstain, reason: reason.into(), trace: Vec::new() }
    }

    pub fn veto(reason: impl Into<String>) -> Self {
        Self { answer: matching::Answer::Veto, ..Self::abstain(reason) }
    }

    pub fn satisfies(atoms: Vec<String>, reason: impl Into<String>) -> Self {
        Self { answer: matching::Answer::Satisfies(atoms), ..Self::abstain(reason) }
    }
}

impl parameters::Verdict {
    pub fn abstain(reason: impl Into<String>) -> Self {
        Self { answer: parameters::Answer::Abstain, reason: reason.into(), trace: Vec::new() }
    }

    pub fn reject(reason: impl Into<String>) -> Self {
        Self { answer: parameters::Answer::Reject, ..Self::abstain(reason) }
    }

    pub fn rules(named: Vec<parameters::Rule>, rest: parameters::Rest, reason: impl Into<String>) -> Self {
        Self { answer: parameters::Answer::Rules(parameters::Rules { named, rest }), ..Self::abstain(reason) }
    }
}

impl offline::StartVerdict {
    pub fn abstain(reason: impl Into<String>) -> Self {
        Self::new(offline::StartAnswer::Abstain, reason)
    }

    pub fn new(answer: offline::StartAnswer, reason: impl Into<String>) -> Self {
        Self { answer, reason: reason.into(), trace: Vec::new() }
    }
}

impl offline::EndVerdict {
    pub fn abstain(reason: impl Into<String>) -> Self {
        Self::new(offline::EndAnswer::Abstain, reason)
    }

    pub fn new(answer: offline::EndAnswer, reason: impl Into<String>) -> Self {
        Self { answer, reason: reason.into(), trace: Vec::new() }
    }
}

/// What is alike in all interfaces: questions to test with, about a freestyle project `lint` on a node without labels.
macro_rules! samples {
    ($($hook:ident),*) => {$(
        impl $hook::NodeClass {
            /// Returns whether the nodes have a label.
            pub fn has(&self, label: &str) -> bool {
                self.labels.iter().any(|has| has == label)
            }
        }

        impl Default for $hook::NodeClass {
            fn default() -> Self {
                Self { built_in: false, exclusive: false, name: None, labels: Vec::new() }
            }
        }
    )*};
}

samples!(naming, matching, parameters, offline);

macro_rules! sample_projects {
    ($($hook:ident),*) => {$(
        impl $hook::Project {
            /// Returns a freestyle project of that full name.
            pub fn named(full_name: &str) -> Self {
                let short_name = full_name.rsplit('/').next().unwrap_or_default();
                Self { full_name: full_name.into(), short_name: short_name.into(), kind: $hook::ProjectKind::Freestyle }
            }
        }
    )*};
}

sample_projects!(naming, parameters, offline);

impl Default for naming::Question {
    fn default() -> Self {
        Self {
            controller: "main".into(),
            project: naming::Project::named("lint"),
            short_name_unique: true,
            node: naming::NodeClass::default(),
            matched_labels: Vec::new(),
        }
    }
}

impl Default for matching::Question {
    fn default() -> Self {
        Self {
            controller: "main".into(),
            project: None,
            kind: matching::ProjectKind::Freestyle,
            expression: None,
            atoms: Vec::new(),
            node: matching::NodeClass::default(),
            classic: true,
        }
    }
}

impl Default for parameters::Question {
    fn default() -> Self {
        Self {
            controller: "main".into(),
            project: parameters::Project::named("lint"),
            function: "build:lint".into(),
            label: None,
            node: parameters::NodeClass::default(),
            declared: Vec::new(),
            requested: Vec::new(),
        }
    }
}

impl Default for offline::Request {
    fn default() -> Self {
        Self {
            controller: "main".into(),
            project: offline::Project::named("lint"),
            function: "build:lint".into(),
            label: None,
            node: offline::NodeClass::default(),
            requested: Vec::new(),
            client_asks_offline: false,
        }
    }
}
