//! The Gearman protocol: packets, a worker's session, connections, client, administration, and a server.
//!
//! A room by itself: it uses nothing else of this program, and a reader of it alone should learn the protocol.

pub mod admin;
pub mod client;
pub mod codec;
mod dial;
pub mod packet;
pub mod priority;
pub mod server;
#[cfg(test)]
mod testing;

pub use packet::{Kind, Magic, Packet};
pub use priority::Priority;
