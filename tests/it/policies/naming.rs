//! Naming: under which names projects are offered, and that each name means one project.

use std::time::Duration;

use layshaft::domain::BuildResult;
use layshaft::gearman::client::Update;
use layshaft::policy::Gates;

use crate::support::guest::{Guest, TRAP, named, past_the_gates};
use crate::support::{SiteBuilder, completion, eventually, fleet, on_both_servers, project};

const WORKER: &str = "a_exec-0";

fn builder() -> SiteBuilder {
    let projects = vec![project("team-a/app", Some("linux")), project("team-b/lint", None)];
    SiteBuilder::new()
        .controller("ci", fleet(&[("a", 1, &["linux"])], projects))
        .example_policy("10-folder-names.wasm", "folder-names")
}

on_both_servers! {
    async fn f110_full_names_are_offered_and_short_ones_while_they_are_unique(server) {
        let site = builder().start(server).await;
        let both = [
            "build:app", "build:app:linux", "build:lint", "build:team-a/app", "build:team-a/app:linux", "build:team-b/lint",
        ];
        site.offers(WORKER, &both).await;
        let ci = site.controller("ci");
        ci.add_project(project("team-b/app", Some("linux")));
        let no_alias = [
            "build:lint", "build:team-a/app", "build:team-a/app:linux", "build:team-b/app", "build:team-b/app:linux",
            "build:team-b/lint",
        ];
        site.offers(WORKER, &no_alias).await;
        ci.remove_project("team-a/app");
        let other_alias = [
            "build:app", "build:app:linux", "build:lint", "build:team-b/app", "build:team-b/app:linux", "build:team-b/lint",
        ];
        site.offers(WORKER, &other_alias).await;
        let mut job = site.server.submit("build:app:linux", "u-1", "{}").await;
        assert_eq!(job.started().await["name"], "app");
        assert!(ci.finish("team-b/app", 1, BuildResult::Success), "the alias means the project that is left");
        assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
    }

    async fn n08_functions_with_labels_are_left_out_where_a_policy_says_so(server) {
        let fleet = fleet(&[("a", 1, &["linux"])], vec![project("lint", Some("linux"))]);
        let plain = Guest::new("plain").naming(&named(&["lint"])).build();
        let site = SiteBuilder::new().controller("ci", fleet).policy_file("10-plain.wasm", plain).start(server).await;
        site.offers(WORKER, &["build:lint"]).await;
    }

    async fn f23_f110_a_build_is_stopped_and_described_by_the_name_under_which_it_was_started(server) {
        let site = builder().start(server).await;
        site.offers(WORKER, &["build:app", "build:app:linux", "build:lint", "build:team-a/app", "build:team-a/app:linux", "build:team-b/lint"]).await;
        let ci = site.controller("ci");
        for (number, name) in [(1, "team-a/app"), (2, "app")] {
            let mut job = site.server.submit(&format!("build:{name}"), &format!("u-{number}"), "{}").await;
            let started = job.started().await;
            assert_eq!((&started["name"], &started["number"]), (&name.into(), &number.into()));
            let text = format!(r#"{{"name":"{name}","number":{number},"html_description":"by {name}"}}"#);
            let described = site.server.run("set_description:ci", "", &text).await;
            assert!(matches!(described.last(), Some(Update::Complete(_))), "{described:?}");
            let build = ci.builds().into_iter().find(|build| build.number == number).unwrap();
            assert_eq!((build.project.as_str(), build.description), ("team-a/app", Some(format!("by {name}"))));
            let stopped = site.server.run("stop:ci", "", &format!(r#"{{"name":"{name}","number":{number}}}"#)).await;
            assert!(matches!(stopped.last(), Some(Update::Complete(_))), "{stopped:?}");
            assert_eq!(completion(&job.finish().await)["result"], "ABORTED");
        }
    }

    async fn f23_f110_a_running_build_is_found_by_an_alias_that_was_withdrawn(server) {
        let site = builder().start(server).await;
        eventually("the alias is there", || async { site.server.workers_for("build:app").await == 1 }).await;
        let mut job = site.server.submit("build:app", "u-1", "{}").await;
        job.started().await;
        site.controller("ci").add_project(project("team-b/app", Some("linux")));
        // Its own function stays until its job has ended; the other alias goes.
        site.offers(WORKER, &[
            "build:app", "build:lint", "build:team-a/app", "build:team-a/app:linux", "build:team-b/app",
            "build:team-b/app:linux", "build:team-b/lint",
        ]).await;
        let stopped = site.server.run("stop:ci", "", r#"{"name":"app","number":1}"#).await;
        assert!(matches!(stopped.last(), Some(Update::Complete(_))), "{stopped:?}");
        assert_eq!(completion(&job.finish().await)["result"], "ABORTED");
        eventually("the alias is gone", || async { site.server.workers_for("build:app").await == 0 }).await;
    }

    async fn f110_a_naming_policy_that_starts_to_fail_keeps_what_is_registered(server) {
        let good = Guest::new("names").naming(&named(&["fancy"])).build();
        let fleet = fleet(&[("a", 1, &[]), ("b", 1, &[])], vec![project("lint", None)]);
        let builder = SiteBuilder::new().controller("ci", fleet).policy_file("10-names.wasm", good);
        let site = builder.gates(Gates { watch_for: Duration::ZERO, ..Gates::default() }).start(server).await;
        site.offers("a_exec-0", &["build:fancy"]).await;
        let failing = Guest::new("names").function("naming", "names", past_the_gates(TRAP, &named(&["fancy"])));
        site.impose_policy("10-names.wasm", &failing.build()).await;
        site.notes(&["the names of lint on ci stay as they were", "names", "it trapped"]).await;
        let policy = site.policy("names").await.unwrap();
        assert!(policy.failing.is_some_and(|failing| failing.contains("it trapped")), "people see that it fails");
        // What was never named is not offered, neither under a classic name.
        site.controller("ci").add_project(project("new", None));
        site.notes(&["the names of new on ci"]).await;
        site.offers("a_exec-0", &["build:fancy"]).await;
        site.offers("b_exec-0", &["build:fancy"]).await;
        let mut job = site.server.submit("build:fancy", "u-1", "{}").await;
        job.started().await;
        site.controller("ci").finish("lint", 1, BuildResult::Success);
        assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        site.controller("ci").remove_project("new");
        eventually("its end is seen", || async {
            !site.status().await.notes.iter().any(|note| note.contains("the names of new on ci"))
        })
        .await;
        site.drop_policy("10-names.wasm", &Guest::new("names").naming(&named(&["plain"])).build());
        site.offers("a_exec-0", &["build:plain"]).await;
        assert_eq!(site.status().await.notes, [""; 0], "it is well again");
        assert_eq!(site.policy("names").await.unwrap().failing, None);
    }
}
