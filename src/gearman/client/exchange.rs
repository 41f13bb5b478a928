//! The task that owns a client's connection.
//!
//! Answers come in the order of the requests, so a queue of what is expected is all it takes to tell whose an answer is.
//! Updates name their job. gearmand sends each update once per submission, also to one connection that submitted a job
//! several times; they are dealt out in turn, so that each submission sees each update once.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Weak};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio_util::codec::{Decoder, Encoder};
use tracing::debug;

use super::updates::{Update, Updates};
use super::{Config, Error, JobStatus};
use crate::gearman::codec::{Codec, CodecError, Frame};
use crate::gearman::packet::{Kind, Magic, Packet};
use crate::gearman::stream::Stream;

/// Room for a handle beside a payload.
const BESIDE_PAYLOAD: usize = 4 << 10;

/// With this much unsent, callers have to wait.
const MAX_UNSENT: usize = 1 << 20;

/// With this many answers due, callers have to wait: a server that has stopped answering must not fill the memory.
const MAX_EXPECTED: usize = 100_000;

const READ_AT_ONCE: usize = 16 << 10;

/// A request and who waits for its answer.
#[derive(Debug)]
pub(super) struct Command {
    pub(super) packet: Packet,
    pub(super) expected: Expected,
}

/// An answer that is due.
#[derive(Debug)]
pub(super) enum Expected {
    Created { background: bool, created: oneshot::Sender<Result<(Bytes, Arc<Updates>), Error>> },
    Status { status: oneshot::Sender<Result<JobStatus, Error>> },
    Option { set: oneshot::Sender<Result<(), Error>> },
}

impl Expected {
    fn answer(&self) -> Kind {
        match self {
            Self::Created { .. } => Kind::JobCreated,
            Self::Status { .. } => Kind::StatusRes,
            Self::Option { .. } => Kind::OptionRes,
        }
    }

    /// The caller may have given up waiting; then nobody minds.
    fn fail(self, error: Error) {
        match self {
            Self::Created { created, .. } => drop(created.send(Err(error))),
            Self::Status { status } => drop(status.send(Err(error))),
            Self::Option { set } => drop(set.send(Err(error))),
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("server closed the connection")]
    Closed,
    #[error("server sent {0} to nobody's question")]
    Unexpected(&'static str),
    #[error("server created a job without a handle")]
    EmptyHandle,
    #[error(transparent)]
    Codec(#[from] CodecError),
}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Self {
        Self::Codec(error.into())
    }
}

/// Serves a connection until the server is lost or nobody uses it any more.
pub(super) async fn run(mut stream: Stream, mut inbox: mpsc::Receiver<Command>, config: Config, server: String) {
    let mut exchange = Exchange { config, expected: VecDeque::new(), jobs: BTreeMap::new() };
    if let Err(reason) = exchange.serve(&mut stream, &mut inbox).await {
        debug!(%server, %reason, "lost a gearman client connection");
    }
    // Before the rest: a submission on its way must see a closed channel, not one that nobody reads.
    inbox.close();
    exchange.end();
    while let Ok(command) = inbox.try_recv() {
        command.expected.fail(Error::Lost);
    }
}

struct Exchange {
    config: Config,
    expected: VecDeque<Expected>,
    jobs: BTreeMap<Bytes, Listeners>,
}

/// Who submitted a job, in order; those that lost interest keep their turn.
#[derive(Debug, Default)]
struct Listeners {
    submissions: Vec<Weak<Updates>>,
    turn: usize,
}

impl Exchange {
    async fn serve(&mut self, stream: &mut Stream, inbox: &mut mpsc::Receiver<Command>) -> Result<(), Broken> {
        let (mut reader, mut writer) = stream.split();
        let mut codec = Codec::new(self.config.max_payload.saturating_add(BESIDE_PAYLOAD));
        let mut input = BytesMut::new();
        let mut output = BytesMut::new();
        loop {
            input.reserve(READ_AT_ONCE);
            let takes_more = output.len() < MAX_UNSENT && self.expected.len() < MAX_EXPECTED;
            // All three may be dropped half-way without losing anything.
            tokio::select! {
                command = inbox.recv(), if takes_more => {
                    let Some(Command { packet, expected }) = command else { return Ok(()) };
                    match codec.encode(&packet, &mut output) {
                        Ok(()) => self.expected.push_back(expected),
                        Err(_) => expected.fail(Error::Lost),
                    }
                }
                read = reader.read_buf(&mut input) => {
                    if read? == 0 {
                        return Err(Broken::Closed);
                    }
                    while let Some(frame) = codec.decode(&mut input)? {
                        self.receive(frame)?;
                    }
                }
                written = writer.write_buf(&mut output), if !output.is_empty() => { written?; }
            }
        }
    }

    fn receive(&mut self, frame: Frame) -> Result<(), Broken> {
        let packet = match frame {
            // Types that this client does not know are none that it has asked for.
            Frame::Unknown { .. } | Frame::Line(_) => return Ok(()),
            Frame::Packet(packet) => packet,
        };
        // geard says WORK_FAIL as if it were a worker, when the true one is lost.
        if packet.magic != Magic::Response && packet.kind != Kind::WorkFail {
            return Err(Broken::Unexpected(packet.kind.name()));
        }
        match packet.kind {
            Kind::JobCreated | Kind::StatusRes | Kind::OptionRes => self.answer(&packet),
            Kind::Error => {
                if let Some(expected) = self.expected.pop_front() {
                    let [code, text] = [0, 1].map(|index| shown(packet.argument(index)));
                    expected.fail(Error::Refused { code, text });
                }
                Ok(())
            }
            Kind::WorkData | Kind::WorkWarning | Kind::WorkStatus => {
                self.deal(&packet);
                Ok(())
            }
            Kind::WorkComplete | Kind::WorkFail | Kind::WorkException => {
                self.finish(&packet);
                Ok(())
            }
            // A server that talks to us as to a worker does no harm.
            _ => Ok(()),
        }
    }

    fn answer(&mut self, packet: &Packet) -> Result<(), Broken> {
        let expected = loop {
            match self.expected.pop_front() {
                Some(expected) if expected.answer() == packet.kind => break expected,
                // Answers keep their order, so this question will never be answered.
                Some(unanswered) => {
                    let question = unanswered.answer().name();
                    unanswered.fail(Error::NoAnswer { question, limit: self.config.reply_timeout });
                }
                None => return Err(Broken::Unexpected(packet.kind.name())),
            }
        };
        match expected {
            Expected::Created { background, created } => {
                let handle = handle_of(packet);
                if handle.is_empty() {
                    return Err(Broken::EmptyHandle);
                }
                let updates = if background { Updates::none() } else { self.updates() };
                let updates = Arc::new(updates);
                if !background {
                    let listeners = self.jobs.entry(handle.clone()).or_default();
                    listeners.submissions.push(Arc::downgrade(&updates));
                }
                // A caller that has given up still has its turn with the updates.
                drop(created.send(Ok((handle, updates))));
            }
            Expected::Status { status } => drop(status.send(Ok(job_status(packet)))),
            Expected::Option { set } => drop(set.send(Ok(()))),
        }
        Ok(())
    }

    fn updates(&self) -> Updates {
        Updates::new(self.config.max_updates, self.config.max_update_bytes)
    }

    /// Gives an update to the submission whose turn it is.
    fn deal(&mut self, packet: &Packet) {
        let Some(listeners) = self.jobs.get_mut(&handle_of(packet)) else { return };
        let turn = listeners.turn % listeners.submissions.len().max(1);
        listeners.turn = (turn + 1) % listeners.submissions.len().max(1);
        if let Some(updates) = listeners.submissions.get(turn).and_then(Weak::upgrade) {
            updates.push(update(packet));
        }
    }

    /// Gives the last update to every submission; the copies that follow find nobody.
    fn finish(&mut self, packet: &Packet) {
        let Some(listeners) = self.jobs.remove(&handle_of(packet)) else { return };
        for updates in listeners.submissions.iter().filter_map(Weak::upgrade) {
            updates.push(update(packet));
        }
    }

    fn end(&mut self) {
        for expected in self.expected.drain(..) {
            expected.fail(Error::Lost);
        }
        for listeners in std::mem::take(&mut self.jobs).into_values() {
            for updates in listeners.submissions.iter().filter_map(Weak::upgrade) {
                updates.push(Update::ServerLost);
            }
        }
    }
}

fn update(packet: &Packet) -> Update {
    match packet.kind {
        Kind::WorkData => Update::Data(packet.argument(1).clone()),
        Kind::WorkWarning => Update::Warning(packet.argument(1).clone()),
        Kind::WorkStatus => {
            Update::Status { numerator: number(packet.argument(1)), denominator: number(packet.argument(2)) }
        }
        Kind::WorkComplete => Update::Complete(packet.argument(1).clone()),
        Kind::WorkException => Update::Exception(packet.argument(1).clone()),
        _ => Update::Fail,
    }
}

fn job_status(packet: &Packet) -> JobStatus {
    let field = |index| number(packet.argument(index));
    JobStatus { known: field(1) != 0, running: field(2) != 0, numerator: field(3), denominator: field(4) }
}

/// gearmand ends the handle with a NUL when it makes a WORK_FAIL of an exception.
fn handle_of(packet: &Packet) -> Bytes {
    let handle = packet.argument(0);
    let length = handle.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    handle.slice(..length)
}

/// geard leaves numbers empty that it does not know.
fn number(text: &[u8]) -> u64 {
    let text = text.strip_suffix(b"\0").unwrap_or(text);
    std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}

fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).take(200).collect()
}
