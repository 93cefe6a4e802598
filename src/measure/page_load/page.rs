//! What a browser wants while it loads a page: a model without input and output, and without CPU
//! time.
//!
//! It is told what arrives ([`Page::head`], [`Page::data`], [`Page::end`]) and says what to fetch
//! ([`Page::next_want`]). It does what HTML asks for and Chromium does:
//!
//! - The **preload scanner** reads whatever has arrived and wants it at once, also behind a script
//!   that stops the parser: scripts, style sheets, images, posters, preloads, `@import` in
//!   `<style>`.
//! - The **parser** stops at a classic script until it has come and every style sheet before it
//!   has, at an inline script for the latter, and at a style sheet in the body. Deferred, async and
//!   module scripts do not stop it. What imports and modules name is found when the parser has
//!   reached them and they have come.
//! - **Fonts and images of style sheets** are wanted once nothing blocks rendering, for the
//!   elements that the parser has passed (looked at every kilobyte, later each time it is a
//!   quarter longer), and only if they are sure to be used.
//! - The window is 1366 x 768 at one device pixel ([`viewport`]): it decides over media, `srcset`
//!   and `picture`.
//!
//! Not fetched, and told by [`Page::left_out`]: other origins, `loading=lazy`, audio and video
//! (whatever `preload` says: how much a browser takes is its own matter), icons and manifests (they
//! come late and do not delay `load`). Frames are fetched as documents but not read. Scripts change
//! nothing. `font-display` is not read: text is taken to wait for its font for 3 seconds.
//!
//! Read on in `document` (bytes to what is come upon), `reading` (scanner and parser), `styles`,
//! `priority` (urgencies), `marks` (moments of the page) and `parsed` (what is kept between
//! loads).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use url::Url;

use self::document::Incoming;
use self::priority::{Manner, Priorities};
use self::reading::Reading;
use self::styles::Sheets;
use crate::measure::timeline::Kind;
use crate::site::asset::ContentHash;
use crate::site::links::html::{Crossorigin, FetchPriority};
use crate::site::links::import_map::ImportMap;

mod document;
mod left_out;
mod marks;
mod parsed;
mod priority;
mod reading;
mod styles;
pub mod viewport;

pub use self::left_out::{LeftOut, Reason};
pub use self::parsed::Parsed;
use super::hints::Preload;
use super::wants::{PageMarks, Want, WantId, Wants};

/// Bytes of a document that are read. What comes behind them is counted only.
pub const DOCUMENT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes of one style sheet or module that are read. A longer one names nothing.
pub const SHEET_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Most resources of one page.
pub const WANTS_MAX: usize = 2_000;

/// Most style sheets of one page, each import counted.
pub const SHEETS_MAX: usize = 1_000;

/// Most URLs that are listed as left out.
pub const LEFT_OUT_MAX: usize = 2_000;

/// A page that is being loaded.
pub struct Page {
    parsed: Arc<Parsed>,
    resources: Vec<Resource>,
    by_request: BTreeMap<RequestKey, usize>,
    wanted: VecDeque<usize>,
    left_out: Vec<LeftOut>,
    left_out_urls: BTreeSet<String>,
    complaint: Option<String>,
    document: Incoming,
    /// Whether it is HTML.
    is_html: bool,
    priorities: Priorities,
    reading: Reading,
    parser_base: Url,
    import_map: ImportMap,
    /// The parser has come so far, in bytes.
    position: usize,
    sheets: Sheets,
    /// Fonts that are used, and since when.
    fonts: Vec<(usize, Duration)>,
    marks: marks::Record,
}

/// Two requests that agree in this are answered by one response.
type RequestKey = (Url, &'static str, Option<Crossorigin>);

/// A request while it comes about.
struct Request {
    url: Url,
    kind: Kind,
    manner: Manner,
    crossorigin: Option<Crossorigin>,
    /// `None` stands for the document.
    initiator: Option<usize>,
    blocks_render: bool,
    hint: FetchPriority,
    size: (Option<u32>, Option<u32>),
}

/// Something wanted, and what came of it.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact about it, read by name"
)]
struct Resource {
    want: Want,
    /// Something besides a preload wants it, so `load` waits.
    is_needed: bool,
    status: u16,
    content_type: String,
    ended: Option<Duration>,
    is_whole: bool,
    /// Of what is read: style sheets and modules.
    body: Vec<u8>,
    is_cut: bool,
    hash: ContentHash,
    /// What a module imports was asked for.
    is_walked: bool,
}

impl Page {
    /// Returns a page of which the document is wanted.
    pub fn new(mut url: Url, parsed: Arc<Parsed>) -> Self {
        url.set_fragment(None);
        let document = Resource::new(Want {
            id: WantId(0),
            url: url.clone(),
            kind: Kind::Document,
            crossorigin: None,
            initiator: None,
            blocks_render: true,
            urgency: 0,
            incremental: true,
            preload: false,
        });
        Self {
            document: Incoming::new(parsed.document(url.as_str())),
            parsed,
            resources: vec![document],
            by_request: BTreeMap::new(),
            wanted: VecDeque::from([0]),
            left_out: Vec::new(),
            left_out_urls: BTreeSet::new(),
            complaint: None,
            is_html: true,
            priorities: Priorities::default(),
            reading: Reading::new(&url),
            parser_base: url,
            import_map: ImportMap::default(),
            position: 0,
            sheets: Sheets::default(),
            fonts: Vec::new(),
            marks: marks::Record::default(),
        }
    }

    /// Returns the next thing to fetch, in the order in which they are wanted; the document first.
    pub fn next_want(&mut self) -> Option<Want> {
        let next = self.wanted.pop_front()?;
        Some(self.resources[next].want.clone())
    }

    /// Returns what was wanted, as it is now.
    pub fn want_of(&self, id: WantId) -> Option<&Want> {
        self.resources.get(id.0).map(|resource| &resource.want)
    }

    /// Whether something besides a preload wants it.
    pub fn is_needed(&self, id: WantId) -> bool {
        let resource = self.resources.get(id.0);
        resource.is_some_and(|resource| resource.is_needed)
    }

    /// A redirect leads elsewhere: URLs in what comes from there are resolved against that.
    pub fn redirected(&mut self, id: WantId, mut to: Url) {
        let Some(resource) = self.resources.get_mut(id.0) else {
            return;
        };
        to.set_fragment(None);
        resource.want.url = to.clone();
        if id.0 == 0 && self.document.received() == 0 {
            self.document = Incoming::new(self.parsed.document(to.as_str()));
            self.reading = Reading::new(&to);
            self.parser_base = to;
        }
    }

    /// The head of a final response has come; 304 stands for what the cache holds.
    pub fn head(&mut self, id: WantId, content_type: &str, status: u16) {
        let Some(resource) = self.resources.get_mut(id.0) else {
            return;
        };
        content_type.clone_into(&mut resource.content_type);
        resource.status = status;
        let url = &resource.want.url;
        if id.0 == 0 && status >= 400 {
            self.complaint = Some(format!(
                "{url} is answered {status}: what was measured is that"
            ));
        }
        if id.0 == 0 && !is_html(content_type) {
            self.is_html = false;
            self.complaint
                .get_or_insert_with(|| format!("{url} is no HTML page but {content_type:?}"));
        }
    }

    /// Bytes of a body have come, decoded.
    pub fn data(&mut self, id: WantId, bytes: &[u8], now: Duration) {
        let Some(resource) = self.resources.get_mut(id.0) else {
            return;
        };
        if resource.ended.is_some() {
            return;
        }
        if id.0 > 0 {
            resource.receive(bytes);
            if resource.is_cut {
                let url = &resource.want.url;
                self.complaint.get_or_insert_with(|| {
                    let megabytes = SHEET_BYTES_MAX / (1024 * 1024);
                    format!("{url} is longer than {megabytes} MiB: it was not read")
                });
            }
        } else if self.is_html {
            self.document.write(bytes);
            if self.document.is_cut() && self.complaint.is_none() {
                self.complaint = Some(format!(
                    "{} is longer than {} MiB: what comes behind was not read",
                    resource.want.url,
                    DOCUMENT_BYTES_MAX / (1024 * 1024)
                ));
            }
            self.advance(now);
        }
    }

    /// A response has ended; not `whole` if it failed or was cut off.
    pub fn end(&mut self, id: WantId, whole: bool, now: Duration) {
        let Some(resource) = self.resources.get_mut(id.0) else {
            return;
        };
        if resource.ended.is_some() {
            return;
        }
        resource.ended = Some(now);
        resource.is_whole = whole;
        if resource.is_read() {
            resource.hash = ContentHash::of(&resource.body);
        }
        if id.0 == 0 {
            let url = resource.want.url.as_str();
            self.document.end(url, &self.parsed);
            if !whole && self.complaint.is_none() {
                self.complaint = Some(format!("{url} was cut off"));
            }
        } else {
            self.sheets_of(id.0);
        }
        self.advance(now);
    }

    /// A header asks for something. Returns it if it is to be fetched: it does not come from
    /// [`Page::next_want`]. What the page needs later is answered by it only if URL, destination
    /// and CORS mode agree; else it is fetched twice, as browsers do.
    pub fn preload(&mut self, link: &Preload) -> Option<Want> {
        let is_unknown = link.kind == Kind::Image && !viewport::is_shown_type(&link.content_type);
        // Chromium preloads no audio or video.
        if is_unknown || link.kind == Kind::Media || !viewport::matches(&link.media) {
            return None;
        }
        let chosen = (link.kind == Kind::Image && !link.image_source_set.is_empty())
            .then(|| viewport::choose(&link.image_source_set, &link.image_sizes, None))
            .flatten();
        let url = match chosen {
            Some(chosen) => resolve(&self.resources[0].want.url, chosen)?,
            None => link.url.clone(),
        };
        let before = self.resources.len();
        let asked = self.want(Request {
            crossorigin: link.crossorigin,
            hint: FetchPriority::parse(&link.fetch_priority),
            ..Request::new(url, link.kind, Manner::Preload)
        })?;
        if asked < before {
            return None;
        }
        // What is new stands last in line.
        self.wanted.pop_back();
        self.want_of(WantId(asked)).cloned()
    }

    /// Whether everything that delays the `load` event is there.
    pub fn is_loaded(&self) -> bool {
        self.marks.load.is_some()
    }

    /// Returns what is not fetched, each URL once, in the order in which it was come upon.
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// Returns what was wrong with the document, as a sentence.
    pub fn complaint(&self) -> Option<&str> {
        self.complaint.as_deref()
    }

    /// Goes on as far as what has come allows.
    fn advance(&mut self, now: Duration) {
        if self.is_html {
            self.scan();
            loop {
                let before = (self.position, self.resources.len());
                self.parse();
                self.walk_modules();
                if !self.sheets.block_render() {
                    self.paint(now);
                    self.look_at_styles(now);
                }
                if before == (self.position, self.resources.len()) {
                    break;
                }
            }
        }
        let is_parsed = !self.is_html || self.reading.is_at_end(&self.document);
        let is_awaited = |resource: &Resource| resource.is_needed && resource.ended.is_none();
        if is_parsed && self.marks.load.is_none() && !self.resources.iter().any(is_awaited) {
            self.marks.load = Some(now);
        }
    }

    /// Wants something, unless it is wanted already. Returns its number; `None` if it is not
    /// fetched.
    fn want(&mut self, request: Request) -> Option<usize> {
        let page = &self.resources[0].want.url;
        if request.url == *page {
            return None;
        }
        if request.url.origin() != page.origin() {
            self.leave_out(&request.url, Reason::OtherOrigin);
            return None;
        }
        let is_preload = request.manner == Manner::Preload;
        let key = (request.url, destination(request.kind), request.crossorigin);
        if let Some(known) = self.by_request.get(&key) {
            let resource = &mut self.resources[*known];
            resource.is_needed |= !is_preload;
            resource.want.blocks_render |= request.blocks_render;
            if resource.want.kind == Kind::Script && !is_preload {
                resource.want.kind = request.kind;
            }
            return Some(*known);
        }
        let number = self.resources.len();
        if number >= WANTS_MAX {
            self.complaint.get_or_insert_with(|| {
                format!("the page names more than {WANTS_MAX} resources: the rest was not fetched")
            });
            return None;
        }
        let (kind, manner) = (request.kind, request.manner);
        let (urgency, incremental) = self.priorities.of(kind, manner, request.hint, request.size);
        self.resources.push(Resource {
            is_needed: !is_preload,
            ..Resource::new(Want {
                id: WantId(number),
                url: key.0.clone(),
                kind: request.kind,
                crossorigin: request.crossorigin,
                initiator: Some(WantId(request.initiator.unwrap_or(0))),
                blocks_render: request.blocks_render,
                urgency,
                incremental,
                preload: is_preload,
            })
        });
        self.by_request.insert(key, number);
        self.wanted.push_back(number);
        Some(number)
    }

    fn leave_out(&mut self, url: &Url, reason: Reason) {
        if self.left_out.len() < LEFT_OUT_MAX && self.left_out_urls.insert(url.to_string()) {
            self.left_out.push(LeftOut {
                url: url.to_string(),
                reason,
            });
        }
    }
}

impl Wants for Page {
    fn next_want(&mut self) -> Option<Want> {
        Self::next_want(self)
    }

    fn redirected(&mut self, id: WantId, to: &Url) {
        Self::redirected(self, id, to.clone());
    }

    fn head(&mut self, id: WantId, content_type: &str, status: u16, _: Duration) {
        Self::head(self, id, content_type, status);
    }

    fn data(&mut self, id: WantId, bytes: &[u8], now: Duration) {
        Self::data(self, id, bytes, now);
    }

    fn end(&mut self, id: WantId, whole: bool, now: Duration) {
        Self::end(self, id, whole, now);
    }

    fn preload(&mut self, preload: &Preload) -> Option<Want> {
        Self::preload(self, preload)
    }

    fn blocks_render(&self, id: WantId) -> bool {
        self.want_of(id).is_some_and(|want| want.blocks_render)
    }

    fn left_out(&self) -> usize {
        let elsewhere = |left_out: &&LeftOut| left_out.reason == Reason::OtherOrigin;
        self.left_out.iter().filter(elsewhere).count()
    }

    fn complaint(&self) -> Option<&str> {
        Self::complaint(self)
    }

    fn is_loaded(&self) -> bool {
        Self::is_loaded(self)
    }

    fn marks(&self) -> PageMarks {
        Self::marks(self)
    }

    fn progress(&self) -> Vec<(Duration, f64)> {
        Self::progress(self)
    }
}

impl Resource {
    fn new(want: Want) -> Self {
        Self {
            want,
            is_needed: true,
            status: 0,
            content_type: String::new(),
            ended: None,
            is_whole: false,
            body: Vec::new(),
            is_cut: false,
            hash: ContentHash([0; 16]),
            is_walked: false,
        }
    }

    /// Whether its content matters. A script that was preloaded may turn out to be a module.
    fn is_read(&self) -> bool {
        match self.want.kind {
            Kind::Style | Kind::Module => true,
            Kind::Script => self.want.crossorigin.is_some(),
            _ => false,
        }
    }

    fn receive(&mut self, bytes: &[u8]) {
        if !self.is_read() || self.is_cut {
            return;
        }
        if self.body.len() + bytes.len() > SHEET_BYTES_MAX {
            self.is_cut = true;
            self.body = Vec::new();
        } else {
            self.body.extend_from_slice(bytes);
        }
    }

    /// Whether it came, and is what it is for: style sheets and modules are refused by their type
    /// (HTML, sections 4.6.7 and 8.1.4.2).
    fn is_usable(&self) -> bool {
        let essence = self
            .content_type
            .split(';')
            .next()
            .unwrap_or_default()
            .trim();
        let fits = match self.want.kind {
            Kind::Style => essence.is_empty() || essence.eq_ignore_ascii_case("text/css"),
            Kind::Module => essence.to_ascii_lowercase().ends_with("javascript"),
            _ => true,
        };
        let is_success = matches!(self.status, 200..=299 | 304);
        self.ended.is_some() && self.is_whole && is_success && fits && !self.is_cut
    }
}

/// What has to agree for a preload to be used: classic scripts and modules have one destination.
fn destination(kind: Kind) -> &'static str {
    match kind {
        Kind::Document => "document",
        Kind::Style => "style",
        Kind::Script | Kind::Module => "script",
        Kind::Font => "font",
        Kind::Image => "image",
        Kind::Media => "media",
        Kind::Other => "",
    }
}

/// Resolves a URL as written; `None` for what is not fetched from a server.
fn resolve(base: &Url, written: &str) -> Option<Url> {
    let mut url = base.join(written).ok()?;
    url.set_fragment(None);
    matches!(url.scheme(), "http" | "https").then_some(url)
}

fn is_html(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.is_empty()
        || essence.eq_ignore_ascii_case("text/html")
        || essence.eq_ignore_ascii_case("application/xhtml+xml")
}

#[cfg(test)]
mod tests;
