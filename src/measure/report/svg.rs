//! Drawing: escaped text, an axis of time, paths of bars.
//!
//! What is drawn has x from 0 to 1000 in a nested `<svg>` that stretches to any width; text stands
//! beside it at parts of a hundred, so that letters never stretch.

use std::time::Duration;

use super::words::{milliseconds, real};

/// Width of what stretches.
pub(super) const STRETCH: f64 = 1000.0;
/// The narrowest bar that is seen.
const BAR_MIN: f64 = 1.8;
/// Lines that divide an axis, at most.
const TICKS_MAX: f64 = 8.0;

/// Returns text for HTML and XML, in content and in quoted attributes alike; without the control
/// characters that neither allows.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in super::words::plain(text).chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            _ => escaped.push(letter),
        }
    }
    escaped
}

/// Writes a coordinate with at most two decimals.
pub(super) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "0".to_owned();
    }
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0" } else { text }.to_owned()
}

/// Writes a coordinate of what stretches: one decimal is a tenth of a pixel.
fn coarse(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").unwrap_or(&text).to_owned()
}

/// An axis from 0 to an end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Axis {
    end: f64,
}

impl Axis {
    /// Returns the axis of milliseconds until a moment.
    pub(super) fn of_time(end: Duration) -> Self {
        Self::until(milliseconds(end))
    }

    /// Returns the axis of numbers until an end.
    pub(super) fn until(end: f64) -> Self {
        Self { end: end.max(1e-3) }
    }

    /// Returns where a number lies, in parts of a hundred.
    pub(super) fn at(self, value: f64) -> f64 {
        (value / self.end * 100.0).clamp(0.0, 100.0)
    }

    /// Returns where a moment lies, in parts of a hundred.
    pub(super) fn at_time(self, moment: Duration) -> f64 {
        self.at(milliseconds(moment))
    }

    /// Returns round numbers that divide the axis, from 0: steps of 1, 2 or 5 and zeros.
    pub(super) fn ticks(self) -> Vec<f64> {
        let step = step(self.end / TICKS_MAX);
        let mut ticks = Vec::new();
        let mut index = 0_u32;
        while f64::from(index) * step <= self.end {
            ticks.push(f64::from(index) * step);
            index += 1;
        }
        ticks
    }

    /// Returns the length that takes a part of what stretches.
    pub(super) fn length(self, stretched: f64) -> f64 {
        stretched / STRETCH * self.end
    }
}

/// Returns the next of 1, 2, 5, 10.. that is not below a number.
pub(super) fn step(least: f64) -> f64 {
    let unit = 10_f64.powf(least.max(1e-6).log10().floor());
    let multiples = [1.0, 2.0, 5.0];
    let found = multiples.iter().find(|m| *m * unit >= least * 0.999_999);
    found.unwrap_or(&10.0) * unit
}

/// Bars of one look, as one path: hundreds of bars cost a few bytes each.
#[derive(Debug, Clone, Default)]
pub(super) struct Bars {
    path: String,
}

impl Bars {
    /// Adds a bar from one number of an axis to another.
    pub(super) fn add(&mut self, axis: Axis, (from, to): (f64, f64), y: f64, height: f64) {
        let start = axis.at(from) * STRETCH / 100.0;
        let width = (axis.at(to) * STRETCH / 100.0 - start).max(BAR_MIN);
        put!(
            self.path,
            "M{} {}h{}v{}h-{}z",
            coarse(start),
            coarse(y),
            coarse(width),
            coarse(height),
            coarse(width)
        );
    }

    /// Returns the path, in a look that the style sheet knows; nothing if there is no bar.
    pub(super) fn path(&self, class: &str) -> String {
        if self.path.is_empty() {
            return String::new();
        }
        format!(r#"<path class="{class}" d="{}"/>"#, self.path)
    }
}

/// Returns the path through points of what stretches, as steps: across, then up or down.
pub(super) fn steps(points: impl IntoIterator<Item = (f64, f64)>) -> String {
    let mut path = String::new();
    for (x, y) in points {
        if path.is_empty() {
            put!(path, "M{} {}", coarse(x), coarse(y));
        } else {
            put!(path, "H{}V{}", coarse(x), coarse(y));
        }
    }
    path
}

/// Wraps what stretches.
pub(super) fn stretched(y: f64, height: f64, shapes: &str) -> String {
    let height = number(height);
    format!(
        "<svg y=\"{}\" width=\"100%\" height=\"{height}\" viewBox=\"0 0 1000 {height}\" \
         preserveAspectRatio=\"none\">{shapes}</svg>",
        number(y)
    )
}

/// Returns a part of a whole in parts of a hundred; 0 of nothing.
pub(super) fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        0.0
    } else {
        real(part) / real(whole) * 100.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_leave_its_place() {
        assert_eq!(
            escape("</title>\"'&\u{0}\u{1b}"),
            "&lt;/title&gt;&quot;&#39;&amp;\u{fffd}\u{fffd}"
        );
    }

    #[test]
    fn an_axis_is_divided_roundly() {
        let ticks: Vec<_> = Axis::until(1412.0)
            .ticks()
            .into_iter()
            .map(number)
            .collect();
        assert_eq!(ticks[..3], ["0", "200", "400"]);
        assert_eq!(Axis::until(0.0).ticks().len(), 6);
        let steps: Vec<_> = [0.7, 2.0, 2.1, 6.0].map(|least| number(step(least))).into();
        assert_eq!(steps, ["1", "2", "5", "10"]);
        assert_eq!(number(-0.001), "0");
        assert_eq!(number(12.340), "12.34");
    }

    #[test]
    fn a_bar_is_seen_however_short() {
        let mut bars = Bars::default();
        bars.add(Axis::until(1000.0), (500.0, 500.0), 2.0, 9.0);
        assert_eq!(
            bars.path("x"),
            r#"<path class="x" d="M500 2h1.8v9h-1.8z"/>"#
        );
    }
}
