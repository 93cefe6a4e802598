//! Publishing: what is said, by whom, and whether they may.
//!
//! In two steps, so that nobody's megabyte is read before it is known that they may publish at all:
//! a request becomes a [`Publishing`], which says how much of the body it takes, and that and the
//! body become a [`Publication`].

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::live::Received;
use super::super::{Answer, Body, Moment, plain};
use super::ChannelOptions;
use super::grant::Grant;
use super::parameters::{self, EARLIEST, ID_BYTES_MAX, once, unknown};
use super::refusal::Refusal;
use super::topic::{self, Prefix, TOPICS_MAX};
use crate::hub::EventId;

/// Bytes of the type of an event.
pub const TYPE_BYTES_MAX: usize = 128;
/// The longest time after which readers may be told to come back.
pub const RETRY_MAX: Duration = Duration::from_hours(24);
/// Bytes of the data of an event that is published without a token.
pub const UNSIGNED_BYTES_MAX: usize = 16 * 1024;
/// Bytes of an idempotency key.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
/// Types that the hub's own events have: of subscriptions (draft-08, Subscription Events), and of
/// what a reader has missed.
pub const RESERVED_TYPES: [&str; 2] = ["mercure", "hub-gap"];

/// Bytes of a body beside the data of the event, and how much longer the data may be when it is
/// encoded: `%0A` in a form, `\u000a` in JSON.
const OVERHEAD_BYTES: usize = 16 * 1024;
const ENCODING_FACTOR: usize = 6;

const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";

/// An event that is to be published.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Publication {
    /// What it is about: the canonical topic, then alternates; none twice.
    pub topics: Vec<String>,
    /// What is said.
    pub data: String,
    /// The id that the publisher gave it.
    pub id: Option<String>,
    /// The type of the event, `message` to a browser if there is none.
    pub kind: Option<String>,
    /// After what time readers come back if they are cut off.
    pub retry: Option<Duration>,
    /// Only for those whose token says so.
    pub is_private: bool,
    /// By what the same publication is known when it comes again.
    pub idempotency_key: Option<String>,
}

/// Somebody who may publish.
#[derive(Debug, Clone, Default)]
pub struct Speaker {
    /// What the token allows.
    pub(super) grant: Option<Arc<Grant>>,
    /// What is allowed without one.
    pub(super) unsigned: Vec<Prefix>,
}

/// A request to publish, as far as its head says.
#[derive(Debug)]
pub struct Publishing {
    said: Said,
    reading: Reading,
    speaker: Speaker,
    data_bytes_max: usize,
    shared: HeaderMap,
}

/// What the body is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// The data, as it is.
    Data,
    /// Mercure's form.
    Form,
    /// Mercure's form if it is one, and else the data: `curl -d hello` says that it is a form.
    FormOrData,
    /// An object.
    Object,
}

/// What has been said of an event so far.
#[derive(Debug, Default)]
struct Said {
    topics: Vec<String>,
    data: Option<String>,
    id: Option<String>,
    kind: Option<String>,
    retry: Option<Duration>,
    is_private: bool,
    idempotency_key: Option<String>,
}

/// An event as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object<'a> {
    topic: Option<String>,
    topics: Option<Vec<String>>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    id: Option<String>,
    r#type: Option<String>,
    retry: Option<u64>,
    #[serde(default)]
    private: bool,
    idempotency_key: Option<String>,
}

impl Speaker {
    /// When what the token allows ends.
    pub fn expires(&self) -> Option<SystemTime> {
        self.grant.as_ref()?.expires()
    }

    /// Checks that somebody may publish to all of these topics.
    ///
    /// # Errors
    /// 401 without a token, 403 with one that does not allow it.
    pub fn check(&self, topics: &[String]) -> Result<(), Refusal> {
        let is_open = |topic: &String| self.unsigned.iter().any(|prefix| prefix.covers(topic));
        let is_granted = self
            .grant
            .as_ref()
            .is_some_and(|grant| grant.may_publish(topics));
        if is_granted || topics.iter().all(is_open) {
            return Ok(());
        }
        match self.grant {
            Some(_) => Err(Refusal::scope(
                "the token does not allow to publish to all these topics",
            )),
            None => Err(Refusal::missing_token(
                "publishing here takes a token: send it as `Authorization: Bearer TOKEN`",
            )),
        }
    }

    /// Checks that somebody may publish an event, as it came over a WebSocket.
    ///
    /// # Errors
    /// As [`Speaker::check`] has it, and 413.
    pub fn check_event(
        &self,
        event: &Publication,
        options: &ChannelOptions,
    ) -> Result<(), Refusal> {
        self.check(&event.topics)?;
        check_length(&event.data, self.data_bytes_max(&event.topics, options))
    }

    /// Returns how many bytes somebody may say about topics.
    fn data_bytes_max(&self, topics: &[String], options: &ChannelOptions) -> usize {
        match &self.grant {
            Some(grant) if grant.may_publish(topics) => options.event_bytes_max,
            _ => options.event_bytes_max.min(UNSIGNED_BYTES_MAX),
        }
    }
}

impl Publishing {
    /// Reads the head of a request to publish to channels, or to Mercure's URL (then they are
    /// none). `speaker` has been found out already.
    pub(super) fn read_head(
        request: &Parts,
        channels: Vec<String>,
        parameters: Vec<(String, String)>,
        speaker: Speaker,
        options: &ChannelOptions,
        is_mercure: bool,
    ) -> Result<Self, Refusal> {
        let reading = reading(&request.headers, is_mercure)?;
        let mut said = Said {
            topics: channels,
            idempotency_key: idempotency_key(&request.headers)?,
            ..Said::default()
        };
        for (name, value) in parameters {
            said.parameter(&name, value)?;
        }
        let data_bytes_max = if said.topics.is_empty() {
            // Which they are is in the body.
            options.event_bytes_max
        } else {
            speaker.check(&said.topics)?;
            speaker.data_bytes_max(&said.topics, options)
        };
        let mut shared = HeaderMap::new();
        options.origins.share(request, &mut shared);
        Ok(Self {
            said,
            reading,
            speaker,
            data_bytes_max,
            shared,
        })
    }

    /// Returns how many bytes of the body are wanted.
    pub fn body_bytes_max(&self) -> usize {
        match self.reading {
            Reading::Data => self.data_bytes_max,
            _ => self.data_bytes_max.saturating_mul(ENCODING_FACTOR) + OVERHEAD_BYTES,
        }
    }

    /// Returns how it is answered.
    pub fn published(&self) -> Published {
        Published {
            shared: self.shared.clone(),
        }
    }

    /// Returns the event, or the answer that says why there is none.
    ///
    /// # Errors
    /// 400, 401, 403, 408, 413 or 503.
    pub fn read(
        self,
        received: &Received,
        options: &ChannelOptions,
        moment: &Moment,
    ) -> Result<(Publication, Published), Box<Answer>> {
        let published = self.published();
        let refused = |refusal: Refusal| Box::new(published.refused(&refusal, moment));
        let body = match received {
            Received::Whole(body) => body.clone(),
            Received::Nothing => Bytes::new(),
            Received::TooLong => return Err(refused(too_long(self.data_bytes_max))),
            Received::Cut(_) => {
                return Err(refused(Refusal::new(
                    StatusCode::REQUEST_TIMEOUT,
                    "the event did not come in time: send it again",
                )));
            }
            Received::Busy => {
                return Err(refused(Refusal {
                    field: Some((header::RETRY_AFTER, HeaderValue::from_static("1"))),
                    ..Refusal::new(
                        StatusCode::SERVICE_UNAVAILABLE,
                        "the server holds as much as it may: send the event again in a second",
                    )
                }));
            }
        };
        let publication = self.event(&body, options).map_err(refused)?;
        Ok((publication, published))
    }

    fn event(mut self, body: &[u8], options: &ChannelOptions) -> Result<Publication, Refusal> {
        let text = str::from_utf8(body).map_err(|_| {
            Refusal::bad("an event is text: send UTF-8, and bytes of another kind as base64")
        })?;
        match self.reading {
            Reading::Data => self.said.data = Some(text.to_owned()),
            Reading::Object => self.said.object(text)?,
            Reading::Form => {
                for (name, value) in parameters::read(text)? {
                    self.said.field(&name, value)?;
                }
            }
            Reading::FormOrData => match form(text) {
                Some(fields) => {
                    for (name, value) in fields {
                        self.said.field(&name, value)?;
                    }
                }
                None => self.said.data = Some(text.to_owned()),
            },
        }
        let publication = self.said.checked()?;
        self.speaker.check(&publication.topics)?;
        let bytes_max = self.speaker.data_bytes_max(&publication.topics, options);
        check_length(&publication.data, bytes_max)?;
        Ok(publication)
    }
}

/// How an answer is dressed once the event is stored.
#[derive(Debug, Clone)]
pub struct Published {
    shared: HeaderMap,
}

impl Published {
    /// Returns the answer that says that an event is stored, by its id (draft-08, Publication).
    pub fn answer(&self, id: &str, moment: &Moment) -> Answer {
        let mut answer = plain(StatusCode::OK, moment);
        let headers = answer.head.headers_mut();
        for (name, value) in [
            (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
            (header::CACHE_CONTROL, "no-store"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        headers.insert(header::CONTENT_LENGTH, id.len().into());
        headers.extend(self.shared.clone());
        answer.body = Body::Memory(Bytes::copy_from_slice(id.as_bytes()));
        answer
    }

    /// Returns the answer that says that there is a reason why it is not: the hub is full, for
    /// example.
    pub fn refused(&self, refusal: &Refusal, moment: &Moment) -> Answer {
        let mut answer = refusal.answer(moment);
        answer.head.headers_mut().extend(self.shared.clone());
        answer
    }
}

impl Publication {
    /// Reads an event that came as a JSON object: `{"topic": "chat", "data": "hello"}`. Data that
    /// is no string is passed on as JSON, as it was written.
    ///
    /// # Errors
    /// 400, with what is wrong.
    pub fn from_json(text: &str) -> Result<Self, Refusal> {
        let mut said = Said::default();
        said.object(text)?;
        said.checked()
    }
}

impl Said {
    /// Takes what a URL says of an event.
    fn parameter(&mut self, name: &str, value: String) -> Result<(), Refusal> {
        match name {
            "id" | "type" | "retry" | "private" => self.field(name, value),
            _ => Err(unknown(name, "`id`, `type`, `retry` and `private`")),
        }
    }

    /// Takes a field of Mercure's form (draft-08, Publication).
    fn field(&mut self, name: &str, value: String) -> Result<(), Refusal> {
        match name {
            "topic" => self.topics.push(value),
            "data" => once(&mut self.data, value, name)?,
            "id" => once(&mut self.id, value, name)?,
            "type" => once(&mut self.kind, value, name)?,
            "retry" => {
                let is_number = !value.is_empty() && value.bytes().all(|b| b.is_ascii_digit());
                let retry = value.parse().ok().filter(|_| is_number);
                let retry = retry.map(Duration::from_millis).ok_or_else(bad_retry)?;
                once(&mut self.retry, retry, name)?;
            }
            // That it is there says it, whatever it says.
            "private" => self.is_private = true,
            _ => {
                let known = "`topic`, `data`, `id`, `type`, `retry` and `private`";
                return Err(unknown(name, known));
            }
        }
        Ok(())
    }

    fn object(&mut self, text: &str) -> Result<(), Refusal> {
        let object: Object<'_> = serde_json::from_str(text).map_err(|error| {
            let why: String = error.to_string().escape_debug().take(200).collect();
            Refusal::bad(format!(
                "the JSON is no event ({why}): send {{\"data\": ...}}, or what is to be passed on \
                 as it is as text/plain"
            ))
        })?;
        self.topics.extend(object.topic);
        self.topics.extend(object.topics.into_iter().flatten());
        if let Some(data) = object.data {
            let is_string = data.get().starts_with('"');
            let string = is_string
                .then(|| serde_json::from_str(data.get()).ok())
                .flatten();
            let data: Cow<'_, str> = string.map_or(Cow::Borrowed(data.get()), Cow::Owned);
            once(&mut self.data, data.into_owned(), "data")?;
        }
        for (place, value, name) in [
            (&mut self.id, object.id, "id"),
            (&mut self.kind, object.r#type, "type"),
            (
                &mut self.idempotency_key,
                object.idempotency_key,
                "idempotency_key",
            ),
        ] {
            if let Some(value) = value {
                once(place, value, name)?;
            }
        }
        if let Some(retry) = object.retry {
            once(&mut self.retry, Duration::from_millis(retry), "retry")?;
        }
        self.is_private |= object.private;
        Ok(())
    }

    /// Returns the event if all that is said of it can be.
    fn checked(self) -> Result<Publication, Refusal> {
        let mut topics: Vec<String> = Vec::new();
        for topic in self.topics {
            topic::check_published(&topic)?;
            if !topics.contains(&topic) {
                topics.push(topic);
            }
            if topics.len() > TOPICS_MAX {
                return Err(Refusal::bad(format!(
                    "an event has at most {TOPICS_MAX} topics"
                )));
            }
        }
        if topics.is_empty() {
            return Err(Refusal::bad("an event is about something: say `topic`"));
        }
        if let Some(id) = &self.id {
            check_id(id)?;
        }
        if let Some(kind) = &self.kind {
            check_kind(kind)?;
        }
        if self.retry.is_some_and(|retry| retry > RETRY_MAX) {
            return Err(bad_retry());
        }
        if self
            .idempotency_key
            .as_deref()
            .is_some_and(|key| !is_key(key))
        {
            return Err(bad_key());
        }
        Ok(Publication {
            topics,
            data: self.data.unwrap_or_default(),
            // An empty one says nothing, and would make browsers forget what they have seen.
            id: self.id.filter(|id| !id.is_empty()),
            kind: self.kind.filter(|kind| !kind.is_empty()),
            retry: self.retry,
            is_private: self.is_private,
            idempotency_key: self.idempotency_key,
        })
    }
}

/// Returns the fields of a form, if all it has are known and the data is among them.
fn form(text: &str) -> Option<Vec<(String, String)>> {
    let fields = parameters::read(text).ok()?;
    let is_known = |name: &str| ["topic", "data", "id", "type", "retry", "private"].contains(&name);
    let is_form = fields.iter().all(|(name, _)| is_known(name));
    (is_form && fields.iter().any(|(name, _)| name == "data")).then_some(fields)
}

fn reading(headers: &HeaderMap, is_mercure: bool) -> Result<Reading, Refusal> {
    if let Some(coding) = headers.get(header::CONTENT_ENCODING)
        && !coding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        return Err(Refusal::media_type(
            "an event is not taken compressed: send it as it is",
        ));
    }
    let media_type = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let media_type = media_type
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .trim();
    let is = |name: &str| media_type.eq_ignore_ascii_case(name);
    if is_mercure {
        return if is(FORM) {
            Ok(Reading::Form)
        } else {
            Err(Refusal::media_type(
                "Mercure publishes by application/x-www-form-urlencoded: send `topic=...&data=...`",
            ))
        };
    }
    if is(FORM) {
        Ok(Reading::FormOrData)
    } else if is(JSON) {
        Ok(Reading::Object)
    } else if media_type
        .get(..10)
        .is_some_and(|kind| kind.eq_ignore_ascii_case("multipart/"))
    {
        Err(Refusal::media_type(
            "an event is not taken as multipart: send text/plain, application/json or a form with \
             `data`",
        ))
    } else {
        Ok(Reading::Data)
    }
}

/// Reads `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header, section 2.1): a string in
/// quotes, or, as most send it, without.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Refusal> {
    let Some(field) = headers.get("idempotency-key") else {
        return Ok(None);
    };
    let text = field.to_str().map_err(|_| bad_key())?.trim();
    let bare = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let key = bare.unwrap_or(text);
    is_key(key)
        .then(|| Some(key.to_owned()))
        .ok_or_else(bad_key)
}

fn is_key(key: &str) -> bool {
    let length = 1..=IDEMPOTENCY_KEY_BYTES_MAX;
    length.contains(&key.len()) && key.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

fn bad_key() -> Refusal {
    Refusal::bad(format!(
        "an idempotency key has 1 to {IDEMPOTENCY_KEY_BYTES_MAX} visible letters: send a UUID"
    ))
}

fn bad_retry() -> Refusal {
    Refusal::bad(format!(
        "`retry` is a number of milliseconds, at most {}",
        RETRY_MAX.as_millis()
    ))
}

/// Checks the id that a publisher gives an event (draft-08, Publication).
fn check_id(id: &str) -> Result<(), Refusal> {
    let text = if id.len() > ID_BYTES_MAX {
        format!("an id has at most {ID_BYTES_MAX} bytes: give a shorter one")
    } else if id.chars().any(char::is_control) {
        "an id has no line feeds or other control characters: leave them out".to_owned()
    } else if id.starts_with('#') {
        "ids that begin with `#` are the hub's own: give another, or none".to_owned()
    } else if id == EARLIEST {
        format!("`{EARLIEST}` is the id of no event: it asks for all")
    } else if id.parse::<EventId>().is_ok() {
        "ids that are two numbers with a dot between are the hub's own: give another, or none"
            .to_owned()
    } else {
        return Ok(());
    };
    Err(Refusal::bad(text))
}

fn check_kind(kind: &str) -> Result<(), Refusal> {
    let text = if kind.len() > TYPE_BYTES_MAX {
        format!("a type has at most {TYPE_BYTES_MAX} bytes: give a shorter one")
    } else if kind.chars().any(char::is_control) {
        "a type has no line feeds or other control characters: leave them out".to_owned()
    } else if RESERVED_TYPES.contains(&kind) {
        format!("`{kind}` is the type of the hub's own events: give another")
    } else {
        return Ok(());
    };
    Err(Refusal::bad(text))
}

fn check_length(data: &str, bytes_max: usize) -> Result<(), Refusal> {
    if data.len() > bytes_max {
        return Err(too_long(bytes_max));
    }
    Ok(())
}

fn too_long(bytes_max: usize) -> Refusal {
    Refusal::too_large(format!(
        "an event has at most {bytes_max} bytes here: send less, or a link to it"
    ))
}
