//! A given snippet at a document's prefix: as early as a browser would run it, and never so early
//! that it changes how the document is shown.
//!
//! Only the prefix is read: byte order mark, white space, comments, doctype, the start tags of
//! `html` and `head`. What comes after may be anything: a body's end in a string, a template with a
//! head of its own, `<plaintext>`, a comment that never ends. The snippet stands before it.
//!
//! Knows nothing of what the snippet is for. Read on in [`obstacle`]: what keeps a script of the
//! same origin from its work.

mod obstacle;
#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};

pub use obstacle::obstacle;

/// Bytes that are looked at to tell text from anything else (MIME Sniffing, section 5).
const SNIFFED_BYTES: usize = 1_445;

/// In UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Returns the document with the snippet in it; `None` if it is no HTML text that the snippet's
/// ASCII can stand in: UTF-16, or not text at all.
pub fn insert(document: &[u8], snippet: &[u8]) -> Option<Bytes> {
    if !is_text(document) {
        return None;
    }
    let (before, after) = document.split_at(insertion_point(document));
    let mut inserted = BytesMut::with_capacity(document.len() + snippet.len());
    inserted.extend_from_slice(before);
    inserted.extend_from_slice(snippet);
    inserted.extend_from_slice(after);
    Some(inserted.freeze())
}

/// Tells bytes in which ASCII stands for itself from UTF-16 and binary ones (MIME Sniffing, section
/// 3: binary data bytes).
fn is_text(document: &[u8]) -> bool {
    let is_binary = |byte: &u8| matches!(byte, 0x00..=0x08 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f);
    let sniffed = &document[..document.len().min(SNIFFED_BYTES)];
    !is_utf16(document) && !sniffed.iter().any(is_binary)
}

fn is_utf16(document: &[u8]) -> bool {
    document.starts_with(b"\xff\xfe") || document.starts_with(b"\xfe\xff")
}

/// Returns where a script stands as if it were the first element of the head.
///
/// A script begins the document proper: no doctype counts after it, nor do the attributes of a
/// `head`. So everything is passed that a parser takes without beginning it (HTML, sections
/// 13.2.6.4.1 to 13.2.6.4.3). What the end of the document cuts off is not passed: after that a
/// script would be dead text.
fn insertion_point(document: &[u8]) -> usize {
    let mark = if document.starts_with(BYTE_ORDER_MARK) {
        BYTE_ORDER_MARK.len()
    } else {
        0
    };
    let mut point = mark;
    loop {
        point += blank_bytes(&document[point..]);
        let rest = &document[point..];
        match token(rest) {
            Some(Token { length, what }) => match what {
                What::Unseen => point += length,
                What::Head => return point + length,
            },
            None => return point,
        }
    }
}

/// Something that a parser takes before the document proper begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Token {
    length: usize,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// More of its kind may follow.
    Unseen,
    /// The start tag of `head`: the place is reached.
    Head,
}

/// Reads a token of a document's prefix; `None` if the document proper begins here, or the end cuts
/// the token off.
fn token(text: &[u8]) -> Option<Token> {
    let unseen = |length| Token {
        length,
        what: What::Unseen,
    };
    let rest = text.strip_prefix(b"<")?;
    match rest.first()? {
        b'!' if rest.starts_with(b"!--") => comment_bytes(&rest[3..]).map(|n| unseen(4 + n)),
        // A doctype ends at the first `>`, quoted or not; any other declaration and processing
        // instruction is a comment that does.
        b'!' | b'?' => through_greater(text).map(unseen),
        b'/' => {
            let (name, length) = match rest.get(1)? {
                byte if byte.is_ascii_alphabetic() => named_tag(&rest[1..])?,
                // Nothing, or a comment once more (HTML, section 13.2.5.7).
                _ => return through_greater(text).map(unseen),
            };
            // Any other end tag is ignored here; these begin the document proper.
            let begins = ["html", "head", "body", "br"];
            (!begins.iter().any(|known| is_called(name, known))).then_some(unseen(2 + length))
        }
        byte if byte.is_ascii_alphabetic() => {
            let (name, length) = named_tag(rest)?;
            if is_called(name, "head") {
                return Some(Token {
                    length: 1 + length,
                    what: What::Head,
                });
            }
            is_called(name, "html").then_some(unseen(1 + length))
        }
        _ => None,
    }
}

fn is_called(name: &[u8], known: &str) -> bool {
    name.eq_ignore_ascii_case(known.as_bytes())
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b'\t' | b'\n' | b'\x0c' | b'\r' | b' ')
}

fn blank_bytes(text: &[u8]) -> usize {
    let found = text.iter().position(|&byte| !is_blank(byte));
    found.unwrap_or(text.len())
}

fn through_greater(text: &[u8]) -> Option<usize> {
    text.iter().position(|&byte| byte == b'>').map(|at| at + 1)
}

/// Returns the length of a comment from after its `<!--` to after its end (HTML, sections 13.2.5.43
/// to 13.2.5.51): `-->` or `--!>`, or `>` and `->` at once.
fn comment_bytes(text: &[u8]) -> Option<usize> {
    for abrupt in [&b">"[..], b"->"] {
        if text.starts_with(abrupt) {
            return Some(abrupt.len());
        }
    }
    let mut at = 0;
    loop {
        at += text.get(at..)?.windows(2).position(|two| two == b"--")?;
        let end = &text[at + 2..];
        if end.starts_with(b">") {
            return Some(at + 3);
        }
        if end.starts_with(b"!>") {
            return Some(at + 4);
        }
        at += 1;
    }
}

/// Where in a tag a tokenizer is (HTML, sections 13.2.5.32 to 13.2.5.40).
///
/// ```text
/// Between      blank, /: Between      other: Name
/// Name         blank: AfterName       /: Between     =: BeforeValue   other: Name
/// AfterName    blank: AfterName       /: Between     =: BeforeValue   other: Name
/// BeforeValue  blank: BeforeValue     quote: Quoted                   other: Bare
/// Quoted       the same quote: Between                                other: Quoted
/// Bare         blank: Between                                         other: Bare
/// ```
///
/// Everywhere but in `Quoted` a `>` ends the tag.
enum Within {
    Between,
    Name,
    AfterName,
    BeforeValue,
    Quoted(u8),
    Bare,
}

/// Reads a tag from its name on: the name, and the length through the `>` that ends it; `None` if
/// nothing does.
fn named_tag(text: &[u8]) -> Option<(&[u8], usize)> {
    let ends_name = |&byte: &u8| is_blank(byte) || matches!(byte, b'/' | b'>');
    let name_length = text.iter().position(ends_name)?;
    let mut within = Within::Between;
    for (at, &byte) in text.iter().enumerate().skip(name_length) {
        within = match (within, byte) {
            (Within::Quoted(quote), _) if byte != quote => Within::Quoted(quote),
            (Within::Quoted(_), _) => Within::Between,
            (_, b'>') => return Some((&text[..name_length], at + 1)),
            (Within::BeforeValue, _) if is_blank(byte) => Within::BeforeValue,
            (Within::BeforeValue, b'"' | b'\'') => Within::Quoted(byte),
            (Within::Bare, _) if is_blank(byte) => Within::Between,
            (Within::BeforeValue | Within::Bare, _) => Within::Bare,
            (_, b'/') => Within::Between,
            (Within::Name | Within::AfterName, b'=') => Within::BeforeValue,
            (Within::Name | Within::AfterName, _) if is_blank(byte) => Within::AfterName,
            (Within::Between, _) if is_blank(byte) => Within::Between,
            // An equals sign here, or a quote anywhere, is a letter of a name.
            (Within::Between | Within::Name | Within::AfterName, _) => Within::Name,
        };
    }
    None
}
