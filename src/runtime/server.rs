//! A Gearman server as the runtime knows it: how it is spoken to, and what it turned out to be.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::sync::watch;

use crate::gearman::Endpoint;
use crate::gearman::admin::{self, Admin, FunctionStatus, ServerKind, WorkerLine};
use crate::gearman::worker;

use super::refusals::Refused;

/// ECHO is answered by gearmand within milliseconds; a peer that is silent for so long is gone.
const HEARTBEAT: Duration = Duration::from_secs(20);

/// A server of the configuration.
#[derive(Debug)]
pub struct ServerParts {
    /// Address and manners of the connections; each gets a client id of its own. The pace is this server's alone, or
    /// one that does not answer would hold up the others.
    pub worker: worker::Config,
    /// What it is; none asks it.
    pub kind: Option<ServerKind>,
}

#[derive(Debug)]
pub(super) struct Server {
    worker: worker::Config,
    address: String,
    kind: OnceLock<ServerKind>,
    /// What is offered and it does not list.
    pub(super) refused: watch::Sender<Refused>,
}

impl Server {
    pub(super) fn new(parts: ServerParts) -> Self {
        let kind = parts.kind.map_or_else(OnceLock::new, OnceLock::from);
        let address = parts.worker.server.address.to_string();
        Self { worker: parts.worker, address, kind, refused: watch::Sender::default() }
    }

    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.worker.server
    }

    /// Returns the address as it is configured, which is part of an attempt's key.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Returns what it is, if that is known.
    pub(super) fn kind(&self) -> Option<&ServerKind> {
        self.kind.get()
    }

    pub(super) fn is(&self, kind: ServerKind) {
        // Whoever was first has asked the same server.
        let _known_already = self.kind.set(kind);
    }

    /// Asks it for all workers that are connected, whoever they belong to. The list can be long.
    pub(super) async fn list_workers(&self) -> Result<Vec<WorkerLine>, admin::Error> {
        Admin::connect(self.endpoint(), admin::Config::default()).await?.workers().await
    }

    /// Asks it how many jobs wait for each function where some do.
    pub(super) async fn waiting(&self) -> Result<impl Iterator<Item = (String, u64)>, admin::Error> {
        let waits = |line: FunctionStatus| {
            let jobs = line.queued.saturating_sub(line.running);
            (jobs > 0).then_some((line.function, jobs))
        };
        let status = Admin::connect(self.endpoint(), admin::Config::default()).await?.status().await?;
        Ok(status.into_iter().filter_map(waits))
    }

    /// Returns what a worker with that name needs to know.
    pub(super) fn worker(&self, client_id: &str) -> worker::Config {
        let answers_echo = matches!(self.kind(), Some(ServerKind::Gearmand { .. }));
        worker::Config {
            client_id: client_id.to_owned(),
            heartbeat: answers_echo.then(|| self.worker.heartbeat.unwrap_or(HEARTBEAT)),
            ..self.worker.clone()
        }
    }
}
