use super::arguments::ControlSocket;
use super::{Exit, terminal};

/// Write the fleet down that the daemon sees, to compare policies elsewhere.
#[derive(Debug, clap::Args)]
pub(super) struct Fleet {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Print controllers, nodes, projects and their labels as JSON; no value, no address and no credential is in it.
    Export(Export),
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 0: written; 4: no daemon answers.

Examples:
  layshaft fleet export > fleet.json
  layshaft policy diff 30-candidate.wasm --fleet fleet.json --folder policies")]
struct Export {
    #[command(flatten)]
    socket: ControlSocket,
}

impl Fleet {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let Action::Export(Export { socket }) = &self.action;
        terminal::say_json(&socket.client()?.fleet().await?)?;
        Ok(Exit::Ok)
    }
}
