//! When something was last compared with the disk. A cell of a snapshot that is otherwise never
//! written: finding a file unchanged must not cost a new snapshot.

use std::sync::atomic::{AtomicU64, Ordering};

/// How long what was found on disk is believed, in milliseconds.
pub(super) const CHECK_INTERVAL_MS: u64 = 1000;

/// The time of the last check, in milliseconds since the site was opened, plus one; 0 means never.
#[derive(Debug, Default)]
pub(super) struct Freshness(AtomicU64);

impl Freshness {
    pub(super) fn at(now_ms: u64) -> Self {
        Self(AtomicU64::new(now_ms + 1))
    }

    /// Returns one of its own that was checked at the same time.
    pub(super) fn copy(other: &Self) -> Self {
        Self(AtomicU64::new(other.0.load(Ordering::Relaxed)))
    }

    pub(super) fn renew(&self, now_ms: u64) {
        self.0.fetch_max(now_ms + 1, Ordering::Relaxed);
    }

    pub(super) fn expire(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    pub(super) fn is_fresh(&self, now_ms: u64) -> bool {
        let checked = self.0.load(Ordering::Relaxed);
        checked > 0 && (now_ms + 1).saturating_sub(checked) < CHECK_INTERVAL_MS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_checked_is_fresh_for_an_interval() {
        assert!(!Freshness::default().is_fresh(0));
        let freshness = Freshness::at(0);
        assert!(freshness.is_fresh(0) && freshness.is_fresh(CHECK_INTERVAL_MS - 1));
        assert!(!freshness.is_fresh(CHECK_INTERVAL_MS));
        freshness.renew(500);
        freshness.renew(400);
        assert!(freshness.is_fresh(CHECK_INTERVAL_MS + 499));
        freshness.expire();
        assert!(!freshness.is_fresh(500));
    }
}
