//! The Gearman protocol: packets, a worker's session, connections, client, administration, and a server.
//!
//! A room by itself: it uses nothing else of this program, and a reader of it alone should learn the protocol.

pub mod admin;
mod backoff;
pub mod client;
pub mod codec;
pub mod connection;
pub mod dial;
mod endpoint;
pub mod pace;
pub mod packet;
pub mod priority;
mod pulse;
pub mod server;
pub mod session;
mod stream;
#[cfg(test)]
mod testing;
pub mod tls;
pub mod worker;

pub use endpoint::Endpoint;
pub use packet::{Kind, Magic, Packet};
pub use priority::Priority;
