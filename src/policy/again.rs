//! Putting a recorded question to a generation: quietly, so that it counts for nobody's health, is in no log, and no one
//! on trial hears of it.

use std::collections::BTreeSet;
use std::sync::Arc;

use tracing::dispatcher::{self, Dispatch};

use super::asked::{Asked, JobAsked, MatchAsked, NameAsked};
use super::component::Hook;
use super::composed;
use super::config::Mode;
use super::generation::{Generation, Slot};
use super::pass::World;
use super::record::{Answered, Composed};
use super::redaction::Raw;
use crate::label::Expression;

impl Generation {
    /// Returns a generation to try things on, with these slots in the place of its own: each fares apart from those in
    /// force, and those on trial are left out.
    pub(super) fn to_try(&self, slots: &[Arc<Slot>]) -> Self {
        let enforced = slots.iter().filter(|slot| slot.mode == Mode::Enforce);
        Self {
            number: self.number,
            slots: enforced.map(|slot| Arc::new(slot.apart())).collect(),
            blocked: self.blocked.clone(),
            monitor: self.monitor.clone(),
            redaction: Arc::clone(&self.redaction),
            recorder: None,
        }
    }

    /// Answers a recorded question as this generation would have. Values that are not known are shown to no policy; see
    /// [`Asked::missing`]. Takes as long as the policies do: call it off the async threads.
    pub fn ask_again(&self, asked: &Asked) -> Answered {
        self.decide_again(asked).0
    }

    /// The same, and the decision with the values that policies set: to be compared, and neither kept nor shown.
    pub(super) fn decide_again(&self, asked: &Asked) -> (Answered, Composed) {
        let apart;
        let trial = if self.recorder.is_some() {
            apart = self.to_try(&self.slots);
            &apart
        } else {
            self
        };
        // A policy that fails at a question of the past is nobody's trouble now.
        let raw = dispatcher::with_default(&Dispatch::none(), || trial.answer(asked));
        let whole = raw.verdict.clone();
        (self.redaction.tell(asked, raw), whole)
    }

    fn answer(&self, asked: &Asked) -> Raw {
        let ((verdict, why), spoken) = match asked {
            Asked::Filter(job) => {
                let (filtered, spoken) = self.filter_heard(&job.request(&job.requested()));
                (composed::filtered(&filtered), spoken)
            }
            Asked::BuildStarted(job) => {
                let (start, spoken) = self.build_started_heard(&job.request(&job.requested()));
                (composed::started(&start), spoken)
            }
            Asked::BuildEnded(job, ending) => {
                let (end, spoken) = self.build_ended_heard(&job.request(&job.requested()), &(*ending).into());
                (composed::ended(&end), spoken)
            }
            Asked::Matches(MatchAsked { controller, project, expression, node, named_labels, classic }) => {
                let world = World { named_labels: named_labels.clone() };
                let expression = expression.as_deref().map(Expression::lookup);
                let mut pass = self.pass(&world);
                let (matched, heard) = pass.hear_matches(controller, project, expression.as_ref(), node, *classic);
                (composed::matched(matched.as_ref()), pass.spoken(&heard))
            }
            Asked::Names(NameAsked { controller, project, short_name_unique, node, named_labels, atoms }) => {
                let world = World { named_labels: named_labels.clone() };
                let mut pass = self.pass(&world);
                let (names, heard) = pass.hear_names(controller, project, *short_name_unique, node, atoms);
                (composed::named(names.as_ref()), pass.spoken(&heard))
            }
        };
        Raw { spoken, verdict, why }
    }

    /// Returns those of some parameters whose values a policy in force for a job would be shown.
    pub(super) fn would_show(&self, hook: Hook, job: &JobAsked, parameters: &[&str]) -> BTreeSet<String> {
        let in_force = self.with_hook(hook).filter(|slot| {
            slot.mode == Mode::Enforce && slot.bind.holds(&job.controller, &job.project.name, &job.node.labels)
        });
        let shown = |name: &&&str| in_force.clone().any(|slot| slot.sight.shows(&job.project, name));
        parameters.iter().filter(shown).map(|&name| name.to_owned()).collect()
    }
}
