//! What may be kept of a decision. Values of parameters are left out unless the site says otherwise, and those of secret
//! ones always: from the question, from values that policies set, from every text that a policy wrote.

use std::collections::BTreeMap;
use std::sync::Arc;

use globset::GlobSet;
use serde_json::{Map, Value};

use super::asked::{Asked, JobAsked, Sent, SentValue};
use super::binding::globs;
use super::call::CallError;
use super::config::Config;
use super::digest::Digest;
use super::generation::Slot;
use super::mask::{HIDDEN, Mask};
use super::need::is_secret;
use super::record::{Answered, Composed, Failure, Fate, SlotTold, Told};
use super::seal::PublicKey;
use super::tally::Cost;
use super::verdict::Explained;
use super::written::Written;
use crate::domain::Project;

/// What is kept of values, and what is not.
#[derive(Debug)]
pub(super) struct Redaction {
    shown: GlobSet,
    secret: GlobSet,
    seal_to: Option<PublicKey>,
}

/// What was decided, as it was.
pub(super) struct Raw {
    pub(super) spoken: Vec<Spoken>,
    pub(super) verdict: Composed,
    pub(super) why: String,
}

/// What one slot answered, and what that took.
pub(super) struct Spoken {
    pub(super) slot: Arc<Slot>,
    pub(super) answer: Arc<dyn Answer>,
    pub(super) cost: Cost,
}

/// An answer of any hook.
pub(super) trait Answer: Send + Sync {
    fn told(&self) -> Result<Map<String, Value>, &CallError>;
}

impl<A: Send + Sync> Answer for Result<Explained<A>, CallError>
where
    Explained<A>: Written,
{
    fn told(&self) -> Result<Map<String, Value>, &CallError> {
        self.as_ref().map(Written::written)
    }
}

impl Redaction {
    /// # Errors
    /// Which glob is none.
    pub(super) fn new(config: &Config) -> Result<Self, String> {
        Ok(Self {
            shown: globs(&config.log.values, false).map_err(|error| format!("policies.log.values: {error}"))?,
            secret: globs(&config.secret_parameters, true)
                .map_err(|error| format!("policies.secret_parameters: {error}"))?,
            seal_to: config.log.seal_to.clone(),
        })
    }

    /// Returns a question of which every value is known as it may be kept.
    pub(super) fn cover(&self, mut asked: Asked) -> Asked {
        if let Some(job) = asked.job_mut() {
            self.cover_job(job);
        }
        asked
    }

    fn cover_job(&self, job: &mut JobAsked) {
        let hidden = self.hidden(job);
        let sealed = match &self.seal_to {
            Some(key) if !hidden.is_empty() => key.seal(&hidden),
            _ => None,
        };
        let cover = if sealed.is_some() { SentValue::Sealed } else { SentValue::Withheld };
        let hidden: Vec<String> = hidden.into_keys().map(str::to_owned).collect();
        for sent in job.sent.iter_mut().filter(|sent| hidden.contains(&sent.name)) {
            sent.value = cover.clone();
        }
        job.sealed = sealed;
    }

    /// Returns what may be told of a decision about a question; of that, every value that is known counts.
    pub(super) fn tell(&self, asked: &Asked, raw: Raw) -> Answered {
        let hidden = asked.job().map(|job| self.hidden(job)).unwrap_or_default();
        let cover = Cover { redaction: self, asked, mask: Mask::hiding(hidden.into_values()) };
        Answered {
            told: raw.spoken.iter().map(|spoken| cover.told(spoken)).collect(),
            verdict: cover.composed(raw.verdict),
            why: cover.mask.apply(&raw.why),
        }
    }

    fn hidden<'a>(&self, job: &'a JobAsked) -> BTreeMap<&'a str, &'a str> {
        let hidden = |sent: &'a Sent| match &sent.value {
            SentValue::Shown(value) if !self.shows(&job.project, &sent.name) => Some((&*sent.name, &**value)),
            _ => None,
        };
        job.sent.iter().filter_map(hidden).collect()
    }

    fn shows(&self, project: &Project, parameter: &str) -> bool {
        self.shown.is_match(parameter) && !is_secret(&self.secret, project, parameter)
    }
}

/// One redaction of one answer.
struct Cover<'a> {
    redaction: &'a Redaction,
    asked: &'a Asked,
    mask: Mask,
}

impl Cover<'_> {
    fn told(&self, spoken: &Spoken) -> SlotTold {
        let Spoken { slot, answer, cost } = spoken;
        SlotTold {
            slot: slot.voice.name.to_string(),
            policy: slot.voice.policy.to_string(),
            module: slot.module.digest.clone(),
            settings: Digest::of(slot.settings.as_bytes()),
            answer: match answer.told() {
                Ok(fields) => Told::Verdict(self.verdict(fields)),
                Err(error) => {
                    let failure = Failure::of(error);
                    Told::Failure(Failure { text: self.mask.apply(&failure.text), ..failure })
                }
            },
            fuel: cost.fuel,
            microseconds: u64::try_from(cost.time.as_micros()).unwrap_or(u64::MAX),
        }
    }

    fn verdict(&self, mut fields: Map<String, Value>) -> Map<String, Value> {
        if self.asked.job().is_none() {
            return fields;
        }
        if let Some(Value::Array(rules)) =
            fields.get_mut("answer").and_then(|answer| answer.pointer_mut("/rules/named"))
        {
            rules.iter_mut().for_each(|rule| self.rule(rule));
        }
        // What is left are words, and texts that a policy wrote.
        for key in ["reason", "trace"] {
            if let Some(text) = fields.get_mut(key) {
                self.text(text);
            }
        }
        for message in ["/offline", "/held"] {
            if let Some(text) = fields.get_mut("answer").and_then(|answer| answer.pointer_mut(message)) {
                self.text(text);
            }
        }
        fields
    }

    fn rule(&self, rule: &mut Value) {
        let name = rule["name"].as_str().unwrap_or_default().to_owned();
        if let Some(value) = rule.pointer_mut("/decision/set") {
            if self.redaction.shows(self.asked.project(), &name) {
                self.text(value);
            } else {
                *value = HIDDEN.into();
            }
        }
        // A name that is none of the question's is as much a policy's own text as a reason.
        let is_sent = self.asked.job().is_some_and(|job| job.sent.iter().any(|sent| sent.name == name));
        if !is_sent && self.asked.project().parameter(&name).is_none() {
            self.text(&mut rule["name"]);
        }
    }

    fn text(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.mask.apply(text),
            Value::Array(lines) => lines.iter_mut().for_each(|line| self.text(line)),
            _ => {}
        }
    }

    fn composed(&self, mut composed: Composed) -> Composed {
        if let Composed::Passed { parameters } = &mut composed {
            for (name, fate) in parameters {
                let Fate::Set(value) = fate else { continue };
                let shown = value.take_if(|_| self.redaction.shows(self.asked.project(), name));
                *fate = Fate::Set(shown.map(|value| self.mask.apply(&value)));
            }
        }
        composed
    }
}

#[cfg(test)]
#[path = "redaction_tests.rs"]
mod tests;
