//! A bug of our own, wherever it strikes, costs the job that it struck and nothing else.

use layshaft::domain::BuildResult;
use layshaft::gearman::client::Update;

use crate::support::{SiteBuilder, completion, exception, fleet, log, on_both_servers, project};

on_both_servers! {
    async fn f41_a_panic_in_a_build_is_one_exception_and_its_worker_lives(server) {
        let projects = vec![project("trips-when-started", None), project("lint", None)];
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], projects)).start(server).await;
        log::bug_at(&["build started", "function=build:trips-when-started"]);
        let ci = site.controller("ci");
        for number in 1..=2 {
            let updates = site.server.run("build:trips-when-started", &format!("u-{number}"), "{}").await;
            assert_eq!(exception(&updates), "layshaft failed while it ran this build; see its log");
            assert_eq!(updates.iter().filter(|update| update.is_last()).count(), 1);
            assert!(ci.finish("trips-when-started", number, BuildResult::Success), "jenkins knows nothing of it");
            let mut job = site.server.submit("build:lint", &format!("u-lint-{number}"), "{}").await;
            assert_eq!(job.started().await["worker"], "a_exec-0");
            assert!(ci.finish("lint", number, BuildResult::Success));
            assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        }
        site.idle().await;
    }

    async fn f62_f69_a_panic_in_a_request_is_one_exception_and_management_lives(server) {
        let projects = vec![project("trips-when-stopped", None), project("lint", None)];
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 2, &[])], projects)).start(server).await;
        log::bug_at(&["stopped a build", "trips-when-stopped"]);
        for name in ["trips-when-stopped", "lint"] {
            let mut job = site.server.submit(&format!("build:{name}"), name, "{}").await;
            job.started().await;
            let updates = site.server.run("stop:ci", "", &format!(r#"{{"name":"{name}","number":1}}"#)).await;
            match name {
                "lint" => assert_eq!(updates, [Update::Complete("".into())]),
                _ => assert_eq!(exception(&updates), "layshaft failed while it answered this; see its log"),
            }
            assert_eq!(completion(&job.finish().await)["result"], "ABORTED");
        }
        assert_eq!(site.server.functions_of("ci_manager").await, ["set_description:ci", "stop:ci"]);
    }
}
