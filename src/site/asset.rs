//! One file of the site, as it was when last read.
//!
//! Knows nothing of where it lies on disk; `load` makes it.

use std::fmt;
use std::sync::OnceLock;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::HeaderValue;

use super::digest::Digest;
use super::encodings::{self, ENCODED_BYTES_MAX, ENCODED_BYTES_MIN, Encodings};
use super::load::Identity;
use super::media::{Known, media_type};
use super::{UrlPath, links};

/// A file of the site, as it was when last read.
#[derive(Debug)]
pub struct Asset {
    /// The path of the file (`/docs/index.html`, never `/docs/`).
    pub path: UrlPath,
    /// Bytes.
    pub length: u64,
    /// When it was last modified, by the file system; never before 1970 or after 9999, so that it
    /// can be written as an HTTP date.
    pub modified: SystemTime,
    /// Names these bytes: a hash of the content, or, above the in-memory bound, of the file's
    /// identity (device, inode, length, modification and change time).
    pub content_hash: ContentHash,
    /// Whether `content_hash` is only as good as the clock of the file system: the file is
    /// above the in-memory bound and was changed less than two seconds before it was read.
    pub weak: bool,
    /// `Content-Type`, with charset on text.
    pub media_type: HeaderValue,
    /// `Last-Modified`.
    pub last_modified: HeaderValue,
    /// `ETag`: strong, except where only the file system's clock vouches for the bytes. That of a
    /// page whose plan is known is [`super::Page::tag`].
    pub tag: HeaderValue,
    /// What the bytes are to the link graph.
    pub kind: Kind,
    /// What its name stands for.
    pub named: Named,
    /// The bytes, shared by every answer; `None` for a file that is streamed.
    pub content: Option<Bytes>,
    /// Its encoded forms, as far as they are there.
    pub encodings: Encodings,
    /// What the file was on disk; `None` if it never was there.
    pub(super) identity: Option<Identity>,
    /// Whether the file was changed so shortly before it was read that it may have changed again
    /// since without looking any different from outside.
    pub(super) recent: bool,
    /// Whether it is of a kind that shrinks when it is encoded.
    pub(super) shrinks: bool,
    links: OnceLock<Links>,
}

/// 128 bits of BLAKE3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentHash(pub [u8; 16]);

impl fmt::Display for ContentHash {
    /// Writes it as 22 characters of base64url.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&URL_SAFE_NO_PAD.encode(self.0))
    }
}

/// What a file is to the link graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// HTML.
    Page,
    /// CSS.
    StyleSheet,
    /// JavaScript.
    Script,
    /// A font.
    Font,
    /// An image.
    Image,
    /// Anything else.
    Other,
}

/// What the name of a file stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Named {
    /// These bytes for ever: it carries a hash of them.
    Content,
    /// Whatever bytes are there.
    Place,
}

/// What a file links to.
#[derive(Debug)]
pub enum Links {
    /// Of an HTML document.
    Document(links::html::Document),
    /// Of a style sheet.
    StyleSheet(links::css::StyleSheet),
    /// Specifiers of a module's static imports.
    Module(Vec<String>),
    /// No links, or not read because the file is above the in-memory bound.
    None,
}

/// What was read of a file.
enum Read<'a> {
    Whole(Bytes),
    /// It is to be streamed.
    Opening(&'a [u8]),
}

impl Asset {
    /// Returns a file that exists in memory only, last modified in 1970.
    pub fn in_memory(path: UrlPath, content: Bytes) -> Self {
        Self::new(path, Read::Whole(content), None, false)
    }

    /// Returns a file that was read from disk.
    pub(super) fn read(path: UrlPath, content: Bytes, identity: Identity, recent: bool) -> Self {
        Self::new(path, Read::Whole(content), Some(identity), recent)
    }

    /// Returns a file on disk that is streamed from there, and begins with some bytes.
    pub(super) fn streamed(
        path: UrlPath,
        opening: &[u8],
        identity: Identity,
        recent: bool,
    ) -> Self {
        Self::new(path, Read::Opening(opening), Some(identity), recent)
    }

    fn new(path: UrlPath, read: Read<'_>, identity: Option<Identity>, recent: bool) -> Self {
        let known = match &read {
            Read::Whole(content) => Known::Whole(content),
            Read::Opening(opening) => Known::Opening(opening),
        };
        let (media_type, kind) = media_type(path.name(), known);
        let content = match read {
            Read::Whole(content) => Some(content),
            Read::Opening(_) => None,
        };
        let content_hash = match (&content, &identity) {
            (Some(content), _) => ContentHash::of(content),
            (None, Some(identity)) => identity.content_hash(),
            (None, None) => ContentHash::of(&[]),
        };
        let modified = identity.map_or(SystemTime::UNIX_EPOCH, |identity| identity.modified());
        let weak = content.is_none() && recent;
        let in_memory_length = content.as_ref().map_or(0, Bytes::len) as u64;
        Self {
            shrinks: encodings::shrinks(&media_type),
            length: identity.map_or(in_memory_length, |identity| identity.length),
            modified,
            content_hash,
            weak,
            media_type,
            last_modified: HeaderValue::try_from(httpdate::fmt_http_date(modified))
                .expect("a date is visible ASCII"),
            tag: tag(&Digest::default(), content_hash, weak),
            kind,
            named: named(path.name()),
            content,
            encodings: Encodings::default(),
            identity,
            recent,
            links: OnceLock::new(),
            path,
        }
    }

    /// Returns the file as it is, to be streamed from now on: what names and describes it stays.
    pub(super) fn without_content(&self) -> Self {
        Self {
            content: None,
            encodings: self.encodings.without_content(&self.tag),
            ..self.unread()
        }
    }

    /// Returns the file with its links not read yet: they are dropped with this copy.
    pub(super) fn unread(&self) -> Self {
        Self {
            path: self.path.clone(),
            media_type: self.media_type.clone(),
            last_modified: self.last_modified.clone(),
            tag: self.tag.clone(),
            content: self.content.clone(),
            encodings: self.encodings.clone(),
            links: OnceLock::new(),
            ..*self
        }
    }

    /// Returns whether encoded forms of the file are made on demand.
    pub fn can_be_encoded(&self) -> bool {
        self.content.is_some() && self.is_worth_encoding()
    }

    /// Returns whether it depends on the request in which form the file is sent. Does not change
    /// while the file stays as it is.
    pub fn is_negotiated(&self) -> bool {
        self.is_worth_encoding() || self.encodings.has_sidecar()
    }

    /// Bytes that are held in memory of the file and its encoded forms.
    pub(super) fn held_bytes(&self) -> u64 {
        let content = self.content.as_ref().map_or(0, Bytes::len) as u64;
        content + self.encodings.held_bytes()
    }

    fn is_worth_encoding(&self) -> bool {
        (ENCODED_BYTES_MIN..=ENCODED_BYTES_MAX).contains(&self.length) && self.shrinks
    }

    /// Returns what the file links to, read on first use. Costs a parse of the whole file then:
    /// call it on a blocking thread.
    pub fn links(&self) -> &Links {
        self.links.get_or_init(|| {
            let Some(content) = &self.content else {
                return Links::None;
            };
            match self.kind {
                Kind::Page => Links::Document(links::html::parse(content)),
                Kind::StyleSheet => {
                    Links::StyleSheet(links::css::parse(&String::from_utf8_lossy(content)))
                }
                Kind::Script => {
                    Links::Module(links::module::imports(&String::from_utf8_lossy(content)))
                }
                Kind::Font | Kind::Image | Kind::Other => Links::None,
            }
        })
    }
}

/// Returns what a file name stands for: the content, if it carries a hash of that as bundlers write
/// them, as in `app.3f9ac0d1.js` and `index-B7gk2xQ9.css`. A part counts if it is at least eight
/// characters of hex with letters and digits, or eight or more of base64url with digits and both
/// cases.
fn named(name: &str) -> Named {
    let Some((stem, _)) = name.rsplit_once('.') else {
        return Named::Place;
    };
    let has = |part: &str, test: fn(&char) -> bool| part.chars().any(|c| test(&c));
    let is_hash = |part: &str| {
        let mixed = has(part, char::is_ascii_digit) && has(part, char::is_ascii_alphabetic);
        let hex = part
            .chars()
            .all(|c| c.is_ascii_digit() || matches!(c, 'a'..='f'));
        let cases = has(part, char::is_ascii_lowercase) && has(part, char::is_ascii_uppercase);
        let word = part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        part.len() >= 8 && mixed && (hex || (cases && word))
    };
    if stem.split(['.', '-']).skip(1).any(is_hash) {
        Named::Content
    } else {
        Named::Place
    }
}

/// Returns an entity tag (RFC 9110 section 8.8.3).
pub(super) fn tag(digest: &Digest, content_hash: ContentHash, weak: bool) -> HeaderValue {
    let tag = digest.tag(content_hash);
    let tag = if weak { format!("W/{tag}") } else { tag };
    HeaderValue::try_from(tag).expect("base64, a dot and quotes are visible ASCII")
}

impl Kind {
    /// Returns whether files of this kind link to others.
    pub fn has_links(self) -> bool {
        matches!(self, Self::Page | Self::StyleSheet | Self::Script)
    }
}

impl ContentHash {
    /// Returns the first half of the BLAKE3 hash of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let hash = blake3::hash(bytes);
        let mut half = [0; 16];
        half.copy_from_slice(&hash.as_bytes()[..16]);
        Self(half)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_carry_a_hash_stand_for_content() {
        for name in [
            "app.3f9ac0d1.js",
            "index-B7gk2xQ9.css",
            "a.0123abcd4567.min.js",
        ] {
            assert_eq!(named(name), Named::Content, "{name}");
        }
        for name in [
            "style.css",
            "photo-20240131.jpg",
            "bootstrap-5.3.1.min.css",
            "fa-solid-900.woff2",
            "facade.css",
            "deadbeef",
            "jquery-3.6.0.slim.js",
        ] {
            assert_eq!(named(name), Named::Place, "{name}");
        }
    }
}
