//! `stop:HOST` and `set_description:HOST`: one connection per controller that answers whatever else is busy, at every
//! Gearman server.
//!
//! It has one job at a time, as the plugin's had, so no job may keep it: a client whose controller does not answer is told
//! so in time, and what it asked for goes on without it. As long as something is overdue on a controller, everybody else
//! who asks for something there waits only a moment.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{error, info, warn};

use crate::classic::management::{self as request, BuildReference, DescriptionRequest, ManagementError, StopRequest};
use crate::domain::{Build, BuildId, ControllerName, Function, FunctionName, ProjectName};
use crate::gearman::crew::{self, Crew};
use crate::gearman::worker::{self, Report};
use crate::jenkins::{self, Cancelled, Part};

use super::attempts::{Attempt, Progress};
use super::executor::{Command, Events, Happened};
use super::identity::ConnectionId;
use super::site::{Controller, Site};
use super::stopping::{self, Asked};

/// How long a connection that closes waits for the answer that is under way.
const CLOSING_PATIENCE: Duration = Duration::from_secs(2);

/// Longer than a controller takes that answers at all. So long a client waits while an earlier request is overdue.
const MOMENT: Duration = Duration::from_secs(1);

/// What a client is told whose build is not its alone.
const SHARES_ITEM: &str = "the build waits in jenkins' queue as one with an equal one that somebody else may have asked \
                           for; stop it when it has started";

/// So many overdue requests go on; beyond it nothing more is asked of the controller.
const MOST_OVERDUE: usize = 100;

/// Returns what a controller's management connection offers.
pub(super) fn functions(host: &str) -> BTreeSet<FunctionName> {
    [FunctionName::stop(host), FunctionName::set_description(host)].into_iter().flatten().collect()
}

/// Runs a controller's management connection until it is closed.
pub(super) async fn run(
    site: Arc<Site>,
    id: ConnectionId,
    mut commands: mpsc::UnboundedReceiver<Command>,
    events: Events,
) {
    let Some(host) = site.controller(&id.controller).map(|controller| controller.host.clone()) else {
        return tell(&events, &id, Happened::Closed);
    };
    let mut crew = Crew::new(site.servers.len());
    let names = functions(&host).into_iter().map(|name| Bytes::from(name.to_string()));
    crew.offer(names.collect::<BTreeSet<Bytes>>());
    crew.grant();
    // Belongs to the job that runs; an answer to one that was lost is dropped, whatever handle the next one has.
    let mut desk = Desk::default();
    loop {
        // Every arm is cancel-safe: a half-written packet stays in the worker's buffer.
        tokio::select! {
            crew::Event { server, what } = crew.event() => match what {
                worker::Event::Connected => tell(&events, &id, Happened::Connected { server }),
                worker::Event::Disconnected { error, job } => {
                    if job.is_some() {
                        desk.answering = None;
                        crew.grant();
                    }
                    tell(&events, &id, Happened::Disconnected { server, error });
                }
                worker::Event::Refused { code, text, .. } => warn!(connection = %id, server = site.servers[server].address(), code = %code, text = %text, "gearman server refused a packet"),
                worker::Event::Woken | worker::Event::Revoked | worker::Event::Said | worker::Event::Delivered { .. } => {}
                worker::Event::Assigned(job) => {
                    desk.take(&site, &id.controller, job);
                }
            },
            report = desk.answered() => drop(crew.report(report)),
            command = commands.recv() => match command {
                None | Some(Command::Close) => break,
                Some(Command::Serve(server, config)) => crew.join(server, *config),
                Some(_) => {}
            },
        }
    }
    // An answer under way is given, and no request taken that nobody would answer.
    crew.revoke();
    let settled = async {
        while crew.is_running() || crew.is_grabbing() {
            tokio::select! {
                event = crew.event() => match event.what {
                    worker::Event::Assigned(_) => break,
                    worker::Event::Disconnected { job: Some(_), .. } => desk.answering = None,
                    _ => {}
                },
                report = desk.answered() => drop(crew.report(report)),
            }
        }
    };
    let _settled_or_not = timeout(CLOSING_PATIENCE, settled).await;
    close(crew, &id).await;
    tell(&events, &id, Happened::Closed);
}

/// Says goodbye to the server.
pub(super) async fn close(crew: Crew, id: &ConnectionId) {
    if let Err(error) = crew.close().await {
        tracing::debug!(connection = %id, %error, "connection to the gearman server did not end in order");
    }
}

fn tell(events: &Events, id: &ConnectionId, happened: Happened) {
    // The reconciler outlives its connections; at shutdown nobody needs to know.
    let _unheard = events.send((id.clone(), happened));
}

/// What is under way for clients of one controller.
#[derive(Default)]
struct Desk {
    /// For the job that runs.
    answering: Option<Answering>,
    /// For clients that were told that it takes too long.
    overdue: JoinSet<()>,
}

struct Answering {
    task: JoinHandle<Report>,
    deadline: Instant,
    patience: Duration,
    controller: ControllerName,
}

impl Desk {
    fn take(&mut self, site: &Arc<Site>, controller: &ControllerName, job: worker::Job) {
        while self.overdue.try_join_next().is_some() {}
        let within = site.config().answer_within;
        let patience = if self.overdue.is_empty() { within } else { within.min(MOMENT) };
        let task = if self.overdue.len() < MOST_OVERDUE {
            // On a task of its own, so that a bug in it still ends in an answer.
            let (site, name) = (Arc::clone(site), controller.clone());
            tokio::spawn(async move { answer(&site, &name, &job).await })
        } else {
            let text = format!("controller {controller} has {MOST_OVERDUE} requests to answer; ask again when it does");
            tokio::spawn(std::future::ready(Report::Exception(Bytes::from(text))))
        };
        let deadline = Instant::now() + patience;
        self.answering = Some(Answering { task, deadline, patience, controller: controller.clone() });
    }

    /// Waits for the answer that is under way, if there is one, and takes it; an overdue one is left to itself.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if it is dropped while it waits.
    async fn answered(&mut self) -> Report {
        let Some(Answering { task, deadline, .. }) = &mut self.answering else {
            return std::future::pending().await;
        };
        let report = tokio::select! {
            biased;
            report = task => Some(or_bug(report)),
            () = sleep_until(*deadline) => None,
        };
        let answering = self.answering.take();
        match (report, answering) {
            (Some(report), _) => report,
            (None, Some(late)) => self.leave(late),
            (None, None) => std::future::pending().await,
        }
    }

    fn leave(&mut self, late: Answering) -> Report {
        let Answering { task, patience, controller, .. } = late;
        let patience = humantime::format_duration(patience);
        warn!(%controller, "a management request is not answered within {patience}; it goes on, and its client is told so");
        let text = format!("controller {controller} has not answered within {patience}; what was asked for goes on");
        self.overdue.spawn(async move {
            match or_bug(task.await) {
                Report::Exception(text) => {
                    warn!(%controller, text = %String::from_utf8_lossy(&text), "an overdue management request failed");
                }
                _ => info!(%controller, "an overdue management request was carried out"),
            }
        });
        Report::Exception(Bytes::from(text))
    }
}

fn or_bug(report: Result<Report, tokio::task::JoinError>) -> Report {
    report.unwrap_or_else(|error| {
        error!(%error, "answering a management request failed; this is a bug");
        Report::Exception(Bytes::from_static(b"layshaft failed while it answered this; see its log"))
    })
}

async fn answer(site: &Arc<Site>, name: &ControllerName, job: &worker::Job) -> Report {
    let exception = |text: String| Report::Exception(Bytes::from(text));
    let Some(controller) = site.controller(name) else { return Report::Fail };
    let function = FunctionName::new(String::from_utf8_lossy(&job.function)).ok().and_then(|name| name.function());
    let answered = match function {
        Some(Function::Stop { .. }) => match request::read_stop(&job.payload) {
            Ok(StopRequest::Build(build)) => stop(site, name, &controller, &build).await,
            Ok(StopRequest::Unique(unique)) => stop_job(site, name, &controller, &unique).await,
            Err(error) => Err(error.to_string()),
        },
        Some(Function::SetDescription { .. }) => match request::read_set_description(&job.payload) {
            Ok(request) => describe(site, name, &controller, &request).await,
            Err(error) => Err(error.to_string()),
        },
        _ => return Report::Fail,
    };
    answered.unwrap_or_else(exception)
}

async fn stop(
    site: &Arc<Site>,
    name: &ControllerName,
    controller: &Controller,
    request: &BuildReference,
) -> Result<Report, String> {
    let unknown = || ManagementError::NoBuildToStop(request.clone()).to_string();
    let id = resolve(site, name, request)?.ok_or_else(unknown)?;
    stop_build(site, name, controller, id, unknown).await
}

/// Stops the build of a job, or takes it out of Jenkins' queue if it has not begun.
async fn stop_job(
    site: &Arc<Site>,
    name: &ControllerName,
    controller: &Controller,
    unique: &str,
) -> Result<Report, String> {
    let is_meant = |attempt: &Arc<Attempt>| attempt.controller == *name && attempt.key.unique == unique.as_bytes();
    let unknown = || format!("no job with the unique {unique:?} is under way on {name}");
    let attempt = site.attempts.live().into_iter().find(is_meant).ok_or_else(unknown)?;
    let mut progress = attempt.progress.subscribe();
    // Jenkins may have queued it, and its answer be on the way.
    let is_known =
        |progress: &Progress| progress.queue_item.is_some() || progress.build.is_some() || progress.outcome.is_some();
    drop(timeout(MOMENT, progress.wait_for(is_known)).await);
    let (build, item, shares_item) = {
        let progress = progress.borrow();
        (progress.build.clone(), progress.queue_item, progress.shares_item)
    };
    match (build, item) {
        (Some(build), _) => stop_build(site, name, controller, build, unknown).await,
        (None, Some(_)) if shares_item => Err(SHARES_ITEM.to_owned()),
        (None, Some(item)) => match controller.client.cancel(item).await {
            Ok(Cancelled::Yes) => {
                info!(controller = %name, %item, "took a build out of the queue for a client");
                controller.watcher.hurry(Part::Queue);
                Ok(Report::Complete(Bytes::new()))
            }
            Ok(Cancelled::TooLate | Cancelled::Unknown) => Err("the build is just starting; try again".to_owned()),
            Ok(Cancelled::NotPermitted) => Err("the user lacks the permission Job/Cancel".to_owned()),
            Err(error) => Err(format!("failed to take the build out of the queue: {error}")),
        },
        (None, None) => Err("the job has not reached jenkins yet; try again".to_owned()),
    }
}

async fn stop_build(
    site: &Arc<Site>,
    name: &ControllerName,
    controller: &Controller,
    id: BuildId,
    unknown: impl Fn() -> String,
) -> Result<Report, String> {
    let build = read(site, controller, &id).await.map_err(|error| format!("failed to read {id}: {error}"))?;
    let build = build.ok_or_else(unknown)?;
    if !build.in_progress {
        return Ok(Report::Fail);
    }
    let asked = site.stopping.ask(name, &build, site.config().stop_again_after);
    if asked == Asked::TooSoon {
        return Ok(Report::Fail);
    }
    let stopped = controller.client.stop(&id).await;
    if asked == Asked::First {
        match &stopped {
            // Nobody heard of it, so that it may be asked for again at once.
            Err(error) if !error.is_outcome_unknown() => site.stopping.forget(name, &id, build.started_ms),
            _ => stopping::begin(site, name, &build).await,
        }
    }
    stopped.map_err(|error| match error.is_outcome_unknown() {
        true => format!("failed to stop {id}: {error}; it is stopped again if it runs on"),
        false => format!("failed to stop {id}: {error}"),
    })?;
    info!(controller = %name, build = %id, "stopped a build");
    controller.watcher.hurry(Part::Nodes);
    Ok(Report::Complete(Bytes::new()))
}

/// Reads a build that shall be stopped; a controller that hangs is waited for, since the wish holds until it wakes up.
async fn read(site: &Site, controller: &Controller, id: &BuildId) -> Result<Option<Build>, jenkins::Error> {
    let began = Instant::now();
    loop {
        match controller.client.build(id).await {
            Err(jenkins::Error::TimedOut) if began.elapsed() < site.config().lost_after => {}
            answer => return answer,
        }
    }
}

async fn describe(
    site: &Site,
    name: &ControllerName,
    controller: &Controller,
    request: &DescriptionRequest,
) -> Result<Report, String> {
    let unknown = || ManagementError::NoBuildToDescribe { number: request.build.number }.to_string();
    let id = resolve(site, name, &request.build)?.ok_or_else(unknown)?;
    let text = request.html_description.as_deref();
    match controller.client.set_description(&id, text.unwrap_or_default()).await {
        Ok(()) => Ok(Report::Complete(Bytes::from(request::description_reply(request)))),
        Err(jenkins::Error::NotFound { .. }) => Err(unknown()),
        Err(error) => Err(format!("{}: {error}", ManagementError::CannotSaveDescription(request.build.clone()))),
    }
}

/// Finds the build that a client means: by the name under which it was submitted, by a name offered on that
/// controller, by full name, by short name where only one project has it. None where no project has the name.
fn resolve(site: &Site, controller: &ControllerName, wanted: &BuildReference) -> Result<Option<BuildId>, String> {
    let name = wanted.name.as_str();
    let Ok(number) = u64::try_from(wanted.number) else { return Ok(None) };
    let submitted = site.attempts.live().into_iter().find_map(|attempt| {
        let progress = attempt.progress.borrow();
        let build = progress.build.as_ref()?;
        let same = attempt.controller == *controller && attempt.offered_as == name && build.number == number;
        same.then(|| build.clone())
    });
    if submitted.is_some() {
        return Ok(submitted);
    }
    let view = site.view.borrow().clone();
    let of = |project: &ProjectName| Some(BuildId { project: project.clone(), number });
    if let Some(project) = view.table.project_named(controller, name) {
        return Ok(of(project));
    }
    let Some(snapshot) = view.snapshot.controllers.get(controller) else {
        return Err(format!("controller {controller} was not reached yet"));
    };
    let names: Vec<&ProjectName> = snapshot.projects.iter().map(|project| &project.name).collect();
    if let Some(project) = names.iter().find(|project| project.full() == name) {
        return Ok(of(project));
    }
    // The plugin compared short names ignoring case, and took the first.
    match names.iter().filter(|project| project.short().eq_ignore_ascii_case(name)).collect::<Vec<_>>()[..] {
        [] => Ok(None),
        [project] => Ok(of(project)),
        ref several => {
            let several: Vec<&str> = several.iter().map(|project| project.full()).collect();
            Err(format!("{name} could mean {}; use the full name", several.join(", ")))
        }
    }
}
