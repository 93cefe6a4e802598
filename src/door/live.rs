//! Live reload at the doors: what the reserved URLs answer with, and where what pages tell goes.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;

use crate::answer::live::{self, Heard};

/// Things told that may wait for whoever shows them; more are counted and dropped, so that a page
/// that never stops talking holds no memory.
pub const TOLD_WAITING_MAX: usize = 256;

/// Live reload, as the doors need it.
#[derive(Debug)]
pub struct Live {
    /// What the reserved URLs answer with.
    pub pages: live::Live,
    told: mpsc::Sender<Heard>,
    dropped: AtomicU64,
}

impl Live {
    /// Returns live reload, and what pages will tell.
    pub fn new(pages: live::Live) -> (Self, mpsc::Receiver<Heard>) {
        let (told, heard) = mpsc::channel(TOLD_WAITING_MAX);
        let live = Self {
            pages,
            told,
            dropped: AtomicU64::new(0),
        };
        (live, heard)
    }

    /// Passes on what a page tells, or drops it if too much waits.
    pub fn told(&self, heard: Heard) {
        if self.told.try_send(heard).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often something told was dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
