//! Polls, long polls and lines: events as JSON, in the shape that ntfy's clients read.
//!
//! Framing only; how long to wait and what a status says is decided above. One answer is gathered
//! by [`gather`] or awaited by [`wait`]; a stream of lines is a [`super::feed::Feed`].

use std::future::poll_fn;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use serde::Serialize;
use serde::ser::SerializeStruct;
use tokio::time::timeout;

use super::{Event, EventId, Gap, GapReason, PageMax, Read, Reader, sse};

/// What one poll answers at most: the rest is polled for.
pub const ANSWER_MAX: PageMax = PageMax {
    events: 1000,
    bytes: 1 << 20,
};

/// What a reader finds in one go.
#[derive(Debug, Clone)]
pub struct Gathered {
    /// The cursor to go on from.
    pub cursor: EventId,
    /// What is missing before the events.
    pub gap: Option<Gap>,
    /// In order.
    pub events: Vec<Arc<Event>>,
    /// Whether more is there already.
    pub has_more: bool,
}

impl Gathered {
    /// Returns whether nothing has happened: neither events nor a gap.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.gap.is_none()
    }

    /// Returns one JSON object: `{"cursor":"7.3","events":[..],"gap":{..},"more":true}`, the last
    /// two where they apply.
    pub fn object(&self) -> Bytes {
        let mut object =
            BytesMut::from(format!("{{\"cursor\":\"{}\",\"events\":[", self.cursor).as_str());
        for (index, event) in self.events.iter().enumerate() {
            if index > 0 {
                object.extend_from_slice(b",");
            }
            object.extend_from_slice(json(event));
        }
        object.extend_from_slice(b"]");
        if let Some(gap) = &self.gap {
            object.extend_from_slice(format!(",\"gap\":{}", gap_object(gap)).as_bytes());
        }
        if self.has_more {
            object.extend_from_slice(b",\"more\":true");
        }
        object.extend_from_slice(b"}\n");
        object.freeze()
    }

    /// Returns JSON objects, a line each: the gap, then the events.
    pub fn lines(&self) -> Bytes {
        let mut lines = BytesMut::new();
        if let Some(gap) = &self.gap {
            lines.extend_from_slice(&gap_line(gap));
        }
        for event in &self.events {
            lines.extend_from_slice(json(event));
            lines.extend_from_slice(b"\n");
        }
        lines.freeze()
    }

    /// Returns what the events say, a line each.
    pub fn raw(&self) -> Bytes {
        let lines: String = self.events.iter().map(|event| raw_line(event)).collect();
        lines.into()
    }

    /// Returns the blocks of an event stream that ends.
    pub fn blocks(&self) -> Bytes {
        let mut blocks = BytesMut::new();
        if let Some(gap) = &self.gap {
            blocks.extend_from_slice(&sse::gap(gap));
        }
        for event in &self.events {
            blocks.extend_from_slice(sse::block(event));
        }
        blocks.freeze()
    }
}

/// Returns what a reader finds without waiting for more to happen.
pub async fn gather(reader: &mut Reader, max: PageMax) -> Gathered {
    let read = now(reader, max).await;
    complete(reader, max, read).await
}

/// Returns what a reader finds, as soon as there is something; nothing after `wait_max`, or if the
/// hub closes before.
pub async fn wait(reader: &mut Reader, max: PageMax, wait_max: Duration) -> Gathered {
    let read = match timeout(wait_max, reader.read(max)).await {
        Ok(Some(read)) => read,
        Ok(None) | Err(_) => Read::Nothing,
    };
    complete(reader, max, read).await
}

async fn now(reader: &mut Reader, max: PageMax) -> Read {
    poll_fn(|cx| reader.poll_now(cx, None, max)).await
}

async fn complete(reader: &mut Reader, max: PageMax, first: Read) -> Gathered {
    let (gap, mut read) = match first {
        Read::Gap(gap) => (Some(gap), now(reader, max).await),
        read => (None, read),
    };
    let mut events = Vec::new();
    let mut bytes = 0;
    // A page may end early; an answer goes on while there is room.
    while let Read::Events(page) = read {
        bytes += page.iter().map(|event| event.data.len()).sum::<usize>();
        events.extend(page);
        if events.len() >= max.events || bytes >= max.bytes {
            break;
        }
        let left = PageMax {
            events: max.events - events.len(),
            bytes: max.bytes - bytes,
        };
        read = now(reader, left).await;
    }
    Gathered {
        cursor: reader.cursor(),
        gap,
        events,
        has_more: reader.has_more(),
    }
}

/// Returns an event as a JSON object, made once for all readers. Of its topics it names the
/// canonical one.
pub fn json(event: &Event) -> &Bytes {
    event.frames.json.get_or_init(|| {
        // Texts and numbers: they can always be written.
        serde_json::to_vec(&Json(event)).unwrap_or_default().into()
    })
}

struct Json<'a>(&'a Event);

impl Serialize for Json<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let event = self.0;
        let mut object = serializer.serialize_struct("Event", 8)?;
        object.serialize_field("id", &event.shown_id())?;
        object.serialize_field("time", &(event.time_ms / 1000))?;
        object.serialize_field("event", "message")?;
        object.serialize_field("topic", &*event.topics[0])?;
        object.serialize_field("message", &event.data)?;
        object.serialize_field("cursor", &event.id.to_string())?;
        if !event.kind.is_empty() {
            object.serialize_field("type", &event.kind)?;
        }
        if event.is_private {
            object.serialize_field("private", &true)?;
        }
        object.end()
    }
}

/// Returns what an event says in one line: line breaks become spaces.
pub(super) fn raw_line(event: &Event) -> String {
    let mut line = event.data.replace("\r\n", " ").replace(['\r', '\n'], " ");
    line.push('\n');
    line
}

pub(super) fn gap_object(gap: &Gap) -> String {
    let passed_over = match gap.reason {
        GapReason::Latest { events } => format!(",\"passed_over\":{events}"),
        _ => String::new(),
    };
    format!(
        "{{\"requested\":{},\"resumed_after\":\"{}\",\"reason\":\"{}\"{passed_over}}}",
        requested(gap),
        gap.resumed_after,
        gap.reason.as_str()
    )
}

/// Returns the cursor that was asked for as JSON; `null` if it was none.
fn requested(gap: &Gap) -> String {
    if gap.requested == EventId::UNKNOWN {
        "null".to_owned()
    } else {
        format!("\"{}\"", gap.requested)
    }
}

pub(super) fn gap_line(gap: &Gap) -> Bytes {
    let Gap { resumed_after, .. } = gap;
    let line = format!(
        "{{\"event\":\"{}\",\"cursor\":\"{resumed_after}\",\"gap\":{}}}\n",
        sse::GAP,
        gap_object(gap)
    );
    line.into()
}

/// Returns a line that is no event but says that the stream stands, and where.
pub(super) fn stream_line(event: &str, now: SystemTime, cursor: EventId) -> Bytes {
    let seconds = (now.duration_since(SystemTime::UNIX_EPOCH)).map_or(0, |since| since.as_secs());
    let cursor = match cursor {
        EventId::UNKNOWN => "null".to_owned(),
        cursor => format!("\"{cursor}\""),
    };
    format!("{{\"event\":\"{event}\",\"time\":{seconds},\"cursor\":{cursor}}}\n").into()
}

pub(super) fn farewell(cursor: EventId, return_ms: u64) -> Bytes {
    format!("{{\"event\":\"close\",\"cursor\":\"{cursor}\",\"retry\":{return_ms}}}\n").into()
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::hub::feed::{Feed, Way};
    use crate::hub::{After, Hub, Limits, Publication, Topics};

    fn hub() -> Arc<Hub> {
        let hub = Arc::new(Hub::new(5, Limits::default()));
        hub.add(Publication {
            time_ms: 1_700_000_000_123,
            kind: "price".to_owned(),
            publisher_id: Some("urn:x".to_owned()),
            ..Publication::new("a", "one \"1\"\r\n\0".to_owned())
        });
        hub.add(Publication::new("b", "two".to_owned()));
        hub.add(Publication::new("a", "three".to_owned()));
        hub
    }

    fn reader(hub: &Arc<Hub>, after: After) -> Reader {
        Reader::new(Arc::clone(hub), Arc::new(Topics::named(["a"])), after)
    }

    fn text(bytes: &Bytes) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[tokio::test]
    async fn what_is_gathered_is_told_in_four_shapes() {
        let gathered = gather(&mut reader(&hub(), After::Earliest), ANSWER_MAX).await;
        assert_eq!(gathered.cursor.to_string(), "5.3");
        assert!(!gathered.has_more && gathered.gap.is_none());
        let lines = gathered.lines();
        let lines: Vec<_> = text(&lines).lines().collect();
        let first = concat!(
            r#"{"id":"urn:x","time":1700000000,"event":"message","topic":"a","#,
            r#""message":"one \"1\"\r\n\u0000","cursor":"5.1","type":"price"}"#,
        );
        let last = concat!(
            r#"{"id":"5.3","time":0,"event":"message","topic":"a","#,
            r#""message":"three","cursor":"5.3"}"#,
        );
        assert_eq!(lines, [first, last]);
        assert_eq!(text(&gathered.raw()), "one \"1\" \0\nthree\n");
        assert!(text(&gathered.blocks()).ends_with("id: 5.3\ndata: three\n\n"));
        let object: serde_json::Value = serde_json::from_slice(&gathered.object()).unwrap();
        assert_eq!(object["cursor"], "5.3");
        assert_eq!(object["events"][1]["message"], "three");
        assert_eq!(object.as_object().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_gap_and_a_rest_are_said() {
        let hub = hub();
        let page = PageMax {
            events: 1,
            bytes: 9,
        };
        let gathered = gather(&mut reader(&hub, hub.after("4.2")), page).await;
        let object: serde_json::Value = serde_json::from_slice(&gathered.object()).unwrap();
        assert_eq!(object["cursor"], "5.1");
        assert_eq!(object["events"].as_array().unwrap().len(), 1);
        let gap = serde_json::json!({
            "requested": "4.2", "resumed_after": "5.0", "reason": "epoch",
        });
        assert_eq!(object["gap"], gap);
        assert_eq!(object["more"], true);
        let unknown = gather(&mut reader(&hub, hub.after("urn:nobody")), page).await;
        let lines = unknown.lines();
        insta::assert_snapshot!(text(&lines).lines().next().unwrap().replace(',', ",\n"), @r#"
        {"event":"hub-gap",
        "cursor":"5.0",
        "gap":{"requested":null,
        "resumed_after":"5.0",
        "reason":"unknown"}}
        "#);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_poll_is_answered_by_an_event_its_end_or_the_hubs() {
        let hub = hub();
        let wait_max = Duration::from_secs(30);
        let mut reader = reader(&hub, After::Now);
        let start = Instant::now();
        let nothing = wait(&mut reader, ANSWER_MAX, wait_max).await;
        assert!(nothing.is_empty() && start.elapsed() == wait_max);
        assert_eq!(nothing.cursor.to_string(), "5.3");
        let (found, ()) = tokio::join!(wait(&mut reader, ANSWER_MAX, wait_max), async {
            hub.add(Publication::new("b", "not this".to_owned()));
            tokio::time::advance(Duration::from_secs(1)).await;
            hub.add(Publication::new("a", "this".to_owned()));
        });
        assert_eq!(&*found.events[0].data, "this");
        assert_eq!(found.cursor.to_string(), "5.5");
        let (ended, ()) = tokio::join!(wait(&mut reader, ANSWER_MAX, wait_max), async {
            hub.close();
        });
        assert!(ended.is_empty());
        assert!(start.elapsed() < 2 * wait_max);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_of_lines_says_where_it_is() {
        let hub = hub();
        let now = || SystemTime::UNIX_EPOCH + Duration::from_secs(7);
        let mut feed = Feed::of(reader(&hub, After::Latest), Way::Lines(now));
        let mut told = String::new();
        for _ in 0..3 {
            let piece = poll_fn(|cx| feed.poll_next(cx)).await.unwrap();
            told.push_str(text(&piece));
        }
        insta::assert_snapshot!(told, @r#"
        {"event":"open","time":7,"cursor":"5.2"}
        {"id":"5.3","time":0,"event":"message","topic":"a","message":"three","cursor":"5.3"}
        {"event":"keepalive","time":7,"cursor":"5.3"}
        "#);
        feed.close();
        let piece = poll_fn(|cx| feed.poll_next(cx)).await.unwrap();
        assert!(text(&piece).starts_with("{\"event\":\"close\",\"cursor\":\"5.3\",\"retry\":"));
        assert!(poll_fn(|cx| feed.poll_next(cx)).await.is_none());

        let mut feed = Feed::of(reader(&hub, After::Earliest), Way::Lines(now));
        feed.cut();
        let piece = poll_fn(|cx| feed.poll_next(cx)).await.unwrap();
        assert!(
            text(&piece).contains("\"close\""),
            "nothing that is kept is told"
        );
        assert!(poll_fn(|cx| feed.poll_next(cx)).await.is_none());

        let mut feed = Feed::of(reader(&hub, After::Earliest), Way::Raw);
        let piece = poll_fn(|cx| feed.poll_next(cx)).await.unwrap();
        assert_eq!(text(&piece), "one \"1\" \0\nthree\n");
        assert_eq!(poll_fn(|cx| feed.poll_next(cx)).await.unwrap(), "\n");
    }
}
