//! One load drawn: a waterfall with the load of `none` behind it, the link round trip by round
//! trip, and how the page fills; one axis of time for all.
//!
//! Read on in [`waterfall`], [`flight`] and [`progress`], which draw the lanes.

mod flight;
mod progress;
mod waterfall;

use std::time::Duration;

use crate::measure::findings::{Cell, Row};
use crate::measure::timeline::{Metric, Timeline};

use super::svg::{Axis, escape, number};
use super::words::{ms, plain, short};

/// How bars look, in the report and in a picture alone.
pub(super) const STYLE: &str = include_str!("picture/picture.css");
/// The colours, light and dark.
pub(super) const COLOURS: &str = include_str!("picture/colours.css");

/// Lane of the axis's numbers.
const TICKS_HEIGHT: f64 = 20.0;
/// Space between lanes.
const GAP: f64 = 14.0;

/// Width of a picture alone, and of the names in it.
const WIDTH: f64 = 1000.0;
const NAMES_WIDTH: f64 = 220.0;
const MARGIN: f64 = 24.0;
const TITLE_HEIGHT: f64 = 54.0;
/// Letters of a name beside a row.
const NAME_LETTERS_MAX: usize = 30;

/// A load as drawn: names on the left, shapes on the right, at the same heights.
#[derive(Debug, Default)]
pub(super) struct Lanes {
    /// What stands to the left.
    pub(super) names: Vec<Name>,
    /// Markup of the plot, for an `<svg>` of any width.
    pub(super) plot: String,
    /// Height of both.
    pub(super) height: f64,
}

/// What a lane or row is called.
#[derive(Debug)]
pub(super) struct Name {
    /// Middle of the row.
    pub(super) y: f64,
    /// What may be left out where space is short.
    pub(super) before: String,
    /// What must be read.
    pub(super) text: String,
    /// How it looks: `row`, `row blocks`, `lane`.
    pub(super) class: &'static str,
}

/// Returns the moment at which the pictures of a page and link end: the same for every delivery, so
/// that one can be laid upon another.
pub(super) fn end(cell: &Cell) -> Duration {
    let ends = cell.rows.iter().map(|row| ends(&row.timeline));
    ends.max().unwrap_or_default().mul_f64(1.02)
}

/// Returns when the last thing of a load happened, at most a little after `load`: what a page that
/// never ends does later does not squeeze the rest.
fn ends(timeline: &Timeline) -> Duration {
    let load = timeline.marks.load.max(timeline.marks.first_render);
    let exchanges = timeline.exchanges.iter();
    let last = exchanges.filter_map(|exchange| exchange.last_byte).max();
    let last = last.unwrap_or_default();
    if load.is_zero() {
        last
    } else {
        last.min(load.mul_f64(1.5)).max(load)
    }
}

/// Draws a load over one of `none`.
pub(super) fn draw(cell: &Cell, row: &Row, end: Duration) -> Lanes {
    let axis = Axis::of_time(end);
    let without = cell.rows.first().filter(|first| is_other(first, row));
    let mut lanes = Lanes::default();
    waterfall::draw(&mut lanes, axis, cell, row, without);
    lanes.height += GAP;
    flight::draw(&mut lanes, axis, cell, row, without);
    lanes.height += GAP;
    progress::draw(&mut lanes, axis, row, without);
    ticks(&mut lanes, axis);
    lanes
}

fn is_other(first: &Row, row: &Row) -> bool {
    !std::ptr::eq(first, row)
}

/// Draws lines at round times behind everything, and their numbers below.
fn ticks(lanes: &mut Lanes, axis: Axis) {
    let mut behind = String::new();
    let bottom = number(lanes.height + 4.0);
    for tick in axis.ticks() {
        let x = number(axis.at(tick));
        put!(
            behind,
            r#"<line class="grid" x1="{x}%" x2="{x}%" y1="0" y2="{bottom}"/>"#
        );
        let anchor = match axis.at(tick) {
            ..1.0 => "start",
            97.0.. => "end",
            _ => "middle",
        };
        let unit = if tick == 0.0 { " ms" } else { "" };
        put!(
            behind,
            r#"<text class="tick" x="{x}%" y="{}" text-anchor="{anchor}">{}{unit}</text>"#,
            number(lanes.height + 17.0),
            ms(tick).replace(".0", "")
        );
    }
    lanes.plot.insert_str(0, &behind);
    lanes.height += TICKS_HEIGHT;
}

/// Says what a picture shows: for those who cannot see it, and above it.
pub(super) fn caption(cell: &Cell, row: &Row) -> String {
    let render = row.median(Metric::FirstRender);
    let without = cell.rows.first().filter(|first| is_other(first, row));
    let instead = without.map_or(String::new(), |without| {
        let without = without.median(Metric::FirstRender);
        format!(" instead of {}", ms(without))
    });
    format!(
        "{} with {} on {}: first render at {}{instead} ms",
        plain(&cell.page),
        plain(&row.delivery),
        plain(&cell.link.name),
        ms(render)
    )
}

/// Swatches and what they mean.
pub(super) fn legend() -> [(&'static str, &'static str); 12] {
    let bar = |class: &str| match class {
        "wait" => r#"<rect class="wait" y="3.5" width="28" height="6"/>"#,
        "asked" => r#"<rect class="asked" y="2" width="28" height="9"/>"#,
        "hinted" => r#"<rect class="hinted" y="2" width="28" height="9"/>"#,
        _ => r#"<rect class="pushed" y="2" width="28" height="9"/>"#,
    };
    [
        (
            r#"<rect class="queued" y="5.5" width="28" height="2"/>"#,
            "needed, not yet asked",
        ),
        (bar("wait"), "waiting"),
        (bar("asked"), "receiving"),
        (bar("hinted"), "receiving, hinted"),
        (bar("pushed"), "receiving, pushed"),
        (
            r#"<line class="promise" x1="14" x2="14" y1="0" y2="13"/>"#,
            "promised",
        ),
        (
            r#"<circle class="adopted" cx="14" cy="6.5" r="3.6"/>"#,
            "the page needs what was sent",
        ),
        (
            "<rect class=\"pushed faint\" y=\"2\" width=\"28\" height=\"9\"/><rect \
             class=\"wasted\" y=\"2\" width=\"28\" height=\"9\"/>",
            "pushed in vain",
        ),
        (
            r#"<text class="cross" x="14" y="11" text-anchor="middle">&#215;</text>"#,
            "cancelled",
        ),
        (
            r#"<rect class="ghost" y="5" width="28" height="3"/>"#,
            "the same with none",
        ),
        (
            r#"<rect class="idle" width="28" height="13"/>"#,
            "the link is idle",
        ),
        (
            r#"<path class="allowed" d="M0 10H12V4H28"/>"#,
            "what slow start allows at most",
        ),
    ]
}

/// Returns the picture of one page, link and delivery as an SVG file of its own, light and dark;
/// `None` if there is no such delivery.
pub fn picture(cell: &Cell, delivery: &str) -> Option<String> {
    let row = cell.rows.iter().find(|row| row.delivery == delivery)?;
    let lanes = draw(cell, row, end(cell));
    let (legend, legend_height) = drawn_legend(lanes.height + TITLE_HEIGHT + GAP);
    let height = TITLE_HEIGHT + lanes.height + GAP + legend_height + MARGIN;
    let caption = escape(&caption(cell, row));
    let mut svg = String::new();
    put!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {0}\" \
         width=\"{WIDTH}\" height=\"{0}\" role=\"img\" aria-label=\"{caption}\">\
         <style>svg{{overflow:visible}}{COLOURS}{STYLE}\
         </style>",
        number(height)
    );
    put!(
        svg,
        "<defs>{PATTERN}</defs><rect class=\"panel\" width=\"100%\" height=\"100%\"/><g \
         class=\"pic\"><text class=\"title\" x=\"{MARGIN}\" y=\"34\">{caption}</text>"
    );
    for name in &lanes.names {
        put!(
            svg,
            r#"<text class="{}" x="{}" y="{}" text-anchor="end">{}</text>"#,
            name.class,
            number(NAMES_WIDTH + MARGIN - 12.0),
            number(TITLE_HEIGHT + name.y + 4.0),
            escape(&short(
                &format!("{}{}", name.before, name.text),
                NAME_LETTERS_MAX
            ))
        );
    }
    put!(
        svg,
        r#"<svg x="{}" y="{TITLE_HEIGHT}" width="{}" height="{}">{}</svg>{legend}</g></svg>"#,
        number(NAMES_WIDTH + MARGIN),
        number(WIDTH - NAMES_WIDTH - 2.0 * MARGIN),
        number(lanes.height),
        lanes.plot
    );
    svg.push('\n');
    Some(svg)
}

/// The hatching of what was wasted; once in a document.
pub(super) const PATTERN: &str = "<pattern id=\"hatch\" width=\"6\" height=\"6\" \
     patternUnits=\"userSpaceOnUse\" \
 patternTransform=\"rotate(45)\"><rect class=\"hatch\" width=\"2.6\" height=\"6\"/></pattern>";

/// Lays the legend out in lines, below a picture alone.
fn drawn_legend(top: f64) -> (String, f64) {
    /// What a letter takes at the size of the legend, and what a swatch does.
    const LETTER: f64 = 7.2;
    const SWATCH: f64 = 36.0;
    const LINE: f64 = 22.0;
    let mut drawn = String::new();
    let (mut x, mut y) = (MARGIN, top);
    for (swatch, text) in legend() {
        let width = SWATCH + LETTER * super::words::real(text.len()) + 18.0;
        if x + width > WIDTH {
            (x, y) = (MARGIN, y + LINE);
        }
        put!(
            drawn,
            "<svg x=\"{0}\" y=\"{1}\" width=\"28\" height=\"13\">{swatch}</svg><text \
             class=\"tick\" x=\"{2}\" y=\"{3}\">{text}</text>",
            number(x),
            number(y),
            number(x + SWATCH),
            number(y + 11.0)
        );
        x += width;
    }
    (drawn, y - top + LINE)
}
