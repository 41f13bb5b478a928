//! The classic rules against a policy that was written apart from them: with `policies/classic-oracle` in force every
//! random fleet offers what it offers without any policy.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use super::super::config::Config;
use super::super::rules::PolicyRules;
use super::super::snapshot::Snapshot;
use super::super::table::{FunctionTable, MatchQuestion, Matched, NameQuestion, Names, Rules, Undecided, table};
use super::model::Dice;
use super::play::Play;
use crate::domain::{BuildFunction, ControllerName, FunctionName, Node, Project, ProjectName};
use crate::policy::{self, Generation, Policies};

/// Tells the policies that everything matches, so that they alone decide what does not.
struct Credulous<'a>(PolicyRules<'a>);

impl Rules for Credulous<'_> {
    fn is_blocked(&self, controller: &ControllerName, project: &Project, node: &Node) -> bool {
        self.0.is_blocked(controller, project, node)
    }

    fn matches(&mut self, question: &MatchQuestion<'_>) -> Result<Matched, Undecided> {
        let MatchQuestion { controller, project, expression, node, classic: _ } = *question;
        self.0.matches(&MatchQuestion { controller, project, expression, node, classic: true })
    }

    fn names(&mut self, question: &NameQuestion<'_>) -> Result<Names, Undecided> {
        self.0.names(question)
    }

    fn is_pinnable(&self, project: &Project) -> bool {
        self.0.is_pinnable(project)
    }
}

/// The tables of one site, each with what was offered before it.
#[derive(Default)]
struct Tables {
    classic: FunctionTable,
    in_force: FunctionTable,
    alone: FunctionTable,
}

impl Tables {
    fn follow(&mut self, snapshot: &Snapshot, without: &Generation, with: &Generation) {
        let config = Config::default();
        let rules = |generation| PolicyRules::new(generation, snapshot, &config);
        self.classic = table(snapshot, &mut rules(without), &self.classic);
        self.in_force = table(snapshot, &mut rules(with), &self.in_force);
        self.alone = table(snapshot, &mut Credulous(rules(with)), &self.alone);
    }
}

fn open(policy: Option<&Path>) -> (TempDir, Arc<Generation>) {
    let folder = TempDir::new().unwrap();
    if let Some(policy) = policy {
        fs::copy(policy, folder.path().join("10-oracle.wasm")).unwrap();
    }
    let policies = Policies::open(policy::Config::new(folder.path())).unwrap();
    assert_eq!(policies.readiness(), [] as [String; 0]);
    (folder, policies.live())
}

#[test]
fn f110_f111_a_policy_with_the_same_rules_written_apart_gives_the_same_table() {
    let oracle = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/classic-oracle/classic-oracle.wasm");
    let ((_without, without), (_with, with)) = (open(None), open(Some(&oracle)));
    assert_eq!(with.digests().len(), 1);
    let mut offers = 0;
    for story in 0..100 {
        let mut play = Play::new(story);
        let mut tables = Tables::default();
        for event in 0..4 {
            tables.follow(play.snapshot(), &without, &with);
            assert_eq!(tables.in_force, tables.classic, "story {story}, event {event}");
            assert_eq!(tables.alone, tables.classic, "story {story}, event {event}, asked of the policy alone");
            offers += tables.classic.rows().map(|(.., row)| row.len()).sum::<usize>();
            play.happen(story * 1000 + event);
        }
    }
    assert!(offers > 3000, "the fleets offered {offers} functions, which is too few to tell");
}

/// Says by dice that anything matches, under any name.
struct Chance {
    dice: Dice,
    fails_one_in: usize,
}

impl Chance {
    fn fails(&mut self) -> Result<(), Undecided> {
        if self.dice.one_in(self.fails_one_in) { Err(Undecided { error: "by chance".to_owned() }) } else { Ok(()) }
    }

    fn names(&mut self) -> Vec<BuildFunction> {
        let mut part = || ["lint", "Test", "b", "stop:ci0", "App/lint", "n1", "ci1"][self.dice.below(7)].to_owned();
        let names = [(part(), None), (part(), Some(part())), (part(), None)];
        let count = self.dice.below(4);
        names.into_iter().take(count).map(|(project, label)| BuildFunction { project, label }).collect()
    }
}

impl Rules for Chance {
    fn is_blocked(&self, _: &ControllerName, _: &Project, _: &Node) -> bool {
        false
    }

    fn matches(&mut self, question: &MatchQuestion<'_>) -> Result<Matched, Undecided> {
        self.fails()?;
        let atoms = question.expression.map(|expression| expression.atoms().into_iter().map(str::to_owned).collect());
        let matched = !self.dice.one_in(3);
        let widened = matched && !question.classic;
        Ok(Matched { matched, atoms: atoms.unwrap_or_default(), widened, clamped: None })
    }

    fn names(&mut self, _: &NameQuestion<'_>) -> Result<Names, Undecided> {
        self.fails()?;
        let owned = (!self.dice.one_in(3)).then(|| Self::names(self));
        Ok(Names { owned, aliases: Self::names(self) })
    }

    fn is_pinnable(&self, _: &Project) -> bool {
        true
    }
}

#[test]
fn whatever_policies_say_a_node_offers_projects_of_its_own_controller_and_each_name_means_one() {
    let mut offers = 0;
    for story in 0..60 {
        let mut play = Play::new(story);
        let mut before = FunctionTable::default();
        for event in 0..6 {
            let snapshot = play.snapshot();
            let now = table(snapshot, &mut Chance { dice: Dice(story * 77 + event), fails_one_in: 9 }, &before);
            let mut meanings: BTreeMap<&FunctionName, &ProjectName> = BTreeMap::new();
            for (controller, node, row) in now.rows() {
                let controller = &snapshot.controllers[controller];
                let node = controller.nodes.iter().find(|known| known.name == *node).expect("a node that is there");
                assert!(controller.reachable && !node.offline);
                for (function, offer) in row.iter() {
                    let project = controller.projects.iter().find(|project| project.name == offer.project);
                    assert!(project.is_some_and(|project| project.buildable), "story {story}: {function}");
                    assert!(function.as_str().starts_with("build:"), "story {story}: {function}");
                    assert_eq!(*meanings.entry(function).or_insert(&offer.project), &offer.project, "story {story}");
                    offers += 1;
                }
            }
            before = now;
            play.happen(story * 1000 + event);
        }
    }
    assert!(offers > 1000, "{offers} functions are too few to tell");
}
