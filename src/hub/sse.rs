//! Server-Sent Events: a log as a browser's `EventSource` reads it (HTML, section 9.2).
//!
//! Framing only: a [`Feed`] turns what a hub tells into bytes, one whole block at a time. Knows
//! nothing of HTTP; a door asks for the next piece when it can send one.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, Sleep, sleep};

use super::{Event, EventId, Hub, Read, Reader};

/// How long a browser waits before it comes again, unless it was told otherwise at the end.
pub const RETRY: Duration = Duration::from_secs(1);
/// Silence after which a feed says where it is.
pub const HEARTBEAT: Duration = Duration::from_secs(15);
/// Soonest and latest that a reader comes again after the hub has closed.
const RETURN_MS: std::ops::Range<u64> = 100..900;
/// The kind of the event that tells of a gap.
pub const GAP: &str = "hub-gap";

/// What one reader is sent: everything after its cursor. One that waits costs about 200 bytes.
///
/// ```text
///   Opening ──retry:, id:──▶ Telling ──hub closed, or Feed::close──▶ Leaving ──retry:──▶ Gone
///                             │   ▲
///                             └───┘ an event, a gap, or a heartbeat
/// ```
#[derive(Debug)]
pub struct Feed {
    reader: Reader,
    at: EventId,
    state: State,
    /// Made when it is first needed, so that a feed can be made without a clock.
    heartbeat: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Opening,
    Telling,
    Leaving,
    Gone,
}

impl Feed {
    /// Returns what comes after a cursor; without one, what happens from now on.
    pub fn new(hub: Arc<Hub>, after: Option<EventId>) -> Self {
        let reader = Reader::new(hub);
        Self {
            at: after.unwrap_or_else(|| reader.cursor()),
            reader,
            state: State::Opening,
            heartbeat: None,
        }
    }

    /// Ends it without waiting: after what has happened so far, a last piece says when to come
    /// again.
    pub fn close(&mut self) {
        if self.state != State::Gone {
            self.state = State::Leaving;
        }
    }

    /// Returns the next piece: whole lines, and of an event all. `None`: it has ended.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let piece = match self.state {
            State::Opening => {
                self.state = State::Telling;
                // With its id a reader that is cut before the first event loses nothing.
                format!("retry: {}\nid: {}\n\n", RETRY.as_millis(), self.at)
            }
            State::Telling | State::Leaving => ready!(self.poll_tell(cx)),
            State::Gone => return Poll::Ready(None),
        };
        // The next heartbeat counts from here.
        let due = Instant::now() + HEARTBEAT;
        match &mut self.heartbeat {
            Some(heartbeat) => heartbeat.as_mut().reset(due),
            None => self.heartbeat = Some(Box::pin(sleep(HEARTBEAT))),
        }
        Poll::Ready(Some(piece.into()))
    }

    fn poll_tell(&mut self, cx: &mut Context<'_>) -> Poll<String> {
        match self.reader.poll_read(cx, self.at, 1) {
            Poll::Ready(None) => Poll::Ready(self.leave()),
            Poll::Pending if self.state == State::Leaving => Poll::Ready(self.leave()),
            Poll::Ready(Some(Read::Gap { oldest })) => {
                let block = gap(self.at, oldest);
                self.at = oldest;
                Poll::Ready(block)
            }
            Poll::Ready(Some(Read::Events(events))) => {
                let mut blocks = String::new();
                for event in events {
                    self.at = event.id;
                    write_event(&mut blocks, &event);
                }
                Poll::Ready(blocks)
            }
            Poll::Ready(Some(Read::Nothing)) | Poll::Pending => {
                let heartbeat = self
                    .heartbeat
                    .get_or_insert_with(|| Box::pin(sleep(HEARTBEAT)));
                ready!(heartbeat.as_mut().poll(cx));
                // Commits the id and dispatches nothing.
                Poll::Ready(format!("id: {}\n\n", self.at))
            }
        }
    }

    fn leave(&mut self) -> String {
        self.state = State::Gone;
        format!("retry: {}\n\n", self.return_ms())
    }

    /// When this reader comes again: all of them together come evenly spread, as multiples of the
    /// golden ratio are.
    fn return_ms(&self) -> u64 {
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        let fraction = self.reader.number().wrapping_mul(GOLDEN) >> 32;
        RETURN_MS.start + (((RETURN_MS.end - RETURN_MS.start) * fraction) >> 32)
    }
}

/// Returns the block that tells of a gap, by name: headers are hidden from an `EventSource`.
fn gap(requested: EventId, oldest: EventId) -> String {
    let reason = match requested {
        _ if requested.epoch != oldest.epoch => "epoch",
        _ if requested.offset < oldest.offset => "expired",
        _ => "unknown",
    };
    format!(
        "id: {oldest}\nevent: {GAP}\ndata: {{\"requested\":\"{requested}\",\
         \"resumed_after\":\"{oldest}\",\"reason\":\"{reason}\"}}\n\n"
    )
}

/// Writes an event as a block. Whatever its texts hold, they end no line and start no field; line
/// breaks of any kind in its data arrive as line feeds.
fn write_event(block: &mut String, event: &Event) {
    use std::fmt::Write as _;
    // Writing to a string cannot fail.
    let _ = writeln!(block, "id: {}", event.id);
    if !event.kind.is_empty() {
        block.push_str("event: ");
        block.extend(event.kind.chars().filter(|c| !c.is_control()));
        block.push('\n');
    }
    let data = event.data.replace("\r\n", "\n");
    for line in data.split(['\r', '\n']) {
        block.push_str("data: ");
        block.push_str(line);
        block.push('\n');
    }
    block.push('\n');
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Waker;

    use proptest::prelude::*;

    use super::*;
    use crate::hub::Limits;

    fn hub() -> Arc<Hub> {
        Arc::new(Hub::new(5, Limits::default()))
    }

    async fn next(feed: &mut Feed) -> Option<String> {
        let piece = poll_fn(|cx| feed.poll_next(cx)).await?;
        Some(String::from_utf8(piece.to_vec()).unwrap())
    }

    /// Takes what is there without waiting.
    fn take(feed: &mut Feed) -> String {
        let mut cx = Context::from_waker(Waker::noop());
        let mut taken = Vec::new();
        while let Poll::Ready(Some(piece)) = feed.poll_next(&mut cx) {
            taken.extend_from_slice(&piece);
        }
        String::from_utf8(taken).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_feed_tells_events_heartbeats_and_its_end() {
        let hub = hub();
        hub.publish("change", "before".to_owned());
        let mut feed = Feed::new(Arc::clone(&hub), None);
        hub.publish("change", "{}".to_owned());
        hub.publish("", "a\nb\r\nc\rd".to_owned());
        insta::assert_snapshot!(take(&mut feed), @r"
        retry: 1000
        id: 5.1

        id: 5.2
        event: change
        data: {}

        id: 5.3
        data: a
        data: b
        data: c
        data: d
        ");
        let silence = Instant::now();
        assert_eq!(next(&mut feed).await.as_deref(), Some("id: 5.3\n\n"));
        assert_eq!(silence.elapsed().as_secs(), HEARTBEAT.as_secs());
        assert_eq!(next(&mut feed).await.as_deref(), Some("id: 5.3\n\n"));
        assert_eq!(silence.elapsed().as_secs(), 2 * HEARTBEAT.as_secs());
        hub.close();
        let farewell = next(&mut feed).await.unwrap();
        assert!(farewell.starts_with("retry: ") && farewell.ends_with("\n\n"));
        assert_eq!(next(&mut feed).await, None);
        assert_eq!(next(&mut feed).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_fell_off_is_told_and_goes_on() {
        let hub = Arc::new(Hub::new(
            5,
            Limits {
                events_max: 1,
                ..Limits::default()
            },
        ));
        for data in ["a", "b", "c"] {
            hub.publish("said", data.to_owned());
        }
        let opening = |after: &str| take(&mut Feed::new(Arc::clone(&hub), after.parse().ok()));
        insta::assert_snapshot!(opening("5.1"), @r#"
        retry: 1000
        id: 5.1

        id: 5.2
        event: hub-gap
        data: {"requested":"5.1","resumed_after":"5.2","reason":"expired"}

        id: 5.3
        event: said
        data: c
        "#);
        assert!(opening("4.3").contains("\"reason\":\"epoch\""));
        assert!(opening("5.9").contains("\"reason\":\"unknown\""));
        assert!(!opening("5.2").contains(GAP));
    }

    #[tokio::test(start_paused = true)]
    async fn a_feed_that_is_closed_says_when_to_come_again() {
        let hub = hub();
        let mut times: Vec<u64> = (0..1000)
            .map(|_| {
                let mut feed = Feed::new(Arc::clone(&hub), None);
                feed.close();
                let farewell = take(&mut feed);
                farewell
                    .trim()
                    .strip_prefix("retry: ")
                    .unwrap()
                    .parse()
                    .unwrap()
            })
            .collect();
        times.sort_unstable();
        assert!(RETURN_MS.contains(&times[0]) && RETURN_MS.contains(&times[999]));
        // Evenly spread: no ten milliseconds see more than a few of a thousand.
        for window in times.windows(30) {
            assert!(window[29] - window[0] >= 10, "{window:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_is_ahead_of_the_clock_is_not_hurried() {
        let hub = hub();
        let mut feed = Feed::new(Arc::clone(&hub), None);
        take(&mut feed);
        tokio::time::advance(HEARTBEAT / 2).await;
        hub.publish("said", String::new());
        assert_eq!(take(&mut feed), "id: 5.1\nevent: said\ndata: \n\n");
        tokio::time::advance(HEARTBEAT / 2 + Duration::from_secs(1)).await;
        assert_eq!(take(&mut feed), "", "an event is a heartbeat");
    }

    #[test]
    fn an_idle_feed_is_small() {
        // Beside the feed: its timer, and its waker in the hub's table.
        let beside = size_of::<Sleep>() + 2 * (size_of::<u64>() + size_of::<Waker>());
        assert!(size_of::<Feed>() + beside <= 256);
    }

    /// Reads a stream as HTML, section 9.2.6 says; returns id, kind and data of what is dispatched.
    fn interpret(stream: &str) -> Vec<(String, String, String)> {
        let mut dispatched = Vec::new();
        let (mut id, mut kind, mut data) = (String::new(), String::new(), String::new());
        let stream = stream.replace("\r\n", "\n").replace('\r', "\n");
        for line in stream.lines() {
            if line.is_empty() {
                if let Some(data) = data.strip_suffix('\n') {
                    dispatched.push((id.clone(), std::mem::take(&mut kind), data.to_owned()));
                }
                (kind, data) = (String::new(), String::new());
                continue;
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "id" if !value.contains('\0') => value.clone_into(&mut id),
                "event" => value.clone_into(&mut kind),
                "data" => data = format!("{data}{value}\n"),
                _ => {}
            }
        }
        dispatched
    }

    proptest! {
        /// Nothing in a kind or in data can forge a field, an event or an id.
        #[test]
        fn a_browser_reads_what_was_published(
            kind in "[a-z\r\n\0: ]{0,8}",
            data in "[a-z:\r\n\0 \u{feff}\u{2028}é]{0,40}",
        ) {
            let place = EventId { epoch: 1, offset: 2 };
            let event = Event { id: place, kind: kind.clone(), data: data.clone() };
            let mut block = String::new();
            write_event(&mut block, &event);
            let kind: String = kind.chars().filter(|c| !c.is_control()).collect();
            // One space after the colon belongs to the framing, whatever comes after it is kept.
            let data = data.replace("\r\n", "\n").replace('\r', "\n");
            prop_assert_eq!(interpret(&block), [("1.2".to_owned(), kind, data)]);
        }
    }
}
