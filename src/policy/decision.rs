//! Decisions about one job: each asks a fresh instance, so that no job can leave anything behind for the next.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tracing::error;

use super::answers::{End, Filtered, Start};
use super::asked::{Asked, EndedSo, JobAsked};
use super::call::{CallError, Instance};
use super::chain::{self, Heard};
use super::component::Hook;
use super::composed;
use super::config::Mode;
use super::generation::{Controller, Generation, Slot};
use super::mask::Mask;
use super::monitor::{self, Compare, Trial};
use super::need;
use super::question::{Ending, OfflineQuestion, ParametersQuestion};
use super::record::Composed;
use super::redaction::{Raw, Spoken};
use super::tally::Word;
use super::verdict::{EndAnswer, Explained, ParametersAnswer, StartAnswer};
use super::would;
use super::written::Written;
use crate::domain::{BuildResult, FunctionName, Node, Parameters, Project};

/// A job that became, or shall become, a build.
///
/// The parameters are without those that belong to the host: the marker, the pin, OFFLINE_NODE_WHEN_COMPLETE.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    pub controller: &'a Controller,
    pub project: &'a Project,
    pub function: &'a FunctionName,
    /// The label part of the function.
    pub label: Option<&'a str>,
    pub node: &'a Node,
    /// Labels that some project's expression names.
    pub named_labels: &'a BTreeSet<String>,
    pub requested: &'a Parameters,
    pub client_asks_offline: bool,
}

/// How a build ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// None if the controller does not say.
    pub result: Option<BuildResult>,
    pub duration: Duration,
}

impl Request<'_> {
    /// Shows the same request with nothing of a client's choice in it: what the project declares, each empty, in place of
    /// what was sent.
    fn without_input<R>(&self, look: impl FnOnce(&Request<'_>) -> R) -> R {
        let declared = self.project.parameters.iter().flatten();
        let requested: Parameters = declared.map(|parameter| (parameter.name.as_str(), "")).collect();
        look(&Request { requested: &requested, client_asks_offline: false, ..*self })
    }
}

impl Generation {
    /// Decides which parameters go on to the build, or that there is none.
    pub fn filter(&self, request: &Request<'_>) -> Filtered {
        let (filtered, spoken) = self.filter_heard(request);
        self.note(spoken, || Asked::Filter(JobAsked::of(request)), || composed::filtered(&filtered));
        filtered
    }

    pub(super) fn filter_heard(&self, request: &Request<'_>) -> (Filtered, Vec<Spoken>) {
        let compare = || -> Compare<ParametersAnswer> {
            let (requested, project) = (request.requested.clone(), request.project.clone());
            let compose = move |heard: &[Heard<'_, _>]| chain::parameters(&requested, &project, heard);
            Box::new(move |without, with| would::parameters(&compose(without), &compose(with)))
        };
        let (heard, spoken) =
            self.hear(Hook::Parameters, request, Slot::parameters_question, Instance::filter, compare);
        (chain::parameters(request.requested, request.project, &heard), spoken)
    }

    /// Decides what becomes of the node when the build starts.
    pub fn build_started(&self, request: &Request<'_>) -> Start {
        let (start, spoken) = self.build_started_heard(request);
        if !spoken.is_empty() {
            self.note(spoken, || Asked::BuildStarted(JobAsked::of(request)), || composed::started(&start));
        }
        start
    }

    pub(super) fn build_started_heard(&self, request: &Request<'_>) -> (Start, Vec<Spoken>) {
        let asks_offline = request.client_asks_offline;
        let compare = || -> Compare<StartAnswer> {
            let compose = move |heard: &[Heard<'_, _>]| chain::build_started(asks_offline, heard);
            Box::new(move |without, with| would::build_started(&compose(without), &compose(with)))
        };
        let (heard, spoken) =
            self.hear(Hook::Offline, request, Slot::offline_question, Instance::build_started, compare);
        (chain::build_started(request.client_asks_offline, &heard), spoken)
    }

    /// Decides what becomes of the node when the build has ended.
    pub fn build_ended(&self, request: &Request<'_>, outcome: &Outcome) -> End {
        let (end, spoken) = self.build_ended_heard(request, outcome);
        if !spoken.is_empty() {
            let asked = || Asked::BuildEnded(JobAsked::of(request), (*outcome).into());
            self.note(spoken, asked, || composed::ended(&end));
        }
        end
    }

    pub(super) fn build_ended_heard(&self, request: &Request<'_>, outcome: &Outcome) -> (End, Vec<Spoken>) {
        let EndedSo { result, duration_ms } = (*outcome).into();
        let ending = Ending { result, duration_ms };
        let ask = move |instance: &mut Instance, question: &OfflineQuestion| {
            let mut verdict = instance.build_ended(question, ending)?;
            let mask = Mask::of_values(&question.requested);
            // A message is a text like a reason: it ends up on a page that many can read.
            if let EndAnswer::Offline(message) | EndAnswer::Held(message) = &mut verdict.answer {
                *message = mask.apply(message);
            }
            Ok(verdict)
        };
        let asks_offline = request.client_asks_offline;
        let compare = || -> Compare<EndAnswer> {
            let compose = move |heard: &[Heard<'_, _>]| chain::build_ended(asks_offline, heard);
            Box::new(move |without, with| would::build_ended(&compose(without), &compose(with)))
        };
        let (heard, spoken) = self.hear(Hook::Offline, request, Slot::offline_question, ask, compare);
        (chain::build_ended(request.client_asks_offline, &heard), spoken)
    }

    /// Takes a decision down for whoever keeps records.
    fn note(&self, spoken: Vec<Spoken>, asked: impl FnOnce() -> Asked, composed: impl FnOnce() -> (Composed, String)) {
        if let Some(recorder) = &self.recorder {
            recorder.note(self.number, || {
                let (verdict, why) = composed();
                (asked(), Raw { spoken, verdict, why })
            });
        }
    }

    /// Asks the policies in force, and lets those on trial be asked aside; `compare` says what they would have changed.
    fn hear<Q: Send + 'static, A: Word + Send + Sync + 'static>(
        &self,
        hook: Hook,
        request: &Request<'_>,
        question: impl Fn(&Slot, &Request<'_>) -> Q,
        ask: impl Fn(&mut Instance, &Q) -> Result<Explained<A>, CallError> + Copy + Send + 'static,
        compare: impl Fn() -> Compare<A>,
    ) -> (Vec<Heard<'_, A>>, Vec<Spoken>)
    where
        Explained<A>: Written,
    {
        let bound =
            |slot: &&Arc<Slot>| slot.bind.holds(request.controller, &request.project.name, &request.node.labels);
        let (mut heard, mut spoken) = (Vec::new(), Vec::new());
        let mut on_trial = Vec::new();
        for slot in self.with_hook(hook).filter(bound) {
            let asked = question(slot, request);
            if slot.mode == Mode::Monitor {
                on_trial.push((slot, asked, heard.len()));
                continue;
            }
            let mask = Mask::of(request.requested);
            let (answer, cost) = slot.ask(&mut None, |instance| ask(instance, &asked));
            slot.tally.note(answer.as_ref(), cost);
            match &answer {
                Ok(_) => slot.health.note(hook, None),
                // A client that can make a policy fail must not be able to have it rolled back.
                Err(error) => {
                    let plain = request.without_input(|request| question(slot, request));
                    match slot.start().and_then(|mut instance| ask(&mut instance, &plain)) {
                        Ok(_) => slot.health.note_of_input(hook, error.to_string()),
                        Err(_) => slot.health.note(hook, Some(error.to_string())),
                    }
                }
            }
            if let Err(error) = &answer {
                error!(slot = %slot.voice.name, %hook, project = %request.project.name, %error, "policy failed");
            }
            let answer = Arc::new(answer.map(|verdict| verdict.masked(|text| mask.apply(text))));
            spoken.push(Spoken { slot: Arc::clone(slot), answer: answer.clone(), cost });
            heard.push(Heard { voice: &slot.voice, answer });
        }
        for (slot, asked, place) in on_trial {
            let subject = format!("{} on {}", request.project.name, request.node.name);
            let trial = Trial { others: monitor::kept(&heard), place, compare: compare(), subject };
            let mask = Mask::of(request.requested);
            self.monitor.observe_job(hook, slot, mask, trial, move |instance| ask(instance, &asked));
        }
        (heard, spoken)
    }
}

impl Slot {
    fn parameters_question(&self, request: &Request<'_>) -> ParametersQuestion {
        ParametersQuestion {
            controller: request.controller.name.as_str().to_owned(),
            project: need::project(request.project),
            function: request.function.as_str().to_owned(),
            label: request.label.map(str::to_owned),
            node: self.sight.node(request.node, request.named_labels),
            declared: request.project.parameters.clone().unwrap_or_default(),
            requested: self.sight.requested(request),
        }
    }

    fn offline_question(&self, request: &Request<'_>) -> OfflineQuestion {
        OfflineQuestion {
            controller: request.controller.name.as_str().to_owned(),
            project: need::project(request.project),
            function: request.function.as_str().to_owned(),
            label: request.label.map(str::to_owned),
            node: self.sight.node(request.node, request.named_labels),
            requested: self.sight.requested(request),
            client_asks_offline: request.client_asks_offline,
        }
    }
}

#[cfg(test)]
#[path = "decision_tests.rs"]
pub(super) mod tests;
