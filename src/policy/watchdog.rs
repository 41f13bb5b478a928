//! Takes back by itself a version that fails as soon as it is in force.
//!
//! Only failures count: traps, limits, invalid answers. Never rejections, since a client could cause those.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use tokio::time::{MissedTickBehavior, interval};
use tracing::error;

use super::config::Mode;
use super::reload::{Inner, Policies};

const EVERY: Duration = Duration::from_secs(1);

impl Policies {
    /// Ends only with the runtime that it runs on.
    pub(super) async fn guard(&self) -> Option<Infallible> {
        let mut looks = interval(EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            looks.tick().await;
            self.guard_once().await;
        }
    }

    pub(super) async fn guard_once(&self) {
        for name in self.failing() {
            self.off_the_runtime(move |inner| inner.roll_back_failing(&name)).await;
        }
        if self.is_anybody_due(SystemTime::now()) {
            self.reload_what_changed().await;
        }
    }

    /// Returns the policies in force that fail again and again.
    fn failing(&self) -> BTreeSet<String> {
        let live = self.live();
        let failing = live.slots.iter().filter(|slot| slot.mode == Mode::Enforce && slot.health.hopeless().is_some());
        failing.map(|slot| slot.voice.policy.to_string()).collect()
    }
}

impl Inner {
    /// Returns a policy to the version before, if the present one is new and it is the one that fails.
    fn roll_back_failing(&self, name: &str) {
        let mut book = self.book();
        let Some(live) = book.live.get(name).filter(|live| live.previous.is_some()) else { return };
        let Some(failure) = live.version.slots.iter().find_map(|slot| slot.health.hopeless()) else { return };
        if live.is_younger_than(self.config.gates.watch_for) {
            error!(slot = %name, failure, "policy fails since it is in force, and is rolled back");
            let before = book.before();
            match self.roll_back_in(&mut book, name) {
                // It must not go on, whether that can be written down or not.
                Ok(waiver) => drop(self.turn_since(&mut book, &before, &waiver)),
                Err(reason) => error!(slot = %name, %reason, "policy could not be rolled back"),
            }
        }
    }
}
