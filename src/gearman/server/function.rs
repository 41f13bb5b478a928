//! The functions that a server has heard of: who offers them, what waits for them.
//!
//! A row stays when its last worker leaves, as on gearmand; rows that nobody uses are given up only when there are too
//! many of them, so that made-up names cannot fill the memory.

use std::sync::Arc;

use super::idset::{self, IdSet};
use super::job::{JobId, Jobs, Stage};
use super::lookup::Lookup;
use super::queue::{Place, Queue};
use crate::gearman::Priority;

/// Small and used again: it is a place in rows and sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FunctionId(pub(super) u32);

#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: Arc<[u8]>,
    /// The connections that offer it.
    pub(super) workers: IdSet,
    pub(super) queue: Queue,
    /// Jobs that wait, run, or are for later.
    pub(super) total: usize,
    pub(super) running: usize,
    /// How many jobs there may be when one of each priority is added; 0 is without limit.
    pub(super) max_queue: [usize; 3],
}

#[derive(Debug)]
pub(super) struct Functions {
    limit: usize,
    rows: Vec<Option<Function>>,
    free: Vec<u32>,
    by_name: Lookup<Arc<[u8]>, FunctionId>,
    ready: [Ready; 3],
}

/// The functions for which a job of one priority waits, and where the first of each stands.
#[derive(Debug, Default)]
struct Ready {
    bits: Vec<u64>,
    places: Vec<Place>,
}

impl Functions {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, rows: Vec::new(), free: Vec::new(), by_name: Lookup::default(), ready: Default::default() }
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<FunctionId> {
        self.by_name.get(name).copied()
    }

    /// Finds a function or makes it; `None` when there are too many in use.
    pub(super) fn find_or_create(&mut self, name: &[u8]) -> Option<FunctionId> {
        if let Some(id) = self.find(name) {
            return Some(id);
        }
        if self.by_name.len() >= self.limit {
            self.forget_unused();
        }
        (self.by_name.len() < self.limit).then(|| self.create(name))
    }

    /// Makes a function that is not there yet, whatever the limit says.
    pub(super) fn create(&mut self, name: &[u8]) -> FunctionId {
        let name: Arc<[u8]> = name.into();
        let function = Function {
            name: Arc::clone(&name),
            workers: IdSet::new(),
            queue: Queue::default(),
            total: 0,
            running: 0,
            max_queue: [0; 3],
        };
        let id = match self.free.pop() {
            Some(free) => {
                self.rows[free as usize] = Some(function);
                FunctionId(free)
            }
            None => {
                self.rows.push(Some(function));
                FunctionId(u32::try_from(self.rows.len() - 1).expect("there are fewer functions than bytes of memory"))
            }
        };
        self.by_name.insert(name, id);
        id
    }

    pub(super) fn get(&self, id: FunctionId) -> &Function {
        self.rows[id.0 as usize].as_ref().expect("a function stays while jobs or workers refer to it")
    }

    pub(super) fn get_mut(&mut self, id: FunctionId) -> &mut Function {
        self.rows[id.0 as usize].as_mut().expect("a function stays while jobs or workers refer to it")
    }

    /// Forgets a function without jobs and workers.
    pub(super) fn remove(&mut self, id: FunctionId) {
        if let Some(function) = self.rows[id.0 as usize].take() {
            self.by_name.remove(&function.name);
            self.free.push(id.0);
        }
    }

    /// Lists functions by name.
    pub(super) fn sorted(&self) -> Vec<(FunctionId, &Function)> {
        let mut rows: Vec<_> = self.iter().collect();
        rows.sort_unstable_by(|(_, one), (_, other)| one.name.cmp(&other.name));
        rows
    }

    /// Makes a job wait at a place behind all others.
    pub(super) fn enqueue(&mut self, jobs: &mut Jobs, id: JobId, place: Place) {
        let job = jobs.at_mut(id);
        job.stage = Stage::Waiting(place);
        let (function, priority) = (job.function, job.priority);
        self.get_mut(function).queue.push(jobs, id);
        self.note_first(jobs, function, priority);
    }

    /// Takes a waiting job out of its queue.
    pub(super) fn dequeue(&mut self, jobs: &mut Jobs, id: JobId) {
        let job = jobs.at(id);
        let (function, priority) = (job.function, job.priority);
        self.get_mut(function).queue.remove(jobs, id);
        self.note_first(jobs, function, priority);
    }

    /// Finds the most urgent job over these functions; the oldest one among equals.
    pub(super) fn next_among(&self, offered: &IdSet) -> Option<JobId> {
        self.find_among(|ready| offered.least_in(&ready.bits, |id| ready.places[id as usize]))
    }

    /// Finds the most urgent job over these functions; among equals that of the function that comes after the last one.
    pub(super) fn next_in_turn(&self, offered: &IdSet, last: FunctionId) -> Option<JobId> {
        self.find_among(|ready| offered.next_in(&ready.bits, last.0))
    }

    fn find_among(&self, find: impl Fn(&Ready) -> Option<u32>) -> Option<JobId> {
        Priority::ALL.into_iter().find_map(|priority| {
            let id = find(&self.ready[priority as usize])?;
            self.get(FunctionId(id)).queue.first(priority)
        })
    }

    fn note_first(&mut self, jobs: &Jobs, function: FunctionId, priority: Priority) {
        let first = self.get(function).queue.first(priority);
        let ready = &mut self.ready[priority as usize];
        let at = function.0 as usize;
        match first.map(|id| jobs.at(id).stage) {
            Some(Stage::Waiting(place)) => {
                idset::set(&mut ready.bits, function.0);
                if ready.places.len() <= at {
                    ready.places.resize(at + 1, 0);
                }
                ready.places[at] = place;
            }
            _ => idset::clear(&mut ready.bits, function.0),
        }
    }

    fn iter(&self) -> impl Iterator<Item = (FunctionId, &Function)> {
        (0..).zip(&self.rows).filter_map(|(id, row)| Some((FunctionId(id), row.as_ref()?)))
    }

    fn forget_unused(&mut self) {
        let is_unused = |(_, function): &(FunctionId, &Function)| function.total == 0 && function.workers.len() == 0;
        let unused: Vec<FunctionId> = self.iter().filter(is_unused).map(|(id, _)| id).collect();
        for id in unused {
            self.remove(id);
        }
    }
}
