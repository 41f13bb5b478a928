//! What should change: connections to open and close, functions to offer, leases to grant and revoke.
//!
//! PURE: what is and what should be go in, steps come out; nothing here awaits or reads a clock. The steps are
//! idempotent: a plan made of a world in which they were taken is empty.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::domain::{BuildId, ControllerName, FunctionName, Node, NodeName, ProjectName, QueueItemId};

use super::function_set::FunctionSet;
use super::identity::{ConnectionId, Role};
use super::lease::OurBuilds;
use super::snapshot::{Controller, Snapshot};
use super::table::{FunctionTable, Row};

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Open(ConnectionId),
    /// Ends the connection; it has no job.
    Close(ConnectionId),
    /// Sets what the connection offers; its session sends the difference, and holds back what a running job forbids.
    Offer(ConnectionId, FunctionSet),
    /// Promises an idle executor: the connection may ask for a job.
    Grant(ConnectionId),
    Revoke(ConnectionId),
}

/// Everything a plan is made from.
#[derive(Debug)]
pub(super) struct World<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) table: &'a FunctionTable,
    pub(super) connections: &'a BTreeMap<ConnectionId, Connection>,
    pub(super) attempts: &'a [Attempt],
    /// Builds of ours that ended after the snapshot of their controller was asked for.
    pub(super) ended: &'a [(ControllerName, BuildId)],
    /// Projects whose functions are withheld on a node for a while, after jobs were handed back from there.
    pub(super) withheld: &'a BTreeSet<(ControllerName, NodeName, ProjectName)>,
    /// No new jobs: paused, draining, or not every controller was looked at yet.
    pub(super) grabbing: bool,
    pub(super) pipeline_slots: PipelineSlots,
}

/// A connection as the reconciler knows it.
#[derive(Clone, Debug, Default)]
pub(super) struct Connection {
    pub(super) offered: FunctionSet,
    pub(super) leased: bool,
    /// The function of the job that runs on it.
    pub(super) job: Option<FunctionName>,
}

/// A build of ours that has not ended, wherever its job's connection is now.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    pub(super) controller: ControllerName,
    pub(super) project: ProjectName,
    /// The connection that runs its job; none if that was lost.
    pub(super) connection: Option<ConnectionId>,
    /// The node that it is promised, and then the node on which it really runs; none while a running build shows on
    /// no node.
    pub(super) node: Option<NodeName>,
    pub(super) holds_executor: bool,
    pub(super) build: Option<BuildId>,
    pub(super) queue_item: Option<QueueItemId>,
    /// Tied to its build by a marker, so that Jenkins cannot merge it with another.
    pub(super) marked: bool,
}

/// How many connections for pipelines a controller without built-in executors gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PipelineSlots {
    /// As many as it has idle executors.
    #[default]
    Auto,
    Fixed(u32),
}

/// What is looked up again and again while a plan is made.
struct Index<'a> {
    /// By the connection that runs its job.
    attempts: BTreeMap<&'a ConnectionId, &'a Attempt>,
    /// How many jobs of a node's connections have their builds elsewhere.
    displaced: BTreeMap<(&'a ControllerName, &'a NodeName), usize>,
    /// Sets that were cut out of a row, by the row's address, so that connections share them.
    cut: RefCell<BTreeMap<(usize, BTreeSet<FunctionName>), FunctionSet>>,
}

impl<'a> Index<'a> {
    fn new(attempts: &'a [Attempt]) -> Self {
        let mut index = Self { attempts: BTreeMap::new(), displaced: BTreeMap::new(), cut: RefCell::default() };
        for attempt in attempts {
            let Some(id) = &attempt.connection else { continue };
            // Whoever comes first counts, should two hold one job.
            index.attempts.entry(id).or_insert(attempt);
            if let Role::Executor { node, .. } = &id.role
                && attempt.holds_executor
                && attempt.node.as_ref().is_some_and(|real| real != node)
            {
                *index.displaced.entry((&id.controller, node)).or_default() += 1;
            }
        }
        index
    }

    fn cut(&self, row: &Arc<Row>, taken: BTreeSet<FunctionName>) -> FunctionSet {
        let key = (Arc::as_ptr(row) as usize, taken);
        if let Some(known) = self.cut.borrow().get(&key) {
            return known.clone();
        }
        let cut = row.names().without(key.1.clone());
        self.cut.borrow_mut().insert(key, cut.clone());
        cut
    }
}

/// Makes the plan. Steps of one connection stand in the order in which they must be taken.
pub(super) fn plan(world: &World<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut wanted = BTreeSet::new();
    let index = Index::new(world.attempts);
    for (name, controller) in &world.snapshot.controllers {
        wanted.insert(ConnectionId::manager(name));
        if controller.serve {
            plan_controller(world, &index, name, controller, &mut wanted, &mut steps);
        }
    }
    for (id, connection) in world.connections {
        if !wanted.contains(id) && connection.job.is_none() {
            steps.push(Step::Close(id.clone()));
        }
    }
    let managers = world.snapshot.controllers.keys().map(ConnectionId::manager);
    let missing = managers.filter(|id| !world.connections.contains_key(id)).map(Step::Open);
    steps.splice(0..0, missing);
    steps
}

fn plan_controller(
    world: &World<'_>,
    index: &Index<'_>,
    name: &ControllerName,
    controller: &Controller,
    wanted: &mut BTreeSet<ConnectionId>,
    steps: &mut Vec<Step>,
) {
    let ours = our_builds(world, name);
    let pools =
        Pools { world, index, controller, held_back: HeldBack::new(serialised_projects(world, name, controller)) };
    for node in controller.nodes.iter() {
        let ids = connections_of_node(world, index, name, node);
        let capacity = Capacity { own: ours.available(node), idle: ours.idle(node) };
        pools.plan(&ids, world.table.row(name, &node.name), capacity, steps);
        wanted.extend(ids);
    }
    let no_builtin_executors = controller.node(&NodeName::BuiltIn).is_none_or(|node| node.executor_count == 0);
    if no_builtin_executors {
        let pipelines = world.table.row(name, &NodeName::BuiltIn).map(|row| row.pipelines());
        let capacity = pipeline_capacity(world, name, controller, &ours);
        let has_any = pipelines.is_some_and(|pipelines| !pipelines.is_empty());
        let ids = if has_any { pipeline_connections(world, name, capacity.own) } else { Vec::new() };
        pools.plan(&ids, pipelines, capacity, steps);
        wanted.extend(ids);
    }
    // A node that is gone keeps the connection of its running job, but offers nothing more.
    for (id, connection) in world.connections {
        let belongs = id.controller == *name && id.role != Role::Manager;
        if belongs && !wanted.contains(id) && connection.job.is_some() && !connection.offered.is_empty() {
            steps.push(Step::Offer(id.clone(), FunctionSet::default()));
        }
    }
}

/// The projects of a controller of which no further build may be started now, and their names in each row.
struct HeldBack {
    projects: BTreeSet<ProjectName>,
    /// By the row's address.
    names: RefCell<BTreeMap<usize, Arc<BTreeSet<FunctionName>>>>,
}

impl HeldBack {
    fn new(projects: BTreeSet<ProjectName>) -> Self {
        Self { projects, names: RefCell::default() }
    }

    fn names_in(&self, row: &Arc<Row>) -> Arc<BTreeSet<FunctionName>> {
        if self.projects.is_empty() {
            return Arc::default();
        }
        let names = || Arc::new(names_of(row, |project| self.projects.contains(project)));
        Arc::clone(self.names.borrow_mut().entry(Arc::as_ptr(row) as usize).or_insert_with(names))
    }
}

fn names_of(row: &Row, is_meant: impl Fn(&ProjectName) -> bool) -> BTreeSet<FunctionName> {
    row.iter().filter(|(_, offer)| is_meant(&offer.project)).map(|(name, _)| name.clone()).collect()
}

/// How many jobs a pool of connections may run.
#[derive(Clone, Copy, Debug)]
struct Capacity {
    /// Those that run included.
    own: u32,
    /// On top of those that run.
    idle: u32,
}

/// The pools of connections of one controller.
struct Pools<'a> {
    world: &'a World<'a>,
    index: &'a Index<'a>,
    controller: &'a Controller,
    held_back: HeldBack,
}

impl Pools<'_> {
    /// Plans connections that share one row and one capacity.
    fn plan(&self, ids: &[ConnectionId], row: Option<&Arc<Row>>, capacity: Capacity, steps: &mut Vec<Step>) {
        let Self { world, index, controller, .. } = self;
        let may_grab = world.grabbing && controller.reachable && controller.fresh && !controller.quieting_down;
        let Capacity { own: mut left_to_busy, idle } = if may_grab { capacity } else { Capacity { own: 0, idle: 0 } };
        let fresh = Connection::default();
        let mut candidates = Vec::new();
        for id in ids {
            let connection = match world.connections.get(id) {
                Some(connection) => connection,
                None => {
                    steps.push(Step::Open(id.clone()));
                    &fresh
                }
            };
            let changed = self.change_of(id, row, connection);
            let offers_something = !changed.as_ref().unwrap_or(&connection.offered).is_empty();
            if let Some(functions) = changed {
                steps.push(Step::Offer(id.clone(), functions));
            }
            if connection.job.is_none() {
                candidates.push((id, connection.leased, offers_something));
            } else if left_to_busy > 0 && keeps_its_executor(world, index, id) {
                left_to_busy -= 1;
            } else if connection.leased {
                steps.push(Step::Revoke(id.clone()));
            }
        }
        // A build that has just ended frees an executor that its connection, which is told in the same moment, may grab for.
        let is_ending = |id: &&ConnectionId| {
            let connection = world.connections.get(*id);
            connection.is_some_and(|connection| connection.job.is_some() && connection.leased)
                && !index.attempts.contains_key(*id)
        };
        let ending = u32::try_from(ids.iter().filter(is_ending).count()).unwrap_or(u32::MAX);
        let mut left = idle.saturating_sub(ending);
        // Whoever has a lease keeps it: a grab may be under way.
        candidates.sort_by_key(|(_, leased, _)| !leased);
        for (id, leased, offers_something) in candidates {
            let lease = offers_something && left > 0;
            left -= u32::from(lease);
            match (leased, lease) {
                (false, true) => steps.push(Step::Grant(id.clone())),
                (true, false) => steps.push(Step::Revoke(id.clone())),
                _ => {}
            }
        }
    }

    /// Returns what a connection has to offer, if that is not what it offers.
    fn change_of(&self, id: &ConnectionId, row: Option<&Arc<Row>>, connection: &Connection) -> Option<FunctionSet> {
        let Some(row) = row else {
            return (!connection.offered.is_empty()).then(FunctionSet::default);
        };
        let mut taken = self.held_back.names_in(row);
        if let Some(job) = connection.job.as_ref().filter(|job| taken.contains(*job)) {
            Arc::make_mut(&mut taken).remove(job);
        }
        if !self.world.withheld.is_empty() {
            let node = id.node().cloned().unwrap_or(NodeName::BuiltIn);
            let is_withheld = |project: &ProjectName| {
                self.world.withheld.contains(&(id.controller.clone(), node.clone(), project.clone()))
            };
            let withheld = names_of(row, is_withheld);
            if !withheld.is_empty() {
                Arc::make_mut(&mut taken).extend(withheld);
            }
        }
        if connection.offered.is_without(row.names(), &taken) {
            return None;
        }
        Some(self.index.cut(row, Arc::unwrap_or_clone(taken)))
    }
}

/// Returns whether the executor of a connection's job will be its own again when the job ends, so that it may grab the
/// next one in the same breath.
fn keeps_its_executor(world: &World<'_>, index: &Index<'_>, id: &ConnectionId) -> bool {
    index.attempts.get(id).is_none_or(|attempt| {
        // What holds no executor leaves it to another connection of the node meanwhile. A slot is held in any case.
        if !attempt.holds_executor && !matches!(id.role, Role::Pipeline { .. }) {
            return false;
        }
        let node = world.snapshot.controllers.get(&id.controller).zip(id.node()).and_then(|(c, name)| c.node(name));
        attempt.node.as_ref() == id.node() && node.is_some_and(Node::is_online)
    })
}

/// Returns the connections that a node should have: one for each executor, and one more for each of its jobs whose
/// build runs elsewhere.
fn connections_of_node(
    world: &World<'_>,
    index: &Index<'_>,
    controller: &ControllerName,
    node: &Node,
) -> Vec<ConnectionId> {
    let id = |index| ConnectionId::executor(controller, &node.name, index);
    let existing: Vec<(&ConnectionId, &Connection)> = world.connections.range(id(0)..=id(u32::MAX)).collect();
    if node.offline && !node.temporarily_offline {
        return existing
            .into_iter()
            .filter(|(_, connection)| connection.job.is_some())
            .map(|(id, _)| id.clone())
            .collect();
    }
    let displaced = index.displaced.get(&(controller, &node.name)).copied().unwrap_or(0);
    let count = node.executor_count as usize + displaced;
    let busy = existing.iter().filter(|(_, connection)| connection.job.is_some()).map(|(id, _)| (*id).clone());
    fill(busy.collect(), count, id)
}

/// Returns how many pipelines may run without executors of the built-in node.
fn pipeline_capacity(world: &World<'_>, name: &ControllerName, controller: &Controller, ours: &OurBuilds) -> Capacity {
    let is_busy = |(id, connection): &(&ConnectionId, &Connection)| is_slot(id, name) && connection.job.is_some();
    let busy = u32::try_from(world.connections.iter().filter(is_busy).count()).unwrap_or(u32::MAX);
    match world.pipeline_slots {
        PipelineSlots::Fixed(slots) => Capacity { own: slots, idle: slots.saturating_sub(busy) },
        PipelineSlots::Auto => {
            let idle: u32 = controller.nodes.iter().map(|node| ours.idle(node)).sum();
            let occupied: u32 = controller.nodes.iter().map(|node| ours.occupied_by_pipelines(node)).sum();
            // A pipeline that occupies no executor yet, or none just now, will want one of those that are idle.
            let slots = idle + occupied;
            Capacity { own: slots, idle: idle.min(slots.saturating_sub(busy)) }
        }
    }
}

fn pipeline_connections(world: &World<'_>, controller: &ControllerName, slots: u32) -> Vec<ConnectionId> {
    let slot_ids = world.connections.iter().filter(|(id, _)| is_slot(id, controller));
    let busy = slot_ids.filter(|(_, connection)| connection.job.is_some()).map(|(id, _)| id.clone());
    fill(busy.collect(), slots as usize, |index| ConnectionId::pipeline(controller, index))
}

/// Adds the first free numbers until there are as many as wanted.
fn fill(mut ids: BTreeSet<ConnectionId>, wanted: usize, id: impl Fn(u32) -> ConnectionId) -> Vec<ConnectionId> {
    for index in 0..=u32::MAX {
        if ids.len() >= wanted {
            break;
        }
        ids.insert(id(index));
    }
    ids.into_iter().collect()
}

fn is_slot(id: &ConnectionId, controller: &ControllerName) -> bool {
    id.controller == *controller && matches!(id.role, Role::Pipeline { .. })
}

fn our_builds(world: &World<'_>, controller: &ControllerName) -> OurBuilds {
    let mut ours = OurBuilds::default();
    for attempt in world.attempts.iter().filter(|attempt| attempt.controller == *controller) {
        if let Some(node) = &attempt.node {
            ours.add_live(node, attempt.holds_executor, attempt.build.clone(), attempt.queue_item);
        }
    }
    for (owner, build) in world.ended {
        if owner == controller {
            ours.add_ended(build.clone());
        }
    }
    ours
}

/// Returns the projects of which no further build may be started now: Jenkins would merge or block it.
fn serialised_projects(world: &World<'_>, name: &ControllerName, controller: &Controller) -> BTreeSet<ProjectName> {
    let ours: Vec<&Attempt> = world.attempts.iter().filter(|attempt| attempt.controller == *name).collect();
    let running = controller.nodes.iter().flat_map(Node::builds).map(|build| &build.id);
    let foreign: BTreeSet<&ProjectName> = running
        .filter(|build| !world.ended.iter().any(|(owner, ended)| owner == name && ended == *build))
        .map(|build| &build.project)
        .collect();
    let in_question: BTreeSet<&ProjectName> =
        ours.iter().map(|attempt| &attempt.project).chain(foreign.iter().copied()).collect();
    if in_question.is_empty() {
        return BTreeSet::new();
    }
    let known = controller.projects.iter().filter(|project| !project.concurrent && in_question.contains(&project.name));
    let unmarked = ours.iter().filter(|attempt| !attempt.marked && attempt.build.is_none());
    known.map(|project| &project.name).chain(unmarked.map(|attempt| &attempt.project)).cloned().collect()
}

#[cfg(test)]
mod tests;
