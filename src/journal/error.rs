use std::path::PathBuf;
use std::sync::Arc;

use super::{AttemptId, State};

/// Why the journal could not do something.
///
/// It can be cloned because everyone whose change was in a failed transaction is told.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to open journal {path}: {reason}")]
    Open { path: PathBuf, reason: String },
    #[error("journal {path} is in use by another process; stop that one, or give each daemon a journal of its own")]
    InUse { path: PathBuf },
    #[error(
        "journal {path} has schema {found} and this version knows up to {known}; run the version that wrote it, or a later one"
    )]
    NewerSchema { path: PathBuf, found: i64, known: i64 },
    #[error("{path} is a database of some other program; give the journal a file of its own")]
    Foreign { path: PathBuf },
    #[error(
        "journal {path} is damaged ({reason}); restore it, or move it aside together with its -wal file to begin an empty one: \
         builds that are running will then not be found again by their jobs"
    )]
    Damaged { path: PathBuf, reason: String },
    #[error("failed to {step} in the journal")]
    Database { step: &'static str, source: Arc<rusqlite::Error> },
    #[error("the journal knows no attempt {id}")]
    NoSuchAttempt { id: AttemptId },
    #[error("attempt {id} is {from} and cannot become {to}")]
    IllegalTransition { id: AttemptId, from: State, to: State },
    #[error("attempt {id} is open for the same job; adopt or close it first")]
    AlreadyOpen { id: AttemptId },
    #[error("attempt {id} is {state} and cannot be adopted")]
    Closed { id: AttemptId, state: State },
    #[error("an earlier change in the same transaction failed and ended it")]
    Interrupted,
    #[error("the journal's writer has ended")]
    Stopped,
}

impl Error {
    /// Returns a function that says which step failed.
    pub(super) fn during(step: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| Self::Database { step, source: Arc::new(source) }
    }
}
