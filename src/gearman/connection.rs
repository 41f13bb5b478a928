//! One TCP connection to a Gearman server: packets in, packets out.
//!
//! Small packets leave at once and together (TCP_NODELAY, one buffered write): peers that write a result and the next
//! grab separately, with Nagle's algorithm on, stall 40 ms per job. A peer that has silently gone is noticed by the
//! kernel, with and without unanswered data. Holds no memory for reading while nothing comes.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;
use tokio_util::codec::{Decoder, Encoder};

use super::codec::{Codec, CodecError, Frame};
use super::dial::{DialError, KeepAlive, dial};
use super::endpoint::Endpoint;
use super::packet::Packet;
use super::stream::Stream;
use super::tls;

/// The least that is read at a time; most packets are far shorter.
const READ_STEP: usize = 8 << 10;

/// Room for writing that is kept while there is nothing to write.
const WRITE_ROOM_KEPT: usize = 4 << 10;

#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    #[error(transparent)]
    Dial(#[from] DialError),
    #[error("connection broke: {0}")]
    Broken(io::Error),
    #[error("server closed the connection")]
    Closed,
    #[error("server did not take what was written, or did not close, within {0:?}")]
    CloseTimedOut(Duration),
    #[error("server does not speak the protocol: {0}")]
    Garbled(CodecError),
    #[error("{}", tls::WANTED)]
    WantsTls,
    #[error("packet cannot be written: {0}")]
    Unwritable(CodecError),
}

#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    codec: Codec,
    incoming: BytesMut,
    outgoing: BytesMut,
}

impl Connection {
    /// Connects to a server, trying each of its addresses for at most `connect_timeout`.
    pub async fn open(
        server: &Endpoint,
        connect_timeout: Duration,
        keep_alive: KeepAlive,
        max_payload: usize,
    ) -> Result<Self, ConnectionError> {
        let stream = dial(server, connect_timeout, keep_alive).await?;
        Ok(Self { stream, codec: Codec::new(max_payload), incoming: BytesMut::new(), outgoing: BytesMut::new() })
    }

    /// Adds a packet to what is written next.
    pub fn queue(&mut self, packet: &Packet) -> Result<(), ConnectionError> {
        self.codec.encode(packet, &mut self.outgoing).map_err(ConnectionError::Unwritable)
    }

    /// Writes what is queued, and waits for bytes to come meanwhile or after it.
    ///
    /// Whoever stops waiting loses nothing: what was written has left the queue, and what was read is kept.
    pub(super) fn poll_exchange(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        if (!self.outgoing.is_empty() || self.stream.is_unflushed())
            && let Poll::Ready(Err(error)) = self.poll_write(context)
        {
            return Poll::Ready(Err(error));
        }
        self.poll_read(context)
    }

    /// Takes the next frame out of what was read.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, ConnectionError> {
        let frame = self.codec.decode(&mut self.incoming).map_err(|error| match error {
            CodecError::BadMagic(start) if start.starts_with(&tls::ALERT) => ConnectionError::WantsTls,
            error => ConnectionError::Garbled(error),
        })?;
        if self.incoming.is_empty() {
            self.incoming = BytesMut::new();
        }
        Ok(frame)
    }

    /// Says whether the beginning of a packet was read, and not yet its end.
    pub fn is_mid_packet(&self) -> bool {
        !self.incoming.is_empty()
    }

    /// Says whether the system has taken everything that was queued.
    pub(super) fn has_written_all(&self) -> bool {
        self.outgoing.is_empty() && !self.stream.is_unflushed()
    }

    /// Writes what is queued, says that nothing will follow, and waits until the server has closed its side too.
    ///
    /// To close while bytes lie unread would reset the connection, and the server might never read our last packets.
    pub async fn close(mut self, patience: Duration) -> Result<(), ConnectionError> {
        let farewell = async {
            self.stream.write_all_buf(&mut self.outgoing).await?;
            self.stream.shutdown().await?;
            let mut unread = [0; 1024];
            while self.stream.read(&mut unread).await? > 0 {}
            Ok(())
        };
        match timeout(patience, farewell).await {
            Ok(done) => done.map_err(ConnectionError::Broken),
            Err(_) => Err(ConnectionError::CloseTimedOut(patience)),
        }
    }

    #[cfg(test)]
    pub(super) fn socket(&self) -> socket2::SockRef<'_> {
        socket2::SockRef::from(self.stream.tcp())
    }

    /// Writes until nothing is left.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        while !self.outgoing.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(context, &self.outgoing));
            self.outgoing.advance(written.map_err(ConnectionError::Broken)?);
        }
        ready!(Pin::new(&mut self.stream).poll_flush(context)).map_err(ConnectionError::Broken)?;
        if self.outgoing.capacity() > WRITE_ROOM_KEPT {
            self.outgoing = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }

    /// Reads once. That a read which does not fill its buffer has emptied the socket is known to tokio here, and not in
    /// `try_read`: the next wait needs no system call that only finds nothing.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ConnectionError>> {
        // No room is made before there is something to read.
        ready!(self.stream.poll_read_ready(context)).map_err(ConnectionError::Broken)?;
        // The codec reserves more where a long packet has begun.
        if self.incoming.capacity() - self.incoming.len() < READ_STEP {
            self.incoming.reserve(READ_STEP);
        }
        match pin!(self.stream.read_buf(&mut self.incoming)).poll(context) {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(ConnectionError::Closed)),
            Poll::Ready(Ok(_)) => Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(ConnectionError::Broken(error))),
            Poll::Pending => {
                if self.incoming.is_empty() {
                    self.incoming = BytesMut::new();
                }
                Poll::Pending
            }
        }
    }
}
