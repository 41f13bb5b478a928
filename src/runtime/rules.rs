//! The policies as the table's rules.

use std::collections::BTreeMap;

use crate::classic::matching::SELF_LABELS;
use crate::domain::{ControllerName, Node, NodeName, Project};
use crate::policy::{self, Generation, Pass};

use super::config::Config;
use super::snapshot::Snapshot;
use super::table::{MatchQuestion, Matched, NameQuestion, Names, NodeClass, Rules, Undecided};

/// One pass of the live generation over the table.
pub(super) struct PolicyRules<'a> {
    generation: &'a Generation,
    pass: Pass<'a>,
    controllers: BTreeMap<&'a ControllerName, policy::Controller>,
    snapshot: &'a Snapshot,
    config: &'a Config,
}

impl<'a> PolicyRules<'a> {
    pub(super) fn new(generation: &'a Generation, snapshot: &'a Snapshot, config: &'a Config) -> Self {
        let known = snapshot.controllers.iter();
        let controllers = known
            .map(|(name, controller)| (name, policy::Controller { name: name.clone(), tags: controller.tags.clone() }));
        Self {
            generation,
            pass: generation.pass(&snapshot.world),
            controllers: controllers.collect(),
            snapshot,
            config,
        }
    }
}

impl Rules for PolicyRules<'_> {
    fn class(&self, node: &Node) -> Option<NodeClass> {
        let named = &self.snapshot.world.named_labels;
        let matters = |label: &&String| {
            named.contains(*label) || SELF_LABELS.contains(&label.as_str()) || self.generation.minds_label(node, label)
        };
        let is_built_in = node.name == NodeName::BuiltIn;
        let by_labels = || (is_built_in, node.mode, node.labels.iter().filter(matters).cloned().collect());
        (!self.generation.knows_nodes_by_name()).then(by_labels)
    }

    fn is_blocked(&self, controller: &ControllerName, project: &Project, node: &Node) -> bool {
        self.generation.is_blocked(&self.controllers[controller], &project.name, &node.labels)
    }

    fn matches(&mut self, question: &MatchQuestion<'_>) -> Result<Matched, Undecided> {
        let controller = &self.controllers[question.controller];
        let answer =
            self.pass.matches(controller, question.project, question.expression, question.node, question.classic);
        match answer {
            Ok(policy::Matched { matched, atoms, widened, clamped, .. }) => {
                let clamped = clamped.map(|clamped| format!("policy {}: {}", clamped.slot, clamped.reason));
                Ok(Matched { matched, atoms, widened, clamped })
            }
            Err(undecided) => Err(Undecided { error: undecided.to_string() }),
        }
    }

    fn names(&mut self, question: &NameQuestion<'_>) -> Result<Names, Undecided> {
        let controller = &self.controllers[question.controller];
        let answer =
            self.pass.names(controller, question.project, question.short_name_unique, question.node, question.atoms);
        match answer {
            Ok(names) => Ok(Names { owned: names.names, aliases: names.aliases }),
            Err(undecided) => Err(Undecided { error: undecided.to_string() }),
        }
    }

    fn is_pinnable(&self, project: &Project) -> bool {
        project.pin(&self.config.pin_parameters).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;

    use proptest::prelude::*;
    use tokio::time::Instant;

    use super::super::snapshot::Controller;
    use super::super::table::{FunctionTable, table};
    use super::*;
    use crate::domain::{DeclaredParameter, Mode, ProjectName};
    use crate::policy::{Grant, Policies, SlotGuard};

    /// Asks about each node by itself.
    struct OneByOne<'a>(PolicyRules<'a>);

    impl Rules for OneByOne<'_> {
        fn is_blocked(&self, controller: &ControllerName, project: &Project, node: &Node) -> bool {
            self.0.is_blocked(controller, project, node)
        }

        fn matches(&mut self, question: &MatchQuestion<'_>) -> Result<Matched, Undecided> {
            self.0.matches(question)
        }

        fn names(&mut self, question: &NameQuestion<'_>) -> Result<Names, Undecided> {
            self.0.names(question)
        }

        fn is_pinnable(&self, project: &Project) -> bool {
            self.0.is_pinnable(project)
        }
    }

    /// The shipped hierarchy where racks are odd, and names by folder.
    fn policies() -> Policies {
        let folder = tempfile::tempdir().unwrap();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies");
        let mut config = policy::Config::new(folder.path());
        for (name, binding) in [("label-hierarchy", "[[bind]]\nlabels = ['rack-1', 'rack-3']\n"), ("folder-names", "")]
        {
            let settings = fs::read_to_string(shipped.join(format!("{name}/{name}.toml"))).unwrap();
            let settings = settings.split("[[bind]]").next().unwrap();
            fs::copy(shipped.join(format!("{name}/{name}.wasm")), folder.path().join(format!("10-{name}.wasm")))
                .unwrap();
            fs::write(folder.path().join(format!("10-{name}.toml")), format!("{settings}\n{binding}")).unwrap();
            let grants = [Grant::Widen, Grant::Labels].into();
            config.slots.insert(name.to_owned(), SlotGuard { grants, ..SlotGuard::default() });
        }
        let policies = Policies::open(config).unwrap();
        assert_eq!(policies.readiness(), Vec::<String>::new());
        policies
    }

    fn node() -> impl Strategy<Value = (BTreeSet<String>, bool)> {
        let labels = ["ubuntu-22.04", "ubuntu-24.04", "gpu-1", "gpu-4", "rack-1", "rack-2", "rack-3", "cuda", "spare"];
        (proptest::sample::subsequence(labels.to_vec(), 0..5), any::<bool>())
            .prop_map(|(labels, exclusive)| (labels.into_iter().map(str::to_owned).collect(), exclusive))
    }

    fn snapshot(nodes: Vec<(BTreeSet<String>, bool)>) -> Snapshot {
        let node = |(number, (labels, exclusive)): (usize, (BTreeSet<String>, bool))| Node {
            labels: labels.into_iter().chain([format!("n{number}")]).collect(),
            mode: if exclusive { Mode::Exclusive } else { Mode::Normal },
            executor_count: 1,
            ..Node::new(NodeName::agent(format!("n{number}")))
        };
        let nodes: Vec<Node> = nodes.into_iter().enumerate().map(node).collect();
        let labels = [None, Some("ubuntu"), Some("\"gpu>=2\" && !cuda"), Some("ubuntu-22 || n1")];
        let project = |(number, label): (usize, &Option<&str>)| Project {
            name: ProjectName::new(format!("team/p{number}")),
            label: label.map(str::to_owned),
            parameters: Some(vec![DeclaredParameter { name: "NODE".into(), kind: "StringParameterDefinition".into() }]),
            ..Project::sample("team/p")
        };
        let controller = Controller {
            tags: BTreeSet::new(),
            nodes: Arc::new(nodes),
            nodes_asked_at: Instant::now(),
            projects: Arc::new(labels.iter().enumerate().map(project).collect()),
            quieting_down: false,
            reachable: true,
            fresh: true,
            serve: true,
        };
        Snapshot::new([(ControllerName::new("ci"), controller)].into())
    }

    #[test]
    fn nodes_that_no_policy_can_tell_apart_are_asked_about_once_and_offer_what_each_would() {
        let policies = policies();
        let generation = policies.live();
        let config = Config { pin_parameters: vec!["NODE".to_owned()], ..Config::default() };
        let mut runner = proptest::test_runner::TestRunner::default();
        let fleet = proptest::collection::vec(node(), 1..12);
        let outcome = runner.run(&fleet, |nodes| {
            let snapshot = snapshot(nodes);
            let none = FunctionTable::default();
            let mut together = PolicyRules::new(&generation, &snapshot, &config);
            let mut apart = OneByOne(PolicyRules::new(&generation, &snapshot, &config));
            prop_assert_eq!(table(&snapshot, &mut together, &none), table(&snapshot, &mut apart, &none));
            Ok(())
        });
        outcome.unwrap();
    }
}
