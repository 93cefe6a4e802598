//! Who comes without TLS: sent to where there is some, and nothing else.
//!
//! Nothing of a request is served, logged or kept. What is sent back names a host that the
//! certificate speaks for, never one that a stranger made up.

use std::sync::Arc;
use std::time::Duration;

use super::listen::Bound;
use super::small_http::{self, Bounds, Heard};
use crate::door::Service;

/// What who comes without TLS may take.
pub(super) const BOUNDS: Bounds = Bounds {
    connections: 256,
    connections_per_address: 32,
    header_bytes: 8 * 1024,
    time: Duration::from_secs(10),
};

/// What a request deserves.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// To go to this host and target.
    Sent(String, String),
    /// 400.
    Malformed,
    /// 421.
    Misdirected,
    /// 431.
    TooLarge,
}

/// Sends everyone to the port that has TLS, for ever; waits for ever if nobody listens. Connections
/// end with it.
pub(super) async fn send_away(bound: Option<Bound>, service: &Arc<Service>, port: u16) {
    let Some(bound) = bound else {
        return std::future::pending().await;
    };
    let service = Arc::clone(service);
    let answer = move |heard: Heard<'_>| {
        let verdict = match heard {
            Heard::Header(header) => judge(header, |host| service.tls.covers(host)),
            Heard::TooLong => Verdict::TooLarge,
        };
        verdict.response(port)
    };
    small_http::answer_all(&bound, BOUNDS, Arc::new(answer)).await;
}

/// Judges the header of a request, without the empty line at its end (RFC 9112 sections 3 and 5).
fn judge(header: &[u8], covers: impl Fn(&str) -> bool) -> Verdict {
    let Some(judged) = read(header) else {
        return Verdict::Malformed;
    };
    let (authority, target) = judged;
    let Ok(parsed) = authority.parse::<http::uri::Authority>() else {
        return Verdict::Malformed;
    };
    let host = &authority[..parsed.host().len().min(authority.len())];
    if authority.contains('@') || host.is_empty() {
        return Verdict::Malformed;
    }
    if !covers(host) {
        return Verdict::Misdirected;
    }
    Verdict::Sent(host.to_owned(), target.to_owned())
}

/// Returns the authority that a request is for, and its target in origin form.
fn read(header: &[u8]) -> Option<(&str, &str)> {
    let header = std::str::from_utf8(header)
        .ok()
        .filter(|text| text.is_ascii())?;
    let mut lines = header.split("\r\n");
    let mut words = lines.next()?.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    let is_token = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_alphabetic());
    if words.next().is_some() || !is_token || !version.starts_with("HTTP/1.") {
        return None;
    }
    if !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let mut host = None;
    for line in lines {
        let (name, value) = line.split_once(':')?;
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        if value.contains(|letter: char| letter.is_ascii_control() && letter != '\t') {
            return None;
        }
        if name.eq_ignore_ascii_case("host") && host.replace(value.trim()).is_some() {
            return None;
        }
    }
    // A proxy's form of target overrules the field.
    let Some(rest) = target.strip_prefix("http://") else {
        let is_origin = target.starts_with('/') && !target.contains('#');
        return is_origin.then_some((host?, target));
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    match target {
        "" => Some((authority, "/")),
        _ if target.starts_with('/') && !target.contains('#') => Some((authority, target)),
        _ => None,
    }
}

impl Verdict {
    fn response(&self, port: u16) -> String {
        let (status, location) = match self {
            Self::Sent(host, target) => {
                let port = if port == 443 {
                    String::new()
                } else {
                    format!(":{port}")
                };
                let location = format!("Location: https://{host}{port}{target}\r\n");
                ("308 Permanent Redirect", location)
            }
            Self::Malformed => ("400 Bad Request", String::new()),
            Self::Misdirected => ("421 Misdirected Request", String::new()),
            Self::TooLarge => ("431 Request Header Fields Too Large", String::new()),
        };
        // A redirect that is kept would outlive the port that it leads to.
        format!(
            "HTTP/1.1 {status}\r\n{location}Cache-Control: no-cache\r\nContent-Length: 0\r\n\
             Connection: close\r\n\r\n"
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn covers(host: &str) -> bool {
        ["localhost", "a.example", "[::1]"].contains(&host)
    }

    #[track_caller]
    fn check(header: &str, expected: &str) {
        let told = match judge(header.as_bytes(), covers) {
            Verdict::Sent(host, target) => format!("{host} {target}"),
            verdict => format!("{verdict:?}"),
        };
        assert_eq!(told, expected, "{header:?}");
    }

    #[test]
    fn requests_are_sent_to_hosts_of_the_certificate_alone() {
        check("GET /a?b HTTP/1.1\r\nHost: localhost", "localhost /a?b");
        check(
            "GET / HTTP/1.1\r\nhOst:\tlocalhost:8080 \r\nX: y",
            "localhost /",
        );
        check(
            "POST //evil.example/%2e HTTP/1.0\r\nHost: [::1]:80",
            "[::1] //evil.example/%2e",
        );
        check(
            "GET http://a.example HTTP/1.1\r\nHost: other",
            "a.example /",
        );
        check("GET http://a.example/x HTTP/1.1", "a.example /x");
        check("GET / HTTP/1.1\r\nHost: evil.example", "Misdirected");
        check(
            "GET / HTTP/1.1\r\nHost: localhost.evil.example",
            "Misdirected",
        );
        for header in [
            "",
            "GET /",
            "GET / HTTP/1.1",
            "GET / HTTP/2",
            "GET  / HTTP/1.1\r\nHost: localhost",
            "GET / HTTP/1.1 x\r\nHost: localhost",
            "GET a HTTP/1.1\r\nHost: localhost",
            "GET * HTTP/1.1\r\nHost: localhost",
            "GET /\u{e4} HTTP/1.1\r\nHost: localhost",
            "GET /\t HTTP/1.1\r\nHost: localhost",
            "GET / HTTP/1.1\nHost: localhost",
            "GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost",
            "GET / HTTP/1.1\r\nHost: localhost\nLocation: x",
            "GET / HTTP/1.1\r\nHost: user@localhost",
            "GET / HTTP/1.1\r\nHost: ",
            "GET / HTTP/1.1\r\nHost: a b",
            "GET / HTTP/1.1\r\nHost : localhost",
            "GET http://a.example#x HTTP/1.1",
            "GET https://a.example/ HTTP/1.1\r\nHost: localhost",
        ] {
            check(header, "Malformed");
        }
    }

    #[test]
    fn a_response_leads_to_the_port_with_tls() {
        let sent = Verdict::Sent("a.example".into(), "/x?y".into());
        assert!(
            sent.response(8443)
                .contains("\r\nLocation: https://a.example:8443/x?y\r\n")
        );
        assert!(
            sent.response(443)
                .contains("\r\nLocation: https://a.example/x?y\r\n")
        );
        assert!(
            Verdict::Misdirected
                .response(443)
                .starts_with("HTTP/1.1 421 ")
        );
    }

    proptest! {
        /// Nothing that a stranger sends ends up in a line of its own.
        #[test]
        fn no_header_is_too_odd(
            pieces in prop::collection::vec(prop::sample::select(vec![
                "GET ", "/", "//", "http://", "localhost", " HTTP/1.1", "\r\n", "\n", "\r",
                "Host: ",
                ":", "@", "#", "?", "\0", "\u{e4}", "a.example", " ",
            ]), 0..14),
        ) {
            let verdict = judge(pieces.concat().as_bytes(), covers);
            let response = verdict.response(8443);
            prop_assert!(response.is_ascii());
            prop_assert_eq!(response.matches("\r\n\r\n").count(), 1);
            let lines = 5 + usize::from(matches!(verdict, Verdict::Sent(..)));
            prop_assert_eq!(response.split("\r\n").count(), lines + 1);
            prop_assert!(!response.replace("\r\n", "").contains(['\r', '\n']));
        }
    }
}
