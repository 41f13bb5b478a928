//! Jobs of the management functions: how `stop` and `describe` reach the daemon that holds a controller.

use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use serde_json::Value;

use crate::domain::FunctionName;
use crate::gearman::Endpoint;
use crate::gearman::admin::{self, Admin};
use crate::gearman::client::{Client, Config, Error, Submission, Submitted, Update};

/// Management is answered at once by a connection that does nothing else, but Jenkins may be slow.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a management job ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Complete(Bytes),
    Fail,
}

/// Lets whoever manages a controller do something, and waits for the answer.
pub(super) async fn ask(server: &Endpoint, function: &FunctionName, payload: &Value) -> anyhow::Result<Answer> {
    let client = connect(server).await?;
    if is_offered(server, function.as_str()).await == Some(false) {
        bail!("nobody serves {function} now; check --host (`layshaft status` lists the hosts)");
    }
    let submission = Submission {
        function: Bytes::from(function.to_string()),
        payload: Bytes::from(payload.to_string()),
        ..Submission::default()
    };
    let mut job = submit(&client, submission).await?;
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

/// Returns whether somebody offers a function; none if the server does not say.
pub(super) async fn is_offered(server: &Endpoint, function: &str) -> Option<bool> {
    let second = Duration::from_secs(1);
    let config = admin::Config { connect_timeout: second, reply_timeout: second, ..admin::Config::default() };
    let functions = Admin::connect(server, config).await.ok()?.status().await.ok()?;
    // The text protocol cuts names at spaces, so such a name could not be found.
    let is_found = |offered: &admin::FunctionStatus| offered.function == function && offered.workers > 0;
    (!function.contains(char::is_whitespace)).then(|| functions.iter().any(is_found))
}

pub(super) async fn connect(server: &Endpoint) -> anyhow::Result<Client> {
    let client = Client::connect(server, Config::default()).await;
    client.context("no Gearman server to speak to; start one, or name another with --server")
}

/// Submits a job, and wants to hear the text of its exception if it ends with one.
pub(super) async fn submit(client: &Client, submission: Submission) -> Result<Submitted, Error> {
    let mut opting = std::pin::pin!(client.option_exceptions());
    let mut submitting = std::pin::pin!(client.submit(submission));
    let mut has_opted = false;
    loop {
        // The option goes out first; geard never answers it, so nobody waits for that.
        tokio::select! {
            biased;
            _ = &mut opting, if !has_opted => has_opted = true,
            submitted = &mut submitting => return submitted,
        }
    }
}
