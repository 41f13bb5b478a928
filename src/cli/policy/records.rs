//! Whole decisions: out of a file, or out of the daemon.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, bail};

use crate::policy::{PrivateKey, Record};
use crate::web::{self, DecisionQuery};

/// As many as the daemon lists at once.
const PAGE: usize = 1000;

/// Bytes of a file of decisions; of one decision there are a few hundred thousand at most.
const MOST_BYTES: u64 = 1 << 30;

/// Fetches the latest decisions, the latest first.
pub(super) async fn fetch(
    client: &web::Client,
    mut query: DecisionQuery,
    most: usize,
    mut each: impl FnMut(Record) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut left = most;
    while left > 0 {
        query.limit = Some(left.min(PAGE));
        let page = client.decisions(&query).await?;
        let Some(last) = page.last() else { break };
        query.before = Some(last.id);
        left -= page.len().min(left);
        for entry in page {
            match client.decision(entry.id).await {
                Ok(record) => each(record)?,
                // Old ones may be forgotten meanwhile.
                Err(web::ClientError::Refused(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// Reads decisions, one a line.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<Record>> {
    let open = || -> std::io::Result<Box<dyn Read>> {
        if path == Path::new("-") { Ok(Box::new(std::io::stdin())) } else { Ok(Box::new(std::fs::File::open(path)?)) }
    };
    let failed = || format!("failed to read {}", path.display());
    let lines = BufReader::new(open().with_context(failed)?.take(MOST_BYTES)).lines();
    let mut records = Vec::new();
    for (number, line) in lines.enumerate() {
        let line = line.with_context(failed)?;
        if line.trim().is_empty() {
            continue;
        }
        match Record::from_json(&line) {
            Ok(record) => records.push(record),
            Err(error) => bail!(
                "{}, line {}: {error}; `layshaft policy log --records` prints lines of the right form",
                path.display(),
                number + 1
            ),
        }
    }
    Ok(records)
}

pub(super) fn read_key(path: &Path) -> anyhow::Result<PrivateKey> {
    let key = PrivateKey::read(&super::read_text(path)?);
    key.map_err(anyhow::Error::msg).with_context(|| format!("failed to read {}", path.display()))
}

/// Puts in the values that a key opens; returns how many decisions have values that were sealed to another one.
pub(super) fn unseal(records: &mut [Record], key: &PrivateKey) -> usize {
    let mut unopened = 0;
    for record in records {
        let sealed = record.asked.job().and_then(|job| job.sealed.as_deref());
        match sealed.map(|sealed| key.open(sealed)) {
            Some(Ok(values)) => record.asked.learn(&values),
            Some(Err(_)) => unopened += 1,
            None => {}
        }
    }
    unopened
}
