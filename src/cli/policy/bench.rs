use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::super::{Exit, status, terminal};
use super::File;
use super::test::{cases_path, read_cases};
use crate::policy::{Asks, Cost, Spread};

/// How long one case is measured.
const TIME: Duration = Duration::from_millis(500);

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each question of the cases is put to fresh instances, as in a decision about a job (start, configure, question), and again
and again to one, as in a pass over the function table. Fuel is the same on every machine; the time is not.

Exit code 0: measured; 1: a call failed, or the file is no policy.

Examples:
  layshaft policy bench 20-labels.wasm
  layshaft policy bench 20-labels.wasm cases.toml --times 10000 --json")]
pub(super) struct Bench {
    #[command(flatten)]
    file: File,
    /// The cases, as TOML or JSON [default: cases.toml beside the policy].
    cases: Option<PathBuf>,
    /// Ask at most so often in each way; half a second is enough, however often that is.
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    times: u32,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    case: &'a str,
    hook: &'static str,
    #[serde(flatten)]
    cost: Option<Cost>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

impl Bench {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        let cases = read_cases(&cases_path(&self.file.file, self.cases.as_deref()))?;
        let policy = self.file.open()?;
        let most = usize::try_from(self.times).unwrap_or(usize::MAX);
        let mut lines = Vec::new();
        for case in &cases.cases {
            let Asks::Question(question) = &case.asks else { continue };
            let settings = case.settings.as_deref().unwrap_or("{}");
            let measured = policy.measure(settings, question, case.grants.as_ref(), TIME, most);
            let error = measured.as_ref().err().map(ToString::to_string);
            lines.push(Line { case: &case.name, hook: question.call().as_str(), cost: measured.ok(), error });
        }
        let is_failed = lines.iter().any(|line| line.error.is_some());
        if self.json {
            terminal::say_json(&lines)?;
        } else {
            let mut table = status::columns(["HOOK", "CASE", "INSTANCE", "FUEL", "MEDIAN µs", "P95 µs", "N"]);
            for line in &lines {
                let Some(Cost { fresh, kept }) = &line.cost else {
                    let error = line.error.clone().unwrap_or_default();
                    table.add_row([line.hook.to_owned(), line.case.to_owned(), error]);
                    continue;
                };
                for (way, Spread { fuel, n, median_nanoseconds, p95_nanoseconds }) in [("fresh", fresh), ("kept", kept)]
                {
                    table.add_row([
                        line.hook.to_owned(),
                        line.case.to_owned(),
                        way.to_owned(),
                        fuel.to_string(),
                        microseconds(*median_nanoseconds),
                        microseconds(*p95_nanoseconds),
                        n.to_string(),
                    ]);
                }
            }
            terminal::say(table)?;
            if cfg!(debug_assertions) {
                terminal::say("this is a build for development: its times are no measure")?;
            }
        }
        Ok(if is_failed { Exit::Failed } else { Exit::Ok })
    }
}

fn microseconds(nanoseconds: u64) -> String {
    format!("{}.{}", nanoseconds / 1000, nanoseconds % 1000 / 100)
}
