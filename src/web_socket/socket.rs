//! A conversation on a stream of bytes: polled by its owner's task, without one of its own.
//!
//! Knows no protocol; [`super::session`] does. A [`Transport`] is either [`Io`], for a connection
//! that was upgraded, or an HTTP/2 stream, which hands over and takes bytes without copying.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::{Close, End, Frame, Message, NotSent, Session};

/// Bytes read at once, onto the stack: an idle socket holds no buffer.
const READ_BYTES: usize = 16 * 1024;
/// Frames given to the system at once.
const SLICES_MAX: usize = 32;

/// A stream of bytes in both directions.
pub trait Transport {
    /// Returns what has arrived; nothing: the peer will send no more.
    ///
    /// # Errors
    /// The stream has failed.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>>;

    /// Takes bytes from the front of what is to be sent, of which there are some. Returns how many;
    /// what was taken will be sent without more ado.
    ///
    /// # Errors
    /// The stream has failed.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        output: &VecDeque<Bytes>,
    ) -> Poll<io::Result<usize>>;

    /// Pushes out what has been taken.
    ///
    /// # Errors
    /// The stream has failed.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ends the stream in this direction.
    ///
    /// # Errors
    /// The stream has failed.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

/// A connection that carries one conversation alone.
#[derive(Debug)]
pub struct Io<S>(pub S);

impl<S: AsyncRead + AsyncWrite + Unpin> Transport for Io<S> {
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        let mut room = [MaybeUninit::uninit(); READ_BYTES];
        let mut buffer = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer))?;
        Poll::Ready(Ok(Bytes::copy_from_slice(buffer.filled())))
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        output: &VecDeque<Bytes>,
    ) -> Poll<io::Result<usize>> {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut count = 0;
        for (slice, bytes) in slices.iter_mut().zip(output) {
            *slice = IoSlice::new(bytes);
            count += 1;
        }
        let sent = ready!(Pin::new(&mut self.0).poll_write_vectored(cx, &slices[..count]))?;
        Poll::Ready(if sent == 0 {
            Err(io::ErrorKind::WriteZero.into())
        } else {
            Ok(sent)
        })
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A conversation on a stream. Whoever holds it must poll it until it is over: [`Self::poll_next`],
/// [`Self::poll_room`] and [`Self::poll_end`] each send what waits, and keep the time.
#[derive(Debug)]
pub struct Socket<T> {
    session: Session,
    transport: T,
    /// What has arrived and was not asked for yet.
    input: Bytes,
    is_flushed: bool,
    /// The peer has ended the stream in its direction.
    is_heard_out: bool,
    /// It has been ended in ours.
    is_ended: bool,
    /// Made when it is first needed. Rings early rather than be moved with every message.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<T: Transport> Socket<T> {
    /// Returns a conversation on a stream. `input` is what was read from it with the opening.
    pub const fn new(session: Session, transport: T, input: Bytes) -> Self {
        Self {
            session,
            transport,
            input,
            is_flushed: true,
            is_heard_out: false,
            is_ended: false,
            timer: None,
        }
    }

    /// Returns the next message; `None`: it is over.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        loop {
            let now = Instant::now();
            if let Some(message) = self.session.receive(&mut self.input, now) {
                return Poll::Ready(Some(message));
            }
            // What was just received may be answered.
            self.send_all(cx);
            if self.session.end().is_some() {
                return Poll::Ready(None);
            }
            if self.poll_receive(cx).is_pending() {
                ready!(self.poll_time(cx));
            }
        }
    }

    /// Waits until a frame would be taken. Nothing is received meanwhile: a peer that does not read
    /// what it asks for is not heard. Returns whether there is room; else farewell has been said.
    pub fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            self.send_all(cx);
            if !self.session.is_open() {
                return Poll::Ready(false);
            }
            if self.session.has_room() {
                return Poll::Ready(true);
            }
            ready!(self.poll_time(cx));
        }
    }

    /// Hears the rest out, to no purpose, and returns how it ended.
    pub fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        while ready!(self.poll_next(cx)).is_some() {}
        Poll::Ready(self.session.end().cloned().unwrap_or(End::Cut))
    }

    /// Queues a message; it leaves at the next poll.
    ///
    /// # Errors
    /// It was not queued: there was no room, or farewell has been said.
    pub fn send(&mut self, frame: &Frame) -> Result<(), NotSent> {
        self.session.send(frame, Instant::now())
    }

    /// Says farewell, after what is queued; [`Self::poll_end`] sees it through.
    pub fn close(&mut self, close: &Close) {
        self.session.close(close, Instant::now());
    }

    /// Returns the conversation as such.
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// Returns what carries it.
    pub const fn transport_mut(&mut self) -> &mut T {
        &mut self.transport
    }

    /// Returns the next message; `None`: it is over. May be dropped and called again.
    pub async fn next(&mut self) -> Option<Message> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Waits until a frame would be taken; false: farewell has been said.
    pub async fn room(&mut self) -> bool {
        poll_fn(|cx| self.poll_room(cx)).await
    }

    /// Hears the rest out, and returns how it ended.
    pub async fn ended(&mut self) -> End {
        poll_fn(|cx| self.poll_end(cx)).await
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_heard_out {
            return Poll::Pending;
        }
        match ready!(self.transport.poll_receive(cx)) {
            Ok(input) if input.is_empty() => {
                self.is_heard_out = true;
                self.session.receive_end();
            }
            Ok(input) => self.input = input,
            Err(_) => self.session.cut(),
        }
        Poll::Ready(())
    }

    /// Sends what can be, and ends the stream when that is all.
    fn send_all(&mut self, cx: &mut Context<'_>) {
        if let Poll::Ready(Err(_)) = self.poll_send_all(cx) {
            self.session.cut();
        }
    }

    fn poll_send_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.session.output().is_empty() {
            let sent = ready!(self.transport.poll_send(cx, self.session.output()))?;
            self.session.sent(sent, Instant::now());
            self.is_flushed = false;
        }
        if !self.is_flushed {
            ready!(self.transport.poll_flush(cx))?;
            self.is_flushed = true;
        }
        if self.session.ends_stream() && !self.is_ended {
            ready!(self.transport.poll_end(cx))?;
            self.is_ended = true;
            self.session.ended_stream();
        }
        Poll::Ready(Ok(()))
    }

    /// Waits until something is due, and does it.
    fn poll_time(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(deadline) = self.session.deadline() else {
            return Poll::Ready(());
        };
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if deadline < timer.deadline() {
            timer.as_mut().reset(deadline);
        }
        while timer.as_mut().poll(cx).is_ready() {
            self.session.tick(Instant::now());
            let Some(next) = self.session.deadline() else {
                return Poll::Ready(());
            };
            timer.as_mut().reset(next);
            if !self.session.output().is_empty() || self.session.end().is_some() {
                // There is something to send, or to tell.
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}
