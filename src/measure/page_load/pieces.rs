//! Hands DATA frames over piece by piece as their bytes arrive, as a browser takes them.
//!
//! `h2` gives a frame's payload only once all of it is there: a link in the first flight of a
//! document would count as read when the last byte of a frame of 16 KB has come, which on a slow
//! link is round trips later. Here each run of payload that is there becomes a DATA frame of its
//! own. The stream, the sum of the payload and where it ends stay the same, so flow control does
//! (RFC 9113 section 6.9); only the boundaries, which mean nothing (section 6.1), move.
//!
//! ```text
//!            9 bytes, DATA, no padding, within the limit
//!   Header ------------------------------------------------> Payload --- all of it ---> Header
//!      |                                                     a header before each piece
//!      |     anything else
//!      `---------------------> Whole: unchanged ------------ all of it ---> Header
//! ```
//!
//! A frame that is malformed is passed on as it is: it is `h2`'s to refuse. Payload is read where
//! it is wanted, behind room for the header of its piece; nothing is held but one header.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

#[cfg(test)]
mod tests;

/// Bytes of a frame header (RFC 9113 section 4.1).
const HEADER_LENGTH: usize = 9;
/// `SETTINGS_MAX_FRAME_SIZE` until another is said, which no client here does: what is longer is
/// refused, so it must not be made short.
const PAYLOAD_MAX: usize = 16 << 10;
const DATA: u8 = 0x0;
const END_STREAM: u8 = 0x1;
const PADDED: u8 = 0x8;

/// A byte stream of HTTP/2 frames whose DATA frames are read in pieces.
pub(super) struct Pieces<S> {
    stream: S,
    header: [u8; HEADER_LENGTH],
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// So many bytes of a header have been read.
    Header(usize),
    /// The header is handed over from this byte on, and then so many bytes as they are.
    Whole(usize, usize),
    /// So many bytes of payload are to come, each piece under a header of its own.
    Payload(usize),
    /// The header of a piece is handed over from this byte on, then the byte that it is for; so
    /// many bytes are left after it.
    Scrap(usize, u8, usize),
}

impl<S> Pieces<S> {
    /// Returns the stream in pieces, from the server's first frame on.
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            header: [0; HEADER_LENGTH],
            state: State::Header(0),
        }
    }

    /// Returns what to do with the frame whose header is there.
    fn begin(&self) -> State {
        let [a, b, c, kind, flags, ..] = self.header;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        let is_cut = kind == DATA && flags & PADDED == 0 && (1..=PAYLOAD_MAX).contains(&length);
        if is_cut {
            State::Payload(length)
        } else {
            State::Whole(0, length)
        }
    }

    /// Returns the header of a piece of a frame, of which so much is left after it.
    fn header_of(&self, piece: usize, left: usize) -> [u8; HEADER_LENGTH] {
        let mut header = self.header;
        let length = u32::try_from(piece).unwrap_or(u32::MAX).to_be_bytes();
        header[..3].copy_from_slice(&length[1..]);
        if left > 0 {
            header[4] &= !END_STREAM;
        }
        header
    }
}

impl<S: AsyncRead + Unpin> Pieces<S> {
    /// Reads into bytes; returns how many, 0 at the end of the stream.
    fn poll_bytes(
        &mut self,
        into: &mut [u8],
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(into);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }

    /// Reads on in a header; returns whether the stream goes on.
    fn read_header(&mut self, have: usize, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut header = self.header;
        let read = ready!(self.poll_bytes(&mut header[have..], context))?;
        self.header = header;
        self.state = match have + read {
            HEADER_LENGTH => self.begin(),
            have => State::Header(have),
        };
        Poll::Ready(Ok(read > 0))
    }

    /// Hands over a piece of payload, as much as is there and wanted; returns whether the stream
    /// goes on.
    fn read_piece(
        &mut self,
        left: usize,
        buffer: &mut ReadBuf<'_>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<bool>> {
        if buffer.remaining() <= HEADER_LENGTH {
            let mut byte = [0];
            if ready!(self.poll_bytes(&mut byte, context))? == 0 {
                return Poll::Ready(Ok(false));
            }
            self.state = State::Scrap(0, byte[0], left - 1);
            return Poll::Ready(Ok(true));
        }
        let wanted = buffer.remaining().min(HEADER_LENGTH + left);
        let (header, payload) = buffer
            .initialize_unfilled_to(wanted)
            .split_at_mut(HEADER_LENGTH);
        let read = ready!(self.poll_bytes(payload, context))?;
        if read == 0 {
            return Poll::Ready(Ok(false));
        }
        let left = left - read;
        header.copy_from_slice(&self.header_of(read, left));
        buffer.advance(HEADER_LENGTH + read);
        self.state = after(left);
        Poll::Ready(Ok(true))
    }

    /// Hands over a frame as it is; returns whether the stream goes on.
    fn read_whole(
        &mut self,
        (handed, left): (usize, usize),
        buffer: &mut ReadBuf<'_>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<bool>> {
        if handed < HEADER_LENGTH {
            let handed = handed + put(&self.header[handed..], buffer);
            self.state = match (handed, left) {
                (HEADER_LENGTH, 0) => State::Header(0),
                _ => State::Whole(handed, left),
            };
            return Poll::Ready(Ok(true));
        }
        let wanted = buffer.remaining().min(left);
        let read = ready!(self.poll_bytes(buffer.initialize_unfilled_to(wanted), context))?;
        buffer.advance(read);
        self.state = match left - read {
            0 => State::Header(0),
            left => State::Whole(HEADER_LENGTH, left),
        };
        Poll::Ready(Ok(read > 0))
    }

    /// Hands over a byte under a header, neither of which there was room for together.
    fn hand_scrap(&mut self, (handed, byte, left): (usize, u8, usize), buffer: &mut ReadBuf<'_>) {
        let header = self.header_of(1, left);
        let mut handed = handed + put(&header[handed.min(HEADER_LENGTH)..], buffer);
        if handed == HEADER_LENGTH {
            handed += put(&[byte], buffer);
        }
        self.state = if handed > HEADER_LENGTH {
            after(left)
        } else {
            State::Scrap(handed, byte, left)
        };
    }
}

/// Returns what comes when so much of a frame is left.
fn after(left: usize) -> State {
    match left {
        0 => State::Header(0),
        left => State::Payload(left),
    }
}

/// Puts what there is room for; returns how much.
fn put(bytes: &[u8], buffer: &mut ReadBuf<'_>) -> usize {
    let length = bytes.len().min(buffer.remaining());
    buffer.put_slice(&bytes[..length]);
    length
}

impl<S: AsyncRead + Unpin> AsyncRead for Pieces<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        while buffer.remaining() > 0 {
            let polled = match this.state {
                State::Header(have) => this.read_header(have, context),
                State::Whole(handed, left) => this.read_whole((handed, left), buffer, context),
                State::Payload(left) => this.read_piece(left, buffer, context),
                State::Scrap(handed, byte, left) => {
                    this.hand_scrap((handed, byte, left), buffer);
                    Poll::Ready(Ok(true))
                }
            };
            // What was handed over comes first; waiting, the end and errors are there again then.
            match polled {
                _ if buffer.filled().len() > before => break,
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => break,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Pieces<S> {
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
