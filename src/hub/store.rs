//! Where events are kept besides in memory: nowhere, on disk, or in Redis.
//!
//! A store stands before a hub: what is published is kept by it first, then told, then answered. So
//! an answer means stored, and all readers, now and after a restart, find one order. Readers ask
//! the hub alone. Read on in [`disk`] and [`redis`].

pub mod disk;
pub mod redis;

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use self::disk::{Disk, DiskError};
use self::redis::{OpenError, Redis, RedisOptions};
use super::{After, BadPublication, Hub, Limits, Publication, Published};

/// A hub, and what keeps its events.
#[derive(Debug)]
pub struct Store {
    hub: Arc<Hub>,
    journal: Journal,
}

#[derive(Debug)]
enum Journal {
    Memory,
    Disk(Disk),
    Redis(Redis),
}

/// Why nothing was published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// It is not what it should be.
    #[error(transparent)]
    Bad(#[from] BadPublication),
    /// It is larger than what a channel keeps.
    #[error("an event has at most {bytes_max} bytes, with what it costs to keep it")]
    TooLarge {
        /// The bound.
        bytes_max: usize,
    },
    /// It could not be kept. It may work later.
    #[error("cannot keep the event: {0}")]
    Failed(String),
    /// There is no room for it.
    #[error("cannot keep the event: {0}")]
    Full(String),
    /// Whatever keeps events is away, and nothing was kept. It works when that is back.
    #[error("cannot keep the event now: {0}; try again")]
    Unavailable(String),
    /// Nobody answered, so it may be kept or not. With an idempotency key it can be tried again.
    #[error("cannot say whether the event is kept: {0}")]
    Unknown(String),
}

impl Store {
    /// Returns a store that keeps nothing but what its hub does. `epoch` must differ from that of
    /// every run before.
    pub fn memory(epoch: u64, limits: Limits) -> Self {
        Self {
            hub: Arc::new(Hub::new(epoch, limits)),
            journal: Journal::Memory,
        }
    }

    /// Opens a store in a directory, which is made if there is none, and reads what it holds: this
    /// blocks. The epoch is what it was, or `epoch` if the directory is new.
    ///
    /// # Errors
    /// The directory cannot be read or written, or another program has it.
    pub fn disk(
        directory: &Path,
        epoch: u64,
        limits: Limits,
        now: SystemTime,
    ) -> Result<Self, DiskError> {
        let (disk, hub) = Disk::open(directory, epoch, limits, now)?;
        Ok(Self {
            hub,
            journal: Journal::Disk(disk),
        })
    }

    /// Joins the nodes that share a log in Redis, and reads what it holds. The epoch is what it
    /// was, or `epoch` if there was no log. Besides the store it returns what should be said
    /// aloud: how Redis could lose what was answered.
    ///
    /// # Errors
    /// Redis cannot be reached, or refuses.
    pub async fn redis(
        options: &RedisOptions,
        epoch: u64,
        limits: Limits,
    ) -> Result<(Self, Vec<String>), OpenError> {
        let (redis, hub, warnings) = Redis::open(options, epoch, limits).await?;
        let journal = Journal::Redis(redis);
        Ok((Self { hub, journal }, warnings))
    }

    /// The hub that readers read.
    pub fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// Waits until what a reader has seen is here: another node may have told it a moment ago. What
    /// is not here after that is nowhere, or cannot be had now. An id that is not known is to be
    /// looked for again ([`Hub::after`]).
    pub async fn reach(&self, after: After) {
        if let (Journal::Redis(redis), After::Id(id)) = (&self.journal, after) {
            redis.reach(id).await;
        }
    }

    /// Publishes: when this returns `Ok`, the event is kept and all who wait for it are woken. If
    /// it is dropped before, the event may be kept nevertheless.
    ///
    /// # Errors
    /// Says why it was not published. Of an event that failed nothing is kept or told.
    pub async fn publish(&self, publication: Publication) -> Result<Published, PublishError> {
        publication.check()?;
        let bytes_max = self.hub.limits().event_bytes_max();
        if publication.cost() > bytes_max {
            return Err(PublishError::TooLarge { bytes_max });
        }
        match &self.journal {
            Journal::Memory => Ok(self.hub.add(publication)),
            Journal::Disk(disk) => disk.publish(publication).await,
            Journal::Redis(redis) => redis.publish(publication).await,
        }
    }
}
