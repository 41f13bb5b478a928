use std::path::PathBuf;

use anyhow::Context;

use super::super::{Exit, status, terminal};
use crate::config::Config;
use crate::policy::{Containment, Limits, SelfTest, Swaps};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Opens a policy folder of its own under /tmp, with the limits of the configuration, and drops into it everything hostile, broken
or odd that we know of: files, modules and answers. Each has to be contained by the host's own code within 50 ms, with the
version before still in force and another policy answering as ever. For that the fuel is cut down; at the end it says after how
long fuel and deadline as configured end an endless loop. It also replaces one policy by another again and again, and looks
at memory, threads and open files. No daemon is asked, and the site's own folder is left alone.

Exit code 0: the sandbox holds on this machine; 1: it does not, or could not be tried.

Examples:
  layshaft policy self-test
  layshaft policy self-test --config /etc/layshaft/layshaft.toml --swaps 10000 --json")]
pub(super) struct Command {
    /// The configuration whose limits count; without it the defaults do.
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Replace one policy by another so often.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(5..=1_000_000))]
    swaps: u32,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
}

impl Command {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let limits = match &self.config {
            Some(config) => Config::load(config)?.policies.limits,
            None => Limits::default(),
        };
        let swaps = usize::try_from(self.swaps).unwrap_or(usize::MAX);
        let found = SelfTest::run(&limits, swaps).await.context("failed to try the sandbox")?;
        if self.json {
            terminal::say_json(&found)?;
        } else {
            show(&found)?;
        }
        Ok(if found.holds() { Exit::Ok } else { Exit::Failed })
    }
}

fn show(found: &SelfTest) -> anyhow::Result<()> {
    let mut table = status::columns(["", "A FILE THAT", "IS", "MS"]);
    for finding in &found.kit {
        let outcome = match finding.outcome {
            Containment::Held => "held",
            Containment::Broke => "BROKE",
            Containment::Late => "LATE",
            Containment::Skipped => "skipped",
        };
        let row = |outcome: &str, does: &str, got: &str, milliseconds: &str| {
            [outcome, does, &short(got), milliseconds].map(str::to_owned)
        };
        table.add_row(row(outcome, finding.does, &finding.got, &finding.milliseconds.to_string()));
        if matches!(finding.outcome, Containment::Broke | Containment::Late) {
            let expected = format!("has to be, within {} ms: {}", finding.within_milliseconds, finding.expected);
            table.add_row(row("", finding.name, &expected, ""));
        }
    }
    terminal::say(table)?;
    for bound in &found.bounds {
        terminal::say(format!(
            "{} lets a job wait {} ms for a policy that loops for ever",
            bound.limit, bound.milliseconds
        ))?;
    }
    let Swaps { count, milliseconds, before, after, flat } = &found.swaps;
    terminal::say(format!("{count} swaps of one policy for another in {milliseconds} ms"))?;
    if let (Some(before), Some(after)) = (before, after) {
        let grown = if *flat { "flat" } else { "GROWN" };
        terminal::say(format!(
            "  {grown}: {} to {} KiB of memory, {} to {} threads, {} to {} open files",
            before.memory_kib, after.memory_kib, before.threads, after.threads, before.files, after.files
        ))?;
    }
    let count = |outcome| found.kit.iter().filter(|finding| finding.outcome == outcome).count();
    terminal::say(format!(
        "{} of {} contained, {} skipped: the sandbox {} on this machine",
        count(Containment::Held),
        found.kit.len(),
        count(Containment::Skipped),
        if found.holds() { "holds" } else { "DOES NOT HOLD" }
    ))?;
    if cfg!(debug_assertions) {
        terminal::say("this is a build for development: its times are no measure")?;
    }
    Ok(())
}

/// The beginning is enough on a line; `--json` has all of it.
fn short(text: &str) -> String {
    let mut shown: String = text.chars().take(100).collect();
    if text.chars().nth(100).is_some() {
        shown.push('…');
    }
    shown
}
