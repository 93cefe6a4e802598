//! Disk to snapshot, within limits.

use std::path::PathBuf;

/// How a site is read.
#[derive(Debug, Clone)]
pub struct SiteOptions {
    /// The directory that is served.
    pub root: PathBuf,
    /// Whether symbolic links may lead out of the root.
    pub follow_symlinks: bool,
    /// Largest file held in memory, in bytes.
    pub memory_file_bytes_max: u64,
    /// All files held in memory, in bytes.
    pub memory_bytes_max: u64,
    /// Which subresources are worth sending ahead.
    pub push: super::plan::Push,
}

/// A directory on disk and the newest snapshot of it.
#[derive(Debug)]
pub struct SiteRoot {}
