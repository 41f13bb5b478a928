//! Clients of Jenkins, which the simulated controller has to satisfy as a real one would.

use std::process::Output;
use std::time::Duration;

use layshaft::simulator::{Options, Simulator, Version};
use tokio::process::Command;

use super::{driver, fetched, skip};
use crate::support::fleet;

/// What the drivers say when a client is not installed.
const NOT_INSTALLED: i32 = 77;

/// Lets a client drive a controller of some release from one end to the other.
async fn drive(version: Version, client: &mut Command) -> std::io::Result<Output> {
    let fleet = fleet(&[("agent-1", 1, &["linux"])], vec![]);
    let simulator = Simulator::start(Options { version, ..Options::new("bob", "secret", fleet) }).await.unwrap();
    let run = client.args([&simulator.url(), "bob", "secret"]).kill_on_drop(true).output();
    tokio::time::timeout(Duration::from_secs(120), run).await.expect("the client comes to an end")
}

fn assert_satisfied(output: &Output) {
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn python_jenkins_and_api4jenkins_can_drive_a_simulated_controller() {
    let mut python = Command::new("python3");
    let output = drive(Version::default(), python.arg(driver("jenkins_clients.py"))).await.unwrap();
    if output.status.code() == Some(NOT_INSTALLED) {
        return skip(String::from_utf8_lossy(&output.stdout).trim());
    }
    assert_satisfied(&output);
}

#[tokio::test(flavor = "multi_thread")]
async fn npm_s_jenkins_can_drive_a_simulated_controller_of_either_way_to_cancel() {
    let Some(modules) = fetched("node_modules") else { return };
    for version in [Version::new(2, 204), Version::default()] {
        let mut node = Command::new("node");
        match drive(version, node.env("NODE_PATH", &modules).arg(driver("npm_jenkins.js"))).await {
            Ok(output) => assert_satisfied(&output),
            Err(error) => return skip(&format!("node cannot be started: {error}")),
        }
    }
}
