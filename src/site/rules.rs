//! What the author of a site says of its answers: `_headers` and `_redirects`, in the formats that
//! Netlify and Cloudflare Pages share.
//!
//! Where the two differ, the comment beside the code says which is followed. What neither does
//! without a service behind it (proxying, countries, roles) is an error that names its line: a rule
//! that is passed over would be found missing much later. Knows nothing of requests or the disk.
//! Read on in [`pattern`] (paths with splats and placeholders), [`headers`], [`redirects`].

use std::collections::HashMap;

pub mod headers;
pub mod pattern;
pub mod redirects;

pub use headers::HeaderRules;
pub use redirects::Redirects;

/// Lines of one file, at most this long in bytes (Cloudflare Pages: 2,000 in `_headers`).
pub const LINE_BYTES_MAX: usize = 8 * 1024;

/// Rules of one file (Cloudflare Pages: 2,100 redirects, 100 headers; Netlify: 10,000 and up).
pub const RULES_MAX: usize = 10_000;

/// Rules with a splat or a placeholder among them: each is tried in turn.
pub const DYNAMIC_RULES_MAX: usize = 1_000;

/// Rules, by the one path that each is for, as far as there is one: ten thousand of them cost a
/// request no more than ten.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Index {
    /// Numbers of rules for one path alone, ascending.
    fixed: HashMap<String, Vec<usize>>,
    /// Those of the others, ascending.
    dynamic: Vec<usize>,
}

impl Index {
    /// Adds a rule with a number that is higher than those before; `only` is its one path.
    fn add(&mut self, only: Option<&str>, number: usize) {
        match only {
            Some(path) => self.fixed.entry(path.to_owned()).or_default().push(number),
            None => self.dynamic.push(number),
        }
    }

    fn is_empty(&self) -> bool {
        self.fixed.is_empty() && self.dynamic.is_empty()
    }

    /// Returns the numbers of the rules that may be for a path, ascending.
    fn of(&self, path: &str) -> impl Iterator<Item = usize> {
        let fixed = self.fixed.get(path).map_or(&[][..], Vec::as_slice);
        let (mut fixed, mut dynamic) = (fixed.iter().peekable(), self.dynamic.iter().peekable());
        std::iter::from_fn(move || {
            let next = match (fixed.peek(), dynamic.peek()) {
                (Some(one), Some(other)) if one > other => dynamic.next(),
                (Some(_), _) => fixed.next(),
                (None, _) => dynamic.next(),
            };
            next.copied()
        })
    }
}

/// Returns what is wrong with a line, as it is printed.
fn at(number: usize, wrong: impl std::fmt::Display) -> String {
    format!("line {number}: {wrong}")
}

/// Returns the lines of a file with their numbers, without comments and empty ones.
///
/// # Errors
/// A line is too long.
fn lines(text: &str) -> impl Iterator<Item = Result<(usize, &str), String>> {
    // Editors of one system begin text with a mark that is no part of it.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines = text.lines().enumerate();
    lines.filter_map(|(index, line)| {
        let is_said = !line.trim().is_empty() && !line.trim_start().starts_with('#');
        is_said.then(|| {
            if line.len() > LINE_BYTES_MAX {
                return Err(at(
                    index + 1,
                    format!("{} bytes; at most {LINE_BYTES_MAX} are read", line.len()),
                ));
            }
            Ok((index + 1, line))
        })
    })
}
