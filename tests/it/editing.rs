//! Pages while their site is edited: injected where they are shown, with validators that lose no
//! edit and outlive no session of editing.

use std::time::SystemTime;

use bytes::Bytes;
use forerun::answer::requested::{Use, User};
use forerun::answer::{
    Action, Admission, Answer, Authority, Body, Deliver, Held, LivePage, Moment, Options, Peer,
    Pushes, answer,
};
use forerun::hub::EventId;
use forerun::site::graph::graph;
use forerun::site::plan::{ByHand, Push, plan};
use forerun::site::{Asset, ContentHash, Site, SiteUrl, UrlPath};
use http::Request;

use crate::client::Ask;
use crate::world::World;

const PAGE: &str = "<!doctype html><link rel=stylesheet href=/a.css><img src=/i.png loading=lazy>";

fn live(offset: u64) -> LivePage {
    LivePage {
        cursor: EventId { epoch: 7, offset },
        script: ContentHash([1; 16]),
        problem: None,
        console: true,
    }
}

fn snippet(offset: u64, version: &str) -> String {
    let script = ContentHash([1; 16]);
    format!(
        "<script src=\"/.forerun/live.js?v={script}\" data-cursor=\"7.{offset}\" \
         data-page=\"{version}\"></script>"
    )
}

/// A snapshot of some files, and what is known of its page.
fn site(files: &[(&str, &str)]) -> Site {
    let path = |text: &str| UrlPath::parse(text).unwrap();
    let mut site = Site::default();
    for (name, content) in files {
        let content = Bytes::copy_from_slice(content.as_bytes());
        site = site.with_asset(Asset::in_memory(path(name), content));
    }
    let page = path("/index.html");
    if site.asset("/index.html").is_none() {
        return site.with_missing(&page);
    }
    let graph = graph(&site, &SiteUrl::parse("/").unwrap());
    let plan = plan(&site, &graph, &ByHand::Nothing, Push::default());
    site.with_plan(&page, plan)
}

/// Asks for `/` with some header fields.
fn ask(site: &Site, live: Option<LivePage>, method: &str, fields: &[(&str, &str)]) -> Answer {
    ask_for("/", site, live, method, fields)
}

fn ask_for(
    path: &str,
    site: &Site,
    live: Option<LivePage>,
    method: &str,
    fields: &[(&str, &str)],
) -> Answer {
    ask_as(Admission::Granted, path, site, live, method, fields)
}

fn ask_as(
    admission: Admission,
    path: &str,
    site: &Site,
    live: Option<LivePage>,
    method: &str,
    fields: &[(&str, &str)],
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let (request, ()) = request.body(()).unwrap().into_parts();
    let peer = Peer {
        admission,
        authority: Authority::Covered,
        pushes: Pushes::Refused,
        held: &Held::default(),
        informed: false,
    };
    let options = Options {
        live,
        ..Options::default()
    };
    let moment = Moment::new(SystemTime::UNIX_EPOCH);
    answer(&request, &peer, site, options, &moment)
}

const SHOWN: (&str, &str) = ("sec-fetch-dest", "document");

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let value = answer.head.headers().get(name);
    value.map_or("", |value| value.to_str().unwrap())
}

fn text(answer: &Answer) -> &str {
    match &answer.body {
        Body::Memory(bytes) => std::str::from_utf8(bytes).unwrap(),
        Body::Empty => "",
        Body::Feed { .. } => panic!("no feed"),
        Body::Streamed(_) | Body::Pieces(_) => panic!("it is streamed, or a part"),
    }
}

#[test]
fn a_page_is_injected_where_it_is_shown() {
    let site = site(&[("/index.html", PAGE), ("/a.css", "b {}")]);
    let fetched = ask(&site, Some(live(3)), "GET", &[("sec-fetch-dest", "empty")]);
    assert_eq!(text(&fetched), PAGE);
    let version = header(&fetched, "etag").trim_matches('"');

    let shown = ask(&site, Some(live(3)), "GET", &[SHOWN]);
    let expected = PAGE.replace("<link", &format!("{}<link", snippet(3, version)));
    assert_eq!(text(&shown), expected);
    assert_eq!(header(&shown, "content-length"), expected.len().to_string());
    assert!(header(&shown, "etag").starts_with(&format!("\"live-{version}~7.3~")));
    assert_eq!(header(&shown, "last-modified"), "");
    for answer in [&fetched, &shown] {
        assert_eq!(header(answer, "vary"), "Sec-Fetch-Dest, Accept");
        assert_eq!(header(answer, "cache-control"), "no-cache");
    }
}

#[test]
fn head_is_get_without_the_body() {
    let fields: [&[(&str, &str)]; 3] = [&[SHOWN], &[("accept", "text/html")], &[]];
    for site in [site(&[("/index.html", PAGE)]), site(&[])] {
        for fields in fields {
            let get = ask(&site, Some(live(3)), "GET", fields);
            let head = ask(&site, Some(live(3)), "HEAD", fields);
            let without_link = |answer: &Answer| {
                let mut headers = answer.head.headers().clone();
                headers.remove("link");
                headers
            };
            assert_eq!(head.head.status(), get.head.status());
            assert_eq!(without_link(&head), without_link(&get));
            assert_eq!(head.body.length(), 0);
        }
    }
}

#[test]
fn a_copy_is_good_until_something_is_published() {
    let site = site(&[("/index.html", PAGE)]);
    let first = ask(&site, Some(live(3)), "GET", &[SHOWN]);
    let tag = header(&first, "etag");
    let again = ask(
        &site,
        Some(live(3)),
        "GET",
        &[SHOWN, ("if-none-match", tag)],
    );
    assert_eq!(again.head.status(), 304);
    assert_eq!(header(&again, "vary"), "Sec-Fetch-Dest, Accept");
    // An old cursor would be told again of what the page knows: at worst it would reload for ever.
    let later = ask(
        &site,
        Some(live(4)),
        "GET",
        &[SHOWN, ("if-none-match", tag)],
    );
    assert_eq!(later.head.status(), 200);
    assert!(text(&later).contains("data-cursor=\"7.4\""));
    // It changes without its file.
    let date = "Fri, 31 Dec 9999 23:59:59 GMT";
    let dated = [SHOWN, ("if-modified-since", date)];
    assert_eq!(ask(&site, Some(live(4)), "GET", &dated).head.status(), 200);
}

/// RFC 9110 section 13.1.1.
#[test]
fn what_if_match_names_is_the_form_that_is_shown() {
    let page = format!("{PAGE}{}", "<p>Text\n".repeat(1_000));
    let site = site(&[("/index.html", &page)]);
    let shown = |fields: &[(&str, &str)]| ask(&site, Some(live(3)), "GET", fields);
    let gzip = ("accept-encoding", "gzip");
    let (plain, encoded) = (shown(&[SHOWN]), shown(&[SHOWN, gzip]));
    assert_eq!(header(&encoded, "content-encoding"), "gzip");
    let (plain, encoded) = (header(&plain, "etag"), header(&encoded, "etag"));
    let status = |tag| {
        shown(&[SHOWN, gzip, ("if-match", tag)])
            .head
            .status()
            .as_u16()
    };
    assert_eq!(
        (status(encoded), status("*"), status(plain)),
        (200, 200, 412)
    );
}

#[test]
fn no_copy_outlives_the_editing() {
    let site = site(&[("/index.html", PAGE), ("/a.css", "b {}")]);
    let edited = ask(&site, Some(live(3)), "GET", &[SHOWN]);
    let tag = header(&edited, "etag");
    let served = ask(&site, None, "GET", &[SHOWN, ("if-none-match", tag)]);
    assert_eq!((served.head.status().as_u16(), text(&served)), (200, PAGE));
    assert_eq!(header(&served, "vary"), "");
    // And none comes in from before.
    let tag = header(&served, "etag");
    let edited = ask(
        &site,
        Some(live(3)),
        "GET",
        &[SHOWN, ("if-none-match", tag)],
    );
    assert_eq!(edited.head.status(), 200);
}

#[test]
fn a_site_without_a_page_for_it_has_one_that_comes_back() {
    let gone = site(&[]);
    let shown = ask(&gone, Some(live(3)), "GET", &[SHOWN]);
    let fetched = ask(&gone, Some(live(3)), "HEAD", &[("sec-fetch-dest", "empty")]);
    let version = header(&fetched, "etag").trim_matches('"');
    assert!(version.starts_with("missing-"));
    assert_eq!(shown.head.status(), 404);
    assert_eq!(header(&shown, "content-type"), "text/html; charset=utf-8");
    assert!(text(&shown).contains(&snippet(3, version)));

    let ours = "<!doctype html><title>Ours</title>";
    let own = site(&[("/404.html", ours)]);
    let shown = ask(&own, Some(live(3)), "GET", &[SHOWN]);
    let fetched = ask(&own, Some(live(3)), "GET", &[]);
    let version = header(&fetched, "etag").trim_matches('"');
    let expected = ours.replace("<title>O", &format!("{}<title>O", snippet(3, version)));
    assert_eq!((text(&shown), text(&fetched)), (&*expected, ours));
    assert_eq!(header(&shown, "content-length"), expected.len().to_string());
    // There is no 304 for what is not there.
    let tag = header(&shown, "etag");
    let again = ask(&own, Some(live(3)), "GET", &[SHOWN, ("if-none-match", tag)]);
    assert_eq!(again.head.status(), 404);
}

#[test]
fn what_has_no_place_for_a_script_is_sent_as_it_is() {
    let page = "\u{1}\u{2}<!doctype html>";
    let site = site(&[("/index.html", page)]);
    let shown = ask(&site, Some(live(3)), "GET", &[SHOWN]);
    assert_eq!(text(&shown), page);
    assert!(!header(&shown, "etag").contains("live"));
}

/// Checks who is found to use what is asked for, as `page /docs/ uses /data.json`.
#[track_caller]
fn check_used(target: &str, method: &str, fields: &[(&str, &str)], expected: &str) {
    let files = [("/index.html", PAGE), ("/a.js", "1"), ("/data.json", "{}")];
    let mut fields = fields.to_vec();
    fields.push(("host", "localhost:8443"));
    let used = match ask_for(target, &site(&files), Some(live(3)), method, &fields).action {
        Some(Action::Used(Use { by, path })) => match by {
            User::Page(by) => format!("page {by} uses {path}"),
            User::Part(by) => format!("part {by} uses {path}"),
        },
        Some(other) => panic!("{other:?}"),
        None => String::new(),
    };
    assert_eq!(used, expected, "{method} {target} {fields:?}");
    let served = ask_for(target, &site(&files), None, method, &fields);
    assert_eq!(served.action, None);
}

/// Whoever may not read the site does not teach it, either.
#[test]
fn who_is_refused_uses_nothing() {
    let site = site(&[("/index.html", PAGE), ("/data.json", "{}")]);
    let fields = [
        ("host", "localhost"),
        ("referer", "https://localhost/docs/"),
        ("sec-fetch-dest", "empty"),
    ];
    for (admission, is_noted) in [(Admission::Granted, true), (Admission::Refused, false)] {
        let answer = ask_as(
            admission,
            "/data.json",
            &site,
            Some(live(3)),
            "GET",
            &fields,
        );
        assert_eq!(answer.action.is_some(), is_noted, "{admission:?}");
    }
}

#[test]
fn who_asks_is_who_uses() {
    let own = ("referer", "https://localhost:8443/docs/?q");
    let fetched = ("sec-fetch-dest", "empty");
    let used = "page /docs/ uses /data.json";
    check_used("/data.json?v=1", "GET", &[own, fetched], used);
    check_used("/data.json", "HEAD", &[own], used);
    // A file that is not there may come.
    check_used(
        "/d%61ta/",
        "GET",
        &[own],
        "page /docs/ uses /data/index.html",
    );
    let part = ("referer", "https://localhost:8443/a.js");
    check_used("/data.json", "GET", &[part], "part /a.js uses /data.json");

    check_used("/data.json", "POST", &[own], "");
    check_used("/data.json", "GET", &[], "");
    check_used("/", "GET", &[own, SHOWN], "");
    check_used("/", "GET", &[own, ("sec-fetch-dest", "iframe")], "");
    check_used("/data.json", "GET", &[own, ("sec-purpose", "prefetch")], "");
    for other in [
        "https://other.example/docs/",
        "https://localhost/docs/",
        "http://localhost:8443/docs/",
        "https://localhost:8443/../%",
        "/docs/",
        "",
    ] {
        check_used("/data.json", "GET", &[("referer", other)], "");
    }
}

const SITE: &str = "
    //- /index.html
    <!doctype html><link rel=stylesheet href=/a.css><h1>Hello</h1><img src=/i.png loading=lazy>
    //- /a.css
    @import 'b.css';
    //- /b.css
    h1 { color: red }
    //- /i.png size=1000
    //- /app.3f9ac0d1.js
    1
    //- /docs/index.html
    x
";

#[tokio::test(start_paused = true)]
async fn pages_are_pushed_as_ever_and_nothing_is_fresh() {
    let mut world = World::new(SITE).server(|options| options.live = Some(live(3)));
    let page = world.ask(Ask::navigate("/")).await;
    assert_eq!(page.promised(), ["/a.css", "/b.css"]);
    let tag = page.header("etag").to_owned();
    assert!(page.text().contains("data-cursor=\"7.3\""));
    world.reconnect().await;
    // The digest is read out of an injected page's tag.
    let ask = Ask::navigate("/").header("if-none-match", &tag.replace("7.3", "7.2"));
    let again = world.ask(ask).await;
    assert_eq!((again.status(), again.promised().len()), (200, 0));
    for (target, status) in [
        ("/a.css", 200),
        ("/i.png", 200),
        ("/app.3f9ac0d1.js", 200),
        ("/docs", 308),
        ("/gone", 404),
    ] {
        let response = world.get(target).await;
        assert_eq!(response.status(), status, "{target}");
        assert_eq!(response.header("cache-control"), "no-cache", "{target}");
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_hinted_early() {
    for deliver in [Deliver::Auto, Deliver::Hints] {
        let mut world = World::new(SITE)
            .client(|client| client.push = false)
            .server(|options| {
                options.live = Some(live(3));
                options.deliver = deliver;
            });
        for _ in 0..2 {
            let page = world.ask(Ask::navigate("/")).await;
            assert_eq!(page.hints.len(), 0, "{deliver:?}");
            assert!(page.header("link").contains("/a.css"), "{deliver:?}");
        }
    }
}

/// The version covers what is not sent ahead too, and is the same when nothing has changed.
#[tokio::test(start_paused = true)]
async fn a_version_names_all_that_a_page_needs() {
    let version = async |change: &[(&str, &str)]| {
        let mut world = World::new(SITE).server(|options| options.live = Some(live(3)));
        for (path, content) in change {
            world.write(path, content);
        }
        let fetched = world.ask(Ask::method("HEAD", "/")).await;
        fetched.header("etag").to_owned()
    };
    let first = version(&[]).await;
    assert_eq!(version(&[]).await, first);
    assert_eq!(version(&[("/docs/index.html", "y")]).await, first);
    for path in ["/i.png", "/b.css", "/index.html"] {
        assert_ne!(version(&[(path, "y")]).await, first, "{path}");
    }
}
