//! Curves: how gains spread over a site, and how they grow with the round trip.

use crate::measure::findings::{Cell, Row};
use crate::measure::report::effect::{self, Group, Spread};
use crate::measure::report::svg::{Axis, STRETCH, escape, number, share, step, steps, stretched};
use crate::measure::report::table::gain_words;
use crate::measure::report::words::{link, milliseconds, ms, percent, plain, real, signed_percent};
use crate::measure::timeline::Metric;

use super::colour;

/// Height of a curve's plot, and of the numbers below it.
const HEIGHT: f64 = 190.0;
const FOOT: f64 = 34.0;
/// Divisions of an axis of gains, about.
const DIVISIONS: f64 = 4.0;
/// Labels of links that are nearer than this, in parts of a hundred, would overlap.
const LABEL_GAP: f64 = 13.0;

/// Writes the distribution of gains over pages: a plot for each link, a line for each delivery.
pub(super) fn spread(out: &mut String, spreads: &[Spread<'_>]) {
    let percents = || {
        let effects = spreads.iter().flat_map(|spread| &spread.effects);
        effects.map(|(_, effect)| effect.percent)
    };
    let unit = step(percents().fold(5.0, |most: f64, p| most.max(p.abs())) / DIVISIONS);
    let low = (percents().fold(0.0, f64::min) / unit).floor() * unit;
    let high = (percents().fold(0.0, f64::max) / unit).ceil() * unit;
    let x = |value: f64| (value - low) / (high - low).max(unit) * 100.0;
    out.push_str("<div class=\"plots\">");
    let mut links: Vec<_> = spreads.iter().map(|spread| spread.link).collect();
    links.dedup();
    for facts in links {
        let here = spreads.iter().filter(|spread| spread.link == facts);
        let mut plot = String::new();
        for index in 0..=DIVISION_LINES_MAX {
            let at = low + f64::from(index) * unit;
            if at > high + unit / 2.0 {
                break;
            }
            gain_line(&mut plot, x(at), at);
        }
        put!(
            plot,
            "<line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"{0}\" y2=\"{0}\"/>\
             <text class=\"tick\" x=\"0\" y=\"{1}\">half of the pages</text>",
            number(HEIGHT / 2.0),
            number(HEIGHT / 2.0 - 5.0)
        );
        let mut curves = String::new();
        for spread in here {
            let points = spread
                .effects
                .iter()
                .enumerate()
                .map(|(index, (_, effect))| {
                    let part = share(index + 1, spread.effects.len());
                    (
                        x(effect.percent) * STRETCH / 100.0,
                        HEIGHT * (1.0 - part / 100.0),
                    )
                });
            let from = [(0.0, HEIGHT)];
            let path = steps(from.into_iter().chain(points).chain([(STRETCH, 0.0)]));
            put!(
                curves,
                "<path class=\"line {}\" d=\"{path}\"/>",
                colour(spread.delivery)
            );
        }
        plot += &stretched(0.0, HEIGHT, &curves);
        figure(out, &facts.name, &link(facts), &plot);
    }
    out.push_str("</div>");
    let mut names: Vec<&str> = Vec::new();
    for spread in spreads {
        if !names.contains(&spread.delivery) {
            names.push(spread.delivery);
        }
    }
    key(out, &names);
    out.push_str(
        "<p class=\"note\">Left to right: gain. Bottom to top: the part of the pages that gains no \
         more. A line far to the right is good; what lies left of 0 renders later.</p>",
    );
}

/// Lines of an axis of gains: gains without measure must not draw without end.
const DIVISION_LINES_MAX: u8 = 24;

fn gain_line(plot: &mut String, x: f64, value: f64) {
    let class = if value.abs() < 1e-9 {
        "grid zero"
    } else {
        "grid"
    };
    let anchor = match x {
        ..3.0 => "start",
        97.0.. => "end",
        _ => "middle",
    };
    put!(
        plot,
        "<line class=\"{class}\" x1=\"{0}%\" x2=\"{0}%\" y1=\"0\" y2=\"{HEIGHT}\"/>\
         <text class=\"tick\" x=\"{0}%\" y=\"{1}\" text-anchor=\"{anchor}\">{2}</text>",
        number(x),
        number(HEIGHT + 17.0),
        signed_percent(value)
    );
}

fn figure(out: &mut String, name: &str, note: &str, plot: &str) {
    put!(
        out,
        "<figure><figcaption><b>{0}</b> <small>{1}</small></figcaption>\
         <svg class=\"pic plot\" height=\"{2}\" role=\"img\" aria-label=\"{0}\">\
         {plot}</svg></figure>",
        escape(name),
        escape(note),
        number(HEIGHT + FOOT)
    );
}

/// Writes which line is which delivery.
fn key(out: &mut String, names: &[&str]) {
    out.push_str("<ul class=\"key\">");
    for name in names {
        put!(
            out,
            "<li><svg class=\"pic\" width=\"30\" height=\"10\" aria-hidden=\"true\">\
             <line class=\"line {}\" x1=\"0\" x2=\"30\" y1=\"5\" y2=\"5\"/></svg>{}</li>",
            colour(name),
            escape(name)
        );
    }
    out.push_str("</ul>");
}

/// Writes the gain of a page over its links against their round trips, with the lines on which a
/// delivery saves one round trip, two, three; nothing for less than two links.
pub(super) fn round_trips(out: &mut String, group: &Group<'_>) {
    let mut trips: Vec<f64> = group
        .cells
        .iter()
        .map(|cell| milliseconds(cell.link.round_trip))
        .collect();
    trips.sort_by(f64::total_cmp);
    trips.dedup();
    let longest = trips.last().copied().unwrap_or(0.0);
    let gains: Vec<f64> = group
        .effects()
        .map(|(.., effect)| effect.without_ms * effect.percent / 100.0)
        .collect();
    if trips.len() < 2 || longest <= 0.0 || gains.is_empty() {
        return;
    }
    let across = Axis::until(longest * 1.06);
    let unit = step(
        gains
            .iter()
            .fold(1.0, |most: f64, gain| most.max(gain.abs()))
            / DIVISIONS,
    );
    let low = (gains.iter().copied().fold(0.0, f64::min) / unit).floor() * unit;
    let high = (gains.iter().copied().fold(unit, f64::max) / unit).ceil() * unit;
    let y = |gain: f64| (high - gain) / (high - low) * HEIGHT;
    let mut plot = String::new();
    for index in 0..=DIVISION_LINES_MAX {
        let at = low + f64::from(index) * unit;
        if at > high + unit / 2.0 {
            break;
        }
        let class = if at.abs() < unit / 2.0 {
            "grid zero"
        } else {
            "grid"
        };
        put!(
            plot,
            "<line class=\"{class}\" x1=\"0\" x2=\"100%\" y1=\"{0}\" y2=\"{0}\"/>\
             <text class=\"tick\" x=\"-8\" y=\"{1}\" text-anchor=\"end\">{2}</text>",
            number(y(at)),
            number(y(at) + 4.0),
            ms(at).replace(".0", "")
        );
    }
    rays(&mut plot, across, &y, high);
    lines(&mut plot, group, across, &y);
    link_labels(&mut plot, group, across);
    put!(
        out,
        "<figure class=\"trips\"><figcaption><b>Gain against the round trip</b> \
         <small>milliseconds earlier; along a thin line the same number of round trips is saved\
         </small></figcaption><svg class=\"pic plot inset\" height=\"{}\" role=\"img\" \
         aria-label=\"Gain against the round trip\">{plot}</svg>",
        number(HEIGHT + FOOT)
    );
    let names: Vec<&str> = effect_names(group);
    key(out, &names);
    out.push_str("</figure>");
}

fn effect_names<'a>(group: &Group<'a>) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for (_, row, _) in group.effects() {
        if !names.contains(&row.delivery.as_str()) {
            names.push(&row.delivery);
        }
    }
    names
}

/// Draws where one round trip is saved, two, three, as far as the plot is high.
fn rays(plot: &mut String, across: Axis, y: &impl Fn(f64) -> f64, high: f64) {
    let end = across.length(STRETCH);
    let mut last = f64::MAX;
    for saved in 1_u8..=3 {
        let gain = f64::from(saved) * end;
        // A ray that leaves through the top ends there.
        let (at, gain) = if gain > high {
            (high / f64::from(saved), high)
        } else {
            (end, gain)
        };
        // Rays that leave close together would write over each other.
        if last - across.at(at) < LABEL_GAP && last < f64::MAX {
            continue;
        }
        last = across.at(at);
        put!(
            plot,
            "<line class=\"ray\" x1=\"0\" y1=\"{0}\" x2=\"{1}%\" y2=\"{2}\"/>\
             <text class=\"tick\" x=\"{1}%\" y=\"{3}\" text-anchor=\"{4}\">{saved} RTT</text>",
            number(y(0.0)),
            number(across.at(at)),
            number(y(gain)),
            number(y(gain) - 5.0),
            if at < end { "middle" } else { "end" }
        );
    }
}

fn lines(plot: &mut String, group: &Group<'_>, across: Axis, y: &impl Fn(f64) -> f64) {
    for name in effect_names(group) {
        let mut points: Vec<_> = group
            .effects()
            .filter(|(_, row, _)| row.delivery == name)
            .map(|(cell, row, effect)| {
                let gain = effect.without_ms * effect.percent / 100.0;
                let x = across.at_time(cell.link.round_trip);
                let said = format!(
                    "{} on {}: {} ms {} ({} of {} ms)",
                    plain(&row.delivery),
                    plain(&cell.link.name),
                    ms(gain.abs()),
                    if gain < 0.0 { "later" } else { "earlier" },
                    percent(effect.percent),
                    ms(effect.without_ms)
                );
                (x, y(gain), said)
            })
            .collect();
        points.sort_by(|(left, ..), (right, ..)| left.total_cmp(right));
        let class = colour(name);
        for pair in points.windows(2) {
            put!(
                plot,
                "<line class=\"line {class}\" x1=\"{}%\" y1=\"{}\" x2=\"{}%\" y2=\"{}\"/>",
                number(pair[0].0),
                number(pair[0].1),
                number(pair[1].0),
                number(pair[1].1)
            );
        }
        for (x, y, said) in &points {
            put!(
                plot,
                "<g class=\"hit\"><title>{}</title><circle class=\"dot {class}\" cx=\"{}%\" \
                 cy=\"{}\" r=\"4.5\"/></g>",
                escape(said),
                number(*x),
                number(*y)
            );
        }
    }
}

/// Names the links below their round trips, those that fit.
fn link_labels(plot: &mut String, group: &Group<'_>, across: Axis) {
    let mut cells = group.cells.clone();
    cells.sort_by_key(|cell| std::cmp::Reverse(cell.link.round_trip));
    let mut last = f64::MAX;
    for cell in cells {
        let x = across.at_time(cell.link.round_trip);
        if last - x < LABEL_GAP {
            continue;
        }
        last = x;
        for (line, text) in [
            (17.0, plain(&cell.link.name)),
            (
                31.0,
                format!(
                    "{} ms",
                    ms(milliseconds(cell.link.round_trip)).replace(".0", "")
                ),
            ),
        ] {
            put!(
                plot,
                "<text class=\"tick\" x=\"{}%\" y=\"{}\" text-anchor=\"{}\">{}</text>",
                number(x),
                number(HEIGHT + line),
                if x < 4.0 {
                    "start"
                } else if x > 90.0 {
                    "end"
                } else {
                    "middle"
                },
                escape(&text)
            );
        }
    }
}

/// Returns the first render of every delivery over one link as dots on a line each, beside what no
/// plan can beat.
pub(super) fn dots(cell: &Cell) -> String {
    const ROW: f64 = 26.0;
    let loaded = || {
        cell.rows
            .iter()
            .filter(|row| row.timeline.failure.is_none())
    };
    let latest = loaded().map(|row| row.median(Metric::FirstRender));
    let axis = Axis::until(latest.fold(1.0, f64::max) * 1.02);
    let height = ROW * real(loaded().count());
    let mut plot = String::new();
    if let Some(bound) = cell.bound {
        let at = axis.at_time(bound);
        put!(
            plot,
            "<rect class=\"out-of-reach\" width=\"{0}%\" height=\"{1}\"/>\
             <line class=\"bound\" x1=\"{0}%\" x2=\"{0}%\" y1=\"0\" y2=\"{1}\"/>\
             <text class=\"tick\" x=\"{0}%\" y=\"{2}\" text-anchor=\"{3}\">\
             no plan renders before {4} ms</text>",
            number(at),
            number(height + 4.0),
            number(height + 18.0),
            if at < 50.0 { "start" } else { "end" },
            ms(milliseconds(bound))
        );
    }
    let mut names = String::new();
    let mut values = String::new();
    for (index, row) in loaded().enumerate() {
        let y = ROW * (real(index) + 0.5);
        let gain = effect::effect(cell, row).map(|effect| gain_words(&effect));
        put!(
            names,
            "<span class=\"lane strong\" style=\"top:{}px\">{}</span>",
            number(y),
            escape(&row.delivery)
        );
        put!(
            values,
            "<span style=\"top:{}px\"><b>{} ms</b> {}</span>",
            number(y),
            ms(row.median(Metric::FirstRender)),
            gain.unwrap_or_default()
        );
        plot += &dot(cell, row, axis, y);
    }
    format!(
        "<div class=\"lanes dots\"><div class=\"names\" style=\"height:{0}px\">{names}</div>\
         <svg class=\"pic\" height=\"{0}\" role=\"img\" aria-label=\"First render by delivery\">\
         {plot}</svg><div class=\"names values\">{values}</div></div>",
        number(height + 24.0)
    )
}

fn dot(cell: &Cell, row: &Row, axis: Axis, y: f64) -> String {
    let at = row.median(Metric::FirstRender);
    let effect = effect::effect(cell, row);
    let without = effect.map_or(at, |effect| effect.without_ms);
    let class = colour(&row.delivery);
    let mut plot = String::new();
    put!(
        plot,
        "<line class=\"thread\" x1=\"0\" x2=\"100%\" y1=\"{0}\" y2=\"{0}\"/>\
         <line class=\"from {class}\" x1=\"{1}%\" x2=\"{2}%\" y1=\"{0}\" y2=\"{0}\"/>",
        number(y),
        number(axis.at(at)),
        number(axis.at(without))
    );
    if let Some((low, high)) = effect.and_then(|effect| effect.interval) {
        let x = |gain: f64| number(axis.at(without * (1.0 - gain / 100.0)));
        put!(
            plot,
            "<line class=\"whisker {class}\" x1=\"{0}%\" x2=\"{1}%\" y1=\"{2}\" y2=\"{2}\"/>",
            x(high),
            x(low),
            number(y)
        );
    }
    put!(
        plot,
        "<circle class=\"dot {class}\" cx=\"{}%\" cy=\"{}\" r=\"6\"/>",
        number(axis.at(at)),
        number(y)
    );
    plot
}
