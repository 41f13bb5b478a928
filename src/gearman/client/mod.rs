//! A Gearman client: one connection, many jobs at once.
//!
//! One task owns the connection (`exchange`); callers talk to it through a channel, and read each job's updates from
//! the job's own bounded queue (`updates`). A caller that does not read its updates loses the oldest ones and is told
//! how many; it never holds up the others. There is no reconnecting here: a job whose server is lost ends with
//! [`Update::ServerLost`], and the caller knows best whether to submit it again.

mod exchange;
mod updates;

#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use self::exchange::{Command, Expected};
pub use self::updates::{Submitted, Update};
use super::dial::{DialError, KeepAlive, dial};
use super::endpoint::Endpoint;
use super::packet::{Kind, Packet};
use super::{Priority, codec};

/// How many requests may wait to be written before callers have to wait.
const COMMANDS: usize = 64;

#[derive(Clone, Debug)]
pub struct Config {
    pub connect_timeout: Duration,
    /// How long a question (status, option) may take; a submission's limit is the caller's to set.
    pub reply_timeout: Duration,
    /// The longest payload that is sent or taken.
    pub max_payload: usize,
    /// How many updates of a job are kept for a caller that does not read them, and how many bytes of them.
    pub max_updates: usize,
    pub max_update_bytes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            reply_timeout: Duration::from_secs(10),
            max_payload: codec::DEFAULT_MAX_BODY,
            max_updates: 1024,
            max_update_bytes: 8 << 20,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Connect(#[from] DialError),
    #[error("lost the connection to the gearman server")]
    Lost,
    #[error("gearman server refused the request: {code}: {text}")]
    Refused { code: String, text: String },
    #[error("gearman server did not answer {question} within {limit:?}")]
    NoAnswer { question: &'static str, limit: Duration },
    #[error("{what} must not contain NUL")]
    Nul { what: &'static str },
    #[error("payload of {length} bytes is longer than the limit of {limit}")]
    PayloadTooLong { length: usize, limit: usize },
}

/// A job to be done.
#[derive(Clone, Debug, Default)]
pub struct Submission {
    pub function: Bytes,
    /// Equal ones of a function are one job on gearmand; empty ones never are.
    pub unique: Bytes,
    pub payload: Bytes,
    pub priority: Priority,
    /// Nobody waits for it: it outlives the connection and gives no updates.
    pub background: bool,
}

/// What the server knows of a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobStatus {
    pub known: bool,
    pub running: bool,
    pub numerator: u64,
    pub denominator: u64,
}

/// A connection to a server. Clones share it; it is closed when they and all that was submitted are dropped.
#[derive(Clone, Debug)]
pub struct Client {
    commands: mpsc::Sender<Command>,
    config: Config,
}

impl Client {
    /// Connects to a server.
    pub async fn connect(server: impl Into<Endpoint>, config: Config) -> Result<Self, Error> {
        let server = server.into();
        let stream = dial(&server, config.connect_timeout, KeepAlive::default()).await?;
        let (commands, inbox) = mpsc::channel(COMMANDS);
        tokio::spawn(exchange::run(stream, inbox, config.clone(), server.address));
        Ok(Self { commands, config })
    }

    /// Submits a job, and returns when the server has given it a handle.
    ///
    /// # Cancel safety
    ///
    /// The job may have been submitted when this is dropped half-way.
    pub async fn submit(&self, submission: Submission) -> Result<Submitted, Error> {
        let Submission { function, unique, payload, priority, background } = submission;
        for (what, field) in [("function", &function), ("unique", &unique)] {
            if field.contains(&0) {
                return Err(Error::Nul { what });
            }
        }
        if payload.len() > self.config.max_payload {
            return Err(Error::PayloadTooLong { length: payload.len(), limit: self.config.max_payload });
        }
        let packet = Packet::request(priority.to_submit(background), [function, unique, payload]);
        let (created, answer) = oneshot::channel();
        self.send(packet, Expected::Created { background, created }).await?;
        let (handle, updates) = answer.await.map_err(|_| Error::Lost)??;
        Ok(Submitted::new(handle, updates, self.commands.clone()))
    }

    /// Asks how far a job is.
    pub async fn job_status(&self, handle: &Bytes) -> Result<JobStatus, Error> {
        if handle.contains(&0) {
            return Err(Error::Nul { what: "handle" });
        }
        let (status, answer) = oneshot::channel();
        self.send(Packet::request(Kind::GetStatus, [handle.clone()]), Expected::Status { status }).await?;
        self.wait("GET_STATUS", answer).await
    }

    /// Asks for the text of exceptions. gearmand answers; geard never does and sends them anyway.
    pub async fn option_exceptions(&self) -> Result<(), Error> {
        let (set, answer) = oneshot::channel();
        let packet = Packet::request(Kind::OptionReq, [Bytes::from_static(b"exceptions")]);
        self.send(packet, Expected::Option { set }).await?;
        self.wait("OPTION_REQ", answer).await
    }

    async fn send(&self, packet: Packet, expected: Expected) -> Result<(), Error> {
        self.commands.send(Command { packet, expected }).await.map_err(|_| Error::Lost)
    }

    async fn wait<T>(&self, question: &'static str, answer: oneshot::Receiver<Result<T, Error>>) -> Result<T, Error> {
        let limit = self.config.reply_timeout;
        match tokio::time::timeout(limit, answer).await {
            Ok(answered) => answered.map_err(|_| Error::Lost)?,
            Err(_) => Err(Error::NoAnswer { question, limit }),
        }
    }
}
