use std::io::Write;

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Arguments, Exit};

/// Print the completions for a shell.
#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    shell: Shell,
}

impl Completions {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        std::io::stdout().lock().write_all(&script(self.shell))?;
        Ok(Exit::Ok)
    }
}

pub(super) fn script(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "layshaft", &mut script);
    script
}
