//! Events in Redis, for more machines than one: every node publishes there and reads from there.
//!
//! ```text
//!   {NAME}:log         hash: epoch, offset of the last event; events and bytes that are kept; what
//!                      was lost of channels that are not known any more
//!   {NAME}:events      stream: the events, by offset
//!   {NAME}:index       stream: what is known of each without reading it
//!   {NAME}:channel:T   list: the offsets of those whose canonical topic is T
//!   {NAME}:bytes       hash: what each channel's cost
//!   {NAME}:lost        hash: what each channel has dropped; {NAME}:lost:order: how long ago
//!   {NAME}:keys        hash: the offset for each idempotency key; {NAME}:keys:order: by age
//! ```
//!
//! One hash tag, so a cluster keeps them on one node. Publishing is one script, `publish.lua`: it
//! makes room within the same limits as [`crate::hub::log`] and remembers who has lost what by it,
//! counts, appends, remembers the key, and so wakes every node, each of which waits for the index
//! and copies what is new to its own log with another, `read.lua`. What a node answers it has read
//! back: its own readers have it by then. Both take bounded time, so that Redis is free for others:
//! a page has bounds in events and bytes, and a publication that many others have to go for takes
//! several calls. Clocks of nodes do not count, only that of Redis.
//!
//! A fail-over may lose what was answered. It shows when Redis has less than a node has seen, or
//! something else in its place: then the log begins a new epoch, with what Redis has, and readers
//! are told of the gap. Each event carries a number of its own by which that is seen.

mod stored;

use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use std::{fmt, io};

use redis::aio::MultiplexedConnection;
use redis::streams::{StreamReadOptions, StreamReadReply};
use redis::{
    AsyncCommands as _, AsyncConnectionConfig, Client, ErrorKind, RedisError, RedisResult, Script,
};
use serde::Serialize;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use self::stored::Stored;
use super::PublishError;
use crate::hub::log::Losses;
use crate::hub::log::channel::Dropped;
use crate::hub::log::keys::KEYS_MAX;
use crate::hub::{Copied, Event, EventId, Hub, Limits, Publication, Published};

/// How long a node waits for the stream before it looks whether Redis is still the same.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long it waits for any answer.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(5);
/// How long it waits before it connects again.
const CONNECT_AGAIN: Duration = Duration::from_millis(250);
/// Events that are read in one go.
const PAGE_EVENTS: usize = 1000;
/// Bytes of events that are read in one go, or one event more ([`Event::cost`]).
const PAGE_BYTES_MAX: usize = 4 << 20;
/// Events that are dropped in one go, for one that is published, each counted for every channel
/// that it is on.
const DROPS_MAX: usize = 1000;
/// What is kept for longer than 34 years is kept for that: Redis and Lua count no further for sure.
const AGE_MS_MAX: u64 = 1 << 40;
/// How often a publication tries again for room, while others publish: enough for an event that is
/// as large as all.
const TRIES_MAX: usize = 100_000;

/// How often it tries again because the log was lost meanwhile.
const LOSSES_MAX: usize = 2;

const PUBLISH: &str = include_str!("redis/publish.lua");
const READ: &str = include_str!("redis/read.lua");

/// Where the events are.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]`; with TLS `rediss:`.
    pub url: String,
    /// The name before all keys: nodes with the same one share a log.
    pub name: String,
}

/// Why Redis cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be reached. What the error says includes its source.
    #[error("{0}: have Redis run there, and let this machine in")]
    Unreachable(RedisError),
    /// Its URL cannot be read.
    #[error("write it as `redis://HOST:6379`, or `rediss://HOST:6379` for TLS")]
    BadUrl,
    /// It refuses.
    #[error("Redis refuses: {0}; a password is written as in `redis://:PASSWORD@HOST:6379`")]
    Refused(RedisError),
    /// Its certificate is of an authority that is not known.
    #[error(
        "nobody who is trusted here vouches for the certificate of Redis: have SSL_CERT_FILE name \
         the PEM file of its authority"
    )]
    Untrusted(#[source] RedisError),
}

impl From<RedisError> for OpenError {
    fn from(error: RedisError) -> Self {
        if is_untrusted(&error) {
            Self::Untrusted(error)
        } else if error.is_io_error() {
            Self::Unreachable(error)
        } else if error.kind() == ErrorKind::InvalidClientConfig {
            Self::BadUrl
        } else {
            Self::Refused(error)
        }
    }
}

fn is_untrusted(error: &(dyn Error + 'static)) -> bool {
    if let Some(shared) = error.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
        return is_untrusted(shared.as_ref());
    }
    let is_unknown = |error: &rustls::Error| {
        let unknown = rustls::CertificateError::UnknownIssuer;
        *error == rustls::Error::InvalidCertificate(unknown)
    };
    let inner = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    let tls = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>());
    tls.is_some_and(is_unknown) || error.source().is_some_and(is_untrusted)
}

/// A node's two ends: who publishes, and the task that reads.
pub(super) struct Redis {
    node: Arc<Node>,
    /// None: it was lost, or was never needed.
    commands: Mutex<Option<MultiplexedConnection>>,
    publish: Script,
    /// The limits, as the script reads them.
    limits: String,
    /// Whether the last publication failed: that is said once.
    is_failing: AtomicBool,
    seen: watch::Receiver<EventId>,
    tail: JoinHandle<()>,
}

struct Node {
    client: Client,
    name: String,
    keys: Vec<String>,
    hub: Arc<Hub>,
    read: Script,
    /// The number of the last event that was read, which no other has; 0: none was.
    last_number: AtomicU64,
}

/// How much is kept, in the words of the script.
#[derive(Serialize)]
struct Room {
    events: usize,
    bytes: usize,
    age_ms: u64,
    all_events: usize,
    all_bytes: usize,
    channels: usize,
    keys: usize,
    drops: usize,
}

/// What follows in Redis, as the script answers: the epoch; the offset through which this goes, and
/// that of the last event; the time; events; and what was dropped of its range.
type Page = (
    u64,
    u64,
    u64,
    u64,
    Vec<(u64, Vec<u8>, u64)>,
    String,
    Vec<(String, String)>,
);

impl Redis {
    pub(super) async fn open(
        options: &RedisOptions,
        epoch: u64,
        limits: Limits,
    ) -> Result<(Self, Arc<Hub>, Vec<String>), OpenError> {
        let client = Client::open(options.url.as_str())?;
        let mut commands = connect(&client).await?;
        let warnings = warnings(&mut commands).await;
        let read = Script::new(READ);
        let keys = keys(&options.name);
        let nothing = EventId {
            epoch: 0,
            offset: 0,
        };
        let page = page(&read, &keys, (nothing, 0), epoch, &mut commands).await?;
        let hub = Arc::new(Hub::new(page.0, limits));
        let node = Arc::new(Node {
            client,
            name: options.name.clone(),
            keys,
            hub: Arc::clone(&hub),
            read,
            last_number: AtomicU64::new(0),
        });
        node.take(page);
        node.catch_up(&mut commands).await?;
        let (tell, seen) = watch::channel(hub.cursor());
        let tail = tokio::spawn(Arc::clone(&node).follow(tell));
        let redis = Self {
            node,
            commands: Mutex::new(Some(commands)),
            publish: Script::new(PUBLISH),
            limits: room(limits),
            is_failing: AtomicBool::new(false),
            seen,
            tail,
        };
        Ok((redis, hub, warnings))
    }

    pub(super) async fn publish(
        &self,
        publication: Publication,
    ) -> Result<Published, PublishError> {
        let published = self.try_publish(publication).await;
        match &published {
            Ok(_) if self.is_failing.swap(false, Ordering::Relaxed) => {
                tracing::info!("events are kept in Redis again");
            }
            Err(error) if !self.is_failing.swap(true, Ordering::Relaxed) => {
                tracing::error!("{error}");
            }
            _ => {}
        }
        published
    }

    async fn try_publish(&self, publication: Publication) -> Result<Published, PublishError> {
        let key = (publication.idempotency_key.clone()).unwrap_or_default();
        let cost = publication.cost();
        let stored = Stored::of(publication);
        let (event, head) = (stored.text(), stored.head(cost));
        let mut losses = 0;
        for _ in 0..TRIES_MAX {
            let cursor = self.node.hub.cursor();
            let mut script = self.publish.prepare_invoke();
            for key in &self.node.keys {
                script.key(key);
            }
            script.arg(cursor.epoch).arg(cursor.offset);
            script.arg(&event).arg(&head).arg(&key).arg(&self.limits);
            script.arg(format!("{{{}}}:channel:", self.node.name));
            let mut commands = self.commands().await.map_err(unavailable)?;
            let invoked = script.invoke_async(&mut commands).await;
            let (what, offset): (String, u64) = invoked.map_err(|error| {
                // After a fail-over its address may lead elsewhere.
                *self.kept_commands() = None;
                unpublished(&error)
            })?;
            let published = EventId {
                epoch: cursor.epoch,
                offset,
            };
            match what.as_str() {
                "again" => {}
                "lost" if losses < LOSSES_MAX => {
                    losses += 1;
                    self.wait(|seen| seen.epoch != cursor.epoch).await;
                }
                "lost" => break,
                _ => {
                    self.wait(|seen| *seen >= published || seen.epoch != cursor.epoch)
                        .await;
                    return Ok(Published {
                        id: published,
                        is_repeated: what == "known",
                    });
                }
            }
        }
        Err(PublishError::Unavailable(
            "Redis has lost events, or has no room yet".to_owned(),
        ))
    }

    /// Waits until this node has all that Redis has now, if an event is not here; but not for ever.
    pub(super) async fn reach(&self, wanted: EventId) {
        if wanted <= self.node.hub.cursor() && wanted != EventId::UNKNOWN {
            return;
        }
        let reaching = async {
            // Asked, so that an event that never was is not waited for.
            let last = self.last().await.unwrap_or(wanted);
            self.wait(|seen| *seen >= last).await;
        };
        let _ = timeout(ANSWER_WAIT_MAX, reaching).await;
    }

    /// Returns the place of the last event in Redis, if Redis says.
    async fn last(&self) -> Option<EventId> {
        let mut commands = self.commands().await.ok()?;
        let log = &self.node.keys[0];
        let fields = ["epoch", "offset"];
        let state: RedisResult<(u64, u64)> = commands.hmget(log, &fields).await;
        if state.is_err() {
            *self.kept_commands() = None;
        }
        let (epoch, offset) = state.ok()?;
        Some(EventId { epoch, offset })
    }

    /// Returns the connection, or makes another if it was lost.
    async fn commands(&self) -> RedisResult<MultiplexedConnection> {
        let kept = self.kept_commands().clone();
        if let Some(commands) = kept {
            return Ok(commands);
        }
        let commands = connect(&self.node.client).await?;
        *self.kept_commands() = Some(commands.clone());
        Ok(commands)
    }

    fn kept_commands(&self) -> MutexGuard<'_, Option<MultiplexedConnection>> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the reading task, but not for ever: what was published is kept all the same.
    async fn wait(&self, until: impl Fn(&EventId) -> bool) {
        let mut seen = self.seen.clone();
        let _ = timeout(ANSWER_WAIT_MAX, seen.wait_for(until)).await;
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.tail.abort();
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis")
            .field("name", &self.node.name)
            .finish_non_exhaustive()
    }
}

async fn connect(client: &Client) -> RedisResult<MultiplexedConnection> {
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(ANSWER_WAIT_MAX))
        .set_response_timeout(Some(ANSWER_WAIT_MAX));
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

/// Says why nothing was published to whoever tried, who need not know how Redis is reached.
#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn unavailable(error: RedisError) -> PublishError {
    tracing::debug!("cannot connect to Redis: {error}");
    PublishError::Unavailable("Redis cannot be reached".to_owned())
}

fn unpublished(error: &RedisError) -> PublishError {
    tracing::debug!("cannot publish to Redis: {error}");
    match error.code() {
        // The script has done nothing: it is the first write that is refused.
        Some("OOM") => PublishError::Full(
            "Redis is full: give it more `maxmemory`, or wait until what is old goes".to_owned(),
        ),
        Some(code) => PublishError::Unavailable(format!("Redis refuses ({code})")),
        None if error.is_connection_refusal() => {
            PublishError::Unavailable("Redis cannot be reached".to_owned())
        }
        None => PublishError::Unknown("Redis was cut off".to_owned()),
    }
}

/// Returns what of an answer Redis could lose, as it is configured.
async fn warnings(commands: &mut MultiplexedConnection) -> Vec<String> {
    const ANSWERED: &str = "what is answered may be lost when it stops";
    const FULL: &str = "when it is full, it drops events that are not old";
    let mut warnings = Vec::new();
    for (name, wanted, otherwise) in [
        ("appendonly", "yes", ANSWERED),
        ("appendfsync", "always", ANSWERED),
        ("maxmemory-policy", "noeviction", FULL),
    ] {
        let asked: RedisResult<Vec<String>> = redis::cmd("CONFIG")
            .arg("GET")
            .arg(name)
            .query_async(commands)
            .await;
        let fix = format!(
            "put `{name} {wanted}` into its redis.conf, or set it while it runs: redis-cli config \
             set {name} {wanted}"
        );
        match asked.as_deref() {
            Ok([_, is]) if is == wanted => {}
            Ok([_, is]) => {
                warnings.push(format!("Redis has `{name} {is}`: {otherwise}; {fix}"));
            }
            _ => warnings.push(format!(
                "Redis does not say whether it has `{name} {wanted}`: without, {otherwise}; {fix}"
            )),
        }
    }
    warnings
}

/// The keys that both scripts are given.
fn keys(name: &str) -> Vec<String> {
    let names = [
        "log",
        "events",
        "index",
        "bytes",
        "lost",
        "lost:order",
        "keys",
        "keys:order",
    ];
    let keys = names.iter().map(|key| format!("{{{name}}}:{key}"));
    keys.collect()
}

fn room(limits: Limits) -> String {
    let room = Room {
        events: limits.events_max,
        bytes: limits.bytes_max,
        age_ms: u64::try_from(limits.age_max.as_millis())
            .map_or(AGE_MS_MAX, |age| age.min(AGE_MS_MAX)),
        all_events: limits.all_events_max,
        all_bytes: limits.all_bytes_max,
        channels: limits.empty_channels_max,
        keys: KEYS_MAX,
        drops: DROPS_MAX,
    };
    serde_json::to_string(&room).unwrap_or_default()
}

/// Reads what follows what is known: the last event, and its number.
async fn page(
    read: &Script,
    keys: &[String],
    (seen, number): (EventId, u64),
    next_epoch: u64,
    commands: &mut MultiplexedConnection,
) -> RedisResult<Page> {
    let mut script = read.prepare_invoke();
    for key in keys {
        script.key(key);
    }
    script.arg(seen.epoch).arg(seen.offset).arg(number);
    script.arg(next_epoch).arg(PAGE_EVENTS).arg(PAGE_BYTES_MAX);
    script.invoke_async(commands).await
}

impl Node {
    /// Copies the events to the log as they come, until the store is dropped.
    async fn follow(self: Arc<Self>, tell: watch::Sender<EventId>) {
        let mut is_failing = false;
        loop {
            let followed = self.follow_connected(&tell, &mut is_failing).await;
            if let Err(error) = followed
                && !is_failing
            {
                is_failing = true;
                tracing::error!("cannot read events from Redis, and goes on trying: {error}");
            }
            sleep(CONNECT_AGAIN).await;
        }
    }

    async fn follow_connected(
        &self,
        tell: &watch::Sender<EventId>,
        is_failing: &mut bool,
    ) -> RedisResult<()> {
        let mut commands = connect(&self.client).await?;
        let index = &self.keys[2];
        loop {
            self.catch_up(&mut commands).await?;
            if std::mem::take(is_failing) {
                tracing::info!("events are read from Redis again");
            }
            tell.send_replace(self.hub.cursor());
            let wait = StreamReadOptions::default()
                .block(usize::try_from(LOOK_EVERY.as_millis()).unwrap_or(usize::MAX))
                .count(1);
            let after = format!("{}-1", self.hub.cursor().offset);
            let _: Option<StreamReadReply> =
                commands.xread_options(&[index], &[after], &wait).await?;
        }
    }

    /// Reads all that the log has not, and makes sure that what it has is still there. A new epoch
    /// is read aside until it is all here: a reader that came before would take what is old for
    /// news.
    async fn catch_up(&self, commands: &mut MultiplexedConnection) -> RedisResult<()> {
        let mut begun: Option<(Hub, u64)> = None;
        loop {
            let known = match &begun {
                None => (self.hub.cursor(), self.last_number.load(Ordering::Relaxed)),
                Some((hub, number)) => (hub.cursor(), *number),
            };
            let known_epoch = known.0.epoch;
            let next_epoch = known_epoch.max(now_ms()) + 1;
            let page = page(&self.read, &self.keys, known, next_epoch, commands).await?;
            let (epoch, through, last, ..) = page;
            if epoch != known_epoch {
                begun = Some((Hub::new(epoch, self.hub.limits()), 0));
            }
            match &mut begun {
                None => self.take(page),
                Some((hub, number)) => *number = take(hub, page).unwrap_or(*number),
            }
            if through < last {
                continue;
            }
            if let Some((hub, number)) = begun {
                tracing::warn!(
                    "Redis has lost events: what it has begins epoch {epoch}, and readers are told"
                );
                self.last_number.store(number, Ordering::Relaxed);
                self.hub.renew(hub);
            }
            return Ok(());
        }
    }

    /// Copies a page to the log.
    fn take(&self, page: Page) {
        if let Some(number) = take(&self.hub, page) {
            self.last_number.store(number, Ordering::Relaxed);
        }
    }
}

/// Copies a page to a log. Returns the number of the last event, 0 if it could not be read; nothing
/// if there is none.
fn take(hub: &Hub, (epoch, through, _, now_ms, entries, forgotten, lost): Page) -> Option<u64> {
    let at = Instant::now();
    let mut events = Vec::with_capacity(entries.len());
    let mut unread_through = 0;
    let mut number = None;
    for (offset, text, added_ms) in entries {
        let Some(stored) = Stored::parse(&text) else {
            // Nobody but us writes here; what cannot be read is missed aloud.
            unread_through = offset;
            number = Some(0);
            continue;
        };
        number = Some(stored.number());
        let age = Duration::from_millis(now_ms.saturating_sub(added_ms));
        let id = EventId { epoch, offset };
        let event = Arc::new(Event::new(id, stored.publication()));
        // A clock that cannot go back that far has just started, and so does the age.
        events.push((at.checked_sub(age).unwrap_or(at), event));
    }
    let losses = (!forgotten.is_empty()).then(|| Losses {
        last: 0,
        forgotten: dropped(&forgotten),
        channels: (lost.into_iter())
            .map(|(topic, through)| (topic.into(), dropped(&through)))
            .collect(),
    });
    hub.take_on(Copied {
        losses,
        events,
        unread_through,
        through,
    });
    number
}

/// Reads what the script notes of losses: an offset for each class. Of what cannot be read nothing
/// is known to be there.
fn dropped(text: &str) -> Dropped {
    let mut offsets = text.split(' ').map(str::parse);
    match [offsets.next(), offsets.next(), offsets.next()] {
        [
            Some(Ok(public)),
            Some(Ok(private)),
            Some(Ok(private_shared)),
        ] => Dropped {
            public,
            private,
            private_shared,
        },
        _ => Dropped::default(),
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}
