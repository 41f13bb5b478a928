use anyhow::bail;
use serde_json::json;

use super::arguments::JobServer;
use super::{Exit, manage, terminal};
use crate::domain::FunctionName;

/// Stop a running build.
///
/// Asks for the function stop:HOST, so it works from wherever the Gearman server can be reached.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: layshaft stop lint 17 --host ci1")]
pub(super) struct Stop {
    /// The project, as in the build's data: `name`.
    name: String,
    number: u32,
    /// The controller's host, as in the build's data: `manager`.
    #[arg(long)]
    host: String,
    #[command(flatten)]
    server: JobServer,
}

impl Stop {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let Self { name, number, host, server } = self;
        let payload = json!({ "name": name, "number": number });
        match manage::ask(&server.endpoints()?, &FunctionName::stop(host)?, &payload).await? {
            manage::Answer::Complete(_) => terminal::say(format!("{name} #{number} is being stopped"))?,
            manage::Answer::Fail => bail!("{name} #{number} does not run: it has ended, or is being stopped already"),
        }
        Ok(Exit::Ok)
    }
}
