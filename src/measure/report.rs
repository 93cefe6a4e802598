//! Findings in words and pictures: a terminal table, JSON, an HTTP Archive, a page of HTML.
//!
//! Pure but for the file of [`save`]: findings in, text out; it measures nothing and knows no
//! clock. Read on in [`effect`] (what the numbers say), [`sentence`], then the form of your choice.

/// Appends formatted text to a string, which never fails.
macro_rules! put {
    ($out:expr, $($format:tt)*) => {{
        use std::fmt::Write as _;
        let _ = write!($out, $($format)*);
    }};
}

mod effect;
pub mod events;
mod har;
mod html;
mod json;
mod picture;
mod sentence;
mod svg;
mod table;
#[cfg(test)]
mod tests;
pub(super) mod words;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use anyhow::Context as _;

pub use har::write_har;
pub use html::html;
pub use json::write_json;
pub use picture::picture;
pub use table::{COLUMNS_MAX, PAGES_SHOWN_MAX, Pages, write_table};

use super::findings::Findings;

/// What is said of a measurement that was stopped.
const INTERRUPTED: &str = "stopped before its end: what follows is what there was until then";

/// Writes a report, or what was found, into a file.
///
/// # Errors
///
/// If the file cannot be written; the error names it.
pub fn save(
    path: &Path,
    write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>,
) -> anyhow::Result<()> {
    let saved = File::create(path).and_then(|file| {
        let mut file = BufWriter::new(file);
        write(&mut file)?;
        file.flush()
    });
    saved.with_context(|| format!("cannot write `{}`", path.display()))
}

/// Checks that a file can be written, before long work is begun for it. It is left as it is.
///
/// # Errors
///
/// If it cannot; the error names it.
pub fn check(path: &Path) -> anyhow::Result<()> {
    let is_new = !path.exists();
    let opened = File::options().append(true).create(true).open(path);
    let checked = opened.and_then(|_| {
        if is_new {
            fs::remove_file(path)
        } else {
            Ok(())
        }
    });
    checked.with_context(|| format!("cannot write `{}`", path.display()))
}

/// Reads a file that may be written anew; `None` if there is none.
///
/// # Errors
///
/// If there is one and it cannot be read; the error names it.
pub fn read_if_there(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read `{}`", path.display())),
    }
}

/// Says in a sentence what sending ahead does to a site, or to its page.
pub fn headline(findings: &Findings) -> String {
    sentence::headline(findings)
}

/// Says how was measured: the client, simulated or not, how many pages and links.
fn facts(findings: &Findings) -> Vec<String> {
    let several = |count: usize, one: &str, many: &str| match count {
        1 => format!("1 {one}"),
        _ => format!("{} {many}", words::count(count)),
    };
    let mut pages: Vec<_> = findings.cells.iter().map(|cell| &cell.page).collect();
    pages.sort_unstable();
    pages.dedup();
    let mut facts = vec![
        words::plain(&findings.client),
        if findings.simulated {
            "simulated links".to_owned()
        } else {
            "the real network".to_owned()
        },
        several(pages.len(), "page", "pages"),
        several(effect::links(findings).len(), "link", "links"),
    ];
    if !findings.think.is_zero() {
        let think = words::ms(words::milliseconds(findings.think));
        facts.push(format!("the server thinks for {think} ms"));
    }
    if !findings.client_delay.is_zero() {
        let delay = words::ms(words::milliseconds(findings.client_delay));
        facts.push(format!("the client takes {delay} ms to ask"));
    }
    facts
}
