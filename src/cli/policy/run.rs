use std::path::Path;

use anyhow::{Context, anyhow};
use serde_json::Value;

use super::super::{Exit, terminal};
use super::{File, read_text, word};
use crate::policy::{Call, Grant, Question, Told, settings_of};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
A question has the form of the contract (`layshaft policy schema matching.matches`) and may leave out what follows from the
rest. The outcome that offline.build-ended takes stands in it under `outcome`.

Exit code 0: the policy answered; 1: it failed.

Examples:
  layshaft policy run 20-labels.wasm --hook matching.matches \\
      --input '{\"expression\": \"ubuntu\", \"node\": {\"labels\": [\"ubuntu-22.04\"]}}'
  layshaft policy run 40-nodes.wasm --hook offline.build-ended --settings 'labels = [\"vm-*\"]' \\
      --input '{\"project\": {\"full-name\": \"lint\"}, \"node\": {\"labels\": [\"vm-1\"]}, \"outcome\": {\"build-result\": \"failure\"}}'
  layshaft policy run 10-names.wasm --hook naming.names --input - --json < question.json")]
pub(super) struct Run {
    #[command(flatten)]
    file: File,
    /// The function to call.
    #[arg(long, value_name = "HOOK", value_parser = call)]
    hook: Call,
    /// The question as JSON; `-` reads it from the standard input.
    #[arg(long, value_name = "JSON")]
    input: String,
    /// The settings: a file of the form that lies beside a policy, or TOML if it has a `=` in it [default: the .toml beside
    /// the policy].
    #[arg(long, value_name = "TOML")]
    settings: Option<String>,
    /// What the site grants; may be repeated [default: everything].
    #[arg(long = "grant", value_name = "GRANT", value_parser = grant)]
    grants: Option<Vec<Grant>>,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
}

impl Run {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let text = if self.input == "-" { read_text(Path::new("-"))? } else { self.input.clone() };
        let mut question: Value = serde_json::from_str(&text).context("the question is not JSON")?;
        let outcome = question.as_object_mut().and_then(|fields| fields.remove("outcome"));
        let question = Question::read(self.hook, question, outcome).map_err(|error| anyhow!(error))?;
        let policy = self.file.open()?;
        let settings = match &self.settings {
            None => policy.settings(),
            Some(text) if text.contains('=') => settings_of(&format!("[settings]\n{text}")),
            Some(file) => settings_of(&read_text(Path::new(file))?),
        };
        let settings = settings.map_err(|error| anyhow!("the settings are not understood: {error}"))?;
        let grants = self.grants.as_ref().map(|grants| grants.iter().copied().collect());
        let told = policy.ask(&settings, &question, grants.as_ref()).context("the policy failed")?;
        if self.json {
            terminal::say_json(&told)?;
        } else {
            terminal::say(terminal::harmless(&shown(&told)))?;
        }
        Ok(Exit::Ok)
    }
}

fn shown(told: &Told) -> String {
    let mut lines = Vec::new();
    for (name, value) in &told.verdict.fields {
        match (name.as_str(), value) {
            ("trace", Value::Array(trace)) => {
                lines.extend(trace.iter().map(|line| format!("{:<8} {}", "trace", line.as_str().unwrap_or_default())));
            }
            (_, Value::String(text)) => lines.push(format!("{name:<8} {text}")),
            (_, value) => lines.push(format!("{name:<8} {value}")),
        }
    }
    for grant in &told.verdict.needs_grants {
        lines.push(format!("{:<8} the grant `{}`, before this counts in full", "needs", word(grant)));
    }
    lines.push(format!("{:<8} {}", "fuel", told.fuel));
    lines.push(format!("{:<8} {} µs to start, {} µs to answer", "time", told.start_microseconds, told.microseconds));
    lines.join("\n")
}

fn call(text: &str) -> Result<Call, String> {
    let fits = |call: &Call| call.as_str() == text || call.as_str().split('.').any(|part| part == text);
    let fitting: Vec<Call> = Call::ALL.into_iter().filter(fits).collect();
    match fitting[..] {
        [call] => Ok(call),
        _ => {
            let calls: Vec<&str> = Call::ALL.iter().map(|call| call.as_str()).collect();
            Err(format!("write one of {}", calls.join(", ")))
        }
    }
}

fn grant(text: &str) -> Result<Grant, String> {
    serde_json::from_value(text.into()).map_err(|_| "write widen, rewrite, veto, values or labels".to_owned())
}
