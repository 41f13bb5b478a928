//! One task per executor connection: a Gearman session that grabs jobs and passes on what their builds report.
//!
//! It decides nothing about capacity (the plan does) and nothing about builds (their own tasks do). When its
//! connection is lost the build goes on without it.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tracing::{debug, info, warn};

use crate::domain::{FunctionName, NodeName};
use crate::gearman::worker::{self, Report, Worker};
use crate::journal::AttemptKey;

use super::attempts::{Attempt, NewAttempt, Outcome, Progress};
use super::build;
use super::identity::ConnectionId;
use super::management;
use super::site::Site;
use super::table::Row;

/// What the reconciler tells a connection.
#[derive(Debug)]
pub(super) enum Command {
    /// Offer exactly these, and know what they mean.
    Offer(BTreeSet<FunctionName>, Arc<Row>),
    Grant,
    Revoke,
    /// Grab, since a sleeper without a lease was woken.
    Wake,
    Close,
}

/// What a connection tells the reconciler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Happened {
    Connected,
    Disconnected {
        error: String,
    },
    JobStarted(FunctionName),
    /// It may grab the next one if it is still leased.
    JobEnded {
        leased: bool,
    },
    /// The server has a job, and there is no lease to take it with.
    Woken,
    Closed,
}

pub(super) type Events = mpsc::UnboundedSender<(ConnectionId, Happened)>;

/// Runs a connection until it is closed.
pub(super) async fn run(
    site: Arc<Site>,
    id: ConnectionId,
    config: worker::Config,
    mut commands: mpsc::UnboundedReceiver<Command>,
    events: Events,
) {
    let worker_id = config.client_id.clone();
    let mut executor = Executor {
        site,
        id,
        worker_id,
        worker: Worker::new(config),
        meanings: Arc::default(),
        running: None,
        undelivered: None,
        is_closing: false,
        events,
    };
    while !executor.may_close() {
        // Every arm is cancel-safe: a half-written packet stays in the worker's buffer.
        tokio::select! {
            event = executor.worker.event() => executor.handle(event),
            command = commands.recv() => match command {
                None => break,
                Some(command) => executor.obey(command),
            },
            () = progressed(&mut executor.running) => executor.pass_on(),
        }
    }
    executor.tell(Happened::Closed);
    management::close(executor.worker, &executor.id).await;
}

struct Executor {
    site: Arc<Site>,
    id: ConnectionId,
    worker_id: String,
    worker: Worker,
    /// What each function means here.
    meanings: Arc<Row>,
    running: Option<Running>,
    /// The attempt whose terminal packet has not left yet.
    undelivered: Option<Arc<Attempt>>,
    /// Asked to close; a job that comes from the last grab is still run.
    is_closing: bool,
    events: Events,
}

/// The job of this connection.
struct Running {
    attempt: Arc<Attempt>,
    progress: watch::Receiver<Progress>,
    start_reported: bool,
}

async fn progressed(running: &mut Option<Running>) {
    match running {
        // A build task that died without an outcome closes nothing: the sender lives in the attempt.
        Some(running) => drop(running.progress.changed().await),
        None => std::future::pending().await,
    }
}

impl Executor {
    fn tell(&self, happened: Happened) {
        // The reconciler outlives its connections; at shutdown nobody needs to know.
        let _unheard = self.events.send((self.id.clone(), happened));
    }

    /// Returns whether no job is here, none on its way, and no result has still to leave: geard fails a job whose
    /// connection is closed.
    fn may_close(&self) -> bool {
        let has_job = self.running.is_some() || self.worker.is_grabbing();
        self.is_closing && !has_job && self.undelivered.is_none()
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Offer(functions, meanings) => {
                self.meanings = meanings;
                let names = functions.iter().map(|name| Bytes::copy_from_slice(name.as_str().as_bytes()));
                self.worker.offer(names.collect::<BTreeSet<Bytes>>());
            }
            Command::Grant if self.is_closing => {}
            Command::Grant => self.worker.grant(),
            Command::Revoke => self.revoke(),
            Command::Wake => self.worker.wake(),
            Command::Close => {
                self.is_closing = true;
                self.revoke();
            }
        }
    }

    fn handle(&mut self, event: worker::Event) {
        match event {
            worker::Event::Connected => self.tell(Happened::Connected),
            worker::Event::Woken => self.tell(Happened::Woken),
            // What becomes of a grab shows as a job, or not at all.
            worker::Event::Revoked => {}
            worker::Event::Delivered { handle } => self.delivered(&handle),
            worker::Event::Refused { code, text, .. } => {
                warn!(connection = %self.id, code = %code, text = %text, "gearman server refused a packet");
            }
            worker::Event::Disconnected { error, .. } => {
                self.undelivered = None;
                if let Some(running) = self.running.take() {
                    info!(connection = %self.id, function = %running.attempt.function, "connection lost in mid-build; the build goes on");
                    running.attempt.update(|progress| progress.connection = None);
                    self.release_if_over(&running.attempt);
                    self.tell(Happened::JobEnded { leased: self.worker.is_leased() });
                }
                self.tell(Happened::Disconnected { error });
            }
            worker::Event::Assigned(job) => self.take(job),
        }
    }

    fn take(&mut self, job: worker::Job) {
        let Ok(function) = FunctionName::new(String::from_utf8_lossy(&job.function)) else {
            self.worker.report(Report::Fail);
            return;
        };
        let key = AttemptKey {
            server: self.site.server.clone(),
            handle: job.handle.to_vec(),
            unique: job.unique.to_vec(),
            function: function.to_string(),
        };
        let attempt = match self.site.attempts.find(&key) {
            Some(known) if known.progress.borrow().connection.is_none() => {
                info!(connection = %self.id, %function, "took up a build that was running already");
                known.update(|progress| progress.connection = Some(self.id.clone()));
                known
            }
            Some(_) => {
                // The server gave one job to two connections; the one that has it keeps it.
                debug!(connection = %self.id, %function, "declined a job that another connection runs");
                drop(self.worker.hand_back());
                self.tell(Happened::Disconnected { error: "declined a job that is running already".to_owned() });
                return;
            }
            None => match self.begin(key, &function, job.payload) {
                Some(attempt) => attempt,
                None => {
                    warn!(connection = %self.id, %function, "was given a function that is not offered here");
                    self.worker.report(Report::Fail);
                    return;
                }
            },
        };
        let mut progress = attempt.progress.subscribe();
        progress.mark_changed();
        self.running = Some(Running { attempt, progress, start_reported: false });
        self.tell(Happened::JobStarted(function));
    }

    fn begin(&self, key: AttemptKey, function: &FunctionName, payload: Bytes) -> Option<Arc<Attempt>> {
        let offer = self.meanings.get(function)?;
        let node = self.id.node().cloned().unwrap_or(NodeName::BuiltIn);
        let attempt = self.site.attempts.begin(NewAttempt {
            key,
            function: function.clone(),
            controller: self.id.controller.clone(),
            project: offer.project.clone(),
            offered_as: offer.function.project.clone(),
            worker: self.worker_id.clone(),
            grabbed_for: node.clone(),
            holds_executor: !offer.is_pipeline,
            progress: Progress { connection: Some(self.id.clone()), node: Some(node), ..Progress::default() },
        });
        info!(connection = %self.id, %function, "took a job");
        spawn_build(build::run(Arc::clone(&self.site), Arc::clone(&attempt), payload), &attempt);
        Some(attempt)
    }

    /// Passes on what the build has reported since the last time.
    fn pass_on(&mut self) {
        let Some(running) = &mut self.running else { return };
        let progress = running.progress.borrow_and_update().clone();
        if let Some(started) = progress.started.as_ref().filter(|_| !running.start_reported) {
            running.start_reported = true;
            // Data before status: Zuul takes the number from the first packet that it sees.
            self.worker.report(Report::Data(started.data.clone()));
            let status = started.status;
            self.worker
                .report(Report::Status { numerator: status.numerator.into(), denominator: status.denominator.into() });
        }
        let Some(outcome) = progress.outcome else { return };
        let attempt = Arc::clone(&running.attempt);
        self.running = None;
        let node_taken = self.site.offline_marks.holds(&self.id.controller, self.id.node());
        if node_taken || progress.node.as_ref() != self.id.node() {
            self.revoke();
        }
        match outcome.report() {
            Some(report) => {
                self.worker.report(report);
                self.undelivered = Some(Arc::clone(&attempt));
            }
            None => {
                // It might get the same job again at once; the plan says when it may grab.
                self.revoke();
                drop(self.worker.hand_back());
                self.site.attempts.end(&attempt);
            }
        }
        attempt.update(|progress| progress.connection = None);
        self.tell(Happened::JobEnded { leased: self.worker.is_leased() });
    }

    fn revoke(&mut self) {
        // A grab under way may still bring a job; it is run then, lease or not.
        let _revocation = self.worker.revoke();
    }

    /// The terminal packet has left: the attempt is over. Without this it stays, and its result is delivered when the
    /// server hands the job out again.
    fn delivered(&mut self, handle: &[u8]) {
        let Some(attempt) = self.undelivered.take_if(|attempt| attempt.key.handle == handle) else { return };
        self.site.attempts.end(&attempt);
        let Some(journal) = attempt.progress.borrow().journal else { return };
        let site = Arc::clone(&self.site);
        // A result may be delivered twice, never not at all: nobody waits for this.
        tokio::spawn(async move {
            if let Err(error) = site.journal.delivered(journal).await {
                warn!(%error, "failed to journal a delivery");
            }
        });
    }

    /// Forgets an attempt that ended while its connection was being lost, unless its result may still be delivered.
    fn release_if_over(&self, attempt: &Attempt) {
        if attempt.progress.borrow().outcome == Some(Outcome::HandBack) {
            self.site.attempts.end(attempt);
        }
    }
}

/// Runs a build's task so that a bug in it ends in an exception for the client, and never in a job that hangs.
pub(super) fn spawn_build(task: impl Future<Output = ()> + Send + 'static, attempt: &Arc<Attempt>) {
    let attempt = Arc::clone(attempt);
    tokio::spawn(async move {
        if let Err(error) = tokio::spawn(task).await {
            tracing::error!(function = %attempt.function, %error, "a build's task failed; this is a bug");
            attempt.update(|progress| {
                let text = Bytes::from_static(b"layshaft failed while it ran this build; see its log");
                progress.outcome.get_or_insert(Outcome::Exception(text));
            });
        }
    });
}
