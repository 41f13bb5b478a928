//! What this very program is when it is started again: a worker or a server of ours, in a process of its own.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use layshaft::gearman::server;
use layshaft::gearman::worker::{Config, Event, Report, Worker};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use super::server::ServerKind;

const FLAG: &str = "--role";

/// As the daemon has it where the server answers it.
const HEARTBEAT: Duration = Duration::from_secs(20);

#[derive(Clone, Debug)]
pub(crate) enum Role {
    /// One worker that echoes what it is sent.
    Work { server: SocketAddr, kind: ServerKind, function: String },
    /// Many workers that offer `build:0` to `build:N-1`.
    Register { server: SocketAddr, kind: ServerKind, workers: usize, functions: usize },
    /// A server.
    Serve { address: SocketAddr },
}

impl Role {
    /// Returns what this process was started for, if that is a role.
    pub(crate) fn of_this_process() -> anyhow::Result<Option<Self>> {
        let mut arguments = std::env::args().skip_while(|argument| argument != FLAG);
        if arguments.next().is_none() {
            return Ok(None);
        }
        let arguments: Vec<String> = arguments.collect();
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let kind =
            |name: &str| ServerKind::ALL.into_iter().find(|kind| kind.name() == name).context("unknown kind of server");
        Ok(Some(match arguments[..] {
            ["work", server, name, function] => {
                Self::Work { server: server.parse()?, kind: kind(name)?, function: function.to_owned() }
            }
            ["register", server, name, workers, functions] => Self::Register {
                server: server.parse()?,
                kind: kind(name)?,
                workers: workers.parse()?,
                functions: functions.parse()?,
            },
            ["serve", address] => Self::Serve { address: address.parse()? },
            _ => bail!("unknown role: {arguments:?}"),
        }))
    }

    /// Returns the command that starts this program in this role.
    pub(crate) fn command(&self) -> anyhow::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg(FLAG);
        match self {
            Self::Work { server, kind, function } => {
                command.args(["work", &server.to_string(), kind.name(), function]);
            }
            Self::Register { server, kind, workers, functions } => {
                let counts = [workers.to_string(), functions.to_string()];
                command.args(["register", &server.to_string(), kind.name()]).args(counts);
            }
            Self::Serve { address } => {
                command.args(["serve", &address.to_string()]);
            }
        }
        Ok(command)
    }

    /// Plays the role until the process is killed.
    pub(crate) fn play(self) -> anyhow::Result<()> {
        match self {
            Self::Work { server, kind, function } => daemons_runtime()?.block_on(async move {
                let functions = Arc::new(BTreeSet::from([Bytes::from(function)]));
                tokio::spawn(echo(config(server, kind, 0), functions)).await?;
                Ok(())
            }),
            Self::Register { server, kind, workers, functions } => daemons_runtime()?.block_on(async move {
                let names = (0..functions).map(|number| Bytes::from(format!("build:{number}")));
                let names: Arc<BTreeSet<Bytes>> = Arc::new(names.collect());
                let first = config(server, kind, 0);
                for number in 0..workers {
                    let mut config = first.clone();
                    config.client_id = format!("bench-{number}");
                    tokio::spawn(echo(config, Arc::clone(&names)));
                }
                std::future::pending().await
            }),
            Self::Serve { address } => servers_runtime()?.block_on(async move {
                let server = server::Server::bind(&address.to_string(), server::Config::default()).await?;
                tokio::spawn(server.run(CancellationToken::new())).await?;
                Ok(())
            }),
        }
    }
}

async fn echo(config: Config, functions: Arc<BTreeSet<Bytes>>) {
    let mut worker = Worker::new(config);
    worker.offer(functions);
    worker.grant();
    loop {
        if let Event::Assigned(job) = worker.event().await {
            worker.report(Report::Complete(job.payload));
        }
    }
}

fn config(server: SocketAddr, kind: ServerKind, number: usize) -> Config {
    let mut config = Config::new(server.to_string(), format!("bench-{number}"));
    config.heartbeat = (kind != ServerKind::Geard).then_some(HEARTBEAT);
    config
}

/// Returns the runtime that the daemon has.
fn daemons_runtime() -> anyhow::Result<Runtime> {
    Ok(Builder::new_multi_thread().enable_all().build()?)
}

/// Returns the runtime that `layshaft server` has.
fn servers_runtime() -> anyhow::Result<Runtime> {
    Ok(Builder::new_multi_thread().enable_all().build()?)
}
