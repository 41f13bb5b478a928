//! Where a server is, and how it is spoken to.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

use super::tls::Tls;

const DEFAULT_PORT: u16 = 4730;

/// A Gearman server as its clients, workers and administrators know it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub address: Address,
    /// None: everything goes over the wire as it is.
    pub tls: Option<Tls>,
}

/// A host and a port. Read from `HOST`, `HOST:PORT`, `V6`, `[V6]` and `[V6]:PORT`, without a port it is Gearman's; written
/// as `HOST:PORT` or `[V6]:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// A name or an address, without brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

/// What is wrong with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("write HOST, HOST:PORT or [V6]:PORT")]
    Malformed,
    #[error("the port is a number from 1 to 65535")]
    Port,
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        let is_v6 = |host: &str| host.parse::<Ipv6Addr>().is_ok();
        let is_name = |host: &str| host.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '.' | '_'));
        let (host, port) = if let Some(bracketed) = text.strip_prefix('[') {
            let (host, rest) = bracketed.split_once(']').ok_or(AddressError::Malformed)?;
            let port =
                if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or(AddressError::Malformed)?) };
            (Some(host).filter(|host| is_v6(host)), port)
        } else if is_v6(text) {
            // Colons, and no port.
            (Some(text), None)
        } else {
            let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
            (Some(host).filter(|host| !host.is_empty() && is_name(host)), port)
        };
        let host = host.ok_or(AddressError::Malformed)?.to_owned();
        let Some(port) = port else { return Ok(Self { host, port: DEFAULT_PORT }) };
        match port.parse() {
            Ok(port @ 1..) => Ok(Self { host, port }),
            _ if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => Err(AddressError::Port),
            _ => Err(AddressError::Malformed),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// What is no address is taken for a name, and will not be found.
impl From<&str> for Address {
    fn from(text: &str) -> Self {
        text.parse().unwrap_or_else(|_| Self { host: text.to_owned(), port: DEFAULT_PORT })
    }
}

impl From<&str> for Endpoint {
    fn from(address: &str) -> Self {
        Self { address: Address::from(address), tls: None }
    }
}

impl From<String> for Endpoint {
    fn from(address: String) -> Self {
        Self::from(address.as_str())
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
        self.address.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_without_a_port_is_asked_at_the_usual_one() {
        for (written, address, host) in [
            ("gear", "gear:4730", "gear"),
            ("gear.example.org", "gear.example.org:4730", "gear.example.org"),
            (" gear_1:1 ", "gear_1:1", "gear_1"),
            ("127.0.0.1:4730", "127.0.0.1:4730", "127.0.0.1"),
            ("::1", "[::1]:4730", "::1"),
            ("[::1]", "[::1]:4730", "::1"),
            ("[fe80::1]:1", "[fe80::1]:1", "fe80::1"),
        ] {
            let read: Address = written.parse().unwrap();
            assert_eq!((read.to_string().as_str(), read.host.as_str()), (address, host));
            assert_eq!(address.parse(), Ok(read));
        }
    }

    #[test]
    fn what_is_no_address_says_what_one_is() {
        let malformed = [
            "",
            " ",
            ":",
            ":1",
            "[::1",
            "[::1]x",
            "[::1]1",
            "[gear]:1",
            "http://gear",
            "gearman://gear",
            "gear/x",
            "two words",
            "user@gear",
            "gear\nx",
            "gear:",
            "gear:x",
            "gear:1:2",
            "gear:1/x",
            "[::1]:",
        ];
        for written in malformed {
            assert_eq!(written.parse::<Address>(), Err(AddressError::Malformed), "{written:?}");
        }
        for written in ["gear:0", "gear:65536", "[::1]:0"] {
            assert_eq!(written.parse::<Address>(), Err(AddressError::Port), "{written:?}");
        }
    }
}
