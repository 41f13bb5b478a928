//! The demo's servers, and the real runtime joined to them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::domain::ControllerName;
use crate::gearman::client::{self, Client, Submission, Update};
use crate::gearman::server::{self, Server};
use crate::gearman::worker;
use crate::jenkins::{self, BaseUrl, Credentials, Intervals};
use crate::journal::Journal;
use crate::policy::{self, Gate, Grant, Policies, SlotGuard};
use crate::runtime::status::Status;
use crate::runtime::{self, ControllerParts, Parts, Runtime, ServerParts};
use crate::simulator::{Fleet, Options, Simulator};

use super::fleet;

const USER: &str = "layshaft";
const TOKEN: &str = "the demo's own";

/// How often a controller is asked here; sites ask every few seconds.
const QUICK: Duration = Duration::from_millis(150);

const LOOK_AGAIN: Duration = Duration::from_millis(50);

pub(super) struct Site {
    pub(super) server: String,
    pub(super) controllers: BTreeMap<String, Simulator>,
    pub(super) runtime: Runtime,
    pub(super) client: Client,
    home: TempDir,
    stop: CancellationToken,
}

impl Site {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let stop = CancellationToken::new();
        let server = Server::bind("127.0.0.1:0", server::Config::default()).await?;
        let address = server.local_addr().to_string();
        tokio::spawn(server.run(stop.clone()));

        let home = TempDir::with_prefix("layshaft-demo-").context("failed to make a folder for the demo")?;
        let folder = home.path().join("policies");
        std::fs::create_dir(&folder)?;
        for file in fleet::POLICIES {
            std::fs::write(folder.join(file.name), file.content)?;
        }
        let policies = policy::Config {
            slots: BTreeMap::from([
                ("label-hierarchy".to_owned(), granted(&[Grant::Widen, Grant::Labels])),
                ("single-use-nodes".to_owned(), policy::SlotGuard { single_use: true, ..granted(&[Grant::Labels]) }),
            ]),
            quiet: Duration::from_millis(200),
            ..policy::Config::new(&folder)
        };
        let policies = tokio::task::spawn_blocking(|| Policies::open(policies)).await??;
        let policies = Arc::new(policies);
        tokio::spawn(Arc::clone(&policies).watch(stop.clone()));

        let mut controllers = BTreeMap::new();
        for (name, fleet) in [("alpha", fleet::alpha()), ("beta", fleet::beta())] {
            controllers.insert(name.to_owned(), start_controller(fleet).await?);
        }
        let parts = Parts {
            config: runtime::Config::default(),
            servers: vec![ServerParts { worker: worker::Config::new(address.clone(), ""), kind: None }],
            journal: Journal::open(home.path().join("journal.sqlite"))?,
            policies,
            controllers: controllers
                .iter()
                .map(|(name, simulator)| parts_of(name, simulator))
                .collect::<Result<_, _>>()?,
        };
        let runtime = Runtime::start(parts).await?;
        let client = Client::connect(&address, client::Config::default()).await?;
        client.option_exceptions().await?;
        Ok(Self { server: address, controllers, runtime, client, home, stop })
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.home.path().join("policies")
    }

    pub(super) async fn wait_until_ready(&self, patience: Duration) -> anyhow::Result<()> {
        self.wait(patience, "the runtime to be ready", |status| {
            let connected = status.gearman.iter().all(|server| server.connected == server.connections);
            let offered =
                status.controllers.len() == 2 && status.functions.contains_key(&known("build:shop/web/test:ubuntu"));
            status.not_ready.is_empty() && connected && offered
        })
        .await
    }

    pub(super) async fn builds_under_way(&self) -> anyhow::Result<usize> {
        Ok(self.runtime.status().await?.builds.len())
    }

    /// Gives the naming policy other settings, and waits until they are refused: they withdraw too much. Returns why.
    pub(super) async fn replace_naming_policy(&self, patience: Duration) -> anyhow::Result<String> {
        self.put(fleet::OTHER_NAMES.name, fleet::OTHER_NAMES.content)?;
        self.refusal_of("folder-names", patience).await
    }

    /// Says yes to the other settings, and waits until the new names are offered. Returns the generation.
    pub(super) async fn accept_naming_policy(&self, patience: Duration) -> anyhow::Result<u64> {
        self.runtime.policies().reload_accepting([Gate::Table, Gate::Orphans].into()).await;
        self.wait(patience, "the new names", |status| status.functions.contains_key(&known("build:shop.web.test")))
            .await?;
        Ok(self.runtime.status().await?.generation)
    }

    async fn refusal_of(&self, policy: &str, patience: Duration) -> anyhow::Result<String> {
        let error = |status: &Status| {
            status.policies.iter().find(|slot| slot.name == policy).and_then(|slot| slot.error.clone())
        };
        self.wait(patience, "a policy to be refused", |status| error(status).is_some()).await?;
        error(&self.runtime.status().await?).context("the refusal was withdrawn")
    }

    /// Drops half a component, and waits until it was refused. Returns why.
    pub(super) async fn drop_broken_policy(&self, patience: Duration) -> anyhow::Result<String> {
        self.put("50-broken.wasm", fleet::broken())?;
        let refusal = self.refusal_of("broken", patience).await?;
        std::fs::remove_file(self.folder().join("50-broken.wasm"))?;
        Ok(refusal)
    }

    /// Submits a job that the allow-list rejects. Returns what its client is told.
    pub(super) async fn submit_forbidden(&self) -> anyhow::Result<String> {
        let submission = Submission {
            function: "build:lint".into(),
            unique: "demo-forbidden".into(),
            payload: r#"{"JENKINS_HOME":"/tmp"}"#.into(),
            ..Submission::default()
        };
        let mut job = self.client.submit(submission).await?;
        loop {
            match job.next().await {
                Some(Update::Exception(text)) => return Ok(String::from_utf8_lossy(&text).into_owned()),
                Some(update) if update.is_last() => bail!("a forbidden job ended with {update:?}"),
                Some(_) => {}
                None => bail!("a forbidden job ended without a word"),
            }
        }
    }

    pub(super) async fn stop(self) {
        self.runtime.stop().await;
        self.stop.cancel();
    }

    async fn wait(&self, patience: Duration, what: &str, holds: impl Fn(&Status) -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + patience;
        while !holds(&self.runtime.status().await?) {
            if Instant::now() > deadline {
                bail!("waited in vain for {what}");
            }
            sleep(LOOK_AGAIN).await;
        }
        Ok(())
    }

    /// Writes a file as an operator should: elsewhere first, then renamed.
    fn put(&self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        let half: &Path = &self.home.path().join("half");
        std::fs::write(half, content)?;
        Ok(std::fs::rename(half, self.folder().join(name))?)
    }
}

fn known(function: &str) -> crate::domain::FunctionName {
    crate::domain::FunctionName::new(function).expect("the demo's functions are legal")
}

fn granted(grants: &[Grant]) -> SlotGuard {
    SlotGuard { grants: grants.iter().copied().collect(), ..SlotGuard::default() }
}

async fn start_controller(fleet: Fleet) -> anyhow::Result<Simulator> {
    Ok(Simulator::start(Options::new(USER, TOKEN, fleet)).await?)
}

fn parts_of(name: &str, simulator: &Simulator) -> anyhow::Result<ControllerParts> {
    let poll = Intervals { nodes: QUICK, projects: QUICK * 4, queue: QUICK, ..Intervals::default() };
    let jenkins = jenkins::Config {
        url: BaseUrl::parse(&simulator.url())?,
        user: USER.to_owned(),
        request_timeout: Duration::from_secs(10),
        poll,
    };
    let credentials = Credentials { user: USER.to_owned(), token: TOKEN.into() };
    Ok(ControllerParts {
        name: ControllerName::new(name),
        host: name.to_owned(),
        tags: BTreeSet::new(),
        serve: true,
        client: jenkins::Client::new(&jenkins, credentials)?,
        jenkins,
    })
}
