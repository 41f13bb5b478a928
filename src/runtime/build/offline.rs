//! Whether a build's node goes offline: reserved when the build starts, decided when it ends, before its result leaves.
//!
//! Policies are asked first; the classic rule, where the client's parameter decides, holds where they say nothing. What
//! runs in parts, pipelines and matrix projects, reserves nothing: its next part may need the very node.

use std::sync::Arc;

use tracing::{info, warn};

use crate::classic;
use crate::domain::{Build, Node, NodeName};
use crate::jenkins::{self, Clearing, Part};
use crate::journal;
use crate::policy;

use super::super::attempts::{Outcome, Started};
use super::super::config::OfflineMark;
use super::mark::Mark;
use super::question::off_the_runtime;
use super::retry::Retry;
use super::{Ended, FIRST_LOOK, Scheduled, Task, now_ms};

/// How often a node is asked to go offline, or to come back, before the client is told the result all the same.
const MARK_TRIES: u32 = 4;

impl Task<'_> {
    /// Tells the client that its build runs, and asks the policies whether the node is to be reserved.
    pub(super) async fn started(&self, build: &Build, scheduled: &mut Scheduled) {
        let node = self.node_of(build);
        let report = self.report(build, node.as_ref(), None);
        let status = classic::report::Progress::of_build(build.started_ms, now_ms(), build.estimated_duration);
        let name = node.as_ref().map(|node| node.name.clone());
        let journal = self.attempt.progress.borrow().journal;
        if let Some(id) = journal.filter(|_| !scheduled.start_is_journaled) {
            let started = journal::StartedBuild { number: build.id.number, node: name.clone(), url: build.url.clone() };
            if let Err(error) = self.site.journal.started(id, started).await {
                warn!(%error, "failed to journal the start of a build");
            }
        }
        self.attempt.update(|progress| {
            progress.build = Some(build.id.clone());
            if progress.holds_executor && name.is_some() {
                progress.node = name;
            }
            progress.started = Some(Started { data: report.into(), status });
        });
        info!(build = %build.id, controller = %self.attempt.controller, function = %self.attempt.function, "build started");
        if scheduled.is_resumed {
            scheduled.learn_values(&build.parameters);
        }
        if let Some(node) = node.filter(|_| !scheduled.project.kind.runs_in_parts()) {
            scheduled.reserved = self.reserve(build, &node, scheduled).await;
        }
    }

    /// Marks the node of a build that has just started, if that is what the policies want, or the client.
    async fn reserve(&self, build: &Build, node: &Node, scheduled: &Scheduled) -> Option<(NodeName, Mark)> {
        let at_start = scheduled.offline_wanted && self.config.offline_mark == OfflineMark::AtStart;
        let of_earlier_life = [Some(Mark::of_policy(Some(&build.id), "")), at_start.then(Mark::of_client)];
        let known =
            of_earlier_life.into_iter().flatten().find(|mark| Mark::is_on(&mark.token, node.offline_reason.as_deref()));
        if let Some(mark) = known.filter(|_| node.temporarily_offline) {
            return Some((node.name.clone(), mark));
        }
        if !build.in_progress {
            return None;
        }
        let question = self.question(&scheduled.project, node, &scheduled.sent, scheduled.offline_wanted);
        let generation = Arc::clone(&self.generation);
        let mark = match off_the_runtime(move || generation.build_started(&question.request())).await {
            policy::Start::Reserve { slot, reason } if node.name != NodeName::BuiltIn => {
                Some(Mark::of_policy(Some(&build.id), &format!("Reserved by policy {slot}: {reason}")))
            }
            policy::Start::Share { .. } => None,
            policy::Start::Reserve { .. } | policy::Start::Classic => at_start.then(Mark::of_client),
        }?;
        self.mark_offline(&node.name, &mark).await.then(|| (node.name.clone(), mark))
    }

    /// Decides what becomes of the nodes that a build has used, before the terminal packet leaves.
    pub(super) async fn settle_offline(&self, scheduled: &Scheduled, ended: &Ended) {
        if ended.outcome == Outcome::HandBack {
            return;
        }
        let _looked_at_or_not = self.was_looked_at(FIRST_LOOK).await;
        for node in self.nodes_used(scheduled.project.kind) {
            let reserved = scheduled.reserved.as_ref().filter(|(name, _)| *name == node.name);
            match (self.offline_verdict(&node, scheduled, ended).await, reserved) {
                (Some(mark), _) => drop(self.mark_offline(&node.name, &mark).await),
                (None, Some((name, mark))) => self.clear_offline(name, mark).await,
                (None, None) => {}
            }
        }
    }

    /// Asks whether a node goes offline after the build, and returns what is to stand on it then.
    async fn offline_verdict(&self, node: &Node, scheduled: &Scheduled, ended: &Ended) -> Option<Mark> {
        let build = self.attempt.progress.borrow().build.clone();
        let question = self.question(&scheduled.project, node, &scheduled.sent, scheduled.offline_wanted);
        let outcome = policy::Outcome { result: ended.result, duration: self.whereabouts.duration() };
        let generation = Arc::clone(&self.generation);
        let (slot, message, single_use) =
            match off_the_runtime(move || generation.build_ended(&question.request(), &outcome)).await {
                policy::End::Classic => return scheduled.offline_wanted.then(Mark::of_client),
                policy::End::Online { .. } => return None,
                policy::End::Offline { slot, message, single_use, .. }
                | policy::End::Held { slot, message, single_use, .. } => (slot, message, single_use),
            };
        if node.name == NodeName::BuiltIn {
            return None;
        }
        // What the client wants anyway is nothing that a policy uses the budget up for.
        if !single_use
            && !scheduled.offline_wanted
            && let Err(limit) = self.spend_on(node)
        {
            warn!(
                controller = %self.attempt.controller, node = %node.name, policy = %slot, reason = message,
                "a policy wants the node offline, and it stays online: {limit}"
            );
            return None;
        }
        Some(Mark::of_policy(build.as_ref(), &message))
    }

    fn spend_on(&self, node: &Node) -> Result<(), super::super::offline_budget::Limit> {
        let view = self.site.view.borrow().clone();
        let controller = view.snapshot.controllers.get(&self.attempt.controller);
        let nodes = controller.map(|controller| Arc::clone(&controller.nodes)).unwrap_or_default();
        let labels = &view.snapshot.world.named_labels;
        self.site.offline_budget.spend(&self.config, &self.attempt.controller, node, &nodes, labels)
    }

    async fn mark_offline(&self, node: &NodeName, mark: &Mark) -> bool {
        // Marking twice does no harm.
        let marked = insist(|| async { self.current().client.mark_offline(node, &mark.text).await }).await;
        if let Err(error) = marked {
            warn!(controller = %self.attempt.controller, %node, %error, "failed to mark node offline");
            return false;
        }
        info!(controller = %self.attempt.controller, %node, reason = mark.text, "marked node offline");
        self.site.offline_marks.add(&self.attempt.controller, node);
        self.current().watcher.hurry(Part::Nodes);
        true
    }

    async fn clear_offline(&self, node: &NodeName, mark: &Mark) {
        let controller = &self.attempt.controller;
        // Each try looks first, so that what an earlier one has cleared is not marked again.
        match insist(|| async { self.current().client.clear_offline(node, Some(&mark.token)).await }).await {
            Ok(Clearing::Cleared) => info!(%controller, %node, "brought node back online"),
            Ok(Clearing::WasNotMarked) => info!(%controller, %node, "node had been brought back online already"),
            Ok(Clearing::MarkedOtherwise { reason }) => {
                info!(%controller, %node, reason, "node stays offline: somebody else has marked it meanwhile");
                return;
            }
            Err(error) => {
                warn!(%controller, %node, %error, reason = mark.text, "failed to bring node back online; it stays marked");
                return;
            }
        }
        self.site.offline_marks.remove(controller, node);
        self.current().watcher.hurry(Part::Nodes);
    }
}

/// Asks something of a controller that may be asked twice, some times over if it fails in passing.
async fn insist<T, F>(ask: impl Fn() -> F) -> Result<T, jenkins::Error>
where
    F: Future<Output = Result<T, jenkins::Error>>,
{
    let mut retry = Retry::default();
    for _ in 1..MARK_TRIES {
        match ask().await {
            Err(error) if error.is_transient() || error.is_outcome_unknown() => {
                tokio::time::sleep(retry.next()).await;
            }
            answer => return answer,
        }
    }
    ask().await
}
