//! What a log remembers of one channel.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Event;
use super::drops::Drops;

/// A channel's events, and what it has lost.
#[derive(Debug, Default)]
pub(super) struct Channel {
    /// All events on it, in order.
    pub(super) events: VecDeque<Arc<Event>>,
    /// The offsets of those whose canonical topic it is: they count against its bounds.
    pub(super) own: VecDeque<u64>,
    /// The last of these that was public: kept, if any before it is.
    pub(super) last_public: Option<u64>,
    /// What its own events cost.
    pub(super) bytes: usize,
    pub(super) dropped: Drops,
    /// Which of the log's losses was its last.
    pub(super) lost: u64,
}

impl Channel {
    pub(super) fn insert(&mut self, event: Arc<Event>, is_own: bool) {
        if is_own {
            self.own.push_back(event.id.offset);
            self.bytes += event.cost();
            if !event.is_private {
                self.last_public = Some(event.id.offset);
            }
        }
        self.events.push_back(event);
    }

    /// Drops an event, which is the log's loss `number`.
    pub(super) fn remove(&mut self, number: u64, event: &Event, is_own: bool) {
        let offset = event.id.offset;
        if let Ok(index) = (self.events).binary_search_by_key(&offset, |kept| kept.id.offset) {
            self.events.remove(index);
        }
        if is_own {
            if let Ok(index) = self.own.binary_search(&offset) {
                self.own.remove(index);
            }
            self.bytes -= event.cost();
        }
        self.dropped.note(number, event);
    }

    /// The index of the first event after an offset.
    pub(super) fn index_after(&self, offset: u64) -> usize {
        (self.events).partition_point(|event| event.id.offset <= offset)
    }
}

/// Who is told that an event was dropped: each counts for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::hub) enum Class {
    Public,
    Private,
    PrivateShared,
}

impl Class {
    /// Returns that of an event on so many channels.
    pub(in crate::hub) fn of(is_private: bool, topics: usize) -> Self {
        match (is_private, topics) {
            (false, _) => Self::Public,
            (true, 0 | 1) => Self::Private,
            (true, _) => Self::PrivateShared,
        }
    }
}

/// The offsets through which events were dropped. Losses of private events are told to those only
/// who could have read them, so they are counted apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::hub) struct Dropped {
    pub(in crate::hub) public: u64,
    /// Of private events on one channel.
    pub(in crate::hub) private: u64,
    /// Of private events that have alternate topics, any of which may let somebody read them.
    pub(in crate::hub) private_shared: u64,
}

impl Dropped {
    pub(super) fn all_through(offset: u64) -> Self {
        Self {
            public: offset,
            private: offset,
            private_shared: offset,
        }
    }

    pub(in crate::hub) fn join(&mut self, other: Self) {
        self.public = self.public.max(other.public);
        self.private = self.private.max(other.private);
        self.private_shared = self.private_shared.max(other.private_shared);
    }

    pub(super) fn latest(self) -> u64 {
        self.public.max(self.private).max(self.private_shared)
    }

    /// What of it concerns a reader.
    pub(super) fn through(self, sees_private: bool, sees_any_private: bool) -> u64 {
        let mut through = self.public;
        if sees_private {
            through = through.max(self.private);
        }
        if sees_any_private {
            through = through.max(self.private_shared);
        }
        through
    }
}
