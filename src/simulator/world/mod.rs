//! PURE: what a simulated controller holds, and what becomes of it as time passes.
//!
//! Nothing here knows HTTP or JSON, awaits or reads a clock: time comes in through [`World::advance`], which works off
//! the agenda in order and lets the queue settle after each event.
//!
//! ```text
//! waiting ─┬─> blocked ─┐                    a build:  building ─> post production ─> complete
//!          └────────────┴─> buildable ─> pending ─> left
//! ```

mod build;
mod node;
mod project;
mod queue;
mod running;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::clock::millis;
use super::fleet::Fleet;
use super::version::Version;

pub(crate) use build::{Build, Cause, Order, Place, Value};
pub(crate) use node::{Node, Occupant, OfflineMark};
pub(crate) use project::{Folder, Item, Project, child_name, parent_of, short_name};
pub(crate) use queue::{Cancelled, LeftItem, QueueItem, Scheduled, Stage, Task};

/// The key of the controller's own node; it has no name in builds either.
pub(crate) const BUILT_IN: &str = "";

/// A left item is remembered this long.
const LEFT_ITEM_LIFETIME: Duration = Duration::from_secs(5 * 60);

/// How a world behaves, beside what it consists of.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) version: Version,
    pub(crate) root_url: String,
    /// The newest builds of a project that are kept.
    pub(crate) keep_builds: usize,
    /// Whether CSRF protection is on.
    pub(crate) crumbs: bool,
    /// How long a queue item is pending before its build starts.
    pub(crate) start_latency: Duration,
}

#[derive(Debug)]
pub(crate) struct World {
    pub(crate) settings: Settings,
    pub(crate) now: u64,
    /// Counts the starts of this controller; its session hash is made of it.
    pub(crate) incarnation: u64,
    pub(crate) quiet_period: Duration,
    pub(crate) quieting_down: bool,
    pub(crate) has_node_label_plugin: bool,
    pub(crate) nodes: BTreeMap<String, Node>,
    pub(crate) items: BTreeMap<String, Item>,
    pub(crate) queue: BTreeMap<u64, QueueItem>,
    pub(crate) left: BTreeMap<u64, LeftItem>,
    /// Projects and nodes that lists leave out, as Jenkins does when rendering one fails.
    pub(crate) hidden_from_lists: BTreeSet<String>,
    next_queue_id: u64,
    agenda: BTreeSet<(u64, Event)>,
}

/// What falls due at some time. An event whose subject has moved on in the meantime means nothing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    QuietPeriodOver { id: u64 },
    PendingOver { id: u64 },
    StepEnds { project: String, number: u64, step: usize },
    BuildEnds { project: String, number: u64 },
    BuildCompletes { project: String, number: u64 },
    ForgetLeftItem { id: u64 },
}

impl World {
    pub(crate) fn new(settings: Settings, fleet: &Fleet, now: u64) -> Self {
        let own_labels = fleet.built_in.labels.iter().cloned().collect();
        let own_node = Node::new(BUILT_IN, fleet.built_in.executors, own_labels, fleet.built_in.mode);
        let mut world = Self {
            settings,
            now,
            incarnation: 1,
            quiet_period: fleet.quiet_period,
            quieting_down: false,
            has_node_label_plugin: !fleet.lacks_node_label_plugin,
            nodes: BTreeMap::from([(BUILT_IN.to_owned(), own_node)]),
            items: BTreeMap::new(),
            queue: BTreeMap::new(),
            left: BTreeMap::new(),
            hidden_from_lists: BTreeSet::new(),
            next_queue_id: 1,
            agenda: BTreeSet::new(),
        };
        for node in &fleet.nodes {
            world.add_node(node);
        }
        for folder in &fleet.folders {
            world.add_folder(&folder.full_name, folder.multibranch);
            world.set_disabled(&folder.full_name, folder.disabled);
        }
        for project in &fleet.projects {
            world.add_project(project.clone());
        }
        world
    }

    /// Works off everything that is due until `now`.
    pub(crate) fn advance(&mut self, now: u64) {
        while let Some((due, _)) = self.agenda.first()
            && *due <= now
        {
            let Some((due, event)) = self.agenda.pop_first() else { break };
            self.now = self.now.max(due);
            self.handle(event);
            self.settle();
        }
        self.now = self.now.max(now);
    }

    /// Starts the controller anew: what is only in its memory is gone.
    pub(crate) fn restart(&mut self) {
        self.incarnation += 1;
        self.quieting_down = false;
        self.left.clear();
        self.requeue_pending();
        self.lose_running_builds();
        if !self.settings.version.keeps_offline_marks() {
            self.nodes.values_mut().for_each(|node| node.mark = None);
        }
        self.settle();
    }

    /// Returns the hash that tells one start of the controller from the next.
    pub(crate) fn session(&self) -> String {
        format!("{:08x}", hash(&[&self.settings.root_url, &self.incarnation.to_string()]) & 0xffff_ffff)
    }

    fn handle(&mut self, event: Event) {
        match event {
            // Settling looks at the due times itself.
            Event::QuietPeriodOver { .. } => {}
            Event::PendingOver { id } => self.start_pending(id),
            Event::StepEnds { project, number, step } => self.end_step(&project, number, step),
            Event::BuildEnds { project, number } => self.end_build_as_planned(&project, number),
            Event::BuildCompletes { project, number } => self.complete_build(&project, number),
            Event::ForgetLeftItem { id } => {
                self.left.remove(&id);
            }
        }
    }

    fn plan(&mut self, after: Duration, event: Event) {
        self.agenda.insert((self.now.saturating_add(millis(after)), event));
    }
}

/// Hashes texts the same way on every machine (FNV-1a).
pub(crate) fn hash(texts: &[&str]) -> u64 {
    let bytes = texts.iter().flat_map(|text| text.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
