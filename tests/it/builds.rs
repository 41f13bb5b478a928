//! Jobs that become builds: what is started, what the client hears, what becomes of the node.

use layshaft::domain::BuildResult;
use layshaft::gearman::client::Update;

use crate::support::{SiteBuilder, eventually, fleet, on_both_servers, project};

on_both_servers! {
    async fn f34_f35_f40_f41_f42_f43_a_job_becomes_a_build_and_its_result(server) {
        let fleet = fleet(&[("a", 1, &["linux"])], vec![project("lint", Some("linux"))]);
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        let mut job = site.server.submit("build:lint:linux", "u-1", r#"{"ANSWER":"42"}"#).await;
        let started = job.started().await;
        assert_eq!(started["name"], "lint");
        assert_eq!(started["number"], 1);
        assert_eq!(started["manager"], "ci");
        assert_eq!(started["worker"], "a_exec-0");
        assert_eq!(started["node_name"], "a");
        assert_eq!(started["node_labels"], serde_json::json!(["a", "linux"]));
        let ci = site.controller("ci");
        assert_eq!(ci.builds()[0].parameters.get("UUID"), Some("u-1"));
        assert_eq!(ci.builds()[0].parameters.get("NODE"), Some("a"));
        assert!(ci.finish("lint", 1, BuildResult::Unstable));
        let updates = job.finish().await;
        let Update::Status { .. } = updates[1] else { panic!("no status right after the data: {updates:?}") };
        assert_eq!(updates.len(), 3, "{updates:?}");
        let ended = crate::support::completion(&updates);
        assert_eq!(ended["result"], "UNSTABLE");
        eventually("nothing is left under way", || async { site.runtime().status().await.unwrap().builds.is_empty() }).await;
    }
}
