//! What is offered to the Gearman server, by whom, and how it follows what changes in Jenkins.

use crate::support::{SiteBuilder, eventually, fleet, on_both_servers, project};

on_both_servers! {
    async fn f01_f03_f05_one_worker_per_executor_and_one_manager(server) {
        let fleet = fleet(&[("a", 2, &["linux"]), ("b", 1, &[])], vec![project("lint", None)]);
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        let server = &site.server;
        eventually("all workers are listed", || async {
            server.worker_ids().await == ["a_exec-0", "a_exec-1", "b_exec-0", "ci_manager"]
        })
        .await;
        eventually("the project is offered", || async { server.workers_for("build:lint").await == 3 }).await;
        assert_eq!(server.functions_of("ci_manager").await, ["set_description:ci", "stop:ci"]);
        assert_eq!(server.workers_for("stop:ci").await, 1);
    }
}
