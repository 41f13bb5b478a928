//! From a queue item to the end of its build, by looking at the pollers' pictures; a build is asked about by itself
//! only when a picture says that something happened to it.

use std::sync::Arc;

use tokio::time::{Duration, Instant, timeout};
use tracing::warn;

use crate::domain::{Build, BuildId, LeftItem, Node, QueueItemId};
use crate::jenkins::{Cancelled, Picture};

use super::super::attempts::Outcome;
use super::super::config::OnStuck;
use super::start::Found;
use super::{Ended, Retry, Scheduled, Task};

/// How long an item may have left the queue without its build showing. Jenkins makes the build within moments, or
/// never.
const STARTING_WITHIN: Duration = Duration::from_secs(60);

/// How often pictures are looked at when none is published: they are published only when something was answered.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

impl Task<'_> {
    pub(super) async fn follow(&self, mut found: Found, scheduled: &mut Scheduled) -> Ended {
        let id = match (&found.build, found.item) {
            (Some(build), _) => build.clone(),
            (None, Some(item)) => match self.leave_queue(item).await {
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
        self.controller.watcher.hurry(crate::jenkins::Part::Nodes);
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
    async fn leave_queue(&self, item: QueueItemId) -> Result<BuildId, Ended> {
        let _interest = self.controller.watcher.watch_queue();
        let mut pictures = self.controller.watcher.picture();
        let began = Instant::now();
        let mut left_at = None;
        let mut cancelled = false;
        loop {
            let picture = Arc::clone(&pictures.borrow_and_update());
            if let Some(build) = shown_as_build(&picture, item) {
                return Ok(build);
            }
            let queued = picture.queue.as_ref().filter(|queue| queue.asked_at >= began);
            let is_listed = queued.is_none_or(|queue| queue.value.iter().any(|listed| listed.id == item));
            if !is_listed {
                match self.controller.client.left_item(item).await {
                    Ok(LeftItem::Started(build)) => return Ok(build),
                    Ok(LeftItem::Cancelled) if cancelled => return Err(self.stuck()),
                    Ok(LeftItem::Cancelled) => {
                        return Err(Ended::exception("the build was cancelled in the jenkins queue"));
                    }
                    Ok(LeftItem::Unknown | LeftItem::Starting) => {
                        let left_at = *left_at.get_or_insert_with(Instant::now);
                        if let Some(build) = self.find_by_queue_id(item).await {
                            return Ok(build);
                        }
                        if left_at.elapsed() > STARTING_WITHIN {
                            return Err(Ended::exception("the build left the jenkins queue and never started"));
                        }
                    }
                    Ok(LeftItem::Queued) => left_at = None,
                    Err(error) => {
                        if began.elapsed() > self.config.start_within + self.config.lost_after {
                            return Err(Ended::exception(format!("lost sight of the queued build: {error}")));
                        }
                    }
                }
            }
            let waited = began.elapsed();
            let limit = self.config.start_within;
            if !cancelled && is_listed && waited >= limit {
                match self.controller.client.cancel(item).await {
                    Ok(Cancelled::Yes) => return Err(self.stuck()),
                    // Too late: it is starting, or has left.
                    Ok(_) => cancelled = true,
                    Err(error) => warn!(%item, %error, "failed to cancel a stuck build"),
                }
            }
            let rest = if waited < limit { (limit - waited).min(LOOK_AGAIN) } else { LOOK_AGAIN };
            let _published_or_not = timeout(rest, pictures.changed()).await;
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
        let builds = self.controller.client.builds_of(&self.attempt.project, 50).await.ok()?;
        builds.into_iter().find(|build| build.queue_id == Some(item)).map(|build| build.id)
    }

    /// Asks about the build until there is an answer.
    async fn look(&self, id: &BuildId, since: Instant) -> Result<Build, Ended> {
        let mut retry = Retry::default();
        loop {
            match self.controller.client.build(id).await {
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
        let mut pictures = self.controller.watcher.picture();
        let seen = pictures.wait_for(|picture| {
            let nodes = picture.nodes.as_ref();
            nodes.is_some_and(|nodes| nodes.asked_at >= since || shows(&nodes.value, &build.id))
        });
        let _seen_or_not = timeout(LOOK_AGAIN, seen).await;
    }

    async fn run_to_end(&self, id: &BuildId, since: Instant) -> Result<Build, Ended> {
        let mut pictures = self.controller.watcher.picture();
        let mut trouble_since = None;
        let mut gone_since = None;
        let mut looked_at = since;
        loop {
            let picture = Arc::clone(&pictures.borrow_and_update());
            let newer = picture.nodes.as_ref().filter(|nodes| nodes.asked_at > looked_at);
            if newer.is_some_and(|nodes| !shows(&nodes.value, id)) {
                looked_at = Instant::now();
                match self.controller.client.build(id).await {
                    Ok(Some(build)) if !build.in_progress => return Ok(build),
                    Ok(Some(_)) => (trouble_since, gone_since) = (None, None),
                    Ok(None) => {
                        let since = *gone_since.get_or_insert_with(Instant::now);
                        if since.elapsed() > STARTING_WITHIN {
                            return Err(lost(id, "it was deleted before its result was read"));
                        }
                    }
                    Err(_) => {
                        trouble_since.get_or_insert_with(Instant::now);
                    }
                }
            }
            if newer.is_none() && picture.trouble.is_some() {
                trouble_since.get_or_insert_with(Instant::now);
            } else if newer.is_some_and(|nodes| shows(&nodes.value, id)) {
                trouble_since = None;
            }
            if trouble_since.is_some_and(|since: Instant| since.elapsed() > self.config.lost_after) {
                return Err(lost(id, "its controller does not answer"));
            }
            let _published_or_not = timeout(LOOK_AGAIN, pictures.changed()).await;
        }
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
