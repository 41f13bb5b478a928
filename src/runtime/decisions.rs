//! Brings what policies decided into the journal: in batches, and never in anybody's way.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::journal::{Decision, Journal, NewDecision};
use crate::policy::{Batch, Decisions, Record, ToldBySlot};

/// Decisions written at once.
const LARGEST_BATCH: usize = 256;

/// For so long decisions gather: each batch costs the disk as much as a job does.
const GATHER: Duration = Duration::from_millis(200);

/// How often it is said that some went unrecorded.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// Writes decisions down until it is told to stop, and then what is left.
pub(super) async fn keep(mut decisions: Decisions, journal: Journal, stop: CancellationToken) {
    let mut losses = Losses::default();
    loop {
        // Only waiting is cut short: what was taken out of the queue has to be written.
        if stop.run_until_cancelled(decisions.ready()).await.is_none() {
            break;
        }
        losses.write(decisions.take(LARGEST_BATCH).await, &journal).await;
        let _stopping = tokio::time::timeout(GATHER, stop.cancelled()).await;
    }
    losses.write(decisions.take(usize::MAX).await, &journal).await;
}

/// What could not be kept, to be complained about once in a while.
#[derive(Default)]
struct Losses {
    unrecorded: u64,
    complained: Option<Instant>,
}

impl Losses {
    async fn write(&mut self, batch: Batch, journal: &Journal) {
        self.unrecorded += batch.unrecorded;
        let new: Vec<NewDecision> = batch.records.iter().map(row).collect();
        let count = new.len() as u64;
        if count > 0
            && let Err(error) = journal.decided(new).await
        {
            self.unrecorded += count;
            self.complain(|unrecorded| error!(unrecorded, %error, "decisions of policies could not be written down"));
        }
        if self.unrecorded > 0 {
            self.complain(|unrecorded| {
                warn!(unrecorded, "more decisions of policies than could be written down; jobs went on without");
            });
        }
    }

    fn complain(&mut self, complain: impl FnOnce(u64)) {
        if self.complained.is_none_or(|complained| complained.elapsed() >= COMPLAIN_EVERY) {
            complain(std::mem::take(&mut self.unrecorded));
            self.complained = Some(Instant::now());
        }
    }
}

fn row(record: &Record) -> NewDecision {
    let mut policies: Vec<String> = record.told.iter().map(|told| told.policy.clone()).collect();
    policies.dedup();
    let job = record.asked.job();
    let decision = Decision {
        at: SystemTime::UNIX_EPOCH + Duration::from_millis(record.at),
        generation: record.generation,
        call: record.asked.call().to_string(),
        controller: record.asked.controller().name.to_string(),
        project: record.asked.project().name.to_string(),
        function: job.map(|job| job.function.to_string()),
        policies,
        verdict: record.verdict.word().to_owned(),
        failed: record.told.iter().any(|told| matches!(told.answer, ToldBySlot::Failure(_))),
        why: record.why.clone(),
    };
    NewDecision { decision, of_table: job.is_none(), record: record.to_json() }
}
