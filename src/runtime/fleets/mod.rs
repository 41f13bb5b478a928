//! Random fleets and random orders of events: what the servers have been told always equals what the plugin's rules
//! give when they are worked out from nothing.
//!
//! The runtime carries much from one event to the next: the last snapshot, the last table, what each connection
//! offers, its lease, its job. Here all of that runs as it does in the reconciler, down to the packets of each session,
//! and a ledger that knows only packets is held against the oracle after every event.

mod ledger;
mod model;
mod oracle;
mod play;

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
fn the_oracle_walks_as_jenkins_does() {
    let walked = oracle::walk(&["zoo/a", "beta", "appa", "app/zoo", "app/Sub/z", "app/a", "app-x", "app", "Alpha"]);
    assert_eq!(walked, ["Alpha", "app", "app-x", "app/a", "app/Sub/z", "app/zoo", "appa", "beta", "zoo/a"]);
}
