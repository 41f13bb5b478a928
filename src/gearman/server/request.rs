//! What a peer asks for, read where it lies in the input: a request is answered before the next one is read, so nothing
//! of it has to be copied to be understood.

use crate::gearman::codec::{self, CodecError, HEADER, Header, MAX_LINE};
use crate::gearman::{Kind, Magic};

/// No packet has more arguments.
const MAX_ARGUMENTS: usize = 8;

#[derive(Clone, Copy, Debug)]
pub(super) enum Request<'a> {
    Packet(Packet<'a>),
    /// A line of the administrative text protocol, without its end.
    Line(&'a [u8]),
    /// A type that the protocol does not have.
    Unknown,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Packet<'a> {
    pub(super) magic: Magic,
    pub(super) kind: Kind,
    arguments: [&'a [u8]; MAX_ARGUMENTS],
}

impl<'a> Packet<'a> {
    /// Returns an argument by its place; the kind says how many there are.
    pub(super) fn argument(&self, index: usize) -> &'a [u8] {
        self.arguments[index]
    }
}

impl<'a> Request<'a> {
    /// Reads the first request of the input, if it is all there, and says how long it is.
    pub(super) fn read(input: &'a [u8], max_body: usize) -> Result<Option<(Self, usize)>, CodecError> {
        let Some(&first) = input.first() else { return Ok(None) };
        if first != 0 {
            return read_line(input);
        }
        let Some(Header { magic, number, length }) = codec::header(input, max_body)? else { return Ok(None) };
        let Some(kind) = Kind::from_number(number) else { return Ok(Some((Self::Unknown, HEADER))) };
        let Some(body) = input.get(HEADER..HEADER + length) else { return Ok(None) };
        let arguments = split(kind, body)?;
        Ok(Some((Self::Packet(Packet { magic, kind, arguments }), HEADER + length)))
    }

    /// Takes what a codec has read.
    #[cfg(test)]
    pub(super) fn from_frame(frame: &'a crate::gearman::codec::Frame) -> Self {
        use crate::gearman::codec::Frame;

        match frame {
            Frame::Packet(packet) => {
                let mut arguments: [&[u8]; MAX_ARGUMENTS] = [b""; MAX_ARGUMENTS];
                for (argument, given) in arguments.iter_mut().zip(packet.arguments()) {
                    *argument = given;
                }
                Self::Packet(Packet { magic: packet.magic, kind: packet.kind, arguments })
            }
            Frame::Line(line) => Self::Line(line),
            Frame::Unknown { .. } => Self::Unknown,
        }
    }
}

/// Says how long the whole packet will be whose beginning stands here, as soon as that is known.
pub(super) fn expected_length(input: &[u8]) -> Option<usize> {
    let length = input.get(8..HEADER)?;
    let length = u32::from_be_bytes(length.try_into().expect("four bytes were asked for"));
    (input[0] == 0).then_some(HEADER + length as usize)
}

fn read_line(input: &[u8]) -> Result<Option<(Request<'_>, usize)>, CodecError> {
    let Some(end) = input.iter().take(MAX_LINE + 1).position(|&byte| byte == b'\n') else {
        return if input.len() > MAX_LINE { Err(CodecError::LineTooLong) } else { Ok(None) };
    };
    let line = &input[..end];
    Ok(Some((Request::Line(line.strip_suffix(b"\r").unwrap_or(line)), end + 1)))
}

/// Cuts a body at NULs into as many arguments as its kind has; the last one takes the rest.
fn split(kind: Kind, body: &[u8]) -> Result<[&[u8]; MAX_ARGUMENTS], CodecError> {
    let mut arguments: [&[u8]; MAX_ARGUMENTS] = [b""; MAX_ARGUMENTS];
    let names = kind.arguments();
    let mut rest = body;
    for (index, argument) in arguments.iter_mut().take(names.len().saturating_sub(1)).enumerate() {
        let Some(end) = rest.iter().position(|&byte| byte == 0) else {
            return Err(CodecError::MissingArguments { kind: kind.name(), expected: names.len(), found: index + 1 });
        };
        *argument = &rest[..end];
        rest = &rest[end + 1..];
    }
    if let Some(last) = names.last() {
        // Some peers end a name or a handle with a NUL; only data may hold one.
        let is_data = matches!(*last, "data" | "payload");
        arguments[names.len() - 1] = if is_data { rest } else { rest.strip_suffix(b"\0").unwrap_or(rest) };
    }
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use bytes::{Bytes, BytesMut};
    use proptest::prelude::*;
    use tokio_util::codec::Decoder;

    use super::*;
    use crate::gearman::codec::{Codec, Frame};

    const MAX_BODY: usize = 64;

    proptest! {
        /// Two readers of one protocol must never read it differently.
        #[test]
        fn it_reads_what_the_codec_reads(
            pieces in prop::collection::vec(
                prop_oneof![
                    Just(b"\0REQ\0\0\0".to_vec()),
                    (0_u8..45, prop::collection::vec(prop_oneof![Just(0), any::<u8>()], 0..20)).prop_map(|(kind, body)| {
                        let mut packet = vec![0, b'R', b'E', b'Q', 0, 0, 0, kind, 0, 0, 0, body.len() as u8];
                        packet.extend(body);
                        packet
                    }),
                    Just(b"status\r\n".to_vec()),
                    prop::collection::vec(any::<u8>(), 0..9),
                ],
                0..6,
            )
        ) {
            let input = pieces.concat();
            let mut codec = Codec::with_lines(MAX_BODY);
            let mut source = BytesMut::from(&input[..]);
            let mut at = 0;
            loop {
                let left = source.len();
                match (Request::read(&input[at..], MAX_BODY), codec.decode(&mut source)) {
                    (Ok(Some((Request::Unknown, _))), Ok(Some(Frame::Unknown { .. }) | None)) => break,
                    (Ok(Some((read, length))), Ok(Some(frame))) => {
                        prop_assert_eq!(length, left - source.len());
                        prop_assert_eq!(format!("{read:?}"), format!("{:?}", Request::from_frame(&frame)));
                        at += length;
                    }
                    (Ok(None), Ok(None)) => break,
                    (Err(one), Err(other)) => {
                        prop_assert_eq!(one.to_string(), other.to_string());
                        break;
                    }
                    (one, other) => prop_assert!(false, "{one:?} and {other:?} of {:?}", Bytes::copy_from_slice(&input)),
                }
            }
        }
    }
}
