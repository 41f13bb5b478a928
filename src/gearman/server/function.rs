//! The functions that a server has heard of: who offers them, what waits for them.
//!
//! A row stays when its last worker leaves, as on gearmand; rows that nobody uses are given up only when there are too
//! many of them, so that made-up names cannot fill the memory.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::queue::Queue;
use super::state::ConnectionId;

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
    /// Those for which a job waits.
    waiting: BTreeSet<FunctionId>,
}

impl Functions {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, last: 0, by_id: BTreeMap::new(), by_name: BTreeMap::new(), waiting: BTreeSet::new() }
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
            self.waiting.remove(&id);
        }
    }

    /// Lists functions by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (FunctionId, &Function)> {
        self.by_name.values().map(|&id| (id, self.get(id)))
    }

    /// Notes whether a job waits for the function, after its queue has changed.
    pub(super) fn note_waiting(&mut self, id: FunctionId) {
        if self.get(id).queue.is_empty() {
            self.waiting.remove(&id);
        } else {
            self.waiting.insert(id);
        }
    }

    /// Lists which of these functions have a job waiting.
    ///
    /// The smaller set is walked: a worker may offer thousands of functions of which two have jobs, or the reverse.
    pub(super) fn waiting_among(&self, offered: &BTreeSet<FunctionId>) -> Vec<&Function> {
        let (walked, other) =
            if offered.len() < self.waiting.len() { (offered, &self.waiting) } else { (&self.waiting, offered) };
        walked.iter().filter(|id| other.contains(id)).map(|&id| self.get(id)).collect()
    }

    fn forget_unused(&mut self) {
        self.by_id.retain(|_, function| function.total > 0 || !function.workers.is_empty());
        let by_id = &self.by_id;
        self.by_name.retain(|_, id| by_id.contains_key(id));
    }
}
