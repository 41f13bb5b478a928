//! Lets callers in: a bounded number at a time, and nobody who says nothing for long.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};
use tracing::warn;

use super::access::Caller;

/// People and their scripts need a handful; whoever forgets connections open must not lock them out soon.
const SEATS: usize = 256;

/// Longer than the slowest answer, which is that of a reload that compiles a large policy.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

#[derive(Debug)]
pub(super) struct Door {
    source: Source,
    seats: Arc<Semaphore>,
}

#[derive(Debug)]
enum Source {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// A connection that is let in.
pub(super) struct Guest {
    stream: Box<dyn Stream>,
    silence: Pin<Box<Sleep>>,
    _seat: OwnedSemaphorePermit,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Door {
    pub(super) fn unix(listener: UnixListener) -> Self {
        Self { source: Source::Unix(listener), seats: Arc::new(Semaphore::new(SEATS)) }
    }

    pub(super) fn tcp(listener: TcpListener) -> Self {
        Self { source: Source::Tcp(listener), seats: Arc::new(Semaphore::new(SEATS)) }
    }
}

impl Source {
    async fn accept(&self) -> io::Result<(Box<dyn Stream>, Caller)> {
        match self {
            Self::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                let uid = stream.peer_cred()?.uid();
                Ok((Box::new(stream), Caller::Local { uid }))
            }
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Box::new(stream), Caller::Remote { address }))
            }
        }
    }
}

impl Listener for Door {
    type Io = Guest;
    type Addr = Caller;

    async fn accept(&mut self) -> (Guest, Caller) {
        let seat = Arc::clone(&self.seats).acquire_owned().await.expect("the seats are never closed");
        loop {
            match self.source.accept().await {
                Ok((stream, caller)) => {
                    let silence = Box::pin(tokio::time::sleep(PATIENCE));
                    return (Guest { stream, silence, _seat: seat }, caller);
                }
                Err(error) => {
                    // Out of file descriptors, most likely: others have to leave first.
                    warn!(%error, "failed to accept a connection to the control channel");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<Caller> {
        // Asked by nobody here; a listener of the same kind of callers.
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl Connected<IncomingStream<'_, Door>> for Caller {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        *stream.remote_addr()
    }
}

impl AsyncRead for Guest {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let guest = &mut *self;
        if let Poll::Ready(read) = Pin::new(&mut guest.stream).poll_read(cx, buffer) {
            guest.silence.as_mut().reset(Instant::now() + PATIENCE);
            return Poll::Ready(read);
        }
        guest.silence.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncWrite for Guest {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
