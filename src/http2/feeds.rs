//! Streams of events: bodies that have no length, say little, and say it at once.
//!
//! They are not given turns: what they say is a few hundred bytes that somebody waits for, so they
//! go before all bodies. Each holds at most one piece that has not left, so one whose peer does not
//! read costs that piece, and holds up nobody.
//!
//! ```text
//!             add                             hub closed, or drain
//!   ──────────────▶ telling ◀──▶ holding a piece ──────────────▶ retry:, END_STREAM
//!                      └──────────────┴──── reset ────▶ dropped
//! ```

use std::task::{Context, Poll};

use bytes::Bytes;
use h2::SendStream;

use super::schedule::{FRAME_LENGTH, is_alive};
use crate::access_log::Entry;
use crate::door::channels::Listener;

/// The feeds of one connection. Each holds a stream, so there are no more than the peer may open.
#[derive(Debug, Default)]
pub(super) struct Feeds {
    open: Vec<Open>,
    done: Vec<Entry>,
    sent: u64,
}

#[derive(Debug)]
struct Open {
    stream: SendStream<Bytes>,
    feed: Box<Listener>,
    unsent: Bytes,
    sent: u64,
    entry: Option<Box<Entry>>,
}

enum Told {
    Bytes(usize),
    /// Nothing to say, or no room at the peer.
    Nothing,
    Ended,
}

impl Feeds {
    /// Takes a feed.
    pub(super) fn add(
        &mut self,
        stream: SendStream<Bytes>,
        feed: Box<Listener>,
        entry: Option<Box<Entry>>,
    ) {
        self.open.push(Open {
            stream,
            feed,
            unsent: Bytes::new(),
            sent: 0,
            entry,
        });
    }

    /// Ends all feeds.
    pub(super) fn close(&mut self) {
        for open in &mut self.open {
            open.feed.close();
        }
    }

    /// Gives h2 up to `room` bytes, at most a frame of each. Returns whether it gave any, or ended
    /// one. It must be called again until it returns false: only then will the next event wake. One
    /// that is closing is not waited for, if its peer has no room.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, room: usize, closing: bool) -> bool {
        let (mut given, mut any, mut at) = (0, false, 0);
        while let Some(open) = self.open.get_mut(at) {
            if given == room {
                // Whoever had no chance is first next time.
                self.open.rotate_left(at);
                break;
            }
            match open.poll(cx, room - given, closing) {
                Told::Bytes(bytes) => {
                    self.sent += bytes as u64;
                    given += bytes;
                    any = true;
                    at += 1;
                }
                Told::Nothing => at += 1,
                Told::Ended => {
                    any = true;
                    self.done.extend(self.open.swap_remove(at).entry());
                }
            }
        }
        any
    }

    /// Returns whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Drops all feeds, as the connection has ended.
    pub(super) fn abandon(&mut self) {
        for open in self.open.drain(..) {
            self.done.extend(open.entry());
        }
    }

    /// Returns how many bytes were given to h2 since this was last asked.
    pub(super) fn take_sent(&mut self) -> u64 {
        std::mem::take(&mut self.sent)
    }

    /// Takes the log entries of what is done.
    pub(super) fn done(&mut self) -> impl Iterator<Item = Entry> + '_ {
        self.done.drain(..)
    }
}

impl Open {
    fn poll(&mut self, cx: &mut Context<'_>, room: usize, closing: bool) -> Told {
        if !is_alive(&mut self.stream) {
            return Told::Ended;
        }
        if self.unsent.is_empty() {
            match self.feed.poll_next(cx) {
                Poll::Ready(Some(piece)) => self.unsent = piece,
                Poll::Ready(None) => return self.end(),
                Poll::Pending => return Told::Nothing,
            }
        }
        let want = self.unsent.len().min(FRAME_LENGTH).min(room);
        self.stream.reserve_capacity(want);
        let capacity = self.stream.capacity().min(want);
        if capacity == 0 {
            // As with bodies: no claim is left in h2's queue. It is tried again whenever the task
            // runs, as it does when the peer's window grows.
            self.stream.reserve_capacity(0);
            return if closing { self.end() } else { Told::Nothing };
        }
        let piece = self.unsent.split_to(capacity);
        if self.stream.send_data(piece, false).is_err() {
            return Told::Ended;
        }
        self.sent += capacity as u64;
        Told::Bytes(capacity)
    }

    /// Ends the stream, which takes no window. What is left of an event is discarded by the reader
    /// (HTML, section 9.2.6), who comes again with the cursor before it.
    fn end(&mut self) -> Told {
        // It fails if the stream is gone, and that is an end as well.
        let _ = self.stream.send_data(Bytes::new(), true);
        Told::Ended
    }

    fn entry(self) -> Option<Entry> {
        let mut entry = *self.entry?;
        entry.bytes = self.sent;
        Some(entry)
    }
}
