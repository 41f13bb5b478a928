//! A Gearman server to embed: for the demo, for tests, and for sites too small to run gearmand.
//!
//! It keeps gearmand's semantics; docs/gearman-server.md lists what differs, and why. The rules are in `state` and beside
//! it, pure: a request in, packets out. `core` holds them behind a lock and tells them the time, `connection` carries
//! them over TCP, and what is to outlive the server goes through `store`, which SQLite or anything else may stand behind.

mod connection;
mod core;
mod due;
mod function;
mod idset;
mod job;
mod keeping;
mod lookup;
mod peer;
mod queue;
mod request;
mod sqlite;
mod state;
pub mod store;
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
#[cfg(any(test, fuzzing))]
mod trial;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, info, warn};

use self::core::Core;
use self::peer::OutputLimits;
pub use self::sqlite::{OpenError, SqliteStore};
use self::state::Settings;
use self::store::{Failure, Store, Writer};
use super::codec;
use super::dial::KeepAlive;
use super::stream::Stream;
use super::tls::{Acceptor, HandshakeError};

/// How long a peer may take to agree on TLS.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub struct Config {
    /// Handles are `<prefix>:<number>`; by default `H:` and the machine's name.
    pub handle_prefix: String,
    /// What `verbose` answers.
    pub verbosity: String,
    /// After how many losses of its worker a job fails; `None`: it is handed out again without limit, as by gearmand.
    pub job_retries: Option<u32>,
    /// The functions of a worker take turns; else the oldest job of all of them comes first.
    pub round_robin: bool,
    /// How many sleeping workers a job wakes; `None` is all.
    pub wake_at_most: Option<usize>,
    /// Clients are sent exceptions without asking for them.
    pub exceptions: bool,
    /// Keeps background jobs in this file, so that they outlive the server.
    pub persist: Option<PathBuf>,
    /// Connections that wait to be accepted.
    pub backlog: u32,
    /// The longest packet that is taken.
    pub max_body: usize,
    /// What packets that have come in part may hold together; beyond it the oldest of them is given up.
    pub max_input: usize,
    /// A peer that leaves more than this unread is dropped.
    pub max_output: usize,
    /// What all peers may leave unread together; beyond it the one that leaves most is dropped.
    pub max_total_output: usize,
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
            handle_prefix: format!("H:{}", machine_name()),
            verbosity: "INFO".to_owned(),
            job_retries: None,
            round_robin: false,
            wake_at_most: None,
            exceptions: false,
            persist: None,
            backlog: 1024,
            max_body: codec::DEFAULT_MAX_BODY,
            max_input: 256 << 20,
            max_output: 128 << 20,
            max_total_output: 512 << 20,
            max_connections: 65_536,
            max_jobs: 10_000_000,
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
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("failed to read the jobs that were kept")]
    Load(#[source] Failure),
    #[error("failed to reserve numbers for jobs in the store")]
    Reserve(#[source] Failure),
    #[error("failed to start the thread that writes the store")]
    Thread(#[source] io::Error),
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
    ///
    /// # Errors
    ///
    /// The address cannot be had, or the file of background jobs cannot be used.
    pub async fn bind(address: &str, config: Config) -> Result<Self, Error> {
        let listener = listen(address, config.backlog)
            .await
            .map_err(|source| Error::Listen { address: address.to_owned(), source })?;
        let store = match &config.persist {
            Some(path) => Some(Box::new(SqliteStore::open(path)?) as Box<dyn Store>),
            None => None,
        };
        Self::start(address, listener, config, store)
    }

    /// Listens like [`Server::bind`], and keeps background jobs in a store of the caller's.
    pub async fn bind_with_store(address: &str, config: Config, store: Box<dyn Store>) -> Result<Self, Error> {
        let listener = listen(address, config.backlog)
            .await
            .map_err(|source| Error::Listen { address: address.to_owned(), source })?;
        Self::start(address, listener, config, Some(store))
    }

    fn start(
        address: &str,
        listener: TcpListener,
        config: Config,
        store: Option<Box<dyn Store>>,
    ) -> Result<Self, Error> {
        let bound = listener.local_addr().map_err(|source| Error::Listen { address: address.to_owned(), source })?;
        let settings = Settings {
            handle_prefix: fit_for_handles(&config.handle_prefix),
            version: concat!("layshaft/", env!("CARGO_PKG_VERSION")).to_owned(),
            process: std::process::id(),
            verbosity: config.verbosity,
            job_retries: config.job_retries,
            round_robin: config.round_robin,
            wake_at_most: config.wake_at_most.unwrap_or(usize::MAX),
            exceptions: config.exceptions,
            keeps_jobs: store.is_some(),
            max_jobs: config.max_jobs,
            max_job_bytes: config.max_job_bytes,
            max_functions: config.max_functions,
            output: OutputLimits { of_one: config.max_output, of_all: config.max_total_output },
        };
        let core = Arc::new(Core::new(settings, config.max_body, config.max_input, config.max_connections));
        if let Some(mut store) = store {
            let (jobs, last_number) = store.load().map_err(Error::Load)?;
            info!(jobs = jobs.len(), "took up the background jobs that were kept");
            // Also jobs that are not kept have numbers, and those must be nobody else's after a crash.
            let reservation = core.restore(jobs, last_number);
            store.apply(&reservation).map_err(Error::Reserve)?;
            let settling = Arc::downgrade(&core);
            let settle = move |settled: &[store::Settled]| {
                if let Some(core) = settling.upgrade() {
                    core.settle(settled);
                }
            };
            core.set_writer(Writer::start(store, settle).map_err(Error::Thread)?);
        }
        Ok(Self { listener, address: bound, core, tls: config.tls })
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until it is told to stop; returns when every connection is closed and everything is stored.
    pub async fn run(self, stop: CancellationToken) {
        let connections = TaskTracker::new();
        let ticking = Arc::clone(&self.core);
        let clock = tokio::spawn(async move { ticking.keep_time().await });
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
        self.core.close_all();
        connections.wait().await;
        clock.abort();
        if let Some(writer) = self.core.take_writer() {
            let _joined = tokio::task::spawn_blocking(move || writer.finish()).await;
        }
    }
}

async fn listen(address: &str, backlog: u32) -> io::Result<TcpListener> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in tokio::net::lookup_host(address).await? {
        let listening = || {
            let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            // A restart must not wait for connections of before to be forgotten.
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(backlog)
        };
        match listening() {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

async fn serve(core: Arc<Core>, tls: Option<Acceptor>, stream: TcpStream, peer: SocketAddr, stop: CancellationToken) {
    if let Err(error) = KeepAlive::default().tune(&stream) {
        debug!(%peer, %error, "failed to set up a gearman connection");
        return;
    }
    // Before TLS is agreed on: whoever drags that out counts too.
    let Some(id) = core.connect(peer.ip()) else {
        warn!(%peer, "too many gearman connections, closing this one");
        return;
    };
    let opened = match tls {
        // Boxed: what a handshake needs is not kept for as long as the connection lasts.
        Some(tls) => Box::pin(open(tls, stream, stop)).await,
        None => Ok(Some(Stream::plain(stream))),
    };
    match opened {
        Ok(Some(stream)) => {
            debug!(%peer, "gearman connection opened");
            match connection::serve(&core, id, stream).await {
                Ok(()) => debug!(%peer, "gearman connection closed"),
                Err(error) => debug!(%peer, %error, "gearman connection broken off"),
            }
        }
        Ok(None) => {}
        Err(error) => info!(%peer, %error, "a peer failed to agree on TLS"),
    }
    core.disconnect(id);
}

/// Agrees on TLS; none if the server stops meanwhile.
async fn open(tls: Acceptor, stream: TcpStream, stop: CancellationToken) -> Result<Option<Stream>, HandshakeError> {
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
fn fit_for_handles(prefix: &str) -> String {
    let fitting: String = prefix.chars().filter(char::is_ascii_graphic).take(42).collect();
    if fitting.is_empty() { "H".to_owned() } else { fitting }
}
