//! Header fields that list elements with parameters: `a; b=c, d` (RFC 6455 section 9.1).
//!
//! Knows nothing of what they mean. [`super::deflate`] and [`super::handshake`] read them.

use std::borrow::Cow;

/// An element of a list.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Element<'a> {
    pub(super) name: &'a str,
    pub(super) parameters: Vec<(&'a str, Option<Cow<'a, str>>)>,
}

/// Returns the elements of a field; empty ones are left out (RFC 9110 section 5.6.1.2).
pub(super) fn elements(field: &str) -> impl Iterator<Item = Element<'_>> {
    unquoted(field, b',').filter_map(|element| {
        let mut parts = unquoted(element, b';').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty())?;
        let parameters = parts.map(parameter).collect();
        Some(Element { name, parameters })
    })
}

fn parameter(part: &str) -> (&str, Option<Cow<'_, str>>) {
    match part.split_once('=') {
        Some((name, value)) => (name.trim(), Some(unquote(value.trim()))),
        None => (part, None),
    }
}

fn unquote(value: &str) -> Cow<'_, str> {
    let inner = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    match inner {
        Some(inner) if inner.contains('\\') => Cow::Owned(inner.replace('\\', "")),
        Some(inner) => Cow::Borrowed(inner),
        None => Cow::Borrowed(value),
    }
}

/// Splits at a separator that is not in quotes.
fn unquoted(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let (mut quoted, mut escaped) = (false, false);
        let end = text.bytes().position(|byte| {
            let is_escaped = std::mem::take(&mut escaped);
            match byte {
                b'\\' if quoted && !is_escaped => escaped = true,
                b'"' if !is_escaped => quoted = !quoted,
                _ => {}
            }
            byte == separator && !quoted
        });
        rest = end.map(|end| &text[end + 1..]);
        Some(&text[..end.unwrap_or(text.len())])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_told_apart_outside_quotes() {
        let field = " a ;b;c = \"1,\\\"2\" , ,d";
        let read: Vec<Element<'_>> = elements(field).collect();
        let c = Some(Cow::Borrowed("1,\"2"));
        let a = Element {
            name: "a",
            parameters: vec![("b", None), ("c", c)],
        };
        assert_eq!(
            read,
            [
                a,
                Element {
                    name: "d",
                    parameters: Vec::new()
                }
            ]
        );
    }
}
