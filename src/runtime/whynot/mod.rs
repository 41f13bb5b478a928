//! Why a function is not offered, and the smallest change of one label, parameter, node or policy that would have it
//! offered. PURE but for the policies that are asked.
//!
//! ```text
//! name -> projects that could be meant -> at each node: obstacles -> edits that take the obstacles away there
//!                                                                     -> the whole table again, with the edit
//! ```

mod edit;
mod obstacle;
mod search;

use serde::{Deserialize, Serialize};

use super::fleet::Fleet;
use super::table_diff::{Nodes, Place};
use crate::domain::{BuildFunction, ControllerName, Function, FunctionName, NodeName, ProjectName};
use crate::policy::Lineup;

/// What is asked: a function such as `build:lint:gpu`, or a project; anywhere, or at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    name: Wanted,
    controller: Option<ControllerName>,
    node: Option<NodeName>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Wanted {
    Function {
        name: FunctionName,
        parts: BuildFunction,
    },
    /// By any of its names.
    Project(String),
}

/// Why something is not offered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyNot {
    /// Where it is offered, of the places that were asked about.
    pub offered: Nodes,
    /// The projects that could be meant.
    pub projects: Vec<ProjectName>,
    /// Why it is not offered elsewhere, what is nearest to an offer first.
    pub reasons: Vec<Reason>,
    /// Single changes that would have it offered at a place where it is not, the smallest first.
    pub changes: Vec<Change>,
    /// There was more to try than was tried.
    pub is_cut: bool,
}

/// Why some nodes do not offer it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// The stage that says no first, such as `labels` or `veto`.
    pub stage: String,
    /// What else would say no is behind it.
    pub texts: Vec<String>,
    pub project: Option<ProjectName>,
    pub nodes: Nodes,
}

/// One change that was tried, on the whole table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// What to do.
    pub text: String,
    /// Where it is offered then, and was not.
    pub nodes: Nodes,
    /// What else it would bring: functions of nodes.
    pub also_added: usize,
    pub also_withdrawn: usize,
}

/// What cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error(
        "{0} is no function for builds: those are offered wherever their controller answers, see `layshaft status`"
    )]
    NoBuild(String),
    #[error("{0}")]
    Name(String),
    #[error("no controller is called {name}: there are {}", known.join(", "))]
    Controller { name: ControllerName, known: Vec<String> },
    #[error("no node is called {0} there")]
    Node(NodeName),
}

impl Question {
    /// Reads what is asked. A name without `build:` is a project's, full or short.
    ///
    /// # Errors
    /// A name that no build can have.
    pub fn read(name: &str, controller: Option<&str>, node: Option<&str>) -> Result<Self, Error> {
        let wanted = if name.starts_with("build:") {
            let function = FunctionName::new(name).map_err(|error| Error::Name(error.to_string()))?;
            match function.function() {
                Some(Function::Build(parts)) => Wanted::Function { name: function, parts },
                _ => return Err(Error::NoBuild(name.to_owned())),
            }
        } else if FunctionName::new(name).is_ok_and(|function| function.function().is_some()) {
            return Err(Error::NoBuild(name.to_owned()));
        } else {
            Wanted::Project(name.to_owned())
        };
        let node = node.map(|node| NodeName::from(node.to_owned()));
        Ok(Self { name: wanted, controller: controller.map(ControllerName::new), node })
    }

    fn covers(&self, place: &Place) -> bool {
        self.controller.as_ref().is_none_or(|controller| *controller == place.controller)
            && self.node.as_ref().is_none_or(|node| *node == place.node)
    }
}

/// Looks for what keeps a name from being offered under these policies, and for what would change that.
///
/// # Errors
/// A controller or node that nobody knows.
pub fn why_not(fleet: &Fleet, policies: &Lineup, question: &Question) -> Result<WhyNot, Error> {
    search::Search::new(fleet, policies, question)?.run()
}

#[cfg(test)]
mod tests;
