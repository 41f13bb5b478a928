//! TLS towards real servers and clients: geard's own, gearmand behind stunnel, and ours with gear's worker and client.

use std::process::Stdio;

use tokio::process::{Child, Command};

use crate::daemon::{Daemon, controller, text};
use crate::support::{GearmanServer, Kind, Pki, eventually, free_port, spawn_geard_with_access_list, within};

/// Returns the configuration of a daemon that has all that a site's server asks for.
fn section(pki: &Pki) -> String {
    let [ca, certificate, key] = files(pki);
    format!("[gearman.tls]\nca = \"{ca}\"\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n")
}

/// Returns the same as flags.
fn flags(pki: &Pki) -> Vec<String> {
    let [ca, certificate, key] = files(pki);
    ["--tls-ca".to_owned(), ca, "--tls-certificate".to_owned(), certificate, "--tls-key".to_owned(), key].into()
}

fn files(pki: &Pki) -> [String; 3] {
    ["ca.pem", "client.pem", "client.key"].map(|file| pki.path(file).display().to_string())
}

async fn layshaft(daemon: &Daemon, arguments: &[&str], flags: &[String]) -> std::process::Output {
    let arguments: Vec<&str> = arguments.iter().copied().chain(flags.iter().map(String::as_str)).collect();
    daemon.layshaft(&arguments).await
}

async fn builds_run_over_tls(kind: Kind) {
    let pki = Pki::new();
    let server = GearmanServer::start_with_tls(kind, &pki).await;
    let ci = controller().await;
    let daemon = Daemon::start_with(&server.address, &ci, &section(&pki));
    daemon.wait_until_ready().await;
    eventually("every worker is listed", || async {
        let ids = server.worker_ids().await;
        ["a_exec-0", "b_exec-0", "ci_manager"].iter().all(|id| ids.iter().any(|listed| listed == id))
    })
    .await;
    let done = layshaft(&daemon, &["submit", "build:quick", "--json"], &flags(&pki)).await;
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    assert!(text(&done.stdout).contains("SUCCESS"), "{}", text(&done.stdout));
    let described = layshaft(&daemon, &["describe", "quick", "1", "seen", "--host", "ci"], &flags(&pki)).await;
    assert_eq!(described.status.code(), Some(0), "{}", text(&described.stderr));
    assert_eq!(ci.builds()[0].description.as_deref(), Some("seen"));
    let plain = layshaft(&daemon, &["submit", "build:quick"], &[]).await;
    assert_eq!(plain.status.code(), Some(5), "{}", text(&plain.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f28_builds_run_over_tls_on_gearmand() {
    builds_run_over_tls(Kind::Gearmand).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f28_builds_run_over_tls_on_geard() {
    builds_run_over_tls(Kind::Geard).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f28_a_daemon_says_why_it_does_not_trust_its_server_and_tries_until_it_does() {
    let (ours, theirs) = (Pki::new(), Pki::new());
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let mut impostor = serve(port, &theirs, &[]).await;
    let ci = controller().await;
    let daemon = Daemon::start_with(&address, &ci, &section(&ours));
    eventually("the log says why", || async { daemon.log().contains("is not signed by the authority in") }).await;
    let refused = layshaft(&daemon, &["submit", "build:quick"], &flags(&ours)).await;
    assert_eq!(refused.status.code(), Some(5), "{}", text(&refused.stderr));
    assert!(text(&refused.stderr).contains("name with `ca` the one that signed it"), "{}", text(&refused.stderr));
    impostor.kill().await.unwrap();
    let _true_one = serve(port, &ours, &[]).await;
    daemon.wait_until_ready().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f28_a_server_that_wants_a_certificate_is_understood() {
    let pki = Pki::new();
    let ca = pki.path("ca.pem").display().to_string();
    let ours = free_port();
    let client_ca = ["--tls-client-ca", &ca];
    let _ours = serve(ours, &pki, &client_ca).await;
    let geard = GearmanServer::start_with_tls(Kind::Geard, &pki).await;
    let stunnel = GearmanServer::start_with_tls(Kind::Gearmand, &pki).await;
    // TLS 1.3 with the certificate asked for afterwards, 1.2, and 1.3 of OpenSSL.
    for address in [format!("127.0.0.1:{ours}"), geard.address.clone(), stunnel.address.clone()] {
        let ci = controller().await;
        let daemon = Daemon::start_with(&address, &ci, &format!("[gearman.tls]\nca = \"{ca}\"\n"));
        eventually("the log says what is missing", || async {
            let log = daemon.log();
            log.contains("wants a certificate of us; set `certificate` and `key`")
        })
        .await;
        assert_ne!(daemon.status().await.unwrap()["not_ready"], serde_json::json!([]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f28_functions_that_the_access_list_of_geard_refuses_are_reported() {
    let pki = Pki::new();
    let port = free_port();
    let _geard = spawn_geard_with_access_list(port, &pki, "build:quick|stop:|set_description:");
    let address = format!("127.0.0.1:{port}");
    let ci = controller().await;
    let daemon = Daemon::start_with(&address, &ci, &section(&pki));
    daemon.wait_until_ready().await;
    let reported = "does not list build:lint, build:lint:linux for a_exec-0, which offer them";
    eventually("the refused functions are in the status", || async {
        text(&daemon.layshaft(&["status"]).await.stdout).contains(reported)
    })
    .await;
    assert!(daemon.log().contains(reported), "{}", daemon.log());
    let losses = || daemon.log().matches("connection to the gearman server lost").count();
    let lost_before = losses();
    // What is refused is not withdrawn: geard would drop the connection.
    ci.remove_project("lint");
    eventually("the functions are gone", || async {
        let status = daemon.status().await.unwrap();
        status["functions"].get("build:lint").is_none() && status["functions"].get("build:quick").is_some()
    })
    .await;
    let done = layshaft(&daemon, &["submit", "build:quick", "--json"], &flags(&pki)).await;
    assert!(text(&done.stdout).contains("SUCCESS"), "{}", text(&done.stdout));
    assert_eq!(losses(), lost_before, "{}", daemon.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f28_our_server_serves_gear_over_tls() {
    let pki = Pki::new();
    let port = free_port();
    let ca = pki.path("ca.pem").display().to_string();
    let _server = serve(port, &pki, &["--tls-client-ca", &ca]).await;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/gear_over_tls.py");
    let files = ["client.key", "client.pem", "ca.pem"].map(|file| pki.path(file));
    let gear = Command::new("python3").arg(script).arg(port.to_string()).args(files).output();
    let output = within("gear", gear).await.unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), "half SLT revo\n");
}

/// Starts our server with TLS, under gearmand's names for the flags.
async fn serve(port: u16, pki: &Pki, more: &[&str]) -> Child {
    let server = Command::new(env!("CARGO_BIN_EXE_layshaft"))
        .args(["server", "--port", &port.to_string(), "--ssl", "--ssl-certificate"])
        .arg(pki.path("server.pem"))
        .arg("--ssl-key")
        .arg(pki.path("server.key"))
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    eventually("our server listens", || async { tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() })
        .await;
    server
}
