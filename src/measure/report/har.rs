//! Findings as an HTTP Archive, version 1.2: one log, a page for each cell and delivery, an entry
//! for each exchange.
//!
//! What the format has no name for begins with `_`, as it asks of custom fields. Headers are not
//! recorded, so their lists are empty and their sizes -1 (not known).

use std::io;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::measure::findings::{Cell, Findings, Row};
use crate::measure::timeline::{End, Exchange, Metric, Timeline, Way};

use super::json as words;
use super::words::{milliseconds, plain};

/// Writes findings as an HTTP Archive whose navigations start at `start`; a simulated measurement
/// has no day, so it takes [`SystemTime::UNIX_EPOCH`] to repeat to the byte.
///
/// # Errors
///
/// Whatever writing fails with.
pub fn write_har(
    out: &mut impl io::Write,
    findings: &Findings,
    start: SystemTime,
) -> io::Result<()> {
    let start = OffsetDateTime::from(start);
    let mut pages = Vec::new();
    let mut entries = Vec::new();
    for cell in &findings.cells {
        for row in &cell.rows {
            let id = format!("page_{}", pages.len() + 1);
            pages.push(page(cell, row, &id, start));
            let timeline = &row.timeline;
            let exchanges = timeline.exchanges.iter();
            entries.extend(exchanges.map(|e| entry(timeline, e, &id, start)));
        }
    }
    let document = json!({ "log": {
        "version": "1.2",
        "creator": { "name": "forerun", "version": env!("CARGO_PKG_VERSION") },
        "browser": { "name": findings.client, "version": "" },
        "pages": pages,
        "entries": entries,
        "comment": super::facts(findings).join(", "),
    }});
    serde_json::to_writer_pretty(&mut *out, &document)?;
    writeln!(out)
}

fn page(cell: &Cell, row: &Row, id: &str, start: OffsetDateTime) -> Value {
    let at = |metric: Metric| milliseconds(metric.of(&row.timeline.marks));
    let loaded = row.timeline.failure.is_none();
    json!({
        "id": id,
        "startedDateTime": moment(start, Duration::ZERO),
        "title": format!("{} ({}, {}, {})", cell.page, cell.visit, cell.link.name, row.delivery),
        "pageTimings": {
            "onContentLoad": -1,
            "onLoad": if loaded { at(Metric::Load) } else { -1.0 },
        },
        "_page": cell.page,
        "_visit": cell.visit.to_string(),
        "_link": cell.link.name,
        "_delivery": row.delivery,
        "_first_render_ms": at(Metric::FirstRender),
        "_largest_content_ms": at(Metric::LargestContent),
        "_speed_index_modelled_ms": at(Metric::SpeedIndex),
        "_failure": row.timeline.failure,
    })
}

fn entry(timeline: &Timeline, exchange: &Exchange, page: &str, start: OffsetDateTime) -> Value {
    let timings = Timings::of(exchange);
    let (request_url, _) = exchange.url.split_once('#').unwrap_or((&exchange.url, ""));
    let mut entry = json!({
        "pageref": page,
        "startedDateTime": moment(start, timings.start),
        "time": timings.time(),
        "request": {
            "method": "GET",
            "url": request_url,
            "httpVersion": "HTTP/2.0",
            "cookies": [],
            "headers": [],
            "queryString": query(request_url),
            "headersSize": -1,
            "bodySize": 0,
        },
        "response": {
            "status": exchange.status,
            "statusText": "",
            "httpVersion": "HTTP/2.0",
            "cookies": [],
            "headers": [],
            "content": { "size": exchange.bytes, "mimeType": exchange.content_type },
            "redirectURL": "",
            "headersSize": -1,
            "bodySize": if exchange.way == Way::Cached { 0 } else { exchange.bytes },
        },
        "cache": {},
        "timings": {
            "blocked": timings.blocked,
            "dns": -1,
            "connect": -1,
            "ssl": -1,
            "send": 0,
            "wait": timings.wait,
            "receive": timings.receive,
        },
        "connection": "1",
        "_resourceType": words::kind(exchange.kind),
        "_way": words::way(exchange.way),
        "_was_pushed": u8::from(exchange.way == Way::Pushed),
        "_blocks_render": exchange.blocks_render,
        "_end": words::end(&exchange.end),
        "_promised_ms": exchange.promised.map(milliseconds),
        "_needed_ms": exchange.needed.map(milliseconds),
    });
    if let Some(initiator) = exchange.initiator.and_then(|i| timeline.exchanges.get(i)) {
        entry["_initiator"] = json!({ "type": "parser", "url": initiator.url });
    }
    if let End::Failed(reason) = &exchange.end {
        entry["comment"] = json!(plain(reason));
    }
    entry
}

/// The phases of an exchange, in milliseconds; together they are its time.
struct Timings {
    start: Duration,
    blocked: f64,
    wait: f64,
    receive: f64,
}

impl Timings {
    /// A pushed resource begins with its promise; another when the page needs it.
    fn of(exchange: &Exchange) -> Self {
        let moments = [exchange.promised, exchange.needed, exchange.asked];
        let start = if exchange.way == Way::Pushed {
            exchange.promised.or(exchange.first_byte)
        } else {
            moments.into_iter().flatten().min().or(exchange.first_byte)
        };
        let start = start.unwrap_or_default();
        let asked = exchange.asked.unwrap_or(start).max(start);
        let last = exchange.last_byte.unwrap_or(asked).max(asked);
        let first = exchange.first_byte.unwrap_or(last).clamp(asked, last);
        Self {
            start,
            blocked: milliseconds(asked.saturating_sub(start)),
            wait: milliseconds(first.saturating_sub(asked)),
            receive: milliseconds(last.saturating_sub(first)),
        }
    }

    fn time(&self) -> f64 {
        self.blocked + self.wait + self.receive
    }
}

/// Splits the query of a URL as the format wants it.
fn query(url: &str) -> Vec<Value> {
    let Ok(url) = url::Url::parse(url) else {
        return Vec::new();
    };
    let pairs = url.query_pairs();
    pairs
        .map(|(name, value)| json!({ "name": name, "value": value }))
        .collect()
}

/// Writes a moment as ISO 8601 has it.
fn moment(start: OffsetDateTime, after: Duration) -> String {
    let format =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
    let moment = start.checked_add(after.try_into().unwrap_or_default());
    let text = moment.unwrap_or(start).format(format);
    text.unwrap_or_else(|_| "1970-01-01T00:00:00.000000Z".to_owned())
}
