//! One peer: handshake, requests, turns, and what it already holds.
//!
//! Everything happens in one task, so nothing is locked and nothing is shared but the service. The
//! driver takes requests, has them answered ([`answers`]; about channels: [`replies`]), gives
//! turns, and flushes when nobody has more to say.

mod answers;
mod replies;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use http::{StatusCode, Version};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, Sleep};
use tokio_rustls::server::TlsStream;

use self::answers::{Asked, Preparing};
use self::replies::{REPLIES_AT_ONCE, Replying};
use super::outbox::{Channel, Outbox};
use super::pending::Pending;
use super::priority::{self, Priority};
use super::promises::{Promises, Settled};
use super::schedule::{SCRAP, Schedule, Sent};
use super::subscribers::Subscribers;
use super::wake::Alarm;
use crate::answer::{Held, Moment, Pushes, Rank};
use crate::door::limits::{Incoming, Part};
use crate::door::{self, Covered, Service};
use crate::metrics::Count;

/// Bytes of a request's header, as HPACK counts them (RFC 9113 section 6.5.2).
pub const HEADER_BYTES_MAX: u32 = 16 * 1024;
/// From the end of the TLS handshake to the client's preface.
pub const PREFACE_WAIT_MAX: Duration = Duration::from_secs(10);
/// With answers waiting, and not a byte of them taken.
pub const STALL_MAX: Duration = Duration::from_mins(1);
/// What each field of a header counts besides its name and value (RFC 9113 section 6.5.2).
pub const FIELD_OVERHEAD: u32 = 32;
/// Streams that a peer may open and reset in one breath (CVE-2023-44487).
pub const RESETS_MAX: f64 = 1_000.0;
/// How many more it may in each second.
pub const RESETS_A_SECOND: f64 = 100.0;
/// CONTINUATION frames of a header that do not end it: h2's own, for headers so long
/// (CVE-2024-27316).
pub const CONTINUATIONS_MAX: usize = 5;
/// Streams that the peer makes us reset, by errors of its own (made-you-reset, CVE-2025-8671).
pub const LOCAL_RESETS_MAX: usize = 1024;
/// Streams that are reset before they were looked at, at once.
pub const UNSEEN_RESETS_MAX: usize = 20;
/// Bytes of request bodies in flight: nothing here has a use for any.
pub const RECEIVE_WINDOW: u32 = 64 * 1024;
/// The largest window there is (RFC 9113 section 6.9.1).
const WINDOW_MAX: u32 = (1 << 31) - 1;

/// Requests taken before the other connections of the runtime have their turn.
const REQUESTS_AT_ONCE: usize = 128;
/// Bytes given to h2 between two flushes, after one that had to wait and after many that did not.
const BATCH_SMALL: usize = 16 * 1024;
const BATCH_LARGE: usize = 64 * 1024;

/// Serves a peer until it leaves, fails, or is drained.
pub fn run<T: AsyncRead + AsyncWrite + Unpin>(
    stream: TlsStream<T>,
    peer: IpAddr,
    service: Arc<Service>,
    drain: watch::Receiver<bool>,
) -> impl Future<Output = ()> {
    // Not within the future, which would keep room for its argument as long as it lives.
    let outbox = Rc::new(RefCell::new(Outbox::new(stream)));
    async move {
        // Of its own, so that an idle connection keeps no room for it.
        let has_channels = service.channels.is_some();
        let streams_max = service.limits.streams;
        let shaking = Box::pin(shake_hands(&outbox, peer, streams_max, has_channels));
        let Some(h2) = shaking.await else { return };
        let mut connection = Connection::new(h2, outbox, peer, service, drain);
        poll_fn(|cx| connection.poll(cx)).await;
    }
}

/// Exchanges prefaces (RFC 9113 section 3.4).
async fn shake_hands<T: AsyncRead + AsyncWrite + Unpin>(
    outbox: &Rc<RefCell<Outbox<T>>>,
    peer: IpAddr,
    streams_max: u32,
    has_channels: bool,
) -> Option<Io<T>> {
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(streams_max)
        .max_header_list_size(HEADER_BYTES_MAX)
        .max_local_error_reset_streams(Some(LOCAL_RESETS_MAX))
        .max_pending_accept_reset_streams(UNSEEN_RESETS_MAX)
        .initial_window_size(RECEIVE_WINDOW)
        .initial_connection_window_size(RECEIVE_WINDOW);
    if has_channels {
        // What a stalled WebSocket is not read counts against the connection: all of them together
        // leave room for another (RFC 9113 section 6.9.1).
        let streams = streams_max.saturating_add(1);
        let window = RECEIVE_WINDOW.saturating_mul(streams).min(WINDOW_MAX);
        builder
            .enable_connect_protocol()
            .initial_connection_window_size(window);
    }
    let mut handshake = builder.handshake::<_, Bytes>(Channel(Rc::clone(outbox)));
    // A client may wait for the server's SETTINGS, so what the handshake writes is flushed.
    let handshake = poll_fn(|cx| {
        outbox.borrow_mut().look();
        let done = Pin::new(&mut handshake).poll(cx);
        if done.is_pending() {
            // A failure shows at the next read.
            let _ = outbox.borrow_mut().poll_drain(cx);
        }
        done
    });
    match tokio::time::timeout(PREFACE_WAIT_MAX, handshake).await {
        Ok(Ok(h2)) => return Some(h2),
        Ok(Err(error)) => tracing::debug!(%peer, %error, "no HTTP/2 preface"),
        Err(_) => tracing::debug!(%peer, "no HTTP/2 preface in time"),
    }
    None
}

async fn drained(mut drain: watch::Receiver<bool>) {
    // A closed channel means that nobody will ever ask.
    if drain.wait_for(|drain| *drain).await.is_err() {
        std::future::pending::<()>().await;
    }
}

type Io<T> = h2::server::Connection<Channel<T>, Bytes>;

struct Connection<T: AsyncRead + AsyncWrite + Unpin> {
    h2: Io<T>,
    /// What h2 wakes this task by.
    alarm: Arc<Alarm>,
    waker: Waker,
    outbox: Rc<RefCell<Outbox<T>>>,
    peer: IpAddr,
    service: Arc<Service>,
    moment: Moment,
    covered: Covered,
    held: Held,
    preparing: Pending<Preparing>,
    /// Pages whose promises wait for the permit; at most `limits.streams`, as each holds a stream.
    waiting: VecDeque<Asked>,
    promises: Promises,
    schedule: Schedule,
    subscribers: Subscribers,
    /// Requests about channels: some of them wait for an event, and nobody is to blame.
    replying: Pending<Replying>,
    /// Of them, how many may be spent before other connections have their turn.
    replies_left: usize,
    /// How many requests may be taken before other connections have their turn.
    requests_left: usize,
    batch: usize,
    /// Resets that the peer has left, and when that was so.
    resets_left: (f64, Instant),
    draining: bool,
    drain: Pin<Box<dyn Future<Output = ()>>>,
    active: Instant,
    timer: Pin<Box<Sleep>>,
    /// Counts what waits for the peer to take it, among all that is held.
    buffered: Part,
    /// What has come of requests that are not answered.
    incoming: Incoming,
}

/// What has come of requests.
enum Taken {
    Some,
    None,
    /// The connection has ended.
    Ended,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Drop for Connection<T> {
    /// Says what it has done, also if it is cut off; not if a defect of ours has ended it, as a
    /// second one here would end the process.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.schedule.abandon();
            self.subscribers.abandon();
            self.write_log();
        }
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Connection<T> {
    /// Takes a connection whose prefaces have been exchanged.
    fn new(
        h2: Io<T>,
        outbox: Rc<RefCell<Outbox<T>>>,
        peer: IpAddr,
        service: Arc<Service>,
        drain: watch::Receiver<bool>,
    ) -> Box<Self> {
        let patience = STALL_MAX.min(service.limits.idle);
        let alarm = Alarm::new();
        Box::new(Self {
            h2,
            waker: Waker::from(Arc::clone(&alarm)),
            alarm,
            outbox,
            peer,
            moment: service.moment(),
            buffered: service.buffers.part(),
            incoming: Incoming::new(&service.buffers),
            service,
            covered: Covered::default(),
            held: Held::default(),
            preparing: Pending::default(),
            waiting: VecDeque::new(),
            promises: Promises::default(),
            schedule: Schedule::new(),
            subscribers: Subscribers::default(),
            replying: Pending::default(),
            replies_left: 0,
            requests_left: 0,
            batch: BATCH_SMALL,
            resets_left: (RESETS_MAX, Instant::now()),
            draining: false,
            drain: Box::pin(drained(drain)),
            active: Instant::now(),
            timer: Box::pin(tokio::time::sleep(patience)),
        })
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.alarm.start(cx);
        self.replies_left = REPLIES_AT_ONCE;
        self.requests_left = REQUESTS_AT_ONCE;
        let ended = self.drive(cx);
        self.alarm.rest(cx);
        ended
    }

    /// Takes requests, spends answers, gives turns, and flushes when nobody has more to say.
    fn drive(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if !self.draining && self.drain.as_mut().poll(cx).is_ready() {
                self.draining = true;
                self.h2.graceful_shutdown();
                self.subscribers.close();
            }
            self.refresh_moment();
            match self.poll_requests(cx) {
                Taken::Some => self.active = Instant::now(),
                Taken::None => {}
                Taken::Ended => return Poll::Ready(()),
            }
            self.heed_peer(cx);
            if self.poll_prepared(cx) | self.poll_replied(cx) | self.settle_promises(cx) {
                continue;
            }
            self.schedule.wake_readers(cx);
            let (held, reads) = {
                let outbox = self.outbox.borrow();
                (outbox.held(), outbox.reads())
            };
            let full = held >= self.batch;
            if !full && self.subscribers.poll(cx, self.batch - held) {
                continue;
            }
            if !full && self.schedule.pump(cx, self.batch - held, reads) {
                continue;
            }
            self.write_log();
            match self.poll_flush(cx, held) {
                // While the batch was full nobody heeded a piece read from disk or a grown window,
                // and neither wakes twice.
                Poll::Ready(Ok(())) if full || self.schedule.has_ready() => {}
                Poll::Ready(Ok(())) | Poll::Pending if self.is_overcommitted() => {
                    tracing::debug!(peer = %self.peer, "too much is held for it: closed");
                    self.service.metrics.count(Count::Overcommitted);
                    return Poll::Ready(());
                }
                Poll::Ready(Ok(())) | Poll::Pending => return self.poll_patience(cx),
                Poll::Ready(Err(error)) => {
                    tracing::debug!(peer = %self.peer, %error, "connection lost");
                    return Poll::Ready(());
                }
            }
        }
    }

    /// Answers the requests that have come.
    fn poll_requests(&mut self, cx: &mut Context<'_>) -> Taken {
        if self.requests_left > 0 {
            self.outbox.borrow_mut().look();
        }
        let mut taken = Taken::None;
        loop {
            self.alarm.attend();
            match self.h2.poll_accept(&mut Context::from_waker(&self.waker)) {
                Poll::Ready(Some(Ok((request, respond)))) => {
                    self.requests_left = self.requests_left.saturating_sub(1);
                    // What the peer has refused or reset before it asked counts for its answer.
                    self.heed_peer(cx);
                    self.asked(cx, request, respond);
                    taken = Taken::Some;
                }
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(peer = %self.peer, %error, "connection failed");
                    return Taken::Ended;
                }
                Poll::Ready(None) => return Taken::Ended,
                Poll::Pending if self.requests_left == 0 => {
                    self.outbox.borrow_mut().hold_back();
                    cx.waker().wake_by_ref();
                    return taken;
                }
                Poll::Pending if self.outbox.borrow_mut().look_on() => {}
                Poll::Pending => return taken,
            }
        }
    }

    /// Writes what is held to the socket; the next batch is as large as the link has shown to take.
    fn poll_flush(&mut self, cx: &mut Context<'_>, held: usize) -> Poll<io::Result<()>> {
        let drained = self.outbox.borrow_mut().poll_drain(cx);
        match &drained {
            Poll::Ready(Ok(())) => {
                self.schedule.drained();
                // What answers a PING or SETTINGS would keep a peer for ever that takes nothing.
                if std::mem::take(&mut self.outbox.borrow_mut().told().answered) {
                    self.active = Instant::now();
                }
                // Less than a batch may have found a gap that a full link had just left. A batch of
                // many small records would make rustls keep room for so many.
                if held + SCRAP >= self.batch && self.outbox.borrow().has_large_records() {
                    self.batch = (self.batch * 2).min(BATCH_LARGE);
                }
            }
            Poll::Ready(Err(_)) => {}
            Poll::Pending => self.batch = BATCH_SMALL,
        }
        let held = self.outbox.borrow().held() + self.subscribers.held();
        self.buffered.set(held);
        drained
    }

    /// Returns whether the peer leaves more than its share, while all together leave too much.
    fn is_overcommitted(&mut self) -> bool {
        let open = || self.service.metrics.open();
        let Some(share) = self.service.buffers.share_of(open) else {
            return false;
        };
        let held = self.outbox.borrow().held() + self.schedule.held() + self.subscribers.held();
        held as u64 > share
    }

    fn write_log(&mut self) {
        let unread = std::mem::take(&mut self.outbox.borrow_mut().told().unread);
        for _ in 0..unread {
            let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
            door::note_unread(&self.service, self.peer, Version::HTTP_2, status);
        }
        for entry in self.schedule.done().chain(self.subscribers.done()) {
            self.service.log.write(entry);
        }
        let metrics = &self.service.metrics;
        let told = self.subscribers.take_sent();
        let Sent {
            bytes,
            delivered,
            cancelled,
        } = self.schedule.take_sent();
        for (what, number) in [
            (Count::BodyBytes(Version::HTTP_2), bytes + told),
            (Count::Delivered, delivered),
            (Count::Cancelled, cancelled),
        ] {
            if number > 0 {
                metrics.add(what, number);
            }
        }
    }

    /// Ends a connection that has been idle or stalled for too long.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.timer.as_mut().poll(cx).is_ready() {
            let busy =
                !(self.schedule.is_empty() && self.preparing.is_empty() && self.waiting.is_empty());
            // A feed has nothing to say most of the time, but what it has said must get away.
            let is_open = !self.subscribers.is_empty();
            let stuck = is_open && self.outbox.borrow().held() > 0;
            let quiet = self.active.elapsed();
            if quiet >= STALL_MAX && (busy || stuck || self.draining) {
                tracing::debug!(peer = %self.peer, "the peer takes nothing: connection closed");
                return Poll::Ready(());
            }
            if quiet >= self.service.limits.idle && !is_open && self.replying.is_empty() {
                // One that does not even acknowledge this is not told twice.
                self.draining = true;
                self.h2.graceful_shutdown();
                cx.waker().wake_by_ref();
                self.active = Instant::now();
            }
            // Short enough for either limit; an idle connection wakes five times before it ends.
            let next = STALL_MAX.min(self.service.limits.idle);
            self.timer.as_mut().reset(Instant::now() + next);
        }
        Poll::Pending
    }

    /// Gives the permit on, if the wire has shown the last promise, or never will.
    fn settle_promises(&mut self, cx: &mut Context<'_>) -> bool {
        let written = self.outbox.borrow_mut().told().promised;
        let Some(settled) = self.promises.settle(cx, written) else {
            return false;
        };
        if let Settled::Lost(lost) = settled {
            self.service.metrics.add(Count::Lost, lost.len() as u64);
            for made in lost {
                self.held.remove(made.key);
            }
        }
        while self.promises.is_free()
            && let Some(asked) = self.waiting.pop_front()
        {
            self.answer(cx, asked);
        }
        true
    }

    /// Acts on what the frames have told: refused pushes, changed priorities.
    fn heed_peer(&mut self, cx: &Context<'_>) {
        let (resets, refused, priorities) = {
            let mut outbox = self.outbox.borrow_mut();
            let told = outbox.told();
            if told.resets == 0 && told.refused.is_empty() && told.priorities.is_empty() {
                return;
            }
            (
                std::mem::take(&mut told.resets),
                std::mem::take(&mut told.refused),
                std::mem::take(&mut told.priorities),
            )
        };
        if resets > 0 {
            self.heed_resets(cx, resets);
        }
        for id in &refused {
            self.service.metrics.count(Count::Refused);
            if let Some(key) = self.promises.refused(*id) {
                self.held.remove(key);
            }
        }
        for (id, field) in &priorities {
            let turn = priority::of_priority(Priority::read(field), Rank::Other);
            self.schedule.reprioritise(*id, turn);
        }
    }

    /// Ends a connection whose peer opens streams only to reset them: each costs it nothing.
    fn heed_resets(&mut self, cx: &Context<'_>, resets: u32) {
        let (left, since) = self.resets_left;
        let left = (left + since.elapsed().as_secs_f64() * RESETS_A_SECOND).min(RESETS_MAX);
        let left = left - f64::from(resets);
        self.resets_left = (left, Instant::now());
        if left < 0.0 {
            tracing::debug!(peer = %self.peer, "it resets what it opens: connection closed");
            self.h2.abrupt_shutdown(h2::Reason::ENHANCE_YOUR_CALM);
            // h2 says so only when it is asked again.
            cx.waker().wake_by_ref();
        }
    }

    /// What may be promised now.
    fn pushes(&self) -> Pushes {
        let mut outbox = self.outbox.borrow_mut();
        let told = outbox.told();
        let takes = told.enable_push && !told.leaving;
        if self.draining || !takes || self.promises.is_exhausted() {
            return Pushes::Refused;
        }
        let streams_max = self.h2.max_concurrent_send_streams();
        if streams_max == 0 {
            return Pushes::Refused;
        }
        let window = u64::try_from(told.window).unwrap_or(0);
        Pushes::Taken {
            promises_max: streams_max.saturating_sub(self.schedule.pushes()),
            bytes_max: window.saturating_sub(self.schedule.queued_bytes()),
        }
    }

    fn refresh_moment(&mut self) {
        let now = (self.service.now)();
        let second = |time: std::time::SystemTime| {
            time.duration_since(std::time::UNIX_EPOCH)
                .map_or(0, |since| since.as_secs())
        };
        if second(now) != second(self.moment.now) {
            self.moment = Moment::new(now);
        }
        self.moment.now = now;
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    /// The allocator's next size is 2,048 bytes, and an idle connection keeps this one.
    #[test]
    fn a_connection_fits_its_block() {
        assert!(size_of::<Connection<TcpStream>>() <= 1_792);
    }
}
