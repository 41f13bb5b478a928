use std::time::Duration;

use super::{Cause, Event, LEFT_ITEM_LIFETIME, Place, Value, World};

/// A build, or a part of one, that waits to be started.
#[derive(Clone, Debug)]
pub(crate) struct QueueItem {
    pub(crate) id: u64,
    pub(crate) task: Task,
    pub(crate) since: u64,
    pub(crate) stage: Stage,
    pub(crate) parameters: Vec<Value>,
    pub(crate) causes: Vec<Cause>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Project(String),
    /// One cell of a matrix, under the number of its parent.
    Configuration {
        project: String,
        number: u64,
    },
    /// A pipeline's `node` step. One that a restart interrupted goes back to its node for the time that was left.
    Step {
        project: String,
        number: u64,
        step: usize,
        resumed: Option<Resumed>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resumed {
    pub(crate) node: String,
    pub(crate) left: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// In its quiet period.
    Waiting {
        due: u64,
    },
    Blocked {
        since: u64,
    },
    Buildable {
        since: u64,
    },
    /// Handed to an executor.
    Pending {
        since: u64,
        place: Place,
    },
}

/// What is remembered of an item that left the queue.
#[derive(Clone, Debug)]
pub(crate) struct LeftItem {
    pub(crate) item: QueueItem,
    pub(crate) cancelled: bool,
    /// The build, unless it was never created.
    pub(crate) number: Option<u64>,
}

/// What became of a request to schedule a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheduled {
    Created(u64),
    /// An equal request was in the queue already.
    Merged(u64),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cancelled {
    Done,
    TooLate,
    Unknown,
}

impl Task {
    pub(crate) fn project(&self) -> &str {
        match self {
            Self::Project(project) | Self::Configuration { project, .. } | Self::Step { project, .. } => project,
        }
    }

    pub(super) fn set_project(&mut self, name: String) {
        match self {
            Self::Project(project) | Self::Configuration { project, .. } | Self::Step { project, .. } => {
                *project = name;
            }
        }
    }
}

impl World {
    /// Puts a build of a project into the queue, or merges it with an equal one that has not been handed out.
    pub(crate) fn schedule(
        &mut self,
        project: &str,
        parameters: Vec<Value>,
        cause: Cause,
        delay: Option<Duration>,
    ) -> Scheduled {
        if let Some(id) = self.find_duplicate(project, &parameters) {
            // CauseAction keeps equal causes apart: who asked twice shows twice.
            if let Some(item) = self.queue.get_mut(&id) {
                item.causes.push(cause);
            }
            return Scheduled::Merged(id);
        }
        let own = self.project(project).and_then(|project| project.spec.quiet_period);
        let delay = delay.or(own).unwrap_or(self.quiet_period);
        let id = self.enqueue(Task::Project(project.to_owned()), parameters, vec![cause], delay);
        self.settle();
        Scheduled::Created(id)
    }

    /// Takes an item out of the queue, if that is still possible.
    pub(crate) fn cancel(&mut self, id: u64) -> Cancelled {
        match self.queue.get(&id) {
            None if self.left.contains_key(&id) => return Cancelled::TooLate,
            None => return Cancelled::Unknown,
            Some(item) if matches!(item.stage, Stage::Pending { .. }) => return Cancelled::TooLate,
            Some(_) => {}
        }
        if let Some(item) = self.queue.remove(&id) {
            let task = item.task.clone();
            self.leave(item, true, None);
            self.task_was_cancelled(&task);
            self.settle();
        }
        Cancelled::Done
    }

    pub(super) fn enqueue(&mut self, task: Task, parameters: Vec<Value>, causes: Vec<Cause>, delay: Duration) -> u64 {
        let id = self.next_queue_id;
        self.next_queue_id += 1;
        let due = self.now.saturating_add(super::millis(delay));
        let stage = Stage::Waiting { due };
        self.queue.insert(id, QueueItem { id, task, since: self.now, stage, parameters, causes });
        if due > self.now {
            self.plan(delay, Event::QuietPeriodOver { id });
        }
        id
    }

    pub(super) fn leave(&mut self, item: QueueItem, cancelled: bool, number: Option<u64>) {
        let id = item.id;
        self.left.insert(id, LeftItem { item, cancelled, number });
        self.plan(LEFT_ITEM_LIFETIME, Event::ForgetLeftItem { id });
    }

    /// Gives back the executors of items that were handed out and had not started.
    pub(super) fn requeue_pending(&mut self) {
        let now = self.now;
        let mut places = Vec::new();
        for item in self.queue.values_mut() {
            if let Stage::Pending { place, .. } = &item.stage {
                places.push((item.id, place.clone()));
                item.stage = Stage::Buildable { since: now };
            }
        }
        for (id, place) in places {
            self.vacate(&place, &super::Occupant::Pending { id });
        }
    }

    /// Finds an item of the same project with the same set of parameters that is neither pending nor running.
    fn find_duplicate(&self, project: &str, parameters: &[Value]) -> Option<u64> {
        let is_equal = |others: &[Value]| {
            others.len() == parameters.len() && parameters.iter().all(|value| others.contains(value))
        };
        let mut items = self.queue.values();
        let twin = items.find(|item| {
            matches!(&item.task, Task::Project(name) if name == project)
                && !matches!(item.stage, Stage::Pending { .. })
                && is_equal(&item.parameters)
        });
        twin.map(|item| item.id)
    }
}
