//! Requests as clients send them, and what becomes of them.

mod tokens;

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::Request;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::live::Received;
use super::way::Form;
use super::*;
use crate::hub::EventId;
use tokens::{SECRET, eight, seven};

const NOW: u64 = 1_700_000_000;
const HOST: &str = "https://localhost:8443";
const APP: (&str, &str) = ("origin", "https://app.example.com");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn moment() -> Moment {
    let now: SystemTime = UNIX_EPOCH + Duration::from_secs(NOW);
    Moment::new(now)
}

fn options() -> ChannelOptions {
    ChannelOptions {
        publishers: Keys::secret(SECRET).unwrap(),
        subscribers: Keys::secret(SECRET).unwrap(),
        origins: Origins::parse(&["https://app.example.com"]).unwrap(),
        anonymous: ["demo/*", "open/*", "https://example.com/*"]
            .iter()
            .map(|text| Prefix::parse(text).unwrap())
            .collect(),
        ..ChannelOptions::default()
    }
}

/// A caller on this machine.
const HERE: Caller<'_> = Caller {
    is_loopback: true,
    protocol: None,
};
/// A caller on another.
const THERE: Caller<'_> = Caller {
    is_loopback: false,
    protocol: None,
};

fn parts(method: &str, target: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder()
        .method(method)
        .uri(format!("{HOST}{target}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn get(target: &str, headers: &[(&str, &str)]) -> Asked {
    ask(&options(), &parts("GET", target, headers), THERE, &moment())
}

#[track_caller]
fn heard(target: &str, headers: &[(&str, &str)]) -> Subscribe {
    match get(target, headers) {
        Asked::Subscribe(subscribe) => *subscribe,
        asked => panic!("{target}: {}", said(&asked)),
    }
}

fn text(answer: &Answer) -> String {
    match &answer.body {
        Body::Memory(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    }
}

/// An answer in a line: `401 Bearer ...: the text`.
fn said(asked: &Asked) -> String {
    match asked {
        Asked::Answered(answer) => line(answer),
        Asked::Publish(_) => "publish".to_owned(),
        Asked::Subscribe(_) => "subscribe".to_owned(),
        Asked::Subscriptions(_) => "subscriptions".to_owned(),
    }
}

fn line(answer: &Answer) -> String {
    let challenge = field(answer, "www-authenticate");
    format!("{challenge} {}", text(answer))
}

fn field<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let value = answer.head.headers().get(name);
    value.map_or("", |value| value.to_str().unwrap())
}

/// Publishes: the event, or the answer in a line.
fn post(
    target: &str,
    headers: &[(&str, &str)],
    body: &str,
    caller: Caller<'_>,
) -> Result<Publication, String> {
    let request = parts("POST", target, headers);
    let publishing = match ask(&options(), &request, caller, &moment()) {
        Asked::Publish(publishing) => publishing,
        asked => return Err(said(&asked)),
    };
    let received = if body.len() > publishing.body_bytes_max() {
        Received::TooLong
    } else {
        Received::Whole(Bytes::copy_from_slice(body.as_bytes()))
    };
    let event = publishing.read(&received, &options(), &moment());
    event
        .map(|(event, _)| event)
        .map_err(|answer| line(&answer))
}

#[track_caller]
fn refuses(result: &Result<Publication, String>, status: u16, words: &str) {
    let Err(line) = result else {
        panic!("{result:?} instead of {status} {words}");
    };
    assert!(
        line.contains(&format!("{status}: ")) && line.contains(words),
        "{line}"
    );
}

#[track_caller]
fn refused(asked: &Asked, status: u16, words: &str) {
    let line = said(asked);
    assert!(
        line.contains(&format!("{status}: ")) && line.contains(words),
        "{line}"
    );
    assert_eq!(line.matches('\n').count(), 1, "{line}");
}

fn bearer(token: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {token}"))
}

#[test]
fn reserved_paths_are_these() {
    for (path, is_ours) in [
        ("/channels", true),
        ("/channels/", true),
        ("/channels/a", true),
        ("/.well-known/mercure", true),
        ("/.well-known/mercure/subscriptions", true),
        ("/channelsx", false),
        ("/.well-known/mercurex", false),
        ("/.well-known/", false),
        ("/", false),
    ] {
        assert_eq!(is_reserved(path), is_ours, "{path}");
    }
}

#[test]
fn one_address_is_heard_in_all_ways() {
    let stream = |form| Way::Stream(form);
    let long = |form, seconds| Way::LongPoll(form, Duration::from_secs(seconds));
    for (target, accept, way, start) in [
        (
            "/channels/demo/a",
            "application/json",
            Way::Poll(Form::Document),
            Start::Earliest,
        ),
        (
            "/channels/demo/a",
            "*/*",
            Way::Poll(Form::Document),
            Start::Earliest,
        ),
        (
            "/channels/demo/a?wait=30",
            "*/*",
            long(Form::Document, 30),
            Start::Earliest,
        ),
        (
            "/channels/demo/a?wait=999",
            "*/*",
            long(Form::Document, 120),
            Start::Earliest,
        ),
        (
            "/channels/demo/a",
            "text/event-stream",
            stream(Form::EventStream),
            Start::Now,
        ),
        (
            "/channels/demo/a",
            "application/x-ndjson",
            stream(Form::Lines),
            Start::Now,
        ),
        (
            "/channels/demo/a/json",
            "*/*",
            stream(Form::Lines),
            Start::Now,
        ),
        (
            "/channels/demo/a/json?poll=1",
            "*/*",
            Way::Poll(Form::Lines),
            Start::Earliest,
        ),
        (
            "/channels/demo/a/json?poll=1&since=latest",
            "",
            Way::Poll(Form::Lines),
            Start::Latest,
        ),
        (
            "/channels/demo/a/raw?since=all",
            "*/*",
            stream(Form::Raw),
            Start::Earliest,
        ),
        (
            "/channels/demo/a/sse",
            "*/*",
            stream(Form::EventStream),
            Start::Now,
        ),
        (
            "/.well-known/mercure?topic=demo/a",
            "text/event-stream",
            stream(Form::EventStream),
            Start::Now,
        ),
        (
            "/.well-known/mercure?match=demo/a",
            "*/*",
            stream(Form::EventStream),
            Start::Now,
        ),
        (
            "/.well-known/mercure?match=demo/a",
            "application/json",
            Way::Poll(Form::Document),
            Start::Earliest,
        ),
    ] {
        let subscribe = heard(target, &[("accept", accept)]);
        assert_eq!(
            (subscribe.way, subscribe.start.clone()),
            (way, start),
            "{target} {accept}"
        );
        assert_eq!(subscribe.selectors.len(), 1);
        assert!(subscribe.hears(&["demo/a"], false), "{target}");
        assert!(!subscribe.hears(&["demo/a"], true), "{target}");
        assert!(!subscribe.hears(&["demo/b"], false), "{target}");
    }
}

#[test]
fn several_channels_are_heard_at_once() {
    let subscribe = heard("/channels/demo/a,open/b,demo/a/json", &[]);
    let names: Vec<_> = subscribe.selectors.iter().map(Selector::text).collect();
    assert_eq!(names, ["demo/a", "open/b"]);
    let subscribe = heard("/channels/demo%2Fa%2Copen%2Fb", &[]);
    assert_eq!(subscribe.selectors.len(), 2);
    let many = vec!["demo/a"; 99].join(",");
    assert_eq!(heard(&format!("/channels/{many}"), &[]).selectors.len(), 1);
    let many: Vec<_> = (0..101).map(|n| format!("demo/{n}")).collect();
    refused(
        &get(&format!("/channels/{}", many.join(",")), &[]),
        400,
        "100 channels at once",
    );
    let token = bearer(&seven(&json!({ "subscribe": [] })));
    let patterns = |count| {
        let many: Vec<_> = (0..count).map(|n| format!("topic=%7Bx{n}%7D")).collect();
        get(
            &format!("{MERCURE}?{}", many.join("&")),
            &[(token.0, &token.1)],
        )
    };
    assert_eq!(said(&patterns(16)), "subscribe");
    refused(&patterns(17), 400, "16 by a template");
}

#[test]
fn what_is_asked_wrongly_is_told_how_to_be_right() {
    for (target, headers, status, words) in [
        ("/channels", &[][..], 404, "have names"),
        ("/channels/", &[], 404, "have names"),
        ("/channels/json", &[], 400, "how one is heard"),
        ("/channels//json", &[], 400, "made of letters"),
        ("/channels/a,,b", &[], 400, "made of letters"),
        ("/channels/%ff", &[], 400, "UTF-8"),
        ("/channels/..%2f..%2fx", &[], 400, "begins with a dot"),
        ("/channels/mercure", &[], 403, "hub's own"),
        ("/channels/demo/a?x=1", &[], 400, "no parameter `x`"),
        ("/channels/demo/a?%0a=1", &[], 400, "no parameter `\\n`"),
        ("/channels/demo/a?x=%ff", &[], 400, "UTF-8"),
        ("/channels/demo/a?match=b", &[], 400, "no parameter `match`"),
        ("/channels/demo/a?authorization=t", &[], 400, "in the URL"),
        ("/channels/demo/a?access_token=t", &[], 400, "in the URL"),
        ("/channels/demo/a?wait=x", &[], 400, "seconds"),
        ("/channels/demo/a?wait=-1", &[], 400, "seconds"),
        ("/channels/demo/a?wait=1&wait=2", &[], 400, "twice"),
        ("/channels/demo/a?poll=2", &[], 400, "1 or 0"),
        ("/channels/demo/a?since=", &[], 400, "empty"),
        ("/channels/demo/a/ws", &[], 426, "WebSocket"),
        (
            "/channels/demo/a",
            &[("accept", "image/png")],
            406,
            "accept one of",
        ),
    ] {
        let asked = get(target, headers);
        refused(&asked, status, words);
        assert!(!said(&asked).contains("invalid_request"), "{target}");
    }
}

/// RFC 6750 section 3.1 and draft-08, Subscription and Error Responses.
#[test]
fn what_is_asked_wrongly_of_mercure_is_challenged() {
    for (target, headers, status, words) in [
        ("/.well-known/mercure", &[][..], 400, "?match=TOPIC"),
        (
            "/.well-known/mercure?Match=a",
            &[],
            400,
            "no parameter `Match`",
        ),
        (
            "/.well-known/mercure?matchRegexp=a",
            &[],
            400,
            "no parameter `matchRegexp`",
        ),
        (
            "/.well-known/mercure?topic=a&match=b",
            &[],
            400,
            "use either",
        ),
        (
            "/.well-known/mercure?topic=%7Ba",
            &[],
            400,
            "no URI template",
        ),
        (
            "/.well-known/mercure?match_urlpattern=%28",
            &[],
            400,
            "no URL pattern",
        ),
        (
            "/.well-known/mercure?match=%0a",
            &[],
            400,
            "control character",
        ),
        ("/.well-known/mercure?match=", &[], 400, "empty"),
        (
            "/.well-known/mercure?match=a&authorization=t",
            &[],
            400,
            "in the URL",
        ),
        (
            "/.well-known/mercure?topic=a&access_token=t",
            &[],
            400,
            "in the URL",
        ),
        (
            "/.well-known/mercure/other",
            &[("authorization", "Bearer x")],
            401,
            "not valid",
        ),
    ] {
        let asked = get(target, headers);
        refused(&asked, status, words);
        let is_challenged = said(&asked).contains("error=\"invalid_request\"");
        assert_eq!(is_challenged, status == 400, "{target}");
    }
}

/// RFC 9110 section 15.5.6.
#[test]
fn other_methods_are_told_which_are_allowed() {
    for (method, target, allow) in [
        ("DELETE", "/channels/a", "GET, HEAD, POST, PUT, OPTIONS"),
        ("PUT", MERCURE, "GET, HEAD, POST, OPTIONS"),
        ("DELETE", MERCURE, "GET, HEAD, POST, OPTIONS"),
        ("POST", "/channels/a/json", "GET, HEAD, OPTIONS"),
        (
            "POST",
            "/.well-known/mercure/subscriptions",
            "GET, HEAD, OPTIONS",
        ),
    ] {
        let asked = ask(&options(), &parts(method, target, &[]), HERE, &moment());
        let Asked::Answered(answer) = &asked else {
            panic!("{method} {target}: {}", said(&asked));
        };
        assert_eq!(answer.head.status(), 405, "{method} {target}");
        assert_eq!(field(answer, "allow"), allow, "{method} {target}");
    }
}

/// RFC 6750 section 3 and both drafts, Authorization.
#[test]
fn hearing_takes_a_token_where_it_is_not_everybodys() {
    let seven = seven(&json!({ "subscribe": ["secret/{x}"] }));
    let eight = eight(&json!([{
        "type": "mercure",
        "actions": ["subscribe"],
        "topics": [{ "match": "secret/a" }],
    }]));
    let asked = get("/channels/secret/a", &[]);
    assert_eq!(
        said(&asked),
        "Bearer realm=\"channels\" 401: hearing `secret/a` takes a token: send it as \
         `Authorization: Bearer TOKEN`, or in the cookie __Secure-mercure_access_token\n"
    );
    for token in [&seven, &eight] {
        let (name, value) = bearer(token);
        for target in [
            "/channels/secret/a",
            "/.well-known/mercure?match=secret/a",
            "/.well-known/mercure?topic=*",
        ] {
            let subscribe = heard(target, &[(name, &value)]);
            assert!(subscribe.hears(&["secret/a"], false));
            assert!(subscribe.hears(&["secret/a"], true), "{target}");
            assert!(!subscribe.hears(&["other/a"], true), "{target}");
        }
        for name in [credentials::COOKIE, credentials::COOKIE_7] {
            let cookie = format!("x=y; {name}={token}");
            heard("/channels/secret/a", &[("cookie", &cookie)]);
        }
    }
    heard(
        &format!("{MERCURE}?topic=secret/a&authorization={seven}"),
        &[],
    );
    for token in ["x", &seven[1..], ""] {
        let (name, value) = bearer(token);
        let asked = get("/channels/demo/a", &[(name, &value)]);
        refused(&asked, 401, "error=\"invalid_token\"");
    }
    // What everybody may hear can be asked for without one; what could be more, cannot.
    heard(
        "/.well-known/mercure?topic=https://example.com/%7Bid%7D",
        &[],
    );
    for target in [
        "topic=*",
        "match=*",
        "topic=http%7Bx%7D",
        "match_urlpattern=https://example.com/:id",
    ] {
        refused(
            &get(&format!("{MERCURE}?{target}"), &[]),
            401,
            "takes a token",
        );
    }
    // The site's own password is another matter.
    heard("/channels/demo/a", &[("authorization", "Basic YTpi")]);
}

#[test]
fn a_reader_goes_on_where_it_was() {
    let event = |offset| Start::After(Cursor::Event(EventId { epoch: 3, offset }));
    let named = Start::After(Cursor::Named("urn:uuid:1".to_owned()));
    for (query, headers, start) in [
        ("", &[][..], Start::Now),
        ("&lastEventID=3.7", &[], event(7)),
        ("&last_event_id=3.7", &[], event(7)),
        ("&Last-Event-ID=3.7", &[], event(7)),
        ("&lastEventID=earliest", &[], Start::Earliest),
        ("&lastEventID=urn:uuid:1", &[], named.clone()),
        ("&lastEventID=", &[], Start::Now),
        ("&since=10m&lastEventID=3.7", &[], event(7)),
        ("&lastEventID=3.7", &[("last-event-id", "3.9")], event(9)),
        ("&lastEventID=3.7", &[("last-event-id", "")], event(7)),
        ("", &[("last-event-id", "urn:uuid:1")], named),
    ] {
        let subscribe = heard(&format!("{MERCURE}?topic=demo/a{query}"), headers);
        assert_eq!(subscribe.start, start, "{query} {headers:?}");
    }
    let poll = heard("/channels/demo/a", &[("if-none-match", "\"3.7\"")]);
    assert_eq!((poll.start, poll.is_conditional), (event(7), true));
}

#[test]
fn heads_say_what_is_sent() {
    let cursor = EventId {
        epoch: 3,
        offset: 7,
    };
    let poll = heard("/channels/demo/a", &[("prefer", "wait=500"), APP]);
    let answer = poll.answer(Some(cursor), &moment());
    assert_eq!(field(&answer, "content-type"), "application/json");
    assert_eq!(field(&answer, "etag"), "\"3.7\"");
    assert_eq!(field(&answer, "preference-applied"), "wait=120");
    assert_eq!(field(&answer, "cache-control"), "no-store");
    assert_eq!(field(&answer, "access-control-allow-origin"), APP.1);
    let vary: Vec<_> = answer.head.headers().get_all("vary").iter().collect();
    assert_eq!(vary, ["Accept, Prefer", "Origin"]);
    let unchanged = poll.unchanged(cursor, &moment());
    assert_eq!(unchanged.head.status(), 304);
    assert_eq!(field(&unchanged, "etag"), "\"3.7\"");
    assert_eq!(field(&unchanged, "content-type"), "");

    // draft-07 and draft-08, Reconciliation: only where a place was asked for.
    let stream = heard(&format!("{MERCURE}?topic=demo/a&lastEventID=earliest"), &[]);
    let answer = stream.answer(Some(cursor), &moment());
    assert_eq!(field(&answer, "last-event-id"), "3.7");
    assert_eq!(field(&answer, "mercure-last-event-id"), "3.7");
    assert_eq!(field(&answer, "x-accel-buffering"), "no");
    assert_eq!(field(&answer, "content-length"), "");
    let stream = heard("/channels/demo/a/sse", &[]);
    let answer = stream.answer(Some(cursor), &moment());
    assert_eq!(field(&answer, "last-event-id"), "");
    assert_eq!(field(&answer, "content-type"), "text/event-stream");

    let head = ask(
        &options(),
        &parts("HEAD", "/channels/demo/a/sse", &[]),
        THERE,
        &moment(),
    );
    let Asked::Answered(answer) = head else {
        panic!("a HEAD is answered");
    };
    assert_eq!(field(&answer, "content-type"), "text/event-stream");
    assert!(matches!(answer.body, Body::Empty));
    assert_eq!(
        link("3.7"),
        "</.well-known/mercure>; rel=\"mercure\"; last-event-id=\"3.7\""
    );
    for odd in ["", "a\"b", "a\nb", "\u{e9}"] {
        assert_eq!(link(odd), "</.well-known/mercure>; rel=\"mercure\"");
    }
}

#[test]
fn a_web_socket_hears_and_speaks() {
    let web_socket = |target: &str, headers: &[(&str, &str)], is_loopback| {
        let caller = Caller {
            is_loopback,
            protocol: Some("websocket"),
        };
        ask(
            &options(),
            &parts("CONNECT", target, headers),
            caller,
            &moment(),
        )
    };
    let Asked::Subscribe(bare) = web_socket("/channels", &[], true) else {
        panic!("a WebSocket may say later what it hears");
    };
    assert_eq!((bare.way, bare.selectors.len()), (Way::WebSocket, 0));
    let names = |names: &[&str]| {
        names
            .iter()
            .map(|&name| name.to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        bare.more(&names(&["demo/a", "open/b"]), &options())
            .unwrap()
            .len(),
        2
    );
    let refusal = bare
        .more(&names(&["demo/a", "secret"]), &options())
        .unwrap_err();
    assert_eq!(refusal.status, 401);
    assert!(bare.more(&names(&["*"]), &options()).is_err());
    assert!(
        bare.more(&vec!["demo/a".to_owned(); 101], &options())
            .is_err()
    );
    let event = Publication::from_json(r#"{"topic": "demo/a", "data": {"x": 1.0}}"#).unwrap();
    assert_eq!(event.data, r#"{"x": 1.0}"#);
    bare.speaker.check_event(&event, &options()).unwrap();
    let large = Publication {
        data: "x".repeat(publish::UNSIGNED_BYTES_MAX + 1),
        ..event.clone()
    };
    assert_eq!(
        bare.speaker
            .check_event(&large, &options())
            .unwrap_err()
            .status,
        413
    );

    let Asked::Subscribe(there) = web_socket("/channels/demo/a/ws", &[], false) else {
        panic!("others hear as well");
    };
    assert_eq!(there.speaker.check(&event.topics).unwrap_err().status, 401);
    let (name, value) = bearer(&seven(&json!({ "publish": ["x"], "subscribe": ["y"] })));
    let Asked::Subscribe(both) = web_socket("/channels/y", &[(name, &value)], false) else {
        panic!("a token is good for both");
    };
    assert!(both.hears(&["y"], true));
    both.speaker.check(&names(&["x"])).unwrap();
    assert_eq!(both.speaker.check(&names(&["y"])).unwrap_err().status, 403);

    // RFC 6455 section 10.2: whose page it is matters, as CORS does not.
    refused(
        &web_socket(
            "/channels/demo/a",
            &[("origin", "https://evil.example")],
            true,
        ),
        403,
        "origin",
    );
    let cookie = format!("{}={}", credentials::COOKIE_7, seven(&json!({})));
    refused(
        &web_socket("/channels/demo/a", &[("cookie", &cookie)], true),
        403,
        "cookie",
    );
    for origin in [APP, ("origin", HOST)] {
        let asked = web_socket("/channels/demo/a", &[("cookie", &cookie), origin], true);
        assert_eq!(said(&asked), "subscribe");
    }
}

#[test]
fn an_event_is_published_by_curl() {
    let demo = |headers: &[(&str, &str)], body| post("/channels/demo/a", headers, body, HERE);
    for (headers, body, data) in [
        (&[][..], "hello", "hello"),
        (&[FORM], "hello", "hello"),
        (&[FORM], "a=1&b=2", "a=1&b=2"),
        (&[FORM], "data=hello+you%21", "hello you!"),
        (
            &[("content-type", "text/plain")],
            "data=hello",
            "data=hello",
        ),
        (
            &[("content-type", "application/json")],
            r#"{"data": "hello"}"#,
            "hello",
        ),
        (
            &[("content-type", "application/json; charset=utf-8")],
            r#"{"data": [1,  2]}"#,
            "[1,  2]",
        ),
        (&[("content-type", "application/octet-stream")], "", ""),
        (
            &[("content-type", "text/html")],
            "<b>\r\n\0</b>",
            "<b>\r\n\0</b>",
        ),
    ] {
        let event = demo(headers, body).unwrap();
        assert_eq!(
            (event.topics, event.data.as_str()),
            (vec!["demo/a".to_owned()], data),
            "{body}"
        );
    }
    let put = ask(
        &options(),
        &parts("PUT", "/channels/demo/a", &[]),
        HERE,
        &moment(),
    );
    assert_eq!(said(&put), "publish");

    let target = "/channels/demo/a,demo/b?id=urn:x&type=t&retry=500&private=on";
    let key = (
        "idempotency-key",
        "\"8e03978e-40d5-43e8-bc93-6894a57f9324\"",
    );
    let event = post(target, &[key], "x", HERE).unwrap();
    assert_eq!(
        event,
        Publication {
            topics: vec!["demo/a".to_owned(), "demo/b".to_owned()],
            data: "x".to_owned(),
            id: Some("urn:x".to_owned()),
            kind: Some("t".to_owned()),
            retry: Some(Duration::from_millis(500)),
            is_private: true,
            idempotency_key: Some("8e03978e-40d5-43e8-bc93-6894a57f9324".to_owned()),
        }
    );
}

#[test]
fn what_cannot_be_published_is_told_why() {
    let json = ("content-type", "application/json");
    let long = "x".repeat(publish::UNSIGNED_BYTES_MAX + 1);
    for (target, headers, body, status, words) in [
        ("demo/a?id=%23x", &[][..], "x", 400, "the hub's own"),
        ("demo/a?id=earliest", &[], "x", 400, "asks for all"),
        ("demo/a?id=3.7", &[], "x", 400, "two numbers"),
        ("demo/a?id=a%0ab", &[], "x", 400, "line feeds"),
        ("demo/a?id=a%00b", &[], "x", 400, "line feeds"),
        ("demo/a?type=mercure", &[], "x", 400, "own events"),
        ("demo/a?type=hub-gap", &[], "x", 400, "own events"),
        ("demo/a?type=a%0d", &[], "x", 400, "line feeds"),
        ("demo/a?retry=x", &[], "x", 400, "milliseconds"),
        ("demo/a?retry=-1", &[], "x", 400, "milliseconds"),
        ("demo/a?retry=86400001", &[], "x", 400, "milliseconds"),
        ("demo/a?id=a&id=b", &[], "x", 400, "twice"),
        ("demo/a?data=a", &[], "x", 400, "no parameter `data`"),
        ("demo/a?since=1", &[], "x", 400, "no parameter `since`"),
        ("demo/a?access_token=1", &[], "x", 400, "in the URL"),
        ("demo/a", &[json], "hello", 400, "no event"),
        ("demo/a", &[json], r#"{"x": 1}"#, 400, "unknown field `x`"),
        (
            "demo/a",
            &[json],
            r#"{"topic": "other", "data": 1}"#,
            401,
            "takes a token",
        ),
        ("demo/a", &[json], r#"{"topics": ["*"]}"#, 400, "all topics"),
        (
            "demo/a",
            &[json],
            r#"{"topic": "/.well-known/mercure/x"}"#,
            403,
            "hub's own",
        ),
        ("demo/a", &[json], r#"{"id": "a\nb"}"#, 400, "line feeds"),
        (
            "demo/a",
            &[("content-encoding", "gzip")],
            "x",
            415,
            "compressed",
        ),
        (
            "demo/a",
            &[("content-type", "multipart/form-data; boundary=x")],
            "x",
            415,
            "multipart",
        ),
        ("demo/a", &[("idempotency-key", "")], "x", 400, "UUID"),
        ("demo/a", &[], &long, 413, "at most 16384 bytes"),
        ("demo/a", &[json], "", 400, "no event"),
        ("secret", &[], "x", 401, "takes a token"),
    ] {
        refuses(
            &post(&format!("/channels/{target}"), headers, body, HERE),
            status,
            words,
        );
    }
    refuses(
        &post("/channels/demo/a", &[], "x", THERE),
        401,
        "Bearer realm",
    );
    refuses(
        &post("/channels", &[json], r#"{"data": 1}"#, HERE),
        400,
        "say `topic`",
    );
    assert!(post("/channels", &[json], r#"{"topic": "demo/b"}"#, HERE).is_ok());
    for origin in ["https://evil.example", "null", "http://localhost:8443"] {
        refuses(
            &post("/channels/demo/a", &[("origin", origin)], "x", HERE),
            403,
            "origin",
        );
    }
    for origin in [HOST, APP.1] {
        post("/channels/demo/a", &[("origin", origin)], "x", HERE).unwrap();
    }

    let request = parts("POST", "/channels/demo/a", &[APP]);
    for (received, status) in [
        (Received::TooLong, 413),
        (Received::Cut(5), 408),
        (Received::Whole(Bytes::from_static(b"\xff")), 400),
    ] {
        let Asked::Publish(publishing) = ask(&options(), &request, HERE, &moment()) else {
            panic!("everybody here may");
        };
        let answer = publishing
            .read(&received, &options(), &moment())
            .unwrap_err();
        assert_eq!(answer.head.status(), status);
        assert_eq!(field(&answer, "access-control-allow-origin"), APP.1);
    }
}

/// draft-07 and draft-08, Publication: as their documents show it.
#[test]
fn mercures_publishers_are_understood() {
    let seven = seven(&json!({ "publish": ["https://example.com/books/{id}", "alternate"] }));
    let eight = eight(&json!([{
        "type": "https://mercure.rocks/authorization-detail",
        "actions": ["publish"],
        "topics": [
            { "match": "https://example.com/books/:id", "match_type": "urlpattern" },
            { "match": "alternate" },
        ],
    }]));
    let body = "topic=https%3A%2F%2Fexample.com%2Fbooks%2F1&topic=alternate&data=the%20content\
                &private=on&id=urn%3Auuid%3A1&type=t&retry=7";
    for token in [&seven, &eight] {
        let (name, value) = bearer(token);
        let publish = |headers: &[(&str, &str)], body: &str| post(MERCURE, headers, body, THERE);
        let event = publish(&[FORM, (name, &value)], body).unwrap();
        assert_eq!(event.topics, ["https://example.com/books/1", "alternate"]);
        assert_eq!(event.data, "the content");
        assert_eq!(event.id.as_deref(), Some("urn:uuid:1"));
        assert_eq!(event.kind.as_deref(), Some("t"));
        assert_eq!(event.retry, Some(Duration::from_millis(7)));
        assert!(event.is_private);
        // Whatever it says, and also if it says nothing.
        for private in ["private", "private=", "private=false"] {
            let body = format!("topic=alternate&{private}");
            assert!(publish(&[FORM, (name, &value)], &body).unwrap().is_private);
        }
        for (body, status, words) in [
            ("topic=other&data=x", 403, "error=\"insufficient_scope\""),
            (
                "topic=alternate&topic=other&data=x",
                403,
                "error=\"insufficient_scope\"",
            ),
            ("data=x", 400, "say `topic`"),
            ("topic=*&data=x", 400, "all topics"),
            ("topic=alternate&target=x", 400, "no parameter `target`"),
            (
                "topic=https://localhost/.well-known/mercure/subscriptions/a/b",
                403,
                "hub's own",
            ),
            ("topic=alternate&data=%ff", 400, "UTF-8"),
        ] {
            refuses(&publish(&[FORM, (name, &value)], body), status, words);
        }
        refuses(
            &publish(&[(name, &value)], "x"),
            415,
            "x-www-form-urlencoded",
        );

        // A cookie is sent by browsers whoever asks them to.
        let cookie = format!("{}={token}", credentials::COOKIE);
        let cookie = ("cookie", cookie.as_str());
        refuses(&publish(&[FORM, cookie], body), 403, "cookie");
        refuses(
            &publish(&[FORM, cookie, ("origin", "https://evil.example")], body),
            403,
            "origin",
        );
        publish(&[FORM, cookie, APP], body).unwrap();
    }
    let in_url = format!("{MERCURE}?authorization={seven}");
    post(&in_url, &[FORM], body, THERE).unwrap();
    let access_token = format!("{MERCURE}?access_token={eight}");
    refuses(
        &post(&access_token, &[FORM], body, THERE),
        400,
        "in the URL",
    );
    refuses(&post(MERCURE, &[FORM], body, THERE), 401, "takes a token");
    refuses(
        &post(MERCURE, &[FORM, ("authorization", "Bearer x")], body, THERE),
        401,
        "invalid_token",
    );
    // From this machine, the built-in site's channels need none.
    post(MERCURE, &[FORM], "topic=demo/x&data=y", HERE).unwrap();
    refuses(
        &post(MERCURE, &[FORM], "topic=x&data=y", HERE),
        401,
        "takes a token",
    );

    let request = parts(
        "POST",
        MERCURE,
        &[FORM, ("authorization", &bearer(&seven).1), APP],
    );
    let Asked::Publish(publishing) = ask(&options(), &request, THERE, &moment()) else {
        panic!("a publisher may");
    };
    let received = Received::Whole(Bytes::from_static(b"topic=alternate"));
    let (_, published) = publishing.read(&received, &options(), &moment()).unwrap();
    let answer = published.answer("urn:uuid:1", &moment());
    assert_eq!(
        (answer.head.status().as_u16(), text(&answer)),
        (200, "urn:uuid:1".to_owned())
    );
    assert_eq!(field(&answer, "content-type"), "text/plain; charset=utf-8");
    assert_eq!(field(&answer, "access-control-allow-origin"), APP.1);
}

/// The Fetch Standard, CORS protocol.
#[test]
fn a_browser_is_told_what_a_page_may_ask() {
    for (origin, is_allowed) in [(APP.1, true), ("https://evil.example", false)] {
        let request = parts("OPTIONS", "/channels/a", &[("origin", origin)]);
        let asked = ask(&options(), &request, THERE, &moment());
        let Asked::Answered(answer) = asked else {
            panic!("a question is answered");
        };
        assert_eq!(answer.head.status(), 204);
        let headers = field(&answer, "access-control-allow-headers");
        assert_eq!(headers.contains("Authorization"), is_allowed);
        assert_eq!(
            field(&answer, "access-control-allow-origin"),
            if is_allowed { origin } else { "" }
        );
        // Errors are to be read as well.
        let request = parts("GET", "/channels/a", &[("origin", origin)]);
        let Asked::Answered(answer) = ask(&options(), &request, THERE, &moment()) else {
            panic!("a token is missing");
        };
        assert_eq!(answer.head.status(), 401);
        assert_eq!(
            field(&answer, "access-control-allow-origin"),
            if is_allowed { origin } else { "" }
        );
    }
}

fn subscriptions() -> [Subscription; 3] {
    let hub = Arc::new(url::Url::parse(&format!("{HOST}{MERCURE}")).unwrap());
    let of = |kind, text, dialect, number: u8| Subscription {
        selector: Selector::parse(kind, text, &hub).unwrap(),
        dialect,
        subscriber: format!("urn:uuid:{number}"),
        payload: Some(json!({ "foo": number })),
    };
    [
        of(Kind::Exact, "https://example.com/a", Dialect::Mercure8, 1),
        of(
            Kind::Pattern,
            "https://example.com/:selector",
            Dialect::Mercure8,
            2,
        ),
        of(
            Kind::Template,
            "https://example.com/{selector}",
            Dialect::Mercure7,
            3,
        ),
    ]
}

fn listed(target: &str, token: &str) -> Result<(String, Value), String> {
    let (name, value) = bearer(token);
    match get(target, &[(name, &value)]) {
        Asked::Subscriptions(wanted) => {
            let answer = wanted.answer(&subscriptions(), Some("3.7"), &moment());
            if answer.head.status() != 200 {
                return Err(line(&answer));
            }
            let media_type = field(&answer, "content-type").to_owned();
            assert_eq!(field(&answer, "link"), link("3.7"));
            Ok((media_type, serde_json::from_str(&text(&answer)).unwrap()))
        }
        asked => Err(said(&asked)),
    }
}

/// draft-08, Active Subscriptions.
#[test]
fn who_hears_is_told_as_draft_08_has_it() {
    let pattern = json!({
        "match": "/.well-known/mercure/subscriptions/:match_type/:match/:subscriber",
        "match_type": "urlpattern",
    });
    let all = json!({ "match": "/.well-known/mercure/subscriptions" });
    let token =
        eight(&json!([{ "type": "mercure", "actions": ["subscribe"], "topics": [pattern, all] }]));
    let root = "/.well-known/mercure/subscriptions";
    let (media_type, document) = listed(root, &token).unwrap();
    assert_eq!(media_type, "application/mercure+json");
    assert_eq!(document["type"], "subscriptions");
    assert_eq!(document["last_event_id"], "3.7");
    assert_eq!(document["id"], root);
    let members = document["subscriptions"].as_array().unwrap();
    assert_eq!(members.len(), 2);
    let path = format!("{root}/urlpattern/https%3A%2F%2Fexample.com%2F%3Aselector/urn%3Auuid%3A2");
    let member = json!({
        "id": path,
        "type": "subscription",
        "match": "https://example.com/:selector",
        "match_type": "urlpattern",
        "subscriber": "urn:uuid:2",
        "active": true,
        "payload": { "foo": 2 },
    });
    assert_eq!(members[1], member);
    let (_, mut one) = listed(&path, &token).unwrap();
    assert_eq!(
        one.as_object_mut().unwrap().remove("last_event_id"),
        Some(json!("3.7"))
    );
    assert_eq!(one, member);
    let gone = path.replace("%3A2", "%3A9");
    assert!(listed(&gone, &token).unwrap_err().contains("404: "));
    // The collection of one matcher is another topic.
    let collection = format!("{root}/urlpattern/https%3A%2F%2Fexample.com%2F%3Aselector");
    assert!(
        listed(&collection, &token)
            .unwrap_err()
            .contains("insufficient_scope")
    );
    assert!(
        listed(&format!("{root}/a/b/c/d"), &token)
            .unwrap_err()
            .contains("404: ")
    );
    assert!(said(&get(root, &[])).contains("401: "));

    let event = subscriptions()[1].event(Active::No);
    assert_eq!((event.topics, event.is_private), (vec![path], true));
    assert_eq!(event.kind.as_deref(), Some("mercure"));
    let data: Value = serde_json::from_str(&event.data).unwrap();
    assert_eq!(
        (&data["active"], &data["match"]),
        (&json!(false), &member["match"])
    );
}

/// draft-07, Active Subscriptions.
#[test]
fn who_hears_is_told_as_draft_07_has_it() {
    let token = seven(&json!({
        "subscribe": ["/.well-known/mercure/subscriptions{/topic}{/subscriber}"]
    }));
    let root = "/.well-known/mercure/subscriptions";
    let (media_type, document) = listed(root, &token).unwrap();
    assert_eq!(media_type, "application/ld+json");
    assert_eq!(document["@context"], "https://mercure.rocks/");
    assert_eq!(document["type"], "Subscriptions");
    assert_eq!(document["lastEventID"], "3.7");
    assert_eq!(document["subscriptions"].as_array().unwrap().len(), 2);
    let path = format!("{root}/https%3A%2F%2Fexample.com%2F%7Bselector%7D/urn%3Auuid%3A3");
    let (_, one) = listed(&path, &token).unwrap();
    assert_eq!(
        one,
        json!({
            "@context": "https://mercure.rocks/",
            "id": path,
            "type": "Subscription",
            "topic": "https://example.com/{selector}",
            "subscriber": "urn:uuid:3",
            "active": true,
            "payload": { "foo": 3 },
            "lastEventID": "3.7",
        })
    );
    let event = subscriptions()[2].event(Active::Yes);
    assert_eq!((event.topics, event.kind), (vec![path], None));
    assert!(event.data.contains("@context"));
}

proptest! {
    #[test]
    fn no_request_is_too_much(
        method in prop::sample::select(vec!["GET", "HEAD", "POST", "PUT", "OPTIONS", "DELETE"]),
        path in "(/channels|/.well-known/mercure)(/[a-z0-9.,%~-]{0,9}){0,4}",
        query in "([a-z_]{1,6}=[a-zA-Z0-9%+*:/{}.-]{0,9}&?){0,4}",
        body in any::<Vec<u8>>(),
    ) {
        let target = format!("{path}?{query}");
        let Ok(uri) = format!("{HOST}{target}").parse::<http::Uri>() else {
            return Ok(());
        };
        let request = Request::builder().method(method).uri(uri).body(()).unwrap();
        let (request, ()) = request.into_parts();
        if let Asked::Publish(publishing) = ask(&options(), &request, HERE, &moment()) {
            let received = Received::Whole(Bytes::from(body));
            let _ = publishing.read(&received, &options(), &moment());
        }
    }

    #[test]
    fn no_event_is_too_much(text in ".{0,80}", members in "[{}\\[\\]\":,a-z0-9]{0,40}") {
        let _ = Publication::from_json(&text);
        let _ = Publication::from_json(&members);
        let _ = post("/channels/demo/a", &[FORM], &text, HERE);
        let _ = post(MERCURE, &[FORM], &text, HERE);
    }

    /// What an event is published with is what is read of it.
    #[test]
    fn a_form_says_what_was_meant(data in any::<String>(), id in "[a-z:]{1,20}") {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        let form = form.append_pair("data", &data).append_pair("id", &id).finish();
        let event = post("/channels/demo/a", &[FORM], &form, HERE);
        if id != "earliest" {
            let event = event.unwrap();
            prop_assert_eq!((event.data, event.id), (data, Some(id)));
        }
    }
}
