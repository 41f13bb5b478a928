//! One pass over the function table: an instance per slot, and no question asked twice.
//!
//! Remembered are questions as the slot sees them, so nodes that look alike to it cost one call. Within a pass, a
//! controller's name and a node's name stand for one node, and a project's name for one project.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::Hash;
use std::sync::Arc;

use tracing::error;

use super::answers::{Matched, Names, Undecided};
use super::asked::{Asked, MatchAsked, NameAsked, seen};
use super::call::{CallError, Instance};
use super::chain::{self, Heard};
use super::component::Hook;
use super::composed;
use super::config::Mode;
use super::generation::{Controller, Generation, Slot};
use super::monitor::{self, Compare, Monitor, PassQuestions, Trial};
use super::need;
use super::question::{MatchingQuestion, NamingQuestion, NodeClass};
use super::record::Composed;
use super::recorder::Recorder;
use super::redaction::{Raw, Spoken};
use super::tally::{Cost, Word};
use super::verdict::{Explained, MatchingAnswer, NamingAnswer};
use super::would;
use super::written::Written;
use crate::domain::{Node, NodeName, Project, ProjectKind};
use crate::label::Expression;

/// Failures after which a slot counts as failed for the rest of the pass: an endless loop must not be paid for once
/// per question.
const MOST_FAILURES: u32 = 3;

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
    samples: Samples<'g>,
}

/// Answers that are taken down, as examples of what policies say about the table.
#[derive(Debug)]
struct Samples<'g> {
    recorder: Option<&'g Recorder>,
    generation: u64,
    left: usize,
}

type Memo<K, A> = BTreeMap<K, Arc<Result<Explained<A>, CallError>>>;

/// A slot during a pass.
#[derive(Debug)]
struct Seat<'g> {
    slot: &'g Arc<Slot>,
    instance: Option<Instance>,
    failures: u32,
    last_failure: Option<CallError>,
    /// By hook that was asked: its first failure.
    fared: BTreeMap<Hook, Option<String>>,
    /// What the call took, if the answer to the present pair was not remembered.
    asked_now: Option<Cost>,
    /// By hook.
    remembered: [Remembered; Hook::ALL.len()],
    /// By controller and node: the number of its class.
    nodes: BTreeMap<u32, BTreeMap<NodeName, u32>>,
    classes: BTreeMap<NodeClass, u32>,
    class_of_number: Vec<NodeClass>,
    matching: Memo<MatchingKey, MatchingAnswer>,
    naming: Memo<NamingKey, NamingAnswer>,
    on_trial: PassQuestions,
    asked_on_trial: BTreeSet<TrialKey>,
}

/// How often a question of a pass had an answer already, and how often one on trial was left out.
#[derive(Clone, Copy, Debug, Default)]
struct Remembered {
    hits: u64,
    misses: u64,
    skipped: u64,
}

/// A question in numbers; equal numbers are equal questions.
type MatchingKey = (u32, Option<u32>, ProjectKind, Option<u32>, u32, bool);
type NamingKey = (u32, u32, bool, u32, u32);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum TrialKey {
    Matching(MatchingKey),
    Naming(NamingKey),
}

/// Numbers for texts, in order of appearance.
#[derive(Debug, Default)]
struct Words(BTreeMap<String, u32>);

impl<'g> Pass<'g> {
    pub(super) fn new(generation: &'g Generation, world: &'g World) -> Self {
        let seats = generation.of_the_table().map(Seat::new).collect();
        let recorder = generation.recorder.as_deref().filter(|recorder| recorder.is_heard());
        let left = recorder.map_or(0, |recorder| recorder.most_of_pass);
        let samples = Samples { recorder, generation: generation.number, left };
        Self { world, monitor: &generation.monitor, seats, words: Words::default(), samples }
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
        let mut expression_text: Option<Option<String>> = None;
        for (number, seat) in self.seats.iter_mut().enumerate() {
            if !seat.speaks(Hook::Matching, controller, project, node) {
                continue;
            }
            let sees_project = seat.slot.sight.project;
            let controller_number = self.words.number(controller.name.as_str());
            let class = seat.class(controller_number, node, &self.world.named_labels);
            // Written out once, and not at all where no policy is asked.
            let expression_text = expression_text.get_or_insert_with(|| expression.map(ToString::to_string));
            let key = (
                controller_number,
                sees_project.then(|| self.words.number(project.name.full())),
                project.kind,
                expression_text.as_deref().map(|text| self.words.number(text)),
                class,
                classic,
            );
            let question = |node: NodeClass| MatchingQuestion {
                controller: controller.name.as_str().to_owned(),
                project: sees_project.then(|| need::project(project)),
                kind: project.kind,
                expression: expression_text.clone(),
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
            let questions = std::mem::take(&mut seat.on_trial);
            if !questions.is_empty() {
                self.monitor.observe_pass(seat.slot, questions);
            }
            for (hook, failure) in std::mem::take(&mut seat.fared) {
                seat.slot.health.note(hook, failure);
            }
            for hook in [Hook::Naming, Hook::Matching] {
                let Remembered { hits, misses, skipped } = seat.remembered[hook as usize];
                seat.slot.tally.note_memo(hook, hits, misses);
                seat.slot.tally.note_skipped(hook, skipped);
            }
        }
    }
}

impl<'g> Seat<'g> {
    fn new(slot: &'g Arc<Slot>) -> Self {
        Self {
            slot,
            instance: None,
            failures: 0,
            last_failure: None,
            fared: BTreeMap::new(),
            asked_now: None,
            remembered: Default::default(),
            nodes: BTreeMap::new(),
            classes: BTreeMap::new(),
            class_of_number: Vec::new(),
            matching: BTreeMap::new(),
            naming: BTreeMap::new(),
            on_trial: PassQuestions::default(),
            asked_on_trial: BTreeSet::new(),
        }
    }

    fn speaks(&self, hook: Hook, controller: &Controller, project: &Project, node: &Node) -> bool {
        self.slot.module.hooks.contains(&hook) && self.slot.bind.holds(controller, &project.name, &node.labels)
    }

    /// Returns the number of the class that the node belongs to in the eyes of this slot.
    fn class(&mut self, controller: u32, node: &Node, named_labels: &BTreeSet<String>) -> u32 {
        if let Some(class) = self.nodes.get(&controller).and_then(|nodes| nodes.get(&node.name)) {
            return *class;
        }
        let seen = self.slot.sight.node(node, named_labels);
        let class = self.classes.get(&seen).copied().unwrap_or_else(|| {
            let next = number(self.class_of_number.len());
            self.class_of_number.push(seen.clone());
            self.classes.insert(seen, next);
            next
        });
        self.nodes.entry(controller).or_default().insert(node.name.clone(), class);
        class
    }

    /// Returns whether a question is to be put to a policy on trial: it was not yet, and there is room for it.
    fn is_new_on_trial(&mut self, hook: Hook, key: TrialKey) -> bool {
        if self.on_trial.is_full() && !self.asked_on_trial.contains(&key) {
            self.remembered[hook as usize].skipped += 1;
            return false;
        }
        self.asked_on_trial.insert(key)
    }

    fn node_class(&self, class: u32) -> NodeClass {
        self.class_of_number[class as usize].clone()
    }

    fn matches(
        &mut self,
        key: MatchingKey,
        question: impl FnOnce(NodeClass) -> MatchingQuestion,
    ) -> Heard<'g, MatchingAnswer> {
        let answer = match self.matching.get(&key) {
            Some(answer) => {
                self.remembered[Hook::Matching as usize].hits += 1;
                answer.clone()
            }
            None => {
                let question = question(self.node_class(key.4));
                let answer = Arc::new(self.ask(Hook::Matching, |instance| instance.matches(&question)));
                self.matching.insert(key, answer.clone());
                answer
            }
        };
        Heard { voice: &self.slot.voice, answer }
    }

    fn names(&mut self, key: NamingKey, question: impl FnOnce(NodeClass) -> NamingQuestion) -> Heard<'g, NamingAnswer> {
        let answer = match self.naming.get(&key) {
            Some(answer) => {
                self.remembered[Hook::Naming as usize].hits += 1;
                answer.clone()
            }
            None => {
                let question = question(self.node_class(key.3));
                let answer = Arc::new(self.ask(Hook::Naming, |instance| instance.names(&question)));
                self.naming.insert(key, answer.clone());
                answer
            }
        };
        Heard { voice: &self.slot.voice, answer }
    }

    fn ask<A: Word>(
        &mut self,
        hook: Hook,
        ask: impl Fn(&mut Instance) -> Result<Explained<A>, CallError>,
    ) -> Result<Explained<A>, CallError> {
        self.remembered[hook as usize].misses += 1;
        if let Some(error) = self.last_failure.as_ref().filter(|_| self.failures >= MOST_FAILURES) {
            self.fared.entry(hook).or_default().get_or_insert_with(|| error.to_string());
            return Err(error.clone());
        }
        let (answer, cost) = self.ask_twice(ask);
        self.asked_now = Some(cost);
        self.slot.tally.note(answer.as_ref(), cost);
        let fared = self.fared.entry(hook).or_default();
        if let Err(error) = &answer {
            if self.failures == 0 {
                error!(slot = %self.slot.voice.name, %hook, %error, "policy failed, what was registered stays");
            }
            self.failures += 1;
            self.last_failure = Some(error.clone());
            fared.get_or_insert_with(|| error.to_string());
        }
        answer
    }

    /// Asks the instance at hand, and on an error a fresh one: what only a used instance gets wrong is no verdict.
    fn ask_twice<A>(&mut self, ask: impl Fn(&mut Instance) -> Result<A, CallError>) -> (Result<A, CallError>, Cost) {
        let is_used = self.instance.is_some();
        let (answer, mut cost) = self.slot.ask(&mut self.instance, &ask);
        if answer.is_ok() || !is_used {
            return (answer, cost);
        }
        let (answer, more) = self.slot.ask(&mut self.instance, &ask);
        cost += more;
        (answer, cost)
    }
}

impl Words {
    fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.0.get(text) {
            return *number;
        }
        let next = number(self.0.len());
        self.0.insert(text.to_owned(), next);
        next
    }
}

/// Returns what a question is about, for people.
fn subject(project: &Project, node: &Node) -> String {
    format!("{} on {}", project.name, node.name)
}

fn number(count: usize) -> u32 {
    u32::try_from(count).expect("no table has four thousand million different texts")
}

#[cfg(test)]
#[path = "pass_tests.rs"]
mod tests;
