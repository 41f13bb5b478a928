use std::time::Duration;

use super::arguments::ConfigFile;
use super::{Exit, terminal};
use crate::config::Config;
use crate::jenkins::{Intervals, Part};

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
            terminal::say(format!("                  {}", bounds(&controller.jenkins.poll)))?;
        }
        terminal::say(format!("  policies        {}", config.policies.folder.display()))?;
        terminal::say(format!("  journal         {}", config.journal.file.display()))?;
        Ok(Exit::Ok)
    }
}

/// Returns within which time changes are seen.
fn bounds(poll: &Intervals) -> String {
    let shown = |duration: Duration| {
        let rounded = Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
        humantime::format_duration(rounded).to_string()
    };
    let [nodes, projects, parameters, modes] =
        [Part::Nodes, Part::Projects, Part::Parameters, Part::Modes].map(|part| shown(poll.bound(part)));
    let stale = shown(poll.stale_after(Part::Nodes).unwrap_or_default());
    let gone = shown(poll.gone_after());
    format!(
        "sees changes of nodes within {nodes}, of projects {projects}, of parameters {parameters}, of modes {modes}; \
         takes no job after {stale} without news, is gone after {gone}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_are_told_as_people_write_them() {
        let expected = "sees changes of nodes within 4s 800ms, of projects 48s, of parameters 10m 48s, of modes 1m 36s; \
                        takes no job after 15s without news, is gone after 1m";
        assert_eq!(bounds(&Intervals::default()), expected);
    }
}
