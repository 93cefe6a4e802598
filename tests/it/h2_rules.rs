//! Rules that the `h2` crate leaves to its users, each with a test.
//!
//! Every test checks the laws of the wire besides (see `laws`): promised ids rise, promises come
//! before anything of their page, nothing follows a stream's end.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use forerun::answer::Deliver;
use forerun::measure::link::LinkOptions;
use h2::Reason;

use crate::client::{Ask, Reading, Response};
use crate::tap::{Frame, Sender};
use crate::world::{World, slow};

/// Returns a site of pages `/0.html` and on, each with style sheets of its own.
fn pages(count: usize, style_sheets: usize, bytes: usize) -> String {
    let mut fixture = String::new();
    for page in 0..count {
        writeln!(fixture, "//- /{page}.html\n<!doctype html>").unwrap();
        for sheet in 0..style_sheets {
            writeln!(fixture, "<link rel=stylesheet href=/{page}-{sheet}.css>").unwrap();
        }
        for sheet in 0..style_sheets {
            let css = format!("b {{ top: {page}{sheet}px }}");
            writeln!(fixture, "//- /{page}-{sheet}.css size={bytes}\n{css}").unwrap();
        }
    }
    fixture
}

/// Rule 1: `h2` writes promises of several pages round robin, so that their ids may fall.
#[tokio::test(start_paused = true)]
async fn promised_ids_rise_however_many_pages_are_answered_together() {
    for link in [LinkOptions::instant(), slow(10, 25), slow(1, 100)] {
        let mut world = World::new(&pages(30, 3, 5_000)).link(link);
        let asks: Vec<_> = (0..30)
            .map(|page| Ask::get(&format!("/{page}.html")))
            .collect();
        let responses = world.together(asks).await;
        for (page, response) in responses.iter().enumerate() {
            let expected: Vec<_> = (0..3).map(|sheet| format!("/{page}-{sheet}.css")).collect();
            assert_eq!(response.promised(), expected);
            let whole = |promise: &crate::client::Promised| {
                promise
                    .answer
                    .as_ref()
                    .unwrap()
                    .as_ref()
                    .unwrap()
                    .body
                    .len()
                    == 5_000
            };
            assert!(response.promises.iter().all(whole));
        }
    }
}

/// Rule 1, last half: who may promise passes on when a page is reset.
#[tokio::test(start_paused = true)]
async fn a_page_that_is_reset_does_not_keep_others_from_promising() {
    let mut world = World::new(&pages(20, 3, 5_000)).link(slow(1, 100));
    let reading = |page| {
        if page % 2 == 0 {
            Reading::CancelAfter(0)
        } else {
            Reading::Whole
        }
    };
    let ask = |page| Ask::get(&format!("/{page}.html")).reading(reading(page));
    let responses = world.together((0..20).map(ask)).await;
    for response in responses.iter().skip(1).step_by(2) {
        assert_eq!(response.promised().len(), 3);
    }
}

/// Rule 2: a promise after the page's end is accepted by `h2` and kills the connection.
#[tokio::test(start_paused = true)]
async fn an_empty_page_promises_nothing_after_its_end() {
    let mut world = World::new(
        "
        //- /index.html size=0
        //- /tiny.html
        <link rel=stylesheet href=/a.css>
        //- /a.css size=0
    ",
    );
    assert_eq!(world.get("/").await.promised(), [""; 0]);
    let page = world.get("/tiny.html").await;
    assert_eq!(page.promised(), ["/a.css"]);
    assert_eq!(world.get("/tiny.html").await.status(), 200);
}

/// Rule 3: `h2` takes a promised request without scheme and authority, and clients reset it.
#[tokio::test(start_paused = true)]
async fn a_promised_request_names_the_authority_that_was_asked() {
    for authority in [
        "localhost",
        "localhost:8443",
        "127.0.0.1:8443",
        "[::1]:8443",
    ] {
        let mut world = World::new(&pages(1, 1, 100));
        let page = world.ask(Ask::get("/0.html").authority(authority)).await;
        let expected = format!("https://{authority}/0-0.css");
        assert_eq!(page.promises[0].request.uri(), expected.as_str());
    }
}

/// Rule 4: with no stream allowed, a promise leaves and its response never does.
#[tokio::test(start_paused = true)]
async fn a_client_that_allows_no_pushed_stream_is_promised_nothing() {
    let mut world =
        World::new(&pages(2, 3, 100)).client(|client| client.concurrent_pushes = Some(0));
    for response in world.together(["/0.html", "/1.html", "/0.html"]).await {
        assert_eq!((response.status(), response.promised().len()), (200, 0));
    }
}

/// Rule 4 for any limit: no more promises are open than the client allows streams.
#[tokio::test(start_paused = true)]
async fn pages_asked_for_together_share_what_the_client_allows() {
    for allowed in [1, 2, 5] {
        let mut world = World::new(&pages(4, 3, 20_000))
            .link(slow(10, 25))
            .client(|client| client.concurrent_pushes = Some(allowed));
        let asks: Vec<_> = (0..4)
            .map(|page| Ask::get(&format!("/{page}.html")))
            .collect();
        for response in world.together(asks).await {
            assert_eq!(response.status(), 200);
            assert!(response.promises.iter().all(|promise| {
                promise
                    .answer
                    .as_ref()
                    .unwrap()
                    .as_ref()
                    .is_ok_and(|a| a.body.len() == 20_000)
            }));
        }
        assert_eq!(world.get("/0.html").await.status(), 200);
    }
}

/// Rule 5: promises behind DATA would wait for flow control, so they come first.
#[tokio::test(start_paused = true)]
async fn promises_do_not_wait_for_a_window() {
    let fixture = "
        //- /index.html size=200000
        <!doctype html><link rel=stylesheet href=/a.css><script src=/b.js></script>
        //- /a.css size=500
        //- /b.js size=500
    ";
    let mut world = World::new(fixture).client(|client| client.stream_window = 1_000);
    let page = world.start(Ask::get("/").reading(Reading::Nothing)).await;
    world.rest_ms(1_000).await;
    insta::assert_snapshot!(world.transcript(), @"
        > GET /
        < PROMISE /a.css
        < 200 /a.css text/css 500 B, promised
        < PROMISE /b.js
        < 200 /b.js text/javascript 500 B, promised
        < 200 / text/html 1000 B
    ");
    page.abort();
}

/// Rule 6: a page's reset drops the promises that `h2` still holds; the diary must not believe
/// them.
#[tokio::test(start_paused = true)]
async fn what_a_reset_page_did_not_get_to_promise_is_promised_later() {
    for wait_ms in [0, 1, 2, 20, 24, 25, 26, 27, 30, 60] {
        let mut world = World::new(&pages(1, 8, 20_000)).link(slow(1, 25));
        world.connection().await;
        let page = world.start("/0.html").await;
        world.rest_ms(1).await;
        world.rest_ms(wait_ms).await;
        world.reset("/0.html", Reason::CANCEL);
        world.rest_ms(5_000).await;
        assert_eq!(world.get("/0.html").await.status(), 200);
        let is_promise = |frame: &&Frame| frame.kind == Frame::PUSH_PROMISE;
        let promises = world.frames().iter().filter(is_promise).count();
        assert_eq!(promises, 8, "reset {wait_ms} ms after it was asked for");
        page.abort();
    }
}

/// Rule 6 at its edge: the reset comes in one breath with the request, so that the server answers a
/// stream that is gone. Whatever it would say on it, promises among it, would be illegal.
#[tokio::test(start_paused = true)]
async fn a_page_that_is_reset_in_the_breath_it_is_asked_for_gets_nothing() {
    let mut world = World::new(&pages(1, 3, 100)).link(slow(10, 25));
    world.warm(&["/0.html"]).await;
    let connection = world.reconnect().await;
    // Literals that leave the header tables alone (RFC 7541 section 6.2.2).
    let head = [&b"\x82\x87\x04\x07/0.html"[..], b"\x01\x09localhost"].concat();
    let asked = Frame::bytes(Frame::HEADERS, 5, 1, &head);
    let reset = Frame::bytes(
        Frame::RST_STREAM,
        0,
        1,
        &u32::from(Reason::CANCEL).to_be_bytes(),
    );
    connection.frames.inject(&[asked, reset].concat());
    world.rest_ms(1_000).await;
    let is_answer = |frame: &Frame| frame.stream == 1 && frame.sender == Sender::Server;
    assert!(!world.frames().iter().any(is_answer));
}

/// Rule 6 again: resets in numbers leave the connection able to promise.
#[tokio::test(start_paused = true)]
async fn many_reset_pages_leave_the_connection_whole() {
    let mut world = World::new(&pages(60, 2, 2_000)).link(slow(10, 5));
    for page in 0..50 {
        let target = format!("/{page}.html");
        drop(world.start(target.as_str()).await);
        world.rest_ms(1 + page % 12).await;
        world.reset(&target, Reason::CANCEL);
    }
    world.rest_ms(5_000).await;
    for page in 50..60 {
        let response = world.get(&format!("/{page}.html")).await;
        assert_eq!(response.promised().len(), 2, "page {page}");
    }
}

/// Rule 7 is `schedule`'s. Rule 8: a client that waits for promises is not woken by a page's end.
#[tokio::test(start_paused = true)]
async fn a_page_without_promises_ends() {
    let mut world = World::new(
        "
        //- /index.html
        <p>Hello
    ",
    );
    let page = world.get("/").await;
    assert_eq!((page.status(), page.promises.len()), (200, 0));
}

/// Rule 9: at most one 103, only for navigations, and its links once more in the 200.
#[tokio::test(start_paused = true)]
async fn a_103_comes_once_and_says_what_the_200_says() {
    let mut world = World::new(&pages(1, 3, 100))
        .client(|client| client.push = false)
        .server(|options| options.deliver = Deliver::Hints);
    let page = world.ask(Ask::navigate("/0.html")).await;
    assert_eq!(page.hints.len(), 1);
    let links =
        |headers: &http::HeaderMap| -> Vec<_> { headers.get_all("link").iter().cloned().collect() };
    assert_eq!(links(&page.hints[0]), links(&page.answer().headers));
    assert_eq!(world.get("/0.html").await.hints.len(), 0);
}

/// What the prototype could not explain: few allowed streams and small windows ended in GOAWAY.
#[tokio::test(start_paused = true)]
async fn few_streams_and_small_windows_get_along() {
    for window in [16_384, 20_000, 65_535] {
        let mut world = World::new(&pages(3, 3, 30_000)).client(|client| {
            client.concurrent_pushes = Some(1);
            client.stream_window = window;
            client.connection_window = 65_535;
        });
        let responses = world.together(["/0.html", "/1.html", "/2.html"]).await;
        assert!(responses.iter().all(|response| response.status() == 200));
        let goaways = world
            .frames()
            .iter()
            .filter(|frame| frame.kind == Frame::GOAWAY)
            .count();
        assert_eq!(goaways, 0);
    }
}

/// Every promise that leaves is answered, whole or with a reset.
#[tokio::test(start_paused = true)]
async fn every_promise_is_kept() {
    let mut world = World::new(&pages(12, 4, 40_000)).link(slow(20, 10));
    let pushes = |page| match page % 3 {
        0 => Reading::Whole,
        1 => Reading::CancelAfter(0),
        _ => Reading::CancelAfter(10_000),
    };
    let ask = |page| Ask::get(&format!("/{page}.html")).pushes(pushes(page));
    let responses: Vec<Response> = world.together((0..12).map(ask)).await;
    assert!(responses.iter().all(|response| response.status() == 200));
    world.rest_ms(5_000).await;
    let frames = world.frames();
    let of = |kind: u8| frames.iter().filter(move |frame| frame.kind == kind);
    let promised: BTreeSet<u32> = of(Frame::PUSH_PROMISE)
        .map(|frame| frame.number(0))
        .collect();
    let is_servers = |frame: &&Frame| frame.sender == Sender::Server;
    let ended = frames
        .iter()
        .filter(is_servers)
        .filter(|frame| frame.ends_stream());
    let reset = of(Frame::RST_STREAM);
    let settled: BTreeSet<u32> = ended.chain(reset).map(|frame| frame.stream).collect();
    assert_eq!(promised.len(), 48);
    assert!(
        promised.is_subset(&settled),
        "{:?}",
        promised.difference(&settled)
    );
}
