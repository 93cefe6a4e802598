//! How a reader is served for whom too much has gathered: what each channel's policy says of it.
//!
//! Pure. An event is of its canonical channel, whoever else hears it: that channel's policy counts.

use std::fmt;
use std::sync::Arc;

use crate::hub::event::{Event, EventId};
use crate::hub::log::{Gap, GapReason};

/// Events that may gather for a reader of a channel whose policy is to close, unless its reader
/// says another number.
pub const BEHIND_MAX: usize = 1000;

/// What becomes of what has gathered since a reader read last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Slow {
    /// It is read, however long it takes: whoever falls off the log is told.
    #[default]
    CatchUp,
    /// Of each channel the last event is read. The others are passed over, and the reader is told
    /// how many.
    Latest,
    /// The reader is cut if too much has gathered since it began to read.
    Close {
        /// Events that may gather.
        behind_max: usize,
    },
}

/// Tells the policy of a channel; shared by all readers.
#[derive(Clone)]
pub struct SlowTest(Arc<dyn Fn(&str) -> Slow + Send + Sync>);

impl SlowTest {
    /// Returns a test that asks a function.
    pub fn new(policy: impl Fn(&str) -> Slow + Send + Sync + 'static) -> Self {
        Self(Arc::new(policy))
    }

    /// Returns the policy of a channel.
    pub fn of(&self, topic: &str) -> Slow {
        (self.0)(topic)
    }
}

impl fmt::Debug for SlowTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SlowTest")
    }
}

/// A reader's policies, and what has to be remembered for them.
#[derive(Debug, Clone)]
pub struct Slowness {
    policy: SlowTest,
    /// The offset that was the last when it began: what was there before is no delay.
    joined: u64,
    /// Events after its place that count as delay, as far as they are counted.
    behind: usize,
    /// The offset through which they are counted.
    counted: u64,
    /// Events that were passed over, and nobody was told.
    passed: u64,
    /// The offset before the first of these.
    passed_after: u64,
}

impl Slowness {
    /// Returns the slowness of a reader that begins when the log's last offset is `joined`.
    pub fn new(policy: SlowTest, joined: u64) -> Self {
        Self {
            policy,
            joined,
            behind: 0,
            counted: 0,
            passed: 0,
            passed_after: 0,
        }
    }

    /// Forgets what was counted, as its reader goes on from its cursor with other topics: that is
    /// counted anew. What was there before it began stays no delay.
    pub(in crate::hub) fn recount(&mut self) {
        (self.behind, self.counted, self.passed) = (0, 0, 0);
    }

    pub(super) fn policy(&self, event: &Event) -> Slow {
        self.policy.of(&event.topics[0])
    }

    /// Returns the offset after which events are still to be counted, of a reader that is at `at`.
    pub(super) fn uncounted(&mut self, at: u64) -> u64 {
        if at >= self.counted {
            (self.behind, self.counted) = (0, at.max(self.joined));
        }
        self.counted
    }

    /// Counts an event that a reader has before it. Returns whether these are too many.
    pub(super) fn count(&mut self, event: &Event) -> bool {
        match self.policy(event) {
            Slow::Close { behind_max } => {
                self.behind += 1;
                self.behind > behind_max
            }
            Slow::CatchUp | Slow::Latest => false,
        }
    }

    pub(super) fn counted_through(&mut self, offset: u64) {
        self.counted = self.counted.max(offset);
    }

    /// Notes that an event is read.
    pub(super) fn read(&mut self, event: &Event) {
        let offset = event.id.offset;
        let is_counted = offset > self.joined && offset <= self.counted;
        if is_counted && matches!(self.policy(event), Slow::Close { .. }) {
            self.behind = self.behind.saturating_sub(1);
        }
    }

    /// Notes that an event is passed over by a reader that was at `at`.
    pub(super) fn pass(&mut self, at: u64) {
        if self.passed == 0 {
            self.passed_after = at;
        }
        self.passed += 1;
    }

    /// Begins anew in a log whose last offset is `last`, as the reader is told of a gap: it tells
    /// of what was passed over before, too.
    pub(super) fn restart(&mut self, last: u64, gap: &mut Gap) {
        if std::mem::take(&mut self.passed) > 0 && gap.reason == GapReason::Expired {
            gap.requested.offset = self.passed_after;
        }
        (self.behind, self.counted, self.joined) = (0, 0, last);
    }

    /// Takes what was passed over before a reader goes on after `at`.
    pub(in crate::hub) fn passed_over(&mut self, at: EventId) -> Option<Gap> {
        let events = std::mem::take(&mut self.passed);
        let requested = EventId {
            offset: self.passed_after,
            ..at
        };
        (events > 0).then_some(Gap {
            requested,
            resumed_after: at,
            reason: GapReason::Latest { events },
        })
    }

    /// Returns the offset before what was passed over, if nobody was told.
    pub(in crate::hub) fn untold(&self) -> Option<u64> {
        (self.passed > 0).then_some(self.passed_after)
    }
}
