//! Counts of what the server does, for whoever watches it.
//!
//! Each thread counts in a shard of its own, which nobody else writes: counting is a load and a
//! store, and no two cores ever want the same cache line. Reading adds the shards up. The text
//! format is a few lines of printing, so it is done here: a library would bring its own registry,
//! and atomics that are shared. Knows nothing of connections; the doors say what happened.

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use http::{StatusCode, Version};

/// The statuses that are counted each; others count by the first of their class.
const STATUSES: [u16; 31] = [
    100, 101, 200, 204, 206, 300, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 406, 408,
    412, 413, 415, 416, 421, 426, 429, 431, 500, 501, 503, 507,
];
/// The ways to hear a channel, by the number of [`Heard`].
const HEARD: [&str; 5] = ["poll", "long-poll", "sse", "lines", "websocket"];
const PROTOCOLS: [&str; 2] = ["h2", "http/1.1"];
/// Reasons for which something is not sent ahead that are told apart.
pub const REASONS_MAX: usize = 24;

/// Makes [`Count`] of one table, so that nothing is counted in two places, or under no name.
macro_rules! counts {
    ($($(#[doc = $doc:literal])+ $name:ident = $metric:literal, $help:literal;)+) => {
        /// Something that is counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Count {
            /// An answer to a request, by protocol and status.
            Answered(Version, StatusCode),
            /// Bytes of bodies, given to the transport.
            BodyBytes(Version),
            /// Something was not sent ahead, for the reason of this number.
            Skipped(usize),
            /// Somebody began to hear a channel.
            Subscribed(Heard),
            /// They ended.
            Unsubscribed(Heard),
            $($(#[doc = $doc])+ $name,)+
        }

        /// What is counted by itself, in the order of its places.
        enum Plain { $($name,)+ }

        /// What is counted by itself: its metric, what that says, and its count.
        const PLAIN_COUNTS: &[(&str, &str, Count)] = &[$(($metric, $help, Count::$name),)+];

        impl Count {
            fn place(self) -> usize {
                match self {
                    Self::Answered(version, status) => {
                        ANSWERED + protocol(version) * STATUSES.len() + place_of(status)
                    }
                    Self::BodyBytes(version) => BODY_BYTES + protocol(version),
                    Self::Skipped(reason) => SKIPPED + reason.min(REASONS_MAX - 1),
                    Self::Subscribed(heard) => SUBSCRIBED + heard as usize,
                    Self::Unsubscribed(heard) => UNSUBSCRIBED + heard as usize,
                    $(Self::$name => PLAIN + Plain::$name as usize,)+
                }
            }
        }
    };
}

counts! {
    /// A connection was accepted.
    Opened = "connections_total", "Connections accepted.";
    /// A connection has ended.
    Closed = "connections_closed_total", "Connections that have ended.";
    /// A connection was closed unheard: its address has too many.
    RefusedAddress = "connections_refused_total",
        "Connections closed unheard: their address had too many.";
    /// A connection was closed for what it held while others held too much.
    Overcommitted = "connections_overcommitted_total",
        "Connections closed for what they held while all held too much.";
    /// A request was promised.
    Promised = "promises_total", "Requests promised.";
    /// A promised answer left whole.
    Delivered = "promises_delivered_total",
        "Promised answers given to the transport whole: at most so many were used.";
    /// A promised answer was cut short by the peer.
    Cancelled = "promises_cancelled_total", "Promised answers that the peer cut short.";
    /// A promise was refused unread (RST_STREAM with REFUSED_STREAM).
    Refused = "promises_refused_total",
        "Promises that the peer refused unread, whatever of them was on its way.";
    /// A promise never left, as its page was reset first.
    Lost = "promises_lost_total",
        "Promises that never left, as their page was reset first; cancelled as well.";
    /// A 103 was sent.
    Informed = "informational_total", "Answers of status 103.";
    /// A link was hinted at in `Link`.
    Hinted = "hints_total", "Links hinted at.";
    /// An event was published.
    Published = "events_published_total", "Events published on channels.";
}

/// In which way a channel is heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// What there is, at once.
    Poll,
    /// What there is, or comes within a time.
    LongPoll,
    /// Server-Sent Events.
    EventStream,
    /// Lines, of JSON or of text.
    Lines,
    /// A WebSocket.
    WebSocket,
}

const ANSWERED: usize = 0;
const BODY_BYTES: usize = ANSWERED + PROTOCOLS.len() * STATUSES.len();
const PLAIN: usize = BODY_BYTES + PROTOCOLS.len();
const SKIPPED: usize = PLAIN + PLAIN_COUNTS.len();
const SUBSCRIBED: usize = SKIPPED + REASONS_MAX;
const UNSUBSCRIBED: usize = SUBSCRIBED + HEARD.len();
const COUNTS: usize = UNSUBSCRIBED + HEARD.len();

fn protocol(version: Version) -> usize {
    usize::from(version != Version::HTTP_2)
}

fn place_of(status: StatusCode) -> usize {
    let status = status.as_u16();
    let exact = STATUSES.binary_search(&status);
    exact.unwrap_or_else(|_| {
        let first = STATUSES
            .iter()
            .position(|known| known / 100 == status / 100);
        first.unwrap_or(STATUSES.len() - 1)
    })
}

/// The counts of one thread.
#[derive(Debug)]
struct Shard([AtomicU64; COUNTS]);

/// The counts of a server.
#[derive(Debug, Default)]
pub struct Metrics {
    shards: Arc<Shards>,
}

type Shards = Mutex<Vec<Arc<Shard>>>;

thread_local! {
    /// The shard of this thread, and whose it is.
    static SHARD: RefCell<Option<(Weak<Shards>, Arc<Shard>)>> = const { RefCell::new(None) };
}

impl Metrics {
    /// Counts something once.
    pub fn count(&self, what: Count) {
        self.add(what, 1);
    }

    /// Counts something that comes in numbers.
    pub fn add(&self, what: Count, number: u64) {
        SHARD.with_borrow_mut(|mine| {
            let shard = match mine {
                Some((owner, shard)) if owner.as_ptr() == Arc::as_ptr(&self.shards) => shard,
                _ => {
                    &mut mine
                        .insert((Arc::downgrade(&self.shards), self.new_shard()))
                        .1
                }
            };
            let place = &shard.0[what.place()];
            // Nobody else writes here, so this loses nothing.
            place.store(place.load(Ordering::Relaxed) + number, Ordering::Relaxed);
        });
    }

    fn new_shard(&self) -> Arc<Shard> {
        let shard = Arc::new(Shard(std::array::from_fn(|_| AtomicU64::new(0))));
        self.shards
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Arc::clone(&shard));
        shard
    }

    /// Returns how often something was counted so far.
    pub fn total(&self, what: Count) -> u64 {
        let shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
        let place = what.place();
        shards
            .iter()
            .map(|shard| shard.0[place].load(Ordering::Relaxed))
            .sum()
    }

    /// Returns how many connections are open.
    pub fn open(&self) -> u64 {
        // In this order it may be too low for a moment, and never below nothing.
        let closed = self.total(Count::Closed);
        self.total(Count::Opened).saturating_sub(closed)
    }
}

/// What is told besides counts, as it is now.
#[derive(Debug, Clone, Copy)]
pub struct Gauges<'a> {
    /// Bytes held for peers that have not taken them.
    pub buffered_bytes: u64,
    /// Log lines that were dropped.
    pub lines_dropped: u64,
    /// Names of the reasons, by number.
    pub reasons: &'a [String],
}

/// Returns everything in the text format that Prometheus reads (version 0.0.4).
pub fn text(metrics: &Metrics, gauges: Gauges<'_>) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = write(&mut out, metrics, gauges);
    out
}

fn write(out: &mut String, metrics: &Metrics, gauges: Gauges<'_>) -> fmt::Result {
    head(out, "build_info", "gauge", "The version that runs.")?;
    writeln!(
        out,
        "forerun_build_info{{version=\"{}\"}} 1",
        env!("CARGO_PKG_VERSION")
    )?;
    head(
        out,
        "requests_total",
        "counter",
        "Answers, by protocol and status.",
    )?;
    for (version, name) in versions() {
        for status in STATUSES {
            let status = StatusCode::from_u16(status).map_err(|_| fmt::Error)?;
            let total = metrics.total(Count::Answered(version, status));
            if total > 0 {
                let status = status.as_u16();
                writeln!(
                    out,
                    "forerun_requests_total{{protocol=\"{name}\",status=\"{status}\"}} {total}"
                )?;
            }
        }
    }
    head(
        out,
        "body_bytes_total",
        "counter",
        "Bytes of bodies given to the transport.",
    )?;
    for (version, name) in versions() {
        let total = metrics.total(Count::BodyBytes(version));
        writeln!(
            out,
            "forerun_body_bytes_total{{protocol=\"{name}\"}} {total}"
        )?;
    }
    for &(name, help, what) in PLAIN_COUNTS {
        head(out, name, "counter", help)?;
        writeln!(out, "forerun_{name} {}", metrics.total(what))?;
    }
    head(
        out,
        "skipped_total",
        "counter",
        "What was not sent ahead with a page, by reason.",
    )?;
    for (number, reason) in gauges.reasons.iter().enumerate().take(REASONS_MAX) {
        let total = metrics.total(Count::Skipped(number));
        if total > 0 {
            let reason = escaped(reason);
            writeln!(out, "forerun_skipped_total{{reason=\"{reason}\"}} {total}")?;
        }
    }
    subscribers(out, metrics)?;
    head(
        out,
        "connections_open",
        "gauge",
        "Connections that are open.",
    )?;
    writeln!(out, "forerun_connections_open {}", metrics.open())?;
    head(
        out,
        "buffered_bytes",
        "gauge",
        "Bytes held for peers that have not taken them.",
    )?;
    writeln!(out, "forerun_buffered_bytes {}", gauges.buffered_bytes)?;
    head(
        out,
        "log_lines_dropped_total",
        "counter",
        "Log lines dropped: the reader was slow.",
    )?;
    writeln!(
        out,
        "forerun_log_lines_dropped_total {}",
        gauges.lines_dropped
    )
}

fn subscribers(out: &mut String, metrics: &Metrics) -> fmt::Result {
    head(
        out,
        "subscriptions_total",
        "counter",
        "How often somebody began to hear channels, by way.",
    )?;
    for (heard, way) in ways() {
        let came = metrics.total(Count::Subscribed(heard));
        writeln!(out, "forerun_subscriptions_total{{way=\"{way}\"}} {came}")?;
    }
    head(
        out,
        "subscribers",
        "gauge",
        "Who hears channels now, by way.",
    )?;
    for (heard, way) in ways() {
        // In this order it may be too low for a moment, and never below nothing.
        let gone = metrics.total(Count::Unsubscribed(heard));
        let here = metrics.total(Count::Subscribed(heard)).saturating_sub(gone);
        writeln!(out, "forerun_subscribers{{way=\"{way}\"}} {here}")?;
    }
    Ok(())
}

fn ways() -> impl Iterator<Item = (Heard, &'static str)> {
    let all = [
        Heard::Poll,
        Heard::LongPoll,
        Heard::EventStream,
        Heard::Lines,
        Heard::WebSocket,
    ];
    all.into_iter().zip(HEARD)
}

fn versions() -> [(Version, &'static str); 2] {
    [
        (Version::HTTP_2, PROTOCOLS[0]),
        (Version::HTTP_11, PROTOCOLS[1]),
    ]
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(out, "# HELP forerun_{name} {help}")?;
    writeln!(out, "# TYPE forerun_{name} {kind}")
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_are_added_up_and_servers_are_not() {
        let (one, other) = (Metrics::default(), Metrics::default());
        let what = Count::Answered(Version::HTTP_2, StatusCode::OK);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1_000 {
                        one.count(what);
                        other.add(Count::BodyBytes(Version::HTTP_11), 2);
                    }
                });
            }
        });
        assert_eq!(one.total(what), 4_000);
        assert_eq!(other.total(Count::BodyBytes(Version::HTTP_11)), 8_000);
        assert_eq!(other.total(what), 0);
    }

    #[test]
    fn each_count_has_a_place_of_its_own() {
        let mut all: Vec<_> = PLAIN_COUNTS.iter().map(|&(.., count)| count).collect();
        all.extend(ways().map(|(heard, _)| Count::Subscribed(heard)));
        all.extend(ways().map(|(heard, _)| Count::Unsubscribed(heard)));
        all.extend((0..REASONS_MAX).map(Count::Skipped));
        for (version, _) in versions() {
            all.push(Count::BodyBytes(version));
            let statuses = STATUSES.map(|status| StatusCode::from_u16(status).unwrap());
            all.extend(statuses.map(|status| Count::Answered(version, status)));
        }
        let mut places: Vec<_> = all.iter().map(|count| count.place()).collect();
        places.sort_unstable();
        assert_eq!(places, (0..COUNTS).collect::<Vec<_>>());
    }

    #[test]
    fn a_status_without_a_place_counts_with_its_class() {
        let place = |status| place_of(StatusCode::from_u16(status).unwrap());
        assert_eq!(STATUSES[place(418)], 400);
        assert_eq!(STATUSES[place(226)], 200);
        assert_eq!(STATUSES[place(511)], 500);
    }

    #[test]
    fn the_text_is_what_prometheus_reads() {
        let metrics = Metrics::default();
        metrics.count(Count::Answered(Version::HTTP_2, StatusCode::OK));
        metrics.count(Count::Skipped(1));
        let reasons = ["a".to_owned(), "b \"c\"".to_owned()];
        let gauges = Gauges {
            buffered_bytes: 5,
            lines_dropped: 6,
            reasons: &reasons,
        };
        let text = text(&metrics, gauges);
        let mut described = "";
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                described = rest.split(' ').next().unwrap();
            } else if !line.starts_with('#') {
                let (name, value) = line.rsplit_once(' ').unwrap();
                assert_eq!(name.split('{').next(), Some(described), "{line}");
                assert!(value.parse::<f64>().is_ok(), "{line}");
            }
        }
        assert!(text.contains("forerun_requests_total{protocol=\"h2\",status=\"200\"} 1\n"));
        assert!(
            text.contains("forerun_skipped_total{reason=\"b \\\"c\\\"\"} 1\n"),
            "{text}"
        );
        assert!(text.contains("forerun_buffered_bytes 5\n"));
    }
}
