//! The administrator's side of a Gearman server: questions and answers in lines of text.
//!
//! A server that does not know a command may say so (gearmand) or nothing at all (geard). So every answer has a time
//! limit, and after one that did not come the connection is given up: a late answer must never pass for another one's.

use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::dial::{DialError, KeepAlive, dial};
use super::endpoint::Endpoint;
use super::stream::Stream;
use super::tls;

#[derive(Clone, Debug)]
pub struct Config {
    pub connect_timeout: Duration,
    /// How long a whole answer may take.
    pub reply_timeout: Duration,
    /// How long a server may take to tell its version before it counts as one that does not.
    pub version_timeout: Duration,
    /// The longest answer that is taken, in all its lines; a worker's line names all its functions.
    pub max_reply: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            reply_timeout: Duration::from_secs(10),
            version_timeout: Duration::from_secs(2),
            max_reply: 64 << 20,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Connect(#[from] DialError),
    #[error("lost the connection to the gearman server while it answered {command:?}: {cause}")]
    Lost { command: String, cause: io::Error },
    #[error("gearman server did not answer {command:?} within {limit:?}{}", hint(command))]
    NoAnswer { command: String, limit: Duration },
    #[error("gearman server refused {command:?}: {text}")]
    Refused { command: String, text: String },
    #[error("gearman server answered {command:?} with more than {limit} bytes")]
    TooLong { command: String, limit: usize },
    #[error("gearman server answered {command:?} with a line that is not understood: {line:?}")]
    Malformed { command: String, line: String },
    #[error("{0:?} is not a job handle")]
    InvalidHandle(String),
    #[error("an administrator cannot name the function {0:?}: names end at white space there")]
    InvalidFunction(String),
}

impl Error {
    /// Says whether the server is gone, or mute where every server has an answer.
    pub fn is_loss(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Lost { .. } => true,
            Self::NoAnswer { command, .. } => is_known_to_all(command),
            _ => false,
        }
    }
}

/// Which family of servers this is, by what it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerKind {
    /// gearmand, or one that answers like it.
    Gearmand {
        version: String,
    },
    /// geard of the Python package gear: says nothing to what it does not know.
    Geard,
    Other,
}

/// A line of `status`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionStatus {
    pub function: String,
    /// Jobs that are not finished, the running ones among them.
    pub queued: u64,
    pub running: u64,
    pub workers: u64,
}

/// A line of `prioritystatus`: how many jobs wait, by priority.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriorityStatus {
    pub function: String,
    pub high: u64,
    pub normal: u64,
    pub low: u64,
    pub workers: u64,
}

/// A line of `workers`, which lists clients too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerLine {
    pub fd: String,
    pub ip: String,
    pub client_id: String,
    /// Cut at spaces: the text protocol does not tell them from those in a name.
    pub functions: Vec<String>,
}

/// A line of `show jobs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobLine {
    pub handle: String,
    pub retries: u64,
    pub ignored: bool,
    pub background: bool,
}

/// A line of `show unique jobs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UniqueLine {
    /// Told by gearmand from 2.2.0 on.
    pub handle: Option<String>,
    pub unique: String,
}

/// How many jobs of a function may wait or run; none: as many as come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueLimit {
    ForAll(Option<u32>),
    ByPriority { high: Option<u32>, normal: Option<u32>, low: Option<u32> },
}

/// Asks one server. Reconnects by itself after a failure.
#[derive(Debug)]
pub struct Admin {
    server: Endpoint,
    config: Config,
    /// Absent after a failed question.
    connection: Option<Stream>,
}

impl Admin {
    /// Connects to a server.
    pub async fn connect(server: impl Into<Endpoint>, config: Config) -> Result<Self, Error> {
        let mut admin = Self { server: server.into(), config, connection: None };
        admin.connection = Some(admin.dial().await?);
        Ok(admin)
    }

    /// Finds out which family the server is of, on connections of its own.
    pub async fn server_kind(&self) -> Result<ServerKind, Error> {
        let mut aside = Self { server: self.server.clone(), config: self.config.clone(), connection: None };
        aside.config.reply_timeout = self.config.version_timeout;
        match aside.version().await {
            Ok(version) => return Ok(ServerKind::Gearmand { version }),
            Err(Error::NoAnswer { .. }) => {}
            // TLS that is missing, or under 1.3 a certificate that is refused only now.
            Err(Error::Lost { command, cause }) if cause.kind() == io::ErrorKind::InvalidData => {
                return Err(Error::Lost { command, cause });
            }
            Err(Error::Refused { .. } | Error::Malformed { .. } | Error::Lost { .. }) => return Ok(ServerKind::Other),
            Err(error) => return Err(error),
        }
        aside.config.reply_timeout = self.config.reply_timeout;
        match aside.status().await {
            Ok(_) => Ok(ServerKind::Geard),
            Err(error @ Error::Connect(_)) => Err(error),
            Err(_) => Ok(ServerKind::Other),
        }
    }

    pub async fn version(&mut self) -> Result<String, Error> {
        self.ask_line("version").await
    }

    /// Lists the functions that the server has ever heard of.
    pub async fn status(&mut self) -> Result<Vec<FunctionStatus>, Error> {
        self.ask_list("status", function_status).await
    }

    pub async fn workers(&mut self) -> Result<Vec<WorkerLine>, Error> {
        self.ask_list("workers", worker_line).await
    }

    /// Lists jobs; gearmand only.
    pub async fn show_jobs(&mut self) -> Result<Vec<JobLine>, Error> {
        self.ask_list("show jobs", job_line).await
    }

    /// Lists the uniques of jobs; gearmand only.
    pub async fn show_unique_jobs(&mut self) -> Result<Vec<UniqueLine>, Error> {
        self.ask_list("show unique jobs", |line| Some(unique_line(line))).await
    }

    /// Lists how many jobs wait by priority; not on geard.
    pub async fn priority_status(&mut self) -> Result<Vec<PriorityStatus>, Error> {
        self.ask_list("prioritystatus", priority_status).await
    }

    /// Lets the server know a function; not on geard.
    pub async fn create_function(&mut self, function: &str) -> Result<(), Error> {
        let function = word(function)?;
        self.ask_line(&format!("create function {function}")).await.map(drop)
    }

    /// Lets the server forget a function that has no workers; not on geard.
    pub async fn drop_function(&mut self, function: &str) -> Result<(), Error> {
        let function = word(function)?;
        self.ask_line(&format!("drop function {function}")).await.map(drop)
    }

    /// Limits how many jobs of a function may be queued; not on geard.
    ///
    /// gearmand says yes to a function that it has never heard of, and forgets it.
    pub async fn limit_queue(&mut self, function: &str, limit: QueueLimit) -> Result<(), Error> {
        let function = word(function)?;
        // Zero means as many as come.
        let number = |limit: Option<u32>| limit.unwrap_or(0);
        let command = match limit {
            QueueLimit::ForAll(limit) => format!("maxqueue {function} {}", number(limit)),
            QueueLimit::ByPriority { high, normal, low } => {
                format!("maxqueue {function} {} {} {}", number(high), number(normal), number(low))
            }
        };
        self.ask_line(&command).await.map(drop)
    }

    /// Returns the number of the server's process; not on geard.
    pub async fn process_id(&mut self) -> Result<u32, Error> {
        let answer = self.ask_line("getpid").await?;
        answer.parse().map_err(|_| Error::Malformed { command: "getpid".to_owned(), line: answer })
    }

    /// Returns what the server logs, such as `INFO`; not on geard.
    pub async fn verbosity(&mut self) -> Result<String, Error> {
        self.ask_line("verbose").await
    }

    /// Cancels a job: any on gearmand, which never tells the worker; only a waiting one on geard.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if the server does not know the job (any more).
    pub async fn cancel(&mut self, handle: &Bytes) -> Result<(), Error> {
        let handle = std::str::from_utf8(handle)
            .ok()
            .filter(|text| !text.is_empty() && text.chars().all(|c| !c.is_whitespace() && !c.is_control()))
            .ok_or_else(|| Error::InvalidHandle(String::from_utf8_lossy(handle).into_owned()))?;
        self.ask_line(&format!("cancel job {handle}")).await.map(drop)
    }

    /// Asks what is answered by one line, `OK` and perhaps more.
    async fn ask_line(&mut self, command: &str) -> Result<String, Error> {
        let answer = self.ask(command, |text| Some(text.iter().position(|&byte| byte == b'\n')? + 1)).await?;
        let line = answer.trim_end();
        match line.strip_prefix("OK") {
            Some(rest) if rest.is_empty() || rest.starts_with(' ') => Ok(shown(rest.trim_start())),
            _ => Err(refused(command, line)),
        }
    }

    /// Asks what is answered by lines up to a lone dot.
    async fn ask_list<T>(&mut self, command: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, Error> {
        let answer = self.ask(command, end_of_list).await?;
        let mut parsed = Vec::new();
        for line in answer.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)) {
            if line == "." {
                break;
            }
            parsed.push(parse(line).ok_or_else(|| refused(command, line))?);
        }
        Ok(parsed)
    }

    async fn ask(&mut self, command: &str, end: impl Fn(&[u8]) -> Option<usize>) -> Result<String, Error> {
        // Taken out, so that whatever goes wrong, or a caller that gives up, leaves no half-read answer behind.
        let kept = self.connection.take();
        let mut connection = match kept.and_then(|mut kept| kept.is_quiet().then_some(kept)) {
            Some(connection) => connection,
            None => self.dial().await?,
        };
        let limit = self.config.reply_timeout;
        let exchange = exchange(&mut connection, command, end, self.config.max_reply);
        let answer = match tokio::time::timeout(limit, exchange).await {
            Ok(answered) => answered?,
            Err(_) => return Err(Error::NoAnswer { command: command.to_owned(), limit }),
        };
        self.connection = Some(connection);
        Ok(String::from_utf8_lossy(&answer).into_owned())
    }

    async fn dial(&self) -> Result<Stream, Error> {
        Ok(dial(&self.server, self.config.connect_timeout, KeepAlive::default()).await?)
    }
}

async fn exchange(
    connection: &mut Stream,
    command: &str,
    end: impl Fn(&[u8]) -> Option<usize>,
    limit: usize,
) -> Result<BytesMut, Error> {
    let lost = |cause| Error::Lost { command: command.to_owned(), cause };
    // CRLF: gearmand cuts the last character of some arguments before a bare LF.
    connection.write_all(format!("{command}\r\n").as_bytes()).await.map_err(lost)?;
    connection.flush().await.map_err(lost)?;
    let mut answer = BytesMut::with_capacity(8 << 10);
    loop {
        if connection.read_buf(&mut answer).await.map_err(lost)? == 0 {
            return Err(lost(io::ErrorKind::UnexpectedEof.into()));
        }
        if answer.starts_with(&tls::ALERT) {
            return Err(lost(io::Error::new(io::ErrorKind::InvalidData, tls::WANTED)));
        }
        if let Some(length) = end(&answer) {
            answer.truncate(length);
            return Ok(answer);
        }
        if answer.len() > limit {
            return Err(Error::TooLong { command: command.to_owned(), limit });
        }
    }
}

/// Returns where a list ends: after its lone dot, or after an error in its place.
fn end_of_list(text: &[u8]) -> Option<usize> {
    if text.last() != Some(&b'\n') {
        return None;
    }
    let is_over = text == b".\n"
        || text == b".\r\n"
        || text.ends_with(b"\n.\n")
        || text.ends_with(b"\n.\r\n")
        || (text.starts_with(b"ERR ") && !text.contains(&b'\t'));
    is_over.then_some(text.len())
}

/// Says what a silence most likely means.
fn hint(command: &str) -> &'static str {
    if is_known_to_all(command) { "" } else { " (geard does not know this command, and never answers)" }
}

/// Says whether even geard answers.
fn is_known_to_all(command: &str) -> bool {
    ["status", "workers"].contains(&command) || command.starts_with("cancel job ")
}

/// Returns a name that is one word in a line of text.
fn word(name: &str) -> Result<&str, Error> {
    let is_word = !name.is_empty() && name.chars().all(|c| !c.is_whitespace() && !c.is_control());
    if is_word { Ok(name) } else { Err(Error::InvalidFunction(name.to_owned())) }
}

fn shown(line: &str) -> String {
    line.chars().filter(|c| !c.is_control()).take(200).collect()
}

fn refused(command: &str, line: &str) -> Error {
    let command = command.to_owned();
    let line = shown(line);
    match line.strip_prefix("ERR") {
        Some(text) => Error::Refused { command, text: text.trim().to_owned() },
        None => Error::Malformed { command, line },
    }
}

/// Cut at tabs from the end, since a name may hold anything.
fn function_status(line: &str) -> Option<FunctionStatus> {
    let mut fields = line.rsplitn(4, '\t');
    let workers = fields.next()?.parse().ok()?;
    let running = fields.next()?.parse().ok()?;
    let queued = fields.next()?.parse().ok()?;
    Some(FunctionStatus { function: fields.next()?.to_owned(), queued, running, workers })
}

fn priority_status(line: &str) -> Option<PriorityStatus> {
    let mut fields = line.rsplitn(5, '\t');
    let mut number = || fields.next()?.parse().ok();
    let [workers, low, normal, high] = [number()?, number()?, number()?, number()?];
    Some(PriorityStatus { function: fields.next()?.to_owned(), high, normal, low, workers })
}

fn worker_line(line: &str) -> Option<WorkerLine> {
    let (fd, rest) = line.split_once(' ')?;
    let (ip, rest) = rest.split_once(' ')?;
    let (client_id, functions) = match rest.split_once(" : ") {
        Some((client_id, functions)) => (client_id, functions),
        None => (rest.strip_suffix(':')?.trim_end(), ""),
    };
    let functions = functions.split(' ').filter(|name| !name.is_empty()).map(str::to_owned).collect();
    Some(WorkerLine { fd: fd.to_owned(), ip: ip.to_owned(), client_id: client_id.to_owned(), functions })
}

fn job_line(line: &str) -> Option<JobLine> {
    let mut fields = line.split('\t');
    let handle = fields.next()?.to_owned();
    let mut number = || fields.next()?.parse::<u64>().ok();
    let (retries, ignored, background) = (number()?, number()?, number()?);
    Some(JobLine { handle, retries, ignored: ignored != 0, background: background != 0 })
}

/// A unique may hold tabs; a handle is known by how it begins.
fn unique_line(line: &str) -> UniqueLine {
    match line.split_once('\t') {
        Some((handle, unique)) if handle.starts_with("H:") => {
            UniqueLine { handle: Some(handle.to_owned()), unique: unique.to_owned() }
        }
        _ => UniqueLine { handle: None, unique: line.to_owned() },
    }
}

#[cfg(test)]
#[path = "admin_tests.rs"]
mod tests;
