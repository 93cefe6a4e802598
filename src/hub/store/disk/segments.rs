//! The files of a log: begun, appended to, merged and removed.
//!
//! ```text
//!   00000000000000000001.segment    head, group, group, ...    sealed
//!   00000000000000000812.segment    head, group, ...           the last: appended to
//!   new                             a file in the making
//! ```
//!
//! A file is named for the first offset that may be in it. It gets its name when its head and its
//! first group are safe, so a crash leaves it whole or not at all; a group that was cut short at
//! the end of the last one was never answered. After any failure the last file is cut back to what
//! was flushed and never written to again: what a disk has done with a write that failed is not
//! known.
//!
//! Each head holds what all channels have dropped until then, so that files before it may go. Those
//! of which little is kept any more are merged, lest one event of a quiet channel hold the rest.

use std::io;
use std::sync::Arc;

use super::record::{self, Frame, Frames, Head, Next};
use super::volume::Volume;
use crate::hub::log::Losses;
use crate::hub::{Event, Hub};

/// Bytes after which a file is sealed.
pub(super) const SEGMENT_BYTES: u64 = 16 << 20;
/// Files that are merged even though little is gained, so that there are not too many.
const MERGED_MIN: usize = 8;
/// Offsets that are passed over if the last file cannot be read at all: more than were in it, so
/// that none of them is given twice.
const LOST_MAX: u64 = 1 << 32;
const SUFFIX: &str = ".segment";
const NEW: &str = "new";

/// What was found in a directory.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// In order.
    pub(super) events: Vec<Arc<Event>>,
    pub(super) losses: Losses,
    /// The offset through which something was damaged; 0 if nothing was.
    pub(super) lost_through: u64,
}

/// The files of one log.
#[derive(Debug)]
pub(super) struct Segments<V: Volume> {
    volume: V,
    epoch: u64,
    segment_bytes: u64,
    /// In order.
    sealed: Vec<Sealed>,
    last: Option<Last<V::File>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sealed {
    first: u64,
    bytes: u64,
}

#[derive(Debug)]
struct Last<F> {
    file: F,
    first: u64,
    /// What was flushed.
    bytes: u64,
    /// Whether those before it were looked through since it was begun.
    is_compacted: bool,
}

fn name(first: u64) -> String {
    format!("{first:020}{SUFFIX}")
}

fn first_of(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    (digits.len() == 20).then(|| digits.parse().ok())?
}

impl<V: Volume> Segments<V> {
    /// Reads what a directory holds. `epoch` is that of a new one. What comes next goes to a file
    /// of its own.
    pub(super) fn open(volume: V, epoch: u64, segment_bytes: u64) -> io::Result<(Self, Found)> {
        let mut firsts: Vec<_> = (volume.names()?.iter())
            .filter_map(|name| first_of(name))
            .collect();
        firsts.sort_unstable();
        let mut found = Found::default();
        let mut segments = Self {
            volume,
            epoch,
            segment_bytes,
            sealed: Vec::new(),
            last: None,
        };
        let mut replaced_through = 0;
        let mut has_epoch = false;
        for (index, &first) in firsts.iter().enumerate() {
            if first <= replaced_through {
                // It was merged into one before it, and the crash came before it was removed.
                segments.volume.remove(&name(first))?;
                continue;
            }
            let bytes = segments.volume.read(&name(first))?;
            let contents = read(first, &bytes);
            if let Some(head) = &contents.head {
                if has_epoch && head.epoch != segments.epoch {
                    let name = name(first);
                    let what = format!("`{name}` belongs to another log than those before it");
                    return Err(io::Error::other(what));
                }
                (segments.epoch, has_epoch) = (head.epoch, true);
                replaced_through = replaced_through.max(head.through);
            }
            let mut later = firsts[index + 1..].iter();
            let next = later.find(|&&next| next > replaced_through);
            found.take(first, contents, next.copied());
            segments.sealed.push(Sealed {
                first,
                bytes: bytes.len() as u64,
            });
        }
        Ok((segments, found))
    }

    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Appends events whose offsets follow, and waits until they are safe.
    ///
    /// # Errors
    /// Nothing of them will be found.
    pub(super) fn append(
        &mut self,
        events: &[Arc<Event>],
        losses: impl FnOnce() -> Losses,
    ) -> io::Result<()> {
        let Some(first) = events.first().map(|event| event.id.offset) else {
            return Ok(());
        };
        let mut bytes = Vec::new();
        if let Some(last) = &self.last
            && last.bytes >= self.segment_bytes
        {
            self.seal();
        }
        if let Some(last) = &mut self.last {
            record::write_group(&mut bytes, self.epoch, events);
            let appended = self.volume.append(&mut last.file, &bytes);
            match appended.and_then(|()| self.volume.sync(&mut last.file)) {
                Ok(()) => last.bytes += bytes.len() as u64,
                Err(error) => {
                    self.cut_back();
                    return Err(error);
                }
            }
            return Ok(());
        }
        let head = Head {
            epoch: self.epoch,
            first,
            through: 0,
            losses: losses(),
        };
        record::write_head(&mut bytes, &head);
        record::write_group(&mut bytes, self.epoch, events);
        let file = self.begin(first, &bytes)?;
        // One of that name held nothing that could be read.
        self.sealed.retain(|sealed| sealed.first != first);
        self.last = Some(Last {
            file,
            first,
            bytes: bytes.len() as u64,
            is_compacted: false,
        });
        Ok(())
    }

    /// Makes a file with some content, all or nothing.
    fn begin(&self, first: u64, bytes: &[u8]) -> io::Result<V::File> {
        let mut file = self.volume.create(NEW)?;
        let written = (self.volume.append(&mut file, bytes))
            .and_then(|()| self.volume.sync(&mut file))
            .and_then(|()| self.volume.rename(NEW, &name(first)))
            .and_then(|()| self.volume.sync_names());
        if let Err(error) = written {
            // Wherever it has come to, it must not be found, and its room is wanted.
            let _ = self.volume.remove(NEW);
            if !self.sealed.iter().any(|sealed| sealed.first == first) {
                let _ = self.volume.remove(&name(first));
            }
            return Err(error);
        }
        Ok(file)
    }

    fn seal(&mut self) {
        if let Some(Last { first, bytes, .. }) = self.last.take() {
            self.sealed.push(Sealed { first, bytes });
        }
    }

    /// Takes back what was not flushed. If that fails as well, the next file takes it back: what
    /// is in this one counts only up to there.
    fn cut_back(&mut self) {
        if let Some(last) = &mut self.last {
            let cut = self.volume.truncate(&mut last.file, last.bytes);
            if let Err(error) = cut.and_then(|()| self.volume.sync(&mut last.file)) {
                tracing::warn!("cannot take back what was not kept: {error}");
            }
        }
        self.seal();
    }

    /// Removes files of which nothing is kept, and merges those of which little is. Once for each
    /// file that was sealed is enough; a failure is tried again then.
    pub(super) fn compact(&mut self, hub: &Hub) {
        let is_due = self.last.as_ref().is_some_and(|last| !last.is_compacted);
        if !is_due {
            return;
        }
        if let Err(error) = self.try_compact(hub) {
            tracing::warn!("cannot merge what is left of old events: {error}");
        }
        if let Some(last) = &mut self.last {
            last.is_compacted = true;
        }
    }

    fn try_compact(&mut self, hub: &Hub) -> io::Result<()> {
        let Some(end) = self.last.as_ref().map(|last| last.first) else {
            return Ok(());
        };
        let mut live = self.live(end, hub);
        // The oldest first, and no other: one that goes on with what was taken back in the one
        // before it must outlive that.
        while live.first() == Some(&0) {
            self.volume.remove(&name(self.sealed[0].first))?;
            self.sealed.remove(0);
            live.remove(0);
        }
        let head = Head {
            losses: hub.with_log(|log| log.losses()),
            ..Head::default()
        };
        let mut head_bytes = Vec::new();
        record::write_head(&mut head_bytes, &head);
        if let Some(run) = self.worth_merging(&live, head_bytes.len() as u64) {
            self.merge(run, end, hub)?;
        }
        Ok(())
    }

    /// Returns the bytes that are kept of each file before the last.
    fn live(&self, end: u64, hub: &Hub) -> Vec<u64> {
        let ends = self.sealed.iter().skip(1).map(|next| next.first);
        let ends = ends.chain([end]);
        (self.sealed.iter().zip(ends))
            .map(|(sealed, end)| {
                let events = hub.with_log(|log| log.kept_in(sealed.first..end));
                events.iter().map(|event| record::event_bytes(event)).sum()
            })
            .collect()
    }

    /// Returns the oldest files that together are mostly dropped, and fit half a file.
    fn worth_merging(&self, live: &[u64], head_bytes: u64) -> Option<std::ops::Range<usize>> {
        for start in 0..live.len() {
            let (mut kept, mut bytes, mut end) = (head_bytes, 0, start);
            while end < live.len() && kept + live[end] <= self.segment_bytes / 2 + head_bytes {
                kept += live[end];
                bytes += self.sealed[end].bytes;
                end += 1;
            }
            if bytes >= 2 * kept || end - start >= MERGED_MIN {
                return Some(start..end);
            }
        }
        None
    }

    /// Writes what is kept of some files to one in place of the first of them.
    fn merge(&mut self, run: std::ops::Range<usize>, end: u64, hub: &Hub) -> io::Result<()> {
        let first = self.sealed[run.start].first;
        let end = (self.sealed.get(run.end)).map_or(end, |next| next.first);
        let (losses, events) = hub.with_log(|log| (log.losses(), log.kept_in(first..end)));
        let head = Head {
            epoch: self.epoch,
            first,
            through: end - 1,
            losses,
        };
        let mut bytes = Vec::new();
        record::write_head(&mut bytes, &head);
        for events in events.chunks(256) {
            record::write_group(&mut bytes, self.epoch, events);
        }
        self.begin(first, &bytes)?;
        self.sealed[run.start].bytes = bytes.len() as u64;
        for replaced in self.sealed.drain(run.start + 1..run.end) {
            // One that stays is not read: the first says that it replaces it.
            let _ = self.volume.remove(&name(replaced.first));
        }
        Ok(())
    }
}

/// What one file holds.
#[derive(Default)]
struct Contents {
    head: Option<Head>,
    events: Vec<Arc<Event>>,
    /// The offset before which something that was flushed could not be read.
    damaged_before: Option<u64>,
    /// Whether there is something at its end that is no group.
    is_torn: bool,
}

fn read(first: u64, bytes: &[u8]) -> Contents {
    let mut contents = Contents::default();
    let mut frames = Frames::new(bytes);
    let mut is_damaged = false;
    loop {
        match frames.next() {
            Next::Frame(Frame::Head(head)) => contents.head = Some(head),
            Next::Frame(Frame::Group(events)) => {
                if is_damaged && let Some(event) = events.first() {
                    tracing::error!("`{}` is damaged: events are lost", name(first));
                    contents.damaged_before = Some(event.id.offset);
                    is_damaged = false;
                }
                contents.events.extend(events);
            }
            Next::Damage => is_damaged = true,
            Next::End { is_torn } => {
                contents.is_torn = is_torn;
                return contents;
            }
        }
    }
}

impl Found {
    /// Takes the events of a file, up to the first of the next.
    fn take(&mut self, first: u64, contents: Contents, next: Option<u64>) {
        let last = self.last().max(first - 1);
        let is_empty = contents.events.is_empty();
        let is_merged = contents.head.as_ref().is_some_and(|head| head.through > 0);
        if let Some(before) = contents.damaged_before {
            self.lost_through = self.lost_through.max(before - 1);
        }
        if let Some(head) = contents.head {
            join(&mut self.losses, head.losses);
        }
        let ours = last + 1..next.unwrap_or(u64::MAX);
        let events = contents.events.into_iter();
        self.events
            .extend(events.filter(|event| ours.contains(&event.id.offset)));
        let last = self.last().max(last);
        // A file has its name when its first group is safe: one without is not torn but damaged.
        let is_lost = is_empty && !is_merged;
        match next {
            Some(next) if (is_lost || contents.is_torn) && last + 1 < next => {
                tracing::error!("`{}` is cut short: events are lost", name(first));
                self.lost_through = self.lost_through.max(next - 1);
            }
            None if is_lost => {
                tracing::error!("`{}` cannot be read: events are lost", name(first));
                self.lost_through = self.lost_through.max(last + LOST_MAX);
            }
            _ => {}
        }
    }

    fn last(&self) -> u64 {
        self.events.last().map_or(0, |event| event.id.offset)
    }
}

fn join(losses: &mut Losses, other: Losses) {
    losses.last = losses.last.max(other.last);
    losses.forgotten.join(other.forgotten);
    losses.channels.extend(other.channels);
}
