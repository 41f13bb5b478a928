//! Restarts of the daemon in mid-build: no build is started twice, and none is forgotten.

use std::time::Duration;

use layshaft::domain::BuildResult;
use layshaft::gearman::client::Update;

use crate::support::{
    GearmanServer, Kind, SiteBuilder, completion, eventually, exception, fleet, marked, on_both_servers, project, stuck,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f49_f56_a_running_build_is_adopted_after_a_restart() {
    let fleet = fleet(&[("a", 2, &[])], vec![project("lint", None)]);
    let mut site = SiteBuilder::new().controller("ci", fleet).start(GearmanServer::start(Kind::Gearmand).await).await;
    let mut job = site.server.submit("build:lint", "u-1", "{}").await;
    let started = job.started().await;
    site.stop_runtime().await;
    site.start_runtime().await;
    assert_eq!(job.started().await, started);
    site.controller("ci").finish("lint", 1, BuildResult::Success);
    assert_eq!(completion(&job.finish().await)["number"], 1);
    assert_eq!(site.controller("ci").builds().len(), 1);
    site.idle().await;
    // The server's answer to what followed the result comes after the client has it.
    eventually("the delivery is journaled", || async {
        let recent = site.runtime().journal().recent(10).await.unwrap();
        recent.iter().map(|record| record.state.as_str()).eq(["delivered"])
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f56_builds_that_hold_every_executor_over_a_restart_are_delivered_when_they_end() {
    let fleet = fleet(&[("a", 2, &[])], vec![project("lint", None)]);
    let mut site = SiteBuilder::new().controller("ci", fleet).start(GearmanServer::start(Kind::Gearmand).await).await;
    let mut jobs = Vec::new();
    for number in 1..=2 {
        let mut job = site.server.submit("build:lint", &format!("u-{number}"), "{}").await;
        assert_eq!(job.started().await["number"], number);
        jobs.push(job);
    }
    site.stop_runtime().await;
    site.start_runtime().await;
    site.settle().await;
    let ci = site.controller("ci");
    ci.finish("lint", 2, BuildResult::Unstable);
    // The executor that is free brings the jobs of both, each to its own build.
    let updates = jobs.pop().unwrap().finish().await;
    assert_eq!((&completion(&updates)["number"], &completion(&updates)["result"]), (&2.into(), &"UNSTABLE".into()));
    ci.finish("lint", 1, BuildResult::Success);
    assert_eq!(completion(&jobs.pop().unwrap().finish().await)["result"], "SUCCESS");
    assert_eq!(ci.builds().len(), 2);
    site.idle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f56_a_result_that_came_while_the_daemon_was_away_is_delivered() {
    let fleet = fleet(&[("a", 1, &[])], vec![project("lint", None)]);
    let mut site = SiteBuilder::new().controller("ci", fleet).start(GearmanServer::start(Kind::Gearmand).await).await;
    let mut job = site.server.submit("build:lint", "u-1", "{}").await;
    job.started().await;
    site.stop_runtime().await;
    site.controller("ci").finish("lint", 1, BuildResult::Unstable);
    site.start_runtime().await;
    assert_eq!(completion(&job.finish().await)["result"], "UNSTABLE");
    assert_eq!(site.controller("ci").builds().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f56_a_build_that_is_still_queued_is_adopted_after_a_restart() {
    let fleet = fleet(&[("a", 1, &[])], vec![stuck("slow")]);
    let mut site = SiteBuilder::new().controller("ci", fleet).start(GearmanServer::start(Kind::Gearmand).await).await;
    let job = site.server.submit("build:slow", "u-1", r#"{"delay":"3sec"}"#).await;
    eventually("the build is queued", || async {
        let status = site.runtime().status().await.unwrap();
        status.builds.iter().any(|build| build.queue_item.is_some())
    })
    .await;
    site.stop_runtime().await;
    site.start_runtime().await;
    assert_eq!(completion(&job.finish().await)["number"], 1);
    assert_eq!(site.controller("ci").builds().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f56_a_job_without_a_unique_is_built_anew_after_a_restart_and_blocks_nothing() {
    let fleet = fleet(&[("a", 2, &[])], vec![project("lint", None), marked("quick", None)]);
    let mut site = SiteBuilder::new().controller("ci", fleet).start(GearmanServer::start(Kind::Gearmand).await).await;
    let mut job = site.server.submit("build:lint", "", "{}").await;
    job.started().await;
    site.stop_runtime().await;
    site.start_runtime().await;
    assert_eq!(job.started().await["number"], 2, "a handle says too little to be sure");
    let ci = site.controller("ci");
    ci.finish("lint", 2, BuildResult::Success);
    assert_eq!(completion(&job.finish().await)["number"], 2);
    ci.finish("lint", 1, BuildResult::Success);
    site.idle().await;
    eventually("both ends are journaled", || async {
        let recent = site.runtime().journal().recent(10).await.unwrap();
        recent.iter().map(|record| record.state.as_str()).eq(["delivered", "failed"])
    })
    .await;
}

on_both_servers! {
    async fn f53_the_same_unique_right_after_its_end_is_a_new_job(server) {
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], vec![marked("lint", None)])).start(server).await;
        for number in 1..=5 {
            assert_eq!(completion(&site.server.run("build:lint", "always", "{}").await)["number"], number);
        }
        site.idle().await;
    }

    async fn a_build_is_followed_through_a_new_configuration(server) {
        let fleet = fleet(&[("a", 1, &[])], vec![project("lint", None), stuck("slow")]);
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        job.started().await;
        site.reconfigure();
        site.controller("ci").finish("lint", 1, BuildResult::Success);
        assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        let job = site.server.submit("build:slow", "u-2", r#"{"delay":"2sec"}"#).await;
        eventually("the build is queued", || async { !site.controller("ci").queue().is_empty() }).await;
        site.reconfigure();
        assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
    }

    async fn a_drain_takes_nothing_new_finishes_what_runs_and_delivers_it(server) {
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 2, &[])], vec![project("lint", None)])).start(server).await;
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        job.started().await;
        site.runtime().drain().unwrap();
        eventually("it drains", || async { !site.runtime().status().await.unwrap().not_ready.is_empty() }).await;
        // Management goes on; and after its answer every connection has heard that it has no lease any more.
        let text = exception(&site.server.run("stop:ci", "", r#"{"name":"lint","number":"7"}"#).await);
        assert_eq!(text, "Cannot find build lint: 7");
        let _waits = site.server.submit("build:lint", "u-2", "{}").await;
        let ci = site.controller("ci");
        ci.finish("lint", 1, BuildResult::Success);
        assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        let stopped = tokio::time::timeout(Duration::from_secs(30), site.runtime().stopped()).await;
        assert!(stopped.is_ok(), "the drain has no end: {:#?}", site.runtime().status().await);
        assert_eq!(ci.builds().len(), 1);
        assert_eq!(site.server.waiting_jobs_of("build:lint").await, 1, "the second job waits, and has not failed");
        let recent = site.runtime().journal().recent(10).await.unwrap();
        assert_eq!(recent.iter().map(|record| record.state.as_str()).collect::<Vec<_>>(), ["delivered"]);
    }

    async fn stops_between_jobs_cost_no_job(server) {
        let mut site = SiteBuilder::new().controller("ci", fleet(&[("a", 4, &[])], vec![marked("lint", None)])).start(server).await;
        for round in 0..5 {
            assert!(matches!(site.server.run("build:lint", &format!("a-{round}"), "{}").await.last(), Some(Update::Complete(_))));
            site.stop_runtime().await;
            // Comes while nobody is there.
            let job = site.server.submit("build:lint", &format!("b-{round}"), "{}").await;
            site.start_runtime().await;
            assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        }
        assert_eq!(site.controller("ci").builds().len(), 10);
    }
}
