//! A tap on a byte stream: notes the HTTP/2 frames or TLS records that pass, in the order of the
//! wire, and can slip bytes of its own between those that a client writes.
//!
//! The `h2` client hands out promises, hints, heads and bodies through separate doors, which loses
//! their order; the tap keeps it. Read on in `client`.

use std::io::Result;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

/// Which end sent something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sender {
    Client,
    Server,
}

/// What a byte stream consists of: a head of fixed length that tells the length of the rest.
pub(crate) trait Unit: Sized {
    /// Bytes of the head.
    const HEAD_BYTES: usize;
    /// What a client says before its first unit.
    const PREFACE: &'static [u8];

    /// Returns the length of the payload that follows a head.
    fn payload_bytes(head: &[u8]) -> usize;

    /// Makes the unit, when all of it has passed.
    fn new(at: Instant, sender: Sender, head: &[u8], payload: Vec<u8>) -> Self;
}

/// An HTTP/2 frame (RFC 9113 section 4.1).
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    /// When its last byte passed.
    pub(crate) at: Instant,
    /// Which end sent it.
    pub(crate) sender: Sender,
    /// Its type.
    pub(crate) kind: u8,
    /// Its flags.
    pub(crate) flags: u8,
    /// The stream it belongs to; 0: the connection.
    pub(crate) stream: u32,
    /// What follows the head.
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PUSH_PROMISE: u8 = 5;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const WINDOW_UPDATE: u8 = 8;

    const END_STREAM: u8 = 1;

    /// Returns the bytes of a frame to inject.
    pub(crate) fn bytes(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut bytes = length[1..].to_vec();
        bytes.extend([kind, flags]);
        bytes.extend(stream.to_be_bytes());
        bytes.extend(payload);
        bytes
    }

    /// Returns whether the frame ends its stream's direction.
    pub(crate) fn ends_stream(&self) -> bool {
        matches!(self.kind, Self::DATA | Self::HEADERS) && self.flags & Self::END_STREAM != 0
    }

    /// Returns a number of 32 bits in the payload: a promised id, an error code, an increment.
    pub(crate) fn number(&self, offset: usize) -> u32 {
        u32::from_be_bytes(self.payload[offset..offset + 4].try_into().unwrap()) & 0x7fff_ffff
    }
}

impl Unit for Frame {
    const HEAD_BYTES: usize = 9;
    const PREFACE: &'static [u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

    fn payload_bytes(head: &[u8]) -> usize {
        u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize
    }

    fn new(at: Instant, sender: Sender, head: &[u8], payload: Vec<u8>) -> Self {
        let stream = u32::from_be_bytes(head[5..9].try_into().unwrap()) & 0x7fff_ffff;
        Self {
            at,
            sender,
            kind: head[3],
            flags: head[4],
            stream,
            payload,
        }
    }
}

/// A TLS record (RFC 8446 section 5.1).
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// Which end sent it.
    pub(crate) sender: Sender,
    /// Its content type as far as it shows: 23 is application data and, in TLS 1.3, all else.
    pub(crate) kind: u8,
    /// Bytes of its payload, sealed.
    pub(crate) length: usize,
}

impl Record {
    pub(crate) const APPLICATION_DATA: u8 = 23;
}

impl Unit for Record {
    const HEAD_BYTES: usize = 5;
    const PREFACE: &'static [u8] = b"";

    fn payload_bytes(head: &[u8]) -> usize {
        usize::from(u16::from_be_bytes([head[3], head[4]]))
    }

    fn new(_: Instant, sender: Sender, head: &[u8], payload: Vec<u8>) -> Self {
        Self {
            sender,
            kind: head[0],
            length: payload.len(),
        }
    }
}

/// A client's byte stream under observation.
pub(crate) struct Tap<T, U> {
    inner: T,
    log: Log<U>,
}

/// What a tap has seen, and its way in.
pub(crate) struct Log<U>(Arc<Mutex<Seen<U>>>);

impl<U> Clone for Log<U> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

struct Seen<U> {
    units: Vec<U>,
    read: Splitter,
    written: Splitter,
    injected: Vec<u8>,
    connection: Option<Waker>,
}

/// The bytes of a unit that has not passed entirely.
#[derive(Default)]
struct Splitter {
    preface_bytes: usize,
    partial: Vec<u8>,
}

impl<T, U: Unit> Tap<T, U> {
    /// Taps a client's byte stream.
    pub(crate) fn new(inner: T) -> (Self, Log<U>) {
        let written = Splitter {
            preface_bytes: U::PREFACE.len(),
            partial: Vec::new(),
        };
        let seen = Seen {
            units: Vec::new(),
            read: Splitter::default(),
            written,
            injected: Vec::new(),
            connection: None,
        };
        let log = Log(Arc::new(Mutex::new(seen)));
        (
            Self {
                inner,
                log: log.clone(),
            },
            log,
        )
    }
}

impl<U: Clone> Log<U> {
    /// Returns what has passed so far, in order.
    pub(crate) fn all(&self) -> Vec<U> {
        self.0.lock().unwrap().units.clone()
    }

    /// Sends bytes to the server behind the client's back, before the next unit that it writes.
    pub(crate) fn inject(&self, bytes: &[u8]) {
        let mut seen = self.0.lock().unwrap();
        seen.injected.extend(bytes);
        seen.connection.take().into_iter().for_each(Waker::wake);
    }
}

impl Splitter {
    fn take<U: Unit>(&mut self, bytes: &[u8], sender: Sender, units: &mut Vec<U>) {
        let preface = self.preface_bytes.min(bytes.len());
        self.preface_bytes -= preface;
        self.partial.extend(&bytes[preface..]);
        while let Some(head) = self.partial.get(..U::HEAD_BYTES) {
            let end = U::HEAD_BYTES + U::payload_bytes(head);
            if self.partial.len() < end {
                break;
            }
            let payload = self.partial[U::HEAD_BYTES..end].to_vec();
            units.push(U::new(
                Instant::now(),
                sender,
                &self.partial[..U::HEAD_BYTES],
                payload,
            ));
            self.partial.drain(..end);
        }
    }

    fn is_between_units(&self) -> bool {
        self.preface_bytes == 0 && self.partial.is_empty()
    }
}

impl<T: AsyncWrite + Unpin, U: Unit + Unpin> Tap<T, U> {
    /// Writes what is injected, as far as a unit of the client's is not cut in two.
    fn poll_inject(&mut self, context: &mut Context<'_>) -> Poll<Result<()>> {
        let mut seen = self.log.0.lock().unwrap();
        seen.connection = Some(context.waker().clone());
        while !seen.injected.is_empty() && seen.written.is_between_units() {
            let written = Pin::new(&mut self.inner).poll_write(context, &seen.injected);
            let length = ready!(written)?;
            seen.injected.drain(..length);
            ready!(Pin::new(&mut self.inner).poll_flush(context))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin, U: Unit + Unpin> AsyncRead for Tap<T, U> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let this = self.get_mut();
        let _ = this.poll_inject(context)?;
        let before = buffer.filled().len();
        ready!(Pin::new(&mut this.inner).poll_read(context, buffer))?;
        let mut seen = this.log.0.lock().unwrap();
        let Seen { units, read, .. } = &mut *seen;
        read.take(&buffer.filled()[before..], Sender::Server, units);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin, U: Unit + Unpin> AsyncWrite for Tap<T, U> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        let this = self.get_mut();
        ready!(this.poll_inject(context))?;
        let length = ready!(Pin::new(&mut this.inner).poll_write(context, bytes))?;
        let mut seen = this.log.0.lock().unwrap();
        let Seen { units, written, .. } = &mut *seen;
        written.take(&bytes[..length], Sender::Client, units);
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_shutdown(context)
    }
}
