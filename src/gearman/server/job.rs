//! The jobs of a server, found by handle, by unique, or by payload.
//!
//! Compact, since a million of them may wait: one allocation holds what the client sent, and the indexes hold numbers.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

use super::function::FunctionId;
use super::lookup::Lookup;
use super::peer::ConnectionId;
use super::queue::{Links, Place};
use crate::gearman::Priority;

/// The number in a job's handle; never used twice.
pub(super) type JobNumber = u64;

/// A job's place in memory, used again when it has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct JobId(std::num::NonZeroU32);

/// Jobs with this unique are the same if their payloads are.
const UNIQUE_IS_PAYLOAD: &[u8] = b"-";

/// gearmand keeps 64 bytes, the last of them for a NUL.
pub(super) const MAX_HANDLE: usize = 63;

/// Digits of the largest number.
const MAX_DIGITS: usize = 20;

/// Room that stays for other jobs when the last one has ended.
const KEEP_JOBS: usize = 1024;

#[derive(Debug)]
pub(super) struct Job {
    pub(super) number: JobNumber,
    /// Unique, reducer and payload.
    text: Box<[u8]>,
    unique_len: u16,
    reducer_len: u16,
    pub(super) function: FunctionId,
    pub(super) stage: Stage,
    pub(super) links: Links,
    /// Who waits for it, once for each submission.
    pub(super) watchers: Vec<ConnectionId>,
    /// How often it was handed back.
    pub(super) retries: u32,
    pub(super) numerator: u32,
    pub(super) denominator: u32,
    pub(super) priority: Priority,
    /// Somebody submitted it in the background: it is run although nobody waits.
    pub(super) background: bool,
    /// The store was asked to keep it.
    pub(super) stored: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Until the store has it.
    Storing {
        due: u64,
    },
    /// Until its time has come, in seconds since 1970.
    Due(u64),
    Waiting(Place),
    Running(ConnectionId),
}

impl Job {
    pub(super) fn unique(&self) -> &[u8] {
        &self.text[..usize::from(self.unique_len)]
    }

    /// Empty for all but reduce jobs.
    pub(super) fn reducer(&self) -> &[u8] {
        &self.text[usize::from(self.unique_len)..][..usize::from(self.reducer_len)]
    }

    pub(super) fn payload(&self) -> &[u8] {
        &self.text[usize::from(self.unique_len) + usize::from(self.reducer_len)..]
    }

    /// Says whether nobody wants it done: they left, or it was cancelled and only its worker does not know.
    pub(super) fn is_abandoned(&self) -> bool {
        self.watchers.is_empty() && !self.background
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.stage, Stage::Running(_))
    }
}

/// What a client wants to have done.
#[derive(Clone, Copy, Debug)]
pub(super) struct Submission<'a> {
    pub(super) function: &'a [u8],
    pub(super) unique: &'a [u8],
    pub(super) reducer: &'a [u8],
    pub(super) payload: &'a [u8],
    pub(super) priority: Priority,
    pub(super) background: bool,
    /// Not before this time, in seconds since 1970.
    pub(super) due: u64,
}

/// A job's handle, written out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handle {
    bytes: [u8; MAX_HANDLE],
    len: u8,
}

impl AsRef<[u8]> for Handle {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

#[derive(Debug)]
pub(super) struct Jobs {
    handle_prefix: Box<[u8]>,
    last: JobNumber,
    slots: Vec<Option<Job>>,
    free: Vec<JobId>,
    by_number: Lookup<JobNumber, JobId, BuildHasherDefault<NumberHasher>>,
    /// By a keyed hash of what makes a job the same as another; first over all functions, then in one.
    by_identity: BTreeMap<(u64, FunctionId), JobId>,
    identities: RandomState,
    bytes: usize,
}

impl Jobs {
    /// Makes jobs whose handles are `<prefix>:<number>`.
    pub(super) fn new(prefix: &str) -> Self {
        let fitting = prefix.bytes().take(MAX_HANDLE - MAX_DIGITS - 1).chain([b':']);
        Self {
            handle_prefix: fitting.collect(),
            last: 0,
            slots: Vec::new(),
            free: Vec::new(),
            by_number: Lookup::default(),
            by_identity: BTreeMap::new(),
            identities: RandomState::new(),
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

    /// Returns the highest number in use or used before.
    pub(super) fn last_number(&self) -> JobNumber {
        self.last
    }

    /// Sees to it that numbers up to this one are not given again.
    pub(super) fn skip_numbers(&mut self, up_to: JobNumber) {
        self.last = self.last.max(up_to);
    }

    /// Adds a job of a number that no job has; it is nowhere in line yet.
    pub(super) fn insert(&mut self, submission: &Submission<'_>, function: FunctionId, number: JobNumber) -> JobId {
        self.skip_numbers(number);
        let Submission { unique, reducer, payload, .. } = *submission;
        let job = Job {
            number,
            text: [unique, reducer, payload].concat().into(),
            unique_len: u16::try_from(unique.len()).expect("longer uniques are refused"),
            reducer_len: u16::try_from(reducer.len()).expect("longer reducers are refused"),
            function,
            stage: Stage::Storing { due: submission.due },
            links: Links::default(),
            watchers: Vec::new(),
            retries: 0,
            numerator: 0,
            denominator: 0,
            priority: submission.priority,
            background: submission.background,
            stored: false,
        };
        self.bytes += job.text.len();
        let identity = self.identity(unique, payload);
        let id = match self.free.pop() {
            Some(id) => {
                self.slots[index(id)] = Some(job);
                id
            }
            None => {
                self.slots.push(Some(job));
                let number = u32::try_from(self.slots.len()).expect("there are fewer jobs than bytes of memory");
                JobId(std::num::NonZeroU32::new(number).expect("one was just added"))
            }
        };
        if let Some(identity) = identity {
            self.by_identity.entry((identity, function)).or_insert(id);
        }
        self.by_number.insert(number, id);
        id
    }

    /// Returns a job that is there.
    pub(super) fn at(&self, id: JobId) -> &Job {
        self.slots[index(id)].as_ref().expect("who refers to a job is told when it ends")
    }

    /// Returns a job that is there.
    pub(super) fn at_mut(&mut self, id: JobId) -> &mut Job {
        self.slots[index(id)].as_mut().expect("who refers to a job is told when it ends")
    }

    /// Lists the jobs in the order of their numbers.
    pub(super) fn sorted(&self) -> Vec<&Job> {
        self.sorted_if(|_| true)
    }

    /// Lists the jobs of a function; looks through all jobs, since this is seldom asked.
    pub(super) fn of(&self, function: FunctionId) -> Vec<JobId> {
        let jobs = self.sorted_if(|job| job.function == function);
        jobs.into_iter().filter_map(|job| self.find_number(job.number)).collect()
    }

    fn sorted_if(&self, is_meant: impl Fn(&Job) -> bool) -> Vec<&Job> {
        let mut jobs: Vec<&Job> = self.slots.iter().flatten().filter(|job| is_meant(job)).collect();
        jobs.sort_unstable_by_key(|job| job.number);
        jobs
    }

    pub(super) fn handle(&self, number: JobNumber) -> Handle {
        let mut bytes = [0; MAX_HANDLE];
        let prefix = self.handle_prefix.len();
        bytes[..prefix].copy_from_slice(&self.handle_prefix);
        let mut digits = [0; MAX_DIGITS];
        let (mut left, mut from) = (number, MAX_DIGITS);
        loop {
            from -= 1;
            digits[from] = b'0' + (left % 10) as u8;
            left /= 10;
            if left == 0 {
                break;
            }
        }
        let len = prefix + MAX_DIGITS - from;
        bytes[prefix..len].copy_from_slice(&digits[from..]);
        Handle { bytes, len: len as u8 }
    }

    pub(super) fn find(&self, handle: &[u8]) -> Option<JobId> {
        let digits = handle.strip_prefix(&*self.handle_prefix)?;
        // "H:host:007" and "H:host:+7" are nobody's handles.
        if digits.first() == Some(&b'0') || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        self.find_number(std::str::from_utf8(digits).ok()?.parse().ok()?)
    }

    pub(super) fn find_number(&self, number: JobNumber) -> Option<JobId> {
        self.by_number.get(&number).copied()
    }

    /// Finds the job that an equal submission joins.
    pub(super) fn twin(&self, function: FunctionId, unique: &[u8], payload: &[u8]) -> Option<JobId> {
        let &id = self.by_identity.get(&(self.identity(unique, payload)?, function))?;
        let job = self.at(id);
        let is_same = job.unique() == unique && (unique != UNIQUE_IS_PAYLOAD || job.payload() == payload);
        is_same.then_some(id)
    }

    /// Finds a job by its unique alone, in whichever function.
    pub(super) fn find_unique(&self, unique: &[u8]) -> Option<JobId> {
        if unique == UNIQUE_IS_PAYLOAD {
            return None;
        }
        let identity = self.identity(unique, b"")?;
        let in_every_function = (identity, FunctionId(0))..=(identity, FunctionId(u32::MAX));
        self.by_identity.range(in_every_function).map(|(_, &id)| id).find(|&id| self.at(id).unique() == unique)
    }

    /// Forgets a job that stands in no line.
    pub(super) fn remove(&mut self, id: JobId) -> Option<Job> {
        self.separate(id);
        let job = self.slots[index(id)].take()?;
        self.by_number.remove(&job.number);
        self.bytes -= job.text.len();
        if self.by_number.len() == 0 && self.slots.capacity() > KEEP_JOBS {
            self.slots = Vec::new();
            self.free = Vec::new();
            self.by_number.shrink_to(KEEP_JOBS);
        } else {
            self.free.push(id);
        }
        Some(job)
    }

    /// Sees to it that no submission joins the job any more.
    pub(super) fn separate(&mut self, id: JobId) {
        let job = self.at(id);
        if let Some(identity) = self.identity(job.unique(), job.payload()) {
            let key = (identity, job.function);
            if self.by_identity.get(&key) == Some(&id) {
                self.by_identity.remove(&key);
            }
        }
    }

    /// Returns what makes two jobs of a function the same, if anything does.
    ///
    /// Keyed, so that nobody can make two uniques collide; should it happen all the same, the later one is not joined.
    fn identity(&self, unique: &[u8], payload: &[u8]) -> Option<u64> {
        if unique.is_empty() {
            None
        } else if unique != UNIQUE_IS_PAYLOAD {
            Some(self.identities.hash_one((false, unique)))
        } else if payload.is_empty() {
            None
        } else {
            Some(self.identities.hash_one((true, payload)))
        }
    }
}

fn index(id: JobId) -> usize {
    id.0.get() as usize - 1
}

/// Spreads numbers that the server itself has chosen.
#[derive(Debug, Default)]
struct NumberHasher(u64);

impl Hasher for NumberHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
