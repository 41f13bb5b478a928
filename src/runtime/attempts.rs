//! The attempts that are under way, wherever their jobs' connections are.
//!
//! An attempt outlives its connection: when that is lost the build goes on, and the attempt waits for the server to
//! hand the same job out again. It never waits for ever, and a job is never taken for an older one unless it certainly
//! is the same. One handle owns the state; the lock is never held across an await.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::classic;
use crate::domain::{BuildId, ControllerName, FunctionName, NodeName, ProjectName, QueueItemId};
use crate::gearman::worker::Report;
use crate::journal::{AttemptId, AttemptKey};
use crate::policy::Digest;

use super::identity::ConnectionId;
use super::plan;

/// How long an outcome that could not be delivered waits for its job to be handed out again. Long enough for a server
/// that comes back, short enough that a client which uses a unique again tomorrow gets a build of its own.
pub(super) const KEPT_UNDELIVERED: Duration = Duration::from_secs(60 * 60);

/// So many such outcomes are kept; beyond it the oldest go. Each is a few hundred bytes.
const MOST_UNDELIVERED: usize = 1000;

/// For so long after its connection was lost, a job without a unique is known by handle and payload. Servers that
/// restart count handles from one again, so later it may be another job.
const HANDLE_HOLDS: Duration = Duration::from_secs(60);

/// The attempts of this daemon. Clones share them.
#[derive(Clone, Debug, Default)]
pub(super) struct Attempts {
    state: Arc<Mutex<State>>,
    /// Rung at every change, for the reconciler.
    changed: Arc<Notify>,
    outcomes: Arc<Outcomes>,
}

/// How attempts ended since the daemon runs, in the words of [`Outcome`].
#[derive(Debug, Default)]
struct Outcomes([AtomicU64; Outcome::WORDS.len()]);

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
    /// What the client sent; none if it was taken up from an earlier life of this daemon.
    payload: Option<Digest>,
    pub(super) progress: watch::Sender<Progress>,
    changed: Arc<Notify>,
    outcomes: Arc<Outcomes>,
}

/// How far an attempt is.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    pub(super) journal: Option<AttemptId>,
    /// The connection that holds the job; none while the server has not handed it out again.
    pub(super) connection: Option<ConnectionId>,
    /// Since when there is no connection.
    pub(super) orphaned_at: Option<Instant>,
    /// Its job cannot come back, or could not be told from another: nobody will hear of its outcome.
    pub(super) disowned: bool,
    /// A pipeline holds none by itself, nor does a matrix.
    pub(super) holds_executor: bool,
    /// The node that is promised, then the one on which the build runs.
    pub(super) node: Option<NodeName>,
    pub(super) marked: bool,
    pub(super) queue_item: Option<QueueItemId>,
    /// Somebody else waits for that item too, or may: it is not ours to cancel.
    pub(super) shares_item: bool,
    pub(super) build: Option<BuildId>,
    pub(super) started: Option<Started>,
    pub(super) outcome: Option<Outcome>,
    /// Since when there is an outcome.
    pub(super) over_at: Option<Instant>,
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
    const WORDS: [&str; 4] = ["complete", "fail", "exception", "handed_back"];

    /// Returns its place among the words.
    fn place(&self) -> usize {
        match self {
            Self::Complete(_) => 0,
            Self::Fail => 1,
            Self::Exception(_) => 2,
            Self::HandBack => 3,
        }
    }

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
    pub(super) payload: Option<Digest>,
    pub(super) progress: Progress,
}

/// What a job that was handed out turned out to be.
#[derive(Debug)]
pub(super) enum TakenUp {
    New(Arc<Attempt>),
    /// Its build is under way, or over and not delivered.
    Known(Arc<Attempt>),
    /// No attempt, and none to begin.
    Nothing,
}

impl Attempts {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn begin(&self, new: NewAttempt) -> Arc<Attempt> {
        self.lock().begin(new, &self.changed, &self.outcomes)
    }

    /// Finds the attempt of a job that was handed out, or begins `new`; in one step, since the server may give one job
    /// to two connections at once.
    pub(super) fn take_up(&self, key: &AttemptKey, payload: &Digest, new: Option<NewAttempt>) -> TakenUp {
        let mut state = self.lock();
        let same = |attempt: &&Arc<Attempt>| attempt.key.is_same_job(key) && !attempt.progress.borrow().disowned;
        let known: Vec<Arc<Attempt>> = state.live.values().filter(same).cloned().collect();
        if let Some(certain) = known.iter().find(|attempt| attempt.is_certainly(key, payload)) {
            return TakenUp::Known(Arc::clone(certain));
        }
        for stranger in known {
            stranger.progress.send_modify(|progress| progress.disowned = true);
        }
        match new {
            Some(new) => TakenUp::New(state.begin(new, &self.changed, &self.outcomes)),
            None => TakenUp::Nothing,
        }
    }

    /// Lets an attempt know that the journal counts it as closed, since another one has taken its place.
    pub(super) fn replaced(&self, journal: AttemptId) {
        for attempt in self.live() {
            attempt.progress.send_if_modified(|progress| {
                let is_it = progress.journal == Some(journal);
                if is_it {
                    (progress.journal, progress.disowned) = (None, true);
                }
                is_it
            });
        }
    }

    /// Takes out the attempts whose outcomes have waited for too long, or that are too many.
    pub(super) fn take_undeliverable(&self) -> Vec<Arc<Attempt>> {
        let mut state = self.lock();
        let mut waiting: Vec<(Instant, u64)> = state
            .live
            .iter()
            .filter_map(|(number, attempt)| {
                let progress = attempt.progress.borrow();
                progress.over_at.filter(|_| progress.connection.is_none()).map(|over_at| (over_at, *number))
            })
            .collect();
        waiting.sort_unstable();
        let too_many = waiting.len().saturating_sub(MOST_UNDELIVERED);
        let is_due = |index: usize, over_at: Instant| index < too_many || over_at.elapsed() >= KEPT_UNDELIVERED;
        let due = waiting.iter().enumerate().filter(|(index, (over_at, _))| is_due(*index, *over_at));
        due.filter_map(|(_, (_, number))| state.live.remove(number)).collect()
    }

    /// Waits until some attempt has changed. Changes before the call count too.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Takes an attempt out, its outcome delivered or without an owner; false if it was out already.
    pub(super) fn end(&self, attempt: &Attempt) -> bool {
        self.lock().live.remove(&attempt.number).is_some()
    }

    /// Notes that an attempt's build has ended, so that an older picture that still shows it is not believed.
    pub(super) fn build_ended(&self, controller: &ControllerName, build: BuildId) {
        self.lock().ended.push((controller.clone(), build, Instant::now()));
    }

    pub(super) fn live(&self) -> Vec<Arc<Attempt>> {
        self.lock().live.values().cloned().collect()
    }

    /// Returns how many attempts ended how since the daemon runs.
    pub(super) fn outcomes(&self) -> BTreeMap<String, u64> {
        let count = |(word, count): (&str, &AtomicU64)| (word.to_owned(), count.load(Relaxed));
        Outcome::WORDS.into_iter().zip(&self.outcomes.0).map(count).collect()
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

impl State {
    fn begin(&mut self, new: NewAttempt, changed: &Arc<Notify>, outcomes: &Arc<Outcomes>) -> Arc<Attempt> {
        self.next += 1;
        let number = self.next;
        let mut progress = new.progress;
        let now = Instant::now();
        progress.orphaned_at = progress.connection.is_none().then_some(now);
        progress.over_at = progress.outcome.is_some().then_some(now);
        let attempt = Arc::new(Attempt {
            number,
            key: new.key,
            function: new.function,
            controller: new.controller,
            project: new.project,
            offered_as: new.offered_as,
            worker: new.worker,
            grabbed_for: new.grabbed_for,
            payload: new.payload,
            progress: watch::Sender::new(progress),
            changed: Arc::clone(changed),
            outcomes: Arc::clone(outcomes),
        });
        self.live.insert(number, Arc::clone(&attempt));
        attempt
    }
}

impl Attempt {
    pub(super) fn update(&self, change: impl FnOnce(&mut Progress)) {
        self.progress.send_modify(change);
        self.changed.notify_one();
    }

    /// Gives it the connection that holds its job, unless it has one.
    pub(super) fn attach(&self, connection: &ConnectionId) {
        self.update(|progress| {
            progress.connection.get_or_insert_with(|| connection.clone());
            progress.orphaned_at = None;
        });
    }

    /// Takes it from a connection that no longer holds its job. The build goes on.
    pub(super) fn detach(&self, connection: &ConnectionId) {
        self.update(|progress| {
            if progress.connection.as_ref() == Some(connection) {
                progress.connection = None;
                progress.orphaned_at = Some(Instant::now());
            }
        });
    }

    /// Sets how it ended, unless it has ended. Returns whether nobody holds its job now.
    pub(super) fn conclude(&self, outcome: Outcome) -> bool {
        let mut is_orphan = false;
        self.update(|progress| {
            if progress.outcome.is_none() {
                self.outcomes.0[outcome.place()].fetch_add(1, Relaxed);
                (progress.outcome, progress.over_at) = (Some(outcome), Some(Instant::now()));
            }
            is_orphan = progress.connection.is_none();
        });
        is_orphan
    }

    /// Whether a job with an equal key is this one beyond doubt: a unique says so, a handle only while the connection
    /// lives or shortly after, and if the payload is the same.
    fn is_certainly(&self, key: &AttemptKey, payload: &Digest) -> bool {
        let handle_holds =
            || self.progress.borrow().orphaned_at.is_none_or(|orphaned_at| orphaned_at.elapsed() < HANDLE_HOLDS);
        !key.unique.is_empty() || (self.payload.as_ref() == Some(payload) && handle_holds())
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
            holds_executor: progress.holds_executor,
            build: progress.build.clone(),
            queue_item: progress.queue_item,
            marked: progress.marked,
        })
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn key(handle: &str, unique: &str) -> AttemptKey {
        AttemptKey {
            server: "s".to_owned(),
            handle: handle.into(),
            unique: unique.into(),
            function: "build:lint".to_owned(),
        }
    }

    fn connection() -> ConnectionId {
        ConnectionId::executor(&ControllerName::new("ci"), &NodeName::agent("a"), 0)
    }

    fn new(key: &AttemptKey, payload: &str) -> NewAttempt {
        NewAttempt {
            key: key.clone(),
            function: FunctionName::new("build:lint").unwrap(),
            controller: ControllerName::new("ci"),
            project: ProjectName::new("lint"),
            offered_as: "lint".to_owned(),
            worker: "a_exec-0".to_owned(),
            grabbed_for: NodeName::agent("a"),
            payload: Some(Digest::of(payload.as_bytes())),
            progress: Progress { connection: Some(connection()), ..Progress::default() },
        }
    }

    fn take(attempts: &Attempts, key: &AttemptKey, payload: &str) -> (Arc<Attempt>, bool) {
        match attempts.take_up(key, &Digest::of(payload.as_bytes()), Some(new(key, payload))) {
            TakenUp::New(attempt) => (attempt, true),
            TakenUp::Known(attempt) => (attempt, false),
            TakenUp::Nothing => panic!("nothing was taken up"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_unique_means_the_same_job_whatever_the_handle_and_the_payload() {
        let attempts = Attempts::default();
        let (first, _) = take(&attempts, &key("H:1", "u"), "{}");
        first.detach(&connection());
        advance(HANDLE_HOLDS * 10).await;
        let (second, is_new) = take(&attempts, &key("H:9", "u"), "{a:b}");
        assert!(!is_new && Arc::ptr_eq(&first, &second));
    }

    #[tokio::test(start_paused = true)]
    async fn a_handle_alone_means_the_same_job_only_with_the_same_payload_and_for_a_minute() {
        for (payload, pause, is_same) in [
            ("{}", Duration::ZERO, true),
            ("{}", HANDLE_HOLDS - Duration::from_secs(1), true),
            ("{}", HANDLE_HOLDS, false),
            ("{a:b}", Duration::ZERO, false),
        ] {
            let attempts = Attempts::default();
            let (first, _) = take(&attempts, &key("H:1", ""), "{}");
            first.detach(&connection());
            advance(pause).await;
            let (_, is_new) = take(&attempts, &key("H:1", ""), payload);
            assert_eq!(is_new, !is_same, "{payload} after {pause:?}");
            assert_eq!(first.progress.borrow().disowned, !is_same, "{payload} after {pause:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn outcomes_nobody_asks_for_are_given_up_after_a_while_and_running_builds_never() {
        let attempts = Attempts::default();
        let (over, _) = take(&attempts, &key("H:1", "u-1"), "{}");
        let (running, _) = take(&attempts, &key("H:2", "u-2"), "{}");
        let (held, _) = take(&attempts, &key("H:3", "u-3"), "{}");
        over.detach(&connection());
        running.detach(&connection());
        assert!(over.conclude(Outcome::Fail));
        assert!(!held.conclude(Outcome::Fail));
        advance(KEPT_UNDELIVERED - Duration::from_secs(1)).await;
        assert!(attempts.take_undeliverable().is_empty());
        advance(Duration::from_secs(1)).await;
        let given_up = attempts.take_undeliverable();
        assert!(given_up.len() == 1 && Arc::ptr_eq(&given_up[0], &over));
        assert_eq!(attempts.live().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_outcomes_push_out_the_oldest() {
        let attempts = Attempts::default();
        for number in 0..MOST_UNDELIVERED + 2 {
            let (attempt, _) = take(&attempts, &key("H:1", &number.to_string()), "{}");
            attempt.detach(&connection());
            attempt.conclude(Outcome::Fail);
        }
        let given_up = attempts.take_undeliverable();
        let uniques: Vec<&[u8]> = given_up.iter().map(|attempt| &attempt.key.unique[..]).collect();
        assert_eq!(uniques, [b"0", b"1"]);
    }

    #[test]
    fn the_first_outcome_counts() {
        let attempts = Attempts::default();
        let (attempt, _) = take(&attempts, &key("H:1", "u"), "{}");
        attempt.conclude(Outcome::HandBack);
        attempt.conclude(Outcome::Fail);
        assert_eq!(attempt.progress.borrow().outcome, Some(Outcome::HandBack));
        let counted: Vec<_> = attempts.outcomes().into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(counted, [("handed_back".to_owned(), 1)]);
    }
}
