//! From an empty folder to a live policy, as `docs/policies.md` says it, command by command.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::authors::{cache, guests_target};
use crate::support::free_port;

const PAGE: &str = include_str!("../../../docs/policies.md");

const SITE: &str = "### A site to drop it into";

/// What an author has, all of which a walk shows.
const COMMANDS: [&str; 11] = [
    "policy new ",
    "policy test ",
    "policy run ",
    "policy inspect ",
    "policy check ",
    "policy bench ",
    "policy schema ",
    "policy diff ",
    "policy replay ",
    "policy explain --why-not ",
    "policy explain \"",
];

/// An interpreter takes long to compile where many tests run at once.
const PATIENCE: &str = "\\n[policies.limits]\\ncompile_timeout = \"10m\"\\n";

/// Returns the commands below some headings of the page, in order.
fn commands(headings: &[&str]) -> String {
    let section = |heading: &&str| {
        let rest = PAGE.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("{heading}")).1;
        rest.split("\n##").next().unwrap()
    };
    let blocks = |section: &'static str| {
        section.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect::<String>()
    };
    headings.iter().map(|heading| blocks(section(heading))).collect::<Vec<_>>().join("\n")
}

/// Walks in an empty folder; returns what was printed, and which policies there are in the end.
fn walk(headings: &[&str]) -> (String, Value) {
    let commands = commands(headings);
    for command in COMMANDS {
        assert!(commands.contains(command), "`layshaft {command}` is not shown below {headings:?}");
    }
    // The page has the ports that everybody has; a test takes free ones.
    let server = format!("127.0.0.1:{}", free_port());
    let (listen, port) = server.split_once(':').unwrap();
    let commands = commands
        .replace("layshaft simulate", "layshaft simulate --listen 127.0.0.1:0")
        .replace("layshaft server", &format!("layshaft server --listen {listen} --port {port}"))
        .replace("layshaft run", &format!("printf '{PATIENCE}' >> trial/layshaft.toml\nlayshaft run"))
        .replace("timeout 120", "timeout 600");
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
        .env("JCO", jco())
        .output()
        .unwrap();
    let read = |file: &str| std::fs::read_to_string(folder.path().join(file)).unwrap_or_default();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}{}", text(&output.stderr), read("run.log"));
    (said, serde_json::from_str(&read("list.json")).unwrap())
}

/// Checks that one policy came into force, and that each command said what it is there for, in order.
#[track_caller]
fn check((said, list): &(String, Value), policy: &str, parts: &[&str]) {
    let states: Vec<_> = list["policies"].as_array().unwrap().iter().map(|one| (&one["name"], &one["state"])).collect();
    assert_eq!(states, [(&json!(policy), &json!("live"))]);
    let mut rest = said.as_str();
    for part in parts {
        rest = rest.split_once(part).unwrap_or_else(|| panic!("{part:?} is not said, or too early:\n{said}")).1;
    }
}

fn jco() -> PathBuf {
    cache().join("npm/node_modules/.bin/jco")
}

#[test]
fn the_walk_through_on_the_page_works_in_rust() {
    check(
        &walk(&["### At the desk", SITE, "### Into force"]),
        "no-docs-on-gpu",
        &[
            "5 passed, 0 failed",
            "reason   projects ending in -docs keep off gpu",
            "imports   none",
            "bindings  1",
            "fresh",
            "- build:docs-4 (infra/docs-4) on 1 node: ci1-3 of ci1",
            "no-docs-on-gpu added",
            "build:docs-4 is not offered",
            "policy no-docs-on-gpu vetoes it: projects ending in docs-4 keep off ubuntu-24.04",
            "take the label `ubuntu-24.04` from node ci1-3 of ci1",
            "asked again by what was in force then: as recorded",
            "1 changed\n  matching.matches, infra/docs-4 on ci1-2 of ci1: no-match, for another reason",
        ],
    );
}

#[test]
fn the_walk_through_on_the_page_works_in_javascript() {
    if !jco().exists() {
        return crate::clients::skip(&format!("{} is not there; tests/run installs it", jco().display()));
    }
    check(
        &walk(&[SITE, "## The same in JavaScript"]),
        "no-docs-in-js",
        &[
            "5 passed, 0 failed",
            "reason   projects ending in -docs keep off gpu",
            "imports   none",
            "fresh",
            "bindings  1",
            "~ build:package-3 (shop/web/package-3) lost by 1 node: ci1-2 of ci1",
            "no-docs-in-js added",
            "build:package-3 is not offered",
            "do without policy no-docs-in-js",
            "asked again by what was in force then: as recorded",
            "nothing changes",
            "1 loosened\n  matching.matches, shop/web/package-3 on ci1-2 of ci1: ",
        ],
    );
}
