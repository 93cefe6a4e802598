//! Limits that are set for a server, and the count of what it holds for all its peers.
//!
//! A limit that nobody needs to set is a constant beside what it limits; `serve::limits` lists all.

use std::cell::Cell;
use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Bytes that a connection may always hold, however much all hold: a batch of frames on a slow
/// link, or what HTTP/1.1 holds of small pieces.
pub const BUFFERED_LEAST: u64 = 24 * 1024;
/// Bytes held of a body at each step of its way, where little is held: the largest buffer that the
/// allocator keeps for the next, rather than having the system clear its pages anew.
pub const PIECE_LENGTH_MAX: usize = 32 * 1024;
/// Bytes held of a body at each step of its way, where much is.
pub const PIECE_LENGTH_MIN: usize = 8 * 1024;
/// Bits of an IPv6 address that name a network: whoever has one has all addresses in it.
const NETWORK_BITS: u32 = 64;

/// What peers may take, as far as it is set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; more wait to be accepted.
    pub connections: usize,
    /// Connections at once from one address; more are closed unheard.
    pub connections_per_address: usize,
    /// Requests that a peer may have open at once on one connection.
    pub streams: u32,
    /// How long a connection is kept without a request.
    pub idle: Duration,
    /// Bytes held for all peers that have not taken them.
    pub buffered_bytes: u64,
    /// Events that one address may publish in a second.
    pub publishes_per_address: u32,
    /// Bytes of events that one address may publish in a second.
    pub published_bytes_per_address: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            connections_per_address: 4_000,
            streams: 128,
            idle: Duration::from_mins(5),
            buffered_bytes: 256 << 20,
            publishes_per_address: 1_000,
            published_bytes_per_address: 16 << 20,
        }
    }
}

/// The bytes that are held for all peers.
#[derive(Debug)]
pub struct Buffers {
    held: AtomicU64,
    most: u64,
}

impl Buffers {
    /// Returns a count of nothing yet, with a limit.
    pub fn new(most: u64) -> Arc<Self> {
        Arc::new(Self {
            held: AtomicU64::new(0),
            most,
        })
    }

    /// Returns how many bytes are held.
    pub fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Returns how many bytes each of so many connections may hold, if together they hold too many.
    pub fn share_of(&self, connections: impl FnOnce() -> u64) -> Option<u64> {
        let is_over = self.held() > self.most;
        is_over.then(|| (self.most / connections().max(1)).max(BUFFERED_LEAST))
    }

    /// Returns how many bytes to hold of a body at each step of its way: fewer where many
    /// connections hold more than half of what they may.
    pub fn piece_length(&self, connections: impl FnOnce() -> u64) -> usize {
        if self.held() <= self.most / 2 {
            return PIECE_LENGTH_MAX;
        }
        let share = self.most / 2 / connections().max(1);
        let share = usize::try_from(share).unwrap_or(usize::MAX);
        share.clamp(PIECE_LENGTH_MIN, PIECE_LENGTH_MAX)
    }

    /// Returns a part of the count.
    pub fn part(self: &Arc<Self>) -> Part {
        Part {
            buffers: Arc::clone(self),
            bytes: 0,
        }
    }
}

/// What one holder adds to the count; nothing once it is dropped.
#[derive(Debug)]
pub struct Part {
    buffers: Arc<Buffers>,
    bytes: u64,
}

impl Part {
    /// Says how many bytes it holds now.
    pub fn set(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        // Nothing is shared, or written, while nothing changes.
        if bytes > self.bytes {
            self.buffers
                .held
                .fetch_add(bytes - self.bytes, Ordering::Relaxed);
        } else if bytes < self.bytes {
            self.buffers
                .held
                .fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }

    fn add(&mut self, bytes: u64) {
        self.buffers.held.fetch_add(bytes, Ordering::Relaxed);
        self.bytes += bytes;
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.set(0);
    }
}

/// The bodies of a connection's requests that have come, and are held until they are answered.
#[derive(Debug, Clone)]
pub struct Incoming {
    buffers: Arc<Buffers>,
    held: Rc<Cell<u64>>,
}

/// One of them: nothing is held of it once it is dropped.
#[derive(Debug)]
pub struct IncomingBody {
    of: Incoming,
    part: Part,
}

impl Incoming {
    /// Returns the bodies of a connection: none yet.
    pub fn new(buffers: &Arc<Buffers>) -> Self {
        Self {
            buffers: Arc::clone(buffers),
            held: Rc::default(),
        }
    }

    /// Returns another body, of which nothing has come.
    pub fn body(&self) -> IncomingBody {
        IncomingBody {
            of: self.clone(),
            part: self.buffers.part(),
        }
    }
}

impl IncomingBody {
    /// Counts bytes that have come. Returns whether they may be held: not if the connection's
    /// bodies are more than its share, while all connections together hold too much.
    pub fn add(&mut self, bytes: usize, connections: impl FnOnce() -> u64) -> bool {
        self.of.held.update(|held| held + bytes as u64);
        self.part.add(bytes as u64);
        let share = self.of.buffers.share_of(connections);
        share.is_none_or(|share| self.of.held.get() <= share)
    }
}

impl Drop for IncomingBody {
    fn drop(&mut self) {
        self.of.held.update(|held| held - self.part.bytes);
    }
}

/// Returns what counts as one address.
pub fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let mask = u128::MAX << (u128::BITS - NETWORK_BITS);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_small_where_many_hold_much() {
        let buffers = Buffers::new(100 << 20);
        let mut part = buffers.part();
        part.set(50 << 20);
        assert_eq!(buffers.piece_length(|| 10_000), PIECE_LENGTH_MAX);
        part.set((50 << 20) + 1);
        assert_eq!(buffers.piece_length(|| 10), PIECE_LENGTH_MAX);
        assert_eq!(buffers.piece_length(|| 3_200), 16 << 10);
        assert_eq!(buffers.piece_length(|| 10_000), PIECE_LENGTH_MIN);
    }

    #[test]
    fn bodies_of_a_connection_share_what_it_may_hold() {
        let buffers = Buffers::new(100_000);
        let (one, other) = (Incoming::new(&buffers), Incoming::new(&buffers));
        let (mut first, mut second) = (one.body(), one.body());
        assert!(
            first.add(40_000, || 2) && second.add(60_000, || 2),
            "there is room"
        );
        let mut third = other.body();
        assert!(third.add(50_000, || 2), "its share");
        assert!(!third.add(1, || 2), "one more than its share");
        drop((first, second));
        assert!(third.add(1, || 2), "there is room again");
        assert_eq!(buffers.held(), 50_002);
        drop(third);
        assert_eq!((buffers.held(), other.held.get()), (0, 0));
    }

    #[test]
    fn parts_add_up_and_end() {
        let buffers = Buffers::new(1_000_000);
        let (mut one, mut other) = (buffers.part(), buffers.part());
        one.set(900_000);
        other.set(100_000);
        assert_eq!((buffers.held(), buffers.share_of(|| 2)), (1_000_000, None));
        other.set(100_001);
        assert_eq!(buffers.share_of(|| 2), Some(500_000));
        assert_eq!(buffers.share_of(|| 1_000), Some(BUFFERED_LEAST));
        drop(one);
        other.set(1);
        assert_eq!(buffers.held(), 1);
    }
}
