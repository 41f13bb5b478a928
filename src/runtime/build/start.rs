//! From a filtered request to a queue item: intent, POST, and what to do when the answer is lost.

use tokio::time::{Duration, Instant, sleep, timeout_at};
use tracing::warn;

use crate::domain::{BuildId, Parameters, Project, QueueItemId};
use crate::jenkins::{self, Part, Trigger};
use crate::journal::{self, AttemptId, Marker};

use super::request::{Request, Way};
use super::retry::Retry;
use super::{Ended, Task};

/// What a POST led to.
pub(super) struct Found {
    pub(super) item: Option<QueueItemId>,
    pub(super) build: Option<BuildId>,
    /// Somebody else had queued an equal build, and Jenkins merged ours with it: it is not ours to cancel.
    pub(super) is_foreign: bool,
    /// Held while no other build of the project may be started.
    pub(super) gate: Option<Gate>,
}

pub(super) struct Gate {
    _permit: tokio::sync::OwnedSemaphorePermit,
    pub(super) until_ended: bool,
}

/// Why there is no queue item.
pub(super) enum NotStarted {
    /// Jenkins never heard of it.
    Nothing(Ended),
    /// Jenkins has refused it, since the project declares other parameters by now.
    Changed,
    /// Jenkins may have.
    Scheduled(Ended),
}

/// Among so many of its newest builds a lost one is looked for.
const BUILDS_LOOKED_AT: usize = 100;

/// How often a lost answer is looked up before it counts as never arrived. Each look asks the controller afresh.
const LOOKS: u32 = 3;

/// A controller that was too slow to answer may act on the request for so long afterwards.
const SLOW: Duration = Duration::from_secs(30);

/// After a connection broke, what was sent over it has arrived by then, or never will.
const BROKEN: Duration = Duration::from_secs(5);

/// So often a controller may answer that it failed, and have started nothing, before its word is taken for it.
const FAILURES: u32 = 3;

/// For so long the job that had the same unique before may be on its way out of the journal.
const CLOSING: Duration = Duration::from_secs(2);

impl Task<'_> {
    pub(super) async fn start(
        &self,
        project: &Project,
        request: &Request,
        parameters: &Parameters,
        intent: journal::Intent,
        may_have_changed: bool,
    ) -> Result<Found, NotStarted> {
        let deadline = Instant::now() + self.config.start_within;
        let gate = if request.marker.is_none() || !project.concurrent {
            let entering = self.site.starts.enter(&self.attempt.controller, &project.name);
            let Ok(permit) = timeout_at(deadline, entering).await else {
                return Err(NotStarted::Nothing(Ended::hand_back(
                    "another build of the project had not started in time",
                )));
            };
            Some(Gate { _permit: permit, until_ended: !project.concurrent })
        } else {
            None
        };
        let since_ms = super::now_ms();
        let id = self.intend(intent).await.map_err(|error| {
            NotStarted::Nothing(Ended::hand_back(format!(
                "failed to journal the intent, so nothing was started: {error}"
            )))
        })?;
        self.attempt.update(|progress| progress.journal = Some(id));
        let posted = self.post(project, request, parameters, deadline, since_ms, may_have_changed).await;
        if matches!(posted, Err(NotStarted::Changed)) {
            let closed = self.site.journal.handed_back(id, "the project declares other parameters by now").await;
            closed.unwrap_or_else(|error| warn!(%error, "failed to journal that nothing was started"));
            self.attempt.update(|progress| progress.journal = None);
            self.current().watcher.hurry(Part::Parameters);
        }
        let mut found = posted?;
        if found.is_foreign {
            warn!(
                project = %project.name, item = ?found.item,
                "jenkins merged the build with an equal one that somebody else had queued; the job shares it"
            );
        }
        found.gate = gate;
        if let Some(item) = found.item {
            self.site
                .journal
                .queued(id, item)
                .await
                .unwrap_or_else(|error| warn!(%error, "failed to journal a queue item"));
        }
        self.attempt.update(|progress| {
            progress.queue_item = found.item;
            progress.shares_item = found.is_foreign;
        });
        self.current().watcher.hurry(Part::Queue);
        Ok(found)
    }

    /// Journals the intent. An open attempt of an equal job is not this one, or its connection would have adopted it:
    /// it is on its way out, or nobody can tell its client any more.
    async fn intend(&self, intent: journal::Intent) -> Result<AttemptId, journal::Error> {
        let deadline = Instant::now() + CLOSING;
        loop {
            let open = match self.site.journal.intend(intent.clone()).await {
                Err(journal::Error::AlreadyOpen { id }) => id,
                answer => return answer,
            };
            if intent.key.unique.is_empty() || Instant::now() >= deadline {
                warn!(attempt = %open, function = %intent.key.function, "gave up an attempt whose handle means another job now");
                self.site.attempts.replaced(open);
                self.site.journal.failed(open, "its handle means another job now").await?;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn post(
        &self,
        project: &Project,
        request: &Request,
        parameters: &Parameters,
        deadline: Instant,
        since_ms: u64,
        may_have_changed: bool,
    ) -> Result<Found, NotStarted> {
        let parameterised = project.parameters.as_ref().is_some_and(|declared| !declared.is_empty());
        let mut retry = Retry::default();
        let mut failures = 0;
        loop {
            let error = match self.trigger(project, parameterised, request, parameters).await {
                Ok(Trigger::Queued(item) | Trigger::MergedInto(item)) if request.marker.is_some() => {
                    // Whatever carries the marker is ours, also what an earlier request of ours has queued.
                    return Ok(Found::queued(item));
                }
                Ok(Trigger::Queued(item)) => {
                    let is_foreign = self.is_shared(item).await;
                    return Ok(Found { is_foreign, ..Found::queued(item) });
                }
                Ok(Trigger::MergedInto(item)) => return Ok(Found { is_foreign: true, ..Found::queued(item) }),
                Ok(Trigger::Refused) => {
                    return Err(NotStarted::Scheduled(Ended::exception("something inside jenkins vetoed the build")));
                }
                Err(jenkins::Error::Rejected { .. }) if may_have_changed => return Err(NotStarted::Changed),
                Err(error) => error,
            };
            if error.is_outcome_unknown() {
                warn!(project = %project.name, %error, "answer to a build trigger was lost; looking the build up");
                let Some(marker) = &request.marker else {
                    let reason = format!(
                        "jenkins may have started {} or not, and the project declares no marker to look the build up by: {error}",
                        project.name
                    );
                    return Err(NotStarted::Scheduled(Ended::exception(reason)));
                };
                let at_least = settled_after(&error);
                match self.look_up(project, marker, since_ms, at_least).await {
                    LookUp::Found(item, build) => return Ok(Found { item, build, is_foreign: false, gate: None }),
                    // Before 2.524 this is also what a project says that has lost its parameters.
                    LookUp::Absent if may_have_changed && request.way == Way::Rest && is_failure(&error) => {
                        return Err(NotStarted::Changed);
                    }
                    LookUp::Absent if is_failure(&error) => failures += 1,
                    LookUp::Absent => {}
                    LookUp::Unanswered => {
                        let reason = format!(
                            "controller {} did not answer after the build was triggered",
                            self.attempt.controller
                        );
                        return Err(NotStarted::Scheduled(Ended::exception(reason)));
                    }
                }
            }
            if failures == FAILURES || !(error.is_transient() || error.is_outcome_unknown()) {
                return Err(NotStarted::Scheduled(Ended::exception(format!(
                    "jenkins did not start {}: {error}",
                    project.name
                ))));
            }
            if Instant::now() >= deadline {
                return Err(NotStarted::Nothing(Ended::hand_back(format!(
                    "controller did not take the build in time: {error}"
                ))));
            }
            sleep(retry.next()).await;
        }
    }

    async fn trigger(
        &self,
        project: &Project,
        parameterised: bool,
        request: &Request,
        parameters: &Parameters,
    ) -> Result<Trigger, jenkins::Error> {
        let client = &self.current().client;
        if request.way == Way::Rest {
            return client.start(&project.name, parameterised, parameters).await;
        }
        let pin = request.undeclared_pin.as_ref();
        let scripted = client.start_by_script(&project.name, parameters, pin).await?;
        let controller = &self.attempt.controller;
        if pin.is_some() && !scripted.pinned && self.site.undeclared.note_unpinned(controller) {
            warn!(%controller, project = %project.name, "a build was not pinned: the controller lacks the NodeLabel Parameter plugin");
        }
        Ok(scripted.trigger)
    }

    /// Returns whether Jenkins has merged a build without a marker into an equal one that waited already, which it does
    /// not say of builds without parameters, nor before 2.308.
    async fn is_shared(&self, item: QueueItemId) -> bool {
        match self.current().client.requests_for(item).await {
            Ok(requests) => requests.is_some_and(|requests| requests > 1),
            Err(error) => {
                warn!(%item, %error, "failed to read who asked for a queued build; it counts as ours");
                false
            }
        }
    }

    /// Looks a build up by its marker, among queue items and builds that are newer than the intent.
    /// What it does not find within `at_least` is not there.
    async fn look_up(&self, project: &Project, marker: &Marker, since_ms: u64, at_least: Duration) -> LookUp {
        let began = Instant::now();
        let patience = self.config.lost_after.max(at_least);
        let mut answered = 0;
        let mut retry = Retry::default();
        while began.elapsed() <= patience {
            match self.marked(project, marker, since_ms).await {
                Ok(Some(found)) => return found,
                Ok(None) => answered += 1,
                Err(error) => warn!(project = %project.name, %error, "failed to look a build up"),
            }
            if answered >= LOOKS && began.elapsed() >= at_least {
                return LookUp::Absent;
            }
            sleep(retry.next()).await;
        }
        LookUp::Unanswered
    }

    /// Asks the queue first and then the builds: what leaves the one in between is in the other.
    async fn marked(
        &self,
        project: &Project,
        marker: &Marker,
        since_ms: u64,
    ) -> Result<Option<LookUp>, jenkins::Error> {
        let is_newer = |at_ms: u64| at_ms + CLOCK_SKEW_MS >= since_ms;
        let carries = |parameters: &Parameters| parameters.get(&marker.name) == Some(&marker.value);
        let client = &self.current().client;
        let queue = client.queue().await?.value;
        let item = queue.iter().find(|item| {
            item.project.as_ref() == Some(&project.name) && is_newer(item.since_ms) && carries(&item.parameters)
        });
        if let Some(item) = item {
            return Ok(Some(LookUp::Found(Some(item.id), None)));
        }
        let builds = client.builds_of(&project.name, BUILDS_LOOKED_AT).await?;
        let build = builds.into_iter().find(|build| is_newer(build.started_ms) && carries(&build.parameters));
        Ok(build.map(|build| LookUp::Found(build.queue_id, Some(build.id))))
    }

    /// Finds the build of an attempt that an earlier life of this daemon journaled.
    ///
    /// An attempt that was only intended may have reached Jenkins or not: the marker tells, and without one nobody can.
    pub(super) async fn find_again(&self, known: &journal::Attempt, project: &Project) -> Result<Found, Ended> {
        let build = known.build.as_ref().map(|build| BuildId { project: project.name.clone(), number: build.number });
        let gate = self.gate_again(known, project);
        if known.queue_item.is_some() || build.is_some() {
            return Ok(Found { item: known.queue_item, build, is_foreign: false, gate });
        }
        let Some(marker) = &known.intent.marker else {
            let reason = format!(
                "layshaft was restarted while it started {}, and the project declares no marker to look the build up by",
                project.name
            );
            return Err(Ended::exception(reason));
        };
        let since = known.times.intended.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let since_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        match self.look_up(project, marker, since_ms, Duration::ZERO).await {
            LookUp::Found(item, build) => Ok(Found { item, build, is_foreign: false, gate }),
            LookUp::Absent => Err(Ended::hand_back("no build was started before the restart")),
            LookUp::Unanswered => Err(Ended::exception(format!(
                "controller {} did not answer after the restart, and may have started the build or not",
                self.attempt.controller
            ))),
        }
    }

    /// Takes the gate that the build had passed, so that no equal one is queued beside it.
    fn gate_again(&self, known: &journal::Attempt, project: &Project) -> Option<Gate> {
        let needs_gate = known.intent.marker.is_none() || !project.concurrent;
        let permit = needs_gate.then(|| self.site.starts.try_enter(&self.attempt.controller, &project.name))??;
        Some(Gate { _permit: permit, until_ended: !project.concurrent })
    }
}

impl Found {
    fn queued(item: QueueItemId) -> Self {
        Self { item: Some(item), build: None, is_foreign: false, gate: None }
    }
}

fn is_failure(error: &jenkins::Error) -> bool {
    use jenkins::Error::{Malformed, ScriptFailed, UnexpectedStatus};
    matches!(error, UnexpectedStatus { .. } | ScriptFailed { .. } | Malformed { .. })
}

/// Returns how long after an error the controller may still be about to take the trigger in.
fn settled_after(error: &jenkins::Error) -> Duration {
    match error {
        jenkins::Error::TimedOut => SLOW,
        jenkins::Error::UnexpectedStatus { status: 408 | 502 | 504, .. } => SLOW,
        jenkins::Error::Interrupted { .. } => BROKEN,
        // It has answered, and has nothing in hand.
        _ => Duration::ZERO,
    }
}

enum LookUp {
    Found(Option<QueueItemId>, Option<BuildId>),
    /// The controller answered, and more than once, that there is none.
    Absent,
    Unanswered,
}

/// Controllers' clocks differ from ours by less; a marker is unique anyway, the time only guards against a client that
/// uses a unique again.
const CLOCK_SKEW_MS: u64 = 5 * 60 * 1000;
