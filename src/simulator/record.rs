use std::collections::BTreeSet;

use crate::domain::{BuildResult, NodeName, Parameters, ProjectKind, QueueState};

use super::world::{BUILT_IN, Build, Node, Project, QueueItem, Stage, Value, World};

/// A build as a test or a demonstration wants to know it, without going through the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildRecord {
    /// Full name; cells of a matrix are `MATRIX/AXIS=value`.
    pub project: String,
    pub number: u64,
    pub queue_id: u64,
    /// Where it ran; for a pipeline the node of its last step, none before that.
    pub node: Option<NodeName>,
    pub parameters: Parameters,
    pub building: bool,
    pub result: Option<BuildResult>,
    pub started_ms: u64,
    pub ended_ms: Option<u64>,
    pub description: Option<String>,
}

/// What has not left the queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRecord {
    pub id: u64,
    pub project: String,
    pub state: QueueState,
    pub parameters: Parameters,
    pub why: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRecord {
    pub name: NodeName,
    pub labels: BTreeSet<String>,
    pub executors: u32,
    pub busy: usize,
    pub temporarily_offline: bool,
    pub disconnected: bool,
    pub offline_reason: Option<String>,
}

pub(super) fn builds(world: &World) -> Vec<BuildRecord> {
    let projects = world.items.keys().filter_map(|name| world.project(name));
    let records = projects.flat_map(|project| project.builds.values().map(|build| build_record(project, build)));
    records.collect()
}

pub(super) fn queue(world: &World) -> Vec<QueueRecord> {
    world.queue.values().map(|item| queue_record(world, item)).collect()
}

pub(super) fn nodes(world: &World) -> Vec<NodeRecord> {
    world.nodes.values().map(|node| node_record(world, node)).collect()
}

fn build_record(project: &Project, build: &Build) -> BuildRecord {
    let node = match project.spec.kind {
        ProjectKind::Pipeline => build.last_step_node.as_deref(),
        _ => Some(build.place.node.as_str()),
    };
    BuildRecord {
        project: project.spec.full_name.clone(),
        number: build.number,
        queue_id: build.queue_id,
        node: node.map(node_name),
        parameters: parameters(&build.parameters),
        building: build.is_building(),
        result: build.result,
        started_ms: build.started,
        ended_ms: build.ended,
        description: build.description.clone(),
    }
}

fn queue_record(world: &World, item: &QueueItem) -> QueueRecord {
    QueueRecord {
        id: item.id,
        project: item.task.project().to_owned(),
        state: match item.stage {
            Stage::Waiting { .. } => QueueState::Waiting,
            Stage::Blocked { .. } => QueueState::Blocked,
            Stage::Buildable { .. } => QueueState::Buildable,
            Stage::Pending { .. } => QueueState::Pending,
        },
        parameters: parameters(&item.parameters),
        why: world.why(item, || world.prospect(&world.wish(item))),
    }
}

fn node_record(world: &World, node: &Node) -> NodeRecord {
    NodeRecord {
        name: node_name(&node.name),
        labels: node.labels.iter().cloned().chain([world.self_label(node).to_owned()]).collect(),
        executors: node.executor_count,
        busy: node.busy_executors(),
        temporarily_offline: node.mark.is_some(),
        disconnected: node.disconnected.is_some(),
        offline_reason: node.mark.as_ref().or(node.disconnected.as_ref()).map(|mark| mark.reason.clone()),
    }
}

fn node_name(name: &str) -> NodeName {
    if name == BUILT_IN { NodeName::BuiltIn } else { NodeName::agent(name) }
}

fn parameters(values: &[Value]) -> Parameters {
    values.iter().map(|value| (value.name.as_str(), value.value.as_str())).collect()
}
