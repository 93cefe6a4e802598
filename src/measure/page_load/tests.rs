//! Loads of scripted pages from scripted servers, on simulated time: what is recorded of them.

mod page;
mod server;

use std::fmt::Write as _;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};

use self::page::Page;
use self::server::Server;
use super::{Cache, Client, Limits, LoadOptions, load};
use crate::measure::link::link;
use crate::measure::timeline::{End, Timeline};

const URL: &str = "https://localhost/";

/// A client and a server.
struct World {
    server: Server,
    page: Page,
    cache: Cache,
    options: LoadOptions,
}

impl World {
    fn new(script: &str) -> Self {
        Self {
            server: Server::new(script),
            page: Page::new(URL),
            cache: Cache::default(),
            options: LoadOptions::default(),
        }
    }

    /// Goes to the page.
    async fn visit(&mut self) -> Timeline {
        let (near, far) = tokio::io::duplex(1 << 20);
        self.visit_over(near, far).await
    }

    /// Goes to the page over a stream of which the server has the far end.
    async fn visit_over<S: AsyncRead + AsyncWrite + Unpin>(&mut self, near: S, far: S) -> Timeline {
        self.page = Page::new(URL);
        let connect = || async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok(near)
        };
        let loading = load(connect, &mut self.page, &mut self.cache, &self.options);
        let serving = async {
            self.server.serve(far).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            timeline = loading => timeline,
            () = serving => unreachable!("a server never ends before its load"),
        }
    }

    /// Goes to the page, and returns what is recorded, in words.
    async fn transcript(&mut self) -> String {
        let timeline = self.visit().await;
        transcript(&timeline)
    }

    fn asked(&self) -> Vec<String> {
        self.server.asked.take()
    }
}

/// `path kind way status bytes: moments: end`, in milliseconds since the navigation; the origin is
/// left out.
fn transcript(timeline: &Timeline) -> String {
    let mut lines = String::new();
    for exchange in &timeline.exchanges {
        let path = &exchange.url;
        write!(
            lines,
            "{path} {:?} {:?} {} {} B:",
            exchange.kind, exchange.way, exchange.status, exchange.bytes
        )
        .unwrap();
        for (name, moment) in [
            ("needed", exchange.needed),
            ("promised", exchange.promised),
            ("asked", exchange.asked),
            ("first", exchange.first_byte),
            ("last", exchange.last_byte),
        ] {
            if let Some(moment) = moment {
                write!(lines, " {name} {}", moment.as_millis()).unwrap();
            }
        }
        match &exchange.end {
            End::Whole => {}
            End::Failed(why) => write!(lines, "\n  failed: {why}").unwrap(),
            end => write!(lines, ": {end:?}").unwrap(),
        }
        lines.push('\n');
    }
    writeln!(lines, "load {}", timeline.marks.load.as_millis()).unwrap();
    if timeline.left_out > 0 {
        writeln!(lines, "left out: {}", timeline.left_out).unwrap();
    }
    if let Some(failure) = &timeline.failure {
        writeln!(lines, "FAILED: {failure}").unwrap();
    }
    lines.replace("https://localhost", "")
}

#[tokio::test(start_paused = true)]
async fn a_page_is_asked_for_then_what_it_names() {
    let mut world = World::new(
        "/ : wait 10 | 200 text/html | + style /a.css | wait 30 | + image /b.png | end
         /a.css : wait 20 | 200 text/css | + font /f | end
         /b.png : 200 image/png | fill 1000 | wait 5 | fill 1000 | end
         /f : 200 font/woff2 | fill 10 | end",
    );
    let timeline = world.visit().await;
    insta::assert_snapshot!(transcript(&timeline), @"
    / Document Asked 200 26 B: needed 0 asked 100 first 110 last 140
    /a.css Style Asked 200 8 B: needed 110 asked 110 first 130 last 130
    /f Font Asked 200 10 B: needed 130 asked 130 first 130 last 130
    /b.png Image Asked 200 2000 B: needed 140 asked 140 first 140 last 145
    load 145
    ");
    assert_eq!(timeline.url, URL);
    assert_eq!(timeline.marks.connected, Duration::from_millis(100));
    let [_, _, font, image] = &timeline.exchanges[..] else {
        panic!("four exchanges");
    };
    assert_eq!((font.initiator, image.initiator), (Some(1), Some(0)));
    assert_eq!(image.pieces.len(), 2);
    assert!(timeline.exchanges[1].blocks_render && !image.blocks_render);
    let totals = timeline.totals();
    assert!(totals.bytes > 2000 && totals.requests == 4, "{totals:?}");
    assert_eq!(
        world.page.heads[0],
        (super::wants::WantId(0), 200, "text/html".into())
    );
}

#[tokio::test(start_paused = true)]
async fn no_more_is_asked_for_at_once_than_the_server_takes() {
    let mut world = World::new(
        "/ : 200 text/html | + image /1 | + image /2 | + image /3 | + image /4 | wait 1 | end
         /1 : wait 10 | 200 image/png | end
         /2 : wait 10 | 200 image/png | end
         /3 : wait 10 | 200 image/png | end
         /4 : wait 10 | 200 image/png | end",
    );
    world.server.streams_max = 2;
    insta::assert_snapshot!(world.transcript().await, @"
    / Document Asked 200 36 B: needed 0 asked 100 first 100 last 101
    /1 Image Asked 200 0 B: needed 100 asked 100 first 110 last 110
    /2 Image Asked 200 0 B: needed 100 asked 101 first 111 last 111
    /3 Image Asked 200 0 B: needed 100 asked 110 first 120 last 120
    /4 Image Asked 200 0 B: needed 100 asked 111 first 121 last 121
    load 121
    ");
}

#[tokio::test(start_paused = true)]
async fn a_client_delay_holds_back_what_is_named_and_hinted_and_nothing_else() {
    let mut world = World::new(
        "/ : header link: </h.js>; rel=preload; as=script | promise /p.css | 200 text/html \
             | + style /p.css | + style /a.css | wait 30 | promise /a.css | end
         push /p.css : 200 text/css | + image /i | end
         push /a.css : 200 text/css | end
         /h.js : 200 text/javascript | end
         /i : 200 image/png | end",
    );
    world.options.client_delay = Duration::from_millis(70);
    insta::assert_snapshot!(world.transcript().await, @"
    / Document Asked 200 26 B: needed 0 asked 100 first 100 last 130
    /p.css Style Pushed 200 9 B: needed 100 promised 100 first 100 last 100
    /h.js Script Hinted 200 0 B: needed 100 asked 170 first 170 last 170
    /a.css Style Pushed 200 0 B: needed 100 promised 130 first 130 last 130
    /i Image Asked 200 0 B: needed 100 asked 170 first 170 last 170
    load 170
    ");
}

#[tokio::test(start_paused = true)]
async fn a_push_serves_what_is_wanted_while_it_comes_and_after() {
    let mut world = World::new(
        "/ : promise /a.css | promise /b.css | promise /never | 200 text/html | wait 10 \
             | + style /a.css | + style /b.css | end
         push /a.css : 200 text/css | + a | end
         push /b.css : wait 5 | 200 text/css | + b1 | wait 50 | + b2 | end
         push /never : 200 text/plain | fill 500 | end",
    );
    let timeline = world.visit().await;
    insta::assert_snapshot!(transcript(&timeline), @"
    / Document Asked 200 26 B: needed 0 asked 100 first 100 last 110
    /a.css Style Pushed 200 2 B: needed 110 promised 100 first 100 last 100
    /b.css Style Pushed 200 6 B: needed 110 promised 100 first 105 last 155
    /never Other Pushed 200 500 B: promised 100 first 100 last 100
    load 155
    ");
    assert_eq!(world.page.body("/a.css"), ["a\n"]);
    assert_eq!(world.page.body("/b.css"), ["b1\nb2\n"]);
    assert_eq!(world.asked(), ["/"]);
    let totals = timeline.totals();
    assert_eq!((totals.bytes_pushed, totals.bytes_wasted), (508, 500));
    assert_eq!((totals.requests, totals.requests_saved), (1, 2));
}

/// The frame takes a second and a half; its first segment tells what is needed.
#[tokio::test(start_paused = true)]
async fn a_link_is_needed_when_it_arrives_and_not_when_its_frame_is_whole() {
    let mut world = World::new(
        "/ : 200 text/html | page 15000 style /a.css | end
         /a.css : 200 text/css | end",
    );
    let (far, near) = link(&"rtt=100ms,down=80k".parse().unwrap());
    let timeline = world.visit_over(near, far).await;
    let [document, style] = &timeline.exchanges[..] else {
        panic!("{timeline:?}");
    };
    let whole = document.last_byte.unwrap();
    assert!(whole > Duration::from_millis(1700), "{whole:?}");
    // A round trip after the connection, and what a segment and the greeting take.
    let needed = style.needed.unwrap();
    assert!(needed < Duration::from_millis(400), "{needed:?}");
    assert_eq!(document.bytes, 15_013);
}

#[tokio::test(start_paused = true)]
async fn what_is_pushed_in_vain_is_counted_after_the_load() {
    let mut world = World::new(
        "/ : promise /late | promise /never | 200 text/html | end
         push /late : wait 700 | 200 a/b | fill 700 | wait 800 | fill 800 | end
         push /never : hang",
    );
    let started = tokio::time::Instant::now();
    let timeline = world.visit().await;
    insta::assert_snapshot!(transcript(&timeline), @"
    / Document Asked 200 0 B: needed 0 asked 100 first 100 last 100
    /late Other Pushed 200 1500 B: promised 100 first 800 last 1600
    /never Other Pushed 0 0 B: promised 100: Open
    load 100
    ");
    assert_eq!(timeline.totals().bytes_wasted, 1500);
    let limit = world.options.limits.settling;
    assert_eq!(started.elapsed(), timeline.marks.load + limit);
}

#[tokio::test(start_paused = true)]
async fn a_push_is_wasted_on_what_is_fresh_and_replaces_what_is_stale() {
    let mut world = World::new(
        "/ : promise /a.css | 200 text/html | + style /a.css | end
         push /a.css : header cache-control: max-age=60 | header etag: \"1\" | 200 text/css \
             | + a | end
         /a.css : header etag: \"1\" | 200 text/css | + a | end",
    );
    world.visit().await;
    assert_eq!(world.cache.len(), 1);
    insta::assert_snapshot!(world.transcript().await, @"
    / Document Asked 200 13 B: needed 0 asked 100 first 100 last 100
    /a.css Other Pushed 200 2 B: promised 100 first 100 last 100
    /a.css Style Cached 200 0 B: needed 100 first 100 last 100
    load 100
    ");
    assert_eq!(world.page.body("/a.css"), ["a\n"]);
    world.cache.pass(Duration::from_mins(1));
    world.asked();
    insta::assert_snapshot!(world.transcript().await, @"
    / Document Asked 200 13 B: needed 0 asked 100 first 100 last 100
    /a.css Style Pushed 200 2 B: needed 100 promised 100 first 100 last 100
    load 100
    ");
    assert_eq!(world.asked(), ["/"]);
}

#[tokio::test(start_paused = true)]
async fn a_promise_after_the_request_is_wasted() {
    let mut world = World::new(
        "/ : 200 text/html | + style /a.css | wait 10 | promise /a.css | wait 100 | end
         push /a.css : 200 text/css | + pushed | end
         /a.css : wait 50 | 200 text/css | + asked | end",
    );
    insta::assert_snapshot!(world.transcript().await, @"
    / Document Asked 200 13 B: needed 0 asked 100 first 100 last 210
    /a.css Style Asked 200 6 B: needed 100 asked 100 first 150 last 150
    /a.css Other Pushed 200 7 B: promised 110 first 110 last 110
    load 210
    ");
    assert_eq!(world.page.body("/a.css"), ["asked\n"]);
}

#[tokio::test(start_paused = true)]
async fn a_push_that_never_comes_is_given_up() {
    let mut world = World::new(
        "/ : promise /a.css | 200 text/html | + style /a.css | end
         push /a.css : hang",
    );
    insta::assert_snapshot!(world.transcript().await, @r#"
    / Document Asked 200 13 B: needed 0 asked 100 first 100 last 100
    /a.css Style Pushed 0 0 B: needed 100 promised 100 last 30100
      failed: was promised, and did not come within 30 s
    load 30100
    "#);
    assert_eq!(world.page.failed.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_a_server_resets_after_promising_it_is_asked_for() {
    let mut world = World::new(
        "/ : promise /a.css | promise /b.css | 200 text/html | wait 10 | + style /a.css \
             | + style /b.css | end
         push /a.css : reset
         push /b.css : wait 50 | reset
         /a.css : 200 text/css | end
         /b.css : 200 text/css | end",
    );
    let timeline = world.visit().await;
    insta::assert_snapshot!(transcript(&timeline), @r#"
    / Document Asked 200 26 B: needed 0 asked 100 first 100 last 110
    /a.css Other Pushed 0 0 B: promised 100 last 100
      failed: the server reset the stream (INTERNAL_ERROR)
    /b.css Style Pushed 0 0 B: promised 100 last 150
      failed: the server reset the stream (INTERNAL_ERROR)
    /a.css Style Asked 200 0 B: needed 110 asked 110 first 110 last 110
    /b.css Style Asked 200 0 B: needed 150 asked 150 first 150 last 150
    load 150
    "#);
    assert_eq!(timeline.totals().requests_saved, 0);
}

#[tokio::test(start_paused = true)]
async fn a_push_that_breaks_off_in_the_middle_fails() {
    let mut world = World::new(
        "/ : promise /a.css | 200 text/html | + style /a.css | end
         push /a.css : 200 text/css | + a | wait 10 | reset",
    );
    insta::assert_snapshot!(world.transcript().await, @r#"
    / Document Asked 200 13 B: needed 0 asked 100 first 100 last 100
    /a.css Style Pushed 200 2 B: needed 100 promised 100 first 100 last 110
      failed: the server reset the stream (INTERNAL_ERROR)
    load 110
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_client_of_today_is_not_pushed_to_and_says_priorities() {
    let mut world = World::new(
        "/ : promise /a.css | 200 text/html | + style /a.css | end
         push /a.css : 200 text/css | end
         /a.css : 200 text/css | end",
    );
    world.options.client = Client::Current;
    insta::assert_snapshot!(world.transcript().await, @"
    / Document Asked 200 13 B: needed 0 asked 100 first 100 last 100
    /a.css Style Asked 200 0 B: needed 100 asked 100 first 100 last 100
    load 100
    ");
    assert_eq!(
        world.asked(),
        ["/ priority: u=0, i", "/a.css priority: u=0"]
    );
}

#[tokio::test(start_paused = true)]
async fn hints_are_fetched_at_once_and_taken_where_they_fit() {
    let mut world = World::new(
        "/ : 103 </a.css>; rel=preload; as=style, </b.js>; rel=preload; as=style, </f>; \
             rel=preload; as=font, </g>; rel=preload; as=font; crossorigin, </m.js>; \
             rel=modulepreload, </unused>; rel=preload; as=image \
             | 103 </second.css>; rel=preload; as=style \
             | wait 50 | header link: </a.css>; rel=preload; as=style | 200 text/html \
             | + style /a.css | + script /b.js | + font /f | + font /g | + module /m.js | end
         /a.css : wait 80 | 200 text/css | + a | end
         /b.js : wait 80 | 200 text/javascript | end
         /f : wait 80 | 200 font/woff2 | end
         /g : 200 font/woff2 | end
         /m.js : 200 text/javascript | end
         /unused : hang",
    );
    insta::assert_snapshot!(world.transcript().await, @"
    / Document Asked 200 55 B: needed 0 asked 100 first 150 last 150
    /a.css Style Hinted 200 2 B: needed 100 asked 100 first 180 last 180
    /b.js Style Hinted 200 0 B: needed 100 asked 100 first 180 last 180
    /f Font Hinted 200 0 B: needed 100 asked 100 first 180 last 180
    /g Font Hinted 200 0 B: needed 100 asked 100 first 100 last 100
    /m.js Module Hinted 200 0 B: needed 100 asked 100 first 100 last 100
    /unused Image Hinted 0 0 B: needed 100 asked 100: Open
    /b.js Script Asked 200 0 B: needed 150 asked 150 first 230 last 230
    /f Font Asked 200 0 B: needed 150 asked 150 first 230 last 230
    load 230
    ");
    // For the 103, for the `Link` of the 200, and for the page.
    assert_eq!(world.page.body("/a.css"), ["a\n", "a\n", "a\n"]);
}

#[tokio::test(start_paused = true)]
async fn links_of_the_response_are_fetched_before_its_body_comes() {
    let mut world = World::new(
        "/ : header link: </a.css>; rel=preload; as=style | 200 text/html | wait 40 \
             | + style /a.css | end
         /a.css : wait 10 | 200 text/css | end",
    );
    insta::assert_snapshot!(world.transcript().await, @"
    / Document Asked 200 13 B: needed 0 asked 100 first 100 last 140
    /a.css Style Hinted 200 0 B: needed 100 asked 100 first 110 last 110
    load 140
    ");
}

#[tokio::test(start_paused = true)]
async fn a_hint_takes_what_is_promised() {
    let mut world = World::new(
        "/ : promise /a.css | 103 </a.css>; rel=preload; as=style | wait 40 | 200 text/html \
             | + style /a.css | end
         push /a.css : 200 text/css | end",
    );
    insta::assert_snapshot!(world.transcript().await, @"
    / Document Asked 200 13 B: needed 0 asked 100 first 140 last 140
    /a.css Style Pushed 200 0 B: needed 100 promised 100 first 100 last 100
    load 140
    ");
}

#[tokio::test(start_paused = true)]
async fn what_is_held_is_used_or_validated() {
    let mut world = World::new(
        "/ : header etag: \"p.AAAA\" | header cache-control: no-cache | 200 text/html \
             | + style /fresh.css | + style /stale.css | + style /changes.css | end
         /fresh.css : header cache-control: max-age=60 | 200 text/css | + f | end
         /stale.css : header etag: \"s\" | 200 text/css | + image /i | end
         /changes.css : header last-modified: Thu, 01 Jan 1970 00:00:00 GMT | 200 text/css | end
         /i : header cache-control: no-store | 200 image/png | end",
    );
    world.visit().await;
    assert_eq!(world.cache.len(), 4);
    world.asked();
    insta::assert_snapshot!(world.transcript().await, @"
    / Document Validated 304 0 B: needed 0 asked 100 first 100 last 100
    /fresh.css Style Cached 200 0 B: needed 100 first 100 last 100
    /stale.css Style Validated 304 0 B: needed 100 asked 100 first 100 last 100
    /changes.css Style Asked 200 0 B: needed 100 asked 100 first 100 last 100
    /i Image Asked 200 0 B: needed 100 asked 100 first 100 last 100
    load 100
    ");
    insta::assert_snapshot!(world.asked().join("\n"), @r#"
    / if-none-match: "p.AAAA"
    /stale.css if-none-match: "s"
    /changes.css if-modified-since: Thu, 01 Jan 1970 00:00:00 GMT
    /i
    "#);
    let heads: Vec<_> = world.page.heads.iter().map(|head| head.1).collect();
    assert_eq!(heads, [200; 5], "the page sees what is held, not the 304");
}

#[tokio::test(start_paused = true)]
async fn what_needs_no_request_needs_no_connection() {
    let mut world = World::new(
        "/ : header cache-control: max-age=60 | 200 text/html | + style /a.css | end
         /a.css : header cache-control: max-age=60 | 200 text/css | end",
    );
    world.visit().await;
    insta::assert_snapshot!(world.transcript().await, @"
    / Document Cached 200 0 B: needed 0 first 0 last 0
    /a.css Style Cached 200 0 B: needed 0 first 0 last 0
    load 0
    ");
    assert_eq!(world.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn redirects_are_followed() {
    let mut world = World::new(
        "/ : header location: /shop/ | 301 text/html | end
         /shop/ : 200 text/html | + style a.css | + style /away.css | end
         /shop/a.css : header location: /b.css | 302 text/css | end
         /away.css : header location: https://elsewhere.test/ | 302 text/css | end
         /b.css : 200 text/css | + b | end",
    );
    let timeline = world.visit().await;
    insta::assert_snapshot!(transcript(&timeline), @"
    / Document Asked 301 0 B: needed 0 asked 100 first 100 last 100
    /shop/ Document Asked 200 28 B: needed 100 asked 100 first 100 last 100
    /shop/a.css Style Asked 302 0 B: needed 100 asked 100 first 100 last 100
    /away.css Style Asked 302 0 B: needed 100 asked 100 first 100 last 100
    /b.css Style Asked 200 2 B: needed 100 asked 100 first 100 last 100
    load 100
    left out: 1
    ");
    assert_eq!(timeline.url, "https://localhost/shop/");
    assert_eq!(world.page.body("/b.css"), ["b\n"]);
}

#[tokio::test(start_paused = true)]
async fn redirects_that_lead_nowhere_are_told() {
    let mut world = World::new(
        "/ : header location: /a | 302 text/html | end
         /a : header location: /#x | 302 text/html | end",
    );
    insta::assert_snapshot!(world.transcript().await, @r#"
    / Document Asked 302 0 B: needed 0 asked 100 first 100 last 100
    /a Document Asked 302 0 B: needed 100 asked 100 first 100 last 100
      failed: redirects to /#x, from where it came: a loop without end
    load 0
    FAILED: /a: redirects to /#x, from where it came: a loop without end
    "#);
    let mut world = World::new("/ : header location: https://www.test/ | 302 text/html | end");
    insta::assert_snapshot!(world.transcript().await, @r#"
    / Document Asked 302 0 B: needed 0 asked 100 first 100 last 100
      failed: redirects to https://www.test/, another origin: measure that instead
    load 0
    FAILED: /: redirects to https://www.test/, another origin: measure that instead
    "#);
    let mut script = "/ : header location: /1 | 302 text/html | end\n".to_owned();
    for hop in 1..=20 {
        let next = hop + 1;
        writeln!(
            script,
            "/{hop} : header location: /{next} | 302 text/html | end"
        )
        .unwrap();
    }
    let failure = World::new(&script).visit().await.failure.unwrap();
    assert_eq!(
        failure,
        "https://localhost/20: is redirected more than 20 times"
    );
}

#[tokio::test(start_paused = true)]
async fn a_document_that_does_not_come_is_told() {
    for (script, failure) in [
        (
            "/ : reset",
            "https://localhost/: the server reset the stream (INTERNAL_ERROR)",
        ),
        (
            "/ : 200 text/html | + image /i | wait 5 | reset",
            "https://localhost/: the server reset the stream (INTERNAL_ERROR)",
        ),
        (
            "/ : 200 text/html | + image /i | wait 5 | drop | hang",
            "https://localhost/: the connection broke: stream closed because of a broken pipe",
        ),
        (
            "/ : 200 text/html | goaway | wait 5 | + style /a.css | end",
            "the server closed the connection, before https://localhost/a.css was asked for",
        ),
        (
            "/ : 200 text/html | goaway | wait 5 | + style /a.css | wait 5 | end",
            "the server closed the connection (GOAWAY, NO_ERROR), before \
             https://localhost/a.css was asked for",
        ),
        (
            "/ : 200 text/html | hang",
            "the page had not loaded after 120 s: given up",
        ),
        ("/ : hang", "the page had not loaded after 120 s: given up"),
        (
            "/ : header content-encoding: compress | 200 text/html | end",
            "https://localhost/: is encoded (compress) as nobody has asked for",
        ),
        (
            "/ : header content-encoding: gzip | 200 text/html | + image /i | end",
            "https://localhost/: cannot be decoded: corrupt gzip stream does not \
             have a matching checksum",
        ),
    ] {
        assert_eq!(
            World::new(script).visit().await.failure.as_deref(),
            Some(failure),
            "{script}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_subresource_that_fails_is_recorded_and_the_page_goes_on() {
    let mut world = World::new(
        "/ : 200 text/html | + style /a.css | + image /gone | + image https://cdn.test/x | end
         /a.css : 200 text/css | + a | wait 5 | reset",
    );
    insta::assert_snapshot!(world.transcript().await, @r#"
    / Document Asked 200 50 B: needed 0 asked 100 first 100 last 100
    /a.css Style Asked 200 2 B: needed 100 asked 100 first 100 last 105
      failed: the server reset the stream (INTERNAL_ERROR)
    /gone Image Asked 404 0 B: needed 100 asked 100 first 100 last 100
    load 105
    left out: 1
    "#);
    assert_eq!(world.page.failed.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn too_much_is_stopped() {
    let mut world = World::new(
        "/ : 200 text/html | + style /a | end
         /a : 200 a/b | fill 700000 | wait 5 | fill 700000 | end",
    );
    world.options.limits.resource_bytes = 1 << 20;
    insta::assert_snapshot!(world.transcript().await, @r#"
    / Document Asked 200 9 B: needed 0 asked 100 first 100 last 100
    /a Style Asked 200 1046763 B: needed 100 asked 100 first 100 last 105
      failed: is larger than 1 MB: cancelled
    load 105
    "#);
    world.options.limits = Limits {
        bytes: 1 << 20,
        ..Limits::default()
    };
    insta::assert_snapshot!(world.transcript().await, @"
    / Document Asked 200 9 B: needed 0 asked 100 first 100 last 100
    /a Style Asked 200 1224288 B: needed 100 asked 100 first 100: Open
    load 100
    FAILED: the page is larger than 1 MB: stopped
    ");
    world.options.limits = Limits {
        exchanges: 1,
        ..Limits::default()
    };
    insta::assert_snapshot!(world.transcript().await, @"
    / Document Asked 200 9 B: needed 0 asked 100 first 100 last 100
    /a Style Asked 0 0 B: needed 100 asked 100: Open
    load 100
    FAILED: the page takes more than 1 requests: stopped
    ");
    let bomb = format!("/ : header x: {} | 200 text/html | end", "x".repeat(10_000));
    let mut world = World::new(&bomb);
    world.options.limits.head_bytes = 9_000;
    insta::assert_snapshot!(world.transcript().await, @r#"
    / Document Asked 0 0 B: needed 0 asked 100 last 100
      failed: the response is malformed, or its header is too large (PROTOCOL_ERROR)
    load 0
    FAILED: /: the response is malformed, or its header is too large (PROTOCOL_ERROR)
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_none_is_told_as_it_is() {
    let options = LoadOptions::default();
    let refused = || async {
        let text = "cannot connect to localhost:1: connection refused";
        Err::<tokio::io::DuplexStream, _>(std::io::Error::other(text))
    };
    let mut cache = Cache::default();
    let timeline = load(refused, &mut Page::new(URL), &mut cache, &options).await;
    insta::assert_snapshot!(transcript(&timeline), @"
    / Document Asked 0 0 B: needed 0: Open
    load 0
    FAILED: cannot connect to localhost:1: connection refused
    ");
    let http1 = || async {
        let answer = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
        Ok(tokio::io::join(answer.as_bytes(), tokio::io::sink()))
    };
    let timeline = load(http1, &mut Page::new(URL), &mut cache, &options).await;
    insta::assert_snapshot!(transcript(&timeline), @r#"
    / Document Asked 0 0 B: needed 0 asked 0 last 0
      failed: the server broke the rules of HTTP/2 (FRAME_SIZE_ERROR)
    load 0
    FAILED: the server speaks HTTP/1.1, not HTTP/2
    "#);
    let silent = || async { Ok(tokio::io::join(tokio::io::empty(), tokio::io::sink())) };
    let timeline = load(silent, &mut Page::new(URL), &mut cache, &options).await;
    insta::assert_snapshot!(transcript(&timeline), @r#"
    / Document Asked 0 0 B: needed 0 asked 0 last 0
      failed: the connection broke: stream closed because of a broken pipe
    load 0
    FAILED: /: the connection broke: stream closed because of a broken pipe
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_push_against_the_rules_ends_the_load() {
    let settings = b"\0\0\0\x04\0\0\0\0\0".as_slice();
    let promise = b"\0\0\x12\x05\x04\0\0\0\x01\0\0\0\x02\x82\x87\x84\x41\x09localhost";
    let frames = [settings, promise].concat();
    let options = LoadOptions {
        client: Client::Current,
        ..LoadOptions::default()
    };
    let connect = || async { Ok(tokio::io::join(&frames[..], tokio::io::sink())) };
    let mut cache = Cache::default();
    let timeline = load(connect, &mut Page::new(URL), &mut cache, &options).await;
    assert_eq!(
        timeline.failure.as_deref(),
        Some("https://localhost/: the server broke the rules of HTTP/2 (PROTOCOL_ERROR)")
    );
}

#[tokio::test(start_paused = true)]
async fn two_loads_are_the_same() {
    let mut script = "/ : promise /0 | promise /7 | 200 text/html".to_owned();
    for index in 0..40 {
        write!(script, " | + image /{index} | wait {}", index % 3).unwrap();
    }
    script.push_str(" | end\n");
    for index in 0..40 {
        let push = if index % 7 == 0 { "push " } else { "" };
        let wait = index % 5;
        writeln!(
            script,
            "{push}/{index} : wait {wait} | 200 a/b | fill {index}00 | end"
        )
        .unwrap();
    }
    let script = script
        .replace("push /14", "/14")
        .replace("push /2", "/2")
        .replace("push /3", "/3");
    let first = World::new(&script).visit().await;
    let second = World::new(&script).visit().await;
    assert_eq!(first.failure, None);
    assert_eq!(first, second);
}
