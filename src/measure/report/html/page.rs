//! One page: its sentence, and for each link what every delivery came to and how it came.

use crate::measure::findings::{Cell, Row};
use crate::measure::report::effect::{self, Group};
use crate::measure::report::picture::{self, Lanes};
use crate::measure::report::svg::{escape, number};
use crate::measure::report::words::{bytes, count, link, ms};
use crate::measure::report::{sentence, table};
use crate::measure::timeline::Metric;

use super::{TABS_MAX, colour, curves, sentence_html};

/// Writes the section of a page; `index` names it in the document, and `why` says why it was
/// chosen.
pub(super) fn write(out: &mut String, group: &Group<'_>, index: usize, why: &str) {
    put!(
        out,
        "<section class=\"page\" id=\"p{index}\"><div class=\"opening\"><div><h2>{}</h2>\
         <p class=\"facts\">{}</p><p class=\"lead\">{}</p></div>",
        escape(group.page),
        escape(&facts(group, why)),
        sentence_html(&sentence::of_page(group))
    );
    curves::round_trips(out, group);
    out.push_str("</div>");
    let shown: Vec<&&Cell> = group.cells.iter().take(TABS_MAX).collect();
    let names: Vec<&str> = shown.iter().map(|cell| cell.link.name.as_str()).collect();
    let panes = shown.iter().enumerate().map(|(tab, cell)| {
        let id = format!("p{index}-{tab}");
        let mut pane = String::new();
        of_link(&mut pane, cell, &id);
        pane
    });
    let best = most_telling(&group.cells);
    tabs(out, &format!("p{index}"), "link", &names, best, panes);
    out.push_str("</section>");
}

fn facts(group: &Group<'_>, why: &str) -> String {
    let mut facts = vec![group.visit.to_string()];
    if !why.is_empty() {
        facts.push(why.to_owned());
    }
    facts.join(" \u{b7} ")
}

/// Returns the cell that says most: where a delivery changes most.
fn most_telling(cells: &[&Cell]) -> usize {
    let change = |cell: &Cell| {
        let effects = cell.rows.iter().filter_map(|row| effect::effect(cell, row));
        effects
            .map(|effect| effect.percent.abs())
            .fold(0.0, f64::max)
    };
    let largest = cells
        .iter()
        .take(TABS_MAX)
        .enumerate()
        .rev()
        .max_by(|(_, left), (_, right)| change(left).total_cmp(&change(right)));
    largest.map_or(0, |(index, _)| index)
}

/// Writes boxes to choose from, and what each shows.
fn tabs(
    out: &mut String,
    id: &str,
    kind: &str,
    names: &[&str],
    chosen: usize,
    panes: impl Iterator<Item = String>,
) {
    put!(out, "<div class=\"tabs\" data-kind=\"{kind}\">");
    for (tab, name) in names.iter().enumerate() {
        let checked = if tab == chosen { " checked" } else { "" };
        put!(
            out,
            "<input type=\"radio\" name=\"{id}-{kind}\" id=\"{id}-{kind}-{tab}\" \
             value=\"{0}\"{checked}>\
             <label for=\"{id}-{kind}-{tab}\">{0}</label>",
            escape(name)
        );
    }
    for pane in panes {
        put!(out, "<div class=\"pane\">{pane}</div>");
    }
    out.push_str("</div>");
}

fn of_link(out: &mut String, cell: &Cell, id: &str) {
    let facts = std::iter::once(link(&cell.link)).chain(table::control_words(cell));
    let facts: Vec<_> = facts.collect();
    put!(
        out,
        "<h3>First render over {} <small>{}</small></h3>",
        escape(&cell.link.name),
        escape(&facts.join("; "))
    );
    out.push_str(&curves::dots(cell));
    out.push_str(&numbers(cell));
    let rows: Vec<&Row> = cell.rows.iter().take(TABS_MAX).collect();
    let names: Vec<&str> = rows.iter().map(|row| row.delivery.as_str()).collect();
    let end = picture::end(cell);
    let panes = rows.iter().map(|row| match &row.timeline.failure {
        Some(reason) => format!(
            "<p class=\"warning\">the page did not load: {}</p>",
            escape(reason)
        ),
        None => figure(cell, row, &picture::draw(cell, row, end)),
    });
    let push = names.iter().position(|name| *name == "push");
    let first = push.or_else(|| best(cell)).unwrap_or(0);
    tabs(out, id, "delivery", &names, first, panes);
}

/// Returns the row of the largest gain.
fn best(cell: &Cell) -> Option<usize> {
    let effects = cell.rows.iter().enumerate();
    let effects = effects.filter_map(|(index, row)| Some((index, effect::effect(cell, row)?)));
    let best = effects.max_by(|(_, left), (_, right)| left.percent.total_cmp(&right.percent));
    best.map(|(index, _)| index)
}

fn figure(cell: &Cell, row: &Row, lanes: &Lanes) -> String {
    let mut figure = String::from("<figure class=\"load\"><div class=\"lanes\">");
    put!(
        figure,
        "<div class=\"names\" style=\"height:{}px\">",
        number(lanes.height)
    );
    for name in &lanes.names {
        put!(
            figure,
            "<span class=\"{}\" style=\"top:{}px\"><i>{}</i>{}</span>",
            name.class,
            number(name.y),
            escape(&name.before),
            escape(&name.text)
        );
    }
    put!(
        figure,
        "</div><svg class=\"pic\" height=\"{}\" role=\"img\" aria-label=\"{}\">{}</svg></div>",
        number(lanes.height),
        escape(&picture::caption(cell, row)),
        lanes.plot
    );
    figure.push_str("<ul class=\"key\">");
    for (swatch, text) in picture::legend() {
        put!(
            figure,
            "<li><svg class=\"pic\" width=\"28\" height=\"13\" aria-hidden=\"true\">\
             {swatch}</svg>{text}\
             </li>"
        );
    }
    figure.push_str("</ul></figure>");
    figure
}

/// Returns the numbers of every delivery as a table.
fn numbers(cell: &Cell) -> String {
    let mut text = String::from(
        "<details class=\"numbers\"><summary>All numbers</summary><div class=\"scroll\"><table>\
         <thead><tr><td></td>",
    );
    for metric in Metric::ALL {
        let modelled = if metric == Metric::SpeedIndex {
            ", modelled"
        } else {
            ""
        };
        put!(
            text,
            "<th scope=\"col\">{metric}<small>ms{modelled}</small></th>"
        );
    }
    for header in ["bytes", "pushed", "wasted", "requests", "saved", "gain"] {
        put!(text, "<th scope=\"col\">{header}</th>");
    }
    text.push_str("</tr></thead><tbody>");
    for row in &cell.rows {
        put!(
            text,
            "<tr><th scope=\"row\" class=\"{}\">{}</th>",
            colour(&row.delivery),
            escape(&row.delivery)
        );
        if let Some(reason) = &row.timeline.failure {
            put!(text, "<td colspan=\"11\">{}</td></tr>", escape(reason));
            continue;
        }
        for metric in Metric::ALL {
            put!(text, "<td>{}</td>", ms(row.median(metric)));
        }
        let totals = &row.totals;
        let gain = effect::effect(cell, row).map(|effect| table::gain_words(&effect));
        for value in [
            bytes(totals.bytes),
            bytes(totals.bytes_pushed),
            bytes(totals.bytes_wasted),
            count(totals.requests),
            count(totals.requests_saved),
            gain.unwrap_or_default(),
        ] {
            put!(text, "<td>{}</td>", escape(&value));
        }
        text.push_str("</tr>");
    }
    text.push_str("</tbody></table></div></details>");
    text
}
