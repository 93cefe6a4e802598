//! What happened in one page load: every exchange with its moments, and the marks of the page.
//!
//! Plain data: `page_load` writes it, `sample` and `report` read it. Moments are durations since
//! the navigation started, before the connection is opened.

use std::fmt;
use std::time::Duration;

/// One page load.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Timeline {
    /// The URL of the document, after redirects.
    pub url: String,
    /// Everything that was fetched or promised, in the order in which it was first heard of; the
    /// document first, after the redirects that led to it.
    pub exchanges: Vec<Exchange>,
    /// Moments of the page as a whole.
    pub marks: Marks,
    /// Bytes that had arrived from the server on the transport, TLS and frames included: moments in
    /// order, and the bytes until then.
    pub arrivals: Vec<(Duration, u64)>,
    /// Fraction of the page that is drawn, from each moment on: modelled, from 0 to 1, rising.
    pub progress: Vec<(Duration, f64)>,
    /// Resources of other origins, which were not fetched.
    pub left_out: usize,
    /// What is wrong with the page, though it loaded.
    pub complaint: Option<String>,
    /// Why the page did not load to its end.
    pub failure: Option<String>,
}

/// Moments of a page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Marks {
    /// The connection is there, TLS included.
    pub connected: Duration,
    /// The first byte of the document's final response (time to first byte).
    pub first_byte: Duration,
    /// The parser has reached content of the body, and every style sheet and script that blocks
    /// rendering is there: stands for First Contentful Paint.
    pub first_render: Duration,
    /// The first render, and the page's hero image if there is one: stands for Largest Contentful
    /// Paint.
    pub largest_content: Duration,
    /// The last of the resources that delay the `load` event.
    pub load: Duration,
    /// Speed Index (the integral of what is not yet drawn), modelled.
    pub speed_index: Duration,
}

/// One resource and how it came.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    /// The absolute URL.
    pub url: String,
    /// What it is for.
    pub kind: Kind,
    /// What named it first, as an index into the exchanges; `None` for the document.
    pub initiator: Option<usize>,
    /// Whether the first render waits for it.
    pub blocks_render: bool,
    /// How its bytes came.
    pub way: Way,
    /// Status of the final response; 0 if there was none.
    pub status: u16,
    /// `content-type` of the response, or empty.
    pub content_type: String,
    /// Bytes of its body that arrived, as encoded on the wire.
    pub bytes: u64,
    /// The page was heard to need it (by its parser, its scanner, a style sheet, a hint); `None`:
    /// never, so what was pushed of it was wasted.
    pub needed: Option<Duration>,
    /// PUSH_PROMISE arrived.
    pub promised: Option<Duration>,
    /// The request left.
    pub asked: Option<Duration>,
    /// The head of the final response arrived.
    pub first_byte: Option<Duration>,
    /// The last byte arrived, or the exchange ended otherwise.
    pub last_byte: Option<Duration>,
    /// How it ended.
    pub end: End,
    /// Bytes of the body as they arrived.
    pub pieces: Vec<(Duration, u32)>,
}

/// What a resource is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The page itself.
    Document,
    /// A style sheet.
    Style,
    /// A classic script.
    Script,
    /// A module script.
    Module,
    /// A font.
    Font,
    /// An image.
    Image,
    /// Audio, video or track.
    Media,
    /// A manifest, a frame, whatever was pushed and never needed.
    Other,
}

/// How the bytes of a resource came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Way {
    /// Asked for, and sent.
    Asked,
    /// Asked for because a 103 or a `Link` named it, before the page did.
    Hinted,
    /// Pushed; adopted if [`Exchange::needed`] says when.
    Pushed,
    /// From the cache, without a request.
    Cached,
    /// From the cache, after a 304.
    Validated,
}

/// How an exchange ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// Whole.
    Whole,
    /// It had not ended when the load did.
    Open,
    /// The client cancelled it.
    Cancelled,
    /// It failed, and why.
    Failed(String),
}

/// What is compared between deliveries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Metric {
    /// [`Marks::first_byte`]
    FirstByte,
    /// [`Marks::first_render`]
    FirstRender,
    /// [`Marks::largest_content`]
    LargestContent,
    /// [`Marks::speed_index`]
    SpeedIndex,
    /// [`Marks::load`]
    Load,
}

/// Bytes and requests of a load.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Bytes that arrived on the transport.
    pub bytes: u64,
    /// Bytes of bodies that were pushed.
    pub bytes_pushed: u64,
    /// Bytes of pushed bodies that the page never needed, or held already.
    pub bytes_wasted: u64,
    /// Requests that left.
    pub requests: usize,
    /// Needed resources that were pushed, so that no request was made.
    pub requests_saved: usize,
}

impl Metric {
    /// Every metric, in the order in which they pass.
    pub const ALL: [Self; 5] = [
        Self::FirstByte,
        Self::FirstRender,
        Self::LargestContent,
        Self::SpeedIndex,
        Self::Load,
    ];

    /// Returns its moment.
    pub fn of(self, marks: &Marks) -> Duration {
        match self {
            Self::FirstByte => marks.first_byte,
            Self::FirstRender => marks.first_render,
            Self::LargestContent => marks.largest_content,
            Self::SpeedIndex => marks.speed_index,
            Self::Load => marks.load,
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FirstByte => "TTFB",
            Self::FirstRender => "first render",
            Self::LargestContent => "largest content",
            Self::SpeedIndex => "SpeedIndex",
            Self::Load => "load",
        })
    }
}

impl Timeline {
    /// Returns the sums over all exchanges.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals {
            bytes: self.arrivals.last().map_or(0, |&(_, bytes)| bytes),
            ..Totals::default()
        };
        for exchange in &self.exchanges {
            totals.requests += usize::from(exchange.asked.is_some());
            if exchange.way != Way::Pushed {
                continue;
            }
            totals.bytes_pushed += exchange.bytes;
            if exchange.needed.is_some() {
                totals.requests_saved += 1;
            } else {
                totals.bytes_wasted += exchange.bytes;
            }
        }
        totals
    }
}
