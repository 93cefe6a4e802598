//! Events in a directory: what was answered is there after any crash.
//!
//! One thread writes. It takes all publications that have gathered while it was busy, appends them
//! in one write, waits once for the disk, and then tells and answers all of them (group commit). So
//! publishing is bounded by the disk's bandwidth, not by its flushes.
//!
//! Own segment files, not a database, because a log is only ever appended to, read from end to end
//! and dropped at its old end, and because nothing else was quicker. 256 publishers of 200 bytes,
//! three rounds of each side by side on a virtual disk that flushes 380 times a second one after
//! another: these files 293,000 publications a second (median; 1,330 groups), fjall 3.1 131,000
//! (560), redb 4.4 73,000 (310). Preallocating the files gained nothing that could be told from the
//! noise.
//!
//! What a log keeps is in memory as well: files are read once, at the start. Read on in
//! [`segments`] for the files, `record` for the bytes in them, and `volume` for the door to them.

mod record;
mod segments;
#[cfg(test)]
mod tests;
mod volume;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::SystemTime;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use self::segments::{SEGMENT_BYTES, Segments};
use self::volume::{Directory, Volume};
use super::PublishError;
use crate::hub::{Event, EventId, Hub, Limits, Publication, Published};

/// Publications that may wait to be written; further publishers wait for room.
pub const WAITING_MAX: usize = 1024;
/// Bytes that are written in one go, or one event more.
const GROUP_BYTES_MAX: usize = 4 << 20;

/// Why a directory cannot keep events.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// It cannot be made, read or written.
    #[error("cannot keep events in `{directory}`")]
    Io {
        /// The directory.
        directory: String,
        /// What failed.
        #[source]
        error: io::Error,
    },
    /// Another program writes there.
    #[error("cannot keep events in `{directory}`: another forerun does; give each its own")]
    Locked {
        /// The directory.
        directory: String,
    },
}

/// The writer's other end.
pub(super) struct Disk {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// A publication on its way.
struct Job {
    publication: Publication,
    at: Instant,
    answer: oneshot::Sender<Result<Published, PublishError>>,
}

impl Disk {
    pub(super) fn open(
        directory: &Path,
        epoch: u64,
        limits: Limits,
        now: SystemTime,
    ) -> Result<(Self, Arc<Hub>), DiskError> {
        let name = || directory.display().to_string();
        let failed = |error| DiskError::Io {
            directory: name(),
            error,
        };
        let volume = match Directory::open(directory) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(DiskError::Locked { directory: name() });
            }
            volume => volume.map_err(failed)?,
        };
        let mut writer = Writer::open(volume, epoch, limits, now, SEGMENT_BYTES).map_err(failed)?;
        let hub = Arc::clone(&writer.hub);
        let (jobs, mut waiting) = mpsc::channel(WAITING_MAX);
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || {
                while let Some(first) = waiting.blocking_recv() {
                    writer.commit(gather(first, &mut waiting));
                }
            })
            .map_err(failed)?;
        let disk = Self {
            jobs: Some(jobs),
            thread: Some(thread),
        };
        Ok((disk, hub))
    }

    pub(super) async fn publish(
        &self,
        publication: Publication,
    ) -> Result<Published, PublishError> {
        let gone = || PublishError::Failed("the journal has ended".to_owned());
        let (answer, answered) = oneshot::channel();
        let job = Job {
            publication,
            at: Instant::now(),
            answer,
        };
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send(job).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

impl Drop for Disk {
    /// Waits for what is being written.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // It has said why if it panicked.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").finish_non_exhaustive()
    }
}

/// Takes all that waits, as far as it is written in one go.
fn gather(first: Job, waiting: &mut mpsc::Receiver<Job>) -> Vec<Job> {
    let mut bytes = first.publication.cost();
    let mut group = vec![first];
    while bytes < GROUP_BYTES_MAX
        && group.len() < WAITING_MAX
        && let Ok(job) = waiting.try_recv()
    {
        bytes += job.publication.cost();
        group.push(job);
    }
    group
}

/// Who writes. Apart from its thread, so that each step can be tried on a simulated disk.
struct Writer<V: Volume> {
    segments: Segments<V>,
    hub: Arc<Hub>,
    /// Whether the last group failed: that is said once.
    is_failing: bool,
}

impl<V: Volume> Writer<V> {
    fn open(
        volume: V,
        epoch: u64,
        limits: Limits,
        now: SystemTime,
        segment_bytes: u64,
    ) -> io::Result<Self> {
        let (segments, found) = Segments::open(volume, epoch, segment_bytes)?;
        let hub = Hub::new(segments.epoch(), limits);
        let started = Instant::now();
        let now_ms = (now.duration_since(SystemTime::UNIX_EPOCH)).unwrap_or_default();
        let at = |event: &Event| {
            let published = std::time::Duration::from_millis(event.time_ms);
            let age = match event.time_ms {
                0 => None,
                _ => now_ms.checked_sub(published),
            };
            // A clock that cannot go back that far has just started, and so does the age.
            age.and_then(|age| started.checked_sub(age))
                .unwrap_or(started)
        };
        hub.with_log(|log| {
            for event in found.events {
                log.insert(at(&event), event);
            }
            log.restore(found.losses);
            log.lose_all_through(found.lost_through);
        });
        Ok(Self {
            segments,
            hub: Arc::new(hub),
            is_failing: false,
        })
    }

    /// Keeps, tells and answers a group; or none of it.
    fn commit(&mut self, group: Vec<Job>) {
        let cursor = self.hub.cursor();
        let mut events: Vec<(Instant, Arc<Event>)> = Vec::with_capacity(group.len());
        let mut keys: HashMap<String, EventId> = HashMap::new();
        let mut answers = Vec::with_capacity(group.len());
        for job in group {
            let next = EventId {
                offset: cursor.offset + events.len() as u64 + 1,
                ..cursor
            };
            let key = job.publication.idempotency_key.as_deref();
            let known = key.and_then(|key| {
                let earlier = || self.hub.with_log(|log| log.published_with(key));
                keys.get(key).copied().or_else(earlier)
            });
            let id = known.unwrap_or(next);
            if known.is_none() {
                keys.extend(key.map(|key| (key.to_owned(), id)));
                events.push((job.at, Arc::new(Event::new(id, job.publication))));
            }
            let published = Published {
                id,
                is_repeated: known.is_some(),
            };
            answers.push((published, job.answer));
        }
        let kept = self.keep(&events);
        if kept.is_ok() {
            // Before these drop others: what the new file says of the lost is from before.
            self.segments.compact(&self.hub);
            self.hub.insert_all(events);
        }
        for (published, answer) in answers {
            let is_old = published.id <= cursor;
            let result = if is_old { Ok(()) } else { kept.clone() };
            // Whoever does not wait any more has published nevertheless.
            let _ = answer.send(result.map(|()| published));
        }
    }

    fn keep(&mut self, events: &[(Instant, Arc<Event>)]) -> Result<(), PublishError> {
        if events.is_empty() {
            return Ok(());
        }
        let events: Vec<_> = events.iter().map(|(_, event)| Arc::clone(event)).collect();
        let losses = || {
            self.hub.with_log(|log| {
                log.trim(Instant::now());
                log.losses()
            })
        };
        let kept = self.segments.append(&events, losses);
        match &kept {
            Ok(()) if self.is_failing => tracing::info!("events are kept again"),
            Err(error) if !self.is_failing => {
                tracing::error!("cannot keep events, so none are published: {error}");
            }
            _ => {}
        }
        self.is_failing = kept.is_err();
        kept.map_err(|error| PublishError::Failed(error.to_string()))
    }
}
