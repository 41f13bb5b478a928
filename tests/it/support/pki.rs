//! An authority, a server's certificate, and a client's.

use std::path::PathBuf;
use std::sync::Arc;

use layshaft::gearman::tls::{Settings, Verify};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;

/// The common name of the client's certificate.
pub(crate) const CLIENT: &str = "layshaft";

/// The files of one authority: `ca.pem`, and a `.pem` and a `.key` each of `server` and `client`.
#[derive(Clone)]
pub(crate) struct Pki {
    folder: Arc<TempDir>,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let pki = Self { folder: Arc::new(TempDir::new().unwrap()) };
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL takes an authority and what it signs for one and the same if they share a name.
        params.distinguished_name.push(DnType::CommonName, "an authority for tests");
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        pki.write("ca.pem", &authority.pem());
        for (file, name, hosts) in [("server", "server", &["127.0.0.1"][..]), ("client", CLIENT, &[])] {
            let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
            let mut params = CertificateParams::new(hosts).unwrap();
            params.distinguished_name.push(DnType::CommonName, name);
            let key = KeyPair::generate().unwrap();
            pki.write(&format!("{file}.pem"), &params.signed_by(&key, &authority).unwrap().pem());
            pki.write(&format!("{file}.key"), &key.serialize_pem());
        }
        pki
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    pub(crate) fn settings(&self) -> Settings {
        Settings {
            ca: self.path("ca.pem"),
            certificate: Some(self.path("client.pem")),
            key: Some(self.path("client.key")),
            server_name: None,
            verify: Verify::Full,
        }
    }

    fn write(&self, file: &str, text: &str) {
        std::fs::write(self.path(file), text).unwrap();
    }
}
