//! Jobs that cannot become builds: one terminal packet, and the worker goes on.

use std::time::Duration;

use layshaft::domain::BuildResult;
use layshaft::gearman::client::Update;
use layshaft::simulator::{Fault, FaultRule};

use crate::support::{
    GearmanServer, Kind, Proxy, Site, SiteBuilder, completion, eventually, exception, fleet, marked, on_both_servers,
    project,
};

/// How long the list of projects takes, so that a job comes before a change is seen.
const UNNOTICED: Duration = Duration::from_secs(5);

async fn site(server: GearmanServer) -> Site {
    let fleet = fleet(&[("a", 1, &[])], vec![marked("lint", None), marked("doomed", None)]);
    SiteBuilder::new().controller("ci", fleet).start(server).await
}

async fn assert_still_serving(site: &Site) {
    assert_eq!(completion(&site.server.run("build:lint", "", "{}").await)["result"], "SUCCESS");
}

on_both_servers! {
    async fn f30_payloads_that_do_not_read_end_in_an_exception_and_the_worker_lives(server) {
        let site = site(server).await;
        let deep = format!("{{\"a\":{}", "[".repeat(100_000));
        let payloads = [
            r#"{"a":{"b":"c"}}"#, r#"{"a":["b"]}"#, r#"{"a":"1","a":"2"}"#, r#"{"a":"1",}"#, r#"{"a"}"#, r#"{"a":"1"} x"#,
            "{a: two words}", "", "   ", "null", r#""text""#, "17", "{", "\u{0}\u{1}\u{2}", &deep,
        ];
        for payload in payloads {
            let updates = site.server.run("build:lint", "", payload).await;
            let text = exception(&updates);
            assert!(text.starts_with("payload is not a JSON object of parameters: "), "{text}");
            assert_eq!(updates.len(), 1, "{updates:?}");
        }
        assert!(site.controller("ci").builds().is_empty());
        assert_still_serving(&site).await;
    }

    async fn f30_a_payload_out_of_all_proportion_is_refused_and_not_echoed(server) {
        let site = site(server).await;
        // geard reads in small steps and copies what it has with each.
        let length = if site.server.kind == Kind::Geard { 1 << 19 } else { 9 << 20 };
        let name = "n".repeat(length);
        let payload = format!(r#"{{"{name}":"1","{name}":"2"}}"#);
        let text = exception(&site.server.run("build:lint", "", &payload).await);
        assert!(text.len() <= 2000, "{} bytes", text.len());
        assert_still_serving(&site).await;
    }

    async fn f45_an_unknown_function_fails_and_the_worker_keeps_serving(server) {
        let proxy = Proxy::start(&server.address).await;
        let fleet = fleet(&[("a", 1, &[])], vec![marked("lint", None), marked("doomed", None)]);
        let site = SiteBuilder::new().through(&proxy).controller("ci", fleet).start(server).await;
        // What the server hands out is not what was offered.
        proxy.rewrite_to_workers("build:doomed", "build:nobody");
        let updates = site.server.run("build:doomed", "u-1", "{}").await;
        assert_eq!(updates, [Update::Fail]);
        assert_still_serving(&site).await;
        assert!(site.controller("ci").builds().iter().all(|build| build.project == "lint"));
    }

    async fn f46_a_project_that_vanished_meanwhile_ends_in_an_exception(server) {
        let site = site(server).await;
        let ci = site.controller("ci");
        // Nobody is told: the workers still offer it when the job comes.
        ci.fault(FaultRule::new("/api/json", Fault::Latency(UNNOTICED)));
        ci.remove_project("doomed");
        let updates = site.server.run("build:doomed", "u-1", "{}").await;
        let text = exception(&updates);
        assert!(text.starts_with("jenkins did not start doomed: ") && text.contains("does not exist"), "{text}");
        ci.clear_faults();
        assert_still_serving(&site).await;
        eventually("the project is withdrawn", || async { site.server.workers_for("build:doomed").await == 0 }).await;
    }

    async fn f46_a_project_that_was_disabled_meanwhile_ends_in_an_exception_and_the_node_goes_offline_if_asked(server) {
        let site = site(server).await;
        let ci = site.controller("ci");
        ci.fault(FaultRule::new("/api/json", Fault::Latency(UNNOTICED)));
        ci.set_disabled("doomed", true);
        let updates = site.server.run("build:doomed", "u-1", r#"{"OFFLINE_NODE_WHEN_COMPLETE":"1"}"#).await;
        let text = exception(&updates);
        assert!(text.contains("is not buildable"), "{text}");
        let node = ci.nodes().into_iter().find(|node| node.executors == 1).unwrap();
        assert_eq!(node.offline_reason.as_deref(), Some("Offline due to Gearman request"));
        assert!(ci.builds().is_empty());
        assert_eq!(updates.iter().filter(|update| update.is_last()).count(), 1, "{updates:?}");
    }

    async fn a_unique_that_two_jobs_share_at_once_is_one_build_and_both_are_told(server) {
        let fleet = fleet(&[("a", 2, &[])], vec![project("lint", None)]);
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        let mut first = site.server.submit("build:lint", "same", "{}").await;
        first.started().await;
        let mut second = site.server.submit("build:lint", "same", "{}").await;
        // gearmand makes them one job, and tells a client that joins late only what comes from now on.
        if site.server.kind == Kind::Geard {
            assert_eq!(second.started().await["number"], 1);
        }
        site.controller("ci").finish("lint", 1, BuildResult::Success);
        for job in [first, second] {
            let updates = job.finish().await;
            assert!(matches!(updates.last(), Some(Update::Complete(_))), "{updates:?}");
            assert_eq!(completion(&updates)["number"], 1);
        }
        assert_eq!(site.controller("ci").builds().len(), 1);
    }
}
