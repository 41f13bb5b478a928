//! Engines take turns in short batches, so that what else the machine does, and how fast it runs just then, falls on all of
//! them; nobody is always first.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::engines::Decide;

/// A batch ends with whichever comes first.
const MOST_CALLS: usize = 200;
const LONGEST_BATCH: Duration = Duration::from_millis(4);

/// What was measured, by engine and round, in nanoseconds.
pub(crate) struct Turns(Vec<Vec<Batch>>);

/// Sorted.
type Batch = Vec<u64>;

pub(crate) struct Figures {
    pub(crate) calls: usize,
    /// Nanoseconds.
    pub(crate) median: u64,
    pub(crate) p99: u64,
}

impl Turns {
    pub(crate) fn take(engines: &mut [Decide<'_>], rounds: usize) -> Result<Self> {
        for decide in &mut *engines {
            batch(decide)?; // warm
        }
        let mut turns: Vec<Vec<Batch>> = engines.iter().map(|_| Vec::with_capacity(rounds)).collect();
        for round in 0..rounds {
            for turn in 0..engines.len() {
                let engine = (round + turn) % engines.len();
                turns[engine].push(batch(&mut engines[engine])?);
            }
        }
        Ok(Self(turns))
    }

    /// Over all calls.
    pub(crate) fn figures(&self, engine: usize) -> Figures {
        let mut calls = self.0[engine].concat();
        calls.sort_unstable();
        Figures { calls: calls.len(), median: at(&calls, 50), p99: at(&calls, 99) }
    }

    /// How many times as long as another it takes: the median over the rounds of the ratio of their medians.
    pub(crate) fn ratio(&self, engine: usize, other: usize) -> f64 {
        let rounds = self.0[engine].iter().zip(&self.0[other]);
        let mut ratios: Vec<f64> = rounds.map(|(one, other)| at(one, 50) as f64 / at(other, 50) as f64).collect();
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    }
}

fn at(sorted: &[u64], percent: usize) -> u64 {
    sorted[(sorted.len() - 1) * percent / 100]
}

fn batch(decide: &mut Decide<'_>) -> Result<Batch> {
    let end = Instant::now() + LONGEST_BATCH;
    let mut batch = Vec::with_capacity(MOST_CALLS);
    while batch.is_empty() || (batch.len() < MOST_CALLS && Instant::now() < end) {
        let begin = Instant::now();
        let answer = decide()?;
        batch.push(begin.elapsed().as_nanos() as u64);
        drop(answer);
    }
    batch.sort_unstable();
    Ok(batch)
}
