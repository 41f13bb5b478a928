use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tracing::{debug, warn};

use super::{MOST_LOOK_UPS, Round, Source};
use crate::domain::{Node, NodeName};
use crate::jenkins::poll::board::Board;
use crate::jenkins::poll::configured_labels::ConfiguredLabels;
use crate::jenkins::poll::gathered::Gathered;
use crate::jenkins::poll::look_ups::LookUps;
use crate::jenkins::poll::memory::Memory;
use crate::jenkins::poll::picture::{Part, Seen};
use crate::jenkins::wire::MOST_EXECUTORS;
use crate::jenkins::{Answer, Error, Instance, release};

/// How long the first picture waits for the modes of nodes; a controller that lists its nodes sooner can tell them too.
const MODES_PATIENCE: Duration = Duration::from_secs(10);

/// Nodes with what runs on them.
pub(in crate::jenkins::poll) struct NodesRound<S> {
    source: S,
    board: Arc<Board>,
    memory: Memory<NodeName, Node>,
    existence: LookUps<NodeName, bool>,
    /// For controllers before 2.94.
    configured: ConfiguredLabels,
    configurations: LookUps<NodeName, BTreeSet<String>>,
    gathered: Gathered,
    /// Which process gave the newest list, and when it was asked for.
    newest: (Instance, Instant),
}

impl<S: Source> NodesRound<S> {
    pub(in crate::jenkins::poll) fn new(source: S, board: Arc<Board>) -> Self {
        let memory = Memory::new(|node: &Node| &node.name);
        let newest = (Instance::default(), Instant::now());
        Self {
            source,
            board,
            memory,
            existence: LookUps::new(),
            configured: ConfiguredLabels::default(),
            configurations: LookUps::new(),
            gathered: Gathered::default(),
            newest,
        }
    }

    fn take_existence(&mut self, node: &NodeName, answer: Result<bool, Error>) {
        match answer {
            Ok(true) => self.memory.confirm(node),
            Ok(false) => {
                if self.memory.forget(node) {
                    self.show();
                }
            }
            Err(error) => debug!(%node, %error, "failed to look for a node that is missing from the list"),
        }
    }

    /// Says once of a node that it has more executors than are served.
    fn warn_of_capped(&self, nodes: &[Node]) {
        let is_capped = |node: &&Node| node.executor_count >= MOST_EXECUTORS;
        let known: BTreeSet<&NodeName> = self.memory.listed().iter().filter(is_capped).map(|node| &node.name).collect();
        for node in nodes.iter().filter(is_capped).filter(|node| !known.contains(&node.name)) {
            warn!(node = %node.name, "no more than {MOST_EXECUTORS} executors of a node are served");
        }
    }

    fn show(&self) {
        let (instance, asked_at) = &self.newest;
        let listed = self.memory.listed().to_vec();
        self.board.show(instance, *asked_at, |picture| Seen::renew(&mut picture.nodes, listed, *asked_at));
    }
}

impl<S: Source> Round for NodesRound<S> {
    const PART: Part = Part::Nodes;

    fn interval(&self) -> Duration {
        self.board.intervals().nodes
    }

    async fn look(&mut self, asked_at: Instant) -> Result<(), Error> {
        let Answer { value: mut nodes, instance } = self.source.nodes().await?;
        let version = instance.version.as_deref();
        if release::is_too_old(version) {
            return Err(Error::TooOld { version: version.unwrap_or_default().to_owned() });
        }
        if release::lacks_labels(version) {
            let every = self.board.intervals().parameters;
            self.configurations.want(self.configured.complete(&mut nodes, &instance, asked_at, every));
        }
        // Only the first round waits here: a reserved node must not pass for an open one in the meantime.
        let patience = if self.memory.listed().is_empty() { MODES_PATIENCE } else { Duration::ZERO };
        let modes = timeout(patience, self.board.modes()).await.unwrap_or_default();
        for node in &mut nodes {
            node.mode = modes.get(&node.name).copied().unwrap_or_default();
        }
        self.warn_of_capped(&nodes);
        self.memory.take_in(nodes, &self.existence.open());
        self.newest = (instance, asked_at);
        self.show();
        self.existence.want(self.memory.missing().into_iter().take(MOST_LOOK_UPS));
        Ok(())
    }

    async fn look_up(&mut self) {
        let source = &self.source;
        let exists = |node: NodeName| {
            let source = source.clone();
            async move { source.has_node(&node).await }
        };
        let labels = |node: NodeName| {
            let source = source.clone();
            async move { source.configured_labels(&node).await }
        };
        // Both arms are cancel safe.
        tokio::select! {
            (node, answer) = self.existence.next(exists) => self.take_existence(&node, answer),
            (node, answer) = self.configurations.next(labels) => {
                let is_changed = self.configured.take(node, answer);
                self.gathered.note(is_changed);
            }
        }
        if self.gathered.take(self.configurations.is_idle(), Instant::now()) {
            // The list knows what else is so of them.
            self.board.hurry(Part::Nodes);
        }
    }
}
