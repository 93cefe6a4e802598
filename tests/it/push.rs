//! What is pushed, to whom, and what never is.

use std::time::Duration;

use forerun::site::plan::Push;
use h2::Reason;
use tokio::time::Instant;

use crate::client::{Ask, Reading, Response};
use crate::fixture::style_sheets;
use crate::raw::{GET, Heard, Raw, request};
use crate::tap::Frame;
use crate::world::{World, slow};

/// A page with a style sheet and a script.
const PAGE: &str = "
    //- /index.html
    <!doctype html><link rel=stylesheet href=/a.css><script src=/b.js></script><p>Hello
    //- /a.css
    p { color: red }
    //- /b.js
    document.title = 1
    //- /other.html
    <!doctype html><link rel=stylesheet href=/a.css><link rel=stylesheet href=/c.css><p>Other
    //- /c.css
    p { color: blue }
";

/// Longer than a file's state on disk is believed.
const AFTER_A_WHILE: Duration = Duration::from_secs(3);

/// Asks a new connection for a page and returns what it promises.
async fn promised(world: &mut World, ask: impl Into<Ask>) -> Vec<String> {
    world.reconnect().await;
    let response = world.ask(ask).await;
    response.promised().into_iter().map(str::to_owned).collect()
}

fn with(headers: &[(&'static str, &str)]) -> Ask {
    Ask::get("/").headers(headers)
}

#[tokio::test(start_paused = true)]
async fn a_page_promises_what_it_needs_once() {
    let mut world = World::new(PAGE);
    world.get("/").await;
    world.get("/").await;
    insta::assert_snapshot!(world.transcript(), @"
        > GET /
        < PROMISE /a.css
        < 200 /a.css text/css 17 B, promised
        < PROMISE /b.js
        < 200 /b.js text/javascript 19 B, promised
        < 200 / text/html 84 B
        > GET /
        < 200 / text/html 84 B
    ");
}

#[tokio::test(start_paused = true)]
async fn what_is_pushed_is_what_a_get_would_get() {
    let mut world = World::new(PAGE);
    let page = world.get("/").await;
    assert_eq!(page.promised(), ["/a.css", "/b.js"]);
    for promised in &page.promises {
        let asked = world.get(promised.target()).await;
        let pushed = promised.answer.as_ref().unwrap().as_ref().unwrap();
        assert_eq!(pushed.body, asked.answer().body);
        assert_eq!(pushed.headers, asked.answer().headers);
        assert_eq!(pushed.status, 200);
    }
}

#[tokio::test(start_paused = true)]
async fn pages_asked_for_together_promise_a_shared_file_once() {
    let mut world = World::new(PAGE);
    world.warm(&["/", "/other.html"]).await;
    let pages = world.together(["/", "/other.html", "/"]).await;
    let promised: Vec<_> = pages.iter().map(Response::promised).collect();
    assert_eq!(promised, [vec!["/a.css", "/b.js"], vec!["/c.css"], vec![]]);
}

#[tokio::test(start_paused = true)]
async fn what_a_client_has_asked_for_is_not_pushed() {
    let mut world = World::new(PAGE);
    world.get("/a.css").await;
    assert_eq!(world.get("/").await.promised(), ["/b.js"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_client_has_revalidated_is_not_pushed() {
    let mut world = World::new(PAGE);
    let tag = world.get("/a.css").await.header("etag").to_owned();
    world.reconnect().await;
    assert_eq!(
        world
            .get_with("/a.css", &[("if-none-match", &tag)])
            .await
            .status(),
        304
    );
    assert_eq!(world.get("/").await.promised(), ["/b.js"]);
}

#[tokio::test(start_paused = true)]
async fn an_edited_file_is_pushed_again() {
    let mut world = World::new(PAGE);
    world.get("/").await;
    world.write("/a.css", "p { color: green }");
    world.rest(AFTER_A_WHILE).await;
    let page = world.get("/").await;
    assert_eq!(page.promised(), ["/a.css"]);
    let pushed = page.promises[0].answer.as_ref().unwrap().as_ref().unwrap();
    assert_eq!(pushed.body, "p { color: green }");
}

#[tokio::test(start_paused = true)]
async fn an_edited_page_promises_what_it_names_now() {
    let mut world = World::new(PAGE);
    world.get("/").await;
    world.write(
        "/index.html",
        "<!doctype html><link rel=stylesheet href=/c.css><p>New",
    );
    world.rest(AFTER_A_WHILE).await;
    let page = world.get("/").await;
    assert!(page.text().ends_with("New"));
    assert_eq!(page.promised(), ["/c.css"]);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_push_is_held_a_refused_one_is_not() {
    let fixture = "
        //- /index.html
        <!doctype html><link rel=stylesheet href=/a.css><p>Hello
        //- /a.css size=300000
    ";
    let mut world = World::new(fixture).link(slow(10, 25));
    world
        .ask(Ask::get("/").pushes(Reading::CancelAfter(0)))
        .await;
    assert_eq!(world.get("/").await.promised(), [""; 0]);

    world.reconnect().await;
    let page = world.start("/").await;
    world.rest_ms(200).await;
    world.reset("/a.css", Reason::REFUSED_STREAM);
    world.rest_ms(200).await;
    assert_eq!(world.get("/").await.promised(), ["/a.css"]);
    page.abort();
}

#[tokio::test(start_paused = true)]
async fn only_a_page_that_is_sent_promises() {
    let mut world = World::new(PAGE);
    let tag = world.get("/").await.header("etag").to_owned();
    let modified = world.get("/").await.header("last-modified").to_owned();
    for (ask, status) in [
        (Ask::method("HEAD", "/"), 200),
        (Ask::method("POST", "/").body("x=1"), 405),
        (Ask::method("OPTIONS", "/"), 204),
        (with(&[("if-none-match", &tag)]), 304),
        (with(&[("if-modified-since", &modified)]), 304),
        (Ask::get("/nothing.html"), 404),
        (Ask::get("/a.css"), 200),
        (Ask::get("/").authority("other.example"), 421),
    ] {
        world.reconnect().await;
        let response = world.ask(ask).await;
        assert_eq!(response.status(), status);
        assert_eq!(response.promised(), [""; 0], "with status {status}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_page_for_what_is_not_there_promises_nothing() {
    let fixture = "
        //- /404.html
        <!doctype html><link rel=stylesheet href=/a.css><p>Gone
        //- /a.css
        p { color: red }
    ";
    let mut world = World::new(fixture);
    let response = world.get("/nothing").await;
    assert_eq!((response.status(), response.promised().len()), (404, 0));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_asks_for_no_pushes_gets_none() {
    let mut world = World::new(PAGE);
    for headers in [
        &[("accept-push-policy", "none")],
        &[("save-data", "on")],
        &[("sec-purpose", "prefetch")],
        &[("sec-purpose", "prefetch;prerender")],
        &[("purpose", "prefetch")],
        &[("sec-fetch-mode", "cors")],
    ] {
        assert_eq!(
            promised(&mut world, with(headers)).await,
            [""; 0],
            "{headers:?}"
        );
    }
    for headers in [
        &[("accept-push-policy", "default")],
        &[("save-data", "off")],
        &[("sec-fetch-mode", "navigate")],
        &[("cookie", "a=b")],
    ] {
        assert_eq!(
            promised(&mut world, with(headers)).await,
            ["/a.css", "/b.js"],
            "{headers:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_no_pushes_gets_none() {
    let mut world = World::new(PAGE).client(|client| client.push = false);
    world.get("/").await;
    insta::assert_snapshot!(world.transcript(), @"
        > GET /
        < 200 / text/html 84 B
    ");
}

#[tokio::test(start_paused = true)]
async fn a_returning_client_says_in_its_validator_what_it_holds() {
    let mut world = World::new(PAGE);
    let tag = world.get("/").await.header("etag").to_owned();
    let weak = format!("W/{tag}");
    let list = format!("\"x\", {weak}, \"y\"");
    let proxied = format!("{}-gzip\"", tag.trim_end_matches('"'));

    // Nothing has changed: the tag is the page's own.
    for known in [&tag, &weak, &list] {
        world.reconnect().await;
        let response = world.get_with("/", &[("if-none-match", known)]).await;
        assert_eq!(
            (response.status(), response.promised().len()),
            (304, 0),
            "{known}"
        );
        assert_eq!(response.header("etag"), tag);
    }
    // A proxy's tag does not match, but says what is held.
    assert_eq!(
        promised(&mut world, with(&[("if-none-match", &proxied)])).await,
        [""; 0]
    );
    // Garbage knows nothing.
    for garbage in ["\"\"", "\"x\"", "x", "\"x.y\"", "\"x.!!!!\""] {
        let promised = promised(&mut world, with(&[("if-none-match", garbage)])).await;
        assert_eq!(promised, ["/a.css", "/b.js"], "{garbage}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_returning_client_is_sent_only_what_has_changed() {
    let mut world = World::new(PAGE);
    let tag = world.get("/").await.header("etag").to_owned();
    world.write("/a.css", "p { color: green }");
    world.rest(AFTER_A_WHILE).await;
    world.reconnect().await;
    let response = world.get_with("/", &[("if-none-match", &tag)]).await;
    // A 304 may not change the validator (RFC 9111 section 4.3.4), so the page is sent anew.
    assert_eq!(response.status(), 200);
    assert_ne!(response.header("etag"), tag);
    assert_eq!(response.promised(), ["/a.css"]);

    let tag = response.header("etag").to_owned();
    world.write(
        "/index.html",
        "<!doctype html><link rel=stylesheet href=/a.css><p>New",
    );
    world.rest(AFTER_A_WHILE).await;
    world.reconnect().await;
    let response = world.get_with("/", &[("if-none-match", &tag)]).await;
    assert_eq!((response.status(), response.promised().len()), (200, 0));
}

#[tokio::test(start_paused = true)]
async fn validators_depend_on_the_site_alone() {
    let mut tags = Vec::new();
    for headers in [
        &[("cookie", "id=1")],
        &[("user-agent", "x")],
        &[("save-data", "on")],
        &[("cache-control", "no-cache")],
    ] {
        let mut world = World::new(PAGE);
        tags.push(world.ask(with(headers)).await.header("etag").to_owned());
        tags.push(world.ask(with(headers)).await.header("etag").to_owned());
    }
    tags.dedup();
    assert_eq!(tags.len(), 1, "{tags:?}");
}

#[tokio::test(start_paused = true)]
async fn a_forced_reload_is_pushed_everything() {
    let mut world = World::new(PAGE);
    let tag = world.get("/").await.header("etag").to_owned();
    let changed = tag.replacen('"', "\"x", 1);
    let reload = Ask::navigate("/").header("cache-control", "no-cache");
    for reload in [reload.clone(), reload.header("if-none-match", &changed)] {
        let page = world.ask(reload).await;
        assert_eq!(page.promised(), ["/a.css", "/b.js"]);
    }
    // A script that asks so does not reload the page.
    let fetched = with(&[("cache-control", "no-cache"), ("sec-fetch-mode", "cors")]);
    assert_eq!(world.ask(fetched).await.promised(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_page_followed_from_another_of_the_site_is_pushed_the_rest() {
    let mut world = World::new(PAGE);
    let follow = |referer: &str| Ask::navigate("/other.html").header("referer", referer);
    world.get("/").await;
    for (referer, expected) in [
        ("https://localhost/", &["/c.css"][..]),
        ("https://elsewhere.example/", &["/a.css", "/c.css"]),
        ("https://localhost.example/", &["/a.css", "/c.css"]),
        ("http://localhost/", &["/a.css", "/c.css"]),
        ("nonsense", &["/a.css", "/c.css"]),
        ("https://localhost/nothing.html", &["/a.css", "/c.css"]),
    ] {
        assert_eq!(
            promised(&mut world, follow(referer)).await,
            expected,
            "from {referer}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_promised_request_carries_nothing_private() {
    let mut world = World::new(PAGE);
    let ask = with(&[
        ("accept-encoding", "gzip, br"),
        ("accept-language", "de"),
        ("user-agent", "test"),
        ("cookie", "secret=1"),
        ("authorization", "Basic c2VjcmV0"),
        ("range", "items=0-1"),
        ("if-none-match", "\"x\""),
        ("x-other", "1"),
    ]);
    let page = world.ask(ask).await;
    let request = &page.promises[0].request;
    assert_eq!(request.uri(), "https://localhost/a.css");
    assert_eq!(request.method(), "GET");
    let mut names: Vec<_> = request
        .headers()
        .keys()
        .map(http::HeaderName::as_str)
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["accept-encoding", "accept-language", "user-agent"]);
}

#[tokio::test(start_paused = true)]
async fn other_origins_are_never_promised() {
    let fixture = "
        //- /index.html
        <!doctype html>
        <link rel=stylesheet href=https://other.example/a.css>
        <link rel=stylesheet href=//other.example/a.css>
        <link rel=stylesheet href=http://localhost/a.css>
        <link rel=stylesheet href=data:text/css,b{}>
        <link rel=stylesheet href=/b.css>
        <script src=\\\\other.example/c.js></script>
        <p>Hello
        //- /a.css
        p { color: red }
        //- /b.css
        @import '//other.example/a.css';
        @import 'a.css?x';
        //- /c.js
        1
    ";
    let mut world = World::new(fixture);
    assert_eq!(promised(&mut world, "/").await, ["/b.css", "/a.css?x"]);
}

#[tokio::test(start_paused = true)]
async fn queries_are_kept_and_names_escaped() {
    let fixture = "
        //- /index.html
        <!doctype html><link rel=stylesheet href='/a.css?v=1&amp;w=%20'>
        <script src='/ö ö.js'></script><p>
        //- /a.css
        p { color: red }
    ";
    let mut world = World::new(fixture);
    std::fs::write(world.path("/ö ö.js"), "1").unwrap();
    let expected = ["/a.css?v=1&w=%20", "/%C3%B6%20%C3%B6.js"];
    assert_eq!(promised(&mut world, "/").await, expected);
    assert_eq!(world.get("/%C3%B6%20%C3%B6.js").await.text(), "1");
}

#[tokio::test(start_paused = true)]
async fn what_is_marked_nopush_is_not_pushed() {
    let fixture = "
        //- /index.html
        <!doctype html><link rel=stylesheet href=/a.css data-nopush><script src=/b.js></script><p>
        //- /page.html
        <!doctype html><html data-nopush><link rel=stylesheet href=/a.css><p>
        //- /a.css
        p { color: red }
        //- /b.js
        1
    ";
    let mut world = World::new(fixture);
    assert_eq!(promised(&mut world, "/").await, ["/b.js"]);
    assert_eq!(promised(&mut world, "/page.html").await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn files_that_name_each_other_are_promised_once() {
    let fixture = "
        //- /index.html
        <!doctype html><link rel=stylesheet href=/a.css><script type=module src=/m.js></script><p>
        <iframe src=/></iframe><a href=/>again</a>
        //- /a.css
        @import 'b.css';
        @import 'a.css';
        //- /b.css
        @import 'a.css';
        //- /m.js
        import './n.js';
        //- /n.js
        import './m.js';
    ";
    let mut world = World::new(fixture);
    assert_eq!(
        promised(&mut world, "/").await,
        ["/a.css", "/b.css", "/m.js", "/n.js"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_hides_behind_a_style_sheet_is_pushed_with_the_page() {
    let fixture = "
        //- /index.html
        <!doctype html><link rel=stylesheet href=/css/a.css><h1>Hello</h1><img src=/i.png>
        //- /css/a.css
        @import 'b.css';
        @font-face { font-family: F; src: url(../f.woff2) }
        h1 { font-family: F }
        //- /css/b.css
        h1 { color: red }
        //- /f.woff2 size=1000
        //- /i.png size=1000
    ";
    let mut world = World::new(fixture);
    assert_eq!(
        promised(&mut world, "/").await,
        ["/css/a.css", "/css/b.css", "/f.woff2"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_page_promises_at_most_32() {
    let mut world = World::new(&style_sheets(40, 100));
    let promised = promised(&mut world, "/").await;
    assert_eq!(promised.len(), 32);
    assert_eq!(
        (promised[0].as_str(), promised[31].as_str()),
        ("/0.css", "/31.css")
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_not_held_in_memory_is_not_promised() {
    let fixture = style_sheets(3, 30_000) + "//- /small.css size=100\n";
    let page = "<link rel=stylesheet href=/small.css>\n<link rel=stylesheet href=/0.css>";
    let fixture = fixture.replacen("<link rel=stylesheet href=/0.css>", page, 1);
    let mut world = World::new(&fixture).site(|site| site.memory_file_bytes_max = 20_000);
    assert_eq!(promised(&mut world, "/").await, ["/small.css"]);
    assert_eq!(world.get("/0.css").await.answer().body.len(), 30_000);
}

#[tokio::test(start_paused = true)]
async fn a_page_promises_no_more_than_the_clients_window_takes() {
    let mut world =
        World::new(&style_sheets(4, 30_000)).client(|client| client.connection_window = 65_535);
    assert_eq!(promised(&mut world, "/").await, ["/0.css", "/1.css"]);
}

#[tokio::test(start_paused = true)]
async fn a_page_promises_no_more_than_the_client_allows_streams() {
    for (allowed, expected) in [(0, 0), (1, 1), (3, 3), (100, 8)] {
        let mut world = World::new(&style_sheets(8, 20_000))
            .client(|client| client.concurrent_pushes = Some(allowed));
        assert_eq!(
            promised(&mut world, "/").await.len(),
            expected,
            "{allowed} allowed"
        );
        let again = world.get("/").await;
        assert_eq!(again.status(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn how_much_is_pushed_can_be_chosen() {
    let fixture = "
        //- /index.html
        <!doctype html><link rel=stylesheet href=/a.css><script async src=/b.js></script>
        <p>Hello<img src=/i.png>
        //- /a.css
        p { color: red }
        //- /b.js
        1
        //- /i.png size=1000
    ";
    for (push, expected) in [
        (Push::Critical, &["/a.css"][..]),
        (Push::All, &["/a.css", "/b.js", "/i.png"]),
        (Push::None, &[]),
    ] {
        let mut world = World::new(fixture).site(|site| site.push = push);
        assert_eq!(promised(&mut world, "/").await, expected, "{push:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_pages_list_can_be_given_by_hand() {
    let fixture = "
        //- /push.toml
        [\"/\"]
        push = [\"/i.png\", \"/a.css\"]
        //- /index.html
        <!doctype html><link rel=stylesheet href=/a.css><script src=/b.js></script><p>Hello
        //- /a.css
        p { color: red }
        //- /b.js
        1
        //- /i.png size=1000
    ";
    let mut world = World::new(fixture);
    assert_eq!(promised(&mut world, "/").await, ["/i.png", "/a.css"]);
}

/// Asks for one thing after another, as a client finds them, and returns the milliseconds it took.
async fn load(world: &mut World, targets: &[&str]) -> u128 {
    world.warm(targets).await;
    world.reconnect().await;
    let start = Instant::now();
    for target in targets {
        if !world
            .transcript_of_newest()
            .contains(&format!("PROMISE {target}\n"))
        {
            world.get(target).await;
        }
    }
    start.elapsed().as_millis()
}

/// What it is all for: each level that hides behind another costs a round trip, unless it is sent
/// ahead.
#[tokio::test(start_paused = true)]
async fn each_hidden_level_saves_a_round_trip() {
    let fixture = "
        //- /index.html
        <!doctype html><link rel=stylesheet href=/a.css><h1>Hello</h1>
        //- /a.css
        @import 'b.css';
        //- /b.css
        @font-face { font-family: F; src: url(f.woff2) }
        h1 { font-family: F }
        //- /f.woff2 size=1000
    ";
    let targets = ["/", "/a.css", "/b.css", "/f.woff2"];
    let link = slow(10, 50);
    let mut without = World::new(fixture)
        .link(link.clone())
        .client(|client| client.push = false);
    let mut with = World::new(fixture).link(link);
    let (without, with) = (
        load(&mut without, &targets).await,
        load(&mut with, &targets).await,
    );
    assert!(
        (400..410).contains(&without),
        "{without} ms when everything is asked for"
    );
    assert!((100..110).contains(&with), "{with} ms when it is pushed");
}

/// What is refused is not held, from the moment on that it is said (RFC 9113 section 8.4.2).
#[tokio::test(start_paused = true)]
async fn what_is_refused_before_the_next_request_is_promised_again() {
    let mut world = World::new(PAGE);
    world.warm(&["/"]).await;
    let mut raw = Raw::open(&mut world, &[]).await;
    raw.say(&world, &request(1, GET)).await;
    let promised = |heard: &[Heard]| -> Vec<u32> {
        let promises = (heard.iter()).filter(|frame| frame.kind == Frame::PUSH_PROMISE);
        promises
            .map(|frame| u32::from_be_bytes(frame.payload[..4].try_into().unwrap()))
            .collect()
    };
    let first = promised(&raw.hear(&world, Duration::from_millis(10)).await);
    assert!(!first.is_empty());
    let refuse = |id: &u32| Frame::bytes(Frame::RST_STREAM, 0, *id, &7_u32.to_be_bytes());
    let mut flight: Vec<u8> = first.iter().flat_map(refuse).collect();
    flight.extend(request(3, GET));
    raw.say(&world, &flight).await;
    let again = promised(&raw.hear(&world, Duration::from_millis(10)).await);
    assert_eq!(again.len(), first.len());
}
