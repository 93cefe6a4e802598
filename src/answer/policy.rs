//! What whoever runs the server says of all answers: how long they are fresh, who may read them,
//! and what keeps pages safe.
//!
//! What the author of the site says in `_headers` comes after it, and counts more.

use globset::{GlobBuilder, GlobMatcher};
use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::Authority;

use super::authorization::Users;
use crate::site::{Asset, Kind, Named, UrlPath};

/// How long a client may keep what it was told of another origin's requests.
const PREFLIGHT_SECONDS: HeaderValue = HeaderValue::from_static("600");
/// What scripts of other origins may read besides what every script may.
const EXPOSED: HeaderValue = HeaderValue::from_static("Accept-Ranges, Content-Range, ETag");
/// What no cache that others share may hear where users sign in: each of these directives lets it
/// keep what was answered to one of them (RFC 9111 section 3.5).
const SHARING: [&str; 3] = ["public", "s-maxage", "must-revalidate"];
/// Fields that say the same to such caches alone (RFC 9213, and its forerunners).
const SHARED_FIELDS: [HeaderName; 4] = [
    HeaderName::from_static("cdn-cache-control"),
    HeaderName::from_static("cloudflare-cdn-cache-control"),
    HeaderName::from_static("netlify-cdn-cache-control"),
    HeaderName::from_static("surrogate-control"),
];
/// A year, as is usual; subdomains are others' business.
const STRICT_TRANSPORT: HeaderValue = HeaderValue::from_static("max-age=31536000");

/// `Cache-Control` of pages, of what never changes, and of the rest; and where no cache that others
/// share may keep it.
const CHECKED: HeaderValue = HeaderValue::from_static("no-cache");
const IMMUTABLE: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const IMMUTABLE_TO_ONE: HeaderValue =
    HeaderValue::from_static("private, max-age=31536000, immutable");
const FRESH: HeaderValue = HeaderValue::from_static("public, max-age=60");
const FRESH_TO_ONE: HeaderValue = HeaderValue::from_static("private, max-age=60");

/// What `--secure` sends, and why: none of it breaks a page that does not mean to be framed by, or
/// to spy for, another origin. `X-Content-Type-Options: nosniff` is always sent.
pub const SECURE: [(HeaderName, HeaderValue); 5] = [
    // A policy for scripts and styles would have to know them: that is the author's, in _headers.
    (
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("frame-ancestors 'self'"),
    ),
    // The same for browsers that do not know the above.
    (
        header::X_FRAME_OPTIONS,
        HeaderValue::from_static("SAMEORIGIN"),
    ),
    // The path stays here, and nothing at all goes to where it could be read on the way.
    (
        header::REFERRER_POLICY,
        HeaderValue::from_static("strict-origin-when-cross-origin"),
    ),
    // Pop-ups for signing in keep working.
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin-allow-popups"),
    ),
    // What needs consent, and static pages seldom ask for.
    (
        HeaderName::from_static("permissions-policy"),
        HeaderValue::from_static("camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ),
];

/// What whoever runs the server says of all answers. There is one for a process.
#[derive(Debug, Default)]
pub struct Policy {
    /// `--cache`.
    pub cache: Vec<CacheRule>,
    /// `--cors`.
    pub cors: Cors,
    /// `--secure`.
    pub secure: Secure,
    /// `--auth`: who may read answers. No cache that others share may keep one then, whatever
    /// `--cache` and `_headers` say.
    pub users: Option<Users>,
    /// `--spa`: what answers navigations that lead to nothing.
    pub spa: Option<UrlPath>,
    /// `--listing`: whether directories without a page are listed.
    pub listing: bool,
}

/// Which origins may read answers.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub enum Cors {
    /// This one alone.
    #[default]
    Own,
    /// All.
    Any,
    /// This one and these: as `Origin` names them.
    These(Vec<HeaderValue>),
}

/// Whether answers have what keeps pages safe.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Secure {
    /// No.
    #[default]
    Off,
    /// [`SECURE`].
    On,
    /// [`SECURE`], and browsers are told never to come without TLS again: only where the
    /// certificate is one that they trust, and stays one.
    Strict,
}

/// How long files are fresh whose names a pattern matches.
#[derive(Debug, Clone)]
pub struct CacheRule {
    matcher: GlobMatcher,
    value: HeaderValue,
}

impl Secure {
    /// Returns what is sent.
    pub fn fields(self) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
        let all = (self != Self::Off).then_some(SECURE);
        let strict = (header::STRICT_TRANSPORT_SECURITY, STRICT_TRANSPORT);
        let strict = (self == Self::Strict).then_some(strict);
        all.into_iter().flatten().chain(strict)
    }
}

/// No policy at all.
static NONE: Policy = Policy {
    cache: Vec::new(),
    cors: Cors::Own,
    secure: Secure::Off,
    users: None,
    spa: None,
    listing: false,
};

impl Default for &Policy {
    fn default() -> Self {
        &NONE
    }
}

impl CacheRule {
    /// Reads `GLOB=VALUE`. A pattern without a slash matches names in any directory, as in
    /// `.gitignore`.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        // A value has `=` of its own, as in `max-age=60`.
        let (glob, value) = text
            .split_once('=')
            .ok_or("write GLOB=VALUE, such as '*.woff2=public, max-age=31536000'")?;
        let pattern = match glob.strip_prefix('/') {
            Some(path) => path.to_owned(),
            None if glob.contains('/') => glob.to_owned(),
            None => format!("**/{glob}"),
        };
        let matcher = GlobBuilder::new(&pattern)
            .literal_separator(true)
            .build()
            .map_err(|error| error.to_string())?
            .compile_matcher();
        let value = value.trim();
        if glob.is_empty() || value.is_empty() {
            return Err("write GLOB=VALUE: both sides have to say something".to_owned());
        }
        let value = HeaderValue::from_str(value)
            .map_err(|_| format!("`{value}` has characters that no field may have"))?;
        Ok(Self { matcher, value })
    }
}

/// Takes out of a header what says how long an answer may be kept.
pub(super) fn let_nobody_keep(headers: &mut HeaderMap) {
    let fields = [header::CACHE_CONTROL, header::EXPIRES];
    for name in fields.iter().chain(&SHARED_FIELDS) {
        headers.remove(name);
    }
}

impl Policy {
    /// Returns the `Cache-Control` of a file. Without a rule, pages are checked at every visit, so
    /// that what they name is always theirs; a name with a hash in it never changes its bytes; the
    /// rest is fresh for a minute, so that what was sent ahead is used.
    pub(super) fn cache_control(&self, asset: &Asset) -> HeaderValue {
        let path = asset.path.relative();
        let ruled = self
            .cache
            .iter()
            .rev()
            .find(|rule| rule.matcher.is_match(path));
        if let Some(rule) = ruled {
            return rule.value.clone();
        }
        match (asset.kind, asset.named, self.users.is_some()) {
            (Kind::Page, ..) => CHECKED,
            (_, Named::Content, false) => IMMUTABLE,
            (_, Named::Content, true) => IMMUTABLE_TO_ONE,
            (_, Named::Place, false) => FRESH,
            (_, Named::Place, true) => FRESH_TO_ONE,
        }
    }

    /// Adds to the header of any answer what keeps pages safe.
    pub(super) fn secure(&self, request: &Parts, headers: &mut HeaderMap) {
        if self.secure == Secure::Off {
            return;
        }
        let named = || request.headers.get(header::HOST)?.to_str().ok();
        let host = request.uri.host().or_else(named);
        for (name, value) in self.secure.fields() {
            if name == header::STRICT_TRANSPORT_SECURITY && host.is_none_or(is_local) {
                continue;
            }
            // A listing has a stricter policy of its own.
            headers.entry(name).or_insert(value);
        }
    }

    /// Takes out of a header, whoever wrote it, what would let a cache that others share keep what
    /// is for those alone who signed in.
    pub(super) fn protect(&self, headers: &mut HeaderMap) {
        if self.users.is_none() {
            return;
        }
        for name in &SHARED_FIELDS {
            headers.remove(name);
        }
        let fields = headers.get_all(header::CACHE_CONTROL).iter();
        let said = fields
            .filter_map(|field| field.to_str().ok())
            .collect::<Vec<_>>()
            .join(", ");
        let name_of = |directive: &str| {
            let name = directive.split('=').next().unwrap_or_default();
            name.trim().to_ascii_lowercase()
        };
        let directives: Vec<_> = said.split(',').map(str::trim).collect();
        if !directives.iter().any(|it| SHARING.contains(&&*name_of(it))) {
            return;
        }
        let kept = directives
            .iter()
            .filter(|directive| !["public", "s-maxage", "private"].contains(&&*name_of(directive)));
        let kept: Vec<_> = ["private"].iter().chain(kept).copied().collect();
        // The parts of a value are one.
        if let Ok(value) = HeaderValue::try_from(kept.join(", ")) {
            headers.insert(header::CACHE_CONTROL, value);
        }
    }

    /// Says in the header of any answer who may read it (Fetch, section 3.3).
    pub(super) fn share(&self, request: &Parts, headers: &mut HeaderMap) {
        let allowed = match &self.cors {
            Cors::Own => return,
            Cors::Any => Some(HeaderValue::from_static("*")),
            Cors::These(origins) => {
                headers.append(header::VARY, HeaderValue::from_static("Origin"));
                let origin = request.headers.get(header::ORIGIN);
                origins.iter().find(|known| Some(*known) == origin).cloned()
            }
        };
        if let Some(allowed) = allowed {
            // Whoever is named may use what the browser has signed in with; all at once may not.
            if self.users.is_some() && allowed != "*" {
                let yes = HeaderValue::from_static("true");
                headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, yes);
            }
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }

    /// Answers in a header whether a script of another origin may make its request.
    pub(super) fn preflight(&self, request: &Parts, headers: &mut HeaderMap) {
        if !is_preflight(request) || self.cors == Cors::Own {
            return;
        }
        self.share(request, headers);
        if headers
            .remove(header::ACCESS_CONTROL_EXPOSE_HEADERS)
            .is_none()
        {
            return;
        }
        let methods = HeaderValue::from_static("GET, HEAD");
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
        // Nothing here does more for one field than it would without, but for the one that `*`
        // leaves out; and where credentials are allowed, it is no more than a star.
        let asked = request.headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS);
        let fields = match (&self.users, &self.cors) {
            (None, _) => HeaderValue::from_static("*"),
            (Some(_), Cors::These(_)) => asked
                .cloned()
                .unwrap_or(HeaderValue::from_static("Authorization")),
            (Some(_), _) => HeaderValue::from_static("*, Authorization"),
        };
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, fields);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS);
    }
}

/// Returns whether a request asks, for a script of another origin, whether it may make another.
fn is_preflight(request: &Parts) -> bool {
    request.method == Method::OPTIONS
        && request.headers.contains_key(header::ORIGIN)
        && request
            .headers
            .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// A promise never to come without TLS would hold for whatever else runs on this machine.
fn is_local(authority: &str) -> bool {
    let Ok(authority) = authority.parse::<Authority>() else {
        return true;
    };
    let host = authority
        .host()
        .trim_matches(['[', ']'])
        .to_ascii_lowercase();
    host == "localhost" || host.ends_with(".localhost") || host.parse::<std::net::IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_vows_for_what_else_this_machine_serves() {
        for (authority, local) in [
            ("localhost", true),
            ("LOCALHOST:8443", true),
            ("app.localhost:1", true),
            ("127.0.0.1:8443", true),
            ("[::1]:8443", true),
            ("192.168.1.20", true),
            ("a b", true),
            ("a.example", false),
            ("a.example:8443", false),
            ("localhost.example", false),
        ] {
            assert_eq!(is_local(authority), local, "{authority}");
            let policy = Policy {
                secure: Secure::Strict,
                ..Policy::default()
            };
            let request = http::Request::get("/").header(header::HOST, authority);
            let (request, ()) = request.body(()).unwrap().into_parts();
            let mut headers = HeaderMap::new();
            policy.secure(&request, &mut headers);
            let vows = headers.contains_key(header::STRICT_TRANSPORT_SECURITY);
            assert_eq!(vows, !local, "{authority}");
        }
    }
}
