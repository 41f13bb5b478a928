//! What a client is told about its build, as JSON.

use crate::classic::report::{Report, WorkerDetails};
use crate::domain::{Build, BuildResult, Node, NodeName};

use super::Task;

impl Task<'_> {
    /// Writes the JSON that clients read at the start and at the end. Where a pipeline runs is often not known before
    /// its end, and that is the node on which it ran last.
    pub(super) fn report(&self, build: &Build, node: Option<&Node>, result: Option<BuildResult>) -> Vec<u8> {
        Report {
            number: Some(build.id.number),
            url: build.url.clone(),
            result,
            node_name: node.map(|node| node.name.as_reported().to_owned()),
            node_labels: node.map(|node| node.labels.clone()),
            details: self.worker_details(node),
            ..self.report_base()
        }
        .to_json()
    }

    /// What Zuul shows about whoever runs a build; a node's name is the closest to the name of its host.
    fn worker_details(&self, node: Option<&Node>) -> WorkerDetails {
        let host = match node.map(|node| &node.name) {
            Some(NodeName::Agent(name)) => name,
            Some(NodeName::BuiltIn) | None => &self.controller.host,
        };
        WorkerDetails {
            worker_name: Some(self.attempt.worker.clone()),
            worker_hostname: Some(host.clone()),
            worker_program: Some(env!("CARGO_PKG_NAME").to_owned()),
            worker_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
            ..WorkerDetails::default()
        }
    }

    pub(super) fn report_base(&self) -> Report {
        Report {
            name: self.attempt.offered_as.clone(),
            manager: self.controller.host.clone(),
            worker: self.attempt.worker.clone(),
            ..Report::default()
        }
    }
}
