use anyhow::bail;
use serde_json::json;

use super::arguments::JobServer;
use super::{Exit, manage, terminal};
use crate::domain::FunctionName;

/// Stop a running build.
///
/// Asks for the function stop:HOST, so it works from wherever the Gearman server can be reached.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  layshaft stop lint 17 --host ci1
  layshaft stop --unique 0123abcd --host ci1")]
pub(super) struct Stop {
    /// The project, as in the build's data: `name`.
    #[arg(required_unless_present = "unique")]
    name: Option<String>,
    #[arg(required_unless_present = "unique")]
    number: Option<u32>,
    /// The unique of the job instead, also while its build waits in Jenkins' queue.
    #[arg(long, value_name = "ID", conflicts_with_all = ["name", "number"])]
    unique: Option<String>,
    /// The controller's host, as in the build's data: `manager`.
    #[arg(long)]
    host: String,
    #[command(flatten)]
    server: JobServer,
}

impl Stop {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let Self { name, number, unique, host, server } = self;
        let (payload, build) = match (unique, name, number) {
            (None, Some(name), Some(number)) => {
                (json!({ "name": name, "number": number }), format!("{name} #{number}"))
            }
            (unique, ..) => {
                (json!({ "unique": unique }), format!("the build of job {}", unique.as_deref().unwrap_or("")))
            }
        };
        match manage::ask(&server.endpoints()?, &FunctionName::stop(host)?, &payload).await? {
            manage::Answer::Complete(_) => terminal::say(format!("{build} is being stopped"))?,
            manage::Answer::Fail => bail!("{build} does not run: it has ended, or is being stopped already"),
        }
        Ok(Exit::Ok)
    }
}
