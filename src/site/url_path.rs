//! Paths and URLs of the site, in the one form in which they cannot leave its root.
//!
//! Whatever is not such a path is refused here, once, so that nothing below has to look again.
//! Knows nothing of the disk. Read on in `load`.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

/// Longest path, in decoded bytes: no file system of today takes more (`PATH_MAX` of Linux).
pub const PATH_BYTES_MAX: usize = 4096;

/// Longest path and query together, in bytes as sent. RFC 9110 section 4.1 asks for at least 8000.
pub const TARGET_BYTES_MAX: usize = 16 * 1024;

/// The file that answers for a directory.
pub(super) const INDEX: &str = "index.html";

/// The directory whose name may begin with a dot (RFC 8615), as the first segment of a path only.
const WELL_KNOWN: &str = ".well-known";

/// The document sent with status 404.
pub const NOT_FOUND: &str = "/404.html";

/// What the author says to the server: not content.
const OVERRIDES: &str = "/push.toml";
/// Settings of the server, which are read beside the site where that is the current directory.
const SETTINGS: &str = "/forerun.toml";
/// As [`OVERRIDES`].
const HEADERS: &str = "/_headers";
/// As [`OVERRIDES`].
const REDIRECTS: &str = "/_redirects";

/// What a page's name ends with, which its URL may leave out.
pub(super) const HTML: &str = ".html";

/// The path percent-encode set of the URL Standard, and `%`, which in a decoded path stands for
/// itself.
pub(super) const PATH_SET: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// The path of a URL of this site, percent-decoded: absolute, UTF-8, without empty or dot segments,
/// control characters, backslashes or hidden names. `/` alone and a trailing slash name
/// directories.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UrlPath(Arc<str>);

/// Why a request target is not a [`UrlPath`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadPath {
    /// Not a path that any file could have: answered 400.
    #[error("malformed path")]
    Malformed,
    /// A well-formed path that is never served, such as a dotfile: answered 404.
    #[error("path is not served")]
    Hidden,
}

impl UrlPath {
    /// Reads the percent-encoded path of a request target, without its query.
    ///
    /// # Errors
    /// [`BadPath::Malformed`] for what no browser sends and no file is called: a path that is not
    /// absolute, a bad percent escape, bytes that are not UTF-8 (overlong forms among them),
    /// control characters, backslashes, encoded slashes, dot segments, or more than
    /// [`PATH_BYTES_MAX`].
    /// [`BadPath::Hidden`] for empty segments (`//host/`), names that begin with a dot (except
    /// `/.well-known/`), and `/push.toml`, `/forerun.toml`, `/_headers` and `/_redirects`.
    pub fn parse(encoded: &str) -> Result<Self, BadPath> {
        if !encoded.starts_with('/') || !has_valid_escapes(encoded) {
            return Err(BadPath::Malformed);
        }
        let decoded = percent_decode_str(encoded)
            .decode_utf8()
            .map_err(|_| BadPath::Malformed)?;
        // A slash that was encoded would add a segment that nobody saw while routing.
        if slashes(&decoded) != slashes(encoded) {
            return Err(BadPath::Malformed);
        }
        Self::decoded(&decoded)
    }

    /// Reads a path that is not percent-encoded, such as a name on disk gives it.
    ///
    /// # Errors
    /// As for [`Self::parse`].
    pub fn decoded(decoded: &str) -> Result<Self, BadPath> {
        if !decoded.starts_with('/') {
            return Err(BadPath::Malformed);
        }
        if decoded.len() > PATH_BYTES_MAX || decoded.contains(is_forbidden) {
            return Err(BadPath::Malformed);
        }
        let segments = decoded[1..].strip_suffix('/').unwrap_or(&decoded[1..]);
        // Browsers resolve dot segments before they ask; whoever sends one is probing.
        if segments
            .split('/')
            .any(|segment| matches!(segment, "." | ".."))
        {
            return Err(BadPath::Malformed);
        }
        let is_root = decoded.len() == 1;
        if !is_root && is_hidden(segments) || is_said_to_server(decoded) {
            return Err(BadPath::Hidden);
        }
        Ok(Self(decoded.into()))
    }

    /// The document that answers for what is missing.
    pub(crate) fn not_found() -> Self {
        Self(NOT_FOUND.into())
    }

    /// The file that gives plans by hand: it is read, and never served.
    pub(super) fn overrides() -> Self {
        Self(OVERRIDES.into())
    }

    /// The file that gives header fields.
    pub(super) fn headers() -> Self {
        Self(HEADERS.into())
    }

    /// The file that gives redirects.
    pub(super) fn redirects() -> Self {
        Self(REDIRECTS.into())
    }

    /// Returns the decoded path, starting with `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the path percent-encoded as the URL Standard serialises it. It begins with exactly
    /// one slash, so that a redirect to it stays on this host.
    pub fn to_target(&self) -> String {
        utf8_percent_encode(&self.0, PATH_SET).to_string()
    }

    /// Returns whether the path names a directory: it ends with a slash.
    pub fn is_directory(&self) -> bool {
        self.0.ends_with('/')
    }

    /// Returns the path of the file that answers: for a directory its `index.html`, else the path
    /// itself.
    #[must_use]
    pub fn file(&self) -> Self {
        if self.is_directory() {
            Self(format!("{}{INDEX}", self.0).into())
        } else {
            self.clone()
        }
    }

    /// Returns the path of the page of the directory that this names, with its slash or without.
    pub(super) fn index(&self) -> Self {
        self.with_slash().file()
    }

    /// Returns the directory that this file answers for: `/docs/` for `/docs/index.html`.
    pub fn directory(&self) -> Option<Self> {
        let directory = self.0.strip_suffix(INDEX)?;
        directory.ends_with('/').then(|| Self(directory.into()))
    }

    /// Returns the page that answers where nothing else does: `/about.html` for `/about`. `None`
    /// for a directory.
    pub fn with_html(&self) -> Option<Self> {
        (!self.is_directory()).then(|| Self(format!("{}{HTML}", self.0).into()))
    }

    /// Returns the other paths at which a page is found: `/docs/` for `/docs/index.html`, `/about`
    /// for `/about.html`.
    pub fn shorter(&self) -> Option<Self> {
        self.directory().or_else(|| {
            let bare = self.0.strip_suffix(HTML)?;
            (!bare.ends_with('/')).then(|| Self(bare.into()))
        })
    }

    /// Returns the path with a slash at its end.
    #[must_use]
    pub fn with_slash(&self) -> Self {
        if self.is_directory() {
            self.clone()
        } else {
            Self(format!("{}/", self.0).into())
        }
    }

    /// Returns the directory that holds what the path names, with a slash at its end; `None` for
    /// the root.
    pub fn parent(&self) -> Option<Self> {
        let name = self.0.strip_suffix('/').unwrap_or(&self.0);
        let slash = name.rfind('/')?;
        Some(Self(self.0[..=slash].into()))
    }

    /// Returns the last segment, without a trailing slash; empty for the root.
    pub fn name(&self) -> &str {
        let path = self.0.strip_suffix('/').unwrap_or(&self.0);
        path.rsplit_once('/').map_or("", |(_, name)| name)
    }

    /// Returns the path relative to the root, as files are opened; `.` for the root.
    pub fn relative(&self) -> &str {
        let relative = self.0[1..].strip_suffix('/').unwrap_or(&self.0[1..]);
        if relative.is_empty() { "." } else { relative }
    }
}

impl Borrow<str> for UrlPath {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UrlPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A URL of this site as a browser asks for it: path and query, percent-encoded as the URL
/// Standard serialises them, beside the decoded path that names the file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SiteUrl {
    target: Arc<str>,
    path: UrlPath,
}

impl SiteUrl {
    /// Reads a request target in origin form (RFC 9112 section 3.2.1): a path and an optional
    /// query. It is kept as it was sent; only characters outside ASCII, which some clients leave as
    /// they are, become percent-encoded.
    ///
    /// # Errors
    /// As [`UrlPath::parse`]; [`BadPath::Malformed`] also for a fragment, for a space or a control
    /// character in the query, and for more than [`TARGET_BYTES_MAX`].
    pub fn parse(target: &str) -> Result<Self, BadPath> {
        let is_malformed = |character: char| character == '#' || character == ' ';
        if target.len() > TARGET_BYTES_MAX
            || target.contains(is_malformed)
            || target.contains(char::is_control)
        {
            return Err(BadPath::Malformed);
        }
        let path = UrlPath::parse(target.split_once('?').map_or(target, |(path, _)| path))?;
        let target = if target.is_ascii() {
            target.into()
        } else {
            utf8_percent_encode(target, CONTROLS).to_string().into()
        };
        Ok(Self { target, path })
    }

    /// Returns path and query as they stand in `:path`.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Returns the decoded path, without the query.
    pub fn path(&self) -> &UrlPath {
        &self.path
    }

    /// Returns the query without its question mark, if there is one.
    pub fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }
}

impl From<UrlPath> for SiteUrl {
    fn from(path: UrlPath) -> Self {
        Self {
            target: path.to_target().into(),
            path,
        }
    }
}

/// Returns whether a path is that of a file for the server alone.
fn is_said_to_server(decoded: &str) -> bool {
    matches!(decoded, OVERRIDES | SETTINGS | HEADERS | REDIRECTS)
}

/// Returns whether each `%` begins an escape of two hexadecimal digits.
fn has_valid_escapes(encoded: &str) -> bool {
    encoded.split('%').skip(1).all(|after| {
        matches!(after.as_bytes(), [high, low, ..]
            if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
    })
}

/// A backslash is a slash to some clients and systems; a control character is nobody's file name.
fn is_forbidden(character: char) -> bool {
    character == '\\' || character.is_control()
}

fn slashes(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'/').count()
}

/// Returns whether a name is never served. Only the directory `/.well-known/` may begin with a dot,
/// not what lies in it.
fn is_hidden(segments: &str) -> bool {
    segments.split('/').enumerate().any(|(index, segment)| {
        let is_well_known = index == 0 && segment == WELL_KNOWN;
        segment.is_empty() || segment.starts_with('.') && !is_well_known
    })
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(encoded: &str, expected: Result<&str, BadPath>) {
        let path = UrlPath::parse(encoded);
        assert_eq!(
            path.as_ref().map(UrlPath::as_str).map_err(|bad| *bad),
            expected,
            "{encoded:?}"
        );
    }

    fn path(encoded: &str) -> UrlPath {
        UrlPath::parse(encoded).unwrap()
    }

    #[test]
    fn ordinary_paths_are_decoded() {
        check("/", Ok("/"));
        check("/a.html", Ok("/a.html"));
        check("/docs/", Ok("/docs/"));
        check("/a%20b/%C3%A4.css", Ok("/a b/ä.css"));
        check("/ä.css", Ok("/ä.css"));
        check("/100%25", Ok("/100%"));
        check("/a..b/c...", Ok("/a..b/c..."));
        check("/what%3F%23", Ok("/what?#"));
        check("/docs/push.toml", Ok("/docs/push.toml"));
    }

    #[test]
    fn what_no_file_is_called_is_malformed() {
        for encoded in [
            "",
            "*",
            "a",
            "http://host/",
            "%2fa",
            "?",
            "/..",
            "/../a",
            "/a/..",
            "/a/../b",
            "/./a",
            "/a/.",
            "/%2e%2e/a",
            "/%2E./a",
            "/.%2e/",
            "/..%2fa",
            "/a%2fb",
            "/a%2Fb",
            "/%00",
            "/a%00.html",
            "/a\0",
            "/%ff",
            "/%c0%af",
            "/%c0%ae%c0%ae/",
            "/%e0%80%af",
            "/%ed%a0%80",
            "/\\a",
            "/..\\a",
            "/a%5cb",
            "/%5C",
            "/%0d%0aSet-Cookie:x",
            "/%7f",
            "/%c2%85",
            "/%",
            "/%a",
            "/%zz",
            "/%+1",
            "/%%41",
            "//..",
            "//host/%2e%2e",
        ] {
            check(encoded, Err(BadPath::Malformed));
        }
        check(
            &format!("/{}", "a".repeat(PATH_BYTES_MAX)),
            Err(BadPath::Malformed),
        );
        UrlPath::parse(&format!("/{}", "%61".repeat(PATH_BYTES_MAX - 1))).unwrap();
    }

    #[test]
    fn what_is_never_served_is_hidden() {
        for encoded in [
            "//",
            "//host/",
            "//host",
            "/a//b",
            "/a//",
            "///",
            "/.git/config",
            "/.env",
            "/a/.htaccess",
            "/%2egit/",
            "/.../a",
            "/a/.well-known/b",
            "/.well-known/.git/config",
            "/push.toml",
            "/push%2etoml",
            "/forerun.toml",
            "/.well-knowns",
        ] {
            check(encoded, Err(BadPath::Hidden));
        }
        check("/.well-known", Ok("/.well-known"));
        check("/.well-known/", Ok("/.well-known/"));
        check(
            "/.well-known/acme-challenge/x",
            Ok("/.well-known/acme-challenge/x"),
        );
    }

    #[test]
    fn a_path_knows_its_neighbours() {
        assert_eq!(path("/docs/").file(), path("/docs/index.html"));
        assert_eq!(path("/").file(), path("/index.html"));
        assert_eq!(path("/a.css").file(), path("/a.css"));
        assert_eq!(path("/docs/index.html").directory(), Some(path("/docs/")));
        assert_eq!(path("/index.html").directory(), Some(path("/")));
        assert_eq!(path("/my-index.html").directory(), None);
        assert_eq!(path("/docs").with_slash(), path("/docs/"));
        assert_eq!(path("/a/b.css").parent(), Some(path("/a/")));
        assert_eq!(path("/a/b/").parent(), Some(path("/a/")));
        assert_eq!(path("/a").parent(), Some(path("/")));
        assert_eq!(path("/").parent(), None);
        assert_eq!(
            [path("/").name(), path("/a/b/").name(), path("/a/c").name()],
            ["", "b", "c"]
        );
        let relative = ["/", "/a/b/", "/a/c"].map(|encoded| path(encoded).relative().to_owned());
        assert_eq!(relative, [".", "a/b", "a/c"]);
    }

    #[test]
    fn a_url_keeps_its_query_and_its_spelling() {
        let url = SiteUrl::parse("/%7Ea.css?v=1/../%zz?").unwrap();
        assert_eq!(url.target(), "/%7Ea.css?v=1/../%zz?");
        assert_eq!(
            (url.path().as_str(), url.query()),
            ("/~a.css", Some("v=1/../%zz?"))
        );
        let url = SiteUrl::parse("/ä?ö").unwrap();
        assert_eq!(
            (url.target(), url.path().as_str()),
            ("/%C3%A4?%C3%B6", "/ä")
        );
        assert_eq!(SiteUrl::parse("/a?").unwrap().query(), Some(""));
        assert_eq!(SiteUrl::from(path("/a%20b%25?")).target(), "/a%20b%25%3F");
        for target in ["/a#b", "/a?b c", "/a?\n", "?a", "/a b"] {
            assert_eq!(
                SiteUrl::parse(target),
                Err(BadPath::Malformed),
                "{target:?}"
            );
        }
        let long = format!("/?{}", "a".repeat(TARGET_BYTES_MAX));
        assert_eq!(SiteUrl::parse(&long), Err(BadPath::Malformed));
    }

    /// Pieces of which attacks are made.
    fn hostile() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "/",
            "//",
            ".",
            "..",
            "%2e",
            "%2E%2e",
            "%2f",
            "%5c",
            "\\",
            "%00",
            "\0",
            "%",
            "%25",
            "%c0%af",
            "%ff",
            "a",
            "ä",
            "%C3%A4",
            ".well-known",
            "index.html",
            "push.toml",
            "?",
            "#",
            " ",
            "%20",
            "\r\n",
            "host",
            "\u{2025}",
            "\u{ff0f}",
        ]);
        prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
    }

    /// A name that is served: any characters but slashes, backslashes and controls.
    const NAME: &str = r"[^./\\\p{C}][^/\\\p{C}]{0,8}";

    fn never_escapes(encoded: &str) -> Result<(), TestCaseError> {
        let Ok(path) = UrlPath::parse(encoded) else {
            return Ok(());
        };
        let relative = Path::new(path.relative());
        let is_plain =
            |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
        prop_assert!(relative.components().all(is_plain), "{path:?}");
        prop_assert!(!path.as_str().contains(['\0', '\\']));
        for segment in path.relative().split('/').skip(1) {
            prop_assert!(!segment.is_empty() && !segment.starts_with('.'), "{path:?}");
        }
        let target = path.to_target();
        prop_assert!(target.is_ascii() && target.starts_with('/') && !target.starts_with("//"));
        prop_assert_eq!(UrlPath::parse(&target), Ok(path.clone()));
        prop_assert_eq!(UrlPath::parse(&path.file().to_target()), Ok(path.file()));
        prop_assert_eq!(SiteUrl::parse(&target), Ok(SiteUrl::from(path)));
        Ok(())
    }

    proptest! {
        #[test]
        fn no_hostile_path_escapes(encoded in hostile()) {
            never_escapes(&encoded)?;
        }

        #[test]
        fn no_text_escapes(encoded in "/?\\PC*") {
            never_escapes(&encoded)?;
        }

        #[test]
        fn every_name_has_a_target(names in prop::collection::vec(NAME, 1..5)) {
            let decoded = format!("/{}", names.join("/"));
            prop_assume!(!is_said_to_server(&decoded));
            let target = utf8_percent_encode(&decoded, PATH_SET).to_string();
            let path = UrlPath::parse(&target);
            prop_assert_eq!(path.as_ref().map(UrlPath::as_str), Ok(decoded.as_str()));
        }
    }
}
