//! The runtime's room without tasks and sockets: pictures in, packets out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tempfile::TempDir;
use tokio::time::Instant;

use super::super::config::Config;
use super::super::identity::{ConnectionId, Role};
use super::super::plan::{self, PipelineSlots, Step, plan};
use super::super::rules::PolicyRules;
use super::super::snapshot::{self, Snapshot};
use super::super::table::{FunctionTable, table};
use super::ledger::Ledger;
use super::model::{Dice, Fleet, Kind, OWN_NODE, State};
use super::oracle;
use crate::domain::{
    BuildId, ControllerName, Executor, FunctionName, Mode, Node, NodeName, Parameters, Project, ProjectKind,
    ProjectName, RunningBuild,
};
use crate::policy::{self, Generation, Policies};

/// One site and everything that is carried from one event to the next.
pub(super) struct Play {
    fleet: Fleet,
    /// What the oracle remembers: who had a contested name last.
    incumbents: BTreeMap<String, String>,
    snapshot: Arc<Snapshot>,
    table: FunctionTable,
    computed_from: Option<Arc<Snapshot>>,
    links: BTreeMap<ConnectionId, Link>,
    jobs: Vec<Running>,
    withheld: BTreeSet<(ControllerName, NodeName, ProjectName)>,
    slots: PipelineSlots,
    builds: u64,
    /// What the story has come to, so that a test can tell that it was about something.
    pub(super) seen: BTreeSet<&'static str>,
    generation: Arc<Generation>,
    _policies: TempDir,
}

struct Link {
    state: plan::Connection,
    ledger: Ledger,
    /// What its functions mean, those that are on their way out included.
    meanings: BTreeMap<String, ProjectName>,
}

/// A build: ours, if a connection waits for it.
struct Running {
    controller: String,
    connection: Option<ConnectionId>,
    project: String,
    kind: Kind,
    marked: bool,
    node: NodeName,
    number: Option<u64>,
}

impl Play {
    pub(super) fn new(seed: u64) -> Self {
        let folder = TempDir::new().unwrap();
        let policies = Policies::open(policy::Config::new(folder.path())).unwrap();
        let mut dice = Dice(seed);
        let slots = if dice.one_in(2) { PipelineSlots::Auto } else { PipelineSlots::Fixed(2) };
        let mut play = Self {
            fleet: Fleet::draw(dice),
            incumbents: BTreeMap::new(),
            snapshot: Arc::default(),
            table: FunctionTable::default(),
            computed_from: None,
            links: BTreeMap::new(),
            jobs: Vec::new(),
            withheld: BTreeSet::new(),
            slots,
            builds: 0,
            seen: BTreeSet::new(),
            generation: policies.live(),
            _policies: folder,
        };
        play.reconcile(false);
        play
    }

    /// Lets one thing happen, and the runtime see it.
    pub(super) fn happen(&mut self, seed: u64) {
        let mut dice = Dice(seed);
        // Some workers have asked for a job before the runtime sees what happens, and get it afterwards.
        let asks_meanwhile = dice.one_in(3).then(|| self.ask(&mut dice)).flatten();
        match dice.below(12) {
            0..=6 => drop(self.fleet.happen(&mut dice)),
            7 => drop(self.ask(&mut dice).map(|id| self.take_job(&id, &mut dice))),
            8 => self.start_build(&mut dice),
            9 => self.end_build(&mut dice),
            10 => self.start_foreign_build(&mut dice),
            _ => self.disturb(&mut dice),
        }
        // The table is made beside the loop, which plans with the old one meanwhile.
        self.reconcile(dice.one_in(2));
        if let Some(id) = asks_meanwhile
            && self.links.contains_key(&id)
        {
            self.take_job(&id, &mut dice);
            self.reconcile(false);
        }
        for link in self.links.values_mut() {
            link.ledger.refuse();
        }
    }

    /// Returns what the runtime sees.
    pub(super) fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// Holds what every server knows against the rules.
    pub(super) fn check(&mut self) {
        let expected = self.expected();
        let known: BTreeMap<&ConnectionId, &BTreeSet<String>> = self
            .links
            .iter()
            .filter(|(id, _)| id.role != Role::Manager)
            .map(|(id, link)| (id, link.ledger.functions()))
            .collect();
        assert_eq!(known, expected.iter().collect(), "{:#?}", self.fleet);
        let managers: Vec<&str> =
            self.links.keys().filter(|id| id.role == Role::Manager).map(|id| id.controller.as_str()).collect();
        assert_eq!(managers, self.fleet.controllers.keys().map(String::as_str).collect::<Vec<_>>());
        self.check_leases();
        self.note_what_is_seen();
    }

    fn note_what_is_seen(&mut self) {
        let mut seen = BTreeSet::new();
        let mut note = |is_so: bool, what| {
            if is_so {
                seen.insert(what);
            }
        };
        for link in self.links.values() {
            let kept = link.ledger.functions().len() > link.state.offered.len();
            note(kept, "a function that only its running job keeps");
            note(link.state.job.is_some() && link.state.offered.is_empty(), "a job whose node offers nothing any more");
        }
        note(self.links.keys().any(|id| matches!(id.role, Role::Pipeline { .. })), "slots of pipelines");
        for job in &self.jobs {
            let grabbed_for = job.connection.as_ref().and_then(ConnectionId::node);
            note(grabbed_for.is_some_and(|node| *node != job.node), "a build that runs elsewhere");
        }
        let names: BTreeSet<_> = self.fleet.controllers.keys().cloned().collect();
        note(names.iter().any(|name| !self.held_back(name).is_empty()), "a project that is held back");
        let mut owners: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (function, projects) in oracle::wanted(&self.fleet).into_values().flatten() {
            owners.entry(function).or_default().extend(projects);
        }
        for (function, projects) in owners.iter().filter(|(_, projects)| projects.len() > 1) {
            let projects: Vec<&str> = projects.iter().map(String::as_str).collect();
            let is_last = oracle::walk(&projects).last() == self.incumbents.get(function);
            note(is_last, "a contested name with the last one walked");
            note(!is_last, "a contested name with its incumbent");
        }
        self.seen.extend(seen);
    }

    /// Works out from nothing which connections there are and what the server knows of each.
    fn expected(&mut self) -> BTreeMap<ConnectionId, BTreeSet<String>> {
        let offered = oracle::offered(&self.fleet, &mut self.incumbents);
        let busy: Vec<&ConnectionId> = self.jobs.iter().filter_map(|job| job.connection.as_ref()).collect();
        // Whatever becomes of its node, a connection with a job stays, and so does the function of its job.
        let mut expected: BTreeMap<ConnectionId, BTreeSet<String>> =
            busy.iter().map(|id| ((*id).clone(), BTreeSet::new())).collect();
        for (name, controller) in &self.fleet.controllers {
            let ci = ControllerName::new(name);
            let held_back = self.held_back(name);
            let functions_for = |id: &ConnectionId, pipelines_only: bool| -> BTreeSet<String> {
                let node = id.node().expect("no manager").clone();
                let running = self.links.get(id).and_then(|link| link.state.job.as_ref()).map(FunctionName::as_str);
                let row = offered.get(&(name.clone(), key_of(&node)));
                let kept = row.into_iter().flatten().filter(|(function, project)| {
                    let is_pipeline = controller.projects[*project].kind == Kind::Pipeline;
                    let withheld = (ci.clone(), node.clone(), ProjectName::new(project.as_str()));
                    (is_pipeline || !pipelines_only)
                        && !self.withheld.contains(&withheld)
                        && (running == Some(function.as_str()) || !held_back.contains(*project))
                });
                kept.map(|(function, _)| function.clone()).collect()
            };
            for (node_name, node) in &controller.nodes {
                let node_id = node_name_of(node_name);
                let of_node = |id: &&&ConnectionId| {
                    id.controller == ci && matches!(&id.role, Role::Executor { node, .. } if *node == node_id)
                };
                let mut ids: BTreeSet<ConnectionId> = busy.iter().filter(of_node).map(|id| (*id).clone()).collect();
                if node.state != State::Disconnected {
                    let displaced = self.jobs.iter().filter(|job| {
                        job.connection.as_ref().is_some_and(|id| of_node(&&id))
                            && job.holds_executor()
                            && job.node != node_id
                    });
                    let count = node.executors as usize + displaced.count();
                    let free = (0..).map(|index| ConnectionId::executor(&ci, &node_id, index));
                    let free: Vec<_> =
                        free.filter(|id| !ids.contains(id)).take(count.saturating_sub(ids.len())).collect();
                    ids.extend(free);
                }
                expected.extend(ids.into_iter().map(|id| (id.clone(), functions_for(&id, false))));
            }
            let is_slot = |id: &&&ConnectionId| id.controller == ci && matches!(id.role, Role::Pipeline { .. });
            let row = offered.get(&(name.clone(), OWN_NODE.to_owned()));
            let has_pipelines =
                row.into_iter().flatten().any(|(_, project)| controller.projects[project].kind == Kind::Pipeline);
            if controller.nodes[OWN_NODE].executors == 0 && has_pipelines {
                let mut ids: BTreeSet<ConnectionId> = busy.iter().filter(is_slot).map(|id| (*id).clone()).collect();
                let count = match self.slots {
                    PipelineSlots::Fixed(count) => count as usize,
                    PipelineSlots::Auto => controller.nodes.keys().map(|node| self.idle(name, node)).sum(),
                };
                let free = (0..).map(|index| ConnectionId::pipeline(&ci, index));
                let free: Vec<_> = free.filter(|id| !ids.contains(id)).take(count.saturating_sub(ids.len())).collect();
                ids.extend(free);
                expected.extend(ids.into_iter().map(|id| (id.clone(), functions_for(&id, true))));
            }
        }
        for (id, functions) in &mut expected {
            let running = self.links.get(id).and_then(|link| link.state.job.as_ref());
            functions.extend(running.map(|function| function.as_str().to_owned()));
        }
        expected
    }

    /// Returns the projects of which Jenkins would merge or block another build now.
    fn held_back(&self, controller: &str) -> BTreeSet<String> {
        let projects = &self.fleet.controllers[controller].projects;
        let is_single = |name: &str| projects.get(name).is_some_and(|project| !project.concurrent);
        let here = self.jobs.iter().filter(|job| job.controller == controller);
        let is_seen = |job: &&Running| {
            job.number.is_some() && self.fleet.controllers[controller].nodes.contains_key(&key_of(&job.node))
        };
        let held = here.filter(|job| match job.connection {
            Some(_) => is_single(&job.project) || (!job.marked && job.number.is_none()),
            None => is_seen(job) && is_single(&job.project),
        });
        held.map(|job| job.project.clone()).collect()
    }

    /// Returns how many executors of a node are neither busy nor promised.
    fn idle(&self, controller: &str, node: &str) -> usize {
        let found = &self.fleet.controllers[controller].nodes[node];
        let taken = self
            .jobs
            .iter()
            .filter(|job| job.controller == controller && job.holds_executor() && job.node == node_name_of(node));
        if found.state == State::Online { (found.executors as usize).saturating_sub(taken.count()) } else { 0 }
    }

    /// No more promises than idle executors, and none that are not needed.
    fn check_leases(&self) {
        for (name, controller) in &self.fleet.controllers {
            for node in controller.nodes.keys() {
                let of_node = |id: &ConnectionId| {
                    let is_slot = matches!(id.role, Role::Pipeline { .. });
                    id.controller.as_str() == name && !is_slot && id.node() == Some(&node_name_of(node))
                };
                let waiting = self.links.iter().filter(|(id, link)| of_node(id) && link.state.job.is_none());
                let waiting: Vec<&Link> = waiting.map(|(_, link)| link).collect();
                let leased = waiting.iter().filter(|link| link.state.leased).count();
                let offering = waiting.iter().filter(|link| !link.state.offered.is_empty()).count();
                assert_eq!(leased, offering.min(self.idle(name, node)), "{name} {node}");
            }
        }
    }

    /// Looks at the fleet, as the reconciler does after every event.
    fn reconcile(&mut self, table_is_late: bool) {
        self.snapshot = Arc::new(self.look());
        if table_is_late {
            self.take_steps();
        }
        let is_known = self.computed_from.as_ref().is_some_and(|before| before.gives_the_same_table(&self.snapshot));
        if !is_known {
            let config = Config::default();
            let mut rules = PolicyRules::new(&self.generation, &self.snapshot, &config);
            self.table = table(&self.snapshot, &mut rules, &self.table);
            self.computed_from = Some(Arc::clone(&self.snapshot));
        }
        self.take_steps();
        assert_eq!(self.plan(), [], "a plan of a world in which the steps were taken");
    }

    fn plan(&self) -> Vec<Step> {
        let ours = self.jobs.iter().filter(|job| job.connection.is_some());
        let attempts: Vec<plan::Attempt> = ours
            .map(|job| plan::Attempt {
                controller: ControllerName::new(&job.controller),
                project: ProjectName::new(&job.project),
                connection: job.connection.clone(),
                node: Some(job.node.clone()),
                holds_executor: job.holds_executor(),
                build: job.id(),
                queue_item: None,
                marked: job.marked,
            })
            .collect();
        let connections = self.links.iter().map(|(id, link)| (id.clone(), link.state.clone())).collect();
        plan(&plan::World {
            snapshot: &self.snapshot,
            table: &self.table,
            connections: &connections,
            attempts: &attempts,
            ended: &[],
            withheld: &self.withheld,
            grabbing: true,
            pipeline_slots: self.slots,
        })
    }

    fn take_steps(&mut self) {
        for step in self.plan() {
            match step {
                Step::Open(id) => {
                    let (state, ledger) = (plan::Connection::default(), Ledger::new(&id.to_string()));
                    self.links.insert(id, Link { state, ledger, meanings: BTreeMap::new() });
                }
                Step::Close(id) => {
                    let closed = self.links.remove(&id).expect("it was open");
                    assert_eq!(closed.state.job, None, "its job would run twice");
                }
                Step::Offer(id, functions) => {
                    let row = id.node().and_then(|node| self.table.row(&id.controller, node));
                    let meanings = row
                        .into_iter()
                        .flat_map(|row| row.iter())
                        .map(|(name, offer)| (name.as_str().to_owned(), offer.project.clone()));
                    let link = self.links.get_mut(&id).expect("it is open");
                    link.meanings.extend(meanings);
                    link.ledger.offer(functions.iter().map(|name| name.as_str().to_owned()));
                    link.state.offered = functions;
                }
                Step::Grant(id) => self.lease(&id, true),
                Step::Revoke(id) => self.lease(&id, false),
            }
        }
    }

    fn lease(&mut self, id: &ConnectionId, leased: bool) {
        let link = self.links.get_mut(id).expect("it is open");
        link.state.leased = leased;
        link.ledger.lease(leased);
    }

    /// Lets a worker ask for a job that has come.
    fn ask(&mut self, dice: &mut Dice) -> Option<ConnectionId> {
        let may_ask = |(_, link): &(&ConnectionId, &Link)| link.state.job.is_none() && link.state.leased;
        let id = dice.pick(self.links.iter().filter(may_ask).map(|(id, _)| id.clone()))?;
        let ledger = &mut self.links.get_mut(&id)?.ledger;
        ledger.wake();
        ledger.asks.then_some(id)
    }

    /// Answers a worker with a job of something that its server believes to be offered.
    fn take_job(&mut self, id: &ConnectionId, dice: &mut Dice) {
        let link = self.links.get_mut(id).expect("it asked");
        let Some(function) = dice.pick(link.ledger.functions().iter().cloned()).filter(|_| link.ledger.asks) else {
            return;
        };
        link.ledger.assign(&function);
        let project = link.meanings[&function].full().to_owned();
        let controller = &self.fleet.controllers[id.controller.as_str()];
        let Some(found) = controller.projects.get(&project) else {
            // The project is gone: the job fails at once.
            return link.ledger.complete();
        };
        link.state.job = Some(FunctionName::new(function).unwrap());
        self.jobs.push(Running {
            controller: id.controller.as_str().to_owned(),
            connection: Some(id.clone()),
            project,
            kind: found.kind,
            marked: found.marked,
            node: id.node().expect("no manager asks").clone(),
            number: None,
        });
    }

    /// Starts a build that waits, where Jenkins puts it.
    fn start_build(&mut self, dice: &mut Dice) {
        let waiting = self.jobs.iter().enumerate().filter(|(_, job)| job.number.is_none()).map(|(index, _)| index);
        let Some(index) = dice.pick(waiting) else { return };
        let job = &self.jobs[index];
        let free = self.fleet.controllers[&job.controller].nodes.keys();
        // The promise that it holds itself does not stand in its way.
        let free = free.filter(|node| self.idle(&job.controller, node) > 0 || job.node == node_name_of(node));
        let Some(node) = dice.pick(free.cloned()) else { return };
        let node = if job.holds_executor() { node_name_of(&node) } else { job.node.clone() };
        self.builds += 1;
        let job = &mut self.jobs[index];
        (job.node, job.number) = (node, Some(self.builds));
    }

    fn end_build(&mut self, dice: &mut Dice) {
        let Some(index) = dice.pick(0..self.jobs.len()) else { return };
        let job = self.jobs.swap_remove(index);
        let Some(link) = job.connection.and_then(|id| self.links.get_mut(&id)) else { return };
        // The next plan must not count on a lease that is about to be used.
        link.state.job = None;
        link.ledger.complete();
        link.ledger.refuse();
    }

    fn start_foreign_build(&mut self, dice: &mut Dice) {
        let Some(controller) = dice.pick(self.fleet.controllers.keys().cloned()) else { return };
        let found = &self.fleet.controllers[&controller];
        let can_run = |(_, project): &(&String, &super::model::Project)| {
            !matches!(project.kind, Kind::Pipeline | Kind::Matrix | Kind::Unknown)
        };
        let project = dice.pick(found.projects.iter().filter(can_run));
        let node = dice.pick(found.nodes.keys().filter(|node| self.idle(&controller, node) > 0));
        let (Some((project, spec)), Some(node)) = (project, node) else { return };
        self.builds += 1;
        self.jobs.push(Running {
            connection: None,
            project: project.clone(),
            kind: spec.kind,
            marked: false,
            node: node_name_of(node),
            number: Some(self.builds),
            controller,
        });
    }

    /// What is no change of the fleet: an outage, or a project that is withheld on a node for a while.
    fn disturb(&mut self, dice: &mut Dice) {
        let Some(name) = dice.pick(self.fleet.controllers.keys().cloned()) else { return };
        let controller = self.fleet.controllers.get_mut(&name).expect("it was picked");
        if dice.one_in(2) {
            controller.reachable = !controller.reachable;
            return;
        }
        let (project, node) = (dice.pick(controller.projects.keys()), dice.pick(controller.nodes.keys()));
        let (Some(project), Some(node)) = (project, node) else { return };
        let key = (ControllerName::new(&name), node_name_of(node), ProjectName::new(project));
        if !self.withheld.remove(&key) {
            self.withheld.insert(key);
        }
    }

    /// Returns what the pollers would have published now; a list that stayed the same keeps its allocation.
    fn look(&self) -> Snapshot {
        let controllers = self.fleet.controllers.iter().map(|(name, controller)| {
            let projects: Vec<Project> = controller
                .projects
                .iter()
                .map(|(full_name, project)| Project {
                    kind: match project.kind {
                        Kind::Freestyle => ProjectKind::Freestyle,
                        Kind::Maven => ProjectKind::Maven,
                        Kind::Matrix => ProjectKind::Matrix,
                        Kind::Pipeline => ProjectKind::Pipeline,
                        Kind::Unknown => ProjectKind::Unknown,
                    },
                    buildable: controller.is_buildable(full_name, project),
                    concurrent: project.concurrent,
                    label: project.label.as_ref().map(super::model::Label::text),
                    ..Project::sample(full_name)
                })
                .collect();
            let name = ControllerName::new(name);
            let nodes: Vec<Node> =
                controller.nodes.keys().map(|node| self.node(name.as_str(), controller, node)).collect();
            let before = self.snapshot.controllers.get(&name);
            let seen = snapshot::Controller {
                tags: BTreeSet::new(),
                nodes: Arc::new(nodes),
                nodes_asked_at: Instant::now(),
                projects: match before.filter(|before| *before.projects == projects) {
                    Some(before) => Arc::clone(&before.projects),
                    None => Arc::new(projects),
                },
                quieting_down: false,
                reachable: controller.reachable,
                fresh: true,
                serve: true,
            };
            (name, seen)
        });
        Snapshot::after(&self.snapshot, controllers.collect())
    }

    fn node(&self, controller: &str, of: &super::model::Controller, name: &str) -> Node {
        let node = &of.nodes[name];
        let here = self.jobs.iter().filter(|job| job.controller == controller && job.node == node_name_of(name));
        let running: Vec<&Running> = here.filter(|job| job.number.is_some()).collect();
        let build = |job: &&Running| {
            let id = job.id()?;
            Some(RunningBuild { id, queue_id: None, started_ms: None, parameters: Parameters::new() })
        };
        let busy =
            running.iter().filter(|job| job.holds_executor()).map(|job| Executor { idle: false, build: build(job) });
        let mut executors: Vec<Executor> = busy.collect();
        // Executors that were configured away stay until they are idle.
        while executors.len() < node.executors as usize {
            executors.push(Executor { idle: true, build: None });
        }
        Node {
            offline: node.state != State::Online,
            temporarily_offline: node.state == State::Marked,
            mode: if node.exclusive { Mode::Exclusive } else { Mode::Normal },
            labels: of.labels(name, node),
            executor_count: node.executors,
            executors,
            flyweights: running.iter().filter(|job| !job.holds_executor()).filter_map(build).collect(),
            ..Node::new(node_name_of(name))
        }
    }
}

impl Running {
    fn holds_executor(&self) -> bool {
        !matches!(self.kind, Kind::Pipeline | Kind::Matrix)
    }

    fn id(&self) -> Option<BuildId> {
        Some(BuildId { project: ProjectName::new(&self.project), number: self.number? })
    }
}

fn node_name_of(key: &str) -> NodeName {
    if key == OWN_NODE { NodeName::BuiltIn } else { NodeName::agent(key) }
}

fn key_of(node: &NodeName) -> String {
    node.as_reported().to_owned()
}
