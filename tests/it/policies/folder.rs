//! The folder: what holds at the start, at a restart, when files go missing, and what an operator can do about it.

use std::collections::BTreeSet;

use layshaft::domain::BuildResult;
use layshaft::gearman::client::Update;
use layshaft::policy::SlotState;

use crate::support::guest::{Guest, abstains, named};
use crate::support::{Site, SiteBuilder, completion, eventually, example_policy, fleet, on_both_servers, project};

const FULL: [&str; 3] = ["build:app", "build:lint", "build:team/app"];
const CLASSIC: [&str; 2] = ["build:app", "build:lint"];
const BROKEN: &[u8] = b"\0asm\x01\0\0\0";

fn site_of_two_projects() -> SiteBuilder {
    let projects = vec![project("team/app", None), project("lint", None)];
    SiteBuilder::new().controller("ci", fleet(&[("a", 1, &[])], projects))
}

fn builder() -> SiteBuilder {
    site_of_two_projects().example_policy("10-folder-names.wasm", "folder-names")
}

async fn not_ready(site: &Site) -> String {
    site.status().await.not_ready.join("\n")
}

/// Waits until the daemon says why it takes no jobs.
async fn complains(site: &Site, words: &[&str]) {
    eventually("the daemon says what is wrong", || async {
        let reasons = not_ready(site).await;
        words.iter().all(|word| reasons.contains(word))
    })
    .await;
}

async fn runs_a_build(site: &Site, function: &str, project: &str, number: u64) {
    let mut job = site.server.submit(function, &format!("u-{number}"), "{}").await;
    assert_eq!(job.started().await["number"], number);
    assert!(site.controller("ci").finish(project, number, BuildResult::Success));
    assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
}

on_both_servers! {
    async fn a_policy_that_is_broken_at_the_first_start_withholds_what_it_is_bound_to(server) {
        let site = site_of_two_projects()
            .policy_file("10-names.wasm", BROKEN)
            .policy_file("10-names.toml", "[[bind]]\nprojects = ['team/**']")
            .start_without_waiting(server)
            .await;
        site.offers("a_exec-0", &["build:lint"]).await;
        complains(&site, &["10-names.wasm", "gate interface", "core module", "wasm-tools component new"]).await;
        runs_a_build(&site, "build:lint", "lint", 1).await;
        let described = r#"{"name":"lint","number":1,"html_description":"still managed"}"#;
        let updates = site.server.run("set_description:ci", "", described).await;
        assert!(matches!(updates.last(), Some(Update::Complete(_))), "{updates:?}");
        assert_eq!(site.controller("ci").builds()[0].description.as_deref(), Some("still managed"));
        site.drop_policy("10-names.wasm", &example_policy("folder-names"));
        site.offers("a_exec-0", &["build:app", "build:lint", "build:team/app"]).await;
        assert_eq!(not_ready(&site).await, "");
    }

    async fn an_unbound_policy_that_is_broken_at_the_first_start_withholds_everything_but_management(server) {
        let site = site_of_two_projects().policy_file("10-names.wasm", BROKEN).start_without_waiting(server).await;
        complains(&site, &["10-names.wasm", "gate interface"]).await;
        eventually("management is up", || async { site.server.workers_for("stop:ci").await == 1 }).await;
        eventually("the workers are there", || async { site.status().await.gearman[0].connected == 2 }).await;
        let updates = site.server.run("stop:ci", "", r#"{"name":"lint","number":1}"#).await;
        assert!(updates.last().is_some_and(|update| !matches!(update, Update::Complete(_))), "{updates:?}");
        assert_eq!(site.server.functions_of("a_exec-0").await, [""; 0]);
    }

    async fn a_restart_with_a_broken_file_brings_the_last_good_version_back(server) {
        let mut site = builder().start(server).await;
        site.offers("a_exec-0", &FULL).await;
        let generation = site.status().await.generation;
        site.stop_runtime().await;
        site.drop_policy("10-folder-names.wasm", BROKEN);
        site.start_runtime().await;
        site.settle().await;
        site.offers("a_exec-0", &FULL).await;
        site.policy_becomes("folder-names", SlotState::LastGood, "core module").await;
        assert_eq!(site.status().await.generation, generation, "nothing else is in force than before");
        runs_a_build(&site, "build:team/app", "team/app", 1).await;
    }

    async fn an_emptied_or_missing_folder_is_an_error_and_never_a_deletion(server) {
        let mut site = builder().start(server).await;
        site.offers("a_exec-0", &FULL).await;
        site.delete_policy("10-folder-names.wasm");
        complains(&site, &["suddenly empty", "bring the files back, or retire policies by name"]).await;
        site.policy_becomes("folder-names", SlotState::Missing, "suddenly empty").await;
        assert_eq!(site.server.functions_of("a_exec-0").await, FULL);
        runs_a_build(&site, "build:team/app", "team/app", 1).await;

        std::fs::remove_dir(site.policies()).unwrap();
        complains(&site, &["cannot be read", "bring the folder back, or retire policies by name"]).await;
        assert_eq!(site.server.functions_of("a_exec-0").await, FULL);

        // Over a restart as well.
        site.stop_runtime().await;
        site.start_runtime().await;
        complains(&site, &["cannot be read"]).await;
        site.offers("a_exec-0", &FULL).await;
        runs_a_build(&site, "build:team/app", "team/app", 2).await;

        std::fs::create_dir(site.policies()).unwrap();
        site.drop_policy("10-folder-names.wasm", &example_policy("folder-names"));
        site.runtime().policies().reload().await;
        site.settle().await;
        site.policy_becomes("folder-names", SlotState::Live, "").await;
        site.offers("a_exec-0", &FULL).await;
    }

    async fn one_deleted_file_ends_its_policy_and_leaves_the_others(server) {
        let other = Guest::new("other").matching(&abstains()).build();
        let mut site = builder().policy_file("20-other.wasm", other).start(server).await;
        site.offers("a_exec-0", &FULL).await;
        site.delete_policy("10-folder-names.wasm");
        site.offers("a_exec-0", &CLASSIC).await;
        assert!(site.policy("folder-names").await.is_none());
        assert_eq!(site.policy("other").await.unwrap().state, SlotState::Live);
        assert_eq!(not_ready(&site).await, "");
        site.stop_runtime().await;
        site.start_runtime().await;
        site.settle().await;
        site.offers("a_exec-0", &CLASSIC).await;
    }

    async fn a_required_policy_whose_file_is_deleted_stays_until_it_is_retired(server) {
        let other = Guest::new("other").matching(&abstains()).build();
        let builder = builder().policy_file("20-other.wasm", other).grant("folder-names", &[]);
        let site = builder.start(server).await;
        site.offers("a_exec-0", &FULL).await;
        let policies = site.runtime().policies();
        let refused = policies.retire("folder-names", BTreeSet::new()).await.unwrap_err().to_string();
        assert!(refused.contains("delete 10-folder-names.wasm"), "{refused}");
        site.delete_policy("10-folder-names.wasm");
        site.policy_becomes("folder-names", SlotState::Missing, "layshaft policy retire folder-names").await;
        assert_eq!(site.server.functions_of("a_exec-0").await, FULL);
        policies.retire("folder-names", BTreeSet::new()).await.unwrap();
        site.offers("a_exec-0", &CLASSIC).await;
        assert_eq!(not_ready(&site).await, "");
    }

    async fn the_last_policy_is_retired_by_name(server) {
        let site = builder().start(server).await;
        site.offers("a_exec-0", &FULL).await;
        site.delete_policy("10-folder-names.wasm");
        complains(&site, &["suddenly empty"]).await;
        site.runtime().policies().retire("folder-names", BTreeSet::new()).await.unwrap();
        site.offers("a_exec-0", &CLASSIC).await;
        eventually("nothing is wrong any more", || async { not_ready(&site).await.is_empty() }).await;
    }

    async fn a_rollback_returns_to_the_version_before_and_the_bad_one_waits_to_be_accepted(server) {
        let version = |name: &str| Guest::new("names").naming(&named(&[name])).build();
        let fleet = fleet(&[("a", 1, &[])], vec![project("lint", None)]);
        let builder = SiteBuilder::new().controller("ci", fleet).policy_file("10-names.wasm", version("first"));
        let mut site = builder.start(server).await;
        site.offers("a_exec-0", &["build:first"]).await;
        site.drop_policy("10-names.wasm", &version("second"));
        site.offers("a_exec-0", &["build:second"]).await;
        let mut job = site.server.submit("build:second", "u-1", "{}").await;
        job.started().await;
        site.runtime().policies().rollback("names").await.unwrap();
        site.offers("a_exec-0", &["build:first", "build:second"]).await;
        site.policy_becomes("names", SlotState::Quarantined, "layshaft policy accept names").await;
        site.controller("ci").finish("lint", 1, BuildResult::Success);
        assert_eq!(completion(&job.finish().await)["name"], "second");
        site.offers("a_exec-0", &["build:first"]).await;
        // It stays out, over a restart too.
        site.stop_runtime().await;
        site.start_runtime().await;
        site.settle().await;
        site.offers("a_exec-0", &["build:first"]).await;
        site.policy_becomes("names", SlotState::Quarantined, "accept").await;
        site.runtime().policies().accept("names").await.unwrap();
        site.offers("a_exec-0", &["build:second"]).await;
        site.policy_becomes("names", SlotState::Live, "").await;
    }
}
