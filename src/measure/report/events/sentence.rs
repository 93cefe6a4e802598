//! What the numbers say of events, in one sentence.

use crate::measure::events::{EventCell, EventFindings, Heard, Way};
use crate::measure::report::words::{milliseconds, ms};

use super::{seconds, share};

/// Says how fast each way is.
pub fn headline(found: &EventFindings) -> String {
    if found.cells.is_empty() {
        return "nothing was measured".to_owned();
    }
    let told = [Way::LongPoll, Way::EventStream, Way::WebSocket];
    let fast: Vec<_> = told.map(|way| (way, trips(&found.cells, way))).into();
    let mut groups: Vec<(Vec<&str>, &String)> = Vec::new();
    for (way, trips) in &fast {
        match groups.iter_mut().find(|(_, known)| *known == trips) {
            Some((names, _)) => names.push(way.name()),
            None => groups.push((vec![way.name()], trips)),
        }
    }
    let fast: Vec<_> = groups
        .iter()
        .map(|(names, trips)| format!("{} in {trips}", list(names)))
        .collect();
    let middle = range(&found.cells, |cell| {
        heard(cell, Way::Poll).map(|poll| poll.delay_ms(50.0) / 1000.0)
    });
    format!(
        "half of all events arrive by {}; by polling every {} in {middle} s",
        fast.join(", by "),
        seconds(found.poll_every)
    )
}

/// Says what it costs to wait, on the first link: a link changes that by a few bytes.
pub(super) fn waiting(found: &EventFindings) -> String {
    let ways = found.cells.iter().take(1).flat_map(|cell| &cell.ways);
    let costs: Vec<_> = ways.map(|heard| idle_words(found, heard)).collect();
    format!("an idle minute costs {}", costs.join("; "))
}

/// Says what a minute costs in which nothing happens: `polling: 12 requests, 1.8 kB`.
fn idle_words(found: &EventFindings, heard: &Heard) -> String {
    let idle = found.per_idle_minute(heard);
    format!("{}: {}", heard.way.name(), share(&idle))
}

/// Says how long the middle event takes by a way, in round trips, or in milliseconds where a link
/// has no length.
fn trips(cells: &[EventCell], way: Way) -> String {
    let has_length = cells.iter().all(|cell| !cell.link.round_trip.is_zero());
    let delay = |cell: &EventCell| heard(cell, way).map(|heard| heard.delay_ms(50.0));
    if has_length {
        let trips = range(cells, |cell| {
            delay(cell).map(|delay| delay / milliseconds(cell.link.round_trip))
        });
        format!("{trips} round trips")
    } else {
        format!("{} ms", range(cells, delay))
    }
}

/// Writes the least and the most of a number over all links; one, where they read the same.
fn range(cells: &[EventCell], number: impl Fn(&EventCell) -> Option<f64>) -> String {
    let mut numbers: Vec<_> = cells.iter().filter_map(number).collect();
    numbers.sort_by(f64::total_cmp);
    let (Some(&least), Some(&most)) = (numbers.first(), numbers.last()) else {
        return String::new();
    };
    let (least, most) = (ms(least), ms(most));
    if least == most {
        least
    } else {
        format!("{least} to {most}")
    }
}

fn heard(cell: &EventCell, way: Way) -> Option<&Heard> {
    cell.ways.iter().find(|heard| heard.way == way)
}

/// Joins names: `SSE`, `long polling, SSE and WebSocket`.
fn list(names: &[&str]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} and {last}", first.join(", ")),
        names => names.concat(),
    }
}
