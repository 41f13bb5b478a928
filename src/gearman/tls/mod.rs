//! TLS around Gearman, from the first byte on: the protocol itself knows nothing of it, and no command starts it.
//!
//! Versions 1.2 (all that geard allows) and 1.3. What a site names are PEM files, read once. Keys reach no message.

mod acceptor;
mod connector;
mod explain;
mod files;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;

pub use acceptor::{Acceptor, AcceptorSettings};
pub use connector::{Settings, Tls, Verify};
pub use explain::HandshakeError;
pub(super) use explain::explain_io;

/// How TLS says that it does not understand: an alert, of some version 3.
pub(super) const ALERT: [u8; 2] = [0x15, 3];

/// What an alert means to whoever speaks without TLS.
pub(super) const WANTED: &str = "the server speaks TLS; set `ca`, the authority that signed its certificate";

/// What is wrong with a file or a name that was set.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to read {what} {}: {cause}", file.display())]
    Read { what: &'static str, file: PathBuf, cause: std::io::Error },
    #[error("{} is not readable as PEM: {cause}", file.display())]
    Pem { file: PathBuf, cause: String },
    #[error("{} holds no {what} in PEM form", file.display())]
    Empty { what: &'static str, file: PathBuf },
    #[error("{} holds no certificate of an authority: {cause}", file.display())]
    Authority { file: PathBuf, cause: rustls::Error },
    #[error("the key in {} is encrypted; decrypt it: openssl pkey -in {} -out KEY", file.display(), file.display())]
    EncryptedKey { file: PathBuf },
    #[error("the key in {} cannot be used: {cause}", file.display())]
    Key { file: PathBuf, cause: rustls::Error },
    #[error("the certificate in {} cannot be used: {cause}", file.display())]
    Certificate { file: PathBuf, cause: rustls::Error },
    #[error("the key in {} does not belong to the certificate in {}", key.display(), certificate.display())]
    Mismatch { certificate: PathBuf, key: PathBuf },
    #[error("{given} is set without {missing}; a certificate and its key go together")]
    Half { given: &'static str, missing: &'static str },
    #[error("server_name {0:?} is neither a host name nor an IP address")]
    ServerName(String),
    #[error("failed to set up TLS: {0}")]
    Setup(rustls::Error),
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
