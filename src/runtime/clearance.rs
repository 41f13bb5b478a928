//! Looks at each Gearman server before anything is offered there: what kind it is, and whether somebody else already
//! serves a controller's management functions (two managers of one name would answer each other's clients). A server
//! that does not answer holds up no other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{error, info, warn};

use crate::domain::{ControllerName, FunctionName};
use crate::gearman::Endpoint;
use crate::gearman::admin::{self, Admin, ServerKind};

use super::reconciler::Clearances;
use super::server::Server;
use super::site::Site;

const RETRY: Duration = Duration::from_secs(1);
/// The connections of a daemon that just died are listed for a moment.
const PATIENCE: u32 = 5;
/// Somebody who has just switched the plugin off is waiting; the list of all workers can be long.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

/// Asks the server what it is, until it answers.
async fn server_kind(server: &Endpoint) -> ServerKind {
    let mut told = String::new();
    loop {
        let asked = async { Admin::connect(server, admin::Config::default()).await?.server_kind().await };
        match asked.await {
            Ok(kind) => {
                info!(%server, ?kind, "reached the gearman server");
                return kind;
            }
            Err(error) => {
                let error = error.to_string();
                if error != told {
                    warn!(%server, error, "the gearman server cannot be reached; trying again");
                    told = error;
                }
            }
        }
        sleep(RETRY).await;
    }
}

/// Clears controllers at every server, each at its own pace, until the site stops.
pub(super) fn clear(site: &Arc<Site>, hosts: &BTreeMap<ControllerName, String>, cleared: &watch::Sender<Clearances>) {
    for number in 0..site.servers.len() {
        let clearing = clear_at(Arc::clone(site), number, hosts.clone(), cleared.clone());
        tokio::spawn(site.stop.clone().run_until_cancelled_owned(clearing));
    }
}

/// Asks a server what it is, clears the controllers there one by one, and keeps looking at those that could not be
/// cleared. A controller that was reconfigured meanwhile is left to the task that came with its configuration.
async fn clear_at(
    site: Arc<Site>,
    number: usize,
    hosts: BTreeMap<ControllerName, String>,
    cleared: watch::Sender<Clearances>,
) {
    let server = &site.servers[number];
    if server.kind().is_none() {
        server.is(server_kind(server.endpoint()).await);
    }
    let address = server.endpoint();
    let not_cleared = || {
        let is_open = |(name, host): &(&ControllerName, &String)| {
            let is_current = site.controller(name).is_some_and(|controller| controller.host == **host);
            is_current && !matches!(cleared.borrow().get(&((*name).clone(), number)), Some(Ok(())))
        };
        hosts.iter().filter(is_open).collect::<Vec<_>>()
    };
    let mut tries = 0;
    while !not_cleared().is_empty() {
        match served_functions(server).await {
            Ok(served) => {
                tries += 1;
                for (name, host) in not_cleared() {
                    let is_taken = FunctionName::stop(host).is_ok_and(|stop| served.contains(stop.as_str()));
                    if !is_taken {
                        cleared.send_modify(|cleared| drop(cleared.insert((name.clone(), number), Ok(()))));
                    } else if tries == PATIENCE {
                        let reason = format!(
                            "another worker already serves stop:{host} at {address}: switch the gearman plugin (or the other daemon) off \
                             on this controller, or give it another `host`"
                        );
                        error!(controller = %name, %reason, "controller is not served there");
                        cleared.send_modify(|cleared| drop(cleared.insert((name.clone(), number), Err(reason))));
                    }
                }
            }
            Err(error) => {
                warn!(server = %address, %error, "failed to ask the gearman server for its workers; trying again");
            }
        }
        sleep(if tries < PATIENCE { RETRY } else { LOOK_AGAIN }).await;
    }
}

async fn served_functions(server: &Server) -> Result<BTreeSet<String>, admin::Error> {
    let workers = server.list_workers().await?;
    Ok(workers.into_iter().flat_map(|worker| worker.functions).collect())
}
