//! The client and the daemon on a Jenkins of one's own: `docs/live.md` says how, and what is done there.
//!
//! Each check runs in a folder that it makes and deletes. The same checks run on `layshaft simulate` in every test run,
//! so that they do not rot.

use std::future::Future;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use layshaft::domain::{
    BuildId, BuildResult, ControllerName, LeftItem, NodeName, Parameters, ProjectName, QueueItemId,
};
use layshaft::gearman::worker;
use layshaft::jenkins::{self, BaseUrl, Cancelled, Clearing, Client, Credentials, Intervals, Trigger};
use layshaft::journal::Journal;
use layshaft::policy::{self, Policies};
use layshaft::runtime::{self, ControllerParts, Parts, Runtime, ServerParts};
use reqwest::{Method, StatusCode};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::task::LocalSet;

use crate::support::{GearmanServer, Kind, completion, eventually, within};

/// How long a real controller may take for anything here.
const PATIENCE: Duration = Duration::from_secs(90);

/// A real controller is somebody's: it is not asked more often than this.
const LOOK_AGAIN: Duration = Duration::from_millis(400);

/// Nothing carries this label.
const NOWHERE: &str = "layshaft-live-no-such-label";

macro_rules! live {
    ($($name:ident)*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            #[ignore = "needs a Jenkins in LAYSHAFT_JENKINS_URL, _USER and _TOKEN; docs/live.md tells what is done there"]
            async fn $name() {
                let setting = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set; see docs/live.md"));
                let [url, user, token] = ["URL", "USER", "TOKEN"].map(|name| setting(&format!("LAYSHAFT_JENKINS_{name}")));
                let node = std::env::var("LAYSHAFT_JENKINS_NODE").ok();
                Live::new(&url, &user, &token, node).run(checks::$name).await;
            }
        )*

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn the_live_suite_passes_on_a_simulated_controller() {
            let arguments = ["simulate", "--json", "--listen", "127.0.0.1:0", "--token", "t", "--nodes", "1", "--projects", "3"];
            let mut command = Command::new(env!("CARGO_BIN_EXE_layshaft"));
            let mut process = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
            let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
            let url = loop {
                let line = within("the controller to listen", lines.next_line()).await.unwrap().unwrap();
                if let Some(url) = line.trim().strip_prefix("\"url\": \"") {
                    break url.split('"').next().unwrap().to_owned();
                }
            };
            $(Live::new(&url, "layshaft", "t", Some("ci1-1".to_owned())).run(checks::$name).await;)*
        }
    };
}

live! {
    lists_are_read
    a_build_is_started_followed_and_described
    what_a_project_does_not_declare_is_dropped
    a_build_that_cannot_start_is_cancelled
    a_running_build_is_stopped
    a_disabled_project_is_not_buildable
    a_node_is_marked_offline_and_brought_back
    the_daemon_serves_a_job
}

struct Live {
    config: jenkins::Config,
    token: String,
    client: Client,
    http: reqwest::Client,
    /// Where everything happens.
    folder: String,
    /// A node that may be marked offline for a moment.
    node: Option<String>,
}

impl Live {
    fn new(url: &str, user: &str, token: &str, node: Option<String>) -> Arc<Self> {
        let config = jenkins::Config {
            url: BaseUrl::parse(url).unwrap(),
            user: user.to_owned(),
            request_timeout: Duration::from_secs(30),
            poll: Intervals::default(),
        };
        let credentials = Credentials { user: user.to_owned(), token: token.to_owned().into() };
        let client = Client::new(&config, credentials).unwrap();
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let folder = format!("layshaft-live-{:08x}", fastrand::u32(..));
        Arc::new(Self { config, token: token.to_owned(), client, http, folder, node })
    }

    /// Runs a check in a folder of its own, which is deleted whatever becomes of it.
    async fn run<F>(self: Arc<Self>, check: fn(Arc<Self>) -> F)
    where
        F: Future<Output = ()> + 'static,
    {
        let folder = "<com.cloudbees.hudson.plugins.folder.Folder><description>made by the live tests of layshaft; may be \
                      deleted</description></com.cloudbees.hudson.plugins.folder.Folder>";
        self.create("", &self.folder, folder).await;
        let tasks = LocalSet::new();
        let outcome = tasks.run_until(async { tokio::task::spawn_local(check(Arc::clone(&self))).await }).await;
        let status = self.send(Method::POST, &format!("job/{}/doDelete", self.folder), None).await;
        if let Err(error) = outcome {
            std::panic::resume_unwind(error.into_panic());
        }
        assert!(status.is_success() || status.is_redirection(), "the folder {} is left over: {status}", self.folder);
    }

    async fn send(&self, method: Method, path: &str, xml: Option<&str>) -> StatusCode {
        let url = format!("{}{path}", self.config.url.as_str());
        let mut request = self.http.request(method, url).basic_auth(&self.config.user, Some(&self.token));
        if let Some(xml) = xml {
            request = request.header("content-type", "application/xml").body(xml.to_owned());
        }
        request.send().await.unwrap().status()
    }

    async fn create(&self, below: &str, name: &str, xml: &str) {
        let status = self.send(Method::POST, &format!("{below}createItem?name={name}"), Some(xml)).await;
        assert_eq!(status, 200, "creating {name}; Job/Create is needed, and the Folders plugin");
    }

    /// Makes a project in the folder.
    async fn project(
        &self,
        name: &str,
        label: Option<&str>,
        parameters: &[&str],
        command: Option<&str>,
    ) -> ProjectName {
        let parameter = |name: &&str| {
            format!(
                "<hudson.model.StringParameterDefinition><name>{name}</name><defaultValue/>\
                 </hudson.model.StringParameterDefinition>"
            )
        };
        let parameters: String = parameters.iter().map(parameter).collect();
        let properties = match parameters.as_str() {
            "" => String::new(),
            parameters => format!(
                "<hudson.model.ParametersDefinitionProperty><parameterDefinitions>{parameters}</parameterDefinitions>\
                 </hudson.model.ParametersDefinitionProperty>"
            ),
        };
        let tie = label.map(|label| format!("<assignedNode>{label}</assignedNode>")).unwrap_or_default();
        let builders = command
            .map(|command| format!("<hudson.tasks.Shell><command>{command}</command></hudson.tasks.Shell>"))
            .unwrap_or_default();
        let xml = format!(
            "<project><properties>{properties}</properties>{tie}<canRoam>{}</canRoam><disabled>false</disabled>\
             <concurrentBuild>true</concurrentBuild><builders>{builders}</builders></project>",
            label.is_none(),
        );
        self.create(&format!("job/{}/", self.folder), name, &xml).await;
        ProjectName::new(format!("{}/{name}", self.folder))
    }

    /// Starts a build and returns its queue item.
    async fn start(&self, project: &ProjectName, parameters: &[(&str, &str)]) -> QueueItemId {
        let parameters: Parameters = parameters.iter().copied().collect();
        match self.client.start(project, !parameters.is_empty(), &parameters).await.unwrap() {
            Trigger::Queued(item) => item,
            other => panic!("the build of {project} was not queued: {other:?}"),
        }
    }

    /// Waits until an item has become a build.
    async fn started(&self, item: QueueItemId) -> BuildId {
        soon("the build starts; some executor has to be free for any project", async || {
            match self.client.left_item(item).await.unwrap() {
                LeftItem::Started(build) => Some(build),
                LeftItem::Queued | LeftItem::Starting => None,
                other => panic!("the build will never start: {other:?}"),
            }
        })
        .await
    }
}

/// Looks now and then until there is something to see.
async fn soon<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(tokio::time::Instant::now() < deadline, "never came true: {what}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

mod checks {
    use super::*;

    pub(super) async fn lists_are_read(live: Arc<Live>) {
        let client = &live.client;
        let lint = live.project("lint", Some("a || b"), &["UUID"], None).await;
        let nodes = client.nodes().await.unwrap();
        let own = nodes.value.iter().find(|node| node.name == NodeName::BuiltIn).expect("every controller has a node");
        assert!(["built-in", "master"].iter().any(|label| own.labels.contains(*label)), "{:?}", own.labels);
        let modes = client.modes().await.unwrap();
        assert!(
            modes.value.contains_key(&NodeName::BuiltIn),
            "the label that nothing has is every node's when negated"
        );
        let projects = client.projects().await.unwrap();
        let listed = projects.value.iter().find(|project| project.name == lint).expect("the new project is listed");
        assert_eq!((listed.buildable, listed.concurrent, listed.parameters.as_ref()), (true, true, None));
        assert_eq!(listed.label.as_deref(), Some("a || b"));
        let declared = client.parameters_of(&lint).await.unwrap();
        assert_eq!(declared.iter().map(|parameter| parameter.name.as_str()).collect::<Vec<_>>(), ["UUID"]);
        assert!(client.has_project(&lint).await.unwrap());
        assert!(!client.has_project(&ProjectName::new(format!("{}/none", live.folder))).await.unwrap());
        client.queue().await.unwrap();
        assert!(!client.quieting_down().await.unwrap().value, "nothing would start");
        // The same process answered all of them.
        assert_eq!((&nodes.instance, &projects.instance), (&modes.instance, &nodes.instance));
    }

    pub(super) async fn a_build_is_started_followed_and_described(live: Arc<Live>) {
        let lint = live.project("lint", None, &["UUID"], None).await;
        let item = live.start(&lint, &[("UUID", "u-1 & ü")]).await;
        let id = live.started(item).await;
        assert_eq!(id, BuildId { project: lint.clone(), number: 1 });
        let build =
            soon("the build ends", async || live.client.build(&id).await.unwrap().filter(|build| !build.in_progress))
                .await;
        assert_eq!((build.result, build.queue_id), (Some(BuildResult::Success), Some(item)));
        assert_eq!(build.parameters.get("UUID"), Some("u-1 & ü"));
        let listed = live.client.builds_of(&lint, 5).await.unwrap();
        assert_eq!(listed.iter().map(|build| build.queue_id).collect::<Vec<_>>(), [Some(item)]);
        live.client.set_description(&id, "seen by layshaft").await.unwrap();
        // It is over, and Jenkins says the same as if it was not.
        live.client.stop(&id).await.unwrap();
        assert_eq!(live.client.cancel(item).await.unwrap(), Cancelled::TooLate);
    }

    pub(super) async fn what_a_project_does_not_declare_is_dropped(live: Arc<Live>) {
        let lint = live.project("lint", None, &["UUID"], None).await;
        let item = live.start(&lint, &[("UUID", "u-1"), ("NOT_DECLARED", "x")]).await;
        let id = live.started(item).await;
        let build = live.client.build(&id).await.unwrap().expect("it is there");
        assert_eq!(build.parameters.names().collect::<Vec<_>>(), ["UUID"]);
    }

    pub(super) async fn a_build_that_cannot_start_is_cancelled(live: Arc<Live>) {
        let stuck = live.project("stuck", Some(NOWHERE), &["UUID"], None).await;
        let item = live.start(&stuck, &[("UUID", "u-1")]).await;
        let same = Parameters::from_iter([("UUID", "u-1")]);
        let merged = live.client.start(&stuck, true, &same).await.unwrap();
        assert!(matches!(merged, Trigger::MergedInto(twin) | Trigger::Queued(twin) if twin == item), "{merged:?}");
        let other = live.start(&stuck, &[("UUID", "u-2")]).await;
        assert_ne!(other, item);
        let queue = live.client.queue().await.unwrap().value;
        let listed = queue.iter().find(|listed| listed.id == item).expect("it waits");
        assert_eq!((listed.project.as_ref(), listed.parameters.get("UUID")), (Some(&stuck), Some("u-1")));
        for item in [item, other] {
            assert_eq!(live.client.cancel(item).await.unwrap(), Cancelled::Yes);
            assert_eq!(live.client.left_item(item).await.unwrap(), LeftItem::Cancelled);
        }
    }

    pub(super) async fn a_running_build_is_stopped(live: Arc<Live>) {
        let slow = live.project("slow", None, &["UUID"], Some("sleep 300")).await;
        let id = live.started(live.start(&slow, &[("UUID", "u-1")]).await).await;
        let shown = soon("the build shows on a node", async || {
            let nodes = live.client.nodes().await.unwrap().value;
            nodes.iter().flat_map(|node| node.builds()).find(|build| build.id == id).cloned()
        })
        .await;
        assert_eq!(shown.parameters.get("UUID"), Some("u-1"));
        live.client.stop(&id).await.unwrap();
        let build =
            soon("the build ends", async || live.client.build(&id).await.unwrap().filter(|build| !build.in_progress))
                .await;
        assert_eq!(build.result, Some(BuildResult::Aborted), "the node's shell was that of a Unix?");
    }

    pub(super) async fn a_disabled_project_is_not_buildable(live: Arc<Live>) {
        let off = live.project("off", None, &[], None).await;
        let status = live.send(Method::POST, &format!("job/{}/job/off/disable", live.folder), None).await;
        assert!(status.is_redirection() || status.is_success(), "{status}");
        let projects = live.client.projects().await.unwrap().value;
        assert!(!projects.iter().find(|project| project.name == off).unwrap().buildable);
        let refused = live.client.start(&off, false, &Parameters::new()).await.unwrap_err();
        assert!(!refused.is_outcome_unknown(), "{refused}");
        assert!(live.client.builds_of(&off, 5).await.unwrap().is_empty());
    }

    pub(super) async fn a_node_is_marked_offline_and_brought_back(live: Arc<Live>) {
        let Some(node) = live.node.as_deref().map(NodeName::agent) else {
            return skip("LAYSHAFT_JENKINS_NODE is not set");
        };
        for _ in 0..2 {
            live.client.mark_offline(&node, "layshaft live test [mark]").await.unwrap();
        }
        let seen = live.client.nodes().await.unwrap().value;
        let marked = seen.into_iter().find(|seen| seen.name == node).expect("the node is there");
        let cleared = live.client.clear_offline(&node, Some("[mark]")).await.unwrap();
        assert_eq!((marked.temporarily_offline, marked.is_online()), (true, false));
        assert_eq!(marked.offline_reason.as_deref(), Some("layshaft live test [mark]"));
        assert_eq!(cleared, Clearing::Cleared);
        assert_eq!(live.client.clear_offline(&node, None).await.unwrap(), Clearing::WasNotMarked);
    }

    pub(super) async fn the_daemon_serves_a_job(live: Arc<Live>) {
        let name = format!("job-of-{}", live.folder);
        live.project(&name, None, &["UUID"], None).await;
        let server = GearmanServer::start(Kind::Layshaft).await;
        let home = TempDir::new().unwrap();
        std::fs::create_dir(home.path().join("policies")).unwrap();
        let parts = Parts {
            config: runtime::Config::default(),
            servers: vec![ServerParts { worker: worker::Config::new(server.address.as_str(), ""), kind: None }],
            journal: Journal::open(home.path().join("journal.sqlite")).unwrap(),
            policies: Arc::new(Policies::open(policy::Config::new(home.path().join("policies"))).unwrap()),
            controllers: vec![ControllerParts {
                name: ControllerName::new("live"),
                host: "layshaft-live".to_owned(),
                tags: std::collections::BTreeSet::new(),
                serve: true,
                client: live.client.clone(),
                jenkins: live.config.clone(),
            }],
        };
        let runtime = Runtime::start(parts).await.unwrap();
        let function = format!("build:{name}");
        eventually("some executor offers the project", || async { server.workers_for(&function).await > 0 }).await;
        let report = completion(&server.run(&function, "u-1", "{}").await);
        assert_eq!(
            (&report["result"], &report["number"], &report["name"]),
            (&"SUCCESS".into(), &1.into(), &name.into())
        );
        runtime.stop().await;
    }
}

#[expect(clippy::print_stderr, reason = "a test that did not run has to say so")]
fn skip(why: &str) {
    eprintln!("skipped: {why}");
}
