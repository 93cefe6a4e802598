//! In which way a channel is heard: by polling, long polling, a stream of lines or of events, or a
//! WebSocket. One URL for all: the request says which.

use std::time::Duration;

use http::header::{self, HeaderMap};
use http::request::Parts;
use http::{Method, StatusCode, Version};

use super::super::encoding;
use super::Caller;
use super::refusal::Refusal;

/// A way to hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// What there is, at once.
    Poll(Form),
    /// What there is, or else what comes, within a time.
    LongPoll(Form, Duration),
    /// All that comes, until somebody leaves. Never a document.
    Stream(Form),
    /// Both ways, over RFC 6455 or RFC 8441.
    WebSocket,
}

/// In which form events are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `application/json`: one document.
    Document,
    /// `application/x-ndjson`: an object a line.
    Lines,
    /// `text/plain`: the text of an event a line.
    Raw,
    /// `text/event-stream`.
    EventStream,
}

/// What the path or the query says of the way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wish {
    /// The last segment: `json`, `sse`, `raw`, `ws`.
    pub(super) suffix: Option<Suffix>,
    /// `poll=1`.
    pub(super) is_poll: bool,
    /// `wait=N`.
    pub(super) wait: Option<Duration>,
}

/// ntfy's endings of a channel's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Suffix {
    Json,
    Sse,
    Raw,
    Ws,
}

/// The forms that are negotiated, the one for whoever takes all first.
const NEGOTIATED: [(Form, &str, &str); 3] = [
    (Form::Document, "application", "json"),
    (Form::EventStream, "text", "event-stream"),
    (Form::Lines, "application", "x-ndjson"),
];

impl Form {
    /// `Content-Type`.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Document => "application/json",
            Self::Lines => "application/x-ndjson",
            Self::Raw => "text/plain; charset=utf-8",
            Self::EventStream => "text/event-stream",
        }
    }
}

impl Suffix {
    pub(super) fn read(segment: &str) -> Option<Self> {
        Some(match segment {
            "json" => Self::Json,
            "sse" => Self::Sse,
            "raw" => Self::Raw,
            "ws" => Self::Ws,
            _ => return None,
        })
    }
}

impl Way {
    /// Returns the way that a request asks for. `usual` is the form for whoever takes any.
    ///
    /// # Errors
    /// 400, 406, 426 or 501, with what would be understood.
    pub(super) fn of(
        request: &Parts,
        caller: Caller<'_>,
        wish: Wish,
        usual: Form,
        wait_max: Duration,
    ) -> Result<Self, Refusal> {
        if is_upgrade(request, caller)? {
            return match wish {
                Wish {
                    suffix: None | Some(Suffix::Ws),
                    is_poll: false,
                    wait: None,
                } => Ok(Self::WebSocket),
                _ => Err(Refusal::bad(
                    "a WebSocket takes neither `wait`, `poll` nor another form",
                )),
            };
        }
        let form = match wish.suffix {
            Some(Suffix::Json) => Form::Lines,
            Some(Suffix::Sse) => Form::EventStream,
            Some(Suffix::Raw) => Form::Raw,
            Some(Suffix::Ws) => return Err(upgrade_required(request)),
            None => negotiated(&request.headers, usual)?,
        };
        let preferred = preferred_wait(&request.headers);
        Ok(match (form, wish.wait) {
            (_, Some(_)) if wish.is_poll => {
                return Err(Refusal::bad(
                    "`poll=1` does not wait: leave it or `wait` out",
                ));
            }
            _ if wish.is_poll => Self::Poll(form),
            (_, Some(Duration::ZERO)) => Self::Poll(form),
            (Form::EventStream, Some(_)) => {
                return Err(Refusal::bad(
                    "a stream of events does not end after `wait`: ask for application/json",
                ));
            }
            (_, Some(wait)) => Self::LongPoll(form, wait.min(wait_max)),
            // A preference, unlike a parameter, may be passed over (RFC 7240 section 2).
            (Form::Document, None) => match preferred {
                Some(wait) if !wait.is_zero() => Self::LongPoll(form, wait.min(wait_max)),
                _ => Self::Poll(form),
            },
            (_, None) => Self::Stream(form),
        })
    }

    /// Returns how long the caller preferred to wait, if that is what was decided by
    /// (RFC 7240 section 3).
    pub(super) fn preference_applied(self, request: &Parts, wish: Wish) -> Option<u64> {
        match self {
            Self::LongPoll(_, wait) if wish.wait.is_none() => {
                preferred_wait(&request.headers).map(|_| wait.as_secs())
            }
            _ => None,
        }
    }
}

/// Returns whether a request is to become a WebSocket: by `Upgrade` (RFC 6455 section 4.1), or by
/// extended CONNECT (RFC 8441 section 4).
fn is_upgrade(request: &Parts, caller: Caller<'_>) -> Result<bool, Refusal> {
    if request.method == Method::CONNECT {
        return match caller.protocol {
            Some("websocket") => Ok(true),
            _ => Err(Refusal::new(
                StatusCode::NOT_IMPLEMENTED,
                "a channel is connected to by the protocol `websocket` alone",
            )),
        };
    }
    let has =
        |name, token: &str| tokens(&request.headers, name).any(|t| t.eq_ignore_ascii_case(token));
    // RFC 9110 section 7.8: without the connection option, it was meant for somebody else.
    Ok(request.method == Method::GET
        && request.version == Version::HTTP_11
        && has(header::CONNECTION, "upgrade")
        && has(header::UPGRADE, "websocket"))
}

fn upgrade_required(request: &Parts) -> Refusal {
    const TEXT: &str = "this is a WebSocket's address: connect with one, or ask for `/json`, \
                        `/sse` or `/raw` instead";
    // The field is about a connection, which HTTP/2 has another way to speak of.
    if request.version != Version::HTTP_11 {
        return Refusal::bad(TEXT);
    }
    let protocol = http::HeaderValue::from_static("websocket");
    Refusal {
        field: Some((header::UPGRADE, protocol)),
        ..Refusal::new(StatusCode::UPGRADE_REQUIRED, TEXT)
    }
}

/// Returns the members of a list, over all fields of a name.
fn tokens(headers: &HeaderMap, name: header::HeaderName) -> impl Iterator<Item = &str> {
    let fields = headers.get_all(name).into_iter();
    let readable = fields.filter_map(|field| field.to_str().ok());
    readable.flat_map(|field| field.split(',')).map(str::trim)
}

/// Returns the form that is wanted most; of several, the one said most exactly, then first
/// (RFC 9110 section 12.5.1).
fn negotiated(headers: &HeaderMap, usual: Form) -> Result<Form, Refusal> {
    let ranges: Vec<_> = tokens(headers, header::ACCEPT)
        .filter(|range| !range.is_empty())
        .collect();
    if ranges.is_empty() {
        return Ok(usual);
    }
    let mut best: Option<(u16, u8, usize, Form)> = None;
    for (form, kind, subtype) in NEGOTIATED {
        // The most exact range that names it decides.
        let mut own: Option<(u16, u8, usize)> = None;
        for (place, range) in ranges.iter().enumerate() {
            let Some((quality, exactness)) = quality(range, kind, subtype) else {
                continue;
            };
            if own.is_none_or(|(_, known, _)| exactness > known) {
                own = Some((quality, exactness, usize::MAX - place));
            }
        }
        let Some((quality, exactness, place)) = own.filter(|(quality, ..)| *quality > 0) else {
            continue;
        };
        let rank = (quality, exactness, place);
        let is_better = best.is_none_or(|(q, e, p, known)| {
            rank > (q, e, p) || rank == (q, e, p) && known != usual && form == usual
        });
        if is_better {
            best = Some((quality, exactness, place, form));
        }
    }
    best.map(|(.., form)| form).ok_or_else(|| {
        Refusal::new(
            StatusCode::NOT_ACCEPTABLE,
            "a channel is had as application/json, application/x-ndjson or text/event-stream: \
             accept one of these",
        )
    })
}

/// Returns how much a type is wanted by a range, in thousandths, and how exactly it is named.
fn quality(range: &str, kind: &str, subtype: &str) -> Option<(u16, u8)> {
    let mut parts = range.split(';').map(str::trim);
    let (range_kind, range_subtype) = parts.next()?.split_once('/')?;
    let exactness = match (range_kind, range_subtype) {
        ("*", "*") => 0,
        (named, "*") if named.eq_ignore_ascii_case(kind) => 1,
        (named, sub) if named.eq_ignore_ascii_case(kind) && sub.eq_ignore_ascii_case(subtype) => 2,
        _ => return None,
    };
    let weight = parts.find_map(|part| encoding::weight_in(part.as_bytes()));
    let quality = match weight {
        Some(weight) => encoding::quality(weight)?,
        None => encoding::QUALITY_MAX,
    };
    Some((quality, exactness))
}

/// Returns how long a caller would wait for an answer (RFC 7240 section 4.3). What is malformed is
/// passed over, as preferences are.
fn preferred_wait(headers: &HeaderMap) -> Option<Duration> {
    let mut preferences = tokens(headers, header::HeaderName::from_static("prefer"));
    // The first counts (section 2).
    preferences.find_map(|preference| {
        let preference = preference.split(';').next()?.trim();
        let (name, value) = preference.split_once('=')?;
        if !name.trim_end().eq_ignore_ascii_case("wait") {
            return None;
        }
        seconds(value.trim().trim_matches('"'))
    })
}

/// Reads whole seconds.
pub(super) fn seconds(text: &str) -> Option<Duration> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = text.parse().ok().filter(|_| is_number)?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use http::Request;
    use proptest::prelude::*;

    use super::*;

    fn ask(headers: &[(&str, &str)], wish: Wish) -> Result<Way, StatusCode> {
        let mut request = Request::builder().uri("https://localhost/channels/a");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (request, ()) = request.body(()).unwrap().into_parts();
        let caller = Caller::default();
        let way = Way::of(
            &request,
            caller,
            wish,
            Form::Document,
            Duration::from_mins(1),
        );
        way.map_err(|refusal| refusal.status)
    }

    fn accepting(accept: &str) -> Result<Way, StatusCode> {
        ask(&[("accept", accept)], Wish::default())
    }

    const POLL: Result<Way, StatusCode> = Ok(Way::Poll(Form::Document));
    const LINES: Result<Way, StatusCode> = Ok(Way::Stream(Form::Lines));
    const EVENTS: Result<Way, StatusCode> = Ok(Way::Stream(Form::EventStream));
    const NONE: Result<Way, StatusCode> = Err(StatusCode::NOT_ACCEPTABLE);

    /// RFC 9110 section 12.5.1.
    #[test]
    fn the_type_that_is_accepted_says_the_way() {
        for (accept, way) in [
            ("", POLL),
            ("*/*", POLL),
            ("application/json", POLL),
            ("Application/JSON;charset=utf-8", POLL),
            ("text/event-stream", EVENTS),
            ("text/*", EVENTS),
            ("application/x-ndjson", LINES),
            ("application/*", POLL),
            ("application/json, text/event-stream", POLL),
            ("text/event-stream, application/json", EVENTS),
            ("application/json;q=0.5, text/event-stream;q=0.4", POLL),
            ("application/json;q=0.4, text/event-stream;q=0.5", EVENTS),
            ("*/*, text/event-stream", EVENTS),
            ("*/*;q=0.9, text/event-stream;q=0", POLL),
            ("application/json;q=0, application/*", LINES),
            ("text/html,application/xhtml+xml,*/*;q=0.8", POLL),
            ("text/html", NONE),
            ("application/json;q=0", NONE),
            ("application/json;q=x", NONE),
        ] {
            assert_eq!(accepting(accept), way, "{accept}");
        }
    }

    /// RFC 7240 sections 2 and 4.3.
    #[test]
    fn whoever_prefers_to_wait_does() {
        let long = |seconds| Ok(Way::LongPoll(Form::Document, Duration::from_secs(seconds)));
        for (prefer, way) in [
            ("wait=10", long(10)),
            ("WAIT = 10", long(10)),
            ("respond-async, wait=10;x=y", long(10)),
            ("wait=\"10\"", long(10)),
            ("wait=10, wait=20", long(10)),
            ("wait=100000", long(60)),
            ("wait=0", POLL),
            ("wait", POLL),
            ("wait=-1", POLL),
            ("wait=x", POLL),
            ("respond-async", POLL),
        ] {
            assert_eq!(ask(&[("prefer", prefer)], Wish::default()), way, "{prefer}");
        }
        let both = [("prefer", "wait=10"), ("accept", "text/event-stream")];
        assert_eq!(ask(&both, Wish::default()), EVENTS);
    }

    #[test]
    fn the_url_says_it_more_firmly() {
        let wait = |seconds| Some(Duration::from_secs(seconds));
        let wish = |suffix, is_poll, wait| Wish {
            suffix,
            is_poll,
            wait,
        };
        let bad = Err(StatusCode::BAD_REQUEST);
        for (wish, accept, way) in [
            (wish(Some(Suffix::Json), false, None), "*/*", LINES),
            (
                wish(Some(Suffix::Json), true, None),
                "",
                Ok(Way::Poll(Form::Lines)),
            ),
            (
                wish(Some(Suffix::Sse), false, None),
                "application/json",
                EVENTS,
            ),
            (
                wish(Some(Suffix::Sse), true, None),
                "",
                Ok(Way::Poll(Form::EventStream)),
            ),
            (
                wish(Some(Suffix::Raw), false, None),
                "",
                Ok(Way::Stream(Form::Raw)),
            ),
            (
                wish(Some(Suffix::Raw), true, None),
                "",
                Ok(Way::Poll(Form::Raw)),
            ),
            (
                wish(Some(Suffix::Ws), false, None),
                "",
                Err(StatusCode::UPGRADE_REQUIRED),
            ),
            (
                wish(None, true, None),
                "text/event-stream",
                Ok(Way::Poll(Form::EventStream)),
            ),
            (
                wish(None, false, wait(5)),
                "",
                Ok(Way::LongPoll(Form::Document, wait(5).unwrap())),
            ),
            (wish(None, false, wait(0)), "", POLL),
            (wish(None, false, wait(5)), "text/event-stream", bad),
            (wish(None, true, wait(5)), "", bad),
            (
                wish(None, false, wait(5)),
                "application/x-ndjson",
                Ok(Way::LongPoll(Form::Lines, wait(5).unwrap())),
            ),
        ] {
            assert_eq!(ask(&[("accept", accept)], wish), way, "{wish:?} {accept}");
        }
    }

    /// RFC 6455 section 4.1, RFC 9110 section 7.8, RFC 8441 section 4.
    #[test]
    fn a_web_socket_is_asked_for_by_upgrade_or_connect() {
        let way = |method: &str, version, headers: &[(&str, &str)], protocol, suffix| {
            let mut request = Request::builder()
                .method(method)
                .version(version)
                .uri("/channels/a");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let (request, ()) = request.body(()).unwrap().into_parts();
            let caller = Caller {
                protocol,
                ..Caller::default()
            };
            let wish = Wish {
                suffix,
                ..Wish::default()
            };
            let way = Way::of(&request, caller, wish, Form::Document, Duration::ZERO);
            way.map_err(|refusal| (refusal.status.as_u16(), refusal.field.is_some()))
        };
        let upgrade = [
            ("connection", "keep-alive, Upgrade"),
            ("upgrade", "WebSocket"),
        ];
        let (one, two) = (Version::HTTP_11, Version::HTTP_2);
        let poll = Ok(Way::Poll(Form::Document));
        assert_eq!(way("GET", one, &upgrade, None, None), Ok(Way::WebSocket));
        assert_eq!(
            way("GET", one, &upgrade, None, Some(Suffix::Ws)),
            Ok(Way::WebSocket)
        );
        assert_eq!(
            way("GET", one, &upgrade, None, Some(Suffix::Sse)),
            Err((400, false))
        );
        assert_eq!(way("GET", one, &upgrade[1..], None, None), poll);
        assert_eq!(way("GET", two, &upgrade, None, None), poll);
        assert_eq!(
            way("GET", one, &[], None, Some(Suffix::Ws)),
            Err((426, true))
        );
        assert_eq!(
            way("GET", two, &[], None, Some(Suffix::Ws)),
            Err((400, false))
        );
        let connect = |protocol| way("CONNECT", two, &[], protocol, None);
        assert_eq!(connect(Some("websocket")), Ok(Way::WebSocket));
        assert_eq!(connect(Some("connect-udp")), Err((501, false)));
        assert_eq!(connect(None), Err((501, false)));
    }

    proptest! {
        #[test]
        fn no_field_is_too_much(accept in "[ -~]{0,60}", prefer in "[ -~]{0,40}") {
            let _ = ask(&[("accept", &accept), ("prefer", &prefer)], Wish::default());
        }
    }
}
