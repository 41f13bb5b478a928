//! What stands among the projects of a controller besides plain ones: folders, branches, kinds that nobody knows.

use layshaft::domain::{BuildResult, Parameters, ProjectKind};
use layshaft::gearman::client::Update;
use layshaft::simulator::{FolderSpec, ProjectSpec};

use crate::support::{SiteBuilder, completion, eventually, fleet, on_both_servers, project};

fn multibranch(name: &str) -> FolderSpec {
    FolderSpec { full_name: name.to_owned(), multibranch: true, ..FolderSpec::default() }
}

fn pipeline(name: &str) -> ProjectSpec {
    ProjectSpec { kind: ProjectKind::Pipeline, ..project(name, None) }
}

on_both_servers! {
    async fn t12_a_branch_whose_name_has_a_slash_is_started_described_and_stopped(server) {
        let mut fleet = fleet(&[("a", 1, &[])], vec![pipeline("app/feature%2Fx")]);
        fleet.folders = vec![multibranch("app")];
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        for (number, name) in [(1, "feature%2Fx"), (2, "app/feature%2Fx")] {
            let mut job = site.server.submit("build:feature%2Fx", &format!("u-{number}"), "{}").await;
            let started = job.started().await;
            let url = format!("{}job/app/job/feature%252Fx/{number}/", site.controller("ci").url());
            assert_eq!((&started["name"], &started["url"]), (&"feature%2Fx".into(), &url.into()));
            let request = serde_json::json!({"name": name, "number": number, "html_description": "x"}).to_string();
            let described = site.server.run("set_description:ci", "", &request).await;
            assert!(matches!(described.last(), Some(Update::Complete(_))), "{described:?}");
            assert_eq!(site.server.run("stop:ci", "", &request).await, [Update::Complete("".into())]);
            assert_eq!(completion(&job.finish().await)["result"], "ABORTED");
            let builds = site.controller("ci").builds();
            assert_eq!(builds.last().unwrap().description.as_deref(), Some("x"));
        }
    }

    async fn t21_projects_of_a_disabled_folder_are_withdrawn_and_come_back(server) {
        let projects = vec![project("team/lint", None), project("test", None)];
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], projects)).start(server).await;
        site.offers("a_exec-0", &["build:lint", "build:test"]).await;
        site.controller("ci").set_disabled("team", true);
        site.offers("a_exec-0", &["build:test"]).await;
        site.controller("ci").set_disabled("team", false);
        site.offers("a_exec-0", &["build:lint", "build:test"]).await;
    }

    async fn t22_a_multibranch_project_is_a_folder_although_it_could_be_built(server) {
        let mut fleet = fleet(&[("a", 1, &[])], vec![pipeline("app/main")]);
        fleet.folders = vec![multibranch("app"), multibranch("no-branches-yet")];
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        site.offers("ci_pipeline-0", &["build:main", "build:main:built-in"]).await;
        site.offers("a_exec-0", &[]).await;
        assert_eq!(site.status().await.controllers[0].projects, 1);
    }

    async fn f23_branches_of_one_name_clash_and_starting_stopping_and_describing_mean_the_same_one(server) {
        let mut fleet = fleet(&[("a", 2, &[])], vec![pipeline("one/main"), pipeline("two/main")]);
        fleet.folders = vec![multibranch("one"), multibranch("two")];
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        site.notes(&["build:main means two/main", "one/main is not offered"]).await;
        let ci = site.controller("ci");
        ci.start_foreign_build("one/main", &Parameters::new());
        let mut job = site.server.submit("build:main", "u-1", "{}").await;
        assert_eq!(job.started().await["number"], 1);
        let request = r#"{"name":"main","number":1,"html_description":"ours"}"#;
        site.server.run("set_description:ci", "", request).await;
        assert_eq!(site.server.run("stop:ci", "", request).await, [Update::Complete("".into())]);
        assert_eq!(completion(&job.finish().await)["result"], "ABORTED");
        let state = |name: &str| {
            let build = ci.builds().into_iter().find(|build| build.project == name).unwrap();
            (build.building, build.description)
        };
        assert_eq!(state("two/main"), (false, Some("ours".to_owned())));
        assert_eq!(state("one/main"), (true, None));
    }

    async fn f23_f110_a_naming_policy_offers_branches_of_one_name_side_by_side(server) {
        let mut fleet = fleet(&[("a", 2, &[])], vec![pipeline("one/main"), pipeline("two/main")]);
        fleet.folders = vec![multibranch("one"), multibranch("two")];
        let builder = SiteBuilder::new().controller("ci", fleet).example_policy("10-folder-names.wasm", "folder-names");
        let site = builder.start(server).await;
        for name in ["one/main", "two/main"] {
            let function = format!("build:{name}");
            eventually("it is offered", || async { site.server.workers_for(&function).await > 0 }).await;
            let mut job = site.server.submit(&function, name, "{}").await;
            assert_eq!((&job.started().await["name"], site.controller("ci").builds().len()), (&name.into(), if name == "one/main" { 1 } else { 2 }));
            site.controller("ci").finish(name, 1, BuildResult::Success);
            assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        }
    }

    async fn f12_a_kind_that_cannot_be_built_is_left_out_and_noted_once(server) {
        let unknown = |name: &str| ProjectSpec { kind: ProjectKind::Unknown, ..project(name, None) };
        let other = ProjectSpec { kind: ProjectKind::Other, ..project("multi", None) };
        let fleet = fleet(&[("a", 1, &[])], vec![unknown("outside"), unknown("team/away"), other]);
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        site.offers("a_exec-0", &["build:multi"]).await;
        site.notes(&["outside", "1 more", "ci"]).await;
        assert_eq!(site.status().await.notes.len(), 1);
    }
}
