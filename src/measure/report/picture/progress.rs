//! How a page fills: the part that is drawn from each moment on, as modelled.

use crate::measure::findings::Row;
use crate::measure::report::svg::{Axis, STRETCH, number, steps, stretched};
use crate::measure::report::words::{milliseconds, ms, real};
use crate::measure::timeline::{Metric, Timeline};

use super::{Lanes, Name};

const HEIGHT: f64 = 62.0;

/// Draws the progress of a load and of `none`, and what lies between.
pub(super) fn draw(lanes: &mut Lanes, axis: Axis, row: &Row, without: Option<&Row>) {
    let shown = points(axis, &row.timeline);
    let other = without.map(|without| points(axis, &without.timeline));
    let mut shapes = String::new();
    if let Some(other) = &other {
        // Out along one and back along the other: what is between is what was won or lost.
        let mut between = steps(shown.iter().copied());
        let mut later_x = STRETCH;
        for &(x, y) in other.iter().rev() {
            put!(between, "L{later_x:.1} {y:.1}L{x:.1} {y:.1}");
            later_x = x;
        }
        put!(shapes, r#"<path class="between" d="{between}z"/>"#);
        let path = steps(other.iter().copied());
        put!(shapes, r#"<path class="curve none" d="{path}"/>"#);
    }
    put!(shapes, r#"<path class="curve" d="{}"/>"#, steps(shown));
    let top = lanes.height;
    lanes.plot += &stretched(top, HEIGHT, &shapes);
    put!(
        lanes.plot,
        r#"<line class="ground" x1="0" x2="100%" y1="{0}" y2="{0}"/>"#,
        number(top + HEIGHT)
    );
    let heading = ("lane strong", String::new(), "drawn (modelled)".to_owned());
    let loads = [Some(row), without].into_iter().flatten();
    let indexes = loads.map(|row| {
        let index = ms(row.median(Metric::SpeedIndex));
        let text = format!("{}: {index}", super::plain(&row.delivery));
        ("lane", "SpeedIndex, ".to_owned(), text)
    });
    let said = std::iter::once(heading).chain(indexes);
    for (index, (class, before, text)) in said.enumerate() {
        lanes.names.push(Name {
            y: top + 7.0 + 16.0 * real(index),
            before,
            text,
            class,
        });
    }
    lanes.height += HEIGHT;
}

/// Returns the curve as points of what stretches, from nothing at the start to the end of the axis.
fn points(axis: Axis, timeline: &Timeline) -> Vec<(f64, f64)> {
    let y = |fraction: f64| HEIGHT - fraction.clamp(0.0, 1.0) * (HEIGHT - 2.0);
    let mut points = vec![(0.0, y(0.0))];
    for &(moment, fraction) in &timeline.progress {
        points.push((axis.at(milliseconds(moment)) * STRETCH / 100.0, y(fraction)));
    }
    let last = points.last().map_or(HEIGHT, |&(_, y)| y);
    points.push((STRETCH, last));
    points
}
