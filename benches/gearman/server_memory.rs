//! What a server keeps in memory: for each job that waits, for each function of each worker.

use std::time::Duration;

use tokio::time::Instant;

use super::bare_worker::BareWorker;
use super::client::Client;
use super::registration::await_registration;
use super::server::ServerKind;
use super::table::Table;
use super::wire::Wire;
use super::{PAYLOAD, say};

const CONNECTIONS: usize = 200;
const FUNCTIONS: usize = 1_000;

/// geard takes 10,000 registrations in a second at best.
const PATIENCE: Duration = Duration::from_secs(100);

pub(crate) fn measure(with_geard: bool) -> anyhow::Result<()> {
    say("Memory of servers: what is added to that of an idle one, divided by what was added to it.");
    let mut table = Table::new([
        "server",
        "idle MiB",
        "bytes/job, 60,000 jobs",
        "bytes/job, 1,000,000 jobs",
        "bytes/registration, 1,000 functions x 200 connections",
        "registered in s",
    ]);
    for kind in ServerKind::ALL.into_iter().filter(|kind| kind.missing().is_none()) {
        if kind == ServerKind::Geard && !with_geard {
            continue;
        }
        let idle = kind.start()?.memory()?;
        // It takes 5,000 submissions in a second.
        let million = (kind != ServerKind::Geard).then(|| per_job(kind, 1_000_000)).transpose()?;
        let (per_registration, seconds) = per_registration(kind)?;
        table.row([
            kind.name().to_owned(),
            format!("{:.1}", idle as f64 / (1 << 20) as f64),
            format!("{:.0}", per_job(kind, 60_000)?),
            million.map_or_else(|| "not tried".to_owned(), |bytes| format!("{bytes:.0}")),
            format!("{per_registration:.0}"),
            format!("{seconds:.2}"),
        ]);
    }
    say(&table.to_string());
    Ok(())
}

/// Returns how many bytes a job takes that waits.
fn per_job(kind: ServerKind, jobs: usize) -> anyhow::Result<f64> {
    let server = kind.start()?;
    let mut client = Client::connect(server.address)?;
    let before = server.memory()?;
    client.submit_in_background("bench", PAYLOAD, jobs)?;
    Ok((server.memory()? - before) as f64 / jobs as f64)
}

/// Returns how many bytes a function takes on a connection, with its share of the connection, and how many seconds all
/// took.
fn per_registration(kind: ServerKind) -> anyhow::Result<(f64, f64)> {
    let server = kind.start()?;
    let mut wire = Wire::connect(server.address)?;
    let functions: Vec<String> = (0..FUNCTIONS).map(|number| format!("build:{number}")).collect();
    let before = server.memory()?;
    let started = Instant::now();
    let connect = |_| BareWorker::connect(server.address, &functions);
    let workers = (0..CONNECTIONS).map(connect).collect::<anyhow::Result<Vec<_>>>()?;
    await_registration(&mut wire, CONNECTIONS, FUNCTIONS, PATIENCE)?;
    let seconds = started.elapsed().as_secs_f64();
    let bytes = (server.memory()? - before) as f64 / (CONNECTIONS * FUNCTIONS) as f64;
    drop(workers);
    Ok((bytes, seconds))
}
