use super::super::{Exit, terminal};
use super::{File, Keys, signature};
use crate::policy::{Inspection, Needs, ParameterValues};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 0: it is a policy; 1: it is none, for the reason that is told.

Examples:
  layshaft policy inspect 10-names.wasm
  layshaft policy inspect 10-names.wasm --json | jq -r .digest")]
pub(super) struct Inspect {
    #[command(flatten)]
    file: File,
    #[command(flatten)]
    keys: Keys,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let mut config = self.file.config()?;
        self.keys.add_to(&mut config);
        let inspection = self.file.open_under(config)?.inspect();
        if self.json {
            terminal::say_json(&inspection)?;
        } else {
            terminal::say(told(&inspection))?;
        }
        Ok(Exit::Ok)
    }
}

fn told(inspection: &Inspection) -> String {
    let Inspection { digest, size, description, hooks, signed, imports: _, limits } = inspection;
    let hooks: Vec<&str> = hooks.iter().map(|hook| hook.as_str()).collect();
    let rows = [
        ("hooks", hooks.join(", ")),
        ("needs", needs(&description.needs)),
        ("imports", "none".to_owned()),
        ("pure", "proven: without imports, a verdict is a function of question and settings".to_owned()),
        ("sha256", digest.to_string()),
        ("signed", signature(signed)),
        ("size", format!("{size} bytes")),
        (
            "limits",
            format!(
                "fuel {}, deadline {:?}, memory {} bytes, answer {} bytes",
                limits.fuel, limits.deadline, limits.memory, limits.answer
            ),
        ),
    ];
    let rows: Vec<String> = rows.iter().map(|(name, value)| format!("  {name:<9} {value}")).collect();
    format!("{} {}: {}\n{}", description.name, description.version, description.summary, rows.join("\n"))
}

fn needs(needs: &Needs) -> String {
    let mut wanted = Vec::new();
    if needs.project {
        wanted.push("the project in questions to matching".to_owned());
    }
    if needs.node_name {
        wanted.push("the node's name".to_owned());
    }
    if !needs.labels.is_empty() {
        wanted.push(format!("labels {} (grant labels)", needs.labels.join(" ")));
    }
    match &needs.parameter_values {
        ParameterValues::None => {}
        ParameterValues::Named(names) => {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            wanted.push(format!("values of {} (grant values)", names.join(" ")));
        }
        ParameterValues::All => wanted.push("values of all parameters (grant values)".to_owned()),
    }
    if wanted.is_empty() { "nothing beyond the question".to_owned() } else { wanted.join("; ") }
}
