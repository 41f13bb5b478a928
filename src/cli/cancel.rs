use anyhow::{anyhow, bail};
use bytes::Bytes;
use serde::Serialize;

use super::arguments::JobServer;
use super::{Exit, manage, terminal};
use crate::gearman::client::{Client, Error, JobStatus};
use crate::gearman::{Endpoint, admin};

const NOTES: &str = "Example: layshaft cancel H:gear1:42 --server gear1

No server tells a worker that its job was cancelled: a build that runs goes on, and `layshaft stop` stops it. gearmand and
`layshaft server` let whoever waits for the job see it fail. geard cancels only jobs that have not started, and lets their
clients wait on.";

/// Cancel a job.
///
/// With several servers, the one that knows the job is asked.
#[derive(Debug, clap::Args)]
#[command(after_help = NOTES)]
pub(super) struct Cancel {
    /// The job's handle, as `layshaft submit` and `layshaft queue --jobs` show it.
    #[arg(value_parser = handle)]
    handle: String,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: JobServer,
}

/// What became of it.
#[derive(Debug, Serialize)]
struct Outcome<'a> {
    handle: &'a str,
    server: String,
    cancelled: bool,
    /// It was with a worker, which is not told.
    was_running: bool,
    reason: Option<String>,
}

/// A server that was asked about the job.
struct Answered {
    client: Client,
    status: JobStatus,
}

impl Cancel {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let handle = Bytes::from(self.handle.clone());
        let Answered { client, status } = self.find(&handle).await?;
        let mut outcome = Outcome {
            handle: &self.handle,
            server: client.server().to_string(),
            cancelled: true,
            was_running: status.running,
            reason: None,
        };
        match client.cancel(&handle).await {
            Ok(()) => {}
            Err(admin::Error::Refused { text, .. }) => {
                outcome.cancelled = false;
                outcome.reason = Some(reason(status, &text));
            }
            Err(error) => return Err(error.into()),
        }
        self.tell(&outcome)?;
        Ok(if outcome.cancelled { Exit::Ok } else { Exit::Failed })
    }

    /// Finds the server that has the job. Handles of different servers can be equal, so that two may say so.
    async fn find(&self, handle: &Bytes) -> anyhow::Result<Answered> {
        let mut answered = Vec::new();
        let mut failed = Vec::new();
        for server in self.server.endpoints()? {
            match ask(&server, handle).await {
                Ok(answer) => answered.push(answer),
                Err(error) => failed.push((server, error)),
            }
        }
        let known = answered.iter().filter(|answer| answer.status.known).count();
        if known > 1 {
            bail!("several servers have a job {}; name the one that is meant with --server", self.handle);
        }
        if known == 0 && !failed.is_empty() {
            let (server, error) = failed.swap_remove(0);
            return Err(anyhow!(error).context(if answered.is_empty() {
                manage::NO_SERVER.to_owned()
            } else {
                format!("no server that answers knows {}, and {server} does not answer", self.handle)
            }));
        }
        for (server, error) in failed {
            terminal::complain(&format!("{server} was not asked: {error}"));
        }
        // If none knows it, let one say so in its own words.
        answered.sort_by_key(|answer| !answer.status.known);
        answered.into_iter().next().ok_or_else(|| anyhow!(manage::NO_SERVER))
    }

    fn tell(&self, outcome: &Outcome<'_>) -> anyhow::Result<()> {
        if self.json {
            return terminal::say_json(outcome);
        }
        let Outcome { handle, server, was_running, reason, .. } = outcome;
        match reason {
            Some(reason) => terminal::complain(&format!("layshaft: {handle} is not cancelled on {server}: {reason}")),
            None if *was_running => {
                terminal::say(format!(
                    "{handle} is cancelled on {server}; its worker is not told, and goes on with it"
                ))?;
            }
            None => terminal::say(format!("{handle} is cancelled on {server}"))?,
        }
        Ok(())
    }
}

async fn ask(server: &Endpoint, handle: &Bytes) -> Result<Answered, Error> {
    let client = Client::connect(server, Default::default()).await?;
    let status = client.job_status(handle).await?;
    Ok(Answered { client, status })
}

fn reason(status: JobStatus, text: &str) -> String {
    match status {
        JobStatus { running: true, .. } => format!("it runs, and this server cancels only what waits ({text})"),
        JobStatus { known: false, .. } => format!("the server has no such job (any more) ({text})"),
        JobStatus { .. } => text.to_owned(),
    }
}

fn handle(text: &str) -> Result<String, String> {
    let is_handle = !text.is_empty() && text.chars().all(|c| !c.is_whitespace() && !c.is_control());
    if is_handle { Ok(text.to_owned()) } else { Err("a handle is one word, such as H:gear1:42".to_owned()) }
}
