//! Who comes without TLS: sent to where there is some, and nothing else.
//!
//! Nothing of a request is served, logged or kept. What is sent back names a host that the
//! certificate speaks for, never one that a stranger made up.

use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderValue, Response, StatusCode, header};

use super::listen::Bound;
use super::small_http::{self, Bounds, refusal};
use crate::door::{Named, Service, named_host};

/// What who comes without TLS may take.
pub(super) const BOUNDS: Bounds = Bounds {
    connections: 256,
    connections_per_address: 32,
    header_bytes: 8 * 1024,
    time: Duration::from_secs(10),
};

/// Sends everyone to the port that has TLS, for ever; waits for ever if nobody listens. Connections
/// end with it.
pub(super) async fn send_away(bound: Option<Bound>, service: &Arc<Service>, port: u16) {
    let Some(bound) = bound else {
        return std::future::pending().await;
    };
    let service = Arc::clone(service);
    let answer = move |request: &Parts| {
        let location = location(request, |host| service.tls.covers(host), port);
        location.map_or_else(refusal, sent)
    };
    small_http::answer_all(&bound, BOUNDS, Arc::new(answer)).await;
}

fn sent(location: HeaderValue) -> Response<String> {
    let mut response = Response::new(String::new());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(header::LOCATION, location);
    response
}

/// Returns where a request is to go; the error is the status.
fn location(
    request: &Parts,
    covers: impl Fn(&str) -> bool,
    port: u16,
) -> Result<HeaderValue, StatusCode> {
    let Named::Host(host) = named_host(request) else {
        return Err(StatusCode::BAD_REQUEST);
    };
    let target = request.uri.path_and_query().map(ToString::to_string);
    let is_plain = |scheme| scheme == "http";
    let target = target
        .filter(|target| target.starts_with('/') && target.is_ascii())
        .filter(|_| request.uri.scheme_str().is_none_or(is_plain))
        .ok_or(StatusCode::BAD_REQUEST)?;
    if !covers(host) {
        return Err(StatusCode::MISDIRECTED_REQUEST);
    }
    let location = match port {
        443 => format!("https://{host}{target}"),
        _ => format!("https://{host}:{port}{target}"),
    };
    HeaderValue::try_from(location).map_err(|_| StatusCode::BAD_REQUEST)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn covers(host: &str) -> bool {
        ["localhost", "a.example", "[::1]"].contains(&host)
    }

    /// Returns where a request is sent, or the status; `None` if there must be more of it.
    fn told(header: &str, port: u16) -> Option<String> {
        let heard = small_http::hear(header.as_bytes(), BOUNDS.header_bytes)?;
        let location = heard.and_then(|request| location(&request, covers, port));
        Some(match location {
            Ok(location) => location.to_str().unwrap().to_owned(),
            Err(status) => status.as_str().to_owned(),
        })
    }

    #[track_caller]
    fn check(header: &str, expected: &str) {
        let told = told(&format!("{header}\r\n\r\n"), 443);
        assert_eq!(told.as_deref(), Some(expected), "{header:?}");
    }

    #[test]
    fn requests_are_sent_to_hosts_of_the_certificate_alone() {
        let sent = "https://localhost/";
        check(
            "GET /a?b HTTP/1.1\r\nHost: localhost",
            "https://localhost/a?b",
        );
        check("GET / HTTP/1.1\r\nhOst:\tlocalhost:8080 \r\nX: y", sent);
        check(
            "GET / HTTP/1.1\r\nHost: localhost\r\nCookie: a=\u{e9}",
            sent,
        );
        check("M-SEARCH / HTTP/1.1\r\nHost: localhost", sent);
        check(
            "POST //evil.example/%2e HTTP/1.0\r\nHost: [::1]:80",
            "https://[::1]//evil.example/%2e",
        );
        let other = "https://a.example/";
        check("GET http://a.example HTTP/1.1\r\nHost: other", other);
        check("GET HTTP://a.example/ HTTP/1.1\r\nHost: other", other);
        check("GET http://a.example/x HTTP/1.0", "https://a.example/x");
        for host in ["evil.example", "localhost.evil.example"] {
            check(&format!("GET / HTTP/1.1\r\nHost: {host}"), "421");
        }
        for header in [
            "GET /",
            "GET / HTTP/1.1",
            "GET / HTTP/1.0",
            "GET / HTTP/2",
            "GET http://a.example/x HTTP/1.1",
            "GET / HTTP/1.1 x\r\nHost: localhost",
            "GET a HTTP/1.1\r\nHost: localhost",
            "GET * HTTP/1.1\r\nHost: localhost",
            "CONNECT localhost:80 HTTP/1.1\r\nHost: localhost",
            "GET /\u{e4} HTTP/1.1\r\nHost: localhost",
            "GET /\t HTTP/1.1\r\nHost: localhost",
            "GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost",
            "GET / HTTP/1.1\r\nHost: localhost\rLocation: x",
            "GET / HTTP/1.1\r\nHost: l\u{f6}calhost",
            "GET / HTTP/1.1\r\nHost: user@localhost",
            "GET / HTTP/1.1\r\nHost: ",
            "GET / HTTP/1.1\r\nHost: a b",
            "GET / HTTP/1.1\r\nHost : localhost",
            "GET https://a.example/ HTTP/1.1\r\nHost: localhost",
        ] {
            check(header, "400");
        }
    }

    proptest! {
        /// Nobody is sent anywhere but to a host of the certificate.
        #[test]
        fn no_header_is_too_odd(
            pieces in prop::collection::vec(prop::sample::select(vec![
                "GET ", "/", "//", "http://", "localhost", " HTTP/1.1", "\r\n", "\n", "\r",
                "Host: ",
                ":", "@", "#", "?", "\0", "\u{e4}", "a.example", " ",
            ]), 0..14),
        ) {
            let told = told(&pieces.concat(), 8443).unwrap_or_default();
            prop_assert!(told.bytes().all(|byte| byte.is_ascii_graphic()));
            let is_sent = ["https://localhost:8443/", "https://a.example:8443/"]
                .iter()
                .any(|place| told.starts_with(place));
            prop_assert!(is_sent || ["", "400", "421"].contains(&told.as_str()), "{}", told);
        }
    }
}
