//! The jobs of a server, found by handle, by unique, or by payload.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::function::FunctionId;
use super::queue::Place;
use super::state::ConnectionId;
use crate::gearman::Priority;

/// The number in a job's handle; never used twice.
pub(super) type JobNumber = u64;

/// Jobs with this unique are the same if their payloads are.
const UNIQUE_IS_PAYLOAD: &[u8] = b"-";

/// Payloads up to this size are copied, so that they do not keep alive the buffer that they were read into.
const COPY_UP_TO: usize = 64 << 10;

#[derive(Debug)]
pub(super) struct Job {
    pub(super) handle: Bytes,
    pub(super) function: FunctionId,
    pub(super) unique: Bytes,
    /// Empty for all but reduce jobs.
    pub(super) reducer: Bytes,
    pub(super) payload: Bytes,
    pub(super) priority: Priority,
    /// Somebody submitted it in the background: it is run although nobody waits.
    pub(super) background: bool,
    /// Who waits for it, once for each submission.
    pub(super) watchers: Vec<ConnectionId>,
    pub(super) stage: Stage,
    /// How often it was handed back.
    pub(super) retries: u32,
    pub(super) numerator: u32,
    pub(super) denominator: u32,
    /// Clients were told that it failed; its worker still runs it and does not know.
    pub(super) cancelled: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Waiting(Place),
    Running(ConnectionId),
}

impl Job {
    pub(super) fn is_abandoned(&self) -> bool {
        self.watchers.is_empty() && !self.background
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.stage, Stage::Running(_))
    }

    fn weight(&self) -> usize {
        self.payload.len() + self.unique.len() + self.reducer.len()
    }
}

/// What a client wants to have done.
#[derive(Debug)]
pub(super) struct Submission {
    pub(super) function: Bytes,
    pub(super) unique: Bytes,
    pub(super) reducer: Bytes,
    pub(super) payload: Bytes,
    pub(super) priority: Priority,
    pub(super) background: bool,
}

#[derive(Debug)]
pub(super) struct Jobs {
    handle_prefix: String,
    last: JobNumber,
    by_number: BTreeMap<JobNumber, Job>,
    by_unique: BTreeMap<(Bytes, FunctionId), JobNumber>,
    by_payload: BTreeMap<(Bytes, FunctionId), JobNumber>,
    bytes: usize,
}

impl Jobs {
    pub(super) fn new(host: &str) -> Self {
        Self {
            handle_prefix: format!("H:{host}:"),
            last: 0,
            by_number: BTreeMap::new(),
            by_unique: BTreeMap::new(),
            by_payload: BTreeMap::new(),
            bytes: 0,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_number.len()
    }

    /// Returns how many bytes of clients' data are kept.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a job that stands at a place in its function's queue.
    pub(super) fn insert(&mut self, submission: Submission, function: FunctionId, place: Place) -> JobNumber {
        self.last += 1;
        let number = self.last;
        let payload = match submission.payload {
            short if short.len() <= COPY_UP_TO => Bytes::copy_from_slice(&short),
            long => long,
        };
        let job = Job {
            handle: format!("{}{number}", self.handle_prefix).into(),
            function,
            unique: Bytes::copy_from_slice(&submission.unique),
            reducer: Bytes::copy_from_slice(&submission.reducer),
            payload,
            priority: submission.priority,
            background: submission.background,
            watchers: Vec::new(),
            stage: Stage::Waiting(place),
            retries: 0,
            numerator: 0,
            denominator: 0,
            cancelled: false,
        };
        self.bytes += job.weight();
        if let Some((index, key)) = self.identity(function, &job.unique, &job.payload) {
            index.insert(key, number);
        }
        self.by_number.insert(number, job);
        number
    }

    pub(super) fn get(&self, number: JobNumber) -> Option<&Job> {
        self.by_number.get(&number)
    }

    pub(super) fn get_mut(&mut self, number: JobNumber) -> Option<&mut Job> {
        self.by_number.get_mut(&number)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Job> {
        self.by_number.values()
    }

    pub(super) fn find(&self, handle: &[u8]) -> Option<JobNumber> {
        let digits = handle.strip_prefix(self.handle_prefix.as_bytes())?;
        let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
        // "H:host:007" parses too, and is nobody's handle.
        (self.get(number)?.handle == handle).then_some(number)
    }

    /// Finds the job that an equal submission joins.
    pub(super) fn twin(&mut self, function: FunctionId, unique: &Bytes, payload: &Bytes) -> Option<JobNumber> {
        let (index, key) = self.identity(function, unique, payload)?;
        index.get(&key).copied()
    }

    /// Finds a job by its unique alone, in whichever function.
    pub(super) fn find_unique(&self, unique: &Bytes) -> Option<&Job> {
        let from = (unique.clone(), FunctionId::FIRST);
        let ((found, _), number) = self.by_unique.range(from..).next()?;
        if found == unique { self.get(*number) } else { None }
    }

    pub(super) fn remove(&mut self, number: JobNumber) -> Option<Job> {
        self.separate(number);
        let job = self.by_number.remove(&number)?;
        self.bytes -= job.weight();
        Some(job)
    }

    /// Sees to it that no submission joins the job any more.
    pub(super) fn separate(&mut self, number: JobNumber) {
        let Some(job) = self.by_number.get(&number) else { return };
        let (function, unique, payload) = (job.function, job.unique.clone(), job.payload.clone());
        if let Some((index, key)) = self.identity(function, &unique, &payload)
            && index.get(&key) == Some(&number)
        {
            index.remove(&key);
        }
    }

    /// Returns what makes two jobs of a function the same, if anything does.
    #[expect(clippy::type_complexity, reason = "an index and its key, used in this file only")]
    fn identity(
        &mut self,
        function: FunctionId,
        unique: &Bytes,
        payload: &Bytes,
    ) -> Option<(&mut BTreeMap<(Bytes, FunctionId), JobNumber>, (Bytes, FunctionId))> {
        if unique.is_empty() {
            None
        } else if unique != UNIQUE_IS_PAYLOAD {
            Some((&mut self.by_unique, (unique.clone(), function)))
        } else if payload.is_empty() {
            None
        } else {
            Some((&mut self.by_payload, (payload.clone(), function)))
        }
    }
}
