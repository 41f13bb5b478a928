//! Policies on trial: asked on a thread of their own, logged, never counted.
//!
//! Nothing waits for them, and when they fall behind they are skipped: neither their failures nor their cost are felt.

use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender};

use tracing::{info, warn};

use super::call::{CallError, Instance};
use super::component::Hook;
use super::generation::Slot;
use super::mask::Mask;
use super::question::{MatchingQuestion, NamingQuestion};
use super::verdict::Explained;
use crate::domain::ProjectName;

/// Observations that may wait; beyond that they are skipped.
const WAITING: usize = 256;

/// Questions of one pass put to one policy on trial.
const MOST_QUESTIONS: usize = 10_000;

/// Failures after which a policy on trial is left alone for the rest of a pass.
const MOST_FAILURES: usize = 3;

type Observation = Box<dyn FnOnce() + Send>;

/// The way to the thread; it ends when the last of these is gone.
#[derive(Clone)]
pub(super) struct Monitor {
    observations: SyncSender<Observation>,
}

/// What one policy on trial would have been asked during a pass.
#[derive(Debug, Default)]
pub(super) struct PassQuestions {
    pub(super) matching: Vec<MatchingQuestion>,
    pub(super) naming: Vec<NamingQuestion>,
}

impl Monitor {
    pub(super) fn start() -> std::io::Result<Self> {
        let (observations, waiting) = mpsc::sync_channel::<Observation>(WAITING);
        let work = move || waiting.into_iter().for_each(|observe| observe());
        std::thread::Builder::new().name("policy-monitor".into()).spawn(work)?;
        Ok(Self { observations })
    }

    /// Asks about one job.
    pub(super) fn observe_job<A: std::fmt::Debug + 'static>(
        &self,
        hook: Hook,
        slot: &Arc<Slot>,
        project: &ProjectName,
        mask: Mask,
        ask: impl FnOnce(&mut Instance) -> Result<Explained<A>, CallError> + Send + 'static,
    ) {
        let (slot, project) = (slot.clone(), project.clone());
        self.observe(move || {
            let name = &slot.voice.name;
            match slot.start().and_then(|mut instance| ask(&mut instance)) {
                Ok(verdict) => {
                    let answer = mask.apply(&format!("{:?}", verdict.answer));
                    let reason = mask.apply(&verdict.reason);
                    info!(slot = %name, %hook, %project, answer, reason, "policy on trial answered");
                }
                Err(error) => warn!(slot = %name, %hook, %project, %error, "policy on trial failed"),
            }
        });
    }

    /// Asks everything that a pass asked of those in force.
    pub(super) fn observe_pass(&self, slot: &Arc<Slot>, questions: PassQuestions) {
        let slot = slot.clone();
        self.observe(move || {
            review(&slot, Hook::Matching, &questions.matching, Instance::matches);
            review(&slot, Hook::Naming, &questions.naming, Instance::names);
        });
    }

    fn observe(&self, observe: impl FnOnce() + Send + 'static) {
        // A full queue means that the policy on trial is slow; the next observation will do.
        let _ = self.observations.try_send(Box::new(observe));
    }
}

impl PassQuestions {
    pub(super) fn is_full(&self) -> bool {
        self.matching.len() + self.naming.len() >= MOST_QUESTIONS
    }

    pub(super) fn is_empty(&self) -> bool {
        self.matching.is_empty() && self.naming.is_empty()
    }
}

/// Puts questions to one instance and logs how many answers of each kind there were, with the first as an example.
fn review<Q, A: std::fmt::Debug>(
    slot: &Slot,
    hook: Hook,
    questions: &[Q],
    ask: impl Fn(&mut Instance, &Q) -> Result<Explained<A>, CallError>,
) {
    let mut answers = std::collections::BTreeMap::<String, usize>::new();
    let (mut instance, mut failures) = (None, 0);
    for question in questions {
        let started = instance.take().map_or_else(|| slot.start(), Ok);
        match started.and_then(|mut started| ask(&mut started, question).map(|verdict| (started, verdict))) {
            Ok((started, verdict)) => {
                instance = Some(started);
                *answers.entry(format!("{:?}", verdict.answer)).or_default() += 1;
            }
            Err(error) => {
                failures += 1;
                warn!(slot = %slot.voice.name, %hook, %error, "policy on trial failed");
                if failures == MOST_FAILURES {
                    break;
                }
            }
        }
    }
    let mut common: Vec<_> = answers.into_iter().collect();
    common.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    common.truncate(5);
    if !questions.is_empty() {
        info!(slot = %slot.voice.name, %hook, asked = questions.len(), failures, ?common, "policy on trial answered a pass");
    }
}

impl std::fmt::Debug for Monitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Monitor")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn nobody_waits_for_a_policy_on_trial() {
        let monitor = Monitor::start().unwrap();
        let (open, closed) = mpsc::channel::<()>();
        let (seen, sees) = mpsc::channel();
        // The thread is held up, so that all that follows has to wait or be skipped.
        monitor.observe(move || assert!(closed.recv().is_err()));
        for number in 0..WAITING * 2 {
            let seen = seen.clone();
            monitor.observe(move || seen.send(number).unwrap());
        }
        drop((open, seen));
        let mut seen = Vec::new();
        while let Ok(number) = sees.recv_timeout(Duration::from_secs(20)) {
            seen.push(number);
        }
        assert!((WAITING - 1..=WAITING + 1).contains(&seen.len()), "{}", seen.len());
        assert_eq!(seen[..3], [0, 1, 2]);
    }
}
