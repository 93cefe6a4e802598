//! Every page of a site, by walking its directories. No request does this: `forerun plan` does.

use std::io;

use super::disk::Disk;
use crate::site::{UrlPath, media};

/// Pages found before the walk gives up.
const PAGES_MAX: usize = 100_000;
/// Directories inside directories.
const DEPTH_MAX: usize = 64;

impl Disk {
    /// Returns the path of every HTML document that is served, sorted; a directory's own page by
    /// the directory's path. Directories that are symbolic links are passed over: they may lead
    /// back to where they are.
    pub(super) fn pages(&self) -> io::Result<Vec<UrlPath>> {
        let mut pages = Vec::new();
        self.walk("/", 0, &mut pages)?;
        pages.sort();
        Ok(pages)
    }

    fn walk(&self, directory: &str, depth: usize, pages: &mut Vec<UrlPath>) -> io::Result<()> {
        if depth > DEPTH_MAX {
            return Ok(());
        }
        for entry in std::fs::read_dir(self.path.join(&directory[1..]))? {
            let entry = entry?;
            let (name, kind) = (entry.file_name(), entry.file_type()?);
            // What has no name in UTF-8 has no URL either.
            let Some(name) = name.to_str() else { continue };
            if kind.is_dir() {
                if !name.starts_with('.') {
                    self.walk(&format!("{directory}{name}/"), depth + 1, pages)?;
                }
            } else if media::is_page(name) {
                if let Ok(path) = UrlPath::decoded(&format!("{directory}{name}")) {
                    pages.push(path.directory().unwrap_or(path));
                }
                if pages.len() > PAGES_MAX {
                    let said = format!("{} holds more than {PAGES_MAX} pages", self.path.display());
                    return Err(io::Error::other(said));
                }
            }
        }
        Ok(())
    }
}
