//! What the style sheets of a page name, once all of them are known.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::{Request, Sheet, Walk, Way, resolve};
use crate::site::graph::media::Media;
use crate::site::graph::style::{self, Used};
use crate::site::graph::{Destination, Need, Obstacle};
use crate::site::links::css::{self, StyleSheet};
use crate::site::links::html::{Crossorigin, Outline};

/// Most `style` attributes with a URL that are looked at.
const STYLE_ATTRIBUTES_MAX: usize = 500;

/// How many classes a `style` attribute outweighs.
const STYLE_ATTRIBUTE_WEIGHT: usize = 20;

/// Whether what is visited is used by the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Used,
    Unused,
}

impl Walk<'_> {
    /// Matches all style sheets against the outline, and visits what their faces and rules name.
    pub(super) fn styles(&mut self, outline: &Outline) {
        let outline = self.style_attributes(outline);
        let sheets = std::mem::take(&mut self.sheets);
        let on_screen: Vec<&Sheet<'_>> = sheets
            .iter()
            .filter(|sheet| sheet.media != Media::Never)
            .collect();
        let contents: Vec<&StyleSheet> = on_screen.iter().map(|sheet| &*sheet.content).collect();
        let used = style::used(&contents, &outline);
        // What is used comes first, so that the limit cuts off the rest.
        for (sheet, used) in on_screen.iter().zip(&used) {
            self.sheet_urls(sheet, used, Use::Used);
        }
        let nothing = Used::default();
        let unused = on_screen
            .iter()
            .enumerate()
            .map(|(at, sheet)| (*sheet, used.get(at).unwrap_or(&nothing)));
        let off_screen = sheets.iter().filter(|sheet| sheet.media == Media::Never);
        for (sheet, used) in unused.chain(off_screen.map(|sheet| (sheet, &nothing))) {
            self.sheet_urls(sheet, used, Use::Unused);
        }
    }

    fn sheet_urls(&mut self, sheet: &Sheet<'_>, used: &Used, wanted: Use) {
        let obstacle = |depends_on_client: bool| match wanted {
            _ if depends_on_client => Some(Obstacle::DependsOnClient),
            Use::Used => None,
            Use::Unused => Some(Obstacle::Unused),
        };
        for (at, face) in sheet.content.faces.iter().enumerate() {
            if used.faces.contains(&at) == (wanted == Use::Used)
                && let Some(url) = &face.url
            {
                let request = Request {
                    // CSS Fonts 4, section 4.8.2: fonts are always fetched with CORS.
                    crossorigin: Some(Crossorigin::Anonymous),
                    obstacle: obstacle(face.condition.is_some()),
                    ..Request::default()
                };
                self.sheet_url(sheet, url, Destination::Font, Need::Font, request);
            }
        }
        for (rule_at, rule) in sheet.content.rules.iter().enumerate() {
            for (at, url) in rule.urls.iter().enumerate() {
                if used.urls.contains(&(rule_at, at)) == (wanted == Use::Used) {
                    let depends_on_client = url.depends_on_client || rule.condition.is_some();
                    let request = Request {
                        obstacle: obstacle(depends_on_client),
                        ..Request::default()
                    };
                    self.sheet_url(sheet, &url.url, Destination::Image, Need::Image, request);
                }
            }
        }
    }

    fn sheet_url(
        &mut self,
        sheet: &Sheet<'_>,
        url: &str,
        destination: Destination,
        need: Need,
        request: Request,
    ) {
        let Some(url) = resolve(&sheet.base, url) else {
            return;
        };
        let way = Way {
            need: need.max(sheet.way.need),
            ..sheet.way
        };
        self.visit(&url, destination, request, way);
    }

    /// Makes a style sheet of the `style` attributes that name URLs, so that the cascade decides
    /// over them too. Each becomes a rule for a class that only its element has.
    fn style_attributes<'outline>(&mut self, outline: &'outline Outline) -> Cow<'outline, Outline> {
        let mut outline = Cow::Borrowed(outline);
        let mut rules = String::new();
        let mut count = 0;
        for at in 0..outline.elements.len() {
            let style = &outline.elements[at].style;
            let has_url = style.contains("url(") || style.contains("URL(");
            // A brace could end the rule.
            if !has_url || style.contains(['{', '}']) || count == STYLE_ATTRIBUTES_MAX {
                continue;
            }
            count += 1;
            let class = format!("style-attribute-{at}");
            // Repeated for its weight: in the cascade the attribute stands above every selector.
            let selector = format!(".{class}").repeat(STYLE_ATTRIBUTE_WEIGHT);
            let _ = writeln!(rules, "{selector}{{{style}}}");
            let element = &mut outline.to_mut().elements[at];
            element.classes.push(class);
            element.style.clear();
        }
        if count > 0 {
            self.sheets.push(Sheet {
                base: self.base.clone(),
                content: Cow::Owned(css::parse(&rules)),
                media: Media::Always,
                way: Way {
                    behind: None,
                    offset: self.head_length,
                    in_head: false,
                    obstacle: None,
                    need: Need::RenderBlocking,
                    depth: 0,
                },
            });
        }
        outline
    }
}
