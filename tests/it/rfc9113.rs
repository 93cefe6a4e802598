//! What RFC 9113 and RFC 7541 demand of a server whose peer breaks a rule: a row each.
//!
//! The rules are those that conformance suites look at. A stream error resets that stream, and a
//! connection error says GOAWAY with the code and closes. Where the standard leaves a choice, both
//! are taken: a stream error may be one of the connection (section 5.4.2), and `PROTOCOL_ERROR`
//! may stand for any code (section 5.4), as it does where `h2` cannot read a frame at all.
//!
//! One rule is not kept: `h2` passes over pseudo-header fields in trailers (section 8.1), where
//! nothing here reads any.

use crate::raw::{
    COMPRESSION_ERROR, CONTINUATION, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, GET, GET_LARGE, HEADED,
    Heard, POST, PREFACE, PRIORITY, PROTOCOL_ERROR, Raw, STREAM_CLOSED, WHOLE, field, request,
    status,
};
use crate::tap::Frame;
use crate::world::World;

const SITE: &str = "
    //- /index.html
    <!doctype html><p>Hello
    //- /large.png size=200000
";

/// What a peer must see.
enum Sees {
    /// The stream is answered.
    Answer(u32),
    /// GOAWAY with this code, and the end.
    Goaway(u32),
    /// GOAWAY with one of these codes, and the end.
    GoawayOf(&'static [u32]),
    /// RST_STREAM on stream 1, or the same as an error of the connection.
    Reset(u32),
    /// A malformed request (section 8.1.1): RST_STREAM, or a 400.
    Malformed,
    /// An acknowledgement: PING or SETTINGS.
    Acknowledged(u8),
    /// The connection is closed, with or without a word.
    Closed,
}

use Sees::{Acknowledged, Answer, Closed, Goaway, GoawayOf, Malformed, Reset};

/// A rule, what breaks it, and what is due.
struct Row {
    rule: &'static str,
    bytes: Vec<u8>,
    sees: Sees,
}

fn row(rule: &'static str, bytes: &[u8], sees: Sees) -> Row {
    let bytes = bytes.to_vec();
    Row { rule, bytes, sees }
}

/// Says bytes after the preface, a connection for each row, and holds what comes against what must.
async fn check(rows: Vec<Row>) {
    let mut world = World::new(SITE);
    let mut complaints = Vec::new();
    for Row { rule, bytes, sees } in rows {
        let mut raw = Raw::open(&mut world, &[]).await;
        raw.answer(&world).await;
        raw.say(&world, &bytes).await;
        let heard = raw.answer(&world).await;
        if let Err(wrong) = judge(&heard, raw.is_closed(), &sees) {
            let told: Vec<_> = heard.iter().map(|f| (f.kind, f.flags, f.stream)).collect();
            complaints.push(format!("{rule}: {wrong}; came: {told:?}"));
        }
        assert_eq!(
            world.get("/").await.status(),
            200,
            "{rule}: others are served"
        );
    }
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

fn judge(heard: &[Heard], is_closed: bool, sees: &Sees) -> Result<(), String> {
    let goaway = heard
        .iter()
        .find(|frame| frame.kind == Frame::GOAWAY)
        .map(Heard::code);
    let reset = heard
        .iter()
        .find(|frame| frame.kind == Frame::RST_STREAM && frame.stream == 1)
        .map(Heard::code);
    let gone = |codes: &[u32]| match goaway {
        Some(code) if is_closed && (code == PROTOCOL_ERROR || codes.contains(&code)) => Ok(()),
        _ => Err(format!(
            "GOAWAY {codes:?} is due, not {goaway:?} (closed: {is_closed})"
        )),
    };
    match *sees {
        Answer(stream) if goaway.is_none() && status(heard, stream).is_some() => Ok(()),
        Answer(stream) => Err(format!("stream {stream} is to be answered, not {goaway:?}")),
        GoawayOf(codes) => gone(codes),
        Reset(code) if reset == Some(code) => Ok(()),
        Goaway(code) | Reset(code) => gone(&[code]),
        Malformed if reset == Some(PROTOCOL_ERROR) || status(heard, 1) == Some(400) => Ok(()),
        Malformed => gone(&[PROTOCOL_ERROR]),
        Acknowledged(kind) => {
            let told = heard
                .iter()
                .any(|frame| frame.kind == kind && frame.flags & 1 == 1);
            told.then_some(())
                .ok_or_else(|| "no acknowledgement".to_owned())
        }
        Closed => is_closed
            .then_some(())
            .ok_or_else(|| "it stays open".to_owned()),
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    Frame::bytes(kind, flags, stream, payload)
}

fn settings(identifier: u16, value: u32) -> Vec<u8> {
    let payload = [&identifier.to_be_bytes()[..], &value.to_be_bytes()].concat();
    frame(Frame::SETTINGS, 0, 0, &payload)
}

/// A POST whose body is yet to come.
fn open_post(stream: u32) -> Vec<u8> {
    frame(Frame::HEADERS, HEADED, stream, POST)
}

fn grow(stream: u32, by: u32) -> Vec<u8> {
    frame(Frame::WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
}

#[tokio::test(start_paused = true)]
async fn a_connection_begins_with_the_preface() {
    let mut world = World::new(SITE);
    for bytes in [
        &b"INVALID CONNECTION PREFACE\r\n\r\n"[..],
        &[PREFACE, b"\0\0\0\x03\0\0\0\0\x01"].concat(),
    ] {
        let mut raw = Raw::silent(&mut world).await;
        raw.say(&world, bytes).await;
        raw.answer(&world).await;
        assert!(raw.is_closed(), "section 3.4: {bytes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn frames_have_a_format_and_a_size() {
    let mut ping = frame(Frame::PING, 0, 0, &[0; 8]);
    ping[5] |= 0x80;
    check(vec![
        row(
            "4.1: an unknown kind is ignored",
            &[frame(0x16, 0, 0, &[0; 8]), request(1, GET)].concat(),
            Answer(1),
        ),
        row(
            "4.1: undefined flags are ignored",
            &frame(Frame::PING, 0x16, 0, &[0; 8]),
            Acknowledged(Frame::PING),
        ),
        row(
            "4.1: the reserved bit is ignored",
            &ping,
            Acknowledged(Frame::PING),
        ),
        row(
            "4.2: DATA larger than allowed",
            &[open_post(1), frame(Frame::DATA, 1, 1, &vec![0; 16_385])].concat(),
            Reset(FRAME_SIZE_ERROR),
        ),
        row(
            "4.2: HEADERS larger than allowed",
            &frame(
                Frame::HEADERS,
                WHOLE,
                1,
                &[GET, &field("x", &"v".repeat(16_500))].concat(),
            ),
            Goaway(FRAME_SIZE_ERROR),
        ),
        row(
            "4.3: a block that cannot be decoded",
            &request(1, b"\x40"),
            Goaway(COMPRESSION_ERROR),
        ),
        row(
            "4.3: another frame within a block",
            &[
                frame(Frame::HEADERS, 1, 1, GET),
                frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 16]),
            ]
            .concat(),
            Goaway(PROTOCOL_ERROR),
        ),
        row(
            "4.3: another stream within a block",
            &[frame(Frame::HEADERS, 1, 1, GET), request(3, GET)].concat(),
            Goaway(PROTOCOL_ERROR),
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn streams_have_states() {
    let reset = frame(Frame::RST_STREAM, 0, 1, &[0, 0, 0, 8]);
    check(vec![
        row(
            "5.1: DATA on an idle stream",
            &frame(Frame::DATA, 1, 1, b"x"),
            Goaway(PROTOCOL_ERROR),
        ),
        row(
            "5.1: RST_STREAM on an idle stream",
            &frame(Frame::RST_STREAM, 0, 1, &[0, 0, 0, 8]),
            Goaway(PROTOCOL_ERROR),
        ),
        row(
            "5.1: WINDOW_UPDATE on an idle stream",
            &grow(1, 100),
            Goaway(PROTOCOL_ERROR),
        ),
        row(
            "5.1: CONTINUATION on an idle stream",
            &frame(CONTINUATION, 4, 1, GET),
            Goaway(PROTOCOL_ERROR),
        ),
        row(
            "5.1: DATA after END_STREAM",
            &[request(1, GET_LARGE), frame(Frame::DATA, 1, 1, b"x")].concat(),
            Reset(STREAM_CLOSED),
        ),
        row(
            "5.1: HEADERS after END_STREAM",
            &[request(1, GET_LARGE), request(1, GET)].concat(),
            Reset(STREAM_CLOSED),
        ),
        row(
            "5.1: CONTINUATION after END_STREAM",
            &[request(1, GET_LARGE), frame(CONTINUATION, 4, 1, GET)].concat(),
            GoawayOf(&[PROTOCOL_ERROR, STREAM_CLOSED]),
        ),
        row(
            "5.1: DATA after RST_STREAM",
            &[open_post(1), reset.clone(), frame(Frame::DATA, 1, 1, b"x")].concat(),
            Reset(STREAM_CLOSED),
        ),
        row(
            "5.1: HEADERS after RST_STREAM",
            &[open_post(1), reset, request(1, GET)].concat(),
            Reset(STREAM_CLOSED),
        ),
        row(
            "5.1.1: an even stream",
            &request(2, GET),
            Goaway(PROTOCOL_ERROR),
        ),
        row(
            "5.1.1: a lower stream",
            &[request(5, GET), request(3, GET)].concat(),
            GoawayOf(&[PROTOCOL_ERROR, STREAM_CLOSED]),
        ),
        row(
            "5.3.1: a stream that depends on itself is heard no more",
            &[frame(PRIORITY, 0, 1, &[0, 0, 0, 1, 16]), request(3, GET)].concat(),
            Answer(3),
        ),
        row(
            "5.5: an unknown frame within a block",
            &[
                frame(Frame::HEADERS, 1, 1, GET),
                frame(0x16, 0, 1, b"x"),
                frame(CONTINUATION, 4, 1, b""),
            ]
            .concat(),
            Goaway(PROTOCOL_ERROR),
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn frames_of_streams_have_their_rules() {
    let padded = [b"\xff", GET].concat();
    check(vec![
        row(
            "6.1: DATA on stream 0",
            &frame(Frame::DATA, 1, 0, b"x"),
            Goaway(PROTOCOL_ERROR),
        ),
        row(
            "6.1: padding longer than the payload",
            &[open_post(1), frame(Frame::DATA, 9, 1, b"\x06xxxx")].concat(),
            Goaway(PROTOCOL_ERROR),
        ),
        row(
            "6.2: HEADERS on stream 0",
            &request(0, GET),
            Goaway(PROTOCOL_ERROR),
        ),
        row(
            "6.2: padding longer than the payload",
            &frame(Frame::HEADERS, WHOLE | 8, 1, &padded),
            Goaway(PROTOCOL_ERROR),
        ),
        row(
            "6.3: PRIORITY on stream 0",
            &frame(PRIORITY, 0, 0, &[0, 0, 0, 1, 16]),
            Goaway(PROTOCOL_ERROR),
        ),
        row(
            "6.3: PRIORITY of another length",
            &frame(PRIORITY, 0, 1, &[0; 4]),
            Reset(FRAME_SIZE_ERROR),
        ),
        row(
            "6.4: RST_STREAM on stream 0",
            &frame(Frame::RST_STREAM, 0, 0, &[0; 4]),
            Goaway(PROTOCOL_ERROR),
        ),
        row(
            "6.4: RST_STREAM of another length",
            &[open_post(1), frame(Frame::RST_STREAM, 0, 1, &[0; 3])].concat(),
            Goaway(FRAME_SIZE_ERROR),
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn frames_of_the_connection_have_their_rules() {
    check(vec![
        row(
            "6.5: SETTINGS on a stream",
            &frame(Frame::SETTINGS, 0, 1, &[]),
            Goaway(PROTOCOL_ERROR),
        ),
        row(
            "6.5: an acknowledgement with a payload",
            &frame(Frame::SETTINGS, 1, 0, &[0; 6]),
            Goaway(FRAME_SIZE_ERROR),
        ),
        row(
            "6.5: SETTINGS of another length",
            &frame(Frame::SETTINGS, 0, 0, &[0; 3]),
            Goaway(FRAME_SIZE_ERROR),
        ),
        row(
            "6.5.2: ENABLE_PUSH neither 0 nor 1",
            &settings(2, 2),
            Goaway(PROTOCOL_ERROR),
        ),
        row(
            "6.5.2: INITIAL_WINDOW_SIZE too large",
            &settings(4, 1 << 31),
            Goaway(FLOW_CONTROL_ERROR),
        ),
        row(
            "6.5.2: MAX_FRAME_SIZE too small",
            &settings(5, 16_383),
            Goaway(PROTOCOL_ERROR),
        ),
        row(
            "6.5.2: MAX_FRAME_SIZE too large",
            &settings(5, 1 << 24),
            Goaway(PROTOCOL_ERROR),
        ),
        row(
            "6.5.2: an unknown setting is ignored",
            &settings(0xff, 1),
            Acknowledged(Frame::SETTINGS),
        ),
        row(
            "6.7: PING is answered",
            &frame(Frame::PING, 0, 0, b"forerun!"),
            Acknowledged(Frame::PING),
        ),
        row(
            "6.7: PING on a stream",
            &frame(Frame::PING, 0, 1, &[0; 8]),
            Goaway(PROTOCOL_ERROR),
        ),
        row(
            "6.7: PING of another length",
            &frame(Frame::PING, 0, 0, &[0; 6]),
            Goaway(FRAME_SIZE_ERROR),
        ),
        row(
            "6.8: GOAWAY on a stream",
            &frame(Frame::GOAWAY, 0, 1, &[0; 8]),
            Goaway(PROTOCOL_ERROR),
        ),
        row(
            "6.10: CONTINUATION without HEADERS",
            &[request(1, GET), frame(CONTINUATION, 4, 1, GET)].concat(),
            GoawayOf(&[PROTOCOL_ERROR, STREAM_CLOSED]),
        ),
        row(
            "6.10: CONTINUATION on stream 0",
            &[
                frame(Frame::HEADERS, 1, 1, GET),
                frame(CONTINUATION, 4, 0, b""),
            ]
            .concat(),
            Goaway(PROTOCOL_ERROR),
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn windows_have_bounds() {
    check(vec![
        row(
            "6.9: no increment on the connection",
            &grow(0, 0),
            Goaway(PROTOCOL_ERROR),
        ),
        row(
            "6.9: no increment on a stream",
            &[open_post(1), grow(1, 0)].concat(),
            Reset(PROTOCOL_ERROR),
        ),
        row(
            "6.9: WINDOW_UPDATE of another length",
            &frame(Frame::WINDOW_UPDATE, 0, 0, &[0; 3]),
            Goaway(FRAME_SIZE_ERROR),
        ),
        row(
            "6.9.1: a connection window above the largest",
            &[grow(0, 0x7fff_ffff), grow(0, 0x7fff_ffff)].concat(),
            Goaway(FLOW_CONTROL_ERROR),
        ),
        row(
            "6.9.1: a stream window above the largest",
            &[open_post(1), grow(1, 0x7fff_ffff), grow(1, 0x7fff_ffff)].concat(),
            Reset(FLOW_CONTROL_ERROR),
        ),
        row(
            "6.9.2: a window that shrinks below nothing grows again",
            &[
                settings(4, 1),
                request(1, GET_LARGE),
                settings(4, 0),
                settings(4, 65_535),
            ]
            .concat(),
            Answer(1),
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn requests_are_well_formed() {
    let get = |more: &[u8]| request(1, &[GET, more].concat());
    check(vec![
        row(
            "8.2.1: an upper case name",
            &get(&field("X-Test", "x")),
            Malformed,
        ),
        row(
            "8.2.2: connection-specific fields",
            &get(&field("connection", "keep-alive")),
            Malformed,
        ),
        row(
            "8.2.2: TE other than trailers",
            &get(&field("te", "gzip")),
            Malformed,
        ),
        row(
            "8.2.2: TE: trailers",
            &get(&field("te", "trailers")),
            Answer(1),
        ),
        row(
            "8.3: an unknown pseudo-header field",
            &get(&field(":test", "x")),
            Malformed,
        ),
        row(
            "8.3: a response's pseudo-header field",
            &get(&field(":status", "200")),
            Malformed,
        ),
        row(
            "8.3: a pseudo-header field behind others",
            &request(
                1,
                &[&b"\x82\x87\x01\x09localhost"[..], &field("x", "y"), b"\x84"].concat(),
            ),
            Malformed,
        ),
        row(
            "8.3.1: an empty path",
            &request(
                1,
                &[&b"\x82\x87\x01\x09localhost"[..], &field(":path", "")].concat(),
            ),
            Malformed,
        ),
        row(
            "8.3.1: no method",
            &request(1, b"\x84\x87\x01\x09localhost"),
            Malformed,
        ),
        row(
            "8.3.1: no scheme",
            &request(1, b"\x82\x84\x01\x09localhost"),
            Malformed,
        ),
        row(
            "8.3.1: no path",
            &request(1, b"\x82\x87\x01\x09localhost"),
            Malformed,
        ),
        row("8.3.1: two methods", &get(b"\x82"), Malformed),
        row("8.3.1: two paths", &get(b"\x84"), Malformed),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn bodies_are_what_was_said_of_them() {
    let long = [POST, &field("content-length", "1")].concat();
    check(vec![
        row(
            "8.1.1: a body longer than it says",
            &[
                frame(Frame::HEADERS, HEADED, 1, &long),
                frame(Frame::DATA, 1, 1, b"xx"),
            ]
            .concat(),
            Malformed,
        ),
        row(
            "8.1.1: a body shorter than it says",
            &[
                frame(Frame::HEADERS, HEADED, 1, &long),
                frame(Frame::DATA, 1, 1, b""),
            ]
            .concat(),
            Malformed,
        ),
        row(
            "8.1: a second HEADERS without END_STREAM",
            &[
                open_post(1),
                frame(Frame::HEADERS, HEADED, 1, &field("x", "y")),
            ]
            .concat(),
            Malformed,
        ),
        row(
            "8.4: a client that promises",
            &frame(
                Frame::PUSH_PROMISE,
                4,
                1,
                &[&[0, 0, 0, 2][..], GET].concat(),
            ),
            Goaway(PROTOCOL_ERROR),
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn header_compression_has_its_rules() {
    check(vec![
        row(
            "RFC 7541 2.3.3: an index outside both tables",
            &request(1, &[GET, b"\xc6"].concat()),
            Goaway(COMPRESSION_ERROR),
        ),
        row(
            "RFC 7541 2.3.3: index 0",
            &request(1, &[GET, b"\x80"].concat()),
            Goaway(COMPRESSION_ERROR),
        ),
        row(
            "RFC 7541 4.2: a table size update at the end",
            &request(1, &[GET, b"\x20"].concat()),
            Goaway(COMPRESSION_ERROR),
        ),
        row(
            "RFC 7541 6.3: a table larger than allowed",
            &request(1, &[b"\x3f\xe2\x7f", GET].concat()),
            Goaway(COMPRESSION_ERROR),
        ),
        row(
            "RFC 7541 5.2: padding longer than 7 bits",
            &request(
                1,
                &[GET, b"\x00\x85\xf2\xb2\x4a\x84\xff\x84\x49\x50\x9f\xff"].concat(),
            ),
            Goaway(COMPRESSION_ERROR),
        ),
        row(
            "RFC 7541 5.2: padding that is not ones",
            &request(
                1,
                &[GET, b"\x00\x85\xf2\xb2\x4a\x87\xff\x83\x49\x50\x90"].concat(),
            ),
            Goaway(COMPRESSION_ERROR),
        ),
        row(
            "RFC 7541 5.2: the end of string symbol",
            &request(
                1,
                &[
                    GET,
                    b"\x00\x85\xf2\xb2\x4a\x84\xff\x87\xff\xff\xff\xff\x20\x48\xff",
                ]
                .concat(),
            ),
            Goaway(COMPRESSION_ERROR),
        ),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_goaway_is_heeded_and_closed() {
    check(vec![row(
        "6.8: who says GOAWAY is let finish",
        &[
            frame(Frame::GOAWAY, 0, 0, &[0; 8]),
            frame(Frame::PING, 0, 0, &[0; 8]),
        ]
        .concat(),
        Closed,
    )])
    .await;
}
