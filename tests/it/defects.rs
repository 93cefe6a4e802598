//! Defects of ours, and of the disk: whoever meets one is told so, and nobody else notices.

use std::cell::RefCell;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use forerun::answer::{self, Answer, Body, Moment, Options, Peer, Piece, Streamed};
use forerun::metrics::Count;
use forerun::site::{Asset, Site, UrlPath};
use http::request::Parts;
use http::{StatusCode, Version};

use crate::client::{Ask, Reading};
use crate::tap::Frame;
use crate::world::World;

const SITE: &str = "
    //- /index.html
    <!doctype html><link rel=stylesheet href=/a.css><p>Hello
    //- /bad.html
    <!doctype html><p>Nobody can answer this.
    //- /gone.png
    //- /a.css
    p { color: red }
    //- /large.png size=2000000
";

/// Answers, but for a path at which it has a defect, and one whose file is always another by the
/// time that it is opened.
fn defective(
    request: &Parts,
    peer: &Peer<'_>,
    site: &Site,
    options: Options,
    moment: &Moment,
) -> Answer {
    let path = request.uri.path();
    assert_ne!(path, "/bad.html", "a defect, as a test has it");
    let mut answer = answer::answer(request, peer, site, options, moment);
    if path == "/gone.png" {
        let asset = Asset::in_memory(UrlPath::parse(path).unwrap(), Bytes::new());
        let pieces = vec![Piece::File(0..1)];
        let asset = Arc::new(asset);
        answer.body = Body::Streamed(Streamed { asset, pieces });
    }
    answer
}

fn world() -> World {
    World::new(SITE).handler(defective)
}

/// Asks for something twice, while something else is under way: looked up, and then known.
async fn check_500(path: &str) {
    let mut world = world().client(|client| client.stream_window = 1_000);
    let large = Ask::get("/large.png").reading(Reading::Nothing);
    let before = world.start(large).await;
    for _ in 0..2 {
        let bad = world.get(path).await;
        assert_eq!(bad.status(), 500);
        assert_eq!(bad.answer().headers["cache-control"], "no-store");
        assert_eq!(bad.answer().headers["content-length"], "0");
    }
    let page = world.get("/").await;
    assert_eq!((page.status(), page.promised()), (200, vec!["/a.css"]));
    assert!(!before.is_finished(), "what was under way still is");
    let of = |kind: u8| world.frames().iter().filter(|f| f.kind == kind).count();
    assert_eq!((of(Frame::GOAWAY), of(Frame::RST_STREAM)), (0, 0));
    assert_eq!(world.connections().len(), 1);
    let failed = Count::Answered(Version::HTTP_2, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(world.metrics().total(failed), 2);
    before.abort();
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_answered_500_and_the_connection_goes_on() {
    check_500("/bad.html").await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_opened_is_answered_500_and_the_connection_goes_on() {
    check_500("/gone.png").await;
}

#[tokio::test(start_paused = true)]
async fn the_same_over_http1() {
    let mut world = world();
    let get = |path: &str, then| {
        format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: {then}\r\n\r\n")
    };
    let asks = ["/bad.html", "/a.css", "/gone.png"].map(|path| get(path, "keep-alive"));
    let said = world
        .say(&[asks.concat(), get("/bad.html", "close")].concat())
        .await;
    let statuses: Vec<_> = said
        .split("HTTP/1.1 ")
        .skip(1)
        .map(|answer| &answer[..3])
        .collect();
    assert_eq!(statuses, ["500", "200", "500", "500"], "{said}");
    insta::assert_snapshot!(world.log().join("\n"), @r#"
    "GET /bad.html HTTP/1.1" 500 0
    "GET /a.css HTTP/1.1" 200 17
    "GET /gone.png HTTP/1.1" 500 0
    "GET /bad.html HTTP/1.1" 500 0
    "#);
}

thread_local! {
    /// A file that is written to whenever something is answered.
    static LOG: RefCell<PathBuf> = RefCell::default();
}

/// Answers, and then adds a line to what is described in the answer.
fn logging(
    request: &Parts,
    peer: &Peer<'_>,
    site: &Site,
    options: Options,
    moment: &Moment,
) -> Answer {
    let answer = answer::answer(request, peer, site, options, moment);
    let path = LOG.with_borrow(Clone::clone);
    let mut log = std::fs::File::options().append(true).open(path).unwrap();
    log.write_all(b"a line\n").unwrap();
    answer
}

#[tokio::test(start_paused = true)]
async fn a_large_file_that_is_appended_to_all_the_time_is_sent_as_far_as_it_was_described() {
    let mut world = World::new(SITE)
        .site(|site| site.memory_file_bytes_max = 1_000)
        .handler(logging);
    let path = world.path("/large.png");
    LOG.set(path.clone());
    // Only just written.
    let mut file = std::fs::read(&path).unwrap();
    std::fs::write(&path, &file).unwrap();
    let over_h2 = world.get("/large.png").await;
    assert_eq!(over_h2.status(), 200);
    let sent = over_h2.answer().body.clone();
    let lines = (sent.len() - file.len()) / 7;
    file.extend(b"a line\n".repeat(lines));
    assert!(sent == file);
    assert!(over_h2.header("etag").starts_with("W/"));
    let over_h1 = world
        .say_bytes("GET /large.png HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        .await;
    assert!(over_h1.starts_with(b"HTTP/1.1 200 "));
}
