//! HTTP/1.1 in its smallest form: one request a connection, one answer.
//!
//! For who comes without TLS and for operators. Everything has a limit: connections in all and of
//! an address, the header's bytes and fields, and the time from a connection's start to its end.
//! Refuses what is no request, and knows nothing of what is asked.

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::listen::Bound;
use super::seats::Seats;

/// After the system could give no connection: it is short of something that time gives back.
pub(super) const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Bytes read at once.
const PIECE_LENGTH: usize = 2048;
/// Fields of a request.
const FIELDS_MAX: usize = 100;
/// What people read.
pub(super) const TEXT: &str = "text/plain; charset=utf-8";

/// What peers may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Connections at once; more wait to be accepted.
    pub(super) connections: usize,
    /// Connections at once from one address; more are closed unheard.
    pub(super) connections_per_address: usize,
    /// Bytes of a request's header.
    pub(super) header_bytes: usize,
    /// From a connection's start to its end.
    pub(super) time: Duration,
}

/// What answers a request.
pub(super) type Answer = dyn Fn(&Parts) -> Response<String> + Send + Sync;

/// Answers everyone who comes, for ever. Connections end with it.
pub(super) async fn answer_all(bound: &Bound, bounds: Bounds, answer: Arc<Answer>) {
    let seats = Seats::new(bounds.connections_per_address);
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            Some(ended) = open.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection failed unexpectedly");
                }
            }
            accepted = bound.accept(), if open.len() < bounds.connections => match accepted {
                Ok((stream, peer)) => {
                    let Some(seat) = seats.take(peer.ip()) else {
                        tracing::debug!(%peer, "too many connections from there: closed");
                        continue;
                    };
                    let answer = Arc::clone(&answer);
                    open.spawn(async move {
                        let conversing = converse(stream, bounds.header_bytes, &*answer);
                        // Whoever is slow is cut off, and whoever leaves is gone.
                        if !matches!(timeout(bounds.time, conversing).await, Ok(Ok(()))) {
                            tracing::debug!(%peer, "not answered");
                        }
                        drop(seat);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

async fn converse<T: AsyncRead + AsyncWrite + Unpin>(
    mut stream: T,
    header_bytes_max: usize,
    answer: &Answer,
) -> io::Result<()> {
    let mut read = Vec::new();
    let heard = loop {
        // What is this small may be read from its start with every piece.
        if let Some(heard) = hear(&read, header_bytes_max) {
            break heard;
        }
        let mut piece = [0; PIECE_LENGTH];
        match stream.read(&mut piece).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => read.extend_from_slice(&piece[..length]),
        }
    };
    let is_head = heard.as_ref().is_ok_and(|it| it.method == Method::HEAD);
    let response = heard.map_or_else(refusal, |request| answer(&request));
    stream
        .write_all(&written(&response, is_head, SystemTime::now()))
        .await?;
    stream.shutdown().await?;
    // What it goes on to say is taken, so that closing does not take the answer from it.
    let mut rest = [0; PIECE_LENGTH];
    for _ in 0..header_bytes_max / rest.len() {
        if stream.read(&mut rest).await? == 0 {
            break;
        }
    }
    Ok(())
}

/// Reads a request's header; `None` as long as more of it is to come. The error is the status.
pub(super) fn hear(read: &[u8], header_bytes_max: usize) -> Option<Result<Parts, StatusCode>> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut heard = httparse::Request::new(&mut fields);
    match heard.parse(read) {
        Ok(httparse::Status::Complete(length)) if length <= header_bytes_max => {
            Some(parts(&heard).map_err(|_| StatusCode::BAD_REQUEST))
        }
        Ok(httparse::Status::Partial) if read.len() < header_bytes_max => None,
        Ok(_) | Err(httparse::Error::TooManyHeaders) => {
            Some(Err(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE))
        }
        Err(_) => Some(Err(StatusCode::BAD_REQUEST)),
    }
}

fn parts(heard: &httparse::Request<'_, '_>) -> http::Result<Parts> {
    let mut request = Request::builder()
        .method(heard.method.unwrap_or_default())
        .uri(heard.path.unwrap_or_default())
        .version(match heard.version {
            Some(0) => Version::HTTP_10,
            _ => Version::HTTP_11,
        });
    for field in &*heard.headers {
        request = request.header(field.name, field.value);
    }
    Ok(request.body(())?.into_parts().0)
}

/// Returns an answer that is no more than its status.
pub(super) fn refusal(status: StatusCode) -> Response<String> {
    said(status, TEXT, format!("{status}\n"))
}

/// Returns an answer of a media type.
pub(super) fn said(status: StatusCode, kind: &'static str, body: String) -> Response<String> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// Returns an answer as it goes out. None is to be kept.
fn written(response: &Response<String>, is_head: bool, now: SystemTime) -> Vec<u8> {
    let (status, body) = (response.status(), response.body());
    let (date, length) = (httpdate::fmt_http_date(now), body.len());
    let mut written = format!(
        "HTTP/1.1 {status}\r\ndate: {date}\r\ncontent-length: {length}\r\n\
         cache-control: no-store\r\nconnection: close\r\n"
    )
    .into_bytes();
    for (name, value) in response.headers() {
        let line = [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"];
        written.extend(line.concat());
    }
    written.extend(b"\r\n");
    if !is_head {
        written.extend(body.as_bytes());
    }
    written
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpStream;
    use tokio::time::Instant;

    use super::*;
    use crate::serve::listen;

    const BOUNDS: Bounds = Bounds {
        connections: 3,
        connections_per_address: 2,
        header_bytes: 100,
        time: Duration::from_secs(5),
    };

    fn told(request: &Parts) -> Response<String> {
        said(StatusCode::OK, TEXT, request.uri.to_string())
    }

    /// Says something in pieces, and returns what comes back.
    async fn say(text: &str, piece: usize) -> String {
        let (near, far) = tokio::io::duplex(1024);
        let serving = tokio::spawn(converse_with(far));
        let (mut reader, mut writer) = tokio::io::split(near);
        for piece in text.as_bytes().chunks(piece) {
            // It may have been answered before all is said.
            let _ = writer.write_all(piece).await;
            tokio::task::yield_now().await;
        }
        let _ = writer.shutdown().await;
        let mut said = String::new();
        reader.read_to_string(&mut said).await.unwrap();
        serving.await.unwrap();
        said
    }

    #[track_caller]
    fn check(answer: &str, status: &str, body: &str) {
        let (head, said) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert_eq!(said, body);
    }

    async fn converse_with(stream: tokio::io::DuplexStream) {
        let _ = converse(stream, BOUNDS.header_bytes, &told).await;
    }

    #[tokio::test]
    async fn a_byte_too_many_is_told_however_it_comes() {
        let of = |length: usize| format!("{:x<1$}\r\n\r\n", "GET / HTTP/1.1\r\nX: ", length - 4);
        for piece in [1, 2, 3, 4, 7, 50, 1_000] {
            let answer = say(&of(100), piece).await;
            check(&answer, "200", "/");
            assert!(answer.contains("\r\ndate: "), "{answer}");
            let too_long = say(&of(101), piece).await;
            assert!(too_long.starts_with("HTTP/1.1 431 "), "{piece}");
        }
    }

    #[tokio::test]
    async fn what_is_no_request_is_refused_at_once() {
        for text in [
            "\x16\x03\x01",
            "GET /\r\n",
            "GET / HTTP/2\r\n",
            "GET / HTTP/1.1\r\nX\r\n",
        ] {
            check(&say(text, 1).await, "400", "400 Bad Request\n");
        }
        assert_eq!(say("GET / HTTP/1.1\r\n", 100).await, "", "more might come");
        // An empty line may stand before a request (RFC 9112 section 2.2).
        check(&say("\r\nGET /x HTTP/1.0\r\n\r\n", 1).await, "200", "/x");
        let head = say("HEAD /x HTTP/1.0\r\n\r\n", 1).await;
        check(&head, "200", "");
        assert!(head.contains("\r\ncontent-length: 2\r\n"), "{head}");
    }

    #[test]
    fn fields_are_counted_and_their_bytes_are_opaque() {
        let status = |fields: &str| {
            let text = format!("GET / HTTP/1.1\r\n{fields}\r\n");
            hear(text.as_bytes(), 8192).unwrap().err()
        };
        assert_eq!(status("Cookie: a=\u{e9}\r\n"), None);
        assert_eq!(status("Cookie: a=\u{1}\r\n"), Some(StatusCode::BAD_REQUEST));
        assert_eq!(status(&"a:\r\n".repeat(FIELDS_MAX)), None);
        let too_many = Some(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
        assert_eq!(status(&"a:\r\n".repeat(FIELDS_MAX + 1)), too_many);
    }

    /// Connects, and waits until the server has accepted or closed.
    async fn connect(port: u16, from: Ipv4Addr) -> TcpStream {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((from, 0).into()).unwrap();
        let address = (Ipv4Addr::LOCALHOST, port).into();
        socket.connect(address).await.unwrap()
    }

    async fn ask(stream: &mut TcpStream) -> String {
        let mut said = String::new();
        // Who is closed unheard may be told by a reset.
        let _ = stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await;
        let _ = stream.read_to_string(&mut said).await;
        said
    }

    #[tokio::test]
    async fn connections_are_bounded_for_an_address_and_in_all() {
        let bound = listen::bind_at((Ipv4Addr::LOCALHOST, 0).into(), "--test").unwrap();
        let port = bound.port;
        let serving = tokio::spawn(async move {
            answer_all(&bound, BOUNDS, Arc::new(told)).await;
        });
        let one = Ipv4Addr::LOCALHOST;
        let other = Ipv4Addr::new(127, 0, 0, 2);
        let mut held = [connect(port, one).await, connect(port, one).await];
        let mut third = connect(port, one).await;
        assert_eq!(ask(&mut third).await, "", "closed unheard");
        let mut elsewhere = connect(port, other).await;
        let mut waiting = connect(port, other).await;
        let early = timeout(Duration::from_millis(300), ask(&mut waiting)).await;
        assert!(early.is_err(), "all seats are taken: {early:?}");
        check(&ask(&mut elsewhere).await, "200", "/");
        drop(elsewhere);
        let mut said = String::new();
        waiting.read_to_string(&mut said).await.unwrap();
        check(&said, "200", "/");
        check(&ask(&mut held[0]).await, "200", "/");
        serving.abort();
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_is_let_go_when_its_time_is_over() {
        let bound = listen::bind_at((Ipv4Addr::LOCALHOST, 0).into(), "--test").unwrap();
        let mut silent = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, bound.port)).unwrap();
        let started = Instant::now();
        let serving = answer_all(&bound, BOUNDS, Arc::new(told));
        let _ = timeout(BOUNDS.time + Duration::from_millis(10), serving).await;
        assert!(started.elapsed() >= BOUNDS.time);
        silent
            .set_read_timeout(Some(Duration::from_millis(500)))
            .unwrap();
        assert_eq!(io::Read::read(&mut silent, &mut [0]).unwrap(), 0);
    }
}
