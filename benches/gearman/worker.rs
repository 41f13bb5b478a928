//! One worker at a time beside its peers: jobs per second with one job at a time, latency, processor time.

use std::time::Duration;

use anyhow::Context;
use layshaft::gearman::Priority;
use tokio::time::Instant;

use super::client::Client;
use super::peer::{Pace, Peer};
use super::process::Process;
use super::server::{Server, ServerKind};
use super::support::{Samples, Spread};
use super::table::Table;
use super::{PAYLOAD, say};

const FUNCTION: &str = "bench";

/// Jobs before it counts.
const WARM_UP: usize = 20;

/// The longest that the latency jobs of one turn may take: where something stalls, each takes 40 ms.
const LATENCY_PATIENCE: Duration = Duration::from_millis(500);

const LATENCY_JOBS: usize = 2_000;

/// One kind of server, and how much it is asked to do.
struct Course {
    server: ServerKind,
    rounds: usize,
    /// Jobs that wait when the worker comes, for a compiled worker.
    queued_jobs: usize,
}

const COURSES: [Course; 3] = [
    Course { server: ServerKind::Gearmand, rounds: 7, queued_jobs: 12_000 },
    Course { server: ServerKind::Layshaft, rounds: 3, queued_jobs: 12_000 },
    // It takes submissions slowly.
    Course { server: ServerKind::Geard, rounds: 3, queued_jobs: 3_000 },
];

/// What one worker did in one turn.
pub(crate) struct Turn {
    pub(crate) latency: Samples,
    pub(crate) jobs_per_second: f64,
    /// Microseconds of processor time of the worker for each of the queued jobs.
    pub(crate) worker_cpu: f64,
    pub(crate) server_cpu: f64,
}

pub(crate) fn measure(peers: &[Peer]) -> anyhow::Result<()> {
    say("One worker, one job at a time: median [min..max] of the rounds; times in microseconds.");
    for course in &COURSES {
        if let Some(install) = course.server.missing() {
            say(&format!("{} is left out: {install}", course.server.name()));
            continue;
        }
        course.run(peers)?;
    }
    Ok(())
}

impl Course {
    fn run(&self, peers: &[Peer]) -> anyhow::Result<()> {
        let server = self.server.start()?;
        let mut turns: Vec<Vec<Turn>> = peers.iter().map(|_| Vec::new()).collect();
        for round in 0..self.rounds {
            // Nobody always goes first.
            for place in 0..peers.len() {
                let index = (round + place) % peers.len();
                // A stall of 40 ms is always one of 40 ms.
                if peers[index].pace != Pace::Stalled || round == 0 {
                    turns[index].push(self.turn(&server, &peers[index])?);
                }
            }
        }
        say(&format!("{}, {} rounds (1 for who stalls)", self.server.name(), self.rounds));
        let mut table = Table::new([
            "worker",
            "jobs/s",
            "latency p50",
            "latency p99",
            "worker CPU/job",
            "server CPU/job",
            "ours to it: jobs/s",
            "p50",
            "p99",
            "CPU",
        ]);
        for (peer, theirs) in peers.iter().zip(&turns) {
            let over = |figure: fn(&Turn) -> f64| Spread::new(theirs.iter().map(figure)).to_string();
            let ratio = |figure: fn(&Turn) -> f64| {
                Spread::new(turns[0].iter().zip(theirs).map(|(ours, its)| figure(ours) / figure(its))).to_string()
            };
            table.row([
                peer.name.to_owned(),
                over(|turn| turn.jobs_per_second),
                over(|turn| turn.latency.p50()),
                over(|turn| turn.latency.p99()),
                over(|turn| turn.worker_cpu),
                over(|turn| turn.server_cpu),
                ratio(|turn| turn.jobs_per_second),
                ratio(|turn| turn.latency.p50()),
                ratio(|turn| turn.latency.p99()),
                ratio(|turn| turn.worker_cpu),
            ]);
        }
        say(&table.to_string());
        Ok(())
    }

    fn turn(&self, server: &Server, peer: &Peer) -> anyhow::Result<Turn> {
        let jobs = match peer.pace {
            Pace::Compiled => self.queued_jobs,
            Pace::Interpreted => self.queued_jobs / 4,
            Pace::Stalled => 30,
        };
        turn(server, jobs, || peer.work(server, FUNCTION))
            .with_context(|| format!("{} on {}", peer.name, self.server.name()))
    }
}

/// Has a worker do single jobs, and then those that wait for it.
pub(crate) fn turn(server: &Server, jobs: usize, start: impl Fn() -> anyhow::Result<Process>) -> anyhow::Result<Turn> {
    let latency = {
        let _worker = start()?;
        latency(server)?
    };
    let mut client = Client::connect(server.address)?;
    client.submit_in_background(FUNCTION, PAYLOAD, jobs)?;
    // These come first and last, so that their ends span all the others and nothing of the worker's start.
    client.submit(FUNCTION, PAYLOAD, Priority::Low)?;
    client.submit(FUNCTION, PAYLOAD, Priority::High)?;
    let worker = start()?;
    client.wait_for_completion()?;
    let (started, worker_cpu, server_cpu) = (Instant::now(), worker.cpu()?, server.process.cpu()?);
    client.wait_for_completion()?;
    let took = started.elapsed();
    let jobs = jobs as f64;
    let per_job = |process: &Process, before: Duration| -> anyhow::Result<f64> {
        Ok((process.cpu()? - before).as_secs_f64() * 1e6 / jobs)
    };
    Ok(Turn {
        latency,
        jobs_per_second: jobs / took.as_secs_f64(),
        worker_cpu: per_job(&worker, worker_cpu)?,
        server_cpu: per_job(&server.process, server_cpu)?,
    })
}

/// Submits jobs one after the other to a worker that sleeps in between.
fn latency(server: &Server) -> anyhow::Result<Samples> {
    let mut client = Client::connect(server.address)?;
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
    while samples.len() < LATENCY_JOBS && started.elapsed() < LATENCY_PATIENCE {
        samples.push(run()?);
    }
    Ok(samples)
}
