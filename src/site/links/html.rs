//! Document to links: every URL a browser may fetch for it, in document order, and the outline that
//! style rules are matched against.
//!
//! Knows nothing of which files exist, nor of what is worth sending; `graph` does. Read on in
//! `reader` (elements to links), `tree` (which element is inside which) and `references`.

mod attributes;
mod reader;
mod references;
mod tags;
mod text;
mod tree;

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lol_html::html_content::{Comment, Doctype, Element as Tag, TextChunk};
use lol_html::send::HtmlRewriter;
use lol_html::{MemorySettings, Settings, doc_comments, doc_text, doctype, element};

use self::reader::Reader;
use super::css::StyleSheet;

/// Most memory that `lol_html` may take for one document, in bytes: for the stack of open elements,
/// and for a tag or comment that the end of the document cuts off.
const PARSER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The same for a document that comes in pieces, where a tag that is cut is read again with each:
/// after a longer one nothing is read.
const PARSER_BYTES_IN_PIECES_MAX: usize = 1024 * 1024;

/// What a document names and how it is built.
#[derive(Debug, Clone, Default)]
pub struct Document {
    /// `href` of the first `base`, as written.
    pub base: Option<String>,
    /// Where that `base` stands; what comes before it is resolved without it.
    pub base_offset: usize,
    /// `data-nopush` on `html` or `body`: nothing is sent ahead with the page.
    pub nopush: bool,
    /// Links in document order.
    pub links: Vec<Link>,
    /// Text of the first `<script type=importmap>`.
    pub import_map: Option<String>,
    /// Bytes before the end of the head: where a browser starts to render.
    pub head_length: usize,
    /// Elements, for matching style rules.
    pub outline: Outline,
    /// What a client comes upon as it reads, in the order in which it is complete.
    pub steps: Vec<Step>,
    /// Bytes of text that is rendered, without white space, in each [`TEXT_BLOCK_BYTES`] of the
    /// document.
    pub text_bytes: Vec<u32>,
}

/// How far behind the head the first content may stand to be sent with it.
const OPENING_BYTES_MAX: usize = 8 * 1024;

impl Document {
    /// Returns the bytes of the opening: the head, and the body as far as the first thing that is
    /// rendered, unless that is far behind. It is what a first render takes of the document.
    pub fn opening_length(&self) -> usize {
        let is_content = |step: &&Step| step.kind == StepKind::Content;
        let content = self.steps.iter().find(is_content).map(|step| step.end);
        content
            .filter(|&end| end <= self.head_length + OPENING_BYTES_MAX)
            .map_or(self.head_length, |end| end.max(self.head_length))
    }
}

/// Bytes of a document that [`Document::text_bytes`] counts together.
pub const TEXT_BLOCK_BYTES: usize = 1_024;

/// Something in a document that a client acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Where it ends: with this many bytes of the document it is known.
    pub end: usize,
    /// What it is.
    pub kind: StepKind,
}

/// What a client comes upon in a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// A link, as an index into [`Document::links`].
    Link(usize),
    /// A classic script that stands in the document.
    InlineScript,
    /// The first `base` with `href`.
    Base,
    /// The first import map.
    ImportMap,
    /// The first text, or control or drawing, that is rendered.
    Content,
}

/// One link of a document.
#[derive(Debug, Clone, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is an attribute of the element, read by name"
)]
pub struct Link {
    /// URL as written, with character references decoded; empty for inline content.
    pub url: String,
    /// What it is.
    pub kind: LinkKind,
    /// Byte offset of its element in the document.
    pub offset: usize,
    /// Whether it stands in the head.
    pub in_head: bool,
    /// `media` as written, else empty.
    pub media: String,
    /// `type` as written, else empty.
    pub content_type: String,
    /// `crossorigin`, if present.
    pub crossorigin: Option<Crossorigin>,
    /// `loading=lazy`.
    pub lazy: bool,
    /// `data-nopush` on the element.
    pub nopush: bool,
    /// Which resource is fetched depends on the client: `srcset`, `sizes`, `picture`.
    pub depends_on_client: bool,
    /// `imagesrcset` and `imagesizes` of a preload.
    pub image_candidates: Option<(String, String)>,
    /// Of an image, script or style sheet: how urgent its author says it is.
    pub fetch_priority: FetchPriority,
    /// `width` and `height` of an image, in CSS pixels.
    pub size: (Option<u32>, Option<u32>),
    /// `elementtiming`: the author watches when it is painted.
    pub is_timed: bool,
    /// What it is in a `picture`, which has this number.
    pub picture: Option<(PictureRole, u32)>,
}

/// What an image is in a `picture`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PictureRole {
    /// A `source`: fetched in the place of the `img`, if its `media` and `type` fit.
    Source,
    /// The `img`.
    Image,
}

/// `fetchpriority` (HTML, section 2.5.8).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum FetchPriority {
    /// `high`
    High,
    /// `low`
    Low,
    /// Anything else.
    #[default]
    Auto,
}

impl FetchPriority {
    /// Reads the value of an attribute, or of a parameter of `Link`.
    pub fn parse(value: &str) -> Self {
        match value {
            _ if value.eq_ignore_ascii_case("high") => Self::High,
            _ if value.eq_ignore_ascii_case("low") => Self::Low,
            _ => Self::Auto,
        }
    }
}

/// `crossorigin` (HTML, section 2.5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Crossorigin {
    /// `anonymous` or any other value.
    Anonymous,
    /// `use-credentials`.
    UseCredentials,
}

/// What an element links to.
#[derive(Debug, Clone, PartialEq)]
pub enum LinkKind {
    /// `<link rel=stylesheet>`, neither alternate nor disabled.
    StyleSheet,
    /// `<style>`, parsed.
    InlineStyle(Arc<StyleSheet>),
    /// `<script src>` without `async`, `defer` or `type=module`.
    Script,
    /// `<script defer src>`.
    DeferredScript,
    /// `<script async src>`.
    AsyncScript,
    /// `<script type=module src>`; `is_async` if `async` too.
    Module {
        /// Has `async`.
        is_async: bool,
    },
    /// Inline `<script type=module>`: its static import specifiers.
    InlineModule(Vec<String>),
    /// A script that a client with modules does not fetch (`nomodule`).
    NomoduleScript,
    /// `<link rel=preload as=...>`; the string is `as`.
    Preload(String),
    /// `<link rel=modulepreload>`.
    ModulePreload,
    /// `<link rel=icon>` and its kin.
    Icon,
    /// `<link rel=manifest>`.
    Manifest,
    /// `<img>`, `<input type=image>`, SVG `<image>`.
    Image,
    /// `<video poster>`.
    Poster,
    /// `<video>`, `<audio>`, `<source>`, `<track>`.
    Media,
    /// `<iframe>`, `<embed>`, `<object>`.
    Frame,
}

/// The elements of a document, as far as style rules ask.
#[derive(Debug, Clone, Default)]
pub struct Outline {
    /// In document order; parents before children.
    pub elements: Vec<Element>,
    /// Whether there were more elements than are kept: then every selector may match.
    pub truncated: bool,
}

/// One element.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Element {
    /// Name in lower case.
    pub tag: String,
    /// `id`, or empty.
    pub id: String,
    /// Class names.
    pub classes: Vec<String>,
    /// Index of the parent element.
    pub parent: Option<u32>,
    /// Its own text without white space: the distinct characters, sorted.
    pub text: Vec<char>,
    /// Value of the `style` attribute, or empty.
    pub style: String,
    /// `hidden`, or inside `<template>`, `<noscript>`, head: never rendered.
    pub unrendered: bool,
}

/// Reads a document. Never fails: what `lol_html` cannot read yields what was found before it. A
/// document in UTF-16 is empty.
pub fn parse(text: &[u8]) -> Document {
    let mut parser = Parser::with_memory(PARSER_BYTES_MAX);
    parser.write(text);
    parser.finish()
}

/// What `lol_html` writes is not kept.
type Rewriter = HtmlRewriter<'static, fn(&[u8])>;

/// Reads a document as it arrives. However it is cut into pieces, the same is found.
pub struct Parser {
    /// `None` after an error: what was found until then is kept, and the rest is not looked at.
    rewriter: Option<Rewriter>,
    reader: Arc<Mutex<Reader>>,
    /// The start of a character whose end has not come: `lol_html` miscounts such.
    held: Vec<u8>,
}

impl Parser {
    /// Returns a parser that has read nothing.
    pub fn new() -> Self {
        Self::with_memory(PARSER_BYTES_IN_PIECES_MAX)
    }

    fn with_memory(bytes_max: usize) -> Self {
        let reader = Arc::new(Mutex::new(Reader::default()));
        let [tags, texts, comments, doctypes] = [(); 4].map(|()| Arc::clone(&reader));
        let memory = MemorySettings::new().with_max_allowed_memory_usage(bytes_max);
        let settings = Settings::new_send()
            .with_strict(false)
            .with_memory_settings(memory)
            .append_element_content_handler(element!("*", move |tag: &mut Tag<'_, '_, _>| {
                lock(&tags).start_tag(tag);
                Ok(())
            }))
            .append_document_content_handler(doc_text!(move |chunk: &mut TextChunk<'_>| {
                lock(&texts).text(chunk);
                Ok(())
            }))
            .append_document_content_handler(doc_comments!(move |comment: &mut Comment<'_>| {
                lock(&comments).skip(comment.source_location().bytes());
                Ok(())
            }))
            .append_document_content_handler(doctype!(move |doctype: &mut Doctype<'_>| {
                lock(&doctypes).skip(doctype.source_location().bytes());
                Ok(())
            }));
        let ignore: fn(&[u8]) = |_| {};
        Self {
            rewriter: Some(Rewriter::new(settings, ignore)),
            reader,
            held: Vec::new(),
        }
    }

    /// Reads on.
    pub fn write(&mut self, bytes: &[u8]) {
        let is_wide = lock(&self.reader).append(bytes);
        // lol_html knows ASCII-compatible encodings only.
        if is_wide {
            self.rewriter = None;
        }
        self.held.extend_from_slice(bytes);
        let rest = self.held.split_off(whole_characters(&self.held));
        let bytes = std::mem::replace(&mut self.held, rest);
        if let Some(rewriter) = &mut self.rewriter {
            if rewriter.write(&bytes).is_err() {
                self.rewriter = None;
            } else {
                lock(&self.reader).settle();
            }
        }
    }

    /// Hands what was found so far to `look`. The outline lacks the text of elements that are open.
    pub fn so_far<T>(&self, look: impl FnOnce(&Document) -> T) -> T {
        look(lock(&self.reader).document())
    }

    /// Returns what was found in all of it.
    pub fn finish(self) -> Document {
        let is_whole = self.rewriter.is_some_and(|mut rewriter| {
            rewriter.write(&self.held).is_ok() && rewriter.end().is_ok()
        });
        std::mem::take(&mut *lock(&self.reader)).finish(is_whole)
    }
}

impl Default for Parser {
    fn default() -> Self {
        Self::new()
    }
}

/// Returns how many bytes there are before a character of UTF-8 that the end cuts off.
fn whole_characters(bytes: &[u8]) -> usize {
    let last = bytes.iter().rev().take(4).position(|byte| *byte >= 0xC0);
    let Some(back) = last.map(|back| back + 1) else {
        return bytes.len();
    };
    let start = bytes.len() - back;
    let length = match bytes[start] {
        0xF0.. => 4,
        0xE0.. => 3,
        _ => 2,
    };
    if back < length { start } else { bytes.len() }
}

fn lock(reader: &Mutex<Reader>) -> MutexGuard<'_, Reader> {
    reader.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the value of an attribute with its character references replaced.
pub(in crate::site) fn decode_attribute(value: &str) -> Cow<'_, str> {
    references::decode(value, references::Place::Attribute)
}

#[cfg(test)]
mod tests;
