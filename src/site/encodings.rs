//! The encoded forms of one file: sidecars from disk, and what was compressed here.
//!
//! Knows which files are worth encoding and what each form is called; not when one is made (see
//! `load::encode`), nor who takes it. Read on in `codec`, which compresses.
//!
//! # Tags
//!
//! An encoded form's entity tag is that of the file with a suffix before its closing quote, so that
//! no two forms share one, and a page's digest stays where it is:
//!
//! ```text
//! as it is            "<hash>.<digest>"
//! compressed here     "<hash>.<digest>-br11v1"       coding and level, version of our codecs
//! a sidecar           "<hash>.<digest>-br-<hash>"    coding, hash of the sidecar
//! ```
//!
//! What is compressed here follows from the content, the level and the codec, so its name is known
//! before it is made: a client that holds such a form is answered 304 whether we still do or not.

pub mod codec;

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::HeaderValue;

use super::Asset;

/// Smallest file that is encoded, in bytes: less fits into one packet either way.
pub const ENCODED_BYTES_MIN: u64 = 1024;

/// Largest file that is compressed here, in bytes: some seconds of work at the best level. A larger
/// one can have sidecars.
pub const ENCODED_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A content coding (RFC 9110 section 8.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Coding {
    /// RFC 7932.
    Brotli,
    /// RFC 8878, with a window of at most 8 MB (RFC 9659).
    Zstandard,
    /// RFC 1952.
    Gzip,
}

/// How hard it is tried to make a form small.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Level {
    /// Milliseconds for a large style sheet.
    Fast,
    /// As small as it gets, seconds for the largest files.
    Best,
}

/// The encoded forms of one file, as far as they are there.
#[derive(Debug, Default)]
pub struct Encodings([ArcSwapOption<Attempt>; 3]);

/// What came of encoding a file.
#[derive(Debug)]
pub enum Attempt {
    /// A form that is smaller than the file.
    Smaller(Encoded),
    /// The file does not shrink.
    Useless,
}

/// An encoded form of a file.
#[derive(Debug)]
pub struct Encoded {
    /// Its bytes.
    pub form: Form,
    /// What distinguishes its entity tag from that of the file.
    pub suffix: String,
    /// The file's entity tag with that suffix; a page's has its digest too (see
    /// [`super::Page::encoded_tag`]).
    pub tag: HeaderValue,
}

/// Where the bytes of an encoded form are.
#[derive(Debug)]
pub enum Form {
    /// Compressed here, at a level.
    Made(Level, Bytes),
    /// In a file beside the original.
    Sidecar(Arc<Asset>),
}

impl Coding {
    /// All of them. Of those that a client likes equally the first is sent: the smaller at its best
    /// level.
    pub const ALL: [Self; 3] = [Self::Brotli, Self::Zstandard, Self::Gzip];

    /// Returns its name (RFC 9110 section 18.6).
    pub fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstandard => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// Returns what a sidecar of it adds to the name of a file, dot included.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Zstandard => ".zst",
            Self::Gzip => ".gz",
        }
    }

    /// Returns what distinguishes the tag of a form that is compressed here. The version is that of
    /// the codecs: `codec`'s tests tell when it has to change.
    pub fn suffix(self, level: Level) -> &'static str {
        match (self, level) {
            (Self::Brotli, Level::Fast) => "-br5v1",
            (Self::Brotli, Level::Best) => "-br11v1",
            (Self::Zstandard, Level::Fast) => "-zstd3v1",
            (Self::Zstandard, Level::Best) => "-zstd19v1",
            (Self::Gzip, Level::Fast) => "-gzip6v1",
            (Self::Gzip, Level::Best) => "-gzip9v1",
        }
    }
}

impl Level {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Fast, Self::Best];
}

impl Encodings {
    /// Returns what is known of one coding.
    pub fn of(&self, coding: Coding) -> Option<Arc<Attempt>> {
        self.0[coding as usize].load_full()
    }

    /// Returns whether there is a form that is a file beside the original.
    pub fn has_sidecar(&self) -> bool {
        Coding::ALL
            .iter()
            .any(|&coding| self.sidecar(coding).is_some())
    }

    /// Returns the file beside the original that has it in a coding.
    pub fn sidecar(&self, coding: Coding) -> Option<Arc<Asset>> {
        match self.of(coding).as_deref() {
            Some(Attempt::Smaller(Encoded {
                form: Form::Sidecar(sidecar),
                ..
            })) => Some(Arc::clone(sidecar)),
            _ => None,
        }
    }

    /// Returns whether there is a form that is as small as a level makes it.
    pub fn is_smaller(&self, coding: Coding, level: Level) -> bool {
        let attempt = self.0[coding as usize].load();
        matches!(attempt.as_deref(), Some(Attempt::Smaller(encoded)) if encoded.is_of(level))
    }

    /// Returns whether there is nothing left to be tried at a level.
    pub fn is_settled(&self, coding: Coding, level: Level) -> bool {
        let attempt = self.0[coding as usize].load();
        attempt.as_deref().is_some_and(|attempt| match attempt {
            Attempt::Smaller(encoded) => encoded.is_of(level),
            Attempt::Useless => true,
        })
    }

    /// Bytes of all forms that are held in memory.
    pub fn held_bytes(&self) -> u64 {
        let held = self.0.iter().map(|slot| match slot.load().as_deref() {
            Some(Attempt::Smaller(encoded)) => encoded.held_bytes(),
            Some(Attempt::Useless) | None => 0,
        });
        held.sum()
    }

    /// Puts what came of an attempt in the place of an earlier one.
    pub(super) fn put(&self, coding: Coding, attempt: Attempt) {
        self.0[coding as usize].store(Some(Arc::new(attempt)));
    }

    /// Takes over what was made of the same content, where nothing better is known.
    pub(super) fn adopt(&self, known: &Self) {
        for coding in Coding::ALL {
            let attempt = known.of(coding);
            let is_sidecar = known.sidecar(coding).is_some();
            if !is_sidecar && self.0[coding as usize].load().is_none() {
                self.0[coding as usize].store(attempt);
            }
        }
    }

    /// Returns what stays of them once nothing is held in memory: sidecars, to be streamed.
    pub(super) fn without_content(&self, original: &HeaderValue) -> Self {
        let bare = Self::default();
        for coding in Coding::ALL {
            if let Some(sidecar) = self.sidecar(coding) {
                let streamed = Arc::new(sidecar.without_content());
                let encoded = Encoded::beside(streamed, coding, original);
                bare.put(coding, Attempt::Smaller(encoded));
            }
        }
        bare
    }
}

impl Clone for Encodings {
    fn clone(&self) -> Self {
        Self(Coding::ALL.map(|coding| ArcSwapOption::new(self.of(coding))))
    }
}

impl Encoded {
    /// Returns a form that was compressed here.
    pub(super) fn made(coding: Coding, level: Level, bytes: Bytes, original: &HeaderValue) -> Self {
        Self::new(
            Form::Made(level, bytes),
            coding.suffix(level).to_owned(),
            original,
        )
    }

    /// Returns a form that lies beside the original.
    pub(super) fn beside(sidecar: Arc<Asset>, coding: Coding, original: &HeaderValue) -> Self {
        let suffix = format!("-{}-{}", coding.name(), sidecar.content_hash);
        Self::new(Form::Sidecar(sidecar), suffix, original)
    }

    fn new(form: Form, suffix: String, original: &HeaderValue) -> Self {
        let bare = Self {
            form,
            suffix,
            tag: original.clone(),
        };
        Self {
            tag: bare.tag_from(original),
            ..bare
        }
    }

    /// Returns whether it is as small as a level makes it.
    fn is_of(&self, level: Level) -> bool {
        level == Level::Fast || !matches!(self.form, Form::Made(Level::Fast, _))
    }

    /// Returns the form's entity tag, given that of the original.
    pub fn tag_from(&self, original: &HeaderValue) -> HeaderValue {
        let strong = tag(original, &self.suffix);
        match &self.form {
            Form::Sidecar(sidecar) if sidecar.weak => weak(&strong),
            Form::Sidecar(_) | Form::Made(..) => strong,
        }
    }

    /// Its length in bytes.
    pub fn length(&self) -> u64 {
        match &self.form {
            Form::Made(_, bytes) => bytes.len() as u64,
            Form::Sidecar(sidecar) => sidecar.length,
        }
    }

    fn held_bytes(&self) -> u64 {
        match &self.form {
            Form::Made(_, bytes) => bytes.len() as u64,
            Form::Sidecar(sidecar) => sidecar.content.as_ref().map_or(0, Bytes::len) as u64,
        }
    }
}

/// Returns an entity tag with a suffix before its closing quote.
///
/// # Panics
/// The suffix is not visible ASCII.
pub fn tag(original: &HeaderValue, suffix: &str) -> HeaderValue {
    let original = original.as_bytes();
    let open = original.strip_suffix(b"\"").unwrap_or(original);
    HeaderValue::from_bytes(&[open, suffix.as_bytes(), b"\""].concat())
        .expect("a tag and a suffix are visible ASCII")
}

/// Returns a weak entity tag (RFC 9110 section 8.8.3).
pub fn weak(tag: &HeaderValue) -> HeaderValue {
    if tag.as_bytes().starts_with(b"W/") {
        return tag.clone();
    }
    let weak = [b"W/", tag.as_bytes()].concat();
    HeaderValue::from_bytes(&weak).unwrap_or_else(|_| tag.clone())
}

/// Returns whether files of a media type shrink when they are encoded.
pub(super) fn shrinks(media_type: &HeaderValue) -> bool {
    let text = media_type.to_str().unwrap_or_default();
    let essence = text.split(';').next().unwrap_or_default().trim_end();
    essence.starts_with("text/")
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
        || matches!(
            essence,
            "application/json"
                | "application/json5"
                | "application/javascript"
                | "application/ecmascript"
                | "application/rtf"
                | "application/sql"
                | "application/wasm"
                | "application/x-ndjson"
                | "application/x-sh"
                | "application/x-tex"
                | "application/xml"
                | "application/xml-dtd"
                | "application/yaml"
                | "application/vnd.ms-fontobject"
                | "font/collection"
                | "font/otf"
                | "font/ttf"
                | "image/bmp"
                | "image/x-icon"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_already_is_left_alone() {
        for (media_type, expected) in [
            ("text/html; charset=utf-8", true),
            ("text/css", true),
            ("image/svg+xml", true),
            ("application/manifest+json", true),
            ("application/wasm", true),
            ("font/ttf", true),
            ("font/woff2", false),
            ("image/png", false),
            ("image/avif", false),
            ("application/gzip", false),
            ("application/pdf", false),
            ("video/mp4", false),
            ("application/octet-stream", false),
        ] {
            let media_type = HeaderValue::from_static(media_type);
            assert_eq!(shrinks(&media_type), expected, "{media_type:?}");
        }
    }

    #[test]
    fn neither_small_nor_large_files_are_encoded() {
        for (length, expected) in [
            (ENCODED_BYTES_MIN - 1, false),
            (ENCODED_BYTES_MIN, true),
            (ENCODED_BYTES_MAX, true),
            (ENCODED_BYTES_MAX + 1, false),
        ] {
            let content = vec![b' '; usize::try_from(length).unwrap()];
            let path = crate::site::UrlPath::parse("/a.css").unwrap();
            let asset = Asset::in_memory(path, content.into());
            let told = (asset.can_be_encoded(), asset.is_negotiated());
            assert_eq!(told, (expected, expected), "{length}");
        }
    }

    #[test]
    fn every_form_has_a_tag_of_its_own() {
        let original = HeaderValue::from_static("\"a.b\"");
        let mut tags: Vec<_> = Coding::ALL
            .iter()
            .flat_map(|coding| Level::ALL.map(|level| tag(&original, coding.suffix(level))))
            .chain([original.clone()])
            .collect();
        assert_eq!(tags[0], "\"a.b-br5v1\"");
        tags.sort_by(|a, b| a.as_bytes().cmp(b.as_bytes()));
        tags.dedup();
        assert_eq!(tags.len(), 7);
        assert_eq!(weak(&original), "W/\"a.b\"");
        assert_eq!(weak(&weak(&original)), "W/\"a.b\"");
    }
}
