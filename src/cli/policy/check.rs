use anyhow::Context;

use super::super::{Exit, terminal};
use super::{File, Keys, signature};
use crate::policy;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 0: the daemon would take it in; 1: it would not, for the reason that is told.

Examples:
  layshaft policy check 10-names.wasm
  layshaft policy check 10-names.wasm --config /etc/layshaft/layshaft.toml
  layshaft policy check 10-names.wasm --key minisign.pub")]
pub(super) struct Check {
    #[command(flatten)]
    file: File,
    #[command(flatten)]
    keys: Keys,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let mut config = self.file.config()?;
        self.keys.add_to(&mut config);
        let report = policy::check(&self.file.file, &config).with_context(|| self.file.refused())?;
        if self.json {
            terminal::say_json(&report)?;
            return Ok(Exit::Ok);
        }
        let described = &report.description;
        terminal::say(format!("{} {}: {}", described.name, described.version, described.summary))?;
        let hooks: Vec<&str> = report.hooks.iter().map(|hook| hook.as_str()).collect();
        terminal::say(format!("  hooks     {}", hooks.join(", ")))?;
        terminal::say(format!("  bindings  {}", report.bindings))?;
        terminal::say(format!("  sha256    {}", report.digest))?;
        terminal::say(format!("  signed    {}", signature(&report.signed)))?;
        for advice in &report.advice {
            terminal::say(format!("  advice    {advice}"))?;
        }
        Ok(Exit::Ok)
    }
}
