//! TLS as whoever connects needs it.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, DigitallySignedStruct, ProtocolVersion, RootCertStore, SignatureScheme};
use serde::Deserialize;
use tokio::io::AsyncBufRead;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::{Error, HandshakeError, files, provider};
use crate::gearman::stream::Stream;

/// How long a server may take to say that it accepts us. Those that never do cost that much once per connection.
const VERDICT_LIMIT: Duration = Duration::from_millis(250);

/// How to reach a server through TLS.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The certificate of the authority that signed the server's, or several, in PEM.
    pub ca: PathBuf,
    /// Our own certificate, followed by those that lead to its authority, if the server asks for one; geard does.
    pub certificate: Option<PathBuf>,
    /// The key of our own certificate.
    pub key: Option<PathBuf>,
    /// The name that the server's certificate has to hold, if it is not the host that is connected to.
    pub server_name: Option<String>,
    /// What of the server's certificate is checked.
    #[serde(default)]
    pub verify: Verify,
}

/// What of a server's certificate is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verify {
    /// That the authority signed it, that it is in force, and that it is for the server's name.
    #[default]
    Full,
    /// All but the name, as clients of geard do: whoever has a certificate of that authority can pose as the server.
    Chain,
}

/// How to reach a server through TLS, its files read. Clones share it.
#[derive(Clone)]
pub struct Tls {
    settings: Arc<Settings>,
    server_name: Option<ServerName<'static>>,
    roots: Arc<RootCertStore>,
    identity: Option<Arc<CertifiedKey>>,
    connector: TlsConnector,
}

impl Tls {
    /// Reads the files.
    pub fn load(settings: &Settings) -> Result<Self, Error> {
        let identity = match (&settings.certificate, &settings.key) {
            (Some(certificate), Some(key)) => Some(files::identity(certificate, key)?),
            (None, None) => None,
            (Some(_), None) => return Err(Error::Half { given: "certificate", missing: "key" }),
            (None, Some(_)) => return Err(Error::Half { given: "key", missing: "certificate" }),
        };
        let name = settings.server_name.as_ref();
        let name = name.map(|name| ServerName::try_from(name.clone()).map_err(|_| Error::ServerName(name.clone())));
        let roots = files::authorities(&settings.ca)?;
        let verifier = verifier(&roots, settings.verify)?;
        let config = ClientConfig::builder_with_provider(provider()).with_safe_default_protocol_versions();
        let config = config.map_err(Error::Setup)?.dangerous().with_custom_certificate_verifier(verifier);
        let config = match identity.clone() {
            Some(identity) => config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(identity))),
            None => config.with_no_client_auth(),
        };
        Ok(Self {
            settings: Arc::new(settings.clone()),
            server_name: name.transpose()?,
            roots,
            identity,
            connector: TlsConnector::from(Arc::new(config)),
        })
    }

    /// Agrees on TLS with the server at the other end.
    pub(in crate::gearman) async fn connect(&self, stream: TcpStream, host: &str) -> Result<Stream, HandshakeError> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => ServerName::try_from(host.to_owned()).map_err(|_| HandshakeError::unnameable(host))?,
        };
        let agreeing = async {
            let mut stream = self.connector.connect(name, stream).await?;
            // If it refuses us later still, the first read says why.
            if let Ok(verdict) = timeout(VERDICT_LIMIT, accepted(&mut stream)).await {
                verdict?;
            }
            Ok(Stream::encrypted(stream))
        };
        agreeing.await.map_err(|error| HandshakeError::of_server(error, &self.settings))
    }
}

/// Waits until the server has accepted us: under TLS 1.3 it checks our certificate, or that there is none, only after
/// the handshake has ended here, and sends tickets once it has.
async fn accepted(stream: &mut TlsStream<TcpStream>) -> io::Result<()> {
    if stream.get_ref().1.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
        return Ok(());
    }
    poll_fn(|context| {
        // Takes nothing away from what the server may have said already.
        let said = Pin::new(&mut *stream).poll_fill_buf(context).map_ok(<[u8]>::is_empty);
        match said {
            Poll::Ready(Ok(true)) => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            Poll::Ready(said) => Poll::Ready(said.map(drop)),
            Poll::Pending if stream.get_ref().1.tls13_tickets_received() > 0 => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Whether the settings are equal, and what the files held.
impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        let identity = |tls: &Self| {
            tls.identity.as_ref().map(|own| (own.cert.clone(), own.key.public_key().map(|key| key.to_vec())))
        };
        self.settings == other.settings && self.roots.roots == other.roots.roots && identity(self) == identity(other)
    }
}

impl Eq for Tls {}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.settings.fmt(f)
    }
}

fn verifier(roots: &Arc<RootCertStore>, verify: Verify) -> Result<Arc<dyn ServerCertVerifier>, Error> {
    let full = WebPkiServerVerifier::builder_with_provider(Arc::clone(roots), provider()).build();
    let full = full.map_err(|error| Error::Setup(rustls::Error::General(error.to_string())))?;
    Ok(match verify {
        Verify::Full => full,
        Verify::Chain => Arc::new(ChainOnly { roots: Arc::clone(roots), full }),
    })
}

/// Leaves out the name, and nothing else.
#[derive(Debug)]
struct ChainOnly {
    roots: Arc<RootCertStore>,
    full: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for ChainOnly {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = provider().signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &self.roots, intermediates, now, algorithms)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.full.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.full.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.full.supported_verify_schemes()
    }
}
