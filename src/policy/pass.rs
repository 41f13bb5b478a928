//! One pass over the function table: an instance per slot, and no question asked twice.
//!
//! Remembered are questions as the slot sees them, so nodes that look alike to it cost one call. Within a pass, a
//! controller's name and a node's name stand for one node, and a project's name for one project.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use tracing::error;

use super::answers::{Matched, Names, Undecided};
use super::call::{CallError, Instance};
use super::chain::{self, Heard};
use super::component::Hook;
use super::config::Mode;
use super::generation::{Controller, Generation, Slot};
use super::monitor::{Monitor, PassQuestions};
use super::need;
use super::question::{MatchingQuestion, NamingQuestion, NodeClass};
use super::verdict::{Explained, MatchingAnswer, NamingAnswer};
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
    /// By controller and node: the number of its class.
    nodes: BTreeMap<u32, BTreeMap<NodeName, u32>>,
    classes: BTreeMap<NodeClass, u32>,
    class_of_number: Vec<NodeClass>,
    matching: Memo<MatchingKey, MatchingAnswer>,
    naming: Memo<NamingKey, NamingAnswer>,
    on_trial: PassQuestions,
    asked_on_trial: BTreeSet<TrialKey>,
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
struct Words(HashMap<String, u32>);

impl<'g> Pass<'g> {
    pub(super) fn new(generation: &'g Generation, world: &'g World) -> Self {
        let asked = |slot: &&Arc<Slot>| {
            slot.module.hooks.contains(&Hook::Matching) || slot.module.hooks.contains(&Hook::Naming)
        };
        let seats = generation.slots.iter().filter(asked).map(Seat::new).collect();
        Self { world, monitor: &generation.monitor, seats, words: Words::default() }
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
        let atoms = expression.map(Expression::atoms).unwrap_or_default();
        let own = atoms.iter().filter(|atom| node.labels.contains(**atom)).map(|&atom| atom.to_owned()).collect();
        let mut heard = Vec::new();
        let mut expression_text: Option<Option<String>> = None;
        for seat in self.seats.iter_mut().filter(|seat| seat.speaks(Hook::Matching, controller, project, node)) {
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
            heard.extend(seat.matches(key, question));
        }
        chain::matching(classic, expression, own, &heard)
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
        let mut heard = Vec::new();
        for seat in self.seats.iter_mut().filter(|seat| seat.speaks(Hook::Naming, controller, project, node)) {
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
            heard.extend(seat.names(key, question));
        }
        chain::naming(&heard)
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

    fn node_class(&self, class: u32) -> NodeClass {
        self.class_of_number[class as usize].clone()
    }

    fn matches(
        &mut self,
        key: MatchingKey,
        question: impl FnOnce(NodeClass) -> MatchingQuestion,
    ) -> Option<Heard<'g, MatchingAnswer>> {
        if self.slot.mode == Mode::Monitor {
            if !self.on_trial.is_full() && self.asked_on_trial.insert(TrialKey::Matching(key)) {
                self.on_trial.matching.push(question(self.node_class(key.4)));
            }
            return None;
        }
        let answer = match self.matching.get(&key) {
            Some(answer) => answer.clone(),
            None => {
                let question = question(self.node_class(key.4));
                let answer = Arc::new(self.ask(Hook::Matching, |instance| instance.matches(&question)));
                self.matching.insert(key, answer.clone());
                answer
            }
        };
        Some(Heard { voice: &self.slot.voice, answer })
    }

    fn names(
        &mut self,
        key: NamingKey,
        question: impl FnOnce(NodeClass) -> NamingQuestion,
    ) -> Option<Heard<'g, NamingAnswer>> {
        if self.slot.mode == Mode::Monitor {
            if !self.on_trial.is_full() && self.asked_on_trial.insert(TrialKey::Naming(key)) {
                self.on_trial.naming.push(question(self.node_class(key.3)));
            }
            return None;
        }
        let answer = match self.naming.get(&key) {
            Some(answer) => answer.clone(),
            None => {
                let question = question(self.node_class(key.3));
                let answer = Arc::new(self.ask(Hook::Naming, |instance| instance.names(&question)));
                self.naming.insert(key, answer.clone());
                answer
            }
        };
        Some(Heard { voice: &self.slot.voice, answer })
    }

    fn ask<A>(&mut self, hook: Hook, ask: impl Fn(&mut Instance) -> Result<A, CallError>) -> Result<A, CallError> {
        let answer = self.ask_twice(hook, ask);
        let fared = self.fared.entry(hook).or_default();
        if let (Err(error), None) = (&answer, &fared) {
            *fared = Some(error.to_string());
        }
        answer
    }

    /// Asks the instance at hand, and on an error a fresh one: what only a used instance gets wrong is no verdict.
    fn ask_twice<A>(
        &mut self,
        hook: Hook,
        ask: impl Fn(&mut Instance) -> Result<A, CallError>,
    ) -> Result<A, CallError> {
        if let Some(error) = self.last_failure.as_ref().filter(|_| self.failures >= MOST_FAILURES) {
            return Err(error.clone());
        }
        if let Some(mut used) = self.instance.take()
            && let Ok(answer) = ask(&mut used)
        {
            self.instance = Some(used);
            return Ok(answer);
        }
        let fresh = self.slot.start().and_then(|mut fresh| ask(&mut fresh).map(|answer| (fresh, answer)));
        match fresh {
            Ok((fresh, answer)) => {
                self.instance = Some(fresh);
                Ok(answer)
            }
            Err(error) => {
                if self.failures == 0 {
                    error!(slot = %self.slot.voice.name, %hook, %error, "policy failed, what was registered stays");
                }
                self.failures += 1;
                self.last_failure = Some(error.clone());
                Err(error)
            }
        }
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

fn number(count: usize) -> u32 {
    u32::try_from(count).expect("no table has four thousand million different texts")
}

#[cfg(test)]
#[path = "pass_tests.rs"]
mod tests;
