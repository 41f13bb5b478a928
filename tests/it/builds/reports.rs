//! What the client hears while its build runs and when it has ended.

use layshaft::domain::BuildResult;
use layshaft::gearman::client::Update;
use layshaft::simulator::{BuiltInSpec, Fleet};

use crate::support::{SiteBuilder, completion, eventually, fleet, on_both_servers, project};

on_both_servers! {
    async fn f34_f35_f40_f41_f43_f44_a_job_becomes_a_build_and_its_result(server) {
        let fleet = fleet(&[("a", 1, &["linux"])], vec![project("lint", Some("linux"))]);
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        let mut job = site.server.submit("build:lint:linux", "u-1", r#"{"ANSWER":"42"}"#).await;
        let started = job.started().await;
        let url = format!("{}job/lint/1/", site.controller("ci").url());
        let start = serde_json::json!({
            "name": "lint", "number": 1, "manager": "ci", "worker": "a_exec-0", "url": url,
            "node_name": "a", "node_labels": ["a", "linux"],
            "worker_name": "a_exec-0", "worker_hostname": "a", "worker_program": "layshaft",
            "worker_version": env!("CARGO_PKG_VERSION"),
        });
        assert_eq!(started, start);
        let ci = site.controller("ci");
        assert_eq!(ci.builds()[0].parameters.get("UUID"), Some("u-1"));
        assert_eq!(ci.builds()[0].parameters.get("NODE"), Some("a"));
        assert!(ci.finish("lint", 1, BuildResult::Unstable));
        let updates = job.finish().await;
        let Update::Status { .. } = updates[1] else { panic!("no status right after the data: {updates:?}") };
        assert_eq!(updates.len(), 3, "{updates:?}");
        let mut end = start;
        end["result"] = "UNSTABLE".into();
        assert_eq!(completion(&updates), end);
        eventually("nothing is left under way", || async { site.runtime().status().await.unwrap().builds.is_empty() }).await;
    }

    async fn f41_f42_every_result_completes_the_job_with_exactly_one_terminal_packet(server) {
        let fleet = fleet(&[("a", 1, &[])], vec![project("lint", None)]);
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        let results = [
            (BuildResult::Success, "SUCCESS"),
            (BuildResult::Unstable, "UNSTABLE"),
            (BuildResult::Failure, "FAILURE"),
            (BuildResult::NotBuilt, "NOT_BUILT"),
            (BuildResult::Aborted, "ABORTED"),
        ];
        for (number, (result, word)) in (1..).zip(results) {
            let mut job = site.server.submit("build:lint", &format!("u-{number}"), "{}").await;
            job.started().await;
            assert!(site.controller("ci").finish("lint", number, result));
            let updates = job.finish().await;
            assert_eq!(completion(&updates)["result"], word);
            assert_eq!(updates.iter().filter(|update| update.is_last()).count(), 1, "{updates:?}");
        }
        // What came after a terminal packet would be refused by the server, and the worker told to go.
        assert_eq!(site.server.workers_for("build:lint").await, 1);
    }

    async fn f43_the_built_in_node_has_an_empty_name(server) {
        let fleet = Fleet {
            built_in: BuiltInSpec { executors: 1, labels: vec!["big".to_owned()], ..BuiltInSpec::default() },
            projects: vec![project("lint", Some("big"))],
            ..Fleet::default()
        };
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        let mut job = site.server.submit("build:lint:big", "u-1", "{}").await;
        let started = job.started().await;
        assert_eq!(started["node_name"], "");
        assert_eq!(started["node_labels"], serde_json::json!(["big", "built-in"]));
        assert_eq!(started["worker"], "ci_exec-0");
        assert_eq!(started["worker_hostname"], "ci");
        site.controller("ci").finish("lint", 1, BuildResult::Success);
        assert_eq!(completion(&job.finish().await)["node_name"], "");
    }
}
