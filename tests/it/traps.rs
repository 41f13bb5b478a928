//! What Jenkins does that nobody expects, as in `docs/traps.md`; and how builds wait for their executors.

use std::time::Duration;

use layshaft::domain::{BuildResult, Parameters};
use layshaft::runtime::OnStuck;
use layshaft::simulator::{Length, ProjectSpec};

use crate::support::{SiteBuilder, completion, eventually, exception, fleet, marked, on_both_servers, project, stuck};

on_both_servers! {
    async fn f38_a_build_that_loses_the_race_for_an_executor_waits_in_jenkins_and_starts_once(server) {
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], vec![project("lint", None), project("other", None)])).start(server).await;
        let ci = site.controller("ci");
        // Ours is about to start when somebody else takes the executor.
        ci.update_project("lint", |spec| spec.quiet_period = Some(Duration::from_millis(300)));
        ci.start_foreign_build("other", &Parameters::new()).unwrap();
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        eventually("the other build runs", || async { ci.builds().iter().any(|build| build.project == "other") }).await;
        ci.finish("other", 1, BuildResult::Success);
        assert_eq!(job.started().await["number"], 1);
        ci.finish("lint", 1, BuildResult::Success);
        assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        assert_eq!(ci.builds().iter().filter(|build| build.project == "lint").count(), 1);
    }

    async fn f39_a_build_that_waits_in_the_queue_blocks_one_executor_only(server) {
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 2, &[])], vec![stuck("stuck"), marked("quick", None)])).start(server).await;
        let ci = site.controller("ci");
        let _waiting = site.server.submit("build:stuck", "u-1", r#"{"delay":"600sec"}"#).await;
        eventually("one build waits", || async { ci.queue().len() == 1 }).await;
        for number in 2..5 {
            let updates = site.server.run("build:quick", &format!("u-{number}"), "{}").await;
            assert_eq!(completion(&updates)["result"], "SUCCESS");
        }
        assert_eq!(ci.queue().len(), 1);
    }

    async fn t06_an_item_that_left_the_queue_and_never_becomes_a_build_ends_the_job(server) {
        let ghost = ProjectSpec { never_created: true, ..marked("ghost", None) };
        let site = SiteBuilder::new()
            .config(|config| config.lost_after = Duration::from_secs(1))
            .controller("ci", fleet(&[("a", 1, &[])], vec![ghost]))
            .start(server)
            .await;
        let text = exception(&site.server.run("build:ghost", "u-1", "{}").await);
        assert_eq!(text, "the build left the jenkins queue and never started");
    }

    async fn t07_a_result_that_shows_while_the_build_still_runs_is_not_its_end(server) {
        let failing = ProjectSpec { early_result: true, result: BuildResult::Failure, ..project("failing", None) };
        let lingering = ProjectSpec {
            post_production: Duration::from_millis(500),
            duration: Length::Fixed(Duration::ZERO),
            ..project("lingering", None)
        };
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], vec![failing, lingering])).start(server).await;
        let ci = site.controller("ci");
        let mut job = site.server.submit("build:failing", "u-1", "{}").await;
        job.started().await;
        let status = site.status().await;
        assert_eq!(status.builds.len(), 1, "it has a result, and runs: {:?}", status.builds);
        // Whoever took the first result for the end would report another one.
        ci.finish("failing", 1, BuildResult::Aborted);
        assert_eq!(completion(&job.finish().await)["result"], "ABORTED");
        assert_eq!(completion(&site.server.run("build:lingering", "u-2", "{}").await)["result"], "SUCCESS");
    }

    async fn t08_a_build_that_cannot_be_cancelled_since_it_is_starting_is_followed(server) {
        let site = SiteBuilder::new()
            .start_latency(Duration::from_secs(2))
            .config(|config| (config.start_within, config.on_stuck) = (Duration::from_millis(500), OnStuck::Fail))
            .controller("ci", fleet(&[("a", 1, &[])], vec![marked("slow", None)]))
            .start(server)
            .await;
        let ci = site.controller("ci");
        let updates = site.server.run("build:slow", "u-1", "{}").await;
        assert_eq!(completion(&updates)["result"], "SUCCESS");
        assert!(ci.requests()["POST /queue/cancelItem"] > 0, "it was tried, and Jenkins answered 500");
        assert_eq!(ci.builds().len(), 1);
    }

    async fn t13_what_a_list_lacks_for_once_is_not_taken_for_deleted(server) {
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[]), ("b", 1, &[])], vec![marked("lint", None)])).start(server).await;
        let ci = site.controller("ci");
        site.offers("a_exec-0", &["build:lint"]).await;
        ci.set_hidden_from_lists("lint", true);
        ci.set_hidden_from_lists("a", true);
        site.looks("ci", 5).await;
        assert_eq!(site.server.functions_of("a_exec-0").await, ["build:lint"]);
        assert_eq!(completion(&site.server.run("build:lint", "u-1", "{}").await)["result"], "SUCCESS");
    }

    async fn t25_disabling_a_project_takes_its_builds_out_of_the_queue_and_the_client_is_told(server) {
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], vec![stuck("stuck")])).start(server).await;
        let ci = site.controller("ci");
        let job = site.server.submit("build:stuck", "u-1", r#"{"delay":"600sec"}"#).await;
        eventually("the build waits", || async { ci.queue().len() == 1 }).await;
        ci.set_disabled("stuck", true);
        assert_eq!(exception(&job.finish().await), "the build was cancelled in the jenkins queue");
        assert!(ci.builds().is_empty());
    }
}
