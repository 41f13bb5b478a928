//! Takes back by itself a version that fails as soon as it is in force.
//!
//! Only failures count: traps, limits, invalid answers. Never rejections, since a client could cause those.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use tokio::time::{MissedTickBehavior, interval};
use tracing::error;

use super::Digest;
use super::config::Mode;
use super::reload::{Inner, Policies};

const EVERY: Duration = Duration::from_secs(1);

impl Policies {
    /// Ends only with the runtime that it runs on.
    pub(super) async fn guard(&self) -> Option<Infallible> {
        let mut looks = interval(EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // Versions that there is nothing before are judged once.
        let mut judged = BTreeSet::new();
        loop {
            looks.tick().await;
            self.guard_once(&mut judged).await;
        }
    }

    pub(super) async fn guard_once(&self, judged: &mut BTreeSet<(String, Digest)>) {
        for (name, digest, failure) in self.failing() {
            if judged.insert((name.clone(), digest)) {
                self.off_the_runtime(move |inner| inner.roll_back_failing(&name, &failure)).await;
            }
        }
        if self.list().iter().any(|status| status.disabled_until.is_some_and(|until| until <= SystemTime::now())) {
            self.reload_what_changed().await;
        }
    }

    /// Returns the policies in force that fail again and again, each with its version and what fails.
    fn failing(&self) -> Vec<(String, Digest, String)> {
        let live = self.live();
        let enforced = live.slots.iter().filter(|slot| slot.mode == Mode::Enforce);
        let failing = enforced.filter_map(|slot| {
            Some((slot.voice.policy.to_string(), slot.module.digest.clone(), slot.health.hopeless()?))
        });
        failing.collect()
    }
}

impl Inner {
    /// Returns a policy to the version before if the present one is new.
    fn roll_back_failing(&self, name: &str, failure: &str) {
        let mut book = self.book();
        let watch_for = self.config.gates.watch_for;
        let is_new = book.live.get(name).is_some_and(|live| live.is_younger_than(watch_for) && live.previous.is_some());
        if is_new {
            error!(slot = %name, failure, "policy fails since it is in force, and is rolled back");
            if let Err(reason) = self.roll_back_in(&mut book, name) {
                error!(slot = %name, %reason, "policy could not be rolled back");
            }
        }
    }
}
