//! What would become of the function table, and why something is not on it: asked of a running daemon, and of fleets that
//! were written down.

use std::path::Path;
use std::process::Stdio;

use expect_test::{Expect, expect};
use serde_json::Value;

use crate::daemon::{Daemon, controller, text};
use crate::support::guest::{Guest, named};
use crate::support::{GearmanServer, Kind};

const BIND: &str = "[[bind]]\nprojects = [\"quick\"]\n";

/// Runs the program without a daemon.
fn layshaft(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_layshaft"))
        .args(arguments)
        .current_dir(folder)
        .env("LAYSHAFT_CONTROL_SOCKET", folder.join("nobody.sock"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
}

fn put(folder: &Path, file: &str, contents: &[u8]) -> String {
    std::fs::write(folder.join(file), contents).unwrap();
    folder.join(file).display().to_string()
}

fn naming(name: &'static str) -> Vec<u8> {
    Guest::new("names").naming(&named(&[name])).build()
}

/// Compares all lines but the first, which has digests in it.
#[track_caller]
fn check((code, shown): &(i32, String), expected_code: i32, expected: Expect) {
    assert_eq!(*code, expected_code, "{shown}");
    expected.assert_eq(shown.split_once('\n').map_or("", |(_, rest)| rest));
}

#[tokio::test]
async fn a_candidate_is_compared_with_what_is_in_force_and_does_not_come_into_force() {
    let server = GearmanServer::start(Kind::Layshaft).await;
    let ci = controller().await;
    let daemon = Daemon::start(&server.address, &ci);
    daemon.wait_until_ready().await;
    daemon.put_policy("10-names.toml", BIND.as_bytes());
    daemon.put_policy("10-names.wasm", &naming("first"));
    let ask = async |arguments: &[&str]| {
        let output = daemon.layshaft(arguments).await;
        (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
    };
    let (code, reloaded) = ask(&["policy", "reload"]).await;
    assert_eq!(code, 0, "{reloaded}");
    let desk = tempfile::tempdir().unwrap();
    put(desk.path(), "names.toml", BIND.as_bytes());
    let same = put(desk.path(), "names.wasm", &naming("first"));
    let shown = ask(&["policy", "diff", &same]).await;
    check(
        &shown,
        0,
        expect![[r#"
              functions  3 -> 3: none other
              places     5 -> 5: none other
            nothing changes
        "#]],
    );
    let second = put(desk.path(), "names.wasm", &naming("second"));
    let shown = ask(&["policy", "diff", &second]).await;
    check(
        &shown,
        1,
        expect![[r#"
              functions  3 -> 3: 1 added, 1 withdrawn
              places     5 -> 5: 3 added, 3 withdrawn
            added
              + build:second (quick) on 3 nodes: (built-in) of ci, a of ci, b of ci
            withdrawn
              - build:first (quick) on 3 nodes: (built-in) of ci, a of ci, b of ci
        "#]],
    );
    assert!(shown.1.contains("with policy names (") && shown.1.contains("against what is in force"), "{}", shown.1);
    let removed = ask(&["policy", "diff", "--remove", "names", "--json"]).await;
    let removed: Value = serde_json::from_str(&removed.1).unwrap();
    assert_eq!((&removed["same"], &removed["added"][0]["function"]), (&false.into(), &"build:quick".into()));
    let classic = ask(&["policy", "diff", "--against", "classic", "--json"]).await;
    let classic: Value = serde_json::from_str(&classic.1).unwrap();
    assert_eq!(classic["withdrawn"][0]["function"], "build:quick");
    assert_eq!(classic["withdrawn"][0]["nodes"]["count"], 3);
    // Nothing of it was in force, and a daemon that is gone is not needed for a fleet that was written down.
    assert_eq!(daemon.status().await.unwrap()["functions"]["build:first"]["nodes"], 3);
    let (code, fleet) = ask(&["fleet", "export"]).await;
    assert!(code == 0 && !fleet.contains("the-token-of-a-test") && !fleet.contains(&ci.url()), "{fleet}");
    let fleet = put(desk.path(), "fleet.json", fleet.as_bytes());
    let policies = Path::new(&daemon.config()).with_file_name("policies").display().to_string();
    let again = layshaft(desk.path(), &["policy", "diff", "names.wasm", "--fleet", &fleet, "--folder", &policies]);
    assert_eq!(again, shown);

    for (arguments, code, part) in [
        (&["policy", "diff", "none.wasm"][..], 2, "cannot be read"),
        (&["policy", "diff", "--remove", "other"], 2, "no policy is called other"),
        (&["policy", "explain", "--why-not", "stop:ci"], 2, "is no function for builds"),
        (&["policy", "explain", "--why-not", "build:lint", "--node", "z"], 2, "no node is called z"),
        (&["policy", "explain", "--why-not", "1", "--node", "a"], 2, "decision 1 was made at one place"),
    ] {
        let (got, said) = ask(arguments).await;
        assert!(got == code && said.contains(part), "{arguments:?}: {got} {said}");
    }
    let (code, said) = layshaft(desk.path(), &["policy", "diff", "names.wasm"]);
    assert!(code == 4 && said.contains("start one with `layshaft run`"), "{said}");

    let why = ask(&["policy", "explain", "--why-not", "build:lint:linux", "--node", "b"]).await;
    for part in [
        "the project asks for `linux`, which the node's labels do not satisfy",
        "add the label `linux` to node b of ci\n    then on 1 node: b of ci",
    ] {
        assert!(why.0 == 1 && why.1.contains(part), "{part}: {}", why.1);
    }
    assert_eq!(ask(&["policy", "explain", "--why-not", "build:lint:linux", "--node", "a"]).await.0, 0);
}

/// An author's desk: no daemon, no controller, a fleet of `layshaft simulate`.
#[test]
fn a_simulated_fleet_will_do_where_there_is_no_daemon() {
    let desk = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (_, fleet) = layshaft(desk.path(), &["simulate", "--print-fleet", "--nodes", "3", "--projects", "8"]);
    put(desk.path(), "fleet.toml", fleet.as_bytes());
    std::fs::copy(root.join("policies/folder-names/folder-names.wasm"), desk.path().join("folder-names.wasm")).unwrap();
    let bound = "[settings]\nseparator = '/'\nshort_names = true\n[[bind]]\nprojects = ['shop/**']\n";
    put(desk.path(), "folder-names.toml", bound.as_bytes());
    let diff = ["policy", "diff", "folder-names.wasm", "--fleet", "fleet.toml", "--against", "classic"];
    let (code, said) = layshaft(desk.path(), &diff);
    let part = "added\n  + build:shop/lint-2 (shop/lint-2) on 3 nodes: ci1-1 of ci1, ci1-2 of ci1, ci1-3 of ci1\n";
    assert!(code == 1 && said.contains(part) && said.contains("against the classic rules"), "{said}");
    assert!(!said.contains("warning"), "{said}");
    let why = ["policy", "explain", "--why-not", "build:lint-2:gpu-2", "--fleet", "fleet.toml", "--controller", "ci1"];
    let (code, said) = layshaft(desk.path(), &why);
    let part = "change the label expression of project shop/lint-2 on ci1 from `linux` to `(linux)||gpu-2`";
    assert!(code == 1 && said.contains(part), "{said}");
    put(desk.path(), "fleet.json", b"{\"layshaft_fleet\": 9}");
    let (code, said) = layshaft(desk.path(), &["policy", "diff", "x.wasm", "--fleet", "fleet.json"]);
    assert!(code == 2 && said.contains("export it anew"), "{said}");
}
