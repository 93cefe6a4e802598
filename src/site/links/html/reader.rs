//! Elements to links: what of each element a browser fetches (HTML, sections 4.2 to 4.12).

use std::ops::Range;

use lol_html::html_content::{Element as Tag, TextChunk, TextType};

use super::attributes::{Attributes, ScriptType};
use super::references::{self, Place};
use super::text::Text;
use super::tree::{StartTag, Tree};
use super::{Crossorigin, Document, Element, Link, LinkKind};
use crate::site::links::{css, module};

/// Most links taken from one document.
const LINKS_MAX: usize = 5_000;

/// Longest `style` attribute that is kept, in bytes.
const STYLE_ATTRIBUTE_BYTES_MAX: usize = 16 * 1024;

/// A document as far as it is read.
pub(super) struct Reader<'text> {
    text: &'text [u8],
    /// Everything before this was seen.
    position: usize,
    tree: Tree,
    document: Document,
    /// The `style` or `script` that is open, if its text matters.
    inline: Option<Inline>,
    /// Title of the preferred style sheet set: sheets of another are alternates.
    preferred_set: Option<String>,
    /// The open `picture` has a `source`.
    picture_has_source: bool,
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
}

impl<'text> Reader<'text> {
    pub(super) fn new(text: &'text [u8]) -> Self {
        Self {
            text,
            position: 0,
            tree: Tree::default(),
            document: Document::default(),
            inline: None,
            preferred_set: None,
            picture_has_source: false,
        }
    }

    /// Returns what was found.
    pub(super) fn finish(mut self) -> Document {
        // A style sheet that the end cuts off still applies; a script does not run.
        if self
            .inline
            .as_ref()
            .is_some_and(|inline| inline.tag == "style")
        {
            self.finish_inline();
        }
        self.document.head_length = self.tree.head_length.unwrap_or(self.text.len());
        self.document.outline = self.tree.finish();
        self.document
    }

    /// Notes that a token was seen. `lol_html` tells of an end tag only where its own stack, which
    /// knows no implied ends, has a partner for it; but nothing else can stand between the tokens
    /// it tells of.
    pub(super) fn skip(&mut self, token: Range<usize>) {
        let text = self.text;
        let mut between = text.get(self.position..token.start).unwrap_or_default();
        let mut offset = self.position;
        self.position = self.position.max(token.end);
        while let Some(at) = between.windows(2).position(|start| start == b"</") {
            let name = &between[at + 2..];
            let length = name
                .iter()
                .position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'/' | b'>'))
                .unwrap_or(name.len());
            let tag = String::from_utf8_lossy(&name[..length]).to_ascii_lowercase();
            self.end_tag(&tag, offset + at);
            offset += at + 2 + length;
            between = &name[length..];
        }
    }

    pub(super) fn text(&mut self, chunk: &TextChunk<'_>) {
        let range = chunk.source_location().bytes();
        self.skip(range.clone());
        if let Some(inline) = &mut self.inline {
            inline.text.push_str(chunk.as_str());
            return;
        }
        match chunk.text_type() {
            TextType::Data | TextType::RCData => {
                let text = references::decode(chunk.as_str(), Place::Text);
                self.tree.text(&text, range.start);
            }
            TextType::PlainText | TextType::CDataSection => {
                self.tree.text(chunk.as_str(), range.start);
            }
            // Scripts, and `noscript`, `iframe` and the like, whose text is not rendered.
            TextType::ScriptData | TextType::RawText => {}
        }
    }

    pub(super) fn start_tag(&mut self, tag: &Tag<'_, '_>) {
        let range = tag.source_location().bytes();
        self.skip(range.clone());
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
            self.read_links(&name, &attributes, range.start);
        }
        // No end tag comes to `<style/>` in SVG, and no text is its.
        if foreign && tag.is_self_closing() && matches!(&*name, "style" | "script") {
            self.inline = None;
        }
        self.tree.insert(StartTag {
            element: outline_element(name, &attributes),
            foreign,
            self_closing: tag.is_self_closing(),
            has_open: attributes.has("open"),
        });
    }

    fn end_tag(&mut self, tag: &str, offset: usize) {
        if self.inline.as_ref().is_some_and(|inline| inline.tag == tag) {
            self.finish_inline();
        }
        self.tree.end(tag, offset);
    }

    fn finish_inline(&mut self) {
        let Some(inline) = self.inline.take() else {
            return;
        };
        match inline.kind {
            InlineKind::Style => self.push(Link {
                kind: LinkKind::InlineStyle(css::parse(&inline.text)),
                ..inline.link
            }),
            InlineKind::Module => self.push(Link {
                kind: LinkKind::InlineModule(module::imports(&inline.text)),
                ..inline.link
            }),
            InlineKind::ImportMap => {
                self.document.import_map.get_or_insert(inline.text);
            }
        }
    }

    /// Keeps document order: inside a `style` of SVG stand tags, so links come before it ends.
    fn push(&mut self, link: Link) {
        let links = &mut self.document.links;
        if links.len() < LINKS_MAX {
            let at = links.partition_point(|other| other.offset <= link.offset);
            links.insert(at, link);
        }
    }

    fn read_links(&mut self, tag: &str, attributes: &Attributes, offset: usize) {
        match tag {
            "base" => self.read_base(attributes, offset),
            "html" => self.document.nopush |= attributes.has("data-nopush"),
            "body" => {
                self.document.nopush |= attributes.has("data-nopush");
                // Any style sheet may replace it.
                self.push_url(attributes, "background", LinkKind::Image, offset, true);
            }
            "link" => self.read_link(attributes, offset),
            "style" => self.read_style(attributes, offset),
            "script" => self.read_script(attributes, offset),
            "picture" => self.picture_has_source = false,
            "img" => self.read_image(attributes, offset),
            "source" if self.tree.parent() == "picture" => {
                self.picture_has_source = true;
                self.read_image(attributes, offset);
            }
            "source" | "audio" | "track" => {
                self.push_url(attributes, "src", LinkKind::Media, offset, false);
            }
            "video" => {
                self.push_url(attributes, "poster", LinkKind::Poster, offset, false);
                self.push_url(attributes, "src", LinkKind::Media, offset, false);
            }
            "input" if attributes.is("type", "image") => {
                self.push_url(attributes, "src", LinkKind::Image, offset, false);
            }
            // SVG; in HTML the tag means `img`.
            "image" => {
                let name = if attributes.has("href") {
                    "href"
                } else {
                    "xlink:href"
                };
                self.push_url(attributes, name, LinkKind::Image, offset, false);
            }
            "iframe" if attributes.has("srcdoc") => {}
            "iframe" | "frame" | "embed" => {
                self.push_url(attributes, "src", LinkKind::Frame, offset, false);
            }
            "object" => self.push_url(attributes, "data", LinkKind::Frame, offset, false),
            _ => {}
        }
    }

    fn push_url(
        &mut self,
        attributes: &Attributes,
        name: &str,
        kind: LinkKind,
        offset: usize,
        depends_on_client: bool,
    ) {
        if let Some(url) = attributes.url(name) {
            let link = self.link(attributes, url, kind, offset);
            self.push(Link {
                depends_on_client,
                ..link
            });
        }
    }

    fn link(&self, attributes: &Attributes, url: &str, kind: LinkKind, offset: usize) -> Link {
        Link {
            url: url.to_owned(),
            kind,
            offset,
            in_head: self.tree.is_in_head(),
            media: attributes.get("media").unwrap_or_default().to_owned(),
            content_type: attributes.get("type").unwrap_or_default().to_owned(),
            crossorigin: attributes.get("crossorigin").map(|value| {
                if value.eq_ignore_ascii_case("use-credentials") {
                    Crossorigin::UseCredentials
                } else {
                    Crossorigin::Anonymous
                }
            }),
            lazy: attributes.is("loading", "lazy"),
            nopush: attributes.has("data-nopush"),
            depends_on_client: false,
            image_candidates: None,
        }
    }

    fn read_base(&mut self, attributes: &Attributes, offset: usize) {
        if self.document.base.is_none()
            && let Some(href) = attributes.get("href")
        {
            self.document.base = Some(href.to_owned());
            self.document.base_offset = offset;
        }
    }

    fn read_link(&mut self, attributes: &Attributes, offset: usize) {
        let Some(url) = attributes
            .url("href")
            .or_else(|| attributes.url("imagesrcset").map(first_candidate))
        else {
            return;
        };
        let rel = attributes
            .get("rel")
            .unwrap_or_default()
            .to_ascii_lowercase();
        let rel: Vec<&str> = rel.split_ascii_whitespace().collect();
        let base = Link {
            nopush: attributes.has("data-nopush") || attributes.has("nopush"),
            ..self.link(attributes, url, LinkKind::StyleSheet, offset)
        };
        if rel.contains(&"stylesheet")
            && attributes.has("href")
            && self.is_applied(&rel, attributes)
        {
            self.push(base.clone());
        }
        if rel.contains(&"preload") {
            self.push_preload(attributes, base.clone());
        }
        let has_href = attributes.has("href");
        let destination = attributes.get("as").unwrap_or_default();
        if rel.contains(&"modulepreload")
            && has_href
            && (destination.is_empty() || destination.eq_ignore_ascii_case("script"))
        {
            self.push(Link {
                kind: LinkKind::ModulePreload,
                ..base.clone()
            });
        }
        let is_icon = |rel: &&str| {
            matches!(
                *rel,
                "icon" | "apple-touch-icon" | "apple-touch-icon-precomposed" | "mask-icon"
            )
        };
        if has_href && rel.iter().any(is_icon) {
            self.push(Link {
                kind: LinkKind::Icon,
                // Which of several icons is fetched is for the client to choose.
                depends_on_client: attributes.has("sizes"),
                ..base.clone()
            });
        }
        if has_href && rel.contains(&"manifest") {
            self.push(Link {
                kind: LinkKind::Manifest,
                ..base
            });
        }
    }

    fn push_preload(&mut self, attributes: &Attributes, base: Link) {
        let destination = attributes
            .get("as")
            .unwrap_or_default()
            .to_ascii_lowercase();
        // Clients fetch nothing for a destination that they do not know.
        if !matches!(
            destination.as_str(),
            "audio" | "fetch" | "font" | "image" | "script" | "style" | "track" | "video"
        ) {
            return;
        }
        let candidates = attributes
            .get("imagesrcset")
            .filter(|_| destination == "image");
        if candidates.is_none() && !attributes.has("href") {
            return;
        }
        self.push(Link {
            depends_on_client: candidates.is_some(),
            image_candidates: candidates.map(|candidates| {
                let sizes = attributes.get("imagesizes").unwrap_or_default();
                (candidates.to_owned(), sizes.to_owned())
            }),
            kind: LinkKind::Preload(destination),
            ..base
        });
    }

    /// Whether a `link rel=stylesheet` is a style sheet that applies at load.
    fn is_applied(&mut self, rel: &[&str], attributes: &Attributes) -> bool {
        !rel.contains(&"alternate")
            && !attributes.has("disabled")
            && attributes.is_css()
            && self.is_in_preferred_set(attributes)
    }

    /// CSSOM, section 6.2: the first title names the set that is used.
    fn is_in_preferred_set(&mut self, attributes: &Attributes) -> bool {
        match attributes.get("title") {
            None | Some("") => true,
            Some(title) => self.preferred_set.get_or_insert_with(|| title.to_owned()) == title,
        }
    }

    fn read_style(&mut self, attributes: &Attributes, offset: usize) {
        if attributes.is_css() && self.is_in_preferred_set(attributes) {
            self.inline = Some(Inline {
                tag: "style",
                kind: InlineKind::Style,
                text: String::new(),
                link: self.link(attributes, "", LinkKind::StyleSheet, offset),
            });
        }
    }

    fn read_script(&mut self, attributes: &Attributes, offset: usize) {
        let Some(script) = ScriptType::of(attributes) else {
            return;
        };
        let is_async = attributes.has("async");
        let is_external = attributes.has("src") || attributes.has("xlink:href");
        if is_external {
            let kind = match script {
                ScriptType::Module => LinkKind::Module { is_async },
                ScriptType::ImportMap => return,
                ScriptType::Classic if attributes.has("nomodule") => LinkKind::NomoduleScript,
                ScriptType::Classic if is_async => LinkKind::AsyncScript,
                ScriptType::Classic if attributes.has("defer") => LinkKind::DeferredScript,
                ScriptType::Classic => LinkKind::Script,
            };
            let name = if attributes.has("src") {
                "src"
            } else {
                "xlink:href"
            };
            self.push_url(attributes, name, kind, offset, false);
            return;
        }
        let kind = match script {
            ScriptType::Module => InlineKind::Module,
            ScriptType::ImportMap => InlineKind::ImportMap,
            ScriptType::Classic => return,
        };
        self.inline = Some(Inline {
            tag: "script",
            kind,
            text: String::new(),
            link: self.link(attributes, "", LinkKind::Script, offset),
        });
    }

    /// `img`, and `source` of a `picture`.
    fn read_image(&mut self, attributes: &Attributes, offset: usize) {
        let candidates = attributes.url("srcset");
        let Some(url) = attributes.url("src").or(candidates.map(first_candidate)) else {
            return;
        };
        let in_picture = self.tree.parent() == "picture" && self.picture_has_source;
        let link = self.link(attributes, url, LinkKind::Image, offset);
        self.push(Link {
            depends_on_client: candidates.is_some() || attributes.has("sizes") || in_picture,
            image_candidates: candidates.map(|candidates| {
                let sizes = attributes.get("sizes").unwrap_or_default();
                (candidates.to_owned(), sizes.to_owned())
            }),
            ..link
        });
    }
}

/// Returns the first URL of a `srcset`.
fn first_candidate(candidates: &str) -> &str {
    candidates
        .trim_start_matches(|c: char| c == ',' || c.is_ascii_whitespace())
        .split_ascii_whitespace()
        .next()
        .unwrap_or_default()
        .trim_end_matches(',')
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
