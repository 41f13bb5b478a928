//! A stream of any bytes, cut in any way, and what must hold for it.

use super::*;
use crate::gearman::steps::Steps;

const LIMITS: [usize; 4] = [16, 1 << 10, 64 << 10, DEFAULT_MAX_BODY];

/// Decodes a stream twice, in one piece and in many, and encodes what came of it. The first bytes say how.
///
/// # Panics
///
/// When the codec breaks one of its promises.
pub fn play(input: &[u8]) {
    let mut steps = Steps(input);
    let (Some(limit), Some(accepts_lines), Some(cut)) = (steps.one_of(&LIMITS), steps.byte(), steps.byte()) else {
        return;
    };
    let codec = || if accepts_lines % 2 == 0 { Codec::new(limit) } else { Codec::with_lines(limit) };
    let stream = steps.0;
    let whole = decode(codec(), [stream].into_iter());
    let pieces = decode(codec(), stream.chunks(1 + usize::from(cut)));
    assert_eq!(whole, pieces, "where the stream is cut makes a difference");
    for frame in &whole.0 {
        match frame {
            Frame::Packet(packet) => comes_back(packet),
            Frame::Unknown { number, .. } => assert_eq!(Kind::from_number(*number), None),
            Frame::Line(line) => assert!(accepts_lines % 2 == 1 && line.len() <= MAX_LINE && !line.contains(&b'\n')),
        }
    }
}

/// Returns the frames, and which error ended them; that one is told apart by its kind only, since of a wrong magic more
/// or less may have been seen.
fn decode<'a>(
    mut codec: Codec,
    pieces: impl Iterator<Item = &'a [u8]>,
) -> (Vec<Frame>, Option<std::mem::Discriminant<CodecError>>) {
    let mut source = BytesMut::new();
    let mut frames = Vec::new();
    let mut longest = 0;
    for piece in pieces {
        source.extend_from_slice(piece);
        longest = longest.max(source.len());
        loop {
            match codec.decode(&mut source) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(std::mem::discriminant(&error))),
            }
        }
        // A vector doubles, at most twice here: once for what has come, once for what is ahead.
        assert!(source.capacity() <= 4 * (longest + RESERVE_AT_ONCE), "{} for {longest} bytes", source.capacity());
    }
    (frames, None)
}

/// What was decoded can be encoded, and decodes to the same.
fn comes_back(packet: &Packet) {
    let ends_in_nul = packet.arguments().last().is_some_and(|last| last.last() == Some(&0));
    let is_data = packet.kind.arguments().last().is_some_and(|last| matches!(*last, "data" | "payload"));
    if ends_in_nul && !is_data {
        return; // Of the NULs that some peers end a handle with, one is dropped each time.
    }
    let mut wire = BytesMut::new();
    let encoded = Codec::default().encode(packet, &mut wire);
    assert!(encoded.is_ok(), "{packet:?}: {encoded:?}");
    let (frames, error) = decode(Codec::default(), [&wire[..]].into_iter());
    assert_eq!((&frames[..], error), (&[Frame::Packet(packet.clone())][..], None));
}

#[cfg(test)]
mod tests {
    #[test]
    fn what_real_peers_say_comes_back_as_it_was() {
        assert!(crate::gearman::steps::play_seeds("codec", super::play) > 0);
    }
}
