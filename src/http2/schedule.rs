//! Whose turn it is to send.
//!
//! h2 sends whatever stream has data, round robin. Here each body waits in one queue ordered by
//! class (RFC 9218 urgency, refined) and turn, and h2 is given one frame per stream and drive, or
//! several of one stream alone, only with capacity assigned: there is nothing left inside it to
//! reorder. A body that is not incremental keeps its turn; an incremental one takes a new turn for
//! every frame, so only those share (RFC 9218 section 10).
//!
//! ```text
//!           add                    send_data, end
//!    ──────────────▶ ready ───────────────────────▶ done
//!                    │  ▲ │ ▲
//!      no capacity   │  │ │ │ piece read
//!                    ▼  │ ▼ │
//!        bytes read  stalled  reading
//! ```

use std::collections::BTreeMap;
use std::io;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::{Reason, SendStream};

use crate::access_log::Entry;
use crate::door::body::Source;

/// Payload of a frame: the most that, with its header (RFC 9113 section 4.1), fills a TLS record.
pub(super) const FRAME_LENGTH: usize = 16 * 1024 - 9;
/// Room that is not worth a frame.
pub(super) const SCRAP: usize = 1024;
/// Bytes that may bypass the queue between two drains.
const BYPASS_MAX: usize = 64 * 1024;
/// A body so small that giving turns would cost more than it could delay others.
const TINY: u64 = 1024;
/// The class that nothing overtakes but the head of a page: what blocks rendering.
const URGENT: Class = Class(1);
/// Bodies without room at the peer that keep what was read of them from disk.
const STALLED_HELD_MAX: usize = 8;
/// Queued bodies above which reset ones are looked for; doubled while a look finds none.
const SWEEP_ABOVE: usize = 512;

/// How important a body is: lower is sent first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Class(pub(super) u8);

/// When a body is sent, relative to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn {
    /// Its class until `switch`.
    pub(super) class: Class,
    /// Whether it shares its class's turns (RFC 9218 section 4.2).
    pub(super) incremental: bool,
    /// From this many bytes on, another class.
    pub(super) switch: Option<(u64, Class)>,
}

/// A body on its way.
#[derive(Debug)]
pub(super) struct Job {
    /// Where it goes.
    pub(super) stream: SendStream<Bytes>,
    /// Where it comes from.
    pub(super) source: Source,
    /// When it goes.
    pub(super) turn: Turn,
    /// Whether it answers a promise, and so holds one of the streams that the peer allows.
    pub(super) pushed: bool,
    /// What the log says of it when it is done.
    pub(super) entry: Option<Box<Entry>>,
}

#[derive(Debug)]
struct Queued {
    job: Job,
    sent: u64,
    drive: u64,
}

type Key = (Class, u64);

/// The bodies of one connection.
#[derive(Debug)]
pub(super) struct Schedule {
    ready: BTreeMap<Key, Box<Queued>>,
    stalled: BTreeMap<Key, Box<Queued>>,
    reading: BTreeMap<Key, Box<Queued>>,
    next_turn: u64,
    drive: u64,
    reads: u64,
    recheck: bool,
    bypass: usize,
    queued_bytes: u64,
    pushes: usize,
    sweep_above: usize,
    done: Vec<Entry>,
    sent: Sent,
}

/// What has been given to h2 since it was last asked.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Sent {
    /// Bytes of bodies.
    pub(super) bytes: u64,
    /// Promised bodies, whole.
    pub(super) delivered: u64,
    /// Promised bodies that ended before they were whole.
    pub(super) cancelled: u64,
}

impl Schedule {
    /// Returns an empty schedule.
    pub(super) fn new() -> Self {
        Self {
            ready: BTreeMap::new(),
            stalled: BTreeMap::new(),
            reading: BTreeMap::new(),
            next_turn: 0,
            drive: 1,
            reads: 0,
            recheck: false,
            bypass: BYPASS_MAX,
            queued_bytes: 0,
            pushes: 0,
            sweep_above: SWEEP_ABOVE,
            done: Vec::new(),
            sent: Sent::default(),
        }
    }

    /// Takes a body. A small one leaves at once if that delays nobody.
    pub(super) fn add(&mut self, cx: &mut Context<'_>, job: Job) {
        let length = job.source.left();
        // What is less urgent would delay a style sheet that is asked for in the same flight.
        let delays_nobody = job.turn.class <= URGENT && self.ready.is_empty();
        let small = length <= TINY || (length <= FRAME_LENGTH as u64 && delays_nobody);
        if !small || usize::try_from(length).is_ok_and(|length| length > self.bypass) {
            return self.queue(job);
        }
        let mut queued = self.count(job);
        // It leaves whole: there is no rest for another class.
        queued.job.turn.switch = None;
        let bypassed = self.send(cx, &mut queued, FRAME_LENGTH);
        self.bypass -= usize::try_from(queued.sent)
            .unwrap_or(usize::MAX)
            .min(self.bypass);
        match bypassed {
            Progress::Done => self.finish(queued),
            Progress::Some | Progress::NoCapacity | Progress::Reading => {
                self.wait(Box::new(queued));
            }
        }
    }

    /// Takes a body whose place among others matters, however small it is.
    pub(super) fn queue(&mut self, job: Job) {
        let queued = Box::new(self.count(job));
        self.wait(queued);
    }

    fn count(&mut self, job: Job) -> Queued {
        self.queued_bytes += job.source.left();
        self.pushes += usize::from(job.pushed);
        Queued {
            job,
            sent: 0,
            drive: 0,
        }
    }

    fn wait(&mut self, queued: Box<Queued>) {
        let key = (queued.job.turn.class, self.turn());
        self.ready.insert(key, queued);
        if self.ready.len() + self.stalled.len() > self.sweep_above {
            self.sweep();
            self.sweep_above = SWEEP_ABOVE.max(2 * (self.ready.len() + self.stalled.len()));
        }
    }

    /// Readies the bodies whose next piece has been read from disk. It must be called whenever the
    /// task runs, even if there is no room: the reader wakes it only once.
    pub(super) fn wake_readers(&mut self, cx: &mut Context<'_>) {
        let keys: Vec<Key> = self.reading.keys().copied().collect();
        for key in keys {
            let Some(queued) = self.reading.get_mut(&key) else {
                continue;
            };
            // Nothing is taken, but a piece that has been read is noticed.
            let Poll::Ready(read) = queued.job.source.poll_take(cx, 0) else {
                continue;
            };
            let Some(mut queued) = self.reading.remove(&key) else {
                continue;
            };
            match read {
                Ok(_) => {
                    self.ready.insert(key, queued);
                }
                Err(error) => {
                    give_up(&mut queued.job.stream, &error);
                    self.finish(*queued);
                }
            }
        }
    }

    /// Gives h2 up to `room` bytes, in order. Returns whether it gave any. `reads` changes whenever
    /// flow control may have moved.
    pub(super) fn pump(&mut self, cx: &mut Context<'_>, room: usize, reads: u64) -> bool {
        if reads != self.reads || self.recheck {
            self.reads = reads;
            self.recheck = false;
            self.ready.append(&mut self.stalled);
        }
        let (mut given, mut any) = (0, false);
        while given + SCRAP < room {
            let Some((&key, queued)) = self.ready.first_key_value() else {
                break;
            };
            if queued.drive == self.drive {
                break;
            }
            let Some(mut queued) = self.ready.remove(&key) else {
                break;
            };
            // More than there is room for would delay what is asked for meanwhile.
            let before = queued.sent;
            let (frames, outcome) = self.send_in_turn(cx, &mut queued, room - given);
            given += usize::try_from(queued.sent - before).unwrap_or(usize::MAX);
            any |= queued.sent > before || matches!(outcome, Progress::Done);
            match outcome {
                Progress::Some => self.take_another_turn(key, queued),
                Progress::Reading => {
                    self.reading.insert(key, queued);
                }
                Progress::NoCapacity if is_alive(&mut queued.job.stream) => {
                    if self.stalled.len() >= STALLED_HELD_MAX {
                        queued.job.source.forget();
                    }
                    self.stalled.insert(key, queued);
                }
                Progress::Done | Progress::NoCapacity => self.finish(*queued),
            }
            if frames > 1 {
                // h2 would send another body's frames among these.
                break;
            }
        }
        self.drive += 1;
        any
    }

    /// Notes that everything given so far has left.
    pub(super) fn drained(&mut self) {
        self.bypass = BYPASS_MAX;
        if self.is_empty() {
            // A map that was emptied keeps 2 kB, and a connection may be idle for long.
            self.ready = BTreeMap::new();
            self.stalled = BTreeMap::new();
            self.reading = BTreeMap::new();
        }
    }

    /// Returns whether a further [`Schedule::pump`] could give something without any event.
    pub(super) fn has_ready(&self) -> bool {
        !self.ready.is_empty() || (self.recheck && !self.stalled.is_empty())
    }

    /// Returns whether nothing is queued.
    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty() && self.stalled.is_empty() && self.reading.is_empty()
    }

    /// Bytes not given to h2 yet.
    pub(super) fn queued_bytes(&self) -> u64 {
        self.queued_bytes
    }

    /// Promised bodies not given to h2 whole yet.
    pub(super) fn pushes(&self) -> usize {
        self.pushes
    }

    /// Returns what has been given to h2 since this was last asked.
    pub(super) fn take_sent(&mut self) -> Sent {
        std::mem::take(&mut self.sent)
    }

    /// Bytes that wait in pieces read from disk.
    pub(super) fn held(&self) -> usize {
        let queues = [&self.ready, &self.stalled, &self.reading];
        let bodies = queues.into_iter().flat_map(BTreeMap::values);
        bodies.map(|body| body.job.source.held()).sum()
    }

    /// Ends everything that is queued, as the connection has ended.
    pub(super) fn abandon(&mut self) {
        for queue in [&mut self.ready, &mut self.stalled, &mut self.reading] {
            for queued in std::mem::take(queue).into_values() {
                self.sent.cancelled += u64::from(queued.job.pushed);
                self.done.extend(entry(*queued));
            }
        }
    }

    /// Takes the log entries of what is done.
    pub(super) fn done(&mut self) -> impl Iterator<Item = Entry> + '_ {
        self.done.drain(..)
    }

    /// Gives a queued body another class, as PRIORITY_UPDATE asks (RFC 9218 section 7).
    pub(super) fn reprioritise(&mut self, stream_id: u32, turn: Turn) {
        for queue in [&mut self.ready, &mut self.stalled, &mut self.reading] {
            let found = queue
                .iter()
                .find(|(_, queued)| queued.job.stream.stream_id().as_u32() == stream_id)
                .map(|(&key, _)| key);
            if let Some((key, mut queued)) = found.and_then(|key| queue.remove_entry(&key)) {
                queued.job.turn = turn;
                queue.insert((turn.class, key.1), queued);
                return;
            }
        }
    }

    fn turn(&mut self) -> u64 {
        self.next_turn += 1;
        self.next_turn
    }

    fn take_another_turn(&mut self, (class, turn): Key, mut queued: Box<Queued>) {
        queued.drive = self.drive;
        let key = match queued.job.turn.switch {
            Some((offset, next)) if queued.sent >= offset => {
                queued.job.turn.switch = None;
                (next, self.turn())
            }
            _ if queued.job.turn.incremental => (class, self.turn()),
            _ => (class, turn),
        };
        self.ready.insert(key, queued);
    }

    /// Gives h2 up to `room` bytes of a body, but one frame if it shares its turns. Returns how
    /// many frames that were at most.
    fn send_in_turn(
        &mut self,
        cx: &mut Context<'_>,
        queued: &mut Queued,
        room: usize,
    ) -> (usize, Progress) {
        let turn = queued.job.turn;
        let (mut frames, mut sent) = (0, 0);
        loop {
            let before = queued.sent;
            let outcome = self.send(cx, queued, room - sent);
            frames += 1;
            sent += usize::try_from(queued.sent - before).unwrap_or(usize::MAX);
            let switches = turn.switch.is_some_and(|(offset, _)| queued.sent >= offset);
            let shares = turn.incremental || switches;
            if shares || sent + SCRAP >= room || !matches!(outcome, Progress::Some) {
                return (frames, outcome);
            }
        }
    }

    /// Gives h2 at most one frame of a body, and no more than `room` bytes.
    fn send(&mut self, cx: &mut Context<'_>, queued: &mut Queued, room: usize) -> Progress {
        let want = frame_length(queued).min(room);
        let bodies = 1 + self.ready.len() + self.stalled.len() + self.reading.len();
        let job = &mut queued.job;
        job.source.share(bodies);
        job.stream.reserve_capacity(want);
        let capacity = job.stream.capacity().min(want);
        if capacity == 0 && want > 0 {
            // An unsatisfied claim would keep its place in h2's own queue, ahead of more urgent
            // ones.
            job.stream.reserve_capacity(0);
            return Progress::NoCapacity;
        }
        let piece = match job.source.poll_take(cx, capacity) {
            Poll::Ready(Ok(piece)) => piece,
            Poll::Ready(Err(error)) => {
                give_up(&mut job.stream, &error);
                return Progress::Done;
            }
            Poll::Pending => {
                job.stream.reserve_capacity(0);
                return Progress::Reading;
            }
        };
        let (length, end) = (piece.len() as u64, job.source.left() == 0);
        if job.stream.send_data(piece, end).is_err() {
            return Progress::Done;
        }
        queued.sent += length;
        self.queued_bytes -= length;
        self.sent.bytes += length;
        if end { Progress::Done } else { Progress::Some }
    }

    fn finish(&mut self, queued: Queued) {
        self.queued_bytes -= queued.job.source.left();
        if queued.job.pushed {
            // The slot it held may open a promised stream that h2 kept waiting.
            self.pushes -= 1;
            match queued.job.source.left() {
                0 => self.sent.delivered += 1,
                _ => self.sent.cancelled += 1,
            }
            self.recheck = true;
        }
        self.done.extend(entry(queued));
    }

    /// Drops what the peer has reset, so that a flood of cancelled requests holds no memory.
    fn sweep(&mut self) {
        let mut gone = Vec::new();
        for queue in [&mut self.ready, &mut self.stalled] {
            for (&key, queued) in queue.iter_mut() {
                if !is_alive(&mut queued.job.stream) {
                    gone.push(key);
                }
            }
        }
        for key in gone {
            if let Some(queued) = self
                .ready
                .remove(&key)
                .or_else(|| self.stalled.remove(&key))
            {
                self.finish(*queued);
            }
        }
    }
}

enum Progress {
    Some,
    Done,
    NoCapacity,
    Reading,
}

/// Returns what the log says of a body that has ended, one way or the other.
fn entry(queued: Queued) -> Option<Entry> {
    let mut entry = *queued.job.entry?;
    entry.bytes = queued.sent;
    Some(entry)
}

/// Returns the length of a body's next frame, if the peer takes it.
fn frame_length(queued: &Queued) -> usize {
    let left = queued.job.source.left();
    let before_switch = match queued.job.turn.switch {
        Some((offset, _)) => offset.saturating_sub(queued.sent),
        None => left,
    };
    usize::try_from(left.min(before_switch))
        .unwrap_or(usize::MAX)
        .min(FRAME_LENGTH)
}

/// Ends a stream short of the length that was promised: never padding (RFC 9113 section 8.1.1).
fn give_up(stream: &mut SendStream<Bytes>, error: &io::Error) {
    tracing::warn!(%error, "a file changed while it was sent; its stream is reset");
    stream.send_reset(Reason::INTERNAL_ERROR);
}

/// Returns whether the peer still wants a stream.
pub(super) fn is_alive(stream: &mut SendStream<Bytes>) -> bool {
    let mut cx = Context::from_waker(std::task::Waker::noop());
    stream.poll_reset(&mut cx).is_pending()
}
