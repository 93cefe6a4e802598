//! Being told to stop: Ctrl-C ends a measurement, and there is a report of what was found until
//! then. A second one ends the program at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

/// Whether somebody wants it to end.
#[derive(Debug, Default)]
pub(super) struct Stop {
    flag: AtomicBool,
    changed: Notify,
}

impl Stop {
    /// Returns one that Ctrl-C sets.
    ///
    /// # Errors
    /// Signals cannot be listened for.
    pub(super) fn on_interrupt() -> anyhow::Result<Arc<Self>> {
        let stop = Arc::new(Self::default());
        let heard = Arc::clone(&stop);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .context("cannot start a runtime")?;
        let mut interrupts = runtime.block_on(async { signal(SignalKind::interrupt()) })?;
        std::thread::Builder::new()
            .name("forerun-signals".to_owned())
            .spawn(move || {
                runtime.block_on(interrupts.recv());
                heard.set();
                runtime.block_on(interrupts.recv());
                // Nobody listens for this one, so it ends the process.
                let own = rustix::process::getpid();
                let _ = rustix::process::kill_process(own, rustix::process::Signal::TERM);
            })
            .context("cannot listen for signals")?;
        Ok(stop)
    }

    /// Says that it is to end.
    pub(super) fn set(&self) {
        self.flag.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    /// Returns whether it is to end.
    pub(super) fn is_set(&self) -> bool {
        self.flag.load(Ordering::Acquire)
    }

    /// Returns what it is kept in, for those that only look.
    pub(super) fn flag(&self) -> &AtomicBool {
        &self.flag
    }

    /// Waits until it is to end.
    pub(super) async fn wait(&self) {
        let changed = self.changed.notified();
        tokio::pin!(changed);
        // From here on nothing is missed.
        changed.as_mut().enable();
        if !self.is_set() {
            changed.await;
        }
    }
}
