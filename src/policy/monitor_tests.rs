use std::time::Duration;

use super::super::config::{Config, Limits, Mode, SlotGuard};
use super::super::decision::tests::with_request;
use super::super::generation::Generation;
use super::super::guest::{Guest, LOOP, TRAP, named, past_the_gates, rules, satisfies, vetoes};
use super::super::pass::World;
use super::super::reload::Policies;
use super::super::samples::{controller, node, project};
use super::super::tally::Usage;
use super::*;
use crate::label::Expression;

/// One policy in force, if there is one, and one on trial that comes before it.
fn generation(in_force: Option<Guest>, on_trial: &Guest) -> Arc<Generation> {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::new(folder.path());
    config.limits = Limits { fuel: 3_000_000, ..Limits::default() };
    std::fs::write(folder.path().join("10-trial.wasm"), on_trial.build()).unwrap();
    config.slots.insert("trial".into(), SlotGuard { mode: Mode::Monitor, ..SlotGuard::default() });
    if let Some(guest) = in_force {
        std::fs::write(folder.path().join("20-rule.wasm"), guest.build()).unwrap();
    }
    let policies = Policies::open(config).unwrap();
    assert_eq!(policies.readiness(), [] as [String; 0]);
    policies.live()
}

impl Monitor {
    /// Waits until everything that was observed before has been looked at.
    fn settle(&self) {
        let (done, is_done) = mpsc::channel();
        assert!(self.observe(move || done.send(()).unwrap()));
        is_done.recv_timeout(Duration::from_secs(60)).unwrap();
    }
}

impl Generation {
    fn on_trial(&self, hook: Hook) -> Usage {
        self.monitor.settle();
        let slot = self.slots.iter().find(|slot| slot.mode == Mode::Monitor).unwrap();
        slot.usage().find(|usage| usage.hook == hook).unwrap()
    }
}

fn would_have(usage: &Usage) -> Vec<(&str, u64)> {
    usage.would_have.iter().filter(|(_, count)| **count > 0).map(|(what, count)| (what.as_str(), *count)).collect()
}

#[test]
fn nobody_waits_for_a_policy_on_trial() {
    let monitor = Monitor::start().unwrap();
    let (open, closed) = mpsc::channel::<()>();
    let (seen, sees) = mpsc::channel();
    // The thread is held up, so that all that follows has to wait or be skipped.
    monitor.observe(move || assert!(closed.recv().is_err()));
    let mut skipped = 0;
    for number in 0..WAITING * 2 {
        let seen = seen.clone();
        skipped += usize::from(!monitor.observe(move || seen.send(number).unwrap()));
    }
    drop((open, seen));
    let mut seen = Vec::new();
    while let Ok(number) = sees.recv_timeout(Duration::from_secs(20)) {
        seen.push(number);
    }
    assert!((WAITING - 1..=WAITING + 1).contains(&seen.len()), "{}", seen.len());
    assert_eq!(seen[..3], [0, 1, 2]);
    assert_eq!(seen.len() + skipped, WAITING * 2);
}

#[test]
fn a_filter_on_trial_is_held_against_those_in_force() {
    let in_force = || Guest::new("rule").filter(&rules(&[("A", 1, "")], false, "no A"));
    for (on_trial, expected) in [
        // Dropped already by the one in force.
        (rules(&[("A", 1, "")], false, ""), &[][..]),
        (rules(&[("A", 1, ""), ("B", 1, "")], false, ""), &[("drop", 1)]),
        (rules(&[], true, ""), &[("drop", 1)]),
        // It may not set anything, so that no build would be started.
        (rules(&[("B", 2, "hunter3")], false, ""), &[("fail", 1)]),
    ] {
        let generation = generation(Some(in_force()), &Guest::new("trial").filter(&on_trial));
        with_request(&[("A", "1"), ("B", "hunter2")], |request| generation.filter(request));
        let usage = generation.on_trial(Hook::Parameters);
        assert_eq!(would_have(&usage), expected);
        assert_eq!((usage.calls, usage.skipped), (1, 0));
        assert!(usage.examples.iter().all(|example| example.starts_with("lint on n1: ")), "{:?}", usage.examples);
        assert!(!format!("{usage:?}").contains("hunter"), "{usage:?}");
    }
}

#[test]
fn a_failure_on_trial_is_counted_under_its_class_and_only_there() {
    for (body, class) in [(TRAP, "trap"), (LOOP, "fuel")] {
        let answer = rules(&[], false, "");
        let guest = Guest::new("trial").function("parameters", "filter", past_the_gates(body, &answer));
        let generation = generation(None, &guest);
        with_request(&[("A", "1")], |request| generation.filter(request));
        let usage = generation.on_trial(Hook::Parameters);
        assert_eq!((usage.errors[class], usage.failed()), (1, 1));
        assert_eq!(would_have(&usage), [("fail", 1)]);
        assert_eq!(usage.fuel > 2_900_000, class == "fuel", "{}", usage.fuel);
        assert_eq!(generation.slots[0].health.failing("trial", false), None, "its failures are no news");
    }
}

#[test]
fn the_table_with_a_policy_on_trial_is_held_against_the_table_without_it() {
    let veto_gpu = Guest::new("trial").matching(&vetoes()).naming(&named(&["mine"]));
    let generation = generation(Some(Guest::new("rule").naming(&named(&["theirs"]))), &veto_gpu);
    let world = World { named_labels: ["gpu".to_owned()].into() };
    let gpu = Expression::lookup("gpu");
    let mut pass = generation.pass(&world);
    for (name, labels, classic) in [("n1", &["gpu"][..], true), ("n2", &["gpu"], true), ("n3", &[], false)] {
        let node = node(name, labels);
        let matched = pass.matches(&controller("ci"), &project("lint"), Some(&gpu), &node, classic).unwrap();
        assert_eq!(matched.matched, classic);
        let names = pass.names(&controller("ci"), &project("lint"), true, &node, &matched.atoms).unwrap();
        assert_eq!(names.owner.as_deref(), Some("rule"));
    }
    drop(pass);
    let matching = generation.on_trial(Hook::Matching);
    // Nodes that look alike are one question, and where nothing matched nothing is vetoed.
    assert_eq!((matching.calls, would_have(&matching)), (2, vec![("veto", 1)]));
    assert_eq!(matching.examples, ["lint on n1: would have vetoed it"]);
    // It comes first, and would own the names.
    assert_eq!(would_have(&generation.on_trial(Hook::Naming)), [("name", 2)]);
}

#[test]
fn a_match_that_only_a_policy_on_trial_makes_needs_its_grant_and_is_left_out_without() {
    let generation = generation(None, &Guest::new("trial").matching(&satisfies(&["gpu"])));
    let world = World { named_labels: ["gpu".to_owned()].into() };
    let gpu = Expression::lookup("gpu");
    let mut pass = generation.pass(&world);
    let matched = pass.matches(&controller("ci"), &project("lint"), Some(&gpu), &node("n1", &[]), false).unwrap();
    assert!(!matched.matched);
    drop(pass);
    let usage = generation.on_trial(Hook::Matching);
    assert_eq!((usage.verdicts["satisfies"], would_have(&usage)), (1, vec![]));
}

#[test]
fn while_a_pass_is_looked_at_the_next_ones_are_skipped() {
    let generation = generation(None, &Guest::new("trial").matching(&vetoes()));
    let world = World::default();
    let (open, closed) = mpsc::channel::<()>();
    generation.monitor.observe(move || assert!(closed.recv().is_err()));
    for _ in 0..3 {
        let mut pass = generation.pass(&world);
        pass.matches(&controller("ci"), &project("lint"), None, &node("n1", &[]), true).unwrap();
    }
    drop(open);
    let usage = generation.on_trial(Hook::Matching);
    assert_eq!((usage.calls, usage.skipped, would_have(&usage)), (1, 2, vec![("veto", 1)]));
    let mut pass = generation.pass(&world);
    pass.matches(&controller("ci"), &project("lint"), None, &node("n1", &[]), true).unwrap();
    drop(pass);
    assert_eq!(generation.on_trial(Hook::Matching).calls, 2);
}
