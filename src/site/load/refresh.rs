//! What really changed, when somebody says that something may have: a look at the disk at once,
//! compared with what was last told.
//!
//! Between two looks requests find changes too, on their own. Those are noted, so that whoever
//! asked before the change still learns of it. Knows nothing of who says so or of who is told.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::io;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::SystemTime;

use lru::LruCache;

use super::loader::{Loader, lock};
use super::memory::ENTRIES_MAX;
use super::{NOT_FOUND, SiteRoot};
use crate::site::{Asset, ContentHash, Entry, Kind, Page, Site, Slot, UrlPath};

/// Names that were asked for in vain and are remembered, so that whoever did learns of the file
/// when it comes.
const MISSED_MAX: NonZeroUsize = NonZeroUsize::new(1024).expect("1024 is not 0");

/// Files that cannot be read and are remembered.
const UNREADABLE_MAX: usize = 64;

/// What turned out to be different.
#[derive(Debug, Default)]
pub struct Changes {
    /// Files whose content differs from what was last told, sorted by path: never a directory's
    /// path, always its `index.html`.
    pub changed: Vec<Change>,
    /// Pages that are changed themselves or need something that is, sorted; a directory's own page
    /// by the directory's path.
    pub pages: Vec<UrlPath>,
    /// What became of `push.toml`, `_headers` and `_redirects`.
    pub instructions: Instructions,
    /// Every known file that is there and cannot be read now, and why: its last good state answers.
    pub unreadable: Vec<(UrlPath, String)>,
}

/// A file whose content differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its path.
    pub path: UrlPath,
    /// What it is; if it is gone, what it was.
    pub kind: Kind,
    /// What became of it.
    pub what: What,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// There was none.
    Added,
    /// It has another content.
    Modified,
    /// There is none any more.
    Removed,
}

/// What became of what the author says to the server: `push.toml`, `_headers` and `_redirects`.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Instructions {
    /// Whether what they say is new, and used.
    pub differ: bool,
    /// Whether answers differ by it, not only what is sent ahead.
    pub answers_differ: bool,
    /// Every one that cannot be used now, and why: what it said when it was last good stays.
    pub bad: Vec<(String, String)>,
}

/// What has to be known of changes that somebody else found first.
#[derive(Debug)]
pub(super) struct Notes {
    /// Whether anybody will ask: else nothing is noted.
    is_wanted: bool,
    /// What paths that differ were when that was last told.
    found: HashMap<UrlPath, Was>,
    /// Paths asked for where nothing was.
    missed: LruCache<UrlPath, ()>,
    unreadable: BTreeMap<UrlPath, String>,
}

/// What a path was; `None` if it was no file.
type Was = Option<File>;

/// What tells the content of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct File {
    kind: Kind,
    content: Content,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Hashed(ContentHash),
    /// Of a file too large to be hashed. Its `content_hash` is no help: that names the time of its
    /// last change of mode, too.
    Streamed(u64, SystemTime),
}

impl SiteRoot {
    /// Begins to note the changes that requests find, for [`Self::refresh`] to tell. Call it before
    /// the first request; the first refresh does, too.
    pub fn note_changes(&self) {
        lock(&self.loader.notes).is_wanted = true;
    }

    /// Compares paths with the disk at once, whatever their freshness, and swaps in the snapshot
    /// that has what is there now. Blocks.
    ///
    /// Each may be a file, or a directory (with or without its slash), which stands for all that is
    /// known below. Paths that nobody asked for and no page needs are passed over. While the root
    /// is away nothing counts as changed.
    ///
    /// Pages are not made anew here, so that whoever waits for a change is told at once: call
    /// [`Self::remake`] afterwards.
    pub fn refresh(&self, paths: &[UrlPath]) -> Changes {
        self.note_changes();
        if !self.loader.disk.is_there() {
            return Changes::default();
        }
        let site = self.snapshot();
        let targets = self.loader.targets(&site, paths);
        let is_said = |path: &UrlPath| paths.contains(path);
        if instructions().iter().any(is_said) {
            self.loader.author_read.expire();
        }
        self.loader.refresh(&site, &targets)
    }

    /// Compares all that is known with the disk at once, as [`Self::refresh`] does. Blocks.
    pub fn refresh_all(&self) -> Changes {
        self.note_changes();
        if !self.loader.disk.is_there() {
            return Changes::default();
        }
        let site = self.snapshot();
        let known = site.slots.keys().filter(|path| !path.is_directory());
        let missed = lock(&self.loader.notes).missed();
        let targets: BTreeSet<_> = known.cloned().chain(missed).collect();
        self.loader.author_read.expire();
        self.loader.refresh(&site, &targets)
    }

    /// Makes pages anew if anything they need differs, so that the next refresh knows what they
    /// need now. Blocks, for as long as their graphs take.
    pub fn remake(&self, pages: &[UrlPath]) {
        for page in pages {
            self.loader.refresh_page(&page.file());
        }
    }

    /// Returns the path at which a file or directory below the root is served: `/` for the root
    /// itself, and that of a file for the server alone (`/push.toml`) for a refresh. `None` for
    /// what has no URL or a hidden one.
    ///
    /// The file's path must begin as the root was named, made absolute; links are not resolved.
    pub fn url_path_of(&self, path: &Path) -> Option<UrlPath> {
        let relative = path.strip_prefix(&self.loader.disk.path).ok()?.to_str()?;
        let decoded = format!("/{relative}");
        let mut said = instructions().into_iter();
        if let Some(said) = said.find(|path| path.as_str() == decoded) {
            return Some(said);
        }
        UrlPath::decoded(&decoded).ok()
    }

    /// Returns the directory that is served: absolute, as it was named.
    pub fn directory(&self) -> &Path {
        &self.loader.disk.path
    }
}

impl Loader {
    /// Returns the files that paths stand for, as far as anybody asked for them.
    fn targets(&self, site: &Site, paths: &[UrlPath]) -> BTreeSet<UrlPath> {
        let notes = lock(&self.notes);
        let is_known = |path: &UrlPath| {
            site.slot(path.as_str()).is_some() || notes.missed.contains(path.as_str())
        };
        // A path may be a directory now, or have been one until now. A file that still is one is
        // nothing's directory: most saves end here.
        let mut targets = BTreeSet::new();
        let mut directories = HashSet::new();
        for path in paths {
            let file = path.file();
            if site.asset(path.as_str()).is_none() || !self.disk.is_file(path) {
                directories.insert(path.as_str().trim_end_matches('/').to_owned());
            }
            if is_known(&file) {
                targets.insert(file);
            }
        }
        if directories.is_empty() {
            return targets;
        }
        let known = site.slots.keys().cloned().chain(notes.missed());
        targets.extend(known.filter(|path| !path.is_directory() && is_in(path, &directories)));
        targets
    }

    fn refresh(&self, before: &Site, targets: &BTreeSet<UrlPath>) -> Changes {
        let instructions = self.author_news();
        for path in targets {
            lock(&self.notes).unreadable.remove(path);
            self.check_now(path);
        }
        let (after, noted) = self.take_notes(|notes| notes.take(targets));
        let changed: Vec<_> = noted
            .found
            .into_iter()
            .filter_map(|(path, was)| change(path, was, &after))
            .collect();
        Changes {
            pages: concerned(
                &changed,
                [before, &after],
                &noted.missed,
                instructions.differ,
            ),
            changed,
            instructions,
            unreadable: noted.unreadable,
        }
    }
}

impl Default for Notes {
    fn default() -> Self {
        Self {
            is_wanted: false,
            found: HashMap::new(),
            missed: LruCache::new(MISSED_MAX),
            unreadable: BTreeMap::new(),
        }
    }
}

/// What was noted until a snapshot was made.
struct Noted {
    found: BTreeMap<UrlPath, Was>,
    missed: Vec<UrlPath>,
    unreadable: Vec<(UrlPath, String)>,
}

impl Notes {
    /// Notes that nothing is where somebody looked.
    pub(super) fn miss(&mut self, path: &UrlPath) {
        if self.is_wanted {
            self.missed.put(path.clone(), ());
        }
    }

    /// Notes what a path was before it is replaced; the first time counts.
    pub(super) fn replace(&mut self, path: &UrlPath, known: Option<&Slot>, newer: &Slot) {
        if !self.is_wanted || self.found.len() >= ENTRIES_MAX {
            return;
        }
        let was = match known {
            Some(slot) => File::of(slot),
            None if self.missed.contains(path.as_str()) => None,
            None => return,
        };
        if was != File::of(newer) {
            self.found.entry(path.clone()).or_insert(was);
        }
        if newer.asset().is_some() {
            self.missed.pop(path.as_str());
        }
    }

    /// Returns whether somebody will ask for what is noted, and say it.
    pub(super) fn are_wanted(&self) -> bool {
        self.is_wanted
    }

    /// Notes that a file cannot be read; returns whether its last good state is to answer.
    pub(super) fn fail(&mut self, path: &UrlPath, error: &io::Error) -> bool {
        if self.is_wanted && self.unreadable.len() < UNREADABLE_MAX {
            self.unreadable.insert(path.clone(), error.to_string());
        }
        self.is_wanted
    }

    fn take(&mut self, targets: &BTreeSet<UrlPath>) -> Noted {
        let found = targets.iter().filter_map(|path| {
            let was = self.found.remove(path)?;
            Some((path.clone(), was))
        });
        Noted {
            found: found.collect(),
            missed: self.missed(),
            unreadable: self.unreadable.clone().into_iter().collect(),
        }
    }

    fn missed(&self) -> Vec<UrlPath> {
        self.missed.iter().map(|(path, ())| path.clone()).collect()
    }
}

impl File {
    fn of(slot: &Slot) -> Was {
        match &slot.entry {
            Entry::File(asset) => Some(Self {
                kind: asset.kind,
                content: Content::of(asset),
            }),
            Entry::Directory | Entry::Missing => None,
        }
    }
}

impl Content {
    fn of(asset: &Asset) -> Self {
        match &asset.identity {
            Some(identity) if asset.content_hash == identity.content_hash() => {
                Self::Streamed(asset.length, asset.modified)
            }
            _ => Self::Hashed(asset.content_hash),
        }
    }
}

/// Returns the paths of the files that are for the server alone.
fn instructions() -> [UrlPath; 3] {
    [
        UrlPath::overrides(),
        UrlPath::headers(),
        UrlPath::redirects(),
    ]
}

/// Returns how a file differs in a snapshot from what it was.
fn change(path: UrlPath, was: Was, site: &Site) -> Option<Change> {
    let is = site.slot(path.as_str()).and_then(|slot| File::of(slot));
    let (what, file) = match (was, is) {
        (None, Some(is)) => (What::Added, is),
        (Some(was), None) => (What::Removed, was),
        (Some(was), Some(is)) if was.content != is.content => (What::Modified, is),
        _ => return None,
    };
    let kind = file.kind;
    Some(Change { path, kind, what })
}

/// Returns whether a path lies below one of some directories (without their slash).
fn is_in(path: &UrlPath, directories: &HashSet<String>) -> bool {
    let path = path.as_str();
    let mut ends = path.match_indices('/').map(|(index, _)| index);
    ends.any(|end| directories.contains(&path[..end]))
}

/// Returns the pages that changes concern: those changed themselves, and those that need one, in
/// any of two snapshots; with a change of the page that stands for missing ones, those too.
fn concerned(changed: &[Change], sites: [&Site; 2], missed: &[UrlPath], all: bool) -> Vec<UrlPath> {
    let as_page = |path: &UrlPath| path.directory().unwrap_or_else(|| path.clone());
    let of_pages = changed.iter().filter(|change| change.kind == Kind::Page);
    let mut pages: BTreeSet<_> = of_pages.map(|change| as_page(&change.path)).collect();
    if changed.is_empty() && !all {
        return Vec::new();
    }
    let paths: Vec<_> = changed.iter().map(|change| &change.path).collect();
    for (path, page) in sites.iter().flat_map(|site| site.pages.iter()) {
        if path.directory().is_none() && (all || page.needs_any(&paths)) {
            pages.insert(path.clone());
        }
    }
    if pages.iter().any(|path| path.as_str() == NOT_FOUND) {
        pages.extend(missed.iter().map(as_page));
    }
    pages.into_iter().collect()
}

impl Page {
    /// Returns whether the page was made from any of some paths, which are sorted.
    fn needs_any(&self, paths: &[&UrlPath]) -> bool {
        if paths.len() < self.dependencies.len() {
            let find = |path: &&&UrlPath| {
                let found = self
                    .dependencies
                    .binary_search_by(|dependency| dependency.path.cmp(path));
                found.is_ok()
            };
            return paths.iter().any(|path| find(&path));
        }
        let mut dependencies = self.dependencies.iter();
        dependencies.any(|dependency| paths.binary_search(&&dependency.path).is_ok())
    }
}
