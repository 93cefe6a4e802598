//! Events in Redis, for more machines than one: every node publishes there and reads from there.
//!
//! ```text
//!   {NAME}:log      hash: epoch, offset of the last event
//!   {NAME}:stream   the events, by offset
//!   {NAME}:key:K    the offset that was published with an idempotency key
//! ```
//!
//! One hash tag, so a cluster keeps them on one node. Publishing is one script: it counts, appends,
//! trims, remembers the key, and so wakes every node, each of which waits for the stream and copies
//! it to its own log. What a node answers it has read back: its own readers have it by then.
//!
//! A fail-over may lose what was answered. It shows when Redis has less than a node has seen, or
//! something else in its place: then the log begins a new epoch, with what Redis has, and readers
//! are told of the gap. Each event carries a number of its own by which that is seen.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use redis::aio::MultiplexedConnection;
use redis::streams::{StreamRangeReply, StreamReadOptions, StreamReadReply};
use redis::{AsyncCommands as _, AsyncConnectionConfig, Client, RedisError, RedisResult, Script};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::PublishError;
use crate::hub::{Event, EventId, Hub, Limits, Publication, Published};

/// How long a node waits for the stream before it looks whether Redis is still the same.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long it waits for any answer.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(5);
/// How long it waits before it connects again.
const CONNECT_AGAIN: Duration = Duration::from_millis(250);
/// How long an idempotency key is known.
const KEY_SECONDS: u64 = 24 * 60 * 60;
/// Events that are read in one go.
const PAGE_EVENTS: usize = 1000;

/// KEYS: log, stream, key. ARGV: epoch, event, events to keep, whether there is a key, seconds it
/// is known, the offset that the node has seen.
const PUBLISH: &str = r"
local log = redis.call('HMGET', KEYS[1], 'epoch', 'offset')
if log[1] ~= ARGV[1] or tonumber(log[2]) < tonumber(ARGV[6]) then return {'lost', 0} end
if ARGV[4] == '1' then
  local known = redis.call('GET', KEYS[3])
  if known then return {'known', tonumber(known)} end
end
local offset = redis.call('HINCRBY', KEYS[1], 'offset', 1)
redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], offset .. '-1', 'event', ARGV[2])
if ARGV[4] == '1' then redis.call('SET', KEYS[3], offset, 'EX', ARGV[5]) end
return {'new', offset}
";

/// KEYS: log. ARGV: the epoch of a log that is lost, or nothing; another. Returns what it is then.
const RENEW: &str = r"
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if not epoch or epoch == ARGV[1] then
  redis.call('HSET', KEYS[1], 'epoch', ARGV[2])
  redis.call('HINCRBY', KEYS[1], 'offset', 0)
end
return redis.call('HMGET', KEYS[1], 'epoch', 'offset')
";

/// Where the events are.
#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]`.
    pub url: String,
    /// The name before all keys: nodes with the same one share a log.
    pub name: String,
}

/// Why Redis cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot keep events in Redis")]
pub struct OpenError(#[from] RedisError);

/// A node's two ends: who publishes, and the task that reads.
pub(super) struct Redis {
    node: Arc<Node>,
    /// None: it was lost, or was never needed.
    commands: Mutex<Option<MultiplexedConnection>>,
    publish: Script,
    seen: watch::Receiver<EventId>,
    tail: JoinHandle<()>,
}

struct Node {
    client: Client,
    name: String,
    hub: Arc<Hub>,
    /// The number of the last event that was read, which no other has.
    last_number: AtomicU64,
}

/// An event as Redis keeps it.
#[derive(Serialize, Deserialize)]
struct Stored {
    number: u64,
    topics: Vec<String>,
    #[serde(default)]
    kind: String,
    data: String,
    retry_ms: Option<u64>,
    publisher_id: Option<String>,
    idempotency_key: Option<String>,
    is_private: bool,
    time_ms: u64,
}

impl Redis {
    pub(super) async fn open(
        options: &RedisOptions,
        epoch: u64,
        limits: Limits,
    ) -> Result<(Self, Arc<Hub>, Vec<String>), OpenError> {
        let client = Client::open(options.url.as_str())?;
        let mut commands = connect(&client).await?;
        let warnings = warnings(&mut commands).await;
        let log = format!("{{{}}}:log", options.name);
        let (epoch, _) = renew(&mut commands, &log, None, epoch).await?;
        let hub = Arc::new(Hub::new(epoch, limits));
        let node = Arc::new(Node {
            client,
            name: options.name.clone(),
            hub: Arc::clone(&hub),
            last_number: AtomicU64::new(0),
        });
        node.catch_up(&mut commands).await?;
        let (tell, seen) = watch::channel(hub.cursor());
        let tail = tokio::spawn(Arc::clone(&node).follow(tell));
        let redis = Self {
            node,
            commands: Mutex::new(Some(commands)),
            publish: Script::new(PUBLISH),
            seen,
            tail,
        };
        Ok((redis, hub, warnings))
    }

    pub(super) async fn publish(
        &self,
        publication: Publication,
    ) -> Result<Published, PublishError> {
        let id = (publication.idempotency_key.clone()).unwrap_or_default();
        let stored = Stored::of(publication);
        let event = serde_json::to_string(&stored).unwrap_or_default();
        // Once more if the log was lost meanwhile.
        for _ in 0..2 {
            let cursor = self.node.hub.cursor();
            let mut commands =
                (self.commands().await).map_err(|error| PublishError::Failed(error.to_string()))?;
            let (what, offset): (String, u64) = self
                .publish
                .key(self.node.key("log"))
                .key(self.node.key("stream"))
                .key(self.node.key(&format!("key:{id}")))
                .arg(cursor.epoch)
                .arg(&event)
                .arg(self.node.hub.limits().all_events_max)
                .arg(u8::from(!id.is_empty()))
                .arg(KEY_SECONDS)
                .arg(cursor.offset)
                .invoke_async(&mut commands)
                .await
                .map_err(|error| {
                    *self.kept_commands() = None;
                    PublishError::Unknown(error.to_string())
                })?;
            let published = EventId {
                epoch: cursor.epoch,
                offset,
            };
            if what == "lost" {
                self.wait(|seen| seen.epoch != cursor.epoch).await;
                continue;
            }
            self.wait(|seen| *seen >= published || seen.epoch != cursor.epoch)
                .await;
            return Ok(Published {
                id: published,
                is_repeated: what == "known",
            });
        }
        Err(PublishError::Failed(
            "Redis has lost events, and loses more".to_owned(),
        ))
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

/// Returns what of an answer Redis could lose, as it is configured.
async fn warnings(commands: &mut MultiplexedConnection) -> Vec<String> {
    let mut warnings = Vec::new();
    for (name, wanted) in [("appendonly", "yes"), ("appendfsync", "always")] {
        let asked: RedisResult<Vec<String>> = redis::cmd("CONFIG")
            .arg("GET")
            .arg(name)
            .query_async(commands)
            .await;
        match asked.as_deref() {
            Ok([_, is]) if is == wanted => {}
            Ok([_, is]) => warnings.push(format!(
                "Redis has `{name} {is}`: what is answered may be lost when it stops; set \
                 `{name} {wanted}`"
            )),
            _ => warnings.push(format!(
                "Redis does not say whether it has `{name} {wanted}`: without, what is answered \
                 may be lost when it stops"
            )),
        }
    }
    warnings
}

async fn renew(
    commands: &mut MultiplexedConnection,
    log: &str,
    lost: Option<u64>,
    epoch: u64,
) -> RedisResult<(u64, u64)> {
    let lost = lost.map_or(String::new(), |lost| lost.to_string());
    let script = Script::new(RENEW);
    script
        .key(log)
        .arg(lost)
        .arg(epoch)
        .invoke_async(commands)
        .await
}

impl Node {
    fn key(&self, key: &str) -> String {
        format!("{{{}}}:{key}", self.name)
    }

    /// Copies the stream to the log as it grows, until the store is dropped.
    async fn follow(self: Arc<Self>, tell: watch::Sender<EventId>) {
        let mut is_failing = false;
        loop {
            let followed = self.follow_connected(&tell, &mut is_failing).await;
            if let Err(error) = followed
                && !is_failing
            {
                is_failing = true;
                tracing::error!("cannot read events from Redis: {error}");
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
            let _: Option<StreamReadReply> = commands
                .xread_options(&[self.key("stream")], &[after], &wait)
                .await?;
        }
    }

    /// Reads all that the log has not, and makes sure that what it has is still there.
    async fn catch_up(&self, commands: &mut MultiplexedConnection) -> RedisResult<()> {
        let seen = self.hub.cursor();
        let next = seen.epoch.max(now_ms()) + 1;
        let (epoch, last) = renew(commands, &self.key("log"), None, next).await?;
        if epoch != seen.epoch {
            tracing::warn!("the events in Redis were lost; what it has begins epoch {epoch}");
            self.begin(epoch);
        } else if last < seen.offset || !self.is_same(commands, seen).await? {
            // Whoever notices first says so; the others find another epoch.
            let (epoch, _) = renew(commands, &self.key("log"), Some(seen.epoch), next).await?;
            tracing::warn!("Redis has lost events; what it has begins epoch {epoch}");
            self.begin(epoch);
        }
        loop {
            let seen = self.hub.cursor();
            let after = format!("({}-1", seen.offset);
            let stream = self.key("stream");
            let page: StreamRangeReply = commands
                .xrange_count(&stream, after, "+", PAGE_EVENTS)
                .await?;
            if page.ids.is_empty() {
                // What was counted but is not there was trimmed.
                self.hub.with_log(|log| {
                    if seen.offset < last {
                        log.lose_all_through(last);
                    }
                });
                return Ok(());
            }
            self.take(seen, &page);
        }
    }

    fn begin(&self, epoch: u64) {
        self.last_number.store(0, Ordering::Relaxed);
        self.hub.renew(epoch);
    }

    /// Returns whether the last event that was read is what Redis has in its place, or trimmed.
    async fn is_same(
        &self,
        commands: &mut MultiplexedConnection,
        seen: EventId,
    ) -> RedisResult<bool> {
        let number = self.last_number.load(Ordering::Relaxed);
        if number == 0 {
            return Ok(true);
        }
        let id = format!("{}-1", seen.offset);
        let found: StreamRangeReply = commands.xrange(self.key("stream"), &id, &id).await?;
        let Some(found) = found.ids.first() else {
            let first: StreamRangeReply = commands
                .xrange_count(self.key("stream"), "-", "+", 1)
                .await?;
            let first = first.ids.first().and_then(|first| offset(&first.id));
            return Ok(first.is_none_or(|first| first > seen.offset));
        };
        let stored = found.get("event").and_then(|text: String| parse(&text));
        Ok(stored.is_some_and(|stored| stored.number == number))
    }

    fn take(&self, seen: EventId, page: &StreamRangeReply) {
        let at = Instant::now();
        let now_ms = now_ms();
        let mut events = Vec::with_capacity(page.ids.len());
        let mut last = seen.offset;
        let mut lost_through = 0;
        for entry in &page.ids {
            let stored = entry.get("event").and_then(|text: String| parse(&text));
            let (Some(offset), Some(stored)) = (offset(&entry.id), stored) else {
                // Nobody but us writes here; what cannot be read is missed aloud.
                last += 1;
                lost_through = last;
                continue;
            };
            if offset > last + 1 {
                lost_through = offset - 1;
            }
            last = offset;
            self.last_number.store(stored.number, Ordering::Relaxed);
            let age = match stored.time_ms {
                0 => 0,
                time_ms => now_ms.saturating_sub(time_ms),
            };
            let age = Duration::from_millis(age);
            let id = EventId { offset, ..seen };
            let event = Arc::new(Event::new(id, stored.publication()));
            events.push((at.checked_sub(age).unwrap_or(at), event));
        }
        // Whoever is woken by what comes behind a hole has to find the hole.
        let first = events
            .first()
            .map_or(u64::MAX, |(_, event)| event.id.offset);
        let lose = || self.hub.with_log(|log| log.lose_all_through(lost_through));
        let is_ahead = lost_through < first;
        if lost_through > 0 && is_ahead {
            lose();
        }
        self.hub.insert_all(events);
        if lost_through > 0 && !is_ahead {
            lose();
        }
    }
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

fn offset(id: &str) -> Option<u64> {
    id.strip_suffix("-1")?.parse().ok()
}

fn parse(text: &str) -> Option<Stored> {
    let stored: Stored = serde_json::from_str(text).ok()?;
    (!stored.topics.is_empty()).then_some(stored)
}

impl Stored {
    fn of(publication: Publication) -> Self {
        // Of the system's random numbers; two of one log are never alike.
        let random = std::hash::RandomState::new();
        let number = std::hash::BuildHasher::hash_one(&random, now_ms()) | 1;
        let retry = publication.retry.map(|retry| retry.as_millis());
        Self {
            number,
            topics: publication.topics,
            kind: publication.kind,
            data: publication.data,
            retry_ms: retry.map(|retry| u64::try_from(retry).unwrap_or(u64::MAX)),
            publisher_id: publication.publisher_id,
            idempotency_key: publication.idempotency_key,
            is_private: publication.is_private,
            time_ms: publication.time_ms,
        }
    }

    fn publication(self) -> Publication {
        Publication {
            topics: self.topics,
            kind: self.kind,
            data: self.data,
            retry: self.retry_ms.map(Duration::from_millis),
            publisher_id: self.publisher_id,
            idempotency_key: self.idempotency_key,
            is_private: self.is_private,
            time_ms: self.time_ms,
        }
    }
}
