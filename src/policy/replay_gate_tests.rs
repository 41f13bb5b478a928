use std::sync::{Arc, Mutex};

use super::*;
use crate::policy::guest::{Bytes, Guest, LOOP, abstains, past_the_gates, rules};
use crate::policy::loosening::tests::job;
use crate::policy::reload::tests::{Site, check};
use crate::policy::{Answered, Asked, Mode, Policies, Refusal, SentValue, SlotState};

/// Has what it was told, or an error.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Vec<Record>>>, Option<&'static str>);

impl PastDecisions for Kept {
    fn last(&self, count: usize) -> Result<Vec<Record>, String> {
        match self.1 {
            Some(error) => Err(error.to_owned()),
            None => Ok(self.0.lock().unwrap().iter().rev().take(count).cloned().collect()),
        }
    }
}

impl Kept {
    /// Has the policies in force decide about some jobs.
    fn decide(&self, policies: &Policies, jobs: usize) {
        let asked = Asked::Filter(job(&[("LD_PRELOAD", SentValue::Shown("evil.so".into()))]));
        let Answered { told, verdict, why } = policies.live().ask_again(&asked);
        let record = Record { at: 1, generation: 1, asked, told, verdict, why, cut: false };
        self.0.lock().unwrap().extend(vec![record; jobs]);
    }
}

fn rejecting() -> Vec<u8> {
    Guest::new("p").filter(&Bytes::default().byte(1).none_pair().byte(0).text("no preloading").none_pair()).build()
}

fn open() -> Vec<u8> {
    Guest::new("p").filter(&rules(&[], false, "all")).build()
}

fn failing() -> Vec<u8> {
    Guest::new("p").function("parameters", "filter", past_the_gates(LOOP, &Bytes::default())).build()
}

fn other() -> Vec<u8> {
    Guest::new("other").matching(&abstains()).build()
}

/// A policy that rejects is in force and has rejected three jobs.
async fn guarded(site: &Site) -> (Policies, Kept) {
    let (policies, kept) = (site.open(), Kept::default());
    policies.replay_from(Arc::new(kept.clone()));
    site.put("10-p.wasm", rejecting());
    // The first policy of all lets nothing through that was not let through before.
    assert_eq!(policies.reload().await.refused, []);
    kept.decide(&policies, 3);
    (policies, kept)
}

fn is_refused<'a>(refused: &'a [Refusal], words: &[&str]) -> &'a str {
    let [Refusal { slot, gate: Gate::Replay, reason }] = refused else { panic!("{refused:?}") };
    assert_eq!(slot, "p");
    words.iter().for_each(|words| assert!(reason.contains(words), "{reason}"));
    reason
}

const HELD_BACK: &str = "what is held back now would be let through in 3 of 3 recorded decisions, such as \
                         parameters.filter: a job of lint on node n1, which is rejected, would be built (now: policy \
                         p: no preloading)";

#[tokio::test]
async fn what_lets_through_more_stays_out_until_a_person_accepts_it() {
    let site = Site::new();
    let (policies, _) = guarded(&site).await;
    site.put("10-p.wasm", open());
    let report = policies.reload().await;
    let reason = is_refused(&report.refused, &[HELD_BACK, "`layshaft policy reload --accept replay` lets it in"]);
    assert!(!reason.contains("evil.so"));
    check(&policies, &[("p", SlotState::LastGood, Some(&rejecting()))]);
    assert_eq!(policies.reload_accepting([Gate::Table].into()).await.refused.len(), 1);
    assert_eq!(policies.reload_accepting([Gate::Replay].into()).await.refused, []);
    check(&policies, &[("p", SlotState::Live, Some(&open()))]);
    // From now on this is what is in force, whatever older policies had decided.
    site.put("10-p.wasm", rejecting());
    assert_eq!(policies.reload().await.refused, []);
}

#[tokio::test]
async fn settings_and_bindings_are_a_change_too() {
    let site = Site::new();
    let (policies, _) = guarded(&site).await;
    site.put("10-p.toml", "[[bind]]\nprojects = ['another']");
    is_refused(&policies.reload().await.refused, &["a job of lint on node n1"]);
    site.put("10-p.toml", "[[bind]]\nprojects = ['lint']");
    assert_eq!(policies.reload().await.refused, []);
}

#[tokio::test]
async fn taking_a_policy_away_that_rejects_lets_through_what_it_rejected() {
    let site = Site::new();
    let (policies, _) = guarded(&site).await;
    site.put("20-other.wasm", other());
    policies.reload().await;
    site.delete("10-p.wasm");
    is_refused(&policies.reload().await.refused, &[HELD_BACK, "`layshaft policy reload --accept replay` lets it go"]);
    let nothing = BTreeSet::new;
    let report = policies.retire("p", nothing()).await.unwrap();
    is_refused(&report.refused, &[HELD_BACK, "`layshaft policy retire p --accept replay` does it all the same"]);
    check(&policies, &[("other", SlotState::Live, Some(&other())), ("p", SlotState::Missing, Some(&rejecting()))]);
    let half_an_hour = Duration::from_secs(30 * 60);
    let report = policies.disable("p", half_an_hour, nothing()).await.unwrap();
    // The deletion is still refused, too.
    let [_, refused @ ..] = report.refused.as_slice() else { panic!("{:?}", report.refused) };
    is_refused(refused, &["`layshaft policy disable p --for 30m --accept replay` does it"]);
    assert_eq!(policies.retire("p", [Gate::Replay].into()).await.unwrap().refused, []);
    check(&policies, &[("other", SlotState::Live, Some(&other()))]);
}

#[tokio::test]
async fn a_policy_that_comes_back_is_not_held_up_and_neither_is_one_rolled_back() {
    let site = Site::new();
    let (policies, _) = guarded(&site).await;
    site.put("10-p.wasm", open());
    policies.reload_accepting([Gate::Replay].into()).await;
    site.put("10-p.wasm", rejecting());
    policies.reload().await;
    let minute = Duration::from_secs(60);
    assert_eq!(policies.disable("p", minute, [Gate::Replay].into()).await.unwrap().refused, []);
    assert_eq!(policies.enable("p").await.unwrap().refused, []);
    // The file in the folder is quarantined by it.
    let refused = policies.rollback("p").await.unwrap().refused;
    assert_eq!(refused.iter().map(|refusal| refusal.gate).collect::<Vec<_>>(), [Gate::Quarantine]);
    assert_eq!(policies.live().digests(), [crate::policy::Digest::of(&open())]);
}

#[tokio::test]
async fn what_replaces_a_disabled_policy_is_held_against_it_before_it_can_come_back() {
    let site = Site::new();
    let (policies, _) = guarded(&site).await;
    let minute = Duration::from_secs(60);
    policies.disable("p", minute, [Gate::Replay].into()).await.unwrap();
    site.put("10-p.wasm", open());
    is_refused(&policies.reload().await.refused, &[HELD_BACK]);
    check(&policies, &[("p", SlotState::Disabled, Some(&rejecting()))]);
    assert_eq!(policies.reload_accepting([Gate::Replay].into()).await.refused, []);
    check(&policies, &[("p", SlotState::Disabled, Some(&open()))]);
    assert_eq!(policies.enable("p").await.unwrap().refused, []);
    check(&policies, &[("p", SlotState::Live, Some(&open()))]);
}

#[tokio::test]
async fn a_policy_that_fails_at_what_was_decided_stays_out() {
    let site = Site::new();
    let (policies, kept) = guarded(&site).await;
    site.put("10-p.wasm", failing());
    is_refused(
        &policies.reload().await.refused,
        &["it fails where what is in force does not, in 3 of 3", "out of fuel"],
    );
    kept.0.lock().unwrap().clear();
    assert_eq!(policies.reload().await.refused, []);
}

#[tokio::test]
async fn of_several_changes_the_one_that_loosens_is_refused() {
    let site = Site::new();
    let (policies, _) = guarded(&site).await;
    site.put("05-a.wasm", other());
    site.put("10-p.wasm", open());
    site.put("20-z.wasm", other());
    is_refused(&policies.reload().await.refused, &[HELD_BACK]);
    check(
        &policies,
        &[
            ("a", SlotState::Live, Some(&other())),
            ("p", SlotState::LastGood, Some(&rejecting())),
            ("z", SlotState::Live, Some(&other())),
        ],
    );
}

#[tokio::test]
async fn what_is_only_tried_is_not_held_against_anything() {
    let mut site = Site::new();
    site.config.slots.entry("q".into()).or_default().mode = Mode::Monitor;
    let (policies, _) = guarded(&site).await;
    site.put("20-q.wasm", failing());
    assert_eq!(policies.reload().await.refused, []);
}

#[tokio::test]
async fn decisions_that_cannot_be_read_let_nothing_in() {
    let site = Site::new();
    let policies = site.open();
    policies.replay_from(Arc::new(Kept(Arc::default(), Some("the disk is on fire"))));
    site.put("10-p.wasm", open());
    is_refused(&policies.reload().await.refused, &["the disk is on fire", "--accept replay"]);
    assert_eq!(policies.reload_accepting([Gate::Replay].into()).await.refused, []);
}

#[tokio::test]
async fn the_gate_is_gone_where_a_site_wants_no_decisions_replayed() {
    let mut site = Site::new();
    site.config.gates.replay = 0;
    let (policies, _) = guarded(&site).await;
    site.put("10-p.wasm", open());
    assert_eq!(policies.reload().await.refused, []);
}

#[test]
fn a_candidate_that_is_too_slow_is_refused_and_a_slow_generation_in_force_is_left_out() {
    let within = Duration::from_secs(3);
    let replayed = Replayed { records: 10, same: 6, not_reached: 4, ..Replayed::default() };
    assert_eq!(objection(&replayed, 0, within), None);
    let reason = objection(&replayed, 4, within).unwrap();
    assert!(reason.starts_with("it did not get through 4 of 10 recorded decisions in time"), "{reason}");
}
