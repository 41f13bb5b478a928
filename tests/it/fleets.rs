//! Random fleets end to end: whatever happens to simulated controllers, in whatever order and however fast, the
//! server's list of workers ends up as the plugin's rules give it.

#[path = "../../src/runtime/fleets/model.rs"]
#[allow(dead_code, reason = "the rest is for the test without servers, in the runtime's room")]
mod model;
#[path = "../../src/runtime/fleets/oracle.rs"]
#[allow(dead_code, reason = "the same")]
mod oracle;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use layshaft::domain::{Mode, NodeName, ProjectKind};
use layshaft::simulator::{BuiltInSpec, FolderSpec, NodeSpec, ProjectSpec, Simulator, Version};
use tokio::task::JoinSet;

use crate::support::{GearmanServer, Kind as Server, Site, SiteBuilder};
use model::{Controller, Dice, Event, FOLDERS, Fleet, Kind, Node, OWN_NODE, Project, State};

const SEEDS: u64 = 32;

/// As many sites at the same time; each is mostly waiting.
const AT_ONCE: usize = 4;

const BURSTS: usize = 8;

/// Longer than anything here takes on a busy machine; reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(40);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_fleets_are_offered_as_the_rules_say_after_every_burst_of_events() {
    let mut plays = JoinSet::new();
    for seed in 0..SEEDS {
        if plays.len() == AT_ONCE {
            plays.join_next().await.unwrap().unwrap();
        }
        plays.spawn(play(seed));
    }
    plays.join_all().await;
}

async fn play(seed: u64) {
    let mut dice = Dice(seed);
    let mut fleet = Fleet::draw(dice.clone());
    let mut builder = SiteBuilder::new();
    for (name, controller) in &fleet.controllers {
        let release = if controller.self_label == "master" { Version::new(2, 200) } else { Version::default() };
        builder = builder.version(name, release).controller(name, simulated(controller));
    }
    let site = builder.start(GearmanServer::start(Server::Layshaft).await).await;
    ends_up_right(&site, &fleet, seed, &[]).await;
    for _ in 0..BURSTS {
        let mut happened = Vec::new();
        for _ in 0..=dice.below(4) {
            let Some((controller, event)) = fleet.happen(&mut dice) else { continue };
            carry_out(site.controller(&controller), event.clone());
            happened.push((controller, event));
            if dice.one_in(3) {
                // Now and then the next one comes after the daemon has seen something of this one.
                tokio::time::sleep(Duration::from_millis(dice.below(150) as u64)).await;
            }
        }
        ends_up_right(&site, &fleet, seed, &happened).await;
    }
}

async fn ends_up_right(site: &Site, fleet: &Fleet, seed: u64, happened: &[(String, Event)]) {
    let mut wrong = String::new();
    let is_right = async {
        loop {
            let workers = site.server.workers().await;
            let ours = workers.into_iter().filter(|worker| worker.client_id != "-" && !worker.client_id.is_empty());
            let offered = ours.map(|worker| (worker.client_id, worker.functions.into_iter().collect())).collect();
            match compare(fleet, &offered) {
                Ok(()) => return,
                Err(error) => wrong = error,
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, is_right).await.is_err() {
        panic!("seed {seed}: {wrong}\nafter {happened:?}\nof {fleet:#?}");
    }
}

/// Holds what workers offer against the rules. Which of several contenders has a name depends on who was seen first, so
/// that any of them may; but it has to be the same one everywhere.
fn compare(fleet: &Fleet, offered: &BTreeMap<String, BTreeSet<String>>) -> Result<(), String> {
    let wanted: BTreeMap<_, BTreeMap<String, BTreeSet<String>>> = oracle::wanted(fleet)
        .into_iter()
        .map(|(node, functions)| (node, functions.into_iter().map(|(name, by)| (plain(&name), by)).collect()))
        .collect();
    let mut ids = BTreeSet::new();
    // By function: the nodes whose workers offer it.
    let mut seen: BTreeMap<&str, BTreeSet<(&str, &str)>> = BTreeMap::new();
    for (name, controller) in &fleet.controllers {
        ids.insert(format!("{name}_manager"));
        for (node_name, node) in controller.nodes.iter().filter(|(_, node)| node.state != State::Disconnected) {
            let host = if node_name == OWN_NODE { name } else { node_name };
            let mut workers: Vec<String> = (0..node.executors).map(|index| format!("{host}_exec-{index}")).collect();
            if node_name == OWN_NODE && node.executors == 0 {
                let idle =
                    controller.nodes.values().filter(|node| node.state == State::Online).map(|node| node.executors);
                let slots = (0..idle.sum()).map(|index| format!("{name}_pipeline-{index}"));
                // There are none where there is no pipeline; whoever has one has all.
                let slots: Vec<String> = slots.collect();
                workers = if slots.iter().any(|slot| offered.contains_key(slot)) { slots } else { Vec::new() };
            }
            for worker in &workers {
                let functions = offered.get(worker).ok_or_else(|| format!("{worker} is missing"))?;
                if functions != &offered[&workers[0]] {
                    return Err(format!("{worker} and {} differ", workers[0]));
                }
                for function in functions {
                    seen.entry(function).or_default().insert((name, node_name));
                }
            }
            ids.extend(workers);
        }
    }
    let stray: Vec<&String> = offered.keys().filter(|id| !ids.contains(*id)).collect();
    if !stray.is_empty() {
        return Err(format!("nobody knows {stray:?}"));
    }
    let mut contenders: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (function, projects) in wanted.values().flatten() {
        contenders.entry(function).or_default().extend(projects.iter().map(String::as_str));
    }
    if let Some(function) = seen.keys().find(|function| !contenders.contains_key(**function)) {
        return Err(format!("{function} is offered, and nobody wants it"));
    }
    for (function, projects) in &contenders {
        let nodes_of = |project: &str| -> BTreeSet<(&str, &str)> {
            let nodes = wanted
                .iter()
                .filter(|(_, functions)| functions.get(*function).is_some_and(|projects| projects.contains(project)));
            let shown = nodes.map(|((controller, node), _)| (controller.as_str(), node.as_str()));
            shown.filter(|(controller, node)| has_workers_for(&fleet.controllers[*controller], node, project)).collect()
        };
        let nodes = seen.get(function).cloned().unwrap_or_default();
        if !projects.iter().any(|project| nodes_of(project) == nodes) {
            return Err(format!("{function} is offered on {nodes:?}, which is right for none of {projects:?}"));
        }
    }
    Ok(())
}

/// Returns whether a node that offers a project has a connection to show for it.
fn has_workers_for(controller: &Controller, node: &str, project: &str) -> bool {
    match (controller.nodes[node].executors, node) {
        (0, OWN_NODE) => {
            let idle = controller.nodes.values().filter(|node| node.state == State::Online).map(|node| node.executors);
            controller.projects[project].kind == Kind::Pipeline && idle.sum::<u32>() > 0
        }
        (executors, _) => executors > 0,
    }
}

fn simulated(controller: &Controller) -> layshaft::simulator::Fleet {
    let own = &controller.nodes[OWN_NODE];
    let folders = FOLDERS.iter().filter(|folder| !folder.is_empty());
    layshaft::simulator::Fleet {
        built_in: BuiltInSpec { executors: own.executors, labels: plain_labels(&own.labels), mode: mode(own) },
        nodes: controller
            .nodes
            .iter()
            .filter(|(name, _)| *name != OWN_NODE)
            .map(|(name, node)| agent(name, node))
            .collect(),
        folders: folders
            .map(|folder| FolderSpec { full_name: folder.trim_end_matches('/').to_owned(), ..FolderSpec::default() })
            .collect(),
        projects: controller.projects.iter().map(|(name, project)| spec(name, project)).collect(),
        ..layshaft::simulator::Fleet::default()
    }
}

fn text(label: Option<&model::Label>) -> Option<String> {
    label.map(|label| plain(&label.text()))
}

/// The server's text protocol cuts names at spaces.
fn plain(text: &str) -> String {
    text.replace("big ", "big_")
}

fn mode(node: &Node) -> Mode {
    if node.exclusive { Mode::Exclusive } else { Mode::Normal }
}

fn agent(name: &str, node: &Node) -> NodeSpec {
    NodeSpec { mode: mode(node), labels: plain_labels(&node.labels), ..NodeSpec::new(name, node.executors, &[]) }
}

fn plain_labels(labels: &BTreeSet<String>) -> Vec<String> {
    labels.iter().map(|label| plain(label)).collect()
}

fn spec(name: &str, project: &Project) -> ProjectSpec {
    ProjectSpec {
        kind: match project.kind {
            Kind::Freestyle => ProjectKind::Freestyle,
            Kind::Maven => ProjectKind::Maven,
            Kind::Matrix => ProjectKind::Matrix,
            Kind::Pipeline => ProjectKind::Pipeline,
            Kind::Unknown => ProjectKind::Unknown,
        },
        label: text(project.label.as_ref()),
        disabled: project.disabled,
        concurrent: project.concurrent,
        ..ProjectSpec::new(plain(name))
    }
}

/// Does to a simulated controller what happened to the model. What was not possible there is not possible here.
fn carry_out(ci: &Simulator, event: Event) {
    let key = |name: &str| if name == OWN_NODE { NodeName::BuiltIn } else { NodeName::agent(name) };
    match event {
        Event::Create(name, project) => ci.add_project(spec(&name, &project)),
        Event::Move { from, to } => ci.rename(&plain(&from), &plain(&to)),
        Event::Relabel(name, label) => ci.update_project(&plain(&name), |spec| spec.label = text(label.as_ref())),
        Event::Disable(name, disabled) | Event::DisableFolder(name, disabled) => {
            ci.set_disabled(&plain(&name), disabled)
        }
        Event::DeleteProject(name) | Event::DeleteNode(name) if name.is_empty() => false,
        Event::DeleteProject(name) => ci.remove_project(&plain(&name)),
        Event::AddNode(name, node) => ci.add_node(&agent(&name, &node)),
        Event::Turn(name, state) => {
            ci.set_offline(&key(&name), (state == State::Marked).then_some("away"));
            ci.set_disconnected(&key(&name), (state == State::Disconnected).then_some("cable"))
        }
        Event::LabelNode(name, labels) => {
            let labels = plain_labels(&labels);
            ci.set_labels(&key(&name), &labels.iter().map(String::as_str).collect::<Vec<_>>())
        }
        Event::SetExecutors(name, executors) => ci.set_executors(&key(&name), executors),
        Event::DeleteNode(name) => ci.remove_node(&name),
    };
}
