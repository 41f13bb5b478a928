//! Ours: WebAssembly components, with all the daemon's limits on.

use std::path::Path;

use anyhow::{Context, Result, bail};
use layshaft::policy::{Call, Config, Decision, ParametersAnswer, Spoken, Workbench, settings_of};

use super::{Decide, Engine};
use crate::question::{Answer, Question};

/// The rule in the words of parameter-allowlist.
const LISTS: &str = include_str!("../../../../policy/question.toml");

#[derive(Clone, Copy)]
pub(super) enum Guest {
    /// Just this rule, as its author would write it with the SDK.
    Rule,
    /// The example policy that reads lists, as shipped.
    Allowlist,
}

pub(super) struct Layshaft {
    name: &'static str,
    policy: Workbench,
    settings: String,
    is_kept: bool,
}

impl Layshaft {
    pub(super) fn kept(name: &'static str, guest: Guest) -> Result<Self> {
        let (file, settings) = match guest {
            Guest::Rule => ("guests/rule-layshaft.wasm", "{}".to_owned()),
            Guest::Allowlist => {
                let settings = settings_of(LISTS).map_err(anyhow::Error::msg)?;
                ("../../../policies/parameter-allowlist/parameter-allowlist.wasm", settings)
            }
        };
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        let policy = Workbench::open(&file, &Config::new("unused"))?;
        Ok(Self { name, policy, settings, is_kept: true })
    }

    pub(super) fn fresh(name: &'static str, guest: Guest) -> Result<Self> {
        Ok(Self { is_kept: false, ..Self::kept(name, guest)? })
    }
}

impl Engine for Layshaft {
    fn name(&self) -> &'static str {
        self.name
    }

    fn ready<'a>(&'a mut self, question: &'a Question) -> Result<Decide<'a>> {
        let question = layshaft::policy::Question::read(Call::Filter, serde_json::to_value(question)?, None);
        let asking = self.policy.asking(&self.settings, &question.map_err(anyhow::Error::msg)?, None)?;
        if !self.is_kept {
            return Ok(Box::new(move || answer(asking.fresh()?)));
        }
        // It lives as long as the program: one for each question.
        let mut kept = Box::leak(Box::new(asking)).keep()?;
        Ok(Box::new(move || answer(kept.ask()?)))
    }
}

fn answer(spoken: Spoken) -> Result<Answer> {
    let reason = spoken.reason().to_owned();
    let (rejected, allowed) = match spoken.into_parameters().context("an answer to another hook")? {
        ParametersAnswer::Reject => (true, Vec::new()),
        ParametersAnswer::Rules { named, closed: true } => {
            let allowed = named.into_iter().filter(|(_, decision)| *decision == Decision::Allow);
            (false, allowed.map(|(name, _)| name).collect())
        }
        other => bail!("{other:?}: {reason}"),
    };
    Ok(Answer { rejected, allowed, reason })
}
