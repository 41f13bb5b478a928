//! Where a build runs, remembered while it does: when it has ended no picture shows it any more, and its node may be
//! gone as well.
//!
//! A pipeline has no node of its own, but those on which its parts show, and these change. Parts that begin and end
//! between two pictures are never seen.

use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::domain::{Build, BuildId, Node, NodeName, ProjectKind};

use super::{Task, now_ms};

/// How often pictures are looked at when none is published.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// What was seen of one build.
#[derive(Debug, Default)]
pub(super) struct Whereabouts {
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The build as its own page showed it last.
    page: Option<Build>,
    /// The nodes on whose executors it, or parts of it, showed last; without what else ran there.
    nodes: Vec<Node>,
}

impl Whereabouts {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in where a build shows, and returns whether it ever did.
    fn take_in(&self, nodes: &[Node], build: &BuildId) -> bool {
        let mut seen = self.lock();
        seen.take_in(nodes, build);
        !seen.nodes.is_empty()
    }

    /// Returns the node that the build's page names.
    fn built_on(&self) -> Option<NodeName> {
        self.lock().page.as_ref().and_then(|page| page.built_on.clone())
    }

    fn remembered(&self, name: &NodeName) -> Option<Node> {
        self.lock().nodes.iter().find(|node| node.name == *name).cloned()
    }

    /// Returns how long the build has run, or ran.
    pub(super) fn duration(&self) -> Duration {
        let seen = self.lock();
        let Some(page) = &seen.page else { return Duration::ZERO };
        match page.in_progress {
            true => Duration::from_millis(now_ms().saturating_sub(page.started_ms)),
            false => page.duration,
        }
    }
}

impl Seen {
    /// Takes in where a build shows; a picture in which it shows nowhere changes nothing.
    fn take_in(&mut self, nodes: &[Node], build: &BuildId) {
        let runs_it = |node: &&Node| {
            node.executors.iter().any(|executor| executor.build.as_ref().is_some_and(|shown| shown.id == *build))
        };
        let mut shown: Vec<Node> = nodes.iter().filter(runs_it).map(stripped).collect();
        if shown.is_empty() {
            return;
        }
        for node in shown.iter_mut().filter(|node| node.labels.is_empty()) {
            // It was removed from the configuration, and its labels with it.
            if let Some(known) = self.nodes.iter().find(|known| known.name == node.name) {
                node.labels.clone_from(&known.labels);
            }
        }
        self.nodes = shown;
    }
}

impl Task<'_> {
    /// Keeps track of where the build runs, for as long as this is awaited.
    pub(super) async fn watch(&self, kind: ProjectKind) -> Infallible {
        let mut pictures = self.pictures();
        loop {
            let picture = pictures.latest();
            let build = self.attempt.progress.borrow().build.clone();
            if let (Some(nodes), Some(build)) = (&picture.nodes, build) {
                let is_found = self.whereabouts.take_in(&nodes.value, &build);
                if is_found && kind != ProjectKind::Pipeline {
                    // Nothing else moves.
                    std::future::pending::<()>().await;
                }
            }
            pictures.changed(LOOK_AGAIN).await;
        }
    }

    /// Takes in a build's page, and returns the node on which the build runs, or ran last. None for a pipeline that was
    /// seen nowhere yet.
    pub(super) fn node_of(&self, build: &Build) -> Option<Node> {
        let picture = self.picture();
        {
            let mut seen = self.whereabouts.lock();
            if let Some(nodes) = &picture.nodes {
                seen.take_in(&nodes.value, &build.id);
            }
            seen.page = Some(build.clone());
            if build.built_on.is_none() {
                return seen.nodes.first().cloned();
            }
        }
        let name = build.built_on.as_ref()?;
        Some(self.node_now_or_then(name))
    }

    /// Returns the nodes that a build has used, when it comes to what becomes of them; at the end of a pipeline those on
    /// which it ran last.
    ///
    /// The built-in node carries every pipeline and most matrix projects: no build that only was carried there is a
    /// reason to touch it.
    pub(super) fn nodes_used(&self, kind: ProjectKind) -> Vec<Node> {
        let grabbed_for = &self.attempt.grabbed_for;
        let is_agent = |node: &Node| node.name != NodeName::BuiltIn;
        match kind {
            ProjectKind::Pipeline => {
                let seen = self.whereabouts.lock().nodes.clone();
                seen.into_iter().filter(is_agent).collect()
            }
            ProjectKind::Matrix => {
                let carrier = self.whereabouts.built_on().filter(|name| *name != NodeName::BuiltIn);
                let node = self.node(carrier.as_ref().unwrap_or(grabbed_for));
                node.into_iter().filter(is_agent).collect()
            }
            _ => {
                let real = self.attempt.progress.borrow().node.clone();
                let node = self.node(real.as_ref().unwrap_or(grabbed_for));
                // One that was removed in mid-build has no labels any more, and nothing to be marked on.
                node.into_iter().filter(|node| !node.labels.is_empty()).collect()
            }
        }
    }

    /// Returns a node as it is now or, if it is gone, as it was when the build showed there.
    fn node_now_or_then(&self, name: &NodeName) -> Node {
        let now = self.node(name).filter(|node| !node.labels.is_empty());
        now.or_else(|| self.whereabouts.remembered(name)).unwrap_or_else(|| unseen(name))
    }
}

/// Returns a node without what runs there.
fn stripped(node: &Node) -> Node {
    let Node { name, offline, temporarily_offline, offline_reason, mode, labels, executor_count, .. } = node;
    Node {
        offline: *offline,
        temporarily_offline: *temporarily_offline,
        offline_reason: offline_reason.clone(),
        mode: *mode,
        labels: labels.clone(),
        executor_count: *executor_count,
        ..Node::new(name.clone())
    }
}

/// Returns what is certain of a node that was gone before it was seen: its name, which is one of its labels.
fn unseen(name: &NodeName) -> Node {
    let own_label = match name {
        NodeName::BuiltIn => None,
        NodeName::Agent(name) => Some(name.clone()),
    };
    Node { offline: true, labels: own_label.into_iter().collect(), ..Node::new(name.clone()) }
}

#[cfg(test)]
mod tests {
    use crate::domain::{Executor, Parameters, ProjectName, RunningBuild};

    use super::*;

    fn build() -> BuildId {
        BuildId { project: ProjectName::new("deploy"), number: 3 }
    }

    fn node(name: &str, labels: &[&str], runs_it: bool) -> Node {
        let build = runs_it.then(|| RunningBuild {
            id: build(),
            queue_id: None,
            started_ms: None,
            parameters: Parameters::new(),
        });
        Node {
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            executors: vec![Executor { idle: !runs_it, build }],
            ..unseen(&NodeName::agent(name))
        }
    }

    #[track_caller]
    fn check(pictures: &[&[Node]], expected: &[(&str, &[&str])]) {
        let mut seen = Seen::default();
        for picture in pictures {
            seen.take_in(picture, &build());
        }
        let known: Vec<_> = seen
            .nodes
            .iter()
            .map(|node| (node.name.as_reported(), node.labels.iter().map(String::as_str).collect::<Vec<_>>()))
            .collect();
        assert_eq!(known, expected.iter().map(|(name, labels)| (*name, labels.to_vec())).collect::<Vec<_>>());
    }

    #[test]
    fn the_nodes_on_which_a_build_showed_last_are_remembered_with_their_labels() {
        let on = |a: bool, b: bool| [node("a", &["a", "x"], a), node("b", &["b"], b)];
        check(&[&on(false, false)], &[]);
        check(&[&on(true, false), &on(false, false)], &[("a", &["a", "x"])]);
        check(&[&on(true, false), &on(false, true)], &[("b", &["b"])]);
        check(&[&on(true, true), &[]], &[("a", &["a", "x"]), ("b", &["b"])]);
        // Removed in mid-build, and listed without its labels.
        check(&[&on(true, false), &[node("a", &[], true)]], &[("a", &["a", "x"])]);
    }
}
