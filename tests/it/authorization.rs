//! `--auth`: who has not signed in learns nothing, not even what a page needs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use forerun::answer::authorization::{User, Users};
use forerun::answer::policy::{CacheRule, Cors};
use forerun::answer::{Deliver, Policy};
use forerun::door::sign_in;

use crate::client::Ask;
use crate::world::World;

const SITE: &str = "
    //- /index.html
    <!doctype html><link rel=stylesheet href=/a.css><p>Root
    //- /a.css
    @font-face { font-family: F; src: url(f.woff2) }
    p { font-family: F }
    //- /f.woff2
    font
    //- /docs/index.html
    docs
    //- /_redirects
    /old /new 302!
";

fn world() -> World {
    world_of(SITE, |_| {})
}

/// Returns a world with one user, `ada`, whose password is `open sesame`.
fn world_of(fixture: &str, change: impl FnOnce(&mut Policy)) -> World {
    // `htpasswd -nbB -C 4 ada 'open sesame'`
    let ada = "ada:$2y$04$ECOKaSV3Ubn309LyvpiSLehHUKrdpWoLmZL7hLOZM7pxgeAFIjQcK";
    let users = Users::new(vec![User::parse(ada).unwrap()], [9; 32]).unwrap();
    let mut policy = Policy {
        users: Some(users),
        listing: true,
        ..Policy::default()
    };
    change(&mut policy);
    let policy: &'static Policy = Box::leak(Box::new(policy));
    World::new(fixture).server(|options| options.policy = policy)
}

fn signed(ask: Ask, credentials: &str) -> Ask {
    ask.header(
        "authorization",
        &format!("Basic {}", STANDARD.encode(credentials)),
    )
}

#[tokio::test(start_paused = true)]
async fn who_does_not_sign_in_is_told_to() {
    let mut world = world();
    for target in [
        "/", "/a.css", "/docs", "/docs/", "/nothing", "/old", "/.git/", "/%zz",
    ] {
        for credentials in ["", "ada:open sesam", "ada", "eve:open sesame", ":"] {
            for method in ["GET", "HEAD", "POST"] {
                let mut ask = Ask::method(method, target);
                if !credentials.is_empty() {
                    ask = signed(ask, credentials);
                }
                let response = world.ask(ask).await;
                let told = format!("{method} {target} by {credentials:?}");
                assert_eq!(response.status(), 401, "{told}");
                assert_eq!(
                    response.header("www-authenticate"),
                    "Basic realm=\"forerun\", charset=\"UTF-8\"",
                    "{told}"
                );
                let headers = &response.answer().headers;
                for name in ["etag", "link", "location", "last-modified"] {
                    assert!(!headers.contains_key(name), "{told}: {name}");
                }
                assert!(
                    response.promises.is_empty() && response.hints.is_empty(),
                    "{told}"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_signs_in_reads_the_site() {
    let mut world = world();
    let ada = |target: &str| signed(Ask::get(target), "ada:open sesame");
    for _ in 0..2 {
        let css = world.ask(ada("/a.css")).await;
        assert_eq!(css.status(), 200);
        // No cache that others share may keep it.
        assert_eq!(css.header("cache-control"), "private, max-age=60");
        assert_eq!(world.ask(ada("/nothing")).await.status(), 404);
        assert_eq!(world.ask(ada("/old")).await.status(), 302);
    }
    world.reconnect().await;
    let page = world.ask(ada("/")).await;
    assert_eq!(page.promised(), ["/a.css", "/f.woff2"]);
    for promise in &page.promises {
        let headers = promise.request.headers();
        assert!(!headers.contains_key("authorization"), "{headers:?}");
    }
    // It is the request that has signed in, not the connection.
    assert_eq!(world.get("/").await.status(), 401);
}

#[tokio::test(start_paused = true)]
async fn who_has_signed_in_is_told_in_the_log() {
    let mut world = world();
    world
        .ask(signed(Ask::get("/docs/"), "ada:open sesame"))
        .await;
    world.ask(signed(Ask::get("/old"), "ada:guessed")).await;
    world.get("/nothing").await;
    let expected = ["Some(\"ada\") /docs/", "None /old", "None /nothing"];
    assert_eq!(world.log_of_users(), expected);
    world.ask(signed(Ask::get("/"), "ada:open sesame")).await;
    let mut told = world.log_of_users();
    told.sort_unstable();
    let expected = ["/", "/a.css", "/f.woff2"].map(|target| format!("Some(\"ada\") {target}"));
    assert_eq!(
        told, expected,
        "what is pushed is for who asked for the page"
    );
}

/// A 103 goes out before the answer is ready: not to who will get a 401.
#[tokio::test(start_paused = true)]
async fn nobody_is_hinted_at_what_they_may_not_read() {
    let mut world = world()
        .client(|client| client.push = false)
        .server(|options| options.deliver = Deliver::Hints);
    let ada = || signed(Ask::navigate("/"), "ada:open sesame");
    let first = world.ask(ada()).await;
    assert_eq!(first.hints.len(), 1);
    world.rest_ms(1500).await;
    for ask in [Ask::navigate("/"), signed(Ask::navigate("/"), "ada:wrong")] {
        let refused = world.ask(ask).await;
        assert_eq!(refused.status(), 401);
        assert!(refused.hints.is_empty() && !refused.answer().headers.contains_key("link"));
    }
    world.rest_ms(1500).await;
    assert_eq!(
        world.ask(ada()).await.hints.len(),
        1,
        "the same, who signs in"
    );
}

/// Others verify as long as they please: who comes then is told when to come again, whatever the
/// password, and nothing else waits.
#[tokio::test(start_paused = true)]
async fn who_cannot_sign_in_for_others_is_told_to_come_again() {
    let mut world = world();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let sign_ins = world.service().sign_ins.clone();
    let mut others = Vec::new();
    for index in 0..sign_in::at_once(cores) {
        let index = u32::try_from(index).unwrap();
        let peer = std::net::Ipv4Addr::from_bits(0xc000_0200 + index).into();
        others.push(sign_ins.turn(peer).await.unwrap());
    }
    let ada = || signed(Ask::get("/a.css"), "ada:open sesame");
    let started = tokio::time::Instant::now();
    let busy = world.ask(ada()).await;
    assert_eq!(started.elapsed(), sign_in::WAIT_MAX);
    assert_eq!((busy.status(), busy.header("retry-after")), (503, "2"));
    assert_eq!(world.get("/a.css").await.status(), 401);
    let http1 = format!(
        "GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: basic {}\r\n\r\n",
        STANDARD.encode("ada:open sesame")
    );
    let said = world.say(&http1).await;
    assert!(said.starts_with("HTTP/1.1 503 "), "{said}");
    drop(others);
    assert_eq!(world.ask(ada()).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_browser_asks_before_it_signs_in() {
    let mut world = world();
    let options = world.ask(Ask::method("OPTIONS", "/a.css")).await;
    assert_eq!(options.status(), 204);
}

#[tokio::test(start_paused = true)]
async fn http1_asks_for_the_same() {
    let mut world = world();
    let say = |authorization: &str| {
        format!(
            "GET /docs/ HTTP/1.1\r\nhost: localhost\r\n{authorization}connection: close\r\n\r\n"
        )
    };
    let refused = world.say(&say("")).await;
    assert!(refused.starts_with("HTTP/1.1 401 "), "{refused}");
    let ada = format!(
        "authorization: basic {}\r\n",
        STANDARD.encode("ada:open sesame")
    );
    let answer = world.say(&say(&ada)).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    let twice = world.say(&say(&ada.repeat(2))).await;
    assert!(twice.starts_with("HTTP/1.1 401 "), "{twice}");
}

/// `public`, `s-maxage` and `must-revalidate` would have a shared cache keep what was signed in for
/// (RFC 9111 section 3.5).
#[tokio::test(start_paused = true)]
async fn nothing_that_is_said_lets_a_shared_cache_keep_what_is_protected() {
    let fixture = "
        //- /index.html
        <!doctype html><link rel=stylesheet href=/a.css><p>Root
        //- /a.css
        a
        //- /b.css
        b
        //- /c.css
        c
        //- /d.css
        d
        //- /e.css
        e
        //- /_headers
        /a.css
          Cache-Control: Public, max-age=7, S-MaxAge=9
          CDN-Cache-Control: max-age=9
          Surrogate-Control: max-age=9
        /b.css
          Cache-Control: max-age=7, must-revalidate
        /c.css
          Cache-Control: no-store, public
        /d.css
          Cache-Control: private, max-age=7
    ";
    let mut world = world_of(fixture, |policy| {
        policy.cache = vec![CacheRule::parse("e.css=public, max-age=31536000").unwrap()];
    });
    let ada = |target: &str| signed(Ask::get(target), "ada:open sesame");
    for (target, expected) in [
        ("/a.css", "private, max-age=7"),
        ("/b.css", "private, max-age=7, must-revalidate"),
        ("/c.css", "private, no-store"),
        ("/d.css", "private, max-age=7"),
        ("/e.css", "private, max-age=31536000"),
    ] {
        let first = world.ask(ada(target)).await;
        assert_eq!(first.header("cache-control"), expected, "{target}");
        for name in ["cdn-cache-control", "surrogate-control"] {
            assert!(
                !first.answer().headers.contains_key(name),
                "{target}: {name}"
            );
        }
        let again = ada(target).header("if-none-match", first.header("etag"));
        let again = world.ask(again).await;
        assert_eq!(again.status(), 304, "{target}");
        assert_eq!(again.header("cache-control"), expected, "{target}");
    }
    world.reconnect().await;
    let page = world.ask(ada("/")).await;
    let pushed = page.promises[0].answer.as_ref().unwrap().as_ref().unwrap();
    assert_eq!(pushed.headers["cache-control"], "private, max-age=7");
}

/// `*` is not `Authorization` (Fetch, section 3.3.7), and who may use what a browser has signed in
/// with is named.
#[tokio::test(start_paused = true)]
async fn a_script_of_an_allowed_origin_may_sign_in() {
    let origin = "https://a.example";
    for (cors, allowed, fields, credentials) in [
        (Cors::Any, "*", "*, Authorization", "-"),
        (
            Cors::These(vec![origin.parse().unwrap()]),
            origin,
            "authorization,x-a",
            "true",
        ),
        (
            Cors::These(vec!["https://b.example".parse().unwrap()]),
            "-",
            "-",
            "-",
        ),
    ] {
        let mut world = world_of(SITE, |policy| policy.cors = cors);
        let field = |response: &crate::client::Response, name: &str| {
            let value = response.answer().headers.get(name);
            value
                .map_or("-", |value| value.to_str().unwrap())
                .to_owned()
        };
        let preflight = Ask::method("OPTIONS", "/a.css").headers(&[
            ("origin", origin),
            ("access-control-request-method", "GET"),
            ("access-control-request-headers", "authorization,x-a"),
        ]);
        let preflight = world.ask(preflight).await;
        assert_eq!(preflight.status(), 204);
        assert_eq!(field(&preflight, "access-control-allow-headers"), fields);
        for ask in [
            Ask::get("/a.css"),
            signed(Ask::get("/a.css"), "ada:open sesame"),
        ] {
            let answer = world.ask(ask.header("origin", origin)).await;
            for response in [&preflight, &answer] {
                assert_eq!(field(response, "access-control-allow-origin"), allowed);
                let told = field(response, "access-control-allow-credentials");
                assert_eq!(told, credentials, "{allowed}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_refused_is_led_nowhere() {
    let mut world = world();
    for target in ["//evil.example/%2e%2e", "//evil.example/", "/old", "/docs"] {
        let said = format!("GET {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        let answer = world.say(&said).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{target}: {answer}");
        assert!(!answer.contains("\r\nlocation:"), "{target}: {answer}");
    }
    let ada = STANDARD.encode("ada:open sesame");
    let said = format!(
        "GET //evil.example/%2e%2e HTTP/1.1\r\nhost: localhost\r\nauthorization: basic {ada}\r\n\
         connection: close\r\n\r\n"
    );
    let answer = world.say(&said).await;
    assert!(
        answer.starts_with("HTTP/1.1 40") && !answer.contains("\r\nlocation:"),
        "{answer}"
    );
}
