//! The events that may concern a reader, in order: those of the channels it names, or all.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, btree_map, vec_deque};
use std::sync::Arc;

use super::{Kept, Log};
use crate::hub::event::Event;
use crate::hub::topics::Topics;

/// Goes through events after an offset. Of what is named, all are selected; whether they may be
/// read is another question.
pub(super) enum Candidates<'a> {
    Nothing,
    Channel(vec_deque::Iter<'a, Arc<Event>>),
    /// Merged in the order of offsets. An event that is on several comes once.
    Channels {
        heads: BinaryHeap<Head<'a>>,
        last: u64,
    },
    All(btree_map::Range<'a, u64, Kept>),
}

impl Log {
    pub(super) fn candidates<'a>(&'a self, topics: &Topics, after: u64) -> Candidates<'a> {
        let of = |name| {
            let channel = self.channels.get(name)?;
            Some(channel.events.range(channel.index_after(after)..))
        };
        match topics.only_names() {
            Some([]) => Candidates::Nothing,
            Some([name]) => of(name).map_or(Candidates::Nothing, Candidates::Channel),
            Some(names) => Candidates::Channels {
                heads: (names.iter().filter_map(of)).filter_map(Head::of).collect(),
                last: after,
            },
            None => Candidates::All(self.kept.range(after.saturating_add(1)..)),
        }
    }
}

impl<'a> Iterator for Candidates<'a> {
    type Item = &'a Arc<Event>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::Nothing => None,
            Self::Channel(events) => events.next(),
            Self::Channels { heads, last } => loop {
                let Head(Reverse(offset), event, events) = heads.pop()?;
                heads.extend(Head::of(events));
                if offset > *last {
                    *last = offset;
                    return Some(event);
                }
            },
            Self::All(kept) => kept.next().map(|(_, kept)| &kept.event),
        }
    }
}

/// A channel's next event, and those after it; the earliest is the greatest.
pub(super) struct Head<'a>(
    Reverse<u64>,
    &'a Arc<Event>,
    vec_deque::Iter<'a, Arc<Event>>,
);

impl<'a> Head<'a> {
    fn of(mut events: vec_deque::Iter<'a, Arc<Event>>) -> Option<Self> {
        let first = events.next()?;
        Some(Self(Reverse(first.id.offset), first, events))
    }
}

impl PartialEq for Head<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl Eq for Head<'_> {}

impl PartialOrd for Head<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}
