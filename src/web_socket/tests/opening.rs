//! The opening handshake: RFC 6455 section 4.2, RFC 8441 section 5, and where requests come from.

use http::request::Parts;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version, header};

use super::super::handshake::{
    Compression, Refusal, Terms, is_own_origin, is_upgrade, over_http1, over_http2,
};

/// The request of RFC 6455 section 1.2, with fields changed: an empty value leaves one out.
fn request(changes: &[(&str, &str)]) -> Parts {
    let mut request = Request::get("/chat").version(Version::HTTP_11);
    let fields = [
        ("host", "server.example.com"),
        ("upgrade", "websocket"),
        ("connection", "Upgrade"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
    ];
    for (name, value) in fields {
        if changes.iter().all(|(changed, _)| *changed != name) {
            request = request.header(name, value);
        }
    }
    for (name, value) in changes.iter().filter(|(_, value)| !value.is_empty()) {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

/// Puts the head of a response into words.
fn shown(response: &Response<()>) -> String {
    let fields = response.headers().iter();
    let mut fields: Vec<String> = fields
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    fields.sort();
    format!("{} {}", response.status().as_u16(), fields.join(" | "))
}

#[test]
fn the_example_of_the_standard_is_answered() {
    let terms = Terms {
        subprotocols: &["superchat", "chat"],
        ..Terms::default()
    };
    let asked = request(&[("sec-websocket-protocol", "chat, superchat")]);
    assert!(is_upgrade(&asked));
    let accepted = over_http1(&asked, &terms).unwrap();
    assert_eq!(
        shown(&accepted.response),
        "101 connection: Upgrade | sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo= | \
         sec-websocket-protocol: chat | upgrade: websocket"
    );
    assert_eq!(accepted.subprotocol, Some("chat"));
    assert_eq!(accepted.deflate, None);
}

#[test]
fn an_upgrade_is_told_from_other_requests() {
    for (changes, expected) in [
        (&[("connection", "keep-alive, Upgrade")][..], true),
        (&[("connection", "UPGRADE"), ("upgrade", "WebSocket")], true),
        (&[("upgrade", "h2c, websocket")], true),
        (&[("connection", "close"), ("connection", "upgrade")], true),
        (&[("connection", "")], false),
        (&[("connection", "upgraded")], false),
        (&[("upgrade", "")], false),
        (&[("upgrade", "h2c")], false),
    ] {
        assert_eq!(is_upgrade(&request(changes)), expected, "{changes:?}");
    }
    let mut old = request(&[]);
    old.version = Version::HTTP_10;
    assert!(!is_upgrade(&old));
}

#[test]
fn what_cannot_open_one_is_refused() {
    use Refusal::{Key, NoUpgrade, Version as Older};
    for (changes, expected) in [
        (&[("upgrade", "")][..], NoUpgrade),
        (&[("connection", "close")], NoUpgrade),
        (&[("sec-websocket-version", "")], Older),
        (&[("sec-websocket-version", "8")], Older),
        (&[("sec-websocket-version", "013")], Older),
        (&[("sec-websocket-version", "13, 8")], Older),
        (
            &[
                ("sec-websocket-version", "13"),
                ("sec-websocket-version", "13"),
            ],
            Older,
        ),
        (&[("sec-websocket-key", "")], Key),
        (&[("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ")], Key),
        (&[("sec-websocket-key", "dGhlIHNhbXBsZSBub25j")], Key),
        (&[("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZWU=")], Key),
        (&[("sec-websocket-key", "????????????????????????")], Key),
        (
            &[("sec-websocket-key", "a"), ("sec-websocket-key", "b")],
            Key,
        ),
    ] {
        let refused = over_http1(&request(changes), &Terms::default()).unwrap_err();
        assert_eq!(refused, expected, "{changes:?}");
    }
    let mut posted = request(&[]);
    posted.method = Method::POST;
    assert_eq!(
        over_http1(&posted, &Terms::default()).unwrap_err(),
        Refusal::Method
    );
}

#[test]
fn a_refusal_says_what_would_do() {
    let one = Version::HTTP_11;
    let required = "426 connection: Upgrade | sec-websocket-version: 13 | upgrade: websocket";
    assert_eq!(shown(&Refusal::Version.response(one)), required);
    assert_eq!(shown(&Refusal::NoUpgrade.response(one)), required);
    assert_eq!(shown(&Refusal::Key.response(one)), "400 ");
    assert_eq!(shown(&Refusal::Method.response(one)), "405 allow: GET");
    let over_two = shown(&Refusal::Version.response(Version::HTTP_2));
    assert_eq!(over_two, "400 sec-websocket-version: 13");
}

#[test]
fn over_http2_there_is_neither_key_nor_upgrade() {
    let connect = |version: &str| {
        let request = Request::builder()
            .method(Method::CONNECT)
            .uri("https://server.example.com/chat")
            .version(Version::HTTP_2)
            .header(header::SEC_WEBSOCKET_VERSION, version)
            .header(header::SEC_WEBSOCKET_PROTOCOL, "other")
            .header(header::SEC_WEBSOCKET_PROTOCOL, "chat")
            .header(header::SEC_WEBSOCKET_EXTENSIONS, "permessage-deflate");
        request.body(()).unwrap().into_parts().0
    };
    let terms = Terms {
        subprotocols: &["chat"],
        compression: Compression::Offered,
    };
    let accepted = over_http2(&connect("13"), &terms).unwrap();
    assert_eq!(
        shown(&accepted.response),
        "200 sec-websocket-extensions: permessage-deflate; server_no_context_takeover; \
         client_no_context_takeover | sec-websocket-protocol: chat"
    );
    assert!(accepted.deflate.is_some());
    assert_eq!(
        over_http2(&connect("12"), &terms).unwrap_err(),
        Refusal::Version
    );
    assert_eq!(
        over_http2(&request(&[]), &terms).unwrap_err(),
        Refusal::Method
    );
}

#[test]
fn a_subprotocol_is_one_that_both_name() {
    let terms = Terms {
        subprotocols: &["a", "b"],
        ..Terms::default()
    };
    for (named, expected) in [
        ("b, a", Some("b")),
        ("c,a", Some("a")),
        ("A", None),
        (",", None),
    ] {
        let asked = request(&[("sec-websocket-protocol", named)]);
        let accepted = over_http1(&asked, &terms).unwrap();
        assert_eq!(accepted.subprotocol, expected, "{named}");
        let field = accepted
            .response
            .headers()
            .get(header::SEC_WEBSOCKET_PROTOCOL);
        assert_eq!(
            field.map(|field| field.to_str().unwrap()),
            expected,
            "{named}"
        );
        assert_eq!(accepted.response.status(), StatusCode::SWITCHING_PROTOCOLS);
    }
}

#[test]
fn a_request_comes_from_our_own_pages_or_from_no_page() {
    let allowed = ["https://friend.example".to_owned(), "null".to_owned()];
    for (origins, expected) in [
        (&[][..], true),
        (&["https://a.example"], true),
        (&["https://A.example:443"], true),
        (&["https://a.example:8443"], false),
        (&["http://a.example"], false),
        (&["https://a.example.evil.example"], false),
        (&["https://friend.example"], true),
        (&["https://friend.example:1"], false),
        (&["https://evil.example"], false),
        (&["null"], false),
        (&[""], false),
        (&["https://a.example", "https://a.example"], false),
    ] {
        let mut headers = HeaderMap::new();
        for origin in origins {
            headers.append(header::ORIGIN, origin.parse().unwrap());
        }
        let own = is_own_origin(&headers, "https", "a.example", &allowed);
        assert_eq!(own, expected, "{origins:?}");
    }
}
