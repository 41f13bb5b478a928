use std::sync::Arc;

use tokio::time::Instant;

use crate::domain::{BuildFunction, Executor, Parameters, Project, ProjectKind, RunningBuild};

use super::super::table::{MatchQuestion, Matched, NameQuestion, Names, Rules, Undecided, table};
use super::*;

/// A world of one controller, `ci`, with what a test says about it.
struct Scene {
    snapshot: Snapshot,
    connections: BTreeMap<ConnectionId, Connection>,
    attempts: Vec<Attempt>,
    ended: Vec<(ControllerName, BuildId)>,
    withheld: BTreeSet<(ControllerName, NodeName, ProjectName)>,
    grabbing: bool,
    slots: PipelineSlots,
}

/// Every project matches everywhere, but for pipelines, which belong to the built-in node.
struct Everywhere;

impl Rules for Everywhere {
    fn is_blocked(&self, _: &ControllerName, _: &Project, _: &Node) -> bool {
        false
    }

    fn matches(&mut self, question: &MatchQuestion<'_>) -> Result<Matched, Undecided> {
        let is_pipeline = question.project.kind == ProjectKind::Pipeline;
        let matched = !is_pipeline || question.node.name == NodeName::BuiltIn;
        Ok(Matched { matched, atoms: BTreeSet::new(), widened: false, clamped: None })
    }

    fn names(&mut self, question: &NameQuestion<'_>) -> Result<Names, Undecided> {
        Ok(Names { owned: Some(vec![BuildFunction::new(question.project.name.full(), None)]), aliases: Vec::new() })
    }

    fn is_pinnable(&self, _: &Project) -> bool {
        true
    }
}

fn ci() -> ControllerName {
    ControllerName::new("ci")
}

fn agent(name: &str, executors: u32) -> Node {
    let idle = (0..executors).map(|_| Executor { idle: true, build: None });
    Node { executor_count: executors, executors: idle.collect(), ..Node::new(NodeName::agent(name)) }
}

fn built_in(executors: u32) -> Node {
    Node { name: NodeName::BuiltIn, ..agent("", executors) }
}

fn project(name: &str) -> Project {
    Project::sample(name)
}

fn executor(node: &str, index: u32) -> ConnectionId {
    ConnectionId::executor(&ci(), &NodeName::agent(node), index)
}

fn function(name: &str) -> FunctionName {
    BuildFunction::new(name, None).name().unwrap()
}

fn attempt(connection: &ConnectionId, real_node: &str) -> Attempt {
    Attempt {
        controller: ci(),
        project: ProjectName::new("lint"),
        connection: Some(connection.clone()),
        node: Some(NodeName::agent(real_node)),
        holds_executor: true,
        build: Some(BuildId { project: ProjectName::new("lint"), number: 1 }),
        queue_item: None,
        marked: true,
    }
}

impl Scene {
    fn new(nodes: Vec<Node>, projects: Vec<Project>) -> Self {
        let controller = Controller {
            tags: BTreeSet::new(),
            nodes: Arc::new(nodes),
            nodes_asked_at: Instant::now(),
            projects: Arc::new(projects),
            quieting_down: false,
            reachable: true,
            fresh: true,
            serve: true,
        };
        Self {
            snapshot: Snapshot::new(BTreeMap::from([(ci(), controller)])),
            connections: BTreeMap::new(),
            attempts: Vec::new(),
            ended: Vec::new(),
            withheld: BTreeSet::new(),
            grabbing: true,
            slots: PipelineSlots::Auto,
        }
    }

    fn controller(&mut self) -> &mut Controller {
        self.snapshot.controllers.get_mut(&ci()).unwrap()
    }

    fn node(&mut self, index: usize) -> &mut Node {
        &mut Arc::make_mut(&mut self.controller().nodes)[index]
    }

    fn plan(&self) -> Vec<Step> {
        let table = table(&self.snapshot, &mut Everywhere, &FunctionTable::default());
        plan(&World {
            snapshot: &self.snapshot,
            table: &table,
            connections: &self.connections,
            attempts: &self.attempts,
            ended: &self.ended,
            withheld: &self.withheld,
            grabbing: self.grabbing,
            pipeline_slots: self.slots,
        })
    }

    /// Takes every step, as the reconciler would, and returns them as text.
    fn step(&mut self) -> Vec<String> {
        let steps = self.plan();
        let shown = steps.iter().map(show).collect();
        for step in steps {
            match step {
                Step::Open(id) => drop(self.connections.insert(id, Connection::default())),
                Step::Close(id) => drop(self.connections.remove(&id)),
                Step::Offer(id, functions) => self.connections.get_mut(&id).unwrap().offered = functions,
                Step::Grant(id) => self.connections.get_mut(&id).unwrap().leased = true,
                Step::Revoke(id) => self.connections.get_mut(&id).unwrap().leased = false,
            }
        }
        assert_eq!(self.plan(), [], "a plan of a world in which the steps were taken");
        shown
    }

    /// Makes a connection run a job of `lint` whose build is on a node.
    fn run(&mut self, connection: &ConnectionId, real_node: &str) {
        self.connections.get_mut(connection).unwrap().job = Some(function("lint"));
        self.attempts.push(attempt(connection, real_node));
    }

    fn leased(&self) -> Vec<String> {
        self.connections.iter().filter(|(_, connection)| connection.leased).map(|(id, _)| id.to_string()).collect()
    }
}

fn show(step: &Step) -> String {
    match step {
        Step::Open(id) => format!("open {id}"),
        Step::Close(id) => format!("close {id}"),
        Step::Offer(id, functions) => {
            let names: Vec<&str> = functions.iter().map(FunctionName::as_str).collect();
            format!("offer {id} [{}]", names.join(" "))
        }
        Step::Grant(id) => format!("grant {id}"),
        Step::Revoke(id) => format!("revoke {id}"),
    }
}

#[test]
fn f01_one_connection_per_executor_and_one_manager() {
    let mut scene = Scene::new(vec![built_in(0), agent("a", 2)], vec![project("lint")]);
    let expected = [
        "open ci/manager",
        "open ci/a/0",
        "offer ci/a/0 [build:lint]",
        "open ci/a/1",
        "offer ci/a/1 [build:lint]",
        "grant ci/a/0",
        "grant ci/a/1",
    ];
    assert_eq!(scene.step(), expected);
}

#[test]
fn f16_f17_a_node_that_goes_away_loses_its_connections_and_gets_them_back() {
    let mut scene = Scene::new(vec![built_in(1), agent("a", 1)], vec![project("lint")]);
    scene.step();
    scene.node(1).offline = true;
    assert_eq!(scene.step(), ["close ci/a/0"]);
    scene.node(1).offline = false;
    assert_eq!(scene.step(), ["open ci/a/0", "offer ci/a/0 [build:lint]", "grant ci/a/0"]);
}

#[test]
fn f16_a_temporarily_offline_node_keeps_its_connection_without_functions() {
    let mut scene = Scene::new(vec![built_in(1), agent("a", 1)], vec![project("lint")]);
    scene.step();
    (scene.node(1).offline, scene.node(1).temporarily_offline) = (true, true);
    assert_eq!(scene.step(), ["offer ci/a/0 []", "revoke ci/a/0"]);
}

#[test]
fn a_node_that_disappears_in_mid_build_keeps_the_connection_of_that_job_until_it_ends() {
    let mut scene = Scene::new(vec![built_in(1), agent("a", 2)], vec![project("lint")]);
    scene.step();
    scene.run(&executor("a", 1), "a");
    Arc::make_mut(&mut scene.controller().nodes).pop();
    assert_eq!(scene.step(), ["offer ci/a/1 []", "close ci/a/0"]);
    scene.attempts.clear();
    scene.connections.get_mut(&executor("a", 1)).unwrap().job = None;
    assert_eq!(scene.step(), ["close ci/a/1"]);
}

#[test]
fn f18_connections_follow_the_executor_count_and_a_busy_one_waits_for_its_build() {
    let mut scene = Scene::new(vec![built_in(1), agent("a", 2)], vec![project("lint")]);
    scene.step();
    scene.run(&executor("a", 1), "a");
    *scene.node(1) = agent("a", 1);
    let steps = scene.step();
    assert_eq!(steps, ["close ci/a/0"], "the busy connection stands for the one executor that is left");
    *scene.node(1) = agent("a", 3);
    let steps = scene.step();
    assert!(steps.contains(&"open ci/a/0".to_owned()) && steps.contains(&"open ci/a/2".to_owned()), "{steps:?}");
}

#[test]
fn f18_of_busy_connections_only_as_many_may_go_on_as_executors_are_left() {
    let mut scene = Scene::new(vec![built_in(0), agent("a", 3)], vec![project("lint")]);
    scene.step();
    for index in 0..3 {
        scene.run(&executor("a", index), "a");
    }
    *scene.node(1) = agent("a", 1);
    assert_eq!(scene.step(), ["revoke ci/a/1", "revoke ci/a/2"]);
    scene.attempts.retain(|attempt| attempt.connection != Some(executor("a", 2)));
    scene.connections.get_mut(&executor("a", 2)).unwrap().job = None;
    assert_eq!(scene.step(), ["close ci/a/2"]);
}

#[test]
fn f36_no_lease_without_an_idle_executor() {
    let mut scene = Scene::new(vec![built_in(0), agent("a", 2)], vec![project("lint")]);
    scene.node(1).executors[0].idle = false;
    scene.step();
    assert_eq!(scene.leased(), ["ci/a/0"]);
    scene.node(1).executors[1].idle = false;
    assert_eq!(scene.step(), ["revoke ci/a/0"]);
    scene.node(1).executors[1].idle = true;
    assert_eq!(scene.step(), ["grant ci/a/0"]);
}

#[test]
fn f37_no_lease_while_quieting_down_paused_or_out_of_reach() {
    let mut scene = Scene::new(vec![built_in(0), agent("a", 1)], vec![project("lint")]);
    scene.step();
    let disturbances: [fn(&mut Scene, bool); 3] = [
        |scene, on| scene.controller().quieting_down = on,
        |scene, on| scene.controller().fresh = !on,
        |scene, on| scene.grabbing = !on,
    ];
    for disturb in disturbances {
        disturb(&mut scene, true);
        assert_eq!(scene.step(), ["revoke ci/a/0"]);
        disturb(&mut scene, false);
        assert_eq!(scene.step(), ["grant ci/a/0"]);
    }
    scene.controller().reachable = false;
    assert_eq!(scene.step(), ["offer ci/a/0 []", "revoke ci/a/0"]);
}

#[test]
fn a_build_that_runs_elsewhere_frees_its_node_for_a_relief_connection() {
    let mut scene = Scene::new(vec![built_in(0), agent("a", 1), agent("b", 1)], vec![project("lint")]);
    scene.step();
    scene.run(&executor("a", 0), "b");
    let steps = scene.step();
    assert_eq!(steps, ["revoke ci/a/0", "open ci/a/1", "offer ci/a/1 [build:lint]", "grant ci/a/1", "revoke ci/b/0"]);
    scene.attempts.clear();
    scene.connections.get_mut(&executor("a", 0)).unwrap().job = None;
    scene.step();
    assert_eq!(scene.connections.len(), 3, "the relief connection is gone: {:?}", scene.connections.keys());
}

#[test]
fn a_running_job_keeps_its_lease_for_the_next_grab_while_its_executor_will_be_free_again() {
    let mut scene = Scene::new(vec![built_in(0), agent("a", 1)], vec![project("lint")]);
    scene.step();
    scene.run(&executor("a", 0), "a");
    assert_eq!(scene.step(), Vec::<String>::new());
    (scene.node(1).offline, scene.node(1).temporarily_offline) = (true, true);
    assert_eq!(scene.step(), ["offer ci/a/0 []", "revoke ci/a/0"]);
}

#[test]
fn an_unmarked_project_is_withdrawn_elsewhere_until_its_build_has_started() {
    let mut scene = Scene::new(vec![built_in(0), agent("a", 2)], vec![project("lint"), project("other")]);
    scene.step();
    scene.run(&executor("a", 0), "a");
    scene.attempts[0].marked = false;
    scene.attempts[0].build = None;
    assert_eq!(scene.step(), ["offer ci/a/1 [build:other]"]);
    scene.attempts[0].build = Some(BuildId { project: ProjectName::new("lint"), number: 1 });
    assert_eq!(scene.step(), ["offer ci/a/1 [build:lint build:other]"]);
}

#[test]
fn a_non_concurrent_project_is_withdrawn_while_it_runs_whoever_started_it() {
    let mut once = project("lint");
    once.concurrent = false;
    let mut scene = Scene::new(vec![built_in(0), agent("a", 2)], vec![once]);
    scene.step();
    let id = BuildId { project: ProjectName::new("lint"), number: 7 };
    let build = RunningBuild { id: id.clone(), queue_id: None, started_ms: None, parameters: Parameters::new() };
    scene.node(1).executors[0] = Executor { idle: false, build: Some(build) };
    assert_eq!(scene.step().iter().filter(|step| step.ends_with("[]")).count(), 2);
    scene.ended.push((ci(), id));
    assert_eq!(scene.step().iter().filter(|step| step.ends_with("[build:lint]")).count(), 2);
}

#[test]
fn a_project_is_withheld_on_the_node_from_which_it_was_handed_back() {
    let mut scene = Scene::new(vec![built_in(0), agent("a", 1), agent("b", 1)], vec![project("lint")]);
    scene.step();
    scene.withheld.insert((ci(), NodeName::agent("a"), ProjectName::new("lint")));
    assert_eq!(scene.step(), ["offer ci/a/0 []", "revoke ci/a/0"]);
}

#[test]
fn f11_running_pipelines_use_up_slots_whether_they_occupy_an_executor_or_not() {
    let mut pipeline = project("deploy");
    pipeline.kind = ProjectKind::Pipeline;
    let mut scene = Scene::new(vec![built_in(0), agent("a", 2)], vec![pipeline]);
    scene.step();
    let id = BuildId { project: ProjectName::new("deploy"), number: 1 };
    let slot = ConnectionId::pipeline(&ci(), 0);
    scene.connections.get_mut(&slot).unwrap().job = Some(function("deploy"));
    scene.attempts.push(Attempt {
        project: id.project.clone(),
        node: Some(NodeName::BuiltIn),
        holds_executor: false,
        build: Some(id.clone()),
        ..attempt(&slot, "a")
    });
    assert_eq!(scene.step(), Vec::<String>::new(), "one runs, one may come");
    let part = RunningBuild { id, queue_id: None, started_ms: None, parameters: Parameters::new() };
    scene.node(1).executors[0] = Executor { idle: false, build: Some(part.clone()) };
    assert_eq!(scene.step(), Vec::<String>::new(), "its part shows on an executor");
    scene.node(1).executors[1] = Executor { idle: false, build: Some(part) };
    assert_eq!(scene.step(), ["revoke ci/pipeline/1"], "two parts of one pipeline leave nothing idle");
    scene.node(1).executors[1] = Executor { idle: false, build: None };
    assert_eq!(scene.step(), ["close ci/pipeline/1"], "somebody else's build takes a slot away");
}

#[test]
fn f13_a_matrix_leaves_the_executors_of_its_node_to_its_cells_and_to_other_connections() {
    let mut matrix = project("matrix");
    matrix.kind = ProjectKind::Matrix;
    let mut scene = Scene::new(vec![built_in(0), agent("a", 2)], vec![matrix, project("lint")]);
    scene.step();
    scene.connections.get_mut(&executor("a", 0)).unwrap().job = Some(function("matrix"));
    let id = BuildId { project: ProjectName::new("matrix"), number: 1 };
    let parent = attempt(&executor("a", 0), "a");
    scene.attempts.push(Attempt { project: id.project.clone(), holds_executor: false, build: Some(id), ..parent });
    assert_eq!(scene.step(), ["revoke ci/a/0"], "it gets a lease of its own when its job has ended");
    assert_eq!(scene.leased(), ["ci/a/1"]);
    scene.node(1).executors[0].idle = false;
    assert_eq!(scene.step(), Vec::<String>::new(), "a cell runs, and another build may");
    scene.node(1).executors[1].idle = false;
    assert_eq!(scene.step(), ["revoke ci/a/1"]);
    *scene.node(1) = agent("a", 2);
    scene.attempts.clear();
    scene.connections.get_mut(&executor("a", 0)).unwrap().job = None;
    assert_eq!(scene.step(), ["grant ci/a/0", "grant ci/a/1"]);
}

#[test]
fn f11_pipelines_get_slots_of_their_own_only_without_built_in_executors() {
    let mut pipeline = project("deploy");
    pipeline.kind = ProjectKind::Pipeline;
    let mut scene = Scene::new(vec![built_in(0), agent("a", 2)], vec![pipeline.clone()]);
    scene.step();
    let slots = |scene: &Scene| scene.connections.keys().filter(|id| matches!(id.role, Role::Pipeline { .. })).count();
    assert_eq!(slots(&scene), 2, "as many as there are idle executors");
    scene.slots = PipelineSlots::Fixed(5);
    scene.step();
    assert_eq!(slots(&scene), 5);
    let mut classic = Scene::new(vec![built_in(1), agent("a", 2)], vec![pipeline]);
    classic.step();
    assert_eq!(slots(&classic), 0);
    assert_eq!(
        classic.connections[&ConnectionId::executor(&ci(), &NodeName::BuiltIn, 0)].offered,
        FunctionSet::from_iter([function("deploy")])
    );
}

#[test]
fn the_executor_of_a_build_that_has_just_ended_is_not_promised_twice() {
    let mut scene = Scene::new(vec![built_in(0), agent("a", 2)], vec![project("lint")]);
    scene.node(1).executors[1].idle = false;
    scene.step();
    assert_eq!(scene.leased(), ["ci/a/0"]);
    scene.run(&executor("a", 0), "a");
    scene.step();
    // The build has ended; its connection still has the job and the lease, and will grab with both.
    scene.attempts.clear();
    assert_eq!(scene.step(), Vec::<String>::new());
    scene.connections.get_mut(&executor("a", 0)).unwrap().job = None;
    assert_eq!(scene.step(), Vec::<String>::new());
    assert_eq!(scene.leased(), ["ci/a/0"]);
}
