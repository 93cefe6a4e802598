//! Futures that a connection waits for: most of the time none.

use std::future::Future;
use std::task::{Context, Poll};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

/// Futures in any order, for which nothing is kept while there are none.
pub(super) struct Pending<F>(Option<Box<FuturesUnordered<F>>>);

impl<F> Default for Pending<F> {
    fn default() -> Self {
        Self(None)
    }
}

impl<F: Future> Pending<F> {
    pub(super) fn push(&mut self, future: F) {
        self.0.get_or_insert_default().push(future);
    }

    pub(super) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |futures| futures.len())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns what has come of one of them.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<F::Output> {
        let Some(futures) = &mut self.0 else {
            return Poll::Pending;
        };
        match futures.poll_next_unpin(cx) {
            Poll::Ready(Some(output)) => Poll::Ready(output),
            Poll::Ready(None) => {
                self.0 = None;
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
        }
    }
}
