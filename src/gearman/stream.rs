//! The bytes of one connection, over TCP as they are or through TLS.
//!
//! An enum and no box: without TLS a read or write is the system call it was. What TLS adds to the manners of a socket
//! ends in this file: bytes that it has taken and not sent yet leave while the owner reads, and a peer that closes
//! without saying so in TLS has closed all the same (packets tell their length, so nothing can be cut off unseen).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, tcp};
use tokio_rustls::TlsStream;

use super::tls;

/// One connection, from either side.
#[derive(Debug)]
pub(super) struct Stream(Inner);

#[derive(Debug)]
enum Inner {
    Plain(TcpStream),
    Tls(Box<Encrypted>),
}

impl Stream {
    pub(super) fn plain(stream: TcpStream) -> Self {
        Self(Inner::Plain(stream))
    }

    pub(super) fn encrypted(stream: impl Into<TlsStream<TcpStream>>) -> Self {
        Self(Inner::Tls(Box::new(Encrypted(stream.into()))))
    }

    /// Returns the socket beneath.
    #[cfg(test)]
    pub(super) fn tcp(&self) -> &TcpStream {
        match &self.0 {
            Inner::Plain(stream) => stream,
            Inner::Tls(stream) => stream.0.get_ref().0,
        }
    }

    /// Waits until a read may bring something.
    pub(super) fn poll_read_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Inner::Plain(stream) => stream.poll_read_ready(context),
            Inner::Tls(stream) => stream.poll_read_ready(context),
        }
    }

    /// Says whether bytes that a write has taken may still be here.
    pub(super) fn is_unflushed(&self) -> bool {
        match &self.0 {
            Inner::Plain(_) => false,
            Inner::Tls(stream) => stream.is_unflushed(),
        }
    }

    /// Says whether the connection is open and nothing unasked has come on it.
    pub(super) fn is_quiet(&mut self) -> bool {
        let mut unasked = [0];
        let mut context = Context::from_waker(Waker::noop());
        Pin::new(self).poll_read(&mut context, &mut ReadBuf::new(&mut unasked)).is_pending()
    }

    /// Lends both directions to one task.
    pub(super) fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        match &mut self.0 {
            Inner::Plain(stream) => {
                let (reader, writer) = stream.split();
                (ReadHalf::Plain(reader), WriteHalf::Plain(writer))
            }
            Inner::Tls(stream) => {
                let (reader, writer) = tokio::io::split(&mut **stream);
                (ReadHalf::Tls(reader), WriteHalf::Tls(writer))
            }
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Inner::Plain(stream) => Pin::new(stream).poll_read(context, buffer),
            Inner::Tls(stream) => Pin::new(&mut **stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().0 {
            Inner::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Inner::Tls(stream) => Pin::new(&mut **stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Inner::Plain(_) => Poll::Ready(Ok(())),
            Inner::Tls(stream) => Pin::new(&mut **stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().0 {
            Inner::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Inner::Tls(stream) => Pin::new(&mut **stream).poll_shutdown(context),
        }
    }
}

/// What comes in on a [`Stream`].
#[derive(Debug)]
pub(super) enum ReadHalf<'a> {
    Plain(tcp::ReadHalf<'a>),
    Tls(tokio::io::ReadHalf<&'a mut Encrypted>),
}

/// What goes out on a [`Stream`].
#[derive(Debug)]
pub(super) enum WriteHalf<'a> {
    Plain(tcp::WriteHalf<'a>),
    Tls(tokio::io::WriteHalf<&'a mut Encrypted>),
}

impl AsyncRead for ReadHalf<'_> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(half) => Pin::new(half).poll_read(context, buffer),
            Self::Tls(half) => Pin::new(half).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for WriteHalf<'_> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(half) => Pin::new(half).poll_write(context, bytes),
            Self::Tls(half) => Pin::new(half).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(half) => Pin::new(half).poll_flush(context),
            Self::Tls(half) => Pin::new(half).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(half) => Pin::new(half).poll_shutdown(context),
            Self::Tls(half) => Pin::new(half).poll_shutdown(context),
        }
    }
}

/// A connection through TLS.
#[derive(Debug)]
pub(super) struct Encrypted(TlsStream<TcpStream>);

impl Encrypted {
    fn poll_read_ready(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.drive_writes(context);
        let (socket, session) = self.0.get_ref();
        // What was decrypted already makes no socket readable.
        if session.wants_read() { socket.poll_read_ready(context) } else { Poll::Ready(Ok(())) }
    }

    fn is_unflushed(&self) -> bool {
        self.0.get_ref().1.wants_write()
    }

    /// Sends what writes have left behind; an owner that waits to read need not know that there is something.
    ///
    /// If that fails, the read that follows tells more: the peer may have said why it refuses us.
    fn drive_writes(&mut self, context: &mut Context<'_>) {
        if self.is_unflushed() {
            let _the_read_tells = Pin::new(&mut self.0).poll_flush(context);
        }
    }

    /// Returns why a write failed: what the peer said before it closed, if it said something.
    fn why(&mut self, error: io::Error) -> io::Error {
        let mut unread = [0; 1024];
        let mut context = Context::from_waker(Waker::noop());
        match Pin::new(&mut self.0).poll_read(&mut context, &mut ReadBuf::new(&mut unread)) {
            Poll::Ready(Err(said)) if said.kind() == io::ErrorKind::InvalidData => tls::explain_io(said),
            _ => tls::explain_io(error),
        }
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.drive_writes(context);
        match ready!(Pin::new(&mut this.0).poll_read(context, buffer)) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            outcome => Poll::Ready(outcome.map_err(tls::explain_io)),
        }
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.0).poll_write(context, bytes));
        Poll::Ready(written.map_err(|error| this.why(error)))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let flushed = ready!(Pin::new(&mut this.0).poll_flush(context));
        Poll::Ready(flushed.map_err(|error| this.why(error)))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(context)
    }
}
