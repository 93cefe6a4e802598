//! Changes found by walking a tree again and again, where the system tells of none: network file
//! systems, some containers, a limit that is reached.
//!
//! Every difference of identity, length or time counts. (`notify` polls too, but compares whole
//! seconds, and only those that grow: a second save in the same second would be lost.)

use std::collections::HashMap;
use std::convert::Infallible;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use super::tree::Tree;

/// What a tree looked like.
#[derive(Debug, Default)]
pub(super) struct Snapshot(HashMap<PathBuf, Stamp>);

/// Inode, length, modification and change time; the inode alone of a directory, which changes with
/// what lies in it.
#[derive(Debug, PartialEq, Eq)]
struct Stamp(u64, u64, (i64, i64), (i64, i64));

impl Snapshot {
    /// Walks a tree.
    pub(super) fn of(tree: &mut Tree) -> Self {
        let mut stamps = HashMap::new();
        let mut directories = Vec::new();
        let root = tree.root.clone();
        let mut enter = |directory: &std::path::Path| {
            directories.push(directory.to_owned());
            Ok::<(), Infallible>(())
        };
        let mut see = |path, metadata: &Metadata| {
            stamps.insert(path, Stamp::of(metadata));
        };
        let Ok(()) = tree.walk(&root, &mut enter, &mut see);
        for directory in directories {
            if let Ok(metadata) = std::fs::metadata(&directory) {
                stamps.insert(directory, Stamp(metadata.ino(), 0, (0, 0), (0, 0)));
            }
        }
        Self(stamps)
    }

    /// Returns every path that differs in a later one.
    pub(super) fn differences(&self, later: &Self) -> Vec<PathBuf> {
        let gone = self.0.keys().filter(|path| !later.0.contains_key(*path));
        let others = later
            .0
            .iter()
            .filter(|(path, stamp)| self.0.get(*path) != Some(*stamp))
            .map(|(path, _)| path);
        gone.chain(others).cloned().collect()
    }
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        Self(
            metadata.ino(),
            metadata.len(),
            (metadata.mtime(), metadata.mtime_nsec()),
            (metadata.ctime(), metadata.ctime_nsec()),
        )
    }
}
