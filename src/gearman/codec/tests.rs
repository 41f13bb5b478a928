use proptest::prelude::*;

use super::*;

fn bytes(text: impl AsRef<[u8]>) -> Bytes {
    Bytes::copy_from_slice(text.as_ref())
}

fn header(magic: &[u8; 4], number: u32, length: u32) -> Vec<u8> {
    [magic.as_slice(), &number.to_be_bytes(), &length.to_be_bytes()].concat()
}

fn raw(magic: &[u8; 4], number: u32, body: &[u8]) -> Vec<u8> {
    [header(magic, number, u32::try_from(body.len()).unwrap()), body.to_vec()].concat()
}

fn encoded(packet: &Packet) -> Vec<u8> {
    let mut target = BytesMut::new();
    Codec::default().encode(packet, &mut target).unwrap();
    target.to_vec()
}

/// Decodes pieces as they would come from a socket, until nothing more can be made of them.
fn decode_pieces<'a>(
    mut codec: Codec,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Frame>, Result<(), CodecError>) {
    let mut source = BytesMut::new();
    let mut frames = Vec::new();
    for piece in pieces {
        source.extend_from_slice(piece);
        loop {
            match codec.decode(&mut source) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Err(error)),
            }
        }
    }
    (frames, Ok(()))
}

#[track_caller]
fn decode_all(codec: Codec, stream: &[u8]) -> Vec<Frame> {
    let (frames, outcome) = decode_pieces(codec, [stream]);
    outcome.unwrap();
    frames
}

#[track_caller]
fn decode_error(codec: Codec, stream: &[u8]) -> String {
    decode_pieces(codec, [stream]).1.unwrap_err().to_string()
}

#[test]
fn packets_are_the_bytes_of_the_protocol() {
    let cases: Vec<(&[u8], Packet)> = vec![
        (b"\0REQ\0\0\0\x1e\0\0\0\0", Packet::request(Kind::GrabJobUniq, [])),
        (b"\0REQ\0\0\0\x03\0\0\0\0", Packet::request(Kind::ResetAbilities, [])),
        (b"\0REQ\0\0\0\x04\0\0\0\0", Packet::request(Kind::PreSleep, [])),
        (b"\0RES\0\0\0\x0a\0\0\0\0", Packet::response(Kind::NoJob, [])),
        (b"\0RES\0\0\0\x06\0\0\0\0", Packet::response(Kind::Noop, [])),
        (b"\0REQ\0\0\0\x01\0\0\0\x0cbuild:pep8:a", Packet::request(Kind::CanDo, [bytes("build:pep8:a")])),
        (b"\0REQ\0\0\0\x16\0\0\0\x08n_exec-0", Packet::request(Kind::SetClientId, [bytes("n_exec-0")])),
        (
            b"\0RES\0\0\0\x1f\0\0\0\x17H:box:1\0build:a\0u-1\0\x7b\x00\x7d",
            Packet::response(Kind::JobAssignUniq, [bytes("H:box:1"), bytes("build:a"), bytes("u-1"), bytes("{\0}")]),
        ),
        (
            b"\0REQ\0\0\0\x0c\0\0\0\x0dH:box:1\x0012\0-1",
            Packet::request(Kind::WorkStatus, [bytes("H:box:1"), bytes("12"), bytes("-1")]),
        ),
        (b"\0REQ\0\0\0\x0d\0\0\0\x09H:box:1\0\0", Packet::request(Kind::WorkComplete, [bytes("H:box:1"), bytes("\0")])),
        (b"\0REQ\0\0\0\x07\0\0\0\x03f\0\0", Packet::request(Kind::SubmitJob, [bytes("f"), bytes(""), bytes("")])),
    ];
    for (wire, packet) in cases {
        assert_eq!(encoded(&packet), wire, "{packet:?}");
        assert_eq!(decode_all(Codec::default(), wire), [Frame::Packet(packet)]);
    }
}

#[test]
fn only_data_keeps_a_nul_at_its_end() {
    let decoded =
        |kind: Kind, body: &[u8]| match decode_all(Codec::default(), &raw(b"\0RES", kind as u32, body)).remove(0) {
            Frame::Packet(packet) => packet.arguments().last().unwrap().clone(),
            other => panic!("{other:?}"),
        };
    assert_eq!(decoded(Kind::WorkFail, b"H:box:1\0"), "H:box:1");
    assert_eq!(decoded(Kind::WorkFail, b"H:box:1"), "H:box:1");
    assert_eq!(decoded(Kind::WorkStatus, b"H:box:1\x001\x002\0"), "2");
    assert_eq!(decoded(Kind::WorkComplete, b"H:box:1\0data\0"), "data\0".as_bytes());
    assert_eq!(decoded(Kind::JobAssign, b"H:box:1\0f\0a\0b\0"), "a\0b\0".as_bytes());
}

#[test]
fn bodies_with_too_few_arguments_are_refused_for_every_kind() {
    for &kind in Kind::ALL {
        let expected = kind.arguments().len();
        for found in 1..expected {
            let body = vec!["x"; found].join("\0");
            assert_eq!(
                decode_error(Codec::default(), &raw(b"\0REQ", kind as u32, body.as_bytes())),
                format!("{} has {found} of its {expected} arguments", kind.name())
            );
        }
        let body = vec!["x"; expected].join("\0");
        let frames = decode_all(Codec::default(), &raw(b"\0REQ", kind as u32, body.as_bytes()));
        let Frame::Packet(packet) = &frames[0] else { panic!("{frames:?}") };
        assert_eq!(packet.arguments(), vec![bytes("x"); expected]);
    }
}

#[test]
fn body_of_a_kind_without_arguments_is_dropped() {
    let stream = [raw(b"\0RES", 10, b"what is this"), raw(b"\0RES", 6, b"")].concat();
    let expected = [Packet::response(Kind::NoJob, []), Packet::response(Kind::Noop, [])];
    assert_eq!(decode_all(Codec::default(), &stream), expected.map(Frame::Packet));
}

#[test]
fn arguments_that_would_be_cut_by_their_own_nul_are_not_written() {
    let packet = Packet::request(Kind::SubmitJob, [bytes("f\0g"), bytes(""), bytes("")]);
    let mut target = BytesMut::new();
    let error = Codec::default().encode(&packet, &mut target).unwrap_err();
    assert_eq!(error.to_string(), "function of SUBMIT_JOB holds a NUL, which would end it early");
    assert!(target.is_empty());
}

#[test]
fn lengths_beyond_the_limit_are_refused_before_anything_is_allocated() {
    for number in [31, 999] {
        let mut source = BytesMut::from(header(b"\0RES", number, 0xffff_fff0).as_slice());
        let error = Codec::default().decode(&mut source).unwrap_err();
        assert_eq!(error.to_string(), "packet of 4294967280 bytes is longer than the limit of 67108864");
        assert!(source.capacity() < 1024);
    }
    assert!(decode_pieces(Codec::new(3), [raw(b"\0RES", 17, b"abcd").as_slice()]).1.is_err());
    assert_eq!(decode_all(Codec::new(4), &raw(b"\0RES", 17, b"abcd")).len(), 1);
}

#[test]
fn a_peer_that_only_claims_to_send_much_gets_little_memory() {
    let mut source = BytesMut::from(header(b"\0RES", 31, u32::try_from(DEFAULT_MAX_BODY).unwrap()).as_slice());
    assert_eq!(Codec::default().decode(&mut source).unwrap(), None);
    assert!(source.capacity() <= 2 * RESERVE_AT_ONCE, "{}", source.capacity());
}

#[test]
fn wrong_magic_is_refused_at_its_first_wrong_byte() {
    for (stream, shown) in [
        (b"HTTP/1.1".as_slice(), "[48, 54, 54, 50]"),
        (b"\0RAQ", "[00, 52, 41, 51]"),
        (b"\0REX\0\0\0\0", "[00, 52, 45, 58]"),
        (b"x", "[78, 00, 00, 00]"),
    ] {
        let error = decode_error(Codec::default(), stream);
        assert_eq!(error, format!("packet starts with {shown} instead of \\0REQ or \\0RES"));
    }
    assert_eq!(decode_all(Codec::default(), b"\0RE"), []);
}

#[test]
fn unknown_types_are_skipped_with_their_bodies() {
    let stream = [raw(b"\0RES", 43, &[0; 5000]), raw(b"\0REQ", 0, b""), raw(b"\0RES", 6, b"")].concat();
    let expected = vec![
        Frame::Unknown { magic: Magic::Response, number: 43 },
        Frame::Unknown { magic: Magic::Request, number: 0 },
        Frame::Packet(Packet::response(Kind::Noop, [])),
    ];
    assert_eq!(decode_all(Codec::default(), &stream), expected);
}

#[test]
fn lines_of_text_stand_between_packets_where_they_are_accepted() {
    let stream = [b"status\r\n\nshow jobs\n".as_slice(), &raw(b"\0REQ", 4, b""), b"workers\n"].concat();
    let expected = vec![
        Frame::Line(bytes("status")),
        Frame::Line(bytes("")),
        Frame::Line(bytes("show jobs")),
        Frame::Packet(Packet::request(Kind::PreSleep, [])),
        Frame::Line(bytes("workers")),
    ];
    assert_eq!(decode_all(Codec::with_lines(100), &stream), expected);
    assert!(decode_error(Codec::new(100), &stream).starts_with("packet starts with"));
}

#[test]
fn a_line_without_end_is_refused() {
    assert_eq!(decode_all(Codec::with_lines(100), &vec![b'a'; MAX_LINE]), []);
    let longest = [vec![b'a'; MAX_LINE], b"\n".to_vec()].concat();
    assert_eq!(decode_all(Codec::with_lines(100), &longest), [Frame::Line(bytes(vec![b'a'; MAX_LINE]))]);
    let error = decode_error(Codec::with_lines(100), &vec![b'a'; MAX_LINE + 1]);
    assert_eq!(error, "line of text is longer than 8192 bytes");
}

#[test]
fn it_does_not_matter_where_the_stream_is_cut() {
    let stream = [
        raw(b"\0RES", 31, b"H:box:1\0build:a\0u-1\0payload\0with NULs"),
        b"status\r\n".to_vec(),
        raw(b"\0RES", 77, b"unknown"),
        raw(b"\0RES", 10, b""),
        raw(b"\0REQ", 25, b"H:box:1\0trace"),
        b"workers\n".to_vec(),
    ]
    .concat();
    let whole = decode_all(Codec::with_lines(1000), &stream);
    assert_eq!(whole.len(), 6);
    for cut in 0..=stream.len() {
        let (frames, outcome) = decode_pieces(Codec::with_lines(1000), [&stream[..cut], &stream[cut..]]);
        outcome.unwrap();
        assert_eq!(frames, whole, "cut at {cut}");
    }
    let (frames, outcome) = decode_pieces(Codec::with_lines(1000), stream.chunks(1));
    outcome.unwrap();
    assert_eq!(frames, whole, "byte by byte");
}

fn any_packet() -> impl Strategy<Value = Packet> {
    let argument = prop::collection::vec(1..=255u8, 0..40);
    let data = prop::collection::vec(any::<u8>(), 0..300);
    (prop::sample::select(Kind::ALL), any::<bool>(), prop::collection::vec(argument, 8), data).prop_map(
        |(kind, is_request, names, data)| {
            let arguments = kind.arguments().iter().zip(names).map(|(&meaning, name)| {
                Bytes::from(if matches!(meaning, "data" | "payload") { data.clone() } else { name })
            });
            let magic = if is_request { Magic::Request } else { Magic::Response };
            Packet::from_parts(magic, kind, arguments.collect())
        },
    )
}

proptest! {
    #[test]
    fn packets_come_back_as_they_were_written(
        packets in prop::collection::vec(any_packet(), 1..6),
        piece in 1usize..200,
    ) {
        let stream: Vec<u8> = packets.iter().flat_map(encoded).collect();
        let (frames, outcome) = decode_pieces(Codec::default(), stream.chunks(piece));
        prop_assert!(outcome.is_ok());
        prop_assert_eq!(frames, packets.into_iter().map(Frame::Packet).collect::<Vec<_>>());
    }

    #[test]
    fn no_bytes_make_it_panic_or_hoard(
        stream in prop::collection::vec(prop_oneof![Just(0u8), prop::sample::select(b"REQS\n".as_slice()), any::<u8>()], 0..400),
        magic in prop::option::of(prop::sample::select(vec![*b"\0REQ", *b"\0RES"])),
        number in 0u32..45,
        length in prop_oneof![0u32..100, any::<u32>()],
    ) {
        let opening = magic.map(|magic| header(&magic, number, length)).unwrap_or_default();
        let mut source = BytesMut::from([opening, stream].concat().as_slice());
        let mut codec = Codec::with_lines(DEFAULT_MAX_BODY);
        while let Ok(Some(_)) = codec.decode(&mut source) {}
        prop_assert!(source.capacity() <= 2 * RESERVE_AT_ONCE);
    }
}
