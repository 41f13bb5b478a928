//! Builds that a client asked to stop, until they have ended.
//!
//! Jenkins stops a build later, if at all: steps after the build may each swallow one interrupt, and a pipeline may catch
//! it. So the wish is kept, written down, and told again, ever more firmly; and only to the very build that was meant.
//!
//! ```text
//! any build   stop ── again ── stop ── again ── stop …
//! pipelines   stop ─ … ── term_after ── term ─ … ── kill_after ── kill ─ …
//! ```

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tracing::{debug, info, warn};

use crate::domain::{Build, BuildId, ControllerName, ProjectKind};
use crate::jenkins::{self, Part};
use crate::journal::Stop;

use super::config::Config;
use super::site::{Controller, Site};

/// So often a build is told to end; then nothing more is done until a client asks again.
const MOST_ORDERS: u32 = 20;

/// How often a controller that does not answer is asked again what became of a build.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// How a build is told to end; the later ones are for pipelines alone, and stronger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    Stop,
    Terminate,
    Kill,
}

/// What a build was told so far; times count from the client's wish.
#[derive(Clone, Copy, Debug)]
struct Told {
    last: Order,
    last_at: Duration,
    count: u32,
}

impl Told {
    /// A client's wish is passed on at once.
    const STOP: Self = Self { last: Order::Stop, last_at: Duration::ZERO, count: 1 };
}

/// Returns what a build that still runs is told next, and when.
fn next(config: &Config, is_pipeline: bool, told: Told) -> Option<(Duration, Order)> {
    if told.count >= MOST_ORDERS {
        return None;
    }
    let again = (told.last_at + config.stop_again_after, told.last);
    let firmer = [(config.term_after, Order::Terminate), (config.kill_after, Order::Kill)].into_iter();
    let firmer = firmer.filter(|(after, order)| is_pipeline && !after.is_zero() && *order > told.last);
    firmer.chain([again]).min_by_key(|(at, order)| (*at, Reverse(*order)))
}

/// The wishes that are seen to.
#[derive(Debug, Default)]
pub(super) struct Stopping {
    wishes: Mutex<BTreeMap<(ControllerName, BuildId), Wish>>,
}

#[derive(Debug)]
struct Wish {
    /// When a client last asked; none if that was before a restart of the daemon.
    asked_at: Option<Instant>,
    /// Tells this wish from a later one for a build with the same number.
    build_started_ms: u64,
}

/// What a client's wish to stop a build comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    First,
    /// It was stopped before, and runs on.
    Again,
    /// It was stopped just now.
    TooSoon,
}

impl Stopping {
    /// Takes in that a client wants a build to end.
    pub(super) fn ask(&self, controller: &ControllerName, build: &Build, again_after: Duration) -> Asked {
        let mut wishes = self.wishes.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = Wish { asked_at: Some(Instant::now()), build_started_ms: build.started_ms };
        let known = wishes.get_mut(&(controller.clone(), build.id.clone()));
        match known.filter(|known| known.build_started_ms == build.started_ms) {
            Some(known) if known.asked_at.is_some_and(|at| at.elapsed() < again_after) => Asked::TooSoon,
            Some(known) => {
                *known = fresh;
                Asked::Again
            }
            None => {
                wishes.insert((controller.clone(), build.id.clone()), fresh);
                Asked::First
            }
        }
    }

    /// Takes a wish over that is written down; false if it is already seen to.
    fn take_over(&self, stop: &Stop) -> bool {
        let mut wishes = self.wishes.lock().unwrap_or_else(PoisonError::into_inner);
        match wishes.entry((stop.controller.clone(), stop.build.clone())) {
            Entry::Occupied(_) => false,
            Entry::Vacant(vacant) => {
                vacant.insert(Wish { asked_at: None, build_started_ms: stop.build_started_ms });
                true
            }
        }
    }

    /// Forgets a wish, so that the next one is the first again.
    pub(super) fn forget(&self, controller: &ControllerName, build: &BuildId, build_started_ms: u64) {
        let mut wishes = self.wishes.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (controller.clone(), build.clone());
        if wishes.get(&key).is_some_and(|wish| wish.build_started_ms == build_started_ms) {
            wishes.remove(&key);
        }
    }
}

/// Writes a wish down, and sees to it from now on.
pub(super) async fn begin(site: &Arc<Site>, controller: &ControllerName, build: &Build) {
    let stop = Stop { controller: controller.clone(), build: build.id.clone(), build_started_ms: build.started_ms };
    if let Err(error) = site.journal.stop_asked(stop.clone()).await {
        warn!(%error, "failed to journal that a build was stopped; a restart of the daemon forgets it");
    }
    spawn(site, stop);
}

/// Goes on with the wishes of an earlier life of this daemon; their times count anew.
pub(super) async fn resume(site: Arc<Site>) {
    let stops = match site.journal.open_stops().await {
        Ok(stops) => stops,
        Err(error) => return warn!(%error, "failed to read which builds were being stopped; they are not told again"),
    };
    for stop in stops {
        // A client was quicker.
        if !site.stopping.take_over(&stop) {
            continue;
        }
        info!(controller = %stop.controller, build = %stop.build, "a build was being stopped before the restart");
        spawn(&site, stop);
    }
}

fn spawn(site: &Arc<Site>, stop: Stop) {
    let site = Arc::clone(site);
    let until_the_end = site.stop.clone();
    tokio::spawn(until_the_end.run_until_cancelled_owned(async move {
        see_to(&site, &stop).await;
        site.stopping.forget(&stop.controller, &stop.build, stop.build_started_ms);
        if let Err(error) = site.journal.stop_closed(&stop.controller, &stop.build).await {
            warn!(%error, "failed to journal that a stopped build has ended");
        }
    }));
}

/// Tells a build to end again and again, until it has, or nothing can be said of it for too long.
async fn see_to(site: &Site, stop: &Stop) {
    let Stop { controller: name, build: id, .. } = stop;
    let asked_at = Instant::now();
    let (mut told, mut heard_at) = (Told::STOP, asked_at);
    loop {
        let is_pipeline = kind(site, name, stop) == Some(ProjectKind::Pipeline);
        let Some((at, order)) = next(&site.config(), is_pipeline, told) else {
            return warn!(controller = %name, build = %id, "a build was told {MOST_ORDERS} times to end and still runs; it is left alone");
        };
        sleep_until(asked_at + at).await;
        // Asked for late, since another configuration brings another client.
        let Some(controller) = site.controller(name) else { return };
        match controller.client.build(id).await {
            Ok(Some(build)) if build.in_progress && build.started_ms == stop.build_started_ms => {}
            // Ended, gone, or another one under the same number.
            Ok(_) => return,
            Err(error) if heard_at.elapsed() > site.config().lost_after => {
                return warn!(controller = %name, build = %id, %error, "lost sight of a build that was to stop");
            }
            Err(error) => {
                debug!(controller = %name, build = %id, %error, "failed to read a build that was to stop");
                sleep_until(Instant::now() + LOOK_AGAIN).await;
                continue;
            }
        }
        heard_at = Instant::now();
        match tell(&controller, id, order).await {
            Ok(()) => info!(controller = %name, build = %id, ?order, "told a build again to end, since it still runs"),
            Err(error) => warn!(controller = %name, build = %id, ?order, %error, "failed to tell a build to end"),
        }
        controller.watcher.hurry(Part::Nodes);
        told = Told { last: order, last_at: asked_at.elapsed(), count: told.count + 1 };
    }
}

async fn tell(controller: &Controller, id: &BuildId, order: Order) -> Result<(), jenkins::Error> {
    match order {
        Order::Stop => controller.client.stop(id).await,
        Order::Terminate => controller.client.terminate(id).await,
        Order::Kill => controller.client.kill(id).await,
    }
}

/// Returns what a build's project is; none if it is not known.
fn kind(site: &Site, name: &ControllerName, stop: &Stop) -> Option<ProjectKind> {
    let view = site.view.borrow();
    let projects = &view.snapshot.controllers.get(name)?.projects;
    projects.iter().find(|project| project.name == stop.build.project).map(|project| project.kind)
}

#[cfg(test)]
mod tests {
    use crate::domain::{Parameters, ProjectName};

    use super::*;

    /// Returns what a build that never ends is told, with the seconds.
    fn orders(config: &Config, is_pipeline: bool, count: usize) -> Vec<(u64, Order)> {
        let mut told = Told::STOP;
        let next = std::iter::from_fn(|| {
            let (at, order) = next(config, is_pipeline, told)?;
            told = Told { last: order, last_at: at, count: told.count + 1 };
            Some((at.as_secs(), order))
        });
        next.take(count).collect()
    }

    #[track_caller]
    fn check(config: &Config, is_pipeline: bool, expected: &[(u64, Order)]) {
        assert_eq!(orders(config, is_pipeline, expected.len()), expected);
    }

    #[test]
    fn a_pipeline_is_told_ever_more_firmly_and_nothing_else_is_killed() {
        use Order::{Kill, Stop, Terminate};
        let seconds = Duration::from_secs;
        let config = Config::default();
        check(&config, false, &[(60, Stop), (120, Stop), (180, Stop), (240, Stop), (300, Stop), (360, Stop)]);
        check(
            &config,
            true,
            &[(60, Stop), (120, Terminate), (180, Terminate), (240, Terminate), (300, Kill), (360, Kill)],
        );
        check(
            &Config { kill_after: Duration::ZERO, ..config.clone() },
            true,
            &[(60, Stop), (120, Terminate), (180, Terminate)],
        );
        check(
            &Config { term_after: Duration::ZERO, kill_after: Duration::ZERO, ..config.clone() },
            true,
            &[(60, Stop), (120, Stop)],
        );
        // A kill that comes before is not followed by anything weaker.
        check(
            &Config { term_after: seconds(90), kill_after: seconds(30), ..config },
            true,
            &[(30, Kill), (90, Kill), (150, Kill)],
        );
    }

    #[test]
    fn nothing_is_told_for_ever() {
        for is_pipeline in [false, true] {
            assert_eq!(orders(&Config::default(), is_pipeline, 1000).len() + 1, MOST_ORDERS as usize);
        }
    }

    fn build(started_ms: u64) -> Build {
        Build {
            id: BuildId { project: ProjectName::new("lint"), number: 1 },
            in_progress: true,
            result: None,
            queue_id: None,
            built_on: None,
            url: None,
            started_ms,
            duration: Duration::ZERO,
            estimated_duration: None,
            parameters: Parameters::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_wish_of_an_earlier_life_is_told_again_and_seen_to_once() {
        let (stopping, ci, again) = (Stopping::default(), ControllerName::new("ci"), Duration::from_secs(60));
        let stop = Stop { controller: ci.clone(), build: build(1).id, build_started_ms: 1 };
        assert!(stopping.take_over(&stop));
        assert!(!stopping.take_over(&stop), "it is seen to already");
        assert_eq!(stopping.ask(&ci, &build(1), again), Asked::Again, "the build is told, and nothing begins anew");
        assert_eq!(stopping.ask(&ci, &build(1), again), Asked::TooSoon);
        assert_eq!(stopping.ask(&ci, &build(2), again), Asked::First, "another build under the same number");
        assert!(!stopping.take_over(&stop), "the newer wish stays");
        stopping.forget(&ci, &build(2).id, 2);
        assert!(stopping.take_over(&stop));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wish_counts_once_for_a_while_and_another_build_under_the_same_number_is_another() {
        let stopping = Stopping::default();
        let ci = ControllerName::new("ci");
        let again = Duration::from_secs(60);
        let ask = |started_ms| stopping.ask(&ci, &build(started_ms), again);
        assert_eq!((ask(1), ask(1)), (Asked::First, Asked::TooSoon));
        tokio::time::advance(again).await;
        assert_eq!((ask(1), ask(1)), (Asked::Again, Asked::TooSoon));
        assert_eq!(ask(2), Asked::First);
        stopping.forget(&ci, &build(1).id, 1);
        assert_eq!(ask(2), Asked::TooSoon, "the wish for the new build stays");
        stopping.forget(&ci, &build(2).id, 2);
        assert_eq!(ask(2), Asked::First);
    }
}
