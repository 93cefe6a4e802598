//! Scanner and parser: the document's items to wants, and where the parser stops.
//!
//! The scanner is always at the last item that has come, the parser at the first that it has to
//! wait for. Without CPU time both are there at the moment the bytes are.

use std::collections::BTreeMap;

use url::Url;

use super::document::{Incoming, Item, What};
use super::priority::Manner;
use super::styles::Root;
use super::{Page, Reason, Request, resolve, viewport};
use crate::measure::timeline::Kind;
use crate::site::links::html::{Crossorigin, Link, LinkKind};
use crate::site::links::import_map::ImportMap;

/// Where scanner and parser are.
pub(super) struct Reading {
    scanned: usize,
    scanner_base: Url,
    has_base: bool,
    parsed: usize,
    stop: Option<Stop>,
    /// Modules of which the imports are to be found: resource and CORS mode.
    modules: BTreeMap<usize, Option<Crossorigin>>,
}

/// What the parser waits for.
#[derive(Clone, Copy)]
enum Stop {
    /// A script, which also waits for the style sheets before it. `None`: one in the document.
    Script(Option<usize>),
    /// A style sheet in the body.
    Sheet(Root),
}

impl Reading {
    pub(super) fn new(url: &Url) -> Self {
        Self {
            scanned: 0,
            scanner_base: url.clone(),
            has_base: false,
            parsed: 0,
            stop: None,
            modules: BTreeMap::new(),
        }
    }

    /// Whether the parser has read the whole document.
    pub(super) fn is_at_end(&self, document: &Incoming) -> bool {
        document.is_ended() && self.stop.is_none() && document.item(self.parsed).is_none()
    }
}

impl Page {
    /// Wants what the scanner sees in what has come.
    pub(super) fn scan(&mut self) {
        while let Some(item) = self.document.item(self.reading.scanned) {
            self.reading.scanned += 1;
            match &item.what {
                What::Base(href) if !self.reading.has_base => {
                    self.reading.has_base = true;
                    let base = base(&self.reading.scanner_base, href);
                    self.reading.scanner_base = base;
                }
                What::Style(link, sheet) if viewport::matches(&link.media) => {
                    for import in &sheet.imports {
                        if viewport::matches(&import.media) {
                            self.scan_url(link, &import.url, Kind::Style, Manner::InDocument);
                        }
                    }
                }
                What::Link(link) => {
                    if let Some((kind, manner)) = scanned(link) {
                        self.scan_url(link, &link.url, kind, manner);
                    }
                }
                _ => {}
            }
        }
    }

    fn scan_url(&mut self, link: &Link, written: &str, kind: Kind, manner: Manner) {
        if let Some(url) = resolve(&self.reading.scanner_base, written) {
            self.want(request(link, url, kind, manner));
        }
    }

    /// Moves the parser on as far as it gets.
    pub(super) fn parse(&mut self) {
        loop {
            if let Some(stop) = self.reading.stop {
                if !self.is_over(stop) {
                    return;
                }
                self.reading.stop = None;
            }
            let Some(item) = self.document.item(self.reading.parsed) else {
                self.position = self.document.received();
                return;
            };
            self.reading.parsed += 1;
            self.position = item.end;
            self.reach(&item);
        }
    }

    fn is_over(&self, stop: Stop) -> bool {
        match stop {
            Stop::Script(script) => {
                let has_come = |script: usize| self.resources[script].ended.is_some();
                script.is_none_or(has_come) && !self.sheets.block_scripts()
            }
            Stop::Sheet(sheet) => !self.sheets.is_awaited(sheet),
        }
    }

    fn reach(&mut self, item: &Item) {
        match &item.what {
            What::Base(href) => self.parser_base = base(&self.parser_base, href),
            What::ImportMap(text) => {
                self.import_map = ImportMap::parse(text, &self.parser_base).unwrap_or_default();
            }
            What::Content => self.marks.content = Some(item.end),
            What::InlineScript => self.reading.stop = Some(Stop::Script(None)),
            What::Style(link, sheet) => {
                if viewport::matches(&link.media) {
                    let root = self.inline_sheet(sheet, link.offset, link.in_head);
                    self.reading.stop = Some(Stop::Sheet(root)).filter(|_| !link.in_head);
                }
            }
            What::Link(link) => self.reach_link(link, item.end),
        }
    }

    fn reach_link(&mut self, link: &Link, end: usize) {
        if let LinkKind::InlineModule(specifiers) = &link.kind {
            let base = self.parser_base.clone();
            let crossorigin = link.crossorigin.or(Some(Crossorigin::Anonymous));
            self.want_modules(specifiers, &base, crossorigin, None);
            return;
        }
        let Some(url) = resolve(&self.parser_base, &link.url) else {
            return;
        };
        let Some((kind, manner)) = purpose(link) else {
            if let Some(reason) = reason(link) {
                self.leave_out(&url, reason);
            }
            return;
        };
        let asked = self.want(request(link, url, kind, manner));
        match &link.kind {
            LinkKind::StyleSheet if manner != Manner::Idle => {
                let asked =
                    asked.and_then(|asked| self.linked_sheet(asked, link.offset, link.in_head));
                self.reading.stop = asked.map(Stop::Sheet).filter(|_| !link.in_head);
            }
            // A script that is not fetched waits for style sheets all the same.
            LinkKind::Script => self.reading.stop = Some(Stop::Script(asked)),
            LinkKind::Module { .. } => {
                let crossorigin = link.crossorigin.or(Some(Crossorigin::Anonymous));
                self.reading
                    .modules
                    .extend(asked.map(|asked| (asked, crossorigin)));
            }
            LinkKind::Image | LinkKind::Poster => self.marks.image(asked, end, link),
            _ => {}
        }
    }

    /// Wants what modules import that have come.
    pub(super) fn walk_modules(&mut self) {
        let mut waiting = std::mem::take(&mut self.reading.modules);
        waiting.retain(|module, crossorigin| !self.walk_module(*module, *crossorigin));
        self.reading.modules.append(&mut waiting);
    }

    /// Returns whether there is nothing more to be found in a module.
    fn walk_module(&mut self, module: usize, crossorigin: Option<Crossorigin>) -> bool {
        let resource = &mut self.resources[module];
        if resource.ended.is_none() {
            return false;
        }
        if !resource.is_walked {
            resource.is_walked = true;
            if resource.is_usable() {
                let imports = self.parsed.module(resource.hash, &resource.body);
                let importer = resource.want.url.clone();
                self.want_modules(&imports, &importer, crossorigin, Some(module));
            }
        }
        true
    }

    fn want_modules(
        &mut self,
        specifiers: &[String],
        importer: &Url,
        crossorigin: Option<Crossorigin>,
        initiator: Option<usize>,
    ) {
        for specifier in specifiers {
            let Some(mut url) = self.import_map.resolve(specifier, importer) else {
                continue;
            };
            url.set_fragment(None);
            if !matches!(url.scheme(), "http" | "https") {
                continue;
            }
            let asked = self.want(Request {
                crossorigin,
                initiator,
                ..Request::new(url, Kind::Module, Manner::Elsewhere)
            });
            if let Some(asked) = asked.filter(|asked| !self.resources[*asked].is_walked) {
                self.reading.modules.insert(asked, crossorigin);
            }
        }
    }
}

/// What the scanner makes of a link: it sees neither frames nor what the window has no use for.
fn scanned(link: &Link) -> Option<(Kind, Manner)> {
    let is_seen = !matches!(link.kind, LinkKind::Frame);
    purpose(link).filter(|(_, manner)| is_seen && *manner != Manner::Idle)
}

/// Returns what a link is fetched for, and in what manner; `None` if it is not.
fn purpose(link: &Link) -> Option<(Kind, Manner)> {
    let matches = || viewport::matches(&link.media);
    Some(match &link.kind {
        LinkKind::StyleSheet if !matches() => (Kind::Style, Manner::Idle),
        LinkKind::StyleSheet => (Kind::Style, Manner::InDocument),
        LinkKind::Script => (Kind::Script, Manner::InDocument),
        LinkKind::DeferredScript | LinkKind::AsyncScript => (Kind::Script, Manner::Deferred),
        LinkKind::Module { .. } => (Kind::Module, Manner::InDocument),
        LinkKind::ModulePreload if matches() => (Kind::Module, Manner::Preload),
        LinkKind::Preload(destination) if matches() => match destination.as_str() {
            "style" => (Kind::Style, Manner::Preload),
            "script" => (Kind::Script, Manner::Preload),
            "font" => (Kind::Font, Manner::Preload),
            "image" if viewport::is_shown_type(&link.content_type) => {
                (Kind::Image, Manner::Preload)
            }
            "fetch" => (Kind::Other, Manner::Preload),
            _ => return None,
        },
        LinkKind::Image if !link.lazy => (Kind::Image, Manner::InDocument),
        LinkKind::Poster => (Kind::Image, Manner::InDocument),
        LinkKind::Frame if !link.lazy => (Kind::Other, Manner::InDocument),
        _ => return None,
    })
}

fn reason(link: &Link) -> Option<Reason> {
    match link.kind {
        LinkKind::Media => Some(Reason::Media),
        LinkKind::Icon | LinkKind::Manifest => Some(Reason::Late),
        LinkKind::Image | LinkKind::Frame if link.lazy => Some(Reason::Lazy),
        _ => None,
    }
}

fn request(link: &Link, url: Url, kind: Kind, manner: Manner) -> Request {
    let is_blocking = match link.kind {
        LinkKind::StyleSheet | LinkKind::InlineStyle(_) => manner != Manner::Idle && link.in_head,
        LinkKind::Script => link.in_head,
        _ => false,
    };
    Request {
        crossorigin: match (&link.kind, kind) {
            // Imports of `<style>` are fetched without CORS, whatever stands there.
            (LinkKind::InlineStyle(_), _) => None,
            // HTML, section 8.1.4.2.
            (_, Kind::Module) => link.crossorigin.or(Some(Crossorigin::Anonymous)),
            _ => link.crossorigin,
        },
        blocks_render: is_blocking,
        hint: link.fetch_priority,
        size: link.size,
        ..Request::new(url, kind, manner)
    }
}

/// HTML, section 4.2.3: some bases are ignored.
fn base(document: &Url, href: &str) -> Url {
    let base = document.join(href).ok();
    let base = base.filter(|base| !matches!(base.scheme(), "data" | "javascript"));
    base.unwrap_or_else(|| document.clone())
}
