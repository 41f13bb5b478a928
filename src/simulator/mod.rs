//! A simulated Jenkins controller over HTTP, for the demo, tests and rehearsals.
//!
//! It answers as the real one does, down to its traps: merged builds, dropped parameters, left items that are forgotten
//! after five minutes, pipelines that occupy no executor. Other people's Jenkins clients can drive it. A handle lets a
//! test or the demo change the fleet, move the clock, finish builds and break things on purpose.
//!
//! The world is pure and behind one lock, which no await crosses; it catches up with its clock whenever it is looked
//! at. Nothing here runs anything: a build is a duration and a result. This room knows no other room of its floor.

mod auth;
mod clock;
mod fault;
mod fleet;
mod http;
mod language;
mod line;
mod record;
mod render;
mod request;
mod routes;
mod sample;
mod scheduling;
mod tree;
mod version;
mod world;

#[cfg(test)]
mod http_tests;
#[cfg(test)]
mod surroundings_tests;
#[cfg(test)]
mod world_tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::domain::{BuildResult, NodeName, Parameters};

pub use auth::{Permission, User};
pub use clock::Clock;
pub use fault::{Fault, FaultRule};
pub use fleet::{
    BuiltInSpec, Fleet, FolderSpec, Length, NodeSpec, ParameterKind, ParameterSpec, ProjectSpec, StepSpec,
};
pub use record::{BuildRecord, NodeRecord, QueueRecord};
pub use version::{InvalidVersion, Version};

use world::{BUILT_IN, Cause, OfflineMark, Scheduled, Settings, Value, World};

/// Why the locks here cannot be poisoned.
const LOCK: &str = "nothing panics while it holds this lock";

/// There are far fewer routes than that.
const MOST_COUNTED_ROUTES: usize = 500;

/// Who marks a node through the handle.
const OPERATOR: &str = "operator";

/// How to start a simulated controller.
#[derive(Clone, Debug)]
pub struct Options {
    /// Port 0 takes any free one.
    pub listen: SocketAddr,
    pub users: Vec<User>,
    pub fleet: Fleet,
    pub clock: Clock,
    pub version: Version,
    /// The newest builds that are kept of each project.
    pub keep_builds: usize,
    /// How long a queue item is pending, between being handed to an executor and its build.
    pub start_latency: Duration,
    /// Whether CSRF protection is on.
    pub crumbs: bool,
    /// The configured address, of which all `url` fields are made; its own if none.
    pub root_url: Option<String>,
    /// What `Location` headers begin with, as behind a proxy that hides the host; the request's `Host` if none.
    pub location_origin: Option<String>,
    /// Where it lives below its host, as in `/jenkins`; empty for the root.
    pub context_path: String,
    /// Answers are compressed for clients that accept gzip, as by a proxy: Jenkins itself no longer does it.
    pub gzip: bool,
}

/// A running simulated controller; it stops when this is dropped.
#[derive(Debug)]
pub struct Simulator {
    shared: Arc<Shared>,
    address: SocketAddr,
    _stop_serving: DropGuard,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to listen on {address} for the simulated controller: {source}")]
    Listen { address: SocketAddr, source: std::io::Error },
}

/// What the handle and the connections share.
#[derive(Debug)]
struct Shared {
    world: Mutex<World>,
    clock: Clock,
    users: Vec<User>,
    version: Version,
    crumbs: bool,
    location_origin: Option<String>,
    context_path: String,
    gzip: bool,
    faults: Mutex<Vec<FaultRule>>,
    requests: Mutex<BTreeMap<String, u64>>,
    http_sessions: AtomicU64,
}

impl Options {
    /// Returns options for a controller on some local port, with one user who may do everything.
    pub fn new(user: impl Into<String>, token: impl Into<SecretString>, fleet: Fleet) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            users: vec![User::administrator(user, token)],
            fleet,
            clock: Clock::real(),
            version: Version::default(),
            keep_builds: 200,
            start_latency: Duration::ZERO,
            crumbs: true,
            root_url: None,
            location_origin: None,
            context_path: String::new(),
            gzip: false,
        }
    }
}

impl Simulator {
    /// Starts a controller and returns once it accepts connections.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let listen = |source| Error::Listen { address: options.listen, source };
        let listener = TcpListener::bind(options.listen).await.map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let context_path = match options.context_path.trim_matches('/') {
            "" => String::new(),
            path => format!("/{path}"),
        };
        let settings = Settings {
            version: options.version,
            root_url: options.root_url.clone().unwrap_or_else(|| format!("http://{address}{context_path}/")),
            keep_builds: options.keep_builds,
            start_latency: options.start_latency,
            crumbs: options.crumbs,
        };
        let shared = Arc::new(Shared {
            world: Mutex::new(World::new(settings, &options.fleet, options.clock.now_ms())),
            clock: options.clock,
            users: options.users,
            version: options.version,
            crumbs: options.crumbs,
            location_origin: options.location_origin,
            context_path,
            gzip: options.gzip,
            faults: Mutex::default(),
            requests: Mutex::default(),
            http_sessions: AtomicU64::new(1),
        });
        let stop = CancellationToken::new();
        let router = axum::Router::new().fallback(http::serve).with_state(Arc::clone(&shared));
        let service = router.into_make_service_with_connect_info::<line::Scissors>();
        let server = axum::serve(line::Lines(listener), service).with_graceful_shutdown(stop.clone().cancelled_owned());
        tokio::spawn(async move {
            if let Err(error) = server.await {
                tracing::warn!(%error, "the simulated controller stopped serving");
            }
        });
        Ok(Self { shared, address, _stop_serving: stop.drop_guard() })
    }

    /// Returns the address, with its context path and a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}{}/", self.address, self.shared.context_path)
    }

    /// Moves a manual clock, and lets everything happen that is due until then.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(by);
        self.shared.with_world(|_| ());
    }

    /// Adds a project and the folders around it; false if the name is taken.
    pub fn add_project(&self, spec: ProjectSpec) -> bool {
        self.shared.with_world(|world| world.add_project(spec))
    }

    /// Changes a project's configuration, but not its name.
    pub fn update_project(&self, full_name: &str, change: impl FnOnce(&mut ProjectSpec)) -> bool {
        self.shared.with_world(|world| {
            let Some(mut spec) = world.project(full_name).map(|project| project.spec.clone()) else { return false };
            change(&mut spec);
            world.update_project(full_name, spec)
        })
    }

    pub fn set_disabled(&self, full_name: &str, disabled: bool) -> bool {
        self.shared.with_world(|world| world.set_disabled(full_name, disabled))
    }

    /// Removes a project or a folder, with its builds and queue items.
    pub fn remove_project(&self, full_name: &str) -> bool {
        self.shared.with_world(|world| world.remove_item(full_name))
    }

    /// Renames or moves a project or a folder, unless it is building or the name is taken.
    pub fn rename(&self, from: &str, to: &str) -> bool {
        self.shared.with_world(|world| world.rename(from, to))
    }

    pub fn add_node(&self, spec: &NodeSpec) -> bool {
        self.shared.with_world(|world| world.add_node(spec))
    }

    /// Deletes an agent; what runs on it goes on.
    pub fn remove_node(&self, name: &str) -> bool {
        self.shared.with_world(|world| world.remove_node(name))
    }

    /// Marks a node temporarily offline for a reason, or clears the mark.
    pub fn set_offline(&self, node: &NodeName, reason: Option<&str>) -> bool {
        self.shared.with_world(|world| {
            let mark = reason.map(|reason| operator_mark(world, reason));
            world.mark_offline(node_key(node), mark)
        })
    }

    /// Cuts a node off, which fails its builds, or connects it again.
    pub fn set_disconnected(&self, node: &NodeName, reason: Option<&str>) -> bool {
        self.shared.with_world(|world| {
            let mark = reason.map(|reason| operator_mark(world, reason));
            world.set_disconnected(node_key(node), mark)
        })
    }

    pub fn set_executors(&self, node: &NodeName, executors: u32) -> bool {
        self.shared.with_world(|world| world.reconfigure_node(node_key(node), Some(executors), None, None))
    }

    pub fn set_labels(&self, node: &NodeName, labels: &[&str]) -> bool {
        let labels: BTreeSet<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        self.shared.with_world(|world| world.reconfigure_node(node_key(node), None, Some(labels), None))
    }

    /// Prepares for shutdown: builds are accepted and not started.
    pub fn quiet_down(&self, quieting_down: bool) {
        self.shared.with_world(|world| {
            world.quieting_down = quieting_down;
            world.settle();
        });
    }

    /// Starts a build as a timer would, with the given parameters and defaults for the rest; returns the queue item,
    /// which may be an equal one that was there before.
    pub fn start_foreign_build(&self, full_name: &str, parameters: &Parameters) -> Option<u64> {
        self.shared.with_world(|world| {
            let declared = &world.project(full_name)?.spec.parameters;
            let values = declared.iter().map(|parameter| Value {
                name: parameter.name.clone(),
                kind: parameter.kind,
                value: parameters.get(&parameter.name).map_or_else(|| parameter.default_value(), str::to_owned),
            });
            let values = values.collect();
            let (Scheduled::Created(id) | Scheduled::Merged(id)) =
                world.schedule(full_name, values, Cause::Timer, None);
            Some(id)
        })
    }

    /// Ends a build, whatever its planned length; false if it is not building.
    pub fn finish(&self, full_name: &str, number: u64, result: BuildResult) -> bool {
        self.shared.with_world(|world| world.finish(full_name, number, result))
    }

    /// Deletes the record of a build that has ended, as log rotation does.
    pub fn delete_build(&self, full_name: &str, number: u64) -> bool {
        self.shared.with_world(|world| world.delete_build(full_name, number))
    }

    /// Returns all builds that are kept, by project and number.
    pub fn builds(&self) -> Vec<BuildRecord> {
        self.shared.with_world(|world| record::builds(world))
    }

    /// Returns what has not left the queue, oldest first.
    pub fn queue(&self) -> Vec<QueueRecord> {
        self.shared.with_world(|world| record::queue(world))
    }

    pub fn nodes(&self) -> Vec<NodeRecord> {
        self.shared.with_world(|world| record::nodes(world))
    }

    /// Restarts the controller in no time: a new session, builds aborted, pipelines resumed, left items forgotten, the
    /// queue kept. For the time in which a real one answers 503, add a fault.
    pub fn restart(&self) {
        self.shared.with_world(World::restart);
    }

    /// Leaves a project or an agent out of lists until told otherwise, as Jenkins does when rendering one fails.
    pub fn set_hidden_from_lists(&self, name: &str, hidden: bool) {
        self.shared.with_world(|world| match hidden {
            true => world.hidden_from_lists.insert(name.to_owned()),
            false => world.hidden_from_lists.remove(name),
        });
    }

    /// Adds a fault behind those that are there.
    pub fn fault(&self, rule: FaultRule) {
        self.shared.faults.lock().expect(LOCK).push(rule);
    }

    pub fn clear_faults(&self) {
        self.shared.faults.lock().expect(LOCK).clear();
    }

    /// Returns how often each route was asked, such as `POST /job/*/buildWithParameters`; answers made up by a fault
    /// do not count.
    pub fn requests(&self) -> BTreeMap<String, u64> {
        self.shared.requests.lock().expect(LOCK).clone()
    }
}

impl Shared {
    /// Lets the world catch up with its clock, and then something look at it or change it.
    fn with_world<T>(&self, act: impl FnOnce(&mut World) -> T) -> T {
        let mut world = self.world.lock().expect(LOCK);
        world.advance(self.clock.now_ms());
        act(&mut world)
    }

    fn count(&self, route: String) {
        let mut requests = self.requests.lock().expect(LOCK);
        // Addresses that nobody serves must not fill memory.
        if requests.len() < MOST_COUNTED_ROUTES || requests.contains_key(&route) {
            *requests.entry(route).or_default() += 1;
        }
    }

    fn new_http_session(&self) -> String {
        format!("node{:016x}", world::hash(&[&self.http_sessions.fetch_add(1, Ordering::SeqCst).to_string()]))
    }

    fn crumb(&self, user: &str, http_session: Option<&str>) -> String {
        auth::crumb(user, http_session.filter(|_| self.version.crumb_is_bound_to_session()), "simulated controller")
    }
}

fn node_key(node: &NodeName) -> &str {
    match node {
        NodeName::BuiltIn => BUILT_IN,
        NodeName::Agent(name) => name,
    }
}

fn operator_mark(world: &World, reason: &str) -> OfflineMark {
    OfflineMark { user: OPERATOR.to_owned(), reason: reason.to_owned(), at: world.now }
}
