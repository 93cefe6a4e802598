//! An event as Redis keeps it: JSON, and beside it what the scripts have to know of it.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::hub::Publication;
use crate::hub::log::channel::Class;

/// An event, whole.
#[derive(Serialize, Deserialize)]
pub(super) struct Stored {
    /// Tells it from what another history has in its place.
    number: u64,
    topics: Vec<String>,
    #[serde(default)]
    kind: String,
    data: String,
    retry_ms: Option<u64>,
    publisher_id: Option<String>,
    idempotency_key: Option<String>,
    is_private: bool,
    time_ms: u64,
}

/// What is known of an event without reading it.
#[derive(Serialize)]
struct Head<'a> {
    cost: usize,
    topics: &'a [String],
    /// Who is told when it is dropped: the place of its offset among those of a channel.
    class: u8,
    /// As text: a number in Lua has 53 bits.
    number: String,
}

impl Stored {
    pub(super) fn of(mut publication: Publication) -> Self {
        // As an event has them: a topic that is named twice is one channel.
        let mut topics: Vec<String> = Vec::with_capacity(publication.topics.len());
        for topic in publication.topics.drain(..) {
            if !topics.contains(&topic) {
                topics.push(topic);
            }
        }
        let retry = publication.retry.map(|retry| retry.as_millis());
        Self {
            // Of the system's random numbers; two of one log are never alike, and none is 0.
            number: RandomState::new().hash_one(publication.time_ms) | 1,
            topics,
            kind: publication.kind,
            data: publication.data,
            retry_ms: retry.map(|retry| u64::try_from(retry).unwrap_or(u64::MAX)),
            publisher_id: publication.publisher_id,
            idempotency_key: publication.idempotency_key,
            is_private: publication.is_private,
            time_ms: publication.time_ms,
        }
    }

    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let stored: Self = serde_json::from_slice(text).ok()?;
        (!stored.topics.is_empty()).then_some(stored)
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn text(&self) -> String {
        // Plain fields are always written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Returns its [`Head`], given what it costs.
    pub(super) fn head(&self, cost: usize) -> String {
        let class = match Class::of(self.is_private, self.topics.len()) {
            Class::Public => 1,
            Class::Private => 2,
            Class::PrivateShared => 3,
        };
        let head = Head {
            cost,
            topics: &self.topics,
            class,
            number: self.number.to_string(),
        };
        serde_json::to_string(&head).unwrap_or_default()
    }

    pub(super) fn publication(self) -> Publication {
        Publication {
            topics: self.topics,
            kind: self.kind,
            data: self.data,
            retry: self.retry_ms.map(Duration::from_millis),
            publisher_id: self.publisher_id,
            idempotency_key: self.idempotency_key,
            is_private: self.is_private,
            time_ms: self.time_ms,
        }
    }
}
