//! Who hears what: Mercure's active subscriptions, as documents to ask for and as events.
//!
//! Draft-07 has JSON-LD and topics, draft-08 plain JSON and matchers; what one of them has no word
//! for is left out of its documents. Both are private: whoever asks needs a token that allows the
//! very path.

use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::super::{Answer, Body, Moment, plain};
use super::Dialect;
use super::grant::Grant;
use super::publish::Publication;
use super::refusal::Refusal;
use super::selector::Selector;
use super::topic::MERCURE;

/// What RFC 6570 section 3.2.2 leaves as it is in a value.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// What is asked for if nothing has been published yet.
const EARLIEST: &str = "earliest";

/// Somebody's subscription.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// To what.
    pub selector: Selector,
    /// By which draft.
    pub dialect: Dialect,
    /// Whose, by an id that the hub gave them: `urn:uuid:...`.
    pub subscriber: String,
    /// What their token has others told of them.
    pub payload: Option<Value>,
}

/// Which subscriptions are asked for.
#[derive(Debug, Clone)]
pub struct Subscriptions {
    /// The path, as it was asked for.
    path: String,
    dialect: Dialect,
    selector: Option<(MatchType, String)>,
    subscriber: Option<String>,
    fields: HeaderMap,
}

/// How draft-08 calls what selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MatchType {
    Exact,
    Pattern,
    /// Draft-07 does not say.
    Any,
}

impl MatchType {
    fn read(text: &str) -> Option<Self> {
        match text {
            "exact" | "Exact" => Some(Self::Exact),
            "urlpattern" | "URLPattern" => Some(Self::Pattern),
            _ => None,
        }
    }

    /// `*` is exact to draft-08, and templates are nothing to it.
    fn of(selector: &Selector) -> Option<Self> {
        match selector {
            Selector::All | Selector::Exact(_) => Some(Self::Exact),
            Selector::Pattern(_) => Some(Self::Pattern),
            Selector::Template(_) => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Exact | Self::Any => "exact",
            Self::Pattern => "urlpattern",
        }
    }
}

impl Subscriptions {
    /// Reads a path below `/.well-known/mercure`. `fields` are those that all answers have.
    pub(super) fn read(
        path: &str,
        grant: &Grant,
        is_linked_data: bool,
        fields: HeaderMap,
    ) -> Result<Self, Refusal> {
        let missing = || {
            Refusal::new(
                StatusCode::NOT_FOUND,
                "there is nothing here: see `/.well-known/mercure/subscriptions`",
            )
        };
        let below = path
            .strip_prefix(MERCURE)
            .and_then(|rest| rest.strip_prefix("/subscriptions"));
        let below = below.ok_or_else(missing)?;
        let segments: Vec<_> = match below.strip_prefix('/') {
            Some(list) => list.split('/').map(decoded).collect::<Result<_, _>>()?,
            None if below.is_empty() => Vec::new(),
            None => return Err(missing()),
        };
        let kind = segments
            .first()
            .and_then(|segment| MatchType::read(segment));
        let (dialect, selector, subscriber) = match (kind, segments.as_slice()) {
            (_, []) if is_linked_data => (Dialect::Mercure7, None, None),
            (_, []) => (Dialect::Mercure8, None, None),
            (Some(kind), [_, text]) => (Dialect::Mercure8, Some((kind, text)), None),
            (Some(kind), [_, text, who]) => (Dialect::Mercure8, Some((kind, text)), Some(who)),
            (None, [text]) => (Dialect::Mercure7, Some((MatchType::Any, text)), None),
            (None, [text, who]) => (Dialect::Mercure7, Some((MatchType::Any, text)), Some(who)),
            _ => return Err(missing()),
        };
        // Draft-08, Subscription API: the path is the topic.
        if !grant.may_hear_private(path) {
            return Err(Refusal::scope(
                "the token does not allow to see these subscriptions",
            ));
        }
        Ok(Self {
            path: path.to_owned(),
            dialect,
            selector: selector.map(|(kind, text)| (kind, text.clone())),
            subscriber: subscriber.cloned(),
            fields,
        })
    }

    /// Returns whether a subscription is one of those.
    pub fn includes(&self, subscription: &Subscription) -> bool {
        let kind = MatchType::of(&subscription.selector);
        let is_spoken = match self.dialect {
            Dialect::Mercure7 => kind != Some(MatchType::Pattern),
            _ => kind.is_some(),
        };
        let is_selected = self.selector.as_ref().is_none_or(|(wanted, text)| {
            (*wanted == MatchType::Any || kind == Some(*wanted))
                && subscription.selector.text() == text
        });
        let is_theirs = self
            .subscriber
            .as_ref()
            .is_none_or(|who| *who == subscription.subscriber);
        is_spoken && is_selected && is_theirs
    }

    /// Returns the answer: the document of one, if one was asked for, or else of all. `last` is the
    /// id of the last event.
    pub fn answer(&self, all: &[Subscription], last: Option<&str>, moment: &Moment) -> Answer {
        let last = last.unwrap_or(EARLIEST);
        let mut included = all
            .iter()
            .filter(|subscription| self.includes(subscription));
        let mut document = if self.subscriber.is_some() {
            let Some(subscription) = included.next() else {
                let text = "there is no such subscription, or no longer";
                let mut answer = Refusal::new(StatusCode::NOT_FOUND, text).answer(moment);
                answer.head.headers_mut().extend(self.fields.clone());
                return answer;
            };
            subscription.document(self.dialect, Active::Yes, &self.path)
        } else {
            let member = |one: &Subscription| {
                let path = one.path(self.dialect);
                Value::Object(one.document(self.dialect, Active::Yes, &path))
            };
            let mut document = Map::new();
            document.insert("id".to_owned(), json!(self.path));
            document.insert(
                "type".to_owned(),
                json!(type_name(self.dialect, "Subscriptions")),
            );
            document.insert("subscriptions".to_owned(), included.map(member).collect());
            document
        };
        let (cursor, media_type) = match self.dialect {
            Dialect::Mercure7 => {
                document.insert("@context".to_owned(), json!("https://mercure.rocks/"));
                ("lastEventID", "application/ld+json")
            }
            _ => ("last_event_id", "application/mercure+json"),
        };
        document.insert(cursor.to_owned(), json!(last));
        let body = Value::Object(document).to_string();
        let mut answer = plain(StatusCode::OK, moment);
        let headers = answer.head.headers_mut();
        headers.insert(header::CONTENT_LENGTH, body.len().into());
        headers.extend(self.fields.clone());
        for (name, value) in [
            (header::CONTENT_TYPE, media_type),
            (header::CACHE_CONTROL, "must-revalidate, private"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.append(header::LINK, super::link(last));
        answer.body = Body::Memory(Bytes::from(body));
        answer
    }
}

/// Whether a subscription has begun or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Active {
    /// It is there.
    Yes,
    /// It has ended.
    No,
}

impl Subscription {
    /// Returns the event that says that it has begun or ended (Subscription Events of both drafts):
    /// private, about its own path.
    pub fn event(&self, active: Active) -> Publication {
        let path = self.path(self.dialect);
        let mut document = self.document(self.dialect, active, &path);
        let kind = match self.dialect {
            Dialect::Mercure7 => {
                document.insert("@context".to_owned(), json!("https://mercure.rocks/"));
                None
            }
            _ => Some("mercure".to_owned()),
        };
        Publication {
            topics: vec![path],
            data: Value::Object(document).to_string(),
            kind,
            is_private: true,
            ..Publication::default()
        }
    }

    /// Returns its path, each part encoded once (draft-08, Subscription Events).
    fn path(&self, dialect: Dialect) -> String {
        let text = utf8_percent_encode(self.selector.text(), VALUE);
        let who = utf8_percent_encode(&self.subscriber, VALUE);
        match (dialect, MatchType::of(&self.selector)) {
            (Dialect::Mercure7, _) | (_, None) => format!("{MERCURE}/subscriptions/{text}/{who}"),
            (_, Some(kind)) => format!("{MERCURE}/subscriptions/{}/{text}/{who}", kind.name()),
        }
    }

    fn document(&self, dialect: Dialect, active: Active, path: &str) -> Map<String, Value> {
        let mut document = Map::new();
        document.insert("id".to_owned(), json!(path));
        document.insert("type".to_owned(), json!(type_name(dialect, "Subscription")));
        match (dialect, MatchType::of(&self.selector)) {
            (Dialect::Mercure7, _) | (_, None) => {
                document.insert("topic".to_owned(), json!(self.selector.text()));
            }
            (_, Some(kind)) => {
                document.insert("match".to_owned(), json!(self.selector.text()));
                document.insert("match_type".to_owned(), json!(kind.name()));
            }
        }
        document.insert("subscriber".to_owned(), json!(self.subscriber));
        document.insert("active".to_owned(), json!(active == Active::Yes));
        if let Some(payload) = &self.payload {
            document.insert("payload".to_owned(), payload.clone());
        }
        document
    }
}

/// JSON-LD's types begin with a capital.
fn type_name(dialect: Dialect, name: &str) -> String {
    match dialect {
        Dialect::Mercure7 => name.to_owned(),
        _ => name.to_ascii_lowercase(),
    }
}

fn decoded(segment: &str) -> Result<String, Refusal> {
    let decoded = percent_decode_str(segment).decode_utf8();
    let decoded = decoded.map(std::borrow::Cow::into_owned);
    decoded.map_err(|_| Refusal::bad("the path is not UTF-8 once it is decoded"))
}
