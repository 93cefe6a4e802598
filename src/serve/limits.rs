//! The limits of the server: one table, for `forerun limits` and the documentation.
//!
//! Each is a constant beside what it limits, or set by a flag; the table names them, so that it
//! cannot say what is not so.

use std::time::Duration;

use comfy_table::{Table, presets};

use super::runtime;
use crate::answer::preload;
use crate::door::body;
use crate::door::limits::Limits;
use crate::{http1, http2};

/// A limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// What is limited.
    pub name: &'static str,
    /// How much, unless told otherwise.
    pub default: String,
    /// The flag that sets it, if one does.
    pub flag: Option<&'static str>,
    /// What happens to who exceeds it.
    pub peer_sees: &'static str,
}

/// Returns all limits.
pub fn all() -> Vec<Limit> {
    let set = Limits::default();
    [numbers(&set), requests(), times(&set), held(&set)].concat()
}

fn limit(
    name: &'static str,
    default: String,
    flag: Option<&'static str>,
    peer_sees: &'static str,
) -> Limit {
    Limit {
        name,
        default,
        flag,
        peer_sees,
    }
}

fn numbers(set: &Limits) -> Vec<Limit> {
    vec![
        limit(
            "connections",
            set.connections.to_string(),
            Some("--max-connections"),
            "it waits until one ends",
        ),
        limit(
            "connections of one address",
            set.connections_per_address.to_string(),
            Some("--max-connections-per-address"),
            "closed before TLS",
        ),
        limit(
            "requests open at once",
            set.streams.to_string(),
            Some("--max-streams"),
            "REFUSED_STREAM; while they wait for the disk, ENHANCE_YOUR_CALM",
        ),
        limit(
            "streams opened and reset",
            format!(
                "{} at once, {} a second",
                http2::connection::RESETS_MAX,
                http2::connection::RESETS_A_SECOND
            ),
            None,
            "GOAWAY with ENHANCE_YOUR_CALM",
        ),
        limit(
            "promises of a page",
            preload::PROMISES_MAX.to_string(),
            None,
            "the rest is not promised; another page's wait until these are sent",
        ),
    ]
}

fn requests() -> Vec<Limit> {
    vec![
        limit(
            "bytes of a request's header",
            bytes(http2::connection::HEADER_BYTES_MAX.into()),
            None,
            "431; the connection closes if frames of it do not end",
        ),
        limit(
            "fields of a request's header",
            format!(
                "{} (HTTP/1.1), {} more bytes each (HTTP/2)",
                http1::HEADER_FIELDS_MAX,
                http2::connection::FIELD_OVERHEAD
            ),
            None,
            "431",
        ),
        limit(
            "bytes of a request's body in flight",
            bytes(http2::connection::RECEIVE_WINDOW.into()),
            None,
            "no more window; the answer is 405 all the same",
        ),
    ]
}

fn times(set: &Limits) -> Vec<Limit> {
    vec![
        limit(
            "TLS handshake",
            time(runtime::HANDSHAKE_MAX),
            None,
            "closed",
        ),
        limit(
            "first bytes of HTTP/2",
            time(http2::connection::PREFACE_WAIT_MAX),
            None,
            "closed",
        ),
        limit(
            "a header over HTTP/1.1, from the last answer",
            time(http1::HEADER_WAIT_MAX),
            None,
            "closed",
        ),
        limit(
            "without a request",
            time(set.idle),
            Some("--idle-timeout"),
            "GOAWAY and closed",
        ),
        limit(
            "taking nothing of an answer",
            time(http2::connection::STALL_MAX),
            None,
            "closed",
        ),
    ]
}

fn held(set: &Limits) -> Vec<Limit> {
    vec![
        limit(
            "bytes held for a connection",
            format!(
                "{} sealed or to be, {} read from disk",
                bytes(http2::HELD_MAX as u64),
                bytes(body::READ_BYTES)
            ),
            None,
            "nothing: the rest waits",
        ),
        limit(
            "bytes held for all connections",
            bytes(set.buffered_bytes),
            Some("--max-buffered"),
            "closed, if more than its share is its own",
        ),
    ]
}

/// Returns the table as text: name, default and flag, what the peer sees.
pub fn table() -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header([
        "limit",
        "default",
        "flag",
        "who exceeds it sees",
    ]);
    for limit in all() {
        let flag = limit.flag.unwrap_or_default().to_owned();
        table.add_row([
            limit.name.to_owned(),
            limit.default,
            flag,
            limit.peer_sees.to_owned(),
        ]);
    }
    format!("{table}\n")
}

fn bytes(count: u64) -> String {
    match count {
        count if count.is_multiple_of(1 << 20) => format!("{} MiB", count >> 20),
        count => format!("{} KiB", count >> 10),
    }
}

fn time(duration: Duration) -> String {
    format!("{} s", duration.as_secs())
}
