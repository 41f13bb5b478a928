//! What was decided, asked for by an operator afterwards: with the program itself, also when the policy is long another.

use serde_json::Value;

use crate::daemon::{Daemon, controller, text};
use crate::support::guest::{Guest, rules};
use crate::support::{eventually, example_policy, on_both_servers};

const SETTINGS: &str = "[[settings.deny]]\nname = \"no-shell\"\nparameter = \"*_ARGS\"\nvalues = [\"*;*\"]\n";

/// Runs a command and returns its exit code and what it says.
async fn layshaft(daemon: &Daemon, arguments: &[&str]) -> (i32, String) {
    let output = daemon.layshaft(arguments).await;
    (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
}

async fn json(daemon: &Daemon, arguments: &[&str]) -> Value {
    let (_, answer) = layshaft(daemon, &[arguments, &["--json"]].concat()).await;
    serde_json::from_str(&answer).unwrap_or_else(|error| panic!("{error} in {answer}"))
}

on_both_servers! {
    async fn a_rejected_job_is_explained_after_its_policy_was_replaced(server) {
        let ci = controller().await;
        let home = tempfile::tempdir().unwrap();
        let key = home.path().join("opens.key").display().to_string();
        let made = std::process::Command::new(env!("CARGO_BIN_EXE_layshaft"))
            .args(["policy", "keygen", &key, "--json"])
            .output()
            .unwrap();
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        let sections = format!(
            "[policies.slots.allowlist]\ngrants = [\"values\"]\nrequired = false\n[policies.log]\nvalues = [\"BRANCH\"]\nseal_to = {}\n",
            made["seal_to"]
        );
        let daemon = Daemon::start_with(&server.address, &ci, &sections);
        daemon.wait_until_ready().await;
        daemon.put_policy("30-allowlist.toml", SETTINGS.as_bytes());
        daemon.put_policy("30-allowlist.wasm", &example_policy("parameter-allowlist"));
        assert_eq!(layshaft(&daemon, &["policy", "reload"]).await.0, 0);

        let rejected =
            ["submit", "build:quick", "--param", "BRANCH=main", "--param", "MAKE_ARGS=all; decisions-secret"];
        assert_ne!(layshaft(&daemon, &rejected).await.0, 0);
        eventually("the decision is kept", || async {
            json(&daemon, &["policy", "log", "--verdict", "rejected"]).await.as_array().is_some_and(|list| !list.is_empty())
        })
        .await;
        let decision = json(&daemon, &["policy", "log", "--policy", "allowlist", "--project", "qui*"]).await[0].clone();
        assert_eq!(decision["call"], "parameters.filter");
        assert_eq!(decision["function"], "build:quick");
        assert!(decision["why"].as_str().unwrap().contains("deny rule `no-shell`"), "{decision}");
        let id = decision["id"].to_string();
        let (code, listed) = layshaft(&daemon, &["policy", "log", "--since", "1h"]).await;
        assert!(code == 0 && listed.contains("rejected") && listed.contains(&id), "{listed}");

        // Replaced by one that lets everything pass, which a person has to accept, and under other settings.
        daemon.put_policy("30-allowlist.toml", b"");
        daemon.put_policy("30-allowlist.wasm", &Guest::new("open").filter(&rules(&[], false, "anything")).build());
        assert_eq!(layshaft(&daemon, &["policy", "reload", "--accept", "replay"]).await.0, 0);
        let (_, explained) = layshaft(&daemon, &["policy", "explain", &id]).await;
        for part in [
            "parameters.filter at ",
            "sent        BRANCH = main",
            "sent        MAKE_ARGS (value sealed)",
            "together    rejected",
            "not the very question: a policy saw values that are not kept, of MAKE_ARGS; sealed ones need --key",
        ] {
            assert!(explained.contains(part), "{part}: {explained}");
        }
        let (code, explained) = layshaft(&daemon, &["policy", "explain", &id, "--key", &key]).await;
        assert!(code == 0 && explained.ends_with("asked again by what was in force then: as recorded\n"), "{explained}");
        assert!(explained.contains("denied by deny rule `no-shell`"), "{explained}");

        let (code, found) = layshaft(&daemon, &["policy", "bisect", &id, "--key", &key]).await;
        assert!(code == 0 && found.contains("the answer changed 2 times"), "{found}");
        assert!(found.contains("allowlist came (") && found.contains("allowlist: replaced by "), "{found}");

        let (code, missing) = layshaft(&daemon, &["policy", "explain", "999"]).await;
        assert!(code == 1 && missing.contains("no decision 999 is kept: see `layshaft policy log`"), "{missing}");
        let all = json(&daemon, &["policy", "explain", &id, "--key", &key]).await.to_string();
        assert!(!all.contains("decisions-secret") && !explained.contains("decisions-secret"));
        for file in daemon.state_files() {
            let bytes = std::fs::read(&file).unwrap();
            let holds = bytes.windows(16).any(|window| window == b"decisions-secret");
            assert!(!holds, "{} has the value", file.display());
        }
        assert!(!daemon.log().contains("decisions-secret"));
    }
}
