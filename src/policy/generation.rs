use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::binding::Bind;
use super::call::{CallError, Instance};
use super::chain::Voice;
use super::component::{Hook, Module};
use super::config::{Limits, Mode};
use super::digest::Digest;
use super::health::Health;
use super::monitor::Monitor;
use super::need::Sight;
use super::pass::{Pass, World};
use super::recorder::Recorder;
use super::redaction::Redaction;
use super::tally::{Cost, Tally, Usage};
use crate::domain::{ControllerName, Node, ProjectName};

/// A controller as far as bindings know it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Controller {
    pub name: ControllerName,
    #[serde(default)]
    pub tags: BTreeSet<String>,
}

/// All slots that are in force together; it never changes. A job keeps the one with which it started.
pub struct Generation {
    pub(super) number: u64,
    /// In file order.
    pub(super) slots: Vec<Arc<Slot>>,
    /// Where nothing is offered, since a required policy is missing there.
    pub(super) blocked: Vec<Bind>,
    pub(super) monitor: Monitor,
    pub(super) redaction: Arc<Redaction>,
    /// None for one that is only tried: nothing of it is felt or kept.
    pub(super) recorder: Option<Arc<Recorder>>,
}

/// One policy in force somewhere.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) voice: Voice,
    pub(super) module: Arc<Module>,
    /// JSON.
    pub(super) settings: Arc<str>,
    pub(super) bind: Bind,
    pub(super) mode: Mode,
    pub(super) sight: Sight,
    pub(super) limits: Limits,
    pub(super) health: Health,
    /// Shared with the versions before and after.
    pub(super) tally: Arc<Tally>,
}

impl Generation {
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Returns the digests of the policies in force, in file order.
    pub fn digests(&self) -> Vec<Digest> {
        let mut digests: Vec<Digest> = self.slots.iter().map(|slot| slot.module.digest.clone()).collect();
        digests.dedup();
        digests
    }

    /// Returns whether a required policy that is bound there is missing, so that nothing may be offered.
    pub fn is_blocked(&self, controller: &Controller, project: &ProjectName, labels: &BTreeSet<String>) -> bool {
        self.blocked.iter().any(|bind| bind.holds(controller, project, labels))
    }

    /// Returns whether a policy of the function table is told the names of nodes, so that no two are alike to it.
    pub fn knows_nodes_by_name(&self) -> bool {
        self.of_the_table().any(|slot| slot.sight.node_name)
    }

    /// Returns whether a label of a node may matter to the function table although no project's expression names it:
    /// a policy sees it, or is bound to it.
    pub fn minds_label(&self, node: &Node, label: &str) -> bool {
        self.blocked.iter().any(|bind| bind.minds_label(label))
            || self.of_the_table().any(|slot| slot.sight.sees_label(node, label) || slot.bind.minds_label(label))
    }

    /// Returns the slots that the function table depends on, whatever their mode.
    pub(super) fn of_the_table(&self) -> impl Iterator<Item = &Arc<Slot>> {
        let decides = |slot: &&Arc<Slot>| !slot.module.hooks.is_disjoint(&[Hook::Matching, Hook::Naming].into());
        self.slots.iter().filter(decides)
    }

    /// Starts one pass over the function table: an instance per slot, no question asked twice.
    pub fn pass<'g>(&'g self, world: &'g World) -> Pass<'g> {
        Pass::new(self, world)
    }

    /// Returns the slots with a hook, whatever their mode.
    pub(super) fn with_hook(&self, hook: Hook) -> impl Iterator<Item = &Arc<Slot>> + Clone {
        self.slots.iter().filter(move |slot| slot.module.hooks.contains(&hook))
    }
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slots: Vec<&str> = self.slots.iter().map(|slot| &*slot.voice.name).collect();
        f.debug_struct("Generation").field("number", &self.number).field("slots", &slots).finish_non_exhaustive()
    }
}

impl Slot {
    /// Returns the same slot with a health and a tally of its own.
    pub(super) fn apart(&self) -> Self {
        let Self { voice, module, settings, bind, mode, sight, limits, health: _, tally: _ } = self;
        Self {
            voice: voice.clone(),
            module: Arc::clone(module),
            settings: Arc::clone(settings),
            bind: bind.clone(),
            mode: *mode,
            sight: sight.clone(),
            limits: limits.clone(),
            health: Health::default(),
            tally: Arc::default(),
        }
    }

    /// Returns what it was asked at each of its hooks.
    pub(super) fn usage(&self) -> impl Iterator<Item = Usage> {
        let on_trial = self.mode == Mode::Monitor;
        self.module.hooks.iter().map(move |hook| self.tally.usage(&self.voice.name, *hook, on_trial))
    }

    pub(super) fn start(&self) -> Result<Instance, CallError> {
        Instance::start(&self.module, &self.settings, &self.limits)
    }

    /// Asks an instance, a fresh one if there is none, and says what that took. It stays there unless it fails.
    pub(super) fn ask<A>(
        &self,
        instance: &mut Option<Instance>,
        ask: impl FnOnce(&mut Instance) -> Result<A, CallError>,
    ) -> (Result<A, CallError>, Cost) {
        let begin = Instant::now();
        let is_fresh = instance.is_none();
        let (answer, fuel) = match instance.take().map_or_else(|| self.start(), Ok) {
            Ok(mut started) => {
                let answer = ask(&mut started);
                let fuel = started.fuel_used(is_fresh);
                if answer.is_ok() {
                    *instance = Some(started);
                }
                (answer, fuel)
            }
            // What the start took before it failed is lost with its store, unless it took everything.
            Err(error) => {
                let fuel = if error == CallError::Fuel { self.limits.fuel } else { 0 };
                (Err(error), fuel)
            }
        };
        (answer, Cost { time: begin.elapsed(), fuel })
    }
}
