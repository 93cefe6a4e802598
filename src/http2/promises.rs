//! The one writer of promises on a connection.
//!
//! h2 reserves a promised id at once but writes frames of many streams round robin, so two pages
//! answered together could put their promises on the wire out of order, which ends the connection
//! (RFC 9113 section 5.1.1). One page at a time holds the permit, until the wire has shown its last
//! promise, or its stream is gone.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::server::SendResponse;

use super::stream::Made;

/// Promises that h2 dropped unsent (their page was reset first) before this connection is promised
/// nothing more: each leaves an entry in h2's books until the connection ends.
const LOST_MAX: usize = 256;
/// Promises remembered so that a refusal of one can be told from the diary.
const REMEMBERED_MAX: usize = 128;

/// Who may promise, and what was promised. Nothing is kept for a peer that is promised nothing.
#[derive(Debug, Default)]
pub(super) struct Promises(Option<Box<Books>>);

#[derive(Debug, Default)]
struct Books {
    outstanding: Option<Outstanding>,
    remembered: VecDeque<Made>,
    lost: usize,
}

#[derive(Debug)]
struct Outstanding {
    /// The stream that the promises are written on.
    page: SendResponse<Bytes>,
    made: Vec<Made>,
}

/// How outstanding promises ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Settled {
    /// All have been written.
    Written,
    /// The page was reset before: the peer never saw these.
    Lost(Vec<Made>),
}

impl Promises {
    /// Returns whether a page may promise now.
    pub(super) fn is_free(&self) -> bool {
        let books = self.0.as_ref();
        books.is_none_or(|books| books.outstanding.is_none())
    }

    /// Returns whether this connection has lost so many promises that no more are made.
    pub(super) fn is_exhausted(&self) -> bool {
        let books = self.0.as_ref();
        books.is_some_and(|books| books.lost >= LOST_MAX)
    }

    /// Takes the permit for the promises made with `page`; nothing if there are none.
    pub(super) fn hold(&mut self, page: SendResponse<Bytes>, made: &[Made]) {
        if made.is_empty() {
            return;
        }
        debug_assert!(self.is_free(), "one page at a time holds the permit");
        let books = self.0.get_or_insert_default();
        books.remembered.extend(made);
        let surplus = books.remembered.len().saturating_sub(REMEMBERED_MAX);
        books.remembered.drain(..surplus);
        books.outstanding = Some(Outstanding {
            page,
            made: made.to_vec(),
        });
    }

    /// Gives the permit back if its promises have been written, up to stream id `written`, or never
    /// will be.
    pub(super) fn settle(&mut self, cx: &mut Context<'_>, written: u32) -> Option<Settled> {
        let books = self.0.as_mut()?;
        let outstanding = books.outstanding.as_mut()?;
        if outstanding
            .made
            .last()
            .is_none_or(|made| made.id <= written)
        {
            books.outstanding = None;
            return Some(Settled::Written);
        }
        // Once its answer has begun, h2 reports a reset, and otherwise the error that it should not
        // be asked: that one means that the page still stands.
        let Poll::Ready(Ok(_)) = outstanding.page.poll_reset(cx) else {
            return None;
        };
        let outstanding = books.outstanding.take()?;
        let lost: Vec<Made> = outstanding
            .made
            .into_iter()
            .filter(|made| made.id > written)
            .collect();
        books.lost += lost.len();
        Some(Settled::Lost(lost))
    }

    /// Returns the diary key of a promise that the peer has refused, if it is still remembered.
    pub(super) fn refused(&mut self, id: u32) -> Option<u64> {
        let remembered = &mut self.0.as_mut()?.remembered;
        let place = remembered.iter().position(|made| made.id == id)?;
        remembered.remove(place).map(|made| made.key)
    }
}
