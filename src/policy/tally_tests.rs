use super::*;
use crate::domain::BuildFunction;

fn micro(microseconds: u64) -> Duration {
    Duration::from_micros(microseconds)
}

fn said<A>(answer: A) -> Explained<A> {
    Explained::new(answer, "because", vec![])
}

fn nonzero(counts: &BTreeMap<String, u64>) -> Vec<(&str, u64)> {
    counts.iter().filter(|(_, count)| **count > 0).map(|(word, count)| (word.as_str(), *count)).collect()
}

#[test]
fn every_answer_and_every_error_is_counted_under_a_word_of_its_hook() {
    let tally = Tally::default();
    let cost = Cost { time: micro(3), fuel: 10 };
    let alias = vec![BuildFunction::new("a", None)];
    for (names, aliases) in [(None, vec![]), (Some(vec![]), alias.clone()), (None, alias)] {
        tally.note(Ok(&said(NamingAnswer { names, aliases })), cost);
    }
    for answer in [MatchingAnswer::Abstain, MatchingAnswer::Veto, MatchingAnswer::Satisfies(["gpu".into()].into())] {
        tally.note(Ok(&said(answer)), cost);
    }
    for closed in [false, true] {
        tally.note(Ok(&said(ParametersAnswer::Rules { named: vec![], closed })), cost);
    }
    for answer in [ParametersAnswer::Abstain, ParametersAnswer::Reject] {
        tally.note(Ok(&said(answer)), cost);
    }
    for answer in [StartAnswer::Abstain, StartAnswer::Share, StartAnswer::Reserve] {
        tally.note(Ok(&said(answer)), cost);
    }
    for answer in [EndAnswer::Abstain, EndAnswer::Online, EndAnswer::Offline("m".into()), EndAnswer::Held("m".into())] {
        tally.note(Ok(&said(answer)), cost);
    }
    for error in [
        CallError::Trap("t".into()),
        CallError::Fuel,
        CallError::Deadline,
        CallError::Memory,
        CallError::Invalid("i".into()),
        CallError::Configure("c".into()),
    ] {
        tally.note::<MatchingAnswer>(Err(&error), cost);
    }
    for (hook, expected) in [
        (Hook::Naming, &[("abstain", 1), ("aliases", 1), ("names", 1)][..]),
        (Hook::Matching, &[("abstain", 1), ("satisfies", 1), ("veto", 1)]),
        (Hook::Parameters, &[("abstain", 1), ("closed", 1), ("open", 1), ("reject", 1)]),
        // Start and end of a build are one hook.
        (Hook::Offline, &[("abstain", 2), ("held", 1), ("offline", 1), ("online", 1), ("reserve", 1), ("share", 1)]),
    ] {
        let usage = tally.usage("p", hook, false);
        assert_eq!(nonzero(&usage.verdicts), expected);
        let answers: u64 = usage.verdicts.values().sum();
        assert_eq!(usage.calls, answers + usage.failed(), "{hook}");
        assert_eq!((usage.fuel, usage.nanoseconds), (10 * usage.calls, 3_000 * usage.calls));
    }
    let errors = tally.usage("p", Hook::Matching, false).errors;
    let each = [("configure", 1), ("deadline", 1), ("fuel", 1), ("invalid", 1), ("memory", 1), ("trap", 1)];
    assert_eq!(nonzero(&errors), each);
}

#[test]
fn words_are_there_before_they_are_said() {
    let usage = Tally::default().usage("p", Hook::Parameters, true);
    assert_eq!(usage.verdicts.len(), 4);
    assert_eq!(usage.errors.len(), FailureClass::ALL.len());
    assert_eq!(
        usage.would_have.keys().map(String::as_str).collect::<Vec<_>>(),
        ["drop", "fail", "pass", "reject", "set"]
    );
    assert_eq!((usage.p50_us, usage.p99_us), (None, None));
    assert!(Tally::default().usage("p", Hook::Parameters, false).would_have.is_empty());
    for hook in Hook::ALL {
        assert!(words(hook).len() <= MOST_WORDS && Would::of(hook).len() <= MOST_WORDS, "{hook}");
    }
}

#[test]
fn a_bound_belongs_to_what_is_below_it() {
    for (time, bound) in [
        (0, Some(1)),
        (1_000, Some(1)),
        (1_001, Some(2)),
        (3_000, Some(5)),
        (10_000_000_000, Some(10_000_000)),
        (10_000_000_001, None),
        (u64::MAX, None),
    ] {
        assert_eq!(BOUNDS_US.get(bucket(time)).copied(), bound, "{time} ns");
    }
    assert!(BOUNDS_US.is_sorted_by(|one, next| one < next));
}

#[test]
fn quantiles_lie_in_the_bucket_of_the_call_that_they_are_about() {
    for (times, p50, p99) in [
        (&[][..], None, None),
        (&[3], Some(4), Some(5)),
        (&[1, 1, 1, 1], Some(1), Some(1)),
        (&[4, 4, 4, 900], Some(4), Some(980)),
        (&[4, 80, 80, 80], Some(67), Some(100)),
        (&[20_000_000], Some(10_000_000), Some(10_000_000)),
    ] {
        let mut latency = vec![0; BOUNDS_US.len() + 1];
        for time in times {
            latency[bucket(time * 1000)] += 1;
        }
        assert_eq!((quantile(&latency, 50), quantile(&latency, 99)), (p50, p99), "{times:?}");
    }
}

#[test]
fn a_slot_s_counts_go_on_with_its_next_version_and_end_with_its_last() {
    let tallies = Tallies::default();
    let first = tallies.of("p");
    first.note_memo(Hook::Naming, 2, 1);
    let second = tallies.of("p");
    drop(first);
    second.note_memo(Hook::Naming, 3, 0);
    let usage = tallies.of("p").usage("p", Hook::Naming, false);
    assert_eq!((usage.memo_hits, usage.memo_misses), (5, 1));
    drop(second);
    assert_eq!(tallies.of("p").usage("p", Hook::Naming, false).memo_hits, 0);
    drop(tallies.of("another"));
    let _third = tallies.of("q");
    assert_eq!(tallies.0.lock().unwrap().len(), 1, "what is gone leaves nothing behind");
}

#[test]
fn of_what_would_have_been_changed_the_last_example_is_kept() {
    let tally = Tally::default();
    let drops = |of: &str| [Change { would: Would::Drop, of: of.to_owned() }];
    tally.note_trial(Hook::Parameters, &drops("A"), "lint on n1");
    tally.note_trial(Hook::Parameters, &drops("B"), "lint on n2");
    tally.note_skipped(Hook::Parameters, 4);
    let usage = tally.usage("p", Hook::Parameters, true);
    assert_eq!(nonzero(&usage.would_have), [("drop", 2)]);
    assert_eq!(usage.examples, ["lint on n2: would have dropped B"]);
    assert_eq!((usage.skipped, usage.calls), (4, 0));
}
