//! What becomes of jobs while a controller answers late, badly or not at all; `docs/polling.md` has the bounds.

use std::time::Duration;

use layshaft::domain::{BuildResult, NodeName, Parameters};
use layshaft::runtime::OnStuck;
use layshaft::runtime::status::WorkerState;
use layshaft::simulator::{Fault, FaultRule, Permission, Version};

use crate::support::{
    Site, SiteBuilder, completion, eventually, exception, fleet, marked, on_both_servers, project, stuck,
};

/// Waits until everything that the status says to be wrong has these words, and that it says something.
async fn complains(site: &Site, words: &str) {
    eventually(words, || async {
        let status = site.status().await;
        let errors = status.controllers[0].pictures.iter().filter_map(|picture| picture.error.as_deref());
        let errors: Vec<_> = errors.collect();
        !errors.is_empty() && errors.iter().all(|error| error.contains(words))
    })
    .await;
}

on_both_servers! {
    async fn a_picture_that_is_too_old_lets_no_job_be_taken_and_everything_else_goes_on(server) {
        let site = SiteBuilder::new()
            .poll(|poll| poll.stale_after = Some(Duration::from_secs(1)))
            .controller("ci", fleet(&[("a", 2, &[])], vec![project("lint", None)]))
            .start(server)
            .await;
        let ci = site.controller("ci");
        let mut running = site.server.submit("build:lint", "u-1", "{}").await;
        assert_eq!(running.started().await["number"], 1);
        ci.fault(FaultRule::new("/computer", Fault::Status(500)));
        eventually("what is known is too old", || async { !site.status().await.controllers[0].fresh }).await;
        let waiting = site.server.submit("build:lint", "u-2", "{}").await;
        assert!(ci.finish("lint", 1, BuildResult::Success));
        assert_eq!(completion(&running.finish().await)["result"], "SUCCESS", "a running build is followed");
        assert_eq!(ci.builds().len(), 1, "the other job waits at the server");
        site.offers("a_exec-0", &["build:lint"]).await;
        site.offers("a_exec-1", &["build:lint"]).await;
        let status = site.status().await;
        let controller = &status.controllers[0];
        let errors: Vec<_> = controller.pictures.iter().filter_map(|picture| picture.error.as_deref()).collect();
        assert_eq!(errors, ["/computer/api/json was answered with the unexpected status 500"]);
        assert!(controller.reachable, "it is not gone yet");
        ci.clear_faults();
        eventually("the waiting job runs", || async { ci.finish("lint", 2, BuildResult::Success) }).await;
        assert_eq!(completion(&waiting.finish().await)["result"], "SUCCESS");
    }

    async fn t14_answers_that_are_cut_short_are_no_news_and_withdraw_nothing(server) {
        let site = SiteBuilder::new()
            .poll(|poll| poll.stale_after = Some(Duration::from_secs(1)))
            .controller("ci", fleet(&[("a", 1, &[])], vec![project("lint", None)]))
            .start(server)
            .await;
        site.eventually_worker("a_exec-0", WorkerState::Grabbing).await;
        let ci = site.controller("ci");
        ci.fault(FaultRule::new("/api/json", Fault::Truncate));
        site.eventually_worker("a_exec-0", WorkerState::Waiting).await;
        site.offers("a_exec-0", &["build:lint"]).await;
        ci.clear_faults();
        site.eventually_worker("a_exec-0", WorkerState::Grabbing).await;
    }

    async fn t15_pages_instead_of_answers_are_told_apart_and_withdraw_nothing(server) {
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], vec![project("lint", None)])).start(server).await;
        let ci = site.controller("ci");
        let mut running = site.server.submit("build:lint", "u-1", "{}").await;
        running.started().await;
        for (fault, words) in [
            (Fault::Status(503), "starting, restarting or behind a proxy"),
            (Fault::Status(403), "no permission is named"),
            (Fault::Html, "a page instead of data"),
            (Fault::Redirect("https://sso.example.org/login?from=%2F"), "a login page (https://sso.example.org)"),
            (Fault::Redirect("https://ci.example.org/"), "set `url` to its final address"),
        ] {
            ci.fault(FaultRule::new("/", fault));
            complains(&site, words).await;
            site.offers("a_exec-0", &["build:lint"]).await;
            ci.clear_faults();
            eventually("nothing is wrong", || async {
                site.status().await.controllers[0].pictures.iter().all(|picture| picture.error.is_none())
            })
            .await;
        }
        assert!(ci.finish("lint", 1, BuildResult::Success));
        assert_eq!(completion(&running.finish().await)["result"], "SUCCESS");
    }

    async fn t20_a_controller_that_shuts_down_accepts_a_build_that_starts_when_it_thinks_better_of_it(server) {
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], vec![marked("lint", None)])).start(server).await;
        let ci = site.controller("ci");
        // The news does not arrive in time.
        ci.fault(FaultRule::new("/api/json", Fault::Status(500)));
        ci.quiet_down(true);
        let first = site.server.submit("build:lint", "u-1", "{}").await;
        eventually("the build is accepted", || async { ci.queue().len() == 1 }).await;
        ci.clear_faults();
        eventually("the news is there", || async { site.status().await.controllers[0].quieting_down }).await;
        let second = site.server.submit("build:lint", "u-2", "{}").await;
        site.looks("ci", 3).await;
        assert_eq!((ci.queue().len(), ci.builds().len()), (1, 0));
        ci.quiet_down(false);
        for job in [first, second] {
            assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        }
        assert_eq!(ci.builds().len(), 2);
    }

    async fn t24_addresses_of_a_host_that_nobody_can_reach_are_read_from_their_end(server) {
        let site = SiteBuilder::new()
            .location_origin("ci", "http://inside.invalid:8080/jenkins/")
            .controller("ci", fleet(&[("a", 1, &[])], vec![project("lint", None), stuck("stuck")]))
            .start(server)
            .await;
        let ci = site.controller("ci");
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        assert_eq!(job.started().await["number"], 1);
        assert!(ci.finish("lint", 1, BuildResult::Success));
        assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        assert_eq!(ci.builds().len(), 1);
    }

    async fn t28_a_crumb_is_fetched_and_a_missing_permission_is_named(server) {
        // The last release on which a token needs a crumb.
        let needs_crumbs = Version::new(2, 95);
        let site = SiteBuilder::new()
            .controller("ci", fleet(&[("a", 1, &[])], vec![marked("lint", None)]))
            .version("ci", needs_crumbs)
            .start(server)
            .await;
        assert_eq!(completion(&site.server.run("build:lint", "u-1", "{}").await)["result"], "SUCCESS");
        assert!(site.controller("ci").requests()["GET /crumbIssuer/api/json"] > 0);
    }

    async fn t28_a_permission_that_is_missing_is_not_taken_for_a_crumb(server) {
        let site = SiteBuilder::new()
            .controller("ci", fleet(&[("a", 1, &[])], vec![marked("lint", None)]))
            .forbid("ci", Permission::ItemBuild)
            .start(server)
            .await;
        let text = exception(&site.server.run("build:lint", "u-1", "{}").await);
        assert!(text.contains("Job/Build (hudson.model.Item.Build)"), "{text}");
        assert_eq!(site.controller("ci").requests().get("GET /crumbIssuer/api/json"), None);
    }

    async fn t29_controllers_of_every_age_run_builds_where_their_labels_say(server) {
        let versions = [("i", 1, 651), ("j", 2, 60), ("k", 2, 200), ("l", 2, 300)];
        let mut builder = SiteBuilder::new()
            .config(|config| (config.start_within, config.on_stuck) = (Duration::from_millis(300), OnStuck::Fail));
        for (ci, major, minor) in versions {
            let projects = vec![
                marked(&format!("lint-{ci}"), Some("linux")),
                marked(&format!("pack-{ci}"), Some("!linux")),
                stuck(&format!("stuck-{ci}")),
            ];
            let nodes: [(&str, u32, &[&str]); 2] = [(&format!("{ci}1"), 1, &["linux"]), (&format!("{ci}2"), 1, &[])];
            builder = builder.controller(ci, fleet(&nodes, projects)).version(ci, Version::new(major, minor));
        }
        let site = builder.start(server).await;
        for (ci, ..) in versions {
            let [lint, linux, pack, stuck] =
                ["lint-{}", "lint-{}:linux", "pack-{}", "stuck-{}"].map(|name| format!("build:{}", name.replace("{}", ci)));
            site.offers(&format!("{ci}1_exec-0"), &[&lint, &linux, &stuck]).await;
            site.offers(&format!("{ci}2_exec-0"), &[&pack, &stuck]).await;
            for function in [&linux, &pack] {
                let updates = site.server.run(function, function, "{}").await;
                assert_eq!(completion(&updates)["result"], "SUCCESS", "{function}");
            }
            // What became of a cancellation is not told before 2.211.
            let updates = site.server.run(&stuck, &stuck, r#"{"delay":"600sec"}"#).await;
            assert!(exception(&updates).contains("was cancelled"), "{stuck}: {updates:?}");
            assert!(site.controller(ci).queue().is_empty());
        }
    }

    async fn t29_an_old_controller_that_hides_its_configurations_is_told_as_such(server) {
        let site = SiteBuilder::new()
            .controller("ci", fleet(&[("a", 1, &["linux"])], vec![marked("lint", Some("linux"))]))
            .forbid("ci", Permission::AgentExtendedRead)
            .version("ci", Version::new(2, 60))
            .start_without_waiting(server)
            .await;
        eventually("the node says what is missing", || async {
            let status = site.status().await;
            let node = status.controllers[0].nodes.iter().find(|node| node.name == NodeName::agent("a"));
            let reason = node.and_then(|node| node.offline_reason.clone()).unwrap_or_default();
            reason.contains("jenkins 2.60 tells its labels in config.xml alone") && reason.contains("Agent/ExtendedRead")
        })
        .await;
        assert_eq!(site.server.workers_for("build:lint").await, 0);
    }

    async fn t29_an_old_controller_that_hides_a_projects_configuration_offers_it_nowhere(server) {
        let site = SiteBuilder::new()
            .controller("ci", fleet(&[("a", 1, &["linux"]), ("b", 1, &[])], vec![marked("lint", Some("linux"))]))
            .forbid("ci", Permission::ItemConfigure)
            .version("ci", Version::new(2, 60))
            .start_without_waiting(server)
            .await;
        eventually("the status says what is missing, and both nodes are online", || async {
            let status = site.status().await;
            let ci = &status.controllers[0];
            let text = ci.trouble.clone().unwrap_or_default();
            let online = ci.nodes.iter().filter(|node| node.online && node.name != NodeName::BuiltIn).count();
            text.contains("Job/Configure") && online == 2
        })
        .await;
        let status = site.status().await;
        assert!(status.controllers[0].nodes.iter().all(|node| node.functions == 0), "{status:?}");
        assert_eq!(site.server.workers_for("build:lint").await, 0);
    }

    async fn t30_what_may_not_be_read_is_not_there_but_its_builds_hold_their_executors(server) {
        let site = SiteBuilder::new()
            .controller("ci", fleet(&[("a", 1, &[])], vec![project("secret", None), project("lint", None)]))
            .hide("ci", "secret")
            .start(server)
            .await;
        let ci = site.controller("ci");
        site.offers("a_exec-0", &["build:lint"]).await;
        site.eventually_worker("a_exec-0", WorkerState::Grabbing).await;
        ci.start_foreign_build("secret", &Parameters::new()).unwrap();
        site.eventually_worker("a_exec-0", WorkerState::Waiting).await;
        assert!(ci.finish("secret", 1, BuildResult::Success));
        site.eventually_worker("a_exec-0", WorkerState::Grabbing).await;
    }
}
