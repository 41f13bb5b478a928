//! Bytes to packets and back. The only file that knows how a packet looks on the wire.
//!
//! A packet is 12 bytes of header (magic, type, length of the rest; big-endian) and its arguments, with a NUL between
//! them (PROTOCOL, "Binary Packet"). Lengths are checked before anything is allocated; arguments are slices of the
//! bytes that were read, never copies.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use super::packet::{Kind, Magic, Packet};

pub(super) const HEADER: usize = 12;

/// 64 MiB: gearmand passes more, but a build's parameters never come near it.
pub const DEFAULT_MAX_BODY: usize = 64 << 20;

/// The most that is allocated ahead of what has arrived.
const RESERVE_AT_ONCE: usize = 256 << 10;

/// The longest line of the text protocol; gearmand's own lines are far shorter.
pub(super) const MAX_LINE: usize = 8 << 10;

#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    #[error("connection broke")]
    Io(#[from] std::io::Error),
    #[error("packet starts with {0:02x?} instead of \\0REQ or \\0RES")]
    BadMagic([u8; 4]),
    #[error("packet of {length} bytes is longer than the limit of {limit}")]
    TooLong { length: u64, limit: usize },
    #[error("{kind} has {found} of its {expected} arguments")]
    MissingArguments { kind: &'static str, expected: usize, found: usize },
    #[error("{argument} of {kind} holds a NUL, which would end it early")]
    NulInArgument { kind: &'static str, argument: &'static str },
    #[error("line of text is longer than {MAX_LINE} bytes")]
    LineTooLong,
}

/// What stands next in the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    Packet(Packet),
    /// A type that the protocol does not have; its body was skipped.
    Unknown {
        magic: Magic,
        number: u32,
    },
    /// A line of the administrative text protocol, without its end.
    Line(Bytes),
}

/// Packets in both directions; lines of text too where they are accepted.
#[derive(Debug)]
pub struct Codec {
    max_body: usize,
    accepts_lines: bool,
    /// Bytes of an unknown packet's body that are still to be dropped, and what to report then.
    skipping: Option<(usize, Frame)>,
}

impl Codec {
    /// Makes a codec for a peer that speaks packets only.
    pub fn new(max_body: usize) -> Self {
        Self { max_body, accepts_lines: false, skipping: None }
    }

    /// Makes a codec for a server's side of a connection, where text commands may stand between packets.
    pub fn with_lines(max_body: usize) -> Self {
        Self { accepts_lines: true, ..Self::new(max_body) }
    }

    fn decode_line(&self, source: &mut BytesMut) -> Result<Option<Frame>, CodecError> {
        let Some(end) = source.iter().take(MAX_LINE + 1).position(|&byte| byte == b'\n') else {
            return if source.len() > MAX_LINE { Err(CodecError::LineTooLong) } else { Ok(None) };
        };
        let mut line = source.split_to(end + 1).freeze();
        line.truncate(end);
        if line.last() == Some(&b'\r') {
            line.truncate(end - 1);
        }
        Ok(Some(Frame::Line(line)))
    }

    fn skip(&mut self, source: &mut BytesMut) -> Option<Frame> {
        let (left, frame) = self.skipping.take()?;
        let here = left.min(source.len());
        source.advance(here);
        if here < left {
            self.skipping = Some((left - here, frame));
            return None;
        }
        Some(frame)
    }
}

impl Default for Codec {
    fn default() -> Self {
        Self::new(DEFAULT_MAX_BODY)
    }
}

impl Decoder for Codec {
    type Item = Frame;
    type Error = CodecError;

    fn decode(&mut self, source: &mut BytesMut) -> Result<Option<Frame>, CodecError> {
        if self.skipping.is_some() {
            return Ok(self.skip(source));
        }
        let Some(&first) = source.first() else { return Ok(None) };
        // "Administrative Protocol": a first byte that is not NUL begins a line of text.
        if first != 0 && self.accepts_lines {
            return self.decode_line(source);
        }
        let Some(Header { magic, number, length }) = header(source, self.max_body)? else { return Ok(None) };
        let Some(kind) = Kind::from_number(number) else {
            source.advance(HEADER);
            self.skipping = Some((length, Frame::Unknown { magic, number }));
            return Ok(self.skip(source));
        };
        if source.len() < HEADER + length {
            // A step at a time: a peer that only claims to send much must not make us allocate much.
            source.reserve((HEADER + length - source.len()).min(RESERVE_AT_ONCE));
            return Ok(None);
        }
        source.advance(HEADER);
        let body = source.split_to(length).freeze();
        let arguments = split(kind, body)?;
        Ok(Some(Frame::Packet(Packet::from_parts(magic, kind, arguments))))
    }
}

impl Encoder<&Packet> for Codec {
    type Error = CodecError;

    fn encode(&mut self, packet: &Packet, target: &mut BytesMut) -> Result<(), CodecError> {
        let arguments = packet.arguments();
        let before_last = arguments.iter().zip(packet.kind.arguments()).take(arguments.len().saturating_sub(1));
        for (argument, name) in before_last {
            if argument.contains(&0) {
                return Err(CodecError::NulInArgument { kind: packet.kind.name(), argument: name });
            }
        }
        let separators = arguments.len().saturating_sub(1);
        let length = separators + arguments.iter().map(Bytes::len).sum::<usize>();
        let Ok(wire_length) = u32::try_from(length) else {
            return Err(CodecError::TooLong { length: length as u64, limit: u32::MAX as usize });
        };
        target.reserve(HEADER + length);
        target.put_slice(packet.magic.bytes());
        target.put_u32(packet.kind as u32);
        target.put_u32(wire_length);
        for (index, argument) in arguments.iter().enumerate() {
            if index > 0 {
                target.put_u8(0);
            }
            target.put_slice(argument);
        }
        Ok(())
    }
}

/// What stands before a packet's body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) magic: Magic,
    pub(super) number: u32,
    pub(super) length: usize,
}

/// Reads a header as soon as it is there, and refuses one that cannot become right as soon as that is seen.
pub(super) fn header(source: &[u8], max_body: usize) -> Result<Option<Header>, CodecError> {
    let known = source.len().min(4);
    let could_be = |magic: Magic| magic.bytes()[..known] == source[..known];
    let magic = if could_be(Magic::Request) {
        Magic::Request
    } else if could_be(Magic::Response) {
        Magic::Response
    } else {
        let mut found = [0; 4];
        found[..known].copy_from_slice(&source[..known]);
        return Err(CodecError::BadMagic(found));
    };
    if source.len() < HEADER {
        return Ok(None);
    }
    let mut header = &source[4..HEADER];
    let number = header.get_u32();
    let length = header.get_u32() as usize;
    if length > max_body {
        return Err(CodecError::TooLong { length: length as u64, limit: max_body });
    }
    Ok(Some(Header { magic, number, length }))
}

/// Writes a server's packet. No argument but the last may hold a NUL, nor all together 4 GiB: the caller sees to that.
pub(super) fn put_response(target: &mut BytesMut, kind: Kind, arguments: &[&[u8]]) {
    debug_assert_eq!(arguments.len(), kind.arguments().len(), "{}", kind.name());
    debug_assert!(!arguments.iter().rev().skip(1).any(|argument| argument.contains(&0)), "{}", kind.name());
    let separators = arguments.len().saturating_sub(1);
    let length = separators + arguments.iter().map(|argument| argument.len()).sum::<usize>();
    target.reserve(HEADER + length);
    target.put_slice(Magic::Response.bytes());
    target.put_u32(kind as u32);
    target.put_u32(length as u32);
    for (index, argument) in arguments.iter().enumerate() {
        if index > 0 {
            target.put_u8(0);
        }
        target.put_slice(argument);
    }
}

/// Cuts a body at NULs into as many arguments as its kind has; the last one takes the rest, NULs and all ("Binary
/// Packet": its length is what the packet's length leaves to it).
fn split(kind: Kind, mut body: Bytes) -> Result<Vec<Bytes>, CodecError> {
    let expected = kind.arguments().len();
    let mut arguments = Vec::with_capacity(expected);
    for _ in 1..expected {
        let Some(end) = body.iter().position(|&byte| byte == 0) else {
            return Err(CodecError::MissingArguments { kind: kind.name(), expected, found: arguments.len() + 1 });
        };
        arguments.push(body.split_to(end));
        body.advance(1);
    }
    if let Some(&last) = kind.arguments().last() {
        // gearmand ends the handle of some WORK_FAILs with a NUL; only data may hold one.
        if !matches!(last, "data" | "payload") && body.last() == Some(&0) {
            body.truncate(body.len() - 1);
        }
        arguments.push(body);
    }
    Ok(arguments)
}

#[cfg(any(test, fuzzing))]
pub mod fuzzing;
#[cfg(test)]
mod tests;
