//! Jobs and builds that somebody wants to end, and what becomes of those that do not end at once.

use std::time::Duration;

use layshaft::domain::{BuildResult, Parameters, ProjectKind};
use layshaft::gearman::client::Update;
use layshaft::simulator::{Fault, FaultRule, Fleet, ProjectSpec};

use crate::support::{
    GearmanServer, Job, Kind, Site, SiteBuilder, completion, eventually, exception, fleet, on_both_servers,
    on_every_server, project,
};

/// What never comes in a test.
const NEVER: Duration = Duration::from_secs(3600);

/// Returns a site whose only executor is busy, with the job that keeps it so.
async fn busy(server: GearmanServer) -> (Site, Job) {
    let fleet = fleet(&[("a", 1, &[])], vec![project("lint", None)]);
    let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
    let mut job = site.server.submit("build:lint", "u-1", "{}").await;
    job.started().await;
    (site, job)
}

/// Submits a job and cancels it while it waits.
async fn submit_and_cancel(site: &Site, unique: &str) -> Job {
    let job = site.server.submit("build:lint", unique, "{}").await;
    site.server.admin().await.cancel(&job.handle().into()).await.unwrap();
    job
}

fn built(site: &Site) -> Vec<String> {
    let builds = site.controller("ci").builds();
    builds.iter().map(|build| build.parameters.get("UUID").unwrap_or_default().to_owned()).collect()
}

on_every_server! {
    async fn f66_a_job_cancelled_in_the_gearman_queue_reaches_no_worker_and_its_unique_is_free_again(server) {
        let (site, first) = busy(server).await;
        let cancelled = submit_and_cancel(&site, "u-2").await;
        // geard tells whoever waits for the job nothing.
        if site.server.kind != Kind::Geard {
            assert_eq!(cancelled.finish().await, [Update::Fail]);
        }
        // Behind it in the queue, so that it would have been built before this one.
        let mut next = site.server.submit("build:lint", "u-3", "{}").await;
        let ci = site.controller("ci");
        ci.finish("lint", 1, BuildResult::Success);
        assert_eq!(completion(&first.finish().await)["result"], "SUCCESS");
        assert_eq!(next.started().await["number"], 2);
        let mut again = site.server.submit("build:lint", "u-2", "{}").await;
        ci.finish("lint", 2, BuildResult::Success);
        assert_eq!(again.started().await["number"], 3);
        assert_eq!(built(&site), ["u-1", "u-3", "u-2"]);
        assert_eq!(site.runtime().journal().recent(10).await.unwrap().len(), 3, "nothing was begun for it");
    }

    async fn f66_a_unique_is_free_at_once_except_on_gearmand_where_a_worker_has_to_look_first(server) {
        let (site, _first) = busy(server).await;
        let cancelled = submit_and_cancel(&site, "u-2").await;
        let mut again = site.server.submit("build:lint", "u-2", "{}").await;
        if site.server.kind == Kind::Gearmand {
            assert_eq!(again.handle(), cancelled.handle(), "gearmand takes it for the job that was cancelled");
            return;
        }
        site.controller("ci").finish("lint", 1, BuildResult::Success);
        assert_eq!(again.started().await["number"], 2);
    }
}

async fn stop(site: &Site, controller: &str, name: &str, number: u64) -> Vec<Update> {
    site.server.run(&format!("stop:{controller}"), "", &request(name, number)).await
}

fn request(name: &str, number: u64) -> String {
    serde_json::json!({"name": name, "number": number}).to_string()
}

fn accepted() -> Vec<Update> {
    vec![Update::Complete("".into())]
}

/// Returns how often builds of a controller were told to end in one way.
fn told(site: &Site, order: &str) -> u64 {
    site.controller("ci").requests().get(&format!("POST /job/*/*/{order}")).copied().unwrap_or(0)
}

/// Waits until nothing more is done about builds that were stopped.
async fn nothing_is_being_stopped(site: &Site) {
    eventually("nothing is being stopped", || async {
        site.runtime().journal().open_stops().await.unwrap().is_empty()
    })
    .await;
}

fn pipeline(change: impl FnOnce(&mut ProjectSpec)) -> Fleet {
    let mut flow = ProjectSpec { kind: ProjectKind::Pipeline, ..project("flow", None) };
    change(&mut flow);
    fleet(&[("a", 2, &[])], vec![flow])
}

/// Returns a site that loses patience with builds soon.
async fn impatient(fleet: Fleet, server: GearmanServer) -> Site {
    let patience = |config: &mut layshaft::runtime::Config| {
        config.stop_again_after = Duration::from_millis(200);
        config.term_after = Duration::from_millis(300);
        config.kill_after = Duration::from_millis(600);
    };
    SiteBuilder::new().config(patience).controller("ci", fleet).start(server).await
}

on_both_servers! {
    async fn f69_management_answers_within_its_bound_while_another_stop_hangs_and_every_executor_is_busy(server) {
        let fleet = fleet(&[("a", 1, &[]), ("b", 1, &[])], vec![project("slow", None), project("lint", None)]);
        let site = SiteBuilder::new()
            .config(|config| config.answer_within = Duration::from_millis(600))
            .controller("ci", fleet)
            .start(server)
            .await;
        let mut slow = site.server.submit("build:slow", "u-1", "{}").await;
        slow.started().await;
        let mut lint = site.server.submit("build:lint", "u-2", "{}").await;
        lint.started().await;
        site.controller("ci").fault(FaultRule::new("/job/slow/1/stop", Fault::Latency(NEVER)));
        let late = "controller ci has not answered within 600ms; what was asked for goes on";
        assert_eq!(exception(&stop(&site, "ci", "slow", 1).await), late);
        // On a busy machine these may be late too, and are answered and carried out all the same.
        let is_late = |answer: &[Update]| matches!(answer, [Update::Exception(text)] if text == late);
        let again = stop(&site, "ci", "slow", 1).await;
        assert!(again == [Update::Fail] || is_late(&again), "it is being stopped: {again:?}");
        let answer = stop(&site, "ci", "lint", 1).await;
        assert!(answer == accepted() || is_late(&answer), "{answer:?}");
        assert_eq!(completion(&lint.finish().await)["result"], "ABORTED");
        assert!(site.controller("ci").builds().iter().any(|build| build.building), "the other one still hangs");
    }

    async fn f69_a_controller_that_answers_nothing_holds_up_no_other(server) {
        let lint = || fleet(&[("a", 1, &[])], vec![project("lint", None)]);
        let site = SiteBuilder::new()
            .config(|config| config.answer_within = NEVER)
            .controller("ci", lint())
            .controller("other", fleet(&[("b", 1, &[])], vec![project("quick", None)]))
            .start(server)
            .await;
        for name in ["lint", "quick"] {
            site.server.submit(&format!("build:{name}"), name, "{}").await.started().await;
        }
        site.controller("ci").fault(FaultRule::new("/job/lint/1", Fault::Latency(NEVER)));
        let _hanging = site.server.submit("stop:ci", "", &request("lint", 1)).await;
        assert_eq!(stop(&site, "other", "quick", 1).await, accepted());
    }

    async fn f69_every_request_to_a_controller_that_hangs_is_answered_and_carried_out_when_it_wakes(server) {
        let fleet = fleet(&[("a", 4, &[])], vec![project("lint", None)]);
        let site = SiteBuilder::new()
            .config(|config| config.answer_within = Duration::from_millis(200))
            .controller("ci", fleet)
            .start(server)
            .await;
        let mut jobs = Vec::new();
        for number in 1..=4 {
            let mut job = site.server.submit("build:lint", &format!("u-{number}"), "{}").await;
            job.started().await;
            jobs.push(job);
        }
        let fault = FaultRule { method: Some("POST".to_owned()), ..FaultRule::new("/job/lint", Fault::Latency(Duration::from_secs(3))) };
        site.controller("ci").fault(fault);
        for number in 1..=4 {
            let text = exception(&stop(&site, "ci", "lint", number).await);
            assert!(text.ends_with("; what was asked for goes on"), "{text}");
        }
        for job in jobs {
            assert_eq!(completion(&job.finish().await)["result"], "ABORTED");
        }
    }

    async fn f61_a_stop_whose_build_runs_on_can_be_asked_for_again(server) {
        let lint = ProjectSpec { ignores_stop: true, ..project("lint", None) };
        let site = impatient(fleet(&[("a", 1, &[])], vec![lint]), server).await;
        site.server.submit("build:lint", "u-1", "{}").await.started().await;
        assert_eq!(stop(&site, "ci", "lint", 1).await, accepted());
        eventually("it may be stopped again", || async { stop(&site, "ci", "lint", 1).await == accepted() }).await;
    }

    async fn f60_a_build_that_runs_on_after_it_was_stopped_is_stopped_again_until_it_ends(server) {
        let lint = ProjectSpec { survives_stops: 2, ..project("lint", None) };
        let site = impatient(fleet(&[("a", 2, &[])], vec![lint]), server).await;
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        job.started().await;
        let mut bystander = site.server.submit("build:lint", "u-2", "{}").await;
        bystander.started().await;
        assert_eq!(stop(&site, "ci", "lint", 1).await, accepted());
        assert_eq!(completion(&job.finish().await)["result"], "ABORTED");
        nothing_is_being_stopped(&site).await;
        assert_eq!((told(&site, "stop"), told(&site, "term"), told(&site, "kill")), (3, 0, 0));
        assert!(site.controller("ci").builds()[1].building, "nobody asked for that one");
    }

    async fn f64_a_pipeline_that_survives_stop_and_term_is_killed_and_no_other(server) {
        let fleet = pipeline(|flow| (flow.ignores_stop, flow.ignores_term) = (true, true));
        let site = impatient(fleet, server).await;
        let mut job = site.server.submit("build:flow", "u-1", "{}").await;
        job.started().await;
        let mut bystander = site.server.submit("build:flow", "u-2", "{}").await;
        bystander.started().await;
        assert_eq!(stop(&site, "ci", "flow", 1).await, accepted());
        assert_eq!(completion(&job.finish().await)["result"], "ABORTED");
        nothing_is_being_stopped(&site).await;
        assert!(told(&site, "stop") >= 1 && told(&site, "term") >= 1);
        assert_eq!(told(&site, "kill"), 1);
        assert!(site.controller("ci").builds()[1].building, "nobody asked for that one");
    }

    async fn f64_a_pipeline_that_yields_to_term_is_not_killed(server) {
        let site = impatient(pipeline(|flow| flow.ignores_stop = true), server).await;
        let mut job = site.server.submit("build:flow", "u-1", "{}").await;
        job.started().await;
        assert_eq!(stop(&site, "ci", "flow", 1).await, accepted());
        assert_eq!(completion(&job.finish().await)["result"], "ABORTED");
        nothing_is_being_stopped(&site).await;
        assert_eq!((told(&site, "term"), told(&site, "kill")), (1, 0));
    }

    async fn f60_another_build_under_the_same_number_is_left_alone(server) {
        let lint = ProjectSpec { ignores_stop: true, ..project("lint", None) };
        let site = impatient(fleet(&[("a", 2, &[])], vec![lint.clone()]), server).await;
        let ci = site.controller("ci");
        ci.start_foreign_build("lint", &Parameters::new());
        eventually("it builds", || async { !ci.builds().is_empty() }).await;
        assert_eq!(stop(&site, "ci", "lint", 1).await, accepted());
        assert!(ci.remove_project("lint") && ci.add_project(lint));
        ci.start_foreign_build("lint", &Parameters::new());
        eventually("another one builds", || async { !ci.builds().is_empty() }).await;
        let before = told(&site, "stop");
        nothing_is_being_stopped(&site).await;
        assert_eq!(told(&site, "stop"), before);
        assert_eq!(stop(&site, "ci", "lint", 1).await, accepted(), "it was not stopped before");
    }

    async fn f60_a_restarted_daemon_goes_on_with_what_was_being_stopped(server) {
        let lint = ProjectSpec { ignores_stop: true, ..project("lint", None) };
        let mut site = impatient(fleet(&[("a", 1, &[])], vec![lint]), server).await;
        let ci = site.controller("ci");
        ci.start_foreign_build("lint", &Parameters::new());
        eventually("it builds", || async { !ci.builds().is_empty() }).await;
        assert_eq!(stop(&site, "ci", "lint", 1).await, accepted());
        site.stop_runtime().await;
        let before = told(&site, "stop");
        site.start_runtime().await;
        eventually("it is stopped again", || async { told(&site, "stop") > before }).await;
        site.controller("ci").finish("lint", 1, BuildResult::Success);
        nothing_is_being_stopped(&site).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f69_a_stop_outlives_the_request_that_was_to_tell_its_controller() {
    let fleet = fleet(&[("a", 1, &[])], vec![project("lint", None)]);
    let builder = SiteBuilder::new().config(|config| config.answer_within = Duration::from_millis(200));
    let site = builder.controller("ci", fleet).start(GearmanServer::start(Kind::Gearmand).await).await;
    let mut job = site.server.submit("build:lint", "u-1", "{}").await;
    job.started().await;
    // Answers the first look long after the client's own limit for one request.
    site.controller("ci").fault(FaultRule::once("/job/lint/1/api", Fault::Latency(NEVER)));
    exception(&stop(&site, "ci", "lint", 1).await);
    assert_eq!(completion(&job.finish().await)["result"], "ABORTED");
}
