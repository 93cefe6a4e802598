//! The fallback door: the same answers over HTTP/1.1, with links, never with 103.

use forerun::answer::Deliver;

use crate::client::Ask;
use crate::world::World;

const SITE: &str = "
    //- /index.html
    <!doctype html><link rel=stylesheet href=/a.css><p>Hello
    //- /a.css
    @import 'b.css';
    //- /b.css
    p { color: red }
    //- /docs/index.html
    <p>Docs
    //- /large.bin size=3000000
";

/// Sends a request that closes the connection and returns the head, in lines, and the body.
async fn say(world: &mut World, request: &str) -> (Vec<String>, String) {
    let said = world
        .say(&format!("{request}\r\nConnection: close\r\n\r\n"))
        .await;
    let (head, body) = said.split_once("\r\n\r\n").unwrap_or((&said, ""));
    (head.lines().map(str::to_owned).collect(), body.to_owned())
}

#[tokio::test(start_paused = true)]
async fn answers_are_the_same_as_over_http2() {
    let mut world = World::new(SITE).server(|options| options.deliver = Deliver::None);
    for (method, target) in [
        ("GET", "/"),
        ("HEAD", "/"),
        ("GET", "/a.css"),
        ("GET", "/docs"),
        ("GET", "/nothing"),
        ("GET", "/%2e%2e/x"),
        ("POST", "/"),
        ("OPTIONS", "/"),
    ] {
        let over_h2 = world.ask(Ask::method(method, target)).await;
        let (head, body) = say(
            &mut world,
            &format!("{method} {target} HTTP/1.1\r\nHost: localhost"),
        )
        .await;
        let status: u16 = head[0].split(' ').nth(1).unwrap().parse().unwrap();
        assert_eq!(status, over_h2.status(), "{method} {target}");
        assert_eq!(body, over_h2.text(), "{method} {target}");
        for (name, value) in &over_h2.answer().headers {
            let line = format!("{name}: {}", value.to_str().unwrap());
            let found = head.iter().any(|one| one.eq_ignore_ascii_case(&line));
            assert!(
                found || name == "date",
                "{method} {target} lacks {line}: {head:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_links_to_what_hides_behind_its_files_and_is_not_preceded_by_a_103() {
    for deliver in [Deliver::Auto, Deliver::Hints, Deliver::Link] {
        let mut world = World::new(SITE).server(|options| options.deliver = deliver);
        let request = "GET / HTTP/1.1\r\nHost: localhost\r\nSec-Fetch-Mode: navigate";
        let (head, body) = say(&mut world, request).await;
        assert!(head[0].starts_with("HTTP/1.1 200"), "{head:?}");
        let links: Vec<_> = head
            .iter()
            .filter(|line| line.starts_with("link: "))
            .collect();
        assert!(
            links.iter().any(|link| link.contains("</b.css>")),
            "{deliver:?}: {head:?}"
        );
        assert!(body.ends_with("Hello\n"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_answers_one_request_after_another() {
    let mut world = World::new(SITE);
    let request = "GET /b.css HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let last = "GET /docs/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let said = world.say(&format!("{request}{request}{last}")).await;
    assert_eq!(said.matches("HTTP/1.1 200 OK").count(), 3, "{said}");
    assert_eq!(said.matches("color: red").count(), 2);
    assert!(said.ends_with("<p>Docs\n"));
}

#[tokio::test(start_paused = true)]
async fn a_large_file_arrives_whole() {
    let mut world = World::new(SITE).site(|site| site.memory_file_bytes_max = 100_000);
    std::fs::write(world.path("/text.txt"), "0123456789".repeat(300_000)).unwrap();
    let (_, body) = say(&mut world, "GET /text.txt HTTP/1.1\r\nHost: localhost").await;
    assert!(body == "0123456789".repeat(300_000));
}

#[tokio::test(start_paused = true)]
async fn a_host_is_needed_and_must_be_ours() {
    let mut world = World::new(SITE);
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: localhost:8443", 200),
        ("GET / HTTP/1.1\r\nHost: [::1]:8443", 200),
        ("GET / HTTP/1.1\r\nHost: other.example", 421),
        ("GET https://localhost/ HTTP/1.1\r\nHost: localhost", 200),
        ("GET / HTTP/1.1\r\nHost:", 400),
        ("GET / HTTP/1.1\r\nAccept: */*", 400),
    ] {
        let (head, _) = say(&mut world, request).await;
        assert!(
            head[0].starts_with(&format!("HTTP/1.1 {status} ")),
            "{request}: {head:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn nonsense_ends_the_connection_alone() {
    let mut world = World::new(SITE);
    for nonsense in ["nonsense\r\n\r\n", "GET\r\n\r\n", "\u{0}\u{1}\u{2}\r\n\r\n"] {
        let said = world.say(nonsense).await;
        assert!(
            said.is_empty() || said.starts_with("HTTP/1.1 400"),
            "{said}"
        );
    }
    let long = "x".repeat(100_000);
    let said = world.say(&format!("GET /{long} HTTP/1.1\r\n")).await;
    assert!(said.is_empty() || said.starts_with("HTTP/1.1 4"), "{said}");
    let (head, _) = say(&mut world, "GET / HTTP/1.1\r\nHost: localhost").await;
    assert!(head[0].starts_with("HTTP/1.1 200"));
}
