//! What is published, and what a reader gets: plain values, and the texts that may stand in them.
//!
//! Knows nothing of logs or ways to deliver. Read on in [`super::log`].

use std::fmt;
use std::num::ParseIntError;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;

use crate::web_socket::Broadcast;

/// Topics of one event.
pub const TOPICS_MAX: usize = 100;
/// Bytes of a topic.
pub const TOPIC_BYTES_MAX: usize = 1024;
/// Bytes of a kind.
pub const KIND_BYTES_MAX: usize = 128;
/// Bytes of a publisher's own id. Readers send it back in a header.
pub const PUBLISHER_ID_BYTES_MAX: usize = 256;
/// Bytes of an idempotency key.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 256;
/// The word for the place before everything that is kept, where a cursor is asked for.
pub const EARLIEST: &str = "earliest";

/// The place of an event in a log, and so a reader's cursor: the last event it has seen.
///
/// Written `<epoch>.<offset>`. The epoch tells logs apart: a log that was lost comes back with
/// another. Offsets count from 1, over all channels; 0 is the place before the first event.
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

/// Something that somebody wants told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Publication {
    /// The channels it is told on. The first is its canonical topic, whose bounds keep or drop it;
    /// the others are alternates.
    pub topics: Vec<String>,
    /// What it is, in a word; may be empty.
    pub kind: String,
    /// What it says.
    pub data: String,
    /// How long a reader that is cut waits before it comes again.
    pub retry: Option<Duration>,
    /// What its publisher calls it. Accepted as a cursor, and shown to readers.
    pub publisher_id: Option<String>,
    /// Tells a repetition: of several publications with one key, the first is kept.
    pub idempotency_key: Option<String>,
    /// Whether only those may read it who were allowed to.
    pub is_private: bool,
    /// When it was published: milliseconds since 1970.
    pub time_ms: u64,
}

/// What is wrong with a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPublication {
    /// It has no topic, or too many.
    #[error("an event has 1 to {TOPICS_MAX} topics")]
    Topics,
    /// A topic is empty, too long, or has control characters.
    #[error("a topic has 1 to {TOPIC_BYTES_MAX} bytes and no control characters")]
    Topic,
    /// The kind is too long, or has control characters.
    #[error("a type has at most {KIND_BYTES_MAX} bytes and no control characters")]
    Kind,
    /// The id could be taken for another's, or would not survive being sent.
    #[error(
        "an id has 1 to {PUBLISHER_ID_BYTES_MAX} bytes, no control characters and no `#` in front, \
         and is neither `{EARLIEST}` nor two numbers with a dot between them"
    )]
    PublisherId,
    /// The idempotency key is empty, too long, or has control characters.
    #[error(
        "an idempotency key has 1 to {IDEMPOTENCY_KEY_BYTES_MAX} bytes and no control characters"
    )]
    IdempotencyKey,
}

impl Publication {
    /// Returns a public event on one channel.
    pub fn new(topic: &str, data: String) -> Self {
        Self {
            topics: vec![topic.to_owned()],
            data,
            ..Self::default()
        }
    }

    /// Checks its texts, but not its size.
    ///
    /// # Errors
    /// Says what is wrong.
    pub fn check(&self) -> Result<(), BadPublication> {
        if self.topics.is_empty() || self.topics.len() > TOPICS_MAX {
            return Err(BadPublication::Topics);
        }
        if !(self.topics.iter()).all(|topic| is_plain(topic, 1, TOPIC_BYTES_MAX)) {
            return Err(BadPublication::Topic);
        }
        if !is_plain(&self.kind, 0, KIND_BYTES_MAX) {
            return Err(BadPublication::Kind);
        }
        let is_id = |id: &String| {
            is_plain(id, 1, PUBLISHER_ID_BYTES_MAX)
                && !id.starts_with('#')
                && id != EARLIEST
                && id.parse::<EventId>().is_err()
        };
        if !self.publisher_id.as_ref().is_none_or(is_id) {
            return Err(BadPublication::PublisherId);
        }
        let is_key = |key: &String| is_plain(key, 1, IDEMPOTENCY_KEY_BYTES_MAX);
        if !self.idempotency_key.as_ref().is_none_or(is_key) {
            return Err(BadPublication::IdempotencyKey);
        }
        Ok(())
    }

    /// What its event counts against the bounds of a log, or a little more.
    pub fn cost(&self) -> usize {
        let length = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        EVENT_OVERHEAD_BYTES
            + self.topics.iter().map(String::len).sum::<usize>()
            + self.kind.len()
            + self.data.len()
            + length(&self.publisher_id)
            + length(&self.idempotency_key)
    }
}

fn is_plain(text: &str, bytes_min: usize, bytes_max: usize) -> bool {
    (bytes_min..=bytes_max).contains(&text.len()) && !text.contains(char::is_control)
}

/// Something that has happened.
#[derive(Debug)]
pub struct Event {
    /// Its place.
    pub id: EventId,
    /// The channels it is told on: the canonical topic first. Never empty.
    pub topics: Box<[Arc<str>]>,
    /// What it is, in a word; may be empty.
    pub kind: Box<str>,
    /// What it says.
    pub data: Box<str>,
    /// How long a reader that is cut waits before it comes again.
    pub retry: Option<Duration>,
    /// What its publisher calls it.
    pub publisher_id: Option<Box<str>>,
    /// Tells its repetitions.
    pub idempotency_key: Option<Box<str>>,
    /// Whether only those may read it who were allowed to.
    pub is_private: bool,
    /// When it was published: milliseconds since 1970; 0 if nobody looked.
    pub time_ms: u64,
    /// It as each way sends it: made when it is first needed, then shared by all readers.
    pub frames: Frames,
}

/// An event as each way sends it.
#[derive(Debug, Default)]
pub struct Frames {
    /// The block of an event stream.
    pub sse: OnceLock<Bytes>,
    /// The JSON object, without a line's end.
    pub json: OnceLock<Bytes>,
    /// The WebSocket frame.
    pub web_socket: OnceLock<Broadcast>,
}

impl Event {
    /// Returns a publication in its place.
    pub fn new(id: EventId, publication: Publication) -> Self {
        let mut topics: Vec<Arc<str>> = Vec::with_capacity(publication.topics.len());
        for topic in publication.topics {
            // A topic that is named twice is one channel.
            if !topics.iter().any(|known| **known == *topic) {
                topics.push(topic.into());
            }
        }
        Self {
            id,
            topics: topics.into(),
            kind: publication.kind.into(),
            data: publication.data.into(),
            retry: publication.retry,
            publisher_id: publication.publisher_id.map(Into::into),
            idempotency_key: publication.idempotency_key.map(Into::into),
            is_private: publication.is_private,
            time_ms: publication.time_ms,
            frames: Frames::default(),
        }
    }

    /// The id that readers are shown: the publisher's own, or the place.
    pub fn shown_id(&self) -> String {
        match &self.publisher_id {
            Some(id) => id.to_string(),
            None => self.id.to_string(),
        }
    }

    /// What it counts against the bounds of a log: its texts, and what it costs besides. The frames
    /// of the ways it is read by come on top, each about as large as its data.
    pub fn cost(&self) -> usize {
        let length = |text: &Option<Box<str>>| text.as_ref().map_or(0, |text| text.len());
        let topics: usize = self.topics.iter().map(|topic| topic.len()).sum();
        EVENT_OVERHEAD_BYTES
            + topics
            + self.kind.len()
            + self.data.len()
            + length(&self.publisher_id)
            + length(&self.idempotency_key)
    }
}

/// What an event costs besides its texts: itself, and its places in a log.
pub(super) const EVENT_OVERHEAD_BYTES: usize = size_of::<Event>() + 128;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(offset: u64) -> EventId {
        EventId { epoch: 7, offset }
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

    #[test]
    fn what_could_forge_or_confuse_is_refused() {
        let good = Publication {
            topics: vec!["https://example.com/a".to_owned(), "b".to_owned()],
            kind: "price".to_owned(),
            data: "\0 \r\n anything".to_owned(),
            publisher_id: Some("urn:uuid:5e94c686-2c0b-4f9b-958c-92ccc3bbb4eb".to_owned()),
            idempotency_key: Some("k".to_owned()),
            ..Publication::default()
        };
        assert_eq!(good.check(), Ok(()));
        let with = |change: &dyn Fn(&mut Publication)| {
            let mut bad = good.clone();
            change(&mut bad);
            bad.check()
        };
        assert_eq!(with(&|bad| bad.topics.clear()), Err(BadPublication::Topics));
        assert_eq!(
            with(&|bad| bad.topics = vec!["a".to_owned(); TOPICS_MAX + 1]),
            Err(BadPublication::Topics)
        );
        for topic in ["", "a\nb", "a\0", &"x".repeat(TOPIC_BYTES_MAX + 1)] {
            let refused = with(&|bad| bad.topics[1] = topic.to_owned());
            assert_eq!(refused, Err(BadPublication::Topic), "{topic:?}");
        }
        for kind in ["a\nid: 1", "\u{85}", &"x".repeat(KIND_BYTES_MAX + 1)] {
            let refused = with(&|bad| bad.kind = kind.to_owned());
            assert_eq!(refused, Err(BadPublication::Kind), "{kind:?}");
        }
        let long = "x".repeat(PUBLISHER_ID_BYTES_MAX + 1);
        for id in ["", "#a", "earliest", "7.3", "a\rb", "\0", &long] {
            let refused = with(&|bad| bad.publisher_id = Some(id.to_owned()));
            assert_eq!(refused, Err(BadPublication::PublisherId), "{id:?}");
        }
        for key in ["", "\n"] {
            let refused = with(&|bad| bad.idempotency_key = Some(key.to_owned()));
            assert_eq!(refused, Err(BadPublication::IdempotencyKey), "{key:?}");
        }
    }

    proptest! {
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
