//! What a reader has to know to believe the numbers: what was left out, what is wrong with pages.
//!
//! Pure: findings in, sentences out.

use std::collections::{BTreeMap, BTreeSet};

use super::findings::Findings;

/// What is said of one kind of trouble before the rest is only counted.
const LISTED_MAX: usize = 5;

/// Returns what a reader has to know of findings.
pub(super) fn of(findings: &Findings) -> Vec<String> {
    let mut notes = Vec::new();
    if findings.simulated && !findings.cells.is_empty() {
        notes.push(
            "no CPU cost is simulated: parsing, layout and scripts take no time, so a real \
             browser is later by what they cost it"
                .to_owned(),
        );
    }
    notes.extend(left_out(findings));
    listed(complaints(findings), "things are wrong", &mut notes);
    listed(failures(findings), "deliveries fail", &mut notes);
    notes
}

/// Adds sentences; of many, the first and how many more there are.
fn listed(mut sentences: Vec<String>, what: &str, notes: &mut Vec<String>) {
    let more = sentences.len().saturating_sub(LISTED_MAX);
    sentences.truncate(LISTED_MAX);
    notes.append(&mut sentences);
    if more > 0 {
        notes.push(format!("and {more} more {what}"));
    }
}

/// Says how much of other origins was not fetched.
fn left_out(findings: &Findings) -> Option<String> {
    let mut of_page = BTreeMap::<&str, usize>::new();
    for cell in &findings.cells {
        let most = cell.rows.iter().map(|row| row.timeline.left_out).max();
        let known = of_page.entry(&cell.page).or_default();
        *known = (*known).max(most.unwrap_or_default());
    }
    of_page.retain(|_, count| *count > 0);
    let all: usize = of_page.values().sum();
    let resources = if all == 1 { "resource" } else { "resources" };
    let were = format!("{all} {resources} of other origins left out, which real loads fetch");
    // Of equals the first page.
    let (page, most) = of_page.iter().rev().max_by_key(|(_, count)| **count)?;
    Some(match of_page.len() {
        1 => format!("{page}: {were}"),
        pages => format!("{were}: on {pages} pages, most on {page} ({most})"),
    })
}

/// Says what is wrong with pages that loaded: each names its URL, and is said once.
fn complaints(findings: &Findings) -> Vec<String> {
    let rows = findings.cells.iter().flat_map(|cell| &cell.rows);
    let complaints = rows.filter_map(|row| row.timeline.complaint.as_ref());
    let mut said = BTreeSet::new();
    complaints
        .filter(|complaint| said.insert(*complaint))
        .cloned()
        .collect()
}

/// Says which deliveries failed where `none` did not: their row says why, this that it matters.
fn failures(findings: &Findings) -> Vec<String> {
    let mut sentences = Vec::new();
    for cell in &findings.cells {
        let Some((none, others)) = cell.rows.split_first() else {
            continue;
        };
        if none.timeline.failure.is_some() {
            continue;
        }
        for row in others {
            if let Some(failure) = &row.timeline.failure {
                let (page, link) = (&cell.page, &cell.link.name);
                sentences.push(format!(
                    "{page} loads on {link}, but not with {}: {failure}",
                    row.delivery
                ));
            }
        }
    }
    sentences
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::measure::findings::{Cell, LinkFacts, Row, Visit};
    use crate::measure::sample::Summary;
    use crate::measure::timeline::{Timeline, Totals};

    fn row(delivery: &str, timeline: Timeline) -> Row {
        Row {
            delivery: delivery.to_owned(),
            metrics: [Summary::of(&[1.0]); 5],
            totals: Totals::default(),
            gain: None,
            load_gain: None,
            timeline,
        }
    }

    fn cell(page: &str, link: &str, rows: Vec<Row>) -> Cell {
        Cell {
            page: page.to_owned(),
            visit: Visit::First,
            link: LinkFacts {
                name: link.to_owned(),
                round_trip: Duration::ZERO,
                down: None,
            },
            rows,
            control: None,
            bound: None,
        }
    }

    #[test]
    fn what_is_the_same_over_every_link_is_said_once() {
        let wrong = || Timeline {
            left_out: 3,
            complaint: Some("https://localhost/a.css is too long".to_owned()),
            ..Timeline::default()
        };
        let failed = Timeline {
            failure: Some("the server reset the stream".to_owned()),
            ..Timeline::default()
        };
        let rows = || vec![row("none", wrong()), row("push", wrong())];
        let mut findings = Findings {
            cells: vec![cell("/", "4g", rows()), cell("/", "3g", rows())],
            ..Findings::default()
        };
        assert_eq!(
            of(&findings),
            [
                "/: 3 resources of other origins left out, which real loads fetch",
                "https://localhost/a.css is too long",
            ]
        );
        let broken = vec![row("none", wrong()), row("push", failed)];
        findings.cells.push(cell("/b", "4g", broken));
        findings.simulated = true;
        assert_eq!(
            of(&findings)[1..],
            [
                "6 resources of other origins left out, which real loads fetch: on 2 pages, most \
                 on / (3)",
                "https://localhost/a.css is too long",
                "/b loads on 4g, but not with push: the server reset the stream",
            ]
        );
    }

    #[test]
    fn of_many_complaints_the_rest_is_counted() {
        let wrong = |index: usize| {
            let timeline = Timeline {
                complaint: Some(format!("https://localhost/{index} was cut off")),
                ..Timeline::default()
            };
            cell(&format!("/{index}"), "4g", vec![row("none", timeline)])
        };
        let findings = Findings {
            cells: (0..9).map(wrong).collect(),
            ..Findings::default()
        };
        let notes = of(&findings);
        assert_eq!(notes.len(), LISTED_MAX + 1);
        assert_eq!(notes[LISTED_MAX], "and 4 more things are wrong");
    }
}
