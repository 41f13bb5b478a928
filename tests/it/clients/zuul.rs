//! The launcher of Zuul 2.5.2, and of 2.1.0 for what changed in between.

use layshaft::domain::{BuildResult, NodeName, QueueItemId};
use layshaft::simulator::{ParameterKind, ParameterSpec};
use serde_json::{Value, json};

use super::zuul_process::{Zuul, zuul_project};
use crate::support::{GearmanServer, Kind, Site, SiteBuilder, eventually, fleet, on_every_server, project, stuck};

/// Starts a controller with a project `lint` on one node with one executor.
async fn site(server: GearmanServer) -> Site {
    let fleet = fleet(&[("a", 1, &["linux"])], vec![zuul_project("lint", Some("linux"))]);
    SiteBuilder::new().controller("ci", fleet).start(server).await
}

fn of(text: &Value) -> &str {
    text.as_str().unwrap()
}

on_every_server! {
    async fn f70_zuul_launches_and_hears_of_start_and_end(server) {
        let site = site(server).await;
        let Some(mut zuul) = Zuul::start("2.5.2", &site.server).await else { return };
        let ci = site.controller("ci");
        let results = [
            (BuildResult::Success, "SUCCESS"),
            (BuildResult::Failure, "FAILURE"),
            (BuildResult::Unstable, "UNSTABLE"),
            (BuildResult::NotBuilt, "NOT_BUILT"),
            (BuildResult::Aborted, "ABORTED"),
        ];
        for (number, (result, word)) in (1..).zip(results) {
            let item = &format!("item-{number}");
            let launched = zuul.launch(item, "lint", json!({"EXT_NAME": "one\ntwo é"})).await;
            assert_eq!(launched["function"], "build:lint");
            let started = zuul.hears("started", item).await;
            assert_eq!((&started["number"], &started["manager"]), (&number.into(), &"ci".into()));
            assert_eq!(started["url"], format!("{}job/lint/{number}/", ci.url()));
            let worker = &started["worker"];
            let program = (&worker["program"], &worker["version"]);
            assert_eq!((&worker["name"], &worker["hostname"]), (&"a_exec-0".into(), &"a".into()));
            assert_eq!(program, (&"layshaft".into(), &env!("CARGO_PKG_VERSION").into()));
            assert!(ci.finish("lint", number, result));
            let completed = zuul.hears("completed", item).await;
            assert_eq!((&completed["result"], &completed["retry"]), (&word.into(), &false.into()));
            assert_eq!((&completed["node_name"], &completed["node_labels"]), (&"a".into(), &json!(["a", "linux"])));
            let build = ci.builds().into_iter().find(|build| build.number == number).unwrap();
            let sent = |name| build.parameters.get(name);
            assert_eq!(sent("ZUUL_UUID"), Some(of(&launched["uuid"])));
            assert_eq!(sent("ZUUL_CHANGES"), Some("openstack/nova:master:refs/changes/34/1234/5"));
            assert_eq!(sent("ZUUL_CHANGE_IDS"), Some("1234,5"));
            assert_eq!(sent("ZUUL_VOTING"), Some("1"));
            assert_eq!(sent("ZUUL_COMMIT"), Some("default"), "it was sent as null");
            assert_eq!(sent("EXT_NAME"), Some("one\ntwo é"));
        }
    }

    async fn f70_zuul_names_a_node_and_finds_it_offline_when_it_hears_of_the_end(server) {
        let site = site(server).await;
        let Some(mut zuul) = Zuul::start("2.5.2", &site.server).await else { return };
        let parameters = json!({"ZUUL_NODE": "linux", "OFFLINE_NODE_WHEN_COMPLETE": "1"});
        assert_eq!(zuul.launch("item", "lint", parameters).await["function"], "build:lint:linux");
        zuul.hears("started", "item").await;
        site.controller("ci").finish("lint", 1, BuildResult::Failure);
        assert_eq!(zuul.hears("completed", "item").await["result"], "FAILURE");
        let reason = site.offline("ci", &NodeName::agent("a"));
        assert_eq!(reason.as_deref(), Some("Offline due to Gearman request"));
    }

    async fn f70_zuul_is_told_which_jobs_nobody_offers(server) {
        let site = site(server).await;
        let Some(mut zuul) = Zuul::start("2.5.2", &site.server).await else { return };
        zuul.tell(json!({"do": "launch", "item": "item", "job": "nothing"})).await;
        let complaint = zuul.next().await;
        assert!(of(&complaint["text"]).contains("name: build:nothing") && of(&complaint["text"]).contains("not registered"));
        zuul.hears("launched", "item").await;
        let completed = zuul.hears("completed", "item").await;
        assert_eq!((&completed["result"], &completed["retry"]), (&"NOT_REGISTERED".into(), &false.into()));
        // The function set was asked for a moment ago, and Zuul remembers what it has found.
        assert_eq!(zuul.launch("other", "lint", json!({})).await["function"], "build:lint");
        assert_eq!(zuul.hears("started", "other").await["number"], 1);
    }

    async fn f70_zuul_tries_again_when_there_is_no_result_and_gives_up_after_three_builds(server) {
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], vec![stuck("stuck")])).start(server).await;
        let Some(mut zuul) = Zuul::start("2.5.2", &site.server).await else { return };
        let ci = site.controller("ci");
        let mut last = zuul.launch("item", "stuck", json!({"delay": "600sec"})).await;
        for _ in 0..3 {
            eventually("the build is queued", || async { ci.queue().len() == 1 }).await;
            site.jenkins("ci").cancel(QueueItemId(ci.queue()[0].id)).await.unwrap();
            let completed = zuul.hears("completed", "item").await;
            assert_eq!((&completed["result"], &completed["retry"]), (&Value::Null, &true.into()));
            assert_eq!(completed["uuid"], last["uuid"]);
            let next = zuul.hears("launched", "item").await;
            assert_ne!(next["uuid"], last["uuid"]);
            last = next;
        }
        let completed = zuul.hears("completed", "item").await;
        assert_eq!((&completed["result"], &completed["retry"]), (&"RETRY_LIMIT".into(), &false.into()));
        assert!(ci.queue().is_empty() && ci.builds().is_empty(), "the fourth was not submitted");
    }

    async fn f70_zuul_fails_a_rejected_job_once(server) {
        let mut deploy = zuul_project("deploy", None);
        deploy.parameters.push(ParameterSpec::new("JENKINS_HOME", ParameterKind::String, ""));
        let site = SiteBuilder::new()
            .controller("ci", fleet(&[("a", 1, &[])], vec![deploy]))
            .example_policy("30-parameter-allowlist.wasm", "parameter-allowlist")
            .policy_file("30-parameter-allowlist.toml", "[[settings.deny]]\nname = 'internals'\nparameter = 'JENKINS_*'\n")
            .start(server)
            .await;
        let Some(mut zuul) = Zuul::start("2.5.2", &site.server).await else { return };
        zuul.launch("item", "deploy", json!({"JENKINS_HOME": "/tmp"})).await;
        let completed = zuul.hears("completed", "item").await;
        assert_eq!((&completed["result"], &completed["retry"]), (&"FAILURE".into(), &false.into()));
        // Had Zuul launched it again, this would not be the next thing to be heard.
        zuul.launch("other", "deploy", json!({})).await;
        assert_eq!(zuul.hears("started", "other").await["number"], 1);
    }

    async fn f66_f70_zuul_cancels_what_waits_at_the_server(server) {
        let site = site(server).await;
        let Some(mut zuul) = Zuul::start("2.5.2", &site.server).await else { return };
        zuul.launch("first", "lint", json!({})).await;
        zuul.hears("started", "first").await;
        zuul.launch("cancelled", "lint", json!({})).await;
        let last = zuul.launch("last", "lint", json!({})).await;
        assert!(zuul.cancel("cancelled").await);
        site.controller("ci").finish("lint", 1, BuildResult::Success);
        assert_eq!(zuul.hears("completed", "first").await["result"], "SUCCESS");
        assert_eq!(zuul.hears("started", "last").await["number"], 2);
        assert_eq!(site.controller("ci").builds()[1].parameters.get("ZUUL_UUID"), Some(of(&last["uuid"])));
        site.controller("ci").finish("lint", 2, BuildResult::Success);
        assert_eq!(zuul.hears("completed", "last").await["result"], "SUCCESS");
        site.idle().await;
        assert_eq!(site.controller("ci").builds().len(), 2, "no worker was ever given the cancelled job");
    }

    async fn f70_zuul_cancels_what_runs(server) {
        let site = site(server).await;
        let Some(mut zuul) = Zuul::start("2.5.2", &site.server).await else { return };
        zuul.launch("item", "lint", json!({})).await;
        zuul.hears("started", "item").await;
        zuul.cancel("item").await;
        site.idle().await;
        assert_eq!(site.controller("ci").builds()[0].result, Some(BuildResult::Aborted));
        // Zuul passes on nothing of a build that it cancelled, and has nothing to complain of either.
        zuul.launch("other", "lint", json!({})).await;
        assert_eq!(zuul.hears("started", "other").await["number"], 2);
    }

    async fn f70_zuul_cannot_cancel_what_waits_in_jenkins_as_it_could_not_before(server) {
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], vec![stuck("stuck")])).start(server).await;
        let Some(mut zuul) = Zuul::start("2.5.2", &site.server).await else { return };
        let ci = site.controller("ci");
        zuul.launch("item", "stuck", json!({"delay": "600sec"})).await;
        eventually("the build is queued", || async { ci.queue().len() == 1 }).await;
        // gearmand drops the job and tells no worker; geard says that it is not in its queue, and Zuul leaves it alone.
        assert_eq!(zuul.cancel("item").await, site.server.kind != Kind::Geard);
        assert_eq!(ci.queue().len(), 1);
        let unique = ci.queue()[0].parameters.get("UUID").unwrap().to_owned();
        let stop = json!({ "unique": unique }).to_string();
        let stopped = site.server.run("stop:ci", "", &stop).await;
        assert_eq!(stopped, [layshaft::gearman::client::Update::Complete("".into())], "what a newer client can do");
        eventually("the queue is empty", || async { ci.queue().is_empty() }).await;
        site.idle().await;
    }

    async fn f70_zuul_describes_builds_once_they_have_started(server) {
        let site = site(server).await;
        let Some(mut zuul) = Zuul::start("2.5.2", &site.server).await else { return };
        let ci = site.controller("ci");
        let description = || ci.builds()[0].description.clone();
        zuul.launch("item", "lint", json!({})).await;
        zuul.hears("started", "item").await;
        zuul.launch("waits", "lint", json!({})).await;
        assert!(!zuul.describe("waits", "too early").await);
        for text in ["<b>running</b>", "<i>ended</i>"] {
            assert!(zuul.describe("item", text).await);
            eventually("it is described", || async { description().as_deref() == Some(text) }).await;
            if ci.finish("lint", 1, BuildResult::Success) {
                zuul.hears("completed", "item").await;
                zuul.hears("started", "waits").await;
            }
        }
    }

    async fn f23_f70_zuul_knows_a_project_in_a_folder_by_its_short_name(server) {
        let projects = vec![zuul_project("other/test", None), zuul_project("team/lint", None)];
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], projects)).start(server).await;
        let Some(mut zuul) = Zuul::start("2.5.2", &site.server).await else { return };
        let ci = site.controller("ci");
        zuul.launch("item", "lint", json!({})).await;
        let started = zuul.hears("started", "item").await;
        assert_eq!(started["url"], format!("{}job/team/job/lint/1/", ci.url()));
        assert!(zuul.describe("item", "of a folder").await);
        eventually("it is described", || async { ci.builds()[0].description.as_deref() == Some("of a folder") }).await;
        zuul.cancel("item").await;
        site.idle().await;
        assert_eq!((&*ci.builds()[0].project, ci.builds()[0].result), ("team/lint", Some(BuildResult::Aborted)));
    }

    async fn f70_zuul_s_precedence_orders_what_waits(server) {
        let site = site(server).await;
        let Some(mut zuul) = Zuul::start("2.5.2", &site.server).await else { return };
        zuul.launch("first", "lint", json!({})).await;
        zuul.hears("started", "first").await;
        for precedence in ["low", "normal", "high"] {
            zuul.launch_with(precedence, "lint", precedence, json!({})).await;
        }
        let mut runs = "first";
        for (number, next) in (1..).zip(["high", "normal", "low"]) {
            site.controller("ci").finish("lint", number, BuildResult::Success);
            zuul.hears("completed", runs).await;
            zuul.hears("started", next).await;
            runs = next;
        }
    }

    async fn f56_f70_zuul_does_not_notice_a_restart_of_the_daemon_where_the_server_hands_jobs_out_again(server) {
        let mut site = site(server).await;
        let Some(mut zuul) = Zuul::start("2.5.2", &site.server).await else { return };
        zuul.launch("item", "lint", json!({})).await;
        zuul.hears("started", "item").await;
        site.stop_runtime().await;
        if site.server.kind == Kind::Geard {
            // It fails the job, which to Zuul is a build without a result.
            assert_eq!(zuul.hears("completed", "item").await["retry"], true);
            zuul.hears("launched", "item").await;
        }
        site.start_runtime().await;
        assert!(site.controller("ci").finish("lint", 1, BuildResult::Success));
        if site.server.kind == Kind::Geard {
            assert_eq!(zuul.hears("started", "item").await["number"], 2);
            assert!(site.controller("ci").finish("lint", 2, BuildResult::Success));
        }
        assert_eq!(zuul.hears("completed", "item").await["result"], "SUCCESS");
        let builds = if site.server.kind == Kind::Geard { 2 } else { 1 };
        assert_eq!(site.controller("ci").builds().len(), builds);
    }

    async fn f70_zuul_s_regular_question_after_lost_builds_disturbs_nobody(server) {
        let site = site(server).await;
        let Some(mut zuul) = Zuul::start("2.5.2", &site.server).await else { return };
        zuul.launch("runs", "lint", json!({})).await;
        zuul.hears("started", "runs").await;
        zuul.launch("waits", "lint", json!({})).await;
        zuul.tell(json!({"do": "look for lost builds"})).await;
        assert_eq!(zuul.next().await["event"], "looked");
        site.controller("ci").finish("lint", 1, BuildResult::Success);
        assert_eq!(zuul.hears("completed", "runs").await["result"], "SUCCESS");
        assert_eq!(zuul.hears("started", "waits").await["number"], 2);
    }

    async fn f75_an_older_zuul_takes_its_estimate_from_the_status(server) {
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], vec![project("lint", None)])).start(server).await;
        let Some(mut zuul) = Zuul::start("2.1.0", &site.server).await else { return };
        let ci = site.controller("ci");
        zuul.launch("first", "lint", json!({})).await;
        // Its status comes with the number that begins the build, hence is heard with the next one.
        assert_eq!(zuul.hears("started", "first").await["number"], 1);
        ci.finish("lint", 1, BuildResult::Success);
        let first = zuul.hears("completed", "first").await;
        assert_eq!((&first["result"], &first["estimated_time"]), (&"SUCCESS".into(), &json!(-0.001)), "unknown");
        let build = ci.builds().remove(0);
        let milliseconds = u32::try_from(build.ended_ms.unwrap() - build.started_ms).unwrap();
        zuul.launch("second", "lint", json!({})).await;
        zuul.hears("started", "second").await;
        ci.finish("lint", 2, BuildResult::Success);
        let second = zuul.hears("completed", "second").await;
        assert_eq!(second["estimated_time"], json!(f64::from(milliseconds) / 1000.0));
    }
}
