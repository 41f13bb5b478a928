//! The latest picture of each controller: one writer (the reconciler, from what the pollers publish), many readers.
//!
//! Values only. Whether a controller counts as reachable is decided here; what follows from it is the table's and the
//! plan's business.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::time::Instant;

use crate::classic;
use crate::domain::{ControllerName, Node, NodeName, Project, ProjectKind, ProjectName};
use crate::label::Expression;
use crate::policy::World;

/// Every controller at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Snapshot {
    pub(super) controllers: BTreeMap<ControllerName, Controller>,
    /// The labels that some project's expression names: only these, and what a policy asks for, tell nodes apart.
    pub(super) world: Arc<World>,
}

/// One controller as it was last seen.
#[derive(Clone, Debug)]
pub(super) struct Controller {
    pub(super) tags: BTreeSet<String>,
    pub(super) nodes: Arc<Vec<Node>>,
    /// When the request for the nodes left; what happened later cannot show in them.
    pub(super) nodes_asked_at: Instant,
    pub(super) projects: Arc<Vec<Project>>,
    pub(super) quieting_down: bool,
    /// It is not gone. The functions of an unreachable controller are withdrawn.
    pub(super) reachable: bool,
    /// What is known of it is recent enough for jobs to be taken on it.
    pub(super) fresh: bool,
    /// Offers builds; otherwise it is only managed and looked at.
    pub(super) serve: bool,
}

impl Controller {
    pub(super) fn node(&self, name: &NodeName) -> Option<&Node> {
        self.nodes.iter().find(|node| node.name == *name)
    }

    /// Returns whether a function table gets the same from both. Nothing is copied: this is asked after every event.
    fn gives_the_same(&self, other: &Self) -> bool {
        let seen = |node: &Node| (node.is_online(), node.mode);
        let offers = |controller: &Self| controller.serve && controller.reachable;
        let same_nodes = || {
            Arc::ptr_eq(&self.nodes, &other.nodes)
                || self.nodes.len() == other.nodes.len()
                    && self.nodes.iter().zip(other.nodes.iter()).all(|(node, other)| {
                        node.name == other.name && seen(node) == seen(other) && node.labels == other.labels
                    })
        };
        let same_projects = || Arc::ptr_eq(&self.projects, &other.projects) || self.projects == other.projects;
        offers(self) == offers(other) && self.tags == other.tags && same_projects() && same_nodes()
    }

    /// Returns the label that stands for the controller's own node: `built-in`, or `master` where it is still so.
    pub(super) fn self_label(&self) -> &'static str {
        classic::matching::self_label(self.nodes.iter())
    }
}

impl Snapshot {
    /// Puts controllers together after a snapshot. Pollers keep the allocation of what stayed the same, so that labels
    /// are read again only when some list of projects is another one.
    pub(super) fn after(previous: &Self, controllers: BTreeMap<ControllerName, Controller>) -> Self {
        let same_projects = controllers.len() == previous.controllers.len()
            && controllers.iter().all(|(name, controller)| {
                let known = previous.controllers.get(name);
                known.is_some_and(|known| Arc::ptr_eq(&known.projects, &controller.projects))
            });
        if same_projects { Self { controllers, world: Arc::clone(&previous.world) } } else { Self::new(controllers) }
    }

    /// Puts controllers together.
    pub(super) fn new(controllers: BTreeMap<ControllerName, Controller>) -> Self {
        let projects = || controllers.values().flat_map(|controller| controller.projects.iter());
        let texts: BTreeSet<&str> = projects().filter_map(|project| project.label.as_deref()).collect();
        let expressions = texts.into_iter().map(Expression::lookup);
        let named =
            expressions.flat_map(|expression| expression.atoms().into_iter().map(str::to_owned).collect::<Vec<_>>());
        // Pipelines are tied to their controller's own node by its label, which no configuration names.
        let has_pipelines = projects().any(|project| project.kind == ProjectKind::Pipeline);
        let of_pipelines =
            classic::matching::SELF_LABELS.iter().filter(|_| has_pipelines).map(|&label| label.to_owned());
        let world = Arc::new(World { named_labels: named.chain(of_pipelines).collect() });
        Self { controllers, world }
    }

    /// Returns whether the function table of this snapshot is that of the other one too.
    pub(super) fn gives_the_same_table(&self, other: &Self) -> bool {
        self.controllers.len() == other.controllers.len()
            && self
                .controllers
                .iter()
                .zip(&other.controllers)
                .all(|((name, controller), (other_name, other))| name == other_name && controller.gives_the_same(other))
    }

    /// Returns the short names that more than one project (by full name) has, over all controllers.
    pub(super) fn shared_short_names(&self) -> BTreeSet<&str> {
        let mut owners: BTreeMap<&str, &ProjectName> = BTreeMap::new();
        let mut shared = BTreeSet::new();
        for project in self.controllers.values().flat_map(|controller| controller.projects.iter()) {
            let owner = owners.entry(project.name.short()).or_insert(&project.name);
            if *owner != &project.name {
                shared.insert(project.name.short());
            }
        }
        shared
    }
}
