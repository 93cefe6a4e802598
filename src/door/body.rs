//! Where the bytes of a response come from: memory, or a file read a piece at a time.
//!
//! Knows nothing of streams; a door asks for as many bytes as it may send.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use tokio::task::JoinHandle;

use super::limits::{PIECE_LENGTH_MAX, PIECE_LENGTH_MIN, Part};
use crate::site::ContentHash;
use crate::site::load::{CHANGED, OpenFile, Since};

/// Bytes of files that the bodies of a connection hold together, once they know of each other.
pub const READ_BYTES: u64 = 1 << 20;

/// Samples that are kept of a file while it is sent; an even number.
const SAMPLES_KEPT: usize = 32;
/// Bytes of a sample.
const SAMPLE_LENGTH: usize = 1024;

/// What is left of a response body.
#[derive(Debug)]
pub enum Source {
    /// In memory, shared with every other response.
    Memory(Bytes),
    /// On disk.
    File(FileSource),
    /// One after another; none is empty.
    Joined(VecDeque<Self>),
}

/// What is left of a file.
#[derive(Debug)]
pub struct FileSource {
    file: Arc<OpenFile>,
    at: u64,
    end: u64,
    piece: Bytes,
    /// What was read before the last.
    samples: Samples,
    /// Bytes read at once.
    read_length: u64,
    /// Counts the piece among all that is held for peers.
    part: Part,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

/// Some of the bytes that were read of a file, spread evenly over all of them: by them an append is
/// told from other bytes.
#[derive(Debug, Clone, Default)]
struct Samples {
    taken: Vec<Sample>,
    /// Pieces that were read.
    pieces: usize,
    /// Of so many pieces one is taken, as a power of two.
    stride_log: u32,
}

/// What a file had at a place.
#[derive(Debug, Clone)]
struct Sample {
    range: Range<u64>,
    content_hash: ContentHash,
}

impl Source {
    /// Returns a source of some bytes of an open file; what it holds of them counts in `part`.
    pub fn file(file: Arc<OpenFile>, range: Range<u64>, part: Part) -> Self {
        Self::File(FileSource {
            file,
            at: range.start,
            end: range.end,
            piece: Bytes::new(),
            samples: Samples::default(),
            read_length: PIECE_LENGTH_MAX as u64,
            part,
            reading: None,
        })
    }

    /// Returns a source of several, one after another.
    pub fn joined(sources: impl IntoIterator<Item = Self>) -> Self {
        let mut sources: VecDeque<_> = sources.into_iter().filter(|it| it.left() > 0).collect();
        match (sources.pop_front(), sources.is_empty()) {
            (None, _) => Self::Memory(Bytes::new()),
            (Some(only), true) => only,
            (Some(first), false) => {
                sources.push_front(first);
                Self::Joined(sources)
            }
        }
    }

    /// Bytes not taken yet.
    pub fn left(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File(file) => file.end - file.at + file.piece.len() as u64,
            Self::Joined(sources) => sources.iter().map(Self::left).sum(),
        }
    }

    /// Bytes that are held and nobody else holds.
    pub fn held(&self) -> usize {
        match self {
            Self::Memory(_) => 0,
            Self::File(file) => file.piece.len(),
            Self::Joined(sources) => sources.front().map_or(0, Self::held),
        }
    }

    /// Gives up what is held, to be read again when it can be sent.
    pub fn forget(&mut self) {
        match self {
            Self::Memory(_) => {}
            Self::File(file) => {
                file.at -= std::mem::take(&mut file.piece).len() as u64;
                file.part.set(0);
            }
            // The others have not begun.
            Self::Joined(sources) => sources.iter_mut().take(1).for_each(Self::forget),
        }
    }

    /// Says among how many bodies of a connection what they hold is shared.
    pub fn share(&mut self, bodies: usize) {
        let share = READ_BYTES / bodies.max(1) as u64;
        self.read_at_once(share.clamp(PIECE_LENGTH_MIN as u64, PIECE_LENGTH_MAX as u64));
    }

    /// Says how many bytes are read from disk at once.
    pub fn read_at_once(&mut self, bytes: u64) {
        match self {
            Self::Memory(_) => {}
            Self::File(file) => file.read_length = bytes,
            // The others have not begun.
            Self::Joined(sources) => {
                if let Some(first) = sources.front_mut() {
                    first.read_at_once(bytes);
                }
            }
        }
    }

    /// Takes between 1 and `most` bytes, or none if none are left; pending while the disk is read.
    ///
    /// # Errors
    /// The file cannot be read, is shorter than it was, or holds other bytes by the time that its
    /// last ones are taken.
    pub fn poll_take(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<io::Result<Bytes>> {
        match self {
            Self::Memory(bytes) => Poll::Ready(Ok(bytes.split_to(most.min(bytes.len())))),
            Self::File(file) => file.poll_take(cx, most),
            Self::Joined(sources) => {
                let Some(first) = sources.front_mut() else {
                    return Poll::Ready(Ok(Bytes::new()));
                };
                let taken = ready!(first.poll_take(cx, most));
                if first.left() == 0 {
                    sources.pop_front();
                }
                Poll::Ready(taken)
            }
        }
    }
}

impl Samples {
    /// Takes a sample of a piece that was read, if it is its turn. When there are many, every other
    /// is dropped, and half as many are taken from then on.
    fn add(&mut self, at: u64, piece: &[u8]) {
        let index = self.pieces;
        self.pieces += 1;
        if !index.is_multiple_of(1 << self.stride_log) {
            return;
        }
        if self.taken.len() == SAMPLES_KEPT {
            let mut keeps = false;
            self.taken.retain(|_| {
                keeps = !keeps;
                keeps
            });
            self.stride_log += 1;
        }
        let bytes = &piece[..piece.len().min(SAMPLE_LENGTH)];
        self.taken.push(Sample {
            range: at..at + bytes.len() as u64,
            content_hash: ContentHash::of(bytes),
        });
    }

    /// Returns whether a file has those bytes.
    fn are_of(&self, file: &File) -> io::Result<bool> {
        for Sample {
            range,
            content_hash,
        } in &self.taken
        {
            let again = read_piece(file, range.start, range.end - range.start)?;
            if ContentHash::of(&again) != *content_hash {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl FileSource {
    fn poll_take(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<io::Result<Bytes>> {
        if self.piece.is_empty() && self.at < self.end {
            self.piece = ready!(self.poll_read(cx, most))?;
            let end = self.at + self.piece.len() as u64;
            if end < self.end {
                self.samples.add(self.at, &self.piece);
            }
            self.at = end;
        }
        let taken = self.piece.split_to(most.min(self.piece.len()));
        self.part.set(self.piece.len());
        Poll::Ready(Ok(taken))
    }

    /// Reads the next piece: at once if the system has it in memory, as it nearly always has, else
    /// on a blocking thread. Pieces of `most` are cut from it, and none of them is a scrap but the
    /// file's last. Before that is given, the file is looked at: what was read at different times
    /// must belong together.
    fn poll_read(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<io::Result<Bytes>> {
        let (at, left) = (self.at, self.end - self.at);
        let mut length = self.read_length.min(left);
        if length < left && length > most as u64 {
            length -= length.checked_rem(most as u64).unwrap_or_default();
        }
        if self.reading.is_none()
            && let Some(piece) = read_cached(self.file.file(), at, length)
            && (at + (piece.len() as u64) < self.end || self.file.since_opened()? == Since::Same)
        {
            return Poll::Ready(Ok(piece));
        }
        let reading = self.reading.get_or_insert_with(|| {
            let file = Arc::clone(&self.file);
            let samples = (length == left).then(|| self.samples.clone());
            tokio::task::spawn_blocking(move || {
                let piece = read_piece(file.file(), at, length)?;
                if let Some(samples) = samples {
                    check_bytes(&file, &samples)?;
                }
                Ok(piece)
            })
        });
        let read = ready!(Pin::new(reading).poll(cx));
        self.reading = None;
        Poll::Ready(read.map_err(io::Error::other)?)
    }
}

/// Reads what the system has in memory of a piece, without waiting for the disk; `None` if that is
/// nothing, or cannot be told.
#[cfg(target_os = "linux")]
fn read_cached(file: &File, at: u64, length: u64) -> Option<Bytes> {
    use rustix::io::{ReadWriteFlags, preadv2};

    let mut piece = vec![0; usize::try_from(length).ok()?];
    let into = &mut [io::IoSliceMut::new(&mut piece)];
    let read = preadv2(file, into, at, ReadWriteFlags::NOWAIT);
    let read = read.ok().filter(|&read| read > 0)?;
    piece.truncate(read);
    Some(piece.into())
}

#[cfg(not(target_os = "linux"))]
fn read_cached(_: &File, _: u64, _: u64) -> Option<Bytes> {
    None
}

fn read_piece(file: &File, at: u64, length: u64) -> io::Result<Bytes> {
    let mut piece = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut piece, at)?;
    Ok(piece.into())
}

/// Returns an error if a file has other bytes than were read of it.
fn check_bytes(file: &OpenFile, samples: &Samples) -> io::Result<()> {
    let is_as_read = match file.since_opened()? {
        Since::Same => true,
        // It was appended to, as a log is, or overwritten with more.
        Since::Grown => samples.are_of(file.file())?,
        Since::Other => false,
    };
    if is_as_read {
        Ok(())
    } else {
        Err(CHANGED.into())
    }
}
