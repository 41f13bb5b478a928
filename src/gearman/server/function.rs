//! The functions that a server has heard of: who offers them, what waits for them.
//!
//! A row stays when its last worker leaves, as on gearmand; rows that nobody uses are given up only when there are too
//! many of them, so that made-up names cannot fill the memory.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::job::JobNumber;
use super::queue::{Place, Queue};
use super::state::ConnectionId;
use crate::gearman::Priority;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FunctionId(u32);

impl FunctionId {
    /// Comes before every other one.
    pub(super) const FIRST: Self = Self(0);
}

#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: Bytes,
    pub(super) workers: BTreeSet<ConnectionId>,
    pub(super) queue: Queue,
    /// Where the first waiting job stands, as noted in the index of heads.
    head: Option<(Priority, Place)>,
    /// Jobs that wait or run.
    pub(super) total: usize,
    pub(super) running: usize,
    /// How many jobs there may be when one of each priority is added; 0 is without limit.
    pub(super) max_queue: [usize; 3],
}

#[derive(Debug)]
pub(super) struct Functions {
    limit: usize,
    last: u32,
    by_id: BTreeMap<FunctionId, Function>,
    by_name: BTreeMap<Bytes, FunctionId>,
    /// The first job of every function for which one waits.
    heads: BTreeSet<(Priority, Place, FunctionId)>,
}

impl Functions {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, last: 0, by_id: BTreeMap::new(), by_name: BTreeMap::new(), heads: BTreeSet::new() }
    }

    pub(super) fn find(&self, name: &[u8]) -> Option<FunctionId> {
        self.by_name.get(name).copied()
    }

    /// Finds a function or makes it; `None` when there are too many in use.
    pub(super) fn find_or_create(&mut self, name: &[u8]) -> Option<FunctionId> {
        if let Some(id) = self.find(name) {
            return Some(id);
        }
        if self.by_id.len() >= self.limit {
            self.forget_unused();
        }
        if self.by_id.len() >= self.limit {
            return None;
        }
        self.last = self.last.checked_add(1)?;
        let id = FunctionId(self.last);
        // A copy: the name must not keep alive the whole buffer that it was read into.
        let name = Bytes::copy_from_slice(name);
        let function = Function {
            name: name.clone(),
            workers: BTreeSet::new(),
            queue: Queue::default(),
            head: None,
            total: 0,
            running: 0,
            max_queue: [0; 3],
        };
        self.by_id.insert(id, function);
        self.by_name.insert(name, id);
        Some(id)
    }

    pub(super) fn get(&self, id: FunctionId) -> &Function {
        self.by_id.get(&id).expect("a function stays while jobs or workers refer to it")
    }

    pub(super) fn get_mut(&mut self, id: FunctionId) -> &mut Function {
        self.by_id.get_mut(&id).expect("a function stays while jobs or workers refer to it")
    }

    pub(super) fn remove(&mut self, id: FunctionId) {
        if let Some(function) = self.by_id.remove(&id) {
            self.by_name.remove(&function.name);
            if let Some((priority, place)) = function.head {
                self.heads.remove(&(priority, place, id));
            }
        }
    }

    /// Lists functions by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (FunctionId, &Function)> {
        self.by_name.values().map(|&id| (id, self.get(id)))
    }

    /// Notes which job of the function comes first, after its queue has changed.
    pub(super) fn note_head(&mut self, id: FunctionId) {
        let function = self.get_mut(id);
        let head = function.queue.first().map(|(priority, place, _)| (priority, place));
        let former = std::mem::replace(&mut function.head, head);
        if former != head {
            if let Some((priority, place)) = former {
                self.heads.remove(&(priority, place, id));
            }
            if let Some((priority, place)) = head {
                self.heads.insert((priority, place, id));
            }
        }
    }

    /// Finds the most urgent job over these functions; the oldest one among equals.
    ///
    /// A worker that offers much finds it among the first heads, and one that offers little looks through what it
    /// offers; so neither thousands of functions nor thousands of queues make a grab slow.
    pub(super) fn next_among(&self, offered: &BTreeSet<FunctionId>) -> Option<JobNumber> {
        let mut heads = self.heads.iter().map(|(_, _, id)| id);
        if let Some(&id) = heads.by_ref().take(offered.len()).find(|id| offered.contains(id)) {
            return self.first_job(id);
        }
        heads.next()?;
        let best = offered.iter().filter_map(|&id| self.get(id).head.map(|head| (head, id))).min();
        best.and_then(|(_, id)| self.first_job(id))
    }

    fn first_job(&self, id: FunctionId) -> Option<JobNumber> {
        self.get(id).queue.first().map(|(_, _, job)| job)
    }

    fn forget_unused(&mut self) {
        self.by_id.retain(|_, function| function.total > 0 || !function.workers.is_empty());
        let by_id = &self.by_id;
        self.by_name.retain(|_, id| by_id.contains_key(id));
    }
}
