//! What REST leaves open, and where it ends: `docs/bounds.md` has the table.

use std::time::Duration;

use layshaft::domain::{BuildResult, NodeName, ProjectKind};
use layshaft::gearman::client::Update;
use layshaft::simulator::{Fault, FaultRule, Length, ProjectSpec, StepSpec};

use crate::support::{Kind, SiteBuilder, completion, eventually, fleet, marked, on_both_servers, project};

on_both_servers! {
    async fn f38_a_build_that_loses_the_race_is_taken_back_after_its_bound_and_its_job_runs_elsewhere(server) {
        let nodes: [(&str, u32, &[&str]); 2] = [("a", 1, &[]), ("b", 1, &[])];
        let site = SiteBuilder::new()
            .config(|config| config.start_within = Duration::from_millis(700))
            .controller("ci", fleet(&nodes, vec![project("lint", None), project("other", None)]))
            .start(server)
            .await;
        let ci = site.controller("ci");
        let others = |count| eventually("the other builds run", move || async move { ci.builds().len() == count });
        ci.start_foreign_build("other", &[("NODE", "b")].into_iter().collect());
        others(1).await;
        site.looks("ci", 2).await;
        // Between our look and our request somebody else takes the executor.
        let late = FaultRule { method: Some("POST".to_owned()), ..FaultRule::once("/job/lint/build", Fault::Latency(Duration::from_secs(1))) };
        ci.fault(late);
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        eventually("the job is taken", || async { site.runtime().journal().recent(1).await.unwrap().len() == 1 }).await;
        ci.start_foreign_build("other", &[("NODE", "a"), ("UUID", "x")].into_iter().collect());
        others(2).await;
        ci.finish("other", 1, BuildResult::Success);
        if site.server.kind == Kind::Geard {
            // A job that is handed back has failed there.
            assert_eq!(job.finish().await, [Update::Fail]);
        } else {
            let started = job.started().await;
            assert_eq!((&started["node_name"], &started["number"]), (&"b".into(), &1.into()), "nothing ran before");
        }
        assert!(ci.queue().is_empty());
    }

    async fn f35_a_build_that_cannot_be_pinned_runs_within_its_label_and_its_real_node_is_told(server) {
        let nodes: [(&str, u32, &[&str]); 3] = [("a", 1, &["linux"]), ("b", 1, &["linux"]), ("c", 1, &["bsd"])];
        let lint = ProjectSpec { duration: Length::Manual, ..marked("lint", Some("linux")) };
        let site = SiteBuilder::new().controller("ci", fleet(&nodes, vec![lint])).start(server).await;
        let ci = site.controller("ci");
        for number in 1..=2 {
            let mut job = site.server.submit("build:lint:linux", &format!("u-{number}"), "{}").await;
            let started = job.started().await;
            let build = ci.builds().into_iter().find(|build| started["number"] == build.number).unwrap();
            let node = build.node.unwrap();
            assert!([NodeName::agent("a"), NodeName::agent("b")].contains(&node), "{node}");
            assert_eq!(started["node_name"], node.as_reported());
        }
    }

    async fn f43_a_step_that_no_poll_sees_tells_no_node_rather_than_a_wrong_one(server) {
        let step = StepSpec { label: Some("linux".to_owned()), duration: Length::Fixed(Duration::ZERO) };
        let flow = ProjectSpec { kind: ProjectKind::Pipeline, steps: Some(vec![step]), ..marked("flow", None) };
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &["linux"])], vec![flow])).start(server).await;
        let end = completion(&site.server.run("build:flow", "u-1", r#"{"OFFLINE_NODE_WHEN_COMPLETE":"1"}"#).await);
        assert_eq!(site.controller("ci").builds()[0].node, Some(NodeName::agent("a")), "it did run there");
        assert_eq!((&end["result"], end.get("node_name")), (&"SUCCESS".into(), None));
        assert_eq!(site.offline("ci", &NodeName::agent("a")), None);
    }
}
