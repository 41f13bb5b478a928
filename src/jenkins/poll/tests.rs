//! The poller on a paused clock, against a controller made of values.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::*;
use crate::domain::{DeclaredParameter, Mode, Node, NodeName, Project, ProjectName, QueueItem};
use crate::jenkins::{Answer, BaseUrl, Error, Instance, Intervals};

/// What the controller would answer now, and what it was asked.
#[derive(Default)]
struct Controller {
    session: &'static str,
    nodes: Vec<&'static str>,
    projects: Vec<&'static str>,
    exclusive: Vec<&'static str>,
    /// Still there, although lists lack it.
    hidden: Vec<&'static str>,
    is_down: bool,
    fails_in_bulk: bool,
    has_no_modes: bool,
    projects_take: Duration,
    asked: Vec<(&'static str, Instant)>,
}

#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Controller>>);

impl Fake {
    fn set(&self, change: impl FnOnce(&mut Controller)) {
        change(&mut self.0.lock().unwrap());
    }

    fn ask<T>(&self, what: &'static str, value: impl FnOnce(&Controller) -> T) -> Result<Answer<T>, Error> {
        let mut controller = self.0.lock().unwrap();
        controller.asked.push((what, Instant::now()));
        if controller.is_down {
            return Err(Error::Starting);
        }
        let instance = Instance { session: Some(controller.session.to_owned()), version: None };
        Ok(Answer { value: value(&controller), instance })
    }

    fn times(&self, what: &str) -> usize {
        self.0.lock().unwrap().asked.iter().filter(|(asked, _)| *asked == what).count()
    }

    fn listed(controller: &Controller, parameters: Option<Vec<DeclaredParameter>>) -> Vec<Project> {
        let project =
            |name: &&str| Project { concurrent: false, parameters: parameters.clone(), ..Project::sample(name) };
        controller.projects.iter().map(project).collect()
    }
}

fn declared(name: &str) -> Vec<DeclaredParameter> {
    vec![DeclaredParameter { name: name.to_owned(), kind: "StringParameterDefinition".to_owned() }]
}

impl Source for Fake {
    async fn nodes(&self) -> Result<Answer<Vec<Node>>, Error> {
        let node = |name: &&str| Node {
            labels: [(*name).to_owned()].into(),
            executor_count: 1,
            ..Node::new(NodeName::agent(*name))
        };
        self.ask("nodes", |controller| controller.nodes.iter().map(node).collect())
    }

    async fn modes(&self) -> Result<Answer<BTreeMap<NodeName, Mode>>, Error> {
        // Slower than the nodes, which must wait for it once.
        sleep(Duration::from_millis(50)).await;
        if self.0.lock().unwrap().has_no_modes {
            return Err(Error::NotFound { path: "/label".to_owned() });
        }
        self.ask("modes", |controller| {
            controller.exclusive.iter().map(|name| (NodeName::agent(*name), Mode::Exclusive)).collect()
        })
    }

    async fn quieting_down(&self) -> Result<Answer<bool>, Error> {
        self.ask("quieting down", |_| false)
    }

    async fn projects(&self) -> Result<Answer<Vec<Project>>, Error> {
        let takes = self.0.lock().unwrap().projects_take;
        sleep(takes).await;
        self.ask("projects", |controller| Self::listed(controller, None))
    }

    async fn projects_with_parameters(&self) -> Result<Answer<Vec<Project>>, Error> {
        let (takes, fails) = {
            let controller = self.0.lock().unwrap();
            (controller.projects_take, controller.fails_in_bulk)
        };
        sleep(takes).await;
        let answer = self.ask("bulk", |controller| Self::listed(controller, Some(declared("in bulk"))));
        if fails { Err(Error::TimedOut) } else { answer }
    }

    async fn parameters_of(&self, _: &ProjectName) -> Result<Vec<DeclaredParameter>, Error> {
        self.ask("parameters of", |_| declared("alone")).map(|answer| answer.value)
    }

    async fn queue(&self) -> Result<Answer<Vec<QueueItem>>, Error> {
        self.ask("queue", |_| Vec::new())
    }

    async fn has_node(&self, node: &NodeName) -> Result<bool, Error> {
        let is_there = |controller: &Controller| controller.hidden.contains(&node.as_reported());
        self.ask("has node", is_there).map(|answer| answer.value)
    }

    async fn has_project(&self, project: &ProjectName) -> Result<bool, Error> {
        let is_there = |controller: &Controller| controller.hidden.contains(&project.full());
        self.ask("has project", is_there).map(|answer| answer.value)
    }
}

struct Bench {
    fake: Fake,
    watcher: Watcher,
    picture: watch::Receiver<Arc<Picture>>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

impl Bench {
    fn new(set: impl FnOnce(&mut Controller)) -> Self {
        let fake = Fake::default();
        fake.set(|controller| controller.session = "one");
        fake.set(set);
        let config = Config {
            url: BaseUrl::parse("http://ci/").unwrap(),
            user: String::new(),
            request_timeout: Duration::from_secs(30),
            poll: Intervals::default(),
        };
        let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
        let watcher = spawn(fake.clone(), &config, 7, &stop, &tasks);
        let picture = watcher.picture();
        Self { fake, watcher, picture, stop, tasks }
    }

    /// Waits until the picture is as wanted; the clock is paused, so that an hour passes at once.
    #[track_caller]
    fn until(&mut self, wanted: impl FnMut(&Arc<Picture>) -> bool) -> impl Future<Output = Arc<Picture>> {
        let seen = timeout(Duration::from_secs(3600), self.picture.wait_for(wanted));
        async move { seen.await.expect("the picture becomes as wanted").unwrap().clone() }
    }
}

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
        controller.nodes = vec!["a", "b"];
        controller.projects = vec!["z", "p"];
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
        controller.nodes = vec!["open", "reserved"];
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
        controller.nodes = vec!["a"];
        controller.has_no_modes = true;
    });
    let picture = bench.until(|picture| picture.nodes.is_some()).await;
    assert_eq!(picture.nodes.as_ref().unwrap().value[0].mode, Mode::Normal);
    assert!(picture.trouble.is_none());
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
async fn what_a_list_lacks_is_gone_only_when_it_is_not_there_itself() {
    let mut bench = Bench::new(|controller| {
        controller.nodes = vec!["a", "b", "c"];
        controller.hidden = vec!["b"];
    });
    bench.until(|picture| node_names(picture) == ["a", "b", "c"]).await;
    bench.fake.set(|controller| controller.nodes = vec!["a"]);
    let picture = bench.until(|picture| node_names(picture).len() == 2).await;
    assert_eq!(node_names(&picture), ["a", "b"]);
    let later = picture.nodes.as_ref().unwrap().sequence + 10;
    let picture = bench.until(|picture| picture.nodes.as_ref().unwrap().sequence > later).await;
    assert_eq!(node_names(&picture), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn parameters_are_carried_over_and_looked_up_for_new_projects() {
    let mut bench = Bench::new(|controller| controller.projects = vec!["old"]);
    bench.until(|picture| picture.projects.is_some()).await;
    bench.fake.set(|controller| controller.projects = vec!["new", "old"]);
    let both = [("new", Some("alone")), ("old", Some("in bulk"))];
    bench.until(|picture| project_names(picture) == both).await;
    assert_eq!((bench.fake.times("bulk"), bench.fake.times("parameters of")), (1, 1));
    bench.until(|picture| project_names(picture)[0] == ("new", Some("in bulk"))).await;
    assert_eq!(bench.fake.times("bulk"), 2);
}

#[tokio::test(start_paused = true)]
async fn parameters_that_are_too_many_at_once_are_read_one_by_one() {
    let mut bench = Bench::new(|controller| {
        controller.projects = vec!["a", "b"];
        controller.fails_in_bulk = true;
    });
    let alone = [("a", Some("alone")), ("b", Some("alone"))];
    let picture = bench.until(|picture| project_names(picture) == alone).await;
    assert!(picture.trouble.is_none());
    assert_eq!(bench.fake.times("bulk"), 1);
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
    let mut bench = Bench::new(|controller| controller.nodes = vec!["a"]);
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
