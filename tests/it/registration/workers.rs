//! Which workers the server lists: their names, their number, and that they come back.

use layshaft::domain::BuildResult;
use layshaft::gearman::worker::{self, Worker};
use layshaft::runtime;
use layshaft::simulator::Simulator;

use crate::support::{GearmanServer, Proxy, SiteBuilder, completion, eventually, fleet, on_both_servers, project};

on_both_servers! {
    async fn f01_f05_one_worker_per_executor_and_one_manager(server) {
        let fleet = fleet(&[("a", 2, &["linux"]), ("b", 1, &[])], vec![project("lint", None)]);
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        let server = &site.server;
        eventually("all workers are listed", || async {
            server.worker_ids().await == ["a_exec-0", "a_exec-1", "b_exec-0", "ci_manager"]
        })
        .await;
        eventually("the project is offered", || async { server.workers_for("build:lint").await == 3 }).await;
        assert_eq!(server.functions_of("ci_manager").await, ["set_description:ci", "stop:ci"]);
        assert_eq!(server.workers_for("stop:ci").await, 1);
    }

    async fn f01_f05_executors_of_the_built_in_node_bear_the_name_of_the_host(server) {
        let mut fleet = fleet(&[("a", 1, &[])], vec![project("lint", None)]);
        fleet.built_in.executors = 2;
        let site = SiteBuilder::new().controller("ci", fleet).host("ci", "ci.example.org").start(server).await;
        eventually("all workers are listed", || async {
            let expected = ["a_exec-0", "ci.example.org_exec-0", "ci.example.org_exec-1", "ci.example.org_manager"];
            site.server.worker_ids().await == expected
        })
        .await;
        let management = ["set_description:ci.example.org", "stop:ci.example.org"];
        assert_eq!(site.server.functions_of("ci.example.org_manager").await, management);
    }

    async fn f02_a_job_submitted_twice_runs_on_two_controllers_at_the_same_time(server) {
        let one = || vec![project("lint", None)];
        let site = SiteBuilder::new()
            .controller("ci1", fleet(&[("a", 1, &[])], one()))
            .controller("ci2", fleet(&[("b", 1, &[])], one()))
            .start(server)
            .await;
        eventually("both offer it", || async { site.server.workers_for("build:lint").await == 2 }).await;
        let mut jobs = [site.server.submit("build:lint", "u-1", "{}").await, site.server.submit("build:lint", "u-2", "{}").await];
        let mut managers = Vec::new();
        for job in &mut jobs {
            managers.push(job.started().await["manager"].as_str().unwrap().to_owned());
        }
        managers.sort();
        assert_eq!(managers, ["ci1", "ci2"]);
        for name in ["ci1", "ci2"] {
            assert_eq!(site.controller(name).builds().len(), 1, "on {name}");
            assert!(site.controller(name).finish("lint", 1, BuildResult::Success));
        }
        for job in jobs {
            job.finish().await;
        }
    }

    async fn f05_management_is_offered_whatever_the_executors_do(server) {
        let site = SiteBuilder::new()
            .controller("empty", fleet(&[], vec![]))
            .controller("full", fleet(&[("a", 1, &[])], vec![project("lint", None)]))
            .controller("quiet", fleet(&[("b", 1, &[])], vec![project("lint", None)]))
            .start(server)
            .await;
        site.controller("full").start_foreign_build("lint", &Default::default()).unwrap();
        site.controller("quiet").quiet_down(true);
        eventually("the changes are seen", || async {
            let status = site.status().await;
            let busy: u32 = status.controllers.iter().flat_map(|controller| &controller.nodes).map(|node| node.busy).sum();
            busy == 1 && status.controllers.iter().any(|controller| controller.quieting_down)
        })
        .await;
        for host in ["empty", "full", "quiet"] {
            let functions = [format!("set_description:{host}"), format!("stop:{host}")];
            // geard takes its time to list a connection that is up.
            eventually("the manager offers its two functions", || async {
                site.server.functions_of(&format!("{host}_manager")).await == functions
            })
            .await;
            for function in &functions {
                assert_eq!(site.server.workers_for(function).await, 1, "{function}");
            }
        }
        // It answers, too: the build does not exist, which is an answer.
        let updates = site.server.run("stop:quiet", "u-1", r#"{"name":"lint","number":7}"#).await;
        assert!(updates.last().is_some_and(|update| update.is_last()), "{updates:?}");
    }

    async fn f06_two_controllers_with_one_host_are_refused(server) {
        let mut site = SiteBuilder::new()
            .controller("ci1", fleet(&[], vec![]))
            .controller("ci2", fleet(&[], vec![]))
            .host("ci1", "ci")
            .host("ci2", "ci")
            .prepare(server)
            .await;
        let error = site.try_start_runtime().await.unwrap_err();
        assert!(matches!(&error, runtime::Error::SameHost(_, _, host) if host == "ci"), "{error}");
        assert_eq!(site.server.worker_ids().await, [""; 0]);
    }

    async fn f06_a_host_that_another_worker_serves_is_left_alone_until_it_is_free(server) {
        let other = serve_elsewhere(&server, "stop:taken").await;
        let one = || vec![project("lint", None)];
        let site = SiteBuilder::new()
            .controller("free", fleet(&[("a", 1, &[])], one()))
            .controller("taken", fleet(&[("b", 1, &[])], one()))
            .start_without_waiting(server)
            .await;
        eventually("the refusal is told", || async {
            let status = site.status().await;
            let taken = status.controllers.iter().find(|controller| controller.name.as_str() == "taken").unwrap();
            taken.trouble.as_ref().is_some_and(|trouble| trouble.contains("stop:taken"))
        })
        .await;
        eventually("the other controller is served", || async {
            site.server.worker_ids().await == ["a_exec-0", "free_manager", "the-other"]
        })
        .await;
        assert_eq!(site.server.workers_for("build:lint").await, 1);
        drop(other);
        eventually("the free host is served", || async {
            site.server.worker_ids().await == ["a_exec-0", "b_exec-0", "free_manager", "taken_manager"]
        })
        .await;
    }

    async fn f06_workers_follow_a_configuration_that_renames_a_host_and_drops_a_controller(server) {
        let one = || vec![project("lint", None)];
        let mut site = SiteBuilder::new()
            .controller("ci1", fleet(&[("a", 1, &[])], one()))
            .controller("ci2", fleet(&[("b", 1, &[])], one()))
            .start(server)
            .await;
        eventually("both controllers are served", || async {
            site.server.worker_ids().await == ["a_exec-0", "b_exec-0", "ci1_manager", "ci2_manager"]
        })
        .await;
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        let manager = job.started().await["manager"].as_str().unwrap().to_owned();
        site.rename_host("ci1", "other");
        site.rename_host("ci2", "ci1");
        site.reconfigure();
        eventually("the new names are served", || async {
            site.server.worker_ids().await == ["a_exec-0", "b_exec-0", "ci1_manager", "other_manager"]
        })
        .await;
        assert!(site.controller(&manager).finish("lint", 1, BuildResult::Success));
        assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        for host in ["ci1", "other"] {
            let functions = [format!("set_description:{host}"), format!("stop:{host}")];
            assert_eq!(site.server.functions_of(&format!("{host}_manager")).await, functions);
        }
        site.remove_controller("ci1");
        site.reconfigure();
        eventually("one controller is left", || async { site.server.worker_ids().await == ["b_exec-0", "ci1_manager"] }).await;
    }

    async fn f03_f04_a_function_that_went_while_the_connection_was_down_does_not_come_back_with_it(server) {
        let proxy = Proxy::start(&server.address).await;
        let fleet = fleet(&[("a", 1, &[])], vec![project("lint", None), project("gone", None)]);
        let site = SiteBuilder::new().through(&proxy).controller("ci", fleet).start(server).await;
        site.offers("a_exec-0", &["build:gone", "build:lint"]).await;
        proxy.refuse(true);
        proxy.cut();
        eventually("the server has noticed", || async { site.server.worker_ids().await.is_empty() }).await;
        assert!(site.controller("ci").remove_project("gone"));
        site.looks("ci", 2).await;
        proxy.refuse(false);
        site.offers("a_exec-0", &["build:lint"]).await;
        site.offers("ci_manager", &["set_description:ci", "stop:ci"]).await;
        assert_eq!(site.server.workers_for("build:gone").await, 0);
        assert_eq!(site.server.workers_for("build:lint").await, 1, "nothing of the earlier life is left");
    }

    async fn f24_a_restarted_server_gets_all_workers_and_functions_back(server) {
        let projects = vec![project("lint", Some("linux")), project("test", None)];
        let fleet = fleet(&[("a", 2, &["linux"]), ("b", 1, &[])], projects);
        let mut site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        let expected = [
            ("a_exec-0", vec!["build:lint", "build:lint:linux", "build:test"]),
            ("a_exec-1", vec!["build:lint", "build:lint:linux", "build:test"]),
            ("b_exec-0", vec!["build:test"]),
            ("ci_manager", vec!["set_description:ci", "stop:ci"]),
        ];
        for restart in [false, true, true] {
            if restart {
                site.server.restart().await;
            }
            for (worker, functions) in &expected {
                eventually("a worker and its functions are there", || async {
                    site.server.functions_of(worker).await == *functions
                })
                .await;
            }
        }
        let mut job = site.server.submit("build:lint:linux", "u-1", "{}").await;
        job.started().await;
        let ci: &Simulator = site.controller("ci");
        assert!(ci.finish("lint", 1, BuildResult::Success));
        job.finish().await;
    }
}

/// Makes somebody else's worker that offers a function for as long as the guard lives.
async fn serve_elsewhere(server: &GearmanServer, function: &'static str) -> tokio_util::sync::DropGuard {
    let stop = tokio_util::sync::CancellationToken::new();
    let mut worker = Worker::new(worker::Config::new(server.address.clone(), "the-other"));
    worker.offer(std::collections::BTreeSet::from([bytes::Bytes::from_static(function.as_bytes())]));
    tokio::spawn(stop.clone().run_until_cancelled_owned(async move {
        loop {
            worker.event().await;
        }
    }));
    eventually("the other worker is listed", || async { server.workers_for(function).await == 1 }).await;
    stop.drop_guard()
}
