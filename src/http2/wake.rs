//! Waking the task of a connection, but not by itself.
//!
//! h2 wakes whoever polls it as soon as a stream is given something to send. Here both are one
//! task, which polls h2 once more before it rests: woken too, it would run again for nothing after
//! every answer. Knows nothing of connections.
//!
//! ```text
//!            work            woken
//!    rests ────────▶ works ────────▶ woken ┐
//!      ▲               │ ▲────────────┘    │ rest: then the task is woken
//!      └───────────────┴─────────work──────┘
//! ```

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

const RESTS: u8 = 0;
const WORKS: u8 = 1;
const WOKEN: u8 = 2;

/// Wakes a task, or takes note that it is to be woken while it works.
#[derive(Debug)]
pub(super) struct Alarm {
    state: AtomicU8,
    task: Mutex<Waker>,
}

impl Alarm {
    /// Returns one for a task that is not known yet.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: AtomicU8::new(RESTS),
            task: Mutex::new(Waker::noop().clone()),
        })
    }

    /// Notes that the task works from now on. Until it rests, what wakes it is noted alone.
    pub(super) fn start(&self, cx: &Context<'_>) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        task.clone_from(cx.waker());
        drop(task);
        self.state.store(WORKS, Ordering::Release);
    }

    /// Notes that all is done that the task was woken for so far, or is about to be.
    pub(super) fn attend(&self) {
        self.state.store(WORKS, Ordering::Release);
    }

    /// Notes that the task rests from now on; it is woken if there is anything left to do.
    pub(super) fn rest(&self, cx: &Context<'_>) {
        if self.state.swap(RESTS, Ordering::AcqRel) == WOKEN {
            cx.waker().wake_by_ref();
        }
    }
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let noted = self
            .state
            .compare_exchange(WORKS, WOKEN, Ordering::AcqRel, Ordering::Acquire);
        if noted == Err(RESTS) {
            self.task
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_task_is_woken_once_it_rests_and_only_for_what_it_has_not_attended_to() {
        let counter = Arc::new(Counter::default());
        let waker = Waker::from(Arc::clone(&counter));
        let cx = Context::from_waker(&waker);
        let woken = || counter.0.swap(0, Ordering::Relaxed);
        let alarm = Alarm::new();
        let own = Waker::from(Arc::clone(&alarm));

        alarm.start(&cx);
        own.wake_by_ref();
        alarm.attend();
        alarm.rest(&cx);
        assert_eq!(woken(), 0, "it has attended to that");
        own.wake_by_ref();
        assert_eq!(woken(), 1, "it rests");
        alarm.start(&cx);
        own.wake_by_ref();
        own.wake_by_ref();
        assert_eq!(woken(), 0, "it works");
        alarm.rest(&cx);
        assert_eq!(woken(), 1, "it has not attended to that");
    }
}
