//! What the network half of a load asks of the page half: which resources it wants, what comes of
//! them, and when it has rendered and loaded.
//!
//! Knows neither HTML nor HTTP. Read on in `transfers`, where wants meet what is on its way.

use std::time::Duration;

use url::Url;

use super::hints::Preload;
use crate::measure::timeline::Kind;
use crate::site::links::html::Crossorigin;

/// One want of a page, counted from 0, the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WantId(pub usize);

/// One resource that a page wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// Names it.
    pub id: WantId,
    /// Absolute.
    pub url: Url,
    /// What for.
    pub kind: Kind,
    /// How it is requested: `None` is a plain `no-cors` request, or a navigation.
    pub crossorigin: Option<Crossorigin>,
    /// What named it.
    pub initiator: Option<WantId>,
    /// Whether the first render waits for it.
    pub blocks_render: bool,
    /// Urgency, 0 (first) to 7 (RFC 9218 section 4.1).
    pub urgency: u8,
    /// Whether it is of use in parts (RFC 9218 section 4.2).
    pub incremental: bool,
    /// Whether it is wanted early only: `rel=preload`.
    pub preload: bool,
}

/// When a page showed something.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PageMarks {
    /// First content of the body is drawn.
    pub first_render: Duration,
    /// The largest content is drawn.
    pub largest_content: Duration,
    /// The `load` event.
    pub load: Duration,
}

/// A page that is loading. It does no I/O; moments are durations since the navigation started.
pub trait Wants {
    /// Returns what it wants next; the document first, as [`WantId`] 0. Asked again after each
    /// input until it wants nothing more for now.
    fn next_want(&mut self) -> Option<Want>;

    /// Tells that a want was redirected: the new URL is the base of what it links to.
    fn redirected(&mut self, id: WantId, to: &Url);

    /// Tells of the head of the final response; that of the cache after a 304.
    fn head(&mut self, id: WantId, content_type: &str, status: u16, now: Duration);

    /// Hands over bytes of a body as they arrive, wherever from.
    fn data(&mut self, id: WantId, bytes: &[u8], now: Duration);

    /// Tells that no more comes; `whole` unless it failed.
    fn end(&mut self, id: WantId, whole: bool, now: Duration);

    /// Tells of a hint, and returns what is to be fetched for it, if it is of use.
    fn preload(&mut self, preload: &Preload) -> Option<Want>;

    /// Returns whether the first render waits for a want, as far as is known by now.
    fn blocks_render(&self, id: WantId) -> bool;

    /// Returns how many resources of other origins it names, which it does not want.
    fn left_out(&self) -> usize;

    /// Returns what is wrong with it, as a sentence.
    fn complaint(&self) -> Option<&str>;

    /// Returns whether the `load` event has fired.
    fn is_loaded(&self) -> bool;

    /// Returns its moments.
    fn marks(&self) -> PageMarks;

    /// Returns the fraction that is drawn from each moment on.
    fn progress(&self) -> Vec<(Duration, f64)>;
}
