use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use anyhow::Context;

use super::super::{Exit, terminal};
use crate::policy::PrivateKey;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
The public key goes into the daemon's configuration: values that are not kept are then sealed to it, and the daemon cannot
open them again. The private key stays with whoever may see the values, away from the daemon's machine; `explain`,
`bisect` and `replay` take it by --key.

Exit code 0: done; 1: the file is there already, or cannot be written.

Examples:
  layshaft policy keygen opens.key
  layshaft policy keygen opens.key --json | jq -r .seal_to")]
pub(super) struct Keygen {
    /// Where the private key is written; never over another file.
    file: PathBuf,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
}

impl Keygen {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let (private, public) = PrivateKey::generate();
        let text = format!("# Opens values in the decision log of a Layshaft daemon.\n{}\n", private.to_text());
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.file)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().with_context(|| format!("failed to write {}", self.file.display()))?;
        if self.json {
            terminal::say_json(&serde_json::json!({ "seal_to": public.to_string(), "private_key": self.file }))?;
        } else {
            terminal::say(format!("[policies.log]\nseal_to = \"{public}\""))?;
        }
        Ok(Exit::Ok)
    }
}
