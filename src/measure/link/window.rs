//! How much a sender may have under way: the congestion window.
//!
//! Slow start and congestion avoidance as RFC 5681 section 3.1 has them, counted in bytes (RFC
//! 3465), with Linux's additions that a page load feels: slow start ends when the round trip grows
//! or acknowledgements fill half of it (`HyStart`), a window that was not used does not grow, and a
//! rest shrinks it. Reno, not CUBIC: for the few seconds of a page load they differ little, and
//! this one needs integers only, so that it is the same everywhere.
//!
//! Knows nothing of single segments. Read on in `sender`.

use std::time::Duration;

use tokio::time::Instant;

/// Bytes of payload in a full segment.
const SEGMENT: u64 = super::SEGMENT_BYTES as u64;
/// A window that never limits.
const UNLIMITED: u64 = u64::MAX / 4;
/// `HyStart`: below this many segments slow start never ends early.
const HYSTART_SEGMENTS_MIN: u64 = 16;
/// `HyStart`: round trips that are measured before a round is judged.
const HYSTART_SAMPLES: u32 = 8;
/// `HyStart`: growth of the round trip that ends slow start is an eighth of it, within these.
const HYSTART_GROWTH: [Duration; 2] = [Duration::from_millis(4), Duration::from_millis(16)];

/// `HyStart`: acknowledgements that are no farther apart belong to one train.
const HYSTART_GAP_MAX: Duration = Duration::from_millis(2);

/// The congestion window of a sender.
#[derive(Debug)]
pub(super) struct Window {
    initial: u64,
    bytes: u64,
    /// Slow start below, congestion avoidance from here.
    threshold: u64,
    /// Bytes that were acknowledged towards the next step of congestion avoidance.
    counted: u64,
    round: Round,
    /// The most that was under way in the round before.
    used_before: u64,
    round_trip_min: Duration,
}

/// A round: from one byte leaving to its acknowledgement.
#[derive(Debug, Default)]
struct Round {
    end: u64,
    /// The most that was under way.
    used: u64,
    samples: u32,
    /// The shortest round trip.
    shortest: Option<Duration>,
    /// From when to when acknowledgements have come close together.
    train: Option<(Instant, Instant)>,
}

impl Window {
    /// Returns the window of a new connection.
    pub(super) fn new(first_flight_segments: Option<u32>) -> Self {
        let initial = first_flight_segments
            .map_or(UNLIMITED, |segments| u64::from(segments.max(1)) * SEGMENT);
        Self {
            initial,
            bytes: initial,
            threshold: UNLIMITED,
            counted: 0,
            round: Round::default(),
            used_before: 0,
            round_trip_min: Duration::MAX,
        }
    }

    /// Returns the bytes that may be under way.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Hears how much is under way, after a segment has left.
    pub(super) fn used(&mut self, bytes: u64) {
        self.round.used = self.round.used.max(bytes);
    }

    /// Hears that bytes up to `until` were acknowledged in order, of those up to `next` that have
    /// left, how long the newest of them took, and what time it is.
    pub(super) fn acknowledged(
        &mut self,
        bytes: u64,
        round_trip: Option<Duration>,
        until: u64,
        next: u64,
        now: Instant,
    ) {
        if self.initial == UNLIMITED {
            return;
        }
        if until > self.round.end {
            self.used_before = self.round.used;
            self.round = Round {
                end: next,
                ..Round::default()
            };
        }
        if let Some(round_trip) = round_trip {
            self.measured(round_trip);
        }
        self.passed(now);
        self.grow(bytes);
    }

    /// Halves the window: something was lost of so many bytes under way (RFC 5681 section 3.2).
    pub(super) fn lost(&mut self, under_way: u64) {
        if self.initial != UNLIMITED {
            self.threshold = (under_way / 2).max(2 * SEGMENT);
            self.bytes = self.threshold;
            self.counted = 0;
        }
    }

    /// Starts over with one segment: nothing came back in time (RFC 5681 section 3.1).
    pub(super) fn start_over(&mut self) {
        if self.initial != UNLIMITED {
            self.bytes = SEGMENT;
        }
    }

    /// Shrinks the window after a rest: by half for each timeout that has passed, not below its
    /// start (RFC 5681 section 4.1; the halving is Linux's).
    pub(super) fn rested(&mut self, rest: Duration, timeout: Duration) {
        if rest <= timeout || self.bytes <= self.initial {
            return;
        }
        self.threshold = self.threshold.max(self.bytes / 4 * 3);
        let mut left = rest;
        while left > timeout && self.bytes > self.initial {
            left -= timeout;
            self.bytes /= 2;
        }
        self.bytes = self.bytes.max(self.initial);
        self.used_before = 0;
        self.round = Round::default();
    }

    /// Ends slow start where the round trip has grown: the queue fills (Ha and Rhee, "Taming the
    /// elephants: new TCP slow start", 2011; thresholds as in RFC 9406 section 4.2).
    fn measured(&mut self, round_trip: Duration) {
        self.round_trip_min = self.round_trip_min.min(round_trip);
        let round = &mut self.round;
        round.samples += 1;
        let shortest = round
            .shortest
            .map_or(round_trip, |shortest| shortest.min(round_trip));
        round.shortest = Some(shortest);
        let [growth_min, growth_max] = HYSTART_GROWTH;
        let growth = (self.round_trip_min / 8).clamp(growth_min, growth_max);
        if round.samples >= HYSTART_SAMPLES && shortest >= self.round_trip_min + growth {
            self.end_slow_start();
        }
    }

    /// Ends slow start where acknowledgements have come without a pause for half a round trip: what
    /// is under way takes the link that long already (Ha and Rhee).
    fn passed(&mut self, now: Instant) {
        let (start, last) = self.round.train.unwrap_or((now, now));
        if now.saturating_duration_since(last) > HYSTART_GAP_MAX {
            return;
        }
        self.round.train = Some((start, now));
        let half = self.round_trip_min / 2;
        if half > Duration::ZERO && now.saturating_duration_since(start) > half {
            self.end_slow_start();
        }
    }

    fn end_slow_start(&mut self) {
        if self.bytes < self.threshold && self.bytes >= HYSTART_SEGMENTS_MIN * SEGMENT {
            self.threshold = self.bytes;
        }
    }

    fn grow(&mut self, bytes: u64) {
        let used = self.round.used.max(self.used_before);
        if self.bytes < self.threshold {
            // A window that was not used says nothing about the path (RFC 7661 section 4.2; the
            // factor is Linux's).
            if self.bytes < 2 * used {
                self.bytes = (self.bytes + bytes).min(self.threshold);
            }
        } else if used + SEGMENT > self.bytes {
            self.counted += bytes;
            if self.counted >= self.bytes {
                self.counted -= self.bytes;
                self.bytes += SEGMENT;
            }
        }
    }
}
