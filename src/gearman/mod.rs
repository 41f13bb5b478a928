//! The Gearman protocol: packets, a worker's session, connections, client, administration, and a server.
//!
//! A room by itself: it uses nothing else of this program, and a reader of it alone should learn the protocol.

mod backoff;
pub mod codec;
pub mod connection;
pub mod packet;
mod pulse;
pub mod session;
pub mod worker;

pub use packet::{Kind, Magic, Packet};
