//! The link of a load: when it was idle, and how much of each round trip was used.

use crate::measure::findings::{Cell, LinkFacts, Row};
use crate::measure::report::svg::{Axis, Bars, number, stretched};
use crate::measure::report::words::{bytes, milliseconds, percent, real};
use crate::measure::timeline::Timeline;

use super::{GAP, Lanes, Name};

/// Height of the bars of one load.
const HEIGHT: f64 = 40.0;
/// Slots of one picture; of a longer load each slot is several round trips.
const SLOTS_MAX: f64 = 80.0;
/// What the first flight carries at most: ten segments of 1,460 bytes (RFC 6928 section 2).
const FIRST_FLIGHT: f64 = 14_600.0;
/// Silence shorter than this part of a round trip is not idleness, but rounding.
const IDLE_ROUND_TRIPS_MIN: f64 = 0.02;

/// Returns how long bytes are on a link, in milliseconds; no time where its rate is not known.
pub(super) fn on_link_ms(bytes: u64, link: &LinkFacts) -> f64 {
    match link.down {
        Some(down) if down > 0 => real(bytes) * 8_000.0 / real(down),
        _ => 0.0,
    }
}

/// Returns when nothing arrived until the load, in milliseconds; `None` where the rate of the
/// link is not known.
pub(super) fn idle(timeline: &Timeline, link: &LinkFacts) -> Option<Vec<(f64, f64)>> {
    link.down.filter(|down| *down > 0)?;
    let until = milliseconds(timeline.marks.load);
    let least = milliseconds(link.round_trip) * IDLE_ROUND_TRIPS_MIN;
    let mut spans = Vec::new();
    let mut quiet_since = 0.0_f64;
    for (begin, end, _) in bursts(timeline, link) {
        if begin - quiet_since > least && quiet_since < until {
            spans.push((quiet_since, begin.min(until)));
        }
        quiet_since = quiet_since.max(end);
    }
    if until - quiet_since > least {
        spans.push((quiet_since, until));
    }
    Some(spans)
}

/// Returns what arrived as begin, end and bytes: a link of known rate was busy with it just before.
fn bursts(timeline: &Timeline, link: &LinkFacts) -> impl Iterator<Item = (f64, f64, u64)> {
    let mut before = (0.0_f64, 0);
    timeline.arrivals.iter().map(move |&(moment, until_then)| {
        let arrived = until_then.saturating_sub(before.1);
        let end = milliseconds(moment);
        // The link carries one byte at a time, so it began this when it had ended the last.
        let begin = (end - on_link_ms(arrived, link)).max(before.0).min(end);
        before = (end, until_then);
        (begin, end, arrived)
    })
}

/// Bytes of a load, slot by slot.
struct Slots {
    /// A round trip or several, in milliseconds.
    length: f64,
    round_trips: f64,
    bytes: Vec<f64>,
    /// What the link carries in a slot, if its rate is known.
    capacity: Option<f64>,
}

impl Slots {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index of at most SLOTS_MAX slots"
    )]
    fn of(timeline: &Timeline, link: &LinkFacts, end: f64) -> Self {
        let round_trip = milliseconds(link.round_trip).max(0.1);
        let round_trips = (end / round_trip / SLOTS_MAX).ceil().max(1.0);
        let length = round_trip * round_trips;
        let slots = (end / length).ceil().max(1.0) as usize;
        let mut bytes = vec![0.0; slots];
        for (begin, burst_end, arrived) in bursts(timeline, link) {
            let first = (begin / length) as usize;
            let last = (burst_end / length) as usize;
            for (slot, filled) in bytes.iter_mut().enumerate().take(last + 1).skip(first) {
                let start = real(slot) * length;
                let within = burst_end.min(start + length) - begin.max(start);
                let part = if burst_end > begin {
                    within / (burst_end - begin)
                } else {
                    1.0
                };
                *filled += real(arrived) * part.clamp(0.0, 1.0);
            }
        }
        let capacity = link.down.map(|down| real(down) / 8_000.0 * length);
        Self {
            length,
            round_trips,
            bytes,
            capacity,
        }
    }

    /// Returns what slow start lets arrive in each slot at most: the first flight, and a byte more
    /// for each that was acknowledged (RFC 5681 section 3.1). `None` where slots are not round
    /// trips, or where more arrived, so that the connection began otherwise.
    fn slow_start(&self) -> Option<Vec<f64>> {
        if self.round_trips > 1.0 {
            return None;
        }
        let mut until_then = 0.0;
        let mut allowed = Vec::new();
        for bytes in &self.bytes {
            let window: f64 = FIRST_FLIGHT + until_then;
            // Frames of the link may count what segments do not.
            if *bytes > window * 1.1 {
                return None;
            }
            allowed.push(window.min(self.capacity.unwrap_or(f64::MAX)));
            until_then += bytes;
        }
        Some(allowed)
    }
}

/// Draws the slots of a load, and of `none` below it.
pub(super) fn draw(lanes: &mut Lanes, axis: Axis, cell: &Cell, row: &Row, without: Option<&Row>) {
    let end = axis.length(super::super::svg::STRETCH);
    let loads: Vec<(&Row, Slots)> = [Some(row), without]
        .into_iter()
        .flatten()
        .map(|row| (row, Slots::of(&row.timeline, &cell.link, end)))
        .collect();
    let most = loads.iter().flat_map(|(_, slots)| &slots.bytes);
    let most = most.copied().fold(1.0, f64::max);
    for (index, (shown, slots)) in loads.iter().enumerate() {
        if index > 0 {
            lanes.height += GAP / 2.0;
        }
        let top = lanes.height;
        let full = slots.capacity.unwrap_or(most).max(1.0);
        lanes.plot += &stretched(top, HEIGHT, &shapes(axis, slots, full, index == 0));
        // A frame that does not stretch gives the lane its ground.
        put!(
            lanes.plot,
            r#"<line class="ground" x1="0" x2="100%" y1="{0}" y2="{0}"/>"#,
            number(top + HEIGHT)
        );
        names(lanes, cell, shown, slots, top);
        lanes.height += HEIGHT;
    }
}

fn names(lanes: &mut Lanes, cell: &Cell, row: &Row, slots: &Slots, top: f64) {
    let idle = idle(&row.timeline, &cell.link).map(|spans| {
        let sum: f64 = spans.iter().map(|(begin, end)| end - begin).sum();
        let load = milliseconds(row.timeline.marks.load).max(1e-3);
        let idle = format!("idle {}", percent(sum / load * 100.0));
        ("before load: ".to_owned(), idle)
    });
    let per = if slots.round_trips > 1.0 {
        format!("{} round trips: ", slots.round_trips)
    } else {
        "a round trip: ".to_owned()
    };
    let capacity = slots.capacity.map(|capacity| (per, full(capacity)));
    let first = (
        String::new(),
        format!("link, {}", super::plain(&row.delivery)),
    );
    let said = [Some(first), capacity, idle];
    for (index, (before, text)) in said.into_iter().flatten().enumerate() {
        lanes.names.push(Name {
            y: top + 5.0 + 15.0 * real(index),
            before,
            text,
            class: if index == 0 { "lane strong" } else { "lane" },
        });
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of bytes, for words"
)]
fn full(capacity: f64) -> String {
    bytes(capacity.max(0.0) as u64)
}

fn shapes(axis: Axis, slots: &Slots, full: f64, is_shown: bool) -> String {
    let mut boxes = Bars::default();
    let mut filled = Bars::default();
    let gap = (slots.length * 0.08).min(axis.length(2.0));
    let height = |bytes: f64| (bytes / full).min(1.0) * HEIGHT;
    for (index, bytes) in slots.bytes.iter().enumerate() {
        let start = real(index) * slots.length;
        let span = (start + gap / 2.0, start + slots.length - gap / 2.0);
        boxes.add(axis, span, 0.0, HEIGHT);
        if *bytes > 0.0 {
            let height = height(*bytes).max(1.0);
            filled.add(axis, span, HEIGHT - height, height);
        }
    }
    let mut drawn = boxes.path("slot");
    drawn += &filled.path(if is_shown {
        "slot-used"
    } else {
        "slot-used none"
    });
    if let Some(allowed) = slots.slow_start() {
        let binding = allowed.iter().filter(|allowed| **allowed < full * 0.99);
        if binding.count() > 0 {
            let stretch = super::super::svg::STRETCH / 100.0;
            let points = allowed.iter().enumerate().flat_map(|(index, allowed)| {
                let x = |slot: usize| axis.at(real(slot) * slots.length) * stretch;
                let y = HEIGHT - height(*allowed);
                [(x(index), y), (x(index + 1), y)]
            });
            let path = super::super::svg::steps(points);
            put!(drawn, r#"<path class="allowed" d="{path}"/>"#);
        }
    }
    drawn
}
