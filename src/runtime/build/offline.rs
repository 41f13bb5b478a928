//! Whether a build's node goes offline: reserved when the build starts, decided when it ends, before its result leaves.
//!
//! Policies are asked first; the classic rule, where the client's parameter decides, holds where they say nothing.

use std::sync::Arc;

use tracing::{info, warn};

use crate::classic;
use crate::domain::{Build, NodeName};
use crate::journal;
use crate::policy;

use super::super::attempts::{Outcome, Started};
use super::super::config::OfflineMark;
use super::question::off_the_runtime;
use super::retry::Retry;
use super::{Ended, FIRST_LOOK, Scheduled, Task, now_ms};

/// How often a node is asked to go offline before the client is told the result all the same.
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
        let Some(node) = node else { return };
        let question = self.question(&scheduled.project, &node, &scheduled.sent, scheduled.offline_wanted);
        let generation = Arc::clone(&self.generation);
        let reserve = match off_the_runtime(move || generation.build_started(&question.request())).await {
            policy::Start::Reserve { slot, reason } if node.name != NodeName::BuiltIn => {
                Some(format!("Reserved by policy {slot}: {reason}"))
            }
            _ if scheduled.offline_wanted && self.config.offline_mark == OfflineMark::AtStart => {
                Some(classic::offline::REASON.to_owned())
            }
            _ => None,
        };
        if let Some(message) = reserve
            && self.mark_offline(&node.name, &message).await
        {
            scheduled.reserved = Some((node.name, message));
        }
    }

    /// Decides what becomes of the node, before the terminal packet leaves.
    pub(super) async fn settle_offline(&self, scheduled: &Scheduled, ended: &Ended) {
        if ended.outcome == Outcome::HandBack {
            return;
        }
        let _looked_at_or_not = self.was_looked_at(FIRST_LOOK).await;
        let progress = self.attempt.progress.borrow().clone();
        let name = progress.node.unwrap_or_else(|| self.attempt.grabbed_for.clone());
        let Some(node) = self.node(&name) else { return };
        let question = self.question(&scheduled.project, &node, &scheduled.sent, scheduled.offline_wanted);
        let outcome = policy::Outcome { result: ended.result, duration: self.duration_of(progress.build.as_ref()) };
        let generation = Arc::clone(&self.generation);
        let decided = off_the_runtime(move || generation.build_ended(&question.request(), &outcome)).await;
        let by_policy = |message: String| (name != NodeName::BuiltIn).then_some(message);
        let message = match decided {
            policy::End::Classic => scheduled.offline_wanted.then(|| classic::offline::REASON.to_owned()),
            policy::End::Online { .. } => None,
            policy::End::Offline { message, .. } | policy::End::Held { message, .. } => by_policy(message),
        };
        match message {
            Some(message) => {
                self.mark_offline(&name, &message).await;
            }
            None => {
                if let Some((node, reason)) = &scheduled.reserved {
                    self.clear_offline(node, reason).await;
                }
            }
        }
    }

    async fn mark_offline(&self, node: &NodeName, message: &str) -> bool {
        let mut retry = Retry::default();
        for tries in 1.. {
            // Marking twice does no harm.
            match self.current().client.mark_offline(node, message).await {
                Ok(()) => break,
                Err(error) if tries < MARK_TRIES && (error.is_transient() || error.is_outcome_unknown()) => {
                    tokio::time::sleep(retry.next()).await;
                }
                Err(error) => {
                    warn!(controller = %self.attempt.controller, %node, %error, "failed to mark node offline");
                    return false;
                }
            }
        }
        info!(controller = %self.attempt.controller, %node, reason = message, "marked node offline");
        self.site.offline_marks.add(&self.attempt.controller, node);
        self.current().watcher.hurry(crate::jenkins::Part::Nodes);
        true
    }

    async fn clear_offline(&self, node: &NodeName, reason: &str) {
        match self.current().client.clear_offline(node, Some(reason)).await {
            Ok(_) => {
                info!(controller = %self.attempt.controller, %node, "brought node back online");
                self.site.offline_marks.remove(&self.attempt.controller, node);
                self.current().watcher.hurry(crate::jenkins::Part::Nodes);
            }
            Err(error) => {
                warn!(controller = %self.attempt.controller, %node, %error, "failed to bring node back online");
            }
        }
    }
}
