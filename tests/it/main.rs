//! The whole program against real servers and clients: Debian's gearmand and PyPI's geard on loopback, a simulated
//! Jenkins, real policies.
//!
//! A test names the rows of behaviour that it shows (F01 and so on are those of the plugin's behavioural table in
//! `docs/rows.md`). What can be shown without a server is tested in the room that it belongs to.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

mod answers;
mod bounds;
mod bugs;
mod builds;
mod clients;
mod commands;
mod daemon;
mod doctor;
mod fleets;
mod floor_plan;
mod folders;
mod live;
mod management;
mod matrix;
mod metrics;
mod pipelines;
mod policies;
mod polling;
mod privileged;
mod probes;
mod registration;
mod rows;
mod server;
mod simulate;
mod stopping;
mod support;
mod tls;
mod traps;
