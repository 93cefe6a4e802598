//! Pages whose graph is being computed: each once, however many ask, on a few workers.
//!
//! A flight is boarded by everyone who asks for its page, and lands when the page is done (or could
//! not be done). Knows nothing of what the work is.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use crate::site::UrlPath;

/// Graphs computed at a time. They are work for the processor: more would only take it from those
/// who answer.
const WORKERS_MAX: usize = 2;

/// Pages that may wait for a worker. Whoever asks for one more is answered without it.
const QUEUE_MAX: usize = 1024;

/// All flights of a site.
#[derive(Debug, Default, Clone)]
pub(super) struct Flights(Arc<Mutex<Schedule>>);

#[derive(Debug, Default)]
struct Schedule {
    queue: VecDeque<UrlPath>,
    flights: HashMap<UrlPath, Flight>,
    workers: usize,
}

#[derive(Debug)]
struct Flight {
    departure: Instant,
    /// Dropped on landing.
    landed: watch::Sender<()>,
}

/// A place in a flight.
#[derive(Debug)]
pub(super) struct Boarding {
    /// `changed()` fails when the flight has landed.
    pub(super) landed: watch::Receiver<()>,
    /// When it was first asked for.
    pub(super) departure: Instant,
    /// To be run on a blocking thread.
    pub(super) worker: Option<Worker>,
}

/// Takes pages off the queue until it is empty.
#[derive(Debug)]
pub(super) struct Worker {
    flights: Flights,
    is_retired: bool,
}

/// Lands a flight when dropped, also if the work panics.
struct Landing<'a> {
    flights: &'a Flights,
    path: &'a UrlPath,
}

impl Flights {
    /// Joins the flight of a page, or starts it; `None` if too many wait already.
    pub(super) fn board(&self, path: &UrlPath) -> Option<Boarding> {
        let mut schedule = self.lock();
        if !schedule.flights.contains_key(path) {
            if schedule.queue.len() >= QUEUE_MAX {
                return None;
            }
            let flight = Flight {
                departure: Instant::now(),
                landed: watch::Sender::new(()),
            };
            schedule.flights.insert(path.clone(), flight);
            schedule.queue.push_back(path.clone());
        }
        let is_short = schedule.workers < WORKERS_MAX && !schedule.queue.is_empty();
        if is_short {
            schedule.workers += 1;
        }
        let flight = schedule.flights.get(path)?;
        Some(Boarding {
            landed: flight.landed.subscribe(),
            departure: flight.departure,
            worker: is_short.then(|| Worker {
                flights: self.clone(),
                is_retired: false,
            }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Schedule> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Worker {
    /// Does the work of every page in the queue.
    pub(super) fn run(mut self, work: impl Fn(&UrlPath)) {
        while let Some(path) = self.next() {
            let _landing = Landing {
                flights: &self.flights,
                path: &path,
            };
            work(&path);
        }
    }

    /// Returns the next page. Retires in the same moment in which it finds the queue empty, so that
    /// whoever queues a page either is served or sees one worker less.
    fn next(&mut self) -> Option<UrlPath> {
        let mut schedule = self.flights.lock();
        let next = schedule.queue.pop_front();
        if next.is_none() {
            schedule.workers -= 1;
            self.is_retired = true;
        }
        next
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if !self.is_retired {
            self.flights.lock().workers -= 1;
        }
    }
}

impl Drop for Landing<'_> {
    fn drop(&mut self) {
        self.flights.lock().flights.remove(self.path);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    fn path(index: usize) -> UrlPath {
        UrlPath::parse(&format!("/{index}")).unwrap()
    }

    #[test]
    fn all_who_ask_for_a_page_share_its_flight() {
        let flights = Flights::default();
        let mut first = flights.board(&path(1)).unwrap();
        let mut second = flights.board(&path(1)).unwrap();
        let worked = RefCell::new(Vec::new());
        first
            .worker
            .take()
            .unwrap()
            .run(|path| worked.borrow_mut().push(path.to_string()));
        assert_eq!(*worked.borrow(), ["/1"]);
        assert!(first.landed.has_changed().is_err() && second.landed.has_changed().is_err());
        second
            .worker
            .take()
            .unwrap()
            .run(|_| panic!("nothing is left to do"));
        assert_eq!(flights.lock().workers, 0);
    }

    #[test]
    fn a_panic_lands_its_flight_and_the_rest_is_worked_off() {
        let flights = Flights::default();
        let first = flights.board(&path(1)).unwrap();
        let second = flights.board(&path(2)).unwrap();
        let mut third = flights.board(&path(3)).unwrap();
        assert!(third.worker.is_none());
        drop(second.worker);
        let worker = first.worker.unwrap();
        catch_unwind(AssertUnwindSafe(|| worker.run(|_| panic!("a bad page")))).unwrap_err();
        assert!(first.landed.has_changed().is_err() && third.landed.has_changed().is_ok());
        third.worker = flights.board(&path(3)).unwrap().worker;
        third.worker.unwrap().run(|_| ());
        assert!(third.landed.has_changed().is_err());
    }

    #[test]
    fn the_queue_is_bounded() {
        let flights = Flights::default();
        let boarded = (0..QUEUE_MAX + 10).map(|index| flights.board(&path(index)));
        let boarded: Vec<_> = boarded.collect();
        assert_eq!(boarded.iter().flatten().count(), QUEUE_MAX);
        assert_eq!(
            boarded
                .iter()
                .flatten()
                .filter(|it| it.worker.is_some())
                .count(),
            WORKERS_MAX
        );
    }
}
