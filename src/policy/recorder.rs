//! The way from a decision to its record: nobody who decides ever waits for it.
//!
//! ```text
//! decision ──┐  as it was, in memory      ┌── redacted, sealed ──► whoever keeps records
//! pass ──────┴──► queue with few places ──┘   (off the path of jobs)
//! ```
//!
//! Where the queue is full, or nobody listens, a decision goes unrecorded and is counted.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use tokio::sync::mpsc;

use super::asked::{Asked, Sent, SentValue};
use super::record::{Answered, Record};
use super::redaction::{Raw, Redaction};

/// Decisions that may wait. One takes some ten kilobytes, a hostile one up to [`MOST_SENT`].
const WAITING: usize = 512;

/// Bytes of names and values of one question; of a larger one the values are not kept.
const MOST_SENT: usize = 256 << 10;

/// Different answers of one generation about the table that are remembered.
const MOST_ANSWERS: usize = 20_000;

/// Where decisions go.
#[derive(Debug)]
pub(super) struct Recorder {
    queue: mpsc::Sender<Taken>,
    waiting: Mutex<Option<mpsc::Receiver<Taken>>>,
    is_heard: AtomicBool,
    unrecorded: AtomicU64,
    /// Of which generation, and which answers about the table were recorded.
    seen: Mutex<(u64, BTreeSet<u64>)>,
    /// Answers about the table that one pass may record.
    pub(super) most_of_pass: usize,
}

/// A decision as it was, with every value.
struct Taken {
    at: u64,
    generation: u64,
    asked: Asked,
    raw: Raw,
    is_whole: bool,
}

/// Decisions, ready to be kept. Whoever holds it is the only one who gets them.
pub struct Decisions {
    waiting: mpsc::Receiver<Taken>,
    taken: Vec<Taken>,
    recorder: Arc<Recorder>,
    redaction: Arc<Redaction>,
}

/// Some decisions, and how many could not be recorded since the last ones.
#[derive(Debug, Default)]
pub struct Batch {
    pub records: Vec<Record>,
    pub unrecorded: u64,
}

impl Recorder {
    pub(super) fn new(most_of_pass: usize) -> Arc<Self> {
        let (queue, waiting) = mpsc::channel(WAITING);
        Arc::new(Self {
            queue,
            waiting: Mutex::new(Some(waiting)),
            is_heard: AtomicBool::new(false),
            unrecorded: AtomicU64::new(0),
            seen: Mutex::default(),
            most_of_pass,
        })
    }

    pub(super) fn is_heard(&self) -> bool {
        self.is_heard.load(Ordering::Relaxed)
    }

    /// Takes a decision down, if there is a place for it.
    pub(super) fn note(&self, generation: u64, take: impl FnOnce() -> (Asked, Raw)) {
        if !self.is_heard() {
            return;
        }
        let Ok(place) = self.queue.try_reserve() else {
            self.unrecorded.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let (mut asked, raw) = take();
        let is_whole = asked.bound();
        place.send(Taken { at: now_ms(), generation, asked, raw, is_whole });
    }

    /// Returns whether this generation has not given such answers about the table before.
    pub(super) fn is_new(&self, generation: u64, answers: impl Hash) -> bool {
        let mut hasher = DefaultHasher::new();
        answers.hash(&mut hasher);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.0 != generation {
            *seen = (generation, BTreeSet::new());
        }
        seen.1.len() < MOST_ANSWERS && seen.1.insert(hasher.finish())
    }

    /// Returns what comes out of the queue, to the first who asks; only from then on anything goes in.
    pub(super) fn listen(self: &Arc<Self>, redaction: Arc<Redaction>) -> Option<Decisions> {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        self.is_heard.store(true, Ordering::Relaxed);
        Some(Decisions { waiting, taken: Vec::new(), recorder: Arc::clone(self), redaction })
    }
}

impl Decisions {
    /// Waits until there is a decision. Cancel-safe.
    pub async fn ready(&mut self) {
        if self.taken.is_empty() {
            self.waiting.recv_many(&mut self.taken, 1).await;
        }
    }

    /// Returns the decisions that are there, at most `most`. What was taken and not awaited is lost.
    pub async fn take(&mut self, most: usize) -> Batch {
        let mut taken = std::mem::take(&mut self.taken);
        taken.extend(std::iter::from_fn(|| self.waiting.try_recv().ok()).take(most.saturating_sub(taken.len())));
        self.settle(taken).await
    }

    async fn settle(&self, taken: Vec<Taken>) -> Batch {
        let redaction = Arc::clone(&self.redaction);
        let settle = move || taken.into_iter().map(|taken| taken.settle(&redaction)).collect();
        let records = match tokio::task::spawn_blocking(settle).await {
            Ok(records) => records,
            // The runtime shuts down.
            Err(error) if error.is_cancelled() => Vec::new(),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        };
        Batch { records, unrecorded: self.recorder.unrecorded.swap(0, Ordering::Relaxed) }
    }
}

impl Drop for Decisions {
    fn drop(&mut self) {
        self.recorder.is_heard.store(false, Ordering::Relaxed);
    }
}

impl std::fmt::Debug for Decisions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decisions").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}

impl Taken {
    fn settle(self, redaction: &Redaction) -> Record {
        let Self { at, generation, asked, raw, is_whole } = self;
        let Answered { told, verdict, why } = redaction.tell(&asked, raw);
        let record = Record { at, generation, asked: redaction.cover(asked), told, verdict, why, cut: false };
        // A value that is gone cannot be looked for in what policies said.
        if is_whole { record } else { record.shortened() }
    }
}

impl Asked {
    /// Lets go of what is too much to wait in memory; returns whether the question is still a whole one.
    fn bound(&mut self) -> bool {
        let Some(job) = self.job_mut() else { return true };
        let size = |sent: &Sent| {
            let value = if let SentValue::Shown(value) = &sent.value { value.len() } else { 0 };
            sent.name.len() + value + size_of::<Sent>()
        };
        let is_whole = job.sent.iter().map(size).sum::<usize>() <= MOST_SENT;
        if !is_whole {
            job.sent = Vec::new();
        }
        is_whole
    }
}

pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
