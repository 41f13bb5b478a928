//! Servers beside each other, with the same worker and the same client.

use anyhow::Context;
use layshaft::gearman::Priority;
use tokio::time::Instant;

use super::bare_worker::BareWorker;
use super::client::Client;
use super::peer::Peer;
use super::server::{Server, ServerKind};
use super::support::Spread;
use super::table::Table;
use super::worker::{self, Turn};
use super::{PAYLOAD, say};

const ROUNDS: usize = 5;
const FUNCTION: &str = "bench";

/// So many grabs under way keep any server busy.
const GRABS: usize = 16;

const WORKERS: usize = 4;

struct Round {
    submitted_per_second: f64,
    alone: Turn,
    several_per_second: f64,
    busy_per_second: f64,
    busy_cpu: f64,
}

pub(crate) fn measure(peers: &[Peer]) -> anyhow::Result<()> {
    // Another's worker, where there is one, so that ours does not speak for our server.
    let worker = peers.get(1).unwrap_or(&peers[0]);
    let kinds: Vec<ServerKind> = ServerKind::ALL.into_iter().filter(|kind| kind.missing().is_none()).collect();
    let mut servers = Vec::new();
    for kind in &kinds {
        servers.push((kind.start()?, Vec::new()));
    }
    for round in 0..ROUNDS {
        for place in 0..servers.len() {
            let index = (round + place) % kinds.len();
            let (server, rounds) = &mut servers[index];
            rounds.push(run(server, worker).with_context(|| format!("{} on {}", worker.name, server.kind.name()))?);
        }
    }
    say(&format!("Servers with the worker of {}, {ROUNDS} rounds; times in microseconds.", worker.name));
    let mut table = Table::new([
        "server",
        "submissions/s",
        "latency p50",
        "latency p99",
        "jobs/s, 1 worker",
        "server CPU/job",
        "jobs/s, 4 workers",
        "jobs/s, 16 grabs under way",
        "server CPU/job, so",
    ]);
    for (server, rounds) in &servers {
        let over = |figure: fn(&Round) -> f64| Spread::new(rounds.iter().map(figure)).to_string();
        table.row([
            server.kind.name().to_owned(),
            over(|round| round.submitted_per_second),
            over(|round| round.alone.latency.p50()),
            over(|round| round.alone.latency.p99()),
            over(|round| round.alone.jobs_per_second),
            over(|round| round.alone.server_cpu),
            over(|round| round.several_per_second),
            over(|round| round.busy_per_second),
            over(|round| round.busy_cpu),
        ]);
    }
    say(&table.to_string());
    Ok(())
}

fn run(server: &Server, worker: &Peer) -> anyhow::Result<Round> {
    let jobs = if server.kind == ServerKind::Geard { 3_000 } else { 12_000 };
    let alone = worker::turn(server, jobs, || worker.work(server, FUNCTION))?;
    let several_per_second = several(server, worker, jobs)?;

    let mut client = Client::connect(server.address)?;
    let started = Instant::now();
    client.submit_in_background(FUNCTION, PAYLOAD, jobs)?;
    let submitted_per_second = jobs as f64 / started.elapsed().as_secs_f64();

    let mut bare = BareWorker::connect(server.address, &[FUNCTION.to_owned()])?;
    let (started, cpu) = (Instant::now(), server.process.cpu()?);
    let done = bare.drain(GRABS)? as f64;
    let busy_per_second = done / started.elapsed().as_secs_f64();
    let busy_cpu = (server.process.cpu()? - cpu).as_secs_f64() * 1e6 / done;
    Ok(Round { submitted_per_second, alone, several_per_second, busy_per_second, busy_cpu })
}

/// Has several workers share the jobs that wait; returns how many they do in a second, with the time they take to start.
fn several(server: &Server, worker: &Peer, jobs: usize) -> anyhow::Result<f64> {
    let mut client = Client::connect(server.address)?;
    client.submit_in_background(FUNCTION, PAYLOAD, jobs)?;
    client.submit(FUNCTION, PAYLOAD, Priority::Low)?;
    let started = Instant::now();
    let workers = (0..WORKERS).map(|_| worker.work(server, FUNCTION)).collect::<anyhow::Result<Vec<_>>>()?;
    client.wait_for_completion()?;
    let took = started.elapsed();
    drop(workers);
    Ok(jobs as f64 / took.as_secs_f64())
}
