//! `_headers` and `_redirects`: what the author of a site says of its answers.

use forerun::answer::policy::Cors;
use forerun::answer::{Deliver, Policy};
use forerun::site::{SiteError, SiteOptions, SiteRoot, UrlPath};

use crate::client::{Ask, Response};
use crate::world::World;

const SITE: &str = "
    //- /index.html
    <!doctype html><link rel=stylesheet href=/a.css><p>Root
    //- /a.css
    b { color: red }
    //- /b.css
    b { color: blue }
    //- /app/index.html
    <!doctype html><p>App
    //- /app/real.txt
    real
    //- /en/404.html
    <!doctype html><p>Not here, sorry
    //- /404.html
    <!doctype html><p>Not here
    //- /_headers
    /*
      X-All: 1
      Referrer-Policy: no-referrer
    /*.css
      Cache-Control: public, max-age=7
    /b.css
      ! X-All
      Content-Type: text/x-b
    /app/*
      X-Path: :splat
    //- /_redirects
    /old/*      /app/:splat
    /find q=:q  /app/:q       302
    /app/*      /app/index.html 200
    /en/*       /en/404.html  404
    /forced     /a.css        200!
    /a.css      /b.css        307
    /b.css p=1  https://other.example/b 303!
    /about      /app
    /lost       /nowhere      200
    /raw*       /:splat       301
";

fn links(response: &Response) -> Vec<&str> {
    let links = response.answer().headers.get_all("link").iter();
    links.map(|link| link.to_str().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn redirects_and_rewrites_lead_where_they_say() {
    let mut world = World::new(SITE);
    let all = [
        ("/old/real.txt?a=b", 301, "/app/real.txt?a=b"),
        ("/find?x=1&q=a%2Fb", 302, "/app/a%2Fb"),
        ("/find", 404, "Not here"),
        ("/app/deep/er", 200, "App"),
        ("/app/real.txt", 200, "real"),
        ("/app", 308, "/app/"),
        ("/en/whatever", 404, "sorry"),
        ("/forced", 200, "b {"),
        // A file wins, unless the rule says otherwise.
        ("/a.css", 200, "red"),
        ("/b.css", 200, "blue"),
        ("/b.css?p=1", 303, "https://other.example/b"),
        ("/about", 301, "/app"),
        ("/lost", 404, "Not here"),
        ("/raw/evil.example", 301, "/evil.example"),
        ("/nothing", 404, "Not here"),
        ("//old/x", 404, "Not here"),
    ];
    for (target, status, said) in all.iter().chain(&all) {
        let response = world.get(target).await;
        assert_eq!(response.status(), *status, "{target}");
        if (300..400).contains(status) {
            assert_eq!(response.header("location"), *said, "{target}");
            assert_eq!(response.header("cache-control"), "no-cache", "{target}");
        } else {
            assert!(
                response.text().contains(said),
                "{target}: {}",
                response.text()
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn headers_are_added_replaced_and_taken_away() {
    let mut world = World::new(SITE).client(|client| client.push = false);
    let fields = |response: &Response| {
        [
            "x-all",
            "referrer-policy",
            "cache-control",
            "content-type",
            "x-path",
        ]
        .map(|name| {
            let value = response.answer().headers.get(name);
            value
                .map_or("-", |value| value.to_str().unwrap())
                .to_owned()
        })
        .join(" | ")
    };
    for (target, expected) in [
        (
            "/",
            "1 | no-referrer | no-cache | text/html; charset=utf-8 | -",
        ),
        (
            "/a.css",
            "1 | no-referrer | public, max-age=7 | text/css; charset=utf-8 | -",
        ),
        (
            "/b.css",
            "- | no-referrer | public, max-age=7 | text/x-b | -",
        ),
        (
            "/app/x/y",
            "1 | no-referrer | no-cache | text/html; charset=utf-8 | x/y",
        ),
        (
            "/nothing",
            "1 | no-referrer | no-cache | text/html; charset=utf-8 | -",
        ),
        // A redirect is none of the site's files.
        ("/old/x", "- | - | no-cache | - | -"),
    ] {
        let response = world.get(target).await;
        assert_eq!(fields(&response), expected, "{target}");
        if response.status() == 200 {
            let tag = response.header("etag").to_owned();
            let fresh = world.get_with(target, &[("if-none-match", &tag)]).await;
            assert_eq!(fresh.status(), 304, "{target}");
            let again = fields(&fresh);
            assert!(
                again.contains(expected.split(" | ").nth(2).unwrap()),
                "{target}: {again}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_pushed_has_its_own_headers() {
    let mut world = World::new(SITE);
    let page = world.get("/").await;
    let pushed = page.promises[0].answer.as_ref().unwrap().as_ref().unwrap();
    assert_eq!(pushed.headers["cache-control"], "public, max-age=7");
    assert_eq!(pushed.headers["x-all"], "1");
}

/// What is fetched twice if it is hinted is not hinted.
#[tokio::test(start_paused = true)]
async fn what_may_not_be_stored_is_not_hinted() {
    let fixture = "
        //- /index.html
        <!doctype html><link rel=stylesheet href=/a.css><link rel=stylesheet href=/b.css>
        //- /a.css
        a
        //- /b.css
        b
        //- /_headers
        /a.css
          Cache-Control: No-Store
    ";
    let mut world = World::new(fixture)
        .client(|client| client.push = false)
        .server(|options| options.deliver = Deliver::Hints);
    let page = world.ask(Ask::navigate("/")).await;
    assert_eq!(links(&page), ["</b.css>; rel=preload; as=style"]);
}

const LINKED: &str = "
    //- /index.html
    <!doctype html><link rel=stylesheet href=/a.css><h1>Hello</h1>
    //- /docs/index.html
    <!doctype html><link rel=stylesheet href=/a.css><h1>Docs</h1>
    //- /a.css
    h1 { color: red }
    //- /late.css
    h1 { color: blue }
    //- /m.js
    1
    //- /_headers
    /
      Link: </late.css>; rel=preload; as=style, </m.js>; rel=modulepreload
      Link: <https://cdn.example>; rel=preconnect
      Link: </nopush.js>; rel=preload; as=script; nopush
    /docs/*
      Link: </late.css>; rel=preload; as=style
";

#[tokio::test(start_paused = true)]
async fn links_by_hand_are_what_is_pushed() {
    let mut world = World::new(LINKED);
    let page = world.get("/").await;
    insta::assert_snapshot!(world.transcript(), @"
        > GET /
        < PROMISE /late.css
        < 200 /late.css text/css 19 B, promised
        < PROMISE /m.js
        < 200 /m.js text/javascript 2 B, promised
        < 200 / text/html 63 B
    ");
    assert_eq!(
        links(&page),
        [
            "<https://cdn.example>; rel=preconnect",
            "</nopush.js>; rel=preload; as=script; nopush"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn links_by_hand_are_what_is_hinted() {
    for deliver in [Deliver::Auto, Deliver::Hints, Deliver::Link] {
        let mut world = World::new(LINKED)
            .client(|client| client.push = false)
            .server(|options| options.deliver = deliver);
        for ask in [Ask::navigate("/index.html"), Ask::get("/index.html")] {
            let page = world.ask(ask).await;
            assert_eq!(
                links(&page),
                [
                    "</late.css>; rel=preload; as=style",
                    "</m.js>; rel=modulepreload"
                ],
                "{deliver:?}"
            );
        }
        let docs = world.get("/docs/").await;
        assert_eq!(
            links(&docs),
            ["</late.css>; rel=preload; as=style"],
            "{deliver:?}"
        );
    }
}

const DISPLACED: &str = "
    //- /index.html
    <!doctype html><link rel=stylesheet href=/p/a.css><link rel=stylesheet href=/moved.css>
    <link rel=stylesheet href=/swap.css><link rel=stylesheet href='/q.css?v=1'>
    <link rel=stylesheet href=/q.css><link rel=stylesheet href=/there.css>
    //- /p/a.css
    secret
    //- /moved.css
    moved
    //- /swap.css
    @import '/only-swap.css';
    //- /only-swap.css
    old
    //- /q.css
    q
    //- /there.css
    there
    //- /new.css
    new
    //- /_redirects
    /p/*       /x         404!
    /moved.css /new.css   301!
    /swap.css  /new.css   200!
    /q.css v=1 /new.css   302!
    /there.css /new.css   301
";

/// The same page with a list of its own.
fn displaced_by_hand() -> [String; 2] {
    let urls = ["/p/a.css", "/moved.css", "/swap.css", "/there.css"];
    let links = urls.map(|url| format!("      Link: <{url}>; rel=preload; as=style\n"));
    [
        format!("{DISPLACED}\n    //- /_headers\n    /\n{}", links.concat()),
        format!("{DISPLACED}\n    //- /push.toml\n    [\"/\"]\n    push = {urls:?}\n"),
    ]
}

/// RFC 9113 section 8.4: the answer to a promised request is the answer to that request.
#[tokio::test(start_paused = true)]
async fn what_a_rule_takes_away_is_not_sent_ahead() {
    let mut world = World::new(DISPLACED).server(|options| options.explain = true);
    let page = world.get("/").await;
    insta::assert_snapshot!(world.transcript(), @"
        > GET /
        < PROMISE /q.css
        < 200 /q.css text/css 2 B, promised
        < PROMISE /there.css
        < 200 /there.css text/css 6 B, promised
        < 200 / text/html 235 B
    ");
    insta::assert_snapshot!(page.header("server-timing").replace(", ", "\n"), @r#"
        push;desc="/q.css"
        push;desc="/there.css"
        skip;desc="/p/a.css: a rule of _redirects answers there"
        skip;desc="/moved.css: a rule of _redirects answers there"
        skip;desc="/swap.css: a rule of _redirects answers there"
        skip;desc="/q.css?v=1: a rule of _redirects answers there"
    "#);
    for (target, status) in [("/p/a.css", 404), ("/moved.css", 301), ("/swap.css", 200)] {
        assert_eq!(world.get(target).await.status(), status, "{target}");
    }
    for by_hand in displaced_by_hand() {
        let mut world = World::new(&by_hand);
        let page = world.get("/").await;
        assert_eq!(page.promised(), ["/there.css"], "{by_hand}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_rule_takes_away_is_not_hinted() {
    let [linked, listed] = displaced_by_hand();
    for (fixture, deliver, expected) in [
        (DISPLACED, Deliver::Hints, "/q.css /there.css"),
        (&listed, Deliver::Hints, "/there.css"),
        // The author's own links to what a rule answers, there or elsewhere.
        (&linked, Deliver::Hints, "/moved.css /swap.css /there.css"),
        (&linked, Deliver::Link, "/moved.css /swap.css /there.css"),
    ] {
        let mut world = World::new(fixture)
            .client(|client| client.push = false)
            .server(|options| options.deliver = deliver);
        let page = world.ask(Ask::navigate("/")).await;
        let hinted: Vec<_> = links(&page)
            .iter()
            .filter_map(|link| link.split(['<', '>']).nth(1))
            .collect();
        assert_eq!(hinted.join(" "), expected, "{deliver:?} {fixture}");
    }
}

/// `forerun plan` says what is sent.
#[test]
fn a_plan_has_nothing_that_a_rule_takes_away() {
    let [linked, listed] = displaced_by_hand();
    for (fixture, expected) in [
        (DISPLACED, "/q.css /there.css"),
        (&linked, "/there.css"),
        (&listed, "/there.css"),
    ] {
        let world = World::new(fixture);
        let site = SiteRoot::open(SiteOptions::new(world.path("/"))).unwrap();
        let page = UrlPath::parse("/").unwrap();
        let site = site.prepare_blocking(&page);
        let plan = &site.page("/").unwrap().plan;
        let sent: Vec<_> = plan.sent().map(|(_, url, _)| url.target()).collect();
        assert_eq!(sent.join(" "), expected, "{fixture}");
    }
}

/// Within a second, as all that the author says.
#[tokio::test(start_paused = true)]
async fn what_is_sent_ahead_follows_the_rules() {
    let mut world = World::new(DISPLACED);
    let promised = async |world: &mut World| {
        world.rest_ms(1100).await;
        world.reconnect().await;
        world.get("/").await.promised().join(" ")
    };
    assert_eq!(promised(&mut world).await, "/q.css /there.css");
    world.write("/_redirects", "/q.css / 301!\n");
    assert_eq!(
        promised(&mut world).await,
        "/p/a.css /moved.css /swap.css /only-swap.css /there.css"
    );
}

/// RFC 9111 section 3: what says for how long it is fresh may be kept, whatever its status.
#[tokio::test(start_paused = true)]
async fn what_one_request_is_refused_is_not_kept_for_others() {
    let mut world = World::new(
        "
        //- /a.css
        b { color: red }
        //- /_headers
        /*
          Cache-Control: public, max-age=3600
          CDN-Cache-Control: max-age=7200
          X-All: 1
        ",
    );
    for (field, status) in [
        (("if-match", "\"other\""), 412),
        (("accept-encoding", "*;q=0"), 406),
        (("range", "bytes=99-"), 416),
    ] {
        let refused = world.get_with("/a.css", &[field]).await;
        assert_eq!((refused.status(), refused.header("x-all")), (status, "1"));
        for name in ["cache-control", "cdn-cache-control", "expires"] {
            assert!(
                !refused.answer().headers.contains_key(name),
                "{name} of {status}"
            );
        }
    }
    assert_eq!(
        world.get("/a.css").await.header("cdn-cache-control"),
        "max-age=7200"
    );
}

/// A page has one plan, made of what its own name has; the links of another name stay as written.
#[tokio::test(start_paused = true)]
async fn links_of_another_name_of_a_page_are_sent() {
    let mut world = World::new(
        "
        //- /index.html
        <!doctype html><h1>Hello</h1>
        //- /a.css
        a
        //- /b.css
        b
        //- /_redirects
        /app/* /index.html 200
        //- /_headers
        /*
          Link: </a.css>; rel=preload; as=style
        /app/*
          Link: </b.css>; rel=preload; as=style
          Link: <c.css>; rel=preload; as=style
        ",
    )
    .client(|client| client.push = false);
    let page = world.ask(Ask::navigate("/app/x")).await;
    let links = page.answer().headers.get_all("link").iter();
    let mut links: Vec<_> = links.map(|link| link.to_str().unwrap()).collect();
    links.sort_unstable();
    let file = |name: &str| format!("<{name}>; rel=preload; as=style");
    assert_eq!(links, ["/a.css", "/b.css", "c.css"].map(file));
}

/// Also early, when the plan is still that of the rules before.
#[tokio::test(start_paused = true)]
async fn what_is_hinted_early_follows_the_rules() {
    let mut world = World::new(DISPLACED)
        .client(|client| client.push = false)
        .server(|options| options.deliver = Deliver::Hints);
    let hinted = async |world: &mut World| {
        let page = world.ask(Ask::navigate("/")).await;
        let early = page.hints[0].get_all("link").iter();
        let early = early.map(|link| link.to_str().unwrap().to_owned());
        early.collect::<Vec<_>>().join("\n")
    };
    assert!(hinted(&mut world).await.contains("</there.css>"));
    world.write("/_redirects", "/there.css /new.css 301!\n");
    world.rest_ms(1_100).await;
    assert_eq!(world.get("/there.css").await.status(), 301);
    assert!(!hinted(&mut world).await.contains("</there.css>"));
}

const REWRITTEN: &str = "
    //- /index.html
    <!doctype html><link rel=stylesheet href=/b.css><h1>Hello</h1>
    //- /a.css
    a
    //- /b.css
    b
    //- /gone.css
    c
    //- /_redirects
    /old/*    /:splat     200
    /gone.css /nothing    404!
    /b.css    /a.css      200!
    /far/*    /a.css      302
    //- /_headers
    /
      Link: </old/a.css>; rel=preload; as=style, </a.css>; rel=preload; as=style
      Link: </gone.css>; rel=preload; as=style, </b.css>; rel=preload; as=style; media=print
      Link: </far/a.css>; rel=preload; as=style, </missing.css>; rel=preload; as=style
";

/// What cannot be promised may still be worth a request.
#[tokio::test(start_paused = true)]
async fn links_by_hand_to_what_a_rule_answers_stay() {
    let own = [
        "</old/a.css>; rel=preload; as=style",
        "</b.css>; rel=preload; as=style; media=print",
        "</far/a.css>; rel=preload; as=style",
    ];
    for push in [true, false] {
        let mut world = World::new(REWRITTEN).client(|client| client.push = push);
        let page = world.ask(Ask::navigate("/")).await;
        let planned = "</a.css>; rel=preload; as=style";
        if push {
            assert_eq!(page.promised(), ["/a.css"]);
            assert_eq!(links(&page), own);
        } else {
            assert_eq!(links(&page), [&own[..], &[planned]].concat());
        }
    }
}

/// Whoever asked before for what answers for the name.
#[tokio::test(start_paused = true)]
async fn links_by_hand_are_the_same_whatever_was_asked_for() {
    let fixture = "
        //- /index.html
        <!doctype html><link rel=stylesheet href=/a.css><h1>Hello</h1>
        //- /about.html
        <!doctype html><h1>About</h1>
        //- /a.css
        a
        //- /_redirects
        /about /a.css 200
        //- /_headers
        /
          Link: </about>; rel=preload; as=fetch
    ";
    let mut world = World::new(fixture);
    let before = links(&world.get("/").await).join(" ");
    assert!(world.get("/about").await.text().contains("About"));
    world.reconnect().await;
    assert_eq!(links(&world.get("/").await).join(" "), before);
}

/// RFC 8288 section 3: a relative target is resolved with the URL of the page.
#[tokio::test(start_paused = true)]
async fn links_by_hand_may_be_relative() {
    let fixture = "
        //- /docs/index.html
        <!doctype html><link rel=stylesheet href=/a.css><h1>Docs</h1>
        //- /about.html
        <!doctype html><link rel=stylesheet href=/a.css><h1>About</h1>
        //- /a.css
        a
        //- /docs/b.css
        b
        //- /_headers
        /docs/*
          Link: <b.css>; rel=preload; as=style, <../a.css#x>; rel=preload; as=style
          Link: <https://cdn.example/c.css>; rel=preload; as=style
        /about
          Link: <docs/b.css?v=1>; rel=preload; as=style
    ";
    let far = ["<https://cdn.example/c.css>; rel=preload; as=style"];
    for (target, promised, left) in [
        ("/docs/", &["/docs/b.css", "/a.css"][..], &far[..]),
        ("/docs/index.html", &["/docs/b.css", "/a.css"], &far),
        ("/about", &["/docs/b.css?v=1"], &[]),
    ] {
        let mut world = World::new(fixture);
        let page = world.get(target).await;
        assert_eq!(page.promised(), promised, "{target}");
        assert_eq!(links(&page), left, "{target}");
    }
}

/// `forerun plan --as headers` writes what this reads.
#[test]
fn what_a_plan_exports_is_the_plan() {
    let fixture = "
        //- /index.html
        <!doctype html><link rel=stylesheet href=/a.css media='(min-width: 1px)'>
        <script type=module src=/m.js></script><h1>Hello</h1>
        //- /sub dir/index.html
        <!doctype html><link rel=stylesheet href='/a.css?x=1'><h1>Hello</h1>
        //- /about.html
        <!doctype html><link rel=stylesheet href=/a.css><h1>Hello</h1>
        //- /a.css
        @font-face { font-family: F; src: url(f.woff2) format('woff2') }
        h1 { font-family: F }
        //- /m.js
        import './n.js';
        //- /n.js
        1
        //- /f.woff2 size=100
    ";
    let fixture = fixture.replace("sub dir", "sub");
    let world = World::new(&fixture);
    let exported = || {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_forerun"))
            .args(["plan", "--as", "headers", "--site"])
            .arg(world.path("/"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let first = exported();
    for said in [
        "\n/about\n",
        "\n/sub/index.html\n",
        "</a.css?x=1>; rel=preload; as=style",
    ] {
        assert!(first.contains(said), "{said}: {first}");
    }
    world.write("/_headers", &first);
    assert_eq!(
        exported(),
        first,
        "the plan by hand is the plan of the graph"
    );
}

#[tokio::test(start_paused = true)]
async fn the_files_are_read_again_and_a_bad_one_changes_nothing() {
    let mut world = World::new(SITE);
    let told = async |world: &mut World| {
        world.rest_ms(1100).await;
        // The page for what is missing is looked at with it.
        world.get("/").await;
        let x = world
            .get("/a.css")
            .await
            .answer()
            .headers
            .get("x-all")
            .cloned();
        let old = world.get("/old/x").await;
        let x = x.map(|value| value.to_str().unwrap().to_owned());
        (x.unwrap_or_default(), old.status())
    };
    assert_eq!(told(&mut world).await, ("1".to_owned(), 301));
    world.write("/_headers", "/*\n  X-All: 2\n");
    world.write("/_redirects", "/old/* / 302\n");
    assert_eq!(told(&mut world).await, ("2".to_owned(), 302));
    world.write("/_headers", "/*\n  Content-Length: 3\n");
    world.write("/_redirects", "/old/* /x 299\n");
    assert_eq!(told(&mut world).await, ("2".to_owned(), 302));
    world.write("/_headers", "/*\n  X-All: 4\n");
    std::fs::remove_file(world.path("/_redirects")).unwrap();
    assert_eq!(told(&mut world).await, ("4".to_owned(), 404));
}

#[test]
fn a_bad_file_keeps_the_server_from_starting() {
    for (file, text, said) in [
        (
            "/_headers",
            "/*\n  X-A: 1\n  Transfer-Encoding: chunked\n",
            "line 3",
        ),
        (
            "/_redirects",
            "/a /b\n/api/* https://api.example/:splat 200\n",
            "line 2",
        ),
        ("/_redirects", "/a /b 302 Country=de\n", "Country=de"),
    ] {
        let world = World::new(SITE);
        world.write(file, text);
        match SiteRoot::open(SiteOptions::new(world.path("/"))) {
            Err(SiteError::Author { path, reason }) => {
                assert!(path.ends_with(&file[1..]), "{path:?}");
                assert!(reason.contains(said), "{reason}");
            }
            other => panic!("{file} is taken: {other:?}"),
        }
    }
}

/// A rule says where to go from what is not there: it does not keep that from coming back.
#[tokio::test(start_paused = true)]
async fn what_comes_back_is_seen_whatever_rules_lead_away() {
    let mut world = World::new(
        "
        //- /index.html
        <!doctype html><p>Root
        //- /old.html
        <!doctype html><p>Old
        //- /docs/index.html
        <!doctype html><p>Docs
        //- /_redirects
        /old.html /new.html
        ",
    );
    let statuses = async |world: &mut World| {
        world.rest_ms(1100).await;
        let mut statuses = Vec::new();
        for target in ["/old.html", "/docs", "/old.html", "/docs"] {
            statuses.push(world.get(target).await.status());
        }
        statuses
    };
    assert_eq!(statuses(&mut world).await, [200, 308, 200, 308]);
    std::fs::remove_file(world.path("/old.html")).unwrap();
    std::fs::remove_dir_all(world.path("/docs")).unwrap();
    world.write("/docs", "a file of that name");
    assert_eq!(statuses(&mut world).await, [301, 200, 301, 200]);
    world.write("/old.html", "<!doctype html><p>Old again");
    assert_eq!(statuses(&mut world).await, [200, 200, 200, 200]);
}

/// Also where no page is asked for, and where what is asked for was looked at later than the rules.
#[tokio::test(start_paused = true)]
async fn edited_rules_count_within_a_second_for_every_request() {
    let mut world = World::new(
        "
        //- /a.txt
        a
        //- /b.txt
        b
        //- /_headers
        /*
          X-All: 1
        //- /_redirects
        /go /a.txt 302!
        ",
    );
    let told = async |world: &mut World, target: &str| {
        let response = world.get(target).await;
        (response.status(), response.header("x-all").to_owned())
    };
    assert_eq!(told(&mut world, "/a.txt").await, (200, "1".to_owned()));
    world.rest_ms(600).await;
    assert_eq!(told(&mut world, "/b.txt").await, (200, "1".to_owned()));
    assert_eq!(world.get("/go").await.header("location"), "/a.txt");
    world.write("/_headers", "/*\n  X-All: 2\n");
    world.write("/_redirects", "/go /b.txt 302!\n");
    world.rest_ms(600).await;
    assert_eq!(world.get("/go").await.header("location"), "/b.txt");
    assert_eq!(told(&mut world, "/b.txt").await, (200, "2".to_owned()));
    assert_eq!(told(&mut world, "/a.txt").await, (200, "2".to_owned()));
}

/// The same with `--listing`, `--cors` and `_headers` that know better.
#[tokio::test(start_paused = true)]
async fn what_an_answer_depends_on_is_not_the_authors_to_deny() {
    let fixture = "
        //- /index.html size=2000
        <!doctype html><p>Root
        //- /docs/a.txt
        a
        //- /other/a.txt
        a
        //- /_headers
        /*
          Vary: X-Own
        /docs/*
          ! Vary
        /index.html
          ! Vary
        /
          ! Vary
          Vary: X-Other
    ";
    let policy: &'static Policy = Box::leak(Box::new(Policy {
        listing: true,
        cors: Cors::These(vec!["https://a.example".parse().unwrap()]),
        ..Policy::default()
    }));
    let mut world = World::new(fixture).server(|options| options.policy = policy);
    for (target, expected) in [
        ("/", "Origin, X-Other | Accept-Encoding"),
        ("/index.html", "Origin | Accept-Encoding"),
        ("/docs/", "Accept | Origin"),
        ("/other/", "Accept, Origin, X-Own"),
        ("/docs/a.txt", "Origin"),
        ("/nothing", "Origin, X-Own"),
    ] {
        let response = world.get(target).await;
        let fields = response.answer().headers.get_all("vary").iter();
        let fields: Vec<_> = fields.map(|field| field.to_str().unwrap()).collect();
        assert_eq!(fields.join(" | "), expected, "{target}");
    }
}

/// A file that has both names is not sent elsewhere, and one that a rule sends elsewhere takes its
/// query along.
#[tokio::test(start_paused = true)]
async fn a_page_with_its_ending_keeps_its_query() {
    let fixture = "
        //- /about.html
        <!doctype html><p>About
        //- /team.html
        <!doctype html><p>Team
        //- /_redirects
        /team.html /team 301!
    ";
    let mut world = World::new(fixture);
    for _ in 0..2 {
        assert_eq!(world.get("/about.html?x").await.status(), 200);
        let sent = world.get("/team.html?x=%2F&y").await;
        assert_eq!(
            (sent.status(), sent.header("location")),
            (301, "/team?x=%2F&y")
        );
        assert_eq!(world.get("/team?x=%2F&y").await.status(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn no_rule_leads_to_another_host_unless_it_says_so() {
    let rules = "
        //- /index.html
        <!doctype html><p>Root
        //- /docs/index.html
        docs
        //- /_redirects
        /go/*  /:splat
        /*     /:splat/
    ";
    let mut world = World::new(rules);
    for target in [
        "//evil.example/%2e%2e",
        "//evil.example",
        "/go//evil.example",
        "/go/%2fevil.example",
        "/go/%5cevil.example",
        "///docs",
    ] {
        let said = format!("GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let answer = world.say(&said).await;
        assert!(!answer.contains("\r\nlocation:"), "{target}: {answer}");
        assert!(answer.starts_with("HTTP/1.1 40"), "{target}: {answer}");
    }
}
