//! The limits of the server: one table, for `forerun limits` and the documentation.
//!
//! Each is a constant beside what it limits, or set by a flag; the table names them, so that it
//! cannot say what is not so.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::time::Duration;

use comfy_table::{Table, presets};

use super::small_http::Bounds;
use super::{DRAIN_MAX, admin, plaintext, runtime};
use crate::answer::channels::{ChannelOptions, publish, subscribe};
use crate::answer::{authorization, live, preload, range};
use crate::door::limits::{self, Limits};
use crate::door::{body, sign_in};
use crate::http2::connection;
use crate::hub::BEHIND_MAX;
use crate::site::{listing, load, url_path};
use crate::{http1, http2, web_socket};

/// A limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit {
    /// What is limited.
    pub name: Cow<'static, str>,
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
    [
        numbers(&set),
        requests(),
        answers(),
        channels(),
        times(&set),
        held(&set),
        credentials(),
        others(),
    ]
    .concat()
}

fn limit(
    name: impl Into<Cow<'static, str>>,
    default: String,
    flag: Option<&'static str>,
    peer_sees: &'static str,
) -> Limit {
    Limit {
        name: name.into(),
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
                connection::RESETS_MAX,
                connection::RESETS_A_SECOND
            ),
            None,
            "GOAWAY with ENHANCE_YOUR_CALM",
        ),
        limit(
            "streams reset by us, for errors of its own",
            connection::LOCAL_RESETS_MAX.to_string(),
            None,
            "GOAWAY with ENHANCE_YOUR_CALM",
        ),
        limit(
            "streams reset before they are looked at",
            connection::UNSEEN_RESETS_MAX.to_string(),
            None,
            "GOAWAY with ENHANCE_YOUR_CALM",
        ),
        limit(
            "events that an address publishes in a second",
            set.publishes_per_address.to_string(),
            Some("--max-publishes"),
            "429 with Retry-After; over a WebSocket, an error",
        ),
        limit(
            "bytes of events that an address publishes in a second",
            bytes(set.published_bytes_per_address),
            Some("--max-published"),
            "429 with Retry-After; over a WebSocket, an error",
        ),
        limit(
            "promises of a page",
            preload::PROMISES_MAX.to_string(),
            None,
            "the rest is not promised; another page's wait until these are sent",
        ),
        limit(
            "links hinted with a page",
            preload::HINTS_MAX.to_string(),
            None,
            "the rest is not hinted",
        ),
    ]
}

fn requests() -> Vec<Limit> {
    vec![
        limit(
            "bytes of a request's header",
            format!(
                "{} (HTTP/2), {} (HTTP/1.1)",
                bytes(connection::HEADER_BYTES_MAX.into()),
                bytes(http1::HEADER_BYTES_MAX as u64)
            ),
            None,
            "431",
        ),
        limit(
            "CONTINUATION frames that do not end a header",
            connection::CONTINUATIONS_MAX.to_string(),
            None,
            "GOAWAY with ENHANCE_YOUR_CALM",
        ),
        limit(
            "fields of a request's header",
            format!(
                "{} (HTTP/1.1), {} more bytes each (HTTP/2)",
                http1::HEADER_FIELDS_MAX,
                connection::FIELD_OVERHEAD
            ),
            None,
            "431",
        ),
        limit(
            "bytes of a request's body in flight",
            bytes(connection::RECEIVE_WINDOW.into()),
            None,
            "no more window; the answer is 405 all the same",
        ),
        limit(
            "bytes of a path, decoded",
            bytes(url_path::PATH_BYTES_MAX as u64),
            None,
            "400",
        ),
        limit(
            "bytes of a link's target",
            bytes(url_path::TARGET_BYTES_MAX as u64),
            None,
            "nothing: it is not sent ahead",
        ),
        limit(
            "bytes of what an edited page tells (`forerun dev`)",
            bytes(live::TOLD_BYTES_MAX as u64),
            None,
            "413",
        ),
    ]
}

fn answers() -> Vec<Limit> {
    vec![
        limit(
            "ranges of a request",
            range::RANGES_MAX.to_string(),
            None,
            "200 with the whole",
        ),
        limit(
            "entries of a listing",
            format!(
                "{} shown, {} looked at",
                listing::ENTRIES_MAX,
                load::NAMES_MAX
            ),
            None,
            "a listing that says it is cut",
        ),
        limit(
            "bytes of a file held in memory",
            bytes(load::MEMORY_FILE_BYTES_MAX),
            Some("--memory-file"),
            "nothing: a larger one is read while it is sent",
        ),
        limit(
            "bytes of all files held in memory",
            bytes(load::MEMORY_BYTES_MAX),
            Some("--memory"),
            "nothing: what was used least lately is read again",
        ),
    ]
}

fn channels() -> Vec<Limit> {
    vec![
        limit(
            "bytes of an event, with a token and without",
            format!(
                "{}, {}",
                bytes(ChannelOptions::default().event_bytes_max as u64),
                bytes(publish::UNSIGNED_BYTES_MAX as u64)
            ),
            None,
            "413",
        ),
        limit(
            "channels heard at once by a client",
            format!(
                "{}, of which {} by a pattern",
                subscribe::SELECTORS_MAX,
                subscribe::PATTERNS_MAX
            ),
            None,
            "400; over a WebSocket, an error",
        ),
        limit(
            "events that gather for a subscriber (--channel-slow PREFIX=close)",
            BEHIND_MAX.to_string(),
            None,
            "the end of its stream, and the cursor to go on from",
        ),
        limit(
            "a message over a WebSocket",
            bytes(web_socket::MESSAGE_BYTES_MAX as u64),
            None,
            "closed, as too big",
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
            time(connection::PREFACE_WAIT_MAX),
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
            time(connection::STALL_MAX),
            None,
            "closed",
        ),
        limit(
            "taking nothing of an answer over HTTP/1.1",
            time(http1::STALL_MAX),
            None,
            "closed",
        ),
        limit(
            "the end of a request's body",
            format!(
                "{} if it is wanted ({} over HTTP/1.1), {} if not",
                time(http2::WANTED_WAIT_MAX),
                time(http1::BODY_WAIT_MAX),
                time(http2::UNWANTED_WAIT_MAX)
            ),
            None,
            "an answer all the same",
        ),
        limit(
            "what has begun, once the server is told to stop",
            format!(
                "{}; a TLS handshake {}",
                time(DRAIN_MAX),
                time(runtime::HANDSHAKE_DRAIN_MAX)
            ),
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
            "closed, if it holds more than its share; what it sends to be published: 503",
        ),
        limit(
            "the share of a connection, where all hold too much",
            format!(
                "all by their number, and {} at least",
                bytes(limits::BUFFERED_LEAST)
            ),
            None,
            "closed above it",
        ),
        limit(
            "bytes of a body at each step of HTTP/1.1",
            format!(
                "{}; {} where all hold half of what they may",
                bytes(limits::PIECE_LENGTH_MAX as u64),
                bytes(limits::PIECE_LENGTH_MIN as u64)
            ),
            None,
            "nothing: the rest waits",
        ),
    ]
}

fn credentials() -> Vec<Limit> {
    vec![
        limit(
            "bytes of a request's credentials, encoded",
            bytes(authorization::CREDENTIALS_BYTES_MAX as u64),
            None,
            "401",
        ),
        limit(
            "credentials that wait to be verified",
            format!(
                "{}, {} of one address",
                sign_in::WAITING_MAX,
                sign_in::WAITING_OF_ADDRESS_MAX
            ),
            None,
            "503 with Retry-After",
        ),
        limit(
            "a turn at being verified; an address has one at a time",
            time(sign_in::WAIT_MAX),
            None,
            "503 with Retry-After",
        ),
        limit(
            "users (--auth)",
            authorization::USERS_MAX.to_string(),
            None,
            "nothing: the server does not start",
        ),
        limit(
            "what a password's hash takes to verify",
            format!(
                "{} and {} passes (argon2), a cost of {} (bcrypt)",
                bytes(u64::from(authorization::MEMORY_KIB_MAX) << 10),
                authorization::PASSES_MAX,
                authorization::COST_MAX
            ),
            None,
            "nothing: the server does not start",
        ),
    ]
}

fn others() -> Vec<Limit> {
    let both = [
        ("without TLS (--http-port)", plaintext::BOUNDS),
        ("of operators (--admin)", admin::BOUNDS),
    ];
    both.into_iter()
        .flat_map(|(whose, bounds)| small(whose, bounds))
        .collect()
}

fn small(whose: &str, bounds: Bounds) -> [Limit; 3] {
    [
        limit(
            format!("connections {whose}"),
            format!(
                "{}, {} of one address",
                bounds.connections, bounds.connections_per_address
            ),
            None,
            "it waits until one ends; closed, if its address has too many",
        ),
        limit(
            format!("bytes of a header {whose}"),
            bytes(bounds.header_bytes as u64),
            None,
            "431",
        ),
        limit(
            format!("a connection {whose}"),
            time(bounds.time),
            None,
            "closed",
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
            limit.name.into_owned(),
            limit.default,
            flag,
            limit.peer_sees.to_owned(),
        ]);
    }
    format!("{table}\n")
}

/// Returns the same for help, whose lines are folded: a line for each limit.
pub fn help() -> String {
    let mut help = "Limits, with their defaults, and what who exceeds them sees:\n".to_owned();
    for limit in all() {
        let flag = limit.flag.map(|flag| format!(" ({flag})"));
        let flag = flag.unwrap_or_default();
        // Writing to a string does not fail.
        let _ = writeln!(
            help,
            "  {}: {}{flag}; {}",
            limit.name, limit.default, limit.peer_sees
        );
    }
    help
}

fn bytes(count: u64) -> String {
    match count {
        count if count.is_multiple_of(1 << 20) => format!("{} MiB", count >> 20),
        count if count.is_multiple_of(1 << 10) => format!("{} KiB", count >> 10),
        count => format!("{count} bytes"),
    }
}

fn time(duration: Duration) -> String {
    format!("{} s", duration.as_secs())
}

#[cfg(test)]
mod tests {
    /// Where the limits stand that a peer may meet.
    const SOURCES: [(&str, &str); 15] = [
        ("http1", include_str!("../http1.rs")),
        ("connection", include_str!("../http2/connection.rs")),
        ("http2", include_str!("../http2/receive.rs")),
        ("sign_in", include_str!("../door/sign_in.rs")),
        ("limits", include_str!("../door/limits.rs")),
        ("body", include_str!("../door/body.rs")),
        ("authorization", include_str!("../answer/authorization.rs")),
        ("range", include_str!("../answer/range.rs")),
        ("live", include_str!("../answer/live.rs")),
        ("runtime", include_str!("runtime.rs")),
        ("plaintext", include_str!("plaintext.rs")),
        ("admin", include_str!("admin.rs")),
        ("listing", include_str!("../site/listing.rs")),
        ("load", include_str!("../site/load/list.rs")),
        ("url_path", include_str!("../site/url_path.rs")),
    ];

    /// What no peer can tell: how much is kept of what costs nothing to find again, and the size of
    /// steps.
    const UNSEEN: [&str; 9] = [
        "authorization::ADMITTED_MAX",
        "runtime::HAND_OVER_MAX",
        "runtime::UNSENT_MAX",
        "live::TEXT_LENGTH_MAX",
        "live::PLACE_LENGTH_MAX",
        "connection::BATCH_SMALL",
        "connection::WINDOW_MAX",
        "load::LISTINGS_MAX",
        "load::LISTINGS_BYTES_MAX",
    ];

    fn table_source() -> &'static str {
        let whole = include_str!("limits.rs");
        whole.split("#[cfg(test)]").next().unwrap_or_default()
    }

    #[test]
    fn each_limit_is_in_the_table() {
        let mut found = 0;
        for (module, source) in SOURCES {
            let names = source.lines().filter_map(|line| {
                let (before, rest) = line.split_once("const ")?;
                let is_item = ["", "pub ", "pub(super) ", "pub(crate) "].contains(&before);
                is_item.then(|| rest.split(':').next().unwrap_or_default())
            });
            for name in names.filter(|name| name.ends_with("_MAX") || *name == "BOUNDS") {
                let path = format!("{module}::{name}");
                found += 1;
                assert!(
                    table_source().contains(&path) || UNSEEN.contains(&path.as_str()),
                    "{path} is a limit that `forerun limits` does not tell"
                );
            }
        }
        assert!(found > 25, "only {found} limits were found");
    }

    /// A number that is written here would go on being told when the limit has changed.
    #[test]
    fn no_number_is_written_twice() {
        let code = table_source()
            .lines()
            .filter(|line| !line.trim().starts_with("//"));
        for line in code {
            let words = line.split(|letter: char| !letter.is_ascii_alphanumeric());
            for word in words.filter(|word| word.starts_with(|c: char| c.is_ascii_digit())) {
                let is_status = matches!(word.parse(), Ok(200..=599_u16));
                // Shifts, and HTTP's versions.
                let is_unit = ["1", "2", "3", "10", "20"].contains(&word);
                assert!(is_status || is_unit, "{line}");
            }
        }
    }
}
