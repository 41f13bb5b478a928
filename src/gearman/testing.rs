//! A peer for tests that says exactly what it is told to, and never waits for ever.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::codec::{Decoder, Encoder};

use super::codec::{Codec, Frame};
use super::packet::{Kind, Packet};

const LIMIT: Duration = Duration::from_secs(20);

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
