//! Every question of a large function table: 100 classes of nodes, 8,000 projects.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{anyhow, ensure};
use layshaft::domain::{Node, Project, ProjectName};
use layshaft::label::Expression;
use layshaft::policy::{Controller, Pass, Policies, World};
use tokio::time::Instant;

use super::site::{self, Site};

pub(crate) const CLASSES: usize = 100;
pub(crate) const PROJECTS: usize = 8_000;
const LABELS: usize = 60;

/// How long the questions of one hook took.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    pub(crate) questions: usize,
    pub(crate) took: Duration,
}

/// What passes over the table took.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// Of projects that share 60 labels, by a policy that sees no project: they share its answers too.
    pub(crate) matching: Asked,
    /// Of those that match, by a policy that sees the project: no answer serves twice.
    pub(crate) naming: Asked,
    /// Of projects that each have a label of their own: no answer serves twice.
    pub(crate) matching_each: Asked,
}

/// A pair that matches, and the atoms it does by.
type Pair<'a> = (&'a Project, &'a Node, BTreeSet<String>);

impl Table {
    pub(crate) fn measure() -> anyhow::Result<Self> {
        let site = Site::new(&["label-hierarchy", "folder-names"])?;
        let policies = Policies::open(site.config.clone())?;
        ensure!(policies.readiness().is_empty(), "policies are not in force: {:?}", policies.readiness());
        let generation = policies.live();
        let nodes: Vec<Node> = (0..CLASSES).map(node).collect();

        let shared: Vec<Project> = (0..PROJECTS).map(|number| project(number, label(number))).collect();
        let (world, labelled) = read(&shared);
        let mut pass = generation.pass(&world);
        let (matching, matched) = matching(&mut pass, &labelled, &nodes)?;
        ensure!(matched.len() > PROJECTS, "only {} pairs match", matched.len());
        let naming = naming(&mut pass, &matched)?;
        drop(pass);

        let own: Vec<Project> =
            (0..PROJECTS).map(|number| project(number, format!("{} && !lent-{number}", label(number)))).collect();
        let (world, labelled) = read(&own);
        let (matching_each, matched_each) = self::matching(&mut generation.pass(&world), &labelled, &nodes)?;
        ensure!(matched_each.len() == matched.len(), "{} pairs match, not {}", matched_each.len(), matched.len());
        Ok(Self { matching, naming, matching_each })
    }
}

/// Reads the labels once, as the daemon does.
fn read(projects: &[Project]) -> (World, Vec<(&Project, Expression)>) {
    let read = |project: &Project| Expression::lookup(project.label.as_deref().unwrap_or_default());
    let labelled: Vec<_> = projects.iter().map(|project| (project, read(project))).collect();
    let atoms = labelled.iter().flat_map(|(_, expression)| expression.atoms().into_iter().map(str::to_owned));
    (World { named_labels: atoms.collect() }, labelled)
}

fn matching<'a>(
    pass: &mut Pass<'_>,
    projects: &[(&'a Project, Expression)],
    nodes: &'a [Node],
) -> anyhow::Result<(Asked, Vec<Pair<'a>>)> {
    let controller: Controller = site::controller();
    let mut matched = Vec::new();
    let begin = Instant::now();
    for (project, expression) in projects {
        for node in nodes {
            let answer = pass.matches(&controller, project, Some(expression), node, false);
            let answer = answer.map_err(|undecided| anyhow!("{undecided}"))?;
            if answer.matched {
                matched.push((*project, node, answer.atoms));
            }
        }
    }
    Ok((Asked { questions: projects.len() * nodes.len(), took: begin.elapsed() }, matched))
}

fn naming(pass: &mut Pass<'_>, matched: &[Pair<'_>]) -> anyhow::Result<Asked> {
    let controller = site::controller();
    let mut names = BTreeSet::new();
    let begin = Instant::now();
    for (project, node, atoms) in matched {
        let answer = pass.names(&controller, project, true, node, atoms).map_err(|undecided| anyhow!("{undecided}"))?;
        names.extend(answer.names.into_iter().flatten());
    }
    let asked = Asked { questions: matched.len(), took: begin.elapsed() };
    ensure!(names.len() >= PROJECTS / 2, "{} names only", names.len());
    Ok(asked)
}

fn label(number: usize) -> String {
    let number = number % LABELS;
    format!("ubuntu-{} && \"gpu>={}\"", number % 12 + 12, number / 12)
}

/// Nodes whose labels differ in what the expressions name.
fn node(number: usize) -> Node {
    let mut node = site::node(number);
    let labels = [format!("ubuntu-{}.04", number % 12 + 12), format!("gpu-{}", number % 8), format!("class-{number}")];
    node.labels = labels.into_iter().chain(["linux", "x86_64", "docker"].map(str::to_owned)).collect();
    node
}

fn project(number: usize, label: String) -> Project {
    Project {
        name: ProjectName::new(format!("team/{}/project-{number}", number % 20)),
        label: Some(label),
        ..site::project()
    }
}
