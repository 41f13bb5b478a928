//! From a queue item to the end of its build, by looking at the pollers' pictures; a build is asked about by itself
//! only when a picture says that something happened to it, or when there are no pictures any more.
//!
//! Every wait here has an end: a controller that says nothing of the build for `lost_after` has lost it.

use tokio::time::{Duration, Instant};
use tracing::{debug, warn};

use crate::domain::{Build, BuildId, LeftItem, Node, QueueItemId};
use crate::jenkins::{Cancelled, Part, Picture};

use super::super::attempts::Outcome;
use super::super::config::OnStuck;
use super::retry::Retry;
use super::start::Found;
use super::{Ended, Scheduled, Task};

/// How long an item may have left the queue without its build showing. Jenkins makes the build within moments, or
/// never.
const STARTING_WITHIN: Duration = Duration::from_secs(60);

/// How often pictures are looked at when none is published: they are published only when something was answered.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

impl Task<'_> {
    pub(super) async fn follow(&self, mut found: Found, scheduled: &mut Scheduled) -> Ended {
        let id = match (&found.build, found.item) {
            (Some(build), _) => build.clone(),
            (None, Some(item)) => match self.leave_queue(item, found.is_foreign).await {
                Ok(build) => build,
                Err(ended) => return ended,
            },
            (None, None) => return Ended::exception("the build was triggered, and cannot be found"),
        };
        if found.gate.as_ref().is_some_and(|gate| !gate.until_ended) {
            found.gate = None;
        }
        let since = Instant::now();
        self.attempt.update(|progress| progress.build = Some(id.clone()));
        self.current().watcher.hurry(Part::Nodes);
        let build = match self.look(&id, since).await {
            Ok(build) => build,
            Err(ended) => return ended,
        };
        self.wait_until_shown(&build, since).await;
        self.started(&build, scheduled).await;
        let build = if build.in_progress { self.run_to_end(&id, since).await } else { Ok(build) };
        match build {
            Ok(build) => {
                let node = self.node_of(&build);
                let report = self.report(&build, node.as_ref(), build.result);
                Ended { outcome: Outcome::Complete(report.into()), reason: None, result: build.result }
            }
            Err(ended) => ended,
        }
    }

    /// Waits until the item has become a build, or cancels it when it takes too long.
    async fn leave_queue(&self, item: QueueItemId, is_foreign: bool) -> Result<BuildId, Ended> {
        let mut pictures = self.pictures().of_queue_too();
        let began = Instant::now();
        let (limit, stale_after) = (self.config.start_within, self.stale_after());
        let mut waiting = Waiting::since(began);
        loop {
            let picture = pictures.latest();
            if let Some(build) = shown_as_build(&picture, item) {
                return Ok(build);
            }
            let queue = picture.queue.as_ref().filter(|queue| queue.asked_at > waiting.looked_at);
            let is_listed = queue.map(|queue| queue.value.iter().any(|listed| listed.id == item));
            match (is_listed, queue) {
                (Some(true), Some(queue)) => {
                    waiting.heard_at = waiting.heard_at.max(queue.asked_at);
                    waiting.left_at = None;
                }
                (None, _) if waiting.looked_at.elapsed() < stale_after => {}
                _ => {
                    if let Some(build) = self.look_for_left(item, &mut waiting).await? {
                        return Ok(build);
                    }
                }
            }
            if waiting.left_at.is_none() && waiting.may_cancel && began.elapsed() >= limit {
                self.cancel_stuck(item, is_foreign, &mut waiting).await?;
            }
            if waiting.heard_at.elapsed() > self.config.lost_after {
                let controller = &self.attempt.controller;
                let text = format!("lost sight of the queued build: controller {controller} does not answer");
                return Err(Ended::exception(text));
            }
            let waited = began.elapsed();
            let rest = if waited < limit { (limit - waited).min(LOOK_AGAIN) } else { LOOK_AGAIN };
            pictures.changed(rest).await;
        }
    }

    /// Asks what became of an item that is not listed.
    async fn look_for_left(&self, item: QueueItemId, waiting: &mut Waiting) -> Result<Option<BuildId>, Ended> {
        waiting.looked_at = Instant::now();
        let Ok(left) = self.current().client.left_item(item).await else { return Ok(None) };
        waiting.heard_at = Instant::now();
        match left {
            LeftItem::Started(build) => return Ok(Some(build)),
            LeftItem::Cancelled if waiting.cancelled_at.is_some() => return Err(self.stuck()),
            LeftItem::Cancelled => return Err(Ended::exception("the build was cancelled in the jenkins queue")),
            LeftItem::Queued => waiting.left_at = None,
            LeftItem::Unknown | LeftItem::Starting => {
                let left_at = *waiting.left_at.get_or_insert_with(Instant::now);
                if let Some(build) = self.find_by_queue_id(item).await {
                    return Ok(Some(build));
                }
                if left_at.elapsed() > STARTING_WITHIN.min(self.config.lost_after) {
                    return Err(Ended::exception("the build left the jenkins queue and never started"));
                }
            }
        }
        Ok(None)
    }

    /// Takes a stuck item out of the queue; goes on if it is too late for that, and tries again later, since what was
    /// handed to an executor can come back.
    async fn cancel_stuck(&self, item: QueueItemId, is_foreign: bool, waiting: &mut Waiting) -> Result<(), Ended> {
        if is_foreign {
            // Somebody else waits for it too.
            return Err(self.stuck());
        }
        if waiting.cancelled_at.is_some_and(|at| at.elapsed() < LOOK_AGAIN) {
            return Ok(());
        }
        waiting.cancelled_at = Some(Instant::now());
        match self.current().client.cancel(item).await {
            Ok(Cancelled::Yes) => Err(self.stuck()),
            Ok(Cancelled::NotPermitted) => {
                warn!(%item, "a build has not started in time and cannot be cancelled: the user lacks the permission Job/Cancel; the job waits on");
                // It may still start: a client that was told now would have it built a second time.
                (waiting.may_cancel, waiting.cancelled_at) = (false, None);
                Ok(())
            }
            // Too late: it is starting, or has left.
            Ok(Cancelled::TooLate | Cancelled::Unknown) => Ok(()),
            Err(error) => {
                warn!(%item, %error, "failed to cancel a stuck build");
                Ok(())
            }
        }
    }

    fn stuck(&self) -> Ended {
        let reason = format!(
            "the build had not started within {} and was cancelled",
            humantime::format_duration(self.config.start_within)
        );
        match self.config.on_stuck {
            OnStuck::HandBack => Ended::hand_back(reason),
            OnStuck::Fail => Ended::exception(reason),
        }
    }

    async fn find_by_queue_id(&self, item: QueueItemId) -> Option<BuildId> {
        let builds = self.current().client.builds_of(&self.attempt.project, 50).await.ok()?;
        builds.into_iter().find(|build| build.queue_id == Some(item)).map(|build| build.id)
    }

    /// Asks about the build until there is an answer.
    async fn look(&self, id: &BuildId, since: Instant) -> Result<Build, Ended> {
        let mut retry = Retry::default();
        loop {
            match self.current().client.build(id).await {
                Ok(Some(build)) => return Ok(build),
                // The number can be known before the build is saved.
                Ok(None) if since.elapsed() > STARTING_WITHIN => return Err(lost(id, "jenkins no longer knows it")),
                Err(error) if since.elapsed() > self.config.lost_after => return Err(lost(id, &error.to_string())),
                Ok(None) | Err(_) => tokio::time::sleep(retry.next()).await,
            }
        }
    }

    /// Waits for one picture taken after the build began, so that its real node is known.
    async fn wait_until_shown(&self, build: &Build, since: Instant) {
        let mut pictures = self.pictures();
        let deadline = Instant::now() + LOOK_AGAIN;
        while Instant::now() < deadline {
            let picture = pictures.latest();
            let nodes = picture.nodes.as_ref();
            if nodes.is_some_and(|nodes| nodes.asked_at >= since || shows(&nodes.value, &build.id)) {
                return;
            }
            pictures.changed(deadline - Instant::now()).await;
        }
    }

    /// Returns the age from which a picture says nothing about now; the build itself is asked about then.
    fn stale_after(&self) -> Duration {
        self.current().intervals.stale_after(Part::Nodes).unwrap_or(LOOK_AGAIN)
    }

    async fn run_to_end(&self, id: &BuildId, since: Instant) -> Result<Build, Ended> {
        let mut pictures = self.pictures();
        let stale_after = self.stale_after();
        let (mut heard_at, mut looked_at) = (since, since);
        let mut gone_since = None;
        loop {
            let picture = pictures.latest();
            let nodes = picture.nodes.as_ref();
            let newer = nodes.filter(|nodes| nodes.asked_at > looked_at);
            let is_missing = newer.is_some_and(|nodes| !shows(&nodes.value, id));
            let is_stale = nodes.is_none_or(|nodes| nodes.asked_at.elapsed() > stale_after);
            if is_missing || (is_stale && looked_at.elapsed() > stale_after) {
                looked_at = Instant::now();
                match self.current().client.build(id).await {
                    Ok(Some(build)) if !build.in_progress => return Ok(build),
                    Ok(Some(_)) => (heard_at, gone_since) = (Instant::now(), None),
                    Ok(None) => {
                        heard_at = Instant::now();
                        let gone_since = *gone_since.get_or_insert(heard_at);
                        if gone_since.elapsed() > STARTING_WITHIN.min(self.config.lost_after) {
                            return Err(lost(id, "it was deleted before its result was read"));
                        }
                    }
                    Err(error) => debug!(build = %id, %error, "failed to read a build"),
                }
            } else if let Some(nodes) = newer {
                heard_at = heard_at.max(nodes.asked_at);
                gone_since = None;
            }
            if heard_at.elapsed() > self.config.lost_after {
                return Err(lost(id, "its controller does not answer"));
            }
            pictures.changed(LOOK_AGAIN).await;
        }
    }
}

/// How the wait for a queue item goes.
struct Waiting {
    /// When the controller last said anything of it.
    heard_at: Instant,
    /// When the item itself was last asked about.
    looked_at: Instant,
    /// Since when it is in the queue no longer, and its build does not show.
    left_at: Option<Instant>,
    /// When we last tried to cancel it.
    cancelled_at: Option<Instant>,
    may_cancel: bool,
}

impl Waiting {
    fn since(began: Instant) -> Self {
        Self { heard_at: began, looked_at: began, left_at: None, cancelled_at: None, may_cancel: true }
    }
}

fn shows(nodes: &[Node], id: &BuildId) -> bool {
    nodes.iter().flat_map(Node::builds).any(|shown| shown.id == *id)
}

fn shown_as_build(picture: &Picture, item: QueueItemId) -> Option<BuildId> {
    let nodes = &picture.nodes.as_ref()?.value;
    nodes.iter().flat_map(Node::builds).find(|shown| shown.queue_id == Some(item)).map(|shown| shown.id.clone())
}

fn lost(id: &BuildId, why: &str) -> Ended {
    Ended { outcome: Outcome::Fail, reason: Some(format!("lost sight of {id}: {why}")), result: None }
}
