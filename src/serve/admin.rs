//! What operators ask: `/metrics` and `/healthz`, in plain HTTP on an address of its own.
//!
//! Two paths, one answer a connection: this is all of HTTP/1.1 that a monitor needs, and it shares
//! nothing with what is served, so that it still answers when that does not.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::door::{SKIPS, Service};
use crate::metrics::{self, Gauges};

/// Connections at once; more wait to be accepted.
pub(super) const CONNECTIONS_MAX: usize = 16;
/// Bytes of a request.
pub(super) const REQUEST_BYTES_MAX: usize = 8 * 1024;
/// A request and its answer.
pub(super) const TIME_MAX: Duration = Duration::from_secs(5);
/// After the system could give no connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Listens on an address.
///
/// # Errors
/// It cannot be had; the message names it.
pub(super) async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} for --admin"))
}

/// Answers for ever; if nobody listens, waits for ever.
pub(super) async fn run(listener: Option<&TcpListener>, service: &Arc<Service>) {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    let is_local = listener
        .local_addr()
        .is_ok_and(|address| address.ip().is_loopback());
    let mut open = JoinSet::new();
    loop {
        while open.len() >= CONNECTIONS_MAX {
            open.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, peer)) => {
                let service = Arc::clone(service);
                open.spawn(async move {
                    let said = timeout(TIME_MAX, converse(stream, &service, is_local)).await;
                    if !matches!(said, Ok(Ok(()))) {
                        tracing::debug!(%peer, "an administrator was not answered");
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept an administrator's connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while open.try_join_next().is_some() {}
    }
}

async fn converse<T: AsyncRead + AsyncWrite + Unpin>(
    mut stream: T,
    service: &Service,
    is_local: bool,
) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut limited = (&mut stream).take(REQUEST_BYTES_MAX as u64);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if limited.read_buf(&mut request).await? == 0 {
            break;
        }
    }
    let answer = answer(&String::from_utf8_lossy(&request), service, is_local);
    stream.write_all(answer.as_bytes()).await?;
    stream.shutdown().await
}

/// Returns the answer to a request, as it goes out.
fn answer(request: &str, service: &Service, is_local: bool) -> String {
    let head = request.split_once("\r\n\r\n").map(|(head, _)| head);
    let (status, kind, body) = match head.map(|head| read(head, is_local)) {
        None => ("400 Bad Request", TEXT, "no request\n".to_owned()),
        Some(Err(status)) => (status, TEXT, format!("{status}\n")),
        Some(Ok(Asked::Health)) => ("200 OK", TEXT, "ok\n".to_owned()),
        Some(Ok(Asked::Metrics)) => ("200 OK", METRICS, text(service)),
    };
    let mut answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n",
        body.len()
    );
    if !request.starts_with("HEAD ") {
        answer.push_str(&body);
    }
    answer
}

const TEXT: &str = "text/plain; charset=utf-8";
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

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
    let reasons: Vec<_> = SKIPS.iter().map(ToString::to_string).collect();
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
