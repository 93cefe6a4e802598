//! Findings made up by hand, of a plausible shape: a server that sends first what it heard of
//! first, over a link with slow start.

use std::time::Duration;

use crate::measure::findings::{Cell, Findings, LinkFacts, Row, Visit};
use crate::measure::report::words::real;
use crate::measure::sample::{Comparison, Summary, Verdict};
use crate::measure::timeline::{End, Exchange, Kind, Marks, Metric, Timeline, Way};

pub(super) const ORIGIN: &str = "https://site.test";
pub(super) const DELIVERIES: [&str; 5] = ["none", "link", "hints", "push", "push all"];

/// A resource: its path, kind, bytes and the resource that names it.
#[derive(Clone)]
pub(super) struct Resource {
    pub(super) path: String,
    pub(super) kind: Kind,
    pub(super) bytes: u64,
    pub(super) named_by: usize,
}

pub(super) fn link(name: &str, round_trip: u64, down: u64) -> LinkFacts {
    LinkFacts {
        name: name.to_owned(),
        round_trip: Duration::from_millis(round_trip),
        down: Some(down),
    }
}

/// A page of a document, a style sheet that hides a font and an import, scripts, and images.
pub(super) fn resources(html: u64, images: usize) -> Vec<Resource> {
    let named = |path: &str, kind, bytes, named_by| Resource {
        path: path.to_owned(),
        kind,
        bytes,
        named_by,
    };
    let mut all = vec![
        named("/", Kind::Document, html, 0),
        named("/assets/css/main.css", Kind::Style, 14_200, 0),
        named("/assets/css/theme.css", Kind::Style, 6_100, 1),
        named("/assets/js/app.js", Kind::Script, 31_000, 0),
        named("/assets/fonts/text-regular.woff2", Kind::Font, 24_000, 1),
        named("/assets/js/modules/menu.js", Kind::Module, 4_800, 3),
        named("/assets/js/modules/search.js", Kind::Module, 9_300, 5),
    ];
    all.extend((1..=images).map(|index| {
        let path = format!("/images/picture-{index}.webp");
        named(&path, Kind::Image, 9_000 + 2_700 * (index as u64 % 5), 0)
    }));
    all
}

/// Whether a delivery sends a resource ahead.
fn is_ahead(delivery: &str, resource: &Resource) -> bool {
    match delivery {
        "none" => false,
        "push all" => resource.kind != Kind::Document,
        _ => matches!(
            resource.kind,
            Kind::Style | Kind::Script | Kind::Font | Kind::Module
        ),
    }
}

/// One load, as the server of the fixture would answer it.
pub(super) fn timeline(
    page: &str,
    order: &[Resource],
    link: &LinkFacts,
    delivery: &str,
) -> Timeline {
    let round_trip = link.round_trip;
    let mut wire = Wire::new(link);
    let connected = round_trip * 2;
    let think = Duration::from_millis(120);
    let mut exchanges: Vec<Exchange> = Vec::new();
    let takes_pushes = delivery.starts_with("push");
    let mut all = order.to_vec();
    if delivery == "push all" {
        // In the order of their names, as a careless plan has it: what blocks rendering is last.
        all[1..].sort_by_key(|resource| resource.kind != Kind::Image);
    }
    for resource in &all {
        let initiator = (resource.kind != Kind::Document).then_some(resource.named_by);
        let needed = match initiator {
            // The scanner finds what the document names as soon as it is there.
            Some(0) => exchanges[0].pieces[0].0,
            Some(parent) => last_byte_of(&exchanges, &order[parent].path),
            None => connected,
        };
        let ahead = is_ahead(delivery, resource);
        let hinted = ahead && !takes_pushes;
        let asked = match initiator {
            // A hint in the head of the response arrives with its first byte.
            Some(_) if delivery == "hints" => connected + round_trip,
            Some(parent) if hinted && parent != 0 => exchanges[0].pieces[0].0,
            _ => needed,
        };
        let pushed = ahead && takes_pushes;
        let ready = if pushed {
            connected + round_trip / 2
        } else if initiator.is_none() {
            asked + round_trip / 2 + think
        } else {
            asked + round_trip / 2
        };
        let (first_byte, pieces) = wire.send(ready, resource.bytes);
        let promised = exchanges.first().and_then(|document| document.first_byte);
        exchanges.push(Exchange {
            url: format!(
                "{ORIGIN}{}",
                if initiator.is_none() {
                    page
                } else {
                    &resource.path
                }
            ),
            kind: resource.kind,
            initiator,
            blocks_render: matches!(resource.kind, Kind::Style | Kind::Script),
            way: match (pushed, hinted) {
                (true, _) => Way::Pushed,
                (_, true) => Way::Hinted,
                _ => Way::Asked,
            },
            status: 200,
            content_type: "text/plain".to_owned(),
            bytes: resource.bytes,
            needed: Some(needed.max(asked)),
            promised: promised.filter(|_| pushed),
            asked: (!pushed).then_some(asked),
            first_byte: Some(first_byte),
            last_byte: pieces.last().map(|piece| piece.0),
            end: End::Whole,
            pieces,
        });
    }
    if delivery == "push all" {
        wasted(&mut exchanges, &mut wire, connected + round_trip);
    }
    finished(exchanges, wire, connected)
}

fn last_byte_of(exchanges: &[Exchange], path: &str) -> Duration {
    let found = exchanges.iter().find(|e| e.url.ends_with(path));
    found.unwrap().last_byte.unwrap()
}

/// Pushes what no page needs, and what the client cancels.
fn wasted(exchanges: &mut Vec<Exchange>, wire: &mut Wire, promised: Duration) {
    for (path, end) in [("print.css", End::Whole), ("old.css", End::Cancelled)] {
        let (first_byte, pieces) = wire.send(promised, 11_000);
        exchanges.push(Exchange {
            url: format!("{ORIGIN}/assets/css/{path}"),
            kind: Kind::Other,
            initiator: Some(0),
            blocks_render: false,
            way: Way::Pushed,
            status: 200,
            content_type: "text/css".to_owned(),
            bytes: 11_000,
            needed: None,
            promised: Some(promised),
            asked: None,
            first_byte: Some(first_byte),
            last_byte: pieces.last().map(|piece| piece.0),
            end,
            pieces,
        });
    }
}

fn finished(exchanges: Vec<Exchange>, wire: Wire, connected: Duration) -> Timeline {
    let last = |keep: &dyn Fn(&Exchange) -> bool| {
        let kept = exchanges.iter().filter(|exchange| keep(exchange));
        kept.filter_map(|e| e.last_byte).max().unwrap_or_default()
    };
    let first_render = last(&|e| e.blocks_render || e.kind == Kind::Document);
    let hero = last(&|e| e.url.ends_with("picture-1.webp"));
    let load = last(&|e| e.needed.is_some());
    let images: Vec<_> = exchanges
        .iter()
        .filter(|e| e.kind == Kind::Image)
        .filter_map(|e| e.last_byte)
        .collect();
    let mut progress = vec![(first_render, 0.55)];
    for (index, at) in images.iter().enumerate() {
        let part = 0.45 * real(index + 1) / real(images.len());
        progress.push((first_render.max(*at), 0.55 + part));
    }
    let mut index = Duration::ZERO;
    let mut before = (Duration::ZERO, 0.0);
    for &(at, part) in &progress {
        index += at.saturating_sub(before.0).mul_f64(1.0 - before.1);
        before = (at, part);
    }
    Timeline {
        complaint: None,
        url: exchanges[0].url.clone(),
        marks: Marks {
            connected,
            first_byte: exchanges[0].first_byte.unwrap(),
            first_render,
            largest_content: first_render.max(hero),
            load,
            speed_index: index,
        },
        exchanges,
        arrivals: wire.arrivals,
        progress,
        left_out: 0,
        failure: None,
    }
}

/// The server's end of a link: segments leave one after the other, as slow start lets them.
struct Wire {
    half: Duration,
    down: f64,
    free: Duration,
    arrivals: Vec<(Duration, u64)>,
}

impl Wire {
    fn new(link: &LinkFacts) -> Self {
        Self {
            half: link.round_trip / 2,
            down: real(link.down.unwrap()),
            free: Duration::ZERO,
            arrivals: Vec::new(),
        }
    }

    /// Sends a body from a moment on; returns when its first byte and its pieces arrive.
    fn send(&mut self, ready: Duration, bytes: u64) -> (Duration, Vec<(Duration, u32)>) {
        const SEGMENT: u64 = 1_460;
        let mut pieces = Vec::new();
        let mut left = bytes + 120;
        while left > 0 {
            let piece = left.min(SEGMENT);
            let total = self.arrivals.last().map_or(0, |arrival| arrival.1) + piece;
            let acknowledged = total.saturating_sub(10 * SEGMENT) / 2;
            let needed = self
                .arrivals
                .iter()
                .find(|arrival| arrival.1 >= acknowledged);
            let opened = needed.filter(|_| acknowledged > 0);
            let opened = opened.map_or(Duration::ZERO, |arrival| arrival.0 + self.half);
            let start = self.free.max(ready).max(opened);
            self.free = start + Duration::from_secs_f64(real(piece) * 8.0 / self.down);
            self.arrivals.push((self.free + self.half, total));
            pieces.push((self.free + self.half, piece as u32));
            left -= piece;
        }
        (pieces[0].0, pieces)
    }
}

/// What is said of two deliveries that were compared once each, exactly.
pub(super) fn exact(without: f64, with: f64) -> Comparison {
    let difference = without - with;
    let band = (without * 0.01).max(12.0);
    Comparison {
        pairs: 1,
        band: 30.0,
        p: 0.01,
        difference,
        low: difference,
        high: difference,
        verdict: match difference {
            d if d > band => Verdict::Faster,
            d if d < -band => Verdict::Slower,
            _ => Verdict::NoDifference,
        },
    }
}

pub(super) fn cell(page: &str, all: &[Resource], link: &LinkFacts) -> Cell {
    let mut rows: Vec<Row> = Vec::new();
    for delivery in DELIVERIES {
        let timeline = timeline(page, all, link, delivery);
        let metrics = Metric::ALL.map(|metric| {
            let value = metric.of(&timeline.marks).as_secs_f64() * 1e3;
            Summary {
                count: 1,
                p50: value,
                p90: value,
            }
        });
        let against = |metric| {
            let without: &Row = rows.first()?;
            Some(exact(without.median(metric), metrics[metric as usize].p50))
        };
        rows.push(Row {
            delivery: delivery.to_owned(),
            gain: against(Metric::FirstRender),
            load_gain: against(Metric::Load),
            totals: timeline.totals(),
            metrics,
            timeline,
        });
    }
    let first_render = |row: &Row| row.timeline.marks.first_render;
    let earliest = rows.iter().map(first_render).min().unwrap();
    Cell {
        page: page.to_owned(),
        visit: Visit::First,
        link: link.clone(),
        bound: Some(earliest.mul_f64(0.9)),
        rows,
        control: None,
    }
}

pub(super) fn findings(pages: &[(&str, u64, usize)], links: &[LinkFacts]) -> Findings {
    let cells = pages.iter().flat_map(|&(page, html, images)| {
        let all = resources(html, images);
        links.iter().map(move |link| cell(page, &all, link))
    });
    Findings {
        subject: "site/".to_owned(),
        client: "chromium-103".to_owned(),
        simulated: true,
        cells: cells.collect(),
        ..Findings::default()
    }
}

/// One page over a slow link, with what does not hurt.
pub(super) fn one() -> Findings {
    let mut one = findings(&[("/", 9_000, 2)], &[link("slow-4g", 150, 1_638_400)]);
    one.cells[0].rows.retain(|row| row.delivery != "push all");
    one
}

/// Three pages over three links.
pub(super) fn three() -> Findings {
    let pages = [
        ("/", 9_000, 6),
        ("/guide/", 46_000, 12),
        ("/reference/", 120_000, 30),
    ];
    let links = [
        link("fibre", 8, 100_000_000),
        link("slow-4g", 150, 1_638_400),
        link("satellite", 600, 20_000_000),
    ];
    findings(&pages, &links)
}
