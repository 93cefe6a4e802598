//! Hearing: what is wanted, in which way, from where on, and whether they may.

use std::sync::Arc;

use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use http::{Response, StatusCode};
use url::Url;

use super::super::{Answer, Moment, plain};
use super::grant::{Grant, may_see};
use super::parameters::{self, Start, once, unknown};
use super::publish::Speaker;
use super::refusal::Refusal;
use super::selector::{Kind, Selector};
use super::way::{self, Form, Suffix, Way, Wish};
use super::{ChannelOptions, Dialect, credentials, topic};
use crate::hub::EventId;

/// What somebody hears at once, over one request or WebSocket.
pub const SELECTORS_MAX: usize = 100;
/// Of these, templates and patterns: each is put to every event.
pub const PATTERNS_MAX: usize = 16;

/// Somebody who hears.
#[derive(Debug, Clone)]
pub struct Subscribe {
    /// What is heard: what any of these selects. None, for a WebSocket that will say it.
    pub selectors: Vec<Selector>,
    /// How.
    pub way: Way,
    /// From where on.
    pub start: Start,
    /// What may be heard of it.
    pub grant: Arc<Grant>,
    /// What may be said over a WebSocket.
    pub speaker: Speaker,
    /// Which protocol is spoken.
    pub dialect: Dialect,
    /// The URL of the hub, from which what is relative is seen.
    pub hub: Arc<Url>,
    /// Whether nothing new is 304: it was asked for by `If-None-Match`.
    pub is_conditional: bool,
    pub(super) fields: HeaderMap,
}

/// What a query says.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub(super) selectors: Vec<Selector>,
    pub(super) wish: Wish,
    pub(super) start: Option<Start>,
    pub(super) since: Option<Start>,
    pub(super) token: Option<String>,
    is_polled: Option<bool>,
    dialect: Option<Dialect>,
}

impl Subscribe {
    /// Returns whether an event is for whoever hears: selected, and theirs to see.
    pub fn hears<T: AsRef<str>>(&self, topics: &[T], is_private: bool) -> bool {
        let is_selected = |topic: &T| self.selectors.iter().any(|s| s.matches(topic.as_ref()));
        topics.iter().any(is_selected) && may_see(&self.grant, topics, is_private)
    }

    /// Returns the head of the answer, without a body: 200. `cursor` is the event before the first
    /// that is sent, or, for a poll, the last that is.
    pub fn answer(&self, cursor: Option<EventId>, moment: &Moment) -> Answer {
        self.dressed(StatusCode::OK, cursor, moment)
    }

    /// Returns the answer to a poll with nothing new: 304, which is what `If-None-Match` asks for.
    pub fn unchanged(&self, cursor: EventId, moment: &Moment) -> Answer {
        self.dressed(StatusCode::NOT_MODIFIED, Some(cursor), moment)
    }

    fn dressed(&self, status: StatusCode, cursor: Option<EventId>, moment: &Moment) -> Answer {
        let mut answer = plain(status, moment);
        let form = match self.way {
            Way::Poll(form) | Way::LongPoll(form, _) | Way::Stream(form) => Some(form),
            Way::WebSocket => None,
        };
        let headers = answer.head.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.extend(self.fields.clone());
        for (name, value) in [
            (header::CACHE_CONTROL, "no-store"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Some(form) = form.filter(|_| status == StatusCode::OK) {
            let media_type = HeaderValue::from_static(form.media_type());
            headers.insert(header::CONTENT_TYPE, media_type);
        }
        // A proxy in between would gather what must arrive at once.
        if matches!(self.way, Way::Stream(_)) {
            headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        }
        if let Some(cursor) = cursor {
            self.place(cursor, headers);
        }
        answer
    }

    /// Says where the answer begins: as a tag, which whoever polls sends back, or by the fields of
    /// both drafts (Reconciliation).
    fn place(&self, cursor: EventId, headers: &mut HeaderMap) {
        let text = cursor.to_string();
        if matches!(self.way, Way::Poll(_) | Way::LongPoll(..)) {
            let tag = HeaderValue::try_from(format!("\"{text}\""));
            headers.insert(header::ETAG, tag.expect("digits, a dot and quotes"));
        } else if self.start != Start::Now {
            let id = HeaderValue::try_from(text).expect("digits and a dot");
            headers.insert(parameters::LAST_EVENT_ID, id.clone());
            headers.insert("mercure-last-event-id", id);
        }
    }

    /// Reads what a WebSocket asks to hear besides: names of channels, or other topics, exactly.
    ///
    /// # Errors
    /// 400 or 401, as for a request.
    pub fn more(
        &self,
        names: &[String],
        options: &ChannelOptions,
    ) -> Result<Vec<Selector>, Refusal> {
        if names.len() + self.selectors.len() > SELECTORS_MAX {
            return Err(too_many());
        }
        let read = |name: &String| {
            let selector = Selector::parse(Kind::Exact, name, &self.hub).map_err(Refusal::bad)?;
            check_heard(&self.grant, &selector, options)?;
            Ok(selector)
        };
        names.iter().map(read).collect()
    }
}

impl Wanted {
    /// Reads a query. `hub` is the URL of the hub.
    pub(super) fn read(
        parameters: Vec<(String, String)>,
        dialect: Dialect,
        hub: &Arc<Url>,
        moment: &Moment,
    ) -> Result<Self, Refusal> {
        let mut wanted = Self::default();
        for (name, value) in parameters {
            if dialect != Dialect::Channels && wanted.matcher(&name, &value, hub)? {
                continue;
            }
            match name.as_str() {
                "last_event_id" | "lastEventID" | "lastEventId" | "Last-Event-ID" => {
                    if let Some(start) = Start::of_parameter(&value) {
                        once(&mut wanted.start, start, &name)?;
                    }
                }
                "since" => once(&mut wanted.since, Start::since(&value, moment.now)?, &name)?,
                "poll" => once(&mut wanted.is_polled, flag(&value)?, &name)?,
                "wait" => {
                    let wait = way::seconds(&value).ok_or_else(|| {
                        Refusal::bad("`wait` is a number of seconds: wait=30, for example")
                    })?;
                    once(&mut wanted.wish.wait, wait, &name)?;
                }
                credentials::PARAMETER_7 if dialect != Dialect::Channels => {
                    once(&mut wanted.token, value, &name)?;
                }
                credentials::PARAMETER | credentials::PARAMETER_7 => return Err(token_in_url()),
                _ => return Err(unknown(&name, known(dialect))),
            }
        }
        wanted.wish.is_poll = wanted.is_polled.unwrap_or(false);
        if wanted.token.is_some() && wanted.dialect == Some(Dialect::Mercure8) {
            return Err(token_in_url());
        }
        Ok(wanted)
    }

    /// Takes a parameter that selects topics, and says whether it was one.
    fn matcher(&mut self, name: &str, value: &str, hub: &Arc<Url>) -> Result<bool, Refusal> {
        let (dialect, kind) = match name {
            "topic" => (Dialect::Mercure7, Kind::Template),
            "match" | "match_exact" | "matchExact" => (Dialect::Mercure8, Kind::Exact),
            "match_urlpattern" | "matchURLPattern" => (Dialect::Mercure8, Kind::Pattern),
            // Draft-08, Subscription: all of these names are reserved.
            _ if name
                .get(..5)
                .is_some_and(|start| start.eq_ignore_ascii_case("match")) =>
            {
                return Err(unknown(
                    name,
                    "`match`, `match_exact` or `match_urlpattern`",
                ));
            }
            _ => return Ok(false),
        };
        if self.dialect.is_some_and(|known| known != dialect) {
            return Err(Refusal::bad(
                "`topic` is of one draft of Mercure and `match` of another: use either",
            ));
        }
        self.dialect = Some(dialect);
        self.push(Selector::parse(kind, value, hub).map_err(Refusal::bad)?)?;
        Ok(true)
    }

    /// Adds what is to be heard.
    pub(super) fn push(&mut self, selector: Selector) -> Result<(), Refusal> {
        if self
            .selectors
            .iter()
            .any(|known| known.text() == selector.text() && known.exact() == selector.exact())
        {
            return Ok(());
        }
        self.selectors.push(selector);
        let patterns = self
            .selectors
            .iter()
            .filter(|s| s.exact().is_none())
            .count();
        if self.selectors.len() > SELECTORS_MAX || patterns > PATTERNS_MAX {
            return Err(too_many());
        }
        Ok(())
    }

    /// Which draft of Mercure the query speaks.
    pub(super) fn dialect(&self) -> Option<Dialect> {
        self.dialect
    }
}

/// Where a reader begins: by the header before the URL; else, whoever streams begins now, and
/// whoever polls with all there is, so that asking again and again with the tag of the last answer
/// misses nothing.
pub(super) fn start(request: &Parts, wanted: &Wanted, way: Way) -> Start {
    let said = Start::of_header(&request.headers);
    let said = said
        .or_else(|| wanted.start.clone())
        .or_else(|| wanted.since.clone());
    said.unwrap_or(match way {
        Way::Poll(_) | Way::LongPoll(..) => Start::Earliest,
        Way::Stream(_) | Way::WebSocket => Start::Now,
    })
}

/// Checks that somebody may hear what a selector selects, as far as it is public: with a token they
/// may; without one, if all of it is everybody's.
pub(super) fn check_heard(
    grant: &Grant,
    selector: &Selector,
    options: &ChannelOptions,
) -> Result<(), Refusal> {
    let mut prefixes = options.anonymous.iter();
    let is_open = match selector.exact() {
        Some(topic) => prefixes.any(|prefix| prefix.covers(topic)),
        None => prefixes.any(|prefix| prefix.covers_all_from(selector.start())),
    };
    if is_open || grant.is_of_token() {
        return Ok(());
    }
    let text: String = selector.text().chars().take(80).collect();
    Err(Refusal::missing_token(format!(
        "hearing `{}` takes a token: send it as `Authorization: Bearer TOKEN`, or in the cookie {}",
        text.escape_debug(),
        credentials::COOKIE
    )))
}

/// Splits a path below `/channels/` into names and the ending that says how they are heard.
pub(super) fn names(path: &str) -> Result<(Vec<String>, Option<Suffix>), Refusal> {
    let path = percent_encoding::percent_decode_str(path).decode_utf8();
    let path = path.map_err(|_| Refusal::bad("the path is not UTF-8 once it is decoded"))?;
    let (list, suffix) = match path.rsplit_once('/') {
        Some((list, end)) if Suffix::read(end).is_some() => (list, Suffix::read(end)),
        _ => (path.as_ref(), None),
    };
    let mut names: Vec<String> = Vec::new();
    for name in list.split(',') {
        topic::check_channel(name)?;
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
        if names.len() > SELECTORS_MAX {
            return Err(too_many());
        }
    }
    Ok((names, suffix))
}

/// Returns the fields that all answers have, whatever they say.
pub(super) fn fields(request: &Parts, options: &ChannelOptions, way: Way, wish: Wish) -> HeaderMap {
    let mut fields = HeaderMap::new();
    if wish.suffix.is_none() {
        fields.insert(header::VARY, HeaderValue::from_static("Accept, Prefer"));
    }
    options.origins.share(request, &mut fields);
    if let Some(seconds) = way.preference_applied(request, wish) {
        let applied = HeaderValue::try_from(format!("wait={seconds}"));
        fields.insert("preference-applied", applied.expect("a word and digits"));
    }
    fields
}

/// Returns a head that a `HEAD` is answered with.
pub(super) fn without_body(answer: Answer) -> Answer {
    let head: Response<()> = answer.head;
    Answer {
        head,
        body: super::super::Body::Empty,
        ..answer
    }
}

/// The form for whoever takes any.
pub(super) fn usual(dialect: Dialect) -> Form {
    match dialect {
        Dialect::Channels => Form::Document,
        Dialect::Mercure7 | Dialect::Mercure8 => Form::EventStream,
    }
}

fn flag(value: &str) -> Result<bool, Refusal> {
    match value {
        "1" | "true" | "yes" | "" => Ok(true),
        "0" | "false" | "no" => Ok(false),
        _ => Err(Refusal::bad("`poll` is 1 or 0")),
    }
}

fn known(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Channels => "`since`, `last_event_id`, `poll` and `wait`",
        Dialect::Mercure7 | Dialect::Mercure8 => {
            "`match`, `match_urlpattern` (or `topic`), `last_event_id`, `since`, `poll` and `wait`"
        }
    }
}

fn token_in_url() -> Refusal {
    Refusal::bad(
        "tokens are not taken in the URL, where they would be logged: send `Authorization: Bearer \
         TOKEN` or a cookie",
    )
}

fn too_many() -> Refusal {
    Refusal::bad(format!(
        "one may hear {SELECTORS_MAX} channels at once, of which {PATTERNS_MAX} by a template or \
         pattern: leave some out"
    ))
}
