//! The only room where things happen over time: it watches controllers, offers functions, and runs jobs as builds.
//!
//! ```text
//! pollers -> snapshot -> table -> keeping -> plan -> steps -> connections -> jobs -> builds
//!               ^                             ^                                |
//!               '--------- reconciler --------'------------ attempts <---------'
//! ```
//!
//! `table`, `keeping` and `plan` decide and are pure; the reconciler acts on what it sees, never on what an event claims.

mod ask_again;
mod attempts;
mod build;
mod clearance;
mod computing;
mod config;
mod decisions;
mod executor;
#[cfg(test)]
mod fleets;
mod function_set;
mod housekeeping;
mod identity;
mod keeper;
mod keeping;
mod lease;
mod management;
mod meanings;
mod nodes;
mod offline_budget;
mod overview;
mod past_decisions;
mod plan;
mod reconciler;
mod refusals;
mod rules;
mod server;
mod settling;
mod site;
mod snapshot;
pub mod status;
mod stopping;
mod table;
mod table_gates;
mod undeclared;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::domain::{BuildId, ControllerName, Function, FunctionName};
use crate::jenkins;
use crate::journal::{self, Journal, TerminalKind};
use crate::policy::{self, Policies};

use attempts::{KEPT_UNDELIVERED, NewAttempt, Outcome, Progress};
use reconciler::{Inbox, Reconciler, Request};
use server::Server;
use site::{Site, View};
use status::{Mode, Status};

pub use config::{Config, OfflineMark, OnStuck, RejectAs};
pub use nodes::ReleaseError;
pub use plan::PipelineSlots;
pub use server::ServerParts;

const LOOK_FOR_UNDELIVERABLE: Duration = Duration::from_secs(30);

const NEVER_ASKED_FOR: &str = "the gearman server did not hand its job out again within an hour";
const NEVER_RECOGNISED: &str = "its job has no unique, so that it cannot be recognised if it comes again";

/// What a runtime is made of.
#[derive(Debug)]
pub struct Parts {
    pub config: Config,
    /// Every worker is at each of them.
    pub servers: Vec<ServerParts>,
    pub journal: Journal,
    pub policies: Arc<Policies>,
    pub controllers: Vec<ControllerParts>,
}

/// A controller of the configuration, with a client for it.
#[derive(Debug)]
pub struct ControllerParts {
    pub name: ControllerName,
    /// The suffix of its management functions.
    pub host: String,
    pub tags: BTreeSet<String>,
    /// Offers builds; otherwise it is only managed.
    pub serve: bool,
    pub client: jenkins::Client,
    /// Where the controller is, and how often it is asked.
    pub jenkins: jenkins::Config,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("controllers {0} and {1} have the same host {2:?}; give one of them another `host`")]
    SameHost(ControllerName, ControllerName, String),
    #[error("host {host:?} of controller {controller} cannot be part of a function name")]
    IllegalHost { controller: ControllerName, host: String },
    #[error("failed to read the journal")]
    Journal(#[from] journal::Error),
    #[error("the runtime has stopped")]
    Stopped,
}

/// A running daemon's heart. Dropping the handle stops nothing; see [`Runtime::stop`].
#[derive(Debug)]
pub struct Runtime {
    site: Arc<Site>,
    requests: mpsc::UnboundedSender<Request>,
    pictures: Arc<Notify>,
    stop: CancellationToken,
    done: watch::Receiver<bool>,
    cleared: watch::Sender<reconciler::Clearances>,
    task: JoinHandle<()>,
}

impl Runtime {
    /// Starts everything. What cannot be reached yet is tried again for ever.
    pub async fn start(parts: Parts) -> Result<Self, Error> {
        check_hosts(&parts.controllers)?;
        let stop = CancellationToken::new();
        let pictures = Arc::new(Notify::new());
        let hosts =
            parts.controllers.iter().map(|controller| (controller.name.clone(), controller.host.clone())).collect();
        let controllers = spawn_pollers(parts.controllers, &pictures, &stop);
        let view = watch::Sender::new(View::default());
        let site = Arc::new(Site::new(
            parts.config,
            parts.servers.into_iter().map(Server::new).collect(),
            parts.journal,
            parts.policies,
            controllers,
            view.subscribe(),
            stop.clone(),
        ));
        let gates = table_gates::TableGates { site: Arc::downgrade(&site), runtime: Handle::current() };
        site.policies.guard_table_with(Arc::new(gates));
        let journal = site.journal.clone();
        let past_decisions = past_decisions::PastDecisions { journal, runtime: Handle::current() };
        site.policies.replay_from(Arc::new(past_decisions));
        let known = site.journal.open_attempts().await?;
        let cleared = watch::Sender::new(BTreeMap::new());
        let (requests, received) = mpsc::unbounded_channel();
        let (done_sender, done) = watch::channel(false);
        let task = tokio::spawn({
            let (site, stop, cleared, pictures) =
                (Arc::clone(&site), stop.clone(), cleared.clone(), Arc::clone(&pictures));
            for number in 0..site.servers.len() {
                let looking_for_refusals = refusals::watch(Arc::clone(&site), number, requests.clone());
                tokio::spawn(stop.clone().run_until_cancelled_owned(looking_for_refusals));
                let asking = keeper::ask(Arc::clone(&site), number, requests.clone());
                tokio::spawn(stop.clone().run_until_cancelled_owned(asking));
            }
            async move {
                let inbox = Inbox { requests: received, pictures };
                serve(site, view, hosts, known, cleared, inbox, stop.clone()).await;
                stop.cancel();
                // Nobody may be waiting.
                let _unheard = done_sender.send(true);
            }
        });
        Ok(Self { site, requests, pictures, stop, done, cleared, task })
    }

    /// Returns what the daemon is doing.
    pub async fn status(&self) -> Result<Status, Error> {
        let (reply, answer) = oneshot::channel();
        self.requests.send(Request::Status(reply)).map_err(|_| Error::Stopped)?;
        answer.await.map_err(|_| Error::Stopped)
    }

    /// Takes no more jobs; what runs goes on.
    pub fn pause(&self) -> Result<(), Error> {
        self.set_mode(Mode::Paused)
    }

    pub fn resume(&self) -> Result<(), Error> {
        self.set_mode(Mode::Serving)
    }

    /// Takes no more jobs and stops with the last build; [`Runtime::stopped`] tells when.
    pub fn drain(&self) -> Result<(), Error> {
        self.set_mode(Mode::Draining)
    }

    fn set_mode(&self, mode: Mode) -> Result<(), Error> {
        self.requests.send(Request::SetMode(mode)).map_err(|_| Error::Stopped)
    }

    pub fn policies(&self) -> &Arc<Policies> {
        &self.site.policies
    }

    pub fn journal(&self) -> &Journal {
        &self.site.journal
    }

    /// Takes over another configuration. Running builds go on as they began.
    pub fn reconfigure(&self, config: Config, controllers: Vec<ControllerParts>) -> Result<(), Error> {
        check_hosts(&controllers)?;
        let hosts: BTreeMap<_, _> =
            controllers.iter().map(|controller| (controller.name.clone(), controller.host.clone())).collect();
        let before = self.site.controllers();
        let fresh = spawn_pollers(controllers, &self.pictures, &self.stop);
        let is_known = |name: &ControllerName| before.get(name).map(|controller| &controller.host) == hosts.get(name);
        self.cleared.send_modify(|cleared| cleared.retain(|(name, _), _| is_known(name)));
        self.site.reconfigure(config, fresh);
        clearance::clear(&self.site, &hosts, &self.cleared);
        self.requests.send(Request::Reconfigured).map_err(|_| Error::Stopped)
    }

    /// Waits until the runtime has stopped, by itself after a drain or because it was told to.
    pub async fn stopped(&self) {
        let mut done = self.done.clone();
        // An error means that the task is gone, which is as stopped as can be.
        let _gone = done.wait_for(|done| *done).await;
    }

    /// Stops now. Running builds go on in Jenkins, and the next start takes them up.
    pub async fn stop(self) {
        self.stop.cancel();
        if let Err(error) = self.task.await {
            warn!(%error, "the runtime ended badly");
        }
    }
}

async fn serve(
    site: Arc<Site>,
    view: watch::Sender<View>,
    hosts: BTreeMap<ControllerName, String>,
    known: Vec<journal::Attempt>,
    cleared: watch::Sender<reconciler::Clearances>,
    inbox: Inbox,
    stop: CancellationToken,
) {
    // Before any server is asked anything: builds go on without it.
    resume(&site, known);
    tokio::spawn(stop.clone().run_until_cancelled_owned(stopping::resume(Arc::clone(&site))));
    tokio::spawn(stop.clone().run_until_cancelled_owned(give_up_undeliverable(Arc::clone(&site))));
    let housekeeping = housekeeping::run(site.journal.clone(), Arc::clone(&site.policies));
    tokio::spawn(stop.clone().run_until_cancelled_owned(housekeeping));
    let recording =
        site.policies.decisions().map(|decided| decisions::keep(decided, site.journal.clone(), stop.clone()));
    let recording = recording.map(tokio::spawn);
    clearance::clear(&site, &hosts, &cleared);
    let (reconciler, happened) = Reconciler::new(Arc::clone(&site), view, cleared.subscribe());
    reconciler.run(inbox, happened, stop.clone()).await;
    stop.cancel();
    if let Some(recording) = recording {
        // It ends with what is left to be written.
        let _ended = recording.await;
    }
}

/// Takes up what an earlier life of this daemon had begun.
fn resume(site: &Arc<Site>, known: Vec<journal::Attempt>) {
    for known in known {
        let Ok(function) = FunctionName::new(known.intent.key.function.clone()) else {
            give_up(site, known.id, "its function is none");
            continue;
        };
        let waits_since = known.ending.as_ref().and(known.times.ended);
        if waits_since.is_some_and(|ended| ended.elapsed().is_ok_and(|waited| waited > KEPT_UNDELIVERED)) {
            give_up(site, known.id, NEVER_ASKED_FOR);
            continue;
        }
        let outcome = known.ending.as_ref().map(|ending| match ending.terminal.kind {
            TerminalKind::Complete => Outcome::Complete(ending.terminal.payload.clone().into()),
            TerminalKind::Exception => Outcome::Exception(ending.terminal.payload.clone().into()),
            TerminalKind::Fail => Outcome::Fail,
        });
        // Handles count from one again after a server's restart: without a unique its job cannot be recognised.
        let disowned = known.intent.key.unique.is_empty();
        if outcome.is_some() && disowned {
            give_up(site, known.id, NEVER_RECOGNISED);
            continue;
        }
        let offered_as = match function.function() {
            Some(Function::Build(build)) => build.project,
            _ => known.intent.project.short().to_owned(),
        };
        let build = known.build.clone();
        let node = build.as_ref().and_then(|build| build.node.clone()).unwrap_or_else(|| known.intent.node.clone());
        let is_over = outcome.is_some();
        let attempt = site.attempts.begin(NewAttempt {
            key: known.intent.key.clone(),
            function,
            controller: known.intent.controller.clone(),
            project: known.intent.project.clone(),
            offered_as,
            worker: known.intent.worker.clone(),
            grabbed_for: known.intent.node.clone(),
            payload: None,
            progress: Progress {
                journal: Some(known.id),
                disowned,
                node: Some(node),
                holds_executor: true,
                marked: known.intent.marker.is_some(),
                queue_item: known.queue_item,
                // Whose it is was not written down; a marker tells.
                shares_item: known.intent.marker.is_none(),
                build: build.map(|build| BuildId { project: known.intent.project.clone(), number: build.number }),
                outcome,
                ..Progress::default()
            },
        });
        if !is_over {
            info!(function = %attempt.function, controller = %attempt.controller, "taking up an attempt of an earlier run");
            let task = build::resume(Arc::clone(site), Arc::clone(&attempt), known);
            executor::spawn_build(site, task, &attempt);
        }
    }
}

/// Gives up outcomes whose jobs the server never handed out again, for ever.
async fn give_up_undeliverable(site: Arc<Site>) {
    let mut tick = tokio::time::interval(LOOK_FOR_UNDELIVERABLE);
    loop {
        tick.tick().await;
        for attempt in site.attempts.take_undeliverable() {
            warn!(function = %attempt.function, controller = %attempt.controller, "gave up a result: {NEVER_ASKED_FOR}");
            if let Some(id) = attempt.progress.borrow().journal {
                give_up(&site, id, NEVER_ASKED_FOR);
            }
        }
    }
}

/// Closes an attempt of which nobody will hear.
fn give_up(site: &Arc<Site>, id: journal::AttemptId, reason: &'static str) {
    let site = Arc::clone(site);
    tokio::spawn(async move {
        if let Err(error) = site.journal.failed(id, reason).await {
            warn!(attempt = %id, %error, "failed to journal that an attempt was given up");
        }
    });
}

fn spawn_pollers(
    controllers: Vec<ControllerParts>,
    pictures: &Arc<Notify>,
    stop: &CancellationToken,
) -> site::Controllers {
    let mut spawned = BTreeMap::new();
    for parts in controllers {
        let stop = stop.child_token();
        // What the poller logs says which controller is meant.
        let spawn = || jenkins::Poller::spawn(parts.client.clone(), &parts.jenkins, &stop, &TaskTracker::new());
        let watcher = tracing::info_span!("poller", controller = %parts.name).in_scope(spawn);
        let mut published = watcher.picture();
        let pictures = Arc::clone(pictures);
        tokio::spawn(async move {
            // Ends with its poller.
            while published.changed().await.is_ok() {
                pictures.notify_one();
            }
        });
        let for_policies = policy::Controller { name: parts.name.clone(), tags: parts.tags };
        let controller = site::Controller {
            host: parts.host,
            serve: parts.serve,
            client: parts.client,
            watcher,
            intervals: parts.jenkins.poll,
            for_policies,
            _stop_poller: stop.drop_guard(),
        };
        spawned.insert(parts.name, Arc::new(controller));
    }
    spawned
}

fn check_hosts(controllers: &[ControllerParts]) -> Result<(), Error> {
    let mut hosts: BTreeMap<&str, &ControllerName> = BTreeMap::new();
    for controller in controllers {
        if FunctionName::set_description(&controller.host).is_err() {
            return Err(Error::IllegalHost { controller: controller.name.clone(), host: controller.host.clone() });
        }
        if let Some(other) = hosts.insert(&controller.host, &controller.name) {
            return Err(Error::SameHost(other.clone(), controller.name.clone(), controller.host.clone()));
        }
    }
    Ok(())
}
