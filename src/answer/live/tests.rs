//! Who may ask and tell what, as a table.

use std::time::SystemTime;

use http::Request;

use super::*;
use crate::hub::Limits;

const ORIGIN: (&str, &str) = ("origin", "https://localhost:8443");

fn live() -> Live {
    Live {
        hub: Arc::new(Hub::new(3, Limits::default())),
        script: Bytes::from_static(b"'use strict';"),
        script_hash: "abc".to_owned(),
    }
}

fn ask(method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let uri = format!("https://localhost:8443{target}");
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let (request, ()) = request.body(()).unwrap().into_parts();
    let received = match wanted_bytes_max(&request) {
        Some(most) if body.len() > most => Received::TooLong,
        Some(_) => Received::Whole(body.to_owned().into()),
        None => Received::Nothing,
    };
    let moment = Moment::new(SystemTime::UNIX_EPOCH);
    let answer = answer(&live(), &request, &received, &moment);
    let headers = answer.head.headers();
    assert!(!headers.contains_key("access-control-allow-origin"));
    let policy = headers.get("cross-origin-resource-policy");
    assert_eq!(policy.is_some(), request.uri.path() != SCRIPT, "{target}");
    answer
}

fn header<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let value = answer.head.headers().get(name);
    value.map_or("", |value| value.to_str().unwrap())
}

#[test]
fn the_script_is_kept_under_its_own_name_only() {
    for (target, caching) in [
        (SCRIPT.to_owned(), "no-cache"),
        (format!("{SCRIPT}?v=ab"), "no-cache"),
        (
            format!("{SCRIPT}?v=abc"),
            "public, max-age=31536000, immutable",
        ),
    ] {
        let answer = ask("GET", &target, &[], "");
        assert_eq!(header(&answer, "cache-control"), caching, "{target}");
        assert_eq!(header(&answer, "content-length"), "13");
        assert!(matches!(answer.body, Body::Memory(_)));
    }
    let head = ask("HEAD", SCRIPT, &[], "");
    assert_eq!(header(&head, "content-length"), "13");
    assert!(matches!(head.body, Body::Empty));
}

#[track_caller]
fn check_after(target: &str, headers: &[(&str, &str)], expected: Option<&str>) {
    let answer = ask("GET", target, headers, "");
    let Body::Feed { after, .. } = answer.body else {
        panic!("{target}: {:?}", answer.body);
    };
    let expected = expected.map(|id| id.parse().unwrap_or(EventId::UNKNOWN));
    assert_eq!(after, expected, "{target} {headers:?}");
    assert_eq!(header(&answer, "content-type"), "text/event-stream");
    assert_eq!(header(&answer, "cache-control"), "no-store");
    assert_eq!(header(&answer, "content-length"), "");
}

#[test]
fn a_stream_begins_where_its_reader_was() {
    check_after(EVENTS, &[], None);
    check_after("/.forerun/events?cursor=3.7", &[], Some("3.7"));
    check_after("/.forerun/events?x=1&cursor=3.7", &[], Some("3.7"));
    check_after(EVENTS, &[("last-event-id", "3.8")], Some("3.8"));
    let both = "/.forerun/events?cursor=3.7";
    check_after(both, &[("last-event-id", "3.8")], Some("3.8"));
    check_after(both, &[("last-event-id", "")], Some("3.7"));
    for bad in [
        "",
        "x",
        "3",
        "3.7.1",
        "-1.0",
        "3.7%0a",
        "99999999999999999999.1",
    ] {
        let target = format!("{EVENTS}?cursor={bad}");
        check_after(&target, &[], Some("unknown"));
        check_after(both, &[("last-event-id", "\u{e9}")], Some("unknown"));
    }
}

#[track_caller]
fn check_status(method: &str, target: &str, headers: &[(&str, &str)], body: &str, status: u16) {
    let answer = ask(method, target, headers, body);
    let found = answer.head.status().as_u16();
    assert_eq!(found, status, "{method} {target} {headers:?} {body:.80}");
    assert_eq!(answer.action.is_some(), status == 204);
}

#[test]
fn nobody_else_listens() {
    for headers in [
        &[][..],
        &[ORIGIN],
        &[("origin", "https://LOCALHOST:8443")],
        &[("sec-fetch-site", "same-origin")],
        &[("sec-fetch-site", "none")],
    ] {
        check_status("GET", EVENTS, headers, "", 200);
        check_status("HEAD", EVENTS, headers, "", 200);
    }
    for headers in [
        &[("origin", "https://other.example")][..],
        &[("origin", "https://localhost:9000")],
        &[("origin", "https://localhost")],
        &[("origin", "http://localhost:8443")],
        &[("origin", "https://localhost:8443.other.example")],
        &[("origin", "null")],
        &[("origin", "")],
        &[ORIGIN, ORIGIN],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[ORIGIN, ("sec-fetch-site", "cross-site")],
    ] {
        check_status("GET", EVENTS, headers, "", 403);
        let told = r#"{"kind":"blocked","text":"x"}"#;
        check_status("POST", TOLD, headers, told, 403);
    }
}

#[test]
fn only_what_is_meant_is_told() {
    let good = r#"{"kind":"painted","id":"3.1","ms":38}"#;
    check_status("POST", TOLD, &[ORIGIN], good, 204);
    // A request of the site's own scripts always names its origin.
    check_status("POST", TOLD, &[], good, 403);
    let long = format!(
        r#"{{"kind":"blocked","text":"{}"}}"#,
        "x".repeat(TOLD_BYTES_MAX)
    );
    check_status("POST", TOLD, &[ORIGIN], &long, 413);
    for bad in [
        "",
        "{}",
        "[]",
        "\u{0}",
        r#"{"kind":"other"}"#,
        r#"{"kind":"painted","id":"x","ms":1}"#,
        r#"{"kind":"painted","id":"3.1","ms":-1}"#,
        r#"{"kind":"painted","id":"3.1","ms":1e300}"#,
        r#"{"kind":"painted","id":"3.1"}"#,
        r#"{"kind":"console","text":1}"#,
    ] {
        check_status("POST", TOLD, &[ORIGIN], bad, 400);
    }
    let nested = "[".repeat(TOLD_BYTES_MAX);
    check_status("POST", TOLD, &[ORIGIN], &nested, 400);
    check_status("GET", TOLD, &[ORIGIN], "", 405);
    check_status("POST", EVENTS, &[ORIGIN], "", 405);
    check_status(
        "OPTIONS",
        TOLD,
        &[("origin", "https://other.example")],
        "",
        405,
    );
    check_status("GET", "/.forerun/", &[], "", 404);
    check_status("GET", "/.forerun/live.js/", &[], "", 404);
}

#[track_caller]
fn check_told(body: &str, expected: &Heard) {
    let referrer = ("referer", "https://localhost:8443/docs/?q");
    let answer = ask("POST", TOLD, &[ORIGIN, referrer], body);
    assert_eq!(answer.action, Some(Action::Told(expected.clone())));
}

#[test]
fn what_is_told_is_read_and_bounded() {
    let heard = |told| Heard {
        page: Some("/docs/?q".to_owned()),
        told,
    };
    check_told(
        r#"{"kind":"painted","id":"3.9","ms":38.5}"#,
        &heard(Told::Painted {
            id: EventId {
                epoch: 3,
                offset: 9,
            },
            took: Duration::from_micros(38_500),
        }),
    );
    let text = "é".repeat(3000);
    check_told(
        &format!(r#"{{"kind":"console","level":"error","text":"{text}","source":"/a.js:3:7"}}"#),
        &heard(Told::Console {
            level: "error".to_owned(),
            text: "é".repeat(TEXT_LENGTH_MAX),
            source: "/a.js:3:7".to_owned(),
        }),
    );
    check_told(
        r#"{"kind":"blocked","text":"connect-src"}"#,
        &heard(Told::Blocked {
            text: "connect-src".to_owned(),
        }),
    );
}
