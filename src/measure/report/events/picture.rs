//! Events drawn: every delay a stroke on one axis for all links and ways, and beside it what an
//! idle minute costs.
//!
//! The axis is logarithmic: the ladder spans three orders of magnitude, and on an even one all but
//! polling would be a stroke at zero.

use crate::measure::events::{EventCell, EventFindings, Heard, Way};
use crate::measure::report::picture::{COLOURS, STYLE};
use crate::measure::report::svg::{escape, number};
use crate::measure::report::words::{link, milliseconds, ms, plain, real};

use super::{seconds, share};

const WIDTH: f64 = 1000.0;
const MARGIN: f64 = 24.0;
const NAMES_WIDTH: f64 = 116.0;
/// Where the costs of an idle minute stand, at the right.
const COSTS_WIDTH: f64 = 190.0;
const TITLE_HEIGHT: f64 = 84.0;
const HEADING_HEIGHT: f64 = 30.0;
const ROW_HEIGHT: f64 = 26.0;
const TICKS_HEIGHT: f64 = 30.0;
/// Height of a stroke: one event.
const STROKE: f64 = 14.0;

/// An axis from one power of ten to another.
struct Axis {
    from: i32,
    to: i32,
}

impl Axis {
    /// Returns the axis that holds all delays.
    fn of(found: &EventFindings) -> Self {
        let (mut least, mut most) = (f64::MAX, 0.0_f64);
        for heard in found.cells.iter().flat_map(|cell| &cell.ways) {
            least = least.min(heard.delay_ms(0.0));
            most = most.max(heard.delay_ms(100.0));
        }
        let power = |value: f64| {
            let range = -1_i32..=8;
            let is_above = |&power: &i32| 10_f64.powi(power) >= value;
            range.clone().find(is_above).unwrap_or(*range.end())
        };
        let to = power(most).max(0);
        Self {
            from: (power(least) - 1).clamp(-1, to - 1),
            to,
        }
    }

    /// Returns where a delay in milliseconds lies.
    fn x(&self, delay_ms: f64) -> f64 {
        let span = f64::from(self.to - self.from);
        let share = (delay_ms.max(1e-3).log10() - f64::from(self.from)) / span;
        let left = MARGIN + NAMES_WIDTH;
        left + share.clamp(0.0, 1.0) * (WIDTH - left - COSTS_WIDTH - MARGIN)
    }
}

/// Returns the picture as an SVG file of its own, light and dark.
pub fn picture(found: &EventFindings) -> String {
    drawing(found, &format!("svg{{overflow:visible}}{COLOURS}{STYLE}"))
}

/// Draws, with a style of its own.
pub(super) fn drawing(found: &EventFindings, style: &str) -> String {
    let axis = Axis::of(found);
    let rows: usize = found.cells.iter().map(|cell| cell.ways.len()).sum();
    let bottom = TITLE_HEIGHT + real(found.cells.len()) * HEADING_HEIGHT + real(rows) * ROW_HEIGHT;
    let height = number(bottom + TICKS_HEIGHT + MARGIN);
    let caption = escape(&caption(found));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\" aria-label=\"{caption}\">\
         <style>{style}</style><rect class=\"panel\" width=\"100%\" height=\"100%\"/>\
         <g class=\"pic\"><text class=\"title\" x=\"{MARGIN}\" y=\"34\">From published to arrived\
         </text><text class=\"lane\" x=\"{MARGIN}\" y=\"58\">{caption}</text>"
    );
    ticks(&mut svg, &axis, bottom);
    let right = number(WIDTH - MARGIN);
    put!(
        svg,
        "<text class=\"lane\" x=\"{right}\" y=\"{}\" text-anchor=\"end\">an idle minute</text>",
        number(TITLE_HEIGHT + HEADING_HEIGHT - 10.0)
    );
    let mut y = TITLE_HEIGHT;
    for cell in &found.cells {
        y = cell_rows(&mut svg, found, cell, &axis, y);
    }
    svg.push_str("</g></svg>\n");
    svg
}

/// Says what the picture shows.
fn caption(found: &EventFindings) -> String {
    format!(
        "{} events of {} B, each a stroke, and the middle one; polling asks every {}",
        found.events,
        found.data_bytes,
        seconds(found.poll_every)
    )
}

/// Draws the powers of ten behind everything.
fn ticks(svg: &mut String, axis: &Axis, bottom: f64) {
    for power in axis.from..=axis.to {
        let delay = 10_f64.powi(power);
        let x = number(axis.x(delay));
        let text = match power {
            3.. => format!("{} s", ms(delay / 1000.0).replace(".0", "")),
            _ => format!("{} ms", ms(delay).replace(".0", "")),
        };
        put!(
            svg,
            "<line class=\"grid\" x1=\"{x}\" x2=\"{x}\" y1=\"{}\" y2=\"{}\"/>\
             <text class=\"tick\" x=\"{x}\" y=\"{}\" text-anchor=\"middle\">{text}</text>",
            number(TITLE_HEIGHT + HEADING_HEIGHT),
            number(bottom + 8.0),
            number(bottom + 24.0)
        );
    }
}

/// Draws the ways on a link; returns where the next begins.
fn cell_rows(
    svg: &mut String,
    found: &EventFindings,
    cell: &EventCell,
    axis: &Axis,
    top: f64,
) -> f64 {
    put!(
        svg,
        "<text class=\"strong\" x=\"{MARGIN}\" y=\"{}\">{}<tspan class=\"lane\" dx=\"8\">{}\
         </tspan></text>",
        number(top + HEADING_HEIGHT - 10.0),
        escape(&plain(&cell.link.name)),
        escape(&link(&cell.link))
    );
    let mut y = top + HEADING_HEIGHT;
    for heard in &cell.ways {
        row(svg, found, heard, axis, y + ROW_HEIGHT / 2.0);
        y += ROW_HEIGHT;
    }
    y
}

fn row(svg: &mut String, found: &EventFindings, heard: &Heard, axis: &Axis, middle: f64) {
    let baseline = number(middle + 4.5);
    let idle = found.per_idle_minute(heard);
    put!(
        svg,
        "<text class=\"row\" x=\"{}\" y=\"{baseline}\" text-anchor=\"end\">{}</text>\
         <text class=\"row\" x=\"{}\" y=\"{baseline}\" text-anchor=\"end\">{}</text>",
        number(MARGIN + NAMES_WIDTH - 14.0),
        heard.way.name(),
        number(WIDTH - MARGIN),
        share(&idle)
    );
    let mut strokes = String::new();
    for &delay in &heard.delays {
        let x = number(axis.x(milliseconds(delay)) - 1.0);
        put!(
            strokes,
            "M{x} {}h2v{STROKE}h-2z",
            number(middle - STROKE / 2.0)
        );
    }
    let class = if heard.way == Way::Poll {
        "asked"
    } else {
        "pushed"
    };
    let median = heard.delay_ms(50.0);
    let x = axis.x(median);
    put!(
        svg,
        "<path class=\"{class} faint\" d=\"{strokes}\"/><line class=\"mark\" x1=\"{0}\" \
         x2=\"{0}\" y1=\"{1}\" y2=\"{2}\"/><text class=\"mark\" x=\"{3}\" \
         y=\"{baseline}\">{4} ms</text>",
        number(x),
        number(middle - STROKE / 2.0 - 2.0),
        number(middle + STROKE / 2.0 + 2.0),
        number(axis.x(heard.delay_ms(100.0)) + 7.0),
        ms(median)
    );
}
