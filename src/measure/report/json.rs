//! Findings for programs: everything, with units in the names.
//!
//! The document, in this order (`_ms` are milliseconds, `_percent` parts of a hundred of the first
//! render of `none`; a positive gain is earlier; what is not known is `null`):
//!
//! ```text
//! { subject, client, simulated, think_ms, client_delay_ms, interrupted, notes: [text], headline,
//!   spreads: [ one for each link and delivery, over the pages of a site on their first visit
//!     { link, delivery, pages, p10_percent, median_percent, p90_percent, earlier_pages,
//!       later_pages, best: { page, percent }, worst: { page, percent } } ],
//!   cells: [ one for each page, visit and link
//!     { page, visit: "first" | "repeat" | "changed",
//!       link: { name, round_trip_ms, down_bits_per_second },
//!       bound_ms       first render of the fastest plan that the formulas allow
//!       control        none against none, as a gain
//!       deliveries: [ `none` first
//!         { delivery,
//!           first_byte_ms, first_render_ms, largest_content_ms, speed_index_modelled_ms, load_ms:
//!             { runs, p50, p90 },
//!           bytes, bytes_pushed, bytes_wasted, requests, requests_saved,
//!           first_render_gain, load_gain: { pairs, difference_ms, low_ms, high_ms,
//!             difference_percent, verdict: "faster" | "slower" | "no difference" | "too noisy" },
//!           timeline: the median load
//!             { url, failure, left_out_other_origins, connected_ms, first_byte_ms,
//!               first_render_ms, largest_content_ms, load_ms, speed_index_modelled_ms,
//!               exchanges: [ { url, kind, way, initiator, blocks_render, status, content_type,
//!                 bytes, needed_ms, promised_ms, asked_ms, first_byte_ms, last_byte_ms, end,
//!                 failure, pieces_ms_bytes: [[at, bytes]] } ],
//!               arrivals_ms_bytes: [[at, bytes until then]],
//!               progress_ms_fraction: [[at, drawn from then on]] } } ] } ] }
//! ```

use std::io;
use std::time::Duration;

use serde::Serialize;

use crate::measure::findings::{Cell, Findings, Row, Visit};
use crate::measure::sample::{Comparison, Summary, Verdict};
use crate::measure::timeline::{End, Exchange, Kind, Metric, Timeline, Way};

use super::effect::{self, Spread};
use super::sentence;
use super::words::milliseconds;

/// Writes findings for programs; the module says in which shape.
///
/// # Errors
///
/// Whatever writing fails with.
pub fn write_json(out: &mut impl io::Write, findings: &Findings) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, &document(findings))?;
    writeln!(out)
}

#[derive(Serialize)]
struct Document<'a> {
    subject: &'a str,
    client: &'a str,
    simulated: bool,
    think_ms: f64,
    client_delay_ms: f64,
    interrupted: bool,
    notes: &'a [String],
    headline: String,
    spreads: Vec<SpreadDocument<'a>>,
    cells: Vec<CellDocument<'a>>,
}

#[derive(Serialize)]
struct SpreadDocument<'a> {
    link: &'a str,
    delivery: &'a str,
    pages: usize,
    p10_percent: f64,
    median_percent: f64,
    p90_percent: f64,
    earlier_pages: usize,
    later_pages: usize,
    best: Option<PageGain<'a>>,
    worst: Option<PageGain<'a>>,
}

#[derive(Serialize)]
struct PageGain<'a> {
    page: &'a str,
    percent: f64,
}

#[derive(Serialize)]
struct CellDocument<'a> {
    page: &'a str,
    visit: &'static str,
    link: LinkDocument<'a>,
    bound_ms: Option<f64>,
    control: Option<Gain>,
    deliveries: Vec<RowDocument<'a>>,
}

#[derive(Serialize)]
struct LinkDocument<'a> {
    name: &'a str,
    round_trip_ms: f64,
    down_bits_per_second: Option<u64>,
}

#[derive(Serialize)]
struct RowDocument<'a> {
    delivery: &'a str,
    first_byte_ms: Distribution,
    first_render_ms: Distribution,
    largest_content_ms: Distribution,
    speed_index_modelled_ms: Distribution,
    load_ms: Distribution,
    bytes: u64,
    bytes_pushed: u64,
    bytes_wasted: u64,
    requests: usize,
    requests_saved: usize,
    first_render_gain: Option<Gain>,
    load_gain: Option<Gain>,
    timeline: TimelineDocument<'a>,
}

#[derive(Serialize)]
struct Distribution {
    runs: usize,
    p50: f64,
    p90: f64,
}

#[derive(Serialize)]
struct Gain {
    pairs: usize,
    difference_ms: f64,
    low_ms: f64,
    high_ms: f64,
    difference_percent: Option<f64>,
    verdict: &'static str,
}

#[derive(Serialize)]
struct TimelineDocument<'a> {
    url: &'a str,
    failure: Option<&'a str>,
    left_out_other_origins: usize,
    connected_ms: f64,
    first_byte_ms: f64,
    first_render_ms: f64,
    largest_content_ms: f64,
    load_ms: f64,
    speed_index_modelled_ms: f64,
    exchanges: Vec<ExchangeDocument<'a>>,
    arrivals_ms_bytes: Vec<(f64, u64)>,
    progress_ms_fraction: Vec<(f64, f64)>,
}

#[derive(Serialize)]
struct ExchangeDocument<'a> {
    url: &'a str,
    kind: &'static str,
    way: &'static str,
    initiator: Option<usize>,
    blocks_render: bool,
    status: u16,
    content_type: &'a str,
    bytes: u64,
    needed_ms: Option<f64>,
    promised_ms: Option<f64>,
    asked_ms: Option<f64>,
    first_byte_ms: Option<f64>,
    last_byte_ms: Option<f64>,
    end: &'static str,
    failure: Option<&'a str>,
    pieces_ms_bytes: Vec<(f64, u32)>,
}

fn document(findings: &Findings) -> Document<'_> {
    let visit = effect::first_visit(findings);
    let spreads = visit.map_or_else(Vec::new, |visit| effect::spreads(findings, visit));
    Document {
        subject: &findings.subject,
        client: &findings.client,
        simulated: findings.simulated,
        think_ms: milliseconds(findings.think),
        client_delay_ms: milliseconds(findings.client_delay),
        interrupted: findings.interrupted,
        notes: &findings.notes,
        headline: sentence::headline(findings),
        spreads: spreads.iter().map(spread).collect(),
        cells: findings.cells.iter().map(cell).collect(),
    }
}

fn spread<'a>(spread: &Spread<'a>) -> SpreadDocument<'a> {
    let page = |place: Option<&(&'a str, effect::Effect)>| {
        place.map(|&(page, effect)| PageGain {
            page,
            percent: effect.percent,
        })
    };
    SpreadDocument {
        link: &spread.link.name,
        delivery: spread.delivery,
        pages: spread.effects.len(),
        p10_percent: spread.quantile(0.1),
        median_percent: spread.quantile(0.5),
        p90_percent: spread.quantile(0.9),
        earlier_pages: spread.with(Verdict::Faster),
        later_pages: spread.with(Verdict::Slower),
        best: page(spread.effects.last()),
        worst: page(spread.effects.first()),
    }
}

fn cell(cell: &Cell) -> CellDocument<'_> {
    let median = |metric| effect::baseline(cell).map(|row| row.median(metric));
    let render = median(Metric::FirstRender);
    let load = median(Metric::Load);
    CellDocument {
        page: &cell.page,
        visit: match cell.visit {
            Visit::First => "first",
            Visit::Repeat => "repeat",
            Visit::Changed => "changed",
        },
        link: LinkDocument {
            name: &cell.link.name,
            round_trip_ms: milliseconds(cell.link.round_trip),
            down_bits_per_second: cell.link.down,
        },
        bound_ms: cell.bound.map(milliseconds),
        control: cell.control.as_ref().map(|control| gain(control, render)),
        deliveries: cell.rows.iter().map(|r| row(r, render, load)).collect(),
    }
}

fn row(row: &Row, render: Option<f64>, load: Option<f64>) -> RowDocument<'_> {
    let [
        first_byte,
        first_render,
        largest_content,
        speed_index,
        loaded,
    ] = &row.metrics;
    RowDocument {
        delivery: &row.delivery,
        first_byte_ms: distribution(first_byte),
        first_render_ms: distribution(first_render),
        largest_content_ms: distribution(largest_content),
        speed_index_modelled_ms: distribution(speed_index),
        load_ms: distribution(loaded),
        bytes: row.totals.bytes,
        bytes_pushed: row.totals.bytes_pushed,
        bytes_wasted: row.totals.bytes_wasted,
        requests: row.totals.requests,
        requests_saved: row.totals.requests_saved,
        first_render_gain: row.gain.as_ref().map(|g| gain(g, render)),
        load_gain: row.load_gain.as_ref().map(|g| gain(g, load)),
        timeline: timeline(&row.timeline),
    }
}

fn distribution(summary: &Summary) -> Distribution {
    Distribution {
        runs: summary.count,
        p50: summary.p50,
        p90: summary.p90,
    }
}

fn gain(comparison: &Comparison, without_ms: Option<f64>) -> Gain {
    Gain {
        pairs: comparison.pairs,
        difference_ms: comparison.difference,
        low_ms: comparison.low,
        high_ms: comparison.high,
        difference_percent: without_ms
            .filter(|without| *without > 0.0)
            .map(|without| comparison.difference / without * 100.0),
        verdict: match comparison.verdict {
            Verdict::Faster => "faster",
            Verdict::Slower => "slower",
            Verdict::NoDifference => "no difference",
            Verdict::TooNoisy => "too noisy",
        },
    }
}

fn timeline(timeline: &Timeline) -> TimelineDocument<'_> {
    let marks = &timeline.marks;
    let moments = timeline.arrivals.iter();
    let drawn = timeline.progress.iter();
    TimelineDocument {
        url: &timeline.url,
        failure: timeline.failure.as_deref(),
        left_out_other_origins: timeline.left_out,
        connected_ms: milliseconds(marks.connected),
        first_byte_ms: milliseconds(marks.first_byte),
        first_render_ms: milliseconds(marks.first_render),
        largest_content_ms: milliseconds(marks.largest_content),
        load_ms: milliseconds(marks.load),
        speed_index_modelled_ms: milliseconds(marks.speed_index),
        exchanges: timeline.exchanges.iter().map(exchange).collect(),
        arrivals_ms_bytes: moments.map(|&(at, b)| (milliseconds(at), b)).collect(),
        progress_ms_fraction: drawn.map(|&(at, f)| (milliseconds(at), f)).collect(),
    }
}

fn exchange(exchange: &Exchange) -> ExchangeDocument<'_> {
    let at = |moment: Option<Duration>| moment.map(milliseconds);
    let pieces = exchange.pieces.iter();
    ExchangeDocument {
        url: &exchange.url,
        kind: kind(exchange.kind),
        way: way(exchange.way),
        initiator: exchange.initiator,
        blocks_render: exchange.blocks_render,
        status: exchange.status,
        content_type: &exchange.content_type,
        bytes: exchange.bytes,
        needed_ms: at(exchange.needed),
        promised_ms: at(exchange.promised),
        asked_ms: at(exchange.asked),
        first_byte_ms: at(exchange.first_byte),
        last_byte_ms: at(exchange.last_byte),
        end: end(&exchange.end),
        failure: match &exchange.end {
            End::Failed(reason) => Some(reason),
            End::Whole | End::Open | End::Cancelled => None,
        },
        pieces_ms_bytes: pieces.map(|&(at, b)| (milliseconds(at), b)).collect(),
    }
}

/// Names what a resource is for, in one word.
pub(super) fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Document => "document",
        Kind::Style => "style",
        Kind::Script => "script",
        Kind::Module => "module",
        Kind::Font => "font",
        Kind::Image => "image",
        Kind::Media => "media",
        Kind::Other => "other",
    }
}

/// Names how the bytes of a resource came, in one word.
pub(super) fn way(way: Way) -> &'static str {
    match way {
        Way::Asked => "asked",
        Way::Hinted => "hinted",
        Way::Pushed => "pushed",
        Way::Cached => "cached",
        Way::Validated => "validated",
    }
}

/// Names how an exchange ended, in one word.
pub(super) fn end(end: &End) -> &'static str {
    match end {
        End::Whole => "whole",
        End::Open => "open",
        End::Cancelled => "cancelled",
        End::Failed(_) => "failed",
    }
}
