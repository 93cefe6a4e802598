//! What a reader finds after its place.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use super::{Dropped, Log};
use crate::hub::event::{Event, EventId};
use crate::hub::topics::{Pattern, Topics};

/// Events that are looked at in one go, whether or not they are selected: a reader of much holds up
/// nobody.
const SCANNED_MAX: usize = 1024;

/// How much is read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageMax {
    /// Events, at least one.
    pub events: usize,
    /// Bytes of data; one event is read however large it is.
    pub bytes: usize,
}

/// What a reader wants of that which has gathered since it read last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Slow {
    /// Everything, however long it takes: whoever falls off the log is told.
    #[default]
    CatchUp,
    /// The last event of each channel: the others are passed over, which is no gap.
    Latest,
    /// To be cut if too much has gathered since it began to read.
    Close {
        /// Events that may gather.
        behind_max: usize,
    },
}

/// Where a reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The last event it has seen, or passed over.
    pub at: EventId,
    /// The offset through which it was told that events are missing.
    pub(in crate::hub) told: u64,
}

impl Place {
    /// Returns the place of a reader that has seen an event, and all before it.
    pub fn after(at: EventId) -> Self {
        Self { at, told: 0 }
    }
}

/// What a reader finds.
#[derive(Debug, Clone)]
pub enum Read {
    /// These, in order; there may be more.
    Events(Vec<Arc<Event>>),
    /// Nothing selected has happened since.
    Nothing,
    /// Something is missing. All that is kept follows.
    Gap(Gap),
    /// More has gathered than [`Slow::Close`] allows.
    TooSlow,
}

/// That events are missing which a reader should have had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The reader's cursor.
    pub requested: EventId,
    /// The cursor from which all follows that is kept.
    pub resumed_after: EventId,
    /// Why.
    pub reason: GapReason,
}

/// Why events are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapReason {
    /// They were dropped.
    Expired,
    /// The cursor is none that this log gave.
    Unknown,
    /// The cursor belongs to a log that is gone.
    Epoch,
}

impl GapReason {
    /// Its word for readers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Unknown => "unknown",
            Self::Epoch => "epoch",
        }
    }
}

impl Log {
    /// Returns the place before everything that is kept, for a reader that does not mind what is
    /// gone.
    pub fn earliest(&self) -> Place {
        Place {
            at: self.id(0),
            told: self.dropped.latest(),
        }
    }

    /// Returns the place before the first event that was published at a time, milliseconds since
    /// 1970, or later. What was dropped before is not minded.
    pub fn since(&self, time_ms: u64) -> Place {
        let mut kept = self.kept.values();
        let first = kept.find(|kept| kept.event.time_ms >= time_ms);
        Place {
            at: first.map_or(self.cursor(), |kept| self.id(kept.event.id.offset - 1)),
            told: self.dropped.latest(),
        }
    }

    /// Returns the place before the last event that a reader would be given.
    pub fn before_latest(&self, topics: &Topics) -> Place {
        let latest = match topics.only_names() {
            Some(names) => (names.iter())
                .filter_map(|name| {
                    let events = self.channels.get(name)?.events.iter();
                    let last = events.rev().find(|event| topics.may_read(event))?;
                    Some(last.id.offset)
                })
                .max(),
            None => (self.kept.iter().rev())
                .find(|(_, kept)| topics.selects(&kept.event))
                .map(|(&offset, _)| offset),
        };
        Place {
            at: self.id(latest.map_or(self.last, |offset| offset - 1)),
            told: self.dropped.latest(),
        }
    }

    /// Returns what follows a place, and moves it on. After [`Read::Nothing`] the place is the
    /// log's last, unless so much had to be passed over that it is worth a pause.
    pub fn read(&self, place: &mut Place, topics: &Topics, slow: Slow, max: PageMax) -> Read {
        if slow == Slow::Latest && self.is_ours(place.at) {
            // What it passes over is not missing.
            let latest = self.latest(place.at.offset, topics);
            if !latest.is_empty() {
                place.at = self.cursor();
                return Read::Events(latest);
            }
        }
        if let Some(gap) = self.gap(place, topics) {
            place.at = gap.resumed_after;
            place.told = self.dropped.latest();
            return Read::Gap(gap);
        }
        let events = match topics.only_names() {
            Some([]) => self.move_on(place, Vec::new()),
            Some([name]) => self.read_channel(place, name, topics, max),
            Some(names) => self.read_channels(place, names, topics, max),
            None => self.scan(place, topics, max),
        };
        if events.is_empty() {
            Read::Nothing
        } else {
            Read::Events(events)
        }
    }

    /// How many events that may be selected were published after an offset. Of patterns it cannot
    /// be known without asking: there it is all events.
    pub fn behind(&self, after: u64, topics: &Topics) -> usize {
        match topics.only_names() {
            Some(names) => (names.iter())
                .filter_map(|name| self.channels.get(name))
                .map(|channel| channel.events.len() - channel.index_after(after))
                .sum(),
            None => usize::try_from(self.last.saturating_sub(after)).unwrap_or(usize::MAX),
        }
    }

    fn is_ours(&self, at: EventId) -> bool {
        at.epoch == self.epoch && at.offset <= self.last
    }

    fn gap(&self, place: &Place, topics: &Topics) -> Option<Gap> {
        let requested = place.at;
        let known = place.at.offset.max(place.told);
        let (reason, after) = if requested == EventId::UNKNOWN {
            (GapReason::Unknown, 0)
        } else if requested.epoch != self.epoch {
            (GapReason::Epoch, 0)
        } else if requested.offset > self.last {
            (GapReason::Unknown, 0)
        } else if self.dropped.latest() > known && self.dropped_of(topics) > known {
            (GapReason::Expired, requested.offset)
        } else {
            return None;
        };
        Some(Gap {
            requested,
            resumed_after: self.id(self.before_next(after, topics)),
            reason,
        })
    }

    /// The offset through which events were dropped that a reader could have had.
    fn dropped_of(&self, topics: &Topics) -> u64 {
        let any = topics.sees_any_private();
        let through =
            |dropped: Dropped, topic: &str| dropped.through(any && topics.sees_private(topic), any);
        let of_channel = |name: &Arc<str>| {
            let channel = self.channels.get(name);
            through(
                channel.map_or(self.forgotten, |channel| channel.dropped),
                name,
            )
        };
        let named = topics.names.iter().map(of_channel).max().unwrap_or(0);
        let matched = match &topics.pattern {
            Pattern::None => 0,
            Pattern::All => self.dropped.through(any, any),
            Pattern::Test(test) => (self.channels.iter())
                .filter(|(topic, _)| test(topic))
                .map(|(topic, channel)| through(channel.dropped, topic))
                .max()
                .unwrap_or(0)
                .max(self.forgotten.through(any, any)),
        };
        named.max(matched)
    }

    /// The offset before the next event that may be selected.
    fn before_next(&self, after: u64, topics: &Topics) -> u64 {
        let next = match topics.only_names() {
            Some(names) => (names.iter())
                .filter_map(|name| {
                    let channel = self.channels.get(name)?;
                    let next = channel.events.get(channel.index_after(after))?;
                    Some(next.id.offset)
                })
                .min(),
            None => (self.kept.range(after + 1..).next()).map(|(&offset, _)| offset),
        };
        next.map_or(self.last, |offset| offset - 1)
    }

    fn move_on(&self, place: &mut Place, events: Vec<Arc<Event>>) -> Vec<Arc<Event>> {
        place.at.offset = self.last;
        events
    }

    fn read_channel(
        &self,
        place: &mut Place,
        name: &Arc<str>,
        topics: &Topics,
        max: PageMax,
    ) -> Vec<Arc<Event>> {
        let mut page = Page::new(max);
        if let Some(channel) = self.channels.get(name) {
            let index = channel.index_after(place.at.offset);
            for event in channel.events.range(index..) {
                if page.is_full() {
                    return page.events;
                }
                place.at.offset = event.id.offset;
                if topics.may_read(event) {
                    page.push(event);
                }
            }
        }
        self.move_on(place, page.events)
    }

    /// Merges channels in the order of offsets. An event that is on several comes once.
    fn read_channels(
        &self,
        place: &mut Place,
        names: &[Arc<str>],
        topics: &Topics,
        max: PageMax,
    ) -> Vec<Arc<Event>> {
        let mut page = Page::new(max);
        let mut heads: BinaryHeap<_> = names
            .iter()
            .filter_map(|name| {
                let channel = self.channels.get(name)?;
                let index = channel.index_after(place.at.offset);
                let mut events = channel.events.range(index..);
                let first = events.next()?;
                Some(Head(Reverse(first.id.offset), first, events))
            })
            .collect();
        while let Some(Head(Reverse(offset), event, mut events)) = heads.pop() {
            if page.is_full() {
                return page.events;
            }
            if offset > place.at.offset {
                place.at.offset = offset;
                if topics.may_read(event) {
                    page.push(event);
                }
            }
            if let Some(next) = events.next() {
                heads.push(Head(Reverse(next.id.offset), next, events));
            }
        }
        self.move_on(place, page.events)
    }

    fn scan(&self, place: &mut Place, topics: &Topics, max: PageMax) -> Vec<Arc<Event>> {
        let mut page = Page::new(max);
        for (&offset, kept) in self.kept.range(place.at.offset + 1..) {
            if page.is_full() {
                return page.events;
            }
            place.at.offset = offset;
            if topics.selects(&kept.event) {
                page.push(&kept.event);
            } else {
                page.pass();
            }
        }
        self.move_on(place, page.events)
    }

    /// The last event of each channel after an offset, in order. What is selected by a pattern
    /// counts as of its canonical channel.
    fn latest(&self, after: u64, topics: &Topics) -> Vec<Arc<Event>> {
        let mut latest: Vec<Arc<Event>> = if let Some(names) = topics.only_names() {
            let last = |name| {
                let channel = self.channels.get(name)?;
                let after = channel.events.range(channel.index_after(after)..);
                after.rev().find(|event| topics.may_read(event)).cloned()
            };
            names.iter().filter_map(last).collect()
        } else {
            let kept = self.kept.range(after + 1..).map(|(_, kept)| &kept.event);
            let selected = kept.filter(|event| topics.selects(event));
            let by_topic: HashMap<_, _> = selected
                .map(|event| (&event.topics[0], Arc::clone(event)))
                .collect();
            by_topic.into_values().collect()
        };
        latest.sort_unstable_by_key(|event| event.id);
        latest.dedup_by_key(|event| event.id);
        latest
    }
}

/// A channel's next event, and those after it; the earliest is the greatest.
struct Head<'a>(
    Reverse<u64>,
    &'a Arc<Event>,
    std::collections::vec_deque::Iter<'a, Arc<Event>>,
);

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

/// A page in the making.
struct Page {
    events: Vec<Arc<Event>>,
    max: PageMax,
    bytes: usize,
    scanned: usize,
}

impl Page {
    fn new(max: PageMax) -> Self {
        Self {
            events: Vec::new(),
            max,
            bytes: 0,
            scanned: 0,
        }
    }

    fn push(&mut self, event: &Arc<Event>) {
        self.bytes += event.data.len();
        self.events.push(Arc::clone(event));
        self.scanned += 1;
    }

    fn pass(&mut self) {
        self.scanned += 1;
    }

    fn is_full(&self) -> bool {
        self.events.len() >= self.max.events.max(1)
            || (!self.events.is_empty() && self.bytes >= self.max.bytes)
            || self.scanned >= SCANNED_MAX
    }
}
