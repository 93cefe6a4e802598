//! Tokens to a document: text, tags, and what stands inside of `style` and `script`.
//!
//! Read on in `elements`: what of each element a client fetches.

mod elements;

use std::ops::Range;
use std::sync::Arc;

use lol_html::HandlerTypes;
use lol_html::html_content::{Element as Tag, TextChunk, TextType};

use self::elements::Span;
use super::attributes::Attributes;
use super::references::{self, Place};
use super::text::Text;
use super::tree::{StartTag, Tree};
use super::{Document, Element, Link, LinkKind, Step, StepKind, TEXT_BLOCK_BYTES};
use crate::site::links::{css, module};

/// Most links taken from one document.
const LINKS_MAX: usize = 5_000;

/// Longest end tag that is looked for before the parser tells what comes behind it, in bytes.
const END_TAG_BYTES: usize = 256;

/// Longest `style` attribute that is kept, in bytes.
const STYLE_ATTRIBUTE_BYTES_MAX: usize = 16 * 1024;

/// A document as far as it is read.
#[derive(Default)]
pub(super) struct Reader {
    text: Vec<u8>,
    /// Everything before this was seen.
    position: usize,
    tree: Tree,
    document: Document,
    /// The `style` or `script` that is open, if its text matters.
    inline: Option<Inline>,
    /// Text since the last tag.
    run: Run,
    /// Title of the preferred style sheet set: sheets of another are alternates.
    preferred_set: Option<String>,
    /// The open `picture` has a `source`.
    picture_has_source: bool,
    /// How many `picture`s there were.
    pictures: u32,
    /// Something that is rendered has been seen.
    has_content: bool,
}

struct Inline {
    tag: &'static str,
    kind: InlineKind,
    text: String,
    link: Link,
}

enum InlineKind {
    Style,
    Module,
    ImportMap,
    Script,
}

/// Text between two tags: only as a whole can its character references be told.
#[derive(Default)]
struct Run {
    text: String,
    has_references: bool,
    pieces: Vec<Range<usize>>,
}

impl Reader {
    /// Takes more of the text. Returns whether it is UTF-16.
    pub(super) fn append(&mut self, bytes: &[u8]) -> bool {
        self.text.extend_from_slice(bytes);
        self.text.starts_with(&[0xff, 0xfe]) || self.text.starts_with(&[0xfe, 0xff])
    }

    /// Returns what was found so far.
    pub(super) fn document(&self) -> &Document {
        &self.document
    }

    /// Returns what was found. If the parser did not come to the end of the text, its rest is not
    /// looked at.
    pub(super) fn finish(mut self, is_whole: bool) -> Document {
        let length = self.text.len();
        if is_whole {
            self.skip(length..length);
        }
        self.end_run();
        // A style sheet that the end cuts off still applies; a script does not run.
        if self
            .inline
            .as_ref()
            .is_some_and(|inline| inline.tag == "style")
        {
            self.finish_inline(length);
        }
        self.document.head_length = self.tree.head_length.unwrap_or(length);
        self.document.outline = self.tree.finish();
        self.document
    }

    /// Notes that a token was seen. `lol_html` tells of an end tag only where its own stack, which
    /// knows no implied ends, has a partner for it; but nothing else can stand between the tokens
    /// it tells of.
    pub(super) fn skip(&mut self, token: Range<usize>) {
        let mut offset = self.position;
        self.position = self.position.max(token.end);
        while let Some((tag, range)) = end_tag_in(&self.text, offset..token.start) {
            offset = range.end;
            self.end_tag(&tag, range);
        }
    }

    /// Looks at end tags that the parser has passed without telling of them, so that they are not
    /// found later than the rest of what has arrived.
    pub(super) fn settle(&mut self) {
        while let Some(rest) = self.text.get(self.position..)
            && rest.starts_with(b"</")
            && let Some(length) = rest
                .iter()
                .take(END_TAG_BYTES)
                .position(|byte| *byte == b'>')
        {
            let end = self.position + length + 1;
            self.skip(end..end);
        }
    }

    pub(super) fn text(&mut self, chunk: &TextChunk<'_>) {
        let range = chunk.source_location().bytes();
        self.skip(range.clone());
        if let Some(inline) = &mut self.inline {
            inline.text.push_str(chunk.as_str());
            return;
        }
        let has_references = match chunk.text_type() {
            TextType::Data | TextType::RCData => true,
            TextType::PlainText | TextType::CDataSection => false,
            // Scripts, and `noscript`, `iframe` and the like, whose text is not rendered.
            TextType::ScriptData | TextType::RawText => return,
        };
        if has_references != self.run.has_references {
            self.end_run();
        }
        if !self.has_content && self.tree.renders_text() {
            self.note_content(range.clone());
        }
        self.run.has_references = has_references;
        self.run.text.push_str(chunk.as_str());
        self.run.pieces.push(range);
    }

    /// Adds the text since the last tag to the tree.
    fn end_run(&mut self) {
        let run = std::mem::take(&mut self.run);
        let Some(start) = run.pieces.first().map(|piece| piece.start) else {
            return;
        };
        let is_shown = if run.has_references {
            let text = references::decode(&run.text, Place::Text);
            self.tree.text(&text, start)
        } else {
            self.tree.text(&run.text, start)
        };
        if !is_shown {
            return;
        }
        for at in run.pieces.into_iter().flatten() {
            if self.text.get(at).is_some_and(u8::is_ascii_whitespace) {
                continue;
            }
            let block = at / TEXT_BLOCK_BYTES;
            let blocks = &mut self.document.text_bytes;
            if blocks.len() <= block {
                blocks.resize(block + 1, 0);
            }
            blocks[block] += 1;
        }
    }

    /// The first text that is rendered can be seen before all of it has come.
    fn note_content(&mut self, text: Range<usize>) {
        let bytes = self.text.get(text.clone()).unwrap_or_default();
        if let Some(at) = bytes.iter().position(|byte| !byte.is_ascii_whitespace()) {
            let length = match bytes[at] {
                0xF0.. => 4,
                0xE0.. => 3,
                // Only what follows a `<` tells that it begins no tag.
                b'<' | 0xC0.. => 2,
                _ => 1,
            };
            let end = (text.start + at + length).min(self.text.len());
            self.step(end, StepKind::Content);
        }
    }

    fn step(&mut self, end: usize, kind: StepKind) {
        if kind == StepKind::Content {
            if self.has_content {
                return;
            }
            self.has_content = true;
        }
        self.document.steps.push(Step { end, kind });
    }

    pub(super) fn start_tag(&mut self, tag: &Tag<'_, '_, impl HandlerTypes>) {
        let range = tag.source_location().bytes();
        self.skip(range.clone());
        let span = Span {
            start: range.start,
            end: range.end,
        };
        self.end_run();
        let content_is_foreign = tag.namespace_uri() != "http://www.w3.org/1999/xhtml";
        let mut name = tag.tag_name();
        let foreign = self.tree.is_foreign(&name, content_is_foreign);
        if name == "image" && !foreign {
            // HTML, section 13.2.6.4.7: "Don't ask."
            "img".clone_into(&mut name);
        }
        let attributes = Attributes::read(tag);
        if !self.tree.make_room(&name, foreign, range.start) {
            return;
        }
        let is_ignored = self.tree.is_inside("select") && name != "script";
        if !self.tree.is_inert() && !is_ignored {
            self.read_links(&name, &attributes, span);
        }
        // No end tag comes to `<style/>` in SVG, and no text is its.
        if foreign && tag.is_self_closing() && matches!(&*name, "style" | "script") {
            self.inline = None;
        }
        let is_content = matches!(
            &*name,
            "svg" | "input" | "textarea" | "select" | "button" | "progress" | "meter"
        );
        let is_shown = self.tree.insert(StartTag {
            element: outline_element(name, &attributes),
            foreign,
            self_closing: tag.is_self_closing(),
            has_open: attributes.has("open"),
        });
        if is_content && is_shown {
            self.step(range.end, StepKind::Content);
        }
    }

    fn end_tag(&mut self, tag: &str, range: Range<usize>) {
        self.end_run();
        if self.inline.as_ref().is_some_and(|inline| inline.tag == tag) {
            self.finish_inline(range.end);
        }
        self.tree.end(tag, range.start);
    }

    fn finish_inline(&mut self, end: usize) {
        let Some(inline) = self.inline.take() else {
            return;
        };
        match inline.kind {
            InlineKind::Style => self.push(
                Link {
                    kind: LinkKind::InlineStyle(Arc::new(css::parse(&inline.text))),
                    ..inline.link
                },
                end,
            ),
            InlineKind::Module => self.push(
                Link {
                    kind: LinkKind::InlineModule(module::imports(&inline.text)),
                    ..inline.link
                },
                end,
            ),
            InlineKind::ImportMap => {
                if self.document.import_map.is_none() {
                    self.document.import_map = Some(inline.text);
                    self.step(end, StepKind::ImportMap);
                }
            }
            InlineKind::Script => self.step(end, StepKind::InlineScript),
        }
    }

    /// Keeps document order: inside a `style` of SVG stand tags, so links come before it ends.
    fn push(&mut self, link: Link, end: usize) {
        let links = &mut self.document.links;
        if links.len() >= LINKS_MAX {
            return;
        }
        let at = links.partition_point(|other| other.offset <= link.offset);
        let is_last = at == links.len();
        links.insert(at, link);
        if !is_last {
            for step in &mut self.document.steps {
                if let StepKind::Link(index) = &mut step.kind
                    && *index >= at
                {
                    *index += 1;
                }
            }
        }
        self.step(end, StepKind::Link(at));
    }
}

/// Returns the name and the place of the first end tag in a part of a text, if there is one.
fn end_tag_in(text: &[u8], part: Range<usize>) -> Option<(String, Range<usize>)> {
    let start = part.start;
    let part = text.get(part)?;
    let at = part.windows(2).position(|start| start == b"</")?;
    let name = &part[at + 2..];
    let length = name
        .iter()
        .position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>'))
        .unwrap_or(name.len());
    let rest = name[length..].iter().position(|byte| *byte == b'>');
    let end = at + 2 + length + rest.map_or(0, |rest| rest + 1);
    let name = String::from_utf8_lossy(&name[..length]).to_ascii_lowercase();
    Some((name, start + at..start + end))
}

fn outline_element(tag: String, attributes: &Attributes) -> Element {
    let unrendered = attributes.has("hidden")
        || attributes.has("popover")
        || (tag == "dialog" && !attributes.has("open"))
        || (tag == "input" && attributes.is("type", "hidden"));
    let mut text = Text::default();
    if tag == "input" {
        text.add(attributes.shown_text());
    }
    let style = attributes.get("style").unwrap_or_default();
    Element {
        id: attributes.get("id").unwrap_or_default().to_owned(),
        classes: attributes
            .get("class")
            .unwrap_or_default()
            .split_ascii_whitespace()
            .map(str::to_owned)
            .collect(),
        parent: None,
        text: text.finish(),
        style: if style.len() > STYLE_ATTRIBUTE_BYTES_MAX {
            String::new()
        } else {
            style.to_owned()
        },
        unrendered,
        tag,
    }
}
