use std::time::{Duration, SystemTime};

use super::super::arguments::ControlSocket;
use super::super::{Exit, status, terminal};
use super::records;
use crate::domain::human_duration;
use crate::policy::Call;
use crate::web::{DecisionEntry, DecisionQuery};

/// Longer reasons are in `explain`.
const LONGEST_WHY: usize = 70;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Kept are decisions about jobs, and samples of what policies say about the function table; [policies.log] says how many
and for how long. No value of a parameter is shown that the site does not allow to be kept.

Exit code 0: done, also if there is none.

Examples:
  layshaft policy log --verdict rejected --since 1h
  layshaft policy log --project 'team/**' --policy allowlist --json | jq -r '.[].id'
  layshaft policy log --call parameters.filter --failed
  layshaft policy log --records --limit 1000 > decisions.jsonl")]
pub(super) struct Log {
    /// Only about this project; `*` stands for any text.
    #[arg(long, value_name = "NAME")]
    project: Option<String>,
    /// Only where this policy was asked.
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// Only decisions of this kind, such as `parameters.filter`.
    #[arg(long, value_name = "CALL", value_parser = call)]
    call: Option<Call>,
    /// Only with this outcome, such as `rejected`.
    #[arg(long, value_name = "WORD")]
    verdict: Option<String>,
    /// Only where a policy failed.
    #[arg(long)]
    failed: bool,
    /// Only the last so much time, such as `2h`.
    #[arg(long, value_name = "DURATION", value_parser = human_duration::parse)]
    since: Option<Duration>,
    /// Only those before this one, to go on with.
    #[arg(long, value_name = "ID")]
    before: Option<i64>,
    /// At most so many, the latest first.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=1000))]
    limit: u64,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
    /// Answer with whole decisions, each a line of JSON, for `layshaft policy replay --records`.
    #[arg(long, conflicts_with = "json")]
    records: bool,
    #[command(flatten)]
    socket: ControlSocket,
}

impl Log {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        if self.records {
            let most = usize::try_from(self.limit).unwrap_or(usize::MAX);
            let say = |record| Ok(terminal::say(serde_json::to_string(&record)?)?);
            records::fetch(&self.socket.client()?, self.query(), most, say).await?;
            return Ok(Exit::Ok);
        }
        let decisions = self.socket.client()?.decisions(&self.query()).await?;
        if self.json {
            terminal::say_json(&decisions)?;
        } else if decisions.is_empty() {
            terminal::say("no decision is kept that fits")?;
        } else {
            terminal::say(terminal::harmless(&table(&decisions)))?;
        }
        Ok(Exit::Ok)
    }

    fn query(&self) -> DecisionQuery {
        let since = self.since.map(|since| SystemTime::now().checked_sub(since).unwrap_or(SystemTime::UNIX_EPOCH));
        let since = since.and_then(|since| since.duration_since(SystemTime::UNIX_EPOCH).ok());
        DecisionQuery {
            project: self.project.clone(),
            policy: self.policy.clone(),
            call: self.call.map(|call| call.to_string()),
            verdict: self.verdict.clone(),
            failed: self.failed,
            since_ms: since.and_then(|since| u64::try_from(since.as_millis()).ok()),
            before: self.before,
            limit: usize::try_from(self.limit).ok(),
        }
    }
}

fn table(decisions: &[DecisionEntry]) -> String {
    let mut table = status::columns(["ID", "TIME", "GENERATION", "CALL", "PROJECT", "VERDICT", "POLICIES", "WHY"]);
    for decision in decisions {
        let why: String = decision.why.chars().take(LONGEST_WHY).collect();
        let is_cut = why.len() < decision.why.len();
        table.add_row([
            decision.id.to_string(),
            time(decision.at_ms),
            decision.generation.to_string(),
            decision.call.clone(),
            decision.project.clone(),
            if decision.failed { format!("{}, a policy failed", decision.verdict) } else { decision.verdict.clone() },
            if decision.policies.is_empty() { "-".to_owned() } else { decision.policies.join(", ") },
            if is_cut { why + "…" } else { why },
        ]);
    }
    table.to_string()
}

/// Returns a time for people.
pub(super) fn time(milliseconds: u64) -> String {
    match SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(milliseconds)) {
        Some(time) if milliseconds < 253_402_300_800_000 => humantime::format_rfc3339_seconds(time).to_string(),
        _ => format!("{milliseconds} ms"),
    }
}

fn call(text: &str) -> Result<Call, String> {
    let names = || Call::ALL.map(Call::as_str).join(", ");
    Call::named(text).ok_or_else(|| format!("there are {}", names()))
}
