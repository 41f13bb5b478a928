//! Labels of nodes on controllers whose lists do not tell them. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::{Node, NodeName};
use crate::jenkins::{Error, Instance};

/// What was read from the configuration of nodes, which is done once, and again now and then: an edited label shows
/// nowhere else.
#[derive(Debug, Default)]
pub(super) struct ConfiguredLabels {
    known: BTreeMap<NodeName, BTreeSet<String>>,
    errors: BTreeMap<NodeName, String>,
    /// Whose labels are still to be read, however many lists come in between.
    owed: BTreeSet<NodeName>,
    /// Whose labels cannot be read, until all are read again.
    refused: BTreeSet<NodeName>,
    session: Option<String>,
    due: Option<Instant>,
}

impl ConfiguredLabels {
    /// Completes listed nodes, and returns those to be asked after. A node whose labels are not known takes no build:
    /// half of its labels could match what all of them do not.
    pub(super) fn complete(
        &mut self,
        nodes: &mut [Node],
        instance: &Instance,
        asked_at: Instant,
        every: Duration,
    ) -> Vec<NodeName> {
        let has_restarted = self.session != instance.session;
        let all = has_restarted || self.due.is_none_or(|due| asked_at >= due);
        if all {
            self.session.clone_from(&instance.session);
            self.due = Some(asked_at + every);
            self.refused.clear();
        }
        let listed: BTreeSet<&NodeName> = nodes.iter().map(|node| &node.name).collect();
        self.known.retain(|name, _| listed.contains(name));
        self.errors.retain(|name, _| listed.contains(name));
        self.owed.retain(|name| listed.contains(name));
        self.refused.retain(|name| listed.contains(name));
        // The built-in node shows its configuration to nobody, and has its own name.
        for node in nodes.iter_mut().filter(|node| node.name != NodeName::BuiltIn) {
            let known = self.known.get(&node.name);
            if all || known.is_none() && !self.refused.contains(&node.name) {
                self.owed.insert(node.name.clone());
            }
            if let Some(labels) = known {
                node.labels.extend(labels.iter().cloned());
                continue;
            }
            let version = instance.version.as_deref().unwrap_or("before 2.94");
            let why = self.errors.get(&node.name).map_or("they are being read", String::as_str);
            (node.offline, node.temporarily_offline) = (true, false);
            node.offline_reason = Some(format!("jenkins {version} tells its labels in config.xml alone: {why}"));
        }
        self.owed.iter().cloned().collect()
    }

    /// Takes an answer in, and returns whether it changes anything.
    pub(super) fn take(&mut self, node: NodeName, answer: Result<BTreeSet<String>, Error>) -> bool {
        if !answer.as_ref().is_err_and(Error::is_transient) {
            self.owed.remove(&node);
        }
        match answer {
            Ok(labels) => {
                self.errors.remove(&node);
                self.known.insert(node, labels.clone()) != Some(labels)
            }
            Err(error) => {
                if !error.is_transient() {
                    self.refused.insert(node.clone());
                }
                let text = error.to_string();
                !self.known.contains_key(&node) && self.errors.insert(node, text.clone()) != Some(text)
            }
        }
    }
}
