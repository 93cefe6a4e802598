//! Who may connect, as far as numbers go: no address may take the place of all others.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use crate::metrics::{Count, Metrics};

/// Bits of an IPv6 address that name a network: whoever has one has all addresses in it.
const NETWORK_BITS: u32 = 64;

/// The connections that are open, by address.
#[derive(Debug)]
pub(super) struct Admission {
    open: Mutex<HashMap<IpAddr, usize>>,
    per_address: usize,
    metrics: Arc<Metrics>,
}

/// A connection's place among those of its address, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    admission: Arc<Admission>,
    address: IpAddr,
}

impl Admission {
    /// Returns an admission of so many connections from one address.
    pub(super) fn new(per_address: usize, metrics: Arc<Metrics>) -> Arc<Self> {
        Arc::new(Self {
            open: Mutex::default(),
            per_address,
            metrics,
        })
    }

    /// Returns a place for a connection, unless its address has too many.
    pub(super) fn admit(self: &Arc<Self>, peer: IpAddr) -> Option<Ticket> {
        let address = network(peer);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(address).or_default();
        if *count >= self.per_address {
            self.metrics.count(Count::RefusedAddress);
            return None;
        }
        *count += 1;
        self.metrics.count(Count::Opened);
        Some(Ticket {
            admission: Arc::clone(self),
            address,
        })
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let Admission { open, metrics, .. } = &*self.admission;
        metrics.count(Count::Closed);
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut count) = open.entry(self.address) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// Returns what counts as one address.
fn network(address: IpAddr) -> IpAddr {
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
    fn an_address_has_so_many_places_and_no_more() {
        let admission = Admission::new(2, Arc::default());
        let admit = |address: &str| admission.admit(address.parse().unwrap());
        let (first, second) = (admit("192.0.2.1"), admit("192.0.2.1"));
        assert!(first.is_some() && second.is_some());
        assert!(admit("192.0.2.1").is_none() && admit("::ffff:192.0.2.1").is_none());
        let other = admit("192.0.2.2");
        assert!(other.is_some(), "others are not concerned");
        assert_eq!(admission.metrics.open(), 3);
        drop(first);
        let again = admit("192.0.2.1");
        assert!(again.is_some());
        drop((second, other, again));
        assert_eq!(admission.metrics.total(Count::RefusedAddress), 2);
        assert_eq!(admission.metrics.open(), 0);
        assert!(
            admission.open.lock().unwrap().is_empty(),
            "nothing is kept of who has left"
        );
    }

    #[test]
    fn a_network_is_one_address() {
        let admission = Admission::new(1, Arc::default());
        let admit = |address: &str| admission.admit(address.parse().unwrap());
        let first = admit("2001:db8::1");
        assert!(admit("2001:db8::ffff:2").is_none());
        assert!(admit("2001:db8:0:1::1").is_some());
        drop(first);
    }
}
