//! Encoded forms of files: which lie beside them, and which are made here, one at a time.
//!
//! Nobody waits for a form: who asks first is sent the file as it is. What was asked for is
//! compressed on a blocking thread, quickly at first and as well as possible when nothing else is
//! to be done quickly. It is held with the file, counted with it, and goes with it.
//!
//! ```text
//! asked for -> Fast -> kept -> Best -> kept in its place
//!                `------------------`-> Useless: never tried again
//! ```

use std::collections::{HashSet, VecDeque};
use std::io;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use lru::LruCache;
use tokio::runtime::Handle;

use super::SiteRoot;
use super::disk::{Found, Identity};
use super::loader::{Loader, lock};
use crate::site::encodings::{Attempt, Coding, Encoded, Encodings, Level, codec};
use crate::site::{Asset, UrlPath};

/// Forms that wait to be made. One more is asked for again by whoever wants it next.
const QUEUE_MAX: usize = 4096;

/// Sidecars that may not be read and are remembered.
const SHUT_MAX: NonZeroUsize = NonZeroUsize::new(1024).expect("1024 is not 0");

/// Forms that are to be made: one is, at any time. It is work for the processor, which those who
/// answer need more.
#[derive(Debug)]
pub(super) struct Encoder {
    queue: Mutex<Queue>,
    /// Sidecars that may not be read, as they were then: their originals are not read again in the
    /// hope that they may. Whoever allows it changes what they are.
    shut: Mutex<LruCache<UrlPath, Identity>>,
}

#[derive(Debug, Default)]
struct Queue {
    fast: VecDeque<Job>,
    best: VecDeque<Job>,
    /// All that wait or are being made.
    known: HashSet<Job>,
    is_working: bool,
}

/// A form that is to be made of whatever is at a path by then.
type Job = (UrlPath, Coding);

impl SiteRoot {
    /// Has an encoded form of a file made, for those who ask later. Nothing happens outside a
    /// runtime, nor on a site that is [frozen](super::SiteOptions::frozen).
    pub fn encode(&self, asset: &Asset, coding: Coding) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        if self.loader.options.frozen || !self.loader.encoder.add(asset, coding) {
            return;
        }
        let loader = Arc::clone(&self.loader);
        // Joined by the runtime, which ends its blocking threads before it ends.
        drop(runtime.spawn_blocking(move || loader.encode_all()));
    }

    /// Makes an encoded form of a file at once, and quickly.
    pub async fn encode_now(&self, asset: &Arc<Asset>, coding: Coding) {
        let (loader, asset) = (Arc::clone(&self.loader), Arc::clone(asset));
        let permit = Arc::clone(&loader.permits).acquire_owned().await;
        let made = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            if !asset.encodings.is_settled(coding, Level::Fast) {
                loader.encode(&asset, coding, Level::Fast);
            }
        });
        // Only when the runtime ends, or after a panic that has been reported.
        let _ = made.await;
    }

    /// Takes over what was made of the same content elsewhere.
    pub fn keep_encodings(&self, asset: &Arc<Asset>, known: &Encodings) {
        self.loader
            .put_encodings(asset, |asset| asset.encodings.adopt(known));
    }

    /// Makes an encoded form of a file as small as it gets. Blocks, up to seconds for a megabyte.
    pub fn encode_blocking(&self, asset: &Arc<Asset>, coding: Coding) {
        if asset.can_be_encoded() && !asset.encodings.is_settled(coding, Level::Best) {
            self.loader.encode(asset, coding, Level::Best);
        }
    }
}

impl Default for Encoder {
    fn default() -> Self {
        Self {
            queue: Mutex::default(),
            shut: Mutex::new(LruCache::new(SHUT_MAX)),
        }
    }
}

impl Encoder {
    /// Queues a form, and returns whether a worker is missing.
    fn add(&self, asset: &Asset, coding: Coding) -> bool {
        let mut queue = lock(&self.queue);
        let job = (asset.path.clone(), coding);
        if queue.known.len() >= QUEUE_MAX || !queue.known.insert(job.clone()) {
            return false;
        }
        if asset.encodings.is_settled(coding, Level::Fast) {
            queue.best.push_back(job);
        } else {
            queue.fast.push_back(job);
        }
        !std::mem::replace(&mut queue.is_working, true)
    }

    /// Returns what is to be done next. The worker retires in the same moment in which it finds
    /// nothing, so that whoever queues something either is served or sees that none works.
    fn next(&self) -> Option<(Job, Level)> {
        let mut queue = lock(&self.queue);
        let fast = queue.fast.pop_front().map(|job| (job, Level::Fast));
        let next = fast.or_else(|| queue.best.pop_front().map(|job| (job, Level::Best)));
        queue.is_working = next.is_some();
        next
    }

    fn shut(&self, sidecar: UrlPath, identity: Identity) {
        lock(&self.shut).put(sidecar, identity);
    }

    fn is_shut(&self, sidecar: &UrlPath, identity: Identity) -> bool {
        lock(&self.shut).get(sidecar) == Some(&identity)
    }

    /// Queues what is left to be done of a job, or forgets it.
    fn done(&self, job: Job, level: Level, is_settled: bool) {
        let mut queue = lock(&self.queue);
        if level == Level::Fast && !is_settled {
            queue.best.push_back(job);
        } else {
            queue.known.remove(&job);
        }
    }
}

/// Lets another worker begin if this one fails.
struct Shift<'a>(&'a Encoder);

impl Drop for Shift<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            *lock(&self.0.queue) = Queue::default();
        }
    }
}

impl Loader {
    /// Makes what is queued until nothing is.
    fn encode_all(&self) {
        let _shift = Shift(&self.encoder);
        while let Some((job, level)) = self.encoder.next() {
            let (path, coding) = &job;
            let asset = self.site.load().asset(path.as_str()).cloned();
            let asset = asset.filter(|asset| asset.can_be_encoded());
            if let Some(asset) = &asset
                && !asset.encodings.is_settled(*coding, level)
            {
                self.encode(asset, *coding, level);
            }
            let is_settled = |asset: Arc<Asset>| asset.encodings.is_settled(*coding, Level::Best);
            let is_settled = asset.is_none_or(is_settled);
            self.encoder.done(job, level, is_settled);
        }
    }

    /// Makes an encoded form of a file and keeps it, if the file is still there by then.
    fn encode(&self, asset: &Arc<Asset>, coding: Coding, level: Level) {
        let Some(content) = &asset.content else {
            return;
        };
        let attempt = match codec::encode(content, coding, level) {
            Some(bytes) => Attempt::Smaller(Encoded::made(coding, level, bytes, &asset.tag)),
            None => Attempt::Useless,
        };
        self.put_encodings(asset, |asset| asset.encodings.put(coding, attempt));
    }

    /// Adds to what a file holds, and counts it.
    fn put_encodings(&self, asset: &Arc<Asset>, put: impl FnOnce(&Asset)) {
        self.derive(|site, memory| {
            // It may have been read again meanwhile, or have had to go.
            let known = site.asset(asset.path.as_str()).cloned();
            let is_same = |known: &Arc<Asset>| known.content_hash == asset.content_hash;
            if let Some(known) = known.filter(|it| is_same(it) && it.content.is_some()) {
                let before = known.held_bytes();
                put(&known);
                memory.resize(site, &known.path, before, known.held_bytes());
            }
        });
    }

    /// Adds to a file what lies beside it in an encoding.
    pub(super) fn find_sidecars(&self, asset: &Asset) {
        for coding in Coding::ALL {
            let Some((path, identity)) = self.sidecar(asset, coding) else {
                continue;
            };
            match self.disk.read(&path, self.content_bytes_max) {
                Ok(Found::File(sidecar)) if is_of_use(asset, sidecar.length) => {
                    let encoded = Encoded::beside(Arc::new(sidecar), coding, &asset.tag);
                    asset.encodings.put(coding, Attempt::Smaller(encoded));
                }
                Ok(_) => {}
                Err(error) => {
                    self.warn(&path, &error);
                    if error.kind() == io::ErrorKind::PermissionDenied {
                        self.encoder.shut(path, identity);
                    }
                }
            }
        }
    }

    /// Returns whether what lies beside a file is what was found there.
    pub(super) fn has_its_sidecars(&self, asset: &Asset) -> bool {
        Coding::ALL.into_iter().all(|coding| {
            let known = asset.encodings.sidecar(coding);
            let found = self.sidecar(asset, coding);
            match (known, found) {
                (Some(known), Some((_, found))) => known.identity == Some(found) && !known.recent,
                (None, Some((path, found))) => self.encoder.is_shut(&path, found),
                (known, None) => known.is_none(),
            }
        })
    }

    /// Returns whether something of a file is streamed that could be held.
    pub(super) fn lacks_content(&self, asset: &Asset) -> bool {
        let lacks =
            |asset: &Asset| asset.content.is_none() && asset.length <= self.content_bytes_max;
        let mut sidecars = Coding::ALL.into_iter();
        lacks(asset) || sidecars.any(|c| asset.encodings.sidecar(c).is_some_and(|s| lacks(&s)))
    }

    /// Returns where the sidecar of a file lies, and what it is, if it is of use: not older than
    /// the file, and smaller.
    fn sidecar(&self, asset: &Asset, coding: Coding) -> Option<(UrlPath, Identity)> {
        let original = asset.identity.filter(|_| asset.shrinks)?;
        let path = asset.path.as_str();
        let path = UrlPath::decoded(&format!("{path}{}", coding.extension())).ok()?;
        let Ok(Found::File(identity)) = self.disk.stat(&path) else {
            return None;
        };
        let is_newer = identity.modified() >= original.modified();
        (is_newer && is_of_use(asset, identity.length)).then_some((path, identity))
    }
}

/// Returns the path of the file that a sidecar may lie beside.
pub(super) fn original(sidecar: &UrlPath) -> Option<UrlPath> {
    let path = sidecar.as_str();
    let mut names = Coding::ALL.iter();
    let original = names.find_map(|coding| path.strip_suffix(coding.extension()))?;
    UrlPath::decoded(original).ok()
}

fn is_of_use(asset: &Asset, length: u64) -> bool {
    length > 0 && length < asset.length
}
