//! The site: an immutable snapshot of a directory, and what each of its pages needs.
//!
//! A [`Site`] never changes; [`SiteRoot`] derives the next one when the disk differs and swaps it
//! whole, so that a page, its validator and what is promised with it always match. Nothing here
//! knows of HTTP versions, peers or sockets. Read on in [`asset`] (one file), [`encodings`] (its
//! compressed forms), [`load`] (disk to snapshot), [`links`] (bytes to links), [`graph`] (links to
//! everything a page needs), [`plan`] (what of that is worth sending ahead), [`rules`] (what the
//! author says of answers), [`listing`] (what a directory holds) and [`insert`] (a snippet put into
//! a document).

pub mod asset;
pub mod digest;
pub mod encodings;
mod freshness;
pub mod graph;
pub mod insert;
pub mod links;
pub mod listing;
pub mod load;
mod media;
pub mod plan;
pub mod rules;
pub mod url_path;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use http::HeaderValue;

pub use asset::{Asset, ContentHash, Kind, Links, Named};
use encodings::{Coding, Encoded};
use freshness::Freshness;
pub use listing::Listing;
pub use load::{Change, Changes, Instructions, SiteError, SiteOptions, SiteRoot, What};
use plan::{Overrides, Plan};
use rules::{HeaderRules, Redirects};
pub use url_path::{BadPath, SiteUrl, UrlPath};

/// A count of changes that is never reached.
const NEVER: u64 = u64::MAX;

/// An immutable snapshot of a site: what is known of it so far.
///
/// Deriving the next one costs time in proportion to the change, however many files are known.
#[derive(Debug, Clone, Default)]
pub struct Site {
    slots: Paths<Slot>,
    pages: Paths<Page>,
    overrides: Arc<Overrides>,
    headers: Arc<HeaderRules>,
    redirects: Arc<Redirects>,
    /// What one directory holds, if somebody asked for that; `None` if it is none.
    listed: Option<(UrlPath, Option<Arc<Listing>>)>,
    /// How often something that was known turned out to be different. While it stands still, so
    /// does whatever was concluded from the entries.
    changes: u64,
}

/// What is known of paths. Nobody but who writes the site chooses the keys, so the hash need not
/// withstand more than bad luck.
type Paths<T> = rpds::HashTrieMapSync<UrlPath, Arc<T>, foldhash::fast::RandomState>;

/// What a path of the site is.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A regular file, or the `index.html` of a directory asked for with a trailing slash.
    File(Arc<Asset>),
    /// A directory asked for without its trailing slash: answered with a redirect, unless it has no
    /// page and there is one of that name.
    Directory,
    /// Nothing that is served.
    Missing,
}

/// What is known of a page beyond its bytes.
#[derive(Debug)]
pub struct Page {
    /// What is sent ahead with it, and why the rest is not.
    pub plan: Plan,
    dependencies: Vec<Dependency>,
    /// Names what all of them were.
    needs: ContentHash,
    overrides: Arc<Overrides>,
    headers: Arc<HeaderRules>,
    redirects: Arc<Redirects>,
    /// The tag, and the content that it was written for.
    tag: OnceLock<(ContentHash, HeaderValue)>,
    /// Those of its encoded forms.
    encoded_tags: [ArcSwapOption<EncodedTag>; 3],
    freshness: Freshness,
    /// [`Site::changes`] of the newest snapshot that the page was found to agree with.
    agreed: AtomicU64,
}

/// The entity tag of an encoded form of a page.
#[derive(Debug)]
struct EncodedTag {
    content_hash: ContentHash,
    suffix: String,
    tag: HeaderValue,
}

/// A path that a plan was made from, and what it was then; `None` if it was no file.
#[derive(Debug)]
struct Dependency {
    path: UrlPath,
    content_hash: Option<ContentHash>,
}

/// An entry, and when it was last compared with the disk.
#[derive(Debug)]
struct Slot {
    entry: Entry,
    freshness: Freshness,
    /// Looked at since the writer last thought of evicting it.
    used: AtomicBool,
}

impl Site {
    /// Returns what the snapshot knows of a path; `None` if nothing was asked of it yet.
    pub fn entry(&self, path: &str) -> Option<&Entry> {
        let slot = self.slots.get(path)?;
        slot.touch();
        Some(&slot.entry)
    }

    /// Returns the file at a path, if the snapshot knows one.
    pub fn asset(&self, path: &str) -> Option<&Arc<Asset>> {
        match self.entry(path)? {
            Entry::File(asset) => Some(asset),
            Entry::Directory | Entry::Missing => None,
        }
    }

    /// Returns the file that answers for a path: what is there, or else the page whose name the
    /// path leaves the ending out of. A directory's own page, if it has one, outweighs that, and
    /// answers elsewhere.
    pub fn found(&self, path: &UrlPath) -> Option<&Arc<Asset>> {
        match self.entry(path.as_str())? {
            Entry::File(asset) => Some(asset),
            Entry::Directory if self.asset(path.index().as_str()).is_some() => None,
            Entry::Directory | Entry::Missing => self.asset(path.with_html()?.as_str()),
        }
    }

    /// Returns what a directory holds, and whether it is one, if the snapshot was made for that.
    pub fn listing(&self, path: &UrlPath) -> Option<Option<&Arc<Listing>>> {
        let (listed, listing) = self.listed.as_ref()?;
        (listed == path).then_some(listing.as_ref())
    }

    /// Returns what is known of the page at a path, whether that names the file or its directory;
    /// `None` until its graph is computed.
    pub fn page(&self, path: &str) -> Option<&Arc<Page>> {
        self.pages.get(path)
    }

    /// Returns what `push.toml` says.
    pub fn overrides(&self) -> &Arc<Overrides> {
        &self.overrides
    }

    /// Returns what `_headers` says.
    pub fn headers(&self) -> &HeaderRules {
        &self.headers
    }

    /// Returns what `_redirects` says.
    pub fn redirects(&self) -> &Redirects {
        &self.redirects
    }

    /// Returns the snapshot with a file added, or another in its place.
    #[must_use]
    pub fn with_asset(&self, asset: Asset) -> Self {
        let path = asset.path.clone();
        self.with_entry(&path, Entry::File(Arc::new(asset)))
    }

    /// Returns the snapshot in which nothing is served at a path.
    #[must_use]
    pub fn with_missing(&self, path: &UrlPath) -> Self {
        self.with_entry(&path.file(), Entry::Missing)
    }

    /// Returns the snapshot with an entry at a path, which must not end with a slash: a directory's
    /// own entry follows from its `index.html`.
    #[must_use]
    pub fn with_entry(&self, path: &UrlPath, entry: Entry) -> Self {
        let mut next = self.clone();
        next.put(path, Arc::new(Slot::new(entry, 0)));
        next
    }

    /// Returns the snapshot with what is sent ahead with the page at a path.
    #[must_use]
    pub fn with_plan(&self, path: &UrlPath, plan: Plan) -> Self {
        let mut next = self.clone();
        next.put_page(&path.file(), Arc::new(Page::new(plan, Vec::new(), self)));
        next
    }

    /// Returns the snapshot with what a directory holds.
    fn with_listing(&self, path: &UrlPath, listing: Option<Arc<Listing>>) -> Self {
        let mut next = self.clone();
        next.listed = Some((path.clone(), listing));
        next
    }

    fn slot(&self, path: &str) -> Option<&Arc<Slot>> {
        self.slots.get(path)
    }

    /// Replaces the slot of a file, and of the directory it answers for. What was known of its page
    /// goes with the old content.
    fn put(&mut self, path: &UrlPath, slot: Arc<Slot>) {
        if let Some(old) = self.slot(path.as_str())
            && old.content_hash() != slot.content_hash()
        {
            self.changes += 1;
            self.remove_page(path);
        }
        if let Some(directory) = path.directory() {
            let index = match slot.entry {
                // A directory that is called index.html is no index.
                Entry::Directory => Arc::new(Slot::new(Entry::Missing, 0)),
                Entry::File(_) | Entry::Missing => Arc::clone(&slot),
            };
            self.slots.insert_mut(directory, index);
        }
        self.slots.insert_mut(path.clone(), slot);
    }

    fn remove(&mut self, path: &UrlPath) {
        self.remove_page(path);
        self.slots.remove_mut(path);
        if let Some(directory) = path.directory() {
            self.slots.remove_mut(&directory);
        }
    }

    fn put_page(&mut self, path: &UrlPath, page: Arc<Page>) {
        if let Some(directory) = path.directory() {
            self.pages.insert_mut(directory, Arc::clone(&page));
        }
        self.pages.insert_mut(path.clone(), page);
    }

    fn remove_page(&mut self, path: &UrlPath) {
        self.pages.remove_mut(path);
        if let Some(directory) = path.directory() {
            self.pages.remove_mut(&directory);
        }
    }

    /// Returns the snapshot without what was known of the page at a path.
    fn without_page(self: Arc<Self>, path: &UrlPath) -> Arc<Self> {
        if self.page(path.as_str()).is_none() {
            return self;
        }
        let mut next = Self::clone(&self);
        next.remove_page(&path.file());
        Arc::new(next)
    }

    fn put_overrides(&mut self, overrides: Arc<Overrides>) {
        self.changes += 1;
        self.overrides = overrides;
    }

    fn put_headers(&mut self, headers: Arc<HeaderRules>) {
        self.changes += 1;
        self.headers = headers;
    }

    fn put_redirects(&mut self, redirects: Arc<Redirects>) {
        self.changes += 1;
        self.redirects = redirects;
    }
}

impl Slot {
    fn new(entry: Entry, now_ms: u64) -> Self {
        Self {
            entry,
            freshness: Freshness::at(now_ms),
            used: AtomicBool::new(false),
        }
    }

    fn asset(&self) -> Option<&Arc<Asset>> {
        match &self.entry {
            Entry::File(asset) => Some(asset),
            Entry::Directory | Entry::Missing => None,
        }
    }

    fn content_hash(&self) -> Option<ContentHash> {
        self.asset().map(|asset| asset.content_hash)
    }

    fn touch(&self) {
        // Read first: a line that is only read stays in every core's cache.
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }
}

impl Page {
    fn new(plan: Plan, dependencies: Vec<Dependency>, site: &Site) -> Self {
        Self {
            plan,
            needs: Dependency::hash(&dependencies),
            dependencies,
            overrides: Arc::clone(&site.overrides),
            headers: Arc::clone(&site.headers),
            redirects: Arc::clone(&site.redirects),
            tag: OnceLock::new(),
            encoded_tags: Default::default(),
            freshness: Freshness::default(),
            agreed: AtomicU64::new(NEVER),
        }
    }

    /// Returns the page's entity tag, which carries its digest; written on first use.
    pub fn tag(&self, document: &Asset) -> HeaderValue {
        let write = || {
            let (digest, content_hash) = (&self.plan.digest, document.content_hash);
            asset::tag(digest, content_hash, document.weak)
        };
        if document.weak {
            return write();
        }
        let (content_hash, tag) = self.tag.get_or_init(|| (document.content_hash, write()));
        if *content_hash == document.content_hash {
            tag.clone()
        } else {
            write()
        }
    }

    /// Returns the entity tag of an encoded form of the page, which carries its digest; written
    /// when the form is new.
    pub fn encoded_tag(&self, document: &Asset, coding: Coding, encoded: &Encoded) -> HeaderValue {
        let kept = &self.encoded_tags[coding as usize];
        if let Some(known) = kept.load().as_deref()
            && known.content_hash == document.content_hash
            && known.suffix == encoded.suffix
        {
            return known.tag.clone();
        }
        let tag = encoded.tag_from(&self.tag(document));
        if !tag.as_bytes().starts_with(b"W/") {
            kept.store(Some(Arc::new(EncodedTag {
                content_hash: document.content_hash,
                suffix: encoded.suffix.clone(),
                tag: tag.clone(),
            })));
        }
        tag
    }

    /// Names a document's bytes and those of everything that the page was found to need, sent ahead
    /// or not: equal only if all of them are.
    pub fn version(&self, document: ContentHash) -> ContentHash {
        ContentHash::of(&[self.needs.0, document.0].concat())
    }

    /// Returns whether the author still says what the plan was made by.
    fn is_made_as_told(&self, site: &Site) -> bool {
        Arc::ptr_eq(&self.overrides, &site.overrides)
            && Arc::ptr_eq(&self.headers, &site.headers)
            && Arc::ptr_eq(&self.redirects, &site.redirects)
    }

    /// Returns whether everything the plan was made from is in the snapshot as it was then.
    fn agrees_with(&self, site: &Site) -> bool {
        if self.agreed.load(Ordering::Relaxed) == site.changes {
            return true;
        }
        let agrees = self.is_made_as_told(site)
            && self
                .dependencies
                .iter()
                .all(|dependency| dependency.agrees_with(site));
        if agrees {
            self.agreed.store(site.changes, Ordering::Relaxed);
        }
        agrees
    }
}

impl Dependency {
    fn hash(all: &[Self]) -> ContentHash {
        let mut bytes = Vec::new();
        for Self { path, content_hash } in all {
            bytes.extend_from_slice(path.as_str().as_bytes());
            // No path has a NUL.
            bytes.push(0);
            bytes.push(content_hash.is_some().into());
            bytes.extend_from_slice(&content_hash.map_or([0; 16], |hash| hash.0));
        }
        ContentHash::of(&bytes)
    }

    fn agrees_with(&self, site: &Site) -> bool {
        let slot = site.slot(self.path.as_str());
        slot.is_some_and(|slot| slot.content_hash() == self.content_hash)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn path(text: &str) -> UrlPath {
        UrlPath::parse(text).unwrap()
    }

    fn file(text: &str, content: &'static str) -> Asset {
        Asset::in_memory(path(text), Bytes::from_static(content.as_bytes()))
    }

    #[test]
    fn an_index_answers_for_its_directory() {
        let site = Site::default().with_asset(file("/docs/index.html", "hello"));
        let (index, directory) = (site.asset("/docs/index.html"), site.asset("/docs/"));
        assert!(Arc::ptr_eq(index.unwrap(), directory.unwrap()));
        let site = site.with_plan(&path("/docs/"), Plan::default());
        let (index, directory) = (site.page("/docs/index.html"), site.page("/docs/"));
        assert!(Arc::ptr_eq(index.unwrap(), directory.unwrap()));

        let site = site.with_missing(&path("/docs/"));
        assert!(matches!(site.entry("/docs/"), Some(Entry::Missing)));
        assert!(matches!(
            site.entry("/docs/index.html"),
            Some(Entry::Missing)
        ));
        assert!(site.page("/docs/").is_none() && site.page("/docs/index.html").is_none());
    }

    #[test]
    fn a_snapshot_does_not_see_what_is_derived_from_it() {
        let old = Site::default().with_asset(file("/a.css", "old"));
        let new = old
            .with_asset(file("/a.css", "new"))
            .with_asset(file("/b.css", "b"));
        assert_eq!(
            old.asset("/a.css").unwrap().content.as_deref(),
            Some(&b"old"[..])
        );
        assert_eq!(
            new.asset("/a.css").unwrap().content.as_deref(),
            Some(&b"new"[..])
        );
        assert!(old.entry("/b.css").is_none());
    }

    #[test]
    fn a_page_goes_with_its_content_and_stays_with_its_bytes() {
        let page = path("/a.html");
        let site = Site::default().with_asset(file("/a.html", "a"));
        let site = site.with_plan(&page, Plan::default());
        assert!(
            site.with_asset(file("/a.html", "a"))
                .page("/a.html")
                .is_some()
        );
        assert!(
            site.with_asset(file("/a.html", "b"))
                .page("/a.html")
                .is_none()
        );
        assert!(site.with_missing(&page).page("/a.html").is_none());
    }

    /// Snapshots share what they have in common: two thousand of a site of 100,000 files fit in
    /// memory, and are made at once.
    #[test]
    fn deriving_costs_what_changes() {
        let asset = Arc::new(file("/x", "x"));
        let mut site = Site::default();
        for index in 0..100_000 {
            let entry = Entry::File(Arc::clone(&asset));
            site.put(&path(&format!("/{index}")), Arc::new(Slot::new(entry, 0)));
        }
        let derived: Vec<Site> = (0..2000)
            .map(|index| site.with_missing(&path(&format!("/{index}"))))
            .collect();
        assert!(derived.iter().all(|next| next.slots.size() == 100_000));
        let (old, new) = (
            site.slot("/99999").unwrap(),
            derived[0].slot("/99999").unwrap(),
        );
        assert!(Arc::ptr_eq(old, new));
    }
}
