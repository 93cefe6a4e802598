//! Whoever is told of events over one connection: by [`Feeds`], or by one of the [`Tunnels`].

use std::task::Context;

use bytes::Bytes;
use h2::SendStream;

use super::feeds::Feeds;
use super::tunnel::Tunnel;
use super::tunnels::Tunnels;
use crate::access_log::Entry;
use crate::door::channels::Listener;
use crate::door::conversation::Opening;

/// The subscribers of one connection. Most have none, and nothing is kept for any until there is
/// one.
#[derive(Debug, Default)]
pub(super) struct Subscribers {
    ways: Option<Box<Ways>>,
    is_closed: bool,
}

#[derive(Debug, Default)]
struct Ways {
    feeds: Feeds,
    tunnels: Tunnels,
}

impl Subscribers {
    /// Takes a stream of events.
    pub(super) fn feed(
        &mut self,
        stream: SendStream<Bytes>,
        mut feed: Box<Listener>,
        entry: Option<Box<Entry>>,
    ) {
        if self.is_closed {
            feed.close();
        }
        let ways = self.ways.get_or_insert_default();
        ways.feeds.add(stream, feed, entry);
    }

    /// Begins to speak over a stream.
    pub(super) fn speak(&mut self, tunnel: Tunnel, opening: Opening, entry: Option<Box<Entry>>) {
        let mut talk = opening.on(tunnel, Bytes::new());
        if self.is_closed {
            talk.close();
        }
        self.ways.get_or_insert_default().tunnels.add(talk, entry);
    }

    /// Ends all, now and later: a drain does not wait for them.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
        if let Some(ways) = &mut self.ways {
            ways.feeds.close();
            ways.tunnels.close();
        }
    }

    /// Gives h2 up to `room` bytes. Returns whether it gave any, or one has ended: then it must be
    /// called again, or the next event will not wake.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, room: usize) -> bool {
        let (ways, closing) = (self.ways.as_mut(), self.is_closed);
        ways.is_some_and(|ways| ways.feeds.poll(cx, room, closing) || ways.tunnels.poll(cx, room))
    }

    /// Returns whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        let ways = self.ways.as_ref();
        ways.is_none_or(|ways| ways.feeds.is_empty() && ways.tunnels.is_empty())
    }

    /// Returns how many bytes are held for peers that do not take them, or of what they say.
    pub(super) fn held(&mut self) -> usize {
        self.ways.as_mut().map_or(0, |ways| ways.tunnels.held())
    }

    /// Drops all, as the connection has ended.
    pub(super) fn abandon(&mut self) {
        if let Some(ways) = &mut self.ways {
            ways.feeds.abandon();
            ways.tunnels.abandon();
        }
    }

    /// Returns how many bytes were given to h2 since this was last asked.
    pub(super) fn take_sent(&mut self) -> u64 {
        let ways = self.ways.as_mut();
        ways.map_or(0, |ways| ways.feeds.take_sent() + ways.tunnels.take_sent())
    }

    /// Takes the log entries of what is done.
    pub(super) fn done(&mut self) -> impl Iterator<Item = Entry> + '_ {
        let ways = self.ways.iter_mut();
        ways.flat_map(|ways| ways.feeds.done().chain(ways.tunnels.done()))
    }
}
