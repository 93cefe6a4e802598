//! The reserved URLs of live reload: the client's script, the stream of events, and what pages
//! tell.
//!
//! Pure like all answers. They are nobody else's business: a page of another site that finds them
//! reads nothing and says nothing, even where a browser would let it ask. Names that begin with a
//! dot are never files, so nothing of a site is shadowed. What is published and what is done with
//! what pages tell is not known here.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Method, StatusCode};
use serde::{Deserialize, Deserializer, de};

use super::{Action, Answer, Body, Moment, plain};
use crate::hub::{EventId, Hub};

/// The start of all reserved paths.
pub const PREFIX: &str = "/.forerun/";
/// The client's script.
pub const SCRIPT: &str = "/.forerun/live.js";
/// The stream of events.
pub const EVENTS: &str = "/.forerun/events";
/// Where pages tell.
pub const TOLD: &str = "/.forerun/told";

/// Bytes of what a page tells at once.
pub const TOLD_BYTES_MAX: usize = 16 * 1024;
/// Characters of a text that a page tells; the rest is cut.
const TEXT_LENGTH_MAX: usize = 2048;
/// Characters of a place, a page or a level that a page tells; the rest is cut.
const PLACE_LENGTH_MAX: usize = 512;

const LAST_EVENT_ID: &str = "last-event-id";
const SEC_FETCH_SITE: &str = "sec-fetch-site";

/// What the reserved URLs answer with.
#[derive(Debug, Clone)]
pub struct Live {
    /// Where events come from.
    pub hub: Arc<Hub>,
    /// The client.
    pub script: Bytes,
    /// What `?v=` says where this very script is meant.
    pub script_hash: String,
}

/// The body of a request, as far as one is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Received {
    /// None was wanted.
    #[default]
    Nothing,
    /// All of it.
    Whole(Bytes),
    /// More than was allowed.
    TooLong,
    /// So many bytes, but not its end in time.
    Cut(usize),
    /// More than can be held while so much else is.
    Busy,
}

/// What a page tells, and which page, if it says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Path and query of the page.
    pub page: Option<String>,
    /// What it tells.
    pub told: Told,
}

impl Heard {
    /// Returns what a page would tell that is kept from following edits, and cannot say so itself.
    /// `why` follows its name.
    pub fn blocked(page: &str, why: &str) -> Self {
        Self {
            page: Some(page.to_owned()),
            told: Told::Blocked {
                text: format!("it {why}"),
            },
        }
    }
}

/// What a page tells. Texts are a page's own words: bounded here, but escaped by whoever shows
/// them.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Told {
    /// It has painted what an event changed.
    Painted {
        /// The event.
        #[serde(deserialize_with = "event_id")]
        id: EventId,
        /// From the event's arrival to the paint.
        #[serde(rename = "ms", deserialize_with = "milliseconds")]
        took: Duration,
    },
    /// Something was written to its console, or went wrong.
    Console {
        /// `error`, for example.
        level: String,
        /// What was written.
        text: String,
        /// Where in which script, if it is known.
        #[serde(default)]
        source: String,
    },
    /// It was kept from doing its work.
    Blocked {
        /// By what.
        text: String,
    },
}

/// Returns whether a path is reserved.
pub fn is_reserved(path: &str) -> bool {
    path.starts_with(PREFIX)
}

/// Returns whether the body of a request is wanted, and how many bytes of it.
pub fn wanted_bytes_max(request: &Parts) -> Option<usize> {
    (request.method == Method::POST && request.uri.path() == TOLD).then_some(TOLD_BYTES_MAX)
}

/// Returns the answer to a request for a reserved path.
pub fn answer(live: &Live, request: &Parts, received: &Received, moment: &Moment) -> Answer {
    let is_read = request.method == Method::GET || request.method == Method::HEAD;
    let mut answer = match request.uri.path() {
        SCRIPT if is_read => script(live, request, moment),
        EVENTS if is_read => events(live, request, moment),
        TOLD if request.method == Method::POST => told(request, received, moment),
        SCRIPT | EVENTS => not_allowed("GET, HEAD", moment),
        TOLD => not_allowed("POST", moment),
        _ => plain(StatusCode::NOT_FOUND, moment),
    };
    if request.method == Method::HEAD {
        answer.body = Body::Empty;
    }
    let headers = answer.head.headers_mut();
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    // Not even as an image of another origin. The script says nothing, and a sandboxed frame, whose
    // origin is none, would complain.
    if request.uri.path() != SCRIPT {
        headers.insert(
            "cross-origin-resource-policy",
            HeaderValue::from_static("same-origin"),
        );
    }
    if !headers.contains_key(header::CACHE_CONTROL) {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    answer
}

fn not_allowed(methods: &'static str, moment: &Moment) -> Answer {
    let mut answer = plain(StatusCode::METHOD_NOT_ALLOWED, moment);
    let headers = answer.head.headers_mut();
    headers.insert(header::ALLOW, HeaderValue::from_static(methods));
    answer
}

fn script(live: &Live, request: &Parts, moment: &Moment) -> Answer {
    let mut answer = plain(StatusCode::OK, moment);
    answer.body = Body::Memory(live.script.clone());
    // Any other version would be kept under a name that is not its own.
    let is_named = query(request, "v") == Some(live.script_hash.as_str());
    let caching = if is_named {
        "public, max-age=31536000, immutable"
    } else {
        "no-cache"
    };
    let headers = answer.head.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/javascript; charset=utf-8"),
    );
    headers.insert(header::CONTENT_LENGTH, live.script.len().into());
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(caching));
    answer
}

fn events(live: &Live, request: &Parts, moment: &Moment) -> Answer {
    let origins = request.headers.get_all(header::ORIGIN);
    if origins.iter().next().is_some() && own_origin(request).is_none() || is_foreign(request) {
        return plain(StatusCode::FORBIDDEN, moment);
    }
    let mut answer = plain(StatusCode::OK, moment);
    answer.body = Body::Feed {
        hub: Arc::clone(&live.hub),
        after: after(request),
    };
    let headers = answer.head.headers_mut();
    headers.remove(header::CONTENT_LENGTH);
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream"),
    );
    // A proxy in between would gather what must arrive at once.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    answer
}

/// Returns the cursor that a request names: `Last-Event-ID` is newer than the URL, which a browser
/// repeats whenever it reconnects. One that cannot be read is a gap, not a fresh start: whoever
/// sends it believes that it has seen something.
fn after(request: &Parts) -> Option<EventId> {
    let read = |text: &str| text.parse().unwrap_or(EventId::UNKNOWN);
    match request.headers.get(LAST_EVENT_ID) {
        Some(id) if !id.is_empty() => Some(id.to_str().map_or(EventId::UNKNOWN, read)),
        _ => query(request, "cursor").map(read),
    }
}

fn told(request: &Parts, received: &Received, moment: &Moment) -> Answer {
    let Some(origin) = own_origin(request).filter(|_| !is_foreign(request)) else {
        return plain(StatusCode::FORBIDDEN, moment);
    };
    let body = match received {
        Received::Whole(body) => body,
        Received::TooLong => return plain(StatusCode::PAYLOAD_TOO_LARGE, moment),
        Received::Cut(_) => return plain(StatusCode::REQUEST_TIMEOUT, moment),
        Received::Busy => return plain(StatusCode::SERVICE_UNAVAILABLE, moment),
        Received::Nothing => return plain(StatusCode::BAD_REQUEST, moment),
    };
    let Ok(told) = serde_json::from_slice::<Told>(body) else {
        return plain(StatusCode::BAD_REQUEST, moment);
    };
    let mut answer = plain(StatusCode::NO_CONTENT, moment);
    answer.action = Some(Action::Told(Heard {
        page: page(request, origin),
        told: told.cut(),
    }));
    answer
}

impl Told {
    fn cut(self) -> Self {
        match self {
            Self::Painted { .. } => self,
            Self::Console {
                level,
                text,
                source,
            } => Self::Console {
                level: cut(&level, PLACE_LENGTH_MAX),
                text: cut(&text, TEXT_LENGTH_MAX),
                source: cut(&source, PLACE_LENGTH_MAX),
            },
            Self::Blocked { text } => Self::Blocked {
                text: cut(&text, TEXT_LENGTH_MAX),
            },
        }
    }
}

fn cut(text: &str, length_max: usize) -> String {
    text.chars().take(length_max).collect()
}

fn event_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<EventId, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map_err(de::Error::custom)
}

fn milliseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let milliseconds = f64::deserialize(deserializer)?;
    Duration::try_from_secs_f64(milliseconds / 1000.0).map_err(de::Error::custom)
}

/// Returns the value of a parameter of the query, as it was sent.
fn query<'a>(request: &'a Parts, name: &str) -> Option<&'a str> {
    let parameters = request.uri.query()?.split('&');
    parameters
        .filter_map(|parameter| parameter.split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

/// Returns the origin that a request comes from, if it names one, and it is the one it asks
/// (RFC 6454 section 7).
pub(super) fn own_origin(request: &Parts) -> Option<&str> {
    let mut origins = request.headers.get_all(header::ORIGIN).iter();
    let origin = origins.next()?.to_str().ok()?;
    if origins.next().is_some() {
        return None;
    }
    let theirs = origin.strip_prefix("https://")?;
    let ours = match request.uri.authority() {
        Some(authority) => authority.as_str(),
        None => request.headers.get(header::HOST)?.to_str().ok()?,
    };
    // Origins leave the default port out.
    let bare = |authority| str::strip_suffix(authority, ":443").unwrap_or(authority);
    bare(ours)
        .eq_ignore_ascii_case(bare(theirs))
        .then_some(origin)
}

/// Returns whether the browser says that another origin asks (Fetch Metadata). Another port of this
/// machine is another origin, though the same site.
fn is_foreign(request: &Parts) -> bool {
    let sites = request.headers.get_all(SEC_FETCH_SITE);
    sites
        .iter()
        .any(|site| site != "same-origin" && site != "none")
}

/// Returns path and query of the page that a request comes from.
fn page(request: &Parts, origin: &str) -> Option<String> {
    let referrer = request.headers.get(header::REFERER)?.to_str().ok()?;
    let page = referrer.strip_prefix(origin)?;
    page.starts_with('/').then(|| cut(page, PLACE_LENGTH_MAX))
}

#[cfg(test)]
mod tests;
