//! A Gearman client: one connection, many jobs at once.
//!
//! One task owns the connection (`exchange`, with what the server owes in `answers` and the jobs in `listeners`);
//! callers talk to it through a channel, and read each job's updates from the job's own bounded queue (`updates`). A
//! caller that does not read its updates loses the oldest ones and is told how many; it never holds up the others.
//! Every answer has a time limit. There is no reconnecting here, and [`Failover`] does it between jobs only: a job
//! whose server is lost ends with [`Update::ServerLost`], and the caller knows best whether to submit it again.

mod answers;
mod exchange;
mod failover;
mod listeners;
mod status;
mod submission;
mod updates;

#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use self::answers::{Command, Expected};
pub use self::failover::{Failover, InDoubt};
pub use self::status::{JobStatus, UniqueStatus};
pub use self::submission::{Epoch, Submission};
pub use self::updates::{Submitted, Update};
use super::admin::{self, Admin};
use super::codec;
use super::dial::{DialError, KeepAlive, dial};
use super::endpoint::Endpoint;
use super::packet::{Kind, Packet};

/// How many requests may wait to be written before callers have to wait.
const COMMANDS: usize = 64;

/// What a payload may need on its way to the server beyond the limit for its answer: slower lines are too slow.
const SLOWEST_BYTES_PER_SECOND: usize = 1 << 20;

#[derive(Clone, Debug)]
pub struct Config {
    pub connect_timeout: Duration,
    /// How long a question (status, option, echo) may take.
    pub reply_timeout: Duration,
    /// How long the server may take to accept a job, and a second more for each MiB of its payload.
    pub submit_timeout: Duration,
    /// A server that answers echoes is asked for one after so much silence, and lost after as much again. Without
    /// one, only the kernel's keep-alive tells that a server is gone while a job is waited for.
    pub heartbeat: Option<Duration>,
    /// What the server shows of this connection; empty: nothing.
    pub client_id: Bytes,
    /// Ask for the text of exceptions from the start, without waiting for the answer.
    pub exceptions: bool,
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
            submit_timeout: Duration::from_secs(30),
            heartbeat: None,
            client_id: Bytes::new(),
            exceptions: false,
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
    /// Nothing that was submitted before has been accepted unnoticed.
    #[error("lost the connection to the gearman server")]
    Lost,
    /// The job may run or not: the request went out and no answer came.
    #[error("{doubt} {request}{}; the job may have been accepted all the same", hint(request))]
    Unconfirmed { request: &'static str, doubt: Doubt },
    #[error("no gearman server can be used: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    NoServer(Vec<NotUsable>),
    #[error("gearman server refused the request: {code}: {text}")]
    Refused { code: String, text: String },
    #[error("gearman server did not answer {question} within {limit:?}{}", hint(question))]
    NoAnswer { question: &'static str, limit: Duration },
    #[error("{what} must not contain NUL")]
    Nul { what: &'static str },
    #[error("payload of {length} bytes is longer than the limit of {limit}")]
    PayloadTooLong { length: usize, limit: usize },
    #[error("the protocol has no request for {what}")]
    NoSuchRequest { what: &'static str },
}

impl Error {
    /// Says whether the server is gone or mute, so that another one may do better.
    pub fn is_loss(&self) -> bool {
        use Error::{Connect, Lost, NoAnswer, NoServer, Unconfirmed};
        matches!(self, Connect(_) | Lost | Unconfirmed { .. } | NoServer(_) | NoAnswer { .. })
    }
}

/// Why it is not known whether a job was accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    Lost,
    Silent { limit: Duration },
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost => f.write_str("lost the gearman server before it answered"),
            Self::Silent { limit } => write!(f, "within {limit:?} the gearman server has not answered"),
        }
    }
}

/// A server of several, and why it was passed over.
#[derive(Debug)]
pub struct NotUsable {
    pub server: String,
    pub error: Error,
}

impl fmt::Display for NotUsable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            // It names the server by itself.
            Error::Connect(error) => error.fmt(f),
            error => write!(f, "{}: {error}", self.server),
        }
    }
}

/// Returns what a silence about a question most likely means.
fn hint(question: &str) -> &'static str {
    match question {
        "GET_STATUS_UNIQUE"
        | "OPTION_REQ"
        | "ECHO_REQ"
        | "SUBMIT_JOB_EPOCH"
        | "SUBMIT_REDUCE_JOB"
        | "SUBMIT_REDUCE_JOB_BACKGROUND" => " (geard never does)",
        _ => "",
    }
}

/// A connection to a server. Clones share it; it is closed when they and all that was submitted are dropped.
#[derive(Clone, Debug)]
pub struct Client {
    commands: mpsc::Sender<Command>,
    config: Config,
    server: Endpoint,
}

impl Client {
    /// Connects to a server.
    pub async fn connect(server: impl Into<Endpoint>, config: Config) -> Result<Self, Error> {
        let server = server.into();
        let stream = dial(&server, config.connect_timeout, KeepAlive::default()).await?;
        let (commands, inbox) = mpsc::channel(COMMANDS);
        let address = server.address.to_string();
        let client = Self { commands, config: config.clone(), server };
        client.introduce();
        tokio::spawn(exchange::run(stream, inbox, config, address));
        Ok(client)
    }

    /// Returns the server that this is connected to.
    pub fn server(&self) -> &Endpoint {
        &self.server
    }

    /// Says whether the connection is known to be lost.
    pub fn is_lost(&self) -> bool {
        self.commands.is_closed()
    }

    /// Submits a job, and returns when the server has given it a handle.
    ///
    /// # Errors
    ///
    /// After [`Error::Unconfirmed`] the job may have been accepted or not; after any other error it was not.
    ///
    /// # Cancel safety
    ///
    /// The job may have been submitted when this is dropped half-way.
    pub async fn submit(&self, submission: Submission) -> Result<Submitted, Error> {
        let background = submission.is_background();
        let on_the_way = Duration::from_secs((submission.payload.len() / SLOWEST_BYTES_PER_SECOND) as u64);
        let limit = self.config.submit_timeout + on_the_way;
        let packet = submission.into_packet(self.config.max_payload)?;
        let request = packet.kind;
        let (created, answer) = oneshot::channel();
        self.send(limit, packet, Some(Expected::Created { request, background, created })).await?;
        match tokio::time::timeout(limit, answer).await {
            Ok(answered) => {
                let (handle, updates) = answered.map_err(|_| Error::Lost)??;
                Ok(Submitted::new(handle, updates, self.clone()))
            }
            Err(_) => Err(Error::Unconfirmed { request: request.name(), doubt: Doubt::Silent { limit } }),
        }
    }

    /// Asks how far a job is.
    pub async fn job_status(&self, handle: &Bytes) -> Result<JobStatus, Error> {
        if handle.contains(&0) {
            return Err(Error::Nul { what: "handle" });
        }
        let (status, answer) = oneshot::channel();
        let packet = Packet::request(Kind::GetStatus, [handle.clone()]);
        self.ask(packet, Expected::Status { handle: handle.clone(), status }, answer).await
    }

    /// Asks how far the job with a unique is, and how many wait for it. geard never answers.
    pub async fn job_status_unique(&self, unique: &Bytes) -> Result<UniqueStatus, Error> {
        if unique.contains(&0) {
            return Err(Error::Nul { what: "unique" });
        }
        let (status, answer) = oneshot::channel();
        let packet = Packet::request(Kind::GetStatusUnique, [unique.clone()]);
        self.ask(packet, Expected::UniqueStatus { unique: unique.clone(), status }, answer).await
    }

    /// Asks for the text of exceptions. gearmand answers; geard never does and sends them anyway.
    pub async fn option_exceptions(&self) -> Result<(), Error> {
        let (set, answer) = oneshot::channel();
        self.ask(exceptions(), Expected::Option { set }, answer).await
    }

    /// Lets the server send some bytes back. geard never does.
    pub async fn echo(&self, data: Bytes) -> Result<(), Error> {
        let (echoed, answer) = oneshot::channel();
        let packet = Packet::request(Kind::EchoReq, [data.clone()]);
        self.ask(packet, Expected::Echo { data, echoed }, answer).await
    }

    /// Sets what the server shows of this connection; no server confirms that.
    pub async fn set_client_id(&self, client_id: Bytes) -> Result<(), Error> {
        if client_id.contains(&0) {
            return Err(Error::Nul { what: "client id" });
        }
        self.send(self.config.reply_timeout, Packet::request(Kind::SetClientId, [client_id]), None).await
    }

    /// Cancels a job of this server, over an administrator's connection: the protocol has no packet for it.
    ///
    /// On gearmand its clients see it fail, and a worker that runs it is not told. geard cancels waiting jobs only, and
    /// tells nobody.
    pub async fn cancel(&self, handle: &Bytes) -> Result<(), admin::Error> {
        let Config { connect_timeout, reply_timeout, .. } = self.config;
        let config = admin::Config { connect_timeout, reply_timeout, ..admin::Config::default() };
        Admin::connect(&self.server, config).await?.cancel(handle).await
    }

    /// Puts what the server shall know before anything else in front of the queue, which is empty yet.
    fn introduce(&self) {
        let client_id = &self.config.client_id;
        if !client_id.is_empty() && !client_id.contains(&0) {
            let packet = Packet::request(Kind::SetClientId, [client_id.clone()]);
            let _has_room = self.commands.try_send(Command { packet, expected: None });
        }
        if self.config.exceptions {
            let (set, _nobody_waits) = oneshot::channel();
            let expected = Some(Expected::Option { set });
            let _has_room = self.commands.try_send(Command { packet: exceptions(), expected });
        }
    }

    async fn ask<T>(
        &self,
        packet: Packet,
        expected: Expected,
        answer: oneshot::Receiver<Result<T, Error>>,
    ) -> Result<T, Error> {
        let (question, limit) = (packet.kind.name(), self.config.reply_timeout);
        self.send(limit, packet, Some(expected)).await?;
        match tokio::time::timeout(limit, answer).await {
            Ok(answered) => answered.map_err(|_| Error::Lost)?,
            Err(_) => Err(Error::NoAnswer { question, limit }),
        }
    }

    /// Hands a request over. A server that reads nothing makes this wait, too.
    async fn send(&self, limit: Duration, packet: Packet, expected: Option<Expected>) -> Result<(), Error> {
        let question = packet.kind.name();
        match tokio::time::timeout(limit, self.commands.send(Command { packet, expected })).await {
            Ok(sent) => sent.map_err(|_| Error::Lost),
            Err(_) => Err(Error::NoAnswer { question, limit }),
        }
    }
}

fn exceptions() -> Packet {
    Packet::request(Kind::OptionReq, [Bytes::from_static(b"exceptions")])
}
