//! What a host sends next: new segments as the window allows, lost ones before them.
//!
//! Losses are found from selective acknowledgements as RACK (RFC 8985) does, which is exact here,
//! as nothing on the path overtakes: once three later segments have arrived, or a loss is being
//! repaired, whatever left before the newest that arrived is lost. Below four segments under way,
//! fewer are enough (RFC 5827). What nothing comes back of is found by timeout (RFC 6298).
//!
//! ```text
//!             three later arrived: halve              all of it arrived
//!   open ------------------------------> repairing ----------------------> open
//!     \                                      | nothing came back             ^
//!      `--- nothing came back: one segment --+--> starting over -------------'
//! ```
//!
//! Knows numbers of bytes, not bytes. Read on in `path`, which carries the segments.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::window::Window;
use super::wire::Acknowledgement;
use super::{SEGMENT_BYTES, Span};

/// Later segments that have to arrive before one is taken for lost (RFC 5681 section 3.2).
const LATER_SEGMENTS: usize = 3;
/// Linux's floor under the variance term, which keeps a delayed acknowledgement from passing for a
/// loss however steady the round trip is (RFC 6298 would have the whole timeout above 1 s).
const TIMEOUT_VARIANCE_MIN: Duration = Duration::from_millis(200);
/// A timeout that is doubled stays below (RFC 6298 section 2.5).
const TIMEOUT_MAX: Duration = Duration::from_mins(1);

/// The sending half of a flow.
#[derive(Debug)]
pub(super) struct Sender {
    /// Where the bytes that were handed over end.
    accepted: u64,
    /// No more will be: the end of the stream takes a number of its own, as FIN does.
    shut: bool,
    /// The first byte that has never been sent.
    next: u64,
    /// The first byte that was not acknowledged.
    acknowledged: u64,
    outstanding: VecDeque<Outstanding>,
    /// Bytes that are on the path, as far as one can tell.
    under_way: u64,
    arrived: usize,
    lost: usize,
    departures: u64,
    /// The departure of the newest segment that is known to have arrived.
    newest_arrived: u64,
    repair: Option<Repair>,
    window: Window,
    timeout: Timeout,
    deadline: Option<Instant>,
    last_sent: Instant,
}

/// A segment that was not acknowledged in order.
#[derive(Debug)]
struct Outstanding {
    span: Span,
    sent: Instant,
    /// How many segments had left when it did, itself included.
    departure: u64,
    is_repeated: bool,
    fate: Fate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    UnderWay,
    Arrived,
    Lost,
}

/// Losses are repaired until everything that had left at their discovery is acknowledged.
#[derive(Debug, Clone, Copy)]
struct Repair {
    until: u64,
    is_starting_over: bool,
}

impl Sender {
    /// Returns the sender of a connection that was just opened, which took `handshake`.
    pub(super) fn new(window: Window, handshake: Duration, now: Instant) -> Self {
        Self {
            accepted: 0,
            shut: false,
            next: 0,
            acknowledged: 0,
            outstanding: VecDeque::new(),
            under_way: 0,
            arrived: 0,
            lost: 0,
            departures: 0,
            newest_arrived: 0,
            repair: None,
            window,
            timeout: Timeout::new(handshake),
            deadline: None,
            last_sent: now,
        }
    }

    /// Takes on more bytes.
    pub(super) fn accept(&mut self, bytes: u64, now: Instant) {
        if self.outstanding.is_empty() && self.unsent() == 0 {
            let rest = now.saturating_duration_since(self.last_sent);
            self.window.rested(rest, self.timeout.duration());
        }
        self.accepted += bytes;
    }

    /// Hears that no more bytes will come.
    pub(super) fn shut(&mut self) {
        self.shut = true;
    }

    /// Returns whether no more bytes will come.
    pub(super) fn is_shut(&self) -> bool {
        self.shut
    }

    /// Returns how many bytes were handed over.
    pub(super) fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Returns the first byte that was not acknowledged.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Returns how many bytes have never been sent.
    pub(super) fn unsent(&self) -> u64 {
        self.accepted.saturating_sub(self.next)
    }

    /// Returns where the stream ends, as far as is known.
    pub(super) fn end(&self) -> u64 {
        self.accepted + u64::from(self.shut)
    }

    /// Returns when to give up waiting for an acknowledgement.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Returns how many bytes of a segment are payload: the end of the stream is none.
    pub(super) fn payload_bytes(&self, segment: Span) -> u64 {
        segment.end.min(self.accepted) - segment.start.min(self.accepted)
    }

    /// Returns whether the window lets a segment leave.
    pub(super) fn is_ready(&self) -> bool {
        self.ready().is_some()
    }

    /// Lets a segment leave, if the window allows one. Returns it, and whether it is a new one.
    pub(super) fn send(&mut self, now: Instant) -> Option<(Span, bool)> {
        let (index, span) = self.ready()?;
        self.departures += 1;
        let segment = Outstanding {
            span,
            sent: now,
            departure: self.departures,
            is_repeated: index.is_some(),
            fate: Fate::UnderWay,
        };
        if let Some(index) = index {
            self.lost -= 1;
            self.outstanding[index] = segment;
        } else {
            self.next = span.end;
            self.outstanding.push_back(segment);
        }
        self.under_way += span.length();
        self.window.used(self.under_way);
        self.last_sent = now;
        if self.deadline.is_none() || index == Some(0) {
            self.deadline = Some(now + self.timeout.duration());
        }
        Some((span, index.is_none()))
    }

    /// Hears what has arrived.
    pub(super) fn hear(&mut self, said: &Acknowledgement, now: Instant) {
        let bytes = said.until.saturating_sub(self.acknowledged);
        let round_trip = self.take_in_order(said.until, now);
        for block in said.blocks {
            self.take_block(block);
        }
        if bytes > 0 {
            self.acknowledged = said.until;
            self.timeout.progressed();
            let waits = !self.outstanding.is_empty();
            self.deadline = waits.then(|| now + self.timeout.duration());
        }
        if self
            .repair
            .is_some_and(|repair| self.acknowledged >= repair.until)
        {
            self.repair = None;
        }
        self.find_losses();
        if bytes > 0 && self.repair.is_none_or(|repair| repair.is_starting_over) {
            self.window
                .acknowledged(bytes, round_trip, self.acknowledged, self.next, now);
        }
    }

    /// Takes everything that was not heard of for lost.
    pub(super) fn time_out(&mut self) {
        let is_again = self.repair.is_some_and(|repair| repair.is_starting_over);
        if !is_again {
            self.window.lost(self.next - self.acknowledged);
        }
        self.window.start_over();
        self.repair = Some(Repair {
            until: self.next,
            is_starting_over: true,
        });
        self.timeout.double();
        self.deadline = None;
        self.lose(|_| true);
    }

    /// Returns what would leave next, and its place if it has left before.
    fn ready(&self) -> Option<(Option<usize>, Span)> {
        let (index, span) = if self.lost > 0 {
            let is_lost = |segment: &Outstanding| segment.fate == Fate::Lost;
            let index = self.outstanding.iter().position(is_lost)?;
            (Some(index), self.outstanding[index].span)
        } else {
            let payload_end = self.accepted.min(self.next + SEGMENT_BYTES as u64);
            let is_last = payload_end == self.accepted;
            let end = if is_last { self.end() } else { payload_end };
            let start = self.next;
            (None, Span { start, end })
        };
        let fits = self.under_way + span.length() <= self.window.bytes() || self.under_way == 0;
        (span.length() > 0 && fits).then_some((index, span))
    }

    /// Lets go of what has arrived in order; returns how long the newest of it took.
    fn take_in_order(&mut self, until: u64, now: Instant) -> Option<Duration> {
        let mut first = None;
        let mut last = None;
        while let Some(segment) = self
            .outstanding
            .pop_front_if(|segment| segment.span.end <= until)
        {
            match segment.fate {
                Fate::UnderWay => self.under_way -= segment.span.length(),
                Fate::Arrived => self.arrived -= 1,
                Fate::Lost => self.lost -= 1,
            }
            self.newest_arrived = self.newest_arrived.max(segment.departure);
            // What was sent twice does not tell which of the two came (Karn; RFC 6298 section 3),
            // and what had arrived before does not tell when.
            if !segment.is_repeated && segment.fate == Fate::UnderWay {
                let took = now.saturating_duration_since(segment.sent);
                first.get_or_insert(took);
                last = Some(took);
            }
        }
        if let Some(took) = first {
            self.timeout.measured(took);
        }
        last
    }

    fn take_block(&mut self, block: Span) {
        if block.length() == 0 {
            return;
        }
        let from = self
            .outstanding
            .partition_point(|segment| segment.span.start < block.start);
        for segment in self.outstanding.range_mut(from..) {
            if segment.span.end > block.end {
                break;
            }
            match segment.fate {
                Fate::Arrived => continue,
                Fate::UnderWay => self.under_way -= segment.span.length(),
                Fate::Lost => self.lost -= 1,
            }
            segment.fate = Fate::Arrived;
            self.arrived += 1;
            self.newest_arrived = self.newest_arrived.max(segment.departure);
        }
    }

    fn find_losses(&mut self) {
        let few = self.outstanding.len() <= LATER_SEGMENTS && self.unsent() == 0;
        let enough = if few {
            self.outstanding.len().saturating_sub(1).max(1)
        } else {
            LATER_SEGMENTS
        };
        if self.repair.is_none() && self.arrived < enough {
            return;
        }
        let newest = self.newest_arrived;
        let found = self.lose(|segment| segment.departure < newest);
        if found && self.repair.is_none() {
            self.window.lost(self.next - self.acknowledged);
            self.repair = Some(Repair {
                until: self.next,
                is_starting_over: false,
            });
        }
    }

    /// Marks what is under way as lost where `is_lost` says so; returns whether any was.
    fn lose(&mut self, is_lost: impl Fn(&Outstanding) -> bool) -> bool {
        let before = self.lost;
        for segment in &mut self.outstanding {
            if segment.fate == Fate::UnderWay && is_lost(segment) {
                segment.fate = Fate::Lost;
                self.under_way -= segment.span.length();
                self.lost += 1;
            }
        }
        self.lost > before
    }
}

/// How long to wait for an acknowledgement (RFC 6298).
#[derive(Debug)]
struct Timeout {
    smoothed: Duration,
    variance: Duration,
    doublings: u32,
}

impl Timeout {
    fn new(first: Duration) -> Self {
        Self {
            smoothed: first,
            variance: first / 2,
            doublings: 0,
        }
    }

    fn duration(&self) -> Duration {
        let variance = (4 * self.variance).max(TIMEOUT_VARIANCE_MIN);
        let doubled = (self.smoothed + variance).saturating_mul(1 << self.doublings);
        doubled.min(TIMEOUT_MAX)
    }

    fn measured(&mut self, round_trip: Duration) {
        let off = self.smoothed.abs_diff(round_trip);
        self.variance = (3 * self.variance + off) / 4;
        self.smoothed = (7 * self.smoothed + round_trip) / 8;
    }

    fn progressed(&mut self) {
        self.doublings = 0;
    }

    fn double(&mut self) {
        self.doublings = (self.doublings + 1).min(16);
    }
}
