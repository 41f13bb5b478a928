//! What recorded decisions would become, before a change of policies is in force.

use layshaft::domain::BuildResult;
use layshaft::policy::{Gate, SlotState};

use crate::support::guest::{Guest, rules};
use crate::support::{
    GearmanServer, Site, SiteBuilder, completion, eventually, exception, fleet, on_both_servers, project,
};

const STRICT: &str = r#"
    [[settings.deny]]
    name = "no-preload"
    parameter = "LD_PRELOAD"
"#;

const LENIENT: &str = r#"
    [[settings.rules]]
    rest = "open"
"#;

const SENT: &str = r#"{"LD_PRELOAD": "/tmp/replayed-secret.so"}"#;

/// Starts a site that has rejected one job.
async fn rejecting(server: GearmanServer) -> Site {
    let site = SiteBuilder::new()
        .controller("ci", fleet(&[("a", 1, &[])], vec![project("deploy", None)]))
        .example_policy("30-parameter-allowlist.wasm", "parameter-allowlist")
        .policy_file("30-parameter-allowlist.toml", STRICT)
        .start(server)
        .await;
    site.offers("a_exec-0", &["build:deploy"]).await;
    let rejected = site.server.run("build:deploy", "u-1", SENT).await;
    assert!(exception(&rejected).contains("`LD_PRELOAD` is denied"), "{rejected:?}");
    eventually("the rejection is written down", || async {
        let records = site.runtime().journal().decision_records(false, 10).await.unwrap();
        records.iter().any(|(_, record)| record.contains("rejected"))
    })
    .await;
    site
}

on_both_servers! {
    async fn a_policy_that_rejected_a_job_is_not_replaced_by_one_that_builds_it_unless_a_person_says_so(server) {
        let site = rejecting(server).await;
        let example = "of 1 recorded decisions, such as parameters.filter: a job of deploy on node a, which is rejected";
        site.drop_policy("30-parameter-allowlist.toml", LENIENT.as_bytes());
        site.policy_becomes("parameter-allowlist", SlotState::LastGood, example).await;
        let lenient = Guest::new("lenient").filter(&rules(&[], false, "fine")).build();
        site.drop_policy("30-parameter-allowlist.wasm", &lenient);
        let policies = site.runtime().policies();
        let refused = policies.reload().await.refused;
        assert_eq!((refused.len(), refused[0].gate, &*refused[0].slot), (1, Gate::Replay, "parameter-allowlist"));
        assert!(refused[0].reason.contains("LD_PRELOAD"), "{refused:?}");
        assert!(refused[0].reason.contains("`layshaft policy reload --accept replay`"), "{refused:?}");
        assert!(!refused[0].reason.contains("replayed-secret"), "{refused:?}");

        assert_eq!(policies.reload_accepting([Gate::Replay].into()).await.refused, []);
        site.policy_becomes("parameter-allowlist", SlotState::Live, "").await;
        let mut job = site.server.submit("build:deploy", "u-2", SENT).await;
        job.started().await;
        site.controller("ci").finish("deploy", 1, BuildResult::Success);
        assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
    }
}
