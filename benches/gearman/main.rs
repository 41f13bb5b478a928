//! One worker of ours beside libgearman's, on the same server in the same run.
//!
//! Rounds are interleaved, so that what else the machine does falls on both. The client is the same bare one for both,
//! and each worker is a process of its own.

#[path = "../support/mod.rs"]
mod support;

mod client;
mod process;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use layshaft::gearman::Priority;
use tokio::time::Instant;

use client::Client;
use process::{Peer, Process, ServerKind};
use support::{Samples, Spread};

/// A job's payload, and its result.
const PAYLOAD: &[u8; 16] = b"0123456789abcdef";

const FUNCTION: &str = "bench";

/// One kind of server, and how much it is asked to do.
struct Course {
    server: ServerKind,
    rounds: usize,
    /// Jobs in the foreground, one after the other; at most.
    latency_jobs: usize,
    /// Jobs that wait when the worker comes.
    queued_jobs: usize,
}

const COURSES: [Course; 2] = [
    Course { server: ServerKind::Gearmand, rounds: 7, latency_jobs: 1_000, queued_jobs: 20_000 },
    // It takes submissions slowly.
    Course { server: ServerKind::Geard, rounds: 3, latency_jobs: 1_000, queued_jobs: 3_000 },
];

/// The longest that the latency jobs of one round may take: on geard each takes 40 ms.
const LATENCY_PATIENCE: Duration = Duration::from_secs(2);

/// Jobs before it counts.
const WARM_UP: usize = 20;

/// What one worker did in one round.
struct Round {
    latency: Samples,
    jobs_per_second: f64,
    /// Microseconds of processor time of the worker for each of the queued jobs.
    worker_cpu: f64,
    server_cpu: f64,
}

#[expect(clippy::print_stdout, reason = "a benchmark's product is its table")]
fn main() -> anyhow::Result<()> {
    if let Some(order) = process::order_to_work() {
        return process::work(order);
    }
    if !support::is_wanted() {
        println!("measures nothing unless it is run by `cargo bench --bench gearman`");
        return Ok(());
    }
    let mut peers = vec![Peer::Layshaft];
    match process::compile_c_worker() {
        Ok(program) => peers.push(Peer::Libgearman(program)),
        Err(error) => println!("libgearman's worker is left out: {error:#}\n"),
    }
    println!("median [min..max] of the rounds; times in microseconds\n");
    println!(
        "{:<9} {:<11} {:>16} {:>22} {:>22} {:>20} {:>20}",
        "server", "worker", "latency p50", "latency p99", "jobs/s", "worker CPU/job", "server CPU/job"
    );
    for course in &COURSES {
        if course.server == ServerKind::Geard && !process::is_installed("geard") {
            println!("geard is left out: it is not installed (pip install gear)");
            continue;
        }
        measure(course, &peers)?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a benchmark's product is its table")]
fn measure(course: &Course, peers: &[Peer]) -> anyhow::Result<()> {
    let server = course.server.start()?;
    let mut results: Vec<Vec<Round>> = peers.iter().map(|_| Vec::new()).collect();
    for number in 0..course.rounds {
        // Nobody always goes first.
        for turn in 0..peers.len() {
            let index = (number + turn) % peers.len();
            results[index].push(run(course, &server, &peers[index])?);
        }
    }
    for (peer, rounds) in peers.iter().zip(&results) {
        let over = |figure: fn(&Round) -> f64| Spread::new(rounds.iter().map(figure)).to_string();
        println!(
            "{:<9} {:<11} {:>16} {:>22} {:>22} {:>20} {:>20}",
            course.server.name(),
            peer.name(),
            over(|round| round.latency.p50()),
            over(|round| round.latency.p99()),
            over(|round| round.jobs_per_second),
            over(|round| round.worker_cpu),
            over(|round| round.server_cpu),
        );
    }
    if let [ours, theirs] = results.as_slice() {
        let ratio = |figure: fn(&Round) -> f64| {
            Spread::new(ours.iter().zip(theirs).map(|(our, their)| figure(our) / figure(their))).to_string()
        };
        println!(
            "{:<9} {:<11} {:>16} {:>22} {:>22} {:>20}",
            "",
            "ratio",
            ratio(|round| round.latency.p50()),
            ratio(|round| round.latency.p99()),
            ratio(|round| round.jobs_per_second),
            ratio(|round| round.worker_cpu),
        );
    }
    let jobs: usize = results.iter().flatten().map(|round| round.latency.len()).sum();
    println!(
        "{:<9} {} rounds, {jobs} + {} jobs\n",
        "",
        course.rounds,
        course.queued_jobs * course.rounds * peers.len()
    );
    Ok(())
}

/// Has one worker do one round.
fn run(course: &Course, server: &process::Server, peer: &Peer) -> anyhow::Result<Round> {
    let latency = {
        let _worker = peer.start(course.server, server.address)?;
        latency(course, server.address).with_context(|| format!("{} on {}", peer.name(), course.server.name()))?
    };
    let mut client = Client::connect(server.address)?;
    client.submit_in_background(FUNCTION, PAYLOAD, course.queued_jobs)?;
    // These come first and last, so that their ends span all the others and nothing of the worker's start.
    client.submit(FUNCTION, PAYLOAD, Priority::Low)?;
    client.submit(FUNCTION, PAYLOAD, Priority::High)?;
    let worker = peer.start(course.server, server.address)?;
    client.wait_for_completion()?;
    let (started, worker_cpu, server_cpu) = (Instant::now(), worker.cpu()?, server.process.cpu()?);
    client.wait_for_completion()?;
    let took = started.elapsed();
    let jobs = course.queued_jobs as f64;
    let per_job = |process: &Process, before: Duration| -> anyhow::Result<f64> {
        Ok((process.cpu()? - before).as_secs_f64() * 1e6 / jobs)
    };
    Ok(Round {
        latency,
        jobs_per_second: jobs / took.as_secs_f64(),
        worker_cpu: per_job(&worker, worker_cpu)?,
        server_cpu: per_job(&server.process, server_cpu)?,
    })
}

/// Submits jobs one after the other to a worker that sleeps in between.
fn latency(course: &Course, server: SocketAddr) -> anyhow::Result<Samples> {
    let mut client = Client::connect(server)?;
    let mut run = || {
        let submitted = Instant::now();
        client.submit_unconfirmed(FUNCTION, PAYLOAD, Priority::Normal)?;
        client.wait_for_completion()?;
        anyhow::Ok(submitted.elapsed())
    };
    for _ in 0..WARM_UP {
        run()?;
    }
    let started = Instant::now();
    let mut samples = Samples::default();
    while samples.len() < course.latency_jobs && started.elapsed() < LATENCY_PATIENCE {
        samples.push(run()?);
    }
    Ok(samples)
}
