//! Hostile files and hostile guests: each ends in an error of its own kind, and the next one runs.

use std::time::Duration;

use super::super::engine;
use super::super::guest::{Bytes, Guest, LOOP, TRAP, abstains, satisfies, vetoes};
use super::super::question::{MatchingQuestion, NodeClass};
use super::super::verdict::MatchingAnswer;
use super::*;
use crate::domain::ProjectKind;

fn limits() -> Limits {
    Limits { fuel: 5_000_000, answer: 10_000, ..Limits::default() }
}

fn load(bytes: &[u8]) -> Result<Module, LoadError> {
    Module::load(&engine::start(&limits()).unwrap(), bytes, &limits(), None)
}

fn question() -> MatchingQuestion {
    MatchingQuestion {
        controller: "ci".into(),
        project: None,
        kind: ProjectKind::Freestyle,
        expression: Some("gpu && linux".into()),
        atoms: vec!["gpu".into(), "linux".into()],
        node: NodeClass { built_in: false, exclusive: false, name: None, labels: vec!["linux".into()] },
        classic: false,
    }
}

#[track_caller]
fn ask(guest: &Guest, limits: &Limits) -> Result<MatchingAnswer, CallError> {
    let module = Module::load(&engine::start(limits).unwrap(), &guest.build(), limits, None).unwrap();
    Instance::start(&module, "{}", limits)?.matches(&question()).map(|verdict| verdict.answer)
}

#[test]
fn a_good_guest_is_described_and_answers() {
    let module = load(&Guest::new("hier").matching(&satisfies(&["gpu"])).build()).unwrap();
    assert_eq!(module.hooks, [Hook::Matching].into());
    assert_eq!((module.description.name.as_str(), module.description.version.as_str()), ("hier", "1.0"));
    let mut instance = Instance::start(&module, r#"{"a":1}"#, &limits()).unwrap();
    for _ in 0..3 {
        let verdict = instance.matches(&question()).unwrap();
        assert_eq!(verdict.answer, MatchingAnswer::Satisfies(["gpu".to_owned()].into()));
        assert_eq!(&*verdict.reason, "why");
    }
}

#[test]
fn a_file_that_is_no_policy_is_refused_with_what_to_do() {
    let good = Guest::new("p").matching(&abstains());
    let wasi = r#"(import "wasi:cli/environment@0.2.0" (instance)) (import "wasi:io/streams@0.2.0" (instance))"#;
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (vec![], "rename"),
        (b"(component)".to_vec(), "wasm-tools parse"),
        (b"GIF89a".to_vec(), "not WebAssembly"),
        (b"\0as".to_vec(), "not WebAssembly"),
        (wat::parse_str("(module)").unwrap(), "wasm-tools component new"),
        (good.build()[..200].to_vec(), "still being copied"),
        ([good.build(), b"trailing".to_vec()].concat(), "cannot be compiled"),
        (vec![0; 33 << 20], "policies.limits.max_module"),
        (
            Guest::new("p").matching(&abstains()).extra(wasi).build(),
            "wasi:cli/environment@0.2.0, wasi:io/streams@0.2.0",
        ),
        (Guest::new("p").build(), "none of the hooks"),
        (wat::parse_str("(component)").unwrap(), "policy/meta"),
        (Guest::new("p").matching(&abstains()).anonymous().build(), "policy/meta"),
        (Guest::new("p").matching(&abstains()).function("namings", "x", TRAP).build(), "layshaft:policy/namings@0.1.0"),
        (Guest::new("p").matching(&abstains()).version("0.2.0").build(), "@0.2.0"),
        (Guest::new("p").matching(&abstains()).version("").build(), "does not know"),
        (Guest::new("p").function("naming-mistyped", "names", TRAP).build(), "type mismatch"),
        (Guest::new("p").matching(&abstains()).memory_pages(2000).build(), "memory"),
    ];
    for (bytes, part) in cases {
        let error = load(&bytes).unwrap_err().to_string();
        assert!(error.contains(part), "{part:?} is not in {error:?}");
    }
}

#[test]
fn a_later_version_of_the_same_contract_is_taken() {
    assert!(load(&Guest::new("p").matching(&abstains()).version("0.1.7").build()).is_ok());
}

#[test]
fn a_newer_version_may_stand_beside_one_that_is_known_and_not_in_its_place() {
    let newer = |interface: &str| {
        let export = format!(r#"(instance $newer) (export "layshaft:policy/{interface}@0.2.0" (instance $newer))"#);
        load(&Guest::new("p").matching(&abstains()).extra(&export).build())
    };
    assert_eq!(newer("matching").unwrap().hooks, [Hook::Matching].into());
    assert!(newer("naming").unwrap_err().to_string().contains("layshaft:policy/naming@0.2.0"));
}

#[test]
fn a_file_that_compiles_for_too_long_is_not_waited_for() {
    let limits = Limits { compile_timeout: Duration::ZERO, ..limits() };
    let bytes = Guest::new("p").matching(&abstains()).build();
    let error = Module::load(&engine::start(&limits).unwrap(), &bytes, &limits, None).unwrap_err();
    assert!(matches!(error, LoadError::CompileTimeout(_)), "{error}");
}

#[test]
fn each_way_to_fail_has_its_own_name() {
    let matches = |body: &str| Guest::new("p").function("matching", "matches", body);
    let greedy = "(if (i32.eq (memory.grow (i32.const 5000)) (i32.const -1)) (then unreachable)) (i32.const 0)";
    let cases = [
        (matches(LOOP), CallError::Fuel),
        (matches(greedy), CallError::Memory),
        (
            Guest::new("p").matching(&vetoes()).refusing_settings("no such key"),
            CallError::Configure("no such key".into()),
        ),
        (Guest::new("p").matching(&vetoes()).configured_by(LOOP), CallError::Fuel),
    ];
    for (guest, expected) in cases {
        assert_eq!(ask(&guest, &limits()), Err(expected));
    }
    let traps =
        [TRAP, "(i32.div_u (i32.const 1) (i32.const 0))", "(i32.load (i32.const -4))", "(call 3 (i32.const 0))"];
    for body in traps {
        let error = ask(&matches(body), &limits()).unwrap_err();
        assert!(matches!(error, CallError::Trap(_)), "{body}: {error:?}");
    }
}

#[test]
fn the_deadline_holds_where_fuel_does_not() {
    let limits = Limits { fuel: u64::MAX, deadline: Duration::from_millis(50), ..limits() };
    let guest = Guest::new("p").function("matching", "matches", LOOP);
    assert_eq!(ask(&guest, &limits), Err(CallError::Deadline));
}

#[test]
fn an_answer_that_cannot_be_right_is_invalid() {
    let reason = |bytes: Bytes| bytes.none_pair();
    let answers = [
        ("huge", reason(Bytes::default().byte(0).none_pair().pair(0x2000, 500_000))),
        ("long list", Bytes::default().byte(2).pair(0x2000, 100_000).text("").none_pair()),
        ("not UTF-8", reason(Bytes::default().byte(0).none_pair().raw_text(&[0xff, 0xfe]))),
        ("out of bounds", reason(Bytes::default().byte(0).none_pair().pair(0xffff_fff0, 100))),
        ("no such case", reason(Bytes::default().byte(9).none_pair().text("x"))),
        ("atom not asked for", satisfies(&["windows"])),
    ];
    for (what, answer) in answers {
        let error = ask(&Guest::new("p").matching(&answer), &limits()).unwrap_err();
        assert!(matches!(error, CallError::Invalid(_) | CallError::Trap(_)), "{what}: {error:?}");
    }
    let wild = Guest::new("p").function("matching", "matches", "(i32.const -16)");
    assert!(ask(&wild, &limits()).is_err());
}

#[test]
fn a_question_gets_the_same_fuel_on_a_fresh_and_on_a_used_instance() {
    let module = load(&Guest::new("p").matching(&vetoes()).build()).unwrap();
    let mut instance = Instance::start(&module, "{}", &limits()).unwrap();
    let mut left = || {
        instance.matches(&question()).unwrap();
        instance.fuel_left()
    };
    assert_eq!(left(), left());
}

#[test]
fn a_guest_that_starts_too_big_is_told_about_memory() {
    let guest = Guest::new("p").matching(&abstains()).memory_pages(2000).build();
    let error = load(&guest).unwrap_err().to_string();
    assert!(error.contains("policies.limits.memory") && !error.contains("copied"), "{error}");
}
