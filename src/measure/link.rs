//! A simulated link: a TCP connection on tokio's clock, between two byte streams.
//!
//! It stands in for the network in a measurement, so that the real server, the real TLS and a
//! loader talk over `slow-4g` in no time, and twice the same. Nothing is spawned: each end works
//! out, when it is polled, what has happened since. Moments on the link are exact to the
//! nanosecond; tokio's timers wake an end at most one millisecond after its moment, so that what
//! shares a millisecond costs one wake.
//!
//! # What it models
//!
//! - A bottleneck in each direction: packets of 1460 bytes and 40 of headers leave at the rate,
//!   wait in a drop-tail queue, and travel for half a round trip.
//! - The sender: ten segments first (RFC 6928), slow start, congestion avoidance, recovery of
//!   losses, timeouts; a buffer of unsent bytes, or a large one.
//! - The receiver: delayed and selective acknowledgements, which take their time on the way back;
//!   what arrives behind a gap is read when the gap is filled.
//! - Seeded loss, of any packet.
//!
//! Left out: opening and closing handshakes (a caller waits [`LinkOptions::handshake_time`]), the
//! receive window, reordering, pacing, tail loss probes, and other traffic.
//!
//! Knows nothing of TLS or HTTP. Read on in [`options`] (what a link is like) and `path` (what
//! happens on it).

use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

pub mod options;
mod path;
mod receiver;
mod sender;
#[cfg(test)]
mod tests;
mod window;
mod wire;

pub use options::{LinkError, LinkOptions, SendBuffer};
use path::Path;

/// Bytes of payload in a full segment.
pub const SEGMENT_BYTES: usize = 1460;
/// Bytes of the first flight: ten segments (RFC 6928).
pub const FIRST_FLIGHT_BYTES: usize = 10 * SEGMENT_BYTES;
/// Bytes of the headers of a packet: IPv4 and TCP without options.
const HEADER_BYTES: u64 = 40;

/// Returns the two ends of a new connection over a link: the server's, and the client's.
pub fn link(options: &LinkOptions) -> (End, End) {
    let path = Arc::new(Mutex::new(Path::new(options)));
    (
        End::new(path.clone(), Direction::Down),
        End::new(path, Direction::Up),
    )
}

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    /// From the server to the client.
    Down = 0,
    /// From the client to the server.
    Up = 1,
}

impl Direction {
    fn other(self) -> Self {
        match self {
            Self::Down => Self::Up,
            Self::Up => Self::Down,
        }
    }
}

/// A range of a flow's bytes, numbered from 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Span {
    start: u64,
    end: u64,
}

impl Span {
    fn length(self) -> u64 {
        self.end - self.start
    }
}

/// How far a direction of a link has come: moments, and the bytes until then.
#[derive(Debug, Clone, Default)]
pub struct Progress(Vec<(Instant, u64)>);

impl Progress {
    /// Returns the bytes that had passed at a moment.
    pub fn bytes_at(&self, moment: Instant) -> u64 {
        let passed = self.0.partition_point(|&(at, _)| at <= moment);
        passed.checked_sub(1).map_or(0, |last| self.0[last].1)
    }

    /// Returns each moment at which bytes passed, in order, and how many had passed then.
    pub fn steps(&self) -> &[(Instant, u64)] {
        &self.0
    }

    fn add(&mut self, at: Instant, bytes: u64) {
        if bytes == 0 {
            return;
        }
        let last = self.0.last().copied();
        let total = last.map_or(0, |(_, before)| before) + bytes;
        if last.is_some_and(|(before, _)| before == at) {
            self.0.pop();
        }
        self.0.push((at, total));
    }
}

/// Tells how far one direction of a link has come.
#[derive(Clone)]
pub struct Meter {
    path: Arc<Mutex<Path>>,
    way: Direction,
}

impl Meter {
    /// Returns when how many bytes had left the sender, each counted once.
    pub fn sent(&self) -> Progress {
        current(&self.path).flow(self.way).sent.clone()
    }

    /// Returns when how many bytes had arrived in order, so that they could be read.
    pub fn delivered(&self) -> Progress {
        current(&self.path).flow(self.way).delivered.clone()
    }

    /// Returns how many packets were lost on the way, acknowledgements included.
    pub fn dropped(&self) -> u64 {
        current(&self.path).dropped(self.way)
    }
}

/// One end of a link.
pub struct End {
    path: Arc<Mutex<Path>>,
    outgoing: Direction,
    read_alarm: Alarm,
    write_alarm: Alarm,
}

impl End {
    fn new(path: Arc<Mutex<Path>>, outgoing: Direction) -> Self {
        Self {
            path,
            outgoing,
            read_alarm: Alarm::new(),
            write_alarm: Alarm::new(),
        }
    }

    /// Returns a view of the bytes that this end sends.
    pub fn outgoing(&self) -> Meter {
        Meter {
            path: self.path.clone(),
            way: self.outgoing,
        }
    }

    /// Returns a view of the bytes that this end is sent.
    pub fn incoming(&self) -> Meter {
        Meter {
            path: self.path.clone(),
            way: self.outgoing.other(),
        }
    }
}

/// Locks a path and brings it up to now.
fn current(path: &Mutex<Path>) -> MutexGuard<'_, Path> {
    let mut path = path.lock().unwrap_or_else(PoisonError::into_inner);
    path.advance(Instant::now());
    path
}

impl AsyncRead for End {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let this = self.get_mut();
        let way = this.outgoing.other();
        loop {
            let mut path = current(&this.path);
            if let Some(length) = path.read(way, buffer.initialize_unfilled()) {
                buffer.advance(length);
                return Poll::Ready(Ok(()));
            }
            let Some(at) = path.await_bytes(way, context) else {
                return Poll::Pending;
            };
            drop(path);
            ready!(this.read_alarm.poll(at, context));
        }
    }
}

impl AsyncWrite for End {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        let this = self.get_mut();
        loop {
            let mut path = current(&this.path);
            if path.flow(this.outgoing).is_closed() {
                return Poll::Ready(Err(Error::new(ErrorKind::BrokenPipe, "the link is closed")));
            }
            let length = path.write(this.outgoing, bytes);
            if length > 0 || bytes.is_empty() {
                return Poll::Ready(Ok(length));
            }
            let Some(at) = path.await_room(this.outgoing, context) else {
                return Poll::Pending;
            };
            drop(path);
            ready!(this.write_alarm.poll(at, context));
        }
    }

    /// Does nothing: bytes leave as soon as they can.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        current(&self.path).shut(self.outgoing);
        Poll::Ready(Ok(()))
    }
}

impl Drop for End {
    /// Ends what this end sends, and makes the other end's writes fail.
    fn drop(&mut self) {
        let mut path = current(&self.path);
        path.shut(self.outgoing);
        path.abandon(self.outgoing.other());
    }
}

/// A timer that is set only when its moment changes.
struct Alarm {
    at: Instant,
    sleep: Pin<Box<Sleep>>,
}

impl Alarm {
    fn new() -> Self {
        let at = Instant::now();
        Self {
            at,
            sleep: Box::pin(sleep_until(at)),
        }
    }

    fn poll(&mut self, at: Instant, context: &mut Context<'_>) -> Poll<()> {
        if self.at != at {
            self.at = at;
            self.sleep.as_mut().reset(at);
        }
        self.sleep.as_mut().poll(context)
    }
}
