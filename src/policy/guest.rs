//! Guests for tests: components written by hand, good and hostile, from one generator.
//!
//! The tests of the whole program build theirs from this very file, so that it uses nothing else of the crate.

use std::fmt::Write as _;

/// A guest in the making: for each function the core code that answers.
pub(crate) struct Guest {
    name: &'static str,
    hooks: Vec<&'static str>,
    bodies: Vec<(&'static str, String)>,
    configure: String,
    /// The bytes of `needs`, from `project` on.
    needs: String,
    describe: Option<String>,
    realloc: String,
    memory_pages: u32,
    extra: String,
    core: String,
    version: &'static str,
    is_anonymous: bool,
    are_hooks_apart: bool,
}

/// An answer's bytes, built front to back, with its strings behind.
#[derive(Default)]
pub(crate) struct Bytes {
    head: Vec<u8>,
    tail: Vec<u8>,
}

/// Where a function's answer lies.
const ANSWER: u32 = 0x1000;
/// Where the strings of an answer lie.
const TAIL: u32 = 0x2000;
/// Hands out memory from 0x10000 on and takes none back.
const REALLOC: &str = "(local $at i32)
    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
    (global.set $next (i32.add (local.get $at) (local.get 3)))
    (local.get $at)";

impl Bytes {
    pub(crate) fn byte(mut self, byte: u8) -> Self {
        self.head.extend([byte, 0, 0, 0]);
        self
    }

    pub(crate) fn text(mut self, text: &str) -> Self {
        let at = TAIL + u32::try_from(self.tail.len()).unwrap();
        self.tail.extend(text.as_bytes());
        self.pair(at, u32::try_from(text.len()).unwrap())
    }

    pub(crate) fn raw_text(mut self, bytes: &[u8]) -> Self {
        let at = TAIL + u32::try_from(self.tail.len()).unwrap();
        self.tail.extend(bytes);
        self.pair(at, u32::try_from(bytes.len()).unwrap())
    }

    pub(crate) fn pair(mut self, at: u32, count: u32) -> Self {
        self.head.extend(at.to_le_bytes());
        self.head.extend(count.to_le_bytes());
        self
    }

    /// A list whose items are written by `item` into a buffer of their own.
    pub(crate) fn list<T>(mut self, items: &[T], item: impl Fn(Self, &T) -> Self) -> Self {
        let mut inner = Self { head: Vec::new(), tail: std::mem::take(&mut self.tail) };
        for one in items {
            inner = item(inner, one);
        }
        self.tail = inner.tail;
        while !self.tail.len().is_multiple_of(4) {
            self.tail.push(0);
        }
        let at = TAIL + u32::try_from(self.tail.len()).unwrap();
        self.tail.extend(inner.head);
        self.pair(at, u32::try_from(items.len()).unwrap())
    }

    pub(crate) fn none_pair(self) -> Self {
        self.pair(0, 0)
    }

    /// Code that copies the answer into place and returns where it is.
    pub(crate) fn code(&self) -> String {
        let mut code = String::new();
        for (start, bytes) in [(ANSWER, &self.head), (TAIL, &self.tail)] {
            for (offset, byte) in bytes.iter().enumerate() {
                write!(code, "(i32.store8 (i32.const {}) (i32.const {byte})) ", start as usize + offset).unwrap();
            }
        }
        write!(code, "(i32.const {ANSWER})").unwrap();
        code
    }
}

impl Guest {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            hooks: Vec::new(),
            bodies: Vec::new(),
            configure: Bytes::default().byte(0).none_pair().code(),
            needs: Bytes::default().byte(0).none_pair().byte(0).none_pair().code(),
            describe: None,
            realloc: REALLOC.to_owned(),
            memory_pages: 16,
            extra: String::new(),
            core: String::new(),
            version: "0.1.0",
            is_anonymous: false,
            are_hooks_apart: false,
        }
    }

    /// Does not export `meta`.
    pub(crate) fn anonymous(mut self) -> Self {
        self.is_anonymous = true;
        self
    }

    /// Has the code of its hooks in a module of its own, the first section of the component. What they answer is read
    /// from the memory of the other module.
    #[cfg(fuzzing)]
    pub(crate) fn hooks_apart(mut self) -> Self {
        self.are_hooks_apart = true;
        self
    }

    pub(crate) fn function(mut self, hook: &'static str, function: &'static str, body: impl Into<String>) -> Self {
        if !self.hooks.contains(&hook) {
            self.hooks.push(hook);
        }
        self.bodies.push((function, body.into()));
        self
    }

    pub(crate) fn matching(self, answer: &Bytes) -> Self {
        self.function("matching", "matches", answer.code())
    }

    pub(crate) fn naming(self, answer: &Bytes) -> Self {
        self.function("naming", "names", answer.code())
    }

    pub(crate) fn filter(self, answer: &Bytes) -> Self {
        self.function("parameters", "filter", answer.code())
    }

    pub(crate) fn offline(self, started: &Bytes, ended: &Bytes) -> Self {
        self.function("offline", "build-started", started.code()).function("offline", "build-ended", ended.code())
    }

    pub(crate) fn refusing_settings(mut self, message: &str) -> Self {
        self.configure = Bytes::default().byte(1).text(message).code();
        self
    }

    pub(crate) fn configured_by(mut self, body: &str) -> Self {
        self.configure = body.into();
        self
    }

    pub(crate) fn memory_pages(mut self, pages: u32) -> Self {
        self.memory_pages = pages;
        self
    }

    /// Describes itself by this code alone.
    pub(crate) fn describing(mut self, body: &str) -> Self {
        self.describe = Some(body.into());
        self
    }

    /// Allocates by this code.
    pub(crate) fn reallocating(mut self, body: &str) -> Self {
        self.realloc = body.into();
        self
    }

    /// Describes itself as needing what these bytes say, from `project` on.
    pub(crate) fn needing(mut self, needs: &Bytes) -> Self {
        self.needs = needs.code();
        self
    }

    /// Sees all values of parameters.
    pub(crate) fn needs_values(self) -> Self {
        self.needing(&Bytes::default().byte(0).none_pair().byte(2).none_pair())
    }

    /// More text in the component, such as an import.
    pub(crate) fn extra(mut self, text: &str) -> Self {
        self.extra.push_str(text);
        self
    }

    /// More text in the core module, behind its functions.
    pub(crate) fn core(mut self, text: &str) -> Self {
        self.core.push_str(text);
        self
    }

    pub(crate) fn version(mut self, version: &'static str) -> Self {
        self.version = version;
        self
    }

    pub(crate) fn build(&self) -> Vec<u8> {
        let text = self.text();
        wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    fn text(&self) -> String {
        let mut core = String::new();
        for (function, body) in &self.bodies {
            writeln!(core, r#"(func (export "{function}") (param i32) (result i32) {body})"#).unwrap();
        }
        let (mut apart, mut hooks_instance) = (String::new(), "i");
        if self.are_hooks_apart {
            apart = format!("(core module $r {core}) (core instance $r-instance (instantiate $r))");
            (core, hooks_instance) = (String::new(), "r-instance");
        }
        let mut interfaces = String::new();
        if !self.is_anonymous {
            interfaces += &interface("meta", self.version, "i", &META_TYPES, &META_FUNCTIONS);
        }
        for hook in &self.hooks {
            let (types, functions) = contract(hook);
            interfaces += &interface(hook, self.version, hooks_instance, types, functions);
        }
        format!(
            r#"(component {apart} {extra}
              (core module $m
                (memory (export "memory") {pages})
                (global $next (mut i32) (i32.const 0x10000))
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) {realloc})
                (func (export "describe") (result i32) {describe})
                (func (export "configure") (param i32 i32) (result i32) {configure})
                {core} {more}
                (data (i32.const 0x100) "{name}") (data (i32.const 0x180) "1.0"))
              (core instance $i (instantiate $m))
              {interfaces})"#,
            extra = self.extra,
            pages = self.memory_pages,
            realloc = self.realloc,
            describe = self.describe.clone().unwrap_or_else(|| self.introduction()),
            more = self.core,
            configure = self.configure,
            name = self.name,
        )
    }

    fn introduction(&self) -> String {
        format!(
            "{needs} drop
             (memory.copy (i32.const 0x1800) (i32.const {ANSWER}) (i32.const 64))
             (i32.store (i32.const 0x3000) (i32.const 0x100)) (i32.store (i32.const 0x3004) (i32.const {name_len}))
             (i32.store (i32.const 0x3008) (i32.const 0x180)) (i32.store (i32.const 0x300c) (i32.const 3))
             (i32.store (i32.const 0x3010) (i32.const 0x180)) (i32.store (i32.const 0x3014) (i32.const 3))
             ;; project and node-name are two bytes, then the list, the variant and its payload
             (i32.store8 (i32.const 0x3018) (i32.load8_u (i32.const 0x1800)))
             (memory.copy (i32.const 0x301c) (i32.const 0x1804) (i32.const 20))
             (i32.const 0x3000)",
            needs = self.needs,
            name_len = self.name.len(),
        )
    }
}

type Types = [(&'static str, &'static str)];
/// Function, its parameters, its result.
type Functions = [(&'static str, &'static str, &'static str)];

const META_TYPES: [(&str, &str); 3] = [
    ("parameter-values", r#"(variant (case "none") (case "named" (list string)) (case "all"))"#),
    (
        "needs",
        r#"(record (field "project" bool) (field "node-name" bool) (field "labels" (list string)) (field "parameter-values" $parameter-values))"#,
    ),
    (
        "description",
        r#"(record (field "name" string) (field "version" string) (field "summary" string) (field "needs" $needs))"#,
    ),
];
const META_FUNCTIONS: [(&str, &str, &str); 2] =
    [("describe", "", "$description"), ("configure", r#"(param "settings" string)"#, "(result (error string))")];

const KIND: (&str, &str) = ("project-kind", r#"(enum "freestyle" "maven" "matrix" "pipeline" "other")"#);
const PROJECT: (&str, &str) =
    ("project", r#"(record (field "full-name" string) (field "short-name" string) (field "kind" $project-kind))"#);
const NODE: (&str, &str) = (
    "node-class",
    r#"(record (field "built-in" bool) (field "exclusive" bool) (field "name" (option string)) (field "labels" (list string)))"#,
);
const REQUESTED: (&str, &str) = ("requested", r#"(record (field "name" string) (field "value" (option string)))"#);

const NAMING: [(&str, &str); 6] = [
    KIND,
    PROJECT,
    NODE,
    (
        "question",
        r#"(record (field "controller" string) (field "project" $project) (field "short-name-unique" bool) (field "node" $node-class) (field "matched-labels" (list string)))"#,
    ),
    ("name", r#"(record (field "project" string) (field "label" (option string)))"#),
    (
        "verdict",
        r#"(record (field "names" (option (list $name))) (field "aliases" (list $name)) (field "reason" string) (field "trace" (list string)))"#,
    ),
];
const MATCHING: [(&str, &str); 6] = [
    ("project", r#"(record (field "full-name" string) (field "short-name" string))"#),
    KIND,
    NODE,
    (
        "question",
        r#"(record (field "controller" string) (field "project" (option $project)) (field "kind" $project-kind) (field "expression" (option string)) (field "atoms" (list string)) (field "node" $node-class) (field "classic" bool))"#,
    ),
    ("answer", r#"(variant (case "abstain") (case "veto") (case "satisfies" (list string)))"#),
    ("verdict", r#"(record (field "answer" $answer) (field "reason" string) (field "trace" (list string)))"#),
];
const PARAMETERS: [(&str, &str); 12] = [
    KIND,
    PROJECT,
    NODE,
    ("declared", r#"(record (field "name" string) (field "kind" string))"#),
    REQUESTED,
    (
        "question",
        r#"(record (field "controller" string) (field "project" $project) (field "function" string) (field "label" (option string)) (field "node" $node-class) (field "declared" (list $declared)) (field "requested" (list $requested)))"#,
    ),
    ("decision", r#"(variant (case "allow") (case "drop") (case "set" string))"#),
    ("rule", r#"(record (field "name" string) (field "decision" $decision))"#),
    ("rest", r#"(enum "open" "closed")"#),
    ("rules", r#"(record (field "named" (list $rule)) (field "rest" $rest))"#),
    ("answer", r#"(variant (case "abstain") (case "reject") (case "rules" $rules))"#),
    ("verdict", r#"(record (field "answer" $answer) (field "reason" string) (field "trace" (list string)))"#),
];
const OFFLINE: [(&str, &str); 11] = [
    KIND,
    PROJECT,
    NODE,
    REQUESTED,
    (
        "request",
        r#"(record (field "controller" string) (field "project" $project) (field "function" string) (field "label" (option string)) (field "node" $node-class) (field "requested" (list $requested)) (field "client-asks-offline" bool))"#,
    ),
    ("start-answer", r#"(enum "abstain" "share" "reserve")"#),
    (
        "start-verdict",
        r#"(record (field "answer" $start-answer) (field "reason" string) (field "trace" (list string)))"#,
    ),
    ("build-result", r#"(enum "success" "unstable" "failure" "not-built" "aborted" "unknown")"#),
    ("outcome", r#"(record (field "build-result" $build-result) (field "duration-ms" u64))"#),
    ("end-answer", r#"(variant (case "abstain") (case "online") (case "offline" string) (case "held" string))"#),
    ("end-verdict", r#"(record (field "answer" $end-answer) (field "reason" string) (field "trace" (list string)))"#),
];

fn contract(hook: &str) -> (&'static Types, &'static Functions) {
    match hook {
        "naming" => (&NAMING, &[("names", r#"(param "question" $question)"#, "$verdict")]),
        "matching" => (&MATCHING, &[("matches", r#"(param "question" $question)"#, "$verdict")]),
        "parameters" => (&PARAMETERS, &[("filter", r#"(param "question" $question)"#, "$verdict")]),
        "offline" => (
            &OFFLINE,
            &[
                ("build-started", r#"(param "request" $request)"#, "$start-verdict"),
                ("build-ended", r#"(param "request" $request) (param "outcome" $outcome)"#, "$end-verdict"),
            ],
        ),
        // The wrong type under a right name.
        "naming-mistyped" => (&[], &[("names", r#"(param "x" u32)"#, "string")]),
        _ => (&[], &[]),
    }
}

/// An interface is exported through a component of its own, which gives its types their names.
fn interface(hook: &str, version: &str, from: &str, types: &Types, functions: &Functions) -> String {
    let exported = hook.trim_end_matches("-mistyped");
    let scoped = |text: &str, scope: &str| text.replace('$', &format!("${scope}-"));
    let (mut outer, mut inner, mut exports, mut with) = (String::new(), String::new(), String::new(), String::new());
    for (name, definition) in types {
        writeln!(outer, "(type ${exported}-{name} {})", scoped(definition, exported)).unwrap();
        let (imported, renamed) = (scoped(definition, "in"), scoped(definition, "out"));
        writeln!(inner, r#"(type $raw-{name} {imported}) (import "type-{name}" (type $in-{name} (eq $raw-{name})))"#)
            .unwrap();
        writeln!(exports, r#"(type $new-{name} {renamed}) (export $out-{name} "{name}" (type $new-{name}))"#).unwrap();
        writeln!(with, r#"(with "type-{name}" (type ${exported}-{name}))"#).unwrap();
    }
    for (name, parameters, result) in functions {
        let signature = |scope: &str| format!("{} (result {})", scoped(parameters, scope), scoped(result, scope));
        writeln!(
            outer,
            r#"(func ${exported}-{name}-lifted {} (canon lift (core func ${from} "{name}") (memory (core memory $i "memory")) (realloc (core func $i "realloc"))))"#,
            signature(exported)
        )
        .unwrap();
        writeln!(inner, r#"(import "func-{name}" (func $f-{name} {}))"#, signature("in")).unwrap();
        writeln!(exports, r#"(export "{name}" (func $f-{name}) (func {}))"#, signature("out")).unwrap();
        writeln!(with, r#"(with "func-{name}" (func ${exported}-{name}-lifted))"#).unwrap();
    }
    let at = if version.is_empty() { String::new() } else { format!("@{version}") };
    format!(
        r#"{outer} (component ${exported}-shim {inner} {exports})
           (instance ${exported}-instance (instantiate ${exported}-shim {with}))
           (export "layshaft:policy/{exported}{at}" (instance ${exported}-instance))
        "#
    )
}

pub(crate) const LOOP: &str = "(loop br 0) unreachable";
pub(crate) const TRAP: &str = "unreachable";
pub(crate) const GROW: &str = "(if (i32.eq (memory.grow (i32.const 2000)) (i32.const -1)) (then unreachable))";

/// Does something only when asked about a real controller: the gates ask about one that is called `sample`.
pub(crate) fn past_the_gates(body: &str, answer: &Bytes) -> String {
    let name_length = "(i32.load offset=4 (local.get 0))";
    format!("(if (i32.ne {name_length} (i32.const 6)) (then {body})) {}", answer.code())
}

pub(crate) fn abstains() -> Bytes {
    matching_answer(0, &[])
}

pub(crate) fn vetoes() -> Bytes {
    Bytes::default().byte(1).none_pair().text("not here").none_pair()
}

pub(crate) fn satisfies(atoms: &[&str]) -> Bytes {
    matching_answer(2, atoms)
}

fn matching_answer(answer: u8, atoms: &[&str]) -> Bytes {
    Bytes::default().byte(answer).list(atoms, |bytes, atom| bytes.text(atom)).text("why").none_pair()
}

/// Names of one part each.
pub(crate) fn named(names: &[&str]) -> Bytes {
    let item = |bytes: Bytes, name: &&str| bytes.text(name).byte(0).none_pair();
    Bytes::default().byte(1).list(names, item).none_pair().text("mine").none_pair()
}

/// Rules with a decision and perhaps a value.
pub(crate) fn rules(rules: &[(&str, u8, &str)], closed: bool, reason: &str) -> Bytes {
    let item = |bytes: Bytes, (name, decision, value): &(&str, u8, &str)| bytes.text(name).byte(*decision).text(value);
    Bytes::default().byte(2).list(rules, item).byte(u8::from(closed)).text(reason).none_pair()
}
