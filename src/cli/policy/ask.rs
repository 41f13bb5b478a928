use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use comfy_table::Table;

use super::super::arguments::ControlSocket;
use super::super::{Exit, status, terminal};
use super::word;
use crate::domain::human_duration;
use crate::policy::{self, Gate, ReloadReport, SlotState, SlotStatus, Standing, Usage};
use crate::web;

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
    pub(super) name: String,
    #[command(flatten)]
    pub(super) ask: Ask,
}

/// Which gates to leave open.
#[derive(Debug, clap::Args)]
pub(super) struct Gates {
    /// Let everything pass a gate, this once: `table`, `orphans` or `replay`. May be repeated.
    #[arg(long, value_name = "GATE")]
    accept: Vec<Gate>,
}

#[derive(Debug, clap::Args)]
pub(super) struct Gated {
    #[command(flatten)]
    pub(super) gates: Gates,
    #[command(flatten)]
    pub(super) ask: Ask,
}

#[derive(Debug, clap::Args)]
pub(super) struct NameGated {
    /// The policy's name: its file's without number and ending.
    pub(super) name: String,
    #[command(flatten)]
    pub(super) gated: Gated,
}

#[derive(Debug, clap::Args)]
pub(super) struct Disable {
    /// The policy's name: its file's without number and ending.
    pub(super) name: String,
    /// For how long, such as `30m`; it comes back by itself.
    #[arg(long = "for", value_name = "DURATION", value_parser = human_duration::parse)]
    pub(super) how_long: Duration,
    #[command(flatten)]
    pub(super) gated: Gated,
}

impl Gates {
    pub(super) fn waived(&self) -> BTreeSet<Gate> {
        self.accept.iter().copied().collect()
    }
}

impl Ask {
    /// Has the daemon change something about its policies, and tells what came of it.
    pub(super) async fn change(
        &self,
        change: impl AsyncFnOnce(&web::Client) -> Result<ReloadReport, web::ClientError>,
    ) -> anyhow::Result<Exit> {
        self.report(&change(&self.socket.client()?).await?)
    }

    pub(super) async fn list(&self) -> anyhow::Result<Exit> {
        let standing = self.socket.client()?.policies().await?;
        if self.json {
            terminal::say_json(&standing)?;
            return Ok(Exit::Ok);
        }
        let Standing { frozen, policies, .. } = standing;
        if frozen {
            terminal::say("frozen: nothing comes in from the folder until `layshaft policy thaw`")?;
        }
        if policies.is_empty() {
            terminal::say("no policies: the classic rules decide")?;
            return Ok(Exit::Ok);
        }
        terminal::say(table(&policies))?;
        if policies.iter().any(|policy| !policy.usage.is_empty()) {
            terminal::say(usage_table(&policies))?;
        }
        for policy in &policies {
            for usage in &policy.usage {
                for line in on_trial(usage) {
                    terminal::say(line)?;
                }
            }
            for text in policy.error.iter().chain(&policy.failing).chain(&policy.advice) {
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
        Ok(if report.done { Exit::Ok } else { Exit::Failed })
    }
}

/// Returns how policies stand, as a table.
pub(in super::super) fn table(policies: &[SlotStatus]) -> Table {
    let mut table = status::columns(["POLICY", "STATE", "HOOKS", "BINDINGS", "GRANTS", "FILE", "SHA256"]);
    for policy in policies {
        let state = match policy.state {
            SlotState::Live => "live".to_owned(),
            SlotState::LastGood => "last good version".to_owned(),
            SlotState::Refused => "refused".to_owned(),
            SlotState::Missing if policy.digest.is_some() => "file missing, last good version".to_owned(),
            SlotState::Missing => "missing".to_owned(),
            SlotState::Quarantined => "quarantined".to_owned(),
            SlotState::Disabled => match policy.disabled_until {
                Some(until) => format!("disabled until {}", humantime::format_rfc3339_seconds(until)),
                None => "disabled".to_owned(),
            },
        };
        let is_monitor = policy.mode == policy::Mode::Monitor;
        let hooks: Vec<&str> = policy.hooks.iter().map(|hook| hook.as_str()).collect();
        let grants: Vec<String> = policy.grants.iter().map(word).collect();
        table.add_row([
            policy.name.clone(),
            if is_monitor { format!("{state}, monitor") } else { state },
            hooks.join(", "),
            policy.bindings.to_string(),
            if grants.is_empty() { "-".to_owned() } else { grants.join(", ") },
            policy.file.clone().unwrap_or_else(|| "-".to_owned()),
            policy.digest.as_ref().map_or("-".to_owned(), |digest| digest.short().to_owned()),
        ]);
    }
    table
}

/// Returns what each slot was asked since the daemon runs, and what came of it.
pub(in super::super) fn usage_table(policies: &[SlotStatus]) -> Table {
    let mut table = status::columns(["SLOT", "HOOK", "CALLS", "FAILED", "P50 µs", "P99 µs", "ANSWERS"]);
    for usage in policies.iter().flat_map(|policy| &policy.usage) {
        let microseconds = |quantile: Option<u64>| quantile.map_or("-".to_owned(), |time| time.to_string());
        let failed = match usage.failed() {
            0 => "0".to_owned(),
            failed => format!("{failed} ({})", words(&usage.errors)),
        };
        table.add_row([
            usage.slot.clone(),
            usage.hook.to_string(),
            usage.calls.to_string(),
            failed,
            microseconds(usage.p50_us),
            microseconds(usage.p99_us),
            words(&usage.verdicts),
        ]);
    }
    table
}

/// Returns what a policy on trial would have changed.
pub(in super::super) fn on_trial(usage: &Usage) -> Vec<String> {
    let Usage { slot, hook, would_have, skipped, examples, .. } = usage;
    if would_have.is_empty() {
        return Vec::new();
    }
    let left_out = if *skipped > 0 { format!("; {skipped} questions were left out") } else { String::new() };
    let line = format!("{slot}, on trial at {hook}: would have changed: {}{left_out}", words(would_have));
    [line].into_iter().chain(examples.iter().map(|example| format!("  {example}"))).collect()
}

/// Returns the words that were counted, each with its count.
fn words(counts: &BTreeMap<String, u64>) -> String {
    let counted = counts.iter().filter(|(_, count)| **count > 0);
    let counted: Vec<String> = counted.map(|(word, count)| format!("{word} {count}")).collect();
    if counted.is_empty() { "-".to_owned() } else { counted.join(", ") }
}

fn told(report: &ReloadReport) -> String {
    let mut lines = vec![format!("generation {}", report.generation)];
    for change in &report.changed {
        lines.push(format!("  {} {} ({})", change.slot, word(&change.kind), change.digest.short()));
    }
    if report.changed.is_empty() {
        lines.push("  nothing of what is in force changed".to_owned());
    }
    lines.extend(report.refused.iter().map(|refusal| format!("  {refusal}")));
    lines.join("\n")
}
