//! `explain --why-not`: what keeps a name from being offered, or a job from being let through, and what would change that.

use std::fmt::Write as _;

use super::super::arguments::ControlSocket;
use super::super::{Exit, terminal};
use super::diff::nodes;
use super::explain;
use super::sources::{NotCompared, Sources};
use crate::policy::{ParameterEdit, Turn, Turning};
use crate::runtime::whynot::{Change, Question, Reason, WhyNot, why_not};

/// Where a name is looked for, and under which policies.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// Look at this node only; the controller's own is `(built-in)`.
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// Look at this controller only.
    #[arg(long, value_name = "NAME")]
    controller: Option<String>,
    #[command(flatten)]
    sources: Sources,
}

impl Place {
    /// Returns whether anything is narrowed down: a decision has its place already.
    pub(super) fn is_named(&self) -> bool {
        self.node.is_some() || self.controller.is_some() || self.sources.are_named()
    }

    pub(super) async fn why_not(&self, name: &str, socket: &ControlSocket, json: bool) -> anyhow::Result<Exit> {
        let (answer, warnings) = self.look(name, socket).await.map_err(NotCompared::wrap)?;
        if json {
            #[derive(serde::Serialize)]
            struct Report<'a> {
                name: &'a str,
                warnings: &'a [String],
                #[serde(flatten)]
                answer: &'a WhyNot,
            }
            terminal::say_json(&Report { name, warnings: &warnings, answer: &answer })?;
        } else {
            for warning in &warnings {
                terminal::complain(&format!("warning: {}", terminal::harmless(warning)));
            }
            terminal::say(terminal::harmless(told(name, &answer).trim_end()))?;
        }
        Ok(if answer.reasons.is_empty() { Exit::Ok } else { Exit::Failed })
    }

    async fn look(&self, name: &str, socket: &ControlSocket) -> anyhow::Result<(WhyNot, Vec<String>)> {
        let question = Question::read(name, self.controller.as_deref(), self.node.as_deref())?;
        let mut gathered = self.sources.gather(socket).await?;
        let policies = gathered.in_force()?;
        Ok((why_not(&gathered.fleet, &policies, &question)?, gathered.warnings))
    }
}

fn told(name: &str, answer: &WhyNot) -> String {
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{line}").expect("a string takes everything");
    match answer.offered.count {
        0 => line(format!("{name} is not offered")),
        _ => line(format!("{name} is offered on {}", nodes(&answer.offered))),
    }
    for Reason { texts, project, nodes: on, .. } in &answer.reasons {
        let of = project.as_ref().map(|project| format!("{project} ")).unwrap_or_default();
        match on.count {
            0 => line(format!("  {}", texts.join("; then "))),
            _ => line(format!("  {of}not on {}\n    {}", nodes(on), texts.join("; then "))),
        }
    }
    match (&answer.changes[..], &answer.reasons[..]) {
        ([], []) => {}
        ([], _) => line("no single change was found that would have it offered".to_owned()),
        (changes, _) => {
            line("any one of these would have it offered, the smallest first:".to_owned());
            for Change { text, nodes: on, also_added, also_withdrawn } in changes {
                let also = match (also_added, also_withdrawn) {
                    (0, 0) => String::new(),
                    (1, withdrawn) => format!("; besides, 1 place comes and {withdrawn} go"),
                    (added, withdrawn) => format!("; besides, {added} places come and {withdrawn} go"),
                };
                line(format!("  {text}\n    then on {}{also}", nodes(on)));
            }
        }
    }
    if answer.is_cut {
        line("there was more to look at: --controller and --node narrow it".to_owned());
    }
    text
}

/// Tells what would have turned a decision about a job.
pub(super) fn turned(id: i64, turning: &Turning, json: bool) -> anyhow::Result<Exit> {
    if json {
        terminal::say_json(turning)?;
    } else {
        terminal::say(terminal::harmless(turning_text(id, turning).trim_end()))?;
    }
    Ok(if turning.trouble.is_none() { Exit::Ok } else { Exit::Failed })
}

fn turning_text(id: i64, turning: &Turning) -> String {
    let Turning { verdict, why, changes, tried, is_cut, missing, trouble } = turning;
    let mut text = String::new();
    let mut line = |line: String| writeln!(text, "{line}").expect("a string takes everything");
    match (verdict, trouble) {
        (Some(verdict), _) => {
            let why = if why.is_empty() { String::new() } else { format!(": {why}") };
            line(format!("decision {id} is {}{why}", verdict.word()));
        }
        (None, trouble) => {
            line(format!("decision {id} could not be asked again: {}", trouble.as_deref().unwrap_or_default()));
            return text;
        }
    }
    if !missing.is_empty() {
        line(explain::not_the_very_question(missing));
    }
    if changes.is_empty() {
        line(format!("no change of a single parameter turns it ({tried} were tried)"));
    }
    for Turn { parameter, edit, verdict, why } in changes {
        let what = match edit {
            ParameterEdit::LeaveOut => format!("without {parameter}"),
            ParameterEdit::Empty => format!("with {parameter} empty"),
            ParameterEdit::Send => format!("with {parameter} sent too, empty"),
        };
        let why = if why.is_empty() { String::new() } else { format!(" ({why})") };
        line(format!("  {what} it is {}{why}", verdict.word()));
    }
    if *is_cut {
        line(format!("there are more parameters than the {tried} that were tried"));
    }
    text
}
