//! The attempts that are under way, wherever their jobs' connections are.
//!
//! An attempt outlives its connection: when that is lost the build goes on, and the attempt waits for the server to
//! hand the same job out again. One handle owns the state; the lock is never held across an await.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::classic;
use crate::domain::{BuildId, ControllerName, FunctionName, NodeName, ProjectName, QueueItemId};
use crate::gearman::worker::Report;
use crate::journal::{AttemptId, AttemptKey};

use super::identity::ConnectionId;
use super::plan;

/// The attempts of this daemon. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Attempts {
    state: Arc<Mutex<State>>,
    /// Rung at every change, for the reconciler.
    changed: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    live: BTreeMap<u64, Arc<Attempt>>,
    /// Builds that ended; kept until every picture of their controller is newer.
    ended: Vec<(ControllerName, BuildId, Instant)>,
}

/// One attempt: what never changes, and its progress.
#[derive(Debug)]
pub(super) struct Attempt {
    number: u64,
    pub(super) key: AttemptKey,
    pub(super) function: FunctionName,
    pub(super) controller: ControllerName,
    pub(super) project: ProjectName,
    /// What clients see as the project's name.
    pub(super) offered_as: String,
    /// The client id of the connection that grabbed the job, which stays the JSON's `worker`.
    pub(super) worker: String,
    /// The connection's node when it grabbed the job.
    pub(super) grabbed_for: NodeName,
    pub(super) holds_executor: bool,
    pub(super) progress: watch::Sender<Progress>,
    changed: Arc<Notify>,
}

/// How far an attempt is.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    pub(super) journal: Option<AttemptId>,
    pub(super) connection: Option<ConnectionId>,
    /// The node that is promised, then the one on which the build runs.
    pub(super) node: Option<NodeName>,
    pub(super) marked: bool,
    pub(super) queue_item: Option<QueueItemId>,
    pub(super) build: Option<BuildId>,
    pub(super) started: Option<Started>,
    /// Somebody asked to stop it.
    pub(super) stopping: bool,
    pub(super) outcome: Option<Outcome>,
}

/// What a client is told when its build starts.
#[derive(Clone, Debug)]
pub(super) struct Started {
    pub(super) data: Bytes,
    pub(super) status: classic::report::Progress,
}

/// How a job ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Complete(Bytes),
    Fail,
    Exception(Bytes),
    /// Nothing was started, or not for good: the server may give the job to another worker.
    HandBack,
}

impl Outcome {
    /// Returns the terminal packet; none hands the job back.
    pub(super) fn report(&self) -> Option<Report> {
        match self {
            Self::Complete(data) => Some(Report::Complete(data.clone())),
            Self::Fail => Some(Report::Fail),
            Self::Exception(text) => Some(Report::Exception(text.clone())),
            Self::HandBack => None,
        }
    }
}

/// What an attempt is for.
#[derive(Debug)]
pub(super) struct NewAttempt {
    pub(super) key: AttemptKey,
    pub(super) function: FunctionName,
    pub(super) controller: ControllerName,
    pub(super) project: ProjectName,
    pub(super) offered_as: String,
    pub(super) worker: String,
    pub(super) grabbed_for: NodeName,
    pub(super) holds_executor: bool,
    pub(super) progress: Progress,
}

impl Attempts {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn begin(&self, new: NewAttempt) -> Arc<Attempt> {
        let mut state = self.lock();
        state.next += 1;
        let number = state.next;
        let attempt = Arc::new(Attempt {
            number,
            key: new.key,
            function: new.function,
            controller: new.controller,
            project: new.project,
            offered_as: new.offered_as,
            worker: new.worker,
            grabbed_for: new.grabbed_for,
            holds_executor: new.holds_executor,
            progress: watch::Sender::new(new.progress),
            changed: Arc::clone(&self.changed),
        });
        state.live.insert(number, Arc::clone(&attempt));
        attempt
    }

    /// Waits until some attempt has changed. Changes before the call count too.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Finds the attempt of a job that is handed out once more: by unique and function, or by handle where the client
    /// gave no unique.
    pub(super) fn find(&self, key: &AttemptKey) -> Option<Arc<Attempt>> {
        self.lock().live.values().find(|attempt| attempt.key.is_same_job(key)).cloned()
    }

    /// Takes an attempt out, its outcome delivered or without an owner.
    pub(super) fn end(&self, attempt: &Attempt) {
        let mut state = self.lock();
        state.live.remove(&attempt.number);
    }

    /// Notes that an attempt's build has ended, so that an older picture that still shows it is not believed.
    pub(super) fn build_ended(&self, controller: &ControllerName, build: BuildId) {
        self.lock().ended.push((controller.clone(), build, Instant::now()));
    }

    pub(super) fn live(&self) -> Vec<Arc<Attempt>> {
        self.lock().live.values().cloned().collect()
    }

    /// Returns what a plan needs to know of every build that has not ended.
    pub(super) fn for_plan(&self) -> Vec<plan::Attempt> {
        let live = self.live();
        live.iter().filter_map(|attempt| attempt.for_plan()).collect()
    }

    /// Returns the builds that ended after a controller's picture was asked for, and forgets the others.
    pub(super) fn ended_after(&self, asked_at: &BTreeMap<ControllerName, Instant>) -> Vec<(ControllerName, BuildId)> {
        let mut state = self.lock();
        state.ended.retain(|(controller, _, at)| asked_at.get(controller).is_some_and(|asked_at| asked_at <= at));
        state.ended.iter().map(|(controller, build, _)| (controller.clone(), build.clone())).collect()
    }
}

impl Attempt {
    pub(super) fn update(&self, change: impl FnOnce(&mut Progress)) {
        self.progress.send_modify(change);
        self.changed.notify_one();
    }

    fn for_plan(&self) -> Option<plan::Attempt> {
        let progress = self.progress.borrow();
        if progress.outcome.is_some() {
            return None;
        }
        Some(plan::Attempt {
            controller: self.controller.clone(),
            project: self.project.clone(),
            connection: progress.connection.clone(),
            node: progress.node.clone(),
            holds_executor: self.holds_executor,
            build: progress.build.clone(),
            queue_item: progress.queue_item,
            marked: progress.marked,
        })
    }
}
