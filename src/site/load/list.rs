//! What a directory holds: read anew whenever somebody asks, within limits.

use std::io;
use std::time::SystemTime;

use super::disk::{Disk, Found};
use crate::site::UrlPath;
use crate::site::listing::{ENTRIES_MAX, Listed, Listing};

/// Names that are looked at: hidden ones cost time too.
pub const NAMES_MAX: usize = 20_000;

impl Disk {
    /// Returns what the directory at a path holds; `None` if there is none.
    pub(super) fn list(&self, directory: &UrlPath) -> io::Result<Option<Listing>> {
        let Some(names) = self.names(directory)? else {
            return Ok(None);
        };
        let mut is_cut = names.len() >= NAMES_MAX;
        let mut entries = Vec::new();
        for name in names {
            let Ok(path) = UrlPath::decoded(&format!("{directory}{name}")) else {
                continue;
            };
            let found = self.stat(&path);
            // Neither a link that leads out of the site, a FIFO, nor what has gone meanwhile.
            if matches!(found, Ok(Found::Missing) | Err(_)) {
                continue;
            }
            if entries.len() == ENTRIES_MAX {
                is_cut = true;
                break;
            }
            entries.push(match found {
                Ok(Found::File(identity)) => Listed {
                    length: Some(identity.length),
                    modified: identity.modified(),
                    path,
                },
                _ => Listed {
                    length: None,
                    modified: self.modified(&path).unwrap_or(SystemTime::UNIX_EPOCH),
                    path: path.with_slash(),
                },
            });
        }
        let path = directory.clone();
        Ok(Some(Listing {
            path,
            entries,
            is_cut,
        }))
    }

    /// Returns the names in a directory, sorted.
    fn names(&self, directory: &UrlPath) -> io::Result<Option<Vec<String>>> {
        let Some(names) = self.read_directory(directory, NAMES_MAX)? else {
            return Ok(None);
        };
        // What has no name in UTF-8 has no URL either.
        let names = names.into_iter().filter_map(|name| name.into_string().ok());
        let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
        names.sort();
        Ok(Some(names))
    }
}
