//! What must survive a crash: which builds were started for which jobs, and what their clients still have to be told.
//!
//! One SQLite file with one writer thread. Whatever is queued when the thread gets to it is written in one transaction,
//! so that a hundred jobs that arrive together cost one fsync; nobody hears back before that transaction is on disk.
//!
//! ```text
//! intended ──> queued ──> started ──> ended ──> delivered
//!     │           │          │          │
//!     └───────────┴──────────┴──────────┴─────> handed-back | failed      (states may be skipped forwards)
//! ```
//!
//! The journal records and answers. It must never decide what becomes of an attempt, and no secret may reach it: the
//! caller leaves the values of secret parameters out.

mod attempt;
mod connection;
mod decisions;
mod error;
mod handle;
mod marks;
mod node;
mod stops;
mod store;
#[cfg(test)]
mod tests;
mod writer;

pub use attempt::{
    Attempt, AttemptId, AttemptKey, BuildRecord, Ending, Intent, Marker, StartedBuild, State, Terminal, TerminalKind,
    Times,
};
pub use decisions::{Bounds, Decision, NewDecision, Wanted};
pub use error::Error;
pub use handle::Journal;
pub use marks::{MarkKind, OfflineMark};
pub use stops::Stop;
pub use writer::Counts;
