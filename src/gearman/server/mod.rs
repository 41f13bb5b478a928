//! A Gearman server to embed: for the demo, for tests, and for sites too small to run gearmand.
//!
//! It keeps gearmand's semantics and holds everything in memory: what is queued is gone when it stops. The rules are in
//! `state` and beside it, pure; `core`, `outbox` and `connection` carry them over TCP. Not done: jobs for a later time
//! (refused), the time limits of CAN_DO_TIMEOUT (it registers), persistence.

mod connection;
mod core;
mod function;
mod job;
mod outbox;
mod queue;
mod state;
mod submit;
mod text;
mod work;

#[cfg(test)]
mod conversations;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
#[cfg(any(test, fuzzing))]
mod invariants;
#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use self::core::Core;
use self::state::Settings;
use super::codec;
use super::dial::KeepAlive;
use super::stream::Stream;
use super::tls::{Acceptor, HandshakeError};

/// How long a peer may take to agree on TLS.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub struct Config {
    /// The middle of every handle, `H:<host>:<number>`; by default the machine's name.
    pub host: String,
    /// After how many losses of its worker a job fails; `None`: it is handed out again without limit, as by gearmand.
    pub job_retries: Option<u32>,
    /// The longest packet that is taken.
    pub max_body: usize,
    /// A peer that leaves more than this unread is dropped.
    pub max_output: usize,
    pub max_connections: usize,
    /// Jobs that wait or run, and what their payloads may hold together; beyond it submissions are refused.
    pub max_jobs: usize,
    pub max_job_bytes: usize,
    /// Functions in use at one time.
    pub max_functions: usize,
    /// None: everybody is spoken to without TLS.
    pub tls: Option<Acceptor>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            host: machine_name(),
            job_retries: None,
            max_body: codec::DEFAULT_MAX_BODY,
            max_output: 128 << 20,
            max_connections: 10_000,
            max_jobs: 1_000_000,
            max_job_bytes: 1 << 30,
            max_functions: 100_000,
            tls: None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to listen on {address}")]
    Listen { address: String, source: io::Error },
}

/// A server that listens and serves nobody yet.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    core: Arc<Core>,
    tls: Option<Acceptor>,
}

impl Server {
    /// Listens on `host:port`; port 0 picks a free one.
    pub async fn bind(address: &str, config: Config) -> Result<Self, Error> {
        let failed = |source| Error::Listen { address: address.to_owned(), source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let settings = Settings {
            host: fit_for_handles(&config.host),
            version: concat!("layshaft/", env!("CARGO_PKG_VERSION")).to_owned(),
            process: std::process::id(),
            job_retries: config.job_retries,
            max_jobs: config.max_jobs,
            max_job_bytes: config.max_job_bytes,
            max_functions: config.max_functions,
        };
        let core = Core::new(settings, config.max_body, config.max_output, config.max_connections);
        Ok(Self { listener, address: bound, core: Arc::new(core), tls: config.tls })
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is told to stop; returns when every connection is closed.
    pub async fn run(self, stop: CancellationToken) {
        let connections = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(serve(Arc::clone(&self.core), self.tls.clone(), stream, peer, stop.clone()));
                }
                Err(error) => {
                    // Out of file descriptors, most likely: others have to leave first.
                    warn!(%error, "failed to accept a gearman connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
        drop(self.listener);
        connections.close();
        connections.wait().await;
    }
}

async fn serve(core: Arc<Core>, tls: Option<Acceptor>, stream: TcpStream, peer: SocketAddr, stop: CancellationToken) {
    if let Err(error) = KeepAlive::default().tune(&stream) {
        debug!(%peer, %error, "failed to set up a gearman connection");
        return;
    }
    // Before TLS is agreed on: whoever drags that out counts too.
    let Some((id, outbox)) = core.connect(peer.ip().to_string()) else {
        warn!(%peer, "too many gearman connections, closing this one");
        return;
    };
    match open(tls, stream, &stop).await {
        Ok(Some(stream)) => {
            if let Err(error) = connection::serve(&core, id, stream, &outbox, &stop).await {
                debug!(%peer, %error, "closed a gearman connection");
            }
        }
        Ok(None) => {}
        Err(error) => info!(%peer, %error, "a peer failed to agree on TLS"),
    }
    core.disconnect(id);
}

/// Agrees on TLS, where it is asked for; none if the server stops meanwhile.
async fn open(
    tls: Option<Acceptor>,
    stream: TcpStream,
    stop: &CancellationToken,
) -> Result<Option<Stream>, HandshakeError> {
    let Some(tls) = tls else { return Ok(Some(Stream::plain(stream))) };
    tokio::select! {
        () = stop.cancelled() => Ok(None),
        accepted = tokio::time::timeout(HANDSHAKE_LIMIT, tls.accept(stream)) => match accepted {
            Ok(accepted) => accepted.map(Some),
            Err(_) => Err(HandshakeError::silent(HANDSHAKE_LIMIT)),
        },
    }
}

fn machine_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "localhost".to_owned(),
        name => name.to_owned(),
    }
}

/// A handle has at most 63 bytes, of which a number may take twenty, and is one word.
fn fit_for_handles(host: &str) -> String {
    let fitting: String = host.chars().filter(|&c| c.is_ascii_graphic() && c != ':').take(40).collect();
    if fitting.is_empty() { "localhost".to_owned() } else { fitting }
}
