//! What is sent ahead of a page whose author has rules: by `Link` in `_headers`, and around what
//! `_redirects` takes away.

use forerun::answer::Deliver;
use forerun::site::{SiteOptions, SiteRoot, UrlPath};

use super::links;
use crate::client::Ask;
use crate::world::World;

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
