//! Preconditions: whether the client's copy is still good (RFC 9110 section 13).

use std::time::{Duration, SystemTime};

use http::header::{self, HeaderMap, HeaderValue};

/// Returns whether a GET or HEAD is answered 304: its copy is the current one (RFC 9110 section
/// 13.2.2, steps 3 and 4). Without a date of its own, only its tag says so.
pub fn is_fresh(headers: &HeaderMap, tag: &HeaderValue, modified: Option<SystemTime>) -> bool {
    let mut tags = headers.get_all(header::IF_NONE_MATCH).iter().peekable();
    if tags.peek().is_some() {
        return tags.any(|field| matches(field, tag));
    }
    headers
        .get(header::IF_MODIFIED_SINCE)
        .and_then(|field| field.to_str().ok())
        .and_then(|text| httpdate::parse_http_date(text).ok())
        .zip(modified)
        .is_some_and(|(since, modified)| modified < since + Duration::from_secs(1))
}

/// Compares weakly, as `If-None-Match` does (RFC 9110 section 13.1.2).
fn matches(field: &HeaderValue, tag: &HeaderValue) -> bool {
    let field = field.as_bytes().trim_ascii();
    if field == b"*" {
        return true;
    }
    let wanted = tag.as_bytes();
    let wanted = wanted.strip_prefix(b"W/").unwrap_or(wanted);
    let mut rest = field;
    // A comma may stand inside a tag, so tags are read by their quotes.
    while let Some(start) = rest.iter().position(|&byte| byte == b'"') {
        let Some(length) = rest[start + 1..].iter().position(|&byte| byte == b'"') else {
            return false;
        };
        let end = start + length + 2;
        if rest[start..end] == *wanted {
            return true;
        }
        rest = &rest[end..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(field: &str, fresh: bool) {
        let mut headers = HeaderMap::new();
        headers.insert(header::IF_NONE_MATCH, field.parse().unwrap());
        let tag = HeaderValue::from_static("\"a.b\"");
        assert_eq!(
            is_fresh(&headers, &tag, Some(SystemTime::UNIX_EPOCH)),
            fresh,
            "{field}"
        );
    }

    #[test]
    fn tags_are_compared_weakly_and_in_lists() {
        check("\"a.b\"", true);
        check("W/\"a.b\"", true);
        check("\"x,y\", W/\"a.b\"", true);
        check("*", true);
        check("\"a.c\"", false);
        check("\"a.b-gzip\"", false);
        check("a.b", false);
        check("\"a.b", false);
        check("", false);
    }

    #[test]
    fn a_tag_outweighs_a_date() {
        let mut headers = HeaderMap::new();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let date = httpdate::fmt_http_date(now);
        headers.insert(header::IF_MODIFIED_SINCE, date.parse().unwrap());
        let tag = HeaderValue::from_static("\"a\"");
        // A file system counts finer than a date does.
        assert!(is_fresh(
            &headers,
            &tag,
            Some(now + Duration::from_millis(900))
        ));
        assert!(!is_fresh(
            &headers,
            &tag,
            Some(now + Duration::from_secs(1))
        ));
        assert!(!is_fresh(&headers, &tag, None));
        headers.insert(header::IF_NONE_MATCH, HeaderValue::from_static("\"b\""));
        assert!(!is_fresh(&headers, &tag, Some(now)));
    }
}
