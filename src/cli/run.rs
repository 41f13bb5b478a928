use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Interval;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use super::arguments::ConfigFile;
use super::interrupts::Interrupts;
use super::{Exit, log};
use crate::config::{Config, Controller, Gearman, Kind};
use crate::gearman::admin::ServerKind;
use crate::gearman::{Address, Endpoint, worker};
use crate::journal::Journal;
use crate::policy::Policies;
use crate::runtime::status::BuildStatus;
use crate::runtime::{ControllerParts, Parts, Runtime, ServerParts};
use crate::{jenkins, web};

/// How often a drain tells what it waits for.
const BETWEEN_REMINDERS: Duration = Duration::from_secs(30);

/// How long the runtime may take to tell how it is.
const PATIENCE: Duration = Duration::from_secs(3);

/// Whoever asks something at the very end has so long to hear the answer.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

/// Run the daemon that a configuration describes.
///
/// SIGHUP reads the configuration again, all of it or nothing. SIGTERM and SIGINT take no more jobs and end with the
/// last running build; a second one ends at once, and the next start takes up the builds that run.
#[derive(Debug, clap::Args)]
pub(super) struct Run {
    #[command(flatten)]
    config: ConfigFile,
}

/// A daemon that runs.
struct Daemon {
    file: PathBuf,
    config: Config,
    runtime: Arc<Runtime>,
    stop: CancellationToken,
    control: web::Server,
}

/// What the daemon's loop hears of.
enum Event {
    Ended,
    Terminate,
    Reload,
    Remind,
}

impl Run {
    pub(super) async fn run(&self, log: Option<&str>) -> anyhow::Result<Exit> {
        let file = self.config.path();
        let config = Config::load(&file)?;
        log::start(log, &config.log.filter, config.log.format)?;
        for warning in &config.warnings {
            warn!("{warning}");
        }
        Daemon::start(file, config).await?.run().await?;
        Ok(Exit::Ok)
    }
}

impl Daemon {
    async fn start(file: PathBuf, config: Config) -> anyhow::Result<Self> {
        // First, since it finds out whether another daemon runs.
        let channel = web::Channel::open(control(&config)).await?;
        let controllers = controllers(&config.controllers)?;
        let journal = journal(&config.journal.file)?;
        let policies = config.policies.clone();
        let policies = tokio::task::spawn_blocking(|| Policies::open(policies)).await??;
        let policies = Arc::new(policies);
        let stop = CancellationToken::new();
        tokio::spawn(Arc::clone(&policies).watch(stop.child_token()));
        let parts =
            Parts { config: config.builds.clone(), servers: servers(&config.gearman), journal, policies, controllers };
        let runtime = Arc::new(Runtime::start(parts).await?);
        let control = channel.serve(Arc::clone(&runtime), stop.child_token());
        info!(config = %file.display(), gearman = config.gearman.servers.join(", "), controllers = config.controllers.len(), "layshaft {} runs", env!("CARGO_PKG_VERSION"));
        Ok(Self { file, config, runtime, stop, control })
    }

    /// Serves until it has ended, or is told to end.
    async fn run(mut self) -> anyhow::Result<()> {
        let mut interrupts = Interrupts::catch()?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut drain: Option<Interval> = None;
        loop {
            let is_draining = drain.is_some();
            let reminder = async {
                match &mut drain {
                    Some(reminders) => drop(reminders.tick().await),
                    None => std::future::pending().await,
                }
            };
            // Every arm is cancel-safe.
            let event = tokio::select! {
                () = self.runtime.stopped() => Event::Ended,
                () = interrupts.next() => Event::Terminate,
                _ = hangup.recv() => Event::Reload,
                () = reminder => Event::Remind,
            };
            match event {
                Event::Ended => break,
                Event::Terminate if is_draining => {
                    info!("ending at once; builds that run go on in Jenkins, and the next start takes them up");
                    break;
                }
                Event::Terminate => {
                    info!(
                        "draining: no more jobs are taken, and the daemon ends with its last build; a second signal ends it at once"
                    );
                    self.runtime.drain()?;
                    drain = Some(tokio::time::interval(BETWEEN_REMINDERS));
                }
                Event::Reload => match self.reload() {
                    Ok(()) => info!(config = %self.file.display(), "the configuration was read again and is in force"),
                    Err(error) => error!("the configuration stays as it was: {error:#}"),
                },
                Event::Remind => self.remind().await,
            }
        }
        self.end().await;
        Ok(())
    }

    /// Takes over the configuration as it is now, all of it or nothing.
    fn reload(&mut self) -> anyhow::Result<()> {
        let config = Config::load(&self.file)?;
        let sections = self.config.needs_restart_for(&config);
        if !sections.is_empty() {
            bail!(
                "[{}] changed, or a file named there, which takes force only with a restart of the daemon",
                sections.join("], [")
            );
        }
        self.runtime.reconfigure(config.builds.clone(), controllers(&config.controllers)?)?;
        for warning in &config.warnings {
            warn!("{warning}");
        }
        self.config = config;
        Ok(())
    }

    async fn remind(&self) {
        // The loop must hear the second signal, whatever the runtime is busy with.
        let Ok(status) = tokio::time::timeout(PATIENCE, self.runtime.status()).await else {
            warn!(
                gearman = self.config.gearman.servers.join(", "),
                "nothing is known of running builds yet, no gearman server may be reachable; a second signal ends the daemon at once"
            );
            return;
        };
        // One that has stopped meanwhile waits for nothing.
        let Ok(status) = status else { return };
        for build in status.builds {
            let BuildStatus { function, controller, project, number, unique, .. } = &build;
            info!(%function, %controller, %project, number, unique, "waiting for a build");
        }
    }

    async fn end(self) {
        self.stop.cancel();
        if tokio::time::timeout(LAST_ANSWERS, self.control.stopped()).await.is_err() {
            warn!("somebody still asks on the control channel; ending anyway");
        }
        match Arc::into_inner(self.runtime) {
            Some(runtime) => runtime.stop().await,
            None => warn!("the runtime is still in use; ending anyway"),
        }
        info!("layshaft has ended");
    }
}

fn control(config: &Config) -> web::Config {
    let control = &config.control;
    web::Config {
        socket: control.socket.clone().unwrap_or_else(web::default_socket),
        users: control.users.clone(),
        tcp: control.tcp.as_ref().map(|tcp| web::Tcp { listen: tcp.listen, token: tcp.token.clone() }),
        monitoring: config.web.clone().map(|web| web::Monitoring { listen: web.listen, token: web.token }),
    }
}

fn journal(file: &Path) -> anyhow::Result<Journal> {
    if let Some(folder) = file.parent() {
        // What clients sent is in it.
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.with_context(|| format!("failed to make the folder {} for the journal", folder.display()))?;
    }
    Journal::open(file).with_context(|| format!("failed to open the journal {}", file.display()))
}

fn servers(gearman: &Gearman) -> Vec<ServerParts> {
    let parts = |server: &String| {
        // Each connection gets its own client id.
        let mut worker = worker::Config::new(
            Endpoint { address: Address::from(server.as_str()), tls: gearman.loaded_tls.clone() },
            "",
        );
        worker.connect_timeout = gearman.connect_timeout;
        worker.backoff_cap = gearman.longest_pause;
        ServerParts { worker, kind: server_kind(gearman.kind) }
    };
    gearman.servers.iter().map(parts).collect()
}

pub(super) fn server_kind(kind: Kind) -> Option<ServerKind> {
    match kind {
        Kind::Auto => None,
        // Nobody asked it for its version.
        Kind::Gearmand => Some(ServerKind::Gearmand { version: String::new() }),
        Kind::Geard => Some(ServerKind::Geard),
    }
}

fn controllers(controllers: &[Controller]) -> anyhow::Result<Vec<ControllerParts>> {
    let parts = |controller: &Controller| {
        let client = jenkins::Client::new(&controller.jenkins, controller.credentials.clone())
            .with_context(|| format!("failed to prepare the client of controller {}", controller.name))?
            .privileged(controller.privileged);
        Ok(ControllerParts {
            name: controller.name.clone(),
            host: controller.host.clone(),
            tags: controller.tags.clone(),
            serve: controller.serve,
            client,
            jenkins: controller.jenkins.clone(),
        })
    };
    controllers.iter().map(parts).collect()
}
