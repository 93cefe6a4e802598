//! The walk from a document through its style sheets and modules.
//!
//! The same file can be reached on several ways. The best one counts: one without an obstacle
//! before one with, then the more urgent. A file is walked again only when a strictly better way to
//! it is found, so the walk ends on cycles too, and no file ever hides behind itself. Read on in
//! `styles`, which decides what of the style sheets is used.

mod styles;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use url::Url;

use super::order::{Found, in_order};
use super::purpose::purpose;
use super::{Destination, Graph, Need, Obstacle, Subresource, Target};
use crate::site::links::css::{Applies, Import, StyleSheet, media_applies};
use crate::site::links::html::{Crossorigin, Document, Link, LinkKind};
use crate::site::links::import_map::ImportMap;
use crate::site::{Asset, Entry, Links, Site, SiteUrl, UrlPath};

/// Most subresources of one page.
const SUBRESOURCES_MAX: usize = 1_000;

/// Most files that can hide behind one another.
const DEPTH_MAX: u8 = 32;

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
        opening_length: document.opening_length(),
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
    content: &'site StyleSheet,
    circumstance: Circumstance,
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
        let applies = media_applies(if has_media(link) { &link.media } else { "" });
        let (destination, need, kind_obstacle) = purpose(link);
        let depends_on_client = link.depends_on_client || applies != Applies::Always;
        let obstacles = [
            kind_obstacle,
            link.lazy.then_some(Obstacle::Lazy),
            link.nopush.then_some(Obstacle::Nopush),
            depends_on_client.then_some(Obstacle::DependsOnClient),
        ];
        let way = Way {
            behind: None,
            offset: link.offset,
            in_head: link.in_head,
            obstacle: obstacles.into_iter().flatten().min(),
            need,
            depth: 0,
        };
        let base = self.base_of(link).clone();
        match &link.kind {
            LinkKind::InlineStyle(sheet) => {
                self.sheet(base, sheet, Circumstance::of_link(applies), way);
            }
            LinkKind::InlineModule(specifiers) => {
                self.modules(specifiers, &base, crossorigin(link), way);
            }
            _ => {
                if let Some(url) = resolve(&base, &link.url)
                    && let Some(way) =
                        self.visit(&url, destination, request(link, destination), way)
                {
                    self.walk_on(link, url, applies, way);
                }
            }
        }
    }

    /// Goes on through the file that a link names, if that names others.
    fn walk_on(&mut self, link: &Link, url: Url, applies: Applies, way: Way) {
        match link.kind {
            LinkKind::StyleSheet => self.style_sheet(url, Circumstance::of_link(applies), way),
            LinkKind::Module { .. } => self.module(&url, crossorigin(link), way),
            // Clients do not look into what they preload.
            _ => {}
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

    /// Returns what stands in the way of a target after a look at the snapshot; notes what that
    /// lacks.
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
        if self.site.redirects().displace(url) {
            return Some(Obstacle::Displaced);
        }
        match self.site.entry(url.path().as_str()) {
            Some(Entry::Directory | Entry::Missing) => return Some(Obstacle::Missing),
            None if is_worth_loading(destination, obstacle, depth) => {
                self.unknown.insert(url.path().clone());
                self.lacks_sheets |= destination == Destination::Style;
            }
            Some(Entry::File(_)) | None => {}
        }
        obstacle
    }

    /// Returns the file that a way leads through, if it is worth a walk: not too deep, not walked
    /// before on a way that was as good, and what a client would get there.
    fn enter(&mut self, way: Way) -> Option<&'site Asset> {
        let index = way.behind?;
        let rank = (way.obstacle.is_some(), way.need);
        if way.depth > DEPTH_MAX
            || way.obstacle == Some(Obstacle::Displaced)
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

    fn style_sheet(&mut self, url: Url, circumstance: Circumstance, way: Way) {
        if let Some(asset) = self.enter(way)
            && let Links::StyleSheet(sheet) = asset.links()
        {
            self.sheet(url, sheet, circumstance, way);
        }
    }

    /// Walks the imports of a style sheet; what its rules and faces name has to wait for the
    /// cascade.
    fn sheet(
        &mut self,
        base: Url,
        content: &'site StyleSheet,
        circumstance: Circumstance,
        way: Way,
    ) {
        for import in &content.imports {
            let Some(url) = resolve(&base, &import.url) else {
                continue;
            };
            let depends_on_client = applies(import) != Applies::Always;
            let request = Request {
                media: import.media.clone(),
                obstacle: depends_on_client.then_some(Obstacle::DependsOnClient),
                ..Request::default()
            };
            if let Some(way) = self.visit(&url, Destination::Style, request, way) {
                self.style_sheet(url, circumstance.of_import(import), way);
            }
        }
        let sheet = Sheet {
            base,
            content,
            circumstance,
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
}

/// What decides over all of a style sheet, gathered from the link and the imports that lead to it.
#[derive(Debug, Clone)]
struct Circumstance {
    applies: Applies,
    /// The cascade layer it is imported into; layers in layers with dots.
    layer: Option<String>,
}

impl Circumstance {
    fn of_link(applies: Applies) -> Self {
        Self {
            applies,
            layer: None,
        }
    }

    fn of_import(&self, import: &Import) -> Self {
        let applies = match (self.applies, applies(import)) {
            (Applies::Never, _) | (_, Applies::Never) => Applies::Never,
            (Applies::Always, Applies::Always) => Applies::Always,
            _ => Applies::Depends,
        };
        let layers = [&self.layer, &import.layer];
        let layers: Vec<&str> = layers.into_iter().flatten().map(String::as_str).collect();
        Self {
            applies,
            layer: (!layers.is_empty()).then(|| layers.join(".")),
        }
    }
}

fn applies(import: &Import) -> Applies {
    match media_applies(&import.media) {
        Applies::Always if import.supports => Applies::Depends,
        applies => applies,
    }
}

/// Whether `media` means anything on a link.
fn has_media(link: &Link) -> bool {
    matches!(
        link.kind,
        LinkKind::StyleSheet
            | LinkKind::InlineStyle(_)
            | LinkKind::Preload(_)
            | LinkKind::ModulePreload
            | LinkKind::Icon
    )
}

fn request(link: &Link, destination: Destination) -> Request {
    Request {
        crossorigin: match destination {
            Destination::Module => crossorigin(link),
            _ => link.crossorigin,
        },
        content_type: link.content_type.clone(),
        media: if has_media(link) {
            link.media.clone()
        } else {
            String::new()
        },
        image_candidates: link.image_candidates.clone(),
        obstacle: None,
    }
}

/// Modules are always fetched with CORS (HTML, section 8.1.4.2).
fn crossorigin(link: &Link) -> Option<Crossorigin> {
    link.crossorigin.or(Some(Crossorigin::Anonymous))
}

/// Returns where a URL leads that is written at another; `None` for what is not fetched from a
/// server, and for a path of this site that is never served.
pub fn target(base: &SiteUrl, written: &str) -> Option<Target> {
    let origin = Url::parse(ORIGIN).ok()?;
    let base = origin.join(base.target()).ok()?;
    target_of(&resolve(&base, written)?)
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
