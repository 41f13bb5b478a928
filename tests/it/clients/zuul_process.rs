//! A Zuul 2 that runs beside a test and does as the test says; `tests/clients/zuul_launcher.py` tells what it can do.

use std::process::Stdio;

use layshaft::simulator::{ParameterKind, ParameterSpec, ProjectSpec};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::{driver, fetched};
use crate::support::{GearmanServer, project, within};

pub(super) struct Zuul {
    _process: Child,
    commands: ChildStdin,
    events: Lines<BufReader<ChildStdout>>,
    /// What it logs, for whoever looks into a failure.
    log: NamedTempFile,
}

impl Zuul {
    /// Starts a version of Zuul with a server; none if that version was not fetched.
    ///
    /// `LAYSHAFT_ZUUL_PYTHON` names a Python to run it with, such as Zuul's own 2.7.
    pub(super) async fn start(version: &str, server: &GearmanServer) -> Option<Self> {
        let wheel = fetched(&format!("zuul-{version}-py2-none-any.whl"))?;
        let (host, port) = server.address.split_once(':').unwrap();
        let log = NamedTempFile::new().unwrap();
        let python = std::env::var_os("LAYSHAFT_ZUUL_PYTHON").unwrap_or_else(|| "python3".into());
        let mut process = Command::new(python)
            .arg(driver("zuul_launcher.py"))
            .arg(wheel)
            .args([host, port])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log.reopen().unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let commands = process.stdin.take().unwrap();
        let events = BufReader::new(process.stdout.take().unwrap()).lines();
        Some(Self { _process: process, commands, events, log })
    }

    /// Launches a job for an item, with what a site's parameter function sets; returns what was launched.
    pub(super) async fn launch(&mut self, item: &str, job: &str, parameters: Value) -> Value {
        self.launch_with(item, job, "normal", parameters).await
    }

    pub(super) async fn launch_with(&mut self, item: &str, job: &str, precedence: &str, parameters: Value) -> Value {
        let command =
            json!({"do": "launch", "item": item, "job": job, "precedence": precedence, "parameters": parameters});
        self.tell(command).await;
        self.hears("launched", item).await
    }

    /// Cancels an item's build; returns whether Zuul has forgotten it at once.
    pub(super) async fn cancel(&mut self, item: &str) -> bool {
        self.tell(json!({"do": "cancel", "item": item})).await;
        self.hears("cancelled", item).await["forgotten"] == true
    }

    /// Describes an item's build; returns whether Zuul could.
    pub(super) async fn describe(&mut self, item: &str, text: &str) -> bool {
        self.tell(json!({"do": "describe", "item": item, "text": text})).await;
        self.hears("described", item).await["submitted"] == true
    }

    pub(super) async fn tell(&mut self, command: Value) {
        self.commands.write_all(format!("{command}\n").as_bytes()).await.unwrap();
    }

    /// Waits for the next event, which has to be this one.
    pub(super) async fn hears(&mut self, event: &str, item: &str) -> Value {
        let next = self.next().await;
        assert_eq!((&next["event"], &next["item"]), (&event.into(), &item.into()), "{next}");
        next
    }

    pub(super) async fn next(&mut self) -> Value {
        match within("an event of zuul", self.events.next_line()).await.unwrap() {
            Some(line) => serde_json::from_str(&line).unwrap(),
            None => panic!("zuul ended: {}", std::fs::read_to_string(self.log.path()).unwrap()),
        }
    }
}

/// Returns a project as Zuul's sites have them: it declares what Zuul sends, and a node to be pinned to.
pub(super) fn zuul_project(name: &str, label: Option<&str>) -> ProjectSpec {
    let mut spec = project(name, label);
    spec.parameters[0].name = "ZUUL_UUID".to_owned();
    let declared = [
        "ZUUL_PROJECT",
        "ZUUL_PIPELINE",
        "ZUUL_URL",
        "ZUUL_VOTING",
        "ZUUL_BRANCH",
        "ZUUL_CHANGES",
        "ZUUL_REF",
        "ZUUL_COMMIT",
        "ZUUL_CHANGE_IDS",
        "ZUUL_CHANGE",
        "ZUUL_PATCHSET",
        "BASE_LOG_PATH",
        "LOG_PATH",
        "EXT_NAME",
        "OFFLINE_NODE_WHEN_COMPLETE",
    ];
    spec.parameters.extend(declared.map(|name| ParameterSpec::new(name, ParameterKind::Text, "default")));
    spec
}
