//! The control channel: HTTP under `/api/v1` on a Unix socket, and over TCP only where a site asks for it.
//!
//! ```text
//! socket ─┐                access (pure)
//! TCP ────┴▶ door ─▶ api ─────▶ Daemon (the runtime)
//!                     └ metrics (its status as text)
//! ```
//!
//! Whoever can open the socket may read. Changes are for root, for the daemon's own user and for listed users, and
//! each is logged with who made it. Over TCP everything but `/health` and `/ready` needs the token. Monitoring can have
//! an address of its own, where only these two and `/metrics` are. What comes in through these doors is small, bounded,
//! and never believed to be friendly.

mod access;
mod answer;
mod api;
mod client;
mod daemon;
mod decisions;
mod door;
mod metrics;
mod socket;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info};

pub use answer::{BuildEntry, Changed, Readiness};
pub use client::{Client, ClientError};
pub use daemon::{Daemon, Failure};
pub use decisions::{DecisionEntry, DecisionQuery};
pub use socket::{default_socket, find_socket, own_uid};

use access::Access;
use door::Door;

/// Where the channel is, and who may change things.
#[derive(Clone, Debug)]
pub struct Config {
    pub socket: PathBuf,
    /// Besides root and the daemon's own user.
    pub users: BTreeSet<u32>,
    pub tcp: Option<Tcp>,
    pub monitoring: Option<Monitoring>,
}

/// Where monitoring asks, and nobody else.
#[derive(Clone, Debug)]
pub struct Monitoring {
    pub listen: SocketAddr,
    /// None: whoever can reach it may see metrics.
    pub token: Option<SecretString>,
}

#[derive(Clone, Debug)]
pub struct Tcp {
    pub listen: SocketAddr,
    pub token: SecretString,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("another daemon runs: something answers on {}; stop it, or give this one another `control.socket`", socket.display())]
    AnotherDaemon { socket: PathBuf },
    #[error("{} is in the way and is not a socket; remove it, or name another `control.socket`", socket.display())]
    InTheWay { socket: PathBuf },
    #[error("failed to make the control socket {}; name another `control.socket`", socket.display())]
    Socket { socket: PathBuf, source: std::io::Error },
    #[error("failed to listen on {listen}; name another `{section}.listen`")]
    Listen { listen: SocketAddr, section: &'static str, source: std::io::Error },
}

/// A channel that is open and answers nobody yet. Its socket keeps a second daemon away.
#[derive(Debug)]
pub struct Channel {
    socket: tokio::net::UnixListener,
    guard: socket::Guard,
    tcp: Option<tokio::net::TcpListener>,
    access: Access,
    monitoring: Option<(tokio::net::TcpListener, Access)>,
}

/// A channel that answers until it is told to stop.
#[derive(Debug)]
pub struct Server {
    tasks: TaskTracker,
}

impl Channel {
    /// Opens the channel.
    ///
    /// # Errors
    ///
    /// [`Error::AnotherDaemon`] if the socket is answered; what a dead daemon left there is replaced.
    pub async fn open(config: Config) -> Result<Self, Error> {
        let tcp = match &config.tcp {
            None => None,
            Some(Tcp { listen, .. }) => Some(bind(*listen, "control").await?),
        };
        let own = Access {
            own_uid: own_uid(),
            users: config.users,
            token: config.tcp.map(|tcp| tcp.token),
            metrics_are_open: false,
            section: "control",
        };
        let monitoring = match config.monitoring {
            None => None,
            Some(Monitoring { listen, token }) => {
                let metrics_are_open = token.is_none();
                let access = Access { token, metrics_are_open, section: "web", ..own.clone() };
                Some((bind(listen, "web").await?, access))
            }
        };
        let (socket, guard) = socket::bind(&config.socket)?;
        Ok(Self { socket, guard, tcp, access: own, monitoring })
    }

    /// Returns where it listens over TCP, if it does.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        self.tcp.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Returns where monitoring asks, if it does.
    pub fn monitoring_address(&self) -> Option<SocketAddr> {
        self.monitoring.as_ref().and_then(|(listener, _)| listener.local_addr().ok())
    }

    /// Begins to answer, until `stop` is cancelled.
    pub fn serve<D: Daemon>(self, daemon: Arc<D>, stop: CancellationToken) -> Server {
        let address = self.tcp_address();
        let monitoring_address = self.monitoring_address();
        let Self { socket, guard, tcp, access, monitoring } = self;
        let app = api::router(Arc::clone(&daemon), access);
        let tasks = TaskTracker::new();
        info!(socket = %guard.path().display(), tcp = address.map(tracing::field::display), monitoring = monitoring_address.map(tracing::field::display), "control channel is open");
        if let Some((listener, access)) = monitoring {
            tasks.spawn(serve(Door::tcp(listener), api::monitoring(daemon, access), stop.clone()));
        }
        if let Some(listener) = tcp {
            tasks.spawn(serve(Door::tcp(listener), app.clone(), stop.clone()));
        }
        tasks.spawn(async move {
            serve(Door::unix(socket), app, stop).await;
            drop(guard);
        });
        tasks.close();
        Server { tasks }
    }
}

impl Server {
    /// Waits until the last answer is given.
    pub async fn stopped(&self) {
        self.tasks.wait().await;
    }
}

async fn bind(listen: SocketAddr, section: &'static str) -> Result<tokio::net::TcpListener, Error> {
    let failed = |source| Error::Listen { listen, section, source };
    tokio::net::TcpListener::bind(listen).await.map_err(failed)
}

async fn serve(door: Door, app: axum::Router, stop: CancellationToken) {
    let app = app.into_make_service_with_connect_info::<access::Caller>();
    if let Err(error) = axum::serve(door, app).with_graceful_shutdown(stop.cancelled_owned()).await {
        error!(%error, "the control channel broke");
    }
}
