//! Several Gearman servers at once: every worker is at each of them, and has one job at a time over all of them.

use layshaft::domain::BuildResult;
use layshaft::gearman::client::Update;
use layshaft::gearman::worker::{self, Worker};
use layshaft::runtime::status::WorkerState;
use layshaft::simulator::{BuildRecord, Simulator};

use crate::support::{
    GearmanServer, Kind, Proxy, Site, SiteBuilder, completion, eventually, fleet, log, marked, project,
};

/// Makes a test for two servers of each kind, and for one of each.
macro_rules! on_pairs_of_servers {
    ($($(#[$attribute:meta])* async fn $name:ident($first:ident, $second:ident) $body:block)*) => {
        $(
            $(#[$attribute])*
            mod $name {
                use super::*;

                async fn check($first: GearmanServer, $second: GearmanServer) $body

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn gearmands() {
                    check(GearmanServer::start(Kind::Gearmand).await, GearmanServer::start(Kind::Gearmand).await).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn geards() {
                    check(GearmanServer::start(Kind::Geard).await, GearmanServer::start(Kind::Geard).await).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn one_of_each() {
                    check(GearmanServer::start(Kind::Gearmand).await, GearmanServer::start(Kind::Geard).await).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn gearmands_that_wake_one() {
                    let kind = Kind::GearmandWakingOne;
                    check(GearmanServer::start(kind).await, GearmanServer::start(kind).await).await;
                }
            }
        )*
    };
}

on_pairs_of_servers! {
    async fn f27_f01_every_worker_is_at_every_server_with_all_its_functions(first, second) {
        let fleet = fleet(&[("a", 2, &["linux"])], vec![project("lint", Some("linux"))]);
        let site = SiteBuilder::new().controller("ci", fleet).and_serves(&second.address).start(first).await;
        for server in [&site.server, &second] {
            eventually("all workers are listed", || async {
                server.worker_ids().await == ["a_exec-0", "a_exec-1", "ci_manager"]
            })
            .await;
            eventually("they offer everything", || async {
                server.functions_of("a_exec-1").await == ["build:lint", "build:lint:linux"]
                    && server.functions_of("ci_manager").await == ["set_description:ci", "stop:ci"]
            })
            .await;
        }
        let status = site.status().await;
        let shown: Vec<(&str, bool)> =
            status.gearman.iter().map(|server| (server.server.as_str(), server.connected == 3)).collect();
        assert_eq!(shown, [(site.server.address.as_str(), true), (second.address.as_str(), true)]);
    }

    async fn f27_one_executor_serves_both_in_turn_and_never_runs_two_builds_at_once(first, second) {
        let fleet = fleet(&[("a", 1, &[])], vec![project("lint", None)]);
        let site = SiteBuilder::new().controller("ci", fleet).and_serves(&second.address).start(first).await;
        let ci = site.controller("ci");
        // The same uniques at both: they are jobs of their own all the same.
        let mut jobs = Vec::new();
        for number in 0..3 {
            for (place, server) in [&site.server, &second].into_iter().enumerate() {
                let job = server.submit("build:lint", &format!("u-{number}"), "{}").await;
                jobs.push((place, job));
            }
        }
        let mut places = Vec::new();
        for number in 1..=6 {
            let started = next_started(&mut jobs).await;
            let (place, job) = jobs.remove(started);
            assert_eq!(running(ci), 1);
            site.looks("ci", 3).await;
            assert_eq!((running(ci), ci.builds().len()), (1, number), "another build began beside this one");
            assert!(ci.finish("lint", u64::try_from(number).unwrap(), BuildResult::Success));
            assert_eq!(completion(&job.finish().await)["number"], number);
            places.push(place);
        }
        assert!(places == [0, 1, 0, 1, 0, 1] || places == [1, 0, 1, 0, 1, 0], "{places:?}");
        site.idle().await;
    }

    async fn f27_many_jobs_of_both_are_all_built_and_no_executor_is_used_twice(first, second) {
        const EACH: usize = 12;
        let fleet = fleet(&[("a", 2, &[]), ("b", 1, &[])], vec![marked("lint", None)]);
        let site = SiteBuilder::new().controller("ci", fleet).and_serves(&second.address).start(first).await;
        let clients = [std::sync::Arc::new(site.server.client().await), std::sync::Arc::new(second.client().await)];
        let mut jobs = Vec::new();
        for number in 0..EACH {
            for (server, client) in [&site.server, &second].into_iter().zip(&clients) {
                let unique = format!("{}-{number}", server.address);
                jobs.push(server.submit_through(client, "build:lint", &unique, "{}").await);
            }
        }
        for job in jobs {
            assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        }
        let builds = site.controller("ci").builds();
        assert_eq!(builds.len(), 2 * EACH);
        assert!(most_at_once(&builds) <= 3, "more builds at once than executors: {builds:#?}");
        site.idle().await;
    }

    async fn f27_f05_stop_is_answered_at_both_servers_whatever_runs(first, second) {
        let fleet = fleet(&[("a", 1, &[])], vec![project("lint", None)]);
        let site = SiteBuilder::new().controller("ci", fleet).and_serves(&second.address).start(first).await;
        let mut job = second.submit("build:lint", "u-1", "{}").await;
        job.started().await;
        // At the server that knows nothing of the build.
        let updates = site.server.run("stop:ci", "", r#"{"name":"lint","number":"1"}"#).await;
        assert!(matches!(updates.last(), Some(Update::Complete(_))), "{updates:?}");
        assert_eq!(completion(&job.finish().await)["result"], "ABORTED");
        let updates = second.run("stop:ci", "", r#"{"name":"lint","number":"1"}"#).await;
        assert_eq!(updates.last(), Some(&Update::Fail));
    }

    async fn f27_f53_a_server_that_is_killed_with_its_job_costs_the_other_one_nothing(first, second) {
        let fleet = fleet(&[("a", 2, &[])], vec![project("lint", None)]);
        let mut site = SiteBuilder::new().controller("ci", fleet).and_serves(&second.address).start(first).await;
        let mut lost = site.server.submit("build:lint", "u-lost", "{}").await;
        let lost_number = lost.started().await["number"].as_u64().unwrap();
        let mut kept = second.submit("build:lint", "u-kept", "{}").await;
        let kept_number = kept.started().await["number"].as_u64().unwrap();
        site.server.kill().await;
        assert_eq!(lost.finish().await.last(), Some(&Update::ServerLost));
        let ci = site.controller("ci");
        assert!(ci.finish("lint", kept_number, BuildResult::Success));
        assert_eq!(completion(&kept.finish().await)["result"], "SUCCESS");
        // One executor is free, and serves the server that is left; the other still runs the build of the lost job.
        for unique in ["u-3", "u-4"] {
            let mut job = second.submit("build:lint", unique, "{}").await;
            let number = job.started().await["number"].as_u64().unwrap();
            assert_eq!(running(ci), 2);
            assert!(ci.finish("lint", number, BuildResult::Success));
            job.finish().await;
        }
        site.server.restart().await;
        for server in [&site.server, &second] {
            eventually("a server has all its workers and functions", || async {
                server.worker_ids().await == ["a_exec-0", "a_exec-1", "ci_manager"]
                    && server.workers_for("build:lint").await == 2
            })
            .await;
        }
        // The client asks again, and gets the build that runs already.
        let mut again = site.server.submit("build:lint", "u-lost", "{}").await;
        assert_eq!(again.started().await["number"], lost_number);
        assert!(site.controller("ci").finish("lint", lost_number, BuildResult::Success));
        assert_eq!(completion(&again.finish().await)["result"], "SUCCESS");
        site.idle().await;
    }

    async fn f27_a_server_that_cannot_be_reached_at_the_start_holds_nothing_up(first, second) {
        let mut first = first;
        first.kill().await;
        let fleet = fleet(&[("a", 1, &[])], vec![marked("lint", None)]);
        let mut site =
            SiteBuilder::new().controller("ci", fleet).and_serves(&second.address).start_without_waiting(first).await;
        for unique in ["u-1", "u-2"] {
            assert_eq!(completion(&second.run("build:lint", unique, "{}").await)["result"], "SUCCESS");
        }
        let status = site.status().await;
        assert!(status.not_ready.is_empty(), "{:?}", status.not_ready);
        assert_eq!(status.gearman.iter().map(|server| server.kind.is_some()).collect::<Vec<_>>(), [false, true]);
        assert!(!log::lines_with(&["cannot be reached", &site.server.address]).is_empty());
        site.server.restart().await;
        assert_eq!(completion(&site.server.run("build:lint", "u-1", "{}").await)["result"], "SUCCESS");
        site.settle().await;
    }

    async fn f27_f24_servers_that_are_restarted_in_turn_get_everything_back(first, second) {
        let fleet = fleet(&[("a", 2, &["linux"])], vec![marked("lint", Some("linux"))]);
        let mut site = SiteBuilder::new().controller("ci", fleet).and_serves(&second.address).start(first).await;
        let mut second = second;
        for round in 0..4 {
            let restarted = if round % 2 == 0 { &mut site.server } else { &mut second };
            restarted.restart().await;
            let restarted = if round % 2 == 0 { &site.server } else { &second };
            eventually("all functions are back", || async {
                restarted.functions_of("a_exec-0").await == ["build:lint", "build:lint:linux"]
                    && restarted.functions_of("a_exec-1").await == ["build:lint", "build:lint:linux"]
                    && restarted.functions_of("ci_manager").await == ["set_description:ci", "stop:ci"]
            })
            .await;
            for server in [&site.server, &second] {
                let updates = server.run("build:lint:linux", &format!("u-{round}"), "{}").await;
                assert_eq!(completion(&updates)["result"], "SUCCESS");
            }
        }
    }

    async fn f27_f06_a_host_that_somebody_serves_at_one_server_is_left_alone_there(first, second) {
        let mut other = Worker::new(worker::Config::new(second.address.clone(), "the-other"));
        other.offer(std::collections::BTreeSet::from([bytes::Bytes::from("stop:ci")]));
        let other = tokio::spawn(async move { loop { other.event().await; } });
        eventually("the other worker is listed", || async { second.workers_for("stop:ci").await == 1 }).await;
        let fleet = fleet(&[("a", 1, &[])], vec![marked("lint", None)]);
        let site =
            SiteBuilder::new().controller("ci", fleet).and_serves(&second.address).start_without_waiting(first).await;
        assert_eq!(completion(&site.server.run("build:lint", "u-1", "{}").await)["result"], "SUCCESS");
        eventually("the refusal is told", || async {
            let trouble = site.status().await.controllers[0].trouble.clone().unwrap_or_default();
            trouble.contains("stop:ci") && trouble.contains(&second.address)
        })
        .await;
        assert_eq!(second.worker_ids().await, ["the-other"]);
        other.abort();
        assert_eq!(completion(&second.run("build:lint", "u-1", "{}").await)["result"], "SUCCESS");
    }

    async fn f27_a_drain_ends_at_both_servers_and_loses_no_job_of_either(first, second) {
        let fleet = fleet(&[("a", 2, &[])], vec![project("lint", None)]);
        let site = SiteBuilder::new().controller("ci", fleet).and_serves(&second.address).start(first).await;
        let mut jobs = [site.server.submit("build:lint", "u-1", "{}").await, second.submit("build:lint", "u-2", "{}").await];
        for job in &mut jobs {
            job.started().await;
        }
        site.runtime().drain().unwrap();
        eventually("it drains", || async { !site.status().await.not_ready.is_empty() }).await;
        for server in [&site.server, &second] {
            // Its answer comes when every connection has heard that it has no lease any more.
            server.run("stop:ci", "", r#"{"name":"lint","number":"7"}"#).await;
        }
        let _wait = [site.server.submit("build:lint", "u-3", "{}").await, second.submit("build:lint", "u-4", "{}").await];
        let ci = site.controller("ci");
        for number in [1, 2] {
            assert!(ci.finish("lint", number, BuildResult::Success));
        }
        for job in jobs {
            assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        }
        let stopped = tokio::time::timeout(std::time::Duration::from_secs(30), site.runtime().stopped()).await;
        assert!(stopped.is_ok(), "the drain has no end: {:#?}", site.runtime().status().await);
        assert_eq!(ci.builds().len(), 2);
        for server in [&site.server, &second] {
            assert_eq!(server.waiting_jobs_of("build:lint").await, 1, "a job that waits has not failed");
        }
    }

    async fn f27_d4_a_job_is_taken_although_the_sleeper_that_is_woken_runs_a_job_of_the_other_server(first, second) {
        let fleet = fleet(&[("a", 1, &[]), ("b", 1, &[])], vec![project("lint", None)]);
        let site = SiteBuilder::new().controller("ci", fleet).and_serves(&second.address).start(first).await;
        let ci = site.controller("ci");
        for round in 0..4 {
            for node in ["a", "b"] {
                site.eventually_worker(&format!("{node}_exec-0"), WorkerState::Grabbing).await;
            }
            // Whichever takes the first, whichever is woken: the second job comes to the other one.
            let servers = if round % 2 == 0 { [&site.server, &second] } else { [&second, &site.server] };
            let mut jobs = Vec::new();
            for server in servers {
                let mut job = server.submit("build:lint", &format!("u-{round}"), "{}").await;
                let number = job.started().await["number"].as_u64().unwrap();
                jobs.push((number, job));
            }
            assert_eq!(running(ci), 2);
            for (number, job) in jobs {
                assert!(ci.finish("lint", number, BuildResult::Success));
                assert_eq!(completion(&job.finish().await)["number"], number);
            }
        }
        site.idle().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f27_a_connection_that_is_cut_in_mid_build_does_not_disturb_the_other_server() {
    let servers = [GearmanServer::start(Kind::Gearmand).await, GearmanServer::start(Kind::Gearmand).await];
    let [first, second] = servers;
    let proxy = Proxy::start(&second.address).await;
    let fleet = fleet(&[("a", 1, &[])], vec![project("lint", None)]);
    let site: Site = SiteBuilder::new().controller("ci", fleet).and_serves(&proxy.address).start(first).await;
    let ci = site.controller("ci");
    let mut job = site.server.submit("build:lint", "u-1", "{}").await;
    job.started().await;
    for _ in 0..3 {
        proxy.cut();
        eventually("it is back", || async { second.workers_for("build:lint").await == 1 }).await;
    }
    // Waits for the only executor, although that was just connected anew.
    let mut waits = second.submit("build:lint", "u-2", "{}").await;
    site.looks("ci", 3).await;
    assert_eq!((running(ci), ci.builds().len()), (1, 1));
    assert!(ci.finish("lint", 1, BuildResult::Success));
    assert_eq!(completion(&job.finish().await)["number"], 1);
    assert_eq!(waits.started().await["number"], 2);
    // Now the job's own connection is cut: its build goes on, and holds the executor against the jobs of both.
    proxy.cut();
    let last = site.server.submit("build:lint", "u-3", "{}").await;
    site.looks("ci", 3).await;
    assert_eq!((running(ci), ci.queue().len(), ci.builds().len()), (1, 0, 2));
    assert!(ci.finish("lint", 2, BuildResult::Success));
    // Which of the two jobs is taken first is open.
    let third = eventually("the third build ends", || async { ci.finish("lint", 3, BuildResult::Success) });
    let (second, last, ()) = tokio::join!(waits.finish(), last.finish(), third);
    assert_eq!((&completion(&second)["number"], &completion(&last)["number"]), (&2.into(), &3.into()));
    assert_eq!(ci.builds().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f27_f56_builds_of_both_servers_are_taken_up_after_a_restart_of_the_daemon() {
    let (first, second) = (GearmanServer::start(Kind::Gearmand).await, GearmanServer::start(Kind::Gearmand).await);
    let fleet = fleet(&[("a", 4, &[])], vec![project("lint", None)]);
    let mut site = SiteBuilder::new().controller("ci", fleet).and_serves(&second.address).start(first).await;
    // The same unique: what belongs to which is told by the server.
    let mut jobs =
        [site.server.submit("build:lint", "u-1", "{}").await, second.submit("build:lint", "u-1", "{}").await];
    let mut numbers = Vec::new();
    for job in &mut jobs {
        numbers.push(job.started().await["number"].as_u64().unwrap());
    }
    assert_ne!(numbers[0], numbers[1]);
    site.stop_runtime().await;
    site.start_runtime().await;
    for (job, number) in jobs.iter_mut().zip(&numbers) {
        assert_eq!(job.started().await["number"], *number);
    }
    let results = [BuildResult::Success, BuildResult::Unstable];
    for (number, result) in numbers.iter().zip(results) {
        assert!(site.controller("ci").finish("lint", *number, result));
    }
    for (job, result) in jobs.into_iter().zip(["SUCCESS", "UNSTABLE"]) {
        assert_eq!(completion(&job.finish().await)["result"], result);
    }
    assert_eq!(site.controller("ci").builds().len(), 2);
    site.idle().await;
}

/// Waits until one of some jobs has started, and returns which.
async fn next_started(jobs: &mut [(usize, crate::support::Job)]) -> usize {
    let starts = jobs.iter_mut().enumerate().map(|(index, (_, job))| {
        Box::pin(async move {
            job.started().await;
            index
        })
    });
    let mut starts: Vec<_> = starts.collect();
    std::future::poll_fn(|context| {
        let ready = starts.iter_mut().find_map(|start| match start.as_mut().poll(context) {
            std::task::Poll::Ready(index) => Some(index),
            std::task::Poll::Pending => None,
        });
        ready.map_or(std::task::Poll::Pending, std::task::Poll::Ready)
    })
    .await
}

fn running(controller: &Simulator) -> usize {
    controller.builds().iter().filter(|build| build.building).count()
}

/// Returns how many builds ran at the same time at most.
fn most_at_once(builds: &[BuildRecord]) -> usize {
    let runs_at = |moment: u64| {
        let runs = |build: &&BuildRecord| build.started_ms <= moment && build.ended_ms.is_none_or(|end| moment < end);
        builds.iter().filter(runs).count()
    };
    builds.iter().map(|build| runs_at(build.started_ms)).max().unwrap_or(0)
}
