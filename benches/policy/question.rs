//! What a decision costs: a question of real size, put to a policy by the calls that the daemon makes, fuel and epoch on.

use std::path::PathBuf;

use anyhow::ensure;
use layshaft::policy::{Asking, Call, Config, Question, Workbench, settings_of};
use tokio::time::Instant;

use crate::support::Samples;

/// 30 declared parameters, 24 requested ones, a node of 12 labels.
const QUESTION: &str = include_str!("question.json");
/// The rule for parameter-allowlist; the other policy has it in it.
const LISTS: &str = include_str!("question.toml");
const REASON: &str = "rule `team-c` allows 15, leaves out 9";

const TIMES: usize = 20_000;

/// What a policy takes for the question.
#[derive(Debug)]
pub(crate) struct Decided {
    pub(crate) policy: &'static str,
    /// By an instance that has answered before, as in a pass over the function table.
    pub(crate) kept: Samples,
    pub(crate) kept_fuel: u64,
    /// By one of its own, as for each job: start, `configure`, question.
    pub(crate) fresh: Samples,
    pub(crate) fresh_fuel: u64,
}

/// Asks the rule as its author would write it in Rust, and the example policy that reads it from its settings.
pub(crate) fn measure() -> anyhow::Result<Vec<Decided>> {
    let lists = settings_of(LISTS).map_err(anyhow::Error::msg)?;
    let rule = decided("a rule in Rust", "benches/peers/policy/guests/rule-layshaft.wasm", "{}")?;
    let allowlist = decided("parameter-allowlist", "policies/parameter-allowlist/parameter-allowlist.wasm", &lists)?;
    Ok(vec![rule, allowlist])
}

fn decided(policy: &'static str, file: &str, settings: &str) -> anyhow::Result<Decided> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file);
    let bench = Workbench::open(&file, &Config::new("unused"))?;
    let question = Question::read(Call::Filter, serde_json::from_str(QUESTION)?, None).map_err(anyhow::Error::msg)?;
    let asking = bench.asking(settings, &question, None)?;
    let (kept, kept_fuel, fresh_fuel) = kept(&asking)?;
    Ok(Decided { policy, kept, kept_fuel, fresh: fresh(&asking)?, fresh_fuel })
}

fn kept(asking: &Asking<'_>) -> anyhow::Result<(Samples, u64, u64)> {
    let mut kept = asking.keep()?;
    kept.ask()?;
    let fresh_fuel = kept.fuel_in_all();
    let mut samples = Samples::default();
    for _ in 0..TIMES {
        let started = Instant::now();
        let spoken = kept.ask()?;
        samples.push(started.elapsed());
        check(spoken.reason())?;
    }
    Ok((samples, kept.fuel(), fresh_fuel))
}

fn fresh(asking: &Asking<'_>) -> anyhow::Result<Samples> {
    let mut samples = Samples::default();
    for _ in 0..TIMES {
        let started = Instant::now();
        let spoken = asking.fresh()?;
        samples.push(started.elapsed());
        check(spoken.reason())?;
    }
    Ok(samples)
}

/// A fast wrong answer is no figure.
fn check(reason: &str) -> anyhow::Result<()> {
    ensure!(reason == REASON, "the policy says {reason:?}");
    Ok(())
}
