//! What a grab costs as functions become many.

use std::time::Duration;

use tokio::time::Instant;

use super::bare_worker::BareWorker;
use super::client::Client;
use super::registration::await_registration;
use super::server::{Server, ServerKind};
use super::support::Samples;
use super::table::Table;
use super::wire::Wire;
use super::{PAYLOAD, say};

const FUNCTIONS: [usize; 3] = [1, 1_000, 100_000];

/// geard takes 5,000 submissions in a second.
const GEARD_HAS_AT_MOST: usize = 1_000;

const GRABS: usize = 1_000;

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn measure() -> anyhow::Result<()> {
    say(&format!("A grab that finds nothing, median of {GRABS} round trips in microseconds."));
    let mut table = Table::new([
        "server",
        "functions",
        "worker offers one; a job waits for each of the others",
        "worker offers all; nothing waits",
    ]);
    for kind in ServerKind::ALL.into_iter().filter(|kind| kind.missing().is_none()) {
        for functions in FUNCTIONS {
            if kind == ServerKind::Geard && functions > GEARD_HAS_AT_MOST {
                continue;
            }
            table.row([
                kind.name().to_owned(),
                functions.to_string(),
                format!("{:.0}", offering_one(kind, functions)?.p50()),
                format!("{:.0}", offering_all(kind, functions)?.p50()),
            ]);
        }
    }
    say(&table.to_string());
    Ok(())
}

fn offering_one(kind: ServerKind, functions: usize) -> anyhow::Result<Samples> {
    let server = kind.start()?;
    let names = names(functions);
    Client::connect(server.address)?.submit_to_each(&names[1..], PAYLOAD)?;
    grab(&server, &names[..1])
}

fn offering_all(kind: ServerKind, functions: usize) -> anyhow::Result<Samples> {
    let server = kind.start()?;
    grab(&server, &names(functions))
}

fn grab(server: &Server, offered: &[String]) -> anyhow::Result<Samples> {
    let mut wire = Wire::connect(server.address)?;
    let mut worker = BareWorker::connect(server.address, offered)?;
    await_registration(&mut wire, 1, offered.len(), PATIENCE)?;
    let mut samples = Samples::default();
    for _ in 0..GRABS {
        let asked = Instant::now();
        worker.grab_nothing()?;
        samples.push(asked.elapsed());
    }
    Ok(samples)
}

fn names(functions: usize) -> Vec<String> {
    (0..functions).map(|number| format!("build:{number}")).collect()
}
