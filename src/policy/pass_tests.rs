use super::*;
use crate::policy::config::{Config, Grant, Limits, SlotGuard};
use crate::policy::guest::{Guest, LOOP, abstains, named, past_the_gates, satisfies, vetoes};
use crate::policy::reload::Policies;
use crate::policy::samples::{controller, node, project};
use crate::policy::seat::MOST_FAILURES;

fn generation(guests: &[(&str, &Guest)], guard: impl Fn(&mut SlotGuard)) -> Arc<Generation> {
    let folder = tempfile::tempdir().unwrap();
    let mut config = Config::new(folder.path());
    config.limits = Limits { fuel: 3_000_000, ..Limits::default() };
    for (file, guest) in guests {
        std::fs::write(folder.path().join(format!("{file}.wasm")), guest.build()).unwrap();
        let mut guarded = SlotGuard::default();
        guard(&mut guarded);
        config.slots.insert(crate::policy::folder::name_of(file).to_owned(), guarded);
    }
    let policies = Policies::open(config).unwrap();
    assert_eq!(policies.readiness(), [] as [String; 0]);
    policies.live()
}

fn world(labels: &[&str]) -> World {
    World { named_labels: labels.iter().map(|&label| label.to_owned()).collect() }
}

#[test]
fn a_pass_without_policies_is_the_classic_answer() {
    let generation = generation(&[], |_| {});
    let world = world(&["gpu"]);
    let mut pass = generation.pass(&world);
    let gpu = Expression::lookup("gpu");
    let node = node("n1", &["gpu"]);
    let matched = pass.matches(&controller("ci"), &project("lint"), Some(&gpu), &node, true).unwrap();
    assert!(matched.matched);
    assert_eq!(matched.atoms, BTreeSet::from(["gpu".to_owned()]));
    assert_eq!(pass.names(&controller("ci"), &project("lint"), true, &node, &matched.atoms), Ok(Names::default()));
    assert!(pass.seats.is_empty());
}

#[test]
fn nodes_that_look_alike_are_decided_once() {
    let generation = generation(&[("10-veto", &Guest::new("veto").matching(&vetoes()))], |_| {});
    let world = world(&["gpu", "n3"]);
    let mut pass = generation.pass(&world);
    let gpu = Expression::lookup("gpu");
    for name in ["n1", "n2", "n3"] {
        for project_name in ["lint", "build"] {
            let (project, node) = (project(project_name), node(name, &["gpu"]));
            let matched = pass.matches(&controller("ci"), &project, Some(&gpu), &node, true).unwrap();
            assert_eq!(matched.veto.unwrap().reason.as_ref(), "not here");
        }
    }
    // Some expression names n3, so that one is a class of its own; projects are not shown to this policy.
    assert_eq!(pass.seats[0].matching.len(), 2);
}

#[test]
fn a_widened_match_goes_on_to_the_names() {
    let guests = [
        ("10-hier", &Guest::new("hier").matching(&satisfies(&["gpu"]))),
        ("20-names", &Guest::new("names").naming(&named(&["team.lint"]))),
    ];
    let generation = generation(&guests, |guard| guard.grants = [Grant::Widen].into());
    let world = world(&["gpu"]);
    let mut pass = generation.pass(&world);
    let (project, node) = (project("team/lint"), node("n1", &[]));
    let gpu = Expression::lookup("gpu");
    let matched = pass.matches(&controller("ci"), &project, Some(&gpu), &node, false).unwrap();
    assert!(matched.matched && matched.widened, "{matched:?}");
    let names = pass.names(&controller("ci"), &project, true, &node, &matched.atoms).unwrap();
    assert_eq!(names.owner.as_deref(), Some("names"));
    assert_eq!(names.names.unwrap()[0].project, "team.lint");
}

#[test]
fn a_policy_that_loops_is_given_up_for_the_rest_of_the_pass() {
    let looping = Guest::new("loop").function("matching", "matches", past_the_gates(LOOP, &abstains()));
    let generation = generation(&[("10-loop", &looping)], |_| {});
    let world = world(&["a", "b", "c", "d", "e", "f"]);
    let mut pass = generation.pass(&world);
    for label in ["a", "b", "c", "d", "e", "f"] {
        let expression = Expression::lookup(label);
        let undecided = pass.matches(&controller("ci"), &project("lint"), Some(&expression), &node("n1", &[]), true);
        assert!(undecided.unwrap_err().error.contains("fuel"));
    }
    assert_eq!(pass.seats[0].failures, MOST_FAILURES);
}

#[test]
fn what_only_a_used_instance_gets_wrong_is_asked_of_a_fresh_one() {
    // Answers the first question of its life and traps at the second.
    let once = "(if (i32.load (i32.const 0x4000)) (then unreachable)) (i32.store (i32.const 0x4000) (i32.const 1))";
    let once = past_the_gates(once, &abstains());
    let generation = generation(&[("10-once", &Guest::new("once").function("matching", "matches", once))], |_| {});
    let world = world(&["a", "b"]);
    let mut pass = generation.pass(&world);
    for label in ["a", "b"] {
        let expression = Expression::lookup(label);
        let matched = pass.matches(&controller("ci"), &project("lint"), Some(&expression), &node("n1", &[]), true);
        assert!(matched.unwrap().matched);
    }
    assert_eq!(pass.seats[0].failures, 0);
}

#[test]
fn a_policy_on_trial_is_never_felt() {
    let looping = Guest::new("loop").function("matching", "matches", past_the_gates(LOOP, &abstains()));
    let vetoing = Guest::new("veto").matching(&vetoes());
    let generation = generation(&[("10-loop", &looping), ("20-veto", &vetoing)], |guard| guard.mode = Mode::Monitor);
    let world = world(&["a"]);
    let mut pass = generation.pass(&world);
    let expression = Expression::lookup("a");
    for _ in 0..2 {
        let node = node("n1", &["a"]);
        let matched = pass.matches(&controller("ci"), &project("lint"), Some(&expression), &node, true).unwrap();
        assert!(matched.matched);
        assert!(matched.reasons.is_empty());
    }
    assert_eq!(pass.seats.iter().map(|seat| seat.on_trial.matching.len()).collect::<Vec<_>>(), [1, 1]);
}
