//! What is told of a job.

use bytes::Bytes;
use serde::Serialize;
use serde_json::Value;

use crate::cli::{Exit, terminal};
use crate::domain::BuildResult;
use crate::gearman::client::Update;

/// What is told of a job, to people or to scripts.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(in crate::cli) enum Event {
    Submitted {
        handle: String,
        unique: String,
        server: String,
    },
    Data {
        data: Value,
        #[serde(skip)]
        bytes: Bytes,
    },
    Warning {
        data: Value,
    },
    Progress {
        numerator: u64,
        denominator: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        seconds_left: Option<u64>,
    },
    Missed {
        updates: u64,
    },
    /// Nothing comes after these.
    Complete {
        result: Option<BuildResult>,
        data: Value,
        #[serde(skip)]
        bytes: Bytes,
    },
    Fail,
    Exception {
        text: String,
    },
    Gone,
    ServerLost,
    Cancelled {
        handle: String,
    },
    Interrupted {
        handle: String,
        is_running: bool,
        /// The command that ends what goes on.
        to_end_it: Option<String>,
    },
}

impl Event {
    /// Returns what to exit with, if nothing comes after it.
    pub(in crate::cli) fn exit(&self) -> Option<Exit> {
        match self {
            Self::Complete { result: None | Some(BuildResult::Success), .. } | Self::Gone => Some(Exit::Ok),
            Self::Complete { .. } => Some(Exit::BuildNotSuccessful),
            Self::Fail | Self::Exception { .. } => Some(Exit::JobFailed),
            Self::ServerLost => Some(Exit::ServerUnreachable),
            Self::Cancelled { .. } | Self::Interrupted { .. } => Some(Exit::Interrupted),
            Self::Submitted { .. }
            | Self::Data { .. }
            | Self::Warning { .. }
            | Self::Progress { .. }
            | Self::Missed { .. } => None,
        }
    }

    /// Tells people: words about it, or the very bytes of a worker that speaks no JSON of ours.
    pub(super) fn tell_people(&self) -> std::io::Result<()> {
        match (self.line(), self) {
            (Some(line), _) => terminal::say(terminal::harmless(&line)),
            (None, Self::Data { bytes, .. } | Self::Complete { bytes, .. }) if !bytes.is_empty() => {
                terminal::say_bytes(bytes)
            }
            _ => Ok(()),
        }
    }

    /// Returns the line for people; none if what came speaks for itself, or says nothing.
    pub(in crate::cli) fn line(&self) -> Option<String> {
        Some(match self {
            Self::Submitted { handle, unique, server } => format!("submitted {handle} to {server} (unique {unique})"),
            Self::Data { data, .. } => Build::started(data)?.line(),
            Self::Warning { data } => format!("warning {}", plain(data)),
            // Progress is told as it goes.
            Self::Progress { .. } => return None,
            Self::Missed { updates } => format!("{updates} updates were not read in time"),
            Self::Complete { result: Some(result), data, .. } => match data["url"].as_str() {
                Some(url) => format!("{result} ({url})"),
                None => result.to_string(),
            },
            Self::Complete { result: None, .. } => return None,
            Self::Fail => "the job failed; the server gives no reason".to_owned(),
            Self::Exception { text } => format!("the job ended with an exception: {text}"),
            Self::Gone => "the job is gone from the server: it has ended, or the server was restarted".to_owned(),
            Self::ServerLost => "lost the Gearman server; the build, if there is one, goes on".to_owned(),
            Self::Cancelled { handle } => format!("cancelled {handle}"),
            Self::Interrupted { is_running: true, to_end_it: Some(command), .. } => {
                format!("waiting no longer; the job goes on. To end it: {command}")
            }
            Self::Interrupted { is_running: true, .. } => "waiting no longer; the job goes on".to_owned(),
            Self::Interrupted { .. } => {
                "waiting no longer; the server drops the job, which has not started, unless others wait for it"
                    .to_owned()
            }
        })
    }
}

impl From<Update> for Event {
    fn from(update: Update) -> Self {
        match update {
            Update::Data(bytes) => Self::Data { data: value(&bytes), bytes },
            Update::Warning(data) => Self::Warning { data: value(&data) },
            Update::Status { numerator, denominator } => Self::Progress { numerator, denominator, seconds_left: None },
            Update::Complete(bytes) => {
                let data = value(&bytes);
                Self::Complete { result: data["result"].as_str().and_then(BuildResult::from_word), data, bytes }
            }
            Update::Fail => Self::Fail,
            Update::Exception(text) => Self::Exception { text: String::from_utf8_lossy(&text).into_owned() },
            Update::ServerLost => Self::ServerLost,
        }
    }
}

/// A build that has started, as its worker tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Build {
    pub(super) name: String,
    pub(super) number: u64,
    pub(super) manager: Option<String>,
    worker: Option<String>,
    url: Option<String>,
}

impl Build {
    /// Reads what a worker sends when a build has started.
    pub(super) fn started(data: &Value) -> Option<Self> {
        let text = |field: &str| data[field].as_str().map(str::to_owned);
        let number = data["number"].as_u64()?;
        Some(Self { name: text("name")?, number, manager: text("manager"), worker: text("worker"), url: text("url") })
    }

    fn line(&self) -> String {
        let Self { name, number, manager, worker, url } = self;
        let at = manager.as_ref().map(|manager| format!(" of {manager}")).unwrap_or_default();
        let worker = worker.as_ref().map(|worker| format!(" through {worker}")).unwrap_or_default();
        let url = url.as_ref().map(|url| format!(" ({url})")).unwrap_or_default();
        format!("started {name} #{number}{at}{worker}{url}")
    }
}

/// Reads data as JSON if it is, else as text.
fn value(data: &Bytes) -> Value {
    serde_json::from_slice(data).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(data)))
}

fn plain(data: &Value) -> String {
    data.as_str().map_or_else(|| data.to_string(), str::to_owned)
}
