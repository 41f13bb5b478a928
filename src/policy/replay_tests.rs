use std::sync::{Arc, OnceLock};

use proptest::prelude::*;

use super::*;
use crate::policy::config::{Grant, SlotGuard};
use crate::policy::guest::{Bytes, Guest, LOOP, past_the_gates, rules};
use crate::policy::loosening::tests::job;
use crate::policy::reload::tests::Site;
use crate::policy::{EndedSo, JobAsked, SentValue};

const MANNER: Manner = Manner { threads: 2, slower: 2.0, examples: 2 };

fn generation(files: &[(&str, Guest)]) -> Arc<Generation> {
    let mut site = Site::new();
    for (file, guest) in files {
        site.put(file, guest.build());
        let name = file.trim_end_matches(".wasm").split_once('-').unwrap().1;
        let grants = [Grant::Values, Grant::Rewrite, Grant::Veto].into();
        site.config.slots.insert(name.to_owned(), SlotGuard { grants, ..SlotGuard::default() });
    }
    let policies = site.open();
    assert_eq!(policies.readiness(), [] as [String; 0]);
    policies.live()
}

fn rejecting() -> Guest {
    Guest::new("p").filter(&Bytes::default().byte(1).none_pair().byte(0).text("LD_PRELOAD is not allowed").none_pair())
}

fn dropping() -> Guest {
    Guest::new("p").filter(&rules(&[("A", 1, ""), ("B", 0, "")], true, "because"))
}

fn open() -> Guest {
    Guest::new("p").filter(&rules(&[], false, "all of them"))
}

fn failing() -> Guest {
    Guest::new("p").function("parameters", "filter", past_the_gates(LOOP, &Bytes::default()))
}

fn one(guest: Guest) -> Arc<Generation> {
    generation(&[("10-p.wasm", guest)])
}

/// Writes down what a generation decides.
fn record(generation: &Generation, asked: Asked) -> Record {
    let Answered { told, verdict, why } = generation.ask_again(&asked);
    Record { at: 7, generation: 1, asked, told, verdict, why, cut: false }
}

fn filter(sent: &[(&str, SentValue)]) -> Asked {
    Asked::Filter(job(sent))
}

fn sent() -> Asked {
    filter(&[("A", SentValue::Shown("s3cret".into())), ("B", SentValue::None)])
}

fn replay(records: &[Record], live: &Generation, candidate: &Generation) -> Replayed {
    let before = ask_live(live, records, 2, None);
    let after = ask_candidate(candidate, records, &before, 2, None);
    compare(records, &before, &after, &MANNER)
}

#[track_caller]
fn check(live: Guest, candidate: Guest, kind: Option<Kind>, text: &str) {
    let (live, candidate) = (one(live), one(candidate));
    let records = [record(&live, sent())];
    let replayed = replay(&records, &live, &candidate);
    let example = replayed.examples.first().map(|example| (example.kind, example.text.as_str()));
    assert_eq!(example, kind.map(|kind| (kind, text)), "{replayed:?}");
    assert_eq!(replayed.same, usize::from(kind.is_none()));
    assert!(!format!("{replayed:?}").contains("s3cret"));
}

#[test]
fn each_way_in_which_a_candidate_may_differ_is_told_from_the_others() {
    check(dropping(), dropping(), None, "");
    check(open(), dropping(), Some(Kind::Changed), "parameter \"A\": kept becomes dropped");
    check(open(), rejecting(), Some(Kind::Changed), "passed becomes rejected");
    check(dropping(), open(), Some(Kind::Loosened), "parameter \"A\" of lint, which is dropped, would pass");
    let built =
        "a job of lint on node n1, which is rejected, would be built (now: policy p: LD_PRELOAD is not allowed)";
    check(rejecting(), open(), Some(Kind::Loosened), built);
    let fails = "policy p fails: it ran out of fuel (policies.limits.fuel)";
    check(open(), failing(), Some(Kind::NewlyFailing), fails);
    check(failing(), failing(), None, "");
    let set = |value| Guest::new("p").filter(&rules(&[("A", 2, value)], false, "because"));
    check(set("x"), set("x"), None, "");
    check(set("x"), set("s3cret"), Some(Kind::Changed), "parameter \"A\" is set to another value");
    let left = "parameter \"A\" of lint, which a policy sets, would be left to the client";
    check(set("x"), open(), Some(Kind::Loosened), left);
}

#[test]
fn the_last_policy_that_is_taken_away_loosens_what_it_held_back() {
    let (live, nothing) = (one(rejecting()), generation(&[]));
    let records = [record(&live, sent())];
    assert_eq!(replay(&records, &live, &nothing).loosened, 1);
    // The first one that comes in loosens nothing.
    assert_eq!(replay(&records, &nothing, &live).changed, 1);
}

#[test]
fn what_is_in_force_counts_and_not_what_an_older_policy_decided() {
    let records = [record(&one(rejecting()), sent())];
    let live = one(open());
    assert_eq!(replay(&records, &live, &one(open())).same, 1);
    let records = [record(&live, sent())];
    assert_eq!(replay(&records, &one(rejecting()), &live).loosened, 1);
}

#[test]
fn a_question_with_a_value_that_was_not_kept_is_put_to_nobody_who_would_see_it() {
    let withheld = filter(&[("A", SentValue::Withheld), ("B", SentValue::Shown("x".into()))]);
    let (seeing, blind) = (one(dropping().needs_values()), one(dropping()));
    let records = [record(&seeing, withheld)];
    let replayed = replay(&records, &blind, &seeing);
    assert_eq!((replayed.not_replayable, &*replayed.examples[0].text), (1, "the value of A was not kept"));
    // The recorded verdict is that of the very policy in force.
    assert_eq!(replay(&records, &seeing, &blind).same, 1);
    assert_eq!(replay(&records, &seeing, &one(open())).loosened, 1);
    // And here it is that of another one.
    let other = one(dropping().needs_values().extra("(type $other u8)"));
    assert_eq!(replay(&records, &other, &one(open())).not_replayable, 1);
}

#[test]
fn a_policy_by_itself_is_held_against_what_it_decided_by_itself() {
    let both = generation(&[("10-p.wasm", dropping()), ("20-q.wasm", open())]);
    let alone = one(dropping());
    let records = [record(&alone, sent()), record(&both, sent())];
    let before = recorded_of("p", &records);
    let after = ask_candidate(&one(open()), &records, &before, 1, None);
    let replayed = compare(&records, &before, &after, &MANNER);
    assert_eq!((replayed.loosened, replayed.not_replayable), (1, 1));
    assert_eq!(replayed.example(Kind::NotReplayable).unwrap().text, "policy q had a say too, and it is not here");
}

#[test]
fn fuel_beyond_the_factor_is_slower_whatever_is_decided() {
    let thousands = |count: u32| {
        let answer = rules(&[], false, "all of them");
        let spin = format!(
            "(local $n i32) (local.set $n (i32.const {count})) \
             (loop (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))"
        );
        Guest::new("p").function("parameters", "filter", format!("{spin} {}", answer.code()))
    };
    let (quick, slow) = (one(thousands(10_000)), one(thousands(50_000)));
    let records = [record(&quick, sent())];
    let replayed = replay(&records, &quick, &slow);
    assert_eq!((replayed.same, replayed.slower, replayed.examples[0].kind), (1, 1, Kind::Slower));
    assert_eq!(replay(&records, &slow, &quick).slower, 0);
}

#[test]
fn what_there_was_no_time_for_is_counted() {
    let live = one(open());
    let records = vec![record(&live, sent()); 3];
    let now = Instant::now();
    let before = ask_live(&live, &records, 2, Some(now));
    assert_eq!(before, vec![None; 3]);
    let before = ask_live(&live, &records, 2, None);
    let after = ask_candidate(&live, &records, &before, 2, Some(now));
    assert_eq!(compare(&records, &before, &after, &MANNER).not_reached, 3);
}

#[test]
fn examples_are_few_and_the_worst_come_first() {
    let (live, candidate) = (one(dropping()), one(rejecting()));
    let records: Vec<Record> = (0..5).map(|_| record(&live, sent())).collect();
    let replayed = replay(&records, &live, &candidate);
    assert_eq!((replayed.changed, replayed.examples.len()), (5, 2));
    assert!(!replayed.is_same());
}

fn value() -> impl Strategy<Value = SentValue> {
    prop_oneof![
        Just(SentValue::None),
        Just(SentValue::Withheld),
        Just(SentValue::Sealed),
        "[a-c]{0,2}".prop_map(SentValue::Shown)
    ]
}

fn asked() -> impl Strategy<Value = Asked> {
    let sent = proptest::collection::btree_map("[A-D]", value(), 0..4);
    (sent, any::<bool>(), 0..3).prop_map(|(sent, client_asks_offline, call)| {
        let sent: Vec<(&str, SentValue)> = sent.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let asked = JobAsked { client_asks_offline, ..job(&sent) };
        match call {
            0 => Asked::Filter(asked),
            1 => Asked::BuildStarted(asked),
            _ => Asked::BuildEnded(asked, EndedSo { result: None, duration_ms: 1 }),
        }
    })
}

/// Policies of every kind, twice over.
fn twins() -> &'static [(Arc<Generation>, Arc<Generation>)] {
    static TWINS: OnceLock<Vec<(Arc<Generation>, Arc<Generation>)>> = OnceLock::new();
    let share = Bytes::default().byte(1).text("mine").none_pair();
    let online = Bytes::default().byte(1).none_pair().text("go on").none_pair();
    let set = || Guest::new("p").filter(&rules(&[("A", 2, "x"), ("B", 1, "")], false, "because"));
    TWINS.get_or_init(|| {
        let guests: [&dyn Fn() -> Guest; 6] = [
            &rejecting,
            &failing,
            &|| dropping().needs_values(),
            &set,
            &|| Guest::new("p").offline(&share, &online),
            &|| open().offline(&share, &online).needs_values(),
        ];
        guests.iter().map(|guest| (one(guest()), one(guest()))).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_candidate_that_is_what_is_in_force_changes_nothing(
        asked in proptest::collection::vec(asked(), 1..4), which in 0..6_usize, other in 0..6_usize
    ) {
        let (live, twin) = &twins()[which];
        let records: Vec<Record> = asked.into_iter().map(|asked| record(&twins()[other].0, asked)).collect();
        let replayed = replay(&records, live, twin);
        prop_assert_eq!(replayed.same + replayed.not_replayable, records.len(), "{:?}", replayed);
        prop_assert_eq!(replayed.slower, 0);
    }
}
