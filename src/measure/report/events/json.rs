//! Events for programs: everything, with units in the names.
//!
//! ```text
//! { headline, waiting, poll_every_ms, wait_ms, events, data_bytes, busy_ms, idle_ms,
//!   links: [ one for each link
//!     { name, round_trip_ms, down_bits_per_second,
//!       ways: [ "polling" | "long polling" | "SSE" | "WebSocket"
//!         { way, delay_ms: { median, p95, mean, least, most, all: [in the order of the events] },
//!           opening, busy, idle: in all: until it listens, until the last event, after that
//!             { requests, bytes_down, bytes_up },
//!           per_event, per_idle_minute: { requests, bytes_down, bytes_up } } ] } ] }
//! ```

use std::io;

use serde::Serialize;

use crate::measure::events::found::Share;
use crate::measure::events::{Cost, EventCell, EventFindings, Heard};
use crate::measure::report::words::milliseconds;

use super::sentence;

#[derive(Serialize)]
struct Document<'a> {
    headline: String,
    waiting: String,
    poll_every_ms: f64,
    wait_ms: f64,
    events: usize,
    data_bytes: usize,
    busy_ms: f64,
    idle_ms: f64,
    links: Vec<LinkDocument<'a>>,
}

#[derive(Serialize)]
struct LinkDocument<'a> {
    name: &'a str,
    round_trip_ms: f64,
    down_bits_per_second: Option<u64>,
    ways: Vec<WayDocument>,
}

#[derive(Serialize)]
struct WayDocument {
    way: &'static str,
    delay_ms: Delays,
    opening: Sent<u64>,
    busy: Sent<u64>,
    idle: Sent<u64>,
    per_event: Sent<f64>,
    per_idle_minute: Sent<f64>,
}

#[derive(Serialize)]
struct Delays {
    median: f64,
    p95: f64,
    mean: f64,
    least: f64,
    most: f64,
    all: Vec<f64>,
}

#[derive(Serialize)]
struct Sent<T> {
    requests: T,
    bytes_down: T,
    bytes_up: T,
}

/// Writes findings for programs; the module says in which shape.
///
/// # Errors
///
/// Whatever writing fails with.
pub fn write_json(out: &mut impl io::Write, found: &EventFindings) -> io::Result<()> {
    let document = Document {
        headline: sentence::headline(found),
        waiting: sentence::waiting(found),
        poll_every_ms: milliseconds(found.poll_every),
        wait_ms: milliseconds(found.wait),
        events: found.events,
        data_bytes: found.data_bytes,
        busy_ms: milliseconds(found.busy),
        idle_ms: milliseconds(found.idle),
        links: found.cells.iter().map(|cell| link(found, cell)).collect(),
    };
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

fn link<'a>(found: &EventFindings, cell: &'a EventCell) -> LinkDocument<'a> {
    LinkDocument {
        name: &cell.link.name,
        round_trip_ms: milliseconds(cell.link.round_trip),
        down_bits_per_second: cell.link.down,
        ways: cell.ways.iter().map(|heard| way(found, heard)).collect(),
    }
}

fn way(found: &EventFindings, heard: &Heard) -> WayDocument {
    WayDocument {
        way: heard.way.name(),
        delay_ms: Delays {
            median: heard.delay_ms(50.0),
            p95: heard.delay_ms(95.0),
            mean: heard.mean_ms(),
            least: heard.delay_ms(0.0),
            most: heard.delay_ms(100.0),
            all: heard.delays.iter().copied().map(milliseconds).collect(),
        },
        opening: heard.opening.into(),
        busy: heard.busy.into(),
        idle: heard.idle.into(),
        per_event: heard.per_event().into(),
        per_idle_minute: found.per_idle_minute(heard).into(),
    }
}

impl From<Cost> for Sent<u64> {
    fn from(cost: Cost) -> Self {
        Self {
            requests: cost.requests,
            bytes_down: cost.down,
            bytes_up: cost.up,
        }
    }
}

impl From<Share> for Sent<f64> {
    fn from(share: Share) -> Self {
        Self {
            requests: share.requests,
            bytes_down: share.down,
            bytes_up: share.up,
        }
    }
}
