//! Live reload at the doors: what the reserved URLs answer with, where what pages tell goes, and
//! which of them use a file (read on in `uses`).

mod uses;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;

use crate::answer::LivePage;
use crate::answer::live::{self, Heard};
use crate::answer::requested::Use;
use crate::hub::EventId;
use crate::site::{ContentHash, UrlPath};
use uses::Uses;

/// Things told that may wait for whoever shows them; more are counted and dropped, so that a page
/// that never stops talking holds no memory.
pub const TOLD_WAITING_MAX: usize = 256;

/// Live reload, as the doors need it.
#[derive(Debug)]
pub struct Live {
    /// What the reserved URLs answer with.
    pub pages: live::Live,
    script: ContentHash,
    console: bool,
    hosts: Vec<String>,
    problem: Mutex<Option<EventId>>,
    uses: Mutex<Uses>,
    told: mpsc::Sender<Heard>,
    dropped: AtomicU64,
}

impl Live {
    /// Returns live reload, and what pages will tell. `console` says whether what they write to
    /// their consoles is wanted.
    pub fn new(pages: live::Live, console: bool) -> (Self, mpsc::Receiver<Heard>) {
        let (told, heard) = mpsc::channel(TOLD_WAITING_MAX);
        let live = Self {
            script: ContentHash::of(&pages.script),
            pages,
            console,
            hosts: Vec::new(),
            problem: Mutex::new(None),
            uses: Mutex::default(),
            told,
            dropped: AtomicU64::new(0),
        };
        (live, heard)
    }

    /// Answers to these hosts, too, which the certificate need not name: names, and addresses
    /// without brackets.
    #[must_use]
    pub fn answering_to(mut self, hosts: Vec<String>) -> Self {
        self.hosts = hosts;
        self
    }

    /// Returns whether a host, as a request names it, is one that was allowed.
    pub fn answers_to(&self, host: &str) -> bool {
        let host = host.trim_matches(['[', ']']);
        self.hosts
            .iter()
            .any(|allowed| allowed.eq_ignore_ascii_case(host))
    }

    /// Returns what a page is told that is answered from a snapshot taken after this.
    pub fn page(&self) -> LivePage {
        let problem = *self.problem.lock().unwrap_or_else(PoisonError::into_inner);
        let cursor = self.pages.hub.cursor();
        LivePage {
            cursor,
            script: self.script,
            problem,
            console: self.console,
        }
    }

    /// Notes that a problem stands, by the event before the one that told of it, or that none does.
    pub fn set_problem(&self, before: Option<EventId>) {
        *self.problem.lock().unwrap_or_else(PoisonError::into_inner) = before;
    }

    /// Passes on what a page tells, or drops it if too much waits.
    pub fn told(&self, heard: Heard) {
        if self.told.try_send(heard).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Notes that a page, or a part of one, uses a file.
    pub fn note(&self, used: Use) {
        self.uses().note(used);
    }

    /// Returns the pages that were seen to use any of some files that have changed. Those that have
    /// changed themselves begin anew.
    pub fn pages_that_use(&self, changed: &[&UrlPath]) -> BTreeSet<UrlPath> {
        let mut uses = self.uses();
        let pages = uses.pages(changed);
        uses.forget(changed);
        pages
    }

    fn uses(&self) -> MutexGuard<'_, Uses> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often something told was dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}
