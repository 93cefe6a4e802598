//! A ring of numbered events: what is published last is kept, what is dropped is missed aloud.
//!
//! Pure: time comes as a value, and nothing waits here. Knows nothing of who publishes or reads,
//! or how events travel. Read on in [`crate::hub`].

use std::collections::VecDeque;
use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// What an event costs besides its text.
const EVENT_OVERHEAD_BYTES: usize = size_of::<Event>() + size_of::<Kept>() + 16;

/// The place of an event in a log, and so a reader's cursor: the last event it has seen.
///
/// Written `<epoch>.<offset>`. The epoch tells logs apart: a restarted program has another. Offsets
/// count from 1 without holes; 0 is the place before the first event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId {
    /// Which log.
    pub epoch: u64,
    /// Which event of it.
    pub offset: u64,
}

impl EventId {
    /// The cursor of a reader that names none which can be read: every log answers it with a gap.
    pub const UNKNOWN: Self = Self {
        epoch: 0,
        offset: u64::MAX,
    };
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.epoch, self.offset)
    }
}

/// Why a text is not an [`EventId`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an event id is two numbers with a dot between them")]
pub struct BadEventId;

impl From<ParseIntError> for BadEventId {
    fn from(_: ParseIntError) -> Self {
        Self
    }
}

impl FromStr for EventId {
    type Err = BadEventId;

    fn from_str(text: &str) -> Result<Self, BadEventId> {
        let (epoch, offset) = text.split_once('.').ok_or(BadEventId)?;
        // `parse` would take a sign.
        if !(epoch.bytes().chain(offset.bytes())).all(|byte| byte.is_ascii_digit()) {
            return Err(BadEventId);
        }
        Ok(Self {
            epoch: epoch.parse()?,
            offset: offset.parse()?,
        })
    }
}

/// Something that has happened.
#[derive(Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place.
    pub id: EventId,
    /// What it is, in a word.
    pub kind: String,
    /// What it says.
    pub data: String,
}

/// How much a log keeps. Whichever is reached first drops the oldest.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Events.
    pub events_max: usize,
    /// Bytes of all events together, with what they cost besides their text.
    pub bytes_max: usize,
    /// How long ago they were published.
    pub age_max: Duration,
}

impl Default for Limits {
    /// A day's work of one person; a laptop that slept over night finds all of it.
    fn default() -> Self {
        Self {
            events_max: 1024,
            bytes_max: 1 << 20,
            age_max: Duration::from_hours(24),
        }
    }
}

/// What a reader finds after its cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// These, in order and without holes.
    Events(Vec<Arc<Event>>),
    /// Nothing has happened since.
    Nothing,
    /// What comes next after the cursor is not known any more, or never was.
    Gap {
        /// The place before the oldest event that is kept: who goes on from here misses no more.
        oldest: EventId,
    },
}

#[derive(Debug)]
struct Kept {
    event: Arc<Event>,
    at: Instant,
    bytes: usize,
}

/// The events of one epoch, as far as they are kept.
#[derive(Debug)]
pub struct Log {
    epoch: u64,
    limits: Limits,
    kept: VecDeque<Kept>,
    bytes: usize,
    /// The offset of the last event that was published.
    last: u64,
}

impl Log {
    /// Returns an empty log.
    pub fn new(epoch: u64, limits: Limits) -> Self {
        Self {
            epoch,
            limits,
            kept: VecDeque::new(),
            bytes: 0,
            last: 0,
        }
    }

    /// Adds an event. One that is larger than the log is dropped at once, and missed by all.
    pub fn publish(&mut self, now: Instant, kind: &str, data: String) -> EventId {
        self.last += 1;
        let id = self.cursor();
        let bytes = kind.len() + data.len() + EVENT_OVERHEAD_BYTES;
        let event = Arc::new(Event {
            id,
            kind: kind.to_owned(),
            data,
        });
        self.kept.push_back(Kept {
            event,
            at: now,
            bytes,
        });
        self.bytes += bytes;
        self.trim(now);
        id
    }

    /// Drops what is too old or too much.
    pub fn trim(&mut self, now: Instant) {
        while let Some(oldest) = self.kept.front()
            && (self.kept.len() > self.limits.events_max
                || self.bytes > self.limits.bytes_max
                || now.saturating_duration_since(oldest.at) > self.limits.age_max)
        {
            self.bytes -= oldest.bytes;
            self.kept.pop_front();
        }
    }

    /// The place of the last event: a reader that starts here has missed nothing.
    pub fn cursor(&self) -> EventId {
        EventId {
            epoch: self.epoch,
            offset: self.last,
        }
    }

    /// The place before the oldest event that is kept.
    fn oldest(&self) -> EventId {
        EventId {
            epoch: self.epoch,
            offset: self.last - self.kept.len() as u64,
        }
    }

    /// Returns up to `max` events after a cursor.
    pub fn read(&self, after: EventId, max: usize) -> Read {
        let oldest = self.oldest();
        if after.epoch != self.epoch || after.offset < oldest.offset || after.offset > self.last {
            return Read::Gap { oldest };
        }
        let seen = usize::try_from(after.offset - oldest.offset).unwrap_or(usize::MAX);
        let events: Vec<_> = (self.kept.iter().skip(seen).take(max))
            .map(|kept| Arc::clone(&kept.event))
            .collect();
        if events.is_empty() {
            Read::Nothing
        } else {
            Read::Events(events)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EPOCH: u64 = 7;

    fn id(offset: u64) -> EventId {
        EventId {
            epoch: EPOCH,
            offset,
        }
    }

    fn log(events_max: usize) -> Log {
        Log::new(
            EPOCH,
            Limits {
                events_max,
                ..Limits::default()
            },
        )
    }

    /// Tells a read in a line.
    fn told(read: &Read) -> String {
        match read {
            Read::Events(events) => {
                let data: Vec<_> = events.iter().map(|event| event.data.as_str()).collect();
                data.join(" ")
            }
            Read::Nothing => "nothing".to_owned(),
            Read::Gap { oldest } => format!("gap, on from {oldest}"),
        }
    }

    #[test]
    fn a_reader_goes_on_where_it_was_or_is_told_that_it_cannot() {
        let mut log = log(2);
        let now = Instant::now();
        assert_eq!(log.cursor(), id(0));
        assert_eq!(told(&log.read(id(0), 9)), "nothing");
        for data in ["a", "b", "c"] {
            log.publish(now, "said", data.to_owned());
        }
        let other = |epoch, offset| EventId { epoch, offset };
        for (after, expected) in [
            (id(0), "gap, on from 7.1"),
            (id(1), "b c"),
            (id(2), "c"),
            (id(3), "nothing"),
            (id(4), "gap, on from 7.1"),
            (other(6, 2), "gap, on from 7.1"),
            (other(8, 2), "gap, on from 7.1"),
            (EventId::UNKNOWN, "gap, on from 7.1"),
        ] {
            assert_eq!(told(&log.read(after, 9)), expected, "after {after}");
        }
        assert_eq!(told(&log.read(id(1), 1)), "b");
    }

    #[test]
    fn age_and_size_drop_the_oldest() {
        let now = Instant::now();
        let mut log = Log::new(
            EPOCH,
            Limits {
                events_max: 9,
                bytes_max: 1000 + 2 * EVENT_OVERHEAD_BYTES,
                age_max: Duration::from_secs(10),
            },
        );
        let publish = |log: &mut Log, seconds, length| {
            let at = now + Duration::from_secs(seconds);
            log.publish(at, "", "x".repeat(length));
            log.oldest().offset
        };
        assert_eq!(publish(&mut log, 0, 500), 0);
        assert_eq!(publish(&mut log, 1, 500), 0);
        assert_eq!(publish(&mut log, 2, 1), 1, "too many bytes");
        assert_eq!(publish(&mut log, 12, 1), 2, "too old");
        assert_eq!(publish(&mut log, 12, 9000), 5, "larger than the log");
        assert_eq!(log.bytes, 0);
        assert_eq!(told(&log.read(id(5), 9)), "nothing");
        assert_eq!(told(&log.read(id(4), 9)), "gap, on from 7.5");
        // No cursor is known to a log by accident, whatever its epoch.
        let unlucky = Log::new(EventId::UNKNOWN.epoch, Limits::default());
        assert_eq!(told(&unlucky.read(EventId::UNKNOWN, 9)), "gap, on from 0.0");
    }

    #[test]
    fn an_id_is_read_as_it_is_written() {
        for id in [id(0), id(42), EventId::UNKNOWN] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
        for bad in [
            "",
            ".",
            "1",
            "1.",
            ".1",
            "+1.2",
            "1.-2",
            "1.2.3",
            " 1.2",
            "1.2\n",
            "a.b",
            "1.99999999999999999999",
            "\u{0661}.1",
            "1.2\0",
        ] {
            assert_eq!(bad.parse::<EventId>(), Err(BadEventId), "{bad:?}");
        }
    }

    #[derive(Debug, Clone)]
    enum Step {
        Publish { bytes: usize },
        Pass { seconds: u64 },
        Read { reader: usize, max: usize },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0..400_usize).prop_map(|bytes| Step::Publish { bytes }),
            1 => (0..20_u64).prop_map(|seconds| Step::Pass { seconds }),
            3 => (0..3_usize, 0..5_usize).prop_map(|(reader, max)| Step::Read { reader, max }),
        ]
    }

    /// A reader, and all offsets that it has seen or was told to have missed.
    struct Reader {
        cursor: EventId,
        accounted: u64,
    }

    impl Reader {
        fn read(&mut self, log: &Log, max: usize) -> bool {
            match log.read(self.cursor, max) {
                Read::Events(events) => {
                    assert!(!events.is_empty() && events.len() <= max);
                    for event in events {
                        self.accounted += 1;
                        assert_eq!(event.id, id(self.accounted), "a hole or a repetition");
                        self.cursor = event.id;
                    }
                    true
                }
                Read::Nothing => {
                    assert!(max == 0 || self.cursor == log.cursor(), "nothing was said");
                    false
                }
                Read::Gap { oldest } => {
                    assert!(oldest > self.cursor, "a gap without a loss");
                    self.accounted = oldest.offset;
                    self.cursor = oldest;
                    true
                }
            }
        }
    }

    proptest! {
        /// Whatever is published, dropped and read: nothing is lost silently, nothing comes twice.
        #[test]
        fn every_event_is_read_once_or_missed_aloud(
            steps in proptest::collection::vec(step(), 0..200),
            events_max in 0..12_usize,
            bytes_max in 0..4000_usize,
        ) {
            let age_max = Duration::from_mins(1);
            let limits = Limits { events_max, bytes_max, age_max };
            let mut log = Log::new(EPOCH, limits);
            let mut now = Instant::now();
            let mut readers = [0; 3].map(|accounted| Reader { cursor: id(0), accounted });
            let mut published = 0;
            for step in steps {
                match step {
                    Step::Publish { bytes } => {
                        published += 1;
                        let data = "x".repeat(bytes);
                        prop_assert_eq!(log.publish(now, "k", data), id(published));
                    }
                    Step::Pass { seconds } => now += Duration::from_secs(seconds),
                    Step::Read { reader, max } => {
                        log.trim(now);
                        readers[reader].read(&log, max);
                    }
                }
                prop_assert!(log.kept.len() <= events_max && log.bytes <= bytes_max);
                prop_assert_eq!(log.bytes, log.kept.iter().map(|kept| kept.bytes).sum::<usize>());
            }
            for reader in &mut readers {
                while reader.read(&log, 3) {}
                prop_assert_eq!(reader.accounted, published);
            }
        }

        #[test]
        fn any_id_survives_being_written(epoch: u64, offset: u64) {
            let id = EventId { epoch, offset };
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            if let Ok(id) = text.parse::<EventId>() {
                prop_assert!(id.to_string().len() <= text.len());
            }
        }
    }
}
