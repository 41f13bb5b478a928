//! Every question of a large function table: 100 classes of nodes, 8,000 projects with 60 different labels.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{anyhow, ensure};
use layshaft::domain::{Node, Project, ProjectName};
use layshaft::label::Expression;
use layshaft::policy::{Policies, World};
use tokio::time::Instant;

use super::site::{self, Site};

const CLASSES: usize = 100;
const PROJECTS: usize = 8_000;
const LABELS: usize = 60;

/// How long the questions of one hook took.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) questions: usize,
    pub(crate) took: Duration,
}

/// What one pass over the table took.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// By a policy that sees no project, so that projects with one label share their answers.
    pub(crate) matching: Asked,
    /// By a policy that sees the project: no answer serves twice.
    pub(crate) naming: Asked,
}

impl Table {
    pub(crate) fn measure() -> anyhow::Result<Self> {
        let site = Site::new(&["label-hierarchy", "folder-names"])?;
        let policies = Policies::open(site.config.clone())?;
        ensure!(policies.readiness().is_empty(), "policies are not in force: {:?}", policies.readiness());
        let generation = policies.live();
        let controller = site::controller();
        let nodes: Vec<Node> = (0..CLASSES).map(node).collect();
        let expressions: Vec<Expression> = (0..LABELS).map(|number| Expression::lookup(&label(number))).collect();
        let named = expressions.iter().flat_map(|expression| expression.atoms().into_iter().map(str::to_owned));
        let world = World { named_labels: named.collect() };
        let projects: Vec<(Project, &Expression)> =
            (0..PROJECTS).map(|number| (project(number), &expressions[number % LABELS])).collect();
        let mut pass = generation.pass(&world);
        let mut table = Self::default();
        let mut matched = Vec::new();
        let begin = Instant::now();
        for (project, expression) in &projects {
            for node in &nodes {
                let answer = pass.matches(&controller, project, Some(expression), node, false);
                let answer = answer.map_err(|undecided| anyhow!("{undecided}"))?;
                if answer.matched {
                    matched.push((project, node, answer.atoms));
                }
            }
        }
        table.matching = Asked { questions: PROJECTS * CLASSES, took: begin.elapsed() };
        let begin = Instant::now();
        let mut names = BTreeSet::new();
        for (project, node, atoms) in &matched {
            let answer =
                pass.names(&controller, project, true, node, atoms).map_err(|undecided| anyhow!("{undecided}"))?;
            names.extend(answer.names.into_iter().flatten());
        }
        table.naming = Asked { questions: matched.len(), took: begin.elapsed() };
        ensure!(names.len() >= PROJECTS / 2, "{} names only", names.len());
        Ok(table)
    }
}

fn label(number: usize) -> String {
    format!("ubuntu-{} && \"gpu>={}\"", number % 12 + 12, number / 12)
}

/// Nodes whose labels differ in what the expressions name.
fn node(number: usize) -> Node {
    let mut node = site::node(number);
    let labels = [format!("ubuntu-{}.04", number % 12 + 12), format!("gpu-{}", number % 8), format!("class-{number}")];
    node.labels = labels.into_iter().chain(["linux", "x86_64", "docker"].map(str::to_owned)).collect();
    node
}

fn project(number: usize) -> Project {
    Project {
        name: ProjectName::new(format!("team-{}/project-{number}", number % 20)),
        label: Some(label(number % LABELS)),
        ..site::project()
    }
}
