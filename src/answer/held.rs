//! The diary: what a peer already holds, as far as one connection knows.
//!
//! Keyed by URL and content hash, so that an edited file is sent again, and bounded: the oldest
//! entries are forgotten, which costs a wasted push at worst.

use lru::LruCache;

use crate::site::{ContentHash, SiteUrl};

/// Entries of a diary.
const ENTRIES_MAX: usize = 1024;

/// What a peer holds. Of one that takes no pushes nothing is kept.
#[derive(Debug, Default)]
pub struct Held(Option<Box<LruCache<u64, ()>>>);

impl Held {
    /// Returns the key of a resource: 64 bits of BLAKE3 over its URL and content hash.
    pub fn key(url: &SiteUrl, content: ContentHash) -> u64 {
        let mut hasher = blake3::Hasher::new();
        hasher.update(url.target().as_bytes());
        hasher.update(&[0]);
        hasher.update(&content.0);
        let mut key = [0; 8];
        hasher.finalize_xof().fill(&mut key);
        u64::from_le_bytes(key)
    }

    /// Notes that the peer holds a resource, or is being sent it.
    pub fn add(&mut self, key: u64) {
        // Unbounded only in name: the bound is kept here, without room reserved for it.
        let kept = || Box::new(LruCache::unbounded());
        let keys = self.0.get_or_insert_with(kept);
        keys.put(key, ());
        if keys.len() > ENTRIES_MAX {
            keys.pop_lru();
        }
    }

    /// Notes that the peer does not hold a resource after all.
    pub fn remove(&mut self, key: u64) {
        if let Some(keys) = &mut self.0 {
            keys.pop(&key);
        }
    }

    /// Returns whether the peer holds a resource.
    pub fn contains(&self, key: u64) -> bool {
        self.0.as_ref().is_some_and(|keys| keys.contains(&key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_entries_are_forgotten() {
        let mut held = Held::default();
        for key in 0..=ENTRIES_MAX as u64 {
            held.add(key);
        }
        assert!(!held.contains(0));
        assert!(held.contains(1) && held.contains(ENTRIES_MAX as u64));
    }
}
