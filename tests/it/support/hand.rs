//! A worker led by hand: it says exactly what a test wants said.

use bytes::{Bytes, BytesMut};
use layshaft::gearman::codec::{Codec, Frame};
use layshaft::gearman::{Kind, Packet};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::codec::{Decoder, Encoder};

use super::within;

pub(crate) struct Hand {
    stream: TcpStream,
    codec: Codec,
    input: BytesMut,
    handle: Bytes,
}

impl Hand {
    /// Takes the next job of a function; returns its payload too.
    pub(crate) async fn take(server: &str, function: &str) -> (Self, Bytes) {
        let stream = TcpStream::connect(server).await.unwrap();
        let mut hand = Self { stream, codec: Codec::default(), input: BytesMut::new(), handle: Bytes::new() };
        hand.write(&Packet::request(Kind::CanDo, [function.to_owned().into()])).await;
        loop {
            // The only grab that geard knows.
            hand.write(&Packet::request(Kind::GrabJobUniq, [])).await;
            match within("an answer to a grab", hand.read()).await {
                answer if answer.kind == Kind::JobAssignUniq => {
                    hand.handle = answer.argument(0).clone();
                    return (hand, answer.argument(3).clone());
                }
                _ => hand.write(&Packet::request(Kind::PreSleep, [])).await,
            }
            within("a job", hand.read()).await;
        }
    }

    /// Connects as a worker that offers functions and takes no job.
    pub(crate) async fn offer(server: &str, client_id: &str, functions: &[&str]) -> Self {
        let stream = TcpStream::connect(server).await.unwrap();
        let mut hand = Self { stream, codec: Codec::default(), input: BytesMut::new(), handle: Bytes::new() };
        hand.write(&Packet::request(Kind::SetClientId, [client_id.to_owned().into()])).await;
        for function in functions {
            hand.write(&Packet::request(Kind::CanDo, [(*function).to_owned().into()])).await;
        }
        hand
    }

    pub(crate) fn handle(&self) -> String {
        String::from_utf8_lossy(&self.handle).into_owned()
    }

    pub(crate) async fn data(&mut self, data: &str) {
        self.write(&Packet::request(Kind::WorkData, [self.handle.clone(), data.to_owned().into()])).await;
    }

    pub(crate) async fn warning(&mut self, data: &str) {
        self.write(&Packet::request(Kind::WorkWarning, [self.handle.clone(), data.to_owned().into()])).await;
    }

    pub(crate) async fn status(&mut self, numerator: u64, denominator: u64) {
        let [numerator, denominator] = [numerator, denominator].map(|number| Bytes::from(number.to_string()));
        self.write(&Packet::request(Kind::WorkStatus, [self.handle.clone(), numerator, denominator])).await;
    }

    pub(crate) async fn complete(&mut self, data: &str) {
        self.write(&Packet::request(Kind::WorkComplete, [self.handle.clone(), data.to_owned().into()])).await;
    }

    pub(crate) async fn exception(&mut self, data: &str) {
        self.write(&Packet::request(Kind::WorkException, [self.handle.clone(), data.to_owned().into()])).await;
    }

    pub(crate) async fn fail(&mut self) {
        self.write(&Packet::request(Kind::WorkFail, [self.handle.clone()])).await;
    }

    async fn write(&mut self, packet: &Packet) {
        let mut bytes = BytesMut::new();
        self.codec.encode(packet, &mut bytes).unwrap();
        self.stream.write_all(&bytes).await.unwrap();
    }

    async fn read(&mut self) -> Packet {
        loop {
            if let Some(Frame::Packet(packet)) = self.codec.decode(&mut self.input).unwrap() {
                return packet;
            }
            assert_ne!(self.stream.read_buf(&mut self.input).await.unwrap(), 0, "the server hung up");
        }
    }
}
