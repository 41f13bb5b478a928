//! `layshaft simulate`: controllers out of nothing, which `layshaft run` serves with the configuration that was written.

use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::support::{GearmanServer, Kind, eventually, within};

fn layshaft(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_layshaft"));
    command.args(arguments).stdin(Stdio::null()).kill_on_drop(true);
    command
}

/// Starts controllers on free ports, and returns what is said of them.
async fn simulate(arguments: &[&str]) -> (Child, Value) {
    let fixed = ["simulate", "--json", "--listen", "127.0.0.1:0"];
    let mut process = layshaft(&[&fixed, arguments].concat()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let mut said = String::new();
    while let Some(line) = within("the controllers to listen", lines.next_line()).await.unwrap() {
        said.push_str(&line);
        if line == "}" {
            break;
        }
    }
    let said = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said:?}"));
    (process, said)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simulated_controllers_are_served_with_the_configuration_that_was_written() {
    let home = TempDir::new().unwrap();
    let config = home.path().join("trial/layshaft.toml");
    let config = config.to_str().unwrap();
    let sizes = ["--controllers", "2", "--nodes", "3", "--projects", "6", "--config", config];
    let (_controllers, said) = simulate(&sizes).await;
    assert_eq!(said["controllers"][1]["name"], "ci2");
    assert_eq!(said["controllers"][1]["projects"], 6);
    assert_eq!(said["token"].as_str().unwrap().len(), 32);

    let server = GearmanServer::start(Kind::Gearmand).await;
    let socket = home.path().join("control.sock");
    let _daemon = layshaft(&["run", "--config", config])
        .env("LAYSHAFT_GEARMAN_SERVER", &server.address)
        .env("LAYSHAFT_CONTROL_SOCKET", &socket)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("both controllers offer the project without a label", || async {
        // Three nodes of two, two and one executors.
        server.workers_for("build:test-1").await == 10
    })
    .await;
    let submit = layshaft(&["submit", "build:test-1", "--server", &server.address]).output();
    let output = within("the build", submit).await.unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("SUCCESS"), "{output:?}");

    let again = layshaft(&[&["simulate", "--listen", "127.0.0.1:0"], &sizes[..]].concat()).output().await.unwrap();
    assert_eq!(again.status.code(), Some(1), "what somebody may have edited is not written over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_printed_fleet_can_be_simulated_again() {
    let home = TempDir::new().unwrap();
    let printed = layshaft(&["simulate", "--print-fleet", "--nodes", "4", "--projects", "30"]).output().await.unwrap();
    let file = home.path().join("fleet.toml");
    std::fs::write(&file, printed.stdout).unwrap();
    let (_controllers, said) = simulate(&["--fleet", file.to_str().unwrap(), "--token", "t"]).await;
    assert_eq!((&said["controllers"][0]["nodes"], &said["controllers"][0]["projects"]), (&4.into(), &30.into()));
    assert_eq!(said["token"], Value::Null, "a token that was given is not repeated");

    std::fs::write(&file, "[controllers.a]\n[servers.a]\nforbidden = [\"Fly\"]\n").unwrap();
    let refused =
        layshaft(&["simulate", "--listen", "127.0.0.1:0", "--fleet", file.to_str().unwrap()]).output().await.unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("hudson.model.Item.Build"), "{refused:?}");

    std::fs::write(&file, "[controllers.a]\nnodez = []\n").unwrap();
    let refused = layshaft(&["simulate", "--fleet", file.to_str().unwrap()]).output().await.unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("nodez"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fleet_of_the_page_on_simulating_is_what_it_says() {
    let page = include_str!("../../docs/simulate.md");
    let example = page.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let home = TempDir::new().unwrap();
    let file = home.path().join("fleet.toml");
    std::fs::write(&file, example).unwrap();
    let (_controllers, said) = simulate(&["--fleet", file.to_str().unwrap(), "--token", "t"]).await;
    let controllers = said["controllers"].as_array().unwrap();
    let names: Vec<&str> = controllers.iter().map(|controller| controller["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["new", "old"]);
    assert_eq!((&controllers[0]["nodes"], &controllers[0]["projects"]), (&2.into(), &6.into()));
    assert!(controllers[1]["url"].as_str().unwrap().ends_with("/jenkins/"));
    for key in KEYS {
        assert!(page.contains(&format!("`{key}`")), "{key} is nowhere on the page");
    }
}

/// What a fleet file may say.
const KEYS: &[&str] = &[
    "quiet_period",
    "built_in",
    "nodes",
    "folders",
    "projects",
    "executors",
    "labels",
    "mode",
    "name",
    "description",
    "full_name",
    "disabled",
    "multibranch",
    "kind",
    "label",
    "concurrent",
    "parameters",
    "default",
    "choices",
    "duration",
    "result",
    "post_production",
    "early_result",
    "ignores_stop",
    "never_created",
    "trigger_token",
    "axes",
    "steps",
    "version",
    "context_path",
    "gzip",
    "crumbs",
    "keep_builds",
    "start_latency",
    "forbidden",
    "unreadable",
    "discoverable",
];
