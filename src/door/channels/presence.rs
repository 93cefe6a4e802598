//! Who hears what: counted, and told to those who may know (Mercure's subscriptions).
//!
//! That somebody has come or gone is told by whoever reads the queue that [`Presences::new`]
//! returns: leaving is noticed where nothing can be waited for.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use aws_lc_rs::rand;
use tokio::sync::mpsc;

use super::{Publication, publication};
use crate::answer::channels::{Active, Dialect, Subscribe, Subscription};
use crate::metrics::{Count, Heard, Metrics};

/// Comings and goings that may wait to be told; more are not told. What can be asked for is right
/// all the same.
pub const TOLD_WAITING_MAX: usize = 1024;

/// Those who hear.
#[derive(Debug)]
pub(super) struct Presences {
    here: Mutex<Here>,
    told: mpsc::Sender<Publication>,
    metrics: Arc<Metrics>,
    now: fn() -> SystemTime,
}

#[derive(Debug, Default)]
struct Here {
    subscriptions: BTreeMap<u64, Vec<Subscription>>,
    came: u64,
}

/// That somebody hears, until it is dropped.
#[derive(Debug)]
pub struct Presence {
    presences: Arc<Presences>,
    number: u64,
    heard: Heard,
    is_told: bool,
}

impl Presences {
    pub(super) fn new(
        metrics: Arc<Metrics>,
        now: fn() -> SystemTime,
    ) -> (Arc<Self>, mpsc::Receiver<Publication>) {
        let (told, waiting) = mpsc::channel(TOLD_WAITING_MAX);
        let presences = Self {
            here: Mutex::default(),
            told,
            metrics,
            now,
        };
        (Arc::new(presences), waiting)
    }

    /// Notes that somebody hears in a way. `is_told`: those who may know are told of it.
    pub(super) fn come(
        self: &Arc<Self>,
        subscribe: &Subscribe,
        heard: Heard,
        is_told: bool,
    ) -> Presence {
        self.metrics.count(Count::Subscribed(heard));
        // The protocol's own matter: whoever hears a channel by its name is no subscriber of it.
        let is_told = is_told && subscribe.dialect != Dialect::Channels;
        let subscriptions = if is_told {
            subscriptions(subscribe)
        } else {
            Vec::new()
        };
        self.tell(&subscriptions, Active::Yes);
        let mut here = self.here();
        here.came += 1;
        let number = here.came;
        if is_told {
            here.subscriptions.insert(number, subscriptions);
        }
        drop(here);
        Presence {
            presences: Arc::clone(self),
            number,
            heard,
            is_told,
        }
    }

    /// Returns all subscriptions, in the order in which they began.
    pub(super) fn all(&self) -> Vec<Subscription> {
        let here = self.here();
        here.subscriptions.values().flatten().cloned().collect()
    }

    fn tell(&self, subscriptions: &[Subscription], active: Active) {
        for subscription in subscriptions {
            let event = publication(subscription.event(active), (self.now)());
            // Full, or nobody tells: see `TOLD_WAITING_MAX`.
            let _ = self.told.try_send(event);
        }
    }

    fn here(&self) -> MutexGuard<'_, Here> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Presence {
    /// Which it is, counted from 1.
    pub(in crate::door) fn number(&self) -> u64 {
        self.number
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let presences = &self.presences;
        presences.metrics.count(Count::Unsubscribed(self.heard));
        if self.is_told {
            let gone = presences.here().subscriptions.remove(&self.number);
            presences.tell(&gone.unwrap_or_default(), Active::No);
        }
    }
}

fn subscriptions(subscribe: &Subscribe) -> Vec<Subscription> {
    let subscriber = format!("urn:uuid:{}", uuid());
    let selectors = subscribe.selectors.iter();
    let subscription = |selector: &crate::answer::channels::Selector| Subscription {
        selector: selector.clone(),
        dialect: subscribe.dialect,
        subscriber: subscriber.clone(),
        payload: subscribe.grant.payload(selector).cloned(),
    };
    selectors.map(subscription).collect()
}

/// Returns a random UUID (RFC 9562 section 5.4).
fn uuid() -> String {
    let mut bytes = [0; 16];
    // Without random numbers there would be no TLS either.
    let _ = rand::fill(&mut bytes);
    bytes[6] = bytes[6] & 0x0f | 0x40;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36);
    for (index, byte) in bytes.iter().enumerate() {
        if [4, 6, 8, 10].contains(&index) {
            text.push('-');
        }
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
