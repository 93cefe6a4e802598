//! Somebody who is told, as long as they stay and may.
//!
//! Read on in [`crate::hub::feed`], which says what they are told.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Sleep, sleep};

use super::Presence;
use crate::hub::feed::Feed;

/// Somebody who is told what happens.
#[derive(Debug)]
pub struct Listener {
    feed: Feed,
    /// Until when they may be.
    until: Option<Pin<Box<Sleep>>>,
    /// Held, so that it is known that they are here.
    _presence: Option<Presence>,
}

impl Listener {
    pub(super) fn new(feed: Feed, left: Option<Duration>, presence: Presence) -> Self {
        Self {
            feed,
            until: left.map(|left| Box::pin(sleep(left))),
            _presence: Some(presence),
        }
    }

    /// Ends it without waiting: a last piece says when to come again.
    pub fn close(&mut self) {
        self.feed.close();
    }

    /// Returns the next piece; `None`: it has ended.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(until) = &mut self.until
            && until.as_mut().poll(cx).is_ready()
        {
            // Their token has expired: they come again with another.
            self.until = None;
            self.feed.cut();
        }
        self.feed.poll_next(cx)
    }
}

impl From<Feed> for Listener {
    fn from(feed: Feed) -> Self {
        Self {
            feed,
            until: None,
            _presence: None,
        }
    }
}
