//! A server's whole behaviour, row by row: what a client sends, and all that it is sent back by one
//! that says everything back. The groups are those of the Autobahn test suite; the rows are ours.

use tokio::time::Instant;

use super::super::deflate::Deflate;
use super::super::echo::echo;
use super::super::session::{End, Options, PONGS_WAITING_MAX, Session};
use super::*;

/// Speaks to an echo; returns what it said, and how it ended if the client then ends the stream.
fn spoken(session: &mut Session, wire: &[u8], step: usize) -> Vec<u8> {
    let now = Instant::now();
    let mut said = Vec::new();
    for piece in wire.chunks(step) {
        let mut input = Bytes::copy_from_slice(piece);
        while let Some(message) = session.receive(&mut input, now) {
            // A client that has said farewell is not spoken to.
            let _ = session.send(&echo(&message, session.deflate()), now);
        }
        for bytes in session.output().clone() {
            session.sent(bytes.len(), now);
            said.extend_from_slice(&bytes);
        }
    }
    session.receive_end();
    session.ended_stream();
    said
}

const ROOMY: Options = Options {
    message_bytes_max: 1 << 24,
    output_bytes_max: 1 << 24,
    ping_interval: super::super::session::PING_INTERVAL,
    deflate: None,
};

#[track_caller]
fn check_with(options: Options, group: &str, frames: &[(u8, &[u8])], expected: &[&str]) {
    let wire: Vec<u8> = frames
        .iter()
        .flat_map(|(first, payload)| client_frame(*first, payload))
        .collect();
    let steps = if wire.len() > 2000 {
        vec![997, usize::MAX]
    } else {
        vec![1, 7, usize::MAX]
    };
    for step in steps {
        let mut session = Session::server(options, Instant::now());
        let said = told(&spoken(&mut session, &wire, step));
        assert_eq!(said, expected, "group {group}, by {step}");
        let is_closed = said.last().is_some_and(|last| last.starts_with("close"));
        let is_cut = matches!(session.end(), Some(End::Cut));
        assert_eq!(is_cut, !is_closed, "group {group}: {:?}", session.end());
    }
}

#[track_caller]
fn check(group: &str, frames: &[(u8, &[u8])], expected: &[&str]) {
    check_with(ROOMY, group, frames, expected);
}

const FAREWELL: (u8, &[u8]) = (0x88, b"\x03\xe8");

#[test]
fn group_1_messages_of_every_length() {
    check(
        "1.1",
        &[(0x81, b""), FAREWELL],
        &["text \"\"", "close 1000"],
    );
    check(
        "1.2",
        &[(0x82, b""), FAREWELL],
        &["binary \"\"", "close 1000"],
    );
    for length in [125, 126, 127, 128, 65_535, 65_536] {
        let payload = vec![b'*'; length];
        for (first, kind) in [(0x81, "text"), (0x82, "binary")] {
            let expected = format!("{kind} {length} bytes");
            check(
                "1",
                &[(first, &payload), FAREWELL],
                &[&expected, "close 1000"],
            );
        }
    }
}

#[test]
fn group_2_pings_and_pongs() {
    check(
        "2.1",
        &[(0x89, b""), FAREWELL],
        &["pong \"\"", "close 1000"],
    );
    check(
        "2.2",
        &[(0x89, b"there?"), FAREWELL],
        &["pong \"there?\"", "close 1000"],
    );
    check(
        "2.4",
        &[(0x89, &[b'a'; 125]), FAREWELL],
        &["pong 125 bytes", "close 1000"],
    );
    check("2.5", &[(0x89, &[b'a'; 126]), FAREWELL], &["close 1002"]);
    // Unsolicited pongs say nothing.
    check(
        "2.7",
        &[(0x8a, b""), (0x8a, b"hm"), FAREWELL],
        &["close 1000"],
    );
    check(
        "2.9",
        &[(0x8a, b"x"), (0x89, b"y"), FAREWELL],
        &["pong \"y\"", "close 1000"],
    );
}

#[test]
fn group_2_pings_in_a_row() {
    let pings = |count: u32| -> Vec<u8> {
        (0..count)
            .flat_map(|n| client_frame(0x89, n.to_string().as_bytes()))
            .collect()
    };
    let said = |wire: &[u8], step| {
        told(&spoken(
            &mut Session::server(ROOMY, Instant::now()),
            wire,
            step,
        ))
    };
    let expected: Vec<String> = (0..10).map(|n| format!("pong \"{n}\"")).collect();
    for step in [1, 7, usize::MAX] {
        assert_eq!(said(&pings(10), step), expected, "2.10, by {step}");
    }
    // Of more than may wait, the last is answered.
    let many = said(&pings(100), usize::MAX);
    assert_eq!(many.len(), PONGS_WAITING_MAX);
    assert_eq!(many.last().unwrap(), "pong \"99\"");
}

#[test]
fn groups_3_and_4_reserved_bits_and_opcodes() {
    for first in [0x91, 0xa1, 0xb1, 0xc1, 0xd1, 0xe1, 0xf1, 0xc9, 0x98, 0x92] {
        check("3", &[(first, b"a"), FAREWELL], &["close 1002"]);
        let after = ["text \"before\"", "close 1002"];
        check(
            "3",
            &[(0x81, b"before"), (first, b"a"), (0x89, b"after")],
            &after,
        );
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        check("4", &[(0x80 | opcode, b""), FAREWELL], &["close 1002"]);
        let after = ["text \"before\"", "close 1002"];
        check(
            "4",
            &[(0x81, b"before"), (0x80 | opcode, b"a"), (0x89, b"")],
            &after,
        );
    }
}

#[test]
fn group_5_fragments() {
    check("5.1", &[(0x09, b"a"), (0x80, b"b")], &["close 1002"]);
    check("5.2", &[(0x0a, b"a"), (0x80, b"b")], &["close 1002"]);
    check(
        "5.3",
        &[(0x01, b"a"), (0x80, b"b"), FAREWELL],
        &["text \"ab\"", "close 1000"],
    );
    check(
        "5.6",
        &[(0x01, b"a"), (0x89, b"now?"), (0x80, b"b"), FAREWELL],
        &["pong \"now?\"", "text \"ab\"", "close 1000"],
    );
    check("5.9", &[(0x80, b"a"), (0x81, b"b")], &["close 1002"]);
    check("5.12", &[(0x00, b"a"), (0x81, b"b")], &["close 1002"]);
    check(
        "5.15",
        &[(0x01, b"a"), (0x80, b"b"), (0x00, b"c")],
        &["text \"ab\"", "close 1002"],
    );
    check("5.18", &[(0x01, b"a"), (0x81, b"b")], &["close 1002"]);
    let five = [
        (0x01, &b"1"[..]),
        (0x00, b"2"),
        (0x89, b"!"),
        (0x00, b"3"),
        (0x00, b"4"),
    ];
    let five = [&five[..], &[(0x89, b"?"), (0x80, b"5"), FAREWELL]].concat();
    let wire: Vec<u8> = five
        .iter()
        .flat_map(|(first, p)| client_frame(*first, p))
        .collect();
    let mut session = Session::server(ROOMY, Instant::now());
    let said = told(&spoken(&mut session, &wire, 1));
    assert_eq!(
        said,
        ["pong \"!\"", "pong \"?\"", "text \"12345\"", "close 1000"]
    );
}

#[test]
fn group_6_texts() {
    check(
        "6.1.2",
        &[(0x01, b""), (0x00, b""), (0x80, b""), FAREWELL],
        &["text \"\"", "close 1000"],
    );
    check(
        "6.1.3",
        &[(0x01, b""), (0x00, b"x"), (0x80, b""), FAREWELL],
        &["text \"x\"", "close 1000"],
    );
    let greek = "Hello-µ@ßöäüàá-UTF-8!!".as_bytes();
    let (one, two) = greek.split_at(7);
    check(
        "6.2",
        &[(0x01, one), (0x80, two), FAREWELL],
        &["text \"Hello-µ@ßöäüàá-UTF-8!!\"", "close 1000"],
    );
    for bad in [
        &b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80\x65"[..],
        b"\xce\xba\xf4\x90\x80\x80\x65",
        b"\xf8\x88\x80\x80\x80",
        b"\xfc\x84\x80\x80\x80\x80",
        b"\xfe",
        b"\xff",
        b"\x80",
        b"\xbf",
        b"\xc0\xaf",
        b"\xe0\x9f\xbf",
        b"\xf0\x8f\xbf\xbf",
        b"\xed\xaf\xbf",
        b"\xed\xbf\xbf",
        b"\xce",
        b"\xe1\xbd",
    ] {
        check("6.3", &[(0x81, bad), FAREWELL], &["close 1007"]);
        let (one, two) = bad.split_at(bad.len() / 2);
        check(
            "6.4",
            &[(0x01, one), (0x00, two), (0x80, b"")],
            &["close 1007"],
        );
    }
    for good in [
        "\u{0}", "\u{7f}", "\u{80}", "\u{7ff}", "\u{800}", "\u{d7ff}", "\u{e000}",
    ] {
        let expected = format!("text {good:?}");
        check(
            "6.5",
            &[(0x81, good.as_bytes()), FAREWELL],
            &[&expected, "close 1000"],
        );
    }
    for good in [
        "\u{fffd}",
        "\u{fffe}",
        "\u{ffff}",
        "\u{10000}",
        "\u{10ffff}",
        "\u{1fffe}",
    ] {
        let expected = format!("text {good:?}");
        check(
            "6.22",
            &[(0x81, good.as_bytes()), FAREWELL],
            &[&expected, "close 1000"],
        );
    }
}

#[test]
fn group_7_farewells() {
    check(
        "7.1.1",
        &[(0x81, b"a"), FAREWELL],
        &["text \"a\"", "close 1000"],
    );
    // What follows a farewell is not heard.
    check("7.1.2", &[FAREWELL, FAREWELL], &["close 1000"]);
    check("7.1.3", &[FAREWELL, (0x89, b"late")], &["close 1000"]);
    check("7.1.4", &[FAREWELL, (0x81, b"late")], &["close 1000"]);
    check(
        "7.1.5",
        &[(0x01, b"a"), FAREWELL, (0x80, b"b")],
        &["close 1000"],
    );
    check("7.3.1", &[(0x88, b"")], &["close"]);
    check("7.3.2", &[(0x88, b"a")], &["close 1002"]);
    check("7.3.4", &[(0x88, b"\x03\xe8bye")], &["close 1000"]);
    let longest = [&b"\x03\xe8"[..], &[b'*'; 123]].concat();
    check("7.3.5", &[(0x88, &longest)], &["close 1000"]);
    let too_long = [&b"\x03\xe8"[..], &[b'*'; 124]].concat();
    check("7.3.6", &[(0x88, &too_long)], &["close 1002"]);
    check(
        "7.5.1",
        &[(0x88, b"\x03\xe8\xce\xba\xed\xa0\x80")],
        &["close 1007"],
    );
    for code in [
        1000_u16, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999,
    ] {
        let expected = format!("close {code}");
        check("7.7", &[(0x88, &code.to_be_bytes())], &[&expected]);
    }
    for code in [
        0_u16, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535,
    ] {
        check("7.9", &[(0x88, &code.to_be_bytes())], &["close 1002"]);
    }
}

#[test]
fn groups_9_and_10_long_messages() {
    let payload = vec![b'*'; 1 << 20];
    check(
        "9.1",
        &[(0x81, &payload), FAREWELL],
        &["text 1048576 bytes", "close 1000"],
    );
    for pieces in [64, 4096, 65_536] {
        let mut frames: Vec<(u8, &[u8])> = payload.chunks(pieces).map(|p| (0x00, p)).collect();
        frames[0].0 = 0x02;
        frames.last_mut().unwrap().0 |= 0x80;
        frames.push(FAREWELL);
        let expected = ["binary 1048576 bytes", "close 1000"];
        let wire: Vec<u8> = frames
            .iter()
            .flat_map(|(f, p)| client_frame(*f, p))
            .collect();
        let mut session = Session::server(ROOMY, Instant::now());
        assert_eq!(
            told(&spoken(&mut session, &wire, 1_300)),
            expected,
            "group 9.3"
        );
    }
    let options = Options {
        message_bytes_max: 1000,
        ..ROOMY
    };
    check_with(
        options,
        "9",
        &[(0x81, &[b'*'; 1001]), FAREWELL],
        &["close 1009"],
    );
    check_with(
        options,
        "9",
        &[(0x01, &[b'*'; 1000]), (0x80, b"*")],
        &["close 1009"],
    );
    // Split where no reader would split it.
    check(
        "10.1",
        &[(0x81, &vec![b'*'; 65_536]), FAREWELL],
        &["text 65536 bytes", "close 1000"],
    );
}

#[test]
fn groups_12_and_13_compressed_messages() {
    let mut headers = http::HeaderMap::new();
    for offer in [
        "permessage-deflate",
        "permessage-deflate; server_max_window_bits=9",
    ] {
        headers.insert(
            http::header::SEC_WEBSOCKET_EXTENSIONS,
            offer.parse().unwrap(),
        );
        let options = Options {
            deflate: Deflate::choose(&headers),
            ..ROOMY
        };
        let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
        check_with(
            options,
            "12",
            &[(0xc1, hello), FAREWELL],
            &["text \"Hello\"", "close 1000"],
        );
        let (one, two) = hello.split_at(3);
        check_with(
            options,
            "12",
            &[(0x41, one), (0x89, b"now?"), (0x80, two), FAREWELL],
            &["pong \"now?\"", "text \"Hello\"", "close 1000"],
        );
        // Not each message has to be.
        check_with(
            options,
            "12",
            &[(0x81, b"a"), FAREWELL],
            &["text \"a\"", "close 1000"],
        );
        check_with(
            options,
            "12",
            &[(0xc1, b"\x00"), FAREWELL],
            &["text \"\"", "close 1000"],
        );
        for length in [16, 64, 256, 1024, 4096, 65_536, 131_072] {
            let payload = b"{\"price\": 12.5}, ".repeat(length / 16);
            let deflated = super::super::deflate::deflate(&payload);
            let deflated = deflated.unwrap_or_else(|| hello.to_vec());
            let length = if deflated == hello { 5 } else { payload.len() };
            let said = if length == 5 {
                "text \"Hello\"".to_owned()
            } else {
                format!("text {length} bytes")
            };
            check_with(
                options,
                "13",
                &[(0xc1, &deflated), FAREWELL],
                &[&said, "close 1000"],
            );
        }
        check_with(
            options,
            "12",
            &[(0xc1, b"\xff\xff"), FAREWELL],
            &["close 1007"],
        );
        check_with(options, "12", &[(0x41, one), (0xc0, two)], &["close 1002"]);
        check_with(options, "12", &[(0xc9, b""), FAREWELL], &["close 1002"]);
    }
}
