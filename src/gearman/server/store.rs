//! Where background jobs are kept across a restart, and the thread that writes to it.
//!
//! Whatever has gathered while one batch was written is the next batch, so that many clients share one wait for the
//! disk. A store that fails loses nothing: additions are refused, and removals are tried again before the next batch. What
//! it owes stays bounded: additions that come while it fails are refused without being tried.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tracing::{error, info};

use crate::gearman::Priority;

/// A store that failed is tried again this often if nothing else comes for it.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// So many overdue removals are written at once: while the store fails, every batch tries that many again.
const CATCH_UP_BY: usize = 1000;

/// The number in a job's handle.
pub type JobNumber = u64;

/// A job as a store keeps it.
#[derive(Clone, PartialEq, Eq)]
pub struct Kept {
    pub number: JobNumber,
    pub function: Box<[u8]>,
    pub unique: Box<[u8]>,
    /// Empty for all but reduce jobs.
    pub reducer: Box<[u8]>,
    pub payload: Box<[u8]>,
    pub priority: Priority,
    /// Not before this time, in seconds since 1970.
    pub due: u64,
}

impl fmt::Debug for Kept {
    /// Says nothing of what it holds: payloads can hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "job {} with {} bytes", self.number, self.payload.len())
    }
}

/// One step from what a store has to what it should have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Add(Kept),
    /// The job has ended. It may be unknown.
    Remove(JobNumber),
    /// Numbers up to this one may be in use: none of them is to be given to another job after a restart.
    Reserve(JobNumber),
}

/// Why a store does not do its work.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What survives the server.
pub trait Store: Send + fmt::Debug {
    /// Returns every job that was added and not removed, in the order of their numbers, and the last number reserved.
    ///
    /// # Errors
    ///
    /// What is kept cannot be read; the server then does not start.
    fn load(&mut self) -> Result<(Vec<Kept>, JobNumber), Failure>;

    /// Makes all these changes, in this order, or none; when it returns they survive a loss of power.
    ///
    /// # Errors
    ///
    /// None of them was made, as far as can be known.
    fn apply(&mut self, changes: &[Change]) -> Result<(), Failure>;
}

/// What became of an addition.
pub(super) type Settled = (JobNumber, bool);

/// The thread that writes to a store.
#[derive(Debug)]
pub(super) struct Writer {
    inbox: Arc<Inbox>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Inbox {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    changes: Vec<Change>,
    is_ending: bool,
}

impl Writer {
    /// Starts writing; what became of additions is told to `settle`.
    pub(super) fn start(store: Box<dyn Store>, settle: impl Fn(&[Settled]) + Send + 'static) -> std::io::Result<Self> {
        let inbox = Arc::new(Inbox::default());
        let writing = Arc::clone(&inbox);
        let thread = thread::Builder::new().name("gearman-store".to_owned()).spawn(move || {
            let mut batches = Batches::new(store);
            while let Some(changes) = writing.next(batches.is_behind()) {
                settle(&batches.write(changes));
            }
            if !batches.catch_up() && !batches.removals.is_empty() {
                error!("jobs that have ended could not be removed from the store and will run again");
            }
        })?;
        Ok(Self { inbox, thread: Mutex::new(Some(thread)) })
    }

    pub(super) fn push(&self, changes: Vec<Change>) {
        self.inbox.lock().changes.extend(changes);
        self.inbox.changed.notify_one();
    }

    /// Writes what has come until now, and ends.
    pub(super) fn finish(&self) {
        self.inbox.lock().is_ending = true;
        self.inbox.changed.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            error!("the thread that writes the store has panicked");
        }
    }
}

impl Inbox {
    /// Waits for changes; `None` when there will be no more. With a remainder of the last batch it does not wait long.
    fn next(&self, has_left_over: bool) -> Option<Vec<Change>> {
        let mut waiting = self.lock();
        while waiting.changes.is_empty() && !waiting.is_ending {
            if has_left_over {
                let (woken, timeout) =
                    self.changed.wait_timeout(waiting, TRY_AGAIN).unwrap_or_else(PoisonError::into_inner);
                waiting = woken;
                if timeout.timed_out() {
                    return Some(std::mem::take(&mut waiting.changes));
                }
            } else {
                waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
        }
        let changes = std::mem::take(&mut waiting.changes);
        (!changes.is_empty() || !waiting.is_ending).then_some(changes)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Batches {
    store: Box<dyn Store>,
    /// What has to be written and could not be.
    removals: BTreeSet<JobNumber>,
    reserve: Option<JobNumber>,
    /// Additions of the last batch that were not tried. Their removal can come as late as in the next one.
    untried: BTreeSet<JobNumber>,
    has_failed: bool,
}

impl Batches {
    fn new(store: Box<dyn Store>) -> Self {
        Self { store, removals: BTreeSet::new(), reserve: None, untried: BTreeSet::new(), has_failed: false }
    }

    fn is_behind(&self) -> bool {
        self.reserve.is_some() || !self.removals.is_empty()
    }

    /// Writes what could not be written before; says whether nothing is left of it.
    fn catch_up(&mut self) -> bool {
        if let Some(number) = self.reserve {
            if self.store.apply(&[Change::Reserve(number)]).is_err() {
                return false;
            }
            self.reserve = None;
        }
        while !self.removals.is_empty() {
            let some: Vec<Change> =
                self.removals.iter().take(CATCH_UP_BY).map(|&number| Change::Remove(number)).collect();
            if self.store.apply(&some).is_err() {
                return false;
            }
            self.removals = match self.removals.iter().nth(CATCH_UP_BY).copied() {
                Some(next) => self.removals.split_off(&next),
                None => BTreeSet::new(),
            };
        }
        true
    }

    /// Writes what is left over and then what is new, and says what became of the additions.
    fn write(&mut self, mut changes: Vec<Change>) -> Vec<Settled> {
        let mut untried = std::mem::take(&mut self.untried);
        changes.retain(|change| match change {
            Change::Add(job) => {
                untried.remove(&job.number);
                true
            }
            Change::Remove(number) => !untried.contains(number),
            Change::Reserve(_) => true,
        });
        if !self.catch_up() {
            return self.refuse(changes);
        }
        if changes.is_empty() {
            return Vec::new();
        }
        match self.store.apply(&changes) {
            Ok(()) => {
                if std::mem::take(&mut self.has_failed) {
                    info!("the store for background jobs works again");
                }
                changes.iter().filter_map(|change| Some((added(change)?, true))).collect()
            }
            Err(error) => {
                if !std::mem::replace(&mut self.has_failed, true) {
                    error!(%error, "failed to store background jobs, refusing what cannot be stored");
                }
                self.write_singly(changes)
            }
        }
    }

    /// One addition that is too large for what is left of the disk must not take the others along.
    fn write_singly(&mut self, changes: Vec<Change>) -> Vec<Settled> {
        let mut settled = Vec::new();
        // Once the smallest step fails too, so would the rest.
        let mut works = true;
        for change in changes {
            let is_written = works && self.store.apply(std::slice::from_ref(&change)).is_ok();
            if let Some(number) = added(&change) {
                settled.push((number, is_written));
            }
            if !is_written {
                // An addition was refused: should it be there all the same, it must not come back.
                self.owe(&change);
                works = works && self.catch_up();
            }
        }
        settled
    }

    /// Refuses additions that the store never gets to see.
    fn refuse(&mut self, changes: Vec<Change>) -> Vec<Settled> {
        let mut settled = Vec::new();
        for change in changes {
            match change {
                Change::Add(job) => {
                    self.untried.insert(job.number);
                    settled.push((job.number, false));
                }
                Change::Remove(number) if self.untried.contains(&number) => {}
                other => self.owe(&other),
            }
        }
        settled
    }

    /// Notes what is to be written before anything else.
    fn owe(&mut self, change: &Change) {
        match change {
            Change::Add(Kept { number, .. }) | Change::Remove(number) => drop(self.removals.insert(*number)),
            Change::Reserve(number) => self.reserve = self.reserve.max(Some(*number)),
        }
    }
}

fn added(change: &Change) -> Option<JobNumber> {
    match change {
        Change::Add(job) => Some(job.number),
        Change::Remove(_) | Change::Reserve(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Takes jobs whose payload is short enough, and nothing at all while it is out of order.
    #[derive(Clone, Debug, Default)]
    struct Shelf(Arc<Mutex<Content>>);

    #[derive(Debug, Default)]
    struct Content {
        numbers: Vec<JobNumber>,
        is_out_of_order: bool,
        batches: usize,
    }

    impl Store for Shelf {
        fn load(&mut self) -> Result<(Vec<Kept>, JobNumber), Failure> {
            Ok((Vec::new(), 0))
        }

        fn apply(&mut self, changes: &[Change]) -> Result<(), Failure> {
            let mut content = self.0.lock().unwrap();
            let is_too_large = |change: &Change| matches!(change, Change::Add(job) if job.payload.len() > 10);
            if content.is_out_of_order || changes.iter().any(is_too_large) {
                return Err("no room".into());
            }
            content.batches += 1;
            for change in changes {
                match change {
                    Change::Add(job) => content.numbers.push(job.number),
                    Change::Remove(number) => content.numbers.retain(|kept| kept != number),
                    Change::Reserve(_) => {}
                }
            }
            Ok(())
        }
    }

    fn add(number: JobNumber, size: usize) -> Change {
        Change::Add(Kept {
            number,
            function: b"f"[..].into(),
            unique: Box::default(),
            reducer: Box::default(),
            payload: vec![0; size].into(),
            priority: Priority::Normal,
            due: 0,
        })
    }

    fn start(shelf: &Shelf) -> (Writer, mpsc::Receiver<Settled>) {
        let (settled, receiver) = mpsc::channel();
        let settle = move |all: &[Settled]| all.iter().for_each(|&one| settled.send(one).unwrap());
        (Writer::start(Box::new(shelf.clone()), settle).unwrap(), receiver)
    }

    #[test]
    fn what_has_gathered_is_written_at_once_and_what_is_too_large_is_refused_alone() {
        let shelf = Shelf::default();
        let (writer, settled) = start(&shelf);
        writer.push(vec![add(1, 1), add(2, 1), Change::Remove(1)]);
        assert_eq!([settled.recv().unwrap(), settled.recv().unwrap()], [(1, true), (2, true)]);
        assert_eq!(shelf.0.lock().unwrap().batches, 1);
        writer.push(vec![add(3, 1), add(4, 11), add(5, 1)]);
        assert_eq!([(); 3].map(|()| settled.recv().unwrap()), [(3, true), (4, false), (5, true)]);
        writer.finish();
        assert_eq!(shelf.0.lock().unwrap().numbers, [2, 3, 5]);
    }

    #[test]
    fn what_has_ended_is_removed_as_soon_as_the_store_works_again() {
        let shelf = Shelf::default();
        let (writer, settled) = start(&shelf);
        writer.push(vec![add(1, 1), add(2, 1)]);
        assert_eq!([settled.recv().unwrap(), settled.recv().unwrap()], [(1, true), (2, true)]);
        shelf.0.lock().unwrap().is_out_of_order = true;
        writer.push(vec![Change::Remove(1), add(3, 1)]);
        assert_eq!(settled.recv().unwrap(), (3, false));
        assert_eq!(shelf.0.lock().unwrap().numbers, [1, 2]);
        shelf.0.lock().unwrap().is_out_of_order = false;
        writer.finish();
        assert_eq!(shelf.0.lock().unwrap().numbers, [2]);
    }

    #[test]
    fn what_a_failing_store_owes_does_not_grow_with_what_it_is_asked() {
        let shelf = Shelf::default();
        let mut batches = Batches::new(Box::new(shelf.clone()));
        assert_eq!(batches.write((1..=10).map(|number| add(number, 1)).collect()).len(), 10);
        shelf.0.lock().unwrap().is_out_of_order = true;
        let tried = batches.write(vec![add(11, 1), Change::Reserve(500)]);
        assert_eq!(tried, [(11, false)]);
        for number in 12..2000 {
            // Its client leaves in the same batch, or while that is tried.
            let mut changes = vec![add(number, 1), Change::Reserve(1000 + number), Change::Remove(1 + number % 2)];
            changes.push(Change::Remove(if number % 3 == 0 { number } else { number - 1 }));
            assert_eq!(batches.write(changes), [(number, false)]);
        }
        assert_eq!(batches.removals.iter().copied().collect::<Vec<_>>(), [1, 2, 11]);
        assert_eq!(batches.reserve, Some(2999));
        shelf.0.lock().unwrap().is_out_of_order = false;
        assert_eq!(batches.write(vec![add(2000, 1), add(2001, 11)]), [(2000, true), (2001, false)]);
        assert!(!batches.is_behind());
        assert_eq!(shelf.0.lock().unwrap().numbers, [3, 4, 5, 6, 7, 8, 9, 10, 2000]);
    }

    #[test]
    fn a_job_that_was_refused_is_removed_when_it_was_stored_after_all() {
        let shelf = Shelf::default();
        let mut batches = Batches::new(Box::new(shelf.clone()));
        shelf.0.lock().unwrap().is_out_of_order = true;
        batches.write(vec![add(1, 1)]);
        assert_eq!(batches.write(vec![add(2, 1)]), [(2, false)]);
        shelf.0.lock().unwrap().is_out_of_order = false;
        // Others waited for it, so that it could be submitted again, and end.
        assert_eq!(batches.write(vec![add(2, 1), Change::Remove(2)]), [(2, true)]);
        assert!(shelf.0.lock().unwrap().numbers.is_empty());
    }

    #[test]
    fn many_overdue_removals_are_all_made() {
        let shelf = Shelf::default();
        let mut batches = Batches::new(Box::new(shelf.clone()));
        let all = 1..=2 * CATCH_UP_BY as u64 + 1;
        batches.write(all.clone().map(|number| add(number, 1)).collect());
        shelf.0.lock().unwrap().is_out_of_order = true;
        batches.write(all.map(Change::Remove).collect());
        shelf.0.lock().unwrap().is_out_of_order = false;
        assert_eq!(batches.write(Vec::new()), []);
        assert!(shelf.0.lock().unwrap().numbers.is_empty());
    }
}
