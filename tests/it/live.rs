//! Live reload's URLs at both doors: events flow, pages tell, and nobody else is served.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use forerun::answer::Policy;
use forerun::answer::live::{self, Heard, TOLD_BYTES_MAX, Told};
use forerun::door::live::{Live, TOLD_WAITING_MAX};
use forerun::hub::sse::HEARTBEAT;
use forerun::hub::{EventId, Hub, Limits};
use forerun::measure::link::LinkOptions;
use forerun::site::UrlPath;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;

use crate::client::{Ask, Reading};
use crate::tap::{Frame, Sender};
use crate::world::{Connection, World, slow};

const SITE: &str = "
    //- /index.html
    <!doctype html><link rel=stylesheet href=/a.css><p>Hello
    //- /a.css
    p { color: red }
    //- /large.png size=5000000
";

const EVENTS: &str = "/.forerun/events?cursor=1.0";
const ORIGIN: (&str, &str) = ("origin", "https://localhost");

/// Returns a world with live reload, its hub, and what pages tell.
fn world() -> (World, Arc<Hub>, Receiver<Heard>) {
    let hub = Arc::new(Hub::new(1, Limits::default()));
    let (live, heard) = Live::new(
        live::Live {
            hub: Arc::clone(&hub),
            script: Bytes::from_static(b"'use strict';"),
            script_hash: "abc".to_owned(),
        },
        true,
    );
    let live = live.answering_to(vec!["laptop.example".to_owned(), "fd00::2".to_owned()]);
    (World::new(SITE).live(live), hub, heard)
}

fn is_said(frame: &Frame) -> bool {
    frame.kind == Frame::DATA && frame.sender == Sender::Server
}

/// Returns what the server has said on a stream so far.
fn said(connection: &Connection, stream: u32) -> String {
    let frames = connection.frames.all();
    let frames = frames.iter().filter(|frame| is_said(frame));
    let payloads = frames.filter(|frame| frame.stream == stream);
    let bytes: Vec<u8> = payloads.flat_map(|frame| frame.payload.clone()).collect();
    String::from_utf8(bytes).unwrap()
}

/// Returns what has been said on the stream of events.
fn told(world: &World) -> String {
    let connection = world.newest();
    said(connection, connection.streams.of(EVENTS))
}

fn has_ended(world: &World) -> bool {
    let id = world.newest().streams.of(EVENTS);
    let frames = world.frames();
    frames
        .iter()
        .any(|frame| frame.stream == id && is_said(frame) && frame.ends_stream())
}

#[tokio::test(start_paused = true)]
async fn events_overtake_a_large_body() {
    let (world, hub, _heard) = world();
    let mut world = world.link(slow(10, 25));
    world.warm(&["/large.png"]).await;
    world.reconnect().await;
    drop(world.start(EVENTS).await);
    let large = world.start("/large.png").await;
    world.rest_ms(1000).await;
    for number in 1..=3 {
        let published = Instant::now();
        let id = hub.publish("change", format!("{{\"n\":{number}}}"));
        world.rest_ms(500).await;
        let expected = format!("id: {id}\nevent: change\ndata: {{\"n\":{number}}}\n\n");
        assert!(told(&world).ends_with(&expected), "{}", told(&world));
        let stream = world.newest().streams.of(EVENTS);
        let frames = world.frames();
        let arrived = frames
            .iter()
            .rfind(|frame| frame.stream == stream && is_said(frame))
            .unwrap()
            .at;
        // 25 ms of way, and what was on the link before it.
        let took = arrived - published;
        assert!(took < Duration::from_millis(150), "{took:?}");
    }
    assert_eq!(world.wait(large).await.answer().body.len(), 5_000_000);
}

#[tokio::test(start_paused = true)]
async fn a_reader_comes_back_and_misses_nothing() {
    let (mut world, hub, _heard) = world();
    hub.publish("change", "one".to_owned());
    drop(world.start(EVENTS).await);
    world.rest_ms(1).await;
    hub.publish("change", "two".to_owned());
    world.rest_ms(1).await;
    insta::assert_snapshot!(told(&world), @r"
    retry: 1000
    id: 1.0

    id: 1.1
    event: change
    data: one

    id: 1.2
    event: change
    data: two
    ");
    world.leave();
    world.rest_ms(1).await;
    hub.publish("change", "three".to_owned());
    world.reconnect().await;
    drop(
        world
            .start(Ask::get(EVENTS).header("last-event-id", "1.2"))
            .await,
    );
    world.rest_ms(1).await;
    assert!(!told(&world).contains("two") && told(&world).contains("three"));
    world.reconnect().await;
    drop(
        world
            .start(Ask::get(EVENTS).header("last-event-id", "0.2"))
            .await,
    );
    world.rest_ms(1).await;
    assert!(told(&world).contains("event: hub-gap"));
}

#[tokio::test(start_paused = true)]
async fn a_drain_ends_streams_at_once_and_says_when_to_come_again() {
    let (world, hub, _heard) = world();
    let mut world = world.link(slow(10, 25));
    let events = world.start(EVENTS).await;
    world.rest_ms(200).await;
    hub.publish("change", "last".to_owned());
    world.drain();
    let response = world.wait(events).await;
    let (rest, farewell) = response.text().trim_end().rsplit_once("\n\n").unwrap();
    assert!(rest.ends_with("data: last"), "{rest}");
    let (id, retry) = farewell.split_once("\nretry: ").unwrap();
    assert!(rest.contains(id), "where it was: {id}");
    let retry: u64 = retry.parse().unwrap();
    assert!((100..1000).contains(&retry));
    world.closed(Duration::from_secs(1)).await;
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_hub_ends_streams() {
    let (mut world, hub, _heard) = world();
    let events = world.start(EVENTS).await;
    world.rest_ms(1).await;
    hub.close();
    assert!(world.wait(events).await.text().contains("retry: "));
    assert_eq!(world.get("/a.css").await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_nothing_holds_up_nobody() {
    let (world, hub, _heard) = world();
    let mut world = world.client(|client| client.stream_window = 1000);
    drop(
        world
            .start(Ask::get(EVENTS).reading(Reading::Nothing))
            .await,
    );
    world.rest_ms(1).await;
    for _ in 0..100 {
        hub.publish("change", "x".repeat(5_000));
    }
    world.rest_ms(1).await;
    assert_eq!(told(&world).len(), 1000);
    assert_eq!(world.get("/large.png").await.answer().body.len(), 5_000_000);
    // It is given up neither by patience, nor by a drain that would wait for it.
    world.rest(Duration::from_mins(30)).await;
    assert_eq!(world.get("/a.css").await.status(), 200);
    assert!(!has_ended(&world));
    world.drain();
    world.closed(Duration::from_secs(1)).await;
    assert!(has_ended(&world));
    assert_eq!(told(&world).len(), 1000);
}

#[tokio::test(start_paused = true)]
async fn silence_is_filled_and_nobody_is_sent_away_for_it() {
    let (mut world, hub, _heard) = world();
    drop(world.start(EVENTS).await);
    world.rest(Duration::from_mins(30)).await;
    world.rest_ms(1).await;
    let beats = told(&world).matches("id: 1.0\n\n").count() as u64;
    assert_eq!(beats, 1 + 30 * 60 / HEARTBEAT.as_secs());
    hub.publish("change", "after all".to_owned());
    world.rest_ms(1).await;
    assert!(told(&world).ends_with("data: after all\n\n"));
    // Without the stream the connection is idle like any other.
    world.reset(EVENTS, h2::Reason::CANCEL);
    world.closed(Duration::from_mins(10)).await;
}

#[tokio::test(start_paused = true)]
async fn a_thousand_streams_are_all_told() {
    const CONNECTIONS: usize = 10;
    const STREAMS: usize = 100;
    let (mut world, hub, _heard) = world();
    for _ in 0..CONNECTIONS {
        world.reconnect().await;
        for _ in 0..STREAMS {
            drop(world.start(EVENTS).await);
        }
    }
    world.rest_ms(10).await;
    let id = hub.publish("change", "all".to_owned());
    world.rest_ms(10).await;
    let block = format!("id: {id}\nevent: change\ndata: all\n\n");
    let told = world.connections().iter().map(|connection| {
        let frames = connection.frames.all();
        let told = frames.iter().filter(|frame| is_said(frame));
        told.filter(|frame| frame.payload == block.as_bytes())
            .count()
    });
    assert_eq!(told.sum::<usize>(), CONNECTIONS * STREAMS);
}

#[tokio::test(start_paused = true)]
async fn others_are_told_nothing() {
    let (mut world, _hub, mut heard) = world();
    let body = r#"{"kind":"blocked","text":"x"}"#;
    for (name, value) in [
        ("origin", "https://other.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
    ] {
        let events = world.ask(Ask::get(EVENTS).header(name, value)).await;
        assert_eq!(events.status(), 403, "{name}: {value}");
        let tell = Ask::method("POST", "/.forerun/told").header(name, value);
        let told = world.ask(tell.body(body)).await;
        assert_eq!(told.status(), 403, "{name}: {value}");
        for response in [events, told] {
            assert_eq!(response.header("access-control-allow-origin"), "");
        }
    }
    let rebound = Ask::get(EVENTS).authority("other.example");
    assert_eq!(world.ask(rebound).await.status(), 421);
    assert!(heard.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn an_allowed_host_is_answered_though_no_certificate_names_it() {
    let (mut world, _hub, _heard) = world();
    for (host, status) in [
        ("laptop.example", 200),
        ("Laptop.Example:8443", 200),
        ("[fd00::2]:8443", 200),
        ("sub.laptop.example", 421),
        ("laptop.example.other", 421),
        ("[fd00::3]", 421),
    ] {
        for path in ["/", "/.forerun/live.js"] {
            let asked = world.ask(Ask::get(path).authority(host)).await;
            assert_eq!(asked.status(), status, "{host}{path}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_page_tells_is_heard_within_limits() {
    let (mut world, _hub, mut heard) = world();
    let tell = |body: &str| {
        Ask::method("POST", "/.forerun/told")
            .headers(&[ORIGIN, ("referer", "https://localhost/docs/")])
            .body(String::leak(body.to_owned()))
    };
    let painted = tell(r#"{"kind":"painted","id":"1.4","ms":38}"#);
    let answer = world.ask(painted.clone()).await;
    assert_eq!((answer.status(), answer.text()), (204, ""));
    let expected = Heard {
        page: Some("/docs/".to_owned()),
        told: Told::Painted {
            id: EventId {
                epoch: 1,
                offset: 4,
            },
            took: Duration::from_millis(38),
        },
    };
    assert_eq!(heard.try_recv(), Ok(expected));
    let long = tell(&"x".repeat(TOLD_BYTES_MAX + 1));
    assert_eq!(world.ask(long).await.status(), 413);
    let huge = tell(&"x".repeat(300_000));
    assert_eq!(world.ask(huge).await.status(), 413);
    assert_eq!(world.ask(tell("nonsense")).await.status(), 400);
    // Elsewhere nothing has changed.
    let elsewhere = Ask::method("POST", "/").header(ORIGIN.0, ORIGIN.1);
    assert_eq!(world.ask(elsewhere.body("{}")).await.status(), 405);
    for _ in 0..TOLD_WAITING_MAX + 9 {
        world.ask(painted.clone()).await;
    }
    let waiting = std::iter::from_fn(|| heard.try_recv().ok()).count();
    assert_eq!(waiting, TOLD_WAITING_MAX);
}

#[tokio::test(start_paused = true)]
async fn the_log_is_of_the_site_alone() {
    let (mut world, hub, _heard) = world();
    drop(world.start(EVENTS).await);
    world.get("/.forerun/live.js").await;
    world.get("/.forerun/none").await;
    let telling = Ask::method("POST", "/.forerun/told").header(ORIGIN.0, ORIGIN.1);
    world.ask(telling.body("{}")).await;
    world.get("/a.css").await;
    hub.close();
    world.rest_ms(1).await;
    assert!(has_ended(&world), "{}", told(&world));
    let version = "HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    world.say(&format!("GET /.forerun/live.js {version}")).await;
    world.say(&format!("GET /a.css {version}")).await;
    insta::assert_snapshot!(world.log().join("\n"), @r#"
    "GET /a.css HTTP/2.0" 200 17
    "GET /a.css HTTP/1.1" 200 17
    "#);
}

#[tokio::test(start_paused = true)]
async fn without_live_reload_its_urls_are_like_any_other() {
    let mut world = World::new(SITE);
    for target in ["/.forerun/live.js", EVENTS, "/.forerun/told"] {
        assert_eq!(world.get(target).await.status(), 404, "{target}");
        let post = Ask::method("POST", target).header(ORIGIN.0, ORIGIN.1);
        assert_eq!(world.ask(post.body("{}")).await.status(), 405, "{target}");
    }
}

#[tokio::test(start_paused = true)]
async fn http1_has_streams_too() {
    let (mut world, hub, _heard) = world();
    let mut greeted = world.greet("http/1.1").await;
    let request = format!("GET {EVENTS} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let said = async {
        greeted.stream.write_all(request.as_bytes()).await.unwrap();
        greeted.stream.flush().await.unwrap();
        let mut said = String::new();
        while !said.contains("data: hello\n\n") {
            let mut piece = [0; 1000];
            let length = greeted.stream.read(&mut piece).await.unwrap();
            assert_ne!(length, 0, "it ended: {said}");
            said += std::str::from_utf8(&piece[..length]).unwrap();
        }
        said
    };
    let publish = async {
        tokio::time::sleep(Duration::from_mins(30)).await;
        hub.publish("change", "hello".to_owned());
    };
    let both = async {
        let (said, ()) = tokio::join!(said, publish);
        Ok::<_, ()>(said)
    };
    let said = world.wait(both).await;
    assert!(said.starts_with("HTTP/1.1 200 OK\r\n"), "{said}");
    assert!(said.contains("content-type: text/event-stream\r\n"));
    assert!(said.matches("id: 1.0\n\n").count() > 100);
    world.drain();
    let mut rest = String::new();
    let drained = Instant::now();
    world
        .wait(async { greeted.stream.read_to_string(&mut rest).await })
        .await;
    assert!(
        rest.contains("retry: ") && rest.ends_with("0\r\n\r\n"),
        "{rest}"
    );
    assert!(drained.elapsed() < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn http1_lets_a_reader_go_that_has_gone() {
    let (mut world, _hub, _heard) = world();
    let mut greeted = world.greet("http/1.1").await;
    let request = format!("GET {EVENTS} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    let asked = async {
        greeted.stream.write_all(request.as_bytes()).await?;
        greeted.stream.flush().await?;
        greeted.stream.read_u8().await
    };
    world.wait(asked).await;
    drop(greeted.stream);
    let gone = Instant::now();
    world.wait(greeted.server).await;
    assert!(gone.elapsed() <= 2 * HEARTBEAT);
}

#[tokio::test(start_paused = true)]
async fn http1_hears_too() {
    let (mut world, _hub, mut heard) = world();
    let told = r#"{"kind":"blocked","text":"x"}"#;
    let long = "x".repeat(TOLD_BYTES_MAX + 1);
    for (origin, body, status) in [
        ("https://localhost", told, 204),
        ("https://localhost", "", 400),
        ("https://localhost", &long, 413),
        ("https://other.example", told, 403),
    ] {
        let length = body.len();
        let said = world
            .say(&format!(
                "POST /.forerun/told HTTP/1.1\r\nHost: localhost\r\nOrigin: {origin}\r\n\
                 Connection: close\r\nContent-Length: {length}\r\n\r\n{body}"
            ))
            .await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{said}");
        assert_eq!(heard.try_recv().is_ok(), status == 204, "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_stream_has_said_must_get_away() {
    let (world, hub, _heard) = world();
    // 100 bytes a second: what is published takes an hour, the first 16 KB three minutes.
    let mut world = world.link(LinkOptions {
        down: Some(800),
        ..slow(1, 25)
    });
    drop(world.start(EVENTS).await);
    world.rest(Duration::from_mins(2)).await;
    assert!(told(&world).contains("id: 1.0"));
    hub.publish("change", "x".repeat(360_000));
    world.closed(Duration::from_mins(3)).await;
}

/// A page that is shown at another path than its own follows its file, and its policy lets it.
#[tokio::test(start_paused = true)]
async fn a_page_at_another_path_knows_its_file() {
    let (mut world, ..) = world();
    world.write("/about.html", "<!doctype html><p>About");
    world.write("/_redirects", "/old/* /about.html 200\n");
    world.write(
        "/_headers",
        "/*\n  Content-Security-Policy: default-src 'none'; connect-src 'none'\n",
    );
    for target in ["/about", "/old/x"] {
        let page = world.ask(Ask::navigate(target)).await;
        let text = page.text();
        assert!(
            text.contains(" data-file=\"/about.html\""),
            "{target}: {text}"
        );
        let policy = page.header("content-security-policy");
        assert!(policy.contains("connect-src 'self'"), "{target}: {policy}");
    }
    for target in ["/about.html", "/"] {
        let page = world.ask(Ask::navigate(target)).await;
        assert!(!page.text().contains("data-file"), "{target}");
    }
}

/// The script of an open page asks for that page again, as a script: what is looked up for that is
/// what answers it, also in a server that has just started.
#[tokio::test(start_paused = true)]
async fn an_open_page_of_an_application_finds_it_again() {
    let policy: &'static Policy = Box::leak(Box::new(Policy {
        spa: Some(UrlPath::parse("/index.html").unwrap()),
        ..Policy::default()
    }));
    let (world, _hub, _heard) = world();
    let mut world = world.server(|options| options.policy = policy);
    let ask = Ask::method("HEAD", "/users/42").headers(&[
        ("sec-fetch-mode", "cors"),
        ("sec-fetch-dest", "empty"),
        ("accept", "text/html"),
    ]);
    assert_eq!(world.ask(ask).await.status(), 200);
}
