//! Anything at all as a policy: random bytes, good policies with bytes changed, random code behind the right interface,
//! and random answers in a guest's memory.
//!
//! Whatever it is, it ends in a verdict that is lawful or in an error that a person can read, and a good policy in the
//! same engine answers as before.

#[cfg(fuzzing)]
#[path = "fuzzing_code.rs"]
pub mod code;

use std::sync::OnceLock;

use wasmtime::Engine;

use super::call::{CallError, Instance};
use super::component::Module;
use super::config::Limits;
use super::engine;
use super::guest::{Guest, abstains, named, rules};
use super::laws;
use super::question::Ending;
use super::verdict::{Decision, EndAnswer, Explained, MatchingAnswer, NamingAnswer, ParametersAnswer};

/// Characters of a message that a person reads; what is quoted of a policy in it is cut.
const READABLE: usize = 2000;

/// Plays one input: the first byte says as what the others are taken.
pub fn play(input: &[u8]) {
    let Some((kind, rest)) = input.split_first() else { return };
    match kind % 4 {
        0 => try_file(rest),
        1 => try_file(&spoilt(rest)),
        // With the fuzzer alone: what makes random code would have the compiler of guests built twice for every test.
        #[cfg(fuzzing)]
        2 => try_file(&code::random_code(rest)),
        _ => ask_everything(answering(), &hexadecimal(&answer(rest))),
    }
    let mut good = Instance::start(good(), "{}", &limits()).expect("it started before");
    let verdict = good.names(&laws::naming()[0]).expect("it answered before");
    assert_eq!(verdict.answer.names.map(|names| names.len()), Some(1));
}

fn limits() -> Limits {
    Limits { fuel: 300_000, answer: 64 << 10, memory: 4 << 20, ..Limits::default() }
}

fn engine() -> &'static Engine {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    ENGINE.get_or_init(|| engine::start(&limits()).expect("an engine like any other"))
}

fn load(guest: &Guest) -> Module {
    Module::load(engine(), &guest.build(), &limits(), None).expect("a good guest")
}

fn good() -> &'static Module {
    static GOOD: OnceLock<Module> = OnceLock::new();
    GOOD.get_or_init(|| load(&Guest::new("good").naming(&named(&["good"]))))
}

fn try_file(bytes: &[u8]) {
    match Module::load(engine(), bytes, &limits(), None) {
        Ok(module) => {
            assert!(module.description.name.chars().count() <= READABLE);
            ask_everything(&module, "{}");
        }
        Err(error) => assert_readable(&error.to_string()),
    }
}

/// Takes a good policy and changes bytes in it, each by a place and a value; perhaps cuts it.
fn spoilt(input: &[u8]) -> Vec<u8> {
    static TEMPLATES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let templates = TEMPLATES.get_or_init(|| {
        let filter = rules(&[("VERSION", 2, "x")], true, "because");
        vec![everywhere(abstains().code().as_str()).build(), Guest::new("x").filter(&filter).needs_values().build()]
    });
    let (Some(which), changes) = (input.first(), input.get(1..).unwrap_or_default()) else { return Vec::new() };
    let mut bytes = templates[usize::from(*which) % templates.len()].clone();
    for change in changes.chunks_exact(3) {
        let place = usize::from(u16::from_le_bytes([change[0], change[1]])) % bytes.len();
        bytes[place] = change[2];
    }
    if which & 0x80 != 0 {
        bytes.truncate(bytes.len() * changes.len() / 256);
    }
    bytes
}

/// Answers at every hook by the same code.
fn everywhere(body: &str) -> Guest {
    Guest::new("all")
        .function("matching", "matches", body)
        .function("naming", "names", body)
        .function("parameters", "filter", body)
        .function("offline", "build-started", body)
        .function("offline", "build-ended", body)
}

/// Answers what its settings say, byte for byte: each byte as two letters from `a` to `p`.
fn answering() -> &'static Module {
    static ANSWERING: OnceLock<Module> = OnceLock::new();
    let letter = |offset: u32| {
        format!(
            "(i32.sub (i32.load8_u offset={offset} (i32.add (local.get 0) (i32.shl (local.get $i) (i32.const 1)))) (i32.const 97))"
        )
    };
    ANSWERING.get_or_init(|| {
        let configure = format!(
            "(local $i i32)
             (block (loop
               (br_if 1 (i32.ge_u (i32.shl (local.get $i) (i32.const 1)) (local.get 1)))
               (i32.store8 offset=0x1000 (local.get $i) (i32.or (i32.shl {} (i32.const 4)) {}))
               (local.set $i (i32.add (local.get $i) (i32.const 1)))
               (br 0)))
             (i32.const 0x800)",
            letter(0),
            letter(1)
        );
        load(&everywhere("(i32.const 0x1000)").configured_by(&configure))
    })
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [b'a' + (byte >> 4), b'a' + (byte & 15)]).map(char::from).collect()
}

/// Makes words of the input that look like an answer: cases, counts, places nearby; now and then anything at all.
fn answer(input: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for [kind, low, high] in input.as_chunks().0.iter().take(500) {
        let number = u32::from(u16::from_le_bytes([*low, *high]));
        let word = match kind % 6 {
            0 => 0,
            1 => number % 4,
            2 => 0x1000 + number % 256 * 4,
            3 => number % 64,
            4 => u32::from_le_bytes([b'a' + low % 26, b'a' + high % 26, b'z', b'_']),
            _ => u32::from_le_bytes([*low, *high, *low, *kind]),
        };
        bytes.extend(word.to_le_bytes());
    }
    bytes
}

fn ask_everything(module: &Module, settings: &str) {
    let start = || Instance::start(module, settings, &limits());
    for hook in &module.hooks {
        use super::component::Hook;
        match hook {
            Hook::Naming => {
                for question in laws::naming().iter().take(2) {
                    check(start().and_then(|mut instance| instance.names(question)), |answer: NamingAnswer| {
                        answer.lawful().expect("it was found lawful");
                    });
                }
            }
            Hook::Matching => {
                for question in laws::matching().iter().take(2) {
                    check(start().and_then(|mut instance| instance.matches(question)), |answer: MatchingAnswer| {
                        answer.lawful(&question.atoms).expect("it was found lawful");
                    });
                }
            }
            Hook::Parameters => {
                for question in laws::parameters().iter().take(2) {
                    check(start().and_then(|mut instance| instance.filter(question)), |answer: ParametersAnswer| {
                        let ParametersAnswer::Rules { named, .. } = answer else { return };
                        let size = |(name, decision): &(String, Decision)| match decision {
                            Decision::Set(value) => name.len() + value.len(),
                            Decision::Allow | Decision::Drop => name.len(),
                        };
                        assert!(named.iter().map(size).sum::<usize>() <= limits().answer);
                    });
                }
            }
            Hook::Offline => {
                for question in laws::offline().iter().take(2) {
                    check(start().and_then(|mut instance| instance.build_started(question)), |_| {});
                    let ending = Ending { result: None, duration_ms: 0 };
                    let ended = start().and_then(|mut instance| instance.build_ended(question, ending));
                    check(ended, |answer| {
                        if let EndAnswer::Offline(message) | EndAnswer::Held(message) = answer {
                            assert_readable(&message);
                        }
                    });
                }
            }
        }
    }
}

fn check<A>(answer: Result<Explained<A>, CallError>, lawful: impl FnOnce(A)) {
    match answer {
        Ok(Explained { answer, reason, trace }) => {
            assert_readable(&reason);
            assert!(trace.len() <= 64);
            trace.iter().for_each(|line| assert_readable(line));
            lawful(answer);
        }
        Err(error) => assert_readable(&error.to_string()),
    }
}

fn assert_readable(text: &str) {
    assert!(text.chars().count() <= READABLE, "{} characters", text.chars().count());
    assert!(!text.contains(char::is_control), "{text:?}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::guest::{Bytes, satisfies};

    use super::*;

    fn of_kind(kind: u8, bytes: &[u8]) -> Vec<u8> {
        [&[kind], bytes].concat()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_a_policy_or_a_readable_error(bytes in prop::collection::vec(any::<u8>(), 0..200), is_wasm: bool) {
            let head: &[u8] = if is_wasm { b"\0asm\x0d\0\x01\0" } else { b"" };
            play(&of_kind(0, &[head, &bytes].concat()));
        }

        #[test]
        fn a_good_policy_with_bytes_changed_is_one_or_a_readable_error(bytes in prop::collection::vec(any::<u8>(), 0..20)) {
            play(&of_kind(1, &bytes));
        }
    }

    proptest! {
        #[test]
        fn random_answers_are_lawful_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            play(&of_kind(3, &bytes));
        }
    }

    #[test]
    fn random_answers_are_lawful_now_and_then() {
        let mut lawful = 0;
        for seed in 0_u64..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let bytes: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(60).collect();
            let settings = hexadecimal(&answer(&bytes));
            let answer = Instance::start(answering(), &settings, &limits())
                .and_then(|mut instance| instance.filter(&laws::parameters()[0]));
            lawful += usize::from(answer.is_ok());
        }
        assert!(lawful >= 3, "{lawful} of 200 answers lawful");
    }

    #[test]
    fn what_a_guest_is_told_to_answer_is_what_it_answers() {
        let bytes = satisfies(&["gpu"]);
        let mut words = Vec::new();
        for (at, contents) in [
            (0_usize, b"\x02\0\0\0\x40\x10\0\0\x01\0\0\0".as_slice()),
            (0x40, b"\x60\x10\0\0\x03\0\0\0"),
            (0x60, b"gpu"),
        ] {
            words.resize(words.len().max(at + contents.len()), 0);
            words[at..at + contents.len()].copy_from_slice(contents);
        }
        let ask = |module: &Module, settings: &str| {
            let mut instance = Instance::start(module, settings, &limits()).unwrap();
            instance.matches(&laws::matching()[0]).unwrap().answer
        };
        let expected = ask(&load(&Guest::new("x").matching(&bytes)), "{}");
        assert_eq!(ask(answering(), &hexadecimal(&words)), expected);
        assert_eq!(Bytes::default().code(), "(i32.const 4096)", "where answers lie");
    }
}
