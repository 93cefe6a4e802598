//! A page whose bodies say in plain lines what they need: `style /a.css`, `font /f anonymous`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use url::Url;

use crate::measure::page_load::hints::Preload;
use crate::measure::page_load::wants::{PageMarks, Want, WantId, Wants};
use crate::measure::timeline::Kind;
use crate::site::links::html::Crossorigin;

pub(super) struct Page {
    wants: VecDeque<Want>,
    wanted: usize,
    pub(super) urls: BTreeMap<WantId, Url>,
    pub(super) bodies: BTreeMap<WantId, String>,
    read: BTreeMap<WantId, usize>,
    /// What the `load` event waits for.
    open: BTreeSet<WantId>,
    pub(super) heads: Vec<(WantId, u16, String)>,
    pub(super) failed: Vec<WantId>,
    last: Duration,
}

impl Page {
    pub(super) fn new(url: &str) -> Self {
        let mut page = Self {
            wants: VecDeque::new(),
            wanted: 0,
            urls: BTreeMap::new(),
            bodies: BTreeMap::new(),
            read: BTreeMap::new(),
            open: BTreeSet::new(),
            heads: Vec::new(),
            failed: Vec::new(),
            last: Duration::ZERO,
        };
        let want = page.want(Url::parse(url).unwrap(), Kind::Document, None);
        page.need(want);
        page
    }

    fn want(&mut self, url: Url, kind: Kind, crossorigin: Option<Crossorigin>) -> Want {
        let id = WantId(self.wanted);
        self.wanted += 1;
        self.urls.insert(id, url.clone());
        Want {
            id,
            url,
            kind,
            crossorigin,
            initiator: (id.0 > 0).then_some(WantId(0)),
            blocks_render: kind == Kind::Style,
            urgency: if kind <= Kind::Style { 0 } else { 3 },
            incremental: kind == Kind::Document,
            preload: false,
        }
    }

    fn need(&mut self, want: Want) {
        self.open.insert(want.id);
        self.wants.push_back(want);
    }

    fn read_line(&mut self, id: WantId, line: &str) {
        let words: Vec<_> = line.split(' ').collect();
        let (kind, crossorigin) = match words[0] {
            "style" => (Kind::Style, None),
            "script" => (Kind::Script, None),
            "module" => (Kind::Module, Some(Crossorigin::Anonymous)),
            "font" => (Kind::Font, Some(Crossorigin::Anonymous)),
            "image" => (Kind::Image, None),
            _ => return,
        };
        let url = self.urls[&id].join(words[1]).unwrap();
        let mut want = self.want(url, kind, crossorigin);
        want.initiator = Some(id);
        self.need(want);
    }

    /// Returns what was told of a URL's body.
    pub(super) fn body(&self, path: &str) -> Vec<&str> {
        let named = self.urls.iter().filter(|(_, url)| url.path() == path);
        named
            .filter_map(|(id, _)| self.bodies.get(id))
            .map(String::as_str)
            .collect()
    }
}

impl Wants for Page {
    fn next_want(&mut self) -> Option<Want> {
        self.wants.pop_front()
    }

    fn redirected(&mut self, id: WantId, to: &Url) {
        self.urls.insert(id, to.clone());
    }

    fn head(&mut self, id: WantId, content_type: &str, status: u16, _: Duration) {
        self.heads.push((id, status, content_type.to_owned()));
    }

    fn data(&mut self, id: WantId, bytes: &[u8], _: Duration) {
        let body = self.bodies.entry(id).or_default();
        body.push_str(std::str::from_utf8(bytes).unwrap());
        let read = self.read.entry(id).or_default();
        let Some(end) = body[*read..].rfind('\n') else {
            return;
        };
        let lines = body[*read..*read + end].to_owned();
        *read += end + 1;
        lines.lines().for_each(|line| self.read_line(id, line));
    }

    fn end(&mut self, id: WantId, whole: bool, now: Duration) {
        if self.open.remove(&id) {
            self.last = now;
        }
        if !whole {
            self.failed.push(id);
        }
    }

    fn preload(&mut self, preload: &Preload) -> Option<Want> {
        Some(self.want(preload.url.clone(), preload.kind, preload.crossorigin))
    }

    fn blocks_render(&self, _: WantId) -> bool {
        false
    }

    fn left_out(&self) -> usize {
        0
    }

    fn complaint(&self) -> Option<&str> {
        None
    }

    fn is_loaded(&self) -> bool {
        self.open.is_empty()
    }

    fn marks(&self) -> PageMarks {
        PageMarks {
            first_render: self.last,
            largest_content: self.last,
            load: self.last,
        }
    }

    fn progress(&self) -> Vec<(Duration, f64)> {
        vec![(self.last / 2, 0.5), (self.last, 1.0)]
    }
}
