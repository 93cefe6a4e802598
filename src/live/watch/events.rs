//! The thread that hears: hints into [`Settle`], batches out of it, the root lost and found.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, Event, EventKind, ModifyKind};
use notify::{ErrorKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::time::Instant;

use super::poll::Snapshot;
use super::tree::{self, RootIdentity, Tree};
use super::{Mailbox, Notice, POLL_EVERY, Poll};
use crate::live::ignored::{As, GITIGNORE};
use crate::live::settle::{Hint, Limits, Settle};

/// Events that wait for our thread. Of more than that, none counts: everything is looked at.
const EVENTS_MAX: usize = 16 * 1024;

/// How often the root is looked at while it is there: nothing tells that a link on the way to it
/// was moved on.
const ROOT_EVERY: Duration = Duration::from_secs(1);

/// How often the root is looked at while it is gone: generators remove it and build it anew.
const ROOT_EVERY_GONE: Duration = Duration::from_millis(50);

/// The fix of a limit.
const WATCHES_FIX: &str = "raise the limit: sudo sysctl fs.inotify.max_user_watches=524288";
const INSTANCES_FIX: &str = "raise the limit: sudo sysctl fs.inotify.max_user_instances=512";

/// What our thread hears.
#[derive(Debug)]
pub(super) enum Heard {
    /// Of a path.
    Path(PathBuf, Hint),
    /// The system has no room for another watch.
    LimitReached,
    /// There is something to see elsewhere: an end, or an overflow.
    Nothing,
}

/// All that our thread has.
pub(super) struct Hearing {
    tree: Tree,
    source: Source,
    settle: Settle,
    limits: Limits,
    sender: SyncSender<Heard>,
    receiver: Receiver<Heard>,
    /// Whether there were more events than fit.
    overflown: Arc<AtomicBool>,
    mailbox: Arc<Mailbox>,
    root: Option<RootIdentity>,
    root_due: Instant,
    /// Whether the system's events could not be had.
    has_fallen_back: bool,
}

/// Where changes are learned from.
enum Source {
    Native(RecommendedWatcher),
    Polling {
        every: Duration,
        due: Instant,
        last: Snapshot,
    },
}

impl Hearing {
    /// Begins to hear: what happens from now on is in the queue.
    pub(super) fn start(tree: Tree, poll: Poll, limits: Limits, mailbox: Arc<Mailbox>) -> Self {
        let (sender, receiver) = sync_channel(EVENTS_MAX);
        let now = Instant::now();
        let mut hearing = Self {
            root: tree.identity(),
            tree,
            source: Source::Polling {
                every: POLL_EVERY,
                due: now,
                last: Snapshot::default(),
            },
            settle: Settle::new(limits),
            limits,
            sender,
            receiver,
            overflown: Arc::default(),
            mailbox,
            root_due: now + ROOT_EVERY,
            has_fallen_back: false,
        };
        match poll {
            Poll::Native => hearing.listen(),
            Poll::Every(every) => hearing.poll(every),
        }
        hearing
    }

    /// Returns what wakes the thread.
    pub(super) fn doorbell(&self) -> SyncSender<Heard> {
        self.sender.clone()
    }

    /// Hears until the mailbox is closed.
    pub(super) fn run(mut self) {
        while !self.mailbox.is_closed() {
            let wait = self.due().saturating_duration_since(Instant::now());
            match self.receiver.recv_timeout(wait) {
                Ok(heard) => self.hear(heard),
                // Not disconnected: one end of the queue is ours.
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            while let Ok(heard) = self.receiver.try_recv() {
                self.hear(heard);
            }
            if self.overflown.swap(false, Ordering::AcqRel) {
                self.lost();
            }
            self.act(Instant::now());
        }
    }

    fn due(&self) -> Instant {
        let mut due = self.root_due;
        if let Some(settle_due) = self.settle.due() {
            due = due.min(settle_due);
        }
        if let Source::Polling { due: poll_due, .. } = &self.source {
            due = due.min(*poll_due);
        }
        due
    }

    fn act(&mut self, now: Instant) {
        if now >= self.root_due {
            self.check_root(now);
        }
        if self.root.is_none() {
            return;
        }
        self.walk_if_due(now);
        if let Some(batch) = self.settle.take(now, tree::look) {
            // What is saved as the root goes is no news of its own.
            self.check_root(now);
            if self.root.is_some() {
                self.mailbox.batch(batch, self.limits.paths_max);
            }
        }
    }

    fn hear(&mut self, heard: Heard) {
        let now = Instant::now();
        match heard {
            Heard::Path(path, _) if path == self.tree.root => self.root_due = now,
            Heard::Path(path, hint) => self.hear_of(now, path, hint),
            Heard::LimitReached => self.fall_back(WATCHES_FIX),
            Heard::Nothing => {}
        }
    }

    fn hear_of(&mut self, now: Instant, path: PathBuf, hint: Hint) {
        let is_directory = hint != Hint::Open && tree::is_directory(&path);
        let taken_as = if is_directory {
            As::Directory
        } else {
            As::File
        };
        if self.tree.ignored.is_ignored(&path, taken_as) {
            return;
        }
        if path.file_name().is_some_and(|name| name == GITIGNORE)
            && let Some(directory) = path.parent()
        {
            // Directories may have to be watched from now on.
            let directory = directory.to_owned();
            self.tree.ignored.read(&directory);
            self.watch(&directory);
            // And what changed there while it was ignored counts now.
            self.settle.heard(now, directory, Hint::Touched);
        }
        if is_directory && matches!(hint, Hint::Replaced | Hint::Whole) {
            self.watch(&path);
        }
        self.settle.heard(now, path, hint);
    }

    /// Looks whether the root is there, and still the same.
    fn check_root(&mut self, now: Instant) {
        let identity = self.tree.identity();
        let was = std::mem::replace(&mut self.root, identity);
        self.root_due = now + ROOT_EVERY;
        match (was, identity) {
            (Some(_), None) => {
                self.settle.clear();
                self.mailbox.notice(Notice::RootGone);
            }
            (was, Some(_)) if was != identity => {
                self.mailbox.notice(Notice::RootBack);
                // Whatever was watched is another directory's, or nobody's.
                if matches!(self.source, Source::Native(_)) {
                    self.listen();
                }
                self.settle.lost(now);
            }
            _ => {}
        }
        if self.root.is_none() {
            self.root_due = now + ROOT_EVERY_GONE;
        }
    }

    /// Events were lost. Directories may have come unheard: all are watched again.
    fn lost(&mut self) {
        let root = self.tree.root.clone();
        self.watch(&root);
        self.settle.lost(Instant::now());
    }

    /// Watches the whole tree through the system's events, or falls back to walking it.
    fn listen(&mut self) {
        let sender = self.sender.clone();
        let overflown = Arc::clone(&self.overflown);
        let handler = move |event| {
            for heard in heard(event, &overflown) {
                // Never wait here: our thread may be waiting for the thread that calls this.
                if sender.try_send(heard).is_err() {
                    overflown.store(true, Ordering::Release);
                }
            }
        };
        match notify::recommended_watcher(handler) {
            Ok(watcher) => {
                self.source = Source::Native(watcher);
                let root = self.tree.root.clone();
                self.watch(&root);
            }
            Err(error) => self.fall_back(&format!("{error}; {INSTANCES_FIX}")),
        }
    }

    /// Watches a directory and those below it. What was in them before that, and came unheard, is
    /// looked at with the directory.
    fn watch(&mut self, top: &Path) {
        let Source::Native(watcher) = &mut self.source else {
            return;
        };
        let mut enter = |directory: &Path| {
            match watcher.watch(directory, RecursiveMode::NonRecursive) {
                Err(error) if is_limit(&error.kind) => Err(()),
                // It is gone again, or may not be read: there is nothing to hear of it.
                Ok(()) | Err(_) => Ok(()),
            }
        };
        if self.tree.walk(top, &mut enter, &mut |_, _| ()).is_err() {
            self.fall_back(WATCHES_FIX);
        }
    }

    fn fall_back(&mut self, fix: &str) {
        if std::mem::replace(&mut self.has_fallen_back, true) {
            return;
        }
        let reason = format!("the system watches no more files for this user; {fix}");
        let every = POLL_EVERY;
        self.mailbox.notice(Notice::Polling { reason, every });
        self.poll(every);
        // Between the last event and the first walk anything may have happened.
        self.settle.lost(Instant::now());
    }

    fn poll(&mut self, every: Duration) {
        self.source = Source::Polling {
            every,
            due: Instant::now() + every,
            last: Snapshot::of(&mut self.tree),
        };
    }

    fn walk_if_due(&mut self, now: Instant) {
        let Source::Polling { every, due, last } = &mut self.source else {
            return;
        };
        if now < *due {
            return;
        }
        let newer = Snapshot::of(&mut self.tree);
        for path in last.differences(&newer) {
            self.settle.heard(now, path, Hint::Touched);
        }
        *last = newer;
        *due = Instant::now() + *every;
    }
}

fn is_limit(kind: &ErrorKind) -> bool {
    matches!(kind, ErrorKind::MaxFilesWatch)
}

/// Returns what an event says, path by path. Reading says nothing.
fn heard(event: notify::Result<Event>, overflown: &AtomicBool) -> Vec<Heard> {
    let event = match event {
        Ok(event) => event,
        Err(error) if is_limit(&error.kind) => return vec![Heard::LimitReached],
        // Whatever it was, it was not heard.
        Err(_) => {
            overflown.store(true, Ordering::Release);
            return vec![Heard::Nothing];
        }
    };
    if event.need_rescan() {
        overflown.store(true, Ordering::Release);
        return vec![Heard::Nothing];
    }
    let hint = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Name(_)) => Hint::Whole,
        EventKind::Access(_) => return Vec::new(),
        EventKind::Modify(ModifyKind::Data(_)) => Hint::Open,
        EventKind::Create(_) | EventKind::Remove(_) => Hint::Replaced,
        EventKind::Modify(_) | EventKind::Any | EventKind::Other => Hint::Touched,
    };
    let paths = event.paths.into_iter();
    paths.map(|path| Heard::Path(path, hint)).collect()
}
