//! What a client hears of one job.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::Client;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    Data(Bytes),
    Warning(Bytes),
    Status {
        numerator: u64,
        denominator: u64,
    },
    /// The result; the last update.
    Complete(Bytes),
    /// The last update.
    Fail,
    /// What went wrong; the last update.
    Exception(Bytes),
    /// Nothing more will be heard; the job may go on. The last update.
    ServerLost,
}

impl Update {
    pub fn is_last(&self) -> bool {
        matches!(self, Self::Complete(_) | Self::Fail | Self::Exception(_) | Self::ServerLost)
    }

    fn weight(&self) -> usize {
        match self {
            Self::Data(bytes) | Self::Warning(bytes) | Self::Complete(bytes) | Self::Exception(bytes) => bytes.len(),
            Self::Status { .. } | Self::Fail | Self::ServerLost => 0,
        }
    }
}

/// A job that the server has accepted.
#[derive(Debug)]
pub struct Submitted {
    handle: Bytes,
    updates: Arc<Updates>,
    /// Keeps the connection open while somebody waits for a job on it.
    client: Client,
}

impl Submitted {
    pub(super) fn new(handle: Bytes, updates: Arc<Updates>, client: Client) -> Self {
        Self { handle, updates, client }
    }

    pub fn handle(&self) -> &Bytes {
        &self.handle
    }

    /// Returns the connection on which it was accepted. Only there is its handle known to mean this job.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Waits for the next update; `None` after the last one, and at once for a background job.
    ///
    /// # Cancel safety
    ///
    /// No update is lost when this is dropped half-way.
    pub async fn next(&mut self) -> Option<Update> {
        loop {
            {
                let mut queue = self.updates.lock();
                if let Some(update) = queue.pop() {
                    return Some(update);
                }
                if queue.ended {
                    return None;
                }
            }
            self.updates.arrived.notified().await;
        }
    }

    /// Returns how many updates were given up because they were not read in time.
    pub fn missed(&self) -> u64 {
        self.updates.lock().missed
    }
}

/// One job's updates between the connection and who submitted it.
#[derive(Debug)]
pub(super) struct Updates {
    queue: Mutex<Queue>,
    arrived: Notify,
    max_updates: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Update>,
    bytes: usize,
    missed: u64,
    ended: bool,
}

impl Updates {
    pub(super) fn new(max_updates: usize, max_bytes: usize) -> Self {
        Self { queue: Mutex::default(), arrived: Notify::new(), max_updates, max_bytes }
    }

    /// Makes the updates of a job that has none.
    pub(super) fn none() -> Self {
        let updates = Self::new(0, 0);
        updates.lock().ended = true;
        updates
    }

    /// Adds an update, at the price of the oldest ones if there are too many: the latest tells most.
    pub(super) fn push(&self, update: Update) {
        let mut queue = self.lock();
        if queue.ended {
            return;
        }
        queue.ended = update.is_last();
        queue.bytes += update.weight();
        queue.waiting.push_back(update);
        while queue.waiting.len() > 1 && (queue.waiting.len() > self.max_updates || queue.bytes > self.max_bytes) {
            queue.pop();
            queue.missed += 1;
        }
        drop(queue);
        self.arrived.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn pop(&mut self) -> Option<Update> {
        let update = self.waiting.pop_front()?;
        self.bytes -= update.weight();
        Some(update)
    }
}
