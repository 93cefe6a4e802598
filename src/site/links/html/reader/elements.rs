//! Each element by its name: what of it a client fetches (HTML, sections 4.2 to 4.12).

use super::{Inline, InlineKind, Reader};
use crate::site::links::html::attributes::{Attributes, ScriptType};
use crate::site::links::html::{Crossorigin, FetchPriority, Link, LinkKind, PictureRole, StepKind};

/// Where a start tag stands.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl Reader {
    pub(super) fn read_links(&mut self, tag: &str, attributes: &Attributes, span: Span) {
        match tag {
            "base" => self.read_base(attributes, span),
            "html" => self.document.nopush |= attributes.has("data-nopush"),
            "body" => {
                self.document.nopush |= attributes.has("data-nopush");
                // Any style sheet may replace it.
                self.push_url(attributes, "background", LinkKind::Image, span, true);
            }
            "link" => self.read_link(attributes, span),
            "style" => self.read_style(attributes, span),
            "script" => self.read_script(attributes, span),
            "picture" => {
                self.picture_has_source = false;
                self.pictures += 1;
            }
            "img" => self.read_image(attributes, PictureRole::Image, span),
            "source" if self.tree.parent() == "picture" => {
                self.picture_has_source = true;
                self.read_image(attributes, PictureRole::Source, span);
            }
            "source" | "audio" | "track" => {
                self.push_url(attributes, "src", LinkKind::Media, span, false);
            }
            "video" => {
                self.push_url(attributes, "poster", LinkKind::Poster, span, false);
                self.push_url(attributes, "src", LinkKind::Media, span, false);
            }
            "input" if attributes.is("type", "image") => {
                self.push_url(attributes, "src", LinkKind::Image, span, false);
            }
            // SVG; in HTML the tag means `img`.
            "image" => {
                let name = if attributes.has("href") {
                    "href"
                } else {
                    "xlink:href"
                };
                self.push_url(attributes, name, LinkKind::Image, span, false);
            }
            "iframe" if attributes.has("srcdoc") => {}
            "iframe" | "frame" | "embed" => {
                self.push_url(attributes, "src", LinkKind::Frame, span, false);
            }
            "object" => self.push_url(attributes, "data", LinkKind::Frame, span, false),
            _ => {}
        }
    }

    fn push_url(
        &mut self,
        attributes: &Attributes,
        name: &str,
        kind: LinkKind,
        span: Span,
        depends_on_client: bool,
    ) {
        if let Some(url) = attributes.url(name) {
            let link = self.link(attributes, url, kind, span);
            self.push(
                Link {
                    depends_on_client,
                    ..link
                },
                span.end,
            );
        }
    }

    fn link(&self, attributes: &Attributes, url: &str, kind: LinkKind, span: Span) -> Link {
        Link {
            url: url.to_owned(),
            kind,
            offset: span.start,
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
            fetch_priority: fetch_priority(attributes),
            size: (pixels(attributes, "width"), pixels(attributes, "height")),
            is_timed: attributes.has("elementtiming"),
            picture: None,
        }
    }

    fn read_base(&mut self, attributes: &Attributes, span: Span) {
        if self.document.base.is_none()
            && let Some(href) = attributes.get("href")
        {
            self.document.base = Some(href.to_owned());
            self.document.base_offset = span.start;
            self.step(span.end, StepKind::Base);
        }
    }

    fn read_link(&mut self, attributes: &Attributes, span: Span) {
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
            ..self.link(attributes, url, LinkKind::StyleSheet, span)
        };
        if rel.contains(&"stylesheet")
            && attributes.has("href")
            && self.is_applied(&rel, attributes)
        {
            self.push(base.clone(), span.end);
        }
        if rel.contains(&"preload") {
            self.push_preload(attributes, base.clone(), span);
        }
        let has_href = attributes.has("href");
        let destination = attributes.get("as").unwrap_or_default();
        if rel.contains(&"modulepreload")
            && has_href
            && (destination.is_empty() || destination.eq_ignore_ascii_case("script"))
        {
            self.push(
                Link {
                    kind: LinkKind::ModulePreload,
                    ..base.clone()
                },
                span.end,
            );
        }
        let is_icon = |rel: &&str| {
            matches!(
                *rel,
                "icon" | "apple-touch-icon" | "apple-touch-icon-precomposed" | "mask-icon"
            )
        };
        if has_href && rel.iter().any(is_icon) {
            self.push(
                Link {
                    kind: LinkKind::Icon,
                    // Which of several icons is fetched is for the client to choose.
                    depends_on_client: attributes.has("sizes"),
                    ..base.clone()
                },
                span.end,
            );
        }
        if has_href && rel.contains(&"manifest") {
            self.push(
                Link {
                    kind: LinkKind::Manifest,
                    ..base
                },
                span.end,
            );
        }
    }

    fn push_preload(&mut self, attributes: &Attributes, base: Link, span: Span) {
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
        self.push(
            Link {
                depends_on_client: candidates.is_some(),
                image_candidates: candidates.map(|candidates| {
                    let sizes = attributes.get("imagesizes").unwrap_or_default();
                    (candidates.to_owned(), sizes.to_owned())
                }),
                kind: LinkKind::Preload(destination),
                ..base
            },
            span.end,
        );
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

    fn read_style(&mut self, attributes: &Attributes, span: Span) {
        if attributes.is_css() && self.is_in_preferred_set(attributes) {
            self.inline = Some(Inline {
                tag: "style",
                kind: InlineKind::Style,
                text: String::new(),
                link: self.link(attributes, "", LinkKind::StyleSheet, span),
            });
        }
    }

    fn read_script(&mut self, attributes: &Attributes, span: Span) {
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
            self.push_url(attributes, name, kind, span, false);
            return;
        }
        let kind = match script {
            ScriptType::Module => InlineKind::Module,
            ScriptType::ImportMap => InlineKind::ImportMap,
            ScriptType::Classic if attributes.has("nomodule") => return,
            ScriptType::Classic => InlineKind::Script,
        };
        self.inline = Some(Inline {
            tag: "script",
            kind,
            text: String::new(),
            link: self.link(attributes, "", LinkKind::Script, span),
        });
    }

    /// `img`, and `source` of a `picture`.
    fn read_image(&mut self, attributes: &Attributes, role: PictureRole, span: Span) {
        let candidates = attributes.url("srcset");
        let Some(url) = attributes.url("src").or(candidates.map(first_candidate)) else {
            return;
        };
        let in_picture = self.tree.parent() == "picture" && self.picture_has_source;
        let link = self.link(attributes, url, LinkKind::Image, span);
        self.push(
            Link {
                depends_on_client: candidates.is_some() || attributes.has("sizes") || in_picture,
                picture: (self.tree.parent() == "picture").then_some((role, self.pictures)),
                image_candidates: candidates.map(|candidates| {
                    let sizes = attributes.get("sizes").unwrap_or_default();
                    (candidates.to_owned(), sizes.to_owned())
                }),
                ..link
            },
            span.end,
        );
    }
}

fn fetch_priority(attributes: &Attributes) -> FetchPriority {
    FetchPriority::parse(attributes.get("fetchpriority").unwrap_or_default())
}

/// Reads a length in pixels (HTML, section 2.3.4.2), without its fraction.
fn pixels(attributes: &Attributes, name: &str) -> Option<u32> {
    let written = attributes.get(name)?.trim_ascii_start();
    let length = written.bytes().take_while(u8::is_ascii_digit).count();
    let is_percentage = written[length..].starts_with('%');
    written[..length].parse().ok().filter(|_| !is_percentage)
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
