//! Where a server is, and how it is spoken to.

use std::fmt;

use super::tls::Tls;

const DEFAULT_PORT: u16 = 4730;

/// A Gearman server as its clients, workers and administrators know it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// `host`, `host:port` or `[v6]:port`.
    pub address: String,
    /// None: everything goes over the wire as it is.
    pub tls: Option<Tls>,
}

impl Endpoint {
    /// Returns the address with its port, as look-ups want it.
    pub(super) fn with_port(&self) -> String {
        let address = &self.address;
        let colons = address.bytes().filter(|&byte| byte == b':').count();
        match colons {
            0 => format!("{address}:{DEFAULT_PORT}"),
            1 => address.clone(),
            _ if address.contains("]:") => address.clone(),
            _ if address.starts_with('[') => format!("{address}:{DEFAULT_PORT}"),
            _ => format!("[{address}]:{DEFAULT_PORT}"),
        }
    }

    /// Returns the host alone, without port and brackets.
    pub(super) fn host(&self) -> String {
        let address = self.with_port();
        let host = address.rsplit_once(':').map_or(&*address, |(host, _)| host);
        host.trim_start_matches('[').trim_end_matches(']').to_owned()
    }
}

impl From<&str> for Endpoint {
    fn from(address: &str) -> Self {
        Self { address: address.to_owned(), tls: None }
    }
}

impl From<String> for Endpoint {
    fn from(address: String) -> Self {
        Self { address, tls: None }
    }
}

impl From<&String> for Endpoint {
    fn from(address: &String) -> Self {
        Self::from(address.as_str())
    }
}

impl From<&Self> for Endpoint {
    fn from(endpoint: &Self) -> Self {
        endpoint.clone()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_a_port_is_asked_at_the_usual_one() {
        for (address, asked, host) in [
            ("gear", "gear:4730", "gear"),
            ("gear:1", "gear:1", "gear"),
            ("::1", "[::1]:4730", "::1"),
            ("[::1]", "[::1]:4730", "::1"),
            ("[::1]:1", "[::1]:1", "::1"),
        ] {
            let endpoint = Endpoint::from(address);
            assert_eq!((endpoint.with_port().as_str(), endpoint.host().as_str()), (asked, host));
        }
    }
}
