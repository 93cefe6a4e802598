//! HTTP over the site: methods, validators, redirects, what is not there, odd paths.

use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use crate::client::{Ask, Response};
use crate::world::{World, slow};

const SITE: &str = "
    //- /index.html
    <!doctype html><p>Root
    //- /docs/index.html
    <!doctype html><p>Docs
    //- /docs/page.html
    <!doctype html><p>Page
    //- /empty.txt size=0
    //- /a.css
    b { color: red }
    //- /app.3f9ac0d1.js
    1
    //- /data.json
    {}
    //- /unknown.zzz
    ?
    //- /.well-known/security.txt
    Contact: nobody
    //- /.hidden
    secret
    //- /.git/config
    secret
    //- /docs/.hidden.html
    secret
";

/// Returns status and headers that matter, a line each.
fn told(response: &Response) -> String {
    let answer = response.answer();
    let header = |name: &str| {
        let value = answer.headers.get(name)?.to_str().unwrap();
        Some(format!("{name}: {value}\n"))
    };
    let names = [
        "content-type",
        "content-length",
        "location",
        "allow",
        "cache-control",
    ];
    let headers: String = names.into_iter().filter_map(header).collect();
    format!("{}\n{headers}", answer.status.as_u16())
}

#[tokio::test(start_paused = true)]
async fn a_file_is_sent_with_what_a_client_needs_to_know() {
    let mut world = World::new(SITE);
    let response = world.get("/a.css").await;
    insta::assert_snapshot!(told(&response), @"
        200
        content-type: text/css; charset=utf-8
        content-length: 17
        cache-control: public, max-age=60
    ");
    assert_eq!(response.text(), "b { color: red }\n");
    assert_eq!(response.header("x-content-type-options"), "nosniff");
    for name in ["etag", "last-modified", "date"] {
        assert!(!response.header(name).is_empty(), "{name} is missing");
    }
}

#[tokio::test(start_paused = true)]
async fn text_says_its_charset() {
    let mut world = World::new(SITE);
    for (target, media_type) in [
        ("/", "text/html; charset=utf-8"),
        ("/a.css", "text/css; charset=utf-8"),
        ("/app.3f9ac0d1.js", "text/javascript; charset=utf-8"),
        ("/empty.txt", "text/plain; charset=utf-8"),
        ("/data.json", "application/json"),
        ("/unknown.zzz", "application/octet-stream"),
    ] {
        assert_eq!(
            world.get(target).await.header("content-type"),
            media_type,
            "{target}"
        );
    }
}

/// What is streamed is not read before, but for how it begins.
#[tokio::test(start_paused = true)]
async fn large_text_in_another_encoding_names_its_own_charset() {
    let mut world = World::new(SITE).site(|site| site.memory_file_bytes_max = 1_000);
    let declared = b"<!doctype html><meta charset=windows-1252><p>gr\xfcn".to_vec();
    let filled = |mut content: Vec<u8>, with: &str| {
        content.extend(with.repeat(50_000).bytes());
        content
    };
    for (name, content, media_type) in [
        ("/old.html", filled(declared, " "), "text/html"),
        // However a block of it ends, that is within a letter for one of the two.
        (
            "/a.html",
            filled(Vec::new(), "\u{fc}"),
            "text/html; charset=utf-8",
        ),
        (
            "/b.html",
            filled(b"b".to_vec(), "\u{fc}"),
            "text/html; charset=utf-8",
        ),
        (
            "/c.bin",
            filled(b"\xfc".to_vec(), " "),
            "application/octet-stream",
        ),
    ] {
        std::fs::write(world.path(name), content).unwrap();
        let told = world.get(name).await;
        assert_eq!(told.header("content-type"), media_type, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn head_is_get_without_the_body() {
    let mut world = World::new(SITE);
    for target in ["/", "/a.css", "/empty.txt", "/docs", "/nothing"] {
        let get = world.get(target).await;
        let head = world.ask(Ask::method("HEAD", target)).await;
        assert_eq!(head.status(), get.status(), "{target}");
        assert_eq!(head.answer().headers, get.answer().headers, "{target}");
        assert_eq!(head.answer().body.len(), 0, "{target}");
    }
}

#[tokio::test(start_paused = true)]
async fn other_methods_are_told_which_there_are() {
    let mut world = World::new(SITE);
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"] {
        let response = world.ask(Ask::method(method, "/").body("x")).await;
        assert_eq!(response.status(), 405, "{method}");
        assert_eq!(response.header("allow"), "GET, HEAD, OPTIONS", "{method}");
    }
    let options = world.ask(Ask::method("OPTIONS", "/a.css")).await;
    assert_eq!(options.status(), 204);
    assert_eq!(options.header("allow"), "GET, HEAD, OPTIONS");
    let server = world.ask(Ask::method("OPTIONS", "*")).await;
    assert_eq!(server.status(), 204);
    assert_eq!(world.get("*").await.status(), 400);
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_is_good_is_not_sent_again() {
    let mut world = World::new(SITE);
    for target in ["/", "/a.css"] {
        let first = world.get(target).await;
        let tag = first.header("etag").to_owned();
        let modified = first.header("last-modified").to_owned();
        for (name, value, status) in [
            ("if-none-match", tag.as_str(), 304),
            ("if-none-match", &format!("W/{tag}"), 304),
            ("if-none-match", &format!("\"x\", {tag}"), 304),
            ("if-none-match", "*", 304),
            ("if-none-match", "\"x\"", 200),
            ("if-modified-since", &modified, 304),
            ("if-modified-since", "Thu, 01 Jan 1970 00:00:00 GMT", 200),
            ("if-modified-since", "yesterday", 200),
        ] {
            let response = world.get_with(target, &[(name, value)]).await;
            assert_eq!(response.status(), status, "{target} with {name}: {value}");
            assert_eq!(
                response.header("etag"),
                tag,
                "{target} with {name}: {value}"
            );
            if status == 304 {
                assert_eq!(response.answer().body.len(), 0);
                assert_eq!(
                    response.header("cache-control"),
                    first.header("cache-control")
                );
            }
        }
        // The tag outweighs the date (RFC 9110 section 13.2.2).
        let both = [
            ("if-none-match", "\"x\""),
            ("if-modified-since", modified.as_str()),
        ];
        assert_eq!(world.get_with(target, &both).await.status(), 200);
    }
}

#[tokio::test(start_paused = true)]
async fn caching_follows_what_a_name_says() {
    let mut world = World::new(SITE);
    for (target, expected) in [
        ("/", "no-cache"),
        ("/docs/page.html", "no-cache"),
        ("/a.css", "public, max-age=60"),
        ("/app.3f9ac0d1.js", "public, max-age=31536000, immutable"),
    ] {
        assert_eq!(
            world.get(target).await.header("cache-control"),
            expected,
            "{target}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_directory_without_its_slash_is_redirected_query_kept() {
    let mut world = World::new(SITE);
    for (target, location) in [
        ("/docs", "/docs/"),
        ("/docs?a=1&b=%20", "/docs/?a=1&b=%20"),
        ("/docs?", "/docs/?"),
    ] {
        let response = world.get(target).await;
        assert_eq!(response.status(), 308, "{target}");
        assert_eq!(response.header("location"), location, "{target}");
    }
    assert!(world.get("/docs/").await.text().contains("Docs"));
    assert_eq!(world.get("/docs/?a=1").await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_redirect_never_leaves_the_site() {
    let mut world = World::new(SITE);
    for target in [
        "//docs",
        "///docs",
        "//other.example/docs",
        "/\\docs",
        "//other.example/..",
    ] {
        let response = world.get(target).await;
        let location = response.header("location");
        assert!(
            !location.starts_with("//") && !location.contains('\\') && !location.contains("://"),
            "{target} to {location}"
        );
        assert!(
            [308, 400, 404].contains(&response.status()),
            "{target}: {}",
            response.status()
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_there_is_404() {
    let mut world = World::new(SITE);
    for target in [
        "/nothing",
        "/docs/nothing",
        "/a.css/",
        "/a.css/b",
        "/.hidden",
        "/.git/config",
        "/.git",
        "/docs/.hidden.html",
        "/%2egit/config",
        "/.",
    ] {
        let response = world.get(target).await;
        assert!(
            [400, 404].contains(&response.status()),
            "{target}: {}",
            response.status()
        );
        assert!(!response.text().contains("secret"), "{target}");
    }
    assert_eq!(world.get("/.well-known/security.txt").await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn the_sites_own_page_says_what_is_not_there() {
    let mut world = World::new(
        "
        //- /404.html
        <!doctype html><p>Gone
    ",
    );
    let response = world.get("/nothing?x").await;
    assert_eq!(response.status(), 404);
    assert!(response.text().contains("Gone"));
    assert_eq!(response.header("content-type"), "text/html; charset=utf-8");
    // Itself, it is a page like any other.
    assert_eq!(world.get("/404.html").await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn odd_paths_never_reach_a_file_outside() {
    let mut world = World::new(SITE);
    std::fs::write(world.path("../secret.txt"), "secret").unwrap();
    symlink(world.path("../secret.txt"), world.path("link.txt")).unwrap();
    symlink(world.path(".."), world.path("up")).unwrap();
    symlink("loop", world.path("loop")).unwrap();
    symlink("a.css", world.path("inside.css")).unwrap();
    for target in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/..%2fsecret.txt",
        "/docs/../../secret.txt",
        "/docs/%2e%2e/%2e%2e/secret.txt",
        "/..\\secret.txt",
        "/..%5csecret.txt",
        "/%00",
        "/%ff",
        "/a.css%00.html",
        "/%c0%ae%c0%ae/secret.txt",
        "/%",
        "/%2",
        "/%zz",
        "/link.txt",
        "/up/secret.txt",
        "/loop",
        "//secret.txt",
        "/%2fsecret.txt",
        "/%e0%80%af",
        "/docs%2fpage.html",
    ] {
        let response = world.get(target).await;
        assert!(
            [400, 404].contains(&response.status()),
            "{target}: {}",
            response.status()
        );
        assert!(!response.text().contains("secret"), "{target}");
    }
    // A link that stays inside is a file like any other.
    assert_eq!(world.get("/inside.css").await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn links_out_of_the_site_are_followed_on_demand() {
    let mut world = World::new(SITE).site(|site| site.follow_symlinks = true);
    std::fs::write(world.path("../secret.txt"), "shared").unwrap();
    symlink(world.path("../secret.txt"), world.path("link.txt")).unwrap();
    assert_eq!(world.get("/link.txt").await.text(), "shared");
}

#[tokio::test(start_paused = true)]
async fn what_is_no_file_holds_nobody() {
    let mut world = World::new(SITE);
    let fifo = world.path("fifo");
    let mode = rustix::fs::Mode::from_raw_mode(0o644);
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, mode).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(world.path("socket")).unwrap();
    let responses = world.together(["/fifo", "/socket", "/a.css"]).await;
    let statuses: Vec<_> = responses.iter().map(Response::status).collect();
    assert_eq!(statuses, [404, 404, 200]);
    drop(socket);
}

#[tokio::test(start_paused = true)]
async fn names_are_percent_decoded() {
    let mut world = World::new(SITE);
    for name in [
        "ü.txt",
        "a b.txt",
        "100%.txt",
        "what?.txt",
        "a+b.txt",
        "#.txt",
    ] {
        std::fs::write(world.path(name), name).unwrap();
    }
    for (target, name) in [
        ("/%C3%BC.txt", "ü.txt"),
        ("/%c3%bc.txt", "ü.txt"),
        ("/a%20b.txt", "a b.txt"),
        ("/100%25.txt", "100%.txt"),
        ("/what%3F.txt", "what?.txt"),
        ("/a+b.txt", "a+b.txt"),
        ("/%23.txt", "#.txt"),
        ("/%61.css", "b { color: red }\n"),
    ] {
        let response = world.get(target).await;
        assert_eq!(response.text(), name, "{target}");
    }
}

#[tokio::test(start_paused = true)]
async fn another_hosts_name_is_misdirected() {
    let mut world = World::new(SITE);
    for (authority, status) in [
        ("localhost", 200),
        ("localhost:8443", 200),
        ("127.0.0.1:8443", 200),
        ("[::1]:8443", 200),
        ("LOCALHOST", 200),
        ("other.example", 421),
        ("localhost.other.example", 421),
    ] {
        let response = world.ask(Ask::get("/").authority(authority)).await;
        assert_eq!(response.status(), status, "{authority}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_file_arrives_whole() {
    let mut world = World::new(
        "
        //- /large.bin size=5000000
        //- /small.bin size=70000
    ",
    )
    .site(|site| site.memory_file_bytes_max = 100_000);
    for path in ["/large.bin", "/small.bin"] {
        let response = world.get(path).await;
        assert!(
            response.answer().body == std::fs::read(world.path(path)).unwrap(),
            "{path}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_shrinks_while_it_is_sent_is_reset_never_padded() {
    let mut world = World::new(
        "
        //- /large.bin size=5000000
    ",
    )
    .site(|site| site.memory_file_bytes_max = 100_000)
    .link(slow(10, 25));
    let pending = world.start("/large.bin").await;
    world.rest_ms(500).await;
    std::fs::File::options()
        .write(true)
        .open(world.path("/large.bin"))
        .unwrap()
        .set_len(1_000_000)
        .unwrap();
    let response = world.wait(pending).await;
    let error = response.answer.unwrap_err();
    assert!(error.is_reset(), "{error}");
    // The connection goes on.
    world.rest_ms(3_000).await;
    assert_eq!(world.get("/large.bin").await.answer().body.len(), 1_000_000);
}

/// RFC 9110 section 8.8.2.1.
#[tokio::test(start_paused = true)]
async fn nothing_was_modified_later_than_now() {
    let mut world = World::new(SITE);
    let ahead = SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000);
    let file = std::fs::File::open(world.path("/a.css")).unwrap();
    file.set_modified(ahead).unwrap();
    let response = world.get("/a.css").await;
    assert_eq!(response.header("last-modified"), response.header("date"));
    let earlier = world.get("/data.json").await;
    assert_ne!(earlier.header("last-modified"), earlier.header("date"));
    // Nobody knows when it really was modified, so only its tag says that it was not.
    let since = [("if-modified-since", response.header("date"))];
    assert_eq!(world.get_with("/a.css", &since).await.status(), 200);
}

/// Sends a large file over a slow link while something happens to it.
async fn send_while(happens: impl FnOnce(&std::path::Path)) -> Result<Vec<u8>, h2::Error> {
    let site = "
        //- /large.bin size=2000000
    ";
    let mut world = World::new(site)
        .site(|site| site.memory_file_bytes_max = 100_000)
        .link(slow(10, 25));
    let pending = world.start("/large.bin").await;
    world.rest_ms(500).await;
    happens(&world.path("/large.bin"));
    let response = world.wait(pending).await;
    response.answer.map(|answer| answer.body.to_vec())
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_overwritten_while_it_is_sent_is_reset() {
    // More bytes are an append only if all before them stay.
    for (stay, more) in [(0, 0), (0, 10_000), (100_000, 10_000)] {
        let overwrite = |path: &std::path::Path| {
            let mut content = std::fs::read(path).unwrap();
            content.resize(content.len() + more, b'n');
            content[stay..].fill(b'n');
            std::fs::write(path, content).unwrap();
        };
        let sent = send_while(overwrite).await.map(|sent| sent.len());
        let error = sent.unwrap_err();
        assert!(error.is_reset(), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_replaced_or_appended_to_while_it_is_sent_is_sent_as_it_was() {
    let mut before = Vec::new();
    let replace = |path: &std::path::Path| {
        before = std::fs::read(path).unwrap();
        let newer = path.with_extension("new");
        std::fs::write(&newer, "newer").unwrap();
        std::fs::rename(newer, path).unwrap();
    };
    let sent = send_while(replace).await.unwrap();
    assert!(sent == before);
    let append = |path: &std::path::Path| {
        let mut file = std::fs::File::options().append(true).open(path).unwrap();
        std::io::Write::write_all(&mut file, b"more").unwrap();
    };
    let sent = send_while(append).await.unwrap();
    assert!(sent == before);
}
