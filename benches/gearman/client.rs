use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::{Bytes, BytesMut};
use layshaft::gearman::codec::{Codec, Frame};
use layshaft::gearman::{Kind, Packet, Priority};
use tokio_util::codec::{Decoder, Encoder};

/// The longest that anything here may take; reached only when the server or the worker is gone.
const PATIENCE: Duration = Duration::from_secs(30);

/// Submissions on their way at once: few enough for the sockets' buffers to hold all answers.
const BATCH: usize = 500;

/// A client without tasks or threads, so that what is measured is the server and the worker.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    codec: Codec,
    incoming: BytesMut,
}

impl Client {
    pub(crate) fn connect(server: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(server).context("failed to connect to the gearman server")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, codec: Codec::default(), incoming: BytesMut::new() })
    }

    /// Submits a job in the foreground, and waits until the server has taken it.
    pub(crate) fn submit(&mut self, function: &'static str, payload: &[u8], priority: Priority) -> anyhow::Result<()> {
        self.submit_unconfirmed(function, payload, priority)?;
        self.wait_for(Kind::JobCreated)
    }

    /// Submits a job in the foreground.
    pub(crate) fn submit_unconfirmed(
        &mut self,
        function: &'static str,
        payload: &[u8],
        priority: Priority,
    ) -> anyhow::Result<()> {
        self.write(&submission(priority.to_submit(false), function, payload), 1)
    }

    /// Submits many jobs in the background, and waits until the server has taken them all.
    pub(crate) fn submit_in_background(
        &mut self,
        function: &'static str,
        payload: &[u8],
        count: usize,
    ) -> anyhow::Result<()> {
        let packet = submission(Priority::Normal.to_submit(true), function, payload);
        let mut left = count;
        while left > 0 {
            let batch = left.min(BATCH);
            self.write(&packet, batch)?;
            for _ in 0..batch {
                self.wait_for(Kind::JobCreated)?;
            }
            left -= batch;
        }
        Ok(())
    }

    /// Waits until a job that was submitted in the foreground is complete.
    pub(crate) fn wait_for_completion(&mut self) -> anyhow::Result<()> {
        self.wait_for(Kind::WorkComplete)
    }

    fn write(&mut self, packet: &Packet, times: usize) -> anyhow::Result<()> {
        let mut wire = BytesMut::new();
        for _ in 0..times {
            self.codec.encode(packet, &mut wire)?;
        }
        self.stream.write_all(&wire).context("failed to submit")
    }

    fn wait_for(&mut self, kind: Kind) -> anyhow::Result<()> {
        loop {
            let packet = self.next()?;
            if packet.kind == kind {
                return Ok(());
            }
            ensure!(packet.kind == Kind::JobCreated, "server sent {} instead of {}", packet.kind.name(), kind.name());
        }
    }

    fn next(&mut self) -> anyhow::Result<Packet> {
        let mut chunk = [0; 16 << 10];
        loop {
            match self.codec.decode(&mut self.incoming)? {
                Some(Frame::Packet(packet)) => return Ok(packet),
                Some(other) => bail!("server sent {other:?}"),
                None => {}
            }
            let read = self.stream.read(&mut chunk).context("no answer: has the worker or the server ended?")?;
            ensure!(read > 0, "server closed the connection");
            self.incoming.extend_from_slice(&chunk[..read]);
        }
    }
}

fn submission(kind: Kind, function: &'static str, payload: &[u8]) -> Packet {
    Packet::request(kind, [Bytes::from_static(function.as_bytes()), Bytes::new(), Bytes::copy_from_slice(payload)])
}
