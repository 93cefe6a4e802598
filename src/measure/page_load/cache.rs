//! What a client keeps of one visit for the next: responses with their validators (RFC 9111).
//!
//! A private cache in memory. `Vary` is only looked at for `*`: one client asks for one URL in one
//! way. Nothing is guessed of a response that says nothing of its lifetime. Knows no clock: the
//! time between two visits is told with [`Cache::pass`].

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use url::Url;

/// Bytes of bodies that are kept; what does not fit is not kept.
const CACHE_BYTES_MAX: usize = 256 << 20;

/// Responses that are kept between visits.
#[derive(Debug, Clone)]
pub struct Cache {
    stored: BTreeMap<Url, Arc<Stored>>,
    bytes: usize,
    bytes_max: usize,
}

/// One kept response.
#[derive(Debug, Clone)]
pub(super) struct Stored {
    pub(super) content_type: String,
    pub(super) body: Bytes,
    pub(super) tag: Option<HeaderValue>,
    pub(super) modified: Option<HeaderValue>,
    /// How much longer it may be used without asking.
    lifetime: Duration,
}

/// What the cache has for a URL.
#[derive(Debug)]
pub(super) enum Held {
    /// May be used as it is.
    Fresh(Arc<Stored>),
    /// May be used if the server says so.
    Stale(Arc<Stored>),
    /// Nothing of use.
    Nothing,
}

impl Default for Cache {
    fn default() -> Self {
        Self {
            stored: BTreeMap::new(),
            bytes: 0,
            bytes_max: CACHE_BYTES_MAX,
        }
    }
}

impl Cache {
    /// Returns how many responses it keeps.
    pub fn len(&self) -> usize {
        self.stored.len()
    }

    /// Returns whether it keeps none.
    pub fn is_empty(&self) -> bool {
        self.stored.is_empty()
    }

    /// Drops the response of a URL, and returns whether there was one.
    pub fn forget(&mut self, url: &Url) -> bool {
        let dropped = self.stored.remove(&key(url));
        self.bytes -= dropped.as_ref().map_or(0, |stored| stored.body.len());
        dropped.is_some()
    }

    /// Lets time pass: what it uses up of a lifetime makes responses stale.
    pub fn pass(&mut self, time: Duration) {
        for stored in self.stored.values_mut() {
            let stored = Arc::make_mut(stored);
            stored.lifetime = stored.lifetime.saturating_sub(time);
        }
    }

    /// Returns what there is for a URL.
    pub(super) fn find(&self, url: &Url) -> Held {
        match self.stored.get(&key(url)) {
            Some(stored) if stored.lifetime > Duration::ZERO => Held::Fresh(stored.clone()),
            Some(stored) if stored.condition().is_some() => Held::Stale(stored.clone()),
            _ => Held::Nothing,
        }
    }

    /// Keeps a whole response to a GET, if its status and headers allow it and it can be of use
    /// (RFC 9111 section 3).
    pub(super) fn store(&mut self, url: &Url, status: u16, headers: &HeaderMap, body: &[Bytes]) {
        self.forget(url);
        let bytes = body.iter().map(Bytes::len).sum::<usize>();
        if status != 200 || !may_store(headers) || self.bytes + bytes > self.bytes_max {
            return;
        }
        let stored = Stored {
            content_type: text(headers, &header::CONTENT_TYPE).to_owned(),
            body: body.concat().into(),
            tag: headers.get(header::ETAG).cloned(),
            modified: headers.get(header::LAST_MODIFIED).cloned(),
            lifetime: lifetime(headers),
        };
        if stored.lifetime > Duration::ZERO || stored.tag.is_some() || stored.modified.is_some() {
            self.bytes += bytes;
            self.stored.insert(key(url), Arc::new(stored));
        }
    }

    /// Updates a response after a 304 (RFC 9111 section 4.3.4).
    pub(super) fn validated(&mut self, url: &Url, headers: &HeaderMap) {
        let Some(stored) = self.stored.get_mut(&key(url)) else {
            return;
        };
        let stored = Arc::make_mut(stored);
        if let Some(tag) = headers.get(header::ETAG) {
            stored.tag = Some(tag.clone());
        }
        if let Some(modified) = headers.get(header::LAST_MODIFIED) {
            stored.modified = Some(modified.clone());
        }
        if headers.contains_key(header::CACHE_CONTROL) || headers.contains_key(header::EXPIRES) {
            stored.lifetime = lifetime(headers);
        }
    }
}

impl Stored {
    /// Returns the header that makes a request for it conditional, if it has a validator
    /// (RFC 9110 section 13.1).
    pub(super) fn condition(&self) -> Option<(HeaderName, &HeaderValue)> {
        let tag = self.tag.as_ref().map(|tag| (header::IF_NONE_MATCH, tag));
        let modified = self.modified.as_ref();
        tag.or_else(|| modified.map(|date| (header::IF_MODIFIED_SINCE, date)))
    }
}

/// A fragment is never part of what is asked for.
pub(super) fn key(url: &Url) -> Url {
    let mut url = url.clone();
    url.set_fragment(None);
    url
}

fn may_store(headers: &HeaderMap) -> bool {
    directive(headers, "no-store").is_none() && text(headers, &header::VARY).trim() != "*"
}

/// Returns how long a response may be used without asking (RFC 9111 section 4.2).
fn lifetime(headers: &HeaderMap) -> Duration {
    if directive(headers, "no-cache").is_some() {
        return Duration::ZERO;
    }
    let seconds = |text: &str| text.trim_matches('"').parse().ok().map(Duration::from_secs);
    let age = seconds(text(headers, &header::AGE)).unwrap_or_default();
    let lifetime = match directive(headers, "max-age") {
        Some(value) => seconds(value),
        None => expires(headers),
    };
    lifetime.unwrap_or_default().saturating_sub(age)
}

fn expires(headers: &HeaderMap) -> Option<Duration> {
    let date = |name| httpdate::parse_http_date(text(headers, name)).ok();
    let (expires, now) = (date(&header::EXPIRES)?, date(&header::DATE)?);
    expires.duration_since(now).ok()
}

/// Returns the value of a `Cache-Control` directive, empty if it has none.
fn directive<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let fields = headers.get_all(header::CACHE_CONTROL).into_iter();
    let directives = fields.flat_map(|field| field.to_str().unwrap_or_default().split(','));
    directives
        .map(|directive| directive.split_once('=').unwrap_or((directive, "")))
        .find(|(known, _)| known.trim().eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

pub(super) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> &'a str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = fields.iter().map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_str(value).unwrap())
        });
        pairs.collect()
    }

    #[track_caller]
    fn check(fields: &[(&'static str, &str)], expected: &str) {
        let url = Url::parse("https://localhost/a.css#part").unwrap();
        let mut cache = Cache::default();
        cache.store(&url, 200, &headers(fields), &[Bytes::from_static(b"a{}")]);
        let held = match cache.find(&key(&url)) {
            Held::Fresh(_) => "fresh",
            Held::Stale(_) => "stale",
            Held::Nothing => "nothing",
        };
        assert_eq!(held, expected, "{fields:?}");
    }

    #[test]
    fn headers_say_what_is_kept_and_for_how_long() {
        let tag = ("etag", "\"1\"");
        check(&[tag], "stale");
        check(
            &[("last-modified", "Thu, 01 Jan 1970 00:00:00 GMT")],
            "stale",
        );
        check(&[], "nothing");
        check(&[("cache-control", "max-age=60")], "fresh");
        check(
            &[("cache-control", "public, Max-Age=60, immutable")],
            "fresh",
        );
        check(
            &[("cache-control", "max-age=60"), ("age", "60"), tag],
            "stale",
        );
        check(&[("cache-control", "max-age=0"), tag], "stale");
        check(&[("cache-control", "no-cache, max-age=60"), tag], "stale");
        check(&[("cache-control", "max-age=nonsense")], "nothing");
        check(&[("cache-control", "max-age=60, no-store"), tag], "nothing");
        check(&[("cache-control", "max-age=60"), ("vary", "*")], "nothing");
        check(
            &[
                ("date", "Thu, 01 Jan 1970 00:00:00 GMT"),
                ("expires", "Thu, 01 Jan 1970 00:01:00 GMT"),
            ],
            "fresh",
        );
        check(&[("expires", "0"), tag], "stale");
    }

    #[test]
    fn time_uses_up_lifetimes_and_a_304_renews_them() {
        let url = Url::parse("https://localhost/").unwrap();
        let mut cache = Cache::default();
        let minute = headers(&[("cache-control", "max-age=60"), ("etag", "\"1\"")]);
        cache.store(&url, 200, &minute, &[]);
        let kept = cache.clone();
        cache.pass(Duration::from_mins(1));
        assert!(matches!(cache.find(&url), Held::Stale(_)));
        assert!(matches!(kept.find(&url), Held::Fresh(_)));
        cache.validated(&url, &minute);
        assert!(matches!(cache.find(&url), Held::Fresh(_)));
        assert!(cache.forget(&url) && !cache.forget(&url) && cache.is_empty());
    }

    #[test]
    fn no_more_is_kept_than_the_limit() {
        let url = |index: usize| Url::parse(&format!("https://localhost/{index}")).unwrap();
        let tag = headers(&[("etag", "\"1\"")]);
        let body = Bytes::from_static(&[0; 4]);
        let mut cache = Cache {
            bytes_max: 8,
            ..Cache::default()
        };
        for index in 0..3 {
            cache.store(&url(index), 200, &tag, std::slice::from_ref(&body));
        }
        assert_eq!(cache.len(), 2);
        cache.store(
            &url(0),
            200,
            &headers(&[("cache-control", "no-store")]),
            &[],
        );
        assert_eq!(cache.len(), 1);
        cache.store(&url(2), 200, &tag, &[body]);
        assert_eq!(cache.len(), 2);
    }
}
