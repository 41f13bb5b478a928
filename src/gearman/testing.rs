//! A peer for tests that says exactly what it is told to, and never waits for ever.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::codec::{Decoder, Encoder};

use super::codec::{Codec, Frame};
use super::crew::{self, Crew};
use super::packet::{Kind, Packet};
use super::worker::{self, Worker};

/// Far beyond what any conversation takes; reached only when something is missing.
pub(super) const LIMIT: Duration = Duration::from_secs(20);

/// Whoever has to be let work for its side of a conversation, and tells what its owner has to hear.
pub(super) trait Side {
    type Event: std::fmt::Debug;

    fn event(&mut self) -> impl Future<Output = Self::Event>;
}

impl Side for Worker {
    type Event = worker::Event;

    fn event(&mut self) -> impl Future<Output = worker::Event> {
        Self::event(self)
    }
}

impl Side for Crew {
    type Event = crew::Event;

    fn event(&mut self) -> impl Future<Output = crew::Event> {
        Self::event(self)
    }
}

/// Lets one side work beside the other one's script until the script is through, and returns what it had to say.
#[track_caller]
pub(super) fn beside<'a, S: Side, T>(
    side: &'a mut S,
    script: impl Future<Output = T> + 'a,
) -> impl Future<Output = (T, Vec<S::Event>)> + 'a {
    let caller = std::panic::Location::caller();
    async move {
        let mut events = Vec::new();
        let through = async {
            tokio::pin!(script);
            loop {
                tokio::select! {
                    biased;
                    outcome = &mut script => return outcome,
                    event = side.event() => events.push(event),
                }
            }
        };
        match tokio::time::timeout(LIMIT, through).await {
            Ok(outcome) => (outcome, events),
            Err(_) => panic!("script from {caller} got stuck after {events:?}"),
        }
    }
}

/// Waits for what a side has to say next.
pub(super) async fn next<S: Side>(side: &mut S) -> S::Event {
    tokio::time::timeout(LIMIT, side.event()).await.expect("it has something to say")
}

#[derive(Debug)]
pub(super) struct Peer {
    stream: TcpStream,
    codec: Codec,
    input: BytesMut,
}

impl Peer {
    pub(super) async fn connect(server: &str) -> Self {
        Self::new(TcpStream::connect(server).await.unwrap())
    }

    pub(super) fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self { stream, codec: Codec::with_lines(1 << 20), input: BytesMut::new() }
    }

    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }

    pub(super) async fn send<const N: usize>(&mut self, kind: Kind, arguments: [Bytes; N]) {
        self.write(&Packet::request(kind, arguments)).await;
    }

    pub(super) async fn respond<const N: usize>(&mut self, kind: Kind, arguments: [Bytes; N]) {
        self.write(&Packet::response(kind, arguments)).await;
    }

    pub(super) async fn send_bytes(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// Returns the next frame; `None` when the other side has closed or reset the connection.
    pub(super) async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.codec.decode(&mut self.input).unwrap() {
                return Some(frame);
            }
            let read = tokio::time::timeout(LIMIT, self.stream.read_buf(&mut self.input)).await;
            if read.expect("the other side says something in time").unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    pub(super) async fn receive(&mut self) -> Packet {
        match self.frame().await {
            Some(Frame::Packet(packet)) => packet,
            other => panic!("{other:?} instead of a packet"),
        }
    }

    pub(super) async fn receive_line(&mut self) -> String {
        match self.frame().await {
            Some(Frame::Line(line)) => String::from_utf8_lossy(&line).into_owned(),
            other => panic!("{other:?} instead of a line"),
        }
    }

    /// Works like a worker until it has a job of a function; returns its handle and payload.
    pub(super) async fn grab(&mut self, function: &'static str) -> (Bytes, Bytes) {
        self.send(Kind::CanDo, [function.into()]).await;
        loop {
            self.send(Kind::GrabJob, []).await;
            let answer = self.receive().await;
            if answer.kind == Kind::JobAssign {
                return (answer.argument(0).clone(), answer.argument(2).clone());
            }
            assert_eq!(answer.kind, Kind::NoJob);
            self.send(Kind::PreSleep, []).await;
            assert_eq!(self.receive().await.kind, Kind::Noop);
        }
    }

    async fn write(&mut self, packet: &Packet) {
        let mut bytes = BytesMut::new();
        self.codec.encode(packet, &mut bytes).unwrap();
        self.stream.write_all(&bytes).await.unwrap();
    }
}
