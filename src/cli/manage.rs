//! Jobs of the management functions: how `stop` and `describe` reach the daemon that holds a controller.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use serde_json::Value;

use crate::domain::FunctionName;
use crate::gearman::Endpoint;
use crate::gearman::admin::{self, Admin};
use crate::gearman::client::{Client, Config, Error, Failover, Submission, Update};

/// Management is answered at once by a connection that does nothing else, but Jenkins may be slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a management job ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Complete(Bytes),
    Fail,
}

/// A server that does not answer echoes any more while a job is waited for is lost.
const HEARTBEAT: Duration = Duration::from_secs(30);

/// Lets whoever manages a controller do something, and waits for the answer.
pub(super) async fn ask(servers: &[Endpoint], function: &FunctionName, payload: &Value) -> anyhow::Result<Answer> {
    let client = connect_to_workers(servers, function).await?;
    let submission = Submission {
        function: Bytes::from(function.to_string()),
        payload: Bytes::from(payload.to_string()),
        ..Submission::default()
    };
    let mut job = client.submit(submission).await?;
    let answer = async {
        while let Some(update) = job.next().await {
            match update {
                Update::Complete(data) => return Ok(Answer::Complete(data)),
                Update::Fail => return Ok(Answer::Fail),
                Update::Exception(text) => bail!("{}", String::from_utf8_lossy(&text)),
                Update::ServerLost => return Err(Error::Lost.into()),
                Update::Data(_) | Update::Warning(_) | Update::Status { .. } => {}
            }
        }
        Err(Error::Lost.into())
    };
    tokio::time::timeout(PATIENCE, answer).await.map_err(|_| {
        anyhow!("nobody answered {function} within {PATIENCE:?}; `layshaft status` lists the hosts, and says if the daemon is connected")
    })?
}

/// Connects to the first server that can be reached and where the function may be offered.
async fn connect_to_workers(servers: &[Endpoint], function: &FunctionName) -> anyhow::Result<Client> {
    let mut is_any_reached = false;
    let mut last_error = None;
    for server in servers {
        let client = match Client::connect(server, config()).await {
            Ok(client) => client,
            Err(error) => {
                last_error = Some(error);
                continue;
            }
        };
        is_any_reached = true;
        if is_offered(server, function.as_str()).await != Some(false) {
            return Ok(client);
        }
    }
    match last_error {
        Some(error) if !is_any_reached => Err(error).context(NO_SERVER),
        _ => bail!("nobody serves {function} now; check --host (`layshaft status` lists the hosts)"),
    }
}

/// Returns whether somebody offers a function; none if the server does not say.
pub(super) async fn is_offered(server: &Endpoint, function: &str) -> Option<bool> {
    let second = Duration::from_secs(1);
    let config = admin::Config { connect_timeout: second, reply_timeout: second, ..admin::Config::default() };
    let functions = Admin::connect(server, config).await.ok()?.status().await.ok()?;
    // The text protocol cuts names at spaces, so such a name could not be found.
    let is_found = |offered: &admin::FunctionStatus| offered.function == function && offered.workers > 0;
    (!function.contains(char::is_whitespace)).then(|| functions.iter().any(is_found))
}

/// What to say when no server is there.
pub(super) const NO_SERVER: &str = "no Gearman server to speak to; start one, or name another with --server";

/// Returns a client of servers that is connected to one of them, and lets them take so long to accept a job.
pub(super) async fn connect(servers: Vec<Endpoint>, accept: Duration) -> anyhow::Result<(Failover, Client)> {
    let mut servers = Failover::new(servers, Config { submit_timeout: accept, ..config() });
    let client = servers.client().await.context(NO_SERVER)?;
    Ok((servers, client))
}

/// The texts of exceptions are asked for, and the server is asked now and then whether it is there.
fn config() -> Config {
    Config { exceptions: true, heartbeat: Some(HEARTBEAT), ..Config::default() }
}
