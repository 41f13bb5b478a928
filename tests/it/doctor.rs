//! `layshaft doctor` as an operator uses it, on simulated controllers with one fault each.

mod declaring;
mod faults;
mod strangers;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use layshaft::simulator::{Fleet, NodeSpec, Options, Simulator};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::support::{project, within};

const TOKEN: &str = "the-token-of-a-test";

/// What a site is like before it is looked at: two controllers that share their projects, and an empty policy folder.
struct Seed {
    controllers: [Options; 2],
    /// Where the second controller is said to be, if not where it is.
    url: Option<String>,
    /// What is in the second controller's token file.
    token: String,
    token_mode: u32,
    gearman: String,
    host: Option<String>,
    /// More of the second controller's section, and sections after it.
    config: String,
    payload: Option<String>,
    /// By file; none: there is no folder.
    policies: Option<Vec<(&'static str, Vec<u8>)>>,
}

/// A site that can be looked at.
struct Site {
    controllers: Vec<Simulator>,
    home: TempDir,
    has_payload: bool,
}

impl Seed {
    fn clean(gearman: &str) -> Self {
        let fleet = |controller: &str| Fleet {
            nodes: vec![
                NodeSpec::new(format!("{controller}-a"), 1, &["linux"]),
                NodeSpec::new(format!("{controller}-b"), 2, &["linux", "gpu"]),
                NodeSpec::new(format!("{controller}-m"), 1, &["mac"]),
            ],
            projects: vec![project("lint", Some("linux")), project("team/test", None)],
            ..Fleet::default()
        };
        Self {
            controllers: ["ci1", "ci2"].map(|name| Options::new("layshaft", TOKEN, fleet(name))),
            url: None,
            token: TOKEN.to_owned(),
            token_mode: 0o600,
            gearman: gearman.to_owned(),
            host: None,
            config: String::new(),
            payload: None,
            policies: Some(Vec::new()),
        }
    }

    async fn start(self) -> Site {
        let mut controllers = Vec::new();
        for options in self.controllers {
            controllers.push(Simulator::start(options).await.unwrap());
        }
        let home = TempDir::new().unwrap();
        let write = |file: &str, text: &str| std::fs::write(home.path().join(file), text).unwrap();
        for (name, token) in [("ci1", TOKEN), ("ci2", self.token.as_str())] {
            let file = format!("{name}.token");
            write(&file, token);
            let mode = if name == "ci2" { self.token_mode } else { 0o600 };
            std::fs::set_permissions(home.path().join(file), std::fs::Permissions::from_mode(mode)).unwrap();
        }
        let section = |name: &str, url: &str| {
            format!(
                "[[controllers]]\nname = \"{name}\"\nurl = \"{url}\"\nuser = \"layshaft\"\ntoken_file = \"{name}.token\"\n"
            )
        };
        let host = self.host.map(|host| format!("host = \"{host}\"\n")).unwrap_or_default();
        let url = self.url.unwrap_or_else(|| controllers[1].url());
        let config = format!(
            "[gearman]\nserver = \"{}\"\n[control]\nsocket = \"control.sock\"\n{}{}{host}{}",
            self.gearman,
            section("ci1", &controllers[0].url()),
            section("ci2", &url),
            self.config
        );
        write("layshaft.toml", &config);
        if let Some(payload) = &self.payload {
            write("payload", payload);
        }
        if let Some(policies) = self.policies {
            std::fs::create_dir(home.path().join("policies")).unwrap();
            for (file, content) in policies {
                std::fs::write(home.path().join("policies").join(file), content).unwrap();
            }
        }
        Site { controllers, home, has_payload: self.payload.is_some() }
    }
}

impl Site {
    fn path(&self, file: &str) -> PathBuf {
        self.home.path().join(file)
    }

    async fn doctor(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_layshaft"));
        command.arg("doctor").args(arguments).arg("--config").arg(self.path("layshaft.toml"));
        if self.has_payload {
            command.arg("--payload").arg(self.path("payload"));
        }
        let command = command.env_remove("LAYSHAFT_CONTROL_SOCKET").stdin(Stdio::null()).kill_on_drop(true).output();
        within("doctor", command).await.unwrap()
    }

    /// Returns the exit code and the report.
    async fn look(&self) -> (i32, Value) {
        read(&self.doctor(&["--json"]).await)
    }

    /// Returns which findings there are.
    async fn findings(&self) -> Vec<String> {
        told(&self.look().await.1)
    }
}

#[track_caller]
fn read(output: &Output) -> (i32, Value) {
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output.status.code().unwrap(), report)
}

/// Returns a line for each finding: what it is, where, and about what.
fn told(report: &Value) -> Vec<String> {
    let line = |finding: &Value| {
        let controllers: Vec<&str> =
            finding["controllers"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
        let subject = finding.get("subject").and_then(Value::as_object).and_then(|it| it.values().next());
        let subject = subject.map(|it| format!(" {}", it.as_str().unwrap())).unwrap_or_default();
        format!("{} [{}]{subject}", finding["code"].as_str().unwrap(), controllers.join(" "))
    };
    report["findings"].as_array().unwrap().iter().map(line).collect()
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}
