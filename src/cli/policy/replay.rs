use std::path::PathBuf;

use anyhow::Context;

use super::super::arguments::ControlSocket;
use super::super::{Exit, in_tokio, terminal};
use super::{File, records};
use crate::policy::{Example, Kind, Record, Rehearsal, Replayed, Wanted};
use crate::web::DecisionQuery;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
With --config the file is put among the policies that this daemon has in force, in the place of the one of its name, and
they are asked as well. Without it, it is held against what it decided by itself.

Exit code 0: all that can be replayed comes out the same; 1: something is changed, loosened or newly failing, or the file is
no policy.

Examples:
  layshaft policy replay 30-no-preload.wasm --config /etc/layshaft/layshaft.toml
  layshaft policy replay 30-no-preload.wasm --records decisions.jsonl --json
  layshaft policy log --records --limit 1000 | layshaft policy replay 30-no-preload.wasm --records - --key opens.key")]
pub(super) struct Replay {
    #[command(flatten)]
    file: File,
    /// The decisions, as `layshaft policy log --records` prints them; `-` reads them from the standard input [default: the
    /// last ones of the daemon].
    #[arg(long, value_name = "FILE")]
    records: Option<PathBuf>,
    /// How many decisions to ask the daemon for.
    #[arg(long, value_name = "N", default_value_t = 1000, conflicts_with = "records", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    last: u32,
    /// The private key for values that were sealed; `layshaft policy keygen` wrote it.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Report decisions that take more than so many times the fuel.
    #[arg(long, value_name = "FACTOR", default_value_t = 2.0, value_parser = factor)]
    slower: f64,
    /// How many examples of each kind to show.
    #[arg(long, value_name = "N", default_value_t = 3)]
    examples: usize,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    socket: ControlSocket,
}

impl Replay {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let records = self.records()?;
        let policy = self.file.open()?;
        let rehearsal = match self.file.config {
            Some(_) => Rehearsal::among_others(&policy),
            None => Rehearsal::alone(&policy),
        };
        let rehearsal = rehearsal.with_context(|| self.file.refused())?;
        for refusal in rehearsal.left_out() {
            terminal::complain(&terminal::harmless(&format!("not in force, and left out: {refusal}")));
        }
        let replayed = rehearsal.replay(&records, &Wanted { slower: self.slower, examples: self.examples });
        if self.json {
            terminal::say_json(&replayed)?;
        } else {
            terminal::say(terminal::harmless(&shown(&replayed, self.file.config.is_some())))?;
        }
        Ok(if replayed.is_same() { Exit::Ok } else { Exit::Failed })
    }

    fn records(&self) -> anyhow::Result<Vec<Record>> {
        let mut found = match &self.records {
            Some(file) => records::read(file)?,
            None => in_tokio(async {
                let mut found = Vec::new();
                let keep = |record| {
                    found.push(record);
                    Ok(())
                };
                let last = usize::try_from(self.last).unwrap_or(usize::MAX);
                records::fetch(&self.socket.client()?, DecisionQuery::default(), last, keep).await?;
                Ok(found)
            })?,
        };
        if let Some(file) = &self.key {
            let unopened = records::unseal(&mut found, &records::read_key(file)?);
            if unopened > 0 {
                terminal::complain(&format!("the values of {unopened} decisions are sealed to another key"));
            }
        }
        Ok(found)
    }
}

fn shown(replayed: &Replayed, among_others: bool) -> String {
    let Replayed { records, same, changed, loosened, newly_failing, slower, not_replayable, examples, .. } = replayed;
    let mut lines = vec![format!("{records} decisions: {same} same")];
    for (kind, count, what) in [
        (Kind::NewlyFailing, newly_failing, "newly failing"),
        (Kind::Loosened, loosened, "loosened"),
        (Kind::Changed, changed, "changed"),
        (Kind::Slower, slower, "slower, counted beside the others"),
        (Kind::NotReplayable, not_replayable, "not replayable"),
    ] {
        if *count > 0 {
            lines.push(format!("{count} {what}"));
            lines.extend(examples.iter().filter(|example| example.kind == kind).map(line));
        }
    }
    if *not_replayable > 0 && !among_others {
        lines.push("with --config FILE, the other policies of that site are asked too".to_owned());
    }
    lines.join("\n")
}

fn line(example: &Example) -> String {
    let Example { call, controller, project, node, text, .. } = example;
    format!("  {call}, {project} on {node} of {controller}: {text}")
}

fn factor(text: &str) -> Result<f64, String> {
    let factor = text.parse::<f64>().ok().filter(|factor| factor.is_finite() && *factor >= 1.0);
    factor.ok_or_else(|| "write a number from 1 on, such as 1.5".to_owned())
}
