//! What the gate `replay` is told by: the decisions in the journal.

use tokio::runtime::Handle;
use tracing::warn;

use crate::journal::Journal;
use crate::policy::{self, Record};

/// Bytes of records; the oldest of more are left out.
const MOST_BYTES: usize = 64 << 20;

#[derive(Debug)]
pub(super) struct PastDecisions {
    pub(super) journal: Journal,
    pub(super) runtime: Handle,
}

impl policy::PastDecisions for PastDecisions {
    /// Returns as many decisions about the function table as about jobs: the former are samples, and few.
    fn last(&self, count: usize) -> Result<Vec<Record>, String> {
        let mut records = Vec::new();
        for of_table in [false, true] {
            let read = self.runtime.block_on(self.journal.decision_records(of_table, count));
            let read = read.map_err(|error| error.to_string())?;
            records.extend(parse(read.into_iter().map(|(_, text)| text)));
        }
        Ok(records)
    }
}

/// Reads what fits. What an other version wrote in another way is passed over: it was decided all the same.
fn parse(texts: impl Iterator<Item = String>) -> Vec<Record> {
    let (mut bytes, mut unread) = (0, 0_usize);
    let within = texts.take_while(|text| {
        bytes += text.len();
        bytes <= MOST_BYTES
    });
    let records = within.filter_map(|text| {
        let record = Record::from_json(&text).ok();
        unread += usize::from(record.is_none());
        record
    });
    let records = records.collect();
    if unread > 0 {
        warn!(unread, "recorded decisions of another version are not replayed");
    }
    records
}
