//! Putting a recorded question to a generation: quietly, so that it counts for nobody's health and no one on trial hears
//! of it.

use std::collections::BTreeSet;

use super::component::Hook;
use super::config::Mode;
use super::generation::Generation;
use super::record::{Answered, Asked, JobAsked};

impl Generation {
    /// Answers a recorded question as this generation would have. Values that are not known are shown to no policy; see
    /// [`Asked::missing`]. Takes as long as the policies do: call it off the async threads.
    pub fn ask_again(&self, _asked: &Asked) -> Answered {
        unimplemented!("comes with the next commit")
    }

    /// Returns those of some parameters whose values a policy in force for a job would be shown.
    pub(super) fn would_show(&self, hook: Hook, job: &JobAsked, parameters: &[&str]) -> BTreeSet<String> {
        let in_force = self.with_hook(hook).filter(|slot| {
            slot.mode == Mode::Enforce && slot.bind.holds(&job.controller, &job.project.name, &job.node.labels)
        });
        let shown = |name: &&str| in_force.clone().any(|slot| slot.sight.shows(&job.project, name));
        parameters.iter().filter(|name| shown(name)).map(|&name| name.to_owned()).collect()
    }
}
