//! What is said in a conversation: one JSON object a message, in both directions.
//!
//! Pure. Events are in the words of `hub::poll`, which polls and lines share.

use std::time::SystemTime;

use http::StatusCode;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::answer::channels::subscribe::SELECTORS_MAX;
use crate::answer::channels::{Publication, Refusal};
use crate::hub::{EventId, Gap, GapReason};
use crate::web_socket::Frame;

/// Bytes of a `ref`, as JSON.
pub const REFERENCE_BYTES_MAX: usize = 128;

/// What a peer gives a request, to know the answer by.
pub(super) type Reference = Value;

/// What a peer asks for.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) wish: Wish,
    pub(super) reference: Option<Reference>,
}

#[derive(Debug)]
pub(super) enum Wish {
    Subscribe {
        topics: Vec<String>,
        after: Option<String>,
    },
    Unsubscribe {
        topics: Vec<String>,
    },
    Publish(Box<Publication>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    subscribe: Option<Topics>,
    unsubscribe: Option<Topics>,
    publish: Option<Topics>,
    after: Option<String>,
    data: Option<Value>,
    r#type: Option<Value>,
    id: Option<Value>,
    retry: Option<Value>,
    key: Option<Value>,
    private: Option<Value>,
    r#ref: Option<Reference>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Topics {
    One(String),
    More(Vec<String>),
}

impl Topics {
    fn list(self) -> Vec<String> {
        match self {
            Self::One(one) => vec![one],
            Self::More(more) => more,
        }
    }
}

/// Reads what a peer says.
///
/// # Errors
/// What is wrong, and what would be right.
pub(super) fn read(text: &str) -> Result<Request, String> {
    const FIX: &str = "say {\"subscribe\":\"NAME\"}, {\"unsubscribe\":\"NAME\"} or \
                       {\"publish\":\"NAME\",\"data\":\"...\"}";
    let object: Object = serde_json::from_str(text).map_err(|error| {
        let why: String = error.to_string().escape_debug().take(200).collect();
        format!("this is not understood ({why}): {FIX}")
    })?;
    let reference = object.r#ref;
    let is_short = |reference: &Value| reference.to_string().len() <= REFERENCE_BYTES_MAX;
    if !reference.as_ref().is_none_or(is_short) {
        return Err(format!("a `ref` has at most {REFERENCE_BYTES_MAX} bytes"));
    }
    let members = [
        ("data", object.data),
        ("type", object.r#type),
        ("id", object.id),
        ("retry", object.retry),
        ("idempotency_key", object.key),
        ("private", object.private),
    ];
    let mut event = Map::new();
    event.extend((members.into_iter()).filter_map(|(name, value)| Some((name.to_owned(), value?))));
    let is_bare = event.is_empty();
    let wish = match (object.subscribe, object.unsubscribe, object.publish) {
        (Some(topics), None, None) if is_bare => Wish::Subscribe {
            topics: topics.list(),
            after: object.after,
        },
        (None, Some(topics), None) if is_bare && object.after.is_none() => Wish::Unsubscribe {
            topics: topics.list(),
        },
        (None, None, Some(topics)) if object.after.is_none() => {
            event.insert("topics".to_owned(), topics.list().into());
            let read = Publication::from_json(&Value::Object(event).to_string());
            Wish::Publish(Box::new(read.map_err(|refusal| refusal.text.into_owned())?))
        }
        _ => return Err(format!("this is more than one thing, or none: {FIX}")),
    };
    match &wish {
        Wish::Subscribe { topics, .. } | Wish::Unsubscribe { topics } if topics.is_empty() => {
            Err(format!("name a channel: {FIX}"))
        }
        _ => Ok(Request { wish, reference }),
    }
}

pub(super) fn open(now: SystemTime, cursor: EventId) -> Frame {
    let seconds = now.duration_since(SystemTime::UNIX_EPOCH);
    let seconds = seconds.unwrap_or_default().as_secs();
    frame(
        json!({"event": "open", "time": seconds, "cursor": place(cursor)}),
        None,
    )
}

pub(super) fn gap(gap: &Gap) -> Frame {
    let mut told = json!({
        "requested": place(gap.requested),
        "resumed_after": place(gap.resumed_after),
        "reason": gap.reason.as_str(),
    });
    if let GapReason::Latest { events } = gap.reason {
        told["passed_over"] = events.into();
    }
    let cursor = place(gap.resumed_after);
    frame(
        json!({"event": "hub-gap", "cursor": cursor, "gap": told}),
        None,
    )
}

pub(super) fn close(cursor: EventId, return_ms: u64) -> Frame {
    frame(
        json!({"event": "close", "cursor": place(cursor), "retry": return_ms}),
        None,
    )
}

pub(super) fn subscribed(topic: &str, cursor: EventId, reference: Option<&Reference>) -> Frame {
    let cursor = place(cursor);
    frame(
        json!({"event": "subscribed", "topic": topic, "cursor": cursor}),
        reference,
    )
}

pub(super) fn unsubscribed(topic: &str, reference: Option<&Reference>) -> Frame {
    frame(json!({"event": "unsubscribed", "topic": topic}), reference)
}

/// `shown` is the id that the publisher gave the event, if it did.
pub(super) fn published(
    shown: Option<&str>,
    cursor: EventId,
    reference: Option<&Reference>,
) -> Frame {
    let cursor = cursor.to_string();
    let id = shown.unwrap_or(&cursor);
    frame(
        json!({"event": "published", "id": id, "cursor": cursor}),
        reference,
    )
}

pub(super) fn error(text: &str, reference: Option<&Reference>) -> Frame {
    frame(json!({"event": "error", "error": text}), reference)
}

pub(super) fn too_many() -> Refusal {
    Refusal {
        status: StatusCode::BAD_REQUEST,
        text: format!("at most {SELECTORS_MAX} channels are taken at once: say it in parts").into(),
        challenge: None,
        field: None,
    }
}

pub(super) fn not_heard(name: &str) -> Refusal {
    let name: String = name.chars().take(80).collect();
    Refusal {
        status: StatusCode::BAD_REQUEST,
        text: format!(
            "`{}` is not heard here: subscribe first",
            name.escape_debug()
        )
        .into(),
        challenge: None,
        field: None,
    }
}

fn frame(mut object: Value, reference: Option<&Reference>) -> Frame {
    if let (Some(object), Some(reference)) = (object.as_object_mut(), reference) {
        object.insert("ref".to_owned(), reference.clone());
    }
    Frame::text(&object.to_string())
}

/// A cursor as JSON; `null` if it is none.
fn place(cursor: EventId) -> Value {
    if cursor == EventId::UNKNOWN {
        Value::Null
    } else {
        cursor.to_string().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_one_thing() {
        for text in [
            r#"{"subscribe":"a"}"#,
            r#"{"subscribe":["a","b"],"after":"7.3","ref":1}"#,
            r#"{"unsubscribe":"a","ref":{"n":1}}"#,
            r#"{"publish":"a","data":"x","type":"t","id":"i","key":"k","private":true}"#,
            r#"{"publish":["a","b"],"data":{"x":1}}"#,
        ] {
            read(text).unwrap();
        }
        let long = format!(r#"{{"subscribe":"a","ref":"{}"}}"#, "x".repeat(200));
        for text in [
            "",
            "{}",
            "[]",
            "{\"subscribe\":1}",
            r#"{"subscribe":[]}"#,
            r#"{"subscribe":"a","unsubscribe":"b"}"#,
            r#"{"subscribe":"a","data":"x"}"#,
            r#"{"publish":"a","after":"7.3"}"#,
            r#"{"publish":"a","data":"x","id":"7.3"}"#,
            r#"{"publish":"*","data":"x"}"#,
            r#"{"hello":"a"}"#,
            &long,
        ] {
            read(text).unwrap_err();
        }
    }
}
