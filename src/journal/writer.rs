//! The thread that owns the connection, and its group commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::Error;

/// Bounds how long the first of a batch waits for the last.
const LARGEST_BATCH: usize = 256;

/// One request: does its work within the batch's transaction, and returns how to answer once that is committed or not.
type Request = Box<dyn FnOnce(Result<&mut Transaction<'_>, Error>) -> Answer + Send>;
type Answer = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// Ends, when dropped, after everything that was queued has been written.
#[derive(Debug)]
pub(super) struct Writer {
    requests: Option<mpsc::UnboundedSender<Request>>,
    thread: Option<JoinHandle<()>>,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    transactions: AtomicU64,
}

/// What the journal has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Questions and changes that came in.
    pub requests: u64,
    /// Transactions that were committed for them.
    pub transactions: u64,
}

impl Writer {
    pub(super) fn spawn(connection: Connection) -> Result<Self, Error> {
        let (requests, queue) = mpsc::unbounded_channel();
        let counters = Arc::new(Counters::default());
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn({
                let counters = counters.clone();
                move || write_batches(connection, queue, &counters)
            })
            .map_err(|_| Error::Stopped)?;
        Ok(Self { requests: Some(requests), thread: Some(thread), counters })
    }

    /// Does `work` in the next transaction, and returns its outcome once that is on disk.
    ///
    /// A `work` that fails leaves nothing behind, and doesn't disturb others of the same batch.
    ///
    /// # Cancel safety
    ///
    /// Once polled, the work is done whether or not its outcome is awaited.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let request: Request = Box::new(move |transaction| {
            let outcome = transaction.and_then(|transaction| work_apart(transaction, work));
            Box::new(move |committed| {
                // The asker may have gone; what it asked for is done all the same.
                let _ = answer.send(outcome.and_then(|outcome| committed.map(|()| outcome)));
            })
        });
        let requests = self.requests.as_ref().ok_or(Error::Stopped)?;
        requests.send(request).map_err(|_| Error::Stopped)?;
        self.counters.requests.fetch_add(1, Ordering::Relaxed);
        answered.await.map_err(|_| Error::Stopped)?
    }

    pub(super) fn counts(&self) -> Counts {
        Counts {
            requests: self.counters.requests.load(Ordering::Relaxed),
            transactions: self.counters.transactions.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // Short: at most what is queued. Afterwards the file is free for whoever opens it next.
            let _ = thread.join();
        }
    }
}

fn write_batches(mut connection: Connection, mut queue: mpsc::UnboundedReceiver<Request>, counters: &Counters) {
    while let Some(first) = queue.blocking_recv() {
        let mut batch = vec![first];
        while batch.len() < LARGEST_BATCH {
            let Ok(next) = queue.try_recv() else { break };
            batch.push(next);
        }
        write_batch(&mut connection, batch, counters);
    }
}

fn write_batch(connection: &mut Connection, batch: Vec<Request>, counters: &Counters) {
    let begun = connection.transaction_with_behavior(TransactionBehavior::Immediate);
    let mut transaction = match begun.map_err(Error::during("begin a transaction")) {
        Ok(transaction) => transaction,
        Err(error) => {
            batch.into_iter().for_each(|request| request(Err(error.clone()))(Ok(())));
            return;
        }
    };
    let answers: Vec<_> = batch
        .into_iter()
        // On a full disk SQLite may end the transaction by itself; nothing must be written outside of one.
        .map(|request| {
            request(if transaction.is_autocommit() { Err(Error::Interrupted) } else { Ok(&mut transaction) })
        })
        .collect();
    let committed = transaction.commit().map_err(Error::during("commit"));
    if committed.is_ok() {
        counters.transactions.fetch_add(1, Ordering::Relaxed);
    }
    answers.into_iter().for_each(|answer| answer(committed.clone()));
}

/// Does one request's work so that it can fail alone.
fn work_apart<T>(
    transaction: &mut Transaction<'_>,
    work: impl FnOnce(&Connection) -> Result<T, Error>,
) -> Result<T, Error> {
    let savepoint = transaction.savepoint().map_err(Error::during("begin a step"))?;
    let outcome = work(&savepoint)?;
    savepoint.commit().map_err(Error::during("end a step"))?;
    Ok(outcome)
}
