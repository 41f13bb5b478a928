//! Nodes that clients want offline after their builds.

use layshaft::domain::{BuildResult, NodeName};
use layshaft::policy::Grant;
use layshaft::runtime::OfflineMark;
use layshaft::simulator::{Fault, FaultRule, NodeRecord, ParameterKind, ParameterSpec};

use crate::support::guest::{Bytes, Guest};
use crate::support::{GearmanServer, Kind, Site, SiteBuilder, completion, eventually, fleet, on_both_servers, project};

const REASON: &str = "Offline due to Gearman request";

fn node(site: &Site, name: &str) -> NodeRecord {
    let nodes = site.controller("ci").nodes();
    nodes.into_iter().find(|node| node.name == NodeName::agent(name)).unwrap()
}

/// Runs a build on node a, and returns whether that is offline when the client hears of the end.
async fn goes_offline(site: &Site, number: u64, value: &str, result: BuildResult) -> bool {
    let payload = format!(r#"{{"OFFLINE_NODE_WHEN_COMPLETE":{value}}}"#);
    let mut job = site.server.submit("build:lint", &format!("u-{number}"), &payload).await;
    job.started().await;
    site.controller("ci").finish("lint", number, result);
    let updates = job.finish().await;
    // Asked at once: the node has to be offline before the terminal packet.
    let node = node(site, "a");
    assert_eq!(completion(&updates)["result"], result.as_str());
    if node.temporarily_offline {
        assert_eq!(node.offline_reason.as_deref(), Some(REASON));
    }
    node.temporarily_offline
}

async fn bring_back(site: &Site) {
    eventually("the functions are withdrawn", || async { site.server.workers_for("build:lint").await == 0 }).await;
    site.controller("ci").set_offline(&NodeName::agent("a"), None);
    eventually("the functions are offered again", || async { site.server.workers_for("build:lint").await == 1 }).await;
}

/// What Jenkins cuts and rewrites in a reason.
const ODD_WORDS: &str = "it's \"mine\" <b>&</b> : for : now";

const SHARE: u8 = 1;
const RESERVE: u8 = 2;

/// Returns a policy that says something at the start, and wants the node online at the end.
fn online_after(start: u8) -> Vec<u8> {
    let started = Bytes::default().byte(start).text(ODD_WORDS).none_pair();
    let ended = Bytes::default().byte(1).none_pair().text("done").none_pair();
    Guest::new("p").offline(&started, &ended).build()
}

/// Returns a policy that holds the node if the first parameter that it is told of has a value.
fn holding_by_value() -> Vec<u8> {
    let abstain = Bytes::default().byte(0).none_pair().text("-").none_pair().code();
    let hold = Bytes::default().byte(3).text("has a value").text("-").none_pair().code();
    // Where `requested` lies in the request: the address of its items, and how many there are.
    let (items, count) = ("(i32.load offset=72 (local.get 0))", "(i32.load offset=76 (local.get 0))");
    let has_value = format!("(i32.load8_u offset=8 {items})");
    let inner = format!("(if (result i32) {has_value} (then {hold}) (else {abstain}))");
    let ended = format!("(if (result i32) {count} (then {inner}) (else {abstain}))");
    let started = Bytes::default().byte(0).text("-").none_pair().code();
    let guest = Guest::new("p").function("offline", "build-started", started);
    guest.function("offline", "build-ended", ended).needs_values().build()
}

fn guarded(policy: Vec<u8>) -> SiteBuilder {
    let fleet = fleet(&[("a", 1, &[])], vec![project("lint", None)]);
    SiteBuilder::new().controller("ci", fleet).policy_file("40-p.wasm", policy)
}

fn marked_offline(site: &Site) -> Option<String> {
    site.offline("ci", &NodeName::agent("a"))
}

async fn finish(site: &Site) {
    site.controller("ci").finish("lint", 1, BuildResult::Success);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t31_f56_a_node_reserved_before_a_restart_is_brought_back_after_it() {
    for ends_meanwhile in [false, true] {
        let mut site = guarded(online_after(RESERVE)).start(GearmanServer::start(Kind::Gearmand).await).await;
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        job.started().await;
        eventually("it is reserved", || async { marked_offline(&site).is_some() }).await;
        site.stop_runtime().await;
        if ends_meanwhile {
            finish(&site).await;
        }
        site.start_runtime().await;
        // A node that is offline takes no jobs, this one included; the build is followed all the same.
        if !ends_meanwhile {
            site.settle().await;
            finish(&site).await;
        }
        eventually("it is brought back", || async { marked_offline(&site).is_none() }).await;
        assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        assert_eq!(site.controller("ci").builds().len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f52_f56_a_policy_decides_by_the_payload_before_and_after_a_restart() {
    for (restarts, value, held) in [(false, "x", true), (true, "x", true), (false, "", false), (true, "", false)] {
        let mut lint = project("lint", None);
        lint.parameters.push(ParameterSpec::new("KEEP", ParameterKind::String, "default"));
        let fleet = fleet(&[("a", 2, &[])], vec![lint]);
        let builder = SiteBuilder::new().controller("ci", fleet).policy_file("40-p.wasm", holding_by_value());
        let builder = builder.grant("p", &[Grant::Values]);
        let mut site = builder.start(GearmanServer::start(Kind::Gearmand).await).await;
        let payload = if value.is_empty() { "{}".to_owned() } else { format!(r#"{{"KEEP":"{value}"}}"#) };
        let mut job = site.server.submit("build:lint", "u-1", &payload).await;
        job.started().await;
        if restarts {
            site.stop_runtime().await;
            site.start_runtime().await;
            job.started().await;
        }
        finish(&site).await;
        job.finish().await;
        assert_eq!(marked_offline(&site).is_some(), held, "{restarts} {value}");
    }
}

on_both_servers! {
    async fn t31_f113_a_reserved_node_is_brought_back_whatever_words_the_policy_has_for_it(server) {
        let site = guarded(online_after(RESERVE)).start(server).await;
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        job.started().await;
        eventually("it is reserved", || async { marked_offline(&site).is_some() }).await;
        let client = site.jenkins("ci");
        let shown = client.nodes().await.unwrap().value.into_iter().find_map(|node| node.offline_reason).unwrap();
        assert!(shown.starts_with("Reserved by policy p: it`s `mine` (b)+(/b): for: now [layshaft "), "{shown}");
        // Jenkins stumbles once while it is asked.
        site.controller("ci").fault(FaultRule::once("/computer/a/toggleOffline", Fault::Status(503)));
        finish(&site).await;
        assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        assert_eq!(marked_offline(&site), None, "it is back before the client is told");
    }

    async fn f113_a_node_that_somebody_else_has_marked_meanwhile_is_left_alone(server) {
        let site = guarded(online_after(RESERVE)).start(server).await;
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        job.started().await;
        eventually("it is reserved", || async { marked_offline(&site).is_some() }).await;
        site.controller("ci").set_offline(&NodeName::agent("a"), Some("maintenance"));
        finish(&site).await;
        job.finish().await;
        assert_eq!(marked_offline(&site).as_deref(), Some("maintenance"));
    }

    async fn f113_a_policy_that_may_overrule_the_client_keeps_the_node_shared_from_the_start(server) {
        let site = guarded(online_after(SHARE)).grant("p", &[Grant::Veto]).start(server).await;
        let mut job = site.server.submit("build:lint", "u-1", r#"{"OFFLINE_NODE_WHEN_COMPLETE":"1"}"#).await;
        job.started().await;
        site.looks("ci", 3).await;
        assert_eq!(marked_offline(&site), None);
        finish(&site).await;
        job.finish().await;
        assert_eq!(marked_offline(&site), None);
    }

    async fn f113_the_last_node_of_a_label_stays_online_against_a_policy_but_not_against_a_client(server) {
        let hold = Bytes::default().byte(3).text("look").text("-").none_pair();
        let policy = Guest::new("p").offline(&Bytes::default().byte(0).text("-").none_pair(), &hold).build();
        let nodes: [(&str, u32, &[&str]); 2] = [("a", 1, &["linux"]), ("b", 1, &["linux"])];
        let fleet = fleet(&nodes, vec![project("lint", Some("linux"))]);
        let site = SiteBuilder::new().controller("ci", fleet).policy_file("40-p.wasm", policy).start(server).await;
        let (a, b) = (NodeName::agent("a"), NodeName::agent("b"));
        let offline = || [&a, &b].into_iter().filter(|node| site.offline("ci", node).is_some()).count();
        for (number, payload, expected) in
            [(1, "{}", 1), (2, "{}", 1), (3, r#"{"OFFLINE_NODE_WHEN_COMPLETE":"1"}"#, 2)]
        {
            let mut job = site.server.submit("build:lint", &format!("u-{number}"), payload).await;
            job.started().await;
            site.controller("ci").finish("lint", number, BuildResult::Failure);
            job.finish().await;
            assert_eq!(offline(), expected, "{payload}");
        }
    }

    async fn t26_f43_a_node_that_is_removed_in_mid_build_is_still_told_with_its_labels_and_takes_nothing_else(server) {
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 2, &["linux"])], vec![project("lint", None)])).start(server).await;
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        let worker = job.started().await["worker"].as_str().unwrap().to_owned();
        site.controller("ci").remove_node("a");
        eventually("its workers go", || async { site.server.worker_ids().await == [worker.as_str(), "ci_manager"] }).await;
        finish(&site).await;
        let end = completion(&job.finish().await);
        assert_eq!((&end["result"], &end["node_name"]), (&"SUCCESS".into(), &"a".into()), "{end}");
        assert_eq!(end["node_labels"], serde_json::json!(["a", "linux"]));
        eventually("the last worker goes", || async { site.server.worker_ids().await == ["ci_manager"] }).await;
    }

    async fn f50_exactly_six_values_take_the_node_offline(server) {
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], vec![project("lint", None)])).start(server).await;
        let table = [
            (r#""1""#, true), (r#""true""#, true), (r#""True""#, true), (r#""TRUE""#, true), ("1", true), ("true", true),
            (r#""0""#, false), (r#""false""#, false), (r#""yes""#, false), (r#""on""#, false), (r#""tRUE""#, false),
            (r#"" true""#, false), ("1.0", false), (r#""""#, false), ("null", false),
        ];
        for (number, (value, expected)) in (1..).zip(table) {
            let offline = goes_offline(&site, number, value, BuildResult::Success).await;
            assert_eq!(offline, expected, "{value}");
            if offline {
                bring_back(&site).await;
            }
        }
    }

    async fn f50_the_node_goes_offline_before_the_terminal_packet_on_every_result(server) {
        for mark in [OfflineMark::AtStart, OfflineMark::AtEnd] {
            let fleet = fleet(&[("a", 1, &[])], vec![project("lint", None)]);
            let server = crate::support::GearmanServer::start(server.kind).await;
            let site = SiteBuilder::new().config(|config| config.offline_mark = mark).controller("ci", fleet).start(server).await;
            let results =
                [BuildResult::Success, BuildResult::Unstable, BuildResult::Failure, BuildResult::NotBuilt, BuildResult::Aborted];
            for (number, result) in (1..).zip(results) {
                assert!(goes_offline(&site, number, "true", result).await, "{result} {mark:?}");
                bring_back(&site).await;
            }
        }
    }

    async fn f50_f51_a_node_marked_at_the_start_takes_nothing_else_and_finishes_what_it_has(server) {
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 2, &[])], vec![project("lint", None)])).start(server).await;
        let mut before = site.server.submit("build:lint", "u-1", "{}").await;
        before.started().await;
        let mut asks = site.server.submit("build:lint", "u-2", r#"{"OFFLINE_NODE_WHEN_COMPLETE":"1"}"#).await;
        asks.started().await;
        eventually("the node is offline", || async { node(&site, "a").temporarily_offline }).await;
        let ci = site.controller("ci");
        ci.finish("lint", 2, BuildResult::Failure);
        assert_eq!(completion(&asks.finish().await)["result"], "FAILURE");
        let waiting = site.server.submit("build:lint", "u-3", "{}").await;
        ci.finish("lint", 1, BuildResult::Success);
        assert_eq!(completion(&before.finish().await)["result"], "SUCCESS");
        eventually("the functions are withdrawn", || async { site.server.workers_for("build:lint").await == 0 }).await;
        assert_eq!(site.server.waiting_jobs_of("build:lint").await, 1, "the third job waits");
        assert_eq!(ci.builds().len(), 2);
        ci.set_offline(&NodeName::agent("a"), None);
        let mut waiting = waiting;
        assert_eq!(waiting.started().await["number"], 3);
        ci.finish("lint", 3, BuildResult::Success);
        waiting.finish().await;
    }

    async fn f50_a_node_that_is_offline_already_stays_so_and_gets_our_reason(server) {
        let site = SiteBuilder::new().config(|config| config.offline_mark = OfflineMark::AtEnd)
            .controller("ci", fleet(&[("a", 1, &[])], vec![project("lint", None)])).start(server).await;
        let mut job = site.server.submit("build:lint", "u-1", r#"{"OFFLINE_NODE_WHEN_COMPLETE":"1"}"#).await;
        job.started().await;
        site.controller("ci").set_offline(&NodeName::agent("a"), Some("maintenance"));
        site.controller("ci").finish("lint", 1, BuildResult::Success);
        job.finish().await;
        let node = node(&site, "a");
        assert!(node.temporarily_offline);
        assert_eq!(node.offline_reason.as_deref(), Some(REASON));
    }
}
