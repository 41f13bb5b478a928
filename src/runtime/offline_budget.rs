//! How many nodes policies may take offline: a policy that is wrong must not empty a label.
//!
//! What a client asks for with OFFLINE_NODE_WHEN_COMPLETE is not counted, nor what is for a single use. Kept in memory
//! alone: a restarted daemon begins with an unspent budget.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::{ControllerName, Node, NodeName};

use super::config::Config;

/// For so long a node counts as offline although no picture shows it yet.
const NOT_SHOWN_YET: Duration = Duration::from_secs(30);

/// What was spent lately.
#[derive(Debug, Default)]
pub(super) struct OfflineBudget {
    spent: Mutex<Vec<Spent>>,
}

#[derive(Debug)]
struct Spent {
    controller: ControllerName,
    node: NodeName,
    labels: BTreeSet<String>,
    at: Instant,
}

/// Why a node stays online.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    LastOfLabel { label: String },
    TooMany { label: String, max: u32, window: Duration },
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LastOfLabel { label } => write!(f, "it is the last node online that has the label {label}"),
            Self::TooMany { label, max, window } => write!(
                f,
                "policies took {max} nodes with the label {label} offline within {}, which is builds.offline_max",
                humantime::format_duration(*window)
            ),
        }
    }
}

impl OfflineBudget {
    /// Takes what one node costs, unless that is too much. Only labels that some project asks for count, and of these
    /// not the node's own name, of which it is always the last.
    pub(super) fn spend(
        &self,
        config: &Config,
        controller: &ControllerName,
        node: &Node,
        nodes: &[Node],
        named_labels: &BTreeSet<String>,
    ) -> Result<(), Limit> {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        spent.retain(|spent| spent.at.elapsed() < config.offline_window.max(NOT_SHOWN_YET));
        let of_ours = || spent.iter().filter(|spent| spent.controller == *controller && spent.node != node.name);
        let is_going =
            |other: &Node| of_ours().any(|spent| spent.node == other.name && spent.at.elapsed() < NOT_SHOWN_YET);
        let labels: BTreeSet<String> = node
            .labels
            .intersection(named_labels)
            .filter(|label| **label != node.name.as_reported())
            .cloned()
            .collect();
        for label in &labels {
            let stays = |other: &Node| {
                other.name != node.name && other.is_online() && other.labels.contains(label) && !is_going(other)
            };
            if !nodes.iter().any(stays) {
                return Err(Limit::LastOfLabel { label: label.clone() });
            }
            let lately = spent.iter().filter(|spent| {
                spent.controller == *controller
                    && spent.labels.contains(label)
                    && spent.at.elapsed() < config.offline_window
            });
            let max = config.offline_max;
            if max > 0 && lately.count() >= max as usize {
                return Err(Limit::TooMany { label: label.clone(), max, window: config.offline_window });
            }
        }
        spent.push(Spent { controller: controller.clone(), node: node.name.clone(), labels, at: Instant::now() });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    fn node(name: &str, labels: &[&str]) -> Node {
        let labels = labels.iter().copied().chain([name]).map(str::to_owned).collect();
        Node { labels, executor_count: 1, ..Node::new(NodeName::agent(name)) }
    }

    fn spend(budget: &OfflineBudget, max: u32, node: &Node, nodes: &[Node]) -> Result<(), Limit> {
        let config = Config { offline_max: max, offline_window: Duration::from_secs(600), ..Config::default() };
        let named = ["linux", "gpu", "a", "b", "c"].map(str::to_owned).into();
        budget.spend(&config, &ControllerName::new("ci"), node, nodes, &named)
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_node_of_a_label_that_projects_ask_for_stays() {
        let budget = OfflineBudget::default();
        let (a, b, c) = (node("a", &["linux", "gpu"]), node("b", &["linux", "unnamed"]), node("c", &["unnamed"]));
        let nodes = [a.clone(), b.clone(), c.clone()];
        assert_eq!(spend(&budget, 0, &a, &nodes), Err(Limit::LastOfLabel { label: "gpu".to_owned() }));
        assert_eq!(spend(&budget, 0, &c, &nodes), Ok(()), "nobody asks for its labels but by name");
        let mut away = a.clone();
        away.temporarily_offline = true;
        let last = Err(Limit::LastOfLabel { label: "linux".to_owned() });
        assert_eq!(spend(&budget, 0, &b, &[away, b.clone()]), last);
        assert_eq!(spend(&budget, 0, &b, &nodes), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_nodes_that_go_at_the_same_time_one_stays() {
        let budget = OfflineBudget::default();
        let nodes = [node("a", &["linux"]), node("b", &["linux"])];
        assert_eq!(spend(&budget, 0, &nodes[0], &nodes), Ok(()));
        assert!(spend(&budget, 0, &nodes[1], &nodes).is_err(), "no picture shows the first one offline yet");
        advance(NOT_SHOWN_YET).await;
        assert_eq!(spend(&budget, 0, &nodes[1], &nodes), Ok(()), "somebody has brought the first one back");
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_than_so_many_nodes_of_a_label_go_within_the_window() {
        let budget = OfflineBudget::default();
        let nodes: Vec<Node> = (0..9).map(|index| node(&format!("n{index}"), &["linux"])).collect();
        assert_eq!(spend(&budget, 2, &nodes[0], &nodes), Ok(()));
        advance(Duration::from_secs(300)).await;
        assert_eq!(spend(&budget, 2, &nodes[1], &nodes), Ok(()));
        let error = spend(&budget, 2, &nodes[2], &nodes).unwrap_err();
        assert!(error.to_string().contains("took 2 nodes with the label linux offline within 10m"), "{error}");
        advance(Duration::from_secs(300)).await;
        assert_eq!(spend(&budget, 2, &nodes[2], &nodes), Ok(()));
    }
}
