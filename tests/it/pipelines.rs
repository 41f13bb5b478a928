//! Pipelines: no executor of their own, steps that do occupy some, and nodes that follow from those.

use std::time::Duration;

use layshaft::domain::{BuildResult, NodeName, ProjectKind};
use layshaft::policy::Grant;
use layshaft::runtime::OfflineMark;
use layshaft::simulator::{Length, ProjectSpec, StepSpec, Version};

use crate::support::{
    GearmanServer, Kind, Site, SiteBuilder, completion, eventually, fleet, marked, on_both_servers, project,
};

const REASON: &str = "Offline due to Gearman request";
const OFFLINE: &str = r#"{"OFFLINE_NODE_WHEN_COMPLETE":"1"}"#;

/// Long enough to be seen on its node, since pictures are taken ten times a second here.
const SEEN: Length = Length::Fixed(Duration::from_millis(400));

/// Returns a pipeline of `node` steps, each with its label and length.
fn pipeline(name: &str, steps: &[(&str, Length)]) -> ProjectSpec {
    let step = |(label, duration): &(&str, Length)| StepSpec { label: Some((*label).to_owned()), duration: *duration };
    let steps = Some(steps.iter().map(step).collect());
    ProjectSpec { kind: ProjectKind::Pipeline, steps, ..marked(name, None) }
}

/// Waits until the newest step of a pipeline runs on a node, and that is known here too.
async fn runs_on(site: &Site, project: &str, node: &str) {
    let ci = site.controller("ci");
    let node = Some(NodeName::agent(node));
    eventually("the step runs", || async {
        ci.builds().iter().any(|build| build.project == project && build.building && build.node == node)
    })
    .await;
    site.looks("ci", 2).await;
}

on_both_servers! {
    async fn f43_f50_f51_a_pipeline_tells_and_marks_the_node_of_its_last_step(server) {
        for (mark, built_in) in [(OfflineMark::AtStart, 0), (OfflineMark::AtEnd, 1)] {
            let server = GearmanServer::start(server.kind).await;
            let projects = vec![
                pipeline("deploy", &[("first", SEEN), ("last", Length::Manual)]),
                pipeline("other", &[("first", Length::Fixed(Duration::from_millis(50)))]),
            ];
            let mut fleet = fleet(&[("a", 1, &["first"]), ("b", 1, &["last", "big"])], projects);
            fleet.built_in.executors = built_in;
            let builder = SiteBuilder::new().config(|config| config.offline_mark = mark);
            let site = builder.controller("ci", fleet).start(server).await;
            let mut job = site.server.submit("build:deploy", "u-1", OFFLINE).await;
            job.started().await;
            runs_on(&site, "deploy", "b").await;
            for node in [NodeName::BuiltIn, NodeName::agent("a"), NodeName::agent("b")] {
                assert_eq!(site.offline("ci", &node), None, "{node} {mark:?}: nothing is marked before the end");
            }
            site.controller("ci").finish("deploy", 1, BuildResult::Failure);
            let end = completion(&job.finish().await);
            assert_eq!((&end["result"], &end["node_name"]), (&"FAILURE".into(), &"b".into()), "{end}");
            assert_eq!(end["node_labels"], serde_json::json!(["b", "big", "last"]));
            assert_eq!(site.offline("ci", &NodeName::agent("b")).as_deref(), Some(REASON));
            assert_eq!(site.offline("ci", &NodeName::agent("a")), None);
            assert_eq!(site.offline("ci", &NodeName::BuiltIn), None);
            let updates = site.server.run("build:other", "u-2", "{}").await;
            assert_eq!(completion(&updates)["result"], "SUCCESS", "pipelines still start");
        }
    }

    async fn f51_f52_a_node_that_a_policy_reserves_is_free_for_the_later_steps_of_a_pipeline(server) {
        let steps = [("single-use", SEEN), ("single-use", SEEN), ("single-use", SEEN)];
        let site = SiteBuilder::new()
            .controller("ci", fleet(&[("a", 1, &["single-use"])], vec![pipeline("deploy", &steps)]))
            .example_policy("40-single-use-nodes.wasm", "single-use-nodes")
            .grant("single-use-nodes", &[Grant::Labels])
            .start(server)
            .await;
        let end = completion(&site.server.run("build:deploy", "u-1", "{}").await);
        assert_eq!((&end["result"], &end["node_name"]), (&"SUCCESS".into(), &"a".into()), "{end}");
        let reason = site.offline("ci", &NodeName::agent("a")).unwrap();
        assert!(reason.contains("single use: deploy ended with success"), "{reason}");
    }

    async fn f50_a_pipeline_that_ran_on_no_node_takes_none_offline(server) {
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], vec![pipeline("empty", &[])])).start(server).await;
        for number in 1..=2 {
            let end = completion(&site.server.run("build:empty", &format!("u-{number}"), OFFLINE).await);
            assert_eq!(end["result"], "SUCCESS");
            assert!(end.get("node_name").is_none(), "{end}");
            assert!(site.controller("ci").nodes().iter().all(|node| !node.temporarily_offline));
        }
    }

    async fn t16_a_restarted_controller_goes_on_with_its_pipelines_and_aborts_its_other_builds(server) {
        let projects = vec![pipeline("deploy", &[("linux", Length::Manual)]), project("lint", None)];
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 2, &["linux"])], projects)).start(server).await;
        let mut deploy = site.server.submit("build:deploy", "u-1", "{}").await;
        deploy.started().await;
        runs_on(&site, "deploy", "a").await;
        let mut lint = site.server.submit("build:lint", "u-2", "{}").await;
        lint.started().await;
        let ci = site.controller("ci");
        ci.restart();
        assert_eq!(completion(&lint.finish().await)["result"], "ABORTED");
        site.looks("ci", 2).await;
        assert!(ci.finish("deploy", 1, BuildResult::Success), "it goes on");
        let end = completion(&deploy.finish().await);
        assert_eq!((&end["result"], &end["node_name"]), (&"SUCCESS".into(), &"a".into()), "{end}");
        assert_eq!(ci.builds().len(), 2);
    }

    async fn t17_the_nameless_parts_of_an_old_controllers_pipelines_do_no_harm_in_the_queue(server) {
        let nodes: [(&str, u32, &[&str]); 2] = [("a", 1, &["linux"]), ("b", 1, &["bsd"])];
        let projects = vec![pipeline("deploy", &[("linux", Length::Manual)]), project("lint", Some("linux"))];
        let builder = SiteBuilder::new().controller("ci", fleet(&nodes, projects)).version("ci", Version::new(2, 300));
        let site = builder.start(server).await;
        let mut lint = site.server.submit("build:lint", "u-1", "{}").await;
        lint.started().await;
        let mut deploy = site.server.submit("build:deploy", "u-2", "{}").await;
        deploy.started().await;
        let ci = site.controller("ci");
        eventually("its part is queued", || async { ci.queue().len() == 1 }).await;
        site.looks("ci", 2).await;
        assert_eq!(site.status().await.controllers[0].trouble, None);
        ci.finish("lint", 1, BuildResult::Success);
        lint.finish().await;
        runs_on(&site, "deploy", "a").await;
        ci.finish("deploy", 1, BuildResult::Unstable);
        let end = completion(&deploy.finish().await);
        assert_eq!((&end["result"], &end["node_name"]), (&"UNSTABLE".into(), &"a".into()), "{end}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f43_f56_a_pipeline_that_was_adopted_still_tells_its_node() {
    let projects = vec![pipeline("deploy", &[("linux", Length::Manual)])];
    let builder = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &["linux"])], projects));
    let mut site = builder.start(GearmanServer::start(Kind::Gearmand).await).await;
    let mut job = site.server.submit("build:deploy", "u-1", OFFLINE).await;
    job.started().await;
    runs_on(&site, "deploy", "a").await;
    site.stop_runtime().await;
    site.start_runtime().await;
    site.settle().await;
    site.looks("ci", 2).await;
    site.controller("ci").finish("deploy", 1, BuildResult::Success);
    assert_eq!(completion(&job.finish().await)["node_name"], "a");
    assert_eq!(site.offline("ci", &NodeName::agent("a")).as_deref(), Some(REASON));
    assert_eq!(site.offline("ci", &NodeName::BuiltIn), None);
}
