//! The directories below a root that are worth watching, and what lies in them.
//!
//! Knows nothing of events. Directories that are symbolic links are passed over: they may lead
//! back to where they are, and what they lead to inside the root is watched there.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::live::ignored::{As, Ignored};
use crate::live::settle::Look;

/// Directories inside directories.
const DEPTH_MAX: usize = 64;

/// A root, and what is ignored below.
#[derive(Debug)]
pub(super) struct Tree {
    pub(super) root: PathBuf,
    pub(super) ignored: Ignored,
}

/// Tells the directory that a root leads to from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RootIdentity(u64, u64);

impl Tree {
    pub(super) fn new(root: PathBuf, ignored: Ignored) -> Self {
        Self { root, ignored }
    }

    /// Returns what the root leads to now; `None` while it is gone.
    pub(super) fn identity(&self) -> Option<RootIdentity> {
        let metadata = std::fs::metadata(&self.root).ok()?;
        metadata
            .is_dir()
            .then(|| RootIdentity(metadata.dev(), metadata.ino()))
    }

    /// Shows every directory from `top` on to `enter`, before it is read, and then every other
    /// entry of it to `see`.
    pub(super) fn walk<E>(
        &mut self,
        top: &Path,
        enter: &mut impl FnMut(&Path) -> Result<(), E>,
        see: &mut impl FnMut(PathBuf, &Metadata),
    ) -> Result<(), E> {
        let mut open = vec![(top.to_owned(), 0)];
        while let Some((directory, depth)) = open.pop() {
            if directory != self.root && self.ignored.is_ignored(&directory, As::Directory) {
                continue;
            }
            self.ignored.read(&directory);
            enter(&directory)?;
            let Ok(entries) = std::fs::read_dir(&directory) else {
                continue;
            };
            for entry in entries.flatten() {
                // Of a link itself: where it leads is looked at when somebody asks for it.
                let Ok(metadata) = entry.metadata() else {
                    continue;
                };
                let path = entry.path();
                if metadata.is_dir() && depth < DEPTH_MAX {
                    open.push((path, depth + 1));
                } else if !metadata.is_dir() && !self.ignored.is_ignored(&path, As::File) {
                    see(path, &metadata);
                }
            }
        }
        Ok(())
    }
}

/// Looks at a path, following links as whoever serves it may.
pub(super) fn look(path: &Path) -> Look {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => match metadata.modified() {
            Ok(modified) => Look::File {
                length: metadata.len(),
                modified,
            },
            Err(_) => Look::Standing,
        },
        Ok(_) => Look::Standing,
        Err(_) => Look::Absent,
    }
}

/// Returns whether a path is a directory and no link to one.
pub(super) fn is_directory(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}
