//! How workers and functions follow the nodes: offline, deleted, more or fewer executors, other labels.

use std::time::Duration;

use layshaft::domain::{BuildResult, NodeName};
use layshaft::runtime::status::WorkerState;
use layshaft::simulator::{Fault, FaultRule, NodeSpec};

use crate::support::{SiteBuilder, completion, eventually, fleet, marked, on_both_servers, project, within};

fn a() -> NodeName {
    NodeName::agent("a")
}

on_both_servers! {
    async fn f16_f17_a_node_that_is_cut_off_loses_its_workers_until_it_is_back(server) {
        let fleet = fleet(&[("a", 2, &[]), ("b", 1, &[])], vec![project("lint", None)]);
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        let listed = async |expected: &[&str]| {
            eventually("exactly these workers are listed", || async { site.server.worker_ids().await == expected }).await;
        };
        listed(&["a_exec-0", "a_exec-1", "b_exec-0", "ci_manager"]).await;
        site.controller("ci").set_disconnected(&a(), Some("cable"));
        listed(&["b_exec-0", "ci_manager"]).await;
        assert_eq!(site.server.workers_for("build:lint").await, 1);
        site.controller("ci").set_disconnected(&a(), None);
        listed(&["a_exec-0", "a_exec-1", "b_exec-0", "ci_manager"]).await;
        site.offers("a_exec-1", &["build:lint"]).await;
    }

    async fn f17_a_node_that_was_offline_at_the_start_is_served_once_it_is_online(server) {
        let fleet = fleet(&[("a", 1, &[]), ("b", 1, &[])], vec![project("lint", None)]);
        let mut site = SiteBuilder::new().controller("ci", fleet).prepare(server).await;
        site.controller("ci").set_disconnected(&a(), Some("not yet"));
        site.controller("ci").set_offline(&NodeName::agent("b"), Some("not yet"));
        site.start_runtime().await;
        site.offers("b_exec-0", &[]).await;
        eventually("exactly these workers are listed", || async {
            site.server.worker_ids().await == ["b_exec-0", "ci_manager"]
        })
        .await;
        site.controller("ci").set_disconnected(&a(), None);
        site.controller("ci").set_offline(&NodeName::agent("b"), None);
        site.offers("a_exec-0", &["build:lint"]).await;
        site.offers("b_exec-0", &["build:lint"]).await;
    }

    async fn f16_a_temporarily_offline_node_keeps_its_connection_and_delivers_its_result(server) {
        let fleet = fleet(&[("a", 1, &[])], vec![project("lint", None), project("test", None)]);
        let site = SiteBuilder::new().controller("ci", fleet).recorded().start(server).await;
        site.offers("a_exec-0", &["build:lint", "build:test"]).await;
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        job.started().await;
        site.controller("ci").set_offline(&a(), Some("later"));
        // The running job's own function goes with its end and not before: gearmand would run it twice.
        site.offers("a_exec-0", &["build:lint"]).await;
        site.looks("ci", 2).await;
        assert!(site.controller("ci").finish("lint", 1, BuildResult::Success));
        assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        site.offers("a_exec-0", &[]).await;
        assert_eq!(site.controller("ci").builds().len(), 1);
        let lives = site.recorder().conversations().into_iter().filter(|(id, _)| id == "a_exec-0").count();
        assert_eq!(lives, 1, "it is still the first connection");
        site.controller("ci").set_offline(&a(), None);
        site.offers("a_exec-0", &["build:lint", "build:test"]).await;
    }

    async fn f16_a_node_that_is_deleted_in_mid_build_keeps_that_connection_until_the_result_is_out(server) {
        let fleet = fleet(&[("a", 2, &[]), ("b", 1, &["bsd"])], vec![project("lint", Some("a"))]);
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        let worker = job.started().await["worker"].as_str().unwrap().to_owned();
        assert!(site.controller("ci").remove_node("a"));
        eventually("only the busy connection is left", || async {
            site.server.worker_ids().await == [worker.as_str(), "b_exec-0", "ci_manager"]
        })
        .await;
        assert!(site.controller("ci").finish("lint", 1, BuildResult::Success));
        assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        eventually("nothing of the node is left", || async {
            site.server.worker_ids().await == ["b_exec-0", "ci_manager"]
        })
        .await;
        assert_eq!(site.server.workers_for("build:lint").await, 0);
        assert_eq!(site.controller("ci").builds().len(), 1);
        eventually("nothing is left under way", || async { site.status().await.builds.is_empty() }).await;
    }

    async fn f17_f18_nodes_and_executors_that_are_added_are_served(server) {
        let site = SiteBuilder::new()
            .controller("ci", fleet(&[("a", 1, &[])], vec![project("lint", None)]))
            .start(server)
            .await;
        site.offers("a_exec-0", &["build:lint"]).await;
        site.controller("ci").set_executors(&a(), 3);
        site.offers("a_exec-1", &["build:lint"]).await;
        site.offers("a_exec-2", &["build:lint"]).await;
        site.controller("ci").add_node(&NodeSpec::new("c", 1, &[]));
        site.offers("c_exec-0", &["build:lint"]).await;
        assert_eq!(site.server.workers_for("build:lint").await, 4);
        site.controller("ci").set_executors(&a(), 1);
        eventually("two workers are gone", || async {
            site.server.worker_ids().await == ["a_exec-0", "c_exec-0", "ci_manager"]
        })
        .await;
    }

    async fn f18_a_busy_worker_goes_only_after_its_build_and_takes_no_other_job(server) {
        let site = SiteBuilder::new()
            .controller("ci", fleet(&[("a", 3, &[])], vec![project("lint", None)]))
            .start(server)
            .await;
        let mut running = Vec::new();
        for unique in ["u-1", "u-2", "u-3"] {
            let mut job = site.server.submit("build:lint", unique, "{}").await;
            let started = job.started().await;
            running.push((started["number"].as_u64().unwrap(), started["worker"].as_str().unwrap().to_owned(), job));
        }
        running.sort_by(|left, right| left.1.cmp(&right.1));
        let waiting = site.server.submit("build:lint", "u-4", "{}").await;
        site.controller("ci").set_executors(&a(), 1);
        eventually("the change is seen", || async {
            site.status().await.controllers[0].nodes.iter().any(|node| node.executors == 1)
        })
        .await;
        assert_eq!(site.server.worker_ids().await, ["a_exec-0", "a_exec-1", "a_exec-2", "ci_manager"]);
        let ci = site.controller("ci");
        let (first, rest) = running.split_first().unwrap();
        for (number, worker, _) in rest {
            assert!(ci.finish("lint", *number, BuildResult::Success));
            eventually("its worker is gone", || async { !site.server.worker_ids().await.contains(worker) }).await;
        }
        assert_eq!(ci.builds().len(), 3, "the waiting job waits for the executor that is left");
        assert_eq!(site.server.worker_ids().await, ["a_exec-0", "ci_manager"]);
        assert!(ci.finish("lint", first.0, BuildResult::Success));
        eventually("the waiting job runs", || async { ci.finish("lint", 4, BuildResult::Success) }).await;
        assert_eq!(completion(&waiting.finish().await)["worker"], "a_exec-0");
        for (_, _, job) in running {
            assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        }
    }

    async fn f18_no_job_is_lost_or_run_twice_while_workers_come_and_go(server) {
        let fleet = fleet(&[("a", 3, &[]), ("b", 1, &[])], vec![marked("lint", None)]);
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        let mut jobs = Vec::new();
        for number in 0..40 {
            jobs.push(site.server.submit("build:lint", &format!("u-{number}"), "{}").await);
        }
        let ci = site.controller("ci");
        let all_started = async {
            for executors in [1, 3].into_iter().cycle() {
                site.looks("ci", 1).await;
                ci.set_executors(&a(), executors);
                ci.set_offline(&NodeName::agent("b"), (executors == 1).then_some("a moment"));
                if ci.builds().len() == 40 {
                    break;
                }
            }
        };
        within("all builds are started", all_started).await;
        for job in jobs {
            assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        }
        assert_eq!(ci.builds().len(), 40);
    }

    async fn f05_a_controller_that_is_gone_offers_nothing_but_management_until_it_answers(server) {
        let one = || vec![project("lint", None)];
        let site = SiteBuilder::new()
            .poll(|poll| (poll.stale_after, poll.gone_after) = (Some(Duration::from_secs(1)), Some(Duration::from_secs(2))))
            .controller("ci1", fleet(&[("a", 1, &[])], one()))
            .controller("ci2", fleet(&[("b", 1, &[])], one()))
            .start(server)
            .await;
        site.offers("a_exec-0", &["build:lint"]).await;
        site.controller("ci1").fault(FaultRule::new("/", Fault::DropBeforeAccept));
        site.offers("a_exec-0", &[]).await;
        site.offers("b_exec-0", &["build:lint"]).await;
        site.offers("ci1_manager", &["set_description:ci1", "stop:ci1"]).await;
        site.controller("ci1").clear_faults();
        site.offers("a_exec-0", &["build:lint"]).await;
        site.eventually_worker("a_exec-0", WorkerState::Grabbing).await;
    }

    async fn f19_functions_follow_the_labels_of_a_node(server) {
        let projects = vec![project("lint", Some("linux")), project("pack", Some("!linux"))];
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &["linux"])], projects)).start(server).await;
        site.offers("a_exec-0", &["build:lint", "build:lint:linux"]).await;
        site.controller("ci").set_labels(&a(), &["bsd"]);
        site.offers("a_exec-0", &["build:pack"]).await;
        site.controller("ci").set_labels(&a(), &["bsd", "linux"]);
        site.offers("a_exec-0", &["build:lint", "build:lint:linux"]).await;
        site.eventually_worker("a_exec-0", WorkerState::Grabbing).await;
    }
}
