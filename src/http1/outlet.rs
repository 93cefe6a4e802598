//! The bytes between hyper and the socket: counted while they are held, and fewer where many are.
//!
//! hyper holds what it was given until TLS takes it, and TLS holds what it has sealed until the
//! socket does. Neither tells how much that is, so whatever passes is counted here. Knows bytes,
//! not answers.

use std::cell::Cell;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::server::TlsStream;

use crate::door::limits::PIECE_LENGTH_MAX;

/// What a connection's bodies and its socket tell its driver.
#[derive(Debug)]
pub(super) struct Progress {
    /// Answers on their way.
    pub(super) answering: Cell<u32>,
    /// The server goes.
    pub(super) draining: Cell<bool>,
    /// Bytes of bodies that are read from disk, and not given to hyper yet.
    pub(super) read: Cell<usize>,
    /// Bytes that may be held at each step of the way.
    pub(super) piece_length: Cell<usize>,
    /// Bytes of bodies given to hyper that TLS has not taken.
    given: Cell<usize>,
    /// Bytes that TLS holds, at most.
    sealed: Cell<usize>,
    /// Bytes that TLS has taken so far.
    taken: Cell<u64>,
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            answering: Cell::default(),
            draining: Cell::default(),
            read: Cell::default(),
            piece_length: Cell::new(PIECE_LENGTH_MAX),
            given: Cell::default(),
            sealed: Cell::default(),
            taken: Cell::default(),
        }
    }
}

impl Progress {
    /// Notes bytes of a body that hyper was given.
    pub(super) fn give(&self, bytes: usize) {
        self.given.set(self.given.get() + bytes);
    }

    /// Bytes that hyper and TLS hold.
    pub(super) fn held(&self) -> usize {
        self.given.get() + self.sealed.get()
    }

    /// Bytes that TLS has taken so far: grows while the peer takes any.
    pub(super) fn taken(&self) -> u64 {
        self.taken.get()
    }
}

/// The stream that hyper owns.
pub(super) struct Outlet<T> {
    tls: TlsStream<T>,
    progress: Rc<Progress>,
    /// What TLS was told to hold at most, if it was told.
    sealed_max: Option<usize>,
}

impl<T> Outlet<T> {
    /// Takes a TLS stream whose handshake is done.
    pub(super) fn new(tls: TlsStream<T>, progress: Rc<Progress>) -> Self {
        Self {
            tls,
            progress,
            sealed_max: None,
        }
    }

    fn bound(&mut self) {
        let most = self.progress.piece_length.get();
        if self.sealed_max != Some(most) {
            self.tls.get_mut().1.set_buffer_limit(Some(most));
            self.sealed_max = Some(most);
        }
    }

    fn note(&self, written: usize) {
        let Progress {
            given,
            sealed,
            taken,
            piece_length,
            ..
        } = &*self.progress;
        taken.set(taken.get() + written as u64);
        // A header was never given, so this may be a few hundred bytes short for a moment.
        given.set(given.get().saturating_sub(written));
        // It never holds more than it was told to, however long it has held some.
        sealed.set(if self.tls.get_ref().1.wants_write() {
            (sealed.get() + written).min(piece_length.get())
        } else {
            0
        });
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Outlet<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tls).poll_read(cx, into)
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Outlet<T> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.bound();
        let written = ready!(Pin::new(&mut this.tls).poll_write(cx, bytes))?;
        this.note(written);
        Poll::Ready(Ok(written))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.bound();
        let written = ready!(Pin::new(&mut this.tls).poll_write_vectored(cx, slices))?;
        this.note(written);
        Poll::Ready(Ok(written))
    }

    fn is_write_vectored(&self) -> bool {
        self.tls.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(Pin::new(&mut this.tls).poll_flush(cx))?;
        this.progress.sealed.set(0);
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().tls).poll_shutdown(cx)
    }
}
