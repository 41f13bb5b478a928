//! What is asked after beside the lists.

use super::*;

#[tokio::test(start_paused = true)]
async fn what_a_list_lacks_is_gone_only_when_it_is_not_there_itself() {
    let mut bench = Bench::new(|controller| {
        controller.nodes = nodes(&["a", "b", "c"]);
        controller.hidden = vec!["b"];
    });
    bench.until(|picture| node_names(picture) == ["a", "b", "c"]).await;
    bench.fake.set(|controller| controller.nodes = nodes(&["a"]));
    let picture = bench.until(|picture| node_names(picture).len() == 2).await;
    assert_eq!(node_names(&picture), ["a", "b"]);
    let later = picture.nodes.as_ref().unwrap().sequence + 10;
    let picture = bench.until(|picture| picture.nodes.as_ref().unwrap().sequence > later).await;
    assert_eq!(node_names(&picture), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn look_ups_that_never_end_hold_up_no_list_and_withdraw_nothing() {
    let names: Vec<String> = (0..50).map(|number| format!("n{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut bench =
        Bench::new(|controller| (controller.nodes, controller.projects) = (nodes(&names), projects(&names)));
    bench.until(|picture| picture.nodes.is_some() && picture.projects.is_some()).await;
    bench.fake.set(|controller| {
        controller.look_ups_take = None;
        (controller.nodes, controller.projects) = (nodes(&names[..45]), projects(&names[..45]));
        controller.projects.extend(projects(&["new 1", "new 2", "new 3", "new 4", "new 5"]));
    });
    let (before, start) = (bench.fake.times("nodes"), Instant::now());
    let is_listed = |picture: &Arc<Picture>| picture.projects.as_ref().unwrap().value.len() > 50;
    bench.until(is_listed).await;
    assert!(start.elapsed() <= Duration::from_secs(33), "{:?}", start.elapsed());
    bench.until(|picture| picture.nodes.as_ref().unwrap().sequence >= 30).await;
    assert!(bench.fake.times("nodes") - before >= 28);
    let picture = bench.until(|_| true).await;
    assert_eq!(node_names(&picture).len(), 50, "their look-ups have not ended");
    let most = bench.fake.0.lock().unwrap().most_look_ups;
    assert!(most <= 3 * 4, "{most} look-ups at once");
}

#[tokio::test(start_paused = true)]
async fn slow_look_ups_get_there_a_few_at_a_time_and_the_picture_is_not_drawn_for_each() {
    let names: Vec<String> = (0..400).map(|number| format!("p{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut bench = Bench::new(|controller| {
        controller.projects = projects(&names);
        controller.fails_in_bulk = true;
        controller.look_ups_take = Some(Duration::from_millis(500));
    });
    let start = Instant::now();
    let all_known =
        |picture: &Arc<Picture>| project_names(picture).iter().filter(|(_, known)| known.is_some()).count() == 400;
    let picture = bench.until(all_known).await;
    assert!(start.elapsed() <= Duration::from_secs(51), "{:?}", start.elapsed());
    assert!(picture.projects.as_ref().unwrap().sequence < 60);
    let most = bench.fake.0.lock().unwrap().most_look_ups;
    assert_eq!((most, bench.fake.times("parameters of")), (4, 400));
}

#[tokio::test(start_paused = true)]
async fn look_ups_stop_where_the_controller_fails_and_are_tried_again_after_the_next_list() {
    let mut bench = Bench::new(|controller| controller.projects = projects(&["old"]));
    bench.until(|picture| picture.projects.is_some()).await;
    let names: Vec<String> = (0..100).map(|number| format!("p{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    bench.fake.set(|controller| (controller.projects, controller.fails_alone) = (projects(&names), true));
    bench.until(|picture| picture.projects.as_ref().unwrap().value.len() >= 100).await;
    sleep(Duration::from_secs(10)).await;
    assert!(bench.fake.times("parameters of") <= 4, "{}", bench.fake.times("parameters of"));
    bench.fake.set(|controller| controller.fails_alone = false);
    let all_known = |picture: &Arc<Picture>| project_names(picture).iter().all(|(_, known)| known.is_some());
    bench.until(all_known).await;
}

#[tokio::test(start_paused = true)]
async fn an_edited_project_has_its_parameters_looked_up_at_once() {
    let mut bench = Bench::new(|controller| controller.projects = projects(&["edited", "other"]));
    bench.until(|picture| picture.projects.is_some()).await;
    bench.fake.set(|controller| controller.projects[0].label = Some("linux".to_owned()));
    let picture = bench.until(|picture| project_names(picture)[0].1 == Some("alone")).await;
    assert_eq!(project_names(&picture), [("edited", Some("alone")), ("other", Some("in bulk"))]);
    assert_eq!((bench.fake.times("bulk"), bench.fake.times("parameters of")), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn parameters_are_carried_over_and_looked_up_for_new_projects() {
    let mut bench = Bench::new(|controller| controller.projects = projects(&["old"]));
    bench.until(|picture| picture.projects.is_some()).await;
    bench.fake.set(|controller| controller.projects = projects(&["new", "old"]));
    let both = [("new", Some("alone")), ("old", Some("in bulk"))];
    bench.until(|picture| project_names(picture) == both).await;
    assert_eq!((bench.fake.times("bulk"), bench.fake.times("parameters of")), (1, 1));
    bench.until(|picture| project_names(picture)[0] == ("new", Some("in bulk"))).await;
    assert_eq!(bench.fake.times("bulk"), 2);
}

#[tokio::test(start_paused = true)]
async fn parameters_that_are_too_many_at_once_are_read_one_by_one() {
    let mut bench = Bench::new(|controller| {
        controller.projects = projects(&["a", "b"]);
        controller.fails_in_bulk = true;
    });
    let alone = [("a", Some("alone")), ("b", Some("alone"))];
    let picture = bench.until(|picture| project_names(picture) == alone).await;
    assert!(picture.trouble.is_none());
    assert_eq!(bench.fake.times("bulk"), 1);
}

#[tokio::test(start_paused = true)]
async fn lists_in_between_do_not_cut_the_reading_one_by_one_short() {
    let names: Vec<String> = (0..400).map(|number| format!("p{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut bench = Bench::new(|controller| controller.projects = projects(&names));
    bench.until(|picture| picture.read_at(Part::Parameters).is_some()).await;
    bench.fake.set(|controller| {
        controller.fails_in_bulk = true;
        // 100 seconds in all, while three lists come.
        controller.look_ups_take = Some(Duration::from_secs(1));
    });
    let start = Instant::now();
    let picture = bench.until(|picture| picture.read_at(Part::Parameters).unwrap() > start).await;
    let all_alone = |picture: &Picture| project_names(picture).iter().all(|(_, known)| *known == Some("alone"));
    assert_eq!(bench.fake.times("parameters of"), 400, "each is read once, and the end is noted after the last");
    assert!(bench.fake.times("projects") >= 3);
    let picture = if all_alone(&picture) { picture } else { bench.until(|picture| all_alone(picture)).await };
    assert!(picture.trouble.is_none());
}

#[tokio::test(start_paused = true)]
async fn every_configuration_is_read_again_although_lists_come_in_between() {
    let names: Vec<String> = (0..100).map(|number| format!("n{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut bench = Bench::new(|controller| {
        controller.version = Some("2.60.3");
        controller.configuration = "<slave><label>linux</label></slave>";
        controller.nodes = nodes(&names);
    });
    let have = |label: &'static str| {
        move |picture: &Arc<Picture>| {
            picture.nodes.as_ref().is_some_and(|seen| seen.value.iter().all(|node| node.labels.contains(label)))
        }
    };
    bench.until(have("linux")).await;
    bench.fake.set(|controller| {
        controller.configuration = "<slave><label>mac</label></slave>";
        controller.configurations_take = Duration::from_secs(1);
    });
    let start = Instant::now();
    bench.fake.set(|controller| controller.nodes.extend(nodes(&["new"])));
    bench.until(have("mac")).await;
    assert!(start.elapsed() < Duration::from_secs(660), "{:?}", start.elapsed());
    assert_eq!(bench.fake.times("labels of"), 100 + 1 + 101);
}

#[tokio::test(start_paused = true)]
async fn labels_that_lists_do_not_tell_are_read_from_configurations_once_and_held_back_until_then() {
    let mut bench = Bench::new(|controller| {
        controller.version = Some("2.60.3");
        controller.configuration = "<slave><label>linux</label></slave>";
        controller.nodes = nodes(&["a", "b"]);
    });
    let picture = bench.until(|picture| picture.nodes.is_some()).await;
    let first = &picture.nodes.as_ref().unwrap().value[0];
    assert!(!first.is_online() && first.offline_reason.as_ref().unwrap().contains("jenkins 2.60.3"), "{first:?}");
    let all_known = |picture: &Arc<Picture>| picture.nodes.as_ref().unwrap().value.iter().all(Node::is_online);
    let picture = bench.until(all_known).await;
    let labels: Vec<_> = picture.nodes.as_ref().unwrap().value[1].labels.iter().map(String::as_str).collect();
    assert_eq!(labels, ["b", "linux"]);
    sleep(Duration::from_secs(300)).await;
    assert_eq!(bench.fake.times("labels of"), 2, "labels are not read with each list");
    assert!(bench.fake.times("nodes") > 50);
}

#[tokio::test(start_paused = true)]
async fn a_configuration_that_is_refused_is_not_asked_for_with_every_list() {
    let mut bench = Bench::new(|controller| {
        controller.version = Some("2.60.3");
        controller.configuration = "<html></html>";
        controller.nodes = nodes(&["a"]);
        controller.projects = projects(&["lint"]);
    });
    bench.until(|picture| picture.trouble.is_some()).await;
    let times = |bench: &Bench| (bench.fake.times("labels of"), bench.fake.times("configuration of"));
    sleep(Duration::from_secs(500)).await;
    assert_eq!(times(&bench), (1, 1));
    assert!(bench.fake.times("projects") >= 10);
    sleep(Duration::from_secs(200)).await;
    assert_eq!(times(&bench), (2, 2), "once more after `poll.parameters`");
    bench.fake.set(|controller| controller.session = "two");
    sleep(Duration::from_secs(40)).await;
    assert_eq!(times(&bench), (3, 3), "another process may have other permissions");
    assert!(bench.until(|_| true).await.trouble.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_project_whose_configuration_cannot_be_read_is_held_back_and_named() {
    let mut bench = Bench::new(|controller| {
        controller.version = Some("1.651.3");
        controller.configuration = "<html>";
        controller.projects = projects(&["lint"]);
        controller.projects[0].kind = ProjectKind::Other;
    });
    let picture = bench.until(|picture| picture.trouble.is_some()).await;
    assert_eq!(picture.trouble.as_ref().unwrap().part, Part::Parameters);
    assert_eq!(project_names(&picture), [("lint", None)]);
    assert!(picture.projects.as_ref().unwrap().value[0].label_unknown, "no label would mean everywhere");
    bench.fake.set(|controller| {
        controller.configuration = "<matrix-project><assignedNode>linux</assignedNode></matrix-project>";
    });
    let picture = bench.until(|picture| project_names(picture) == [("lint", Some("alone"))]).await;
    let lint = &picture.projects.as_ref().unwrap().value[0];
    assert_eq!((lint.label.as_deref(), lint.kind), (Some("linux"), ProjectKind::Matrix));
    assert!(!lint.label_unknown);
    bench.until(|picture| picture.trouble.is_none()).await;
}
