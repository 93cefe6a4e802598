//! Publish, read after a cursor, wait: one log, read by whoever remembers where it was.
//!
//! A reader is a cursor. Nothing is queued for it, so a slow one costs what a quick one does, and
//! one that fell off the log is told. What is published and who reads is not known here; read on
//! in [`log`] for what is kept and [`sse`] for one way to deliver it.

pub mod log;
pub mod sse;

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

pub use self::log::{BadEventId, Event, EventId, Limits, Read};

/// A log that can be waited for.
#[derive(Debug)]
pub struct Hub {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    log: log::Log,
    closed: bool,
    /// Those who wait, by their number.
    waiting: HashMap<u64, Waker>,
    readers: u64,
}

impl Hub {
    /// Returns a hub whose log is empty. `epoch` tells it from all others whose cursors readers may
    /// still hold, those of earlier runs of the program among them.
    pub fn new(epoch: u64, limits: Limits) -> Self {
        Self {
            state: Mutex::new(State {
                log: log::Log::new(epoch, limits),
                closed: false,
                waiting: HashMap::new(),
                readers: 0,
            }),
        }
    }

    /// Adds an event, and wakes all who wait.
    pub fn publish(&self, kind: &str, data: String) -> EventId {
        let (id, waiting) = {
            let mut state = self.state();
            let id = state.log.publish(Instant::now(), kind, data);
            (id, mem::take(&mut state.waiting))
        };
        // Outside the lock: whoever wakes will want it.
        wake(waiting);
        id
    }

    /// The place of the last event: a reader that starts here has missed nothing.
    pub fn cursor(&self) -> EventId {
        self.state().log.cursor()
    }

    /// Returns up to `max` events after a cursor, without waiting.
    pub fn read(&self, after: EventId, max: usize) -> Read {
        self.state().read(after, max)
    }

    /// Ends all waiting, now and later: what is kept can still be read.
    pub fn close(&self) {
        let waiting = {
            let mut state = self.state();
            state.closed = true;
            mem::take(&mut state.waiting)
        };
        wake(waiting);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No section leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn read(&mut self, after: EventId, max: usize) -> Read {
        self.log.trim(Instant::now());
        self.log.read(after, max)
    }
}

fn wake(waiting: HashMap<u64, Waker>) {
    for waker in waiting.into_values() {
        waker.wake();
    }
}

/// Somebody who may wait.
#[derive(Debug)]
pub struct Reader {
    hub: Arc<Hub>,
    number: u64,
}

impl Reader {
    /// Returns a reader that does not wait yet.
    pub fn new(hub: Arc<Hub>) -> Self {
        let number = {
            let mut state = hub.state();
            state.readers += 1;
            state.readers
        };
        Self { hub, number }
    }

    /// Which of the hub's readers it is, counted from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The place of the last event.
    pub fn cursor(&self) -> EventId {
        self.hub.cursor()
    }

    /// Returns up to `max` events after a cursor, or waits for one. `None`: the hub is closed, and
    /// all has been read.
    pub fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        after: EventId,
        max: usize,
    ) -> Poll<Option<Read>> {
        let mut state = self.hub.state();
        match state.read(after, max) {
            Read::Nothing if state.closed => Poll::Ready(None),
            Read::Nothing => {
                let waker = state
                    .waiting
                    .entry(self.number)
                    .or_insert_with(|| cx.waker().clone());
                waker.clone_from(cx.waker());
                Poll::Pending
            }
            read => Poll::Ready(Some(read)),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.hub.state().waiting.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    async fn next(reader: &mut Reader, after: EventId) -> Option<Read> {
        poll_fn(|cx| reader.poll_read(cx, after, 9)).await
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_is_woken_by_an_event_or_the_end() {
        let hub = Arc::new(Hub::new(1, Limits::default()));
        let mut reader = Reader::new(Arc::clone(&hub));
        let after = hub.cursor();
        let (read, id) = tokio::join!(next(&mut reader, after), async {
            hub.publish("said", "hello".to_owned())
        });
        let Some(Read::Events(events)) = read else {
            panic!("{read:?}");
        };
        assert_eq!((events.len(), events[0].id), (1, id));
        let (read, ()) = tokio::join!(next(&mut reader, id), async { hub.close() });
        assert_eq!(read, None);
        // What was kept is not lost by closing.
        assert!(matches!(
            next(&mut reader, after).await,
            Some(Read::Events(_))
        ));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_too_old_is_missed_aloud_even_if_nothing_is_published() {
        let limits = Limits::default();
        let hub = Hub::new(1, limits);
        let before = hub.cursor();
        let id = hub.publish("said", String::new());
        tokio::time::advance(2 * limits.age_max).await;
        assert_eq!(hub.read(before, 9), Read::Gap { oldest: id });
        assert_eq!(hub.read(id, 9), Read::Nothing);
    }

    #[test]
    fn waiting_leaves_nothing_behind() {
        let hub = Arc::new(Hub::new(1, Limits::default()));
        let mut cx = Context::from_waker(Waker::noop());
        let mut readers: Vec<_> = (0..100).map(|_| Reader::new(Arc::clone(&hub))).collect();
        for _ in 0..3 {
            for reader in &mut readers {
                assert!(reader.poll_read(&mut cx, hub.cursor(), 9).is_pending());
            }
        }
        assert_eq!(hub.state().waiting.len(), 100);
        readers.truncate(10);
        assert_eq!(hub.state().waiting.len(), 10);
        hub.publish("said", String::new());
        assert_eq!(hub.state().waiting.len(), 0);
    }

    /// Publishing on one thread and reading on others, as fast as they can.
    #[test]
    fn nothing_is_lost_between_reading_and_waiting() {
        const EVENTS: u64 = 2_000;
        let hub = Arc::new(Hub::new(
            1,
            Limits {
                events_max: 100_000,
                bytes_max: 1 << 30,
                ..Limits::default()
            },
        ));
        let start = hub.cursor();
        let readers: Vec<_> = (0..4)
            .map(|_| {
                let mut reader = Reader::new(Arc::clone(&hub));
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .build()
                        .unwrap();
                    runtime.block_on(async {
                        let mut after = start;
                        while let Some(Read::Events(events)) = next(&mut reader, after).await {
                            for event in events {
                                assert_eq!(event.id.offset, after.offset + 1);
                                after = event.id;
                            }
                        }
                        after.offset
                    })
                })
            })
            .collect();
        for _ in 0..EVENTS {
            hub.publish("said", String::new());
        }
        hub.close();
        for reader in readers {
            assert_eq!(reader.join().unwrap(), EVENTS);
        }
    }
}
