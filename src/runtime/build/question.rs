//! What policies are asked about one job, and how: away from the runtime's own threads.

use std::sync::Arc;

use tracing::info;

use crate::domain::{FunctionName, Node, Parameters, Project};
use crate::policy;

use super::Task;
use super::request::Request;

impl Task<'_> {
    /// Asks the policies which parameters pass.
    pub(super) async fn filter(&self, project: &Project, node: &Node, request: &Request) -> Result<Parameters, String> {
        let question = self.question(project, node, &request.parameters, request.offline_wanted);
        let generation = Arc::clone(&self.generation);
        let filtered = off_the_runtime(move || generation.filter(&question.request())).await;
        match filtered {
            policy::Filtered::Pass { parameters, dropped, .. } => {
                for (parameter, reason) in dropped {
                    info!(project = %project.name, %parameter, %reason, "policy dropped a parameter");
                }
                Ok(parameters)
            }
            policy::Filtered::Rejected { slot, reason } => Err(format!("rejected by policy {slot}: {reason}")),
            policy::Filtered::Failed { slot, reason } => {
                Err(format!("policy {slot} failed, so no build was started: {reason}"))
            }
        }
    }

    pub(super) fn question(&self, project: &Project, node: &Node, sent: &Parameters, offline_wanted: bool) -> Question {
        Question {
            controller: self.controller.for_policies.clone(),
            project: project.clone(),
            function: self.attempt.function.clone(),
            label: self.label(),
            node: node.clone(),
            world: Arc::clone(&self.site.view.borrow().snapshot.world),
            requested: sent.clone(),
            client_asks_offline: offline_wanted,
        }
    }

    fn label(&self) -> Option<String> {
        let name = self.attempt.function.as_str().strip_prefix("build:")?;
        Some(name.strip_prefix(self.attempt.offered_as.as_str())?.strip_prefix(':')?.to_owned())
    }
}

/// What policies are asked with about one job, owned, since they are asked on another thread.
pub(super) struct Question {
    controller: policy::Controller,
    project: Project,
    function: FunctionName,
    label: Option<String>,
    node: Node,
    world: Arc<policy::World>,
    requested: Parameters,
    client_asks_offline: bool,
}

impl Question {
    pub(super) fn request(&self) -> policy::Request<'_> {
        policy::Request {
            controller: &self.controller,
            project: &self.project,
            function: &self.function,
            label: self.label.as_deref(),
            node: &self.node,
            named_labels: &self.world.named_labels,
            requested: &self.requested,
            client_asks_offline: self.client_asks_offline,
        }
    }
}

/// Runs policies where they cannot hold up the runtime's own threads.
pub(super) async fn off_the_runtime<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => answer,
        // The runtime shuts down, and the build's task ends with it; the next start goes on from the journal.
        Err(error) if error.is_cancelled() => std::future::pending().await,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}
