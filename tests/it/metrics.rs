//! What monitoring gets to see of a running daemon, read by Prometheus' own parser.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use layshaft::domain::BuildResult;
use layshaft::policy::{Standing, Usage};
use layshaft::simulator::Simulator;
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::daemon::{Daemon, controller, text};
use crate::support::guest::{Bytes, Guest, LOOP, TRAP, past_the_gates, rules};
use crate::support::{GearmanServer, Kind, completion, eventually, free_port, within};

/// That of the daemon's home.
const TOKEN: &str = "the-token-of-a-test";

/// A policy that lets every job pass, and fails at the start of a build in one way and at its end in another.
fn failing() -> Guest {
    let abstains = Bytes::default().byte(0).none_pair().text("").none_pair();
    Guest::new("failing")
        .filter(&rules(&[], false, "all"))
        .function("offline", "build-started", past_the_gates(TRAP, &Bytes::default().byte(0).text("").none_pair()))
        .function("offline", "build-ended", past_the_gates(LOOP, &abstains))
}

/// Where a daemon's metrics are, and its policies.
struct Watched {
    daemon: Daemon,
    ci: Simulator,
    address: String,
}

/// All samples of a scrape, by name and labels.
struct Samples(Vec<(String, BTreeMap<String, String>, f64)>);

impl Watched {
    async fn start(server: &GearmanServer) -> Self {
        let address = format!("127.0.0.1:{}", free_port());
        let ci = controller().await;
        let sections = format!("[web]\nlisten = \"{address}\"\ntoken_file = \"token\"\n");
        let daemon = Daemon::start_with(&server.address, &ci, &sections);
        daemon.wait_until_ready().await;
        Self { daemon, ci, address }
    }

    fn policies(&self) -> PathBuf {
        Path::new(&self.daemon.config()).with_file_name("policies")
    }

    async fn drop_policy(&self, file: &str, guest: &[u8]) {
        std::fs::write(self.policies().join(file), guest).unwrap();
        let _refusals_are_seen_elsewhere = self.daemon.layshaft(&["policy", "reload"]).await;
    }

    /// Runs a job whose build lasts until `started` is counted under a word of the offline hook.
    async fn run_job(&self, server: &GearmanServer, number: u64, metric: &str, started: (&str, &str)) {
        let mut job = server.submit("build:lint", &format!("u-{number}"), "{}").await;
        job.started().await;
        let labels = [("slot", "p"), ("hook", "offline"), started];
        eventually("the start of the build is asked about", || async {
            self.scrape().await.get(metric, &labels) == 1.0
        })
        .await;
        self.ci.finish("lint", number, BuildResult::Success);
        assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
    }

    async fn get(&self, path: &str, token: Option<&str>) -> (u16, String) {
        layshaft::jenkins::install_crypto_provider();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = http.get(format!("http://{}{path}", self.address));
        let request = token.map_or(request.try_clone().unwrap(), |token| request.bearer_auth(token));
        let answer = within(path, request.send()).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    /// Scrapes, and has somebody else's parser read it.
    async fn scrape(&self) -> Samples {
        let (status, metrics) = self.get("/metrics", Some(TOKEN)).await;
        assert_eq!(status, 200, "{metrics}");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/openmetrics.py");
        let mut parser = Command::new("python3")
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        parser.stdin.take().unwrap().write_all(metrics.as_bytes()).await.unwrap();
        let read = within("the parser", parser.wait_with_output()).await.unwrap();
        assert!(read.status.success(), "{}\n{metrics}", text(&read.stderr));
        let families = text(&read.stdout);
        let families = families.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let samples = families.flat_map(|family| family["samples"].as_array().unwrap().clone());
        Samples(samples.map(|sample| serde_json::from_value(sample).unwrap()).collect())
    }

    async fn usage(&self) -> Vec<Usage> {
        let listed = self.daemon.layshaft(&["policy", "list", "--json"]).await;
        let standing: Standing = serde_json::from_slice(&listed.stdout).unwrap();
        standing.policies.into_iter().flat_map(|policy| policy.usage).collect()
    }
}

impl Samples {
    /// Returns the value of the one series that has these labels.
    #[track_caller]
    fn get(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let found = self.find(name, labels);
        let [value] = found[..] else { panic!("{name} with {labels:?} is there {} times", found.len()) };
        value
    }

    fn find(&self, name: &str, labels: &[(&str, &str)]) -> Vec<f64> {
        let has = |known: &BTreeMap<String, String>| {
            labels.iter().all(|(label, value)| known.get(*label).is_some_and(|known| known == value))
        };
        let found = self.0.iter().filter(|(known, with, _)| known == name && has(with));
        found.map(|(_, _, value)| *value).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_policy_does_is_counted_by_word_and_class_over_its_versions() {
    let server = GearmanServer::start(Kind::Gearmand).await;
    let site = Watched::start(&server).await;
    site.drop_policy("10-p.wasm", &failing().build()).await;
    site.run_job(&server, 1, "layshaft_policy_errors_total", ("class", "trap")).await;
    let errors = |samples: &Samples, class: &str| {
        samples.get("layshaft_policy_errors_total", &[("slot", "p"), ("hook", "offline"), ("class", class)])
    };
    let open = [("slot", "p"), ("hook", "parameters"), ("verdict", "open")];
    let first = site.scrape().await;
    assert_eq!((errors(&first, "trap"), errors(&first, "fuel")), (1.0, 1.0));
    for class in ["deadline", "memory", "invalid", "configure"] {
        assert_eq!(errors(&first, class), 0.0, "{class}");
    }
    assert_eq!(first.get("layshaft_policy_verdicts_total", &open), 1.0);
    let offline = [("slot", "p"), ("hook", "offline")];
    assert_eq!(first.get("layshaft_policy_call_seconds_count", &offline), 2.0);
    assert!(first.get("layshaft_policy_call_seconds_sum", &offline) > 0.0);
    assert!(first.get("layshaft_policy_fuel_total", &offline) >= 100_000_000.0, "the endless loop took all of it");
    assert_eq!(first.get("layshaft_policy_failing", &[("policy", "p")]), 1.0);

    // Another version of it: the same slot counts on.
    let generation = first.get("layshaft_policy_generation", &[]);
    let start = Bytes::default().byte(0).text("").none_pair();
    let end = Bytes::default().byte(0).none_pair().text("").none_pair();
    site.drop_policy("10-p.wasm", &Guest::new("p").filter(&rules(&[], true, "none")).offline(&start, &end).build())
        .await;
    site.run_job(&server, 2, "layshaft_policy_verdicts_total", ("verdict", "abstain")).await;
    let second = site.scrape().await;
    assert_eq!(second.get("layshaft_policy_generation", &[]), generation + 1.0);
    assert_eq!((errors(&second, "trap"), errors(&second, "fuel")), (1.0, 1.0));
    let abstains = [("slot", "p"), ("hook", "offline"), ("verdict", "abstain")];
    assert_eq!(second.get("layshaft_policy_verdicts_total", &abstains), 2.0);
    assert_eq!(second.get("layshaft_policy_verdicts_total", &open), 1.0);
    let closed = [("slot", "p"), ("hook", "parameters"), ("verdict", "closed")];
    assert_eq!(second.get("layshaft_policy_verdicts_total", &closed), 1.0);
    assert_eq!(second.get("layshaft_policy_failing", &[("policy", "p")]), 0.0);
    assert_eq!(second.get("layshaft_jobs_total", &[("outcome", "complete")]), 2.0);

    // `policy list` has the same numbers.
    let usage = site.usage().await;
    let parameters = usage.iter().find(|usage| usage.hook.as_str() == "parameters").unwrap();
    assert_eq!((parameters.calls, parameters.verdicts["open"], parameters.verdicts["closed"]), (2, 1, 1));
    let shown = text(&site.daemon.layshaft(&["policy", "list"]).await.stdout);
    assert!(shown.contains("2 (fuel 1, trap 1)"), "{shown}");

    assert!(second.get("layshaft_policy_reload_seconds", &[("stage", "compile")]) > 0.0);
    assert!(second.get("layshaft_policy_reload_timestamp_seconds", &[]) > 1e9);

    // What is refused changes nothing of that, and is counted once.
    site.drop_policy("10-p.wasm", b"not wasm").await;
    let third = site.scrape().await;
    assert_eq!(third.get("layshaft_policy_refusals_total", &[("gate", "interface")]), 1.0);
    assert_eq!(third.get("layshaft_policy_refusals_total", &[("gate", "laws")]), 0.0);
    assert_eq!(third.get("layshaft_policy_state", &[("policy", "p"), ("state", "last_good")]), 1.0);
    assert_eq!(errors(&third, "trap"), 1.0);
    site.daemon.layshaft(&["policy", "freeze"]).await;
    assert_eq!(site.scrape().await.get("layshaft_policy_frozen", &[]), 1.0);
    site.daemon.layshaft(&["policy", "thaw"]).await;

    // A folder with nothing in it ends no policy, one with something else does.
    std::fs::remove_file(site.policies().join("10-p.wasm")).unwrap();
    site.drop_policy("20-other.wasm", &Guest::new("other").filter(&rules(&[], false, "")).build()).await;
    let last = site.scrape().await;
    assert_eq!(last.get("layshaft_policy_frozen", &[]), 0.0);
    assert_eq!(last.find("layshaft_policy_errors_total", &[("slot", "p")]), [0.0; 0]);
    let other = [("slot", "other"), ("hook", "parameters"), ("verdict", "open")];
    assert_eq!(last.get("layshaft_policy_verdicts_total", &other), 0.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scraper_needs_the_token_and_reaches_nothing_else() {
    let server = GearmanServer::start(Kind::Gearmand).await;
    let site = Watched::start(&server).await;
    assert_eq!(site.get("/health", None).await.0, 200);
    assert_eq!(site.get("/ready", None).await.0, 200);
    for token in [None, Some("wrong")] {
        let (status, answer) = site.get("/metrics", token).await;
        assert!(status == 401 && answer.contains("web.token_file"), "{status} {answer}");
    }
    assert_eq!(site.get("/api/v1/status", Some(TOKEN)).await.0, 404);
    let samples = site.scrape().await;
    assert_eq!(samples.get("layshaft_ready", &[]), 1.0);
    assert_eq!(samples.get("layshaft_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), 1.0);
    assert_eq!(samples.get("layshaft_controller_up", &[("controller", "ci")]), 1.0);
    assert_eq!(samples.get("layshaft_executors", &[("controller", "ci")]), 2.0);
    let servers = [("server", server.address.as_str())];
    let wanted = samples.get("layshaft_gearman_connections_wanted", &servers);
    assert!(wanted >= 3.0, "two executors and a manager");
    assert!(!site.daemon.log().contains(TOKEN));
}
