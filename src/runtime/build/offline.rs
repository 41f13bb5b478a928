//! Whether a build's node goes offline: reserved when the build starts, decided when it ends, before its result leaves.
//!
//! Policies are asked first; the classic rule, where the client's parameter decides, holds where they say nothing. What
//! runs in parts, pipelines and matrix projects, reserves nothing: its next part may need the very node.

use std::sync::Arc;
use std::time::SystemTime;

use tracing::{info, warn};

use crate::classic;
use crate::domain::{Build, BuildId, Node, NodeName};
use crate::jenkins::{self, Clearing, Part};
use crate::journal::{self, MarkKind, OfflineMark};
use crate::policy;

use super::super::attempts::{Outcome, Started};
use super::super::config::OfflineMark as When;
use super::mark::Mark;
use super::question::off_the_runtime;
use super::retry::Retry;
use super::{Ended, FIRST_LOOK, Reserved, Scheduled, Task, now_ms};

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
    async fn reserve(&self, build: &Build, node: &Node, scheduled: &Scheduled) -> Option<Reserved> {
        let at_start = scheduled.offline_wanted && self.config.offline_mark == When::AtStart;
        let of_earlier_life = [Some(Mark::of_policy(Some(&build.id), "")), at_start.then(Mark::of_client)];
        let known =
            of_earlier_life.into_iter().flatten().find(|mark| Mark::is_on(&mark.token, node.offline_reason.as_deref()));
        if let Some(mark) = known.filter(|_| node.temporarily_offline) {
            return Some(Reserved { node: node.name.clone(), mark, paid: false });
        }
        if !build.in_progress {
            return None;
        }
        let question = self.question(&scheduled.project, node, &scheduled.sent, scheduled.offline_wanted);
        let generation = Arc::clone(&self.generation);
        let going = match off_the_runtime(move || generation.build_started(&question.request())).await {
            policy::Start::Share { .. } => None,
            policy::Start::Classic => at_start.then(Going::of_client),
            policy::Start::Reserve { slot, reason, single_use } => {
                match self.pay_for(node, &slot, &reason, single_use || scheduled.offline_wanted) {
                    Some(paid) => Some(Going::reserved(&build.id, &slot, reason, paid)),
                    None => at_start.then(Going::of_client),
                }
            }
        }?;
        let Going { mark, paid, .. } = going.clone();
        self.mark_offline(&node.name, going).await.then(|| Reserved { node: node.name.clone(), mark, paid })
    }

    /// Decides what becomes of the nodes that a build has used, before the terminal packet leaves.
    pub(super) async fn settle_offline(&self, scheduled: &Scheduled, ended: &Ended) {
        if ended.outcome == Outcome::HandBack {
            return;
        }
        let _looked_at_or_not = self.was_looked_at(FIRST_LOOK).await;
        for node in self.nodes_used(scheduled.project.kind) {
            let reserved = scheduled.reserved.as_ref().filter(|reserved| reserved.node == node.name);
            match (self.offline_verdict(&node, scheduled, ended).await, reserved) {
                (Some(going), _) => drop(self.mark_offline(&node.name, going).await),
                (None, Some(reserved)) => self.clear_offline(reserved).await,
                (None, None) => {}
            }
        }
    }

    /// Asks whether a node goes offline after the build, and returns what is to stand on it then.
    async fn offline_verdict(&self, node: &Node, scheduled: &Scheduled, ended: &Ended) -> Option<Going> {
        let build = self.attempt.progress.borrow().build.clone();
        let question = self.question(&scheduled.project, node, &scheduled.sent, scheduled.offline_wanted);
        let outcome = policy::Outcome { result: ended.result, duration: self.whereabouts.duration() };
        let generation = Arc::clone(&self.generation);
        let (kind, slot, message, single_use) =
            match off_the_runtime(move || generation.build_ended(&question.request(), &outcome)).await {
                policy::End::Classic => return scheduled.offline_wanted.then(Going::of_client),
                policy::End::Online { .. } => return None,
                policy::End::Offline { slot, message, single_use, .. } => {
                    (MarkKind::Offline, slot, message, single_use)
                }
                policy::End::Held { slot, message, single_use, .. } => (MarkKind::Held, slot, message, single_use),
            };
        match self.pay_for(node, &slot, &message, single_use || scheduled.offline_wanted) {
            Some(paid) => {
                let mark = Mark::of_policy(build.as_ref(), &message);
                Some(Going { mark, kind, policy: Some(slot), message, paid })
            }
            // What no policy may do, the client still may.
            None => scheduled.offline_wanted.then(Going::of_client),
        }
    }

    /// Pays for a policy that wants a node offline, and says whether that cost anything; none if the node has to stay.
    /// What is for a single use, and what the client wants anyway, is free.
    fn pay_for(&self, node: &Node, policy: &str, reason: &str, is_free: bool) -> Option<bool> {
        if is_free && node.name != NodeName::BuiltIn {
            return Some(false);
        }
        let controller = &self.attempt.controller;
        let view = self.site.view.borrow().clone();
        let nodes = view.snapshot.controllers.get(controller).map(|seen| Arc::clone(&seen.nodes)).unwrap_or_default();
        let labels = &view.snapshot.world.named_labels;
        match self.site.offline_budget.spend(&self.config, controller, node, &nodes, labels, policy) {
            Ok(()) => Some(true),
            Err(limit) => {
                warn!(
                    %controller, node = %node.name, policy, reason,
                    "a policy wants the node offline, and it stays online: {limit}"
                );
                None
            }
        }
    }

    async fn mark_offline(&self, node: &NodeName, going: Going) -> bool {
        let Going { mark, kind, policy, message, paid } = going;
        let controller = &self.attempt.controller;
        // Marking twice does no harm.
        let marked = insist(|| async { self.current().client.mark_offline(node, &mark.text).await }).await;
        if let Err(error) = marked {
            warn!(%controller, %node, %error, "failed to mark node offline");
            if paid {
                self.site.offline_budget.give_back(controller, node);
            }
            return false;
        }
        info!(%controller, %node, reason = mark.text, "marked node offline");
        self.site.offline_marks.add(controller, node);
        self.current().watcher.hurry(Part::Nodes);
        let noted = OfflineMark {
            controller: controller.clone(),
            node: node.clone(),
            kind,
            policy: policy.map(|policy| policy.to_string()),
            message,
            build: self.attempt.progress.borrow().build.clone(),
            token: mark.token,
            marked: SystemTime::now(),
        };
        if let Err(error) = self.site.journal.marked_offline(noted).await {
            warn!(%controller, %node, %error, "failed to journal why a node is offline");
        }
        true
    }

    async fn clear_offline(&self, reserved: &Reserved) {
        let Reserved { node, mark, paid } = reserved;
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
        if *paid {
            self.site.offline_budget.give_back(controller, node);
        }
        self.site.forget_mark(controller, node).await;
        self.current().watcher.hurry(Part::Nodes);
    }
}

/// What is to stand on a node, and who wants it there.
#[derive(Clone)]
struct Going {
    mark: Mark,
    kind: MarkKind,
    /// None if it is the client's wish.
    policy: Option<Arc<str>>,
    message: String,
    /// Out of the budget on going offline.
    paid: bool,
}

impl Going {
    fn of_client() -> Self {
        let mark = Mark::of_client();
        Self { kind: MarkKind::Client, policy: None, message: mark.text.clone(), mark, paid: false }
    }

    fn reserved(build: &BuildId, policy: &Arc<str>, reason: String, paid: bool) -> Self {
        let mark = Mark::of_policy(Some(build), &format!("Reserved by policy {policy}: {reason}"));
        Self { mark, kind: MarkKind::Reserved, policy: Some(Arc::clone(policy)), message: reason, paid }
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
