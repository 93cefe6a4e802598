//! One direction of the path between two hosts: a bottleneck with a queue in front, then distance.
//!
//! Knows packets by their length only in what it does to them. Read on in `path`, which has two.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::options::LinkOptions;
use super::{HEADER_BYTES, Span};

/// Bytes of a full packet.
const PACKET_BYTES: u64 = 1500;
/// Packets that fit the queue of a link that does not say: what dummynet, and with it the studies
/// that shaped links with it, had (100 slots).
const QUEUE_PACKETS: u64 = 100;

/// What a packet carries: a segment of one flow, and what has arrived of the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Packet {
    pub(super) segment: Option<Span>,
    pub(super) acknowledgement: Acknowledgement,
}

/// What a receiver says has arrived.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Acknowledgement {
    /// Everything before this.
    pub(super) until: u64,
    /// And these, the newest first (RFC 2018 section 4); empty ones say nothing.
    pub(super) blocks: [Span; 3],
}

/// What goes one way.
#[derive(Debug)]
pub(super) struct Wire {
    rate: Option<u64>,
    delay: Duration,
    queue_bytes: u64,
    loss: f64,
    chance: SplitMix64,
    /// When the last packet of the queue has left entirely.
    busy_until: Instant,
    /// What has not arrived, and when it will: in order, as nothing overtakes.
    packets: VecDeque<(Instant, Packet)>,
    dropped: u64,
}

impl Wire {
    /// Returns an idle wire; `stream` keeps the chances of two wires apart.
    pub(super) fn new(options: &LinkOptions, rate: Option<u64>, stream: u64, now: Instant) -> Self {
        Self {
            rate,
            delay: options.round_trip / 2,
            queue_bytes: options
                .queue_bytes
                .map_or_else(|| default_queue_bytes(options.round_trip, rate), to_u64),
            loss: options.loss,
            chance: SplitMix64::new(options.seed, stream),
            busy_until: now,
            packets: VecDeque::new(),
            dropped: 0,
        }
    }

    /// Takes a packet of so many bytes of payload, or loses it.
    ///
    /// A packet is lost if more waits than the queue holds, or by chance; then it takes no time on
    /// the wire, as in netem and dummynet.
    pub(super) fn offer(&mut self, packet: Packet, payload_bytes: u64, now: Instant) {
        if self.chance.happens(self.loss) || (!self.is_felt() && self.overflows(now)) {
            self.dropped += 1;
            return;
        }
        let takes = serialisation(HEADER_BYTES + payload_bytes, self.rate);
        self.busy_until = self.busy_until.max(now) + takes;
        self.packets
            .push_back((self.busy_until + self.delay, packet));
    }

    /// Returns whether the sender sits at the bottleneck and waits for it, so that nothing queues.
    pub(super) fn is_felt(&self) -> bool {
        self.queue_bytes == 0
    }

    /// Returns when all that was taken has left.
    pub(super) fn busy_until(&self) -> Instant {
        self.busy_until
    }

    /// Returns what is under way, and when it arrives, in order.
    pub(super) fn packets(&self) -> &VecDeque<(Instant, Packet)> {
        &self.packets
    }

    /// Takes out the packet that arrives next.
    pub(super) fn arrive(&mut self) -> Option<Packet> {
        self.packets.pop_front().map(|(_, packet)| packet)
    }

    /// Returns how many packets were lost.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped
    }

    fn overflows(&self, now: Instant) -> bool {
        let waits = self.busy_until.saturating_duration_since(now);
        // The time that the queue takes tells its bytes, the rest of the packet that is leaving
        // included.
        waits > serialisation(self.queue_bytes, self.rate)
    }
}

/// Returns the time that bytes take at a rate in bits per second.
pub(super) fn serialisation(bytes: u64, rate: Option<u64>) -> Duration {
    let Some(rate) = rate else {
        return Duration::ZERO;
    };
    let nanoseconds = u128::from(bytes) * 8_000_000_000 / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

/// Returns the queue of a link that does not say: 100 packets, or what fills the link for a round
/// trip if that is more.
fn default_queue_bytes(round_trip: Duration, rate: Option<u64>) -> u64 {
    let bits = u128::from(rate.unwrap_or(0)) * round_trip.as_nanos() / 1_000_000_000;
    let product = u64::try_from(bits / 8).unwrap_or(u64::MAX);
    product.max(QUEUE_PACKETS * PACKET_BYTES)
}

fn to_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// The generator of Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014).
#[derive(Debug)]
struct SplitMix64(u64);

impl SplitMix64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

    fn new(seed: u64, stream: u64) -> Self {
        // A first number of the seed's own, so that neighbouring seeds do not share their streams.
        let start = Self(seed).next();
        Self(Self(start ^ stream).next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(Self::STEP);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Draws, and tells whether what has this probability happens.
    fn happens(&mut self, probability: f64) -> bool {
        let [.., a, b, c, d] = self.next().to_be_bytes();
        f64::from(u32::from_be_bytes([a, b, c, d])) < probability * 4_294_967_296.0
    }
}
