//! The Gearman protocol: packets, a worker's session, connections, client, administration, and a server.
//!
//! A room by itself: it uses nothing else of this program, and a reader of it alone should learn the protocol. Its
//! text is gearmand's PROTOCOL document; what is said of it here is cited by that document's headings. Where servers
//! do otherwise, what they were seen to do is said beside the code that has to live with it.
//!
//! # The conversation
//!
//! Everybody connects to the server, over TCP, and through TLS from the first byte on where the server speaks it
//! ([`dial`], [`tls`]; no packet starts it); it connects to nobody. What is sent to it begins with `\0REQ`, what it
//! sends with `\0RES` ("Binary Packet"; [`packet`] has all the types, [`codec`] the bytes).
//!
//! ```text
//!   client                        server                          worker
//!     │                             │   SET_CLIENT_ID node_exec-0   │
//!     │                             │◀──CAN_DO build:lemon──────────│  offers a function
//!     │                             │◀──GRAB_JOB_UNIQ───────────────│
//!     │                             │───NO_JOB─────────────────────▶│
//!     │                             │◀──PRE_SLEEP───────────────────│  wants to be woken
//!     │──SUBMIT_JOB build:lemon────▶│                               │
//!     │◀─JOB_CREATED H:host:1───────│───NOOP───────────────────────▶│  to every sleeper that offers it
//!     │                             │◀──GRAB_JOB_UNIQ───────────────│
//!     │                             │───JOB_ASSIGN_UNIQ H:host:1───▶│  whoever asks first has the job
//!     │◀─WORK_DATA──────────────────│◀──WORK_DATA───────────────────│  any number of DATA, WARNING, STATUS
//!     │◀─WORK_COMPLETE──────────────│◀──WORK_COMPLETE───────────────│  or WORK_FAIL, or WORK_EXCEPTION: the end
//! ```
//!
//! - A job is known by the *handle* that the server gives it. The client may give it a *unique*; a second submission of
//!   a function with the same one joins the first instead of making a job ("SUBMIT_JOB").
//! - A background job goes on without its client, who hears nothing of it but may ask (GET_STATUS). A job in the
//!   foreground is dropped from the queue when its last client leaves.
//! - Jobs have three priorities, over all functions ([`priority`]).
//! - A worker that has lost its connection has lost its job: gearmand gives it to another one, geard fails it.
//! - Requests are answered in their order, and nothing names the request that an answer or an ERROR belongs to.
//! - A line of text instead of a packet is for administration, on the same port ([`admin`], "Administrative Protocol").
//!
//! # The rooms
//!
//! [`session`] is a worker's side without a socket; [`worker`] keeps one over connections that come and go, and
//! [`crew`] one at each of several servers, of which one at a time is asked for a job.
//! [`client`] submits, [`admin`] asks and orders, [`server`] is the other side of all of them.

pub mod admin;
mod alarm;
mod backoff;
pub mod client;
pub mod codec;
pub mod connection;
pub mod crew;
pub mod dial;
mod endpoint;
pub mod pace;
pub mod packet;
pub mod priority;
mod pulse;
mod restraint;
pub mod server;
pub mod session;
#[cfg(any(test, fuzzing))]
mod steps;
mod stream;
#[cfg(test)]
mod testing;
pub mod tls;
mod turn;
pub mod worker;

pub use endpoint::{Address, AddressError, Endpoint};
pub use packet::{Kind, Magic, Packet};
pub use priority::Priority;
