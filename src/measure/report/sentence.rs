//! Findings in one sentence: for a page, for a site. What hurts is said first.

use std::cmp::Ordering;

use crate::measure::findings::{Cell, Findings, Row};
use crate::measure::sample::Verdict;

use super::effect::{self, Effect, Group, Spread};
use super::words::{count, ms, percent, plain};

/// Deliveries or links that a sentence lists beside the first.
const LISTED_MAX: usize = 3;

/// Says what sending ahead does to a page.
pub(super) fn of_page(group: &Group<'_>) -> String {
    let page = plain(group.page);
    if let Some(failure) = failure(group) {
        return failure;
    }
    let harm = claim(group, Verdict::Slower, &page);
    let it = if harm.is_some() { "it" } else { &page };
    let help = claim(group, Verdict::Faster, it);
    match (harm, help) {
        (Some(harm), Some(help)) => format!("{harm}; but {help}"),
        (Some(claim), None) | (None, Some(claim)) => claim,
        (None, None) if group.effects().next().is_none() => {
            format!("{page} loaded; nothing was sent ahead to compare with")
        }
        (None, None) if group.effects().any(is_noisy) => {
            format!("too noisy to tell whether sending ahead changes when {page} renders")
        }
        (None, None) => format!("nothing that is sent ahead changes when {page} renders"),
    }
}

fn is_noisy((.., effect): (&Cell, &Row, Effect)) -> bool {
    effect.verdict == Verdict::TooNoisy
}

/// Says why a page did not load, if it did not over every link.
fn failure(group: &Group<'_>) -> Option<String> {
    let mut reasons = group.cells.iter().map(|cell| {
        let first = cell.rows.first()?;
        first.timeline.failure.as_deref()
    });
    let reason = reasons.next()??;
    reasons
        .all(|reason| reason.is_some())
        .then(|| format!("the page did not load: {}", plain(reason)))
}

/// Says where a page renders earlier, or later: the largest such effect with its times, what other
/// deliveries do there, and where else this one does it.
fn claim(group: &Group<'_>, verdict: Verdict, page: &str) -> Option<String> {
    let such: Vec<_> = group
        .effects()
        .filter(|(.., effect)| effect.verdict == verdict)
        .collect();
    // Of equals the first, which is the more modest plan.
    let (cell, row, largest) = such.iter().rev().max_by(|a, b| by_size(&a.2, &b.2))?;
    let is_here = |other: &Cell| std::ptr::eq(other, *cell);
    // Deliveries of the same outcome are one subject; the others follow with theirs.
    let said = |effect: &Effect| (percent(effect.percent), ms(effect.with_ms));
    let (equal, different): (Vec<_>, Vec<_>) = such
        .iter()
        .filter(|(other, ..)| is_here(other))
        .partition(|(.., effect)| said(effect) == said(largest));
    let subjects: Vec<_> = equal
        .iter()
        .map(|(_, row, _)| plain(&row.delivery))
        .collect();
    let mut text = format!(
        "{} {page} {} {} on {} ({} -> {} ms)",
        rendering(&subjects),
        percent(largest.percent),
        direction(verdict),
        plain(&cell.link.name),
        ms(largest.without_ms),
        ms(largest.with_ms)
    );
    for (_, row, effect) in different.iter().take(LISTED_MAX) {
        put!(
            text,
            ", {} {}",
            plain(&row.delivery),
            percent(effect.percent)
        );
    }
    let elsewhere: Vec<_> = such
        .iter()
        .filter(|(other, other_row, _)| !is_here(other) && other_row.delivery == row.delivery)
        .map(|(cell, _, effect)| {
            format!("{} on {}", percent(effect.percent), plain(&cell.link.name))
        })
        .collect();
    if !elsewhere.is_empty() {
        put!(text, "; {}", list(&elsewhere));
    }
    if verdict == Verdict::Faster {
        text += &nowhere(group);
    }
    Some(text)
}

/// Names the links where nothing changes, and those where nobody can tell.
fn nowhere(group: &Group<'_>) -> String {
    let mut text = String::new();
    let of_cell = |cell: &Cell| {
        let verdicts: Vec<_> = cell
            .rows
            .iter()
            .filter_map(|row| Some(effect::effect(cell, row)?.verdict))
            .collect();
        if verdicts.is_empty() || verdicts.iter().any(|v| changes(*v)) {
            None
        } else {
            Some(verdicts.contains(&Verdict::TooNoisy))
        }
    };
    for (is_noisy, words) in [(false, "nothing on"), (true, "too noisy to tell on")] {
        let links: Vec<_> = group
            .cells
            .iter()
            .filter(|cell| of_cell(cell) == Some(is_noisy))
            .map(|cell| plain(&cell.link.name))
            .collect();
        if !links.is_empty() {
            put!(text, "; {words} {}", list(&links));
        }
    }
    text
}

fn changes(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Faster | Verdict::Slower)
}

/// Says what sending ahead does to a site: to its page if there is one, else to the middle one.
pub(super) fn headline(findings: &Findings) -> String {
    let groups = effect::groups(findings);
    let (Some(visit), Some(first)) = (effect::first_visit(findings), groups.first()) else {
        return "nothing was measured".to_owned();
    };
    let pages = groups.iter().filter(|group| group.visit == visit).count();
    if pages == 1 {
        let of_visit = groups.iter().find(|group| group.visit == visit);
        return of_page(of_visit.unwrap_or(first));
    }
    let spreads = effect::spreads(findings, visit);
    if spreads.is_empty() {
        return format!(
            "{} pages were measured; none could be compared",
            count(pages)
        );
    }
    let harm = site_harm(&spreads);
    let help = site_help(&spreads);
    match (harm, help) {
        (Some(harm), Some(help)) => format!("{harm}; {help}"),
        (Some(claim), None) | (None, Some(claim)) => claim,
        (None, None) => format!(
            "nothing that is sent ahead changes when half of the {} pages render",
            count(pages)
        ),
    }
}

/// Says how many pages a delivery hurts, and which the most.
fn site_harm(spreads: &[Spread<'_>]) -> Option<String> {
    let worst = spreads
        .iter()
        .filter(|spread| spread.with(Verdict::Slower) > 0)
        .min_by(|a, b| a.effects[0].1.percent.total_cmp(&b.effects[0].1.percent))?;
    let (page, effect) = &worst.effects[0];
    Some(format!(
        "{} renders {} of {} pages later on {}, most of all {} by {}",
        plain(worst.delivery),
        count(worst.with(Verdict::Slower)),
        count(worst.effects.len()),
        plain(&worst.link.name),
        plain(page),
        percent(effect.percent)
    ))
}

/// Says what the best delivery does to the page in the middle.
fn site_help(spreads: &[Spread<'_>]) -> Option<String> {
    let gains = |spread: &Spread<'_>| {
        // A median below a part of a hundred is nothing to head a report with.
        spread.with(Verdict::Faster) > 0 && spread.quantile(0.5) >= 1.0
    };
    let best = spreads
        .iter()
        .filter(|spread| gains(spread))
        // Of equals the first, which is the more modest plan.
        .rev()
        .max_by(|a, b| a.quantile(0.5).total_cmp(&b.quantile(0.5)))?;
    let said = |spread: &Spread<'_>| percent(spread.quantile(0.5));
    let (equal, different): (Vec<_>, Vec<_>) = spreads
        .iter()
        .filter(|spread| spread.link == best.link && gains(spread))
        .partition(|spread| said(spread) == said(best));
    let subjects: Vec<_> = equal.iter().map(|spread| plain(spread.delivery)).collect();
    let mut text = format!(
        "{} pages {} earlier on {} (median of {})",
        rendering(&subjects),
        said(best),
        plain(&best.link.name),
        count(best.effects.len())
    );
    for spread in different.iter().take(LISTED_MAX) {
        put!(text, ", {} {}", plain(spread.delivery), said(spread));
    }
    let mut links: Vec<_> = spreads.iter().map(|spread| spread.link).collect();
    links.dedup();
    let nothing: Vec<_> = links
        .iter()
        .filter(|link| {
            let on_it = |spread: &&Spread<'_>| spread.link == **link;
            spreads.iter().filter(on_it).all(|spread| {
                spread.with(Verdict::Faster) == 0 && spread.with(Verdict::Slower) == 0
            })
        })
        .map(|link| plain(&link.name))
        .collect();
    if !nothing.is_empty() {
        put!(text, "; nothing on {}", list(&nothing));
    }
    Some(text)
}

fn by_size(left: &Effect, right: &Effect) -> Ordering {
    left.percent.abs().total_cmp(&right.percent.abs())
}

fn direction(verdict: Verdict) -> &'static str {
    if verdict == Verdict::Slower {
        "later"
    } else {
        "earlier"
    }
}

/// Joins deliveries that do the same with the verb: `push renders`, `link, hints and push render`.
fn rendering(subjects: &[String]) -> String {
    match subjects {
        [] => String::new(),
        [one] => format!("{one} renders"),
        [first @ .., last] => format!("{} and {last} render", first.join(", ")),
    }
}

/// Joins names: the first few, and how many more.
fn list(names: &[String]) -> String {
    let more = names.len().saturating_sub(LISTED_MAX);
    let mut text = names[..names.len() - more].join(", ");
    if more > 0 {
        put!(text, " and {more} more");
    }
    text
}
