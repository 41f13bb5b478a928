//! A controller made of values, and a poller that asks it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use tokio::sync::watch;

use super::*;
use crate::domain::{DeclaredParameter, QueueItem};
use crate::jenkins::wire::{self, Configuration};
use crate::jenkins::{Answer, BaseUrl, Instance};

/// What the controller would answer now, and what it was asked.
#[derive(Default)]
pub(super) struct Controller {
    pub(super) session: &'static str,
    pub(super) version: Option<&'static str>,
    pub(super) nodes: Vec<Node>,
    /// Without their parameters, which are told when they are asked for.
    pub(super) projects: Vec<Project>,
    pub(super) exclusive: Vec<&'static str>,
    /// Still there, although lists lack it.
    pub(super) hidden: Vec<&'static str>,
    pub(super) is_down: bool,
    pub(super) fails_in_bulk: bool,
    /// Parameters of single projects cannot be read.
    pub(super) fails_alone: bool,
    pub(super) has_no_modes: bool,
    pub(super) modes_hang: bool,
    /// How long an answer takes; it shows what was so when it was asked for.
    pub(super) nodes_take: Duration,
    pub(super) projects_take: Duration,
    /// How long a look-up of one thing takes; none has no end.
    pub(super) look_ups_take: Option<Duration>,
    pub(super) configurations_take: Duration,
    /// The `config.xml` of each node and project.
    pub(super) configuration: &'static str,
    pub(super) open_look_ups: usize,
    pub(super) most_look_ups: usize,
    pub(super) asked: Vec<(&'static str, Instant)>,
}

#[derive(Clone, Default)]
pub(super) struct Fake(pub(super) Arc<Mutex<Controller>>);

impl Fake {
    pub(super) fn set(&self, change: impl FnOnce(&mut Controller)) {
        change(&mut self.0.lock().unwrap());
    }

    fn ask<T>(&self, what: &'static str, value: impl FnOnce(&Controller) -> T) -> Result<Answer<T>, Error> {
        let mut controller = self.0.lock().unwrap();
        controller.asked.push((what, Instant::now()));
        if controller.is_down {
            return Err(Error::Starting);
        }
        let version = controller.version.map(str::to_owned);
        let instance = Instance { session: Some(controller.session.to_owned()), version };
        Ok(Answer { value: value(&controller), instance })
    }

    async fn after(&self, takes: impl FnOnce(&Controller) -> Duration) {
        let takes = takes(&self.0.lock().unwrap());
        sleep(takes).await;
    }

    async fn look_up(&self) {
        let takes = {
            let mut controller = self.0.lock().unwrap();
            controller.asked.push(("look-up", Instant::now()));
            controller.open_look_ups += 1;
            controller.most_look_ups = controller.most_look_ups.max(controller.open_look_ups);
            controller.look_ups_take
        };
        match takes {
            Some(takes) => sleep(takes).await,
            None => std::future::pending().await,
        }
        self.0.lock().unwrap().open_look_ups -= 1;
    }

    pub(super) fn times(&self, what: &str) -> usize {
        self.0.lock().unwrap().asked.iter().filter(|(asked, _)| *asked == what).count()
    }

    fn listed(controller: &Controller, parameters: Option<Vec<DeclaredParameter>>) -> Vec<Project> {
        let project = |project: &Project| Project { parameters: parameters.clone(), ..project.clone() };
        controller.projects.iter().map(project).collect()
    }
}

pub(super) fn nodes(names: &[&str]) -> Vec<Node> {
    let node = |name: &&str| Node {
        labels: [(*name).to_owned()].into(),
        executor_count: 1,
        ..Node::new(NodeName::agent(*name))
    };
    names.iter().map(node).collect()
}

pub(super) fn projects(names: &[&str]) -> Vec<Project> {
    names.iter().map(|name| Project { concurrent: false, ..Project::sample(name) }).collect()
}

pub(super) fn declared(name: &str) -> Vec<DeclaredParameter> {
    vec![DeclaredParameter { name: name.to_owned(), kind: "StringParameterDefinition".to_owned() }]
}

impl Source for Fake {
    async fn nodes(&self) -> Result<Answer<Vec<Node>>, Error> {
        let answer = self.ask("nodes", |controller| controller.nodes.clone());
        self.after(|controller| controller.nodes_take).await;
        answer
    }

    async fn modes(&self) -> Result<Answer<BTreeMap<NodeName, Mode>>, Error> {
        // Slower than the nodes, which must wait for it once.
        sleep(Duration::from_millis(50)).await;
        if self.0.lock().unwrap().modes_hang {
            return std::future::pending().await;
        }
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
        let answer = self.ask("projects", |controller| Self::listed(controller, None));
        self.after(|controller| controller.projects_take).await;
        answer
    }

    async fn projects_with_parameters(&self) -> Result<Answer<Vec<Project>>, Error> {
        let fails = self.0.lock().unwrap().fails_in_bulk;
        let answer = self.ask("bulk", |controller| Self::listed(controller, Some(declared("in bulk"))));
        self.after(|controller| controller.projects_take).await;
        if fails { Err(Error::TimedOut) } else { answer }
    }

    async fn parameters_of(&self, _: &ProjectName) -> Result<Vec<DeclaredParameter>, Error> {
        self.look_up().await;
        let answer = self.ask("parameters of", |_| declared("alone"));
        let fails = self.0.lock().unwrap().fails_alone;
        if fails { Err(Error::TimedOut) } else { answer.map(|answer| answer.value) }
    }

    async fn configuration_of(&self, _: &ProjectName) -> Result<Configuration, Error> {
        let body = self.ask("configuration of", |controller| controller.configuration)?.value;
        wire::configuration(body.as_bytes(), "/config.xml")
    }

    async fn configured_labels(&self, _: &NodeName) -> Result<BTreeSet<String>, Error> {
        self.after(|controller| controller.configurations_take).await;
        let body = self.ask("labels of", |controller| controller.configuration)?.value;
        wire::node_labels(body.as_bytes(), "/config.xml")
    }

    async fn queue(&self) -> Result<Answer<Vec<QueueItem>>, Error> {
        self.ask("queue", |_| Vec::new())
    }

    async fn has_node(&self, node: &NodeName) -> Result<bool, Error> {
        self.look_up().await;
        let is_there = |controller: &Controller| controller.hidden.contains(&node.as_reported());
        self.ask("has node", is_there).map(|answer| answer.value)
    }

    async fn has_project(&self, project: &ProjectName) -> Result<bool, Error> {
        self.look_up().await;
        let is_there = |controller: &Controller| controller.hidden.contains(&project.full());
        self.ask("has project", is_there).map(|answer| answer.value)
    }
}

pub(super) struct Bench {
    pub(super) fake: Fake,
    pub(super) watcher: Watcher,
    pub(super) picture: watch::Receiver<Arc<Picture>>,
    pub(super) stop: CancellationToken,
    pub(super) tasks: TaskTracker,
}

impl Bench {
    pub(super) fn new(set: impl FnOnce(&mut Controller)) -> Self {
        let fake = Fake::default();
        fake.set(|controller| (controller.session, controller.look_ups_take) = ("one", Some(Duration::ZERO)));
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
    pub(super) fn until(&mut self, wanted: impl FnMut(&Arc<Picture>) -> bool) -> impl Future<Output = Arc<Picture>> {
        let seen = timeout(Duration::from_secs(3600), self.picture.wait_for(wanted));
        async move { seen.await.expect("the picture becomes as wanted").unwrap().clone() }
    }
}
