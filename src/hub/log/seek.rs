//! Where a reader begins that asks for the last event, or for a time: looked for a part at a time.

use std::sync::Arc;

use super::read::SCANNED_MAX;
use super::{Log, Place};
use crate::hub::event::Event;
use crate::hub::topics::Topics;

/// What is looked for, and how far that has come.
#[derive(Debug, Clone, Copy)]
pub(in crate::hub) enum Seek {
    /// The last event that a reader would be given: backwards, name by name, or in all events.
    Latest {
        /// How many names were looked through.
        names: usize,
        /// The offset below which the next has not been.
        below: u64,
        /// The latest that was found.
        found: Option<u64>,
    },
    /// The first event that was published at a time, milliseconds since 1970, or later.
    Time {
        /// The time.
        time_ms: u64,
        /// The offset through which all are earlier.
        after: u64,
    },
}

impl Seek {
    pub(in crate::hub) fn latest() -> Self {
        Self::Latest {
            names: 0,
            below: u64::MAX,
            found: None,
        }
    }

    pub(in crate::hub) fn time(time_ms: u64) -> Self {
        Self::Time { time_ms, after: 0 }
    }
}

impl Log {
    /// Looks on, as far as in one go. Returns the place before what is looked for once that is
    /// known, or the log's last if there is none. What was dropped before is not minded.
    pub(in crate::hub) fn seek(&self, seek: &mut Seek, topics: &Topics) -> Option<Place> {
        let found = match seek {
            Seek::Latest {
                names,
                below,
                found,
            } => {
                let mut scanned = 0;
                while !self.seek_back(topics, *names, below, found, &mut scanned)? {
                    (*names, *below) = (*names + 1, u64::MAX);
                }
                *found
            }
            Seek::Time { time_ms, after } => {
                let kept = self.kept.range(*after + 1..).take(SCANNED_MAX + 1);
                let mut found = None;
                for (scanned, (&offset, kept)) in kept.enumerate() {
                    if kept.event.time_ms >= *time_ms {
                        found = Some(offset);
                        break;
                    }
                    if scanned == SCANNED_MAX {
                        return None;
                    }
                    *after = offset;
                }
                found
            }
        };
        Some(self.told(self.id(found.map_or(self.last, |offset| offset - 1))))
    }

    /// Looks backwards through one name, or all events. Returns whether there is no other; nothing
    /// if it has not come to an end.
    fn seek_back(
        &self,
        topics: &Topics,
        name: usize,
        below: &mut u64,
        found: &mut Option<u64>,
        scanned: &mut usize,
    ) -> Option<bool> {
        let start = *below;
        let mut look = |event: &Arc<Event>| {
            if found.is_some_and(|found| event.id.offset <= found) {
                return Some(true);
            }
            if *scanned == SCANNED_MAX {
                return None;
            }
            *scanned += 1;
            *below = event.id.offset;
            if topics.only_names().is_some() && topics.may_read(event) || topics.selects(event) {
                *found = Some(event.id.offset);
                return Some(true);
            }
            Some(false)
        };
        let Some(names) = topics.only_names() else {
            for kept in self.kept.range(..start).rev() {
                if look(&kept.1.event)? {
                    break;
                }
            }
            return Some(true);
        };
        let Some(name) = names.get(name) else {
            return Some(true);
        };
        if let Some(channel) = self.channels.get(name) {
            let end = channel.index_after(start.saturating_sub(1));
            for event in channel.events.range(..end).rev() {
                if look(event)? {
                    break;
                }
            }
        }
        Some(false)
    }
}
