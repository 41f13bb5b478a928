use std::time::Duration;

use comfy_table::Table;

use super::arguments::ControlSocket;
use super::status::{columns, shortened};
use super::{Exit, terminal};
use crate::domain::{ControllerName, NodeName};
use crate::runtime::status::{NodeEntry, NodeState, Nodes, OurMark};

const LIST_EXAMPLES: &str = "\
Examples:
    layshaft nodes
    layshaft nodes --ours
    layshaft nodes --ours --json";

const EXAMPLES: &str = "\
Examples:
    layshaft node release gpu-4
    layshaft node release gpu-4 --controller ci1";

/// List nodes, and why they are offline if that is because of policies or clients of ours.
#[derive(Debug, clap::Args)]
#[command(after_help = LIST_EXAMPLES)]
pub(super) struct List {
    /// Only nodes that are offline because of us.
    #[arg(long)]
    ours: bool,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    socket: ControlSocket,
}

/// Change one node.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Change {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Bring a node back that is offline because of us; what others have marked stays.
    Release(Release),
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
struct Release {
    /// The node's name, as `layshaft nodes` shows it.
    node: NodeArgument,
    /// Whose node it is, if several controllers have one of that name.
    #[arg(long, value_name = "NAME")]
    controller: Option<String>,
    /// Answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    socket: ControlSocket,
}

#[derive(Clone, Debug)]
struct NodeArgument(NodeName);

impl std::str::FromStr for NodeArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("name a node; `layshaft nodes` lists them".to_owned());
        }
        Ok(Self(NodeName::from(text.to_owned())))
    }
}

impl List {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let mut nodes = self.socket.client()?.nodes().await?;
        if self.ours {
            nodes.nodes.retain(|node| node.ours.is_some());
        }
        if self.json {
            terminal::say_json(&nodes)?;
        } else {
            terminal::say(render(&nodes, self.ours))?;
        }
        Ok(Exit::Ok)
    }
}

impl Change {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let Action::Release(Release { node, controller, json, socket }) = &self.action;
        let controller = controller.clone().map(ControllerName::new);
        let released = socket.client()?.release(&node.0, controller.as_ref()).await?;
        if *json {
            terminal::say_json(&released)?;
        } else {
            terminal::say(format!("{} of {} is no longer marked offline", released.node, released.controller))?;
        }
        Ok(Exit::Ok)
    }
}

/// Returns nodes for people, and what policies may still take.
pub(super) fn render(nodes: &Nodes, only_ours: bool) -> String {
    let mut lines = Vec::new();
    if nodes.nodes.is_empty() {
        lines.push(if only_ours { "no node is offline because of us" } else { "no node was seen yet" }.to_owned());
    } else {
        lines.push(table(&nodes.nodes).to_string());
    }
    let window = humantime::format_duration(Duration::from_millis(nodes.offline_window_ms));
    for taken in &nodes.taken {
        let limit = match nodes.offline_max {
            0 => "no limit; see builds.offline_max".to_owned(),
            max => format!("of at most {max}"),
        };
        lines.push(format!(
            "policies took {} nodes with the label {} of {} offline within {window} ({limit})",
            taken.taken, taken.label, taken.controller
        ));
    }
    lines.extend(nodes.refused.iter().cloned());
    lines.join("\n")
}

fn table(nodes: &[NodeEntry]) -> Table {
    let mut table = columns(["NODE", "CONTROLLER", "STATE", "BUSY", "BECAUSE OF", "WHY", "BUILD", "SINCE"]);
    for node in nodes {
        let ours = node.ours.clone().unwrap_or_default();
        let text = ours.message.as_deref().or(node.reason.as_deref()).unwrap_or_default();
        table.add_row([
            node.name.to_string(),
            node.controller.to_string(),
            state(node),
            format!("{} of {}", node.busy, node.executors),
            because_of(node),
            or_dash(shortened(text)),
            or_dash(ours.build.map(|build| build.to_string()).unwrap_or_default()),
            or_dash(ours.since.map(|since| humantime::format_rfc3339_seconds(since).to_string()).unwrap_or_default()),
        ]);
    }
    table
}

fn state(node: &NodeEntry) -> String {
    match (node.state, &node.ours) {
        (NodeState::Online, _) => "online".to_owned(),
        (NodeState::Disconnected, _) => "disconnected".to_owned(),
        (NodeState::Marked, Some(OurMark { kind: Some(kind), .. })) if kind.is_policys() => kind.as_str().to_owned(),
        (NodeState::Marked, _) => "offline".to_owned(),
    }
}

fn because_of(node: &NodeEntry) -> String {
    match (&node.ours, node.state) {
        (Some(OurMark { policy: Some(policy), .. }), _) => format!("policy {policy}"),
        (Some(OurMark { kind: Some(_), .. }), _) => "a client".to_owned(),
        (Some(_), _) => "layshaft".to_owned(),
        (None, NodeState::Marked) => "others".to_owned(),
        (None, _) => "-".to_owned(),
    }
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}
