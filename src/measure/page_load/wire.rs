//! The one connection of a load: opened when the first request needs it, driven by polling, with a
//! meter of what arrives under it.
//!
//! ```text
//! Unopened --need--> Opening --connected, greeted--> Open --closed by either side--> Over
//!                       `------------- failed --------------------------------------^
//! ```

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use http::Request;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::pieces::Pieces;

/// How an HTTP/1 server begins whatever it says.
const HTTP1_BEGINNING: &[u8] = b"HTTP/1.";

/// The connection of a load.
pub(super) struct Wire<'a> {
    state: State<'a>,
    arrivals: Rc<RefCell<Arrivals>>,
    connected: Option<Duration>,
}

enum State<'a> {
    Unopened(Box<dyn FnOnce() -> Opening<'a> + 'a>),
    Opening(Opening<'a>),
    Open(Open<'a>),
    /// Why.
    Over(String),
}

/// Gives when the connection was there, and what came of the greeting.
type Opening<'a> = Pin<Box<dyn Future<Output = (Option<Duration>, Result<Open<'a>, String>)> + 'a>>;

struct Open<'a> {
    sender: SendRequest<Bytes>,
    connection: Pin<Box<dyn Future<Output = Result<(), h2::Error>> + 'a>>,
}

impl<'a> Wire<'a> {
    pub(super) fn new<C, F, S>(connect: C, greeting: h2::client::Builder, started: Instant) -> Self
    where
        C: FnOnce() -> F + 'a,
        F: Future<Output = io::Result<S>> + 'a,
        S: AsyncRead + AsyncWrite + Unpin + 'a,
    {
        let arrivals = Rc::new(RefCell::new(Arrivals::new(started)));
        let metered = arrivals.clone();
        let open = || -> Opening<'a> { Box::pin(open(connect(), greeting, metered)) };
        Self {
            state: State::Unopened(Box::new(open)),
            arrivals,
            connected: None,
        }
    }

    /// Drives the connection; true if something may have come of it.
    pub(super) fn poll(&mut self, context: &mut Context<'_>) -> bool {
        match &mut self.state {
            State::Unopened(_) | State::Over(_) => false,
            State::Opening(opening) => {
                let Poll::Ready((connected, opened)) = opening.as_mut().poll(context) else {
                    return false;
                };
                self.connected = connected;
                self.state = match opened {
                    Ok(open) => State::Open(open),
                    Err(why) => State::Over(why),
                };
                true
            }
            State::Open(open) => {
                let Poll::Ready(end) = open.connection.as_mut().poll(context) else {
                    return false;
                };
                let why = match end {
                    Ok(()) => "the server closed the connection".to_owned(),
                    Err(error) => sentence(&error),
                };
                self.state = State::Over(why);
                true
            }
        }
    }

    /// Opens the connection unless it is, and waits until a request can leave, so many being open.
    pub(super) fn poll_ready(
        &mut self,
        requests_open: usize,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), String>> {
        self.open();
        match &mut self.state {
            State::Open(open) => {
                // `h2` would take one more and hold it back: it would seem to have left.
                if requests_open >= open.sender.current_max_send_streams() {
                    return Poll::Pending;
                }
                let ready = ready!(open.sender.poll_ready(context));
                Poll::Ready(ready.map_err(|error| sentence(&error)))
            }
            State::Over(why) => Poll::Ready(Err(why.clone())),
            State::Unopened(_) | State::Opening(_) => Poll::Pending,
        }
    }

    /// Sends a request, after [`Self::poll_ready`].
    pub(super) fn send(&mut self, request: Request<()>) -> Result<ResponseFuture, String> {
        match &mut self.state {
            State::Open(open) => {
                let sent = open.sender.send_request(request, true);
                sent.map(|(response, _)| response)
                    .map_err(|error| sentence(&error))
            }
            _ => Err("the connection is not open".to_owned()),
        }
    }

    /// Returns why there is no connection any more.
    pub(super) fn end(&self) -> Option<&str> {
        match &self.state {
            State::Over(why) => Some(why),
            _ => None,
        }
    }

    /// Returns when the connection was there.
    pub(super) fn connected(&self) -> Option<Duration> {
        self.connected
    }

    /// Returns the bytes that have arrived.
    pub(super) fn bytes(&self) -> u64 {
        let arrivals = self.arrivals.borrow();
        arrivals.moments.last().map_or(0, |&(_, bytes)| bytes)
    }

    /// Returns the moments at which bytes arrived, and the bytes until then.
    pub(super) fn arrivals(&self) -> Vec<(Duration, u64)> {
        self.arrivals.borrow().moments.clone()
    }

    fn open(&mut self) {
        let opened = std::mem::replace(&mut self.state, State::Over(String::new()));
        self.state = match opened {
            State::Unopened(open) => State::Opening(open()),
            opened => opened,
        };
    }

    /// Returns whether HTTP/1 came, which HTTP/2 finds strange errors in.
    pub(super) fn is_http1(&self) -> bool {
        self.arrivals.borrow().beginning == HTTP1_BEGINNING
    }
}

/// Waits for a connection, and greets on it.
async fn open<'a, F, S>(
    opening: F,
    greeting: h2::client::Builder,
    arrivals: Rc<RefCell<Arrivals>>,
) -> (Option<Duration>, Result<Open<'a>, String>)
where
    F: Future<Output = io::Result<S>>,
    S: AsyncRead + AsyncWrite + Unpin + 'a,
{
    let stream = match opening.await {
        Ok(stream) => stream,
        Err(error) => return (None, Err(error.to_string())),
    };
    let connected = arrivals.borrow().started.elapsed();
    let greeted = greeting
        .handshake(Pieces::new(Metered { stream, arrivals }))
        .await;
    let opened = greeted.map(|(sender, connection)| Open {
        sender,
        connection: Box::pin(connection),
    });
    (Some(connected), opened.map_err(|error| sentence(&error)))
}

/// Puts an error of the protocol into words that tell who ended what.
pub(in crate::measure) fn sentence(error: &h2::Error) -> String {
    let reason = || match error.reason() {
        Some(reason) => format!("{reason:?}"),
        None => "no reason given".to_owned(),
    };
    if let Some(error) = error.get_io() {
        return format!("the connection broke: {error}");
    }
    match (error.is_go_away(), error.is_remote()) {
        (true, true) => format!("the server closed the connection (GOAWAY, {})", reason()),
        (true, false) => format!("the server broke the rules of HTTP/2 ({})", reason()),
        (false, true) => format!("the server reset the stream ({})", reason()),
        (false, false) if error.is_reset() => {
            format!(
                "the response is malformed, or its header is too large ({})",
                reason()
            )
        }
        (false, false) => error.to_string(),
    }
}

/// When how much arrived.
#[derive(Debug)]
struct Arrivals {
    started: Instant,
    moments: Vec<(Duration, u64)>,
    beginning: Vec<u8>,
}

impl Arrivals {
    fn new(started: Instant) -> Self {
        Self {
            started,
            moments: Vec::new(),
            beginning: Vec::new(),
        }
    }

    fn add(&mut self, bytes: &[u8]) {
        let wanting = HTTP1_BEGINNING.len() - self.beginning.len();
        self.beginning.extend(bytes.iter().take(wanting));
        let now = self.started.elapsed();
        let length = bytes.len() as u64;
        match self.moments.last_mut() {
            Some((at, until)) if *at == now => *until += length,
            last => {
                let before = last.map_or(0, |&mut (_, until)| until);
                self.moments.push((now, before + length));
            }
        }
    }
}

/// A byte stream of which it is noted when how much arrived.
struct Metered<S> {
    stream: S,
    arrivals: Rc<RefCell<Arrivals>>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = &buffer.filled()[before..];
        if !read.is_empty() {
            self.arrivals.borrow_mut().add(read);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
