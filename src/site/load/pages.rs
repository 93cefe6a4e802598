//! What a page needs: its graph and its plan, from the files they are made of.
//!
//! Walks the disk for [`crate::site::graph`], which only knows a snapshot, until nothing is
//! unknown. Everything here blocks; what may take long is called by `flights`, for a page once at a
//! time.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry::Vacant;
use std::path::Path;
use std::sync::Arc;

use super::SiteError;
use super::disk::{Disk, Found};
use super::loader::{IfMissing, Loader, lock};
use super::refresh::PushToml;
use crate::site::freshness::Freshness;
use crate::site::graph::{Graph, Target};
use crate::site::plan::{self, Overrides};
use crate::site::{ContentHash, Dependency, Entry, Kind, Page, Site, SiteUrl, Slot, UrlPath};

/// Most times a graph is walked to load what it did not know: one for each file that others hide
/// behind. A chain longer than that is cut.
const GRAPH_ROUNDS_MAX: usize = 64;

/// Largest `push.toml`, in bytes.
const OVERRIDES_BYTES_MAX: u64 = 1024 * 1024;

/// `push.toml` as it was last read.
#[derive(Debug)]
pub(super) struct OverridesFile {
    text: Option<String>,
    freshness: Freshness,
    /// What is wrong with it.
    fault: Option<String>,
    /// Whether that is that it could not be read.
    is_unreadable: bool,
    /// What [`Loader::overrides_news`] last told: what is wrong, and what is used.
    told: (Option<String>, Arc<Overrides>),
}

/// What was found at each path that a page depends on.
type Seen = BTreeMap<UrlPath, Option<ContentHash>>;

impl Loader {
    /// Compares the page at a path with everything it was made from, and makes it anew if that
    /// differs.
    pub(super) fn refresh_page(&self, path: &UrlPath) {
        if self.confirm_page(path) {
            return;
        }
        let now_ms = self.now_ms();
        let document = self.check(path, IfMissing::Forget);
        if document
            .asset()
            .is_some_and(|asset| asset.kind == Kind::Page)
        {
            let page = self.page(path, &document);
            page.freshness.renew(now_ms);
            self.install_page(path, document, page);
        }
    }

    /// Compares the page at a path with everything it was made from; returns whether there is one
    /// and it still holds.
    pub(super) fn confirm_page(&self, path: &UrlPath) -> bool {
        self.refresh_overrides();
        let Some(page) = self.site.load().page(path.as_str()).cloned() else {
            return false;
        };
        let now_ms = self.now_ms();
        let mut holds = Arc::ptr_eq(&page.overrides, self.site.load().overrides());
        // Each is looked at, so that all that changed is known at once.
        for dependency in &page.dependencies {
            let slot = self.check(&dependency.path, IfMissing::Keep);
            holds &= slot.content_hash() == dependency.content_hash;
        }
        if holds {
            page.freshness.renew(now_ms);
        }
        holds
    }

    /// Makes the page of a document: walks its graph until every path in it is known.
    ///
    /// This happens on a snapshot of its own, so that it ends even if more is needed at once than
    /// may be held.
    fn page(&self, path: &UrlPath, document: &Arc<Slot>) -> Page {
        let mut site = Site::clone(&self.site.load());
        site.put(path, Arc::clone(document));
        let overrides = Arc::clone(site.overrides());
        let url = SiteUrl::from(path.directory().unwrap_or_else(|| path.clone()));

        let mut seen = Seen::new();
        let mut wanted = overrides.paths(path);
        wanted.push(path.clone());
        let mut graph = Graph::default();
        for _ in 0..GRAPH_ROUNDS_MAX {
            let known = seen.len();
            self.look_at(&wanted, &mut site, &mut seen);
            if seen.len() == known {
                break;
            }
            graph = (self.graph)(&site, &url);
            wanted = named_in(&graph);
        }
        let plan = plan::plan(&site, path, &graph, &overrides, self.options.push);
        let dependencies = seen
            .into_iter()
            .map(|(path, content_hash)| Dependency { path, content_hash });
        Page::new(plan, dependencies.collect(), &overrides)
    }

    /// Puts what is at some paths into a snapshot, and notes it: each path once.
    fn look_at(&self, paths: &[UrlPath], site: &mut Site, seen: &mut Seen) {
        for path in paths.iter().map(UrlPath::file) {
            if let Vacant(unseen) = seen.entry(path.clone()) {
                let slot = self.check_with_links(unseen.key());
                unseen.insert(slot.content_hash());
                let known = site.slot(path.as_str());
                match slot.asset() {
                    // What a document says is read once, for its own page, and takes many times its
                    // length: it goes with this snapshot.
                    Some(asset) if asset.kind == Kind::Page => {
                        let asset = Entry::File(Arc::new(asset.unread()));
                        site.put(&path, Arc::new(Slot::new(asset, self.now_ms())));
                    }
                    _ if known.is_some_and(|known| Arc::ptr_eq(known, &slot)) => {}
                    _ => site.put(&path, slot),
                }
            }
        }
    }

    fn install_page(&self, path: &UrlPath, document: Arc<Slot>, page: Page) {
        self.derive(|site, memory| {
            match site.slot(path.as_str()) {
                Some(slot) if slot.content_hash() == document.content_hash() => {}
                // The document has changed meanwhile: whoever asks for it starts anew.
                Some(_) => return,
                None => memory.admit(site, path, document),
            }
            site.put_page(path, Arc::new(page));
        });
    }

    /// Returns what became of `push.toml` since this was last asked.
    pub(super) fn overrides_news(&self) -> PushToml {
        lock(&self.overrides).freshness.expire();
        self.refresh_overrides();
        let mut file = lock(&self.overrides);
        let used = Arc::clone(self.site.load().overrides());
        let told = (file.fault.clone(), Arc::clone(&used));
        let (fault_told, used_told) = std::mem::replace(&mut file.told, told);
        match &file.fault {
            Some(fault) if file.fault != fault_told => PushToml::Bad(fault.clone()),
            None if fault_told.is_some() || !Arc::ptr_eq(&used, &used_told) => PushToml::Good,
            Some(_) | None => PushToml::Same,
        }
    }

    /// Replaces what `push.toml` says.
    pub(super) fn put_overrides(&self, overrides: Overrides) {
        self.derive(|site, _| site.put_overrides(Arc::new(overrides)));
    }

    /// Reads `push.toml` again. A bad one changes nothing, and is said once: by whoever asks for
    /// news, if anybody does.
    fn refresh_overrides(&self) {
        let mut file = lock(&self.overrides);
        let now_ms = self.now_ms();
        if file.freshness.is_fresh(now_ms) {
            return;
        }
        file.freshness.renew(now_ms);
        let text = match read_overrides(&self.disk) {
            Ok(text) => text,
            // The text stays, so that the same one counts as known when it comes back.
            Err(reason) => {
                self.warn_of_overrides(&reason);
                (file.fault, file.is_unreadable) = (Some(reason), true);
                return;
            }
        };
        let was_unreadable = std::mem::take(&mut file.is_unreadable);
        if text == file.text && !was_unreadable {
            return;
        }
        match parse(text.as_deref()) {
            Ok(_) if text == file.text => file.fault = None,
            Ok(overrides) => {
                file.fault = None;
                self.derive(|site, _| site.put_overrides(Arc::new(overrides)));
            }
            Err(reason) => {
                self.warn_of_overrides(&reason);
                file.fault = Some(reason);
            }
        }
        file.text = text;
    }

    fn warn_of_overrides(&self, reason: &str) {
        if !lock(&self.notes).are_wanted() {
            tracing::warn!("push.toml is not used, the last good one is: {reason}");
        }
    }
}

impl OverridesFile {
    /// Reads `push.toml` for the first time.
    pub(super) fn open(disk: &Disk, root: &Path) -> Result<(Arc<Overrides>, Self), SiteError> {
        let bad = |reason| SiteError::Overrides {
            path: root.join("push.toml"),
            reason,
        };
        let text = read_overrides(disk).map_err(bad)?;
        let overrides = parse(text.as_deref()).map_err(bad)?;
        let overrides = Arc::new(overrides);
        let file = Self {
            text,
            freshness: Freshness::at(0),
            fault: None,
            is_unreadable: false,
            told: (None, Arc::clone(&overrides)),
        };
        Ok((overrides, file))
    }
}

/// Returns every path of this site that a graph names.
fn named_in(graph: &Graph) -> Vec<UrlPath> {
    let known = graph
        .subresources
        .iter()
        .filter_map(|subresource| match &subresource.target {
            Target::Here(url) => Some(url.path()),
            Target::Elsewhere(_) => None,
        });
    known.chain(&graph.unknown).cloned().collect()
}

fn read_overrides(disk: &Disk) -> Result<Option<String>, String> {
    let asset = match disk.read(&UrlPath::overrides(), OVERRIDES_BYTES_MAX) {
        Ok(Found::File(asset)) => asset,
        Ok(Found::Directory | Found::Missing) => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let content = asset.content.ok_or_else(|| {
        format!("it is larger than {OVERRIDES_BYTES_MAX} bytes, or changes all the time")
    })?;
    let text = std::str::from_utf8(&content).map_err(|error| format!("it is not text: {error}"))?;
    Ok(Some(text.to_owned()))
}

fn parse(text: Option<&str>) -> Result<Overrides, String> {
    text.map_or_else(|| Ok(Overrides::default()), Overrides::parse)
}
