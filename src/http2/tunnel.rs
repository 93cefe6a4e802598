//! A stream that carries a WebSocket (RFC 8441): bytes both ways, each way's end its own.
//!
//! Knows no frames but DATA; [`crate::web_socket`] does. Every tunnel has its own windows, so one
//! whose peer does not read holds up itself alone; but what it does not read counts against its
//! connection's window too (RFC 9113 section 6.9.1), which has to be larger than those of all
//! tunnels that may be stalled at once.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use h2::{RecvStream, SendStream};

use super::schedule::{FRAME_LENGTH, is_alive};
use crate::web_socket::Transport;

/// The server's end of a tunnel, once the CONNECT has been answered.
///
/// It has to be polled whenever its connection's task runs: a window that grows wakes that task,
/// not the one that waits for room here.
#[derive(Debug)]
pub struct Tunnel {
    receive: RecvStream,
    send: SendStream<Bytes>,
    room: usize,
    sent: u64,
}

impl Tunnel {
    /// Returns a tunnel between a request's body and its response's.
    pub const fn new(receive: RecvStream, send: SendStream<Bytes>) -> Self {
        Self {
            receive,
            send,
            room: usize::MAX,
            sent: 0,
        }
    }

    /// Sets how many bytes it may give to h2 from now on, so that many tunnels share a connection.
    /// Until then it may give all that the peer has room for.
    pub const fn allow(&mut self, bytes: usize) {
        self.room = bytes;
    }

    /// Returns how many bytes have come that nobody has read.
    pub fn unread(&mut self) -> usize {
        self.receive.flow_control().used_capacity()
    }

    /// Returns how many bytes it has given to h2 in all.
    pub const fn sent(&self) -> u64 {
        self.sent
    }
}

impl Transport for Tunnel {
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        loop {
            let piece = match ready!(self.receive.poll_data(cx)) {
                Some(Ok(piece)) => piece,
                Some(Err(error)) => return Poll::Ready(Err(reset(error))),
                None => return Poll::Ready(Ok(Bytes::new())),
            };
            // A DATA frame may be empty, and end nothing.
            if !piece.is_empty() {
                // One piece is taken at a time, when the last has been used.
                let window = self.receive.flow_control();
                window.release_capacity(piece.len()).map_err(reset)?;
                return Poll::Ready(Ok(piece));
            }
        }
    }

    fn poll_send(
        &mut self,
        _: &mut Context<'_>,
        output: &VecDeque<Bytes>,
    ) -> Poll<io::Result<usize>> {
        if !is_alive(&mut self.send) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let waiting: usize = output.iter().map(Bytes::len).sum();
        let want = waiting.min(FRAME_LENGTH).min(self.room);
        self.send.reserve_capacity(want);
        let room = self.send.capacity().min(want);
        if room == 0 {
            // As with bodies: no claim is left in h2's queue.
            self.send.reserve_capacity(0);
            return Poll::Pending;
        }
        let piece = first(output, room);
        self.send.send_data(piece, false).map_err(reset)?;
        self.room -= room;
        self.sent += room as u64;
        Poll::Ready(Ok(room))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The connection does, for all its streams.
        Poll::Ready(Ok(()))
    }

    fn poll_end(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.send.send_data(Bytes::new(), true).map_err(reset))
    }
}

/// Returns the first bytes of what waits: shared if they lie in one piece, else joined, as many
/// small frames make one of DATA.
fn first(output: &VecDeque<Bytes>, length: usize) -> Bytes {
    match output.front() {
        Some(front) if front.len() >= length => front.slice(..length),
        _ => {
            let mut joined = Vec::with_capacity(length);
            for bytes in output {
                let left = length - joined.len();
                joined.extend_from_slice(&bytes.chunk()[..left.min(bytes.len())]);
            }
            joined.into()
        }
    }
}

fn reset(error: h2::Error) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, error)
}

#[cfg(test)]
mod tests;
