//! Which nodes are offline because of us, and how a person brings one back.
//!
//! A mark is known as ours by what is written on the node in Jenkins; the journal only tells more about it. Marks of
//! others are shown and never touched.

use std::collections::BTreeMap;

use tracing::info;

use super::build::mark::Mark;
use super::overview::millis;
use super::site::Site;
use super::status::{NodeEntry, NodeState, Nodes, OurMark, Released};
use super::{Error, Runtime};
use crate::domain::{ControllerName, Node, NodeName};
use crate::jenkins::{self, Clearing, Part};
use crate::journal::{self, MarkKind, OfflineMark};

/// Why a node is not released. The text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    #[error("no controller has a node {node}; `layshaft nodes` lists them")]
    Unknown { node: NodeName },
    #[error("{controller} has no node {node}; `layshaft nodes` lists them")]
    UnknownThere { controller: ControllerName, node: NodeName },
    #[error("no controller is called {0}; `layshaft status` lists them")]
    UnknownController(ControllerName),
    #[error("{node} is a node of {}; say which with --controller", listed(controllers))]
    Several { node: NodeName, controllers: Vec<ControllerName> },
    #[error("{node} of {controller} is not marked offline, so there is nothing to release")]
    NotMarked { controller: ControllerName, node: NodeName },
    #[error("{node} of {controller} is not marked offline but disconnected: its agent has to connect again")]
    Disconnected { controller: ControllerName, node: NodeName },
    #[error(
        "{node} of {controller} was not marked offline by us ({reason}); whoever did may bring it back, in Jenkins"
    )]
    NotOurs { controller: ControllerName, node: NodeName, reason: String },
    #[error("failed to bring {node} of {controller} back, and it stays marked: {error}")]
    Jenkins { controller: ControllerName, node: NodeName, error: jenkins::Error },
    #[error(transparent)]
    Journal(#[from] journal::Error),
}

type Marks = BTreeMap<(ControllerName, NodeName), OfflineMark>;

impl Runtime {
    /// Returns every node of every controller.
    pub async fn nodes(&self) -> Result<Nodes, Error> {
        let marks = marks(&self.site).await?;
        let config = self.site.config();
        let mut nodes = Vec::new();
        for (controller, name) in self.site.controllers().iter().map(|(name, controller)| (controller, name)) {
            let picture = controller.watcher.picture().borrow().clone();
            for node in picture.nodes.iter().flat_map(|nodes| nodes.value.iter()) {
                nodes.push(entry(name, node, marks.get(&(name.clone(), node.name.clone()))));
            }
        }
        Ok(Nodes {
            nodes,
            offline_max: config.offline_max,
            offline_window_ms: millis(config.offline_window),
            taken: self.site.offline_budget.spent(&config),
            refused: self.site.offline_budget.refusals(&config),
        })
    }

    /// Brings a node back that is offline because of us.
    ///
    /// # Errors
    ///
    /// If there is no such node, or several, or if it is not our mark that it has.
    pub async fn release(
        &self,
        node: &NodeName,
        controller: Option<&ControllerName>,
    ) -> Result<Released, ReleaseError> {
        let (name, seen) = self.find(node, controller)?;
        let known = marks(&self.site).await?.remove(&(name.clone(), node.clone()));
        let found = self.site.controller(&name);
        let found = found.ok_or_else(|| ReleaseError::UnknownController(name.clone()))?;
        let token = token_of(&seen, known.as_ref()).ok_or_else(|| not_ours(&name, &seen))?;
        // It looks once more, so that a mark that somebody has set meanwhile is left alone.
        match found.client.clear_offline(node, Some(&token)).await {
            Ok(Clearing::Cleared) => {}
            Ok(Clearing::WasNotMarked) => {
                self.site.forget_mark(&name, node).await;
                found.watcher.hurry(Part::Nodes);
                return Err(ReleaseError::NotMarked { controller: name, node: node.clone() });
            }
            Ok(Clearing::MarkedOtherwise { reason }) => {
                let reason = shown(reason.as_deref());
                return Err(ReleaseError::NotOurs { controller: name, node: node.clone(), reason });
            }
            Err(error) => return Err(ReleaseError::Jenkins { controller: name, node: node.clone(), error }),
        }
        info!(controller = %name, %node, "released a node that was offline because of us");
        self.site.forget_mark(&name, node).await;
        found.watcher.hurry(Part::Nodes);
        Ok(Released { controller: name, node: node.clone() })
    }

    /// Finds the one node that is meant, as it was last seen.
    fn find(&self, node: &NodeName, wanted: Option<&ControllerName>) -> Result<(ControllerName, Node), ReleaseError> {
        let controllers = self.site.controllers();
        if let Some(unknown) = wanted.filter(|name| !controllers.contains_key(*name)) {
            return Err(ReleaseError::UnknownController(unknown.clone()));
        }
        let mut found = Vec::new();
        for (name, controller) in controllers.iter().filter(|(name, _)| wanted.is_none_or(|wanted| wanted == *name)) {
            let picture = controller.watcher.picture().borrow().clone();
            let mut nodes = picture.nodes.iter().flat_map(|nodes| nodes.value.iter());
            found.extend(nodes.find(|seen| seen.name == *node).map(|seen| (name.clone(), seen.clone())));
        }
        match (found.len(), found.pop(), wanted) {
            (1, Some(only), _) => Ok(only),
            (_, None, None) => Err(ReleaseError::Unknown { node: node.clone() }),
            (_, None, Some(controller)) => {
                Err(ReleaseError::UnknownThere { controller: controller.clone(), node: node.clone() })
            }
            (_, Some(last), _) => {
                let controllers = found.into_iter().chain([last]).map(|(name, _)| name).collect();
                Err(ReleaseError::Several { node: node.clone(), controllers })
            }
        }
    }
}

async fn marks(site: &Site) -> Result<Marks, journal::Error> {
    let marks = site.journal.offline_marks().await?.into_iter();
    Ok(marks.map(|mark| ((mark.controller.clone(), mark.node.clone()), mark)).collect())
}

fn entry(controller: &ControllerName, node: &Node, known: Option<&OfflineMark>) -> NodeEntry {
    let state = match (node.temporarily_offline, node.offline) {
        (true, _) => NodeState::Marked,
        (false, true) => NodeState::Disconnected,
        (false, false) => NodeState::Online,
    };
    NodeEntry {
        controller: controller.clone(),
        name: node.name.clone(),
        state,
        reason: node.offline_reason.clone().filter(|reason| state != NodeState::Online && !reason.is_empty()),
        executors: node.executor_count,
        busy: u32::try_from(node.executors.iter().filter(|executor| !executor.idle).count()).unwrap_or(u32::MAX),
        ours: ours(node, known),
    }
}

/// Returns what is known of the mark on a node, if it is ours.
fn ours(node: &Node, known: Option<&OfflineMark>) -> Option<OurMark> {
    let token = token_of(node, known).filter(|_| node.temporarily_offline)?;
    let Some(known) = known.filter(|known| known.token == token) else { return Some(OurMark::default()) };
    Some(OurMark {
        kind: Some(known.kind),
        policy: known.policy.clone(),
        message: Some(known.message.clone()),
        build: known.build.clone(),
        since: Some(known.marked),
    })
}

/// Returns by what a mark of ours is known on a node that has one. What clients asked for is written in the plugin's own
/// words, so that only the journal tells whether it was us.
fn token_of(node: &Node, known: Option<&OfflineMark>) -> Option<String> {
    let reason = node.offline_reason.as_deref().filter(|_| node.temporarily_offline)?;
    if let Some(token) = Mark::token_on(reason) {
        return Some(token.to_owned());
    }
    known.filter(|known| known.kind == MarkKind::Client && Mark::is_of_client(reason)).map(|known| known.token.clone())
}

fn not_ours(controller: &ControllerName, node: &Node) -> ReleaseError {
    let (controller, name) = (controller.clone(), node.name.clone());
    match node {
        Node { temporarily_offline: true, .. } => {
            let reason = shown(node.offline_reason.as_deref());
            ReleaseError::NotOurs { controller, node: name, reason }
        }
        Node { offline: true, .. } => ReleaseError::Disconnected { controller, node: name },
        _ => ReleaseError::NotMarked { controller, node: name },
    }
}

fn shown(reason: Option<&str>) -> String {
    match reason.map(str::trim) {
        None | Some("") => "it shows no reason".to_owned(),
        Some(reason) => format!("{:.200}", reason.replace(char::is_control, " ")),
    }
}

fn listed(controllers: &[ControllerName]) -> String {
    let names: Vec<String> = controllers.iter().map(ToString::to_string).collect();
    names.join(" and ")
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    const TOKEN: &str = "[layshaft 0123456789ab]";

    fn node(reason: Option<&str>) -> Node {
        Node {
            offline: reason.is_some(),
            temporarily_offline: reason.is_some(),
            offline_reason: reason.map(str::to_owned),
            ..Node::new(NodeName::agent("a"))
        }
    }

    fn known(kind: MarkKind, token: &str) -> OfflineMark {
        OfflineMark {
            controller: ControllerName::new("ci"),
            node: NodeName::agent("a"),
            kind,
            policy: Some("p".to_owned()),
            message: "look".to_owned(),
            build: None,
            token: token.to_owned(),
            marked: SystemTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_mark_is_ours_if_the_node_says_so_and_the_journal_only_tells_more() {
        let client = Mark::of_client().token;
        let (held, asked) = (known(MarkKind::Held, TOKEN), known(MarkKind::Client, &client));
        let ours_text = format!("look {TOKEN}");
        let other_text = "look [layshaft ba9876543210]";
        for (reason, known, expected) in [
            (Some(ours_text.as_str()), Some(&held), Some(Some(MarkKind::Held))),
            (Some(other_text), Some(&held), Some(None)),
            (Some(ours_text.as_str()), None, Some(None)),
            (Some(client.as_str()), Some(&asked), Some(Some(MarkKind::Client))),
            (Some(client.as_str()), Some(&held), None),
            (Some(client.as_str()), None, None),
            (Some("maintenance"), Some(&held), None),
            (Some(""), Some(&asked), None),
            (None, Some(&held), None),
        ] {
            assert_eq!(ours(&node(reason), known).map(|ours| ours.kind), expected, "{reason:?}");
        }
    }

    #[test]
    fn what_is_not_ours_is_said_with_what_to_do() {
        let ci = ControllerName::new("ci");
        let away = Node { offline: true, ..node(None) };
        for (node, expected) in [
            (node(None), "a of ci is not marked offline, so there is nothing to release"),
            (away, "a of ci is not marked offline but disconnected: its agent has to connect again"),
            (
                node(Some("")),
                "a of ci was not marked offline by us (it shows no reason); whoever did may bring it back, in Jenkins",
            ),
            (
                node(Some("new\ndisk")),
                "a of ci was not marked offline by us (new disk); whoever did may bring it back, in Jenkins",
            ),
        ] {
            assert_eq!(not_ours(&ci, &node).to_string(), expected);
        }
    }
}
