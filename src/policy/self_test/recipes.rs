//! What the modules of the kit are made of. They are committed as they came out, so that every machine tries the same
//! bytes and no program needs a compiler of WebAssembly text: `UPDATE_EXPECT=1 cargo test recipes` writes them anew.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::super::guest::{Bytes, Guest, LOOP, TRAP, abstains, named, past_the_gates, rules, satisfies, vetoes};
use super::modules::modules;

/// Grows its memory until it gets no more.
const GROW_ALL: &str = "(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable";
/// The same with a table, which comes with [`TABLE`].
const GROW_TABLE: &str =
    "(loop (br_if 0 (i32.ne (table.grow $t (ref.null func) (i32.const 64)) (i32.const -1)))) unreachable";
const TABLE: &str = "(table $t 1 funcref)";
/// Calls the first hook's function, which is the fourth of all, within itself.
const RECURSE: &str = "(drop (call 3 (local.get 0)))";
/// Few instructions, much work.
const FILL: &str = "(loop (memory.fill (i32.const 0x20000) (i32.const 1) (i32.const 0x80000)) br 0) unreachable";
/// Where memory is zero to its end; text of control characters, if it is read as such.
const ZEROS: u32 = 0x80000;
const COUNT: &str = "(i32.store (i32.const 0x4000) (i32.add (i32.load (i32.const 0x4000)) (i32.const 1)))";

fn recipes() -> Vec<(&'static str, Guest)> {
    let plain = || Guest::new("kit");
    let matches = |body: &str| plain().function("matching", "matches", body);
    let naming = |answer: &Bytes| plain().naming(answer);
    let abstaining = || plain().matching(&abstains());
    let is_second = "(i32.gt_u (i32.load (i32.const 0x4000)) (i32.const 1))";
    vec![
        ("witness", witness()),
        ("last-good", plain().naming(&named(&["good"]))),
        // Interface.
        ("imports-wasi", abstaining().extra(r#"(import "wasi:clocks/monotonic-clock@0.2.0" (instance))"#)),
        ("imports-a-log", abstaining().extra(r#"(import "log" (func (param "line" string)))"#)),
        ("imports-hundreds", abstaining().extra(&repeated(900, |n| format!("(import \"a:b/c{n}\" (instance))")))),
        ("unknown-hook", abstaining().function("namings", "names", TRAP)),
        ("next-version", abstaining().version("0.2.0")),
        ("no-version", abstaining().version("")),
        ("later-version", abstaining().version("0.1.9")),
        ("wrong-types", plain().function("naming-mistyped", "names", TRAP)),
        ("no-meta", abstaining().anonymous()),
        ("no-hook", plain()),
        ("starts-with-4-gb", abstaining().memory_pages(65_535)),
        ("starts-with-a-huge-table", abstaining().core("(table 100000 funcref)")),
        ("nine-memories", abstaining().core(&repeated(8, |_| "(memory 1)".into()))),
        (
            "two-hundred-instances",
            abstaining()
                .extra(&format!("(core module $e) {}", repeated(200, |_| "(core instance (instantiate $e))".into()))),
        ),
        ("start-loops", abstaining().core("(func $s (loop br 0)) (start $s)")),
        ("start-traps", abstaining().core("(func $s unreachable) (start $s)")),
        ("describe-loops", abstaining().describing(LOOP)),
        ("describe-traps", abstaining().describing(TRAP)),
        ("describe-recurses", abstaining().describing("(call 1)")),
        ("describe-is-huge", abstaining().describing(&described("(i32.const 0x80000)", "(i32.const 500000)"))),
        ("describe-points-nowhere", abstaining().describing(&described("(i32.const -16)", "(i32.const 100)"))),
        (
            "needs-a-bad-glob",
            abstaining()
                .needing(&Bytes::default().byte(0).list(&["["], |bytes, glob| bytes.text(glob)).byte(0).none_pair()),
        ),
        ("needs-no-such-case", abstaining().needing(&Bytes::default().byte(0).none_pair().byte(9).none_pair())),
        (
            "many-functions",
            abstaining().core(&repeated(10_000, |n| {
                format!("(func (param i32) (result i32) (i32.mul (local.get 0) (i32.const {n})))")
            })),
        ),
        ("deep-blocks", abstaining().core(&format!("(func {} {})", "block ".repeat(20_000), "end ".repeat(20_000)))),
        (
            "doubling-types",
            abstaining().extra(&format!(
                "(type $t0 u8) {}",
                repeated(40, |n| format!("(type $t{} (tuple $t{n} $t{n}))", n + 1))
            )),
        ),
        // Settings.
        ("configure-loops", abstaining().configured_by(LOOP)),
        ("configure-traps", abstaining().configured_by(TRAP)),
        ("configure-grows", abstaining().configured_by(GROW_ALL)),
        ("configure-refuses", abstaining().refusing_settings("say \u{1b}[2J which")),
        (
            "configure-refuses-at-length",
            abstaining().configured_by(&Bytes::default().byte(1).pair(ZEROS, 200_000).code()),
        ),
        ("realloc-points-nowhere", abstaining().reallocating("(i32.const -8)")),
        ("realloc-loops", abstaining().reallocating(LOOP)),
        ("realloc-traps", abstaining().reallocating(TRAP)),
        // Laws.
        ("loops", matches(LOOP)),
        ("recurses", matches("(call 3 (local.get 0))")),
        ("grows-memory", matches(GROW_ALL)),
        ("grows-a-table", matches(GROW_TABLE).core(TABLE)),
        ("fills-memory", matches(FILL)),
        ("traps", matches(TRAP)),
        ("divides-by-zero", matches("(i32.div_u (i32.const 1) (i32.const 0))")),
        ("reads-out-of-bounds", matches("(i32.load (i32.const -4))")),
        ("realloc-is-misaligned", abstaining().reallocating("(i32.const 0x10001)")),
        (
            "traps-the-second-time",
            matches(&format!("{COUNT} (if {is_second} (then unreachable)) {}", abstains().code())),
        ),
        (
            "answers-by-count",
            matches(&format!("{COUNT} (i32.store (i32.const 0x4100) {is_second}) (i32.const 0x4100)")),
        ),
        ("invalid-utf-8", plain().matching(&Bytes::default().byte(0).none_pair().raw_text(b"\xff\xfe").none_pair())),
        (
            "list-out-of-bounds",
            plain().matching(&Bytes::default().byte(2).pair(0xffff_fff0, 100).none_pair().none_pair()),
        ),
        ("list-misaligned", plain().matching(&Bytes::default().byte(2).pair(0x10001, 3).none_pair().none_pair())),
        ("answer-out-of-bounds", matches("(i32.const -16)")),
        ("answer-misaligned", matches("(i32.const 0x1001)")),
        ("no-such-case", plain().matching(&Bytes::default().byte(9).none_pair().none_pair().none_pair())),
        ("huge-reason", plain().matching(&Bytes::default().byte(0).none_pair().pair(ZEROS, 500_000).none_pair())),
        ("gigabytes-out-of-one", matches(&amplified())),
        ("atom-not-asked-for", plain().matching(&satisfies(&["no-such-label"]))),
        ("name-empty", naming(&named(&[""]))),
        ("name-with-white-space", naming(&named(&["two words"]))),
        ("name-with-control-characters", naming(&named(&["a\u{1b}[2J"]))),
        ("name-with-nul", naming(&named(&["a\0b"]))),
        ("name-too-long", naming(&named(&["x".repeat(512).as_str()]))),
        (
            "name-huge",
            naming(
                &Bytes::default()
                    .byte(1)
                    .list(&[()], |bytes, ()| bytes.pair(ZEROS, 200_000).byte(0).none_pair())
                    .none_pair()
                    .none_pair()
                    .none_pair(),
            ),
        ),
        ("names-too-many", naming(&named(&["x"; 65]))),
        (
            "label-with-white-space",
            naming(
                &Bytes::default()
                    .byte(1)
                    .list(&["x"], |bytes, name| bytes.text(name).byte(1).text("a b"))
                    .none_pair()
                    .text("")
                    .none_pair(),
            ),
        ),
        // In force, and hostile only to a real site.
        ("sly-loops", sly(LOOP)),
        ("sly-recurses", sly(RECURSE)),
        ("sly-grows-memory", sly(GROW_ALL)),
        ("sly-grows-a-table", sly(GROW_TABLE).core(TABLE)),
        ("sly-fills-memory", sly(FILL)),
        ("sly-traps", sly(TRAP)),
        ("sly-answer-out-of-bounds", sly("(return (i32.const -16))")),
        (
            "sly-offline",
            plain().function("offline", "build-started", past_the_gates(LOOP, &started(0, ""))).function(
                "offline",
                "build-ended",
                past_the_gates(LOOP, &ended(0, "", "")),
            ),
        ),
        (
            "sly-name",
            plain().function(
                "naming",
                "names",
                past_the_gates(&format!("(return {})", last_value(&named(&["two words"]))), &unnamed()),
            ),
        ),
        (
            "sly-atom",
            matches(&past_the_gates(&format!("(return {})", last_value(&satisfies(&["no-such-label"]))), &abstains())),
        ),
        // Lawful.
        ("names-a-management-function", naming(&named(&["stop:ci"]))),
        ("names-with-a-colon", naming(&named(&["a:b"]))),
        ("takes-anothers-name", naming(&named(&["witness"]))),
        (
            "turns-after-fifty",
            plain().function(
                "parameters",
                "filter",
                format!(
                    "{COUNT} (i32.store (i32.const 0x4100) (i32.gt_u (i32.load (i32.const 0x4000)) (i32.const 50))) \
                     (i32.const 0x4100)"
                ),
            ),
        ),
        ("sets-without-grant", plain().filter(&rules(&[("VERSION", 2, "evil")], false, ""))),
        ("drops-what-nobody-sent", plain().filter(&rules(&[("NOBODY", 1, "")], false, ""))),
        ("widens-without-grant", plain().matching(&satisfies(&["gpu"]))),
        ("vetoes", plain().matching(&vetoes())),
        (
            "long-message",
            plain().offline(&started(0, ""), &Bytes::default().byte(2).pair(ZEROS, 5000).none_pair().none_pair()),
        ),
        (
            "reason-with-escapes",
            plain().filter(
                &Bytes::default().byte(1).none_pair().byte(0).text("no\u{1b}[2J\nlayshaft: all is well").none_pair(),
            ),
        ),
        ("long-reason", plain().filter(&Bytes::default().byte(1).none_pair().byte(0).pair(ZEROS, 5000).none_pair())),
        ("realloc-repeats-itself", abstaining().reallocating("(i32.const 0x10000)")),
        ("asks-for-everything", abstaining().needs_values()),
    ]
}

/// Answers at every hook, each time the same.
fn witness() -> Guest {
    Guest::new("witness")
        .matching(&abstains())
        .naming(&named(&["witness"]))
        .filter(&rules(&[("DROPPED", 1, "")], false, ""))
        .offline(&started(2, "witness"), &ended(2, "witness", "witness"))
}

/// Abstains from all that the gates ask, and does something else when asked about a real site.
fn sly(body: &str) -> Guest {
    Guest::new("kit")
        .function("matching", "matches", past_the_gates(body, &abstains()))
        .function("naming", "names", past_the_gates(body, &unnamed()))
        .function("parameters", "filter", past_the_gates(body, &unfiltered()))
        .function("offline", "build-started", past_the_gates(body, &started(0, "")))
        .function("offline", "build-ended", past_the_gates(body, &ended(0, "", "")))
}

fn unnamed() -> Bytes {
    Bytes::default().byte(0).none_pair().none_pair().text("").none_pair()
}

fn unfiltered() -> Bytes {
    Bytes::default().byte(0).none_pair().byte(0).text("").none_pair()
}

fn started(answer: u8, reason: &str) -> Bytes {
    Bytes::default().byte(answer).text(reason).none_pair()
}

fn ended(answer: u8, message: &str, reason: &str) -> Bytes {
    Bytes::default().byte(answer).text(message).text(reason).none_pair()
}

/// The code of an answer as the operand of `return`: what comes before the last value has none itself.
fn last_value(answer: &Bytes) -> String {
    format!("(block (result i32) {})", answer.code())
}

/// Describes itself by a name that lies anywhere.
fn described(at: &str, length: &str) -> String {
    format!("(i32.store (i32.const 0x3000) {at}) (i32.store (i32.const 0x3004) {length}) (i32.const 0x3000)")
}

/// Returns a trace of four thousand lines that all are the same 500 kB.
fn amplified() -> String {
    let line = "(i32.add (i32.const 0x4000) (i32.shl (local.get $i) (i32.const 3)))";
    let answer = Bytes::default().byte(0).none_pair().none_pair().pair(0x4000, 4000);
    format!(
        "(local $i i32)
         (loop (i32.store {line} (i32.const {ZEROS})) (i32.store offset=4 {line} (i32.const 500000))
           (local.set $i (i32.add (local.get $i) (i32.const 1)))
           (br_if 0 (i32.lt_u (local.get $i) (i32.const 4000))))
         {}",
        answer.code()
    )
}

fn repeated(count: usize, item: impl Fn(usize) -> String) -> String {
    (0..count).map(item).collect::<Vec<_>>().join(" ")
}

/// Components within components, as deep as that.
fn nested(depth: usize) -> Vec<u8> {
    let empty = wat::parse_str("(component)").unwrap();
    (0..depth).fold(empty.clone(), |inner, _| {
        let mut outer = empty.clone();
        outer.push(4); // a component
        let mut length = inner.len();
        while length >= 0x80 {
            outer.push(length as u8 | 0x80);
            length >>= 7;
        }
        outer.push(length as u8);
        outer.extend(inner);
        outer
    })
}

#[test]
fn the_modules_of_the_kit_are_what_the_recipes_say() {
    let mut made: BTreeMap<String, Vec<u8>> =
        recipes().into_iter().map(|(name, guest)| (name.to_owned(), guest.build())).collect();
    made.insert("nested-components".to_owned(), nested(1000));
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/policy/self_test/modules.gz");
        let mut archive = GzEncoder::new(Vec::new(), Compression::best());
        for (name, bytes) in &made {
            writeln!(archive, "{name} {}", bytes.len()).unwrap();
            archive.write_all(bytes).unwrap();
        }
        std::fs::write(path, archive.finish().unwrap()).unwrap();
        return;
    }
    let committed = modules();
    assert!(committed.keys().eq(made.keys()), "UPDATE_EXPECT=1 cargo test recipes writes them anew");
    for (name, bytes) in &made {
        assert!(committed[name] == *bytes, "{name}: UPDATE_EXPECT=1 cargo test recipes writes it anew");
    }
}
