//! What answers where no file has the very name: pages without their ending, applications, and
//! directories.

use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use forerun::answer::Policy;
use forerun::site::UrlPath;

use crate::client::Ask;
use crate::world::World;

const SITE: &str = "
    //- /index.html
    <!doctype html><p>Root
    //- /about.html
    <!doctype html><link rel=stylesheet href=/a.css><p>About
    //- /both.html
    <!doctype html><p>both.html
    //- /both/index.html
    <!doctype html><p>both/index.html
    //- /file
    no page
    //- /file.html
    <!doctype html><p>file.html
    //- /v1.2.html
    <!doctype html><p>v1.2
    //- /blog.html
    <!doctype html><link rel=stylesheet href=/a.css><p>blog.html
    //- /blog/first.html
    <!doctype html><p>The first
    //- /a.css
    b { color: red }
    //- /404.html
    <!doctype html><p>Not here
    //- /docs/.hidden
    secret
    //- /docs/b.txt size=2000
    //- /docs/A.txt size=10
    //- /docs/sub/c.txt
    c
    //- /.git/config
    secret
    //- /.well-known/security.txt
    Contact: nobody
    //- /empty/.keep
    x
    //- /_headers
    //- /_redirects
    //- /push.toml
";

/// Returns a policy that lasts: one test, one process.
fn policy(policy: Policy) -> &'static Policy {
    Box::leak(Box::new(policy))
}

fn listing() -> World {
    let policy = policy(Policy {
        listing: true,
        ..Policy::default()
    });
    World::new(SITE).server(|options| options.policy = policy)
}

fn application(file: &str) -> World {
    let policy = policy(Policy {
        spa: Some(UrlPath::parse(file).unwrap()),
        ..Policy::default()
    });
    World::new(SITE).server(|options| options.policy = policy)
}

/// Checks status, body or location of each target, twice: the second answer needs no look.
async fn check(world: &mut World, expected: &[(&str, u16, &str)]) {
    for (target, status, said) in expected.iter().chain(expected) {
        let response = world.get(target).await;
        assert_eq!(response.status(), *status, "{target}");
        if (300..400).contains(status) {
            assert_eq!(response.header("location"), *said, "{target}");
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
async fn a_page_may_leave_its_ending_out() {
    let mut world = World::new(SITE);
    check(
        &mut world,
        &[
            ("/about", 200, "About"),
            ("/about.html", 200, "About"),
            ("/about?a=b", 200, "About"),
            ("/%61bout", 200, "About"),
            ("/about/", 404, "Not here"),
            ("/index", 200, "Root"),
            ("/file", 200, "no page"),
            ("/v1.2", 200, "v1.2"),
            // A directory wins, and sends to its slash with the query.
            ("/both", 308, "/both/"),
            ("/both?x=%2F&y", 308, "/both/?x=%2F&y"),
            ("/both/", 200, "both/index.html"),
            ("/both.html", 200, "both.html"),
            ("/docs", 308, "/docs/"),
            ("/docs/", 404, "Not here"),
            ("/404", 200, "Not here"),
            ("/nothing", 404, "Not here"),
            ("/.well-known/security.txt", 200, "Contact"),
            ("/.git/config", 404, "Not here"),
            ("/_headers", 404, "Not here"),
            ("/_redirects", 404, "Not here"),
            ("/push.toml", 404, "Not here"),
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_page_without_its_ending_is_the_same_page() {
    let mut world = World::new(SITE);
    let short = world.get("/about").await;
    world.reconnect().await;
    let long = world.get("/about.html").await;
    assert_eq!(short.answer().headers, long.answer().headers);
    assert_eq!(short.promises.len(), 1, "its style sheet is sent ahead");
    assert_eq!(long.promises.len(), 1);
    let again = [("if-none-match", short.header("etag"))];
    assert_eq!(world.get_with("/about", &again).await.status(), 304);
}

#[tokio::test(start_paused = true)]
async fn a_page_without_its_ending_comes_and_goes_with_its_file() {
    let mut world = World::new(SITE);
    let said = [("/new", 404, "Not here")];
    check(&mut world, &said).await;
    world.write("/new.html", "<!doctype html>1");
    world.rest_ms(1100).await;
    check(&mut world, &[("/new", 200, "1")]).await;
    world.write("/new.html", "<!doctype html>2");
    world.rest_ms(1100).await;
    check(&mut world, &[("/new", 200, "2")]).await;
    world.write("/new", "a file of that name");
    world.rest_ms(1100).await;
    check(&mut world, &[("/new", 200, "a file")]).await;
    std::fs::remove_file(world.path("/new")).unwrap();
    std::fs::remove_file(world.path("/new.html")).unwrap();
    world.rest_ms(1100).await;
    check(&mut world, &said).await;
}

/// Generators write a page beside the directory of what lies below it.
#[tokio::test(start_paused = true)]
async fn a_page_beside_a_directory_without_an_index_answers_for_its_name() {
    let without = [
        ("/blog", 200, "blog.html"),
        ("/blog?a=b", 200, "blog.html"),
        ("/blog.html", 200, "blog.html"),
        ("/blog/first", 200, "The first"),
    ];
    for mut world in [World::new(SITE), listing(), application("/index.html")] {
        check(&mut world, &without).await;
    }
    check(&mut listing(), &[("/blog/", 200, "first.html")]).await;
    let mut world = World::new(SITE);
    assert_eq!(world.get("/blog").await.promised(), ["/a.css"]);
    check(&mut world, &[("/blog/", 404, "Not here")]).await;

    world.write("/blog/index.html", "<!doctype html><p>An index");
    world.rest_ms(1100).await;
    let with = [("/blog", 308, "/blog/"), ("/blog/", 200, "An index")];
    check(&mut world, &with).await;
    std::fs::remove_file(world.path("/blog/index.html")).unwrap();
    world.rest_ms(1100).await;
    check(&mut world, &without).await;
    world.write("/blog.html", "<!doctype html><p>Another blog.html");
    world.rest_ms(1100).await;
    check(&mut world, &[("/blog", 200, "Another")]).await;
    std::fs::remove_file(world.path("/blog.html")).unwrap();
    world.rest_ms(1100).await;
    check(&mut world, &[("/blog", 308, "/blog/")]).await;
}

#[tokio::test(start_paused = true)]
async fn a_rule_leads_to_a_page_beside_a_directory() {
    let mut world = World::new(
        "
        //- /blog.html
        <!doctype html><p>blog.html
        //- /blog/first.html
        <!doctype html><p>The first
        //- /_redirects
        /journal /blog 200
    ",
    );
    check(&mut world, &[("/journal", 200, "blog.html")]).await;
}

/// A link says that something has the name: not yet whether that is a page.
#[tokio::test(start_paused = true)]
async fn a_rule_leads_to_a_page_that_another_has_linked_to_by_its_directory() {
    let fixture = "
        //- /q.html
        <!doctype html><link rel=stylesheet href=/blog><link rel=stylesheet href=/docs><p>Q
        //- /blog.html
        <!doctype html><p>blog.html
        //- /blog/first.html
        <!doctype html><p>The first
        //- /docs/index.html
        <!doctype html><p>An index
        //- /_redirects
        /journal /blog 200
        /manual  /docs 200
    ";
    let led = [
        ("/q.html", 200, "Q"),
        ("/journal", 200, "blog.html"),
        ("/manual", 200, "An index"),
    ];
    check(&mut World::new(fixture), &led).await;
    let direct = [
        ("/q.html", 200, "Q"),
        ("/blog", 200, "blog.html"),
        ("/docs", 308, "/docs/"),
    ];
    check(&mut World::new(fixture), &direct).await;
}

/// A rule's target changes as any file does, even if nobody asks for it by its own name.
#[tokio::test(start_paused = true)]
async fn what_a_rule_leads_to_is_looked_at_again() {
    let mut world = World::new(
        "
        //- /new.txt
        text 1
        //- /new.html
        <!doctype html><link rel=stylesheet href=/a.css><p>page 1
        //- /gone.html
        <!doctype html><p>gone 1
        //- /docs/index.html
        <!doctype html><p>docs 1
        //- /there
        a file
        //- /a.css
        b { color: red }
        //- /_redirects
        /old    /new.txt    200
        /page   /new.html   200
        /short  /new        200
        /x      /gone.html  404
        /manual /docs       200
        /there  /new.txt    200!
    ",
    );
    let said = |number| {
        let texts = ["text", "page", "gone", "docs"];
        texts.map(|text| format!("{text} {number}"))
    };
    let expected = |[text, page, gone, docs]: &[String; 4]| {
        [
            ("/old", 200, text.clone()),
            ("/page", 200, page.clone()),
            ("/short", 200, page.clone()),
            ("/x", 404, gone.clone()),
            ("/manual", 200, docs.clone()),
            ("/there", 200, text.clone()),
        ]
    };
    let check_all = async |world: &mut World, expected: &[(&str, u16, String)]| {
        let expected: Vec<_> = expected
            .iter()
            .map(|(target, status, said)| (*target, *status, said.as_str()))
            .collect();
        check(world, &expected).await;
    };
    check_all(&mut world, &expected(&said(1))).await;
    for number in 2..4 {
        let [text, page, gone, docs] = said(number);
        world.write("/new.txt", &text);
        let document = format!("<!doctype html><link rel=stylesheet href=/a.css><p>{page}");
        world.write("/new.html", &document);
        world.write("/gone.html", &format!("<!doctype html><p>{gone}"));
        world.write("/docs/index.html", &format!("<!doctype html><p>{docs}"));
        world.rest_ms(1100).await;
        check_all(&mut world, &expected(&said(number))).await;
        world.reconnect().await;
        assert_eq!(world.get("/page").await.promised(), ["/a.css"]);
    }

    // What is gone is, and may come back.
    std::fs::remove_file(world.path("/new.txt")).unwrap();
    world.rest_ms(1100).await;
    check(&mut world, &[("/old", 404, ""), ("/there", 404, "")]).await;
    world.write("/new.txt", "text 4");
    world.rest_ms(1100).await;
    let back = [("/old", 200, "text 4"), ("/there", 200, "text 4")];
    check(&mut world, &back).await;
}

#[tokio::test(start_paused = true)]
async fn the_page_of_an_application_is_looked_at_again() {
    let mut world = application("/about.html");
    let shown = async |world: &mut World| {
        world.rest_ms(1100).await;
        world.reconnect().await;
        let shown = world.ask(Ask::navigate("/users/42")).await;
        let promised = shown.promised().join(" ");
        (shown.status(), shown.text().to_owned(), promised)
    };
    let (status, text, promised) = shown(&mut world).await;
    assert!(status == 200 && text.contains("About") && promised == "/a.css");
    let document = "<!doctype html><link rel=stylesheet href=/a.css><p>Another";
    world.write("/about.html", document);
    let another = (200, document.to_owned(), "/a.css".to_owned());
    assert_eq!(shown(&mut world).await, another);
    std::fs::remove_file(world.path("/about.html")).unwrap();
    assert_eq!(shown(&mut world).await.0, 404);
    world.write("/about.html", document);
    assert_eq!(shown(&mut world).await, another);
}

/// Where what was matched makes no path, the site's own page says so.
#[tokio::test(start_paused = true)]
async fn a_rule_that_leads_to_no_path_is_answered_with_the_page_for_that() {
    let mut world = World::new(
        "
        //- /a.txt
        a
        //- /404.html
        <!doctype html><p>Not here
        //- /_redirects
        /a.txt q=:q  /:q  200!
    ",
    );
    check(&mut world, &[("/a.txt?q=%00", 404, "Not here")]).await;
}

/// `//host/%2e%2e` sends the visitors of eight out of ten servers to `host`, or fails otherwise.
#[tokio::test(start_paused = true)]
async fn no_redirect_leads_to_another_host() {
    for mut world in [World::new(SITE), listing(), application("/index.html")] {
        for target in [
            "//docs",
            "//docs/",
            "//evil.example/%2e%2e",
            "//evil.example/..",
            "/%5cevil.example",
            "/\\evil.example/",
            "///docs",
            "/docs/%2e%2e/docs",
            "/%2fevil.example/docs",
            "//localhost@evil.example/docs",
            "/.//docs",
            "/docs//..//",
        ] {
            let said =
                format!("GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
            let answer = world.say(&said).await;
            assert!(!answer.contains("\r\nlocation:"), "{target}: {answer}");
            assert!(answer.starts_with("HTTP/1.1 40"), "{target}: {answer}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_application_is_shown_to_navigations_alone() {
    let mut world = application("/about.html");
    for target in ["/deep/er?q", "/users/42", "/nothing/"] {
        let shown = world.ask(Ask::navigate(target)).await;
        assert_eq!(shown.status(), 200, "{target}");
        assert!(shown.text().contains("About"), "{target}");
        assert_eq!(shown.header("vary"), "Sec-Fetch-Mode, Accept");
        let old = world
            .get_with(target, &[("accept", "text/html,*/*;q=0.8")])
            .await;
        assert_eq!(
            old.status(),
            200,
            "{target}: browsers that do not say what for"
        );
        for fetch in [
            &[("sec-fetch-mode", "cors"), ("accept", "text/html")][..],
            &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")],
            &[("accept", "*/*")],
            &[],
        ] {
            let fetched = world.get_with(target, fetch).await;
            assert_eq!(fetched.status(), 404, "{target}: {fetch:?}");
        }
    }
    for target in ["/app.js", "/img/logo.png", "/.git/config", "/.git"] {
        let missing = world.ask(Ask::navigate(target)).await;
        assert_eq!(missing.status(), 404, "{target}");
    }
    // What is there is itself, and for everyone.
    let file = world.ask(Ask::navigate("/file")).await;
    assert_eq!(file.text(), "no page\n");
    for (target, varies) in [
        ("/file", false),
        ("/", false),
        ("/about", false),
        ("/app.js", false),
        ("/.git", false),
        ("/nothing", true),
    ] {
        let response = world.get(target).await;
        let fields = response.answer().headers.get_all("vary");
        let found = fields.iter().any(|field| field == "Sec-Fetch-Mode, Accept");
        assert_eq!(found, varies, "{target}");
    }
    assert!(world.get("/both/").await.text().contains("both/index.html"));
}

#[tokio::test(start_paused = true)]
async fn an_application_sends_ahead_what_its_page_needs() {
    let mut world = application("/about.html");
    world.ask(Ask::navigate("/users/42")).await;
    insta::assert_snapshot!(world.transcript(), @"
        > GET /users/42
        < PROMISE /a.css
        < 200 /a.css text/css 17 B, promised
        < 200 /users/42 text/html 57 B
    ");
}

#[tokio::test(start_paused = true)]
async fn a_directory_is_listed_only_where_that_is_wanted() {
    let mut world = World::new(SITE);
    assert_eq!(world.get("/docs/").await.status(), 404);
    let mut world = listing();
    let listed = world.get("/docs/").await;
    assert_eq!(listed.status(), 200);
    assert_eq!(listed.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(listed.header("cache-control"), "no-cache");
    assert_eq!(listed.header("vary"), "Accept");
    let text = listed.text();
    assert!(
        !text.contains(".hidden") && !text.contains("<script"),
        "{text}"
    );
    for said in [
        "sub</bdi>/",
        "2.0 kB",
        "10 B",
        "<a href=\"/\"><bdi>home</bdi></a> / <bdi>docs",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    check(
        &mut world,
        &[
            ("/", 200, "Root"),
            ("/docs", 308, "/docs/"),
            ("/both/", 200, "both/index.html"),
            ("/empty/", 200, "This directory is empty"),
            ("/nothing/", 404, "Not here"),
            ("/a.css/", 404, "Not here"),
            ("/.git/", 404, "Not here"),
            ("/.well-known/", 200, "security.txt"),
        ],
    )
    .await;
    let again = [("if-none-match", listed.header("etag"))];
    assert_eq!(world.get_with("/docs/", &again).await.status(), 304);
    let head = world.ask(Ask::method("HEAD", "/docs/")).await;
    assert_eq!(head.answer().headers, listed.answer().headers);
    assert_eq!(head.answer().body.len(), 0);
}

/// Returns the names in a listing, in their order.
fn names(page: &str) -> Vec<&str> {
    let rows = page.split("<tr><td>").skip(1);
    rows.map(|row| {
        row.split("<bdi>")
            .nth(1)
            .unwrap()
            .split("</bdi>")
            .next()
            .unwrap()
    })
    .collect()
}

#[tokio::test(start_paused = true)]
async fn a_listing_is_sorted_by_its_links() {
    let mut world = listing();
    for (query, expected) in [
        ("", ["sub", "A.txt", "b.txt"]),
        ("?sort=name&order=desc", ["sub", "b.txt", "A.txt"]),
        ("?sort=size", ["sub", "A.txt", "b.txt"]),
        ("?sort=size&order=desc", ["sub", "b.txt", "A.txt"]),
        ("?sort=nonsense&order=&&&=", ["sub", "A.txt", "b.txt"]),
    ] {
        let page = world.get(&format!("/docs/{query}")).await;
        assert_eq!(names(page.text()), expected, "{query}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_listing_is_json_for_those_who_ask() {
    let mut world = listing();
    let response = world
        .get_with("/docs/", &[("accept", "application/json")])
        .await;
    assert_eq!(response.header("content-type"), "application/json");
    let text = response.text();
    let parsed: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(parsed["path"], "/docs/");
    assert_eq!(parsed["complete"], true);
    assert_eq!(parsed["entries"][0]["name"], "sub");
    assert_eq!(parsed["entries"][0]["type"], "directory");
    assert_eq!(parsed["entries"][0]["url"], "/docs/sub/");
    assert_eq!(parsed["entries"][1]["size"], 10);
    assert_eq!(parsed["entries"][1]["modified"], "2025-11-24T16:00:00Z");
}

/// Names are anyone's to choose.
#[tokio::test(start_paused = true)]
async fn no_name_in_a_listing_is_more_than_a_name() {
    let mut world = listing();
    let odd = [
        "<img src=x onerror=alert(1)>",
        "\"onmouseover=\"alert(1)",
        "'a'&amp;",
        "javascript:alert(1)",
        "a?b#c%2e%",
        "\u{202e}gpj.exe",
        " space ",
        "\u{e4}",
    ];
    for name in odd {
        std::fs::write(world.path("/docs/").join(name), "x").unwrap();
    }
    symlink("/etc/passwd", world.path("/docs/outside")).unwrap();
    symlink("b.txt", world.path("/docs/inside")).unwrap();
    symlink("nowhere", world.path("/docs/broken")).unwrap();
    let fifo = world.path("/docs/fifo");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .unwrap();
    std::fs::write(world.path("/docs/back\\slash"), "x").unwrap();
    let page = world.get("/docs/").await;
    let page = page.text();
    assert!(
        !page.contains("<img") && !page.contains("\"onmouseover"),
        "{page}"
    );
    assert!(page.contains(">\u{fffd}gpj.exe<"), "{page}");
    for absent in [
        "outside",
        "broken",
        ">fifo<",
        "back\\slash",
        "href=\"javascript",
    ] {
        assert!(!page.contains(absent), "{absent}: {page}");
    }
    assert!(page.contains(">inside<"), "{page}");
    // Each leads to its file.
    let links = page.split("<tr><td><a href=\"").skip(1);
    let links: Vec<_> = links
        .map(|row| row.split('"').next().unwrap().to_owned())
        .collect();
    assert_eq!(links.len(), odd.len() + 4);
    for link in links {
        let target = link.replace("&amp;", "&").replace("&#39;", "'");
        assert!(
            target.starts_with("/docs/") && target.is_ascii(),
            "{target}"
        );
        assert_eq!(world.get(&target).await.status(), 200, "{target}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_listing_says_that_it_is_not_whole() {
    let mut world = listing();
    let most = forerun::site::listing::ENTRIES_MAX;
    let directory = world.path("/many");
    std::fs::create_dir(&directory).unwrap();
    for index in 0..most {
        std::fs::write(directory.join(format!("{index}")), "").unwrap();
    }
    let whole = world.get("/many/").await;
    let whole = whole.text();
    assert!(!whole.contains("more than"), "all are there");
    assert_eq!(names(whole).len(), most);
    std::fs::write(directory.join("one more"), "").unwrap();
    world.rest_ms(1100).await;
    let cut = world.get("/many/").await;
    let cut = cut.text();
    assert!(
        cut.contains("holds more than the 5000 entries"),
        "it says so"
    );
    assert_eq!(names(cut).len(), most);
}

/// Reading a directory takes a look at each of its files: once a second, however many ask.
#[tokio::test(start_paused = true)]
async fn a_listing_is_kept_for_a_second() {
    let mut world = listing();
    let json = [("accept", "application/json")];
    let first = world.get("/docs/").await;
    std::fs::write(world.path("/docs/new.txt"), "").unwrap();
    world.rest_ms(500).await;
    assert_eq!(world.get("/docs/").await.text(), first.text());
    for query in ["", "?sort=size&order=desc"] {
        let also = world.get_with(&format!("/docs/{query}"), &json).await;
        assert!(
            !also.text().contains("new.txt"),
            "one look is for all forms"
        );
    }
    world.rest_ms(1100).await;
    let together = world
        .together(["/docs/", "/docs/?sort=name", "/docs/"])
        .await;
    for response in &together {
        assert_eq!(names(response.text()), ["sub", "A.txt", "b.txt", "new.txt"]);
        assert_eq!(response.header("etag"), together[0].header("etag"));
    }
    assert!(
        world
            .get_with("/docs/", &json)
            .await
            .text()
            .contains("new.txt")
    );
    std::fs::remove_dir_all(world.path("/docs")).unwrap();
    world.rest_ms(1100).await;
    assert_eq!(world.get("/docs/").await.status(), 404);
}

/// Times of modification are whatever anybody has set.
#[tokio::test(start_paused = true)]
async fn a_directory_is_listed_whenever_it_was_modified() {
    let mut world = listing();
    for (path, modified) in [
        (
            "/docs/sub",
            SystemTime::UNIX_EPOCH - Duration::from_millis(5_500),
        ),
        (
            "/docs/A.txt",
            SystemTime::UNIX_EPOCH - Duration::from_millis(5_500),
        ),
        // No file system counts so far but those that are in memory, or keep 64 bits.
        (
            "/docs/far",
            SystemTime::UNIX_EPOCH + Duration::from_secs(400_000_000_000),
        ),
    ] {
        let path = world.path(path);
        if !path.exists() {
            std::fs::create_dir(&path).unwrap();
        }
        let file = std::fs::File::open(path).unwrap();
        file.set_modified(modified).unwrap();
    }
    let json = [("accept", "application/json")];
    let listed = world.get_with("/docs/", &json).await;
    assert_eq!(listed.status(), 200);
    let told: serde_json::Value = serde_json::from_str(listed.text()).unwrap();
    for entry in told["entries"].as_array().unwrap() {
        if entry["name"] == "sub" || entry["name"] == "A.txt" {
            assert_eq!(entry["modified"], "1970-01-01T00:00:00Z", "{entry}");
        }
    }
}

/// A `Location` is a URI (RFC 9110 section 10.2.2), whatever the target was.
#[tokio::test(start_paused = true)]
async fn a_redirect_to_a_name_that_was_not_encoded_is() {
    let mut world = World::new(SITE);
    std::fs::create_dir(world.path("/d\u{fc}")).unwrap();
    world.write("/d\u{fc}/index.html", "<!doctype html><p>D");
    let asked = "GET /d\u{fc}?q=\u{fc} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let said = world.say(asked).await;
    assert!(said.starts_with("HTTP/1.1 308 "), "{said}");
    let location = "location: /d%C3%BC/?q=%C3%BC\r\n";
    assert!(
        said.to_lowercase().contains(&location.to_lowercase()),
        "{said}"
    );
    check(&mut world, &[("/d%c3%bc", 308, "/d%c3%bc/")]).await;
}
