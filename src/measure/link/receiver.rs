//! What a host makes of the segments that arrive: their order, and what it says of them.
//!
//! Read on in `sender`, which hears it.

use std::time::Duration;

use tokio::time::Instant;

use super::Span;
use super::wire::Acknowledgement;

/// How long an acknowledgement waits for a second segment: Linux's minimum, which it keeps to with
/// steady peers (RFC 1122 section 4.2.3.2 allows 500 ms).
const DELAYED_ACK_MAX: Duration = Duration::from_millis(40);
/// Segments that are acknowledged at once when a connection is new, so that the peer's window grows
/// fast: Linux's `TCP_MAX_QUICKACKS`.
const QUICK_ACKS: u32 = 16;

/// The receiving half of a flow.
#[derive(Debug, Default)]
pub(super) struct Receiver {
    /// Everything before this has arrived.
    next: u64,
    /// What arrived beyond a gap, the newest first.
    islands: Vec<Span>,
    segments: u32,
    /// Segments that have arrived since the last acknowledgement.
    unacknowledged: u32,
    deadline: Option<Instant>,
}

impl Receiver {
    /// Returns where the first gap is.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// Returns when what has arrived is acknowledged, if nothing happens before.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Takes a segment. Afterwards [`Self::deadline`] may be now.
    pub(super) fn receive(&mut self, segment: Span, now: Instant) {
        self.segments = self.segments.saturating_add(1);
        self.unacknowledged += 1;
        let is_regular = segment.start == self.next && self.islands.is_empty();
        if segment.start == self.next {
            self.next = segment.end;
            self.absorb();
        } else if segment.start > self.next {
            self.add_island(segment);
        }
        // Gaps, and what fills them, are told at once (RFC 5681 section 4.2).
        let is_due = !is_regular || self.unacknowledged >= 2 || self.segments <= QUICK_ACKS;
        let deadline = if is_due { now } else { now + DELAYED_ACK_MAX };
        self.deadline = Some(
            self.deadline
                .map_or(deadline, |sooner| sooner.min(deadline)),
        );
    }

    /// Returns what has arrived, to be sent now.
    pub(super) fn acknowledge(&mut self) -> Acknowledgement {
        self.unacknowledged = 0;
        self.deadline = None;
        let mut blocks = [Span::default(); 3];
        for (block, island) in blocks.iter_mut().zip(&self.islands) {
            *block = *island;
        }
        Acknowledgement {
            until: self.next,
            blocks,
        }
    }

    /// Joins the islands that the first gap no longer parts from the rest.
    fn absorb(&mut self) {
        while let Some(index) = self
            .islands
            .iter()
            .position(|island| island.start <= self.next)
        {
            let island = self.islands.remove(index);
            self.next = self.next.max(island.end);
        }
    }

    fn add_island(&mut self, segment: Span) {
        let mut joined = segment;
        self.islands.retain(|island| {
            let is_apart = island.end < joined.start || joined.end < island.start;
            if !is_apart {
                joined.start = joined.start.min(island.start);
                joined.end = joined.end.max(island.end);
            }
            is_apart
        });
        self.islands.insert(0, joined);
    }
}
