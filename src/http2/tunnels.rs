//! Every WebSocket of one connection, each on a stream of its own.
//!
//! Like [`super::feeds`] they are not given turns: what they say is short, and somebody waits for
//! it. They are polled whenever the connection's task runs, in turn, so one that a peer has stalled
//! costs its session's output and what it has not been read of its peer, and holds up nobody.

use std::task::{Context, Poll};

use super::tunnel::Tunnel;
use crate::access_log::Entry;
use crate::door::conversation::Talk;

/// Every WebSocket of one connection. Each holds a stream, so there are no more than the peer may
/// open.
#[derive(Debug, Default)]
pub(super) struct Tunnels {
    open: Vec<Open>,
    done: Vec<Entry>,
    sent: u64,
}

#[derive(Debug)]
struct Open {
    talk: Talk<Tunnel>,
    /// What of it is counted already.
    counted: u64,
    entry: Option<Box<Entry>>,
}

impl Tunnels {
    /// Takes what is said over a stream.
    pub(super) fn add(&mut self, talk: Talk<Tunnel>, entry: Option<Box<Entry>>) {
        self.open.push(Open {
            talk,
            counted: 0,
            entry,
        });
    }

    /// Says farewell to all.
    pub(super) fn close(&mut self) {
        for open in &mut self.open {
            open.talk.close();
        }
    }

    /// Goes on with all of them, which give h2 up to `room` bytes. Returns whether any did, or has
    /// ended.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, room: usize) -> bool {
        let (mut given, mut any, mut at) = (0, false, 0);
        while let Some(open) = self.open.get_mut(at) {
            if given >= room {
                // Whoever had no chance is first next time.
                self.open.rotate_left(at);
                break;
            }
            open.talk.socket_mut().transport_mut().allow(room - given);
            let polled = open.talk.poll(cx);
            let sent = open.talk.socket_mut().transport_mut().sent();
            let bytes = sent - open.counted;
            open.counted = sent;
            self.sent += bytes;
            given += usize::try_from(bytes).unwrap_or(room);
            any |= bytes > 0;
            match polled {
                Poll::Pending => at += 1,
                Poll::Ready(end) => {
                    tracing::debug!(?end, "a WebSocket has ended");
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

    /// Returns how many bytes are held for peers that do not take them, or of what they say.
    pub(super) fn held(&mut self) -> usize {
        let held = |open: &mut Open| {
            let socket = open.talk.socket_mut();
            socket.session().held_bytes() + socket.transport_mut().unread()
        };
        self.open.iter_mut().map(held).sum()
    }

    /// Drops all, as the connection has ended.
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
    fn entry(self) -> Option<Entry> {
        let mut entry = *self.entry?;
        entry.bytes = self.counted;
        Some(entry)
    }
}
