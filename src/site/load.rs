//! Disk to snapshot, within limits: what is asked for is looked at, read and hashed on first use,
//! and at most once a second after that.
//!
//! ```text
//! ready    the newest snapshot, if what was asked for was just checked      (no lock, no await)
//! prepare  -> Loader::look_up    stat; read and hash if it differs; swap    (blocking thread)
//!          -> Flights -> Loader::refresh_page    graph, plan; swap          (one of few workers)
//! ```
//!
//! This is the only door of `site`: nothing else in it names files. Read on in [`disk`] (what is
//! opened at all), [`author`] (what its author says), [`loader`] (what is known and fresh),
//! [`pages`] (what a page needs), [`refresh`] (what changed, when somebody says that something
//! did), [`encode`] (sidecars, and what is compressed), [`memory`] (what stays), [`walk`] (every
//! page there is), [`list`] (what a directory holds).

mod author;
mod disk;
mod encode;
mod flights;
mod list;
mod loader;
mod memory;
mod pages;
mod refresh;
#[cfg(test)]
mod tests;
mod walk;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use tokio::task::spawn_blocking;
use tokio::time::timeout_at;

use disk::Found;
pub use disk::{Identity, OpenFile, Since};
use flights::Boarding;
pub use list::NAMES_MAX;
use loader::Loader;
pub use refresh::{Change, Changes, Instructions, What};

use super::listing::{Form, Text};
use super::plan::Overrides;
use super::url_path::{self, NOT_FOUND};
use super::{Asset, Entry, Kind, Listing, Site, UrlPath, graph};

/// Largest file held in memory, unless set otherwise.
pub const MEMORY_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// All files held in memory, unless set otherwise.
pub const MEMORY_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// How long an answer waits for the graph of its page. One that takes longer is finished for those
/// who ask later.
const GRAPH_WAIT: Duration = Duration::from_millis(250);

/// The kind of error of [`SiteRoot::reader`] when the file is no longer the one described.
pub const CHANGED: io::ErrorKind = io::ErrorKind::StaleNetworkFileHandle;

/// How a site is read.
#[derive(Debug, Clone)]
pub struct SiteOptions {
    /// The directory that is served.
    pub root: PathBuf,
    /// Whether symbolic links may lead out of the root.
    pub follow_symlinks: bool,
    /// Largest file held in memory, in bytes.
    pub memory_file_bytes_max: u64,
    /// All files held in memory, in bytes.
    pub memory_bytes_max: u64,
    /// Which subresources are worth sending ahead.
    pub push: super::plan::Push,
    /// Whether what was read once is believed for ever: for measuring, where nothing may depend on
    /// the time that passes.
    pub frozen: bool,
}

/// Why a directory cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// No such directory.
    #[error(
        "there is no directory `{}`: create it, or name another, as in `forerun serve public`",
        .path.display()
    )]
    Missing {
        /// As it was named.
        path: PathBuf,
    },
    /// Something else has that name.
    #[error("`{}` is not a directory: name the directory that it lies in", .path.display())]
    NotADirectory {
        /// As it was named.
        path: PathBuf,
    },
    /// It cannot be opened.
    #[error(
        "cannot read the directory `{}` ({cause}): let the user who runs forerun read it",
        .path.display()
    )]
    Unreadable {
        /// As it was named.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Its `push.toml`, `_headers` or `_redirects` cannot be used.
    #[error("cannot use `{}`: {reason}", .path.display())]
    Author {
        /// Where it lies.
        path: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
}

/// A directory on disk and the newest snapshot of it.
#[derive(Debug)]
pub struct SiteRoot {
    loader: Arc<Loader>,
}

impl SiteOptions {
    /// Returns the default way to read a directory.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            follow_symlinks: false,
            memory_file_bytes_max: MEMORY_FILE_BYTES_MAX,
            memory_bytes_max: MEMORY_BYTES_MAX,
            push: super::plan::Push::default(),
            frozen: false,
        }
    }
}

impl SiteRoot {
    /// Opens a directory. Nothing in it is read but `push.toml`, `_headers` and `_redirects`:
    /// files are when they are asked for.
    ///
    /// # Errors
    /// The root is missing, no directory or unreadable, or one of those files is bad.
    pub fn open(options: SiteOptions) -> Result<Self, SiteError> {
        let loader = Loader::open(options, graph::graph)?;
        Ok(Self {
            loader: Arc::new(loader),
        })
    }

    /// Returns the newest snapshot.
    pub fn snapshot(&self) -> Arc<Site> {
        self.loader.site.load_full()
    }

    /// Returns the newest snapshot, if what the author says in it was compared with the disk less
    /// than a second ago.
    pub fn instructed(&self) -> Option<Arc<Site>> {
        let is_fresh = self.loader.author_read.is_fresh(self.loader.now_ms());
        is_fresh.then(|| self.snapshot())
    }

    /// Returns the newest snapshot if it has all that answering for a path takes, and all of that
    /// was compared with the disk less than a second ago; else call [`Self::prepare`].
    ///
    /// The path is decoded. It need not be valid: no other is known.
    ///
    /// On a site that is [frozen](SiteOptions::frozen) it looks at the disk where that is needed:
    /// what is answered must not depend on what was asked before.
    pub fn ready(&self, path: &str) -> Option<Arc<Site>> {
        self.known(path).or_else(|| {
            let path = UrlPath::decoded(path).ok();
            let path = path.filter(|_| self.loader.options.frozen)?;
            Some(self.prepare_blocking(&path))
        })
    }

    fn known(&self, path: &str) -> Option<Arc<Site>> {
        let site = self.loader.site.load();
        let now_ms = self.loader.now_ms();
        // What the author says counts for every file.
        if !self.loader.author_read.is_fresh(now_ms) {
            return None;
        }
        let slot = site
            .slot(path)
            .filter(|slot| slot.freshness.is_fresh(now_ms))?;
        slot.touch();
        let is_ready = match &slot.entry {
            Entry::File(asset) if asset.kind == Kind::Page => has_page(&site, path, now_ms),
            Entry::File(_) => true,
            Entry::Directory => knows_directory(&site, path, now_ms),
            Entry::Missing => knows_missing(&site, path, now_ms),
        };
        is_ready.then(|| Guard::into_inner(site))
    }

    /// Compares a path with the disk, and returns a snapshot that has an [`Entry`] for it.
    ///
    /// For an HTML document the snapshot has its [`super::Page`] too, unless that takes longer than
    /// a person would like to wait: then it follows later. For a path that is missing, it has what
    /// is known of `/404.html`. Dropping the future loses no work.
    pub async fn prepare(&self, path: &UrlPath) -> Arc<Site> {
        if self.loader.options.frozen {
            // Threads would be done in any order, and nobody else waits for this one.
            return self.prepare_blocking(path);
        }
        let site = self.look_up(path).await;
        match site.found(path) {
            Some(asset) if asset.kind == Kind::Page => {
                let page = asset.path.clone();
                self.with_page(&page, site).await
            }
            _ => site,
        }
    }

    /// Prepares one more path, and returns a snapshot that has what another has at some paths, too.
    pub async fn prepare_also(&self, path: &UrlPath, base: &Site, kept: &[UrlPath]) -> Arc<Site> {
        let newest = match self.known(path.as_str()) {
            Some(newest) => newest,
            None => self.prepare(path).await,
        };
        let mut own = None;
        for path in kept.iter().map(UrlPath::file) {
            if newest.slot(path.as_str()).is_none()
                && let Some(slot) = base.slot(path.as_str())
            {
                let own = own.get_or_insert_with(|| Site::clone(&newest));
                own.put(&path, Arc::clone(slot));
            }
        }
        own.map_or(newest, Arc::new)
    }

    /// Returns a snapshot with what the directory at a path holds, and that in a form, which
    /// `write` makes of it.
    pub async fn list(
        &self,
        path: &UrlPath,
        site: &Site,
        form: Form,
        write: fn(&Listing, Form) -> Text,
    ) -> Arc<Site> {
        if let Some(known) = self.loader.known_listing(path, form) {
            return Arc::new(site.with_listing(path, Some(known)));
        }
        let loader = Arc::clone(&self.loader);
        let directory = path.clone();
        let permit = Arc::clone(&loader.listings.permits).acquire_owned().await;
        let listed = spawn_blocking(move || {
            let _permit = permit;
            loader.list(&directory, form, write)
        });
        let listed = listed.await.unwrap_or_default();
        Arc::new(site.with_listing(path, listed))
    }

    /// Compares a path with the disk, and returns a snapshot that has an [`Entry`] for it and, for
    /// an HTML document, its [`super::Page`], however long that takes. Blocks.
    pub fn prepare_blocking(&self, path: &UrlPath) -> Arc<Site> {
        let site = self.loader.look_up(&path.file());
        match site.found(path) {
            Some(asset) if asset.kind == Kind::Page => {
                self.loader.refresh_page(&asset.path.file());
                self.snapshot()
            }
            _ => site,
        }
    }

    /// Returns the path of every HTML document of the site, sorted. Walks the whole directory.
    ///
    /// # Errors
    /// A directory cannot be read, or there are more pages than anybody would list.
    pub fn pages(&self) -> io::Result<Vec<UrlPath>> {
        self.loader.disk.pages()
    }

    /// Puts a file in the place of what is at its path, and returns what was there: for measuring,
    /// on a site that is [frozen](SiteOptions::frozen). Pages that need it are made anew when they
    /// are next prepared.
    pub fn put(&self, asset: Arc<Asset>) -> Option<Arc<Asset>> {
        let path = asset.path.clone();
        let before = self.snapshot().asset(path.as_str()).cloned();
        self.loader.put(&path, Entry::File(asset));
        before
    }

    /// Replaces what `push.toml` says, on a site that is [frozen](SiteOptions::frozen). Pages are
    /// made anew when they are next prepared.
    pub fn put_overrides(&self, overrides: Overrides) {
        self.loader.put_overrides(overrides);
    }

    /// Opens a file that is streamed, if it still is what the asset describes. Blocks.
    ///
    /// # Errors
    /// Of kind [`CHANGED`] if it is not: prepare the path again, which will then look at the disk.
    pub fn reader(&self, asset: &Asset) -> io::Result<OpenFile> {
        self.reader_if(asset, |described, found| described == found)
    }

    /// Opens a file that is streamed and changes faster than it is described and opened, as a log
    /// does: it may have grown since. Whoever asks has just been told that it had [`CHANGED`], so
    /// that it was described anew: one that is replaced once in a while is not taken for another.
    /// Blocks.
    ///
    /// # Errors
    /// As for [`Self::reader`]; also if the file is not being written.
    pub fn reader_of_log(&self, asset: &Asset) -> io::Result<OpenFile> {
        self.reader_if(asset, |described, found| {
            described == found || asset.weak && found.may_be_grown_from(&described)
        })
    }

    fn reader_if(
        &self,
        asset: &Asset,
        is_it: impl FnOnce(Identity, Identity) -> bool,
    ) -> io::Result<OpenFile> {
        if let Found::File((file, identity)) = self.loader.disk.open_file(&asset.path)?
            && asset
                .identity
                .is_some_and(|described| is_it(described, identity))
        {
            return Ok(OpenFile::new(file, identity));
        }
        self.loader.expire(asset);
        Err(CHANGED.into())
    }

    async fn look_up(&self, path: &UrlPath) -> Arc<Site> {
        let loader = Arc::clone(&self.loader);
        let file = path.file();
        // The permit goes with the work, which goes on even if nobody waits for it any more.
        let permit = Arc::clone(&loader.permits).acquire_owned().await;
        let task = spawn_blocking(move || {
            let _permit = permit;
            loader.look_up(&file)
        });
        match task.await {
            Ok(site) => site,
            // Only when the runtime ends, or after a panic that has been reported.
            Err(_) => Arc::new(self.snapshot().with_missing(path)),
        }
    }

    /// Returns the newest snapshot with the page at a path; or, if that takes too long, `site`
    /// without any.
    async fn with_page(&self, path: &UrlPath, site: Arc<Site>) -> Arc<Site> {
        let newest = self.snapshot();
        if has_page(&newest, path.as_str(), self.loader.now_ms()) {
            return newest;
        }
        if let Some(boarding) = self.loader.flights.board(&path.file()) {
            let Boarding {
                mut landed,
                departure,
                worker,
            } = boarding;
            if let Some(worker) = worker {
                let loader = Arc::clone(&self.loader);
                // Joined by the runtime, which ends its blocking threads before it ends.
                drop(spawn_blocking(move || {
                    worker.run(|path| loader.refresh_page(path));
                }));
            }
            // An error says that it has landed: the other end is dropped then.
            let _ = timeout_at(departure + GRAPH_WAIT, landed.changed()).await;
        }
        let newest = self.snapshot();
        match newest.page(path.as_str()) {
            Some(page) if page.agrees_with(&newest) => newest,
            _ => site.without_page(path),
        }
    }
}

/// Returns whether all is known that the answer for a path with nothing at it takes: the page whose
/// name it leaves the ending out of, or that for what is missing.
fn knows_missing(site: &Site, path: &str, now_ms: u64) -> bool {
    let html = format!("{path}{}", url_path::HTML);
    let is_not_found_known = || is_file(site, NOT_FOUND, now_ms).is_some();
    match is_file(site, &html, now_ms) {
        Some(true) => has_page(site, &html, now_ms),
        Some(false) => is_not_found_known(),
        // No directory has another name.
        None => path.ends_with('/') && is_not_found_known(),
    }
}

/// Returns whether all is known that the answer for a directory without its slash takes: whether it
/// has a page, or else the page of its name.
fn knows_directory(site: &Site, path: &str, now_ms: u64) -> bool {
    match is_file(site, &format!("{path}/{}", url_path::INDEX), now_ms) {
        Some(true) => return true,
        Some(false) => {}
        None => return false,
    }
    let html = format!("{path}{}", url_path::HTML);
    match is_file(site, &html, now_ms) {
        Some(true) => has_page(site, &html, now_ms),
        is_known => is_known.is_some(),
    }
}

/// Returns whether there is a file at a path; `None` if nobody has looked within a second.
fn is_file(site: &Site, path: &str, now_ms: u64) -> Option<bool> {
    let slot = site.slot(path)?;
    let is_fresh = slot.freshness.is_fresh(now_ms);
    is_fresh.then(|| slot.asset().is_some())
}

fn has_page(site: &Site, path: &str, now_ms: u64) -> bool {
    site.page(path)
        .is_some_and(|page| page.freshness.is_fresh(now_ms) && page.agrees_with(site))
}
