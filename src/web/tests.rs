use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::sync::Mutex;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use super::*;
use crate::domain::{ControllerName, NodeName};
use crate::journal::Wanted;
use crate::policy::{Explanation, Gate, Record, ReloadReport, Standing, Step};
use crate::runtime::status::{GearmanStatus, Mode, Nodes, Released, Status};

/// A daemon that remembers what it was told.
#[derive(Debug, Default)]
struct Fake {
    told: Mutex<Vec<String>>,
    not_ready: Mutex<Vec<String>>,
}

impl Fake {
    fn tell(&self, what: impl Into<String>) {
        self.told.lock().unwrap().push(what.into());
    }

    fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }
}

impl Daemon for Fake {
    async fn status(&self) -> Result<Status, Failure> {
        Ok(Status {
            version: "1.2.3".to_owned(),
            mode: Mode::Serving,
            not_ready: self.not_ready.lock().unwrap().clone(),
            gearman: vec![GearmanStatus {
                server: "127.0.0.1:4730".to_owned(),
                kind: Some("geard".to_owned()),
                connections: 2,
                connected: 1,
            }],
            generation: 7,
            controllers: Vec::new(),
            functions: BTreeMap::new(),
            kept: Vec::new(),
            builds: Vec::new(),
            jobs: BTreeMap::from([("complete".to_owned(), 3)]),
            policies: Vec::new(),
            undeclared: Vec::new(),
            notes: Vec::new(),
        })
    }

    async fn builds(&self, limit: usize) -> Result<Vec<BuildEntry>, Failure> {
        self.tell(format!("builds {limit}"));
        Ok(Vec::new())
    }

    async fn nodes(&self) -> Result<Nodes, Failure> {
        Ok(Nodes { offline_max: 3, ..Nodes::default() })
    }

    async fn release(&self, node: &NodeName, controller: Option<&ControllerName>) -> Result<Released, Failure> {
        self.tell(format!("release {node} {controller:?}"));
        let controller = controller.ok_or_else(|| Failure::Refused("say which with --controller".to_owned()))?;
        Ok(Released { controller: controller.clone(), node: node.clone() })
    }

    fn policies(&self) -> Standing {
        Standing { generation: 7, ..Standing::default() }
    }

    fn set_mode(&self, mode: Mode) -> Result<(), Failure> {
        self.tell(format!("{mode:?}"));
        Ok(())
    }

    async fn reload_policies(&self, waived: BTreeSet<Gate>) -> Result<ReloadReport, Failure> {
        self.tell(format!("reload {waived:?}"));
        Ok(ReloadReport { generation: 8, ..ReloadReport::default() })
    }

    async fn roll_back(&self, policy: &str) -> Result<ReloadReport, Failure> {
        self.tell(format!("rollback {policy}"));
        Err(Failure::Refused(format!("policy {policy} has no version to return to")))
    }

    async fn accept(&self, policy: &str) -> Result<ReloadReport, Failure> {
        self.tell(format!("accept {policy}"));
        Err(Failure::Refused(format!("policy {policy} was not rolled back")))
    }

    async fn freeze_policies(&self, frozen: bool) -> Result<ReloadReport, Failure> {
        self.tell(format!("freeze {frozen}"));
        Ok(ReloadReport::default())
    }

    async fn retire(&self, policy: &str, waived: BTreeSet<Gate>) -> Result<ReloadReport, Failure> {
        self.tell(format!("retire {policy} {waived:?}"));
        Err(Failure::NotFound(format!("no policy is called {policy}")))
    }

    async fn disable(&self, policy: &str, how_long: Duration, waived: BTreeSet<Gate>) -> Result<ReloadReport, Failure> {
        self.tell(format!("disable {policy} {how_long:?} {waived:?}"));
        Ok(ReloadReport::default())
    }

    async fn enable(&self, policy: &str) -> Result<ReloadReport, Failure> {
        self.tell(format!("enable {policy}"));
        Ok(ReloadReport::default())
    }

    async fn decisions(&self, wanted: Wanted, limit: usize) -> Result<Vec<DecisionEntry>, Failure> {
        self.tell(format!("decisions {wanted:?} {limit}"));
        Ok(Vec::new())
    }

    async fn decision(&self, id: i64) -> Result<Record, Failure> {
        Err(Failure::NotFound(format!("no decision {id} is kept")))
    }

    async fn explain(&self, id: i64, values: BTreeMap<String, String>) -> Result<Explanation, Failure> {
        self.tell(format!("explain {id} {values:?}"));
        Err(Failure::NotFound(format!("no decision {id} is kept")))
    }

    async fn bisect(&self, id: i64, values: BTreeMap<String, String>) -> Result<Vec<Step>, Failure> {
        self.tell(format!("bisect {id} {values:?}"));
        Ok(Vec::new())
    }
}

struct Bench {
    fake: Arc<Fake>,
    folder: tempfile::TempDir,
    server: Server,
    stop: CancellationToken,
    tcp: Option<SocketAddr>,
    monitoring: Option<SocketAddr>,
}

impl Bench {
    async fn new() -> Self {
        Self::with(None, None).await
    }

    async fn with(token: Option<&str>, monitoring: Option<Monitoring>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fake = Arc::new(Fake::default());
        let stop = CancellationToken::new();
        let config = Config { monitoring, ..config(&folder.path().join("control.sock"), token) };
        let channel = Channel::open(config).await.unwrap();
        let (tcp, monitoring) = (channel.tcp_address(), channel.monitoring_address());
        let server = channel.serve(Arc::clone(&fake), stop.clone());
        Self { fake, folder, server, stop, tcp, monitoring }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("control.sock")
    }

    fn client(&self) -> Client {
        Client::new(&self.socket()).unwrap()
    }

    /// Sends bytes as they are, and returns all that comes back.
    async fn raw(&self, request: &str) -> String {
        let mut stream = UnixStream::connect(self.socket()).await.unwrap();
        // The server may hang up before it has read everything.
        let _refused = stream.write_all(request.as_bytes()).await;
        let mut answer = Vec::new();
        let reading = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut answer));
        let _reset = reading.await.expect("the server hangs up");
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn get(&self, method: &str, path: &str) -> (u16, serde_json::Value) {
        let answer = self.raw(&format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")).await;
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
        (status, serde_json::from_str(body).unwrap_or_else(|error| panic!("{error} in {answer}")))
    }
}

/// Asks over TCP.
async fn ask(address: SocketAddr, method: &str, path: &str, token: Option<&str>) -> (u16, String) {
    crate::jenkins::install_crypto_provider();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = http.request(method.parse().unwrap(), format!("http://{address}{path}"));
    let request = match token {
        Some(token) => request.bearer_auth(token),
        None => request,
    };
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

fn config(socket: &std::path::Path, token: Option<&str>) -> Config {
    let tcp = token.map(|token| Tcp { listen: "127.0.0.1:0".parse().unwrap(), token: SecretString::from(token) });
    Config { socket: socket.to_owned(), users: BTreeSet::new(), tcp, monitoring: None }
}

#[tokio::test]
async fn a_client_reads_and_changes_through_the_socket() {
    let bench = Bench::new().await;
    let client = bench.client();
    let status = client.status().await.unwrap();
    assert_eq!((status.version.as_str(), status.generation), ("1.2.3", 7));
    assert!(client.policies().await.unwrap().policies.is_empty());
    assert!(client.builds(3).await.unwrap().is_empty());
    for mode in [Mode::Paused, Mode::Serving, Mode::Draining] {
        assert_eq!(client.set_mode(mode).await.unwrap(), Changed { mode });
    }
    let (none, table) = (BTreeSet::new(), BTreeSet::from([Gate::Table]));
    assert_eq!(client.reload_policies(&none).await.unwrap().generation, 8);
    client.reload_policies(&[Gate::Table, Gate::Orphans].into()).await.unwrap();
    client.disable("a", Duration::from_secs(90), &table).await.unwrap();
    client.enable("a").await.unwrap();
    client.freeze_policies(true).await.unwrap();
    client.freeze_policies(false).await.unwrap();
    let query = DecisionQuery {
        project: Some("team/* & co".to_owned()),
        failed: true,
        since_ms: Some(0),
        limit: Some(7),
        ..DecisionQuery::default()
    };
    assert!(client.decisions(&query).await.unwrap().is_empty());
    client.bisect(3, [("A".to_owned(), "x".to_owned())].into()).await.unwrap();
    let told = bench.fake.told();
    assert_eq!(told[..4], ["builds 3", "Paused", "Serving", "Draining"]);
    let changes =
        ["reload {}", "reload {Table, Orphans}", "disable a 90s {Table}", "enable a", "freeze true", "freeze false"];
    assert_eq!(told[4..10], changes);
    let wanted = Wanted {
        project: Some("team/* & co".to_owned()),
        failed: true,
        since: Some(std::time::SystemTime::UNIX_EPOCH),
        ..Wanted::default()
    };
    assert_eq!(told[10..], [format!("decisions {wanted:?} 7"), r#"bisect 3 {"A": "x"}"#.to_owned()]);
}

#[tokio::test]
async fn nodes_are_listed_and_released_whatever_they_are_called() {
    let bench = Bench::new().await;
    let client = bench.client();
    assert_eq!(client.nodes().await.unwrap().offline_max, 3);
    let ci = ControllerName::new("ci/1 ?&");
    for node in [NodeName::agent("n 1/ä%?controller=x"), NodeName::BuiltIn] {
        let released = client.release(&node, Some(&ci)).await.unwrap();
        assert_eq!((&released.controller, &released.node), (&ci, &node));
    }
    assert_eq!(
        client.release(&NodeName::agent("a"), None).await.unwrap_err().to_string(),
        "say which with --controller"
    );
    assert_eq!(bench.fake.told()[2], "release a None");
}

#[tokio::test]
async fn what_the_daemon_refuses_reaches_the_client_in_its_words() {
    let bench = Bench::new().await;
    let client = bench.client();
    let refused = client.roll_back("a/b c").await.unwrap_err();
    assert!(matches!(&refused, ClientError::Refused(text) if text == "policy a/b c has no version to return to"));
    assert_eq!(client.retire("ü?", &[Gate::Orphans].into()).await.unwrap_err().to_string(), "no policy is called ü?");
    assert_eq!(client.accept("a").await.unwrap_err().to_string(), "policy a was not rolled back");
    assert_eq!(bench.fake.told(), ["rollback a/b c", "retire ü? {Orphans}", "accept a"]);
}

#[tokio::test]
async fn readiness_says_why_not() {
    let bench = Bench::new().await;
    assert_eq!(bench.get("GET", "/health").await.0, 200);
    assert_eq!(bench.client().readiness().await.unwrap(), Readiness { ready: true, reasons: Vec::new() });
    bench.fake.not_ready.lock().unwrap().push("paused".to_owned());
    assert_eq!(bench.get("GET", "/ready").await.0, 503);
    let reasons = vec!["paused".to_owned()];
    assert_eq!(bench.client().readiness().await.unwrap(), Readiness { ready: false, reasons });
}

#[tokio::test]
async fn errors_are_json_with_the_right_status() {
    let bench = Bench::new().await;
    for (method, path, status) in [
        ("GET", "/", 404),
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v2/status", 404),
        ("POST", "/api/v1/status", 405),
        ("GET", "/api/v1/pause", 405),
        ("DELETE", "/api/v1/policies", 405),
        ("GET", "/api/v1/builds?limit=-1", 400),
        ("GET", "/api/v1/builds?limit=x", 400),
        ("GET", "/api/v1/builds?limits=1", 400),
        ("POST", "/api/v1/policies/x/rollback", 409),
        ("POST", "/api/v1/policies/x/accept", 409),
        ("POST", "/api/v1/policies/x/retire", 404),
        ("POST", "/api/v1/policies/reload?accept=laws", 400),
        ("POST", "/api/v1/policies/x/disable", 400),
        ("POST", "/api/v1/policies/x/disable?for=soon", 400),
        ("GET", "/api/v1/decisions?failed=maybe", 400),
        ("GET", "/api/v1/decisions?password=x", 400),
        ("GET", "/api/v1/decisions/7", 404),
        ("GET", "/api/v1/decisions/latest", 400),
        ("GET", "/api/v1/decisions/7/explain", 405),
        ("POST", "/api/v1/decisions/7/explain", 400),
        ("GET", "/api/v1/nodes/x/release", 405),
        ("POST", "/api/v1/nodes/x/release", 409),
        ("POST", "/api/v1/nodes/x/release?controllers=ci", 400),
    ] {
        let (got, body) = bench.get(method, path).await;
        assert_eq!(got, status, "{method} {path}");
        assert!(body["error"].as_str().is_some_and(|error| !error.is_empty()), "{method} {path}: {body}");
    }
    // The limit has a limit.
    assert_eq!(bench.get("GET", "/api/v1/builds?limit=999999999").await.0, 200);
    assert_eq!(bench.fake.told().last().unwrap(), "builds 1000");
}

#[tokio::test]
async fn rubbish_is_answered_or_hung_up_on_and_the_next_caller_is_served() {
    let bench = Bench::new().await;
    let long = format!("GET /{} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "a".repeat(1 << 20));
    for request in ["\0\0\0\0\r\n\r\n", "HELLO\r\n\r\n", "GET /health HTTP/9.9\r\n\r\n", &long] {
        let answer = bench.raw(request).await;
        let is_refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
        assert!(is_refused, "{:.60} was answered with {answer:.200}", request);
    }
    assert_eq!(bench.client().status().await.unwrap().generation, 7);
}

#[tokio::test]
async fn over_tcp_nothing_but_health_is_told_without_the_token() {
    let bench = Bench::with(Some("opensesame"), None).await;
    let address = bench.tcp.unwrap();
    let ask = async |method: &str, path: &str, token: Option<&str>| ask(address, method, path, token).await;
    bench.fake.not_ready.lock().unwrap().push("a secret path".to_owned());
    assert_eq!(ask("GET", "/health", None).await.0, 200);
    let (status, body) = ask("GET", "/ready", None).await;
    assert!(status == 503 && !body.contains("a secret path"), "{status} {body}");
    for token in [None, Some("wrong"), Some("")] {
        assert_eq!(ask("GET", "/api/v1/status", token).await.0, 401, "{token:?}");
        assert_eq!(ask("POST", "/api/v1/pause", token).await.0, 401, "{token:?}");
        assert_eq!(ask("GET", "/metrics", token).await.0, 401, "{token:?}");
    }
    assert!(bench.fake.told().is_empty());
    assert_eq!(ask("GET", "/metrics", Some("opensesame")).await.0, 200);
    assert_eq!(ask("GET", "/api/v1/status", Some("opensesame")).await.0, 200);
    assert_eq!(ask("POST", "/api/v1/pause", Some("opensesame")).await.0, 200);
    assert_eq!(bench.fake.told(), ["Paused"]);
}

#[tokio::test]
async fn monitoring_has_an_address_where_nothing_can_be_changed_and_a_token_of_its_own() {
    let listen = "127.0.0.1:0".parse().unwrap();
    let token = Some(SecretString::from("scrape"));
    let bench = Bench::with(Some("opensesame"), Some(Monitoring { listen, token })).await;
    let address = bench.monitoring.unwrap();
    bench.fake.not_ready.lock().unwrap().push("a secret path".to_owned());
    assert_eq!(ask(address, "GET", "/health", None).await.0, 200);
    let (status, body) = ask(address, "GET", "/ready", None).await;
    assert!(status == 503 && !body.contains("a secret path"), "{status} {body}");
    for token in [None, Some(""), Some("opensesame")] {
        let (status, body) = ask(address, "GET", "/metrics", token).await;
        assert!(status == 401 && body.contains("`web.token_file`"), "{token:?}: {status} {body}");
    }
    let (status, body) = ask(address, "GET", "/metrics", Some("scrape")).await;
    assert!(status == 200 && body.contains("\nlayshaft_ready 0\n") && !body.contains("a secret path"), "{body}");
    for (method, path) in [("GET", "/api/v1/status"), ("POST", "/api/v1/pause"), ("GET", "/")] {
        for token in [Some("scrape"), Some("opensesame")] {
            assert_eq!(ask(address, method, path, token).await.0, 404, "{method} {path}");
        }
    }
    assert!(bench.fake.told().is_empty());
}

#[tokio::test]
async fn metrics_without_a_token_are_for_whoever_can_reach_them() {
    let listen = "127.0.0.1:0".parse().unwrap();
    let bench = Bench::with(None, Some(Monitoring { listen, token: None })).await;
    assert_eq!(ask(bench.monitoring.unwrap(), "GET", "/metrics", None).await.0, 200);
    let answer = bench.raw("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    assert!(answer.contains("content-type: application/openmetrics-text; version=1.0.0"), "{answer}");
    assert!(answer.contains("\nlayshaft_jobs_total{outcome=\"complete\"} 3\n"), "{answer}");
    assert!(answer.contains("\nlayshaft_policy_generation 7\n"), "{answer}");
}

#[tokio::test]
async fn a_live_socket_keeps_a_second_daemon_away_and_a_dead_one_is_replaced() {
    let bench = Bench::new().await;
    let socket = bench.socket();
    let second = Channel::open(config(&socket, None)).await;
    assert!(matches!(second, Err(Error::AnotherDaemon { .. })), "{second:?}");
    assert_eq!(bench.client().status().await.unwrap().generation, 7);
    bench.stop.cancel();
    bench.server.stopped().await;
    assert!(!socket.exists(), "the daemon that ended left its socket");

    // As a daemon leaves it that was killed.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    assert!(socket.exists());
    let stop = CancellationToken::new();
    let server = Channel::open(config(&socket, None)).await.unwrap().serve(Arc::new(Fake::default()), stop.clone());
    assert_eq!(Client::new(&socket).unwrap().status().await.unwrap().generation, 7);
    stop.cancel();
    server.stopped().await;
}

#[tokio::test]
async fn the_socket_is_the_groups_and_no_ordinary_file_is_overwritten() {
    let bench = Bench::new().await;
    let mode = std::fs::metadata(bench.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let left: Vec<_> =
        std::fs::read_dir(bench.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["control.sock"]);

    let file = bench.folder.path().join("precious");
    std::fs::write(&file, "data").unwrap();
    let refused = Channel::open(config(&file, None)).await;
    assert!(matches!(refused, Err(Error::InTheWay { .. })), "{refused:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "data");
}

#[tokio::test]
async fn a_socket_that_nobody_answers_is_said_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let error = Client::new(&folder.path().join("control.sock")).unwrap().status().await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }));
    assert!(error.to_string().contains("start one with `layshaft run`"), "{error}");
}
