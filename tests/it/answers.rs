//! What Jenkins' answers do not mean, as in `docs/traps.md`: statuses, redirects, names, and holes in lists.

use std::time::Duration;

use layshaft::domain::{BuildId, BuildResult, NodeName, Parameters, ProjectKind, ProjectName};
use layshaft::gearman::client::Update;
use layshaft::jenkins::Clearing;
use layshaft::runtime::status::WorkerState;
use layshaft::simulator::{BuiltInSpec, Fault, FaultRule, Fleet, Length, ProjectSpec, Version};

use crate::support::{
    GearmanServer, Kind, Site, SiteBuilder, completion, eventually, fleet, marked, on_both_servers, project,
};

/// A project without any parameter, whose builds end when the test says so.
fn plain(name: &str) -> ProjectSpec {
    ProjectSpec { concurrent: true, duration: Length::Manual, ..ProjectSpec::new(name) }
}

fn lint(number: u64) -> BuildId {
    BuildId { project: ProjectName::new("lint"), number }
}

/// Lets the daemon do everything that it can do to a build.
async fn start_describe_and_stop(site: &Site) {
    let mut job = site.server.submit("build:lint", "u-1", r#"{"OFFLINE_NODE_WHEN_COMPLETE":"true"}"#).await;
    let started = job.started().await;
    let number = &started["number"];
    let describe = format!(r#"{{"name":"lint","number":{number},"html_description":"seen"}}"#);
    let described = site.server.run("set_description:ci", "", &describe).await;
    assert!(matches!(described.last(), Some(Update::Complete(_))), "{described:?}");
    let stop = format!(r#"{{"name":"lint","number":{number}}}"#);
    assert_eq!(site.server.run("stop:ci", "", &stop).await, [Update::Complete("".into())]);
    assert_eq!(completion(&job.finish().await)["result"], "ABORTED");
    eventually("the node is offline", || async { site.offline("ci", &NodeName::agent("a")).is_some() }).await;
}

on_both_servers! {
    async fn t03_no_build_sits_out_the_quiet_period(server) {
        let quick = ProjectSpec { duration: Length::Fixed(Duration::ZERO), ..plain("plain") };
        let controller = Fleet {
            quiet_period: Duration::from_secs(3600),
            ..fleet(&[("a", 1, &[])], vec![marked("lint", None), quick])
        };
        let site = SiteBuilder::new().controller("ci", controller).start(server).await;
        for function in ["build:lint", "build:plain"] {
            assert_eq!(completion(&site.server.run(function, "u-1", "{}").await)["result"], "SUCCESS", "{function}");
        }
    }

    async fn t04_no_redirect_is_followed(server) {
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], vec![project("lint", None)])).start(server).await;
        start_describe_and_stop(&site).await;
        let requests = site.controller("ci").requests();
        for answered_with_302 in ["POST /job/*/*/stop", "POST /job/*/*/submitDescription", "POST /computer/*/changeOfflineCause"] {
            assert!(requests.contains_key(answered_with_302), "{requests:?}");
        }
        let pages: Vec<_> = requests.keys().filter(|route| route.starts_with("GET") && !route.ends_with("/api/json")).collect();
        assert!(pages.is_empty(), "{pages:?}");
    }

    async fn t09_stopping_answers_the_same_whatever_runs_and_is_not_taken_for_news(server) {
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], vec![project("lint", None)])).start(server).await;
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        job.started().await;
        let ci = site.controller("ci");
        ci.finish("lint", 1, BuildResult::Success);
        site.jenkins("ci").stop(&lint(1)).await.expect("Jenkins says 302 although nothing runs");
        assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        let stop = r#"{"name":"lint","number":1}"#;
        assert_eq!(site.server.run("stop:ci", "", stop).await, [Update::Fail], "the client is told that nothing was stopped");
        assert_eq!(ci.builds()[0].result, Some(BuildResult::Success));
    }

    async fn t10_marking_never_toggles_and_the_mark_of_another_is_left_alone(server) {
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], vec![project("lint", None)])).start(server).await;
        let (ci, node) = (site.controller("ci"), NodeName::agent("a"));
        let mut job = site.server.submit("build:lint", "u-1", r#"{"OFFLINE_NODE_WHEN_COMPLETE":"true"}"#).await;
        job.started().await;
        // Two toggles would bring it back.
        ci.set_offline(&node, Some("maintenance"));
        ci.finish("lint", 1, BuildResult::Success);
        job.finish().await;
        assert!(site.offline("ci", &node).is_some());
        ci.set_offline(&node, Some("maintenance"));
        let cleared = site.jenkins("ci").clear_offline(&node, Some("ours")).await.unwrap();
        assert_eq!(cleared, Clearing::MarkedOtherwise { reason: Some("maintenance".to_owned()) });
        assert_eq!(site.offline("ci", &node).as_deref(), Some("maintenance"));
        assert!(!ci.requests().contains_key("POST /computer/*/toggleOffline"), "{:?}", ci.requests());
    }

    async fn t11_the_controllers_own_node_is_known_whatever_it_is_called(server) {
        for (version, self_label, agent) in
            [(Version::new(2, 541), "built-in", "master"), (Version::new(2, 200), "master", "built-in")]
        {
            let controller = Fleet {
                built_in: BuiltInSpec { executors: 1, labels: vec!["ctl".to_owned()], ..BuiltInSpec::default() },
                ..fleet(&[(agent, 1, &[])], vec![
                    marked("lint", Some("ctl")),
                    ProjectSpec { kind: ProjectKind::Pipeline, ..marked("pipe", None) },
                ])
            };
            let server = GearmanServer::start(server.kind).await;
            let site = SiteBuilder::new().version("ci", version).controller("ci", controller).start(server).await;
            let own = ["build:lint", "build:lint:ctl", "build:pipe", &format!("build:pipe:{self_label}")];
            site.offers("ci_exec-0", &own).await;
            site.offers(&format!("{agent}_exec-0"), &[]).await;
            let built = completion(&site.server.run("build:lint", "u-1", "{}").await);
            assert_eq!((&built["node_name"], &built["worker"]), (&"".into(), &"ci_exec-0".into()));
        }
    }

    async fn t18_holes_in_lists_hide_nothing(server) {
        let projects = vec![project("lint", None), project("team/x", Some("x")), marked("quick", None)];
        let fleet = fleet(&[("a", 1, &[]), ("b", 1, &["x"])], projects);
        let mut site = SiteBuilder::new().controller("ci", fleet).prepare(server).await;
        site.controller("ci").fault(FaultRule::new("/", Fault::Holes));
        site.start_runtime().await;
        site.settle().await;
        site.offers("a_exec-0", &["build:lint", "build:quick"]).await;
        site.offers("b_exec-0", &["build:lint", "build:quick", "build:x", "build:x:x"]).await;
        site.controller("ci").set_offline(&NodeName::agent("b"), Some("away"));
        site.offers("b_exec-0", &[]).await;
        start_describe_and_stop(&site).await;
        let build = &site.controller("ci").builds()[0];
        assert_eq!((build.parameters.get("UUID"), build.parameters.get("NODE")), (Some("u-1"), Some("a")));
    }

    async fn t19_an_executor_whose_build_may_not_be_seen_is_busy(server) {
        let mut site = SiteBuilder::new()
            .hide("ci", "secret")
            .controller("ci", fleet(&[("a", 1, &[])], vec![plain("secret/audit"), project("lint", None)]))
            .prepare(server)
            .await;
        site.controller("ci").start_foreign_build("secret/audit", &Parameters::new()).unwrap();
        site.start_runtime().await;
        site.settle().await;
        let ci = site.controller("ci");
        site.eventually_worker("a_exec-0", WorkerState::Waiting).await;
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        site.looks("ci", 3).await;
        assert_eq!(site.server.waiting_jobs_of("build:lint").await, 1, "nobody asked for it");
        assert!(ci.queue().is_empty());
        ci.finish("secret/audit", 1, BuildResult::Success);
        assert_eq!(job.started().await["number"], 1);
    }

    async fn t23_a_build_that_is_deleted_before_its_result_is_read_ends_its_job(server) {
        let site = SiteBuilder::new()
            .config(|config| config.lost_after = Duration::from_secs(1))
            .controller("ci", fleet(&[("a", 1, &[])], vec![project("lint", None), marked("quick", None)]))
            .start(server)
            .await;
        let ci = site.controller("ci");
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        job.started().await;
        // Nobody can look in time.
        ci.fault(FaultRule::new("/job/lint/1", Fault::Status(503)));
        ci.finish("lint", 1, BuildResult::Success);
        assert!(ci.delete_build("lint", 1));
        ci.clear_faults();
        assert_eq!(job.finish().await.last(), Some(&Update::Fail), "no result is made up");
        assert_eq!(completion(&site.server.run("build:quick", "u-2", "{}").await)["result"], "SUCCESS");
    }
}

/// Adopting needs a server that hands a job out again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn t05_a_build_whose_queue_item_is_forgotten_is_found_by_its_number_in_the_queue() {
    let mut site = SiteBuilder::new()
        .manual_clock()
        .start_latency(Duration::from_secs(600))
        // A second executor, since whoever takes the job up again needs one to ask with.
        .controller("ci", fleet(&[("a", 2, &[])], vec![plain("lint")]))
        .start(GearmanServer::start(Kind::Gearmand).await)
        .await;
    let mut job = site.server.submit("build:lint", "u-1", "{}").await;
    eventually("the build waits", || async {
        site.status().await.builds.iter().any(|build| build.queue_item.is_some())
    })
    .await;
    site.stop_runtime().await;
    let ci = site.controller("ci");
    ci.advance(Duration::from_secs(600));
    assert!(ci.queue().is_empty() && ci.builds().len() == 1, "it runs");
    // Five minutes later Jenkins no longer knows what became of the item.
    ci.advance(Duration::from_secs(301));
    site.start_runtime().await;
    assert_eq!(job.started().await["number"], 1);
    site.controller("ci").finish("lint", 1, BuildResult::Success);
    assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
    assert_eq!(site.controller("ci").builds().len(), 1);
}
