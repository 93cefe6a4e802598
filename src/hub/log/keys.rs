//! Which idempotency keys were seen, and where.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Keys that are remembered. A repetition that comes later than so many others is an event of its
/// own.
pub(in crate::hub) const KEYS_MAX: usize = 16 * 1024;

/// The last keys, with the offsets of their events.
#[derive(Debug, Default)]
pub(super) struct Keys {
    offsets: HashMap<Arc<str>, u64>,
    oldest_first: VecDeque<Arc<str>>,
}

impl Keys {
    pub(super) fn offset(&self, key: &str) -> Option<u64> {
        self.offsets.get(key).copied()
    }

    /// Remembers a key: the first offset that is given for it.
    pub(super) fn insert(&mut self, key: &str, offset: u64) {
        if self.offsets.contains_key(key) {
            return;
        }
        let key: Arc<str> = key.into();
        self.offsets.insert(Arc::clone(&key), offset);
        self.oldest_first.push_back(key);
        if self.oldest_first.len() > KEYS_MAX
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.offsets.remove(&oldest);
        }
    }
}
