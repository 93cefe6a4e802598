//! The walk from a document through its style sheets and modules.
//!
//! The same file can be reached on several ways. The best one counts: one without an obstacle before one
//! with, then the more urgent. A file is walked again only when a strictly better way to it is found, so
//! the walk ends on cycles too, and no file ever hides behind itself.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::Arc;

use url::Url;

use super::media::Media;
use super::order::{Found, in_order};
use super::purpose::purpose;
use super::style::{self, Used};
use super::{Destination, Graph, Need, Obstacle, Subresource, Target};
use crate::site::links::css::{self, StyleSheet};
use crate::site::links::html::{Crossorigin, Document, Link, LinkKind, Outline};
use crate::site::links::import_map::ImportMap;
use crate::site::{Asset, Entry, Links, Site, SiteUrl, UrlPath};

/// Most subresources of one page.
const SUBRESOURCES_MAX: usize = 1_000;

/// Most files that can hide behind one another.
const DEPTH_MAX: u8 = 32;

/// Most `style` attributes with a URL that are looked at.
const STYLE_ATTRIBUTES_MAX: usize = 500;

/// How many classes a `style` attribute outweighs.
const STYLE_ATTRIBUTE_WEIGHT: usize = 20;

/// Stands for the site's origin, which this floor does not know.
const ORIGIN: &str = "https://site.invalid";

/// Returns everything that a document needs.
pub(super) fn walk<'site>(site: &'site Site, url: &SiteUrl, document: &'site Document) -> Graph {
    let Ok(page) = Url::parse(ORIGIN).and_then(|origin| origin.join(url.target())) else {
        return Graph::default();
    };
    let mut walk = Walk::new(site, url, page, document);
    walk.nopush = walk.nopush_of(document);
    for link in &document.links {
        walk.link(link);
    }
    if !walk.lacks_sheets {
        walk.styles(&document.outline);
    }
    Graph {
        subresources: in_order(walk.found),
        unknown: walk.unknown.into_iter().collect(),
        head_length: document.head_length,
        nopush: document.nopush,
    }
}

struct Walk<'site> {
    site: &'site Site,
    page: Url,
    page_target: Target,
    base: Url,
    base_offset: usize,
    head_length: usize,
    import_map: ImportMap,
    /// What the author wants nothing sent ahead for, whoever else names it.
    nopush: HashSet<Target>,
    found: Vec<Found>,
    discoveries: usize,
    by_target: HashMap<Target, usize>,
    /// The best way each style sheet and module was walked on.
    walked: HashMap<usize, Rank>,
    /// In cascade order.
    sheets: Vec<Sheet<'site>>,
    unknown: BTreeSet<UrlPath>,
    /// A style sheet is among the unknown, so the cascade cannot be decided yet.
    lacks_sheets: bool,
}

/// How good a way is: whether something stands in it, then how urgent it is.
type Rank = (bool, Need);

/// How a link was come upon.
#[derive(Debug, Clone, Copy)]
struct Way {
    behind: Option<usize>,
    offset: usize,
    in_head: bool,
    /// What stands in the way so far.
    obstacle: Option<Obstacle>,
    /// Nothing on this way is needed sooner.
    need: Need,
    depth: u8,
}

/// How a link asks for its resource.
#[derive(Debug, Default)]
struct Request {
    crossorigin: Option<Crossorigin>,
    content_type: String,
    media: String,
    image_candidates: Option<(String, String)>,
    obstacle: Option<Obstacle>,
}

/// A style sheet of the page.
struct Sheet<'site> {
    base: Url,
    content: Cow<'site, StyleSheet>,
    media: Media,
    way: Way,
}

impl<'site> Walk<'site> {
    fn new(site: &'site Site, url: &SiteUrl, page: Url, document: &Document) -> Self {
        let base = document
            .base
            .as_deref()
            .and_then(|href| page.join(href).ok());
        // HTML, section 4.2.3: such a base is ignored.
        let base = base.filter(|base| !matches!(base.scheme(), "data" | "javascript"));
        let base = base.unwrap_or_else(|| page.clone());
        let import_map = document.import_map.as_deref();
        Self {
            site,
            import_map: import_map
                .and_then(|text| ImportMap::parse(text, &base))
                .unwrap_or_default(),
            page,
            page_target: Target::Here(url.clone()),
            base,
            base_offset: document.base_offset,
            head_length: document.head_length,
            nopush: HashSet::new(),
            found: Vec::new(),
            discoveries: 0,
            by_target: HashMap::new(),
            walked: HashMap::new(),
            sheets: Vec::new(),
            unknown: BTreeSet::new(),
            lacks_sheets: false,
        }
    }

    /// Links before the `base` are fetched before it is seen.
    fn base_of(&self, link: &Link) -> &Url {
        if link.offset < self.base_offset {
            &self.page
        } else {
            &self.base
        }
    }

    fn nopush_of(&self, document: &Document) -> HashSet<Target> {
        let links = document
            .links
            .iter()
            .filter(|link| link.nopush && !link.url.is_empty());
        links
            .filter_map(|link| target_of(&resolve(self.base_of(link), &link.url)?))
            .collect()
    }

    fn link(&mut self, link: &'site Link) {
        let base = self.base_of(link).clone();
        let (destination, need, kind_obstacle) = purpose(link);
        let has_media = matches!(
            link.kind,
            LinkKind::StyleSheet
                | LinkKind::InlineStyle(_)
                | LinkKind::Preload(_)
                | LinkKind::ModulePreload
                | LinkKind::Icon
        );
        let media = Media::of(if has_media { &link.media } else { "" });
        let depends_on_client = link.depends_on_client || media != Media::Always;
        let obstacle = [
            kind_obstacle,
            link.lazy.then_some(Obstacle::Lazy),
            link.nopush.then_some(Obstacle::Nopush),
            depends_on_client.then_some(Obstacle::DependsOnClient),
        ];
        let way = Way {
            behind: None,
            offset: link.offset,
            in_head: link.in_head,
            obstacle: obstacle.into_iter().flatten().min(),
            need,
            depth: 0,
        };
        match &link.kind {
            LinkKind::InlineStyle(sheet) => self.sheet(base, sheet, media, way),
            LinkKind::InlineModule(specifiers) => {
                self.modules(specifiers, &base, crossorigin(link), way)
            }
            _ => {
                let Some(url) = resolve(&base, &link.url) else {
                    return;
                };
                let request = Request {
                    crossorigin: match destination {
                        Destination::Module => crossorigin(link),
                        _ => link.crossorigin,
                    },
                    content_type: link.content_type.clone(),
                    media: if has_media {
                        link.media.clone()
                    } else {
                        String::new()
                    },
                    image_candidates: link.image_candidates.clone(),
                    obstacle: None,
                };
                let Some(way) = self.visit(&url, destination, request, way) else {
                    return;
                };
                match link.kind {
                    LinkKind::StyleSheet => self.style_sheet(url, media, way),
                    LinkKind::Module { .. } => self.module(&url, crossorigin(link), way),
                    _ => {}
                }
            }
        }
    }

    /// Notes that a URL is needed and returns the way on through it; `None` if it leads nowhere.
    fn visit(
        &mut self,
        url: &Url,
        destination: Destination,
        request: Request,
        way: Way,
    ) -> Option<Way> {
        let target = target_of(url)?;
        let known = self.by_target.get(&target).copied();
        if target == self.page_target || (known.is_none() && self.found.len() >= SUBRESOURCES_MAX) {
            return None;
        }
        let nopush = self.nopush.contains(&target).then_some(Obstacle::Nopush);
        let obstacle = [way.obstacle, request.obstacle, nopush]
            .into_iter()
            .flatten()
            .min();
        let obstacle = self.look_up(&target, destination, obstacle, way.depth);
        let found = Subresource {
            target: target.clone(),
            destination,
            crossorigin: request.crossorigin,
            content_type: request.content_type,
            media: request.media,
            image_candidates: request.image_candidates,
            need: way.need,
            behind: way.behind,
            depth: 0,
            offset: way.offset,
            in_head: way.in_head,
            obstacle,
        };
        self.discoveries += 1;
        let found = Found {
            subresource: found,
            discovery: self.discoveries,
        };
        let index = known.unwrap_or(self.found.len());
        if known.is_some() {
            self.found[index].merge(found);
        } else {
            self.found.push(found);
            self.by_target.insert(target, index);
        }
        Some(Way {
            behind: Some(index),
            obstacle,
            depth: way.depth + 1,
            ..way
        })
    }

    /// Returns what stands in the way of a target after a look at the snapshot; notes what that lacks.
    fn look_up(
        &mut self,
        target: &Target,
        destination: Destination,
        obstacle: Option<Obstacle>,
        depth: u8,
    ) -> Option<Obstacle> {
        let Target::Here(url) = target else {
            return Some(Obstacle::CrossOrigin);
        };
        match self.site.entry(url.path().as_str()) {
            Some(Entry::File(_)) => {}
            Some(Entry::Directory | Entry::Missing) => return Some(Obstacle::Missing),
            None if is_worth_loading(destination, obstacle, depth) => {
                self.unknown.insert(url.path().clone());
                self.lacks_sheets |= destination == Destination::Style;
            }
            None => {}
        }
        obstacle
    }

    /// Returns the file that a way leads through, if it is worth a walk: not too deep, and not walked
    /// before on a way that was as good.
    fn enter(&mut self, way: Way) -> Option<&'site Asset> {
        let index = way.behind?;
        let rank = (way.obstacle.is_some(), way.need);
        if way.depth > DEPTH_MAX
            || self
                .walked
                .get(&index)
                .is_some_and(|before| *before <= rank)
        {
            return None;
        }
        self.walked.insert(index, rank);
        let Target::Here(here) = &self.found[index].subresource.target else {
            return None;
        };
        match self.site.entry(here.path().as_str()) {
            Some(Entry::File(asset)) => Some(asset),
            _ => None,
        }
    }

    fn style_sheet(&mut self, url: Url, media: Media, way: Way) {
        if let Some(asset) = self.enter(way)
            && let Links::StyleSheet(sheet) = asset.links()
        {
            self.sheet(url, sheet, media, way);
        }
    }

    /// Walks the imports of a style sheet; what its rules and faces name has to wait for the cascade.
    fn sheet(&mut self, base: Url, sheet: &'site StyleSheet, media: Media, way: Way) {
        for import in &sheet.imports {
            let Some(url) = resolve(&base, &import.url) else {
                continue;
            };
            let import_media = match Media::of(&import.media) {
                Media::Always if import.supports => Media::DependsOnClient,
                media => media,
            };
            let depends_on_client = import_media != Media::Always;
            let request = Request {
                media: import.media.clone(),
                obstacle: depends_on_client.then_some(Obstacle::DependsOnClient),
                ..Request::default()
            };
            if let Some(way) = self.visit(&url, Destination::Style, request, way) {
                self.style_sheet(url, media.max(import_media), way);
            }
        }
        let content = match media {
            Media::Always | Media::Never => Cow::Borrowed(sheet),
            Media::DependsOnClient => Cow::Owned(conditional(sheet)),
        };
        let sheet = Sheet {
            base,
            content,
            media,
            way,
        };
        let is_same =
            |known: &&mut Sheet<'_>| way.behind.is_some() && known.way.behind == way.behind;
        match self.sheets.iter_mut().find(is_same) {
            Some(known) => *known = sheet,
            None => self.sheets.push(sheet),
        }
    }

    fn module(&mut self, url: &Url, crossorigin: Option<Crossorigin>, way: Way) {
        if let Some(asset) = self.enter(way)
            && let Links::Module(specifiers) = asset.links()
        {
            self.modules(specifiers, url, crossorigin, way);
        }
    }

    fn modules(
        &mut self,
        specifiers: &'site [String],
        importer: &Url,
        crossorigin: Option<Crossorigin>,
        way: Way,
    ) {
        for specifier in specifiers {
            let Some(mut url) = self.import_map.resolve(specifier, importer) else {
                continue;
            };
            url.set_fragment(None);
            let request = Request {
                crossorigin,
                ..Request::default()
            };
            if let Some(way) = self.visit(&url, Destination::Module, request, way) {
                self.module(&url, crossorigin, way);
            }
        }
    }

    /// Matches all style sheets against the outline, and visits what their faces and rules name.
    fn styles(&mut self, outline: &Outline) {
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

    /// Makes a style sheet of the `style` attributes that name URLs, so that the cascade decides over
    /// them too. Each becomes a rule for a class that only its element has.
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

/// Whether what is visited is used by the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Used,
    Unused,
}

/// Modules are always fetched with CORS (HTML, section 8.1.4.2).
fn crossorigin(link: &Link) -> Option<Crossorigin> {
    link.crossorigin.or(Some(Crossorigin::Anonymous))
}

/// Resolves a URL as written; `None` for what is not fetched from a server.
fn resolve(base: &Url, written: &str) -> Option<Url> {
    let mut url = base.join(written).ok()?;
    url.set_fragment(None);
    matches!(url.scheme(), "http" | "https").then_some(url)
}

/// Returns where a URL is; `None` for a path of this site that is never served.
fn target_of(url: &Url) -> Option<Target> {
    match url.as_str().strip_prefix(ORIGIN) {
        Some(target) if target.starts_with('/') => SiteUrl::parse(target).ok().map(Target::Here),
        _ if matches!(url.scheme(), "http" | "https") => {
            Some(Target::Elsewhere(Arc::from(url.as_str())))
        }
        _ => None,
    }
}

/// Whether the snapshot should know a file: what could be sent ahead or hinted, and what leads on.
fn is_worth_loading(destination: Destination, obstacle: Option<Obstacle>, depth: u8) -> bool {
    match obstacle {
        None | Some(Obstacle::Nopush) => true,
        Some(Obstacle::DependsOnClient) => {
            depth == 0 || matches!(destination, Destination::Style | Destination::Module)
        }
        Some(_) => false,
    }
}

/// Returns a sheet all of which depends on the client.
fn conditional(sheet: &StyleSheet) -> StyleSheet {
    let mut sheet = sheet.clone();
    for condition in sheet
        .faces
        .iter_mut()
        .map(|face| &mut face.condition)
        .chain(sheet.rules.iter_mut().map(|rule| &mut rule.condition))
    {
        condition.get_or_insert_with(|| "media".into());
    }
    sheet
}
