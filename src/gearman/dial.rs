//! The one way in which workers, clients and administrators reach a server: each address of its name is tried, the
//! socket is tuned, and TLS is agreed on if the server is spoken to so.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout_at};

use super::endpoint::{Address, Endpoint};
use super::stream::Stream;
use super::tls;

/// How long an idle connection may stay silent before the kernel asks whether the peer is still there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeepAlive {
    pub idle: Duration,
    pub interval: Duration,
    pub retries: u32,
}

#[derive(Debug, thiserror::Error)]
pub enum DialError {
    #[error("failed to find the address of {server}: {cause}")]
    Lookup { server: String, cause: io::Error },
    #[error("failed to connect to {server}: {cause}")]
    Connect { server: String, cause: io::Error },
    #[error("failed to agree on TLS with {server}: {cause}")]
    Tls { server: String, cause: tls::HandshakeError },
}

/// Connects to a server, giving each of its addresses so much time, the agreement on TLS included.
pub(super) async fn dial(endpoint: &Endpoint, limit: Duration, keep_alive: KeepAlive) -> Result<Stream, DialError> {
    let Address { host, port } = &endpoint.address;
    let server = || endpoint.address.to_string();
    let lookup = async { Ok(lookup_host((host.as_str(), *port)).await?.collect::<Vec<_>>()) };
    let addresses = before(Instant::now() + limit, limit, lookup)
        .await
        .map_err(|cause| DialError::Lookup { server: server(), cause })?;
    let nowhere = io::Error::new(io::ErrorKind::NotFound, "name has no address");
    let mut last_error = DialError::Connect { server: server(), cause: nowhere };
    for address in addresses {
        match dial_address(endpoint, address, limit, keep_alive).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last_error = error,
        }
    }
    Err(last_error)
}

async fn dial_address(
    endpoint: &Endpoint,
    address: SocketAddr,
    limit: Duration,
    keep_alive: KeepAlive,
) -> Result<Stream, DialError> {
    let server = || endpoint.address.to_string();
    let deadline = Instant::now() + limit;
    let connecting = async {
        let stream = TcpStream::connect(address).await?;
        keep_alive.tune(&stream)?;
        limit_unacknowledged(&stream, keep_alive)?;
        Ok(stream)
    };
    let connected = before(deadline, limit, connecting).await;
    let stream = connected.map_err(|cause| DialError::Connect { server: server(), cause })?;
    let Some(tls) = &endpoint.tls else { return Ok(Stream::plain(stream)) };
    let agreed = match timeout_at(deadline, tls.connect(stream, &endpoint.address.host)).await {
        Ok(agreed) => agreed,
        Err(_) => Err(tls::HandshakeError::silent(limit)),
    };
    agreed.map_err(|cause| DialError::Tls { server: server(), cause })
}

impl Default for KeepAlive {
    /// A dead peer is noticed within a minute; no Gearman server does that by itself.
    fn default() -> Self {
        Self::within(Duration::from_secs(60))
    }
}

impl KeepAlive {
    /// Notices a dead peer within so long: half of it the peer may be silent, then it is asked three times. The kernel
    /// counts in seconds.
    pub fn within(limit: Duration) -> Self {
        const SECOND: Duration = Duration::from_secs(1);
        Self { idle: (limit / 2).max(SECOND), interval: (limit / 6).max(SECOND), retries: 3 }
    }

    /// Sends small packets at once (Nagle's delay costs 40 ms per job) and notices peers that are gone.
    pub(super) fn tune(self, stream: &TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let timers = TcpKeepalive::new().with_time(self.idle).with_interval(self.interval).with_retries(self.retries);
        SockRef::from(stream).set_tcp_keepalive(&timers)
    }
}

/// Keep-alive rests while written data is unacknowledged; without this limit, retransmission of a result to a dead
/// server would go on for a quarter of an hour. For a server's own side it is too strict: a peer may leave unread for
/// longer than that what it was sent.
fn limit_unacknowledged(stream: &TcpStream, keep_alive: KeepAlive) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    SockRef::from(stream).set_tcp_user_timeout(Some(keep_alive.idle + keep_alive.interval * keep_alive.retries))?;
    Ok(())
}

async fn before<T>(deadline: Instant, limit: Duration, attempt: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match timeout_at(deadline, attempt).await {
        Ok(outcome) => outcome,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {limit:?}"))),
    }
}
