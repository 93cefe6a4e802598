//! What the style sheets of a page name, once all of them are known.

use super::{Request, Sheet, Walk, Way, resolve};
use crate::site::graph::style::{self, Cascaded, Used};
use crate::site::graph::{Destination, Need, Obstacle};
use crate::site::links::css::{Applies, RuleUrl};
use crate::site::links::html::{Crossorigin, Outline};

/// How much of what a sheet names is visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Certain,
    Perhaps,
    None,
}

impl Use {
    fn obstacle(self) -> Option<Obstacle> {
        match self {
            Self::Certain => None,
            Self::Perhaps => Some(Obstacle::DependsOnClient),
            Self::None => Some(Obstacle::Unused),
        }
    }
}

impl Walk<'_> {
    /// Matches all style sheets against the outline, and visits what their faces and rules name.
    pub(super) fn styles(&mut self, outline: &Outline) {
        let sheets = std::mem::take(&mut self.sheets);
        let (off_screen, on_screen): (Vec<_>, Vec<_>) = sheets
            .iter()
            .partition(|sheet| sheet.circumstance.applies == Applies::Never);
        let cascaded: Vec<Cascaded<'_>> = on_screen
            .iter()
            .map(|sheet| Cascaded {
                sheet: sheet.content,
                depends_on_client: sheet.circumstance.applies == Applies::Depends,
                layer: sheet.circumstance.layer.as_deref(),
            })
            .collect();
        let page = style::used_by_page(&cascaded, outline);
        let unused = Used::default();
        // What is used comes first, so that the limit cuts off the rest.
        for wanted in [Use::Certain, Use::Perhaps, Use::None] {
            for (sheet, used) in on_screen.iter().zip(&page.sheets) {
                self.sheet_urls(sheet, used, wanted);
            }
            if wanted == Use::Certain {
                self.attribute_urls(&page.attributes);
            }
        }
        for sheet in off_screen {
            self.sheet_urls(sheet, &unused, Use::None);
        }
    }

    fn sheet_urls(&mut self, sheet: &Sheet<'_>, used: &Used, wanted: Use) {
        for (at, face) in sheet.content.faces.iter().enumerate() {
            if use_of(&at, &used.faces, &used.perhaps_faces) == wanted
                && let Some(url) = &face.url
            {
                let request = Request {
                    // CSS Fonts 4, section 4.8.2: fonts are always fetched with CORS.
                    crossorigin: Some(Crossorigin::Anonymous),
                    obstacle: wanted.obstacle(),
                    ..Request::default()
                };
                self.sheet_url(sheet, url, Destination::Font, Need::Font, request);
            }
        }
        for (rule_at, rule) in sheet.content.rules.iter().enumerate() {
            for (at, url) in rule.urls.iter().enumerate() {
                if use_of(&(rule_at, at), &used.urls, &used.perhaps_urls) == wanted {
                    let request = Request {
                        obstacle: wanted.obstacle(),
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

    /// Visits what `style` attributes name. Only what is used of them is told.
    fn attribute_urls(&mut self, urls: &[RuleUrl]) {
        let way = Way {
            behind: None,
            // The outline has no offsets; what is styled so stands in the body.
            offset: self.head_length,
            in_head: false,
            obstacle: None,
            need: Need::Image,
            depth: 0,
        };
        for url in urls {
            let wanted = if url.depends_on_client {
                Use::Perhaps
            } else {
                Use::Certain
            };
            let request = Request {
                obstacle: wanted.obstacle(),
                ..Request::default()
            };
            if let Some(url) = resolve(&self.base, &url.url) {
                self.visit(&url, Destination::Image, request, way);
            }
        }
    }
}

/// Looks something up in two sorted lists.
fn use_of<T: Ord>(at: &T, certain: &[T], perhaps: &[T]) -> Use {
    if certain.binary_search(at).is_ok() {
        Use::Certain
    } else if perhaps.binary_search(at).is_ok() {
        Use::Perhaps
    } else {
        Use::None
    }
}
