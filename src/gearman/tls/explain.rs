//! What a failure of TLS means, and what to do about it.

use std::io;
use std::time::{Duration, SystemTime};

use rustls::pki_types::{ServerName, UnixTime};
use rustls::{AlertDescription, CertificateError, InvalidMessage};

use super::{AcceptorSettings, Settings};

/// Why two sides did not agree on TLS.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct HandshakeError(String);

impl HandshakeError {
    /// Returns what a peer's silence means.
    pub(in crate::gearman) fn silent(limit: Duration) -> Self {
        Self(format!("no answer within {limit:?}; the other side may not speak TLS on this port"))
    }

    pub(super) fn unnameable(host: &str) -> Self {
        Self(format!("{host:?} is no name that a certificate can hold; set `server_name`"))
    }

    /// Returns what went wrong with the server that we connected to.
    pub(super) fn of_server(error: io::Error, settings: &Settings) -> Self {
        let Some(cause) = tls_error(&error) else { return Self(broken(&error, settings.certificate.is_some())) };
        Self(match cause {
            rustls::Error::InvalidCertificate(problem) => {
                format!("the server's certificate {}", flaw(problem, settings))
            }
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
                "the server does not speak TLS on this port; leave TLS out, or name the port where it does".to_owned()
            }
            rustls::Error::AlertReceived(alert) => refusal(*alert, Some(settings.certificate.is_some())),
            rustls::Error::PeerIncompatible(problem) => {
                format!("no version or cipher of TLS in common, 1.2 or 1.3 is needed ({problem:?})")
            }
            other => other.to_string(),
        })
    }

    /// Returns what went wrong with a peer that connected to us.
    pub(super) fn of_peer(error: io::Error, settings: &AcceptorSettings) -> Self {
        let Some(cause) = tls_error(&error) else { return Self(format!("connection broke: {error}")) };
        Self(match cause {
            rustls::Error::NoCertificatesPresented => "the peer sent no certificate, and one is asked for".to_owned(),
            rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => match &settings.client_ca {
                Some(ca) => format!("the peer's certificate is not signed by the authority in {}", ca.display()),
                None => "the peer's certificate is not signed by a known authority".to_owned(),
            },
            rustls::Error::InvalidCertificate(problem) => format!("the peer's certificate is not valid: {problem}"),
            rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
                "the peer does not speak TLS".to_owned()
            }
            rustls::Error::AlertReceived(alert) => refusal(*alert, None),
            other => other.to_string(),
        })
    }
}

/// Puts into an error of a connection that was agreed on what it means; others stay as they are.
///
/// Under TLS 1.3 a server that refuses a certificate says so only after the agreement.
pub(in crate::gearman) fn explain_io(error: io::Error) -> io::Error {
    match tls_error(&error) {
        Some(rustls::Error::AlertReceived(alert)) => io::Error::new(error.kind(), refusal(*alert, None)),
        _ => error,
    }
}

fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref()?.downcast_ref()
}

fn broken(error: &io::Error, has_certificate: bool) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            let perhaps = if has_certificate {
                "it may not accept our certificate, or not speak TLS on this port"
            } else {
                "it may want a certificate of us (set `certificate` and `key`), or not speak TLS on this port"
            };
            format!("the server closed the connection; {perhaps}")
        }
        _ => error.to_string(),
    }
}

/// Returns what the other side's last word means.
fn refusal(alert: AlertDescription, has_certificate: Option<bool>) -> String {
    use AlertDescription as Alert;
    let meaning = match (alert, has_certificate) {
        (Alert::CertificateRequired, _) | (Alert::HandshakeFailure, Some(false)) => {
            "the other side wants a certificate of us; set `certificate` and `key`"
        }
        (Alert::UnknownCA, _) => "the other side does not know the authority that signed our certificate",
        (Alert::CertificateExpired, _) => "our certificate has expired",
        (Alert::CertificateRevoked, _) => "our certificate was revoked",
        (
            Alert::BadCertificate | Alert::CertificateUnknown | Alert::UnsupportedCertificate | Alert::AccessDenied,
            _,
        ) => "the other side does not accept our certificate",
        (Alert::DecryptError, _) => "the other side could not verify our certificate; is it the authority it expects?",
        (Alert::HandshakeFailure | Alert::ProtocolVersion | Alert::InsufficientSecurity, _) => {
            "the other side found no version or cipher of TLS in common, or no certificate that it accepts"
        }
        _ => "the other side ended TLS",
    };
    format!("{meaning} (it sent {alert:?})")
}

/// Returns what is wrong with the server's certificate, as the end of a sentence.
fn flaw(problem: &CertificateError, settings: &Settings) -> String {
    let ca = settings.ca.display();
    match problem {
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            format!("is not signed by the authority in {ca}; name with `ca` the one that signed it")
        }
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("expired at {}; give the server a new one", shown(*not_after))
        }
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!("is not valid before {}; check the clocks of both machines", shown(*not_before))
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let expected = name(expected);
            let holds = match presented.as_slice() {
                [] => format!("holds no subject alternative name, and so is not for {expected}"),
                names => format!(
                    "is not for {expected} but for {}",
                    names.iter().map(|name| bare(name)).collect::<Vec<_>>().join(", ")
                ),
            };
            format!(
                "{holds}; set `server_name` to a name that it holds, or leave the name unchecked: `verify = \"chain\"`"
            )
        }
        CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
            "is not meant for servers (extended key usage)".to_owned()
        }
        other => {
            let other = other.to_string();
            let known = [
                ("UnsupportedCertVersion", "is of X.509 version 1; have it signed again with extensions (version 3)"),
                ("CaUsedAsEndEntity", "is an authority's own; have it sign one for the server"),
            ];
            let known = known.iter().find(|(sign, _)| other.contains(sign));
            known.map_or_else(|| format!("is not valid: {other}"), |(_, text)| (*text).to_owned())
        }
    }
}

/// Takes the name out of `DnsName("gear.example.org")`.
fn bare(presented: &str) -> &str {
    let inner = presented.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(presented).trim_matches('"')
}

fn name(name: &ServerName<'_>) -> String {
    name.to_str().into_owned()
}

fn shown(time: UnixTime) -> String {
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(time.as_secs());
    humantime::format_rfc3339_seconds(time).to_string()
}
