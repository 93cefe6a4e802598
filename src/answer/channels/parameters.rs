//! The query of a request, strictly read, and where in the log a reader begins.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::{self, HeaderMap, HeaderValue};
use percent_encoding::percent_decode_str;

use super::refusal::Refusal;
use crate::hub::EventId;

/// Parameters of a query, or fields of a form.
pub const PARAMETERS_MAX: usize = 256;
/// Bytes of a publisher's own id. A browser asks before it sends a longer `Last-Event-ID` to
/// another origin (Fetch, CORS-safelisted request-header values).
pub const ID_BYTES_MAX: usize = 128;

/// The name of the field that a browser reconnects with (HTML, Server-sent events).
pub(super) const LAST_EVENT_ID: &str = "last-event-id";
/// Asks for all that is kept (draft-07 and draft-08, Reconciliation).
pub(super) const EARLIEST: &str = "earliest";

/// Where a reader begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Start {
    /// With what happens from now on.
    Now,
    /// With the oldest that is kept.
    Earliest,
    /// With the newest of each channel that is kept.
    Latest,
    /// With the first that was published at this time or later.
    Since(SystemTime),
    /// After an event.
    After(Cursor),
}

/// An event that a reader has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cursor {
    /// By its place. [`EventId::UNKNOWN`] is one that could not be read: that is a gap, not a fresh
    /// start, since whoever sends it believes that it has seen something.
    Event(EventId),
    /// By the id that its publisher gave it: the earliest that has it.
    Named(String),
}

impl Cursor {
    /// Reads what a reader sends as the last it has seen.
    pub fn read(text: &str) -> Self {
        match text.parse() {
            Ok(id) => Self::Event(id),
            Err(_) if text.len() <= ID_BYTES_MAX => Self::Named(text.to_owned()),
            Err(_) => Self::Event(EventId::UNKNOWN),
        }
    }
}

impl Start {
    fn after(text: &str) -> Self {
        match text {
            EARLIEST => Self::Earliest,
            text => Self::After(Cursor::read(text)),
        }
    }

    /// Reads ntfy's `since`: `all`, `none`, `latest`, a duration (`10m`, `1h30m`), a unix time, or
    /// the id of an event.
    pub(super) fn since(text: &str, now: SystemTime) -> Result<Self, Refusal> {
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        Ok(match text {
            "all" | EARLIEST => Self::Earliest,
            "none" | "now" => Self::Now,
            "latest" => Self::Latest,
            "" => {
                return Err(Refusal::bad(
                    "`since` is empty: say an id, a unix time, a duration such as 10m, all, latest \
                     or none",
                ));
            }
            _ if is_number => {
                let time = text.parse().ok().map(Duration::from_secs);
                let time = time.and_then(|since| UNIX_EPOCH.checked_add(since));
                let time = time.ok_or_else(|| Refusal::bad("`since` is no time that comes"));
                Self::Since(time?)
            }
            _ => match duration(text) {
                // There is nothing older than time itself.
                Some(ago) => {
                    Self::Since(now.checked_sub(ago).unwrap_or(UNIX_EPOCH).max(UNIX_EPOCH))
                }
                None => Self::After(Cursor::read(text)),
            },
        })
    }

    /// Returns where a reader begins by the header: `Last-Event-ID`, which a browser sends when it
    /// reconnects and which counts more than the URL that it repeats, or else the tag of what a
    /// poll has read (`If-None-Match`).
    pub(super) fn of_header(headers: &HeaderMap) -> Option<Self> {
        match headers.get(LAST_EVENT_ID) {
            Some(id) if !id.is_empty() => {
                let text = str::from_utf8(id.as_bytes());
                Some(text.map_or(Self::After(Cursor::Event(EventId::UNKNOWN)), Self::after))
            }
            _ => {
                let fields = headers.get_all(header::IF_NONE_MATCH).iter();
                let tag = fields.into_iter().find_map(tag)?;
                Some(Self::After(Cursor::Event(tag)))
            }
        }
    }

    /// Returns where a reader begins by a parameter of the query that names the last it has seen.
    pub(super) fn of_parameter(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self::after(text))
    }
}

/// Returns the first tag of a list (RFC 9110 section 8.8.3) that is a cursor.
fn tag(field: &HeaderValue) -> Option<EventId> {
    let mut tags = field.to_str().ok()?.split(',').map(str::trim);
    let cursor = |tag: &str| {
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
    };
    tags.find_map(cursor)
}

/// Reads `10m`, `1h30m`, `2d`: whole numbers, each with its unit.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let unit = match after.as_bytes()[0] {
            b's' => 1,
            b'm' => 60,
            b'h' => 60 * 60,
            b'd' => 24 * 60 * 60,
            _ => return None,
        };
        let part = number.parse::<u64>().ok()?.checked_mul(unit)?;
        seconds = seconds.checked_add(part)?;
        rest = &after[1..];
    }
    (!text.is_empty()).then(|| Duration::from_secs(seconds))
}

/// Reads what a query or a form says: names and values, decoded
/// (application/x-www-form-urlencoded, URL Standard section 5.1), in their order.
///
/// # Errors
/// 400: they are too many, or are no UTF-8.
pub(super) fn read(text: &str) -> Result<Vec<(String, String)>, Refusal> {
    let parts = || text.split('&').filter(|part| !part.is_empty());
    if parts().nth(PARAMETERS_MAX).is_some() {
        return Err(Refusal::bad(format!(
            "there are more than {PARAMETERS_MAX} parameters"
        )));
    }
    let pair = |part: &str| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        Ok((decoded(name)?, decoded(value)?))
    };
    parts().map(pair).collect()
}

fn decoded(text: &str) -> Result<String, Refusal> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode_str(&spaced).decode_utf8();
    let decoded = decoded.map(std::borrow::Cow::into_owned);
    decoded.map_err(|_| Refusal::bad("a parameter is not UTF-8 once it is decoded"))
}

/// Sets what may be said once.
pub(super) fn once<T>(place: &mut Option<T>, value: T, name: &str) -> Result<(), Refusal> {
    if place.replace(value).is_some() {
        return Err(Refusal::bad(format!("`{name}` is said twice: say it once")));
    }
    Ok(())
}

/// Says of a parameter that it is not known. What it is called is somebody's own words.
pub(super) fn unknown(name: &str, known: &str) -> Refusal {
    let name: String = name.chars().take(40).collect();
    Refusal::bad(format!(
        "there is no parameter `{}`: use {known}",
        name.escape_debug()
    ))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Duration = Duration::from_secs(1_000_000);

    fn ago(seconds: u64) -> Start {
        Start::Since(UNIX_EPOCH + NOW - Duration::from_secs(seconds))
    }

    /// ntfy, Subscribe via API, "Fetch cached messages".
    #[test]
    fn since_is_read_as_ntfy_does() {
        let event = |epoch, offset| Start::After(Cursor::Event(EventId { epoch, offset }));
        for (text, start) in [
            ("all", Start::Earliest),
            ("none", Start::Now),
            ("latest", Start::Latest),
            ("10m", ago(600)),
            ("1h30m", ago(5400)),
            ("2d", ago(172_800)),
            ("0s", ago(0)),
            ("999999999d", Start::Since(UNIX_EPOCH)),
            ("5", Start::Since(UNIX_EPOCH + Duration::from_secs(5))),
            ("3.7", event(3, 7)),
            (
                "hwQ2YpKdmg",
                Start::After(Cursor::Named("hwQ2YpKdmg".to_owned())),
            ),
            ("10x", Start::After(Cursor::Named("10x".to_owned()))),
            ("m", Start::After(Cursor::Named("m".to_owned()))),
        ] {
            assert_eq!(Start::since(text, UNIX_EPOCH + NOW), Ok(start), "{text}");
        }
        for bad in ["", "99999999999999999999"] {
            Start::since(bad, UNIX_EPOCH + NOW).unwrap_err();
        }
    }

    #[test]
    fn the_header_says_where_a_reader_was() {
        let event = |offset| Some(Start::After(Cursor::Event(EventId { epoch: 3, offset })));
        let unknown = Some(Start::After(Cursor::Event(EventId::UNKNOWN)));
        let long = "x".repeat(ID_BYTES_MAX + 1);
        for (name, value, start) in [
            ("last-event-id", "3.7", event(7)),
            ("last-event-id", "earliest", Some(Start::Earliest)),
            (
                "last-event-id",
                "urn:uuid:1",
                Some(Start::After(Cursor::Named("urn:uuid:1".to_owned()))),
            ),
            ("last-event-id", "", None),
            ("last-event-id", &long, unknown),
            ("if-none-match", "\"3.7\"", event(7)),
            ("if-none-match", "W/\"3.7\"", event(7)),
            ("if-none-match", "\"x\", \"3.8\"", event(8)),
            ("if-none-match", "*", None),
            ("if-none-match", "3.7", None),
            ("x", "3.7", None),
        ] {
            let mut headers = HeaderMap::new();
            let value = HeaderValue::from_str(value).unwrap();
            headers.insert(header::HeaderName::from_static(name), value.clone());
            assert_eq!(Start::of_header(&headers), start, "{name} {value:?}");
        }
        let mut headers = HeaderMap::new();
        headers.insert("last-event-id", HeaderValue::from_bytes(b"\xff").unwrap());
        headers.insert("if-none-match", HeaderValue::from_static("\"3.7\""));
        assert_eq!(
            Start::of_header(&headers),
            Some(Start::After(Cursor::Event(EventId::UNKNOWN)))
        );
    }

    proptest! {
        #[test]
        fn any_text_is_a_place_or_none(text in any::<String>()) {
            let _ = Start::since(&text, UNIX_EPOCH + NOW);
            let _ = Start::of_parameter(&text);
            let _ = read(&text);
        }

        /// What a client's `URLSearchParams` makes is read as it was meant.
        #[test]
        fn what_is_encoded_is_read(pairs in prop::collection::vec((".+", ".*"), 0..9)) {
            let mut encoder = url::form_urlencoded::Serializer::new(String::new());
            let encoded = encoder.extend_pairs(&pairs).finish();
            prop_assert_eq!(read(&encoded), Ok(pairs));
        }
    }
}
