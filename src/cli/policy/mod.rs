use std::path::{Path, PathBuf};

use anyhow::Context;
use comfy_table::Table;

use super::arguments::ControlSocket;
use super::{Exit, status, terminal};
use crate::config::Config;
use crate::policy::{self, ReloadReport, SlotState, SlotStatus};

/// See and change which policies are in force.
#[derive(Debug, clap::Args)]
pub(super) struct Policy {
    #[command(subcommand)]
    pub(super) action: Action,
}

#[derive(Debug, clap::Subcommand)]
pub(super) enum Action {
    /// List the policies, and what is wrong with them.
    List(Ask),
    /// Check a .wasm file, with the .toml beside it, as the daemon would; asks no daemon.
    Check(Check),
    /// Look at the folder now, also at files that were refused before.
    Reload(Ask),
    /// Return a policy to the version before.
    Rollback(Name),
    /// Let the version in the folder in again that was rolled back.
    Accept(Name),
    /// End a policy whose file was taken out of the folder.
    Retire(Name),
}

#[derive(Debug, clap::Args)]
pub(super) struct Ask {
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    socket: ControlSocket,
}

#[derive(Debug, clap::Args)]
pub(super) struct Name {
    /// The policy's name: its file's without number and ending.
    name: String,
    #[command(flatten)]
    ask: Ask,
}

#[derive(Debug, clap::Args)]
pub(super) struct Check {
    file: PathBuf,
    /// The configuration whose limits and grants count; without it the defaults do.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
}

impl Policy {
    /// Does what needs a daemon.
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        match &self.action {
            Action::Check(check) => check.run(),
            Action::List(ask) => ask.list().await,
            Action::Reload(ask) => ask.report(&ask.socket.client()?.reload_policies().await?),
            Action::Rollback(Name { name, ask }) => ask.report(&ask.socket.client()?.roll_back(name).await?),
            Action::Accept(Name { name, ask }) => ask.report(&ask.socket.client()?.accept(name).await?),
            Action::Retire(Name { name, ask }) => ask.report(&ask.socket.client()?.retire(name).await?),
        }
    }
}

impl Ask {
    async fn list(&self) -> anyhow::Result<Exit> {
        let policies = self.socket.client()?.policies().await?;
        if self.json {
            terminal::say_json(&policies)?;
            return Ok(Exit::Ok);
        }
        if policies.is_empty() {
            terminal::say("no policies: the classic rules decide")?;
            return Ok(Exit::Ok);
        }
        terminal::say(table(&policies))?;
        for policy in &policies {
            for text in policy.error.iter().chain(&policy.advice) {
                terminal::say(format!("{}: {text}", policy.name))?;
            }
        }
        Ok(Exit::Ok)
    }

    fn report(&self, report: &ReloadReport) -> anyhow::Result<Exit> {
        if self.json {
            terminal::say_json(report)?;
        } else {
            terminal::say(told(report))?;
        }
        Ok(if report.refused.is_empty() { Exit::Ok } else { Exit::Failed })
    }
}

impl Check {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let config = match &self.config {
            Some(config) => Config::load(config)?.policies,
            None => policy::Config::new(self.file.parent().unwrap_or(Path::new(""))),
        };
        let report = policy::check(&self.file, &config)
            .with_context(|| format!("the daemon would refuse {}", self.file.display()))?;
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
        for advice in &report.advice {
            terminal::say(format!("  advice    {advice}"))?;
        }
        Ok(Exit::Ok)
    }
}

/// Returns how policies stand, as a table.
pub(super) fn table(policies: &[SlotStatus]) -> Table {
    let mut table = status::columns(["POLICY", "STATE", "HOOKS", "BINDINGS", "GRANTS", "FILE", "SHA256"]);
    for policy in policies {
        let state = match policy.state {
            SlotState::Live => "live",
            SlotState::LastGood => "last good version",
            SlotState::Refused => "refused",
            SlotState::Missing if policy.digest.is_some() => "file missing, last good version",
            SlotState::Missing => "missing",
            SlotState::Quarantined => "quarantined",
        };
        let is_monitor = policy.mode == policy::Mode::Monitor;
        let hooks: Vec<&str> = policy.hooks.iter().map(|hook| hook.as_str()).collect();
        let grants: Vec<String> = policy.grants.iter().map(word).collect();
        table.add_row([
            policy.name.clone(),
            if is_monitor { format!("{state}, monitor") } else { state.to_owned() },
            hooks.join(", "),
            policy.bindings.to_string(),
            if grants.is_empty() { "-".to_owned() } else { grants.join(", ") },
            policy.file.clone().unwrap_or_else(|| "-".to_owned()),
            policy.digest.as_ref().map_or("-".to_owned(), |digest| digest.short().to_owned()),
        ]);
    }
    table
}

fn told(report: &ReloadReport) -> String {
    let mut lines = vec![format!("generation {}", report.generation)];
    for change in &report.changed {
        lines.push(format!("  {} {} ({})", change.slot, word(&change.kind), change.digest.short()));
    }
    if report.changed.is_empty() {
        lines.push("  nothing changed".to_owned());
    }
    lines.extend(report.refused.iter().map(|refusal| format!("  {refusal}")));
    lines.join("\n")
}

/// Returns the word that scripts see for a value, for people too.
fn word(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).ok();
    value.and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}
