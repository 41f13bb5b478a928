//! Nodes with their executors, modes and offline marks.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::builds::Executable;
use super::{Lenient, List, Object, count};
use crate::domain::{Executor, Mode, Node, NodeName, RunningBuild};
use crate::jenkins::Error;

/// The same class on every version, whatever the node is called there.
const BUILT_IN_CLASS: &str = "hudson.model.Hudson$MasterComputer";

/// How many executors of one node are served; a number that no machine has must not become as many connections.
pub(in crate::jenkins) const MOST_EXECUTORS: u32 = 1000;

pub(in crate::jenkins) const NODES_TREE: &str = "computer[displayName,offline,temporarilyOffline,offlineCauseReason,\
    numExecutors,assignedLabels[name],\
    executors[idle,currentExecutable[number,url,timestamp,queueId,actions[parameters[name,value]]]],\
    oneOffExecutors[currentExecutable[number,url,timestamp,queueId,actions[parameters[name,value]]]]]";
pub(in crate::jenkins) const MODES_TREE: &str = "nodes[nodeName,mode]";
pub(in crate::jenkins) const OFFLINE_MARK_TREE: &str = "temporarilyOffline,offlineCauseReason";
pub(in crate::jenkins) const NODE_EXISTS_TREE: &str = "offline";
pub(in crate::jenkins) const CONNECT_PERMISSION_TREE: &str = "computer[displayName,offline,absoluteRemotePath]";

#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::jenkins) struct Computers {
    computer: List<Computer>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(in crate::jenkins) struct Computer {
    #[serde(rename = "_class")]
    class: Lenient<String>,
    display_name: Lenient<String>,
    offline: Lenient<bool>,
    temporarily_offline: Lenient<bool>,
    offline_cause_reason: Lenient<String>,
    num_executors: Lenient<i64>,
    assigned_labels: List<Label>,
    executors: List<Slot>,
    one_off_executors: List<Slot>,
    /// Told to those who have Agent/Connect, of agents that are online.
    absolute_remote_path: Lenient<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Label {
    name: Lenient<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Slot {
    idle: Lenient<bool>,
    current_executable: Object<Executable>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(in crate::jenkins) struct LabelledNodes {
    nodes: List<LabelledNode>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct LabelledNode {
    node_name: Lenient<String>,
    mode: Lenient<String>,
}

/// Whether a node is marked, and with which words.
#[derive(Debug)]
pub(in crate::jenkins) struct OfflineMark {
    pub(in crate::jenkins) temporarily_offline: bool,
    pub(in crate::jenkins) reason: Option<String>,
}

pub(in crate::jenkins) fn nodes(computers: Computers, path: &str) -> Result<Vec<Node>, Error> {
    computers
        .computer
        .read(path, node)
        .ok_or_else(|| Error::Malformed { path: path.to_owned(), detail: "there is no list of nodes in it".to_owned() })
}

/// Returns whether the user has Agent/Connect; none if no agent is online to tell.
pub(in crate::jenkins) fn may_connect(computers: Computers) -> Option<bool> {
    let is_agent = |computer: &&Computer| computer.class.0.as_deref().is_some_and(|class| class != BUILT_IN_CLASS);
    let computers = computers.computer.0.unwrap_or_default();
    let online = || computers.iter().filter(is_agent).filter(|computer| computer.offline.0 == Some(false));
    online().next()?;
    Some(online().any(|computer| computer.absolute_remote_path.0.is_some()))
}

pub(in crate::jenkins) fn modes(labelled: LabelledNodes) -> BTreeMap<NodeName, Mode> {
    let known = |node: LabelledNode| {
        let mode = match node.mode.0?.as_str() {
            "EXCLUSIVE" => Mode::Exclusive,
            _ => Mode::Normal,
        };
        Some((node_name(node.node_name.0?), mode))
    };
    labelled.nodes.into_iter().filter_map(known).collect()
}

pub(in crate::jenkins) fn offline_mark(computer: Computer) -> OfflineMark {
    OfflineMark {
        temporarily_offline: computer.temporarily_offline.0.unwrap_or(false),
        reason: computer.offline_cause_reason.0.filter(|reason| !reason.is_empty()),
    }
}

/// Reads a name as builds and nodes have it, where the built-in node has none.
pub(super) fn node_name(name: String) -> NodeName {
    if name.is_empty() { NodeName::BuiltIn } else { NodeName::Agent(name) }
}

/// Returns none for a node without a name.
pub(super) fn node(computer: Computer) -> Option<Node> {
    let display_name = computer.display_name.0.filter(|name| !name.is_empty());
    let name = match (computer.class.0.as_deref(), display_name) {
        (Some(BUILT_IN_CLASS), _) => NodeName::BuiltIn,
        // Before 2.0 no class is told, and the built-in node is called so in English.
        (None, Some(name)) if name == "master" => NodeName::BuiltIn,
        (_, name) => NodeName::Agent(name?),
    };
    let executors: Vec<_> = computer.executors.into_iter().map(executor).collect();
    let mark = (computer.temporarily_offline.0, computer.offline.0);
    // Every node has at least its own name as a label. One that was removed stays listed without any until its builds
    // are over, connected and perhaps with idle executors, and nothing else ever starts there.
    let is_removed = computer.assigned_labels.0.as_ref().is_some_and(Vec::is_empty);
    Some(Node {
        labels: labels(&name, computer.assigned_labels),
        name,
        // A node that does not say so may not be promised to anybody.
        offline: is_removed || mark.1.unwrap_or(true),
        temporarily_offline: !is_removed && mark.0.unwrap_or(false),
        offline_reason: computer.offline_cause_reason.0.filter(|reason| !reason.is_empty()),
        mode: Mode::Normal,
        executor_count: count(computer.num_executors)
            .unwrap_or(executors.len() as u64)
            .try_into()
            .map_or(MOST_EXECUTORS, |count: u32| count.min(MOST_EXECUTORS)),
        executors,
        flyweights: computer.one_off_executors.into_iter().filter_map(running).collect(),
    })
}

/// Before 2.94 labels are not told at all, but a node's own name is always one of them.
fn labels(name: &NodeName, assigned: List<Label>) -> BTreeSet<String> {
    match (assigned.0, name) {
        (Some(labels), _) => labels.into_iter().filter_map(|label| label.name.0).collect(),
        (None, NodeName::BuiltIn) => BTreeSet::from(["master".to_owned()]),
        (None, NodeName::Agent(name)) => BTreeSet::from([name.clone()]),
    }
}

fn executor(slot: Slot) -> Executor {
    // Unless it says that it is idle, it may be running a build that is hidden from us.
    Executor { idle: slot.idle.0.unwrap_or(false), build: running(slot) }
}

fn running(slot: Slot) -> Option<RunningBuild> {
    slot.current_executable.0.and_then(Executable::running)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{BuildId, ProjectName, QueueItemId};
    use crate::jenkins::wire::decode;

    #[test]
    fn a_node_has_no_more_executors_than_can_be_served() {
        for (told, counted) in
            [("1", 1), ("999", 999), ("1001", 1000), ("4294967295", 1000), ("9223372036854775807", 1000)]
        {
            let body = format!(r#"{{"displayName": "a", "offline": false, "numExecutors": {told}}}"#);
            assert_eq!(node(serde_json::from_str(&body).unwrap()).unwrap().executor_count, counted, "{told}");
        }
    }

    fn read(body: &str) -> Vec<Node> {
        nodes(decode(body.as_bytes(), "/computer").unwrap(), "/computer").unwrap()
    }

    #[test]
    fn the_built_in_node_is_known_by_its_class_and_not_by_its_localised_name() {
        let nodes = read(
            r#"{"computer": [
                {"_class": "hudson.model.Hudson$MasterComputer", "displayName": "Eingebauter Knoten", "offline": false,
                 "assignedLabels": [{"name": "built-in"}]},
                {"_class": "hudson.slaves.SlaveComputer", "displayName": "master", "offline": false}]}"#,
        );
        assert_eq!(nodes[0].name, NodeName::BuiltIn);
        assert_eq!(nodes[0].labels, BTreeSet::from(["built-in".to_owned()]));
        assert_eq!(nodes[1].name, NodeName::agent("master"));
        assert_eq!(nodes[1].labels, BTreeSet::from(["master".to_owned()]));
    }

    #[test]
    fn busy_is_what_an_executor_says_even_if_its_build_is_hidden() {
        let nodes = read(
            r#"{"computer": [{"_class": "hudson.slaves.SlaveComputer", "displayName": "a", "offline": false,
                "numExecutors": 5, "executors": [{"idle": true, "currentExecutable": null},
                {"idle": false, "currentExecutable": null}, {}, null]}]}"#,
        );
        let idle: Vec<_> = nodes[0].executors.iter().map(|executor| executor.idle).collect();
        assert_eq!(idle, [true, false, false]);
        assert_eq!(nodes[0].executor_count, 5);
    }

    #[test]
    fn running_builds_are_named_by_the_end_of_their_address() {
        let nodes = read(
            r#"{"computer": [{"_class": "hudson.slaves.SlaveComputer", "displayName": "a", "offline": false,
                "executors": [
                  {"idle": false, "currentExecutable": {"_class": "hudson.model.FreeStyleBuild", "number": 12,
                   "url": "http://other/ci/job/team/job/feature%252Fx/12/", "timestamp": 5, "queueId": 7,
                   "actions": [{}, {"parameters": [{"name": "UUID", "value": "u"}]}]}},
                  {"idle": false, "currentExecutable": {"url": "http://ci/job/M/AXIS=v/3/", "queueId": -1}},
                  {"idle": false, "currentExecutable": {"url": null, "number": 3}},
                  {"idle": false, "currentExecutable": {"_class": "x.PlaceholderTask$PlaceholderExecutable",
                   "number": 4, "url": "http://ci/job/pipe/4/"}}],
                "oneOffExecutors": [{"number": -1, "idle": false,
                   "currentExecutable": {"url": "http://ci/job/M/3/", "queueId": -1}}, {}]}]}"#,
        );
        let build = |project: &str, number| BuildId { project: ProjectName::new(project), number };
        let builds: Vec<_> = nodes[0].executors.iter().map(|executor| executor.build.clone()).collect();
        assert_eq!(
            builds[0],
            Some(RunningBuild {
                id: build("team/feature%2Fx", 12),
                queue_id: Some(QueueItemId(7)),
                started_ms: Some(5),
                parameters: [("UUID", "u")].into_iter().collect(),
            })
        );
        assert_eq!(builds[1..3], [None, None]);
        assert_eq!(builds[3].as_ref().map(|running| running.id.clone()), Some(build("pipe", 4)));
        let flyweights: Vec<_> = nodes[0].flyweights.iter().map(|running| (&running.id, running.queue_id)).collect();
        assert_eq!(flyweights, [(&build("M", 3), None)]);
    }

    #[test]
    fn agent_connect_is_told_by_agents_that_are_online_alone() {
        let agent = |name: &str, offline: bool, path: &str| {
            format!(
                r#"{{"_class": "hudson.slaves.SlaveComputer", "displayName": "{name}", "offline": {offline}, "absoluteRemotePath": {path}}}"#
            )
        };
        let own = r#"{"_class": "hudson.model.Hudson$MasterComputer", "displayName": "x", "offline": false, "absoluteRemotePath": "/y"}"#;
        for (computers, told) in [
            (vec![own.to_owned()], None),
            (vec![agent("a", true, "null")], None),
            (vec![own.to_owned(), agent("a", false, "null"), agent("b", true, "\"/x\"")], Some(false)),
            (vec![agent("a", false, "null"), agent("b", false, "\"/x\"")], Some(true)),
        ] {
            let body = format!(r#"{{"computer": [{}]}}"#, computers.join(","));
            assert_eq!(may_connect(decode(body.as_bytes(), "/").unwrap()), told, "{body}");
        }
    }

    #[test]
    fn a_node_that_does_not_say_whether_it_is_online_is_not() {
        let nodes = read(r#"{"computer": [{"displayName": "a"}, {"displayName": ""}, {}, null]}"#);
        assert_eq!(nodes.len(), 1);
        assert!(!nodes[0].is_online());
    }

    #[test]
    fn a_removed_node_that_still_builds_is_offline_and_shows_its_build() {
        let nodes = read(
            r#"{"computer": [{"_class": "hudson.slaves.SlaveComputer", "displayName": "a", "offline": false,
                "temporarilyOffline": true, "assignedLabels": [], "numExecutors": 2, "executors": [{"idle": true},
                {"idle": false, "currentExecutable": {"number": 3, "url": "http://ci/job/lint/3/"}}]}]}"#,
        );
        let node = &nodes[0];
        assert_eq!((node.is_online(), node.offline, node.temporarily_offline), (false, true, false));
        assert_eq!(node.builds().count(), 1);
    }

    #[test]
    fn an_answer_without_the_list_is_not_an_empty_list() {
        for body in ["{}", r#"{"computer": null}"#, r#"{"computer": {}}"#] {
            assert!(nodes(decode(body.as_bytes(), "/x").unwrap(), "/x").is_err(), "{body}");
        }
        assert!(read(r#"{"computer": []}"#).is_empty());
    }

    #[test]
    fn modes_are_read_by_node_name_with_the_built_in_node_nameless() {
        let body = r#"{"_class": "hudson.model.labels.LabelExpression$Not", "nodes": [
            {"nodeName": "", "mode": "EXCLUSIVE"}, {"nodeName": "a", "mode": "NORMAL"}, {"nodeName": "b"}, {}]}"#;
        let modes = modes(decode(body.as_bytes(), "/x").unwrap());
        assert_eq!(modes, BTreeMap::from([(NodeName::BuiltIn, Mode::Exclusive), (NodeName::agent("a"), Mode::Normal)]));
    }
}
