use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value};

use super::arguments::JobServer;
use super::{Exit, manage, terminal};
use crate::domain::BuildResult;
use crate::gearman::client::{Client, Submission, Update};
use crate::gearman::{Endpoint, Priority};

/// The longest payload that any server takes from us.
const LONGEST_PAYLOAD: u64 = 64 << 20;

/// How often a background job is asked after.
const PAUSE: Duration = Duration::from_secs(1);

/// Submit a job, and wait for its build.
#[derive(Debug, clap::Args)]
pub(super) struct Submit {
    /// The function, such as build:PROJECT or build:PROJECT:LABEL.
    function: String,
    /// A build parameter; may be given several times.
    #[arg(long = "param", short = 'p', value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<(String, String)>,
    /// Send this file as it is instead of parameters; - reads the standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "parameters")]
    payload_file: Option<PathBuf>,
    /// The job's unique id, which also ties the build to the job [default: a random one].
    #[arg(long, value_name = "ID")]
    unique: Option<String>,
    #[arg(long, value_enum, default_value_t)]
    priority: Precedence,
    /// Do not wait: the job goes on without anybody.
    #[arg(long)]
    background: bool,
    /// Wait for the end, which is the default; with --background, ask after the job until it is gone. Its result is
    /// then not known here.
    #[arg(long)]
    wait: bool,
    /// Print one JSON object per event.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: JobServer,
}

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Precedence {
    High,
    #[default]
    Normal,
    Low,
}

/// What is told of a job. Nothing comes after the last four.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum Event {
    Submitted { handle: String, unique: String },
    Data { data: Value },
    Warning { data: Value },
    Progress { numerator: u64, denominator: u64 },
    Missed { updates: u64 },
    Complete { result: Option<BuildResult>, data: Value },
    Fail,
    Exception { text: String },
    Gone,
    ServerLost,
}

impl Submit {
    pub(super) async fn run(&self) -> anyhow::Result<Exit> {
        let payload = self.payload()?;
        let unique = self.unique.clone().unwrap_or_else(random_unique);
        let server = self.server.endpoint()?;
        let client = manage::connect(&server).await?;
        self.warn_if_nobody_offers(&server).await;
        let submission = Submission {
            function: Bytes::from(self.function.clone()),
            unique: Bytes::from(unique.clone()),
            payload,
            priority: self.priority.into(),
            background: self.background,
        };
        let mut job = manage::submit(&client, submission).await?;
        let handle = String::from_utf8_lossy(job.handle()).into_owned();
        self.tell(&Event::Submitted { handle, unique })?;
        if self.background {
            return if self.wait { self.wait_until_gone(&client, job.handle()).await } else { Ok(Exit::Ok) };
        }
        let mut missed = 0;
        while let Some(update) = job.next().await {
            if job.missed() > missed {
                self.tell(&Event::Missed { updates: job.missed() - missed })?;
                missed = job.missed();
            }
            let event = Event::from(update);
            self.tell(&event)?;
            if let Some(exit) = event.exit() {
                return Ok(exit);
            }
        }
        self.tell(&Event::ServerLost)?;
        Ok(Exit::ServerUnreachable)
    }

    fn payload(&self) -> anyhow::Result<Bytes> {
        if let Some(file) = &self.payload_file {
            return read(file).with_context(|| format!("failed to read the payload from {}", file.display()));
        }
        let parameters: Map<String, Value> =
            self.parameters.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect();
        Ok(Bytes::from(Value::Object(parameters).to_string()))
    }

    /// A job that nobody offers waits for ever without a word; so here is one.
    async fn warn_if_nobody_offers(&self, server: &Endpoint) {
        if manage::is_offered(server, &self.function).await == Some(false) {
            let function = &self.function;
            terminal::complain(&format!("nobody offers {function} now; the job waits (see `layshaft status --names`)"));
        }
    }

    async fn wait_until_gone(&self, client: &Client, handle: &Bytes) -> anyhow::Result<Exit> {
        let mut told = (0, 0);
        loop {
            let status = client.job_status(handle).await?;
            if !status.known {
                self.tell(&Event::Gone)?;
                return Ok(Exit::Ok);
            }
            let progress = (status.numerator, status.denominator);
            if progress != told {
                told = progress;
                self.tell(&Event::Progress { numerator: progress.0, denominator: progress.1 })?;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn tell(&self, event: &Event) -> anyhow::Result<()> {
        if self.json {
            terminal::say(serde_json::to_string(event)?)?;
        } else if let Some(line) = event.line() {
            terminal::say(line)?;
        }
        Ok(())
    }
}

impl Event {
    /// Returns what to exit with, if nothing comes after it.
    pub(super) fn exit(&self) -> Option<Exit> {
        match self {
            Self::Complete { result: None | Some(BuildResult::Success), .. } | Self::Gone => Some(Exit::Ok),
            Self::Complete { .. } => Some(Exit::BuildNotSuccessful),
            Self::Fail | Self::Exception { .. } => Some(Exit::JobFailed),
            Self::ServerLost => Some(Exit::ServerUnreachable),
            _ => None,
        }
    }

    /// Returns the line for people; none if it tells them nothing.
    pub(super) fn line(&self) -> Option<String> {
        Some(match self {
            Self::Submitted { handle, unique } => format!("submitted {handle} (unique {unique})"),
            Self::Data { data } => started(data).unwrap_or_else(|| format!("data {}", plain(data))),
            Self::Warning { data } => format!("warning {}", plain(data)),
            Self::Progress { numerator, denominator } => progress(*numerator, *denominator)?,
            Self::Missed { updates } => format!("{updates} updates were not read in time"),
            Self::Complete { result: Some(result), data } => match data["url"].as_str() {
                Some(url) => format!("{result} ({url})"),
                None => result.to_string(),
            },
            Self::Complete { result: None, data } => plain(data),
            Self::Fail => "the job failed; the server gives no reason".to_owned(),
            Self::Exception { text } => format!("the job ended with an exception: {text}"),
            Self::Gone => "the job is gone from the server: it has ended, or the server was restarted".to_owned(),
            Self::ServerLost => "lost the Gearman server; the build, if there is one, goes on".to_owned(),
        })
    }
}

impl From<Update> for Event {
    fn from(update: Update) -> Self {
        match update {
            Update::Data(data) => Self::Data { data: value(&data) },
            Update::Warning(data) => Self::Warning { data: value(&data) },
            Update::Status { numerator, denominator } => Self::Progress { numerator, denominator },
            Update::Complete(data) => {
                let data = value(&data);
                Self::Complete { result: data["result"].as_str().and_then(BuildResult::from_word), data }
            }
            Update::Fail => Self::Fail,
            Update::Exception(text) => Self::Exception { text: String::from_utf8_lossy(&text).into_owned() },
            Update::ServerLost => Self::ServerLost,
        }
    }
}

impl From<Precedence> for Priority {
    fn from(precedence: Precedence) -> Self {
        match precedence {
            Precedence::High => Self::High,
            Precedence::Normal => Self::Normal,
            Precedence::Low => Self::Low,
        }
    }
}

/// Reads data as JSON if it is, else as text.
fn value(data: &Bytes) -> Value {
    serde_json::from_slice(data).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(data)))
}

fn plain(data: &Value) -> String {
    data.as_str().map_or_else(|| data.to_string(), str::to_owned)
}

/// Returns the line for what a worker sends when a build has started.
fn started(data: &Value) -> Option<String> {
    let (name, number) = (data["name"].as_str()?, data["number"].as_u64()?);
    let at = data["manager"].as_str().map(|manager| format!(" of {manager}")).unwrap_or_default();
    let worker = data["worker"].as_str().map(|worker| format!(" through {worker}")).unwrap_or_default();
    let url = data["url"].as_str().map(|url| format!(" ({url})")).unwrap_or_default();
    Some(format!("started {name} #{number}{at}{worker}{url}"))
}

/// Returns how far a build is, if that is known. Both are milliseconds; a denominator that is none was -1 once.
fn progress(numerator: u64, denominator: u64) -> Option<String> {
    let is_estimate = (1..u64::from(u32::MAX)).contains(&denominator);
    let seconds = |milliseconds: u64| milliseconds.div_ceil(1000);
    is_estimate.then(|| format!("running for {} s of about {} s", seconds(numerator), seconds(denominator)))
}

fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

fn random_unique() -> String {
    format!("{:032x}", fastrand::u128(..))
}

fn read(file: &Path) -> anyhow::Result<Bytes> {
    let mut payload = Vec::new();
    let source: Box<dyn Read> =
        if file == Path::new("-") { Box::new(std::io::stdin().lock()) } else { Box::new(std::fs::File::open(file)?) };
    source.take(LONGEST_PAYLOAD + 1).read_to_end(&mut payload)?;
    if payload.len() as u64 > LONGEST_PAYLOAD {
        bail!("it is longer than {LONGEST_PAYLOAD} bytes");
    }
    Ok(payload.into())
}
