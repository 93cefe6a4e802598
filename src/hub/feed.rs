//! A reader's stream: pieces of text that go on as long as the reader stays.
//!
//! One machine for every way that tells and does not listen; [`Way`] says in which words. Knows
//! nothing of HTTP: a door asks for the next piece when it can send one, so a reader that does not
//! read costs a place in the log and the piece it holds. Read on in [`super::sse`].

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use tokio::time::{Instant, Sleep, sleep};

use super::{After, Event, EventId, Gap, Hub, PageMax, Read, Reader, poll, sse};

/// Silence after which a feed says where it is.
pub const HEARTBEAT: Duration = Duration::from_secs(15);
/// Soonest and latest that a reader comes again after the hub has closed.
pub(super) const RETURN_MS: std::ops::Range<u64> = 100..900;
/// What is sent in one piece of that which has gathered.
const PIECE_MAX: PageMax = PageMax {
    events: 64,
    bytes: 16 * 1024,
};

/// In which words events are told.
#[derive(Debug, Clone, Copy)]
pub enum Way {
    /// Server-Sent Events.
    EventStream,
    /// JSON objects, a line each. With the wall clock, for lines that are no event.
    Lines(fn() -> SystemTime),
    /// What events say, a line each, and nothing else.
    Raw,
}

/// What one reader is sent: everything after its cursor. One that waits costs about 250 bytes, with
/// its timer and its place in the hub's table, and its topics if it shares them with no other.
///
/// ```text
///   Opening ──retry:, id:──▶ Telling ──hub closed, or Feed::close──▶ Leaving ──retry:──▶ Gone
///                             │   ▲    or too slow
///                             └───┘ events, a gap, or a heartbeat; Feed::cut: retry: at once
/// ```
#[derive(Debug)]
pub struct Feed {
    reader: Reader,
    way: Way,
    state: State,
    /// Made when it is first needed, so that a feed can be made without a clock.
    heartbeat: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Opening,
    Telling,
    Leaving,
    Cut,
    Gone,
}

impl Feed {
    /// Returns an event stream of all that comes after a cursor; without one, what happens from now
    /// on.
    pub fn new(hub: Arc<Hub>, after: Option<EventId>) -> Self {
        let everything = Arc::clone(&hub.everything);
        let after = after.map_or(After::Now, After::Id);
        Self::of(Reader::new(hub, everything, after), Way::EventStream)
    }

    /// Returns what a reader reads.
    pub fn of(reader: Reader, way: Way) -> Self {
        Self {
            reader,
            way,
            state: State::Opening,
            heartbeat: None,
        }
    }

    /// Where it is: what was told so far, or passed over.
    pub fn cursor(&self) -> EventId {
        self.reader.cursor()
    }

    /// Ends it without waiting: after what has happened so far, a last piece says when to come
    /// again.
    pub fn close(&mut self) {
        if !matches!(self.state, State::Cut | State::Gone) {
            self.state = State::Leaving;
        }
    }

    /// Ends it at once, whatever has happened: the reader may hear no more.
    pub fn cut(&mut self) {
        if self.state != State::Gone {
            self.state = State::Cut;
        }
    }

    /// Returns the next piece: whole lines, and of an event all. `None`: it has ended.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let piece = loop {
            let piece = match self.state {
                State::Opening => {
                    self.state = State::Telling;
                    self.opening()
                }
                State::Telling | State::Leaving => ready!(self.poll_tell(cx)),
                State::Cut => self.leave(),
                State::Gone => return Poll::Ready(None),
            };
            if !piece.is_empty() {
                break piece;
            }
        };
        // The next heartbeat counts from here.
        let due = Instant::now() + HEARTBEAT;
        match &mut self.heartbeat {
            Some(heartbeat) => heartbeat.as_mut().reset(due),
            None => self.heartbeat = Some(Box::pin(sleep(HEARTBEAT))),
        }
        Poll::Ready(Some(piece))
    }

    fn poll_tell(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        match self.reader.poll_read(cx, PIECE_MAX) {
            Poll::Ready(None | Some(Read::TooSlow)) => Poll::Ready(self.leave()),
            // What is only looked through in parts is gone through first.
            Poll::Pending if self.state == State::Leaving && !self.reader.has_more() => {
                Poll::Ready(self.leave())
            }
            Poll::Ready(Some(Read::Gap(gap))) => Poll::Ready(self.gap(&gap)),
            Poll::Ready(Some(Read::Events(events))) => {
                let piece = self.piece(&events);
                Poll::Ready(match self.reader.passed_over(&events) {
                    None => piece,
                    Some(passed) => [self.gap(&passed), piece].concat().into(),
                })
            }
            Poll::Ready(Some(Read::Nothing)) | Poll::Pending => {
                let heartbeat = self
                    .heartbeat
                    .get_or_insert_with(|| Box::pin(sleep(HEARTBEAT)));
                ready!(heartbeat.as_mut().poll(cx));
                Poll::Ready(self.heartbeat())
            }
        }
    }

    fn gap(&self, gap: &Gap) -> Bytes {
        match self.way {
            Way::EventStream => sse::gap(gap),
            Way::Lines(_) => poll::gap_line(gap),
            Way::Raw => Bytes::new(),
        }
    }

    /// Returns events in one piece: a single one, as live ones come, is shared with all readers.
    fn piece(&self, events: &[Arc<Event>]) -> Bytes {
        if let ([event], Way::EventStream) = (events, self.way) {
            return sse::block(event).clone();
        }
        let mut piece = BytesMut::new();
        for event in events {
            match self.way {
                Way::EventStream => piece.extend_from_slice(sse::block(event)),
                Way::Lines(_) => {
                    piece.extend_from_slice(poll::json(event));
                    piece.extend_from_slice(b"\n");
                }
                Way::Raw => piece.extend_from_slice(poll::raw_line(event).as_bytes()),
            }
        }
        piece.freeze()
    }

    fn opening(&self) -> Bytes {
        match self.way {
            Way::EventStream => sse::opening(self.cursor()),
            Way::Lines(now) => poll::stream_line("open", now(), self.cursor()),
            Way::Raw => Bytes::new(),
        }
    }

    fn heartbeat(&self) -> Bytes {
        match self.way {
            Way::EventStream => sse::heartbeat(self.cursor()),
            Way::Lines(now) => poll::stream_line("keepalive", now(), self.cursor()),
            Way::Raw => Bytes::from_static(b"\n"),
        }
    }

    fn leave(&mut self) -> Bytes {
        self.state = State::Gone;
        match self.way {
            Way::EventStream => sse::farewell(self.cursor(), self.return_ms()),
            Way::Lines(_) => poll::farewell(self.cursor(), self.return_ms()),
            Way::Raw => Bytes::new(),
        }
    }

    /// When this reader comes again: all of them together come evenly spread, as multiples of the
    /// golden ratio are.
    fn return_ms(&self) -> u64 {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        let fraction = self.reader.number().wrapping_mul(GOLDEN) >> 32;
        RETURN_MS.start + (((RETURN_MS.end - RETURN_MS.start) * fraction) >> 32)
    }
}
