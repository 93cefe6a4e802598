//! The style sheets of a page: which are still awaited, and which fonts and images they make the
//! elements use that the parser has passed.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::priority::Manner;
use super::{Page, Request, SHEETS_MAX, resolve, viewport};
use crate::measure::timeline::Kind;
use crate::site::asset::ContentHash;
use crate::site::graph::style::{self, Cascaded};
use crate::site::links::css::StyleSheet;
use crate::site::links::html::{self, Crossorigin, FetchPriority};

/// Most sheets that can import one another in a row.
const IMPORT_DEPTH_MAX: u8 = 32;

/// The style sheets of a page, linked and imported.
#[derive(Default)]
pub(super) struct Sheets {
    all: Vec<Sheet>,
    /// Those of the document, in document order.
    roots: Vec<DocumentSheet>,
    /// Those of them that have not come with all they import.
    awaited: Vec<Root>,
    /// What was looked at last.
    looked_at: Option<ContentHash>,
}

/// One use of a style sheet.
struct Sheet {
    place: Place,
    hash: ContentHash,
    base: Url,
    /// The resource that it comes from; `None` if it stands in the document.
    resource: Option<usize>,
    layer: Option<String>,
    imports: Vec<usize>,
    parent: Option<usize>,
    depth: u8,
}

enum Place {
    Awaited,
    Here(Arc<StyleSheet>),
    /// It failed, is no style sheet, or its media do not match.
    Nowhere,
}

/// The number of a style sheet among those of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Root(usize);

/// A style sheet of the document.
struct DocumentSheet {
    sheet: usize,
    offset: usize,
    in_head: bool,
}

/// What the sheets of a page make it fetch.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Uses(Vec<Use>);

#[derive(Debug, PartialEq)]
struct Use {
    url: Url,
    is_font: bool,
    /// Index of the sheet among those in the cascade; `None` for a `style` attribute.
    sheet: Option<usize>,
}

impl Uses {
    pub(super) fn bytes(&self) -> usize {
        self.0.iter().map(|used| used.url.as_str().len()).sum()
    }
}

impl Sheets {
    /// Whether a script has to wait for a style sheet.
    pub(super) fn block_scripts(&self) -> bool {
        !self.awaited.is_empty()
    }

    /// Whether nothing can be rendered yet. A sheet in the body stops the parser instead.
    pub(super) fn block_render(&self) -> bool {
        self.awaited.iter().any(|root| self.roots[root.0].in_head)
    }

    /// Whether a style sheet of the document, or one that it imports, has not come.
    pub(super) fn is_awaited(&self, root: Root) -> bool {
        self.awaited.contains(&root)
    }

    fn is_complete(&self, sheet: usize) -> bool {
        let sheet = &self.all[sheet];
        !matches!(sheet.place, Place::Awaited)
            && sheet.imports.iter().all(|import| self.is_complete(*import))
    }

    /// Pushes a sheet after those that it imports.
    fn cascade(&self, sheet: usize, order: &mut Vec<usize>) {
        for import in &self.all[sheet].imports {
            self.cascade(*import, order);
        }
        if matches!(self.all[sheet].place, Place::Here(_)) {
            order.push(sheet);
        }
    }
}

impl Page {
    /// The parser has come to a `<style>`.
    pub(super) fn inline_sheet(
        &mut self,
        sheet: &Arc<StyleSheet>,
        offset: usize,
        in_head: bool,
    ) -> Root {
        let base = self.parser_base.clone();
        let hash = ContentHash::of(&offset.to_le_bytes());
        let index = self.add_sheet(base, None, None, None);
        self.sheets.all[index].hash = hash;
        let root = self.root(index, offset, in_head);
        self.open_sheet(index, Arc::clone(sheet));
        self.settle_sheets();
        root
    }

    /// The parser has come to a style sheet that applies. `None`: there are too many.
    pub(super) fn linked_sheet(
        &mut self,
        resource: usize,
        offset: usize,
        in_head: bool,
    ) -> Option<Root> {
        if self.sheets.all.len() >= SHEETS_MAX {
            return None;
        }
        let base = self.resources[resource].want.url.clone();
        let index = self.add_sheet(base, Some(resource), None, None);
        let root = self.root(index, offset, in_head);
        self.receive_sheet(index);
        self.settle_sheets();
        Some(root)
    }

    fn root(&mut self, sheet: usize, offset: usize, in_head: bool) -> Root {
        let roots = &mut self.sheets.roots;
        roots.push(DocumentSheet {
            sheet,
            offset,
            in_head,
        });
        let root = Root(roots.len() - 1);
        self.sheets.awaited.push(root);
        root
    }

    fn add_sheet(
        &mut self,
        base: Url,
        resource: Option<usize>,
        parent: Option<usize>,
        layer: Option<String>,
    ) -> usize {
        let depth = parent.map_or(0, |parent| self.sheets.all[parent].depth + 1);
        self.sheets.all.push(Sheet {
            place: Place::Awaited,
            hash: ContentHash([0; 16]),
            base,
            resource,
            layer,
            imports: Vec::new(),
            parent,
            depth,
        });
        self.sheets.all.len() - 1
    }

    /// Goes on with the sheets that come from a resource, now that it has ended.
    pub(super) fn sheets_of(&mut self, resource: usize) {
        for index in 0..self.sheets.all.len() {
            if self.sheets.all[index].resource == Some(resource) {
                self.receive_sheet(index);
            }
        }
        self.settle_sheets();
    }

    fn receive_sheet(&mut self, index: usize) {
        let Some(number) = self.sheets.all[index].resource else {
            return;
        };
        let resource = &self.resources[number];
        if resource.ended.is_none() || !matches!(self.sheets.all[index].place, Place::Awaited) {
            return;
        }
        if !resource.is_usable() {
            self.sheets.all[index].place = Place::Nowhere;
            return;
        }
        let (hash, base) = (resource.hash, resource.want.url.clone());
        let content = self.parsed.sheet(hash, &resource.body);
        let sheet = &mut self.sheets.all[index];
        sheet.hash = hash;
        sheet.base = base;
        self.open_sheet(index, content);
    }

    /// Asks for what a sheet imports.
    fn open_sheet(&mut self, index: usize, content: Arc<StyleSheet>) {
        let (base, layer) = {
            let sheet = &self.sheets.all[index];
            (sheet.base.clone(), sheet.layer.clone())
        };
        let is_too_deep = self.sheets.all[index].depth >= IMPORT_DEPTH_MAX;
        let imports = if is_too_deep {
            &[][..]
        } else {
            &content.imports
        };
        for import in imports {
            let Some(url) = resolve(&base, &import.url) else {
                continue;
            };
            let matches = viewport::matches(&import.media);
            if self.sheets.all.len() >= SHEETS_MAX || self.is_imported_by(index, &url) {
                continue;
            }
            let manner = if matches {
                Manner::Elsewhere
            } else {
                Manner::Idle
            };
            let asked = self.want(Request {
                blocks_render: matches && self.blocks_render(index),
                initiator: self.sheets.all[index].resource,
                ..Request::new(url.clone(), Kind::Style, manner)
            });
            let Some(asked) = asked.filter(|_| matches) else {
                continue;
            };
            let layers = [layer.as_deref(), import.layer.as_deref()];
            let layers: Vec<&str> = layers.into_iter().flatten().collect();
            let layer = (!layers.is_empty()).then(|| layers.join("."));
            let child = self.add_sheet(url, Some(asked), Some(index), layer);
            self.sheets.all[index].imports.push(child);
            self.receive_sheet(child);
        }
        self.sheets.all[index].place = Place::Here(content);
    }

    /// A sheet that imports itself, on whatever way, is not imported again.
    fn is_imported_by(&self, index: usize, url: &Url) -> bool {
        let mut at = Some(index);
        while let Some(sheet) = at {
            let sheet = &self.sheets.all[sheet];
            if sheet.resource.is_some() && sheet.base == *url {
                return true;
            }
            at = sheet.parent;
        }
        false
    }

    fn blocks_render(&self, index: usize) -> bool {
        let mut at = index;
        while let Some(parent) = self.sheets.all[at].parent {
            at = parent;
        }
        let mut roots = self.sheets.roots.iter();
        roots.any(|root| root.sheet == at && root.in_head)
    }

    fn settle_sheets(&mut self) {
        let mut awaited = std::mem::take(&mut self.sheets.awaited);
        awaited.retain(|root| !self.sheets.is_complete(self.sheets.roots[root.0].sheet));
        self.sheets.awaited = awaited;
    }

    /// Asks for the fonts and images that are used before the last checkpoint that the parser has
    /// passed. Called once nothing blocks rendering.
    pub(super) fn look_at_styles(&mut self, now: Duration) {
        let Some(point) = self.document.checkpoint(self.position) else {
            return;
        };
        let order = self.in_cascade(point.position);
        let key = self.key_of(&order, point.hash);
        if self.sheets.looked_at == Some(key) {
            return;
        }
        self.sheets.looked_at = Some(key);
        let uses = {
            let find = || self.find_uses(&order, point.position);
            self.parsed.uses(key, find)
        };
        for used in &uses.0 {
            let initiator = used
                .sheet
                .and_then(|at| self.sheets.all[order[at]].resource);
            self.want_used(used, initiator, now);
        }
    }

    fn want_used(&mut self, used: &Use, initiator: Option<usize>, now: Duration) {
        let kind = if used.is_font {
            Kind::Font
        } else {
            Kind::Image
        };
        let asked = self.want(Request {
            // CSS Fonts 4, section 4.8.2: fonts are always fetched with CORS.
            crossorigin: used.is_font.then_some(Crossorigin::Anonymous),
            initiator,
            ..Request::new(used.url.clone(), kind, Manner::Elsewhere)
        });
        if let Some(asked) = asked.filter(|_| used.is_font)
            && !self.fonts.iter().any(|(font, _)| *font == asked)
        {
            self.fonts.push((asked, now));
        }
    }

    fn in_cascade(&self, position: usize) -> Vec<usize> {
        let mut order = Vec::new();
        for root in self
            .sheets
            .roots
            .iter()
            .filter(|root| root.offset < position)
        {
            self.sheets.cascade(root.sheet, &mut order);
        }
        order
    }

    fn key_of(&self, order: &[usize], text: ContentHash) -> ContentHash {
        let mut key = Vec::with_capacity(64 * (order.len() + 1));
        key.extend_from_slice(&text.0);
        key.extend_from_slice(self.parser_base.as_str().as_bytes());
        for sheet in order.iter().map(|at| &self.sheets.all[*at]) {
            key.extend_from_slice(&sheet.hash.0);
            for part in [
                sheet.base.as_str(),
                sheet.layer.as_deref().unwrap_or_default(),
            ] {
                // No URL and no layer has a NUL.
                key.push(0);
                key.extend_from_slice(part.as_bytes());
            }
        }
        ContentHash::of(&key)
    }

    fn find_uses(&self, order: &[usize], position: usize) -> Uses {
        let sheets: Vec<(&Sheet, Cascaded<'_>)> = order
            .iter()
            .map(|at| &self.sheets.all[*at])
            .filter_map(|sheet| match &sheet.place {
                Place::Here(content) => Some((
                    sheet,
                    Cascaded {
                        sheet: content,
                        depends_on_client: false,
                        layer: sheet.layer.as_deref(),
                    },
                )),
                Place::Awaited | Place::Nowhere => None,
            })
            .collect();
        let cascaded: Vec<Cascaded<'_>> = sheets.iter().map(|(_, cascaded)| *cascaded).collect();
        let document = html::parse(self.document.before(position));
        let page = style::used_by_page(&cascaded, &document.outline);
        let mut uses = Vec::new();
        let mut add = |base: &Url, url: &str, is_font, sheet| {
            if let Some(url) = resolve(base, url) {
                uses.push(Use {
                    url,
                    is_font,
                    sheet,
                });
            }
        };
        for (at, ((sheet, cascaded), used)) in sheets.iter().zip(&page.sheets).enumerate() {
            for face in &used.faces {
                if let Some(url) = &cascaded.sheet.faces[*face].url {
                    add(&sheet.base, url, true, Some(at));
                }
            }
            for (rule, url) in &used.urls {
                let url = &cascaded.sheet.rules[*rule].urls[*url].url;
                add(&sheet.base, url, false, Some(at));
            }
        }
        for url in page.attributes.iter().filter(|url| !url.depends_on_client) {
            add(&self.parser_base, &url.url, false, None);
        }
        Uses(uses)
    }
}

impl Request {
    pub(super) fn new(url: Url, kind: Kind, manner: Manner) -> Self {
        Self {
            url,
            kind,
            manner,
            crossorigin: None,
            initiator: None,
            blocks_render: false,
            hint: FetchPriority::Auto,
            size: (None, None),
        }
    }
}

/// Returns a sheet as it applies to the window: what stands under a condition that it does not meet
/// is left out, and conditions that it meets are. No font is installed that `local()` names.
pub(super) fn for_window(mut sheet: StyleSheet) -> StyleSheet {
    let meets = |condition: &mut Option<Arc<str>>| {
        let met = condition.as_deref().map(is_met);
        if met == Some(Some(true)) {
            *condition = None;
        }
        met != Some(Some(false))
    };
    sheet.faces.retain_mut(|face| {
        face.url = face.current_url.take();
        meets(&mut face.condition)
    });
    sheet.rules.retain_mut(|rule| meets(&mut rule.condition));
    sheet
}

/// Judges conditions as `site::links::css` writes them, one after the other; `None` for containers
/// and scopes, which only a layout can tell. Current Chromium has what `@supports` asks for, and
/// nesting.
fn is_met(conditions: &str) -> Option<bool> {
    let conditions = conditions.trim_end_matches(" nested");
    let mut met = Some(true);
    for condition in conditions.split('@').map(str::trim) {
        let one = match condition.split_once(' ').unwrap_or((condition, "")) {
            ("media", query) => Some(viewport::matches(query)),
            ("supports", query) => Some(!query.trim_start().starts_with("not")),
            ("" | "nested", _) => Some(true),
            _ => None,
        };
        met = match (met, one) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        };
    }
    met
}
