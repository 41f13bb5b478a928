use std::time::Duration;

use super::*;
use crate::policy::decision::tests::with_request;
use crate::policy::guest::{Bytes, Guest, LOOP, abstains, past_the_gates};
use crate::policy::reload::tests::{Site, better, check, good};
use crate::policy::{ChangeKind, Digest, Filtered, Policies, SlotState};

/// Objects to whatever would take a policy out, and to whatever would put a vetoing one in.
struct Strict;

impl TableGates for Strict {
    fn against<'a>(&'a self, base: &'a Generation, _: bool) -> Option<Box<dyn Comparison + 'a>> {
        Some(Box::new(StrictComparison { base }))
    }
}

struct StrictComparison<'a> {
    base: &'a Generation,
}

impl Comparison for StrictComparison<'_> {
    fn examine(&mut self, candidate: &Generation, waived: &BTreeSet<Gate>) -> Result<(), Objection> {
        let names = |generation: &Generation| -> BTreeSet<String> {
            generation.slots.iter().map(|slot| slot.voice.policy.to_string()).collect()
        };
        let object = |gate: Gate, reason: &str| {
            if waived.contains(&gate) { Ok(()) } else { Err(Objection { gate, reason: reason.to_owned() }) }
        };
        if candidate.digests().contains(&Digest::of(&better())) {
            object(Gate::Table, "it withdraws everything")?;
        }
        if names(self.base).is_subset(&names(candidate)) { Ok(()) } else { object(Gate::Orphans, "jobs wait") }
    }

    fn took(&self) -> BTreeMap<Stage, Duration> {
        [(Stage::Table, Duration::from_millis(7))].into()
    }
}

pub(in crate::policy) fn strict(site: &Site) -> Policies {
    let policies = site.open();
    policies.guard_table_with(Arc::new(Strict));
    policies
}

fn refused(report: &crate::policy::ReloadReport) -> Vec<(&str, Gate)> {
    report.refused.iter().map(|refusal| (refusal.slot.as_str(), refusal.gate)).collect()
}

#[tokio::test]
async fn what_the_gates_object_to_stays_out_until_a_person_waives_the_gate() {
    let site = Site::new();
    site.put("10-a.wasm", good());
    let policies = strict(&site);
    site.put("10-a.wasm", better());
    let report = policies.reload().await;
    assert_eq!((report.generation, refused(&report)), (1, vec![("a", Gate::Table)]));
    assert_eq!(
        report.refused[0].to_string(),
        "policy a refused at gate table: it withdraws everything; `layshaft policy reload --accept table` lets it in all \
         the same"
    );
    check(&policies, &[("a", SlotState::LastGood, Some(&good()))]);
    assert_eq!(refused(&policies.reload_accepting([Gate::Orphans].into()).await), [("a", Gate::Table)]);
    let report = policies.reload_accepting([Gate::Table].into()).await;
    assert_eq!((report.generation, refused(&report)), (2, vec![]));
    check(&policies, &[("a", SlotState::Live, Some(&better()))]);
}

#[tokio::test]
async fn of_several_changes_only_the_one_that_is_objected_to_stays_out() {
    let site = Site::new();
    site.put("10-a.wasm", good());
    site.put("20-b.wasm", good());
    let policies = strict(&site);
    site.put("10-a.toml", "[settings]\nx = 1\n");
    site.put("20-b.wasm", better());
    site.put("30-c.wasm", good());
    let report = policies.reload().await;
    assert_eq!(refused(&report), [("b", Gate::Table)]);
    let changed: Vec<_> = report.changed.iter().map(|change| (change.slot.as_str(), change.kind)).collect();
    assert_eq!(changed, [("a", ChangeKind::Replaced), ("c", ChangeKind::Added)]);
    check(
        &policies,
        &[
            ("a", SlotState::Live, Some(&good())),
            ("b", SlotState::LastGood, Some(&good())),
            ("c", SlotState::Live, Some(&good())),
        ],
    );
}

#[tokio::test]
async fn deleting_retiring_and_disabling_pass_the_same_gates() {
    let site = Site::new();
    site.put("10-a.wasm", good());
    site.put("20-b.wasm", good());
    let policies = strict(&site);
    let minute = Duration::from_secs(60);
    let report = policies.disable("a", minute, BTreeSet::new()).await.unwrap();
    assert_eq!(refused(&report), [("a", Gate::Orphans)]);
    check(&policies, &[("a", SlotState::Live, Some(&good())), ("b", SlotState::Live, Some(&good()))]);
    site.delete("10-a.wasm");
    assert_eq!(refused(&policies.reload().await), [("a", Gate::Orphans)]);
    assert_eq!(refused(&policies.retire("a", BTreeSet::new()).await.unwrap()), [("a", Gate::Orphans)]);
    check(&policies, &[("a", SlotState::Missing, Some(&good())), ("b", SlotState::Live, Some(&good()))]);
    let report = policies.retire("a", [Gate::Orphans].into()).await.unwrap();
    assert_eq!((refused(&report), report.changed[0].kind), (vec![], ChangeKind::Removed));
}

#[tokio::test]
async fn what_was_disabled_comes_back_unasked_and_what_replaced_it_meanwhile_does_not() {
    let site = Site::new();
    site.put("10-a.wasm", better());
    site.put("20-b.wasm", good());
    let policies = site.open();
    policies.disable("a", Duration::from_secs(60), BTreeSet::new()).await.unwrap();
    policies.guard_table_with(Arc::new(Strict));
    let report = policies.enable("a").await.unwrap();
    assert_eq!((refused(&report), report.changed[0].digest.clone()), (vec![], Digest::of(&better())));
    site.put("20-b.wasm", Guest::new("b").matching(&abstains()).build());
    policies.reload_accepting([Gate::Table, Gate::Orphans].into()).await;
    policies.disable("b", Duration::from_secs(60), [Gate::Table, Gate::Orphans].into()).await.unwrap();
    site.put("20-b.wasm", better());
    let report = policies.enable("b").await.unwrap();
    assert_eq!(refused(&report), [("b", Gate::Table)]);
    let in_force = Guest::new("b").matching(&abstains()).build();
    check(&policies, &[("a", SlotState::Live, Some(&better())), ("b", SlotState::LastGood, Some(&in_force))]);
}

#[tokio::test]
async fn what_a_person_insists_on_lets_nothing_else_through() {
    let site = Site::new();
    for file in ["10-a.wasm", "20-b.wasm", "30-c.wasm"] {
        site.put(file, good());
    }
    let policies = strict(&site);
    site.delete("20-b.wasm");
    assert_eq!(refused(&policies.reload().await), [("b", Gate::Orphans)]);
    let waived = BTreeSet::from([Gate::Table, Gate::Orphans]);
    let report = policies.disable("a", Duration::from_secs(60), waived).await.unwrap();
    assert_eq!(refused(&report), [("b", Gate::Orphans)]);
    check(
        &policies,
        &[
            ("a", SlotState::Disabled, Some(&good())),
            ("b", SlotState::Missing, Some(&good())),
            ("c", SlotState::Live, Some(&good())),
        ],
    );
}

#[tokio::test]
async fn a_rollback_waits_for_no_gate() {
    let site = Site::new();
    site.put("10-a.wasm", better());
    let policies = site.open();
    site.put("10-a.wasm", good());
    policies.reload().await;
    policies.guard_table_with(Arc::new(Strict));
    let report = policies.rollback("a").await.unwrap();
    assert_eq!(report.changed[0].digest, Digest::of(&better()));
    check(&policies, &[("a", SlotState::Quarantined, Some(&better()))]);
}

#[tokio::test]
async fn a_disabled_policy_is_out_of_force_for_so_long_and_over_a_restart() {
    let site = Site::new();
    site.put("10-a.wasm", good());
    site.put("20-b.wasm", good());
    let policies = site.open();
    let hour = Duration::from_secs(3600);
    assert!(policies.disable("none", hour, BTreeSet::new()).await.is_err());
    let report = policies.disable("a", hour, BTreeSet::new()).await.unwrap();
    assert_eq!((report.generation, report.changed[0].kind), (2, ChangeKind::Removed));
    check(&policies, &[("a", SlotState::Disabled, Some(&good())), ("b", SlotState::Live, Some(&good()))]);
    assert_eq!(policies.live().slots.len(), 1);
    assert_eq!(policies.readiness(), [] as [String; 0]);
    drop(policies);
    let policies = site.open();
    assert_eq!(policies.live().slots.len(), 1);
    let report = policies.enable("a").await.unwrap();
    assert_eq!(report.changed[0].kind, ChangeKind::Added);
    assert!(policies.enable("a").await.is_err());
    // What has run out is in force again at the next look.
    policies.disable("a", Duration::ZERO, BTreeSet::new()).await.unwrap();
    policies.guard_once().await;
    check(&policies, &[("a", SlotState::Live, Some(&good())), ("b", SlotState::Live, Some(&good()))]);
}

#[tokio::test]
async fn frozen_policies_take_nothing_from_the_folder_until_they_are_thawed() {
    let site = Site::new();
    site.put("10-a.wasm", good());
    site.put("20-b.wasm", good());
    let policies = site.open();
    policies.freeze(true).await.unwrap();
    site.put("10-a.wasm", better());
    site.delete("20-b.wasm");
    site.put("30-c.wasm", good());
    for _restart in 0..2 {
        let policies = site.open();
        let report = policies.reload().await;
        assert!(report.refused.iter().all(|refusal| refusal.gate == Gate::Frozen), "{report:?}");
        check(
            &policies,
            &[
                ("a", SlotState::LastGood, Some(&good())),
                ("b", SlotState::Missing, Some(&good())),
                ("c", SlotState::Refused, None),
            ],
        );
        assert_eq!(policies.readiness(), [] as [String; 0]);
    }
    policies.freeze(false).await.unwrap();
    check(&policies, &[("a", SlotState::Live, Some(&better())), ("c", SlotState::Live, Some(&good()))]);
}

/// Passes the gates and fails with every real job.
fn failing() -> Vec<u8> {
    Guest::new("failing").function("parameters", "filter", past_the_gates(LOOP, &Bytes::default())).build()
}

#[tokio::test]
async fn a_version_that_fails_as_soon_as_it_is_in_force_is_rolled_back_by_itself() {
    for (watch_for, expected) in [(Duration::ZERO, SlotState::Live), (Duration::from_secs(600), SlotState::Quarantined)]
    {
        let mut site = Site::new();
        site.config.gates.watch_for = watch_for;
        site.put("10-a.wasm", good());
        let policies = site.open();
        site.put("10-a.wasm", failing());
        assert_eq!(policies.reload().await.changed.len(), 1);
        for decided in 1..=3 {
            assert_eq!(policies.list()[0].state, SlotState::Live, "after {decided} decisions");
            with_request(&[], |request| policies.live().filter(request));
            policies.guard_once().await;
        }
        assert_eq!(policies.list()[0].state, expected);
    }
}

#[tokio::test]
async fn a_version_that_rejects_every_job_is_not_rolled_back() {
    let site = Site::new();
    site.put("10-a.wasm", good());
    let policies = site.open();
    let rejecting = Bytes::default().byte(1).none_pair().byte(0).text("never").none_pair();
    site.put("10-a.wasm", Guest::new("strict").filter(&rejecting).build());
    policies.reload().await;
    for _ in 0..10 {
        let filtered = with_request(&[], |request| policies.live().filter(request));
        assert!(matches!(filtered, Filtered::Rejected { .. }), "{filtered:?}");
        policies.guard_once().await;
    }
    assert_eq!(policies.list()[0].state, SlotState::Live);
}

#[tokio::test]
async fn a_policy_that_fails_and_has_nothing_before_it_stays() {
    let site = Site::new();
    site.put("10-a.wasm", failing());
    let policies = site.open();
    for _ in 0..5 {
        with_request(&[], |request| policies.live().filter(request));
        policies.guard_once().await;
    }
    check(&policies, &[("a", SlotState::Live, Some(&failing()))]);
    assert!(policies.list()[0].failing.as_ref().unwrap().contains("parameters fails"));
}
