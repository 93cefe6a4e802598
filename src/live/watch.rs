//! The door to the system's file events: what happens below a directory, in settled batches.
//!
//! Events are hints only: nobody here reads a file, and no event says what changed. Knows nothing
//! of sites or URLs. One thread, joined when the [`Watch`] is dropped, hears the events and waits
//! for them to settle:
//!
//! ```text
//! notify's thread --(hints, bounded; on overflow: everything)--> our thread: ignored? settle
//!   or, polling: a walk every so often                                -> Batches (merged, bounded)
//! ```
//!
//! Each directory is watched by itself, not the tree by `notify`: what is ignored costs no watch,
//! links are not followed in circles, and the kernel's limit is met later. Read on in
//! [`super::settle`].

mod events;
mod poll;
mod tree;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::Notify;

use super::ignored::Ignored;
use super::settle::{Batch, Limits};
use events::Hearing;
use tree::Tree;

/// How often a tree is walked when the system's events cannot be had.
pub const POLL_EVERY: Duration = Duration::from_millis(500);

/// What to watch, and how.
#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// The directory. It may be a symbolic link.
    pub root: PathBuf,
    /// Globs to ignore, in the syntax of `.gitignore`.
    pub ignore: Vec<String>,
    /// Where changes are learned from.
    pub poll: Poll,
}

/// Where changes are learned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Poll {
    /// From the system's events; by walking every [`POLL_EVERY`] if there are none to be had.
    Native,
    /// By walking the tree every so often.
    Every(Duration),
}

/// What is learned from a watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// Paths that may have changed.
    Batch(Batch),
    /// Something to say to whoever edits.
    Notice(Notice),
}

/// Something to say to whoever edits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The system's events cannot be had, why, and what to do: the tree is walked instead.
    Polling {
        /// What is wrong, and the fix.
        reason: String,
        /// How often.
        every: Duration,
    },
    /// The root is gone. Nothing is told until it is back.
    RootGone,
    /// The root is back, or another directory is in its place: a batch follows that names all.
    RootBack,
}

/// A directory that is watched, until dropped.
#[derive(Debug)]
pub struct Watch {
    mailbox: Arc<Mailbox>,
    thread: Option<JoinHandle<()>>,
}

/// What was learned and not yet taken. Of it there is never more than one batch and one of each
/// notice: what comes later is merged.
#[derive(Debug)]
pub struct Batches {
    mailbox: Arc<Mailbox>,
}

/// Between our thread, whoever reads the news and whoever ends the watch.
#[derive(Debug, Default)]
struct Mailbox {
    post: Mutex<Post>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Post {
    notices: Vec<Notice>,
    batch: Option<Batch>,
    is_closed: bool,
    /// Wakes our thread, to end it.
    doorbell: Option<std::sync::mpsc::SyncSender<events::Heard>>,
}

/// Notices kept for somebody who does not read them.
const NOTICES_MAX: usize = 16;

impl Watch {
    /// Begins to watch a directory. Whatever changes after this returns is told. Blocks while the
    /// tree is walked.
    ///
    /// # Errors
    /// The root cannot be read, or a glob is malformed.
    pub fn start(options: &WatchOptions) -> anyhow::Result<(Self, Batches)> {
        let root = std::path::absolute(&options.root)
            .with_context(|| format!("cannot watch `{}`", options.root.display()))?;
        std::fs::read_dir(&root).with_context(|| format!("cannot watch `{}`", root.display()))?;
        let ignored = Ignored::new(&root, &options.ignore)?;
        let mailbox = Arc::new(Mailbox::default());
        let limits = Limits::default();
        let tree = Tree::new(root, ignored);
        let hearing = Hearing::start(tree, options.poll, limits, Arc::clone(&mailbox));
        mailbox.lock().doorbell = Some(hearing.doorbell());
        let thread = std::thread::Builder::new()
            .name("watch".to_owned())
            .spawn(move || hearing.run())
            .context("cannot start a thread to watch files")?;
        let batches = Batches {
            mailbox: Arc::clone(&mailbox),
        };
        let thread = Some(thread);
        Ok((Self { mailbox, thread }, batches))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.mailbox.close();
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported.
            let _ = thread.join();
        }
    }
}

impl Batches {
    /// Waits for the next news; `None` when the watch has ended. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<News> {
        loop {
            {
                let mut post = self.mailbox.lock();
                if !post.notices.is_empty() {
                    return Some(News::Notice(post.notices.remove(0)));
                }
                if let Some(batch) = post.batch.take() {
                    return Some(News::Batch(batch));
                }
                if post.is_closed {
                    return None;
                }
            }
            // One that arrives in between has left a permit.
            self.mailbox.arrived.notified().await;
        }
    }
}

impl Mailbox {
    fn lock(&self) -> std::sync::MutexGuard<'_, Post> {
        self.post.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn notice(&self, notice: Notice) {
        let mut post = self.lock();
        // The last word on each matter is the one that counts.
        if post.notices.len() < NOTICES_MAX {
            post.notices.push(notice);
        }
        self.arrived.notify_one();
    }

    fn batch(&self, batch: Batch, paths_max: usize) {
        let mut post = self.lock();
        post.batch.get_or_insert_default().merge(batch, paths_max);
        self.arrived.notify_one();
    }

    fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    fn close(&self) {
        let mut post = self.lock();
        post.is_closed = true;
        self.arrived.notify_one();
        if let Some(doorbell) = post.doorbell.take() {
            // A full queue means that our thread is awake, and will see that we are closed.
            let _ = doorbell.try_send(events::Heard::Nothing);
        }
    }
}

#[cfg(test)]
mod tests;
