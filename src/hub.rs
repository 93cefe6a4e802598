//! Publish, read after a cursor, wait: one log of many channels, read by whoever remembers where it
//! was.
//!
//! A reader is a cursor. Nothing is queued for it, so a slow one costs what a quick one does, and
//! one that fell off the log is told. All channels share one sequence, so one cursor serves however
//! many are read, whatever the way. What is published and who reads is not known here; read on in
//! [`event`] and [`topics`] for the words, [`log`] for what is kept, [`store`] for keeping it over
//! restarts and among machines, and [`sse`] and [`poll`] for ways to deliver it.

pub mod event;
pub mod feed;
pub mod log;
pub mod poll;
pub mod sse;
pub mod store;
#[cfg(test)]
mod tests;
pub mod topics;

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

pub use self::event::{BadEventId, BadPublication, EARLIEST, Event, EventId, Publication};
pub use self::log::Place;
use self::log::seek::Seek;
pub use self::log::{BEHIND_MAX, Gap, GapReason, Limits, PageMax, Read, Slow, SlowTest};
use self::log::{Log, Losses, Slowness, Want};
pub use self::topics::{TopicTest, Topics};

/// A log that can be waited for.
pub struct Hub {
    state: Mutex<State>,
    everything: Arc<Topics>,
}

struct State {
    log: Log,
    closed: bool,
    /// Those who wait for a channel.
    waiting: HashMap<Arc<str>, Waiting>,
    /// Those who wait for whatever matches a pattern.
    waiting_for_any: Waiting,
    readers: u64,
}

/// Those who wait, by their number.
type Waiting = HashMap<u64, Waker>;

/// What follows in a log that is kept elsewhere, and is copied.
#[derive(Debug)]
struct Copied {
    /// What it has dropped, if something is missing here.
    losses: Option<Losses>,
    /// In order, after all that the copy has.
    events: Vec<(Instant, Arc<Event>)>,
    /// The offset of the last that could not be understood; 0 if all were.
    unread_through: u64,
    /// The offset through which all is here, or was dropped.
    through: u64,
}

/// What became of a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// The place of the event.
    pub id: EventId,
    /// Whether its idempotency key was known: it is the place of the first, and nothing was added.
    pub is_repeated: bool,
}

/// What a reader has seen already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// It wants what happens from now on.
    Now,
    /// It wants all that is kept, and does not mind what is not.
    Earliest,
    /// It wants the last event that there is, and what follows.
    Latest,
    /// It has seen this event, and all before it.
    Id(EventId),
    /// It wants what was published at a time, milliseconds since 1970, or later.
    Time(u64),
    /// It wants what follows a place that was looked for ([`Hub::seek`]).
    At(Place),
}

impl After {
    /// Returns what has to be looked for.
    fn sought(self) -> Option<Seek> {
        match self {
            Self::Latest => Some(Seek::latest()),
            Self::Time(time_ms) => Some(Seek::time(time_ms)),
            Self::Now | Self::Earliest | Self::Id(_) | Self::At(_) => None,
        }
    }
}

impl Hub {
    /// Returns a hub whose log is empty. `epoch` tells it from all others whose cursors readers may
    /// still hold, those of earlier runs of the program among them.
    pub fn new(epoch: u64, limits: Limits) -> Self {
        Self {
            state: Mutex::new(State {
                log: Log::new(epoch, limits),
                closed: false,
                waiting: HashMap::new(),
                waiting_for_any: Waiting::new(),
                readers: 0,
            }),
            everything: Arc::new(Topics::all()),
        }
    }

    /// Adds an event to the one channel of a hub that has one.
    pub fn publish(&self, kind: &str, data: String) -> EventId {
        let mut publication = Publication::new("", data);
        kind.clone_into(&mut publication.kind);
        self.add(publication).id
    }

    /// Adds an event, and wakes all who wait for it. For a hub of which no store keeps a copy:
    /// other publishers ask the [`store`].
    pub fn add(&self, publication: Publication) -> Published {
        let now = Instant::now();
        let mut state = self.state();
        let known =
            (publication.idempotency_key.as_deref()).and_then(|key| state.log.published_with(key));
        if let Some(id) = known {
            return Published {
                id,
                is_repeated: true,
            };
        }
        let event = Event::new(state.log.next_id(), publication);
        let id = event.id;
        let woken = state.insert(now, Arc::new(event));
        drop(state);
        // Outside the lock: whoever wakes will want it.
        wake(woken);
        Published {
            id,
            is_repeated: false,
        }
    }

    /// Adds events that have their places already.
    fn insert_all(&self, events: impl IntoIterator<Item = (Instant, Arc<Event>)>) {
        let mut woken = Vec::new();
        {
            let mut state = self.state();
            for (at, event) in events {
                woken.append(&mut state.insert(at, event));
            }
        }
        wake(woken);
    }

    /// Takes on what was read of a log that is kept elsewhere: what it has lost, and the events of
    /// it that come next. In one step, as whoever is woken by an event behind a hole has to find
    /// the hole.
    fn take_on(&self, copied: Copied) {
        let mut woken = Vec::new();
        {
            let mut state = self.state();
            let has_lost = copied.losses.is_some() || copied.unread_through > 0;
            if let Some(losses) = copied.losses {
                state.log.lose_as(losses);
            }
            for (at, event) in copied.events {
                woken.append(&mut state.insert(at, event));
            }
            state.log.lose_all_through(copied.unread_through);
            state.log.restore(Losses {
                last: copied.through,
                ..Losses::default()
            });
            if has_lost {
                woken.append(&mut state.everybody());
            }
        }
        wake(woken);
    }

    /// The place of the last event: a reader that starts here has missed nothing.
    pub fn cursor(&self) -> EventId {
        self.state().log.cursor()
    }

    /// How much its log keeps.
    pub fn limits(&self) -> Limits {
        *self.state().log.limits()
    }

    /// Returns where a reader is that names a cursor: `earliest`, a place, or an id that publishers
    /// gave, of which the earliest counts. What is none of these is a gap, not a fresh start:
    /// whoever sends it believes that it has seen something.
    pub fn after(&self, cursor: &str) -> After {
        if cursor == EARLIEST {
            return After::Earliest;
        }
        After::Id(match cursor.parse() {
            Ok(id) => id,
            Err(BadEventId) => (self.state().log)
                .with_publisher_id(cursor)
                .unwrap_or(EventId::UNKNOWN),
        })
    }

    /// Looks for where a reader of some topics begins, a part at a time: others have their turn in
    /// between. Returns the place, if it had to be looked for.
    pub async fn seek(&self, after: After, topics: &Topics) -> After {
        let Some(mut seek) = after.sought() else {
            return after;
        };
        loop {
            if let Some(place) = self.seek_on(&mut seek, topics) {
                return After::At(place);
            }
            tokio::task::yield_now().await;
        }
    }

    fn seek_on(&self, seek: &mut Seek, topics: &Topics) -> Option<Place> {
        self.with_log(|log| {
            log.trim(Instant::now());
            log.seek(seek, topics)
        })
    }

    /// Ends all waiting, now and later: what is kept can still be read.
    pub fn close(&self) {
        let woken = {
            let mut state = self.state();
            state.closed = true;
            state.everybody()
        };
        wake(woken);
    }

    /// Begins anew after the log was lost elsewhere: with that of another hub, of another epoch, so
    /// that readers are told.
    fn renew(&self, other: Self) {
        let other = other.state.into_inner();
        let log = other.unwrap_or_else(PoisonError::into_inner).log;
        let (woken, old) = {
            let mut state = self.state();
            let old = std::mem::replace(&mut state.log, log);
            (state.everybody(), old)
        };
        wake(woken);
        // Outside the lock: it may be large.
        drop(old);
    }

    fn with_log<T>(&self, look: impl FnOnce(&mut Log) -> T) -> T {
        look(&mut self.state().log)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No section leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Hub {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hub")
            .field("cursor", &self.cursor())
            .finish()
    }
}

impl State {
    /// Adds an event. Returns those to wake.
    fn insert(&mut self, now: Instant, event: Arc<Event>) -> Vec<Waker> {
        let mut woken: Vec<_> = self
            .waiting_for_any
            .drain()
            .map(|(_, waker)| waker)
            .collect();
        for topic in &event.topics {
            if let Some(waiting) = self.waiting.get_mut(topic) {
                woken.extend(waiting.drain().map(|(_, waker)| waker));
            }
        }
        self.log.insert(now, event);
        woken
    }

    fn everybody(&mut self) -> Vec<Waker> {
        let waiting = (self.waiting.values_mut()).chain([&mut self.waiting_for_any]);
        let wakers = waiting.flat_map(|waiting| waiting.drain().map(|(_, waker)| waker));
        wakers.collect()
    }

    fn wait(&mut self, number: u64, topics: &Topics, waker: &Waker) {
        let among = |waiting: &mut Waiting| {
            (waiting.entry(number))
                .or_insert_with(|| waker.clone())
                .clone_from(waker);
        };
        match topics.only_names() {
            Some(names) => {
                for name in names {
                    match self.waiting.get_mut(name) {
                        Some(waiting) => among(waiting),
                        None => among(self.waiting.entry(Arc::clone(name)).or_default()),
                    }
                }
            }
            None => among(&mut self.waiting_for_any),
        }
    }

    fn wait_no_more(&mut self, number: u64, topics: &Topics) {
        self.waiting_for_any.remove(&number);
        for name in topics.only_names().unwrap_or_default() {
            if let Some(waiting) = self.waiting.get_mut(name) {
                waiting.remove(&number);
                if waiting.is_empty() {
                    self.waiting.remove(name);
                }
            }
        }
    }
}

fn wake(woken: Vec<Waker>) {
    for waker in woken {
        waker.wake();
    }
}

/// Somebody who reads, and may wait: a place in the log that moves on as it is read.
pub struct Reader {
    hub: Arc<Hub>,
    topics: Arc<Topics>,
    place: Place,
    /// What becomes of what has gathered, where that is not simply all read.
    slowness: Option<Box<Slowness>>,
    number: u64,
    has_waited: bool,
}

impl Reader {
    /// Returns a reader of some topics that does not wait yet. Where it begins is better looked for
    /// before, by [`Hub::seek`]: else nothing is done meanwhile.
    pub fn new(hub: Arc<Hub>, topics: Arc<Topics>, after: After) -> Self {
        let found = after.sought().map(|mut seek| {
            loop {
                if let Some(place) = hub.seek_on(&mut seek, &topics) {
                    return place;
                }
            }
        });
        let (number, place) = {
            let mut state = hub.state();
            state.log.trim(Instant::now());
            state.readers += 1;
            let place = match after {
                After::Earliest => state.log.earliest(),
                After::Id(id) => Place::after(id),
                After::At(place) => place,
                After::Now | After::Latest | After::Time(_) => {
                    found.unwrap_or(Place::after(state.log.cursor()))
                }
            };
            (state.readers, place)
        };
        Self {
            hub,
            topics,
            place,
            slowness: None,
            number,
            has_waited: false,
        }
    }

    /// Says what becomes of what gathers, whatever the channel. What is there already is no delay.
    #[must_use]
    pub fn when_slow(mut self, slow: Slow) -> Self {
        if slow == Slow::CatchUp {
            self.slowness = None;
            return self;
        }
        self.when_slow_on(SlowTest::new(move |_| slow))
    }

    /// Says the same of each channel for itself.
    #[must_use]
    pub fn when_slow_on(mut self, policy: SlowTest) -> Self {
        let joined = self.hub.cursor().offset;
        self.slowness = Some(Box::new(Slowness::new(policy, joined)));
        self
    }

    /// Goes on with other topics from its cursor. What it was told is not told again, and what has
    /// gathered stays gathered.
    pub fn select(&mut self, topics: Arc<Topics>) {
        self.wait_no_more();
        self.place = self.place.sought_anew(self.cursor());
        if let Some(slowness) = &mut self.slowness {
            slowness.recount();
        }
        self.topics = topics;
    }

    fn wait_no_more(&mut self) {
        if std::mem::take(&mut self.has_waited) {
            self.hub.state().wait_no_more(self.number, &self.topics);
        }
    }

    /// Which of the hub's readers it is, counted from 1.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// Its topics.
    pub fn topics(&self) -> &Arc<Topics> {
        &self.topics
    }

    /// Where it is: whoever goes on from here misses nothing untold and has nothing twice.
    pub fn cursor(&self) -> EventId {
        let untold = self
            .slowness
            .as_ref()
            .and_then(|slowness| slowness.untold());
        EventId {
            offset: untold.unwrap_or(self.place.at.offset),
            ..self.place.at
        }
    }

    /// Returns whether something may follow already.
    pub fn has_more(&self) -> bool {
        self.place.at != self.hub.cursor()
    }

    /// Takes what was passed over before events that were just read, to be told before them; or,
    /// if there are none, before its place.
    pub fn passed_over(&mut self, read: &[Arc<Event>]) -> Option<Gap> {
        let before = |event: &Arc<Event>| EventId {
            offset: event.id.offset - 1,
            ..event.id
        };
        let at = read.first().map_or(self.place.at, before);
        self.slowness.as_deref_mut()?.passed_over(at)
    }

    /// Returns what follows, without waiting, and however much has to be passed over for it.
    pub fn read_now(&mut self, max: PageMax) -> Read {
        loop {
            // Others may want the lock.
            if let Some(read) = self.read_some(max) {
                return read;
            }
        }
    }

    /// Returns what follows as far as it is found in one go; nothing if there is more to look at.
    pub fn read_some(&mut self, max: PageMax) -> Option<Read> {
        self.turn(u64::MAX, max)
    }

    /// Returns what follows up to an event, that one among it, or all, without waiting for more to
    /// happen. Pending while much has to be passed over, so that others have their turn.
    pub fn poll_now(
        &mut self,
        cx: &mut Context<'_>,
        last: Option<EventId>,
        max: PageMax,
    ) -> Poll<Read> {
        let until = match last {
            None => u64::MAX,
            Some(last) if last.epoch == self.hub.cursor().epoch => last.offset,
            // Of another log, nothing comes before it.
            Some(_) => 0,
        };
        let Some(read) = self.turn(until, max) else {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        Poll::Ready(read)
    }

    fn turn(&mut self, until: u64, max: PageMax) -> Option<Read> {
        let want = Want {
            topics: &self.topics,
            slowness: self.slowness.as_deref_mut(),
            until,
            max,
        };
        self.hub.state().read(&mut self.place, want)
    }

    /// Returns what follows, or waits for it. `None`: the hub is closed, and all has been read.
    /// Never [`Read::Nothing`].
    pub fn poll_read(&mut self, cx: &mut Context<'_>, max: PageMax) -> Poll<Option<Read>> {
        let want = Want {
            topics: &self.topics,
            slowness: self.slowness.as_deref_mut(),
            until: u64::MAX,
            max,
        };
        let mut state = self.hub.state();
        match state.read(&mut self.place, want) {
            Some(Read::Nothing) if state.closed => Poll::Ready(None),
            Some(Read::Nothing) => {
                self.has_waited = true;
                state.wait(self.number, &self.topics, cx.waker());
                Poll::Pending
            }
            Some(read) => Poll::Ready(Some(read)),
            None => {
                drop(state);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    /// As [`Self::poll_read`]. Nothing is lost if it is dropped.
    pub async fn read(&mut self, max: PageMax) -> Option<Read> {
        poll_fn(|cx| self.poll_read(cx, max)).await
    }
}

impl State {
    /// Reads as far as in one go. Returns nothing if there is more to look at.
    fn read(&mut self, place: &mut Place, mut want: Want<'_>) -> Option<Read> {
        self.log.trim(Instant::now());
        let read = self.log.read(place, &mut want);
        let last = self.log.cursor().offset.min(want.until);
        let is_paused = matches!(read, Read::Nothing) && place.at.offset < last;
        (!is_paused).then_some(read)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.wait_no_more();
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("number", &self.number)
            .field("place", &self.place)
            .field("topics", &self.topics)
            .finish_non_exhaustive()
    }
}
