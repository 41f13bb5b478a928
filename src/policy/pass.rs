//! One pass over the function table: an instance per slot, and no question asked twice.
//!
//! Remembered are questions as the slot sees them, so nodes that look alike to it cost one call. Within a pass, a
//! controller's name and a node's name stand for one node, and a project's name for one project.

use std::collections::BTreeSet;
use std::hash::Hash;
use std::sync::Arc;

use super::answers::{Matched, Names, Undecided};
use super::asked::{Asked, MatchAsked, NameAsked, seen};
use super::chain::{self, Heard};
use super::component::Hook;
use super::composed;
use super::config::Mode;
use super::generation::{Controller, Generation};
use super::monitor::{self, Compare, Monitor, Trial};
use super::need;
use super::question::{MatchingQuestion, NamingQuestion, NodeClass};
use super::record::Composed;
use super::recorder::Recorder;
use super::redaction::{Raw, Spoken};
use super::seat::{Seat, TrialKey, Words, WrittenOut};
use super::verdict::{Explained, MatchingAnswer, NamingAnswer};
use super::would;
use super::written::Written;
use crate::domain::{Node, Project};
use crate::label::Expression;

/// What a pass has to know of all controllers together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    /// Every atom of every project's label expression.
    pub named_labels: BTreeSet<String>,
}

/// One pass over the function table. Dropping it lets the policies on trial see what it asked.
#[derive(Debug)]
pub struct Pass<'g> {
    world: &'g World,
    monitor: &'g Monitor,
    seats: Vec<Seat<'g>>,
    words: Words,
    written: WrittenOut,
    samples: Samples<'g>,
}

/// Answers that are taken down, as examples of what policies say about the table.
#[derive(Debug)]
struct Samples<'g> {
    recorder: Option<&'g Recorder>,
    generation: u64,
    left: usize,
}

impl<'g> Pass<'g> {
    pub(super) fn new(generation: &'g Generation, world: &'g World) -> Self {
        let seats = generation.of_the_table().map(Seat::new).collect();
        let recorder = generation.recorder.as_deref().filter(|recorder| recorder.is_heard());
        let left = recorder.map_or(0, |recorder| recorder.most_of_pass);
        let samples = Samples { recorder, generation: generation.number, left };
        Self {
            world,
            monitor: &generation.monitor,
            seats,
            words: Words::default(),
            written: WrittenOut::default(),
            samples,
        }
    }

    /// Decides whether a project runs on a node; `classic` is what Jenkins itself would say.
    pub fn matches(
        &mut self,
        controller: &Controller,
        project: &Project,
        expression: Option<&Expression>,
        node: &Node,
        classic: bool,
    ) -> Result<Matched, Undecided> {
        let (matched, heard) = self.hear_matches(controller, project, expression, node, classic);
        let asked = |named_labels| {
            Asked::Matches(MatchAsked {
                controller: controller.clone(),
                project: project.clone(),
                expression: expression.map(ToString::to_string),
                node: seen(node),
                named_labels,
                classic,
            })
        };
        self.sample(Hook::Matching, node, &heard, asked, || composed::matched(matched.as_ref()));
        matched
    }

    /// Decides, and says who was heard; nothing is taken down.
    pub(super) fn hear_matches(
        &mut self,
        controller: &Controller,
        project: &Project,
        expression: Option<&Expression>,
        node: &Node,
        classic: bool,
    ) -> (Result<Matched, Undecided>, Vec<Heard<'g, MatchingAnswer>>) {
        self.seats.iter_mut().for_each(|seat| seat.asked_now = None);
        let atoms = expression.map(Expression::atoms).unwrap_or_default();
        let own = atoms.iter().filter(|atom| node.labels.contains(**atom)).map(|&atom| atom.to_owned()).collect();
        let (mut heard, mut on_trial) = (Vec::new(), Vec::new());
        for (number, seat) in self.seats.iter_mut().enumerate() {
            if !seat.speaks(Hook::Matching, controller, project, node) {
                continue;
            }
            let sees_project = seat.slot.sight.project;
            let controller_number = self.words.number(controller.name.as_str());
            let class = seat.class(controller_number, node, &self.world.named_labels);
            let expression_text = expression.map(|expression| self.written.text_of(expression));
            let key = (
                controller_number,
                sees_project.then(|| self.words.number(project.name.full())),
                project.kind,
                expression_text.map(|text| self.words.number(text)),
                class,
                classic,
            );
            let question = |node: NodeClass| MatchingQuestion {
                controller: controller.name.as_str().to_owned(),
                project: sees_project.then(|| need::project(project)),
                kind: project.kind,
                expression: expression_text.map(str::to_owned),
                atoms: atoms.iter().map(|&atom| atom.to_owned()).collect(),
                node,
                classic,
            };
            if seat.slot.mode == Mode::Enforce {
                heard.push(seat.matches(key, question));
            } else if seat.is_new_on_trial(Hook::Matching, TrialKey::Matching(key)) {
                on_trial.push((number, heard.len(), question(seat.node_class(class))));
            }
        }
        for (number, place, question) in on_trial {
            let (own, expression) = (BTreeSet::clone(&own), expression.cloned());
            let compose =
                move |heard: &[Heard<'_, _>]| chain::matching(classic, expression.as_ref(), own.clone(), heard);
            let compare: Compare<_> = Box::new(move |without, with| would::matching(&compose(without), &compose(with)));
            let trial = Trial { others: monitor::kept(&heard), place, compare, subject: subject(project, node) };
            self.seats[number].on_trial.matching.push((question, trial));
        }
        (chain::matching(classic, expression, own, &heard), heard)
    }

    /// Decides under which names a project is offered on a node that it matches; `atoms` as `matches` gave them.
    pub fn names(
        &mut self,
        controller: &Controller,
        project: &Project,
        short_name_unique: bool,
        node: &Node,
        atoms: &BTreeSet<String>,
    ) -> Result<Names, Undecided> {
        let (names, heard) = self.hear_names(controller, project, short_name_unique, node, atoms);
        let asked = |named_labels| {
            Asked::Names(NameAsked {
                controller: controller.clone(),
                project: project.clone(),
                short_name_unique,
                node: seen(node),
                named_labels,
                atoms: atoms.clone(),
            })
        };
        self.sample(Hook::Naming, node, &heard, asked, || composed::named(names.as_ref()));
        names
    }

    /// Decides, and says who was heard; nothing is taken down.
    pub(super) fn hear_names(
        &mut self,
        controller: &Controller,
        project: &Project,
        short_name_unique: bool,
        node: &Node,
        atoms: &BTreeSet<String>,
    ) -> (Result<Names, Undecided>, Vec<Heard<'g, NamingAnswer>>) {
        self.seats.iter_mut().for_each(|seat| seat.asked_now = None);
        let (mut heard, mut on_trial) = (Vec::new(), Vec::new());
        for (number, seat) in self.seats.iter_mut().enumerate() {
            if !seat.speaks(Hook::Naming, controller, project, node) {
                continue;
            }
            let controller_number = self.words.number(controller.name.as_str());
            let class = seat.class(controller_number, node, &self.world.named_labels);
            let project_number = self.words.number(project.name.full());
            // A label has no NUL in it, so the joined text is as good as the set.
            let atoms_number = self.words.number(&atoms.iter().map(String::as_str).collect::<Vec<_>>().join("\0"));
            let key = (controller_number, project_number, short_name_unique, class, atoms_number);
            let question = |node: NodeClass| NamingQuestion {
                controller: controller.name.as_str().to_owned(),
                project: need::project(project),
                short_name_unique,
                node,
                matched_labels: atoms.iter().cloned().collect(),
            };
            if seat.slot.mode == Mode::Enforce {
                heard.push(seat.names(key, question));
            } else if seat.is_new_on_trial(Hook::Naming, TrialKey::Naming(key)) {
                on_trial.push((number, heard.len(), question(seat.node_class(class))));
            }
        }
        for (number, place, question) in on_trial {
            let compare: Compare<_> =
                Box::new(|without, with| would::naming(&chain::naming(without), &chain::naming(with)));
            let trial = Trial { others: monitor::kept(&heard), place, compare, subject: subject(project, node) };
            self.seats[number].on_trial.naming.push((question, trial));
        }
        (chain::naming(&heard), heard)
    }

    /// Takes an answer down if it is one that this generation has not given before.
    fn sample<A: Hash + Send + Sync + 'static>(
        &mut self,
        hook: Hook,
        node: &Node,
        heard: &[Heard<'g, A>],
        asked: impl FnOnce(BTreeSet<String>) -> Asked,
        composed: impl FnOnce() -> (Composed, String),
    ) where
        Explained<A>: Written,
    {
        let Samples { recorder: Some(recorder), generation, left: 1.. } = self.samples else { return };
        if self.seats.iter().all(|seat| seat.asked_now.is_none()) {
            return;
        }
        let answers: Vec<_> = heard
            .iter()
            .map(|heard| (&heard.voice.name, heard.answer.as_ref().as_ref().map(|told| &told.answer)))
            .collect();
        if recorder.is_new(generation, (hook, answers)) {
            self.samples.left -= 1;
            let named_labels = node.labels.intersection(&self.world.named_labels).cloned().collect();
            recorder.note(generation, || {
                let (verdict, why) = composed();
                (asked(named_labels), Raw { spoken: self.spoken(heard), verdict, why })
            });
        }
    }

    /// Returns who said what about the present pair. What was remembered has cost nothing.
    pub(super) fn spoken<A: Send + Sync + 'static>(&self, heard: &[Heard<'g, A>]) -> Vec<Spoken>
    where
        Explained<A>: Written,
    {
        let spoken = |heard: &Heard<'g, A>| {
            let seat = self.seats.iter().find(|seat| std::ptr::eq(&raw const seat.slot.voice, heard.voice))?;
            let cost = seat.asked_now.unwrap_or_default();
            Some(Spoken { slot: Arc::clone(seat.slot), answer: heard.answer.clone(), cost })
        };
        heard.iter().filter_map(spoken).collect()
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        for seat in &mut self.seats {
            seat.leave(self.monitor);
        }
    }
}

/// Returns what a question is about, for people.
fn subject(project: &Project, node: &Node) -> String {
    format!("{} on {}", project.name, node.name)
}

#[cfg(test)]
#[path = "pass_tests.rs"]
mod tests;
