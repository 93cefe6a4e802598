//! What whoever runs the server says of all answers: `--cache`, `--cors`, `--secure`.

use forerun::answer::Policy;
use forerun::answer::policy::{CacheRule, Cors, Secure};
use http::HeaderValue;

use crate::client::{Ask, Response};
use crate::world::World;

const SITE: &str = "
    //- /index.html
    <!doctype html><link rel=stylesheet href=/a.css><p>Root
    //- /a.css
    b { color: red }
    //- /fonts/f.3f9ac0d1.woff2
    font
    //- /docs/a.txt
    a
    //- /own.txt
    own
    //- /_headers
    /own.txt
      Cache-Control: no-store
      X-Frame-Options: DENY
";

fn world(policy: Policy) -> World {
    let policy: &'static Policy = Box::leak(Box::new(policy));
    World::new(SITE).server(|options| options.policy = policy)
}

fn field<'a>(response: &'a Response, name: &str) -> &'a str {
    let value = response.answer().headers.get(name);
    value.map_or("-", |value| value.to_str().unwrap())
}

#[tokio::test(start_paused = true)]
async fn the_last_rule_for_a_file_says_how_long_it_is_fresh() {
    let rules = [
        "*.txt=max-age=1",
        "docs/**=max-age=2, public",
        "/index.html=max-age=3",
        "*.no=x",
    ];
    let mut world = world(Policy {
        cache: rules
            .iter()
            .map(|rule| CacheRule::parse(rule).unwrap())
            .collect(),
        ..Policy::default()
    });
    for (target, expected) in [
        ("/", "max-age=3"),
        ("/index.html", "max-age=3"),
        ("/index", "max-age=3"),
        ("/docs/a.txt", "max-age=2, public"),
        ("/a.css", "public, max-age=60"),
        (
            "/fonts/f.3f9ac0d1.woff2",
            "public, max-age=31536000, immutable",
        ),
        // What the author says counts more.
        ("/own.txt", "no-store"),
    ] {
        let response = world.get(target).await;
        assert_eq!(field(&response, "cache-control"), expected, "{target}");
    }
}

#[test]
fn a_rule_says_what_is_wrong_with_it() {
    for (rule, said) in [
        ("*.css", "GLOB=VALUE"),
        ("=no-store", "both sides"),
        ("*.css=", "both sides"),
        ("[=no-store", "unclosed"),
        ("*.css=a\nb", "characters"),
    ] {
        let error = CacheRule::parse(rule).unwrap_err();
        assert!(error.contains(said), "{rule}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn other_origins_may_read_what_they_are_allowed_to() {
    let one = HeaderValue::from_static("https://a.example");
    for (cors, origin, expected) in [
        (Cors::Own, Some("https://a.example"), "-"),
        (Cors::Any, Some("https://b.example"), "*"),
        (Cors::Any, None, "*"),
        (
            Cors::These(vec![one.clone()]),
            Some("https://a.example"),
            "https://a.example",
        ),
        (
            Cors::These(vec![one.clone()]),
            Some("https://b.example"),
            "-",
        ),
        (Cors::These(vec![one.clone()]), Some("null"), "-"),
        (Cors::These(vec![one.clone()]), None, "-"),
    ] {
        let varies = matches!(cors, Cors::These(_));
        let told = format!("{cors:?} for {origin:?}");
        let mut world = world(Policy {
            cors,
            ..Policy::default()
        });
        let with = |ask: Ask| match origin {
            Some(origin) => ask.header("origin", origin),
            None => ask,
        };
        for target in ["/fonts/f.3f9ac0d1.woff2", "/", "/nothing"] {
            for method in ["GET", "HEAD"] {
                let response = world.ask(with(Ask::method(method, target))).await;
                let allowed = field(&response, "access-control-allow-origin");
                assert_eq!(allowed, expected, "{told}, {method} {target}");
                let vary = response.answer().headers.get_all("vary").iter();
                let names_origin = vary.into_iter().any(|value| value == "Origin");
                assert_eq!(names_origin, varies, "{told}, {method} {target}");
            }
        }
        let ask = Ask::method("OPTIONS", "/a.css").header("access-control-request-method", "GET");
        let preflight = world.ask(with(ask)).await;
        assert_eq!(preflight.status(), 204, "{told}");
        let is_allowed = origin.is_some() && expected != "-";
        let methods = if is_allowed { "GET, HEAD" } else { "-" };
        assert_eq!(
            field(&preflight, "access-control-allow-methods"),
            methods,
            "{told}"
        );
        assert_eq!(field(&preflight, "allow"), "GET, HEAD, OPTIONS", "{told}");
        assert_eq!(
            field(&preflight, "access-control-allow-credentials"),
            "-",
            "{told}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn what_keeps_pages_safe_is_on_every_answer() {
    let names = [
        "content-security-policy",
        "x-frame-options",
        "referrer-policy",
        "cross-origin-opener-policy",
        "permissions-policy",
    ];
    let mut plain = world(Policy::default());
    let bare = plain.get("/").await;
    assert!(names.iter().all(|name| field(&bare, name) == "-"));
    let mut world = world(Policy {
        secure: Secure::Strict,
        ..Policy::default()
    });
    for target in ["/", "/a.css", "/nothing", "/docs", "/%zz"] {
        let response = world.get(target).await;
        for name in names {
            assert_ne!(field(&response, name), "-", "{name} of {target}");
        }
        // Nobody vows for whatever else listens on this machine.
        assert_eq!(
            field(&response, "strict-transport-security"),
            "-",
            "{target}"
        );
    }
    let page = world.get("/").await;
    let pushed = page
        .promises
        .iter()
        .filter_map(|promise| promise.answer.as_ref()?.as_ref().ok());
    assert!(
        pushed
            .into_iter()
            .all(|it| it.headers.contains_key("referrer-policy"))
    );
    // What the author says counts more.
    let own = world.get("/own.txt").await;
    assert_eq!(field(&own, "x-frame-options"), "DENY");
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_all_answers_is_said_once() {
    let mut world = world(Policy {
        cors: Cors::These(vec![HeaderValue::from_static("https://a.example")]),
        secure: Secure::On,
        ..Policy::default()
    });
    for (method, target, accepted, status) in [
        ("GET", "/a.css", "identity;q=0", 406),
        ("GET", "/a.css", "gzip", 200),
        ("GET", "/nothing", "gzip", 404),
        ("GET", "/docs", "gzip", 308),
        ("GET", "/%zz", "gzip", 400),
        ("POST", "/a.css", "gzip", 405),
    ] {
        let ask = Ask::method(method, target).header("accept-encoding", accepted);
        let response = world.ask(ask).await;
        assert_eq!(response.status(), status, "{target}");
        let varies = response.answer().headers.get_all("vary").iter();
        let varies = varies.filter(|field| *field == "Origin").count();
        assert_eq!(varies, 1, "{method} {target}");
    }
}
