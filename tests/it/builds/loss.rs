//! A server, a controller or an answer that is lost while a build runs: the build goes on, and its result arrives.

use std::time::Duration;

use layshaft::domain::BuildResult;
use layshaft::gearman::client::Update;
use layshaft::simulator::{Fault, FaultRule};

use crate::support::{
    GearmanServer, Kind, Proxy, Site, SiteBuilder, completion, eventually, fleet, on_both_servers, project,
};

/// Starts a site whose runtime can be cut off from the Gearman server.
async fn cuttable(server: GearmanServer) -> (Site, Proxy) {
    let proxy = Proxy::start(&server.address).await;
    let fleet = fleet(&[("a", 2, &[])], vec![project("lint", None)]);
    let site = SiteBuilder::new().through(&proxy).controller("ci", fleet).start(server).await;
    (site, proxy)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f49_f53_a_build_whose_connection_was_cut_is_adopted_and_not_started_again() {
    for unique in ["u-1", ""] {
        let (site, proxy) = cuttable(GearmanServer::start(Kind::Gearmand).await).await;
        let mut job = site.server.submit("build:lint", unique, "{}").await;
        let started = job.started().await;
        proxy.cut();
        // The server gives the job to a worker again, which tells the client what it knows.
        assert_eq!(job.started().await, started);
        let ci = site.controller("ci");
        assert_eq!(ci.builds().len(), 1, "{unique:?}");
        ci.finish("lint", 1, BuildResult::Success);
        let updates = job.finish().await;
        assert_eq!(completion(&updates)["number"], 1);
        assert_eq!(updates.iter().filter(|update| update.is_last()).count(), 1);
        site.idle().await;
        assert_eq!(ci.builds().len(), 1, "{unique:?}");
        eventually("the delivery is journaled", || async {
            let recent = site.runtime().journal().recent(10).await.unwrap();
            recent.iter().map(|record| record.state.as_str()).eq(["delivered"])
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f53_a_result_that_came_while_the_server_was_out_of_reach_is_delivered_afterwards() {
    let (site, proxy) = cuttable(GearmanServer::start(Kind::Gearmand).await).await;
    let mut job = site.server.submit("build:lint", "u-1", "{}").await;
    job.started().await;
    proxy.refuse(true);
    proxy.cut();
    site.controller("ci").finish("lint", 1, BuildResult::Unstable);
    eventually("the result waits", || async {
        let status = site.runtime().status().await.unwrap();
        status.builds.iter().any(|build| build.state == layshaft::runtime::status::BuildState::Undelivered)
    })
    .await;
    proxy.refuse(false);
    assert_eq!(completion(&job.finish().await)["result"], "UNSTABLE");
    site.idle().await;
    assert_eq!(site.controller("ci").builds().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f49_f53_a_result_that_the_server_took_in_and_never_read_is_no_reason_for_a_second_build() {
    let (site, proxy) = cuttable(GearmanServer::start(Kind::Gearmand).await).await;
    let mut job = site.server.submit("build:lint", "u-1", "{}").await;
    job.started().await;
    proxy.swallow(true);
    site.controller("ci").finish("lint", 1, BuildResult::Unstable);
    eventually("the result is on its way to nobody", || async { proxy.has_swallowed("UNSTABLE") }).await;
    proxy.swallow(false);
    proxy.cut();
    // The server still has the job, and gives it out again.
    assert_eq!(completion(&job.finish().await)["result"], "UNSTABLE");
    site.idle().await;
    assert_eq!(site.controller("ci").builds().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f53_a_job_without_a_unique_is_not_taken_for_an_old_one_after_the_server_was_restarted() {
    let fleet = fleet(&[("a", 2, &[])], vec![project("lint", None)]);
    let mut site = SiteBuilder::new().controller("ci", fleet).start(GearmanServer::start(Kind::Gearmand).await).await;
    let mut before = site.server.submit("build:lint", "", r#"{"ANSWER":"1"}"#).await;
    before.started().await;
    site.server.restart().await;
    site.settle().await;
    let mut after = site.server.submit("build:lint", "", r#"{"ANSWER":"2"}"#).await;
    assert_eq!(before.handle(), after.handle(), "handles count from one again");
    assert_eq!(after.started().await["number"], 2);
    let ci = site.controller("ci");
    ci.finish("lint", 1, BuildResult::Failure);
    ci.finish("lint", 2, BuildResult::Success);
    let updates = after.finish().await;
    assert_eq!((&completion(&updates)["number"], &completion(&updates)["result"]), (&2.into(), &"SUCCESS".into()));
    site.idle().await;
}

on_both_servers! {
    async fn f53_a_restarted_server_gets_every_function_back_and_the_build_goes_on(server) {
        let mut site = SiteBuilder::new().controller("ci", fleet(&[("a", 2, &[])], vec![project("lint", None)])).start(server).await;
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        job.started().await;
        site.server.restart().await;
        assert_eq!(job.finish().await.last(), Some(&Update::ServerLost));
        eventually("the functions are back", || async { site.server.workers_for("build:lint").await == 2 }).await;
        // The client asks again, and gets the build that runs already.
        let mut again = site.server.submit("build:lint", "u-1", "{}").await;
        assert_eq!(again.started().await["number"], 1);
        site.controller("ci").finish("lint", 1, BuildResult::Success);
        assert_eq!(completion(&again.finish().await)["number"], 1);
        assert_eq!(site.controller("ci").builds().len(), 1);
        site.idle().await;
        // It was delivered under another handle than it began with, and is over: the same unique is a new job now.
        let mut new = site.server.submit("build:lint", "u-1", "{}").await;
        assert_eq!(new.started().await["number"], 2);
        site.controller("ci").finish("lint", 2, BuildResult::Success);
        new.finish().await;
    }

    async fn f54_what_a_controller_answers_amiss_in_mid_build_does_not_cost_the_result(server) {
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], vec![project("lint", None)])).start(server).await;
        let ci = site.controller("ci");
        let faults = [Fault::Html, Fault::Status(500), Fault::Status(503), Fault::Truncate, Fault::DropBeforeAccept];
        for (number, fault) in (1..).zip(faults) {
            let mut job = site.server.submit("build:lint", &format!("u-{number}"), "{}").await;
            job.started().await;
            // The nodes twice, so that the end is seen late; and the build itself, twice.
            for path in ["/computer", "/job/lint"] {
                ci.fault(FaultRule { times: Some(2), ..FaultRule::new(path, fault) });
            }
            ci.finish("lint", number, BuildResult::Success);
            let updates = job.finish().await;
            assert_eq!(completion(&updates)["result"], "SUCCESS", "{fault:?}");
            ci.clear_faults();
        }
        assert_eq!(ci.builds().len(), 5);
    }

    async fn f54_a_controller_that_stays_away_costs_the_build_but_not_the_job(server) {
        let site = SiteBuilder::new().config(|config| config.lost_after = Duration::from_secs(1))
            .controller("ci", fleet(&[("a", 1, &[])], vec![project("lint", None)])).start(server).await;
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        job.started().await;
        site.controller("ci").fault(FaultRule::new("/", Fault::Status(503)));
        let updates = job.finish().await;
        assert_eq!(updates.last(), Some(&Update::Fail), "{updates:?}");
    }

    async fn f54_a_build_that_was_deleted_in_mid_flight_fails(server) {
        let site = SiteBuilder::new().config(|config| config.lost_after = Duration::from_secs(1))
            .controller("ci", fleet(&[("a", 1, &[])], vec![project("lint", None)])).start(server).await;
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        job.started().await;
        site.controller("ci").remove_project("lint");
        let updates = job.finish().await;
        assert_eq!(updates.last(), Some(&Update::Fail), "{updates:?}");
    }

    async fn f54_a_freestyle_build_does_not_survive_its_controller_and_the_client_is_told(server) {
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], vec![project("lint", None)])).start(server).await;
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        job.started().await;
        site.controller("ci").restart();
        assert_eq!(completion(&job.finish().await)["result"], "ABORTED");
    }

    async fn f55_the_result_of_a_build_whose_node_was_lost_is_jenkins_own(server) {
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], vec![project("lint", None)])).start(server).await;
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        job.started().await;
        site.controller("ci").set_disconnected(&layshaft::domain::NodeName::agent("a"), Some("gone"));
        let updates = job.finish().await;
        assert_eq!(completion(&updates)["result"], "FAILURE");
        assert_eq!(completion(&updates)["node_name"], "a");
    }
}
