//! The poller on a paused clock, against a controller made of values.

mod bounds;
mod fake;
mod look_ups;

use std::time::Duration;

use tokio::time::{sleep, timeout};

use self::fake::{Bench, Controller, nodes, projects};
use super::*;
use crate::domain::{Mode, Node, NodeName, Project, ProjectKind, ProjectName};
use crate::jenkins::{Error, Intervals};

fn node_names(picture: &Picture) -> Vec<&str> {
    picture.nodes.iter().flat_map(|seen| seen.value.iter()).map(|node| node.name.as_reported()).collect()
}

fn project_names(picture: &Picture) -> Vec<(&str, Option<&str>)> {
    picture
        .projects
        .iter()
        .flat_map(|seen| seen.value.iter())
        .map(|project| (project.name.full(), project.parameters.as_ref().map(|list| list[0].name.as_str())))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn every_part_is_seen_at_once_and_parameters_come_with_the_first_list() {
    let mut bench = Bench::new(|controller| {
        controller.nodes = nodes(&["a", "b"]);
        controller.projects = projects(&["z", "p"]);
    });
    let start = Instant::now();
    let whole = |picture: &Arc<Picture>| {
        picture.nodes.is_some()
            && picture.projects.is_some()
            && picture.queue.is_some()
            && picture.quieting_down.is_some()
    };
    let picture = bench.until(whole).await;
    assert!(start.elapsed() < Duration::from_secs(1));
    assert_eq!(node_names(&picture), ["a", "b"]);
    assert_eq!(project_names(&picture), [("z", Some("in bulk")), ("p", Some("in bulk"))]);
    assert_eq!((picture.session.as_deref(), picture.restarts), (Some("one"), 0));
    assert_eq!(bench.fake.times("parameters of"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_reserved_node_never_passes_for_an_open_one() {
    let mut bench = Bench::new(|controller| {
        controller.nodes = nodes(&["open", "reserved"]);
        controller.exclusive = vec!["reserved"];
    });
    let picture = bench.until(|picture| picture.nodes.is_some()).await;
    let modes: Vec<_> = picture.nodes.as_ref().unwrap().value.iter().map(|node| node.mode).collect();
    assert_eq!(modes, [Mode::Normal, Mode::Exclusive]);
    assert_eq!(picture.nodes.as_ref().unwrap().sequence, 1);
}

#[tokio::test(start_paused = true)]
async fn without_modes_every_node_is_open_and_nothing_is_amiss() {
    let mut bench = Bench::new(|controller| {
        controller.nodes = nodes(&["a"]);
        controller.has_no_modes = true;
    });
    let picture = bench.until(|picture| picture.nodes.is_some()).await;
    assert_eq!(picture.nodes.as_ref().unwrap().value[0].mode, Mode::Normal);
    assert!(picture.trouble.is_none());
}

#[tokio::test(start_paused = true)]
async fn modes_that_are_never_told_hold_the_nodes_up_once_and_not_for_long() {
    let mut bench = Bench::new(|controller| {
        controller.nodes = nodes(&["a"]);
        controller.modes_hang = true;
    });
    let start = Instant::now();
    bench.until(|picture| picture.nodes.is_some()).await;
    assert!(start.elapsed() <= Duration::from_secs(10), "{:?}", start.elapsed());
    let start = Instant::now();
    bench.until(|picture| picture.nodes.as_ref().unwrap().sequence == 5).await;
    assert!(start.elapsed() <= Duration::from_secs(10 + 3 * 4), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn slow_projects_do_not_delay_the_nodes() {
    let mut bench = Bench::new(|controller| controller.projects_take = Duration::from_secs(300));
    let picture = bench.until(|picture| picture.nodes.as_ref().is_some_and(|seen| seen.sequence >= 20)).await;
    assert!(picture.projects.is_none());
    let picture = bench.until(|picture| picture.projects.is_some()).await;
    let seen = picture.projects.as_ref().unwrap();
    assert!(seen.asked_at.elapsed() >= Duration::from_secs(300), "it is as old as its request");
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_read_often_only_while_somebody_watches_it() {
    let mut bench = Bench::new(|_| {});
    let sequence = |picture: &Picture| picture.queue.as_ref().map_or(0, |seen| seen.sequence);
    bench.until(|picture| sequence(picture) == 1).await;
    let start = Instant::now();
    bench.until(|picture| sequence(picture) == 3).await;
    assert!(start.elapsed() >= Duration::from_secs(17), "{:?}", start.elapsed());
    let interests = [bench.watcher.watch_queue(), bench.watcher.watch_queue()];
    let start = Instant::now();
    bench.until(|picture| sequence(picture) == 4).await;
    assert!(start.elapsed() < Duration::from_millis(200), "{:?}", start.elapsed());
    bench.until(|picture| sequence(picture) == 14).await;
    assert!(start.elapsed() < Duration::from_secs(12), "{:?}", start.elapsed());
    drop(interests);
    bench.until(|picture| sequence(picture) == 15).await;
    let start = Instant::now();
    bench.until(|picture| sequence(picture) == 16).await;
    assert!(start.elapsed() >= Duration::from_secs(9), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn hurrying_looks_at_once_and_many_hurries_make_one_look() {
    let mut bench = Bench::new(|_| {});
    bench.until(|picture| picture.projects.is_some()).await;
    sleep(Duration::from_secs(1)).await;
    let (before, start) = (bench.fake.times("projects"), Instant::now());
    for _ in 0..100 {
        bench.watcher.hurry(Part::Projects);
    }
    bench.until(|picture| picture.projects.as_ref().unwrap().asked_at >= start).await;
    assert!(start.elapsed() < Duration::from_millis(10));
    sleep(Duration::from_secs(5)).await;
    assert_eq!(bench.fake.times("projects"), before + 1);
    bench.watcher.hurry(Part::Parameters);
    sleep(Duration::from_secs(1)).await;
    assert_eq!((bench.fake.times("projects"), bench.fake.times("bulk")), (before + 1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_failing_controller_is_left_alone_more_and_more_and_keeps_its_picture() {
    let mut bench = Bench::new(|controller| controller.nodes = nodes(&["a"]));
    bench.until(|picture| picture.nodes.is_some() && picture.projects.is_some()).await;
    bench.fake.set(|controller| controller.is_down = true);
    let picture = bench.until(|picture| picture.trouble.is_some()).await;
    assert!(picture.trouble.as_ref().unwrap().text.contains("starting"));
    let before = bench.fake.times("nodes");
    for _ in 0..10 {
        bench.watcher.hurry(Part::Nodes);
        sleep(Duration::from_secs(6)).await;
    }
    let asked = bench.fake.times("nodes") - before;
    assert!((3..=8).contains(&asked), "asked {asked} times in a minute");
    bench.fake.set(|controller| controller.is_down = false);
    let start = Instant::now();
    let picture = bench.until(|picture| picture.trouble.is_none()).await;
    assert_eq!(node_names(&picture), ["a"]);
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_restart_is_counted_once_and_makes_everything_be_read_again() {
    let mut bench = Bench::new(|_| {});
    bench.until(|picture| picture.projects.is_some()).await;
    bench.fake.set(|controller| controller.session = "two");
    let picture = bench.until(|picture| picture.restarts > 0).await;
    assert_eq!(picture.session.as_deref(), Some("two"));
    let start = Instant::now();
    let all_after = |picture: &Arc<Picture>| {
        picture.projects.as_ref().is_some_and(|seen| seen.asked_at >= start)
            && picture.queue.as_ref().is_some_and(|seen| seen.asked_at >= start)
    };
    let picture = bench.until(all_after).await;
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!(picture.restarts, 1);
}

#[tokio::test(start_paused = true)]
async fn stopping_ends_every_task_in_the_middle_of_a_request() {
    let bench = Bench::new(|controller| controller.projects_take = Duration::from_secs(300));
    sleep(Duration::from_secs(1)).await;
    bench.stop.cancel();
    bench.tasks.close();
    timeout(Duration::from_secs(1), bench.tasks.wait()).await.expect("the tasks end");
}

#[tokio::test(start_paused = true)]
async fn a_controller_that_is_too_old_offers_nothing_and_says_what_to_do() {
    let mut bench = Bench::new(|controller| controller.version = Some("1.509.4"));
    let picture = bench.until(|picture| picture.trouble.is_some()).await;
    assert!(picture.nodes.is_none());
    let text = &picture.trouble.as_ref().unwrap().text;
    assert!(text.contains("1.509.4 is too old") && text.contains("update"), "{text}");
}
