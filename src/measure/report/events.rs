//! What was found of events, in words and pictures: a sentence, a table, JSON, SVG, a page.
//!
//! Pure, like the rest of the report. Read on in [`sentence`], [`table`] and `picture`.

mod html;
mod json;
mod picture;
mod sentence;
mod table;
#[cfg(test)]
mod tests;

pub use html::html;
pub use json::write_json;
pub use picture::picture;
pub use sentence::headline;
pub use table::write_table;

use std::time::Duration;

use crate::measure::events::EventFindings;
use crate::measure::events::found::Share;

use super::words::{count, milliseconds, real};

/// Says how was measured.
fn facts(found: &EventFindings) -> [String; 4] {
    [
        format!("{} events of {} B", count(found.events), found.data_bytes),
        format!("over {}", minutes(found.busy)),
        format!("then {} of nothing", minutes(found.idle)),
        "simulated links".to_owned(),
    ]
}

/// Says what the numbers are.
fn legend(found: &EventFindings) -> String {
    format!(
        "delay: milliseconds from published to arrived, and in round trips; bytes with TLS, \
         without the headers of TCP and IP; polling: every {}; long polling: waits {}; an event's \
         part holds what is sent between events",
        seconds(found.poll_every),
        seconds(found.wait)
    )
}

/// Writes a time in seconds: `5 s`, `0.25 s`.
fn seconds(time: Duration) -> String {
    let text = format!("{:.3}", time.as_secs_f64());
    format!("{} s", text.trim_end_matches('0').trim_end_matches('.'))
}

/// Writes a time of whole minutes.
fn minutes(time: Duration) -> String {
    match milliseconds(time) / 60_000.0 {
        60.0 => "an hour".to_owned(),
        1.0 => "a minute".to_owned(),
        minutes => format!("{minutes:.0} minutes"),
    }
}

/// Writes requests: `12`, `0.6`; nothing for none.
fn requests(value: f64) -> String {
    match value {
        ..0.05 => String::new(),
        ..9.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// Writes what something costs in all: `12 requests, 1.8 kB`, `168 B`.
fn share(share: &Share) -> String {
    let bytes = bytes(share.down + share.up);
    match requests(share.requests).trim_end_matches(".0") {
        "" => bytes,
        "1" => format!("1 request, {bytes}"),
        some => format!("{some} requests, {bytes}"),
    }
}

/// Writes bytes that may be a fraction.
fn bytes(value: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "bytes of a few minutes, and rounded"
    )]
    let whole = value.round().clamp(0.0, real(u64::MAX >> 11)) as u64;
    super::words::bytes(whole)
}

/// Returns a delay in round trips; `None` where these take no time.
fn round_trips(delay_ms: f64, round_trip: Duration) -> Option<String> {
    let round_trip = milliseconds(round_trip);
    let trips = delay_ms / round_trip;
    // Numbers are written as milliseconds are.
    (round_trip > 0.0).then(|| super::words::ms(trips))
}
