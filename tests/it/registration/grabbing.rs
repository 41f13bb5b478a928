//! When jobs are asked for: only with an executor that is idle, and then by whoever has it.

use layshaft::domain::{BuildResult, Parameters};
use layshaft::gearman::Kind;
use layshaft::runtime::status::WorkerState;

use crate::support::{GearmanServer, Kind as Server, Site, SiteBuilder, eventually, fleet, on_both_servers, project};

on_both_servers! {
    async fn f36_nobody_asks_while_all_executors_of_a_node_run_builds_of_jenkins(server) {
        let fleet = fleet(&[("a", 2, &[])], vec![project("lint", None)]);
        let site = SiteBuilder::new().controller("ci", fleet).recorded().start(server).await;
        let ci = site.controller("ci");
        for worker in ["a_exec-0", "a_exec-1"] {
            asleep(&site, worker).await;
        }
        for _ in 0..2 {
            block(&site, "a").await;
        }
        for worker in ["a_exec-0", "a_exec-1"] {
            site.eventually_worker(worker, WorkerState::Waiting).await;
        }
        site.looks("ci", 1).await;
        let moment = site.recorder().now();
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        site.looks("ci", 5).await;
        for worker in ["a_exec-0", "a_exec-1"] {
            assert_eq!(site.recorder().sent_by(worker, moment), [""; 0], "{worker} has nothing to ask with");
        }
        assert_eq!(ci.builds().len(), 2);
        assert!(ci.finish("lint", 1, BuildResult::Success));
        job.started().await;
        assert!(ci.finish("lint", 3, BuildResult::Success));
        job.finish().await;
    }

    async fn f37_nobody_asks_while_the_controller_is_quieting_down(server) {
        let fleet = fleet(&[("a", 1, &[])], vec![project("lint", None)]);
        let site = SiteBuilder::new().controller("ci", fleet).recorded().start(server).await;
        asleep(&site, "a_exec-0").await;
        let ci = site.controller("ci");
        ci.quiet_down(true);
        site.eventually_worker("a_exec-0", WorkerState::Waiting).await;
        site.looks("ci", 1).await;
        let moment = site.recorder().now();
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        site.looks("ci", 5).await;
        assert_eq!(site.recorder().sent_by("a_exec-0", moment), [""; 0]);
        site.offers("a_exec-0", &["build:lint"]).await;
        ci.quiet_down(false);
        job.started().await;
        assert!(ci.finish("lint", 1, BuildResult::Success));
        job.finish().await;
    }

    async fn d4_a_waiting_job_is_taken_although_the_woken_sleeper_has_lost_its_lease(server) {
        a_job_is_taken_whoever_is_woken(server).await;
    }

    async fn d4_jobs_that_wait_for_an_executor_wake_nobody_over_and_over(server) {
        a_waiting_job_is_no_busy_loop(server).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d4_a_waiting_job_is_taken_although_the_server_wakes_one_sleeper_without_a_lease() {
    let seen = a_job_is_taken_whoever_is_woken(GearmanServer::start(Server::GearmandWakingOne).await).await;
    assert!(seen > 0, "in one of the rounds the one sleeper that was woken had no lease");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d4_jobs_that_wait_wake_nobody_over_and_over_where_one_is_woken() {
    a_waiting_job_is_no_busy_loop(GearmanServer::start(Server::GearmandWakingOne).await).await;
}

/// Lets each of two nodes be full in turn, and returns how often the full one was woken.
async fn a_job_is_taken_whoever_is_woken(server: GearmanServer) -> usize {
    let fleet = fleet(&[("a", 1, &[]), ("b", 1, &[])], vec![project("lint", None)]);
    let site = SiteBuilder::new().controller("ci", fleet).recorded().start(server).await;
    let ci = site.controller("ci");
    let mut woken = 0;
    let mut builds = 0;
    for (round, (full, free)) in [("a", "b"), ("b", "a"), ("a", "b"), ("b", "a")].into_iter().enumerate() {
        for node in [full, free] {
            site.eventually_worker(&format!("{node}_exec-0"), WorkerState::Grabbing).await;
            let worker = format!("{node}_exec-0");
            eventually("it sleeps", || async {
                let answers = [Kind::GrabJobUniq, Kind::PreSleep].map(|kind| site.recorder().count(&worker, kind, 0));
                let got = [Kind::NoJob, Kind::JobAssignUniq].map(|kind| site.recorder().count(&worker, kind, 0));
                answers[0] == got[0] + got[1] && answers[1] == got[0] && got[0] > round / 2
            })
            .await;
        }
        block(&site, full).await;
        builds += 1;
        let foreign = builds;
        site.eventually_worker(&format!("{full}_exec-0"), WorkerState::Waiting).await;
        let moment = site.recorder().now();
        let mut job = site.server.submit("build:lint", &format!("u-{round}"), "{}").await;
        assert_eq!(job.started().await["worker"], format!("{free}_exec-0"));
        builds += 1;
        woken += site.recorder().count(&format!("{full}_exec-0"), Kind::Noop, moment);
        assert_eq!(site.recorder().count(&format!("{full}_exec-0"), Kind::GrabJobUniq, moment), 0);
        assert!(ci.finish("lint", builds, BuildResult::Success));
        job.finish().await;
        assert!(ci.finish("lint", foreign, BuildResult::Success));
    }
    woken
}

async fn a_waiting_job_is_no_busy_loop(server: GearmanServer) {
    let fleet = fleet(&[("a", 1, &[]), ("b", 1, &[])], vec![project("lint", None)]);
    let site = SiteBuilder::new().controller("ci", fleet).recorded().start(server).await;
    for node in ["a", "b"] {
        asleep(&site, &format!("{node}_exec-0")).await;
        block(&site, node).await;
    }
    for node in ["a", "b"] {
        site.eventually_worker(&format!("{node}_exec-0"), WorkerState::Waiting).await;
    }
    site.looks("ci", 1).await;
    let moment = site.recorder().now();
    let mut jobs = Vec::new();
    for unique in ["u-1", "u-2", "u-3"] {
        jobs.push(site.server.submit("build:lint", unique, "{}").await);
    }
    site.looks("ci", 5).await;
    for worker in ["a_exec-0", "b_exec-0"] {
        assert_eq!(site.recorder().sent_by(worker, moment), [""; 0]);
        let woken = site.recorder().count(worker, Kind::Noop, moment);
        assert!(woken <= 3, "{worker} was woken {woken} times by three jobs");
    }
    for number in 1..=5 {
        eventually("a build ends", || async { site.controller("ci").finish("lint", number, BuildResult::Success) })
            .await;
    }
    for job in jobs {
        job.finish().await;
    }
}

/// Waits until a worker has asked for a job, got none and sleeps, as the server has heard.
async fn asleep(site: &Site, worker: &str) {
    eventually("a worker sleeps", || async { site.recorder().count(worker, Kind::PreSleep, 0) > 0 }).await;
}

/// Starts a build of Jenkins' own that takes an executor of a node.
async fn block(site: &Site, node: &str) {
    let ci = site.controller("ci");
    let before = ci.builds().len();
    let mut pinned = Parameters::new();
    pinned.set("NODE", Some(node.to_owned()));
    pinned.set("UUID", Some(format!("foreign-{before}")));
    ci.start_foreign_build("lint", &pinned).unwrap();
    eventually("the foreign build runs", || async { ci.builds().len() == before + 1 }).await;
}
