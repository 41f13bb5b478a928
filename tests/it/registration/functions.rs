//! Which functions a node offers, by the projects that its controller has.

use layshaft::domain::{BuildResult, Mode, ProjectKind};
use layshaft::simulator::{Length, NodeSpec, ProjectSpec, Version};

use crate::support::{SiteBuilder, eventually, fleet, on_both_servers, project};

on_both_servers! {
    async fn f07_an_unlabelled_project_is_offered_where_any_project_may_run(server) {
        let mut fleet = fleet(&[("open", 1, &["linux"])], vec![project("lemon", None)]);
        fleet.nodes.push(NodeSpec { mode: Mode::Exclusive, ..NodeSpec::new("reserved", 1, &["linux"]) });
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        site.offers("open_exec-0", &["build:lemon"]).await;
        site.offers("reserved_exec-0", &[]).await;
    }

    async fn f08_f09_f10_labels_decide_where_a_project_is_offered_and_under_which_names(server) {
        let rows: [(&str, &str); 9] = [
            ("v1", "linux"),
            ("v2", "bogus"),
            ("v9", "!arm"),
            ("v12", "linux || bsd"),
            ("v15", "linux && !arm"),
            ("v16", "a"),
            ("v19", "linux || !gcc"),
            ("v20", "(bsd -> arm) && (linux <-> gcc)"),
            ("v21", "\"big iron\" || linux"),
        ];
        let projects = rows.iter().map(|(name, label)| project(name, Some(label))).collect();
        let mut fleet = fleet(&[("a", 1, &["linux", "gcc"]), ("b", 1, &["arm"])], projects);
        fleet.nodes.push(NodeSpec { mode: Mode::Exclusive, ..NodeSpec::new("c", 1, &["linux"]) });
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        let on_a = [
            "build:v1", "build:v1:linux", "build:v12", "build:v12:linux", "build:v15", "build:v15:linux", "build:v16",
            "build:v16:a", "build:v19", "build:v19:gcc", "build:v19:linux", "build:v20", "build:v20:gcc",
            "build:v20:linux", "build:v21", "build:v21:linux", "build:v9",
        ];
        site.offers("a_exec-0", &on_a).await;
        // Neither linux nor gcc, hence linux <-> gcc; and not bsd, hence bsd -> arm.
        site.offers("b_exec-0", &["build:v19", "build:v20", "build:v20:arm"]).await;
        let on_c = [
            "build:v1", "build:v1:linux", "build:v12", "build:v12:linux", "build:v15", "build:v15:linux", "build:v19",
            "build:v19:linux", "build:v21", "build:v21:linux", "build:v9",
        ];
        site.offers("c_exec-0", &on_c).await;
    }

    async fn f11_executors_of_the_built_in_node_offer_pipelines_and_agents_do_not(server) {
        let mut fleet = fleet(&[("a", 1, &["linux"])], vec![pipeline("deploy"), project("lint", None)]);
        fleet.built_in.executors = 2;
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        for worker in ["ci_exec-0", "ci_exec-1"] {
            site.offers(worker, &["build:deploy", "build:deploy:built-in", "build:lint"]).await;
        }
        site.offers("a_exec-0", &["build:lint"]).await;
        assert_eq!(site.server.worker_ids().await, ["a_exec-0", "ci_exec-0", "ci_exec-1", "ci_manager"]);
    }

    async fn f11_a_controller_that_calls_its_own_node_master_offers_pipelines_as_such(server) {
        let mut fleet = fleet(&[], vec![pipeline("deploy")]);
        fleet.built_in.executors = 1;
        let builder = SiteBuilder::new().controller("ci", fleet).version("ci", Version::new(2, 300));
        let site = builder.start(server).await;
        site.offers("ci_exec-0", &["build:deploy", "build:deploy:master"]).await;
    }

    async fn f11_without_built_in_executors_pipelines_have_as_many_slots_as_there_are_idle_executors(server) {
        let fleet = fleet(&[("a", 2, &["linux"])], vec![pipeline("deploy")]);
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        let workers = ["a_exec-0", "a_exec-1", "ci_manager", "ci_pipeline-0", "ci_pipeline-1"];
        eventually("all workers are listed", || async { site.server.worker_ids().await == workers }).await;
        for slot in ["ci_pipeline-0", "ci_pipeline-1"] {
            site.offers(slot, &["build:deploy", "build:deploy:built-in"]).await;
        }
        site.offers("a_exec-0", &[]).await;
        let mut jobs = Vec::new();
        for unique in ["u-1", "u-2", "u-3"] {
            jobs.push(site.server.submit("build:deploy", unique, "{}").await);
        }
        let ci = site.controller("ci");
        eventually("two pipelines run", || async { ci.builds().len() == 2 }).await;
        site.looks("ci", 3).await;
        assert_eq!(ci.builds().len(), 2, "the third one waits for a slot");
        assert_eq!(site.server.worker_ids().await, workers, "slots are not more than there are executors");
        for number in 1..=3 {
            eventually("a pipeline ends", || async { ci.finish("deploy", number, BuildResult::Success) }).await;
        }
        for job in jobs {
            job.finish().await;
        }
    }

    async fn f12_all_kinds_of_classic_projects_are_offered_alike(server) {
        let kinds = [
            ("freestyle", ProjectKind::Freestyle),
            ("maven", ProjectKind::Maven),
            ("matrix", ProjectKind::Matrix),
            ("other", ProjectKind::Other),
        ];
        let of_kind = |(name, kind): &(&str, ProjectKind)| ProjectSpec { kind: *kind, ..project(name, Some("linux")) };
        let fleet = fleet(&[("a", 1, &["linux"])], kinds.iter().map(of_kind).collect());
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        let mut expected: Vec<String> = kinds
            .iter()
            .flat_map(|(name, _)| [format!("build:{name}"), format!("build:{name}:linux")])
            .collect();
        expected.sort();
        site.offers("a_exec-0", &expected.iter().map(String::as_str).collect::<Vec<_>>()).await;
    }

    async fn f14_a_disabled_project_is_withdrawn_and_comes_back(server) {
        let projects = vec![project("lint", None), project("test", None)];
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], projects)).start(server).await;
        site.offers("a_exec-0", &["build:lint", "build:test"]).await;
        site.controller("ci").set_disabled("lint", true);
        site.offers("a_exec-0", &["build:test"]).await;
        site.controller("ci").set_disabled("lint", false);
        site.offers("a_exec-0", &["build:lint", "build:test"]).await;
    }

    async fn f15_functions_follow_projects_that_are_created_renamed_moved_relabelled_and_deleted(server) {
        let fleet = fleet(&[("a", 1, &["linux"]), ("b", 1, &["bsd"])], vec![project("team/lint", Some("linux"))]);
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        let ci = site.controller("ci");
        site.offers("a_exec-0", &["build:lint", "build:lint:linux"]).await;
        assert!(ci.add_project(project("new", Some("linux"))));
        site.offers("a_exec-0", &["build:lint", "build:lint:linux", "build:new", "build:new:linux"]).await;
        assert!(ci.rename("new", "newer"));
        site.offers("a_exec-0", &["build:lint", "build:lint:linux", "build:newer", "build:newer:linux"]).await;
        assert!(ci.update_project("newer", |spec| spec.label = Some("bsd".to_owned())));
        site.offers("a_exec-0", &["build:lint", "build:lint:linux"]).await;
        site.offers("b_exec-0", &["build:newer", "build:newer:bsd"]).await;
        assert!(ci.remove_project("newer"));
        site.offers("b_exec-0", &[]).await;
        // The name stays, what it means does not.
        assert!(ci.rename("team/lint", "other/lint"));
        eventually("the name means the moved project", || async {
            let functions = site.status().await.functions;
            functions.iter().all(|(_, function)| function.project.full() == "other/lint") && functions.len() == 2
        })
        .await;
        site.offers("a_exec-0", &["build:lint", "build:lint:linux"]).await;
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        job.started().await;
        assert!(ci.finish("other/lint", 1, BuildResult::Success));
        job.finish().await;
    }
}

fn pipeline(name: &str) -> ProjectSpec {
    ProjectSpec { kind: ProjectKind::Pipeline, duration: Length::Manual, ..project(name, None) }
}
