//! Our worker beside other workers, our server beside other servers, all in one run.
//!
//! Rounds are interleaved, so that what else the machine does falls on all alike. Each worker and each server is a
//! process of its own; the client is the same bare one everywhere.

#[path = "../support/mod.rs"]
mod support;

mod bare_worker;
mod client;
mod peer;
mod process;
mod programs;
mod registration;
mod role;
mod server;
mod server_grab;
mod server_memory;
mod server_speed;
mod table;
mod wire;
mod worker;

use peer::Peer;
use role::Role;

/// A job's payload, and its result.
const PAYLOAD: &[u8; 16] = b"0123456789abcdef";

const USAGE: &str = "cargo bench --bench gearman [-- worker|registration|server|all]";

fn main() -> anyhow::Result<()> {
    if let Some(role) = Role::of_this_process()? {
        return role.play();
    }
    if !support::is_wanted() {
        say(&format!("measures nothing unless it is run by `{USAGE}`"));
        return Ok(());
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |names: &[&str]| {
        wanted.is_empty() || wanted.iter().any(|wanted| wanted == "all" || names.contains(&wanted.as_str()))
    };
    // geard takes a minute for some of them.
    let with_geard = wanted.iter().any(|wanted| wanted == "all");
    let peers = Peer::all();
    if is_wanted(&["worker"]) {
        worker::measure(&peers)?;
    }
    if is_wanted(&["registration"]) {
        registration::measure(&peers, with_geard)?;
    }
    if is_wanted(&["server", "speed"]) {
        server_speed::measure(&peers)?;
    }
    if is_wanted(&["server", "memory"]) {
        server_memory::measure(with_geard)?;
    }
    if is_wanted(&["server", "grab"]) {
        server_grab::measure()?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a benchmark's product is what it prints")]
fn say(text: &str) {
    println!("{text}\n");
}
