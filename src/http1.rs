//! The fallback door: the same answers over HTTP/1.1, without promises and without 103.
//!
//! hyper speaks the protocol; this turns its requests into answers and its polls into bytes. Read
//! on in [`outlet`] (what is held on the way to the socket).

mod outlet;

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
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
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;

use self::outlet::{Outlet, Progress};
use crate::access_log::Entry;
use crate::answer::live::Received;
use crate::answer::{self, Answer, Body};
use crate::door::body::Source;
use crate::door::channels::{Channels, From, Listener, Reply};
use crate::door::conversation::Opening;
use crate::door::limits::{Incoming, IncomingBody};
use crate::door::{self, Seen, Service};
use crate::hub::sse::Feed;
use crate::metrics::Count;
use crate::web_socket::Io;

/// From one answer to the next request's header being complete.
pub const HEADER_WAIT_MAX: Duration = Duration::from_secs(30);
/// With an answer on its way, and not a byte of it taken.
pub const STALL_MAX: Duration = Duration::from_mins(1);
/// How often a connection is looked at that does nothing.
const LOOK_EVERY: Duration = Duration::from_secs(15);
/// Bytes of a request's header.
pub const HEADER_BYTES_MAX: usize = 16 * 1024;
/// Fields of a request's header.
pub const HEADER_FIELDS_MAX: usize = 100;
/// How long the end of a request's body is waited for, if it is wanted.
pub const BODY_WAIT_MAX: Duration = Duration::from_secs(10);

/// Serves a peer until it leaves, fails, or is drained.
pub async fn run<T: AsyncRead + AsyncWrite + Unpin>(
    stream: TlsStream<T>,
    peer: IpAddr,
    service: Arc<Service>,
    mut drain: watch::Receiver<bool>,
) {
    let progress = Rc::new(Progress::default());
    let outlet = Outlet::new(stream, Rc::clone(&progress));
    let opened: Rc<Cell<Option<Opened>>> = Rc::default();
    let incoming = Incoming::new(&service.buffers);
    let header_wait_max = HEADER_WAIT_MAX.min(service.limits.idle);
    let answering = service_fn(|request: http::Request<hyper::body::Incoming>| {
        let (service, progress) = (Arc::clone(&service), Rc::clone(&progress));
        let (opened, mut incoming) = (Rc::clone(&opened), incoming.body());
        // Boxed, so that the stream can be had back from hyper.
        Box::pin(async move {
            let (request, body) = request.into_parts();
            if let Some(channels) = service.channels(&request).cloned() {
                let asked = Asked {
                    request,
                    body,
                    incoming,
                    peer,
                };
                return Ok(reply(&service, &channels, asked, &opened, progress).await);
            }
            let received = match service.wanted_bytes_max(&request) {
                Some(most) => receive(&service, body, &mut incoming, most).await,
                None => Received::Nothing,
            };
            Ok::<_, Infallible>(respond(service, peer, request, received, progress).await)
        })
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(header_wait_max)
        .max_buf_size(HEADER_BYTES_MAX)
        .max_headers(HEADER_FIELDS_MAX)
        .serve_connection(TokioIo::new(outlet), answering);
    let mut buffered = service.buffers.part();
    let mut seen = (progress.taken(), Instant::now());
    loop {
        let going_on = poll_fn(|cx| {
            let polled = connection.poll_without_shutdown(cx);
            buffered.set(progress.held());
            match polled {
                Poll::Ready(end) => Poll::Ready(Some(end)),
                Poll::Pending if is_overcommitted(&service, &progress) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        });
        tokio::select! {
            biased;
            end = going_on => {
                match end {
                    Some(Ok(())) => {}
                    Some(Err(error)) => note_failure(&service, peer, &error),
                    None => {
                        tracing::debug!(%peer, "too much is held for it: closed");
                        return service.metrics.count(Count::Overcommitted);
                    }
                }
                break;
            }
            Ok(_) = drain.wait_for(|drain| *drain), if !progress.draining.get() => {
                progress.draining.set(true);
                Pin::new(&mut connection).graceful_shutdown();
            }
            () = tokio::time::sleep(LOOK_EVERY) => {
                let (taken, since) = seen;
                if progress.answering.get() == 0 || progress.taken() != taken {
                    seen = (progress.taken(), Instant::now());
                } else if since.elapsed() >= STALL_MAX {
                    tracing::debug!(%peer, "the peer takes nothing: connection closed");
                    return;
                }
            }
        }
    }
    let parts = connection.into_parts();
    let mut stream = parts.io.into_inner();
    match opened.take() {
        Some(opened) => converse(stream, parts.read_buf, opened, drain).await,
        // The peer may have gone already, or take nothing.
        None => drop(tokio::time::timeout(STALL_MAX, stream.shutdown()).await),
    }
}

/// A WebSocket that was opened, and what the log says of it.
struct Opened {
    opening: Box<Opening>,
    told: Told,
}

/// What the log says once this is dropped, however that comes.
struct Told {
    entry: Option<Box<Entry>>,
    service: Arc<Service>,
}

impl Drop for Told {
    fn drop(&mut self) {
        if let Some(entry) = self.entry.take() {
            self.service.log.write(*entry);
        }
    }
}

/// Speaks over a connection that is no longer HTTP's, until both sides have said farewell.
async fn converse<T: AsyncRead + AsyncWrite + Unpin>(
    stream: Outlet<T>,
    said: Bytes,
    opened: Opened,
    mut drain: watch::Receiver<bool>,
) {
    let Opened {
        opening,
        told: _told,
    } = opened;
    let mut talk = opening.on(Io(stream), said);
    let mut is_draining = false;
    loop {
        tokio::select! {
            biased;
            end = poll_fn(|cx| talk.poll(cx)) => {
                tracing::debug!(?end, "a WebSocket has ended");
                break;
            }
            Ok(_) = drain.wait_for(|drain| *drain), if !is_draining => {
                is_draining = true;
                talk.close();
            }
        }
    }
}

/// A request that is for channels.
struct Asked {
    request: Parts,
    body: hyper::body::Incoming,
    /// Held until there is a reply.
    incoming: IncomingBody,
    peer: IpAddr,
}

async fn reply(
    service: &Arc<Service>,
    channels: &Arc<Channels>,
    asked: Asked,
    opened: &Cell<Option<Opened>>,
    progress: Rc<Progress>,
) -> Response<Stream> {
    let Asked {
        request,
        body,
        mut incoming,
        peer,
    } = asked;
    let from = From {
        address: peer,
        protocol: None,
    };
    let receive = async |most| receive(service, body, &mut incoming, most).await;
    let reply = service.reply(channels, &request, from, receive).await;
    let moment = service.moment();
    let noted = |answer: &Answer| {
        door::count(service, &request, answer);
        door::entry(service, peer, &request, answer, &moment)
    };
    let (answer, content, entry) = match reply {
        Reply::Answered(mut answer) => {
            let body = std::mem::replace(&mut answer.body, Body::Empty);
            let bytes = match body {
                Body::Memory(bytes) => bytes,
                _ => Bytes::new(),
            };
            let entry = noted(&answer);
            (answer, Content::Source(Source::Memory(bytes)), entry)
        }
        Reply::Told(answer, listener) => {
            let entry = noted(&answer);
            (answer, Content::Feed(listener), entry)
        }
        Reply::Spoken(answer, opening) => {
            let told = Told {
                entry: noted(&answer),
                service: Arc::clone(service),
            };
            opened.set(Some(Opened { opening, told }));
            let nothing = Content::Source(Source::Memory(Bytes::new()));
            (answer, nothing, None)
        }
    };
    answer
        .head
        .map(|()| Stream::new(content, entry, Arc::clone(service), progress))
}

/// Returns whether the peer leaves more than its share, while all together leave too much.
fn is_overcommitted(service: &Service, progress: &Progress) -> bool {
    let share = service.buffers.share_of(|| service.metrics.open());
    share.is_some_and(|share| (progress.held() + progress.read.get()) as u64 > share)
}

/// Says why a connection failed. hyper answers what it cannot read by itself, and tells afterwards.
fn note_failure(service: &Service, peer: IpAddr, error: &hyper::Error) {
    tracing::debug!(%peer, %error, "HTTP/1.1 connection failed");
    let status = if error.is_parse_too_large() {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
    } else if error.is_parse() && !error.is_parse_version_h2() {
        StatusCode::BAD_REQUEST
    } else {
        return;
    };
    door::note_unread(service, peer, Version::HTTP_11, status);
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
        let prepared = match service.ready(&request) {
            Some(site) => Some((site, service.admission(&request))),
            None => service.prepare(&request, peer).await,
        };
        let moment = service.moment();
        let mut answer = match &prepared {
            Some((site, admission)) => {
                let seen = Seen { site, live };
                door::answer_plainly(&service, &request, &received, *admission, seen, &moment)
            }
            None => answer::failed(&moment),
        };
        if let Some(action) = answer.action.take() {
            service.act(action);
        }
        let body = std::mem::replace(&mut answer.body, Body::Empty);
        let content = match body {
            Body::Empty => Content::Source(Source::Memory(Bytes::new())),
            Body::Memory(bytes) => Content::Source(Source::Memory(bytes)),
            Body::Pieces(pieces) => {
                Content::Source(Source::joined(pieces.into_iter().map(Source::Memory)))
            }
            Body::Feed { hub, after } => Content::Feed(Box::new(Feed::new(hub, after).into())),
            Body::Streamed(streamed) => match Arc::clone(&service).open(streamed, tries).await {
                Ok(source) => Content::Source(source),
                Err(_) if door::may_reopen(tries) => {
                    tries += 1;
                    continue;
                }
                Err(error) => {
                    let target = answer::target(&request);
                    tracing::warn!(target, %error, "cannot open a file");
                    answer = answer::failed(&moment);
                    Content::Source(Source::Memory(Bytes::new()))
                }
            },
        };
        let entry = door::entry(&service, peer, &request, &answer, &moment);
        door::count(&service, &request, &answer);
        return answer
            .head
            .map(|()| Stream::new(content, entry, service, progress));
    }
}

/// Reads a wanted body to its end, or as far as it comes in time.
async fn receive(
    service: &Service,
    mut body: hyper::body::Incoming,
    incoming: &mut IncomingBody,
    most: usize,
) -> Received {
    let mut came = 0;
    let reading = async {
        let mut whole = BytesMut::new();
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            let Ok(frame) = frame else {
                return None;
            };
            let piece = frame.into_data().unwrap_or_default();
            came += piece.len();
            if whole.len() + piece.len() > most {
                return Some(Received::TooLong);
            }
            if !incoming.add(piece.len(), || service.metrics.open()) {
                return Some(Received::Busy);
            }
            whole.extend_from_slice(&piece);
        }
        Some(Received::Whole(whole.freeze()))
    };
    let received = tokio::time::timeout(BODY_WAIT_MAX, reading).await;
    received.ok().flatten().unwrap_or(Received::Cut(came))
}

/// Where the bytes of a response body come from.
enum Content {
    Source(Source),
    Feed(Box<Listener>),
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
        let Self {
            content,
            service,
            progress,
            ..
        } = &mut *self;
        let piece = match content {
            Content::Source(source) if source.left() == 0 => return Poll::Ready(None),
            Content::Source(source) => {
                let most = service.buffers.piece_length(|| service.metrics.open());
                progress.piece_length.set(most);
                source.read_at_once(most as u64);
                let taken = ready!(source.poll_take(cx, most));
                progress.read.set(source.held());
                // It ends the connection before the promised length: the client sees it is cut.
                taken.inspect_err(|error| {
                    tracing::warn!(%error, "a file changed while it was sent; its connection ends");
                })?
            }
            Content::Feed(feed) => {
                if progress.draining.get() {
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
        self.progress.give(piece.len());
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
        let Progress {
            answering, read, ..
        } = &*self.progress;
        answering.set(answering.get() - 1);
        read.set(0);
        if let Some(mut entry) = self.entry.take() {
            entry.bytes = self.sent;
            self.service.log.write(*entry);
        }
    }
}
