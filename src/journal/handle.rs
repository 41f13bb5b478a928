use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rusqlite::Connection;

use super::connection;
use super::decisions::Packed;
use super::writer::{Counts, Writer};
use super::{
    Attempt, AttemptId, AttemptKey, BuildRecord, Ending, Error, Intent, OfflineMark, StartedBuild, State, Stop,
};
use super::{Bounds, Decision, NewDecision, Wanted, decisions, marks, stops, store};
use crate::domain::{BuildId, ControllerName, NodeName, QueueItemId};

/// A daemon that is being restarted needs a moment to let go of its journal.
const PATIENCE: Duration = Duration::from_secs(5);

/// A handle of the journal; clones share it, and the last one to go closes it.
///
/// Each change is on disk when its method returns. Once such a method was polled, the change is made even if its future
/// is dropped. Times are taken from this machine's clock as a call comes in.
#[derive(Clone, Debug)]
pub struct Journal {
    writer: Arc<Writer>,
}

impl Journal {
    /// Opens the journal, creating or migrating it as needed. Blocks for a moment; meant for the start of a program.
    ///
    /// # Errors
    ///
    /// Fails if the file can't be opened, belongs to someone else, is damaged, or was written by a later version.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_within(path.as_ref(), PATIENCE)
    }

    /// Opens an empty journal that is gone with its last handle.
    pub fn in_memory() -> Result<Self, Error> {
        Ok(Self { writer: Arc::new(Writer::spawn(connection::open_in_memory()?)?) })
    }

    pub(super) fn open_within(path: &Path, patience: Duration) -> Result<Self, Error> {
        Ok(Self { writer: Arc::new(Writer::spawn(connection::open(path, patience)?)?) })
    }

    /// Writes down that a build is going to be started for a job.
    ///
    /// # Errors
    ///
    /// Fails if an attempt for the same job is open: that one has to be adopted or closed first.
    pub async fn intend(&self, intent: Intent) -> Result<AttemptId, Error> {
        let now = SystemTime::now();
        self.writer.run(move |connection| store::intend(connection, &intent, now)).await
    }

    /// Notes that Jenkins has queued the build.
    pub async fn queued(&self, id: AttemptId, item: QueueItemId) -> Result<(), Error> {
        let now = SystemTime::now();
        self.writer.run(move |connection| store::queued(connection, id, item, now)).await
    }

    /// Notes that the build has started.
    pub async fn started(&self, id: AttemptId, build: StartedBuild) -> Result<(), Error> {
        let now = SystemTime::now();
        self.writer.run(move |connection| store::started(connection, id, &build, now)).await
    }

    /// Notes that the attempt is over, and what its client is to be told; to be followed by the packet itself.
    pub async fn ended(&self, id: AttemptId, ending: Ending) -> Result<(), Error> {
        let now = SystemTime::now();
        self.writer.run(move |connection| store::ended(connection, id, &ending, now)).await
    }

    /// Closes an attempt whose terminal packet was sent.
    pub async fn delivered(&self, id: AttemptId) -> Result<(), Error> {
        self.close(id, State::Delivered, None).await
    }

    /// Closes an attempt whose job goes back to the Gearman server; to be followed by closing the connection.
    pub async fn handed_back(&self, id: AttemptId, reason: impl Into<String>) -> Result<(), Error> {
        self.close(id, State::HandedBack, Some(reason.into())).await
    }

    /// Closes an attempt that has nothing to deliver, such as one whose job the server no longer knows.
    pub async fn failed(&self, id: AttemptId, reason: impl Into<String>) -> Result<(), Error> {
        self.close(id, State::Failed, Some(reason.into())).await
    }

    /// Notes that a job came in again, and that its open attempt goes on under the new handle and connection.
    pub async fn adopted(&self, id: AttemptId, handle: Vec<u8>, worker: impl Into<String>) -> Result<(), Error> {
        let worker = worker.into();
        self.writer.run(move |connection| store::adopted(connection, id, &handle, &worker)).await
    }

    /// Returns every attempt that is neither delivered, nor handed back, nor failed, oldest first.
    pub async fn open_attempts(&self) -> Result<Vec<Attempt>, Error> {
        self.writer.run(store::open_attempts).await
    }

    /// Returns the open attempt for a job: by its unique, or by its handle if that is empty.
    pub async fn find_open(&self, key: &AttemptKey) -> Result<Option<Attempt>, Error> {
        let key = key.clone();
        self.writer.run(move |connection| store::find_open(connection, &key)).await
    }

    /// Returns how often this job was handed back since a time.
    pub async fn hand_backs(&self, key: &AttemptKey, since: SystemTime) -> Result<u64, Error> {
        let key = key.clone();
        self.writer.run(move |connection| store::hand_backs(connection, &key, since)).await
    }

    /// Returns the latest attempts, newest first.
    pub async fn recent(&self, limit: usize) -> Result<Vec<BuildRecord>, Error> {
        self.writer.run(move |connection| store::recent(connection, limit)).await
    }

    /// Forgets attempts that were closed before a time, and returns how many; an open one is never forgotten.
    pub async fn expire(&self, older_than: SystemTime) -> Result<usize, Error> {
        let expire = move |connection: &Connection| {
            marks::expire(connection, older_than)?;
            store::expire(connection, older_than)
        };
        self.writer.run(expire).await
    }

    /// Notes that a client wants a build to end; an earlier note of the same build is replaced.
    pub async fn stop_asked(&self, stop: Stop) -> Result<(), Error> {
        self.writer.run(move |connection| stops::ask(connection, &stop)).await
    }

    /// Forgets that a client wanted a build to end: it has, or nothing more is done about it.
    pub async fn stop_closed(&self, controller: &ControllerName, build: &BuildId) -> Result<(), Error> {
        let (controller, build) = (controller.clone(), build.clone());
        self.writer.run(move |connection| stops::close(connection, &controller, &build)).await
    }

    /// Returns the builds that were asked to stop and are not known to have ended.
    pub async fn open_stops(&self) -> Result<Vec<Stop>, Error> {
        self.writer.run(stops::open).await
    }

    /// Writes down what policies decided.
    pub async fn decided(&self, decisions: Vec<NewDecision>) -> Result<(), Error> {
        let pack = |new: NewDecision| {
            let record = Packed::pack(&new.record);
            (new, record)
        };
        let packed = apart(move || decisions.into_iter().map(pack).collect::<Vec<_>>()).await?;
        self.writer.run(move |connection| decisions::insert(connection, &packed)).await
    }

    /// Returns decisions with their numbers, the latest first.
    pub async fn decisions(&self, wanted: Wanted, limit: usize) -> Result<Vec<(i64, Decision)>, Error> {
        self.writer.run(move |connection| decisions::list(connection, &wanted, limit)).await
    }

    /// Returns the record of a decision.
    pub async fn decision(&self, id: i64) -> Result<Option<String>, Error> {
        let packed = self.writer.run(move |connection| decisions::find(connection, id)).await?;
        Ok(packed.map(|packed| packed.unpack()))
    }

    /// Returns the records of the latest decisions about jobs, or of samples of the table, with their numbers.
    pub async fn decision_records(&self, of_table: bool, limit: usize) -> Result<Vec<(i64, String)>, Error> {
        let packed = self.writer.run(move |connection| decisions::records(connection, of_table, limit)).await?;
        apart(move || packed.into_iter().map(|(id, packed)| (id, packed.unpack())).collect()).await
    }

    /// Forgets decisions beyond what is kept, and returns how many.
    pub async fn expire_decisions(&self, bounds: Bounds) -> Result<usize, Error> {
        self.writer.run(move |connection| decisions::expire(connection, &bounds)).await
    }

    /// Notes that we have marked a node offline, and why.
    pub async fn marked_offline(&self, mark: OfflineMark) -> Result<(), Error> {
        self.writer.run(move |connection| marks::set(connection, &mark)).await
    }

    /// Forgets why a node was offline: its mark is gone.
    pub async fn brought_back(&self, controller: &ControllerName, node: &NodeName) -> Result<(), Error> {
        let (controller, node) = (controller.clone(), node.clone());
        self.writer.run(move |connection| marks::clear(connection, &controller, &node)).await
    }

    /// Returns every mark that was noted and not cleared by us; others may have cleared it, or set another one.
    pub async fn offline_marks(&self) -> Result<Vec<OfflineMark>, Error> {
        self.writer.run(marks::all).await
    }

    /// Returns what the journal has done since it was opened.
    pub fn counts(&self) -> Counts {
        self.writer.counts()
    }

    async fn close(&self, id: AttemptId, to: State, reason: Option<String>) -> Result<(), Error> {
        let now = SystemTime::now();
        self.writer.run(move |connection| store::close(connection, id, to, reason.as_deref(), now)).await
    }

    #[cfg(test)]
    pub(super) fn writer(&self) -> &Writer {
        &self.writer
    }
}

/// Does work that takes a while where neither the writer nor the runtime waits for it.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done),
        Err(error) if error.is_cancelled() => Err(Error::Stopped),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
