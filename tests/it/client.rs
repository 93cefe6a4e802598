//! A client that takes pushes: asks, keeps what comes, and tells it in the protocol's words.
//!
//! It is the `h2` crate's client with a tap under it, so that order is the wire's. Promises are
//! taken while the page's body is read, and once more after it: `h2` does not wake who waits for
//! promises when a page ends without any. Read on in `world`.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use h2::RecvStream;
use h2::client::{PushPromise, PushedResponseFuture, ResponseFuture, SendRequest};
use http::{HeaderMap, Method, Request, StatusCode, Uri};

use crate::transcript::Streams;

/// Requests made before the server has said how many it takes, as browsers do.
const STREAMS_FIRST: usize = 100;

/// What a client says of itself in its SETTINGS.
#[derive(Debug, Clone)]
pub(crate) struct ClientOptions {
    /// `ENABLE_PUSH`.
    pub(crate) push: bool,
    /// `INITIAL_WINDOW_SIZE`.
    pub(crate) stream_window: u32,
    /// The connection's window.
    pub(crate) connection_window: u32,
    /// `MAX_CONCURRENT_STREAMS`: how many pushed responses at once.
    pub(crate) concurrent_pushes: Option<u32>,
}

impl Default for ClientOptions {
    /// About what Chromium says.
    fn default() -> Self {
        Self {
            push: true,
            stream_window: 6 << 20,
            connection_window: 15 << 20,
            concurrent_pushes: None,
        }
    }
}

impl ClientOptions {
    /// Returns these settings as `h2` takes them.
    pub(crate) fn builder(&self) -> h2::client::Builder {
        let mut builder = h2::client::Builder::new();
        builder
            .enable_push(self.push)
            .initial_max_send_streams(STREAMS_FIRST)
            .initial_window_size(self.stream_window)
            .initial_connection_window_size(self.connection_window);
        if let Some(most) = self.concurrent_pushes {
            builder.max_concurrent_streams(most);
        }
        builder
    }
}

/// What is done with a body that comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// It is read to its end.
    Whole,
    /// It is never read, and its window never opened again.
    Nothing,
    /// It is cancelled after so many bytes.
    CancelAfter(usize),
}

/// A request to be made.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    method: Method,
    authority: String,
    target: String,
    headers: HeaderMap,
    body: Option<Bytes>,
    reading: Reading,
    pushes: Reading,
}

impl Ask {
    /// Asks for a path as a program does.
    pub(crate) fn get(target: &str) -> Self {
        Self::method("GET", target)
    }

    /// Asks for a page as a browser does when someone goes there.
    pub(crate) fn navigate(target: &str) -> Self {
        Self::get(target)
            .header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document")
            .header("sec-fetch-site", "none")
    }

    /// Asks with a method.
    pub(crate) fn method(method: &str, target: &str) -> Self {
        Self {
            method: method.parse().unwrap(),
            authority: "localhost".to_owned(),
            target: target.to_owned(),
            headers: HeaderMap::new(),
            body: None,
            reading: Reading::Whole,
            pushes: Reading::Whole,
        }
    }

    /// Asks another authority, on the same connection.
    pub(crate) fn authority(mut self, authority: &str) -> Self {
        authority.clone_into(&mut self.authority);
        self
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.append(name, value.parse().unwrap());
        self
    }

    /// Adds headers.
    pub(crate) fn headers(self, headers: &[(&'static str, &str)]) -> Self {
        headers
            .iter()
            .fold(self, |ask, (name, value)| ask.header(name, value))
    }

    /// Sends a body.
    pub(crate) fn body(mut self, body: &'static str) -> Self {
        self.body = Some(Bytes::from_static(body.as_bytes()));
        self
    }

    /// Says what to do with the answer's body.
    pub(crate) fn reading(mut self, reading: Reading) -> Self {
        self.reading = reading;
        self
    }

    /// Says what to do with promised bodies; `CancelAfter(0)` cancels as soon as they are promised.
    pub(crate) fn pushes(mut self, reading: Reading) -> Self {
        self.pushes = reading;
        self
    }
}

impl From<&str> for Ask {
    fn from(target: &str) -> Self {
        Self::get(target)
    }
}

/// What came of a request.
#[derive(Debug)]
pub(crate) struct Response {
    /// The stream.
    pub(crate) stream: u32,
    /// What came in the end, or why nothing did.
    pub(crate) answer: Result<Answer, h2::Error>,
    /// 103 responses.
    pub(crate) hints: Vec<HeaderMap>,
    /// What was promised with it, in order.
    pub(crate) promises: Vec<Promised>,
}

/// A final response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// Something that was promised.
#[derive(Debug)]
pub(crate) struct Promised {
    /// The stream.
    pub(crate) stream: u32,
    /// The request that is answered.
    pub(crate) request: Request<()>,
    /// What came, or why nothing did; `None`: it was cancelled.
    pub(crate) answer: Option<Result<Answer, h2::Error>>,
}

impl Response {
    /// Returns the final response, which must have come.
    #[track_caller]
    pub(crate) fn answer(&self) -> &Answer {
        self.answer
            .as_ref()
            .unwrap_or_else(|error| panic!("no response came: {error}"))
    }

    /// Returns the status.
    #[track_caller]
    pub(crate) fn status(&self) -> u16 {
        self.answer().status.as_u16()
    }

    /// Returns a header's value; empty if it is missing.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.answer().header(name)
    }

    /// Returns what was promised, in order, as paths.
    pub(crate) fn promised(&self) -> Vec<&str> {
        self.promises.iter().map(Promised::target).collect()
    }

    /// Returns the body as text.
    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.answer().body).unwrap()
    }
}

impl Answer {
    /// Returns a header's value; empty if it is missing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

impl Promised {
    /// Returns path and query.
    pub(crate) fn target(&self) -> &str {
        self.request.uri().path_and_query().unwrap().as_str()
    }
}

/// Makes a request and takes everything that comes of it.
pub(crate) async fn exchange(sender: SendRequest<Bytes>, ask: Ask, streams: Streams) -> Response {
    let request = ask.request();
    let mut sender = match sender.ready().await {
        Ok(sender) => sender,
        Err(error) => return Response::failed(error),
    };
    let sent = sender.send_request(request, ask.body.is_none());
    let (mut response, mut upload) = match sent {
        Ok(sent) => sent,
        Err(error) => return Response::failed(error),
    };
    if let Some(body) = ask.body {
        upload.send_data(body, true).unwrap();
    }
    drop(upload);
    let stream = response.stream_id().as_u32();
    streams.asked(stream, &ask.method, &ask.target);

    let mut promises = response.push_promises();
    let mut promising = true;
    let mut arriving = FuturesUnordered::new();
    let mut arrived = Vec::new();
    let mut hints = Vec::new();
    let answer = {
        let mut page = pin!(receive(response, ask.reading, &streams, &mut hints));
        loop {
            tokio::select! {
                biased;
                promise = promises.push_promise(), if promising => match promise {
                    Some(Ok(promise)) => arriving.push(take(promise, ask.pushes, &streams)),
                    _ => promising = false,
                },
                Some(one) = arriving.next() => arrived.push(one),
                answer = &mut page => break answer,
            }
        }
    };
    while let Some(Some(Ok(promise))) = promises.push_promise().now_or_never() {
        arriving.push(take(promise, ask.pushes, &streams));
    }
    drop(promises);
    while let Some(one) = arriving.next().await {
        arrived.push(one);
    }
    arrived.sort_by_key(|promise| promise.stream);
    Response {
        stream,
        answer,
        hints,
        promises: arrived,
    }
}

impl Ask {
    fn request(&self) -> Request<()> {
        let uri = Uri::builder()
            .scheme("https")
            .authority(self.authority.as_str());
        let uri = uri.path_and_query(self.target.as_str()).build().unwrap();
        let mut request = Request::new(());
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri;
        *request.headers_mut() = self.headers.clone();
        request
    }
}

impl Response {
    fn failed(error: h2::Error) -> Self {
        Self {
            stream: 0,
            answer: Err(error),
            hints: Vec::new(),
            promises: Vec::new(),
        }
    }
}

async fn receive(
    mut response: ResponseFuture,
    reading: Reading,
    streams: &Streams,
    hints: &mut Vec<HeaderMap>,
) -> Result<Answer, h2::Error> {
    let id = response.stream_id().as_u32();
    while let Some(hint) = poll_fn(|context| response.poll_informational(context)).await {
        let hint = hint?;
        streams.hinted(id, &hint);
        hints.push(hint.into_parts().0.headers);
    }
    let (head, body) = response.await?.into_parts();
    finish(id, head, body, reading, streams).await
}

async fn take(promise: PushPromise, reading: Reading, streams: &Streams) -> Promised {
    let (request, response) = promise.into_parts();
    let stream = response.stream_id().as_u32();
    streams.promised(stream, &request);
    if reading == Reading::CancelAfter(0) {
        return Promised {
            stream,
            request,
            answer: None,
        };
    }
    let answer = receive_promised(response, reading, streams).await;
    Promised {
        stream,
        request,
        answer: Some(answer),
    }
}

async fn receive_promised(
    response: PushedResponseFuture,
    reading: Reading,
    streams: &Streams,
) -> Result<Answer, h2::Error> {
    let id = response.stream_id().as_u32();
    let (head, body) = response.await?.into_parts();
    finish(id, head, body, reading, streams).await
}

async fn finish(
    id: u32,
    head: http::response::Parts,
    mut body: RecvStream,
    reading: Reading,
    streams: &Streams,
) -> Result<Answer, h2::Error> {
    streams.answered(id, &head);
    let mut bytes = Vec::new();
    loop {
        match reading {
            Reading::Nothing => poll_fn(|_| Poll::Pending).await,
            Reading::CancelAfter(most) if bytes.len() >= most => break,
            _ => {}
        }
        let Some(chunk) = body.data().await else {
            break;
        };
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        bytes.extend_from_slice(&chunk);
    }
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body: bytes.into(),
    })
}
