//! What authors have: the commands that run a `.wasm` by itself, on the committed examples and on hostile files.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use expect_test::{Expect, expect};
use serde_json::{Value, json};

use crate::support::free_port;
use crate::support::guest::{Guest, abstains};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn example(name: &str) -> PathBuf {
    root().join("policies").join(name).join(format!("{name}.wasm"))
}

/// `layshaft policy ARGUMENTS`, in a folder.
fn policy(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_layshaft"));
    command.arg("policy").args(arguments).current_dir(folder).stdin(Stdio::null()).output().unwrap()
}

#[track_caller]
fn expect_exit(output: &Output, exit: i32) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(exit), "{out}{err}");
    (out, err)
}

#[track_caller]
fn check(output: &Output, exit: i32, expected: Expect) {
    let (out, err) = expect_exit(output, exit);
    expected.assert_eq(&format!("{out}{err}"));
}

fn json_of(output: &Output) -> Value {
    serde_json::from_str(&expect_exit(output, 0).0).unwrap()
}

/// A folder with a policy and a text beside it.
fn bench(guest: &Guest, cases: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("10-p.wasm"), guest.build()).unwrap();
    std::fs::write(folder.path().join("cases.toml"), cases).unwrap();
    folder
}

fn silent() -> Guest {
    Guest::new("p").matching(&abstains())
}

#[test]
fn every_example_passes_its_cases() {
    let mut seen = 0;
    for entry in std::fs::read_dir(root().join("policies")).unwrap() {
        let folder = entry.unwrap().path();
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        if !folder.join("cases.toml").exists() || name == "templates" {
            continue;
        }
        let (out, _) = expect_exit(&policy(&folder, &["test", &format!("{name}.wasm")]), 0);
        assert!(out.ends_with(" passed, 0 failed\n"), "{name}: {out}");
        // As it is shipped: with the settings beside it.
        expect_exit(&policy(&folder, &["check", &format!("{name}.wasm")]), 0);
        seen += 1;
    }
    assert_eq!(seen, 5);
}

#[test]
fn a_case_that_fails_is_told_with_what_came_instead() {
    let case = |name: &str, expected: &str| {
        format!("[[case]]\nname = '{name}'\nhook = 'matching.matches'\nquestion = {{}}\nexpect.answer = '{expected}'\n")
    };
    let folder = bench(&silent(), &(case("good", "abstain") + &case("<bad>", "veto")));
    check(
        &policy(folder.path(), &["test", "10-p.wasm", "--junit", "report.xml"]),
        1,
        expect![[r#"
            ok    good
            FAIL  <bad>
                  answer
                    - expected "veto"
                    + got      "abstain"
            1 passed, 1 failed
        "#]],
    );
    let report = std::fs::read_to_string(folder.path().join("report.xml")).unwrap();
    assert!(report.contains(r#"<testsuite name="p" tests="2" failures="1""#), "{report}");
    assert!(report.contains(r#"name="&lt;bad&gt;""#), "{report}");
    let output = policy(folder.path(), &["test", "10-p.wasm", "--json"]);
    let lines: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(lines[1]["differences"], json!([{ "field": "answer", "expected": "veto", "actual": "abstain" }]));
    assert_eq!((&lines[0]["passed"], &lines[0]["told"]["verdict"]["answer"]), (&json!(true), &json!("abstain")));
}

#[test]
fn cases_that_cannot_be_read_name_the_case() {
    let folder = bench(&silent(), "[[case]]\nname = 'x'\nhook = 'matching.match'");
    let (_, err) = expect_exit(&policy(folder.path(), &["test", "10-p.wasm"]), 1);
    assert!(err.contains("cases.toml: case \"x\": no hook is called \"matching.match\""), "{err}");
    let (_, err) = expect_exit(&policy(folder.path(), &["test", "10-p.wasm", "none.toml"]), 1);
    assert!(err.contains("failed to read none.toml"), "{err}");
}

#[test]
fn one_question_is_answered_with_reason_trace_and_what_it_took() {
    let question = r#"{"expression": "ubuntu", "node": {"labels": ["ubuntu-22.04"]}}"#;
    let file = example("label-hierarchy");
    let run = ["run", file.to_str().unwrap(), "--hook", "matching", "--settings", "versions = ['ubuntu']", "--input"];
    let with = |more: &[&'static str]| [&run[..], &[question], more].concat();
    let (out, _) = expect_exit(&policy(root(), &with(&[])), 0);
    let (said, took) = out.split_once("fuel").unwrap();
    expect![[r#"
        answer   {"satisfies":["ubuntu"]}
        reason   the node serves `ubuntu`
        trace    `ubuntu-22.04` serves `ubuntu`
        needs    the grant `widen`, before this counts in full
    "#]]
    .assert_eq(said);
    assert!(took.contains("µs to start"), "{took}");
    let first = json_of(&policy(root(), &with(&["--json"])));
    let second = json_of(&policy(root(), &with(&["--json", "--grant", "labels"])));
    assert_eq!(first["fuel"], second["fuel"], "the same question costs the same");
    assert!(first["fuel"].as_u64().unwrap() > 0);
    assert_eq!(first["needs_grants"], json!(["widen"]));
    let input = |text: &'static str| policy(root(), &[&run[..], &[text]].concat());
    assert!(expect_exit(&input("{"), 1).1.contains("the question is not JSON"));
    assert!(expect_exit(&input(r#"{"colour": 1}"#), 1).1.contains("unknown field `colour`"));
    let (_, err) = expect_exit(&policy(root(), &["run", run[1], "--hook", "offline", "--input", "{}"]), 2);
    assert!(err.contains("offline.build-started, offline.build-ended"), "{err}");
}

#[test]
fn a_file_is_inspected() {
    let file = example("node-label");
    let inspection = json_of(&policy(root(), &["inspect", file.to_str().unwrap(), "--json"]));
    assert_eq!((&inspection["imports"], &inspection["hooks"]), (&json!([]), &json!(["parameters"])));
    assert_eq!(inspection["size"], std::fs::metadata(&file).unwrap().len());
    let (out, _) = expect_exit(&policy(root(), &["inspect", file.to_str().unwrap()]), 0);
    let built = inspection["digest"].as_str().unwrap();
    let out = out.replace(built, "DIGEST").replace(&inspection["size"].to_string(), "SIZE");
    expect![[r#"
        node-label 0.1.0: Hands the label that a client asks for to a pipeline's own label parameter.
          hooks     parameters
          needs     values of NODE_LABEL (grant values)
          imports   none
          pure      proven: without imports, a verdict is a function of question and settings
          sha256    DIGEST
          signed    not known to be: no key is known to hold a signature against: name one in policies.keys, or with --key
          size      SIZE bytes
          limits    fuel 100000000, deadline 2s, memory 67108864 bytes, answer 262144 bytes
    "#]]
    .assert_eq(&out);
}

#[test]
fn questions_are_measured_on_fresh_and_on_kept_instances() {
    let folder = root().join("policies/folder-names");
    let lines = json_of(&policy(&folder, &["bench", "folder-names.wasm", "--times", "3", "--json"]));
    let lines = lines.as_array().unwrap();
    assert_eq!(lines.len(), 5, "questions alone are measured");
    for line in lines {
        let fuel = |way: &str| line[way]["fuel"].as_u64().unwrap();
        assert!(fuel("fresh") > fuel("kept") && fuel("kept") > 0, "{line}");
        assert!((1..=3).contains(&line["kept"]["n"].as_u64().unwrap()), "{line}");
        assert!(line["fresh"]["median_nanoseconds"].as_u64() <= line["fresh"]["p95_nanoseconds"].as_u64(), "{line}");
    }
    let (out, _) = expect_exit(&policy(&folder, &["bench", "folder-names.wasm", "--times", "1"]), 0);
    assert!(out.contains("naming.names") && out.contains("kept"), "{out}");
}

#[test]
fn a_file_that_is_no_policy_is_refused_by_every_command_with_what_to_run() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("10-core.wasm", b"\0asm\x01\0\0\0");
    write("20-typed.wasm", b"\0asm\x01\0\0\0\0\x0f\x0ecomponent-type");
    write("30-wasi.wasm", b"\0asm\x01\0\0\0 wasi_snapshot_preview1");
    write("a.txt", b"x");
    assert!(Command::new("mkfifo").arg(folder.path().join("40-pipe.wasm")).status().unwrap().success());
    assert!(Command::new("mkfifo").arg(folder.path().join("cases.toml")).status().unwrap().success());
    for (file, part) in [
        ("10-core.wasm", "wasm-tools component embed policy.wit --world policy 10-core.wasm -o 10-core.component.wasm"),
        ("20-typed.wasm", "`wasm-tools component new 20-typed.wasm -o 20-typed.component.wasm`"),
        ("30-wasi.wasm", "wasi_snapshot_preview1"),
        ("40-pipe.wasm", "40-pipe.wasm is not a file"),
        ("a.txt", "end in .wasm"),
        ("none.wasm", "none.wasm"),
    ] {
        for command in [
            &["check", file][..],
            &["inspect", file],
            &["run", file, "--hook", "naming", "--input", r#"{"project":{"full-name":"a"}}"#],
        ] {
            let (_, err) = expect_exit(&policy(folder.path(), command), 1);
            assert!(err.contains("the daemon would refuse") && err.contains(part), "{command:?}: {err}");
        }
    }
    let (_, err) = expect_exit(&policy(folder.path(), &["test", "10-core.wasm"]), 1);
    assert!(err.contains("failed to read cases.toml: it is not a file"), "{err}");
}

/// The line that is told turns what a compiler leaves into a policy.
#[test]
fn the_line_that_is_told_makes_a_policy_of_a_core_module() {
    let folder = tempfile::tempdir().unwrap();
    let run = |line: &str| {
        let status = Command::new("sh").args(["-c", line]).current_dir(folder.path()).status().unwrap();
        assert!(status.success(), "{line}");
    };
    new_policy(folder.path(), "c");
    let source = folder.path().join("made-in-c");
    run("cd made-in-c && clang --target=wasm32 -Os -nostdlib -ffreestanding policy.c -o ../core.wasm -Wl,--no-entry");
    run("wasm-tools component embed made-in-c/wit --world matching-policy core.wasm -o 10-core.wasm");
    let (_, err) = expect_exit(&policy(folder.path(), &["check", "10-core.wasm"]), 1);
    run(err.split('`').nth(1).unwrap());
    std::fs::copy(source.join("cases.toml"), folder.path().join("cases.toml")).unwrap();
    expect_exit(&policy(folder.path(), &["test", "10-core.component.wasm"]), 0);
}

#[test]
fn the_contract_and_its_schemas_are_printed() {
    let (wit, _) = expect_exit(&policy(root(), &["contract", "--wit"]), 0);
    assert_eq!(wit, std::fs::read_to_string(root().join("wit/policy.wit")).unwrap());
    let (page, _) = expect_exit(&policy(root(), &["contract"]), 0);
    assert_eq!(page, std::fs::read_to_string(root().join("docs/policy-contract.md")).unwrap());
    let all = json_of(&policy(root(), &["schema"]));
    assert_eq!(all["cases"], json_of(&policy(root(), &["schema", "cases"])));
    assert_eq!(all.as_object().unwrap().len(), 6);
    expect_exit(&policy(root(), &["schema", "naming"]), 2);
}

/// A component that was built against 0.1.0 and is never built again.
#[test]
fn what_was_built_against_the_first_contract_keeps_working() {
    let folder = root().join("tests/contract-0.1.0");
    let (out, _) = expect_exit(&policy(&folder, &["test", "all-hooks.wasm"]), 0);
    assert!(out.contains(" passed, 0 failed"), "{out}");
    let inspection = json_of(&policy(&folder, &["inspect", "all-hooks.wasm", "--json"]));
    assert_eq!(inspection["hooks"], json!(["naming", "matching", "parameters", "offline"]));
    assert_eq!(inspection["digest"], std::fs::read_to_string(folder.join("sha256")).unwrap().trim());
}

fn new_policy(into: &Path, language: &str) -> PathBuf {
    let name = format!("made-in-{language}");
    expect_exit(&policy(into, &["new", &name, "--lang", language]), 0);
    into.join(name)
}

#[test]
fn a_new_policy_is_written_once_and_without_gaps() {
    let folder = tempfile::tempdir().unwrap();
    for language in ["rust", "c", "js", "python"] {
        let made = new_policy(folder.path(), language);
        for file in ["build", "cases.toml", "README.md"] {
            let text = std::fs::read_to_string(made.join(file)).unwrap();
            assert!(!text.contains("{{"), "{language}/{file}: {text}");
        }
        std::fs::write(made.join("README.md"), "mine").unwrap();
        let name = format!("made-in-{language}");
        let (_, err) = expect_exit(&policy(folder.path(), &["new", &name, "--lang", language]), 1);
        assert!(err.contains("is there already, and nothing of it is overwritten"), "{err}");
        assert_eq!(std::fs::read_to_string(made.join("README.md")).unwrap(), "mine");
    }
    for name in ["", "Upper", "a_b", "../a", "a/b", "-a", "1a", "a-"] {
        expect_exit(&policy(folder.path(), &["new", "--lang", "c", "--", name]), 2);
    }
}

/// Where compiled dependencies of guests are kept between runs.
fn guests_target() -> PathBuf {
    cache().join("guests/templates")
}

fn cache() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cache");
    std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from).join("layshaft")
}

/// Builds a new policy by the command that was written with it, and holds it against the cases that were.
fn builds_and_passes(language: &str) {
    let folder = tempfile::tempdir().unwrap();
    let made = new_policy(folder.path(), language);
    let built = Command::new(made.join("build"))
        .current_dir(folder.path())
        .env("CARGO_TARGET_DIR", guests_target())
        .env("JCO", cache().join("npm/node_modules/.bin/jco"))
        .output()
        .unwrap();
    expect_exit(&built, 0);
    let file = format!("made-in-{language}.wasm");
    let (out, _) = expect_exit(&policy(&made, &["test", &file]), 0);
    assert!(out.contains("5 passed, 0 failed"), "{out}");
}

#[test]
fn a_new_policy_in_rust_builds_and_passes_its_cases() {
    builds_and_passes("rust");
}

#[test]
fn a_new_policy_in_c_builds_and_passes_its_cases() {
    builds_and_passes("c");
}

#[test]
fn a_new_policy_in_javascript_builds_and_passes_its_cases() {
    builds_and_passes("js");
}

#[test]
fn a_new_policy_in_python_builds_and_passes_its_cases() {
    builds_and_passes("python");
}

const PATIENCE: &str = "\\n[policies.limits]\\ncompile_timeout = \"10m\"\\n";

/// Returns the commands of the page, in order.
fn commands_of(page: &str) -> String {
    let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks.collect::<Vec<_>>().join("\n")
}

/// From an empty folder to a live policy, as `docs/policies.md` says it, command by command.
#[test]
fn the_walk_through_on_the_page_works() {
    let commands = commands_of(include_str!("../../../docs/policies.md"));
    assert!(commands.contains("--lang rust") && commands.contains("--lang js") && commands.contains("policy reload"));
    // The page has the ports that everybody has; a test takes free ones.
    let server = format!("127.0.0.1:{}", free_port());
    let (listen, port) = server.split_once(':').unwrap();
    let commands = commands
        .replace("layshaft simulate", "layshaft simulate --listen 127.0.0.1:0")
        .replace("layshaft server", &format!("layshaft server --listen {listen} --port {port}"))
        // An interpreter takes long to compile where many tests run at once.
        .replace("layshaft run", &format!("printf '{PATIENCE}' >> trial/layshaft.toml\nlayshaft run"));
    let folder = tempfile::tempdir().unwrap();
    let script = format!(
        "set -eu\ntrap 'kill $(jobs -p) 2>/dev/null' EXIT\n{commands}\nlayshaft policy list --json > list.json\n"
    );
    let program = Path::new(env!("CARGO_BIN_EXE_layshaft")).parent().unwrap().to_path_buf();
    let path =
        std::env::join_paths([program].into_iter().chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())));
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder.path())
        .env("PATH", path.unwrap())
        .env("LAYSHAFT_GEARMAN_SERVER", &server)
        .env("LAYSHAFT_CONTROL_SOCKET", folder.path().join("control.sock"))
        .env("CARGO_TARGET_DIR", guests_target())
        .env("JCO", cache().join("npm/node_modules/.bin/jco"))
        .output()
        .unwrap();
    let log = std::fs::read_to_string(folder.path().join("run.log")).unwrap_or_default();
    assert!(
        output.status.success(),
        "{}{}{log}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let list: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.path().join("no-docs-in-js/list.json")).unwrap()).unwrap();
    let states: Vec<_> = list["policies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|policy| (policy["name"].clone(), policy["state"].clone()))
        .collect();
    assert_eq!(states, [(json!("no-docs-in-js"), json!("live")), (json!("no-docs-on-gpu"), json!("live"))]);
}
