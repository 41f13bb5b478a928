//! The program as a person uses it: `layshaft run` beside a real server, asked by the command line, by Debian's
//! `gearman` and `gearadmin`, and by PyPI's gear.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use layshaft::domain::BuildResult;
use layshaft::simulator::{Options, Simulator};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::support::{GearmanServer, eventually, fleet, marked, on_both_servers, project, within};

const TOKEN: &str = "the-token-of-a-test";

/// A daemon with a home of its own; it is killed when this is dropped.
pub(crate) struct Daemon {
    process: Child,
    home: TempDir,
    gearman: String,
}

impl Daemon {
    /// Starts the program on a configuration that names one controller, `ci`.
    pub(crate) fn start(gearman: &str, controller: &Simulator) -> Self {
        Self::start_with(gearman, controller, "")
    }

    /// Starts the program with more in its configuration.
    pub(crate) fn start_with(gearman: &str, controller: &Simulator, sections: &str) -> Self {
        let home = TempDir::new().unwrap();
        std::fs::create_dir(home.path().join("policies")).unwrap();
        let token = home.path().join("token");
        std::fs::write(&token, format!("{TOKEN}\n")).unwrap();
        std::fs::set_permissions(token, std::fs::Permissions::from_mode(0o600)).unwrap();
        let config = format!(
            "[gearman]\nserver = \"{gearman}\"\n[control]\nsocket = \"control.sock\"\n\
             [[controllers]]\nname = \"ci\"\nurl = \"{}\"\nuser = \"layshaft\"\ntoken_file = \"token\"\n\
             [controllers.poll]\nnodes = \"200ms\"\nprojects = \"200ms\"\nqueue = \"200ms\"\n{sections}",
            controller.url()
        );
        std::fs::write(home.path().join("layshaft.toml"), config).unwrap();
        let log = std::fs::File::create(home.path().join("log")).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_layshaft"))
            .args(["run", "--config"])
            .arg(home.path().join("layshaft.toml"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { process, home, gearman: gearman.to_owned() }
    }

    fn socket(&self) -> PathBuf {
        self.home.path().join("control.sock")
    }

    /// Returns the file of its configuration.
    pub(crate) fn config(&self) -> String {
        self.home.path().join("layshaft.toml").display().to_string()
    }

    /// Puts a file into its folder of policies, whole.
    pub(crate) fn put_policy(&self, file: &str, contents: &[u8]) {
        let folder = self.home.path().join("policies");
        let temporary = folder.join(format!(".{file}"));
        std::fs::write(&temporary, contents).unwrap();
        std::fs::rename(temporary, folder.join(file)).unwrap();
    }

    /// Returns all files in which it keeps what it must not forget.
    pub(crate) fn state_files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        let mut folders = vec![self.home.path().join("state")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        assert!(files.len() > 3, "{files:?}");
        files
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.home.path().join("log")).unwrap()
    }

    /// Runs a command of the program against this daemon.
    pub(crate) async fn layshaft(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_layshaft"));
        command
            .args(arguments)
            .env("LAYSHAFT_CONTROL_SOCKET", self.socket())
            .env("LAYSHAFT_GEARMAN_SERVER", &self.gearman);
        within(arguments[0], command.stdin(Stdio::null()).output()).await.unwrap()
    }

    pub(crate) async fn status(&self) -> Option<Value> {
        let output = self.layshaft(&["status", "--json"]).await;
        serde_json::from_slice(&output.stdout).ok()
    }

    pub(crate) async fn wait_until_ready(&self) {
        eventually("the daemon is ready", || async {
            let status = self.status().await;
            status.is_some_and(|status| {
                status["not_ready"] == serde_json::json!([]) && status["functions"] != serde_json::json!({})
            })
        })
        .await;
    }

    fn signal(&self, signal: &str) {
        let id = self.process.id().expect("the daemon runs").to_string();
        let status = std::process::Command::new("kill").args([&format!("-{signal}"), &id]).status().unwrap();
        assert!(status.success());
    }

    async fn wait(&mut self) -> std::process::ExitStatus {
        within("the daemon ends", self.process.wait()).await.unwrap()
    }
}

pub(crate) async fn controller() -> Simulator {
    let projects = vec![project("lint", Some("linux")), marked("quick", None)];
    let fleet = fleet(&[("a", 1, &["linux"]), ("b", 1, &[])], projects);
    Simulator::start(Options::new("layshaft", TOKEN, fleet)).await.unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

on_both_servers! {
    async fn a_person_submits_watches_stops_and_describes_builds(server) {
        let ci = controller().await;
        let mut daemon = Daemon::start(&server.address, &ci);
        daemon.wait_until_ready().await;

        let done = daemon.layshaft(&["submit", "build:quick", "--param", "X=1", "--json"]).await;
        assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
        assert!(text(&done.stdout).contains("SUCCESS"), "{}", text(&done.stdout));

        let running = tokio::spawn(
            Command::new(env!("CARGO_BIN_EXE_layshaft"))
                .args(["submit", "build:lint:linux", "--server", &server.address])
                .stdin(Stdio::null())
                .output(),
        );
        eventually("the build runs", || async { ci.builds().iter().any(|build| build.project == "lint") }).await;
        let described = daemon.layshaft(&["describe", "lint", "1", "looked at", "--host", "ci"]).await;
        assert_eq!(described.status.code(), Some(0), "{}", text(&described.stderr));
        let lint = || ci.builds().into_iter().find(|build| build.project == "lint").unwrap();
        assert_eq!(lint().description.as_deref(), Some("looked at"));
        let stopped = daemon.layshaft(&["stop", "lint", "1", "--host", "ci"]).await;
        assert_eq!(stopped.status.code(), Some(0), "{}", text(&stopped.stderr));
        let ended = within("the submission ends", running).await.unwrap().unwrap();
        assert_eq!(ended.status.code(), Some(3), "an aborted build is no success: {}", text(&ended.stdout));
        assert_eq!(lint().result, Some(BuildResult::Aborted));

        let shown = text(&daemon.layshaft(&["status"]).await.stdout);
        for part in ["CONTROLLER", "build:lint:linux", "0 of 1", "serving"] {
            assert!(shown.contains(part), "{part:?} is not in {shown}");
        }
        let paused = daemon.layshaft(&["pause"]).await;
        assert_eq!(paused.status.code(), Some(0));
        assert_eq!(daemon.status().await.unwrap()["mode"], "paused");
        assert_eq!(daemon.layshaft(&["resume"]).await.status.code(), Some(0));
        assert_eq!(daemon.layshaft(&["drain"]).await.status.code(), Some(0));
        assert!(daemon.wait().await.success());
        assert!(!daemon.log().contains(TOKEN), "a secret is in the log");
        assert_eq!(daemon.layshaft(&["status"]).await.status.code(), Some(4), "nobody is there any more");
    }

    async fn pypi_gear_hears_what_it_heard_from_the_plugin(server) {
        let ci = controller().await;
        let daemon = Daemon::start(&server.address, &ci);
        daemon.wait_until_ready().await;
        let (host, port) = server.address.split_once(':').unwrap();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/clients/gear_client.py");
        let client = Command::new("python3").args([script, host, port, "build:quick", "0123", "{X:1}"]).output();
        let output = within("gear", client).await.unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let heard: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let kinds: Vec<&str> = heard.iter().map(|said| said["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["data", "status", "complete"]);
        let data = |index: usize| -> Value { serde_json::from_str(heard[index]["data"].as_str().unwrap()).unwrap() };
        assert_eq!(data(0)["number"], 1);
        assert_eq!(data(2)["result"], "SUCCESS");
        assert_eq!(ci.builds()[0].parameters.get("UUID"), Some("0123"));
    }

    async fn debian_s_gearman_and_gearadmin_see_a_worker_like_any_other(server) {
        let ci = controller().await;
        let daemon = Daemon::start(&server.address, &ci);
        daemon.wait_until_ready().await;
        let (host, port) = server.address.split_once(':').unwrap();
        let client = Command::new("gearman").args(["-h", host, "-p", port, "-f", "build:quick", "{}"]).output();
        let output = within("gearman", client).await.unwrap();
        assert!(text(&output.stdout).contains("\"result\":\"SUCCESS\""), "{output:?}");
        let ask = async |question: &'static str| {
            let answer = Command::new("gearadmin").args(["-h", host, "-p", port, question]).output();
            text(&within("gearadmin", answer).await.unwrap().stdout)
        };
        eventually("gearadmin lists every worker", || async {
            let listed = ask("--workers").await;
            ["a_exec-0", "b_exec-0", "ci_manager"].iter().all(|id| listed.contains(id))
        })
        .await;
        eventually("gearadmin shows both workers of the function at rest", || async {
            let status = ask("--status").await;
            status.lines().any(|line| line.split('\t').collect::<Vec<_>>() == ["build:quick", "0", "0", "2"])
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_without_its_gearman_server_answers_and_ends_when_told() {
    let ci = controller().await;
    let nobody = format!("127.0.0.1:{}", crate::support::free_port());
    let mut daemon = Daemon::start(&nobody, &ci);
    eventually("the daemon answers", || async { daemon.status().await.is_some() }).await;
    let reasons = daemon.status().await.unwrap()["not_ready"].to_string();
    assert!(reasons.contains(&nobody), "{reasons}");
    daemon.signal("TERM");
    assert!(daemon.wait().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_waits_for_the_build_that_runs_and_delivers_its_result() {
    let server = GearmanServer::start(crate::support::Kind::Gearmand).await;
    let ci = controller().await;
    let mut daemon = Daemon::start(&server.address, &ci);
    daemon.wait_until_ready().await;
    let mut job = server.submit("build:lint", "u", "{}").await;
    job.started().await;
    daemon.signal("TERM");
    eventually("the daemon drains", || async {
        daemon.status().await.is_some_and(|status| status["mode"] == "draining")
    })
    .await;
    ci.finish("lint", 1, BuildResult::Success);
    assert_eq!(crate::support::completion(&job.finish().await)["result"], "SUCCESS");
    assert!(daemon.wait().await.success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_takes_a_configuration_over_as_a_whole_or_not_at_all() {
    let server = GearmanServer::start(crate::support::Kind::Gearmand).await;
    let ci = controller().await;
    let daemon = Daemon::start(&server.address, &ci);
    daemon.wait_until_ready().await;
    let file = daemon.home.path().join("layshaft.toml");
    let config = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, config.replace("name = \"ci\"", "name = \"ci\"\nserv = false")).unwrap();
    daemon.signal("HUP");
    eventually("the refusal is logged", || async { daemon.log().contains("serve") }).await;
    assert!(server.workers_for("build:quick").await > 0, "the old configuration stays in force");
    std::fs::write(&file, config.replace("name = \"ci\"", "name = \"ci\"\nserve = false")).unwrap();
    daemon.signal("HUP");
    // Its builds can still be stopped, all the while.
    eventually("the controller offers no builds", || async {
        assert_eq!(server.workers_for("stop:ci").await, 1);
        server.workers_for("build:quick").await == 0
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_demo_loses_nothing_and_starts_nothing_twice() {
    let demo = Command::new(env!("CARGO_BIN_EXE_layshaft")).args(["demo", "--json"]).stdin(Stdio::null()).output();
    let output = tokio::time::timeout(std::time::Duration::from_secs(120), demo).await.unwrap().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let board: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(board["rows"].as_array().unwrap().len(), 16);
    assert_eq!(board["surplus"], 0);
    assert!(board["offline"][0].as_str().unwrap().starts_with("beta-once"), "{}", board["offline"]);
}
