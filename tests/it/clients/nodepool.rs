//! nodepool 0.3.1, which learns from the server's `status` how many nodes of which label are wanted.

use serde_json::{Value, json};
use tokio::process::Command;

use super::{driver, fetched};
use crate::support::{GearmanServer, SiteBuilder, eventually, fleet, on_both_servers, project, within};

/// Asks nodepool for the demand; none if it was not fetched.
async fn demand(server: &GearmanServer) -> Option<Value> {
    let wheel = fetched("nodepool-0.3.1-py2-none-any.whl")?;
    let (host, port) = server.address.split_once(':').unwrap();
    let mut python = Command::new("python3");
    python.arg(driver("nodepool_demand.py")).arg(wheel).args([host, port]).kill_on_drop(true);
    let output = within("nodepool", python.output()).await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

on_both_servers! {
    async fn f72_nodepool_counts_what_is_wanted_by_label(server) {
        let projects = vec![
            project("lint", Some("precise || trusty")),
            project("team/train", Some("gpu")),
            project("anywhere", None),
        ];
        let fleet = fleet(&[("a", 1, &["precise"]), ("b", 1, &["gpu"])], projects);
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        let Some(nothing) = demand(&site.server).await else { return };
        assert_eq!(nothing, json!({}));
        let mut jobs = Vec::new();
        let functions = [
            "build:lint:precise", "build:lint:precise", "build:lint", "build:train:gpu", "build:train", "build:train:gpu",
            // Of a label that no node has, and of none at all.
            "build:lint:trusty", "build:anywhere",
        ];
        for (index, function) in functions.iter().enumerate() {
            jobs.push(site.server.submit(function, &format!("u-{index}"), "{}").await);
        }
        // Builds that run count as well: nodepool subtracts the nodes that it has.
        eventually("both nodes build", || async { site.controller("ci").builds().len() == 2 }).await;
        let demand = demand(&site.server).await.unwrap();
        assert_eq!(demand["gpu"], 3);
        assert_eq!(demand.as_object().unwrap().keys().collect::<Vec<_>>(), ["gpu", "precise", "trusty"]);
        // A job without label counts for the label of its project that the server lists first.
        let of_lint = (demand["precise"].as_u64().unwrap(), demand["trusty"].as_u64().unwrap());
        assert!(matches!(of_lint, (3, 1) | (2, 2)), "{demand}");
        let names = site.server.status().await.into_iter().map(|status| status.function);
        let builds: Vec<String> = names.filter(|name| name.starts_with("build:")).collect();
        assert!(builds.iter().all(|name| name.split(':').count() <= 3), "nodepool cuts others wrongly: {builds:?}");
    }
}
