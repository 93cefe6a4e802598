//! Which offsets were dropped, and which of the log's losses that was: a reader is told of what was
//! lost since it was told last, however late the log dropped it.

use super::Event;
use super::channel::{Class, Dropped};

/// Losses of a class that are told apart. Of more, the earliest count as if they came later:
/// whoever knew of them may be told again.
const STEPS_MAX: usize = 16;

/// What was dropped, by the number of the loss.
#[derive(Debug, Clone, Default)]
pub(super) struct Drops {
    public: Steps,
    private: Steps,
    private_shared: Steps,
}

/// Losses in order, each without those before it that were of lower offsets: numbers rise, and
/// offsets fall.
#[derive(Debug, Clone, Default)]
struct Steps(Vec<Step>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    number: u64,
    offset: u64,
}

impl Drops {
    /// Notes that an event was dropped, in a loss after all others.
    pub(super) fn note(&mut self, number: u64, event: &Event) {
        let steps = match Class::of(event.is_private, event.topics.len()) {
            Class::Public => &mut self.public,
            Class::Private => &mut self.private,
            Class::PrivateShared => &mut self.private_shared,
        };
        steps.push(number, event.id.offset);
    }

    /// Notes what was dropped elsewhere, in a loss after all others. Returns what of it is news:
    /// what was not known, or is after `last`, as nobody knows which events before it were.
    pub(super) fn note_news(&mut self, number: u64, dropped: Dropped, last: u64) -> Dropped {
        let known = self.all();
        let news = |known, offset| {
            let is_news = offset > known || offset > last;
            if is_news { offset } else { 0 }
        };
        let news = Dropped {
            public: news(known.public, dropped.public),
            private: news(known.private, dropped.private),
            private_shared: news(known.private_shared, dropped.private_shared),
        };
        self.note_all(number, news);
        news
    }

    /// Notes what was dropped elsewhere, in a loss after all others.
    pub(super) fn note_all(&mut self, number: u64, dropped: Dropped) {
        self.public.push(number, dropped.public);
        self.private.push(number, dropped.private);
        self.private_shared.push(number, dropped.private_shared);
    }

    /// Adds what another has lost, by the same numbers.
    pub(super) fn join(&mut self, other: &Self) {
        self.public.join(&other.public);
        self.private.join(&other.private);
        self.private_shared.join(&other.private_shared);
    }

    /// What was dropped after a loss.
    pub(super) fn since(&self, number: u64) -> Dropped {
        Dropped {
            public: self.public.since(number),
            private: self.private.since(number),
            private_shared: self.private_shared.since(number),
        }
    }

    /// What was ever dropped.
    pub(super) fn all(&self) -> Dropped {
        self.since(0)
    }
}

impl Steps {
    fn push(&mut self, number: u64, offset: u64) {
        if offset == 0 {
            return;
        }
        while self.0.last().is_some_and(|step| step.offset <= offset) {
            self.0.pop();
        }
        self.0.push(Step { number, offset });
        self.bound();
    }

    fn join(&mut self, other: &Self) {
        if other.0.is_empty() {
            return;
        }
        self.0.extend(&other.0);
        self.0.sort_unstable();
        let mut joined: Vec<Step> = Vec::with_capacity(self.0.len());
        for step in self.0.drain(..) {
            while joined.last().is_some_and(|last| last.offset <= step.offset) {
                joined.pop();
            }
            joined.push(step);
        }
        self.0 = joined;
        self.bound();
    }

    fn bound(&mut self) {
        while self.0.len() > STEPS_MAX {
            self.0[1].offset = self.0[0].offset;
            self.0.remove(0);
        }
    }

    /// The greatest offset after a loss; 0 if there is none.
    fn since(&self, number: u64) -> u64 {
        let next = self.0.partition_point(|step| step.number <= number);
        self.0.get(next).map_or(0, |step| step.offset)
    }
}
