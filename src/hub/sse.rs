//! Server-Sent Events: a log as a browser's `EventSource` reads it (HTML, section 9.2).
//!
//! Framing only: blocks of text, each whole. When they are sent is up to [`Feed`].
//!
//! A block's `id:` is what the publisher called the event, if it did, else the place of it. Either
//! is accepted as a cursor. After a publisher's id comes another block that has nothing but the
//! place: a browser dispatches nothing for it, but comes again with it, so that an id which was
//! used twice, or is forgotten, repeats and loses nothing.

use std::time::Duration;

use bytes::Bytes;

pub use super::feed::{Feed, HEARTBEAT};
use super::{Event, EventId, Gap, poll};

/// How long a browser waits before it comes again, unless it was told otherwise at the end.
pub const RETRY: Duration = Duration::from_secs(1);
/// The kind of the event that tells of a gap.
pub const GAP: &str = "hub-gap";

/// Returns an event as a block, made once for all readers.
pub fn block(event: &Event) -> &Bytes {
    event.frames.sse.get_or_init(|| {
        let mut block = String::with_capacity(event.data.len() + event.kind.len() + 64);
        write_event(&mut block, event);
        block.into()
    })
}

/// Returns how a stream begins: with its id a reader that is cut before the first event loses
/// nothing.
pub(super) fn opening(cursor: EventId) -> Bytes {
    let retry = RETRY.as_millis();
    if cursor == EventId::UNKNOWN {
        return format!("retry: {retry}\n\n").into();
    }
    format!("retry: {retry}\nid: {cursor}\n\n").into()
}

/// Returns a block that commits an id and dispatches nothing.
pub(super) fn heartbeat(cursor: EventId) -> Bytes {
    format!("id: {cursor}\n\n").into()
}

/// Returns how a stream ends: when to come again, and where it was. What was passed over on the way
/// there is not looked at again.
pub(super) fn farewell(cursor: EventId, return_ms: u64) -> Bytes {
    if cursor == EventId::UNKNOWN {
        return format!("retry: {return_ms}\n\n").into();
    }
    format!("id: {cursor}\nretry: {return_ms}\n\n").into()
}

/// Returns the block that tells of a gap, by name: headers are hidden from an `EventSource`.
pub(super) fn gap(gap: &Gap) -> Bytes {
    let id = gap.resumed_after;
    let data = poll::gap_object(gap);
    format!("id: {id}\nevent: {GAP}\ndata: {data}\n\n").into()
}

/// Writes an event as a block. Whatever its texts hold, they end no line and start no field; line
/// breaks of any kind in its data arrive as line feeds.
fn write_event(block: &mut String, event: &Event) {
    use std::fmt::Write as _;
    let printable = |text: &str| -> String { text.chars().filter(|c| !c.is_control()).collect() };
    // Writing to a string cannot fail.
    let _ = match &event.publisher_id {
        Some(id) => writeln!(block, "id: {}", printable(id)),
        None => writeln!(block, "id: {}", event.id),
    };
    if !event.kind.is_empty() {
        let _ = writeln!(block, "event: {}", printable(&event.kind));
    }
    if let Some(retry) = event.retry {
        let _ = writeln!(block, "retry: {}", retry.as_millis());
    }
    let mut rest = &*event.data;
    while let Some(end) = rest.find(['\r', '\n']) {
        let _ = writeln!(block, "data: {}", &rest[..end]);
        let breaks = if rest[end..].starts_with("\r\n") {
            2
        } else {
            1
        };
        rest = &rest[end + breaks..];
    }
    let _ = writeln!(block, "data: {rest}\n");
    if event.publisher_id.is_some() {
        let _ = writeln!(block, "id: {}\n", event.id);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    use proptest::prelude::*;
    use tokio::time::{Instant, Sleep};

    use super::*;
    use crate::hub::feed::RETURN_MS;
    use crate::hub::{After, Hub, Limits, Publication, Reader, Slow, Topics};

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
        assert!(farewell.starts_with("id: 5.3\nretry: ") && farewell.ends_with("\n\n"));
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
                let retry = farewell.trim_end().lines().last().unwrap();
                retry.strip_prefix("retry: ").unwrap().parse().unwrap()
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

    #[tokio::test(start_paused = true)]
    async fn a_publishers_id_is_shown_and_the_place_is_what_a_browser_comes_again_with() {
        let hub = hub();
        let mut feed = Feed::new(Arc::clone(&hub), None);
        take(&mut feed);
        for data in ["1", "2"] {
            hub.add(Publication {
                publisher_id: Some("urn:x".to_owned()),
                retry: Some(Duration::from_secs(5)),
                ..Publication::new("a", data.to_owned())
            });
        }
        let blocks = take(&mut feed);
        insta::assert_snapshot!(blocks, @r"
        id: urn:x
        retry: 5000
        data: 1

        id: 5.1

        id: urn:x
        retry: 5000
        data: 2

        id: 5.2
        ");
        let shown: Vec<_> = interpret(&blocks).into_iter().map(|(id, ..)| id).collect();
        assert_eq!(shown, ["urn:x", "urn:x"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_block_is_made_once_for_all_readers() {
        let hub = hub();
        let mut feeds = [(); 2].map(|()| Feed::new(Arc::clone(&hub), None));
        let mut cx = Context::from_waker(Waker::noop());
        let mut pieces = Vec::new();
        for feed in &mut feeds {
            take(feed);
        }
        hub.publish("said", "hello".to_owned());
        for feed in &mut feeds {
            let Poll::Ready(Some(piece)) = feed.poll_next(&mut cx) else {
                panic!("nothing");
            };
            pieces.push(piece.as_ptr());
        }
        assert_eq!(pieces[0], pieces[1]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_gathered_comes_in_pieces_of_bounded_size() {
        let hub = hub();
        let mut feed = Feed::new(Arc::clone(&hub), None);
        take(&mut feed);
        for _ in 0..1000 {
            hub.publish("said", "x".repeat(500));
        }
        let mut cx = Context::from_waker(Waker::noop());
        let mut pieces = Vec::new();
        while let Poll::Ready(Some(piece)) = feed.poll_next(&mut cx) {
            pieces.push(piece.len());
        }
        assert!((20..40).contains(&pieces.len()), "{pieces:?}");
        assert!(pieces.iter().all(|&bytes| bytes < 20_000), "{pieces:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_may_not_be_slow_is_sent_away() {
        let hub = hub();
        let topics = Arc::new(Topics::named(["a"]));
        let start = After::Id(hub.cursor());
        for _ in 0..9 {
            hub.add(Publication::new("a", String::new()));
        }
        let slow = Slow::Close { behind_max: 3 };
        let reader = Reader::new(Arc::clone(&hub), topics, start);
        let mut feed = Feed::of(reader.when_slow(slow), crate::hub::feed::Way::EventStream);
        let caught_up = take(&mut feed);
        assert_eq!(
            caught_up.matches("data:").count(),
            9,
            "what was there before is no delay"
        );
        for _ in 0..3 {
            hub.add(Publication::new("a", String::new()));
        }
        assert_eq!(take(&mut feed).matches("data:").count(), 3);
        for _ in 0..4 {
            hub.add(Publication::new("a", String::new()));
        }
        let farewell = take(&mut feed);
        assert!(farewell.starts_with("id: 5.12\nretry: "), "{farewell}");
        assert_eq!(next(&mut feed).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_slow_reader_is_not_told_is_counted_before_the_rest() {
        let hub = hub();
        let topics = Arc::new(Topics::all());
        let reader = Reader::new(Arc::clone(&hub), topics, After::Now).when_slow(Slow::Latest);
        let mut feed = Feed::of(reader, crate::hub::feed::Way::EventStream);
        take(&mut feed);
        for (topic, data) in [("a", "1"), ("a", "2"), ("b", "3"), ("a", "4")] {
            hub.add(Publication::new(topic, data.to_owned()));
        }
        insta::assert_snapshot!(take(&mut feed), @r#"
        id: 5.2
        event: hub-gap
        data: {"requested":"5.0","resumed_after":"5.2","reason":"latest","passed_over":2}

        id: 5.3
        data: 3

        id: 5.4
        data: 4
        "#);
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
            let publication = Publication {
                kind: kind.clone(),
                ..Publication::new("said", data.clone())
            };
            let event = Event::new(place, publication);
            let block = std::str::from_utf8(block(&event)).unwrap();
            let kind: String = kind.chars().filter(|c| !c.is_control()).collect();
            // One space after the colon belongs to the framing, whatever comes after it is kept.
            let data = data.replace("\r\n", "\n").replace('\r', "\n");
            prop_assert_eq!(interpret(block), [("1.2".to_owned(), kind, data)]);
        }
    }
}
