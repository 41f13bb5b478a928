//! Policies: WebAssembly components that a site drops into a folder, asked at four hooks.
//!
//! ```text
//! folder ─ reload ─ component ─ gate ─► generation ──► pass      one instance per slot, over the whole function table
//!                                          │    └────► decision  a fresh instance per slot, for one job
//!                                          └ slot ─ need (what it may see) ─ call (limits) ─ bindings (wit) ─ chain
//!
//! workbench (a file by itself, for its author) ─ asking (again and again) ─ written (questions as JSON) ─ cases
//! contract (schemas, its page)
//! ```
//!
//! A policy imports nothing, so its verdict is a function of the question; that is why answers may be remembered.
//! Nothing here ever lets a policy that is missing, slow, trapping or malformed stop a running build, and no failure
//! is ever answered by asking the next policy instead. Only `bindings` knows wit types. Calls are synchronous and may
//! take milliseconds: call them off the async threads.

mod again;
mod answers;
mod asked;
mod asking;
mod binding;
mod bindings;
mod book;
mod call;
mod cases;
mod chain;
mod check;
mod code_cache;
mod component;
mod composed;
mod config;
mod contract;
mod decision;
mod deserialize;
mod digest;
mod engine;
mod explain;
mod folder;
mod gate;
mod generation;
mod health;
mod history;
mod laws;
mod ledger;
mod loosening;
mod mask;
mod monitor;
mod need;
mod pass;
mod question;
mod record;
mod recorder;
mod redaction;
mod rehearsal;
mod reload;
mod replay;
mod replay_gate;
mod seal;
mod signature;
mod spoken;
mod status;
mod stopwatch;
mod table_gates;
mod tally;
mod turn;
mod verdict;
mod watch;
mod watchdog;
mod workbench;
mod would;
mod written;

#[cfg(test)]
mod guest;
#[cfg(test)]
mod samples;
#[cfg(test)]
mod signer;

pub use answers::{End, Filtered, Matched, Names, Reason, Start, Undecided};
pub use asked::{Asked, EndedSo, JobAsked, MatchAsked, NameAsked, Sent, SentValue};
pub use asking::{Asking, Kept};
pub use call::CallError;
pub use cases::{Asks, Case, Cases, Checked, Difference};
pub use check::{CheckReport, check};
pub use component::{Description, Hook, LoadError, Needs, ParameterValues};
pub use config::{Config, DecisionLog, Gates, Grant, Limits, Mode, SlotGuard};
pub use contract::{WIT, page, schema, schemas};
pub use decision::{Outcome, Request};
pub use digest::Digest;
pub use explain::{Explanation, Step};
pub use folder::files;
pub use generation::{Controller, Generation};
pub use pass::{Pass, World};
pub use record::{Answered, Composed, Failure, FailureClass, Fate, Record, SlotTold, Told as ToldBySlot};
pub use recorder::{Batch, Decisions};
pub use rehearsal::{Rehearsal, Wanted};
pub use reload::{Error, Policies};
pub use replay::{Example, Kind, Replayed};
pub use replay_gate::PastDecisions;
pub use seal::{NotOpened, PrivateKey, PublicKey as SealingKey};
pub use signature::{PublicKey, Signed};
pub use spoken::Spoken;
pub use status::{Change, ChangeKind, Gate, Refusal, ReloadCost, ReloadReport, SlotState, SlotStatus, Stage, Standing};
pub use table_gates::{Comparison, Objection, TableGates};
pub use tally::{BOUNDS_US, Usage};
pub use verdict::{Decision, ParametersAnswer};
pub use workbench::{Cost, Inspection, Spread, Told, Workbench, settings_of};
pub use written::{Call, Question, Verdict};
