use super::arguments::ConfigFile;
use super::{Exit, terminal};
use crate::config::Config;

/// Check a configuration without running anything.
///
/// Reads it as the daemon would, with the environment and all secrets, and asks no server and no controller.
#[derive(Debug, clap::Args)]
pub(super) struct CheckConfig {
    #[command(flatten)]
    config: ConfigFile,
}

impl CheckConfig {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let file = self.config.path();
        let config = Config::load(&file)?;
        for warning in &config.warnings {
            terminal::complain(&format!("warning: {warning}"));
        }
        terminal::say(format!("{} is valid", file.display()))?;
        let tls = if config.gearman.tls.is_some() { " (TLS)" } else { "" };
        for server in &config.gearman.servers {
            terminal::say(format!("  gearman server  {server}{tls}"))?;
        }
        for controller in &config.controllers {
            let role = if controller.serve { "serves builds" } else { "is only managed" };
            let (name, host, url) = (&controller.name, &controller.host, &controller.jenkins.url);
            terminal::say(format!("  controller      {name} at {url} {role}, host {host}"))?;
        }
        terminal::say(format!("  policies        {}", config.policies.folder.display()))?;
        terminal::say(format!("  journal         {}", config.journal.file.display()))?;
        Ok(Exit::Ok)
    }
}
