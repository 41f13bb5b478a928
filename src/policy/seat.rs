//! A slot during a pass: its instance, what it was asked already, and how it fared.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use tracing::error;

use super::call::{CallError, Instance};
use super::chain::Heard;
use super::component::Hook;
use super::generation::{Controller, Slot};
use super::monitor::{Monitor, PassQuestions};
use super::question::{MatchingQuestion, NamingQuestion, NodeClass};
use super::tally::{Cost, Word};
use super::verdict::{Explained, MatchingAnswer, NamingAnswer};
use crate::domain::{Node, NodeName, Project, ProjectKind};
use crate::label::Expression;

/// Failures after which a slot counts as failed for the rest of the pass: an endless loop must not be paid for once
/// per question.
pub(super) const MOST_FAILURES: u32 = 3;

pub(super) type Memo<K, A> = BTreeMap<K, Arc<Result<Explained<A>, CallError>>>;

/// A slot during a pass.
#[derive(Debug)]
pub(super) struct Seat<'g> {
    pub(super) slot: &'g Arc<Slot>,
    instance: Option<Instance>,
    pub(super) failures: u32,
    last_failure: Option<CallError>,
    /// By hook that was asked: its first failure.
    fared: BTreeMap<Hook, Option<String>>,
    /// What the call took, if the answer to the present pair was not remembered.
    pub(super) asked_now: Option<Cost>,
    /// By hook.
    remembered: [Remembered; Hook::ALL.len()],
    /// By controller and node: the number of its class.
    nodes: BTreeMap<u32, BTreeMap<NodeName, u32>>,
    classes: BTreeMap<NodeClass, u32>,
    class_of_number: Vec<NodeClass>,
    pub(super) matching: Memo<MatchingKey, MatchingAnswer>,
    naming: Memo<NamingKey, NamingAnswer>,
    pub(super) on_trial: PassQuestions,
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
pub(super) type MatchingKey = (u32, Option<u32>, ProjectKind, Option<u32>, u32, bool);
pub(super) type NamingKey = (u32, u32, bool, u32, u32);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TrialKey {
    Matching(MatchingKey),
    Naming(NamingKey),
}

/// Numbers for texts, in order of appearance.
#[derive(Debug, Default)]
pub(super) struct Words {
    numbers: BTreeMap<String, u32>,
    /// Those that were asked for of late, the next to go last.
    recent: VecDeque<(String, u32)>,
}

/// A pass asks about one controller, project and label expression at a time, and about the atoms of some nodes.
const RECENT: usize = 6;

/// The label expression that was asked about last, as Jenkins writes it.
#[derive(Debug, Default)]
pub(super) struct WrittenOut(Option<(Expression, String)>);

impl<'g> Seat<'g> {
    pub(super) fn new(slot: &'g Arc<Slot>) -> Self {
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

    /// Tells the others what the pass has shown of the slot, and what it asked of one on trial.
    pub(super) fn leave(&mut self, monitor: &Monitor) {
        let questions = std::mem::take(&mut self.on_trial);
        if !questions.is_empty() {
            monitor.observe_pass(self.slot, questions);
        }
        for (hook, failure) in std::mem::take(&mut self.fared) {
            self.slot.health.note(hook, failure);
        }
        for hook in [Hook::Naming, Hook::Matching] {
            let Remembered { hits, misses, skipped } = self.remembered[hook as usize];
            self.slot.tally.note_memo(hook, hits, misses);
            self.slot.tally.note_skipped(hook, skipped);
        }
    }

    pub(super) fn speaks(&self, hook: Hook, controller: &Controller, project: &Project, node: &Node) -> bool {
        self.slot.module.hooks.contains(&hook) && self.slot.bind.holds(controller, &project.name, &node.labels)
    }

    /// Returns the number of the class that the node belongs to in the eyes of this slot.
    pub(super) fn class(&mut self, controller: u32, node: &Node, named_labels: &BTreeSet<String>) -> u32 {
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
    pub(super) fn is_new_on_trial(&mut self, hook: Hook, key: TrialKey) -> bool {
        if self.on_trial.is_full() && !self.asked_on_trial.contains(&key) {
            self.remembered[hook as usize].skipped += 1;
            return false;
        }
        self.asked_on_trial.insert(key)
    }

    pub(super) fn node_class(&self, class: u32) -> NodeClass {
        self.class_of_number[class as usize].clone()
    }

    pub(super) fn matches(
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

    pub(super) fn names(
        &mut self,
        key: NamingKey,
        question: impl FnOnce(NodeClass) -> NamingQuestion,
    ) -> Heard<'g, NamingAnswer> {
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
    pub(super) fn number(&mut self, text: &str) -> u32 {
        if let Some(place) = self.recent.iter().position(|(known, _)| known == text) {
            self.recent.swap(0, place);
            return self.recent[0].1;
        }
        let next = number(self.numbers.len());
        let number = match self.numbers.get(text) {
            Some(number) => *number,
            None => *self.numbers.entry(text.to_owned()).or_insert(next),
        };
        self.recent.truncate(RECENT - 1);
        self.recent.push_front((text.to_owned(), number));
        number
    }
}

impl WrittenOut {
    pub(super) fn text_of(&mut self, expression: &Expression) -> &str {
        self.0.take_if(|(known, _)| known != expression);
        &self.0.get_or_insert_with(|| (expression.clone(), expression.to_string())).1
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).expect("no table has four thousand million different texts")
}
