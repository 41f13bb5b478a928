//! Jobs and builds that somebody wants to end, and what becomes of those that do not end at once.

use layshaft::domain::BuildResult;
use layshaft::gearman::client::Update;

use crate::support::{GearmanServer, Job, Kind, Site, SiteBuilder, completion, fleet, on_every_server, project};

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
