//! From the trigger to the start: lost answers, merged items, builds that are stuck.

use std::time::Duration;

use layshaft::domain::{BuildResult, NodeName, Parameters, QueueItemId};
use layshaft::gearman::client::Update;
use layshaft::runtime::OnStuck;
use layshaft::simulator::{Fault, FaultRule, ParameterKind, ParameterSpec, Permission, ProjectSpec, Version};

use crate::support::{
    Kind, SiteBuilder, completion, eventually, exception, fleet, marked, on_both_servers, project, stuck,
};

/// Keeps a build of such a project in the queue.
const STAYS: &str = r#"{"delay":"600sec"}"#;

on_both_servers! {
    async fn f49_a_trigger_whose_answer_was_lost_is_looked_up_and_not_repeated(server) {
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], vec![marked("lint", None)])).start(server).await;
        let ci = site.controller("ci");
        ci.fault(FaultRule::once("/job/lint/build", Fault::DropAfterAccept));
        let updates = site.server.run("build:lint", "u-1", "{}").await;
        assert_eq!(completion(&updates)["number"], 1);
        assert_eq!(ci.builds().len(), 1);
        assert_eq!(ci.requests()["POST /job/*/buildWithParameters"], 1);
    }

    async fn f49_a_trigger_that_never_arrived_is_repeated_once_it_is_certain(server) {
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], vec![marked("lint", None)])).start(server).await;
        let ci = site.controller("ci");
        for fault in [Fault::DropBeforeAccept, Fault::Status(500), Fault::Status(503), Fault::Html] {
            ci.fault(FaultRule::once("/job/lint/build", fault));
        }
        let updates = site.server.run("build:lint", "u-1", "{}").await;
        assert_eq!(completion(&updates)["number"], 1);
        assert_eq!(ci.builds().len(), 1);
    }

    async fn a_controller_that_keeps_failing_to_start_a_build_is_believed(server) {
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], vec![marked("lint", None)])).start(server).await;
        site.controller("ci").fault(FaultRule::new("/job/lint/build", Fault::Status(500)));
        let text = exception(&site.server.run("build:lint", "u-1", "{}").await);
        assert!(text.starts_with("jenkins did not start lint: "), "{text}");
    }

    async fn a_lost_answer_of_an_unmarked_project_is_reported_and_never_repeated(server) {
        let plain = ProjectSpec { parameters: Vec::new(), ..marked("plain", None) };
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], vec![plain])).start(server).await;
        site.controller("ci").fault(FaultRule::once("/job/plain/build", Fault::DropAfterAccept));
        let text = exception(&site.server.run("build:plain", "u-1", "{}").await);
        assert!(text.contains("declares no marker"), "{text}");
        assert_eq!(site.controller("ci").builds().len(), 1);
    }

    async fn f47_a_stuck_build_is_cancelled_and_the_client_told(server) {
        let site = SiteBuilder::new()
            .config(|config| (config.start_within, config.on_stuck) = (Duration::from_millis(700), OnStuck::Fail))
            .controller("ci", fleet(&[("a", 1, &["linux"])], vec![stuck("stuck")]))
            .start(server)
            .await;
        let text = exception(&site.server.run("build:stuck", "u-1", STAYS).await);
        assert_eq!(text, "the build had not started within 700ms and was cancelled");
        assert!(site.controller("ci").queue().is_empty());
        assert!(site.controller("ci").builds().is_empty());
        site.idle().await;
    }

    async fn f47_a_stuck_build_is_handed_back_three_times_and_then_fails(server) {
        let nodes: [(&str, u32, &[&str]); 5] = [("a", 1, &[]), ("b", 1, &[]), ("c", 1, &[]), ("d", 1, &[]), ("e", 1, &[])];
        let site = SiteBuilder::new()
            .config(|config| config.start_within = Duration::from_millis(500))
            .controller("ci", fleet(&nodes, vec![stuck("stuck")]))
            .start(server)
            .await;
        let updates = site.server.run("build:stuck", "u-1", STAYS).await;
        if site.server.kind == Kind::Geard {
            // A job whose connection ends has failed there.
            assert_eq!(updates, [Update::Fail]);
        } else {
            let text = exception(&updates);
            assert!(text.starts_with("given up after several attempts: the build had not started within 500ms"), "{text}");
            let handed_back = site.runtime().journal().recent(10).await.unwrap();
            assert_eq!(handed_back.len(), 4);
            let workers: std::collections::BTreeSet<_> = handed_back.iter().map(|record| &record.worker).collect();
            assert_eq!(workers.len(), 4, "each time another node: the one before backs off");
        }
        assert!(site.controller("ci").queue().is_empty());
        assert!(site.controller("ci").builds().is_empty());
        site.idle().await;
    }

    async fn f48_a_build_that_jenkins_merged_with_a_strangers_is_shared_and_not_cancelled(server) {
        let plain = ProjectSpec {
            parameters: vec![ParameterSpec::new("TEXT", ParameterKind::String, "x")],
            ..project("plain", Some("linux"))
        };
        let site = SiteBuilder::new()
            .config(|config| (config.start_within, config.on_stuck) = (Duration::from_secs(1), OnStuck::Fail))
            .controller("ci", fleet(&[("a", 1, &["linux"])], vec![plain]))
            .start(server)
            .await;
        let ci = site.controller("ci");
        // The stranger's build waits in its quiet period, and so does ours with it.
        ci.update_project("plain", |spec| spec.quiet_period = Some(Duration::from_secs(600)));
        let stranger = ci.start_foreign_build("plain", &Parameters::new()).unwrap();
        let text = exception(&site.server.run("build:plain", "u-1", "{}").await);
        assert!(text.starts_with("the build had not started within 1s"), "{text}");
        assert_eq!(ci.queue().iter().map(|item| item.id).collect::<Vec<_>>(), [stranger]);
    }

    async fn f48_t01_a_silent_merge_with_a_strangers_build_is_noticed(server) {
        // Neither this version nor a project without parameters makes Jenkins say so.
        let text = ParameterSpec::new("TEXT", ParameterKind::String, "x");
        let old = ProjectSpec { parameters: vec![text], ..project("old", None) };
        let bare = ProjectSpec { parameters: Vec::new(), ..project("bare", None) };
        let site = SiteBuilder::new()
            .config(|config| (config.start_within, config.on_stuck) = (Duration::from_secs(1), OnStuck::Fail))
            .controller("ci1", fleet(&[("a", 1, &[])], vec![old]))
            .version("ci1", Version::new(2, 300))
            .controller("ci2", fleet(&[("b", 1, &[])], vec![bare]))
            .start(server)
            .await;
        for (controller, name) in [("ci1", "old"), ("ci2", "bare")] {
            let ci = site.controller(controller);
            ci.update_project(name, |spec| spec.quiet_period = Some(Duration::from_secs(600)));
            let stranger = ci.start_foreign_build(name, &Parameters::new()).unwrap();
            exception(&site.server.run(&format!("build:{name}"), "u-1", "{}").await);
            assert_eq!(ci.queue().iter().map(|item| item.id).collect::<Vec<_>>(), [stranger], "{name}");
        }
    }

    async fn f48_t01_an_equal_item_that_carries_our_marker_is_ours(server) {
        let site = SiteBuilder::new()
            .config(|config| (config.start_within, config.on_stuck) = (Duration::from_secs(1), OnStuck::Fail))
            .controller("ci", fleet(&[("a", 1, &[])], vec![marked("lint", None)]))
            .start(server)
            .await;
        let ci = site.controller("ci");
        ci.update_project("lint", |spec| spec.quiet_period = Some(Duration::from_secs(600)));
        // As if an earlier request of ours had been taken in after all, long after its connection broke.
        let marker = Parameters::from_iter([("UUID", "u-1")]);
        ci.start_foreign_build("lint", &marker).unwrap();
        exception(&site.server.run("build:lint", "u-1", "{}").await);
        assert!(ci.queue().is_empty(), "the client was told that it was cancelled: {:?}", ci.queue());
    }

    async fn f47_a_stuck_build_that_may_not_be_cancelled_is_waited_for_and_built_once(server) {
        let site = SiteBuilder::new()
            .config(|config| config.start_within = Duration::from_millis(500))
            .controller("ci", fleet(&[("a", 1, &[]), ("b", 1, &[])], vec![stuck("patient")]))
            .forbid("ci", Permission::ItemCancel)
            .start(server)
            .await;
        let job = site.server.submit("build:patient", "u-1", r#"{"delay":"2sec"}"#).await;
        eventually("the permission is named", || async {
            !crate::support::log::lines_with(&["lacks the permission Job/Cancel"]).is_empty()
        })
        .await;
        assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        assert_eq!(site.controller("ci").builds().len(), 1);
    }

    async fn f31_a_project_that_has_just_gained_or_lost_its_parameters_is_asked_again(server) {
        let plain = ProjectSpec { parameters: Vec::new(), ..marked("gains", None) };
        let fleet = fleet(&[("a", 1, &[])], vec![plain, marked("loses", None)]);
        let site = SiteBuilder::new()
            .poll(|poll| poll.parameters = Duration::from_secs(600))
            .controller("ci", fleet)
            .start(server)
            .await;
        let ci = site.controller("ci");
        ci.update_project("gains", |spec| spec.parameters.push(ParameterSpec::new("UUID", ParameterKind::String, "")));
        ci.update_project("loses", |spec| spec.parameters.clear());
        for project in ["gains", "loses"] {
            let updates = site.server.run(&format!("build:{project}"), "u-1", "{}").await;
            assert_eq!(completion(&updates)["result"], "SUCCESS", "{project}");
        }
        let builds = ci.builds();
        assert_eq!(builds.len(), 2);
        let gains = builds.iter().find(|build| build.project == "gains").unwrap();
        assert_eq!(gains.parameters.get("UUID"), Some("u-1"));
    }

    async fn f46_an_item_that_somebody_cancels_in_jenkins_ends_the_job(server) {
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], vec![stuck("stuck")])).start(server).await;
        let job = site.server.submit("build:stuck", "u-1", STAYS).await;
        let ci = site.controller("ci");
        eventually("the build is queued", || async { !ci.queue().is_empty() }).await;
        site.jenkins("ci").cancel(QueueItemId(ci.queue()[0].id)).await.unwrap();
        assert_eq!(exception(&job.finish().await), "the build was cancelled in the jenkins queue");
    }

    async fn a_build_that_waits_for_a_moment_is_followed(server) {
        let site = SiteBuilder::new()
            .start_latency(Duration::from_millis(400))
            .controller("ci", fleet(&[("a", 1, &[])], vec![project("lint", None)]))
            .start(server)
            .await;
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        assert_eq!(job.started().await["node_name"], "a");
        let ci = site.controller("ci");
        ci.finish("lint", 1, BuildResult::Success);
        assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        assert!(ci.nodes().iter().all(|node| node.name == NodeName::BuiltIn || !node.temporarily_offline));
    }
}
