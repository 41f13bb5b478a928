use std::fmt::Write as _;
use std::time::Duration;

use expect_test::{Expect, expect};

use super::fleet::*;
use super::world::*;
use crate::domain::{BuildResult, Mode, ProjectKind};

/// A world on a clock that starts at 0, told in seconds.
struct Scene {
    world: World,
}

impl Scene {
    fn new(nodes: Vec<NodeSpec>, projects: Vec<ProjectSpec>) -> Self {
        Self::with_latency(nodes, projects, Duration::ZERO)
    }

    fn with_latency(nodes: Vec<NodeSpec>, projects: Vec<ProjectSpec>, start_latency: Duration) -> Self {
        let settings = Settings {
            version: super::Version::default(),
            root_url: "http://jenkins/".to_owned(),
            keep_builds: 3,
            crumbs: true,
            start_latency,
        };
        Self { world: World::new(settings, &Fleet { nodes, projects, ..Fleet::default() }, 0) }
    }

    fn build(&mut self, project: &str) -> u64 {
        self.build_with(project, &[], None)
    }

    fn build_with(&mut self, project: &str, parameters: &[(&str, ParameterKind, &str)], delay: Option<u64>) -> u64 {
        let value = |(name, kind, value): &(&str, ParameterKind, &str)| Value {
            name: (*name).to_owned(),
            kind: *kind,
            value: (*value).to_owned(),
        };
        let values = parameters.iter().map(value).collect();
        let delay = delay.map(Duration::from_secs);
        match self.world.schedule(project, values, Cause::Timer, delay) {
            Scheduled::Created(id) | Scheduled::Merged(id) => id,
        }
    }

    fn advance_to(&mut self, seconds: u64) {
        self.world.advance(seconds * 1000);
    }

    /// Compares what is in the queue, on the executors, and over.
    #[track_caller]
    fn check(&self, expected: Expect) {
        let world = &self.world;
        let mut text = String::new();
        for item in world.queue.values() {
            let stage = match item.stage {
                Stage::Waiting { .. } => "waiting",
                Stage::Blocked { .. } => "blocked",
                Stage::Buildable { .. } => "buildable",
                Stage::Pending { .. } => "pending",
            };
            let why = world.why(item, || world.prospect(&world.wish(item))).unwrap_or_default();
            writeln!(text, "queue {} {} {stage}: {why}", item.id, item.task.project()).unwrap();
        }
        for node in world.nodes.values() {
            for occupant in node.executors.values().flatten().chain(&node.one_offs) {
                let what = match occupant {
                    Occupant::Pending { id } => format!("pending {id}"),
                    Occupant::Build { project, number } => format!("{project} #{number}"),
                    Occupant::Placeholder { project, number } => format!("part of {project} #{number}"),
                };
                writeln!(text, "{} runs {what}", world.node_display_name(node)).unwrap();
            }
        }
        for project in world.items.keys().filter_map(|name| world.project(name)) {
            for build in project.builds.values().filter(|build| !build.is_building()) {
                let result = build.result.unwrap();
                writeln!(text, "{} #{} {result} after {}ms", project.spec.full_name, build.number, build.duration())
                    .unwrap();
            }
        }
        expected.assert_eq(&text);
    }
}

fn lasting(full_name: &str, seconds: u64) -> ProjectSpec {
    ProjectSpec { duration: Length::Fixed(Duration::from_secs(seconds)), ..ProjectSpec::new(full_name) }
}

fn labelled(full_name: &str, label: &str) -> ProjectSpec {
    ProjectSpec { label: Some(label.to_owned()), concurrent: true, ..lasting(full_name, 10) }
}

fn pipeline(full_name: &str, labels: &[&str]) -> ProjectSpec {
    let steps = labels
        .iter()
        .map(|label| StepSpec { label: Some((*label).to_owned()), duration: Length::Fixed(Duration::from_secs(10)) });
    ProjectSpec {
        kind: ProjectKind::Pipeline,
        steps: Some(steps.collect()),
        concurrent: true,
        ..lasting(full_name, 10)
    }
}

fn agent(name: &str, labels: &[&str]) -> NodeSpec {
    NodeSpec::new(name, 1, labels)
}

#[test]
fn a_build_goes_through_its_quiet_period_and_runs_its_time() {
    let mut scene = Scene::new(vec![agent("a", &[])], vec![lasting("lint", 10)]);
    scene.build_with("lint", &[], Some(5));
    scene.advance_to(4);
    scene.check(expect![[r"
        queue 1 lint waiting: In the quiet period. Expires in 1.0 sec
    "]]);
    scene.advance_to(5);
    scene.check(expect![[r"
        a runs lint #1
    "]]);
    scene.advance_to(100);
    scene.check(expect![[r"
        lint #1 SUCCESS after 10000ms
    "]]);
}

#[test]
fn events_happen_at_their_time_however_late_one_looks() {
    let mut scene = Scene::new(vec![agent("a", &[])], vec![lasting("one", 10), lasting("two", 7)]);
    scene.build("one");
    scene.build("two");
    scene.advance_to(1000);
    assert_eq!(scene.world.build("two", 1).unwrap().started, 10_000);
    assert_eq!(scene.world.build("two", 1).unwrap().ended, Some(17_000));
    assert!(scene.world.left.is_empty(), "left items are forgotten after five minutes");
}

#[test]
fn a_project_that_is_not_concurrent_builds_one_at_a_time() {
    let mut scene = Scene::new(vec![NodeSpec::new("a", 3, &[])], vec![lasting("lint", 10)]);
    for word in ["x", "y", "z"] {
        scene.build_with("lint", &[("WORD", ParameterKind::String, word)], None);
    }
    scene.check(expect![[r"
        queue 2 lint blocked: Build #1 is already in progress (ETA: N/A)
        queue 3 lint blocked: Build #1 is already in progress (ETA: N/A)
        a runs lint #1
    "]]);
    scene.advance_to(10);
    scene.check(expect![[r"
        queue 3 lint blocked: Build #2 is already in progress (ETA: N/A)
        a runs lint #2
        lint #1 SUCCESS after 10000ms
    "]]);
}

#[test]
fn labels_modes_and_pins_decide_where_a_build_may_run() {
    let exclusive = NodeSpec { mode: Mode::Exclusive, ..agent("b", &["gpu"]) };
    let projects =
        vec![lasting("any", 10), labelled("gpu", "gpu && !arm"), labelled("none", "sparc"), labelled("pinned", "x")];
    let mut scene = Scene::new(vec![exclusive], projects);
    scene.build("any");
    scene.build("none");
    scene.check(expect![[r"
        queue 1 any buildable: Waiting for next available executor
        queue 2 none buildable: There are no nodes with the label ‘sparc’
    "]]);
    scene.build("gpu");
    scene.build_with("pinned", &[("NODE", ParameterKind::Node, "b")], None);
    scene.check(expect![[r"
        queue 1 any buildable: Waiting for next available executor
        queue 2 none buildable: There are no nodes with the label ‘sparc’
        queue 4 pinned buildable: Waiting for next available executor on ‘b’
        b runs gpu #1
    "]]);
    scene.world.mark_offline("b", Some(OfflineMark { user: "u".to_owned(), reason: "r".to_owned(), at: 0 }));
    scene.advance_to(20);
    scene.check(expect![[r"
        queue 1 any buildable: Waiting for next available executor
        queue 2 none buildable: There are no nodes with the label ‘sparc’
        queue 4 pinned buildable: ‘b’ is offline
        gpu #1 SUCCESS after 10000ms
    "]]);
    scene.world.mark_offline("b", None);
    scene.check(expect![[r"
        queue 1 any buildable: Waiting for next available executor
        queue 2 none buildable: There are no nodes with the label ‘sparc’
        b runs pinned #1
        gpu #1 SUCCESS after 10000ms
    "]]);
}

#[test]
fn a_pipeline_occupies_no_executor_but_its_steps_do() {
    let nodes = vec![agent("a", &["linux"]), agent("b", &["mac"])];
    let mut scene = Scene::new(nodes, vec![pipeline("flow", &["linux", "${WHERE}"])]);
    scene.build_with("flow", &[("WHERE", ParameterKind::String, "mac")], None);
    scene.check(expect![[r"
        Built-In Node runs flow #1
        a runs part of flow #1
    "]]);
    scene.build("flow");
    scene.advance_to(10);
    scene.check(expect![[r"
        Built-In Node runs flow #1
        Built-In Node runs flow #2
        a runs part of flow #2
        b runs part of flow #1
    "]]);
    scene.world.stop("flow", 2, Order::Stop);
    scene.advance_to(20);
    scene.check(expect![[r"
        flow #1 SUCCESS after 20000ms
        flow #2 ABORTED after 10000ms
    "]]);
}

#[test]
fn a_pipeline_goes_on_where_it_was_after_a_restart() {
    let mut scene = Scene::new(vec![agent("a", &["linux"])], vec![pipeline("flow", &["linux"]), lasting("lint", 10)]);
    scene.build("flow");
    scene.advance_to(4);
    scene.world.restart();
    scene.build("lint");
    scene.check(expect![[r"
        queue 4 lint buildable: Waiting for next available executor
        Built-In Node runs flow #1
        a runs part of flow #1
    "]]);
    scene.advance_to(10);
    scene.check(expect![[r"
        a runs lint #1
        flow #1 SUCCESS after 10000ms
    "]]);
}

#[test]
fn a_matrix_runs_its_cells_and_takes_the_worst_result() {
    let axes = [("OS".to_owned(), vec!["linux".to_owned(), "mac".to_owned()])].into();
    let matrix = ProjectSpec { kind: ProjectKind::Matrix, axes, ..lasting("all", 10) };
    let mut scene = Scene::new(vec![agent("a", &[])], vec![matrix]);
    scene.world.quieting_down = false;
    scene.build_with("all", &[("UUID", ParameterKind::String, "u")], None);
    scene.world.quieting_down = true;
    scene.check(expect![[r"
        queue 3 all/OS=mac buildable: Waiting for next available executor
        Built-In Node runs all #1
        a runs all/OS=linux #1
    "]]);
    assert_eq!(scene.world.queue[&3].parameters[0].value, "u");
    scene.world.finish("all/OS=linux", 1, BuildResult::Unstable);
    scene.advance_to(30);
    scene.check(expect![[r"
        all #1 UNSTABLE after 10000ms
        all/OS=linux #1 UNSTABLE after 0ms
        all/OS=mac #1 SUCCESS after 10000ms
    "]]);
}

#[test]
fn aborting_a_matrix_aborts_its_cells() {
    let axes = [("OS".to_owned(), vec!["linux".to_owned(), "mac".to_owned()])].into();
    let matrix = ProjectSpec { kind: ProjectKind::Matrix, axes, ..lasting("all", 10) };
    let mut scene = Scene::new(vec![agent("a", &[])], vec![matrix]);
    scene.build("all");
    scene.world.stop("all", 1, Order::Stop);
    scene.check(expect![[r"
        all #1 ABORTED after 0ms
        all/OS=linux #1 ABORTED after 0ms
    "]]);
}

#[test]
fn quieting_down_accepts_builds_and_starts_none() {
    let mut scene = Scene::new(vec![agent("a", &[])], vec![lasting("lint", 10)]);
    scene.world.quieting_down = true;
    scene.build("lint");
    scene.check(expect![[r"
        queue 1 lint buildable: Jenkins is about to shut down
    "]]);
}

#[test]
fn a_pending_item_holds_its_executor_and_survives_a_restart() {
    let latency = Duration::from_secs(2);
    let mut scene = Scene::with_latency(vec![agent("a", &[])], vec![lasting("lint", 10)], latency);
    let id = scene.build("lint");
    scene.check(expect![[r"
        queue 1 lint pending: 
        a runs pending 1
    "]]);
    assert_eq!(scene.world.cancel(id), Cancelled::TooLate);
    scene.advance_to(1);
    scene.world.restart();
    scene.advance_to(20);
    assert_eq!(scene.world.build("lint", 1).unwrap().queue_id, id);
}

#[test]
fn a_removed_or_shrunk_node_keeps_its_builds_until_they_are_over() {
    let mut scene = Scene::new(vec![NodeSpec::new("a", 2, &[]), agent("b", &[])], vec![lasting("lint", 10)]);
    scene.world.mark_offline("b", Some(OfflineMark { user: String::new(), reason: String::new(), at: 0 }));
    scene.build("lint");
    scene.world.reconfigure_node("a", Some(0), None, None);
    assert_eq!(scene.world.nodes["a"].executors.len(), 1);
    assert!(scene.world.remove_node("a") && !scene.world.remove_node("a"));
    scene.check(expect![[r"
        a runs lint #1
    "]]);
    scene.advance_to(10);
    assert!(!scene.world.nodes.contains_key("a"));
    assert_eq!(scene.world.build("lint", 1).unwrap().result, Some(BuildResult::Success));
}

#[test]
fn a_lost_node_fails_what_runs_there() {
    let mut scene = Scene::new(vec![agent("a", &["linux"])], vec![lasting("lint", 10), pipeline("flow", &["linux"])]);
    scene.build("flow");
    scene.world.set_disconnected("a", Some(OfflineMark { user: String::new(), reason: String::new(), at: 0 }));
    scene.build("lint");
    scene.check(expect![[r"
        queue 3 lint buildable: Waiting for next available executor
        flow #1 FAILURE after 0ms
    "]]);
}

#[test]
fn disabling_a_folder_cancels_what_is_queued_in_it() {
    let mut scene = Scene::new(vec![], vec![lasting("team/lint", 10)]);
    let id = scene.build("team/lint");
    scene.world.set_disabled("team", true);
    assert!(scene.world.queue.is_empty() && scene.world.left[&id].cancelled);
    assert!(!scene.world.is_buildable("team/lint"));
}

#[test]
fn builds_survive_what_their_project_says() {
    let stubborn = |spec: ProjectSpec| ProjectSpec { ignores_stop: true, ..spec };
    let undead = |spec: ProjectSpec| ProjectSpec { ignores_term: true, ..stubborn(spec) };
    let slow = |spec: ProjectSpec| ProjectSpec { survives_stops: 2, ..spec };
    for (spec, orders, dies_of) in [
        (lasting("lint", 10), vec![Order::Stop], Some(0)),
        (slow(lasting("lint", 10)), vec![Order::Stop; 3], Some(2)),
        (stubborn(lasting("lint", 10)), vec![Order::Stop; 5], None),
        (stubborn(pipeline("lint", &["linux"])), vec![Order::Stop, Order::Stop, Order::Terminate], Some(2)),
        (undead(pipeline("lint", &["linux"])), vec![Order::Stop, Order::Terminate, Order::Kill], Some(2)),
    ] {
        let mut scene = Scene::new(vec![NodeSpec::new("a", 2, &["linux"])], vec![spec.clone()]);
        scene.build("lint");
        let died_of = orders.into_iter().position(|order| {
            scene.world.stop("lint", 1, order);
            !scene.world.build("lint", 1).unwrap().is_building()
        });
        assert_eq!(died_of, dies_of, "{spec:?}");
    }
}

#[test]
fn post_production_keeps_the_executor_and_old_builds_are_forgotten() {
    let slow = ProjectSpec { post_production: Duration::from_secs(5), early_result: true, ..lasting("lint", 10) };
    let mut scene = Scene::new(vec![agent("a", &[])], vec![slow]);
    scene.build("lint");
    assert_eq!(scene.world.build("lint", 1).unwrap().result, Some(BuildResult::Success));
    scene.advance_to(12);
    let build = scene.world.build("lint", 1).unwrap();
    assert!(!build.is_building() && build.in_progress && !scene.world.nodes["a"].is_idle());
    scene.advance_to(15);
    assert!(!scene.world.build("lint", 1).unwrap().in_progress && scene.world.nodes["a"].is_idle());
    for round in 1..=5 {
        scene.build("lint");
        scene.advance_to(15 + round * 15);
    }
    let kept: Vec<u64> = scene.world.project("lint").unwrap().builds.keys().copied().collect();
    assert_eq!(kept, [4, 5, 6]);
}

#[test]
fn an_item_can_leave_without_a_build() {
    let lost = ProjectSpec { never_created: true, ..lasting("lint", 10) };
    let mut scene = Scene::new(vec![agent("a", &[])], vec![lost]);
    let id = scene.build("lint");
    let left = &scene.world.left[&id];
    assert!(!left.cancelled && left.number.is_none());
    assert!(scene.world.nodes["a"].is_idle());
}

#[test]
fn a_renamed_project_keeps_its_builds_and_its_queue() {
    let mut scene = Scene::new(vec![], vec![lasting("old/lint", 10)]);
    let id = scene.build("old/lint");
    assert!(scene.world.rename("old", "new/home"));
    assert_eq!(scene.world.queue[&id].task.project(), "new/home/lint");
    assert!(scene.world.project("new/home/lint").is_some() && scene.world.project("old/lint").is_none());
    assert!(!scene.world.rename("nothing", "x"));
}

#[test]
fn nothing_can_be_put_into_a_project_or_into_itself() {
    let mut scene = Scene::new(vec![], vec![lasting("team/lint", 10), lasting("other", 10)]);
    assert!(!scene.world.add_project(lasting("team/lint/inner", 10)));
    assert!(!scene.world.rename("team", "team/deeper"));
    assert!(!scene.world.rename("other", "team/lint/other"));
    assert!(scene.world.rename("other", "team/other"));
}
