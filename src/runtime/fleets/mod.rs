//! Random fleets and random orders of events: what the servers have been told always equals what the plugin's rules
//! give when they are worked out from nothing.
//!
//! The runtime carries much from one event to the next: the last snapshot, the last table, what each connection
//! offers, its lease, its job. Here all of that runs as it does in the reconciler, down to the packets of each session,
//! and a ledger that knows only packets is held against the oracle after every event.

mod by_policy;
mod ledger;
mod model;
mod oracle;
mod play;

use std::collections::BTreeSet;

use proptest::prelude::*;

use play::Play;

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn what_the_servers_know_is_what_the_rules_give_whatever_happened_before(
        fleet in any::<u64>(),
        events in prop::collection::vec(any::<u64>(), 1..40),
    ) {
        let mut play = Play::new(fleet);
        play.check();
        for event in events {
            play.happen(event);
            play.check();
        }
    }
}

#[test]
fn stories_of_random_fleets_are_about_what_matters() {
    let mut seen = BTreeSet::new();
    for story in 0..96 {
        let mut play = Play::new(story);
        play.check();
        for event in 0..40 {
            play.happen(story * 1000 + event);
            play.check();
        }
        seen.extend(play.seen);
    }
    let expected = [
        "a build that runs elsewhere",
        "a contested name with its incumbent",
        "a contested name with the last one walked",
        "a function that only its running job keeps",
        "a job whose node offers nothing any more",
        "a project that is held back",
        "slots of pipelines",
    ];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn the_oracle_walks_as_jenkins_does() {
    let walked = oracle::walk(&["zoo/a", "beta", "appa", "app/zoo", "app/Sub/z", "app/a", "app-x", "app", "Alpha"]);
    assert_eq!(walked, ["Alpha", "app", "app-x", "app/a", "app/Sub/z", "app/zoo", "appa", "beta", "zoo/a"]);
}
