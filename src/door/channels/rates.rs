//! How much each address may publish.
//!
//! A bucket for each: it fills with time, and what is published empties it. What is larger than a
//! bucket is let through when it is not empty, and owed.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::door::limits::network;

/// Addresses that are counted apart; the others share.
pub const ADDRESSES_MAX: usize = 10_000;
/// How much more than in a second may come at once.
const BURST: f64 = 2.0;

/// What an address may publish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Events a second.
    pub events: u32,
    /// Bytes of data a second.
    pub bytes: u64,
}

/// What each address has published of late.
#[derive(Debug)]
pub(super) struct Rates {
    rate: Rate,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

/// What is left to an address.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    events: f64,
    bytes: f64,
    at: Instant,
}

impl Rates {
    pub(super) fn new(rate: Rate) -> Self {
        Self {
            rate,
            buckets: Mutex::default(),
        }
    }

    /// Takes an event of so many bytes from what is left to an address.
    ///
    /// # Errors
    /// Nothing is left: when to come again.
    pub(super) fn take(&self, from: IpAddr, bytes: usize, now: Instant) -> Result<(), Duration> {
        self.with_bucket(from, now, |bucket| {
            if bucket.events < 1.0 || bucket.bytes <= 0.0 {
                return Err(bucket.wait(self.rate));
            }
            bucket.events -= 1.0;
            bucket.bytes -= float(bytes as u64);
            Ok(())
        })
    }

    /// Takes more bytes of an event that was taken before its length was known.
    pub(super) fn owe(&self, from: IpAddr, bytes: usize, now: Instant) {
        self.with_bucket(from, now, |bucket| bucket.bytes -= float(bytes as u64));
    }

    fn with_bucket<T>(
        &self,
        from: IpAddr,
        now: Instant,
        change: impl FnOnce(&mut Bucket) -> T,
    ) -> T {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let mut address = network(from);
        if buckets.len() >= ADDRESSES_MAX && !buckets.contains_key(&address) {
            buckets.retain(|_, bucket| !bucket.is_full(self.rate, now));
            if buckets.len() >= ADDRESSES_MAX {
                address = Ipv6Addr::UNSPECIFIED.into();
            }
        }
        let full = Bucket::full(self.rate, now);
        let bucket = buckets.entry(address).or_insert(full);
        *bucket = bucket.filled(self.rate, now);
        change(bucket)
    }
}

impl Bucket {
    fn full(rate: Rate, now: Instant) -> Self {
        Self {
            events: f64::from(rate.events) * BURST,
            bytes: float(rate.bytes) * BURST,
            at: now,
        }
    }

    fn filled(self, rate: Rate, now: Instant) -> Self {
        let seconds = now.duration_since(self.at).as_secs_f64();
        let full = Self::full(rate, now);
        let more = |had: f64, a_second: f64, most: f64| (had + seconds * a_second).min(most);
        Self {
            events: more(self.events, f64::from(rate.events), full.events),
            bytes: more(self.bytes, float(rate.bytes), full.bytes),
            at: now,
        }
    }

    fn is_full(self, rate: Rate, now: Instant) -> bool {
        let (filled, full) = (self.filled(rate, now), Self::full(rate, now));
        filled.events >= full.events && filled.bytes >= full.bytes
    }

    fn wait(self, rate: Rate) -> Duration {
        let events = (1.0 - self.events) / f64::from(rate.events.max(1));
        let bytes = -self.bytes / float(rate.bytes.max(1));
        Duration::try_from_secs_f64(events.max(bytes).max(0.0)).unwrap_or(Duration::MAX)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a rate that is off by a byte in 2^53 is as good"
)]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        events: 10,
        bytes: 1000,
    };

    #[test]
    fn an_address_that_has_nothing_left_is_told_when_it_has() {
        let (rates, start) = (Rates::new(RATE), Instant::now());
        let (one, other) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        for _ in 0..20 {
            assert_eq!(rates.take(one, 1, start), Ok(()));
        }
        assert_eq!(rates.take(one, 1, start), Err(Duration::from_millis(100)));
        assert_eq!(rates.take(other, 1, start), Ok(()));
        let later = start + Duration::from_millis(101);
        assert_eq!(rates.take(one, 1, later), Ok(()));
        rates.take(one, 1, later).unwrap_err();
    }

    #[test]
    fn what_is_larger_than_a_bucket_is_owed() {
        let (rates, start) = (Rates::new(RATE), Instant::now());
        let from = [192, 0, 2, 1].into();
        assert_eq!(rates.take(from, 5000, start), Ok(()));
        assert_eq!(rates.take(from, 0, start), Err(Duration::from_secs(3)));
        let later = start + Duration::from_millis(3001);
        assert_eq!(rates.take(from, 0, later), Ok(()));
    }

    #[test]
    fn what_comes_of_a_body_is_owed_as_well() {
        let (rates, start) = (Rates::new(RATE), Instant::now());
        let from = [192, 0, 2, 1].into();
        assert_eq!(rates.take(from, 0, start), Ok(()));
        rates.owe(from, 1999, start);
        assert_eq!(rates.take(from, 0, start), Ok(()));
        rates.owe(from, 1, start);
        rates.take(from, 0, start).unwrap_err();
    }

    #[test]
    fn addresses_are_forgotten_and_too_many_share() {
        let (rates, start) = (Rates::new(RATE), Instant::now());
        let address = |number: usize| IpAddr::from(u32::try_from(number).unwrap().to_be_bytes());
        for number in 1..=ADDRESSES_MAX + 100 {
            let _ = rates.take(address(number), 1, start);
        }
        assert_eq!(rates.buckets.lock().unwrap().len(), ADDRESSES_MAX + 1);
        rates
            .take(address(ADDRESSES_MAX + 200), 1, start)
            .unwrap_err();
        let later = start + Duration::from_secs(9);
        assert_eq!(rates.take(address(0), 1, later), Ok(()));
        assert_eq!(rates.buckets.lock().unwrap().len(), 1);
    }
}
