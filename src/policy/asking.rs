//! One question that is put to a policy again and again, as the daemon puts it: cut once to what the policy may see, and
//! its verdict not written down as JSON.

use std::collections::BTreeSet;

use super::call::{CallError, Instance};
use super::config::Grant;
use super::spoken::Spoken;
use super::workbench::Workbench;
use super::written::Question;

/// A question ready to be put.
#[derive(Debug)]
pub struct Asking<'a> {
    policy: &'a Workbench,
    settings: String,
    question: Question,
}

/// An instance that answers the question as often as it is asked.
#[derive(Debug)]
pub struct Kept<'a> {
    asking: &'a Asking<'a>,
    instance: Instance,
    configured: u64,
}

impl Workbench {
    /// Prepares a question. The policy sees what it asks to see and, if grants are stated, was granted.
    ///
    /// # Errors
    /// A hook that the policy does not export.
    pub fn asking(
        &self,
        settings: &str,
        question: &Question,
        grants: Option<&BTreeSet<Grant>>,
    ) -> Result<Asking<'_>, CallError> {
        Ok(Asking { policy: self, settings: settings.to_owned(), question: self.seen(question, grants)? })
    }
}

impl Asking<'_> {
    /// Puts the question to an instance of its own, as in a decision about a job: start, `configure`, question.
    ///
    /// # Errors
    /// How the call failed.
    pub fn fresh(&self) -> Result<Spoken, CallError> {
        self.keep()?.ask()
    }

    /// Starts and configures an instance that stays, as in a pass over the function table.
    ///
    /// # Errors
    /// How the call failed.
    pub fn keep(&self) -> Result<Kept<'_>, CallError> {
        let instance = Instance::start(&self.policy.module, &self.settings, &self.policy.config.limits)?;
        Ok(Kept { asking: self, configured: instance.fuel_left(), instance })
    }
}

impl Kept<'_> {
    /// Puts the question.
    ///
    /// # Errors
    /// How the call failed. Then this instance answers no more.
    pub fn ask(&mut self) -> Result<Spoken, CallError> {
        self.asking.question.put(&mut self.instance)
    }

    /// Returns what the last question took.
    pub fn fuel(&self) -> u64 {
        self.configured.saturating_sub(self.instance.fuel_left())
    }

    /// Returns what the start, `configure` and the last question took together, as the limit counts it.
    pub fn fuel_in_all(&self) -> u64 {
        self.asking.policy.config.limits.fuel.saturating_sub(self.instance.fuel_left())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::config::Config;
    use super::super::guest::{Guest, rules};
    use super::super::verdict::{Decision, ParametersAnswer};
    use super::super::written::Call;
    use super::*;

    #[test]
    fn a_fresh_instance_and_a_kept_one_answer_and_cost_alike() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("10-p.wasm");
        let guest = Guest::new("p").filter(&rules(&[("A", 0, "")], true, "one passes"));
        std::fs::write(&file, guest.build()).unwrap();
        let policy = Workbench::open(&file, &Config::new(folder.path())).unwrap();
        let question = json!({ "project": { "full-name": "x" }, "requested": [{ "name": "A", "value": "1" }] });
        let question = Question::read(Call::Filter, question, None).unwrap();
        let asking = policy.asking("{}", &question, None).unwrap();

        let mut kept = asking.keep().unwrap();
        let first = kept.ask().unwrap();
        let fuel = kept.fuel();
        assert_eq!(kept.ask().unwrap(), first);
        assert_eq!(kept.fuel(), fuel);
        assert!(0 < fuel && fuel <= kept.fuel_in_all());

        let fresh = asking.fresh().unwrap();
        assert_eq!(fresh, first);
        assert_eq!(fresh.reason(), "one passes");
        let named = vec![("A".to_owned(), Decision::Allow)];
        assert_eq!(fresh.into_parameters(), Some(ParametersAnswer::Rules { named, closed: true }));
    }
}
