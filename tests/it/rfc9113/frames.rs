//! Frames: how they are cut (section 4), and the rules of each (section 6).

use super::{
    Answer, Body, Closed, ENABLE_PUSH, END_STREAM, Goaway, HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE,
    MAX_CONCURRENT_STREAMS, MAX_FRAME_SIZE, MAX_HEADER_LIST_SIZE, PADDED, PRIORITIZED, Pong, Reset,
    Settled, Vague, check, continuation, data, dependency, goaway, grow, headers, open_post, ping,
    priority, reset, settings,
};
use crate::raw::{
    COMPRESSION_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, GET, HEADED, POST, PRIORITY,
    PROTOCOL_ERROR, STREAM_CLOSED, WHOLE, field, request,
};
use crate::tap::Frame;

const NOUGHT: [u8; 8] = [0; 8];
const WORD: [u8; 8] = *b"forerun!";

/// A frame of a kind that nobody knows.
fn unknown(stream: u32) -> Vec<u8> {
    Frame::bytes(0x16, 0, stream, &NOUGHT)
}

/// A field with a value so long.
fn long(length: usize) -> Vec<u8> {
    field("x-long", &"v".repeat(length))
}

#[tokio::test(start_paused = true)]
async fn frames_have_a_format_and_a_size() {
    let mut reserved = ping(WORD);
    reserved[5] |= 0x80;
    check(rows! {
        "4.1 a frame of an unknown kind is ignored":
            unknown(0), ping(WORD) => Pong(WORD);
        "4.1 undefined flags are ignored":
            Frame::bytes(Frame::PING, 0x16, 0, &WORD) => Pong(WORD);
        "4.1 the reserved bit is ignored":
            reserved => Pong(WORD);
        "4.2 DATA as large as any may be is taken":
            open_post(1), data(END_STREAM, 1, &[0; 16_384]) => Answer(1);
        "4.2 DATA larger than that":
            open_post(1), data(END_STREAM, 1, &[0; 16_385]) => Goaway(FRAME_SIZE_ERROR);
        "4.2 HEADERS larger than that":
            request(1, &[GET, &long(16_400)].concat()) => Goaway(FRAME_SIZE_ERROR);
        "4.3 a block that cannot be decoded":
            request(1, b"\x40") => Vague(COMPRESSION_ERROR);
        "4.3 another frame within a block":
            headers(END_STREAM, 1, GET), priority(1, 0, 255), continuation(HEADED, 1, b"")
            => Goaway(PROTOCOL_ERROR);
        "4.3 another stream within a block":
            headers(END_STREAM, 1, GET), request(3, GET), continuation(HEADED, 1, b"")
            => Goaway(PROTOCOL_ERROR);
        "5.5 a frame of an unknown kind between others is ignored":
            unknown(1), request(1, GET) => Answer(1);
        "5.5 and not within a block":
            headers(END_STREAM, 1, GET), unknown(0) => Goaway(PROTOCOL_ERROR);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn data_has_its_rules() {
    check(rows! {
        "6.1 DATA is taken":
            open_post(1), data(END_STREAM, 1, b"body") => Answer(1);
        "6.1 however many":
            open_post(1), data(0, 1, b"bo"), data(END_STREAM, 1, b"dy") => Answer(1);
        "6.1 and padded":
            open_post(1), data(END_STREAM | PADDED, 1, b"\x05body\0\0\0\0\0") => Answer(1);
        "6.1 and empty":
            open_post(1), data(0, 1, b""), data(END_STREAM, 1, b"") => Answer(1);
        "6.1 DATA on stream 0":
            data(END_STREAM, 0, b"body") => Goaway(PROTOCOL_ERROR);
        "6.1 DATA on a stream that is half closed: an error of the connection (section 5.4.1)":
            request(1, POST), data(END_STREAM, 1, b"body") => Vague(STREAM_CLOSED);
        "6.1 padding as long as the payload":
            open_post(1), data(END_STREAM | PADDED, 1, b"\x05body") => Goaway(PROTOCOL_ERROR);
        "6.1 padding longer than the payload":
            headers(HEADED, 1, &[POST, &field("content-length", "4")].concat()),
            data(END_STREAM | PADDED, 1, b"\x06body") => Goaway(PROTOCOL_ERROR);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn headers_have_their_rules() {
    let padded = [b"\x08", GET, &[0; 8]].concat();
    let overpadded = [b"\x14", GET].concat();
    let prioritized = [&dependency(0, 255), GET].concat();
    let of_itself = [&dependency(1, 255), GET].concat();
    check(rows! {
        "6.2 HEADERS are taken":
            request(1, GET) => Answer(1);
        "6.2 and padded":
            headers(WHOLE | PADDED, 1, &padded) => Answer(1);
        "6.2 and with a priority, which means nothing any more":
            headers(WHOLE | PRIORITIZED, 1, &prioritized) => Answer(1);
        "6.2 HEADERS on stream 0":
            request(0, GET) => Goaway(PROTOCOL_ERROR);
        "6.2 padding longer than the payload":
            headers(WHOLE | PADDED, 1, &overpadded) => Goaway(PROTOCOL_ERROR);
        "6.2 no room for the priority that is flagged":
            headers(WHOLE | PRIORITIZED, 1, b"\0\0\0") => Vague(FRAME_SIZE_ERROR);
        "6.2 a priority that depends on itself: RFC 7540 section 5.3.1":
            headers(WHOLE | PRIORITIZED, 1, &of_itself) => Reset(PROTOCOL_ERROR);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn priority_is_read_and_not_heeded() {
    check(rows! {
        "6.3 a low weight": priority(1, 0, 0), request(1, GET) => Answer(1);
        "6.3 a high weight": priority(1, 0, 255), request(1, GET) => Answer(1);
        "6.3 a dependency": priority(3, 1, 0), request(1, GET) => Answer(1);
        "6.3 an exclusive one": priority(1, 1 << 31, 0), request(1, GET) => Answer(1);
        "6.3 of an idle stream, and then of a lower one":
            priority(3, 0, 255), request(1, GET) => Answer(1);
        "6.3 PRIORITY on stream 0":
            priority(0, 0, 255) => Goaway(PROTOCOL_ERROR);
        "6.3 PRIORITY of another length: an error of the connection (section 5.4.1)":
            request(1, GET), Frame::bytes(PRIORITY, 0, 1, &[0x80, 0, 0, 1])
            => Vague(FRAME_SIZE_ERROR);
        "6.3 PRIORITY that depends on itself: RFC 7540 section 5.3.1":
            priority(1, 1, 255) => Reset(PROTOCOL_ERROR);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn rst_stream_has_its_rules() {
    let unknown = Frame::bytes(Frame::RST_STREAM, 0, 1, &0xff_u32.to_be_bytes());
    check(rows! {
        "6.4 RST_STREAM is taken":
            open_post(1), reset(1), ping(WORD) => Pong(WORD);
        "7 and with an unknown code":
            open_post(1), unknown, ping(WORD) => Pong(WORD);
        "6.4 RST_STREAM on stream 0":
            reset(0) => Goaway(PROTOCOL_ERROR);
        "6.4 RST_STREAM on an idle stream":
            reset(1) => Goaway(PROTOCOL_ERROR);
        "6.4 RST_STREAM of another length":
            request(1, GET), Frame::bytes(Frame::RST_STREAM, 0, 1, &[0; 3])
            => Vague(FRAME_SIZE_ERROR);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn settings_have_their_rules() {
    let all = [
        (HEADER_TABLE_SIZE, 4_096),
        (ENABLE_PUSH, 1),
        (MAX_CONCURRENT_STREAMS, 100),
        (INITIAL_WINDOW_SIZE, 65_535),
        (MAX_FRAME_SIZE, 16_384),
        (MAX_HEADER_LIST_SIZE, 100),
    ];
    check(rows! {
        "6.5 SETTINGS are taken": settings(&all) => Settled;
        "6.5.3 and acknowledged": settings(&[(ENABLE_PUSH, 0)]) => Settled;
        "6.5.2 an unknown setting is ignored":
            settings(&[(0xff, 1)]), ping(WORD) => Pong(WORD);
        "6.5 SETTINGS on a stream":
            Frame::bytes(Frame::SETTINGS, 0, 1, &[0, 3, 0, 0, 0, 100]) => Goaway(PROTOCOL_ERROR);
        "6.5 an acknowledgement with a payload":
            Frame::bytes(Frame::SETTINGS, 1, 0, &[0]) => Vague(FRAME_SIZE_ERROR);
        "6.5 SETTINGS of another length":
            Frame::bytes(Frame::SETTINGS, 0, 0, &[0, 3, 0]) => Vague(FRAME_SIZE_ERROR);
        "6.5.2 ENABLE_PUSH that is neither 0 nor 1":
            settings(&[(ENABLE_PUSH, 2)]) => Goaway(PROTOCOL_ERROR);
        "6.5.2 INITIAL_WINDOW_SIZE above the largest window":
            settings(&[(INITIAL_WINDOW_SIZE, 1 << 31)]) => Vague(FLOW_CONTROL_ERROR);
        "6.5.2 MAX_FRAME_SIZE below the smallest":
            settings(&[(MAX_FRAME_SIZE, 16_383)]) => Goaway(PROTOCOL_ERROR);
        "6.5.2 MAX_FRAME_SIZE above the largest":
            settings(&[(MAX_FRAME_SIZE, 1 << 24)]) => Goaway(PROTOCOL_ERROR);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn ping_and_goaway_have_their_rules() {
    check(rows! {
        "6.7 PING is acknowledged":
            ping(WORD) => Pong(WORD);
        "6.7 an acknowledgement is not":
            Frame::bytes(Frame::PING, 1, 0, &NOUGHT), ping(WORD) => Pong(WORD);
        "6.7 PING on a stream":
            Frame::bytes(Frame::PING, 0, 1, &NOUGHT) => Goaway(PROTOCOL_ERROR);
        "6.7 PING of another length":
            Frame::bytes(Frame::PING, 0, 0, &[0; 6]) => Vague(FRAME_SIZE_ERROR);
        "5.4.1 who has said GOAWAY closes":
            Frame::bytes(Frame::PING, 0, 3, &NOUGHT) => Goaway(PROTOCOL_ERROR);
        "6.8 who says GOAWAY is let finish":
            goaway(0), ping(WORD) => Closed;
        "7 and with an unknown code":
            goaway(0xff), ping(WORD) => Closed;
        "6.8 GOAWAY on a stream":
            Frame::bytes(Frame::GOAWAY, 0, 1, &NOUGHT) => Goaway(PROTOCOL_ERROR);
        "6.8 GOAWAY of another length":
            Frame::bytes(Frame::GOAWAY, 0, 0, &[0; 7]) => Vague(FRAME_SIZE_ERROR);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn window_update_has_its_rules() {
    check(rows! {
        "6.9 the connection's window grows":
            grow(0, 1), ping(WORD) => Pong(WORD);
        "6.9 a stream's window grows":
            settings(&[(INITIAL_WINDOW_SIZE, 0)]), request(1, GET), grow(1, 1) => Body(1, 1);
        "6.9 by nothing, on the connection":
            grow(0, 0) => Goaway(PROTOCOL_ERROR);
        "6.9 by nothing, on a stream: an error of the connection (section 5.4.1)":
            open_post(1), grow(1, 0) => Goaway(PROTOCOL_ERROR);
        "6.9 WINDOW_UPDATE of another length":
            Frame::bytes(Frame::WINDOW_UPDATE, 0, 0, &[0, 0, 1]) => Vague(FRAME_SIZE_ERROR);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn continuation_has_its_rules() {
    let (first, second, third) = (&GET[..1], &GET[1..3], &GET[3..]);
    check(rows! {
        "6.10 a block in two pieces":
            headers(END_STREAM, 1, first), continuation(HEADED, 1, &GET[1..]) => Answer(1);
        "6.10 a block in three, cut within a field":
            headers(END_STREAM, 1, first), continuation(0, 1, second),
            continuation(HEADED, 1, third) => Answer(1);
        "6.10 long ones":
            headers(END_STREAM, 1, GET), continuation(0, 1, &long(4_000)),
            continuation(HEADED, 1, &long(4_000)) => Answer(1);
        "6.10 another frame between them":
            headers(0, 1, POST), continuation(0, 1, &long(10)), data(END_STREAM, 1, b"body")
            => Goaway(PROTOCOL_ERROR);
        "6.10 CONTINUATION on stream 0":
            headers(END_STREAM, 1, GET), continuation(HEADED, 0, b"") => Goaway(PROTOCOL_ERROR);
        "6.10 behind HEADERS that end the block":
            request(1, GET), continuation(HEADED, 1, &long(10)) => Goaway(PROTOCOL_ERROR);
        "6.10 behind CONTINUATION that ends it":
            headers(END_STREAM, 1, GET), continuation(HEADED, 1, &long(10)),
            continuation(HEADED, 1, &long(10)) => Goaway(PROTOCOL_ERROR);
        "6.10 behind DATA":
            headers(0, 1, POST), data(END_STREAM, 1, b"body"), continuation(0, 1, &long(10))
            => Goaway(PROTOCOL_ERROR);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_promises_nothing() {
    let promise = [&3_u32.to_be_bytes()[..], GET].concat();
    check(rows! {
        "8.4 PUSH_PROMISE of a client":
            Frame::bytes(Frame::PUSH_PROMISE, HEADED, 1, &promise) => Goaway(PROTOCOL_ERROR);
        "8.4 on a stream that is open":
            open_post(1), Frame::bytes(Frame::PUSH_PROMISE, HEADED, 1, &promise)
            => Goaway(PROTOCOL_ERROR);
    })
    .await;
}
