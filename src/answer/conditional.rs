//! Preconditions: whether a request still means what it meant when it was written (RFC 9110
//! section 13).
//!
//! Pure, and it knows no file: what is there now is told by its date and by a question about tags.

use std::time::{Duration, SystemTime};

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// The fields that are evaluated here.
const PRECONDITIONS: [HeaderName; 4] = [
    header::IF_NONE_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_MATCH,
    header::IF_UNMODIFIED_SINCE,
];

/// What validates the present state of a resource.
pub struct Validators<F> {
    /// Returns whether a strong or weak tag, given without its `W/`, names one of the forms in
    /// which it could be sent now.
    pub is_current: F,
    /// Whether those tags are weak: then nothing compares strongly with them.
    pub weak: bool,
    /// When it was last modified; `None` if it changes without that.
    pub modified: Option<SystemTime>,
}

/// What preconditions come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// The request is answered.
    Proceed,
    /// The client's copy is good: 304. With its tag, quotes included, if it has named one.
    NotModified(Option<&'a [u8]>),
    /// What the client meant to ask about is gone: 412.
    Failed,
}

/// What an `If-Range` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfRange<'a> {
    /// There is none: a range is sent.
    Absent,
    /// A range is sent of the form with this tag, quotes included.
    Tag(&'a [u8]),
    /// A range is sent if this is when it was last modified.
    Date(SystemTime),
    /// It cannot be compared strongly: no range is sent.
    Never,
}

/// Evaluates the preconditions of a GET or HEAD that would be answered with a file, in the order of
/// RFC 9110 section 13.2.2; the last step is [`if_range`].
pub fn evaluate<'a, F: Fn(&[u8]) -> bool>(
    headers: &'a HeaderMap,
    validators: &Validators<F>,
) -> Verdict<'a> {
    if !headers.keys().any(|name| PRECONDITIONS.contains(name)) {
        return Verdict::Proceed;
    }
    let modified_since = |name| {
        let since = date(headers, name)?;
        let modified = validators.modified?;
        // A file system counts finer than a date does.
        Some(modified >= since + Duration::from_secs(1))
    };
    if headers.contains_key(header::IF_MATCH) {
        let mut tags = tags(headers, header::IF_MATCH);
        let matches = tags.any(|tag| match tag {
            Tag::Any => true,
            Tag::Weak(_) => false,
            Tag::Strong(tag) => !validators.weak && (validators.is_current)(tag),
        });
        if !matches {
            return Verdict::Failed;
        }
    } else if modified_since(header::IF_UNMODIFIED_SINCE) == Some(true) {
        return Verdict::Failed;
    }
    if headers.contains_key(header::IF_NONE_MATCH) {
        for tag in tags(headers, header::IF_NONE_MATCH) {
            match tag {
                Tag::Any => return Verdict::NotModified(None),
                Tag::Weak(tag) | Tag::Strong(tag) if (validators.is_current)(tag) => {
                    return Verdict::NotModified(Some(tag));
                }
                Tag::Weak(_) | Tag::Strong(_) => {}
            }
        }
    } else if modified_since(header::IF_MODIFIED_SINCE) == Some(false) {
        return Verdict::NotModified(None);
    }
    Verdict::Proceed
}

/// Returns the strong tags, quotes included, of which `If-Match` asks that what is sent has one, if
/// it does (RFC 9110 section 13.1.1).
pub fn if_match(headers: &HeaderMap) -> Option<Vec<&[u8]>> {
    // As `evaluate` looks for all of them.
    if !headers.keys().any(|name| name == header::IF_MATCH) {
        return None;
    }
    let named = tags(headers, header::IF_MATCH).filter_map(|tag| match tag {
        Tag::Any => Some(None),
        Tag::Weak(_) => None,
        Tag::Strong(tag) => Some(Some(tag)),
    });
    // Any will do if one of them is `*`.
    named.collect()
}

/// Returns what `If-Range` says (RFC 9110 section 13.1.5).
pub fn if_range(headers: &HeaderMap) -> IfRange<'_> {
    let mut fields = headers.get_all(header::IF_RANGE).iter();
    let (Some(field), second) = (fields.next(), fields.next()) else {
        return IfRange::Absent;
    };
    if second.is_some() {
        return IfRange::Never;
    }
    let text = field.as_bytes().trim_ascii();
    let is_tag = text.len() >= 2 && text.starts_with(b"\"") && text.ends_with(b"\"");
    if is_tag && !text[1..text.len() - 1].contains(&b'"') {
        return IfRange::Tag(text);
    }
    date(headers, header::IF_RANGE).map_or(IfRange::Never, IfRange::Date)
}

/// One member of a list of entity tags.
enum Tag<'a> {
    Any,
    Weak(&'a [u8]),
    Strong(&'a [u8]),
}

/// Reads the tags of a field, quotes included. A comma may stand inside a tag, so tags are found by
/// their quotes.
fn tags(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = Tag<'_>> {
    headers.get_all(name).iter().flat_map(|field| {
        let mut rest = field.as_bytes().trim_ascii();
        let any = rest == b"*";
        let any = any.then_some(Tag::Any);
        any.into_iter().chain(std::iter::from_fn(move || {
            let start = rest.iter().position(|&byte| byte == b'"')?;
            let length = rest[start + 1..].iter().position(|&byte| byte == b'"')?;
            let (tag, end) = (&rest[start..start + length + 2], start + length + 2);
            let is_weak = rest[..start].ends_with(b"W/");
            rest = &rest[end..];
            Some(if is_weak {
                Tag::Weak(tag)
            } else {
                Tag::Strong(tag)
            })
        }))
    })
}

/// Returns the date of a field; one that is malformed means nothing.
fn date(headers: &HeaderMap, name: HeaderName) -> Option<SystemTime> {
    let text = headers
        .get(name)
        .and_then(|field: &HeaderValue| field.to_str().ok())?;
    httpdate::parse_http_date(text.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A second of which the file system saw the middle.
    fn modified() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(1_000_000_500)
    }

    const AT: &str = "Mon, 12 Jan 1970 13:46:40 GMT";
    const BEFORE: &str = "Mon, 12 Jan 1970 13:46:39 GMT";
    const AFTER: &str = "Monday, 12-Jan-70 13:46:41 GMT";

    fn headers(fields: &[(&str, &str)]) -> HeaderMap {
        let fields = fields.iter().map(|(name, value)| {
            let name: HeaderName = name.parse().unwrap();
            (name, HeaderValue::from_str(value).unwrap())
        });
        fields.collect()
    }

    #[track_caller]
    fn check_with(weak: bool, fields: &[(&str, &str)], expected: u16) {
        let validators = Validators {
            is_current: |tag: &[u8]| tag == b"\"a.b\"",
            weak,
            modified: Some(modified()),
        };
        let status = match evaluate(&headers(fields), &validators) {
            Verdict::Proceed => 200,
            Verdict::NotModified(_) => 304,
            Verdict::Failed => 412,
        };
        assert_eq!(status, expected, "{fields:?}");
    }

    #[track_caller]
    fn check(fields: &[(&str, &str)], expected: u16) {
        check_with(false, fields, expected);
    }

    #[test]
    fn if_none_match_compares_weakly_and_in_lists() {
        for (field, status) in [
            ("\"a.b\"", 304),
            ("W/\"a.b\"", 304),
            ("\"x,y\", W/\"a.b\"", 304),
            ("*", 304),
            ("\"a.c\"", 200),
            ("\"a.b-gzip\"", 200),
            ("a.b", 200),
            ("\"a.b", 200),
            ("", 200),
        ] {
            check(&[("if-none-match", field)], status);
        }
    }

    #[test]
    fn if_match_compares_strongly() {
        for (field, status) in [
            ("\"a.b\"", 200),
            ("\"x\", \"a.b\"", 200),
            ("*", 200),
            ("W/\"a.b\"", 412),
            ("\"a.c\"", 412),
            ("a.b", 412),
            ("", 412),
        ] {
            check(&[("if-match", field)], status);
        }
        check_with(true, &[("if-match", "\"a.b\"")], 412);
        check_with(true, &[("if-match", "*")], 200);
        check_with(true, &[("if-none-match", "W/\"a.b\"")], 304);
    }

    #[test]
    fn dates_are_compared_by_the_second() {
        for (field, since, unmodified) in [
            (BEFORE, 200, 412),
            (AT, 304, 200),
            (AFTER, 304, 200),
            ("Mon Jan 12 13:46:40 1970", 304, 200),
            ("yesterday", 200, 200),
            ("", 200, 200),
        ] {
            check(&[("if-modified-since", field)], since);
            check(&[("if-unmodified-since", field)], unmodified);
        }
        let validators = Validators {
            is_current: |_: &[u8]| false,
            weak: false,
            modified: None,
        };
        let fields = headers(&[("if-modified-since", AFTER)]);
        assert_eq!(evaluate(&fields, &validators), Verdict::Proceed);
    }

    /// RFC 9110 section 13.2.2.
    #[test]
    fn tags_outweigh_dates_and_what_must_hold_comes_first() {
        let (good, bad) = ("\"a.b\"", "\"x\"");
        check(&[("if-match", good), ("if-unmodified-since", BEFORE)], 200);
        check(&[("if-match", bad), ("if-unmodified-since", AFTER)], 412);
        check(&[("if-none-match", bad), ("if-modified-since", AFTER)], 200);
        check(
            &[("if-none-match", good), ("if-modified-since", BEFORE)],
            304,
        );
        check(&[("if-match", bad), ("if-none-match", good)], 412);
        check(&[("if-match", good), ("if-none-match", good)], 304);
        check(&[("if-match", good), ("if-modified-since", AFTER)], 304);
        check(
            &[("if-unmodified-since", BEFORE), ("if-none-match", good)],
            412,
        );
        check(
            &[("if-unmodified-since", AFTER), ("if-none-match", bad)],
            200,
        );
    }

    #[test]
    fn an_if_range_is_a_strong_tag_or_a_date() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        for (field, expected) in [
            ("\"a.b\"", IfRange::Tag(b"\"a.b\"")),
            ("W/\"a.b\"", IfRange::Never),
            ("\"a\", \"b\"", IfRange::Never),
            ("*", IfRange::Never),
            ("a.b", IfRange::Never),
            ("\"", IfRange::Never),
            ("", IfRange::Never),
            (AT, IfRange::Date(at)),
        ] {
            let headers = headers(&[("if-range", field)]);
            assert_eq!(if_range(&headers), expected, "{field}");
        }
        assert_eq!(if_range(&HeaderMap::new()), IfRange::Absent);
    }
}
