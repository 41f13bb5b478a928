//! `explain` and `bisect`: a recorded decision, made again by the daemon from what it has kept. What is sealed is opened
//! here, where the key is, and never by the daemon itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::{Context, anyhow};

use super::super::arguments::ControlSocket;
use super::super::{Exit, status, terminal};
use super::log::time;
use super::records;
use super::sources::NotCompared;
use super::whynot::{self, Place};
use crate::domain::ProjectKind;
use crate::policy::{Asked, Composed, Explanation, Fate, SentValue, SlotTold, Step, ToldBySlot};
use crate::web;

/// How a decision is asked for.
#[derive(Debug, clap::Args)]
struct How {
    /// The private key for values that were sealed; `layshaft policy keygen` wrote it.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    socket: ControlSocket,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Shows the question, what each policy said and why, and puts the same question to the policies that were in force then,
with the settings, grants and limits of then.

With --why-not and a name it works out what keeps the name from being offered, on the fleet and under the policies of now,
and which change of one label, parameter, node or policy would have it offered; each was tried on the whole table. With
--why-not and a number it tries that decision again with one parameter left out, empty or sent too.

Exit code 0: it came out as recorded, or is offered everywhere that was asked about; 1: it did not, or is not, or the
decision could not be asked again, for the reason that is told; 2 and more: nothing was looked at.

Examples:
  layshaft policy explain 4711
  layshaft policy explain 4711 --key opens.key --json | jq .differences
  layshaft policy explain --why-not 4711
  layshaft policy explain --why-not build:team/lint:gpu
  layshaft policy explain --why-not build:lint --controller ci1 --node agent-7 --json")]
pub(super) struct Explain {
    /// The decision's number, as `layshaft policy log` shows it.
    #[arg(required_unless_present = "why_not", conflicts_with_all = ["why_not", "node", "controller", "fleet", "folder", "config"])]
    id: Option<i64>,
    /// Say why this function or project is not offered, or this decision about a job was not another one, and what would
    /// change that.
    #[arg(long, value_name = "NAME|ID")]
    why_not: Option<String>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    how: How,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Puts the question of a decision to everything that was in force since it is known, and shows where the answer changed.

Exit code 0: all could be asked; 1: some could not.

Examples:
  layshaft policy bisect 4711
  layshaft policy bisect 4711 --json | jq '.[] | select(.differs)'")]
pub(super) struct Bisect {
    /// The decision's number, as `layshaft policy log` shows it.
    id: i64,
    #[command(flatten)]
    how: How,
}

impl Explain {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let Self { id, why_not, place, how } = self;
        if let Some(name) = why_not {
            return match name.parse() {
                Ok(_) if place.is_named() => Err(NotCompared::wrap(anyhow!(
                    "decision {name} was made at one place under the policies of then: leave out --node, --controller, \
                     --fleet, --folder and --config, or name a function as in --why-not build:{name}"
                ))),
                Ok(id) => {
                    let (client, values) = how.ask(id).await?;
                    whynot::turned(id, &client.turning(id, values).await?, how.json)
                }
                Err(_) => place.why_not(name, &how.socket, how.json).await,
            };
        }
        let id = id.context("name a decision")?;
        let (client, values) = how.ask(id).await?;
        let explanation = client.explain(id, values).await?;
        if how.json {
            terminal::say_json(&explanation)?;
        } else {
            terminal::say(terminal::harmless(render(id, &explanation).trim_end()))?;
        }
        let is_same = explanation.again.is_some() && explanation.differences.is_empty();
        Ok(if is_same { Exit::Ok } else { Exit::Failed })
    }
}

impl Bisect {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let Self { id, how } = self;
        let (client, values) = how.ask(*id).await?;
        let steps = client.bisect(*id, values).await?;
        if how.json {
            terminal::say_json(&steps)?;
        } else {
            terminal::say(terminal::harmless(changes(&steps).trim_end()))?;
        }
        Ok(if steps.iter().all(|step| step.trouble.is_none()) { Exit::Ok } else { Exit::Failed })
    }
}

impl How {
    /// Opens what is sealed, if there is a key.
    async fn ask(&self, id: i64) -> anyhow::Result<(web::Client, BTreeMap<String, String>)> {
        let client = self.socket.client()?;
        let Some(path) = &self.key else { return Ok((client, BTreeMap::new())) };
        let key = records::read_key(path)?;
        let record = client.decision(id).await?;
        let sealed = record.asked.job().and_then(|job| job.sealed.as_deref());
        let opened = sealed.map(|sealed| key.open(sealed)).transpose();
        Ok((client, opened.context("nothing was asked again")?.unwrap_or_default()))
    }
}

/// Returns a decision and how it came out again, for people.
fn render(id: i64, explanation: &Explanation) -> String {
    let Explanation { record, again, differences, missing, trouble } = explanation;
    let mut text = String::new();
    let mut line = |indented: String| writeln!(text, "{indented}").expect("a string takes everything");
    line(format!("decision {id}: {} at {}, generation {}", record.asked.call(), time(record.at), record.generation));
    for (name, value) in question(&record.asked) {
        line(format!("  {name:<12}{value}"));
    }
    if record.told.is_empty() {
        line("  no policy was asked".to_owned());
    }
    for told in &record.told {
        line(format!("  {}", said(told)));
        if let ToldBySlot::Verdict(fields) = &told.answer {
            for entry in fields.get("trace").and_then(|trace| trace.as_array()).into_iter().flatten() {
                line(format!("      {}", entry.as_str().unwrap_or_default()));
            }
        }
    }
    line(format!("  together    {}", decided(&record.verdict)));
    if !record.why.is_empty() {
        line(format!("  why         {}", record.why));
    }
    if let Some(trouble) = trouble {
        line(format!("could not be asked again: {trouble}"));
    }
    if !missing.is_empty() {
        line(not_the_very_question(missing));
    }
    match again {
        Some(_) if differences.is_empty() => line("asked again by what was in force then: as recorded".to_owned()),
        Some(again) => {
            line(format!("asked again by what was in force then: {}", decided(&again.verdict)));
            differences.iter().for_each(|difference| line(format!("  {difference}")));
        }
        None => {}
    }
    text
}

/// Says that values are missing, and what to do.
pub(super) fn not_the_very_question(missing: &BTreeSet<String>) -> String {
    let names: Vec<&str> = missing.iter().map(String::as_str).collect();
    format!(
        "not the very question: a policy saw values that are not kept, of {}; sealed ones need --key, and \
         policies.log.values says what is kept from now on",
        names.join(", ")
    )
}

fn question(asked: &Asked) -> Vec<(&'static str, String)> {
    let (project, node) = (asked.project(), asked.node());
    let labels: Vec<&str> = node.labels.iter().map(String::as_str).collect();
    let mut lines = vec![
        ("controller", asked.controller().name.to_string()),
        ("project", format!("{} ({})", project.name, kind(project.kind))),
        ("node", format!("{}, labels {}", node.name, labels.join(" "))),
    ];
    match asked {
        Asked::Matches(asked) => {
            lines.push(("expression", asked.expression.clone().unwrap_or_else(|| "none".to_owned())));
            lines.push(("jenkins", (if asked.classic { "yes" } else { "no" }).to_owned()));
        }
        Asked::Names(asked) => {
            let atoms: Vec<&str> = asked.atoms.iter().map(String::as_str).collect();
            lines.push(("matched", atoms.join(" ")));
        }
        Asked::Filter(job) | Asked::BuildStarted(job) | Asked::BuildEnded(job, _) => {
            lines.push(("function", job.function.to_string()));
            for sent in &job.sent {
                lines.push(("sent", format!("{} {}", sent.name, value(&sent.value))));
            }
            if job.client_asks_offline {
                lines.push(("client", "wants the node offline afterwards".to_owned()));
            }
        }
    }
    if let Asked::BuildEnded(_, ended) = asked {
        let result = ended.result.map_or("unknown".to_owned(), |result| result.to_string());
        lines.push(("ended", format!("{result} after {} ms", ended.duration_ms)));
    }
    lines
}

fn kind(kind: ProjectKind) -> String {
    super::word(&kind)
}

fn value(value: &SentValue) -> String {
    match value {
        SentValue::None => "without a value".to_owned(),
        SentValue::Shown(value) => format!("= {value}"),
        SentValue::Withheld => "(value not kept)".to_owned(),
        SentValue::Sealed => "(value sealed)".to_owned(),
    }
}

fn said(told: &SlotTold) -> String {
    let reason = if told.reason().is_empty() { String::new() } else { format!(": {}", told.reason()) };
    let failed = if matches!(told.answer, ToldBySlot::Failure(_)) { "failed, " } else { "" };
    let SlotTold { slot, module, fuel, microseconds, .. } = told;
    format!("{slot} ({}, fuel {fuel}, {microseconds} µs) {failed}{}{reason}", module.short(), told.word())
}

fn decided(verdict: &Composed) -> String {
    let mut text = verdict.word().to_owned();
    match verdict {
        Composed::Passed { parameters } => {
            for (name, fate) in parameters {
                let fate = match fate {
                    Fate::Kept => continue,
                    Fate::Dropped => "dropped".to_owned(),
                    Fate::Set(None) => "set".to_owned(),
                    Fate::Set(Some(value)) => format!("set to {value}"),
                };
                write!(text, "; {name} {fate}").expect("a string takes everything");
            }
        }
        Composed::Named { names, aliases } => {
            let names = names.as_ref().map_or("the classic names".to_owned(), |names| list(names.iter()));
            write!(text, " {names}").expect("a string takes everything");
            if !aliases.is_empty() {
                write!(text, ", also {}", list(aliases.iter())).expect("a string takes everything");
            }
        }
        Composed::Matched { widened: true, .. } => text.push_str(", by a policy alone"),
        Composed::NoMatch { vetoed: true } => text.push_str(", by a policy's veto"),
        _ => {}
    }
    text
}

fn list<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(String::as_str).collect::<Vec<_>>().join(" ")
}

/// Returns where the answer changed, for people.
fn changes(steps: &[Step]) -> String {
    let Some(first) = steps.first() else {
        return "nothing of the past is kept: policies.state names no folder".to_owned();
    };
    let mut table = status::columns(["GENERATION", "SINCE", "VERDICT", "WHAT CHANGED"]);
    let mut asked = 0;
    for (number, step) in steps.iter().enumerate() {
        asked += usize::from(step.verdict.is_some());
        let verdict = match (&step.verdict, &step.trouble) {
            (Some(verdict), _) if !step.missing.is_empty() => format!("{} (a value is not kept)", decided(verdict)),
            (Some(verdict), _) => decided(verdict),
            (None, trouble) => format!("not asked: {}", trouble.as_deref().unwrap_or_default()),
        };
        let changed = if number == 0 { "the first that is known".to_owned() } else { step.changed.join("; ") };
        if number == 0 || step.differs || step.trouble.is_some() {
            table.add_row([step.generation.to_string(), time(step.since), verdict, changed]);
        }
    }
    let differ = steps.iter().filter(|step| step.differs).count();
    let end = match differ {
        0 => "the answer never changed".to_owned(),
        1 => "the answer changed once".to_owned(),
        times => format!("the answer changed {times} times"),
    };
    format!("{table}\nasked of {asked} generations since {}: {end}", time(first.since))
}
