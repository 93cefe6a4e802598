//! A simulated link: a byte stream with a rate, a delay and slow start, on tokio's clock.
//!
//! It models one TCP connection without loss: bytes leave in segments at the link's rate, no more
//! of them unacknowledged than the congestion window, which starts at ten segments (RFC 6928) and
//! grows by what is acknowledged (RFC 5681 section 3.1). What the rate and the window hold back
//! waits in a bounded sender's buffer, as with `TCP_NOTSENT_LOWAT`; when that is full, writers
//! wait. Nothing is spawned: each end works out, when it is polled, what has happened since.
//! Moments on the link are exact; tokio's timers wake an end at most one millisecond after its
//! moment.
//!
//! Knows nothing of TLS or HTTP. Read on in `world`, which puts a server at one end.

use std::collections::VecDeque;
use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// Bytes of payload in a full segment.
pub(crate) const SEGMENT_BYTES: usize = 1460;
/// Bytes of the first flight: ten segments.
pub(crate) const FIRST_FLIGHT_BYTES: usize = 10 * SEGMENT_BYTES;

/// What a link is like, the same in both directions.
#[derive(Debug, Clone)]
pub(crate) struct LinkOptions {
    /// Bytes per second; `None`: no limit.
    pub(crate) rate: Option<u64>,
    /// Time from one end to the other.
    pub(crate) delay: Duration,
    /// Bytes that may be under way at first; `None`: no limit, ever.
    pub(crate) first_flight_bytes: Option<usize>,
    /// Bytes that a sender takes beyond what it may send now.
    pub(crate) unsent_bytes_max: usize,
}

impl LinkOptions {
    /// Returns a link that does nothing but carry: no delay, no limit.
    pub(crate) fn instant() -> Self {
        Self {
            rate: None,
            delay: Duration::ZERO,
            first_flight_bytes: None,
            unsent_bytes_max: 1 << 20,
        }
    }

    /// Returns a link of a rate in megabits per second and a delay in milliseconds, with slow start
    /// and 16 KB of unsent bytes.
    pub(crate) fn slow(megabits: u64, delay_ms: u64) -> Self {
        Self {
            rate: Some(megabits * 1_000_000 / 8),
            delay: Duration::from_millis(delay_ms),
            first_flight_bytes: Some(FIRST_FLIGHT_BYTES),
            unsent_bytes_max: 16 * 1024,
        }
    }
}

/// Returns the two ends of a new link.
pub(crate) fn link(options: &LinkOptions) -> (End, End) {
    let [there, back] = [(); 2].map(|()| Arc::new(Mutex::new(Flow::new(options))));
    (End::new(back.clone(), there.clone()), End::new(there, back))
}

/// How far a direction of a link has come: moments, and the bytes until then.
#[derive(Debug, Clone, Default)]
pub(crate) struct Progress(Vec<(Instant, u64)>);

impl Progress {
    /// Returns the bytes that had passed at a moment.
    pub(crate) fn bytes_at(&self, moment: Instant) -> u64 {
        let passed = self.0.partition_point(|&(at, _)| at <= moment);
        passed.checked_sub(1).map_or(0, |last| self.0[last].1)
    }

    fn add(&mut self, at: Instant, bytes: usize) {
        let before = self.0.last().map_or(0, |&(_, bytes)| bytes);
        self.0.push((at, before + bytes as u64));
    }
}

/// One end of a link.
pub(crate) struct End {
    incoming: Arc<Mutex<Flow>>,
    outgoing: Arc<Mutex<Flow>>,
    read_alarm: Pin<Box<Sleep>>,
    write_alarm: Pin<Box<Sleep>>,
}

/// One direction of a link, as of its last event:
///
/// ```text
/// write -> unsent -(rate, window)-> travelling -(delay)-> arrived -> read
///                       ^----------- acknowledgements -------'
/// ```
#[derive(Debug)]
struct Flow {
    options: LinkOptions,
    now: Instant,
    unsent: VecDeque<u8>,
    /// When the last segment has left entirely.
    busy_until: Instant,
    travelling: VecDeque<(Instant, Vec<u8>)>,
    arrived: VecDeque<u8>,
    acknowledgements: VecDeque<(Instant, usize)>,
    unacknowledged: usize,
    window: usize,
    sent: Progress,
    delivered: Progress,
    /// When the reader learns that no more will come, once the writer has said so.
    end: Option<Instant>,
    shut: bool,
    abandoned: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

impl End {
    fn new(incoming: Arc<Mutex<Flow>>, outgoing: Arc<Mutex<Flow>>) -> Self {
        let [read_alarm, write_alarm] = [(); 2].map(|()| Box::pin(sleep_until(Instant::now())));
        Self {
            incoming,
            outgoing,
            read_alarm,
            write_alarm,
        }
    }

    /// Returns a view of the bytes that this end sends.
    pub(crate) fn outgoing(&self) -> Meter {
        Meter(self.outgoing.clone())
    }
}

/// Tells how far one direction of a link has come.
#[derive(Clone)]
pub(crate) struct Meter(Arc<Mutex<Flow>>);

impl Meter {
    /// Returns when how many bytes had left the sender.
    pub(crate) fn sent(&self) -> Progress {
        flow(&self.0).sent.clone()
    }

    /// Returns when how many bytes had arrived.
    pub(crate) fn delivered(&self) -> Progress {
        flow(&self.0).delivered.clone()
    }
}

/// Locks a direction and brings it up to now.
fn flow(shared: &Mutex<Flow>) -> MutexGuard<'_, Flow> {
    let mut flow = shared.lock().unwrap();
    flow.advance(Instant::now());
    flow
}

impl Flow {
    fn new(options: &LinkOptions) -> Self {
        let now = Instant::now();
        Self {
            options: options.clone(),
            now,
            unsent: VecDeque::new(),
            busy_until: now,
            travelling: VecDeque::new(),
            arrived: VecDeque::new(),
            acknowledgements: VecDeque::new(),
            unacknowledged: 0,
            window: options.first_flight_bytes.unwrap_or(usize::MAX / 2),
            sent: Progress::default(),
            delivered: Progress::default(),
            end: None,
            shut: false,
            abandoned: false,
            reader: None,
            writer: None,
        }
    }

    /// Lets everything happen that happens until `now`, in order.
    fn advance(&mut self, now: Instant) {
        loop {
            let acknowledged = self.acknowledgements.front().map(|&(at, _)| at);
            let departure = self.departure();
            let Some(at) = acknowledged.into_iter().chain(departure).min() else {
                break;
            };
            if at > now {
                break;
            }
            self.now = at;
            if acknowledged == Some(at) {
                let (_, bytes) = self.acknowledgements.pop_front().unwrap();
                self.unacknowledged -= bytes;
                self.window = (self.window + bytes).min(usize::MAX / 2);
            } else {
                self.depart();
            }
        }
        self.now = now;
        while self.travelling.front().is_some_and(|&(at, _)| at <= now) {
            let (at, segment) = self.travelling.pop_front().unwrap();
            self.delivered.add(at, segment.len());
            self.arrived.extend(segment);
        }
        if self.shut && self.unsent.is_empty() && self.end.is_none() {
            self.end = Some(self.busy_until.max(now) + self.options.delay);
        }
    }

    /// Returns when the next segment starts to leave, if nothing more needs to happen before.
    fn departure(&self) -> Option<Instant> {
        let open = self.unacknowledged < self.window;
        (open && !self.unsent.is_empty()).then(|| self.busy_until.max(self.now))
    }

    fn depart(&mut self) {
        let length = self
            .unsent
            .len()
            .min(SEGMENT_BYTES)
            .min(self.window - self.unacknowledged);
        let segment: Vec<u8> = self.unsent.drain(..length).collect();
        let nanoseconds = self
            .options
            .rate
            .map_or(0, |rate| length as u64 * 1_000_000_000 / rate);
        self.busy_until = self.now + Duration::from_nanos(nanoseconds);
        let arrival = self.busy_until + self.options.delay;
        self.sent.add(self.busy_until, length);
        self.travelling.push_back((arrival, segment));
        self.acknowledgements
            .push_back((arrival + self.options.delay, length));
        self.unacknowledged += length;
    }

    /// Returns when a reader that found nothing should look again.
    fn next_arrival(&self) -> Option<Instant> {
        self.travelling
            .front()
            .map(|&(at, _)| at)
            .or_else(|| self.next_room())
            .or(self.end)
    }

    /// Returns when a writer that found no room should look again.
    fn next_room(&self) -> Option<Instant> {
        self.departure()
            .or(self.acknowledgements.front().map(|&(at, _)| at))
    }
}

impl AsyncRead for End {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<Result<()>> {
        let this = self.get_mut();
        loop {
            let mut flow = flow(&this.incoming);
            if !flow.arrived.is_empty() {
                let (front, _) = flow.arrived.as_slices();
                let length = front.len().min(buffer.remaining());
                buffer.put_slice(&front[..length]);
                flow.arrived.drain(..length);
                return Poll::Ready(Ok(()));
            }
            if flow.end.is_some_and(|end| end <= flow.now) && flow.travelling.is_empty() {
                return Poll::Ready(Ok(()));
            }
            flow.reader = Some(context.waker().clone());
            let Some(at) = flow.next_arrival() else {
                return Poll::Pending;
            };
            drop(flow);
            this.read_alarm.as_mut().reset(at);
            ready!(this.read_alarm.as_mut().poll(context));
        }
    }
}

impl AsyncWrite for End {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize>> {
        let this = self.get_mut();
        loop {
            let mut flow = flow(&this.outgoing);
            if flow.shut || flow.abandoned {
                return Poll::Ready(Err(Error::new(ErrorKind::BrokenPipe, "the link is closed")));
            }
            let room = flow.options.unsent_bytes_max - flow.unsent.len();
            if room > 0 {
                let length = room.min(bytes.len());
                flow.unsent.extend(&bytes[..length]);
                flow.advance(Instant::now());
                flow.reader.take().into_iter().for_each(Waker::wake);
                return Poll::Ready(Ok(length));
            }
            flow.writer = Some(context.waker().clone());
            let Some(at) = flow.next_room() else {
                return Poll::Pending;
            };
            drop(flow);
            this.write_alarm.as_mut().reset(at);
            ready!(this.write_alarm.as_mut().poll(context));
        }
    }

    /// Does nothing: bytes leave as soon as they can.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        let mut flow = flow(&self.outgoing);
        flow.shut = true;
        flow.advance(Instant::now());
        flow.reader.take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(()))
    }
}

impl Drop for End {
    /// Ends what this end sends, and makes the other end's writes fail.
    fn drop(&mut self) {
        let mut outgoing = flow(&self.outgoing);
        outgoing.shut = true;
        outgoing.advance(Instant::now());
        outgoing.reader.take().into_iter().for_each(Waker::wake);
        drop(outgoing);
        let mut incoming = flow(&self.incoming);
        incoming.abandoned = true;
        incoming.writer.take().into_iter().for_each(Waker::wake);
    }
}

mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Sends bytes over a link and returns the milliseconds until the last has arrived.
    async fn milliseconds(options: &LinkOptions, bytes: usize) -> u128 {
        let (mut near, mut far) = link(options);
        let start = Instant::now();
        let meter = near.outgoing();
        let writing = async move {
            near.write_all(&vec![b'x'; bytes]).await.unwrap();
            near
        };
        let mut received = vec![0; bytes];
        let (_near, read) = tokio::join!(writing, far.read_exact(&mut received));
        read.unwrap();
        let sent = meter.sent();
        assert_eq!(sent.bytes_at(Instant::now() - options.delay), bytes as u64);
        assert_eq!(meter.delivered().bytes_at(Instant::now()), bytes as u64);
        start.elapsed().as_millis()
    }

    /// The figures of Lighthouse's TCP simulator: 50,000 bytes are three flights.
    #[tokio::test(start_paused = true)]
    async fn slow_start_doubles_the_flight_each_round_trip() {
        let mut options = LinkOptions::slow(1, 50);
        options.rate = None;
        assert_eq!(milliseconds(&options, FIRST_FLIGHT_BYTES).await, 50);
        assert_eq!(milliseconds(&options, FIRST_FLIGHT_BYTES + 1).await, 150);
        assert_eq!(milliseconds(&options, 3 * FIRST_FLIGHT_BYTES).await, 150);
        assert_eq!(milliseconds(&options, 50_000).await, 250);
    }

    #[tokio::test(start_paused = true)]
    async fn bytes_leave_at_the_rate() {
        let mut options = LinkOptions::slow(8, 100);
        options.first_flight_bytes = None;
        assert_eq!(milliseconds(&options, 1_000_000).await, 1_100);
    }

    #[tokio::test(start_paused = true)]
    async fn writers_wait_for_room() {
        let (mut near, _far) = link(&LinkOptions::slow(8, 100));
        let bytes = vec![0; 1 << 20];
        let taken = near.write(&bytes).await.unwrap();
        assert_eq!(taken, 16 * 1024);
        let start = Instant::now();
        let more = near.write(&bytes).await.unwrap();
        assert!(more > 0 && more <= SEGMENT_BYTES, "{more} bytes");
        assert!(
            start.elapsed() <= Duration::from_millis(2),
            "{:?}",
            start.elapsed()
        );
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_that_is_gone_is_noticed() {
        let (mut near, mut far) = link(&LinkOptions::slow(8, 100));
        near.write_all(b"bye").await.unwrap();
        drop(near);
        let start = Instant::now();
        let mut rest = Vec::new();
        far.read_to_end(&mut rest).await.unwrap();
        assert_eq!(rest, b"bye");
        assert!(start.elapsed() >= Duration::from_millis(100));
        assert_eq!(
            far.write(b"?").await.unwrap_err().kind(),
            ErrorKind::BrokenPipe
        );
    }
}
