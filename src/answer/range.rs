//! Which bytes a `Range` asks for, and how parts of a body are sent (RFC 9110 section 14).
//!
//! Pure. Whether the field counts at all is decided before (`If-Range`, methods, injected pages).

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::{Method, StatusCode, request::Parts};

use super::{Answer, Body, Piece, Streamed};
use crate::site::ContentHash;

/// Ranges of one request. More are answered with the whole: whoever needs so many needs it all.
pub const RANGES_MAX: usize = 16;

/// About what one more part costs in bytes: ranges with less between them become one.
const PART_OVERHEAD: u64 = 128;

/// What a `Range` comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ranges {
    /// The field is malformed, of another unit, or asks for too much at once: it is ignored.
    Whole,
    /// No range begins within the body.
    Unsatisfiable,
    /// One range, never empty.
    Single(Range<u64>),
    /// Several, in the order asked for; neither empty, nor overlapping, nor longer than the body
    /// together.
    Multiple(Vec<Range<u64>>),
}

/// Returns the `Range` of a request that may have one: of a GET, once.
pub(super) fn field(request: &Parts) -> Option<&HeaderValue> {
    if request.method != Method::GET {
        return None;
    }
    let mut fields = request.headers.get_all(header::RANGE).iter();
    let field = fields.next()?;
    fields.next().is_none().then_some(field)
}

/// Returns what a `Range` asks for of a body of `length` bytes.
pub fn ranges(field: &[u8], length: u64) -> Ranges {
    let Some(specs) = specs(field) else {
        return Ranges::Whole;
    };
    let mut found = Vec::new();
    for spec in specs.split(|&byte| byte == b',') {
        let spec = spec.trim_ascii();
        // An empty element of a list means nothing (RFC 9110 section 5.6.1).
        if spec.is_empty() {
            continue;
        }
        // One that is invalid makes the whole set so (section 14.1.1).
        let Some(range) = resolve(spec, length) else {
            return Ranges::Whole;
        };
        if found.len() == RANGES_MAX {
            return Ranges::Whole;
        }
        found.push(range);
    }
    if found.is_empty() {
        return Ranges::Whole;
    }
    // An empty body has a last part, which no `Content-Range` can tell of.
    if length == 0 && found.iter().any(|range| range.start == 0) {
        return Ranges::Whole;
    }
    found.retain(|range| range.start < range.end);
    let found = coalesce(found);
    match found.as_slice() {
        [] => Ranges::Unsatisfiable,
        [range] => Ranges::Single(range.clone()),
        _ if cost(&found) >= length => Ranges::Whole,
        _ => Ranges::Multiple(found),
    }
}

/// Returns the set after `bytes=`, whose case does not matter.
fn specs(field: &[u8]) -> Option<&[u8]> {
    let equals = field.iter().position(|&byte| byte == b'=')?;
    let unit = &field[..equals];
    unit.eq_ignore_ascii_case(b"bytes")
        .then_some(&field[equals + 1..])
}

/// Returns the bytes of one range; one that cannot be satisfied is empty and begins after the
/// first byte. `None` if it is invalid.
fn resolve(spec: &[u8], length: u64) -> Option<Range<u64>> {
    const UNSATISFIABLE: Range<u64> = u64::MAX..u64::MAX;
    let dash = spec.iter().position(|&byte| byte == b'-')?;
    let (first, last) = (&spec[..dash], &spec[dash + 1..]);
    if first.is_empty() {
        return Some(match number(last)? {
            0 => UNSATISFIABLE,
            suffix => length - suffix.min(length)..length,
        });
    }
    let first = number(first)?;
    let end = if last.is_empty() {
        length
    } else {
        let last = number(last)?;
        if last < first {
            return None;
        }
        last.saturating_add(1).min(length)
    };
    Some(if first < length {
        first..end
    } else {
        UNSATISFIABLE
    })
}

/// Reads a number of digits; one beyond all lengths is as good as the largest.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |byte: &u8| u64::from(byte - b'0');
    Some(digits.iter().fold(0, |number: u64, byte| {
        number.saturating_mul(10).saturating_add(digit(byte))
    }))
}

/// Joins ranges that overlap or nearly touch. The order is kept where nothing is joined (RFC 9110
/// section 15.3.7.2).
fn coalesce(ranges: Vec<Range<u64>>) -> Vec<Range<u64>> {
    let mut sorted = ranges.clone();
    sorted.sort_unstable_by_key(|range| range.start);
    let mut joined: Vec<Range<u64>> = Vec::with_capacity(sorted.len());
    for range in sorted {
        match joined.last_mut() {
            Some(before) if range.start <= before.end.saturating_add(PART_OVERHEAD) => {
                before.end = before.end.max(range.end);
            }
            _ => joined.push(range),
        }
    }
    if joined.len() == ranges.len() {
        ranges
    } else {
        joined
    }
}

/// Returns about how many bytes several parts take.
fn cost(ranges: &[Range<u64>]) -> u64 {
    ranges.iter().fold(0, |cost: u64, range| {
        let part = (range.end - range.start).saturating_add(PART_OVERHEAD);
        cost.saturating_add(part)
    })
}

/// Makes an answer with a whole body one with parts of it. `content` names the body's bytes.
pub(super) fn apply(answer: &mut Answer, field: &HeaderValue, content: ContentHash) {
    let length = answer.body.length();
    match ranges(field.as_bytes(), length) {
        Ranges::Whole => {}
        // What stands between the parts is not encoded, and the field would be said of it too (RFC
        // 9110 section 8.4).
        Ranges::Multiple(_) if answer.head.headers().contains_key(header::CONTENT_ENCODING) => {}
        Ranges::Unsatisfiable => {
            *answer.head.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            let headers = answer.head.headers_mut();
            for name in [
                header::CONTENT_TYPE,
                header::CONTENT_ENCODING,
                header::LAST_MODIFIED,
                header::ETAG,
            ] {
                headers.remove(name);
            }
            put(headers, header::CONTENT_RANGE, &format!("bytes */{length}"));
            answer.body = Body::Empty;
            headers.insert(header::CONTENT_LENGTH, 0.into());
        }
        Ranges::Single(range) => {
            *answer.head.status_mut() = StatusCode::PARTIAL_CONTENT;
            let headers = answer.head.headers_mut();
            put(
                headers,
                header::CONTENT_RANGE,
                &content_range(&range, length),
            );
            headers.insert(header::CONTENT_LENGTH, (range.end - range.start).into());
            answer.body = take(&answer.body, &[Wanted::Part(range)]);
        }
        Ranges::Multiple(ranges) => {
            *answer.head.status_mut() = StatusCode::PARTIAL_CONTENT;
            multipart(answer, &ranges, length, content);
        }
    }
}

/// A stretch of what is sent.
enum Wanted {
    Text(Bytes),
    Part(Range<u64>),
}

/// Makes the body one of several parts (RFC 9110 section 14.6).
fn multipart(answer: &mut Answer, ranges: &[Range<u64>], length: u64, content: ContentHash) {
    // No content has its own hash in it.
    let boundary = content.to_string();
    let headers = answer.head.headers_mut();
    let media_type = headers.get(header::CONTENT_TYPE);
    let media_type = media_type.and_then(|value| value.to_str().ok());
    let media_type = media_type.unwrap_or("application/octet-stream").to_owned();
    let mut wanted = Vec::with_capacity(2 * ranges.len() + 1);
    let mut start = "";
    for range in ranges {
        let range_field = content_range(range, length);
        let text = format!(
            "{start}--{boundary}\r\nContent-Type: {media_type}\r\n\
             Content-Range: {range_field}\r\n\r\n"
        );
        wanted.push(Wanted::Text(text.into()));
        wanted.push(Wanted::Part(range.clone()));
        start = "\r\n";
    }
    wanted.push(Wanted::Text(format!("\r\n--{boundary}--\r\n").into()));
    answer.body = take(&answer.body, &wanted);
    let media_type = format!("multipart/byteranges; boundary={boundary}");
    let headers = answer.head.headers_mut();
    put(headers, header::CONTENT_TYPE, &media_type);
    headers.insert(header::CONTENT_LENGTH, answer.body.length().into());
}

/// Returns stretches of a body, in order, without copying any of it.
fn take(body: &Body, wanted: &[Wanted]) -> Body {
    match body {
        Body::Memory(bytes) => {
            let mut pieces: Vec<_> = wanted
                .iter()
                .map(|wanted| match wanted {
                    Wanted::Text(text) => text.clone(),
                    Wanted::Part(range) => bytes.slice(index(range.start)..index(range.end)),
                })
                .collect();
            match pieces.len() {
                1 => Body::Memory(pieces.swap_remove(0)),
                _ => Body::Pieces(pieces),
            }
        }
        Body::Streamed(Streamed { asset, .. }) => Body::Streamed(Streamed {
            asset: Arc::clone(asset),
            pieces: wanted
                .iter()
                .map(|wanted| match wanted {
                    Wanted::Text(text) => Piece::Bytes(text.clone()),
                    Wanted::Part(range) => Piece::File(range.clone()),
                })
                .collect(),
        }),
        Body::Empty | Body::Pieces(_) | Body::Feed { .. } => body.clone(),
    }
}

/// What is in memory can be indexed.
fn index(at: u64) -> usize {
    usize::try_from(at).unwrap_or(usize::MAX)
}

fn content_range(range: &Range<u64>, length: u64) -> String {
    format!("bytes {}-{}/{length}", range.start, range.end - 1)
}

fn put(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(field: &str, length: u64, expected: &str) {
        let told = match ranges(field.as_bytes(), length) {
            Ranges::Whole => "whole".to_owned(),
            Ranges::Unsatisfiable => "416".to_owned(),
            Ranges::Single(range) => format!("{range:?}"),
            Ranges::Multiple(ranges) => format!("{ranges:?}"),
        };
        assert_eq!(told, expected, "{field} of {length}");
    }

    #[test]
    fn one_range_is_first_and_last_byte_or_a_suffix() {
        check("bytes=0-0", 10_000, "0..1");
        check("bytes=0-499", 10_000, "0..500");
        check("bytes=9500-", 10_000, "9500..10000");
        check("bytes=-500", 10_000, "9500..10000");
        check("bytes=0-", 10_000, "0..10000");
        check("Bytes=0-1", 10_000, "0..2");
        // Beyond the end is up to the end (RFC 9110 section 14.1.2).
        check("bytes=9999-20000", 10_000, "9999..10000");
        check("bytes=-20000", 10_000, "0..10000");
        check("bytes=0-99999999999999999999999", 10_000, "0..10000");
        check("bytes= 0-1 ", 10, "0..2");
        check("bytes=,0-1,,", 10, "0..2");
    }

    #[test]
    fn what_begins_behind_the_end_is_unsatisfiable() {
        check("bytes=10000-", 10_000, "416");
        check("bytes=10000-10001", 10_000, "416");
        check("bytes=99999999999999999999999-", 10_000, "416");
        check("bytes=-0", 10_000, "416");
        check("bytes=10000-, -0", 10_000, "416");
        check("bytes=0-", 0, "416");
        check("bytes=0-0", 0, "416");
        check("bytes=-0", 0, "416");
        // There is such a part, and it is all of nothing.
        check("bytes=-5", 0, "whole");
    }

    #[test]
    fn what_is_malformed_or_not_counted_in_bytes_is_ignored() {
        for field in [
            "bytes=9-2",
            "bytes=",
            "bytes=,",
            "bytes",
            "bytes=-",
            "bytes=--1",
            "bytes=a-b",
            "bytes=1",
            "bytes=0-1-2",
            "bytes=0x0-1",
            "bytes=+1-2",
            "bytes=0 - 1",
            "bytes =0-1",
            "items=0-1",
            "=0-1",
            "",
            "bytes=0-1;2-3",
            "bytes=0-1, 9-2",
            "bytes=\u{a0}0-1",
            "none",
        ] {
            check(field, 10_000, "whole");
        }
    }

    #[test]
    fn several_ranges_keep_their_order_and_near_ones_are_joined() {
        check("bytes=0-0,-1", 10_000, "[0..1, 9999..10000]");
        check("bytes=5000-5009,0-9", 10_000, "[5000..5010, 0..10]");
        check("bytes=0-9,20000-", 10_000, "0..10");
        check("bytes=0-99,50-149", 10_000, "0..150");
        check(
            "bytes=5000-5099,0-9,5050-5149",
            10_000,
            "[0..10, 5000..5150]",
        );
        check("bytes=0-9,100-109", 10_000, "0..110");
        check("bytes=0-4999,6000-9999", 10_000, "[0..5000, 6000..10000]");
        // With what each part costs, the whole is less.
        check("bytes=0-4999,5200-9999", 10_000, "whole");
    }

    #[test]
    fn no_more_ranges_are_answered_than_the_limit() {
        let field = |count: u64| {
            let ranges: Vec<_> = (0..count).map(|at| format!("{0}-{0}", at * 1000)).collect();
            format!("bytes={}", ranges.join(","))
        };
        let most = RANGES_MAX as u64;
        let Ranges::Multiple(ranges_found) = ranges(field(most).as_bytes(), 1_000_000) else {
            panic!("{most} ranges are answered");
        };
        assert_eq!(ranges_found.len(), RANGES_MAX);
        check(&field(most + 1), 1_000_000, "whole");
        let overlapping = "0-,".repeat(1300);
        check(&format!("bytes={overlapping}"), 1_000_000, "whole");
    }

    proptest! {
        #[test]
        fn every_byte_asked_for_is_sent_once(
            specs in prop::collection::vec((0..3_u8, 0..3000_u64, 0..3000_u64), 1..20),
            length in 0..2500_u64,
        ) {
            let texts: Vec<_> = specs.iter().map(|(kind, a, b)| match kind {
                0 => format!("{}-{}", a.min(b), a.max(b)),
                1 => format!("{a}-"),
                _ => format!("-{a}"),
            }).collect();
            let asked = |at: u64| specs.iter().any(|&(kind, a, b)| match kind {
                0 => (a.min(b)..=a.max(b)).contains(&at),
                1 => at >= a,
                _ => at >= length.saturating_sub(a),
            });
            let sent = match ranges(format!("bytes={}", texts.join(", ")).as_bytes(), length) {
                Ranges::Whole => return Ok(()),
                Ranges::Unsatisfiable => {
                    prop_assert!(!(0..length).any(asked));
                    return Ok(());
                }
                Ranges::Single(range) => vec![range],
                Ranges::Multiple(ranges) => {
                    prop_assert!(ranges.len() >= 2 && ranges.len() <= RANGES_MAX);
                    ranges
                }
            };
            prop_assert!(sent.iter().all(|range| range.start < range.end && range.end <= length));
            prop_assert!(sent.iter().map(|range| range.end - range.start).sum::<u64>() <= length);
            for at in 0..length {
                let times = sent.iter().filter(|range| range.contains(&at)).count();
                prop_assert!(times <= 1);
                prop_assert!(times == 1 || !asked(at), "byte {at} is missing");
            }
        }

        #[test]
        fn garbage_is_read_without_panic(
            field in prop::collection::vec(any::<u8>(), 0..60),
            length: u64,
        ) {
            let _ = ranges(&field, length);
            let _ = ranges(&[b"bytes=", &field[..]].concat(), length);
        }
    }
}
