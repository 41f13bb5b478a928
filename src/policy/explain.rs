//! Making decisions of the past again, by the modules and settings that were in force then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::component::Module;
use super::config::Config;
use super::digest::Digest;
use super::gate;
use super::generation::{Generation, Slot};
use super::history::{Era, Placed};
use super::record::{Answered, Composed, Record, SlotTold, Told};
use super::recorder::now_ms;
use super::reload::{Inner, Policies};
use super::tally::Tallies;

/// A decision, and the same question put again to what was in force then.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    pub record: Record,
    /// None if it could not be asked.
    pub again: Option<Answered>,
    /// Where it did not come out as recorded.
    pub differences: Vec<String>,
    /// Parameters that some policy was shown then and that are not known now: it was another question.
    pub missing: BTreeSet<String>,
    /// Why it could not be asked.
    pub trouble: Option<String>,
}

/// What one era makes of a question.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    pub generation: u64,
    /// When it came into force, in milliseconds since 1970.
    pub since: u64,
    /// What is other than in the era before.
    pub changed: Vec<String>,
    pub verdict: Option<Composed>,
    pub why: String,
    /// It is not what the era before made of it.
    pub differs: bool,
    pub missing: BTreeSet<String>,
    /// Why it could not be asked.
    pub trouble: Option<String>,
}

impl Policies {
    /// Makes a decision again. `values` are those that the record does not have, where somebody knows them.
    pub async fn explain(&self, record: Record, values: BTreeMap<String, String>) -> Explanation {
        let _alone = self.one_at_a_time().await;
        self.off_the_runtime(move |inner| inner.explain(record, &values)).await
    }

    /// Puts the question of a decision to every era that is known, the oldest first.
    pub async fn bisect(&self, record: Record, values: BTreeMap<String, String>) -> Vec<Step> {
        let _alone = self.one_at_a_time().await;
        self.off_the_runtime(move |inner| inner.bisect(record, &values)).await
    }

    /// Forgets what was in force too long ago to be asked again.
    pub async fn forget_eras(&self) -> std::io::Result<()> {
        self.off_the_runtime(|inner| match &inner.ledger {
            // Whoever looks at the folder writes there too.
            Some(ledger) => {
                let book = inner.book();
                ledger.forget_eras(now_ms(), &inner.config.log)?;
                inner.throw_away(&book);
                Ok(())
            }
            None => Ok(()),
        })
        .await
    }
}

impl Inner {
    fn explain(&self, mut record: Record, values: &BTreeMap<String, String>) -> Explanation {
        let kept = record.clone();
        record.asked.learn(values);
        let revive = || self.revive(&self.era_of(&record)?, &mut Revived::default());
        match record.unknown().map_or_else(revive, Err) {
            Ok(generation) => {
                let missing = record.asked.missing(&generation);
                let again = generation.ask_again(&record.asked);
                let differences = differences(&kept, &again);
                Explanation { record: kept, again: Some(again), differences, missing, trouble: None }
            }
            Err(trouble) => Explanation {
                record: kept,
                again: None,
                differences: Vec::new(),
                missing: BTreeSet::new(),
                trouble: Some(trouble),
            },
        }
    }

    fn bisect(&self, mut record: Record, values: &BTreeMap<String, String>) -> Vec<Step> {
        record.asked.learn(values);
        let eras = self.history().map(|history| history.eras).unwrap_or_default();
        let mut revived = Revived::default();
        let mut steps: Vec<Step> = Vec::new();
        let mut latest: Option<Composed> = None;
        for (number, era) in eras.iter().enumerate() {
            let changed = number.checked_sub(1).map(|before| era.changes_since(&eras[before])).unwrap_or_default();
            let mut step = Step {
                generation: era.generation,
                since: era.at,
                changed,
                verdict: None,
                why: String::new(),
                differs: false,
                missing: BTreeSet::new(),
                trouble: None,
            };
            match record.unknown().map_or_else(|| self.revive(era, &mut revived), Err) {
                Ok(generation) => {
                    let Answered { verdict, why, .. } = generation.ask_again(&record.asked);
                    step.missing = record.asked.missing(&generation);
                    step.differs = latest.as_ref().is_some_and(|latest| !latest.agrees_with(&verdict));
                    latest = Some(verdict.clone());
                    (step.verdict, step.why) = (Some(verdict), why);
                }
                Err(trouble) => step.trouble = Some(trouble),
            }
            steps.push(step);
        }
        steps
    }

    fn history(&self) -> Result<super::history::History, String> {
        let ledger =
            self.ledger.as_ref().ok_or("policies.state names no folder where policies of the past are kept")?;
        ledger.read_history().map_err(|error| format!("the history of policies cannot be read: {error}"))
    }

    fn era_of(&self, record: &Record) -> Result<Era, String> {
        let gone = || {
            let keep = humantime::format_duration(self.config.log.keep);
            format!(
                "generation {} is no longer kept: policies.log.keep is {keep}, and policies.log.most_module_bytes bounds \
                 what modules take",
                record.generation
            )
        };
        self.history()?.at(record.generation, record.at).cloned().ok_or_else(gone)
    }

    /// Makes a generation of what was in force in an era, to be asked and never to be in force.
    fn revive(&self, era: &Era, revived: &mut Revived) -> Result<Generation, String> {
        let mut slots: Vec<Arc<Slot>> = Vec::new();
        for placed in &era.policies {
            let is_same = |known: &&(Placed, Era, Vec<Arc<Slot>>)| {
                known.0 == *placed && known.1.limits == era.limits && known.1.secret_parameters == era.secret_parameters
            };
            if let Some((_, _, known)) = revived.slots.iter().find(is_same) {
                slots.extend(known.iter().cloned());
                continue;
            }
            let fresh = self.revive_policy(era, placed, revived)?;
            slots.extend(fresh.iter().cloned());
            revived.slots.push((placed.clone(), era.clone(), fresh));
        }
        Ok(self.live.borrow().to_try(&slots))
    }

    fn revive_policy(&self, era: &Era, placed: &Placed, revived: &mut Revived) -> Result<Vec<Arc<Slot>>, String> {
        let name = &placed.name;
        let ledger = self.ledger.as_ref().ok_or("no state folder is configured")?;
        let unread = |error: std::io::Error| format!("policy {name} of then cannot be read: {error}");
        let sidecar = placed.sidecar.as_ref().map(|digest| ledger.sidecar(digest)).transpose().map_err(unread)?;
        let config = Config {
            limits: era.limits.clone(),
            secret_parameters: era.secret_parameters.clone(),
            slots: BTreeMap::from([(name.clone(), placed.guard.clone())]),
            ..self.config.clone()
        };
        let in_force = self.live.borrow().slots.iter().map(|slot| Arc::clone(&slot.module)).collect::<Vec<_>>();
        let known = in_force.iter().chain(revived.modules.values()).find(|module| module.digest == placed.module);
        let module = match known {
            Some(module) => Arc::clone(module),
            None => {
                let bytes = ledger.module(&placed.module).map_err(unread)?;
                let module = gate::interface(&self.engine, &config, self.code_cache.as_ref(), name, &bytes)
                    .map_err(|refusal| refusal.reason)?;
                revived.modules.insert(placed.module.clone(), Arc::clone(&module));
                module
            }
        };
        let version = gate::settle(&config, &Tallies::default(), name, &placed.stem, module, sidecar.as_deref());
        Ok(version.map_err(|refusal| refusal.to_string())?.slots)
    }
}

/// What was made again already, since eras differ in little.
#[derive(Default)]
struct Revived {
    modules: BTreeMap<Digest, Arc<Module>>,
    slots: Vec<(Placed, Era, Vec<Arc<Slot>>)>,
}

/// Returns where an answer is not the recorded one. Time is never the same, and fuel is only for a fresh instance, which
/// decisions about the table do without.
fn differences(record: &Record, again: &Answered) -> Vec<String> {
    let mut differences = Vec::new();
    if !record.verdict.agrees_with(&again.verdict) {
        differences.push(format!("it was {} and would be {}", record.verdict.word(), again.verdict.word()));
    }
    let of_job = record.asked.job().is_some();
    let told = |list: &[SlotTold], slot: &str| list.iter().find(|told| told.slot == slot).cloned();
    let slots: BTreeSet<&String> = record.told.iter().chain(&again.told).map(|told| &told.slot).collect();
    for slot in slots {
        match (told(&record.told, slot), told(&again.told, slot)) {
            (Some(then), Some(now)) => {
                let failed = |told: &SlotTold| matches!(told.answer, Told::Failure(_));
                if then.answer != now.answer {
                    differences.push(format!("{slot} said {} and would say {}", in_words(&then), in_words(&now)));
                } else if of_job && !failed(&then) && then.fuel != now.fuel {
                    differences.push(format!("{slot} took {} fuel and would take {}", then.fuel, now.fuel));
                }
            }
            (Some(_), None) => differences.push(format!("{slot} was asked and would not be")),
            (None, Some(_)) => differences.push(format!("{slot} was not asked and would be")),
            (None, None) => {}
        }
    }
    differences
}

fn in_words(told: &SlotTold) -> String {
    let (word, reason) = (told.word(), told.reason());
    if reason.is_empty() { word } else { format!("{word} ({reason})") }
}

#[cfg(test)]
#[path = "explain_tests.rs"]
mod tests;
