use super::arguments::ControlSocket;
use super::{Exit, terminal};
use crate::runtime::status::Mode;

/// `pause`, `resume` and `drain`.
#[derive(Debug, clap::Args)]
pub(super) struct Change {
    #[command(flatten)]
    socket: ControlSocket,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
}

impl Change {
    pub(super) async fn run(&self, mode: Mode) -> anyhow::Result<Exit> {
        let changed = self.socket.client()?.set_mode(mode).await?;
        if self.json {
            terminal::say_json(&changed)?;
        } else {
            terminal::say(match changed.mode {
                Mode::Serving => "serving: jobs are taken",
                Mode::Paused => "paused: no jobs are taken until `layshaft resume`",
                Mode::Draining => "draining: the daemon ends with its last running build",
            })?;
        }
        Ok(Exit::Ok)
    }
}
