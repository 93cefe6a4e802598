//! Peers that mean harm, or are broken: they lose their connection, nobody else does.

use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::client::{Ask, Reading};
use crate::tap::{Frame, Unit as _};
use crate::world::{World, slow};

const SITE: &str = "
    //- /index.html
    <!doctype html><link rel=stylesheet href=/a.css><p>Hello
    //- /a.css
    p { color: red }
    //- /large.png size=2000000
";

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
const CONTINUATION: u8 = 9;

/// Says something on a new HTTP/2 connection, waits for the server to be done with it, and returns
/// the kinds of frames that it said.
async fn shout(world: &mut World, bytes: &[u8], within: Duration) -> Vec<u8> {
    let greeted = world.greet("h2").await;
    let (mut reading, mut writing) = tokio::io::split(greeted.stream);
    let mut heard = Vec::new();
    let conversation = async {
        // The server may close before all is said.
        let say = async {
            let _ = writing.write_all(bytes).await;
            let _ = writing.flush().await;
        };
        let hear = async {
            let _ = reading.read_to_end(&mut heard).await;
        };
        tokio::join!(say, hear);
        greeted.server.await
    };
    let closed = async { tokio::time::timeout(within, conversation).await.unwrap() };
    world.wait(closed).await;
    let mut kinds = Vec::new();
    let mut rest = &heard[..];
    while let Some(head) = rest.get(..Frame::HEAD_BYTES) {
        kinds.push(head[3]);
        rest = rest
            .get(head.len() + Frame::payload_bytes(head)..)
            .unwrap_or_default();
    }
    kinds
}

#[tokio::test(start_paused = true)]
async fn nonsense_ends_the_connection_alone() {
    let mut world = World::new(SITE);
    let preface = |rest: &[u8]| [PREFACE, rest].concat();
    let second = Duration::from_secs(1);
    let long_frame = Frame::bytes(Frame::DATA, 0, 1, &vec![0; 20_000]);
    let data_on_idle = Frame::bytes(Frame::DATA, 0, 1, b"x");
    let bad_header = Frame::bytes(Frame::HEADERS, 5, 1, &[0xff; 40]);
    let bad_window = Frame::bytes(Frame::WINDOW_UPDATE, 0, 0, &[0; 4]);
    let pushing_client = Frame::bytes(Frame::PUSH_PROMISE, 4, 1, &[0, 0, 0, 2, 0x82]);
    let short_ping = Frame::bytes(Frame::PING, 0, 0, b"x");
    shout(
        &mut world,
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        second,
    )
    .await;
    shout(&mut world, &[0xff; 1000], second).await;
    for frame in [
        &long_frame,
        &data_on_idle,
        &bad_header,
        &bad_window,
        &pushing_client,
        &short_ping,
    ] {
        let heard = shout(&mut world, &preface(frame), second).await;
        assert_eq!(
            heard.last(),
            Some(&Frame::GOAWAY),
            "it is told why: {heard:?}"
        );
        assert_eq!(world.get("/").await.status(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn a_header_without_end_is_not_gathered() {
    let mut world = World::new(SITE);
    let mut bytes = PREFACE.to_vec();
    bytes.extend(Frame::bytes(Frame::HEADERS, 1, 1, &[0x82, 0x84, 0x87]));
    // A literal header of a few bytes, over and over.
    let fragment = b"\x00\x01a\x01b".repeat(3_000);
    for _ in 0..1_000 {
        bytes.extend(Frame::bytes(CONTINUATION, 0, 1, &fragment));
    }
    shout(&mut world, &bytes, Duration::from_secs(1)).await;
    assert_eq!(world.get("/").await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_header_that_is_too_large_is_refused() {
    let mut world = World::new(SITE);
    let large = "x".repeat(20_000);
    let response = world.get_with("/", &[("x-large", &large)]).await;
    assert!(response.answer.is_err() || response.status() == 431);
    assert_eq!(world.get("/").await.status(), 200);
}

/// CVE-2023-44487: requests that are taken back at once cost the client nothing.
#[tokio::test(start_paused = true)]
async fn resets_in_numbers_end_the_connection() {
    let mut world = World::new(SITE).link(slow(100, 5));
    world.get("/").await;
    let connection = world.connection().await;
    let head = [0x82, 0x84, 0x87, 0x41, 0x09]
        .into_iter()
        .chain(*b"localhost");
    let head: Vec<u8> = head.collect();
    for index in 0..20_000 {
        let stream = 1_001 + 2 * index;
        connection
            .frames
            .inject(&Frame::bytes(Frame::HEADERS, 5, stream, &head));
        connection
            .frames
            .inject(&Frame::bytes(Frame::RST_STREAM, 0, stream, &[0, 0, 0, 8]));
    }
    world.closed(Duration::from_mins(1)).await;
    world.reconnect().await;
    assert_eq!(world.get("/").await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn pings_and_settings_in_numbers_are_not_gathered() {
    let mut world = World::new(SITE).link(slow(100, 5));
    world.get("/").await;
    let connection = world.connection().await;
    for _ in 0..5_000 {
        connection
            .frames
            .inject(&Frame::bytes(Frame::PING, 0, 0, &[0; 8]));
        connection
            .frames
            .inject(&Frame::bytes(Frame::SETTINGS, 0, 0, &[]));
    }
    world.rest_ms(5_000).await;
    world.reconnect().await;
    assert_eq!(world.get("/").await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_speaks_is_let_go() {
    let mut world = World::new(SITE);
    shout(&mut world, b"", Duration::from_secs(15)).await;
    shout(&mut world, &PREFACE[..10], Duration::from_secs(15)).await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_asks_for_nothing_is_let_go_in_the_end() {
    let mut world = World::new(SITE);
    world.get("/").await;
    world.rest(Duration::from_mins(4)).await;
    assert_eq!(world.get("/").await.status(), 200);
    world.closed(Duration::from_mins(10)).await;
    let goaways = world
        .frames()
        .iter()
        .filter(|frame| frame.kind == Frame::GOAWAY)
        .count();
    assert!(goaways > 0, "it is told");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_let_go() {
    let mut world = World::new(SITE).client(|client| client.stream_window = 1_000);
    let stuck = world
        .start(Ask::get("/large.png").reading(Reading::Nothing))
        .await;
    world.closed(Duration::from_mins(10)).await;
    stuck.abort();
}

#[tokio::test(start_paused = true)]
async fn a_slow_peer_is_given_its_time() {
    let mut link = slow(1, 300);
    link.down = Some(32_000);
    let mut world = World::new(
        "
        //- /file.bin size=500000
    ",
    )
    .link(link);
    assert_eq!(world.get("/file.bin").await.answer().body.len(), 500_000);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_nobody_wants_stalls_nobody() {
    static LARGE: [u8; 1 << 20] = [b'x'; 1 << 20];
    let mut world = World::new(SITE);
    for _ in 0..20 {
        let upload = Ask::method("POST", "/").body(std::str::from_utf8(&LARGE).unwrap());
        let response = world.ask(upload).await;
        assert_eq!(response.status(), 405);
    }
    assert_eq!(world.get("/").await.status(), 200);
}

/// Says something on a new connection, hangs up, and waits for the server to be done with it: a
/// panic there is one here.
async fn say_and_leave(world: &mut World, protocol: &str, bytes: &[u8]) {
    let greeted = world.greet(protocol).await;
    let (mut stream, server) = (greeted.stream, greeted.server);
    let conversation = async {
        let _ = stream.write_all(bytes).await;
        let _ = stream.flush().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        drop(stream);
        tokio::time::timeout(Duration::from_mins(10), server)
            .await
            .unwrap()
    };
    world.wait(conversation).await;
}

/// Requests as they should be, and among them frames that should not be.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    const REQUESTS: [&[u8]; 3] = [
        b"\x82\x84\x87\x01\x09localhost",
        b"\x83\x84\x87\x01\x09localhost",
        b"\x82\x87\x04\x0a/large.png\x01\x09localhost",
    ];
    let request = (0..3_usize, prop_oneof![Just(4_u8), Just(5)])
        .prop_map(|(index, flags)| (Frame::HEADERS, flags, None, REQUESTS[index].to_vec()));
    let payload = prop_oneof![
        Just(b"\0\0\0\x01u=1, i".to_vec()),
        Just(vec![0, 2, 0, 0, 0, 0, 0, 4, 0, 0, 0, 1]),
        Just(vec![0, 0, 0, 8]),
        proptest::collection::vec(any::<u8>(), 0..40),
    ];
    let stray = (
        prop_oneof![0..11_u8, Just(0x10)],
        any::<u8>(),
        0..8_u32,
        payload,
    )
        .prop_map(|(kind, flags, stream, payload)| (kind, flags, Some(stream), payload));
    let frames = proptest::collection::vec(prop_oneof![4 => request, 1 => stray], 1..12);
    frames.prop_map(|frames| {
        let mut next = 1;
        let bytes = |(kind, flags, stream, payload): (u8, u8, Option<u32>, Vec<u8>)| {
            let stream = stream.unwrap_or_else(|| {
                next += 2;
                next - 2
            });
            Frame::bytes(kind, flags, stream, &payload)
        };
        frames.into_iter().flat_map(bytes).collect()
    })
}

#[tokio::test(start_paused = true)]
async fn random_frames_end_nothing_but_their_connection() {
    let mut world = World::new(SITE);
    let mut runner = TestRunner::deterministic();
    for _ in 0..200 {
        let frames = frames().new_tree(&mut runner).unwrap().current();
        say_and_leave(&mut world, "h2", &[PREFACE, &frames].concat()).await;
    }
    let answers = world.log().len();
    assert!(answers > 20, "{answers} of these were requests");
    assert_eq!(world.get("/").await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn random_lines_end_nothing_but_their_connection() {
    let mut world = World::new(SITE);
    let mut runner = TestRunner::deterministic();
    let line = r"(GET|HEAD|POST|[A-Z]{1,9}) (/|/a\.css|/large\.png|\*|/\PC{0,9}) HTTP/1\.[01]";
    let field = r"(Content-Length|Transfer-Encoding|[a-z-]{1,9}): ?(chunked|9|\PC{0,9})";
    let request = format!("{line}\r\nHost: localhost\r\n({field}\r\n)?\r\n");
    for _ in 0..200 {
        let text = proptest::string::string_regex(&request)
            .unwrap()
            .new_tree(&mut runner);
        say_and_leave(&mut world, "http/1.1", text.unwrap().current().as_bytes()).await;
    }
    let answers = world.log().len();
    assert!(answers > 20, "{answers} of these were requests");
    assert_eq!(world.get("/").await.status(), 200);
}
