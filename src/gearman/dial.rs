//! How the client's side reaches a server: address, time limit, and the socket options that every connection needs.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::TcpStream;

const DEFAULT_PORT: u16 = 4730;

/// A dead peer behind a firewall is noticed within two minutes; no Gearman server does that by itself.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);

/// Connects to `host`, `host:port` or `[v6]:port`.
pub(super) async fn dial(server: &str, limit: Duration) -> io::Result<TcpStream> {
    let connecting = TcpStream::connect(with_port(server));
    let stream = match tokio::time::timeout(limit, connecting).await {
        Ok(connected) => connected?,
        Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {limit:?}"))),
    };
    tune(&stream)?;
    Ok(stream)
}

/// Sends small packets at once (Nagle's delay costs 40 ms per job) and notices peers that are gone.
pub(super) fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

fn with_port(server: &str) -> String {
    let colons = server.bytes().filter(|&byte| byte == b':').count();
    match colons {
        0 => format!("{server}:{DEFAULT_PORT}"),
        1 => server.to_owned(),
        _ if server.contains("]:") => server.to_owned(),
        _ if server.starts_with('[') => format!("{server}:{DEFAULT_PORT}"),
        _ => format!("[{server}]:{DEFAULT_PORT}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_a_port_is_asked_at_the_usual_one() {
        for (server, expected) in [
            ("gear", "gear:4730"),
            ("gear:1", "gear:1"),
            ("::1", "[::1]:4730"),
            ("[::1]", "[::1]:4730"),
            ("[::1]:1", "[::1]:1"),
        ] {
            assert_eq!(with_port(server), expected);
        }
    }
}
