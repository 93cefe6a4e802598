//! The opening of a conversation, over HTTP/1.1 (RFC 6455 section 4.2) and HTTP/2 (RFC 8441).
//!
//! Pure: a request's head in, a response's head out. Whether the URL has a conversation to offer,
//! and to whom, the caller knows; [`is_own_origin`] helps. Read on in [`super::session`].

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Version, header};
use url::Url;

use super::deflate::Deflate;
use super::header_list::elements;

/// The one version (RFC 6455 section 4.1).
const VERSION: HeaderValue = HeaderValue::from_static("13");
/// What every key is joined with (RFC 6455 section 1.3).
const JOINED: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const KEY_BYTES: usize = 16;

/// What the server can agree to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terms<'a> {
    /// The subprotocols that are spoken at this URL.
    pub subprotocols: &'a [&'a str],
    /// Whether messages may be compressed.
    pub compression: Compression,
}

/// Whether messages may be compressed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Compression {
    /// They are sent as they are.
    #[default]
    Off,
    /// Where the client offers permessage-deflate, each is compressed alone.
    Offered,
}

/// A conversation that may begin.
#[derive(Debug)]
pub struct Accepted<'a> {
    /// The response: 101 over HTTP/1.1, 200 over HTTP/2.
    pub response: Response<()>,
    /// The subprotocol that will be spoken: the first the client named that the server speaks.
    pub subprotocol: Option<&'a str>,
    /// How messages will be compressed, for [`super::Options::deflate`].
    pub deflate: Option<Deflate>,
}

/// Why none begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Over HTTP/1.1 it is opened with GET, over HTTP/2 with CONNECT.
    #[error("a WebSocket is not opened with this method")]
    Method,
    /// The request is not one to open a WebSocket.
    #[error("the request asks for no WebSocket: `Upgrade: websocket` and `Connection: Upgrade`")]
    NoUpgrade,
    /// Another version, or none.
    #[error("the WebSocket version is 13")]
    Version,
    /// The key is missing, repeated, or not 16 bytes in base64.
    #[error("`Sec-WebSocket-Key` is 16 bytes in base64")]
    Key,
}

impl Refusal {
    /// Returns the status to answer with.
    pub const fn status(self, over: Version) -> StatusCode {
        match self {
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::NoUpgrade => StatusCode::UPGRADE_REQUIRED,
            // HTTP/2 has no `Upgrade` to require (RFC 9113 section 8.2.2).
            Self::Version if matches!(over, Version::HTTP_11) => StatusCode::UPGRADE_REQUIRED,
            Self::Version | Self::Key => StatusCode::BAD_REQUEST,
        }
    }

    /// Returns the head of the answer; its body may say the refusal itself.
    pub fn response(self, over: Version) -> Response<()> {
        let mut response = Response::new(());
        *response.status_mut() = self.status(over);
        let headers = response.headers_mut();
        if self.status(over) == StatusCode::UPGRADE_REQUIRED {
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
            headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
        }
        match self {
            Self::Method => {
                headers.insert(header::ALLOW, HeaderValue::from_static("GET"));
            }
            Self::Version | Self::NoUpgrade => {
                headers.insert(header::SEC_WEBSOCKET_VERSION, VERSION);
            }
            Self::Key => {}
        }
        response
    }
}

/// Returns whether an HTTP/1.1 request asks to become a WebSocket. It may still be refused.
pub fn is_upgrade(request: &Parts) -> bool {
    request.version == Version::HTTP_11
        && names(&request.headers, &header::UPGRADE, "websocket")
        && names(&request.headers, &header::CONNECTION, "upgrade")
}

/// Opens a conversation over HTTP/1.1 (RFC 6455 section 4.2).
///
/// # Errors
/// The request cannot open one.
pub fn over_http1<'a>(request: &Parts, terms: &Terms<'a>) -> Result<Accepted<'a>, Refusal> {
    if request.method != Method::GET {
        return Err(Refusal::Method);
    }
    if !is_upgrade(request) {
        return Err(Refusal::NoUpgrade);
    }
    version(&request.headers)?;
    let key = only(&request.headers, &header::SEC_WEBSOCKET_KEY).ok_or(Refusal::Key)?;
    let bytes = STANDARD.decode(key).map_err(|_| Refusal::Key)?;
    if bytes.len() != KEY_BYTES {
        return Err(Refusal::Key);
    }
    let mut accepted = accept(&request.headers, terms, StatusCode::SWITCHING_PROTOCOLS);
    let headers = accepted.response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    if let Ok(answer) = HeaderValue::try_from(answer_to(key)) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, answer);
    }
    Ok(accepted)
}

/// Opens a conversation over a stream of HTTP/2 (RFC 8441 section 5). That `:protocol` is
/// `websocket` the caller has seen.
///
/// # Errors
/// The request cannot open one.
pub fn over_http2<'a>(request: &Parts, terms: &Terms<'a>) -> Result<Accepted<'a>, Refusal> {
    if request.method != Method::CONNECT {
        return Err(Refusal::Method);
    }
    version(&request.headers)?;
    Ok(accept(&request.headers, terms, StatusCode::OK))
}

/// Returns whether a script of another origin may not be behind a request: its `Origin` is the
/// server's own, `scheme` and `authority` as the request names them, or one of those allowed, or
/// missing, as from all that is no browser (RFC 6455 section 10.2). Origins are compared as such:
/// `https://a` is `https://A:443`. The opaque origin `null` is nobody's own.
pub fn is_own_origin(
    headers: &HeaderMap,
    scheme: &str,
    authority: &str,
    allowed: &[String],
) -> bool {
    if !headers.contains_key(header::ORIGIN) {
        return true;
    }
    let Some(Ok(origin)) = only(headers, &header::ORIGIN).map(Url::parse) else {
        return false;
    };
    let origin = origin.origin();
    let own = format!("{scheme}://{authority}");
    let mut trusted = std::iter::once(own.as_str()).chain(allowed.iter().map(String::as_str));
    // An opaque origin equals none but itself.
    trusted.any(|trusted| Url::parse(trusted).is_ok_and(|trusted| trusted.origin() == origin))
}

fn accept<'a>(headers: &HeaderMap, terms: &Terms<'a>, status: StatusCode) -> Accepted<'a> {
    let mut response = Response::new(());
    *response.status_mut() = status;
    let subprotocol = choose(headers, terms.subprotocols);
    if let Some(Ok(chosen)) = subprotocol.map(HeaderValue::from_str) {
        response
            .headers_mut()
            .insert(header::SEC_WEBSOCKET_PROTOCOL, chosen);
    }
    let deflate = match terms.compression {
        Compression::Off => None,
        Compression::Offered => Deflate::choose(headers),
    };
    if let Some(Ok(answer)) = deflate.map(|deflate| HeaderValue::try_from(deflate.answer())) {
        response
            .headers_mut()
            .insert(header::SEC_WEBSOCKET_EXTENSIONS, answer);
    }
    Accepted {
        response,
        subprotocol,
        deflate,
    }
}

/// Returns the first subprotocol that a client names and the server speaks.
fn choose<'a>(headers: &HeaderMap, spoken: &[&'a str]) -> Option<&'a str> {
    let fields = headers.get_all(header::SEC_WEBSOCKET_PROTOCOL).iter();
    let fields = fields.filter_map(|field| field.to_str().ok());
    let mut named = fields.flat_map(|field| field.split(',')).map(str::trim);
    named.find_map(|named| spoken.iter().find(|spoken| **spoken == named).copied())
}

fn version(headers: &HeaderMap) -> Result<(), Refusal> {
    let version = only(headers, &header::SEC_WEBSOCKET_VERSION);
    if version == Some("13") {
        Ok(())
    } else {
        Err(Refusal::Version)
    }
}

/// Returns what proves that a key was read by one who knows what it is for.
fn answer_to(key: &str) -> String {
    let joined = format!("{key}{JOINED}");
    STANDARD.encode(digest::digest(
        &digest::SHA1_FOR_LEGACY_USE_ONLY,
        joined.as_bytes(),
    ))
}

/// Returns whether a list names something, in whatever case.
fn names(headers: &HeaderMap, field: &HeaderName, name: &str) -> bool {
    let fields = headers
        .get_all(field)
        .iter()
        .filter_map(|value| value.to_str().ok());
    fields
        .flat_map(elements)
        .any(|element| element.name.eq_ignore_ascii_case(name))
}

/// Returns the value of a field that stands once.
fn only<'a>(headers: &'a HeaderMap, field: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(field).iter();
    let value = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(value.trim())
}
