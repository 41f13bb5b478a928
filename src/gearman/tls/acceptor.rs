//! TLS as a server needs it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use rustls::sign::SingleCertAndKey;
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::{Error, HandshakeError, files, provider};
use crate::gearman::stream::Stream;

/// Whom a server says it is, and from whom it wants to hear that too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AcceptorSettings {
    /// The server's certificate, followed by those that lead to its authority, in PEM.
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// The authority whose certificate every peer must have; none: anybody may connect.
    pub client_ca: Option<PathBuf>,
}

/// Agrees on TLS with whoever connects. Clones share it.
#[derive(Clone)]
pub struct Acceptor {
    settings: Arc<AcceptorSettings>,
    acceptor: TlsAcceptor,
}

impl Acceptor {
    /// Reads the files.
    pub fn load(settings: &AcceptorSettings) -> Result<Self, Error> {
        let identity = files::identity(&settings.certificate, &settings.key)?;
        let config = ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let config = config.map_err(Error::Setup)?;
        let config = match &settings.client_ca {
            None => config.with_no_client_auth(),
            Some(file) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(files::authorities(file)?, provider());
                let verifier = verifier.build();
                let failed = |error: rustls::server::VerifierBuilderError| {
                    Error::Setup(rustls::Error::General(error.to_string()))
                };
                config.with_client_cert_verifier(verifier.map_err(failed)?)
            }
        };
        let config = config.with_cert_resolver(Arc::new(SingleCertAndKey::from(identity)));
        Ok(Self { settings: Arc::new(settings.clone()), acceptor: TlsAcceptor::from(Arc::new(config)) })
    }

    /// Agrees on TLS with the peer at the other end. Waits for it as long as it takes.
    pub(in crate::gearman) async fn accept(&self, stream: TcpStream) -> Result<Stream, HandshakeError> {
        let agreed = self.acceptor.accept(stream).await;
        agreed.map(Stream::encrypted).map_err(|error| HandshakeError::of_peer(error, &self.settings))
    }
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}
