//! Page to everything it needs: transitively, once each, in the order a browser needs it.
//!
//! A pure function of a snapshot: what is linked but not yet in it is named in [`Graph::unknown`],
//! and the caller loads that and asks again. Nothing here knows of pushing; [`super::plan`] does.
//!
//! Read on in `walk` (which finds everything), `purpose`, [`style`] and `order`.

mod order;
mod purpose;
pub mod style;
mod walk;

use std::sync::Arc;

pub use walk::target;

use super::links::html::Crossorigin;
use super::{Entry, Links, Site, SiteUrl, UrlPath};

/// Everything a page needs.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    /// In the order a browser needs them: by [`Need`], then in document order, each file after the
    /// one that names it. Each URL once.
    pub subresources: Vec<Subresource>,
    /// Paths that are linked and not in the snapshot, sorted. Not those of files that nothing could
    /// be sent ahead for, such as lazy images and frames.
    pub unknown: Vec<UrlPath>,
    /// Bytes of the document before the end of its head.
    pub head_length: usize,
    /// Bytes of the document that a first render takes: see
    /// [`Document::opening_length`](super::links::html::Document::opening_length).
    pub opening_length: usize,
    /// The document carries `nopush` for the whole page (`<html data-nopush>` or `<body
    /// data-nopush>`).
    pub nopush: bool,
}

/// One thing a page needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Subresource {
    /// Where it is.
    pub target: Target,
    /// What it is for: `as` of a preload.
    pub destination: Destination,
    /// How it is requested.
    pub crossorigin: Option<Crossorigin>,
    /// `type` as written, or empty.
    pub content_type: String,
    /// `media` as written, or empty.
    pub media: String,
    /// `imagesrcset` and `imagesizes`.
    pub image_candidates: Option<(String, String)>,
    /// Why the page needs it.
    pub need: Need,
    /// The subresource that names it, as an index into the list; `None`: the document does.
    pub behind: Option<usize>,
    /// 1 if the document names it, one more for each file it hides behind.
    pub depth: u8,
    /// Where in the document the link that leads to it stands, in bytes.
    pub offset: usize,
    /// Whether that link stands in the head.
    pub in_head: bool,
    /// A reason not to send it ahead that holds for every client.
    pub obstacle: Option<Obstacle>,
}

/// Where a subresource is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Target {
    /// On this site.
    Here(SiteUrl),
    /// On another origin: the absolute URL.
    Elsewhere(Arc<str>),
}

impl Target {
    /// Returns path and query of a URL of this site, or the absolute URL of another's.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Here(url) => url.target(),
            Self::Elsewhere(url) => url,
        }
    }
}

/// A request's destination (Fetch, section 2.2.5), as `as` writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Destination {
    /// `style`
    Style,
    /// `script`: classic.
    Script,
    /// `script`: a module.
    Module,
    /// `font`
    Font,
    /// `image`
    Image,
    /// `manifest`
    Manifest,
    /// `audio`, `video` or `track`.
    Media,
    /// `fetch`, `document` and whatever else.
    Other,
}

impl Destination {
    /// Returns what `as` of a preload says (Fetch, section 2.2.5).
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Style => "style",
            Self::Script | Self::Module => "script",
            Self::Font => "font",
            Self::Image => "image",
            Self::Manifest => "manifest",
            Self::Media => "video",
            Self::Other => "fetch",
        }
    }
}

/// Why a page needs a subresource, most urgent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Need {
    /// Nothing is rendered before it is there: style sheets, their imports, scripts in the head.
    RenderBlocking,
    /// Text waits for it: a font that is used.
    Font,
    /// The parser waits for it: a classic script in the body.
    ParserBlocking,
    /// Runs when the document is parsed: deferred scripts and modules, and what they import.
    Deferred,
    /// The author asked for it with `preload` or `modulepreload`, and nothing else needs it.
    Preloaded,
    /// Runs whenever it comes.
    Async,
    /// An image, icon, poster.
    Image,
    /// Everything else.
    Other,
}

/// A reason not to send a subresource ahead that holds for every client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Obstacle {
    /// Another origin: its bytes are not ours to promise.
    CrossOrigin,
    /// No such file in the site.
    Missing,
    /// A rule of `_redirects` answers there, whatever file stands there.
    Displaced,
    /// `loading=lazy`.
    Lazy,
    /// `srcset`, `sizes`, `picture`, or media that the server cannot know.
    DependsOnClient,
    /// `data-nopush` or `nopush`.
    Nopush,
    /// `nomodule`: only clients without modules fetch it.
    Nomodule,
    /// Nothing in the page uses it: the rule or the face that names it does not match.
    Unused,
    /// Fetched for something other than rendering: frames, media.
    NotRendered,
}

/// Returns what the page at `url` needs, as far as the snapshot knows. Empty if that is no page, or
/// one that is streamed.
pub fn graph(site: &Site, url: &SiteUrl) -> Graph {
    match site.entry(url.path().as_str()) {
        None => Graph {
            unknown: vec![url.path().clone()],
            ..Graph::default()
        },
        Some(Entry::File(asset)) => match asset.links() {
            Links::Document(document) => walk::walk(site, url, document),
            _ => Graph::default(),
        },
        Some(Entry::Directory | Entry::Missing) => Graph::default(),
    }
}

#[cfg(test)]
mod tests;
