//! `_headers` and `_redirects`: what the author of a site says of its answers.

use forerun::answer::policy::Cors;
use forerun::answer::{Deliver, Policy};
use forerun::site::{SiteError, SiteOptions, SiteRoot};

use crate::client::{Ask, Response};
use crate::world::World;

mod sent_ahead;

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
