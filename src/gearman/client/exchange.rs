//! The task that owns a client's connection: requests out, answers and updates in.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::codec::{Decoder, Encoder};
use tracing::debug;

use super::answers::{Command, Expected, Owed, PULSE, handle_of};
use super::listeners::Jobs;
use super::status::{JobStatus, UniqueStatus};
use super::updates::Updates;
use super::{Config, Error};
use crate::gearman::codec::{Codec, CodecError, Frame};
use crate::gearman::packet::{Kind, Magic, Packet};
use crate::gearman::pulse::{Pulse, Verdict};
use crate::gearman::stream::Stream;

/// Room for a handle beside a payload.
const BESIDE_PAYLOAD: usize = 4 << 10;

/// With this much unsent, callers have to wait.
const MAX_UNSENT: usize = 1 << 20;

/// With this many answers due, callers have to wait: a server that has stopped answering must not fill the memory.
const MAX_EXPECTED: usize = 100_000;

const READ_AT_ONCE: usize = 16 << 10;

#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("server closed the connection")]
    Closed,
    #[error("server has been silent for {0:?}")]
    Silent(Duration),
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
    let mut exchange = Exchange {
        jobs: Jobs::new(config.max_update_bytes),
        codec: Codec::new(config.max_payload.saturating_add(BESIDE_PAYLOAD)),
        config,
        owed: Owed::default(),
        pulse: None,
        output: BytesMut::new(),
        written: 0,
    };
    if let Err(reason) = exchange.serve(&mut stream, &mut inbox).await {
        debug!(%server, %reason, "lost a gearman client connection");
    }
    // Before the rest: a submission on its way must see a closed channel, not one that nobody reads.
    inbox.close();
    exchange.owed.lose_all(exchange.written);
    exchange.jobs.lose_all();
    while let Ok(command) = inbox.try_recv() {
        if let Some(expected) = command.expected {
            expected.fail(Error::Lost);
        }
    }
}

struct Exchange {
    config: Config,
    codec: Codec,
    owed: Owed,
    jobs: Jobs,
    /// Absent until the server has shown that it answers echoes: geard never does.
    pulse: Option<Pulse>,
    output: BytesMut,
    /// How many bytes went out in all.
    written: u64,
}

impl Exchange {
    async fn serve(&mut self, stream: &mut Stream, inbox: &mut mpsc::Receiver<Command>) -> Result<(), Broken> {
        let (mut reader, mut writer) = stream.split();
        let mut input = BytesMut::new();
        if self.config.heartbeat.is_some() {
            self.send_pulse();
        }
        loop {
            input.reserve(READ_AT_ONCE);
            let takes_more = self.takes_more();
            let deadline = self.pulse.as_ref().and_then(Pulse::deadline);
            // All may be dropped half-way without losing anything. Reading goes before taking what shall be sent, so
            // that nothing is sent to a server that is known to be gone.
            tokio::select! {
                biased;
                written = writer.write_buf(&mut self.output), if !self.output.is_empty() => {
                    self.written += written? as u64;
                }
                read = reader.read_buf(&mut input) => {
                    if read? == 0 {
                        return Err(Broken::Closed);
                    }
                    if let Some(pulse) = &mut self.pulse {
                        // What is owed here is not the pulse's to watch.
                        pulse.heard(false, Instant::now());
                    }
                    while let Some(frame) = self.codec.decode(&mut input)? {
                        self.receive(frame)?;
                    }
                    // A server that never stops talking must not keep callers from being heard.
                    self.take_waiting(inbox);
                }
                command = inbox.recv(), if takes_more => {
                    let Some(command) = command else { return Ok(()) };
                    self.send(command);
                    self.take_waiting(inbox);
                }
                () = sleep_until(deadline) => self.check_pulse()?,
            }
        }
    }

    fn takes_more(&self) -> bool {
        self.output.len() < MAX_UNSENT && self.owed.len() < MAX_EXPECTED
    }

    fn take_waiting(&mut self, inbox: &mut mpsc::Receiver<Command>) {
        while self.takes_more()
            && let Ok(command) = inbox.try_recv()
        {
            self.send(command);
        }
    }

    fn send(&mut self, Command { packet, expected }: Command) {
        let sent = self.codec.encode(&packet, &mut self.output);
        let Some(expected) = expected else { return };
        match sent {
            Ok(()) => self.owed.push(expected, self.written + self.output.len() as u64),
            Err(_) => expected.fail(Error::Lost),
        }
    }

    fn send_pulse(&mut self) {
        let packet = Packet::request(Kind::EchoReq, [Bytes::from_static(PULSE)]);
        self.send(Command { packet, expected: Some(Expected::Pulse) });
    }

    fn check_pulse(&mut self) -> Result<(), Broken> {
        let now = Instant::now();
        let Some(pulse) = &mut self.pulse else { return Ok(()) };
        match pulse.verdict(now) {
            Verdict::Wait => {}
            Verdict::SendEcho => self.send_pulse(),
            Verdict::GiveUpSilence | Verdict::GiveUpAnswer => return Err(Broken::Silent(pulse.silence(now))),
        }
        Ok(())
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
            Kind::JobCreated | Kind::StatusRes | Kind::StatusResUnique | Kind::OptionRes | Kind::EchoRes => {
                return self.answer(&packet);
            }
            Kind::Error => {
                let [code, text] = [0, 1].map(|index| shown(packet.argument(index)));
                match self.owed.take_oldest() {
                    Some(expected) => expected.fail(Error::Refused { code, text }),
                    None => debug!(%code, %text, "gearman server sent an error to nobody's question"),
                }
            }
            Kind::WorkData
            | Kind::WorkWarning
            | Kind::WorkStatus
            | Kind::WorkComplete
            | Kind::WorkFail
            | Kind::WorkException => self.jobs.receive(packet, self.owed.owes_a_job()),
            // A server that talks to us as to a worker does no harm.
            _ => {}
        }
        Ok(())
    }

    fn answer(&mut self, packet: &Packet) -> Result<(), Broken> {
        let expected = match self.owed.take(packet) {
            Some(expected) => expected,
            // Some earlier JOB_CREATED was for another submission than we thought: nothing here can be trusted now.
            None if packet.kind == Kind::JobCreated => return Err(Broken::Unexpected(packet.kind.name())),
            None => return Ok(()),
        };
        match expected {
            Expected::Created { background, created, .. } => {
                let handle = handle_of(packet);
                if handle.is_empty() {
                    return Err(Broken::EmptyHandle);
                }
                let updates = if background { Updates::none() } else { self.updates() };
                let updates = Arc::new(updates);
                if !background {
                    self.jobs.follow(handle.clone(), &updates);
                }
                if !self.owed.owes_a_job() {
                    self.jobs.forget_early();
                }
                // A caller that has given up still has its turn with the updates.
                drop(created.send(Ok((handle, updates))));
            }
            Expected::Status { status, .. } => drop(status.send(Ok(JobStatus::read(packet)))),
            Expected::UniqueStatus { status, .. } => drop(status.send(Ok(UniqueStatus::read(packet)))),
            Expected::Option { set } => drop(set.send(Ok(()))),
            Expected::Echo { echoed, .. } => drop(echoed.send(Ok(()))),
            Expected::Pulse => {
                let beat = || Pulse::new(self.config.heartbeat, self.config.reply_timeout, Instant::now());
                self.pulse.get_or_insert_with(beat);
            }
        }
        Ok(())
    }

    fn updates(&self) -> Updates {
        Updates::new(self.config.max_updates, self.config.max_update_bytes)
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).take(200).collect()
}
