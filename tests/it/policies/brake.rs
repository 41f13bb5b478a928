//! The brake on going offline: what policies may not take, however much they want to.

use layshaft::domain::{BuildResult, NodeName};
use layshaft::simulator::{BuiltInSpec, Fleet};

use crate::support::guest::{Bytes, Guest};
use crate::support::{Site, SiteBuilder, completion, eventually, fleet, on_both_servers, project};

fn abstain() -> Bytes {
    Bytes::default().byte(0).text("-").none_pair()
}

fn reserve() -> Bytes {
    Bytes::default().byte(2).text("mine").none_pair()
}

fn offline() -> Bytes {
    Bytes::default().byte(2).text("used").text("-").none_pair()
}

fn online() -> Bytes {
    Bytes::default().byte(1).none_pair().text("done").none_pair()
}

fn policy(started: &Bytes, ended: &Bytes) -> Vec<u8> {
    Guest::new("p").offline(started, ended).build()
}

fn linux(nodes: usize, policy: Vec<u8>) -> SiteBuilder {
    let names = ["a", "b", "c", "d"];
    let nodes: Vec<(&str, u32, &[&str])> = names[..nodes].iter().map(|name| (*name, 1, &["linux"][..])).collect();
    let fleet = fleet(&nodes, vec![project("lint", Some("linux"))]);
    SiteBuilder::new().controller("ci", fleet).policy_file("40-p.wasm", policy)
}

/// Runs builds one after the other; so many nodes have to be offline while each runs, and when it is over.
async fn run(site: &Site, expected: &[(usize, usize)]) {
    for (number, (running, over)) in (1..).zip(expected) {
        let mut job = site.server.submit("build:lint", &format!("u-{number}"), "{}").await;
        job.started().await;
        eventually("the node is marked", || async { taken(site).len() >= *running }).await;
        site.looks("ci", 2).await;
        assert_eq!(taken(site).len(), *running, "while build {number} runs");
        site.controller("ci").finish("lint", number, BuildResult::Success);
        assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        assert_eq!(taken(site).len(), *over, "after build {number}");
        site.looks("ci", 2).await;
    }
}

fn taken(site: &Site) -> Vec<NodeName> {
    let nodes = site.controller("ci").nodes().into_iter();
    nodes.filter(|node| node.temporarily_offline).map(|node| node.name).collect()
}

on_both_servers! {
    async fn f113_policies_take_no_more_nodes_of_a_label_than_the_site_allows_and_it_is_told(server) {
        let site = linux(4, policy(&abstain(), &offline())).config(|config| config.offline_max = 2).start(server).await;
        run(&site, &[(0, 1), (1, 2), (2, 2)]).await;
        site.notes(&["policy p wanted node", "and it stays online", "builds.offline_max"]).await;
        let nodes = site.runtime().nodes().await.unwrap();
        assert_eq!(nodes.taken.iter().map(|it| (it.label.as_str(), it.taken)).collect::<Vec<_>>(), [("linux", 2)]);
        assert_eq!(nodes.refused.len(), 1, "{:?}", nodes.refused);
    }

    async fn f113_a_node_that_a_policy_reserves_is_paid_for_until_it_is_back(server) {
        let site = linux(3, policy(&reserve(), &online())).config(|config| config.offline_max = 1).start(server).await;
        // Reserved and brought back each time, so that the next one may be.
        run(&site, &[(1, 0), (1, 0), (1, 0)]).await;
        let mut one = site.server.submit("build:lint", "v-1", "{}").await;
        one.started().await;
        eventually("it is reserved", || async { taken(&site).len() == 1 }).await;
        let mut other = site.server.submit("build:lint", "v-2", "{}").await;
        other.started().await;
        site.notes(&["policy p wanted node", "builds.offline_max"]).await;
        assert_eq!(taken(&site).len(), 1, "two at the same time are one too many");
        for number in [4, 5] {
            site.controller("ci").finish("lint", number, BuildResult::Success);
        }
        one.finish().await;
        other.finish().await;
        assert_eq!(taken(&site), []);
    }

    async fn f113_the_last_node_of_a_label_is_not_even_reserved(server) {
        let site = linux(1, policy(&reserve(), &offline())).start(server).await;
        run(&site, &[(0, 0), (0, 0)]).await;
        site.notes(&["policy p wanted node a of ci offline", "the last node online that has the label linux"]).await;
    }

    async fn f113_what_is_for_a_single_use_goes_whatever_the_budget_says(server) {
        let site = linux(1, policy(&reserve(), &offline()))
            .policy_file("40-p.toml", "[[bind]]\nsingle_use = true")
            .config(|config| config.offline_max = 1)
            .start(server)
            .await;
        run(&site, &[(1, 1)]).await;
        assert!(site.status().await.notes.is_empty());
    }

    async fn f113_the_built_in_node_stays_online_whatever_policies_say(server) {
        let builtin = BuiltInSpec { executors: 1, ..BuiltInSpec::default() };
        let fleet = Fleet { built_in: builtin, ..fleet(&[("a", 0, &[])], vec![project("lint", None)]) };
        let site = SiteBuilder::new()
            .controller("ci", fleet)
            .policy_file("40-p.wasm", policy(&reserve(), &offline()))
            .policy_file("40-p.toml", "[[bind]]\nsingle_use = true")
            .start(server)
            .await;
        run(&site, &[(0, 0)]).await;
        site.notes(&["policy p wanted node (built-in) of ci offline", "it is the controller's own node"]).await;
    }
}
