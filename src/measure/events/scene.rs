//! One way over one link: the real server at one end with somebody who publishes, a listener at
//! the other, and a clock that passes only while both wait.
//!
//! ```text
//!   connect ──listening──▶ settle ──▶ publish all, until all are heard ──▶ nothing happens
//!   └────────── opening ─────────┘    └───────────── busy ───────────┘    └──── idle ────┘
//! ```

use std::cell::Cell;
use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use rustls::pki_types::ServerName;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_rustls::TlsAcceptor;

use super::found::{Cost, Heard, Way};
use super::listen::{self, Line, Record};
use super::schedule::{self, IDLE};
use crate::access_log::AccessLog;
use crate::answer::channels::ChannelOptions;
use crate::answer::{self, Options};
use crate::door::Service;
use crate::door::channels::rates::Rate;
use crate::door::channels::{self, Channels, Setting};
use crate::door::limits::{Buffers, Limits};
use crate::hub::store::Store;
use crate::hub::{self, Publication};
use crate::measure::link::{End, LinkOptions, Meter, link};
use crate::measure::page_load::sentence;
use crate::measure::stage::{self, NOW, Stage};
use crate::metrics::Metrics;

/// The channel that is heard: one of those that anybody may hear.
pub(super) const CHANNEL: &str = "demo/measured";
/// The epoch of its hub; any would do.
const EPOCH: u64 = 7;
/// How long after what it was told a listener rests at last, besides a round trip or two.
const SETTLE: Duration = Duration::from_millis(10);
/// How long an event may take at most, besides the time between polls and some round trips.
const DELAY_MAX: Duration = Duration::from_mins(1);

thread_local! {
    /// When the clock of this thread's simulation began: the wall clock is a function alone.
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Where events are heard.
pub(super) struct Scene<'a> {
    pub(super) stage: &'a Stage,
    pub(super) link: &'a LinkOptions,
    pub(super) poll_every: Duration,
}

/// The bytes that were sent in both directions.
struct Meters {
    down: Meter,
    up: Meter,
}

impl Scene<'_> {
    /// Returns what comes of hearing a channel in one way.
    ///
    /// # Errors
    /// An event did not arrive, or no runtime can be started.
    pub(super) fn heard(&self, way: Way) -> anyhow::Result<Heard> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .context("cannot start a runtime")?;
        let heard = runtime.block_on(self.simulate(way));
        heard.with_context(|| format!("{} over {}", way.name(), self.link.name))
    }

    async fn simulate(&self, way: Way) -> anyhow::Result<Heard> {
        BEGAN.set(Some(Instant::now()));
        let store = Arc::new(Store::memory(EPOCH, hub::Limits::default()));
        let metrics = Arc::new(Metrics::default());
        let (channels, told) = Channels::new(Setting {
            store: Arc::clone(&store),
            options: ChannelOptions::default(),
            is_demo: false,
            rate: Rate {
                events: u32::MAX,
                bytes: u64::MAX,
            },
            metrics: Arc::clone(&metrics),
            now,
        });
        let (server_end, client_end) = link(self.link);
        let meters = Meters {
            down: server_end.outgoing(),
            up: client_end.outgoing(),
        };
        let acceptor = TlsAcceptor::from(self.stage.tls.server_config());
        let service = self.service(Arc::new(channels), metrics);
        let record = Record::default();
        // All in one task, in this order: nothing depends on which of them a scheduler wakes first.
        tokio::select! {
            biased;
            never = stage::serve(acceptor, server_end, service) => match never {},
            () = channels::tell(&store, told) => bail!("nobody is told who hears"),
            end = self.listen(way, client_end, &meters.down, &record) => match end? {},
            heard = self.direct(way, &store, &meters, &record) => heard,
        }
    }

    fn service(&self, channels: Arc<Channels>, metrics: Arc<Metrics>) -> Arc<Service> {
        Arc::new(Service {
            site: Arc::clone(self.stage.any_site()),
            handler: answer::answer,
            tls: Arc::clone(&self.stage.tls),
            options: Options::default(),
            live: None,
            channels: Some(channels),
            log: AccessLog::Off,
            limits: Limits::default(),
            buffers: Buffers::new(u64::MAX),
            sign_ins: Arc::default(),
            metrics,
            now,
            think: Duration::ZERO,
        })
    }

    /// Connects and listens, for ever.
    async fn listen(
        &self,
        way: Way,
        end: End,
        arriving: &Meter,
        record: &Record,
    ) -> anyhow::Result<Infallible> {
        sleep(self.link.handshake_time()).await;
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let stream = self.stage.connector.connect(name, end).await?;
        let opened = listen::greeting().handshake::<_, Bytes>(stream).await;
        let (sender, connection) = opened.map_err(|error| anyhow::anyhow!(sentence(&error)))?;
        let line = Line {
            sender,
            arriving,
            record,
        };
        tokio::select! {
            biased;
            end = connection => match end {
                Ok(()) => bail!("the server closed the connection"),
                Err(error) => bail!(sentence(&error)),
            },
            end = line.listen(way, self.poll_every) => end,
        }
    }

    /// Publishes when somebody listens, then is idle, and says what came of it.
    async fn direct(
        &self,
        way: Way,
        store: &Store,
        meters: &Meters,
        record: &Record,
    ) -> anyhow::Result<Heard> {
        record.begun.notified().await;
        // A long poll asks once more before it waits.
        sleep(2 * self.link.round_trip + SETTLE).await;
        let begun = Instant::now();
        let mut published = Vec::with_capacity(schedule::EVENTS);
        for (number, after) in schedule::instants().into_iter().enumerate() {
            sleep_until(begun + after).await;
            let mut event = Publication::new(CHANNEL, schedule::data(number));
            event.time_ms = u64::try_from((NOW + since_began()).as_millis())?;
            published.push(Instant::now());
            store.publish(event).await?;
        }
        sleep_until(begun + schedule::BUSY).await;
        let patience = self.poll_every + 20 * self.link.round_trip + DELAY_MAX;
        let all = async {
            while record.heard.borrow().len() < published.len() {
                record.news.notified().await;
            }
        };
        if timeout(patience, all).await.is_err() {
            let heard = record.heard.borrow().len();
            bail!("{heard} of {} events arrived", published.len());
        }
        sleep(self.link.round_trip + SETTLE).await;
        let idle = Instant::now();
        sleep(IDLE).await;
        let end = Instant::now();
        let start = BEGAN.get().unwrap_or(begun);
        Ok(Heard {
            way,
            delays: delays(&published, &record.heard.borrow())?,
            opening: meters.cost(start, begun, record),
            busy: meters.cost(begun, idle, record),
            idle: meters.cost(idle, end, record),
        })
    }
}

/// Returns how long each event took, if each arrived once and in its turn.
fn delays(published: &[Instant], heard: &[(usize, Instant)]) -> anyhow::Result<Vec<Duration>> {
    let in_turn = heard.iter().map(|(number, _)| *number);
    if !in_turn.eq(0..published.len()) {
        bail!("events did not arrive once each, in the order in which they were published");
    }
    let moments = published.iter().zip(heard);
    Ok(moments
        .map(|(published, (_, heard))| heard.duration_since(*published))
        .collect())
}

impl Meters {
    /// Returns what was sent after one moment and until another.
    fn cost(&self, from: Instant, until: Instant, record: &Record) -> Cost {
        let bytes = |meter: &Meter| {
            let sent = meter.sent();
            sent.bytes_at(until) - sent.bytes_at(from)
        };
        let asked = record.asked.borrow();
        let requests = asked.iter().filter(|&&at| from < at && at <= until);
        Cost {
            requests: requests.count() as u64,
            down: bytes(&self.down),
            up: bytes(&self.up),
        }
    }
}

/// The wall clock: it goes on with the simulated one, so that `Date` changes as it does.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + NOW + since_began()
}

fn since_began() -> Duration {
    BEGAN.get().map_or(Duration::ZERO, |began| began.elapsed())
}
