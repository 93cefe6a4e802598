//! Each limit, exceeded by one: what the peer sees, and that others are served on.

use std::time::Duration;

use forerun::door::body::READ_BYTES;
use forerun::door::limits::{BUFFERED_LEAST, PIECE_LENGTH_MAX};
use forerun::http2::connection::{
    CONTINUATIONS_MAX, HEADER_BYTES_MAX, LOCAL_RESETS_MAX, PREFACE_WAIT_MAX, RESETS_MAX, STALL_MAX,
    UNSEEN_RESETS_MAX,
};
use forerun::metrics::Count;
use forerun::{answer, http1};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_rustls::client::TlsStream;

use crate::client::{Ask, Reading, Response};
use crate::fixture::style_sheets;
use crate::raw::{
    CONTINUATION, ENHANCE_YOUR_CALM, GET, GET_LARGE, HEADED, Heard, POST, REFUSED_STREAM, Raw,
    WHOLE, field, one, request, status,
};
use crate::tap::Frame;
use crate::world::World;

const SITE: &str = "
    //- /index.html
    <!doctype html><p>Hello
    //- /large.png size=2000000
";

const INITIAL_WINDOW_SIZE: u16 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
const SECOND: Duration = Duration::from_secs(1);

fn reset(stream: u32) -> Vec<u8> {
    Frame::bytes(Frame::RST_STREAM, 0, stream, &8_u32.to_be_bytes())
}

#[tokio::test(start_paused = true)]
async fn one_stream_more_than_may_be_open_is_refused() {
    let mut world = World::new(SITE).limits(|limits| limits.streams = 2);
    let mut raw = Raw::open(&mut world, &[(INITIAL_WINDOW_SIZE, 0)]).await;
    let settings = raw.hear(&world, SECOND).await;
    let told = &one(&settings[..1], Frame::SETTINGS, 0).payload;
    assert!(
        told.chunks(6).any(|pair| pair == [0, 3, 0, 0, 0, 2]),
        "it is told: {told:?}"
    );
    for stream in [1, 3] {
        raw.say(&world, &request(stream, GET_LARGE)).await;
        assert_eq!(status(&raw.hear(&world, SECOND).await, stream), Some(200));
    }
    raw.say(&world, &request(5, GET_LARGE)).await;
    let heard = raw.hear(&world, SECOND).await;
    assert_eq!(one(&heard, Frame::RST_STREAM, 5).code(), REFUSED_STREAM);
    raw.say(&world, &[reset(1), request(7, GET)].concat()).await;
    let heard = raw.hear(&world, SECOND).await;
    assert!(
        heard
            .iter()
            .any(|frame| (frame.kind, frame.stream) == (Frame::HEADERS, 7))
    );
}

/// What the four pseudo-header fields of [`GET`] count (RFC 9113 section 6.5.2).
const GET_COUNTS: usize = (7 + 3) + (5 + 1) + (7 + 5) + (10 + 9) + 4 * 32;

#[tokio::test(start_paused = true)]
async fn a_byte_of_header_too_many_is_answered_431() {
    let mut world = World::new(SITE);
    let refused = Count::Answered(
        http::Version::HTTP_2,
        http::StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
    );
    // h2 takes less than what it announces, never as much.
    let most = HEADER_BYTES_MAX as usize - 1 - GET_COUNTS - 32 - "x".len();
    for (length, expected, counted) in [(most, 200, 0), (most + 1, 431, 1)] {
        let mut raw = Raw::open(&mut world, &[]).await;
        let block = [GET, &field("x", &"v".repeat(length))].concat();
        raw.say(&world, &request(1, &block)).await;
        let heard = raw.hear(&world, SECOND).await;
        assert_eq!(status(&heard, 1), Some(expected), "{length}: {heard:?}");
        // Said again, its status is in a table.
        raw.say(&world, &request(3, &block)).await;
        raw.hear(&world, SECOND).await;
        assert_eq!(world.metrics().total(refused), 2 * counted, "{length}");
    }
    let log = world.log();
    assert_eq!(log.len(), 4, "{log:?}");
    assert!(log[2..].iter().all(|line| line.contains("431")), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn a_field_too_many_is_answered_431() {
    let mut world = World::new(SITE);
    let most = (HEADER_BYTES_MAX as usize - 1 - GET_COUNTS) / (32 + "x".len());
    for (count, expected) in [(most, 200), (most + 1, 431)] {
        let mut raw = Raw::open(&mut world, &[]).await;
        let block = [GET, &field("x", "").repeat(count)].concat();
        raw.say(&world, &request(1, &block)).await;
        assert_eq!(
            status(&raw.hear(&world, SECOND).await, 1),
            Some(expected),
            "{count}"
        );
    }
    for (count, expected) in [(http1::HEADER_FIELDS_MAX - 2, "200"), (101, "431")] {
        let fields = "x: y\r\n".repeat(count);
        let host = "Host: localhost\r\nConnection: close\r\n";
        let said = world
            .say(&format!("GET / HTTP/1.1\r\n{host}{fields}\r\n"))
            .await;
        assert!(
            said.starts_with(&format!("HTTP/1.1 {expected}")),
            "{count}: {said}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_answered_without_it() {
    let mut world = World::new(SITE);
    let mut raw = Raw::open(&mut world, &[]).await;
    let post = Frame::bytes(Frame::HEADERS, HEADED, 1, POST);
    raw.say(
        &world,
        &[post, Frame::bytes(Frame::DATA, 0, 1, b"x")].concat(),
    )
    .await;
    let started = Instant::now();
    let heard = raw.hear(&world, Duration::from_millis(1_100)).await;
    assert_eq!(status(&heard, 1), Some(405), "{heard:?}");
    assert!(started.elapsed() < 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_is_let_go_when_its_time_is_over() {
    let mut world = World::new(SITE);
    let mut raw = Raw::silent(&mut world).await;
    assert!(!raw.is_over());
    raw.hear(&world, PREFACE_WAIT_MAX.saturating_sub(SECOND))
        .await;
    assert!(!raw.is_over());
    raw.hear(&world, 2 * SECOND).await;
    assert!(raw.is_over());
}

#[tokio::test(start_paused = true)]
async fn a_header_that_takes_too_long_ends_its_connection() {
    let mut world = World::new(SITE);
    let started = Instant::now();
    let mut stream = world.greet("http/1.1").await.stream;
    let mut said = Vec::new();
    let conversation = async {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: loc").await?;
        stream.flush().await?;
        // It is cut off, without a farewell of TLS.
        let _ = stream.read_to_end(&mut said).await;
        std::io::Result::Ok(())
    };
    world.wait(conversation).await;
    let waited = started.elapsed();
    assert!(said.is_empty(), "{said:?}");
    assert!((http1::HEADER_WAIT_MAX..http1::HEADER_WAIT_MAX + SECOND).contains(&waited));
}

#[tokio::test(start_paused = true)]
async fn without_requests_a_connection_ends_when_it_is_told_to() {
    let mut world = World::new(SITE).limits(|limits| limits.idle = 40 * SECOND);
    world.get("/").await;
    world.rest(39 * SECOND).await;
    assert_eq!(world.get("/").await.status(), 200);
    let started = Instant::now();
    world.closed(Duration::from_mins(3)).await;
    assert!(started.elapsed() >= 40 * SECOND, "{:?}", started.elapsed());
    let greeted = world.greet("http/1.1").await;
    let (mut stream, mut nothing) = (greeted.stream, Vec::new());
    let started = Instant::now();
    let _ = world
        .wait(async { Ok::<_, ()>(stream.read_to_end(&mut nothing).await) })
        .await;
    assert!(started.elapsed() <= 41 * SECOND, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn who_takes_nothing_is_let_go_when_its_time_is_over() {
    let mut world = World::new(SITE).client(|client| client.stream_window = 1_000);
    let stuck = world
        .start(Ask::get("/large.png").reading(Reading::Nothing))
        .await;
    world.rest(STALL_MAX.saturating_sub(SECOND)).await;
    assert_eq!(
        world
            .metrics()
            .total(Count::BodyBytes(http::Version::HTTP_2)),
        1_000
    );
    assert!(!stuck.is_finished());
    world.closed(STALL_MAX + 2 * SECOND).await;
    stuck.abort();
}

/// More often than any limit on time.
const PING_EVERY: Duration = Duration::from_secs(50);

/// Sends a PING every now and then until the server closes. Returns how long that took.
async fn ping_to_the_end(raw: &mut Raw, world: &World) -> Duration {
    let started = Instant::now();
    while !raw.is_over() && started.elapsed() < Duration::from_hours(1) {
        raw.say(world, &Frame::bytes(PING, 0, 0, &[7; 8])).await;
        raw.hear(world, PING_EVERY).await;
    }
    started.elapsed()
}

#[tokio::test(start_paused = true)]
async fn who_takes_nothing_and_pings_is_let_go_all_the_same() {
    let mut world = World::new(SITE);
    let mut raw = Raw::open(&mut world, &[(INITIAL_WINDOW_SIZE, 0)]).await;
    raw.say(&world, &request(1, GET_LARGE)).await;
    assert_eq!(status(&raw.hear(&world, SECOND).await, 1), Some(200));
    let waited = ping_to_the_end(&mut raw, &world).await;
    assert!(waited <= 2 * STALL_MAX + PING_EVERY, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn who_asks_nothing_and_pings_is_let_go_all_the_same() {
    let idle = Duration::from_mins(3);
    let mut world = World::new(SITE).limits(|limits| limits.idle = idle);
    let mut raw = Raw::open(&mut world, &[]).await;
    let waited = ping_to_the_end(&mut raw, &world).await;
    assert!(
        (idle..=idle + 2 * STALL_MAX + PING_EVERY).contains(&waited),
        "{waited:?}"
    );
}

/// A site whose large file is read from disk a piece at a time.
fn streamed() -> World {
    World::new(SITE)
        .site(|site| site.memory_file_bytes_max = 1_000)
        .client(|client| client.stream_window = 20_000)
}

/// What a body that was read from disk leaves lying when its peer's window is full, at most.
const LEFT: u64 = PIECE_LENGTH_MAX as u64 - 20_000;
/// So few bodies that each may keep that.
const FEW: u64 = 7;

async fn stick(world: &mut World, count: u64) -> Vec<JoinHandle<Response>> {
    let mut stuck = Vec::new();
    for _ in 0..count {
        let ask = Ask::get("/large.png").reading(Reading::Nothing);
        stuck.push(world.start(ask).await);
    }
    world.rest_ms(5_000).await;
    stuck
}

#[tokio::test(start_paused = true)]
async fn what_is_held_for_a_connection_is_bounded() {
    let mut world = streamed();
    // One after another: a frame is as long as its turn allows.
    let mut stuck = Vec::new();
    for _ in 0..FEW {
        stuck.extend(stick(&mut world, 1).await);
    }
    let held = world.buffered_bytes();
    // A piece is as long as whole frames are.
    let least = FEW * (LEFT - 512);
    assert!((least..=FEW * LEFT).contains(&held), "{held} bytes");
    stuck.extend(stick(&mut world, 120 - FEW).await);
    let sent = world
        .metrics()
        .total(Count::BodyBytes(http::Version::HTTP_2));
    assert_eq!(sent, 120 * 20_000, "each has begun");
    let held = world.buffered_bytes();
    assert!(held <= READ_BYTES, "{held} bytes are held for one peer");
    stuck.iter().for_each(JoinHandle::abort);
    world.leave();
    world.closed(Duration::from_mins(3)).await;
    assert_eq!(
        world.buffered_bytes(),
        0,
        "nothing is held for who has left"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_held_for_all_is_bounded_and_others_are_served() {
    // Room for two that leave so much, and not for a third.
    const ALL: u64 = FEW * LEFT * 5 / 2;
    let mut world = streamed().limits(|limits| limits.buffered_bytes = ALL);
    let mut stuck = Vec::new();
    for _ in 0..8 {
        world.reconnect().await;
        stuck.extend(stick(&mut world, FEW).await);
        assert!(
            world.buffered_bytes() <= ALL,
            "{} bytes held",
            world.buffered_bytes()
        );
    }
    let closed = world.metrics().total(Count::Overcommitted);
    assert_eq!(closed, 6, "who comes when there is no room leaves nothing");
    world.reconnect().await;
    assert_eq!(world.get("/").await.status(), 200);
    stuck.iter().for_each(JoinHandle::abort);
}

#[tokio::test(start_paused = true)]
async fn a_page_promises_so_much_and_no_more() {
    let most = answer::preload::PROMISES_MAX;
    let mut world = World::new(&style_sheets(most + 1, 100));
    assert_eq!(world.get("/").await.promised().len(), most);
    assert_eq!(world.metrics().total(Count::Promised), most as u64);
    assert_eq!(world.metrics().total(Count::Delivered), most as u64);
}

/// Asks for the large file over HTTP/1.1, and reads nothing.
async fn stick_http1(world: &mut World) -> (TlsStream<DuplexStream>, JoinHandle<()>) {
    let (mut stream, server) = world.pipe("http/1.1").await;
    let asking = async {
        let ask = b"GET /large.png HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(ask).await?;
        stream.flush().await
    };
    world.wait(asking).await;
    world.rest_ms(100).await;
    (stream, server)
}

#[tokio::test(start_paused = true)]
async fn who_reads_nothing_over_http1_is_let_go_when_its_time_is_over() {
    let mut world = World::new(SITE);
    let (_stream, server) = stick_http1(&mut world).await;
    world.rest(http1::STALL_MAX.saturating_sub(SECOND)).await;
    assert!(!server.is_finished());
    world.rest(http1::STALL_MAX + 2 * SECOND).await;
    assert!(server.is_finished());
    assert_eq!(world.buffered_bytes(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_reads_slowly_over_http1_gets_all_of_it() {
    let mut world = streamed();
    let (mut stream, server) = stick_http1(&mut world).await;
    let started = Instant::now();
    let mut read = 0;
    let reading = async {
        let mut piece = vec![0; 4_000];
        while read < 2_000_000 {
            read += stream.read(&mut piece).await?;
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        std::io::Result::Ok(())
    };
    world.wait(reading).await;
    assert!(started.elapsed() > 2 * http1::STALL_MAX);
    assert!(!server.is_finished());
    world.rest(SECOND).await;
    assert_eq!(world.buffered_bytes(), 0, "all of it has left");
}

#[tokio::test(start_paused = true)]
async fn what_is_held_over_http1_is_counted_and_bounded() {
    const ALL: u64 = 2 << 20;
    const CONNECTIONS: u64 = 80;
    let mut world = streamed().limits(|limits| limits.buffered_bytes = ALL);
    let mut stuck = vec![stick_http1(&mut world).await];
    let held = world.buffered_bytes();
    // hyper holds a piece at least, and TLS what it has sealed.
    let pieces = 2 * PIECE_LENGTH_MAX as u64;
    assert!((pieces / 2..=2 * pieces).contains(&held), "{held} bytes");
    for count in 1..CONNECTIONS {
        stuck.push(stick_http1(&mut world).await);
        let held = world.buffered_bytes();
        // Who came before is looked at every now and then.
        let most = ALL + pieces + count * BUFFERED_LEAST;
        assert!(held <= most, "{held} bytes are held for {count}");
    }
    world.rest(31 * SECOND).await;
    let held = world.buffered_bytes();
    assert!((ALL / 4..=ALL).contains(&held), "{held} bytes are held");
    let closed = world.metrics().total(Count::Overcommitted);
    assert!((1..CONNECTIONS).contains(&closed), "{closed} were closed");
    assert_eq!(world.get("/").await.status(), 200);
    drop(stuck);
    world.rest(SECOND).await;
    assert_eq!(
        world.buffered_bytes(),
        0,
        "nothing is held for who has left"
    );
}

/// Requests that are reset at once, while what they ask for is looked up: h2 counts only streams.
#[tokio::test(start_paused = true)]
async fn a_look_up_too_many_is_told_to_calm_down() {
    let mut world = World::new(SITE).limits(|limits| limits.streams = 2);
    let mut raw = Raw::open(&mut world, &[]).await;
    raw.hear(&world, SECOND).await;
    let flight = [1, 3].map(|stream| [request(stream, GET_LARGE), reset(stream)].concat());
    raw.say(&world, &[flight.concat(), request(5, GET)].concat())
        .await;
    let heard = raw.hear(&world, SECOND).await;
    assert_eq!(one(&heard, Frame::RST_STREAM, 5).code(), ENHANCE_YOUR_CALM);
    raw.say(&world, &request(7, GET)).await;
    assert_eq!(status(&raw.hear(&world, SECOND).await, 7), Some(200));
}

/// CVE-2024-27316: a header in pieces.
#[tokio::test(start_paused = true)]
async fn a_continuation_too_many_ends_the_connection() {
    let mut world = World::new(SITE);
    for (more, is_answered) in [(CONTINUATIONS_MAX, true), (CONTINUATIONS_MAX + 1, false)] {
        let mut raw = Raw::open(&mut world, &[]).await;
        let mut header = Frame::bytes(Frame::HEADERS, WHOLE & !HEADED, 1, GET);
        for _ in 0..more {
            header.extend(Frame::bytes(CONTINUATION, 0, 1, &[]));
        }
        header.extend(Frame::bytes(CONTINUATION, HEADED, 1, &[]));
        raw.say(&world, &header).await;
        let heard = raw.hear(&world, SECOND).await;
        if is_answered {
            assert_eq!(status(&heard, 1), Some(200), "{heard:?}");
        } else {
            assert_eq!(one(&heard, Frame::GOAWAY, 0).code(), ENHANCE_YOUR_CALM);
        }
    }
}

/// CVE-2025-8671: streams that the server is made to reset.
#[tokio::test(start_paused = true)]
async fn an_error_of_a_stream_too_many_ends_the_connection() {
    let mut world = World::new(SITE);
    let mut raw = Raw::open(&mut world, &[]).await;
    let errors = |streams: std::ops::Range<usize>| -> Vec<u8> {
        let error = |index: usize| {
            let stream = u32::try_from(1 + 2 * index).unwrap();
            let post = Frame::bytes(Frame::HEADERS, HEADED, stream, POST);
            let overflow = Frame::bytes(WINDOW_UPDATE, 0, stream, &[0x7f, 255, 255, 255]);
            [post, overflow].concat()
        };
        streams.flat_map(error).collect()
    };
    let ends = |heard: &[Heard]| heard.iter().any(|frame| frame.kind == Frame::GOAWAY);
    for first in (0..LOCAL_RESETS_MAX).step_by(16) {
        raw.say(&world, &errors(first..first + 16)).await;
        let heard = raw.hear(&world, Duration::from_millis(1)).await;
        assert!(!ends(&heard), "{first}: so many are let pass");
    }
    raw.say(&world, &errors(LOCAL_RESETS_MAX..LOCAL_RESETS_MAX + 1))
        .await;
    let heard = raw.hear(&world, SECOND).await;
    assert_eq!(one(&heard, Frame::GOAWAY, 0).code(), ENHANCE_YOUR_CALM);
}

/// CVE-2023-44487, in one breath: nobody has looked at the streams yet.
#[tokio::test(start_paused = true)]
async fn an_unseen_reset_too_many_ends_the_connection() {
    let mut world = World::new(SITE);
    for (count, ends) in [(UNSEEN_RESETS_MAX, false), (UNSEEN_RESETS_MAX + 1, true)] {
        let mut raw = Raw::open(&mut world, &[]).await;
        raw.hear(&world, SECOND).await;
        let both = |index: usize| {
            let stream = u32::try_from(1 + 2 * index).unwrap();
            [request(stream, GET), reset(stream)].concat()
        };
        let flight: Vec<u8> = (0..count).flat_map(both).collect();
        raw.say(&world, &flight).await;
        let heard = raw.hear(&world, SECOND).await;
        let goaway = heard.iter().find(|frame| frame.kind == Frame::GOAWAY);
        assert_eq!(
            goaway.map(Heard::code),
            ends.then_some(ENHANCE_YOUR_CALM),
            "{count}"
        );
    }
}

/// h2 is given a few requests at a time: the rest of a flight waits for no further byte of it.
#[tokio::test(start_paused = true)]
async fn a_flight_of_requests_is_answered_whole_wherever_it_ends() {
    let mut world = World::new(SITE);
    for count in 1..=20 {
        let mut raw = Raw::open(&mut world, &[]).await;
        raw.hear(&world, SECOND).await;
        let streams = (0..count).map(|index| 1 + 2 * index);
        let flight: Vec<u8> = streams
            .clone()
            .flat_map(|stream| request(stream, GET))
            .collect();
        // Also in the midst of the last frame.
        let (first, rest) = flight.split_at(flight.len() - 5);
        raw.say(&world, if count % 2 == 0 { &flight } else { first })
            .await;
        let mut heard = raw.hear(&world, SECOND).await;
        if count % 2 == 1 {
            raw.say(&world, rest).await;
            heard.extend(raw.hear(&world, SECOND).await);
        }
        for stream in streams {
            assert_eq!(status(&heard, stream), Some(200), "{stream} of {count}");
        }
        let another = 1 + 2 * count;
        raw.say(&world, &request(another, GET)).await;
        let answered = status(&raw.hear(&world, SECOND).await, another);
        assert_eq!(answered, Some(200), "after {count}");
    }
}

/// CVE-2023-44487, slowly: each request is answered before it is taken back, so that only their
/// number tells.
#[tokio::test(start_paused = true)]
async fn a_reset_too_many_ends_the_connection() {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is small"
    )]
    const RESETS: u32 = RESETS_MAX as u32;
    let mut world = World::new(SITE);
    let mut raw = Raw::open(&mut world, &[(INITIAL_WINDOW_SIZE, 0)]).await;
    raw.say(&world, &request(1, GET_LARGE)).await;
    // Not so long that the file is looked up again: it could be taken back before.
    raw.hear(&world, Duration::from_millis(1)).await;
    for index in 1..=RESETS {
        let stream = 1 + 2 * index;
        raw.say(&world, &request(stream, GET_LARGE)).await;
        raw.say(&world, &reset(stream)).await;
        world.wait(tokio::task::yield_now()).await;
    }
    let heard = raw.hear(&world, Duration::from_millis(1)).await;
    assert!(
        !heard.iter().any(|frame| frame.kind == Frame::GOAWAY),
        "so many are let pass"
    );
    let last = 3 + 2 * RESETS;
    raw.say(&world, &[request(last, GET_LARGE), reset(last)].concat())
        .await;
    let heard = raw.hear(&world, SECOND).await;
    assert_eq!(one(&heard, Frame::GOAWAY, 0).code(), ENHANCE_YOUR_CALM);
    assert!(raw.is_closed());
    assert_eq!(world.get("/").await.status(), 200);
}

/// The same in one breath: what is taken back counts before the next are answered.
#[tokio::test(start_paused = true)]
async fn resets_in_one_breath_end_the_connection_before_all_is_answered() {
    const ROUNDS: u32 = 1_000;
    let mut world = World::new(SITE).pipe_bytes(1 << 20);
    let mut raw = Raw::open(&mut world, &[]).await;
    raw.hear(&world, SECOND).await;
    let asking = [b"\x42\x04HEAD", &GET[1..]].concat();
    let mut flood = Vec::new();
    for round in 0..ROUNDS {
        let streams = (0..4).map(|index| 1 + 2 * (4 * round + index));
        flood.extend(streams.clone().flat_map(|stream| request(stream, &asking)));
        flood.extend(streams.flat_map(reset));
    }
    // What is known to be on disk is answered at once.
    world.get("/").await;
    raw.say(&world, &flood).await;
    let heard = raw.hear(&world, SECOND).await;
    assert_eq!(one(&heard, Frame::GOAWAY, 0).code(), ENHANCE_YOUR_CALM);
    assert!(raw.is_closed());
    let ok = Count::Answered(http::Version::HTTP_2, http::StatusCode::OK);
    let answers = world.metrics().total(ok);
    assert!(answers < 1_100, "{answers} of {} are answered", 4 * ROUNDS);
}
