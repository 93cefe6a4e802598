//! What findings say of pages and sites, before words and pictures: effects in parts of a hundred,
//! pages in groups, distributions. Pure arithmetic.

use std::collections::BTreeMap;

use crate::measure::findings::{Cell, Findings, LinkFacts, Row, Visit};
use crate::measure::sample::{Comparison, Verdict};
use crate::measure::timeline::Metric;

/// What a delivery does to the first render of a page over a link, against `none`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Effect {
    /// Parts of a hundred of the first render of `none`; positive: earlier.
    pub(super) percent: f64,
    /// The interval around it; `None` where runs repeat exactly.
    pub(super) interval: Option<(f64, f64)>,
    /// First render of `none`, in milliseconds.
    pub(super) without_ms: f64,
    /// First render of the delivery, in milliseconds.
    pub(super) with_ms: f64,
    /// What may be said.
    pub(super) verdict: Verdict,
}

/// A page on one kind of visit, over every link.
#[derive(Debug, Clone)]
pub(super) struct Group<'a> {
    /// The page.
    pub(super) page: &'a str,
    /// The visit.
    pub(super) visit: Visit,
    /// One for each link.
    pub(super) cells: Vec<&'a Cell>,
}

/// Gains of one delivery over one link, over the pages of a site.
#[derive(Debug, Clone)]
pub(super) struct Spread<'a> {
    /// The link.
    pub(super) link: &'a LinkFacts,
    /// The delivery.
    pub(super) delivery: &'a str,
    /// Each page with its effect, the worst first.
    pub(super) effects: Vec<(&'a str, Effect)>,
}

/// Returns whether runs repeated exactly, so that there is no interval to state.
pub(super) fn is_exact(comparison: &Comparison) -> bool {
    comparison.pairs <= 1 || comparison.low >= comparison.high
}

/// Returns the row of `none`, if its page loaded.
pub(super) fn baseline(cell: &Cell) -> Option<&Row> {
    let first = cell.rows.first()?;
    (first.gain.is_none() && first.timeline.failure.is_none()).then_some(first)
}

/// Returns what a row does to the first render; `None` for `none` itself, and where a page did not
/// load.
pub(super) fn effect(cell: &Cell, row: &Row) -> Option<Effect> {
    let without_ms = baseline(cell)?.median(Metric::FirstRender);
    let gain = row.gain.as_ref()?;
    if row.timeline.failure.is_some() || without_ms <= 0.0 {
        return None;
    }
    let percent = |ms: f64| ms / without_ms * 100.0;
    Some(Effect {
        percent: percent(gain.difference),
        interval: (!is_exact(gain)).then(|| (percent(gain.low), percent(gain.high))),
        without_ms,
        with_ms: row.median(Metric::FirstRender),
        verdict: gain.verdict,
    })
}

/// Returns pages and visits in the order in which they were measured.
pub(super) fn groups(findings: &Findings) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut places = BTreeMap::new();
    for cell in &findings.cells {
        let place = *places
            .entry((cell.page.as_str(), cell.visit))
            .or_insert(groups.len());
        if place == groups.len() {
            groups.push(Group {
                page: &cell.page,
                visit: cell.visit,
                cells: Vec::new(),
            });
        }
        groups[place].cells.push(cell);
    }
    groups
}

impl<'a> Group<'a> {
    /// Returns every effect, with its cell and row.
    pub(super) fn effects(&self) -> impl Iterator<Item = (&'a Cell, &'a Row, Effect)> {
        self.cells.iter().flat_map(|&cell| {
            let effects = cell.rows.iter();
            effects.filter_map(move |row| Some((cell, row, effect(cell, row)?)))
        })
    }

    /// Returns the largest gain, in parts of a hundred; negative if everything hurts.
    pub(super) fn best(&self) -> Option<f64> {
        self.effects()
            .map(|(.., effect)| effect.percent)
            .max_by(f64::total_cmp)
    }

    /// Returns the smallest gain.
    pub(super) fn worst(&self) -> Option<f64> {
        self.effects()
            .map(|(.., effect)| effect.percent)
            .min_by(f64::total_cmp)
    }
}

/// Returns the first kind of visit that was measured: what is said of a whole site is said of it.
pub(super) fn first_visit(findings: &Findings) -> Option<Visit> {
    findings.cells.iter().map(|cell| cell.visit).min()
}

/// Returns every link, in the order in which they were measured.
pub(super) fn links(findings: &Findings) -> Vec<&LinkFacts> {
    distinct(findings.cells.iter().map(|cell| &cell.link))
}

/// Returns every delivery but `none`, in the order in which they were measured.
pub(super) fn deliveries(findings: &Findings) -> Vec<&str> {
    let rows = findings.cells.iter().flat_map(|cell| &cell.rows);
    let compared = rows.filter(|row| row.gain.is_some());
    distinct(compared.map(|row| row.delivery.as_str()))
}

fn distinct<T: PartialEq>(items: impl Iterator<Item = T>) -> Vec<T> {
    let mut seen = Vec::new();
    for item in items {
        if !seen.contains(&item) {
            seen.push(item);
        }
    }
    seen
}

/// Returns how gains spread over the pages of a site on one kind of visit: one for each link and
/// delivery.
pub(super) fn spreads(findings: &Findings, visit: Visit) -> Vec<Spread<'_>> {
    let mut spreads = Vec::new();
    for link in links(findings) {
        for delivery in deliveries(findings) {
            let cells = findings.cells.iter();
            let mut effects: Vec<_> = cells
                .filter(|cell| cell.visit == visit && cell.link == *link)
                .filter_map(|cell| {
                    let row = cell.rows.iter().find(|row| row.delivery == delivery)?;
                    Some((cell.page.as_str(), effect(cell, row)?))
                })
                .collect();
            effects.sort_by(|(_, left), (_, right)| left.percent.total_cmp(&right.percent));
            if !effects.is_empty() {
                spreads.push(Spread {
                    link,
                    delivery,
                    effects,
                });
            }
        }
    }
    spreads
}

impl Spread<'_> {
    /// Returns the gain that a part of the pages does not exceed, interpolated (type 7 of Hyndman
    /// and Fan, 1996). Takes a part from 0 to 1.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank lies between 0 and the number of pages"
    )]
    pub(super) fn quantile(&self, part: f64) -> f64 {
        let last = self.effects.len() - 1;
        let rank = part.clamp(0.0, 1.0) * super::words::real(last);
        let below = rank.floor() as usize;
        let above = (below + 1).min(last);
        let (low, high) = (self.effects[below].1.percent, self.effects[above].1.percent);
        low + (high - low) * rank.fract()
    }

    /// Returns how many pages have a verdict.
    pub(super) fn with(&self, verdict: Verdict) -> usize {
        let effects = self.effects.iter();
        effects
            .filter(|(_, effect)| effect.verdict == verdict)
            .count()
    }
}
