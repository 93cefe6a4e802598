//! What a directory holds, as far as it is served.

use std::time::SystemTime;

use super::UrlPath;

/// Entries of a directory that are listed.
pub const ENTRIES_MAX: usize = 5_000;

/// What a directory holds.
#[derive(Debug)]
pub struct Listing {
    /// The directory, with its slash.
    pub path: UrlPath,
    /// Sorted by name. What is hidden or cannot be served is left out.
    pub entries: Vec<Listed>,
    /// There are more than [`ENTRIES_MAX`]: some are left out.
    pub is_cut: bool,
}

/// A file or directory in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Where it is: with a slash at its end if it is a directory.
    pub path: UrlPath,
    /// Bytes; `None` for a directory.
    pub length: Option<u64>,
    /// When it was last modified.
    pub modified: SystemTime,
}
