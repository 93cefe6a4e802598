//! Which events a reader wants, and which private ones it may have.
//!
//! Pure. How names are matched and who may read is decided above; here are the answers.

use std::fmt;
use std::sync::Arc;

use super::Event;

/// Names that one selection may list.
pub const NAMES_MAX: usize = 256;

/// Tells whether a topic is meant.
pub type TopicTest = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// The topics that somebody reads.
///
/// An event is selected if any of its topics is named or matched. A private one must besides have a
/// topic that the reader may read: without [`Topics::seeing_private`], there is none.
#[derive(Clone)]
pub struct Topics {
    /// In order, each once.
    pub(super) names: Box<[Arc<str>]>,
    pub(super) pattern: Pattern,
    private: Option<TopicTest>,
}

#[derive(Clone)]
pub(super) enum Pattern {
    None,
    All,
    Test(TopicTest),
}

impl Topics {
    /// Selects channels by name. What is named is found at once, however much else is published.
    pub fn named<N: Into<Arc<str>>>(names: impl IntoIterator<Item = N>) -> Self {
        let mut names: Vec<Arc<str>> = names.into_iter().map(Into::into).collect();
        names.sort_unstable();
        names.dedup();
        Self {
            names: names.into(),
            pattern: Pattern::None,
            private: None,
        }
    }

    /// Selects every channel.
    pub fn all() -> Self {
        Self {
            names: Box::default(),
            pattern: Pattern::All,
            private: None,
        }
    }

    /// Selects, besides what it names, all topics that pass a test. Each event that is published
    /// asks it.
    #[must_use]
    pub fn matching(mut self, test: TopicTest) -> Self {
        self.pattern = Pattern::Test(test);
        self
    }

    /// Lets the reader have private events that have a topic which passes a test.
    #[must_use]
    pub fn seeing_private(mut self, test: TopicTest) -> Self {
        self.private = Some(test);
        self
    }

    /// Returns whether an event is selected, and may be read.
    pub fn selects(&self, event: &Event) -> bool {
        let mut topics = event.topics.iter();
        topics.any(|topic| self.selects_topic(topic)) && self.may_read(event)
    }

    pub(super) fn selects_topic(&self, topic: &Arc<str>) -> bool {
        match &self.pattern {
            Pattern::All => true,
            Pattern::Test(test) if test(topic) => true,
            Pattern::Test(_) | Pattern::None => self.names.binary_search(topic).is_ok(),
        }
    }

    /// Returns whether an event that is selected may be read.
    pub(super) fn may_read(&self, event: &Event) -> bool {
        !event.is_private || event.topics.iter().any(|topic| self.sees_private(topic))
    }

    /// Returns whether private events of a topic may be read, or missed aloud.
    pub(super) fn sees_private(&self, topic: &str) -> bool {
        self.private.as_ref().is_some_and(|test| test(topic))
    }

    /// Returns whether any private event at all may be read.
    pub(super) fn sees_any_private(&self) -> bool {
        self.private.is_some()
    }

    /// Returns the names if nothing else is selected.
    pub(super) fn only_names(&self) -> Option<&[Arc<str>]> {
        matches!(self.pattern, Pattern::None).then_some(&*self.names)
    }
}

impl fmt::Debug for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pattern = match self.pattern {
            Pattern::None => "",
            Pattern::All => "*",
            Pattern::Test(_) => "a pattern",
        };
        f.debug_struct("Topics")
            .field("names", &self.names)
            .field("pattern", &pattern)
            .field("private", &self.private.is_some())
            .finish()
    }
}
