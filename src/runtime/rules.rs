//! The policies as the table's rules.

use crate::classic::matching::SELF_LABELS;
use crate::domain::{ControllerName, Node, Project};
use crate::policy::{self, Generation, Pass};

use super::config::Config;
use super::snapshot::Snapshot;
use super::table::{MatchQuestion, Matched, NameQuestion, Names, NodeClass, Rules, Undecided};

/// One pass of the live generation over the table.
pub(super) struct PolicyRules<'a> {
    generation: &'a Generation,
    pass: Pass<'a>,
    snapshot: &'a Snapshot,
    config: &'a Config,
}

impl<'a> PolicyRules<'a> {
    pub(super) fn new(generation: &'a Generation, snapshot: &'a Snapshot, config: &'a Config) -> Self {
        Self { generation, pass: generation.pass(&snapshot.world), snapshot, config }
    }

    fn controller(&self, name: &ControllerName) -> policy::Controller {
        let tags = self.snapshot.controllers.get(name).map(|controller| controller.tags.clone()).unwrap_or_default();
        policy::Controller { name: name.clone(), tags }
    }
}

impl Rules for PolicyRules<'_> {
    fn class(&self, node: &Node) -> Option<NodeClass> {
        // A policy may be bound to labels that no project names, and may see more of a node than these.
        let named = &self.snapshot.world.named_labels;
        let matters = |label: &&String| named.contains(*label) || SELF_LABELS.contains(&label.as_str());
        let by_labels = || (node.mode, node.labels.iter().filter(matters).cloned().collect());
        self.generation.looks_at_no_node().then(by_labels)
    }

    fn is_blocked(&self, controller: &ControllerName, project: &Project, node: &Node) -> bool {
        self.generation.is_blocked(&self.controller(controller), &project.name, &node.labels)
    }

    fn matches(&mut self, question: &MatchQuestion<'_>) -> Result<Matched, Undecided> {
        let controller = self.controller(question.controller);
        let answer =
            self.pass.matches(&controller, question.project, question.expression, question.node, question.classic);
        match answer {
            Ok(policy::Matched { matched, atoms, widened, clamped, .. }) => {
                let clamped = clamped.map(|clamped| format!("policy {}: {}", clamped.slot, clamped.reason));
                Ok(Matched { matched, atoms, widened, clamped })
            }
            Err(undecided) => Err(Undecided { error: undecided.to_string() }),
        }
    }

    fn names(&mut self, question: &NameQuestion<'_>) -> Result<Names, Undecided> {
        let controller = self.controller(question.controller);
        let answer =
            self.pass.names(&controller, question.project, question.short_name_unique, question.node, question.atoms);
        match answer {
            Ok(names) => Ok(Names { owned: names.names, aliases: names.aliases }),
            Err(undecided) => Err(Undecided { error: undecided.to_string() }),
        }
    }

    fn is_pinnable(&self, project: &Project) -> bool {
        project.pin(&self.config.pin_parameters).is_some()
    }
}
