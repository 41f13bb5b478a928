//! One task per executor connection: a crew that grabs jobs at every Gearman server, one at a time, and passes on what
//! their builds report.
//!
//! It decides nothing about capacity (the plan does) and nothing about builds (their own tasks do). When its
//! connection is lost the build goes on without it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{debug, error, info, warn};

use crate::domain::{FunctionName, Node, NodeName};
use crate::gearman::crew::{self, Crew};
use crate::gearman::worker::{self, Report};
use crate::journal::{AttemptKey, Ending, Terminal, TerminalKind};
use crate::policy::Digest;

use super::attempts::{Attempt, NewAttempt, Outcome, Progress, TakenUp};
use super::build;
use super::function_set::FunctionSet;
use super::identity::ConnectionId;
use super::management;
use super::meanings::Meanings;
use super::refusals;
use super::settling::Unanswered;
use super::site::Site;

/// How long a connection that closes waits for what is under way: a grab that may bring a job, a packet that has to
/// leave, a write to the journal.
const CLOSING_PATIENCE: Duration = Duration::from_secs(2);

/// gearmand's word for "the payload is the unique": it names no job by itself.
const UNIQUE_BY_PAYLOAD: &[u8] = b"-";

/// What the reconciler tells a connection.
#[derive(Debug)]
pub(super) enum Command {
    /// Be at the server with that number too.
    Serve(usize, Box<worker::Config>),
    /// Offer exactly these, know what they mean, and answer with the number once every server that is there was told.
    Offer(FunctionSet, Meanings, u64),
    Grant,
    /// Take no more jobs, and answer with the same number once none can come any more.
    Revoke(u64),
    /// Grab at that server, since a sleeper without a lease was woken there.
    Wake(usize),
    /// End, as soon as no grab and no job is under way. Once the commands end too, a running job is left behind.
    Close,
}

/// What a connection tells the reconciler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Happened {
    Connected {
        server: usize,
    },
    Disconnected {
        server: usize,
        error: String,
    },
    JobStarted(FunctionName),
    /// It may grab the next one if it is still leased.
    JobEnded {
        leased: bool,
    },
    /// That server has a job, and there is no lease to take it with, or another job.
    Woken {
        server: usize,
    },
    /// No job can come any more of the lease that was revoked with this number, or of one before.
    Settled(u64),
    /// Every server that is there was told of the offer with this number, and of those before.
    Said(u64),
    Closed,
}

pub(super) type Events = mpsc::UnboundedSender<(ConnectionId, Happened)>;

/// Runs a connection until it is closed.
pub(super) async fn run(
    site: Arc<Site>,
    id: ConnectionId,
    worker_id: String,
    mut commands: mpsc::UnboundedReceiver<Command>,
    events: Events,
) {
    let crew = Crew::new(site.servers.len());
    let mut executor = Executor {
        site,
        id,
        worker_id,
        crew,
        meanings: Meanings::default(),
        running: None,
        undelivered: BTreeMap::new(),
        journaling: None,
        closing: false,
        unanswered: Unanswered::default(),
        unsaid: None,
        events,
    };
    while !executor.may_close() {
        executor.answer_revocation();
        executor.answer_offer();
        // Every arm is cancel-safe: a half-written packet stays in the worker's buffer.
        tokio::select! {
            // A lease that was revoked before the server woke this worker must not bring the job that it was woken for.
            biased;
            command = commands.recv() => match command {
                None => break,
                Some(command) => executor.obey(command),
            },
            event = executor.crew.event() => executor.handle(event),
            () = progressed(&mut executor.running) => {
                // What the reconciler has said about the lease comes before the packet that asks for the next job.
                while let Ok(command) = commands.try_recv() {
                    executor.obey(command);
                }
                executor.pass_on();
            }
        }
    }
    executor.close().await;
}

struct Executor {
    site: Arc<Site>,
    id: ConnectionId,
    worker_id: String,
    crew: Crew,
    /// What each function means here.
    meanings: Meanings,
    running: Option<Running>,
    /// By server.
    undelivered: BTreeMap<usize, Undelivered>,
    /// The latest write to the journal.
    journaling: Option<JoinHandle<()>>,
    closing: bool,
    unanswered: Unanswered,
    /// The latest offer that not every server was told of.
    unsaid: Option<u64>,
    events: Events,
}

/// An attempt whose terminal packet has not left yet, and the handle under which it leaves.
struct Undelivered {
    attempt: Arc<Attempt>,
    handle: Bytes,
}

/// The job of this connection.
struct Running {
    attempt: Arc<Attempt>,
    progress: watch::Receiver<Progress>,
    server: usize,
    /// The server's name for the job; another one than the attempt's after the server was restarted.
    handle: Bytes,
    start_reported: bool,
}

fn bytes_of(function: &FunctionName) -> Bytes {
    Bytes::copy_from_slice(function.as_str().as_bytes())
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
        let has_job = self.running.is_some() || self.crew.is_grabbing() || self.crew.has_news();
        self.closing && !has_job && self.undelivered.is_empty()
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Serve(..) if self.closing => {}
            Command::Serve(server, config) => self.crew.join(server, *config),
            Command::Offer(functions, meanings, number) => {
                self.learn(meanings);
                let names = functions.on_the_wire();
                for (number, server) in self.site.servers.iter().enumerate() {
                    let refused: BTreeSet<Bytes> =
                        refusals::of(&server.refused.borrow(), &self.worker_id).map(bytes_of).collect();
                    self.crew.forget(number, &refused.difference(&names).cloned().collect());
                }
                self.crew.offer(names);
                self.crew.tell_when_said();
                self.unsaid = Some(number);
            }
            Command::Grant if self.closing => {}
            Command::Grant => self.crew.grant(),
            Command::Revoke(number) => {
                self.crew.revoke();
                self.unanswered.revoke(number);
            }
            Command::Wake(server) => self.crew.wake(server),
            Command::Close => {
                self.closing = true;
                self.crew.revoke();
            }
        }
    }

    /// Takes over what functions mean. While a grab is under way the server may still give out what is withdrawn, so
    /// that nothing is forgotten then.
    fn learn(&mut self, meanings: Meanings) {
        let may_be_given_more = self.crew.is_grabbing() || self.crew.has_news();
        self.meanings = if may_be_given_more { self.meanings.overlaid_by(&meanings) } else { meanings };
    }

    fn handle(&mut self, event: crew::Event) {
        let crew::Event { server, what } = event;
        match what {
            worker::Event::Connected => self.tell(Happened::Connected { server }),
            worker::Event::Woken => self.tell(Happened::Woken { server }),
            // What became of the grab is looked up when the revocation is answered.
            worker::Event::Revoked => {}
            // Whether all were told is looked up when the offer is answered.
            worker::Event::Said => {}
            worker::Event::Delivered { handle } => self.delivered(server, &handle),
            worker::Event::Refused { code, text, .. } => {
                let server = self.site.servers[server].address();
                warn!(connection = %self.id, server, code = %code, text = %text, "gearman server refused a packet");
            }
            worker::Event::Disconnected { error, .. } => {
                self.undelivered.remove(&server);
                if let Some(running) = self.running.take_if(|running| running.server == server) {
                    info!(connection = %self.id, function = %running.attempt.function, "connection lost in mid-build; the build goes on");
                    self.let_go(&running.attempt);
                    self.tell(Happened::JobEnded { leased: self.crew.is_leased() });
                }
                self.tell(Happened::Disconnected { server, error });
            }
            worker::Event::Assigned(job) => self.take(server, job),
        }
    }

    fn take(&mut self, server: usize, job: worker::Job) {
        let Ok(function) = FunctionName::new(String::from_utf8_lossy(&job.function)) else {
            self.crew.report(Report::Fail);
            return;
        };
        let unique = if job.unique == UNIQUE_BY_PAYLOAD { Vec::new() } else { job.unique.to_vec() };
        let key = AttemptKey {
            server: self.site.servers[server].address().to_owned(),
            handle: job.handle.to_vec(),
            unique,
            function: function.to_string(),
        };
        let payload = Digest::of(&job.payload);
        let new = self.new_attempt(&key, &function, &payload);
        let attempt = match self.site.attempts.take_up(&key, &payload, new) {
            TakenUp::New(attempt) => {
                info!(connection = %self.id, server = key.server, %function, "took a job");
                spawn_build(
                    &self.site,
                    build::run(Arc::clone(&self.site), Arc::clone(&attempt), job.payload),
                    &attempt,
                );
                attempt
            }
            TakenUp::Known(attempt) => {
                self.adopt(&attempt, &job.handle);
                attempt
            }
            TakenUp::Nothing => {
                warn!(connection = %self.id, %function, "was given a function that is not offered here");
                self.crew.report(Report::Fail);
                return;
            }
        };
        let mut progress = attempt.progress.subscribe();
        progress.mark_changed();
        self.running = Some(Running { attempt, progress, server, handle: job.handle, start_reported: false });
        self.tell(Happened::JobStarted(function));
    }

    /// Goes on with an attempt whose job was handed out once more.
    ///
    /// If another connection holds the job, as after a half-open connection, or on a server that gives two jobs one
    /// unique: both are told what the one build comes to.
    fn adopt(&mut self, attempt: &Arc<Attempt>, handle: &[u8]) {
        let function = &attempt.function;
        if let Some(holder) = &attempt.progress.borrow().connection {
            warn!(connection = %self.id, %function, %holder, "was given a job that is running already; it shares the build");
            // Its executor was promised for a build of its own, and there will be none.
            self.crew.revoke();
        } else {
            info!(connection = %self.id, %function, "took up a build that was running already");
        }
        attempt.attach(&self.id);
        let Some(journal) = attempt.progress.borrow().journal else { return };
        let (site, handle, worker) = (Arc::clone(&self.site), handle.to_vec(), self.worker_id.clone());
        self.journaling = Some(tokio::spawn(async move {
            if let Err(error) = site.journal.adopted(journal, handle, worker).await {
                debug!(%error, "failed to journal an adoption");
            }
        }));
    }

    /// Returns what would be begun for a job; nothing for a function that is not offered here.
    fn new_attempt(&self, key: &AttemptKey, function: &FunctionName, payload: &Digest) -> Option<NewAttempt> {
        let offer = self.meanings.get(function)?;
        let node = self.id.node().cloned().unwrap_or(NodeName::BuiltIn);
        Some(NewAttempt {
            key: key.clone(),
            function: function.clone(),
            controller: self.id.controller.clone(),
            project: offer.project.clone(),
            offered_as: offer.function.project.clone(),
            worker: self.worker_id.clone(),
            grabbed_for: node.clone(),
            payload: Some(payload.clone()),
            progress: Progress {
                connection: Some(self.id.clone()),
                node: Some(node),
                holds_executor: offer.holds_executor,
                ..Progress::default()
            },
        })
    }

    /// Passes on what the build has reported since the last time.
    fn pass_on(&mut self) {
        let Some(running) = &mut self.running else { return };
        let progress = running.progress.borrow_and_update().clone();
        if let Some(started) = progress.started.as_ref().filter(|_| !running.start_reported) {
            running.start_reported = true;
            // Data before status: Zuul takes the number from the first packet that it sees.
            self.crew.report(Report::Data(started.data.clone()));
            let status = started.status;
            self.crew
                .report(Report::Status { numerator: status.numerator.into(), denominator: status.denominator.into() });
        }
        let Some(outcome) = progress.outcome.clone() else { return };
        let Some(Running { attempt, server, handle, .. }) = self.running.take() else { return };
        if !self.keeps_lease(&attempt, &progress) {
            self.crew.revoke();
        }
        match outcome.report() {
            Some(report) => {
                self.crew.report(report);
                self.undelivered.insert(server, Undelivered { attempt: Arc::clone(&attempt), handle });
            }
            None => {
                // It might get the same job again at once; the plan says when it may grab.
                self.crew.revoke();
                drop(self.crew.hand_back());
            }
        }
        self.let_go(&attempt);
        self.tell(Happened::JobEnded { leased: self.crew.is_leased() });
    }

    /// Whether the executor of the job that just ended was this connection's own, and is free again.
    fn keeps_lease(&self, attempt: &Attempt, progress: &Progress) -> bool {
        let is_own = progress.connection.as_ref() == Some(&self.id)
            && attempt.controller == self.id.controller
            && progress.node.as_ref() == self.id.node();
        is_own && !self.site.offline_marks.holds(&self.id.controller, self.id.node()) && self.is_node_online()
    }

    fn is_node_online(&self) -> bool {
        let Some(controller) = self.site.controller(&self.id.controller) else { return false };
        let picture = controller.watcher.picture().borrow().clone();
        let mut nodes = picture.nodes.iter().flat_map(|nodes| nodes.value.iter());
        nodes.find(|node| Some(&node.name) == self.id.node()).is_some_and(Node::is_online)
    }

    /// A grab under way may still bring a job, which is run then, lease or not. Until then the revocation is open.
    fn answer_revocation(&mut self) {
        if let Some(number) = self.unanswered.answer(self.crew.is_grabbing(), self.crew.has_news()) {
            self.tell(Happened::Settled(number));
        }
    }

    fn answer_offer(&mut self) {
        if self.crew.has_said_all()
            && let Some(number) = self.unsaid.take()
        {
            self.tell(Happened::Said(number));
        }
    }

    /// The server has read the terminal packet: the attempt is over. Without this it stays, and its result is delivered when the
    /// server hands the job out again.
    fn delivered(&mut self, server: usize, handle: &[u8]) {
        if self.undelivered.get(&server).is_none_or(|undelivered| undelivered.handle != handle) {
            return;
        }
        let Some(Undelivered { attempt, .. }) = self.undelivered.remove(&server) else { return };
        if !self.site.attempts.end(&attempt) {
            return;
        }
        let Some(journal) = attempt.progress.borrow().journal else { return };
        let site = Arc::clone(&self.site);
        // A result may be delivered twice, never not at all: no job waits for this.
        self.journaling = Some(tokio::spawn(async move {
            if let Err(error) = site.journal.delivered(journal).await {
                warn!(%error, "failed to journal a delivery");
            }
        }));
    }

    /// Lets go of an attempt. It stays for when the server hands its job out again, unless that is a job like any other
    /// then.
    fn let_go(&self, attempt: &Attempt) {
        attempt.detach(&self.id);
        if attempt.progress.borrow().outcome == Some(Outcome::HandBack) {
            self.site.attempts.end(attempt);
        }
    }

    /// Says goodbye to the server once it is clear that no job is on its way here: geard fails a job whose connection
    /// ends.
    async fn close(mut self) {
        self.crew.revoke();
        let settled = async {
            while self.crew.is_grabbing() || !self.undelivered.is_empty() {
                let crew::Event { server, what } = self.crew.event().await;
                match what {
                    worker::Event::Delivered { handle } => self.delivered(server, &handle),
                    worker::Event::Disconnected { .. } => drop(self.undelivered.remove(&server)),
                    // It is handed back with the connection, before anything was begun for it.
                    worker::Event::Assigned(job) => {
                        info!(connection = %self.id, ?job, "hands back a job that came late");
                    }
                    _ => {}
                }
            }
            if let Some(journaling) = self.journaling.take() {
                let _panicked = journaling.await;
            }
        };
        if timeout(CLOSING_PATIENCE, settled).await.is_err() {
            debug!(connection = %self.id, "closes without an answer of the gearman server");
        }
        if let Some(running) = self.running.take() {
            self.let_go(&running.attempt);
        }
        let Self { id, crew, events, .. } = self;
        management::close(crew, &id).await;
        // The reconciler outlives its connections; at shutdown nobody needs to know.
        let _unheard = events.send((id, Happened::Closed));
    }
}

/// Runs a build's task so that a bug in it ends in an exception for the client, and never in a job that hangs. When the
/// runtime stops, the task ends wherever it is; the next start goes on from the journal.
pub(super) fn spawn_build(site: &Arc<Site>, task: impl Future<Output = ()> + Send + 'static, attempt: &Arc<Attempt>) {
    let (site, attempt) = (Arc::clone(site), Arc::clone(attempt));
    tokio::spawn(async move {
        let task = tokio::spawn(site.stop.clone().run_until_cancelled_owned(task));
        let Err(failure) = task.await else { return };
        if !failure.is_panic() {
            return;
        }
        error!(function = %attempt.function, error = %failure, "a build's task failed; this is a bug");
        let text = Bytes::from_static(b"layshaft failed while it ran this build; see its log");
        let journal = attempt.progress.borrow().journal;
        if let Some(journal) = journal {
            let terminal = Terminal { kind: TerminalKind::Exception, payload: text.to_vec() };
            if let Err(error) = site.journal.ended(journal, Ending { result: None, terminal }).await {
                warn!(%error, "failed to journal the end of a build");
            }
        }
        attempt.conclude(Outcome::Exception(text));
    });
}
