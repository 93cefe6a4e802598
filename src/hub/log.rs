//! Numbered events on many channels: what is published last is kept, what is dropped is missed
//! aloud.
//!
//! Pure: time comes as a value, and nothing waits here. Knows nothing of who publishes or reads,
//! or how events travel. Read on in `channel` for what one channel remembers, `read` for what a
//! reader finds, `slow` for what becomes of a slow one, and [`crate::hub`] for waiting.

mod candidates;
pub(super) mod channel;
mod drops;
pub(super) mod keys;
mod read;
pub(super) mod seek;
mod slow;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use self::channel::{Channel, Dropped};
use self::drops::Drops;
use self::keys::Keys;
#[cfg(test)]
pub(super) use self::read::SCANNED_MAX;
pub use self::read::{Gap, GapReason, PageMax, Place, Read, Want};
pub use self::slow::{BEHIND_MAX, Slow, SlowTest, Slowness};
use super::event::{Event, EventId};

/// How much a log keeps. Whichever is reached first drops the oldest.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Events of a channel.
    pub events_max: usize,
    /// Bytes of a channel's events ([`Event::cost`]).
    pub bytes_max: usize,
    /// How long ago they were published.
    pub age_max: Duration,
    /// Events of all channels together.
    pub all_events_max: usize,
    /// Bytes of all channels together.
    pub all_bytes_max: usize,
    /// Channels that have become empty, and whose last loss is remembered each for itself.
    pub empty_channels_max: usize,
}

impl Default for Limits {
    /// A day's work of one person; a laptop that slept over night finds all of it.
    fn default() -> Self {
        Self {
            events_max: 1024,
            bytes_max: 1 << 20,
            age_max: Duration::from_hours(24),
            all_events_max: 1 << 16,
            all_bytes_max: 64 << 20,
            empty_channels_max: 1024,
        }
    }
}

impl Limits {
    /// What channels keep that anybody may publish to: room for an event of a few megabytes, and
    /// for readers that were away for a day.
    pub const CHANNELS: Self = Self {
        events_max: 100_000,
        bytes_max: 64 << 20,
        age_max: Duration::from_hours(24),
        all_events_max: 1 << 20,
        all_bytes_max: 512 << 20,
        empty_channels_max: 16 * 1024,
    };

    /// The largest event that is kept at all, in bytes ([`Event::cost`]).
    pub fn event_bytes_max(&self) -> usize {
        self.bytes_max.min(self.all_bytes_max)
    }
}

#[derive(Debug)]
struct Kept {
    event: Arc<Event>,
    at: Instant,
}

/// The events of one epoch, as far as they are kept.
#[derive(Debug)]
pub struct Log {
    epoch: u64,
    limits: Limits,
    /// By offset.
    kept: BTreeMap<u64, Kept>,
    bytes: usize,
    /// The offset of the last event that was published.
    last: u64,
    channels: HashMap<Arc<str>, Channel>,
    empty_channels: usize,
    /// What any channel has dropped.
    dropped: Drops,
    /// What channels have dropped that are not remembered.
    forgotten: Drops,
    /// Losses that channels have had: the number of the last.
    losses: u64,
    /// The channels that have lost something, by the last time.
    lost: BTreeMap<u64, Arc<str>>,
    /// Offsets of the events that their publishers gave an id, the earliest first.
    ids: HashMap<Box<str>, Vec<u64>>,
    keys: Keys,
}

impl Log {
    /// Returns an empty log.
    pub fn new(epoch: u64, limits: Limits) -> Self {
        Self {
            epoch,
            limits,
            kept: BTreeMap::new(),
            bytes: 0,
            last: 0,
            channels: HashMap::new(),
            empty_channels: 0,
            dropped: Drops::default(),
            forgotten: Drops::default(),
            losses: 0,
            lost: BTreeMap::new(),
            ids: HashMap::new(),
            keys: Keys::default(),
        }
    }

    /// The place of the last event: a reader that starts here has missed nothing.
    pub fn cursor(&self) -> EventId {
        self.id(self.last)
    }

    /// The place that the next event gets.
    pub fn next_id(&self) -> EventId {
        self.id(self.last + 1)
    }

    /// How much it keeps.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    fn id(&self, offset: u64) -> EventId {
        EventId {
            epoch: self.epoch,
            offset,
        }
    }

    /// Adds an event whose place is after all others: [`Self::next_id`], or a later one if those
    /// between were dropped elsewhere. One that is larger than a channel is dropped at once, and
    /// missed by all.
    pub fn insert(&mut self, at: Instant, event: Arc<Event>) {
        debug_assert!(event.id > self.cursor(), "events come in order");
        let offset = event.id.offset;
        self.last = offset;
        for (index, topic) in event.topics.iter().enumerate() {
            let is_new = !self.channels.contains_key(topic);
            let channel = self.channels.entry(Arc::clone(topic)).or_default();
            if is_new {
                channel.dropped.clone_from(&self.forgotten);
            } else if channel.events.is_empty() {
                self.empty_channels -= 1;
            }
            channel.insert(Arc::clone(&event), index == 0);
        }
        if let Some(id) = &event.publisher_id {
            self.ids.entry(id.clone()).or_default().push(offset);
        }
        if let Some(key) = &event.idempotency_key {
            self.keys.insert(key, offset);
        }
        self.bytes += event.cost();
        let canonical = Arc::clone(&event.topics[0]);
        self.kept.insert(offset, Kept { event, at });
        self.trim_channel(&canonical);
        self.trim(at);
    }

    /// Returns the place of the event that was published with an idempotency key.
    pub fn published_with(&self, key: &str) -> Option<EventId> {
        self.keys.offset(key).map(|offset| self.id(offset))
    }

    /// Returns the place of the earliest event that is kept of those with a publisher's id.
    pub fn with_publisher_id(&self, id: &str) -> Option<EventId> {
        let offsets = self.ids.get(id)?;
        offsets.first().map(|&offset| self.id(offset))
    }

    /// Drops what is too old, or too much of all channels together.
    pub fn trim(&mut self, now: Instant) {
        while let Some((&offset, oldest)) = self.kept.first_key_value()
            && (self.kept.len() > self.limits.all_events_max
                || self.bytes > self.limits.all_bytes_max
                || now.saturating_duration_since(oldest.at) > self.limits.age_max)
        {
            self.drop_event(offset);
        }
    }

    fn trim_channel(&mut self, topic: &str) {
        while let Some(channel) = self.channels.get(topic)
            && (channel.own.len() > self.limits.events_max || channel.bytes > self.limits.bytes_max)
            && let Some(&oldest) = channel.own.front()
        {
            self.drop_event(oldest);
        }
    }

    fn drop_event(&mut self, offset: u64) {
        let Some(Kept { event, .. }) = self.kept.remove(&offset) else {
            return;
        };
        self.bytes -= event.cost();
        for (index, topic) in event.topics.iter().enumerate() {
            if let Some(channel) = self.channels.get_mut(topic) {
                let number = note_loss(&mut self.losses, &mut self.lost, topic, channel);
                channel.remove(number, &event, index == 0);
                self.empty_channels += usize::from(channel.events.is_empty());
            }
        }
        self.dropped.note(self.losses, &event);
        if let Some(id) = event.publisher_id.as_deref()
            && let Some(offsets) = self.ids.get_mut(id)
        {
            offsets.retain(|&other| other != offset);
            if offsets.is_empty() {
                self.ids.remove(id);
            }
        }
        if self.empty_channels > self.limits.empty_channels_max {
            self.forget_channels();
        }
    }

    /// Forgets the empty channels that lost something longest ago: half of them, so that it is not
    /// done for each.
    fn forget_channels(&mut self) {
        let empty = self
            .channels
            .iter()
            .filter(|(_, channel)| channel.events.is_empty());
        let mut empty: Vec<_> = empty
            .map(|(topic, channel)| (channel.dropped.all().latest(), Arc::clone(topic)))
            .collect();
        empty.sort_unstable();
        let stay = (empty.len() / 2).min(self.limits.empty_channels_max);
        empty.truncate(empty.len() - stay);
        for (_, topic) in empty {
            if let Some(channel) = self.channels.remove(&topic) {
                self.forgotten.join(&channel.dropped);
                self.lost.remove(&channel.lost);
                self.empty_channels -= 1;
            }
        }
    }

    /// Returns what must be known besides the events, so that a log which is made of them tells the
    /// same losses.
    pub(super) fn losses(&self) -> Losses {
        let channels = self.channels.iter();
        Losses {
            last: self.last,
            forgotten: self.forgotten.all(),
            channels: channels
                .map(|(topic, channel)| (Arc::clone(topic), channel.dropped.all()))
                .filter(|(_, dropped)| dropped.latest() > 0)
                .collect(),
        }
    }

    /// Takes on the losses of the log that this one is made anew of. Events after them may still be
    /// added.
    pub(super) fn restore(&mut self, losses: Losses) {
        let last = self.last;
        self.last = last.max(losses.last);
        self.losses += 1;
        let news = (self.forgotten).note_news(self.losses, losses.forgotten, u64::MAX);
        self.dropped.note_all(self.losses, news);
        for (topic, dropped) in losses.channels {
            let channel = self.channels.entry(Arc::clone(&topic)).or_insert_with(|| {
                self.empty_channels += 1;
                Channel {
                    dropped: self.forgotten.clone(),
                    ..Channel::default()
                }
            });
            let news = (channel.dropped).note_news(self.losses + 1, dropped, last);
            // What is known already is not numbered anew, however much there is of it.
            if news.latest() > 0 {
                let number = note_loss(&mut self.losses, &mut self.lost, &topic, channel);
                self.dropped.note_all(number, news);
            }
        }
        if self.empty_channels > self.limits.empty_channels_max {
            self.forget_channels();
        }
    }

    /// Notes that events may be missing of which nothing is known, up to an offset.
    pub(super) fn lose_all_through(&mut self, offset: u64) {
        if offset > 0 {
            // Nobody can have been told of it, whatever later ones are known to be lost.
            self.lose_all(Dropped::all_through(offset), 0);
            self.last = self.last.max(offset);
        }
    }

    /// Notes that events may be missing, of whichever channels: it is news if it was not known, or
    /// is after `copied`.
    fn lose_all(&mut self, lost: Dropped, copied: u64) {
        self.losses += 1;
        let news = (self.forgotten).note_news(self.losses, lost, copied);
        for (topic, channel) in &mut self.channels {
            let news = (channel.dropped).note_news(self.losses + 1, lost, copied);
            if news.latest() > 0 {
                note_loss(&mut self.losses, &mut self.lost, topic, channel);
            }
        }
        self.dropped.note_all(self.losses, news);
    }

    /// Takes on what a log has lost of which this one is a copy that comes behind.
    pub(super) fn lose_as(&mut self, losses: Losses) {
        if losses.forgotten.latest() > self.last {
            // Any channel that is known here may be one that was forgotten there.
            self.lose_all(losses.forgotten, self.last);
        }
        self.restore(losses);
    }

    /// Returns the events that are kept of a range of offsets.
    pub(super) fn kept_in(&self, offsets: std::ops::Range<u64>) -> Vec<Arc<Event>> {
        let kept = self.kept.range(offsets);
        kept.map(|(_, kept)| Arc::clone(&kept.event)).collect()
    }
}

/// Notes that a channel has lost something, after all that was lost before. Returns the number of
/// the loss.
fn note_loss(
    losses: &mut u64,
    lost: &mut BTreeMap<u64, Arc<str>>,
    topic: &Arc<str>,
    channel: &mut Channel,
) -> u64 {
    lost.remove(&channel.lost);
    *losses += 1;
    channel.lost = *losses;
    lost.insert(*losses, Arc::clone(topic));
    *losses
}

/// What the channels of a log have dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Losses {
    pub(super) last: u64,
    pub(super) forgotten: Dropped,
    pub(super) channels: Vec<(Arc<str>, Dropped)>,
}
