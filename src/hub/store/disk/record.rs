//! The bytes of a segment: frames, each whole or not there.
//!
//! ```text
//! frame:  magic 4 | kind 1 | length 4 | checksum 8 | content
//! head:   epoch 8 | first 8 | through 8 | losses            one, at the start of a file
//! group:  event*                                          what was flushed together
//! event:  offset 8 | time 8 | flags 1 | retry 8 | topics | kind | publisher id | key | data
//! ```
//!
//! Numbers are little-endian; a text has its length before it. The checksum is BLAKE3 over the
//! epoch and all but magic and checksum, cut to 8 bytes: bytes of another log do not pass.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::hub::event::{Event, EventId, Publication};
use crate::hub::log::Losses;
use crate::hub::log::channel::Dropped;

const MAGIC: [u8; 4] = *b"\xf0fr1";
const FRAME_HEAD_BYTES: usize = 4 + 1 + 4 + 8;
const HEAD: u8 = 1;
const GROUP: u8 = 2;
const PRIVATE: u8 = 1;
const RETRY: u8 = 2;
const PUBLISHER_ID: u8 = 4;
const IDEMPOTENCY_KEY: u8 = 8;

/// How a segment begins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) epoch: u64,
    /// The offset by which the file is named; none before it are in it.
    pub(super) first: u64,
    /// The last offset of the segments that it replaces, if it does.
    pub(super) through: u64,
    /// What was dropped before it was begun.
    pub(super) losses: Losses,
}

/// Content of a file that could be read.
pub(super) enum Frame {
    Head(Head),
    Group(Vec<Arc<Event>>),
}

pub(super) fn write_head(bytes: &mut Vec<u8>, head: &Head) {
    write_frame(bytes, HEAD, head.epoch, |bytes| {
        put(bytes, head.epoch);
        put(bytes, head.first);
        put(bytes, head.through);
        put(bytes, head.losses.last);
        put_dropped(bytes, head.losses.forgotten);
        put(bytes, head.losses.channels.len() as u64);
        for (topic, dropped) in &head.losses.channels {
            put_text(bytes, topic);
            put_dropped(bytes, *dropped);
        }
    });
}

pub(super) fn write_group(bytes: &mut Vec<u8>, epoch: u64, events: &[Arc<Event>]) {
    write_frame(bytes, GROUP, epoch, |bytes| {
        for event in events {
            put_event(bytes, event);
        }
    });
}

/// How many bytes an event takes, about.
pub(super) fn event_bytes(event: &Event) -> u64 {
    let topics: usize = event.topics.iter().map(|topic| topic.len() + 4).sum();
    (event.data.len() + event.kind.len() + topics + 64) as u64
}

/// Looks for frames in a file, from its start.
pub(super) struct Frames<'a> {
    bytes: &'a [u8],
    /// Of the head, once it was read.
    epoch: Option<u64>,
    at: usize,
}

/// What comes next in a file.
pub(super) enum Next {
    Frame(Frame),
    /// Bytes that are no frame, before one that is: what was flushed there has been damaged.
    Damage,
    /// Its end, or what was not written to its end.
    End {
        is_torn: bool,
    },
}

impl<'a> Frames<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            epoch: None,
            at: 0,
        }
    }

    pub(super) fn next(&mut self) -> Next {
        if self.at == self.bytes.len() {
            return Next::End { is_torn: false };
        }
        if let Some((frame, end)) = self.frame(self.at) {
            self.at = end;
            return Next::Frame(frame);
        }
        // A group is written after all before it were flushed: one that is whole after one that is
        // not tells damage from a write that was cut.
        let whole = (self.at + 1..self.bytes.len()).find(|&at| self.frame(at).is_some());
        match whole {
            Some(at) => {
                self.at = at;
                Next::Damage
            }
            None => Next::End { is_torn: true },
        }
    }

    fn frame(&mut self, at: usize) -> Option<(Frame, usize)> {
        let rest = self.bytes[at..].strip_prefix(&MAGIC)?;
        let (&kind, rest) = rest.split_first()?;
        let (length, rest) = rest.split_first_chunk()?;
        let length = u32::from_le_bytes(*length) as usize;
        let (sum, rest) = rest.split_first_chunk::<8>()?;
        let mut content = Bytes(rest.get(..length)?);
        let epoch = match (kind, self.epoch) {
            (HEAD, _) => u64::from_le_bytes(*content.0.first_chunk()?),
            (_, epoch) => epoch?,
        };
        if *sum != checksum(epoch, kind, content.0) {
            return None;
        }
        let frame = match kind {
            HEAD => Frame::Head(content.head()?),
            GROUP => Frame::Group(content.group(epoch)?),
            _ => return None,
        };
        self.epoch = Some(epoch);
        Some((frame, at + FRAME_HEAD_BYTES + length))
    }
}

fn write_frame(bytes: &mut Vec<u8>, kind: u8, epoch: u64, content: impl FnOnce(&mut Vec<u8>)) {
    let start = bytes.len();
    bytes.extend_from_slice(&MAGIC);
    bytes.push(kind);
    bytes.extend_from_slice(&[0; 12]);
    content(bytes);
    let length = bytes.len() - start - FRAME_HEAD_BYTES;
    // Limits on events and groups keep it far below.
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    let sum = checksum(epoch, kind, &bytes[start + FRAME_HEAD_BYTES..]);
    let fill = |bytes: &mut Vec<u8>, range: Range<usize>, with: &[u8]| {
        bytes[start + range.start..start + range.end].copy_from_slice(with);
    };
    fill(bytes, 5..9, &length.to_le_bytes());
    fill(bytes, 9..17, &sum);
}

fn checksum(epoch: u64, kind: u8, content: &[u8]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&epoch.to_le_bytes());
    hasher.update(&[kind]);
    hasher.update(content);
    let mut sum = [0; 8];
    hasher.finalize_xof().fill(&mut sum);
    sum
}

fn put(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

fn put_text(bytes: &mut Vec<u8>, text: &str) {
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

fn put_dropped(bytes: &mut Vec<u8>, dropped: Dropped) {
    put(bytes, dropped.public);
    put(bytes, dropped.private);
    put(bytes, dropped.private_shared);
}

fn put_event(bytes: &mut Vec<u8>, event: &Event) {
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    put(bytes, event.id.offset);
    put(bytes, event.time_ms);
    bytes.push(
        flag(event.is_private, PRIVATE)
            | flag(event.retry.is_some(), RETRY)
            | flag(event.publisher_id.is_some(), PUBLISHER_ID)
            | flag(event.idempotency_key.is_some(), IDEMPOTENCY_KEY),
    );
    let retry = event.retry.unwrap_or_default().as_millis();
    put(bytes, u64::try_from(retry).unwrap_or(u64::MAX));
    put(bytes, event.topics.len() as u64);
    for topic in &event.topics {
        put_text(bytes, topic);
    }
    put_text(bytes, &event.kind);
    put_text(bytes, event.publisher_id.as_deref().unwrap_or_default());
    put_text(bytes, event.idempotency_key.as_deref().unwrap_or_default());
    put_text(bytes, &event.data);
}

/// Bytes that are taken from the front.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn number(&mut self) -> Option<u64> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*number))
    }

    fn text(&mut self) -> Option<String> {
        let (length, rest) = self.0.split_first_chunk()?;
        let length = u32::from_le_bytes(*length) as usize;
        let (text, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).ok()
    }

    fn dropped(&mut self) -> Option<Dropped> {
        Some(Dropped {
            public: self.number()?,
            private: self.number()?,
            private_shared: self.number()?,
        })
    }

    fn head(&mut self) -> Option<Head> {
        let mut head = Head {
            epoch: self.number()?,
            first: self.number()?,
            through: self.number()?,
            losses: Losses {
                last: self.number()?,
                forgotten: self.dropped()?,
                channels: Vec::new(),
            },
        };
        for _ in 0..self.number()? {
            let topic = self.text()?;
            head.losses.channels.push((topic.into(), self.dropped()?));
        }
        Some(head)
    }

    fn group(&mut self, epoch: u64) -> Option<Vec<Arc<Event>>> {
        let mut events = Vec::new();
        while !self.0.is_empty() {
            events.push(Arc::new(self.event(epoch)?));
        }
        Some(events)
    }

    fn event(&mut self, epoch: u64) -> Option<Event> {
        let offset = self.number()?;
        let time_ms = self.number()?;
        let (&flags, rest) = self.0.split_first()?;
        self.0 = rest;
        let retry = Duration::from_millis(self.number()?);
        let mut topics = Vec::new();
        for _ in 0..self.number()? {
            topics.push(self.text()?);
        }
        let has = |flag: u8| flags & flag != 0;
        let publication = Publication {
            topics,
            kind: self.text()?,
            publisher_id: self.text().map(|id| has(PUBLISHER_ID).then_some(id))?,
            idempotency_key: self.text().map(|key| has(IDEMPOTENCY_KEY).then_some(key))?,
            data: self.text()?,
            retry: has(RETRY).then_some(retry),
            is_private: has(PRIVATE),
            time_ms,
        };
        (!publication.topics.is_empty()).then(|| Event::new(EventId { epoch, offset }, publication))
    }
}
