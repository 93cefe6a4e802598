//! TLS handshakes under way, a few steps at a time.
//!
//! One costs as much processor time as telling hundreds of listeners something. Thousands come at
//! once when a link or another server has failed: those who are here already must not wait for all
//! of these, so whatever else the thread has to do comes between. Knows nothing of TLS.

use std::cell::Cell;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_util::FutureExt as _;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

/// How often one of them is gone on with in a turn; each time takes up to a fifth of a millisecond.
const STEPS: usize = 4;

/// Handshakes, and what comes of them.
pub(super) struct Handshakes<T> {
    under_way: FuturesUnordered<Step<T>>,
    steps_left: Rc<Cell<usize>>,
}

/// One of them.
struct Step<T> {
    handshake: Pin<Box<dyn Future<Output = Option<T>>>>,
    steps_left: Rc<Cell<usize>>,
}

impl<T> Handshakes<T> {
    /// Returns none.
    pub(super) fn new() -> Self {
        Self {
            under_way: FuturesUnordered::new(),
            steps_left: Rc::default(),
        }
    }

    /// Takes one that nothing has been done for. If it fails, nothing comes of it.
    pub(super) fn add(&self, handshake: impl Future<Output = Option<T>> + 'static) {
        let safe = AssertUnwindSafe(handshake).catch_unwind();
        let handshake = safe.map(|done| {
            done.unwrap_or_else(|_| {
                // A defect of ours, met by one peer: it must not take the others along.
                tracing::error!("a handshake failed unexpectedly");
                None
            })
        });
        self.under_way.push(Step {
            handshake: Box::pin(handshake),
            steps_left: Rc::clone(&self.steps_left),
        });
    }

    /// Goes on with a few of them, and gives what came of each that is done. Whoever has to wait
    /// for the next turn has it soon: the task is woken.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, mut done: impl FnMut(Option<T>)) {
        self.steps_left.set(STEPS);
        while let Poll::Ready(Some(shaken)) = self.under_way.poll_next_unpin(cx) {
            done(shaken);
        }
    }

    /// Returns whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }
}

impl<T> Future for Step<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let Some(left) = self.steps_left.get().checked_sub(1) else {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        self.steps_left.set(left);
        self.handshake.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Wake, Waker};

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_crowd_is_gone_on_with_in_turns_and_a_defect_is_met_by_one() {
        const CROWD: usize = 50;
        let steps = Rc::new(Cell::new(0));
        let mut handshakes = Handshakes::new();
        for number in 0..CROWD {
            let (steps, mut is_begun) = (Rc::clone(&steps), false);
            handshakes.add(poll_fn(move |cx| {
                steps.set(steps.get() + 1);
                assert!(number != 7, "a defect");
                if std::mem::replace(&mut is_begun, true) {
                    return Poll::Ready(Some(number));
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            }));
        }
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        let mut done = Vec::new();
        let mut turns = 0;
        while !handshakes.is_empty() {
            let before = steps.get();
            woken.0.store(false, Ordering::Relaxed);
            handshakes.poll(&mut cx, |shaken| done.push(shaken));
            assert!(steps.get() - before <= STEPS);
            assert!(handshakes.is_empty() || woken.0.load(Ordering::Relaxed));
            turns += 1;
            assert!(turns <= 2 * CROWD, "{done:?}");
        }
        assert_eq!(done.iter().filter(|shaken| shaken.is_none()).count(), 1);
        let mut numbers: Vec<_> = done.into_iter().flatten().collect();
        numbers.sort_unstable();
        let others: Vec<_> = (0..CROWD).filter(|&number| number != 7).collect();
        assert_eq!(numbers, others);
    }
}
