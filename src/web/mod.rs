//! The control channel: HTTP under `/api/v1` on a Unix socket, and over TCP only where a site asks for it.
//!
//! ```text
//! socket ─┐                access (pure)
//! TCP ────┴▶ door ─▶ api ─────▶ Daemon (the runtime)
//! ```
//!
//! Whoever can open the socket may read. Changes are for root, for the daemon's own user and for listed users, and
//! each is logged with who made it. Over TCP everything but `/health` and `/ready` needs the token. What comes in
//! through this door is small, bounded, and never believed to be friendly.

mod access;
mod answer;
mod api;
mod client;
mod daemon;
mod door;
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
    #[error("failed to listen on {listen}; name another `control.listen`")]
    Listen { listen: SocketAddr, source: std::io::Error },
}

/// A channel that serves until it is told to stop.
#[derive(Debug)]
pub struct Server {
    /// Where it listens over TCP.
    pub tcp: Option<SocketAddr>,
    tasks: TaskTracker,
}

impl Server {
    /// Opens the channel and serves in the background.
    ///
    /// # Errors
    ///
    /// [`Error::AnotherDaemon`] if the socket is answered; what a dead daemon left there is replaced.
    pub async fn start<D: Daemon>(config: Config, daemon: Arc<D>, stop: CancellationToken) -> Result<Self, Error> {
        let token = config.tcp.as_ref().map(|tcp| tcp.token.clone());
        let access = Access { own_uid: own_uid(), users: config.users, token };
        let app = api::router(daemon, access);
        let tcp = match &config.tcp {
            None => None,
            Some(tcp) => {
                let failed = |source| Error::Listen { listen: tcp.listen, source };
                let listener = tokio::net::TcpListener::bind(tcp.listen).await.map_err(failed)?;
                let address = listener.local_addr().map_err(failed)?;
                Some((address, listener))
            }
        };
        let (listener, guard) = socket::bind(&config.socket)?;
        info!(socket = %config.socket.display(), "control channel is open");
        let tasks = TaskTracker::new();
        let serve = |door: Door, app: axum::Router, stop: CancellationToken| async move {
            let app = app.into_make_service_with_connect_info::<access::Caller>();
            if let Err(error) = axum::serve(door, app).with_graceful_shutdown(stop.cancelled_owned()).await {
                error!(%error, "the control channel broke");
            }
        };
        let address = tcp.as_ref().map(|(address, _)| *address);
        if let Some((address, listener)) = tcp {
            info!(%address, "control channel is open over TCP");
            tasks.spawn(serve(Door::tcp(listener), app.clone(), stop.clone()));
        }
        let serving = serve(Door::unix(listener), app, stop);
        tasks.spawn(async move {
            serving.await;
            drop(guard);
        });
        tasks.close();
        Ok(Self { tcp: address, tasks })
    }

    /// Waits until it has stopped.
    pub async fn stopped(&self) {
        self.tasks.wait().await;
    }
}
