//! T, row by row: whenever a change falls into the rounds, and with answers as slow as T allows for, it is seen in time.

use super::*;

/// How long the look-up takes that a deletion and a new project need on top.
const LOOK_UP: Duration = Duration::from_millis(200);

/// At how many moments of its rounds a controller is changed.
const MOMENTS: u32 = 30;

fn nodes_as_listed(picture: &Picture) -> &[Node] {
    picture.nodes.as_ref().map_or(&[], |seen| seen.value.as_slice())
}

fn projects_as_listed(picture: &Picture) -> &[Project] {
    picture.projects.as_ref().map_or(&[], |seen| seen.value.as_slice())
}

fn knows(picture: &Picture, name: &str) -> bool {
    let known = |project: &Project| project.name.full() == name && project.parameters.is_some();
    projects_as_listed(picture).iter().any(known)
}

/// Holds a change against the bound of its part, and what follows it against a further look-up.
async fn check(part: Part, change: fn(&mut Controller), is_seen: fn(&Picture) -> bool) {
    let intervals = Intervals::default();
    let bound = intervals.bound(part) + LOOK_UP;
    let mut longest = Duration::ZERO;
    for moment in 0..MOMENTS {
        let mut bench = Bench::new(|controller| {
            controller.nodes = nodes(&["a", "b"]);
            controller.projects = projects(&["team/lint", "pack"]);
            controller.look_ups_take = Some(LOOK_UP);
            (controller.nodes_take, controller.projects_take) = (intervals.nodes / 4, intervals.projects / 4);
        });
        bench.until(|picture| knows(picture, "pack") && nodes_as_listed(picture).len() == 2).await;
        let period = if part == Part::Nodes { intervals.nodes } else { intervals.projects };
        sleep(period * 5 + period * 2 * moment / MOMENTS).await;
        let start = Instant::now();
        bench.fake.set(change);
        bench.until(|picture| is_seen(picture)).await;
        longest = longest.max(start.elapsed());
        bench.stop.cancel();
    }
    assert!(longest <= bound, "seen after {longest:?}, promised within {bound:?}");
}

#[tokio::test(start_paused = true)]
async fn f14_a_project_that_is_disabled_is_seen_within_t() {
    let disable = |controller: &mut Controller| controller.projects[1].buildable = false;
    check(Part::Projects, disable, |picture| !projects_as_listed(picture)[1].buildable).await;
}

#[tokio::test(start_paused = true)]
async fn f15_projects_that_are_created_renamed_moved_relabelled_and_deleted_are_seen_within_t() {
    let create = |controller: &mut Controller| controller.projects.extend(projects(&["new"]));
    check(Part::Projects, create, |picture| knows(picture, "new")).await;
    let rename = |controller: &mut Controller| controller.projects[1].name = ProjectName::new("packed");
    check(Part::Projects, rename, |picture| knows(picture, "packed") && !knows(picture, "pack")).await;
    let move_it = |controller: &mut Controller| controller.projects[0].name = ProjectName::new("other/lint");
    check(Part::Projects, move_it, |picture| knows(picture, "other/lint") && !knows(picture, "team/lint")).await;
    let relabel = |controller: &mut Controller| controller.projects[0].label = Some("linux".to_owned());
    check(Part::Projects, relabel, |picture| projects_as_listed(picture)[0].label.is_some()).await;
    let delete = |controller: &mut Controller| drop(controller.projects.remove(0));
    check(Part::Projects, delete, |picture| !knows(picture, "team/lint")).await;
}

#[tokio::test(start_paused = true)]
async fn f16_f17_nodes_that_go_come_or_are_marked_or_deleted_are_seen_within_t() {
    let disconnect = |controller: &mut Controller| controller.nodes[0].offline = true;
    check(Part::Nodes, disconnect, |picture| nodes_as_listed(picture)[0].offline).await;
    let mark = |controller: &mut Controller| controller.nodes[0].temporarily_offline = true;
    check(Part::Nodes, mark, |picture| nodes_as_listed(picture)[0].temporarily_offline).await;
    let delete = |controller: &mut Controller| drop(controller.nodes.remove(0));
    check(Part::Nodes, delete, |picture| nodes_as_listed(picture).len() == 1).await;
    let create = |controller: &mut Controller| controller.nodes.extend(nodes(&["c"]));
    check(Part::Nodes, create, |picture| nodes_as_listed(picture).len() == 3).await;
}

#[tokio::test(start_paused = true)]
async fn f18_executors_that_are_added_are_seen_within_t() {
    let add = |controller: &mut Controller| controller.nodes[0].executor_count = 5;
    check(Part::Nodes, add, |picture| nodes_as_listed(picture)[0].executor_count == 5).await;
}

#[tokio::test(start_paused = true)]
async fn f19_labels_of_a_node_are_seen_within_t() {
    let relabel = |controller: &mut Controller| controller.nodes[0].labels = ["gpu".to_owned()].into();
    check(Part::Nodes, relabel, |picture| nodes_as_listed(picture)[0].labels.contains("gpu")).await;
}
