use std::fs;
use std::time::Duration;

use super::*;
use crate::policy::Policies;
use crate::policy::decision::tests::with_request;
use crate::policy::guest::{Bytes, Guest, LOOP, abstains, past_the_gates};
use crate::policy::reload::tests::{Site, better, check, good};
use crate::policy::table_gates::tests::strict;

const HOUR: Duration = Duration::from_secs(3600);

fn all() -> BTreeSet<Gate> {
    Gate::WAIVABLE.into()
}

/// Restarts the daemon; nothing is offered yet, so that the gates of the table have nothing to compare.
#[track_caller]
fn stays_so_over_a_restart(site: &Site, expected: &[(&str, SlotState, Option<&[u8]>)], reason: &str) -> Policies {
    let policies = site.open();
    check(&policies, expected);
    let errors: Vec<_> = policies.list().into_iter().filter_map(|status| status.error).collect();
    assert!(errors.iter().any(|error| error.contains(reason)), "{errors:?}");
    assert_eq!(policies.readiness(), [] as [String; 0]);
    policies
}

#[tokio::test]
async fn a_version_that_only_the_table_kept_out_stays_out_over_a_restart_until_a_person_reloads() {
    let site = Site::new();
    site.put("10-a.wasm", good());
    let policies = strict(&site);
    site.put("10-a.wasm", better());
    assert_eq!(policies.reload().await.refused[0].gate, Gate::Table);
    drop(policies);
    let kept_out = [("a", SlotState::LastGood, Some(good()))];
    let kept_out = kept_out.each_ref().map(|(name, state, module)| (*name, *state, module.as_deref()));
    let policies = stays_so_over_a_restart(&site, &kept_out, "it withdraws everything");
    // Nor does a look at the folder let it in.
    policies.reload_what_changed().await;
    check(&policies, &kept_out);
    drop(policies);
    let policies = stays_so_over_a_restart(&site, &kept_out, "--accept table");
    assert!(policies.reload().await.done);
    check(&policies, &[("a", SlotState::Live, Some(&better()))]);
    drop(policies);
    check(&site.open(), &[("a", SlotState::Live, Some(&better()))]);
}

#[tokio::test]
async fn a_newcomer_that_was_kept_out_blocks_nothing_after_a_restart_and_another_version_is_tried() {
    let site = Site::new();
    site.put("10-a.wasm", good());
    let policies = strict(&site);
    site.put("20-b.wasm", better());
    assert_eq!(policies.reload().await.refused[0].gate, Gate::Table);
    drop(policies);
    let kept_out = [("a", SlotState::Live, Some(good())), ("b", SlotState::Refused, None)];
    let kept_out = kept_out.each_ref().map(|(name, state, module)| (*name, *state, module.as_deref()));
    drop(stays_so_over_a_restart(&site, &kept_out, "it withdraws everything"));
    site.put("20-b.toml", "[settings]\nx = 1\n");
    check(&site.open(), &[("a", SlotState::Live, Some(&good())), ("b", SlotState::Live, Some(&better()))]);
}

#[tokio::test]
async fn a_deletion_that_was_refused_stays_refused_over_a_restart() {
    let site = Site::new();
    site.put("10-a.wasm", good());
    site.put("20-b.wasm", good());
    let policies = strict(&site);
    site.delete("10-a.wasm");
    assert_eq!(policies.reload().await.refused[0].gate, Gate::Orphans);
    drop(policies);
    let kept = [("a", SlotState::Missing, Some(good())), ("b", SlotState::Live, Some(good()))];
    let kept = kept.each_ref().map(|(name, state, module)| (*name, *state, module.as_deref()));
    let policies = stays_so_over_a_restart(&site, &kept, "jobs wait");
    assert!(policies.reload().await.done);
    check(&policies, &[("b", SlotState::Live, Some(&good()))]);
    drop(policies);
    check(&site.open(), &[("b", SlotState::Live, Some(&good()))]);
}

#[tokio::test]
async fn a_move_that_was_refused_is_shown_as_such_and_stays_refused_over_a_restart() {
    let site = Site::new();
    site.put("10-a.wasm", better());
    site.put("20-b.wasm", good());
    let policies = strict(&site);
    let from = site.config.folder.join("10-a.wasm");
    fs::rename(from, site.config.folder.join("30-a.wasm")).unwrap();
    let report = policies.reload().await;
    assert_eq!((report.done, report.refused[0].gate), (false, Gate::Table));
    let digests = policies.live().digests();
    drop(policies);
    let kept = [("a", SlotState::LastGood, Some(better())), ("b", SlotState::Live, Some(good()))];
    let kept = kept.each_ref().map(|(name, state, module)| (*name, *state, module.as_deref()));
    let policies = stays_so_over_a_restart(&site, &kept, "it withdraws everything");
    assert_eq!(policies.live().digests(), digests, "in its old place");
    assert_eq!(policies.list()[0].file.as_deref(), Some("30-a.wasm"));
    assert!(policies.reload().await.done);
    assert_eq!(policies.live().digests(), [Digest::of(&good()), Digest::of(&better())]);
}

#[tokio::test]
async fn while_frozen_nothing_moves() {
    let site = Site::new();
    site.put("10-a.wasm", better());
    site.put("20-b.wasm", good());
    let policies = site.open();
    assert!(policies.freeze(true).await.unwrap().done);
    fs::rename(site.config.folder.join("10-a.wasm"), site.config.folder.join("30-a.wasm")).unwrap();
    assert_eq!(policies.reload().await.refused[0].gate, Gate::Frozen);
    assert_eq!(policies.live().digests(), [Digest::of(&better()), Digest::of(&good())]);
}

#[tokio::test]
async fn what_cannot_be_written_down_does_not_count_and_says_so() {
    let site = Site::new();
    site.put("10-a.wasm", good());
    site.put("20-b.wasm", good());
    let policies = site.open();
    site.put("10-a.wasm", better());
    policies.reload().await;
    let before = [("a", SlotState::Live, Some(better())), ("b", SlotState::Live, Some(good()))];
    let before = before.each_ref().map(|(name, state, module)| (*name, *state, module.as_deref()));
    // A disk that takes nothing more.
    let in_the_way = site.config.state.as_ref().unwrap().join("live.tmp");
    fs::create_dir(&in_the_way).unwrap();
    let refused = |result: Result<ReloadReport, Error>| {
        let error = result.unwrap_err();
        assert!(matches!(error, Error::NotWritten { .. }), "{error}");
        assert!(error.to_string().contains("nothing was changed"), "{error}");
    };
    refused(policies.freeze(true).await);
    refused(policies.disable("a", HOUR, BTreeSet::new()).await);
    refused(policies.rollback("a").await);
    check(&policies, &before);
    assert!(!policies.standing().frozen);
    assert_eq!(policies.live().number(), 2);
    fs::remove_dir(&in_the_way).unwrap();
    // Nor was it half changed.
    policies.reload().await;
    check(&policies, &before);
    assert!(policies.freeze(true).await.unwrap().done);
    assert!(policies.standing().frozen);
    assert!(site.open().standing().frozen);
}

#[tokio::test]
async fn a_version_that_fails_is_rolled_back_even_if_that_cannot_be_written_down() {
    let site = Site::new();
    site.put("10-a.wasm", good());
    let policies = site.open();
    let failing =
        Guest::new("failing").function("parameters", "filter", past_the_gates(LOOP, &Bytes::default())).build();
    site.put("10-a.wasm", failing);
    policies.reload().await;
    fs::create_dir(site.config.state.as_ref().unwrap().join("live.tmp")).unwrap();
    for _ in 0..3 {
        with_request(&[], |request| policies.live().filter(request));
    }
    policies.guard_once().await;
    check(&policies, &[("a", SlotState::Quarantined, Some(&good()))]);
}

#[tokio::test]
async fn a_command_is_done_whatever_else_lies_in_the_folder() {
    let site = Site::new();
    site.put("10-a.wasm", good());
    site.put("20-b.wasm", good());
    let policies = site.open();
    site.put("10-a.wasm", better());
    site.put("30-c.wasm", "broken");
    assert!(!policies.reload().await.done);
    let reports = [
        policies.rollback("a").await.unwrap(),
        policies.accept("a").await.unwrap(),
        policies.disable("a", HOUR, BTreeSet::new()).await.unwrap(),
        policies.enable("a").await.unwrap(),
        policies.freeze(true).await.unwrap(),
        policies.freeze(false).await.unwrap(),
    ];
    for report in reports {
        assert!(report.done && report.refused.iter().any(|refusal| refusal.slot == "c"), "{report:?}");
    }
    drop(policies);
    let policies = strict(&site);
    assert!(!policies.disable("a", HOUR, BTreeSet::new()).await.unwrap().done);
    site.delete("20-b.wasm");
    assert!(!policies.retire("b", BTreeSet::new()).await.unwrap().done);
    assert!(policies.retire("b", all()).await.unwrap().done);
}

#[tokio::test]
async fn how_long_a_change_took_is_told_by_stage() {
    let site = Site::new();
    site.put("10-a.wasm", good());
    let policies = strict(&site);
    let cost = policies.standing().last_reload.expect("the start is a change");
    assert_eq!(cost.generation, 1);
    let reached: Vec<_> = cost.stages.keys().copied().collect();
    assert_eq!(reached, [Stage::Read, Stage::Compile, Stage::Laws, Stage::Swap]);
    assert!(cost.stages[&Stage::Compile] > 0 && cost.stages.values().sum::<u64>() <= cost.microseconds, "{cost:?}");
    // A look that finds nothing new is no change.
    policies.reload().await;
    assert_eq!(policies.standing().last_reload, Some(cost));
    site.put("10-a.wasm", Guest::new("other").matching(&abstains()).build());
    policies.reload().await;
    let cost = policies.standing().last_reload.unwrap();
    assert_eq!((cost.generation, cost.stages.get(&Stage::Table)), (2, Some(&7_000)));
    drop(policies);
    assert_eq!(site.open().standing().last_reload.map(|cost| cost.generation), Some(2));
}

#[tokio::test]
async fn a_client_that_makes_a_policy_fail_does_not_have_it_rolled_back() {
    let site = Site::new();
    site.put("10-a.wasm", good());
    let policies = site.open();
    // Its memory has room for 1 MiB of question.
    let small = Guest::new("small").function("parameters", "filter", past_the_gates("", &allowing())).build();
    site.put("10-a.wasm", small.clone());
    assert!(policies.reload().await.done);
    let huge = "x".repeat(2 << 20);
    for _ in 0..5 {
        let filtered = with_request(&[], |request| {
            let requested = [(huge.as_str(), "")].into_iter().collect();
            policies.live().filter(&crate::policy::Request { requested: &requested, ..*request })
        });
        assert!(matches!(filtered, crate::policy::Filtered::Failed { .. }), "{filtered:?}");
        policies.guard_once().await;
    }
    check(&policies, &[("a", SlotState::Live, Some(&small))]);
    assert!(policies.list()[0].failing.as_ref().unwrap().contains("parameters fails"));
}

fn allowing() -> Bytes {
    crate::policy::guest::rules(&[], false, "fine")
}
