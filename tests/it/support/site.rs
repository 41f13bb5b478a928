//! A site: simulated controllers, a policy folder, a journal, and a runtime that joins them to a Gearman server.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use layshaft::domain::{ControllerName, NodeName};
use layshaft::gearman::worker;
use layshaft::jenkins::{self, BaseUrl, Credentials, Intervals};
use layshaft::journal::Journal;
use layshaft::policy::{self, Policies};
use layshaft::runtime::status::{Status, WorkerState};
use layshaft::runtime::{self, ControllerParts, Parts, Runtime, ServerParts};
use layshaft::simulator::{
    Clock, Fleet, Length, NodeSpec, Options, ParameterKind, ParameterSpec, Permission, ProjectSpec, Simulator, Version,
};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::{GearmanServer, PATIENCE, Proxy, Recorder, eventually};

const USER: &str = "layshaft";
const TOKEN: &str = "0123456789abcdef";

/// How often a controller is asked, unless a test says otherwise.
const QUICK: Duration = Duration::from_millis(100);

/// Says what a site shall be like.
pub(crate) struct SiteBuilder {
    fleets: Vec<(String, Fleet)>,
    /// The hosts of controllers that are not called by their names.
    hosts: BTreeMap<String, String>,
    /// The versions of controllers that are not of the newest one.
    versions: BTreeMap<String, Version>,
    records: bool,
    pub(crate) config: runtime::Config,
    pub(crate) policies: Vec<(String, Vec<u8>)>,
    pub(crate) slots: BTreeMap<String, policy::SlotGuard>,
    gates: policy::Gates,
    limits: policy::Limits,
    keep_names: Duration,
    pub(crate) serve: bool,
    start_latency: Duration,
    gearman: Option<String>,
    poll: Intervals,
    /// What `Location` headers of a controller begin with, where that is not its own address.
    location_origins: BTreeMap<String, String>,
    /// What the daemon's user may not read on a controller.
    unreadable: BTreeMap<String, String>,
    /// What the daemon's user may not do on a controller.
    forbidden: BTreeMap<String, Permission>,
    /// Where builds are started by a script.
    privileged: BTreeSet<String>,
    /// Controllers have a clock of their own, which stands still until a test moves it.
    manual_clock: bool,
    /// Further Gearman servers.
    others: Vec<String>,
    /// How soon a connection that is silently gone is noticed.
    silence: Option<Duration>,
}

/// A running site.
pub(crate) struct Site {
    pub(crate) server: GearmanServer,
    controllers: BTreeMap<String, Simulator>,
    hosts: BTreeMap<String, String>,
    privileged: BTreeSet<String>,
    recorder: Option<Recorder>,
    runtime: Option<Runtime>,
    pub(crate) folder: TempDir,
    config: runtime::Config,
    silence: Option<Duration>,
    slots: BTreeMap<String, policy::SlotGuard>,
    gates: policy::Gates,
    limits: policy::Limits,
    keep_names: Duration,
    serve: bool,
    poll: Intervals,
    /// The addresses under which the runtime knows its servers.
    gearman: Vec<String>,
    stop: CancellationToken,
    /// Ends with each runtime.
    stop_watching: CancellationToken,
}

impl SiteBuilder {
    pub(crate) fn new() -> Self {
        Self {
            fleets: Vec::new(),
            hosts: BTreeMap::new(),
            versions: BTreeMap::new(),
            records: false,
            config: runtime::Config::default(),
            policies: Vec::new(),
            slots: BTreeMap::new(),
            gates: policy::Gates::default(),
            // The backstop must not come before the fuel is gone, however busy the machine is.
            limits: policy::Limits { deadline: PATIENCE, ..policy::Limits::default() },
            keep_names: Duration::from_secs(600),
            serve: true,
            start_latency: Duration::ZERO,
            gearman: None,
            poll: Intervals {
                nodes: QUICK,
                projects: QUICK,
                parameters: QUICK,
                queue: QUICK,
                idle_queue: QUICK,
                modes: QUICK,
                ..Intervals::default()
            },
            location_origins: BTreeMap::new(),
            unreadable: BTreeMap::new(),
            forbidden: BTreeMap::new(),
            privileged: BTreeSet::new(),
            manual_clock: false,
            others: Vec::new(),
            silence: None,
        }
    }

    /// Changes how often controllers are asked.
    pub(crate) fn poll(mut self, change: impl FnOnce(&mut Intervals)) -> Self {
        change(&mut self.poll);
        self
    }

    /// Has builds of a controller started by a script.
    pub(crate) fn privileged(mut self, controller: &str) -> Self {
        self.privileged.insert(controller.to_owned());
        self
    }

    /// Takes a permission away from the daemon's user.
    pub(crate) fn forbid(mut self, controller: &str, permission: Permission) -> Self {
        self.forbidden.insert(controller.to_owned(), permission);
        self
    }

    /// Lets a controller name another host in its `Location` headers than it is reached at.
    pub(crate) fn location_origin(mut self, controller: &str, origin: &str) -> Self {
        self.location_origins.insert(controller.to_owned(), origin.to_owned());
        self
    }

    /// Hides a project or folder from the daemon's user.
    pub(crate) fn hide(mut self, controller: &str, item: &str) -> Self {
        self.unreadable.insert(controller.to_owned(), item.to_owned());
        self
    }

    /// Lets time pass on controllers only when a test says so.
    pub(crate) fn manual_clock(mut self) -> Self {
        self.manual_clock = true;
        self
    }

    /// Lets the runtime reach the Gearman server through a proxy; clients go straight to it.
    pub(crate) fn through(mut self, proxy: &Proxy) -> Self {
        self.gearman = Some(proxy.address.clone());
        self
    }

    /// Lets the runtime serve another Gearman server too.
    pub(crate) fn and_serves(mut self, address: &str) -> Self {
        self.others.push(address.to_owned());
        self
    }

    /// Sets how soon a connection to the Gearman server that is silently gone is noticed.
    pub(crate) fn silence(mut self, silence: Duration) -> Self {
        self.silence = Some(silence);
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

    /// Gives a controller another host than its name.
    pub(crate) fn host(mut self, controller: &str, host: &str) -> Self {
        self.hosts.insert(controller.to_owned(), host.to_owned());
        self
    }

    /// Makes a controller of an older version.
    pub(crate) fn version(mut self, controller: &str, version: Version) -> Self {
        self.versions.insert(controller.to_owned(), version);
        self
    }

    /// Puts a recorder between the runtime and the Gearman server.
    pub(crate) fn recorded(mut self) -> Self {
        self.records = true;
        self
    }

    /// Says what a change of policies may do unasked.
    pub(crate) fn gates(mut self, gates: policy::Gates) -> Self {
        self.gates = gates;
        self
    }

    /// Says what a call of a policy may cost.
    pub(crate) fn limits(mut self, limits: policy::Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Puts a policy on trial.
    pub(crate) fn on_trial(mut self, policy: &str) -> Self {
        self.slots.entry(policy.to_owned()).or_default().mode = policy::Mode::Monitor;
        self
    }

    /// Says how long names stay that policies no longer give.
    pub(crate) fn keep_names(mut self, keep_names: Duration) -> Self {
        self.keep_names = keep_names;
        self
    }

    /// Adds one of the example policies to the folder, under a file name.
    pub(crate) fn example_policy(mut self, file: &str, name: &str) -> Self {
        self.policies.push((file.to_owned(), example_policy(name)));
        self
    }

    /// Adds a file to the policy folder.
    pub(crate) fn policy_file(mut self, file: &str, content: impl Into<Vec<u8>>) -> Self {
        self.policies.push((file.to_owned(), content.into()));
        self
    }

    /// Grants something to a policy.
    pub(crate) fn grant(mut self, policy: &str, grants: &[policy::Grant]) -> Self {
        self.slots.entry(policy.to_owned()).or_default().grants.extend(grants);
        self
    }

    /// Starts the controllers and a runtime, and waits until every function that it means to offer is offered.
    pub(crate) async fn start(self, server: GearmanServer) -> Site {
        let mut site = self.start_without_waiting(server).await;
        site.settle().await;
        site
    }

    pub(crate) async fn start_without_waiting(self, server: GearmanServer) -> Site {
        let mut site = self.prepare(server).await;
        site.start_runtime().await;
        site
    }

    /// Starts everything but the runtime.
    pub(crate) async fn prepare(self, server: GearmanServer) -> Site {
        super::log::keep();
        let folder = TempDir::new().unwrap();
        std::fs::create_dir(folder.path().join("policies")).unwrap();
        for (file, content) in &self.policies {
            std::fs::write(folder.path().join("policies").join(file), content).unwrap();
        }
        let mut controllers = BTreeMap::new();
        for (name, fleet) in self.fleets {
            let mut options = Options { start_latency: self.start_latency, ..Options::new(USER, TOKEN, fleet) };
            options.version = self.versions.get(&name).copied().unwrap_or_default();
            options.location_origin = self.location_origins.get(&name).cloned();
            options.clock = if self.manual_clock { Clock::manual() } else { Clock::real() };
            options.users[0].unreadable.extend(self.unreadable.get(&name).cloned());
            if let Some(forbidden) = self.forbidden.get(&name) {
                // Administrators may do everything.
                options.users[0].permissions.retain(|had| had != forbidden && *had != Permission::OverallAdminister);
            }
            controllers.insert(name, Simulator::start(options).await.unwrap());
        }
        let recorder = match self.records {
            true => Some(Recorder::start(server.address.clone()).await),
            false => None,
        };
        let beside = recorder.as_ref().map_or(&server.address, |recorder| &recorder.address);
        let mut gearman = vec![self.gearman.unwrap_or_else(|| beside.clone())];
        gearman.extend(self.others);
        Site {
            gearman,
            server,
            controllers,
            hosts: self.hosts,
            privileged: self.privileged,
            recorder,
            runtime: None,
            folder,
            config: self.config,
            silence: self.silence,
            slots: self.slots,
            gates: self.gates,
            limits: self.limits,
            keep_names: self.keep_names,
            serve: self.serve,
            poll: self.poll,
            stop: CancellationToken::new(),
            stop_watching: CancellationToken::new(),
        }
    }
}

impl Site {
    pub(crate) fn controller(&self, name: &str) -> &Simulator {
        &self.controllers[name]
    }

    pub(crate) fn recorder(&self) -> &Recorder {
        self.recorder.as_ref().expect("the site was built with `recorded`")
    }

    /// Returns a client of a controller, as somebody else would use one.
    pub(crate) fn jenkins(&self, name: &str) -> jenkins::Client {
        self.parts_of(name, self.controller(name)).client
    }

    /// Returns the reason for which a node is marked offline; none if it is not.
    pub(crate) fn offline(&self, controller: &str, node: &NodeName) -> Option<String> {
        let nodes = self.controller(controller).nodes();
        let found = nodes.into_iter().find(|found| found.name == *node).unwrap();
        found.temporarily_offline.then(|| found.offline_reason.unwrap_or_default())
    }

    pub(crate) fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().unwrap()
    }

    /// Starts a runtime on what is there: the journal, the folder, the controllers.
    pub(crate) async fn start_runtime(&mut self) {
        self.try_start_runtime().await.unwrap();
    }

    pub(crate) async fn try_start_runtime(&mut self) -> Result<(), runtime::Error> {
        let policies = policy::Config {
            state: Some(self.folder.path().join("state")),
            slots: self.slots.clone(),
            gates: self.gates.clone(),
            keep_names: self.keep_names,
            quiet: Duration::from_millis(50),
            limits: self.limits.clone(),
            ..policy::Config::new(self.folder.path().join("policies"))
        };
        let policies = Arc::new(Policies::open(policies).unwrap());
        self.stop_watching = self.stop.child_token();
        tokio::spawn(Arc::clone(&policies).watch(self.stop_watching.clone()));
        let parts = Parts {
            config: self.config.clone(),
            servers: self.gearman.iter().map(|address| self.server_parts(address)).collect(),
            journal: Journal::open(self.folder.path().join("journal.sqlite")).unwrap(),
            policies,
            controllers: self.controller_parts(),
        };
        self.runtime = Some(Runtime::start(parts).await?);
        Ok(())
    }

    /// Gives a controller another host, from the next `reconfigure` on.
    pub(crate) fn rename_host(&mut self, controller: &str, host: &str) {
        self.hosts.insert(controller.to_owned(), host.to_owned());
    }

    pub(crate) fn remove_controller(&mut self, name: &str) {
        self.controllers.remove(name);
    }

    /// Lets the runtime take over what the site is like now, which replaces its pollers.
    pub(crate) fn reconfigure(&self) {
        self.runtime().reconfigure(self.config.clone(), self.controller_parts()).unwrap();
    }

    fn server_parts(&self, address: &str) -> ServerParts {
        let mut worker = worker::Config::new(address, "");
        if let Some(silence) = self.silence {
            worker.notice_silence_within(silence);
        }
        ServerParts { worker, kind: None }
    }

    fn controller_parts(&self) -> Vec<ControllerParts> {
        self.controllers.iter().map(|(name, simulator)| self.parts_of(name, simulator)).collect()
    }

    fn parts_of(&self, name: &str, simulator: &Simulator) -> ControllerParts {
        let jenkins = jenkins::Config {
            url: BaseUrl::parse(&simulator.url()).unwrap(),
            user: USER.to_owned(),
            request_timeout: Duration::from_secs(10),
            poll: self.poll.clone(),
        };
        let credentials = Credentials { user: USER.to_owned(), token: TOKEN.into() };
        ControllerParts {
            name: ControllerName::new(name),
            host: self.hosts.get(name).map_or(name, String::as_str).to_owned(),
            tags: BTreeSet::new(),
            serve: self.serve,
            client: jenkins::Client::new(&jenkins, credentials).unwrap().privileged(self.privileged.contains(name)),
            jenkins,
        }
    }

    /// Waits until nothing of ours is under way.
    pub(crate) async fn idle(&self) {
        eventually("nothing is left under way", || async { self.runtime().status().await.unwrap().builds.is_empty() })
            .await;
    }

    /// Stops the runtime as a crash would, as far as builds can tell: nothing is drained.
    pub(crate) async fn stop_runtime(&mut self) {
        self.stop_watching.cancel();
        self.runtime.take().unwrap().stop().await;
    }

    /// Waits until the runtime is ready and every connection is up.
    pub(crate) async fn settle(&mut self) {
        eventually("the runtime is ready", || async {
            let status = self.runtime().status().await.unwrap();
            status.not_ready.is_empty()
                && status.controllers.len() == self.controllers.len()
                && status.controllers.iter().all(|controller| controller.reachable)
                && status.gearman.iter().all(|server| server.connected == server.connections)
        })
        .await;
    }

    pub(crate) async fn status(&self) -> Status {
        self.runtime().status().await.unwrap()
    }

    /// Returns what a worker does; none while it does not exist.
    pub(crate) async fn worker(&self, client_id: &str) -> Option<WorkerState> {
        let status = self.status().await;
        let workers = status.controllers.iter().flat_map(|controller| &controller.nodes).flat_map(|node| &node.workers);
        workers.filter(|worker| worker.client_id == client_id).map(|worker| worker.state).next()
    }

    pub(crate) async fn eventually_worker(&self, client_id: &str, state: WorkerState) {
        eventually("a worker is in a state", || async { self.worker(client_id).await == Some(state) }).await;
    }

    /// Waits until a worker is listed and offers exactly these functions.
    pub(crate) async fn offers(&self, client_id: &str, functions: &[&str]) {
        let mut expected: Vec<String> = functions.iter().map(|function| (*function).to_owned()).collect();
        expected.sort_unstable();
        let mut offered = None;
        let is_so = async {
            while offered.as_ref() != Some(&expected) {
                tokio::time::sleep(Duration::from_millis(20)).await;
                offered = self.server.offered_by(client_id).await;
            }
        };
        if tokio::time::timeout(PATIENCE, is_so).await.is_err() {
            panic!("{client_id} offers {offered:?} instead of {expected:?}");
        }
    }

    /// Waits until a controller was asked for its nodes so many times more, and the answers were taken in.
    pub(crate) async fn looks(&self, controller: &str, count: u64) {
        let asked = || self.controller(controller).requests().get("GET /computer/api/json").copied().unwrap_or(0);
        let until = asked() + count + 1;
        eventually("the controller is looked at", || async { asked() >= until }).await;
    }

    /// Returns how a policy stands.
    pub(crate) async fn policy(&self, name: &str) -> Option<policy::SlotStatus> {
        self.status().await.policies.into_iter().find(|policy| policy.name == name)
    }

    /// Waits until a policy stands like that, and its error, if any, has these words.
    #[track_caller]
    pub(crate) fn policy_becomes<'a>(
        &'a self,
        name: &'a str,
        state: policy::SlotState,
        words: &'a str,
    ) -> impl Future<Output = ()> + 'a {
        eventually(words, move || async move {
            let policy = self.policy(name).await;
            policy.is_some_and(|policy| policy.state == state && policy.error.unwrap_or_default().contains(words))
        })
    }

    /// Waits until a note has all of these words.
    #[track_caller]
    pub(crate) fn notes<'a>(&'a self, words: &'a [&'a str]) -> impl Future<Output = ()> + 'a {
        eventually("there is such a note", move || async move {
            self.status().await.notes.iter().any(|note| words.iter().all(|word| note.contains(word)))
        })
    }

    pub(crate) fn config(&self) -> runtime::Config {
        self.config.clone()
    }

    /// Gives the running runtime another configuration.
    pub(crate) fn reconfigure_with(&self, config: runtime::Config) {
        self.runtime().reconfigure(config, self.controller_parts()).unwrap();
    }

    /// Returns the policy folder.
    pub(crate) fn policies(&self) -> PathBuf {
        self.folder.path().join("policies")
    }

    pub(crate) fn delete_policy(&self, file: &str) {
        std::fs::remove_file(self.policies().join(file)).unwrap();
    }

    /// Writes a file into the policy folder in one step, as an operator should.
    /// Puts a policy in force that a person would have to say yes to.
    pub(crate) async fn impose_policy(&self, file: &str, content: &[u8]) {
        self.drop_policy(file, content);
        let gates = policy::Gate::WAIVABLE.into();
        let report = self.runtime().policies().reload_accepting(gates).await;
        assert_eq!(report.refused, []);
    }

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

/// Returns one of the example policies, as it is committed.
pub(crate) fn example_policy(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies").join(name).join(format!("{name}.wasm"));
    std::fs::read(path).unwrap()
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
