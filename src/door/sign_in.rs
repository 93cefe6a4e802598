//! Who may have credentials verified, and when: it takes long, so nobody may keep others from it.
//!
//! Each address has one turn at a time, and addresses take turns with each other, so that whoever
//! guesses passwords waits behind whoever signs in, and never the other way round. Knows nothing of
//! passwords.
//!
//! ```text
//!   turn ──▶ in line of its address ──▶ in line of all ──▶ Turn, until it is dropped
//!      └─ too many, or too long ─▶ None: 503
//! ```

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::limits::network;

/// Requests whose credentials wait to be verified, or are.
pub const WAITING_MAX: usize = 1024;
/// The same of one address: what one connection may ask at once, and some.
pub const WAITING_OF_ADDRESS_MAX: usize = 160;
/// From asking for a turn to having it.
pub const WAIT_MAX: Duration = Duration::from_secs(10);

/// The turns at verifying.
#[derive(Debug)]
pub struct SignIns {
    turns: Arc<Semaphore>,
    lines: Mutex<Lines>,
}

#[derive(Debug, Default)]
struct Lines {
    of_address: HashMap<IpAddr, Line>,
    waiting: usize,
}

/// Who waits at one address.
#[derive(Debug)]
struct Line {
    turn: Arc<Semaphore>,
    waiting: usize,
}

/// A place in line, given back when it is dropped.
#[derive(Debug)]
struct Place {
    sign_ins: Arc<SignIns>,
    address: IpAddr,
    turn: Arc<Semaphore>,
}

/// Leave to verify, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    _of_all: OwnedSemaphorePermit,
    _of_address: OwnedSemaphorePermit,
    _place: Place,
}

impl Default for SignIns {
    /// Returns turns for all cores but one: the others go on answering.
    fn default() -> Self {
        Self::new(at_once(
            std::thread::available_parallelism().map_or(1, usize::from),
        ))
    }
}

/// Returns how many credentials are verified at once on so many cores.
pub fn at_once(cores: usize) -> usize {
    cores.saturating_sub(1).max(1)
}

impl SignIns {
    /// Returns turns, of which so many are had at once.
    pub fn new(at_once: usize) -> Self {
        Self {
            turns: Arc::new(Semaphore::new(at_once)),
            lines: Mutex::default(),
        }
    }

    /// Waits for a turn; `None` if too many wait, or it takes too long.
    pub async fn turn(self: &Arc<Self>, peer: IpAddr) -> Option<Turn> {
        let place = self.line_up(network(peer))?;
        let permits = async {
            // The semaphores are never closed.
            let of_address = Arc::clone(&place.turn).acquire_owned().await.ok()?;
            let of_all = Arc::clone(&self.turns).acquire_owned().await.ok()?;
            Some((of_all, of_address))
        };
        let (of_all, of_address) = timeout(WAIT_MAX, permits).await.ok()??;
        Some(Turn {
            _of_all: of_all,
            _of_address: of_address,
            _place: place,
        })
    }

    fn line_up(self: &Arc<Self>, address: IpAddr) -> Option<Place> {
        let mut lines = self.lines();
        let of_address = lines.of_address.get(&address);
        let waiting = of_address.map_or(0, |line| line.waiting);
        if lines.waiting >= WAITING_MAX || waiting >= WAITING_OF_ADDRESS_MAX {
            return None;
        }
        lines.waiting += 1;
        let line = lines.of_address.entry(address).or_insert_with(|| Line {
            turn: Arc::new(Semaphore::new(1)),
            waiting: 0,
        });
        line.waiting += 1;
        Some(Place {
            sign_ins: Arc::clone(self),
            address,
            turn: Arc::clone(&line.turn),
        })
    }

    fn lines(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut lines = self.sign_ins.lines();
        lines.waiting -= 1;
        if let Entry::Occupied(mut line) = lines.of_address.entry(self.address) {
            line.get_mut().waiting -= 1;
            if line.get().waiting == 0 {
                line.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    fn address(number: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(0xc000_0200 + number).into()
    }

    #[test]
    fn a_core_is_left_to_answers() {
        assert_eq!([1, 2, 8].map(at_once), [1, 1, 7]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_has_a_turn_at_a_time_and_others_are_not_behind_it() {
        let sign_ins = Arc::new(SignIns::new(2));
        let guessing = sign_ins.turn(address(1)).await.unwrap();
        let more: Vec<_> = (1..WAITING_OF_ADDRESS_MAX)
            .map(|_| {
                let sign_ins = Arc::clone(&sign_ins);
                tokio::spawn(async move { sign_ins.turn(address(1)).await })
            })
            .collect();
        while sign_ins.lines().waiting < WAITING_OF_ADDRESS_MAX {
            tokio::task::yield_now().await;
        }
        let started = Instant::now();
        assert!(sign_ins.turn(address(1)).await.is_none(), "one too many");
        assert!(sign_ins.turn(address(2)).await.is_some());
        assert_eq!(started.elapsed(), Duration::ZERO);
        for waiting in more {
            assert!(
                waiting.await.unwrap().is_none(),
                "it is still being verified"
            );
        }
        assert_eq!(started.elapsed(), WAIT_MAX);
        drop(guessing);
        assert!(sign_ins.turn(address(1)).await.is_some());
        assert!(sign_ins.lines().of_address.is_empty());
        assert_eq!(sign_ins.lines().waiting, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_wait_and_no_more() {
        let sign_ins = Arc::new(SignIns::new(1));
        let all = u32::try_from(WAITING_MAX).unwrap();
        let places: Vec<_> = (0..all).map(|one| sign_ins.line_up(address(one))).collect();
        assert!(places.iter().all(Option::is_some));
        assert!(sign_ins.turn(address(all)).await.is_none());
        drop(places);
        assert!(sign_ins.turn(address(all)).await.is_some());
    }
}
