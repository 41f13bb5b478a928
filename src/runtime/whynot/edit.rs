//! One change of a fleet or of its policies, and which of them could take an obstacle away.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::Wanted;
use super::obstacle::{Obstacle, Spot};
use crate::domain::{ControllerName, DeclaredParameter, Mode, Node, NodeName, Project, ProjectName};
use crate::label::Expression;
use crate::policy::{Grant, Lineup};
use crate::runtime::snapshot::{Controller, Snapshot};
use crate::runtime::table::expression_of;

/// A veto may be about any label; beyond so many not all are tried.
const MOST_LABELS: usize = 40;

/// Sets of labels for another node are tried up to this many.
const MOST_SETS: usize = 40;

/// What the node is called that is not there yet.
const ANOTHER_NODE: &str = "(another node)";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    AddLabel { controller: ControllerName, node: NodeName, label: String },
    RemoveLabel { controller: ControllerName, node: NodeName, label: String },
    BringOnline { controller: ControllerName, node: NodeName },
    TakeAnyProject { controller: ControllerName, node: NodeName },
    Relabel { controller: ControllerName, project: ProjectName, before: Option<String>, label: Option<String> },
    Declare { controller: ControllerName, project: ProjectName },
    Enable { controller: ControllerName, project: ProjectName },
    Grant { policy: String, grant: Grant },
    Serve { controller: ControllerName },
    Disable { project: ProjectName },
    Without { policy: String },
    AnotherNode { controller: ControllerName, labels: BTreeSet<String> },
}

impl Edit {
    /// Returns how much it asks of people: labels of one node first, another node last.
    pub(super) fn effort(&self) -> usize {
        match self {
            Self::AddLabel { .. } => 0,
            Self::BringOnline { .. } => 1,
            Self::RemoveLabel { .. } => 2,
            Self::TakeAnyProject { .. } => 3,
            Self::Declare { .. } | Self::Enable { .. } => 4,
            Self::Grant { .. } => 5,
            Self::Relabel { .. } => 6,
            Self::Serve { .. } => 7,
            Self::Without { .. } => 8,
            Self::Disable { .. } => 9,
            Self::AnotherNode { labels, .. } => 10 + labels.len(),
        }
    }

    /// Returns the policies with the change; none if it is not about them, or cannot be made.
    pub(super) fn policies(&self, policies: &Lineup) -> Option<Lineup> {
        match self {
            Self::Grant { policy, grant } => policies.granting(policy, *grant),
            Self::Without { policy } => policies.without(policy),
            _ => None,
        }
    }

    pub(super) fn is_about_policies(&self) -> bool {
        matches!(self, Self::Grant { .. } | Self::Without { .. })
    }

    /// Returns the fleet with the change.
    pub(super) fn apply(&self, snapshot: &Snapshot) -> Snapshot {
        let mut controllers = snapshot.controllers.clone();
        let mut change = |name: &ControllerName, change: &dyn Fn(&mut Controller)| {
            controllers.get_mut(name).into_iter().for_each(change);
        };
        match self {
            Self::AddLabel { controller, node, label } => change(controller, &|controller| {
                on_node(controller, node, |node| node.labels.extend([label.clone()]));
            }),
            Self::RemoveLabel { controller, node, label } => change(controller, &|controller| {
                on_node(controller, node, |node| node.labels.retain(|known| known != label));
            }),
            Self::BringOnline { controller, node } => change(controller, &|controller| {
                on_node(controller, node, |node| (node.offline, node.temporarily_offline) = (false, false));
            }),
            Self::TakeAnyProject { controller, node } => change(controller, &|controller| {
                on_node(controller, node, |node| node.mode = Mode::Normal);
            }),
            Self::Relabel { controller, project, label, .. } => change(controller, &|controller| {
                on_project(controller, project, |project| project.label.clone_from(label));
            }),
            Self::Declare { controller, project } => change(controller, &|controller| {
                on_project(controller, project, |project| project.parameters.get_or_insert_default().push(pin()));
            }),
            Self::Enable { controller, project } => change(controller, &|controller| {
                on_project(controller, project, |project| project.buildable = true);
            }),
            Self::Serve { controller } => change(controller, &|controller| controller.serve = true),
            Self::AnotherNode { controller, labels } => change(controller, &|controller| {
                Arc::make_mut(&mut controller.nodes).push(another_node(labels));
            }),
            Self::Disable { project } => {
                for controller in controllers.values_mut() {
                    on_project(controller, project, |project| project.buildable = false);
                }
            }
            Self::Grant { .. } | Self::Without { .. } => {}
        }
        Snapshot::after(snapshot, controllers)
    }

    /// Returns where it is to be felt: at the node that was looked at, or at the one that comes.
    pub(super) fn node<'a>(&self, snapshot: &'a Snapshot, spot: Spot<'_>) -> Option<&'a Node> {
        let controller = snapshot.controllers.get(spot.name)?;
        match self {
            Self::AnotherNode { .. } => controller.node(&NodeName::agent(ANOTHER_NODE)),
            _ => controller.node(&spot.node.name),
        }
    }
}

impl fmt::Display for Edit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddLabel { controller, node, label } => {
                write!(f, "add the label `{label}` to node {node} of {controller}")
            }
            Self::RemoveLabel { controller, node, label } => {
                write!(f, "take the label `{label}` from node {node} of {controller}")
            }
            Self::BringOnline { controller, node } => write!(f, "bring node {node} of {controller} online"),
            Self::TakeAnyProject { controller, node } => {
                write!(f, "set the usage of node {node} of {controller} to \"as much as possible\"")
            }
            Self::Relabel { controller, project, label: None, .. } => {
                write!(f, "take the label expression from project {project} on {controller}, so that it may roam")
            }
            Self::Relabel { controller, project, before: None, label: Some(label) } => {
                write!(f, "give project {project} on {controller} the label expression `{label}`")
            }
            Self::Relabel { controller, project, before: Some(before), label: Some(label) } => {
                write!(
                    f,
                    "change the label expression of project {project} on {controller} from `{before}` to `{label}`"
                )
            }
            Self::Declare { controller, project } => {
                write!(
                    f,
                    "declare a parameter NODE of the NodeLabel plugin (\"Node\") in project {project} on {controller}"
                )
            }
            Self::Enable { controller, project } => write!(f, "enable project {project} on {controller}"),
            Self::Grant { policy, grant } => {
                let grant = serde_json::to_value(grant).unwrap_or_default();
                write!(f, "grant it to policy {policy}: add grants = [{grant}] to policies.slots.{policy}")
            }
            Self::Serve { controller } => write!(f, "let {controller} serve builds: serve = true"),
            Self::Disable { project } => write!(f, "disable project {project}, which has the name"),
            Self::Without { policy } => {
                write!(f, "do without policy {policy}, such as `layshaft policy disable {policy} --for 1h`")
            }
            Self::AnotherNode { controller, labels } if labels.is_empty() => {
                write!(f, "add a node to {controller} that takes any project")
            }
            Self::AnotherNode { controller, labels } => {
                let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
                write!(f, "add a node to {controller} with the label `{}`", labels.join("` and `"))
            }
        }
    }
}

/// Returns what could take the obstacles of a spot away. Whether it does is another question.
pub(super) fn edits(
    wanted: &Wanted,
    spot: Spot<'_>,
    obstacles: &[Obstacle],
    named_labels: &BTreeSet<String>,
) -> Vec<Edit> {
    let Spot { name: controller, controller: state, project, node } = spot;
    let (controller, node_name) = (controller.clone(), node.name.clone());
    let own_name = |label: &str| match &node.name {
        NodeName::Agent(name) => label == name,
        NodeName::BuiltIn => label == state.self_label(),
    };
    let add = |label: &str| Edit::AddLabel {
        controller: controller.clone(),
        node: node_name.clone(),
        label: label.to_owned(),
    };
    let remove = |label: &str| Edit::RemoveLabel {
        controller: controller.clone(),
        node: node_name.clone(),
        label: label.to_owned(),
    };
    let relabel = |label: Option<String>| Edit::Relabel {
        controller: controller.clone(),
        project: project.name.clone(),
        before: project.label.clone(),
        label,
    };
    let without = |slot: &str| Edit::Without { policy: policy_of(slot).to_owned() };
    let own_project = || (controller.clone(), project.name.clone());
    let own_node = || (controller.clone(), node_name.clone());
    let expression = expression_of(project, state);
    let atoms: BTreeSet<String> = expression.iter().flat_map(Expression::atoms).map(str::to_owned).collect();
    let suffix = match wanted {
        Wanted::Function { parts, .. } => parts.label.clone(),
        Wanted::Project(_) => None,
    };
    let is_pipeline = project.kind == crate::domain::ProjectKind::Pipeline;
    let mut edits = Vec::new();
    for obstacle in obstacles {
        match obstacle {
            Obstacle::NotServed => edits.push(Edit::Serve { controller: controller.clone() }),
            Obstacle::Disabled => {
                let (controller, project) = own_project();
                edits.push(Edit::Enable { controller, project });
            }
            Obstacle::Offline => {
                let (controller, node) = own_node();
                edits.push(Edit::BringOnline { controller, node });
            }
            Obstacle::Exclusive => {
                let (controller, node) = own_node();
                edits.push(Edit::TakeAnyProject { controller, node });
                let label = node_label(spot.node, own_name);
                edits.extend(label.map(|label| relabel(Some(label))));
            }
            Obstacle::Labels { .. } | Obstacle::NotPinnable | Obstacle::Clamped { .. } => {
                match obstacle {
                    Obstacle::Clamped { policy, .. } => {
                        edits.push(Edit::Grant { policy: policy_of(policy).to_owned(), grant: Grant::Widen });
                    }
                    Obstacle::NotPinnable => {
                        let (controller, project) = own_project();
                        edits.push(Edit::Declare { controller, project });
                    }
                    _ => {}
                }
                let (carried, missing): (Vec<_>, Vec<_>) = atoms.iter().partition(|atom| node.labels.contains(*atom));
                edits.extend(missing.into_iter().map(|atom| add(atom)));
                edits.extend(carried.into_iter().filter(|atom| !own_name(atom)).map(|atom| remove(atom)));
                if !is_pipeline {
                    edits.extend(suffix.clone().map(|suffix| relabel(Some(suffix))));
                    edits.push(relabel(None));
                }
            }
            Obstacle::Veto { policy, .. } => {
                let others = node.labels.iter().filter(|label| !own_name(label));
                edits.extend(others.take(MOST_LABELS).map(|label| remove(label)));
                let lacking = named_labels.iter().filter(|label| !node.labels.contains(*label));
                edits.extend(lacking.take(MOST_LABELS).map(|label| add(label)));
                edits.push(without(policy));
            }
            Obstacle::Undecided { policy, .. } => edits.push(without(policy)),
            Obstacle::OtherNames { owner, .. } => {
                edits.extend(suffix.iter().map(|suffix| add(suffix)));
                if let Some(suffix) = suffix.as_ref().filter(|suffix| !atoms.contains(*suffix) && !is_pipeline) {
                    let wider = expression.as_ref().map(|expression| either(expression, suffix));
                    edits.push(relabel(Some(wider.unwrap_or_else(|| Expression::atom(suffix.as_str()).to_string()))));
                }
                edits.extend(owner.iter().map(|owner| without(owner)));
            }
            Obstacle::Clash { kept } => edits.push(Edit::Disable { project: kept.clone() }),
            Obstacle::Unreachable | Obstacle::LabelUnknown | Obstacle::UnknownKind | Obstacle::Blocked => {}
        }
    }
    edits
}

/// Returns nodes that could be added so that the project is offered there, those with few labels first.
pub(super) fn more_nodes(
    wanted: &Wanted,
    controller: &ControllerName,
    state: &Controller,
    project: &Project,
) -> Vec<Edit> {
    let expression = expression_of(project, state);
    let mut atoms: BTreeSet<String> = expression.iter().flat_map(Expression::atoms).map(str::to_owned).collect();
    if let Wanted::Function { parts, .. } = wanted {
        atoms.extend(parts.label.clone());
    }
    let none = std::iter::once(BTreeSet::new());
    let singles = atoms.iter().map(|atom| BTreeSet::from([atom.clone()]));
    let pairs = atoms.iter().flat_map(|one| {
        let larger = atoms.iter().filter(move |other| *other > one);
        larger.map(move |other| BTreeSet::from([one.clone(), other.clone()]))
    });
    let sets = none.chain(singles).chain(pairs).take(MOST_SETS).chain([atoms.clone()]);
    sets.map(|labels| Edit::AnotherNode { controller: controller.clone(), labels }).collect()
}

fn another_node(labels: &BTreeSet<String>) -> Node {
    let labels = labels.iter().cloned().chain([ANOTHER_NODE.to_owned()]).collect();
    Node { labels, ..Node::new(NodeName::agent(ANOTHER_NODE)) }
}

/// Returns a label by which a project could ask for a node.
fn node_label(node: &Node, own_name: impl Fn(&str) -> bool) -> Option<String> {
    let shared = node.labels.iter().find(|label| !own_name(label));
    shared.or_else(|| node.labels.first()).map(|label| Expression::atom(label.as_str()).to_string())
}

fn either(expression: &Expression, label: &str) -> String {
    format!("({expression})||{}", Expression::atom(label))
}

fn pin() -> DeclaredParameter {
    DeclaredParameter { name: "NODE".to_owned(), kind: "NodeParameterDefinition".to_owned() }
}

/// Returns the policy that a slot is of; several slots of one are numbered.
fn policy_of(slot: &str) -> &str {
    slot.split('#').next().unwrap_or(slot)
}

fn on_node(controller: &mut Controller, name: &NodeName, change: impl Fn(&mut Node)) {
    Arc::make_mut(&mut controller.nodes).iter_mut().filter(|node| node.name == *name).for_each(change);
}

fn on_project(controller: &mut Controller, name: &ProjectName, change: impl Fn(&mut Project)) {
    // A large list is not copied for nothing.
    if controller.projects.iter().any(|project| project.name == *name) {
        Arc::make_mut(&mut controller.projects).iter_mut().filter(|project| project.name == *name).for_each(change);
    }
}
