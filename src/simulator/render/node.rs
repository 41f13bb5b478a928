use serde_json::Value;

use super::{View, hollow};
use crate::domain::Mode;
use crate::simulator::auth::Permission;
use crate::simulator::tree::Selection;
use crate::simulator::world::{Node, Occupant, OfflineMark};

impl View<'_> {
    /// Renders `/computer/api/json`.
    pub(crate) fn computers(&self, selection: Selection<'_>) -> Value {
        let nodes = self.world.nodes.values();
        let busy: usize = nodes.clone().map(Node::busy_executors).sum();
        let total: usize = nodes.clone().filter(|node| node.is_online()).map(|node| node.executors.len()).sum();
        self.bean("hudson.model.ComputerSet", selection)
            .field("busyExecutors", busy)
            .inline_list("computer", nodes.filter(|node| self.is_listed(&node.name)), |node, inside| {
                self.computer(node, inside)
            })
            .field("displayName", "Nodes")
            .field("totalExecutors", total)
            .done()
    }

    pub(crate) fn computer(&self, node: &Node, selection: Selection<'_>) -> Value {
        let version = self.world.settings.version;
        let class =
            if node.is_built_in() { "hudson.model.Hudson$MasterComputer" } else { "hudson.slaves.SlaveComputer" };
        let mut bean = self.bean(class, selection).list("actions", 1, std::iter::empty::<()>(), |(), _| Value::Null);
        if version.exports_labels() {
            bean = bean
                .list("assignedLabels", 1, self.labels_of(node), |label, inside| self.label_name(label, inside))
                .field("description", node.description.as_str());
        }
        let cause = node.mark.as_ref().or(node.disconnected.as_ref());
        let display_name = self.world.node_display_name(node);
        // An agent may be called anything.
        let display_name =
            if node.is_built_in() { self.language.say(display_name.to_owned()) } else { display_name.to_owned() };
        bean.field("displayName", display_name)
            .list("executors", 1, node.executors.iter(), |(number, occupant), inside| {
                self.executor(i64::from(*number), occupant.as_ref(), inside)
            })
            .field("icon", if node.is_online() { "symbol-computer" } else { "symbol-computer-offline" })
            .field("idle", node.is_idle())
            .field("jnlpAgent", !node.is_built_in())
            .field("launchSupported", node.is_built_in())
            .lazy("loadStatistics", 1, |inside| hollow("hudson.model.Label$1", self, inside))
            .field("manualLaunchAllowed", true)
            .lazy("monitorData", 1, |inside| self.plain(inside).done())
            .field("numExecutors", node.executor_count)
            // A node that was removed in mid-build is still connected.
            .field("offline", node.mark.is_some() || node.disconnected.is_some())
            .lazy("offlineCause", 1, |inside| cause.map_or(Value::Null, |cause| self.offline_cause(cause, inside)))
            .field("offlineCauseReason", cause.map(reason).unwrap_or_default())
            .list("oneOffExecutors", 1, node.one_offs.iter(), |occupant, inside| {
                self.executor(-1, Some(occupant), inside)
            })
            .field("temporarilyOffline", node.mark.is_some())
            .field("absoluteRemotePath", self.remote_path(node))
            .done()
    }

    /// Only who may connect an agent sees where it keeps its files, and only while it is connected.
    fn remote_path(&self, node: &Node) -> Option<&'static str> {
        let is_connected = !node.is_built_in() && node.disconnected.is_none();
        (is_connected && self.caller.may(Permission::AgentConnect)).then_some("/var/lib/jenkins")
    }

    /// Returns the labels that the API shows: the configured ones and the node's own.
    pub(super) fn labels_of<'n>(&self, node: &'n Node) -> Vec<&'n str>
    where
        Self: 'n,
    {
        if node.removed {
            return Vec::new();
        }
        let own = if node.is_built_in() {
            own_label(self.world.settings.version.calls_own_node_built_in())
        } else {
            &node.name
        };
        let configured = node.labels.iter().map(String::as_str).filter(|label| *label != own);
        configured.chain([own]).collect()
    }

    pub(super) fn label_name(&self, label: &str, selection: Selection<'_>) -> Value {
        self.plain(selection).shown("name", 2, label).done()
    }

    /// A build that the caller may not read is hidden; that its executor is busy is not.
    fn executor(&self, number: i64, occupant: Option<&Occupant>, selection: Selection<'_>) -> Value {
        let progress = if occupant.is_some() { 50 } else { -1 };
        self.plain(selection)
            .lazy("currentExecutable", 1, |inside| {
                occupant.and_then(|occupant| self.executable(occupant, inside)).unwrap_or(Value::Null)
            })
            .lazy("currentWorkUnit", 1, |inside| occupant.map_or(Value::Null, |_| self.plain(inside).done()))
            .field("idle", occupant.is_none())
            .field("likelyStuck", false)
            .field("number", number)
            .field("progress", progress)
            .done()
    }

    fn executable(&self, occupant: &Occupant, selection: Selection<'_>) -> Option<Value> {
        match occupant {
            Occupant::Pending { .. } => None,
            Occupant::Build { project, number } => {
                let found = self.world.project(project).filter(|_| self.caller.may_read(project))?;
                Some(self.build(found, found.builds.get(number)?, selection))
            }
            Occupant::Placeholder { project, number } => {
                let build = self.world.build(project, *number).filter(|_| self.caller.may_read(project))?;
                Some(self.placeholder(project, build, selection))
            }
        }
    }

    fn offline_cause(&self, mark: &OfflineMark, selection: Selection<'_>) -> Value {
        let description = match mark.reason.as_str() {
            "" => format!("Disconnected by {}", mark.user),
            reason => format!("Disconnected by {} : {}", mark.user, escape(reason)),
        };
        self.bean("hudson.slaves.OfflineCause$UserCause", selection)
            .field("description", self.language.say(description))
            .field("timestamp", mark.at)
            .done()
    }
}

pub(super) fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Normal => "NORMAL",
        Mode::Exclusive => "EXCLUSIVE",
    }
}

fn own_label(is_called_built_in: bool) -> &'static str {
    if is_called_built_in { "built-in" } else { "master" }
}

/// Jenkins finds the reason behind the last ` : ` of the description, and escapes it.
fn reason(mark: &OfflineMark) -> String {
    escape(mark.reason.rsplit(" : ").next().unwrap_or_default())
}

pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#039;"),
            other => escaped.push(other),
        }
    }
    escaped
}
