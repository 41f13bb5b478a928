//! What was seen of a site. Values only.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{ControllerName, Node, Project, ProjectKind, ProjectName};
use crate::gearman::admin::{ServerKind, WorkerLine};
use crate::jenkins;
use crate::policy::Hook;

/// Everything that was seen.
#[derive(Clone, Debug)]
pub struct Facts {
    pub rules: Rules,
    /// What the configuration itself warns about.
    pub warnings: Vec<String>,
    pub policies: PolicyFolder,
    pub controllers: Vec<Controller>,
    pub servers: Vec<Server>,
    /// The daemon that runs here; none if none answers.
    pub daemon: Option<Daemon>,
    /// What clients send, by function.
    pub sent: Vec<Sent>,
}

/// What of the configuration findings depend on.
#[derive(Clone, Debug)]
pub struct Rules {
    pub markers: Vec<String>,
    pub pin_parameters: Vec<String>,
    /// 0: no limit.
    pub offline_max: u32,
}

/// The folder of policies.
#[derive(Clone, Debug)]
pub struct PolicyFolder {
    pub path: String,
    /// The error says why it cannot be read.
    pub policies: Result<Vec<Policy>, String>,
}

#[derive(Clone, Debug)]
pub struct Policy {
    pub file: String,
    /// Which questions it answers; the error says why it is refused.
    pub hooks: Result<BTreeSet<Hook>, String>,
}

/// A controller of the configuration.
#[derive(Clone, Debug)]
pub struct Controller {
    pub name: ControllerName,
    /// The suffix of its management functions.
    pub host: String,
    pub url: String,
    /// Offers builds.
    pub serve: bool,
    /// Somebody logs in.
    pub has_user: bool,
    pub seen: Result<Seen, jenkins::Error>,
}

/// What a controller told.
#[derive(Clone, Debug)]
pub struct Seen {
    pub instance: jenkins::Instance,
    /// By how many seconds its clock is ahead of ours, give or take two; none if it does not tell the time.
    pub ahead: Option<i64>,
    pub nodes: Vec<Node>,
    pub projects: Vec<Project>,
    /// Whether the user has Agent/Connect; none if no node is online to tell.
    pub may_connect: Option<bool>,
}

/// A Gearman server of the configuration.
#[derive(Clone, Debug)]
pub struct Server {
    pub address: String,
    /// What the configuration says that it is; none leaves it to be asked.
    pub expected: Option<ServerKind>,
    /// The error says why it was not seen.
    pub seen: Result<SeenServer, String>,
}

#[derive(Clone, Debug)]
pub struct SeenServer {
    pub kind: ServerKind,
    pub workers: Vec<WorkerLine>,
}

/// A daemon that runs: what is its own at the servers, and what it saw.
#[derive(Clone, Debug, Default)]
pub struct Daemon {
    /// The Gearman servers to which it is connected.
    pub servers: BTreeSet<String>,
    /// Each of its connections is listed once by each of them.
    pub client_ids: BTreeSet<String>,
    /// Parameters that clients sent and projects did not declare.
    pub undeclared: BTreeMap<(ControllerName, ProjectName), BTreeSet<String>>,
}

/// The parameters that clients send with a function: their names alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub function: String,
    pub parameters: BTreeSet<String>,
}

impl Facts {
    /// Returns the controllers that were seen.
    pub(super) fn seen(&self) -> impl Iterator<Item = (&Controller, &Seen)> {
        self.controllers.iter().filter_map(|controller| Some((controller, controller.seen.as_ref().ok()?)))
    }

    /// Returns the controllers that were seen and offer builds.
    pub(super) fn serving(&self) -> impl Iterator<Item = (&Controller, &Seen)> {
        self.seen().filter(|(controller, _)| controller.serve)
    }

    /// Returns every project that would be offered, with its controller.
    pub(super) fn offered(&self) -> impl Iterator<Item = (&Controller, &Seen, &Project)> {
        self.serving().flat_map(|(controller, seen)| {
            seen.projects.iter().filter(|project| is_offered(project)).map(move |project| (controller, seen, project))
        })
    }

    /// Returns whether some policy that would be in force answers a question.
    pub(super) fn is_asked_of_policies(&self, hook: Hook) -> bool {
        let policies = self.policies.policies.iter().flatten();
        policies.filter_map(|policy| policy.hooks.as_ref().ok()).any(|hooks| hooks.contains(&hook))
    }
}

fn is_offered(project: &Project) -> bool {
    project.buildable && project.kind != ProjectKind::Unknown
}
