use crate::domain::BuildResult;
use crate::simulator::fleet::ParameterKind;

/// A build: a freestyle, maven or matrix build, one configuration of a matrix, or a run of a pipeline.
#[derive(Clone, Debug)]
pub(crate) struct Build {
    pub(crate) number: u64,
    pub(crate) queue_id: u64,
    /// When it was scheduled, which is what Jenkins exports as its time.
    pub(crate) scheduled: u64,
    pub(crate) started: u64,
    /// When it stopped building.
    pub(crate) ended: Option<u64>,
    pub(crate) in_progress: bool,
    pub(crate) result: Option<BuildResult>,
    pub(crate) parameters: Vec<Value>,
    pub(crate) causes: Vec<Cause>,
    pub(crate) description: Option<String>,
    /// How often it was asked to stop.
    pub(crate) stops: u32,
    /// Where it runs or ran: its executor, or the node that carries it without one.
    pub(crate) place: Place,
    pub(crate) log: String,
    /// The configurations of a matrix that have not ended.
    pub(crate) open_configurations: u32,
    /// The pipeline step that is queued or runs, and where it runs.
    pub(crate) step: usize,
    pub(crate) step_place: Option<Place>,
    pub(crate) last_step_node: Option<String>,
    /// When the running step ends, unless by hand.
    pub(crate) step_until: Option<u64>,
}

/// How a build is told to end. The stronger ones are for pipelines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    Stop,
    Terminate,
    Kill,
}

/// A node, and the number of one of its executors; none means a one-off executor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) node: String,
    pub(crate) executor: Option<u32>,
}

/// A parameter's value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Value {
    pub(crate) name: String,
    pub(crate) kind: ParameterKind,
    pub(crate) value: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    User {
        id: String,
    },
    /// A trigger with the project's token.
    Remote {
        address: String,
        note: String,
    },
    Timer,
    Upstream {
        project: String,
        number: u64,
    },
}

impl Build {
    pub(crate) fn is_building(&self) -> bool {
        self.ended.is_none()
    }

    pub(crate) fn duration(&self) -> u64 {
        self.ended.map_or(0, |ended| ended.saturating_sub(self.started))
    }
}

impl Cause {
    pub(crate) fn short_description(&self) -> String {
        match self {
            Self::User { id } => format!("Started by user {id}"),
            Self::Remote { address, note } if note.is_empty() => format!("Started by remote host {address}"),
            Self::Remote { address, note } => format!("Started by remote host {address} with note: {note}"),
            Self::Timer => "Started by timer".to_owned(),
            Self::Upstream { project, number } => {
                format!("Started by upstream project \"{project}\" build number {number}")
            }
        }
    }
}
