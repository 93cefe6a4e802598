//! After the `load` event: what was pushed and nobody claimed still takes the link, and is counted.
//!
//! The page hears of none of it, so no mark moves.

use std::future::poll_fn;
use std::task::{Context, Poll};

use futures_util::StreamExt as _;
use tokio::time::Instant;

use super::Load;
use crate::measure::page_load::incoming::Event;
use crate::measure::page_load::transfers::Stage;
use crate::measure::page_load::wants::Wants;
use crate::measure::timeline::End;

impl<P: Wants> Load<'_, P> {
    /// Counts what is pushed in vain until nothing of it is coming any more, or a limit is reached.
    pub(super) async fn settle(&mut self) {
        let until = Instant::now() + self.options.limits.settling;
        self.alarm.as_mut().reset(until);
        poll_fn(|context| self.poll_settled(context)).await;
    }

    fn poll_settled(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if !self.transfers.is_unclaimed_coming() || self.exceeded().is_some() {
                return Poll::Ready(());
            }
            let mut moved = self.wire.poll(context);
            while let Poll::Ready(Some((row, event))) = self.arriving.poll_next_unpin(context) {
                self.count(row, event);
                moved = true;
            }
            if moved {
                continue;
            }
            if self.wire.end().is_some() {
                return Poll::Ready(());
            }
            return self.alarm.as_mut().poll(context);
        }
    }

    /// Records what is heard on a stream, and tells nobody.
    fn count(&mut self, row: usize, event: Event) {
        let now = self.now();
        if let Event::Promise(promise) = event {
            let (request, response) = *promise;
            self.promised(row, &request, response);
            return;
        }
        let transfer = self.transfers.get_mut(row);
        if transfer.stage == Stage::Over {
            return;
        }
        match event {
            Event::Head(head) => {
                transfer.exchange.status = head.status().as_u16();
                transfer.exchange.first_byte.get_or_insert(now);
            }
            Event::Data(bytes) => transfer.add(&bytes, now),
            Event::Ended(Ok(())) => transfer.finish(End::Whole, now),
            Event::Ended(Err(why)) => transfer.finish(End::Failed(why), now),
            Event::Hints(_) | Event::Promise(_) => {}
        }
    }
}
