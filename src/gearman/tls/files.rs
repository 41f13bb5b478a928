//! Certificates and keys, out of PEM files.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, InconsistentKeys, RootCertStore};

use super::{Error, provider};

/// A file longer than this holds no certificates, whatever else it is.
const LONGEST: u64 = 4 << 20;

/// Reads the certificates of authorities.
pub(super) fn authorities(file: &Path) -> Result<Arc<RootCertStore>, Error> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates("the CA's certificate", file)? {
        let added = roots.add(certificate);
        added.map_err(|cause| Error::Authority { file: file.to_owned(), cause })?;
    }
    Ok(Arc::new(roots))
}

/// Reads a certificate, those that lead to its authority, and its key.
pub(super) fn identity(certificate: &Path, key: &Path) -> Result<Arc<CertifiedKey>, Error> {
    let chain = certificates("the certificate", certificate)?;
    let signer = provider().key_provider.load_private_key(private_key(key)?);
    let signer = signer.map_err(|cause| Error::Key { file: key.to_owned(), cause })?;
    let identity = CertifiedKey::new(chain, signer);
    match identity.keys_match() {
        Err(rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            Err(Error::Mismatch { certificate: certificate.to_owned(), key: key.to_owned() })
        }
        Err(cause @ rustls::Error::InvalidCertificate(CertificateError::BadEncoding)) => {
            Err(Error::Certificate { file: certificate.to_owned(), cause })
        }
        // Certificates of X.509 version 1, say, cannot be compared here; the peer may accept them.
        _ => Ok(Arc::new(identity)),
    }
}

fn certificates(what: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = read(what, file)?;
    let certificates = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let certificates = certificates.map_err(|error| not_pem(file, &error))?;
    if certificates.is_empty() {
        return Err(Error::Empty { what: "certificate", file: file.to_owned() });
    }
    Ok(certificates)
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    let text = read("the key", file)?;
    match PrivateKeyDer::from_pem_slice(&text) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) if is_encrypted(&text) => Err(Error::EncryptedKey { file: file.to_owned() }),
        Err(pem::Error::NoItemsFound) => Err(Error::Empty { what: "private key", file: file.to_owned() }),
        Err(error) => Err(not_pem(file, &error)),
    }
}

fn read(what: &'static str, file: &Path) -> Result<Vec<u8>, Error> {
    let failed = |cause| Error::Read { what, file: file.to_owned(), cause };
    let length = std::fs::metadata(file).map_err(failed)?.len();
    if length > LONGEST {
        return Err(failed(std::io::Error::other(format!("it has {length} bytes"))));
    }
    std::fs::read(file).map_err(failed)
}

/// Says in which way it is not PEM, without a byte of what may be a key.
fn not_pem(file: &Path, error: &pem::Error) -> Error {
    let cause = match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no end",
        pem::Error::IllegalSectionStart { .. } => "a section does not start as it has to",
        pem::Error::Base64Decode(_) => "a section is not base64",
        _ => "a section is too long",
    };
    Error::Pem { file: file.to_owned(), cause: cause.to_owned() }
}

fn is_encrypted(text: &[u8]) -> bool {
    let holds = |marker: &[u8]| text.windows(marker.len()).any(|window| window == marker);
    holds(b"BEGIN ENCRYPTED PRIVATE KEY") || holds(b"Proc-Type: 4,ENCRYPTED")
}
