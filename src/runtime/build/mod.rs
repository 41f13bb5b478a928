//! One job as one build: prepare, start, follow, report.
//!
//! The task of an attempt. It never speaks to the Gearman server: it writes its progress, and whichever connection
//! holds the job then passes it on. It ends with an outcome whatever happens, and never starts a second build.
//!
//! ```text
//! payload -> policies -> intent journaled -> POST -> queue item -> build -> ended -> node offline? -> outcome
//! ```

mod follow;
pub(super) mod mark;
mod offline;
mod pictures;
mod question;
mod report;
mod request;
mod retry;
mod start;
mod whereabouts;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::classic;
use crate::classic::report::Report;
use crate::domain::{BuildResult, Node, NodeName, Parameters, Project, ProjectName};
use crate::jenkins::Picture;
use crate::journal::{self, Ending, Terminal, TerminalKind};
use crate::policy::Generation;

use super::NEVER_RECOGNISED;
use super::attempts::{Attempt, Outcome, Progress};
use super::config::{Config, RejectAs};
use super::site::{Controller, Site};
use mark::Mark;
use pictures::Pictures;
use request::{Request, Way};
use whereabouts::Whereabouts;

/// How long a new poller may take for its first look, before what depends on it is done without.
const FIRST_LOOK: Duration = Duration::from_secs(30);

/// How much of a text is passed on; a client that sends a megabyte as a name does not get it back.
const LONGEST_TEXT: usize = 2000;

/// Runs an attempt from its payload to its outcome.
pub(super) async fn run(site: Arc<Site>, attempt: Arc<Attempt>, payload: Bytes) {
    let Some(task) = Task::new(&site, &attempt) else {
        // Its controller was taken out of the configuration; nothing was begun.
        attempt.conclude(Outcome::HandBack);
        return;
    };
    let ended = task.run(&payload).await;
    task.end(ended).await;
}

/// Takes up an attempt of an earlier life of this daemon: follows its build, never starts one.
pub(super) async fn resume(site: Arc<Site>, attempt: Arc<Attempt>, known: journal::Attempt) {
    let Some(task) = Task::new(&site, &attempt) else {
        let reason = format!("controller {} is no longer configured", attempt.controller);
        warn!(function = %attempt.function, %reason, "gave up a build of an earlier run");
        if let Err(error) = site.journal.failed(known.id, reason).await {
            warn!(%error, "failed to journal that an attempt was given up");
        }
        site.attempts.end(&attempt);
        return;
    };
    let ended = task.resume(&known).await;
    task.end(ended).await;
}

/// An attempt with everything that it needs.
struct Task<'a> {
    site: &'a Arc<Site>,
    attempt: &'a Attempt,
    /// The controller as it was configured when the attempt began; see [`Task::current`].
    controller: Arc<Controller>,
    config: Arc<Config>,
    /// A job keeps the generation that it started with.
    generation: Arc<Generation>,
    whereabouts: Whereabouts,
}

/// Why an attempt ends, and what its client is told.
struct Ended {
    outcome: Outcome,
    /// For people and the journal.
    reason: Option<String>,
    result: Option<BuildResult>,
}

impl Ended {
    fn exception(reason: impl Into<String>) -> Self {
        let mut reason = reason.into();
        reason.truncate(reason.floor_char_boundary(LONGEST_TEXT));
        Self { outcome: Outcome::Exception(Bytes::from(reason.clone())), reason: Some(reason), result: None }
    }

    fn hand_back(reason: impl Into<String>) -> Self {
        Self { outcome: Outcome::HandBack, reason: Some(reason.into()), result: None }
    }
}

/// Where the parameters that a project declares are taken from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// The picture, which may be minutes old.
    Known,
    Afresh,
}

/// What the offline rules are asked with, once a build may exist.
struct Scheduled {
    project: Project,
    sent: Parameters,
    offline_wanted: bool,
    /// Marked by us, so that it may be cleared by us.
    reserved: Option<Reserved>,
    /// An earlier life of this daemon saw it start.
    start_is_journaled: bool,
    /// An earlier life of this daemon began it.
    is_resumed: bool,
}

/// A node that is offline for as long as a build runs there.
struct Reserved {
    node: NodeName,
    mark: Mark,
    /// It was paid for out of the budget on going offline.
    paid: bool,
}

impl Scheduled {
    /// Takes the values of parameters of which only the names are known from the page of the build.
    fn learn_values(&mut self, shown: &Parameters) {
        let names: Vec<String> = self.sent.names().map(str::to_owned).collect();
        for name in names {
            if let Some(value) = shown.get(&name) {
                self.sent.set(name, Some(value.to_owned()));
            }
        }
    }
}

impl<'a> Task<'a> {
    fn new(site: &'a Arc<Site>, attempt: &'a Attempt) -> Option<Self> {
        let controller = site.controller(&attempt.controller)?;
        let (config, generation) = (site.config(), site.policies.live());
        Some(Self { site, attempt, controller, config, generation, whereabouts: Whereabouts::default() })
    }

    async fn run(&self, payload: &[u8]) -> Ended {
        // Another configuration brings another poller, which has to look first.
        if !self.was_looked_at(FIRST_LOOK).await {
            return Ended::hand_back(format!("controller {} was not read yet", self.attempt.controller));
        }
        let sent = match classic::payload::read(payload) {
            Ok(sent) => sent,
            Err(error) => return Ended::exception(format!("payload is not a JSON object of parameters: {error}")),
        };
        match self.run_with(&sent, Reading::Known).await {
            Some(ended) => ended,
            // Nothing was started, so it is done all over with what the project declares now.
            None => match self.run_with(&sent, Reading::Afresh).await {
                Some(ended) => ended,
                None => Ended::exception(format!("{} changes faster than it can be started", self.attempt.project)),
            },
        }
    }

    /// Runs a build from the client's parameters to its end; none if the project turns out to declare others than was
    /// known.
    async fn run_with(&self, sent: &Parameters, reading: Reading) -> Option<Ended> {
        let project = match self.project(reading).await {
            Ok(project) => project,
            Err(reason) => return Some(Ended::exception(reason)),
        };
        let Some(node) = self.node(&self.attempt.grabbed_for) else {
            return Some(Ended::hand_back(format!("node {} is gone", self.attempt.grabbed_for)));
        };
        let unique = String::from_utf8_lossy(&self.attempt.key.unique).into_owned();
        let generated = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
        let self_label = self.self_label();
        let way = if self.controller.client.is_privileged() { Way::Script } else { Way::Rest };
        let request = Request::new(way, &self.config, &project, &node.name, self_label, sent, &unique, &generated);
        let parameters = match self.filter(&project, &node, &request).await {
            Ok(parameters) => request.finish(&project, parameters),
            Err(reason) => return Some(self.rejected(sent, reason)),
        };
        let lost = match way {
            Way::Rest => self.site.undeclared.note(&self.attempt.controller, &project, &parameters),
            Way::Script => Vec::new(),
        };
        if !lost.is_empty() {
            warn!(project = %project.name, parameters = ?lost, "a client sends what the project does not declare; jenkins drops it");
        }
        let intent = journal::Intent {
            key: self.attempt.key.clone(),
            controller: self.attempt.controller.clone(),
            project: project.name.clone(),
            node: node.name.clone(),
            worker: self.attempt.worker.clone(),
            marker: request.marker.clone(),
            pinned: request.pin.is_some(),
            generation: self.generation.number(),
            offline_wanted: request.offline_wanted,
            parameters: names_only(&parameters),
        };
        self.attempt.update(|progress| progress.marked = request.marker.is_some());
        let mut scheduled = Scheduled {
            project: project.clone(),
            sent: request.parameters.clone(),
            offline_wanted: request.offline_wanted,
            reserved: None,
            start_is_journaled: false,
            is_resumed: false,
        };
        let may_have_changed = reading == Reading::Known;
        let ended = match self.start(&project, &request, &parameters, intent, may_have_changed).await {
            Ok(started) => self.accompany(started, &mut scheduled).await,
            Err(start::NotStarted::Nothing(ended)) => return Some(ended),
            Err(start::NotStarted::Changed) => return None,
            Err(start::NotStarted::Scheduled(ended)) => ended,
        };
        self.settle_offline(&scheduled, &ended).await;
        Some(ended)
    }

    async fn resume(&self, known: &journal::Attempt) -> Ended {
        if !self.was_looked_at(self.config.lost_after).await {
            let reason = format!("controller {} did not answer after the restart", self.attempt.controller);
            return Ended { outcome: Outcome::Fail, reason: Some(reason), result: None };
        }
        let project = match self.project(Reading::Known).await {
            Ok(project) => project,
            Err(reason) => return Ended::exception(reason),
        };
        self.attempt.update(|progress| {
            if project.kind.runs_in_parts() {
                (progress.holds_executor, progress.node) = (false, Some(known.intent.node.clone()));
            }
        });
        let mut scheduled = Scheduled {
            sent: self.sent_before(known, &project),
            project,
            offline_wanted: known.intent.offline_wanted,
            reserved: None,
            start_is_journaled: known.build.is_some(),
            is_resumed: true,
        };
        let found = match self.find_again(known, &scheduled.project).await {
            Ok(found) => found,
            Err(ended) => return ended,
        };
        let ended = self.accompany(found, &mut scheduled).await;
        self.settle_offline(&scheduled, &ended).await;
        ended
    }

    /// Follows a build to its end, and keeps track of where it runs meanwhile.
    async fn accompany(&self, found: start::Found, scheduled: &mut Scheduled) -> Ended {
        let kind = scheduled.project.kind;
        tokio::select! {
            ended = self.follow(found, scheduled) => ended,
            // Only looks, so it can be dropped anywhere.
            never = self.watch(kind) => match never {},
        }
    }

    /// Returns the parameters that policies were asked about in an earlier life of this daemon, as far as they are
    /// known: by name. The journal has no values, since these can be secrets; Jenkins shows those that the project
    /// declares, but for passwords.
    fn sent_before(&self, known: &journal::Attempt, project: &Project) -> Parameters {
        let pin = project.pin(&self.config.pin_parameters).filter(|_| known.intent.pinned);
        let is_of_host = |name: &str| {
            name == classic::offline::PARAMETER
                || pin.is_some_and(|pin| pin.name == name)
                || known.intent.marker.as_ref().is_some_and(|marker| marker.name == name)
        };
        let mut sent = Parameters::new();
        for name in known.intent.parameters.names().filter(|name| !is_of_host(name)) {
            sent.set(name, None);
        }
        sent
    }

    /// Waits until the controller's nodes and projects were seen once.
    async fn was_looked_at(&self, patience: Duration) -> bool {
        let mut pictures = self.pictures();
        let deadline = Instant::now() + patience;
        loop {
            let picture = pictures.latest();
            if picture.nodes.is_some() && picture.projects.is_some() {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            pictures.changed(deadline - Instant::now()).await;
        }
    }

    /// Returns the controller as it is configured now: another configuration brings another client and another poller.
    fn current(&self) -> Arc<Controller> {
        self.site.controller(&self.attempt.controller).unwrap_or_else(|| Arc::clone(&self.controller))
    }

    fn pictures(&self) -> Pictures<'_> {
        Pictures::new(self)
    }

    /// Journals how the attempt ended, and lets its connection know.
    async fn end(&self, ended: Ended) {
        let progress = self.attempt.progress.borrow().clone();
        if let Some(build) = &progress.build {
            self.site.attempts.build_ended(&self.attempt.controller, build.clone());
        }
        if let Some(reason) = &ended.reason {
            warn!(attempt = %self.attempt.function, controller = %self.attempt.controller, %reason, "build did not end by itself");
        }
        let mut outcome = ended.outcome;
        if outcome == Outcome::HandBack {
            let Attempt { key, controller, grabbed_for, project, .. } = self.attempt;
            if !self.site.hand_backs.add(key, controller, grabbed_for, project) {
                let reason = ended.reason.as_deref().unwrap_or("no node could start it");
                outcome = Outcome::Exception(Bytes::from(format!("given up after several attempts: {reason}")));
            }
        }
        if let Some(id) = progress.journal {
            let recorded = match &outcome {
                Outcome::HandBack => self.site.journal.handed_back(id, ended.reason.unwrap_or_default()).await,
                _ => self.site.journal.ended(id, Ending { result: ended.result, terminal: terminal(&outcome) }).await,
            };
            if let Err(error) = recorded {
                warn!(%error, "failed to journal the end of a build; its result is still delivered");
            }
        }
        let is_hand_back = outcome == Outcome::HandBack;
        if !is_hand_back {
            self.site.hand_backs.forget(&self.attempt.key);
        }
        let is_orphan = self.attempt.conclude(outcome);
        let Progress { disowned, journal, .. } = self.attempt.progress.borrow().clone();
        if !is_orphan || !(is_hand_back || disowned) {
            return;
        }
        self.site.attempts.end(self.attempt);
        if let Some(id) = journal.filter(|_| !is_hand_back) {
            info!(function = %self.attempt.function, "nobody can be told how a build ended: {NEVER_RECOGNISED}");
            if let Err(error) = self.site.journal.failed(id, NEVER_RECOGNISED).await {
                warn!(%error, "failed to journal that a result was given up");
            }
        }
    }

    fn rejected(&self, sent: &Parameters, reason: String) -> Ended {
        let as_result = match self.config.reject_as {
            RejectAs::Auto => sent.contains("ZUUL_UUID"),
            RejectAs::Result => true,
            RejectAs::Exception => false,
        };
        if !as_result {
            return Ended::exception(reason);
        }
        let reason = reason[..reason.floor_char_boundary(LONGEST_TEXT)].to_owned();
        let report = Report { result: Some(BuildResult::Failure), reason: Some(reason.clone()), ..self.report_base() };
        Ended { outcome: Outcome::Complete(report.to_json().into()), reason: Some(reason), result: None }
    }

    async fn project(&self, reading: Reading) -> Result<Project, String> {
        let name: &ProjectName = &self.attempt.project;
        let picture = self.picture();
        let known = picture.projects.as_ref().and_then(|projects| {
            let mut projects = projects.value.iter();
            projects.find(|project| project.name == *name).cloned()
        });
        let Some(mut project) = known else {
            return Err(format!("project {name} no longer exists on controller {}", self.attempt.controller));
        };
        if project.parameters.is_none() || reading == Reading::Afresh {
            let fetched = self.current().client.parameters_of(name).await;
            project.parameters =
                Some(fetched.map_err(|error| format!("failed to read the parameters of {name}: {error}"))?);
        }
        Ok(project)
    }

    fn picture(&self) -> Arc<Picture> {
        self.current().watcher.picture().borrow().clone()
    }

    fn node(&self, name: &NodeName) -> Option<Node> {
        let picture = self.picture();
        picture.nodes.as_ref()?.value.iter().find(|node| node.name == *name).cloned()
    }

    fn self_label(&self) -> &'static str {
        let picture = self.picture();
        classic::matching::self_label(picture.nodes.iter().flat_map(|nodes| nodes.value.iter()))
    }
}

/// Values can be secrets, and the journal does not need them.
fn names_only(parameters: &Parameters) -> Parameters {
    let mut names = Parameters::new();
    for name in parameters.names() {
        names.set(name, None);
    }
    names
}

fn terminal(outcome: &Outcome) -> Terminal {
    let (kind, payload) = match outcome {
        Outcome::Complete(data) => (TerminalKind::Complete, data.to_vec()),
        Outcome::Exception(text) => (TerminalKind::Exception, text.to_vec()),
        Outcome::Fail | Outcome::HandBack => (TerminalKind::Fail, Vec::new()),
    };
    Terminal { kind, payload }
}

fn now_ms() -> u64 {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}
