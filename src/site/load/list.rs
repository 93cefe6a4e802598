//! What a directory holds: read and written out once in a while, however many ask, within limits.
//!
//! A listing takes a look at every file in it, so a few are made at a time, and each is kept with
//! the texts that were made of it. One that turns out to be the same stays, and so do its texts:
//! whoever still takes one shares it with whoever asks next.

use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use lru::LruCache;
use tokio::sync::Semaphore;

use super::disk::{Disk, Found};
use super::loader::{Loader, lock};
use crate::site::UrlPath;
use crate::site::freshness::Freshness;
use crate::site::listing::{ENTRIES_MAX, Form, Listed, Listing, Text};

/// Names that are looked at: hidden ones cost time too.
pub const NAMES_MAX: usize = 20_000;

/// Directories that are read, or written out, at a time: others than files, which must not wait.
const LISTED_AT_ONCE: usize = 4;

/// Listings that are kept.
const LISTINGS_MAX: NonZeroUsize = NonZeroUsize::new(64).expect("64 is not 0");

/// Bytes that those take together, with their texts.
const LISTINGS_BYTES_MAX: usize = 32 * 1024 * 1024;

/// Writes a listing in a form.
pub(super) type Write = fn(&Listing, Form) -> Text;

/// The listings of a site.
#[derive(Debug)]
pub(super) struct Listings {
    kept: Mutex<LruCache<UrlPath, Arc<Kept>>>,
    /// Whoever reads a directory, or writes what it holds, has a permit.
    pub(super) permits: Arc<Semaphore>,
}

/// What one directory holds.
#[derive(Debug, Default)]
struct Kept {
    /// Held while the directory is read, which is done once at a time.
    listing: Mutex<Option<Arc<Listing>>>,
    freshness: Freshness,
}

impl Default for Listings {
    fn default() -> Self {
        Self {
            kept: Mutex::new(LruCache::new(LISTINGS_MAX)),
            permits: Arc::new(Semaphore::new(LISTED_AT_ONCE)),
        }
    }
}

impl Listings {
    fn of(&self, directory: &UrlPath) -> Arc<Kept> {
        let mut kept = lock(&self.kept);
        Arc::clone(kept.get_or_insert(directory.clone(), Arc::default))
    }

    /// Forgets what is no directory: anyone can ask for any name.
    fn forget(&self, directory: &UrlPath) {
        lock(&self.kept).pop(directory);
    }

    /// Lets go of the listings that nobody has asked for in the longest time, until the rest fits.
    fn trim(&self, bytes_max: usize) {
        let mut kept = lock(&self.kept);
        let bytes_of = |kept: &Arc<Kept>| {
            // One that is just being read is new, and counted by who reads it.
            let listing = kept.listing.try_lock();
            let listing = listing.ok().and_then(|listing| listing.clone());
            listing.map_or(0, |listing| listing.bytes())
        };
        let mut bytes: usize = kept.iter().map(|(_, one)| bytes_of(one)).sum();
        while bytes > bytes_max
            && let Some((_, gone)) = kept.pop_lru()
        {
            bytes -= bytes_of(&gone);
        }
    }
}

impl Loader {
    /// Returns what a directory holds, with its text in a form, if both are known and fresh.
    pub(super) fn known_listing(&self, directory: &UrlPath, form: Form) -> Option<Arc<Listing>> {
        let kept = lock(&self.listings.kept).get(directory).cloned()?;
        if !kept.freshness.is_fresh(self.now_ms()) {
            return None;
        }
        // Whoever holds this reads the disk: that is not to be waited for here.
        let listing = kept.listing.try_lock().ok()?.clone()?;
        listing.text(form).is_some().then_some(listing)
    }

    /// Returns what a directory holds, with its text in a form; `None` if there is none. Blocks.
    pub(super) fn list(
        &self,
        directory: &UrlPath,
        form: Form,
        write: Write,
    ) -> Option<Arc<Listing>> {
        let listing = self.read_listing(directory)?;
        listing.text_or(form, || write(&listing, form));
        self.listings.trim(LISTINGS_BYTES_MAX);
        Some(listing)
    }

    fn read_listing(&self, directory: &UrlPath) -> Option<Arc<Listing>> {
        let kept = self.listings.of(directory);
        let mut known = lock(&kept.listing);
        let now_ms = self.now_ms();
        if let Some(listing) = known.as_ref().filter(|_| kept.freshness.is_fresh(now_ms)) {
            return Some(Arc::clone(listing));
        }
        let read = self.disk.list(directory).unwrap_or_else(|error| {
            self.warn(directory, &error);
            None
        });
        let Some(read) = read else {
            *known = None;
            drop(known);
            self.listings.forget(directory);
            return None;
        };
        let same = known.take().filter(|known| known.is_as(&read));
        let listing = same.unwrap_or_else(|| Arc::new(read));
        *known = Some(Arc::clone(&listing));
        kept.freshness.renew(now_ms);
        Some(listing)
    }
}

impl Disk {
    /// Returns what the directory at a path holds; `None` if there is none.
    pub(super) fn list(&self, directory: &UrlPath) -> io::Result<Option<Listing>> {
        let Some(names) = self.names(directory)? else {
            return Ok(None);
        };
        let mut is_cut = names.len() >= NAMES_MAX;
        let mut entries = Vec::new();
        for name in names {
            let Ok(path) = UrlPath::decoded(&format!("{directory}{name}")) else {
                continue;
            };
            let found = self.stat(&path);
            // Neither a link that leads out of the site, a FIFO, nor what has gone meanwhile.
            if matches!(found, Ok(Found::Missing) | Err(_)) {
                continue;
            }
            if entries.len() == ENTRIES_MAX {
                is_cut = true;
                break;
            }
            entries.push(match found {
                Ok(Found::File(identity)) => Listed {
                    length: Some(identity.length),
                    modified: identity.modified(),
                    path,
                },
                _ => Listed {
                    length: None,
                    modified: self.modified(&path).unwrap_or(SystemTime::UNIX_EPOCH),
                    path: path.with_slash(),
                },
            });
        }
        Ok(Some(Listing::new(directory.clone(), entries, is_cut)))
    }

    /// Returns the names in a directory, sorted.
    fn names(&self, directory: &UrlPath) -> io::Result<Option<Vec<String>>> {
        let Some(names) = self.read_directory(directory, NAMES_MAX)? else {
            return Ok(None);
        };
        // What has no name in UTF-8 has no URL either.
        let names = names.into_iter().filter_map(|name| name.into_string().ok());
        let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        Ok(Some(names))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::HeaderValue;

    use super::*;
    use crate::site::listing::{Key, Syntax};
    use crate::site::load::tests::{Directory, open, path};

    const FORM: Form = Form {
        syntax: Syntax::Html,
        key: Key::Name,
        is_descending: false,
    };

    /// Writes as many bytes as the first entry has.
    fn write(listing: &Listing, _: Form) -> Text {
        let length = listing.entries[0].length.unwrap();
        Text {
            bytes: vec![b'x'; usize::try_from(length).unwrap()].into(),
            tag: HeaderValue::from_static("tag"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_is_the_same_stays_with_its_texts() {
        let directory = Directory::new(&[("d/a", "abc"), ("e/a", "")]);
        let root = open(directory.options());
        let loader = &root.loader;
        let first = loader.list(&path("/d/"), FORM, write).unwrap();
        assert_eq!(first.text(FORM).unwrap().bytes, Bytes::from_static(b"xxx"));
        assert!(loader.known_listing(&path("/d/"), FORM).is_some());
        let other = Form {
            is_descending: true,
            ..FORM
        };
        assert!(loader.known_listing(&path("/d/"), other).is_none());
        crate::site::load::tests::interval().await;
        assert!(loader.known_listing(&path("/d/"), FORM).is_none());
        let again = loader.list(&path("/d/"), FORM, write).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        directory.write("d/b", "");
        let kept = loader.list(&path("/d/"), FORM, write).unwrap();
        assert!(Arc::ptr_eq(&first, &kept), "for as long as it is fresh");
        crate::site::load::tests::interval().await;
        let new = loader.list(&path("/d/"), FORM, write).unwrap();
        assert_eq!((first.entries.len(), new.entries.len()), (1, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_kept_is_bounded() {
        let directory = Directory::new(&[("a", "a")]);
        for index in 0..LISTINGS_MAX.get() + 10 {
            directory.write(&format!("{index}/a"), "0123456789");
        }
        let root = open(directory.options());
        let kept = || lock(&root.loader.listings.kept).len();
        for index in 0..LISTINGS_MAX.get() + 10 {
            let listed = root.loader.list(&path(&format!("/{index}/")), FORM, write);
            assert!(listed.is_some());
        }
        assert_eq!(kept(), LISTINGS_MAX.get());
        assert!(root.loader.list(&path("/nothing/"), FORM, write).is_none());
        assert!(kept() < LISTINGS_MAX.get() + 1);
        let one = root.loader.list(&path("/1/"), FORM, write).unwrap().bytes();
        root.loader.listings.trim(3 * one + one / 2);
        assert_eq!(kept(), 3);
        assert!(root.loader.known_listing(&path("/1/"), FORM).is_some());
    }
}
