//! What of a site stays in memory, within bounds.
//!
//! Second chance (CLOCK): the one not looked at for longest goes, but what was looked at since it
//! was last considered goes to the back of the queue instead. Readers only set a flag.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use lru::LruCache;

use crate::site::freshness::Freshness;
use crate::site::{Entry, Site, Slot, UrlPath};

/// Most paths that are known at a time. The oldest that nobody asks for are forgotten.
pub(super) const ENTRIES_MAX: usize = 150_000;

/// Most second chances given while one file is admitted, so that it costs the same however many
/// are in use.
const SECOND_CHANCES_MAX: usize = 64;

/// The writer's account of what the newest snapshot holds.
#[derive(Debug)]
pub(super) struct Memory {
    /// Files that are held, and how many bytes they and their encoded forms have, next to go first.
    contents: LruCache<UrlPath, u64>,
    /// Every path that is known, next to go first.
    entries: LruCache<UrlPath, ()>,
    bytes: u64,
    bytes_max: u64,
    entries_max: usize,
}

impl Memory {
    pub(super) fn new(bytes_max: u64, entries_max: usize) -> Self {
        Self {
            contents: LruCache::unbounded(),
            entries: LruCache::unbounded(),
            bytes: 0,
            bytes_max,
            entries_max,
        }
    }

    /// Makes room in a snapshot for a slot, and puts it there.
    pub(super) fn admit(&mut self, site: &mut Site, path: &UrlPath, slot: Arc<Slot>) {
        self.release_content(path);
        self.entries.pop(path);
        // Room first: what comes must not have to go because all else is in use.
        self.forget_entries(site);
        let bytes = slot.asset().map_or(0, |asset| asset.held_bytes());
        if bytes > 0 {
            self.evict_contents(site, bytes);
            self.bytes += bytes;
            self.contents.put(path.clone(), bytes);
        }
        self.entries.put(path.clone(), ());
        site.put(path, slot);
    }

    /// Makes room in a snapshot for what a file has come to hold besides.
    pub(super) fn resize(&mut self, site: &mut Site, path: &UrlPath, before: u64, after: u64) {
        let Some(known) = self.contents.pop(path) else {
            return;
        };
        self.bytes -= known;
        let bytes = (known + after).saturating_sub(before);
        self.evict_contents(site, bytes);
        self.bytes += bytes;
        self.contents.put(path.clone(), bytes);
    }

    fn evict_contents(&mut self, site: &mut Site, bytes_wanted: u64) {
        let mut chances = SECOND_CHANCES_MAX.min(self.contents.len());
        while self.bytes + bytes_wanted > self.bytes_max
            && let Some((path, bytes)) = self.contents.pop_lru()
        {
            let slot = site.slot(path.as_str()).cloned();
            if chances > 0 && slot.as_deref().is_some_and(was_used) {
                chances -= 1;
                self.contents.put(path, bytes);
                continue;
            }
            self.bytes -= bytes;
            if let Some(evicted) = slot.as_deref().and_then(Slot::without_content) {
                site.put(&path, Arc::new(evicted));
            }
        }
    }

    fn forget_entries(&mut self, site: &mut Site) {
        let mut chances = SECOND_CHANCES_MAX.min(self.entries.len());
        while self.entries.len() >= self.entries_max
            && let Some((path, ())) = self.entries.pop_lru()
        {
            if chances > 0 && site.slot(path.as_str()).is_some_and(|slot| was_used(slot)) {
                chances -= 1;
                self.entries.put(path, ());
                continue;
            }
            self.release_content(&path);
            site.remove(&path);
        }
    }

    fn release_content(&mut self, path: &UrlPath) {
        if let Some(bytes) = self.contents.pop(path) {
            self.bytes -= bytes;
        }
    }
}

impl Slot {
    /// Returns the slot with a file that is streamed instead of held; `None` if it holds nothing.
    fn without_content(&self) -> Option<Self> {
        let asset = self.asset().filter(|asset| asset.held_bytes() > 0)?;
        Some(Self {
            entry: Entry::File(Arc::new(asset.without_content())),
            freshness: Freshness::copy(&self.freshness),
            used: false.into(),
        })
    }
}

/// Returns whether anyone looked at the entry since this was last asked.
fn was_used(slot: &Slot) -> bool {
    slot.used.swap(false, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::site::Asset;

    fn path(name: &str) -> UrlPath {
        UrlPath::parse(&format!("/{name}")).unwrap()
    }

    fn slot(name: &str, content: &'static str) -> Arc<Slot> {
        let asset = Asset::in_memory(path(name), Bytes::from_static(content.as_bytes()));
        Arc::new(Slot::new(Entry::File(Arc::new(asset)), 0))
    }

    /// Admits ten-byte files into room for three of them.
    struct Room {
        site: Site,
        memory: Memory,
    }

    impl Room {
        fn new(entries_max: usize) -> Self {
            Self {
                site: Site::default(),
                memory: Memory::new(30, entries_max),
            }
        }

        fn admit(&mut self, names: &[&str]) {
            for name in names {
                self.memory
                    .admit(&mut self.site, &path(name), slot(name, "0123456789"));
            }
        }

        /// Names of the files whose content is held, among `names`.
        fn held(&self, names: &'static str) -> Vec<&'static str> {
            let is_held = |name: &&str| {
                let slot = self.site.slot(&format!("/{name}"));
                slot.is_some_and(|slot| slot.asset().is_some_and(|asset| asset.content.is_some()))
            };
            names.split(' ').filter(is_held).collect()
        }
    }

    #[test]
    fn the_content_not_looked_at_for_longest_goes() {
        let mut room = Room::new(100);
        room.admit(&["a", "b", "c"]);
        assert!(room.site.entry("/a").is_some());
        room.admit(&["d"]);
        assert_eq!(room.held("a b c d"), ["a", "c", "d"]);
        // A second chance is one chance.
        room.admit(&["e"]);
        assert_eq!(room.held("a b c d e"), ["a", "d", "e"]);
        room.admit(&["f"]);
        assert_eq!(room.held("a b c d e f"), ["d", "e", "f"]);
        assert_eq!(room.memory.bytes, 30);
    }

    #[test]
    fn an_evicted_file_keeps_its_validator_and_its_page() {
        let mut room = Room::new(100);
        room.admit(&["a"]);
        let before = Arc::clone(room.site.slot("/a").unwrap().asset().unwrap());
        room.site = room
            .site
            .with_plan(&path("a"), crate::site::plan::Plan::default());
        room.admit(&["b", "c", "d", "e"]);
        let after = room.site.asset("/a").unwrap();
        assert!(before.content.is_some() && after.content.is_none());
        assert_eq!(before.content_hash, after.content_hash);
        assert_eq!((after.length, after.weak), (10, false));
        assert!(room.site.page("/a").is_some());
    }

    #[test]
    fn replacing_content_is_not_counted_twice() {
        let mut room = Room::new(100);
        room.admit(&["a", "a", "b", "c", "a"]);
        assert_eq!(room.held("a b c"), ["a", "b", "c"]);
        let missing = Arc::new(Slot::new(Entry::Missing, 0));
        room.memory.admit(&mut room.site, &path("b"), missing);
        assert_eq!(room.memory.bytes, 20);
        room.admit(&["d"]);
        assert_eq!(room.held("a b c d"), ["a", "c", "d"]);
    }

    #[test]
    fn what_a_file_comes_to_hold_besides_is_counted_and_makes_others_go() {
        let mut room = Room::new(100);
        room.admit(&["a", "b"]);
        room.memory.resize(&mut room.site, &path("b"), 10, 15);
        assert_eq!((room.memory.bytes, room.held("a b")), (25, vec!["a", "b"]));
        room.memory.resize(&mut room.site, &path("b"), 15, 25);
        assert_eq!((room.memory.bytes, room.held("a b")), (25, vec!["b"]));
        // What has had to go has no account to change.
        room.memory.resize(&mut room.site, &path("a"), 10, 15);
        assert_eq!(room.memory.bytes, 25);
        room.admit(&["b"]);
        assert_eq!(room.memory.bytes, 10);
    }

    #[test]
    fn the_entry_not_looked_at_for_longest_is_forgotten() {
        let mut room = Room::new(3);
        room.admit(&["a", "index.html", "c"]);
        room.site = room
            .site
            .with_plan(&path("index.html"), crate::site::plan::Plan::default());
        assert!(room.site.entry("/a").is_some());
        room.admit(&["d"]);
        assert!(room.site.slot("/index.html").is_none() && room.site.slot("/").is_none());
        assert!(room.site.page("/").is_none());
        assert_eq!(room.held("a c d"), ["a", "c", "d"]);
        assert_eq!(room.memory.bytes, 30);
    }

    #[test]
    fn files_all_in_use_make_room_in_the_end() {
        let mut room = Room::new(3);
        room.admit(&["a", "b", "c"]);
        for name in ["/a", "/b", "/c"] {
            room.site.entry(name);
        }
        room.admit(&["d"]);
        assert_eq!(room.held("a b c d").len(), 3);
        assert_eq!(room.memory.entries.len(), 3);
    }
}
