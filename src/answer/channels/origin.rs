//! Which pages may ask: the server's own, and those of origins that were allowed (RFC 6454, and
//! CORS of the Fetch Standard).
//!
//! Reading across origins is the browser's to prevent, by what is said here. What it would not
//! prevent is checked: publishing, and a WebSocket, which CORS does not cover.

use http::header::{self, HeaderMap, HeaderValue};
use http::request::Parts;
use url::Url;

use super::super::live::own_origin;
use super::refusal::Refusal;

/// Origins that may be allowed.
pub const ORIGINS_MAX: usize = 100;

/// What may be asked with by a page of an allowed origin.
const METHODS: &str = "GET, HEAD, POST, PUT";
const FIELDS: &str = "Authorization, Cache-Control, Content-Type, Idempotency-Key, If-None-Match, \
                      Last-Event-ID, Prefer";
/// What such a page may read of the answer.
const EXPOSED: &str = "ETag, Last-Event-ID, Link, Mercure-Last-Event-ID, Preference-Applied, \
                       Retry-After, WWW-Authenticate";
/// Seconds that a browser may remember the answer to its question: what browsers allow at most.
const PREFLIGHT_SECONDS: &str = "7200";

/// Origins besides the server's own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origins {
    named: Vec<String>,
    any: bool,
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// No page, as far as can be seen.
    Unsaid,
    /// A page of this server.
    Own,
    /// A page of an origin that was named.
    Named,
    /// A page of any origin, where all are allowed: without credentials of the browser's.
    Any,
    /// A page of an origin that was not allowed, or of none.
    Foreign,
}

impl Origins {
    /// Reads origins: `https://app.example.com`, or `*` for all, which then ask without cookies.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, String> {
        let mut origins = Self::default();
        if texts.len() > ORIGINS_MAX {
            return Err(format!("there are more than {ORIGINS_MAX} origins"));
        }
        for text in texts.iter().map(AsRef::as_ref) {
            if text == "*" {
                origins.any = true;
                continue;
            }
            let url = Url::parse(text).ok().filter(|url| url.origin().is_tuple());
            let Some(url) = url else {
                return Err(format!(
                    "`{text}` is no origin: write https://app.example.com, or *"
                ));
            };
            let origin = url.origin().ascii_serialization();
            if !text.trim_end_matches('/').eq_ignore_ascii_case(&origin) {
                return Err(format!("`{text}` is more than an origin: write {origin}"));
            }
            origins.named.push(origin);
        }
        Ok(origins)
    }

    pub(super) fn standing(&self, request: &Parts) -> Standing {
        let mut fields = request.headers.get_all(header::ORIGIN).iter();
        let Some(origin) = fields.next() else {
            return Standing::Unsaid;
        };
        if fields.next().is_some() {
            return Standing::Foreign;
        }
        if own_origin(request).is_some() {
            return Standing::Own;
        }
        // `null` is the origin of sandboxed frames and of files: of nobody in particular.
        let origin = origin.to_str().unwrap_or("null");
        if self
            .named
            .iter()
            .any(|named| named.eq_ignore_ascii_case(origin))
        {
            Standing::Named
        } else if self.any && origin != "null" {
            Standing::Any
        } else {
            Standing::Foreign
        }
    }

    /// Checks that a page may do what its browser would not prevent. `by_cookie`: the browser added
    /// the token by itself, so that who sent it has to be known (draft-08, Security
    /// Considerations).
    pub(super) fn check(&self, request: &Parts, by_cookie: bool) -> Result<(), Refusal> {
        match self.standing(request) {
            Standing::Own | Standing::Named => Ok(()),
            Standing::Unsaid | Standing::Any if !by_cookie => Ok(()),
            Standing::Unsaid => Err(Refusal::forbidden(
                "a token in a cookie needs an `Origin` beside it: send the token in \
                 `Authorization: Bearer` instead",
            )),
            Standing::Any | Standing::Foreign => Err(Refusal::forbidden(
                "pages of this origin may not do that: whoever runs the server can allow it",
            )),
        }
    }

    /// Adds to an answer who may read it.
    pub(super) fn share(&self, request: &Parts, headers: &mut HeaderMap) {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
        let standing = self.standing(request);
        match (standing, request.headers.get(header::ORIGIN)) {
            (Standing::Named, Some(origin)) => {
                headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
                let with = HeaderValue::from_static("true");
                headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, with);
            }
            (Standing::Any, _) => {
                let all = HeaderValue::from_static("*");
                headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, all);
            }
            _ => {
                // Not even as an image of a page of another site.
                let own = HeaderValue::from_static("same-origin");
                headers.insert("cross-origin-resource-policy", own);
                return;
            }
        }
        let exposed = HeaderValue::from_static(EXPOSED);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }

    /// Adds to the answer to a browser's question what a page may ask.
    pub(super) fn preflight(&self, request: &Parts, headers: &mut HeaderMap) {
        if matches!(self.standing(request), Standing::Named | Standing::Any) {
            for (name, value) in [
                (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
                (header::ACCESS_CONTROL_ALLOW_HEADERS, FIELDS),
                (header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS),
            ] {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn request(origins: &[&str]) -> Parts {
        let mut request = Request::builder().uri("https://localhost:8443/channels/a");
        for origin in origins {
            request = request.header("origin", *origin);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn who_asks_is_known_by_the_origin() {
        let none = Origins::default();
        let named = Origins::parse(&["https://app.example.com", "http://localhost:3000/"]).unwrap();
        let any = Origins::parse(&["*", "https://app.example.com"]).unwrap();
        for (origins, sent, standing) in [
            (&none, &[][..], Standing::Unsaid),
            (&none, &["https://localhost:8443"], Standing::Own),
            (&none, &["https://localhost"], Standing::Foreign),
            (&none, &["http://localhost:8443"], Standing::Foreign),
            (&none, &["null"], Standing::Foreign),
            (
                &none,
                &["https://localhost:8443", "https://localhost:8443"],
                Standing::Foreign,
            ),
            (&named, &["https://app.example.com"], Standing::Named),
            (&named, &["http://localhost:3000"], Standing::Named),
            (&named, &["https://app.example.com.evil"], Standing::Foreign),
            (
                &named,
                &["https://evil/https://app.example.com"],
                Standing::Foreign,
            ),
            (&any, &["https://app.example.com"], Standing::Named),
            (&any, &["https://other.example.com"], Standing::Any),
            (&any, &["null"], Standing::Foreign),
        ] {
            assert_eq!(origins.standing(&request(sent)), standing, "{sent:?}");
        }
        for bad in [
            "app.example.com",
            "https://a/b",
            "https://a?x",
            "mailto:a@b",
            "null",
            "",
        ] {
            Origins::parse(&[bad]).unwrap_err();
        }
    }

    #[test]
    fn cookies_need_an_origin_that_was_named() {
        let any = Origins::parse(&["*", "https://app.example.com"]).unwrap();
        for (sent, by_token, by_cookie) in [
            (&[][..], true, false),
            (&["https://localhost:8443"], true, true),
            (&["https://app.example.com"], true, true),
            (&["https://other.example.com"], true, false),
            (&["null"], false, false),
        ] {
            assert_eq!(
                any.check(&request(sent), false).is_ok(),
                by_token,
                "{sent:?}"
            );
            assert_eq!(
                any.check(&request(sent), true).is_ok(),
                by_cookie,
                "{sent:?}"
            );
        }
    }

    #[test]
    fn only_those_allowed_may_read() {
        let any = Origins::parse(&["*", "https://app.example.com"]).unwrap();
        for (origin, allowed, credentials) in [
            ("https://app.example.com", "https://app.example.com", true),
            ("https://other.example.com", "*", false),
            ("https://localhost:8443", "", false),
            ("null", "", false),
        ] {
            let request = request(&[origin]);
            let mut headers = HeaderMap::new();
            any.share(&request, &mut headers);
            any.preflight(&request, &mut headers);
            let value = |name: &str| headers.get(name).map_or("", |v| v.to_str().unwrap());
            assert_eq!(value("access-control-allow-origin"), allowed, "{origin}");
            let has = headers.contains_key("access-control-allow-credentials");
            assert_eq!(has, credentials, "{origin}");
            assert_eq!(value("vary"), "Origin");
            assert_eq!(
                headers.contains_key("access-control-allow-methods"),
                !allowed.is_empty()
            );
            let is_shut = headers.contains_key("cross-origin-resource-policy");
            assert_eq!(is_shut, allowed.is_empty(), "{origin}");
        }
    }
}
