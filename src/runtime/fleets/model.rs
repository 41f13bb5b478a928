//! Controllers as somebody knows them who has never seen this program, and what may happen to them.
//!
//! Everything is drawn from numbers, so that equal numbers are equal stories.

use std::collections::{BTreeMap, BTreeSet};

/// The name of a controller's own node.
pub(crate) const OWN_NODE: &str = "";

pub(crate) const FOLDERS: [&str; 6] = ["", "", "App/", "App/sub/", "app-x/", "zoo/"];
const SHORT_NAMES: [&str; 6] = ["lint", "lint", "Test", "app.z", "b", "big lint"];
const LABELS: [&str; 4] = ["linux", "gpu", "arm", "big iron"];
const AGENTS: [&str; 4] = ["n1", "n2", "n3", "N4"];

/// Numbers out of a number: SplitMix64.
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub(crate) u64);

#[derive(Clone, Debug)]
pub(crate) struct Fleet {
    pub(crate) controllers: BTreeMap<String, Controller>,
}

#[derive(Clone, Debug)]
pub(crate) struct Controller {
    pub(crate) reachable: bool,
    /// The names of agents that it may have; no two controllers share one.
    agents: Vec<String>,
    /// What its own node is called among labels.
    pub(crate) self_label: &'static str,
    pub(crate) nodes: BTreeMap<String, Node>,
    /// By full name.
    pub(crate) projects: BTreeMap<String, Project>,
    pub(crate) disabled_folders: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Online,
    Marked,
    Disconnected,
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) state: State,
    pub(crate) exclusive: bool,
    /// Without the self label.
    pub(crate) labels: BTreeSet<String>,
    pub(crate) executors: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Freestyle,
    Maven,
    Matrix,
    Pipeline,
    /// Of no kind that can be built.
    Unknown,
}

#[derive(Clone, Debug)]
pub(crate) struct Project {
    pub(crate) kind: Kind,
    pub(crate) label: Option<Label>,
    pub(crate) disabled: bool,
    pub(crate) concurrent: bool,
    /// Declares a parameter that ties a build to its job.
    pub(crate) marked: bool,
}

/// A label expression.
#[derive(Clone, Debug)]
pub(crate) enum Label {
    Atom(String),
    Not(Box<Self>),
    Both(Box<(Self, Self)>),
    Either(Box<(Self, Self)>),
    Implies(Box<(Self, Self)>),
    Equals(Box<(Self, Self)>),
}

/// What happens to a controller.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    Create(String, Project),
    Move { from: String, to: String },
    Relabel(String, Option<Label>),
    Disable(String, bool),
    DisableFolder(String, bool),
    DeleteProject(String),
    AddNode(String, Node),
    Turn(String, State),
    LabelNode(String, BTreeSet<String>),
    SetExecutors(String, u32),
    DeleteNode(String),
}

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.roll() % bound.max(1) as u64) as usize
    }

    pub(crate) fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    pub(crate) fn pick<T>(&mut self, choices: impl IntoIterator<Item = T>) -> Option<T> {
        let mut choices: Vec<T> = choices.into_iter().collect();
        let index = self.below(choices.len());
        (index < choices.len()).then(|| choices.swap_remove(index))
    }

    fn subset(&mut self, of: &[&str]) -> BTreeSet<String> {
        of.iter().filter(|_| self.one_in(2)).map(|label| (*label).to_owned()).collect()
    }

    fn full_name(&mut self) -> String {
        format!("{}{}", FOLDERS[self.below(FOLDERS.len())], SHORT_NAMES[self.below(SHORT_NAMES.len())])
    }

    fn node(&mut self) -> Node {
        let labels = self.subset(&LABELS);
        Node { state: State::Online, exclusive: self.one_in(4), labels, executors: self.below(4) as u32 }
    }

    fn project(&mut self) -> Project {
        let kinds = [
            Kind::Freestyle,
            Kind::Freestyle,
            Kind::Freestyle,
            Kind::Maven,
            Kind::Matrix,
            Kind::Pipeline,
            Kind::Unknown,
        ];
        Project {
            kind: kinds[self.below(kinds.len())],
            label: if self.one_in(3) { None } else { Some(self.label(3)) },
            disabled: self.one_in(6),
            concurrent: !self.one_in(3),
            marked: !self.one_in(3),
        }
    }

    fn label(&mut self, depth: usize) -> Label {
        if depth == 0 || self.one_in(2) {
            let atom = if self.one_in(8) { AGENTS[self.below(AGENTS.len())] } else { LABELS[self.below(LABELS.len())] };
            return Label::Atom(atom.to_owned());
        }
        let left = self.label(depth - 1);
        let pair = |right| Box::new((left.clone(), right));
        match self.below(6) {
            0 | 1 => Label::Either(pair(self.label(depth - 1))),
            2 => Label::Both(pair(self.label(depth - 1))),
            3 => Label::Implies(pair(self.label(depth - 1))),
            4 => Label::Equals(pair(self.label(depth - 1))),
            _ => Label::Not(Box::new(left)),
        }
    }
}

impl Fleet {
    pub(crate) fn draw(mut dice: Dice) -> Self {
        let count = 1 + dice.below(3);
        let controllers = (0..count).map(|index| (format!("ci{index}"), Controller::draw(index, &mut dice))).collect();
        Self { controllers }
    }

    /// Lets something happen somewhere, and returns what and where.
    pub(crate) fn happen(&mut self, dice: &mut Dice) -> Option<(String, Event)> {
        let name = dice.pick(self.controllers.keys().cloned())?;
        let controller = self.controllers.get_mut(&name)?;
        let event = controller.draw_event(dice)?;
        controller.apply(event.clone());
        Some((name, event))
    }
}

impl Controller {
    fn draw(index: usize, dice: &mut Dice) -> Self {
        let suffix = if index == 0 { String::new() } else { index.to_string() };
        let agents: Vec<String> = AGENTS.iter().map(|name| format!("{name}{suffix}")).collect();
        let mut nodes = BTreeMap::new();
        for name in &agents {
            if !dice.one_in(3) {
                nodes.insert(name.clone(), dice.node());
            }
        }
        nodes.insert(OWN_NODE.to_owned(), Node { executors: dice.below(2) as u32, ..dice.node() });
        let mut controller = Self {
            reachable: true,
            agents,
            self_label: if dice.one_in(4) { "master" } else { "built-in" },
            nodes,
            projects: BTreeMap::new(),
            disabled_folders: BTreeSet::new(),
        };
        for _ in 0..dice.below(8) {
            controller.apply(Event::Create(dice.full_name(), dice.project()));
        }
        controller
    }

    fn draw_event(&self, dice: &mut Dice) -> Option<Event> {
        let project = dice.pick(self.projects.keys().cloned());
        let node = dice.pick(self.nodes.keys().cloned())?;
        let agent = dice.pick(self.nodes.keys().filter(|name| *name != OWN_NODE).cloned());
        Some(match dice.below(16) {
            0 | 1 => Event::Create(dice.full_name(), dice.project()),
            2 | 3 => Event::Move { from: project?, to: dice.full_name() },
            4 | 5 => Event::Relabel(project?, if dice.one_in(4) { None } else { Some(dice.label(3)) }),
            6 => Event::Disable(project?, dice.one_in(2)),
            7 => Event::DisableFolder(
                FOLDERS[dice.below(FOLDERS.len())].trim_end_matches('/').to_owned(),
                dice.one_in(2),
            ),
            8 => Event::DeleteProject(project?),
            9 => Event::AddNode(dice.pick(self.agents.iter().cloned())?, dice.node()),
            10 | 11 => {
                let states = [State::Online, State::Online, State::Marked, State::Disconnected];
                Event::Turn(agent?, states[dice.below(states.len())])
            }
            12 | 13 => Event::LabelNode(node, dice.subset(&LABELS)),
            14 => Event::SetExecutors(node, dice.below(4) as u32),
            _ => Event::DeleteNode(agent?),
        })
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Create(name, project) => {
                self.projects.entry(name).or_insert(project);
            }
            Event::Move { from, to } => {
                if !self.projects.contains_key(&to)
                    && let Some(project) = self.projects.remove(&from)
                {
                    self.projects.insert(to, project);
                }
            }
            Event::Relabel(name, label) => self.change(&name, |project| project.label = label),
            Event::Disable(name, disabled) => self.change(&name, |project| project.disabled = disabled),
            Event::DisableFolder(name, true) => drop(self.disabled_folders.insert(name)),
            Event::DisableFolder(name, false) => drop(self.disabled_folders.remove(&name)),
            Event::DeleteProject(name) => drop(self.projects.remove(&name)),
            Event::AddNode(name, node) => {
                self.nodes.entry(name).or_insert(node);
            }
            Event::Turn(name, state) => self.change_node(&name, |node| node.state = state),
            Event::LabelNode(name, labels) => self.change_node(&name, |node| node.labels = labels),
            Event::SetExecutors(name, executors) => self.change_node(&name, |node| node.executors = executors),
            Event::DeleteNode(name) => drop(self.nodes.remove(&name)),
        }
    }

    fn change(&mut self, name: &str, change: impl FnOnce(&mut Project)) {
        if let Some(project) = self.projects.get_mut(name) {
            change(project);
        }
    }

    fn change_node(&mut self, name: &str, change: impl FnOnce(&mut Node)) {
        if let Some(node) = self.nodes.get_mut(name) {
            change(node);
        }
    }

    /// Returns whether builds of a project may be started, its own switch and those of the folders around it included.
    pub(crate) fn is_buildable(&self, full_name: &str, project: &Project) -> bool {
        let folders = full_name.match_indices('/').map(|(at, _)| &full_name[..at]);
        !project.disabled && !folders.into_iter().any(|folder| self.disabled_folders.contains(folder))
    }

    /// Returns a node's labels with its own name among them.
    pub(crate) fn labels(&self, name: &str, node: &Node) -> BTreeSet<String> {
        let own = if name == OWN_NODE { self.self_label } else { name };
        node.labels.iter().cloned().chain([own.to_owned()]).collect()
    }
}

impl Label {
    /// Writes it as people do who do not trust precedence.
    pub(crate) fn text(&self) -> String {
        let joined = |pair: &(Self, Self), operator| format!("({} {operator} {})", pair.0.text(), pair.1.text());
        match self {
            Self::Atom(atom) if atom.contains(' ') => format!("\"{atom}\""),
            Self::Atom(atom) => atom.clone(),
            Self::Not(inner) => format!("!({})", inner.text()),
            Self::Both(pair) => joined(pair, "&&"),
            Self::Either(pair) => joined(pair, "||"),
            Self::Implies(pair) => joined(pair, "->"),
            Self::Equals(pair) => joined(pair, "<->"),
        }
    }

    pub(crate) fn holds(&self, labels: &BTreeSet<String>) -> bool {
        match self {
            Self::Atom(atom) => labels.contains(atom),
            Self::Not(inner) => !inner.holds(labels),
            Self::Both(pair) => pair.0.holds(labels) && pair.1.holds(labels),
            Self::Either(pair) => pair.0.holds(labels) || pair.1.holds(labels),
            Self::Implies(pair) => !pair.0.holds(labels) || pair.1.holds(labels),
            Self::Equals(pair) => pair.0.holds(labels) == pair.1.holds(labels),
        }
    }

    pub(crate) fn atoms(&self) -> BTreeSet<&str> {
        match self {
            Self::Atom(atom) => BTreeSet::from([atom.as_str()]),
            Self::Not(inner) => inner.atoms(),
            Self::Both(pair) | Self::Either(pair) | Self::Implies(pair) | Self::Equals(pair) => {
                pair.0.atoms().into_iter().chain(pair.1.atoms()).collect()
            }
        }
    }
}
