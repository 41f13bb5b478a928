use serde_json::Value;

use super::node::mode;
use super::{View, hollow};
use crate::label;
use crate::simulator::tree::Selection;
use crate::simulator::world::Node;

impl View<'_> {
    /// Renders `/label/TEXT/api/json`. Any text is a label, and an unknown one that is negated is every node.
    pub(crate) fn label(&self, text: &str, selection: Selection<'_>) -> Value {
        let expression = label::Expression::lookup(text);
        let world = self.world;
        let is_atom = expression.atoms().into_iter().eq([text]);
        let nodes: Vec<&Node> = world
            .nodes
            .values()
            .filter(|node| !node.removed && expression.evaluate(|atom| world.has_label(node, atom)))
            .collect();
        let online = nodes.iter().filter(|node| node.is_online());
        let total: usize = online.clone().map(|node| node.executors.len()).sum();
        let busy: usize = nodes.iter().map(|node| node.busy_executors()).sum();
        let class = if is_atom { "hudson.model.labels.LabelAtom" } else { "hudson.model.labels.LabelExpression" };
        let bean = self
            .bean(class, selection)
            .list("actions", 1, std::iter::empty::<()>(), |(), _| Value::Null)
            .field("busyExecutors", busy)
            .list("clouds", 1, std::iter::empty::<()>(), |(), _| Value::Null)
            .field("description", Value::Null)
            .field("idleExecutors", total.saturating_sub(busy))
            .lazy("loadStatistics", 1, |inside| hollow("hudson.model.Label$1", self, inside))
            .shown("name", 2, text)
            .list("nodes", 1, nodes.iter(), |node, inside| self.node(node, inside))
            .field("offline", online.count() == 0)
            .list("tiedJobs", 1, std::iter::empty::<()>(), |(), _| Value::Null)
            .field("totalExecutors", total);
        match is_atom {
            true => bean.list("propertiesList", 1, std::iter::empty::<()>(), |(), _| Value::Null).done(),
            false => bean.done(),
        }
    }

    /// A node as it is configured, unlike the computer that it is.
    fn node(&self, node: &Node, selection: Selection<'_>) -> Value {
        let class = if node.is_built_in() { "hudson.model.Hudson" } else { "hudson.slaves.DumbSlave" };
        self.bean(class, selection)
            .list("assignedLabels", 1, self.labels_of(node), |label, inside| self.label_name(label, inside))
            .field("mode", mode(node.mode))
            .field("nodeDescription", node.description.as_str())
            .shown("nodeName", super::ALWAYS, node.name.as_str())
            .field("numExecutors", node.executor_count)
            .done()
    }
}
