//! Events on their way to be published: what is held of them, how long, and from whom.

use std::time::Duration;

use bytes::Bytes;
use forerun::door::channels::rates::Rate;
use forerun::{http1, http2};
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, Request, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use crate::channels::{RATE, post, publish, token, world_of};
use crate::world::World;

const TARGET: &str = "/channels/demo/a";
const MAX: usize = 100_000;

/// Opens a connection over HTTP/2.
async fn connected(world: &mut World) -> SendRequest<Bytes> {
    let stream = world.greet("h2").await.stream;
    let handshake = h2::client::handshake(stream);
    let (sender, connection) = world.wait(handshake).await;
    world.spawn(async move {
        let _ = connection.await;
    });
    world.rest_ms(1).await;
    sender
}

/// Begins to publish over HTTP/2: the head is sent, and the body is still to come.
async fn begun(
    world: &World,
    sender: &SendRequest<Bytes>,
    target: &str,
) -> (ResponseFuture, SendStream<Bytes>) {
    let request = Request::post(format!("https://localhost{target}"))
        .header("authorization", token(&["*"], &[], 3600))
        .header("content-type", "text/plain")
        .body(())
        .unwrap();
    let mut sender = world.wait(sender.clone().ready()).await;
    sender.send_request(request, false).unwrap()
}

fn status<T>(response: &Response<T>) -> u16 {
    response.status().as_u16()
}

/// Publishes over HTTP/1.1, with a head that promises a body of this length and one of another.
async fn over_http1(world: &mut World, length: usize, body: &str) -> (u16, String) {
    let mut stream = world.greet("http/1.1").await.stream;
    let authorization = token(&["*"], &[], 3600);
    let said = format!(
        "POST {TARGET} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {authorization}\r\n\
         Content-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    let answer = world
        .wait(async {
            stream.write_all(said.as_bytes()).await?;
            stream.flush().await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            Ok::<_, std::io::Error>(answer)
        })
        .await;
    let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer)
}

fn limited(rate: Rate) -> World {
    let (world, _hub) = world_of(rate, |_| {});
    world.limits(|limits| limits.buffered_bytes = MAX as u64)
}

#[tokio::test(start_paused = true)]
async fn what_has_come_of_an_event_counts_among_what_is_held() {
    let mut world = limited(RATE);
    let sender = connected(&mut world).await;
    let half = Bytes::from(vec![b'x'; MAX / 2]);
    for (more, expected) in [(0, 200), (1, 503), (0, 200)] {
        let (response, mut body) = begun(&world, &sender, TARGET).await;
        let (other, mut other_body) = begun(&world, &sender, "/channels/demo/b").await;
        body.send_data(half.clone(), false).unwrap();
        world.rest_ms(100).await;
        assert_eq!(world.buffered_bytes(), half.len() as u64);
        // All bodies of a connection are one share.
        other_body.send_data(half.slice(..more), false).unwrap();
        world.rest_ms(100).await;
        body.send_data(half.clone(), true).unwrap();
        let answer = world.wait(response).await;
        assert_eq!(status(&answer), expected, "{more}");
        if expected == 503 {
            assert_eq!(answer.headers()["retry-after"], "1");
        }
        assert_eq!(world.buffered_bytes(), more as u64, "it is answered");
        other_body.send_data(Bytes::new(), true).unwrap();
        assert_eq!(status(&world.wait(other).await), 200);
        world.rest_ms(1).await;
        assert_eq!(world.buffered_bytes(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn one_byte_more_than_may_be_held_is_one_too_many_over_http1() {
    for (length, expected) in [(MAX, 200), (MAX + 1, 503)] {
        let mut world = limited(RATE);
        let (status, answer) = over_http1(&mut world, length, &"x".repeat(length)).await;
        assert_eq!(status, expected, "{answer}");
        world.rest_ms(1).await;
        assert_eq!(world.buffered_bytes(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_published_too_much_is_told_before_the_body_comes() {
    let once = Rate {
        events: 1,
        bytes: 1 << 20,
    };
    let mut world = limited(once);
    publish(&mut world, TARGET, "1").await;
    publish(&mut world, TARGET, "2").await;
    let start = Instant::now();
    // Nothing comes after the head, and nothing is waited for.
    let (status_h1, answer) = over_http1(&mut world, 10, "").await;
    assert_eq!(status_h1, 429);
    assert!(answer.contains("retry-after: 1\r\n"), "{answer}");
    let sender = connected(&mut world).await;
    let (response, mut body) = begun(&world, &sender, TARGET).await;
    assert_eq!(status(&world.wait(response).await), 429);
    let waited = start.elapsed();
    assert!(waited < 2 * http2::UNWANTED_WAIT_MAX, "{waited:?}");
    body.send_trailers(HeaderMap::new()).ok();
}

#[tokio::test(start_paused = true)]
async fn one_byte_more_than_may_be_published_is_owed() {
    // What may come at once is twice what may come in a second.
    let few = Rate {
        events: 1000,
        bytes: 50,
    };
    for (bytes, left) in [("x".repeat(99), true), ("x".repeat(100), false)] {
        for declares in [false, true] {
            let (mut world, _hub) = world_of(few, |_| {});
            if declares {
                let (status, _) = over_http1(&mut world, bytes.len(), &bytes).await;
                assert_eq!(status, 200);
            } else {
                let sender = connected(&mut world).await;
                let (response, mut body) = begun(&world, &sender, TARGET).await;
                body.send_data(bytes.clone().into(), true).unwrap();
                assert_eq!(status(&world.wait(response).await), 200);
            }
            let expected = if left { 200 } else { 429 };
            let answer = world.ask(post(TARGET, "")).await;
            assert_eq!(answer.status(), expected, "{} bytes", bytes.len());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_came_of_an_event_that_never_ended_is_owed() {
    let few = Rate {
        events: 1000,
        bytes: 50,
    };
    let (mut world, _hub) = world_of(few, |_| {});
    let sender = connected(&mut world).await;
    let (response, mut body) = begun(&world, &sender, TARGET).await;
    body.send_data(vec![b'x'; 1000].into(), false).unwrap();
    world.rest(http2::WANTED_WAIT_MAX).await;
    assert_eq!(status(&world.wait(response).await), 408);
    assert_eq!(world.ask(post(TARGET, "")).await.status(), 429);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_stalls_on_its_way_is_waited_for_as_long_as_is_said() {
    const MOMENT: Duration = Duration::from_millis(100);
    let (mut world, hub) = world_of(RATE, |_| {});
    let sender = connected(&mut world).await;
    for (wait, expected) in [
        (http2::WANTED_WAIT_MAX.saturating_sub(MOMENT), 200),
        (http2::WANTED_WAIT_MAX + MOMENT, 408),
    ] {
        let before = hub.cursor();
        let (response, mut body) = begun(&world, &sender, TARGET).await;
        body.send_data(Bytes::from_static(b"x"), false).unwrap();
        world.rest(wait).await;
        // It may have been answered, and the stream be gone.
        let _ = body.send_data(Bytes::from_static(b"y"), true);
        assert_eq!(status(&world.wait(response).await), expected);
        assert_eq!(hub.cursor() != before, expected == 200);
    }
    let start = Instant::now();
    assert_eq!(over_http1(&mut world, 2, "x").await.0, 408);
    let waited = start.elapsed();
    assert!(waited >= http1::BODY_WAIT_MAX && waited < http1::BODY_WAIT_MAX + MOMENT * 9);
    assert_eq!(over_http1(&mut world, 2, "xy").await.0, 200);
}
