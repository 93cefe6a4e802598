//! What a reader finds after its place.

use std::sync::Arc;
use std::task::{Poll, ready};

use super::Log;
use super::drops::Drops;
use super::slow::{Slow, Slowness};
use crate::hub::event::{Event, EventId};
use crate::hub::topics::{Pattern, Topics};

/// Events, or channels, that are looked at in one go, whether or not they are selected: a reader of
/// much holds up nobody.
pub(in crate::hub) const SCANNED_MAX: usize = 1024;

/// How much is read at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageMax {
    /// Events, at least one.
    pub events: usize,
    /// Bytes of data; one event is read however large it is.
    pub bytes: usize,
}

/// Where a reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The last event it has seen, or passed over.
    pub at: EventId,
    /// The last of the log's losses when it was told that events are missing, or did not mind.
    told: u64,
    /// The last of the log's losses that was looked at, and is none of the reader's.
    pub(super) sought: u64,
}

impl Place {
    /// Returns the place of a reader that has seen an event, and all before it.
    pub fn after(at: EventId) -> Self {
        Self {
            at,
            told: 0,
            sought: 0,
        }
    }

    /// Returns the place of a reader who goes on after an event with other topics, and knows what
    /// was lost as it did.
    pub(in crate::hub) fn sought_anew(self, at: EventId) -> Self {
        Self {
            at,
            sought: self.told,
            ..self
        }
    }
}

/// What a reader wants.
#[derive(Debug)]
pub struct Want<'a> {
    /// Of which channels.
    pub topics: &'a Topics,
    /// What becomes of what has gathered; without it, all is read.
    pub slowness: Option<&'a mut Slowness>,
    /// The last offset that is read.
    pub until: u64,
    /// How much of it.
    pub max: PageMax,
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
    /// They were passed over, as later ones of their channels follow ([`Slow::Latest`]).
    Latest {
        /// How many.
        events: u64,
    },
}

impl GapReason {
    /// Its word for readers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Expired => "expired",
            Self::Unknown => "unknown",
            Self::Epoch => "epoch",
            Self::Latest { .. } => "latest",
        }
    }
}

impl Log {
    /// Returns the place before everything that is kept, for a reader that does not mind what is
    /// gone.
    pub fn earliest(&self) -> Place {
        self.told(self.id(0))
    }

    /// Returns the place of a reader that knows of all that was lost until now.
    pub(super) fn told(&self, at: EventId) -> Place {
        Place {
            at,
            told: self.losses,
            sought: self.losses,
        }
    }

    /// Returns what follows a place, and moves it on. After [`Read::Nothing`] the place is the
    /// last that was wanted, unless so much had to be passed over that it is worth a pause.
    pub fn read(&self, place: &mut Place, want: &mut Want<'_>) -> Read {
        if self.is_too_slow(*place, want) {
            return Read::TooSlow;
        }
        let Poll::Ready(gap) = self.gap(place, want.topics) else {
            return Read::Nothing;
        };
        if let Some(mut gap) = gap {
            if let Some(slowness) = &mut want.slowness {
                slowness.restart(self.last, &mut gap);
            }
            *place = self.told(gap.resumed_after);
            return Read::Gap(gap);
        }
        let events = self.page(place, want);
        if events.is_empty() {
            Read::Nothing
        } else {
            Read::Events(events)
        }
    }

    /// Counts what a reader has before it, if that matters: not all at once, but as far as in one
    /// go. What is counted once is not looked at again.
    fn is_too_slow(&self, place: Place, want: &mut Want<'_>) -> bool {
        let Some(slowness) = want
            .slowness
            .as_deref_mut()
            .filter(|_| self.is_ours(place.at))
        else {
            return false;
        };
        let after = slowness.uncounted(place.at.offset);
        let mut through = self.last;
        for (scanned, event) in self.candidates(want.topics, after).enumerate() {
            if scanned == SCANNED_MAX {
                break;
            }
            through = event.id.offset;
            if is_for(want.topics, event) && slowness.count(event) {
                return true;
            }
        }
        slowness.counted_through(through);
        false
    }

    fn page(&self, place: &mut Place, want: &mut Want<'_>) -> Vec<Arc<Event>> {
        let mut page = Page::new(want.max);
        for event in self.candidates(want.topics, place.at.offset) {
            if event.id.offset > want.until {
                break;
            }
            if page.is_full() {
                return page.events;
            }
            let before = std::mem::replace(&mut place.at.offset, event.id.offset);
            if !is_for(want.topics, event) {
                page.pass();
                continue;
            }
            if let Some(slowness) = &mut want.slowness {
                if slowness.policy(event) == Slow::Latest && self.is_followed(event, want.topics) {
                    // What is passed over is told before a page, never within it.
                    if !page.events.is_empty() {
                        place.at.offset = before;
                        return page.events;
                    }
                    slowness.pass(before);
                    page.pass();
                    continue;
                }
                slowness.read(event);
            }
            page.push(event);
        }
        place.at.offset = self.last.min(want.until).max(place.at.offset);
        page.events
    }

    /// Returns whether a reader finds a later event on an event's own channel. Whoever hears the
    /// event by an alternate topic alone need not.
    fn is_followed(&self, event: &Event, topics: &Topics) -> bool {
        let topic = &event.topics[0];
        let Some(channel) = self.channels.get(topic) else {
            return false;
        };
        let last = if topics.sees_private(topic) {
            channel.own.back().copied()
        } else {
            channel.last_public
        };
        last.is_some_and(|last| last > event.id.offset) && topics.selects_topic(topic)
    }

    fn is_ours(&self, at: EventId) -> bool {
        at.epoch == self.epoch && at.offset <= self.last
    }

    /// Returns the gap after a place, if there is one; pending if that cannot be said yet.
    fn gap(&self, place: &mut Place, topics: &Topics) -> Poll<Option<Gap>> {
        let requested = place.at;
        let (reason, after) = if requested == EventId::UNKNOWN {
            (GapReason::Unknown, 0)
        } else if requested.epoch != self.epoch {
            (GapReason::Epoch, 0)
        } else if requested.offset > self.last {
            (GapReason::Unknown, 0)
        } else if ready!(self.has_lost(place, topics)) {
            (GapReason::Expired, requested.offset)
        } else {
            return Poll::Ready(None);
        };
        Poll::Ready(Some(Gap {
            requested,
            resumed_after: self.id(self.before_next(after, topics)),
            reason,
        }))
    }

    /// Returns whether events after a place were dropped that a reader could have had; pending if
    /// so many channels have lost some that not all were looked at.
    fn has_lost(&self, place: &mut Place, topics: &Topics) -> Poll<bool> {
        let (at, told) = (place.at.offset, place.told);
        if self.dropped.since(told).latest() <= at {
            return Poll::Ready(false);
        }
        let any = topics.sees_any_private();
        let is_news =
            |dropped: &Drops, sees: bool| dropped.since(told).through(any && sees, any) > at;
        let is_news_of = |name: &Arc<str>| {
            let channel = self.channels.get(name);
            let dropped = channel.map_or(&self.forgotten, |channel| &channel.dropped);
            is_news(dropped, any && topics.sees_private(name))
        };
        if topics.names.iter().any(is_news_of) {
            return Poll::Ready(true);
        }
        let test = match &topics.pattern {
            Pattern::None => return Poll::Ready(false),
            Pattern::All => return Poll::Ready(is_news(&self.dropped, true)),
            Pattern::Test(test) => test,
        };
        if is_news(&self.forgotten, true) {
            return Poll::Ready(true);
        }
        // What was looked at before comes again if it has lost more.
        for (scanned, (&loss, topic)) in self.lost.range(place.sought + 1..).enumerate() {
            if scanned == SCANNED_MAX {
                return Poll::Pending;
            }
            place.sought = loss;
            if test(topic) && is_news_of(topic) {
                return Poll::Ready(true);
            }
        }
        Poll::Ready(false)
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
}

/// Returns whether a candidate is selected, and may be read.
fn is_for(topics: &Topics, event: &Event) -> bool {
    match topics.only_names() {
        Some(_) => topics.may_read(event),
        None => topics.selects(event),
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
