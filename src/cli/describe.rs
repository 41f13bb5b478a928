use anyhow::bail;
use serde_json::json;

use super::arguments::JobServer;
use super::{Exit, manage, terminal};
use crate::domain::FunctionName;

/// Set the description of a build, running or not.
///
/// Asks for the function set_description:HOST, so it works from wherever the Gearman server can be reached.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: layshaft describe lint 17 \"flaky, see #42\" --host ci1")]
pub(super) struct Describe {
    /// The project, as in the build's data: `name`.
    name: String,
    number: u32,
    /// The description, as Jenkins' markup has it; empty clears it.
    text: String,
    /// The controller's host, as in the build's data: `manager`.
    #[arg(long)]
    host: String,
    #[command(flatten)]
    server: JobServer,
}

impl Describe {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let Self { name, number, text, host, server } = self;
        let payload = json!({ "name": name, "number": number, "html_description": text });
        match manage::ask(&server.endpoints()?, &FunctionName::set_description(host)?, &payload).await? {
            manage::Answer::Complete(data) => terminal::say(String::from_utf8_lossy(&data))?,
            manage::Answer::Fail => bail!("{host} does not set descriptions; see `layshaft status`"),
        }
        Ok(Exit::Ok)
    }
}
