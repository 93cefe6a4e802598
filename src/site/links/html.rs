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
use std::cell::RefCell;

use lol_html::{HtmlRewriter, MemorySettings, Settings, doc_comments, doc_text, doctype, element};

use self::reader::Reader;
use super::css::StyleSheet;

/// Most memory that `lol_html` may take for one document, in bytes: for the stack of open elements,
/// and for a tag or comment that the end of the document cuts off.
const PARSER_BYTES_MAX: usize = 16 * 1024 * 1024;

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
    InlineStyle(StyleSheet),
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
    // lol_html knows ASCII-compatible encodings only.
    if text.starts_with(&[0xff, 0xfe]) || text.starts_with(&[0xfe, 0xff]) {
        return Document::default();
    }
    let reader = RefCell::new(Reader::new(text));
    let settings = Settings::new()
        .with_strict(false)
        .with_memory_settings(MemorySettings::new().with_max_allowed_memory_usage(PARSER_BYTES_MAX))
        .append_element_content_handler(element!("*", |element| {
            reader.borrow_mut().start_tag(element);
            Ok(())
        }))
        .append_document_content_handler(doc_text!(|chunk| {
            reader.borrow_mut().text(chunk);
            Ok(())
        }))
        .append_document_content_handler(doc_comments!(|comment| {
            reader.borrow_mut().skip(comment.source_location().bytes());
            Ok(())
        }))
        .append_document_content_handler(doctype!(|doctype| {
            reader.borrow_mut().skip(doctype.source_location().bytes());
            Ok(())
        }));
    let mut rewriter = HtmlRewriter::new(settings, |_: &[u8]| {});
    // After an error what was found until then is kept, and the rest is not looked at.
    if rewriter.write(text).and_then(|()| rewriter.end()).is_ok() {
        reader.borrow_mut().skip(text.len()..text.len());
    }
    reader.into_inner().finish()
}

/// Returns the value of an attribute with its character references replaced.
pub(in crate::site) fn decode_attribute(value: &str) -> Cow<'_, str> {
    references::decode(value, references::Place::Attribute)
}

#[cfg(test)]
mod tests;
