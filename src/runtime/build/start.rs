//! From a filtered request to a queue item: intent, POST, and what to do when the answer is lost.

use tokio::time::{Instant, sleep, timeout_at};
use tracing::{info, warn};

use crate::domain::{BuildId, Parameters, Project, QueueItemId};
use crate::jenkins::{self, Part, Trigger};
use crate::journal::{self, Marker};

use super::request::Request;
use super::{Ended, Retry, Task};

/// What a POST led to.
pub(super) struct Found {
    pub(super) item: Option<QueueItemId>,
    pub(super) build: Option<BuildId>,
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
    /// Jenkins may have.
    Scheduled(Ended),
}

/// Among so many of its newest builds a lost one is looked for.
const BUILDS_LOOKED_AT: usize = 100;

/// How often a lost answer is looked up before it counts as never arrived. Each look asks the controller afresh.
const LOOKS: u32 = 3;

impl Task<'_> {
    pub(super) async fn start(
        &self,
        project: &Project,
        request: &Request,
        parameters: &Parameters,
        intent: journal::Intent,
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
        let id = self.site.journal.intend(intent).await.map_err(|error| {
            NotStarted::Nothing(Ended::hand_back(format!(
                "failed to journal the intent, so nothing was started: {error}"
            )))
        })?;
        self.attempt.update(|progress| progress.journal = Some(id));
        let (item, build) = self.post(project, request, parameters, deadline, since_ms).await?;
        if let Some(item) = item {
            self.site
                .journal
                .queued(id, item)
                .await
                .unwrap_or_else(|error| warn!(%error, "failed to journal a queue item"));
        }
        self.attempt.update(|progress| progress.queue_item = item);
        self.controller.watcher.hurry(Part::Queue);
        Ok(Found { item, build, gate })
    }

    async fn post(
        &self,
        project: &Project,
        request: &Request,
        parameters: &Parameters,
        deadline: Instant,
        since_ms: u64,
    ) -> Result<(Option<QueueItemId>, Option<BuildId>), NotStarted> {
        let parameterised = project.parameters.as_ref().is_some_and(|declared| !declared.is_empty());
        let mut retry = Retry::default();
        loop {
            let error = match self.controller.client.start(&project.name, parameterised, parameters).await {
                Ok(Trigger::Queued(item)) => return Ok((Some(item), None)),
                Ok(Trigger::MergedInto(item)) => {
                    info!(project = %project.name, %item, "jenkins merged the build with one that was queued already");
                    return Ok((Some(item), None));
                }
                Ok(Trigger::Refused) => {
                    return Err(NotStarted::Scheduled(Ended::exception("something inside jenkins vetoed the build")));
                }
                Err(error) => error,
            };
            if error.is_outcome_unknown() {
                warn!(project = %project.name, %error, "answer to a build trigger was lost; looking the build up");
                let Some(marker) = &request.marker else {
                    let reason = format!(
                        "the answer of jenkins was lost, and {} declares no marker to look the build up by: {error}",
                        project.name
                    );
                    return Err(NotStarted::Scheduled(Ended::exception(reason)));
                };
                match self.look_up(project, marker, since_ms, deadline).await {
                    LookUp::Found(item, build) => return Ok((item, build)),
                    LookUp::Absent => {}
                    LookUp::Unanswered => {
                        let reason = format!(
                            "controller {} did not answer after the build was triggered",
                            self.attempt.controller
                        );
                        return Err(NotStarted::Scheduled(Ended::exception(reason)));
                    }
                }
            } else if !error.is_transient() {
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

    /// Looks a build up by its marker, among queue items and builds that are newer than the intent.
    async fn look_up(&self, project: &Project, marker: &Marker, since_ms: u64, deadline: Instant) -> LookUp {
        let deadline = deadline.max(Instant::now() + self.config.lost_after);
        let mut answered = 0;
        let mut retry = Retry::default();
        while Instant::now() < deadline {
            match self.marked(project, marker, since_ms).await {
                Ok(Some(found)) => return found,
                Ok(None) => answered += 1,
                Err(error) => warn!(project = %project.name, %error, "failed to look a build up"),
            }
            if answered == LOOKS {
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
        let queue = self.controller.client.queue().await?.value;
        let item = queue.iter().find(|item| {
            item.project.as_ref() == Some(&project.name) && is_newer(item.since_ms) && carries(&item.parameters)
        });
        if let Some(item) = item {
            return Ok(Some(LookUp::Found(Some(item.id), None)));
        }
        let builds = self.controller.client.builds_of(&project.name, BUILDS_LOOKED_AT).await?;
        let build = builds.into_iter().find(|build| is_newer(build.started_ms) && carries(&build.parameters));
        Ok(build.map(|build| LookUp::Found(build.queue_id, Some(build.id))))
    }

    /// Finds the build of an attempt that an earlier life of this daemon journaled.
    pub(super) async fn find_again(&self, known: &journal::Attempt, project: &Project) -> Option<Found> {
        let build = known.build.as_ref().map(|build| BuildId { project: project.name.clone(), number: build.number });
        if known.queue_item.is_some() || build.is_some() {
            return Some(Found { item: known.queue_item, build, gate: None });
        }
        let marker = known.intent.marker.as_ref()?;
        let deadline = Instant::now() + self.config.lost_after;
        let since = known.times.intended.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let since_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        match self.look_up(project, marker, since_ms, deadline).await {
            LookUp::Found(item, build) => Some(Found { item, build, gate: None }),
            LookUp::Absent | LookUp::Unanswered => None,
        }
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
