//! Whether the sandbox holds on this machine: everything hostile that we know of, dropped into a policy folder of its own
//! and asked by the host's own code.
//!
//! It neither reads nor changes the site's own folder, and asks no daemon. `docs/policy-hostility.md` has the table.

mod kit;
mod modules;
#[cfg(test)]
mod recipes;
mod resources;
mod site;
#[cfg(test)]
mod tests;
mod told;

use std::time::Duration;

use serde::Serialize;

use super::config::Limits;
use kit::{KIT, LARGE, Specimen};
use modules::modules;
use site::Site;

pub use resources::Resources;
pub use site::Trouble;

/// What nothing of the kit may exceed.
const WITHIN: Duration = Duration::from_millis(50);

/// So much is a loop of a few milliseconds.
const FUEL: u64 = 2_000_000;

/// A machine that is busy with something else may be late; the sandbox is not.
const TRIES: usize = 3;

/// What came of it.
#[derive(Clone, Debug, Serialize)]
pub struct SelfTest {
    pub kit: Vec<Finding>,
    /// How long a job waits for a policy that loops for ever, under each limit as configured.
    pub bounds: Vec<Bound>,
    pub swaps: Swaps,
}

/// What became of one specimen.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    pub name: &'static str,
    /// What it does, after "a file that".
    pub does: &'static str,
    pub expected: String,
    pub got: String,
    pub milliseconds: f64,
    pub within_milliseconds: f64,
    pub outcome: Outcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Held,
    /// Something else became of it, or others suffered.
    Broke,
    /// It was contained, and too late.
    Late,
    /// It cannot be made here.
    Skipped,
}

/// What ends the wait for an endless loop.
#[derive(Clone, Debug, Serialize)]
pub struct Bound {
    /// The limit's name in the configuration.
    pub limit: &'static str,
    pub milliseconds: f64,
}

/// One good version replaced by another, again and again.
#[derive(Clone, Debug, Serialize)]
pub struct Swaps {
    pub count: usize,
    pub milliseconds: f64,
    /// After the first fifth of them.
    pub before: Option<Resources>,
    pub after: Option<Resources>,
    pub flat: bool,
}

impl SelfTest {
    /// Tries everything under these limits, the fuel cut down to what 50 ms are enough for.
    ///
    /// # Errors
    /// Trouble that keeps it from being tried. What does not hold is none: see `holds`.
    pub async fn run(limits: &Limits, swaps: usize) -> Result<Self, Trouble> {
        let modules = modules();
        let module = |name: &str| modules.get(name).map(Vec::as_slice);
        let (witness, good) = (module("witness").unwrap_or_default(), module("last-good").unwrap_or_default());
        // The deadline stays: it is time that goes by, and a busy machine may take it from the best of policies.
        let short = Limits { fuel: limits.fuel.min(FUEL), ..limits.clone() };
        let site = Site::open(&short, witness, good)?;
        let mut kit = Vec::new();
        for specimen in KIT {
            kit.push(examine(&site, specimen, module(specimen.name), &short).await?);
        }
        let swaps = swap(&site, [good, witness], swaps).await?;
        let sly = module("sly-loops").unwrap_or_default();
        let unfuelled = Limits { fuel: u64::MAX, ..limits.clone() };
        let mut bounds = Vec::new();
        for (limit, limits) in [("policies.limits.fuel", limits), ("policies.limits.deadline", &unfuelled)] {
            let took = Site::open_with_suspect(limits, witness, sly)?.time_one_question();
            bounds.push(Bound { limit, milliseconds: milliseconds(took) });
        }
        Ok(Self { kit, bounds, swaps })
    }

    /// Returns whether the sandbox holds.
    pub fn holds(&self) -> bool {
        self.swaps.flat && self.kit.iter().all(|finding| matches!(finding.outcome, Outcome::Held | Outcome::Skipped))
    }
}

async fn examine(site: &Site, specimen: &Specimen, module: Option<&[u8]>, limits: &Limits) -> Result<Finding, Trouble> {
    // A compilation runs to its end or to the compile timeout, whatever the policy is.
    let within = if LARGE.contains(&specimen.name) { limits.compile_timeout } else { WITHIN };
    let mut finding = Finding {
        name: specimen.name,
        does: specimen.does,
        expected: specimen.answer.to_string(),
        got: String::new(),
        milliseconds: f64::MAX,
        within_milliseconds: milliseconds(within),
        outcome: Outcome::Late,
    };
    for _ in 0..TRIES {
        match site.examine(specimen, module, limits).await? {
            Err(reason) => return Ok(Finding { got: reason, milliseconds: 0.0, outcome: Outcome::Skipped, ..finding }),
            Ok(seen) => {
                finding.milliseconds = finding.milliseconds.min(milliseconds(seen.took));
                finding.got = seen.got;
                if !seen.held {
                    return Ok(Finding { outcome: Outcome::Broke, ..finding });
                }
                if seen.took <= within {
                    return Ok(Finding { outcome: Outcome::Held, ..finding });
                }
            }
        }
    }
    Ok(finding)
}

async fn swap(site: &Site, versions: [&[u8]; 2], count: usize) -> Result<Swaps, Trouble> {
    let begin = tokio::time::Instant::now();
    let warm_up = count / 5;
    site.swap(versions, warm_up).await?;
    let before = Resources::now();
    site.swap(versions, count - warm_up).await?;
    let after = Resources::now();
    let flat = before.zip(after).is_none_or(|(before, after)| after.is_flat_since(&before));
    Ok(Swaps { count, milliseconds: milliseconds(begin.elapsed()), before, after, flat })
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e4).round() / 10.0
}
