//! The bytes between h2 and TLS: gathered, cut into records that fit the link, sent when told.
//!
//! h2 flushes after every request it hands out, so every small answer would cost a record and a
//! system call of its own. Here a flush does nothing; the connection's driver calls
//! [`Outbox::poll_drain`] when it has no more to say. Knows bytes and frames, not answers.

use std::cell::RefCell;
use std::io::{self, IoSlice, Write as _};
use std::ops::ControlFlow;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;
use tokio_rustls::server::TlsStream;

use super::wire::{Frames, Told};

/// Plaintext of a record while the link's window is small: with its 22 bytes of overhead it fits a
/// segment, so the peer can decrypt every segment by itself.
const SMALL_RECORD: usize = 1_300;
/// Bytes after which the window has grown enough for large records.
const SMALL_RECORDS_UNTIL: usize = 64 * 1024;
/// Silence after which the window may have shrunk again (RFC 9293 section 3.8.6, slow start after
/// idle).
const IDLE_RESTART: Duration = Duration::from_secs(1);
/// Largest plaintext of a record (RFC 8446 section 5.1).
const LARGE_RECORD: usize = 16 * 1024;
/// Plaintext above which a record's buffer, with its 22 bytes of overhead, would be of the size
/// that h2 allocates to write into. The next connection would get it as that: 16 kB dirty, for the
/// few hundred bytes that h2 uses. So no record is longer, unless it is of full length.
const RECORD_PART_MAX: usize = 14 * 1024 - 22;
/// Writes from this size on go to TLS without a copy, once records are large.
const WRITE_THROUGH: usize = 4 * 1024;
/// Bytes taken from h2 before it has to wait for a drain.
pub const HELD_MAX: usize = 64 * 1024 + 32 * 1024;
/// Requests that h2 is given before it has handed out what it has. It keeps room for as many as it
/// ever held at once, 250 bytes each, for as long as the connection lives.
const REQUESTS_MAX: u8 = 4;
/// PRIORITY_UPDATE frames kept for the driver.
const PRIORITIES_MAX: usize = 64;
/// Refused promises kept for the driver.
const REFUSED_MAX: usize = 64;
/// Connection window before any WINDOW_UPDATE (RFC 9113 section 6.9.2).
const WINDOW_INITIAL: i64 = 65_535;
/// Buffers kept by a runtime for its next writers.
const POOL_MAX: usize = 4;
/// Capacity above which a buffer is not kept.
const POOL_BUFFER_MAX: usize = 128 * 1024;

thread_local! {
    static POOL: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// The write side of a connection, and what its frames have told.
#[derive(Debug)]
pub(super) struct Outbox<T> {
    tls: TlsStream<T>,
    plain: Vec<u8>,
    held: usize,
    since_idle: usize,
    last_drain: Instant,
    incoming: Frames,
    outgoing: Frames,
    reads: u64,
    /// What was read behind the last request that h2 was given.
    ahead: Vec<u8>,
    /// HEADERS that h2 was given since it last had nothing to hand out. They are about its
    /// requests: trailers count too, which costs a look more, and what is reset counts no longer.
    requests: u8,
    /// It was given nothing more, because of them.
    is_held_back: bool,
    /// Reading has found nothing more, and will wake the task.
    is_read_out: bool,
    peer: PeerTold,
}

/// What the frames of a connection have told so far.
#[derive(Debug)]
pub(super) struct PeerTold {
    /// Whether the peer takes pushes now.
    pub(super) enable_push: bool,
    /// Whether the peer has said that it takes no new streams (RFC 9113 section 6.8).
    pub(super) leaving: bool,
    /// Whether headers or bytes of an answer were written since that was last taken: what only
    /// acknowledges a peer's frames is no answer.
    pub(super) answered: bool,
    /// How many requests h2 has answered by itself since that was last taken.
    pub(super) unread: u32,
    /// Bytes of DATA the peer's connection window still takes.
    pub(super) window: i64,
    /// The highest promised stream id that has been written.
    pub(super) promised: u32,
    /// Priorities that the peer has changed since they were last taken.
    pub(super) priorities: Vec<(u32, String)>,
    /// How many streams the peer has reset since that was last taken.
    pub(super) resets: u32,
    /// Promised streams that the peer has refused since they were last taken.
    pub(super) refused: Vec<u32>,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Outbox<T> {
    /// Takes a TLS stream whose handshake is done.
    pub(super) fn new(mut tls: TlsStream<T>) -> Self {
        // What it holds is bounded here, so that a batch never meets a second limit inside rustls.
        tls.get_mut().1.set_buffer_limit(None);
        Self {
            tls,
            plain: Vec::new(),
            held: 0,
            since_idle: 0,
            last_drain: Instant::now(),
            incoming: Frames::of_client(),
            outgoing: Frames::of_server(),
            reads: 0,
            ahead: Vec::new(),
            requests: 0,
            is_held_back: false,
            is_read_out: false,
            peer: PeerTold {
                enable_push: true,
                leaving: false,
                answered: false,
                unread: 0,
                window: WINDOW_INITIAL,
                promised: 0,
                priorities: Vec::new(),
                resets: 0,
                refused: Vec::new(),
            },
        }
    }

    /// Bytes taken since the last complete drain.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// How often bytes were read: changes when flow control may have moved.
    pub(super) fn reads(&self) -> u64 {
        self.reads
    }

    /// Looks for bytes to read anew. h2 looks before every request that it hands out; those of one
    /// flight have mostly come with the first.
    pub(super) fn look(&mut self) {
        self.is_read_out = false;
        self.requests = 0;
    }

    /// Notes that h2 has handed out every request that it was given. Returns whether it must look
    /// again, as there may be more: nothing else would wake the task for that.
    pub(super) fn look_on(&mut self) -> bool {
        self.requests = 0;
        std::mem::take(&mut self.is_held_back)
    }

    /// Gives h2 nothing more until the next [`Outbox::look`].
    pub(super) fn hold_back(&mut self) {
        self.requests = REQUESTS_MAX;
    }

    /// What the frames have told.
    pub(super) fn told(&mut self) -> &mut PeerTold {
        &mut self.peer
    }

    /// Writes everything that is held to the socket.
    pub(super) fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.held == 0 && !self.tls.get_ref().1.wants_write() {
            return Poll::Ready(Ok(()));
        }
        self.seal(&[])?;
        ready!(Pin::new(&mut self.tls).poll_flush(cx))?;
        self.held = 0;
        self.last_drain = Instant::now();
        Poll::Ready(Ok(()))
    }

    /// Returns whether the link's window has grown enough for large records.
    pub(super) fn has_large_records(&self) -> bool {
        self.since_idle >= SMALL_RECORDS_UNTIL
    }

    /// Returns the length of the next record, if so many bytes are left.
    fn record_length(&self, left: usize) -> usize {
        if !self.has_large_records() {
            left.min(SMALL_RECORD)
        } else if left < LARGE_RECORD {
            left.min(RECORD_PART_MAX)
        } else {
            LARGE_RECORD
        }
    }

    /// Encrypts what has been gathered and then `bytes`, and gives the buffer back.
    fn seal(&mut self, bytes: &[u8]) -> io::Result<()> {
        let plain = std::mem::take(&mut self.plain);
        let (mut first, mut then) = (&plain[..], bytes);
        while !(first.is_empty() && then.is_empty()) {
            let length = self.record_length(first.len() + then.len());
            let (one, after) = first.split_at(length.min(first.len()));
            let (two, rest) = then.split_at(length - one.len());
            let both = [IoSlice::new(one), IoSlice::new(two)];
            if self.tls.get_mut().1.writer().write_vectored(&both)? != length {
                return Err(io::ErrorKind::WriteZero.into());
            }
            self.since_idle += length;
            (first, then) = (after, rest);
        }
        give_back(plain);
        Ok(())
    }

    fn poll_take(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.held >= HELD_MAX {
            ready!(self.poll_drain(cx))?;
        }
        if self.held == 0 && self.last_drain.elapsed() >= IDLE_RESTART {
            self.since_idle = 0;
        }
        let bytes = &bytes[..bytes.len().min(HELD_MAX - self.held)];
        let peer = &mut self.peer;
        self.outgoing.read(bytes, |told| match told {
            Told::Data(length) => {
                peer.window -= i64::from(length);
                peer.answered |= length > 0;
            }
            Told::Headers => peer.answered = true,
            Told::Bare => {
                peer.answered = true;
                peer.unread += 1;
            }
            Told::Promised(id) => peer.promised = peer.promised.max(id),
            _ => {}
        });
        self.held += bytes.len();
        if bytes.len() >= WRITE_THROUGH && self.has_large_records() {
            self.seal(bytes)?;
        } else {
            if self.plain.capacity() == 0 {
                self.plain = POOL.with_borrow_mut(Vec::pop).unwrap_or_default();
            }
            self.plain.extend_from_slice(bytes);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.requests >= REQUESTS_MAX {
            self.is_held_back = true;
            return Poll::Pending;
        }
        let before = into.filled().len();
        let was_ahead = self.ahead.len().min(into.remaining());
        if was_ahead > 0 {
            into.put_slice(&self.ahead[..was_ahead]);
        } else if self.is_read_out {
            return Poll::Pending;
        } else {
            let read = Pin::new(&mut self.tls).poll_read(cx, into);
            self.is_read_out = read.is_pending();
            ready!(read)?;
        }
        self.reads += 1;
        let given = self.follow(&into.filled()[before..]);
        if was_ahead > 0 {
            self.ahead.drain(..given);
        } else {
            self.ahead
                .extend_from_slice(&into.filled()[before + given..]);
        }
        if self.ahead.is_empty() {
            self.ahead = Vec::new();
        }
        into.set_filled(before + given);
        Poll::Ready(Ok(()))
    }

    /// Heeds what the peer's frames tell, up to the last request that h2 may be given now. Returns
    /// how many bytes that were.
    fn follow(&mut self, bytes: &[u8]) -> usize {
        let (peer, requests) = (&mut self.peer, &mut self.requests);
        self.incoming.read_until(bytes, |told| {
            match told {
                Told::EnablePush(enable) => peer.enable_push = enable,
                Told::ConnectionWindow(more) => peer.window += i64::from(more),
                Told::Priority(id, value) => {
                    if peer.priorities.len() < PRIORITIES_MAX {
                        peer.priorities.push((id, value));
                    }
                }
                Told::GoAway => peer.leaving = true,
                Told::Reset => {
                    peer.resets = peer.resets.saturating_add(1);
                    // As if it had not been asked: h2 counts what is taken back unseen.
                    *requests = requests.saturating_sub(1);
                }
                Told::Refused(id) => {
                    if peer.refused.len() < REFUSED_MAX {
                        peer.refused.push(id);
                    }
                }
                Told::Headers => *requests += 1,
                Told::Data(_) | Told::Bare | Told::Promised(_) => {}
            }
            if *requests < REQUESTS_MAX {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        })
    }
}

fn give_back(mut buffer: Vec<u8>) {
    if buffer.capacity() == 0 || buffer.capacity() > POOL_BUFFER_MAX {
        return;
    }
    buffer.clear();
    POOL.with_borrow_mut(|pool| {
        if pool.len() < POOL_MAX {
            pool.push(buffer);
        }
    });
}

/// The stream that h2 owns: reads and writes of a shared [`Outbox`], whose flush is the driver's.
#[derive(Debug)]
pub(super) struct Channel<T>(pub(super) Rc<RefCell<Outbox<T>>>);

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Channel<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.borrow_mut().poll_fill(cx, into)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Channel<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.borrow_mut().poll_take(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut outbox = self.0.borrow_mut();
        ready!(outbox.poll_drain(cx))?;
        Pin::new(&mut outbox.tls).poll_shutdown(cx)
    }
}
