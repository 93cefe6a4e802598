//! What is known of the disk, and how it is kept true. Everything here blocks.
//!
//! One writer at a time derives the next snapshot and swaps it in; readers never wait. Knows
//! nothing of tasks; `load` calls it on blocking threads.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use lru::LruCache;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::author::AuthorFiles;
use super::disk::{Disk, Found, Identity};
use super::encode::{self, Encoder};
use super::flights::Flights;
use super::list::Listings;
use super::memory::{ENTRIES_MAX, Memory};
use super::refresh::Notes;
use super::{SiteError, SiteOptions};
use crate::site::freshness::Freshness;
use crate::site::graph::Graph;
use crate::site::{Asset, Entry, Kind, Site, SiteUrl, Slot, UrlPath};

/// Paths looked up at a time.
const LOOK_UPS_MAX: usize = 32;

/// Locks that paths share, so that a path is read once at a time.
const TURNS: usize = 64;

/// Directories with something unreadable that are remembered, to warn of each once.
const WARNED_MAX: NonZeroUsize = NonZeroUsize::new(256).expect("256 is not 0");

/// What a page needs: [`crate::site::graph::graph`], or a double of it.
pub(super) type GraphOf = fn(&Site, &SiteUrl) -> Graph;

/// A site's directory, what is known of it, and what is under way.
#[derive(Debug)]
pub(super) struct Loader {
    pub(super) disk: Disk,
    /// The newest snapshot.
    pub(super) site: ArcSwap<Site>,
    pub(super) flights: Flights,
    pub(super) encoder: Encoder,
    pub(super) listings: Listings,
    pub(super) permits: Arc<Semaphore>,
    pub(super) author: Mutex<AuthorFiles>,
    /// When those were last read.
    pub(super) author_read: Freshness,
    pub(super) options: SiteOptions,
    pub(super) graph: GraphOf,
    pub(super) content_bytes_max: u64,
    /// What a refresh has to know of what others found first.
    pub(super) notes: Mutex<Notes>,
    memory: Mutex<Memory>,
    turns: [Mutex<()>; TURNS],
    turn_of: RandomState,
    warned: Mutex<LruCache<UrlPath, ()>>,
    opened: Instant,
}

/// What becomes of the knowledge that a path is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IfMissing {
    /// A page depends on it.
    Keep,
    /// Anyone can ask for any name: keep none that was never there.
    Forget,
}

impl Loader {
    pub(super) fn open(options: SiteOptions, graph: GraphOf) -> Result<Self, SiteError> {
        let disk = Disk::open(&options)?;
        let mut site = Site::default();
        let author = AuthorFiles::open(&disk, &options.root, &mut site)?;
        Ok(Self {
            disk,
            site: ArcSwap::from_pointee(site),
            flights: Flights::default(),
            encoder: Encoder::default(),
            listings: Listings::default(),
            permits: Arc::new(Semaphore::new(LOOK_UPS_MAX)),
            author: Mutex::new(author),
            author_read: Freshness::at(0),
            graph,
            // A file that fills all memory by itself would push out everything else.
            content_bytes_max: options.memory_file_bytes_max.min(options.memory_bytes_max),
            notes: Mutex::default(),
            memory: Mutex::new(Memory::new(options.memory_bytes_max, ENTRIES_MAX)),
            turns: [const { Mutex::new(()) }; TURNS],
            turn_of: RandomState::new(),
            warned: Mutex::new(LruCache::new(WARNED_MAX)),
            opened: Instant::now(),
            options,
        })
    }

    /// Returns milliseconds since the site was opened; always 0 where it is frozen.
    pub(super) fn now_ms(&self) -> u64 {
        if self.options.frozen {
            return 0;
        }
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX - 1)
    }

    /// Compares a path with the disk, and returns a snapshot that has an entry for it.
    ///
    /// What a page depends on is compared with it; one that is new or differs is left to a flight.
    pub(super) fn look_up(&self, path: &UrlPath) -> Arc<Site> {
        self.refresh_author();
        let slot = self.check(path, IfMissing::Forget);
        match &slot.entry {
            Entry::File(asset) if asset.kind == Kind::Page => {
                self.confirm_page(path);
            }
            Entry::File(_) => {}
            Entry::Directory => self.look_up_index(path),
            Entry::Missing => {
                lock(&self.notes).miss(path);
                if !self.look_up_html(path, &slot) {
                    self.check(&UrlPath::not_found(), IfMissing::Keep);
                }
            }
        }
        let site = self.site.load_full();
        if site.slot(path.as_str()).is_some() {
            return site;
        }
        // What is missing is not kept for others, and what was found may already have had to go.
        let mut own = Site::clone(&site);
        own.put(path, slot);
        Arc::new(own)
    }

    /// Looks up what answers for a directory that is asked for without its slash: its own page, or
    /// else the one of its name. That either is missing is kept: there are only so many
    /// directories.
    fn look_up_index(&self, directory: &UrlPath) {
        if self
            .check(&directory.index(), IfMissing::Keep)
            .asset()
            .is_some()
        {
            return;
        }
        if let Some(html) = directory.with_html()
            && self.check(&html, IfMissing::Keep).asset().is_some()
        {
            self.confirm_page(&html);
        }
    }

    /// Looks up the page whose name a path leaves the ending out of; returns whether there is one.
    /// Then it is worth knowing that nothing is at the path itself.
    fn look_up_html(&self, path: &UrlPath, missing: &Arc<Slot>) -> bool {
        let Some(html) = path.with_html() else {
            return false;
        };
        let is_kept = self.site.load().slot(path.as_str()).is_some();
        // Where one is kept, so is the other: else nothing would be known without a look.
        let if_missing = if is_kept {
            IfMissing::Keep
        } else {
            IfMissing::Forget
        };
        if self.check(&html, if_missing).asset().is_none() {
            return false;
        }
        self.confirm_page(&html);
        if !is_kept {
            self.install(path, Arc::clone(missing));
        }
        true
    }

    /// Returns what a path is, compared with the disk less than an interval ago.
    pub(super) fn check(&self, path: &UrlPath, if_missing: IfMissing) -> Arc<Slot> {
        if let Some(slot) = self.fresh(path) {
            return slot;
        }
        let _turn = self.turn(path);
        // Whoever had the turn before us may have done the work.
        if let Some(slot) = self.fresh(path) {
            return slot;
        }
        let known = self.site.load().slot(path.as_str()).cloned();
        let now_ms = self.now_ms();
        if let Some(slot) = &known
            && let Ok(found) = self.disk.stat(path)
            && self.is_still(slot, &found)
        {
            slot.freshness.renew(now_ms);
            return Arc::clone(slot);
        }
        self.load(path, known, if_missing)
    }

    /// Returns what a path is, as [`Self::check`] does, and with its content if that was evicted
    /// and may link to others.
    pub(super) fn check_with_links(&self, path: &UrlPath) -> Arc<Slot> {
        let slot = self.check(path, IfMissing::Keep);
        let has_links = slot.asset().is_some_and(|asset| asset.kind.has_links());
        if !has_links || !self.is_evicted(&slot) {
            return slot;
        }
        let _turn = self.turn(path);
        self.load(path, Some(slot), IfMissing::Keep)
    }

    /// Compares a path with the disk at once, however fresh it is.
    pub(super) fn check_now(&self, path: &UrlPath) {
        let _turn = self.turn(path);
        let known = self.site.load().slot(path.as_str()).cloned();
        let now_ms = self.now_ms();
        if let Some(slot) = &known
            && let Ok(found) = self.disk.stat(path)
            && self.is_as_read(slot, &found)
        {
            slot.freshness.renew(now_ms);
            return;
        }
        self.load(path, known, IfMissing::Forget);
    }

    /// Replaces what is known of a path, and lets go of what no longer fits.
    pub(super) fn install(&self, path: &UrlPath, slot: Arc<Slot>) {
        self.derive(|site, memory| {
            let known = site.slot(path.as_str()).map(AsRef::as_ref);
            lock(&self.notes).replace(path, known, &slot);
            memory.admit(site, path, slot);
        });
    }

    /// Replaces what is at a path, whatever the disk says.
    pub(super) fn put(&self, path: &UrlPath, entry: Entry) {
        let _turn = self.turn(path);
        self.install(path, Arc::new(Slot::new(entry, self.now_ms())));
    }

    /// Returns the newest snapshot, and what was noted of some paths until it was made.
    pub(super) fn take_notes<T>(&self, take: impl FnOnce(&mut Notes) -> T) -> (Arc<Site>, T) {
        // No snapshot is swapped in under this lock: what is noted later is in a later one.
        let _memory = lock(&self.memory);
        let taken = take(&mut lock(&self.notes));
        (self.site.load_full(), taken)
    }

    /// Derives the next snapshot and swaps it in.
    pub(super) fn derive(&self, change: impl FnOnce(&mut Site, &mut Memory)) {
        let mut memory = lock(&self.memory);
        let mut next = Site::clone(&self.site.load());
        change(&mut next, &mut memory);
        self.site.store(Arc::new(next));
    }

    /// Makes the next look at a file look at the disk.
    pub(super) fn expire(&self, asset: &Asset) {
        let site = self.site.load();
        if let Some(slot) = site.slot(asset.path.as_str())
            && slot
                .asset()
                .is_some_and(|known| known.identity == asset.identity)
        {
            slot.freshness.expire();
        }
        // It may be that of a sidecar.
        let original = encode::original(&asset.path);
        if let Some(slot) = original.and_then(|path| site.slot(path.as_str())) {
            slot.freshness.expire();
        }
    }

    /// Warns of something that cannot be read: once a directory, since names cost nothing.
    pub(super) fn warn(&self, path: &UrlPath, error: &io::Error) {
        let directory = path.parent().unwrap_or_else(|| path.clone());
        if lock(&self.warned).put(directory, ()).is_none() {
            tracing::warn!("cannot read `{path}` ({error}): it is answered as missing");
        }
    }

    /// Reads a path anew. Has the path's turn.
    fn load(&self, path: &UrlPath, known: Option<Arc<Slot>>, if_missing: IfMissing) -> Arc<Slot> {
        let now_ms = self.now_ms();
        let entry = match self.disk.read(path, self.content_bytes_max) {
            Ok(Found::File(asset)) => {
                self.find_sidecars(&asset);
                let known = known.as_ref().and_then(|slot| slot.asset());
                if let Some(known) = known.filter(|it| it.content_hash == asset.content_hash) {
                    asset.encodings.adopt(&known.encodings);
                }
                Entry::File(Arc::new(asset))
            }
            Ok(Found::Directory) => Entry::Directory,
            Ok(Found::Missing) => match known {
                // A root that is away is about to be built anew: what was known answers meanwhile.
                Some(slot) if slot.asset().is_some() && !self.disk.is_there() => return slot,
                _ => Entry::Missing,
            },
            Err(error) => {
                self.warn(path, &error);
                let is_kept = lock(&self.notes).fail(path, &error);
                match known {
                    // A disk that fails, or too many open files, say nothing about this one.
                    Some(slot) if error.kind() != io::ErrorKind::PermissionDenied => return slot,
                    Some(slot) if is_kept && !matches!(slot.entry, Entry::Missing) => return slot,
                    _ => Entry::Missing,
                }
            }
        };
        let is_kept =
            known.is_some() || if_missing == IfMissing::Keep || !matches!(entry, Entry::Missing);
        let slot = Arc::new(Slot::new(entry, now_ms));
        if is_kept {
            self.install(path, Arc::clone(&slot));
        }
        slot
    }

    fn fresh(&self, path: &UrlPath) -> Option<Arc<Slot>> {
        let site = self.site.load();
        let slot = site.slot(path.as_str())?;
        slot.freshness
            .is_fresh(self.now_ms())
            .then(|| Arc::clone(slot))
    }

    /// Returns whether what is known of a path is still all that can be known.
    fn is_still(&self, slot: &Slot, found: &Found<Identity>) -> bool {
        self.is_as_read(slot, found) && !self.is_evicted(slot)
    }

    /// Returns whether a file is streamed that could be held.
    fn is_evicted(&self, slot: &Slot) -> bool {
        slot.asset().is_some_and(|asset| self.lacks_content(asset))
    }

    /// Returns whether what is at a path, and beside it, looks as it did when it was read.
    fn is_as_read(&self, slot: &Slot, found: &Found<Identity>) -> bool {
        match (&slot.entry, found) {
            (Entry::File(asset), Found::File(identity)) => {
                asset.identity == Some(*identity) && !asset.recent && self.has_its_sidecars(asset)
            }
            (Entry::Directory, Found::Directory) | (Entry::Missing, Found::Missing) => true,
            _ => false,
        }
    }

    fn turn(&self, path: &UrlPath) -> MutexGuard<'_, ()> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "any bits of a hash will do"
        )]
        let index = self.turn_of.hash_one(path) as usize % TURNS;
        lock(&self.turns[index])
    }
}

/// Nothing is left half done under these locks: a panic elsewhere is no reason to stop.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
