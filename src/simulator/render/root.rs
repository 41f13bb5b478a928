use serde_json::Value;

use super::{View, hollow};
use crate::simulator::tree::Selection;
use crate::simulator::world::BUILT_IN;

impl View<'_> {
    /// Renders `/api/json`.
    pub(crate) fn root(&self, selection: Selection<'_>) -> Value {
        let world = self.world;
        let own = world.nodes.get(BUILT_IN);
        let own_labels = own.map(|node| self.labels_of(node)).unwrap_or_default();
        self.bean("hudson.model.Hudson", selection)
            .list("assignedLabels", 1, own_labels, |label, inside| self.label_name(label, inside))
            .field("mode", own.map(|node| super::node::mode(node.mode)))
            .field("nodeDescription", "the Jenkins controller's built-in node")
            .field("nodeName", "")
            .field("numExecutors", own.map(|node| node.executor_count))
            .field("description", Value::Null)
            .list("jobs", 1, self.readable_children(""), |(name, item), inside| self.item(name, item, inside))
            .lazy("overallLoad", 1, |inside| self.plain(inside).done())
            .lazy("primaryView", 1, |inside| self.view(inside))
            .field("quietDownReason", Value::Null)
            .field("quietingDown", world.quieting_down)
            .field("slaveAgentPort", -1)
            .lazy("unlabeledLoad", 1, |inside| hollow("jenkins.model.UnlabeledLoadStatistics", self, inside))
            .shown("url", 1, world.settings.root_url.as_str())
            .field("useCrumbs", world.settings.crumbs)
            .field("useSecurity", true)
            .list("views", 1, std::iter::once(()), |(), inside| self.view(inside))
            .done()
    }

    /// Renders `/me/api/json`.
    pub(crate) fn user(&self, selection: Selection<'_>) -> Value {
        let name = self.caller.user.name.as_str();
        self.bean("hudson.model.User", selection)
            .shown("absoluteUrl", 999, format!("{}user/{name}", self.world.settings.root_url))
            .field("description", Value::Null)
            .shown("fullName", 999, name)
            .shown("id", 999, name)
            .list("property", 1, std::iter::empty::<()>(), |(), _| Value::Null)
            .done()
    }

    fn view(&self, selection: Selection<'_>) -> Value {
        self.bean("hudson.model.AllView", selection)
            .shown("name", 999, "all")
            .shown("url", 999, self.world.settings.root_url.as_str())
            .done()
    }
}
