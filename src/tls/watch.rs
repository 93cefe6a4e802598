//! Notices that the files of a certificate changed, and when that is worth saying.
//!
//! Knows nothing of what the files mean.

use std::path::PathBuf;
use std::time::SystemTime;

use super::error::TlsError;
use super::files::{self, Stamp, Text};

/// What is known of the files.
///
/// ```text
///              changed, good                      changed, bad
///   judged ---------------------> judged   judged -------------> doubted
///                                    ^                             |  |
///                                    |  the same again: said       |  | changed once more:
///                                    +-----------------------------+  | judged anew
/// ```
///
/// A bad change is doubted for one look: certificate and key are two files, and whoever replaces
/// them is in between.
#[derive(Debug)]
pub(super) struct Watch {
    files: Vec<PathBuf>,
    stamps: Vec<Option<Stamp>>,
    judged: Digest,
    doubted: Option<Digest>,
}

/// Names the contents of all files, their absence too.
type Digest = blake3::Hash;

/// What a look at the files found.
#[derive(Debug)]
pub(super) enum Look {
    /// Nothing that has not been judged.
    Same,
    /// Other contents than those judged last.
    Changed(Vec<Text>, Digest),
}

impl Watch {
    /// Reads files, takes what they hold for good, and watches them from now on.
    pub(super) fn open(files: Vec<PathBuf>, now: SystemTime) -> (Self, Vec<Text>) {
        // The stamps first: what changes while it is read is then read again.
        let stamps = files.iter().map(|file| Stamp::of(file, now)).collect();
        let texts: Vec<_> = files.iter().map(|file| files::read(file)).collect();
        (
            Self {
                files,
                stamps,
                judged: digest(&texts),
                doubted: None,
            },
            texts,
        )
    }

    /// Reads the files, changed or not, and takes them for judged; `None` if they cannot be read
    /// twice.
    pub(super) fn reread(&mut self, now: SystemTime) -> Option<Vec<Text>> {
        if self.has_pipe() {
            return None;
        }
        let (watch, texts) = Self::open(std::mem::take(&mut self.files), now);
        *self = watch;
        Some(texts)
    }

    /// Looks whether the files changed: their stamps first, their contents only if those did.
    pub(super) fn look(&mut self, now: SystemTime) -> Look {
        let stamps: Vec<_> = self.files.iter().map(|file| Stamp::of(file, now)).collect();
        let is_settled = |stamp: &Option<Stamp>| stamp.as_ref().is_none_or(Stamp::is_settled);
        if self.doubted.is_none() && stamps == self.stamps && stamps.iter().all(is_settled) {
            return Look::Same;
        }
        if self.has_pipe() {
            return Look::Same;
        }
        self.stamps = stamps;
        let texts: Vec<_> = self.files.iter().map(|file| files::read(file)).collect();
        let digest = digest(&texts);
        if digest == self.judged {
            self.doubted = None;
            return Look::Same;
        }
        Look::Changed(texts, digest)
    }

    /// Notes that changed contents are good.
    pub(super) fn accept(&mut self, digest: Digest) {
        self.judged = digest;
        self.doubted = None;
    }

    /// Notes that changed contents are bad; returns whether to say so.
    pub(super) fn reject(&mut self, digest: Digest) -> bool {
        if self.doubted == Some(digest) {
            self.accept(digest);
            return true;
        }
        self.doubted = Some(digest);
        false
    }

    /// A pipe (`--key <(pass show key)`) gave its bytes at the start, and will not again.
    fn has_pipe(&self) -> bool {
        self.stamps
            .iter()
            .flatten()
            .any(|stamp| !stamp.is_regular())
    }
}

/// Hashes contents with their lengths, so that no two sets of files are alike.
fn digest(texts: &[Text]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    for text in texts {
        match &text.bytes {
            Ok(bytes) => {
                hasher.update(&(bytes.len() as u64).to_le_bytes());
                hasher.update(bytes);
            }
            Err(TlsError::Unreadable { cause, .. }) => {
                hasher.update(&u64::MAX.to_le_bytes());
                hasher.update(cause.kind().to_string().as_bytes());
            }
            Err(_) => {
                hasher.update(&(u64::MAX - 1).to_le_bytes());
            }
        }
    }
    hasher.finalize()
}
