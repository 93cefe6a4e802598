//! What was said when, and what of it was heard how much later. One thread has all of it.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_mins(1);

/// Notes of one measurement.
#[derive(Debug)]
pub(crate) struct Board {
    /// When each number was said.
    said: RefCell<Vec<Instant>>,
    /// Of every time that a number was heard, how long after.
    delays: RefCell<Vec<Duration>>,
    /// Numbers from which on delays are noted.
    warm: Cell<usize>,
    /// Numbers that a listener should have heard before the one it heard.
    lost: Cell<u64>,
    /// Numbers that a listener had heard before.
    doubled: Cell<u64>,
    /// Streams to be answered.
    pub(crate) to_open: Countdown,
    /// Numbers to be heard, by all listeners together.
    pub(crate) to_hear: Countdown,
    failure: RefCell<Option<anyhow::Error>>,
}

impl Board {
    /// Returns one that notes the delays of numbers from `warm` on.
    pub(crate) fn new(warm: usize) -> Self {
        Self {
            said: RefCell::default(),
            delays: RefCell::default(),
            warm: Cell::new(warm),
            lost: Cell::default(),
            doubled: Cell::default(),
            to_open: Countdown::default(),
            to_hear: Countdown::default(),
            failure: RefCell::default(),
        }
    }

    /// Returns the number to say now.
    pub(crate) fn say(&self) -> usize {
        let mut said = self.said.borrow_mut();
        said.push(Instant::now());
        said.len() - 1
    }

    /// How many numbers have been said.
    pub(crate) fn said(&self) -> usize {
        self.said.borrow().len()
    }

    /// Notes that a number has been heard by a listener that waited for `next`.
    pub(crate) fn hear(&self, number: usize, next: usize, at: Instant) {
        if number > next {
            self.lost.set(self.lost.get() + (number - next) as u64);
        } else if number < next {
            self.doubled.set(self.doubled.get() + 1);
        }
        if number >= self.warm.get()
            && let Some(said) = self.said.borrow().get(number)
        {
            self.delays.borrow_mut().push(at.duration_since(*said));
        }
        self.to_hear.down();
    }

    /// Notes why nothing more will be heard.
    pub(crate) fn fail(&self, error: anyhow::Error) {
        self.failure.borrow_mut().get_or_insert(error);
        self.to_open.changed.notify_waiters();
        self.to_hear.changed.notify_waiters();
    }

    /// Waits until a count is down to 0.
    ///
    /// # Errors
    /// A listener has failed, or it takes too long.
    pub(crate) async fn all(&self, countdown: &Countdown, what: &str) -> anyhow::Result<()> {
        let waiting = async {
            while countdown.left.get() > 0 {
                let changed = countdown.changed.notified();
                if let Some(error) = self.failure.take() {
                    return Err(error);
                }
                changed.await;
            }
            Ok(())
        };
        let late = || format!("{} {what} after {PATIENCE:?}", countdown.left.get());
        timeout(PATIENCE, waiting).await.with_context(late)?
    }

    /// Returns the delays.
    ///
    /// # Errors
    /// Something was lost, or heard twice.
    pub(crate) fn delays(&self) -> anyhow::Result<Delays> {
        self.check()?;
        Ok(Delays::new(self.delays.take()))
    }

    /// Returns when each number was said, and how long after it was heard by the one who listens.
    ///
    /// # Errors
    /// Something was lost, or heard twice.
    pub(crate) fn timed_delays(&self) -> anyhow::Result<Vec<(Instant, Duration)>> {
        self.check()?;
        Ok(self
            .said
            .take()
            .into_iter()
            .zip(self.delays.take())
            .collect())
    }

    /// Tells whether every listener heard all that it should.
    ///
    /// # Errors
    /// Something was lost, or heard twice.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let (lost, doubled) = (self.lost.get(), self.doubled.get());
        if lost + doubled > 0 {
            bail!("{lost} events were lost, and {doubled} came twice");
        }
        Ok(())
    }
}

/// A count that somebody waits for.
#[derive(Debug, Default)]
pub(crate) struct Countdown {
    left: Cell<u64>,
    changed: Notify,
}

impl Countdown {
    /// Waits for so many more.
    pub(crate) fn add(&self, count: usize) {
        self.left.set(self.left.get() + count as u64);
    }

    /// Counts one.
    pub(crate) fn down(&self) {
        let left = self.left.get().saturating_sub(1);
        self.left.set(left);
        if left == 0 {
            self.changed.notify_waiters();
        }
    }
}

/// Delays, the shortest first.
#[derive(Debug)]
pub(crate) struct Delays(Vec<Duration>);

impl Delays {
    /// Sorts them.
    pub(crate) fn new(mut delays: Vec<Duration>) -> Self {
        delays.sort_unstable();
        Self(delays)
    }

    /// Returns the delay that a share of all does not exceed, in milliseconds.
    pub(crate) fn quantile_ms(&self, thousandths: usize) -> f64 {
        let last = self.0.len().saturating_sub(1);
        let delay = self.0.get(last * thousandths / 1000);
        delay.map_or(f64::NAN, Duration::as_secs_f64) * 1e3
    }
}
