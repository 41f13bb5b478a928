//! PURE: which queue item may move on, and to which executor.
//!
//! Jenkins' own rules as far as clients can see them: quiet periods, projects that run one build at a time, quieting
//! down, label expressions, exclusive nodes, pins by parameter, and builds that need no executor.

use std::collections::BTreeSet;

use super::fleet::ParameterKind;
use super::world::{BUILT_IN, Node, Place, Project, QueueItem, Stage, Task, World, hash};
use crate::domain::{Mode, ProjectKind};
use crate::label;

/// Where a task wants to run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wish {
    /// Any node that takes any project.
    Anywhere,
    Label(String),
    /// One node and no other.
    Node(String),
}

/// What becomes of a wish while the nodes are as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Prospect {
    /// No node that suits is online.
    pub(crate) is_stuck: bool,
    /// For people.
    pub(crate) why: String,
}

impl World {
    /// Lets every queue item move on as far as it can.
    pub(crate) fn settle(&mut self) {
        while self.promote() | self.hand_out() {}
    }

    /// Returns where an item wants to run: a pin by parameter goes before the project's label.
    pub(crate) fn wish(&self, item: &QueueItem) -> Wish {
        if let Task::Step { resumed: Some(resumed), .. } = &item.task {
            return Wish::Node(resumed.node.clone());
        }
        let pins = |kind| matches!(kind, ParameterKind::Node | ParameterKind::Label);
        let pin = item.parameters.iter().find(|value| pins(value.kind) && !value.value.is_empty());
        if let Some(pin) = pin
            && !matches!(item.task, Task::Step { .. })
        {
            return Wish::Label(pin.value.clone());
        }
        let label = match &item.task {
            Task::Step { project, number, step, .. } => self.step_label(project, *number, *step),
            task => self.project(task.project()).and_then(|project| project.spec.label.clone()),
        };
        label.filter(|label| !label.trim().is_empty()).map_or(Wish::Anywhere, Wish::Label)
    }

    /// Returns whether the node may take what has this wish, executors aside.
    pub(crate) fn suits(&self, node: &Node, wish: &Wish, expression: Option<&label::Expression>) -> bool {
        match (wish, expression) {
            (Wish::Anywhere, _) => node.mode == Mode::Normal,
            (Wish::Node(name), _) => node.name == *name,
            (Wish::Label(_), Some(expression)) => expression.evaluate(|atom| self.has_label(node, atom)),
            (Wish::Label(_), None) => false,
        }
    }

    /// Says for people why the item has not started; `prospect` is that of its wish.
    pub(crate) fn why(&self, item: &QueueItem, prospect: impl FnOnce() -> Prospect) -> Option<String> {
        match &item.stage {
            Stage::Waiting { due } => {
                let left = due.saturating_sub(self.now);
                Some(format!("In the quiet period. Expires in {}.{} sec", left / 1000, left % 1000 / 100))
            }
            Stage::Blocked { .. } => {
                let project = self.project(item.task.project())?;
                match project.running.last() {
                    Some(number) => Some(format!("Build #{number} is already in progress (ETA: N/A)")),
                    None => Some("A build of this project is already in the queue".to_owned()),
                }
            }
            Stage::Buildable { .. } if self.quieting_down && !self.runs_while_quieting_down(&item.task) => {
                Some("Jenkins is about to shut down".to_owned())
            }
            Stage::Buildable { .. } => Some(prospect().why),
            Stage::Pending { .. } => None,
        }
    }

    /// Finds out what becomes of a wish while the nodes are as they are.
    pub(crate) fn prospect(&self, wish: &Wish) -> Prospect {
        let expression = wish.expression();
        let suitable: Vec<&Node> =
            self.nodes.values().filter(|node| self.suits(node, wish, expression.as_ref())).collect();
        let is_stuck = !suitable.iter().any(|node| node.is_online());
        let why = match (wish, suitable.as_slice()) {
            (Wish::Anywhere, _) => "Waiting for next available executor".to_owned(),
            (Wish::Label(text) | Wish::Node(text), []) => format!("There are no nodes with the label ‘{text}’"),
            (_, [node]) if is_stuck => format!("‘{}’ is offline", self.node_display_name(node)),
            (Wish::Label(text) | Wish::Node(text), _) if is_stuck => format!("All nodes of label ‘{text}’ are offline"),
            (Wish::Label(text) | Wish::Node(text), _) => format!("Waiting for next available executor on ‘{text}’"),
        };
        Prospect { is_stuck, why }
    }

    /// Moves items out of their quiet period and out of being blocked.
    fn promote(&mut self) -> bool {
        let at_gate = |item: &&QueueItem| match item.stage {
            Stage::Waiting { due } => due <= self.now,
            Stage::Blocked { .. } => true,
            Stage::Buildable { .. } | Stage::Pending { .. } => false,
        };
        let ids: Vec<u64> = self.queue.values().filter(at_gate).map(|item| item.id).collect();
        if ids.is_empty() {
            return false;
        }
        let mut next_in_line: BTreeSet<String> = self.queue.values().filter_map(in_line).collect();
        let now = self.now;
        let mut moved = false;
        for id in ids {
            let Some(item) = self.queue.get(&id) else { continue };
            let is_blocked = match &item.task {
                Task::Project(name) => self.is_blocked(name, &next_in_line),
                Task::Configuration { .. } | Task::Step { .. } => false,
            };
            let was_blocked = matches!(item.stage, Stage::Blocked { .. });
            if is_blocked && was_blocked {
                continue;
            }
            if let Task::Project(name) = &item.task
                && !is_blocked
            {
                next_in_line.insert(name.clone());
            }
            if let Some(item) = self.queue.get_mut(&id) {
                item.stage = if is_blocked { Stage::Blocked { since: now } } else { Stage::Buildable { since: now } };
                moved |= !is_blocked;
            }
        }
        moved
    }

    /// A project that runs one build at a time waits for that build, and for an item that is before it in line.
    fn is_blocked(&self, project: &str, next_in_line: &BTreeSet<String>) -> bool {
        let Some(found) = self.project(project) else { return false };
        !found.spec.concurrent && (!found.running.is_empty() || next_in_line.contains(project))
    }

    /// Hands buildable items to executors.
    fn hand_out(&mut self) -> bool {
        let buildable = |item: &&QueueItem| matches!(item.stage, Stage::Buildable { .. });
        let ids: Vec<u64> = self.queue.values().filter(buildable).map(|item| item.id).collect();
        if ids.is_empty() {
            return false;
        }
        let has_room = |node: &&Node| node.is_online() && node.idle_executor_number().is_some();
        let mut free: Vec<String> = self.nodes.values().filter(has_room).map(|node| node.name.clone()).collect();
        let mut hopeless = BTreeSet::new();
        let mut moved = false;
        for id in ids {
            let Some(item) = self.queue.get(&id) else { continue };
            if self.quieting_down && !self.runs_while_quieting_down(&item.task) {
                continue;
            }
            let wish = self.wish(item);
            if self.is_flyweight(&item.task) {
                let Some(node) = self.carrier(item, &wish) else { continue };
                self.begin(id, Place { node, executor: None });
                moved = true;
                continue;
            }
            if hopeless.contains(&wish) {
                continue;
            }
            let Some((position, place)) = self.choose(item.task.project(), &wish, &free) else {
                hopeless.insert(wish);
                continue;
            };
            let node = place.node.clone();
            self.begin(id, place);
            moved = true;
            if self.nodes.get(&node).is_none_or(|node| node.idle_executor_number().is_none()) {
                free.remove(position);
            }
        }
        moved
    }

    /// Chooses among the nodes with room. Like Jenkins, a project prefers the node that it had before, as long as the
    /// nodes stay the same.
    fn choose(&self, project: &str, wish: &Wish, free: &[String]) -> Option<(usize, Place)> {
        let expression = wish.expression();
        let suitable = free.iter().enumerate().filter_map(|(position, name)| {
            let node = self.nodes.get(name).filter(|node| self.suits(node, wish, expression.as_ref()))?;
            Some((position, node, node.idle_executor_number()?))
        });
        let (position, node, executor) = suitable.max_by_key(|(_, node, _)| hash(&[project, &node.name]))?;
        Some((position, Place { node: node.name.clone(), executor: Some(executor) }))
    }

    /// Returns the node that carries a build which needs no executor: the controller's own, unless a matrix project's
    /// label says otherwise.
    fn carrier(&self, item: &QueueItem, wish: &Wish) -> Option<String> {
        let is_pipeline =
            self.project(item.task.project()).is_some_and(|project| project.spec.kind == ProjectKind::Pipeline);
        if is_pipeline || *wish == Wish::Anywhere {
            return self.nodes.get(BUILT_IN).filter(|node| node.is_online()).map(|node| node.name.clone());
        }
        let expression = wish.expression();
        let suitable =
            self.nodes.values().filter(|node| node.is_online() && self.suits(node, wish, expression.as_ref()));
        let carrier = suitable.max_by_key(|node| hash(&[item.task.project(), &node.name]))?;
        Some(carrier.name.clone())
    }

    fn is_flyweight(&self, task: &Task) -> bool {
        match task {
            Task::Project(name) => self.project(name).is_some_and(Project::is_flyweight),
            Task::Configuration { .. } | Task::Step { .. } => false,
        }
    }

    /// Parts of what runs already go on.
    fn runs_while_quieting_down(&self, task: &Task) -> bool {
        match task {
            Task::Configuration { .. } => true,
            Task::Step { resumed, .. } => resumed.is_some(),
            Task::Project(_) => false,
        }
    }
}

impl Wish {
    fn expression(&self) -> Option<label::Expression> {
        match self {
            Self::Label(text) => Some(label::Expression::lookup(text)),
            Self::Anywhere | Self::Node(_) => None,
        }
    }
}

/// Returns the project that an item is the next build of.
fn in_line(item: &QueueItem) -> Option<String> {
    match (&item.task, &item.stage) {
        (Task::Project(name), Stage::Buildable { .. } | Stage::Pending { .. }) => Some(name.clone()),
        _ => None,
    }
}
