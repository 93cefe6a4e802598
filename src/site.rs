//! The site: an immutable snapshot of a directory, and what each of its pages needs.
//!
//! A [`Site`] never changes; [`SiteRoot`] derives the next one when the disk differs and swaps it
//! whole, so that a page, its validator and what is promised with it always match. Nothing here
//! knows of HTTP versions, peers or sockets. Read on in [`load`] (disk to snapshot), [`links`]
//! (bytes to links), [`graph`] (links to everything a page needs) and [`plan`] (what of that is
//! worth sending ahead).

pub mod graph;
pub mod links;
pub mod load;
pub mod plan;
pub mod url_path;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use bytes::Bytes;

pub use load::{SiteOptions, SiteRoot};
pub use url_path::{BadPath, SiteUrl, UrlPath};

/// An immutable snapshot of a site: what is known of it so far.
#[derive(Debug, Clone, Default)]
pub struct Site {
    entries: rpds::HashTrieMapSync<UrlPath, Entry>,
    pages: rpds::HashTrieMapSync<UrlPath, Arc<Page>>,
}

/// What a path of the site is.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A regular file, or the `index.html` of a directory asked for with a trailing slash.
    File(Arc<Asset>),
    /// A directory asked for without its trailing slash: answered with a redirect.
    Directory,
    /// Nothing that is served. Kept only for paths that a page links to.
    Missing,
}

/// A file of the site, as it was when last read.
#[derive(Debug)]
pub struct Asset {
    /// The path of the file (`/docs/index.html`, never `/docs/`).
    pub path: UrlPath,
    /// Bytes.
    pub length: u64,
    /// When it was last modified, by the file system.
    pub modified: SystemTime,
    /// Names these bytes: a hash of the content, or, above the in-memory bound, of the file's identity
    /// (device, inode, length, modification and change time).
    pub content_hash: ContentHash,
    /// Whether `content_hash` is only as good as the clock of the file system: the file is
    /// above the in-memory bound and was modified less than two seconds before it was read.
    pub weak: bool,
    /// `Content-Type`, with charset on text.
    pub media_type: http::HeaderValue,
    /// What the bytes are to the link graph.
    pub kind: Kind,
    /// The bytes, shared by every answer; `None` for a file that is streamed.
    pub content: Option<Bytes>,
    links: OnceLock<Links>,
    checked_ms: AtomicU64,
}

/// 128 bits of BLAKE3.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentHash(pub [u8; 16]);

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

/// What is known of a page beyond its bytes.
#[derive(Debug)]
pub struct Page {
    /// What is sent ahead with it, and why the rest is not.
    pub plan: plan::Plan,
    checked_ms: AtomicU64,
}

impl Site {
    /// Returns what the snapshot knows of a path; `None` if nothing was ever asked of it.
    pub fn entry(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)
    }

    /// Returns what is known of the page at a path; `None` until its graph is computed.
    pub fn page(&self, path: &str) -> Option<&Arc<Page>> {
        self.pages.get(path)
    }
}

impl Asset {
    /// Returns what the file links to, read on first use. Costs a parse of the whole file then: call
    /// it on a blocking thread.
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
