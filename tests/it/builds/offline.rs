//! Nodes that clients want offline after their builds.

use layshaft::domain::{BuildResult, NodeName};
use layshaft::runtime::OfflineMark;
use layshaft::simulator::NodeRecord;

use crate::support::{Site, SiteBuilder, completion, eventually, fleet, on_both_servers, project};

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

on_both_servers! {
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
