//! The reconciler's picture as people see it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::domain::{ControllerName, FunctionName, ProjectName};
use crate::gearman::admin::ServerKind;
use crate::jenkins::{Intervals, Part, Picture};

use super::attempts::Attempt;
use super::identity::{ConnectionId, Role};
use super::keeping::Reason;
use super::reconciler::{Link, Reconciler};
use super::refusals;
use super::server::Server;
use super::site::{Controller, View};
use super::status::{
    BuildState, BuildStatus, ControllerStatus, FunctionStatus, GearmanStatus, KeptName, Mode, NodeStatus,
    PictureStatus, Status, WorkerState, WorkerStatus,
};

impl Reconciler {
    pub(super) fn status(&self) -> Status {
        let view = self.view.borrow().clone();
        let (controllers, servers) = (self.site.controllers(), &self.site.servers);
        let undeclared = self.site.undeclared.seen();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            mode: self.mode,
            not_ready: self.not_ready(&view),
            gearman: self
                .site
                .servers
                .iter()
                .enumerate()
                .map(|(number, server)| self.gearman(number, server))
                .collect(),
            generation: self.site.policies.live().number(),
            controllers: controllers
                .iter()
                .map(|(name, controller)| self.controller(name, controller, &view))
                .collect(),
            functions: functions(&view),
            kept: self.kept(&view),
            builds: self.site.attempts.live().iter().map(|attempt| build(attempt)).collect(),
            jobs: self.site.attempts.outcomes(),
            policies: self.site.policies.list(),
            notes: servers
                .iter()
                .filter_map(|server| refusals::describe(server.address(), &server.refused.borrow()))
                .chain(view.table.notes.iter().map(ToString::to_string))
                .chain(undeclared.iter().map(ToString::to_string))
                .chain(self.site.offline_budget.refusals(&self.site.config()))
                .chain(self.site.undeclared.unpinned())
                .collect(),
            undeclared,
        }
    }

    /// Returns what is offered beside what the rules give.
    fn kept(&self, view: &View) -> Vec<KeptName> {
        if Arc::ptr_eq(&view.table, &view.ruled) {
            return Vec::new();
        }
        let mut kept: BTreeMap<&FunctionName, &ProjectName> = BTreeMap::new();
        for (row, _) in view.table.distinct_rows() {
            let others = row.iter().filter(|(name, _)| view.ruled.owner_of(name).is_none());
            kept.extend(others.map(|(name, offer)| (name, &offer.project)));
        }
        let now = (Instant::now(), SystemTime::now());
        let of = |(name, project): (&FunctionName, &ProjectName)| {
            let why = self.keeper.keeping.why(name, &view.ruled, self.site.servers.len());
            // What is about to go has no reason left.
            let (reason, until) = why.unwrap_or((Reason::Jobs(0), now.0));
            KeptName {
                function: name.clone(),
                project: project.clone(),
                jobs: if let Reason::Jobs(jobs) = reason { Some(jobs) } else { None },
                why: reason.to_string(),
                until: now.1 + until.saturating_duration_since(now.0),
            }
        };
        kept.into_iter().map(of).collect()
    }

    fn gearman(&self, number: usize, server: &Server) -> GearmanStatus {
        GearmanStatus {
            server: server.address().to_owned(),
            kind: server.kind().map(|kind| match kind {
                ServerKind::Gearmand { version } if version.is_empty() => "gearmand".to_owned(),
                ServerKind::Gearmand { version } => format!("gearmand {version}"),
                ServerKind::Geard => "geard".to_owned(),
                ServerKind::Other => "another kind".to_owned(),
            }),
            connections: self.links.len(),
            connected: self.links.values().filter(|link| link.connected.contains(&number)).count(),
        }
    }

    fn not_ready(&self, view: &View) -> Vec<String> {
        let mut reasons = self.site.policies.readiness();
        match self.mode {
            Mode::Serving => {}
            Mode::Paused => reasons.push("paused; `layshaft resume` goes on".to_owned()),
            Mode::Draining => reasons.push("draining".to_owned()),
        }
        if view.snapshot.controllers.is_empty() {
            reasons.push("no controller was reached yet".to_owned());
        }
        // Before there is anything to offer there is nothing to connect.
        let servers = &self.site.servers;
        let nothing_to_connect = self.links.is_empty() && servers.iter().any(|server| server.kind().is_some());
        if !nothing_to_connect && self.links.values().all(|link| link.connected.is_empty()) {
            let servers: Vec<&str> = servers.iter().map(Server::address).collect();
            let which = if let [_] = servers[..] { "the gearman server" } else { "any of the gearman servers" };
            reasons.push(format!("not connected to {which} {}", servers.join(", ")));
        }
        reasons
    }

    fn controller(&self, name: &ControllerName, controller: &Controller, view: &View) -> ControllerStatus {
        let picture = controller.watcher.picture().borrow().clone();
        let snapshot = view.snapshot.controllers.get(name);
        let cleared = self.cleared.borrow();
        let not_cleared = cleared.iter().find_map(|((of, _), cleared)| cleared.clone().err().filter(|_| of == name));
        drop(cleared);
        let trouble = picture.trouble.as_ref().map(|trouble| trouble.text.clone());
        let nodes = snapshot.into_iter().flat_map(|snapshot| snapshot.nodes.iter()).map(|node| NodeStatus {
            name: node.name.clone(),
            online: node.is_online(),
            offline_reason: node.offline_reason.clone(),
            executors: node.executor_count,
            busy: u32::try_from(node.executors.iter().filter(|executor| !executor.idle).count()).unwrap_or(u32::MAX),
            functions: view.table.row(name, &node.name).map_or(0, |row| row.len()),
            workers: self
                .links
                .iter()
                .filter(|(id, _)| id.controller == *name && id.role != Role::Manager && id.node() == Some(&node.name))
                .map(|(id, link)| worker(id, link, &controller.host))
                .collect(),
        });
        ControllerStatus {
            name: name.clone(),
            host: controller.host.clone(),
            serve: controller.serve,
            reachable: snapshot.is_some_and(|snapshot| snapshot.reachable),
            fresh: snapshot.is_some_and(|snapshot| snapshot.fresh),
            quieting_down: snapshot.is_some_and(|snapshot| snapshot.quieting_down),
            jenkins_version: picture.version.clone(),
            age_ms: picture.nodes.as_ref().map(|nodes| millis(nodes.asked_at.elapsed())),
            trouble: not_cleared.or(trouble),
            pictures: Part::ALL.map(|part| picture_of(part, &picture, &controller.intervals)).into(),
            projects: snapshot.map_or(0, |snapshot| snapshot.projects.len()),
            nodes: nodes.collect(),
        }
    }
}

fn picture_of(part: Part, picture: &Picture, intervals: &Intervals) -> PictureStatus {
    let trouble = picture.trouble_of(part);
    PictureStatus {
        part,
        age_ms: picture.read_at(part).map(|read_at| millis(read_at.elapsed())),
        bound_ms: millis(intervals.bound(part)),
        error: trouble.map(|trouble| trouble.text.clone()),
        failing_for_ms: trouble.map(|trouble| millis(trouble.since.elapsed())),
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn worker(id: &ConnectionId, link: &Link, host: &str) -> WorkerStatus {
    let state = match (&link.state.job, link.state.leased) {
        (Some(_), _) => WorkerState::Running,
        (None, true) => WorkerState::Grabbing,
        (None, false) => WorkerState::Waiting,
    };
    WorkerStatus {
        client_id: id.client_id(host),
        connected: !link.connected.is_empty(),
        state,
        function: link.state.job.clone(),
    }
}

fn functions(view: &View) -> BTreeMap<FunctionName, FunctionStatus> {
    let mut functions: BTreeMap<FunctionName, FunctionStatus> = BTreeMap::new();
    for (row, nodes) in view.table.distinct_rows() {
        for (name, offer) in row.iter() {
            let status = functions
                .entry(name.clone())
                .or_insert_with(|| FunctionStatus { project: offer.project.clone(), nodes: 0 });
            status.nodes += nodes;
        }
    }
    functions
}

fn build(attempt: &Attempt) -> BuildStatus {
    let progress = attempt.progress.borrow();
    let state = if progress.outcome.is_some() {
        BuildState::Undelivered
    } else if progress.build.is_some() {
        BuildState::Running
    } else if progress.queue_item.is_some() {
        BuildState::Queued
    } else {
        BuildState::Starting
    };
    BuildStatus {
        function: attempt.function.clone(),
        unique: String::from_utf8_lossy(&attempt.key.unique).into_owned(),
        controller: attempt.controller.clone(),
        project: attempt.project.clone(),
        node: progress.node.clone(),
        worker: progress.connection.is_some().then(|| attempt.worker.clone()),
        state,
        queue_item: progress.queue_item,
        number: progress.build.as_ref().map(|build| build.number),
    }
}
