use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use bytes::{BufMut, BytesMut};
use layshaft::gearman::codec::{Codec, Frame};
use layshaft::gearman::{Kind, Packet};
use tokio_util::codec::{Decoder, Encoder};

/// The longest that anything here may take; reached only when the server or the worker is gone.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection without tasks or threads, so that what is measured is the other side.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    codec: Codec,
    incoming: BytesMut,
}

impl Wire {
    pub(crate) fn connect(server: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(server).context("failed to connect to the gearman server")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream, codec: Codec::with_lines(1 << 20), incoming: BytesMut::new() })
    }

    /// Writes packets in one piece.
    pub(crate) fn send<'a>(&mut self, packets: impl IntoIterator<Item = &'a Packet>) -> anyhow::Result<()> {
        let mut wire = BytesMut::new();
        for packet in packets {
            self.codec.encode(packet, &mut wire)?;
        }
        self.stream.write_all(&wire).context("failed to write")
    }

    /// Waits for the next packet.
    pub(crate) fn packet(&mut self) -> anyhow::Result<Packet> {
        loop {
            match self.codec.decode(&mut self.incoming)? {
                Some(Frame::Packet(packet)) => return Ok(packet),
                Some(other) => bail!("server sent {other:?}"),
                None => self.read()?,
            }
        }
    }

    /// Returns the next packet that has come already.
    pub(crate) fn packet_at_hand(&mut self) -> anyhow::Result<Option<Packet>> {
        match self.codec.decode(&mut self.incoming)? {
            Some(Frame::Packet(packet)) => Ok(Some(packet)),
            Some(other) => bail!("server sent {other:?}"),
            None => Ok(None),
        }
    }

    /// Waits for a packet of that kind, past others that are named too.
    pub(crate) fn wait_for(&mut self, kind: Kind, past: &[Kind]) -> anyhow::Result<()> {
        loop {
            let packet = self.packet()?;
            if packet.kind == kind {
                return Ok(());
            }
            ensure!(past.contains(&packet.kind), "server sent {packet:?} instead of {}", kind.name());
        }
    }

    /// Asks `status`, and returns how many functions have at least so many workers.
    pub(crate) fn functions_with_workers(&mut self, workers: usize) -> anyhow::Result<usize> {
        self.stream.write_all(b"status\n").context("failed to ask for status")?;
        let mut functions = 0;
        loop {
            match self.codec.decode(&mut self.incoming)? {
                Some(Frame::Line(line)) if &line[..] == b"." => return Ok(functions),
                Some(Frame::Line(line)) => {
                    let last = line.rsplit(|&byte| byte == b'\t').next().unwrap_or_default();
                    let offering: usize = std::str::from_utf8(last)?.parse()?;
                    functions += usize::from(offering >= workers);
                }
                Some(other) => bail!("server sent {other:?}"),
                None => self.read()?,
            }
        }
    }

    fn read(&mut self) -> anyhow::Result<()> {
        self.incoming.reserve(16 << 10);
        let room = self.incoming.spare_capacity_mut().len();
        let length = self.incoming.len();
        // Zeroes cost less than a second buffer and a copy.
        self.incoming.put_bytes(0, room);
        let read = self.stream.read(&mut self.incoming[length..]);
        self.incoming.truncate(length + read.as_ref().map_or(0, |&read| read));
        ensure!(read.context("no answer: has the worker or the server ended?")? > 0, "server closed the connection");
        Ok(())
    }
}
