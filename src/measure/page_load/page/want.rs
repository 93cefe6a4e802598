//! What passes between a page and what fetches for it.

use url::Url;

use crate::measure::timeline::Kind;
use crate::site::graph::Destination;
use crate::site::links::html::{Crossorigin, FetchPriority};

/// A number that a page gives to something it wants: 0 is the document, and they grow by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WantId(pub usize);

/// Something that a page wants to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// Its number.
    pub id: WantId,
    /// Where it is, without fragment.
    pub url: Url,
    /// What it is for.
    pub kind: Kind,
    /// How it is requested: `None` without CORS.
    pub crossorigin: Option<Crossorigin>,
    /// What named it: the document, one of its headers, a style sheet, a module; `None` for the
    /// document.
    pub initiator: Option<WantId>,
    /// Whether the first render waits for it. May become true later: ask
    /// [`super::Page::want_of`].
    pub blocks_render: bool,
    /// Urgency as current Chromium gives it (RFC 9218): 0 to 7.
    pub urgency: u8,
    /// Whether it is incremental (RFC 9218).
    pub incremental: bool,
    /// Whether a preload asked for it first. Ask [`super::Page::is_needed`] whether anything else
    /// did since.
    pub preload: bool,
}

/// What a `Link` header says, in a 103 or in the final response.
#[derive(Debug, Clone, PartialEq)]
pub struct Preload {
    /// The URL as written; it is resolved against that of the document.
    pub url: String,
    /// `as`, or [`Destination::Module`] for `modulepreload`.
    pub destination: Destination,
    /// `crossorigin`.
    pub crossorigin: Option<Crossorigin>,
    /// `media`, or empty.
    pub media: String,
    /// `type`, or empty.
    pub content_type: String,
    /// `imagesrcset` and `imagesizes`.
    pub image_candidates: Option<(String, String)>,
    /// `fetchpriority`.
    pub fetch_priority: FetchPriority,
}

/// Something that is not fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The absolute URL.
    pub url: String,
    /// Why.
    pub reason: Reason,
}

/// Why something is not fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// It is on another origin.
    OtherOrigin,
    /// `loading=lazy`.
    Lazy,
    /// Audio, video or text tracks.
    Media,
    /// An icon or a manifest.
    Late,
}
