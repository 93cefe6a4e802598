//! What operators ask: `/metrics` and `/healthz`, in plain HTTP on an address of its own.
//!
//! Two paths, one answer a connection: this is all of HTTP/1.1 that a monitor needs. It runs on the
//! thread that accepts, beside those that serve, so that it answers while they are busy, and while
//! the server drains.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode, Version, header};

use super::listen::Bound;
use super::small_http::{self, Bounds, TEXT, refusal, said};
use crate::door::{Named, Service, named_host};
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
    let answer = move |request: &Parts| {
        let health = Health::of(draining.load(Ordering::Relaxed));
        answer(request, &service, health, is_local)
    };
    small_http::answer_all(bound, BOUNDS, Arc::new(answer)).await;
}

fn answer(request: &Parts, service: &Service, health: Health, is_local: bool) -> Response<String> {
    match (read(request, is_local), health) {
        (Err(status), _) => refused(status),
        (Ok(Asked::Health), Health::Up) => said(StatusCode::OK, TEXT, "ok\n".to_owned()),
        (Ok(Asked::Health), Health::Draining) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            said(status, TEXT, "draining\n".to_owned())
        }
        (Ok(Asked::Metrics), _) => said(StatusCode::OK, METRICS, text(service)),
    }
}

fn refused(status: StatusCode) -> Response<String> {
    let mut response = refusal(status);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        let methods = HeaderValue::from_static("GET, HEAD");
        response.headers_mut().insert(header::ALLOW, methods);
    }
    response
}

const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Health,
    Metrics,
}

/// Returns what a request asks; the error is the status.
fn read(request: &Parts, is_local: bool) -> Result<Asked, StatusCode> {
    match named_host(request) {
        // A page elsewhere may make its own name lead here (DNS rebinding); a monitor uses the
        // address.
        Named::Host(host) if is_local && !is_address(host) => {
            return Err(StatusCode::MISDIRECTED_REQUEST);
        }
        Named::Host(_) => {}
        Named::Nothing if request.version == Version::HTTP_10 => {}
        Named::Nothing | Named::Nonsense => return Err(StatusCode::BAD_REQUEST),
    }
    if !matches!(request.method, Method::GET | Method::HEAD) {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    match request.uri.path() {
        "/healthz" => Ok(Asked::Health),
        "/metrics" => Ok(Asked::Metrics),
        _ => Err(StatusCode::NOT_FOUND),
    }
}

fn is_address(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host
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

    #[test]
    fn a_method_that_is_refused_is_told_which_are_not() {
        let allowed = |status| refused(status).headers().get(header::ALLOW).cloned();
        assert_eq!(
            allowed(StatusCode::METHOD_NOT_ALLOWED).unwrap(),
            "GET, HEAD"
        );
        assert_eq!(allowed(StatusCode::NOT_FOUND), None);
    }

    fn told(head: &str, is_local: bool) -> Result<Asked, u16> {
        let text = format!("{head}\r\n\r\n");
        small_http::hear(text.as_bytes(), BOUNDS.header_bytes)
            .unwrap()
            .and_then(|request| read(&request, is_local))
            .map_err(|status| status.as_u16())
    }

    #[track_caller]
    fn check(head: &str, expected: Result<Asked, u16>) {
        assert_eq!(told(head, true), expected, "{head}");
    }

    #[test]
    fn two_paths_are_answered_and_nothing_else_is() {
        check(
            "GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:9100",
            Ok(Asked::Metrics),
        );
        check("HEAD /healthz?x HTTP/1.0", Ok(Asked::Health));
        let health = "GET /healthz HTTP/1.1\r\nhost:";
        for host in ["localhost", "LOCALHOST:1", "[::1]:1"] {
            check(&format!("{health}{host}"), Ok(Asked::Health));
        }
        check(
            "GET http://127.0.0.1/healthz HTTP/1.1\r\nHost: 127.0.0.1",
            Ok(Asked::Health),
        );
        check("GET / HTTP/1.1\r\nHost: [::1]", Err(404));
        check("POST /metrics HTTP/1.1\r\nHost: ::1", Err(400));
        check("POST /metrics HTTP/1.1\r\nHost: [::1]", Err(405));
        check("GET /metrics HTTP/1.1", Err(400));
        check(&format!("{health}localhost\r\nHost: localhost"), Err(400));
        check("GET /metrics", Err(400));
        for rebound in [
            "GET /metrics HTTP/1.1\r\nHost: evil.example:9100",
            "GET http://evil.example/metrics HTTP/1.1\r\nHost: localhost",
        ] {
            check(rebound, Err(421));
            assert_eq!(told(rebound, false), Ok(Asked::Metrics));
        }
    }
}
