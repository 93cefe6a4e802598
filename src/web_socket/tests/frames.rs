//! Frames, well and badly formed: RFC 6455 sections 5.2 to 5.7.

use proptest::prelude::*;

use super::super::close::{Close, CloseCode};
use super::super::frame::Frame;
use super::super::mask;
use super::*;

#[test]
fn the_examples_of_the_standard_are_read() {
    // RFC 6455 section 5.7.
    let cases: [(&[u8], Received); 4] = [
        (b"\x81\x05\x48\x65\x6c\x6c\x6f", text("Hello")),
        (b"\x01\x03\x48\x65\x6c\x80\x02\x6c\x6f", text("Hello")),
        (
            b"\x89\x05\x48\x65\x6c\x6c\x6f",
            Received::Ping(Bytes::from_static(b"Hello")),
        ),
        (
            b"\x8a\x05\x48\x65\x6c\x6c\x6f",
            Received::Pong(Bytes::from_static(b"Hello")),
        ),
    ];
    for (bytes, expected) in cases {
        for step in 1..=bytes.len() {
            let read = read_all(&mut of_server(), bytes, step);
            assert_eq!(read, (vec![expected.clone()], None), "{bytes:x?} by {step}");
        }
    }
    let masked = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
    assert_eq!(
        read_all(&mut of_client(), masked, 1),
        (vec![text("Hello")], None)
    );
    assert_eq!(Frame::text("Hello").masked(KEY).bytes(), &masked[..]);
    assert_eq!(Frame::text("Hello").bytes(), &b"\x81\x05Hello"[..]);
    assert!(
        Frame::binary(&[0; 256])
            .bytes()
            .starts_with(b"\x82\x7e\x01\x00\x00")
    );
    let long = b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00\x00";
    assert!(Frame::binary(&vec![0; 65_536]).bytes().starts_with(long));
}

#[test]
fn lengths_take_their_shortest_form() {
    for (length, header) in [
        (0, &b"\x82\x00"[..]),
        (125, b"\x82\x7d"),
        (126, b"\x82\x7e\x00\x7e"),
        (127, b"\x82\x7e\x00\x7f"),
        (65535, b"\x82\x7e\xff\xff"),
        (65536, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ] {
        let payload = vec![7; length];
        let frame = Frame::binary(&payload);
        assert_eq!(frame.bytes(), &[header, &payload].concat()[..]);
        let expected = Received::Message(Message::Binary(payload.into()));
        let read = read_all(&mut of_server(), frame.bytes(), 1000);
        assert_eq!(read, (vec![expected], None));
    }
}

/// What is wrong is told at the last of these bytes, and not before.
#[track_caller]
fn check_bad(mut decoder: Decoder, bytes: &[u8], expected: &Error) {
    let (last, before) = bytes.split_last().unwrap();
    let early = read_all(&mut decoder, before, 1).1;
    assert_eq!(early, None, "{bytes:x?}: before the last byte");
    let error = read_all(&mut decoder, &[*last], 1).1;
    assert_eq!(error.as_ref(), Some(expected), "{bytes:x?}");
}

#[test]
fn a_bad_header_is_refused_at_the_byte_that_makes_it_so() {
    let rows: &[(&[u8], Error)] = &[
        (b"\xc1", Error::ReservedBit),
        (b"\xa1", Error::ReservedBit),
        (b"\x91", Error::ReservedBit),
        (b"\xf1", Error::ReservedBit),
        (b"\xc9", Error::ReservedBit),
        (b"\x83", Error::Opcode(3)),
        (b"\x87", Error::Opcode(7)),
        (b"\x8b", Error::Opcode(11)),
        (b"\x8f", Error::Opcode(15)),
        (b"\x08", Error::ControlFragmented),
        (b"\x09", Error::ControlFragmented),
        (b"\x0a", Error::ControlFragmented),
        (b"\x81\x05", Error::NotMasked),
        (b"\x89\x00", Error::NotMasked),
        (b"\x88\xfe", Error::ControlTooLong),
        (b"\x89\xff", Error::ControlTooLong),
        (b"\x82\xfe\x00\x7d", Error::LongLength),
        (b"\x82\xfe\x00\x00", Error::LongLength),
        (
            b"\x82\xff\x00\x00\x00\x00\x00\x00\xff\xff",
            Error::LongLength,
        ),
        (
            b"\x82\xff\x00\x00\x00\x00\x00\x00\x00\x05",
            Error::LongLength,
        ),
        (b"\x82\xff\x80", Error::NegativeLength),
        (b"\x82\xff\xff", Error::NegativeLength),
    ];
    for (bytes, expected) in rows {
        let is_rsv1 = bytes[0] == 0xc1;
        if is_rsv1 {
            // Whether the bit may be set is known when the header is whole.
            let frame = client_frame(0xc1, b"");
            assert_eq!(
                read_all(&mut of_client(), &frame, 1).1.as_ref(),
                Some(expected)
            );
        } else {
            check_bad(of_client(), bytes, expected);
        }
    }
    check_bad(of_server(), b"\x81\x85", &Error::Masked);
    let huge = [&b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff"[..], &KEY].concat();
    check_bad(of_client(), &huge, &Error::TooBig(MESSAGE_BYTES_MAX));
}

#[test]
fn a_frame_out_of_place_is_refused() {
    let after = |frames: &[(u8, &[u8])]| -> Option<Error> {
        let bytes: Vec<u8> = frames
            .iter()
            .flat_map(|(first, p)| client_frame(*first, p))
            .collect();
        read_all(&mut of_client(), &bytes, usize::MAX).1
    };
    assert_eq!(after(&[(0x80, b"a")]), Some(Error::NothingToContinue));
    assert_eq!(after(&[(0x00, b"a")]), Some(Error::NothingToContinue));
    assert_eq!(
        after(&[(0x81, b"a"), (0x80, b"a")]),
        Some(Error::NothingToContinue)
    );
    assert_eq!(
        after(&[(0x01, b"a"), (0x81, b"a")]),
        Some(Error::Interleaved)
    );
    assert_eq!(
        after(&[(0x01, b"a"), (0x02, b"a")]),
        Some(Error::Interleaved)
    );
    assert_eq!(
        after(&[(0x01, b"a"), (0x40, b"a")]),
        Some(Error::ReservedBit)
    );
    assert_eq!(after(&[(0x88, b"\x03")]), Some(Error::HalfCloseCode));
    for number in [0_u16, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535] {
        let error = after(&[(0x88, &number.to_be_bytes())]);
        assert_eq!(error, Some(Error::CloseCode(number)));
    }
    assert_eq!(after(&[(0x88, b"\x03\xe8\xff")]), Some(Error::CloseReason));
    let mut many = vec![(0x01, &b""[..])];
    many.extend(vec![(0x00, &b""[..]); 99]);
    assert_eq!(after(&many), None);
    many.push((0x00, b""));
    assert_eq!(after(&many), Some(Error::EmptyFragments));
}

#[test]
fn a_message_may_be_as_long_as_the_limit_and_no_longer() {
    let read = |frames: &[(u8, usize)], max| {
        let bytes: Vec<u8> = frames
            .iter()
            .flat_map(|(first, n)| client_frame(*first, &vec![7; *n]))
            .collect();
        let (received, error) = read_all(
            &mut Decoder::new(Role::Client, max, false),
            &bytes,
            usize::MAX,
        );
        (received.len(), error)
    };
    assert_eq!(read(&[(0x82, 1000)], 1000), (1, None));
    assert_eq!(read(&[(0x82, 1001)], 1000), (0, Some(Error::TooBig(1000))));
    assert_eq!(
        read(&[(0x02, 400), (0x00, 300), (0x80, 300)], 1000),
        (1, None)
    );
    assert_eq!(
        read(&[(0x02, 999), (0x80, 2)], 1000),
        (0, Some(Error::TooBig(1000)))
    );
    assert_eq!(
        read(&[(0x82, 0), (0x82, 1)], 0),
        (1, Some(Error::TooBig(0)))
    );
    // A ping is no part of it.
    assert_eq!(
        read(&[(0x02, 1000), (0x89, 125), (0x80, 0)], 1000),
        (2, None)
    );
    let large = 64 * 1024 * 1024;
    let frame = Frame::binary(&vec![7; large]).masked(KEY);
    let mut decoder = Decoder::new(Role::Client, large, false);
    assert_eq!(read_all(&mut decoder, frame.bytes(), usize::MAX).0.len(), 1);
}

#[test]
fn a_promise_of_bytes_reserves_none() {
    let mut decoder = Decoder::new(Role::Client, 64 << 20, false);
    let header = &client_frame(0x82, &vec![0; 1 << 20])[..14];
    assert_eq!(decoder.read(&mut &header[..]), Ok(None));
    assert!(decoder.room() <= 4096, "{} bytes", decoder.room());
}

#[test]
fn text_is_refused_at_the_byte_that_spoils_it() {
    let spoilt = "ok \u{3c3}"
        .as_bytes()
        .iter()
        .chain(b"\xed\xa0")
        .copied()
        .collect::<Vec<u8>>();
    let whole = [&spoilt[..], b"never seen"].concat();
    let frame = client_frame(0x81, &whole);
    check_bad(of_client(), &frame[..6 + spoilt.len()], &Error::Text);
    // Across fragments.
    let mut split = client_frame(0x01, &spoilt[..spoilt.len() - 1]);
    split.extend(client_frame(0x00, &spoilt[spoilt.len() - 1..]));
    check_bad(of_client(), &split, &Error::Text);
    // A character that is never finished.
    check_bad(of_client(), &client_frame(0x81, b"a\xe2\x82"), &Error::Text);
    // What is no text may be anything.
    assert_eq!(
        read_all(&mut of_client(), &client_frame(0x82, &spoilt), 1).1,
        None
    );
}

/// A conversation's frames, with the messages they make.
fn script() -> impl Strategy<Value = (Vec<u8>, Vec<Received>)> {
    let message = (
        prop_oneof![
            ".{0,60}".prop_map(Message::Text),
            prop::collection::vec(any::<u8>(), 0..300)
                .prop_map(|bytes| Message::Binary(bytes.into()))
        ],
        prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        prop::option::of(prop::collection::vec(any::<u8>(), 0..126)),
        any::<[u8; 4]>(),
    );
    prop::collection::vec(message, 1..6).prop_map(|messages| {
        let (mut bytes, mut received) = (Vec::new(), Vec::new());
        for (message, cuts, ping, key) in messages {
            let payload = message.bytes();
            let mut cuts: Vec<usize> = cuts
                .iter()
                .map(|cut| cut.index(payload.len() + 1))
                .collect();
            cuts.sort_unstable();
            cuts.push(payload.len());
            let is_text = matches!(message, Message::Text(_));
            let (mut start, mut first) = (0, if is_text { 1 } else { 2 });
            for (index, cut) in cuts.iter().enumerate() {
                let last = if index + 1 == cuts.len() { 0x80 } else { 0 };
                bytes.extend(client_frame(last | first, &payload[start..*cut]));
                (start, first) = (*cut, 0);
                if let Some(ping) = ping.as_ref().filter(|_| index == 0) {
                    let frame = Frame::ping(ping).masked(key);
                    bytes.extend_from_slice(frame.bytes());
                }
            }
            let ping = ping.map(|ping| Received::Ping(ping.into()));
            if cuts.len() > 1 {
                received.extend(ping);
                received.push(Received::Message(message));
            } else {
                received.push(Received::Message(message));
                received.extend(ping);
            }
        }
        (bytes, received)
    })
}

proptest! {
    #[test]
    fn messages_come_out_however_they_arrive((bytes, expected) in script(), step in 1_usize..50) {
        let (received, error) = read_all(&mut of_client(), &bytes, step);
        prop_assert_eq!(error, None);
        prop_assert_eq!(received, expected);
    }

    #[test]
    fn no_bytes_are_read_differently_in_pieces(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        begins in prop::sample::select(vec![0x81_u8, 0x01, 0x82, 0x88, 0x89, 0xc1]),
        step in 1_usize..20,
    ) {
        let masked = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            mask::apply(KEY, &mut bytes);
            bytes
        };
        let length = u8::try_from(bytes.len().min(60)).unwrap();
        let bytes = [&[begins, 0x80 | length][..], &KEY, &masked(&bytes)].concat();
        let decoder = || Decoder::new(Role::Client, 1000, true);
        let whole = read_all(&mut decoder(), &bytes, usize::MAX);
        prop_assert_eq!(read_all(&mut decoder(), &bytes, step), whole);
    }

    #[test]
    fn a_close_frame_says_what_it_was_given(
        number in prop_oneof![1000_u16..=1003, 1007_u16..=1014, 3000_u16..5000],
        reason in ".{0,60}",
    ) {
        let close = Close::new(CloseCode::received(number).unwrap(), &reason);
        let frame = Frame::close(Some(&close));
        prop_assert!(frame.bytes().len() <= 127);
        prop_assert!(reason.starts_with(close.reason()));
        let read = read_all(&mut of_server(), frame.bytes(), 3);
        prop_assert_eq!(read, (vec![Received::Close(Some(close))], None));
    }
}
