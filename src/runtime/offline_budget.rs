//! How many nodes policies may take offline: a policy that is wrong must not empty a label.
//!
//! Going offline when a build starts and when it has ended costs the same, and one node that goes twice costs once. What
//! a client asks for with OFFLINE_NODE_WHEN_COMPLETE is not counted, nor what is for a single use. Kept in memory alone:
//! a restarted daemon begins with an unspent budget.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::{ControllerName, Node, NodeName};

use super::config::Config;
use super::status::LabelBudget;

/// For so long a node counts as offline although no picture shows it yet.
const NOT_SHOWN_YET: Duration = Duration::from_secs(30);

/// More refusals than these nobody reads at once.
const MOST_REFUSALS: usize = 100;

/// What was spent lately, and what was refused.
#[derive(Debug, Default)]
pub(super) struct OfflineBudget {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    spent: Vec<Spent>,
    refused: BTreeMap<(ControllerName, NodeName), Refused>,
}

#[derive(Debug)]
struct Spent {
    controller: ControllerName,
    node: NodeName,
    labels: BTreeSet<String>,
    at: Instant,
}

/// The latest wish about a node that was not granted.
#[derive(Debug)]
struct Refused {
    policy: String,
    limit: Limit,
    at: Instant,
}

/// Why a node stays online.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Limit {
    BuiltIn,
    LastOfLabel { label: String },
    TooMany { label: String, max: u32, window: Duration },
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BuiltIn => f.write_str("it is the controller's own node"),
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
    /// Takes what it costs that a policy takes a node offline, unless that is too much. Only labels that some project
    /// asks for count, and of these not the node's own name, of which it is always the last.
    pub(super) fn spend(
        &self,
        config: &Config,
        controller: &ControllerName,
        node: &Node,
        nodes: &[Node],
        named_labels: &BTreeSet<String>,
        policy: &str,
    ) -> Result<(), Limit> {
        let mut state = self.state();
        state.forget_old(config);
        let place = (controller.clone(), node.name.clone());
        match state.labels_to_pay_for(config, controller, node, nodes, named_labels) {
            Ok(labels) => {
                state.refused.remove(&place);
                let (controller, node) = place;
                state.spent.push(Spent { controller, node, labels, at: Instant::now() });
                Ok(())
            }
            Err(limit) => {
                if state.refused.len() < MOST_REFUSALS || state.refused.contains_key(&place) {
                    let refused = Refused { policy: policy.to_owned(), limit: limit.clone(), at: Instant::now() };
                    state.refused.insert(place, refused);
                }
                Err(limit)
            }
        }
    }

    /// Gives back what was taken last for a node that did not go, or that we have brought back.
    pub(super) fn give_back(&self, controller: &ControllerName, node: &NodeName) {
        let mut state = self.state();
        let latest = state.spent.iter().rposition(|spent| spent.controller == *controller && spent.node == *node);
        if let Some(latest) = latest {
            state.spent.remove(latest);
        }
    }

    /// Returns what was refused within the window, for people.
    pub(super) fn refusals(&self, config: &Config) -> Vec<String> {
        let mut state = self.state();
        state.forget_old(config);
        let told = |((controller, node), Refused { policy, limit, .. }): (&(ControllerName, NodeName), &Refused)| {
            format!("policy {policy} wanted node {node} of {controller} offline, and it stays online: {limit}")
        };
        state.refused.iter().map(told).collect()
    }

    /// Returns how many nodes of each label policies took offline within the window.
    pub(super) fn spent(&self, config: &Config) -> Vec<LabelBudget> {
        let mut state = self.state();
        state.forget_old(config);
        let mut taken: BTreeMap<(&ControllerName, &String), BTreeSet<&NodeName>> = BTreeMap::new();
        for spent in state.spent.iter().filter(|spent| spent.at.elapsed() < config.offline_window) {
            for label in &spent.labels {
                taken.entry((&spent.controller, label)).or_default().insert(&spent.node);
            }
        }
        let of = |((controller, label), nodes): ((&ControllerName, &String), BTreeSet<&NodeName>)| LabelBudget {
            controller: controller.clone(),
            label: label.clone(),
            taken: u32::try_from(nodes.len()).unwrap_or(u32::MAX),
        };
        taken.into_iter().map(of).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn forget_old(&mut self, config: &Config) {
        self.spent.retain(|spent| spent.at.elapsed() < config.offline_window.max(NOT_SHOWN_YET));
        self.refused.retain(|_, refused| refused.at.elapsed() < config.offline_window);
    }

    /// Returns the labels that count, if each of them has enough nodes left.
    fn labels_to_pay_for(
        &self,
        config: &Config,
        controller: &ControllerName,
        node: &Node,
        nodes: &[Node],
        named_labels: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>, Limit> {
        if node.name == NodeName::BuiltIn {
            return Err(Limit::BuiltIn);
        }
        let others = || self.spent.iter().filter(|spent| spent.controller == *controller && spent.node != node.name);
        let is_going =
            |other: &Node| others().any(|spent| spent.node == other.name && spent.at.elapsed() < NOT_SHOWN_YET);
        let own_name = node.name.as_reported();
        let counts = |label: &&String| **label != own_name;
        let labels: BTreeSet<String> = node.labels.intersection(named_labels).filter(counts).cloned().collect();
        for label in &labels {
            // A node without executors runs nothing in the place of this one.
            let stays = |other: &Node| {
                other.name != node.name
                    && other.is_online()
                    && other.executor_count > 0
                    && other.labels.contains(label)
                    && !is_going(other)
            };
            if !nodes.iter().any(stays) {
                return Err(Limit::LastOfLabel { label: label.clone() });
            }
            let (max, window) = (config.offline_max, config.offline_window);
            let lately = others().filter(|spent| spent.labels.contains(label) && spent.at.elapsed() < window);
            let taken: BTreeSet<&NodeName> = lately.map(|spent| &spent.node).collect();
            if max > 0 && taken.len() >= max as usize {
                return Err(Limit::TooMany { label: label.clone(), max, window });
            }
        }
        Ok(labels)
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
        budget.spend(&config, &ControllerName::new("ci"), node, nodes, &named, "p")
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

    fn config(max: u32) -> Config {
        Config { offline_max: max, offline_window: Duration::from_secs(600), ..Config::default() }
    }

    fn linux(count: usize) -> Vec<Node> {
        (0..count).map(|index| node(&format!("n{index}"), &["linux"])).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn the_built_in_node_never_goes() {
        let built_in = Node { executor_count: 1, ..Node::new(NodeName::BuiltIn) };
        let budget = OfflineBudget::default();
        assert_eq!(spend(&budget, 0, &built_in, &[built_in.clone(), node("a", &[])]), Err(Limit::BuiltIn));
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_can_run_nothing_takes_the_place_of_none() {
        let mut nodes = linux(2);
        nodes[1].executor_count = 0;
        let last = Err(Limit::LastOfLabel { label: "linux".to_owned() });
        assert_eq!(spend(&OfflineBudget::default(), 0, &nodes[0], &nodes), last);
    }

    #[tokio::test(start_paused = true)]
    async fn each_label_and_controller_has_its_own_count_and_one_node_counts_once() {
        let budget = OfflineBudget::default();
        let mut nodes = linux(4);
        nodes.extend((0..4).map(|index| node(&format!("g{index}"), &["gpu"])));
        for _ in 0..3 {
            assert_eq!(spend(&budget, 1, &nodes[0], &nodes), Ok(()), "reserved, and then taken offline");
        }
        assert!(spend(&budget, 1, &nodes[1], &nodes).is_err());
        assert_eq!(spend(&budget, 1, &nodes[4], &nodes), Ok(()), "another label");
        let elsewhere = ControllerName::new("elsewhere");
        let named = ["linux".to_owned()].into();
        assert_eq!(budget.spend(&config(1), &elsewhere, &nodes[1], &nodes, &named, "p"), Ok(()));
        let spent: Vec<_> = budget.spent(&config(1)).into_iter().map(|it| (it.label, it.taken)).collect();
        assert_eq!(spent, [("gpu".to_owned(), 1), ("linux".to_owned(), 1), ("linux".to_owned(), 1)]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_came_back_is_given_back_and_what_is_refused_is_told_for_a_while() {
        let (budget, nodes) = (OfflineBudget::default(), linux(4));
        assert_eq!(spend(&budget, 1, &nodes[0], &nodes), Ok(()));
        assert!(spend(&budget, 1, &nodes[1], &nodes).is_err());
        let told = budget.refusals(&config(1));
        assert!(told[0].starts_with("policy p wanted node n1 of ci offline, and it stays online: policies took 1"));
        budget.give_back(&ControllerName::new("ci"), &nodes[0].name);
        assert_eq!(spend(&budget, 1, &nodes[1], &nodes), Ok(()));
        assert!(budget.refusals(&config(1)).is_empty(), "it went after all");
        assert!(spend(&budget, 1, &nodes[2], &nodes).is_err());
        advance(Duration::from_secs(600)).await;
        assert!(budget.refusals(&config(1)).is_empty());
    }

    proptest::proptest! {
        #[test]
        fn whatever_policies_want_no_label_is_emptied_and_no_window_overspent(
            wishes in proptest::collection::vec((0_usize..6, 0_u64..400), 1..40),
            max in 0_u32..4,
        ) {
            let clock = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            clock.block_on(async {
                let budget = OfflineBudget::default();
                let mut nodes = linux(6);
                let mut went: Vec<(usize, Instant)> = Vec::new();
                for (wish, pause) in wishes {
                    advance(Duration::from_secs(pause)).await;
                    let node = nodes[wish].clone();
                    if spend(&budget, max, &node, &nodes).is_ok() {
                        nodes[wish].temporarily_offline = true;
                        went.push((wish, Instant::now()));
                    }
                    assert!(nodes.iter().any(Node::is_online));
                    let lately = went.iter().filter(|(_, at)| at.elapsed() < Duration::from_secs(600));
                    let lately: BTreeSet<usize> = lately.map(|(node, _)| *node).collect();
                    assert!(max == 0 || lately.len() <= max as usize, "{went:?}");
                }
            });
        }
    }
}
