//! What the tasks of a running daemon share: the controllers, the journal, the policies, the attempts.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::warn;

use crate::domain::{ControllerName, NodeName, ProjectName};
use crate::jenkins;
use crate::journal::{AttemptKey, Journal};
use crate::policy::{self, Policies};

use super::attempts::Attempts;
use super::config::Config;
use super::keeping::Keeping;
use super::offline_budget::OfflineBudget;
use super::server::Server;
use super::snapshot::Snapshot;
use super::stopping::Stopping;
use super::table::FunctionTable;
use super::undeclared::Undeclared;

/// After so many hand-backs a job fails.
const MOST_HAND_BACKS: u32 = 3;

/// How long a project's functions stay withdrawn on a node after a job was handed back; doubled each time.
const FIRST_WITHHOLD: Duration = Duration::from_secs(15);
const LONGEST_WITHHOLD: Duration = Duration::from_secs(10 * 60);

#[derive(Debug)]
pub(super) struct Site {
    config: Mutex<Arc<Config>>,
    /// The Gearman servers. Everywhere their numbers are their places here.
    pub(super) servers: Vec<Server>,
    pub(super) journal: Journal,
    pub(super) policies: Arc<Policies>,
    pub(super) attempts: Attempts,
    controllers: Mutex<Arc<Controllers>>,
    pub(super) view: watch::Receiver<View>,
    pub(super) starts: StartGates,
    pub(super) offline_marks: OfflineMarks,
    pub(super) offline_budget: OfflineBudget,
    pub(super) hand_backs: HandBacks,
    /// Changes whenever a connection is told what to offer, or tells a server.
    pub(super) registrations: watch::Sender<()>,
    /// The number to ask servers with what waits there, while something depends on it.
    pub(super) questions: watch::Sender<Option<u64>>,
    pub(super) undeclared: Undeclared,
    pub(super) stopping: Stopping,
    /// The runtime stops: tasks of builds end where they are.
    pub(super) stop: CancellationToken,
}

pub(super) type Controllers = BTreeMap<ControllerName, Arc<Controller>>;

impl Site {
    pub(super) fn new(
        config: Config,
        servers: Vec<Server>,
        journal: Journal,
        policies: Arc<Policies>,
        controllers: Controllers,
        view: watch::Receiver<View>,
        stop: CancellationToken,
    ) -> Self {
        Self {
            config: Mutex::new(Arc::new(config)),
            servers,
            journal,
            policies,
            attempts: Attempts::default(),
            controllers: Mutex::new(Arc::new(controllers)),
            view,
            starts: StartGates::default(),
            offline_marks: OfflineMarks::default(),
            offline_budget: OfflineBudget::default(),
            hand_backs: HandBacks::default(),
            registrations: watch::Sender::new(()),
            questions: watch::Sender::new(None),
            undeclared: Undeclared::default(),
            stopping: Stopping::default(),
            stop,
        }
    }

    pub(super) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn controllers(&self) -> Arc<Controllers> {
        Arc::clone(&self.controllers.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A node is not offline because of us any more.
    pub(super) async fn forget_mark(&self, controller: &ControllerName, node: &NodeName) {
        self.offline_marks.remove(controller, node);
        if let Err(error) = self.journal.brought_back(controller, node).await {
            warn!(%controller, %node, %error, "failed to journal that a node is back");
        }
    }

    pub(super) fn controller(&self, name: &ControllerName) -> Option<Arc<Controller>> {
        self.controllers().get(name).cloned()
    }

    /// Takes over another configuration and other controllers. Builds that run go on with what they began with.
    pub(super) fn reconfigure(&self, config: Config, controllers: Controllers) {
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
        *self.controllers.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(controllers);
    }
}

/// A controller with the means to reach it.
#[derive(Debug)]
pub(super) struct Controller {
    pub(super) host: String,
    pub(super) serve: bool,
    pub(super) client: jenkins::Client,
    pub(super) watcher: jenkins::Watcher,
    pub(super) intervals: jenkins::Intervals,
    pub(super) for_policies: policy::Controller,
    /// Ends its poller with the last who knows it: a build that runs while the configuration changes is followed by
    /// what it began with.
    pub(super) _stop_poller: DropGuard,
}

/// What the reconciler last saw and made of it.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    pub(super) snapshot: Arc<Snapshot>,
    /// What is offered: what the rules give, and what is kept.
    pub(super) table: Arc<FunctionTable>,
    /// What the rules give.
    pub(super) ruled: Arc<FunctionTable>,
    /// The policies that gave it, and the fleet that they saw.
    pub(super) ruled_by: Option<(u64, Arc<Snapshot>)>,
    pub(super) keeping: Arc<Keeping>,
}

/// At most one un-started build of a project that Jenkins could merge or block.
#[derive(Debug, Default)]
pub(super) struct StartGates {
    gates: Mutex<BTreeMap<(ControllerName, ProjectName), Arc<Semaphore>>>,
}

impl StartGates {
    /// Waits for the gate of a project; dropping the permit opens it.
    pub(super) async fn enter(&self, controller: &ControllerName, project: &ProjectName) -> OwnedSemaphorePermit {
        self.gate(controller, project).acquire_owned().await.expect("a gate is never closed")
    }

    /// Takes the gate of a project for a build that has passed it already, in an earlier life of this daemon.
    pub(super) fn try_enter(&self, controller: &ControllerName, project: &ProjectName) -> Option<OwnedSemaphorePermit> {
        self.gate(controller, project).try_acquire_owned().ok()
    }

    fn gate(&self, controller: &ControllerName, project: &ProjectName) -> Arc<Semaphore> {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever waits or has passed holds a clone; projects come and go.
        gates.retain(|_, gate| Arc::strong_count(gate) > 1);
        let gate = gates.entry((controller.clone(), project.clone())).or_insert_with(|| Arc::new(Semaphore::new(1)));
        Arc::clone(gate)
    }
}

/// Nodes that we marked offline and that a picture may still show as online.
#[derive(Debug, Default)]
pub(super) struct OfflineMarks {
    marks: Mutex<BTreeMap<(ControllerName, NodeName), Instant>>,
}

impl OfflineMarks {
    pub(super) fn add(&self, controller: &ControllerName, node: &NodeName) {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.insert((controller.clone(), node.clone()), Instant::now());
    }

    pub(super) fn remove(&self, controller: &ControllerName, node: &NodeName) {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.remove(&(controller.clone(), node.clone()));
    }

    /// Returns whether a node was marked and no picture shows it yet.
    pub(super) fn holds(&self, controller: &ControllerName, node: Option<&NodeName>) -> bool {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        node.is_some_and(|node| marks.contains_key(&(controller.clone(), node.clone())))
    }

    /// Returns the nodes marked after a picture was asked for, and forgets the others.
    pub(super) fn newer_than(&self, controller: &ControllerName, asked_at: Instant) -> Vec<NodeName> {
        let mut marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        marks.retain(|(owner, _), at| owner != controller || *at >= asked_at);
        marks.keys().filter(|(owner, _)| owner == controller).map(|(_, node)| node.clone()).collect()
    }
}

/// Jobs that were handed back, and the places that they were handed back from.
#[derive(Debug, Default)]
pub(super) struct HandBacks {
    state: Mutex<HandBackState>,
}

#[derive(Debug, Default)]
struct HandBackState {
    jobs: Vec<HandedBack>,
    places: BTreeMap<(ControllerName, NodeName, ProjectName), Place>,
}

#[derive(Debug)]
struct HandedBack {
    key: AttemptKey,
    times: u32,
    last: Instant,
}

#[derive(Debug)]
struct Place {
    withhold: Duration,
    until: Instant,
}

/// So many jobs are remembered, and for so long: a job that was handed back comes again soon or never, and a client may
/// use its unique for another one.
const MOST_REMEMBERED: usize = 10_000;
const REMEMBERED: Duration = Duration::from_secs(60 * 60);

impl HandBacks {
    /// Counts a hand-back and withholds the project there for a growing while. Returns whether the job may be handed
    /// back once more.
    pub(super) fn add(
        &self,
        key: &AttemptKey,
        controller: &ControllerName,
        node: &NodeName,
        project: &ProjectName,
    ) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let place = state
            .places
            .entry((controller.clone(), node.clone(), project.clone()))
            .and_modify(|place| place.withhold = (place.withhold * 2).min(LONGEST_WITHHOLD))
            .or_insert(Place { withhold: FIRST_WITHHOLD, until: now });
        place.until = now + place.withhold;
        state.jobs.retain(|job| job.last.elapsed() < REMEMBERED);
        let position = state.jobs.iter().position(|job| job.key.is_same_job(key));
        let times = position.map_or(0, |position| state.jobs.remove(position).times) + 1;
        if state.jobs.len() == MOST_REMEMBERED {
            state.jobs.remove(0);
        }
        state.jobs.push(HandedBack { key: key.clone(), times, last: now });
        times <= MOST_HAND_BACKS
    }

    /// Forgets a job that ended otherwise.
    pub(super) fn forget(&self, key: &AttemptKey) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.jobs.retain(|job| !job.key.is_same_job(key));
    }

    /// Returns the places where a project's functions are withheld now.
    pub(super) fn withheld(&self) -> std::collections::BTreeSet<(ControllerName, NodeName, ProjectName)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        // A place keeps its step for a while after it opened again, so that the back-off grows.
        state.places.retain(|_, place| now < place.until + LONGEST_WITHHOLD);
        state.places.iter().filter(|(_, place)| now < place.until).map(|(place, _)| place.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn key(unique: &str) -> AttemptKey {
        AttemptKey { server: "s".into(), handle: b"H:1".to_vec(), unique: unique.into(), function: "build:lint".into() }
    }

    fn hand_back(hand_backs: &HandBacks, unique: &str) -> bool {
        let (controller, node, project) = (ControllerName::new("ci"), NodeName::agent("a"), ProjectName::new("lint"));
        hand_backs.add(&key(unique), &controller, &node, &project)
    }

    #[tokio::test(start_paused = true)]
    async fn a_job_is_handed_back_three_times_and_no_more() {
        let hand_backs = HandBacks::default();
        let may: Vec<bool> = (0..4).map(|_| hand_back(&hand_backs, "u")).collect();
        assert_eq!(may, [true, true, true, false]);
        assert!(hand_back(&hand_backs, "another"));
    }

    #[tokio::test(start_paused = true)]
    async fn hand_backs_are_forgotten_with_the_job_and_with_time() {
        let hand_backs = HandBacks::default();
        for _ in 0..3 {
            hand_back(&hand_backs, "u");
        }
        hand_backs.forget(&key("u"));
        for _ in 0..3 {
            assert!(hand_back(&hand_backs, "u"));
        }
        advance(REMEMBERED).await;
        assert!(hand_back(&hand_backs, "u"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_withheld_for_twice_as_long_each_time() {
        let hand_backs = HandBacks::default();
        let mut withhold = FIRST_WITHHOLD;
        for _ in 0..3 {
            hand_back(&hand_backs, "u");
            advance(withhold - Duration::from_secs(1)).await;
            assert_eq!(hand_backs.withheld().len(), 1);
            advance(Duration::from_secs(1)).await;
            assert!(hand_backs.withheld().is_empty());
            withhold *= 2;
        }
    }
}
