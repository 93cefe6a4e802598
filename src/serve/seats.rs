//! Who may connect, as far as numbers go: no address may take the place of all others.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::door::limits::network;

/// The connections that are open, by address.
#[derive(Debug)]
pub(super) struct Seats {
    taken: Mutex<HashMap<IpAddr, usize>>,
    per_address: usize,
}

/// A connection's seat among those of its address, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    seats: Arc<Seats>,
    address: IpAddr,
}

impl Seats {
    /// Returns so many seats for each address.
    pub(super) fn new(per_address: usize) -> Arc<Self> {
        Arc::new(Self {
            taken: Mutex::default(),
            per_address,
        })
    }

    /// Returns a seat for a connection, unless its address has too many.
    pub(super) fn take(self: &Arc<Self>, peer: IpAddr) -> Option<Seat> {
        let address = network(peer);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(address).or_default();
        if *count >= self.per_address {
            return None;
        }
        *count += 1;
        Some(Seat {
            seats: Arc::clone(self),
            address,
        })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let taken = &self.seats.taken;
        let mut taken = taken.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = taken.entry(self.address) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_seats_and_no_more() {
        let seats = Seats::new(2);
        let take = |address: &str| seats.take(address.parse().unwrap());
        let (first, second) = (take("192.0.2.1"), take("192.0.2.1"));
        assert!(first.is_some() && second.is_some());
        assert!(take("192.0.2.1").is_none() && take("::ffff:192.0.2.1").is_none());
        let other = take("192.0.2.2");
        assert!(other.is_some(), "others are not concerned");
        drop(first);
        let again = take("192.0.2.1");
        assert!(again.is_some());
        drop((second, other, again));
        assert!(
            seats.taken.lock().unwrap().is_empty(),
            "nothing is kept of who has left"
        );
    }

    #[test]
    fn a_network_is_one_address() {
        let seats = Seats::new(1);
        let take = |address: &str| seats.take(address.parse().unwrap());
        let first = take("2001:db8::1");
        assert!(take("2001:db8::ffff:2").is_none());
        assert!(take("2001:db8:0:1::1").is_some());
        drop(first);
    }
}
