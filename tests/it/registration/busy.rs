//! What becomes of registrations while jobs run, and of workers whose builds run elsewhere.

use layshaft::domain::{BuildResult, Parameters};
use layshaft::runtime::status::WorkerState;
use layshaft::simulator::{Fault, FaultRule, ProjectSpec};

use crate::support::{SiteBuilder, completion, eventually, fleet, on_both_servers, project};

on_both_servers! {
    async fn f26_a_worker_that_runs_a_job_offers_and_withdraws_other_functions_at_once(server) {
        let projects = vec![project("lint", None), project("test", None)];
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], projects)).start(server).await;
        site.offers("a_exec-0", &["build:lint", "build:test"]).await;
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        job.started().await;
        let ci = site.controller("ci");
        assert!(ci.add_project(project("new", None)));
        site.offers("a_exec-0", &["build:lint", "build:new", "build:test"]).await;
        assert!(ci.remove_project("test"));
        site.offers("a_exec-0", &["build:lint", "build:new"]).await;
        assert!(ci.finish("lint", 1, BuildResult::Success));
        assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        let mut job = site.server.submit("build:new", "u-2", "{}").await;
        assert_eq!(job.started().await["worker"], "a_exec-0");
        assert!(ci.finish("new", 1, BuildResult::Success));
        job.finish().await;
    }

    async fn d2_the_function_of_a_running_job_stays_until_the_terminal_packet(server) {
        let projects = vec![project("lint", None), project("test", None)];
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[]), ("b", 1, &[])], projects)).recorded().start(server).await;
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        let worker = job.started().await["worker"].as_str().unwrap().to_owned();
        let other = if worker == "a_exec-0" { "b_exec-0" } else { "a_exec-0" };
        let moment = site.recorder().now();
        site.controller("ci").set_disabled("lint", true);
        site.offers(other, &["build:test"]).await;
        site.looks("ci", 2).await;
        site.offers(&worker, &["build:lint", "build:test"]).await;
        assert!(site.controller("ci").finish("lint", 1, BuildResult::Success));
        assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        site.offers(&worker, &["build:test"]).await;
        assert_eq!(site.controller("ci").builds().len(), 1, "it ran once");
        let sent = site.recorder().sent_by(&worker, moment);
        let position = |start: &str| sent.iter().position(|packet| packet.starts_with(start)).expect(start);
        let withdrawn = position("CANT_DO function=\"build:lint\"");
        assert!(position("WORK_COMPLETE") < withdrawn, "{sent:?}");
        assert!(withdrawn < position("GRAB_JOB_UNIQ"), "the next grab could bring it again: {sent:?}");
    }

    async fn d1_a_build_that_lands_elsewhere_frees_its_node_for_a_relief_worker(server) {
        // Jenkins may start what was asked for as `build:lint:onlya` on either node.
        let mut lint = project("lint", Some("onlya || onlyb"));
        lint.parameters.retain(|parameter| parameter.name == "UUID");
        let own = ProjectSpec { concurrent: true, ..project("own", None) };
        let fleet = fleet(&[("a", 1, &["onlya"]), ("b", 1, &["onlyb"])], vec![lint, own]);
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        let ci = site.controller("ci");
        site.offers("a_exec-0", &["build:lint", "build:lint:onlya", "build:own"]).await;
        site.eventually_worker("a_exec-0", WorkerState::Grabbing).await;
        // While nodes cannot be read, nobody here knows that the executor is taken.
        ci.fault(FaultRule::new("/computer", Fault::Status(502)));
        let mut on_a = Parameters::new();
        on_a.set("NODE", Some("a".to_owned()));
        ci.start_foreign_build("own", &on_a).unwrap();
        eventually("the foreign build runs", || async { ci.builds().len() == 1 }).await;
        let mut displaced = site.server.submit("build:lint:onlya", "u-1", "{}").await;
        let started = displaced.started().await;
        assert_eq!((&started["worker"], &started["node_name"]), (&"a_exec-0".into(), &"b".into()));
        ci.clear_faults();
        site.eventually_worker("a_exec-1", WorkerState::Waiting).await;
        site.eventually_worker("b_exec-0", WorkerState::Waiting).await;
        assert!(ci.finish("own", 1, BuildResult::Success));
        site.eventually_worker("a_exec-1", WorkerState::Grabbing).await;
        assert_eq!(site.worker("b_exec-0").await, Some(WorkerState::Waiting), "its executor runs the build");
        let mut relieved = site.server.submit("build:lint:onlya", "u-2", "{}").await;
        let started = relieved.started().await;
        assert_eq!((&started["worker"], &started["node_name"]), (&"a_exec-1".into(), &"a".into()));
        assert!(ci.finish("lint", 1, BuildResult::Success));
        assert_eq!(completion(&displaced.finish().await)["worker"], "a_exec-0");
        eventually("one worker per executor is left", || async {
            site.server.worker_ids().await == ["a_exec-1", "b_exec-0", "ci_manager"]
        })
        .await;
        assert!(ci.finish("lint", 2, BuildResult::Success));
        relieved.finish().await;
        eventually("indices begin at nought again", || async {
            site.server.worker_ids().await == ["a_exec-0", "b_exec-0", "ci_manager"]
        })
        .await;
    }
}
