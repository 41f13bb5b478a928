//! Matrix projects: the parent occupies no executor, its cells do, and neither waits for the other for ever.

use std::collections::BTreeMap;
use std::time::Duration;

use layshaft::domain::{BuildResult, NodeName, ProjectKind};
use layshaft::gearman::client::Update;
use layshaft::policy::Grant;
use layshaft::runtime::OfflineMark;
use layshaft::simulator::{Length, ProjectSpec};

use crate::support::{
    GearmanServer, Site, SiteBuilder, completion, eventually, fleet, marked, on_both_servers, project,
};

const REASON: &str = "Offline due to Gearman request";
const OFFLINE: &str = r#"{"OFFLINE_NODE_WHEN_COMPLETE":"1"}"#;

/// Returns a matrix of two cells, which take a moment each.
fn matrix(name: &str, label: Option<&str>) -> ProjectSpec {
    let axes = BTreeMap::from([("os".to_owned(), ["bsd", "linux"].map(str::to_owned).to_vec())]);
    ProjectSpec { kind: ProjectKind::Matrix, axes, ..marked(name, label) }
}

/// Returns a matrix whose cells last long enough for everything to be noticed while they run.
fn lasting(name: &str, label: Option<&str>) -> ProjectSpec {
    ProjectSpec { duration: Length::Fixed(Duration::from_millis(400)), ..matrix(name, label) }
}

fn manual(name: &str, label: Option<&str>) -> ProjectSpec {
    ProjectSpec { duration: Length::Manual, ..matrix(name, label) }
}

/// Returns how the cells of a build have ended, and none for each that has not.
fn cells(site: &Site, matrix: &str, number: u64) -> Vec<Option<BuildResult>> {
    let prefix = format!("{matrix}/");
    let builds = site.controller("ci").builds().into_iter();
    builds
        .filter(|build| build.project.starts_with(&prefix) && build.number == number)
        .map(|build| build.result)
        .collect()
}

on_both_servers! {
    async fn f13_t27_a_matrix_runs_on_a_single_executor_and_completes_with_its_result(server) {
        let projects = vec![matrix("tied", Some("linux")), matrix("free", None)];
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &["linux"])], projects)).start(server).await;
        for number in 1..=2 {
            for (name, node) in [("tied", "a"), ("free", "")] {
                let updates = site.server.run(&format!("build:{name}"), &format!("u-{name}-{number}"), "{}").await;
                let end = completion(&updates);
                assert_eq!((&end["result"], &end["number"]), (&"SUCCESS".into(), &number.into()), "{end}");
                // The parent's own node, as Jenkins tells it: where it was carried, not where its cells ran.
                assert_eq!(end["node_name"], node, "{end}");
                assert_eq!(cells(&site, name, number), [Some(BuildResult::Success); 2]);
            }
        }
        site.idle().await;
    }

    async fn f13_f50_a_node_goes_offline_when_all_cells_have_run_and_never_before(server) {
        for mark in [OfflineMark::AtStart, OfflineMark::AtEnd] {
            let server = GearmanServer::start(server.kind).await;
            let projects = vec![lasting("tied", Some("linux")), lasting("free", None)];
            let builder = SiteBuilder::new().config(|config| config.offline_mark = mark);
            let site = builder.controller("ci", fleet(&[("a", 1, &["linux"])], projects)).start(server).await;
            for name in ["tied", "free"] {
                let end = completion(&site.server.run(&format!("build:{name}"), "u-1", OFFLINE).await);
                assert_eq!(end["result"], "SUCCESS", "{name} {mark:?}");
                assert_eq!(site.offline("ci", &NodeName::agent("a")).as_deref(), Some(REASON), "{name} {mark:?}");
                assert_eq!(cells(&site, name, 1), [Some(BuildResult::Success); 2]);
                assert_eq!(site.offline("ci", &NodeName::BuiltIn), None, "{name} {mark:?}");
                let function = format!("build:{name}");
                eventually("it is withdrawn", || async { site.server.workers_for(&function).await == 0 }).await;
                site.controller("ci").set_offline(&NodeName::agent("a"), None);
                eventually("it is offered again", || async { site.server.workers_for(&function).await == 1 }).await;
            }
        }
    }

    async fn f13_f50_a_matrix_never_takes_the_built_in_node_offline(server) {
        let mut fleet = fleet(&[], vec![matrix("free", None)]);
        fleet.built_in.executors = 1;
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        for number in 1..=2 {
            let updates = site.server.run("build:free", &format!("u-{number}"), OFFLINE).await;
            assert_eq!(completion(&updates)["result"], "SUCCESS");
            assert_eq!(site.offline("ci", &NodeName::BuiltIn), None);
        }
    }

    async fn f13_f60_f64_stopping_a_matrix_ends_its_cells_and_frees_the_node(server) {
        let fleet = fleet(&[("a", 1, &["linux"])], vec![manual("m", Some("linux")), project("lint", None)]);
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        let mut job = site.server.submit("build:m", "u-1", OFFLINE).await;
        let started = job.started().await;
        eventually("a cell runs", || async { !cells(&site, "m", 1).is_empty() }).await;
        let request = serde_json::json!({"name": started["name"], "number": started["number"]}).to_string();
        assert_eq!(site.server.run("stop:ci", "", &request).await, [Update::Complete("".into())]);
        assert_eq!(completion(&job.finish().await)["result"], "ABORTED");
        assert_eq!(cells(&site, "m", 1), [Some(BuildResult::Aborted)]);
        assert_eq!(site.offline("ci", &NodeName::agent("a")).as_deref(), Some(REASON));
        site.controller("ci").set_offline(&NodeName::agent("a"), None);
        let mut job = site.server.submit("build:lint", "u-2", "{}").await;
        job.started().await;
        site.controller("ci").finish("lint", 1, BuildResult::Success);
        job.finish().await;
    }

    async fn f13_the_parent_of_a_matrix_keeps_no_executor_from_others(server) {
        let mut single = manual("m", Some("linux"));
        single.axes.insert("os".to_owned(), vec!["bsd".to_owned()]);
        let fleet = fleet(&[("a", 2, &["linux"])], vec![single, project("lint", None)]);
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        let mut matrix = site.server.submit("build:m", "u-1", "{}").await;
        matrix.started().await;
        eventually("its cell runs", || async { !cells(&site, "m", 1).is_empty() }).await;
        site.looks("ci", 2).await;
        let mut lint = site.server.submit("build:lint", "u-2", "{}").await;
        assert_eq!(lint.started().await["node_name"], "a");
        let ci = site.controller("ci");
        ci.finish("lint", 1, BuildResult::Success);
        ci.finish("m/os=bsd", 1, BuildResult::Unstable);
        assert_eq!(completion(&matrix.finish().await)["result"], "UNSTABLE");
        assert_eq!(completion(&lint.finish().await)["result"], "SUCCESS");
    }

    async fn f13_f113_a_policy_that_reserves_nodes_keeps_no_cell_from_running(server) {
        let site = SiteBuilder::new()
            .controller("ci", fleet(&[("a", 1, &["single-use"])], vec![lasting("m", Some("single-use"))]))
            .example_policy("40-single-use-nodes.wasm", "single-use-nodes")
            // The only node of its label.
            .policy_file("40-single-use-nodes.toml", "[[bind]]\nsingle_use = true")
            .grant("single-use-nodes", &[Grant::Labels])
            .start(server)
            .await;
        assert_eq!(completion(&site.server.run("build:m", "u-1", "{}").await)["result"], "SUCCESS");
        assert_eq!(cells(&site, "m", 1), [Some(BuildResult::Success); 2]);
        let reason = site.offline("ci", &NodeName::agent("a")).unwrap();
        assert!(reason.contains("single use: m ended with success"), "{reason}");
    }
}
