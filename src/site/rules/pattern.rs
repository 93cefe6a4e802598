//! Paths with one splat (`*`, anything) and placeholders (`:name`, anything within a segment), and
//! texts in which what these stood for is put.
//!
//! Matching takes time in proportion to the path, whatever the pattern, and asks for memory only
//! where it succeeds.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use crate::site::url_path::PATH_SET;

/// The name under which a splat is put into a text.
pub const SPLAT: &str = "splat";

/// Longest pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 2048;

/// Placeholders of a pattern.
const PLACEHOLDERS_MAX: usize = 16;

/// What a pattern's own text must not be taken for when it is printed.
const LITERAL_SET: &AsciiSet = &PATH_SET.add(b'*').add(b':').add(b'\\');

/// What a value in a query may hold as it is.
const QUERY_SET: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What a value of one segment may hold as it is.
const SEGMENT_SET: &AsciiSet = &PATH_SET.add(b'/').add(b'\\');

/// What a value in a header field may hold as it is: what it stands in may be a list, or have
/// parameters.
const FIELD_SET: &AsciiSet = &PATH_SET.add(b';').add(b',').add(b'=').add(b'\\');

/// The same, of one segment.
const FIELD_SEGMENT_SET: &AsciiSet = &FIELD_SET.add(b'/');

/// A path with at most one splat, and placeholders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// Never two texts in a row, never two names.
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    /// Decoded.
    Text(String),
    /// At least one character up to the next slash.
    Placeholder(String),
    /// Any characters, slashes too, or none.
    Splat,
}

/// What the splat and the placeholders of a pattern stand for, decoded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captures<'a>(pub Vec<(&'a str, Cow<'a, str>)>);

impl Captures<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| value.as_ref())
    }
}

/// A path, and how it is written with and without a slash at its end.
#[derive(Debug)]
pub struct Loosely<'p> {
    path: &'p str,
    /// Written when a pattern wants it, once for all of them.
    slashed: OnceCell<String>,
}

impl<'p> Loosely<'p> {
    /// Returns a decoded path.
    pub fn new(path: &'p str) -> Self {
        let slashed = OnceCell::new();
        Self { path, slashed }
    }

    /// Returns the path without a slash at its end.
    pub fn bare(&self) -> &'p str {
        bare(self.path)
    }

    fn slashed(&self) -> &str {
        self.slashed.get_or_init(|| format!("{}/", self.path))
    }
}

/// Returns a path without a slash at its end.
pub fn bare(path: &str) -> &str {
    path.strip_suffix('/')
        .filter(|bare| !bare.is_empty())
        .unwrap_or(path)
}

impl Pattern {
    /// Reads a pattern: percent-encoded, absolute.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > PATTERN_BYTES_MAX {
            return Err(format!("a path has at most {PATTERN_BYTES_MAX} bytes"));
        }
        if text.contains("://") {
            return Err(format!(
                "`{text}` names a host, and rules for other hosts are not supported: write the \
                 path alone"
            ));
        }
        if !text.starts_with('/') {
            return Err(format!("`{text}` is no path: it must start with /"));
        }
        if text.contains(['?', '#']) {
            return Err(format!(
                "`{text}` has a query or a fragment: write the path alone (a query is matched as \
                 in `/from id=:id /to`)"
            ));
        }
        let mut pieces: Vec<Piece> = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (piece, after) = next_piece(rest)?;
            match (&piece, pieces.last()) {
                (Piece::Splat, _) if pieces.contains(&Piece::Splat) => {
                    return Err(format!("`{text}` has more than one *"));
                }
                (Piece::Placeholder(name), _) if pieces.contains(&piece) || name == SPLAT => {
                    return Err(format!("`{text}` has two things called :{name}"));
                }
                (Piece::Placeholder(name), _) if pieces.contains(&Piece::Splat) => {
                    return Err(format!("`{text}`: :{name} cannot follow the *"));
                }
                (Piece::Splat | Piece::Placeholder(_), Some(Piece::Placeholder(name))) => {
                    return Err(format!("`{text}`: something must stand after :{name}"));
                }
                _ => {}
            }
            pieces.push(piece);
            rest = after;
        }
        let is_placeholder = |piece: &&Piece| matches!(piece, Piece::Placeholder(_));
        if pieces.iter().filter(is_placeholder).count() > PLACEHOLDERS_MAX {
            return Err(format!(
                "`{text}` has more than {PLACEHOLDERS_MAX} placeholders"
            ));
        }
        let pattern = Self { pieces };
        match pattern.wrong() {
            Some(wrong) => Err(format!("`{text}` {wrong}")),
            None => Ok(pattern),
        }
    }

    /// Returns the names of what it captures.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(_) => None,
            Piece::Placeholder(name) => Some(name.as_str()),
            Piece::Splat => Some(SPLAT),
        })
    }

    /// Returns the one path that it matches, decoded, if there is only one.
    pub fn only(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Returns what a decoded path has where the pattern has names; `None` if it does not match.
    pub fn matches<'a>(&'a self, path: &'a str) -> Option<Captures<'a>> {
        // Most patterns do not match most paths: those take no memory.
        self.walk(path, |_, _| {})?;
        let mut captures = Vec::new();
        self.walk(path, |name, value| {
            captures.push((name, Cow::Borrowed(value)));
        })?;
        Some(Captures(captures))
    }

    /// Matches as [`Self::matches`] does, with or without a slash at the end of the path and the
    /// pattern (Netlify; Cloudflare Pages is exact); `/docs/*` matches `/docs` too.
    pub fn matches_loosely<'a>(&'a self, path: &'a Loosely<'_>) -> Option<Captures<'a>> {
        self.matches(path.path).or_else(|| {
            let bare = path.bare();
            if bare.len() < path.path.len() {
                self.matches(bare)
            } else if path.path.ends_with('/') {
                None
            } else {
                self.matches(path.slashed())
            }
        })
    }

    /// Tells what each name stands for in a path; `None` if the pattern does not match it.
    ///
    /// Each placeholder ends where the text after it is found first. That leaves the most to those
    /// that follow, so nothing has to be tried twice; what ends a segment is found from its end.
    fn walk<'a, 'p>(&'a self, path: &'p str, mut tell: impl FnMut(&'a str, &'p str)) -> Option<()> {
        let mut rest = path;
        // What is left of the segment that the last placeholder stood in.
        let mut known: Option<&str> = None;
        for (index, piece) in self.pieces.iter().enumerate() {
            let after = self.pieces.get(index + 1);
            match (piece, after) {
                (Piece::Text(text), _) => {
                    rest = rest.strip_prefix(text.as_str())?;
                    known = known.and_then(|segment| segment.get(text.len()..));
                }
                (Piece::Placeholder(name), after) => {
                    let segment = known.unwrap_or_else(|| segment_of(rest));
                    let is_last = index + 2 == self.pieces.len();
                    let length = placeholder_length(segment, after, is_last)?;
                    let (value, left) = rest.split_at(length);
                    tell(name, value);
                    (rest, known) = (left, Some(&segment[length..]));
                }
                (Piece::Splat, after) => {
                    let tail = match after {
                        Some(Piece::Text(text)) => text.as_str(),
                        _ => "",
                    };
                    tell(SPLAT, rest.strip_suffix(tail)?);
                    return Some(());
                }
            }
        }
        rest.is_empty().then_some(())
    }

    fn wrong(&self) -> Option<&'static str> {
        let texts = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Text(text) => Some(text.as_str()),
            _ => None,
        });
        for text in texts {
            if text.contains(|letter: char| letter.is_control() || letter == '\\') {
                return Some("has a character that no path has");
            }
            if text.contains("//") {
                return Some("has two slashes in a row, which no path has");
            }
        }
        None
    }
}

impl fmt::Display for Pattern {
    /// Writes it so that it can be read again.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => write!(f, "{}", utf8_percent_encode(text, LITERAL_SET)),
            Piece::Placeholder(name) => write!(f, ":{name}"),
            Piece::Splat => f.write_str("*"),
        })
    }
}

/// Returns a path up to its first slash.
fn segment_of(path: &str) -> &str {
    let segment = path.split('/').next().unwrap_or_default();
    looked_at(segment.len());
    segment
}

/// Returns how much of a segment a placeholder stands for, before the piece `after` it, which may
/// be the last.
fn placeholder_length(segment: &str, after: Option<&Piece>, is_last: bool) -> Option<usize> {
    let first = segment.chars().next()?.len_utf8();
    let text = match after {
        None => return Some(segment.len()),
        Some(Piece::Text(text)) => text,
        Some(_) => return None,
    };
    // The text may go on in the next segment.
    let own = text.split('/').next().unwrap_or_default();
    let tail = &segment[first..];
    if own.len() < text.len() || is_last {
        return Some(first + tail.strip_suffix(own)?.len());
    }
    let found = tail.find(own);
    looked_at(found.unwrap_or(tail.len()) + own.len());
    Some(first + found?)
}

/// Counts bytes that a match has looked at.
#[cfg(test)]
fn looked_at(bytes: usize) {
    tests::LOOKED_AT.with(|count| count.set(count.get() + bytes));
}

#[cfg(not(test))]
const fn looked_at(_: usize) {}

/// Reads one piece of a pattern, and returns what follows it.
fn next_piece(text: &str) -> Result<(Piece, &str), String> {
    if let Some(rest) = text.strip_prefix('*') {
        return Ok((Piece::Splat, rest));
    }
    if let Some((name, rest)) = name(text) {
        return Ok((Piece::Placeholder(name.to_owned()), rest));
    }
    let ends = |&(index, _): &(usize, char)| {
        index > 0 && (text[index..].starts_with('*') || name(&text[index..]).is_some())
    };
    let end = text
        .char_indices()
        .find(ends)
        .map_or(text.len(), |(at, _)| at);
    let (literal, rest) = text.split_at(end);
    let decoded = percent_decode_str(literal)
        .decode_utf8()
        .map_err(|_| format!("`{literal}` is not UTF-8 once decoded"))?;
    Ok((Piece::Text(decoded.into_owned()), rest))
}

/// Returns the name that text begins with, after its colon, and what follows. Names begin with a
/// letter, and are letters, digits and underscores.
fn name(text: &str) -> Option<(&str, &str)> {
    let after = text.strip_prefix(':')?;
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let end = after.find(|letter| !is_part(letter)).unwrap_or(after.len());
    after
        .starts_with(|letter: char| letter.is_ascii_alphabetic())
        .then(|| after.split_at(end))
}

/// A text with names in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Name(String),
}

/// How what a name stands for is put into a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// As it is: into a decoded path.
    Plain,
    /// Percent-encoded for a path; the splat keeps its slashes.
    Path,
    /// Percent-encoded for a query or a fragment.
    Query,
    /// Percent-encoded for a header field, of which it is one value whatever it holds.
    Field,
    /// The same for a `Link`, whose targets are paths.
    Link,
}

impl Template {
    /// Reads a text: each of `names` after a colon is a place, and every other colon is a colon.
    pub fn parse(text: &str, names: &[&str]) -> Self {
        let mut parts: Vec<Part> = Vec::new();
        let mut rest = text;
        while let Some(letter) = rest.chars().next() {
            if let Some((found, after)) = name(rest)
                && names.contains(&found)
            {
                parts.push(Part::Name(found.to_owned()));
                rest = after;
                continue;
            }
            match parts.last_mut() {
                Some(Part::Text(text)) => text.push(letter),
                _ => parts.push(Part::Text(letter.into())),
            }
            rest = &rest[letter.len_utf8()..];
        }
        Self(parts)
    }

    /// Returns whether it is the same whatever is put into it.
    pub fn is_fixed(&self) -> bool {
        self.0.iter().all(|part| matches!(part, Part::Text(_)))
    }

    /// Returns the text with what was captured in its places.
    pub fn fill(&self, captures: &Captures<'_>, put: Put) -> String {
        let mut text = String::new();
        let mut is_target = false;
        for part in &self.0 {
            match part {
                Part::Text(own) => {
                    if let Some(mark) = own.rfind(['<', '>']) {
                        is_target = own[mark..].starts_with('<');
                    }
                    text.push_str(own);
                }
                Part::Name(name) => {
                    let value = captures.get(name).unwrap_or_default();
                    let put = match put {
                        Put::Link if is_target => Put::Path,
                        Put::Link => Put::Field,
                        put => put,
                    };
                    match put.letters(name == SPLAT) {
                        Some(set) => text.extend(utf8_percent_encode(value, set)),
                        None => text.push_str(value),
                    }
                }
            }
        }
        text
    }
}

impl Put {
    /// Returns what is percent-encoded in a value; `None` if nothing is. A splat keeps its slashes.
    fn letters(self, is_splat: bool) -> Option<&'static AsciiSet> {
        match (self, is_splat) {
            (Self::Plain, _) => None,
            (Self::Path, true) => Some(PATH_SET),
            (Self::Path, false) => Some(SEGMENT_SET),
            (Self::Query, _) => Some(QUERY_SET),
            (Self::Field | Self::Link, true) => Some(FIELD_SET),
            (Self::Field | Self::Link, false) => Some(FIELD_SEGMENT_SET),
        }
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => f.write_str(text),
            Part::Name(name) => write!(f, ":{name}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;
    use crate::site::url_path::PATH_BYTES_MAX;

    thread_local! {
        pub(super) static LOOKED_AT: Cell<usize> = const { Cell::new(0) };
    }

    #[track_caller]
    fn check(pattern: &str, path: &str, expected: Option<&[(&str, &str)]>) {
        let parsed = Pattern::parse(pattern).unwrap();
        let captures = parsed.matches(path);
        let found: Option<Vec<_>> = captures.as_ref().map(|found| {
            found
                .0
                .iter()
                .map(|(name, value)| (*name, value.as_ref()))
                .collect()
        });
        assert_eq!(found.as_deref(), expected, "{pattern} on {path}");
    }

    #[test]
    fn patterns_match_as_documented() {
        check("/", "/", Some(&[]));
        check("/a", "/a", Some(&[]));
        check("/a", "/a/", None);
        check("/a", "/A", None);
        check("/*", "/", Some(&[("splat", "")]));
        check("/*", "/a/b", Some(&[("splat", "a/b")]));
        check("/a/*", "/a", None);
        check("/a/*", "/a/b/", Some(&[("splat", "b/")]));
        check("/*.js", "/a/b.js", Some(&[("splat", "a/b")]));
        check("/*.js", "/a/b.css", None);
        check("/a*a", "/a", None);
        check("/a/*/z", "/a/b/c/z", Some(&[("splat", "b/c")]));
        check("/:y/:m", "/2026/11", Some(&[("y", "2026"), ("m", "11")]));
        check("/:y/:m", "/2026/11/20", None);
        check("/:y/:m", "/2026/", None);
        check("/:y/*", "/2026/", Some(&[("y", "2026"), ("splat", "")]));
        check("/:a-:b", "/x-y-z", Some(&[("a", "x"), ("b", "y-z")]));
        check("/:a-:b-", "/x-y-", Some(&[("a", "x"), ("b", "y")]));
        check("/:a-:b-", "/x-y-z-", Some(&[("a", "x"), ("b", "y-z")]));
        check("/:a-:b-", "/x-y", None);
        check(
            "/:a-:b/-:c-",
            "/x-y/-z-",
            Some(&[("a", "x"), ("b", "y"), ("c", "z")]),
        );
        check(
            "/:a-:b-*",
            "/x-y-z",
            Some(&[("a", "x"), ("b", "y"), ("splat", "z")]),
        );
        check("/:n.html", "/a.html.html", Some(&[("n", "a.html")]));
        check("/:n.html/x", "/a.html/x", Some(&[("n", "a")]));
        check("/:n.html", "/.html", None);
        check("/:n", "/\u{e4}", Some(&[("n", "\u{e4}")]));
        check("/%C3%A4%2a:1", "/\u{e4}*:1", Some(&[]));
    }

    #[test]
    fn a_slash_at_the_end_matters_only_to_headers() {
        let matches = |pattern: &str, path: &str| {
            let path = Loosely::new(path);
            Pattern::parse(pattern)
                .unwrap()
                .matches_loosely(&path)
                .is_some()
        };
        assert!(matches("/a", "/a/") && matches("/a/", "/a") && matches("/a/*", "/a"));
        assert!(matches("/:a", "/b/") && matches("/", "/"));
        assert!(!matches("/a", "/") && !matches("/", "/a") && !matches("/a", "/a/b"));
    }

    #[test]
    fn mistakes_are_named() {
        for (pattern, said) in [
            ("a", "must start with /"),
            ("https://a.example/*", "other hosts are not supported"),
            ("/a?b", "query"),
            ("/*/*", "more than one *"),
            ("/:a/:a", "two things called :a"),
            ("/:splat", "two things called :splat"),
            ("/*/:a", "cannot follow the *"),
            ("/:a*", "something must stand after :a"),
            ("/%ff", "not UTF-8"),
            ("/%00", "no path has"),
            ("//a", "two slashes"),
            (
                &(0..=PLACEHOLDERS_MAX).fold(String::new(), |text, n| format!("{text}/:n{n}")),
                "more than 16 placeholders",
            ),
        ] {
            let error = Pattern::parse(pattern).unwrap_err();
            assert!(error.contains(said), "{pattern}: {error}");
        }
    }

    #[test]
    fn values_are_encoded_for_their_place() {
        let names = ["splat", "id"];
        let captures = Captures(vec![("splat", "a b/c?".into()), ("id", "../x&y".into())]);
        let filled = |text, put| Template::parse(text, &names).fill(&captures, put);
        assert_eq!(filled("/:splat.html", Put::Path), "/a%20b/c%3F.html");
        assert_eq!(filled("/:id", Put::Path), "/..%2Fx&y");
        assert_eq!(filled("a=:id&:other", Put::Query), "a=..%2Fx%26y&:other");
        assert_eq!(filled(":splat", Put::Plain), "a b/c?");
        let captures = Captures(vec![("splat", "a,b/c".into()), ("id", "x;y=z/\"".into())]);
        let filled = |text, put| Template::parse(text, &names).fill(&captures, put);
        assert_eq!(
            filled("u=:id; Path=/", Put::Field),
            "u=x%3By%3Dz%2F%22; Path=/"
        );
        assert_eq!(
            filled("<:id>, :splat", Put::Field),
            "<x%3By%3Dz%2F%22>, a%2Cb/c"
        );
        assert_eq!(
            filled("</:splat>; as=:id, </a/:id>", Put::Link),
            "</a,b/c>; as=x%3By%3Dz%2F%22, </a/x;y=z%2F%22>"
        );
    }

    /// Each byte of a path is looked at a few times, however many placeholders might end there.
    #[test]
    fn matching_takes_time_in_proportion_to_the_path() {
        let many = |text: &str| {
            (0..PLACEHOLDERS_MAX).fold("/".to_owned(), |all, n| format!("{all}:n{n}{text}"))
        };
        for (pattern, path) in [
            (many("-"), format!("/{}", "-".repeat(PATH_BYTES_MAX - 1))),
            (many("-"), format!("/{}", "a".repeat(PATH_BYTES_MAX - 1))),
            (many("-"), format!("/{}", "a-".repeat(PATH_BYTES_MAX / 2))),
            (many(".aab"), format!("/{}", "a".repeat(PATH_BYTES_MAX - 1))),
            (
                many("-"),
                format!("/{}{}", "a-".repeat(15), "a".repeat(4000)),
            ),
            (
                many("/"),
                format!("/{}{}", "a/".repeat(15), "a".repeat(4000)),
            ),
        ] {
            let pattern = Pattern::parse(&pattern).unwrap();
            LOOKED_AT.set(0);
            let _ = pattern.matches(&path);
            assert!(LOOKED_AT.get() > 0);
            assert!(
                LOOKED_AT.get() <= 6 * PATH_BYTES_MAX,
                "{pattern}: {}",
                LOOKED_AT.get()
            );
        }
    }

    fn pieces() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "/", "*", ":a", ":b_1", ":", "a", "%2a", "%", "%C3%A4", "\u{e4}", "-", ".", "%2F", " ",
            "splat", ":splat", "\\", "//",
        ]);
        prop::collection::vec(piece, 0..10).prop_map(|pieces| format!("/{}", pieces.concat()))
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(text in pieces(), path in "/[-a-z/.:*]{0,12}") {
            if let Ok(pattern) = Pattern::parse(&text) {
                let again = Pattern::parse(&pattern.to_string());
                prop_assert_eq!(again.as_ref(), Ok(&pattern));
                let _ = (pattern.matches(&path), pattern.matches_loosely(&Loosely::new(&path)));
            }
        }

        #[test]
        fn no_text_is_too_odd(text in "\\PC*", path in "\\PC*") {
            if let Ok(pattern) = Pattern::parse(&text) {
                let _ = (pattern.matches(&path), pattern.matches_loosely(&Loosely::new(&path)));
            }
        }

        /// What a pattern captures, put back where it came from, is the path.
        #[test]
        fn what_is_captured_was_there(text in pieces(), path in "/[-ab/.]{0,12}") {
            if let Ok(pattern) = Pattern::parse(&text)
                && let Some(captures) = pattern.matches(&path)
            {
                let filled: String = pattern.pieces.iter().map(|piece| match piece {
                    Piece::Text(text) => text.as_str(),
                    Piece::Placeholder(name) => captures.get(name).unwrap(),
                    Piece::Splat => captures.get(SPLAT).unwrap(),
                }).collect();
                prop_assert_eq!(filled, path);
            }
        }
    }
}
