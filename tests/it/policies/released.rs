//! Marks of ours as operators see them, and how they take one back.

use layshaft::domain::{BuildResult, ControllerName, NodeName};
use layshaft::journal::MarkKind;
use layshaft::runtime::ReleaseError;
use layshaft::runtime::status::{NodeEntry, NodeState};
use layshaft::simulator::{Fault, FaultRule};

use crate::daemon::{Daemon, controller, text};
use crate::support::guest::{Bytes, Guest};
use crate::support::{GearmanServer, Kind, Site, SiteBuilder, eventually, fleet, on_both_servers, project};

fn holding() -> Vec<u8> {
    let abstain = Bytes::default().byte(0).text("-").none_pair();
    let held = Bytes::default().byte(3).text("held for a look").text("-").none_pair();
    Guest::new("p").offline(&abstain, &held).build()
}

fn builder() -> SiteBuilder {
    SiteBuilder::new()
        .controller("ci", fleet(&[("a", 1, &[])], vec![project("lint", None)]))
        .policy_file("40-p.wasm", holding())
}

/// Runs a build on a node to its end.
async fn build(site: &Site, number: u64, payload: &str) {
    let mut job = site.server.submit("build:lint", &format!("u-{number}"), payload).await;
    job.started().await;
    site.controller("ci").finish("lint", number, BuildResult::Failure);
    job.finish().await;
}

/// Returns a node of `ci` as the daemon has it once it is in a state.
async fn becomes(site: &Site, name: &str, state: NodeState) -> NodeEntry {
    let find = async || {
        let nodes = site.runtime().nodes().await.unwrap().nodes;
        nodes.into_iter().find(|node| node.name == NodeName::agent(name) && node.controller.as_str() == "ci").unwrap()
    };
    eventually("the node is in that state", || async { find().await.state == state }).await;
    find().await
}

async fn release(site: &Site, node: &str) -> Result<(), String> {
    let released = site.runtime().release(&NodeName::agent(node), None).await;
    released.map(drop).map_err(|error| error.to_string())
}

on_both_servers! {
    async fn f113_a_node_that_is_held_says_why_and_is_released_over_a_restart_too(server) {
        let mut site = builder().start(server).await;
        build(&site, 1, "{}").await;
        for restarts in [false, true] {
            if restarts {
                site.stop_runtime().await;
                site.start_runtime().await;
                eventually("it has looked", || async { !site.runtime().nodes().await.unwrap().nodes.is_empty() }).await;
            }
            let ours = becomes(&site, "a", NodeState::Marked).await.ours.unwrap();
            assert_eq!((ours.kind, ours.policy.as_deref()), (Some(MarkKind::Held), Some("p")));
            assert_eq!(ours.message.as_deref(), Some("held for a look"));
            assert_eq!(ours.build.unwrap().to_string(), "lint #1");
            assert!(ours.since.is_some());
        }
        release(&site, "a").await.unwrap();
        assert_eq!(site.offline("ci", &NodeName::agent("a")), None);
        assert_eq!(becomes(&site, "a", NodeState::Online).await.ours, None);
        site.offers("a_exec-0", &["build:lint"]).await;
        assert_eq!(release(&site, "a").await.unwrap_err(), "a of ci is not marked offline, so there is nothing to release");
    }

    async fn f113_what_a_client_asked_for_is_ours_too_and_what_others_did_is_not(server) {
        let fleet = fleet(&[("a", 1, &[])], vec![project("lint", None)]);
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        build(&site, 1, r#"{"OFFLINE_NODE_WHEN_COMPLETE":"1"}"#).await;
        let ours = becomes(&site, "a", NodeState::Marked).await.ours.unwrap();
        assert_eq!((ours.kind, ours.policy), (Some(MarkKind::Client), None));
        release(&site, "a").await.unwrap();
        assert_eq!(site.offline("ci", &NodeName::agent("a")), None);
        becomes(&site, "a", NodeState::Online).await;
        // The plugin's words, written by somebody else.
        for reason in ["maintenance", "Offline due to Gearman request"] {
            site.controller("ci").set_offline(&NodeName::agent("a"), Some(reason));
            eventually("it is seen", || async { becomes(&site, "a", NodeState::Marked).await.reason.as_deref() == Some(reason) }).await;
            assert_eq!(becomes(&site, "a", NodeState::Marked).await.ours, None);
            assert!(release(&site, "a").await.unwrap_err().contains("was not marked offline by us"), "{reason}");
            assert_eq!(site.offline("ci", &NodeName::agent("a")).as_deref(), Some(reason));
        }
    }

    async fn f113_a_mark_that_somebody_else_has_replaced_meanwhile_is_left_alone(server) {
        let site = builder().start(server).await;
        build(&site, 1, "{}").await;
        becomes(&site, "a", NodeState::Marked).await;
        // The daemon sees no change any more.
        site.controller("ci").fault(FaultRule::new("/computer/api/json", Fault::Status(503)));
        site.controller("ci").set_offline(&NodeName::agent("a"), Some("my own look"));
        assert!(becomes(&site, "a", NodeState::Marked).await.ours.is_some());
        let error = release(&site, "a").await.unwrap_err();
        assert!(error.starts_with("a of ci was not marked offline by us (my own look)"), "{error}");
        assert_eq!(site.offline("ci", &NodeName::agent("a")).as_deref(), Some("my own look"));
    }

    async fn f113_a_name_that_several_controllers_have_is_asked_back_for(server) {
        let fleet = || fleet(&[("a", 1, &[])], vec![project("lint", None)]);
        let site = SiteBuilder::new().controller("ci", fleet()).controller("cj", fleet()).start(server).await;
        assert_eq!(release(&site, "a").await.unwrap_err(), "a is a node of ci and cj; say which with --controller");
        assert_eq!(release(&site, "b").await.unwrap_err(), "no controller has a node b; `layshaft nodes` lists them");
        let named = |node: &str, controller: &str| (NodeName::agent(node), ControllerName::new(controller));
        for ((node, controller), expected) in [
            (named("a", "cj"), "a of cj is not marked offline, so there is nothing to release"),
            (named("b", "cj"), "cj has no node b; `layshaft nodes` lists them"),
            (named("a", "ck"), "no controller is called ck; `layshaft status` lists them"),
        ] {
            let error: ReleaseError = site.runtime().release(&node, Some(&controller)).await.unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        site.controller("ci").set_disconnected(&NodeName::agent("a"), Some("gone"));
        becomes(&site, "a", NodeState::Disconnected).await;
        let error = site.runtime().release(&NodeName::agent("a"), Some(&ControllerName::new("ci"))).await.unwrap_err();
        assert_eq!(error.to_string(), "a of ci is not marked offline but disconnected: its agent has to connect again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f113_an_operator_sees_and_releases_nodes_on_the_command_line() {
    let (server, ci) = (GearmanServer::start(Kind::Gearmand).await, controller().await);
    let daemon = Daemon::start(&server.address, &ci);
    std::fs::write(std::path::Path::new(&daemon.config()).with_file_name("policies").join("40-p.wasm"), holding())
        .unwrap();
    daemon.wait_until_ready().await;
    let listed = async |arguments: &[&str]| {
        let output = daemon.layshaft(arguments).await;
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    eventually("the policy is live", || async { listed(&["policy", "list"]).await.contains("live") }).await;
    assert_eq!(listed(&["nodes", "--ours"]).await, "no node is offline because of us\n");
    let submitted = daemon.layshaft(&["submit", "build:quick", "--unique", "u-1"]).await;
    assert!(submitted.status.success(), "{}", text(&submitted.stderr));
    eventually("the mark is seen", || async { listed(&["nodes", "--ours"]).await.contains("policy p") }).await;
    let json: serde_json::Value = serde_json::from_str(&listed(&["nodes", "--ours", "--json"]).await).unwrap();
    let node = &json["nodes"][0];
    assert_eq!((&node["ours"]["kind"], &node["ours"]["policy"]), (&"held".into(), &"p".into()), "{json}");
    let name = node["name"].as_str().unwrap();
    assert!(listed(&["nodes"]).await.contains("held for a look"));
    let other = if name == "a" { "b" } else { "a" };
    let refused = daemon.layshaft(&["node", "release", other]).await;
    assert_eq!((refused.status.code(), text(&refused.stdout)), (Some(1), String::new()));
    assert!(text(&refused.stderr).contains("is not marked offline, so there is nothing to release"));
    assert_eq!(
        listed(&["node", "release", name, "--controller", "ci"]).await,
        format!("{name} of ci is no longer marked offline\n")
    );
    assert!(ci.nodes().iter().all(|node| !node.temporarily_offline));
    eventually("it is logged with who did it", || async {
        daemon.log().lines().any(|line| line.contains(&format!("/api/v1/nodes/{name}/release")) && line.contains("uid"))
    })
    .await;
}
