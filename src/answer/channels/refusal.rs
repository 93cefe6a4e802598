//! What is said to whoever may not, or asked wrongly: a status, a line that says the fix, and the
//! challenge of RFC 6750.

use std::borrow::Cow;

use bytes::Bytes;
use http::StatusCode;
use http::header::{self, HeaderName, HeaderValue};

use super::super::{Answer, Body, Moment, plain};

/// Why a request is refused, and what would help.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status.
    pub status: StatusCode,
    /// What is wrong and how to mend it: one line, lower case, no full stop.
    pub text: Cow<'static, str>,
    /// What `WWW-Authenticate` says, if it is about who asks.
    pub challenge: Option<Challenge>,
    /// A field that the status asks for: `Allow`, for example.
    pub field: Option<(HeaderName, HeaderValue)>,
}

/// What is asked of whoever has to prove who they are (RFC 6750 section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// No token came: no error code, only the scheme.
    Missing,
    /// `invalid_token`: not one that is known here, or no longer. Which of these is not said.
    Invalid,
    /// `insufficient_scope`: a good token that does not allow this.
    Scope,
    /// `invalid_request`: it cannot be understood.
    Request,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            text: text.into(),
            challenge: None,
            field: None,
        }
    }

    /// 400: it cannot be understood.
    pub(super) fn bad(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// 413.
    pub(super) fn too_large(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, text)
    }

    /// 415.
    pub(super) fn media_type(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
    }

    /// 403 for a reason that no token would mend.
    pub(super) fn forbidden(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, text)
    }

    /// 401 without an error code: there is no token.
    pub(super) fn missing_token(text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            challenge: Some(Challenge::Missing),
            ..Self::new(StatusCode::UNAUTHORIZED, text)
        }
    }

    /// 401 `invalid_token`.
    pub(super) fn invalid_token() -> Self {
        Self {
            challenge: Some(Challenge::Invalid),
            ..Self::new(
                StatusCode::UNAUTHORIZED,
                "the token is not valid here: send one that is signed by a key of this server, \
                 meant for it, and not expired",
            )
        }
    }

    /// 403 `insufficient_scope`.
    pub(super) fn scope(text: impl Into<Cow<'static, str>>) -> Self {
        Self {
            challenge: Some(Challenge::Scope),
            ..Self::new(StatusCode::FORBIDDEN, text)
        }
    }

    /// 405.
    pub(super) fn method(allowed: &'static str) -> Self {
        Self {
            field: Some((header::ALLOW, HeaderValue::from_static(allowed))),
            ..Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                format!("use one of {allowed}"),
            )
        }
    }

    /// Says of a request that cannot be understood what RFC 6750 section 3.1 asks for.
    pub(super) fn challenged(mut self) -> Self {
        if self.status == StatusCode::BAD_REQUEST {
            self.challenge = Some(Challenge::Request);
        }
        self
    }

    /// Returns the answer: the status, and the line as plain text.
    pub fn answer(&self, moment: &Moment) -> Answer {
        let mut answer = plain(self.status, moment);
        let text = format!("{}: {}\n", self.status.as_u16(), self.text);
        let headers = answer.head.headers_mut();
        headers.insert(header::CONTENT_LENGTH, text.len().into());
        for (name, value) in [
            (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
            (header::CACHE_CONTROL, "no-store"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, challenge.field());
        }
        if let Some((name, value)) = &self.field {
            headers.insert(name, value.clone());
        }
        answer.body = Body::Memory(Bytes::from(text));
        answer
    }
}

impl Challenge {
    fn field(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Missing => "Bearer realm=\"channels\"",
            Self::Invalid => "Bearer realm=\"channels\", error=\"invalid_token\"",
            Self::Scope => "Bearer realm=\"channels\", error=\"insufficient_scope\"",
            Self::Request => "Bearer realm=\"channels\", error=\"invalid_request\"",
        })
    }
}
