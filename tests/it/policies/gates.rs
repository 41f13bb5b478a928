//! What a change of policies has to pass on a running site, and what takes it back.

use std::collections::BTreeSet;
use std::time::Duration;

use layshaft::domain::BuildResult;
use layshaft::policy::{Gate, Gates, SlotState, Stage};

use crate::support::guest::{Bytes, Guest, LOOP, abstains, named, past_the_gates};
use crate::support::{SiteBuilder, eventually, fleet, on_both_servers, project};

fn naming(name: &str) -> Vec<u8> {
    Guest::new("names").naming(&named(&[name])).build()
}

fn one_executor() -> SiteBuilder {
    let fleet = fleet(&[("a", 1, &[])], vec![project("lint", None)]);
    SiteBuilder::new().controller("ci", fleet).policy_file("10-names.wasm", naming("first"))
}

on_both_servers! {
    async fn where_no_name_is_kept_jobs_that_wait_keep_out_what_takes_theirs_unless_a_person_says_otherwise(server) {
        let site = one_executor().keep_names(Duration::ZERO).start(server).await;
        site.offers("a_exec-0", &["build:first"]).await;
        let mut running = site.server.submit("build:first", "u-1", "{}").await;
        running.started().await;
        let mut waiting = site.server.submit("build:first", "u-2", "{}").await;
        site.drop_policy("10-names.wasm", &naming("second"));
        site.policy_becomes("names", SlotState::LastGood, "nobody would offer build:first any more").await;
        assert_eq!(site.server.functions_of("a_exec-0").await, ["build:first"]);
        let policies = site.runtime().policies();
        let refused = policies.disable("names", Duration::from_secs(60), BTreeSet::new()).await.unwrap().refused;
        assert_eq!(refused[0].gate, Gate::Orphans, "{refused:?}");

        site.controller("ci").finish("lint", 1, BuildResult::Success);
        running.finish().await;
        waiting.started().await;
        // Nothing waits any more.
        assert_eq!(policies.reload().await.refused, []);
        site.offers("a_exec-0", &["build:first", "build:second"]).await;
        site.controller("ci").finish("lint", 2, BuildResult::Success);
        waiting.finish().await;
        site.offers("a_exec-0", &["build:second"]).await;

        let mut running = site.server.submit("build:second", "u-3", "{}").await;
        running.started().await;
        let _waiting = site.server.submit("build:second", "u-4", "{}").await;
        site.drop_policy("10-names.wasm", &naming("third"));
        site.policy_becomes("names", SlotState::LastGood, "layshaft policy reload --accept orphans").await;
        assert_eq!(policies.reload_accepting([Gate::Orphans].into()).await.refused, []);
        site.offers("a_exec-0", &["build:second", "build:third"]).await;
        site.controller("ci").finish("lint", 3, BuildResult::Success);
        running.finish().await;
        site.offers("a_exec-0", &["build:third"]).await;
    }

    async fn a_change_that_withdraws_too_much_waits_for_a_person(server) {
        let gates = Gates { withdrawn_anyway: 0, ..Gates::default() };
        let site = one_executor().gates(gates).start(server).await;
        site.offers("a_exec-0", &["build:first"]).await;
        site.drop_policy("10-names.wasm", &naming("second"));
        site.policy_becomes("names", SlotState::LastGood, "withdraws 2 of 2 functions of nodes, such as build:first on").await;
        site.drop_policy("20-other.wasm", &Guest::new("other").matching(&abstains()).build());
        site.policy_becomes("other", SlotState::Live, "").await;
        assert_eq!(site.server.functions_of("a_exec-0").await, ["build:first"]);
        site.runtime().policies().reload_accepting([Gate::Table].into()).await;
        site.offers("a_exec-0", &["build:second"]).await;
        site.policy_becomes("names", SlotState::Live, "").await;
    }

    async fn what_was_kept_out_stays_out_over_a_restart(server) {
        let gates = Gates { withdrawn_anyway: 0, ..Gates::default() };
        let mut site = one_executor().gates(gates).start(server).await;
        site.offers("a_exec-0", &["build:first"]).await;
        site.drop_policy("10-names.wasm", &naming("second"));
        site.policy_becomes("names", SlotState::LastGood, "withdraws 2 of 2 functions").await;
        site.stop_runtime().await;
        site.start_runtime().await;
        site.settle().await;
        site.offers("a_exec-0", &["build:first"]).await;
        site.policy_becomes("names", SlotState::LastGood, "layshaft policy reload --accept table").await;
        let policies = site.runtime().policies();
        assert!(!policies.reload().await.done, "the gate is asked again, and says the same");
        let report = policies.reload_accepting([Gate::Table].into()).await;
        assert!(report.done, "{report:?}");
        let took = policies.standing().last_reload.unwrap().stages;
        assert!(took[&Stage::Table] > 0 && took.contains_key(&Stage::Swap), "{took:?}");
        site.offers("a_exec-0", &["build:second"]).await;
    }

    async fn a_policy_that_fails_with_every_job_is_rolled_back_by_itself(server) {
        let site = one_executor().start(server).await;
        site.offers("a_exec-0", &["build:first"]).await;
        let failing = Guest::new("names")
            .naming(&named(&["first"]))
            .function("parameters", "filter", past_the_gates(LOOP, &Bytes::default()))
            .build();
        site.drop_policy("10-names.wasm", &failing);
        eventually("it is in force", || async { site.status().await.generation == 2 }).await;
        for job in ["u-1", "u-2", "u-3"] {
            site.server.submit("build:first", job, "{}").await.finish().await;
        }
        site.policy_becomes("names", SlotState::Quarantined, "layshaft policy accept names").await;
        let mut job = site.server.submit("build:first", "u-4", "{}").await;
        job.started().await;
        site.controller("ci").finish("lint", 1, BuildResult::Success);
        job.finish().await;
    }
}
