//! What operators ask: `/metrics` and `/healthz`, in plain HTTP on an address of its own.
//!
//! Two paths, one answer a connection: this is all of HTTP/1.1 that a monitor needs. It runs on the
//! thread that accepts, beside those that serve, so that it answers while they are busy, and while
//! the server drains.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::listen::Bound;
use super::small_http::{self, Bounds, Heard};
use crate::door::Service;
use crate::metrics::{self, Gauges};
use crate::site::plan::Skip;

/// What operators may take.
pub(super) const BOUNDS: Bounds = Bounds {
    connections: 16,
    connections_per_address: 8,
    header_bytes: 8 * 1024,
    time: Duration::from_secs(5),
};

/// Answers for ever; if nobody listens, waits for ever. Once the server is `draining`, its health
/// is 503: whoever spreads requests is to send it no more.
pub(super) async fn run(bound: Option<&Bound>, service: &Arc<Service>, draining: &Arc<AtomicBool>) {
    let Some(bound) = bound else {
        return std::future::pending().await;
    };
    let is_local = bound
        .address()
        .is_ok_and(|address| address.ip().is_loopback());
    let (service, draining) = (Arc::clone(service), Arc::clone(draining));
    let answer = move |heard: Heard<'_>| match heard {
        Heard::Header(header) => {
            let head = String::from_utf8_lossy(header);
            let health = Health::of(draining.load(Ordering::Relaxed));
            answer(&head, &service, health, is_local)
        }
        Heard::TooLong => response(TOO_LARGE, TEXT, &format!("{TOO_LARGE}\n")),
    };
    small_http::answer_all(bound, BOUNDS, Arc::new(answer)).await;
}

/// Returns the answer to a request's head, as it goes out.
fn answer(head: &str, service: &Service, health: Health, is_local: bool) -> String {
    let mut answer = match (read(head, is_local), health) {
        (Err(status), _) => response(status, TEXT, &format!("{status}\n")),
        (Ok(Asked::Health), Health::Up) => response("200 OK", TEXT, "ok\n"),
        (Ok(Asked::Health), Health::Draining) => {
            response("503 Service Unavailable", TEXT, "draining\n")
        }
        (Ok(Asked::Metrics), _) => response("200 OK", METRICS, &text(service)),
    };
    if head.starts_with("HEAD ")
        && let Some(end) = answer.find("\r\n\r\n")
    {
        answer.truncate(end + 4);
    }
    answer
}

fn response(status: &str, kind: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

const TEXT: &str = "text/plain; charset=utf-8";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

const TOO_LARGE: &str = "431 Request Header Fields Too Large";

/// How the server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Up,
    /// It was told to stop, and finishes what it has begun.
    Draining,
}

impl Health {
    fn of(draining: bool) -> Self {
        if draining { Self::Draining } else { Self::Up }
    }
}

/// What may be asked.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Health,
    Metrics,
}

/// Reads a request's head; the error is the status.
fn read(head: &str, is_local: bool) -> Result<Asked, &'static str> {
    let mut lines = head.split("\r\n");
    let mut words = lines.next().unwrap_or_default().split(' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    if !version.is_some_and(|version| version.starts_with("HTTP/1.")) {
        return Err("400 Bad Request");
    }
    let host = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("host").then(|| value.trim())
    });
    // A page elsewhere may make its own name lead here (DNS rebinding); a monitor uses the address.
    if is_local && !host.is_none_or(is_address) {
        return Err("421 Misdirected Request");
    }
    if !matches!(method, Some("GET" | "HEAD")) {
        return Err("405 Method Not Allowed");
    }
    match target.and_then(|target| target.split('?').next()) {
        Some("/healthz") => Ok(Asked::Health),
        Some("/metrics") => Ok(Asked::Metrics),
        _ => Err("404 Not Found"),
    }
}

fn is_address(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    };
    name == "localhost"
        || name
            .trim_matches(['[', ']'])
            .parse::<std::net::IpAddr>()
            .is_ok()
}

fn text(service: &Service) -> String {
    let reasons: Vec<_> = Skip::ALL.iter().map(ToString::to_string).collect();
    let gauges = Gauges {
        buffered_bytes: service.buffers.held(),
        lines_dropped: service.log.dropped(),
        reasons: &reasons,
    };
    metrics::text(&service.metrics, gauges)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(head: &str, expected: &Result<Asked, &'static str>) {
        assert_eq!(&read(head, true), expected, "{head}");
    }

    #[test]
    fn two_paths_are_answered_and_nothing_else_is() {
        check(
            "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:9100",
            &Ok(Asked::Metrics),
        );
        check("HEAD /healthz?x HTTP/1.0", &Ok(Asked::Health));
        check(
            "GET /healthz HTTP/1.1\r\nhost:localhost",
            &Ok(Asked::Health),
        );
        check("GET /healthz HTTP/1.1\r\nHost: [::1]:1", &Ok(Asked::Health));
        check("GET / HTTP/1.1\r\nHost: [::1]", &Err("404 Not Found"));
        check("POST /metrics HTTP/1.1", &Err("405 Method Not Allowed"));
        check("GET /metrics", &Err("400 Bad Request"));
        check("", &Err("400 Bad Request"));
        let rebound = "GET /metrics HTTP/1.1\r\nHost: evil.example:9100";
        check(rebound, &Err("421 Misdirected Request"));
        assert_eq!(read(rebound, false), Ok(Asked::Metrics));
    }
}
