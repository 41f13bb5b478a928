//! A fleet as the function table sees it, to be written down and looked at elsewhere: names and labels, no values, no
//! addresses, no credentials.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::config::Config;
use super::rules::PolicyRules;
use super::site::View;
use super::snapshot::{Controller, Snapshot};
use super::table::{FunctionTable, Note, table};
use super::table_diff::{TableDiff, diff};
use crate::domain::{ControllerName, FunctionName, Mode, Node, NodeName, Project, ProjectName};
use crate::policy::{self, Digest, Generation, Limits, Policies, PublicKey, SlotGuard, SlotState};

/// The form of what is written; another one is not read.
const FORM: u32 = 1;

/// Every controller at one moment, and what else decides about what it offers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fleet {
    #[serde(rename = "layshaft_fleet")]
    form: u32,
    /// Of the policies that were in force.
    #[serde(default)]
    pub generation: u64,
    pub controllers: BTreeMap<ControllerName, FleetController>,
    /// What contested names mean: who has one keeps it.
    #[serde(default)]
    pub incumbents: BTreeMap<FunctionName, ProjectName>,
    /// Parameters that pin a build to a node.
    #[serde(default)]
    pub pin_parameters: Vec<String>,
    /// None if nobody knows which policies are in force there.
    #[serde(default)]
    pub policies: Option<FleetPolicies>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetController {
    #[serde(default)]
    pub tags: BTreeSet<String>,
    /// Offers builds; otherwise it is only managed.
    pub serve: bool,
    pub reachable: bool,
    pub nodes: Vec<FleetNode>,
    pub projects: Vec<Project>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetNode {
    pub name: NodeName,
    pub online: bool,
    pub mode: Mode,
    /// Its own among them.
    pub labels: BTreeSet<String>,
}

/// What a daemon's configuration says about policies, as far as it decides about the function table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetPolicies {
    pub folder: PathBuf,
    #[serde(default)]
    pub state: Option<PathBuf>,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub keys: BTreeMap<String, PublicKey>,
    #[serde(default)]
    pub signed: Option<bool>,
    #[serde(default)]
    pub slots: BTreeMap<String, SlotGuard>,
    #[serde(default)]
    pub secret_parameters: Vec<String>,
    /// What was in force.
    #[serde(default)]
    pub in_force: BTreeMap<String, Digest>,
}

/// What a fleet offers under some policies.
#[derive(Debug)]
pub struct Offered(pub(super) FunctionTable);

impl Offered {
    /// Returns what becomes of it.
    pub fn diff(&self, after: &Self) -> TableDiff {
        diff(&self.0, &after.0)
    }
}

impl Fleet {
    pub fn new(controllers: BTreeMap<ControllerName, FleetController>) -> Self {
        Self {
            form: FORM,
            generation: 0,
            controllers,
            incumbents: BTreeMap::new(),
            pin_parameters: Config::default().pin_parameters,
            policies: None,
        }
    }

    /// Reads a fleet that was written down.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn read(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Form {
            layshaft_fleet: u32,
        }
        let Form { layshaft_fleet: form } =
            serde_json::from_str(text).map_err(|error| format!("it is no fleet: {error}"))?;
        if form != FORM {
            return Err(format!("it has the form {form}, and this program reads {FORM}: export it anew"));
        }
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    pub(super) fn of(view: &View, config: &Config, policies: &Policies) -> Self {
        let controller = |(name, controller): (&ControllerName, &Controller)| {
            let nodes = controller.nodes.iter().map(|node| FleetNode {
                name: node.name.clone(),
                online: node.is_online(),
                mode: node.mode,
                labels: node.labels.clone(),
            });
            let written = FleetController {
                tags: controller.tags.clone(),
                serve: controller.serve,
                reachable: controller.reachable,
                nodes: nodes.collect(),
                projects: controller.projects.to_vec(),
            };
            (name.clone(), written)
        };
        let contested = |note: &Note| match note {
            Note::Clash { function, kept, .. } => Some((function.clone(), kept.clone())),
            _ => None,
        };
        Self {
            generation: policies.live().number(),
            incumbents: view.table.notes.iter().filter_map(contested).collect(),
            pin_parameters: config.pin_parameters.clone(),
            policies: Some(FleetPolicies::of(policies)),
            ..Self::new(view.snapshot.controllers.iter().map(controller).collect())
        }
    }

    /// Works out what the fleet offers. `previous` has what stays where policies cannot decide, and whose the names are.
    pub fn offered(&self, generation: &Generation, previous: Option<&Offered>) -> Offered {
        let snapshot = self.snapshot();
        self.offered_by(&snapshot, generation, previous)
    }

    /// The same, of another snapshot.
    pub(super) fn offered_by(
        &self,
        snapshot: &Snapshot,
        generation: &Generation,
        previous: Option<&Offered>,
    ) -> Offered {
        let config = self.config();
        let incumbents;
        let previous = match previous {
            Some(Offered(table)) => table,
            None => {
                incumbents = FunctionTable::owned_by(self.incumbents.clone());
                &incumbents
            }
        };
        Offered(table(snapshot, &mut PolicyRules::new(generation, snapshot, &config), previous))
    }

    pub(super) fn config(&self) -> Config {
        Config { pin_parameters: self.pin_parameters.clone(), ..Config::default() }
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let controller = |(name, written): (&ControllerName, &FleetController)| {
            let nodes = written.nodes.iter().map(|node| Node {
                offline: !node.online,
                mode: node.mode,
                labels: node.labels.clone(),
                ..Node::new(node.name.clone())
            });
            let controller = Controller {
                tags: written.tags.clone(),
                nodes: Arc::new(nodes.collect()),
                nodes_asked_at: Instant::now(),
                projects: Arc::new(written.projects.clone()),
                quieting_down: false,
                reachable: written.reachable,
                fresh: true,
                serve: written.serve,
            };
            (name.clone(), controller)
        };
        Snapshot::new(self.controllers.iter().map(controller).collect())
    }
}

impl FleetPolicies {
    fn of(policies: &Policies) -> Self {
        let policy::Config { folder, state, limits, keys, signed, slots, secret_parameters, .. } =
            policies.config().clone();
        // Whoever reads it is elsewhere.
        let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
        let statuses = policies.list().into_iter().filter(|status| status.state != SlotState::Disabled);
        Self {
            folder: absolute(folder),
            state: state.map(absolute),
            limits,
            keys,
            signed,
            slots,
            secret_parameters,
            in_force: statuses.filter_map(|status| Some((status.name, status.digest?))).collect(),
        }
    }

    /// Returns what a configuration would say.
    pub fn config(&self) -> policy::Config {
        policy::Config {
            state: self.state.clone(),
            limits: self.limits.clone(),
            keys: self.keys.clone(),
            signed: self.signed,
            slots: self.slots.clone(),
            secret_parameters: self.secret_parameters.clone(),
            ..policy::Config::new(&self.folder)
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::policy::Lineup;

    /// One controller, `ci`.
    pub(in super::super) fn fleet(nodes: &[(&str, &[&str])], projects: Vec<Project>) -> Fleet {
        let node = |(name, labels): &(&str, &[&str])| FleetNode {
            name: NodeName::agent(*name),
            online: true,
            mode: Mode::Normal,
            labels: labels.iter().chain([name]).map(|label| (*label).to_owned()).collect(),
        };
        let controller = FleetController {
            tags: BTreeSet::new(),
            serve: true,
            reachable: true,
            nodes: nodes.iter().map(node).collect(),
            projects,
        };
        Fleet::new([(ControllerName::new("ci"), controller)].into())
    }

    pub(in super::super) fn project(name: &str, label: Option<&str>) -> Project {
        Project { label: label.map(str::to_owned), ..Project::sample(name) }
    }

    pub(in super::super) fn classic() -> Lineup {
        Lineup::classic(&policy::Config::new("")).unwrap()
    }

    #[test]
    fn a_fleet_reads_back_as_it_was_written_and_gives_the_same_table() {
        let mut fleet = fleet(&[("a", &["linux"])], vec![project("x/lint", Some("linux")), project("y/lint", None)]);
        fleet.incumbents.insert(FunctionName::new("build:lint").unwrap(), ProjectName::new("x/lint"));
        let text = serde_json::to_string(&fleet).unwrap();
        let read = Fleet::read(&text).unwrap();
        assert_eq!(read, fleet);
        let generation = classic().generation();
        let (one, other) = (fleet.offered(&generation, None), read.offered(&generation, None));
        assert!(one.diff(&other).is_same());
        let (row_controller, row_node) = (ControllerName::new("ci"), NodeName::agent("a"));
        let row = one.0.row(&row_controller, &row_node).unwrap();
        let lint = &row[&FunctionName::new("build:lint").unwrap()];
        assert_eq!(lint.project.full(), "x/lint", "the incumbent, though the other one is walked last");
    }

    #[test]
    fn what_is_no_fleet_or_one_of_another_time_is_refused_with_what_to_do() {
        assert!(Fleet::read("{}").unwrap_err().contains("it is no fleet"));
        assert!(Fleet::read(r#"{"layshaft_fleet": 2}"#).unwrap_err().contains("export it anew"));
        assert!(Fleet::read(r#"{"layshaft_fleet": 1}"#).unwrap_err().contains("controllers"));
    }
}
