//! The fallback door: the same answers over HTTP/1.1, without promises and without 103.
//!
//! hyper speaks the protocol; this turns its requests into answers and its polls into bytes.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http::{Response, StatusCode, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio_rustls::server::TlsStream;

use crate::access_log::Entry;
use crate::answer::Body;
use crate::answer::live::Received;
use crate::door::body::Source;
use crate::door::{self, Seen, Service};
use crate::hub::sse::Feed;
use crate::metrics::Count;

/// From one answer to the next request's header being complete.
pub const HEADER_WAIT_MAX: Duration = Duration::from_secs(30);
/// With an answer on its way, and not a byte of it taken.
pub const STALL_MAX: Duration = Duration::from_mins(1);
/// Bytes of a request's header.
pub const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Fields of a request's header.
pub const HEADER_FIELDS_MAX: usize = 100;
/// How long the end of a request's body is waited for, if it is wanted.
const BODY_WAIT_MAX: Duration = Duration::from_secs(10);
/// Bytes of a body handed to hyper at once.
const PIECE_LENGTH: usize = 64 * 1024;

/// Serves a peer until it leaves, fails, or is drained.
pub async fn run<T: AsyncRead + AsyncWrite + Unpin>(
    stream: TlsStream<T>,
    peer: IpAddr,
    service: Arc<Service>,
    mut drain: watch::Receiver<bool>,
) {
    let progress = Rc::new(Progress::default());
    let header_wait_max = HEADER_WAIT_MAX.min(service.limits.idle);
    let answering = service_fn(|request: http::Request<hyper::body::Incoming>| {
        let (service, progress) = (Arc::clone(&service), Rc::clone(&progress));
        async move {
            let (request, body) = request.into_parts();
            let received = match service.wanted_bytes_max(&request) {
                Some(most) => receive(body, most).await,
                None => Received::Nothing,
            };
            Ok::<_, Infallible>(respond(service, peer, request, received, progress).await)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_wait_max)
        .max_buf_size(HEADER_BYTES_MAX)
        .max_headers(HEADER_FIELDS_MAX)
        .serve_connection(TokioIo::new(stream), answering);
    let mut connection = pin!(connection);
    let mut seen = progress.bytes.get();
    loop {
        tokio::select! {
            biased;
            end = connection.as_mut() => {
                if let Err(error) = end {
                    tracing::debug!(%peer, %error, "HTTP/1.1 connection failed");
                }
                return;
            }
            Ok(_) = drain.wait_for(|drain| *drain), if !progress.draining.get() => {
                progress.draining.set(true);
                connection.as_mut().graceful_shutdown();
            }
            () = tokio::time::sleep(STALL_MAX) => {
                if progress.answering.get() > 0 && progress.bytes.get() == seen {
                    tracing::debug!(%peer, "the peer takes nothing: connection closed");
                    return;
                }
                seen = progress.bytes.get();
            }
        }
    }
}

/// What a connection's bodies tell its driver.
#[derive(Debug, Default)]
struct Progress {
    bytes: Cell<u64>,
    answering: Cell<u32>,
    draining: Cell<bool>,
}

async fn respond(
    service: Arc<Service>,
    peer: IpAddr,
    request: Parts,
    received: Received,
    progress: Rc<Progress>,
) -> Response<Stream> {
    let mut tries = 0;
    loop {
        let live = service.live_page();
        let site = match service.ready(&request) {
            Some(site) => site,
            None => service.prepare(&request).await,
        };
        let moment = service.moment();
        let seen = Seen { site: &site, live };
        let mut answer = door::answer_plainly(&service, &request, &received, seen, &moment);
        if let Some(action) = answer.action.take() {
            service.act(action);
        }
        let entry = door::entry(&service, peer, &request, &answer, &moment);
        let body = std::mem::replace(&mut answer.body, Body::Empty);
        let content = match body {
            Body::Empty => Content::Source(Source::Memory(Bytes::new())),
            Body::Memory(bytes) => Content::Source(Source::Memory(bytes)),
            Body::Pieces(pieces) => {
                Content::Source(Source::joined(pieces.into_iter().map(Source::Memory)))
            }
            Body::Feed { hub, after } => Content::Feed(Feed::new(hub, after)),
            Body::Streamed(streamed) => match Arc::clone(&service).open(streamed).await {
                Ok(source) => Content::Source(source),
                Err(_) if door::may_reopen(tries) => {
                    tries += 1;
                    continue;
                }
                Err(error) => {
                    let target = crate::answer::target(&request);
                    tracing::warn!(target, %error, "cannot open a file");
                    return failed(service, progress);
                }
            },
        };
        door::count(&service, &request, &answer);
        return answer
            .head
            .map(|()| Stream::new(content, entry, service, progress));
    }
}

fn failed(service: Arc<Service>, progress: Rc<Progress>) -> Response<Stream> {
    let nothing = Content::Source(Source::Memory(Bytes::new()));
    let body = Stream::new(nothing, None, service, progress);
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

/// Reads a wanted body to its end, or as far as it comes in time.
async fn receive(mut body: hyper::body::Incoming, most: usize) -> Received {
    let mut whole = BytesMut::new();
    let reading = async {
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let Ok(frame) = frame else {
                return Received::Cut;
            };
            let piece = frame.into_data().unwrap_or_default();
            if whole.len() + piece.len() > most {
                return Received::TooLong;
            }
            whole.extend_from_slice(&piece);
        }
        Received::Whole(whole.split().freeze())
    };
    let received = tokio::time::timeout(BODY_WAIT_MAX, reading).await;
    received.unwrap_or(Received::Cut)
}

/// Where the bytes of a response body come from.
enum Content {
    Source(Source),
    Feed(Feed),
}

/// A response body as hyper asks for it.
struct Stream {
    content: Content,
    sent: u64,
    entry: Option<Box<Entry>>,
    service: Arc<Service>,
    progress: Rc<Progress>,
}

impl Stream {
    fn new(
        content: Content,
        entry: Option<Box<Entry>>,
        service: Arc<Service>,
        progress: Rc<Progress>,
    ) -> Self {
        progress.answering.set(progress.answering.get() + 1);
        Self {
            content,
            sent: 0,
            entry,
            service,
            progress,
        }
    }
}

impl HttpBody for Stream {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let draining = self.progress.draining.get();
        let piece = match &mut self.content {
            Content::Source(source) if source.left() == 0 => return Poll::Ready(None),
            // An error ends the connection before the promised length: the client sees it is cut.
            Content::Source(source) => ready!(source.poll_take(cx, PIECE_LENGTH))?,
            Content::Feed(feed) => {
                if draining {
                    feed.close();
                }
                match ready!(feed.poll_next(cx)) {
                    Some(piece) => piece,
                    None => return Poll::Ready(None),
                }
            }
        };
        let length = piece.len() as u64;
        self.sent += length;
        self.progress.bytes.set(self.progress.bytes.get() + length);
        let sent = Count::BodyBytes(Version::HTTP_11);
        self.service.metrics.add(sent, length);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.content, Content::Source(source) if source.left() == 0)
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Source(source) => SizeHint::with_exact(source.left()),
            Content::Feed(_) => SizeHint::default(),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.progress
            .answering
            .set(self.progress.answering.get() - 1);
        if let Some(mut entry) = self.entry.take() {
            entry.bytes = self.sent;
            self.service.log.write(*entry);
        }
    }
}
