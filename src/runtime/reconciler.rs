//! The loop: event -> gather -> plan -> apply.
//!
//! Level-triggered: an event only says that it is time to look again. What is done follows from the pictures, the
//! table, the connections and the attempts as they are now, never from what an event claims happened.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::ask_again::AskAgain;
use super::computing::{Computed, Computing};
use super::executor::{self, Command, Happened};
use super::function_set::FunctionSet;
use super::identity::{ConnectionId, Role};
use super::keeper::{Keeper, Past};
use super::keeping::Waiting;
use super::management;
use super::meanings::Meanings;
use super::plan::{self, Step, World, plan};
use super::refusals::Offers;
use super::settling::Settling;
use super::site::{Site, View};
use super::snapshot::{Controller, Snapshot};
use super::status::{Mode, Status};
use super::table::FunctionTable;
use crate::domain::ControllerName;
use crate::jenkins::Part;

/// How often the loop looks although nothing happened: for back-offs that run out.
const TICK: Duration = Duration::from_secs(1);

/// How long connections may take to say goodbye: to settle what is under way, and then to close in order.
const CLOSING_PATIENCE: Duration = Duration::from_secs(5);

/// What the daemon is asked to do.
#[derive(Debug)]
pub(super) enum Request {
    Status(oneshot::Sender<Status>),
    /// Asks what connections that are up offer to a server.
    Offers(usize, oneshot::Sender<Offers>),
    SetMode(Mode),
    /// A server was asked with a number what waits there, and has answered.
    Waiting {
        asked: u64,
        server: usize,
        waiting: Waiting,
    },
    /// Controllers came or went.
    Reconfigured,
}

pub(super) struct Reconciler {
    pub(super) site: Arc<Site>,
    pub(super) view: watch::Sender<View>,
    pub(super) links: BTreeMap<ConnectionId, Link>,
    pub(super) mode: Mode,
    /// The controllers whose management functions nobody else serves, and where.
    pub(super) cleared: watch::Receiver<Clearances>,
    /// What the table was made of, or is being made of: the policies' generation, and the snapshot.
    computed_from: Option<(u64, Arc<Snapshot>)>,
    computing: Option<JoinHandle<Computed>>,
    ask_again: AskAgain,
    pub(super) keeper: Keeper,
    /// The connections without a lease that were woken, each with the server that woke it.
    woken: Vec<(ConnectionId, usize)>,
    events: mpsc::UnboundedSender<(ConnectionId, Happened)>,
}

/// A connection's task, as it is known here.
pub(super) struct Link {
    pub(super) state: plan::Connection,
    meanings: Meanings,
    /// How often it was told what to offer.
    pub(super) offers: u64,
    /// The latest of these of which it has told its servers.
    pub(super) said: u64,
    /// The client id that it was opened with.
    client_id: String,
    /// The servers that it was told to serve.
    serves: BTreeSet<usize>,
    /// Those that it is connected to.
    pub(super) connected: BTreeSet<usize>,
    /// Its lease was revoked, and a grab that was under way may still bring a job.
    settling: Settling,
    commands: mpsc::UnboundedSender<Command>,
}

/// For each controller that was looked up at a server: whether its management functions are free for us there.
pub(super) type Clearances = BTreeMap<(ControllerName, usize), Result<(), String>>;

pub(super) struct Inbox {
    pub(super) requests: mpsc::UnboundedReceiver<Request>,
    pub(super) pictures: Arc<tokio::sync::Notify>,
}

impl Reconciler {
    pub(super) fn new(
        site: Arc<Site>,
        view: watch::Sender<View>,
        cleared: watch::Receiver<Clearances>,
        past: Option<Past>,
    ) -> (Self, mpsc::UnboundedReceiver<(ConnectionId, Happened)>) {
        let (events, happened) = mpsc::unbounded_channel();
        let reconciler = Self {
            site,
            view,
            links: BTreeMap::new(),
            mode: Mode::Serving,
            cleared,
            computed_from: None,
            computing: None,
            ask_again: AskAgain::new(),
            keeper: Keeper::new(past),
            woken: Vec::new(),
            events,
        };
        (reconciler, happened)
    }

    /// Runs until the token is cancelled, or until a drain has ended.
    pub(super) async fn run(
        mut self,
        mut inbox: Inbox,
        mut happened: mpsc::UnboundedReceiver<(ConnectionId, Happened)>,
        stop: CancellationToken,
    ) {
        let mut generations = self.site.policies.subscribe();
        let mut cleared = self.cleared.clone();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let site = Arc::clone(&self.site);
        while !stop.is_cancelled() && !self.is_drained() {
            // Every arm is cancel-safe: channels, watches, a notification and a timer; the table's task is only polled.
            tokio::select! {
                Some((id, happened)) = happened.recv() => self.note(&id, happened),
                Some(request) = inbox.requests.recv() => self.answer(request),
                () = inbox.pictures.notified() => {}
                () = site.attempts.changed() => {}
                _ = generations.changed() => {}
                Ok(()) = cleared.changed() => {}
                computed = computed(&mut self.computing) => match computed {
                    Some(computed) => self.publish(computed),
                    None => self.ask_again.answered(false, Instant::now()),
                },
                _ = tick.tick() => {}
                () = stop.cancelled() => break,
            }
            while let Ok((id, happened)) = happened.try_recv() {
                self.note(&id, happened);
            }
            self.wake_others();
            self.reconcile();
        }
        for link in self.links.values() {
            let _closed_already = link.commands.send(Command::Close);
        }
        let open = self.links.len();
        self.links.clear();
        let all_closed = async {
            let mut left = open;
            while left > 0 {
                match happened.recv().await {
                    Some((_, Happened::Closed)) => left -= 1,
                    Some(_) => {}
                    None => break,
                }
            }
        };
        let _closed_or_not = tokio::time::timeout(CLOSING_PATIENCE, all_closed).await;
    }

    fn is_drained(&self) -> bool {
        self.mode == Mode::Draining
            && self
                .links
                .values()
                .all(|link| link.state.job.is_none() && !link.state.leased && !link.settling.is_under_way())
            && self.site.attempts.live().iter().all(|attempt| attempt.progress.borrow().outcome.is_some())
    }

    fn note(&mut self, id: &ConnectionId, happened: Happened) {
        let Some(link) = self.links.get_mut(id) else { return };
        match happened {
            Happened::Connected { server } => {
                link.connected.insert(server);
                self.site.registrations.send_replace(());
            }
            Happened::Disconnected { server, error } => {
                if link.connected.remove(&server) {
                    let server = self.site.servers[server].address();
                    warn!(connection = %id, server, %error, "connection to the gearman server lost; reconnecting");
                }
            }
            Happened::JobStarted(function) => link.state.job = Some(function),
            Happened::JobEnded { leased } => {
                link.state.job = None;
                if link.state.leased && !leased {
                    // Said once more, since a grant may have crossed the news: what was said last counts.
                    link.revoke();
                }
            }
            Happened::Settled(revocation) => link.settling.settle(revocation),
            Happened::Said(offer) => link.said = offer,
            Happened::Woken { server } => self.woken.push((id.clone(), server)),
            Happened::Closed => {
                self.links.remove(id);
            }
        }
    }

    /// Sleepers without a lease were woken: every leased one that shares a function with one of them looks for the job.
    fn wake_others(&mut self) {
        let woken = std::mem::take(&mut self.woken);
        let servers: BTreeSet<usize> = woken.iter().map(|(_, server)| *server).collect();
        for server in servers {
            for (id, link) in self.links.iter().filter(|(_, link)| link.state.leased && link.state.job.is_none()) {
                let is_meant = |(other, at): &(ConnectionId, usize)| {
                    let functions = self.links.get(other).map(|other| &other.state.offered);
                    *at == server && other != id && functions.is_some_and(|f| !f.is_disjoint(&link.state.offered))
                };
                if woken.iter().any(is_meant) {
                    let _closed_meanwhile = link.commands.send(Command::Wake(server));
                }
            }
        }
    }

    fn answer(&mut self, request: Request) {
        match request {
            Request::Status(reply) => {
                let _gone = reply.send(self.status());
            }
            Request::Offers(server, reply) => {
                let _gone = reply.send(self.offers(server));
            }
            Request::SetMode(mode) => {
                // A drain has an end of its own; only a resume calls it off.
                if self.mode != mode {
                    info!(?mode, "changed mode");
                    self.mode = mode;
                }
            }
            Request::Waiting { asked, server, waiting } => self.keeper.heard(asked, server, &waiting),
            Request::Reconfigured => info!("took over a new configuration"),
        }
    }

    fn offers(&self, server: usize) -> Offers {
        let of = |(id, link): (&ConnectionId, &Link)| {
            let functions = match id.role {
                Role::Manager => {
                    let host = self.site.controller(&id.controller)?.host.clone();
                    management::functions(&host).into_iter().collect()
                }
                Role::Executor { .. } | Role::Pipeline { .. } => link.state.offered.clone(),
            };
            link.connected.contains(&server).then(|| (link.client_id.clone(), functions))
        };
        self.links.iter().filter_map(of).collect()
    }

    fn reconcile(&mut self) {
        let snapshot = Arc::new(self.gather());
        self.view.send_modify(|view| view.snapshot = Arc::clone(&snapshot));
        self.look_after_kept_names();
        self.recompute_table(&snapshot);
        if self.computed_from.is_none() {
            return;
        }
        let table = Arc::clone(&self.view.borrow().table);
        let asked_at = snapshot.controllers.iter().map(|(name, c)| (name.clone(), c.nodes_asked_at)).collect();
        let connections = self.links.iter().map(|(id, link)| (id.clone(), link.state.clone())).collect();
        let steps = plan(&World {
            snapshot: &snapshot,
            table: &table,
            connections: &connections,
            attempts: &self.site.attempts.for_plan(),
            ended: &self.site.attempts.ended_after(&asked_at),
            withheld: &self.site.hand_backs.withheld(),
            grabbing: self.mode == Mode::Serving && self.was_every_controller_looked_at(),
            pipeline_slots: self.site.config().pipelines,
        });
        for step in steps {
            self.apply(step, &table);
        }
        self.keeper.told(&self.links);
        self.close_misnamed();
        self.serve_cleared();
    }

    /// Lets connections serve the servers at which their controllers were cleared.
    fn serve_cleared(&mut self) {
        let cleared = self.cleared.borrow();
        for (id, link) in &mut self.links {
            for (number, server) in self.site.servers.iter().enumerate() {
                let is_clear = matches!(cleared.get(&(id.controller.clone(), number)), Some(Ok(())));
                if is_clear && link.serves.insert(number) {
                    let config = Box::new(server.worker(&link.client_id));
                    let _closed_already = link.commands.send(Command::Serve(number, config));
                }
            }
        }
    }

    /// Closes connections whose controller has got another host; the next plan opens them under their new names.
    fn close_misnamed(&self) {
        for (id, link) in self.links.iter().filter(|(_, link)| link.state.job.is_none()) {
            let controller = self.site.controller(&id.controller);
            if controller.is_some_and(|controller| id.client_id(&controller.host) != link.client_id) {
                let _closed_already = link.commands.send(Command::Close);
            }
        }
    }

    /// Makes the snapshot: the pollers' pictures, and what we did since they were taken.
    fn gather(&self) -> Snapshot {
        let previous = Arc::clone(&self.view.borrow().snapshot);
        let mut controllers = BTreeMap::new();
        let cleared = self.cleared.borrow();
        for (name, controller) in self.site.controllers().iter() {
            let is_clear_at = |server| matches!(cleared.get(&(name.clone(), server)), Some(Ok(())));
            if !(0..self.site.servers.len()).any(is_clear_at) {
                continue;
            }
            let picture = controller.watcher.picture().borrow().clone();
            let intervals = &controller.intervals;
            let (Some(nodes), Some(projects)) = (&picture.nodes, &picture.projects) else {
                // Its poller is new, as after a change of the configuration: what the one before saw still holds.
                if let Some(known) = previous.controllers.get(name) {
                    let tags = controller.for_policies.tags.clone();
                    let age = known.nodes_asked_at.elapsed();
                    let reachable = known.reachable && age <= intervals.gone_after();
                    let fresh = known.fresh && intervals.stale_after(Part::Nodes).is_none_or(|after| age <= after);
                    let known = Controller { tags, serve: controller.serve, reachable, fresh, ..known.clone() };
                    controllers.insert(name.clone(), known);
                }
                continue;
            };
            let mut nodes_now = Arc::clone(&nodes.value);
            for marked in self.site.offline_marks.newer_than(name, nodes.asked_at) {
                let nodes = Arc::make_mut(&mut nodes_now);
                for node in nodes.iter_mut().filter(|node| node.name == marked) {
                    (node.offline, node.temporarily_offline) = (true, true);
                }
            }
            let stale = picture.stale(intervals, Instant::now());
            // By its nodes alone: the other lists are read too seldom to tell an outage from one failed answer.
            let reachable = nodes.asked_at.elapsed() <= intervals.gone_after();
            tell(name, previous.controllers.get(name), stale, reachable);
            controllers.insert(
                name.clone(),
                Controller {
                    tags: controller.for_policies.tags.clone(),
                    nodes: nodes_now,
                    nodes_asked_at: nodes.asked_at,
                    projects: Arc::clone(&projects.value),
                    quieting_down: picture.quieting_down.as_ref().is_some_and(|seen| *seen.value),
                    reachable,
                    // Whether it prepares to shut down must have been told once.
                    fresh: stale.is_none() && picture.quieting_down.is_some(),
                    serve: controller.serve,
                },
            );
        }
        Snapshot::after(&previous, controllers)
    }

    /// No job is taken before each controller was looked at once, or is known not to answer.
    fn was_every_controller_looked_at(&self) -> bool {
        self.site.controllers().iter().all(|(name, controller)| {
            let picture = controller.watcher.picture().borrow().clone();
            let was_seen = picture.nodes.is_some() && picture.projects.is_some();
            was_seen || picture.trouble.is_some() || self.view.borrow().snapshot.controllers.contains_key(name)
        })
    }

    fn recompute_table(&mut self, snapshot: &Arc<Snapshot>) {
        if self.computing.is_some() {
            return;
        }
        let generation = self.site.policies.live();
        let is_known = self
            .computed_from
            .as_ref()
            .is_some_and(|(number, before)| *number == generation.number() && before.gives_the_same_table(snapshot));
        // The newest of those that are alike: most of its lists will be the next one's too.
        self.computed_from = Some((generation.number(), Arc::clone(snapshot)));
        let makes_table = !is_known || self.ask_again.is_due(Instant::now());
        if !makes_table && !self.keeper.is_due() {
            return;
        }
        if makes_table {
            self.ask_again.asked(!is_known);
        }
        let view = self.view.borrow();
        let computing = Computing {
            rules: makes_table.then_some((generation, self.site.config())),
            snapshot: Arc::clone(snapshot),
            ruled: Arc::clone(&view.ruled),
            offered: Arc::clone(&view.table),
            servers: self.site.servers.len(),
            keeping: self.keeper.begin(snapshot, self.site.policies.config().keep_names),
        };
        drop(view);
        self.computing = Some(tokio::task::spawn_blocking(move || computing.run()));
    }

    fn publish(&mut self, computed: Computed) {
        if computed.generation.is_some() {
            self.ask_again.answered(computed.ruled.is_decided(), Instant::now());
        }
        let view = self.view.borrow().clone();
        for note in computed.ruled.notes.difference(&view.ruled.notes) {
            warn!("{note}");
        }
        let keeping = self.keeper.publish(&computed);
        let computed_from = self.computed_from.clone();
        let Computed { generation, ruled, offered, .. } = computed;
        if !Arc::ptr_eq(&view.table, &offered) && *view.table != *offered {
            self.refresh_meanings(&offered);
            self.view.send_modify(|view| view.table = offered);
        }
        self.view.send_modify(|view| {
            (view.ruled, view.keeping) = (ruled, keeping);
            if generation.is_some() {
                view.ruled_by = computed_from;
            }
        });
    }

    fn apply(&mut self, step: Step, table: &FunctionTable) {
        match step {
            Step::Open(id) => self.open(id),
            Step::Close(id) => {
                if let Some(link) = self.links.get(&id) {
                    let _closed_already = link.commands.send(Command::Close);
                }
            }
            Step::Offer(id, functions) => self.offer(&id, functions, table),
            Step::Grant(id) => self.lease(&id, true),
            Step::Revoke(id) => self.lease(&id, false),
        }
    }

    fn open(&mut self, id: ConnectionId) {
        let Some(controller) = self.site.controller(&id.controller) else { return };
        let client_id = id.client_id(&controller.host);
        let (commands, received) = mpsc::unbounded_channel();
        let (site, events) = (Arc::clone(&self.site), self.events.clone());
        if id.role == Role::Manager {
            tokio::spawn(management::run(site, id.clone(), received, events));
        } else {
            tokio::spawn(executor::run(site, id.clone(), client_id.clone(), received, events));
        }
        let (state, meanings) = (plan::Connection::default(), Meanings::default());
        let (serves, connected) = (BTreeSet::new(), BTreeSet::new());
        let settling = Settling::default();
        let link = Link { state, meanings, offers: 0, said: 0, client_id, serves, connected, settling, commands };
        self.links.insert(id, link);
    }

    fn offer(&mut self, id: &ConnectionId, functions: FunctionSet, table: &FunctionTable) {
        let Some(link) = self.links.get_mut(id) else { return };
        let row = id.node().and_then(|node| table.row(&id.controller, node));
        link.meanings = link.meanings.renewed(&functions, row.cloned().unwrap_or_default());
        link.state.offered = functions;
        self.site.registrations.send_replace(());
        link.offer();
    }

    /// Tells connections whose names stayed the same that some of them mean another project now.
    fn refresh_meanings(&mut self, table: &FunctionTable) {
        for (id, link) in &mut self.links {
            let Some(row) = id.node().and_then(|node| table.row(&id.controller, node)) else { continue };
            if !link.meanings.are_of(row) {
                link.meanings = link.meanings.renewed(&link.state.offered, Arc::clone(row));
                link.offer();
            }
        }
    }

    fn lease(&mut self, id: &ConnectionId, leased: bool) {
        let Some(link) = self.links.get_mut(id) else { return };
        if leased {
            link.state.leased = true;
            let _closed_meanwhile = link.commands.send(Command::Grant);
        } else {
            link.revoke();
        }
    }
}

impl Link {
    /// Tells it what it offers, and what that means.
    fn offer(&mut self) {
        self.offers += 1;
        let command = Command::Offer(self.state.offered.clone(), self.meanings.clone(), self.offers);
        let _closed_meanwhile = self.commands.send(command);
    }

    fn revoke(&mut self) {
        self.state.leased = false;
        let _closed_meanwhile = self.commands.send(Command::Revoke(self.settling.revoke()));
    }
}

/// Logs what changes with the age of what is known of a controller.
fn tell(controller: &ControllerName, before: Option<&Controller>, stale: Option<Part>, reachable: bool) {
    let (was_fresh, was_reachable) = before.map_or((true, true), |before| (before.fresh, before.reachable));
    match stale {
        Some(part) if was_fresh => {
            warn!(%controller, ?part, "what is known of the controller is too old; no job is taken for it until it answers");
        }
        None if !was_fresh => info!(%controller, "the controller is known well enough; jobs are taken for it"),
        _ => {}
    }
    if was_reachable && !reachable {
        warn!(%controller, "the controller counts as gone; its functions are withdrawn until it answers");
    }
}

/// Waits for the table that is being computed; none if that failed.
async fn computed(computing: &mut Option<JoinHandle<Computed>>) -> Option<Computed> {
    let Some(task) = computing else { std::future::pending().await };
    let result = task.await;
    *computing = None;
    match result {
        Ok(computed) => Some(computed),
        // The runtime shuts down.
        Err(error) if error.is_cancelled() => None,
        Err(error) => {
            error!(%error, "computing the function table failed; the one before stays, and it is tried again; this is a bug");
            None
        }
    }
}
