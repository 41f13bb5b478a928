//! Asks everybody, and changes nothing: GET requests to controllers, `workers` of Gearman servers, files that are read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::progress::Progress;
use crate::cli::arguments::ControlSocket;
use crate::cli::run::server_kind;
use crate::config::{self, Config, Gearman};
use crate::doctor::{Controller, Daemon, Facts, Policy, PolicyFolder, Rules, Seen, SeenServer, Sent, Server};
use crate::domain::ControllerName;
use crate::gearman::admin::{self, Admin, ServerKind};
use crate::gearman::{Address, Endpoint};
use crate::{jenkins, policy};

/// So many controllers and servers are asked at once.
const AT_ONCE: usize = 8;

pub(super) struct Gathered {
    pub(super) facts: Facts,
    pub(super) clients: BTreeMap<ControllerName, jenkins::Client>,
}

pub(super) async fn gather(
    config: &Config,
    sent: Vec<Sent>,
    socket: &ControlSocket,
    limit: Duration,
    progress: &Progress,
) -> Gathered {
    let places = Semaphore::new(AT_ONCE);
    let clients: BTreeMap<ControllerName, Result<jenkins::Client, jenkins::Error>> = config
        .controllers
        .iter()
        .map(|it| (it.name.clone(), jenkins::Client::new(&it.jenkins, it.credentials.clone())))
        .collect();
    let (controllers, servers, policies, daemon) = tokio::join!(
        all(&places, config.controllers.iter().map(|it| controller(it, &clients[&it.name], limit, progress))),
        all(&places, config.gearman.servers.iter().map(|it| server(&config.gearman, it, limit, progress))),
        progress.during("checking policies".to_owned(), policies(&config.policies)),
        progress.during("asking the daemon".to_owned(), daemon(config, socket)),
    );
    let facts = Facts {
        rules: Rules {
            markers: config.builds.markers.clone(),
            pin_parameters: config.builds.pin_parameters.clone(),
            offline_max: config.builds.offline_max,
        },
        warnings: config.warnings.clone(),
        policies,
        controllers,
        servers,
        daemon,
        sent,
    };
    let clients = clients.into_iter().filter_map(|(name, client)| Some((name, client.ok()?))).collect();
    Gathered { facts, clients }
}

/// Waits for all of them, a few at a time, and returns what came of them in their order.
async fn all<T>(places: &Semaphore, steps: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let in_place = steps.map(|step| async {
        let _place = places.acquire().await;
        step.await
    });
    join_all(in_place).await
}

async fn controller(
    config: &config::Controller,
    client: &Result<jenkins::Client, jenkins::Error>,
    limit: Duration,
    progress: &Progress,
) -> Controller {
    let seen = match client {
        Ok(client) => match timeout(limit, look(&config.name, client, progress)).await {
            Ok(seen) => seen,
            Err(_) => Err(jenkins::Error::TimedOut),
        },
        Err(error) => Err(error.clone()),
    };
    Controller {
        name: config.name.clone(),
        host: config.host.clone(),
        url: config.jenkins.url.to_string(),
        serve: config.serve,
        has_user: !config.credentials.user.is_empty(),
        seen,
    }
}

async fn look(name: &ControllerName, client: &jenkins::Client, progress: &Progress) -> Result<Seen, jenkins::Error> {
    let ahead = progress.during(format!("asking {name}"), ahead(client)).await?;
    let mut nodes = progress.during(format!("asking {name} for its nodes"), client.nodes()).await?;
    // Very old controllers do not know that question; then no node counts as reserved.
    let modes = client.modes().await.map(|modes| modes.value).unwrap_or_default();
    for node in &mut nodes.value {
        node.mode = modes.get(&node.name).copied().unwrap_or_default();
    }
    let projects = client.projects_with_parameters();
    let projects = progress.during(format!("asking {name} for its projects"), projects).await?.value;
    let may_connect = client.may_connect().await.ok().flatten();
    Ok(Seen { instance: nodes.instance, ahead, nodes: nodes.value, projects, may_connect })
}

/// Returns by how many seconds a controller's clock is ahead of ours.
async fn ahead(client: &jenkins::Client) -> Result<Option<i64>, jenkins::Error> {
    let before = SystemTime::now();
    let theirs = client.clock().await?;
    let since_epoch = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    // They answered somewhere in between, and cut off the fraction of a second.
    let ours = f64::midpoint(since_epoch(before), since_epoch(SystemTime::now()));
    Ok(theirs.map(|theirs| (since_epoch(theirs) + 0.5 - ours).round() as i64))
}

async fn server(gearman: &Gearman, address: &str, limit: Duration, progress: &Progress) -> Server {
    let endpoint = Endpoint { address: Address::from(address), tls: gearman.loaded_tls.clone() };
    let config = admin::Config { connect_timeout: gearman.connect_timeout, ..admin::Config::default() };
    let asking = async {
        let mut admin = Admin::connect(endpoint, config).await?;
        let kind = admin.server_kind().await?;
        let workers = if kind == ServerKind::Other { Vec::new() } else { admin.workers().await? };
        Ok::<_, admin::Error>(SeenServer { kind, workers })
    };
    let asked = progress.during(format!("asking gearman server {address}"), timeout(limit, asking)).await;
    let seen = match asked {
        Ok(answered) => answered.map_err(|error| error.to_string()),
        Err(_) => Err(format!("it did not answer within {}", humantime::format_duration(limit))),
    };
    Server { address: address.to_owned(), expected: server_kind(gearman.kind), seen }
}

async fn policies(config: &policy::Config) -> PolicyFolder {
    let path = config.folder.display().to_string();
    let config = config.clone();
    // Each is compiled, as the daemon would.
    let checked = tokio::task::spawn_blocking(move || check_folder(&config)).await;
    PolicyFolder { path, policies: checked.unwrap_or_else(|error| Err(error.to_string())) }
}

fn check_folder(config: &policy::Config) -> Result<Vec<Policy>, String> {
    let folder = &config.folder;
    let files = policy::files(folder)
        .map_err(|error| format!("the policy folder {} cannot be read: {error}", folder.display()))?;
    let check = |path: &PathBuf| {
        let hooks = policy::check(path, config).map(|report| report.hooks).map_err(|error| error.to_string());
        Policy { file: path.file_name().unwrap_or_default().to_string_lossy().into_owned(), hooks }
    };
    Ok(files.iter().map(check).collect())
}

/// Asks the daemon that the configuration is for, if it runs here.
async fn daemon(config: &Config, socket: &ControlSocket) -> Option<Daemon> {
    let status = socket.client_or(config.control.socket.as_deref()).ok()?.status().await.ok()?;
    let mut client_ids = BTreeSet::new();
    for controller in &status.controllers {
        // A daemon that found its host taken has no manager there.
        let is_withheld =
            controller.trouble.as_ref().is_some_and(|it| it.contains(&format!("stop:{}", controller.host)));
        if !is_withheld {
            client_ids.insert(format!("{}_manager", controller.host));
        }
        let workers = controller.nodes.iter().flat_map(|node| &node.workers);
        client_ids.extend(workers.filter(|worker| worker.connected).map(|worker| worker.client_id.clone()));
    }
    let servers =
        status.gearman.into_iter().filter(|server| server.connected > 0).map(|server| server.server).collect();
    let undeclared = status.undeclared.into_iter().map(|it| ((it.controller, it.project), it.names)).collect();
    Some(Daemon { servers, client_ids, undeclared })
}
