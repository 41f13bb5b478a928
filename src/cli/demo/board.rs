//! What was submitted, what came of it, and whether that is what was promised.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, bail};
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::gearman::client::{Submission, Submitted, Update};

use super::super::status::columns;
use super::fleet;
use super::site::Site;

#[derive(Debug, Default, Serialize)]
pub(super) struct Board {
    rows: Vec<Row>,
    /// Builds in the controllers that no job of ours asked for, or that one job got twice.
    surplus: usize,
    offline: Vec<String>,
    #[serde(skip)]
    jobs: JoinSet<anyhow::Result<Row>>,
    #[serde(skip)]
    submitted: u32,
    /// How many of them have become builds.
    #[serde(skip)]
    started: watch::Sender<u32>,
}

/// One job.
#[derive(Debug, Serialize)]
struct Row {
    unique: String,
    function: String,
    controller: String,
    build: String,
    node: String,
    result: String,
}

impl Board {
    pub(super) async fn submit(&mut self, site: &Site, count: u32) -> anyhow::Result<()> {
        let functions = fleet::functions(self.submitted > 0);
        for index in 0..count {
            let unique = format!("demo-{:04}", self.submitted);
            // One single-use node serves one deployment.
            let mut function = functions[index as usize % functions.len()];
            if index >= 8 && function == "build:deploy" {
                function = "build:lint";
            }
            let submission = Submission {
                function: function.into(),
                unique: unique.clone().into(),
                payload: serde_json::json!({ "ZUUL_UUID": unique, "CHANGE": "1,2", "DEBUG_LEVEL": "9" })
                    .to_string()
                    .into(),
                ..Submission::default()
            };
            let job = site.client.submit(submission).await?;
            self.jobs.spawn(follow(job, unique, function.to_owned(), self.started.clone()));
            self.submitted += 1;
        }
        Ok(())
    }

    /// Waits until everything that was submitted has become a build.
    pub(super) async fn wait_until_started(&self, patience: Duration) -> anyhow::Result<()> {
        let mut started = self.started.subscribe();
        let all = started.wait_for(|&started| started >= self.submitted);
        timeout(patience, all).await.context("a job never became a build")??;
        Ok(())
    }

    pub(super) async fn wait(&mut self, patience: Duration) -> anyhow::Result<()> {
        while let Some(row) = timeout(patience, self.jobs.join_next()).await.context("a build never ended")? {
            self.rows.push(row??);
        }
        self.rows.sort_by(|a, b| a.unique.cmp(&b.unique));
        Ok(())
    }

    /// Holds what the clients heard against what the controllers did.
    pub(super) fn count(&mut self, site: &Site) {
        let mut started: BTreeMap<String, usize> = BTreeMap::new();
        for build in site.controllers.values().flat_map(|controller| controller.builds()) {
            *started.entry(build.parameters.get("ZUUL_UUID").unwrap_or_default().to_owned()).or_default() += 1;
        }
        let wanted = |unique: &str| usize::from(self.rows.iter().any(|row| row.unique == unique));
        self.surplus = started.iter().map(|(unique, &times)| times.saturating_sub(wanted(unique))).sum();
    }

    pub(super) fn note_offline(&mut self, site: &Site) {
        let nodes = site.controllers.values().flat_map(|controller| controller.nodes());
        self.offline = nodes
            .filter(|node| node.temporarily_offline)
            .map(|node| format!("{} ({})", node.name, node.offline_reason.unwrap_or_default()))
            .collect();
    }

    pub(super) fn is_as_promised(&self) -> bool {
        self.surplus == 0
            && self.rows.len() == self.submitted as usize
            && self.rows.iter().all(|row| row.result == "SUCCESS")
    }

    pub(super) fn table(&self) -> String {
        let mut table = columns(["JOB", "FUNCTION", "CONTROLLER", "BUILD", "NODE", "RESULT"]);
        for row in &self.rows {
            table.add_row([&row.unique, &row.function, &row.controller, &row.build, &row.node, &row.result]);
        }
        table.to_string()
    }

    pub(super) fn summary(&self) -> String {
        let mut per_controller: BTreeMap<&str, usize> = BTreeMap::new();
        for row in &self.rows {
            *per_controller.entry(&row.controller).or_default() += 1;
        }
        let shares: Vec<String> = per_controller.iter().map(|(name, count)| format!("{count} on {name}")).collect();
        let lost = self.submitted as usize - self.rows.len();
        let shares = shares.join(", ");
        let count = format!("\n{} jobs: {shares}. Lost: {lost}. Started twice: {}.", self.submitted, self.surplus);
        let offline = self.offline.iter().map(|node| format!("Taken offline by policy: {node}."));
        [count].into_iter().chain(offline).collect::<Vec<_>>().join("\n")
    }
}

async fn follow(
    mut job: Submitted,
    unique: String,
    function: String,
    started: watch::Sender<u32>,
) -> anyhow::Result<Row> {
    let report: serde_json::Value = loop {
        match job.next().await {
            Some(Update::Data(_)) => started.send_modify(|started| *started += 1),
            Some(Update::Complete(data)) => break serde_json::from_slice(&data)?,
            Some(update) if update.is_last() => bail!("{function} ({unique}) ended with {update:?}"),
            Some(_) => {}
            None => bail!("{function} ({unique}) was forgotten by the server"),
        }
    };
    let text = |key: &str| report[key].as_str().unwrap_or("-").to_owned();
    let number = report["number"].as_u64().unwrap_or(0);
    Ok(Row {
        unique,
        function,
        controller: text("manager"),
        build: format!("{} #{number}", text("name")),
        node: text("node_name"),
        result: text("result"),
    })
}
