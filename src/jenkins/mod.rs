//! Jenkins over REST: one client per controller, and a poller that keeps a picture of it.
//!
//! Everything that leaves this room is a domain value: JSON stops in `wire`, addresses in `path`, HTTP in `transport`.
//! The room never follows a redirect or an address that a controller sent, never branches on localised text, never
//! repeats a request that may have started a build, and never lets a token reach a log line or an error.

mod client;
mod config;
mod error;
mod intervals;
mod path;
mod poll;
pub mod release;
mod script;
mod transport;
mod trigger;
mod wire;

pub use client::{Cancelled, Clearing, Client};
pub use config::{BaseUrl, Config, Credentials, InvalidUrl};
pub use error::{Error, permission_name};
pub use intervals::Intervals;
pub use poll::{Part, Picture, Poller, QueueInterest, Seen, Trouble, Watcher};
pub use script::{Pin, Scripted};
pub use transport::{Answer, Instance, install_crypto_provider};
pub use trigger::Trigger;

#[cfg(test)]
mod tests;
