//! The waterfall: a row for each exchange, what it was with `none` below its bar, the marks above.

use std::collections::BTreeMap;

use crate::measure::findings::{Cell, LinkFacts, Row};
use crate::measure::report::json;
use crate::measure::report::svg::{Axis, Bars, escape, number, stretched};
use crate::measure::report::words::{bytes, milliseconds, ms, real, seen_from};
use crate::measure::timeline::{End, Exchange, Marks, Metric, Timeline, Way};

use super::{Lanes, Name, flight};

/// Rows of one picture; of a longer load the first.
const ROWS_MAX: usize = 40;
/// Height of a row, of its bar, and of the bar of `none` below it.
const ROW: f64 = 21.0;
const BAR: f64 = 10.0;
const BAR_TOP: f64 = 3.0;
/// Waiting steps back behind what is received.
const WAIT: f64 = 6.0;
const GHOST: f64 = 2.5;
const GHOST_TOP: f64 = 15.5;
/// Height of the words of a mark.
const MARK: f64 = 19.0;
/// Pieces that are nearer than this, of 1000, are drawn as one.
const PIECE_GAP: f64 = 1.5;

/// Draws into the lanes, whose first this is.
pub(super) fn draw(lanes: &mut Lanes, axis: Axis, cell: &Cell, row: &Row, without: Option<&Row>) {
    let timeline = &row.timeline;
    let marks = marks(&timeline.marks);
    let top = MARK * real(marks.len()) + 6.0;
    let shown = timeline.exchanges.len().min(ROWS_MAX);
    let more = timeline.exchanges.len() - shown;
    let bottom = top + ROW * real(shown) + if more > 0 { ROW } else { 0.0 };
    let mut rows = Rows {
        axis,
        link: &cell.link,
        without: without.map(by_url).unwrap_or_default(),
        paths: BTreeMap::new(),
        beside: String::new(),
    };
    for (index, exchange) in timeline.exchanges[..shown].iter().enumerate() {
        rows.row(exchange, ROW * real(index));
        lanes
            .names
            .push(name(timeline, exchange, top + ROW * (real(index) + 0.5)));
    }
    if more > 0 {
        lanes.names.push(Name {
            y: bottom - ROW / 2.0,
            before: String::new(),
            text: format!("and {more} more"),
            class: "lane",
        });
    }
    let mut idle = Bars::default();
    for span in flight::idle(timeline, &cell.link).unwrap_or_default() {
        idle.add(axis, span, 0.0, bottom - top);
    }
    let shapes = idle.path("idle") + &rows.shapes();
    lanes.plot += &stretched(top, bottom - top, &shapes);
    put!(
        lanes.plot,
        r#"<svg y="{}" width="100%" height="{}">{}</svg>"#,
        number(top),
        number(bottom - top),
        rows.beside
    );
    // The last on top: words stand left of their line, and so cross no line of an earlier mark.
    for (index, (metric, words)) in marks.iter().rev().enumerate() {
        let before = without.map(|without| metric.of(&without.timeline.marks));
        let before = before.filter(|before| !before.is_zero());
        lanes.plot += &mark(
            axis,
            &Mark {
                words,
                at: milliseconds(metric.of(&timeline.marks)),
                without: before.map(milliseconds),
                lane: MARK * real(index),
                bottom,
                is_first: index + 1 == marks.len(),
            },
        );
    }
    lanes.height = bottom;
}

/// The first exchange of each URL of `none`.
fn by_url(without: &Row) -> BTreeMap<&str, &Exchange> {
    let exchanges = without.timeline.exchanges.iter().rev();
    exchanges.map(|e| (e.url.as_str(), e)).collect()
}

fn name(timeline: &Timeline, exchange: &Exchange, y: f64) -> Name {
    let url = seen_from(&timeline.url, &exchange.url);
    let path_end = url.find(['?', '#']).unwrap_or(url.len());
    let file = url[..path_end].trim_end_matches('/').rfind('/');
    let file = file.map_or(0, |at| at + 1);
    Name {
        y,
        before: url[..file].to_owned(),
        text: url[file..].to_owned(),
        class: if exchange.blocks_render {
            "row blocks"
        } else {
            "row"
        },
    }
}

/// Returns the marks to draw with their words; those at one moment as one.
fn marks(marks: &Marks) -> Vec<(Metric, String)> {
    let wanted = [Metric::FirstRender, Metric::LargestContent, Metric::Load];
    let mut drawn: Vec<(Metric, String)> = Vec::new();
    for metric in wanted {
        let at = metric.of(marks);
        if at.is_zero() {
            continue;
        }
        match drawn.iter_mut().find(|(other, _)| other.of(marks) == at) {
            Some((_, words)) => put!(words, ", {metric}"),
            None => drawn.push((metric, metric.to_string())),
        }
    }
    drawn
}

/// A moment of the page.
struct Mark<'a> {
    words: &'a str,
    at: f64,
    /// The same moment with `none`.
    without: Option<f64>,
    /// Top of its words.
    lane: f64,
    bottom: f64,
    /// Whether no mark is earlier.
    is_first: bool,
}

/// Draws a mark: its line, its words, and how far from the mark of `none` it is.
fn mark(axis: Axis, mark: &Mark<'_>) -> String {
    let mut drawn = String::new();
    let x = axis.at(mark.at);
    let class = if mark.is_first { "mark" } else { "mark thin" };
    let base = number(mark.lane + 16.0);
    let bottom = number(mark.bottom);
    let mut was = String::new();
    if let Some(without) = mark.without {
        let other = number(axis.at(without));
        let change = if without >= mark.at { "saved" } else { "lost" };
        put!(
            drawn,
            "<line class=\"{class} none\" x1=\"{other}%\" x2=\"{other}%\" y1=\"{base}\" \
             y2=\"{bottom}\"/><line class=\"{change}\" x1=\"{0}%\" x2=\"{other}%\" \
             y1=\"{base}\" y2=\"{base}\"/>",
            number(x)
        );
        was = format!(r#"<tspan class="was"> (none {})</tspan>"#, ms(without));
    }
    let (anchor, shift) = if x < 12.0 { ("start", 6) } else { ("end", -6) };
    put!(
        drawn,
        "<line class=\"{class}\" x1=\"{0}%\" x2=\"{0}%\" y1=\"{1}\" y2=\"{bottom}\"/><text \
         class=\"{class}\" x=\"{0}%\" dx=\"{shift}\" y=\"{2}\" text-anchor=\"{anchor}\">{3} \
         {4} ms{was}</text>",
        number(x),
        number(mark.lane + 2.0),
        number(mark.lane + 12.0),
        escape(mark.words),
        ms(mark.at)
    );
    drawn
}

/// Rows on their way to paths.
struct Rows<'a> {
    axis: Axis,
    link: &'a LinkFacts,
    without: BTreeMap<&'a str, &'a Exchange>,
    /// Bars of each look.
    paths: BTreeMap<&'static str, Bars>,
    /// What must not stretch.
    beside: String,
}

impl Rows<'_> {
    fn row(&mut self, exchange: &Exchange, top: f64) {
        self.phases(exchange, top + BAR_TOP);
        self.signs(exchange, top + BAR_TOP + BAR / 2.0);
        if let Some(other) = self.without.get(exchange.url.as_str()).copied() {
            let asked = other.asked.or(other.needed);
            if let (Some(asked), Some(last)) = (asked, other.last_byte) {
                let span = (milliseconds(asked), milliseconds(last));
                self.bar("ghost", span, top + GHOST_TOP, GHOST);
            }
        }
        put!(
            self.beside,
            r#"<g class="hit"><title>{}</title><rect y="{}" width="100%" height="{ROW}"/></g>"#,
            escape(&details(
                exchange,
                self.without.get(exchange.url.as_str()).copied()
            )),
            number(top)
        );
    }

    fn phases(&mut self, exchange: &Exchange, top: f64) {
        let at = |moment: Option<_>| moment.map(milliseconds);
        let [needed, asked] = [exchange.needed, exchange.asked].map(at);
        let [first, last] = [exchange.first_byte, exchange.last_byte].map(at);
        let middle = top + BAR / 2.0 - 1.0;
        if let (Some(needed), Some(asked)) = (needed, asked)
            && asked > needed
        {
            self.bar("queued", (needed, asked), middle, 2.0);
        }
        if let (Some(asked), Some(until)) = (asked, first.or(last)) {
            self.bar("wait", (asked, until), top + (BAR - WAIT) / 2.0, WAIT);
        }
        let (Some(first), Some(last)) = (first, last) else {
            return;
        };
        let [base, pieces] = match exchange.way {
            Way::Asked => ["asked faint", "asked"],
            Way::Hinted => ["hinted faint", "hinted"],
            Way::Pushed => ["pushed faint", "pushed"],
            Way::Cached | Way::Validated => return,
        };
        self.bar(base, (first, last), top, BAR);
        if exchange.way == Way::Pushed && exchange.needed.is_none() {
            let (x, end) = (self.axis.at(first), self.axis.at(last));
            put!(
                self.beside,
                r#"<rect class="wasted" x="{}%" y="{}" width="{}%" height="{BAR}"/>"#,
                number(x),
                number(top),
                number((end - x).max(0.2))
            );
            return;
        }
        for piece in merged(exchange, self.link, self.axis) {
            self.bar(pieces, piece, top, BAR);
        }
        if let Some(needed) = needed
            && exchange.way == Way::Pushed
            && needed > last
        {
            self.bar("held", (last, needed), middle, 2.0);
        }
    }

    /// Draws what has a place and no length.
    fn signs(&mut self, exchange: &Exchange, middle: f64) {
        let x = |moment| number(self.axis.at_time(moment));
        let is_ahead = exchange.way == Way::Pushed;
        let mut signs = String::new();
        if let Some(promised) = exchange.promised {
            put!(
                signs,
                r#"<line class="promise" x1="{0}%" x2="{0}%" y1="{1}" y2="{2}"/>"#,
                x(promised),
                number(middle - 7.0),
                number(middle + 7.0)
            );
        }
        if let Some(needed) = exchange.needed {
            let class = match exchange.way {
                Way::Pushed => "adopted",
                Way::Cached | Way::Validated => "cached",
                Way::Asked | Way::Hinted => "",
            };
            if !class.is_empty() {
                put!(
                    signs,
                    r#"<circle class="{class}" cx="{}%" cy="{}" r="3.6"/>"#,
                    x(needed),
                    number(middle)
                );
            }
        }
        let sign = match exchange.end {
            End::Cancelled => "&#215;",
            End::Failed(_) => "!",
            End::Whole | End::Open => "",
        };
        let end = exchange.last_byte.or(exchange.asked).or(exchange.promised);
        if let (false, Some(end)) = (sign.is_empty(), end) {
            let class = if is_ahead { "cross ahead" } else { "cross" };
            put!(
                signs,
                r#"<text class="{class}" x="{}%" dx="3" y="{}">{sign}</text>"#,
                x(end),
                number(middle + 5.0)
            );
        }
        self.beside += &signs;
    }

    fn bar(&mut self, look: &'static str, span: (f64, f64), top: f64, height: f64) {
        let bars = self.paths.entry(look).or_default();
        bars.add(self.axis, span, top, height);
    }

    /// Returns the paths, the faint ones below.
    fn shapes(&self) -> String {
        let (faint, full): (Vec<_>, Vec<_>) = self
            .paths
            .iter()
            .partition(|(look, _)| look.ends_with("faint"));
        let drawn = faint.into_iter().chain(full);
        drawn.map(|(look, bars)| bars.path(look)).collect()
    }
}

/// Returns when bytes were on the link, near pieces as one.
fn merged(exchange: &Exchange, link: &LinkFacts, axis: Axis) -> Vec<(f64, f64)> {
    let gap = axis.length(PIECE_GAP);
    let start = exchange.first_byte.map_or(0.0, milliseconds);
    let mut spans: Vec<(f64, f64)> = Vec::new();
    for &(moment, piece) in &exchange.pieces {
        let end = milliseconds(moment);
        let begin = (end - flight::on_link_ms(u64::from(piece), link)).max(start);
        match spans.last_mut() {
            Some(last) if begin <= last.1 + gap => last.1 = last.1.max(end),
            _ => spans.push((begin.min(end), end)),
        }
    }
    spans
}

/// Says everything of an exchange, for those who point at it.
fn details(exchange: &Exchange, without: Option<&Exchange>) -> String {
    let mut lines = vec![exchange.url.clone()];
    let status = match &exchange.end {
        End::Failed(reason) => format!("failed: {reason}"),
        End::Whole if exchange.status > 0 => exchange.status.to_string(),
        end => json::end(end).to_owned(),
    };
    let mut facts = vec![
        json::kind(exchange.kind).to_owned(),
        json::way(exchange.way).to_owned(),
    ];
    facts.extend([status, bytes(exchange.bytes)]);
    if exchange.blocks_render {
        facts.push("the first render waits for it".to_owned());
    }
    if exchange.way == Way::Pushed && exchange.needed.is_none() {
        facts.push("pushed in vain".to_owned());
    }
    lines.push(facts.join(", "));
    let moments = [
        ("promised", exchange.promised),
        ("needed", exchange.needed),
        ("asked", exchange.asked),
        ("first byte", exchange.first_byte),
        ("last byte", exchange.last_byte),
    ];
    let said = moments
        .iter()
        .filter_map(|(name, moment)| Some(format!("{name} {}", ms(milliseconds((*moment)?)))));
    let said: Vec<_> = said.collect();
    if !said.is_empty() {
        lines.push(format!("{} ms", said.join(", ")));
    }
    if let Some(last) = without.and_then(|without| without.last_byte) {
        lines.push(format!(
            "with none: last byte {} ms",
            ms(milliseconds(last))
        ));
    }
    lines.join("\n")
}
