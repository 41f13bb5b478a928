//! What stands between a project and an offer at one node, in the order in which the table asks.

use std::collections::BTreeSet;

use super::Wanted;
use crate::classic;
use crate::domain::{BuildFunction, ControllerName, FunctionName, Node, Project, ProjectKind, ProjectName};
use crate::policy::{self, Generation, Pass};
use crate::runtime::config::Config;
use crate::runtime::snapshot::{Controller, Snapshot};
use crate::runtime::table::{FunctionTable, expression_of};

/// More names than these do not fit into a line that somebody reads.
const MOST_NAMED: usize = 5;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Obstacle {
    NotServed,
    Unreachable,
    Disabled,
    LabelUnknown,
    UnknownKind,
    Offline,
    /// A required policy is missing.
    Blocked,
    /// Without a label, and the node takes only projects that ask for it.
    Exclusive,
    Labels {
        expression: String,
    },
    Veto {
        policy: String,
        reason: String,
    },
    Undecided {
        policy: String,
        error: String,
    },
    /// A policy would have it match and may not.
    Clamped {
        policy: String,
        advice: String,
    },
    NotPinnable,
    /// Offered, and under other names.
    OtherNames {
        names: Vec<String>,
        owner: Option<String>,
    },
    /// Another project has the name.
    Clash {
        kept: ProjectName,
    },
}

/// Where a name is looked for, and under which policies.
pub(super) struct Look<'a> {
    pub(super) wanted: &'a Wanted,
    pub(super) snapshot: &'a Snapshot,
    pub(super) generation: &'a Generation,
    pub(super) config: &'a Config,
    /// Whose the names are.
    pub(super) table: &'a FunctionTable,
    pub(super) shared_short_names: &'a BTreeSet<&'a str>,
}

/// A node of a controller, and a project of it.
#[derive(Clone, Copy)]
pub(super) struct Spot<'a> {
    pub(super) name: &'a ControllerName,
    pub(super) controller: &'a Controller,
    pub(super) project: &'a Project,
    pub(super) node: &'a Node,
}

impl Obstacle {
    pub(super) fn stage(&self) -> &'static str {
        match self {
            Self::NotServed | Self::Unreachable => "controller",
            Self::Disabled | Self::LabelUnknown | Self::UnknownKind => "project",
            Self::Offline => "node",
            Self::Blocked => "required",
            Self::Exclusive => "usage",
            Self::Labels { .. } => "labels",
            Self::Veto { .. } => "veto",
            Self::Undecided { .. } => "undecided",
            Self::Clamped { .. } => "grant",
            Self::NotPinnable => "pin",
            Self::OtherNames { .. } => "names",
            Self::Clash { .. } => "clash",
        }
    }

    /// Says what is wrong, in words that hold for every node where it is.
    pub(super) fn text(&self) -> String {
        match self {
            Self::NotServed => "the controller is only managed (serve = false)".to_owned(),
            Self::Unreachable => "the controller does not answer; `layshaft status` says why".to_owned(),
            Self::Disabled => "the project is disabled in Jenkins, or its folder is".to_owned(),
            Self::LabelUnknown => "it is not known yet which label the project has; see `layshaft doctor`".to_owned(),
            Self::UnknownKind => "the project is of a kind that cannot be built from here".to_owned(),
            Self::Offline => "the node is offline".to_owned(),
            Self::Blocked => {
                "a required policy that is bound there is missing; `layshaft policy list` says which".to_owned()
            }
            Self::Exclusive => {
                "the project asks for no label, and the node takes only projects that ask for it (its usage)".to_owned()
            }
            Self::Labels { expression } => {
                format!("the project asks for `{expression}`, which the node's labels do not satisfy")
            }
            Self::Veto { policy, reason } => format!("policy {policy} vetoes it{}", told(reason)),
            Self::Undecided { policy, error } => {
                format!("policy {policy} fails, so what was never offered is not: {error}")
            }
            Self::Clamped { policy, advice } => format!("policy {policy} would have it there and may not: {advice}"),
            Self::NotPinnable => {
                "only a policy has it there, and the project cannot be pinned to a node: Jenkins would never start it there"
                    .to_owned()
            }
            Self::OtherNames { names, owner } => {
                let by = owner.as_ref().map(|owner| format!(" by policy {owner}")).unwrap_or_default();
                let named = names.iter().take(MOST_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
                match names.len() {
                    0 => format!("it is given no name{by}"),
                    many if many > MOST_NAMED => {
                        format!("it is offered as {named} and {} more{by}, and not so", many - MOST_NAMED)
                    }
                    _ => format!("it is offered as {named}{by}, and not so"),
                }
            }
            Self::Clash { kept } => format!("the name means {kept}, which had it first or is walked later"),
        }
    }
}

impl Look<'_> {
    pub(super) fn pass(&self) -> Pass<'_> {
        self.generation.pass(&self.snapshot.world)
    }

    /// Returns what keeps a project from being offered at a node; nothing if it is offered there.
    pub(super) fn obstacles(&self, spot: Spot<'_>, pass: &mut Pass<'_>) -> Vec<Obstacle> {
        let Spot { name, controller, project, node } = spot;
        let for_policies = policy::Controller { name: name.clone(), tags: controller.tags.clone() };
        let blocked = self.generation.is_blocked(&for_policies, &project.name, &node.labels);
        let before_labels = [
            (!controller.serve, Obstacle::NotServed),
            (!controller.reachable, Obstacle::Unreachable),
            (!project.buildable, Obstacle::Disabled),
            (project.label_unknown, Obstacle::LabelUnknown),
            (project.kind == ProjectKind::Unknown, Obstacle::UnknownKind),
            (!node.is_online(), Obstacle::Offline),
            (blocked, Obstacle::Blocked),
        ];
        let holding = before_labels.into_iter().filter_map(|(holds, obstacle)| holds.then_some(obstacle));
        holding.chain(self.decide(spot, &for_policies, pass)).collect()
    }

    /// Asks what the table asks.
    fn decide(&self, spot: Spot<'_>, for_policies: &policy::Controller, pass: &mut Pass<'_>) -> Option<Obstacle> {
        let Spot { controller, project, node, .. } = spot;
        let expression = expression_of(project, controller);
        let satisfied = expression.as_ref().map(|expression| expression.evaluate(|atom| node.labels.contains(atom)));
        let classic = classic::matching::matches(node.mode, satisfied);
        let undecided = |undecided: policy::Undecided| Obstacle::Undecided {
            policy: undecided.slot.to_string(),
            error: undecided.error,
        };
        let matched = match pass.matches(for_policies, project, expression.as_ref(), node, classic) {
            Ok(matched) => matched,
            Err(error) => return Some(undecided(error)),
        };
        if !matched.matched {
            let told = |reason: policy::Reason| (reason.slot.to_string(), reason.reason.to_string());
            return Some(match (matched.veto.map(told), matched.clamped.map(told), expression) {
                (Some((policy, reason)), ..) => Obstacle::Veto { policy, reason },
                (None, Some((policy, advice)), _) => Obstacle::Clamped { policy, advice },
                (None, None, Some(expression)) => Obstacle::Labels { expression: expression.to_string() },
                (None, None, None) => Obstacle::Exclusive,
            });
        }
        if matched.widened && project.pin(&self.config.pin_parameters).is_none() {
            return Some(Obstacle::NotPinnable);
        }
        let is_unique = !self.shared_short_names.contains(project.name.short());
        let names = match pass.names(for_policies, project, is_unique, node, &matched.atoms) {
            Ok(names) => names,
            Err(error) => return Some(undecided(error)),
        };
        let owner = names.owner.as_ref().map(ToString::to_string);
        let owned = names.names.unwrap_or_else(|| {
            let suffixes = matched.atoms.iter().map(String::as_str).collect();
            classic::names::build_functions(project.name.short(), &suffixes)
        });
        let offered: BTreeSet<FunctionName> =
            owned.iter().chain(&names.aliases).filter_map(|function| function.name().ok()).collect();
        self.named(project, &offered, owner)
    }

    /// Looks for the wanted name among those that a project would have.
    fn named(&self, project: &Project, offered: &BTreeSet<FunctionName>, owner: Option<String>) -> Option<Obstacle> {
        let kept_by_another =
            |function: &FunctionName| self.table.owner_of(function).filter(|kept| **kept != project.name);
        let other_names = || Obstacle::OtherNames { names: offered.iter().map(ToString::to_string).collect(), owner };
        let clash = |kept: &ProjectName| Obstacle::Clash { kept: kept.clone() };
        match self.wanted {
            Wanted::Function { name, .. } if !offered.contains(name) => Some(other_names()),
            Wanted::Function { name, .. } => kept_by_another(name).map(clash),
            Wanted::Project(_) if offered.is_empty() => Some(other_names()),
            Wanted::Project(_) => {
                let kept: Vec<&ProjectName> = offered.iter().filter_map(kept_by_another).collect();
                kept.first().filter(|_| kept.len() == offered.len()).map(|kept| clash(kept))
            }
        }
    }

    /// Returns whether policies would give the wanted name to a project at a node, if only it matched there.
    pub(super) fn is_named_so(&self, spot: Spot<'_>, name: &BuildFunction, pass: &mut Pass<'_>) -> bool {
        let Spot { name: controller_name, controller, project, node } = spot;
        let for_policies = policy::Controller { name: controller_name.clone(), tags: controller.tags.clone() };
        let expression = expression_of(project, controller);
        let carried = |atom: &&str| node.labels.contains(*atom);
        let atoms = expression.iter().flat_map(|expression| expression.atoms()).filter(carried);
        let atoms = atoms.map(str::to_owned).collect();
        let is_unique = !self.shared_short_names.contains(project.name.short());
        let names = pass.names(&for_policies, project, is_unique, node, &atoms);
        names.is_ok_and(|names| {
            let given = names.names.iter().flatten().chain(&names.aliases);
            given.into_iter().any(|given| given.project == name.project)
        })
    }
}

fn told(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}
