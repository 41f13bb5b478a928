//! Many workers in one process, each of which registers many functions, until the server lists them all.

use std::time::Duration;

use anyhow::ensure;
use tokio::time::Instant;

use super::peer::Peer;
use super::say;
use super::server::ServerKind;
use super::support::Spread;
use super::table::Table;
use super::wire::Wire;

const WORKERS: usize = 200;
const FUNCTIONS: usize = 1_000;

/// The shortest pause before `status` is asked again.
const INTERVAL: Duration = Duration::from_millis(5);

/// Who has not come this far has lost a connection: the kernel drops those that overflow the server's backlog.
const PATIENCE: Duration = Duration::from_secs(20);

const MIB: f64 = (1 << 20) as f64;

struct Registered {
    seconds: f64,
    worker_memory: f64,
    worker_peak: f64,
    server_memory: f64,
}

/// Measures all on gearmand and on our server, and on geard, which is slow, if that is wanted too.
pub(crate) fn measure(peers: &[Peer], with_geard: bool) -> anyhow::Result<()> {
    say(&format!(
        "{FUNCTIONS} functions on each of {WORKERS} connections of one process, from its start until status lists all."
    ));
    let peers: Vec<&Peer> = peers.iter().filter(|peer| peer.registers && !peer.is_cured()).collect();
    for (kind, rounds) in [(ServerKind::Gearmand, 4), (ServerKind::Layshaft, 2), (ServerKind::Geard, 1)] {
        if kind == ServerKind::Geard && !with_geard {
            continue;
        }
        if let Some(install) = kind.missing() {
            say(&format!("{} is left out: {install}", kind.name()));
            continue;
        }
        let mut results: Vec<Vec<Registered>> = peers.iter().map(|_| Vec::new()).collect();
        for round in 0..rounds {
            for place in 0..peers.len() {
                let index = (round + place) % peers.len();
                // Who does not finish has no figures in this round.
                let registered = register(kind, peers[index])
                    .inspect_err(|error| say(&format!("{} on {}: {error:#}", peers[index].name, kind.name())));
                results[index].extend(registered);
            }
        }
        say(&format!("{}, {rounds} rounds", kind.name()));
        let titles = ["worker", "s", "ours to it", "worker MiB", "worker peak MiB", "server MiB"];
        let mut table = Table::new(titles);
        for (peer, theirs) in peers.iter().zip(&results) {
            let over = |figure: fn(&Registered) -> f64| Spread::new(theirs.iter().map(figure)).to_string();
            let ratios = results[0].iter().zip(theirs).map(|(ours, its)| ours.seconds / its.seconds);
            table.row([
                peer.name.to_owned(),
                over(|registered| registered.seconds),
                Spread::new(ratios).to_string(),
                over(|registered| registered.worker_memory),
                over(|registered| registered.worker_peak),
                over(|registered| registered.server_memory),
            ]);
        }
        say(&table.to_string());
    }
    Ok(())
}

fn register(kind: ServerKind, peer: &Peer) -> anyhow::Result<Registered> {
    let server = kind.start()?;
    let mut wire = Wire::connect(server.address)?;
    let started = Instant::now();
    let worker = peer.register(&server, WORKERS, FUNCTIONS)?;
    await_registration(&mut wire, WORKERS, FUNCTIONS, PATIENCE)?;
    let seconds = started.elapsed().as_secs_f64();
    Ok(Registered {
        seconds,
        worker_memory: worker.memory()? as f64 / MIB,
        worker_peak: worker.peak_memory()? as f64 / MIB,
        server_memory: server.memory()? as f64 / MIB,
    })
}

/// Waits until so many functions have so many workers.
pub(crate) fn await_registration(
    wire: &mut Wire,
    workers: usize,
    functions: usize,
    patience: Duration,
) -> anyhow::Result<()> {
    let started = Instant::now();
    loop {
        let asked = Instant::now();
        if wire.functions_with_workers(workers)? >= functions {
            return Ok(());
        }
        ensure!(started.elapsed() < patience, "not all functions are registered after {patience:?}");
        // An answer costs the server time, on geard much: it shall have most of it for what is measured.
        std::thread::sleep(INTERVAL.max(asked.elapsed() * 4));
    }
}
