//! A policy that is replaced while builds run.

use std::collections::BTreeMap;
use std::sync::Arc;

use layshaft::domain::BuildResult;
use layshaft::policy::Gates;
use layshaft::simulator::{BuildRecord, Fleet};

use crate::support::{
    Site, SiteBuilder, completion, eventually, example_policy, fleet, on_both_servers, project, within,
};

const CONTROLLERS: [&str; 2] = ["east", "west"];
const NODES: usize = 10;
const EXECUTORS: u32 = 10;

const PROJECTS: usize = 20;

fn with_separator(separator: &str) -> String {
    format!("[settings]\nseparator = '{separator}'\nshort_names = false")
}

/// The same projects on both controllers, so that any executor of either runs any job.
fn half(controller: &str) -> Fleet {
    let names: Vec<String> = (0..NODES).map(|node| format!("{controller}-{node}")).collect();
    let nodes: Vec<(&str, u32, &[&str])> = names.iter().map(|name| (name.as_str(), EXECUTORS, &[][..])).collect();
    fleet(&nodes, (0..PROJECTS).map(|index| project(&format!("team/p-{index}"), None)).collect())
}

fn result_of(marker: &str) -> BuildResult {
    match marker.len() % 3 + marker.bytes().map(usize::from).sum::<usize>() % 3 {
        0 | 3 => BuildResult::Success,
        1 | 4 => BuildResult::Failure,
        _ => BuildResult::Unstable,
    }
}

/// Returns every build there is, by controller and marker.
fn builds(site: &Site) -> Vec<(&'static str, BuildRecord)> {
    let of = |name: &'static str| site.controller(name).builds().into_iter().map(move |build| (name, build));
    CONTROLLERS.into_iter().flat_map(of).collect()
}

fn marker(build: &BuildRecord) -> String {
    build.parameters.get("UUID").unwrap().to_owned()
}

fn running(site: &Site) -> usize {
    builds(site).iter().filter(|(_, build)| build.building).count()
}

fn finish_all(site: &Site) {
    for (controller, build) in builds(site).into_iter().filter(|(_, build)| build.building) {
        assert!(site.controller(controller).finish(&build.project, build.number, result_of(&marker(&build))));
    }
}

fn function(separator: &str, index: usize) -> String {
    format!("build:team{separator}p-{}", index % PROJECTS)
}

on_both_servers! {
    async fn f115_a_policy_is_replaced_while_200_builds_run_and_none_is_lost_or_started_twice(server) {
        let mut builder = SiteBuilder::new()
            .example_policy("10-folder-names.wasm", "folder-names")
            .policy_file("10-folder-names.toml", with_separator("/"))
            // Every name changes at once.
            .gates(Gates { withdrawn_percent: 100, ..Gates::default() });
        let builds_at_once = CONTROLLERS.len() * NODES * EXECUTORS as usize;
        for controller in CONTROLLERS {
            builder = builder.controller(controller, half(controller));
        }
        let site = builder.start(server).await;
        let client = Arc::new(site.server.client().await);
        let mut jobs = Vec::new();
        for index in 0..builds_at_once {
            jobs.push(site.server.submit_through(&client, &function("/", index), &format!("old-{index}"), "{}").await);
        }
        eventually("every job is a running build", || async { running(&site) == builds_at_once }).await;
        for job in &mut jobs {
            assert!(job.started().await["name"].as_str().unwrap().starts_with("team/p-"));
        }
        let before = site.status().await.generation;

        // Another module and other settings.
        let mut module = example_policy("folder-names");
        module.extend([0, 2, 1, b'x']);
        site.drop_policy("10-folder-names.wasm", &module);
        site.drop_policy("10-folder-names.toml", with_separator(".").as_bytes());
        eventually("every connection has the new names, and of the old ones only that of its job", || async {
            let workers = site.server.workers().await;
            let workers: Vec<_> = workers.iter().filter(|worker| worker.client_id.contains("_exec-")).collect();
            workers.len() == builds_at_once
                && workers.iter().all(|worker| {
                    let old = worker.functions.iter().filter(|name| name.contains('/')).count();
                    old == 1 && worker.functions.len() == PROJECTS + 1
                })
        })
        .await;
        assert!(site.status().await.generation > before);
        let mut next = Vec::new();
        for index in 0..PROJECTS {
            next.push(site.server.submit_through(&client, &function(".", index), &format!("new-{index}"), "{}").await);
        }
        assert_eq!((running(&site), builds(&site).len()), (builds_at_once, builds_at_once), "nothing was started or ended by that");

        finish_all(&site);
        for (index, job) in jobs.into_iter().enumerate() {
            let ended = completion(&within("a build under its old name", job.finish()).await);
            let marker = format!("old-{index}");
            assert_eq!(ended["result"], result_of(&marker).as_str(), "{marker}");
            assert_eq!(ended["name"], format!("team/p-{}", index % PROJECTS), "it is told under the name it was asked by");
        }
        eventually("the next jobs run", || async { running(&site) == PROJECTS }).await;
        finish_all(&site);
        for (index, job) in next.into_iter().enumerate() {
            let ended = completion(&within("a build under its new name", job.finish()).await);
            assert_eq!(ended["result"], result_of(&format!("new-{index}")).as_str());
            assert_eq!(ended["name"], format!("team.p-{index}"));
        }
        let mut by_marker: BTreeMap<String, u32> = BTreeMap::new();
        for (_, build) in builds(&site) {
            *by_marker.entry(marker(&build)).or_default() += 1;
        }
        assert_eq!(by_marker.len(), builds_at_once + PROJECTS, "none was lost");
        assert!(by_marker.values().all(|count| *count == 1), "none was started twice: {by_marker:?}");
        eventually("the old names are gone and nothing is under way", || async {
            let status = site.server.status().await;
            let old = status.iter().filter(|function| function.function.contains('/') && function.workers > 0).count();
            old == 0 && site.status().await.builds.is_empty()
        })
        .await;
    }

    async fn f115_a_policy_that_is_dropped_or_deleted_counts_at_once(server) {
        let fleet = fleet(&[("a", 1, &[])], vec![project("team/app", None), project("lint", None)]);
        let site = SiteBuilder::new()
            .controller("ci", fleet)
            .policy_file("90-other.wasm", crate::support::guest::Guest::new("o").matching(&crate::support::guest::abstains()).build())
            .start(server)
            .await;
        site.offers("a_exec-0", &["build:app", "build:lint"]).await;
        site.drop_policy("10-folder-names.wasm", &example_policy("folder-names"));
        site.offers("a_exec-0", &["build:app", "build:lint", "build:team/app"]).await;
        site.drop_policy("10-folder-names.toml", with_separator(".").as_bytes());
        site.offers("a_exec-0", &["build:lint", "build:team.app"]).await;
        site.delete_policy("10-folder-names.wasm");
        site.offers("a_exec-0", &["build:app", "build:lint"]).await;
    }
}
