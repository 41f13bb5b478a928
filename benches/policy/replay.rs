//! What the gate `replay` costs: recorded decisions put to what is in force and to a candidate, each of them.

use std::time::Duration;

use anyhow::ensure;
use layshaft::domain::FunctionName;
use layshaft::policy::{Answered, Asked, JobAsked, Policies, Record, Rehearsal, Sent, SentValue, Wanted, Workbench};
use tokio::time::Instant;

use crate::site::{self, Site};

pub(crate) const RECORDS: usize = 10_000;

/// Replays decisions about as many jobs that all differ; returns how long that took, on all processors.
pub(crate) fn replay(site: &Site, policies: &Policies, name: &str) -> anyhow::Result<Duration> {
    let live = policies.live();
    let records = (0..RECORDS).map(|number| {
        let asked = asked(number)?;
        let Answered { told, verdict, why } = live.ask_again(&asked);
        Ok(Record { at: 0, generation: 1, asked, told, verdict, why, cut: false })
    });
    let records = records.collect::<anyhow::Result<Vec<Record>>>()?;
    let bench = Workbench::open(&site.config.folder.join(format!("10-{name}.wasm")), &site.config)?;
    let rehearsal = Rehearsal::among_others(&bench)?;
    let started = Instant::now();
    let replayed = rehearsal.replay(&records, &Wanted { slower: 2.0, examples: 3 });
    let took = started.elapsed();
    // A fast wrong answer is no figure.
    ensure!(replayed.same == RECORDS, "{replayed:?}");
    Ok(took)
}

fn asked(number: usize) -> anyhow::Result<Asked> {
    let sent = [
        ("VERSION", format!("1.4.{number}")),
        ("DEPLOY_ARGS", "--region eu-west --dry-run".to_owned()),
        ("ZUUL_PROJECT", "acme/webapp".to_owned()),
        ("ZUUL_REF", format!("refs/zuul/master/Z{number}")),
        ("ZUUL_TOKEN", "0123456789abcdef".to_owned()),
        ("SHELL", "/bin/sh".to_owned()),
    ];
    Ok(Asked::Filter(JobAsked {
        controller: site::controller(),
        project: site::project(),
        function: FunctionName::new("build:deploy/webapp:linux")?,
        label: Some("linux".to_owned()),
        node: site::node(number % 50),
        named_labels: ["linux".to_owned()].into(),
        sent: sent.map(|(name, value)| Sent { name: name.to_owned(), value: SentValue::Shown(value) }).into(),
        client_asks_offline: false,
        sealed: None,
    }))
}
