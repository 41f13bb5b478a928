//! What people and scripts see of a running daemon. Plain data, the same for the control channel and the terminal.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::domain::{BuildId, ControllerName, FunctionName, NodeName, ProjectName, QueueItemId};
use crate::jenkins::Part;
use crate::journal::MarkKind;
use crate::policy::SlotStatus;

/// Everything at one moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    pub version: String,
    pub mode: Mode,
    /// Empty when jobs are taken; else why not.
    pub not_ready: Vec<String>,
    /// Each Gearman server.
    pub gearman: Vec<GearmanStatus>,
    pub generation: u64,
    pub controllers: Vec<ControllerStatus>,
    /// How many nodes offer each function.
    pub functions: BTreeMap<FunctionName, FunctionStatus>,
    /// Names that policies no longer give, and that are offered for a while all the same; among the functions too.
    #[serde(default)]
    pub kept: Vec<KeptName>,
    pub builds: Vec<BuildStatus>,
    /// How many jobs ended how since the daemon runs: complete, fail, exception, handed_back.
    #[serde(default)]
    pub jobs: BTreeMap<String, u64>,
    pub policies: Vec<SlotStatus>,
    /// What clients sent and Jenkins dropped; among the notes too.
    #[serde(default)]
    pub undeclared: Vec<UndeclaredParameters>,
    pub notes: Vec<String>,
}

/// Parameters that clients sent to a project which does not declare them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndeclaredParameters {
    pub controller: ControllerName,
    pub project: ProjectName,
    pub names: BTreeSet<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    #[default]
    Serving,
    /// No job is taken; running builds and management go on.
    Paused,
    /// As paused, and the daemon ends with its last build.
    Draining,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GearmanStatus {
    pub server: String,
    /// What it is; none until it has answered for the first time.
    pub kind: Option<String>,
    pub connections: usize,
    pub connected: usize,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ControllerStatus {
    pub name: ControllerName,
    pub host: String,
    pub serve: bool,
    /// It is not gone: its functions are on offer.
    pub reachable: bool,
    /// What is known of it is recent enough for jobs to be taken on it.
    pub fresh: bool,
    pub quieting_down: bool,
    pub jenkins_version: Option<String>,
    /// How old the picture of its nodes is.
    pub age_ms: Option<u64>,
    /// What is wrong with it, and what to do.
    pub trouble: Option<String>,
    /// How old what is known of it is, part by part.
    pub pictures: Vec<PictureStatus>,
    pub projects: usize,
    pub nodes: Vec<NodeStatus>,
}

/// What is known of one part of a controller.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PictureStatus {
    pub part: Part,
    /// How long ago the request left whose answer is the newest; none if there was none yet.
    pub age_ms: Option<u64>,
    /// T: within which time a change of this part is seen while the controller answers well.
    pub bound_ms: u64,
    /// Why it cannot be read now.
    pub error: Option<String>,
    /// For how long it could not be read.
    pub failing_for_ms: Option<u64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeStatus {
    pub name: NodeName,
    pub online: bool,
    pub offline_reason: Option<String>,
    pub executors: u32,
    /// Busy in Jenkins, whoever started the build.
    pub busy: u32,
    pub functions: usize,
    pub workers: Vec<WorkerStatus>,
}

/// A worker, with a connection to each Gearman server.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkerStatus {
    pub client_id: String,
    /// To one server at least.
    pub connected: bool,
    pub state: WorkerState,
    /// The function of its job.
    pub function: Option<FunctionName>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkerState {
    /// Has a lease, and asks for jobs.
    Grabbing,
    /// No executor is free for it.
    Waiting,
    Running,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FunctionStatus {
    pub project: ProjectName,
    pub nodes: usize,
}

/// A function name that policies no longer give, and that stays for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptName {
    pub function: FunctionName,
    pub project: ProjectName,
    /// How many jobs wait for it at the Gearman servers; none as long as not all of them have said so.
    pub jobs: Option<u64>,
    /// Why it stays.
    pub why: String,
    /// It goes then, whatever waits.
    pub until: SystemTime,
}

/// Every node, and what policies may still take offline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nodes {
    pub nodes: Vec<NodeEntry>,
    /// `builds.offline_max`: how many nodes of a label policies may take offline within the window; 0 for any number.
    pub offline_max: u32,
    pub offline_window_ms: u64,
    /// How many they took within it. What is for a single use is not counted, nor what clients asked for.
    pub taken: Vec<LabelBudget>,
    /// What they wanted within the window and did not get.
    pub refused: Vec<String>,
}

/// How many nodes of a label policies took offline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelBudget {
    pub controller: ControllerName,
    pub label: String,
    pub taken: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeEntry {
    pub controller: ControllerName,
    pub name: NodeName,
    pub state: NodeState,
    /// What Jenkins shows.
    pub reason: Option<String>,
    pub executors: u32,
    /// Busy in Jenkins, whoever started the build.
    pub busy: u32,
    /// If it is offline because of us, why.
    pub ours: Option<OurMark>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeState {
    Online,
    /// Somebody has marked it temporarily offline.
    Marked,
    /// Its agent is not connected.
    Disconnected,
}

/// Why a node is offline because of us. What an earlier daemon did not write down is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OurMark {
    pub kind: Option<MarkKind>,
    /// The policy that wanted it; none if a client did.
    pub policy: Option<String>,
    pub message: Option<String>,
    /// The build after which, or during which, it was marked.
    pub build: Option<BuildId>,
    pub since: Option<SystemTime>,
}

/// A node that is offline no more because of us.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    pub controller: ControllerName,
    pub node: NodeName,
}

/// A build of ours that has not been delivered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BuildStatus {
    pub function: FunctionName,
    pub unique: String,
    pub controller: ControllerName,
    pub project: ProjectName,
    pub node: Option<NodeName>,
    pub worker: Option<String>,
    pub state: BuildState,
    pub queue_item: Option<QueueItemId>,
    pub number: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BuildState {
    Starting,
    Queued,
    Running,
    /// It has ended, and its result waits for the server to hand the job out again.
    Undelivered,
}
