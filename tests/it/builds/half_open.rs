//! A connection to the Gearman server that is gone without a trace.

use std::time::Duration;

use layshaft::domain::BuildResult;
use layshaft::gearman::client::Update;

use crate::support::{Kind, Proxy, SiteBuilder, completion, eventually, fleet, on_both_servers, project};

/// As configured; without that it would be a minute, which nobody here waits.
const SILENCE: Duration = Duration::from_secs(4);

on_both_servers! {
    async fn f25_a_connection_that_is_silently_gone_is_noticed_also_while_a_build_runs(server) {
        let proxy = Proxy::start(&server.address).await;
        let fleet = fleet(&[("a", 2, &[])], vec![project("lint", None)]);
        let site = SiteBuilder::new().through(&proxy).silence(SILENCE).controller("ci", fleet).start(server).await;
        let mut job = site.server.submit("build:lint", "u-1", "{}").await;
        let started = job.started().await;
        let ids = || async {
            let mut ids = site.server.worker_ids().await;
            ids.sort();
            ids
        };
        assert_eq!(ids().await, ["a_exec-0", "a_exec-1", "ci_manager"]);
        proxy.vanish();
        // The server still believes in the connections that nobody hears from: one that runs a build, one that sleeps,
        // and one that waits for a request.
        eventually("every worker has noticed", || async {
            ids().await == ["a_exec-0", "a_exec-0", "a_exec-1", "a_exec-1", "ci_manager", "ci_manager"]
        })
        .await;
        proxy.cut_vanished();
        eventually("the server has noticed too", || async { ids().await == ["a_exec-0", "a_exec-1", "ci_manager"] }).await;
        let ci = site.controller("ci");
        if site.server.kind == Kind::Geard {
            // It fails the job of a connection that it has lost.
            assert_eq!(job.finish().await.last(), Some(&Update::Fail));
            assert!(ci.finish("lint", 1, BuildResult::Success), "the build runs on");
        } else {
            assert_eq!(job.started().await, started);
            assert!(ci.finish("lint", 1, BuildResult::Success), "the build runs on");
            assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        }
        assert_eq!(ci.builds().len(), 1);
        let mut next = site.server.submit("build:lint", "u-2", "{}").await;
        next.started().await;
        assert!(ci.finish("lint", 2, BuildResult::Success));
        assert_eq!(completion(&next.finish().await)["number"], 2);
    }
}
