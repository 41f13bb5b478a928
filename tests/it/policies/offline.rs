//! Offline: what becomes of a node when a build starts there, and when it ends.

use layshaft::domain::{BuildResult, NodeName};
use layshaft::policy::Grant;
use layshaft::simulator::NodeRecord;

use crate::support::guest::{Bytes, Guest, TRAP, past_the_gates};
use crate::support::{Site, SiteBuilder, completion, eventually, fleet, on_both_servers, project};

fn builder() -> SiteBuilder {
    let projects = vec![project("lint", None), project("release/web", None)];
    SiteBuilder::new()
        .controller("ci", fleet(&[("a", 2, &["single-use"])], projects))
        .example_policy("40-single-use-nodes.wasm", "single-use-nodes")
        .policy_file("40-single-use-nodes.toml", "[settings.hold]\nprojects = ['release/**']")
        .grant("single-use-nodes", &[Grant::Labels])
}

fn failing() -> Vec<u8> {
    let trap = past_the_gates(TRAP, &Bytes::default());
    let guest = Guest::new("traps").function("offline", "build-started", trap.clone());
    guest.function("offline", "build-ended", trap).build()
}

fn node(site: &Site) -> NodeRecord {
    site.controller("ci").nodes().into_iter().find(|node| node.name == NodeName::agent("a")).unwrap()
}

fn reason(site: &Site) -> String {
    node(site).offline_reason.unwrap_or_default()
}

on_both_servers! {
    async fn f113_a_single_use_node_is_reserved_at_the_start_and_offline_before_the_result_is_told(server) {
        let site = builder().start(server).await;
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        let worker = job.started().await["worker"].as_str().unwrap().to_owned();
        let other = if worker == "a_exec-0" { "a_exec-1" } else { "a_exec-0" };
        eventually("it is reserved", || async { node(&site).temporarily_offline }).await;
        assert!(reason(&site).contains("single-use-nodes: label `single-use` makes the node single-use"), "{}", reason(&site));
        // The other executor offers nothing any more, and this one only what it runs.
        site.offers(&worker, &["build:lint"]).await;
        site.offers(other, &[]).await;
        site.controller("ci").finish("lint", 1, BuildResult::Success);
        assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        assert!(node(&site).temporarily_offline);
        assert!(reason(&site).contains("single use: lint ended with success"), "{}", reason(&site));
        site.offers(&worker, &[]).await;
        assert_eq!(site.server.workers_for("build:lint").await, 0);
    }

    async fn n11_f52_f113_a_node_on_which_a_named_project_failed_is_held_for_a_look(server) {
        let site = builder().start(server).await;
        let mut job = site.server.submit("build:web", "u-1", "{}").await;
        job.started().await;
        site.controller("ci").finish("release/web", 1, BuildResult::Failure);
        assert_eq!(completion(&job.finish().await)["result"], "FAILURE");
        assert!(node(&site).temporarily_offline);
        assert!(reason(&site).contains("held for a look: release/web ended with failure"), "{}", reason(&site));
    }

    async fn f113_other_nodes_follow_the_client(server) {
        let site = builder().start(server).await;
        // A project tied to the new label is offered once the change was seen.
        site.controller("ci").set_labels(&NodeName::agent("a"), &["shared"]);
        site.controller("ci").add_project(project("seen", Some("shared")));
        eventually("the change is seen", || async { site.server.workers_for("build:seen").await > 0 }).await;
        for (number, asks, goes_offline) in [(1, "0", false), (2, "1", true)] {
            let payload = format!(r#"{{"OFFLINE_NODE_WHEN_COMPLETE":"{asks}"}}"#);
            let mut job = site.server.submit("build:lint", &format!("u-{number}"), &payload).await;
            job.started().await;
            site.controller("ci").finish("lint", number, BuildResult::Failure);
            job.finish().await;
            assert_eq!(node(&site).temporarily_offline, goes_offline, "{}", reason(&site));
        }
        assert!(!reason(&site).contains("single use"), "{}", reason(&site));
    }

    async fn f113_where_an_offline_policy_fails_the_classic_rules_decide(server) {
        let fleet = fleet(&[("a", 1, &[])], vec![project("lint", None)]);
        let site = SiteBuilder::new().controller("ci", fleet).policy_file("40-traps.wasm", failing()).start(server).await;
        for (number, asks, goes_offline) in [(1, "0", false), (2, "1", true)] {
            let payload = format!(r#"{{"OFFLINE_NODE_WHEN_COMPLETE":"{asks}"}}"#);
            let mut job = site.server.submit("build:lint", &format!("u-{number}"), &payload).await;
            job.started().await;
            site.controller("ci").finish("lint", number, BuildResult::Success);
            assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
            assert_eq!(node(&site).temporarily_offline, goes_offline, "{}", reason(&site));
        }
        let failing = site.policy("traps").await.unwrap().failing.unwrap();
        assert!(failing.contains("offline fails: it trapped") && failing.contains("classic rules decide"), "{failing}");
    }

    async fn f113_where_a_single_use_policy_fails_the_node_counts_as_used_up(server) {
        let fleet = fleet(&[("a", 1, &[])], vec![project("lint", None)]);
        let site = SiteBuilder::new()
            .controller("ci", fleet)
            .policy_file("40-traps.wasm", failing())
            .policy_file("40-traps.toml", "[[bind]]\nsingle_use = true")
            .start(server)
            .await;
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        job.started().await;
        eventually("it is reserved", || async { node(&site).temporarily_offline }).await;
        site.controller("ci").finish("lint", 1, BuildResult::Success);
        assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        assert!(node(&site).temporarily_offline);
        assert!(reason(&site).contains("policy traps failed, and the node is for a single use"), "{}", reason(&site));
    }
}
