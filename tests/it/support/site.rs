//! A site: simulated controllers, a policy folder, a journal, and a runtime that joins them to a Gearman server.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use layshaft::domain::ControllerName;
use layshaft::gearman::worker;
use layshaft::jenkins::{self, BaseUrl, Credentials, Intervals};
use layshaft::journal::Journal;
use layshaft::policy::{self, Policies};
use layshaft::runtime::{self, ControllerParts, Parts, Runtime};
use layshaft::simulator::{Fleet, Length, NodeSpec, Options, ParameterKind, ParameterSpec, ProjectSpec, Simulator};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{GearmanServer, Proxy, eventually};

const USER: &str = "layshaft";
const TOKEN: &str = "0123456789abcdef";

/// Says what a site shall be like.
pub(crate) struct SiteBuilder {
    fleets: Vec<(String, Fleet)>,
    pub(crate) config: runtime::Config,
    pub(crate) policies: Vec<(String, Vec<u8>)>,
    pub(crate) slots: BTreeMap<String, policy::SlotGuard>,
    pub(crate) serve: bool,
    start_latency: Duration,
    gearman: Option<String>,
}

/// A running site.
pub(crate) struct Site {
    pub(crate) server: GearmanServer,
    controllers: BTreeMap<String, Simulator>,
    runtime: Option<Runtime>,
    pub(crate) folder: TempDir,
    config: runtime::Config,
    slots: BTreeMap<String, policy::SlotGuard>,
    serve: bool,
    /// The address under which the runtime knows the server.
    gearman: String,
    stop: CancellationToken,
}

impl SiteBuilder {
    pub(crate) fn new() -> Self {
        Self {
            fleets: Vec::new(),
            config: runtime::Config::default(),
            policies: Vec::new(),
            slots: BTreeMap::new(),
            serve: true,
            start_latency: Duration::ZERO,
            gearman: None,
        }
    }

    /// Lets the runtime reach the Gearman server through a proxy; clients go straight to it.
    pub(crate) fn through(mut self, proxy: &Proxy) -> Self {
        self.gearman = Some(proxy.address.clone());
        self
    }

    /// Sets how long a build is pending between the queue and its start.
    pub(crate) fn start_latency(mut self, latency: Duration) -> Self {
        self.start_latency = latency;
        self
    }

    pub(crate) fn config(mut self, change: impl FnOnce(&mut runtime::Config)) -> Self {
        change(&mut self.config);
        self
    }

    /// Adds a controller.
    pub(crate) fn controller(mut self, name: &str, fleet: Fleet) -> Self {
        self.fleets.push((name.to_owned(), fleet));
        self
    }

    /// Adds one of the example policies to the folder, under a file name.
    pub(crate) fn example_policy(mut self, file: &str, name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies").join(name).join(format!("{name}.wasm"));
        self.policies.push((file.to_owned(), std::fs::read(path).unwrap()));
        self
    }

    /// Adds a file to the policy folder.
    pub(crate) fn policy_file(mut self, file: &str, content: impl Into<Vec<u8>>) -> Self {
        self.policies.push((file.to_owned(), content.into()));
        self
    }

    /// Starts the controllers and a runtime, and waits until every function that it means to offer is offered.
    pub(crate) async fn start(self, server: GearmanServer) -> Site {
        let mut site = self.start_without_waiting(server).await;
        site.settle().await;
        site
    }

    pub(crate) async fn start_without_waiting(self, server: GearmanServer) -> Site {
        super::init_logs();
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("policies")).unwrap();
        for (file, content) in &self.policies {
            std::fs::write(folder.path().join("policies").join(file), content).unwrap();
        }
        let mut controllers = BTreeMap::new();
        for (name, fleet) in self.fleets {
            let options = Options { start_latency: self.start_latency, ..Options::new(USER, TOKEN, fleet) };
            controllers.insert(name, Simulator::start(options).await.unwrap());
        }
        let gearman = self.gearman.unwrap_or_else(|| server.address.clone());
        let mut site = Site {
            gearman,
            server,
            controllers,
            runtime: None,
            folder,
            config: self.config,
            slots: self.slots,
            serve: self.serve,
            stop: CancellationToken::new(),
        };
        site.start_runtime().await;
        site
    }
}

impl Site {
    pub(crate) fn controller(&self, name: &str) -> &Simulator {
        &self.controllers[name]
    }

    /// Returns a client of a controller, as somebody else would use one.
    pub(crate) fn jenkins(&self, name: &str) -> jenkins::Client {
        self.parts_of(name, self.controller(name)).client
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().unwrap()
    }

    /// Starts a runtime on what is there: the journal, the folder, the controllers.
    pub(crate) async fn start_runtime(&mut self) {
        let policies = policy::Config {
            state: Some(self.folder.path().join("state")),
            slots: self.slots.clone(),
            quiet: Duration::from_millis(50),
            ..policy::Config::new(self.folder.path().join("policies"))
        };
        let policies = Arc::new(Policies::open(policies).unwrap());
        tokio::spawn(Arc::clone(&policies).watch(self.stop.clone()));
        let parts = Parts {
            config: self.config.clone(),
            worker: worker::Config::new(self.gearman.clone(), ""),
            server_kind: None,
            journal: Journal::open(self.folder.path().join("journal.sqlite")).unwrap(),
            policies,
            controllers: self.controllers.iter().map(|(name, simulator)| self.parts_of(name, simulator)).collect(),
        };
        self.runtime = Some(Runtime::start(parts).await.unwrap());
    }

    fn parts_of(&self, name: &str, simulator: &Simulator) -> ControllerParts {
        let quick = Duration::from_millis(100);
        let jenkins = jenkins::Config {
            url: BaseUrl::parse(&simulator.url()).unwrap(),
            user: USER.to_owned(),
            request_timeout: Duration::from_secs(10),
            poll: Intervals {
                nodes: quick,
                projects: quick,
                parameters: quick,
                queue: quick,
                idle_queue: quick,
                modes: quick,
            },
        };
        let credentials = Credentials { user: USER.to_owned(), token: TOKEN.into() };
        ControllerParts {
            name: ControllerName::new(name),
            host: name.to_owned(),
            tags: BTreeSet::new(),
            serve: self.serve,
            client: jenkins::Client::new(&jenkins, credentials).unwrap(),
            jenkins,
        }
    }

    /// Waits until nothing of ours is under way.
    pub(crate) async fn idle(&self) {
        eventually("nothing is left under way", || async { self.runtime().status().await.unwrap().builds.is_empty() })
            .await;
    }

    /// Gives the runtime the same configuration anew, which replaces its pollers.
    pub(crate) fn reconfigure(&self) {
        let parts = self.controllers.iter().map(|(name, simulator)| self.parts_of(name, simulator)).collect();
        self.runtime().reconfigure(self.config.clone(), parts).unwrap();
    }

    /// Stops the runtime as a crash would, as far as builds can tell: nothing is drained.
    pub(crate) async fn stop_runtime(&mut self) {
        self.runtime.take().unwrap().stop().await;
    }

    /// Waits until the runtime is ready and every connection is up.
    pub(crate) async fn settle(&mut self) {
        eventually("the runtime is ready", || async {
            let status = self.runtime().status().await.unwrap();
            status.not_ready.is_empty()
                && status.controllers.len() == self.controllers.len()
                && status.controllers.iter().all(|controller| controller.reachable)
                && status.gearman.connected == status.gearman.connections
        })
        .await;
    }

    /// Writes a file into the policy folder in one step, as an operator should.
    pub(crate) fn drop_policy(&self, file: &str, content: &[u8]) {
        let folder = self.folder.path().join("policies");
        let half = self.folder.path().join("half");
        std::fs::write(&half, content).unwrap();
        std::fs::rename(half, folder.join(file)).unwrap();
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

/// Returns a fleet of agents, given by name, executors and labels; the built-in node has no executors.
pub(crate) fn fleet(nodes: &[(&str, u32, &[&str])], projects: Vec<ProjectSpec>) -> Fleet {
    let nodes = nodes.iter().map(|(name, executors, labels)| NodeSpec::new(*name, *executors, labels)).collect();
    Fleet { nodes, projects, ..Fleet::default() }
}

/// Returns a project whose builds end when the test says so, and which declares a marker and a node to be pinned to.
pub(crate) fn project(name: &str, label: Option<&str>) -> ProjectSpec {
    ProjectSpec {
        label: label.map(str::to_owned),
        concurrent: true,
        duration: Length::Manual,
        parameters: vec![
            ParameterSpec::new("UUID", ParameterKind::String, ""),
            ParameterSpec::new("NODE", ParameterKind::Node, ""),
        ],
        ..ProjectSpec::new(name)
    }
}

/// Returns a project that cannot be pinned, but has a marker, and whose builds take a moment.
pub(crate) fn marked(name: &str, label: Option<&str>) -> ProjectSpec {
    ProjectSpec {
        duration: Length::Fixed(Duration::from_millis(50)),
        parameters: vec![ParameterSpec::new("UUID", ParameterKind::String, "")],
        ..project(name, label)
    }
}

/// Returns a project whose builds stay in the queue for as long as their `delay` says.
pub(crate) fn stuck(name: &str) -> ProjectSpec {
    let mut project = marked(name, None);
    project.parameters.push(ParameterSpec::new("delay", ParameterKind::String, ""));
    project
}
