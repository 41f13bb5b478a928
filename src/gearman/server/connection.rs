//! One peer of the server: reads requests for the core, writes what the core has for it.
//!
//! An idle connection holds no buffer: what comes is read into one that all connections of a thread share, and only
//! what is incomplete is kept.

use std::cell::RefCell;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::core::{Core, Turn};
use super::peer::{ConnectionId, Ending};
use super::request;
use crate::gearman::codec::CodecError;

const READ_AT_ONCE: usize = 64 << 10;

/// A peer with this much unsent is not read from.
const PAUSE_READING_AT: usize = 1 << 20;

/// Progress in writing is reported to the core at least this often, which judges by it who does not read.
const REPORT_EVERY: usize = 64 << 10;

/// How long a peer that is being closed has to take the rest.
const FLUSH_LIMIT: Duration = Duration::from_secs(2);

thread_local! {
    static READ: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ_AT_ONCE].into());
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    #[error("peer held more than its share of what the server may keep")]
    TooMuchKept,
    #[error(transparent)]
    Codec(#[from] CodecError),
}

impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Self {
        Self::Codec(error.into())
    }
}

/// Serves a peer until it leaves, breaks the protocol, or the server closes the connection.
pub(super) async fn serve(
    core: &Core,
    id: ConnectionId,
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
) -> Result<(), Broken> {
    let mut exchange = Exchange { core, id, input: Vec::new(), output: BytesMut::new(), is_over: false, broken: None };
    std::future::poll_fn(|context| exchange.poll(&mut stream, context)).await?;
    let mut output = exchange.output;
    let _late_peer_gets_no_more = tokio::time::timeout(FLUSH_LIMIT, async {
        stream.write_all_buf(&mut output).await?;
        core.turn(id, Waker::noop(), &mut output);
        stream.write_all_buf(&mut output).await?;
        stream.shutdown().await
    })
    .await;
    exchange.broken.map_or(Ok(()), |error| Err(error.into()))
}

struct Exchange<'a> {
    core: &'a Core,
    id: ConnectionId,
    /// The beginning of a request.
    input: Vec<u8>,
    /// What is being written.
    output: BytesMut,
    /// The peer has said all it will.
    is_over: bool,
    /// How the peer broke the protocol: what it had asked before is answered all the same.
    broken: Option<CodecError>,
}

impl Exchange<'_> {
    /// Goes on until neither reading nor writing gets any further; ready when nothing more is to be read.
    fn poll<S>(&mut self, stream: &mut S, context: &mut Context<'_>) -> Poll<Result<(), Broken>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let mut turn = self.core.turn(self.id, context.waker(), &mut self.output);
        loop {
            match turn.ending {
                Some(Ending::Overflow) => return Poll::Ready(Err(Broken::TooMuchKept)),
                Some(Ending::Flush) => return Poll::Ready(Ok(())),
                None => {}
            }
            let taken = self.output.len();
            let is_written = self.write(stream, context)?.is_ready();
            let is_worth_reporting = taken - self.output.len() >= REPORT_EVERY;
            if (is_written && taken > 0 && turn.left > 0) || is_worth_reporting {
                turn = self.core.turn(self.id, context.waker(), &mut self.output);
                continue;
            }
            if self.output.len() + turn.left >= PAUSE_READING_AT {
                return Poll::Pending;
            }
            if self.is_over {
                // Only an answer that waits for the store is waited for; the rest has its time limit.
                let is_promised = self.output.is_empty() && turn.left > 0;
                return if is_promised { Poll::Pending } else { Poll::Ready(Ok(())) };
            }
            match ready!(self.read(stream, context))? {
                Some(next) => turn = next,
                None => self.is_over = true,
            }
        }
    }

    fn write<S>(&mut self, stream: &mut S, context: &mut Context<'_>) -> Poll<std::io::Result<()>>
    where
        S: AsyncWrite + Unpin,
    {
        while !self.output.is_empty() {
            let written = ready!(Pin::new(&mut *stream).poll_write(context, &self.output))?;
            if written == 0 {
                return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
            }
            self.output.advance(written);
        }
        // Small buffers are not worth the keeping, and large ones must not be kept.
        self.output = BytesMut::new();
        Pin::new(stream).poll_flush(context)
    }

    /// Reads once, and has the core answer; `None` at the end of the stream.
    fn read<S>(&mut self, stream: &mut S, context: &mut Context<'_>) -> Poll<Result<Option<Turn>, Broken>>
    where
        S: AsyncRead + Unpin,
    {
        READ.with_borrow_mut(|buffer| {
            let mut buffer = ReadBuf::new(buffer);
            ready!(Pin::new(stream).poll_read(context, &mut buffer))?;
            let new = buffer.filled();
            if new.is_empty() {
                return Poll::Ready(Ok(None));
            }
            let is_continued = !self.input.is_empty();
            if is_continued {
                self.make_room(new.len());
                self.input.extend_from_slice(new);
            }
            let input = if is_continued { &self.input } else { new };
            let (done, turn, broken) = self.core.receive(self.id, input, &mut self.output);
            self.broken = self.broken.take().or(broken);
            if is_continued && done < self.input.len() {
                self.input.drain(..done);
            } else {
                self.input = input[done..].to_vec();
            }
            Poll::Ready(Ok(Some(turn)))
        })
    }

    /// Grows with what has come, not with what was announced, and never beyond that.
    fn make_room(&mut self, new: usize) {
        let needed = self.input.len() + new;
        if needed > self.input.capacity() {
            let expected = request::expected_length(&self.input).unwrap_or(0);
            let room = (2 * self.input.len()).min(expected).max(needed);
            self.input.reserve_exact(room - self.input.len());
        }
    }
}
