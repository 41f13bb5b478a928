use super::*;
use crate::policy::config::{Config, Grant, Limits, SlotGuard};
use crate::policy::guest::{Bytes, Guest, LOOP, past_the_gates, rules};
use crate::policy::reload::Policies;
use crate::policy::samples::{controller, node, project};

const START: &str = "build-started";
const END: &str = "build-ended";

pub(in crate::policy) fn generation(guest: &Guest, sidecar: Option<&str>, guard: SlotGuard) -> Arc<Generation> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("10-p.wasm"), guest.build()).unwrap();
    if let Some(sidecar) = sidecar {
        std::fs::write(folder.path().join("10-p.toml"), sidecar).unwrap();
    }
    let mut config = Config::new(folder.path());
    config.limits = Limits { fuel: 3_000_000, ..Limits::default() };
    config.slots.insert("p".into(), guard);
    let policies = Policies::open(config).unwrap();
    assert_eq!(policies.readiness(), [] as [String; 0]);
    policies.live()
}

fn granted(grants: &[Grant]) -> SlotGuard {
    SlotGuard { grants: grants.iter().copied().collect(), ..SlotGuard::default() }
}

pub(in crate::policy) fn with_request<R>(requested: &[(&str, &str)], test: impl FnOnce(&Request<'_>) -> R) -> R {
    let (controller, mut project, node) = (controller("ci"), project("lint"), node("n1", &["linux"]));
    let declare = |name: &str| crate::domain::DeclaredParameter { name: name.into(), kind: "String".into() };
    project.parameters = Some(requested.iter().map(|(name, _)| declare(name)).collect());
    let requested: Parameters = requested.iter().copied().collect();
    test(&Request {
        controller: &controller,
        project: &project,
        function: &FunctionName::new("build:lint:linux").unwrap(),
        label: Some("linux"),
        node: &node,
        named_labels: &BTreeSet::from(["linux".to_owned()]),
        requested: &requested,
        client_asks_offline: false,
    })
}

#[test]
fn a_filter_drops_and_says_why_without_the_values() {
    let guest = Guest::new("p").filter(&rules(&[("A", 1, ""), ("B", 0, "")], true, "hunter2 is not B")).needs_values();
    let generation = generation(&guest, None, granted(&[Grant::Values]));
    let filtered = with_request(&[("A", "hunter2"), ("B", "ok"), ("C", "x")], |request| generation.filter(request));
    let Filtered::Pass { parameters, dropped, .. } = filtered else { panic!("{filtered:?}") };
    assert_eq!(parameters.names().collect::<Vec<_>>(), ["B"]);
    assert_eq!(dropped[0], ("A".into(), "p: *** is not B".into()));
    assert_eq!(dropped[1], ("C".into(), "p: not allowed; *** is not B".into()));
}

#[test]
fn a_filter_that_fails_starts_no_build() {
    let generation = generation(
        &Guest::new("p").function("parameters", "filter", past_the_gates(LOOP, &Bytes::default())),
        None,
        granted(&[]),
    );
    let filtered = with_request(&[("A", "1")], |request| generation.filter(request));
    let Filtered::Failed { slot, reason } = filtered else { panic!("{filtered:?}") };
    assert_eq!(&*slot, "p");
    assert!(reason.contains("fuel"), "{reason}");
}

#[test]
fn a_policy_is_asked_only_where_it_is_bound() {
    let guest = Guest::new("p").function("parameters", "filter", past_the_gates(LOOP, &Bytes::default()));
    for (sidecar, is_asked) in [("[[bind]]\nlabels = ['linux']", true), ("[[bind]]\nlabels = ['windows']", false)] {
        let generation = generation(&guest, Some(sidecar), granted(&[]));
        let filtered = with_request(&[("A", "1")], |request| generation.filter(request));
        assert_eq!(matches!(filtered, Filtered::Failed { .. }), is_asked, "{sidecar}");
    }
}

#[test]
fn a_policy_with_several_bindings_is_several_slots() {
    let guest = Guest::new("p").function("parameters", "filter", past_the_gates(LOOP, &Bytes::default()));
    let sidecar = "[[bind]]\nlabels = ['windows']\n[[bind]]\nprojects = ['lint']";
    let generation = generation(&guest, Some(sidecar), granted(&[]));
    let filtered = with_request(&[], |request| generation.filter(request));
    let Filtered::Failed { slot, .. } = filtered else { panic!("{filtered:?}") };
    assert_eq!(&*slot, "p#2");
}

#[test]
fn a_single_use_policy_that_fails_uses_the_node_up_and_another_changes_nothing() {
    let failing = past_the_gates(LOOP, &Bytes::default());
    let guest = Guest::new("p").function("offline", START, failing.clone()).function("offline", END, failing);
    let outcome = Outcome { result: Some(BuildResult::Success), duration: Duration::from_secs(1) };
    let shared = generation(&guest, None, granted(&[]));
    with_request(&[], |request| {
        assert_eq!(shared.build_started(request), Start::Classic);
        assert_eq!(shared.build_ended(request, &outcome), End::Classic);
    });
    let single = generation(&guest, Some("[[bind]]\nsingle_use = true"), granted(&[]));
    with_request(&[], |request| {
        assert!(matches!(single.build_started(request), Start::Reserve { single_use: true, .. }));
        assert!(matches!(single.build_ended(request, &outcome), End::Offline { single_use: true, .. }));
    });
}

#[test]
fn the_end_of_a_build_is_answered_with_a_message_without_values() {
    let start = Bytes::default().byte(2).text("mine").none_pair();
    let end = Bytes::default().byte(3).text("look at s3cret").text("tainted").none_pair();
    let guest = Guest::new("p").offline(&start, &end).needs_values();
    let generation = generation(&guest, None, granted(&[Grant::Values]));
    let outcome = Outcome { result: None, duration: Duration::MAX };
    with_request(&[("A", "s3cret")], |request| {
        let started = generation.build_started(request);
        assert_eq!(started, Start::Reserve { slot: "p".into(), reason: "mine".into(), single_use: false });
        let End::Held { message, reason, .. } = generation.build_ended(request, &outcome) else { panic!() };
        assert_eq!((message.as_str(), reason.as_str()), ("look at ***", "tainted"));
    });
}

#[test]
fn a_filter_on_trial_is_never_felt() {
    let guest = Guest::new("p").function("parameters", "filter", past_the_gates(LOOP, &Bytes::default()));
    let generation = generation(&guest, None, SlotGuard { mode: Mode::Monitor, ..SlotGuard::default() });
    let filtered = with_request(&[("A", "1")], |request| generation.filter(request));
    assert!(matches!(filtered, Filtered::Pass { .. }), "{filtered:?}");
}
