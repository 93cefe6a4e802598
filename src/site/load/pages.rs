//! What a page needs: its graph and its plan, from the files they are made of.
//!
//! Walks the disk for [`crate::site::graph`], which only knows a snapshot, until nothing is
//! unknown. Everything here blocks; what may take long is called by `flights`, for a page once at a
//! time.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry::Vacant;
use std::sync::Arc;

use super::loader::{IfMissing, Loader};
use crate::site::graph::{Graph, Target};
use crate::site::plan::{self, ByHand};
use crate::site::{ContentHash, Dependency, Entry, Kind, Page, Site, SiteUrl, Slot, UrlPath};

/// Most times a graph is walked to load what it did not know: one for each file that others hide
/// behind. A chain longer than that is cut.
const GRAPH_ROUNDS_MAX: usize = 64;

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
        self.refresh_author();
        let Some(page) = self.site.load().page(path.as_str()).cloned() else {
            return false;
        };
        let now_ms = self.now_ms();
        let mut holds = page.is_made_as_told(&self.site.load());
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
        let names: Vec<_> = path.shorter().into_iter().chain([path.clone()]).collect();
        let links = site.headers().links(&names);
        let by_hand = ByHand::of(&overrides, links.as_deref(), path);
        let mut wanted = by_hand.paths();
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
        let plan = plan::plan(&site, &graph, &by_hand, self.options.push);
        let dependencies = seen
            .into_iter()
            .map(|(path, content_hash)| Dependency { path, content_hash });
        Page::new(plan, dependencies.collect(), &site)
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
