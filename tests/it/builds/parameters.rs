//! What a client sends is what its build gets.

use layshaft::domain::BuildResult;
use layshaft::simulator::{ParameterKind, ParameterSpec, ProjectSpec};

use crate::support::{SiteBuilder, completion, eventually, fleet, marked, on_both_servers, project};

on_both_servers! {
    async fn f31_every_declared_parameter_arrives_as_it_was_sent(server) {
        let text = "first line\nsecond\ttabbed\r\nünïcödé \u{1f980} \"quoted\" & <b>=%41+'";
        let mut lint = marked("lint", None);
        for name in ["TEXT", "EMPTY", "NUMBER", "UNSENT"] {
            lint.parameters.push(ParameterSpec::new(name, ParameterKind::Text, "default"));
        }
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], vec![lint])).start(server).await;
        let payload = serde_json::json!({"TEXT": text, "EMPTY": "", "NUMBER": 20, "UNDECLARED": "x"}).to_string();
        let updates = site.server.run("build:lint", "u-1", &payload).await;
        assert_eq!(completion(&updates)["result"], "SUCCESS");
        let builds = site.controller("ci").builds();
        let parameters = &builds[0].parameters;
        let sent = [("TEXT", text), ("EMPTY", ""), ("NUMBER", "20"), ("UNSENT", "default"), ("UUID", "u-1")];
        for (name, value) in sent {
            assert_eq!(parameters.get(name), Some(value), "{name}");
        }
        assert!(!parameters.contains("UNDECLARED"));
    }

    async fn f32_t02_what_jenkins_drops_since_no_project_declares_it_is_told_and_not_lost_silently(server) {
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], vec![marked("lint", None)])).start(server).await;
        let updates = site.server.run("build:lint", "u-1", r#"{"ZUUL_CHANGE":"s3cret","UUID":"u-1"}"#).await;
        assert_eq!(completion(&updates)["result"], "SUCCESS");
        assert!(!site.controller("ci").builds()[0].parameters.contains("ZUUL_CHANGE"));
        let notes = site.status().await.notes;
        assert!(notes.iter().any(|note| note.starts_with("lint on ci does not declare ZUUL_CHANGE,")), "{notes:?}");
        assert!(!notes.iter().any(|note| note.contains("s3cret")), "{notes:?}");
    }

    async fn f33_what_a_client_does_not_send_has_its_default(server) {
        let mut lint = marked("lint", None);
        lint.parameters.push(ParameterSpec::new("BRANCH", ParameterKind::String, "main"));
        lint.parameters.push(ParameterSpec::new("FORCE", ParameterKind::Boolean, ""));
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], vec![lint])).start(server).await;
        // Neither what is null nor what is absent is sent.
        site.server.run("build:lint", "u-1", r#"{"BRANCH":null}"#).await;
        let builds = site.controller("ci").builds();
        assert_eq!((builds[0].parameters.get("BRANCH"), builds[0].parameters.get("FORCE")), (Some("main"), Some("false")));
    }

    async fn f34_without_a_unique_the_job_runs_and_nothing_blocks(server) {
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], vec![marked("lint", None)])).start(server).await;
        for _ in 0..3 {
            assert_eq!(completion(&site.server.run("build:lint", "", "{}").await)["result"], "SUCCESS");
        }
        let builds = site.controller("ci").builds();
        let markers: std::collections::BTreeSet<_> = builds.iter().map(|build| build.parameters.get("UUID")).collect();
        assert_eq!((builds.len(), markers.len()), (3, 3), "each build has a marker of its own: {builds:?}");
    }

    async fn f34_a_value_of_the_client_for_the_marker_is_passed_on(server) {
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], vec![marked("lint", None)])).start(server).await;
        site.server.run("build:lint", "u-1", r#"{"UUID":"mine"}"#).await;
        assert_eq!(site.controller("ci").builds()[0].parameters.get("UUID"), Some("mine"));
    }

    async fn f35_builds_run_on_the_nodes_whose_workers_took_the_jobs(server) {
        let nodes: [(&str, u32, &[&str]); 3] = [("a", 1, &["linux"]), ("b", 1, &["linux"]), ("c", 1, &["linux"])];
        let site = SiteBuilder::new().controller("ci", fleet(&nodes, vec![project("lint", Some("linux"))])).start(server).await;
        let mut jobs = Vec::new();
        for number in 1..=3 {
            jobs.push(site.server.submit("build:lint:linux", &format!("u-{number}"), "{}").await);
        }
        let mut nodes = std::collections::BTreeSet::new();
        for job in &mut jobs {
            let started = job.started().await;
            let node = started["node_name"].as_str().unwrap().to_owned();
            assert_eq!(started["worker"], format!("{node}_exec-0"));
            nodes.insert(node);
        }
        assert_eq!(nodes.len(), 3);
        for number in 1..=3 {
            site.controller("ci").finish("lint", number, BuildResult::Success);
        }
        for job in jobs {
            job.finish().await;
        }
    }

    async fn f48_equal_jobs_of_an_unmarked_project_give_builds_one_after_the_other(server) {
        let plain = ProjectSpec { parameters: Vec::new(), quiet_period: None, ..marked("plain", None) };
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 2, &[])], vec![plain])).start(server).await;
        let (first, second, third) = tokio::join!(
            site.server.run("build:plain", "u-1", "{}"),
            site.server.run("build:plain", "u-2", "{}"),
            site.server.run("build:plain", "u-3", "{}"),
        );
        let mut numbers: Vec<u64> =
            [first, second, third].iter().map(|updates| completion(updates)["number"].as_u64().unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, [1, 2, 3]);
        assert_eq!(site.controller("ci").builds().len(), 3);
        eventually("nothing is left under way", || async { site.runtime().status().await.unwrap().builds.is_empty() }).await;
    }
}
