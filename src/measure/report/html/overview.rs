//! The site at a glance: a table of gains, and how they spread over its pages.

use crate::measure::findings::Findings;
use crate::measure::report::effect::{self, Effect, Group};
use crate::measure::report::svg::escape;
use crate::measure::report::table::gain_words;
use crate::measure::report::words::{count, link, percent, short, signed_percent};
use crate::measure::sample::Verdict;

use super::curves;

/// Pages of the table; of a larger site the first, in the order of measuring.
const PAGES_MAX: usize = 400;
/// Pages up to which the table stands open.
const PAGES_OPEN_MAX: usize = 14;
/// Pages from which a distribution says more than the table.
const SPREAD_PAGES_MIN: usize = 4;
/// Gain, in parts of a hundred, that is painted in full.
const FULL_PERCENT: f64 = 45.0;
/// Letters of a page's name.
const PAGE_LETTERS_MAX: usize = 44;

/// Writes the overview, with links to the pages that are drawn; nothing for a measurement without
/// anything to compare.
pub(super) fn write(out: &mut String, findings: &Findings, groups: &[Group<'_>], drawn: &[usize]) {
    let deliveries = effect::deliveries(findings);
    if deliveries.is_empty() {
        return;
    }
    let spreads = effect::first_visit(findings)
        .map_or_else(Vec::new, |visit| effect::spreads(findings, visit));
    let pages = spreads.iter().map(|spread| spread.effects.len()).max();
    out.push_str("<section class=\"overview\"><h2>Gain in first render</h2>");
    if pages.unwrap_or(0) >= SPREAD_PAGES_MIN {
        curves::spread(out, &spreads);
    }
    if groups.len() > PAGES_OPEN_MAX {
        put!(
            out,
            "<details><summary>Every page</summary>{}</details>",
            heat(findings, groups, &deliveries, drawn)
        );
    } else {
        out.push_str(&heat(findings, groups, &deliveries, drawn));
    }
    out.push_str(
        "<p class=\"key\"><span class=\"up\">+ earlier</span> <span class=\"down\">- later</span> \
         <span>? too noisy to tell</span></p></section>",
    );
}

fn heat(findings: &Findings, groups: &[Group<'_>], deliveries: &[&str], drawn: &[usize]) -> String {
    let links = effect::links(findings);
    let mut table =
        String::from("<div class=\"scroll\"><table class=\"heat\"><thead><tr><td></td>");
    for facts in &links {
        put!(
            table,
            "<th colspan=\"{}\" scope=\"colgroup\">{}<small>{}</small></th>",
            deliveries.len(),
            escape(&facts.name),
            escape(&link(facts))
        );
    }
    table.push_str("</tr><tr><td></td>");
    for _ in &links {
        for delivery in deliveries {
            put!(table, "<th scope=\"col\">{}</th>", escape(delivery));
        }
    }
    table.push_str("</tr></thead><tbody>");
    let visits = groups.iter().any(|group| group.visit != groups[0].visit);
    for (index, group) in groups.iter().enumerate().take(PAGES_MAX) {
        put!(
            table,
            "<tr><th scope=\"row\">{}{}</th>",
            page_name(group, drawn.contains(&index).then_some(index)),
            if visits {
                format!("<small>{}</small>", group.visit)
            } else {
                String::new()
            }
        );
        for facts in &links {
            for delivery in deliveries {
                table.push_str(&heat_cell(effect_of(group, &facts.name, delivery)));
            }
        }
        table.push_str("</tr>");
    }
    table.push_str("</tbody></table></div>");
    if groups.len() > PAGES_MAX {
        put!(
            table,
            "<p class=\"note\">and {} more, which the JSON has</p>",
            count(groups.len() - PAGES_MAX)
        );
    }
    table
}

/// Names a page, as a link to its section if it has one.
fn page_name(group: &Group<'_>, section: Option<usize>) -> String {
    let name = escape(&short(group.page, PAGE_LETTERS_MAX));
    let whole = escape(group.page);
    match section {
        Some(index) => format!("<a href=\"#p{index}\" title=\"{whole}\">{name}</a>"),
        None => format!("<span title=\"{whole}\">{name}</span>"),
    }
}

fn effect_of(group: &Group<'_>, link: &str, delivery: &str) -> Option<Effect> {
    let cell = group.cells.iter().find(|cell| cell.link.name == link)?;
    let row = cell.rows.iter().find(|row| row.delivery == delivery)?;
    effect::effect(cell, row)
}

fn heat_cell(effect: Option<Effect>) -> String {
    let Some(effect) = effect else {
        return "<td class=\"nil\">\u{2013}</td>".to_owned();
    };
    let class = match effect.verdict {
        Verdict::Faster => "up",
        Verdict::Slower => "down",
        Verdict::NoDifference | Verdict::TooNoisy => "nil",
    };
    let weight = (effect.percent.abs() / FULL_PERCENT).clamp(0.12, 1.0);
    let shown = match effect.verdict {
        Verdict::NoDifference => percent(0.0),
        Verdict::TooNoisy => "?".to_owned(),
        Verdict::Faster | Verdict::Slower => signed_percent(effect.percent),
    };
    format!(
        "<td class=\"{class}\" style=\"--w:{weight:.2}\" title=\"{}\">{shown}</td>",
        escape(&gain_words(&effect))
    )
}
