use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use expect_test::{Expect, expect};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, SanType};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::gearman::Endpoint;
use crate::gearman::admin::{self, Admin};
use crate::gearman::client::{self, Client, Submission, Update};
use crate::gearman::dial::{DialError, KeepAlive, dial};
use crate::gearman::server::{self, Server};
use crate::gearman::testing::Peer;
use crate::gearman::worker::{self, Event, Report, Worker};

/// Far beyond what any of these conversations takes.
const LIMIT: Duration = Duration::from_secs(20);

/// Files of an authority and of whom it knows.
struct Site {
    folder: TempDir,
}

impl Site {
    fn new() -> Self {
        let site = Self { folder: tempfile::tempdir().unwrap() };
        let authority = site.authority("ca");
        site.issue(&authority, "server", &["localhost", "127.0.0.1"], |_| {});
        site.issue(&authority, "client", &[], |_| {});
        site
    }

    fn authority(&self, name: &str) -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        self.write(&format!("{name}.pem"), &authority.pem());
        authority
    }

    fn issue(
        &self,
        authority: &CertifiedIssuer<'_, KeyPair>,
        name: &str,
        hosts: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        for &host in hosts {
            params.subject_alt_names.push(match host.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName(host.try_into().unwrap()),
            });
        }
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, authority).unwrap();
        self.write(&format!("{name}.pem"), &certificate.pem());
        self.write(&format!("{name}.key"), &key.serialize_pem());
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns how the client of this site reaches a server whose certificate names it.
    fn settings(&self) -> Settings {
        Settings {
            ca: self.path("ca.pem"),
            certificate: Some(self.path("client.pem")),
            key: Some(self.path("client.key")),
            server_name: None,
            verify: Verify::Full,
        }
    }

    fn acceptor_settings(&self) -> AcceptorSettings {
        AcceptorSettings {
            certificate: self.path("server.pem"),
            key: self.path("server.key"),
            client_ca: Some(self.path("ca.pem")),
        }
    }

    /// Starts a server that wants certificates, and returns its address.
    async fn serve(&self, settings: AcceptorSettings) -> (String, CancellationToken) {
        let tls = Some(Acceptor::load(&settings).unwrap());
        let server = Server::bind("127.0.0.1:0", server::Config { tls, ..server::Config::default() }).await.unwrap();
        let address = server.local_addr().to_string();
        let stop = CancellationToken::new();
        tokio::spawn(server.run(stop.clone()));
        (address, stop)
    }
}

fn endpoint(address: &str, settings: &Settings) -> Endpoint {
    Endpoint { address: address.into(), tls: Some(Tls::load(settings).unwrap()) }
}

#[tokio::test]
async fn worker_client_and_administrator_meet_over_tls_with_certificates() {
    let site = Site::new();
    let (address, _stop) = site.serve(site.acceptor_settings()).await;
    let server = endpoint(&address, &site.settings());
    let mut worker = Worker::new(worker::Config::new(&server, "node_exec-0"));
    worker.offer(std::collections::BTreeSet::from([Bytes::from_static(b"build:a")]));
    worker.grant();
    let working = tokio::spawn(async move {
        loop {
            match worker.event().await {
                Event::Assigned(job) => worker.report(Report::Complete(job.payload)),
                Event::Delivered { .. } => return worker,
                _ => true,
            };
        }
    });
    let client = Client::connect(&server, client::Config::default()).await.unwrap();
    // More than the sockets and TLS take at once, in both directions.
    let payload = Bytes::from(vec![7; 9 << 20]);
    let submission = Submission { function: "build:a".into(), payload: payload.clone(), ..Submission::default() };
    let mut job = client.submit(submission).await.unwrap();
    assert_eq!(job.next().await, Some(Update::Complete(payload)));
    let worker = working.await.unwrap();
    let mut admin = Admin::connect(&server, admin::Config::default()).await.unwrap();
    for _ in 0..2 {
        let lines = admin.workers().await.unwrap();
        assert!(lines.iter().any(|line| line.client_id == "node_exec-0" && line.functions == ["build:a"]), "{lines:?}");
    }
    assert!(matches!(admin.server_kind().await.unwrap(), admin::ServerKind::Gearmand { .. }));
    worker.close().await.unwrap();
}

#[tokio::test]
async fn what_a_write_has_taken_leaves_while_its_owner_only_reads() {
    let site = Site::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = endpoint(&listener.local_addr().unwrap().to_string(), &site.settings());
    let acceptor = Acceptor::load(&site.acceptor_settings()).unwrap();
    let (dialled, accepted) = tokio::join!(dial(&server, LIMIT, KeepAlive::default()), async {
        let stream = listener.accept().await.unwrap().0;
        acceptor.accept(stream).await.unwrap()
    });
    let (mut ours, mut theirs) = (dialled.unwrap(), accepted);
    // Until TLS holds back something that the socket would not take.
    let mut written = 0;
    while !ours.is_unflushed() {
        written += ours.write(&[1; 64 << 10]).await.unwrap();
    }
    let answering = async {
        theirs.read_exact(&mut vec![0; written]).await.unwrap();
        theirs.write_all(b"all of it").await.unwrap();
        theirs.flush().await.unwrap();
    };
    let mut answer = [0; 9];
    let (read, ()) = tokio::time::timeout(LIMIT, async { tokio::join!(ours.read_exact(&mut answer), answering) })
        .await
        .expect("what was written arrives");
    read.unwrap();
    assert_eq!(&answer, b"all of it");
    drop(theirs);
    assert_eq!(ours.read(&mut answer).await.unwrap(), 0, "closing without a word in TLS is closing");
}

#[tokio::test]
async fn each_failure_to_agree_says_what_is_wrong_and_what_to_do() {
    let site = Site::new();
    let other = site.authority("other");
    site.issue(&other, "foreign", &["localhost", "127.0.0.1"], |_| {});
    let authority = site.authority("ca");
    site.issue(&authority, "server", &["localhost", "127.0.0.1"], |_| {});
    site.issue(&authority, "client", &[], |_| {});
    site.issue(&authority, "nameless", &[], |_| {});
    site.issue(&authority, "elsewhere", &["gear.example.org"], |_| {});
    site.issue(&authority, "old", &["127.0.0.1"], |params| params.not_after = rcgen::date_time_ymd(2001, 2, 3));
    site.issue(&authority, "young", &["127.0.0.1"], |params| params.not_before = rcgen::date_time_ymd(2999, 2, 3));
    site.issue(&authority, "authority", &["127.0.0.1"], |params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    });
    let full = site.settings();
    let chain = Settings { verify: Verify::Chain, ..site.settings() };
    let named = Settings { server_name: Some("gear.example.org".to_owned()), ..site.settings() };
    let anonymous = Settings { certificate: None, key: None, ..site.settings() };
    let foreign = Settings {
        certificate: Some(site.path("foreign.pem")),
        key: Some(site.path("foreign.key")),
        ..site.settings()
    };
    let cases = [
        ("server", &full),
        ("foreign", &full),
        ("foreign", &chain),
        ("nameless", &full),
        ("nameless", &chain),
        ("elsewhere", &full),
        ("elsewhere", &named),
        ("old", &full),
        ("old", &chain),
        ("young", &full),
        ("authority", &full),
        ("server", &anonymous),
        ("server", &foreign),
    ];
    let mut told = String::new();
    for (certificate, settings) in cases {
        let server_settings = AcceptorSettings {
            certificate: site.path(&format!("{certificate}.pem")),
            key: site.path(&format!("{certificate}.key")),
            ..site.acceptor_settings()
        };
        let (address, _stop) = site.serve(server_settings).await;
        let outcome = match ask_version(&endpoint(&address, settings)).await {
            Ok(()) => "agreed".to_owned(),
            Err(error) => error.replace(&address, "SERVER").replace(&site.folder.path().display().to_string(), ""),
        };
        writeln!(told, "{certificate}: {outcome}").unwrap();
    }
    expect![[r#"
        server: agreed
        foreign: failed to agree on TLS with SERVER: the server's certificate is not signed by the authority in /ca.pem; name with `ca` the one that signed it
        foreign: failed to agree on TLS with SERVER: the server's certificate is not signed by the authority in /ca.pem; name with `ca` the one that signed it
        nameless: failed to agree on TLS with SERVER: the server's certificate holds no subject alternative name, and so is not for 127.0.0.1; set `server_name` to a name that it holds, or leave the name unchecked: `verify = "chain"`
        nameless: agreed
        elsewhere: failed to agree on TLS with SERVER: the server's certificate is not for 127.0.0.1 but for gear.example.org; set `server_name` to a name that it holds, or leave the name unchecked: `verify = "chain"`
        elsewhere: agreed
        old: failed to agree on TLS with SERVER: the server's certificate expired at 2001-02-03T00:00:00Z; give the server a new one
        old: failed to agree on TLS with SERVER: the server's certificate expired at 2001-02-03T00:00:00Z; give the server a new one
        young: failed to agree on TLS with SERVER: the server's certificate is not valid before 2999-02-03T00:00:00Z; check the clocks of both machines
        authority: failed to agree on TLS with SERVER: the server's certificate is an authority's own; have it sign one for the server
        server: failed to agree on TLS with SERVER: the other side wants a certificate of us; set `certificate` and `key` (it sent CertificateRequired)
        server: failed to agree on TLS with SERVER: the other side does not know the authority that signed our certificate (it sent UnknownCA)
    "#]].assert_eq(&told);
}

/// Asks through a connection, since a server may refuse a certificate only after the agreement.
async fn ask_version(server: &Endpoint) -> Result<(), String> {
    let asked = async { Admin::connect(server, admin::Config::default()).await?.version().await };
    match asked.await {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

#[tokio::test]
async fn a_server_without_tls_is_told_from_a_silent_one() {
    let site = Site::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = endpoint(&listener.local_addr().unwrap().to_string(), &site.settings());
    let answers: [(&str, Expect); 4] = [
        ("plain", expect!["the server does not speak TLS on this port; leave TLS out, or name the port where it does"]),
        ("error", expect!["the server does not speak TLS on this port; leave TLS out, or name the port where it does"]),
        (
            "closed",
            expect![
                "the server closed the connection; it may not accept our certificate, or not speak TLS on this port"
            ],
        ),
        ("silent", expect!["no answer within 50ms; the other side may not speak TLS on this port"]),
    ];
    for (behaviour, expected) in answers {
        let accepting = async {
            let mut peer = listener.accept().await.unwrap().0;
            match behaviour {
                "plain" => peer.write_all(b"\0RES\0\0\0\x13\0\0\0\0").await.unwrap(),
                "error" => peer.write_all(b"ERR UNKNOWN_COMMAND Unknown+server+command\r\n").await.unwrap(),
                "closed" => return None,
                _ => {}
            }
            Some(peer)
        };
        let limit = if behaviour == "silent" { Duration::from_millis(50) } else { LIMIT };
        let (error, _peer) = tokio::join!(dial(&server, limit, KeepAlive::default()), accepting);
        let Err(DialError::Tls { cause, .. }) = error else { panic!("{error:?}") };
        expected.assert_eq(&cause.to_string());
    }
}

#[tokio::test]
async fn peers_that_drag_out_the_agreement_hold_up_nobody() {
    let site = Site::new();
    let (address, stop) = site.serve(site.acceptor_settings()).await;
    let mut slow = Vec::new();
    for number in 0..50 {
        let mut peer = TcpStream::connect(&address).await.unwrap();
        // Half of them have begun, and will never go on.
        if number % 2 == 0 {
            peer.write_all(&[0x16, 3, 1]).await.unwrap();
        }
        slow.push(peer);
    }
    tokio::time::timeout(LIMIT, ask_version(&endpoint(&address, &site.settings()))).await.unwrap().unwrap();
    stop.cancel();
    for mut peer in slow {
        let gone = tokio::time::timeout(LIMIT, peer.read(&mut [0])).await.expect("stopping waits for nobody");
        assert_eq!(gone.unwrap_or(0), 0);
    }
}

#[tokio::test]
async fn peers_that_drag_out_the_agreement_count_as_connections() {
    let site = Site::new();
    let tls = Some(Acceptor::load(&site.acceptor_settings()).unwrap());
    let config = server::Config { tls, max_connections: 1, ..server::Config::default() };
    let server = Server::bind("127.0.0.1:0", config).await.unwrap();
    let address = server.local_addr().to_string();
    tokio::spawn(server.run(CancellationToken::new()));
    let silent = TcpStream::connect(&address).await.unwrap();
    let mut second = TcpStream::connect(&address).await.unwrap();
    assert_eq!(second.read(&mut [0]).await.unwrap_or(0), 0);
    drop(silent);
}

#[tokio::test]
async fn a_peer_without_tls_gets_nothing_of_the_protocol() {
    let site = Site::new();
    let (address, _stop) = site.serve(site.acceptor_settings()).await;
    let mut peer = Peer::connect(&address).await.into_stream();
    peer.write_all(b"version\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _reset_or_closed = tokio::time::timeout(LIMIT, peer.read_to_end(&mut answer)).await.unwrap();
    assert!(!answer.windows(2).any(|pair| pair == b"OK"), "{answer:?}");
}

#[tokio::test]
async fn worker_and_administrator_without_tls_are_told_that_their_server_wants_it() {
    let site = Site::new();
    let (address, _stop) = site.serve(site.acceptor_settings()).await;
    let error = ask_version(&Endpoint::from(&address)).await.unwrap_err();
    expect![[r#"lost the connection to the gearman server while it answered "version": the server speaks TLS; set `ca`, the authority that signed its certificate"#]].assert_eq(&error);
    let mut worker = Worker::new(worker::Config::new(&address, "node_exec-0"));
    let mut events = vec![worker.event().await];
    while !matches!(events.last(), Some(Event::Disconnected { .. })) {
        events.push(worker.event().await);
    }
    let Some(Event::Disconnected { error, .. }) = events.last() else { panic!("{events:?}") };
    expect!["the server speaks TLS; set `ca`, the authority that signed its certificate"].assert_eq(error);
}

#[test]
fn each_file_that_cannot_be_used_is_named_with_what_is_wrong() {
    let site = Site::new();
    site.write("empty.pem", "");
    site.write("cut.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n");
    site.write("text.pem", "-----BEGIN CERTIFICATE-----\nnot base64!\n-----END CERTIFICATE-----\n");
    site.write("junk.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    site.write("locked.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    site.write("junk.key", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    let path = |name: &str| Some(site.path(name));
    let check = |settings: Settings, expected: Expect| {
        let error = Tls::load(&settings).unwrap_err().to_string();
        expected.assert_eq(&error.replace(&site.folder.path().display().to_string(), ""));
    };
    let usual = || site.settings();
    check(
        Settings { ca: site.path("none.pem"), ..usual() },
        expect!["failed to read the CA's certificate /none.pem: No such file or directory (os error 2)"],
    );
    check(Settings { ca: site.path("empty.pem"), ..usual() }, expect!["/empty.pem holds no certificate in PEM form"]);
    check(Settings { ca: site.path("client.key"), ..usual() }, expect!["/client.key holds no certificate in PEM form"]);
    check(
        Settings { ca: site.path("cut.pem"), ..usual() },
        expect!["/cut.pem is not readable as PEM: a section has no end"],
    );
    check(
        Settings { ca: site.path("text.pem"), ..usual() },
        expect!["/text.pem is not readable as PEM: a section is not base64"],
    );
    check(
        Settings { ca: site.path("junk.pem"), ..usual() },
        expect!["/junk.pem holds no certificate of an authority: invalid peer certificate: BadEncoding"],
    );
    check(
        Settings { certificate: path("junk.pem"), ..usual() },
        expect!["the certificate in /junk.pem cannot be used: invalid peer certificate: BadEncoding"],
    );
    check(
        Settings { certificate: path("client.key"), ..usual() },
        expect!["/client.key holds no certificate in PEM form"],
    );
    check(Settings { key: path("client.pem"), ..usual() }, expect!["/client.pem holds no private key in PEM form"]);
    check(
        Settings { key: path("locked.key"), ..usual() },
        expect!["the key in /locked.key is encrypted; decrypt it: openssl pkey -in /locked.key -out KEY"],
    );
    check(
        Settings { key: path("junk.key"), ..usual() },
        expect![
            "the key in /junk.key cannot be used: unexpected error: failed to parse private key as RSA, ECDSA, or EdDSA"
        ],
    );
    check(
        Settings { key: path("server.key"), ..usual() },
        expect!["the key in /server.key does not belong to the certificate in /client.pem"],
    );
    check(
        Settings { key: None, ..usual() },
        expect!["certificate is set without key; a certificate and its key go together"],
    );
    check(
        Settings { certificate: None, ..usual() },
        expect!["key is set without certificate; a certificate and its key go together"],
    );
    check(
        Settings { server_name: Some("not a name".to_owned()), ..usual() },
        expect![[r#"server_name "not a name" is neither a host name nor an IP address"#]],
    );
}
