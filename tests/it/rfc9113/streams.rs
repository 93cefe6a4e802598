//! Streams: which frames each state takes (section 5.1), and what windows allow (section 6.9).

use super::{
    Body, END_STREAM, Goaway, INITIAL_WINDOW_SIZE, Pong, Reset, Vague, check, continuation, data,
    grow, open_post, ping, priority, reset, settings,
};
use crate::raw::{
    FLOW_CONTROL_ERROR, GET, GET_LARGE, HEADED, PROTOCOL_ERROR, STREAM_CLOSED, request,
};

const WORD: [u8; 8] = *b"forerun!";
/// The largest window (section 6.9.1).
const WINDOW_MAX: u32 = (1 << 31) - 1;

#[tokio::test(start_paused = true)]
async fn an_idle_stream_takes_headers_and_priority() {
    check(rows! {
        "5.1 PRIORITY": priority(1, 0, 255), ping(WORD) => Pong(WORD);
        "5.1 DATA": data(END_STREAM, 1, b"body") => Goaway(PROTOCOL_ERROR);
        "5.1 RST_STREAM": reset(1) => Goaway(PROTOCOL_ERROR);
        "5.1 WINDOW_UPDATE": grow(1, 100) => Goaway(PROTOCOL_ERROR);
        "5.1 CONTINUATION": continuation(HEADED, 1, GET) => Goaway(PROTOCOL_ERROR);
    })
    .await;
}

/// The peer has ended its half; a window of nothing keeps the other half open.
#[tokio::test(start_paused = true)]
async fn a_stream_that_is_half_closed_takes_no_more_of_a_request() {
    let shut = || settings(&[(INITIAL_WINDOW_SIZE, 0)]);
    check(rows! {
        "5.1 WINDOW_UPDATE":
            shut(), request(1, GET), grow(1, 1) => Body(1, 1);
        "5.1 PRIORITY":
            shut(), request(1, GET), priority(1, 0, 255), grow(1, 1) => Body(1, 1);
        "5.1 RST_STREAM":
            shut(), request(1, GET), reset(1), ping(WORD) => Pong(WORD);
        "5.1 DATA: an error of the connection (section 5.4.1)":
            shut(), request(1, GET), data(END_STREAM, 1, b"body") => Vague(STREAM_CLOSED);
        "5.1 HEADERS: an error of the connection (section 5.4.1)":
            shut(), request(1, GET), request(1, GET) => Vague(STREAM_CLOSED);
        "5.1 CONTINUATION":
            shut(), request(1, GET), continuation(HEADED, 1, GET) => Goaway(PROTOCOL_ERROR);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_reset_takes_priority() {
    check(rows! {
        "5.1 PRIORITY":
            open_post(1), reset(1), priority(1, 0, 255), ping(WORD) => Pong(WORD);
        "5.1 DATA":
            open_post(1), reset(1), data(END_STREAM, 1, b"body") => Reset(STREAM_CLOSED);
        "5.1 HEADERS: an error of the connection (section 5.4.1)":
            open_post(1), reset(1), request(1, GET) => Vague(STREAM_CLOSED);
        "5.1 CONTINUATION":
            open_post(1), reset(1), continuation(HEADED, 1, GET) => Goaway(PROTOCOL_ERROR);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_has_ended_takes_priority() {
    check(rows! {
        "5.1 PRIORITY":
            request(1, GET); priority(1, 0, 255), ping(WORD) => Pong(WORD);
        "5.1 WINDOW_UPDATE, which may have been under way":
            request(1, GET); grow(1, 1), ping(WORD) => Pong(WORD);
        "5.1 RST_STREAM, which may have been under way":
            request(1, GET); reset(1), ping(WORD) => Pong(WORD);
        "5.1 DATA":
            request(1, GET); data(END_STREAM, 1, b"body") => Reset(STREAM_CLOSED);
        "5.1 HEADERS":
            request(1, GET); request(1, GET) => Vague(STREAM_CLOSED);
        "5.1 CONTINUATION":
            request(1, GET); continuation(HEADED, 1, GET) => Goaway(PROTOCOL_ERROR);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn streams_have_identifiers_that_rise() {
    check(rows! {
        "5.1.1 a stream of the server's":
            request(2, GET) => Goaway(PROTOCOL_ERROR);
        "5.1.1 a stream below one that was opened":
            request(5, GET), request(3, GET) => Goaway(PROTOCOL_ERROR);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn windows_are_kept() {
    let window = |size| settings(&[(INITIAL_WINDOW_SIZE, size)]);
    check(rows! {
        "6.9.1 no more is sent than a window takes":
            window(1); request(1, GET) => Body(1, 1);
        "6.5.3 settings count in their order":
            settings(&[(INITIAL_WINDOW_SIZE, 100), (INITIAL_WINDOW_SIZE, 1)]);
            request(1, GET) => Body(1, 1);
        "6.9.2 a setting changes the windows of streams that are open":
            window(0); request(1, GET), window(1) => Body(1, 1);
        "6.9.2 a window below nothing has to grow above it":
            window(3); request(1, GET); window(2); grow(1, 2) => Body(1, 4);
        "6.9.2 and nothing is sent before":
            window(3); request(1, GET); window(0); grow(1, 3) => Body(1, 3);
        "6.9.2 a window that shrinks below nothing grows again":
            window(1), request(1, GET_LARGE), window(0), window(65_535)
            => Body(1, 65_535);
        "6.9.1 a window of the connection above the largest":
            grow(0, WINDOW_MAX), grow(0, WINDOW_MAX) => Goaway(FLOW_CONTROL_ERROR);
        "6.9.1 a window of a stream above the largest":
            open_post(1), grow(1, WINDOW_MAX), grow(1, WINDOW_MAX) => Reset(FLOW_CONTROL_ERROR);
        "6.9.2 a setting that makes a window larger than that":
            open_post(1), grow(1, WINDOW_MAX - 65_535), window(65_536)
            => Goaway(FLOW_CONTROL_ERROR);
    })
    .await;
}
